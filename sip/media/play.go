package media

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
)

// playback is a prompt being played once.
type playback struct {
	prompt *Prompt
	pos    int // next frame; the pacer's
	done   chan struct{}
}

// next writes the prompt's next frame; false when there is none left.
func (p *playback) next(f *frame, c Codec) bool {
	if p.pos >= p.prompt.frames {
		return false
	}
	p.prompt.frame(f, c, p.pos)
	p.pos++
	return true
}

func (p *playback) over() bool { return p.pos >= p.prompt.frames }
func (p *playback) finish()    { close(p.done) }

// Play says a prompt to the far end, before anything else that is connected to the leg, and returns when its last
// frame has been sent. When ctx ends (the caller pressed a key: barge-in) it stops within a frame and returns
// ctx.Err(); when the leg closes it returns ErrClosed. Calls at the same time play one after the other.
func (l *Leg) Play(ctx context.Context, p *Prompt) error {
	if l.setup.Load() == nil && !l.closing.Load() {
		return fmt.Errorf("play %s: %w", p.name, ErrNotStarted)
	}
	if err := l.turn(ctx, l.playTurn); err != nil {
		return err
	}
	defer func() { l.playTurn <- struct{}{} }()
	if p.frames == 0 {
		return nil
	}
	b := &playback{prompt: p, done: make(chan struct{})}
	l.play.Store(b)
	defer l.play.CompareAndSwap(b, nil)
	return l.await(ctx, b.done)
}

// turn takes the token of a queue of one.
func (l *Leg) turn(ctx context.Context, token chan struct{}) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if l.closing.Load() {
		return ErrClosed
	}
	select {
	case <-token:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-l.done:
		return ErrClosed
	}
}

// await waits for the pacer to finish something.
func (l *Leg) await(ctx context.Context, done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-l.done:
		return ErrClosed
	}
}

// looping is a prompt that begins anew at its end: music on hold.
type looping struct {
	prompt *Prompt
	pos    int
	off    atomic.Bool
}

func (m *looping) next(f *frame, c Codec) bool {
	if m.off.Load() {
		return false
	}
	m.prompt.frame(f, c, m.pos)
	m.pos = (m.pos + 1) % m.prompt.frames
	return true
}

// StandIn is what those who listen to this leg hear while its far end holds us (Params.Receive is false) and sends nothing: music on hold.
// A later StandIn replaces it; nil takes it away.
func (l *Leg) StandIn(p *Prompt) {
	if p == nil || p.frames == 0 {
		l.standIn.Store(nil)
		return
	}
	l.standIn.Store(&looping{prompt: p, pos: rand.IntN(p.frames)})
}

// Loop plays a prompt over and over whenever nothing else is said, beginning at a random place, so that callers
// who wait together do not hear the same bar. A later Loop replaces it. stop is idempotent.
func (l *Leg) Loop(p *Prompt) (stop func()) {
	if p.frames == 0 {
		return func() {}
	}
	m := &looping{prompt: p, pos: rand.IntN(p.frames)}
	l.loop.Store(m)
	return func() {
		m.off.Store(true)
		l.loop.CompareAndSwap(m, nil)
	}
}
