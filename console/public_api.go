package console

import (
	"encoding/json"
	"net/http"
	"time"

	"lianxin/contact"
	"lianxin/storage"
	"lianxin/ticket"
	"lianxin/ticket/channel"
	"lianxin/workday"
)

// publicAPI is what the mini-programme speaks: the same as the pages, in JSON. A submission may also be a multipart form
// with photos, whose other fields have the names of the object's members.
func (s *Server) publicAPI(mux *http.ServeMux) {
	if s.Gateway == nil {
		return
	}
	mux.HandleFunc("GET /api/public/v1/challenge", s.apiChallenge)
	mux.HandleFunc("POST /api/public/v1/requests", s.apiSubmit)
	mux.HandleFunc("POST /api/public/v1/requests/look", s.apiLook)
	mux.HandleFunc("POST /api/public/v1/requests/rate", s.apiLook)
	mux.HandleFunc("POST /api/public/v1/requests/add", s.apiLook)
	mux.HandleFunc("POST /api/public/v1/requests/withdraw", s.apiLook)
	s.open311(mux)
	s.exchange(mux)
}

func readable(number string) bool {
	_, err := contact.ParsePhone(number)
	return err == nil
}

func answerJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v)
}

// apiChallenge gives the work that a submission needs: find a decimal number so that SHA-256 over "challenge:number" begins
// with so many zero bits.
func (s *Server) apiChallenge(w http.ResponseWriter, r *http.Request) {
	if s.throttled(w, r, &s.public.ask) {
		return
	}
	answerJSON(w, http.StatusOK, map[string]any{"challenge": s.Gateway.Challenge(), "bits": channel.ProofBits, "hash": "SHA-256", "valid_seconds": int(channel.ProofLife.Seconds())})
}

func (s *Server) apiSubmit(w http.ResponseWriter, r *http.Request) {
	if s.throttled(w, r, &s.public.post) {
		return
	}
	p, err := s.readPosted(w, r)
	var rec channel.Receipt
	if err == nil {
		switch {
		case !s.Gateway.Proven(p.Challenge, p.Proof):
			err = refusedKey("no-proof")
		case p.Phone != "" && !p.Anonymous && !readable(p.Phone):
			err = refusedKey("bad-phone")
		default:
			rec, err = s.submit(r, p, "mini")
		}
	}
	if refusal, refused := ticket.RefusedWith(err); refused {
		answerJSON(w, http.StatusUnprocessableEntity, map[string]any{"status": 422, "code": refusal.Code, "detail": translate("zh-CN", refusal.Message), "detail_en": translate("en", refusal.Message)})
		return
	}
	if err != nil {
		s.Log.Error("public api: submit", "err", err)
		writeProblem(w, http.StatusInternalServerError, "something went wrong and has been logged")
		return
	}
	status := http.StatusCreated
	if rec.Existing {
		status = http.StatusOK
	}
	s.Hub.Publish(EventTickets)
	answerJSON(w, status, map[string]any{"number": rec.Number, "code": rec.Code, "existing": rec.Existing})
}

// progressOut is how a request stands, for the mini-programme.
type progressOut struct {
	Number     string     `json:"number"`
	Title      string     `json:"title"`
	State      string     `json:"state"`
	Received   time.Time  `json:"received_at"`
	Promised   *time.Time `json:"promised_at,omitempty"`
	PromisedAs string     `json:"promised_as,omitempty"`
	Reply      string     `json:"reply,omitempty"`
	Replied    *time.Time `json:"replied_at,omitempty"`
	Notice     string     `json:"notice,omitempty"`
	Stars      int        `json:"stars,omitempty"`
	MayRate    bool       `json:"may_rate"`
	MayAdd     bool       `json:"may_add"`
	MayLeave   bool       `json:"may_withdraw"`
	Steps      []stepOut  `json:"steps"`
}

type stepOut struct {
	Name string     `json:"name"`
	Done bool       `json:"done"`
	Now  bool       `json:"now"`
	At   *time.Time `json:"at,omitempty"`
}

// apiLook shows how a request stands, after doing what its sender wants. The code is in the body, never in an address.
func (s *Server) apiLook(w http.ResponseWriter, r *http.Request) {
	if s.throttled(w, r, &s.public.ask) {
		return
	}
	var in struct {
		Number string `json:"number"`
		Code   string `json:"code"`
		Stars  int    `json:"stars"`
		Text   string `json:"text"`
	}
	if json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(&in) != nil {
		writeProblem(w, http.StatusBadRequest, "an object with number and code is needed")
		return
	}
	t, err := s.Gateway.Find(r.Context(), in.Number, in.Code)
	if key := lookProblem(err); key != "" {
		writeProblem(w, http.StatusNotFound, translate("zh-CN", key)+" "+translate("en", key))
		return
	}
	if err == nil {
		err = s.DB.Update(r.Context(), func(tx *storage.Tx) (err error) {
			switch r.URL.Path {
			case "/api/public/v1/requests/rate":
				_, err = s.Gateway.RateBy(tx, t, ticket.Stars(in.Stars), in.Text)
			case "/api/public/v1/requests/add":
				err = s.Gateway.Add(tx, t, in.Text)
			case "/api/public/v1/requests/withdraw":
				err = s.Gateway.Leave(tx, t, in.Text)
			}
			return err
		})
	}
	var p channel.Progress
	if err == nil {
		err = s.DB.View(r.Context(), func(tx *storage.Tx) error {
			k, err := s.Office.Get(tx, t.ID)
			if err != nil {
				return err
			}
			p, err = s.Gateway.ProgressOf(tx, k)
			return err
		})
	}
	if refusal, refused := ticket.RefusedWith(err); refused {
		answerJSON(w, http.StatusUnprocessableEntity, map[string]any{"status": 422, "code": refusal.Code, "detail": refusal.Message})
		return
	}
	if err != nil {
		s.Log.Error("public api: look", "err", err)
		writeProblem(w, http.StatusInternalServerError, "something went wrong and has been logged")
		return
	}
	out := progressOut{Number: p.Number, Title: p.Title, State: p.Label, Received: p.Received.In(workday.Zone), Promised: stampOrNil(p.Promised), PromisedAs: p.PromisedAs, Reply: p.Reply, Replied: stampOrNil(p.Replied),
		Notice: p.Notice, Stars: int(p.Stars), MayRate: p.MayRate, MayAdd: p.MayAdd, MayLeave: p.MayLeave}
	for _, st := range p.Steps {
		out.Steps = append(out.Steps, stepOut{st.Name, st.Done, st.Now, stampOrNil(st.At)})
	}
	answerJSON(w, http.StatusOK, out)
}
