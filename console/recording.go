package console

import (
	"errors"
	"io"
	"io/fs"
	"net/http"
	"strings"
	"sync"
	"time"

	"lianxin/audit"
	"lianxin/ivr"
	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket"
	"lianxin/workday"
)

// recordingPath is where the recording of a call lies; false when there is none, or none any more.
func (s *Server) recordingPath(c ivr.Record) (string, bool) {
	path, err := ivr.RecordingPath(s.Recordings, c)
	return path, err == nil
}

// mayHear says whether somebody who sees a ticket may hear its caller: a voice tells who it is.
func mayHear(o *ticket.Office, t ticket.Ticket, by ticket.Actor) bool {
	return !t.Confidential || o.KnowsCitizen(t, by)
}

// hearingLasts is how long after its first piece a recording is taken to be heard by the same person in one go.
const hearingLasts = 10 * time.Minute

// hearings knows which recordings are being heard by whom: a player asks for many pieces, in any order, and that is one hearing.
type hearings struct {
	mu sync.Mutex
	at map[string]time.Time // by actor and call
}

// fresh says whether this is a new hearing.
func (h *hearings) fresh(actor, call string, now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for key, at := range h.at {
		if now.Sub(at) > hearingLasts {
			delete(h.at, key)
		}
	}
	_, known := h.at[actor+" "+call]
	return !known
}

func (h *hearings) note(actor, call string, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.at == nil {
		h.at = map[string]time.Time{}
	}
	h.at[actor+" "+call] = now
}

// hearable reads a call whose recording an actor wants to hear; storage.ErrNotFound when it is not for them.
func (s *Server) hearable(tx *storage.Tx, id string, by ticket.Actor) (ivr.Record, error) {
	call, err := s.Calls.Get(tx, id)
	if err != nil || call.TicketID == "" {
		return call, err
	}
	t, err := s.Office.See(tx, call.TicketID, by)
	if err == nil && !mayHear(s.Office, t, by) {
		return call, storage.ErrNotFound
	}
	return call, err
}

// recording plays a call's recording to who may hear it; each hearing is an event of the call.
func (s *Server) recording(w http.ResponseWriter, r *http.Request, u *user) {
	switch err := s.play(w, r, ticket.Staff(u.Staff), u.Actor()); {
	case err == nil:
	case errors.Is(err, ivr.ErrRecordingGone):
		s.problem(w, r, http.StatusGone, "recording-removed")
	case missing(err):
		s.problem(w, r, http.StatusNotFound, "not-found")
	default:
		s.fail(w, r, err)
	}
}

func missing(err error) bool {
	return errors.Is(err, storage.ErrNotFound) || errors.Is(err, ivr.ErrNoRecording) || errors.Is(err, fs.ErrNotExist)
}

// apiRecording is recording for programs.
func (s *Server) apiRecording(w http.ResponseWriter, r *http.Request) {
	t, ok := s.bearer(w, r, org.PlayCalls)
	if !ok {
		return
	}
	switch err := s.play(w, r, ticket.Token(t), t.Actor()); {
	case err == nil:
	case errors.Is(err, ivr.ErrRecordingGone):
		http.Error(w, "the sound has been removed", http.StatusGone)
	case missing(err):
		http.Error(w, "there is no such recording", http.StatusNotFound)
	default:
		s.Log.Error("api: recording", "err", err)
		http.Error(w, "something went wrong and has been logged", http.StatusInternalServerError)
	}
}

// bearer lets a request through that shows a token which may do a; others it answers.
func (s *Server) bearer(w http.ResponseWriter, r *http.Request, a org.Action) (org.Token, bool) {
	scheme, secret, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	t, err := s.checkToken(r.Context(), strings.TrimSpace(secret))
	switch {
	case !strings.EqualFold(scheme, "Bearer") || errors.Is(err, org.ErrBadToken):
		w.Header().Set("WWW-Authenticate", "Bearer")
		http.Error(w, "a bearer token is needed", http.StatusUnauthorized)
	case err != nil:
		s.Log.Error("console: check token", "err", err)
		http.Error(w, "the token could not be checked", http.StatusInternalServerError)
	case !t.Can(a):
		http.Error(w, "the token's role does not allow "+string(a), http.StatusForbidden)
	default:
		return t, true
	}
	return t, false
}

// play answers with the sound, after the hearing has been written down.
func (s *Server) play(w http.ResponseWriter, r *http.Request, by ticket.Actor, actor string) error {
	var call ivr.Record
	err := s.DB.View(r.Context(), func(tx *storage.Tx) (err error) {
		call, err = s.hearable(tx, r.PathValue("id"), by)
		return err
	})
	if err != nil {
		return err
	}
	player, err := s.Calls.OpenRecording(s.Recordings, call)
	if err != nil {
		return err
	}
	defer player.Close()
	if s.heard.fresh(actor, call.ID, s.Now()) {
		err := s.DB.Update(r.Context(), func(tx *storage.Tx) error {
			_, err := audit.Append(tx, audit.Entry{Stream: "call/" + call.ID, Type: "call.recording_played", Actor: actor, At: s.Now()})
			return err
		})
		if err != nil {
			return err
		}
	}
	s.heard.note(actor, call.ID, s.Now())
	w.Header().Set("Content-Type", "audio/wav")
	w.Header().Set("Cache-Control", "private, no-store")
	http.ServeContent(w, r, "", call.Started, io.ReadSeeker(player))
	return nil
}

// Watermark is what stands over a player: a photograph of the screen tells who took it, and when.
func (p page) Watermark() string {
	if p.User == nil {
		return ""
	}
	return p.User.Name + " " + p.User.Login + " " + time.Now().In(workday.Zone).Format("2006-01-02 15:04")
}

// holdRecording keeps a recording beyond its time, or lets it go again.
func (s *Server) holdRecording(w http.ResponseWriter, r *http.Request, u *user) {
	why := strings.TrimSpace(r.PostFormValue("reason"))
	if r.PostFormValue("release") == "yes" {
		why = ""
	} else if why == "" || len([]rune(why)) > 200 {
		s.problem(w, r, http.StatusUnprocessableEntity, "reason-needed")
		return
	}
	id := r.PathValue("id")
	err := s.DB.Update(r.Context(), func(tx *storage.Tx) error {
		if _, err := s.hearable(tx, id, ticket.Staff(u.Staff)); err != nil {
			return err
		}
		return s.Calls.Hold(tx, id, why, u.Actor())
	})
	switch {
	case err == nil:
		http.Redirect(w, r, "/calls/"+id, http.StatusSeeOther)
	case missing(err) || errors.Is(err, ivr.ErrRecordingGone):
		s.problem(w, r, http.StatusNotFound, "not-found")
	default:
		s.fail(w, r, err)
	}
}
