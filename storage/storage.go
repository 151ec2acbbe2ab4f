// Package storage keeps everything durable in one database, SQLite or PostgreSQL, and knows no domain.
//
// SQL lives in the package that owns the table and is written once for both engines: $1 placeholders, BIGINT
// Unix milliseconds for times, TEXT keys made by NewID, no JSON operators and no date functions. A SQL text must not
// contain a literal '$' or '?' other than its placeholders.
package storage

import (
	"context"
	"crypto/rand"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	_ "github.com/jackc/pgx/v5/stdlib" // the "pgx" driver of database/sql
	"github.com/mattn/go-sqlite3"
	"github.com/oklog/ulid/v2"
	"github.com/pressly/goose/v3"
)

//go:embed migrations/*.sql
var migrations embed.FS

var (
	// ErrNotFound is returned by One when no row matches.
	ErrNotFound = errors.New("not found")
	// ErrConflict is returned when a unique key already exists, or when the row was changed by somebody else in
	// between (PostgreSQL serialization and deadlock failures included). The caller may read again and retry.
	ErrConflict = errors.New("conflict")
)

// DB is one database. It is safe for concurrent use.
type DB struct {
	write  *sql.DB
	read   *sql.DB
	engine engine
	path   string // SQLite file, empty for PostgreSQL

	scratch string // folder that goes with it
}

type engine int

const (
	sqlite engine = iota
	postgres
)

// Open opens the database named by dsn and brings its schema up to date: a postgres:// or postgresql:// URL is
// PostgreSQL, anything else the path of a SQLite file, which is created with mode 0600 when it is missing.
func Open(ctx context.Context, dsn string) (*DB, error) {
	db, err := open(dsn)
	if err != nil {
		return nil, err
	}
	if err := db.migrate(ctx); err != nil {
		db.Close()
		return nil, fmt.Errorf("bring the schema up to date: %w", err)
	}
	return db, nil
}

func open(dsn string) (*DB, error) {
	if strings.HasPrefix(dsn, "postgres://") || strings.HasPrefix(dsn, "postgresql://") {
		p, err := sql.Open("pgx", dsn)
		if err != nil {
			return nil, fmt.Errorf("open postgres: %w", err)
		}
		p.SetMaxOpenConns(16)
		p.SetMaxIdleConns(8)
		return &DB{write: p, read: p, engine: postgres}, nil
	}
	if dsn == "" {
		return nil, errors.New("open storage: empty database path")
	}
	// The file is made by us so that it is never readable by others, whatever the umask.
	f, err := os.OpenFile(dsn, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open sqlite file: %w", err)
	}
	f.Close()
	abs, err := filepath.Abs(dsn)
	if err != nil {
		return nil, fmt.Errorf("open sqlite file: %w", err)
	}
	// FULL, because a claim that a power cut forgets is a text sent twice; immediate, because a deferred transaction
	// that reads and then writes fails with BUSY under load whatever the time-out.
	w, err := sql.Open("sqlite3", sqliteURL(abs, "_journal_mode=WAL&_busy_timeout=10000&_foreign_keys=1&_synchronous=FULL&_txlock=immediate&_stmt_cache_size=200"))
	if err != nil {
		return nil, fmt.Errorf("open sqlite writer: %w", err)
	}
	w.SetMaxOpenConns(1)
	r, err := sql.Open("sqlite3", sqliteURL(abs, "_journal_mode=WAL&_busy_timeout=10000&_foreign_keys=1&_query_only=1&_stmt_cache_size=200"))
	if err != nil {
		w.Close()
		return nil, fmt.Errorf("open sqlite readers: %w", err)
	}
	r.SetMaxOpenConns(4)
	return &DB{write: w, read: r, engine: sqlite, path: abs}, nil
}

// sqliteURL escapes what would end the path part of a SQLite file: URL.
func sqliteURL(path, params string) string {
	return "file:" + strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(path) + "?" + params
}

func (db *DB) migrate(ctx context.Context) error {
	dialect := goose.DialectSQLite3
	if db.engine == postgres {
		dialect = goose.DialectPostgres
	}
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(dialect, db.write, files, goose.WithAllowOutofOrder(true), goose.WithGoMigrations(kept(db.engine == postgres), editions(db.engine == postgres)))
	if err != nil {
		return err
	}
	_, err = p.Up(ctx)
	return err
}

// Close closes the database. Transactions under way are rolled back.
func (db *DB) Close() error {
	err := db.write.Close()
	if db.read != db.write {
		err = errors.Join(err, db.read.Close())
	}
	if db.scratch != "" {
		err = errors.Join(err, os.RemoveAll(db.scratch))
	}
	return err
}

// Ping reports whether the database answers and can be written to.
func (db *DB) Ping(ctx context.Context) error { return db.write.PingContext(ctx) }

// Postgres reports whether the engine is PostgreSQL. Rooms do not need it; backup and diagnosis do.
func (db *DB) Postgres() bool { return db.engine == postgres }

