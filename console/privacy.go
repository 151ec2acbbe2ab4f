package console

import (
	"net/http"
	"time"

	"lianxin/org"
	"lianxin/privacy"
)

func (s *Server) privacyRoutes(mux *http.ServeMux) {
	if s.Keeper == nil {
		return
	}
	mux.HandleFunc("GET /privacy", s.may(org.ViewHealth, s.privacyPage))
	mux.HandleFunc("POST /privacy", s.may(org.ManageRules, s.privacyRun))
	s.personRoutes(mux)
}

// keptView is a kind of data with its period and what is due.
type keptView struct {
	Label  string
	Period string
	Before time.Time
	Rows   int
}

// privacyPage previews what retention would take out now.
func (s *Server) privacyPage(w http.ResponseWriter, r *http.Request, u *user) {
	list, err := s.Keeper.Preview(r.Context())
	if err != nil {
		s.fail(w, r, err)
		return
	}
	v := struct {
		Rows  []keptView
		Total int
		May   bool
	}{May: u.Can(org.ManageRules)}
	for _, d := range list {
		zh, en := d.Kind.Label()
		if s.lang(r) == "en" {
			zh = en
		}
		v.Rows = append(v.Rows, keptView{zh, periodIn(s.lang(r), d.Period), d.Before, d.Rows})
		v.Total += d.Rows
	}
	s.render(w, r, http.StatusOK, "privacy", "", "privacy", v)
}

// privacyRun takes out what is due, as the server does every night.
func (s *Server) privacyRun(w http.ResponseWriter, r *http.Request, u *user) {
	list, err := s.Keeper.Run(r.Context(), u.Actor())
	if err != nil {
		s.fail(w, r, err)
		return
	}
	n := 0
	for _, d := range list {
		n += d.Done
	}
	s.done(w, r, "/privacy", translate(s.lang(r), "privacy-done", n))
}

// periodIn is a period in words.
func periodIn(lang string, p privacy.Period) string {
	switch {
	case p.Years > 0:
		return translate(lang, "period-y", p.Years)
	case p.Months > 0:
		return translate(lang, "period-m", p.Months)
	}
	return translate(lang, "period-d", p.Days)
}
