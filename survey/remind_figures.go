package survey

import (
	"fmt"

	"lianxin/storage"
	"lianxin/workday"
)

// Silents are people who had not answered when it was decided whether to remind them, and what became of them afterwards.
type Silents struct {
	N         int // of those who are reminded: to whom a reminder was queued and not taken back
	Delivered int // reminders that arrived; of those who are not reminded: 0
	Failed    int // reminders that did not
	Replied   int // answered after the decision
	Rated     int
	Unhappy   int // rated 4 or 5
}

// Share is the part that answered after all, 0 of none.
func (s Silents) Share() float64 {
	if s.N == 0 {
		return 0
	}
	return float64(s.Replied) / float64(s.N)
}

// Interval is Wilson's 95 % interval around Share.
func (s Silents) Interval() [2]float64 { return Wilson(s.Share(), s.N) }

// ReminderRow is what reminders came to, in one class or in all: those reminded beside those whom the draw left out. Of a
// class that reminds all of the silent there is nobody to compare with.
type ReminderRow struct {
	Key, Name string
	Sent      int // questions that were texted
	Replied   int // of them answered, in all
	Reminded  Silents
	Control   Silents
}

// Before is how many answered without having been reminded.
func (r ReminderRow) Before() int { return r.Replied - r.Reminded.Replied }

// With is the reply rate with what came after reminders, Without the one without it.
func (r ReminderRow) With() float64 { return ratio(r.Replied, r.Sent) }

// Without is With without the answers that came after a reminder.
func (r ReminderRow) Without() float64 { return ratio(r.Before(), r.Sent) }

func ratio(n, of int) float64 {
	if of == 0 {
		return 0
	}
	return float64(n) / float64(of)
}

// reminders counts what reminders of the questions of some days came to, by class; none where nobody was reminded. rows
// are the figures by class.
func (s *Survey) reminders(tx *storage.Tx, first, last workday.Day, rows []Row) (whole ReminderRow, classes []ReminderRow, err error) {
	type count struct {
		class             string
		reminded, replied bool
		delivered, failed bool
		rating, n         int
	}
	counts, err := storage.All(tx, func(r storage.Row) (c count, err error) {
		return c, r.Scan(&c.class, &c.reminded, &c.delivered, &c.failed, &c.replied, &c.rating, &c.n)
	}, `SELECT k.class, r.reason = 'reminded', COALESCE(m.state, '') = 'delivered', COALESCE(m.state, '') IN ('failed', 'expired'), k.replied_at IS NOT NULL, COALESCE(k.rating, 0), COUNT(*)
		FROM survey_reminder r JOIN survey_ask k ON k.id = r.ask_id LEFT JOIN sms m ON m.id = r.sms_id
		WHERE k.day >= $1 AND k.day <= $2 AND r.reason IN ('reminded', 'not_sampled') AND r.recalled_at IS NULL GROUP BY 1, 2, 3, 4, 5, 6`, first, last)
	if err != nil || len(counts) == 0 {
		return whole, nil, err
	}
	whole.Name = "合计"
	for _, row := range rows {
		c := ReminderRow{Key: row.Key, Name: row.Name, Sent: row.Count[Sent]}
		any := false
		for _, n := range counts {
			if n.class != row.Key {
				continue
			}
			any = true
			group := &c.Control
			if n.reminded {
				group = &c.Reminded
			}
			group.add(n.n, n.delivered, n.failed, n.replied, n.rating)
		}
		if !any {
			continue
		}
		c.Replied = row.texted
		classes = append(classes, c)
		whole.Sent, whole.Replied = whole.Sent+c.Sent, whole.Replied+c.Replied
		whole.Reminded, whole.Control = whole.Reminded.plus(c.Reminded), whole.Control.plus(c.Control)
	}
	if len(classes) == 1 {
		whole.Key, whole.Name = classes[0].Key, classes[0].Name
	}
	return whole, classes, nil
}

func (s *Silents) add(n int, delivered, failed, replied bool, rating int) {
	s.N += n
	for _, c := range []struct {
		to *int
		ok bool
	}{{&s.Delivered, delivered}, {&s.Failed, failed}, {&s.Replied, replied}, {&s.Rated, rating > 0}, {&s.Unhappy, rating >= 4}} {
		if c.ok {
			*c.to += n
		}
	}
}

func (s Silents) plus(o Silents) Silents {
	return Silents{s.N + o.N, s.Delivered + o.Delivered, s.Failed + o.Failed, s.Replied + o.Replied, s.Rated + o.Rated, s.Unhappy + o.Unhappy}
}

// reminderSheet is what reminders came to, as a table.
func (f Figures) reminderSheet() Sheet {
	s := Sheet{Name: "提醒", Rows: [][]any{{"类别", "已发送", "回复", "回复率", "回复率（不计提醒后的回复）", "提醒", "提醒送达", "提醒未送达", "提醒后回复", "提醒后回复率", "区间下限", "区间上限", "提醒后评价", "其中不满意",
		"对照（抽签未提醒）", "对照回复", "对照回复率", "区间下限", "区间上限", "对照评价", "其中不满意"}}}
	rows := f.Reminders
	if len(rows) > 1 {
		rows = append([]ReminderRow{f.Reminded}, rows...)
	}
	for _, r := range rows {
		cells := []any{r.Name, r.Sent, r.Replied, r.With(), r.Without(), r.Reminded.N, r.Reminded.Delivered, r.Reminded.Failed}
		for _, g := range []Silents{r.Reminded, r.Control} {
			in := g.Interval()
			cells = append(cells, g.Replied, g.Share(), in[0], in[1], g.Rated, g.Unhappy)
		}
		cells = append(cells[:14], append([]any{r.Control.N}, cells[14:]...)...)
		s.Rows = append(s.Rows, cells)
	}
	if len(s.Rows) > 1 {
		s.Rows = append(s.Rows, []any{fmt.Sprintf("提醒后的回复率与对照之差才是提醒的作用；对照按抽签留出，没有对照的业务无从比较。回复率%s", "以已发送为分母")})
	}
	return s
}
