package ivr

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"lianxin/desk"
	"lianxin/ivr/flow"
	"lianxin/ivr/say"
	"lianxin/sip"
	"lianxin/sip/media"
	"lianxin/storage"
)

// connected is the outcome of a wait that an operator ended. The flow knows it as next.
const connected = "connected"

// talk is an operator's leg that has answered.
type talk struct {
	call    sip.Call
	ext     string
	staffID string
	done    func() // begins the wrap-up, or gives the operator back
	how     string // for the record, where it was not by ringing
}

// slot is where a colleague may pick a waiting caller up.
type slot struct {
	picked chan *talk
	over   chan struct{} // closed when the caller waits no more
}

// wait lets the caller wait in a queue, and keeps how that went. The outcome is connected, "nobody", "late", "full", "closed", or the name of
// a key.
func (v *visit) wait(ctx context.Context, n *flow.Node) (string, error) {
	was := v.trail.stays
	outcome, err := v.stand(ctx, n)
	v.leftQueue(ctx, was, outcome, err)
	return outcome, err
}

// stand queues the caller and rings operators until one answers, the caller presses a key that leads away, or there is
// no point in waiting.
func (v *visit) stand(ctx context.Context, n *flow.Node) (string, error) {
	now := v.h.now()
	v.wants = true
	v.note(func(r *Record) {
		if r.Queued.IsZero() {
			r.Queued = now
		}
	})
	defer func() { v.note(func(r *Record) { r.Wait += v.h.now().Sub(now) }) }()

	v.flush() // what was pressed before the caller heard of the queue is not meant for it
	q := v.h.queue(n)
	if !q.OpenAt(now, v.h.cfg.Calendar) {
		return v.closed(ctx, n, q)
	}
	who := v.queueCaller(n)
	who.Since = v.place(ctx, q)
	v.trail.queue, v.trail.skills, v.trail.priority = q.Name, who.Skills, who.Priority
	duty, err := v.h.cfg.Board.Duty(ctx, who)
	if errors.Is(err, desk.ErrDown) {
		return v.boardDown(ctx, err)
	}
	if err != nil {
		return "", fmt.Errorf("ask who is on duty: %w", err)
	}
	if duty.OnDuty == 0 {
		v.did("无人在岗")
		v.h.unmanned(ctx, q, v.rec.ID)
		v.save(ctx)
		return "nobody", nil
	}
	w, err := v.h.cfg.Board.Wait(ctx, who)
	if errors.Is(err, desk.ErrFull) {
		v.did("排队已满")
		v.save(ctx)
		if n.Exits["full"] == "" {
			return "late", nil
		}
		return "full", nil
	}
	if errors.Is(err, desk.ErrDown) {
		return v.boardDown(ctx, err)
	}
	if err != nil {
		return "", fmt.Errorf("queue the caller: %w", err)
	}
	v.trail.position = w.Place().Position
	v.show(func(l *LiveCall) { l.Stage = StageWaiting })
	v.save(ctx)

	answered := make(chan *talk, 1)
	at := &slot{picked: make(chan *talk), over: make(chan struct{})}
	v.setSlot(at)
	defer func() { v.setSlot(nil); close(at.over) }()
	ringing, stopRinging := context.WithCancel(ctx)
	var rings sync.WaitGroup
	rings.Go(func() { v.ringAll(ringing, w, &rings, answered) })
	sounds, hush := context.WithCancel(ctx)
	quiet := make(chan struct{})
	go func() { defer close(quiet); v.hold(sounds, n, w) }()
	defer func() { hush(); <-quiet }()

	outcome, err := v.await(ctx, n, w, answered, at)
	if outcome == connected {
		if v.talk.how != "" { // nobody else is to answer now, and who has, at this moment, is let go
			w.Leave("picked up by " + v.talk.ext)
			stopRinging()
			rings.Wait()
			select {
			case t := <-answered:
				v.partFrom(ctx, t)
			default:
			}
		}
		stopRinging()
		return connected, nil
	}
	// Whoever rings now is told to stop; who answered in this very moment is not left alone with a dead line.
	w.Leave("caller led on: " + outcome)
	stopRinging()
	rings.Wait()
	select {
	case t := <-answered:
		if err != nil {
			v.partFrom(ctx, t)
			return "", err
		}
		v.talk = t
		return connected, nil
	default:
	}
	v.show(func(l *LiveCall) { l.Stage, l.Operator, l.StaffID = StageBot, "", "" })
	return outcome, err
}

