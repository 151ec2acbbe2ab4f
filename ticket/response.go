package ticket

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"lianxin/org"
	"lianxin/storage"
	"lianxin/workday"
)

// StepState is where a step of a response plan stands.
type StepState string

// States of a step.
const (
	StepOpen    StepState = "open"
	StepDone    StepState = "done"
	StepDropped StepState = "dropped" // the ticket was settled, or a graver colour has another plan
)

var stepLabels = map[StepState]string{StepOpen: "待落实", StepDone: "已落实", StepDropped: "不再需要"}

// Label is the state for staff (zh-CN).
func (s StepState) Label() string { return stepLabels[s] }

// Codes of steps that the program itself knows when they are done.
const (
	StepTell     = "tell"     // leader and duty chief: done when one of them acknowledges the alert
	StepBranches = "branches" // two branches of police work: done by a dispatch to them
	StepScheme   = "scheme"   // 稳控方案: done by the host's first report
	StepConsult  = "consult"  // 会商 of the same day
	StepList     = "list"     // 挂牌督办
	StepWeekly   = "weekly"   // 每周回看
)

// Step is a step of the response that a colour started.
type Step struct {
	ID       string    `json:"id"`
	TicketID string    `json:"ticket"`
	Colour   Colour    `json:"colour"`
	Code     string    `json:"code"`
	Words    string    `json:"words"` // zh-CN, from the rules
	State    StepState `json:"state"`
	OpenedAt time.Time `json:"opened_at"`
	DueAt    time.Time `json:"due_at,omitzero"`
	Warned   bool      `json:"warned,omitzero"`
	DoneBy   string    `json:"done_by,omitzero"`
	DoneAt   time.Time `json:"done_at,omitzero"`
	Note     string    `json:"-"`
	NoteRef  Text      `json:"note,omitzero"`
}

// Overdue reports whether a step that is open is past its due.
func (s Step) Overdue(now time.Time) bool {
	return s.State == StepOpen && !s.DueAt.IsZero() && now.After(s.DueAt)
}

func (s *Step) kind() string  { return "step" }
func (s *Step) table() string { return "ticket_step" }
func (s *Step) key() string   { return s.ID }
func (s *Step) columns() []column {
	return []column{
		{"id", &s.ID}, {"ticket_id", &s.TicketID}, {"colour", &s.Colour}, {"code", &s.Code}, {"words", &s.Words}, {"state", &s.State},
		{"opened_at", stamp{&s.OpenedAt}}, {"due_at", stamp{&s.DueAt}}, {"warned", &s.Warned}, {"done_by", &s.DoneBy}, {"done_at", stamp{&s.DoneAt}}, {"note_ref", ref{&s.NoteRef}},
	}
}

// withSteps reads the steps of the ticket into the dossier; most commands do without.
func (d *dossier) withSteps() error {
	if d.ticket.StepsOpen == 0 || len(d.steps) > 0 {
		return nil
	}
	if err := list(d.tx, &d.steps, ` WHERE ticket_id = $1 ORDER BY id`, d.ticket.ID); err != nil {
		return err
	}
	now, err := snapshot(d.stepParts())
	if err != nil {
		return err
	}
	d.loaded, d.seen = d.loaded.plus(now), d.seen.plus(now)
	return nil
}

func (d *dossier) stepParts() []part {
	var out []part
	for _, s := range d.steps {
		out = append(out, s)
	}
	return out
}

