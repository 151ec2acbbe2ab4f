package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// ErrPostgresBackup tells that a PostgreSQL database is backed up with its own tools (pg_dump, pg_restore).
var ErrPostgresBackup = errors.New("a PostgreSQL database is backed up with pg_dump and restored with pg_restore")

// Backup writes a consistent copy of the SQLite database to file while others go on reading and writing, and checks
// the copy's integrity before it takes its final name. It refuses to overwrite an existing file.
func (db *DB) Backup(ctx context.Context, file string) error {
	if db.engine == postgres {
		return ErrPostgresBackup
	}
	if _, err := os.Stat(file); err == nil {
		return fmt.Errorf("back up to %s: the file exists", file)
	}
	part := file + ".part"
	if err := os.Remove(part); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("back up: %w", err)
	}
	// VACUUM INTO needs a connection that may write; a third one, so that the writer is not held for the whole copy.
	c, err := sql.Open("sqlite3", sqliteURL(db.path, "_journal_mode=WAL&_busy_timeout=10000"))
	if err != nil {
		return fmt.Errorf("back up: %w", err)
	}
	defer c.Close()
	if _, err := c.ExecContext(ctx, "VACUUM INTO ?", part); err != nil {
		return fmt.Errorf("back up: %w", err)
	}
	if err := os.Chmod(part, 0o600); err != nil {
		return fmt.Errorf("back up: %w", err)
	}
	if err := CheckFile(ctx, part); err != nil {
		return fmt.Errorf("back up: the copy is damaged: %w", err)
	}
	if err := syncFile(part); err != nil {
		return fmt.Errorf("back up: %w", err)
	}
	if err := os.Rename(part, file); err != nil {
		return fmt.Errorf("back up: %w", err)
	}
	return syncFile(filepath.Dir(file))
}

// CheckFile runs SQLite's integrity check over a database file, and reports the first damage found.
func CheckFile(ctx context.Context, file string) error {
	if _, err := os.Stat(file); err != nil {
		return err
	}
	c, err := sql.Open("sqlite3", sqliteURL(file, "mode=ro"))
	if err != nil {
		return err
	}
	defer c.Close()
	var verdict string
	if err := c.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&verdict); err != nil {
		return err
	}
	if verdict != "ok" {
		return errors.New(verdict)
	}
	return nil
}

// syncFile forces a file, or the names in a directory, to the disk.
func syncFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// Restore puts a backup made by Backup in the place of the SQLite database dsn, which must not be open. What stood
// there is kept beside it with the suffix ".before-restore"; an earlier one of that name is an error, so that nothing
// is ever lost by restoring twice.
func Restore(ctx context.Context, file, dsn string) error {
	if err := CheckFile(ctx, file); err != nil {
		return fmt.Errorf("restore %s: %w", file, err)
	}
	if err := isOurs(ctx, file); err != nil {
		return fmt.Errorf("restore %s: %w", file, err)
	}
	part := dsn + ".restoring"
	if err := copyFile(file, part); err != nil {
		return fmt.Errorf("restore %s: %w", file, err)
	}
	if _, err := os.Stat(dsn); err == nil {
		kept := dsn + ".before-restore"
		if _, err := os.Stat(kept); err == nil {
			return fmt.Errorf("restore %s: %s is there already; move it away first", file, kept)
		}
		// What is still in the write-ahead log belongs to the kept file: open and close it once to fold it in.
		old, err := sql.Open("sqlite3", sqliteURL(dsn, "_busy_timeout=1000"))
		if err == nil {
			_, err = old.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)")
			old.Close()
		}
		if err != nil {
			return fmt.Errorf("restore %s: fold in the log of the present database: %w", file, err)
		}
		if err := os.Rename(dsn, kept); err != nil {
			return fmt.Errorf("restore %s: %w", file, err)
		}
		for _, side := range []string{"-wal", "-shm"} {
			if err := os.Remove(dsn + side); err != nil && !errors.Is(err, os.ErrNotExist) {
				return fmt.Errorf("restore %s: %w", file, err)
			}
		}
	}
	if err := os.Rename(part, dsn); err != nil {
		return fmt.Errorf("restore %s: %w", file, err)
	}
	return syncFile(filepath.Dir(dsn))
}

// isOurs refuses a file that is no database of ours: SQLite takes an empty file for a sound, empty database.
func isOurs(ctx context.Context, file string) error {
	c, err := sql.Open("sqlite3", sqliteURL(file, "mode=ro"))
	if err != nil {
		return err
	}
	defer c.Close()
	var n int
	if err := c.QueryRowContext(ctx, "SELECT COUNT(*) FROM audit_head").Scan(&n); err != nil || n != 1 {
		return errors.New("this is no backup made by this program")
	}
	return nil
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		out.Close()
		return err
	}
	if err := out.Sync(); err != nil {
		out.Close()
		return err
	}
	return out.Close()
}
