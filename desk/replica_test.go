package desk

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// Every node must come to the same board from the same orders, whether it was there from the beginning or read the
// board, written down, at any point on the way.
func TestTheSameOrdersMakeTheSameBoard(t *testing.T) {
	copyOf := func(t *rapid.T, p *replica) *replica {
		data, err := p.save()
		if err != nil {
			t.Fatal(err)
		}
		q := newReplica(Options{}.withDefaults(), "")
		if err := q.load(p.at, data); err != nil {
			t.Fatal(err)
		}
		return q
	}
	rapid.Check(t, func(t *rapid.T) {
		strategy := rapid.SampledFrom([]Strategy{LongestIdle, FewestCalls, RoundRobin, Linear, RingAll}).Draw(t, "strategy")
		opt := Options{Strategy: strategy, Ring: 4 * time.Second, WrapUp: 2 * time.Second, Retry: time.Second, Misses: 2, AsideFor: 5 * time.Second, Grace: time.Second,
			Queues: []Queue{{Name: "en", Weight: 1, Widen: 2 * time.Second}}}.withDefaults()
		one, other := newReplica(opt, "t-"), newReplica(opt, "t-")
		nodes := []string{"n1", "n2", "n3"}
		exts := []string{"8001", "8002", "8003"}
		calls := []string{"c1", "c2", "c3", "c4"}
		pick := func(of []string) string { return rapid.SampledFrom(of).Draw(t, "which") }
		offers := func() []string {
			ids := []string{"none"}
			for _, w := range one.f.callsBySeq() {
				for _, o := range w.offers {
					ids = append(ids, o.id)
				}
			}
			return ids
		}
		at := int64(1_800_000_000_000_000)
		for range rapid.IntRange(1, 80).Draw(t, "orders") {
			at += int64(rapid.SampledFrom([]int{1, 1000, 300_000, 3_000_000}).Draw(t, "later"))
			o := &order{Node: pick(nodes)}
			switch o.Kind = orderKind(rapid.SampledFrom([]string{"join", "join", "quit", "beat", "put", "put", "remove", "phone", "phone", "phone", "set", "wait", "wait", "wait", "leave", "gone", "settle", "settle", "settle", "done", "sweep", "queues", "?"}).Draw(t, "kind")); o.Kind {
			case orderJoin:
				o.Truth = &truth{Name: o.Node, Lease: 6 * time.Second, Opt: opt}
				if rapid.Bool().Draw(t, "holding") {
					o.Truth.Phones = []string{pick(exts)}
					o.Truth.Waiting = []Caller{{CallID: pick(calls)}}
					o.Truth.Open = []string{pick(offers())}
					o.Truth.Talks = []talkTruth{{Offer: "t" + o.Node, Seat: pick(exts), Caller: Caller{CallID: pick(calls)}, Answered: orderTime(at - 5)}}
				}
			case orderPut:
				o.Op = &Operator{Extension: pick(exts), AutoReady: true, Rank: rapid.IntRange(0, 2).Draw(t, "rank")}
				o.Op.Queues = rapid.SampledFrom([][]Serves{nil, {{Queue: "en", Level: 1}}, {{Queue: ""}, {Queue: "en"}}}).Draw(t, "serves")
				o.Op.Skills = rapid.SampledFrom([][]string{nil, {"ko"}}).Draw(t, "skills")
			case orderRemove:
				o.Ext = pick(exts)
			case orderPhone:
				o.Ext, o.Up = pick(exts), rapid.IntRange(0, 3).Draw(t, "up") > 0
			case orderSet:
				o.Ext, o.State = pick(exts), State(pick([]string{"ready", "break", "away", "offline"}))
			case orderWait:
				o.Caller = &Caller{CallID: pick(calls), Priority: rapid.IntRange(0, 1).Draw(t, "priority"), Prefer: pick(exts), Queue: rapid.SampledFrom([]string{"", "en"}).Draw(t, "queue")}
				if rapid.Bool().Draw(t, "skilled") {
					o.Caller.Skills, o.Caller.Widen = []string{"ko"}, []Wider{{After: 3 * time.Second}}
				}
				if rapid.IntRange(0, 3).Draw(t, "replacing") == 0 {
					o.Caller.Replaces = pick(calls)
				}
			case orderQueues:
				o.Queues = rapid.SampledFrom([][]Queue{nil, {{Name: "en", Strategy: RingAll, MaxWaiting: 2}}, {{Name: "en", Widen: time.Second}, {Name: "", Weight: 2}}}).Draw(t, "settings")
			case orderLeave, orderGone:
				o.Call = pick(calls)
			case orderSettle:
				o.Offer, o.Outcome = pick(offers()), Outcome(pick([]string{"answered", "answered", "noanswer", "declined"}))
			case orderDone:
				o.Offer = pick(offers())
			case orderSweep:
				o.Dead, o.Phones = []string{pick(calls)}, map[string]bool{pick(exts): rapid.Bool().Draw(t, "there")}
			}
			line, err := json.Marshal(o)
			if err != nil {
				t.Fatal(err)
			}
			var here, there order
			if json.Unmarshal(line, &here) != nil || json.Unmarshal(line, &there) != nil {
				t.Fatal("an order cannot be read")
			}
			ra, ea := one.apply(at, &here)
			rb, eb := other.apply(at, &there)
			if d := cmp.Diff(ra, rb); d != "" || fmt.Sprint(ea) != fmt.Sprint(eb) {
				t.Fatalf("%s answered %v %v and %v %v", line, ra, ea, rb, eb)
			}
			if ea != nil && len(ea.Error()) > 12 && ea.Error()[:12] == "desk: panic " {
				t.Fatalf("%s: %v", line, ea)
			}
			if !one.due.IsZero() && !one.due.After(orderTime(at)) {
				t.Fatalf("after %s the next tick would never come", line)
			}
			a, errA := one.save()
			b, errB := other.save()
			if errA != nil || errB != nil {
				t.Fatal(errA, errB)
			}
			if d := cmp.Diff(string(a), string(b)); d != "" {
				t.Fatalf("after %s\n%s", line, d)
			}
			if !one.due.Equal(other.due) {
				t.Fatalf("after %s one is due %v and the other %v", line, one.due, other.due)
			}
			beside(t, one.f, string(line))
			ringing := map[string]bool{}
			for _, x := range one.f.open {
				if ringing[x.seat.Extension] || x.seat.offer != x || x.seat.state != Ringing {
					t.Fatalf("after %s %s has two offers", line, x.seat.Extension)
				}
				ringing[x.seat.Extension] = true
			}
			if rapid.IntRange(0, 4).Draw(t, "late") == 0 {
				other = copyOf(t, other)
			}
		}
	})
}