// await waits for the first of all that can end a wait.
func (v *visit) await(ctx context.Context, n *flow.Node, w *desk.Waiter, answered <-chan *talk, at *slot) (string, error) {
	leg := v.call.Media()
	patience := time.NewTimer(n.Time("patience", 10*time.Minute))
	defer patience.Stop()
	look := time.NewTicker(max(v.h.cfg.Unstaffed/10, 20*time.Millisecond))
	defer look.Stop()
	var unstaffed time.Time
	for {
		select {
		case t := <-answered:
			v.talk = t
			return connected, nil
		case t := <-at.picked:
			v.did(t.how)
			v.talk = t
			return connected, nil
		case key := <-v.keys:
			if out := v.leaveBy(n, key); out != "" {
				return out, nil
			}
		case <-patience.C:
			v.did("等候时间已到")
			return "late", nil
		case <-look.C:
			if w.Place().OnDuty > 0 {
				unstaffed = time.Time{}
			} else if unstaffed.IsZero() {
				unstaffed = time.Now()
			} else if time.Since(unstaffed) >= v.h.cfg.Unstaffed {
				v.did("坐席已全部离岗")
				return "nobody", nil
			}
		case <-w.Left():
			// Answered, or put out by the board: a closed board, or a sweep that was wrong about us.
			select {
			case t := <-answered:
				v.talk = t
				return connected, nil
			case <-time.After(time.Second):
				v.did("排队被中断")
				return "nobody", nil
			case <-ctx.Done():
				return "", ctx.Err()
			}
		case <-leg.Done():
			return "", media.ErrClosed
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

// leaveBy says whether a key ends the wait: the node's own keys do, and 110 unless the caller is first in line already.
// 0 does not: a caller who presses it again out of impatience keeps the place.
func (v *visit) leaveBy(n *flow.Node, key flow.Key) string {
	name := flow.Outcome(key)
	if n.Keys[name] != "" {
		return name
	}
	if key == flow.Urgent && v.fields["urgent"] != "yes" && v.flow.Anywhere[name] != "" {
		return name
	}
	return ""
}

// ringAll rings every operator who is reserved for the caller.
func (v *visit) ringAll(ctx context.Context, w *desk.Waiter, rings *sync.WaitGroup, answered chan<- *talk) {
	for {
		o, err := w.Next(ctx)
		if err != nil {
			return
		}
		rings.Go(func() { v.ring(ctx, o, answered) })
	}
}

// ring calls one operator's phone until the offer is decided.
func (v *visit) ring(ctx context.Context, o *desk.Offer, answered chan<- *talk) {
	v.did("振铃 " + o.Operator.Extension)
	v.note(func(r *Record) { r.Offers++ })
	v.show(func(l *LiveCall) { l.Operator, l.StaffID = o.Operator.Extension, o.Operator.StaffID })
	dialling, cancel := context.WithDeadline(ctx, o.Deadline)
	defer cancel()
	over := context.AfterFunc(waitCtx(dialling, o.Gone()), cancel)
	defer over()

	call, err := v.h.cfg.Dial(dialling, sip.Target{User: o.Operator.Extension}, sip.DialOpt{
		From: v.h.cfg.Number, Display: v.display(), Timeout: time.Until(o.Deadline),
		Headers: map[string]string{"X-Lianxin-Call": v.rec.ID}, Codec: v.call.Info().Codec,
	})
	if err != nil {
		out := outcomeOf(err, dialling)
		if settled := o.Failed(out); settled == nil {
			v.did("未接 " + o.Operator.Extension + " " + missed[out])
		}
		v.show(func(l *LiveCall) {
			if l.Operator == o.Operator.Extension && l.Stage == StageWaiting {
				l.Operator, l.StaffID = "", ""
			}
		})
		return
	}
	if err := o.Answered(); err != nil { // a colleague was quicker, or the caller has gone
		v.hangup(ctx, call)
		return
	}
	if music, err := v.h.cfg.Prompts.Get("music.wait"); err == nil {
		call.Media().StandIn(music) // what the caller hears while the operator holds
	}
	answered <- &talk{call: call, ext: o.Operator.Extension, staffID: o.Operator.StaffID, done: o.Done}
}

// waitCtx is a context that ends when gone is closed, at the latest with ctx.
func waitCtx(ctx context.Context, gone <-chan struct{}) context.Context {
	out, cancel := context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		select {
		case <-gone:
		case <-ctx.Done():
		}
		cancel()
	}()
	return out
}

// outcomeOf tells the board why an operator did not answer.
func outcomeOf(err error, dialling context.Context) desk.Outcome {
	switch {
	case errors.Is(err, sip.ErrBusy):
		return desk.Busy
	case errors.Is(err, sip.ErrDeclined):
		return desk.Declined
	case errors.Is(err, sip.ErrNoAnswer), errors.Is(dialling.Err(), context.DeadlineExceeded):
		return desk.NoAnswer
	}
	return desk.Unreachable
}

// missed says for staff why an operator did not answer.
var missed = map[desk.Outcome]string{desk.Busy: "占线", desk.Declined: "拒接", desk.NoAnswer: "无人接听", desk.Unreachable: "话机不可达"}

func (v *visit) urgent() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.rec.Urgent
}

// display is what the operator's phone shows.
func (v *visit) display() string {
	if v.urgent() {
		return "紧急 " + v.label
	}
	return "民意热线 " + v.label
}

// hold is what a waiting caller hears: the first words, music, and every now and then the truth about the place.
func (v *visit) hold(ctx context.Context, n *flow.Node, w *desk.Waiter) {
	leg := v.call.Media()
	tell := func(keys ...string) {
		if len(keys) == 0 || ctx.Err() != nil {
			return
		}
		p, err := v.h.cfg.Prompts.Say(keys...)
		if err != nil {
			v.log.Error("ivr: what a waiting caller hears", "err", err)
			return
		}
		v.step(Step{Said: keys})
		_ = leg.Play(ctx, p) // ends early when the wait does
	}
	tell(n.Prompts...)
	music, err := v.h.cfg.Prompts.Get("music.wait")
	if err != nil {
		v.log.Error("ivr: waiting music", "err", err)
	} else {
		stop := leg.Loop(music)
		defer stop()
		v.step(Step{Said: []string{"music.wait"}})
	}
	every := n.Time("every", 30*time.Second)
	tick := time.NewTimer(min(every, 5*time.Second))
	defer tick.Stop()
	for round := 0; ; round++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		keys := v.standing(w.Place())
		if round > 0 {
			keys = append(keys, []string{"queue.keep", "queue.keep.busy"}[round%2])
		}
		if round%2 == 1 {
			keys = append(keys, n.Lists["leave"]...)
		}
		tell(keys...)
		tick.Reset(every)
	}
}

