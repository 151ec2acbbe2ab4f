package desk

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// match makes every offer that can be made now: callers in their order, for each the operator that the strategy
// prefers.
func (f *floor) match(now time.Time) {
	free := make([]*seat, 0, 8)
	for _, s := range f.order {
		if s.free(now) {
			free = append(free, s)
		}
	}
	var hopeless map[string]bool // skill sets that no free operator has
	for _, w := range f.queue {
		if len(free) == 0 {
			return
		}
		if len(w.offers) > 0 && f.opt.Strategy != RingAll {
			continue
		}
		key := strings.Join(w.Skills, "\x00")
		if hopeless[key] {
			continue
		}
		found := false
		for {
			s := f.choose(w, free)
			if s == nil {
				break
			}
			found = true
			free = slices.DeleteFunc(free, func(x *seat) bool { return x == s })
			f.offer(w, s, now)
			if f.opt.Strategy != RingAll {
				break
			}
		}
		if !found && len(w.Exclude) == 0 {
			if hopeless == nil {
				hopeless = map[string]bool{}
			}
			hopeless[key] = true
		}
	}
}

// free is true when the seat may be offered a caller now.
func (s *seat) free(now time.Time) bool {
	return s.state == Ready && s.registered && !s.removed && !now.Before(s.notBefore)
}

// suits is true when the operator may take the caller at all.
func (s *seat) suits(w *Caller) bool {
	for _, k := range w.Skills {
		if !slices.Contains(s.Skills, k) {
			return false
		}
	}
	return !slices.Contains(w.Exclude, s.Extension)
}

// choose picks one of the free seats for a caller, or nil.
func (f *floor) choose(w *caller, free []*seat) *seat {
	var best *seat
	for _, s := range free {
		if !s.suits(&w.Caller) {
			continue
		}
		if best == nil || f.better(w, s, best) < 0 {
			best = s
		}
	}
	return best
}

func (f *floor) better(w *caller, a, b *seat) int {
	if w.Prefer != "" && (a.Extension == w.Prefer) != (b.Extension == w.Prefer) {
		if a.Extension == w.Prefer {
			return -1
		}
		return 1
	}
	idle := a.readySince.Compare(b.readySince)
	last := cmp.Compare(a.Extension, b.Extension)
	switch f.opt.Strategy {
	case FewestCalls:
		return cmp.Or(cmp.Compare(a.taken, b.taken), idle, last)
	case RoundRobin:
		return cmp.Or(cmp.Compare(a.turn, b.turn), last)
	case Linear:
		return cmp.Or(cmp.Compare(a.Rank, b.Rank), last)
	}
	return cmp.Or(idle, last)
}

// place is a caller's standing; w need not be in the queue, then the position is the one they would get.
func (f *floor) place(w *caller) Place {
	i, in := slices.BinarySearchFunc(f.queue, w, before)
	p := Place{Position: i + 1, Waiting: len(f.queue)}
	if !in {
		p.Waiting++
	}
	ready := 0
	for _, s := range f.order {
		if s.removed || !s.registered || !s.suits(&w.Caller) {
			continue
		}
		switch s.state {
		case Ready:
			ready++
			p.OnDuty++
		case Ringing, Talking, WrapUp:
			if s.wish == Ready || s.wish == Break {
				p.OnDuty++
			}
		case Break:
			p.OnDuty++
		}
	}
	if p.OnDuty > 0 && p.Position > ready {
		p.Expected = f.aht * time.Duration(p.Position-ready) / time.Duration(p.OnDuty)
	}
	return p
}

// sweep compares the floor with reality at one node, its calls and its registrar, and repairs.
func (f *floor) sweep(node string, r Reality, now time.Time) []Repair {
	var done []Repair
	old := func(t time.Time) bool { return now.Sub(t) >= f.opt.Grace }
	fixed := func(k, ext, call, what string) {
		done = append(done, f.repaired(k, ext, call, what, now))
	}
	if r.Live != nil {
		for _, w := range slices.Clone(f.queue) {
			if w.node == node && old(w.joined) && !r.Live(w.CallID) {
				fixed("waiting", "", w.CallID, "a caller whose call is gone was still waiting")
				f.leave(w.CallID, "repaired", now)
			}
		}
		for _, o := range f.talksByID() {
			if o.caller.node == node && old(o.answered) && !r.Live(o.caller.CallID) {
				fixed("talking", o.seat.Extension, o.caller.CallID, "an operator was talking to a call that is gone")
				f.done(o.id, now)
			}
		}
	}
	for _, s := range slices.Clone(f.order) {
		if (s.state == Ringing || s.state == Talking) && (s.offer == nil || f.open[s.offer.id] == nil && f.talks[s.offer.id] == nil) {
			fixed("ringing", s.Extension, "", "an operator was reserved without an offer")
			f.rest(s, now, true)
		}
		if r.Registered != nil && s.idle() && old(s.since) && r.Registered(s.Extension) != s.at(node) {
			fixed("registration", s.Extension, "", "the board and the registrar disagreed about a phone")
			_ = f.register(node, s.Extension, !s.at(node), now)
		}
	}
	f.match(now)
	return done
}

// repaired counts one repair and tells of it.
func (f *floor) repaired(kind, ext, call, what string, now time.Time) Repair {
	f.n.Repaired++
	f.event(Event{At: now, Kind: BoardRepaired, Extension: ext, CallID: call, Reason: what})
	return Repair{Kind: kind, Extension: ext, CallID: call, What: what}
}

func (f *floor) talksByID() []*offer {
	all := make([]*offer, 0, len(f.talks))
	for _, o := range f.talks {
		all = append(all, o)
	}
	slices.SortFunc(all, func(a, b *offer) int { return cmp.Compare(a.id, b.id) })
	return all
}

func (f *floor) snapshot(now time.Time) Snapshot {
	sn := Snapshot{At: now, Strategy: f.opt.Strategy, Counters: f.n}
	for _, s := range f.order {
		v := OperatorView{Operator: s.Operator, State: s.state, Reason: s.reason, Since: s.since, Registered: s.registered, Taken: s.taken, Misses: s.misses}
		v.Skills = slices.Clone(s.Skills)
		if !s.idle() {
			v.Next = s.wish
			if !s.registered {
				v.Next = Offline
			}
			v.Deadline = s.until
		}
		if s.offer != nil {
			v.CallID, v.OfferID = s.offer.caller.CallID, s.offer.id
			if s.state == Ringing {
				v.Deadline = s.offer.deadline
			}
		}
		sn.Operators = append(sn.Operators, v)
	}
	for i, w := range f.queue {
		v := WaitingView{Caller: w.Caller, Position: i + 1, Joined: w.joined, Expected: f.place(w).Expected}
		for _, o := range w.offers {
			v.Ringing = append(v.Ringing, o.seat.Extension)
		}
		sn.Waiting = append(sn.Waiting, v)
	}
	return sn
}
