package sip

import (
	"context"
	"fmt"

	gosip "github.com/emiago/sipgo/sip"
)

// A Holder is a Call that can put its far end on hold. SIP legs can.
type Holder interface {
	// Hold tells the far end to stop sending and returns when it has agreed. We go on sending, so that music can be played to it, and
	// its silence no longer ends the call. Holding twice is no error. ErrNotNow is for a call that is not up, or whose media are just
	// being negotiated; a refusal is a *DialError and leaves everything as it was.
	Hold(ctx context.Context) error

	// Resume takes the far end back from hold.
	Resume(ctx context.Context) error
}

var _ Holder = (*leg)(nil)

func (l *leg) Hold(ctx context.Context) error   { return l.hold(ctx, true) }
func (l *leg) Resume(ctx context.Context) error { return l.hold(ctx, false) }

func (l *leg) hold(ctx context.Context, on bool) error {
	l.mu.Lock()
	switch {
	case l.state == over:
		l.mu.Unlock()
		return ErrEnded
	case l.state != up:
		l.mu.Unlock()
		return ErrNotNow
	case l.holding == on:
		l.mu.Unlock()
		return nil
	}
	l.mu.Unlock()

	before := both
	res, err := l.change(ctx, gosip.INVITE, func() []byte { // again after a glare, perhaps with another stream
		before, l.holding = l.stream.dir, on
		if l.stream.dir = both; on { // RFC 3264 8.4; a far end that holds us, too, makes it inactive
			l.stream.dir = before & sends
		}
		return l.reoffer()
	})
	if err == nil && res.StatusCode >= 300 {
		err = &DialError{Code: res.StatusCode, Reason: maskDigits(clean(res.Reason, 80)), Kind: kindOf(res.StatusCode)}
	}
	if err != nil {
		l.mu.Lock()
		if l.holding == on {
			l.holding, l.stream.dir = !on, before
		}
		l.mu.Unlock()
		return fmt.Errorf("hold: %w", err)
	}
	return nil
}

// reoffer writes our stream as an offer within the session: with the same media lines as before, the refused ones included
// (RFC 3264 8). mu is held.
func (l *leg) reoffer() []byte {
	if l.remote == nil {
		return l.sdp.offer(l.stream)
	}
	return l.sdp.answer(l.remote, l.stream)
}

// held is what is left of a direction while we hold the far end.
func (l *leg) held(d direction) direction {
	if l.holding {
		return d &^ receives
	}
	return d
}
