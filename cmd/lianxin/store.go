package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"lianxin/audit"
	"lianxin/console"
	"lianxin/contact"
	"lianxin/storage"
)

// openExisting opens the database of the data folder, or tells that there is none yet.
func openExisting(ctx context.Context, c *Config) (*storage.DB, error) {
	if c.Database == "" {
		if _, err := os.Stat(c.dsn()); errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("there is no database in %s yet; `lianxin serve` makes one", c.Data)
		}
	}
	return storage.Open(ctx, c.dsn())
}

// holdData takes the data folder for this process alone until release is called. Two servers on one folder would both
// believe that the calls and recordings there are theirs.
func holdData(dir string) (release func(), err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the data folder: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the data folder: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("the data folder %s is in use by another lianxin", dir)
	}
	return func() { f.Close() }, nil
}

type auditCmd struct {
	Verify auditVerifyCmd `cmd:"" help:"Replay the whole log and name the first broken link; exit 1 if there is one."`
}

type auditVerifyCmd struct{}

// Run verifies the chain, then that the tickets' rows are what their events say.
func (auditVerifyCmd) Run(ctx context.Context, m *Main, c *Config) error {
	db, err := openExisting(ctx, c)
	if err != nil {
		return err
	}
	defer db.Close()
	rep, err := audit.Verify(ctx, db, nil)
	if err != nil {
		return err
	}
	if rep.Broken != nil {
		fmt.Fprintf(m.Out, "BROKEN at %v\n%d events before it hold\n", rep.Broken, rep.Events)
		return errSaid
	}
	fmt.Fprintf(m.Out, "ok: %d events, one unbroken chain, head %.16s…\n", rep.Events, rep.Head+"0000000000000000")
	return verifyProjections(ctx, m, db, filepath.Join(c.Data, keysFile))
}

type backupCmd struct {
	File string `arg:"" help:"Where to write the copy; must not exist." type:"path"`
}

// Run writes the copy and, beside it, says what else belongs to a backup.
func (b *backupCmd) Run(ctx context.Context, m *Main, c *Config) error {
	db, err := openExisting(ctx, c)
	if err != nil {
		return err
	}
	defer db.Close()
	if err := db.Backup(ctx, b.File); err != nil {
		return err
	}
	fmt.Fprintf(m.Out, "wrote %s\nkeep with it, elsewhere: %s (without the keys, numbers and names in the copy cannot be read) and %s\n",
		b.File, filepath.Join(c.Data, keysFile), filepath.Join(c.Data, recordingsDir))
	return nil
}

type restoreCmd struct {
	File string `arg:"" help:"A copy made by lianxin backup." type:"existingfile"`
}

// Run puts the copy in place while no server holds the data folder, and keeps what was there.
func (r *restoreCmd) Run(ctx context.Context, m *Main, c *Config) error {
	if c.Database != "" {
		return storage.ErrPostgresBackup
	}
	release, err := holdData(c.Data)
	if err != nil {
		return err
	}
	defer release()
	if _, err := os.Stat(filepath.Join(c.Data, keysFile)); err != nil {
		return fmt.Errorf("restore: put the backup's %s into %s first: without the keys nothing in it can be read", keysFile, c.Data)
	}
	if err := storage.Restore(ctx, r.File, c.dsn()); err != nil {
		return err
	}
	db, err := storage.Open(ctx, c.dsn())
	if err != nil {
		return err
	}
	defer db.Close()
	rep, err := audit.Verify(ctx, db, nil)
	if err != nil {
		return err
	}
	if rep.Broken != nil {
		return fmt.Errorf("restored, but the log does not hold: %w", rep.Broken)
	}
	fmt.Fprintf(m.Out, "restored %s: %d events, one unbroken chain\n", r.File, rep.Events)
	return nil
}

// verifyProjections compares the rows with what the log says of them, and names all that differ.
func verifyProjections(ctx context.Context, m *Main, db *storage.DB, keys string) error {
	vault, err := contact.OpenVault(keys)
	if err != nil {
		return err
	}
	list, err := console.Compare(ctx, db, vault)
	if err != nil {
		return err
	}
	for _, c := range list {
		if len(c.Wrong) == 0 {
			fmt.Fprintln(m.Out, "ok:", c.Text("en"))
			continue
		}
		fmt.Fprintln(m.Out, "BROKEN:", c.Text("en"))
		for _, w := range c.Wrong {
			fmt.Fprintln(m.Out, "  "+w)
		}
		err = errSaid
	}
	return err
}
