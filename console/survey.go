package console

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sort"
	"strings"

	"lianxin/audit"
	"lianxin/org"
	"lianxin/schedule"
	"lianxin/storage"
	"lianxin/survey"
	"lianxin/table"
	"lianxin/ticket"
	"lianxin/workday"
)

func (s *Server) surveyRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /survey", s.may(org.ViewSurvey, s.surveyDay))
	mux.HandleFunc("GET /survey/live", s.may(org.ViewSurvey, s.surveyLive))
	mux.HandleFunc("GET /survey/list", s.may(org.ViewSurvey, s.surveyList))
	mux.HandleFunc("GET /survey/export", s.may(org.ExportData, s.surveyExport))
	mux.HandleFunc("POST /survey/run", s.may(org.RunSurvey, s.surveyRun))
	mux.HandleFunc("POST /survey/import", s.may(org.ImportData, s.surveyImport))
	mux.HandleFunc("GET /replies", s.may(org.SortReplies, s.replies))
	mux.HandleFunc("POST /replies/search", s.may(org.SortReplies, s.replies)) // words of a reply never stand in an address
	mux.HandleFunc("POST /replies/{id}", s.may(org.SortReplies, s.settleReply))
}

// reasonCount is one bar of "why not asked".
type reasonCount struct {
	Code, Label string
	N           int
	Share       float64
}

type surveyView struct {
	Day        workday.Day // of the services
	Prev, Next workday.Day
	Figures    survey.Figures
	Funnel     []survey.Figure
	Not        []reasonCount
	Asked      int
	Last       schedule.Fire
	CanRun     bool
	CanImport  bool
	CanExport  bool
}

func (s *Server) readSurvey(r *http.Request, u *user, day workday.Day) (surveyView, error) {
	v := surveyView{Day: day, Prev: day.Add(-1), Next: day.Add(1), Funnel: []survey.Figure{survey.Planned, survey.Suppressed, survey.Waiting, survey.Sent, survey.Delivered, survey.Replied, survey.Rated},
		CanRun: u.Can(org.RunSurvey), CanImport: u.Can(org.ImportData), CanExport: u.Can(org.ExportData)}
	err := s.DB.View(r.Context(), func(tx *storage.Tx) (err error) {
		if v.Figures, err = s.Survey.Day(tx, day); err != nil {
			return err
		}
		last, err := schedule.Last(tx, "survey.morning", 1)
		if len(last) == 1 {
			v.Last = last[0]
		}
		return err
	})
	v.Not, v.Asked = whyNot(v.Figures.Whole)
	return v, err
}

// whyNot sorts the reasons for not asking by how often they held.
func whyNot(row survey.Row) (reasons []reasonCount, asked int) {
	most := 1
	for code, n := range row.Not {
		reasons = append(reasons, reasonCount{Code: code, Label: survey.WhyNotLabel(code), N: n})
		most = max(most, n)
	}
	sort.Slice(reasons, func(i, j int) bool {
		return reasons[i].N > reasons[j].N || reasons[i].N == reasons[j].N && reasons[i].Code < reasons[j].Code
	})
	for i := range reasons {
		reasons[i].Share = float64(reasons[i].N) / float64(most)
	}
	return reasons, row.Count[survey.Planned] - row.Count[survey.Suppressed]
}

// serviceDay reads ?day=, yesterday by default: the morning asks about yesterday's services.
func (s *Server) serviceDay(w http.ResponseWriter, r *http.Request) (workday.Day, bool) {
	if r.URL.Query().Get("day") == "" {
		return workday.DayOf(s.Now()).Add(-1), true
	}
	return s.dayOf(w, r)
}

func (s *Server) surveyDay(w http.ResponseWriter, r *http.Request, u *user) {
	s.surveyBlock(w, r, u, "")
}

func (s *Server) surveyLive(w http.ResponseWriter, r *http.Request, u *user) {
	s.surveyBlock(w, r, u, "live")
}

func (s *Server) surveyBlock(w http.ResponseWriter, r *http.Request, u *user, block string) {
	day, ok := s.serviceDay(w, r)
	if !ok {
		return
	}
	v, err := s.readSurvey(r, u, day)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.render(w, r, http.StatusOK, "survey", block, "survey", v)
}

