package desk

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strconv"
	"time"
)

// Memory is a Board in this process: one goroutine owns all state.
type Memory struct {
	opt  Options
	f    *floor
	cmds chan command
	quit chan struct{}
	dead chan struct{}

	// Owned by the goroutine.
	waiters map[string]*Waiter
	offers  map[string]*Offer
	subs    map[*subscriber]struct{}
	seq     uint64
	dirty   bool
	pulsed  time.Time
}

var _ Board = (*Memory)(nil)
var _ backend = (*Memory)(nil)

type command struct {
	fn   func(now time.Time) error
	done chan error
}

type subscriber struct {
	ch     chan Event
	missed int
}

// pulseEvery bounds how often waiting callers are told that their place may have changed: a thousand of them need not
// wake for each of a thousand changes.
const pulseEvery = 100 * time.Millisecond

// NewMemory opens a board in memory. Close ends its goroutine.
func NewMemory(opt Options) *Memory {
	opt = opt.withDefaults()
	m := &Memory{
		opt: opt, f: newFloor(opt, "o"+strconv.FormatInt(opt.Now().UnixMilli(), 36)+"-"),
		cmds: make(chan command), quit: make(chan struct{}), dead: make(chan struct{}),
		waiters: map[string]*Waiter{}, offers: map[string]*Offer{}, subs: map[*subscriber]struct{}{},
	}
	m.f.offered = func(o *offer) {
		h := newOffer(m, o)
		m.offers[o.id] = h
		if w := m.waiters[o.caller.CallID]; w != nil {
			w.push(h)
		}
	}
	m.f.settled = func(o *offer) {
		if h := m.offers[o.id]; h != nil {
			delete(m.offers, o.id)
			h.settled(o.outcome)
		}
	}
	m.f.parted = func(callID, _ string) {
		if w := m.waiters[callID]; w != nil {
			w.finish(nil)
			delete(m.waiters, callID)
		}
	}
	m.f.moved = func() { m.dirty = true }
	m.f.event = m.publish
	go m.run()
	return m
}

func (m *Memory) run() {
	defer close(m.dead)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		now := m.opt.Now()
		due := m.f.next()
		at := due
		if m.dirty {
			if then := m.pulsed.Add(pulseEvery); !now.Before(then) {
				m.pulse(now)
			} else if at.IsZero() || then.Before(at) {
				at = then
			}
		}
		wait := time.Hour
		if !at.IsZero() {
			wait = max(at.Sub(now), time.Millisecond)
		}
		timer.Reset(wait)
		select {
		case c := <-m.cmds:
			// A command may come in the very moment at which something is due. What time decides goes first: after the
			// command that moment is past, and nothing would call for it again.
			if !due.IsZero() && !m.opt.Now().Before(due) {
				_ = m.guard(m.tick)
			}
			c.done <- m.guard(c.fn)
		case <-timer.C:
			_ = m.guard(m.tick)
		case <-m.quit:
			for _, w := range m.waiters {
				w.finish(nil)
			}
			for _, o := range m.offers {
				o.settled(Cancelled)
			}
			for s := range m.subs {
				close(s.ch)
			}
			return
		}
	}
}

// guard keeps the owner alive if a decision panics: a queue that stands still is worse than one wrong decision, which
// Sweep and the deadlines put right.
func (m *Memory) guard(fn func(time.Time) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("desk: panic in a decision: %v", p)
			slog.Error("desk: panic in a decision", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			m.f.reindex() // whatever the decision left half done
		}
	}()
	return fn(m.opt.Now())
}

func (m *Memory) tick(now time.Time) error { m.f.tick(now); return nil }

func (m *Memory) pulse(now time.Time) {
	m.dirty, m.pulsed = false, now
	for _, w := range m.waiters {
		w.pulse()
	}
}

func (m *Memory) publish(ev Event) {
	m.seq++
	ev.Seq = m.seq
	for s := range m.subs {
		ev.Missed = s.missed
		select {
		case s.ch <- ev:
			s.missed = 0
		default:
			s.missed++
		}
	}
}

// do has the owner run fn and returns its error.
func (m *Memory) do(ctx context.Context, fn func(now time.Time) error) error {
	c := command{fn: fn, done: make(chan error, 1)}
	select {
	case m.cmds <- c:
	case <-m.dead:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-c.done:
		return err
	case <-m.dead:
		return ErrClosed
	}
}

// Put implements Board.
func (m *Memory) Put(ctx context.Context, op Operator) error {
	return m.do(ctx, func(now time.Time) error { m.f.put(op, now); return nil })
}

