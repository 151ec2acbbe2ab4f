package desk

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

//go:embed lua/*.lua
var scripts embed.FS

func script(name string) *redis.Script {
	src, err := scripts.ReadFile("lua/" + name + ".lua")
	if err != nil {
		panic(err) // embedded above
	}
	return redis.NewScript(string(src))
}

var (
	appendScript   = script("append")
	loadScript     = script("load")
	foundScript    = script("found")
	snapshotScript = script("snapshot")
)

// Most orders in one exchange, and most entries in one answer (as append.lua has it).
const (
	mostOrders  = 256
	mostEntries = 1000
)

// keepLog is how much of the log before a snapshot is kept for nodes that are a little slow.
var keepLog = 5 * time.Second

// try bounds one exchange with the store.
func (r *Redis) try() time.Duration { return max(r.node.Patience/2, 250*time.Millisecond) }

// write is the goroutine that puts orders into the log: one exchange at a time, each with all that has gathered.
func (r *Redis) write() {
	defer close(r.dead)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		r.mu.Lock()
		timer.Reset(r.idle())
		r.mu.Unlock()
		select {
		case <-r.quit:
			r.part()
			return
		case <-r.kick:
		case <-timer.C:
		}
		if err := r.turn(); err != nil {
			r.mu.Lock()
			r.lost(err)
			r.mu.Unlock()
			select {
			case <-time.After(100 * time.Millisecond):
			case <-r.quit:
				r.part()
				return
			}
		}
	}
}

// idle is how long the writer may sleep. r.mu is held.
func (r *Redis) idle() time.Duration {
	if r.torn || len(r.queue) > 0 {
		return 0
	}
	wait := time.Until(r.contact.Add(r.node.Lease / 3))
	if !r.p.due.IsZero() {
		wait = min(wait, r.p.due.Sub(r.clock()))
	}
	return max(wait, time.Millisecond)
}

// turn does what is to be done now.
func (r *Redis) turn() error {
	r.mu.Lock()
	if r.torn {
		r.mu.Unlock()
		ctx, cancel := context.WithTimeout(context.Background(), r.node.Patience)
		defer cancel()
		for {
			err := r.rejoin(ctx)
			if err == nil {
				return nil
			}
			r.mu.Lock()
			down := r.down != nil
			r.mu.Unlock()
			select { // a board that is down is reported down at once; one that was torn is given time
			case <-ctx.Done():
				return err
			case <-r.quit:
				return err
			case <-time.After(50 * time.Millisecond):
				if down {
					return err
				}
			}
		}
	}
	if len(r.queue) == 0 {
		now := r.clock()
		switch due := r.p.due; {
		case !due.IsZero() && !now.Before(due):
			r.mu.Unlock()
			return r.tick(due)
		case time.Since(r.contact) >= r.node.Lease/3:
			r.enqueue(&order{Kind: orderBeat}, &pending{})
		default:
			r.mu.Unlock()
			return nil
		}
	}
	n := min(len(r.queue), mostOrders)
	batch := r.queue[:n:n]
	r.queue = r.queue[n:]
	first := r.no + 1
	for _, p := range batch {
		r.no++
		p.o.No = r.no
		r.inflight[r.no] = p
	}
	by := batch[0].by
	r.mu.Unlock()

	data, err := encode(batch)
	if err != nil {
		return err
	}
	return r.send(first, time.Time{}, data, by)
}

func encode(batch []*pending) ([]any, error) {
	data := make([]any, len(batch))
	for i, p := range batch {
		b, err := json.Marshal(p.o)
		if err != nil {
			return nil, fmt.Errorf("write an order: %w", err)
		}
		data[i] = b
	}
	return data, nil
}

func (r *Redis) tick(due time.Time) error {
	data, err := encode([]*pending{{o: &order{Kind: orderBeat, Node: r.id}}})
	if err != nil {
		return err
	}
	return r.send(0, due, data, time.Now().Add(r.node.Patience))
}

// send hands orders over and carries out what the log has then. It repeats until it works or time is up; the numbers of
// the orders keep the log from taking one twice.
func (r *Redis) send(first uint64, due time.Time, data []any, by time.Time) error {
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, 200*time.Millisecond) {
		err := r.exchange(first, due, data)
		if err == nil || !time.Now().Before(by) {
			return err
		}
		select {
		case <-time.After(pause):
		case <-r.quit:
			return err
		}
	}
}

// exchange runs append.lua once, and again without orders while there is more to read.
func (r *Redis) exchange(first uint64, due time.Time, data []any) error {
	for {
		r.mu.Lock()
		gen, epoch, at := r.gen, r.epoch, r.p.at
		r.mu.Unlock()
		args := append([]any{epoch, r.id, at, first, due.UnixMicro()}, data...)
		if due.IsZero() {
			args[4] = 0
		}
		ctx, cancel := context.WithTimeout(context.Background(), r.try())
		begin := time.Now()
		reply, err := appendScript.Run(ctx, r.rdb, r.keys[:2], args...).Slice()
		cancel()
		if err != nil {
			return fmt.Errorf("order: %w", err)
		}
		if len(reply) < 2 {
			return errors.New("order: strange answer")
		}
		entries, err := entriesOf(reply[2:])
		if err != nil {
			return err
		}
		r.mu.Lock()
		r.heard(begin, reply[1])
		switch {
		case gen != r.gen:
		case reply[0] != "ok":
			r.tear(fmt.Sprintf("the log answered %q", reply[0]))
		default:
			r.absorb(entries)
		}
		r.mu.Unlock()
		if len(entries) < mostEntries {
			return nil
		}
		data = nil
	}
}

