package desk

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"lianxin/storage"
)

// Journal writes down what operators did, from the events of a board: spans of states and offers with their outcomes.
// The board itself never waits for it.
type Journal struct {
	DB   *storage.DB
	Node string // name of this program
	Log  *slog.Logger
}

// Run writes until ctx ends. Spans that an earlier run left open, because the program was killed, are closed first at the
// last moment of which anything is known; on a shared board, where another node goes on writing, what is still so stays
// open. A shared board has one journal: all nodes give it the same Node and start it with Redis.Lead.
func (j *Journal) Run(ctx context.Context, b Board) error {
	events := b.Subscribe(ctx)
	err := j.DB.Update(ctx, func(tx *storage.Tx) error {
		sn, err := b.Snapshot(ctx)
		if err != nil {
			return err
		}
		return j.begin(tx, sn)
	})
	if err != nil {
		return fmt.Errorf("begin the journal of the desk: %w", err)
	}
	for ev := range events {
		batch := []Event{ev}
		for more := true; more && len(batch) < 100; {
			select {
			case ev, ok := <-events:
				if more = ok; ok {
					batch = append(batch, ev)
				}
			default:
				more = false
			}
		}
		write := func(tx *storage.Tx) error {
			for _, ev := range batch {
				if err := j.write(tx, ev); err != nil {
					return err
				}
			}
			return nil
		}
		// What has happened is written also when the program is being stopped.
		keep, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		err := j.DB.Update(keep, write)
		if errors.Is(err, storage.ErrConflict) {
			err = j.DB.Update(keep, write)
		}
		cancel()
		if err != nil {
			j.log().Error("desk: journal", "events", len(batch), "err", err)
		}
	}
	return nil
}

// begin brings the open spans into line with the board.
func (j *Journal) begin(tx *storage.Tx, sn Snapshot) error {
	type span struct {
		id, ext, state string
		since          storage.Time
	}
	open, err := storage.All(tx, func(r storage.Row) (s span, err error) {
		err = r.Scan(&s.id, &s.ext, &s.state, &s.since)
		return s, err
	}, `SELECT id, extension, state, since FROM desk_span WHERE node = $1 AND until IS NULL`, j.Node)
	if err != nil {
		return err
	}
	still := map[string]bool{}
	for _, s := range open {
		now := slices.IndexFunc(sn.Operators, func(o OperatorView) bool { return o.Extension == s.ext })
		if now >= 0 && string(sn.Operators[now].State) == s.state && storage.At(sn.Operators[now].Since).UnixMilli() == s.since.UnixMilli() {
			still[s.ext] = true
			continue
		}
		if _, err := tx.Exec(`UPDATE desk_span SET until = (SELECT MAX(s.since) FROM desk_span s WHERE s.node = $1) WHERE id = $2`, j.Node, s.id); err != nil {
			return err
		}
	}
	for _, o := range sn.Operators {
		if still[o.Extension] {
			continue
		}
		if err := j.span(tx, Event{Extension: o.Extension, StaffID: o.StaffID, State: o.State, Reason: o.Reason, CallID: o.CallID, At: o.Since}); err != nil {
			return err
		}
	}
	return nil
}

func (j *Journal) log() *slog.Logger {
	if j.Log != nil {
		return j.Log
	}
	return slog.Default()
}

func (j *Journal) write(tx *storage.Tx, ev Event) error {
	if ev.Missed > 0 {
		j.log().Warn("desk: journal fell behind", "missed", ev.Missed)
	}
	switch ev.Kind {
	case OperatorChanged:
		return j.span(tx, ev)
	case OfferMade:
		_, err := tx.Exec(`INSERT INTO desk_offer (id, extension, staff_id, call_id, made, outcome) VALUES ($1, $2, $3, $4, $5, '')
			ON CONFLICT (id) DO NOTHING`, ev.OfferID, ev.Extension, ev.StaffID, ev.CallID, storage.At(ev.At))
		return err
	case OfferSettled:
		_, err := tx.Exec(`UPDATE desk_offer SET settled = $2, outcome = $3 WHERE id = $1`, ev.OfferID, storage.At(ev.At), string(ev.Outcome))
		return err
	}
	return nil
}

