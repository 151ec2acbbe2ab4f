package oversee

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"lianxin/audit"
	"lianxin/storage"
	"lianxin/ticket"
	"lianxin/ticket/grade"
	"lianxin/ticket/match"
	"lianxin/ticket/warn"
	"lianxin/workday"
)

// watching is the engine of warnings as this process holds it.
type watching struct {
	mu      sync.Mutex
	engine  *warn.Engine
	rules   string // ID of those the engine runs by
	seq     int64  // last event that was fed
	pending []job  // what was found and is not yet written
	pairs   map[string][]match.Pair
	rated   time.Time
	silent  workday.Day // the last day on which silent areas were looked for
}

// job is one thing to write: a firing or the links of a ticket, with the event that it follows from.
type job struct {
	seq   int64
	fire  *warn.Firing
	pairs []match.Pair
	order *instructed
}

// Signal is a source whose silence in day time is an alarm (W16).
type Signal struct {
	Name  string // stable: "calls"
	Label string // zh-CN
	// Last is when it last gave a sign of life; zero is never, and then it is not watched.
	Last func(tx *storage.Tx) (time.Time, error)
}

// Ratings gives ratings of services in [from, to) that are not in the log of tickets, such as those of the survey.
type Ratings func(tx *storage.Tx, from, to time.Time) ([]warn.Rated, error)

// horizon is how far back the engine remembers.
const horizon = 400 * 24 * time.Hour

// Sweep does what is due by now: reads what happened since the last sweep, runs the rules of warning over it and writes what
// they find, begins 督办 by its triggers, warns of terms, ends flags. It goes on where the last sweep of any process
// ended, and every step may be done twice without harm, so that neither a restart nor a second node loses or doubles anything.
func (d *Desk) Sweep(ctx context.Context, db *storage.DB, now time.Time) error {
	d.watch.mu.Lock()
	defer d.watch.mu.Unlock()
	now = ms(now)
	if err := d.load(ctx, db, now); err != nil {
		return fmt.Errorf("oversight: load: %w", err)
	}
	var errs []error
	// What met somebody else's change again and again is still pending, and the place in the log was not moved beyond it.
	if err := d.follow(ctx, db, now); err != nil && !errors.Is(err, storage.ErrConflict) {
		errs = append(errs, fmt.Errorf("oversight: warnings: %w", err))
	}
	for _, step := range []struct {
		what string
		do   func(ctx context.Context, db *storage.DB, now time.Time) error
	}{{"triggers", d.triggers}, {"bad ratings", d.badRatings}, {"terms", d.terms}, {"signals", d.signals}, {"silence", d.silences}} {
		if err := step.do(ctx, db, now); err != nil && ctx.Err() == nil {
			errs = append(errs, fmt.Errorf("oversight: %s: %w", step.what, err))
		}
	}
	return errors.Join(errs...)
}

const cursorName = "audit"

