package console

import (
	"net/http"
	"slices"
	"time"

	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket"
	"lianxin/workday"
)

// beside are the commands that stand beside the main path: the cause of the matter, and holding it stable by a plan.
var beside = []action{
	{code: "cause", look: "quiet", offer: func(v *ticketView) []subject {
		if h := v.host(); h != nil && h.Unit == v.me.Unit {
			return once(v.me.Can(org.SubmitResult))
		}
		return once(v.centre(org.CommentTicket))
	}, fields: func(v *ticketView, _ subject) []field {
		var list []option
		for _, c := range v.causes {
			if c.Active && c.Code != v.T.Cause {
				list = append(list, option{Value: c.Code, Label: c.Name})
			}
		}
		return []field{{Name: "cause", Kind: "select", Required: true, Options: list, Hint: "hint-cause"}, {Name: "note", Kind: "area", Max: 1000}}
	}, do: func(o *ticket.Office, tx *storage.Tx, c command) error {
		return did(o.SetCause(tx, c.ticket, c.in.text("cause"), c.in.text("note"), c.by))
	}},

	{code: "ask-stable", look: "quiet", offer: func(v *ticketView) []subject {
		return v.ownLegs(org.RequestExtension, func(l ticket.Leg) bool {
			return l.Role == ticket.Host && v.in(ticket.Handling) && v.T.Colour == ticket.Red && v.works(l) && v.T.StableUntil.IsZero() && !v.asked(ticket.AskStable)
		})
	}, fields: func(v *ticketView, _ subject) []field {
		return []field{{Name: "plan", Kind: "area", Required: true, Max: 5000, Hint: "hint-plan"}, {Name: "stable-evidence", Kind: "area", Required: true, Max: 5000},
			{Name: "review", Kind: "date", Required: true, Values: []string{workday.DayOf(v.Now).Add(2).String()}}}
	}, do: func(o *ticket.Office, tx *storage.Tx, c command) error {
		return did(o.RequestStable(tx, c.on, ticket.Scheme{Plan: c.in.text("plan"), Evidence: c.in.text("stable-evidence"), Review: c.in.lastMoment("review")}, c.by))
	}},

	{code: "look-stable", look: "quiet", offer: func(v *ticketView) []subject {
		return once(!v.T.StableUntil.IsZero() && v.in(ticket.Accepted, ticket.Dispatched, ticket.Handling, ticket.Suspended, ticket.Reviewing) &&
			(v.centre(org.Supervise) || v.centre(org.InstructTicket)))
	}, fields: func(v *ticketView, _ subject) []field {
		return []field{{Name: "stable-text", Kind: "area", Required: true, Max: 5000}, {Name: "review", Kind: "date", Hint: "hint-review"}}
	}, do: func(o *ticket.Office, tx *storage.Tx, c command) error {
		return did(o.ReviewStable(tx, c.ticket, c.in.text("stable-text"), c.in.lastMoment("review"), c.by))
	}},
}

// causeName is a cause in words.
func (v *ticketView) causeName() string {
	for _, c := range v.causes {
		if c.Code == v.T.Cause {
			return c.Name
		}
	}
	return v.T.Cause
}

// causesView is the page of the list of causes, with how often each was found.
type causesView struct {
	Rows  []causeRow
	Days  int
	May   bool // edit
	Error string
	Typed ticket.Cause
}

type causeRow struct {
	ticket.Cause
	N int
}

func (s *Server) causeRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /causes", s.may(org.ViewRules, s.causesPage))
	mux.HandleFunc("POST /causes", s.may(org.ManageRules, s.putCause))
}

func (s *Server) causesPage(w http.ResponseWriter, r *http.Request, u *user) {
	s.showCauses(w, r, u, http.StatusOK, "", ticket.Cause{Active: true})
}

func (s *Server) showCauses(w http.ResponseWriter, r *http.Request, u *user, status int, problem string, typed ticket.Cause) {
	v := causesView{Days: 90, May: u.Can(org.ManageRules), Error: problem, Typed: typed}
	err := s.DB.View(r.Context(), func(tx *storage.Tx) error {
		list, err := s.Office.Causes(tx)
		if err != nil {
			return err
		}
		counts := []ticket.CauseCount{}
		if u.Can(org.ViewTicket) {
			if counts, err = s.Office.CauseCounts(tx, ticket.Filter{Viewer: ticket.Staff(u.Staff), From: s.Now().Add(-time.Duration(v.Days) * 24 * time.Hour)}); err != nil {
				return err
			}
		}
		for _, c := range list {
			row := causeRow{Cause: c}
			if i := slices.IndexFunc(counts, func(x ticket.CauseCount) bool { return x.Code == c.Code }); i >= 0 {
				row.N = counts[i].N
			}
			v.Rows = append(v.Rows, row)
		}
		return nil
	})
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.render(w, r, status, "causes", "", "causes", v)
}

func (s *Server) putCause(w http.ResponseWriter, r *http.Request, u *user) {
	in, ok := s.form(w, r)
	if !ok {
		return
	}
	c := ticket.Cause{Code: in.text("code"), Name: in.text("name"), Active: !in.on("closed")}
	err := s.DB.Update(r.Context(), func(tx *storage.Tx) error { return s.Office.PutCause(tx, c, ticket.Staff(u.Staff)) })
	if refusal, no := ticket.RefusedWith(err); no {
		s.showCauses(w, r, u, statusOf(refusal), refusal.Message, c)
		return
	} else if err != nil {
		s.fail(w, r, err)
		return
	}
	s.done(w, r, "/causes", translate(s.lang(r), "did-cause-put", c.Name))
}
