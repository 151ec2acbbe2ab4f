package console

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"lianxin/desk"
	"lianxin/ivr"
	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket"
)

// controlRoutes are what is done with calls that are up, and the calls that we make.
func (s *Server) controlRoutes(mux *http.ServeMux) {
	if s.Order == nil {
		return
	}
	mux.HandleFunc("GET /live/{id}", s.may(org.ViewBoard, s.livePage))
	mux.HandleFunc("GET /live/{id}/state", s.may(org.ViewBoard, s.liveState))
	mux.HandleFunc("POST /live/{id}/{do}", s.may(org.TakeCalls, s.liveOrder))
	mux.HandleFunc("POST /callbacks/{id}/dial", s.callers(s.dialCallback))
}

type liveView struct {
	Call   ivr.LiveCall
	Gone   bool // it has ended
	Names  names
	Ticket *ticket.Ticket

	Mine       bool           // the reader is in charge of the call
	Commands   bool           // … or may act in the place of who is
	Supervises bool           // may listen, whisper, barge in
	Seat       *ivr.LiveParty // the reader's place in it as a supervisor
	Picks      bool           // may pick the caller up
	Consulted  *ivr.LiveParty
	Ringing    bool // somebody is being called
	Others     bool // somebody besides the operator in charge talks with the citizen
	Colleagues []desk.OperatorView

	Error, To string

	Stale bool // the page's panel offers what the reader may do no more, or not what they may now
}

// Panel names what the panel of the page offers: it is drawn anew only when that has changed, so that nobody's typing is lost.
func (v liveView) Panel() string {
	return fmt.Sprintf("%t-%t-%t-%t", v.Gone, v.Commands, v.Supervises, v.Picks)
}

// Who names a party: a colleague's name with the extension.
func (v liveView) Who(p ivr.LiveParty) string {
	if p.StaffID != "" {
		if n := v.Names.Who("staff/" + p.StaffID); !strings.HasPrefix(n, "staff/") {
			return n + " " + p.Label
		}
	}
	return p.Label
}

func (s *Server) readLive(r *http.Request, u *user) (liveView, error) {
	v := liveView{Gone: true, Supervises: u.Can(org.ListenIn)}
	id := r.PathValue("id")
	for _, c := range s.Live() {
		if c.ID == id {
			v.Call, v.Gone = c, false
		}
	}
	v.Call.ID = id
	err := s.DB.View(r.Context(), func(tx *storage.Tx) (err error) {
		if v.Names, err = readNames(tx, s.lang(r)); err != nil || v.Gone || v.Call.TicketID == "" {
			return err
		}
		t, err := s.Office.See(tx, v.Call.TicketID, ticket.Staff(u.Staff))
		if err == nil {
			v.Ticket = &t
		} else if errors.Is(err, storage.ErrNotFound) {
			err = nil
		}
		return err
	})
	if err != nil || v.Gone {
		return v, err
	}
	for i, p := range v.Call.Parties {
		switch {
		case p.Lead:
			v.Mine = u.Extension != "" && p.Extension == u.Extension || p.StaffID == u.ID
		case p.Kind == ivr.PartySupervisor && p.Extension == u.Extension:
			v.Seat = &v.Call.Parties[i]
		case p.Ringing && p.Kind != ivr.PartySupervisor:
			v.Ringing = true
		}
		if p.Aside {
			v.Consulted = &v.Call.Parties[i]
		} else if !p.Lead && !p.Ringing && p.Kind != ivr.PartySupervisor {
			v.Others = true
		}
	}
	v.Commands = v.Mine || v.Supervises
	v.Picks = v.Call.Stage == ivr.StageWaiting && u.Can(org.TakeCalls) && u.Extension != ""
	sn, err := s.Board.Snapshot(r.Context())
	if err != nil {
		return v, err
	}
	v.Colleagues = slices.DeleteFunc(sn.Operators, func(o desk.OperatorView) bool { return o.Extension == u.Extension || !o.Registered })
	return v, nil
}

