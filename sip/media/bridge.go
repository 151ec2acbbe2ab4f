package media

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A pipe carries what one leg hears to another leg: a ring of a few frames between two pacers, or between two
// slots of one, without a lock. A leg with one pipe passes frames on as they are; one with several mixes them.
type pipe struct {
	ring [pipeFrames]frame
	head atomic.Uint32 // frames written
	tail atomic.Uint32 // frames read

	ending atomic.Bool // the reader fades it out; then the pipe is dead

	// The reader's.
	low, window uint32
	open        bool // it is heard at full strength
	dead        bool // it has faded out
}

const (
	pipeFrames = 8
	pipeDepth  = 2 // frames waiting beyond this are dropped: delay, not safety
)

// fadeOut is how long a pipe stays in its legs' lists after its end, in which its reader fades it out.
const fadeOut = 5 * FrameTime

func newPipe() *pipe { return &pipe{low: pipeFrames} }

// push adds a frame; when the reader has stopped the frame is lost.
func (p *pipe) push(f *frame) {
	h := p.head.Load()
	if h-p.tail.Load() >= pipeFrames {
		return
	}
	p.ring[h%pipeFrames] = *f
	p.head.Store(h + 1)
}

// pop takes the oldest frame. The two ends run on the same clock, so there is one frame for each call; after
// a stall of either end what has piled up is thrown away, so that the delay does not stay.
func (p *pipe) pop(f *frame) bool {
	t := p.tail.Load()
	n := p.head.Load() - t
	if n == 0 {
		p.window, p.low = 0, pipeFrames
		return false
	}
	p.low = min(p.low, n)
	if p.window++; n > pipeDepth+1 {
		t += n - pipeDepth
	} else if p.window >= adaptFrames {
		if p.low >= 2 {
			t++
		}
		p.window, p.low = 0, pipeFrames
	}
	*f = p.ring[t%pipeFrames]
	p.tail.Store(t + 1)
	return true
}

// Connect lets two legs talk with each other until disconnect, which is idempotent. Same codec: the payload is
// copied, with each leg's own SSRC, sequence and timestamps; A-law and µ-law are translated. A leg may be
// connected to several others: it hears the sum, so three legs connected pairwise are a conference. A prompt
// played to a leg is heard by it instead of the others, and by it alone.
func Connect(a, b *Leg) (disconnect func(), err error) {
	if a == b {
		return nil, errors.New("connect legs: a leg cannot talk with itself")
	}
	there, err := Listen(a, b)
	if err != nil {
		return nil, err
	}
	back, err := Listen(b, a)
	if err != nil {
		there()
		return nil, err
	}
	return func() { there(); back() }, nil
}

// Listen lets one leg hear another, one way, until stop, which is idempotent: a supervisor who listens, or whispers. Both
// ends of it are faded within a frame, so that nothing clicks.
func Listen(from, to *Leg) (stop func(), err error) {
	p := newPipe()
	if !to.change(func() { edit(&to.ins, p, true) }) {
		return nil, fmt.Errorf("connect legs: %w", ErrClosed)
	}
	if !from.change(func() { edit(&from.outs, p, true) }) {
		to.change(func() { edit(&to.ins, p, false) })
		return nil, fmt.Errorf("connect legs: %w", ErrClosed)
	}
	var once sync.Once
	return func() {
		once.Do(func() {
			p.ending.Store(true)
			time.AfterFunc(fadeOut, func() {
				from.change(func() { edit(&from.outs, p, false) })
				to.change(func() { edit(&to.ins, p, false) })
			})
		})
	}, nil
}

// Mix connects every leg with every other until leave is called. A Conference can do more: its members come and go and change roles.
func Mix(legs ...*Leg) (leave func(), err error) {
	var undo []func()
	leave = func() {
		for _, u := range undo {
			u()
		}
	}
	for i, a := range legs {
		for _, b := range legs[:i] {
			d, err := Connect(a, b)
			if err != nil {
				leave()
				return nil, err
			}
			undo = append(undo, d)
		}
	}
	return leave, nil
}

// change runs f under the leg's lock; false when the leg is closed.
func (l *Leg) change(f func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closing.Load() {
		return false
	}
	f()
	return true
}

// edit adds or removes an element of a list that the pacer reads: it is replaced, never changed.
func edit[T comparable](list *atomic.Pointer[[]T], v T, add bool) {
	var old []T
	if p := list.Load(); p != nil {
		old = *p
	}
	next := slices.Clone(old)
	if add {
		next = append(next, v)
	} else {
		next = slices.DeleteFunc(next, func(x T) bool { return x == v })
	}
	if len(next) == 0 {
		list.Store(nil)
		return
	}
	list.Store(&next)
}
