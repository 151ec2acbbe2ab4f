package storage_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"lianxin/storage"
	"lianxin/storage/storagetest"
)

func table(t *testing.T, db *storage.DB) context.Context {
	t.Helper()
	ctx := context.Background()
	err := db.Update(ctx, func(tx *storage.Tx) error {
		_, err := tx.Exec(`CREATE TABLE thing (id TEXT PRIMARY KEY, name TEXT NOT NULL, n BIGINT NOT NULL DEFAULT 0, at BIGINT)`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return ctx
}

func TestPlaceholdersBindByNumberNotByOrder(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, db *storage.DB) {
		ctx := table(t, db)
		err := db.Update(ctx, func(tx *storage.Tx) error {
			if _, err := tx.Exec(`INSERT INTO thing (id, name) VALUES ($1, $2)`, "a", "before"); err != nil {
				return err
			}
			n, err := tx.Exec(`UPDATE thing SET name = $2 WHERE id = $1`, "a", "after")
			if err == nil && n != 1 {
				t.Errorf("changed %d rows, want 1", n)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		name, err := view(ctx, db, `SELECT name FROM thing`)
		if err != nil || name != "after" {
			t.Errorf("name = %q, %v", name, err)
		}
	})
}

func view(ctx context.Context, db *storage.DB, q string) (s string, err error) {
	err = db.View(ctx, func(tx *storage.Tx) error {
		s, err = storage.One(tx, storage.Value[string], q)
		return err
	})
	return s, err
}

func TestErrorRollsBackAndAfterDoesNotRun(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, db *storage.DB) {
		ctx := table(t, db)
		boom := errors.New("boom")
		err := db.Update(ctx, func(tx *storage.Tx) error {
			tx.After(func() { t.Error("After ran although the transaction failed") })
			tx.Exec(`INSERT INTO thing (id, name) VALUES ('a', 'x')`)
			return boom
		})
		if !errors.Is(err, boom) {
			t.Fatalf("err = %v", err)
		}
		if _, err := view(ctx, db, `SELECT name FROM thing`); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("err = %v, want ErrNotFound", err)
		}
	})
}

func TestUniqueViolationIsErrConflict(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, db *storage.DB) {
		ctx := table(t, db)
		err := db.Update(ctx, func(tx *storage.Tx) error {
			tx.Exec(`INSERT INTO thing (id, name) VALUES ('a', 'x')`)
			_, err := tx.Exec(`INSERT INTO thing (id, name) VALUES ('a', 'y')`)
			return err
		})
		if !errors.Is(err, storage.ErrConflict) {
			t.Errorf("err = %v, want ErrConflict", err)
		}
	})
}

func TestViewRefusesToWrite(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, db *storage.DB) {
		ctx := table(t, db)
		err := db.View(ctx, func(tx *storage.Tx) error {
			_, err := tx.Exec(`INSERT INTO thing (id, name) VALUES ('a', 'x')`)
			return err
		})
		if err == nil {
			t.Error("a write inside View was accepted")
		}
	})
}

func TestTimeSurvivesInMillisecondsWhateverItsZone(t *testing.T) {
	zone := time.FixedZone("east", 8*3600)
	storagetest.Each(t, func(t *testing.T, db *storage.DB) {
		ctx := table(t, db)
		in := time.Date(2026, 11, 23, 23, 59, 59, 999e6, zone)
		err := db.Update(ctx, func(tx *storage.Tx) error {
			tx.Exec(`INSERT INTO thing (id, name, at) VALUES ('a', 'x', $1)`, storage.At(in))
			tx.Exec(`INSERT INTO thing (id, name, at) VALUES ('b', 'x', $1)`, storage.Time{})
			all, err := storage.All(tx, func(r storage.Row) (v storage.Time, err error) { return v, r.Scan(&v) }, `SELECT at FROM thing ORDER BY id`)
			if err != nil {
				return err
			}
			if !all[0].Equal(in) || !all[1].IsZero() {
				t.Errorf("read %v", all)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func TestWritersThatReadFirstNeverFailBusy(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, db *storage.DB) {
		ctx := table(t, db)
		db.Update(ctx, func(tx *storage.Tx) error {
			_, err := tx.Exec(`INSERT INTO thing (id, name) VALUES ('a', 'x')`)
			return err
		})
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 10 {
					err := db.Update(ctx, func(tx *storage.Tx) error {
						n, err := storage.One(tx, storage.Value[int64], `SELECT n FROM thing WHERE id = 'a' `+tx.ForUpdate())
						if err != nil {
							return err
						}
						_, err = tx.Exec(`UPDATE thing SET n = $1 WHERE id = 'a'`, n+1)
						return err
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		db.View(ctx, func(tx *storage.Tx) error {
			n, _ := storage.One(tx, storage.Value[int64], `SELECT n FROM thing`)
			if n != 80 {
				t.Errorf("n = %d, want 80: an update was lost", n)
			}
			return nil
		})
	})
}

func TestBackupIsConsistentWhileOthersWrite(t *testing.T) {
	db := storagetest.SQLite(t)
	ctx := table(t, db)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			// Two rows at a time: a copy that holds an odd number saw half a transaction.
			db.Update(ctx, func(tx *storage.Tx) error {
				tx.Exec(`INSERT INTO thing (id, name) VALUES ($1, 'x')`, storage.NewID())
				_, err := tx.Exec(`INSERT INTO thing (id, name) VALUES ($1, 'x')`, storage.NewID())
				return err
			})
		}
	})
	file := filepath.Join(t.TempDir(), "copy.db")
	err := db.Backup(ctx, file)
	close(stop)
	wg.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Backup(ctx, file); err == nil {
		t.Error("an existing file was overwritten")
	}
	copied, err := storage.Open(ctx, file)
	if err != nil {
		t.Fatal(err)
	}
	defer copied.Close()
	copied.View(ctx, func(tx *storage.Tx) error {
		n, err := storage.One(tx, storage.Value[int64], `SELECT count(*) FROM thing`)
		if err != nil || n%2 != 0 {
			t.Errorf("the copy has %d rows, %v", n, err)
		}
		return nil
	})
}

func TestRestoreBringsBackTheBackupAndKeepsWhatWasThere(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	path, file := filepath.Join(dir, "lianxin.db"), filepath.Join(dir, "backup.db")
	set := func(name string) {
		t.Helper()
		db, err := storage.Open(ctx, path)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		err = db.Update(ctx, func(tx *storage.Tx) error {
			tx.Exec(`CREATE TABLE IF NOT EXISTS thing (id TEXT PRIMARY KEY, name TEXT NOT NULL)`)
			_, err := tx.Exec(`INSERT INTO thing (id, name) VALUES ('a', $1) ON CONFLICT (id) DO UPDATE SET name = excluded.name`, name)
			return err
		})
		if err == nil && name == "first" {
			err = db.Backup(ctx, file)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	set("first")
	set("second")
	if err := storage.Restore(ctx, file, path); err != nil {
		t.Fatal(err)
	}
	for p, want := range map[string]string{path: "first", path + ".before-restore": "second"} {
		db, err := storage.Open(ctx, p)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := view(ctx, db, `SELECT name FROM thing`); err != nil || got != want {
			t.Errorf("%s holds %q (%v), want %q", filepath.Base(p), got, err, want)
		}
		db.Close()
	}
	if err := storage.Restore(ctx, filepath.Join(dir, "none"), path); err == nil {
		t.Error("a missing backup was restored")
	}
}