// Remove implements Board.
func (m *Memory) Remove(ctx context.Context, extension string) error {
	return m.do(ctx, func(now time.Time) error { return m.f.remove(extension, now) })
}

// Registered implements Board.
func (m *Memory) Registered(ctx context.Context, extension string, up bool) error {
	return m.do(ctx, func(now time.Time) error { return m.f.register("", extension, up, now) })
}

// Set implements Board.
func (m *Memory) Set(ctx context.Context, extension string, s State, reason string) error {
	return m.do(ctx, func(now time.Time) error { return m.f.set(extension, s, reason, now) })
}

// Wait implements Board.
func (m *Memory) Wait(ctx context.Context, c Caller) (*Waiter, error) {
	w := newWaiter(m, c)
	err := m.do(ctx, func(now time.Time) error {
		if _, known := m.f.calls[c.CallID]; known {
			return ErrWaiting
		}
		m.waiters[c.CallID] = w
		if err := m.f.wait("", c, now); err != nil {
			delete(m.waiters, c.CallID)
			return err
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() {
		_ = m.do(context.Background(), func(now time.Time) error { m.f.gone(c.CallID, "caller gone", now); return nil })
	})
	return w, nil
}

// Configure implements Board.
func (m *Memory) Configure(ctx context.Context, queues []Queue) error {
	return m.do(ctx, func(now time.Time) error { m.f.configure(queues, now); return nil })
}

// Duty implements Board.
func (m *Memory) Duty(ctx context.Context, c Caller) (p Place, err error) {
	err = m.do(ctx, func(now time.Time) error {
		p = m.f.place(m.f.stranger(c, now))
		return nil
	})
	return p, err
}

// Snapshot implements Board.
func (m *Memory) Snapshot(ctx context.Context) (sn Snapshot, err error) {
	err = m.do(ctx, func(now time.Time) error { sn = m.f.snapshot(now); return nil })
	return sn, err
}

// Subscribe implements Board.
func (m *Memory) Subscribe(ctx context.Context) <-chan Event {
	s := &subscriber{ch: make(chan Event, 256)}
	err := m.do(ctx, func(time.Time) error { m.subs[s] = struct{}{}; return nil })
	if err != nil {
		close(s.ch)
		return s.ch
	}
	context.AfterFunc(ctx, func() {
		_ = m.do(context.Background(), func(time.Time) error {
			delete(m.subs, s)
			close(s.ch)
			return nil
		})
	})
	return s.ch
}

// Sweep implements Board. Reality is asked while the board goes on, so its functions may themselves wait for the board.
func (m *Memory) Sweep(ctx context.Context, r Reality) (done []Repair, err error) {
	phones, lives := map[string]bool{}, map[string]bool{}
	if err := m.do(ctx, func(time.Time) error {
		for ext, s := range m.f.seats {
			phones[ext] = s.registered
		}
		for id := range m.f.calls {
			lives[id] = true
		}
		return nil
	}); err != nil {
		return nil, err
	}
	seen := Reality{}
	if r.Registered != nil {
		for ext := range phones {
			phones[ext] = r.Registered(ext)
		}
		seen.Registered = func(ext string) bool {
			up, asked := phones[ext]
			return asked && up || !asked && m.f.seats[ext].registered
		}
	}
	if r.Live != nil {
		for id := range lives {
			lives[id] = r.Live(id)
		}
		seen.Live = func(id string) bool {
			live, asked := lives[id]
			return live || !asked
		}
	}
	err = m.do(ctx, func(now time.Time) error { done = m.f.sweep("", seen, now); return nil })
	return done, err
}

// Close implements Board.
func (m *Memory) Close() error {
	select {
	case m.quit <- struct{}{}:
		<-m.dead
	case <-m.dead:
	}
	return nil
}

func (m *Memory) leave(callID, reason string) {
	_ = m.do(context.Background(), func(now time.Time) error { m.f.leave(callID, reason, now); return nil })
}

func (m *Memory) settle(offerID string, o Outcome) error {
	return m.do(context.Background(), func(now time.Time) error { return m.f.settle(offerID, o, now) })
}

func (m *Memory) done(offerID string) {
	_ = m.do(context.Background(), func(now time.Time) error { m.f.done(offerID, now); return nil })
}

func (m *Memory) place(callID string) (p Place) {
	_ = m.do(context.Background(), func(time.Time) error {
		if w := m.f.calls[callID]; w != nil && w.waiting {
			p = m.f.place(w)
		}
		return nil
	})
	return p
}
