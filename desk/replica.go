package desk

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// rulesVersion must rise whenever the same orders would lead a floor to another state than before: nodes that decide
// differently must not share a board.
const rulesVersion = "2"

// order is one entry of the log that the nodes of a shared board have in common. Everything that a decision depends on
// is in it or in the time at which the store took it.
type order struct {
	Kind    orderKind       `json:"k"`
	Node    string          `json:"n"`
	No      uint64          `json:"c,omitempty"` // counts the node's orders
	Ext     string          `json:"e,omitempty"`
	Up      bool            `json:"u,omitempty"`
	State   State           `json:"s,omitempty"`
	Reason  string          `json:"r,omitempty"`
	Op      *Operator       `json:"op,omitempty"`
	Caller  *Caller         `json:"cl,omitempty"`
	Call    string          `json:"ci,omitempty"`
	Offer   string          `json:"o,omitempty"`
	Outcome Outcome         `json:"out,omitempty"`
	Dead    []string        `json:"d,omitempty"`
	Phones  map[string]bool `json:"p,omitempty"`
	Truth   *truth          `json:"t,omitempty"`
	Sum     *checksum       `json:"x,omitempty"`
	Queues  []Queue         `json:"q,omitempty"`
}

type orderKind string

const (
	orderJoin   orderKind = "join"
	orderQuit   orderKind = "quit"
	orderBeat   orderKind = "beat" // also the tick: time alone decides
	orderPut    orderKind = "put"
	orderRemove orderKind = "remove"
	orderPhone  orderKind = "phone"
	orderSet    orderKind = "set"
	orderWait   orderKind = "wait"
	orderLeave  orderKind = "leave"
	orderGone   orderKind = "gone"
	orderSettle orderKind = "settle"
	orderDone   orderKind = "done"
	orderSweep  orderKind = "sweep"
	orderSum    orderKind = "sum"
	orderQueues orderKind = "queues"
)

// truth is all that a node holds at the moment it joins: whatever else the board has under its name is over.
type truth struct {
	Name    string        `json:"name"`
	Lease   time.Duration `json:"lease"`
	Opt     Options       `json:"opt"`
	Seats   []Operator    `json:"seats,omitempty"` // that the board does not know (any more)
	Phones  []string      `json:"phones,omitempty"`
	Waiting []Caller      `json:"waiting,omitempty"`
	Open    []string      `json:"open,omitempty"` // offers that still ring
	Talks   []talkTruth   `json:"talks,omitempty"`
}

type talkTruth struct {
	Offer    string    `json:"o"`
	Seat     string    `json:"e"`
	Caller   Caller    `json:"c"`
	Answered time.Time `json:"a"`
}

type checksum struct {
	At  int64  `json:"at"`
	Sum string `json:"sum"`
}

// errRetired answers an order of a node that the others have given up.
var errRetired = errors.New("desk: this node's lease is over")

// replica is the board of all nodes as one node knows it: the same orders in the same sequence make the same state.
type replica struct {
	f     *floor
	nodes map[string]*member
	at    int64 // id of the last order: the store's clock in microseconds, made unique
	n     uint64
	due   time.Time // when time alone decides something

	sums [4]checksum       // of the last states that were summed
	dead map[string]uint64 // nodes that are no more, with their last order; forgotten when they are told to the store
}

type member struct {
	Name   string
	Lease  time.Duration
	Joined time.Time
	Seen   time.Time
	No     uint64 // last order
}

func newReplica(opt Options, idPrefix string) *replica {
	return &replica{f: newFloor(opt, idPrefix), nodes: map[string]*member{}, dead: map[string]uint64{}}
}

func orderTime(id int64) time.Time { return time.UnixMicro(id).UTC() }

// snapshotEvery is after how many orders the state is written down and compared.
const snapshotEvery = 1000

