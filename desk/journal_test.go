package desk_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"lianxin/desk"
	"lianxin/storage"
	"lianxin/storage/storagetest"
)

// clock is a time that tests move.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

func TestTheJournalSumsUpWhatOperatorsDid(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, db *storage.DB) {
		c := &clock{t: time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)}
		begin := c.now()
		b := desk.NewMemory(desk.Options{Now: c.now, WrapUp: -1, Ring: time.Hour, Misses: -1, Retry: -1})
		ctx, stop := context.WithCancel(context.Background())
		defer stop()
		ok := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		done := make(chan error, 1)
		ok(b.Put(ctx, desk.Operator{Extension: "8001", StaffID: "s1", AutoReady: true}))
		go func() { done <- (&desk.Journal{DB: db, Node: "a"}).Run(ctx, b) }()
		work := func(now time.Time) (w desk.Work) {
			t.Helper()
			ok(db.View(context.Background(), func(tx *storage.Tx) error {
				all, err := desk.Works(tx, begin, begin.Add(24*time.Hour), now)
				if len(all) > 0 {
					w = all[0]
				}
				return err
			}))
			return w
		}
		until := func(what string, cond func() bool) {
			t.Helper()
			for end := time.Now().Add(20 * time.Second); !cond(); time.Sleep(5 * time.Millisecond) {
				if time.Now().After(end) {
					t.Fatalf("did not happen: %s; %+v", what, work(c.now()))
				}
			}
		}
		until("the journal runs", func() bool { c.add(time.Millisecond); return len(work(c.now()).Times) > 0 })
		before := c.now().Sub(begin)
		ok(b.Registered(ctx, "8001", true))
		c.add(10 * time.Minute)
		w, err := b.Wait(ctx, desk.Caller{CallID: "a"})
		ok(err)
		o, err := w.Next(ctx)
		ok(err)
		c.add(20 * time.Second)
		ok(o.Failed(desk.NoAnswer))
		o, err = w.Next(ctx)
		ok(err)
		c.add(5 * time.Second)
		ok(o.Answered())
		c.add(3 * time.Minute)
		o.Done()
		c.add(time.Minute)
		ok(b.Set(ctx, "8001", desk.Break, "用餐"))
		c.add(30 * time.Minute)
		until("all is written", func() bool { return work(c.now()).Times[desk.Break] == 30*time.Minute })
		got := work(c.now())
		want := map[desk.State]time.Duration{desk.Offline: before, desk.Ready: 11 * time.Minute, desk.Ringing: 25 * time.Second, desk.Talking: 3 * time.Minute, desk.Break: 30 * time.Minute}
		for s, d := range want {
			if got.Times[s] != d {
				t.Errorf("%s for %v, want %v", s, got.Times[s], d)
			}
		}
		if got.Offers != 2 || got.Taken != 1 || got.Missed != 1 || got.StaffID != "s1" {
			t.Errorf("offers %+v", got)
		}
		ok(b.Close())
		ok(<-done)

		// A second start after a kill: the break that was left open ends where it was last heard of.
		c.add(time.Hour)
		b = desk.NewMemory(desk.Options{Now: c.now})
		defer b.Close()
		ctx2, stop2 := context.WithCancel(context.Background())
		go func() { done <- (&desk.Journal{DB: db, Node: "a"}).Run(ctx2, b) }()
		until("the span is closed", func() bool { return work(c.now()).Times[desk.Break] == 0 })
		stop2()
		ok(<-done)
	})
}

func TestGuardRepairsAndAlarms(t *testing.T) {
	b := desk.NewMemory(desk.Options{Grace: time.Millisecond})
	defer b.Close()
	ctx, stop := context.WithCancel(context.Background())
	if err := b.Put(ctx, desk.Operator{Extension: "8001", AutoReady: true}); err != nil {
		t.Fatal(err)
	}
	alarm := make(chan []desk.Repair, 10)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		desk.Guard(ctx, b, desk.Reality{Registered: func(string) bool { return true }}, 5*time.Millisecond, func(r []desk.Repair) { alarm <- r })
	}()
	if r := <-alarm; len(r) != 1 || r[0].Extension != "8001" || r[0].Kind != "registration" {
		t.Errorf("repaired %+v", r)
	}
	stop()
	<-ended
}