type surveyListView struct {
	Day    workday.Day
	Figure survey.Figure
	Reason string // label, when the list is of one reason
	Items  []survey.Item
	Total  int
	Page   int
	Pages  int
	Query  string // of the other pages of this list

	Exclude bool // the reader may propose to leave a rating out
}

// surveyList is the list behind a figure: as many lines as the figure says (I22).
func (s *Server) surveyList(w http.ResponseWriter, r *http.Request, u *user) {
	q := r.URL.Query()
	day, ok := s.serviceDay(w, r)
	if !ok {
		return
	}
	v := surveyListView{Day: day, Figure: survey.Figure(q.Get("figure")), Page: pageOf(q.Get("page"))}
	if v.Figure == "" {
		v.Figure = survey.Planned
	}
	if !slices.Contains(survey.FunnelFigures, v.Figure) {
		s.problem(w, r, http.StatusBadRequest, "bad-request")
		return
	}
	reason, class, unit := q.Get("reason"), q.Get("class"), q.Get("unit")
	v.Exclude = u.Can(org.DetermineTicket)
	err := s.DB.View(r.Context(), func(tx *storage.Tx) (err error) {
		v.Items, v.Total, err = s.Survey.Select(tx, survey.Selection{First: day, Last: day, Figure: v.Figure, Class: class, Unit: unit, Reason: reason,
			Limit: perPage, Offset: (v.Page - 1) * perPage})
		return err
	})
	if err != nil {
		s.fail(w, r, err)
		return
	}
	if reason != "" {
		v.Reason = survey.WhyNotLabel(reason)
	}
	v.Pages = max(1, (v.Total+perPage-1)/perPage)
	q.Del("page")
	v.Query = q.Encode()
	// Who rated how is for the centre's eyes; a unit's people never come here (survey.view), and the rated unit is not
	// among the centre's roles.
	s.render(w, r, http.StatusOK, "survey-list", "", "survey", v)
}