// heard notes that the store answered an exchange that began then. r.mu is held.
func (r *Redis) heard(begin time.Time, clock any) {
	if us, err := strconv.ParseInt(fmt.Sprint(clock), 10, 64); err == nil {
		r.ahead = time.UnixMicro(us).Sub(begin.Add(time.Since(begin) / 2))
	}
	r.contact = begin
	if r.fenced != nil {
		r.fenced.Stop()
	}
	if !r.closed {
		r.fenced = time.AfterFunc(time.Until(begin.Add(r.node.Lease*2/3)), func() { r.fence(begin) })
	}
}

// fence lets this node's waiting callers go before the others can take it for dead and offer the operators who ring for
// them to somebody else.
func (r *Redis) fence(contact time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || !r.contact.Equal(contact) {
		return
	}
	r.node.Log.Error("desk: the shared board is out of reach; waiting callers are let go", "waiting", len(r.waiters), "silent", time.Since(contact).Round(time.Millisecond))
	if r.down == nil {
		r.down = ErrDown
	}
	r.release(ErrDown)
	r.tear("the store was out of reach")
}

// lost notes that the store cannot be reached. r.mu is held.
func (r *Redis) lost(cause error) {
	if r.down == nil {
		r.node.Log.Error("desk: the shared board cannot be reached", "err", cause)
	}
	r.down = fmt.Errorf("%w: %w", ErrDown, cause)
	r.failAll(r.down)
	r.torn = true
}

// follow is the goroutine that reads what other nodes order.
func (r *Redis) follow() {
	defer close(r.read)
	for {
		r.mu.Lock()
		gen, at, off := r.gen, r.p.at, r.torn
		r.mu.Unlock()
		select { // after looking at the log: an order to quit that is in it is not waited for
		case <-r.quit:
			return
		default:
		}
		var got []redis.XStream
		err := errRetired
		if !off {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second+r.try())
			got, err = r.rdb.XRead(ctx, &redis.XReadArgs{Streams: []string{r.keys[1], fmt.Sprintf("%d-0", at)}, Count: mostEntries, Block: time.Second}).Result()
			cancel()
		}
		if err != nil && !errors.Is(err, redis.Nil) { // the writer sees to it
			select {
			case <-r.quit:
				return
			case <-time.After(50 * time.Millisecond):
			}
			continue
		}
		r.mu.Lock()
		if gen == r.gen {
			for _, s := range got {
				r.absorb(entriesFrom(s.Messages))
			}
		}
		r.mu.Unlock()
	}
}

// part takes this node off the board when it is closed. What was ordered before still goes through.
func (r *Redis) part() {
	r.mu.Lock()
	if r.fenced != nil {
		r.fenced.Stop()
	}
	torn := r.torn
	r.enqueue(&order{Kind: orderQuit}, &pending{})
	r.mu.Unlock()
	for !torn {
		r.mu.Lock()
		left := len(r.queue)
		r.mu.Unlock()
		if left == 0 {
			break
		}
		if err := r.turn(); err != nil {
			torn = true
		}
		r.mu.Lock()
		torn = torn || r.torn
		r.mu.Unlock()
	}
	r.mu.Lock()
	r.failAll(ErrClosed)
	r.mu.Unlock()
	if !torn {
		<-r.read // the quit order has woken it
	}
}

func entriesOf(reply []any) ([]entry, error) {
	if len(reply) == 0 {
		return nil, nil
	}
	list, ok := reply[0].([]any)
	if !ok {
		return nil, errors.New("read the log: strange answer")
	}
	out := make([]entry, 0, len(list))
	for _, x := range list {
		pair, _ := x.([]any)
		if len(pair) != 2 {
			return nil, errors.New("read the log: strange entry")
		}
		fields, _ := pair[1].([]any)
		var e entry
		id, _ := pair[0].(string)
		e.id = idOf(id)
		for i := 0; i+1 < len(fields); i += 2 {
			v, _ := fields[i+1].(string)
			switch fields[i] {
			case "p":
				e.prev = v
			case "o":
				e.data = v
			}
		}
		out = append(out, e)
	}
	return out, nil
}

func entriesFrom(list []redis.XMessage) []entry {
	out := make([]entry, len(list))
	for i, m := range list {
		prev, _ := m.Values["p"].(string)
		data, _ := m.Values["o"].(string)
		out[i] = entry{id: idOf(m.ID), prev: prev, data: data}
	}
	return out
}

func idOf(stream string) int64 {
	us, _, _ := strings.Cut(stream, "-")
	id, _ := strconv.ParseInt(us, 10, 64)
	return id
}
