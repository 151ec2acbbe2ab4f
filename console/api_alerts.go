package console

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket"
	"lianxin/workday"
)

// alertAPI registers alerts and 稳控 with the JSON API: what the pages do, other programs of the bureau can do, too.
func (s *Server) alertAPI(api huma.API) {
	huma.Get(api, "/api/v1/alerts", s.apiAlerts, named("list-alerts", "Alerts, the latest first"))
	huma.Post(api, "/api/v1/alerts/{id}/ack", s.apiAckAlert, named("ack-alert", "Acknowledge an alert; the first one wins"))
	huma.Post(api, "/api/v1/alerts/{id}/dispose", s.apiDisposeAlert, named("dispose-alert", "Say what was done about an acknowledged alert, or that it was a false alarm"))
	huma.Get(api, "/api/v1/tickets/{id}/stable", s.apiStable, named("get-stable", "The stability plan (稳控) of a ticket: requests, whether one is in force, and the looks at it"))
	huma.Post(api, "/api/v1/tickets/{id}/stable", s.apiAskStable, named("ask-stable", "Ask to hold a red ticket stable by a plan in place of settling it in time; for its host unit"), created)
	huma.Post(api, "/api/v1/tickets/{id}/stable/decide", s.apiDecideStable, named("decide-stable", "A leader's decision on the request that is open"))
	huma.Post(api, "/api/v1/tickets/{id}/stable/looks", s.apiLookStable, named("look-stable", "Write down how things stand, and when the next look is; without one the plan ends and the clock of handling runs anew"), created)
}

// AlertOut is an alert of the API.
type AlertOut struct {
	ID          string     `json:"id"`
	Rule        string     `json:"rule"`
	Level       string     `json:"level" doc:"红, 橙, 黄 or 蓝"`
	State       string     `json:"state" enum:"RAISED,ACKED,DISPOSED"`
	Title       string     `json:"title"`
	Evidence    string     `json:"evidence,omitempty"`
	Ticket      string     `json:"ticket,omitempty" doc:"number of the ticket that it is about"`
	Call        string     `json:"call,omitempty"`
	Subject     string     `json:"subject,omitempty"`
	RaisedAt    time.Time  `json:"raised_at"`
	AckDue      *time.Time `json:"ack_due,omitempty"`
	Escalations int        `json:"escalations" doc:"times it was announced anew because nobody acknowledged it"`
	Times       int        `json:"times" doc:"times that what it is about happened again while it was open"`
	AgainAt     *time.Time `json:"again_at,omitempty"`
	AckedBy     string     `json:"acked_by,omitempty"`
	AckedAt     *time.Time `json:"acked_at,omitempty"`
	Disposition string     `json:"disposition,omitempty"`
	Note        string     `json:"note,omitempty"`
	DisposedBy  string     `json:"disposed_by,omitempty"`
	DisposedAt  *time.Time `json:"disposed_at,omitempty"`
}

func (s *Server) alertOut(tx *storage.Tx, a ticket.Alert, by ticket.Actor) AlertOut {
	out := AlertOut{ID: a.ID, Rule: a.Rule, Level: string(a.Level), State: string(a.State), Title: a.Title, Evidence: a.Evidence, Call: a.CallID, Subject: a.Subject, RaisedAt: a.RaisedAt.In(workday.Zone),
		AckDue: stampOrNil(a.AckDue), Escalations: a.Escalations, Times: a.Times, AgainAt: stampOrNil(a.AgainAt), AckedBy: a.AckedBy, AckedAt: stampOrNil(a.AckedAt),
		Disposition: string(a.Disposition), Note: a.Note, DisposedBy: a.DisposedBy, DisposedAt: stampOrNil(a.DisposedAt)}
	if a.TicketID != "" {
		if t, err := s.Office.See(tx, a.TicketID, by); err == nil {
			out.Ticket = t.Number
		}
	}
	return out
}

func (s *Server) apiAlerts(ctx context.Context, in *struct {
	Paging
	State string `query:"state" enum:",RAISED,ACKED,DISPOSED"`
	Rule  string `query:"rule" doc:"such as W3"`
	Level string `query:"level" enum:",红,橙,黄,蓝"`
}) (*listOf[AlertOut], error) {
	tok, err := caller(ctx, org.ViewAlerts)
	if err != nil {
		return nil, err
	}
	by := ticket.Token(tok)
	out := &listOf[AlertOut]{}
	err = s.DB.View(ctx, func(tx *storage.Tx) error {
		found, total, err := s.Office.Alerts(tx, ticket.AlertFilter{Viewer: by, State: ticket.AlertState(in.State), Rule: in.Rule, Level: ticket.Colour(in.Level), Limit: in.Limit, Offset: in.Offset})
		out = list(found, total, func(a ticket.Alert) AlertOut { return s.alertOut(tx, a, by) })
		return err
	})
	if err != nil {
		return nil, s.problemOf("list alerts", err)
	}
	return out, nil
}

