package ivr

import (
	"context"
	"fmt"
	"time"

	"lianxin/ivr/flow"
	"lianxin/ivr/say"
	"lianxin/workday"
)

// trail is where a call stands among flows that call each other.
type trail struct {
	root  *flow.Flow // nil while the call has not left its first flow
	stack []frame
	said  chan string // what the recogniser heard to its end

	placed   time.Time // since when the caller's place in a queue counts
	queue    string    // where they waited last
	skills   []string
	priority int
	stays    int // waits in queues so far
	position int // in line when the last one began
}

// frame is the node of a flow that called another.
type frame struct {
	flow *flow.Flow
	node *flow.Node
}

// mostDeep bounds how deep flows may call each other; Link refuses circles, so that no sensible file comes near.
const mostDeep = 20

// more performs the verbs that lead between flows, and those of speech, questions and hooks. It returns the next node.
func (v *visit) more(ctx context.Context, n *flow.Node) (next string, err error) {
	var outcome string
	switch n.Verb {
	case "call":
		return v.enterFlow(n)
	case "return":
		return v.leaveFlow(n.Value)
	case "escape":
		return v.escape(n.Value)
	case "hear":
		return v.hear(ctx, n)
	case "kb":
		outcome, err = v.consult(ctx, n)
	case "record":
		outcome, err = v.clip(ctx, n)
	case "question":
		outcome, err = v.question(ctx, n)
	case "hook":
		outcome, err = v.hook(ctx, n)
	default:
		return "", fmt.Errorf("flow verb %s cannot be performed", n.Verb)
	}
	if err != nil {
		return "", err
	}
	if next = v.flow.Exit(n, outcome); next == "" {
		return "", fmt.Errorf("node %s: outcome %q leads nowhere", n.Name, outcome)
	}
	return next, nil
}

// enterFlow goes into a sub-flow.
func (v *visit) enterFlow(n *flow.Node) (string, error) {
	if v.trail.root == nil {
		v.trail.root = v.flow
	}
	sub := v.trail.root.Subs[n.Value]
	if sub == nil || len(v.trail.stack) >= mostDeep {
		return "", fmt.Errorf("node %s: flow %s cannot be entered", n.Name, n.Value)
	}
	v.trail.stack = append(v.trail.stack, frame{v.flow, n})
	v.flow = sub
	v.did("进入子流程“" + sub.Name + "”")
	return sub.Start, nil
}

// leaveFlow goes back to the flow that called this one.
func (v *visit) leaveFlow(outcome string) (string, error) {
	top := len(v.trail.stack) - 1
	if top < 0 {
		return "", fmt.Errorf("return %s: nothing called this flow", outcome)
	}
	f := v.trail.stack[top]
	v.trail.stack = v.trail.stack[:top]
	v.did("子流程“" + v.flow.Name + "”结束：" + outcome)
	v.flow = f.flow
	if next := f.flow.Exit(f.node, outcome); next != "" {
		return next, nil
	}
	return "", fmt.Errorf("node %s: outcome %q leads nowhere", f.node.Name, outcome)
}

// escape leaves sub-flows for the flow in which a key leads somewhere by itself.
func (v *visit) escape(key string) (string, error) {
	for v.flow.Escapes(key) {
		top := len(v.trail.stack) - 1
		if top < 0 {
			return "", fmt.Errorf("key %s leads nowhere", key)
		}
		v.flow = v.trail.stack[top].flow
		v.trail.stack = v.trail.stack[:top]
	}
	if to := v.flow.Anywhere[key]; to != "" {
		return to, nil
	}
	return "", fmt.Errorf("key %s leads nowhere", key)
}

// value is what is known under a name: what the flow noted, or of the call itself.
func (v *visit) value(name string) string {
	if text, ok := v.fields[name]; ok {
		return text
	}
	switch name {
	case "number":
		return v.rec.Number.Clear()
	case "ticket":
		return v.numbered
	case "now":
		return v.local(v.h.now()).Format("2006-01-02T15:04")
	case "caller":
		return v.rec.ContactID
	}
	return ""
}

// expand puts the words of values where a flow speaks them among prompts. One that cannot be spoken is left out: a sentence with a
// gap is better than a call that ends.
func (v *visit) expand(keys []string) []string {
	out, faults := say.Expand(keys, v.value, v.local(v.h.now()))
	for _, err := range faults {
		v.log.Warn("ivr: a value cannot be spoken", "err", err)
		v.did("有内容无法播报")
	}
	return out
}

// facts fills in what rules ask for beyond day, staff and caller.
func (v *visit) facts(ctx context.Context, f *flow.Facts) {
	f.Holiday = v.h.cfg.Calendar.IsHoliday(workday.DayOf(f.Now))
	f.Number = v.rec.Number.Clear()
	f.Var = v.value
	if v.h.cfg.Flags != nil && !v.rec.Number.IsZero() {
		flags, err := v.h.cfg.Flags(ctx, v.rec.Number)
		if err != nil && ctx.Err() == nil {
			v.log.Error("ivr: marks of a caller", "err", err)
		}
		f.Flags = flags
	}
	f.Duty = func(queue, skill string) (bool, int) {
		n := &flow.Node{Text: map[string]string{"name": queue}, Lists: map[string][]string{}}
		if skill != "" {
			n.Lists["skills"] = []string{skill}
		}
		p, err := v.h.cfg.Board.Duty(ctx, v.queueCaller(n))
		if err != nil {
			return false, 0
		}
		return p.OnDuty > 0, p.Waiting - 1 // Duty counts the asker
	}
}