// beside holds the promise of match against the whole board, without what match finds its way by: nobody waits beside a
// ready operator who suits.
func beside(t *rapid.T, f *floor, after string) {
	for _, w := range f.queue {
		q := f.queueOf(w.Queue)
		if len(w.offers) > 0 && q.Strategy != RingAll {
			continue
		}
		for _, s := range f.order {
			level, serves := s.level(w.Queue)
			if s.state == Ready && s.registered && s.notBefore.IsZero() && serves && level <= w.reach && s.hasAll(w.need()) {
				t.Fatalf("after %s %s waits beside %s", after, w.CallID, s.Extension)
			}
		}
	}
	free := 0
	for _, s := range f.order {
		if s.free {
			free++
		}
	}
	if pending := len(f.touched); free != f.nfree && pending == 0 {
		t.Fatalf("after %s %d operators are free and %d are counted", after, free, f.nfree)
	}
}

func TestADifferingPictureIsNoticed(t *testing.T) {
	a, b := newReplica(Options{}.withDefaults(), "t-"), newReplica(Options{}.withDefaults(), "t-")
	for _, p := range []*replica{a, b} {
		_, _ = p.apply(1000, &order{Kind: orderJoin, Node: "n", Truth: &truth{Lease: time.Hour}})
		_, _ = p.apply(2000, &order{Kind: orderPut, Node: "n", Op: &Operator{Extension: "8001"}})
	}
	sum := func(p *replica) checksum {
		data, err := p.save()
		if err != nil {
			t.Fatal(err)
		}
		return p.summed(data)
	}
	if c := sum(a); !b.agrees(c) {
		t.Fatal("a node that has not come so far disagrees")
	}
	sum(b)
	if !b.agrees(a.sums[0]) {
		t.Fatal("the same board has two sums")
	}
	b.at, b.f.seats["8001"].taken = 3000, 7 // as if a bit had flipped
	a.at = 3000
	sum(b)
	if b.agrees(sum(a)) {
		t.Fatal("a wrong board went unnoticed")
	}
}

// BenchmarkWriteDown is what a snapshot costs with 1,000 waiting and 100 operators, and what every decision would cost,
// twice, if the board were kept in Redis as one value.
func BenchmarkWriteDown(b *testing.B) {
	p := newReplica(Options{}.withDefaults(), "b-")
	_, _ = p.apply(1, &order{Kind: orderJoin, Node: "n", Truth: &truth{Lease: time.Hour, Opt: p.f.opt}})
	for i := range 100 {
		e := fmt.Sprint(8000 + i)
		_, _ = p.apply(int64(10+i), &order{Kind: orderPut, Node: "n", Op: &Operator{Extension: e, AutoReady: true}})
		_, _ = p.apply(int64(200+i), &order{Kind: orderPhone, Node: "n", Ext: e, Up: true})
	}
	for i := range 1100 {
		_, _ = p.apply(int64(1000+i), &order{Kind: orderWait, Node: "n", Caller: &Caller{CallID: fmt.Sprintf("call-%020d", i), Label: "138****5678"}})
	}
	for b.Loop() {
		data, err := p.save()
		if err != nil {
			b.Fatal(err)
		}
		q := newReplica(Options{}.withDefaults(), "")
		if err := q.load(p.at, data); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(len(data)), "bytes")
	}
}
