package ivr

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"lianxin/contact"
	"lianxin/ivr/flow"
	"lianxin/org"
	"lianxin/sip"
	"lianxin/sip/media"
	"lianxin/storage"
	"lianxin/ticket"
)

// Direction says who rang.
type Direction string

// The directions of calls.
const (
	Inbound  Direction = "in"  // a citizen called the hotline
	Outbound Direction = "out" // we called a citizen
)

// Label is the direction for staff (zh-CN).
func (d Direction) Label() string {
	if d == Outbound {
		return "呼出"
	}
	return "呼入"
}

// CallOut is a call to a citizen: the phone of whoever makes it rings first, and then the citizen is called under the hotline's number.
type CallOut struct {
	Number     contact.Phone
	ContactID  string
	CallbackID string // the call-back that it is made for, if any
	TicketID   string
	Staff      org.Staff // who calls

	id string // of its record, where somebody has to know it before; a new one when empty
}

// CallOut begins a call to a citizen and returns the id of its record. What follows is seen in Live and told by the record: it is
// recorded as every other call is, and a citizen who is not reached is a try of the call-back. A *Refusal tells why it cannot begin.
func (h *Hotline) CallOut(ctx context.Context, o CallOut) (string, error) {
	switch {
	case o.Number.IsZero():
		return "", refuse("target", "没有可以回拨的号码")
	case o.Staff.Extension == "":
		return "", refuse("phone", "您没有分机，无法从系统回拨")
	case h.isDraining():
		return "", refuse("state", "系统正在停止")
	case h.cfg.Registered != nil && !h.cfg.Registered(o.Staff.Extension):
		return "", refuse("phone", "您的话机%s不在线", o.Staff.Extension)
	}
	if h.cfg.Allows != nil && !h.cfg.Allows(o.Number.Clear()) {
		return "", whyNot(sip.ErrNotAllowed)
	}
	for _, l := range h.Live() {
		if l.ContactID != "" && l.ContactID == o.ContactID && l.Direction == Outbound {
			return "", refuse("state", "正在呼叫该群众")
		}
	}
	life, cancel := context.WithCancelCause(h.base)
	v := h.enterOut(life, cancel, o)
	v.save(ctx)
	h.stopped.Go(func() {
		defer cancel(nil)
		defer v.closeOut(life, o)
		defer v.survive()
		seat, err := h.reserve(life, v.nextSide(), v.label, o.Staff.Extension, "外呼")
		if err != nil {
			v.did("坐席话机占线，未呼出")
			return
		}
		ringing, stop := context.WithDeadline(life, seat.Deadline)
		defer stop()
		lead, err := h.cfg.Dial(ringing, sip.Target{User: o.Staff.Extension}, sip.DialOpt{From: h.cfg.Number, Display: "回拨 " + v.label,
			Timeout: time.Until(seat.Deadline), Headers: map[string]string{"X-Lianxin-Call": v.rec.ID}})
		if err != nil {
			no := whyNot(err)
			seat.failed(outcomeFor(no))
			v.did("坐席未接听：" + no.Message)
			return
		}
		if err := seat.answered(); err != nil {
			h.part(life, lead)
			seat.done()
			v.did("坐席未接听")
			return
		}
		v.adopt(lead)
		v.outward(life, lead, o.Staff, target{goal: toNumber, value: o.Number.Clear()}, seat.done, nil)
	})
	return v.rec.ID, nil
}

func (h *Hotline) isDraining() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.draining
}