// load makes the engine, or makes it anew when the rules changed, and lets it remember what was seen before.
func (d *Desk) load(ctx context.Context, db *storage.DB, now time.Time) error {
	var rules Rules
	var periods []warn.Period
	cursor, known, begin := int64(0), false, int64(0)
	err := db.View(ctx, func(tx *storage.Tx) (err error) {
		if rules, err = d.rules(tx); err != nil {
			return err
		}
		if periods, err = d.periods(tx); err != nil {
			return err
		}
		if d.watch.engine != nil && d.watch.rules == rules.ID() {
			return nil // it remembers
		}
		if begin, err = audit.Place(tx, now.Add(-horizon)); err != nil {
			return err
		}
		at, err := storage.One(tx, storage.Value[string], `SELECT at FROM oversee_cursor WHERE name = $1`, cursorName)
		if errors.Is(err, storage.ErrNotFound) {
			return nil
		} else if err != nil {
			return err
		}
		known = true
		cursor, err = strconv.ParseInt(at, 10, 64)
		return err
	})
	if err != nil {
		return err
	}
	w := &d.watch
	if w.engine != nil && w.rules == rules.ID() {
		w.engine.Periods = periods
		return nil
	}
	w.pairs = map[string][]match.Pair{}
	w.engine = warn.NewEngine(rules.Warn, rules.Match, d.reckoner(), func(id string, pairs []match.Pair) { w.pairs[id] = pairs })
	w.engine.Periods, w.engine.Quiet, w.rules, w.seq, w.pending, w.rated = periods, true, rules.ID(), begin, nil, now.Add(-horizon)
	if !known {
		cursor = -1 // a house that was never watched: remember what is older than two days, warn of the rest
	}
	for {
		done := false
		err := db.View(ctx, func(tx *storage.Tx) error {
			facts, last, at, err := d.readFacts(tx, w.seq, 1000)
			if err != nil || last == w.seq {
				done = true
				return err
			}
			if known && last > cursor || !known && now.Sub(at) < 48*time.Hour {
				facts, last, at, err = d.readFacts(tx, w.seq, 1) // step by step to the very event
				if err != nil || known && last > cursor || !known && now.Sub(at) < 48*time.Hour {
					done = true
					return err
				}
			}
			for _, f := range facts {
				if o, ok := f.(warn.Opened); ok && now.Sub(o.At) > horizon {
					continue
				}
				if _, ours := f.(instructed); !ours {
					w.engine.Feed(f)
				}
			}
			w.seq = last
			return nil
		})
		if err != nil {
			w.engine = nil
			return err
		}
		if done {
			break
		}
	}
	clear(w.pairs)
	w.engine.Quiet = false
	return nil
}

// follow feeds the engine with what is new, and writes what it finds.
func (d *Desk) follow(ctx context.Context, db *storage.DB, now time.Time) error {
	w := &d.watch
	for ctx.Err() == nil {
		if err := d.write(ctx, db); err != nil {
			return err
		}
		var facts []warn.Fact
		last := w.seq
		err := db.View(ctx, func(tx *storage.Tx) (err error) {
			facts, last, _, err = d.readFacts(tx, w.seq, 500)
			return err
		})
		if err != nil {
			return err
		}
		if last == w.seq {
			break
		}
		for _, f := range facts {
			if o, ok := f.(instructed); ok {
				w.pending = append(w.pending, job{seq: last, order: &o})
				f = o.Moved
			}
			for _, x := range w.engine.Feed(f) {
				w.pending = append(w.pending, job{seq: last, fire: &x})
			}
			if o, ok := f.(warn.Opened); ok && len(w.pairs[o.ID]) > 0 {
				w.pending = append(w.pending, job{seq: last, pairs: w.pairs[o.ID]})
				delete(w.pairs, o.ID)
			}
		}
		w.seq = last
		if err := d.write(ctx, db); err != nil {
			return err
		}
		if err := db.Update(ctx, func(tx *storage.Tx) error { return d.putCursor(tx, last) }); err != nil {
			return err
		}
	}
	if d.Ratings != nil {
		var list []warn.Rated
		err := db.View(ctx, func(tx *storage.Tx) (err error) { list, err = d.Ratings(tx, w.rated, now); return err })
		if err != nil {
			return err
		}
		for _, r := range list {
			for _, x := range w.engine.Feed(r) {
				if now.Sub(x.At) < 48*time.Hour {
					w.pending = append(w.pending, job{fire: &x})
				}
			}
		}
		w.rated = now
	}
	for _, x := range w.engine.Tick(now) {
		w.pending = append(w.pending, job{fire: &x})
	}
	return d.write(ctx, db)
}

// put writes one finding.
func (d *Desk) put(tx *storage.Tx, j job) error {
	switch {
	case j.fire != nil:
		return d.apply(tx, *j.fire)
	case j.order != nil:
		return d.byInstruction(tx, j.order.ID, j.order.At)
	}
	for _, p := range j.pairs {
		if err := d.propose(tx, p); err != nil {
			return err
		}
	}
	return nil
}

