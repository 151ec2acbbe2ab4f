package console

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"lianxin/audit"
	"lianxin/org"
	"lianxin/report"
	"lianxin/storage"
	"lianxin/survey"
	"lianxin/table"
	"lianxin/ticket"
	"lianxin/workday"
)

// figureRoutes are the figures of the closed loop with the lists behind them (I22).
func (s *Server) figureRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /figures", s.may(org.ViewReports, s.figuresPage))
	mux.HandleFunc("GET /figures/export", s.may(org.ExportData, s.figuresExport))
	mux.HandleFunc("GET /figures/{id}", s.may(org.ViewReports, s.figurePage))
	mux.HandleFunc("GET /figures/{id}/list", s.may(org.ViewReports, s.figureList))
}

func (s *Server) figureAPI(api huma.API) {
	huma.Get(api, "/api/v1/figures", s.apiFigures, named("list-figures", "Figures of the closed loop over some days, each with its definition"))
	huma.Get(api, "/api/v1/figures/{id}/list", s.apiFigureList, named("list-figure", "The tickets behind a figure, the latest first"))
}

// FigureScope is what was asked for, and may be seen: a unit's people see their own unit's figures.
type FigureScope struct {
	Period  report.Period
	Scope   report.Scope
	Unit    string
	Source  string // "", "yes" for 主动, "no"
	Own     bool   // of the own unit alone
	Units   []option
	Channel []ticket.Channel
}

// Q is the query of the same figures, with more pairs of name and value.
func (f FigureScope) Q(more ...string) string {
	q := url.Values{"from": {f.Period.First().String()}, "to": {f.Period.Last().String()}}
	for name, v := range map[string]string{"unit": f.Unit, "channel": f.Scope.Channel, "kind": f.Scope.Kind, "colour": f.Scope.Colour, "source": f.Source} {
		if v != "" {
			q.Set(name, v)
		}
	}
	for i := 0; i+1 < len(more); i += 2 {
		q.Set(more[i], more[i+1])
	}
	return "?" + q.Encode()
}

var errFigures = errors.New("the days or what the figures are narrowed to make no sense")

// readScope reads ?from=&to=&unit=&channel=&kind=&colour=&source=; four weeks up to today by default.
func (s *Server) readScope(tx *storage.Tx, q url.Values, role org.Role, unit string) (f FigureScope, err error) {
	last := workday.DayOf(s.Now())
	first := last.Add(-27)
	for name, day := range map[string]*workday.Day{"from": &first, "to": &last} {
		if text := q.Get(name); text != "" {
			if *day, err = workday.ParseDay(text); err != nil {
				return f, errFigures
			}
		}
	}
	if first > last || last-first > 3660 {
		return f, errFigures
	}
	f.Period = report.Days(first, last)
	f.Unit, f.Source = q.Get("unit"), q.Get("source")
	f.Scope = report.Scope{Channel: q.Get("channel"), Kind: q.Get("kind"), Colour: q.Get("colour")}
	if f.Source != "" {
		if f.Source != "yes" && f.Source != "no" {
			return f, errFigures
		}
		yes := f.Source == "yes"
		f.Scope.Proactive = &yes
	}
	if f.Channel, err = s.Office.Channels(tx); err != nil {
		return f, err
	}
	var within []string
	if f.Own = role.Reach() == org.ReachUnit; f.Own {
		if within, err = unitAndBelow(tx, unit); err != nil {
			return f, err
		}
		f.Scope.Units = within
	}
	if f.Unit != "" {
		if f.Own && !slices.Contains(within, f.Unit) {
			return f, errFigures
		}
		if f.Scope.Units, err = unitAndBelow(tx, f.Unit); err != nil {
			return f, err
		}
	}
	n, err := readNames(tx, "")
	f.Units = slices.DeleteFunc(n.unitOptions(), func(o option) bool { return f.Own && !slices.Contains(within, o.Value) })
	return f, err
}

func unitAndBelow(tx *storage.Tx, unit string) ([]string, error) {
	units, err := org.Below(tx, unit)
	if err != nil {
		return nil, err
	}
	if len(units) == 0 {
		units = []string{unit}
	}
	return units, nil
}

// figureRow is a figure as pages and files show it.
type figureRow struct {
	report.Figure
	Text   string // its value
	Detail string // numerator and denominator, or what else it is made of
	Look   string
	Was    string // what the published edition of the period says, where that is something else
	Fixed  bool   // because facts were corrected, not because matters went on
}