// apply takes one order. Its error is the answer to whoever gave it.
func (p *replica) apply(id int64, o *order) (repairs []Repair, err error) {
	now := orderTime(id)
	p.at = id
	p.n++
	defer func() {
		if x := recover(); x != nil { // the same on every node
			err = fmt.Errorf("desk: panic in a decision: %v", x)
			p.f.reindex()
		}
		p.due = p.next(now)
	}()
	m := p.nodes[o.Node]
	if m != nil {
		m.Seen = now
		if o.No > 0 {
			m.No = o.No
		}
	}
	if !p.due.IsZero() && !now.Before(p.due) {
		p.tick(now)
	}
	if m == nil && o.Kind != orderJoin {
		return nil, errRetired
	}
	f := p.f
	switch o.Kind {
	case orderJoin:
		p.join(o, now)
	case orderQuit:
		p.drop(o.Node, "", now)
	case orderPut:
		f.put(*o.Op, now)
	case orderRemove:
		return nil, f.remove(o.Ext, now)
	case orderPhone:
		return nil, f.register(o.Node, o.Ext, o.Up, now)
	case orderSet:
		return nil, f.set(o.Ext, o.State, o.Reason, now)
	case orderWait:
		return nil, f.wait(o.Node, *o.Caller, now)
	case orderLeave:
		f.leave(o.Call, o.Reason, now)
	case orderGone:
		f.gone(o.Call, o.Reason, now)
	case orderSettle:
		return nil, f.settle(o.Offer, o.Outcome, now)
	case orderDone:
		f.done(o.Offer, now)
	case orderQueues:
		f.configure(o.Queues, now)
	case orderSweep:
		r := Reality{Live: func(id string) bool { return !slices.Contains(o.Dead, id) }}
		r.Registered = func(ext string) bool {
			up, asked := o.Phones[ext]
			return asked && up || !asked && f.seats[ext].at(o.Node)
		}
		return f.sweep(o.Node, r, now), nil
	}
	return nil, nil
}

