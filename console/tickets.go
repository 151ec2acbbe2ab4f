package console

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"

	"lianxin/contact"
	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket"
	"lianxin/workday"
)

// ticketRoutes are the pages of tickets, call-backs and alerts, and the audit log.
func (s *Server) ticketRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /tickets", s.may(org.ViewTicket, s.ticketList))
	mux.HandleFunc("GET /tickets/live", s.may(org.ViewTicket, s.ticketListLive))
	mux.HandleFunc("GET /tickets/new", s.may(org.OpenTicket, s.newTicketPage))
	mux.HandleFunc("POST /tickets/new", s.may(org.OpenTicket, s.newTicket))
	mux.HandleFunc("POST /tickets/suggest", s.may(org.OpenTicket, s.suggest))
	mux.HandleFunc("GET /tickets/{id}", s.may(org.ViewTicket, s.ticketPage))
	mux.HandleFunc("GET /tickets/{id}/live", s.may(org.ViewTicket, s.ticketLive))
	mux.HandleFunc("POST /tickets/{id}/act/{action}", s.may(org.ViewTicket, s.ticketAct))
	mux.HandleFunc("POST /tickets/{id}/reveal", s.may(org.ViewTicket, s.revealTicket))
	s.callbackRoutes(mux)
	s.alertRoutes(mux)
	s.logRoutes(mux)
	s.rulesRoutes(mux)
	s.noticeRoutes(mux)
}

// ticketListView is the list of tickets with what was asked for.
type ticketListView struct {
	Rows        []ticketRow
	Total       int
	More        bool // there are more than Total
	Page, Pages int
	Query       url.Values // without the page
	Narrowed    bool       // something was asked for
	Tab         string
	Tabs        []tab
	Channels    []ticket.Channel
	Colours     []ticket.Colour
	States      []ticket.State
	Units       []option
	MayOpen     bool
	ByPhone     bool // the search was for a number
}

type ticketRow struct {
	ticket.Ticket
	Channel  string
	HostName string
	Due      dueView
}

// dueView is a due as lists show it.
type dueView struct {
	Text       string
	Over, Soon bool
}

// dueSoon is the time before a due from which lists mark it.
const dueSoon = 2 * time.Hour

func dueOf(lang string, due, now time.Time) dueView {
	if due.IsZero() {
		return dueView{Text: "—"}
	}
	return dueView{Text: untilDue(lang, due, now), Over: now.After(due), Soon: due.Sub(now) < dueSoon}
}

// tab is a list that people come for.
type tab struct {
	Key, Query string
	Current    bool
}

// Q is the query of the list with a field set, or removed when the value is empty; the page begins anew.
func (v ticketListView) Q(name, value string) string {
	q := url.Values{}
	for k, vs := range v.Query {
		q[k] = vs
	}
	q.Del("page")
	if q.Set(name, value); value == "" {
		q.Del(name)
	}
	return "?" + q.Encode()
}

// mine are the states in which a ticket waits for somebody with the reader's permissions, and the unit whose it must be.
func mine(u *user) (states []ticket.State, unit string) {
	if u.Role.Reach() == org.ReachUnit {
		unit = u.Unit
	}
	for _, m := range []struct {
		act    org.Action
		states []ticket.State
	}{
		{org.AcceptTicket, []ticket.State{ticket.New}},
		{org.DispatchTicket, []ticket.State{ticket.Accepted}},
		{org.SignTicket, []ticket.State{ticket.Dispatched, ticket.Handling, ticket.Suspended}},
		{org.ReviewResult, []ticket.State{ticket.Reviewing}},
		{org.MakeReview, []ticket.State{ticket.Replied, ticket.Answered, ticket.AwaitRating}},
		{org.Supervise, []ticket.State{ticket.Rework}},
		{org.InstructTicket, []ticket.State{ticket.Rework}},
	} {
		if u.Can(m.act) {
			states = append(states, m.states...)
		}
	}
	return states, unit
}

