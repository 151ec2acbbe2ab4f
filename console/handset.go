package console

import (
	"net/http"
	"strings"
	"time"

	"lianxin/contact"
	"lianxin/org"
	"lianxin/sms/sim"
)

func (s *Server) handsetRoutes(mux *http.ServeMux) {
	if s.Handset == nil {
		return
	}
	mux.HandleFunc("GET /handset", s.may(org.UseHandset, s.handset))
	mux.HandleFunc("GET /handset/live", s.may(org.UseHandset, s.handsetLive))
	mux.HandleFunc("POST /handset/pick", s.may(org.UseHandset, s.pickHandset))
	mux.HandleFunc("POST /handset/reply", s.may(org.UseHandset, s.handsetReply))
}

type handsetView struct {
	Phone   contact.Phone // prints masked
	Thread  []sim.Entry
	Recent  []sim.Entry
	Pending int // texts on their way to this handset
	Error   string
}

// handsetKey is where the session remembers which handset is in the hand: a number never stands in an address.
const handsetKey = "handset"

func (s *Server) readHandset(r *http.Request) (v handsetView, err error) {
	ctx := r.Context()
	if v.Recent, err = s.Handset.Handsets(ctx, 30); err != nil {
		return v, err
	}
	if text := s.session.GetString(ctx, handsetKey); text != "" {
		if v.Phone, err = contact.ParsePhone(text); err != nil {
			return v, err
		}
	} else if len(v.Recent) > 0 {
		v.Phone = v.Recent[0].Phone
	} else {
		return v, nil
	}
	all, err := s.Handset.Handset(ctx, v.Phone)
	for _, e := range all {
		switch {
		case e.Reply || e.State == "delivered":
			v.Thread = append(v.Thread, e)
		case e.State == "accepted":
			v.Pending++
		}
	}
	return v, err
}

// handset is the simulated telephone of a resident: the texts of a number, and a field to answer.
func (s *Server) handset(w http.ResponseWriter, r *http.Request, _ *user) {
	v, err := s.readHandset(r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.render(w, r, http.StatusOK, "handset", "", "handset", v)
}

func (s *Server) handsetLive(w http.ResponseWriter, r *http.Request, _ *user) {
	v, err := s.readHandset(r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.render(w, r, http.StatusOK, "handset", "thread", "handset", v)
}

// pickHandset takes the handset of a number, typed or chosen by one of its texts, into the hand.
func (s *Server) pickHandset(w http.ResponseWriter, r *http.Request, _ *user) {
	v, err := s.readHandset(r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	var phone contact.Phone
	if id := r.PostFormValue("entry"); id != "" {
		for _, e := range v.Recent {
			if e.ID == id {
				phone = e.Phone
			}
		}
	} else if phone, err = contact.ParseMobile(r.PostFormValue("number")); err != nil {
		v.Error = contact.Reason(err)
		s.render(w, r, http.StatusUnprocessableEntity, "handset", "", "handset", v)
		return
	}
	if !phone.IsZero() {
		s.session.Put(r.Context(), handsetKey, phone.Clear())
	}
	http.Redirect(w, r, "/handset", http.StatusSeeOther)
}

// handsetReply is the resident pressing send.
func (s *Server) handsetReply(w http.ResponseWriter, r *http.Request, _ *user) {
	v, err := s.readHandset(r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	body := r.PostFormValue("text")
	if v.Phone.IsZero() || strings.TrimSpace(body) == "" || len(body) > 2000 {
		http.Redirect(w, r, "/handset", http.StatusSeeOther)
		return
	}
	if _, err := s.Handset.Reply(r.Context(), v.Phone, body); err != nil {
		s.fail(w, r, err)
		return
	}
	s.session.Put(r.Context(), handsetKey, v.Phone.Clear())
	// The carrier hands the reply over within a moment; the page shows it with the next live event at the latest.
	time.AfterFunc(500*time.Millisecond, func() { s.Hub.Publish(EventSurvey) })
	http.Redirect(w, r, "/handset", http.StatusSeeOther)
}
