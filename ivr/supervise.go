package ivr

import (
	"context"
	"slices"

	"lianxin/desk"
	"lianxin/org"
	"lianxin/sip"
)

// supervise lets a supervisor in, changes how they are in, or lets them out. Their phone rings; nobody in the call hears of it unless
// they barge in. Each of it stands in the log with who did it, and in the call's record.
func (r *room) supervise(ctx context.Context, o Order) *Refusal {
	if !o.Staff.Can(org.ListenIn) {
		return refuse("forbidden", "没有监听权限")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return refuse("gone", "通话已结束")
	}
	var me *party
	for _, p := range r.parties {
		if p.ext == o.Staff.Extension && p.ext != "" {
			me = p
		}
	}
	if o.Do == DoStop {
		if me == nil || me.kind != PartySupervisor {
			return refuse("state", "您不在该通话中")
		}
		r.remove(me, me.mode.Label()+"结束 "+me.ext)
		r.running.Go(func() { r.dismiss(me) })
		return nil
	}
	mode := map[Action]Mode{DoListen: Listen, DoWhisper: Whisper, DoBarge: Barge}[o.Do]
	switch {
	case me != nil && me.kind != PartySupervisor:
		return refuse("state", "您正在该通话中")
	case me != nil:
		if me.mode != mode {
			me.mode = mode
			if me.up() {
				r.v.did(mode.Label() + " " + me.ext)
			}
			r.settle()
		}
		return nil
	case o.Staff.Extension == "":
		return refuse("phone", "您没有分机，无法%s", mode.Label())
	}
	p := r.supervisor(o.Staff, mode)
	ring, stop := context.WithCancelCause(r.ctx)
	p.stop = stop
	r.parties = append(r.parties, p)
	id := r.v.nextSide()
	r.running.Go(func() {
		defer stop(nil)
		r.ringSupervisor(ring, p, id)
	})
	r.settle()
	return nil
}

func (r *room) supervisor(s org.Staff, mode Mode) *party {
	return &party{kind: PartySupervisor, to: target{goal: toExtension, value: s.Extension}, ext: s.Extension, staffID: s.ID, why: forSupervise,
		mode: mode, since: r.h.now()}
}

// ringSupervisor calls the supervisor's phone. It need not be free for calls, only there.
func (r *room) ringSupervisor(ctx context.Context, p *party, _ string) {
	back := r.h.occupy(ctx, p.ext, "监听通话")
	call, err := r.h.cfg.Dial(ctx, sip.Target{User: p.ext}, sip.DialOpt{From: r.h.cfg.Number, Display: p.mode.Label() + " " + r.v.label,
		Timeout: ringTime, Codec: r.v.call.Info().Codec})
	r.mu.Lock()
	here := !r.closed && slices.Contains(r.parties, p)
	if err == nil && here {
		p.done = back
		r.v.did(p.mode.Label() + " " + p.ext)
		r.arrive(p, call)
		r.mu.Unlock()
		return
	}
	if here {
		r.parties = slices.DeleteFunc(r.parties, func(x *party) bool { return x == p })
		r.settle()
	}
	r.mu.Unlock()
	back()
	if err == nil {
		r.v.hangup(ctx, call)
	}
}

// superviseFrom lets a supervisor in who dialled the code on the telephone.
func (h *Hotline) superviseFrom(ctx context.Context, call sip.Call, who org.Staff, mode Mode, ext string) *Refusal {
	if !who.Can(org.ListenIn) {
		return refuse("forbidden", "没有监听权限")
	}
	r := h.roomOf(ext)
	if r == nil {
		return refuse("state", "该坐席没有在通话")
	}
	if err := call.Answer(ctx); err != nil {
		return refuse("gone", "已挂机")
	}
	p := r.supervisor(who, mode)
	p.done = h.occupy(ctx, who.Extension, "监听通话")
	r.mu.Lock()
	if r.closed || slices.ContainsFunc(r.parties, func(x *party) bool { return x.ext == p.ext }) {
		r.mu.Unlock()
		p.done()
		return refuse("state", "通话已结束")
	}
	r.parties = append(r.parties, p)
	r.v.did(mode.Label() + " " + p.ext)
	r.arrive(p, call)
	r.mu.Unlock()
	do := map[Mode]Action{Listen: DoListen, Whisper: DoWhisper, Barge: DoBarge}[mode]
	if err := h.logOrder(ctx, r.v.rec.ID, Order{Do: do, Staff: who}); err != nil { // what is not logged does not happen
		h.log.Error("ivr: supervise", "err", err)
		r.mu.Lock()
		r.remove(p, mode.Label()+"结束 "+p.ext)
		r.mu.Unlock()
		r.dismiss(p)
		return refuse("log", "无法记录日志")
	}
	<-call.Done()
	return nil
}

