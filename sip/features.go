package sip

import "context"

// What a telephone at the far end may ask of us, beyond talking. A Call whose far end can ask it is a Featured; SIP legs are. Nothing
// is granted that is not listened for: a REFER is refused with 403 then, and so is an INVITE that wants to replace the leg.
type Featured interface {
	// OnHold is told, in order, when the far end holds us and when it takes us back. It must not block for long.
	OnHold(func(held bool))

	// OnRefer is asked when the far end wants its conversation moved (RFC 3515). It answers at once with 202, and goes on by itself, or
	// with the code of its refusal.
	OnRefer(func(*Refer) int)

	// OnReplaced is given a leg of the same user, or of one who may, that wants this one's place (RFC 3891). It serves that leg as a
	// handler does; this one it hangs up.
	OnReplaced(func(ctx context.Context, by Call))
}

var _ Featured = (*leg)(nil)

// features are the functions that a leg tells; under the leg's mu.
type features struct {
	held     bool
	onHold   func(bool)
	onRefer  func(*Refer) int
	replaced func(context.Context, Call)

	holds    chan bool // what onHold is yet to be told, in order
	referred *referral // a REFER of ours that waits for its NOTIFYs
}

// OnHold implements Featured.
func (l *leg) OnHold(f func(bool)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.features.onHold = f
	if l.features.held {
		l.tellHold(true)
	}
}

// OnRefer implements Featured.
func (l *leg) OnRefer(f func(*Refer) int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.features.onRefer = f
}

// OnReplaced implements Featured.
func (l *leg) OnReplaced(f func(context.Context, Call)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.features.replaced = f
}

// heldBy notes whether the far end listens: it does not while it holds us (RFC 3264 8.4, and c=0.0.0.0 before that). mu is held.
func (l *leg) heldBy(r *remote) {
	held := r.dir&receives == 0
	if held == l.features.held || l.state == over {
		return
	}
	l.features.held = held
	l.tellHold(held)
}

// tellHold passes a hold on, after those before it. mu is held.
func (l *leg) tellHold(held bool) {
	f := &l.features
	if f.onHold == nil {
		return
	}
	if f.holds == nil {
		f.holds = make(chan bool, 64)
		holds := f.holds
		l.s.spawn(func() {
			for {
				select {
				case on := <-holds:
					l.mu.Lock()
					tell := l.features.onHold
					l.mu.Unlock()
					if tell != nil {
						l.s.safely("OnHold", func() { tell(on) })
					}
				case <-l.done:
					return
				}
			}
		})
	}
	select {
	case f.holds <- held:
	default: // whoever toggles so fast is told the end of it by the next change
	}
}
