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
	s.todayRoutes(mux)
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
	s.figureRoutes(mux)
	s.surveyMoreRoutes(mux)
	s.loopRoutes(mux)
	s.telephoneRoutes(mux)
	s.questionRoutes(mux)
	s.dialRoutes(mux)
	s.orgRoutes(mux)
}

// A menuGroup is what stands under one heading of the navigation.
type menuGroup struct {
	label string // key of its heading; none for what everybody opens first
	items []menuItem
}

type menuItem struct {
	path, label, icon string
	needs             org.Action       // "" for everybody who is signed in
	may               func(*user) bool // what the page asks for in needs' place; nil: needs alone
}

// menu is the order of the navigation: what a role may not see is not shown, nor a heading with nothing under it. A link
// and its route ask for the same: a test opens every link that a role is shown.
var menu = []menuGroup{
	{"", []menuItem{
		{"/today", "today", "today", "", nil},
		{"/board", "board", "board", org.ViewBoard, nil},
		{"/tickets", "tickets", "ticket", org.ViewTicket, nil},
		{"/notices", "notices", "bell", org.ViewTicket, nil},
		{"/callbacks", "callbacks", "back", "", seesCallbacks},
		{"/alerts", "alerts", "alert", org.ViewAlerts, nil},
	}},
	{"menu.intake", []menuItem{
		{"/inbox", "inbox", "inbox", org.ViewTicket, nil},
		{"/imports", "imports", "up", "", importsAny},
		{"/results", "results", "down", org.ExportData, nil},
		{"/export", "export-data", "down", org.ExportData, nil},
	}},
	{"menu.oversight", []menuItem{
		{"/figures", "figures", "board", org.ViewReports, nil},
		{"/reports", "reports", "log", org.ViewReports, nil},
		{"/oversee/supervision", "o-menu-supervision", "flag", org.ViewTicket, nil},
		{"/oversee/topic", "o-menu-topic", "people", org.ViewTicket, nil},
		{"/oversee/consult", "o-menu-consult", "survey", org.ViewTicket, nil},
		{"/oversee/order", "o-menu-order", "log", org.ViewTicket, nil},
		{"/oversee/backcheck", "o-menu-backcheck", "check", org.ViewTicket, nil},
		{"/dual", "dual", "alert", org.ViewAlerts, nil},
		{"/silence", "silence", "people", org.ViewAlerts, nil},
		{"/oversee/mediation", "o-menu-mediation", "people", org.ViewTicket, nil},
		{"/oversee/badrating", "o-menu-badrating", "back", org.ViewTicket, nil},
		{"/oversee/clue", "o-menu-clue", "inbox", org.ViewTicket, nil},
		{"/oversee/measure", "o-menu-measure", "ticket", org.ViewReports, nil},
		{"/oversee/watch", "o-menu-watch", "people", org.ViewWatch, nil},
		{"/oversee/rules", "warn-rules", "alert", org.ViewAlerts, nil},
	}},
	{"menu.hotline", []menuItem{
		{"/calls", "calls", "phone", org.ViewCalls, nil},
		{"/guard", "guard", "shield", org.BlockCallers, nil},
		{"/marks", "marks", "flag", org.FlagCallers, nil},
		{"/duty", "duty", "people", org.ViewBoard, nil},
	}},
	{"menu.survey", []menuItem{
		{"/survey", "survey", "survey", org.ViewSurvey, nil},
		{"/survey/figures", "survey-figures", "board", org.ViewSurvey, nil},
		{"/replies", "replies", "inbox", org.SortReplies, nil},
		{"/exclusions", "exclusions", "check", org.DetermineTicket, nil},
		{"/survey/telephone", "survey-telephone", "phone", org.ViewSurvey, nil},
		{"/survey/questions", "questions", "phone", org.RunSurvey, nil},
		{"/survey/templates", "survey-templates", "ticket", org.ViewSurvey, nil},
		{"/polls", "polls", "survey", org.ViewPolls, nil},
		{"/texts", "texts", "phone", org.ViewTexts, nil},
		{"/handset", "handset", "handset", org.UseHandset, nil},
	}},
	{"menu.system", []menuItem{
		{"/org", "org", "people", org.ViewStaff, nil},
		{"/persons", "persons", "people", org.ViewPersonal, nil},
		{"/privacy", "privacy", "shield", org.ViewHealth, nil},
		{"/connectors", "connectors", "plug", org.ViewHealth, nil},
		{"/mail-texts", "mail-texts", "mail", org.SetMailTexts, nil},
		{"/channels", "channels", "inbox", org.ManageRules, nil},
		{"/rules", "rules-menu", "log", org.ViewRules, nil},
		{"/grading", "grading-menu", "log", org.ViewRules, nil},
		{"/causes", "causes", "log", org.ViewRules, nil},
		{"/oversee/rules/settings", "o-menu-settings", "log", org.ManageRules, nil},
		{"/flows", "flows", "phone", org.ViewHealth, nil},
		{"/log", "log", "log", org.ViewAudit, nil},
	}},
}

// offers is true when the person may open the page of this item and the program has it.
func (s *Server) offers(u *user, m menuItem) bool {
	switch {
	case m.may != nil && !m.may(u), m.needs != "" && !u.Can(m.needs):
		return false
	}
	return offersKind(u, m.path) && (m.path != "/handset" || s.Handset != nil) && (m.path != "/polls" || s.Polls != nil) && (m.path != "/flows" || s.Flows != nil) && (m.path != "/survey/questions" || s.Questions != nil)
}

// fewItems is how many entries stand open at once: whoever has no more sees all of them without a click.
const fewItems = 14

func (s *Server) nav(u *user, r *http.Request) []navGroup {
	if u == nil {
		return nil
	}
	here := s.current(u, r.URL.Path)
	total := 0
	var groups []navGroup
	for _, g := range menu {
		group := navGroup{Key: g.label}
		for _, m := range g.items {
			if s.offers(u, m) {
				group.Items = append(group.Items, navItem{Path: m.path, Label: translate(s.lang(r), m.label), Icon: m.icon, Current: m.path == here})
				group.Open = group.Open || m.path == here
			}
		}
		if group.Items == nil {
			continue
		}
		if g.label != "" {
			group.Label = translate(s.lang(r), g.label)
		}
		total += len(group.Items)
		groups = append(groups, group)
	}
	if total <= fewItems {
		for i := range groups {
			groups[i].Open = true
		}
	}
	return groups
}

// current is the entry of the menu that a page belongs to: the longest whose path it stands under.
func (s *Server) current(u *user, path string) (best string) {
	for _, g := range menu {
		for _, m := range g.items {
			if under(path, m.path) && len(m.path) > len(best) && s.offers(u, m) {
				best = m.path
			}
		}
	}
	return best
}

func under(path, prefix string) bool {
	return path == prefix || len(path) > len(prefix) && path[:len(prefix)] == prefix && path[len(prefix)] == '/'
}

// home is where a person begins: what waits for them.
func (s *Server) home(*user) string { return "/today" }
