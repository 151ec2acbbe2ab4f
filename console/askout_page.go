package console

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"lianxin/ivr"
	"lianxin/org"
	"lianxin/storage"
	"lianxin/survey"
	"lianxin/ticket"
)

// questionRoutes are the calls of ours that ask by key: who is on the list, what is asked, what came of it.
func (s *Server) questionRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /survey/questions", s.may(org.RunSurvey, s.ringing(s.questionList)))
	mux.HandleFunc("GET /survey/questions/live", s.may(org.RunSurvey, s.ringing(s.questionListLive)))
	mux.HandleFunc("POST /survey/questions", s.may(org.RunSurvey, s.ringing(s.questionAdd)))
	mux.HandleFunc("POST /survey/questions/switch", s.may(org.RunSurvey, s.ringing(s.questionSwitch)))
	mux.HandleFunc("POST /survey/questions/{id}/remove", s.may(org.RunSurvey, s.ringing(s.questionRemove)))
}

// ringing lets through where the program rings anybody at all.
func (s *Server) ringing(next func(http.ResponseWriter, *http.Request, *user)) func(http.ResponseWriter, *http.Request, *user) {
	return func(w http.ResponseWriter, r *http.Request, u *user) {
		if s.Questions == nil {
			s.problem(w, r, http.StatusNotFound, "not-found")
			return
		}
		next(w, r, u)
	}
}

type questionView struct {
	Open     bool   // within the hours
	Hours    string // for it
	Switch   survey.Switch
	Switched string // by whom

	Flow     string   // title and version of what is asked
	Words    []string // as callers hear it
	Fault    string   // why nobody can be asked: what is wrong with the flow file
	MayFlows bool
	MayCalls bool
	Counts   ivr.QuestionCounts
	States   []questionTab
	Results  []questionResult
	State    ivr.QuestionState
	Rows     []questionRow
	Total    int
	Page     int
	Pages    int
	Add      []callbackRow // open call-backs that a machine may ask about and that are not on the list
	More     bool          // there are others
	MayAdd   bool
	Error    string
}

type questionTab struct {
	State ivr.QuestionState
	N     int
}

type questionResult struct {
	Label string
	N     int
	Share int // percent of those who rated
	Bad   bool
}

type questionRow struct {
	ivr.Question
	Callback *ticket.Callback // nil when the reader may not see it
	Person   *person
	Ticket   *ticket.Ticket
	By       string
	Label    string // what came of it
	Stars    string
	Bad      bool
}

// mostToAdd is how many call-backs the form offers at a time.
const mostToAdd = 30

var questionStates = []ivr.QuestionState{ivr.QuestionWaiting, ivr.QuestionCalling, ivr.QuestionDone}

func (s *Server) readQuestions(r *http.Request, u *user) (v questionView, ok bool, err error) {
	q := r.URL.Query()
	v = questionView{State: ivr.QuestionState(q.Get("state")), Page: pageOf(q.Get("page")), MayFlows: u.Can(org.ViewHealth) && s.Flows != nil, MayCalls: u.Can(org.ViewCalls), MayAdd: seesCallbacks(u)}
	if v.State != "" && !slices.Contains(questionStates, v.State) {
		return v, false, nil
	}
	v.Open, v.Hours = s.Questions.Open()
	if f, err := s.Questions.Sound(); err != nil {
		v.Fault = err.Error()
	} else {
		v.Flow = f.Title + " " + f.Version
		for _, prompts := range f.Spoken() {
			if s.SayText != nil {
				v.Words = append(v.Words, s.SayText(prompts))
			}
		}
	}
	err = s.DB.View(r.Context(), func(tx *storage.Tx) error {
		n, err := readNames(tx, s.lang(r))
		if err != nil {
			return err
		}
		if v.Switch, err = survey.TelephoneSwitch(tx); err != nil {
			return err
		}
		v.Switched = n.Who(v.Switch.By)
		if v.Counts, err = s.Questions.Counts(tx); err != nil {
			return err
		}
		rows, total, err := s.Questions.List(tx, v.State, perPage, (v.Page-1)*perPage)
		if err != nil {
			return err
		}
		v.Total, v.Pages = total, max(1, (total+perPage-1)/perPage)
		for _, x := range rows {
			row, err := s.questionRow(tx, u, n, x)
			if err != nil {
				return err
			}
			v.Rows = append(v.Rows, row)
		}
		if v.MayAdd {
			err = s.questionCandidates(tx, r, u, n, &v)
		}
		return err
	})
	for _, st := range questionStates {
		v.States = append(v.States, questionTab{st, v.Counts.States[st]})
	}
	for d := 1; d <= 5; d++ {
		stars := ticket.FromReplyDigit(d)
		x := questionResult{Label: stars.Label(), N: v.Counts.Ratings[d], Bad: stars.Bad()}
		if v.Counts.Reached > 0 {
			x.Share = x.N * 100 / v.Counts.Reached
		}
		v.Results = append(v.Results, x)
	}
	return v, true, err
}

