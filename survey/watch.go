package survey

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"lianxin/contact"
	"lianxin/schedule"
	"lianxin/sms"
	"lianxin/storage"
	"lianxin/ticket"
)

// Watching says when silence is a fault. In 2024 residents of another city could not send their 3 (不满意) for a day, and
// nobody at the centre noticed: a way back that is broken looks like a quiet day.
type Watching struct {
	Hours       string        `yaml:"hours"`        // when silence is judged: "09:00-21:00"
	Least       int           `yaml:"least"`        // texts that must have gone out before anything is said
	Within      time.Duration `yaml:"within"`       // replies are counted that come so soon after the text
	Baseline    int           `yaml:"baseline"`     // days that today is compared with
	Deviations  float64       `yaml:"deviations"`   // how far below its baseline a reply rate has to be, in standard deviations
	Canary      []string      `yaml:"canary"`       // our own handsets, which send us a text from time to time
	CanaryEvery time.Duration `yaml:"canary_every"` // how often we should hear from each
}

func (w Watching) check() error {
	if _, err := sms.ParseWindow(w.Hours); err != nil {
		return err
	}
	if w.Least < 1 || w.Within <= 0 || w.Baseline < 1 || w.Deviations <= 0 || len(w.Canary) > 0 && w.CanaryEvery <= 0 {
		return fmt.Errorf("least, within, baseline, deviations and canary_every must be more than nothing")
	}
	for _, n := range w.Canary {
		if _, err := contact.ParseMobile(n); err != nil {
			return fmt.Errorf("canary: %w", err)
		}
	}
	return nil
}

// silence is the rule of the alarms: silent failure.
const silence = "W16"

// WatchJob runs Watch at spec (five cron fields, such as "*/10 * * * *").
func (s *Survey) WatchJob(spec string) schedule.Job {
	return schedule.Job{Name: "survey.watch", Spec: spec, Window: 5 * time.Minute, Run: func(ctx context.Context, _ time.Time) error {
		raised, err := s.Watch(ctx)
		for _, a := range raised {
			s.log().Warn("silent failure", "subject", a.Subject, "evidence", a.Evidence)
		}
		return err
	}}
}

