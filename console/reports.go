package console

import (
	"bytes"
	"context"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"lianxin/audit"
	"lianxin/org"
	"lianxin/report"
	"lianxin/storage"
	"lianxin/survey/poll"
	"lianxin/ticket"
	"lianxin/workday"
)

// reportRoutes are the editions of reports: drafted, reviewed by a second person, published and then locked (I18).
func (s *Server) reportRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /reports", s.may(org.ViewReports, s.reportList))
	mux.HandleFunc("POST /reports", s.may(org.DraftReport, s.draftReport))
	mux.HandleFunc("GET /reports/{id}", s.may(org.ViewReports, s.reportPage))
	mux.HandleFunc("GET /reports/{id}/diff", s.may(org.ViewReports, s.reportDiff))
	mux.HandleFunc("GET /reports/{id}/export", s.may(org.ViewReports, s.reportExport))
	mux.HandleFunc("POST /reports/{id}/act/{action}", s.may(org.ViewReports, s.actOnReport))
}

func (s *Server) reportAPI(api huma.API) {
	huma.Get(api, "/api/v1/reports", s.apiReports, named("list-reports", "Editions of reports, the latest period first; drafts for those who work on them"))
	huma.Get(api, "/api/v1/reports/{id}", s.apiReport, named("get-report", "One edition as it was printed, with its sum, what was corrected since, and its difference to the version before"))
}

type reportListView struct {
	Rows        []reportRow
	Kinds       []report.EditionKind
	Kind        report.EditionKind
	Old         bool
	Total       int
	Page, Pages int
	May         bool // draft
	Error       string
	Typed       report.Drafting
	Day         string
	From, To    string
	Units       []option
	Channels    []ticket.Channel
	Polls       []poll.Poll // that are over
	Now         bool        // count up to now, not as it stood at the end of the period
}

type reportRow struct {
	report.Edition
	By string
}

func (s *Server) reportList(w http.ResponseWriter, r *http.Request, u *user) {
	s.showReports(w, r, u, http.StatusOK, func(*reportListView) {})
}

func (s *Server) showReports(w http.ResponseWriter, r *http.Request, u *user, status int, more func(*reportListView)) {
	q := r.URL.Query()
	yesterday := workday.DayOf(s.Now()).Add(-1)
	v := reportListView{Kinds: report.EditionKinds, Kind: report.EditionKind(q.Get("kind")), Old: q.Get("old") != "", Page: pageOf(q.Get("page")), May: u.Can(org.DraftReport),
		Day: yesterday.String(), From: yesterday.Add(-27).String(), To: yesterday.String(), Typed: report.Drafting{Kind: report.Daily}}
	err := s.DB.View(r.Context(), func(tx *storage.Tx) error {
		list, total, err := s.Figures.Editions(tx, report.EditionFilter{Viewer: ticket.Staff(u.Staff), Kind: v.Kind, Old: v.Old, Limit: perPage, Offset: (v.Page - 1) * perPage})
		if err != nil {
			return err
		}
		n, err := readNames(tx, s.lang(r))
		if err != nil {
			return err
		}
		for _, e := range list {
			v.Rows = append(v.Rows, reportRow{e, n.Who(e.Author)})
		}
		v.Total, v.Pages = total, max(1, (total+perPage-1)/perPage)
		if v.May {
			v.Units = n.unitOptions()
			all, err := s.Office.Channels(tx)
			if err != nil {
				return err
			}
			if s.Polls != nil {
				if v.Polls, err = s.Polls.Over(tx, ticket.Staff(u.Staff), 50); err != nil {
					return err
				}
			}
			v.Channels = slices.DeleteFunc(all, func(c ticket.Channel) bool { return c.Restricted && !u.Can(org.ViewRestricted) })
		}
		return nil
	})
	if err != nil {
		s.fail(w, r, err)
		return
	}
	more(&v)
	s.render(w, r, status, "reports", "", "reports", v)
}