// respond starts the response of the ticket's colour: its steps, and for 红 an alert to leader and duty chief, for 橙 a
// notice to the supervisors. Steps of a lesser colour that are still open make way.
func (d *dossier) respond() error {
	t := d.ticket
	if err := d.dropSteps(); err != nil {
		return err
	}
	plan, err := d.planOf(t.Colour)
	if err != nil {
		return err
	}
	for _, f := range plan {
		s := &Step{ID: newID(), TicketID: t.ID, Colour: t.Colour, Code: f.Code, Words: f.Do, State: StepOpen, OpenedAt: d.now}
		if !f.Within.IsZero() {
			s.DueAt = ms(d.reckoner().Deadline(d.now, f.Within))
		}
		d.steps = append(d.steps, s)
		t.StepsOpen++
	}
	switch t.Colour {
	case Red:
		a := Alert{Key: "grade:" + t.ID + ":" + string(Red), Rule: AlertRed, Level: Red, TicketID: t.ID, ContactID: t.ContactID,
			Title: "红色诉求" + t.Number + ",请局领导和值班领导知悉处置", By: System}
		d.later = append(d.later, func(tx *storage.Tx) error {
			_, err := d.o.RaiseAlert(tx, a)
			return err
		})
		for _, role := range []org.Role{org.Leader, org.DutyChief} {
			d.notices = append(d.notices, Notice{TicketID: t.ID, Subject: t.ID, Point: PointRaised + "/" + Point(role), Kind: NoticeColour, Colour: Red, For: role,
				Text: "红色诉求" + t.Number + ",请" + role.Label() + "知悉处置", PlannedAt: d.now, RaisedAt: d.now, ShowAt: d.now})
		}
	case Orange:
		d.notices = append(d.notices, Notice{TicketID: t.ID, Subject: t.ID, Point: PointRaised, Kind: NoticeColour, Colour: Orange, For: org.Supervisor,
			Text: "橙色诉求" + t.Number + ",请督办员跟踪", PlannedAt: d.now, RaisedAt: d.now, ShowAt: d.now})
	}
	return nil
}

// AlertRed is the rule of the alert that a ticket's becoming 红 raises.
const AlertRed = "red"

// NoticeColour is the Kind of a notice that a colour raised, NoticeStep that of an overdue step of a response.
const (
	NoticeColour = "colour"
	NoticeStep   = "step"
)

// dropSteps ends the steps that are open: nobody asks for them any more.
func (d *dossier) dropSteps() error {
	if err := d.withSteps(); err != nil {
		return err
	}
	for _, s := range d.steps {
		if s.State == StepOpen {
			s.State = StepDropped
			d.ticket.StepsOpen--
		}
	}
	return nil
}

// did notes that a step was done by what just happened; it reports whether there was one.
func (d *dossier) did(code string) (bool, error) {
	if d.ticket.StepsOpen == 0 {
		return false, nil
	}
	if err := d.withSteps(); err != nil {
		return false, err
	}
	for _, s := range d.steps {
		if s.Code == code && s.State == StepOpen {
			s.State, s.DoneBy, s.DoneAt = StepDone, d.by.String(), d.now
			d.ticket.StepsOpen--
			return true, d.recur(s)
		}
	}
	return false, nil
}

// recur opens a step that comes again, such as the weekly look.
func (d *dossier) recur(s *Step) error {
	plan, err := d.planOf(s.Colour)
	if err != nil {
		return err
	}
	for _, f := range plan {
		if f.Code != s.Code || f.Again.IsZero() || d.ticket.Colour != s.Colour {
			continue
		}
		d.steps = append(d.steps, &Step{ID: newID(), TicketID: s.TicketID, Colour: s.Colour, Code: s.Code, Words: s.Words, State: StepOpen, OpenedAt: d.now,
			DueAt: ms(d.reckoner().Deadline(d.now, f.Again))})
		d.ticket.StepsOpen++
	}
	return nil
}

// branches reports whether the units of a dispatch are of two branches of police work with a station among them, or two
// branches besides: what 橙 asks for.
func (d *dossier) branches(units []string) (bool, error) {
	kinds := map[org.Police]bool{}
	for _, id := range units {
		u, err := org.GetUnit(d.tx, id)
		if err != nil {
			return false, fmt.Errorf("unit of the dispatch: %w", err)
		}
		if u.Kind == org.Station {
			kinds["station"] = true
		} else {
			kinds[u.Police] = true
		}
	}
	return len(kinds) >= 2, nil
}

