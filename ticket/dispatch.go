package ticket

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"lianxin/org"
	"lianxin/storage"
	"lianxin/workday"
)

// Dispatching is to whom a ticket goes.
type Dispatching struct {
	Host       string   // unit id of 主办
	Co         []string // unit ids of 协办
	Note       string
	Designated bool // the centre decides, after MaxReturns returns: the leg cannot be returned; Note says why
}

// Dispatch sends an accepted ticket to one 主办 and any number of 协办 units (派单): 已受理 → 待签收. The accused unit, and
// what lies below it, never gets a leg (I6).
func (o *Office) Dispatch(tx *storage.Tx, id string, p Dispatching, by Actor) (Ticket, error) {
	return o.do(tx, id, by, func(d *dossier) error {
		if err := d.in("派单", Accepted); err != nil {
			return err
		}
		if err := d.centre(org.DispatchTicket); err != nil {
			return err
		}
		t := d.ticket
		units := append([]string{p.Host}, p.Co...)
		for i, u := range units {
			if err := d.mayHold(u); err != nil {
				return err
			}
			if slices.Contains(units[:i], u) {
				return refuse("twice", "同一单位不能重复派单")
			}
		}
		if t.Returns >= d.rules.MaxReturns {
			if !p.Designated || strings.TrimSpace(p.Note) == "" {
				return refuse("return_limit", "该诉求已退回%d次，须由中心指定承办单位并说明理由，或提请会商", t.Returns)
			}
		}
		note, _ := d.write("note", p.Note)
		for i, u := range units {
			l := &Leg{ID: newID(), TicketID: t.ID, Round: t.Round, Role: Co, Unit: u, State: LegPending,
				Designated: p.Designated && i == 0, AssignedBy: by.String(), AssignedAt: d.now}
			if i == 0 {
				l.Role = Host
			}
			d.legs = append(d.legs, l)
			d.start(ClockSign, l)
		}
		d.stop(ClockDispatch, nil)
		if t.RespondedAt.IsZero() {
			t.RespondedAt = d.now
		}
		d.move(Dispatched)
		if two, err := d.branches(units); err != nil {
			return err
		} else if two {
			if _, err := d.did(StepBranches); err != nil {
				return err
			}
		}
		info := map[string]any{"host": p.Host, "co": p.Co, "designated": p.Designated, "note": note}
		if t.SuggestedUnit != "" {
			info["suggested"], info["taken"] = t.SuggestedUnit, p.Host == t.SuggestedUnit
		}
		return d.emit("ticket.dispatched", info)
	})
}

// mayHold refuses units that do not exist, are closed, or are accused.
func (d *dossier) mayHold(unit string) error {
	if unit == "" {
		return refuse("host", "请选择主办单位")
	}
	u, err := org.GetUnit(d.tx, unit)
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return refuse("no_unit", "没有单位“%s”", unit)
	case err != nil:
		return fmt.Errorf("dispatch: %w", err)
	case !u.Active:
		return refuse("no_unit", "单位“%s”已停用", u.Short)
	}
	in, err := d.o.within(d.tx, unit, d.ticket.AccusedUnit)
	if err != nil {
		return fmt.Errorf("dispatch: %w", err)
	}
	if in {
		return refuse("accused_unit", "诉求涉及%s，依规回避，不能由其承办", u.Short)
	}
	return nil
}

// Sign signs for a leg (签收). With 主办's signature the ticket is 办理中 and the clocks of contact and report start.
func (o *Office) Sign(tx *storage.Tx, legID string, by Actor) (Ticket, error) {
	return o.doLeg(tx, legID, by, func(d *dossier, l *Leg) error {
		if l.State != LegPending && l.SignedBy != "" && l.State.Live() {
			return refuse("leg_state", "该工单已由%s于%s签收，当前为“%s”", o.nameOf(tx, l.SignedBy), l.SignedAt.In(workday.Zone).Format("15:04"), l.State.Label())
		}
		if l.State != LegPending {
			return refuse("leg_state", "该工单当前为“%s”，不能签收", l.State.Label())
		}
		if err := d.in("签收", Dispatched, Handling, Suspended); err != nil {
			return err
		}
		if err := d.ofUnit(l, org.SignTicket); err != nil {
			return err
		}
		if err := d.separate(handled); err != nil {
			return err
		}
		l.State, l.SignedAt, l.SignedBy, l.Handler = LegSigned, d.now, by.String(), by.String()
		d.stop(ClockSign, l)
		if l.Role == Host {
			d.start(ClockContact, l)
			d.start(ClockReport, l)
			d.move(Handling)
		}
		return d.emit("leg.signed", map[string]any{"leg": l.ID, "unit": l.Unit, "role": l.Role})
	})
}

// working reports whether the unit can work on a leg now; it can while it waits for more time.
func (l *Leg) working() bool {
	return l.State == LegSigned || l.State == LegWorking || l.State == LegSentBack || l.State == LegExtReq
}

