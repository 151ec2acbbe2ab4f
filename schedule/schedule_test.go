package schedule_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"lianxin/schedule"
	"lianxin/storage"
	"lianxin/storage/storagetest"
)

var shanghai = time.FixedZone("CST", 8*3600)

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func TestTwoNodesRunOneNominalTimeOnce(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, db *storage.DB) {
		now := time.Date(2026, 11, 23, 9, 45, 0, 0, shanghai)
		var runs atomic.Int32
		var wg sync.WaitGroup
		for range 4 {
			s := schedule.New(db, shanghai, quiet())
			s.Now = func() time.Time { return now }
			s.Add(schedule.Job{Name: "morning", Spec: "30 9 * * *", Window: 8 * time.Hour, Run: func(_ context.Context, at time.Time) error {
				if at.Format("15:04") != "09:30" {
					t.Errorf("nominal time %v", at)
				}
				runs.Add(1)
				return nil
			}})
			ctx, cancel := context.WithCancel(context.Background())
			wg.Go(func() { s.Run(ctx) })
			defer cancel()
		}
		eventually(t, func() bool { return runs.Load() > 0 })
		time.Sleep(50 * time.Millisecond)
		if n := runs.Load(); n != 1 {
			t.Errorf("the morning ran %d times", n)
		}
	})
}

func TestMissedRunIsMadeUpOnlyInsideItsWindow(t *testing.T) {
	db := storagetest.SQLite(t)
	for _, c := range []struct {
		job  string
		now  time.Time
		want int32
	}{
		{"inside", time.Date(2026, 11, 23, 19, 0, 0, 0, shanghai), 1},
		{"outside", time.Date(2026, 11, 23, 20, 30, 0, 0, shanghai), 0},
		{"before", time.Date(2026, 11, 23, 9, 0, 0, 0, shanghai), 0},
	} {
		var runs atomic.Int32
		s := schedule.New(db, shanghai, quiet())
		s.Now = func() time.Time { return c.now }
		s.Add(schedule.Job{Name: c.job, Spec: "30 9 * * *", Window: 10*time.Hour + 30*time.Minute, Run: func(context.Context, time.Time) error { runs.Add(1); return nil }})
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() { s.Run(ctx); close(done) }()
		if c.want > 0 {
			eventually(t, func() bool { return runs.Load() == c.want })
		} else {
			time.Sleep(100 * time.Millisecond)
		}
		cancel()
		<-done
		if n := runs.Load(); n != c.want {
			t.Errorf("%s: ran %d times, want %d", c.job, n, c.want)
		}
	}
}

func TestRunOfADeadNodeIsTakenOver(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, db *storage.DB) {
		at := time.Date(2026, 11, 23, 9, 30, 0, 0, shanghai)
		var clock atomic.Pointer[time.Time]
		now := at.Add(time.Second)
		clock.Store(&now)
		node := func(run func(context.Context, time.Time) error) *schedule.Scheduler {
			s := schedule.New(db, shanghai, quiet())
			s.Now = func() time.Time { return *clock.Load() }
			s.Add(schedule.Job{Name: "morning", Spec: "30 9 * * *", Window: time.Hour, Run: run})
			return s
		}
		// The first node claims and is never heard of again: its row is written as a kill -9 would leave it.
		err := db.Update(context.Background(), func(tx *storage.Tx) error {
			_, err := tx.Exec(`INSERT INTO schedule_fire (job, at, node, started, beat) VALUES ('morning', $1, 'dead', $2, $2)`, at.UnixMilli(), now.UnixMilli())
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		var runs atomic.Int32
		s := node(func(context.Context, time.Time) error { runs.Add(1); return nil })
		ctx := t.Context()
		s.CatchUp(ctx)
		time.Sleep(100 * time.Millisecond)
		if runs.Load() != 0 {
			t.Fatal("taken over while the other node could still be alive")
		}
		later := now.Add(2 * time.Minute)
		clock.Store(&later)
		s.CatchUp(ctx)
		eventually(t, func() bool { return runs.Load() == 1 })
	})
}

func TestFailedRunIsTriedAgainAtMostTwice(t *testing.T) {
	db := storagetest.SQLite(t)
	now := time.Date(2026, 11, 23, 9, 31, 0, 0, shanghai)
	var runs atomic.Int32
	s := schedule.New(db, shanghai, quiet())
	var mu sync.Mutex
	s.Now = func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	s.Add(schedule.Job{Name: "j", Spec: "30 9 * * *", Window: time.Hour, Run: func(context.Context, time.Time) error { runs.Add(1); return errors.New("carrier away") }})
	for range 6 {
		before := runs.Load()
		s.CatchUp(t.Context())
		eventuallyOr(200*time.Millisecond, func() bool { return runs.Load() > before })
		time.Sleep(20 * time.Millisecond)
		mu.Lock()
		now = now.Add(2 * time.Minute)
		mu.Unlock()
	}
	if n := runs.Load(); n != 3 {
		t.Errorf("tried %d times, want 3", n)
	}
	db.View(t.Context(), func(tx *storage.Tx) error {
		last, err := schedule.Last(tx, "j", 1)
		if err != nil || len(last) != 1 || last[0].Error != "carrier away" {
			t.Errorf("record %+v, %v", last, err)
		}
		return nil
	})
}

func TestDailyJobFiresAtItsMinuteOfEachDay(t *testing.T) {
	path := t.TempDir() + "/lianxin.db"
	synctest.Test(t, func(t *testing.T) {
		db, err := storage.Open(context.Background(), path)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		var mu sync.Mutex
		var at []string
		s := schedule.New(db, shanghai, quiet())
		s.Add(schedule.Job{Name: "morning", Spec: "30 9 * * *", Run: func(_ context.Context, nominal time.Time) error {
			mu.Lock()
			defer mu.Unlock()
			at = append(at, nominal.Format("01-02 15:04:05")+" at "+time.Now().In(shanghai).Format("15:04:05"))
			return nil
		}})
		ctx, cancel := context.WithTimeout(context.Background(), 72*time.Hour)
		defer cancel()
		s.Run(ctx)
		if len(at) != 3 {
			t.Errorf("fired %v", at)
		}
		for _, a := range at {
			if a[6:] != "09:30:00 at 09:30:00" {
				t.Errorf("fired %s", a)
			}
		}
	})
}

func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	if !eventuallyOr(20*time.Second, ok) {
		t.Fatal("did not happen")
	}
}

func eventuallyOr(limit time.Duration, ok func() bool) bool {
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return true
		}
	}
	return ok()
}
