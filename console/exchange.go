package console

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"lianxin/contact"
	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket"
	"lianxin/ticket/channel"
	"lianxin/workday"
)

// exchange is how another body hands its requests over and asks how they stand (12345, 110 and others), one channel a
// path. Everything is idempotent by the number the request has there.
func (s *Server) exchange(mux *http.ServeMux) {
	mux.HandleFunc("POST /api/v1/exchange/{channel}/items", s.withToken(org.OpenTicket, s.exchangePut))
	mux.HandleFunc("GET /api/v1/exchange/{channel}/items/{external}", s.withToken(org.ViewTicket, s.exchangeGet))
	mux.HandleFunc("POST /api/v1/exchange/{channel}/items/{external}/status", s.withToken(org.OpenTicket, s.exchangeStatus))
	mux.HandleFunc("GET /api/v1/incidents/{no}", s.withToken(org.ViewTicket, s.apiIncident))
	mux.HandleFunc("PUT /api/v1/incidents/{no}/tickets/{number}", s.withToken(org.AmendTicket, s.apiLinkIncident))
	mux.HandleFunc("GET /api/v1/connectors", s.withToken(org.ViewHealth, s.apiConnectors))
	mux.HandleFunc("POST /api/v1/tickets/{id}/reveal", s.withToken(org.Reveal, s.apiReveal))
}

// withToken lets a program through that shows a token with this permission.
func (s *Server) withToken(a org.Action, next func(http.ResponseWriter, *http.Request, org.Token)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		scheme, secret, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		t, err := s.checkToken(r.Context(), strings.TrimSpace(secret))
		switch {
		case !strings.EqualFold(scheme, "Bearer") || errors.Is(err, org.ErrBadToken):
			w.Header().Set("WWW-Authenticate", "Bearer")
			writeProblem(w, http.StatusUnauthorized, "a bearer token is needed")
		case err != nil:
			s.Log.Error("api: check token", "err", err)
			writeProblem(w, http.StatusInternalServerError, "the token could not be checked")
		case !t.Can(a):
			writeProblem(w, http.StatusForbidden, "the token's role does not allow "+string(a))
		default:
			next(w, r, t)
		}
	}
}

// itemIn is a request as another body hands it over.
type itemIn struct {
	ExternalID   string    `json:"external_id"`
	ReceivedAt   time.Time `json:"received_at"`
	Due          time.Time `json:"due"`
	Title        string    `json:"title"`
	Body         string    `json:"body"`
	Kind         string    `json:"kind"`
	Place        string    `json:"place"`
	Name         string    `json:"name"`
	Phone        string    `json:"phone"`
	Mail         string    `json:"mail"`
	Identity     string    `json:"identity"`
	Unit         string    `json:"unit"`
	AccusedUnit  string    `json:"accused_unit"`
	Incident     string    `json:"incident"`
	Window       string    `json:"window"`
	Clerk        string    `json:"clerk"`
	Confidential bool      `json:"confidential"`
	Anonymous    bool      `json:"anonymous"`
}

type itemOut struct {
	ExternalID string     `json:"external_id"`
	Number     string     `json:"number"`
	State      string     `json:"state"`
	Label      string     `json:"state_label"`
	Known      bool       `json:"known,omitempty"`
	Changed    bool       `json:"changed,omitempty"`
	Odd        string     `json:"odd,omitempty"`
	OddReason  string     `json:"odd_reason,omitempty"`
	Due        *time.Time `json:"due,omitempty"`
	Incident   string     `json:"incident,omitempty"`
	Window     string     `json:"window,omitempty"`
	Clerk      string     `json:"clerk,omitempty"`
	Reply      string     `json:"reply,omitempty"`
	ClosedAt   *time.Time `json:"closed_at,omitempty"`
}

func itemOf(t ticket.Ticket) itemOut {
	return itemOut{ExternalID: t.ExternalID, Number: t.Number, State: string(t.State), Label: t.StateLabel(), Due: stampOrNil(t.Due), Incident: t.IncidentNo, Window: t.WindowNo, Clerk: t.ClerkNo, ClosedAt: stampOrNil(t.ClosedAt)}
}

// refusedOr answers a refusal as 422, what is not there as 404, and anything else as 500.
func (s *Server) refusedOr(w http.ResponseWriter, what string, err error) bool {
	refusal, refused := ticket.RefusedWith(err)
	switch {
	case err == nil:
		return false
	case refused:
		answerJSON(w, http.StatusUnprocessableEntity, map[string]any{"status": 422, "code": refusal.Code, "detail": refusal.Message})
	case errors.Is(err, storage.ErrNotFound):
		writeProblem(w, http.StatusNotFound, "there is no such thing")
	case errors.Is(err, storage.ErrConflict):
		writeProblem(w, http.StatusConflict, "another request is at it; send it again")
	default:
		s.Log.Error("api: "+what, "err", err)
		writeProblem(w, http.StatusInternalServerError, "something went wrong and has been logged")
	}
	return true
}