// enterOut makes the record of a call of ours.
func (h *Hotline) enterOut(life context.Context, cancel context.CancelCauseFunc, o CallOut) *visit {
	f := h.flow.Load()
	now := h.now()
	id := cmp.Or(o.id, storage.NewID())
	v := &visit{h: h, flow: f, life: life, interrupt: cancel, out: true, fields: map[string]string{}, keys: make(chan flow.Key, 64),
		words: make(chan flow.Key, 1), log: h.log.With("call", id)}
	v.rec = Record{ID: id, Node: h.cfg.Node, Direction: Outbound, Number: o.Number, ContactID: o.ContactID, Dialled: h.cfg.Number, Started: now, Seen: now,
		Operator: o.Staff.Extension, StaffID: o.Staff.ID, CallbackID: o.CallbackID, TicketID: o.TicketID, Flow: f.Name, FlowVersion: f.Version, Steps: []Step{}}
	v.label = v.rec.Label()
	v.shown = LiveCall{ID: id, Direction: Outbound, Caller: v.label, ContactID: o.ContactID, Dialled: h.cfg.Number, Stage: StageDialling, Since: now, Started: now,
		Operator: o.Staff.Extension, StaffID: o.Staff.ID, TicketID: o.TicketID, CallbackID: o.CallbackID}
	h.mu.Lock()
	h.live[id] = v
	h.tell()
	h.mu.Unlock()
	return v
}

// adopt makes a leg the one that the visit is about.
func (v *visit) adopt(c sip.Call) {
	v.h.mu.Lock()
	v.call = c
	v.h.mu.Unlock()
}

// deskOut calls a number outside for a telephone of the house that has dialled it.
func (h *Hotline) deskOut(ctx context.Context, call sip.Call, who org.Staff, x *deskCall, back func()) *Refusal {
	if h.isDraining() {
		back()
		return refuse("state", "系统正在停止")
	}
	o := CallOut{Staff: who}
	if phone, err := contact.ParsePhone(x.to.value); err == nil {
		o.Number = phone
		err := h.cfg.DB.View(ctx, func(tx *storage.Tx) error {
			p, err := h.cfg.Book.Find(tx, phone)
			o.ContactID = p.ID
			return err
		})
		if err != nil && !errors.Is(err, storage.ErrNotFound) {
			h.log.Error("ivr: who is called", "err", err)
		}
	}
	life, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	v := h.enterOut(life, cancel, o)
	defer v.closeOut(life, o)
	defer v.survive()
	if o.Number.IsZero() {
		v.did("呼出 " + x.to.label())
	}
	v.adopt(call)
	v.save(ctx)
	return v.outward(life, call, who, x.to, back, x)
}

// outward calls the citizen for a colleague whose phone is there, and leads the conversation. x is the call that the colleague's phone
// has made for it, nil where we rang the phone.
func (v *visit) outward(ctx context.Context, lead sip.Call, who org.Staff, t target, back func(), x *deskCall) *Refusal {
	h := v.h
	conf := media.NewConference()
	hush := func() {}
	if x == nil {
		hush = lead.Media().Loop(ringback)
		_ = conf.Join(lead.Media(), media.Party)
	} else if err := lead.Ring(ctx); err != nil {
		back()
		return refuse("gone", "已挂机")
	}
	dialling, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	go func() {
		select {
		case <-lead.Done():
			stop(errOver)
		case <-dialling.Done():
		}
	}()
	v.did("呼叫 " + v.label)
	call, err := h.cfg.Dial(dialling, sip.Target{Number: t.value}, sip.DialOpt{From: h.cfg.Number, Timeout: time.Minute, Codec: lead.Info().Codec,
		Early: func(c sip.Call) { // "the number you have dialled is switched off": whoever calls hears it
			if x != nil {
				if e, ok := lead.(sip.EarlyMedia); !ok || e.Progress(dialling) != nil {
					return
				}
				_ = conf.Join(lead.Media(), media.Party)
			}
			hush()
			_ = conf.Join(c.Media(), media.Party)
		}})
	hush()
	if err != nil {
		conf.Close()
		no := whyNot(err)
		if errors.Is(context.Cause(dialling), errOver) {
			no = refuse("gone", "坐席先挂机")
		}
		v.outcome = no
		v.did("未接通：" + no.Message)
		if x == nil {
			_ = lead.Media().Play(ctx, busyTone)
			h.part(ctx, lead)
		} else {
			_ = lead.Reject(statusFor(no), "")
		}
		back()
		return no
	}
	begin := h.now()
	conf.Close()
	if x != nil {
		if err := lead.Answer(ctx); err != nil {
			h.part(ctx, call)
			back()
			v.did("坐席先挂机")
			return nil
		}
		x.mu.Lock()
		x.far = &farEnd{call: call, done: func() {}}
		x.mu.Unlock()
	}
	v.adopt(call)
	v.talked = true
	v.note(func(r *Record) {
		r.Answered, r.Connected, r.Trunk = begin, begin, call.Info().Trunk
	})
	v.show(func(l *LiveCall) { l.Stage = StageTalking })
	v.did("接通 " + v.label)
	v.startRecording()
	v.save(ctx)

	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	go func() {
		select {
		case <-call.Done():
			end(errOver)
		case <-ctx.Done():
		}
	}()
	r := newRoom(ctx, v)
	r.seat(lead, who.Extension, who.ID, back)
	if x != nil {
		r.taken = x.taken
	}
	_, err = r.run(ctx)
	parted := h.now()
	v.note(func(r *Record) { r.Parted, r.Talk = parted, parted.Sub(begin) })
	if errors.Is(err, errTakenOver) || x != nil && !x.end() {
		v.given = true
		v.did("转入另一通话")
	}
	return nil
}

