package console

import (
	"errors"
	"net/http"
	"slices"

	"lianxin/contact"
	"lianxin/ivr"
	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket"
)

func (s *Server) callbackRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /callbacks", s.callers(s.callbackList))
	mux.HandleFunc("GET /callbacks/live", s.callers(s.callbackListLive))
	mux.HandleFunc("GET /callbacks/{id}", s.callers(s.callbackPage))
	mux.HandleFunc("POST /callbacks/{id}/take", s.callers(s.callbackAct))
	mux.HandleFunc("POST /callbacks/{id}/try", s.callers(s.callbackAct))
	mux.HandleFunc("POST /callbacks/{id}/finish", s.callers(s.callbackAct))
	mux.HandleFunc("POST /callbacks/{id}/reveal", s.callers(s.revealCallback))
}

// callers lets those through who see call-backs, and the seat of restricted channels, which makes its own.
func (s *Server) callers(next func(http.ResponseWriter, *http.Request, *user)) http.HandlerFunc {
	return s.signedIn(func(w http.ResponseWriter, r *http.Request, u *user) {
		if !seesCallbacks(u) {
			s.problem(w, r, http.StatusForbidden, "forbidden")
			return
		}
		next(w, r, u)
	})
}

func seesCallbacks(u *user) bool { return u.Can(org.ViewCallbacks) || u.Can(org.ViewRestricted) }

type callbackListView struct {
	Kinds       []ticket.CallbackKind
	Kind        ticket.CallbackKind
	State       ticket.CallbackState
	Mine        bool
	Rows        []callbackRow
	Total       int
	Overdue     int
	Page, Pages int
}

type callbackRow struct {
	ticket.Callback
	Person *person
	Ticket *ticket.Ticket
	Due    dueView
	Who    string
}

func (s *Server) readCallbacks(tx *storage.Tx, r *http.Request, u *user) (v callbackListView, ok bool, err error) {
	q := r.URL.Query()
	v = callbackListView{Kinds: ticket.CallbackKinds, Kind: ticket.CallbackKind(q.Get("kind")), State: ticket.CallbackOpen, Mine: q.Get("mine") != "", Page: pageOf(q.Get("page"))}
	if q.Get("state") == "done" {
		v.State = ticket.CallbackDone
	}
	if v.Kind != "" && !slices.Contains(ticket.CallbackKinds, v.Kind) {
		return v, false, nil
	}
	by := ticket.Staff(u.Staff)
	f := ticket.CallbackFilter{Viewer: by, Kind: v.Kind, State: v.State, Limit: perPage, Offset: (v.Page - 1) * perPage}
	if v.Mine {
		f.Assignee = by.String()
	}
	n, err := readNames(tx, s.lang(r))
	if err != nil {
		return v, true, err
	}
	list, total, err := s.Office.Callbacks(tx, f)
	if err != nil {
		return v, true, err
	}
	v.Total, v.Pages = total, max(1, (total+perPage-1)/perPage)
	f.DueBefore, f.Limit, f.Offset = s.Now(), 1, 0
	if v.State == ticket.CallbackOpen {
		if _, v.Overdue, err = s.Office.Callbacks(tx, f); err != nil {
			return v, true, err
		}
	}
	for _, c := range list {
		row := callbackRow{Callback: c, Due: dueOf(s.lang(r), c.Due, s.Now())}
		if c.State != ticket.CallbackOpen {
			row.Due = dueView{Text: when(c.FinishedAt, "01-02 15:04")}
		}
		if c.Assignee != "" {
			row.Who = n.Who(c.Assignee)
		}
		if row.Ticket, row.Person, err = s.callbackPerson(tx, u, c); err != nil {
			return v, true, err
		}
		v.Rows = append(v.Rows, row)
	}
	return v, true, nil
}

// callbackPerson reads whom a call-back is for, and the ticket that it belongs to when the reader may see it.
func (s *Server) callbackPerson(tx *storage.Tx, u *user, c ticket.Callback) (*ticket.Ticket, *person, error) {
	var of *ticket.Ticket
	secret := false
	if c.TicketID != "" {
		t, err := s.Office.See(tx, c.TicketID, ticket.Staff(u.Staff))
		if err != nil && !errors.Is(err, storage.ErrNotFound) {
			return nil, nil, err
		}
		if err == nil {
			of, secret = &t, t.Confidential
		}
	}
	p, err := s.readPerson(tx, u, c.ContactID, secret)
	return of, p, err
}

func (s *Server) callbackList(w http.ResponseWriter, r *http.Request, u *user) {
	s.listCallbacks(w, r, u, "")
}

