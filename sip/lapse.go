package sip

import (
	"sync"
	"time"
)

// A lapse does something with each item a fixed time after it was put in. Thousands of calls share its one timer, where a timer for
// each would be kept in a heap that is the larger the longer they run. It may be late by a thirty-second of its time.
type lapse[T any] struct {
	wait   time.Duration
	grain  time.Duration
	safely func(string, func())
	do     func(T)

	mu      sync.Mutex
	queue   []lapsing[T] // in the order of their times
	head    int          // queue[:head] is done
	timer   *time.Timer
	armed   bool
	stopped bool
}

type lapsing[T any] struct {
	at   time.Time
	item T
}

func newLapse[T any](wait time.Duration, safely func(string, func()), do func(T)) *lapse[T] {
	return &lapse[T]{wait: wait, grain: wait / 32, safely: safely, do: do}
}

func (q *lapse[T]) put(item T) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.stopped {
		return
	}
	if q.head > 0 && len(q.queue) == cap(q.queue) && q.head >= len(q.queue)/2 { // room in front is room enough
		n := copy(q.queue, q.queue[q.head:])
		clear(q.queue[n:])
		q.queue, q.head = q.queue[:n], 0
	}
	q.queue = append(q.queue, lapsing[T]{time.Now().Add(q.wait), item})
	q.arm(q.wait)
}

// arm starts the timer if it is not running. mu is held.
func (q *lapse[T]) arm(d time.Duration) {
	if q.armed {
		return
	}
	q.armed = true
	if d += q.grain; q.timer == nil {
		q.timer = time.AfterFunc(d, q.lapsed)
	} else {
		q.timer.Reset(d)
	}
}

// lapsed does what is due.
func (q *lapse[T]) lapsed() {
	for {
		q.mu.Lock()
		if q.stopped || q.head == len(q.queue) {
			if cap(q.queue) > 256 { // it was busier: give the memory back
				q.queue = nil
			}
			clear(q.queue)
			q.queue, q.head, q.armed = q.queue[:0], 0, false
			q.mu.Unlock()
			return
		}
		next := &q.queue[q.head]
		if d := time.Until(next.at); d > 0 {
			q.armed = false
			q.arm(d)
			q.mu.Unlock()
			return
		}
		item := next.item
		*next = lapsing[T]{}
		q.head++
		q.mu.Unlock()
		q.safely("timer", func() { q.do(item) })
	}
}

func (q *lapse[T]) stop() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.stopped = true
	if q.timer != nil {
		q.timer.Stop()
	}
	q.queue, q.head = nil, 0
}
