package survey

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"lianxin/audit"
	"lianxin/contact"
	"lianxin/org"
	"lianxin/schedule"
	"lianxin/sms"
	"lianxin/storage"
	"lianxin/workday"
)

// RunOptions say how a morning is run.
type RunOptions struct {
	DryRun   bool           // decide, tell, and keep nothing
	Decision func(Decision) // called with each decision; may be nil
}

// RunResult is what a run decided. Planned = Asked + all that is Not asked.
type RunResult struct {
	Day      workday.Day // of the services
	Planned  int         // records decided by this run
	Asked    int
	Not      map[Reason]int
	Already  int    // records of the day that an earlier run had decided
	Version  string // of the configuration
	Campaign string // of the texts
}

// Campaign is the name under which the texts of a day can be paused or killed.
func Campaign(day workday.Day) string { return "survey:" + day.String() }

// Job is the daily run: at spec (five cron fields, such as "0 9 * * *") the services of the day before.
func (s *Survey) Job(spec string) schedule.Job {
	return schedule.Job{Name: "survey.morning", Spec: spec, Window: 10 * time.Hour, Run: func(ctx context.Context, at time.Time) error {
		res, err := s.Run(ctx, workday.DayOf(at).Add(-1), RunOptions{})
		if err != nil {
			return err
		}
		s.log().Info("morning survey", "day", res.Day.String(), "planned", res.Planned, "asked", res.Asked)
		return nil
	}}
}

// Run asks about the services of one day: yesterday's, on the day's first run. It reads the records of that day, and those
// of the days before that came late, and decides about each once: asked, or why not. Decision, question and text are one
// commit per person, so that a run that was cut off goes on where it stopped, a repeated one asks nobody again, and two at
// the same time share the work.
func (s *Survey) Run(ctx context.Context, day workday.Day, opt RunOptions) (RunResult, error) {
	cfg := s.config()
	res := RunResult{Day: day, Not: map[Reason]int{}, Version: cfg.Version, Campaign: Campaign(day)}
	if today := workday.DayOf(s.now()); day >= today {
		return res, fmt.Errorf("run the survey of %s: the day is not over", day)
	}
	if err := s.DB.View(ctx, func(tx *storage.Tx) (err error) { cfg, err = s.inForce(tx); return err }); err != nil {
		return res, fmt.Errorf("run the survey of %s: %w", day, err)
	}
	res.Version = cfg.Version
	m := &morning{s: s, cfg: cfg, day: day, opt: opt, res: &res}
	if err := m.load(ctx); err != nil {
		return res, fmt.Errorf("run the survey of %s: %w", day, err)
	}
	if err := m.draw(ctx); err != nil {
		return res, fmt.Errorf("run the survey of %s: %w", day, err)
	}
	// Persons in the order of their hashes; records without a number that can be texted come first, one by one.
	for after := (mark{}); ; {
		persons, last, err := m.next(ctx, after)
		if err != nil {
			return res, fmt.Errorf("run the survey of %s: read records: %w", day, err)
		}
		if len(persons) == 0 {
			return res, nil
		}
		if err := m.decideAll(ctx, persons); err != nil {
			return res, fmt.Errorf("run the survey of %s: %w", day, err)
		}
		after = last
	}
}

// morning is one run.
type morning struct {
	s     *Survey
	cfg   *Config
	day   workday.Day
	opt   RunOptions
	units map[string]org.Unit
	res   *RunResult

	samples map[cell]Sample
}

func (m *morning) load(ctx context.Context) error {
	return m.s.DB.View(ctx, func(tx *storage.Tx) error {
		units, err := org.Units(tx)
		if err != nil {
			return err
		}
		m.units = map[string]org.Unit{}
		for _, u := range units {
			m.units[u.ID] = u
		}
		m.res.Already, err = storage.One(tx, storage.Value[int], `SELECT COUNT(*) FROM survey_decision WHERE day = $1`, m.day)
		return err
	})
}

// mark is how far a run has read.
type mark struct{ hash, id string }

