package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Scratch opens an empty SQLite database of the same schema in a folder of its own, for what is worked out once and thrown
// away: tables as they stood at an earlier moment. It holds no references between its tables and survives no power cut; Close
// removes it.
func Scratch(ctx context.Context) (*DB, error) {
	dir, err := os.MkdirTemp("", "lianxin-scratch-")
	if err != nil {
		return nil, fmt.Errorf("open a scratch database: %w", err)
	}
	w, err := sql.Open("sqlite3", sqliteURL(filepath.Join(dir, "scratch.db"), "_journal_mode=MEMORY&_synchronous=OFF&_foreign_keys=0&_stmt_cache_size=200"))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open a scratch database: %w", err), os.RemoveAll(dir))
	}
	w.SetMaxOpenConns(1)
	db := &DB{write: w, read: w, engine: sqlite, scratch: dir}
	if err := db.migrate(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open a scratch database: %w", err), db.Close())
	}
	return db, nil
}

// Copy copies the rows of a table that where selects (its placeholders from $1) into the same table of a scratch database, in
// the place of what is there under the same key. Column names are those of the scratch database.
func Copy(from, to *Tx, table, where string, args ...any) error {
	columns, err := All(to, Value[string], `SELECT name FROM pragma_table_info('`+table+`')`)
	if err != nil || len(columns) == 0 {
		return fmt.Errorf("copy %s: its columns: %w", table, err)
	}
	list := strings.Join(columns, ", ")
	rows, err := All(from, func(r Row) ([]any, error) {
		cells := make([]any, len(columns))
		to := make([]any, len(columns))
		for i := range cells {
			to[i] = &cells[i]
		}
		err := r.Scan(to...)
		return cells, err
	}, `SELECT `+list+` FROM `+table+` `+where, args...)
	if err != nil {
		return fmt.Errorf("copy %s: %w", table, err)
	}
	for part := range slices.Chunk(rows, 100) {
		if _, err := to.Insert(`INSERT OR REPLACE INTO `+table+` (`+list+`)`, part, ``); err != nil {
			return fmt.Errorf("copy %s: %w", table, err)
		}
	}
	return nil
}
