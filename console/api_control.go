package console

import (
	"context"
	"errors"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"lianxin/ivr"
	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket"
	"lianxin/workday"
)

// controlAPI registers what programs may do with calls that are up. An order is carried out in the name of a person, whose extension
// the program gives: what it may do is what both the token's role and that person may.
func (s *Server) controlAPI(api huma.API) {
	if s.Order == nil {
		return
	}
	huma.Get(api, "/api/v1/live-calls", s.apiLive, named("list-live-calls", "Calls that are up on this node, oldest first, with who is in them"))
	huma.Post(api, "/api/v1/live-calls/{id}/orders", s.apiOrder, named("order-live-call", "Hold, transfer, consult, confer, supervise or pick up a call"), accepted)
	huma.Post(api, "/api/v1/callbacks/{id}/calls", s.apiDial, named("dial-call-back", "Ring a person's telephone, and then the citizen of a call-back"), accepted)
	huma.Post(api, "/api/v1/dials", s.apiDialOut, named("dial-out", "Ring a person's telephone, and then a number or the citizen of a ticket, within what may be called out"), accepted)
}

// LiveOut is a call that is up, in the API.
type LiveOut struct {
	ID         string         `json:"id"`
	Direction  string         `json:"direction" enum:"in,out"`
	Caller     string         `json:"caller" doc:"masked number of the citizen"`
	Stage      string         `json:"stage"`
	StageLabel string         `json:"stage_label"`
	Started    time.Time      `json:"started"`
	Since      time.Time      `json:"since" doc:"of the stage"`
	Operator   string         `json:"operator,omitempty" doc:"extension that rings or is in charge"`
	Urgent     bool           `json:"urgent"`
	Held       bool           `json:"held"`
	Police     *time.Time     `json:"police,omitempty" doc:"when 110 came into the call"`
	TicketID   string         `json:"ticket_id,omitempty"`
	CallbackID string         `json:"callback_id,omitempty"`
	Parties    []LivePartyOut `json:"parties"`
}

// LivePartyOut is somebody in a call besides the citizen.
type LivePartyOut struct {
	Kind      string `json:"kind" enum:"operator,outside,supervisor"`
	Label     string `json:"label"`
	Extension string `json:"extension,omitempty"`
	Mode      string `json:"mode,omitempty" enum:"listen,whisper,barge"`
	Ringing   bool   `json:"ringing"`
	Consulted bool   `json:"consulted"`
	Lead      bool   `json:"lead"`
}

func (s *Server) apiLive(ctx context.Context, _ *struct{}) (*listOf[LiveOut], error) {
	if _, err := caller(ctx, org.ViewBoard); err != nil {
		return nil, err
	}
	live := s.Live()
	return list(live, len(live), liveOut), nil
}

func liveOut(c ivr.LiveCall) LiveOut {
	o := LiveOut{ID: c.ID, Direction: string(c.Direction), Caller: c.Caller, Stage: string(c.Stage), StageLabel: c.Stage.Label(), Started: c.Started.In(workday.Zone),
		Since: c.Since.In(workday.Zone), Operator: c.Operator, Urgent: c.Urgent, Held: c.Held, TicketID: c.TicketID, CallbackID: c.CallbackID, Parties: []LivePartyOut{}}
	if !c.Police.IsZero() {
		at := c.Police.In(workday.Zone)
		o.Police = &at
	}
	for _, p := range c.Parties {
		o.Parties = append(o.Parties, LivePartyOut{Kind: string(p.Kind), Label: p.Label, Extension: p.Extension, Mode: string(p.Mode), Ringing: p.Ringing,
			Consulted: p.Aside, Lead: p.Lead})
	}
	return o
}