func (p *replica) members() []string {
	ids := make([]string, 0, len(p.nodes))
	for id := range p.nodes {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// tick does what time alone decides.
func (p *replica) tick(now time.Time) {
	for _, id := range p.members() {
		if m := p.nodes[id]; !now.Before(m.Seen.Add(m.Lease)) {
			p.drop(id, "a node was given up", now)
		}
	}
	p.f.tick(now)
}

func (p *replica) next(now time.Time) time.Time {
	due := p.f.next()
	for _, m := range p.nodes {
		if end := m.Seen.Add(m.Lease); due.IsZero() || end.Before(due) {
			due = end
		}
	}
	if !due.IsZero() && !due.After(now) {
		due = now.Add(time.Millisecond)
	}
	return due
}

// drop ends all that a node held. With a reason it is a repair.
func (p *replica) drop(id, reason string, now time.Time) {
	p.dead[id] = p.nodes[id].No
	delete(p.nodes, id)
	f := p.f
	// Phones first, then who waits, then who talks: nobody is offered what is about to go as well.
	for _, s := range slices.Clone(f.order) {
		if s.at(id) {
			_ = f.register(id, s.Extension, false, now)
		}
	}
	for _, kind := range []string{"waiting", "talking"} {
		for _, w := range f.callsBySeq() {
			if w.node != id || w.waiting != (kind == "waiting") {
				continue
			}
			if reason != "" {
				f.repaired(kind, "", w.CallID, reason+": its caller is gone", now)
			}
			f.gone(w.CallID, "node gone", now)
		}
	}
}

func (p *replica) join(o *order, now time.Time) {
	t, f := o.Truth, p.f
	for _, id := range p.members() { // the same program, started anew
		if m := p.nodes[id]; id != o.Node && t.Name != "" && m.Name == t.Name {
			p.drop(id, "a node was started anew", now)
		}
	}
	local := f.opt.Now
	f.opt = t.Opt
	f.opt.Now = local
	f.reindex()
	delete(p.dead, o.Node)
	m := &member{Name: t.Name, Lease: t.Lease, Joined: now, Seen: now, No: o.No}
	if before := p.nodes[o.Node]; before != nil {
		m.Joined = before.Joined
	}
	p.nodes[o.Node] = m
	for _, op := range t.Seats {
		if f.seats[op.Extension] == nil {
			f.put(op, now)
		}
	}

	waiting, open, talks := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, c := range t.Waiting {
		waiting[c.CallID] = true
	}
	for _, id := range t.Open {
		open[id] = true
	}
	for _, x := range t.Talks {
		talks[x.Offer] = true
	}
	for _, w := range f.callsBySeq() {
		switch {
		case w.node != o.Node || !w.waiting:
		case !waiting[w.CallID]:
			f.leave(w.CallID, "gone", now)
		default:
			for _, x := range slices.Clone(w.offers) {
				if !open[x.id] {
					f.close(x, Cancelled, now)
				}
			}
		}
	}
	for _, w := range f.callsBySeq() {
		if w.node == o.Node && !w.waiting && !talks[w.offers[0].id] {
			f.done(w.offers[0].id, now)
		}
	}
	for _, x := range t.Talks {
		p.resume(o.Node, x, now)
	}
	for _, c := range t.Waiting {
		if f.calls[c.CallID] == nil {
			f.enqueue(o.Node, c, now)
		}
	}
	for _, s := range slices.Clone(f.order) {
		_ = f.register(o.Node, s.Extension, slices.Contains(t.Phones, s.Extension), now)
	}
	f.match(now)
}

// resume takes up a talk that the board has lost: the operator is with the caller, whatever else was meant for them.
func (p *replica) resume(node string, t talkTruth, now time.Time) {
	f := p.f
	s := f.seats[t.Seat]
	if s == nil || s.state == Talking || f.calls[t.Caller.CallID] != nil || f.talks[t.Offer] != nil || f.open[t.Offer] != nil {
		return
	}
	if s.state == Ringing {
		if f.close(s.offer, Lost, now); f.seats[t.Seat] == nil {
			return
		}
	}
	f.seq++
	w := &caller{Caller: t.Caller, node: node, seq: f.seq, joined: now, row: f.rowOf(t.Caller.Queue)}
	o := &offer{id: t.Offer, seat: s, caller: w, op: s.Operator, made: t.Answered, deadline: t.Answered, answered: t.Answered, outcome: Answered}
	w.offers = []*offer{o}
	f.calls[w.CallID], f.talks[o.id] = w, o
	s.offer, s.until = o, time.Time{}
	f.to(s, Talking, "", now)
}

// Writing down and reading back.

type replicaState struct {
	N     uint64
	Nodes map[string]*member
	Floor floorState
}

func (p *replica) save() ([]byte, error) {
	data, err := json.Marshal(replicaState{N: p.n, Nodes: p.nodes, Floor: p.f.save()})
	if err != nil {
		return nil, fmt.Errorf("write down the board: %w", err)
	}
	return data, nil
}

func (p *replica) load(at int64, data []byte) error {
	var st replicaState
	if err := json.Unmarshal(data, &st); err != nil {
		return fmt.Errorf("read the board as it was written down: %w", err)
	}
	p.at, p.n = at, st.N
	if st.Nodes != nil {
		p.nodes = st.Nodes
	}
	p.f.load(st.Floor)
	p.due = p.next(orderTime(at))
	return nil
}

// summed remembers the sum of the state at this order, to be compared with what other nodes say.
func (p *replica) summed(data []byte) checksum {
	h := sha256.Sum256(data)
	c := checksum{At: p.at, Sum: hex.EncodeToString(h[:12])}
	copy(p.sums[1:], p.sums[:3])
	p.sums[0] = c
	return c
}

// agrees is false when this node had another state than the sum tells.
func (p *replica) agrees(c checksum) bool {
	for _, s := range p.sums {
		if s.At == c.At {
			return s.Sum == c.Sum
		}
	}
	return true
}
