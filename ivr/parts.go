package ivr

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"lianxin/sip"
	"lianxin/sip/media"
	"lianxin/storage"
)

// Stay is one wait of a caller in a queue.
type Stay struct {
	Queue    string
	Joined   time.Time
	Placed   time.Time // from which the place counted; before Joined where the caller kept one
	Position int       // place in line at the beginning, 1 the next; 0: did not come to stand in line
	Left     time.Time // zero while they wait
	Outcome  string    // connected, nobody, late, full, closed, hungup, interrupted, or the key that led away
	Operator string    // extension of who answered
}

// Wait is how long it lasted; until now for one that goes on.
func (s Stay) Wait(now time.Time) time.Duration {
	if s.Left.IsZero() {
		return now.Sub(s.Joined)
	}
	return s.Left.Sub(s.Joined)
}

// Kept says whether the place counted from before: the moment in which it is given lies between the two clocks.
func (s Stay) Kept() bool { return s.Joined.Sub(s.Placed) > time.Second }

// OutcomeLabel is how a wait ended, for staff (zh-CN).
func (s Stay) OutcomeLabel() string {
	switch s.Outcome {
	case "":
		return "等候中"
	case connected:
		return "接通"
	case "nobody":
		return "无人在岗"
	case "late":
		return "等候超时"
	case "full":
		return "排队已满"
	case "closed":
		return "非服务时间"
	case stayHungUp:
		return "群众挂机"
	case stayInterrupted:
		return "系统中断"
	}
	return "按" + s.Outcome + "键转出"
}

// How a wait ends besides the outcomes of the node.
const (
	stayHungUp      = "hungup"
	stayInterrupted = "interrupted"
)

// Parts are what belongs to a call beside its record.
type Parts struct {
	Stays   []Stay
	Answers []Answer
	Clips   []Clip
}

// Parts returns the queues that a call went through, what was answered by key, and the named parts of its recording.
func (c Calls) Parts(tx *storage.Tx, callID string) (p Parts, err error) {
	p.Stays, err = storage.All(tx, func(r storage.Row) (s Stay, err error) {
		var joined, placed, left storage.Time
		err = r.Scan(&s.Queue, &joined, &placed, &s.Position, &left, &s.Outcome, &s.Operator)
		s.Joined, s.Placed, s.Left = joined.Time, placed.Time, left.Time
		return s, err
	}, `SELECT queue, joined, placed, position, left_at, outcome, operator FROM call_stay WHERE call_id = $1 ORDER BY n`, callID)
	if err != nil {
		return p, fmt.Errorf("queues of call %s: %w", callID, err)
	}
	if p.Answers, err = c.Answers(tx, callID); err != nil {
		return p, fmt.Errorf("answers of call %s: %w", callID, err)
	}
	if p.Clips, err = c.Clips(tx, callID); err != nil {
		return p, fmt.Errorf("clips of call %s: %w", callID, err)
	}
	return p, nil
}

// write tells the parts of a call in text, a line each.
func (p Parts) write(b *strings.Builder, r Record) {
	sec := func(d time.Duration) time.Duration { return d.Round(100 * time.Millisecond) }
	for _, s := range p.Stays {
		fmt.Fprintf(b, "queue %s  %s  waited %v  %s", s.Queue, s.Joined.In(r.Started.Location()).Format("15:04:05"), sec(s.Wait(r.Seen)), s.Outcome)
		if s.Position > 0 {
			fmt.Fprintf(b, "  place %d", s.Position)
		}
		if s.Kept() {
			fmt.Fprintf(b, "  kept since %s", s.Placed.In(r.Started.Location()).Format("15:04:05"))
		}
		if s.Operator != "" {
			fmt.Fprintf(b, "  %s", s.Operator)
		}
		b.WriteString("\n")
	}
	for _, a := range p.Answers {
		fmt.Fprintf(b, "answer %s = %s\n", a.Name, a.Value)
	}
	if r.Rating > 0 {
		fmt.Fprintf(b, "rating %d\n", r.Rating)
	}
	if r.MessageTime > 0 {
		fmt.Fprintf(b, "message  %v from %v\n", sec(r.MessageTime), sec(r.MessageFrom))
	}
	for _, c := range p.Clips {
		fmt.Fprintf(b, "clip %s  %v from %v\n", c.Name, sec(c.Time), sec(c.From))
	}
}

// noteQueue notes where the caller waits, and since when their place counts.
func (v *visit) noteQueue(ctx context.Context, queue string, placed time.Time) {
	ctx, cancel := after(ctx)
	defer cancel()
	r, now := v.record(), v.h.now()
	v.trail.stays++
	v.trail.position = 0
	err := v.h.update(ctx, func(tx *storage.Tx) error {
		if err := v.h.calls.save(tx, &r); err != nil { // the row has to be there
			return err
		}
		if _, err := tx.Exec(`UPDATE call SET queue = $2, placed = $3 WHERE id = $1`, r.ID, queue, storage.At(placed)); err != nil {
			return err
		}
		_, err := tx.Exec(`INSERT INTO call_stay (call_id, n, queue, joined, placed) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (call_id, n) DO NOTHING`,
			r.ID, v.trail.stays, queue, storage.At(now), storage.At(placed))
		return err
	})
	if err != nil {
		v.log.Error("ivr: note the queue of a call", "err", err)
	}
}

// leftQueue notes how a wait ended.
func (v *visit) leftQueue(ctx context.Context, was int, outcome string, failed error) {
	if v.trail.stays == was {
		return // it did not come to a queue
	}
	operator := ""
	switch {
	case failed != nil && (ctx.Err() != nil || errors.Is(failed, media.ErrClosed) || errors.Is(failed, sip.ErrEnded)):
		outcome = stayHungUp
		if errors.Is(context.Cause(ctx), errDraining) {
			outcome = stayInterrupted
		}
	case failed != nil:
		outcome = stayInterrupted
	case outcome == connected && v.talk != nil:
		operator = v.talk.ext
	}
	ctx, cancel := after(ctx)
	defer cancel()
	err := v.h.update(ctx, func(tx *storage.Tx) error {
		_, err := tx.Exec(`UPDATE call_stay SET left_at = $3, outcome = $4, position = $5, operator = $6 WHERE call_id = $1 AND n = $2`,
			v.rec.ID, v.trail.stays, storage.At(v.h.now()), outcome, v.trail.position, operator)
		return err
	})
	if err != nil {
		v.log.Error("ivr: note the end of a wait", "err", err)
	}
}
