package desk

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Redis is a Board that several nodes share. Redis keeps one log of orders, numbered by its own clock; every node carries
// out the same orders by the same rules and so holds the same board. A decision is taken the moment its order is in the
// log. Waiters and offers live on the node that holds the call; the others see its callers in snapshots and events.
//
// Redis 6.2 or later is needed. Its memory policy must be noeviction.
type Redis struct {
	rdb  redis.UniversalClient
	own  bool // rdb is closed with the board
	opt  Options
	node Node
	id   string // of this run of the node
	keys []string
	log  time.Duration // keepLog

	mu       sync.Mutex
	p        *replica
	epoch    string // of the log
	gen      int    // rises when the replica is read anew
	waiters  map[string]*Waiter
	offers   map[string]*Offer // open ones of this node's callers
	talks    map[string]talkTruth
	phones   map[string]bool // as this node was told
	subs     map[*subscriber]struct{}
	seq      uint64
	pulsing  bool
	queue    []*pending
	inflight map[uint64]*pending
	no       uint64
	ahead    time.Duration // the store's clock minus ours
	contact  time.Time     // beginning of the last exchange that worked
	torn     bool          // the replica has to be read anew
	down     error         // not nil while the store cannot be reached
	fenced   *time.Timer
	closed   bool

	kick chan struct{}
	quit chan struct{}
	dead chan struct{}
	read chan struct{} // closed when the reader is gone
}

var _ Board = (*Redis)(nil)
var _ backend = (*Redis)(nil)

// Node says which board a node shares and how it behaves there. The zero value is usable.
type Node struct {
	// Queue names the board; nodes with the same name on one Redis share it. Default "hotline".
	Queue string
	// Name is the node's own, stable over restarts: a node that starts anew at once ends what its last run left.
	// Empty means that only the lease ends it.
	Name string
	// Lease is how long a node may be silent before the others give up its callers and talks; default 10 s. A node
	// that cannot reach Redis lets its own waiting callers go after two thirds of that, so that nobody is offered twice.
	Lease time.Duration
	// Patience is how long a call on the board tries to reach Redis before it returns ErrDown; default 3 s.
	Patience time.Duration
	Log      *slog.Logger
}

func (n Node) withDefaults() Node {
	if n.Queue == "" {
		n.Queue = "hotline"
	}
	if n.Lease <= 0 {
		n.Lease = 10 * time.Second
	}
	if n.Patience <= 0 {
		n.Patience = min(3*time.Second, n.Lease/3)
	}
	if n.Log == nil {
		n.Log = slog.Default()
	}
	return n
}

// OpenRedis is NewRedis on a client of its own for a URL redis://[user:password@]host:port/db, rediss://… or unix://….
func OpenRedis(ctx context.Context, url string, opt Options, node Node) (*Redis, error) {
	o, err := redis.ParseURL(url)
	if err != nil {
		return nil, errors.New("desk: the address of Redis cannot be read; it looks like redis://:password@host:6379/0") // the cause may show the password
	}
	o.ClientName = "lianxin-desk"
	o.MaxRetries = -1 // we repeat by ourselves, and know what may be repeated
	o.ContextTimeoutEnabled = true
	o.DialTimeout = time.Second
	o.DialerRetries = 1
	o.PoolSize = 4 // one exchange, one reader, a snapshot
	quiet.Do(func() { redis.SetLogger(driverLog{}) })
	rdb := redis.NewClient(o)
	r, err := NewRedis(ctx, rdb, opt, node)
	if err != nil {
		rdb.Close()
		return nil, err
	}
	r.own = true
	return r, nil
}

var quiet sync.Once

// driverLog takes what the driver says on its own: we report the errors that it returns, once.
type driverLog struct{}

func (driverLog) Printf(_ context.Context, format string, v ...any) {
	slog.Debug("desk: redis driver", "says", fmt.Sprintf(format, v...))
}

