package console

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"lianxin/audit"
	"lianxin/org"
	"lianxin/storage"
	"lianxin/survey"
	"lianxin/table"
	"lianxin/ticket"
	"lianxin/workday"
)

func (s *Server) surveyMoreRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /survey/figures", s.may(org.ViewSurvey, s.surveyFigures))
	mux.HandleFunc("GET /survey/figures/export", s.may(org.ExportData, s.exportFigures))
	mux.HandleFunc("GET /survey/templates", s.may(org.ViewSurvey, s.surveyTemplates))
	mux.HandleFunc("POST /survey/templates", s.may(org.RunSurvey, s.proposeTemplate))
	mux.HandleFunc("POST /survey/templates/{name}/{version}", s.may(org.RunSurvey, s.decideTemplate))
	mux.HandleFunc("GET /exclusions", s.may(org.DetermineTicket, s.exclusions))
	mux.HandleFunc("POST /exclusions", s.may(org.DetermineTicket, s.proposeExclusion))
	mux.HandleFunc("POST /exclusions/{id}", s.may(org.DetermineTicket, s.decideExclusion))
}

type figuresView struct {
	From, To  workday.Day
	Figures   survey.Figures
	CanExport bool
	Tables    []figuresTable
}

type figuresTable struct {
	Title string // key
	Rows  []survey.Row
	Rank  bool
}

// Shown are the rows with a rate; Few, folded on the page, those with too few ratings for one.
func (t figuresTable) Shown() []survey.Row {
	return slices.DeleteFunc(slices.Clone(t.Rows), func(r survey.Row) bool { return r.Small })
}

// Few are the rows that have too few ratings for a rate.
func (t figuresTable) Few() []survey.Row {
	return slices.DeleteFunc(slices.Clone(t.Rows), func(r survey.Row) bool { return !r.Small })
}

func (s *Server) surveyFigures(w http.ResponseWriter, r *http.Request, u *user) {
	from, to, ok := s.dayRange(r)
	if !ok {
		s.problem(w, r, http.StatusBadRequest, "bad-day")
		return
	}
	v := figuresView{From: from, To: to, CanExport: u.Can(org.ExportData)}
	if err := s.DB.View(r.Context(), func(tx *storage.Tx) (err error) { v.Figures, err = s.Survey.Between(tx, from, to); return err }); err != nil {
		s.fail(w, r, err)
		return
	}
	v.Tables = []figuresTable{{"by-class", v.Figures.ByClass, true}, {"by-unit", v.Figures.ByUnit, true}, {"by-carrier", v.Figures.ByChannel, false}, {"by-day", v.Figures.ByDay, false}}
	if len(v.Figures.ByWindow) > 0 {
		v.Tables = slices.Insert(v.Tables, 2, figuresTable{"by-window", v.Figures.ByWindow, true})
	}
	s.render(w, r, http.StatusOK, "survey-figures", "", "survey-figures", v)
}

