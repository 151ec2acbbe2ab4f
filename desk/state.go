package desk

import (
	"cmp"
	"slices"
	"time"
)

// The state of a floor as plain data: what a node that comes late reads instead of the whole past.

type floorState struct {
	Opt   Options
	IDP   string
	N     Counters
	Seq   uint64
	Turn  uint64
	OID   uint64
	AHT   map[string]time.Duration `json:",omitempty"`
	Seats []seatState
	Calls []callState // waiting and talking, in the order they came
}

type seatState struct {
	Operator
	Homes      []string `json:",omitempty"`
	Wish       State
	WishReason string `json:",omitempty"`
	State      State
	Reason     string `json:",omitempty"`
	Since      time.Time
	ReadySince time.Time
	NotBefore  time.Time
	AsideUntil time.Time
	Until      time.Time
	Misses     int
	Taken      int
	Turn       uint64
	Removed    bool
}

type callState struct {
	Caller
	Node   string
	Seq    uint64
	Joined time.Time
	Rank   int
	Wider  int          `json:",omitempty"`
	Reach  int          `json:",omitempty"`
	Offers []offerState `json:",omitempty"` // open ones of who waits, the answered one of who talks
}

type offerState struct {
	ID       string
	Seat     string
	Op       Operator
	Made     time.Time
	Deadline time.Time
	Answered time.Time // zero while it rings
}

func (f *floor) save() floorState {
	st := floorState{Opt: f.opt, IDP: f.idp, N: f.n, Seq: f.seq, Turn: f.turn, OID: f.oid, AHT: f.aht}
	for _, s := range f.order {
		st.Seats = append(st.Seats, seatState{
			Operator: s.Operator, Homes: s.homes, Wish: s.wish, WishReason: s.wishReason, State: s.state, Reason: s.reason,
			Since: s.since, ReadySince: s.readySince, NotBefore: s.notBefore, AsideUntil: s.asideUntil, Until: s.until,
			Misses: s.misses, Taken: s.taken, Turn: s.turn, Removed: s.removed,
		})
	}
	for _, w := range f.callsBySeq() {
		c := callState{Caller: w.Caller, Node: w.node, Seq: w.seq, Joined: w.joined, Rank: w.rank, Wider: w.wider, Reach: w.reach}
		for _, o := range w.offers {
			c.Offers = append(c.Offers, offerState{ID: o.id, Seat: o.seat.Extension, Op: o.op, Made: o.made, Deadline: o.deadline, Answered: o.answered})
		}
		st.Calls = append(st.Calls, c)
	}
	return st
}

// load fills an empty floor.
func (f *floor) load(st floorState) {
	now := f.opt.Now
	f.opt, f.idp, f.n, f.seq, f.turn, f.oid, f.aht = st.Opt, st.IDP, st.N, st.Seq, st.Turn, st.OID, st.AHT
	f.opt.Now = now
	if f.aht == nil {
		f.aht = map[string]time.Duration{}
	}
	for _, s := range st.Seats {
		x := &seat{
			Operator: s.Operator, registered: len(s.Homes) > 0, homes: slices.Clone(s.Homes), wish: s.Wish, wishReason: s.WishReason, state: s.State, reason: s.Reason,
			since: s.Since, readySince: s.ReadySince, notBefore: s.NotBefore, asideUntil: s.AsideUntil, until: s.Until,
			misses: s.Misses, taken: s.Taken, turn: s.Turn, removed: s.Removed,
		}
		f.seats[s.Extension] = x
		f.order = append(f.order, x)
	}
	for _, c := range st.Calls {
		w := &caller{Caller: c.Caller, node: c.Node, seq: c.Seq, joined: c.Joined, rank: c.Rank, wider: c.Wider, reach: c.Reach, waiting: true}
		for _, o := range c.Offers {
			x := &offer{id: o.ID, seat: f.seats[o.Seat], caller: w, op: o.Op, made: o.Made, deadline: o.Deadline, answered: o.Answered}
			x.seat.offer = x
			w.offers = append(w.offers, x)
			if o.Answered.IsZero() {
				f.open[o.ID] = x
			} else {
				x.outcome, w.waiting = Answered, false
				f.talks[o.ID] = x
			}
		}
		f.calls[c.CallID] = w
		if w.waiting {
			f.queue = append(f.queue, w)
		}
	}
	slices.SortFunc(f.queue, before)
	f.reindex()
}

func (f *floor) callsBySeq() []*caller {
	all := make([]*caller, 0, len(f.calls))
	for _, w := range f.calls {
		all = append(all, w)
	}
	slices.SortFunc(all, func(a, b *caller) int { return cmp.Compare(a.seq, b.seq) })
	return all
}
