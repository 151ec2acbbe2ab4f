package ivr

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"lianxin/audit"
	"lianxin/desk"
	"lianxin/org"
	"lianxin/sip"
	"lianxin/sip/media"
	"lianxin/storage"
	"lianxin/ticket"
)

// Action is what can be ordered of a call that is up.
type Action string

// The actions. The first group is for the operator in charge of the call, or a supervisor in their place.
const (
	DoHold     Action = "hold"
	DoResume   Action = "resume"
	DoTransfer Action = "transfer" // blind: the operator is free at once
	DoConsult  Action = "consult"  // talk to somebody first, while the citizen hears music
	DoComplete Action = "complete" // … and hand the call over to them
	DoReturn   Action = "return"   // … or go back to the citizen without them
	DoJoin     Action = "join"     // … or bring them into the conversation
	DoInvite   Action = "invite"   // call somebody into the conversation
	DoPolice   Action = "police"   // call 110 into it; the operator stays until they leave
	DoLeave    Action = "leave"    // leave the conversation to the others
	DoDrop     Action = "drop"     // send somebody away again

	DoListen  Action = "listen"
	DoWhisper Action = "whisper"
	DoBarge   Action = "barge"
	DoStop    Action = "stop" // leave as a supervisor

	DoPickup Action = "pickup" // take a call that waits or rings at a colleague's
)

// Order is one thing asked of a call.
type Order struct {
	Do    Action
	To    string    // target of transfer, consult, invite and drop
	Staff org.Staff // who asks; their extension is the phone that listens or picks up
}

// supervises are the actions that need org.ListenIn.
var supervises = []Action{DoListen, DoWhisper, DoBarge, DoStop}

// Order carries out what staff ask of a call that is up. A *Refusal tells why it cannot be; what takes longer than a moment, such as
// a phone that rings, goes on by itself and is seen in Live. Each order that is carried out is in the call's record and in the log.
func (h *Hotline) Order(ctx context.Context, callID string, o Order) error {
	h.mu.Lock()
	v := h.live[callID]
	var r *room
	if v != nil {
		r = v.room
	}
	h.mu.Unlock()
	if v == nil {
		return refuse("gone", "通话已结束")
	}
	if o.Do == DoPickup {
		return h.pickUp(ctx, v, o)
	}
	if r == nil {
		return refuse("state", "当前没有坐席在与群众通话")
	}
	var no *Refusal
	if slices.Contains(supervises, o.Do) {
		no = r.supervise(ctx, o)
	} else {
		no = r.command(ctx, o)
	}
	if no != nil {
		return no
	}
	h.log.Info("ivr: order", "call", callID, "do", string(o.Do), "by", o.Staff.ID)
	return h.logOrder(ctx, callID, o)
}

// logOrder enters an order into the audit log. Numbers outside are masked there.
func (h *Hotline) logOrder(ctx context.Context, callID string, o Order) error {
	ctx, cancel := after(ctx)
	defer cancel()
	to := ""
	if o.To != "" {
		if t, no := h.targetOf(ctx, o.To); no == nil {
			to = t.label()
		}
	}
	err := h.update(ctx, func(tx *storage.Tx) error {
		_, err := audit.Append(tx, audit.Entry{Stream: "call/" + callID, Type: "call." + string(o.Do), Actor: o.Staff.Actor(), At: h.now(),
			Payload: map[string]string{"to": to, "extension": o.Staff.Extension}})
		return err
	})
	if err != nil {
		return fmt.Errorf("log an order: %w", err)
	}
	return nil
}

