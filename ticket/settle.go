package ticket

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"lianxin/org"
	"lianxin/storage"
)

// Acceptance is how a request is accepted.
type Acceptance struct {
	Kind     Kind     // when the ticket has none yet
	Colour   Colour   // empty leaves it; a colour lower than the ticket's is refused (I8: RequestLower)
	Validity Validity // 有效 when empty
	Class    string   // code of a Class; empty takes the suggestion on
	Note     string
}

// Accept takes a request on: 待受理 → 已受理. The clocks of dispatching and of the whole handling start.
func (o *Office) Accept(tx *storage.Tx, id string, a Acceptance, by Actor) (Ticket, error) {
	return o.do(tx, id, by, func(d *dossier) error {
		if err := d.in("受理", New); err != nil {
			return err
		}
		if err := d.centre(org.AcceptTicket); err != nil {
			return err
		}
		t := d.ticket
		if t.Kind == "" {
			t.Kind, t.OriginalKind = a.Kind, a.Kind
		} else if a.Kind != "" && a.Kind != t.Kind {
			return refuse("retype", "诉求类型已确定，更改须经第二人审核（改类）")
		}
		if !t.Kind.Valid() {
			return refuse("kind", "受理前请确定诉求类型")
		}
		if t.Title == "" && t.Body == "" {
			return refuse("empty", "受理前请填写诉求标题或内容")
		}
		if a.Colour != "" {
			if a.Colour.Rank() == 0 {
				return refuse("colour", "颜色只能是红、橙、黄、蓝")
			}
			if a.Colour.Rank() < t.Colour.Rank() {
				return refuse("colour_falls", "降低颜色等级须说明理由并由第二人审核")
			}
			if t.Colour != a.Colour {
				t.Colour = a.Colour
				if err := d.respond(); err != nil {
					return err
				}
			}
		}
		if t.Validity = a.Validity; a.Validity == "" {
			t.Validity = Effective
		} else if validityLabels[a.Validity] == "" {
			return refuse("validity", "没有有效性“%s”", a.Validity)
		}
		t.AcceptedAt = d.now
		d.stop(ClockAccept, nil)
		d.move(Accepted)
		d.start(ClockDispatch, nil)
		d.start(ClockHandle, nil)
		note, _ := d.write("note", a.Note)
		info := map[string]any{"colour": t.Colour, "kind": t.Kind, "note": note}
		class, err := d.class(cmpOr(a.Class, cmpOr(t.Class, t.SuggestedClass)))
		if err != nil {
			return err
		}
		maps.Copy(info, class)
		if err := d.emit("ticket.accepted", info); err != nil {
			return err
		}
		return d.grade(GradedAccepted)
	})
}

// Reply is an answer to the citizen.
type Reply struct {
	Text string
	Via  string // how it was given: "phone", "sms", "web", "letter", "12345" …
}

// BySMS is the way of a reply that the program itself sends (Office.SendText); every other way is a person's.
const BySMS = "sms"

func (r Reply) check() error {
	if strings.TrimSpace(r.Text) == "" || strings.TrimSpace(r.Via) == "" {
		return refuse("reply", "请填写答复内容和答复方式")
	}
	return nil
}

// text remembers what is to be texted to the citizen once the rows are saved.
func (d *dossier) text(r Reply) {
	if r.Via == BySMS {
		d.texted = append(d.texted, strings.TrimSpace(r.Text))
	}
}

// reply notes that the citizen was answered, and starts the clocks of 回访 and 评价.
func (d *dossier) reply(r Reply) {
	t := d.ticket
	t.ReplyRef, t.Reply = d.write("reply", r.Text)
	t.ReplyVia, t.RepliedAt = r.Via, d.now
	d.text(r)
	if t.RespondedAt.IsZero() {
		t.RespondedAt = d.now
	}
	d.stop(ClockExternal, nil)
	d.start(ClockCallback, nil)
	d.start(ClockRating, nil)
}