// exportFigures is the figures of some days as a workbook, or one of its tables as CSV (?format=csv&table=2). It holds no
// person and no single rating.
func (s *Server) exportFigures(w http.ResponseWriter, r *http.Request, u *user) {
	from, to, ok := s.dayRange(r)
	if !ok {
		s.problem(w, r, http.StatusBadRequest, "bad-day")
		return
	}
	var f survey.Figures
	err := s.DB.Update(r.Context(), func(tx *storage.Tx) (err error) {
		if f, err = s.Survey.Between(tx, from, to); err != nil {
			return err
		}
		_, err = audit.Append(tx, audit.Entry{Stream: "survey/figures", Type: "survey.exported", Actor: u.Actor(), At: s.Now(), Payload: map[string]string{"from": from.String(), "to": to.String()}})
		return err
	})
	if err != nil {
		s.fail(w, r, err)
		return
	}
	var book bytes.Buffer
	sheets, name, kind := f.Sheets(), "survey-"+from.String()+"-"+to.String(), "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
	if r.URL.Query().Get("format") == "csv" {
		n, err := strconv.Atoi(r.URL.Query().Get("table"))
		if err != nil || n < 0 || n >= len(sheets) {
			s.problem(w, r, http.StatusBadRequest, "bad-request")
			return
		}
		name, kind, err = name+".csv", "text/csv; charset=utf-8", table.WriteCSV(&book, sheets[n].CSV())
		if err != nil {
			s.fail(w, r, err)
			return
		}
	} else if err := table.WriteSheets(&book, s.bookBy(u), sheets...); err != nil {
		s.fail(w, r, err)
		return
	} else {
		name += ".xlsx"
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
	w.Header().Set("Cache-Control", "private, no-store")
	book.WriteTo(w)
}

type templatesView struct {
	Texts      []templateText
	Limits     survey.TextLimits
	CanPropose bool
	CanDecide  bool
	Self       string // actor: nobody approves what they wrote
	Error      string
	Name, Body string // what was refused
}

type templateText struct {
	Name     string
	Texts    []string // classes whose text it is
	Reminds  []string // classes whose reminder it is
	InForce  survey.Template
	Preview  []survey.Preview
	Versions []templateVersion
}

type templateVersion struct {
	survey.Template
	Preview []survey.Preview
	By      string
}

// previewUnit is a unit with a name of the usual length.
const previewUnit = "站前派出所"

func (s *Server) readTemplates(r *http.Request, u *user) (v templatesView, err error) {
	cfg := survey.Standard()
	if s.Survey.Config != nil {
		cfg = s.Survey.Config
	}
	v = templatesView{Limits: cfg.Texts, CanPropose: u.Can(org.SetSurvey) || u.Can(org.RunSurvey), CanDecide: u.Can(org.RunSurvey), Self: ticket.Staff(u.Staff).String()}
	day := workday.DayOf(s.Now()).Add(-1)
	err = s.DB.View(r.Context(), func(tx *storage.Tx) error {
		all, err := s.Survey.Templates(tx)
		if err != nil {
			return err
		}
		n, err := readNames(tx, s.lang(r))
		if err != nil {
			return err
		}
		for _, t := range all {
			if len(v.Texts) == 0 || v.Texts[len(v.Texts)-1].Name != t.Name {
				x := templateText{Name: t.Name}
				x.Texts, x.Reminds = s.Survey.UsedBy(t.Name)
				v.Texts = append(v.Texts, x)
			}
			x := &v.Texts[len(v.Texts)-1]
			if t.State == "approved" && x.InForce.Body == "" {
				x.InForce, x.Preview = t, s.Survey.Previews(t.Name, t.Body, previewUnit, day)
			}
			ver := templateVersion{Template: t, By: n.Who(t.Author)}
			if t.State == "proposed" {
				ver.Preview = s.Survey.Previews(t.Name, t.Body, previewUnit, day)
			}
			x.Versions = append(x.Versions, ver)
		}
		return nil
	})
	return v, err
}

func (s *Server) surveyTemplates(w http.ResponseWriter, r *http.Request, u *user) {
	v, err := s.readTemplates(r, u)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.render(w, r, http.StatusOK, "survey-templates", "", "survey-templates", v)
}

func (s *Server) proposeTemplate(w http.ResponseWriter, r *http.Request, u *user) {
	name, body := r.PostFormValue("name"), r.PostFormValue("body")
	err := s.DB.Update(r.Context(), func(tx *storage.Tx) error {
		_, err := s.Survey.ProposeTemplate(tx, name, body, ticket.Staff(u.Staff))
		return err
	})
	s.templateDone(w, r, u, err, "template-proposed", name, body)
}

func (s *Server) decideTemplate(w http.ResponseWriter, r *http.Request, u *user) {
	version, _ := strconv.Atoi(r.PathValue("version"))
	approve := r.PostFormValue("do") == "approve"
	err := s.DB.Update(r.Context(), func(tx *storage.Tx) error {
		_, err := s.Survey.DecideTemplate(tx, r.PathValue("name"), version, approve, r.PostFormValue("note"), ticket.Staff(u.Staff))
		return err
	})
	done := "template-rejected"
	if approve {
		done = "template-approved"
	}
	s.templateDone(w, r, u, err, done, "", "")
}

// templateDone answers a command on a text: with the page and what is wrong, or with what was done.
func (s *Server) templateDone(w http.ResponseWriter, r *http.Request, u *user, err error, done, name, body string) {
	switch {
	case err == nil:
		s.done(w, r, "/survey/templates", translate(s.lang(r), done))
		return
	case errors.Is(err, survey.ErrNotAllowed):
		s.problem(w, r, http.StatusForbidden, "forbidden")
		return
	case errors.Is(err, storage.ErrNotFound):
		s.problem(w, r, http.StatusNotFound, "not-found")
		return
	case errors.Is(err, storage.ErrConflict):
		s.done(w, r, "/survey/templates", translate(s.lang(r), "settle-gone"))
		return
	case !errors.Is(err, survey.ErrTemplate):
		s.fail(w, r, err)
		return
	}
	v, readErr := s.readTemplates(r, u)
	if readErr != nil {
		s.fail(w, r, readErr)
		return
	}
	_, why, _ := strings.Cut(fmt.Sprint(err), survey.ErrTemplate.Error()+": ")
	v.Error, v.Name, v.Body = translate(s.lang(r), "template-refused", why), name, body
	s.render(w, r, http.StatusUnprocessableEntity, "survey-templates", "", "survey-templates", v)
}

type exclusionsView struct {
	Ask   string
	Rated *survey.Ask // of ?ask=, when it has a rating that counts
	Unit  string
	Rows  []exclusionRow
}

type exclusionRow struct {
	survey.Exclusion
	UnitName, By string
	Own          bool // the reader has proposed it
}

// exclusions is where two persons of different units leave a rating out of the official rate. Whose rating it is does not
// stand here.
func (s *Server) exclusions(w http.ResponseWriter, r *http.Request, u *user) {
	v := exclusionsView{Ask: r.URL.Query().Get("ask")}
	err := s.DB.View(r.Context(), func(tx *storage.Tx) error {
		n, err := readNames(tx, s.lang(r))
		if err != nil {
			return err
		}
		if v.Ask != "" && u.Can(org.ViewSurvey) {
			k, err := survey.AskOf(tx, v.Ask)
			if err == nil && k.Rating > 0 {
				v.Rated, v.Unit = &k, n.Unit(k.Unit)
			} else if err != nil && !errors.Is(err, storage.ErrNotFound) {
				return err
			}
		}
		all, err := survey.Exclusions(tx, 200)
		for _, x := range all {
			if u.Unit != "" && (x.Unit == u.Unit || n.below(u.Unit, x.Unit)) {
				continue // nobody judges a rating of their own unit, nor learns of it
			}
			v.Rows = append(v.Rows, exclusionRow{x, n.Unit(x.Unit), n.Who(x.ProposedBy), x.ProposedBy == ticket.Staff(u.Staff).String()})
		}
		return err
	})
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.render(w, r, http.StatusOK, "exclusions", "", "exclusions", v)
}

func (s *Server) proposeExclusion(w http.ResponseWriter, r *http.Request, u *user) {
	if !u.Can(org.ViewSurvey) {
		s.problem(w, r, http.StatusForbidden, "forbidden")
		return
	}
	err := s.DB.Update(r.Context(), func(tx *storage.Tx) error {
		_, err := s.Survey.ProposeExclusion(tx, r.PostFormValue("ask"), r.PostFormValue("reason"), ticket.Staff(u.Staff))
		return err
	})
	s.exclusionDone(w, r, err, "exclusion-proposed")
}

func (s *Server) decideExclusion(w http.ResponseWriter, r *http.Request, u *user) {
	agree := r.PostFormValue("do") == "agree"
	err := s.DB.Update(r.Context(), func(tx *storage.Tx) error {
		_, err := s.Survey.DecideExclusion(tx, r.PathValue("id"), agree, r.PostFormValue("note"), ticket.Staff(u.Staff))
		return err
	})
	done := "exclusion-rejected"
	if agree {
		done = "exclusion-agreed"
	}
	s.exclusionDone(w, r, err, done)
}

func (s *Server) exclusionDone(w http.ResponseWriter, r *http.Request, err error, done string) {
	switch {
	case err == nil:
		s.Hub.Publish(EventSurvey)
		s.done(w, r, "/exclusions", translate(s.lang(r), done))
	case errors.Is(err, survey.ErrNotAllowed):
		s.done(w, r, "/exclusions", translate(s.lang(r), "exclusion-not-you"))
	case errors.Is(err, storage.ErrConflict):
		s.done(w, r, "/exclusions", translate(s.lang(r), "settle-gone"))
	case errors.Is(err, survey.ErrSettlement):
		s.done(w, r, "/exclusions", translate(s.lang(r), "exclusion-why"))
	case errors.Is(err, storage.ErrNotFound):
		s.problem(w, r, http.StatusNotFound, "not-found")
	default:
		s.fail(w, r, err)
	}
}
