package desk

import (
	"cmp"
	"slices"
	"time"
)

// match makes every offer that can be made now: callers in their order, for each the operator that the strategy of their
// queue prefers.
//
// After a match nobody waits beside a free operator who suits. So only what has changed since the last one is looked at:
// operators who became free, against the first of each line of callers, and callers who are new in their line, against
// the free operators. What this costs depends on how many lines and operators there are, not on how many callers wait.
func (f *floor) match(now time.Time) {
	f.advance(now)
	slices.SortFunc(f.fresh, before)
	fresh := f.fresh
	f.fresh = nil
	for f.nfree > 0 {
		w := f.firstFor(f.freed)
		for len(fresh) > 0 {
			c := fresh[0]
			if w != nil && before(w, c) <= 0 {
				break
			}
			fresh = fresh[1:]
			if c.line != nil && f.choose(c) != nil {
				w = c
				break
			}
		}
		if w == nil {
			break
		}
		if w.row.Strategy == RingAll {
			for _, s := range f.chooseAll(w) {
				f.offer(w, s, now)
			}
		} else {
			f.offer(w, f.choose(w), now)
		}
	}
	clear(f.freed)
	f.freed = f.freed[:0]
}

// firstFor is the first caller whom one of the operators may take.
func (f *floor) firstFor(freed []*seat) (first *caller) {
	for _, s := range freed {
		if !s.free {
			continue
		}
		for _, l := range f.lines {
			if first != nil && before(first, l.idle[0]) <= 0 || !s.serves(l) {
				continue
			}
			for _, w := range l.idle {
				if !slices.Contains(w.Exclude, s.Extension) {
					if first == nil || before(w, first) < 0 {
						first = w
					}
					break
				}
			}
		}
	}
	return first
}

// suits is true when the operator may take the caller at all, after the longest wait.
func (s *seat) suits(w *caller) bool {
	_, ok := s.level(w.Queue)
	return ok && s.hasAll(w.last()) && !slices.Contains(w.Exclude, s.Extension)
}

// choose picks one of the free seats for a caller who stands in a line, or nil.
func (f *floor) choose(w *caller) *seat {
	if f.nfree == 0 || w.line == nil {
		return nil
	}
	var best *seat
	for _, s := range f.order {
		if !s.free || !s.serves(w.line) || slices.Contains(w.Exclude, s.Extension) {
			continue
		}
		if best == nil || f.better(w, s, best) < 0 {
			best = s
		}
	}
	return best
}

// chooseAll is all the free seats for a caller, the best first.
func (f *floor) chooseAll(w *caller) (all []*seat) {
	for _, s := range f.order {
		if s.free && s.serves(w.line) && !slices.Contains(w.Exclude, s.Extension) {
			all = append(all, s)
		}
	}
	slices.SortFunc(all, func(a, b *seat) int { return f.better(w, a, b) })
	return all
}

func (f *floor) better(w *caller, a, b *seat) int {
	if w.Prefer != "" && (a.Extension == w.Prefer) != (b.Extension == w.Prefer) {
		if a.Extension == w.Prefer {
			return -1
		}
		return 1
	}
	la, _ := a.level(w.Queue)
	lb, _ := b.level(w.Queue)
	if la != lb {
		return cmp.Compare(la, lb)
	}
	idle := a.readySince.Compare(b.readySince)
	last := cmp.Compare(a.Extension, b.Extension)
	switch w.row.Strategy {
	case FewestCalls:
		return cmp.Or(cmp.Compare(a.taken, b.taken), idle, last)
	case RoundRobin:
		return cmp.Or(cmp.Compare(a.turn, b.turn), last)
	case Linear:
		return cmp.Or(cmp.Compare(a.Rank, b.Rank), last)
	}
	return cmp.Or(idle, last)
}

// duty is how many operators there are for a caller, and what else they serve.
type duty struct {
	ready, onDuty int
	queues        []string // that these operators serve besides
	all           bool     // one of them serves every queue
}