// errTakenOver ends a conversation whose citizen was joined with another call.
var errTakenOver = errors.New("ivr: taken over by a transfer")

// closeOut writes the end of a call of ours down, and the try of its call-back when nobody was reached.
func (v *visit) closeOut(ctx context.Context, o CallOut) {
	bg, cancel := after(ctx)
	defer cancel()
	v.h.mu.Lock()
	call := v.call
	v.h.mu.Unlock()
	var end sip.End
	if call != nil && !v.given {
		v.h.part(bg, call)
		end = call.End()
	}
	v.stopRecording()
	v.note(func(r *Record) {
		r.Ended = v.h.now()
		if !end.At.IsZero() && v.talked {
			r.Ended, r.Cause = end.At, end.Cause
		}
		r.Disposition = Unreached
		if v.talked {
			r.Disposition = Reached
			if r.EndedBy = string(end.By); r.EndedBy == "" || end.By == sip.ByUs {
				r.EndedBy = "operator"
			}
		} else if v.outcome != nil {
			r.Cause, r.EndedBy = v.outcome.Code, string(sip.ByFar)
		}
		if r.EndedBy == "" {
			r.EndedBy = string(sip.ByUs)
		}
	})
	r := v.record()
	write := func(ctx context.Context) error {
		return v.h.update(ctx, func(tx *storage.Tx) error {
			again := r // a transaction that is repeated begins anew
			again.Seen = v.h.now()
			if err := v.noteTry(tx, &again, o); err != nil {
				return err
			}
			return v.h.calls.save(tx, &again)
		})
	}
	if err := write(bg); err != nil {
		v.log.Error("ivr: write down a call of ours; it is tried again", "err", err)
		v.h.writeLater(unwritten{call: r.ID, write: write, log: v.log})
	}
	v.log.Info("ivr: call of ours ended", "disposition", string(r.Disposition), "by", r.EndedBy, slog.Duration("talked", r.Talk.Round(time.Millisecond)))
	v.leave()
}

// tries are the outcomes that the network tells for certain. That a number does not exist is left to a person to say: it may be a
// route of ours.
var tries = map[string]ticket.TryOutcome{"busy": ticket.Busy, "noanswer": ticket.NoAnswer, "declined": ticket.HungUp}

// noteTry enters a call that reached nobody as a try of its call-back, in the name of who made it. One that reached somebody is for
// them to write down: only they know what was said.
func (v *visit) noteTry(tx *storage.Tx, r *Record, o CallOut) error {
	if o.CallbackID == "" || v.outcome == nil || tries[v.outcome.Code] == "" {
		return nil
	}
	_, err := v.h.cfg.Office.AttemptCallback(tx, o.CallbackID, tries[v.outcome.Code], "系统外呼："+v.outcome.Message, ticket.Staff(o.Staff))
	if no, ok := ticket.RefusedWith(err); ok { // somebody has dealt with it meanwhile
		r.Steps = append(slices.Clip(r.Steps), Step{At: r.Ended.Sub(r.Started).Milliseconds(), Did: "未登记为联系记录：" + no.Message})
		return nil
	}
	if err != nil {
		return fmt.Errorf("call-back %s: %w", o.CallbackID, err)
	}
	return nil
}
