package desk

import (
	"context"
	"fmt"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// BenchmarkMatch is one match beside 10,000 waiting callers and 500 operators: an answer is noted, the talk ends (the
// operator becomes free and is offered the caller who is next for them), and a new caller takes a place in the queue.
//
//	plain    one queue, no skills: one operator becomes free, 499 ring
//	skills   five queues of different weight, eight sets of skills, each operator serves two queues at two levels
//	hopeless as skills, and besides 250 operators are free whom none of the 10,000 suits
//	ring-all as plain, every free operator rings
func BenchmarkMatch(b *testing.B) {
	queues := []Queue{{Name: "a"}, {Name: "b", Weight: 1}, {Name: "c", Weight: 2, Widen: time.Hour}, {Name: "d"}, {Name: "e"}}
	for _, c := range []struct {
		name     string
		strategy Strategy
		skills   bool
		idle     int
	}{{"plain", LongestIdle, false, 0}, {"skills", LongestIdle, true, 0}, {"hopeless", FewestCalls, true, 250}, {"ring-all", RingAll, false, 0}} {
		b.Run(c.name, func(b *testing.B) {
			now := time.Now()
			opt := Options{Ring: time.Hour, WrapUp: -1, Strategy: c.strategy}
			if c.skills {
				opt.Queues = queues
			}
			f := newFloor(opt.withDefaults(), "b")
			for i := range 500 {
				op := Operator{Extension: fmt.Sprint(8000 + i), AutoReady: true}
				if c.skills {
					op.Queues = []Serves{{Queue: queues[i%5].Name}, {Queue: queues[(i+1)%5].Name, Level: 1}}
					op.Skills = []string{"zh", "en", "ko", "law"}
				}
				if i < c.idle {
					op.Queues = []Serves{{Queue: "nobody calls this"}}
				}
				f.put(op, now)
				_ = f.register("", op.Extension, true, now)
			}
			var last *offer
			f.offered = func(o *offer) { last = o }
			n := 0
			join := func() {
				n++
				w := Caller{CallID: fmt.Sprint(n)}
				if c.skills {
					w.Queue = queues[n%5].Name
					w.Skills = [][]string{nil, {"en"}, {"ko"}, {"law"}, {"zh"}, {"en", "law"}, {"ko", "law"}, {"zh", "en"}}[n%8]
				}
				_ = f.wait("", w, now)
			}
			for range 10_500 - c.idle {
				join()
			}
			cpu := cpuTime()
			for b.Loop() {
				o := last
				_ = f.settle(o.id, Answered, now)
				f.done(o.id, now) // frees the operator: the next caller is offered
				join()
				_ = f.next()
			}
			b.ReportMetric(float64(cpuTime()-cpu)/float64(b.N), "cpu-ns/op")
			b.StopTimer()
			if len(f.queue) < 9_000 || len(f.open) < 200 {
				b.Fatalf("%d wait and %d ring", len(f.queue), len(f.open))
			}
		})
	}
}

// BenchmarkPicture is what a page, a scrape of the metrics or a look at one's place costs the owner of the board.
func BenchmarkPicture(b *testing.B) {
	m := NewMemory(Options{Ring: time.Hour, WrapUp: -1})
	defer m.Close()
	ctx := context.Background()
	for i := range 500 {
		e := fmt.Sprint(8000 + i)
		_ = m.Put(ctx, Operator{Extension: e, AutoReady: true})
		_ = m.Registered(ctx, e, true)
	}
	var w *Waiter
	for i := range 10_500 {
		w, _ = m.Wait(ctx, Caller{CallID: fmt.Sprint(i)})
	}
	b.Run("place", func(b *testing.B) {
		cpu := cpuTime()
		defer func() { b.ReportMetric(float64(cpuTime()-cpu)/float64(b.N), "cpu-ns/op") }()
		for b.Loop() {
			if w.Place().Position == 0 {
				b.Fatal("not waiting")
			}
		}
	})
	b.Run("snapshot", func(b *testing.B) {
		cpu := cpuTime()
		defer func() { b.ReportMetric(float64(cpuTime()-cpu)/float64(b.N), "cpu-ns/op") }()
		for b.Loop() {
			if sn, err := m.Snapshot(ctx); err != nil || len(sn.Waiting) < 10_000 {
				b.Fatal(err)
			}
		}
	})
}

// cpuTime is what this process has used of the processors: on a machine that others use too, the clock on the wall says
// little about what a decision costs.
func cpuTime() time.Duration {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