// questionRow is one entry of the list, without what its reader may not see.
func (s *Server) questionRow(tx *storage.Tx, u *user, n names, x ivr.Question) (row questionRow, err error) {
	row = questionRow{Question: x, By: n.Who(x.AskedBy)}
	if x.State == ivr.QuestionDone {
		row.Label = survey.CallOutcomeLabel(x.Outcome)
		if l, own := questionOutcomes[x.Outcome]; own {
			row.Label = translate(n.lang, l)
		}
	}
	if x.Rating > 0 {
		stars := ticket.FromReplyDigit(x.Rating)
		row.Stars, row.Bad = stars.Label(), stars.Bad()
	}
	cb, err := s.Office.Callback(tx, x.CallbackID)
	if errors.Is(err, storage.ErrNotFound) {
		return row, nil
	}
	if err != nil || !s.seesCallback(n, u, cb) {
		return row, err
	}
	of, who, err := s.callbackPerson(tx, u, cb)
	if err != nil || cb.TicketID != "" && of == nil {
		return row, err
	}
	row.Callback, row.Ticket, row.Person = &cb, of, who
	return row, nil
}

// questionOutcomes are those that only this list has.
var questionOutcomes = map[string]string{"rated": "q-rated", "unrated": "q-unrated", ivr.QuestionRemoved: "q-removed", ivr.QuestionFault: "q-fault", "state": "q-over"}

// seesCallback is false for call-backs about the reader's own unit.
func (s *Server) seesCallback(n names, u *user, c ticket.Callback) bool {
	return seesCallbacks(u) && !slices.ContainsFunc(c.ExcludeUnits, func(x string) bool { return n.below(u.Unit, x) })
}

// questionCandidates are the call-backs that could be put on the list, the first due first.
func (s *Server) questionCandidates(tx *storage.Tx, r *http.Request, u *user, n names, v *questionView) error {
	listed := map[string]bool{}
	for _, st := range []ivr.QuestionState{ivr.QuestionWaiting, ivr.QuestionCalling} {
		rows, _, err := s.Questions.List(tx, st, 1000, 0)
		if err != nil {
			return err
		}
		for _, x := range rows {
			listed[x.CallbackID] = true
		}
	}
	for _, kind := range ticket.CallbackKinds {
		if !ivr.AskedByKey(kind) {
			continue
		}
		list, _, err := s.Office.Callbacks(tx, ticket.CallbackFilter{Viewer: ticket.Staff(u.Staff), Kind: kind, State: ticket.CallbackOpen, Limit: mostToAdd + len(listed) + 1})
		if err != nil {
			return err
		}
		for _, c := range list {
			if listed[c.ID] || c.ContactID == "" || !s.seesCallback(n, u, c) {
				continue
			}
			if len(v.Add) == mostToAdd {
				v.More = true
				break
			}
			row := callbackRow{Callback: c, Due: dueOf(s.lang(r), c.Due, s.Now())}
			if row.Ticket, row.Person, err = s.callbackPerson(tx, u, c); err != nil {
				return err
			}
			v.Add = append(v.Add, row)
		}
	}
	return nil
}