// next reads the undecided records of some persons, each person's together.
func (m *morning) next(ctx context.Context, after mark) (persons [][]Record, last mark, err error) {
	const records = 400
	var rows []Record
	err = m.s.DB.View(ctx, func(tx *storage.Tx) error {
		if err := errors.Join(tx.ByIndex(), tx.InOrder()); err != nil {
			return err
		}
		read := func(where string, args ...any) ([]Record, error) {
			return storage.All(tx, m.s.scanRecord, `SELECT `+recordColumns+` FROM survey_record r
				WHERE r.decided = FALSE AND r.service_day <= $1 AND `+where, append([]any{m.day}, args...)...)
		}
		if rows, err = read(`(r.phone_hash, r.id) > ($2, $3) ORDER BY r.phone_hash, r.id LIMIT $4`, after.hash, after.id, records); err != nil {
			return err
		}
		if len(rows) < records || rows[len(rows)-1].phoneHash == "" {
			return nil
		}
		rest, err := read(`r.phone_hash = $2 AND r.id > $3 ORDER BY r.id`, rows[len(rows)-1].phoneHash, rows[len(rows)-1].ID)
		rows = append(rows, rest...)
		return err
	})
	if err != nil || len(rows) == 0 {
		return nil, mark{}, err
	}
	for _, r := range rows {
		if n := len(persons); n > 0 && r.phoneHash != "" && persons[n-1][0].phoneHash == r.phoneHash {
			persons[n-1] = append(persons[n-1], r)
		} else {
			persons = append(persons, []Record{r})
		}
	}
	end := rows[len(rows)-1]
	return persons, mark{end.phoneHash, end.ID}, nil
}

