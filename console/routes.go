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
	s.controlRoutes(mux)
	s.dutyRoutes(mux)
	s.flowRoutes(mux)
	s.ticketRoutes(mux)
	s.surveyRoutes(mux)
	s.handsetRoutes(mux)
	s.intakeRoutes(mux)
	s.softphoneRoutes(mux)
	s.textRoutes(mux)
	s.surveyMoreRoutes(mux)
}

// A menuGroup is what stands under one heading of the navigation.
type menuGroup struct {
	label string // key of its heading; none for what everybody opens first
	items []menuItem
}

type menuItem struct {
	path, label, icon string
	needs             org.Action
}

// menu is the order of the navigation: what a role may not see is not shown, nor a heading with nothing under it.
var menu = []menuGroup{
	{"", []menuItem{
		{"/board", "board", "board", org.ViewBoard},
		{"/tickets", "tickets", "ticket", org.ViewTicket},
		{"/notices", "notices", "inbox", org.ViewTicket},
		{"/callbacks", "callbacks", "back", org.ViewCallbacks},
		{"/alerts", "alerts", "alert", org.ViewAlerts},
	}},
	{"menu.intake", []menuItem{
		{"/inbox", "inbox", "inbox", org.ViewTicket},
		{"/imports", "imports", "log", org.ImportData},
		{"/results", "results", "back", org.ExportData},
		{"/export", "export-data", "log", org.ExportData},
		{"/connectors", "connectors", "phone", org.ViewHealth},
		{"/channels", "channels", "people", org.ManageRules},
		{"/privacy", "privacy", "log", org.ViewHealth},
	}},
	{"menu.oversight", []menuItem{
		{"/oversee/supervision", "o-menu-supervision", "alert", org.ViewTicket},
		{"/oversee/topic", "o-menu-topic", "people", org.ViewTicket},
		{"/oversee/consult", "o-menu-consult", "survey", org.ViewTicket},
		{"/oversee/order", "o-menu-order", "log", org.ViewTicket},
		{"/oversee/backcheck", "o-menu-backcheck", "back", org.ViewTicket},
		{"/oversee/clue", "o-menu-clue", "inbox", org.ViewTicket},
		{"/oversee/measure", "o-menu-measure", "ticket", org.ViewReports},
		{"/oversee/watch", "o-menu-watch", "people", org.ViewWatch},
		{"/oversee/rules", "warn-rules", "alert", org.ViewAlerts},
	}},
	{"menu.hotline", []menuItem{
		{"/calls", "calls", "phone", org.ViewCalls},
		{"/guard", "guard", "alert", org.BlockCallers},
		{"/duty", "duty", "people", org.ViewBoard},
	}},
	{"menu.survey", []menuItem{
		{"/survey", "survey", "survey", org.ViewSurvey},
		{"/survey/figures", "survey-figures", "board", org.ViewSurvey},
		{"/replies", "replies", "inbox", org.SortReplies},
		{"/exclusions", "exclusions", "log", org.DetermineTicket},
		{"/survey/templates", "survey-templates", "ticket", org.ViewSurvey},
		{"/texts", "texts", "phone", org.ViewTexts},
		{"/handset", "handset", "handset", org.UseHandset},
	}},
	{"menu.system", []menuItem{
		{"/rules", "rules-menu", "log", org.ViewRules},
		{"/oversee/rules/settings", "o-menu-settings", "log", org.ManageRules},
		{"/flows", "flows", "log", org.ViewHealth},
		{"/log", "log", "log", org.ViewAudit},
	}},
}

// offers is true when the person may open the page of this item and the program has it.
func (s *Server) offers(u *user, m menuItem) bool {
	return u.Can(m.needs) && offersKind(u, m.path) && (m.path != "/handset" || s.Handset != nil) && (m.path != "/flows" || s.Flows != nil)
}

func (s *Server) nav(u *user, r *http.Request) []navGroup {
	if u == nil {
		return nil
	}
	var groups []navGroup
	for _, g := range menu {
		var items []navItem
		for _, m := range g.items {
			if s.offers(u, m) {
				items = append(items, navItem{Path: m.path, Label: translate(s.lang(r), m.label), Icon: m.icon, Current: under(r.URL.Path, m.path)})
			}
		}
		if items == nil {
			continue
		}
		label := ""
		if g.label != "" {
			label = translate(s.lang(r), g.label)
		}
		groups = append(groups, navGroup{Label: label, Items: items})
	}
	return groups
}

func under(path, prefix string) bool {
	return path == prefix || len(path) > len(prefix) && path[:len(prefix)] == prefix && path[len(prefix)] == '/'
}

// home is where a person begins: the first page of the menu that the role may see, for units their tickets.
func (s *Server) home(u *user) string {
	if u.Role.Reach() == org.ReachUnit {
		return "/tickets"
	}
	for _, g := range menu {
		for _, m := range g.items {
			if s.offers(u, m) {
				return m.path
			}
		}
	}
	return "/tickets"
}
