package sms

import (
	"context"
	"fmt"
	"sync"

	"lianxin/storage"
)

// Group commits what several goroutines have to note in one transaction: whoever comes while a commit is under way shares
// the next one, so that a busy disk costs one fsync for many and an idle one costs no waiting.
type Group struct {
	DB *storage.DB

	mu   sync.Mutex
	busy bool
	next []*job
}

// most is how many share a transaction.
const most = 200

type job struct {
	fn   func(*storage.Tx) error
	done chan error
	lead chan struct{}
}

// Do runs fn in a transaction, its own or one shared with others, and returns when that has committed. When a shared
// one fails, each fn is run again alone, so that one bad text does not hold up the others: fn must not keep what it has
// read in a transaction that failed.
func (g *Group) Do(ctx context.Context, fn func(*storage.Tx) error) error {
	ctx = context.WithoutCancel(ctx) // it is not only the first one's transaction
	j := &job{fn, make(chan error, 1), make(chan struct{}, 1)}
	g.mu.Lock()
	g.next = append(g.next, j)
	wait := g.busy
	g.busy = true
	g.mu.Unlock()
	if wait {
		select {
		case err := <-j.done:
			return err
		case <-j.lead:
		}
	}
	g.mu.Lock()
	n := min(len(g.next), most)
	jobs := g.next[:n:n]
	g.next = g.next[n:]
	g.mu.Unlock()

	err := g.try(ctx, jobs)
	for _, j := range jobs {
		one := err
		if err != nil && len(jobs) > 1 {
			one = g.try(ctx, []*job{j})
		}
		j.done <- one
	}

	g.mu.Lock()
	if g.busy = len(g.next) > 0; g.busy {
		g.next[0].lead <- struct{}{} // it takes itself and those behind it
	}
	g.mu.Unlock()
	return <-j.done
}

func (g *Group) try(ctx context.Context, jobs []*job) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p) // or all who wait would wait for ever
		}
	}()
	return g.DB.Update(ctx, func(tx *storage.Tx) error {
		for _, j := range jobs {
			if err := j.fn(tx); err != nil {
				return err
			}
		}
		return nil
	})
}