// FinishStep notes that a step of the response was done, and how.
func (o *Office) FinishStep(tx *storage.Tx, id, stepID, note string, by Actor) (Ticket, error) {
	return o.do(tx, id, by, func(d *dossier) error {
		if err := d.in("落实处置措施", OpenStates...); err != nil {
			return err
		}
		if h := d.host(); h == nil || by.Unit != h.Unit || !by.officer() {
			if err := d.centre(org.CommentTicket); err != nil {
				return err
			}
		} else if !by.may(org.LogContact) {
			return noRole()
		}
		if strings.TrimSpace(note) == "" {
			return refuse("note", "请说明落实情况")
		}
		if err := d.withSteps(); err != nil {
			return err
		}
		i := slices.IndexFunc(d.steps, func(s *Step) bool { return s.ID == stepID })
		if i < 0 {
			return refuse("step", "没有该项处置措施")
		}
		s := d.steps[i]
		if s.State != StepOpen {
			return refuse("decided", "该项措施%s", s.State.Label())
		}
		s.State, s.DoneBy, s.DoneAt = StepDone, by.String(), d.now
		s.NoteRef, s.Note = d.write("note", note)
		d.ticket.StepsOpen--
		if err := d.recur(s); err != nil {
			return err
		}
		return d.emit("step.done", map[string]any{"step": s.ID, "code": s.Code, "note": s.NoteRef})
	})
}

// StepTaken notes for another part of the program (会商, 督办) that a step of the response was done by what it did. A ticket
// without such a step is left as it is.
func (o *Office) StepTaken(tx *storage.Tx, id, code string, by Actor) error {
	_, err := o.doAt(tx, id, by, o.now(), func(d *dossier) error {
		d.quiet = true
		found, err := d.did(code)
		if err != nil || !found {
			return err
		}
		return d.emit("step.done", map[string]any{"code": code})
	})
	return err
}

// Steps returns the steps of a ticket's responses, first to last, with their notes.
func (o *Office) Steps(tx *storage.Tx, id string) ([]Step, error) {
	var out []*Step
	if err := list(tx, &out, ` WHERE ticket_id = $1 ORDER BY id`, id); err != nil {
		return nil, err
	}
	for _, s := range out {
		var err error
		if s.Note, err = shownText(tx, s.NoteRef); err != nil {
			return nil, err
		}
	}
	return values(out), nil
}

// step announces, once, that a step of a response is overdue.
func (s *sweep) step(tx *storage.Tx, id string) (raised []Notice, err error) {
	_, err = s.o.doAt(tx, id, System, s.now, func(d *dossier) error {
		d.quiet = true
		if err := d.withSteps(); err != nil {
			return err
		}
		for _, st := range d.steps {
			if !st.Overdue(s.now) || st.Warned {
				continue
			}
			st.Warned = true
			n := Notice{TicketID: d.ticket.ID, Subject: st.ID, Point: PointDue, Kind: NoticeStep, Colour: st.Colour, For: org.Supervisor,
				Text:      fmt.Sprintf("诉求%s（%s色）处置措施逾期未落实：%s（%s）", d.ticket.Number, st.Colour, st.Words, st.DueAt.In(workday.Zone).Format("2006-01-02 15:04")),
				PlannedAt: st.DueAt, RaisedAt: s.now, ShowAt: s.now}
			d.notices = append(d.notices, n)
			raised = append(raised, n)
			if err := d.emit("step.overdue", map[string]any{"step": st.ID, "code": st.Code, "due": st.DueAt}); err != nil {
				return err
			}
		}
		return nil
	})
	return raised, err
}

// regrade grades anew what is in the queue of CameAgain.
func (s *sweep) regrade(tx *storage.Tx, id string) ([]Notice, error) {
	cause, err := storage.One(tx, storage.Value[string], `SELECT cause FROM ticket_regrade WHERE ticket_id = $1`, id)
	if err != nil {
		return nil, nil // another sweeper was faster
	}
	if _, err := tx.Exec(`DELETE FROM ticket_regrade WHERE ticket_id = $1`, id); err != nil {
		return nil, fmt.Errorf("regrade %s: %w", id, err)
	}
	_, err = s.o.doAt(tx, id, System, s.now, func(d *dossier) error {
		d.quiet = true
		return d.grade(cause)
	})
	return nil, err
}
