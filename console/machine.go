package console

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"lianxin/org"
)

// machineRoutes are for programs: health, metrics, the API and carriers' webhooks. They use no session.
func (s *Server) machineRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /healthz", s.healthz)
	if s.Metrics != nil {
		mux.Handle("GET /metrics", promhttp.HandlerFor(s.Metrics, promhttp.HandlerOpts{}))
	}
	for pattern, h := range s.Webhooks {
		mux.Handle(pattern, h)
	}
	mux.HandleFunc("POST /api/v1/records", s.pushRecords)
	mux.HandleFunc("GET /api/v1/calls/{id}/recording", s.apiRecording)
	mux.HandleFunc("GET /api/v1/calls/{id}/packets", s.apiPackets)
	mux.HandleFunc("GET /api/v1/calls.csv", s.apiCallsCSV)
	s.api(mux)
	s.publicAPI(mux)
	// What programs ask for and is not there is answered to a program, not with a sign-in page.
	for _, pattern := range []string{"/api/", "/healthz", "/metrics", "/webhooks/"} {
		mux.HandleFunc(pattern, nothingHere)
	}
}

// nothingHere is 404, or 405 where only the method is wrong, as RFC 9457 says it.
func nothingHere(w http.ResponseWriter, r *http.Request) {
	status := http.StatusNotFound
	if r.URL.Path == "/healthz" || r.URL.Path == "/metrics" {
		status = http.StatusMethodNotAllowed
		w.Header().Set("Allow", "GET")
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]any{"status": status, "title": http.StatusText(status), "detail": "there is no such operation"})
}

// pushRecords takes service records from another system (survey.Survey.Push) that shows a token which may import.
func (s *Server) pushRecords(w http.ResponseWriter, r *http.Request) {
	scheme, secret, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	t, err := s.checkToken(r.Context(), strings.TrimSpace(secret))
	switch {
	case !strings.EqualFold(scheme, "Bearer") || errors.Is(err, org.ErrBadToken):
		w.Header().Set("WWW-Authenticate", "Bearer")
		http.Error(w, "a bearer token is needed", http.StatusUnauthorized)
	case err != nil:
		s.Log.Error("console: check token", "err", err)
		http.Error(w, "the token could not be checked", http.StatusInternalServerError)
	case !t.Can(org.ImportData):
		http.Error(w, "the token's role does not allow "+string(org.ImportData), http.StatusForbidden)
	default:
		s.Survey.Push(w, r, t.Actor())
		s.Hub.Publish(EventSurvey)
	}
}

// healthz answers 200 when calls and texts can be served, else 503, and says of each part whether it works.
func (s *Server) healthz(w http.ResponseWriter, r *http.Request) {
	answer := struct {
		OK    bool   `json:"ok"`
		Parts []Part `json:"parts"`
	}{OK: true, Parts: s.Health(r.Context())}
	for _, p := range answer.Parts {
		if p.Needed && !p.OK {
			answer.OK = false
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if !answer.OK {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	json.NewEncoder(w).Encode(answer)
}