// span ends the operator's open span and begins the next.
func (j *Journal) span(tx *storage.Tx, ev Event) error {
	if _, err := tx.Exec(`UPDATE desk_span SET until = $3 WHERE node = $1 AND extension = $2 AND until IS NULL`, j.Node, ev.Extension, storage.At(ev.At)); err != nil {
		return err
	}
	_, err := tx.Exec(`INSERT INTO desk_span (id, node, extension, staff_id, state, reason, call_id, since) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		storage.NewID(), j.Node, ev.Extension, ev.StaffID, string(ev.State), ev.Reason, ev.CallID, storage.At(ev.At))
	return err
}

// Work is what an operator did in a span of time.
type Work struct {
	Extension string
	StaffID   string
	Times     map[State]time.Duration
	Offers    int // phones rung
	Taken     int
	Missed    int // no-answers and offers without a report
	Declined  int
}

// Works sums up what each operator did in [from, to), by extension. A span that is still open counts up to now.
func Works(tx *storage.Tx, from, to, now time.Time) ([]Work, error) {
	type span struct {
		ext, staff, state string
		ms                int64
	}
	if now.Before(to) {
		to = now
	}
	spans, err := storage.All(tx, func(r storage.Row) (s span, err error) {
		err = r.Scan(&s.ext, &s.staff, &s.state, &s.ms)
		return s, err
	}, `SELECT extension, staff_id, state, SUM(CASE WHEN until IS NULL OR until > $2 THEN $2 ELSE until END - CASE WHEN since < $1 THEN $1 ELSE since END)
		FROM desk_span WHERE since < $2 AND (until IS NULL OR until > $1) GROUP BY extension, staff_id, state ORDER BY extension, staff_id, state`,
		storage.At(from), storage.At(to))
	if err != nil {
		return nil, fmt.Errorf("sum up operators' time: %w", err)
	}
	var out []Work
	find := func(ext, staff string) *Work {
		for i := range out {
			if out[i].Extension == ext && out[i].StaffID == staff {
				return &out[i]
			}
		}
		out = append(out, Work{Extension: ext, StaffID: staff, Times: map[State]time.Duration{}})
		return &out[len(out)-1]
	}
	for _, s := range spans {
		find(s.ext, s.staff).Times[State(s.state)] = time.Duration(s.ms) * time.Millisecond
	}
	type offers struct {
		ext, staff, outcome string
		n                   int
	}
	made, err := storage.All(tx, func(r storage.Row) (o offers, err error) {
		err = r.Scan(&o.ext, &o.staff, &o.outcome, &o.n)
		return o, err
	}, `SELECT extension, staff_id, outcome, COUNT(*) FROM desk_offer WHERE made >= $1 AND made < $2 GROUP BY extension, staff_id, outcome ORDER BY extension, staff_id`,
		storage.At(from), storage.At(to))
	if err != nil {
		return nil, fmt.Errorf("count operators' offers: %w", err)
	}
	for _, o := range made {
		w := find(o.ext, o.staff)
		w.Offers += o.n
		switch Outcome(o.outcome) {
		case Answered:
			w.Taken += o.n
		case NoAnswer, Expired:
			w.Missed += o.n
		case Declined:
			w.Declined += o.n
		}
	}
	return out, nil
}

// Guard sweeps a board until ctx ends or the board is closed, and tells alarm what had to be repaired: each repair is a crash or a bug elsewhere.
func Guard(ctx context.Context, b Board, r Reality, every time.Duration, alarm func([]Repair)) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		repaired, err := b.Sweep(ctx, r)
		if errors.Is(err, ErrClosed) || ctx.Err() != nil {
			return
		}
		if len(repaired) > 0 && alarm != nil {
			alarm(repaired)
		}
	}
}