// readTicketList reads the list that a query asks for. false says that the query makes no sense.
func (s *Server) readTicketList(tx *storage.Tx, r *http.Request, u *user) (v ticketListView, ok bool, err error) {
	q := r.URL.Query()
	now, lang := s.Now(), s.lang(r)
	v = ticketListView{Colours: ticket.Colours, States: ticket.States, Query: q, Page: pageOf(q.Get("page")), MayOpen: u.Can(org.OpenTicket)}
	f := ticket.Filter{Viewer: ticket.Staff(u.Staff), State: ticket.State(q.Get("state")), Channel: q.Get("channel"), Colour: ticket.Colour(q.Get("colour")),
		Unit: q.Get("unit"), Cause: q.Get("cause"), Community: q.Get("community"), Open: q.Get("open") != "", Text: q.Get("q"), Order: ticket.ByDue, Limit: perPage, Offset: (v.Page - 1) * perPage, Most: ticket.MostListed}
	if f.State != "" && !slices.Contains(ticket.States, f.State) || f.Colour != "" && f.Colour.Rank() == 0 {
		return v, false, nil
	}
	switch {
	case q.Get("mine") != "":
		states, unit := mine(u)
		f.States, v.Tab = states, "mine"
		if unit != "" {
			f.Unit = unit
		}
		if len(states) == 0 {
			f.Open = true
		}
	case q.Get("due") == "today":
		f.Open, f.DueBefore, v.Tab = true, workday.DayOf(now).End(), "due"
	case q.Get("overdue") != "":
		f.Open, f.DueBefore, v.Tab = true, now, "overdue"
	case f.Open:
		v.Tab = "open"
	case f.State == "" && f.Text == "" && f.Channel == "" && f.Colour == "" && f.Unit == "":
		v.Tab = "all"
	}
	if !f.Open && len(f.States) == 0 {
		f.Order = ticket.ByNewest
	}
	v.Narrowed = f.Text != "" || f.State != "" || f.Channel != "" || f.Colour != "" || q.Get("unit") != ""
	for _, t := range []tab{{Key: "mine", Query: "?mine=1"}, {Key: "open", Query: "?open=1"}, {Key: "due", Query: "?due=today"}, {Key: "overdue", Query: "?overdue=1"}, {Key: "all", Query: "?"}} {
		t.Current = t.Key == v.Tab
		v.Tabs = append(v.Tabs, t)
	}
	n, err := readNames(tx, lang)
	if err != nil {
		return v, true, err
	}
	if u.Scope.All() {
		v.Units = n.unitOptions()
	} else {
		v.Units = slices.DeleteFunc(n.unitOptions(), func(o option) bool { return !u.Scope.Covers(o.Value) })
	}
	if v.Channels, err = s.Office.Channels(tx); err != nil {
		return v, true, err
	}
	tickets, total, err := s.search(tx, u, f, &v)
	if err != nil {
		return v, true, err
	}
	names := map[string]string{}
	for _, c := range v.Channels {
		names[c.Code] = c.Name
	}
	v.Total, v.More, v.Pages = total, total == ticket.MostListed, max(1, (total+perPage-1)/perPage)
	for _, t := range tickets {
		row := ticketRow{Ticket: t, Channel: names[t.Channel], Due: dueView{Text: "—"}}
		host, err := s.Office.HandledBy(tx, t)
		if err != nil {
			return v, true, err
		}
		if host != "" {
			row.HostName = n.Unit(host)
		}
		if t.State.Open() {
			row.Due = dueOf(lang, t.Due, now)
		}
		v.Rows = append(v.Rows, row)
	}
	return v, true, nil
}

