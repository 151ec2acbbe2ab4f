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

// Ruling decides a Request.
type Ruling struct {
	Grant    bool
	Note     string // required when it is not granted
	Informed string // extension: how the citizen was told (I11); empty: by a text that goes out now
}

func (d *dossier) request(id string) *Request {
	for _, r := range d.requests {
		if r.ID == id {
			return r
		}
	}
	return nil
}

// asked refuses a second request of a kind while one is open.
func (d *dossier) asked(k RequestKind) error {
	if slices.ContainsFunc(d.requests, func(r *Request) bool { return r.Kind == k && r.State == Asked }) {
		return refuse("asked", "已有待审批的%s申请", k.Label())
	}
	return nil
}

// ask opens a request.
func (d *dossier) ask(k RequestKind, l *Leg, reason string) *Request {
	r := &Request{ID: newID(), TicketID: d.ticket.ID, Kind: k, State: Asked, AskedBy: d.by.String(), AskedUnit: d.by.Unit, AskedAt: d.now}
	if l != nil {
		r.LegID = l.ID
	}
	r.ReasonRef, r.Reason = d.write("reason", reason)
	d.requests = append(d.requests, r)
	d.start(ClockDecide, l)
	return r
}

// decide runs the decision of a request by a person other than who asked for it.
func (o *Office) decide(tx *storage.Tx, requestID string, kind RequestKind, r Ruling, by Actor, act org.Action, then func(d *dossier, q *Request, l *Leg) error) (Ticket, error) {
	id, err := storage.One(tx, storage.Value[string], `SELECT ticket_id FROM ticket_request WHERE id = $1`, requestID)
	if err != nil {
		return Ticket{}, fmt.Errorf("request %s: %w", requestID, err)
	}
	return o.do(tx, id, by, func(d *dossier) error {
		q := d.request(requestID)
		if q.Kind != kind {
			return refuse("kind", "该申请不是%s申请", kind.Label())
		}
		if q.State != Asked {
			if q.DecidedBy != "" {
				return refuse("decided", "该申请已由%s审批：%s", o.nameOf(tx, q.DecidedBy), q.State.Label())
			}
			return refuse("decided", "该申请已失效（%s）", q.State.Label())
		}
		if err := d.centre(act); err != nil {
			return err
		}
		if q.AskedBy == by.String() {
			return refuse("second_person", "须由申请人以外的人审批")
		}
		if !r.Grant && strings.TrimSpace(r.Note) == "" {
			return refuse("note", "不同意请说明理由")
		}
		q.State = Denied
		if r.Grant {
			q.State = Granted
		}
		q.DecidedBy, q.DecidedUnit, q.DecidedAt = by.String(), by.Unit, d.now
		q.DecisionRef, q.Decision = d.write("decision", r.Note)
		l := d.leg(q.LegID)
		for _, c := range d.live(ClockDecide, nil) {
			if c.LegID == q.LegID && c.StartedAt.Equal(q.AskedAt) {
				d.stopOne(c)
				break
			}
		}
		if l != nil && (kind == AskReturn || kind == AskExtension) {
			l.State, l.Before = l.Before, ""
		}
		if err := then(d, q, l); err != nil {
			return err
		}
		return d.emit("request."+string(kind)+"_"+string(q.State), map[string]any{"request": q.ID, "leg": q.LegID, "note": q.DecisionRef, "informed": q.InformedRef})
	})
}

func (d *dossier) stopOne(c *Clock) {
	c.State = Met
	if d.now.After(c.DueAt) {
		c.State = Late
	}
	d.end(c)
}

// ReturnWish is a unit's wish to return a leg that is not its duty (退回, §5).
type ReturnWish struct {
	Reason  string
	Clause  string // the duty clause it cites
	Suggest string // the unit whose duty it is
}

