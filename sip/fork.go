package sip

import (
	"context"
	"errors"
	"fmt"
)

// fork rings several places at once.
func (s *Server) fork(ctx context.Context, to []destination, o DialOpt) (Call, error) {
	type outcome struct {
		leg *leg
		err error
	}
	ctx, cancel := context.WithCancelCause(ctx)
	got := make(chan outcome, len(to))
	for _, d := range to {
		s.spawn(func() {
			out := outcome{err: fmt.Errorf("dial: %w", ErrUnreachable)}
			s.safely("dial", func() { out.leg, out.err = s.dialOne(ctx, d, o) })
			got <- out
		})
	}
	var worst error
	for n := len(to); n > 0; n-- {
		out := <-got
		if out.err == nil {
			cancel(errElsewhere)
			rest := n - 1
			s.spawn(func() { // whoever answered at the same moment
				for range rest {
					if late := <-got; late.leg != nil {
						_ = late.leg.hangup(context.Background(), "answered elsewhere")
					}
				}
			})
			return out.leg, nil
		}
		if rank(out.err) > rank(worst) {
			worst = out.err
		}
		var refusal *DialError
		if errors.As(out.err, &refusal) && refusal.Code >= 600 { // for all of the user's phones (RFC 3261 16.7)
			cancel(out.err)
			worst = out.err
		}
	}
	cancel(nil)
	return nil, worst
}

var errElsewhere = errors.New("answered elsewhere")

// rank orders errors by how much they tell about the user rather than about one of his phones.
func rank(err error) int {
	for i, e := range []error{ErrUnreachable, ErrNotFound, ErrForbidden, ErrNotAcceptable, ErrRedirected, ErrNoAnswer, ErrBusy, ErrDeclined} {
		if errors.Is(err, e) {
			return i + 2
		}
	}
	if err != nil {
		return 1
	}
	return 0
}
