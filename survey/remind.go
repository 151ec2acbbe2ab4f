package survey

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"lianxin/audit"
	"lianxin/schedule"
	"lianxin/sms"
	"lianxin/storage"
	"lianxin/workday"
)

// Reminder says whether, when and how many of those who have not answered are reminded, once. Trials have found reminders
// by text to help little or not at all, so nobody is reminded unless a class says so, and with a share below 1 the others
// are the group that shows whether it helped.
type Reminder struct {
	After    time.Duration `yaml:"after"`    // after the text was given to the carrier; 0 is never
	Share    float64       `yaml:"share"`    // of the silent, drawn at random; 0 and 1 are all
	Template string        `yaml:"template"` // key of Config.Templates; "remind" when empty
}

// remindText is the template of reminders that name none.
const remindText = "remind"

// answerTime is how much of the reply window a reminder must leave.
const answerTime = 2 * time.Hour

// check reads a class's reminder and fills in what it does not say.
func (r *Reminder) check(c *Config) error {
	switch {
	case r.After == 0 && r.Share == 0 && r.Template == "":
		return nil
	case r.After < 24*time.Hour:
		return errors.New("reminder: after must be 24h or more")
	case r.After > c.ReplyWindow-12*time.Hour:
		return fmt.Errorf("reminder: after must leave 12h of the reply window of %s", c.ReplyWindow)
	case r.Share < 0 || r.Share > 1:
		return errors.New("reminder: share is from 0 to 1")
	}
	r.Template, r.Share = cmp.Or(r.Template, remindText), cmp.Or(r.Share, 1)
	if c.Templates[r.Template] == "" {
		return fmt.Errorf("reminder: no template %q", r.Template)
	}
	return nil
}

// Reminded is the decision to remind somebody; the other decisions about a silent question are reasons of the morning, and
// NotSampled is the group that reminders are compared with.
const Reminded Reason = "reminded"

// RemindOptions say how the silent are reminded.
type RemindOptions struct {
	DryRun   bool            // decide, tell, and keep nothing; the hours do not matter
	Decision func(Reminding) // called with each decision; may be nil
}

// Reminding is what was decided about one question that stayed without an answer.
type Reminding struct {
	AskID    string
	Class    string
	Day      workday.Day // of the service
	SourceID string
	Masked   string
	Reason   Reason
	Detail   string
	Text     string // of Reminded, with the signature

	smsID, phoneHash string
}

// String is a line for the terminal.
func (r Reminding) String() string {
	return Decision{Class: r.Class, SourceID: r.SourceID, Masked: r.Masked, Reason: r.Reason, Detail: r.Detail}.String()
}

// RemindResult is what Remind came to.
type RemindResult struct {
	Reminded int
	Not      map[Reason]int
	Recalled int // taken back before a carrier had them
}

// RemindJob looks for who is to be reminded, at spec. What a node does not come to, the next run does: everything is
// decided from the rows.
func (s *Survey) RemindJob(spec string) schedule.Job {
	return schedule.Job{Name: "survey.reminders", Spec: spec, Window: 10 * time.Minute, Run: func(ctx context.Context, _ time.Time) error {
		res, err := s.Remind(ctx, RemindOptions{})
		if res.Reminded > 0 || res.Recalled > 0 {
			s.log().Info("reminders of the survey", "reminded", res.Reminded, "recalled", res.Recalled)
		}
		return err
	}}
}

// Remind reminds those of classes with a reminder who were given a text so long ago and have not answered: never twice,
// nobody who has opted out, is to be left alone, or is asked by telephone instead, and only while texts may go out, the
// question is open, and there is time left to answer. Decision and text are one commit. Reminders that wait in the outbox
// for somebody who has answered or opted out meanwhile are taken back.
func (s *Survey) Remind(ctx context.Context, opt RemindOptions) (RemindResult, error) {
	res := RemindResult{Not: map[Reason]int{}}
	fail := func(err error) (RemindResult, error) { return res, fmt.Errorf("remind the silent: %w", err) }
	if !opt.DryRun {
		n, err := s.recallUnwanted(ctx)
		if err != nil {
			return fail(err)
		}
		res.Recalled = n
		if now := s.now(); !s.Outbox.Next(now).Equal(now) {
			return res, nil
		}
	}
	var cfg *Config
	m := &morning{s: s, res: &RunResult{}}
	err := errors.Join(s.DB.View(ctx, func(tx *storage.Tx) (err error) { cfg, err = s.inForce(tx); return err }), m.load(ctx))
	if err != nil {
		return fail(err)
	}
	m.cfg = cfg
	for _, cl := range cfg.Classes {
		if cl.Reminder.After == 0 || cl.Disabled {
			continue
		}
		ids, err := s.due(ctx, cl)
		if err != nil {
			return fail(err)
		}
		for some := range slices.Chunk(ids, 200) {
			made, err := s.remindSome(ctx, m, cl, some, opt.DryRun)
			if err != nil {
				return fail(fmt.Errorf("class %s: %w", cl.Code, err))
			}
			for _, d := range made {
				if d.Reason == Reminded {
					res.Reminded++
				} else {
					res.Not[d.Reason]++
				}
				if opt.Decision != nil {
					opt.Decision(d)
				}
			}
		}
	}
	return res, nil
}