func (s *Server) questionList(w http.ResponseWriter, r *http.Request, u *user) {
	s.showQuestions(w, r, u, "")
}

func (s *Server) questionListLive(w http.ResponseWriter, r *http.Request, u *user) {
	s.showQuestions(w, r, u, "live")
}

func (s *Server) showQuestions(w http.ResponseWriter, r *http.Request, u *user, block string) {
	v, ok, err := s.readQuestions(r, u)
	switch {
	case err != nil:
		s.fail(w, r, err)
	case !ok:
		s.problem(w, r, http.StatusBadRequest, "bad-request")
	default:
		s.render(w, r, http.StatusOK, "survey-questions", block, "questions", v)
	}
}

// refuseQuestions shows the page with what was wrong.
func (s *Server) refuseQuestions(w http.ResponseWriter, r *http.Request, u *user, why string) {
	v, _, err := s.readQuestions(r, u)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	v.Error = why
	s.render(w, r, http.StatusUnprocessableEntity, "survey-questions", "", "questions", v)
}

// questionAdd puts the persons of the chosen call-backs on the list. One that the reader may not see is not there for them.
func (s *Server) questionAdd(w http.ResponseWriter, r *http.Request, u *user) {
	if err := r.ParseForm(); err != nil {
		s.problem(w, r, http.StatusBadRequest, "bad-request")
		return
	}
	ids := r.PostForm["callback"]
	if len(ids) == 0 || len(ids) > 500 {
		s.refuseQuestions(w, r, u, translate(s.lang(r), "q-choose"))
		return
	}
	hidden := !seesCallbacks(u)
	err := s.DB.View(r.Context(), func(tx *storage.Tx) error {
		n, err := readNames(tx, s.lang(r))
		for _, id := range ids {
			if err != nil || hidden {
				return err
			}
			var row questionRow
			row, err = s.questionRow(tx, u, n, ivr.Question{CallbackID: id})
			hidden = row.Callback == nil
		}
		return err
	})
	if err != nil {
		s.fail(w, r, err)
		return
	}
	if hidden {
		s.problem(w, r, http.StatusNotFound, "not-found")
		return
	}
	added, err := s.Questions.Add(r.Context(), ids, u.Actor())
	var no *ivr.Refusal
	switch {
	case errors.As(err, &no):
		s.refuseQuestions(w, r, u, no.Message)
	case err != nil:
		s.fail(w, r, err)
	default:
		s.Hub.Publish(EventSurvey)
		s.done(w, r, "/survey/questions", translate(s.lang(r), "q-added", added))
	}
}

// questionSwitch stops the calls that the program makes by itself, or lets them go on: this list's and those of the survey.
func (s *Server) questionSwitch(w http.ResponseWriter, r *http.Request, u *user) {
	paused := r.PostFormValue("do") == "pause"
	reason := strings.TrimSpace(r.PostFormValue("reason"))
	if len([]rune(reason)) > 200 || paused && reason == "" {
		s.refuseQuestions(w, r, u, translate(s.lang(r), "q-reason"))
		return
	}
	err := s.DB.Update(r.Context(), func(tx *storage.Tx) error { return s.Survey.PauseTelephone(tx, paused, reason, u.Actor()) })
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.Questions.Wake()
	s.ringSurvey()
	key := "telephone-resumed"
	if paused {
		key = "telephone-paused"
	}
	s.done(w, r, "/survey/questions", translate(s.lang(r), key))
}

func (s *Server) questionRemove(w http.ResponseWriter, r *http.Request, u *user) {
	err := s.Questions.Remove(r.Context(), r.PathValue("id"), u.Actor())
	switch {
	case errors.Is(err, storage.ErrNotFound):
		s.refuseQuestions(w, r, u, translate(s.lang(r), "q-not-waiting"))
	case err != nil:
		s.fail(w, r, err)
	default:
		s.Hub.Publish(EventSurvey)
		s.done(w, r, "/survey/questions", translate(s.lang(r), "telephone-removed"))
	}
}