// standing puts a place in the queue into words.
func (v *visit) standing(p desk.Place) []string {
	var keys []string
	switch {
	case p.Position == 0:
		return nil
	case p.Position == 1:
		keys = []string{"queue.next"}
	default:
		keys = append([]string{"queue.ahead"}, say.People(p.Position-1)...)
		keys = append(keys, "queue.ahead.tail")
	}
	switch about := p.Expected.Round(time.Minute); {
	case about > 20*time.Minute:
		keys = append(keys, "queue.about.long")
	case about >= time.Minute && p.Position > 1:
		keys = append(append(keys, "queue.about"), say.Span(about)...)
	}
	return keys
}

// converse lets the caller talk with operators and whoever those bring in, until nobody is left. The outcome is "next" when they have
// hung up, or where they led the call to; a talk that broke off on the operator's side, and one that is sent back to the queue, is
// taken up again with the next operator, before everybody else.
func (v *visit) converse(ctx context.Context, n *flow.Node) (string, error) {
	for {
		then, err := v.talkWith(ctx, v.talk)
		if err != nil {
			return "", err
		}
		again := *n
		switch then {
		case thenEnd:
			if v.policed {
				v.note(func(r *Record) { r.EndedBy = "operator" })
				return "", errOver // 110 has hung up: nobody is asked now how they liked the service
			}
			return "next", nil
		case thenMenu, thenMessage:
			return then, nil
		case thenBroke:
			v.did("通话意外中断，重新接通")
			if _, err := v.Say(ctx, []string{"operator.lost"}); err != nil {
				return "", err
			}
			again.Prompts = nil
		}
		v.wants = true
		again.Numbers = map[string]int{"priority": max(n.Numbers["priority"], 50)}
		outcome, err := v.wait(ctx, &again)
		if err != nil || outcome != connected {
			return outcome, err
		}
	}
}