// command carries out an order of the operator in charge.
func (r *room) command(ctx context.Context, o Order) *Refusal {
	r.mu.Lock()
	lead := r.lead
	mine := lead != nil && (lead.ext == o.Staff.Extension || lead.staffID != "" && lead.staffID == o.Staff.ID)
	r.mu.Unlock()
	if !mine && !o.Staff.Can(org.ListenIn) {
		return refuse("forbidden", "这不是您正在接听的电话")
	}
	if lead == nil && o.Do != DoDrop && o.Do != DoInvite && o.Do != DoPolice && o.Do != DoTransfer {
		return refuse("state", "坐席已离开该通话")
	}
	switch o.Do {
	case DoHold, DoResume:
		return r.hold(o.Do == DoHold)
	case DoComplete:
		return r.complete()
	case DoReturn:
		return r.comeBack()
	case DoJoin:
		return r.joinConsulted()
	case DoLeave:
		return r.leave()
	case DoDrop:
		return r.drop(o.To)
	case DoPolice:
		o.To = "110"
	case DoTransfer, DoConsult, DoInvite:
	default:
		return refuse("order", "没有操作“%s”", cut(string(o.Do), 20))
	}
	t, no := r.h.targetOf(ctx, o.To)
	if no == nil {
		no = r.h.mayReach(o.Staff, t)
	}
	if no != nil {
		return no
	}
	switch o.Do {
	case DoTransfer:
		return r.transfer(t, nil)
	case DoConsult:
		return r.call(t, forConsult)
	}
	return r.call(t, forJoin)
}

// hold puts the citizen on hold, or takes them back.
func (r *room) hold(on bool) *Refusal {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.closed || r.lead == nil:
		return refuse("gone", "通话已结束")
	case r.consulted() != nil:
		return refuse("state", "正在咨询，请先返回")
	case r.held == on:
		return nil
	}
	r.held = on
	r.v.did(map[bool]string{true: "保持", false: "取回"}[on])
	r.settle()
	return nil
}

// consulted is whom the operator in charge consults, ringing or up. mu is held.
func (r *room) consulted() *party {
	for _, p := range r.parties {
		if p.why == forConsult {
			return p
		}
	}
	return nil
}

// ringing says whether somebody is being called to go on with the citizen. mu is held.
func (r *room) ringing() bool {
	return slices.ContainsFunc(r.parties, func(p *party) bool { return !p.up() && p.kind != PartySupervisor })
}

// transfer leads the call to somebody else without a word. The operator is free at once, or, where their phone asked for it and
// waits to hear how it goes, when the other has answered. If nobody does, the call comes back to the operator.
func (r *room) transfer(t target, tell func(code int)) *Refusal {
	r.mu.Lock()
	lead := r.lead
	switch {
	case r.closed:
		r.mu.Unlock()
		return refuse("gone", "通话已结束")
	case r.ringing() || r.consulted() != nil:
		r.mu.Unlock()
		return refuse("state", "正在呼叫或咨询他人")
	case lead != nil && t.goal == toExtension && t.value == lead.ext:
		r.mu.Unlock()
		return refuse("target", "不能转接给自己")
	}
	r.v.did("转接 " + t.label())
	switch t.goal {
	case toQueue, toMenu, toMessage:
		r.then = string(t.goal)
		everybody := r.parties
		r.parties, r.lead, r.held = nil, nil, false
		r.settle()
		r.poke()
		r.mu.Unlock()
		if tell != nil {
			tell(200)
		}
		for _, p := range everybody {
			r.dismiss(p)
		}
		return nil
	}
	p := r.summon(t, forTransfer)
	p.from, p.tell = lead, tell
	if lead == nil {
		r.settle()
		r.mu.Unlock()
		return nil
	}
	if tell != nil { // the phone waits; the citizen hears music meanwhile
		lead.aside = true
		r.settle()
		r.mu.Unlock()
		return nil
	}
	r.parties = slices.DeleteFunc(r.parties, func(x *party) bool { return x == lead })
	r.lead, r.held = nil, false
	r.settle()
	r.mu.Unlock()
	r.dismiss(lead)
	return nil
}