// inTheNameOf finds the person whose extension a program gives.
func (s *Server) inTheNameOf(ctx context.Context, extension string, may org.Action) (staff org.Staff, err error) {
	if _, err := caller(ctx, may); err != nil {
		return staff, err
	}
	err = s.DB.View(ctx, func(tx *storage.Tx) (err error) {
		staff, err = org.StaffByExtension(tx, extension)
		return err
	})
	if errors.Is(err, storage.ErrNotFound) {
		return staff, huma.Error422UnprocessableEntity("nobody has this extension", &huma.ErrorDetail{Location: "body.extension"})
	}
	if err != nil {
		return staff, s.problemOf("whose extension", err)
	}
	if !staff.Can(may) {
		return staff, huma.Error403Forbidden("the person's role does not allow " + string(may))
	}
	return staff, nil
}

func (s *Server) apiOrder(ctx context.Context, in *struct {
	ID   string `path:"id"`
	Body struct {
		Do        string `json:"do" enum:"hold,resume,transfer,consult,complete,return,join,invite,police,leave,drop,listen,whisper,barge,stop,pickup"`
		To        string `json:"to,omitempty" maxLength:"40" doc:"extension, number, 110, queue, menu or message"`
		Extension string `json:"extension" minLength:"1" maxLength:"10" doc:"of the person in whose name it is done"`
	}
}) (*struct{}, error) {
	may := org.TakeCalls
	switch in.Body.Do {
	case "listen", "whisper", "barge", "stop":
		may = org.ListenIn
	}
	staff, err := s.inTheNameOf(ctx, in.Body.Extension, may)
	if err != nil {
		return nil, err
	}
	if err := s.Order(ctx, in.ID, ivr.Order{Do: ivr.Action(in.Body.Do), To: in.Body.To, Staff: staff}); err != nil {
		return nil, s.controlProblem("order", err)
	}
	s.Hub.Publish(EventCalls)
	return nil, nil
}

// controlProblem says what keeps an order from being carried out, with the code of the refusal.
func (s *Server) controlProblem(what string, err error) error {
	var no *ivr.Refusal
	if errors.As(err, &no) {
		return huma.NewError(controlStatus(no), no.Message, &huma.ErrorDetail{Location: "rule", Message: no.Code})
	}
	return s.problemOf(what, err)
}

// DialOut tells which call has begun.
type DialOut struct {
	CallID string `json:"call_id"`
}

func (s *Server) apiDial(ctx context.Context, in *struct {
	ID   string `path:"id"`
	Body struct {
		Extension string `json:"extension" minLength:"1" maxLength:"10" doc:"of the person who calls"`
	}
}) (*one[DialOut], error) {
	staff, err := s.inTheNameOf(ctx, in.Body.Extension, org.DialOut)
	if err != nil {
		return nil, err
	}
	o := ivr.CallOut{CallbackID: in.ID, Staff: staff}
	err = s.DB.View(ctx, func(tx *storage.Tx) error {
		c, err := s.Office.Callback(tx, in.ID)
		if err != nil {
			return err
		}
		may := org.MakeReview
		if c.Kind == ticket.CallbackAbandoned || c.Kind == ticket.CallbackMessage {
			may = org.MakeCallback
		}
		if !staff.Can(may) {
			return errForbidden
		}
		if c.State != ticket.CallbackOpen {
			return &ticket.Refusal{Code: "state", Message: "该任务已结束"}
		}
		if c.TicketID != "" {
			if _, err := s.Office.See(tx, c.TicketID, ticket.Staff(staff)); err != nil {
				return err
			}
		}
		o.ContactID, o.TicketID = c.ContactID, c.TicketID
		o.Number, err = s.Book.Phone(tx, c.ContactID)
		return err
	})
	if errors.Is(err, errForbidden) {
		return nil, huma.Error403Forbidden("the person's role does not allow calls of this kind")
	}
	if err != nil {
		return nil, s.problemOf("dial a call-back", err)
	}
	id, err := s.CallOut(ctx, o)
	if err != nil {
		return nil, s.controlProblem("dial a call-back", err)
	}
	s.Hub.Publish(EventCalls)
	return &one[DialOut]{Body: DialOut{CallID: id}}, nil
}