func (s *Server) callbackListLive(w http.ResponseWriter, r *http.Request, u *user) {
	s.listCallbacks(w, r, u, "list")
}

func (s *Server) listCallbacks(w http.ResponseWriter, r *http.Request, u *user, block string) {
	var v callbackListView
	var ok bool
	err := s.DB.View(r.Context(), func(tx *storage.Tx) (err error) {
		v, ok, err = s.readCallbacks(tx, r, u)
		return err
	})
	switch {
	case err != nil:
		s.fail(w, r, err)
	case !ok:
		s.problem(w, r, http.StatusBadRequest, "bad-request")
	default:
		s.render(w, r, http.StatusOK, "callbacks", block, "callbacks", v)
	}
}

// callbackView is one call-back with what the caller needs before they dial.
type callbackView struct {
	C      ticket.Callback
	Due    dueView
	Ticket *ticket.Ticket
	Person *person
	Call   *ivr.Record
	Played bool // the message can be listened to
	Heard  ivr.Transcript
	Tries  []ticket.Try
	Names  names
	Needed string // what is still to be tried before it may be given up

	MayTake, MayTry, MayFinish, MayReveal bool

	MayDial   bool // from here, with the reader's phone
	DialError string
	Dials     []ivr.Record // calls that were made for it

	Try, Finish           []field
	TryError, FinishError string
	TakeError             string

	RevealError, RevealTyped string
}

func (s *Server) readCallback(tx *storage.Tx, lang string, u *user, id string) (*callbackView, error) {
	by := ticket.Staff(u.Staff)
	c, err := s.Office.Callback(tx, id)
	if err != nil {
		return nil, err
	}
	v := &callbackView{C: c, Due: dueOf(lang, c.Due, s.Now())}
	if v.Names, err = readNames(tx, lang); err != nil {
		return nil, err
	}
	// One about the reader's own unit, or of a ticket hidden from them, is not there for them.
	if slices.ContainsFunc(c.ExcludeUnits, func(x string) bool { return v.Names.below(u.Unit, x) }) {
		return nil, storage.ErrNotFound
	}
	if v.Ticket, v.Person, err = s.callbackPerson(tx, u, c); err != nil {
		return nil, err
	}
	if c.TicketID != "" && v.Ticket == nil {
		return nil, storage.ErrNotFound
	}
	if v.Tries, err = s.Office.Tries(tx, id); err != nil {
		return nil, err
	}
	if c.CallID != "" {
		call, err := s.callFor(tx, c.CallID, by)
		if err != nil && !errors.Is(err, storage.ErrNotFound) {
			return nil, err
		}
		if err == nil {
			v.Call = &call
			v.Played = call.Recording != "" && u.Can(org.PlayCalls) && (v.Person == nil || !v.Person.Secret || v.Person.May)
			if v.Played {
				if v.Heard, err = s.writtenDown(tx, call.ID); err != nil {
					return nil, err
				}
			}
		}
	}
	may := org.MakeReview
	if c.Kind == ticket.CallbackAbandoned || c.Kind == ticket.CallbackMessage {
		may = org.MakeCallback
	}
	open := c.State == ticket.CallbackOpen
	calls := u.Can(may) && u.Role.Reach() == org.ReachAll
	if v.Ticket != nil {
		tv := &ticketView{T: *v.Ticket, Now: s.Now(), me: u, office: s.Office, lang: lang, names: v.Names, Tries: v.Tries}
		if tv.Legs, err = s.Office.Legs(tx, c.TicketID); err != nil {
			return nil, err
		}
		calls = tv.centre(may)
		if c.Kind == ticket.CallbackReview {
			calls = calls && !tv.ofLegs(u.Unit) && !tv.took(handled, reviewed)
		}
	}
	v.MayTake = open && calls && c.Assignee != by.String()
	v.MayTry = open && calls
	v.MayDial = v.MayTry && v.Person != nil && s.CallOut != nil && u.Extension != ""
	if v.Dials, _, err = s.Calls.List(tx, ivr.Filter{CallbackID: id, Direction: ivr.Outbound, Limit: 20}); err != nil {
		return nil, err
	}
	v.MayFinish = v.MayTry && c.Kind != ticket.CallbackReview
	v.MayReveal = v.Person != nil && v.Person.May
	r, err := s.Office.RulesInForce(tx)
	if err != nil {
		return nil, err
	}
	if v.Ticket != nil {
		if r, err = s.Office.RulesOf(tx, *v.Ticket); err != nil {
			return nil, err
		}
	}
	if open && c.Outcome != ticket.Reached && c.Outcome != ticket.WrongNumber {
		if n, days, parts := countTries(v.Tries, id); n < r.MinTries || days < r.MinTryDays || parts < r.MinTryParts {
			v.Needed = translate(lang, "tries-needed", r.MinTries, r.MinTryDays, r.MinTryParts, n, days, parts)
		}
	}
	v.Try = []field{
		{Name: "outcome", Kind: "select", Required: true, Options: labelled(ticket.TryOutcomes...)},
		{Name: "note", Label: "try-note", Kind: "area", Max: 2000},
	}
	v.Finish = []field{
		{Name: "done", Kind: "yesno", Required: true},
		{Name: "note", Label: "finish-note", Kind: "area", Max: 2000},
	}
	return v, nil
}