// Answer settles a request on the spot (直接答复): 待受理 → 直接答复, from where it is rated.
func (o *Office) Answer(tx *storage.Tx, id string, r Reply, by Actor) (Ticket, error) {
	t, err := o.do(tx, id, by, func(d *dossier) error {
		if err := d.in("直接答复", New); err != nil {
			return err
		}
		if err := d.centre(org.AnswerTicket); err != nil {
			return err
		}
		if err := r.check(); err != nil {
			return err
		}
		t := d.ticket
		if t.Kind == "" {
			t.Kind, t.OriginalKind = Inquiry, Inquiry
		}
		if t.AccusedUnit != "" || t.AccusedStaff != "" {
			return refuse("accusation", "涉及单位或民警的诉求不能直接答复，请受理后派单核查")
		}
		t.AnsweredBy = by.String()
		t.AcceptedAt = d.now
		if t.Validity == "" {
			t.Validity = Effective
		}
		d.stop(ClockAccept, nil)
		d.move(Answered)
		d.reply(r)
		return d.emit("ticket.answered", map[string]any{"reply": t.ReplyRef, "via": r.Via})
	})
	if err != nil {
		return t, err
	}
	return t, o.follow(tx, t, r)
}

// Transfer110 hands an emergency to the command centre; the ticket ends here and keeps the incident number.
func (o *Office) Transfer110(tx *storage.Tx, id, incidentNo, note string, by Actor) (Ticket, error) {
	t, err := o.do(tx, id, by, func(d *dossier) error {
		if err := d.in("转110", New); err != nil {
			return err
		}
		if err := d.centre(org.Transfer110); err != nil {
			return err
		}
		if strings.TrimSpace(incidentNo) == "" {
			return refuse("incident", "请填写警情号")
		}
		t := d.ticket
		t.IncidentNo, t.RespondedAt, t.ClosedAt = strings.TrimSpace(incidentNo), d.now, d.now
		d.stop(ClockAccept, nil)
		d.finish(Transferred)
		ref, _ := d.write("note", note)
		return d.emit("ticket.transferred", map[string]any{"incident": t.IncidentNo, "note": ref})
	})
	if err != nil {
		return t, err
	}
	return t, o.orphans(tx, t)
}

// finish ends a ticket: clocks, legs, requests and call-backs that are open are cancelled.
func (d *dossier) finish(s State) {
	d.cancel(nil)
	d.ticket.StableUntil = zero
	for _, l := range d.legs {
		if l.State.Live() {
			l.State, l.Before, l.EndedAt = LegCancelled, "", d.now
		}
	}
	d.lapse()
	for _, c := range d.callbacks {
		if c.State == CallbackOpen {
			c.State, c.FinishedAt, c.FinishedBy = CallbackDropped, d.now, d.by.String()
		}
	}
	d.move(s)
}

// lapse ends requests of the kinds (all kinds when none is named) that nobody decided.
func (d *dossier) lapse(kinds ...RequestKind) {
	for _, r := range d.requests {
		if r.State == Asked && (len(kinds) == 0 || slices.Contains(kinds, r.Kind)) {
			r.State, r.DecidedAt = Lapsed, d.now
			for _, c := range d.live(ClockDecide, nil) {
				if c.LegID == r.LegID && c.StartedAt.Equal(r.AskedAt) {
					c.State = ClockCancelled
					d.end(c)
				}
			}
		}
	}
}

// Refuse turns a request down (不予受理) on a ground of the rules, with the notice that the citizen gets. Who refused
// cannot decide again after an appeal.
func (o *Office) Refuse(tx *storage.Tx, id, ground string, notice Reply, by Actor) (Ticket, error) {
	t, err := o.do(tx, id, by, func(d *dossier) error {
		if err := d.in("不予受理", New); err != nil {
			return err
		}
		if err := d.centre(org.RefuseTicket); err != nil {
			return err
		}
		t := d.ticket
		if _, ok := d.rules.ground(ground); !ok {
			return refuse("ground", "请选择不予受理的法定理由")
		}
		if err := notice.check(); err != nil {
			return err
		}
		if t.DecidedBy == by.String() {
			return refuse("same_person", "申诉后须由另一人重新决定")
		}
		t.Ground, t.DecidedBy = ground, by.String()
		t.ReplyRef, t.Reply = d.write("notice", notice.Text)
		t.ReplyVia, t.RepliedAt, t.ClosedAt = notice.Via, d.now, d.now
		d.text(notice)
		if t.RespondedAt.IsZero() {
			t.RespondedAt = d.now
		}
		d.stop(ClockAccept, nil)
		d.stop(ClockExternal, nil)
		d.finish(Refused)
		return d.emit("ticket.refused", map[string]any{"ground": ground, "notice": t.ReplyRef, "via": notice.Via})
	})
	if err != nil {
		return t, err
	}
	return t, o.orphans(tx, t)
}