// surveyExport is the day as a workbook: its figures, and its records with numbers and names masked. Each export is an
// event, for data that leaves the house is to be accounted for.
func (s *Server) surveyExport(w http.ResponseWriter, r *http.Request, u *user) {
	day, ok := s.serviceDay(w, r)
	if !ok {
		return
	}
	var sheets []survey.Sheet
	err := s.DB.Update(r.Context(), func(tx *storage.Tx) error {
		figures, err := s.Survey.Day(tx, day)
		if err != nil {
			return err
		}
		items, err := s.Survey.Items(tx, day)
		if err != nil {
			return err
		}
		sheets = append(figures.Sheets(), survey.ItemSheet(items))
		_, err = audit.Append(tx, audit.Entry{Stream: "survey/" + day.String(), Type: "survey.exported", Actor: u.Actor(), At: s.Now(), Payload: map[string]int{"records": len(items)}})
		return err
	})
	var book bytes.Buffer
	if err == nil {
		err = table.WriteSheets(&book, s.bookBy(u), sheets...)
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet")
	w.Header().Set("Content-Disposition", `attachment; filename="survey-`+day.String()+`.xlsx"`)
	w.Header().Set("Cache-Control", "private, no-store")
	book.WriteTo(w)
}

// surveyRun runs the day by hand.
func (s *Server) surveyRun(w http.ResponseWriter, r *http.Request, u *user) {
	day, err := workday.ParseDay(r.PostFormValue("day"))
	if err != nil {
		s.problem(w, r, http.StatusBadRequest, "bad-day")
		return
	}
	if day >= workday.DayOf(s.Now()) {
		s.done(w, r, "/survey?day="+day.String(), translate(s.lang(r), "survey-not-over"))
		return
	}
	res, err := s.Survey.Run(r.Context(), day, survey.RunOptions{})
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.Outbox.Wake()
	s.Hub.Publish(EventSurvey)
	s.done(w, r, "/survey?day="+day.String(), translate(s.lang(r), "survey-ran", res.Planned, res.Asked, res.Already))
}

const maxUpload = 64 << 20

// surveyImport reads an uploaded file of records and shows what became of its lines.
func (s *Server) surveyImport(w http.ResponseWriter, r *http.Request, u *user) {
	r.Body = http.MaxBytesReader(w, r.Body, maxUpload)
	file, header, err := r.FormFile("file")
	if err != nil {
		s.done(w, r, "/survey", translate(s.lang(r), "import-no-file"))
		return
	}
	defer file.Close()
	dry := r.FormValue("dry") != ""
	sum, err := s.Survey.Import(r.Context(), file, header.Filename, survey.ImportOptions{DryRun: dry, By: u.Actor()})
	data := map[string]any{"Sum": sum, "Dry": dry, "Error": ""}
	status := http.StatusOK
	if err != nil {
		s.Log.Warn("console: import records", "err", err)
		data["Error"], status = fmt.Sprint(err), http.StatusUnprocessableEntity
		var header *survey.HeaderError
		if s.lang(r) != "en" && errors.As(err, &header) {
			data["Error"] = header.Reason()
		}
	}
	s.Hub.Publish(EventSurvey)
	s.render(w, r, status, "import", "", "import", data)
}

// ownUnit is the unit whose ratings a reader must not judge; the centre's own people judge all.
func ownUnit(u *user) string {
	if u.Scope.All() {
		return ""
	}
	return u.Unit
}

type repliesView struct {
	Pending   []survey.ReviewItem
	Strangers []survey.ReviewItem
	Latest    []survey.ReviewItem
	Found     []survey.ReviewItem // by the words that were looked for
	Search    string
	Days      int // that were searched
	Kinds     []ticket.Kind
	Error     string
	ErrorID   string
}

func (s *Server) readReplies(r *http.Request, u *user) (v repliesView, err error) {
	v.Kinds, v.Days = ticket.Kinds, 90
	today := workday.DayOf(s.Now())
	err = s.DB.View(r.Context(), func(tx *storage.Tx) (err error) {
		if v.Pending, err = s.Survey.Reviews(tx, ownUnit(u), 100); err != nil {
			return err
		}
		if v.Strangers, err = s.Survey.Strangers(tx, today.Add(-7), today, 50); err != nil {
			return err
		}
		if v.Latest, err = s.Survey.Replies(tx, today.Add(-1), today, 50); err != nil {
			return err
		}
		if v.Search = strings.TrimSpace(r.PostFormValue("q")); v.Search != "" {
			v.Found, err = s.Survey.SearchReplies(tx, v.Search, today.Add(1-v.Days), today, ownUnit(u), 100)
		}
		return err
	})
	return v, err
}

// replies is where a person reads what the reader would not decide.
func (s *Server) replies(w http.ResponseWriter, r *http.Request, u *user) {
	v, err := s.readReplies(r, u)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.render(w, r, http.StatusOK, "replies", "", "replies", v)
}

// settleReply is a person's judgement of one reply.
func (s *Server) settleReply(w http.ResponseWriter, r *http.Request, u *user) {
	var rating int
	fmt.Sscan(r.PostFormValue("rating"), &rating)
	st := survey.Settlement{Outcome: r.PostFormValue("outcome"), Rating: rating, Kind: ticket.Kind(r.PostFormValue("kind")), Note: r.PostFormValue("note")}
	err := s.DB.Update(r.Context(), func(tx *storage.Tx) error {
		_, err := s.Survey.SettleReview(tx, r.PathValue("id"), st, ticket.Staff(u.Staff))
		return err
	})
	refusal, refused := ticket.RefusedWith(err)
	switch {
	case err == nil:
		s.Hub.Publish(EventSurvey)
		s.done(w, r, "/replies", translate(s.lang(r), "reply-settled"))
		return
	case errors.Is(err, storage.ErrNotFound):
		s.problem(w, r, http.StatusNotFound, "not-found")
		return
	case errors.Is(err, survey.ErrNotAllowed):
		s.problem(w, r, http.StatusForbidden, "forbidden")
		return
	case !refused && !errors.Is(err, survey.ErrSettlement) && !errors.Is(err, storage.ErrConflict):
		s.fail(w, r, err)
		return
	}
	v, readErr := s.readReplies(r, u)
	if readErr != nil {
		s.fail(w, r, readErr)
		return
	}
	v.ErrorID, v.Error = r.PathValue("id"), translate(s.lang(r), "reply-incomplete")
	if refused {
		v.Error = refusal.Message
	}
	s.render(w, r, http.StatusUnprocessableEntity, "replies", "", "replies", v)
}
