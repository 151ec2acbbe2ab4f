package desk

import (
	"cmp"
	"slices"
	"strconv"
	"time"
)

// floor is the state of a board and every rule about it, without goroutines and without a clock: each method is one
// decision at a given time. Whoever owns a floor calls its methods one at a time.
type floor struct {
	opt   Options
	seats map[string]*seat
	order []*seat // seats by extension
	queue []*caller
	calls map[string]*caller // waiting or talking, by call id
	open  map[string]*offer  // offers without an outcome
	talks map[string]*offer  // answered offers that are not done
	n     Counters
	seq   uint64 // callers, for a stable order
	turn  uint64 // round robin
	oid   uint64
	idp   string                   // prefix of offer ids, so that two runs never share one
	aht   map[string]time.Duration // time an operator is taken up by a caller, by queue

	// What can be found again from the above (reindex), so that a decision need not look at everybody.
	rows    map[string]*row  // by queue
	lines   map[string]*line // callers who are not ringing anybody
	turns   turns
	fresh   []*caller // in a line since the last match
	touched []*seat   // changed since then
	freed   []*seat   // of them, who are free
	paused  []*seat
	nfree   int
	duties  map[string]duty // until the next change of an operator

	// What follows from a decision, told to the owner while it is being taken.
	offered func(*offer)
	settled func(*offer)
	parted  func(callID, reason string) // out of the queue
	moved   func()                      // places in the queue may have changed
	event   func(Event)
}

type seat struct {
	Operator
	registered bool     // homes is not empty
	homes      []string // nodes where the phone is registered, the latest last
	wish       State    // what the operator chose; the state when no call is in hand and the phone is there
	wishReason string
	state      State
	reason     string
	since      time.Time
	readySince time.Time // for LongestIdle; survives an offer that failed through no fault of the operator
	notBefore  time.Time // pause after a failed offer
	asideUntil time.Time // end of being set aside
	until      time.Time // end of the wrap-up
	offer      *offer    // while ringing or talking
	misses     int
	taken      int
	turn       uint64
	removed    bool

	free, touched, isPaused bool // see advance
}

type caller struct {
	Caller
	node    string // where the call is
	seq     uint64
	joined  time.Time
	rank    int // priority and weight of the queue when they came
	wider   int // how many of Widen have come to pass
	reach   int // highest level of operators that may be rung
	offers  []*offer
	waiting bool
	row     *row
	line    *line  // while nobody rings for them
	kind    string // those of the same operators, see dutyOf
}

type offer struct {
	id       string
	seat     *seat
	caller   *caller
	op       Operator
	made     time.Time
	deadline time.Time
	answered time.Time
	outcome  Outcome
}

func newFloor(opt Options, idPrefix string) *floor {
	return &floor{
		opt: opt, idp: idPrefix, aht: map[string]time.Duration{},
		rows: map[string]*row{}, lines: map[string]*line{},
		seats: map[string]*seat{}, calls: map[string]*caller{}, open: map[string]*offer{}, talks: map[string]*offer{},
		offered: func(*offer) {}, settled: func(*offer) {}, parted: func(string, string) {}, moved: func() {}, event: func(Event) {},
	}
}

// Operators.

func (f *floor) put(op Operator, now time.Time) {
	op.Skills, op.Queues = slices.Clone(op.Skills), slices.Clone(op.Queues)
	if s := f.seats[op.Extension]; s != nil {
		s.Operator, s.removed = op, false
		f.touch(s)
		f.match(now)
		return
	}
	s := &seat{Operator: op, wish: Offline, state: Offline, since: now}
	f.seats[op.Extension] = s
	i, _ := slices.BinarySearchFunc(f.order, op.Extension, func(a *seat, ext string) int { return cmp.Compare(a.Extension, ext) })
	f.order = slices.Insert(f.order, i, s)
	f.tellSeat(s, now)
}

func (f *floor) remove(ext string, now time.Time) error {
	s := f.seats[ext]
	if s == nil {
		return ErrUnknown
	}
	s.removed = true
	f.touch(s)
	if s.idle() {
		f.drop(s, now)
	}
	return nil
}

func (f *floor) drop(s *seat, now time.Time) {
	delete(f.seats, s.Extension)
	f.order = slices.DeleteFunc(f.order, func(o *seat) bool { return o == s })
	s.state, s.reason, s.since = Offline, "移出坐席", now
	f.tellSeat(s, now)
	f.moved()
}

