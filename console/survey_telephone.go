package console

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"lianxin/org"
	"lianxin/storage"
	"lianxin/survey"
	"lianxin/workday"
)

// telephoneRoutes are whom the hotline asks by telephone because no text reaches them.
func (s *Server) telephoneRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /survey/telephone", s.may(org.ViewSurvey, s.telephoneList))
	mux.HandleFunc("GET /survey/telephone/live", s.may(org.ViewSurvey, s.telephoneLive))
	mux.HandleFunc("POST /survey/telephone", s.may(org.RunSurvey, s.telephoneAdd))
	mux.HandleFunc("POST /survey/telephone/switch", s.may(org.RunSurvey, s.telephoneSwitch))
	mux.HandleFunc("POST /survey/telephone/now", s.may(org.RunSurvey, s.telephoneNow))
	mux.HandleFunc("POST /survey/telephone/{id}/remove", s.may(org.RunSurvey, s.telephoneRemove))
}

type telephoneView struct {
	Rules    survey.Telephoning
	Classes  []string // of which anybody is asked by telephone
	All      []survey.Class
	Works    bool      // the program rings
	Open     bool      // within the hours, on a day for it
	Next     time.Time // when that is so again
	Switch   survey.Switch
	Switched string // by whom
	Counts   []telephoneCount
	LastHour int
	State    survey.CalleeState
	Rows     []telephoneRow
	Total    int
	Page     int
	Pages    int
	MayRun   bool
	MayCalls bool
	Error    string
	Source   string
}

type telephoneCount struct {
	State survey.CalleeState
	N     int
}

type telephoneRow struct {
	survey.CalleeItem
	By string
}

func (s *Server) readTelephone(r *http.Request, u *user) (v telephoneView, ok bool, err error) {
	q := r.URL.Query()
	v = telephoneView{State: survey.CalleeState(q.Get("state")), Page: pageOf(q.Get("page")), Works: s.RingSurvey != nil, MayRun: u.Can(org.RunSurvey), MayCalls: u.Can(org.ViewCalls)}
	if v.State != "" && !slices.Contains(survey.CalleeStates, v.State) {
		return v, false, nil
	}
	v.Rules, v.Classes = s.Survey.Telephoning()
	v.All = s.Survey.Classes()
	now := s.Now()
	v.Next = s.Survey.MayRing(now)
	v.Open = v.Next.Equal(now)
	err = s.DB.View(r.Context(), func(tx *storage.Tx) error {
		n, err := readNames(tx, s.lang(r))
		if err != nil {
			return err
		}
		if v.Switch, err = survey.TelephoneSwitch(tx); err != nil {
			return err
		}
		v.Switched = n.Who(v.Switch.By)
		byState, hour, err := s.Survey.CalleeCounts(tx)
		if err != nil {
			return err
		}
		v.LastHour = hour
		for _, st := range survey.CalleeStates {
			v.Counts = append(v.Counts, telephoneCount{st, byState[st]})
		}
		rows, total, err := s.Survey.Callees(tx, v.State, perPage, (v.Page-1)*perPage)
		for _, x := range rows {
			v.Rows = append(v.Rows, telephoneRow{x, n.Who(x.AddedBy)})
		}
		v.Total, v.Pages = total, max(1, (total+perPage-1)/perPage)
		return err
	})
	return v, true, err
}

func (s *Server) telephoneList(w http.ResponseWriter, r *http.Request, u *user) {
	s.showTelephone(w, r, u, "")
}

func (s *Server) telephoneLive(w http.ResponseWriter, r *http.Request, u *user) {
	s.showTelephone(w, r, u, "live")
}

func (s *Server) showTelephone(w http.ResponseWriter, r *http.Request, u *user, block string) {
	v, ok, err := s.readTelephone(r, u)
	switch {
	case err != nil:
		s.fail(w, r, err)
	case !ok:
		s.problem(w, r, http.StatusBadRequest, "bad-request")
	default:
		s.render(w, r, http.StatusOK, "survey-telephone", block, "survey-telephone", v)
	}
}

