package oversee

import (
	"math"
	"strings"
	"time"

	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket"
)

// Measure is what was done, or asked for, about the root of a matter: a rule, a facility, an operation, or a suggestion to
// those above (建议上报). The people it helps are counted.
type Measure struct {
	Head                        // Unit is who does it
	Type          string        `json:"type"` // rule 制度, facility 设施, operation 专项, suggestion 建议上报
	Title         ticket.Text   `json:"title"`
	Text          ticket.Text   `json:"text"`
	Level         string        `json:"level,omitzero"` // adopted at: bureau, city, province, ministry
	To            string        `json:"to,omitzero"`    // submitted to that level
	Replies       []ticket.Text `json:"replies,omitempty"`
	DoneAt        time.Time     `json:"done_at,omitzero"` // in effect from
	Beneficiaries int           `json:"beneficiaries,omitzero"`
	Evidence      ticket.Text   `json:"evidence,omitzero"`
	Papers        []Paper       `json:"papers,omitempty"` // files of evidence
}

// MeasureTypes and MeasureLevels are the codes in their order, with labels.
var (
	MeasureTypes  = [][2]string{{"rule", "制度规范"}, {"facility", "设施建设"}, {"operation", "专项行动"}, {"suggestion", "建议上报"}}
	MeasureLevels = [][2]string{{"bureau", "本局"}, {"city", "市级"}, {"province", "省级"}, {"ministry", "部级"}}
)

func labelOf(list [][2]string, code string) string {
	for _, x := range list {
		if x[0] == code {
			return x[1]
		}
	}
	return ""
}

// TypeLabel and LevelLabel are for staff (zh-CN).
func (m *Measure) TypeLabel() string  { return labelOf(MeasureTypes, m.Type) }
func (m *Measure) LevelLabel() string { return labelOf(MeasureLevels, m.Level) }

// OpenMeasure enters a measure or a suggestion, of a topic or of its own.
func (d *Desk) OpenMeasure(tx *storage.Tx, typ, title, text, topic, unit string, by ticket.Actor) (Measure, error) {
	return open(d, tx, KindMeasure, by, "", func(f *file, m *Measure) (map[string]any, error) {
		if err := may(by, org.Supervise, org.DraftReport); err != nil {
			return nil, err
		}
		m.State, m.Type, m.Topic, m.Unit = Planned, typ, topic, unit
		if m.TypeLabel() == "" {
			return nil, refuse("type", "请选择措施类别")
		}
		if topic != "" {
			if _, err := get[Topic](tx, topic); err != nil {
				return nil, refuse("topic", "没有找到该专题")
			}
		}
		if err := d.mayAct(tx, unit, nil); err != nil {
			return nil, err
		}
		var err error
		if m.Title, err = f.must("title", "名称", title); err != nil {
			return nil, err
		}
		if m.Text, err = f.must("text", "内容", text); err != nil {
			return nil, err
		}
		return map[string]any{"type": typ, "title": m.Title}, nil
	})
}

// SubmitMeasure sends a suggestion to a level.
func (d *Desk) SubmitMeasure(tx *storage.Tx, id, level string, by ticket.Actor) (Measure, error) {
	return change(d, tx, id, KindMeasure, by, func(f *file, m *Measure) (string, map[string]any, error) {
		if err := may(by, org.Supervise, org.DraftReport); err != nil {
			return "", nil, err
		}
		if err := f.in("上报", Planned, Submitted, Adopted); err != nil {
			return "", nil, err
		}
		if m.Type != "suggestion" || labelOf(MeasureLevels, level) == "" {
			return "", nil, refuse("level", "只有建议可以上报，并须选择层级")
		}
		m.State, m.To = Submitted, level
		return "submitted", map[string]any{"level": level}, nil
	})
}

