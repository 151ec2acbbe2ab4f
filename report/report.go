// Package report is the registry of the closed loop's figures: what each one means, how it is counted, and the list behind it.
//
// A metric is one set of rows, each with a grade of how well it did (hit or miss, or a rating), so that the figure and the
// lists behind it cannot differ: both are counts over the same set (invariant I22). Weights, windows and the frozen baselines
// that figures are compared with are settings with a version, an effective date and an author (LOOP-8, LOOP-11); every
// figure says under which version it was counted.
package report

import (
	"fmt"
	"slices"
	"time"

	"lianxin/storage"
	"lianxin/survey"
	"lianxin/survey/poll"
	"lianxin/ticket/oversee"
	"lianxin/workday"
)

// Period is a half-open stretch of time in the city's zone (NF-3).
type Period struct{ From, To time.Time }

// Days is the period from the first day to the last, both included.
func Days(first, last workday.Day) Period { return Period{first.Start(), last.End()} }

// First and Last are the days of the period.
func (p Period) First() workday.Day { return workday.DayOf(p.From) }

// Last is the last day of the period.
func (p Period) Last() workday.Day { return workday.DayOf(p.To.Add(-time.Millisecond)) }

// Before is the period of as many days that ends where p begins.
func (p Period) Before() Period {
	n := int(p.Last() - p.First() + 1)
	return Days(p.First().Add(-n), p.First().Add(-1))
}

// Scope narrows a figure; zero fields do not.
type Scope struct {
	Units     []string // tickets these units were 主办 of; nil is the whole city, empty is nothing
	Channel   string
	Kind      string // the first kind a request had (I13)
	Colour    string
	Proactive *bool // 主动问需: we asked first (LOOP-12)
}

// all reports whether nothing is left out: a baseline is the whole city's.
func (s Scope) all() bool {
	return s.Units == nil && s.Channel == "" && s.Kind == "" && s.Colour == "" && s.Proactive == nil
}

// Part chooses rows of a metric: all of them, or those of one grade.
type Part struct {
	Grade int
	Only  bool
}

// Whole is all rows of a metric.
var Whole = Part{}

// Grade is the part with one grade: of a share 1 is a hit and 0 a miss, of a satisfaction the stars.
func Grade(n int) Part { return Part{Grade: n, Only: true} }

// Figure is a metric over a period.
type Figure struct {
	Metric  Metric
	Version string // of the settings it was counted under
	Period  Period
	N       int         // rows of the set: the denominator of a share, the count itself of a count
	Grades  map[int]int // rows by grade

	Value    float64    // a share (0 … 1) or, for a Count, N
	Small    bool       // a share of fewer rows than Settings.Small: not to be compared, nor ranked
	Interval [2]float64 // Wilson 95 % of a share
	Beside   []Weighed  // a rating by the other weights of 基本满意
	Spans    Spans      // of a Duration

	Before   *Change // against the period before
	Baseline *Change // against the frozen baseline, when the settings have one
}

// Hits is the numerator of a share.
func (f Figure) Hits() int { return f.Grades[1] }

// Weighed is a satisfaction rate by one weight of 基本满意.
type Weighed struct{ Weight, Value float64 }

// Spans are how long things took, wall time and working time (I10).
type Spans struct {
	Mean, Median, P90             time.Duration
	MeanWork, MedianWork, P90Work time.Duration
}

// Change is a figure beside another one.
type Change struct {
	Label    string
	Value    float64 // of the other
	N        int     // of the other; 0 when only its value is known
	Points   float64 // difference, in parts of one
	Relative float64 // difference as a part of the other; 0 when that is 0
	P        float64 // two-sided p of the two-proportion test; 1 when it cannot be made
}

// Office counts. Its zero value counts under the settings that ship.
type Office struct {
	Now func() time.Time // what falls due later is not counted yet; nil: everything has fallen due

	Settings []Settings                         // newest last; the shipped ones when empty
	Working  func(a, b time.Time) time.Duration // working time between two moments; wall time when nil

	// What editions tell besides the registry's figures; left out when nil.
	Oversight *oversee.Desk
	Survey    *survey.Survey
	Polls     *poll.Office
}

func (o *Office) now() time.Time {
	if o.Now == nil {
		return time.Time{}
	}
	return o.Now()
}

// Figure counts one metric over a period, and compares it.
func (o *Office) Figure(tx *storage.Tx, id string, p Period, s Scope) (Figure, error) {
	m, ok := Find(id)
	if !ok {
		return Figure{}, fmt.Errorf("no metric %q", id)
	}
	set := o.at(p)
	f, err := o.count(tx, m, set, p, s)
	if err != nil {
		return f, err
	}
	before, err := o.count(tx, m, set, p.Before(), s)
	if err != nil {
		return f, err
	}
	if m.Kind != Duration && before.N > 0 {
		c := compare(f, before.Value, before.N)
		f.Before = &c
	}
	if b, ok := set.Baselines[id]; ok && s.all() && f.N > 0 {
		c := compare(f, b.Value, 0)
		c.Label = b.Label
		f.Baseline = &c
	}
	return f, nil
}