// livePage is one call that is up: who is in it, and what can be done with it. When it has ended, its record takes its place.
func (s *Server) livePage(w http.ResponseWriter, r *http.Request, u *user) {
	v, err := s.readLive(r, u)
	switch {
	case err != nil:
		s.fail(w, r, err)
	case v.Gone && u.Can(org.ViewCalls):
		http.Redirect(w, r, "/calls/"+v.Call.ID, http.StatusSeeOther)
	case v.Gone:
		s.problem(w, r, http.StatusNotFound, "not-found")
	default:
		s.render(w, r, http.StatusOK, "live-call", "", "live-call", v)
	}
}

// liveState is the part of the page that asks again when something changed.
func (s *Server) liveState(w http.ResponseWriter, r *http.Request, u *user) {
	v, err := s.readLive(r, u)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	was := r.URL.Query().Get("panel")
	v.Stale = was != "" && was != v.Panel()
	s.render(w, r, http.StatusOK, "live-call", "live", "live-call", v)
}

// liveOrder carries out what the reader asks of the call.
func (s *Server) liveOrder(w http.ResponseWriter, r *http.Request, u *user) {
	in, ok := s.form(w, r)
	if !ok {
		return
	}
	id, do := r.PathValue("id"), ivr.Action(r.PathValue("do"))
	did := translate(s.lang(r), "did-live-"+string(do))
	if did == "did-live-"+string(do) { // there is no such order
		s.problem(w, r, http.StatusNotFound, "not-found")
		return
	}
	err := s.Order(r.Context(), id, ivr.Order{Do: do, To: in.text("to"), Staff: u.Staff})
	var no *ivr.Refusal
	switch {
	case errors.As(err, &no) && no.Code == "gone":
		s.done(w, r, "/board", no.Message)
	case errors.As(err, &no):
		v, err := s.readLive(r, u)
		if err != nil {
			s.fail(w, r, err)
			return
		}
		if v.Gone {
			s.done(w, r, "/board", no.Message)
			return
		}
		v.Error, v.To = no.Message, in.text("to")
		s.render(w, r, controlStatus(no), "live-call", "", "live-call", v)
	case err != nil:
		s.fail(w, r, err)
	default:
		s.Hub.Publish(EventCalls)
		s.done(w, r, "/live/"+id, did)
	}
}

// controlStatus is the status of an answer that shows a refusal.
func controlStatus(no *ivr.Refusal) int {
	switch no.Code {
	case "forbidden":
		return http.StatusForbidden
	case "state", "busy":
		return http.StatusConflict
	case "gone":
		return http.StatusNotFound
	}
	return http.StatusUnprocessableEntity
}

// dialCallback calls the citizen of a call-back: the reader's phone rings first. The number itself is not shown.
func (s *Server) dialCallback(w http.ResponseWriter, r *http.Request, u *user) {
	v, ok := s.viewCallback(w, r, u)
	if !ok {
		return
	}
	if !v.MayDial {
		s.problem(w, r, http.StatusForbidden, "forbidden")
		return
	}
	o := ivr.CallOut{ContactID: v.C.ContactID, CallbackID: v.C.ID, TicketID: v.C.TicketID, Staff: u.Staff}
	err := s.DB.View(r.Context(), func(tx *storage.Tx) (err error) {
		o.Number, err = s.Book.Phone(tx, v.C.ContactID)
		return err
	})
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		s.fail(w, r, err)
		return
	}
	id, err := s.CallOut(r.Context(), o)
	var no *ivr.Refusal
	switch {
	case errors.As(err, &no):
		v.DialError = no.Message
		s.render(w, r, controlStatus(no), "callback", "", "callback-title", v)
	case err != nil:
		s.fail(w, r, err)
	default:
		s.Hub.Publish(EventCalls)
		s.done(w, r, "/live/"+id, translate(s.lang(r), "did-dial", u.Extension))
	}
}

// starKey is a feature code of the telephones, for the page.
type starKey struct{ Key, Means string }

// Keys are the codes that do the same on the telephone.
func (liveView) Keys() []starKey {
	return []starKey{{"*6", "key-hold"}, {"*2 8002 #", "key-transfer"}, {"*3 8002 #", "key-consult"}, {"*4", "key-complete"}, {"*5", "key-join"},
		{"*0", "key-return"}, {"*7", "key-leave"}, {"*110", "key-police"}, {"*8 / *8 8002", "key-pickup"}, {"*91 / *92 / *93 8002", "key-supervise"}}
}
