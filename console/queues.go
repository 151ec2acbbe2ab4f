package console

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"lianxin/desk"
	"lianxin/ivr"
	"lianxin/ivr/flow"
	"lianxin/org"
	"lianxin/storage"
	"lianxin/workday"
)

// queueRow is one queue on pages: now, and in a day's figures.
type queueRow struct {
	Name, Title string
	Now         desk.QueueView
	F           ivr.QueueFigures

	Level, Connect string
	Below          bool // 接通率 below the goal
}

// queueRows puts the figures of a day beside what the board shows now. Queues are those of the configuration, the board and the day.
func (s *Server) queueRows(ctx context.Context, tx *storage.Tx, day workday.Day) ([]queueRow, error) {
	sn, err := s.Board.Snapshot(ctx)
	if err != nil && !errors.Is(err, desk.ErrDown) {
		return nil, err
	}
	figures, err := s.Calls.FiguresByQueue(tx, day.Start(), day.End())
	if err != nil {
		return nil, err
	}
	var rows []queueRow
	row := func(name string) *queueRow {
		for i := range rows {
			if rows[i].Name == name {
				return &rows[i]
			}
		}
		rows = append(rows, queueRow{Name: name, Title: s.queueTitle(name), Level: "—", Connect: "—"})
		return &rows[len(rows)-1]
	}
	if s.Flows != nil {
		for _, q := range s.Flows.State().Queues.All() {
			row(q.Name)
		}
	}
	for _, q := range sn.Queues {
		if q.Name != "" {
			row(q.Name).Now = q
		}
	}
	for _, f := range figures {
		name := f.Queue
		if name == "" { // calls of before there were queues, and those that were never told one
			name = ivr.DefaultQueue
		}
		r := row(name)
		r.F, r.Level, r.Connect = f, rate(f.Level()), rate(f.ConnectRate())
		if share, ok := f.ConnectRate(); ok && share < ivr.ConnectGoal {
			r.Below = true
		}
	}
	return rows, nil
}

// queueTitle is what staff call a queue.
func (s *Server) queueTitle(name string) string {
	if s.Flows != nil {
		return s.Flows.State().Queues.Title(name)
	}
	return name
}

// FlowFiles is what the pages ask of the flow files.
type FlowFiles interface {
	State() ivr.FlowState
	Reload(ctx context.Context, by string) error
}

func (s *Server) flowRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /flows", s.may(org.ViewHealth, s.flowPage))
	mux.HandleFunc("POST /flows/reload", s.may(org.ManageRules, s.reloadFlows))
}

type flowView struct {
	State    ivr.FlowState
	Drawing  string
	Versions []ivr.FlowVersion
	Shown    *ivr.FlowVersion
	May      bool
	Problem  string
}

// flowPage shows the flow in force, what was refused, and the versions that calls were led under.
func (s *Server) flowPage(w http.ResponseWriter, r *http.Request, u *user) {
	if s.Flows == nil {
		s.problem(w, r, http.StatusNotFound, "not-found")
		return
	}
	v := flowView{State: s.Flows.State(), May: u.Can(org.ManageRules)}
	v.Drawing = v.State.Flow.Draw()
	for _, sub := range v.State.Flow.SubNames() {
		v.Drawing += "\n———\n" + v.State.Flow.Subs[sub].Draw()
	}
	if len(v.State.Problems) > 0 {
		v.Problem = flow.Problems(v.State.Problems).Error()
	} else {
		v.Problem = v.State.Refused
	}
	err := s.DB.View(r.Context(), func(tx *storage.Tx) (err error) {
		if v.Versions, err = ivr.FlowVersions(tx); err != nil {
			return err
		}
		if version := r.URL.Query().Get("version"); version != "" {
			x, err := ivr.GetFlowVersion(tx, version)
			if errors.Is(err, storage.ErrNotFound) {
				return nil
			}
			v.Shown = &x
			return err
		}
		return nil
	})
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.render(w, r, http.StatusOK, "flows", "", "flows", v)
}

func (s *Server) reloadFlows(w http.ResponseWriter, r *http.Request, u *user) {
	if s.Flows == nil {
		s.problem(w, r, http.StatusNotFound, "not-found")
		return
	}
	said := "flows-reloaded"
	if err := s.Flows.Reload(r.Context(), u.Actor()); err != nil {
		said = "flows-refused" // the page says why
	}
	s.done(w, r, "/flows", translate(s.lang(r), said))
}

// QueueOut is one queue in the API.
type QueueOut struct {
	Name    string `json:"name"`
	Title   string `json:"title"`
	Waiting int    `json:"waiting" doc:"callers now, those included whom we ring back"`
	Held    int    `json:"held" doc:"of them, whom we ring back"`
	OnDuty  int    `json:"on_duty"`
	Ready   int    `json:"ready"`
	Longest int    `json:"longest_wait_s" doc:"seconds that the first has waited"`

	Offered   int      `json:"offered" doc:"wanted an operator"`
	Answered  int      `json:"answered"`
	InLevel   int      `json:"answered_in_15_s"`
	Abandoned int      `json:"abandoned" doc:"gave up after more than 5 s"`
	Short     int      `json:"abandoned_in_5_s" doc:"left out of all rates"`
	Passed    int      `json:"passed_on" doc:"led on to another queue, a message or a call-back: nobody there, too long, full, closed, or by key"`
	Messages  int      `json:"messages"`
	Promised  int      `json:"call_backs"`
	Level     *float64 `json:"level_15_s,omitempty" doc:"share answered within 15 s; absent when nobody asked"`
	Connect   *float64 `json:"connect_rate,omitempty" doc:"share answered; the goal is 0.95"`
	Average   float64  `json:"average_answer_s"`
	LongestAn float64  `json:"longest_answer_s"`
	Talk      float64  `json:"average_talk_s"`
}