func (s *Server) figureRow(f report.Figure, lang string) figureRow {
	row := figureRow{Figure: f, Text: figureText(f.Metric, f.Value, f.N)}
	switch f.Metric.Kind {
	case report.Duration:
		if row.Text = "—"; f.N > 0 {
			row.Text = spanText(lang, f.Spans.Median)
			row.Detail = translate(lang, "fig-spans", spanText(lang, f.Spans.P90), spanText(lang, f.Spans.MedianWork), spanText(lang, f.Spans.P90Work))
		}
	case report.Share:
		row.Detail = fmt.Sprintf("%d / %d", f.Hits(), f.N)
	case report.Satisfaction:
		row.Detail = fmt.Sprintf("n = %d", f.N)
	}
	if f.Metric.ID == "escalations" && f.N > 0 {
		row.Look = "bad"
	}
	return row
}

// figureText is a value: a count, or a share with two places, as the bureau publishes it.
func figureText(m report.Metric, value float64, n int) string {
	switch {
	case m.Kind == report.Count:
		return strconv.Itoa(int(value))
	case n == 0:
		return "—"
	}
	return fmt.Sprintf("%.2f%%", 100*value)
}

// spanText is a length of time in hours, or in days when it is long.
func spanText(lang string, d time.Duration) string {
	if d < 48*time.Hour {
		return translate(lang, "fig-hours", d.Hours())
	}
	return translate(lang, "fig-days", d.Hours()/24)
}

type figureGroup struct {
	Label string // key
	Rows  []figureRow
}

type figuresPageView struct {
	FigureScope
	Groups    []figureGroup
	Version   string
	Settings  report.Settings
	CanExport bool
	Printed   report.Edition // the published edition of the period; none without an id
	Also      []navItem      // pages with other figures that the reader may open
}

func (s *Server) readFigures(tx *storage.Tx, r *http.Request, u *user) (v figuresPageView, err error) {
	if v.FigureScope, err = s.readScope(tx, r.URL.Query(), u.Role, u.Unit); err != nil {
		return v, err
	}
	v.CanExport, v.Settings = u.Can(org.ExportData), s.Figures.At(v.Period)
	for _, g := range menu {
		for _, m := range g.items {
			if slices.Contains([]string{"/survey/figures", "/calls", "/oversee/backcheck"}, m.path) && s.offers(u, m) {
				v.Also = append(v.Also, navItem{Path: m.path, Label: translate(s.lang(r), m.label)})
			}
		}
	}
	var later map[string]report.Later
	if v.Printed, later, err = s.Figures.Printed(tx, v.Period, v.Scope); err != nil {
		return v, err
	}
	all, err := s.Figures.Figures(tx, v.Period, v.Scope)
	for _, f := range all {
		v.Version = f.Version
		if i := len(v.Groups) - 1; i < 0 || v.Groups[i].Label != "fig-group-"+f.Metric.Group {
			v.Groups = append(v.Groups, figureGroup{Label: "fig-group-" + f.Metric.Group})
		}
		g := &v.Groups[len(v.Groups)-1]
		row := s.figureRow(f, s.lang(r))
		if l, ok := later[f.Metric.ID]; ok {
			row.Was, row.Fixed = l.Printed, l.Correction
		}
		g.Rows = append(g.Rows, row)
	}
	return v, err
}

func (s *Server) figuresPage(w http.ResponseWriter, r *http.Request, u *user) {
	var v figuresPageView
	err := s.DB.View(r.Context(), func(tx *storage.Tx) (err error) { v, err = s.readFigures(tx, r, u); return err })
	if s.figuresFailed(w, r, err) {
		return
	}
	s.render(w, r, http.StatusOK, "figures", "", "figures", v)
}

func (s *Server) figuresFailed(w http.ResponseWriter, r *http.Request, err error) bool {
	switch {
	case err == nil:
		return false
	case errors.Is(err, errFigures):
		s.problem(w, r, http.StatusBadRequest, "bad-request")
	case errors.Is(err, storage.ErrNotFound):
		s.problem(w, r, http.StatusNotFound, "not-found")
	default:
		s.fail(w, r, err)
	}
	return true
}

// splitRow is a figure's part of one unit, channel and so on.
type splitRow struct {
	report.Group
	Label, Text, Query string
}

type figureSplit struct {
	Label string // key
	Rows  []splitRow
	Rank  bool
}

type figurePageView struct {
	FigureScope
	Row     figureRow
	Formula string
	Set     report.Settings
	Grades  []splitRow
	Splits  []figureSplit
}

