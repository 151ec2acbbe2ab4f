package ticket

import (
	"strings"
	"time"

	"lianxin/org"
	"lianxin/storage"
	"lianxin/workday"
)

// A red matter that cannot be settled within its limit may be held stable by a plan instead (稳控 + plan, domain model §4):
// 主办 asks with the plan and the evidence that the situation is under control, a leader decides, and the clock of handling
// makes way for one that runs until the next look (稳控复核). At each look a leader or supervisor writes down how things
// stand and sets the next, or ends it, and the clock of handling begins anew. It settles nothing: the ticket stays open,
// and the citizen is still owed the reply.

// Scheme is what 稳控 is asked for with.
type Scheme struct {
	Plan     string    // 稳控方案: who does what
	Evidence string    // that it is under control: visits, agreements, persons in charge
	Review   time.Time // of the first look, at most StableDays working days away
}

// RequestStable asks for 稳控 in place of 办结.
func (o *Office) RequestStable(tx *storage.Tx, legID string, s Scheme, by Actor) (Request, error) {
	var q *Request
	_, err := o.doLeg(tx, legID, by, func(d *dossier, l *Leg) error {
		if err := d.work("申请稳控", l, org.RequestExtension); err != nil {
			return err
		}
		if err := d.in("申请稳控", Handling); err != nil {
			return err
		}
		switch {
		case l.Role != Host:
			return refuse("host", "稳控由主办单位申请")
		case d.ticket.Colour != Red:
			return refuse("colour", "只有红色诉求可以稳控方案代替限期办结")
		case len(d.live(ClockHandle, nil)) == 0:
			return refuse("stable", "该诉求已在稳控中")
		}
		if err := d.asked(AskStable); err != nil {
			return err
		}
		if strings.TrimSpace(s.Plan) == "" || strings.TrimSpace(s.Evidence) == "" {
			return refuse("scheme", "请填写稳控方案和已经稳控的依据")
		}
		if err := d.nextLook(s.Review); err != nil {
			return err
		}
		q = d.ask(AskStable, l, s.Plan)
		q.ClauseRef, q.Clause = d.write("evidence", s.Evidence)
		q.Until = ms(s.Review)
		return d.emit("request.stable_asked", map[string]any{"request": q.ID, "leg": l.ID, "unit": l.Unit, "until": q.Until, "reason": q.ReasonRef, "clause": q.ClauseRef})
	})
	if err != nil {
		return Request{}, err
	}
	return *q, nil
}

// nextLook refuses a date of the next look that is past or too far away.
func (d *dossier) nextLook(at time.Time) error {
	days := d.rules.stableDays()
	if limit := d.reckoner().Deadline(d.now, workday.Days(days)); !at.After(d.now) || at.After(limit) {
		return refuse("review", "复核日期须在%d个工作日以内", days)
	}
	return nil
}

// stableDays is the longest time between two looks; rules of before it was thought of have none.
func (r Rules) stableDays() int {
	if r.StableDays > 0 {
		return r.StableDays
	}
	return 5
}

// DecideStable is a leader's decision on 稳控.
func (o *Office) DecideStable(tx *storage.Tx, requestID string, r Ruling, by Actor) (Ticket, error) {
	return o.decide(tx, requestID, AskStable, r, by, org.DecideExtension, func(d *dossier, q *Request, l *Leg) error {
		if err := d.in("审批稳控", Handling); err != nil {
			return err
		}
		if by.Role != org.Leader && by.Kind != SystemActor {
			return refuse("leader", "稳控须由局领导批准")
		}
		if !r.Grant {
			return nil
		}
		if !q.Until.After(d.now) {
			return refuse("review", "申请的复核日期已过")
		}
		d.stop(ClockHandle, nil)
		d.startUntil(ClockStable, q.Until)
		d.ticket.StableUntil = q.Until
		_, err := d.did(StepScheme)
		return err
	})
}

// ReviewStable is a look at a ticket that is held stable: how things stand, and when the next look is; a zero next ends 稳控,
// and the clock of handling begins anew.
func (o *Office) ReviewStable(tx *storage.Tx, id, text string, next time.Time, by Actor) (Ticket, error) {
	return o.do(tx, id, by, func(d *dossier) error {
		if err := d.in("稳控复核", Accepted, Dispatched, Handling, Suspended, Reviewing); err != nil {
			return err
		}
		act := org.Supervise
		if by.may(org.InstructTicket) {
			act = org.InstructTicket
		}
		if err := d.centre(act); err != nil {
			return err
		}
		if len(d.live(ClockStable, nil)) == 0 {
			return refuse("stable", "该诉求不在稳控中")
		}
		if strings.TrimSpace(text) == "" {
			return refuse("text", "请填写稳控情况")
		}
		if !next.IsZero() {
			if err := d.nextLook(next); err != nil {
				return err
			}
		}
		d.stop(ClockStable, nil)
		ref, _ := d.write("review", text)
		if next.IsZero() {
			d.ticket.StableUntil = zero
			d.start(ClockHandle, nil)
			return d.emit("ticket.stable_ended", map[string]any{"text": ref})
		}
		d.ticket.StableUntil = ms(next)
		d.startUntil(ClockStable, next)
		return d.emit("ticket.stable_reviewed", map[string]any{"text": ref, "until": d.ticket.StableUntil})
	})
}
