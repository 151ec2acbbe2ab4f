package console

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"lianxin/org"
	"lianxin/sip"
	"lianxin/sip/web"
)

// softphoneRoutes are the signalling of the telephone in the browser: what rings comes by an event stream, which also makes the
// operator reachable while it is open; an offer of the page (RFC 8829) is answered in the response to its POST.
func (s *Server) softphoneRoutes(mux *http.ServeMux) {
	if s.Softphones == nil {
		return
	}
	mux.HandleFunc("GET /softphone/events", s.may(org.TakeCalls, s.softphoneEvents))
	mux.HandleFunc("POST /softphone/calls/{id}/media", s.may(org.TakeCalls, s.softphoneMedia))
	mux.HandleFunc("POST /softphone/calls/{id}/hold", s.may(org.TakeCalls, s.softphoneDo(func(u *user, id string) error { return s.Softphones.Hold(u.Extension, id, true) })))
	mux.HandleFunc("POST /softphone/calls/{id}/resume", s.may(org.TakeCalls, s.softphoneDo(func(u *user, id string) error { return s.Softphones.Hold(u.Extension, id, false) })))
	mux.HandleFunc("POST /softphone/calls/{id}/decline", s.may(org.TakeCalls, s.softphoneDo(func(u *user, id string) error { return s.Softphones.Decline(u.Extension, id) })))
	mux.HandleFunc("POST /softphone/calls/{id}/hangup", s.may(org.TakeCalls, s.softphoneDo(func(u *user, id string) error { return s.Softphones.HangUp(u.Extension, id) })))
}

// hasSoftphone says whether this person's pages have the telephone in them.
func (s *Server) hasSoftphone(u *user) bool {
	return s.Softphones != nil && u != nil && u.Extension != "" && u.Can(org.TakeCalls)
}

// softphoneState is what the page shows.
type softphoneState struct {
	Extension string          `json:"extension"`
	Calls     []softphoneCall `json:"calls"`

	ICE   []web.ICEServer `json:"ice,omitempty"`   // for the next connection
	Relay bool            `json:"relay,omitempty"` // only through them
}

type softphoneCall struct {
	web.View
	Call   string `json:"call,omitempty"`   // path of the caller's call
	Ticket string `json:"ticket,omitempty"` // path of the ticket
	Live   string `json:"live,omitempty"`   // path of what can be done with it: transfer, conference, 110
	Urgent bool   `json:"urgent"`
	Now    int64  `json:"now"` // server's clock, ms, as the page's may be wrong
}

func (s *Server) softphoneState(u *user) softphoneState {
	st := softphoneState{Extension: u.Extension, Calls: []softphoneCall{}}
	st.ICE, st.Relay = s.Softphones.Relays(u.Extension)
	live := s.Live()
	for _, v := range s.Softphones.Calls(u.Extension) {
		c := softphoneCall{View: v, Now: time.Now().UnixMilli()}
		if v.Caller != "" && u.Can(org.ViewCalls) {
			c.Call = "/calls/" + v.Caller
		}
		for _, l := range live {
			if l.ID == v.Caller {
				if s.Order != nil && !v.Answered.IsZero() {
					c.Live = "/live/" + v.Caller
				}
				c.Urgent = l.Urgent
				if l.TicketID != "" {
					c.Ticket = "/tickets/" + l.TicketID
				}
			}
		}
		st.Calls = append(st.Calls, c)
	}
	return st
}

// softphoneEvents keeps an operator reachable while the page listens, and tells it of every change of its calls.
func (s *Server) softphoneEvents(w http.ResponseWriter, r *http.Request, u *user) {
	if !s.hasSoftphone(u) {
		s.problem(w, r, http.StatusForbidden, "no-extension")
		return
	}
	flush := http.NewResponseController(w)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no")
	flush.SetReadDeadline(time.Time{})
	flush.SetWriteDeadline(time.Time{})
	changed, leave := s.Softphones.Attend(u.Extension)
	defer leave()
	fmt.Fprint(w, "retry: 1000\n\n")
	alive := time.NewTicker(10 * time.Second)
	defer alive.Stop()
	for {
		text, err := json.Marshal(s.softphoneState(u))
		if err != nil {
			s.Log.Error("console: softphone", "err", err)
			return
		}
		fmt.Fprintf(w, "event: state\ndata: %s\n\n", text)
		if flush.Flush() != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-changed:
		case <-alive.C:
			// A closed account, or one that has lost its extension, ends here.
			if now, err := s.whoIs(r.Context()); err == nil && (now == nil || now.Extension != u.Extension || !s.hasSoftphone(now)) {
				return
			}
		}
	}
}

// maxOffer bounds a page's offer; Chromium's has 2 KB.
const maxOffer = 64 << 10

// softphoneMedia answers the offer of a page: {"sdp": …} in, {"sdp": …} out.
func (s *Server) softphoneMedia(w http.ResponseWriter, r *http.Request, u *user) {
	var in struct {
		SDP string `json:"sdp"`
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxOffer+1024))
	if err == nil {
		err = json.Unmarshal(body, &in)
	}
	if err != nil || in.SDP == "" {
		s.softphoneAnswer(w, r, nil, fmt.Errorf("%w: no description", web.ErrOffer))
		return
	}
	answer, err := s.Softphones.Accept(r.Context(), u.Extension, r.PathValue("id"), in.SDP)
	s.softphoneAnswer(w, r, map[string]string{"sdp": answer}, err)
}

func (s *Server) softphoneDo(do func(u *user, id string) error) func(http.ResponseWriter, *http.Request, *user) {
	return func(w http.ResponseWriter, r *http.Request, u *user) {
		s.softphoneAnswer(w, r, map[string]string{}, do(u, r.PathValue("id")))
	}
}

// softphoneAnswer writes what came of a request, refusals in the reader's language.
func (s *Server) softphoneAnswer(w http.ResponseWriter, r *http.Request, v any, err error) {
	status, key := http.StatusOK, ""
	switch {
	case err == nil:
	case errors.Is(err, web.ErrNoCall), errors.Is(err, sip.ErrEnded):
		status, key = http.StatusGone, "softphone.gone"
	case errors.Is(err, web.ErrTaken):
		status, key = http.StatusConflict, "softphone.taken"
	case errors.Is(err, sip.ErrNotNow):
		status, key = http.StatusConflict, "softphone.not-now"
	case errors.Is(err, web.ErrOffer):
		status, key = http.StatusUnprocessableEntity, "softphone.bad-offer"
	default:
		s.Log.Error("console: softphone", "err", err)
		status, key = http.StatusInternalServerError, "failed"
	}
	if key != "" {
		v = map[string]string{"error": translate(s.lang(r), key)}
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