// RequestReturn asks to return a leg. After MaxReturns granted returns of the ticket, and for a leg that the centre
// designated, there is none (I12).
func (o *Office) RequestReturn(tx *storage.Tx, legID string, w ReturnWish, by Actor) (Request, error) {
	var q *Request
	_, err := o.doLeg(tx, legID, by, func(d *dossier, l *Leg) error {
		if err := d.in("申请退回", Dispatched, Handling); err != nil {
			return err
		}
		if l.State != LegPending && l.State != LegSigned && l.State != LegWorking {
			return refuse("leg_state", "该工单当前为“%s”，不能申请退回", l.State.Label())
		}
		if err := d.ofUnit(l, org.RequestReturn); err != nil {
			return err
		}
		if err := d.asked(AskReturn); err != nil {
			return err
		}
		if l.Designated || l.Role == Host && d.ticket.Returns >= d.rules.MaxReturns {
			return refuse("return_limit", "该诉求已退回%d次，由中心指定承办，不能再退回；有异议请提请会商", d.ticket.Returns)
		}
		if strings.TrimSpace(w.Reason) == "" || strings.TrimSpace(w.Clause) == "" || w.Suggest == "" {
			return refuse("return", "申请退回须写明理由、职责依据和建议承办单位")
		}
		if w.Suggest == l.Unit {
			return refuse("return", "建议承办单位不能是本单位")
		}
		if err := d.mayHold(w.Suggest); err != nil {
			return err
		}
		if l.State == LegPending {
			d.stop(ClockSign, l) // the unit has answered the dispatch
		}
		q = d.ask(AskReturn, l, w.Reason)
		q.ClauseRef, q.Clause = d.write("clause", w.Clause)
		q.Suggest = w.Suggest
		l.Before, l.State = l.State, LegReturnReq
		return d.emit("request.return_asked", map[string]any{"request": q.ID, "leg": l.ID, "unit": l.Unit, "reason": q.ReasonRef, "clause": q.ClauseRef, "suggest": w.Suggest})
	})
	if err != nil {
		return Request{}, err
	}
	return *q, nil
}

// DecideReturn decides a return. Granted for 主办, the ticket is 已受理 again and its other legs are cancelled; the clock of
// handling runs on, for the citizen is still waiting.
func (o *Office) DecideReturn(tx *storage.Tx, requestID string, r Ruling, by Actor) (Ticket, error) {
	return o.decide(tx, requestID, AskReturn, r, by, org.DecideReturn, func(d *dossier, q *Request, l *Leg) error {
		if err := d.in("审批退回", Dispatched, Handling); err != nil {
			return err
		}
		if !r.Grant {
			if l.State == LegPending {
				d.start(ClockSign, l)
			}
			return nil
		}
		l.State, l.EndedAt = LegReturned, d.now
		d.cancel(l)
		if l.Role == Co {
			return nil
		}
		d.ticket.Returns++
		for _, other := range d.legs {
			if other.Round == d.ticket.Round && other.State.Live() {
				other.State, other.Before, other.EndedAt = LegCancelled, "", d.now
				d.cancel(other)
			}
		}
		d.lapse()
		d.cancel(nil, ClockDecide)
		d.move(Accepted)
		d.start(ClockDispatch, nil)
		return nil
	})
}

// RequestExtension asks for working days more, before the clock of handling is due, at most MaxExtensions times for a
// ticket (I11).
func (o *Office) RequestExtension(tx *storage.Tx, legID string, days int, reason string, by Actor) (Request, error) {
	var q *Request
	_, err := o.doLeg(tx, legID, by, func(d *dossier, l *Leg) error {
		if err := d.work("申请延期", l, org.RequestExtension); err != nil {
			return err
		}
		if err := d.in("申请延期", Handling); err != nil {
			return err
		}
		if l.Role != Host {
			return refuse("host", "延期由主办单位申请")
		}
		if d.ticket.Extensions >= d.rules.MaxExtensions {
			return refuse("extension_limit", "该诉求已延期%d次，不能再延期", d.ticket.Extensions)
		}
		if err := d.asked(AskExtension); err != nil {
			return err
		}
		handle := d.live(ClockHandle, nil)
		if len(handle) == 0 || !d.now.Before(handle[0].DueAt) {
			return refuse("overdue", "延期须在到期前申请")
		}
		limit := d.rules.ExtensionDays[d.ticket.Colour]
		if limit == 0 {
			limit = d.rules.LeaderDays
		}
		if days < 1 || days > limit {
			return refuse("days", "延期天数为1至%d个工作日", limit)
		}
		if strings.TrimSpace(reason) == "" {
			return refuse("reason", "请填写延期理由")
		}
		q = d.ask(AskExtension, l, reason)
		q.Days = days
		l.Before, l.State = l.State, LegExtReq
		return d.emit("request.extension_asked", map[string]any{"request": q.ID, "leg": l.ID, "unit": l.Unit, "days": days, "reason": q.ReasonRef})
	})
	if err != nil {
		return Request{}, err
	}
	return *q, nil
}