// roomOf finds the conversation that an extension is in charge of.
func (h *Hotline) roomOf(ext string) *room {
	for _, r := range h.rooms() {
		r.mu.Lock()
		found := r.lead != nil && r.lead.ext == ext && !r.closed
		r.mu.Unlock()
		if found {
			return r
		}
	}
	return nil
}

// rooms lists the conversations that are up.
func (h *Hotline) rooms() []*room {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []*room
	for _, v := range h.live {
		if v.room != nil {
			out = append(out, v.room)
		}
	}
	return out
}

// pickUp gives a waiting caller to the colleague who asks for them: their phone rings, and when they answer, whoever rang for the
// caller before stops ringing.
func (h *Hotline) pickUp(ctx context.Context, v *visit, o Order) error {
	at := v.waitingAt()
	switch {
	case !o.Staff.Can(org.TakeCalls):
		return refuse("forbidden", "没有接听权限")
	case o.Staff.Extension == "":
		return refuse("phone", "您没有分机，无法代接")
	case at == nil:
		return refuse("state", "该来电已不在等候")
	}
	seat, err := h.reserve(v.life, v.nextSide(), v.label, o.Staff.Extension, "代接")
	if err != nil {
		return whyNot(err)
	}
	if err := h.logOrder(ctx, v.rec.ID, o); err != nil {
		seat.failed(desk.Cancelled)
		return err
	}
	h.stopped.Go(func() {
		ringing, cancel := context.WithDeadline(v.life, seat.Deadline)
		defer cancel()
		defer context.AfterFunc(waitCtx(ringing, at.over), cancel)()
		call, err := h.cfg.Dial(ringing, sip.Target{User: o.Staff.Extension}, sip.DialOpt{From: h.cfg.Number, Display: "代接 " + v.label,
			Timeout: ringTime, Codec: v.call.Info().Codec, Headers: map[string]string{"X-Lianxin-Call": v.rec.ID}})
		if err != nil {
			seat.failed(outcomeFor(whyNot(err)))
			v.did("代接未成功 " + o.Staff.Extension)
			return
		}
		if seat.answered() != nil || !v.hand(at, o.Staff, call, seat.done) {
			h.part(v.life, call)
			seat.done()
		}
	})
	return nil
}

// pickUpFrom gives a waiting caller to the telephone that dialled the code: the caller for whom ext rings, or the one who has waited
// longest.
func (h *Hotline) pickUpFrom(ctx context.Context, call sip.Call, who org.Staff, ext string) *Refusal {
	if !who.Can(org.TakeCalls) {
		return refuse("forbidden", "没有接听权限")
	}
	var v *visit
	h.mu.Lock()
	for _, x := range h.live {
		if x.slot != nil && (ext == "" || x.shown.Operator == ext) && (v == nil || x.shown.Since.Before(v.shown.Since)) {
			v = x
		}
	}
	h.mu.Unlock()
	if v == nil {
		return refuse("state", "没有可以代接的来电")
	}
	at := v.waitingAt()
	if at == nil {
		return refuse("state", "来电已被接听")
	}
	seat, err := h.reserve(ctx, v.nextSide(), v.label, who.Extension, "代接")
	if err != nil {
		return whyNot(err)
	}
	if err := call.Answer(ctx); err != nil {
		seat.failed(desk.Cancelled)
		return refuse("gone", "已挂机")
	}
	if err := h.logOrder(ctx, v.rec.ID, Order{Do: DoPickup, Staff: who}); err != nil {
		h.log.Error("ivr: pick up", "err", err)
		seat.failed(desk.Cancelled)
		return refuse("log", "无法记录日志")
	}
	if seat.answered() != nil || !v.hand(at, who, call, seat.done) {
		seat.done()
		return refuse("gone", "来电已被接听")
	}
	<-call.Done()
	return nil
}

// waitingAt is where the caller may be picked up; nil when they do not wait.
func (v *visit) waitingAt() *slot {
	v.h.mu.Lock()
	defer v.h.mu.Unlock()
	return v.slot
}

// hand gives a caller who waits to a colleague whose phone is up. It reports whether they still waited.
func (v *visit) hand(at *slot, who org.Staff, call sip.Call, done func()) bool {
	v.h.mu.Lock()
	how := "代接 " + who.Extension
	if rang := v.shown.Operator; rang != "" && rang != who.Extension {
		how += "（原振铃 " + rang + "）"
	}
	v.h.mu.Unlock()
	select {
	case at.picked <- &talk{call: call, ext: who.Extension, staffID: who.ID, done: done, how: how}:
		return true
	case <-at.over:
	case <-v.life.Done():
	}
	return false
}
