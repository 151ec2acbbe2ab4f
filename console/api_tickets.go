package console

import (
	"context"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"lianxin/org"
	"lianxin/storage"
	"lianxin/survey"
	"lianxin/ticket"
	"lianxin/workday"
)

func (s *Server) apiTickets(ctx context.Context, in *struct {
	Paging
	State   string `query:"state" doc:"code of the domain model, such as HANDLING"`
	Open    bool   `query:"open" doc:"only tickets that are not settled"`
	Channel string `query:"channel"`
	CallID  string `query:"call_id"`
	Record  string `query:"record_id"`
	After   string `query:"after" doc:"id of the last ticket of the page before, in place of offset; order newest or oldest, or due of open ones"`
	Cause   string `query:"cause" doc:"code of a cause, such as data-error"`
	Window  string `query:"window" doc:"number of the window that it is about"`
	Clerk   string `query:"clerk" doc:"number of the clerk that it is about"`
	Area    string `query:"area" doc:"code of a community, street or district"`
	Text    string `query:"q" doc:"in title, body, place or number"`
	Order   string `query:"order" enum:"newest,oldest,due,changed,colour" default:"due"`
}) (*listOf[TicketOut], error) {
	by, err := caller(ctx, org.ViewTicket)
	if err != nil {
		return nil, err
	}
	if in.State != "" && !slices.Contains(ticket.States, ticket.State(in.State)) {
		return nil, huma.Error422UnprocessableEntity("there is no such state", &huma.ErrorDetail{Location: "query.state", Value: in.State})
	}
	var out *listOf[TicketOut]
	err = s.DB.View(ctx, func(tx *storage.Tx) error {
		tickets, total, err := s.Office.List(tx, ticket.Filter{Viewer: ticket.Token(by), State: ticket.State(in.State), Open: in.Open, Channel: in.Channel,
			CallID: in.CallID, RecordID: in.Record, Cause: in.Cause, Window: in.Window, Clerk: in.Clerk, Community: in.Area, Text: in.Text, Order: ticket.Order(in.Order), Limit: in.Limit, Offset: in.Offset, After: in.After})
		out = list(tickets, total, ticketOut)
		return err
	})
	if err != nil {
		return nil, s.problemOf("list tickets", err)
	}
	return out, nil
}

// LegOut is a unit's part of a ticket.
type LegOut struct {
	ID       string     `json:"id"`
	Role     string     `json:"role" doc:"host 主办 or co 协办"`
	Unit     string     `json:"unit"`
	State    string     `json:"state"`
	Label    string     `json:"state_label"`
	Assigned time.Time  `json:"assigned"`
	Signed   *time.Time `json:"signed,omitempty"`
	Ended    *time.Time `json:"ended,omitempty"`
}

// ClockOut is one time limit of a ticket.
type ClockOut struct {
	Kind    string     `json:"kind"`
	Label   string     `json:"label"`
	State   string     `json:"state"`
	Started time.Time  `json:"started"`
	Due     time.Time  `json:"due"`
	Stopped *time.Time `json:"stopped,omitempty"`
	Overdue bool       `json:"overdue"`
	Rules   string     `json:"rules" doc:"version under which it runs"`
}

// MomentOut is one event of a ticket's life.
type MomentOut struct {
	At    time.Time `json:"at"`
	Type  string    `json:"type"`
	Label string    `json:"label"`
	Actor string    `json:"actor"`
	Facts []string  `json:"facts,omitempty"`
}

// TicketWhole is a ticket with its legs, clocks and timeline.
type TicketWhole struct {
	TicketOut
	Legs     []LegOut    `json:"legs"`
	Clocks   []ClockOut  `json:"clocks"`
	Timeline []MomentOut `json:"timeline"`
}