// NewRedis joins the shared board, beginning it when there is none. All nodes go by the options of the one that joined
// last. Close leaves the board and keeps the client open. The client should have ContextTimeoutEnabled, or its own
// timeouts count instead of Node.Patience.
func NewRedis(ctx context.Context, client redis.UniversalClient, opt Options, node Node) (*Redis, error) {
	opt = opt.withDefaults()
	node = node.withDefaults()
	base := "lianxin:{desk:" + node.Queue + "}:"
	r := &Redis{
		rdb: client, opt: opt, node: node, id: strings.ToLower(rand.Text()[:12]), keys: []string{base + "meta", base + "log", base + "snapshot"},
		waiters: map[string]*Waiter{}, offers: map[string]*Offer{}, talks: map[string]talkTruth{}, phones: map[string]bool{},
		subs: map[*subscriber]struct{}{}, inflight: map[uint64]*pending{},
		log: keepLog, kick: make(chan struct{}, 1), quit: make(chan struct{}), dead: make(chan struct{}), read: make(chan struct{}),
	}
	r.p = newReplica(opt, "")
	if err := r.rejoin(ctx); err != nil {
		return nil, fmt.Errorf("join the shared board of the desk: %w", err)
	}
	go r.write()
	go r.follow()
	return r, nil
}

// Put implements Board.
func (r *Redis) Put(ctx context.Context, op Operator) error {
	return r.give(ctx, &order{Kind: orderPut, Op: &op}, nil)
}

// Remove implements Board.
func (r *Redis) Remove(ctx context.Context, extension string) error {
	return r.give(ctx, &order{Kind: orderRemove, Ext: extension}, nil)
}

// Registered implements Board. Each node tells what its own registrar sees: the phone is there while any node has it.
func (r *Redis) Registered(ctx context.Context, extension string, up bool) error {
	return r.give(ctx, &order{Kind: orderPhone, Ext: extension, Up: up}, nil)
}

// Set implements Board.
func (r *Redis) Set(ctx context.Context, extension string, s State, reason string) error {
	return r.give(ctx, &order{Kind: orderSet, Ext: extension, State: s, Reason: reason}, nil)
}

// Wait implements Board. It returns ErrDown when Redis cannot be reached within Node.Patience.
func (r *Redis) Wait(ctx context.Context, c Caller) (*Waiter, error) {
	w := newWaiter(r, c)
	if !c.Since.IsZero() {
		c.Since = c.Since.UTC()
	}
	if err := r.give(ctx, &order{Kind: orderWait, Caller: &c}, &pending{waiter: w}); err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() {
		_ = r.give(context.Background(), &order{Kind: orderGone, Call: c.CallID, Reason: "caller gone"}, nil)
	})
	return w, nil
}

// Configure implements Board. All nodes go by the settings that were given last.
func (r *Redis) Configure(ctx context.Context, queues []Queue) error {
	r.mu.Lock()
	r.opt.Queues = slices.Clone(queues) // told again when this node joins anew
	r.mu.Unlock()
	return r.give(ctx, &order{Kind: orderQueues, Queues: queues}, nil)
}

// Duty implements Board. It is answered from what this node knows, which is as fresh as the network.
func (r *Redis) Duty(_ context.Context, c Caller) (Place, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.well(); err != nil {
		return Place{}, err
	}
	return r.p.f.place(r.p.f.stranger(c, r.clock())), nil
}

// Snapshot implements Board. It is answered from what this node knows, which is as fresh as the network.
func (r *Redis) Snapshot(context.Context) (Snapshot, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.well(); err != nil {
		return Snapshot{}, err
	}
	return r.p.f.snapshot(r.clock()), nil
}

// Subscribe implements Board. The changes of all nodes are delivered; Event.Seq counts on this node only.
func (r *Redis) Subscribe(ctx context.Context) <-chan Event {
	s := &subscriber{ch: make(chan Event, 256)}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		close(s.ch)
		return s.ch
	}
	r.subs[s] = struct{}{}
	context.AfterFunc(ctx, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if _, in := r.subs[s]; in {
			delete(r.subs, s)
			close(s.ch)
		}
	})
	return s.ch
}