// Update runs fn in one read-write transaction and commits when fn returns nil; any error rolls everything back and
// is returned. Functions registered with Tx.After run after the commit, in order. On SQLite writers are served one at
// a time. On PostgreSQL a serialization failure or deadlock is returned as ErrConflict.
func (db *DB) Update(ctx context.Context, fn func(*Tx) error) error {
	t, err := db.write.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	tx := &Tx{tx: t, db: db, ctx: ctx}
	defer t.Rollback() // no effect after the commit; also undoes the work of an fn that panics
	if err := fn(tx); err != nil {
		return err
	}
	if err := t.Commit(); err != nil {
		return fmt.Errorf("commit: %w", translate(err))
	}
	for _, f := range tx.after {
		f()
	}
	return nil
}

// View runs fn in one read-only transaction: everything fn reads is of one moment. A write inside View fails.
func (db *DB) View(ctx context.Context, fn func(*Tx) error) error {
	opt := &sql.TxOptions{}
	if db.engine == postgres {
		opt.ReadOnly = true
		opt.Isolation = sql.LevelRepeatableRead
	}
	t, err := db.read.BeginTx(ctx, opt)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer t.Rollback()
	return fn(&Tx{tx: t, db: db, ctx: ctx, readOnly: true})
}

// Tx is a transaction. It belongs to one goroutine.
type Tx struct {
	tx       *sql.Tx
	db       *DB
	ctx      context.Context
	after    []func()
	readOnly bool
}

// Context is the context the transaction was begun with.
func (tx *Tx) Context() context.Context { return tx.ctx }

// After registers f to run once the transaction has committed; in View it is never run. It is how notices (a console
// event, a wake-up for the outbox) leave a transaction that may still fail.
func (tx *Tx) After(f func()) {
	if !tx.readOnly {
		tx.after = append(tx.after, f)
	}
}

// SkipLocked is the row-locking clause of a claim: "FOR UPDATE SKIP LOCKED" on PostgreSQL, empty on SQLite, where
// there is only one writer.
func (tx *Tx) SkipLocked() string {
	if tx.db.engine == postgres {
		return "FOR UPDATE SKIP LOCKED"
	}
	return ""
}

// ForUpdate is the clause that locks the rows a command is about to change: "FOR UPDATE" on PostgreSQL, empty on SQLite.
func (tx *Tx) ForUpdate() string {
	if tx.db.engine == postgres {
		return "FOR UPDATE"
	}
	return ""
}

// Exec runs one statement and returns the number of rows it changed. A unique violation is ErrConflict; on PostgreSQL
// the transaction is then unusable, so prefer ON CONFLICT where a conflict is expected.
func (tx *Tx) Exec(query string, args ...any) (int64, error) {
	res, err := tx.tx.ExecContext(tx.ctx, tx.text(query), args...)
	if err != nil {
		return 0, translate(err)
	}
	n, err := res.RowsAffected()
	return n, translate(err)
}

// Row is what a scan function reads one row from.
type Row interface{ Scan(dest ...any) error }

// All returns every row of query, each read by scan; no rows are an empty slice and no error.
func All[T any](tx *Tx, scan func(Row) (T, error), query string, args ...any) ([]T, error) {
	rows, err := tx.tx.QueryContext(tx.ctx, tx.text(query), args...)
	if err != nil {
		return nil, translate(err)
	}
	defer rows.Close()
	var out []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, fmt.Errorf("scan: %w", err)
		}
		out = append(out, v)
	}
	return out, translate(rows.Err())
}

// One returns the first row of query, or ErrNotFound.
func One[T any](tx *Tx, scan func(Row) (T, error), query string, args ...any) (T, error) {
	var zero T
	rows, err := tx.tx.QueryContext(tx.ctx, tx.text(query), args...)
	if err != nil {
		return zero, translate(err)
	}
	defer rows.Close()
	if !rows.Next() {
		if err := rows.Err(); err != nil {
			return zero, translate(err)
		}
		return zero, ErrNotFound
	}
	v, err := scan(rows)
	if err != nil {
		return zero, fmt.Errorf("scan: %w", err)
	}
	return v, nil
}

// Value is a scan function for queries of one column, such as counts.
func Value[T any](r Row) (T, error) {
	var v T
	err := r.Scan(&v)
	return v, err
}

// text rewrites $1 to ?1 for SQLite, whose driver takes $2 for a name and numbers names by first appearance: with the
// placeholders out of order it would bind the wrong values without an error.
func (tx *Tx) text(query string) string {
	if tx.db.engine == postgres {
		return query
	}
	return strings.ReplaceAll(query, "$", "?")
}

func translate(err error) error {
	if err == nil {
		return nil
	}
	var s sqlite3.Error
	if errors.As(err, &s) && (s.ExtendedCode == sqlite3.ErrConstraintUnique || s.ExtendedCode == sqlite3.ErrConstraintPrimaryKey) {
		return fmt.Errorf("%w: %w", ErrConflict, err)
	}
	var p *pgconn.PgError
	if errors.As(err, &p) && (p.Code == "23505" || p.Code == "40001" || p.Code == "40P01") {
		return fmt.Errorf("%w: %w", ErrConflict, err)
	}
	return err
}

// NewID makes a key: a ULID, so that keys sort by the time they were made.
func NewID() string { return ulid.MustNew(ulid.Now(), rand.Reader).String() }

// Time is how a time stands in the database: BIGINT Unix milliseconds, NULL for the zero time. A TIMESTAMP column
// would come back shifted by the zone on one engine and not on the other.
type Time struct{ time.Time }

// At wraps t, cut to milliseconds.
func At(t time.Time) Time { return Time{t.Truncate(time.Millisecond)} }
