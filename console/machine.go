package console

import (
	"encoding/json"
	"net/http"

	"github.com/prometheus/client_golang/prometheus/promhttp"
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
	s.api(mux)
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