func (s *Server) figurePage(w http.ResponseWriter, r *http.Request, u *user) {
	var v figurePageView
	err := s.DB.View(r.Context(), func(tx *storage.Tx) error {
		m, ok := report.Find(r.PathValue("id"))
		if !ok {
			return storage.ErrNotFound
		}
		var err error
		if v.FigureScope, err = s.readScope(tx, r.URL.Query(), u.Role, u.Unit); err != nil {
			return err
		}
		f, err := s.Figures.Figure(tx, m.ID, v.Period, v.Scope)
		if err != nil {
			return err
		}
		v.Row, v.Set = s.figureRow(f, s.lang(r)), s.Figures.At(v.Period)
		v.Formula = m.Explain(v.Set)
		for g := 5; g >= 0; g-- {
			if n := f.Grades[g]; n > 0 && m.GradeLabel(g) != "" {
				v.Grades = append(v.Grades, splitRow{Group: report.Group{N: n}, Label: m.GradeLabel(g), Query: v.Q("grade", strconv.Itoa(g))})
			}
		}
		n, err := readNames(tx, s.lang(r))
		if err != nil {
			return err
		}
		for _, d := range report.Dimensions {
			groups, err := s.Figures.By(tx, m.ID, d, v.Period, v.Scope)
			if err != nil {
				return err
			}
			split := figureSplit{Label: "fig-by-" + d, Rank: d == "unit" && m.Kind != report.Count && m.Kind != report.Duration}
			for _, g := range groups {
				row := splitRow{Group: g, Label: s.dimensionLabel(n, v.Channel, d, g.Key, s.lang(r)), Text: figureText(m, g.Value, g.N)}
				switch {
				case d == "proactive":
					row.Query = v.Q("source", g.Key)
				case g.Key != "":
					row.Query = v.Q(d, g.Key)
				}
				if m.Kind == report.Count || m.Kind == report.Duration {
					row.Text = ""
				}
				split.Rows = append(split.Rows, row)
			}
			if len(groups) > 0 {
				v.Splits = append(v.Splits, split)
			}
		}
		return nil
	})
	if s.figuresFailed(w, r, err) {
		return
	}
	s.render(w, r, http.StatusOK, "figure", "", "figures", v)
}

func (s *Server) dimensionLabel(n names, channels []ticket.Channel, dimension, key, lang string) string {
	switch dimension {
	case "unit":
		if key == "" {
			return translate(lang, "fig-no-unit")
		}
		return n.Unit(key)
	case "channel":
		return channelName(channels, key)
	case "kind":
		return ticket.Kind(key).Label()
	case "proactive":
		return translate(lang, "fig-proactive-"+key)
	}
	return key
}

func channelName(channels []ticket.Channel, code string) string {
	for _, c := range channels {
		if c.Code == code {
			return c.Name
		}
	}
	return code
}

type figureListRow struct {
	report.Row
	Ticket ticket.Ticket
	Seen   bool // the reader may see the ticket
	Unit   string
	From   string
	Grade  string
}

type figureListView struct {
	FigureScope
	Metric      report.Metric
	Part        string // label of the part
	Rows        []figureListRow
	Total       int
	Page, Pages int
	GradeQuery  string
}

// figureList is the list behind a figure: as many lines as the figure says. A ticket that the reader may not see keeps its
// line and shows nothing.
func (s *Server) figureList(w http.ResponseWriter, r *http.Request, u *user) {
	v := figureListView{Page: pageOf(r.URL.Query().Get("page"))}
	err := s.DB.View(r.Context(), func(tx *storage.Tx) error {
		var ok bool
		if v.Metric, ok = report.Find(r.PathValue("id")); !ok {
			return storage.ErrNotFound
		}
		var err error
		if v.FigureScope, err = s.readScope(tx, r.URL.Query(), u.Role, u.Unit); err != nil {
			return err
		}
		part := report.Whole
		if text := r.URL.Query().Get("grade"); text != "" {
			g, err := strconv.Atoi(text)
			if err != nil || g < 0 || g > 5 {
				return errFigures
			}
			part, v.GradeQuery, v.Part = report.Grade(g), text, v.Metric.GradeLabel(g)
		}
		rows, total, err := s.Figures.List(tx, v.Metric.ID, part, v.Period, v.Scope, perPage, (v.Page-1)*perPage)
		if err != nil {
			return err
		}
		v.Total, v.Pages = total, max(1, (total+perPage-1)/perPage)
		n, err := readNames(tx, s.lang(r))
		if err != nil {
			return err
		}
		for _, x := range rows {
			row := figureListRow{Row: x, Grade: v.Metric.GradeLabel(x.Grade)}
			if row.Ticket, row.Seen, err = s.seen(tx, x.Ticket, ticket.Staff(u.Staff)); err != nil {
				return err
			}
			if row.Seen {
				row.From = channelName(v.Channel, x.Channel)
				if x.Unit != "" {
					row.Unit = n.Unit(x.Unit)
				}
			}
			v.Rows = append(v.Rows, row)
		}
		return nil
	})
	if s.figuresFailed(w, r, err) {
		return
	}
	s.render(w, r, http.StatusOK, "figure-list", "", "figures", v)
}

