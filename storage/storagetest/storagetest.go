// Package storagetest gives tests a fresh database of each engine.
package storagetest

import (
	"context"
	"testing"

	"lianxin/storage"
)

// Each runs fn on a fresh SQLite file and on a fresh PostgreSQL database, as subtests of those names.
func Each(t *testing.T, fn func(t *testing.T, db *storage.DB)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { fn(t, SQLite(t)) })
	t.Run("postgres", func(t *testing.T) { fn(t, Postgres(t)) })
}

// SQLite opens a fresh SQLite file that goes away with the test.
func SQLite(t testing.TB) *storage.DB {
	t.Helper()
	return open(t, freshSQLite(t))
}

// Postgres opens a fresh database on the scratch PostgreSQL server of this test binary. It fails, and does not skip,
// where PostgreSQL is not installed.
func Postgres(t testing.TB) *storage.DB {
	t.Helper()
	return open(t, freshPostgres(t))
}

func open(t testing.TB, dsn string) *storage.DB {
	t.Helper()
	db, err := storage.Open(context.Background(), dsn)
	if err != nil {
		t.Fatalf("open %s: %v", dsn, err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}
