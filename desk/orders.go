package desk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// pending is an order whose answer is being waited for.
type pending struct {
	o       *order
	waiter  *Waiter // of orderWait
	by      time.Time
	repairs []Repair
	done    chan error
}

// give puts an order into the common log and returns its answer. ctx counts until the order is handed over; then
// Node.Patience does.
func (r *Redis) give(ctx context.Context, o *order, p *pending) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if p == nil {
		p = &pending{}
	}
	p.done = make(chan error, 1)
	o.Node = r.id
	r.mu.Lock()
	if o.Kind == orderPhone {
		r.phones[o.Ext] = o.Up
	}
	if err := r.well(); err != nil {
		r.undo(o)
		r.mu.Unlock()
		return err
	}
	r.enqueue(o, p)
	r.mu.Unlock()
	return <-p.done
}

// enqueue hands an order to the writer. r.mu is held.
func (r *Redis) enqueue(o *order, p *pending) {
	if p.done == nil {
		p.done = make(chan error, 1)
	}
	o.Node = r.id
	p.o, p.by = o, time.Now().Add(r.node.Patience)
	r.queue = append(r.queue, p)
	r.wake()
}

func (r *Redis) wake() {
	select {
	case r.kick <- struct{}{}:
	default:
	}
}

// undo sees to it that what could not be ordered is true at least here; the store learns it when this node joins again.
// r.mu is held.
func (r *Redis) undo(o *order) {
	part := func(callID string) {
		if w := r.waiters[callID]; w != nil {
			w.finish(ErrDown)
			delete(r.waiters, callID)
		}
		for id, h := range r.offers {
			if h.CallID == callID {
				h.settled(Cancelled)
				delete(r.offers, id)
			}
		}
	}
	switch o.Kind {
	case orderLeave:
		part(o.Call)
	case orderGone:
		part(o.Call)
		for id, t := range r.talks {
			if t.Caller.CallID == o.Call {
				delete(r.talks, id)
			}
		}
	case orderDone:
		delete(r.talks, o.Offer)
	case orderSettle:
		if h := r.offers[o.Offer]; h != nil {
			out := o.Outcome
			if out == Answered {
				out = Cancelled
			}
			h.settled(out)
			delete(r.offers, o.Offer)
		}
	}
}

// fail answers a pending order with an error. r.mu is held.
func (r *Redis) fail(p *pending, err error) {
	r.undo(p.o)
	p.done <- err
}

// failAll answers every order that waits. r.mu is held.
func (r *Redis) failAll(err error) {
	for no, p := range r.inflight {
		delete(r.inflight, no)
		r.fail(p, err)
	}
	for _, p := range r.queue {
		r.fail(p, err)
	}
	r.queue = nil
}

// entry is one order as the log has it.
type entry struct {
	id   int64
	prev string // epoch and id of the order before
	data string
}

// absorb carries out the orders that are new here. It stops, and has the board read anew, when the log is torn.
// r.mu is held.
func (r *Redis) absorb(entries []entry) {
	for _, e := range entries {
		if r.torn {
			return
		}
		if e.id <= r.p.at {
			continue
		}
		if e.prev != prevOf(r.epoch, r.p.at) {
			r.tear("orders are missing here")
			return
		}
		r.take(e)
	}
}

func prevOf(epoch string, id int64) string { return fmt.Sprintf("%s:%d", epoch, id) }

func (r *Redis) tear(why string) {
	if !r.torn {
		r.torn = true
		r.node.Log.Warn("desk: the shared board is read anew", "why", why)
	}
	r.wake()
}

// take carries out the next order. r.mu is held.
func (r *Redis) take(e entry) {
	var o order
	if err := json.Unmarshal([]byte(e.data), &o); err != nil {
		r.node.Log.Error("desk: an order of the shared board cannot be read", "order", e.id, "err", err)
		o = order{Kind: "unreadable"} // the same for every node
	}
	own := o.Node == r.id
	var p *pending
	if own && o.No > 0 {
		p = r.inflight[o.No]
	}
	var before *Waiter
	if p != nil && p.waiter != nil {
		before = r.waiters[o.Caller.CallID]
		r.waiters[o.Caller.CallID] = p.waiter
	}
	repairs, err := r.p.apply(e.id, &o)
	if p != nil && p.waiter != nil && err != nil {
		delete(r.waiters, o.Caller.CallID)
		if before != nil {
			r.waiters[o.Caller.CallID] = before
		}
	}
	switch {
	case own && errors.Is(err, errRetired):
		r.tear("this node had been given up") // what was ordered is ordered again after joining
	case p != nil:
		delete(r.inflight, o.No)
		p.repairs = repairs
		p.done <- err
	}
	if o.Sum != nil && !r.p.agrees(*o.Sum) {
		r.node.Log.Error("desk: this node's picture of the shared board differed from another's", "order", o.Sum.At)
		r.tear("the picture here was wrong")
	}
	if r.p.n%snapshotEvery == 0 {
		r.snap(own)
	}
}

// snap sums the board, and writes it down when the order that made it due is ours. r.mu is held.
func (r *Redis) snap(own bool) {
	data, err := r.p.save()
	if err != nil {
		r.node.Log.Error("desk: the shared board", "err", err)
		return
	}
	sum := r.p.summed(data)
	dead := r.p.dead
	r.p.dead = map[string]uint64{}
	if !own || r.closed {
		return
	}
	r.enqueue(&order{Kind: orderSum, Sum: &sum}, &pending{})
	go func(epoch string) {
		if err := r.keep(epoch, sum.At, data, dead); err != nil {
			r.node.Log.Warn("desk: write down the shared board", "err", err)
		}
	}(r.epoch)
}

// tell wires a replica to what lives on this node. r.mu is held whenever the replica decides.
func (r *Redis) tell(f *floor) {
	f.offered = func(o *offer) {
		if w := r.waiters[o.caller.CallID]; w != nil && o.caller.node == r.id {
			h := newOffer(r, o)
			h.Node = r.name(h.Node)
			r.offers[o.id] = h
			w.push(h)
		}
	}
	f.settled = func(o *offer) {
		if h := r.offers[o.id]; h != nil {
			delete(r.offers, o.id)
			if o.outcome == Answered {
				r.talks[o.id] = talkTruth{Offer: o.id, Seat: o.seat.Extension, Caller: o.caller.Caller, Answered: orderTime(r.p.at)}
			}
			h.settled(o.outcome)
		}
	}
	f.parted = func(callID, _ string) {
		if w := r.waiters[callID]; w != nil {
			w.finish(nil)
			delete(r.waiters, callID)
		}
	}
	f.moved = func() {
		if !r.pulsing {
			r.pulsing = true
			time.AfterFunc(pulseEvery, r.pulse)
		}
	}
	f.event = func(ev Event) {
		if ev.Kind == TalkDone {
			delete(r.talks, ev.OfferID)
		}
		r.publish(ev)
	}
}

// name is the stable name of a node, or its id when it has none.
func (r *Redis) name(id string) string {
	if m := r.p.nodes[id]; m != nil && m.Name != "" {
		return m.Name
	}
	return id
}

func (r *Redis) pulse() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pulsing = false
	for _, w := range r.waiters {
		w.pulse()
	}
}

func (r *Redis) publish(ev Event) {
	r.seq++
	ev.Seq = r.seq
	for s := range r.subs {
		ev.Missed = s.missed
		select {
		case s.ch <- ev:
			s.missed = 0
		default:
			s.missed++
		}
	}
}
