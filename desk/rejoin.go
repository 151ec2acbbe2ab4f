package desk

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// rejoin reads the board anew, begins it if need be, and tells it what this node holds.
func (r *Redis) rejoin(ctx context.Context) error {
	p, epoch, err := r.load(ctx)
	if err != nil {
		return err
	}
	r.mu.Lock()
	known := r.p.at
	mine := r.epoch
	r.mu.Unlock()
	if p == nil || epoch == mine && p.at < known {
		if err := r.found(ctx); err != nil {
			return err
		}
		if p, epoch, err = r.load(ctx); err != nil {
			return err
		}
		if p == nil {
			return errors.New("the board is gone again")
		}
	}

	r.mu.Lock()
	t := &truth{Name: r.node.Name, Lease: r.node.Lease, Opt: r.opt}
	if epoch != r.epoch {
		for _, s := range r.p.f.order {
			if p.f.seats[s.Extension] == nil && !s.removed {
				t.Seats = append(t.Seats, s.Operator)
			}
		}
	}
	old := r.p.f
	r.p, r.epoch = p, epoch
	r.gen++
	r.torn = false
	r.tell(p.f)
	if m := p.nodes[r.id]; m != nil {
		for no, x := range r.inflight {
			if no <= m.No { // taken, but the answer was not seen
				delete(r.inflight, no)
				r.fail(x, fmt.Errorf("%w: the answer was lost", ErrDown))
			}
		}
		r.no = max(r.no, m.No)
	}
	for s := range r.subs {
		s.missed++
	}
	for ext, up := range r.phones {
		if up {
			t.Phones = append(t.Phones, ext)
		}
	}
	slices.Sort(t.Phones)
	for _, w := range r.waiters {
		c := w.Caller
		for _, f := range []*floor{old, p.f} {
			if x := f.calls[c.CallID]; x != nil {
				c = x.Caller // with the place it had
			}
		}
		t.Waiting = append(t.Waiting, c)
	}
	slices.SortFunc(t.Waiting, func(a, b Caller) int { return strings.Compare(a.CallID, b.CallID) })
	for id := range r.offers {
		t.Open = append(t.Open, id)
	}
	for _, x := range r.talks {
		t.Talks = append(t.Talks, x)
	}
	r.no++
	join := &order{Kind: orderJoin, Node: r.id, No: r.no, Truth: t}
	r.mu.Unlock()

	data, err := encode([]*pending{{o: join}})
	if err != nil {
		return err
	}
	by, ok := ctx.Deadline()
	if !ok {
		by = time.Now().Add(r.node.Patience)
	}
	err = r.send(join.No, time.Time{}, data, by)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil && (r.torn || r.p.nodes[r.id] == nil) {
		err = errors.New("the board changed while joining")
	}
	if err != nil {
		r.torn = true
		return err
	}
	if r.down != nil {
		r.node.Log.Info("desk: the shared board is there again")
	}
	r.down = nil
	r.reconcile()
	r.again()
	return nil
}

// reconcile compares what lives on this node with the board after joining. r.mu is held.
func (r *Redis) reconcile() {
	f := r.p.f
	for id, w := range r.waiters {
		if c := f.calls[id]; c == nil || c.node != r.id || !c.waiting {
			w.finish(nil)
			delete(r.waiters, id)
		}
	}
	for id, h := range r.offers {
		if f.open[id] == nil {
			h.settled(Cancelled)
			delete(r.offers, id)
		}
	}
	for id := range r.talks {
		if f.talks[id] == nil {
			delete(r.talks, id)
		}
	}
	for _, c := range f.callsBySeq() {
		switch {
		case c.node != r.id:
		case !c.waiting:
			if _, known := r.talks[c.offers[0].id]; !known {
				r.enqueue(&order{Kind: orderDone, Offer: c.offers[0].id}, &pending{})
			}
		case r.waiters[c.CallID] == nil:
			r.enqueue(&order{Kind: orderLeave, Call: c.CallID, Reason: "gone"}, &pending{})
		default:
			for _, o := range c.offers {
				if r.offers[o.id] == nil {
					r.enqueue(&order{Kind: orderSettle, Offer: o.id, Outcome: Cancelled}, &pending{})
				}
			}
		}
	}
}