// idle is true while no call is in hand.
func (s *seat) idle() bool { return s.state != Ringing && s.state != Talking && s.state != WrapUp }

// register says that the phone came or went at one node. It is there as long as it is registered at any.
func (f *floor) register(node, ext string, up bool, now time.Time) error {
	s := f.seats[ext]
	if s == nil {
		return ErrUnknown
	}
	switch {
	case s.at(node) == up:
	case up:
		s.homes = append(s.homes, node)
	default:
		s.homes = slices.DeleteFunc(s.homes, func(n string) bool { return n == node })
	}
	if up = len(s.homes) > 0; s.registered == up {
		return nil
	}
	s.registered = up
	f.touch(s)
	if up {
		s.misses, s.notBefore = 0, time.Time{}
		if !s.asideUntil.IsZero() { // a phone that starts anew is taken as somebody being there again
			s.asideUntil, s.wish, s.wishReason = time.Time{}, Ready, ""
		}
		if s.AutoReady && s.wish == Offline {
			s.wish, s.wishReason = Ready, ""
		}
	}
	if s.idle() {
		f.rest(s, now, false)
		f.match(now)
	}
	return nil
}

// at is true when the phone is registered at the node.
func (s *seat) at(node string) bool { return slices.Contains(s.homes, node) }

func (f *floor) set(ext string, st State, reason string, now time.Time) error {
	s := f.seats[ext]
	switch {
	case s == nil:
		return ErrUnknown
	case st != Ready && st != Break && st != Away && st != Offline:
		return ErrState
	case st == Ready && !s.registered:
		return ErrNoPhone
	}
	s.wish, s.wishReason = st, reason
	s.asideUntil = time.Time{}
	f.touch(s)
	if st == Ready {
		s.misses, s.notBefore = 0, time.Time{}
	}
	if s.idle() || s.state == WrapUp {
		f.rest(s, now, false)
		f.match(now)
	}
	return nil
}

// rest puts a seat that has no call in hand into the state that its operator chose. keep leaves it its turn among
// the ready.
func (f *floor) rest(s *seat, now time.Time, keep bool) {
	s.offer, s.until = nil, time.Time{}
	f.touch(s)
	if s.removed {
		f.drop(s, now)
		return
	}
	to, why := s.wish, s.wishReason
	if !s.registered {
		to = Offline
		if s.wish != Offline {
			why = "话机未注册"
		}
	}
	if to == s.state && why == s.reason {
		return
	}
	if to == Ready && !keep && s.state != Ready {
		s.readySince = now
	}
	f.to(s, to, why, now)
}

func (f *floor) to(s *seat, st State, reason string, now time.Time) {
	s.state, s.reason, s.since = st, reason, now
	f.touch(s)
	f.tellSeat(s, now)
	f.moved()
}

func (f *floor) tellSeat(s *seat, now time.Time) {
	ev := Event{At: now, Kind: OperatorChanged, Extension: s.Extension, StaffID: s.StaffID, State: s.state, Reason: s.reason}
	if s.offer != nil {
		ev.CallID, ev.OfferID = s.offer.caller.CallID, s.offer.id
	}
	f.event(ev)
}

// configure replaces the settings of the queues.
func (f *floor) configure(queues []Queue, now time.Time) {
	f.opt.Queues = slices.Clone(queues)
	f.reindex()
	f.moved()
	f.match(now)
}

// Callers.

func (f *floor) wait(node string, c Caller, now time.Time) error {
	if f.calls[c.CallID] != nil {
		return ErrWaiting
	}
	r := f.rowOf(c.Queue)
	if c.Replaces != "" {
		old := f.calls[c.Replaces]
		if old == nil || !old.waiting {
			return ErrLeft
		}
		// Nobody comes between: the old one goes and the new one stands before anybody is offered again.
		f.part(old, "replaced", now)
		c.Since, c.Priority, c.Replaces = old.Since, max(c.Priority, old.Priority), ""
		f.stay(&caller{Caller: c, node: node, seq: old.seq, joined: now, row: r, rank: max(old.rank, c.Priority+r.Weight)}, now)
		f.match(now)
		return nil
	}
	if r.MaxWaiting > 0 && len(r.callers) >= r.MaxWaiting && !c.Held { // who is held has stood here before
		return ErrFull
	}
	f.enqueue(node, c, now)
	f.match(now)
	return nil
}