// Q is the query of the same list, on another page.
func (v reportListView) Q(page int) string {
	q := url.Values{"page": {strconv.Itoa(page)}}
	if v.Kind != "" {
		q.Set("kind", string(v.Kind))
	}
	if v.Old {
		q.Set("old", "1")
	}
	return "?" + q.Encode()
}

// draftReport counts a period into a draft.
func (s *Server) draftReport(w http.ResponseWriter, r *http.Request, u *user) {
	in, ok := s.form(w, r)
	if !ok {
		return
	}
	d := report.Drafting{Kind: report.EditionKind(in.text("kind")), Title: in.text("title"), Scope: report.SpecialScope{Unit: in.text("unit"), Channel: in.text("channel"), Kind: in.text("type"), Colour: in.text("colour"), Poll: in.text("poll")}}
	var e report.Edition
	err := func() error {
		day, err := workday.ParseDay(in.text("day"))
		if d.Kind == report.Special {
			var from, to workday.Day
			if from, err = workday.ParseDay(in.text("from")); err == nil {
				to, err = workday.ParseDay(in.text("to"))
			}
			d.Period = report.Days(from, to)
		}
		if err != nil {
			return &ticket.Refusal{Code: "day", Message: translate(s.lang(r), "report-day")}
		}
		d.Day = day
		if in.on("past") {
			e, err = s.Figures.DraftPast(r.Context(), s.DB, d, ticket.Staff(u.Staff))
			return err
		}
		return s.DB.Update(r.Context(), func(tx *storage.Tx) (err error) {
			e, err = s.Figures.DraftEdition(tx, d, ticket.Staff(u.Staff))
			return err
		})
	}()
	refusal, refused := ticket.RefusedWith(err)
	switch {
	case refused:
		s.showReports(w, r, u, statusOf(refusal), func(v *reportListView) {
			v.Error, v.Typed, v.Day, v.From, v.To, v.Now = refusal.Message, d, in.text("day"), in.text("from"), in.text("to"), !in.on("past")
		})
	case err != nil:
		s.fail(w, r, err)
	default:
		s.done(w, r, "/reports/"+e.ID, translate(s.lang(r), "report-drafted"))
	}
}

type reportView struct {
	report.Edition
	Groups                       []reportGroup
	By, ReviewedBy, PublishedBy  string
	Versions                     []report.Edition
	Before                       string // id of the version it corrects
	Since                        []report.Later
	Corrections                  int
	Changes                      []report.Difference
	Receipts                     []reportReceipt
	MayEdit, MayReview, MayIssue bool
	MaySendBack, MayCorrect      bool
	MayReceive                   bool
	Error                        string
	Typed                        *report.Words
}

type reportGroup struct {
	Label string // key
	Lines []report.Line
}

type reportReceipt struct {
	Unit, Who string
	At        time.Time
}

// Bar is the share of the longest bar that a cell's number is, 0 … 100.
func (v reportView) Bar(g report.Grid, row []string) int {
	number := func(r []string) float64 {
		if g.Bars < 1 || g.Bars > len(r) {
			return 0
		}
		n, _ := strconv.ParseFloat(strings.TrimSuffix(r[g.Bars-1], "%"), 64)
		return n
	}
	top := 0.0
	for _, r := range g.Rows {
		top = max(top, number(r))
	}
	if top == 0 {
		return 0
	}
	return int(100*number(row)/top + 0.5)
}

// Week is the query of the figures as they stand now.
func (v reportView) Week() string {
	return "?" + url.Values{"from": {v.Period.First().String()}, "to": {v.Period.Last().String()}, "unit": {v.Scope.Unit}, "channel": {v.Scope.Channel}}.Encode()
}