// Watch looks for failures that nobody reports: no replies at all, fewer replies than usual through one carrier or from
// one range of numbers, receipts that have stopped, a canary that is not heard. It raises an alert for each (rule W16),
// unless one is open that says the same, and returns those that are new.
func (s *Survey) Watch(ctx context.Context) ([]ticket.Alert, error) {
	now := s.now()
	hours, err := sms.ParseWindow(s.config().Watch.Hours)
	if err != nil {
		return nil, fmt.Errorf("watch the replies: %w", err)
	}
	if !hours.Open(now) {
		return nil, nil
	}
	var found []ticket.Alert
	err = s.DB.View(ctx, func(tx *storage.Tx) error {
		for _, look := range []func(*storage.Tx, time.Time) ([]ticket.Alert, error){s.noReplies, s.fewReplies, s.noReceipts, s.noCanary} {
			more, err := look(tx, now)
			if err != nil {
				return err
			}
			found = append(found, more...)
		}
		return nil
	})
	if err != nil || len(found) == 0 {
		return nil, err
	}
	var fresh []ticket.Alert
	err = s.DB.Update(ctx, func(tx *storage.Tx) error {
		fresh = nil
		for _, a := range found {
			a.Rule, a.By = silence, ticket.System
			a.Key = fmt.Sprintf("%s/%s/%s", silence, a.Subject, now.UTC().Format("2006-01-02T15"))
			got, err := s.Office.RaiseStanding(tx, a)
			if err != nil {
				return err
			}
			if !got.Existing {
				fresh = append(fresh, got)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("watch the replies: %w", err)
	}
	return fresh, nil
}

// noReplies: many texts, and not one reply since the first of them.
func (s *Survey) noReplies(tx *storage.Tx, now time.Time) ([]ticket.Alert, error) {
	w := s.config().Watch
	type sent struct {
		n     int
		first storage.Time
	}
	v, err := storage.One(tx, func(r storage.Row) (v sent, err error) { return v, r.Scan(&v.n, &v.first) },
		`SELECT COUNT(*), MIN(m.accepted_at) FROM survey_ask k JOIN sms m ON m.id = k.sms_id
		WHERE k.asked_at >= $1 AND m.accepted_at >= $2 AND m.accepted_at <= $3 AND m.state IN ('accepted', 'delivered')`,
		storage.At(now.Add(-48*time.Hour)), storage.At(now.Add(-24*time.Hour)), storage.At(now.Add(-w.Within)))
	if err != nil || v.n < w.Least {
		return nil, err
	}
	replies, err := storage.One(tx, storage.Value[int], `SELECT COUNT(*) FROM sms_inbound WHERE received_at >= $1`, v.first)
	if err != nil || replies > 0 {
		return nil, err
	}
	return []ticket.Alert{{Level: ticket.Red, Subject: "replies", Title: "短信上行可能中断：没有收到任何回复",
		Evidence: fmt.Sprintf("近24小时已发出%d条访评短信，第一条发出以来没有收到任何回复", v.n)}}, nil
}

// lane is a carrier, or a range of numbers reached through it.
type lane struct{ carrier, prefix string }

// Way is how many of the texts of a lane were answered soon: now, and as its baseline.
type Way struct {
	Carrier  string
	Prefix   string // "" for all numbers
	Sent     int
	Answered int
	WasSent  int
	WasAns   int
}

// Rate is the share answered now and before; 0 of none.
func (w Way) Rate() (now, before float64) {
	return float64(w.Answered) / float64(max(w.Sent, 1)), float64(w.WasAns) / float64(max(w.WasSent, 1))
}

// below is how many standard deviations the rate lies below its baseline.
func (w Way) below() float64 {
	now, before := w.Rate()
	pool := float64(w.Answered+w.WasAns) / float64(w.Sent+w.WasSent)
	dev := math.Sqrt(pool * (1 - pool) * (1/float64(w.Sent) + 1/float64(w.WasSent)))
	if dev == 0 {
		return 0
	}
	return (before - now) / dev
}

// Ways returns how residents answer, by carrier and by range of numbers: the texts of the last 24 hours that have had time
// to be answered, against those of the days before.
func (s *Survey) Ways(tx *storage.Tx) ([]Way, error) {
	w, now := s.config().Watch, s.now()
	end := now.Add(-w.Within)
	start := end.Add(-24 * time.Hour)
	all, err := storage.All(tx, func(r storage.Row) (v Way, err error) {
		return v, r.Scan(&v.Carrier, &v.Prefix, &v.Sent, &v.Answered, &v.WasSent, &v.WasAns)
	}, `SELECT m.carrier, k.prefix,
			SUM(CASE WHEN m.accepted_at >= $2 THEN 1 ELSE 0 END),
			SUM(CASE WHEN m.accepted_at >= $2 AND k.replied_at <= m.accepted_at + $4 THEN 1 ELSE 0 END),
			SUM(CASE WHEN m.accepted_at < $2 THEN 1 ELSE 0 END),
			SUM(CASE WHEN m.accepted_at < $2 AND k.replied_at <= m.accepted_at + $4 THEN 1 ELSE 0 END)
		FROM survey_ask k JOIN sms m ON m.id = k.sms_id
		WHERE k.asked_at >= $1 AND m.accepted_at <= $3 AND m.state IN ('accepted', 'delivered')
		GROUP BY m.carrier, k.prefix`,
		storage.At(start.AddDate(0, 0, -w.Baseline)), storage.At(start), storage.At(end), w.Within.Milliseconds())
	if err != nil {
		return nil, fmt.Errorf("reply rates: %w", err)
	}
	sums := map[lane]Way{}
	for _, v := range all {
		lanes := []lane{{v.Carrier, ""}}
		if v.Prefix != "" { // those asked before prefixes were kept are only in the sum
			lanes = append(lanes, lane{v.Carrier, v.Prefix})
		}
		for _, l := range lanes {
			sum := sums[l]
			sums[l] = Way{l.carrier, l.prefix, sum.Sent + v.Sent, sum.Answered + v.Answered, sum.WasSent + v.WasSent, sum.WasAns + v.WasAns}
		}
	}
	out := make([]Way, 0, len(sums))
	for _, v := range sums {
		out = append(out, v)
	}
	slices.SortFunc(out, func(a, b Way) int { return cmp.Or(cmp.Compare(a.Carrier, b.Carrier), cmp.Compare(a.Prefix, b.Prefix)) })
	return out, nil
}

// fewReplies: a carrier or a range of numbers answers much less than it uses to, as when the way back of ported numbers
// is broken while everybody else's works.
func (s *Survey) fewReplies(tx *storage.Tx, _ time.Time) ([]ticket.Alert, error) {
	w := s.config().Watch
	ways, err := s.Ways(tx)
	if err != nil {
		return nil, err
	}
	var out []ticket.Alert
	for _, v := range ways {
		if v.Sent < w.Least || v.WasSent < 3*w.Least || v.below() < w.Deviations {
			continue
		}
		subject, what := "carrier/"+v.Carrier, "通道"+v.Carrier
		if v.Prefix != "" {
			subject, what = subject+"/"+v.Prefix, what+"的"+v.Prefix+"号段"
		}
		now, before := v.Rate()
		out = append(out, ticket.Alert{Level: ticket.Orange, Subject: subject, Title: "短信上行异常：" + what + "回复率骤降",
			Evidence: fmt.Sprintf("近24小时发送%d条，%s内回复%d条（%.1f%%）；此前%d日发送%d条，回复%d条（%.1f%%）", v.Sent, w.Within, v.Answered, 100*now,
				w.Baseline, v.WasSent, v.WasAns, 100*before)})
	}
	return out, nil
}

// noReceipts: a carrier has stopped to tell what becomes of texts.
func (s *Survey) noReceipts(tx *storage.Tx, now time.Time) ([]ticket.Alert, error) {
	w := s.config().Watch
	type line struct {
		carrier                string
		n, open, wasN, wasOpen int
	}
	end := now.Add(-w.Within)
	start := end.Add(-24 * time.Hour)
	all, err := storage.All(tx, func(r storage.Row) (v line, err error) {
		return v, r.Scan(&v.carrier, &v.n, &v.open, &v.wasN, &v.wasOpen)
	}, `SELECT carrier, SUM(CASE WHEN accepted_at >= $2 THEN 1 ELSE 0 END), SUM(CASE WHEN accepted_at >= $2 AND done_at IS NULL THEN 1 ELSE 0 END),
			SUM(CASE WHEN accepted_at < $2 THEN 1 ELSE 0 END), SUM(CASE WHEN accepted_at < $2 AND done_at IS NULL THEN 1 ELSE 0 END)
		FROM sms WHERE created_at >= $1 AND accepted_at <= $3 GROUP BY carrier`,
		storage.At(start.AddDate(0, 0, -7)), storage.At(start), storage.At(end))
	if err != nil {
		return nil, fmt.Errorf("missing receipts: %w", err)
	}
	var out []ticket.Alert
	for _, v := range all {
		share := float64(v.open) / float64(max(v.n, 1))
		before := float64(v.wasOpen) / float64(max(v.wasN, 1))
		if v.n < w.Least || share < 0.5 || v.wasN >= w.Least && share < before+0.3 {
			continue
		}
		out = append(out, ticket.Alert{Level: ticket.Orange, Subject: "receipts/" + v.carrier, Title: "短信回执缺失：通道" + v.carrier,
			Evidence: fmt.Sprintf("近24小时提交%d条，%d条没有回执（%.0f%%）", v.n, v.open, 100*share)})
	}
	return out, nil
}

// noCanary: one of our own handsets has written, or should have, and nothing came.
func (s *Survey) noCanary(tx *storage.Tx, now time.Time) ([]ticket.Alert, error) {
	w := s.config().Watch
	var out []ticket.Alert
	for i, n := range w.Canary {
		p, err := contact.ParseMobile(n)
		if err != nil {
			return nil, fmt.Errorf("canary: %w", err)
		}
		heard, err := storage.One(tx, storage.Value[int], `SELECT COUNT(*) FROM sms_inbound WHERE phone_hash = $1 AND received_at >= $2`,
			s.Book.Vault.HashPhone(p), storage.At(now.Add(-w.CanaryEvery)))
		if err != nil {
			return nil, fmt.Errorf("canary: %w", err)
		}
		if heard == 0 {
			out = append(out, ticket.Alert{Level: ticket.Red, Subject: fmt.Sprintf("canary/%d", i+1), Title: "短信上行探测失败",
				Evidence: fmt.Sprintf("探测手机%s超过%s没有短信到达", p.Masked(), w.CanaryEvery)})
		}
	}
	return out, nil
}

// canary reports whether a number is one of our own handsets: its texts prove the way, and mean nothing.
func (s *Survey) canary(p contact.Phone) bool {
	return slices.ContainsFunc(s.config().Watch.Canary, func(n string) bool {
		q, err := contact.ParseMobile(n)
		return err == nil && q == p
	})
}