// again puts the orders of which the log knows nothing back into the queue: after joining it takes none of the old
// numbers any more. r.mu is held.
func (r *Redis) again() {
	var back []*pending
	for _, p := range r.inflight {
		back = append(back, p)
	}
	slices.SortFunc(back, func(a, b *pending) int { return int(a.o.No) - int(b.o.No) })
	clear(r.inflight)
	r.queue = append(back, r.queue...)
	r.wake()
}

// load reads the board. The replica is nil when there is none.
func (r *Redis) load(ctx context.Context) (*replica, string, error) {
	begin := time.Now()
	reply, err := loadScript.Run(ctx, r.rdb, r.keys).Slice()
	if err != nil {
		return nil, "", fmt.Errorf("read the board: %w", err)
	}
	if len(reply) < 6 {
		return nil, "", nil
	}
	if reply[2] != rulesVersion {
		return nil, "", fmt.Errorf("the board is kept by nodes of another version (rules %v, here %s): stop them, or use another queue name", reply[2], rulesVersion)
	}
	text := func(i int) string { s, _ := reply[i].(string); return s }
	at, err := strconv.ParseInt(text(3), 10, 64)
	if err != nil {
		return nil, "", fmt.Errorf("read the board: %w", err)
	}
	p := newReplica(r.opt, "")
	if err := p.load(at, []byte(text(4))); err != nil {
		return nil, "", err
	}
	entries, err := entriesOf(reply[5:])
	if err != nil {
		return nil, "", err
	}
	epoch := text(1)
	for _, e := range entries {
		var o order
		if e.prev != prevOf(epoch, p.at) {
			return nil, "", errors.New("read the board: its log is torn")
		}
		if err := json.Unmarshal([]byte(e.data), &o); err != nil {
			o = order{Kind: "unreadable"}
		}
		_, _ = p.apply(e.id, &o) // the answers were for others
		if p.n%snapshotEvery == 0 {
			data, err := p.save()
			if err != nil {
				return nil, "", err
			}
			p.summed(data)
		}
	}
	r.mu.Lock()
	r.heard(begin, reply[0])
	r.mu.Unlock()
	return p, epoch, nil
}

// found begins the board with what this node knows of it.
func (r *Redis) found(ctx context.Context) error {
	next := strings.ToLower(rand.Text()[:10])
	r.mu.Lock()
	old, at := r.epoch, r.p.at
	st := r.p.f.idp
	r.p.f.idp = "r" + next[:6] + "-" // an offer of the lost part must not share its id with a new one
	data, err := r.p.save()
	r.p.f.idp = st
	args := []any{old, at, next, rulesVersion, data}
	for _, id := range r.p.members() {
		args = append(args, id, r.p.nodes[id].No)
	}
	r.mu.Unlock()
	if err != nil {
		return err
	}
	begun, err := foundScript.Run(ctx, r.rdb, r.keys, args...).Int()
	if err != nil {
		return fmt.Errorf("begin the board: %w", err)
	}
	if begun == 1 && old != "" {
		r.node.Log.Warn("desk: Redis had lost the shared board; it was begun anew from what this node knows")
	}
	return nil
}

// keep writes a snapshot.
func (r *Redis) keep(epoch string, at int64, data []byte, dead map[string]uint64) error {
	ctx, cancel := context.WithTimeout(context.Background(), r.node.Patience)
	defer cancel()
	args := []any{epoch, at, at - r.log.Microseconds(), data}
	for id, no := range dead {
		args = append(args, id, no)
	}
	return snapshotScript.Run(ctx, r.rdb, r.keys, args...).Err()
}
