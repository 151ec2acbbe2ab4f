package ticket

import (
	"fmt"
	"slices"
	"strings"

	"lianxin/audit"
	"lianxin/org"
	"lianxin/storage"
)

// What the room of oversight (ticket/oversee) needs of tickets: texts kept like theirs, notices, and the one command that
// a binding conclusion is carried out with.

// KeepText keeps a free text beside the stream of another matter, as those of tickets are kept: shown with numbers masked,
// the original sealed. An empty text is none.
func (o *Office) KeepText(tx *storage.Tx, stream, kind, s string) (Text, error) {
	d := &dossier{o: o, tx: tx}
	ref, _ := d.write(kind, s)
	for _, r := range d.texts {
		if _, err := tx.Exec(`INSERT INTO ticket_text (id, stream, kind, shown, sealed, at) VALUES ($1, $2, $3, $4, $5, $6)`,
			r.id, stream, r.kind, r.shown, r.sealed, storage.At(o.now())); err != nil {
			return Text{}, fmt.Errorf("save text of %s: %w", stream, err)
		}
	}
	return ref, nil
}

// ShownTexts returns the texts of a stream, by id, numbers masked.
func ShownTexts(tx *storage.Tx, stream string) (map[string]string, error) {
	return readTexts(tx, stream)
}

// CheckTexts says which texts that the events of a stream refer to are missing or were changed; "" is none.
func CheckTexts(tx *storage.Tx, stream string, events []audit.Event) ([]string, error) {
	shown, err := readTexts(tx, stream)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, ref := range refs(events) {
		if s, ok := shown[ref.ID]; !ok {
			out = append(out, "text "+ref.ID+" is missing")
		} else if sum(ref.ID, s) != ref.Sum {
			out = append(out, "text "+ref.ID+" was changed")
		}
	}
	return out, nil
}

// Tell leaves a notice for a unit, or for the centre when Unit is empty. Telling the same subject, point and planned time
// again changes nothing. RaisedAt and ShowAt are now when zero; Notify hears of it after the commit.
func (o *Office) Tell(tx *storage.Tx, n Notice) error {
	now := o.now()
	if n.RaisedAt.IsZero() {
		n.RaisedAt = now
	}
	if n.ShowAt.IsZero() {
		n.ShowAt = now
	}
	if n.PlannedAt.IsZero() {
		n.PlannedAt = now
	}
	seen, err := storage.One(tx, storage.Value[int], `SELECT COUNT(*) FROM ticket_notice WHERE subject = $1 AND point = $2 AND planned_at = $3`,
		n.Subject, string(n.Point), storage.At(n.PlannedAt))
	if err != nil || seen > 0 {
		return err
	}
	if err := n.insert(tx); err != nil {
		return err
	}
	if notify := o.Notify; notify != nil {
		tx.After(func() { notify(n) })
	}
	return nil
}

// Concerned reports whether an officer of a unit is party to a ticket's accusation: the accused officer, or of the accused
// unit or one below it. Such a person is no handler, reviewer or expert (I6).
func (o *Office) Concerned(tx *storage.Tx, t Ticket, unit, staffID string) (bool, error) {
	if t.AccusedStaff != "" && staffID == t.AccusedStaff {
		return true, nil
	}
	return o.within(tx, unit, t.AccusedUnit)
}

// Redirect gives an open ticket to another 主办 by a binding decision of 会商, 督办 or a leader (domain model §2, §5): what
// the present units have is cancelled, the ticket is accepted again and dispatched in one step, and the new leg cannot be
// returned. A result that waits for review is reviewed first; a held rework is released by the decision.
func (o *Office) Redirect(tx *storage.Tx, id string, p Dispatching, by Actor) (Ticket, error) {
	if strings.TrimSpace(p.Note) == "" || p.Host == "" {
		return Ticket{}, refuse("decision", "请填写结论和主办单位")
	}
	p.Designated = true
	_, err := o.do(tx, id, by, func(d *dossier) error {
		t := d.ticket
		if err := d.in("按结论转派", Accepted, Dispatched, Handling, Suspended, Rework); err != nil {
			return err
		}
		if !by.may(org.OpenConsult) && !by.may(org.Supervise) {
			return noRole()
		}
		if by.officer() && !by.ofCentre() || t.Restricted && by.officer() && !by.sits() {
			return refuse("centre", "该操作由民意感知中心办理")
		}
		for _, u := range append([]string{p.Host}, p.Co...) {
			if err := d.mayHold(u); err != nil {
				return err
			}
		}
		note, _ := d.write("decision", p.Note)
		from := ""
		switch t.State {
		case Accepted:
			return d.emit("ticket.redirected", map[string]any{"decision": note})
		case Rework:
			d.stop(ClockHold, nil)
			return d.again("ticket.released", map[string]any{"decision": note, "round": t.Round})
		case Suspended:
			if err := d.wake("按会商结论恢复"); err != nil {
				return err
			}
		}
		if h := d.host(); h != nil {
			from = h.Unit
		}
		for _, l := range d.legs {
			if l.Round == t.Round && l.State.Live() {
				l.State, l.Before, l.EndedAt = LegCancelled, "", d.now
				d.cancel(l)
			}
		}
		d.lapse()
		d.cancel(nil, ClockContact, ClockReport, ClockSign, ClockDecide)
		d.move(Accepted)
		if !slices.ContainsFunc(d.clocks, func(c *Clock) bool { return c.Kind == ClockDispatch && c.State == Running }) {
			d.start(ClockDispatch, nil)
		}
		return d.emit("ticket.redirected", map[string]any{"decision": note, "from": from})
	})
	if err != nil {
		return Ticket{}, err
	}
	// The decision binds: whoever may conclude may also carry out what was concluded, so the program dispatches.
	return o.Dispatch(tx, id, p, System)
}

// UnlinkRepeat takes back that a ticket repeats another, with the reason: the link was wrong. What was said stays in the log.
func (o *Office) UnlinkRepeat(tx *storage.Tx, id, reason string, by Actor) (Ticket, error) {
	return o.do(tx, id, by, func(d *dossier) error {
		if err := d.centre(org.MergeTicket); err != nil {
			return err
		}
		if d.ticket.RepeatOf == "" {
			return refuse("repeat", "该诉求没有关联重复诉求")
		}
		if strings.TrimSpace(reason) == "" {
			return refuse("reason", "请说明为何不是同一事项")
		}
		was := d.ticket.RepeatOf
		d.ticket.RepeatOf = ""
		ref, _ := d.write("reason", reason)
		return d.emit("ticket.repeat_unlinked", map[string]any{"repeat_of": was, "reason": ref})
	})
}
