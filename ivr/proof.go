package ivr

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"time"

	"lianxin/contact"
	"lianxin/ivr/flow"
	"lianxin/ivr/prompts"
	"lianxin/ivr/say"
	"lianxin/sip"
	"lianxin/sip/media"
)

// Proof says what a caller made of the two keys that tell people from machines, which are asked for while the hotline defends itself
// against a flood; empty: they were not asked.
type Proof string

// The proofs.
const (
	ProofPassed Proof = "passed" // pressed them
	ProofWrong  Proof = "wrong"  // pressed others
	ProofSilent Proof = "silent" // pressed none
	ProofUrgent Proof = "urgent" // keyed 110 instead, and was led on
	ProofLeft   Proof = "left"   // hung up
)

// Label is the proof for staff (zh-CN).
func (p Proof) Label() string {
	switch p {
	case ProofPassed:
		return "按键确认通过"
	case ProofWrong:
		return "按键确认未通过（按错）"
	case ProofSilent:
		return "按键确认未通过（未按键）"
	case ProofUrgent:
		return "按110放行"
	case ProofLeft:
		return "按键确认时挂机"
	}
	return string(p)
}

const (
	proofTries  = 2
	proofWait   = 10 * time.Second
	proofDigits = 2
	proofLasts  = 4 * time.Hour // a number that passed counts as known
)

// proofLanes is how many callers may be asked at a time, of so many calls in all; 0: nobody is asked.
func (a Admission) proofLanes(most int) int {
	switch {
	case a.Proof < 0:
		return 0
	case a.Proof > 0:
		return a.Proof
	case most <= 0:
		return 30
	}
	return max(most/10, 1)
}

// proofWait is how long callers have for the keys, after they were said.
func (h *Hotline) proofWait() time.Duration {
	h.gate.mu.Lock()
	defer h.gate.mu.Unlock()
	if w := h.gate.rules.ProofWait; w > 0 {
		return w
	}
	return proofWait
}

// spared says whether a call is let in whatever happens: from a telephone of the house, or of a number of the priority list, for which
// only a trunk's word is believed.
func (a Admission) spared(info sip.Info, number contact.Phone) bool {
	if info.Trunk == "" {
		return info.User != ""
	}
	for _, p := range a.Priority {
		if info.From == p || !number.IsZero() && number.Clear() == p {
			return true
		}
	}
	return false
}

// doubted says whether a new call is one of those that are asked for a proof. It does not wait long: whoever cannot be looked up in time
// is asked.
func (h *Hotline) doubted(ctx context.Context, info sip.Info, number contact.Phone) bool {
	a := &h.gate
	a.mu.Lock()
	rules, defending := a.rules, a.on(h.now())
	a.mu.Unlock()
	return defending && rules.proofLanes(h.MaxCalls()) > 0 && !rules.spared(info, number) && !h.knows(ctx, number)
}

// doubt takes one of the lines on which callers are asked. It is false when all of them are taken.
func (v *visit) doubt() bool {
	h := v.h
	h.gate.mu.Lock()
	lanes := h.gate.rules.proofLanes(h.MaxCalls())
	h.gate.mu.Unlock()
	h.mu.Lock()
	defer h.mu.Unlock()
	asking := 0
	for _, other := range h.live {
		if other.doubted {
			asking++
		}
	}
	v.doubted = asking < lanes
	return v.doubted
}

