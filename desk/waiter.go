package desk

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// backend is what a Waiter and its offers ask of the board that made them.
type backend interface {
	leave(callID, reason string)
	settle(offerID string, o Outcome) error
	done(offerID string)
	place(callID string) Place
}

// Waiter is a caller's ticket in the queue. Next is for one goroutine; the other methods are for any.
type Waiter struct {
	Caller Caller

	b       backend
	changed chan struct{}
	over    chan struct{} // closed when the caller is out of the queue

	mu     sync.Mutex
	offers []*Offer
	wake   chan struct{}
	isOver bool
	why    error // what Next returns then
}

func newWaiter(b backend, c Caller) *Waiter {
	return &Waiter{Caller: c, b: b, changed: make(chan struct{}, 1), over: make(chan struct{}), wake: make(chan struct{}, 1)}
}

// Next blocks until an operator is reserved for this caller and returns the offer. Under RingAll it returns one offer
// after the other while the first are still ringing. Errors: ErrLeft once the caller is out of the queue (answered or
// left), together with ErrDown when a shared board could not be reached any more; or the error of ctx.
func (w *Waiter) Next(ctx context.Context) (*Offer, error) {
	for {
		w.mu.Lock()
		for len(w.offers) > 0 {
			o := w.offers[0]
			w.offers = w.offers[1:]
			if o.Over() == "" {
				w.mu.Unlock()
				return o, nil
			}
		}
		isOver, why := w.isOver, w.why
		w.mu.Unlock()
		if isOver {
			return nil, why
		}
		select {
		case <-w.wake:
		case <-w.over:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Place is the caller's standing now.
func (w *Waiter) Place() Place { return w.b.place(w.Caller.CallID) }

// Position is Place().Position: 1 is next, 0 is not waiting.
func (w *Waiter) Position() int { return w.Place().Position }

// Changed delivers a value when the caller's place may have changed. Several changes may arrive as one.
func (w *Waiter) Changed() <-chan struct{} { return w.changed }

// Left is closed when the caller is out of the queue: answered, left, or the board was closed.
func (w *Waiter) Left() <-chan struct{} { return w.over }

// Leave takes the caller out of the queue and cancels the offers that still ring. A caller who talks is not affected.
// It may be called any number of times.
func (w *Waiter) Leave(reason string) { w.b.leave(w.Caller.CallID, reason) }

func (w *Waiter) push(o *Offer) {
	w.mu.Lock()
	w.offers = append(w.offers, o)
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *Waiter) pulse() {
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

// finish ends the wait. A cause is told with ErrLeft.
func (w *Waiter) finish(cause error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.isOver {
		w.isOver, w.why = true, ErrLeft
		if cause != nil {
			w.why = fmt.Errorf("%w: %w", ErrLeft, cause)
		}
		close(w.over)
	}
}

// Offer is one operator reserved for one caller.
type Offer struct {
	ID       string
	CallID   string
	Operator Operator
	Deadline time.Time
	Node     string // where the operator's phone is registered; empty on a board of one node

	b       backend
	mu      sync.Mutex
	outcome Outcome
	gone    chan struct{}
}

func newOffer(b backend, o *offer) *Offer {
	h := &Offer{ID: o.id, CallID: o.caller.CallID, Operator: o.op, Deadline: o.deadline, b: b, gone: make(chan struct{})}
	if homes := o.seat.homes; slices.Contains(homes, o.caller.node) {
		h.Node = o.caller.node
	} else if len(homes) > 0 {
		h.Node = homes[len(homes)-1]
	}
	return h
}

// Gone is closed when the offer has its outcome, whoever decided it. Whoever rings the phone stops then, unless the
// outcome is Answered.
func (o *Offer) Gone() <-chan struct{} { return o.gone }

// Over is the outcome, or empty while the offer is open.
func (o *Offer) Over() Outcome {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.outcome
}

// Answered reports that the operator took the call. ErrOfferOver means that it came too late: hang up the operator.
func (o *Offer) Answered() error { return o.b.settle(o.ID, Answered) }

// Failed reports why the operator did not take the call. ErrOfferOver means that the outcome was already known.
func (o *Offer) Failed(out Outcome) error {
	if out == Answered {
		out = Unreachable
	}
	return o.b.settle(o.ID, out)
}

// Done reports that operator and caller have parted; the operator's wrap-up begins. Only the first call counts.
func (o *Offer) Done() { o.b.done(o.ID) }

func (o *Offer) settled(out Outcome) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.outcome == "" {
		o.outcome = out
		close(o.gone)
	}
}
