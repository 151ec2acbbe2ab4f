package ivr

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"lianxin/ivr/flow"
	"lianxin/sip"
	"lianxin/sip/media"
)

// Serve leads one call from its first ring to its last word, in the order in which the caller hears it, and returns when
// the call is over and written down. It is the handler for (*sip.Server).Serve: ctx ends with the caller's leg.
func (h *Hotline) Serve(ctx context.Context, call sip.Call) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if h.fromDesk(call.Info()) {
		h.serveDesk(ctx, call)
		return
	}

	// One row in the table of calls, from the first moment; closed with the truth however the call ends.
	v := h.enter(ctx, call, cancel)
	defer v.close(ctx)
	defer v.survive()
	if h.full(2) {
		v.refuse()
		return
	}
	// In a flood, callers whom nobody knows are asked to prove that they are people, so many at a time.
	doubted := h.doubted(ctx, call.Info(), v.rec.Number)
	if doubted && !v.doubt() {
		h.gate.refuse("proof")
		v.refuse()
		return
	}
	v.log.Info("ivr: call begins")
	v.save(ctx)

	// 200. A caller who gave up first is recorded as such.
	if err := call.Answer(ctx); err != nil {
		v.did("未应答")
		v.log.Debug("ivr: answer", "err", err)
		return
	}
	v.note(func(r *Record) { r.Answered = h.now() })
	v.show(func(l *LiveCall) { l.Stage = StageBot })

	go v.readKeys(ctx)
	v.settleIn(ctx)

	// Too many calls, or maintenance: a sentence, then good-bye.
	if v.turnedAway(ctx) {
		return
	}
	if doubted && !v.urgent() && !v.proves(ctx) {
		return
	}

	v.identify(ctx)
	v.startRecording()
	v.save(ctx)
	if v.blocked(ctx) {
		return
	}
	v.listen(ctx)

	// Notice, greeting, menu and all that follows, as the flow file says.
	for at := v.flow.Start; at != ""; {
		node, err := v.flow.Walk(ctx, v, at)
		if err == nil {
			at, err = v.perform(ctx, node)
		}
		if err != nil {
			at = v.recover(ctx, err)
		}
	}

	// Maintenance ends calls that last too long: say so before hanging up.
	if errors.Is(context.Cause(ctx), errTooLong) {
		v.farewell(ctx, "overlong")
	}
	if errors.Is(context.Cause(ctx), errDraining) {
		v.farewell(ctx, "maintenance.during")
	}
}

// perform does what a node asks for that is more than prompts and keys, and returns the next node; none ends the call.
func (v *visit) perform(ctx context.Context, n *flow.Node) (next string, err error) {
	var outcome string
	switch n.Verb {
	case "answer":
		outcome, err = v.policy(ctx, n)
	case "progress":
		outcome, err = v.progress(ctx, n)
	case "queue":
		v.draft(ctx) // the ticket is there before anybody is rung, so that a dropped call leaves it open
		if outcome, err = v.wait(ctx, n); err == nil && outcome == connected {
			outcome, err = v.converse(ctx, n)
		}
		if to := v.leads(outcome); to != "" {
			return to, nil
		}
	case "message":
		outcome, err = v.message(ctx, n)
	case "callback":
		outcome, err = v.promise(ctx, n)
	case "rate":
		outcome, err = v.rate(ctx, n)
	case "hangup":
		err = v.goodbye(ctx, n.Prompts)
		if errors.Is(err, errUrgent) {
			return v.flow.Anywhere[flow.Outcome(flow.Urgent)], nil
		}
		return "", err
	default:
		return v.more(ctx, n)
	}
	if err != nil {
		return "", err
	}
	if next = v.flow.Exit(n, outcome); next == "" {
		return "", fmt.Errorf("node %s: outcome %q leads nowhere", n.Name, outcome)
	}
	return next, nil
}

// recover says how a call goes on after an error: not at all when it is over, with a person after a fault of ours, and
// with an apology when even that fails.
func (v *visit) recover(ctx context.Context, err error) (at string) {
	switch {
	case ctx.Err() != nil || errors.Is(err, errOver) || errors.Is(err, sip.ErrEnded) || errors.Is(err, media.ErrClosed):
		return ""
	case !v.fault:
		v.fault = true
		v.log.Error("ivr: fault in a call", "err", err)
		v.did("故障，转人工")
		if to := v.flow.Anywhere["0"]; to != "" {
			return to
		}
	}
	v.log.Error("ivr: call given up", "err", err)
	v.did("故障")
	v.farewell(ctx, "fault")
	return ""
}

// survive keeps a panic in one call from ending all the others.
func (v *visit) survive() {
	if p := recover(); p != nil {
		v.fault = true
		v.log.Error("ivr: panic in a call", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		v.did("故障")
	}
}

// settleIn gives the sound a moment to find its way: telephones and networks that are still setting up after our answer
// would swallow the first word.
func (v *visit) settleIn(ctx context.Context) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for waited := 20 * time.Millisecond; waited <= 600*time.Millisecond; waited += 20 * time.Millisecond {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if waited >= 200*time.Millisecond && v.call.Media().Heard() {
			return
		}
	}
}

// full says whether the hotline leads as many calls as it may; with slack 1, and with 2 a tenth more.
func (h *Hotline) full(slack int) bool {
	most := h.MaxCalls()
	if most <= 0 {
		return false
	}
	if slack == 2 {
		most += max(most/10, 1)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.live) > most
}

// refuse turns a call away by signalling, before anything is spent on it.
func (v *visit) refuse() {
	v.did("线路全忙，未应答")
	v.note(func(r *Record) { r.Disposition, r.EndedBy = TurnedAway, string(sip.ByUs) })
	if err := v.call.Reject(503, ""); err != nil {
		v.log.Debug("ivr: reject", "err", err)
	}
}

// turnedAway tells a caller that there is no room, or no service now.
func (v *visit) turnedAway(ctx context.Context) bool {
	v.h.mu.Lock()
	draining := v.h.draining
	v.h.mu.Unlock()
	key := ""
	switch {
	case draining:
		key = "maintenance"
	case v.h.full(1):
		key = "overload"
	default:
		return false
	}
	v.note(func(r *Record) { r.Disposition, r.EndedBy = TurnedAway, string(sip.ByUs) })
	err := v.goodbye(ctx, []string{key})
	if errors.Is(err, errUrgent) { // no room for anybody but those in danger
		v.note(func(r *Record) { r.Disposition, r.EndedBy = "", "" })
		return false
	}
	if err != nil && !errors.Is(err, errOver) {
		v.log.Debug("ivr: turn away", "err", err)
	}
	return true
}

// goodbye says the last words and ends the call. The caller's telephone buffers what it hears: a line that is cut with
// the last word cuts the word.
func (v *visit) goodbye(ctx context.Context, words []string) error {
	if key, err := v.Say(ctx, words); err != nil {
		return err
	} else if key == flow.Urgent && v.flow.Anywhere[flow.Outcome(key)] != "" {
		return errUrgent
	}
	if err := v.call.Media().Play(ctx, media.Silence(300*time.Millisecond)); err != nil {
		return err
	}
	v.note(func(r *Record) { r.EndedBy = string(sip.ByUs) })
	return errOver
}

// farewell says a last sentence to a caller whose call we end, if they are still there.
func (v *visit) farewell(ctx context.Context, key string) {
	select {
	case <-v.call.Done():
		return
	default:
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer cancel()
	if err := v.goodbye(ctx, []string{key}); err != nil && !errors.Is(err, errOver) {
		v.log.Debug("ivr: farewell", "err", err)
	}
}