// work checks that an officer of the leg's unit can work on it now.
func (d *dossier) work(what string, l *Leg, act org.Action) error {
	if err := d.in(what, Handling, Suspended); err != nil {
		return err
	}
	if !l.working() {
		return refuse("leg_state", "该工单当前为“%s”，不能%s", l.State.Label(), what)
	}
	if err := d.ofUnit(l, act); err != nil {
		return err
	}
	return d.separate(handled)
}

// contacts checks that somebody of the centre who may know the citizen can make the contact for a unit that may not.
func (d *dossier) contacts(l *Leg) error {
	if err := d.in("记录联系情况", Handling, Suspended); err != nil {
		return err
	}
	if !l.working() {
		return refuse("leg_state", "该工单当前为“%s”，不能记录联系情况", l.State.Label())
	}
	if err := d.centre(org.LogContact); err != nil {
		return err
	}
	if !d.o.KnowsCitizen(*d.ticket, d.by) {
		return refuse("confidential", "诉求人要求保密，您的岗位不能联系")
	}
	return nil
}

// ContactNote is a record of a contact with the citizen (联系记录).
type ContactNote struct {
	Via     string // "phone", "visit", "sms" …
	Outcome TryOutcome
	Note    string
}

// Contacted records that the unit contacted, or tried to contact, the citizen. Only a contact that reached the citizen
// stops the clock of 首次联系. Of a confidential ticket the unit does not know the citizen (I7): there the centre makes the
// contact in its place.
func (o *Office) Contacted(tx *storage.Tx, legID string, c ContactNote, by Actor) (Ticket, error) {
	return o.doLeg(tx, legID, by, func(d *dossier, l *Leg) error {
		forUnit := d.ticket.Confidential && by.ofCentre()
		if forUnit {
			if err := d.contacts(l); err != nil {
				return err
			}
		} else if err := d.work("记录联系情况", l, org.LogContact); err != nil {
			return err
		}
		if c.Via == "" || tryLabels[c.Outcome] == "" {
			return refuse("contact", "请填写联系方式和联系结果")
		}
		if !forUnit {
			l.Handler = by.String()
		}
		if l.State == LegSigned {
			l.State = LegWorking
		}
		l.Contacts++
		if c.Outcome == Reached && l.ContactedAt.IsZero() {
			l.ContactedAt = d.now
			d.stop(ClockContact, nil)
		}
		note, _ := d.write("contact", c.Note)
		return d.emit("leg.contacted", map[string]any{"leg": l.ID, "unit": l.Unit, "via": c.Via, "outcome": c.Outcome, "note": note})
	})
}

// ReportProgress records the unit's report on what it has done so far (初步处置报告); for 红 the next is due a day later.
func (o *Office) ReportProgress(tx *storage.Tx, legID, text string, by Actor) (Ticket, error) {
	return o.doLeg(tx, legID, by, func(d *dossier, l *Leg) error {
		if err := d.work("报告处置情况", l, org.LogContact); err != nil {
			return err
		}
		if strings.TrimSpace(text) == "" {
			return refuse("empty", "请填写处置情况")
		}
		if l.Handler = by.String(); l.State == LegSigned {
			l.State = LegWorking
		}
		l.ReportedAt = d.now
		if l.Role == Host {
			d.stop(ClockReport, nil)
			if _, err := d.did(StepScheme); err != nil {
				return err
			}
			if span := d.rules.ReportAgain[d.ticket.Colour]; !span.IsZero() {
				d.startSpan(ClockReport, l, span)
			}
		}
		ref, _ := d.write("report", text)
		return d.emit("leg.reported", map[string]any{"leg": l.ID, "unit": l.Unit, "text": ref})
	})
}

// Result is what a unit found and did (办理结果).
type Result struct {
	Text       string
	Basis      string // the law or rule it rests on
	Finding    Finding
	Resolution Resolution
	WithoutCo  string // 主办 only: why it submits although a 协办 leg is not finished
}

// Submit hands a leg's result in. 主办's submission makes the ticket 待审核; it needs all 协办 results, or a reason to go
// without them, and a contact with the citizen, or MinTries attempts at it, where there is one to contact. A request for
// more time that nobody decided lapses.
func (o *Office) Submit(tx *storage.Tx, legID string, r Result, by Actor) (Ticket, error) {
	return o.doLeg(tx, legID, by, func(d *dossier, l *Leg) error {
		if err := d.work("提交结果", l, org.SubmitResult); err != nil {
			return err
		}
		t := d.ticket
		if l.Role == Host {
			if err := d.in("提交结果", Handling); err != nil {
				return err
			}
		}
		switch {
		case strings.TrimSpace(r.Text) == "" || strings.TrimSpace(r.Basis) == "":
			return refuse("result", "请填写办理结果和依据")
		case r.Finding.Label() == "" || r.Resolution.Label() == "":
			return refuse("result", "请选择属实认定和解决状态")
		}
		var waived Text
		if l.Role == Host {
			if t.ContactID != "" && !t.Anonymous && !d.contacted() {
				return refuse("no_contact", "尚未联系上群众，也未满%d次联系，不能提交办理结果", d.rules.MinTries)
			}
			for _, co := range d.legs {
				if co.Role == Co && co.Round == t.Round && co.State.Live() && co.State != LegSubmitted {
					if waived, _ = d.write("without_co", r.WithoutCo); waived.IsZero() {
						return refuse("co", "协办单位尚未提交结果，如不等待请说明原因")
					}
					break
				}
			}
		}
		if l.State == LegExtReq {
			d.lapse(AskExtension)
			l.Before = ""
		}
		l.State, l.SubmittedAt, l.SubmittedBy, l.Handler = LegSubmitted, d.now, by.String(), by.String()
		l.ResultRef, l.Result = d.write("result", r.Text)
		l.BasisRef, l.Basis = d.write("basis", r.Basis)
		l.Finding, l.Resolution = r.Finding, r.Resolution
		if l.Role == Host {
			d.stop(ClockReport, nil)
			d.move(Reviewing)
			d.start(ClockReview, nil)
		}
		return d.emit("leg.submitted", map[string]any{"leg": l.ID, "unit": l.Unit, "role": l.Role, "result": l.ResultRef, "basis": l.BasisRef,
			"finding": r.Finding, "resolution": r.Resolution, "without_co": waived})
	})
}