// apiAlertAct runs a command on an alert that the token may see.
func (s *Server) apiAlertAct(ctx context.Context, id string, do func(tx *storage.Tx, by ticket.Actor) (ticket.Alert, error)) (*one[AlertOut], error) {
	tok, err := caller(ctx, org.AckAlert)
	if err != nil {
		return nil, err
	}
	by := ticket.Token(tok)
	out := &one[AlertOut]{}
	err = s.DB.Update(ctx, func(tx *storage.Tx) error {
		if _, err := s.Office.Alert(tx, id, by); err != nil {
			return err
		}
		if _, err := do(tx, by); err != nil {
			return err
		}
		a, err := s.Office.Alert(tx, id, by)
		out.Body = s.alertOut(tx, a, by)
		return err
	})
	if err != nil {
		return nil, s.problemOf("act on an alert", err)
	}
	s.Hub.Publish(EventAlert)
	return out, nil
}

func (s *Server) apiAckAlert(ctx context.Context, in *struct {
	ID string `path:"id"`
}) (*one[AlertOut], error) {
	return s.apiAlertAct(ctx, in.ID, func(tx *storage.Tx, by ticket.Actor) (ticket.Alert, error) { return s.Office.AckAlert(tx, in.ID, by) })
}

func (s *Server) apiDisposeAlert(ctx context.Context, in *struct {
	ID   string `path:"id"`
	Body struct {
		How    string `json:"how" enum:"ticket,order,intervention,noise"`
		Ticket string `json:"ticket,omitempty" doc:"id or number of the ticket that it became"`
		Note   string `json:"note" minLength:"1" maxLength:"5000"`
	}
}) (*one[AlertOut], error) {
	return s.apiAlertAct(ctx, in.ID, func(tx *storage.Tx, by ticket.Actor) (ticket.Alert, error) {
		of := ""
		if in.Body.Ticket != "" {
			t, err := s.Office.See(tx, in.Body.Ticket, by)
			if err != nil {
				return ticket.Alert{}, err
			}
			of = t.ID
		}
		return s.Office.DisposeAlert(tx, in.ID, ticket.Disposition(in.Body.How), of, in.Body.Note, by)
	})
}

// StableOut is how a ticket stands with 稳控.
type StableOut struct {
	Ticket   string          `json:"ticket"`
	Held     bool            `json:"held" doc:"a plan is in force, and the clock of handling makes way for that of the next look"`
	Until    *time.Time      `json:"until,omitempty" doc:"of the next look"`
	Requests []StableRequest `json:"requests"`
	Looks    []MomentOut     `json:"looks"`
}

// StableRequest is one request to hold a ticket stable.
type StableRequest struct {
	ID        string     `json:"id"`
	State     string     `json:"state" enum:"asked,granted,denied,lapsed"`
	Plan      string     `json:"plan"`
	Evidence  string     `json:"evidence"`
	Review    time.Time  `json:"review" doc:"day of the first look"`
	AskedBy   string     `json:"asked_by"`
	AskedAt   time.Time  `json:"asked_at"`
	DecidedBy string     `json:"decided_by,omitempty"`
	DecidedAt *time.Time `json:"decided_at,omitempty"`
	Decision  string     `json:"decision,omitempty"`
}

func (s *Server) stableOut(tx *storage.Tx, id string, by ticket.Actor) (out StableOut, err error) {
	t, err := s.Office.See(tx, id, by)
	if err != nil {
		return out, err
	}
	out = StableOut{Ticket: t.Number, Held: !t.StableUntil.IsZero(), Until: stampOrNil(t.StableUntil), Requests: []StableRequest{}, Looks: []MomentOut{}}
	requests, err := s.Office.Requests(tx, t.ID)
	if err != nil {
		return out, err
	}
	for _, q := range requests {
		if q.Kind == ticket.AskStable {
			out.Requests = append(out.Requests, StableRequest{ID: q.ID, State: string(q.State), Plan: q.Reason, Evidence: q.Clause, Review: q.Until.In(workday.Zone), AskedBy: q.AskedBy,
				AskedAt: q.AskedAt.In(workday.Zone), DecidedBy: q.DecidedBy, DecidedAt: stampOrNil(q.DecidedAt), Decision: q.Decision})
		}
	}
	moments, err := s.Office.Timeline(tx, t.ID)
	for _, m := range moments {
		if strings.HasPrefix(m.Type, "ticket.stable_") {
			out.Looks = append(out.Looks, momentOut(m))
		}
	}
	return out, err
}

func (s *Server) apiStable(ctx context.Context, in *struct {
	ID string `path:"id" doc:"id or number"`
}) (*one[StableOut], error) {
	tok, err := caller(ctx, org.ViewTicket)
	if err != nil {
		return nil, err
	}
	out := &one[StableOut]{}
	if err := s.DB.View(ctx, func(tx *storage.Tx) (err error) {
		out.Body, err = s.stableOut(tx, in.ID, ticket.Token(tok))
		return err
	}); err != nil {
		return nil, s.problemOf("get stability plan", err)
	}
	return out, nil
}

