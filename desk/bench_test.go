package desk

import (
	"fmt"
	"testing"
	"time"
)

// BenchmarkMatch: one operator becomes free beside 10,000 waiting callers and 499 busy operators.
func BenchmarkMatch(b *testing.B) {
	now := time.Now()
	f := newFloor(Options{Ring: time.Hour, WrapUp: -1}.withDefaults(), "b")
	for i := range 500 {
		e := fmt.Sprint(8000 + i)
		f.put(Operator{Extension: e, AutoReady: true}, now)
		_ = f.register("", e, true, now)
	}
	var last *offer
	f.offered = func(o *offer) { last = o }
	n := 0
	join := func() { n++; _ = f.wait("", Caller{CallID: fmt.Sprint(n)}, now) }
	for range 10_500 {
		join()
	}
	for b.Loop() {
		o := last
		_ = f.settle(o.id, Answered, now)
		f.done(o.id, now) // frees the operator: the next caller is offered
		join()
	}
}