// search lists tickets; a text that is a telephone number lists those of its owner. Tickets whose citizen the reader may
// not know are left out of that: finding one by a number would tell whose it is (I7).
func (s *Server) search(tx *storage.Tx, u *user, f ticket.Filter, v *ticketListView) ([]ticket.Ticket, int, error) {
	phone, err := contact.ParsePhone(f.Text)
	if err != nil || len(phone.Clear()) < 7 || !u.Can(org.Reveal) {
		return s.Office.List(tx, f)
	}
	v.ByPhone = true
	p, err := s.Book.Find(tx, phone)
	if errors.Is(err, storage.ErrNotFound) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	f.Text, f.Contact, f.Limit, f.Offset = "", p.ID, 1000, 0
	list, _, err := s.Office.List(tx, f)
	list = slices.DeleteFunc(list, func(t ticket.Ticket) bool { return !s.Office.KnowsCitizen(t, f.Viewer) })
	total := len(list)
	from := min(total, (v.Page-1)*perPage)
	return list[from:min(total, from+perPage)], total, err
}

func (s *Server) ticketList(w http.ResponseWriter, r *http.Request, u *user) {
	s.listTickets(w, r, u, "")
}

func (s *Server) ticketListLive(w http.ResponseWriter, r *http.Request, u *user) {
	s.listTickets(w, r, u, "list")
}

func (s *Server) listTickets(w http.ResponseWriter, r *http.Request, u *user, block string) {
	var v ticketListView
	var ok bool
	err := s.DB.View(r.Context(), func(tx *storage.Tx) (err error) {
		v, ok, err = s.readTicketList(tx, r, u)
		return err
	})
	switch {
	case err != nil:
		s.fail(w, r, err)
	case !ok:
		s.problem(w, r, http.StatusBadRequest, "bad-request")
	default:
		s.render(w, r, http.StatusOK, "tickets", block, "tickets", v)
	}
}

// newTicketView is the form for what reaches us other than by telephone or text.
type newTicketView struct {
	Fields []field
	Error  string
}