// exchangePut takes one request, once: the same number again answers the ticket that is there.
func (s *Server) exchangePut(w http.ResponseWriter, r *http.Request, t org.Token) {
	code := r.PathValue("channel")
	raw := json.RawMessage{}
	if json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&raw) != nil {
		writeProblem(w, http.StatusBadRequest, "the body is no JSON object")
		return
	}
	var in itemIn
	if err := json.Unmarshal(raw, &in); err != nil {
		writeProblem(w, http.StatusBadRequest, "the object does not fit: times are RFC 3339, the rest is text")
		return
	}
	var out itemOut
	err := s.DB.Update(r.Context(), func(tx *storage.Tx) error {
		c, err := s.Office.Channel(tx, code)
		if err != nil {
			return err
		}
		switch {
		case c.Restricted && !t.Can(org.ViewRestricted):
			return storage.ErrNotFound
		case c.External && strings.TrimSpace(in.ExternalID) == "":
			return &ticket.Refusal{Code: "no_external_id", Message: "缺来源编号"}
		case !in.ReceivedAt.IsZero() && in.ReceivedAt.After(s.Now().Add(5*time.Minute)):
			return &ticket.Refusal{Code: "future", Message: "来源时间在将来"}
		case !in.Due.IsZero() && !in.ReceivedAt.IsZero() && in.Due.Before(in.ReceivedAt):
			return &ticket.Refusal{Code: "due_before", Message: "来源方时限早于来源时间"}
		}
		k, err := s.Gateway.Take(tx, channel.Delivery{Channel: code, ExternalID: in.ExternalID, ReceivedAt: in.ReceivedAt, Due: in.Due, Title: in.Title, Body: in.Body, Kind: in.Kind, Place: in.Place, Name: in.Name,
			Phone: in.Phone, Mail: in.Mail, Identity: in.Identity, Unit: in.Unit, AccusedUnit: in.AccusedUnit, Incident: in.Incident, Window: in.Window, Clerk: in.Clerk, Confidential: in.Confidential, Anonymous: in.Anonymous, Raw: raw}, ticket.Token(t))
		if err != nil {
			return err
		}
		out = itemOf(k.Ticket)
		out.Known, out.Changed, out.Odd, out.OddReason = k.Existing, k.Changed, k.Odd, channel.Reason(k.Odd)
		return nil
	})
	if s.refusedOr(w, "exchange", err) {
		return
	}
	status := http.StatusCreated
	if out.Known {
		status = http.StatusOK
	}
	s.Hub.Publish(EventTickets)
	answerJSON(w, status, out)
}

// exchanged reads the ticket of a channel's number, as far as the token may see it.
func (s *Server) exchanged(tx *storage.Tx, r *http.Request, t org.Token) (ticket.Ticket, error) {
	external, err := url.PathUnescape(r.PathValue("external"))
	if err != nil {
		return ticket.Ticket{}, storage.ErrNotFound
	}
	id, err := storage.One(tx, storage.Value[string], `SELECT id FROM ticket WHERE channel = $1 AND external_id = $2`, r.PathValue("channel"), external)
	if err != nil {
		return ticket.Ticket{}, err
	}
	return s.Office.See(tx, id, ticket.Token(t))
}

func (s *Server) exchangeGet(w http.ResponseWriter, r *http.Request, t org.Token) {
	var out itemOut
	err := s.DB.View(r.Context(), func(tx *storage.Tx) error {
		k, err := s.exchanged(tx, r, t)
		if err != nil {
			return err
		}
		out = itemOf(k)
		if k.RepliedAt.IsZero() {
			return nil
		}
		out.Reply, err = s.Gateway.ReplyFor(tx, k)
		return err
	})
	if !s.refusedOr(w, "exchange", err) {
		answerJSON(w, http.StatusOK, out)
	}
}

// exchangeStatus takes what the other body says later: it hurries us on, adds something, or takes the request back.
func (s *Server) exchangeStatus(w http.ResponseWriter, r *http.Request, t org.Token) {
	var in struct {
		Status string `json:"status"` // "urged", "supplemented", "withdrawn"
		Text   string `json:"text"`
	}
	if json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&in) != nil {
		writeProblem(w, http.StatusBadRequest, "an object with status and text is needed")
		return
	}
	var out itemOut
	err := s.DB.Update(r.Context(), func(tx *storage.Tx) error {
		k, err := s.exchanged(tx, r, t)
		if err != nil {
			return err
		}
		by := ticket.Token(t)
		switch in.Status {
		case "urged":
			k, err = s.Office.NoteFromSource(tx, k.ID, "urge", in.Text, by)
		case "supplemented":
			k, err = s.Office.NoteFromSource(tx, k.ID, "supplement", in.Text, by)
		case "withdrawn":
			k, err = s.Office.Withdraw(tx, k.ID, ticket.Withdrawal{Reason: in.Text, Evidence: "来源方撤回：" + k.Channel + " " + k.ExternalID}, ticket.System)
		default:
			return &ticket.Refusal{Code: "status", Message: "状态是 urged、supplemented 或 withdrawn"}
		}
		out = itemOf(k)
		return err
	})
	if !s.refusedOr(w, "exchange", err) {
		s.Hub.Publish(EventTickets)
		answerJSON(w, http.StatusOK, out)
	}
}

