package console

import "net/http"

// loopRoutes are the pages that stand beside the tickets' main path.
func (s *Server) loopRoutes(mux *http.ServeMux) {
	s.causeRoutes(mux)
	s.dualRoutes(mux)
	s.reportRoutes(mux)
	s.pollRoutes(mux)
}