// call has somebody rung, to be consulted or to join.
func (r *room) call(t target, why purpose) *Refusal {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.closed:
		return refuse("gone", "通话已结束")
	case r.ringing() || why == forConsult && r.consulted() != nil:
		return refuse("state", "正在呼叫或咨询他人")
	case t.goal == toQueue || t.goal == toMenu || t.goal == toMessage:
		return refuse("target", "%s只能直接转接", t.label())
	case slices.ContainsFunc(r.parties, func(p *party) bool { return p.to == t }):
		return refuse("state", "%s已在通话中", t.label())
	}
	what := "咨询 "
	if why == forJoin {
		what = "邀请加入 "
	}
	r.v.did(what + t.label())
	p := r.summon(t, why)
	p.from = r.lead
	p.aside = why == forConsult
	if r.lead != nil && r.lead.up() {
		p.tone = r.lead.call.Media().Loop(ringback)
	}
	r.settle()
	return nil
}

// ringback is what somebody hears while another phone rings (GF 002-9002: 450 Hz, 1 s on, 4 s off).
var ringback = func() *media.Prompt {
	p, err := media.NewPrompt("ringback", media.Rate, append(media.Tone([]float64{450}, time.Second).PCM(), make([]int16, 4*media.Rate)...))
	if err != nil {
		panic(err) // a constant of this program
	}
	return p
}()

// summon begins to ring a target. mu is held.
func (r *room) summon(t target, why purpose) *party {
	p := &party{kind: PartyOutside, to: t, why: why, police: t.goal == toPolice, since: r.h.now()}
	if t.goal == toExtension {
		p.kind, p.ext = PartyOperator, t.value
	}
	ctx, stop := context.WithCancelCause(r.ctx)
	p.stop = stop
	r.parties = append(r.parties, p)
	n := r.v.nextSide()
	r.running.Go(func() {
		defer stop(nil)
		r.ring(ctx, p, n)
	})
	return p
}

// ring calls a party's phone until it answers or does not.
func (r *room) ring(ctx context.Context, p *party, id string) {
	call, back, err := r.reach(ctx, p, id)
	r.mu.Lock()
	gone := r.closed || !slices.Contains(r.parties, p)
	if err == nil && !gone {
		p.done = back
		r.answered(p, call)
		r.mu.Unlock()
		return
	}
	r.mu.Unlock()
	if err == nil {
		r.v.hangup(ctx, call)
		back()
		return
	}
	if !gone {
		r.failed(p, whyNot(err))
	}
}

// reach dials a party: a colleague through the board, so that no queue call comes between, others through a trunk.
func (r *room) reach(ctx context.Context, p *party, id string) (sip.Call, func(), error) {
	label := r.v.display()
	limit := time.Now().Add(ringTime)
	back := func() {}
	settled := func(desk.Outcome) {}
	var seat *reservation
	if p.ext != "" {
		var err error
		if seat, err = r.h.reserve(ctx, id, r.v.label, p.ext, "内部通话"); err != nil {
			return nil, nil, err
		}
		limit, back, settled = seat.Deadline, seat.done, seat.failed
		r.mu.Lock()
		if p.staffID = seat.StaffID; p.staffID == "" {
			r.mu.Unlock()
			who, _ := r.h.staff(ctx, p.ext)
			r.mu.Lock()
			p.staffID = who.ID
		}
		r.mu.Unlock()
		if gone := seat.gone(); gone != nil { // the board has decided otherwise
			var stop context.CancelFunc
			ctx, stop = context.WithCancel(ctx)
			defer stop()
			defer context.AfterFunc(waitCtx(ctx, gone), stop)()
		}
	}
	dialling, cancel := context.WithDeadline(ctx, limit)
	defer cancel()
	opt := sip.DialOpt{From: r.h.cfg.Number, Display: label, Timeout: time.Until(limit), Codec: r.v.call.Info().Codec,
		Headers: map[string]string{"X-Lianxin-Call": r.v.rec.ID}}
	if p.kind == PartyOutside {
		opt.Display = ""
		opt.Early = func(c sip.Call) { r.heardEarly(p, c) }
	}
	call, err := r.h.cfg.Dial(dialling, p.to.dialled(), opt)
	if err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			err = sip.ErrNoAnswer
		}
		out := outcomeFor(whyNot(err))
		if ctx.Err() != nil {
			out = desk.Cancelled
		}
		settled(out)
		return nil, nil, err
	}
	if seat != nil {
		if err := seat.answered(); err != nil {
			r.v.hangup(ctx, call)
			seat.done()
			return nil, nil, sip.ErrNoAnswer
		}
	}
	return call, back, nil
}