// decideAll decides about some persons, 200 to a transaction. A transaction that fails because another run was at
// the same person is repeated person by person.
func (m *morning) decideAll(ctx context.Context, persons [][]Record) error {
	for group := range slices.Chunk(persons, 200) {
		err := m.commit(ctx, group)
		for try := 0; errors.Is(err, storage.ErrConflict) && try < 5; try++ {
			err = nil
			for _, p := range group {
				err = errors.Join(err, m.commit(ctx, [][]Record{p}))
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (m *morning) commit(ctx context.Context, persons [][]Record) error {
	in := m.s.DB.Update
	if m.opt.DryRun {
		in = m.s.DB.View
	}
	var made []Decision
	err := in(ctx, func(tx *storage.Tx) error {
		if err := tx.ByIndex(); err != nil {
			return err
		}
		known, err := m.known(tx, persons)
		if err != nil {
			return err
		}
		made = nil
		plans := make([]plan, len(persons))
		for i, records := range persons {
			plans[i] = m.person(records, known)
			made = append(made, plans[i].ds...)
		}
		batch := storage.NewID()
		if !m.opt.DryRun {
			if made, err = m.store(tx, plans, batch); err != nil {
				return err
			}
		}
		if m.opt.DryRun || len(made) == 0 {
			return nil
		}
		return m.prove(tx, made, batch)
	})
	if err != nil {
		return err
	}
	for _, d := range made {
		m.res.Planned++
		if d.Reason == Asked {
			m.res.Asked++
		} else {
			m.res.Not[d.Reason]++
		}
		if m.opt.Decision != nil {
			m.opt.Decision(d)
		}
	}
	return nil
}

// prove puts a digest of a batch of decisions into the audit chain: whom we asked, and why not the others, cannot be
// changed unnoticed afterwards (Verify).
func (m *morning) prove(tx *storage.Tx, made []Decision, batch string) error {
	rows := slices.Clone(made)
	for i := range rows {
		rows[i].Probability = cmp.Or(rows[i].Probability, 1)
	}
	slices.SortFunc(rows, func(a, b Decision) int { return strings.Compare(a.RecordID, b.RecordID) })
	_, err := audit.Append(tx, audit.Entry{Stream: "survey/run/" + m.day.String(), Type: eventDecided, Actor: "system", Rule: m.cfg.Version, At: m.s.now(),
		Payload: map[string]any{"batch": batch, "n": len(rows), "digest": batchDigest(rows, m.day, m.cfg.Version)}})
	return err
}

// plan is what was decided about the records of one number.
type plan struct {
	records []Record
	ds      []Decision
	best    int // the record that is asked about; -1 none
}

// person decides about all records of one number.
func (m *morning) person(records []Record, known facts) plan {
	ds := make([]Decision, len(records))
	sensitive := false
	for i, r := range records {
		ds[i] = Decision{RecordID: r.ID, SourceID: r.SourceID, Class: r.Class, Unit: r.Unit, Masked: r.Phone.Masked()}
		ds[i].Reason, ds[i].Detail = m.eligible(r)
		if cl, _ := m.cfg.Class(r.Class); ds[i].Reason == Asked {
			var drawn bool
			if drawn, ds[i].Probability = m.sampled(cl, r); !drawn {
				ds[i].Reason = NotSampled
			}
		}
		sensitive = sensitive || ds[i].Reason == SensitiveCase
	}
	reason, detail := m.byPerson(records[0].phoneHash, known, sensitive)
	best := -1
	for i := range ds {
		switch {
		case ds[i].Reason != Asked:
		case reason != Asked:
			ds[i].Reason, ds[i].Detail = reason, detail
		case best < 0 || m.before(records[i], records[best]):
			best = i
		}
	}
	for i := range ds {
		if ds[i].Reason == Asked && i != best {
			ds[i].Reason = OtherService
		}
	}
	if best >= 0 {
		ds[best].AskID = storage.NewID()
		ds[best].Text = sms.Sign(m.s.Outbox.Signature, m.text(records[best]))
		cl, _ := m.cfg.Class(records[best].Class)
		ds[best].Remind = cl.Reminder.After
	}
	return plan{records, ds, best}
}

// store writes the decisions down and queues the texts, with as few statements as there can be. Decisions come first: who
// finds a record decided by another run has lost the person to it.
func (m *morning) store(tx *storage.Tx, plans []plan, batch string) (made []Decision, err error) {
	now := m.s.now()
	var all []Decision
	for _, p := range plans {
		all = append(all, p.ds...)
	}
	fresh, err := saveDecisions(tx, m.day, all, m.cfg.Version, batch, storage.At(now))
	if err != nil {
		return nil, fmt.Errorf("decide about records: %w", err)
	}
	var asked []plan
	for _, p := range plans {
		for _, d := range p.ds {
			if fresh[d.RecordID] {
				made = append(made, d)
			}
		}
		if p.best >= 0 && fresh[p.ds[p.best].RecordID] {
			asked = append(asked, p)
		}
	}
	if len(asked) == 0 {
		return made, nil
	}
	if err := m.ask(tx, asked, now); err != nil {
		return nil, fmt.Errorf("ask about records: %w", err)
	}
	return made, nil
}

// ask enters the persons, queues their texts and opens the questions.
func (m *morning) ask(tx *storage.Tx, asked []plan, now time.Time) error {
	due := m.s.Outbox.Next(now)
	people := make([]contact.Caller, len(asked))
	texts := make([]sms.Message, len(asked))
	for i, p := range asked {
		r := p.records[p.best]
		people[i] = contact.Caller{Phone: r.Phone, Name: r.person.Name}
		texts[i] = sms.Message{Key: Campaign(m.day) + ":" + r.phoneHash, Campaign: Campaign(m.day), Phone: r.Phone, Body: p.ds[p.best].Text, Priority: sms.Bulk,
			Extension: extensionOf(m.day), Due: due, NotAfter: due.Add(m.cfg.Validity)}
	}
	contacts, err := m.s.Book.EnsureAll(tx, people)
	if err != nil {
		return err
	}
	ids, _, err := m.s.Outbox.QueueAll(tx, texts)
	if err != nil {
		return err
	}
	rows := make([][]any, len(asked))
	for i, p := range asked {
		r := p.records[p.best]
		rows[i] = []any{p.ds[p.best].AskID, m.day, texts[i].Key, r.ID, r.Class, r.Unit, r.phoneHash, contacts[i], ids[i], "open", storage.At(now), workday.DayOf(now),
			storage.At(due.Add(m.cfg.ReplyWindow)), m.cfg.Version, r.Phone.Clear()[:3], texts[i].Extension, m.cfg.scaleOf(r.Class)}
	}
	_, err = tx.Insert(`INSERT INTO survey_ask (id, day, key, record_id, class, unit, phone_hash, contact_id, sms_id, state, asked_at, asked_day, closes_at, config, prefix, extension, scale)`, rows, ``)
	return err
}
