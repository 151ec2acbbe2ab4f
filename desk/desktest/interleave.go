package desktest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"lianxin/desk"
	"pgregory.net/rapid"
)

// interleave drives a board with random sequences of everything that can happen and checks its promises after each.
func interleave(t *testing.T, open Factory) {
	for _, strategy := range []desk.Strategy{desk.LongestIdle, desk.FewestCalls, desk.RoundRobin, desk.Linear, desk.RingAll} {
		t.Run(string(strategy), func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				b := open(t, desk.Options{Strategy: strategy, Ring: time.Hour, WrapUp: time.Hour, Retry: -1, Misses: 3, AsideFor: -1, Grace: time.Nanosecond,
					Queues: []desk.Queue{{Name: "en", Weight: 1}, {Name: "slow", Widen: time.Hour}}})
				defer b.Close()
				p := &play{t: rt, b: b, ctx: context.Background(), offers: map[string]*desk.Offer{}, phones: map[string]bool{}, now: maps.Clone(serves), ringAll: strategy == desk.RingAll}
				for _, e := range seats {
					p.ok(b.Put(p.ctx, desk.Operator{Extension: e, AutoReady: e != "8004", Skills: []string{"zh"}, Queues: serves[e]}))
				}
				rt.Repeat(map[string]func(*rapid.T){
					"phone":   p.phone,
					"choose":  p.choose,
					"call":    p.call,
					"replace": p.replace,
					"serve":   p.serve,
					"leave":   p.leave,
					"hang up": p.hangUp,
					"report":  p.report,
					"done":    p.done,
					"sweep":   p.sweep,
					"":        p.check,
				})
			})
		})
	}
}

var seats = []string{"8001", "8002", "8003", "8004"}

// What the seats serve at first: every queue, or by name and level.
var serves = map[string][]desk.Serves{
	"8003": {{Queue: ""}, {Queue: "en", Level: 1}},
	"8004": {{Queue: "en"}, {Queue: "slow", Level: 2}},
}

type play struct {
	t        *rapid.T
	b        desk.Board
	ctx      context.Context
	n        int
	callers  []*party
	offers   map[string]*desk.Offer // ever seen, by id
	phones   map[string]bool
	now      map[string][]desk.Serves // what the seats serve
	reserved map[string]bool          // offers that were made before a seat served other queues
	ringAll  bool
}

type party struct {
	w      *desk.Waiter
	hangup context.CancelFunc
	gone   bool // left or hung up
	won    *desk.Offer
	ended  bool // talk over
}

func (p *play) ok(err error) {
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *play) phone(t *rapid.T) {
	e, up := rapid.SampledFrom(seats).Draw(t, "seat"), rapid.Bool().Draw(t, "up")
	p.phones[e] = up
	p.ok(p.b.Registered(p.ctx, e, up))
}

func (p *play) choose(t *rapid.T) {
	e := rapid.SampledFrom(seats).Draw(t, "seat")
	st := rapid.SampledFrom([]desk.State{desk.Ready, desk.Break, desk.Away, desk.Offline}).Draw(t, "state")
	if err := p.b.Set(p.ctx, e, st, "随机"); err != nil && !(errors.Is(err, desk.ErrNoPhone) && st == desk.Ready && !p.phones[e]) {
		t.Fatal(err)
	}
}

func (p *play) call(t *rapid.T) {
	p.n++
	c := desk.Caller{CallID: fmt.Sprint("c", p.n), Priority: rapid.IntRange(0, 2).Draw(t, "priority"), Queue: rapid.SampledFrom([]string{"", "", "en", "slow"}).Draw(t, "queue")}
	// Who has waited for long is content with more: widened on arrival, or not in this test's time.
	if n := rapid.IntRange(0, 8).Draw(t, "waited"); n < 3 {
		c.Since = time.Now().Add(-time.Duration(n) * 61 * time.Minute)
		c.Skills, c.Widen = []string{"ko"}, []desk.Wider{{After: time.Hour, Skills: []string{"zh"}}, {After: 100 * time.Hour}}
	}
	if rapid.IntRange(0, 4).Draw(t, "excluding") == 0 {
		c.Exclude = []string{"8001"}
	}
	if rapid.IntRange(0, 6).Draw(t, "skilled") == 0 {
		c.Skills = []string{"ko"} // nobody has it
	}
	ctx, hangup := context.WithCancel(p.ctx)
	w, err := p.b.Wait(ctx, c)
	p.ok(err)
	p.callers = append(p.callers, &party{w: w, hangup: hangup})
}