// Figures counts the whole registry.
func (o *Office) Figures(tx *storage.Tx, p Period, s Scope) ([]Figure, error) {
	var out []Figure
	for _, m := range Metrics {
		f, err := o.Figure(tx, m.ID, p, s)
		if err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	return out, nil
}

func (o *Office) count(tx *storage.Tx, m Metric, set Settings, p Period, s Scope) (Figure, error) {
	f := Figure{Metric: m, Version: set.Version, Period: p, Grades: map[int]int{}}
	q := m.query(set, p, s, o.now())
	type grade struct{ grade, n int }
	rows, err := storage.All(tx, func(r storage.Row) (g grade, err error) { return g, r.Scan(&g.grade, &g.n) },
		`SELECT x.grade, COUNT(*) FROM (`+q.set+`) x`+q.where()+` GROUP BY x.grade`, q.args...)
	if err != nil {
		return f, fmt.Errorf("count %s: %w", m.ID, err)
	}
	for _, g := range rows {
		f.Grades[g.grade] = g.n
		f.N += g.n
	}
	switch m.Kind {
	case Count:
		f.Value = float64(f.N)
	case Duration:
		f.Spans, err = o.spans(tx, q)
		if err != nil {
			return f, fmt.Errorf("count %s: %w", m.ID, err)
		}
	default:
		f.Small = f.N < set.Small
		f.Value = f.weighed(set.Weight)
		f.Interval = wilson(f.Value, f.N)
		if m.Kind == Satisfaction {
			for _, w := range []float64{1, 0.5, 0} {
				if w != set.Weight {
					f.Beside = append(f.Beside, Weighed{w, f.weighed(w)})
				}
			}
		}
	}
	return f, nil
}

// weighed is the share, 基本满意 counting as much as w.
func (f Figure) weighed(w float64) float64 {
	if f.N == 0 {
		return 0
	}
	if f.Metric.Kind != Satisfaction {
		return float64(f.Grades[1]) / float64(f.N)
	}
	return (float64(f.Grades[5]+f.Grades[4]) + w*float64(f.Grades[3])) / float64(f.N)
}

// Row is one line of the list behind a figure.
type Row struct {
	Ticket  string // id; of several of one person, the last
	At      time.Time
	Grade   int
	Unit    string
	Channel string
	Times   int // requests of this person, in figures of persons; else 1
}

// List is a page of the rows behind a figure, the latest first, and how many there are: as many as the figure says.
func (o *Office) List(tx *storage.Tx, id string, part Part, p Period, s Scope, limit, offset int) ([]Row, int, error) {
	m, ok := Find(id)
	if !ok {
		return nil, 0, fmt.Errorf("no metric %q", id)
	}
	q := m.query(o.at(p), p, s, o.now())
	if part.Only {
		q.and(`x.grade = {}`, part.Grade)
	}
	total, err := storage.One(tx, storage.Value[int], `SELECT COUNT(*) FROM (`+q.set+`) x`+q.where(), q.args...)
	if err != nil {
		return nil, 0, fmt.Errorf("list %s: %w", id, err)
	}
	times := `1`
	if m.Persons {
		times = `x.times`
	}
	rows, err := storage.All(tx, func(r storage.Row) (x Row, err error) {
		var at storage.Time
		err = r.Scan(&x.Ticket, &at, &x.Grade, &x.Unit, &x.Channel, &x.Times)
		x.At = at.Time
		return x, err
	}, `SELECT x.id, x.at, x.grade, x.unit, x.channel, `+times+` FROM (`+q.set+`) x`+q.where()+` ORDER BY x.at DESC, x.id DESC`+q.page(limit, offset), q.args...)
	if err != nil {
		return nil, 0, fmt.Errorf("list %s: %w", id, err)
	}
	return rows, total, nil
}

// Group is a figure of one unit, channel and so on.
type Group struct {
	Key      string
	N        int
	Grades   map[int]int
	Value    float64
	Small    bool
	Interval [2]float64
	Rank     int // by the lower end of the interval, small ones and counts unranked
}

// By splits a figure by one of Dimensions, the largest first. The groups' rows add up to the figure's.
func (o *Office) By(tx *storage.Tx, id, dimension string, p Period, s Scope) ([]Group, error) {
	m, ok := Find(id)
	if !ok || !slices.Contains(Dimensions, dimension) {
		return nil, fmt.Errorf("no metric %q by %q", id, dimension)
	}
	set := o.at(p)
	q := m.query(set, p, s, o.now())
	type line struct {
		key      string
		grade, n int
	}
	rows, err := storage.All(tx, func(r storage.Row) (l line, err error) { return l, r.Scan(&l.key, &l.grade, &l.n) },
		`SELECT x.`+dimension+`, x.grade, COUNT(*) FROM (`+q.set+`) x`+q.where()+` GROUP BY x.`+dimension+`, x.grade`, q.args...)
	if err != nil {
		return nil, fmt.Errorf("split %s: %w", id, err)
	}
	var out []Group
	for _, l := range rows {
		i := slices.IndexFunc(out, func(g Group) bool { return g.Key == l.key })
		if i < 0 {
			i, out = len(out), append(out, Group{Key: l.key, Grades: map[int]int{}})
		}
		out[i].Grades[l.grade] += l.n
		out[i].N += l.n
	}
	for i := range out {
		g := &out[i]
		if m.Kind == Count || m.Kind == Duration {
			continue
		}
		f := Figure{Metric: m, N: g.N, Grades: g.Grades}
		g.Value, g.Small = f.weighed(set.Weight), g.N < set.Small
		g.Interval = wilson(g.Value, g.N)
	}
	rank(out, m.Less)
	return out, nil
}