// Sweep implements Board. It compares what this node answers for: its own calls and its own registrar. What a dead node
// left is repaired by the lease.
func (r *Redis) Sweep(ctx context.Context, real Reality) ([]Repair, error) {
	r.mu.Lock()
	if err := r.well(); err != nil {
		r.mu.Unlock()
		return nil, err
	}
	var calls []string
	for _, w := range r.p.f.callsBySeq() {
		if w.node == r.id {
			calls = append(calls, w.CallID)
		}
	}
	exts := slices.Sorted(maps.Keys(r.p.f.seats))
	r.mu.Unlock()

	o := &order{Kind: orderSweep}
	if real.Live != nil {
		o.Dead = slices.DeleteFunc(calls, real.Live)
	}
	if real.Registered != nil {
		o.Phones = map[string]bool{}
		for _, e := range exts {
			o.Phones[e] = real.Registered(e)
		}
	}
	p := &pending{}
	err := r.give(ctx, o, p)
	return p.repairs, err
}

// Lead runs fn on one node of the board at a time, for work that must not be done twice, such as Journal.Run. It returns
// when ctx ends, or with fn's error. fn's ctx ends when this node can no longer be sure to be the one; fn is run again
// when it is.
func (r *Redis) Lead(ctx context.Context, fn func(context.Context) error) error {
	tick := time.NewTicker(min(r.node.Lease/10, time.Second))
	defer tick.Stop()
	await := func(ctx context.Context, lead bool) bool {
		for r.leads() != lead {
			select {
			case <-ctx.Done():
				return false
			case <-tick.C:
			}
		}
		return true
	}
	for await(ctx, true) && ctx.Err() == nil {
		led, end := context.WithCancel(ctx)
		done := make(chan error, 1)
		go func() { done <- fn(led); end() }()
		lost := await(led, false)
		end()
		if err := <-done; !lost && ctx.Err() == nil { // fn ended by itself
			return err
		}
	}
	return nil
}

// leads is true on the node that has been on the board for the longest time.
func (r *Redis) leads() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	me := r.p.nodes[r.id]
	if r.well() != nil || r.torn || me == nil || time.Since(r.contact) > r.node.Lease*2/3 {
		return false
	}
	for id, m := range r.p.nodes {
		if c := m.Joined.Compare(me.Joined); c < 0 || c == 0 && id < r.id {
			return false
		}
	}
	return true
}

// Close implements Board: this node's callers leave, the other nodes go on.
func (r *Redis) Close() error {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		<-r.dead
		return nil
	}
	r.closed = true
	r.release(nil)
	for s := range r.subs {
		close(s.ch)
	}
	clear(r.subs)
	r.mu.Unlock()
	close(r.quit)
	<-r.dead
	if r.own {
		return r.rdb.Close()
	}
	return nil
}

// release lets go of this node's waiting callers and open offers. r.mu is held.
func (r *Redis) release(cause error) {
	for _, w := range r.waiters {
		w.finish(cause)
	}
	clear(r.waiters)
	for _, o := range r.offers {
		o.settled(Cancelled)
	}
	clear(r.offers)
}

func (r *Redis) leave(callID, reason string) {
	_ = r.give(context.Background(), &order{Kind: orderLeave, Call: callID, Reason: reason}, nil)
}

func (r *Redis) settle(offerID string, o Outcome) error {
	return r.give(context.Background(), &order{Kind: orderSettle, Offer: offerID, Outcome: o}, nil)
}

func (r *Redis) done(offerID string) {
	_ = r.give(context.Background(), &order{Kind: orderDone, Offer: offerID}, nil)
}

func (r *Redis) place(callID string) Place {
	r.mu.Lock()
	defer r.mu.Unlock()
	if w := r.p.f.calls[callID]; w != nil && w.waiting && w.node == r.id {
		return r.p.f.place(w)
	}
	return Place{}
}

// clock is the store's time as well as this node knows it. r.mu is held.
func (r *Redis) clock() time.Time { return time.Now().Add(r.ahead).UTC() }

// well is the reason why the board cannot answer, or nil. r.mu is held.
func (r *Redis) well() error {
	if r.closed {
		return ErrClosed
	}
	return r.down
}
