package console

import (
	"errors"
	"net/http"
	"slices"

	"lianxin/contact"
	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket"
	"lianxin/ticket/oversee"
)

func (s *Server) alertRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /alerts", s.may(org.ViewAlerts, s.alertList))
	mux.HandleFunc("GET /alerts/live", s.may(org.ViewAlerts, s.alertListLive))
	mux.HandleFunc("GET /alerts/{id}", s.may(org.ViewAlerts, s.alertPage))
	mux.HandleFunc("POST /alerts/{id}/ack", s.may(org.AckAlert, s.alertAct))
	mux.HandleFunc("POST /alerts/{id}/dispose", s.may(org.AckAlert, s.alertAct))
	mux.HandleFunc("POST /alerts/{id}/reveal", s.may(org.AckAlert, s.revealAlert))
	s.overseeRoutes(mux)
}

type alertListView struct {
	State       ticket.AlertState
	States      []ticket.AlertState
	Rows        []alertView
	Total       int
	Page, Pages int
	May         bool
	Names       names
}

// RuleLabel is the rule that raised an alert in words; one that nobody has named is shown as it is.
func (v alertView) RuleLabel() string {
	if text, ok := languages[v.Names.lang]["rule-"+v.Rule]; ok {
		return text
	}
	return v.Rule
}

// Heading is what the list calls an alert: its title, which is written in Chinese when it is raised; the rule in words where
// there is none, or where the page is in another language.
func (v alertView) Heading() string {
	if rule := v.RuleLabel(); v.Title == "" || v.Names.lang != "zh-CN" && rule != v.Rule {
		return rule
	}
	return v.Title
}

// alertView is an alert, and on its own page what may be done about it.
type alertView struct {
	ticket.Alert
	Ticket *ticket.Ticket
	Due    dueView
	May    bool
	Names  names
	Person *person
	Fields []field
	Error  string

	RevealError, RevealTyped string
	Intervention             *oversee.Intervention // what is done about the person
	MayIntervene             bool
}

var alertStates = []ticket.AlertState{ticket.AlertRaised, ticket.AlertAcked, ticket.AlertDisposed}

func (s *Server) readAlerts(tx *storage.Tx, r *http.Request, u *user) (v alertListView, ok bool, err error) {
	q := r.URL.Query()
	v = alertListView{State: ticket.AlertState(q.Get("state")), States: alertStates, Page: pageOf(q.Get("page")), May: u.Can(org.AckAlert)}
	if v.State != "" && !slices.Contains(alertStates, v.State) {
		return v, false, nil
	}
	if v.Names, err = readNames(tx, s.lang(r)); err != nil {
		return v, true, err
	}
	list, total, err := s.Office.Alerts(tx, ticket.AlertFilter{Viewer: ticket.Staff(u.Staff), State: v.State, Limit: perPage, Offset: (v.Page - 1) * perPage})
	if err != nil {
		return v, true, err
	}
	v.Total, v.Pages = total, max(1, (total+perPage-1)/perPage)
	for _, a := range list {
		row, err := s.alertView(tx, s.lang(r), u, a)
		if err != nil {
			return v, true, err
		}
		v.Rows = append(v.Rows, row)
	}
	return v, true, nil
}

func (s *Server) alertView(tx *storage.Tx, lang string, u *user, a ticket.Alert) (alertView, error) {
	v := alertView{Alert: a, Names: names{lang: lang}, Due: dueOf(lang, a.AckDue, s.Now()), May: u.Can(org.AckAlert)}
	if a.TicketID != "" {
		t, err := s.Office.See(tx, a.TicketID, ticket.Staff(u.Staff))
		if err != nil && !errors.Is(err, storage.ErrNotFound) {
			return v, err
		}
		if err == nil {
			v.Ticket = &t
		}
	}
	return v, nil
}

func (s *Server) alertList(w http.ResponseWriter, r *http.Request, u *user) {
	s.listAlerts(w, r, u, "")
}

func (s *Server) alertListLive(w http.ResponseWriter, r *http.Request, u *user) {
	s.listAlerts(w, r, u, "list")
}

func (s *Server) listAlerts(w http.ResponseWriter, r *http.Request, u *user, block string) {
	var v alertListView
	var ok bool
	err := s.DB.View(r.Context(), func(tx *storage.Tx) (err error) {
		v, ok, err = s.readAlerts(tx, r, u)
		return err
	})
	switch {
	case err != nil:
		s.fail(w, r, err)
	case !ok:
		s.problem(w, r, http.StatusBadRequest, "bad-request")
	default:
		s.render(w, r, http.StatusOK, "alerts", block, "alerts", v)
	}
}