func (s *Server) readReport(tx *storage.Tx, id, lang string, u *user) (v reportView, err error) {
	viewer := ticket.Staff(u.Staff)
	if v.Edition, err = s.Figures.Edition(tx, id, viewer); err != nil {
		return v, err
	}
	n, err := readNames(tx, lang)
	if err != nil {
		return v, err
	}
	v.By, v.ReviewedBy, v.PublishedBy = n.Who(v.Author), n.Who(v.Reviewer), n.Who(v.Publisher)
	for _, l := range v.Content.Lines {
		if i := len(v.Groups) - 1; i < 0 || v.Groups[i].Label != "fig-group-"+l.Group {
			v.Groups = append(v.Groups, reportGroup{Label: "fig-group-" + l.Group})
		}
		g := &v.Groups[len(v.Groups)-1]
		g.Lines = append(g.Lines, l)
	}
	if v.Versions, _, err = s.Figures.Editions(tx, report.EditionFilter{Viewer: viewer, Series: v.Series, Old: true, Limit: 100}); err != nil {
		return v, err
	}
	if v.Corrects != "" {
		before, err := s.Figures.Edition(tx, v.Corrects, viewer)
		if err != nil && !errors.Is(err, storage.ErrNotFound) {
			return v, err
		}
		if err == nil {
			v.Before, v.Changes = before.ID, report.Diff(before.Content, v.Content)
		}
	}
	if v.State == report.Published {
		if v.Since, err = s.Figures.Since(tx, v.Edition); err != nil {
			return v, err
		}
		for _, l := range v.Since {
			if l.Correction {
				v.Corrections++
			}
		}
		all, err := s.Figures.Receipts(tx, id)
		if err != nil {
			return v, err
		}
		mine := false
		for _, x := range all {
			v.Receipts = append(v.Receipts, reportReceipt{n.Unit(x.Unit), n.Who("staff/" + x.Staff), x.At})
			mine = mine || x.Unit == u.Unit
		}
		v.MayReceive = u.Role.Reach() == org.ReachUnit && !mine && v.Newest
	}
	open := v.State == report.Draft || v.State == report.Reviewed
	v.MayEdit, v.MayReview, v.MayIssue = open && u.Can(org.DraftReport), v.State == report.Draft && u.Can(org.ReviewReport), v.State == report.Reviewed && u.Can(org.IssueReport)
	v.MaySendBack = v.State == report.Reviewed && (u.Can(org.ReviewReport) || u.Can(org.IssueReport))
	v.MayCorrect = v.State == report.Published && v.Newest && u.Can(org.DraftReport) && !slices.ContainsFunc(v.Versions, func(e report.Edition) bool {
		return e.Version > v.Version && (e.State == report.Draft || e.State == report.Reviewed)
	})
	return v, nil
}

func (s *Server) reportPage(w http.ResponseWriter, r *http.Request, u *user) {
	s.showReport(w, r, u, http.StatusOK, func(*reportView) {})
}

func (s *Server) showReport(w http.ResponseWriter, r *http.Request, u *user, status int, more func(*reportView)) {
	var v reportView
	err := s.DB.View(r.Context(), func(tx *storage.Tx) (err error) {
		v, err = s.readReport(tx, r.PathValue("id"), s.lang(r), u)
		return err
	})
	if s.figuresFailed(w, r, err) {
		return
	}
	more(&v)
	s.render(w, r, status, "report", "", "reports", v)
}

// reportDiff is what a version says otherwise than the one it corrects.
func (s *Server) reportDiff(w http.ResponseWriter, r *http.Request, u *user) {
	var v reportView
	err := s.DB.View(r.Context(), func(tx *storage.Tx) (err error) {
		v, err = s.readReport(tx, r.PathValue("id"), s.lang(r), u)
		return err
	})
	if err == nil && v.Before == "" {
		err = storage.ErrNotFound
	}
	if s.figuresFailed(w, r, err) {
		return
	}
	s.render(w, r, http.StatusOK, "report-diff", "", "reports", v)
}