// telephoneAdd puts somebody on the list who has asked to be rung.
func (s *Server) telephoneAdd(w http.ResponseWriter, r *http.Request, u *user) {
	source := strings.TrimSpace(r.PostFormValue("source"))
	err := s.DB.Update(r.Context(), func(tx *storage.Tx) error {
		_, err := s.Survey.AskByTelephone(tx, r.PostFormValue("class"), source, u.Actor())
		return err
	})
	if err == nil {
		s.ringSurvey()
		s.done(w, r, "/survey/telephone", translate(s.lang(r), "telephone-added"))
		return
	}
	v, _, readErr := s.readTelephone(r, u)
	switch {
	case readErr != nil:
		s.fail(w, r, readErr)
		return
	case errors.Is(err, storage.ErrNotFound):
		v.Error = translate(s.lang(r), "telephone-no-record")
	case errors.Is(err, survey.ErrListed):
		_, why, _ := strings.Cut(err.Error(), survey.ErrListed.Error()+": ")
		v.Error = translate(s.lang(r), "telephone-not-added", why)
	default:
		s.fail(w, r, err)
		return
	}
	v.Source = source
	s.render(w, r, http.StatusUnprocessableEntity, "survey-telephone", "", "survey-telephone", v)
}

func (s *Server) telephoneSwitch(w http.ResponseWriter, r *http.Request, u *user) {
	paused := r.PostFormValue("do") == "pause"
	reason := strings.TrimSpace(r.PostFormValue("reason"))
	if len([]rune(reason)) > 200 || paused && reason == "" {
		s.problem(w, r, http.StatusUnprocessableEntity, "reason-needed")
		return
	}
	err := s.DB.Update(r.Context(), func(tx *storage.Tx) error { return s.Survey.PauseTelephone(tx, paused, reason, u.Actor()) })
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.ringSurvey()
	key := "telephone-resumed"
	if paused {
		key = "telephone-paused"
	}
	s.done(w, r, "/survey/telephone", translate(s.lang(r), key))
}

// telephoneNow looks for people who are to be asked by telephone now, and rings who is due.
func (s *Server) telephoneNow(w http.ResponseWriter, r *http.Request, u *user) {
	n, err := s.Survey.Enlist(r.Context())
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.ringSurvey()
	s.done(w, r, "/survey/telephone", translate(s.lang(r), "telephone-listed", n))
}

func (s *Server) telephoneRemove(w http.ResponseWriter, r *http.Request, u *user) {
	err := s.DB.Update(r.Context(), func(tx *storage.Tx) error { return s.Survey.RemoveCallee(tx, r.PathValue("id"), u.Actor()) })
	switch {
	case errors.Is(err, storage.ErrNotFound):
		s.problem(w, r, http.StatusNotFound, "not-found")
	case err != nil:
		s.fail(w, r, err)
	default:
		s.Hub.Publish(EventSurvey)
		s.done(w, r, "/survey/telephone", translate(s.lang(r), "telephone-removed"))
	}
}

// ringSurvey wakes whoever rings, and the pages.
func (s *Server) ringSurvey() {
	if s.RingSurvey != nil {
		s.RingSurvey()
	}
	s.Hub.Publish(EventSurvey)
}

func (s *Server) telephoneAPI(api huma.API) {
	huma.Get(api, "/api/v1/survey/telephone", s.apiTelephone, named("list-survey-calls", "Whom the hotline asks by telephone because no text reaches them, and what came of it"))
	huma.Post(api, "/api/v1/survey/telephone", s.apiTelephoneAdd, named("add-survey-call", "Ask the person of a record by telephone, because they wish it"), created)
	huma.Delete(api, "/api/v1/survey/telephone/{id}", s.apiTelephoneRemove, named("remove-survey-call", "Take somebody off the list of calls"))
	huma.Put(api, "/api/v1/survey/telephone/switch", s.apiTelephoneSwitch, named("switch-survey-calls", "Pause the calls of the survey, or let them go on"))
}

// CalleeOut is somebody who is asked by telephone.
type CalleeOut struct {
	ID       string     `json:"id"`
	Number   string     `json:"number" doc:"masked"`
	Class    string     `json:"class"`
	Source   string     `json:"source" doc:"serial number of the record"`
	Unit     string     `json:"unit"`
	Why      string     `json:"why" enum:"fixed_line,undelivered,wish"`
	State    string     `json:"state" enum:"waiting,calling,rated,unrated,unreached,dropped,expired"`
	Outcome  string     `json:"outcome,omitempty" doc:"of the last call, or why nobody is rung"`
	Label    string     `json:"label,omitempty" doc:"outcome, zh-CN"`
	Tries    int        `json:"tries"`
	Due      *time.Time `json:"due,omitempty" doc:"waiting: rung at the earliest"`
	NotAfter time.Time  `json:"not_after"`
	CallID   string     `json:"call_id,omitempty" doc:"of the last call"`
	Done     *time.Time `json:"done,omitempty"`
}