func (f *floor) enqueue(node string, c Caller, now time.Time) {
	if c.Since.IsZero() || c.Since.After(now) {
		c.Since = now
	}
	f.seq++
	r := f.rowOf(c.Queue)
	f.stay(&caller{Caller: c, node: node, seq: f.seq, joined: now, row: r, rank: c.Priority + r.Weight}, now)
}

// stay puts a caller where they stand: among all, in the row of their queue, and in the line of their kind.
func (f *floor) stay(w *caller, now time.Time) {
	w.waiting = true
	w.widen(w.row.Queue, now)
	i, _ := slices.BinarySearchFunc(f.queue, w, before)
	f.queue = slices.Insert(f.queue, i, w)
	i, _ = slices.BinarySearchFunc(w.row.callers, w, before)
	w.row.callers = slices.Insert(w.row.callers, i, w)
	f.calls[w.CallID] = w
	f.stand(w)
	f.await(w)
	f.n.Joined++
	f.event(Event{At: now, Kind: CallerJoined, CallID: w.CallID})
	f.moved()
}

// stranger is a caller who is not on the board, as they would stand there.
func (f *floor) stranger(c Caller, now time.Time) *caller {
	if c.Since.IsZero() {
		c.Since = now
	}
	q := f.queueOf(c.Queue)
	return &caller{Caller: c, seq: f.seq + 1, rank: c.Priority + q.Weight}
}

// before orders callers: priority, then place, then arrival.
func before(a, b *caller) int {
	return cmp.Or(-cmp.Compare(a.rank, b.rank), a.Since.Compare(b.Since), cmp.Compare(a.seq, b.seq))
}

func (f *floor) unqueue(w *caller) {
	if i, ok := slices.BinarySearchFunc(f.queue, w, before); ok {
		f.queue = slices.Delete(f.queue, i, i+1)
	}
	if i, ok := slices.BinarySearchFunc(w.row.callers, w, before); ok {
		w.row.callers = slices.Delete(w.row.callers, i, i+1)
	}
	f.step(w)
	w.waiting = false
}

// leave takes a waiting caller out and cancels what rings for them.
func (f *floor) leave(callID, reason string, now time.Time) {
	w := f.calls[callID]
	if w == nil || !w.waiting {
		return
	}
	f.part(w, reason, now)
	f.match(now)
}

// part is leave without a look at who may be offered next.
func (f *floor) part(w *caller, reason string, now time.Time) {
	f.unqueue(w)
	delete(f.calls, w.CallID)
	f.n.Left++
	f.event(Event{At: now, Kind: CallerLeft, CallID: w.CallID, Reason: reason})
	for _, o := range slices.Clone(w.offers) {
		f.close(o, Cancelled, now)
	}
	f.parted(w.CallID, reason)
	f.moved()
}

// gone is leave for a caller whose leg has ended: a talk is over too.
func (f *floor) gone(callID, reason string, now time.Time) {
	w := f.calls[callID]
	if w == nil {
		return
	}
	if w.waiting {
		f.leave(callID, reason, now)
		return
	}
	for _, o := range w.offers {
		f.done(o.id, now)
	}
}

// Offers.

func (f *floor) settle(id string, out Outcome, now time.Time) error {
	o := f.open[id]
	if o == nil {
		return ErrOfferOver
	}
	f.close(o, out, now)
	f.match(now)
	return nil
}