// AnswerMeasure notes what the level it was submitted to said.
func (d *Desk) AnswerMeasure(tx *storage.Tx, id string, adopted bool, text string, by ticket.Actor) (Measure, error) {
	return change(d, tx, id, KindMeasure, by, func(f *file, m *Measure) (string, map[string]any, error) {
		if err := may(by, org.Supervise, org.DraftReport); err != nil {
			return "", nil, err
		}
		if err := f.in("登记答复", Submitted); err != nil {
			return "", nil, err
		}
		ref, err := f.must("reply", "答复情况及依据", text)
		if err != nil {
			return "", nil, err
		}
		m.Replies = append(m.Replies[:len(m.Replies):len(m.Replies)], ref)
		if adopted {
			m.State, m.Level = Adopted, m.To
		} else if m.State = Declined; m.Level != "" {
			m.State = Adopted // a lower level had adopted it, and still does
		}
		return "answered", map[string]any{"adopted": adopted, "level": m.To, "text": ref}, nil
	})
}

// CarryOut notes that a measure is in effect, with evidence and the number of people it helps.
func (d *Desk) CarryOut(tx *storage.Tx, id string, from time.Time, beneficiaries int, evidence string, by ticket.Actor) (Measure, error) {
	return change(d, tx, id, KindMeasure, by, func(f *file, m *Measure) (string, map[string]any, error) {
		if err := may(by, org.Supervise, org.DraftReport); err != nil {
			return "", nil, err
		}
		if err := f.in("落实", Planned, Adopted); err != nil {
			return "", nil, err
		}
		if beneficiaries < 0 || beneficiaries > 10_000_000 {
			return "", nil, refuse("beneficiaries", "受益人数须为0至一千万的整数")
		}
		if from = ms(from); from.IsZero() {
			from = f.now
		}
		if from.After(f.now.AddDate(0, 0, 1)) {
			return "", nil, refuse("from", "落实日期不能晚于今天")
		}
		var err error
		if m.Evidence, err = f.must("evidence", "落实情况及佐证", evidence); err != nil {
			return "", nil, err
		}
		m.State, m.DoneAt, m.Beneficiaries = Done, from, beneficiaries
		return "done", map[string]any{"beneficiaries": beneficiaries, "evidence": m.Evidence}, nil
	})
}

// DropMeasure notes that it will not be done.
func (d *Desk) DropMeasure(tx *storage.Tx, id, reason string, by ticket.Actor) (Measure, error) {
	return change(d, tx, id, KindMeasure, by, func(f *file, m *Measure) (string, map[string]any, error) {
		if err := may(by, org.Supervise, org.DraftReport); err != nil {
			return "", nil, err
		}
		if err := f.in("不实施", Planned); err != nil {
			return "", nil, err
		}
		ref, err := f.must("reason", "理由", reason)
		if err != nil {
			return "", nil, err
		}
		m.State = Declined
		return "declined", map[string]any{"reason": ref}, nil
	})
}

// Effect is how the tickets of a topic changed with a measure: the rate after over the rate before, with an exact 95 %
// interval for the ratio of two Poisson counts.
type Effect struct {
	Before, After int     // tickets in the days before and after
	Days          float64 // after; before it is EffectDays
	Ratio         float64 // NaN when there was nothing before
	Low, High     float64 // High may be +Inf
}

// Shown tells whether the ratio says anything: some tickets were there at all.
func (e Effect) Shown() bool { return e.Before+e.After > 0 && e.Days > 0 }

// Significant reports whether the interval leaves 1 out.
func (e Effect) Significant() bool { return e.Shown() && (e.High < 1 || e.Low > 1) }