func (s *Server) actOnReport(w http.ResponseWriter, r *http.Request, u *user) {
	in, ok := s.form(w, r)
	if !ok {
		return
	}
	id, by := r.PathValue("id"), ticket.Staff(u.Staff)
	words := report.Words{Summary: in.text("summary"), Causes: in.text("causes"), Work: in.text("work")}
	acts := map[string]func(tx *storage.Tx) (report.Edition, error){
		"edit":      func(tx *storage.Tx) (report.Edition, error) { return s.Figures.Edit(tx, id, words, by) },
		"recount":   func(tx *storage.Tx) (report.Edition, error) { return s.Figures.RecountEdition(tx, id, by) },
		"review":    func(tx *storage.Tx) (report.Edition, error) { return s.Figures.Review(tx, id, by) },
		"publish":   func(tx *storage.Tx) (report.Edition, error) { return s.Figures.Publish(tx, id, by) },
		"send-back": func(tx *storage.Tx) (report.Edition, error) { return s.Figures.SendBack(tx, id, in.text("reason"), by) },
		"discard":   func(tx *storage.Tx) (report.Edition, error) { return s.Figures.Discard(tx, id, by) },
		"correct":   func(tx *storage.Tx) (report.Edition, error) { return s.Figures.Correct(tx, id, in.text("reason"), by) },
		"receive": func(tx *storage.Tx) (report.Edition, error) {
			return report.Edition{ID: id}, s.Figures.Acknowledge(tx, id, by)
		},
	}
	act, known := acts[r.PathValue("action")]
	if !known {
		s.problem(w, r, http.StatusNotFound, "not-found")
		return
	}
	var e report.Edition
	err := s.DB.Update(r.Context(), func(tx *storage.Tx) error {
		if _, err := s.Figures.Edition(tx, id, by); err != nil {
			return err
		}
		var err error
		e, err = act(tx)
		return err
	})
	refusal, refused := ticket.RefusedWith(err)
	switch {
	case refused:
		s.showReport(w, r, u, statusOf(refusal), func(v *reportView) {
			if v.Error = refusal.Message; r.PathValue("action") == "edit" {
				v.Typed = &words
			}
		})
	case errors.Is(err, storage.ErrNotFound):
		s.problem(w, r, http.StatusNotFound, "not-found")
	case err != nil:
		s.fail(w, r, err)
	default:
		s.done(w, r, "/reports/"+e.ID, translate(s.lang(r), "report-done-"+r.PathValue("action")))
	}
}