// replace has a new call take over the place of a caller who waits.
func (p *play) replace(t *rapid.T) {
	old := p.some(t, func(c *party) bool { return true })
	p.n++
	c := old.w.Caller
	c.Replaces, c.CallID, c.Held = c.CallID, fmt.Sprint("c", p.n), !c.Held
	ctx, hangup := context.WithCancel(p.ctx)
	before := p.order()
	w, err := p.b.Wait(ctx, c)
	if old.gone || old.won != nil {
		hangup()
		if !errors.Is(err, desk.ErrLeft) {
			t.Fatalf("the place of somebody who does not wait was taken over: %v", err)
		}
		return
	}
	p.ok(err)
	old.gone = true
	<-old.w.Left()
	p.callers = append(p.callers, &party{w: w, hangup: hangup})
	after := p.order()
	if i := slices.Index(before, old.w.Caller.CallID); i < 0 || after[i] != c.CallID || len(before) != len(after) {
		t.Fatalf("%s took over the place of %s: %v became %v", c.CallID, old.w.Caller.CallID, before, after)
	}
}

func (p *play) order() (ids []string) {
	for _, w := range p.snap().Waiting {
		ids = append(ids, w.CallID)
	}
	return ids
}

// serve changes what a seat serves.
func (p *play) serve(t *rapid.T) {
	e := rapid.SampledFrom(seats).Draw(t, "seat")
	to := rapid.SampledFrom([][]desk.Serves{nil, {{Queue: "en"}}, {{Queue: ""}, {Queue: "slow", Level: 1}}}).Draw(t, "serves")
	p.now[e] = to
	p.ok(p.b.Put(p.ctx, desk.Operator{Extension: e, AutoReady: e != "8004", Skills: []string{"zh"}, Queues: to}))
	p.reserved = map[string]bool{} // an offer that rings goes on
	for _, o := range p.snap().Operators {
		if o.State == desk.Ringing {
			p.reserved[o.OfferID] = true
		}
	}
}

// may says from the promise alone whether a seat may be offered a caller.
func (p *play) may(ext string, w desk.WaitingView) bool {
	waited := time.Since(w.Since)
	need := w.Skills
	for _, x := range w.Widen {
		if waited >= x.After {
			need = x.Skills
		}
	}
	level, ok := 0, len(p.now[ext]) == 0 || w.Queue == ""
	for _, q := range p.now[ext] {
		if q.Queue == w.Queue {
			level, ok = q.Level, true
		}
	}
	if w.Queue == "slow" && waited < time.Duration(level)*time.Hour {
		ok = false
	}
	return ok && !slices.Contains(w.Exclude, ext) && !slices.Contains(need, "ko")
}

func (p *play) some(t *rapid.T, ok func(*party) bool) *party {
	var l []*party
	for _, c := range p.callers {
		if ok(c) {
			l = append(l, c)
		}
	}
	if len(l) == 0 {
		t.Skip("nobody")
	}
	return rapid.SampledFrom(l).Draw(t, "caller")
}

func (p *play) leave(t *rapid.T) {
	c := p.some(t, func(c *party) bool { return true })
	c.w.Leave("随机")
	if c.won == nil {
		c.gone = true
	}
}

func (p *play) hangUp(t *rapid.T) {
	c := p.some(t, func(c *party) bool { return !c.ended })
	c.hangup()
	if c.won == nil {
		c.gone = true
		<-c.w.Left()
	} else {
		c.ended = true
		p.settle(func() bool {
			for _, o := range p.snap().Operators {
				if o.State == desk.Talking && o.CallID == c.w.Caller.CallID {
					return false
				}
			}
			return true
		})
	}
}

// settle waits for what follows a hang-up in another goroutine.
func (p *play) settle(cond func() bool) {
	end := time.Now().Add(long)
	for !cond() {
		if time.Now().After(end) {
			p.t.Fatal("a hang-up had no effect")
		}
		time.Sleep(100 * time.Microsecond)
	}
}

