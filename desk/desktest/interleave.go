package desktest

import (
	"context"
	"errors"
	"fmt"
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
				b := open(t, desk.Options{Strategy: strategy, Ring: time.Hour, WrapUp: time.Hour, Retry: -1, Misses: 3, AsideFor: -1, Grace: time.Nanosecond})
				defer b.Close()
				p := &play{t: rt, b: b, ctx: context.Background(), offers: map[string]*desk.Offer{}, phones: map[string]bool{}, ringAll: strategy == desk.RingAll}
				for _, e := range seats {
					p.ok(b.Put(p.ctx, desk.Operator{Extension: e, AutoReady: e != "8004", Skills: []string{"zh"}}))
				}
				rt.Repeat(map[string]func(*rapid.T){
					"phone":   p.phone,
					"choose":  p.choose,
					"call":    p.call,
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

type play struct {
	t       *rapid.T
	b       desk.Board
	ctx     context.Context
	n       int
	callers []*party
	offers  map[string]*desk.Offer // ever seen, by id
	phones  map[string]bool
	ringAll bool
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
	c := desk.Caller{CallID: fmt.Sprint("c", p.n), Priority: rapid.IntRange(0, 2).Draw(t, "priority")}
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
	for i, w := range sn.Waiting {
		if w.Position != i+1 {
			t.Fatalf("position %d at %d", w.Position, i+1)
		}
		waiting[w.CallID] = w
		if i > 0 && sn.Waiting[i-1].Priority < w.Priority {
			t.Fatalf("%s waits behind a lower priority", w.CallID)
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
			if slices.Contains(w.Exclude, o.Extension) || len(w.Skills) > 0 && w.Skills[0] == "ko" {
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
			can := !slices.Contains(w.Exclude, o.Extension) && len(w.Skills) == 0
			if can && (len(w.Ringing) == 0 || p.ringAll) {
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