// due are the questions of a class that have stayed without an answer for so long, by what can be seen from outside.
// (A plus before a column keeps it from being looked for by its index: what is still open is the short list.)
func (s *Survey) due(ctx context.Context, cl Class) (ids []string, err error) {
	now := s.now()
	err = s.DB.View(ctx, func(tx *storage.Tx) (err error) {
		ids, err = storage.All(tx, storage.Value[string], `SELECT k.id FROM survey_ask k JOIN sms m ON m.id = k.sms_id
			WHERE k.closes_at > $1 AND k.replied_at IS NULL AND k.state = 'open' AND +k.asked_at <= $2 AND k.class = $3 AND k.via = 'sms'
				AND m.state IN ('accepted', 'delivered') AND COALESCE(m.accepted_at, m.tried_at) <= $2
				AND NOT EXISTS (SELECT 1 FROM survey_reminder r WHERE r.ask_id = k.id) AND NOT EXISTS (SELECT 1 FROM survey_phone p WHERE p.record_id = k.record_id AND p.state <> 'dropped')`,
			storage.At(now), storage.At(now.Add(-cl.Reminder.After)), cl.Code)
		return err
	})
	slices.Sort(ids)
	return ids, err
}

// remindSome decides about some silent questions in one commit.
func (s *Survey) remindSome(ctx context.Context, m *morning, cl Class, ids []string, dry bool) (made []Reminding, err error) {
	in := s.DB.Update
	if dry {
		in = s.DB.View
	}
	err = in(ctx, func(tx *storage.Tx) error {
		made = nil
		asks, err := s.silent(tx, ids, dry)
		if err != nil || len(asks) == 0 {
			return err
		}
		texts, err := s.decideReminders(tx, m, cl, asks, &made)
		if err != nil || dry || len(made) == 0 {
			return err
		}
		return s.keepReminders(tx, m.cfg.Version, made, texts)
	})
	return made, err
}

// silent locks questions and returns those of them that are still without an answer and a decision, and whose number has
// sent nothing that waits to be read.
func (s *Survey) silent(tx *storage.Tx, ids []string, dry bool) ([]Ask, error) {
	lock := tx.ForUpdate()
	if dry {
		lock = ""
	}
	list, args := storage.In(nil, ids)
	asks, err := storage.All(tx, scanAsk, `SELECT `+askColumns+` FROM survey_ask WHERE id IN (`+list+`) AND replied_at IS NULL AND rating IS NULL ORDER BY id `+lock, args...)
	if err != nil {
		return nil, err
	}
	done, err := storage.All(tx, storage.Value[string], `SELECT ask_id FROM survey_reminder WHERE ask_id IN (`+list+`)`, args...) // a statement of its own: it sees what was committed while we waited
	if err != nil {
		return nil, err
	}
	unread, err := storage.All(tx, storage.Value[string], `SELECT DISTINCT i.phone_hash FROM sms_inbound_work w JOIN sms_inbound i ON i.id = w.inbound_id WHERE w.done_at IS NULL`)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(asks, func(a Ask) bool { return slices.Contains(done, a.ID) || slices.Contains(unread, a.phoneHash) }), nil
}

// decideReminders decides about silent questions and makes the texts of those who are reminded, in the order of made. Of a
// campaign that somebody has stopped nothing is decided: it waits, until the questions close.
func (s *Survey) decideReminders(tx *storage.Tx, m *morning, cl Class, asks []Ask, made *[]Reminding) ([]sms.Message, error) {
	now := s.now()
	due := s.Outbox.Next(now)
	persons := make([][]Record, len(asks))
	stopped := map[workday.Day]bool{}
	for i, a := range asks {
		r, err := s.Record(tx, a.RecordID)
		if err != nil {
			return nil, err
		}
		persons[i] = []Record{r}
		if _, known := stopped[a.Day]; !known {
			for _, name := range []string{Campaign(a.Day), sms.Everything} {
				c, err := sms.CampaignOf(tx, name)
				if err != nil {
					return nil, err
				}
				stopped[a.Day] = stopped[a.Day] || c.State != "running"
			}
		}
	}
	hashes := make([]string, len(asks))
	for i, a := range asks {
		hashes[i] = a.phoneHash
	}
	known, err := m.wishes(tx, hashes)
	if err != nil {
		return nil, err
	}
	var texts []sms.Message
	for i, a := range asks {
		if stopped[a.Day] {
			continue
		}
		r := persons[i][0]
		d := Reminding{AskID: a.ID, Class: a.Class, Day: r.ServiceDay, SourceID: r.SourceID, Masked: r.Phone.Masked(), phoneHash: a.phoneHash}
		d.Reason, d.Detail = m.eligible(r)
		if d.Reason == TooOld { // it was asked in time
			d.Reason, d.Detail = Asked, ""
		}
		if d.Reason == Asked && r.phoneHash != a.phoneHash {
			d.Reason = BadNumber // the source has corrected the number since
		}
		if d.Reason == Asked {
			d.Reason, d.Detail = m.byWishes(a.phoneHash, known)
		}
		switch {
		case d.Reason != Asked:
		case due.After(a.ClosesAt.Add(-answerTime)):
			d.Reason = TooOld
		case lot(a.ID) >= cl.Reminder.Share:
			d.Reason = NotSampled
		default:
			d.Reason = Reminded
			d.Text = sms.Sign(s.Outbox.Signature, m.cfg.text(cl.Reminder.Template, m.unitName(r.Unit), r.ServiceDay, cl.Name, a.Scale()))
			texts = append(texts, sms.Message{Key: "survey:remind:" + a.ID, Campaign: Campaign(a.Day), Phone: r.Phone, Body: d.Text, Priority: sms.Bulk, Extension: a.Extension,
				Due: due, NotAfter: a.ClosesAt.Add(-answerTime)})
		}
		*made = append(*made, d)
	}
	return texts, nil
}