// seen reads a ticket if the viewer may see it.
func (s *Server) seen(tx *storage.Tx, id string, viewer ticket.Actor) (ticket.Ticket, bool, error) {
	t, err := s.Office.See(tx, id, viewer)
	if errors.Is(err, storage.ErrNotFound) {
		return ticket.Ticket{}, false, nil
	}
	if _, refused := ticket.RefusedWith(err); refused {
		return ticket.Ticket{}, false, nil
	}
	return t, err == nil, err
}

// figuresExport is the figures as a workbook, each with its definition. It holds no person.
func (s *Server) figuresExport(w http.ResponseWriter, r *http.Request, u *user) {
	var v figuresPageView
	err := s.DB.Update(r.Context(), func(tx *storage.Tx) (err error) {
		if v, err = s.readFigures(tx, r, u); err != nil {
			return err
		}
		_, err = audit.Append(tx, audit.Entry{Stream: "report/figures", Type: "report.exported", Actor: u.Actor(), At: s.Now(), Rule: v.Version,
			Payload: map[string]string{"from": v.Period.First().String(), "to": v.Period.Last().String(), "unit": v.Unit, "channel": v.Scope.Channel}})
		return err
	})
	if s.figuresFailed(w, r, err) {
		return
	}
	lang := s.lang(r)
	sheet := survey.Sheet{Name: translate(lang, "figures"), Rows: [][]any{{translate(lang, "fig-metric"), translate(lang, "fig-value"), translate(lang, "fig-numerator"), "n", translate(lang, "interval-95"), "", translate(lang, "fig-before"), translate(lang, "fig-baseline"), translate(lang, "formula"), translate(lang, "fig-version")}}}
	for _, g := range v.Groups {
		for _, f := range g.Rows {
			line := []any{f.Metric.Label, f.Text, "", f.N, "", "", "", "", f.Metric.Explain(v.Settings), f.Version}
			if f.Metric.Kind == report.Share {
				line[2] = f.Hits()
			}
			if f.Metric.Kind == report.Share || f.Metric.Kind == report.Satisfaction {
				line[4], line[5] = figureText(f.Metric, f.Interval[0], f.N), figureText(f.Metric, f.Interval[1], f.N)
			}
			if f.Before != nil {
				line[6] = figureText(f.Metric, f.Before.Value, 1)
			}
			if f.Baseline != nil {
				line[7] = figureText(f.Metric, f.Baseline.Value, 1)
			}
			sheet.Rows = append(sheet.Rows, line)
		}
	}
	var book bytes.Buffer
	if err := table.WriteSheets(&book, s.bookBy(u), sheet); err != nil {
		s.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet")
	w.Header().Set("Content-Disposition", `attachment; filename="figures-`+v.Period.First().String()+`-`+v.Period.Last().String()+`.xlsx"`)
	w.Header().Set("Cache-Control", "private, no-store")
	book.WriteTo(w)
}

// FigureOut is a figure of the closed loop in the API.
type FigureOut struct {
	ID       string      `json:"id"`
	Label    string      `json:"label"`
	Formula  string      `json:"formula"`
	Version  string      `json:"version" doc:"of the settings it was counted under"`
	Value    float64     `json:"value" doc:"a share from 0 to 1, a count, or a median in hours"`
	Hits     *int        `json:"hits,omitempty" doc:"numerator of a share"`
	N        int         `json:"n" doc:"denominator, or the count itself"`
	Grades   map[int]int `json:"grades,omitempty" doc:"ratings by stars; 0 is not rated"`
	Interval []float64   `json:"interval,omitempty" doc:"Wilson 95 % of a share"`
	Small    bool        `json:"small,omitempty" doc:"of too few rows to be compared"`
	Before   *ChangeOut  `json:"before,omitempty" doc:"the period of as many days before"`
	Baseline *ChangeOut  `json:"baseline,omitempty"`
}

// ChangeOut is the value a figure is compared with.
type ChangeOut struct {
	Label    string  `json:"label,omitempty"`
	Value    float64 `json:"value"`
	Points   float64 `json:"points" doc:"difference"`
	Relative float64 `json:"relative" doc:"difference as a part of the other value"`
	P        float64 `json:"p" doc:"of the two-proportion test; 1 when it cannot be made"`
}

// figureQuery is what figures can be narrowed to.
type figureQuery struct {
	From    string `query:"from" doc:"first day, YYYY-MM-DD; four weeks back by default"`
	To      string `query:"to" doc:"last day; today by default"`
	Unit    string `query:"unit"`
	Channel string `query:"channel"`
	Kind    string `query:"kind"`
	Colour  string `query:"colour"`
	Source  string `query:"source" enum:",yes,no" doc:"yes: we asked first"`
}

func (q figureQuery) values() url.Values {
	return url.Values{"from": {q.From}, "to": {q.To}, "unit": {q.Unit}, "channel": {q.Channel}, "kind": {q.Kind}, "colour": {q.Colour}, "source": {q.Source}}
}

func (s *Server) apiFigures(ctx context.Context, in *figureQuery) (*listOf[FigureOut], error) {
	by, err := caller(ctx, org.ViewReports)
	if err != nil {
		return nil, err
	}
	var all []report.Figure
	var set report.Settings
	err = s.DB.View(ctx, func(tx *storage.Tx) error {
		f, err := s.readScope(tx, in.values(), by.Role, by.Unit)
		if err != nil {
			return err
		}
		set = s.Figures.At(f.Period)
		all, err = s.Figures.Figures(tx, f.Period, f.Scope)
		return err
	})
	if errors.Is(err, errFigures) {
		return nil, huma.Error422UnprocessableEntity(err.Error())
	}
	if err != nil {
		return nil, s.problemOf("list figures", err)
	}
	return list(all, len(all), func(f report.Figure) FigureOut { return figureOut(f, set) }), nil
}

func figureOut(f report.Figure, set report.Settings) FigureOut {
	out := FigureOut{ID: f.Metric.ID, Label: f.Metric.Label, Formula: f.Metric.Explain(set), Version: f.Version, Value: f.Value, N: f.N, Small: f.Small, Before: changeOut(f.Before), Baseline: changeOut(f.Baseline)}
	switch f.Metric.Kind {
	case report.Share:
		n := f.Hits()
		out.Hits, out.Interval = &n, f.Interval[:]
	case report.Satisfaction:
		out.Grades, out.Interval = f.Grades, f.Interval[:]
	case report.Duration:
		out.Value = f.Spans.Median.Hours()
	}
	return out
}

func changeOut(c *report.Change) *ChangeOut {
	if c == nil {
		return nil
	}
	return &ChangeOut{Label: c.Label, Value: c.Value, Points: c.Points, Relative: c.Relative, P: c.P}
}

// FigureRowOut is one line of the list behind a figure. A ticket that the token may not see has no id.
type FigureRowOut struct {
	Ticket string    `json:"ticket,omitempty"`
	At     time.Time `json:"at"`
	Grade  int       `json:"grade"`
}

func (s *Server) apiFigureList(ctx context.Context, in *struct {
	figureQuery
	Paging
	ID    string `path:"id"`
	Grade int    `query:"grade" minimum:"-1" maximum:"5" default:"-1" doc:"only rows of this grade; -1 for all"`
}) (*listOf[FigureRowOut], error) {
	by, err := caller(ctx, org.ViewReports)
	if err != nil {
		return nil, err
	}
	viewer := ticket.Token(by)
	var rows []FigureRowOut
	var total int
	err = s.DB.View(ctx, func(tx *storage.Tx) error {
		if _, ok := report.Find(in.ID); !ok {
			return storage.ErrNotFound
		}
		f, err := s.readScope(tx, in.values(), by.Role, by.Unit)
		if err != nil {
			return err
		}
		part := report.Whole
		if in.Grade >= 0 {
			part = report.Grade(in.Grade)
		}
		found, n, err := s.Figures.List(tx, in.ID, part, f.Period, f.Scope, in.Limit, in.Offset)
		if err != nil {
			return err
		}
		total = n
		for _, x := range found {
			_, ok, err := s.seen(tx, x.Ticket, viewer)
			if err != nil {
				return err
			}
			row := FigureRowOut{At: x.At, Grade: x.Grade}
			if ok {
				row.Ticket = x.Ticket
			}
			rows = append(rows, row)
		}
		return nil
	})
	if errors.Is(err, errFigures) {
		return nil, huma.Error422UnprocessableEntity(err.Error())
	}
	if err != nil {
		return nil, s.problemOf("list figure", err)
	}
	return list(rows, total, func(r FigureRowOut) FigureRowOut { return r }), nil
}