func (s *Server) apiTicket(ctx context.Context, in *struct {
	ID string `path:"id" doc:"id or number"`
}) (*one[TicketWhole], error) {
	by, err := caller(ctx, org.ViewTicket)
	if err != nil {
		return nil, err
	}
	out := &one[TicketWhole]{}
	err = s.DB.View(ctx, func(tx *storage.Tx) error {
		t, err := s.Office.See(tx, in.ID, ticket.Token(by))
		if err != nil {
			return err
		}
		legs, err := s.Office.Legs(tx, t.ID)
		if err != nil {
			return err
		}
		clocks, err := s.Office.Clocks(tx, t.ID)
		if err != nil {
			return err
		}
		timeline, err := s.Office.Timeline(tx, t.ID)
		if err != nil {
			return err
		}
		out.Body = TicketWhole{TicketOut: ticketOut(t), Legs: []LegOut{}, Clocks: []ClockOut{}, Timeline: []MomentOut{}}
		for _, l := range legs {
			out.Body.Legs = append(out.Body.Legs, LegOut{ID: l.ID, Role: string(l.Role), Unit: l.Unit, State: string(l.State), Label: l.State.Label(),
				Assigned: l.AssignedAt.In(workday.Zone), Signed: stampOrNil(l.SignedAt), Ended: stampOrNil(l.EndedAt)})
		}
		for _, c := range clocks {
			out.Body.Clocks = append(out.Body.Clocks, ClockOut{Kind: string(c.Kind), Label: c.Kind.Label(), State: string(c.State), Started: c.StartedAt.In(workday.Zone),
				Due: c.DueAt.In(workday.Zone), Stopped: stampOrNil(c.StoppedAt), Overdue: c.Overdue(s.Now()), Rules: c.RuleVersion})
		}
		for _, m := range timeline {
			out.Body.Timeline = append(out.Body.Timeline, momentOut(m))
		}
		return nil
	})
	if err != nil {
		return nil, s.problemOf("get ticket", err)
	}
	return out, nil
}

// SurveyOut are the figures of the survey of one day.
type SurveyOut struct {
	Day      string         `json:"day" doc:"of the services"`
	Count    map[string]int `json:"count" doc:"planned = suppressed + waiting + sent; sent = delivered + failed + unknown + pending"`
	NotAsked map[string]int `json:"not_asked" doc:"by reason"`
	Ratings  [5]int         `json:"ratings" doc:"how many of each digit, 1 非常满意 first"`
	N        int            `json:"n"`
	Rate     *float64       `json:"rate,omitempty" doc:"absent while n is too small to be shown"`
	Low      *float64       `json:"low,omitempty" doc:"Wilson 95 %"`
	High     *float64       `json:"high,omitempty"`
	Formula  string         `json:"formula"`
}

func runOut(f survey.Figures) SurveyOut {
	r := SurveyOut{Day: f.Day.String(), Count: map[string]int{}, NotAsked: f.Whole.Not, Ratings: f.Whole.Ratings, N: f.Whole.N, Formula: f.Metric.Formula()}
	for _, name := range survey.FunnelFigures {
		r.Count[string(name)] = f.Whole.Count[name]
	}
	if !f.Whole.Small {
		r.Rate, r.Low, r.High = &f.Whole.Raw, &f.Whole.Interval[0], &f.Whole.Interval[1]
	}
	return r
}

// apiSurveys gives the figures of the last days on which there was something, newest first.
func (s *Server) apiSurveys(ctx context.Context, in *struct {
	Days int `query:"days" minimum:"1" maximum:"31" default:"7" doc:"how many days back from yesterday"`
}) (*listOf[SurveyOut], error) {
	if _, err := caller(ctx, org.ViewSurvey); err != nil {
		return nil, err
	}
	var runs []survey.Figures
	err := s.DB.View(ctx, func(tx *storage.Tx) error {
		for d, n := workday.DayOf(s.Now()), 0; n <= in.Days; d, n = d.Add(-1), n+1 {
			f, err := s.Survey.Day(tx, d)
			if err != nil {
				return err
			}
			if f.Whole.Count[survey.Planned] > 0 {
				runs = append(runs, f)
			}
		}
		return nil
	})
	if err != nil {
		return nil, s.problemOf("list surveys", err)
	}
	return list(runs, len(runs), runOut), nil
}

func (s *Server) apiSurvey(ctx context.Context, in *struct {
	Day string `path:"day" format:"date"`
}) (*one[SurveyOut], error) {
	if _, err := caller(ctx, org.ViewSurvey); err != nil {
		return nil, err
	}
	day, err := workday.ParseDay(in.Day)
	if err != nil {
		return nil, huma.Error422UnprocessableEntity(err.Error(), &huma.ErrorDetail{Location: "path.day"})
	}
	out := &one[SurveyOut]{}
	err = s.DB.View(ctx, func(tx *storage.Tx) error {
		f, err := s.Survey.Day(tx, day)
		out.Body = runOut(f)
		return err
	})
	if err != nil {
		return nil, s.problemOf("get survey", err)
	}
	return out, nil
}
