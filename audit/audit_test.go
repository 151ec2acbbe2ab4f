package audit_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"lianxin/audit"
	"lianxin/storage"
	"lianxin/storage/storagetest"
)

func fill(t *testing.T, db *storage.DB, n int) context.Context {
	t.Helper()
	ctx := context.Background()
	for i := range n {
		err := db.Update(ctx, func(tx *storage.Tx) error {
			_, err := audit.Append(tx, audit.Entry{
				Stream: fmt.Sprintf("ticket/%d", i%3), Type: "ticket.noted", Actor: "system", Rule: "r1",
				Payload: map[string]any{"n": i, "文": "件件有着落"},
			})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return ctx
}

func TestUntouchedLogVerifies(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, db *storage.DB) {
		ctx := fill(t, db, 20)
		seen := 0
		rep, err := audit.Verify(ctx, db, func(audit.Event) error { seen++; return nil })
		if err != nil || rep.Broken != nil || rep.Events != 20 || seen != 20 {
			t.Errorf("report %+v, seen %d, err %v", rep, seen, err)
		}
	})
}

func TestAnyChangeToTheLogIsFoundAndLocated(t *testing.T) {
	for _, c := range []struct {
		name, sql string
		at        int64
	}{
		{"payload changed", `UPDATE audit_event SET payload = '{"n":99}' WHERE seq = 7`, 7},
		{"actor changed", `UPDATE audit_event SET actor = 'staff/x' WHERE seq = 1`, 1},
		{"time changed", `UPDATE audit_event SET at = at + 1 WHERE seq = 3`, 3},
		{"hash changed", `UPDATE audit_event SET hash = 'ff' WHERE seq = 5`, 5},
		{"event removed", `DELETE FROM audit_event WHERE seq = 4`, 4},
		{"first removed", `DELETE FROM audit_event WHERE seq = 1`, 1},
		{"cut at the end", `DELETE FROM audit_event WHERE seq > 8`, 9},
		{"moved to another stream", `UPDATE audit_event SET stream = 'ticket/9' WHERE seq = 6`, 6},
	} {
		t.Run(c.name, func(t *testing.T) {
			db := storagetest.SQLite(t)
			ctx := fill(t, db, 10)
			if err := db.Update(ctx, func(tx *storage.Tx) error { _, err := tx.Exec(c.sql); return err }); err != nil {
				t.Fatal(err)
			}
			rep, err := audit.Verify(ctx, db, nil)
			if err != nil {
				t.Fatal(err)
			}
			if rep.Broken == nil || rep.Broken.Seq != c.at {
				t.Errorf("broken = %v, want event %d", rep.Broken, c.at)
			}
		})
	}
}

func TestConcurrentAppendersMakeOneChain(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, db *storage.DB) {
		ctx := context.Background()
		var wg sync.WaitGroup
		for w := range 8 {
			wg.Go(func() {
				for range 10 {
					err := db.Update(ctx, func(tx *storage.Tx) error {
						_, err := audit.Append(tx, audit.Entry{Stream: fmt.Sprintf("s/%d", w%2), Type: "t", Actor: "system"})
						return err
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		rep, err := audit.Verify(ctx, db, nil)
		if err != nil || rep.Broken != nil || rep.Events != 80 {
			t.Errorf("report %+v, err %v", rep, err)
		}
	})
}

func TestAFailedTransactionLeavesNoEvent(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, db *storage.DB) {
		ctx := fill(t, db, 2)
		db.Update(ctx, func(tx *storage.Tx) error {
			audit.Append(tx, audit.Entry{Stream: "s", Type: "t", Actor: "system"})
			return errors.New("no")
		})
		if rep, err := audit.Verify(ctx, db, nil); err != nil || rep.Broken != nil || rep.Events != 2 {
			t.Errorf("report %+v, err %v", rep, err)
		}
	})
}

func TestTimesNeverRunBackwards(t *testing.T) {
	db := storagetest.SQLite(t)
	ctx := context.Background()
	day := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	err := db.Update(ctx, func(tx *storage.Tx) error {
		audit.Append(tx, audit.Entry{Stream: "s", Type: "t", Actor: "system", At: day})
		e, err := audit.Append(tx, audit.Entry{Stream: "s", Type: "t", Actor: "system", At: day.Add(-time.Hour)})
		if !e.At.Equal(day) {
			t.Errorf("at = %v, want %v", e.At, day)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func BenchmarkVerify(b *testing.B) {
	db := storagetest.SQLite(b)
	ctx := context.Background()
	err := db.Update(ctx, func(tx *storage.Tx) error {
		for i := range 10_000 {
			if _, err := audit.Append(tx, audit.Entry{Stream: fmt.Sprintf("ticket/%d", i%500), Type: "t", Actor: "system", Payload: map[string]int{"n": i}}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if rep, err := audit.Verify(ctx, db, nil); err != nil || rep.Broken != nil {
			b.Fatal(rep, err)
		}
	}
	b.ReportMetric(10_000*float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