// close gives an open offer its outcome and moves seat and caller accordingly.
func (f *floor) close(o *offer, out Outcome, now time.Time) {
	if f.open[o.id] == nil {
		return
	}
	delete(f.open, o.id)
	o.outcome = out
	s, w := o.seat, o.caller
	f.event(Event{At: now, Kind: OfferSettled, Extension: s.Extension, StaffID: s.StaffID, CallID: w.CallID, OfferID: o.id, Outcome: out})
	f.settled(o)

	if out == Answered {
		o.answered = now
		f.talks[o.id] = o
		f.unqueue(w)
		others := w.offers
		w.offers = []*offer{o}
		s.misses = 0
		s.taken++
		f.n.Answered++
		f.to(s, Talking, "", now)
		for _, other := range others {
			if other != o {
				f.close(other, Lost, now)
			}
		}
		f.parted(w.CallID, "answered")
		f.moved()
		return
	}

	w.offers = slices.DeleteFunc(w.offers, func(x *offer) bool { return x == o })
	f.stand(w)
	keep := out == Cancelled || out == Lost || out == Repaired
	switch out {
	case NoAnswer, Expired:
		s.misses++
		f.n.Missed++
		if out == Expired {
			f.n.Expired++
		}
	case Declined, Busy, Unreachable:
	}
	if !keep {
		s.notBefore = now.Add(f.opt.Retry)
	}
	if f.opt.Misses > 0 && s.misses >= f.opt.Misses && s.wish == Ready {
		s.misses = 0
		s.wish, s.wishReason = Away, "连续未接听"
		if f.opt.AsideFor > 0 {
			s.asideUntil = now.Add(f.opt.AsideFor)
		}
		f.n.SetAside++
	}
	f.rest(s, now, keep)
}

func (f *floor) done(id string, now time.Time) {
	o := f.talks[id]
	if o == nil {
		return
	}
	delete(f.talks, id)
	delete(f.calls, o.caller.CallID)
	s := o.seat
	queue := f.queueOf(o.caller.Queue)
	f.event(Event{At: now, Kind: TalkDone, Extension: s.Extension, StaffID: s.StaffID, CallID: o.caller.CallID, OfferID: id})
	wrap := queue.WrapUp
	if s.WrapUp != 0 {
		wrap = max(s.WrapUp, 0)
	}
	aht := f.handle(queue.Name)
	f.aht[queue.Name] = aht + (now.Sub(o.answered)+wrap-aht)/8
	s.offer = nil
	if wrap == 0 || s.removed || !s.registered {
		f.rest(s, now, false)
	} else {
		s.until = now.Add(wrap)
		f.to(s, WrapUp, "", now)
	}
	f.match(now)
}

// offer reserves a seat for a caller.
func (f *floor) offer(w *caller, s *seat, now time.Time) {
	f.oid++
	f.turn++
	o := &offer{id: f.idp + strconv.FormatUint(f.oid, 36), seat: s, caller: w, op: s.Operator, made: now, deadline: now.Add(w.row.Ring)}
	s.offer, s.turn = o, f.turn
	if s.free {
		s.free = false
		f.nfree--
	}
	w.offers = append(w.offers, o)
	if w.row.Strategy != RingAll {
		f.step(w)
	}
	f.open[o.id] = o
	f.n.Offered++
	f.to(s, Ringing, "", now)
	f.event(Event{At: now, Kind: OfferMade, Extension: s.Extension, StaffID: s.StaffID, CallID: w.CallID, OfferID: o.id})
	f.offered(o)
}

// tick does what time alone decides.
func (f *floor) tick(now time.Time) {
	for _, o := range f.openByTime() {
		if now.Before(o.deadline.Add(f.opt.Grace)) {
			break
		}
		f.close(o, Expired, now)
	}
	for _, s := range slices.Clone(f.order) {
		if s.state == WrapUp && !now.Before(s.until) {
			f.rest(s, now, false)
		}
		if !s.asideUntil.IsZero() && !now.Before(s.asideUntil) {
			s.asideUntil, s.wish, s.wishReason = time.Time{}, Ready, ""
			f.touch(s)
			if s.idle() {
				f.rest(s, now, false)
			}
		}
	}
	f.match(now)
}

func (f *floor) openByTime() []*offer {
	all := make([]*offer, 0, len(f.open))
	for _, o := range f.open {
		all = append(all, o)
	}
	slices.SortFunc(all, func(a, b *offer) int { return cmp.Or(a.deadline.Compare(b.deadline), cmp.Compare(a.id, b.id)) })
	return all
}

// next is when tick has to be called again, zero for never.
func (f *floor) next() time.Time {
	var at time.Time
	sooner := func(t time.Time) {
		if !t.IsZero() && (at.IsZero() || t.Before(at)) {
			at = t
		}
	}
	for _, s := range f.order {
		switch {
		case s.state == Ringing && s.offer != nil:
			sooner(s.offer.deadline.Add(f.opt.Grace))
		case s.state == Ready && len(f.queue) > 0:
			sooner(s.notBefore)
		}
		sooner(s.until)
		sooner(s.asideUntil)
	}
	sooner(f.nextTurn())
	return at
}