type queuesOut struct {
	Body struct {
		Day    string     `json:"day"`
		Queues []QueueOut `json:"queues"`
	}
}

func (s *Server) queueAPI(api huma.API) {
	huma.Get(api, "/api/v1/queues", s.apiQueues, named("list-queues", "Queues: who waits now, and the service figures of a day"))
	huma.Post(api, "/api/v1/calls/questions", s.apiAsk, named("ask-by-telephone", "Ring the persons of call-backs and ask for a rating by key"), accepted)
	huma.Get(api, "/api/v1/calls/questions", s.apiQuestions, named("list-questions", "Who is asked by key, and what came of it"))
	huma.Delete(api, "/api/v1/calls/questions/{id}", s.apiUnask, named("remove-question", "Take somebody off the list who has not been rung yet"))
	if s.Flows != nil {
		huma.Get(api, "/api/v1/flows", s.apiFlows, named("get-flows", "The flow in force, and why the last change was refused"))
		huma.Post(api, "/api/v1/flows/reload", s.apiReloadFlows, named("reload-flows", "Put changed flow and queue files in force; 422 with line and column where they are broken"))
	}
}

func (s *Server) apiQueues(ctx context.Context, in *struct {
	Day string `query:"day" doc:"YYYY-MM-DD; today by default"`
}) (*queuesOut, error) {
	if _, err := caller(ctx, org.ViewCalls); err != nil {
		return nil, err
	}
	day := workday.DayOf(s.Now())
	if in.Day != "" {
		var err error
		if day, err = workday.ParseDay(in.Day); err != nil {
			return nil, huma.Error422UnprocessableEntity("the day cannot be read", &huma.ErrorDetail{Location: "query.day"})
		}
	}
	out := &queuesOut{}
	out.Body.Day, out.Body.Queues = day.String(), []QueueOut{}
	err := s.DB.View(ctx, func(tx *storage.Tx) error {
		rows, err := s.queueRows(ctx, tx, day)
		for _, r := range rows {
			q := QueueOut{Name: r.Name, Title: r.Title, Waiting: r.Now.Waiting, Held: r.Now.Held, OnDuty: r.Now.OnDuty, Ready: r.Now.Ready,
				Offered: r.F.Offered, Answered: r.F.Answered, InLevel: r.F.InLevel, Abandoned: r.F.Abandoned, Short: r.F.Short, Passed: r.F.Passed, Messages: r.F.Messages, Promised: r.F.Promised,
				Average: r.F.AverageWait().Seconds(), LongestAn: r.F.WaitLonger.Seconds(), Talk: r.F.AverageTalk().Seconds()}
			if !r.Now.Since.IsZero() {
				q.Longest = int(time.Since(r.Now.Since).Seconds())
			}
			if share, ok := r.F.Figures.Level(); ok {
				q.Level = &share
			}
			if share, ok := r.F.ConnectRate(); ok {
				q.Connect = &share
			}
			out.Body.Queues = append(out.Body.Queues, q)
		}
		return err
	})
	if err != nil {
		return nil, s.problemOf("list queues", err)
	}
	return out, nil
}

// FlowOut is the flow in force in the API.
type FlowOut struct {
	Name     string    `json:"name"`
	Version  string    `json:"version"`
	Loaded   time.Time `json:"loaded"`
	Problems []string  `json:"problems" doc:"file:line:column: what is wrong, of the last change; it was refused and the old goes on"`
}

type flowOut struct{ Body FlowOut }

func (s *Server) flowNow() *flowOut {
	st := s.Flows.State()
	out := &flowOut{FlowOut{Name: st.Flow.Name, Version: st.Flow.Version, Loaded: st.Loaded.In(workday.Zone), Problems: []string{}}}
	for _, p := range st.Problems {
		out.Body.Problems = append(out.Body.Problems, p.Error())
	}
	if st.Refused != "" {
		out.Body.Problems = append(out.Body.Problems, st.Refused)
	}
	return out
}

func (s *Server) apiFlows(ctx context.Context, _ *struct{}) (*flowOut, error) {
	if _, err := caller(ctx, org.ViewHealth); err != nil {
		return nil, err
	}
	return s.flowNow(), nil
}

func (s *Server) apiReloadFlows(ctx context.Context, _ *struct{}) (*flowOut, error) {
	by, err := caller(ctx, org.ViewHealth)
	if err != nil {
		return nil, err
	}
	if err := s.Flows.Reload(ctx, "token/"+by.ID); err != nil {
		out := s.flowNow()
		return nil, huma.Error422UnprocessableEntity("the files were refused; the old ones go on", &huma.ErrorDetail{Location: "files", Message: strings.Join(out.Body.Problems, "\n")})
	}
	return s.flowNow(), nil
}
