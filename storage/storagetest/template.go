package storagetest

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"lianxin/storage"
)

// Making the schema is most of the work of opening a fresh database: it is made once for each engine and test binary, and
// then copied. Opening a copy still looks for migrations, so that one which nothing recorded is still found.

// sqliteFile is a SQLite file with the whole schema and nothing else in it.
var sqliteFile = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "lxtpl")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "lianxin.db")
	db, err := storage.Open(context.Background(), path)
	if err != nil {
		return nil, err
	}
	if err := db.Close(); err != nil { // the last one out moves the write-ahead log into the file
		return nil, err
	}
	if _, err := os.Stat(path + "-wal"); err == nil {
		return nil, fmt.Errorf("the write-ahead log of the template stayed behind")
	}
	return os.ReadFile(path)
})

// postgresTemplate is the name of a database with the whole schema on the scratch server of this test binary.
var postgresTemplate = sync.OnceValues(func() (string, error) {
	name := fmt.Sprintf("tpl%d", os.Getpid())
	admin, err := sql.Open("pgx", fmt.Sprintf(pgBase, "postgres"))
	if err != nil {
		return "", err
	}
	defer admin.Close()
	if _, err := admin.Exec("CREATE DATABASE " + name); err != nil {
		return "", err
	}
	db, err := storage.Open(context.Background(), fmt.Sprintf(pgBase, name))
	if err != nil {
		return "", err
	}
	return name, db.Close()
})

// freshSQLite is a copy of the template in a folder that goes away with the test.
func freshSQLite(t testing.TB) string {
	t.Helper()
	body, err := sqliteFile()
	if err != nil {
		t.Fatalf("make the schema: %v", err)
	}
	path := filepath.Join(t.TempDir(), "lianxin.db")
	if err := os.WriteFile(path, body, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// freshPostgres is a copy of the template on the scratch server. On a server that is not ours nothing is left behind, so
// that there the schema is made anew.
func freshPostgres(t testing.TB) string {
	t.Helper()
	if os.Getenv("LIANXIN_TEST_POSTGRES") != "" {
		return PostgresURL(t)
	}
	startOnce(t)
	template, err := postgresTemplate()
	if err != nil {
		t.Fatalf("make the schema: %v", err)
	}
	return createDatabase(t, " TEMPLATE "+template)
}
