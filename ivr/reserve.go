package ivr

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"lianxin/desk"
)

// reservation holds an operator for a call that does not come out of the queue: a transfer, a consultation, a call of their own. The
// board is told as far as it has a word for it, so that nobody is offered a caller while the phone is taken.
type reservation struct {
	Extension string
	StaffID   string
	Deadline  time.Time // by when the phone is to be answered

	offer *desk.Offer
	over  context.CancelFunc
	back  func()
	once  sync.Once
}

var errTaken = errors.New("the extension is taken by another call")

// reservedPriority puts a call that is meant for one operator before all who wait.
const reservedPriority = 1000

// reserve takes an operator. One who is ready is offered the call as any other, and rings; one in a break or in wrap-up stays there,
// and is not offered a caller before the call is over. An extension that is no seat on the board is nobody's to reserve.
func (h *Hotline) reserve(ctx context.Context, callID, label, ext, why string) (*reservation, error) {
	r := &reservation{Extension: ext, Deadline: time.Now().Add(ringTime)}
	sn, err := h.cfg.Board.Snapshot(ctx)
	if errors.Is(err, desk.ErrDown) {
		return r, nil // the board cannot be asked; a phone that is busy says so
	}
	if err != nil {
		return nil, fmt.Errorf("reserve %s: %w", ext, err)
	}
	var seat *desk.OperatorView
	var others []string
	for i, o := range sn.Operators {
		if o.Extension == ext {
			seat = &sn.Operators[i]
		} else {
			others = append(others, o.Extension)
		}
	}
	if seat == nil {
		return r, nil
	}
	r.StaffID = seat.StaffID
	switch seat.State {
	case desk.Talking, desk.Ringing:
		return nil, fmt.Errorf("reserve %s: %w", ext, errTaken)
	case desk.WrapUp:
		r.back = h.occupy(ctx, ext, why)
		return r, nil
	case desk.Ready:
	default:
		return r, nil
	}
	life, over := context.WithCancel(context.WithoutCancel(ctx))
	w, err := h.cfg.Board.Wait(life, desk.Caller{CallID: callID, Label: label, Priority: reservedPriority, Prefer: ext, Exclude: others})
	if err != nil {
		over()
		if errors.Is(err, desk.ErrDown) {
			return r, nil
		}
		return nil, fmt.Errorf("reserve %s: %w", ext, err)
	}
	soon, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	o, err := w.Next(soon)
	if err != nil {
		w.Leave("the operator was taken meanwhile")
		over()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("reserve %s: %w", ext, errTaken)
	}
	r.offer, r.over = o, over
	if r.Deadline = o.Deadline; r.Deadline.IsZero() {
		r.Deadline = time.Now().Add(ringTime)
	}
	return r, nil
}

// ringTime is how long a phone that is called by name rings.
const ringTime = 30 * time.Second

// answered says that the phone has been.
func (r *reservation) answered() error {
	if r.offer == nil {
		return nil
	}
	return r.offer.Answered()
}

// failed says why it has not, and gives the operator back.
func (r *reservation) failed(out desk.Outcome) {
	if r.offer != nil {
		_ = r.offer.Failed(out)
	}
	r.done()
}

// done gives the operator back: the call is over for them.
func (r *reservation) done() {
	r.once.Do(func() {
		if r.offer != nil {
			r.offer.Done()
			r.over()
		}
		if r.back != nil {
			r.back()
		}
	})
}

// gone is closed when the board has decided the offer otherwise; nil, which never is, where there is none.
func (r *reservation) gone() <-chan struct{} {
	if r.offer == nil {
		return nil
	}
	return r.offer.Gone()
}

// occupy keeps an operator who is ready or in wrap-up from being offered callers, and shows why, until back is called. What they
// choose meanwhile stays.
func (h *Hotline) occupy(ctx context.Context, ext, why string) (back func()) {
	state := func(ctx context.Context) (desk.State, string) {
		sn, err := h.cfg.Board.Snapshot(ctx)
		if err != nil {
			return "", ""
		}
		for _, o := range sn.Operators {
			if o.Extension == ext {
				return o.State, o.Reason
			}
		}
		return "", ""
	}
	if s, _ := state(ctx); s != desk.Ready && s != desk.WrapUp {
		return func() {}
	}
	if err := h.cfg.Board.Set(ctx, ext, desk.Break, why); err != nil {
		return func() {}
	}
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if s, reason := state(ctx); s == desk.Break && reason == why {
			if err := h.cfg.Board.Set(ctx, ext, desk.Ready, ""); err != nil && !errors.Is(err, desk.ErrNoPhone) && !errors.Is(err, desk.ErrClosed) {
				h.log.Error("ivr: give an operator back", "extension", ext, "err", err)
			}
		}
	}
}