func (d *Desk) putCursor(tx *storage.Tx, seq int64) error {
	_, err := tx.Exec(`INSERT INTO oversee_cursor (name, at) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET at = excluded.at`, cursorName, strconv.FormatInt(seq, 10))
	return err
}

// tries is how often a finding is written again at once after it met somebody else's change.
const tries = 5

// write writes what was found, each thing in its own transaction. What meets a conflict is tried again a few times, and then
// stays for the next sweep.
func (d *Desk) write(ctx context.Context, db *storage.DB) error {
	w := &d.watch
	for len(w.pending) > 0 {
		j := w.pending[0]
		var err error
		for n := range tries {
			if err = db.Update(ctx, func(tx *storage.Tx) error { return d.put(tx, j) }); !errors.Is(err, storage.ErrConflict) {
				break
			}
			time.Sleep(time.Duration(n) * 10 * time.Millisecond)
		}
		if r, ok := ticket.RefusedWith(err); ok {
			err = nil // such as a ticket that was withdrawn meanwhile: there is nothing to do any more
			_ = r
		}
		if err != nil {
			return err
		}
		w.pending = w.pending[1:]
	}
	return nil
}

// periods are the watch periods as the engine takes them.
func (d *Desk) periods(tx *storage.Tx) ([]warn.Period, error) {
	list, err := find[Period](d, tx, KindPeriod, ` AND state = 'ACTIVE'`)
	if err != nil {
		return nil, err
	}
	var out []warn.Period
	for _, p := range list {
		out = append(out, warn.Period{From: p.From.Start(), To: p.To.End(), Districts: p.Districts, Factor: p.Factor})
	}
	return out, nil
}

// subject is what an alert is about, fit for the log: words of people become a mark.
func subject(s string) string {
	for _, r := range s {
		if r > 127 {
			h := sha256.Sum256([]byte(s))
			head, _, _ := strings.Cut(s, "/")
			return head + "/" + hex.EncodeToString(h[:])[:16]
		}
	}
	return s
}

// once are the rules that tell of one thing once and for all.
var once = []string{"W1", "W7", "W14"}

// apply writes one firing: the alert, and what the rule begins besides.
func (d *Desk) apply(tx *storage.Tx, f warn.Firing) error {
	rules, err := d.rules(tx)
	if err != nil {
		return err
	}
	switch f.Rule {
	case "W3", "W4", "W11":
		if err := d.groupTopic(tx, f); err != nil {
			return err
		}
	case "W14":
		if len(f.Tickets) == 2 {
			earlier, err := d.Office.Get(tx, f.Tickets[0])
			if err != nil {
				return err
			}
			inbound, err := d.Office.Get(tx, f.Tickets[1])
			if err != nil {
				return err
			}
			return d.escalate(tx, inbound, earlier, f.Score)
		}
	case "W13":
		if f.Entities != nil {
			if _, err := d.OpenClue(tx, f.Ticket, f.Pattern, f.Evidence, f.Entities, ticket.System); err != nil {
				return err
			}
			return nil // it waits in the queue of clues
		}
	case "W7":
		trigger := ByPending
		if f.Cause == "age" {
			trigger = ByAge
		}
		if _, err := d.Propose(tx, Proposal{Level: 2, Trigger: trigger, TicketID: f.Ticket, Grounds: f.Evidence, Key: "L2/" + string(trigger) + "/" + f.Ticket}, ticket.System); err != nil {
			return err
		}
	case "W15":
		if err := d.urge(tx, ByQuiet, f.Ticket, "", f.Evidence, "L0/quiet/"+f.Ticket+"/"+strconv.FormatInt(f.Since.UnixMilli(), 10)); err != nil {
			return err
		}
	}
	if f.Grows {
		return nil
	}
	a := ticket.Alert{Rule: f.Rule, Level: ticket.Colour(f.Level), TicketID: f.Ticket, Subject: subject(f.Subject), Title: f.Title, Evidence: f.Evidence, By: ticket.System}
	if p, ok := strings.CutPrefix(f.Subject, "party/"); ok {
		a.ContactID = p
	}
	if a.Level == "" {
		a.Level = ticket.Colour(grade.Yellow)
	}
	last, err := storage.One(tx, func(r storage.Row) (t storage.Time, err error) { return t, r.Scan(&t) }, `SELECT MAX(raised_at) FROM ticket_alert WHERE rule = $1 AND (subject = $2 OR $3 <> '' AND ticket_id = $3)`,
		a.Rule, a.Subject, cmp.Or(map[bool]string{true: f.Ticket}[slices.Contains(once, f.Rule)], ""))
	if err != nil {
		return err
	}
	if !last.IsZero() && (slices.Contains(once, f.Rule) || f.At.Sub(last.Time) < time.Duration(rules.Warn.Again)*24*time.Hour) {
		return nil
	}
	a.Key = a.Rule + "/" + a.Subject + "/" + workday.DayOf(f.At).String()
	_, err = d.Office.RaiseAlert(tx, a)
	return err
}