// leads is the node that an operator has led the call to; none when the outcome is one of the flow's.
func (v *visit) leads(outcome string) string {
	switch outcome {
	case thenMenu:
		return v.flow.Start
	case thenMessage:
		names := slices.Sorted(maps.Keys(v.flow.Nodes))
		for _, name := range names {
			if v.flow.Nodes[name].Verb == "message" {
				return name
			}
		}
		return v.flow.Start
	}
	return ""
}

// talkWith connects the caller with an operator, and says where the call goes when the conversation is over.
func (v *visit) talkWith(ctx context.Context, t *talk) (then string, err error) {
	begin := v.h.now()
	v.talked, v.wants = true, false
	v.note(func(r *Record) {
		if r.Connected.IsZero() {
			r.Connected = begin
		}
		r.Operator, r.StaffID = t.ext, t.staffID
	})
	v.did("接通 " + t.ext)
	v.show(func(l *LiveCall) { l.Stage, l.Operator, l.StaffID = StageTalking, t.ext, t.staffID })
	v.reached(ctx)
	v.save(ctx)

	talking, over := context.WithCancel(ctx)
	heeded := make(chan struct{})
	go func() { defer close(heeded); v.heed(talking) }()
	r := newRoom(ctx, v)
	r.seat(t.call, t.ext, t.staffID, t.done)
	then, err = r.run(ctx)
	over()

	parted := v.h.now()
	v.note(func(r *Record) { r.Parted, r.Talk = parted, r.Talk+parted.Sub(begin) })
	v.policed = v.policed || r.police
	<-heeded
	v.cut = errors.Is(context.Cause(ctx), errDraining)
	v.show(func(l *LiveCall) { l.Stage, l.Operator, l.StaffID = StageBot, "", "" })
	v.flush()
	v.save(ctx)
	select {
	case <-v.call.Done():
		return thenEnd, media.ErrClosed
	default:
	}
	return then, err
}

// heed reads the keys of a caller who talks with an operator: 110 is marked on the ticket that the operator has open.
func (v *visit) heed(ctx context.Context) {
	for {
		v.mark(ctx)
		select {
		case <-v.keys:
		case <-ctx.Done():
			return
		}
	}
}

// partFrom hangs the operator up, if they have not, and begins their wrap-up.
func (v *visit) partFrom(ctx context.Context, t *talk) {
	v.hangup(ctx, t.call)
	t.done()
}

// setSlot says where a colleague may pick the caller up; nil: nowhere.
func (v *visit) setSlot(at *slot) {
	v.h.mu.Lock()
	defer v.h.mu.Unlock()
	v.slot = at
}

func (v *visit) hangup(ctx context.Context, c sip.Call) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := c.Hangup(ctx); err != nil && !errors.Is(err, sip.ErrEnded) {
		v.log.Debug("ivr: hang up an operator", "err", err)
	}
}

// reached finishes call-backs that were owed to a caller who now speaks with an operator anyway.
func (v *visit) reached(ctx context.Context) {
	if v.person.ID == "" {
		return
	}
	ctx, cancel := after(ctx)
	defer cancel()
	err := v.h.update(ctx, func(tx *storage.Tx) error { return v.settleCallbacks(tx) })
	if err != nil {
		v.log.Error("ivr: settle call-backs of a caller who got through", "err", err)
	}
}

// boardDown leads a caller on to a message when the shared board cannot be reached: nobody can be rung, and a caller does
// not wait for a database.
func (v *visit) boardDown(ctx context.Context, err error) (string, error) {
	v.h.log.Error("ivr: the board of operators cannot be reached; the caller is asked for a message", "call", v.call.ID(), "err", err)
	v.did("排队系统不可用")
	v.save(ctx)
	return "nobody", nil
}
