package sip

import (
	"sync"
	"time"

	gosip "github.com/emiago/sipgo/sip"
)

// crew are the goroutines that handle requests. They are used again, the last one first: a new goroutine has to grow its stack before
// it gets through a request, which has cost an eighth of a call.
type crew struct {
	handle func(*gosip.Request, serverTx)

	mu     sync.Mutex
	idle   []resting // the last one has rested least
	closed bool
}

type resting struct {
	work  chan work
	since time.Time
}

type work struct {
	req *gosip.Request
	tx  serverTx
}

// restsFor is how long a goroutine waits for more to do.
const restsFor = 10 * time.Second

// do has a request handled.
func (c *crew) do(req *gosip.Request, tx serverTx) {
	c.mu.Lock()
	if n := len(c.idle); n > 0 {
		to := c.idle[n-1].work
		c.idle[n-1] = resting{}
		c.idle = c.idle[:n-1]
		c.mu.Unlock()
		to <- work{req, tx}
		return
	}
	c.mu.Unlock()
	go c.member(work{req, tx})
}

func (c *crew) member(w work) {
	more := make(chan work, 1)
	for {
		c.handle(w.req, w.tx)
		w = work{}
		c.mu.Lock()
		if c.closed {
			c.mu.Unlock()
			return
		}
		c.idle = append(c.idle, resting{more, time.Now()})
		c.mu.Unlock()
		var ok bool
		if w, ok = <-more; !ok {
			return
		}
	}
}

// expire lets go of those who have had nothing to do for long.
func (c *crew) expire(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for n < len(c.idle) && now.Sub(c.idle[n].since) > restsFor {
		close(c.idle[n].work)
		n++
	}
	c.idle = append(c.idle[:0], c.idle[n:]...)
}

// close lets all go.
func (c *crew) close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.expire(time.Now().Add(time.Hour))
}
