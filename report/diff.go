package report

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"lianxin/storage"
)

// Difference is one place where two contents say different things. Old or New is empty where the place is missing.
type Difference struct {
	Section string
	Place   string
	Old     string
	New     string
}

// Diff says in which places b says something else than a: figure by figure, cell by cell, words line by line.
func Diff(a, b Content) []Difference {
	var out []Difference
	for _, l := range a.Lines {
		i := slices.IndexFunc(b.Lines, func(x Line) bool { return x.ID == l.ID })
		if i < 0 {
			out = append(out, Difference{"指标", l.Label, l.whole(), ""})
			continue
		}
		for _, f := range [][3]string{{"", l.whole(), b.Lines[i].whole()}, {"：较上期", l.Before, b.Lines[i].Before}, {"：较基线", l.Baseline, b.Lines[i].Baseline}, {"：口径", l.Formula, b.Lines[i].Formula}} {
			if f[1] != f[2] {
				out = append(out, Difference{"指标", l.Label + f[0], f[1], f[2]})
			}
		}
	}
	for _, l := range b.Lines {
		if !slices.ContainsFunc(a.Lines, func(x Line) bool { return x.ID == l.ID }) {
			out = append(out, Difference{"指标", l.Label, "", l.whole()})
		}
	}
	for _, g := range a.Tables {
		var other Grid
		if i := slices.IndexFunc(b.Tables, func(x Grid) bool { return x.Key == g.Key }); i >= 0 {
			other = b.Tables[i]
		}
		out = append(out, diffGrids(g, other)...)
	}
	for _, g := range b.Tables {
		if !slices.ContainsFunc(a.Tables, func(x Grid) bool { return x.Key == g.Key }) {
			out = append(out, diffGrids(Grid{Title: g.Title}, g)...)
		}
	}
	for _, w := range [][3]string{{"要情概述", a.Words.Summary, b.Words.Summary}, {"成因分析", a.Words.Causes, b.Words.Causes}, {"工作要求", a.Words.Work, b.Words.Work}} {
		out = append(out, diffWords(w[0], w[1], w[2])...)
	}
	return out
}

func (l Line) whole() string {
	parts := []string{l.Value}
	for _, p := range []string{l.Of, l.Interval} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	return strings.Join(parts, "；")
}

// diffGrids compares rows by their label: the first cell, or the second where the first is a place in a ranking or a list.
func diffGrids(a, b Grid) (out []Difference) {
	label := func(g Grid, row []string) string {
		if (g.Key == "ranking" || g.Key == "red-black") && len(row) > 1 {
			return row[1]
		}
		return row[0]
	}
	title := a.Title
	if title == "" {
		title = b.Title
	}
	for _, row := range a.Rows {
		i := slices.IndexFunc(b.Rows, func(x []string) bool { return label(b, x) == label(a, row) })
		if i < 0 {
			out = append(out, Difference{title, label(a, row), strings.Join(row, " | "), ""})
			continue
		}
		if slices.Equal(a.Head, b.Head) && len(row) == len(b.Rows[i]) {
			for j, cell := range row {
				if cell != b.Rows[i][j] {
					out = append(out, Difference{title, label(a, row) + "：" + a.Head[j], cell, b.Rows[i][j]})
				}
			}
		} else if x, y := strings.Join(row, " | "), strings.Join(b.Rows[i], " | "); x != y {
			out = append(out, Difference{title, label(a, row), x, y})
		}
	}
	for _, row := range b.Rows {
		if !slices.ContainsFunc(a.Rows, func(x []string) bool { return label(a, x) == label(b, row) }) {
			out = append(out, Difference{title, label(b, row), "", strings.Join(row, " | ")})
		}
	}
	if a.Note != b.Note && len(a.Rows) > 0 && len(b.Rows) > 0 {
		out = append(out, Difference{title, "说明", a.Note, b.Note})
	}
	return out
}

