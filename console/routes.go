package console

import (
	"net/http"

	"lianxin/org"
)

// routes lists every page. A page's handlers and its routes stand in the file of its subject.
func (s *Server) routes(mux *http.ServeMux) {
	mux.HandleFunc("GET /board", s.may(org.ViewBoard, s.board))
	mux.HandleFunc("GET /board/live", s.may(org.ViewBoard, s.boardLive))
	mux.HandleFunc("POST /board/state", s.may(org.TakeCalls, s.setState))
	s.callRoutes(mux)
	s.ticketRoutes(mux)
	s.surveyRoutes(mux)
	s.handsetRoutes(mux)
}

// menu is the order of the navigation: what a role may not see is not shown.
var menu = []struct {
	path, label, icon string
	needs             org.Action
}{
	{"/board", "board", "board", org.ViewBoard},
	{"/tickets", "tickets", "ticket", org.ViewTicket},
	{"/callbacks", "callbacks", "back", org.ViewCallbacks},
	{"/alerts", "alerts", "alert", org.ViewAlerts},
	{"/calls", "calls", "phone", org.ViewCalls},
	{"/survey", "survey", "survey", org.ViewSurvey},
	{"/replies", "replies", "inbox", org.SortReplies},
	{"/handset", "handset", "handset", org.UseHandset},
	{"/log", "log", "log", org.ViewAudit},
}

func (s *Server) nav(u *user, r *http.Request) []navItem {
	if u == nil {
		return nil
	}
	var items []navItem
	for _, m := range menu {
		if !u.Can(m.needs) || m.path == "/handset" && s.Handset == nil {
			continue
		}
		items = append(items, navItem{Path: m.path, Label: translate(s.lang(r), m.label), Icon: m.icon, Current: under(r.URL.Path, m.path)})
	}
	return items
}

func under(path, prefix string) bool {
	return path == prefix || len(path) > len(prefix) && path[:len(prefix)] == prefix && path[len(prefix)] == '/'
}

// home is where a person begins: the first page of the menu that the role may see, for units their tickets.
func (s *Server) home(u *user) string {
	if u.Role.Reach() == org.ReachUnit {
		return "/tickets"
	}
	for _, m := range menu {
		if u.Can(m.needs) && (m.path != "/handset" || s.Handset != nil) {
			return m.path
		}
	}
	return "/tickets"
}