func (s *Server) viewCallback(w http.ResponseWriter, r *http.Request, u *user) (v *callbackView, ok bool) {
	err := s.DB.View(r.Context(), func(tx *storage.Tx) (err error) {
		v, err = s.readCallback(tx, s.lang(r), u, r.PathValue("id"))
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

func (s *Server) callbackPage(w http.ResponseWriter, r *http.Request, u *user) {
	if v, ok := s.viewCallback(w, r, u); ok {
		s.render(w, r, http.StatusOK, "callback", "", "callback-title", v)
	}
}

// callbackAct takes a call-back over, notes an attempt, or ends it.
func (s *Server) callbackAct(w http.ResponseWriter, r *http.Request, u *user) {
	in, ok := s.form(w, r)
	if !ok {
		return
	}
	v, ok := s.viewCallback(w, r, u)
	if !ok {
		return
	}
	by, id := ticket.Staff(u.Staff), v.C.ID
	what := lastElement(r.URL.Path)
	err := s.DB.Update(r.Context(), func(tx *storage.Tx) error {
		switch what {
		case "take":
			// Two who press at once: the second is told, and does not take it from the first.
			c, err := s.Office.Callback(tx, id)
			if err != nil {
				return err
			}
			if c.Assignee != v.C.Assignee || c.Assignee != in.text("assignee") {
				return &ticket.Refusal{Code: "taken", Message: "该任务刚刚被他人领取，请确认后再操作"}
			}
			return did(s.Office.AssignCallback(tx, id, by, by))
		case "try":
			return did(s.Office.AttemptCallback(tx, id, ticket.TryOutcome(in.text("outcome")), in.text("note"), by))
		}
		if d := in.text("done"); d != "yes" && d != "no" {
			return &ticket.Refusal{Code: "done", Message: "请选择是否已与群众沟通"}
		}
		return did(s.Office.FinishCallback(tx, id, in.text("done") == "yes", in.text("note"), by))
	})
	refusal, refused := ticket.RefusedWith(err)
	switch {
	case refused:
		if v, ok = s.viewCallback(w, r, u); !ok {
			return
		}
		switch what {
		case "take":
			v.TakeError = refusal.Message
		case "try":
			v.Try, v.TryError = in.fill(v.Try), refusal.Message
		default:
			v.Finish, v.FinishError = in.fill(v.Finish), refusal.Message
		}
		s.render(w, r, statusOf(refusal), "callback", "", "callback-title", v)
	case errors.Is(err, storage.ErrNotFound):
		s.problem(w, r, http.StatusNotFound, "not-found")
	case err != nil:
		s.fail(w, r, err)
	default:
		s.Hub.Publish(EventTickets)
		s.done(w, r, "/callbacks/"+id, translate(s.lang(r), "did-callback-"+what))
	}
}

func lastElement(path string) string {
	for i := len(path) - 1; i >= 0; i-- {
		if path[i] == '/' {
			return path[i+1:]
		}
	}
	return path
}

// revealCallback shows the number to call, for a reason that is logged.
func (s *Server) revealCallback(w http.ResponseWriter, r *http.Request, u *user) {
	in, ok := s.form(w, r)
	if !ok {
		return
	}
	var v *callbackView
	err := s.DB.Update(r.Context(), func(tx *storage.Tx) (err error) {
		if v, err = s.readCallback(tx, s.lang(r), u, r.PathValue("id")); err != nil {
			return err
		}
		if !v.MayReveal {
			return errForbidden
		}
		v.RevealTyped = in.text("reason")
		return s.reveal(tx, u, v.Person, v.RevealTyped)
	})
	if errors.Is(err, contact.ErrNoReason) {
		v.RevealError = translate(s.lang(r), "reveal-reason")
	}
	s.showRevealed(w, r, "callback", v, err)
}