// heardEarly lets whoever waits for an outside party hear what its network says before the answer.
func (r *room) heardEarly(p *party, c sip.Call) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || p.why != forConsult || p.up() {
		return
	}
	if p.tone != nil {
		p.tone()
		p.tone = nil
	}
	place(r.side, c.Media(), media.Party)
}

// answered takes a party in that has answered. mu is held.
func (r *room) answered(p *party, call sip.Call) {
	if p.tone != nil {
		p.tone()
		p.tone = nil
	}
	what := map[purpose]string{forTransfer: "转接成功 ", forConsult: "咨询接通 ", forJoin: "已加入 ", forRecall: "回铃接回 "}[p.why]
	r.v.did(what + p.to.label())
	var free *party
	if p.why == forTransfer || p.why == forRecall {
		free = r.lead
		if free != nil {
			r.parties = slices.DeleteFunc(r.parties, func(x *party) bool { return x == free })
			r.main.Leave(mediaOf(free))
			r.side.Leave(mediaOf(free))
			r.lead = nil
		}
		p.why = forTalk
	}
	if p.why == forJoin && r.lead == nil || p.why == forTalk {
		r.take(p)
	}
	r.arrive(p, call)
	if p.police {
		r.police = true
		r.running.Go(func() { r.v.connected110(r.ctx) })
	}
	if free != nil {
		tell := p.tell
		p.tell = nil
		r.running.Go(func() {
			if tell != nil { // their phone hears of it before it is hung up
				tell(200)
			}
			r.dismiss(free)
		})
	}
}

// failed says what becomes of the call when a party could not be reached.
func (r *room) failed(p *party, no *Refusal) {
	r.mu.Lock()
	if r.closed || !slices.Contains(r.parties, p) {
		r.mu.Unlock()
		return
	}
	r.parties = slices.DeleteFunc(r.parties, func(x *party) bool { return x == p })
	if p.tone != nil {
		p.tone()
		p.tone = nil
	}
	if tell := p.tell; tell != nil {
		p.tell = nil
		r.running.Go(func() { tell(statusFor(no)) })
	}
	what := map[purpose]string{forTransfer: "转接未成功 ", forConsult: "咨询未接通 ", forJoin: "邀请未接通 ", forRecall: "回铃未接 "}[p.why]
	r.v.did(what + p.to.label() + "：" + no.Message)
	switch {
	case p.why == forTransfer && r.lead != nil: // back to whoever asked, who is still there
		r.lead.aside = false
	case p.why == forTransfer && p.from != nil && p.from.ext != "" && len(r.parties) == 0:
		back := r.summon(target{goal: toExtension, value: p.from.ext}, forRecall)
		back.staffID = p.from.staffID
	case (p.why == forTransfer || p.why == forRecall) && len(r.parties) == 0:
		r.then = thenQueue // to the next operator, before everybody else
	}
	lead := r.lead
	r.settle()
	r.poke()
	r.mu.Unlock()
	if lead != nil && lead.up() && p.why != forTransfer {
		r.beep(lead, false)
	}
}

// complete hands the call over to whom the operator has consulted, or is having rung.
func (r *room) complete() *Refusal {
	r.mu.Lock()
	p, lead := r.consulted(), r.lead
	if p == nil || lead == nil {
		r.mu.Unlock()
		return refuse("state", "没有正在咨询的对象")
	}
	r.parties = slices.DeleteFunc(r.parties, func(x *party) bool { return x == lead })
	r.main.Leave(mediaOf(lead))
	r.side.Leave(mediaOf(lead))
	r.lead, r.held = nil, false
	p.from = lead
	r.inherit(lead)
	r.settle()
	r.poke()
	r.mu.Unlock()
	r.dismiss(lead)
	return nil
}