// reportExport is an edition as a file, marked with who took it and when; the log keeps it.
func (s *Server) reportExport(w http.ResponseWriter, r *http.Request, u *user) {
	as := r.URL.Query().Get("as")
	if as != "docx" && as != "xlsx" {
		s.problem(w, r, http.StatusBadRequest, "bad-request")
		return
	}
	var e report.Edition
	now := s.Now()
	id := storage.NewID()
	err := s.DB.Update(r.Context(), func(tx *storage.Tx) (err error) {
		if e, err = s.Figures.Edition(tx, r.PathValue("id"), ticket.Staff(u.Staff)); err != nil {
			return err
		}
		_, err = audit.Append(tx, audit.Entry{Stream: report.EditionStream(e.ID), Type: "edition.exported", Actor: u.Actor(), At: now, Rule: e.Metrics, Payload: map[string]string{"as": as, "export": id, "sum": e.Sum}})
		return err
	})
	if s.figuresFailed(w, r, err) {
		return
	}
	mark := "导出人 " + u.Name + "　" + now.In(workday.Zone).Format("2006-01-02 15:04:05") + "　编号 " + id
	if e.State != report.Published {
		mark = "未发布，不得外传　" + mark
	}
	var out bytes.Buffer
	media := "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
	if as == "docx" {
		media = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
		err = e.WriteDOCX(&out, mark)
	} else {
		err = e.WriteXLSX(&out, mark)
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", media)
	w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": e.Title + "第" + strconv.Itoa(e.Version) + "版." + as}))
	w.Header().Set("Cache-Control", "private, no-store")
	out.WriteTo(w)
}

// ReportOut is an edition in lists of the API.
type ReportOut struct {
	ID          string     `json:"id"`
	Series      string     `json:"series"`
	Version     int        `json:"version"`
	Kind        string     `json:"kind" enum:"daily,weekly,monthly,special"`
	From        string     `json:"from"`
	To          string     `json:"to"`
	State       string     `json:"state" enum:"DRAFT,REVIEWED,PUBLISHED,DISCARDED"`
	Title       string     `json:"title"`
	Newest      bool       `json:"newest" doc:"no later version is published"`
	Corrects    string     `json:"corrects,omitempty" doc:"id of the version it takes the place of"`
	Reason      string     `json:"reason,omitempty" doc:"of the correction"`
	Sum         string     `json:"sum" doc:"SHA-256 of the content; in the log, too"`
	Metrics     string     `json:"metrics" doc:"version of the figures' settings"`
	CutOff      time.Time  `json:"cut_off" doc:"facts up to this moment are in it"`
	PublishedAt *time.Time `json:"published_at,omitempty"`
}

func reportOut(e report.Edition) ReportOut {
	return ReportOut{ID: e.ID, Series: e.Series, Version: e.Version, Kind: string(e.Kind), From: e.Period.First().String(), To: e.Period.Last().String(), State: string(e.State), Title: e.Title,
		Newest: e.Newest, Corrects: e.Corrects, Reason: e.Reason, Sum: e.Sum, Metrics: e.Metrics, CutOff: e.CutOff.In(workday.Zone), PublishedAt: stampOrNil(e.PublishedAt)}
}

// LaterOut is a figure that stands otherwise by now than it was printed.
type LaterOut struct {
	ID         string `json:"id" doc:"of the figure"`
	Label      string `json:"label"`
	Printed    string `json:"printed"`
	Now        string `json:"now"`
	Correction bool   `json:"correction" doc:"facts of the period were corrected; false: matters only went on"`
}

// DifferenceOut is a place where a version says something else than the one it corrects.
type DifferenceOut struct {
	Section string `json:"section"`
	Place   string `json:"place"`
	Old     string `json:"old"`
	New     string `json:"new"`
}

// ReportFullOut is an edition whole.
type ReportFullOut struct {
	ReportOut
	Content report.Content  `json:"content"`
	Since   []LaterOut      `json:"since"`
	Changes []DifferenceOut `json:"changes"`
}

func (s *Server) apiReports(ctx context.Context, in *struct {
	Paging
	Kind string `query:"kind" enum:",daily,weekly,monthly,special"`
	Old  bool   `query:"old" doc:"earlier versions and discarded drafts, too"`
}) (*listOf[ReportOut], error) {
	return listed(ctx, s, "list reports", org.ViewReports, func(tx *storage.Tx, by ticket.Actor) ([]report.Edition, int, error) {
		return s.Figures.Editions(tx, report.EditionFilter{Viewer: by, Kind: report.EditionKind(in.Kind), Old: in.Old, Limit: in.Limit, Offset: in.Offset})
	}, reportOut)
}

func (s *Server) apiReport(ctx context.Context, in *struct {
	ID string `path:"id"`
}) (*struct{ Body ReportFullOut }, error) {
	by, err := caller(ctx, org.ViewReports)
	if err != nil {
		return nil, err
	}
	out := ReportFullOut{Since: []LaterOut{}, Changes: []DifferenceOut{}}
	err = s.DB.View(ctx, func(tx *storage.Tx) error {
		e, err := s.Figures.Edition(tx, in.ID, ticket.Token(by))
		if err != nil {
			return err
		}
		out.ReportOut, out.Content = reportOut(e), e.Content
		if e.State == report.Published {
			since, err := s.Figures.Since(tx, e)
			if err != nil {
				return err
			}
			for _, l := range since {
				out.Since = append(out.Since, LaterOut(l))
			}
		}
		if e.Corrects == "" {
			return nil
		}
		before, err := s.Figures.Edition(tx, e.Corrects, ticket.Token(by))
		for _, d := range report.Diff(before.Content, e.Content) {
			out.Changes = append(out.Changes, DifferenceOut(d))
		}
		return err
	})
	if err != nil {
		return nil, s.problemOf("get report", err)
	}
	return &struct{ Body ReportFullOut }{out}, nil
}
