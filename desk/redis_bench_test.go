package desk_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"lianxin/desk"
	"lianxin/desk/desktest"
)

// BenchmarkRedis serves callers with 100 operators while about 1,000 wait. One match is Answered, Done and the next
// caller's Wait: three decisions, the second of which makes the next offer.
//
// alone is one conversation at a time: the latency that one caller sees. crowd is all 100 operators at once, on one
// node or spread over two.
func BenchmarkRedis(b *testing.B) {
	for _, c := range []struct {
		name  string
		nodes int
		hands int
	}{{"alone", 1, 1}, {"crowd", 1, 100}, {"crowd over two nodes", 2, 100}} {
		b.Run(c.name, func(b *testing.B) {
			s := desktest.StartRedis(b)
			ctx := context.Background()
			boards := make([]desk.Board, c.nodes)
			for i := range boards {
				r, err := desk.NewRedis(ctx, s.Client(), desk.Options{Ring: time.Hour, WrapUp: -1}, desk.Node{Lease: time.Minute})
				if err != nil {
					b.Fatal(err)
				}
				defer r.Close()
				boards[i] = r
			}
			matches(b, boards, c.hands)
		})
	}
	b.Run("memory", func(b *testing.B) {
		m := desk.NewMemory(desk.Options{Ring: time.Hour, WrapUp: -1})
		defer m.Close()
		matches(b, []desk.Board{m}, 100)
	})
}

func matches(b *testing.B, boards []desk.Board, hands int) {
	ctx := context.Background()
	check := func(err error) {
		if err != nil {
			b.Error(err)
		}
	}
	for i := range 100 {
		ext := fmt.Sprint(8000 + i)
		check(boards[i%len(boards)].Put(ctx, desk.Operator{Extension: ext, AutoReady: true}))
		check(boards[i%len(boards)].Registered(ctx, ext, true))
	}
	offers := make(chan *desk.Offer, 4096)
	n := 0
	var mu sync.Mutex
	join := func() {
		mu.Lock()
		n++
		id := n
		mu.Unlock()
		w, err := boards[id%len(boards)].Wait(ctx, desk.Caller{CallID: fmt.Sprint("c", id)})
		check(err)
		if err == nil {
			go func() {
				if o, err := w.Next(ctx); err == nil {
					offers <- o
				}
			}()
		}
	}
	var fill sync.WaitGroup
	for range 50 {
		fill.Go(func() {
			for range 22 {
				join()
			}
		})
	}
	fill.Wait()
	todo := make(chan struct{})
	var waits, answers []time.Duration
	var wg sync.WaitGroup
	b.ResetTimer()
	for range hands {
		wg.Go(func() {
			for range todo {
				o := <-offers
				t0 := time.Now()
				check(o.Answered())
				t1 := time.Now()
				o.Done()
				t2 := time.Now()
				join()
				mu.Lock()
				answers = append(answers, t1.Sub(t0))
				waits = append(waits, time.Since(t2))
				mu.Unlock()
			}
		})
	}
	for range b.N {
		todo <- struct{}{}
	}
	close(todo)
	wg.Wait()
	b.StopTimer()
	for name, d := range map[string][]time.Duration{"answered": answers, "wait": waits} {
		slices.Sort(d)
		b.ReportMetric(float64(d[len(d)/2].Microseconds()), name+"-p50-µs")
		b.ReportMetric(float64(d[len(d)*99/100].Microseconds()), name+"-p99-µs")
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "matches/s")
}
