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
		made = nil
		batch := storage.NewID()
		for _, records := range persons {
			ds, err := m.person(tx, records, batch)
			if err != nil {
				return err
			}
			made = append(made, ds...)
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

// person decides about all records of one number, stores the decisions, and asks.
func (m *morning) person(tx *storage.Tx, records []Record, batch string) ([]Decision, error) {
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
	phone := records[0].Phone
	reason, detail, err := m.byPerson(tx, phone, sensitive)
	if err != nil {
		return nil, err
	}
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
	}
	if m.opt.DryRun {
		return ds, nil
	}
	return m.store(tx, records, ds, best, batch)
}

// store writes the decisions down and queues the text. Decisions come first: who finds a record decided by another run
// has lost the person to it.
func (m *morning) store(tx *storage.Tx, records []Record, ds []Decision, best int, batch string) ([]Decision, error) {
	now := m.s.now()
	var made []Decision
	for i, d := range ds {
		first, err := saveDecision(tx, m.day, d, m.cfg.Version, batch, storage.At(now))
		if err != nil {
			return nil, fmt.Errorf("decide about record %s: %w", d.RecordID, err)
		}
		if first {
			made = append(made, d)
		} else if i == best {
			best = -1
		}
	}
	if best < 0 {
		return made, nil
	}
	r, d := records[best], ds[best]
	who, err := m.s.Book.Ensure(tx, r.Phone, r.person.Name)
	if err != nil {
		return nil, fmt.Errorf("ask about record %s: %w", r.ID, err)
	}
	key := Campaign(m.day) + ":" + r.phoneHash
	due := m.s.Outbox.Next(now)
	id, _, err := m.s.Outbox.Queue(tx, sms.Message{Key: key, Campaign: Campaign(m.day), Phone: r.Phone, Body: d.Text, Priority: sms.Bulk, Extension: extensionOf(m.day),
		Due: due, NotAfter: due.Add(m.cfg.Validity)})
	if err != nil {
		return nil, fmt.Errorf("ask about record %s: %w", r.ID, err)
	}
	if _, err := tx.Exec(`INSERT INTO survey_ask (id, day, key, record_id, class, unit, phone_hash, contact_id, sms_id, state, asked_at, asked_day, closes_at, config, prefix, extension)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'open', $10, $11, $12, $13, $14, $15)`,
		d.AskID, m.day, key, r.ID, r.Class, r.Unit, r.phoneHash, who.ID, id, storage.At(now), workday.DayOf(now),
		storage.At(due.Add(m.cfg.ReplyWindow)), m.cfg.Version, r.Phone.Clear()[:3], extensionOf(m.day)); err != nil {
		return nil, fmt.Errorf("ask about record %s: %w", r.ID, err)
	}
	return made, nil
}

// before puts the service that is asked about first: the class with the higher priority, then the later service.
func (m *morning) before(a, b Record) bool {
	ca, _ := m.cfg.Class(a.Class)
	cb, _ := m.cfg.Class(b.Class)
	if ca.Priority != cb.Priority {
		return ca.Priority > cb.Priority
	}
	return a.ServiceAt.After(b.ServiceAt)
}

func (m *morning) text(r Record) string {
	u := m.units[r.Unit]
	name := u.Short
	if name == "" {
		name = u.Name
	}
	cl, _ := m.cfg.Class(r.Class)
	return m.cfg.Text(cl, name, r.ServiceDay)
}

// eligible decides what a record alone can tell.
func (m *morning) eligible(r Record) (Reason, string) {
	cl, known := m.cfg.Class(r.Class)
	if !known || cl.Disabled {
		return ClassDisabled, ""
	}
	if int(workday.DayOf(m.s.now())-r.ServiceDay) > m.cfg.LookbackDays {
		return TooOld, ""
	}
	if _, ok := m.units[r.Unit]; !ok {
		return NoUnit, ""
	}
	if group := m.cfg.sensitive(r.Mark, r.Matter); group != "" {
		return SensitiveCase, group // before the number: a sensitive record shields the person's others
	}
	for _, word := range cl.Exclude {
		if strings.Contains(r.Matter, word) {
			return SensitiveCase, "matter"
		}
	}
	switch r.PhoneError {
	case "":
	case contact.ErrFixedLine.Code:
		return FixedLine, ""
	case contact.ErrShortNumber.Code, contact.ErrServiceNumber.Code:
		return ShortNumber, r.PhoneError
	default:
		return BadNumber, r.PhoneError
	}
	if m.minor(r) {
		return Minor, ""
	}
	return Asked, ""
}

// minor reports whether somebody was under age on the day of the service; on the birthday itself one is of age. Who has
// no date of birth counts as grown up.
func (m *morning) minor(r Record) bool {
	born, err := workday.ParseDay(r.person.Born)
	if err != nil {
		return false
	}
	y, mon, d := born.Date()
	return r.ServiceDay < workday.DateOf(y+m.cfg.Adult, mon, d)
}

// byPerson decides what the number tells.
func (m *morning) byPerson(tx *storage.Tx, phone contact.Phone, sensitive bool) (Reason, string, error) {
	if phone.IsZero() {
		return Asked, "", nil // eligible has refused it
	}
	if sensitive {
		return SensitiveOther, "", nil
	}
	shield, shielded, err := m.s.Book.Shielded(tx, phone, contact.ScopeSurvey)
	if err != nil {
		return "", "", err
	}
	if shielded && slices.ContainsFunc(m.cfg.StaffShields, func(w string) bool { return strings.Contains(shield.Reason, w) }) {
		return StaffPhone, "", nil
	}
	out, err := m.s.Book.OptedOut(tx, phone, contact.ScopeSurvey)
	if err != nil {
		return "", "", err
	}
	if out {
		return OptedOut, "", nil
	}
	if shielded {
		return DoNotDisturb, "", nil
	}
	hash := m.s.Book.Vault.HashPhone(phone)
	if rests, err := m.s.rests(tx, hash, m.s.now()); err != nil {
		return "", "", err
	} else if rests != "" {
		return NumberRests, rests, nil
	}
	return m.byHistory(tx, hash)
}

// byHistory looks at earlier questions to the number, after closing the one whose window is over.
func (m *morning) byHistory(tx *storage.Tx, hash string) (Reason, string, error) {
	now := m.s.now()
	type earlier struct {
		day   workday.Day
		asked workday.Day
		open  bool
		over  bool
	}
	all, err := storage.All(tx, func(r storage.Row) (e earlier, err error) { return e, r.Scan(&e.day, &e.asked, &e.open, &e.over) },
		`SELECT day, asked_day, state = 'open' AND closes_at > $2, state = 'open' AND closes_at <= $2 FROM survey_ask WHERE phone_hash = $1 ORDER BY asked_at DESC`,
		hash, storage.At(now))
	if err != nil {
		return "", "", fmt.Errorf("earlier questions: %w", err)
	}
	reason := Asked
	for _, e := range all {
		if e.over && !m.opt.DryRun {
			if _, err := tx.Exec(`UPDATE survey_ask SET state = 'closed' WHERE phone_hash = $1 AND state = 'open' AND closes_at <= $2`, hash, storage.At(now)); err != nil {
				return "", "", fmt.Errorf("close questions: %w", err)
			}
		}
		switch {
		case e.day == m.day:
			return OtherService, "", nil
		case e.open:
			reason = OpenSurvey
		case int(workday.DayOf(now)-e.asked) < m.cfg.FrequencyDays && reason == Asked:
			reason = AskedRecently
		}
	}
	return reason, "", nil
}
