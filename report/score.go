package report

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Score weighs the indicators of a unit's composite score (单位综合分, domain model §9), in the order in which they are printed.
type Score struct {
	Metric string  `yaml:"metric"`
	Weight float64 `yaml:"weight"`
}

// defaultScore counts while the settings say nothing else.
var defaultScore = []Score{{"signed_on_time", 15}, {"contacted_on_time", 15}, {"settled_on_time", 30}, {"satisfied", 25}, {"repeats", 15}}

// shrink is how many cases of the whole city's rate stand in each unit's: a unit with few cases is drawn to the middle.
const shrink = 10

// score is a unit's place in the ranking.
type score struct {
	unit   string
	n      int // tickets accepted
	points float64
	parts  []string
	ranked bool
}

// scores ranks the units in charge. Those with fewer tickets than the settings' smallest n are listed and not ranked.
func (w *writer) scores() ([]score, string, error) {
	weights := w.set.Score
	if len(weights) == 0 {
		weights = defaultScore
	}
	by := map[string]*score{}
	groups, err := w.o.By(w.tx, "accepted", "unit", w.e.Period, w.scope)
	if err != nil {
		return nil, "", err
	}
	for _, g := range groups {
		if g.Key != "" {
			by[g.Key] = &score{unit: g.Key, n: g.N, ranked: g.N >= w.set.Small}
		}
	}
	var formula []string
	total := 0.0
	for _, x := range weights {
		m, _ := Find(x.Metric)
		f, err := w.o.count(w.tx, m, w.set, w.e.Period, w.scope)
		if err != nil {
			return nil, "", err
		}
		groups, err := w.o.By(w.tx, x.Metric, "unit", w.e.Period, w.scope)
		if err != nil {
			return nil, "", err
		}
		city := f.Value
		label := m.Label
		if m.Less {
			city, label = 1-city, "(1−"+label+")"
		}
		if f.N == 0 { // nothing of the kind happened: nobody gains nor loses by it
			continue
		}
		formula = append(formula, fmt.Sprintf("%g×%s", x.Weight, label))
		total += x.Weight
		for _, s := range by {
			value, n := 0.0, 0
			if i := slices.IndexFunc(groups, func(g Group) bool { return g.Key == s.unit }); i >= 0 {
				value, n = groups[i].Value, groups[i].N
				if m.Less {
					value = 1 - value
				}
			}
			shrunk := (value*float64(n) + city*shrink) / float64(n+shrink)
			s.points += x.Weight * shrunk
			text := "—"
			if n > 0 {
				text = fmt.Sprintf("%.1f%%（n=%d）", 100*value, n)
				if m.Less {
					text = fmt.Sprintf("%.1f%%（n=%d）", 100*(1-value), n)
				}
			}
			s.parts = append(s.parts, text)
		}
	}
	out := make([]score, 0, len(by))
	for _, s := range by {
		if total > 0 {
			s.points *= 100 / total
		}
		out = append(out, *s)
	}
	slices.SortFunc(out, func(a, b score) int {
		if a.ranked != b.ranked {
			return map[bool]int{true: -1, false: 1}[a.ranked]
		}
		return cmp.Or(cmp.Compare(b.points, a.points), cmp.Compare(a.unit, b.unit))
	})
	note := fmt.Sprintf("综合分 =（%s）×100/%g；每项按n=%d向全市均值收缩；受理不足%d件的单位不排名", strings.Join(formula, " + "), total, shrink, w.set.Small)
	return out, note, nil
}

func (w *writer) scoreHead() []string {
	head := []string{"主办单位", "受理"}
	weights := w.set.Score
	if len(weights) == 0 {
		weights = defaultScore
	}
	for _, x := range weights {
		m, _ := Find(x.Metric)
		if f, err := w.o.count(w.tx, m, w.set, w.e.Period, w.scope); err == nil && f.N > 0 {
			head = append(head, m.Label)
		}
	}
	return head
}

// unitTable is each unit's own indicators, without a ranking.
func unitTable(w *writer) (Grid, error) {
	all, _, err := w.scores()
	if err != nil || len(all) == 0 {
		return Grid{}, err
	}
	g := Grid{Key: "units", Title: "各单位办理质效", Head: w.scoreHead()}
	slices.SortStableFunc(all, func(a, b score) int { return b.n - a.n })
	for _, s := range all {
		g.Rows = append(g.Rows, append([]string{w.unit(s.unit), strconv.Itoa(s.n)}, s.parts...))
	}
	return g, nil
}

// ranking is the units by composite score.
func ranking(w *writer) (Grid, error) {
	all, note, err := w.scores()
	if err != nil || len(all) == 0 {
		return Grid{}, err
	}
	g := Grid{Key: "ranking", Title: "单位综合排名", Head: append([]string{"名次"}, append(w.scoreHead(), "综合分")...), Note: note}
	for i, s := range all {
		place, points := "—", "—"
		if s.ranked {
			place, points = strconv.Itoa(i+1), fmt.Sprintf("%.2f", s.points)
		}
		g.Rows = append(g.Rows, append(append([]string{place, w.unit(s.unit), strconv.Itoa(s.n)}, s.parts...), points))
	}
	return g, nil
}

// redBlack is the ranking's head and tail (红黑榜): at most three each, and never a unit on both.
func redBlack(w *writer) (Grid, error) {
	all, _, err := w.scores()
	if err != nil {
		return Grid{}, err
	}
	ranked := slices.DeleteFunc(all, func(s score) bool { return !s.ranked })
	g := Grid{Key: "red-black", Title: "红黑榜", Head: []string{"榜", "单位", "综合分"}, Note: "各至多三个单位；不足四个排名单位时不列黑榜"}
	if len(ranked) == 0 {
		g.Note = "本期没有达到排名件数的单位"
		return g, nil
	}
	for _, s := range ranked[:min(3, len(ranked))] {
		g.Rows = append(g.Rows, []string{"红榜", w.unit(s.unit), fmt.Sprintf("%.2f", s.points)})
	}
	if len(ranked) >= 4 {
		for _, s := range ranked[max(3, len(ranked)-3):] {
			g.Rows = append(g.Rows, []string{"黑榜", w.unit(s.unit), fmt.Sprintf("%.2f", s.points)})
		}
	}
	return g, nil
}
