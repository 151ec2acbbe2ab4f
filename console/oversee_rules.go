package console

import (
	"encoding/json"
	"net/http"
	"time"

	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket"
	"lianxin/ticket/oversee"
	"lianxin/workday"
)

// warnView is the page of early warning: each rule with its figures, the thresholds, and a back-test.
type warnView struct {
	Days      int
	Rules     []oversee.RuleFigures
	InForce   string
	Settings  string // JSON, for who may change it
	Versions  []oversee.RulesVersion
	MayEdit   bool
	Error     string
	Effective string

	From, To string
	Trial    string
	Test     *oversee.Backtest
	TestErr  string
	Names    names
}

func (s *Server) readWarn(tx *storage.Tx, r *http.Request, u *user) (*warnView, error) {
	v := &warnView{Days: 30, MayEdit: u.Can(org.ManageRules)}
	now := s.Now()
	var err error
	if v.Rules, err = s.Oversight.RuleCounts(tx, now.AddDate(0, 0, -v.Days), now.Add(time.Minute)); err != nil {
		return nil, err
	}
	rules, err := s.Oversight.RulesInForce(tx)
	if err != nil {
		return nil, err
	}
	v.InForce = rules.ID()
	body, err := json.MarshalIndent(rules, "", "  ")
	if err != nil {
		return nil, err
	}
	v.Settings = string(body)
	if v.Versions, err = s.Oversight.RulesVersions(tx); err != nil {
		return nil, err
	}
	v.To = workday.DayOf(now).String()
	v.From = workday.DayOf(now).Add(-27).String()
	v.Names, err = readNames(tx, s.lang(r))
	return v, err
}

func (s *Server) warnRules(w http.ResponseWriter, r *http.Request, u *user) {
	s.showWarn(w, r, u, http.StatusOK, func(*warnView) {})
}

// ruleSettings is the same page for those who set rules and see no alerts.
func (s *Server) ruleSettings(w http.ResponseWriter, r *http.Request, u *user) {
	s.showWarn(w, r, u, http.StatusOK, func(v *warnView) {})
}

func (s *Server) showWarn(w http.ResponseWriter, r *http.Request, u *user, status int, change func(*warnView)) {
	var v *warnView
	if err := s.DB.View(r.Context(), func(tx *storage.Tx) (err error) { v, err = s.readWarn(tx, r, u); return err }); err != nil {
		s.fail(w, r, err)
		return
	}
	change(v)
	s.render(w, r, status, "oversee-rules", "", "warn-rules", v)
}

func (s *Server) setWarnRules(w http.ResponseWriter, r *http.Request, u *user) {
	in, ok := s.form(w, r)
	if !ok {
		return
	}
	var effective time.Time
	if day, err := workday.ParseDay(in.text("effective")); err == nil {
		effective = day.Start()
	}
	err := s.DB.Update(r.Context(), func(tx *storage.Tx) error {
		_, err := s.Oversight.SetRules(tx, in.text("rules"), effective, ticket.Staff(u.Staff))
		return err
	})
	if refusal, refused := ticket.RefusedWith(err); refused {
		s.showWarn(w, r, u, http.StatusUnprocessableEntity, func(v *warnView) {
			v.Error, v.Settings, v.Effective = refusal.Message, in.text("rules"), in.text("effective")
		})
		return
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.done(w, r, "/oversee/rules/settings", translate(s.lang(r), "o-rules-saved"))
}

// backtest runs the rules that were typed, or those in force, over what is stored; it changes nothing.
func (s *Server) backtest(w http.ResponseWriter, r *http.Request, u *user) {
	in, ok := s.form(w, r)
	if !ok {
		return
	}
	from, err1 := workday.ParseDay(in.text("from"))
	to, err2 := workday.ParseDay(in.text("to"))
	bad := func(text string) {
		s.showWarn(w, r, u, http.StatusUnprocessableEntity, func(v *warnView) {
			v.TestErr, v.Trial, v.From, v.To = text, in.text("rules"), in.text("from"), in.text("to")
		})
	}
	if err1 != nil || err2 != nil || to < from || to > from.Add(400) {
		bad(translate(s.lang(r), "o-backtest-days"))
		return
	}
	var rules oversee.Rules
	var err error
	if in.text("rules") == "" {
		err = s.DB.View(r.Context(), func(tx *storage.Tx) (err error) { rules, err = s.Oversight.RulesInForce(tx); return err })
	} else {
		rules, err = oversee.ParseRules(in.text("rules"))
	}
	if refusal, refused := ticket.RefusedWith(err); refused {
		bad(refusal.Message)
		return
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	test, err := s.Oversight.Backtest(r.Context(), s.DB, rules, from.Start(), to.End(), ticket.Staff(u.Staff))
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.showWarn(w, r, u, http.StatusOK, func(v *warnView) {
		v.Test, v.Trial, v.From, v.To = &test, in.text("rules"), in.text("from"), in.text("to")
	})
}
