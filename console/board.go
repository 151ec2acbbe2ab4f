package console

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"lianxin/desk"
	"lianxin/ivr"
	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket"
	"lianxin/workday"
)

type boardView struct {
	At       time.Time
	Day      workday.Day
	Calls    []ivr.LiveCall
	Desk     desk.Snapshot
	Figures  ivr.Figures
	Me       *desk.OperatorView
	Control  bool // calls can be acted on from here
	Alerts   []ticket.Alert
	Overdue  int
	Open     int
	Callback int
	Level    string // 15秒接通率
	Queues   []queueRow
	Titles   map[string]string // of the queues, where there are several
	Colours  map[ticket.Colour]int
}

// ByColour are the open tickets of each colour, the gravest first.
func (v boardView) ByColour() []colourCount {
	out := make([]colourCount, len(ticket.Colours))
	for i, c := range ticket.Colours {
		out[i] = colourCount{c, v.Colours[c]}
	}
	return out
}

type colourCount struct {
	Colour ticket.Colour
	N      int
}

// board is the page of what happens now: waiting callers, calls, operators, and the day so far.
func (s *Server) board(w http.ResponseWriter, r *http.Request, u *user) {
	v, err := s.readBoard(r, u)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.render(w, r, http.StatusOK, "board", "", "board", v)
}

// boardLive is the part of the board that asks again when something changed.
func (s *Server) boardLive(w http.ResponseWriter, r *http.Request, u *user) {
	v, err := s.readBoard(r, u)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.render(w, r, http.StatusOK, "board", "live", "board", v)
}

func (s *Server) readBoard(r *http.Request, u *user) (v boardView, err error) {
	ctx := r.Context()
	v.At = s.Now()
	v.Day = workday.DayOf(v.At)
	if v.Desk, err = s.Board.Snapshot(ctx); err != nil {
		return v, err
	}
	v.Calls = s.Live()
	v.Control = s.Order != nil
	for i, op := range v.Desk.Operators {
		if u.Extension != "" && op.Extension == u.Extension {
			v.Me = &v.Desk.Operators[i]
		}
	}
	err = s.DB.View(ctx, func(tx *storage.Tx) error {
		if v.Figures, err = s.Calls.Figures(tx, v.Day.Start(), v.Day.End()); err != nil {
			return err
		}
		v.Level = rate(v.Figures.Level())
		if v.Queues, err = s.queueRows(ctx, tx, v.Day); err != nil {
			return err
		}
		if len(v.Queues) > 1 {
			v.Titles = map[string]string{}
			for _, q := range v.Queues {
				v.Titles[q.Name] = q.Title
			}
		}
		if u.Can(org.ViewAlerts) {
			if v.Alerts, err = s.openAlerts(tx); err != nil {
				return err
			}
		}
		c, err := s.Office.Count(tx, viewer(tx), v.At)
		v.Open, v.Overdue, v.Callback, v.Colours = c.Open, c.Overdue, c.CallbacksOpen, c.OpenColours
		return err
	})
	return v, err
}

// rate is a share as pages show it; one that nothing stands behind is a dash, never 0 % or 100 %.
func rate(share float64, ok bool) string {
	if !ok {
		return "—"
	}
	return fmt.Sprintf("%.1f%%", 100*share)
}

// setState is the operator's own choice of 就绪, 小休, 离席 or 离线 for the phone at the desk.
func (s *Server) setState(w http.ResponseWriter, r *http.Request, u *user) {
	if u.Extension == "" {
		s.done(w, r, "/board", translate(s.lang(r), "no-extension"))
		return
	}
	state, reason := desk.State(r.PostFormValue("state")), strings.TrimSpace(r.PostFormValue("reason"))
	if state == desk.Ready || len([]rune(reason)) > 30 {
		reason = "" // whoever is ready needs none
	}
	err := s.Board.Set(r.Context(), u.Extension, state, reason)
	switch {
	case errors.Is(err, desk.ErrNoPhone):
		s.done(w, r, "/board", translate(s.lang(r), "no-phone", u.Extension))
	case errors.Is(err, desk.ErrState), errors.Is(err, desk.ErrUnknown):
		s.problem(w, r, http.StatusBadRequest, "bad-request")
	case err != nil:
		s.fail(w, r, err)
	default:
		http.Redirect(w, r, "/board", http.StatusSeeOther)
	}
}
