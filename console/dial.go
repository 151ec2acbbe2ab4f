package console

import (
	"context"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"lianxin/contact"
	"lianxin/ivr"
	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket"
)

// dialRoutes are calls that we make besides call-backs: to the citizen of a ticket, and to a number that is typed in. Each rings the reader's
// own telephone first, under what may be called out at all (telephony.outbound), and leaves a record.
func (s *Server) dialRoutes(mux *http.ServeMux) {
	if s.CallOut == nil {
		return
	}
	mux.HandleFunc("POST /tickets/{id}/dial", s.may(org.DialOut, s.dialTicket))
	mux.HandleFunc("POST /dial", s.may(org.DialOut, s.dialNumber))
}

// mayDial says whether somebody may call the citizen of a ticket from its page: the number itself is not shown to them.
func (s *Server) mayDial(who org.Staff, t ticket.Ticket) bool {
	return s.CallOut != nil && who.Can(org.DialOut) && t.ContactID != "" && (!t.Confidential || s.Office.KnowsCitizen(t, ticket.Staff(who)))
}

// ofTicket is the call to the citizen of a ticket that somebody may see; storage.ErrNotFound for one that is not for them, errForbidden
// where they may not call.
func (s *Server) ofTicket(tx *storage.Tx, id string, who org.Staff) (o ivr.CallOut, err error) {
	t, err := s.Office.See(tx, id, ticket.Staff(who))
	if err != nil {
		return o, err
	}
	if !s.mayDial(who, t) {
		return o, errForbidden
	}
	o = ivr.CallOut{ContactID: t.ContactID, TicketID: t.ID, Staff: who}
	o.Number, err = s.Book.Phone(tx, t.ContactID)
	return o, err
}

// ofNumber is the call to a number that somebody has typed; the person behind it is known where we know them.
func (s *Server) ofNumber(tx *storage.Tx, number string, who org.Staff) (o ivr.CallOut, err error) {
	phone, err := contact.ParsePhone(number)
	if err != nil {
		return o, &ivr.Refusal{Code: "target", Message: "号码无法识别"}
	}
	o = ivr.CallOut{Number: phone, Staff: who}
	p, err := s.Book.Find(tx, phone)
	if errors.Is(err, storage.ErrNotFound) {
		return o, nil
	}
	o.ContactID = p.ID
	return o, err
}

func (s *Server) dialTicket(w http.ResponseWriter, r *http.Request, u *user) {
	s.dialOut(w, r, u, func(tx *storage.Tx) (ivr.CallOut, error) { return s.ofTicket(tx, r.PathValue("id"), u.Staff) })
}

func (s *Server) dialNumber(w http.ResponseWriter, r *http.Request, u *user) {
	in, ok := s.form(w, r)
	if !ok {
		return
	}
	s.dialOut(w, r, u, func(tx *storage.Tx) (ivr.CallOut, error) { return s.ofNumber(tx, in.text("number"), u.Staff) })
}

// dialOut begins a call and leads to its page.
func (s *Server) dialOut(w http.ResponseWriter, r *http.Request, u *user, whom func(tx *storage.Tx) (ivr.CallOut, error)) {
	var o ivr.CallOut
	err := s.DB.View(r.Context(), func(tx *storage.Tx) (err error) { o, err = whom(tx); return err })
	id := ""
	if err == nil {
		id, err = s.CallOut(r.Context(), o)
	}
	var no *ivr.Refusal
	switch {
	case errors.Is(err, errForbidden):
		s.problem(w, r, http.StatusForbidden, "forbidden")
	case errors.As(err, &no):
		s.problem(w, r, controlStatus(no), no.Message)
	case errors.Is(err, storage.ErrNotFound):
		s.problem(w, r, http.StatusNotFound, "not-found")
	case err != nil:
		s.fail(w, r, err)
	default:
		s.Hub.Publish(EventCalls)
		s.done(w, r, "/live/"+id, translate(s.lang(r), "did-dial", u.Extension))
	}
}

// apiDialOut rings a person's telephone, and then a number or the citizen of a ticket.
func (s *Server) apiDialOut(ctx context.Context, in *struct {
	Body struct {
		Extension string `json:"extension" minLength:"1" maxLength:"10" doc:"of the person who calls"`
		TicketID  string `json:"ticket_id,omitempty" doc:"its citizen is called"`
		Number    string `json:"number,omitempty" maxLength:"30" doc:"is called; one of the two"`
	}
}) (*one[DialOut], error) {
	staff, err := s.inTheNameOf(ctx, in.Body.Extension, org.DialOut)
	if err != nil {
		return nil, err
	}
	if (in.Body.TicketID == "") == (in.Body.Number == "") {
		return nil, huma.Error422UnprocessableEntity("give ticket_id or number", &huma.ErrorDetail{Location: "body"})
	}
	var o ivr.CallOut
	err = s.DB.View(ctx, func(tx *storage.Tx) (err error) {
		if in.Body.TicketID != "" {
			o, err = s.ofTicket(tx, in.Body.TicketID, staff)
		} else {
			o, err = s.ofNumber(tx, in.Body.Number, staff)
		}
		return err
	})
	if errors.Is(err, errForbidden) {
		return nil, huma.Error403Forbidden("the person may not call the citizen of this ticket")
	}
	if err != nil {
		return nil, s.controlProblem("dial", err)
	}
	id, err := s.CallOut(ctx, o)
	if err != nil {
		return nil, s.controlProblem("dial", err)
	}
	s.Hub.Publish(EventCalls)
	return &one[DialOut]{Body: DialOut{CallID: id}}, nil
}
