package report

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"math"
	"slices"
	"time"

	"lianxin/storage"
	"lianxin/survey"
)

func wilson(p float64, n int) [2]float64 { return survey.Wilson(p, n) }

// compare puts a figure beside another value. The two-proportion z test with pooled variance is made for shares when both
// counts are known.
func compare(f Figure, value float64, n int) Change {
	c := Change{Value: value, N: n, Points: f.Value - value, P: 1}
	if value != 0 {
		c.Relative = c.Points / value
	}
	if f.Metric.Kind == Count || f.N == 0 || n == 0 {
		return c
	}
	a, b := float64(f.N), float64(n)
	pooled := (f.Value*a + value*b) / (a + b)
	if v := pooled * (1 - pooled) * (1/a + 1/b); v > 0 {
		c.P = math.Erfc(math.Abs(c.Points) / math.Sqrt(2*v))
	}
	return c
}

// rank orders groups, the largest first, and ranks those that are not small by the end of their interval that chance
// favours least: a few lucky ones do not lead. Equal ends share a rank.
func rank(all []Group, less bool) {
	slices.SortFunc(all, func(a, b Group) int { return cmp.Or(b.N-a.N, cmp.Compare(a.Key, b.Key)) })
	safe := func(g Group) float64 {
		if less {
			return -g.Interval[1]
		}
		return g.Interval[0]
	}
	for i := range all {
		if all[i].Small || all[i].Interval == [2]float64{} {
			continue
		}
		all[i].Rank = 1
		for _, o := range all {
			if !o.Small && o.Interval != [2]float64{} && safe(o) > safe(all[i]) {
				all[i].Rank++
			}
		}
	}
}

// spans measures how long the rows of a Duration took.
func (o *Office) spans(tx *storage.Tx, q *query) (Spans, error) {
	type pair struct{ a, b storage.Time }
	rows, err := storage.All(tx, func(r storage.Row) (p pair, err error) { return p, r.Scan(&p.a, &p.b) }, `SELECT x.a, x.b FROM (`+q.set+`) x`+q.where(), q.args...)
	if err != nil || len(rows) == 0 {
		return Spans{}, err
	}
	wall, work := make([]time.Duration, len(rows)), make([]time.Duration, len(rows))
	for i, r := range rows {
		wall[i] = r.b.Sub(r.a.Time)
		work[i] = wall[i]
		if o.Working != nil {
			work[i] = o.Working(r.a.Time, r.b.Time)
		}
	}
	var s Spans
	s.Mean, s.Median, s.P90 = quantiles(wall)
	s.MeanWork, s.MedianWork, s.P90Work = quantiles(work)
	return s, nil
}

// quantiles are the mean, the median and the 90th percentile (nearest rank).
func quantiles(all []time.Duration) (mean, median, p90 time.Duration) {
	slices.Sort(all)
	var sum float64
	for _, d := range all {
		sum += float64(d)
	}
	at := func(q float64) time.Duration { return all[max(0, int(math.Ceil(q*float64(len(all))))-1)] }
	return time.Duration(sum / float64(len(all))), at(0.5), at(0.9)
}

func digest(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}