// report reports an outcome for any offer ever made: only an open one may take it.
func (p *play) report(t *rapid.T) {
	p.collect()
	if len(p.offers) == 0 {
		t.Skip("no offer")
	}
	ids := make([]string, 0, len(p.offers))
	for id := range p.offers {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	var open []string
	for _, id := range ids {
		if p.offers[id].Over() == "" {
			open = append(open, id)
		}
	}
	if len(open) > 0 && rapid.IntRange(0, 4).Draw(t, "late") > 0 {
		ids = open
	}
	o := p.offers[rapid.SampledFrom(ids).Draw(t, "offer")]
	was := o.Over()
	out := rapid.SampledFrom([]desk.Outcome{desk.Answered, desk.Answered, desk.NoAnswer, desk.Declined, desk.Busy, desk.Unreachable}).Draw(t, "outcome")
	var err error
	if out == desk.Answered {
		err = o.Answered()
	} else {
		err = o.Failed(out)
	}
	switch {
	case was == "" && err != nil:
		t.Fatalf("an open offer refused %s: %v", out, err)
	case was != "" && !errors.Is(err, desk.ErrOfferOver):
		t.Fatalf("an offer that ended %s took %s", was, out)
	case was != "" && o.Over() != was:
		t.Fatalf("an outcome changed from %s to %s", was, o.Over())
	}
	if err == nil && out == desk.Answered {
		for _, c := range p.callers {
			if c.w.Caller.CallID == o.CallID {
				if c.won != nil || c.gone {
					t.Fatalf("caller %s was won twice or was gone", o.CallID)
				}
				c.won = o
			}
		}
	}
}

func (p *play) done(t *rapid.T) {
	c := p.some(t, func(c *party) bool { return c.won != nil })
	c.won.Done()
	c.ended = true
}

func (p *play) sweep(t *rapid.T) {
	live := map[string]bool{}
	for _, c := range p.callers {
		live[c.w.Caller.CallID] = !c.gone && !c.ended
	}
	repaired, err := p.b.Sweep(p.ctx, desk.Reality{Live: func(id string) bool { return live[id] }, Registered: func(e string) bool { return p.phones[e] }})
	p.ok(err)
	if len(repaired) != 0 {
		t.Fatalf("the board was wrong without a crash: %+v", repaired)
	}
}

// collect takes every offer that is ready to be taken.
func (p *play) collect() {
	p.snap() // a decision that another goroutine began is over
	for _, c := range p.callers {
		for {
			ctx, cancel := context.WithCancel(p.ctx)
			cancel()
			o, err := c.w.Next(ctx)
			if err != nil {
				break
			}
			if p.offers[o.ID] != nil {
				p.t.Fatalf("offer %s was delivered twice", o.ID)
			}
			p.offers[o.ID] = o
		}
	}
}

func (p *play) snap() desk.Snapshot {
	sn, err := p.b.Snapshot(p.ctx)
	p.ok(err)
	return sn
}

// check holds the promises against a snapshot.
func (p *play) check(t *rapid.T) {
	sn := p.snap() // first: whatever it shows has been delivered
	p.collect()
	waiting := map[string]desk.WaitingView{}
	at := map[string]int{}
	weight := map[string]int{"en": 1}
	for i, w := range sn.Waiting {
		if at[w.Queue]++; w.Position != at[w.Queue] {
			t.Fatalf("position %d at %d", w.Position, at[w.Queue])
		}
		waiting[w.CallID] = w
		if i > 0 {
			v := sn.Waiting[i-1]
			if a, b := v.Priority+weight[v.Queue], w.Priority+weight[w.Queue]; a < b || a == b && v.Since.After(w.Since) {
				t.Fatalf("%s waits behind %s", w.CallID, v.CallID)
			}
		}
	}
	byCall := map[string]string{}
	for _, o := range sn.Operators {
		switch o.State {
		case desk.Ringing:
			w, ok := waiting[o.CallID]
			if !ok || !slices.Contains(w.Ringing, o.Extension) {
				t.Fatalf("%s rings for %q, who does not wait for it", o.Extension, o.CallID)
			}
			if of := p.offers[o.OfferID]; of == nil || of.Over() != "" {
				t.Fatalf("%s rings without an open offer", o.Extension)
			}
			if !p.may(o.Extension, w) && !p.reserved[o.OfferID] {
				t.Fatalf("%s must not get %s", o.Extension, o.CallID)
			}
		case desk.Talking:
			if other := byCall[o.CallID]; other != "" {
				t.Fatalf("%s and %s talk to %s", other, o.Extension, o.CallID)
			}
			byCall[o.CallID] = o.Extension
			if _, ok := waiting[o.CallID]; ok {
				t.Fatalf("%s talks and waits", o.CallID)
			}
		default:
			if o.CallID != "" || o.OfferID != "" {
				t.Fatalf("%s is %s with call %q", o.Extension, o.State, o.CallID)
			}
		}
		if o.State == desk.Ready && !p.phones[o.Extension] {
			t.Fatalf("%s is ready without a phone", o.Extension)
		}
		if o.State != desk.Ready {
			continue
		}
		for _, w := range sn.Waiting { // nobody waits beside a ready operator who could help
			if p.may(o.Extension, w) && (len(w.Ringing) == 0 || p.ringAll) {
				t.Fatalf("%s waits beside %s, who is ready", w.CallID, o.Extension)
			}
		}
	}
	open := 0
	for _, o := range p.offers {
		if o.Over() == "" {
			open++
		}
	}
	ringing := 0
	for _, o := range sn.Operators {
		if o.State == desk.Ringing {
			ringing++
		}
	}
	if open != ringing {
		t.Fatalf("%d offers are open and %d operators ring", open, ringing)
	}
	for _, c := range p.callers {
		_, in := waiting[c.w.Caller.CallID]
		if want := !c.gone && c.won == nil; in != want {
			t.Fatalf("%s in the queue: %t, want %t", c.w.Caller.CallID, in, want)
		}
		if want := c.won != nil && !c.ended; (byCall[c.w.Caller.CallID] != "") != want {
			t.Fatalf("%s talks: %t, want %t", c.w.Caller.CallID, !want, want)
		}
	}
	n := sn.Counters
	if int(n.Joined) != len(p.callers) || int(n.Offered) != len(p.offers) {
		t.Fatalf("counters %+v after %d callers and %d offers", n, len(p.callers), len(p.offers))
	}
}