// EffectOf compares the tickets of a measure's topic in EffectDays before and after it came into effect. While fewer days
// have passed the rates are compared over those that have.
func (d *Desk) EffectOf(tx *storage.Tx, m *Measure) (Effect, error) {
	if m.Topic == "" || m.DoneAt.IsZero() {
		return Effect{}, nil
	}
	t, err := get[Topic](tx, m.Topic)
	if err != nil {
		return Effect{}, err
	}
	rules, err := d.rules(tx)
	if err != nil {
		return Effect{}, err
	}
	span := time.Duration(rules.EffectDays) * 24 * time.Hour
	until := m.DoneAt.Add(span)
	if now := d.now(); now.Before(until) {
		until = now
	}
	var e Effect
	for _, id := range t.Tickets {
		k, err := d.Office.Get(tx, id)
		if err != nil {
			return Effect{}, err
		}
		switch at := k.ReceivedAt; {
		case !at.Before(m.DoneAt.Add(-span)) && at.Before(m.DoneAt):
			e.Before++
		case !at.Before(m.DoneAt) && at.Before(until):
			e.After++
		}
	}
	e.Days = until.Sub(m.DoneAt).Hours() / 24
	e.Ratio, e.Low, e.High = rateRatio(e.Before, float64(rules.EffectDays), e.After, e.Days)
	return e, nil
}

// rateRatio is (b/tb)/(a/ta) with the exact 95 % interval: given a+b, b is binomial, and the Clopper-Pearson limits of its
// share p give those of the ratio p/(1-p) · ta/tb.
func rateRatio(a int, ta float64, b int, tb float64) (ratio, low, high float64) {
	if ta <= 0 || tb <= 0 || a+b == 0 {
		return math.NaN(), 0, math.Inf(1)
	}
	scale := ta / tb
	ratio = math.NaN()
	if a > 0 {
		ratio = float64(b) / float64(a) * scale
	}
	n := a + b
	odds := func(p float64) float64 {
		if p >= 1 {
			return math.Inf(1)
		}
		return p / (1 - p) * scale
	}
	if b > 0 {
		low = odds(solve(func(p float64) float64 { return 1 - binomialCDF(b-1, n, p) - 0.025 }))
	}
	high = math.Inf(1)
	if b < n {
		high = odds(solve(func(p float64) float64 { return 0.025 - binomialCDF(b, n, p) }))
	}
	return ratio, low, high
}

// solve finds where a rising function is zero between 0 and 1.
func solve(f func(float64) float64) float64 {
	lo, hi := 0.0, 1.0
	for range 60 {
		if mid := (lo + hi) / 2; f(mid) < 0 {
			lo = mid
		} else {
			hi = mid
		}
	}
	return (lo + hi) / 2
}

// binomialCDF is P(X ≤ k) of n trials with chance p.
func binomialCDF(k, n int, p float64) float64 {
	if k < 0 {
		return 0
	}
	if p <= 0 || k >= n {
		return 1
	}
	if p >= 1 {
		return 0
	}
	sum := 0.0
	for i := 0; i <= k; i++ {
		ln, _ := math.Lgamma(float64(n + 1))
		li, _ := math.Lgamma(float64(i + 1))
		lr, _ := math.Lgamma(float64(n - i + 1))
		sum += math.Exp(ln - li - lr + float64(i)*math.Log(p) + float64(n-i)*math.Log1p(-p))
	}
	return min(1, sum)
}

// MeasureTotals are counters of the register: measures in effect by type, people helped, suggestions by the level that
// adopted them.
type MeasureTotals struct {
	Done          map[string]int `json:"done"`
	Adopted       map[string]int `json:"adopted"`
	Beneficiaries int            `json:"beneficiaries"`
}

// MeasureCounts counts the register.
func (d *Desk) MeasureCounts(tx *storage.Tx) (MeasureTotals, error) {
	t := MeasureTotals{Done: map[string]int{}, Adopted: map[string]int{}}
	list, err := find[Measure](d, tx, KindMeasure, ``)
	for _, m := range list {
		if m.State == Done {
			t.Done[m.Type]++
			t.Beneficiaries += m.Beneficiaries
		}
		if m.Level != "" && strings.TrimSpace(m.Level) != "" {
			t.Adopted[m.Level]++
		}
	}
	return t, err
}
