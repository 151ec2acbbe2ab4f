package ivr

import (
	"slices"

	"lianxin/sip"
)

// referred answers a REFER of an operator's telephone (RFC 3515): a transfer to an extension, a number or a part of the hotline, or,
// with Replaces, to whom the same phone is talking to in another call. It is carried out here, on the citizen's leg; no trunk ever sees
// it, and what may be called is decided for the person whose phone asks (pitfall 12).
func (r *room) referred(p *party, q *sip.Refer) int {
	r.mu.Lock()
	mine := r.lead == p && !r.closed
	r.mu.Unlock()
	if !mine {
		return 403
	}
	if q.Replaces != nil {
		x := r.h.deskCallOf(q.Replaces.ID())
		if x == nil || x.ext != p.ext { // only a call of the same phone (RFC 3891 3)
			return 403
		}
		r.h.stopped.Go(func() { r.attended(p, x, q.Report) })
		return 202
	}
	who, known := r.h.staff(r.ctx, p.ext)
	t, no := r.h.targetOf(r.ctx, q.To)
	if no == nil && !known && t.goal == toNumber {
		no = refuse("forbidden", "没有外呼权限")
	}
	if no == nil {
		no = r.h.mayReach(who, t)
	}
	if no == nil {
		who.Extension = p.ext
		if err := r.h.logOrder(r.ctx, r.v.rec.ID, Order{Do: DoTransfer, To: q.To, Staff: who}); err != nil {
			r.v.log.Error("ivr: transfer by a phone", "err", err)
			return 500
		}
		no = r.transfer(t, q.Report)
	}
	if no != nil {
		r.v.did("话机转接未执行：" + no.Message)
		return statusFor(no)
	}
	return 202
}

// attended joins the citizen with whom the operator's phone is talking to in another call, and lets the phone go.
func (r *room) attended(p *party, x *deskCall, tell func(int)) {
	far := x.take()
	if far == nil {
		tell(480)
		return
	}
	r.mu.Lock()
	if r.closed || !slices.Contains(r.parties, p) {
		r.mu.Unlock()
		tell(481)
		r.v.hangup(r.ctx, far.call)
		far.done()
		return
	}
	q := &party{kind: PartyOutside, to: x.to, why: forTalk, police: x.to.goal == toPolice, done: far.done, since: r.h.now()}
	if x.to.goal == toExtension {
		q.kind, q.ext, q.staffID = PartyOperator, x.to.value, far.staffID
	}
	r.v.did("咨询转接 " + x.to.label())
	r.parties = slices.DeleteFunc(r.parties, func(y *party) bool { return y == p })
	r.main.Leave(mediaOf(p))
	r.side.Leave(mediaOf(p))
	if r.lead == p {
		r.lead, r.held = nil, false
	}
	r.parties = append(r.parties, q)
	r.take(q)
	r.arrive(q, far.call)
	if q.police {
		r.police = true
		r.running.Go(func() { r.v.connected110(r.ctx) })
	}
	r.mu.Unlock()
	tell(200)
	r.dismiss(p)
	if who, ok := r.h.staff(r.ctx, p.ext); ok {
		if err := r.h.logOrder(r.ctx, r.v.rec.ID, Order{Do: DoComplete, To: x.to.value, Staff: who}); err != nil {
			r.v.log.Error("ivr: transfer by a phone", "err", err)
		}
	}
}

// roomOfLeg finds the conversation that a leg is in charge of.
func (h *Hotline) roomOfLeg(id string) (*room, *party) {
	for _, r := range h.rooms() {
		r.mu.Lock()
		lead, closed := r.lead, r.closed
		found := lead != nil && lead.call != nil && lead.call.ID() == id && !closed
		r.mu.Unlock()
		if found {
			return r, lead
		}
	}
	return nil, nil
}