// DecideExtension decides an extension; for 红 that is a leader's alone. The citizen is told of it: as Ruling.Informed says,
// or, when that is empty, by a text that the program sends.
func (o *Office) DecideExtension(tx *storage.Tx, requestID string, r Ruling, by Actor) (Ticket, error) {
	return o.decide(tx, requestID, AskExtension, r, by, org.DecideExtension, func(d *dossier, q *Request, l *Leg) error {
		if err := d.in("审批延期", Handling); err != nil {
			return err
		}
		if !r.Grant {
			return nil
		}
		if d.rules.ExtensionDays[d.ticket.Colour] == 0 && by.Role != org.Leader {
			return refuse("leader", "%s色诉求延期须由局领导批准", d.ticket.Colour)
		}
		for _, c := range d.live(ClockHandle, nil) {
			d.extend(c, q.Days)
		}
		told, err := d.informed(r.Informed, d.promised())
		if err != nil {
			return err
		}
		q.InformedRef, q.Informed = d.write("informed", told)
		d.ticket.Extensions++
		return nil
	})
}

// RequestSuspend asks to suspend handling until a day, at most SuspensionDays working days away (I10).
func (o *Office) RequestSuspend(tx *storage.Tx, legID string, until time.Time, reason string, by Actor) (Request, error) {
	var q *Request
	_, err := o.doLeg(tx, legID, by, func(d *dossier, l *Leg) error {
		if err := d.work("申请挂起", l, org.RequestExtension); err != nil {
			return err
		}
		if err := d.in("申请挂起", Handling); err != nil {
			return err
		}
		if l.Role != Host {
			return refuse("host", "挂起由主办单位申请")
		}
		if err := d.asked(AskSuspend); err != nil {
			return err
		}
		if d.ticket.Suspensions >= d.rules.MaxSuspensions {
			return refuse("suspension_limit", "该诉求已挂起%d次，不能再挂起", d.ticket.Suspensions)
		}
		if limit := d.reckoner().Deadline(d.now, workday.Days(d.rules.SuspensionDays)); !until.After(d.now) || until.After(limit) {
			return refuse("until", "挂起期限须在%d个工作日以内", d.rules.SuspensionDays)
		}
		if strings.TrimSpace(reason) == "" {
			return refuse("reason", "请填写挂起理由")
		}
		q = d.ask(AskSuspend, l, reason)
		q.Until = ms(until)
		return d.emit("request.suspend_asked", map[string]any{"request": q.ID, "leg": l.ID, "unit": l.Unit, "until": q.Until, "reason": q.ReasonRef})
	})
	if err != nil {
		return Request{}, err
	}
	return *q, nil
}

// DecideSuspend decides a suspension. Granted, the clocks of handling and report stand still until Resume or the approved
// end, whichever is first; one that is overdue already does not.
func (o *Office) DecideSuspend(tx *storage.Tx, requestID string, r Ruling, by Actor) (Ticket, error) {
	return o.decide(tx, requestID, AskSuspend, r, by, org.SuspendTicket, func(d *dossier, q *Request, l *Leg) error {
		if err := d.in("审批挂起", Handling); err != nil {
			return err
		}
		if !r.Grant {
			return nil
		}
		if !q.Until.After(d.now) {
			return refuse("until", "申请的挂起期限已过")
		}
		d.ticket.Suspensions++
		d.pause(ClockHandle)
		d.pause(ClockReport)
		d.move(Suspended)
		d.startUntil(ClockSuspend, q.Until)
		return nil
	})
}

// Resume ends a suspension: 挂起 → 办理中. The unit, the centre, or the program at the approved end may.
func (o *Office) Resume(tx *storage.Tx, id, note string, by Actor) (Ticket, error) {
	return o.do(tx, id, by, func(d *dossier) error {
		if err := d.in("恢复办理", Suspended); err != nil {
			return err
		}
		if h := d.host(); h == nil || d.by.Unit != h.Unit {
			if err := d.centre(org.SuspendTicket); err != nil {
				return err
			}
		} else if err := d.ofUnit(h, org.SubmitResult); err != nil {
			return err
		}
		return d.wake(note)
	})
}

func (d *dossier) wake(note string) error {
	d.stop(ClockSuspend, nil)
	d.resume(ClockHandle)
	d.resume(ClockReport)
	d.move(Handling)
	ref, _ := d.write("note", note)
	return d.emit("ticket.resumed", map[string]any{"note": ref})
}

// RequestRetype asks to change the kind of a request, which a second person decides; OriginalKind stays (I13).
func (o *Office) RequestRetype(tx *storage.Tx, id string, kind Kind, reason string, by Actor) (Request, error) {
	return o.askChange(tx, id, AskRetype, string(kind), reason, by, func(d *dossier) error {
		if !kind.Valid() || kind == d.ticket.Kind {
			return refuse("kind", "请选择另一种诉求类型")
		}
		return nil
	})
}