// proves asks the caller for the keys that tell people from machines. It is false when the call is over: they were not pressed. Nothing
// of it is recorded. Whoever keys 110, into the question or into the last words, is led on like anybody in danger.
func (v *visit) proves(ctx context.Context) bool {
	v.did("来电防护：请来电人按键确认")
	p, err := v.prove(ctx)
	if err == nil && (p == ProofWrong || p == ProofSilent) {
		v.note(func(r *Record) { r.Disposition, r.EndedBy = TurnedAway, string(sip.ByUs) })
		if err = v.goodbye(ctx, []string{"proof.failed", "emergency.hint"}); errors.Is(err, errUrgent) {
			v.note(func(r *Record) { r.Disposition, r.EndedBy = "", "" })
			p, err = v.helped(), nil
		}
	}
	v.note(func(r *Record) { r.Proof = p })
	v.did(p.Label())
	v.h.gate.proved(p)
	v.h.mu.Lock()
	v.doubted = false
	v.h.mu.Unlock()
	if err != nil && !errors.Is(err, errOver) && !errors.Is(err, media.ErrClosed) && ctx.Err() == nil {
		v.log.Error("ivr: ask for a proof", "err", err)
	}
	return p == ProofPassed || p == ProofUrgent
}

func (v *visit) prove(ctx context.Context) (p Proof, err error) {
	p = ProofSilent
	intro := "proof.ask"
	var help helpKeys
	for range proofTries {
		want := proofKeys(rand.IntN)
		key, err := v.Say(ctx, []string{intro})
		if err != nil {
			return ProofLeft, err
		}
		// What was pressed before the keys were named is no answer to them.
		for helped := help.with(key); ; helped = help.with(<-v.keys) {
			if helped {
				return v.helped(), nil
			}
			if len(v.keys) == 0 {
				break
			}
		}
		digits := say.Digits(want)
		words := append(append(append([]string{}, digits...), prompts.Pause, prompts.Pause), digits...)
		if key, err = v.Say(ctx, words); err != nil {
			return ProofLeft, err
		}
		switch got, err := v.proofKeyed(ctx, key, want, &help); {
		case err != nil:
			return ProofLeft, err
		case got == ProofPassed || got == ProofUrgent:
			return got, nil
		case got == ProofWrong:
			p = ProofWrong
		}
		intro = "proof.again"
	}
	return p, nil
}

// proofKeyed takes keys, the first of which may have come already, until there are as many as wanted or time is up. Keys that are never
// wanted are none of them.
func (v *visit) proofKeyed(ctx context.Context, key flow.Key, want string, help *helpKeys) (Proof, error) {
	got := ""
	for end := time.Now().Add(v.h.proofWait()); ; {
		switch {
		case help.with(key):
			return v.helped(), nil
		case key >= '2' && key <= '9':
			got += string(key)
		}
		switch {
		case got == want:
			return ProofPassed, nil
		case len(got) >= len(want):
			return ProofWrong, nil
		}
		var err error
		if key, err = v.Press(ctx, max(time.Until(end), 0)); err != nil {
			return "", err
		}
		switch {
		case key == flow.NoKey && got == "":
			return ProofSilent, nil
		case key == flow.NoKey:
			return ProofWrong, nil
		}
	}
}

// helpKeys finds 110 among keys, also where it follows others so fast that a menu would not take it for that (see keypad).
type helpKeys [3]flow.Key

// with takes the next key, if any, and says whether it completes 110.
func (k *helpKeys) with(key flow.Key) bool {
	if key == flow.NoKey {
		return false
	}
	*k = helpKeys{k[1], k[2], key}
	return key == flow.Urgent || *k == helpKeys{'1', '1', '0'}
}

// helped notes that 110 was keyed and gives it to the flow, which leads to a person.
func (v *visit) helped() Proof {
	v.alarm()
	v.keys <- flow.Urgent
	return ProofUrgent
}

// proofKeys draws keys that differ. 0 and 1 are none of them: they lead to a person, and begin 110.
func proofKeys(draw func(n int) int) string {
	var b strings.Builder
	for b.Len() < proofDigits {
		if key := string(rune('2' + draw(8))); !strings.Contains(b.String(), key) {
			b.WriteString(key)
		}
	}
	return b.String()
}

// proved counts a proof.
func (a *admission) proved(p Proof) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.proofs == nil {
		a.proofs = map[Proof]uint64{}
	}
	a.proofs[p]++
}