// lot is where a question stands in the draw, from 0 up to 1. Its id was made at random before anybody could know the answer,
// so that anybody can draw again and nobody could have steered it.
func lot(askID string) float64 {
	sum := sha256.Sum256([]byte("reminder/" + askID))
	return float64(binary.BigEndian.Uint64(sum[:8])>>11) / (1 << 53)
}

// keepReminders queues the texts, writes the decisions down and puts their digest into the audit chain.
func (s *Survey) keepReminders(tx *storage.Tx, version string, made []Reminding, texts []sms.Message) error {
	ids, _, err := s.Outbox.QueueAll(tx, texts)
	if err != nil {
		return err
	}
	now, batch := s.now(), storage.NewID()
	rows := make([][]any, len(made))
	for i := range made {
		d, day := &made[i], ""
		if d.Reason == Reminded {
			d.smsID, ids, day = ids[0], ids[1:], workday.DayOf(now).String()
		}
		rows[i] = []any{d.AskID, string(d.Reason), d.Detail, d.smsID, day, version, storage.At(now), batch}
	}
	if _, err := tx.Insert(`INSERT INTO survey_reminder (ask_id, reason, detail, sms_id, sent_day, config, decided_at, batch)`, rows, ``); err != nil {
		return err
	}
	_, err = audit.Append(tx, audit.Entry{Stream: remindStream + workday.DayOf(now).String(), Type: eventDecided, Actor: "system", Rule: version, At: now,
		Payload: map[string]any{"batch": batch, "n": len(made), "digest": remindDigest(made, version)}})
	return err
}

// recall takes the reminder of a question back when no carrier has it yet.
func (s *Survey) recall(tx *storage.Tx, askID, why string) (bool, error) {
	ids, err := storage.All(tx, storage.Value[string], `SELECT sms_id FROM survey_reminder WHERE ask_id = $1 AND sms_id <> '' AND recalled_at IS NULL`, askID)
	if err != nil || len(ids) == 0 {
		return false, err
	}
	taken, err := s.Outbox.Cancel(tx, ids[0], why)
	if err != nil || !taken {
		return false, err
	}
	_, err = tx.Exec(`UPDATE survey_reminder SET recalled_at = $2, sent_day = '' WHERE ask_id = $1`, askID, storage.At(s.now()))
	return err == nil, err
}

// recallUnwanted takes back the reminders that wait in the outbox for somebody who does not want to hear from us any more,
// or has answered: a campaign that was paused can keep them there for days.
func (s *Survey) recallUnwanted(ctx context.Context) (n int, err error) {
	err = s.DB.Update(ctx, func(tx *storage.Tx) error {
		n = 0
		asks, err := storage.All(tx, scanAsk, `SELECT `+askColumns+` FROM survey_ask WHERE id IN (SELECT r.ask_id FROM survey_reminder r JOIN sms m ON m.id = r.sms_id WHERE m.state = 'queued') ORDER BY id `+tx.ForUpdate())
		if err != nil {
			return err
		}
		for part := range slices.Chunk(asks, 200) {
			hashes := make([]string, len(part))
			for i, a := range part {
				hashes[i] = a.phoneHash
			}
			m := &morning{s: s, cfg: s.config()}
			known, err := m.wishes(tx, hashes)
			if err != nil {
				return err
			}
			for _, a := range part {
				why := ""
				if reason, _ := m.byWishes(a.phoneHash, known); reason != Asked {
					why = string(reason)
				} else if !a.RepliedAt.IsZero() {
					why = "replied"
				}
				if why == "" {
					continue
				}
				taken, err := s.recall(tx, a.ID, why)
				if err != nil {
					return err
				}
				if taken {
					n++
				}
			}
		}
		return nil
	})
	return n, err
}

const remindStream = "survey/remind/"

// remindDigest covers the decisions of a batch.
func remindDigest(made []Reminding, version string) string {
	rows := make([]Decision, len(made))
	for i, d := range made {
		rows[i] = Decision{RecordID: d.AskID, Reason: d.Reason, Detail: d.Detail, AskID: d.smsID, Probability: 1}
	}
	slices.SortFunc(rows, func(a, b Decision) int { return strings.Compare(a.RecordID, b.RecordID) })
	return batchDigest(rows, 0, version)
}