func (s *Server) apiIncident(w http.ResponseWriter, r *http.Request, t org.Token) {
	out := struct {
		Incident string    `json:"incident"`
		Tickets  []itemOut `json:"tickets"`
	}{Incident: r.PathValue("no"), Tickets: []itemOut{}}
	err := s.DB.View(r.Context(), func(tx *storage.Tx) error {
		list, err := s.Office.Incident(tx, out.Incident, ticket.Token(t))
		for _, k := range list {
			out.Tickets = append(out.Tickets, itemOf(k))
		}
		return err
	})
	if !s.refusedOr(w, "incident", err) {
		answerJSON(w, http.StatusOK, out)
	}
}

func (s *Server) apiLinkIncident(w http.ResponseWriter, r *http.Request, t org.Token) {
	var out itemOut
	err := s.DB.Update(r.Context(), func(tx *storage.Tx) error {
		k, err := s.Office.See(tx, r.PathValue("number"), ticket.Token(t))
		if err != nil {
			return err
		}
		k, err = s.Office.LinkIncident(tx, k.ID, r.PathValue("no"), ticket.Token(t))
		out = itemOf(k)
		return err
	})
	if !s.refusedOr(w, "incident", err) {
		s.Hub.Publish(EventTickets)
		answerJSON(w, http.StatusOK, out)
	}
}

// apiConnectors tells of each connector whether it works.
func (s *Server) apiConnectors(w http.ResponseWriter, r *http.Request, _ org.Token) {
	type one struct {
		ID      string     `json:"id"`
		Name    string     `json:"name"`
		Kind    string     `json:"kind"`
		Channel string     `json:"channel,omitempty"`
		Alive   bool       `json:"alive"`
		LastOK  *time.Time `json:"last_ok,omitempty"`
		Backlog int        `json:"backlog"`
		Error   string     `json:"error,omitempty"`
	}
	out := []one{}
	err := s.DB.View(r.Context(), func(tx *storage.Tx) error {
		all, err := s.Gateway.Connectors(tx)
		for _, c := range all {
			if !c.Enabled {
				continue
			}
			v, err := s.viewConnector(tx, c, nil)
			if err != nil {
				return err
			}
			out = append(out, one{c.ID, c.Name, c.Kind, c.Channel, v.Alive, stampOrNil(c.LastOK), v.Backlog, c.Error})
		}
		return err
	})
	if !s.refusedOr(w, "connectors", err) {
		answerJSON(w, http.StatusOK, map[string]any{"connectors": out})
	}
}

// apiReveal gives number and name of a ticket's citizen in the open, for a reason that is logged (I7).
func (s *Server) apiReveal(w http.ResponseWriter, r *http.Request, t org.Token) {
	var in struct {
		Reason string `json:"reason"`
	}
	if json.NewDecoder(http.MaxBytesReader(w, r.Body, 4<<10)).Decode(&in) != nil {
		writeProblem(w, http.StatusBadRequest, "an object with a reason is needed")
		return
	}
	out := map[string]any{}
	forbidden := false
	err := s.DB.Update(r.Context(), func(tx *storage.Tx) error {
		by := ticket.Token(t)
		k, err := s.Office.See(tx, r.PathValue("id"), by)
		if err != nil {
			return err
		}
		if forbidden = !s.Office.KnowsCitizen(k, by); forbidden {
			return nil
		}
		if k.ContactID == "" {
			return storage.ErrNotFound
		}
		phone, name, err := s.Book.Reveal(tx, k.ContactID, t.Actor(), in.Reason)
		if err != nil {
			return err
		}
		out["phone"], out["name"], out["number"] = phone.Clear(), name, k.Number
		out["at"] = s.Now().In(workday.Zone)
		return nil
	})
	switch {
	case forbidden:
		writeProblem(w, http.StatusForbidden, "the citizen asked for confidentiality, or the token may not know who it is")
	case isNoReason(err):
		writeProblem(w, http.StatusUnprocessableEntity, "a reason of at least two characters is needed")
	case !s.refusedOr(w, "reveal", err):
		answerJSON(w, http.StatusOK, out)
	}
}

func isNoReason(err error) bool { return errors.Is(err, contact.ErrNoReason) }