// groupTopic opens the topic of a group, or takes more tickets into the one that is there.
func (d *Desk) groupTopic(tx *storage.Tx, f warn.Firing) error {
	ids, err := unrestricted(tx, f.Tickets)
	if err != nil || len(ids) == 0 {
		return err
	}
	best, has, err := fullest(tx, ids)
	if err != nil {
		return err
	}
	if best != "" {
		t, err := get[Topic](tx, best)
		if err != nil {
			return err
		}
		if t.Rule == f.Rule || 2*has >= len(ids) {
			_, err := d.AddToTopic(tx, best, ids, ticket.System)
			return err
		}
	}
	key := "topic/" + f.Rule + "/" + subject(f.Subject) + "/" + ids[0]
	title := f.Title
	if f.Rule == "W3" && f.Place == "" {
		title = "多人反映同一事项"
	}
	tag := ""
	if f.Rule == "W11" {
		tag = warn.TagDataError
	}
	_, err = d.OpenTopic(tx, TopicIn{Rule: f.Rule, Title: title, Place: f.Place, Class: f.Class, CauseTag: tag, Tickets: ids, Key: key}, ticket.System)
	return err
}

// unrestricted are those of the tickets that are not for the restricted seat alone, in their order.
func unrestricted(tx *storage.Tx, ids []string) ([]string, error) {
	in := map[string]bool{}
	for part := range slices.Chunk(ids, some) {
		marks, args := among(part)
		found, err := storage.All(tx, storage.Value[string], `SELECT id FROM ticket WHERE restricted = FALSE AND id IN (`+marks+`)`, args...)
		if err != nil {
			return nil, fmt.Errorf("tickets of a group: %w", err)
		}
		for _, id := range found {
			in[id] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return !in[id] }), nil
}

// fullest is the open topic that has most of the tickets, the oldest of equals, and how many it has; none is "".
func fullest(tx *storage.Tx, ids []string) (best string, has int, err error) {
	n := map[string]int{}
	for part := range slices.Chunk(ids, some) {
		marks, args := among(part)
		type row struct {
			id string
			n  int
		}
		found, err := storage.All(tx, func(r storage.Row) (x row, err error) { return x, r.Scan(&x.id, &x.n) },
			`SELECT m.id, COUNT(*) FROM oversee_ticket o JOIN oversee_matter m ON m.id = o.matter_id WHERE m.kind = 'topic' AND m.closed_at IS NULL AND o.ticket_id IN (`+marks+`) GROUP BY m.id`, args...)
		if err != nil {
			return "", 0, fmt.Errorf("topics of a group: %w", err)
		}
		for _, x := range found {
			n[x.id] += x.n
		}
	}
	for id, k := range n {
		if best == "" || k > has || k == has && id < best {
			best, has = id, k
		}
	}
	return best, has, nil
}

