package channel

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"lianxin/storage"
)

// Runner runs the connectors that the table holds. Several nodes may run one each: a row is claimed for as long as a run
// may take.
type Runner struct {
	Gateway *Gateway
	Look    time.Duration // how often it looks for work; 1 s when 0
	Changed func()        // called when a connector's state has changed; may be nil

	mu      sync.Mutex
	running map[string]bool
	wg      sync.WaitGroup
}

// lease is how long a claimed connector is left to the node that has it.
const lease = 2 * time.Minute

// timeout is how long one run may take to reach the other side.
const timeout = 15 * time.Second

// Run looks until ctx ends and waits for the runs under way.
func (r *Runner) Run(ctx context.Context) error {
	every := r.Look
	if every == 0 {
		every = time.Second
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if err := r.Once(ctx); err != nil && ctx.Err() == nil {
			r.Gateway.log().Error("channel: look at the connectors", "err", err)
		}
		select {
		case <-ctx.Done():
			r.wg.Wait()
			return nil
		case <-tick.C:
		}
	}
}

// Once relays what happened and starts every connector that is due. It does not wait for them.
func (r *Runner) Once(ctx context.Context) error {
	g := r.Gateway
	if _, err := g.relayIfBehind(ctx); err != nil {
		return err
	}
	var due []Connector
	now := g.now()
	err := g.DB.View(ctx, func(tx *storage.Tx) (err error) {
		due, err = storage.All(tx, g.scanConnector, selectConnector+` WHERE enabled = TRUE AND next_at <= $1 ORDER BY next_at`, storage.At(now))
		return err
	})
	if err != nil {
		return err
	}
	for _, c := range due {
		if !r.begin(c.ID) {
			continue
		}
		n := int64(0)
		err := g.DB.Update(ctx, func(tx *storage.Tx) (err error) {
			n, err = tx.Exec(`UPDATE channel_connector SET next_at = $2, last_try = $3 WHERE id = $1 AND enabled = TRUE AND next_at <= $3`, c.ID, storage.At(now.Add(lease)), storage.At(now))
			return err
		})
		if err != nil || n == 0 {
			r.end(c.ID)
			if err != nil {
				return err
			}
			continue
		}
		r.wg.Go(func() {
			defer r.end(c.ID)
			r.run(ctx, c)
		})
	}
	return nil
}

func (r *Runner) begin(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.running == nil {
		r.running = map[string]bool{}
	}
	if r.running[id] {
		return false
	}
	r.running[id] = true
	return true
}

func (r *Runner) end(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.running, id)
}

// moved is what a run has done.
type moved struct {
	items, odd int
	backlog    int // what is still waiting on the other side, or here
}

// run runs a connector once and writes down how it went.
func (r *Runner) run(ctx context.Context, c Connector) {
	g := r.Gateway
	within, cancel := context.WithTimeout(ctx, lease-10*time.Second)
	defer cancel()
	var m moved
	var err error
	func() {
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("panic: %v", p)
			}
		}()
		switch c.Kind {
		case IMAP:
			m, err = g.fetchMail(within, c)
		case Folder:
			m, err = g.takeFiles(within, c)
		case Push, Webhook, SMTP:
			m, err = g.deliver(within, c)
		case Results:
			m, err = g.putResults(within, c)
		default:
			err = errors.New("no such kind of connector")
		}
	}()
	if ctx.Err() != nil {
		return // we are going; the next start takes it up when the lease is over
	}
	now := g.now()
	noted := g.DB.Update(context.WithoutCancel(ctx), func(tx *storage.Tx) error {
		if err == nil {
			_, err := tx.Exec(`UPDATE channel_connector SET last_ok = $2, failures = 0, error = '', since = NULL, backlog = $3, moved = moved + $4, odd = odd + $5, next_at = $6
				WHERE id = $1`, c.ID, storage.At(now), m.backlog, m.items, m.odd, storage.At(now.Add(c.Every)))
			return err
		}
		// Trouble is looked at sooner than the next turn: what has recovered is noticed, and what is dead stays red.
		again := min(c.Every, 20*time.Second)
		_, err := tx.Exec(`UPDATE channel_connector SET failures = failures + 1, error = $2, since = COALESCE(since, $3), backlog = $4, moved = moved + $5, odd = odd + $6, next_at = $7
			WHERE id = $1`, c.ID, short(err), storage.At(now), m.backlog, m.items, m.odd, storage.At(now.Add(again)))
		return err
	})
	if noted != nil {
		g.log().Error("channel: note how a connector went", "connector", c.ID, "err", noted)
	}
	if err != nil {
		g.log().Warn("channel: connector", "connector", c.Name, "kind", c.Kind, "err", err)
	}
	if r.Changed != nil && (err != nil || m.items > 0 || c.Failures > 0) {
		r.Changed()
	}
}

// short is an error for a page: no longer than somebody reads.
func short(err error) string {
	s := []rune(clean(err.Error()))
	if len(s) > 300 {
		s = append(s[:300], '…')
	}
	return string(s)
}

// relayIfBehind is Relay when something has happened since.
func (g *Gateway) relayIfBehind(ctx context.Context) (int, error) {
	behind := false
	err := g.DB.View(ctx, func(tx *storage.Tx) error {
		head, err := storage.One(tx, storage.Value[int64], `SELECT seq FROM audit_head WHERE id = 1`)
		if err != nil {
			return err
		}
		at, err := storage.All(tx, storage.Value[int64], `SELECT seq FROM channel_cursor WHERE name = $1`, relayCursor)
		behind = len(at) == 0 || at[0] < head
		return err
	})
	if err != nil || !behind {
		return 0, err
	}
	return g.Relay(ctx)
}

// Wait waits for the runs under way.
func (r *Runner) Wait() { r.wg.Wait() }