// readAlert reads one alert; one about a ticket that is hidden from the reader is storage.ErrNotFound.
func (s *Server) readAlert(tx *storage.Tx, lang string, u *user, id string) (*alertView, error) {
	a, err := s.Office.Alert(tx, id, ticket.Staff(u.Staff))
	if err != nil {
		return nil, err
	}
	v, err := s.alertView(tx, lang, u, a)
	if err != nil {
		return nil, err
	}
	v.Fields = disposeFields(v.Alert)
	if v.Person, err = s.readPerson(tx, u, v.ContactID, v.Ticket != nil && v.Ticket.Confidential); err != nil {
		return nil, err
	}
	if s.Oversight != nil {
		if v.Intervention, err = s.Oversight.InterventionOf(tx, a.ID, ticket.Staff(u.Staff)); err != nil {
			return nil, err
		}
		v.MayIntervene = v.Intervention == nil && a.State != ticket.AlertRaised && a.Disposition != ticket.Noise && (u.Can(org.Supervise) || u.Can(org.ApproveWatch))
	}
	v.Names, err = readNames(tx, lang)
	return &v, err
}

func disposeFields(a ticket.Alert) []field {
	f := []field{
		{Name: "how", Kind: "select", Required: true, Options: labelled(ticket.ToTicket, ticket.ToOrder, ticket.Intervention, ticket.Noise)},
		{Name: "note", Label: "dispose-note", Kind: "area", Required: true, Max: 2000},
	}
	if a.TicketID == "" {
		f = slices.Insert(f, 1, field{Name: "ticket", Label: "ticket-number", Hint: "hint-alert-ticket", Max: 32})
	}
	return f
}

func (s *Server) alertPage(w http.ResponseWriter, r *http.Request, u *user) {
	if v, ok := s.viewAlert(w, r, u); ok {
		s.render(w, r, http.StatusOK, "alert", "", "alert-title", v)
	}
}

func (s *Server) viewAlert(w http.ResponseWriter, r *http.Request, u *user) (v *alertView, ok bool) {
	err := s.DB.View(r.Context(), func(tx *storage.Tx) (err error) {
		v, err = s.readAlert(tx, s.lang(r), u, r.PathValue("id"))
		return err
	})
	if errors.Is(err, storage.ErrNotFound) {
		s.problem(w, r, http.StatusNotFound, "not-found")
		return nil, false
	}
	if err != nil {
		s.fail(w, r, err)
		return nil, false
	}
	return v, true
}

// alertAct acknowledges an alert or notes what was done about it.
func (s *Server) alertAct(w http.ResponseWriter, r *http.Request, u *user) {
	in, ok := s.form(w, r)
	if !ok {
		return
	}
	v, ok := s.viewAlert(w, r, u)
	if !ok {
		return
	}
	id, what, by := v.ID, lastElement(r.URL.Path), ticket.Staff(u.Staff)
	err := s.DB.Update(r.Context(), func(tx *storage.Tx) error {
		if what == "ack" {
			return did(s.Office.AckAlert(tx, id, by))
		}
		of := ""
		if in.text("ticket") != "" {
			var err error
			if of, err = (command{in: in, by: by}).numbered(tx, s.Office, "ticket"); err != nil {
				return err
			}
		}
		return did(s.Office.DisposeAlert(tx, id, ticket.Disposition(in.text("how")), of, in.text("note"), by))
	})
	refusal, refused := ticket.RefusedWith(err)
	switch {
	case refused:
		if v, ok = s.viewAlert(w, r, u); ok {
			v.Fields, v.Error = in.fill(v.Fields), refusal.Message
			s.render(w, r, statusOf(refusal), "alert", "", "alert-title", v)
		}
	case err != nil:
		s.fail(w, r, err)
	default:
		s.Hub.Publish(EventAlert)
		s.done(w, r, "/alerts/"+id, translate(s.lang(r), "did-alert-"+what))
	}
}

// revealAlert shows whom an alert is about to somebody who deals with it, for a reason that is logged.
func (s *Server) revealAlert(w http.ResponseWriter, r *http.Request, u *user) {
	in, ok := s.form(w, r)
	if !ok {
		return
	}
	var v *alertView
	err := s.DB.Update(r.Context(), func(tx *storage.Tx) (err error) {
		if v, err = s.readAlert(tx, s.lang(r), u, r.PathValue("id")); err != nil {
			return err
		}
		if v.Person == nil || !v.Person.May {
			return errForbidden
		}
		v.RevealTyped = in.text("reason")
		return s.reveal(tx, u, v.Person, v.RevealTyped)
	})
	if errors.Is(err, contact.ErrNoReason) {
		v.RevealError = translate(s.lang(r), "reveal-reason")
	}
	s.showRevealed(w, r, "alert", v, err)
}

// openAlerts are the alerts that nobody has acknowledged, newest first, at most five, as the reader of the page may see
// them.
func (s *Server) openAlerts(tx *storage.Tx) ([]ticket.Alert, error) {
	list, _, err := s.Office.Alerts(tx, ticket.AlertFilter{Viewer: viewer(tx), State: ticket.AlertRaised, Limit: 5})
	return list, err
}
