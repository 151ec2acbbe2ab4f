package desk_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"lianxin/desk"
	"lianxin/desk/desktest"
)

func TestMemory(t *testing.T) {
	desktest.Run(t, func(_ testing.TB, opt desk.Options) desk.Board { return desk.NewMemory(opt) })
}

// The pause after a failed offer ends in the same instant in which somebody asks the board something: the caller must be
// offered all the same, not wait until the next change.
func TestQuestionAtTheEndOfAPauseDoesNotSwallowTheOffer(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	var at atomic.Int64
	at.Store(time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC).UnixNano())
	b := desk.NewMemory(desk.Options{Retry: 30 * time.Second, Now: func() time.Time { return time.Unix(0, at.Load()) }})
	defer b.Close()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(b.Put(ctx, desk.Operator{Extension: "8001", AutoReady: true}))
	must(b.Registered(ctx, "8001", true))
	w, err := b.Wait(ctx, desk.Caller{CallID: "a"})
	must(err)
	o, err := w.Next(ctx)
	must(err)
	must(o.Failed(desk.NoAnswer))
	at.Add(int64(31 * time.Second))
	_, err = b.Snapshot(ctx)
	must(err)
	if _, err := w.Next(ctx); err != nil {
		t.Fatalf("the caller was not offered again: %v", err)
	}
}