// signals is W16: a source that is silent in the day time.
func (d *Desk) signals(ctx context.Context, db *storage.DB, now time.Time) error {
	local := now.In(workday.Zone)
	if local.Hour() < 8 || local.Hour() >= 20 {
		return nil
	}
	if err := d.quietChannels(ctx, db, now); err != nil {
		return err
	}
	var rules Rules
	quiet := map[int]time.Time{}
	err := db.View(ctx, func(tx *storage.Tx) (err error) {
		if rules, err = d.rules(tx); err != nil {
			return err
		}
		for i, s := range d.Signals {
			last, err := s.Last(tx)
			if err != nil {
				return fmt.Errorf("%s: %w", s.Name, err)
			}
			if !last.IsZero() && dayTime(last, now) > time.Duration(rules.Warn.Silence)*time.Hour {
				quiet[i] = last
			}
		}
		return nil
	})
	if err != nil || slices.Contains(rules.Warn.Off, "W16") {
		return err
	}
	for i, last := range quiet {
		s := d.Signals[i]
		err := db.Update(ctx, func(tx *storage.Tx) error {
			_, err := d.Office.RaiseAlert(tx, ticket.Alert{Key: "W16/" + s.Name + "/" + strconv.FormatInt(last.UnixMilli(), 10), Rule: "W16", Level: ticket.Orange, Subject: "signal/" + s.Name,
				Title: "静默：" + s.Label, Evidence: fmt.Sprintf("自%s起没有信号", last.In(workday.Zone).Format("2006-01-02 15:04")), By: ticket.System})
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// dayTime is how much of the time between two moments lies between 08:00 and 20:00.
func dayTime(from, to time.Time) (sum time.Duration) {
	if to.Sub(from) > 60*24*time.Hour {
		from = to.AddDate(0, 0, -60)
	}
	for day := workday.DayOf(from); day <= workday.DayOf(to); day = day.Add(1) {
		a, b := day.At(8*time.Hour), day.At(20*time.Hour)
		if a.Before(from) {
			a = from
		}
		if b.After(to) {
			b = to
		}
		if b.After(a) {
			sum += b.Sub(a)
		}
	}
	return sum
}

// quietChannels is W16 for channels of other bodies: one that brought a ticket a day on average in four weeks, and now so
// long none that chance would do it less than once in a thousand times.
func (d *Desk) quietChannels(ctx context.Context, db *storage.DB, now time.Time) error {
	type channel struct {
		code, name string
		n          int
		last       storage.Time
	}
	scan := func(r storage.Row) (c channel, err error) { return c, r.Scan(&c.code, &c.name, &c.n, &c.last) }
	var rules Rules
	if err := db.View(ctx, func(tx *storage.Tx) (err error) { rules, err = d.rules(tx); return err }); err != nil || slices.Contains(rules.Warn.Off, "W16") {
		return err
	}
	return each(ctx, db, scan, `SELECT c.code, c.name, COUNT(*), MAX(t.opened_at) FROM ticket_channel c JOIN ticket t ON t.channel = c.code
		WHERE c.external = TRUE AND c.enabled = TRUE AND t.opened_at >= $1 GROUP BY c.code, c.name HAVING COUNT(*) >= 28`, []any{storage.At(now.AddDate(0, 0, -28))}, func(tx *storage.Tx, c channel) error {
		quiet := dayTime(c.last.Time, now)
		if perHour := float64(c.n) / (28 * 12); quiet < time.Duration(rules.Warn.Silence)*time.Hour || math.Exp(-perHour*quiet.Hours()) >= 0.001 {
			return nil
		}
		_, err := d.Office.RaiseAlert(tx, ticket.Alert{Key: "W16/channel/" + c.code + "/" + strconv.FormatInt(c.last.UnixMilli(), 10), Rule: "W16", Level: ticket.Orange, Subject: "channel/" + c.code,
			Title: "渠道静默：" + c.name, Evidence: fmt.Sprintf("近28天%d件，自%s起没有来件", c.n, c.last.In(workday.Zone).Format("2006-01-02 15:04")), By: ticket.System})
		return err
	})
}
