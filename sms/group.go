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
	q  shared[func(*storage.Tx) error]
}

// Do runs fn in a transaction, its own or one shared with others, and returns when that has committed. When a shared
// one fails, each fn is run again alone, so that one bad text does not hold up the others: fn must not keep what it has
// read in a transaction that failed.
func (g *Group) Do(ctx context.Context, fn func(*storage.Tx) error) error {
	return g.q.do(ctx, g.DB, fn, func(tx *storage.Tx, all []func(*storage.Tx) error) error {
		for _, fn := range all {
			if err := fn(tx); err != nil {
				return err
			}
		}
		return nil
	})
}

// shared is a queue of things that are noted together.
type shared[T any] struct {
	mu   sync.Mutex
	busy bool
	next []*job[T]
}

// most is how many share a transaction.
const most = 200

type job[T any] struct {
	what T
	done chan error
	lead chan struct{}
}

// do notes one thing by note, alone or with others, as Group.Do says.
func (q *shared[T]) do(ctx context.Context, db *storage.DB, what T, note func(*storage.Tx, []T) error) error {
	ctx = context.WithoutCancel(ctx) // it is not only the first one's transaction
	j := &job[T]{what, make(chan error, 1), make(chan struct{}, 1)}
	q.mu.Lock()
	q.next = append(q.next, j)
	wait := q.busy
	q.busy = true
	q.mu.Unlock()
	if wait {
		select {
		case err := <-j.done:
			return err
		case <-j.lead:
		}
	}
	q.mu.Lock()
	n := min(len(q.next), most)
	jobs := q.next[:n:n]
	q.next = q.next[n:]
	q.mu.Unlock()

	all := make([]T, n)
	for i, j := range jobs {
		all[i] = j.what
	}
	err := try(ctx, db, all, note)
	for i, j := range jobs {
		one := err
		if err != nil && n > 1 {
			one = try(ctx, db, all[i:i+1], note)
		}
		j.done <- one
	}

	q.mu.Lock()
	if q.busy = len(q.next) > 0; q.busy {
		q.next[0].lead <- struct{}{} // it takes itself and those behind it
	}
	q.mu.Unlock()
	return <-j.done
}

func try[T any](ctx context.Context, db *storage.DB, all []T, note func(*storage.Tx, []T) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p) // or all who wait would wait for ever
		}
	}()
	return db.Update(ctx, func(tx *storage.Tx) error { return note(tx, all) })
}