// diffWords compares texts line by line: what is common in its order is left out (longest common subsequence).
func diffWords(section, a, b string) (out []Difference) {
	if a == b {
		return nil
	}
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	if len(x)*len(y) > 1<<20 { // pages of one-word lines: one difference says as much
		return []Difference{{section, "全文", a, b}}
	}
	common := make([][]int, len(x)+1)
	for i := range common {
		common[i] = make([]int, len(y)+1)
	}
	for i := len(x) - 1; i >= 0; i-- {
		for j := len(y) - 1; j >= 0; j-- {
			if x[i] == y[j] {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	add := func(i int, old, new string) {
		if old != "" || new != "" {
			out = append(out, Difference{section, fmt.Sprintf("第%d行", i+1), old, new})
		}
	}
	i, j := 0, 0
	for i < len(x) || j < len(y) {
		switch {
		case i < len(x) && j < len(y) && x[i] == y[j]:
			i, j = i+1, j+1
		case i < len(x) && j < len(y) && common[i+1][j+1] == common[i][j]: // one line in the place of another
			add(i, x[i], y[j])
			i, j = i+1, j+1
		case j >= len(y) || i < len(x) && common[i+1][j] >= common[i][j+1]:
			add(i, x[i], "")
			i++
		default:
			add(i, "", y[j])
			j++
		}
	}
	return out
}

// Later is how a figure of a published edition stands by now.
type Later struct {
	ID                  string // of the metric
	Label, Printed, Now string

	// Correction: facts of the period were changed afterwards (validity, links of repeats, escalations that were found to be
	// none, ratings left out). Otherwise it only went on: tickets were settled or rated since.
	Correction bool
}

// settled are the figures whose facts lie wholly within their period: when they change later, something was corrected.
var settled = []string{"responded", "accepted", "valid", "proactive", "signed_on_time", "contacted_on_time", "satisfied_raw", "satisfied", "repeats", "repeat_persons", "escalations"}

// Since counts the figures of a published edition once more and says which of them stand otherwise by now (发布后更正). The
// edition itself is not touched.
func (o *Office) Since(tx *storage.Tx, e Edition) ([]Later, error) {
	scope, err := e.Scope.narrow(tx)
	if err != nil {
		return nil, err
	}
	var out []Later
	for _, l := range e.Content.Lines {
		m, ok := Find(l.ID)
		if !ok {
			continue
		}
		f, err := o.count(tx, m, o.byVersion(e.Metrics, e.Period), e.Period, scope)
		if err != nil {
			return nil, err
		}
		if now := printed(f, o.byVersion(e.Metrics, e.Period)); now.whole() != l.whole() {
			out = append(out, Later{l.ID, l.Label, l.whole(), now.whole(), slices.Contains(settled, l.ID)})
		}
	}
	slices.SortStableFunc(out, func(a, b Later) int {
		if a.Correction == b.Correction {
			return 0
		}
		return map[bool]int{true: -1, false: 1}[a.Correction]
	})
	return out, nil
}

// Printed is the newest published edition of exactly this period, over the whole city, and which of its figures stand otherwise
// by now, by the metric's id; an empty Edition where none was published.
func (o *Office) Printed(tx *storage.Tx, p Period, s Scope) (e Edition, later map[string]Later, err error) {
	if !s.all() {
		return e, nil, nil
	}
	e, err = storage.One(tx, scanEdition, selectEdition+` WHERE e.state = 'PUBLISHED' AND e.first_day = $1 AND e.last_day = $2 AND e.scope = '{}'
		AND NOT EXISTS (SELECT 1 FROM report_edition n WHERE n.series = e.series AND n.version > e.version AND n.state = 'PUBLISHED') ORDER BY e.published_at DESC LIMIT 1`,
		p.First().String(), p.Last().String())
	if errors.Is(err, storage.ErrNotFound) {
		return e, nil, nil
	}
	if err != nil {
		return e, nil, fmt.Errorf("published edition of a period: %w", err)
	}
	all, err := o.Since(tx, e)
	later = map[string]Later{}
	for _, l := range all {
		later[l.ID] = l
	}
	return e, later, err
}

// byVersion is the version of the settings that an edition was counted under, or the one in force where it is gone.
func (o *Office) byVersion(version string, p Period) Settings {
	all := o.Settings
	if len(all) == 0 {
		all = Shipped()
	}
	for _, s := range all {
		if s.Version == version {
			return s
		}
	}
	return o.at(p)
}