// Appeal puts a refused request back to 待受理 at the citizen's wish.
func (o *Office) Appeal(tx *storage.Tx, id, reason string, by Actor) (Ticket, error) {
	return o.do(tx, id, by, func(d *dossier) error {
		t := d.ticket
		if err := d.in("申诉", Refused); err != nil {
			return err
		}
		if err := d.forCitizen(org.OpenTicket); err != nil {
			return err
		}
		if strings.TrimSpace(reason) == "" {
			return refuse("reason", "请填写申诉理由")
		}
		if n := d.rules.AppealDays; n > 0 && d.now.After(t.ClosedAt.AddDate(0, 0, n)) {
			return refuse("late", "申诉期限为收到告知之日起%d日，现已超过", n)
		}
		t.ClosedAt = zero
		d.move(New)
		d.start(ClockAccept, nil)
		ref, _ := d.write("appeal", reason)
		return d.emit("ticket.appealed", map[string]any{"reason": ref})
	})
}

// forCitizen lets the ticket's own citizen act, or staff who may act on the citizen's behalf.
func (d *dossier) forCitizen(act org.Action) error {
	if d.by.Kind == CitizenActor {
		if d.by.ID != d.ticket.ContactID {
			return refuse("citizen", "只能办理本人的诉求")
		}
		return nil
	}
	return d.centre(act)
}

// Merge links a request that is still 待受理 to another ticket of the same matter (并入). Nothing is deleted: it keeps its
// own citizen, gets the other's reply as its own, may be rated (I14), and Unmerge undoes it. 红 is not merged into less (I8).
func (o *Office) Merge(tx *storage.Tx, id, into, ground string, by Actor) (Ticket, error) {
	t, err := o.do(tx, id, by, func(d *dossier) error {
		t := d.ticket
		if err := d.in("并入", New); err != nil {
			return err
		}
		if err := d.centre(org.MergeTicket); err != nil {
			return err
		}
		if strings.TrimSpace(ground) == "" {
			return refuse("ground", "请说明为何是同一事项")
		}
		if into == t.ID {
			return refuse("self", "不能并入自身")
		}
		target, err := one[Ticket](tx, ` WHERE id = $1 `+tx.ForUpdate(), into)
		if errors.Is(err, storage.ErrNotFound) {
			return refuse("target", "没有找到要并入的诉求")
		} else if err != nil {
			return fmt.Errorf("merge into %s: %w", into, err)
		}
		switch {
		case !target.State.Open() || target.State == Answered || target.State == Replied || target.State == AwaitRating:
			return refuse("target", "诉求%s当前为“%s”，不能并入", target.Number, target.StateLabel())
		case t.Colour == Red && target.Colour != Red:
			return refuse("red", "红色诉求不能并入非红色诉求")
		case t.Restricted != target.Restricted:
			return refuse("seat", "督察12389诉求与其他诉求不能互相并入")
		case (t.AccusedUnit != "" || t.AccusedStaff != "") && (t.AccusedUnit != target.AccusedUnit || t.AccusedStaff != target.AccusedStaff):
			return refuse("accusation", "涉及的单位或民警不同，不能并入")
		}
		t.MergedInto = into
		d.stop(ClockAccept, nil)
		d.move(Merged)
		ref, _ := d.write("ground", ground)
		return d.emit("ticket.merged", map[string]any{"into": into, "number": target.Number, "ground": ref})
	})
	if err == nil && o.Grader != nil {
		_, err = o.Regrade(tx, into, GradedMerged, System)
	}
	return t, err
}

// Unmerge gives a merged ticket its own life again: it is 待受理 as before.
func (o *Office) Unmerge(tx *storage.Tx, id, ground string, by Actor) (Ticket, error) {
	return o.do(tx, id, by, func(d *dossier) error {
		if err := d.in("撤销并入", Merged); err != nil {
			return err
		}
		if err := d.centre(org.MergeTicket); err != nil {
			return err
		}
		if strings.TrimSpace(ground) == "" {
			return refuse("ground", "请说明撤销并入的原因")
		}
		ref, _ := d.write("ground", ground)
		return d.part(map[string]any{"ground": ref})
	})
}