// comeBack sends whom the operator consults away and brings the citizen back.
func (r *room) comeBack() *Refusal {
	r.mu.Lock()
	p := r.consulted()
	if p == nil {
		for _, x := range r.parties { // one who was called in and still rings
			if !x.up() && x.kind != PartySupervisor {
				p = x
			}
		}
	}
	if p == nil {
		held := r.held
		r.mu.Unlock()
		if held {
			return r.hold(false)
		}
		return refuse("state", "没有正在咨询的对象")
	}
	r.remove(p, "返回群众")
	r.mu.Unlock()
	r.dismiss(p)
	return nil
}

// remove takes a party out. mu is held.
func (r *room) remove(p *party, what string) {
	r.parties = slices.DeleteFunc(r.parties, func(x *party) bool { return x == p })
	r.main.Leave(mediaOf(p))
	r.side.Leave(mediaOf(p))
	if p == r.lead {
		r.lead, r.held = nil, false
	}
	r.v.did(what)
	r.settle()
	r.poke()
}

// joinConsulted makes a conference of a consultation.
func (r *room) joinConsulted() *Refusal {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.consulted()
	if p == nil {
		return refuse("state", "没有正在咨询的对象")
	}
	p.why, p.aside, r.held = forJoin, false, false
	r.v.did("三方通话 " + p.to.label())
	r.settle()
	return nil
}

// leave lets the operator in charge go while the others talk on.
func (r *room) leave() *Refusal {
	r.mu.Lock()
	lead := r.lead
	others := slices.ContainsFunc(r.parties, func(p *party) bool { return p != lead && p.talks() })
	if !others {
		r.mu.Unlock()
		return refuse("state", "没有其他人在与群众通话，不能离开")
	}
	r.parties = slices.DeleteFunc(r.parties, func(x *party) bool { return x == lead })
	r.main.Leave(mediaOf(lead))
	r.lead, r.held = nil, false
	r.v.did("坐席离开会议 " + lead.ext)
	r.inherit(lead)
	r.settle()
	r.poke()
	r.mu.Unlock()
	r.dismiss(lead)
	return nil
}

// drop sends somebody away whom the operator had called in.
func (r *room) drop(who string) *Refusal {
	r.mu.Lock()
	var p *party
	for _, x := range r.parties {
		if x != r.lead && x.kind != PartySupervisor && (x.to.label() == who || x.ext != "" && x.ext == who) {
			p = x
		}
	}
	if p == nil {
		r.mu.Unlock()
		return refuse("target", "通话中没有“%s”", cut(who, 20))
	}
	r.remove(p, "请出 "+p.to.label())
	r.mu.Unlock()
	r.dismiss(p)
	return nil
}

// connected110 notes on the record and the ticket that 110 is in the call. The ticket stays.
func (v *visit) connected110(ctx context.Context) {
	now := v.h.now()
	v.note(func(r *Record) {
		if r.Police.IsZero() {
			r.Police = now
		}
	})
	v.alarm()
	v.show(func(l *LiveCall) { l.Police = now })
	r := v.record()
	ctx, cancel := after(ctx)
	defer cancel()
	err := v.h.update(ctx, func(tx *storage.Tx) error {
		if r.TicketID == "" {
			return nil
		}
		_, err := v.h.cfg.Office.Connected110(tx, r.TicketID, r.ID, now, ticket.Bot)
		if err != nil {
			return err
		}
		return v.h.mark(tx, r.TicketID, ticket.Bot)
	})
	if err != nil {
		v.log.Error("ivr: note on a ticket that 110 is in the call", "err", err)
	}
	v.save(ctx)
}