// apiStableAct runs a command about 稳控 on a ticket that the token may see. The room decides whether it may do it.
func (s *Server) apiStableAct(ctx context.Context, id string, do func(tx *storage.Tx, t ticket.Ticket, by ticket.Actor) error) (*one[StableOut], error) {
	tok, err := caller(ctx, org.ViewTicket)
	if err != nil {
		return nil, err
	}
	by := ticket.Token(tok)
	out := &one[StableOut]{}
	err = s.DB.Update(ctx, func(tx *storage.Tx) error {
		t, err := s.Office.See(tx, id, by)
		if err != nil {
			return err
		}
		if err := do(tx, t, by); err != nil {
			return err
		}
		out.Body, err = s.stableOut(tx, t.ID, by)
		return err
	})
	if err != nil {
		return nil, s.problemOf("stability plan", err)
	}
	return out, nil
}

// lastOf is the last moment of a day that was written.
func lastOf(s, where string) (time.Time, error) {
	day, err := workday.ParseDay(s)
	if err != nil {
		return time.Time{}, huma.Error422UnprocessableEntity("a day such as 2026-11-28 is needed", &huma.ErrorDetail{Location: where, Value: s})
	}
	return day.End().Add(-time.Second), nil
}

func (s *Server) apiAskStable(ctx context.Context, in *struct {
	ID   string `path:"id" doc:"id or number"`
	Body struct {
		Plan     string `json:"plan" minLength:"1" maxLength:"5000"`
		Evidence string `json:"evidence" minLength:"1" maxLength:"5000" doc:"that it is under control: visits, agreements, persons in charge"`
		Review   string `json:"review" doc:"day of the first look: 2006-01-02"`
	}
}) (*one[StableOut], error) {
	review, err := lastOf(in.Body.Review, "body.review")
	if err != nil {
		return nil, err
	}
	return s.apiStableAct(ctx, in.ID, func(tx *storage.Tx, t ticket.Ticket, by ticket.Actor) error {
		legs, err := s.Office.Legs(tx, t.ID)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(legs, func(l ticket.Leg) bool { return l.Round == t.Round && l.Role == ticket.Host && l.EndedAt.IsZero() })
		if i < 0 {
			return &ticket.Refusal{Code: "host", Message: "该诉求没有在办的主办工单"}
		}
		return did(s.Office.RequestStable(tx, legs[i].ID, ticket.Scheme{Plan: in.Body.Plan, Evidence: in.Body.Evidence, Review: review}, by))
	})
}

func (s *Server) apiDecideStable(ctx context.Context, in *struct {
	ID   string `path:"id" doc:"id or number"`
	Body struct {
		Grant bool   `json:"grant"`
		Note  string `json:"note,omitempty" maxLength:"5000" doc:"required when it is not granted"`
	}
}) (*one[StableOut], error) {
	return s.apiStableAct(ctx, in.ID, func(tx *storage.Tx, t ticket.Ticket, by ticket.Actor) error {
		requests, err := s.Office.Requests(tx, t.ID)
		if err != nil {
			return err
		}
		for _, q := range requests {
			if q.Kind == ticket.AskStable && q.State == ticket.Asked {
				return did(s.Office.DecideStable(tx, q.ID, ticket.Ruling{Grant: in.Body.Grant, Note: in.Body.Note}, by))
			}
		}
		return &ticket.Refusal{Code: "decided", Message: "没有待审批的稳控申请"}
	})
}

func (s *Server) apiLookStable(ctx context.Context, in *struct {
	ID   string `path:"id" doc:"id or number"`
	Body struct {
		Text string `json:"text" minLength:"1" maxLength:"5000"`
		Next string `json:"next,omitempty" doc:"day of the next look: 2006-01-02; none ends the plan"`
	}
}) (*one[StableOut], error) {
	var next time.Time
	if in.Body.Next != "" {
		var err error
		if next, err = lastOf(in.Body.Next, "body.next"); err != nil {
			return nil, err
		}
	}
	return s.apiStableAct(ctx, in.ID, func(tx *storage.Tx, t ticket.Ticket, by ticket.Actor) error {
		return did(s.Office.ReviewStable(tx, t.ID, in.Body.Text, next, by))
	})
}

func momentOut(m ticket.Moment) MomentOut {
	return MomentOut{At: m.At.In(workday.Zone), Type: m.Type, Label: m.Label, Actor: m.Actor, Facts: m.Labels}
}

// listed is a list of the API: who may ask, what is read for them, and how each is shown.
func listed[T, U any](ctx context.Context, s *Server, what string, a org.Action, read func(tx *storage.Tx, by ticket.Actor) ([]T, int, error), out func(T) U) (*listOf[U], error) {
	tok, err := caller(ctx, a)
	if err != nil {
		return nil, err
	}
	var all []T
	var total int
	if err := s.DB.View(ctx, func(tx *storage.Tx) (err error) { all, total, err = read(tx, ticket.Token(tok)); return err }); err != nil {
		return nil, s.problemOf(what, err)
	}
	return list(all, total, out), nil
}