// part separates a merged ticket from its target.
func (d *dossier) part(info map[string]any) error {
	t := d.ticket
	info["from"] = t.MergedInto
	t.MergedInto = ""
	for _, c := range d.callbacks {
		if c.State == CallbackOpen {
			c.State, c.FinishedAt, c.FinishedBy = CallbackDropped, d.now, d.by.String()
		}
	}
	d.cancel(nil, ClockCallback, ClockRating)
	t.ReplyRef, t.Reply, t.ReplyVia, t.RepliedAt = Text{}, "", "", zero
	t.Stars, t.Outcome, t.ClosedAt = 0, "", zero
	d.move(New)
	d.start(ClockAccept, nil)
	return d.emit("ticket.unmerged", info)
}

// children are the ids of the tickets merged into one.
func (o *Office) children(tx *storage.Tx, id string) ([]string, error) {
	ids, err := storage.All(tx, storage.Value[string], `SELECT id FROM ticket WHERE merged_into = $1 AND merged_into <> '' AND state = $2 ORDER BY id`, id, string(Merged))
	if err != nil {
		return nil, fmt.Errorf("tickets merged into %s: %w", id, err)
	}
	return ids, nil
}

// follow gives the tickets merged into t its reply as their own, and opens their rating (I14).
func (o *Office) follow(tx *storage.Tx, t Ticket, r Reply) error {
	ids, err := o.children(tx, t.ID)
	if err != nil {
		return err
	}
	for _, id := range ids {
		child, err := o.do(tx, id, System, func(d *dossier) error {
			if d.ticket.Outcome != "" { // rated an earlier reply already
				return nil
			}
			d.cancel(nil, ClockCallback, ClockRating)
			d.reply(r)
			if err := d.emit("ticket.reply_followed", map[string]any{"from": t.ID, "number": t.Number, "reply": d.ticket.ReplyRef}); err != nil {
				return err
			}
			return d.openReview()
		})
		if err != nil {
			return err
		}
		if err := o.follow(tx, child, r); err != nil {
			return err
		}
	}
	return nil
}

// orphans gives the tickets merged into one that ended without a reply their own life again: nothing is lost (ORG-6).
func (o *Office) orphans(tx *storage.Tx, t Ticket) error {
	ids, err := o.children(tx, t.ID)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if _, err := o.do(tx, id, System, func(d *dossier) error {
			return d.part(map[string]any{"because": string(t.State)})
		}); err != nil {
			return err
		}
	}
	return nil
}

// Withdrawal is a citizen's wish to stop.
type Withdrawal struct {
	Reason   string
	Evidence string // how staff know that it is the citizen's wish; required of staff
}

// Withdraw ends an open ticket at the citizen's wish. 督办 and 倒查 that were opened go on without it.
func (o *Office) Withdraw(tx *storage.Tx, id string, w Withdrawal, by Actor) (Ticket, error) {
	t, err := o.do(tx, id, by, func(d *dossier) error {
		if err := d.in("撤回", OpenStates...); err != nil {
			return err
		}
		if err := d.forCitizen(org.WithdrawTicket); err != nil {
			return err
		}
		if by.Kind != CitizenActor && strings.TrimSpace(w.Evidence) == "" {
			return refuse("evidence", "代群众撤回须写明依据（如通话录音编号）")
		}
		if strings.TrimSpace(w.Reason) == "" {
			return refuse("reason", "请填写撤回原因")
		}
		d.ticket.ClosedAt, d.ticket.Hold = d.now, ""
		d.finish(Withdrawn)
		reason, _ := d.write("reason", w.Reason)
		evidence, _ := d.write("evidence", w.Evidence)
		return d.emit("ticket.withdrawn", map[string]any{"reason": reason, "evidence": evidence})
	})
	if err != nil {
		return t, err
	}
	return t, o.orphans(tx, t)
}

// Archive puts a closed ticket away, ArchiveDays after it was closed. A closed ticket is never opened again: a later
// complaint is a new ticket with RepeatOf.
func (o *Office) Archive(tx *storage.Tx, id string, by Actor) (Ticket, error) {
	return o.do(tx, id, by, func(d *dossier) error {
		if err := d.centre(org.ArchiveTicket); err != nil {
			return err
		}
		return d.archive()
	})
}

func (d *dossier) archive() error {
	if err := d.in("归档", Closed); err != nil {
		return err
	}
	if at := d.ticket.ClosedAt.AddDate(0, 0, d.rules.ArchiveDays); d.now.Before(at) {
		return refuse("early", "办结满%d日后归档", d.rules.ArchiveDays)
	}
	d.ticket.ArchivedAt = d.now
	d.move(Archived)
	return d.emit("ticket.archived", nil)
}