func (f *floor) dutyOf(w *caller) duty {
	if w.kind == "" {
		w.kind = lineKey(w.Queue, w.last(), MaxLevel)
	}
	if len(w.Exclude) == 0 {
		if d, ok := f.duties[w.kind]; ok {
			return d
		}
	}
	var d duty
	for _, s := range f.order {
		if s.removed || !s.registered || !s.suits(w) {
			continue
		}
		switch s.state {
		case Ready:
			d.ready++
		case Ringing, Talking, WrapUp:
			if s.wish != Ready && s.wish != Break {
				continue
			}
		case Break:
		default:
			continue
		}
		d.onDuty++
		if len(s.Queues) == 0 {
			d.all = true
		} else if w.Queue != "" && !slices.Contains(d.queues, "") {
			d.queues = append(d.queues, "")
		}
		for _, q := range s.Queues {
			if !d.all && q.Queue != w.Queue && !slices.Contains(d.queues, q.Queue) {
				d.queues = append(d.queues, q.Queue)
			}
		}
	}
	if len(w.Exclude) == 0 {
		if f.duties == nil {
			f.duties = map[string]duty{}
		}
		f.duties[w.kind] = d
	}
	return d
}

// place is a caller's standing; w need not be in the queue, then the position is the one they would get.
func (f *floor) place(w *caller) Place {
	p := Place{Position: 1, Waiting: 0}
	if r := f.rows[w.Queue]; r != nil {
		i, _ := slices.BinarySearchFunc(r.callers, w, before)
		p.Position, p.Waiting = i+1, len(r.callers)
	}
	if !w.waiting {
		p.Waiting++
	}
	d := f.dutyOf(w)
	p.OnDuty = d.onDuty
	p.Expected = f.expected(w.Queue, d, p.Position, func(name string) int {
		i, _ := slices.BinarySearchFunc(f.rows[name].callers, w, before)
		return i
	})
	return p
}

// expected is the wait of a caller at a position of a queue. ahead says how many of another queue go before: those count
// as well whom the same operators serve.
func (f *floor) expected(queue string, d duty, position int, ahead func(queue string) int) time.Duration {
	if d.all {
		for name := range f.rows {
			if name != queue {
				position += ahead(name)
			}
		}
	} else {
		for _, name := range d.queues {
			if f.rows[name] != nil {
				position += ahead(name)
			}
		}
	}
	if d.onDuty == 0 || position <= d.ready {
		return 0
	}
	return f.handle(queue) * time.Duration(position-d.ready) / time.Duration(d.onDuty)
}

// handle is how long an operator is taken up by one caller of a queue, on average.
func (f *floor) handle(queue string) time.Duration {
	if d, ok := f.aht[queue]; ok {
		return d
	}
	return f.opt.Handle
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
	// What is only found by looking up must agree with what is true.
	var free []*seat
	for _, s := range f.order {
		if s.free {
			free = append(free, s)
		}
	}
	if w := f.firstFor(free); w != nil && f.choose(w) != nil && (len(w.offers) == 0 || w.row.Strategy == RingAll) {
		fixed("matching", "", w.CallID, "a caller waited beside a ready operator who suits")
		f.reindex()
		f.match(now)
	}
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
	sn := Snapshot{At: now, Strategy: f.opt.Strategy, Counters: f.n, Operators: make([]OperatorView, 0, len(f.order)), Waiting: make([]WaitingView, 0, len(f.queue))}
	for _, s := range f.order {
		v := OperatorView{Operator: s.Operator, State: s.state, Reason: s.reason, Since: s.since, Registered: s.registered, Taken: s.taken, Misses: s.misses}
		v.Skills, v.Queues = slices.Clone(s.Skills), slices.Clone(s.Queues)
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
	at := map[string]int{}
	views := map[string]*QueueView{}
	view := func(name string) *QueueView {
		if views[name] == nil {
			views[name] = &QueueView{Name: name}
		}
		return views[name]
	}
	for _, q := range f.opt.Queues {
		view(q.Name)
	}
	for _, w := range f.queue {
		at[w.Queue]++
		v := WaitingView{Caller: w.Caller, Position: at[w.Queue], Joined: w.joined}
		v.Expected = f.expected(w.Queue, f.dutyOf(w), v.Position, func(name string) int { return at[name] })
		for _, o := range w.offers {
			v.Ringing = append(v.Ringing, o.seat.Extension)
		}
		sn.Waiting = append(sn.Waiting, v)
		q := view(w.Queue)
		q.Waiting++
		if w.Held {
			q.Held++
		}
		if q.Since.IsZero() || w.Since.Before(q.Since) {
			q.Since = w.Since
		}
	}
	for _, s := range f.order {
		for _, q := range s.Queues {
			view(q.Queue)
		}
	}
	for name, q := range views {
		d := f.dutyOf(&caller{Caller: Caller{Queue: name}})
		q.OnDuty, q.Ready = d.onDuty, d.ready
		sn.Queues = append(sn.Queues, *q)
	}
	slices.SortFunc(sn.Queues, func(a, b QueueView) int { return cmp.Compare(a.Name, b.Name) })
	return sn
}