func (s *Server) newTicketFields(tx *storage.Tx, lang string, u *user) ([]field, error) {
	channels, err := s.Office.Channels(tx)
	if err != nil {
		return nil, err
	}
	var from []option
	for _, c := range channels {
		if c.Enabled && c.ByHand && (!c.Restricted || u.Can(org.ViewRestricted)) {
			from = append(from, option{Value: c.Code, Label: c.Name})
		}
	}
	// What people bring themselves first; the rest in the order of the channels.
	usual := func(o option) int {
		if o.Value == "walkin" || o.Value == "letter" {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(from, func(a, b option) int { return usual(a) - usual(b) })
	n, err := readNames(tx, lang)
	if err != nil {
		return nil, err
	}
	classes, err := s.readClasses(tx)
	return []field{
		{Name: "channel", Kind: "select", Required: true, Options: from, Values: []string{"walkin"}},
		{Name: "external", Max: 64, Hint: "hint-external"},
		{Name: "kind", Kind: "select", Required: true, Options: labelled(ticket.Kinds...)},
		{Name: "title", Required: true, Max: 200, Wide: true},
		{Name: "body", Kind: "area", Required: true, Max: 20000, Wide: true, Label: "body-new"},
		{Name: "place", Max: 200},
		{Name: "phone", Max: 30},
		{Name: "name", Max: 60},
		{Name: "class", Kind: "select", Options: classes.options(), Hint: "hint-class"},
		{Name: "unit-hint", Kind: "select", Options: n.unitOptions()},
		{Name: "accused-unit", Kind: "select", Options: n.unitOptions(), Hint: "hint-accused"},
		{Name: "window", Max: 30, Hint: "hint-window"},
		{Name: "clerk", Max: 30, Hint: "hint-clerk"},
		{Name: "confidential", Kind: "check", Hint: "hint-confidential"},
		{Name: "anonymous", Kind: "check"},
		{Name: "emotion", Kind: "check", Hint: "hint-emotion"},
	}, err
}

func (s *Server) newTicketPage(w http.ResponseWriter, r *http.Request, u *user) {
	var v newTicketView
	err := s.DB.View(r.Context(), func(tx *storage.Tx) (err error) {
		v.Fields, err = s.newTicketFields(tx, s.lang(r), u)
		return err
	})
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.render(w, r, http.StatusOK, "ticket-new", "", "ticket-new", v)
}

// newTicket registers a request. What the person wrote is kept sealed as it was typed.
func (s *Server) newTicket(w http.ResponseWriter, r *http.Request, u *user) {
	in, ok := s.form(w, r)
	if !ok {
		return
	}
	var v newTicketView
	var t ticket.Ticket
	err := s.DB.Update(r.Context(), func(tx *storage.Tx) (err error) {
		if v.Fields, err = s.newTicketFields(tx, s.lang(r), u); err != nil {
			return err
		}
		channel := in.text("channel")
		if !slices.ContainsFunc(v.Fields[0].Options, func(o option) bool { return o.Value == channel }) {
			return &ticket.Refusal{Code: "channel", Message: "请选择来源渠道"}
		}
		intake := ticket.Intake{Channel: channel, ExternalID: in.text("external"), Kind: ticket.Kind(in.text("kind")), Title: in.text("title"),
			Body: in.text("body"), Place: in.text("place"), UnitHint: in.text("unit-hint"), AccusedUnit: in.text("accused-unit"), WindowNo: in.text("window"), ClerkNo: in.text("clerk"), Class: in.text("class"),
			Emotion: in.on("emotion"), Confidential: in.on("confidential"), Anonymous: in.on("anonymous"), Raw: []byte(in.text("title") + "\n" + in.text("body")), By: ticket.Staff(u.Staff)}
		if intake.Title == "" || intake.Body == "" || intake.Kind == "" {
			return &ticket.Refusal{Code: "empty", Message: "请填写诉求类型、标题和内容"}
		}
		if number := in.text("phone"); number != "" && !intake.Anonymous {
			phone, err := contact.ParsePhone(number)
			if err != nil {
				return &ticket.Refusal{Code: "phone", Message: "联系电话：" + contact.Reason(err)}
			}
			p, err := s.Book.Ensure(tx, phone, in.text("name"))
			if err != nil {
				return err
			}
			intake.ContactID = p.ID
		}
		t, err = s.Office.Open(tx, intake)
		return err
	})
	refusal, refused := ticket.RefusedWith(err)
	switch {
	case refused:
		v.Fields, v.Error = in.fill(v.Fields), refusal.Message
		s.render(w, r, statusOf(refusal), "ticket-new", "", "ticket-new", v)
	case err != nil:
		s.fail(w, r, err)
	case t.Existing:
		s.done(w, r, s.afterOpen(r, u, t), translate(s.lang(r), "did-known", t.Number))
	default:
		s.done(w, r, s.afterOpen(r, u, t), translate(s.lang(r), "did-open", t.Number))
	}
}

// afterOpen is where one who has registered a request goes: to the ticket, or, where a role registers and does not see
// what units handle (a window), back to the form.
func (s *Server) afterOpen(r *http.Request, u *user, t ticket.Ticket) string {
	err := s.DB.View(r.Context(), func(tx *storage.Tx) error {
		_, err := s.Office.See(tx, t.ID, ticket.Staff(u.Staff))
		return err
	})
	if err != nil {
		return "/tickets/new"
	}
	return "/tickets/" + t.ID
}

// openCounts are the figures of the board, as the reader of the page may see them: each is the length of the list that it
// leads to (I22).
func (s *Server) openCounts(tx *storage.Tx, now time.Time) (open, overdue, callbacks int, err error) {
	c, err := s.Office.Count(tx, viewer(tx), now)
	return c.Open, c.Overdue, c.CallbacksOpen, err
}

// viewer is who made the request that a transaction serves.
func viewer(tx *storage.Tx) ticket.Actor {
	if u, ok := tx.Context().Value(userCtx{}).(*user); ok {
		return ticket.Staff(u.Staff)
	}
	return ticket.System
}