func calleeOut(c survey.CalleeItem) CalleeOut {
	o := CalleeOut{ID: c.ID, Number: c.Number, Class: c.Class, Source: c.SourceID, Unit: c.Unit, Why: c.Why, State: string(c.State), Outcome: c.Outcome, Label: c.OutcomeLabel(),
		Tries: c.Tries, NotAfter: c.NotAfter.In(workday.Zone), CallID: c.CallID, Done: stampOrNil(c.DoneAt)}
	if c.State == survey.CalleeWaiting {
		o.Due = stampOrNil(c.Due)
	}
	return o
}

func (s *Server) apiTelephone(ctx context.Context, in *struct {
	State  string `query:"state" enum:"waiting,calling,rated,unrated,unreached,dropped,expired"`
	Limit  int    `query:"limit" minimum:"1" maximum:"500" default:"100"`
	Offset int    `query:"offset" minimum:"0"`
}) (*listOf[CalleeOut], error) {
	if _, err := caller(ctx, org.ViewSurvey); err != nil {
		return nil, err
	}
	var out *listOf[CalleeOut]
	err := s.DB.View(ctx, func(tx *storage.Tx) error {
		page, total, err := s.Survey.Callees(tx, survey.CalleeState(in.State), in.Limit, in.Offset)
		out = list(page, total, calleeOut)
		return err
	})
	if err != nil {
		return nil, s.problemOf("list calls of the survey", err)
	}
	return out, nil
}

func (s *Server) apiTelephoneAdd(ctx context.Context, in *struct {
	Body struct {
		Class  string `json:"class" minLength:"1" doc:"code or name"`
		Source string `json:"source" minLength:"1" doc:"serial number of the record"`
	}
}) (*one[CalleeOut], error) {
	t, err := caller(ctx, org.RunSurvey)
	if err != nil {
		return nil, err
	}
	var out one[CalleeOut]
	err = s.DB.Update(ctx, func(tx *storage.Tx) error {
		c, err := s.Survey.AskByTelephone(tx, in.Body.Class, in.Body.Source, t.Actor())
		out.Body = calleeOut(survey.CalleeItem{Callee: c, SourceID: in.Body.Source})
		return err
	})
	if errors.Is(err, survey.ErrListed) {
		return nil, huma.Error422UnprocessableEntity(err.Error())
	}
	if err != nil {
		return nil, s.problemOf("ask by telephone", err)
	}
	s.ringSurvey()
	return &out, nil
}

func (s *Server) apiTelephoneRemove(ctx context.Context, in *struct {
	ID string `path:"id"`
}) (*struct{}, error) {
	t, err := caller(ctx, org.RunSurvey)
	if err != nil {
		return nil, err
	}
	if err := s.DB.Update(ctx, func(tx *storage.Tx) error { return s.Survey.RemoveCallee(tx, in.ID, t.Actor()) }); err != nil {
		return nil, s.problemOf("take off the list of calls", err)
	}
	return nil, nil
}

// SwitchOut is whether people are rung.
type SwitchOut struct {
	Paused bool   `json:"paused"`
	Reason string `json:"reason,omitempty"`
}

func (s *Server) apiTelephoneSwitch(ctx context.Context, in *struct {
	Body struct {
		Paused bool   `json:"paused"`
		Reason string `json:"reason,omitempty" maxLength:"200" doc:"needed to pause"`
	}
}) (*one[SwitchOut], error) {
	t, err := caller(ctx, org.RunSurvey)
	if err != nil {
		return nil, err
	}
	if in.Body.Paused && strings.TrimSpace(in.Body.Reason) == "" {
		return nil, huma.Error422UnprocessableEntity("a reason is needed to pause", &huma.ErrorDetail{Location: "body.reason"})
	}
	err = s.DB.Update(ctx, func(tx *storage.Tx) error {
		return s.Survey.PauseTelephone(tx, in.Body.Paused, in.Body.Reason, t.Actor())
	})
	if err != nil {
		return nil, s.problemOf("switch calls of the survey", err)
	}
	s.ringSurvey()
	return &one[SwitchOut]{Body: SwitchOut{in.Body.Paused, in.Body.Reason}}, nil
}