// DecideRetype decides a change of kind.
func (o *Office) DecideRetype(tx *storage.Tx, requestID string, r Ruling, by Actor) (Ticket, error) {
	return o.decide(tx, requestID, AskRetype, r, by, org.GradeTicket, func(d *dossier, q *Request, _ *Leg) error {
		if err := d.in("审批改类", OpenStates...); err != nil {
			return err
		}
		if r.Grant {
			d.ticket.Kind = Kind(q.Value)
		}
		return nil
	})
}

// RequestLower asks for a lower colour, which a second person decides (I8).
func (o *Office) RequestLower(tx *storage.Tx, id string, to Colour, reason string, by Actor) (Request, error) {
	return o.askChange(tx, id, AskLower, string(to), reason, by, func(d *dossier) error {
		if to.Rank() == 0 || to.Rank() >= d.ticket.Colour.Rank() {
			return refuse("colour", "请选择更低的颜色等级")
		}
		return nil
	})
}

// DecideLower decides a fall of colour. Clocks that run keep their dues (I9).
func (o *Office) DecideLower(tx *storage.Tx, requestID string, r Ruling, by Actor) (Ticket, error) {
	return o.decide(tx, requestID, AskLower, r, by, org.GradeTicket, func(d *dossier, q *Request, _ *Leg) error {
		if err := d.in("审批降色", OpenStates...); err != nil {
			return err
		}
		if r.Grant {
			if Colour(q.Value).Rank() >= d.ticket.Colour.Rank() {
				return refuse("colour", "颜色等级已变化，请重新申请")
			}
			if err := d.noRedInside(); err != nil {
				return err
			}
			d.ticket.Colour = Colour(q.Value)
		}
		return nil
	})
}

// noRedInside keeps a ticket red while red ones are merged into it: what is red is never part of what is not (I8).
func (d *dossier) noRedInside() error {
	if d.ticket.Colour != Red {
		return nil
	}
	n, err := storage.One(d.tx, storage.Value[int], `SELECT COUNT(*) FROM ticket WHERE merged_into = $1 AND merged_into <> '' AND state = $2 AND colour = $3`,
		d.ticket.ID, string(Merged), string(Red))
	if err != nil {
		return fmt.Errorf("red tickets merged into %s: %w", d.ticket.ID, err)
	}
	if n > 0 {
		return refuse("red", "有%d件红色诉求并入该诉求，请先撤销并入或降低其等级", n)
	}
	return nil
}

func (o *Office) askChange(tx *storage.Tx, id string, k RequestKind, value, reason string, by Actor, check func(d *dossier) error) (Request, error) {
	var q *Request
	_, err := o.do(tx, id, by, func(d *dossier) error {
		if err := d.in("申请"+k.Label(), OpenStates...); err != nil {
			return err
		}
		if err := d.centre(org.AcceptTicket); err != nil {
			return err
		}
		if err := d.asked(k); err != nil {
			return err
		}
		if err := check(d); err != nil {
			return err
		}
		if strings.TrimSpace(reason) == "" {
			return refuse("reason", "请填写理由")
		}
		q = d.ask(k, nil, reason)
		q.Value = value
		return d.emit("request."+string(k)+"_asked", map[string]any{"request": q.ID, "value": value, "reason": q.ReasonRef})
	})
	if err != nil {
		return Request{}, err
	}
	return *q, nil
}

// Raise raises the colour of an open ticket, at once and by anyone who grades, the program included (I8). Clocks that run
// get the limits of the new colour where those are earlier: the event is the explicit recomputation that I9 asks for.
func (o *Office) Raise(tx *storage.Tx, id string, to Colour, reason string, by Actor) (Ticket, error) {
	return o.do(tx, id, by, func(d *dossier) error {
		t := d.ticket
		if err := d.in("提升颜色等级", OpenStates...); err != nil {
			return err
		}
		if d.by.Kind != BotActor {
			if err := d.centre(org.GradeTicket); err != nil {
				return err
			}
		}
		if to.Rank() <= t.Colour.Rank() {
			return refuse("colour", "该操作只能提升颜色等级")
		}
		if strings.TrimSpace(reason) == "" {
			return refuse("reason", "请填写理由")
		}
		from := t.Colour
		d.rise(to)
		if err := d.respond(); err != nil {
			return err
		}
		ref, _ := d.write("reason", reason)
		return d.emit("ticket.raised", map[string]any{"from": from, "to": to, "reason": ref})
	})
}