// contacted reports whether the units reached the citizen in this round, or tried MinTries times.
func (d *dossier) contacted() bool {
	tried := 0
	for _, l := range d.legs {
		if l.Round == d.ticket.Round {
			if !l.ContactedAt.IsZero() {
				return true
			}
			tried += l.Contacts
		}
	}
	return tried >= d.rules.MinTries
}

// Reject sends a result back to 主办, and to the 协办 whose legs are named (审核退回): 待审核 → 办理中.
func (o *Office) Reject(tx *storage.Tx, id, reason string, by Actor, coLegs ...string) (Ticket, error) {
	return o.do(tx, id, by, func(d *dossier) error {
		if err := d.review("审核退回"); err != nil {
			return err
		}
		if strings.TrimSpace(reason) == "" {
			return refuse("reason", "请填写退回原因")
		}
		for _, id := range coLegs {
			if l := d.leg(id); l == nil || l.Role != Co || l.Round != d.ticket.Round || l.State != LegSubmitted {
				return refuse("leg", "所选协办工单未提交结果，不能退回")
			}
		}
		d.stop(ClockReview, nil)
		for _, l := range d.legs {
			if l.Round == d.ticket.Round && l.State == LegSubmitted && (l.Role == Host || slices.Contains(coLegs, l.ID)) {
				l.State, l.ReviewedAt, l.ReviewedBy = LegSentBack, d.now, by.String()
				if l.Role == Host {
					d.start(ClockReport, l)
				}
			}
		}
		d.move(Handling)
		ref, _ := d.write("reason", reason)
		return d.emit("ticket.rejected", map[string]any{"reason": ref, "co": coLegs})
	})
}

// review checks who reviews: an officer of the centre, or a leader of 主办 who did not handle it (I5).
func (d *dossier) review(what string) error {
	if err := d.in(what, Reviewing); err != nil {
		return err
	}
	if !d.by.officer() {
		return refuse("centre", "审核须由审核人办理")
	}
	leads, err := d.leadsHost()
	if err != nil {
		return err
	}
	if !leads || d.ticket.Restricted {
		if err := d.centre(org.ReviewResult); err != nil {
			return err
		}
	} else if !d.by.may(org.ReviewResult) {
		return noRole()
	}
	return d.separate(reviewed)
}

// leadsHost reports whether the actor is of the host unit or of a unit above it: a station's result is reviewed by its
// own leader or by the branch.
func (d *dossier) leadsHost() (bool, error) {
	h := d.host()
	if h == nil || !d.by.officer() || d.by.Unit == "" {
		return false, nil
	}
	return d.o.within(d.tx, h.Unit, d.by.Unit)
}

// Approve accepts the result, and notes the reply that was sent to the citizen (I4): 待审核 → 已答复. The clock of handling
// stops; those of 回访 and 评价 start; merged tickets get the same reply.
func (o *Office) Approve(tx *storage.Tx, id string, r Reply, by Actor) (Ticket, error) {
	t, err := o.do(tx, id, by, func(d *dossier) error {
		if err := d.review("审核通过"); err != nil {
			return err
		}
		if err := r.check(); err != nil {
			return err
		}
		for _, l := range d.legs {
			if l.Round != d.ticket.Round || !l.State.Live() {
				continue
			}
			l.EndedAt, l.Before = d.now, ""
			if l.State == LegSubmitted {
				l.State, l.ReviewedAt, l.ReviewedBy = LegAccepted, d.now, by.String()
			} else {
				l.State = LegCancelled // a 协办 leg the host went without
			}
			d.cancel(l)
		}
		d.lapse()
		d.stop(ClockReview, nil)
		d.cancel(nil, ClockDecide, ClockContact)
		d.stop(ClockHandle, nil)
		d.stop(ClockStable, nil)
		d.ticket.StableUntil = zero
		d.move(Replied)
		d.reply(r)
		return d.emit("ticket.approved", map[string]any{"reply": d.ticket.ReplyRef, "via": r.Via})
	})
	if err != nil {
		return t, err
	}
	return t, o.follow(tx, t, r)
}
