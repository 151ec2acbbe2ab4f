package media

import (
	"context"
	"sync"
	"sync/atomic"
)

// A Tap is a copy of what a leg hears, for a recogniser: frames of 20 ms of 16-bit samples at 8 kHz, jitter
// removed, silence where nothing came, so that sample n was heard n/8000 s after the first. It holds two
// seconds; when the reader is slower, the oldest frames are dropped and counted.
type Tap struct {
	leg     *Leg
	frames  chan [FrameSamples]int16
	dropped atomic.Uint64
	once    sync.Once
	closed  chan struct{}
}

const tapFrames = 100

// Tap begins to copy. Close the tap when done.
func (l *Leg) Tap() *Tap {
	t := &Tap{leg: l, frames: make(chan [FrameSamples]int16, tapFrames), closed: make(chan struct{})}
	l.change(func() { edit(&l.taps, t, true) })
	return t
}

// push is called by the pacer.
func (t *Tap) push(pcm *[FrameSamples]int16) {
	for {
		select {
		case t.frames <- *pcm:
			return
		default:
		}
		select {
		case <-t.frames:
			t.dropped.Add(1)
		default:
		}
	}
}

// Read waits for the next frame and copies it to pcm, which must have room for FrameSamples; it returns how many
// samples it wrote. It returns ErrClosed once the leg or the tap is closed and everything has been read, and
// ctx.Err() when ctx ends.
func (t *Tap) Read(ctx context.Context, pcm []int16) (int, error) {
	select {
	case f := <-t.frames:
		return copy(pcm, f[:]), nil
	default:
	}
	select {
	case f := <-t.frames:
		return copy(pcm, f[:]), nil
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-t.leg.finished:
	case <-t.closed:
	}
	select {
	case f := <-t.frames: // came in the same moment
		return copy(pcm, f[:]), nil
	default:
		return 0, ErrClosed
	}
}

// Dropped is the number of frames lost because nobody read them in time.
func (t *Tap) Dropped() uint64 { return t.dropped.Load() }

// Close ends the tap. It is idempotent.
func (t *Tap) Close() {
	t.once.Do(func() {
		close(t.closed)
		t.leg.change(func() { edit(&t.leg.taps, t, false) })
	})
}
