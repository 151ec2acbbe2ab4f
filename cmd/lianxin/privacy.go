package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"lianxin/contact"
	"lianxin/ivr"
	"lianxin/privacy"
	"lianxin/storage"
)

type keysCmd struct {
	Rotate keysRotateCmd `cmd:"" help:"Make a new sealing key and seal everything again with it, also while the server runs; may be stopped and run again."`
	Status keysStatusCmd `cmd:"" help:"How many texts of each column, and how many recordings, older keys still seal."`
	Retire keysRetireCmd `cmd:"" help:"Take an older key out of the key file, once nothing is sealed with it any more."`
}

type keysRotateCmd struct {
	ResealOnly bool `name:"reseal-only" help:"Make no new key: go on with sealing again after an interruption."`
}

// reloadKeys is how often a running server looks whether there is a new key.
const reloadKeys = 5 * time.Second

// Run makes a new key and seals again. A server that runs goes on sealing with the old key for some seconds; what it has
// sealed meanwhile is sealed again in a second pass.
func (k *keysRotateCmd) Run(ctx context.Context, m *Main, cfg *Config) error {
	// A folder that was mistyped is not made, to be told that all is sealed with a new key.
	if _, err := os.Stat(filepath.Join(cfg.Data, keysFile)); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no key file in %s: is --data the folder of this centre?", cfg.Data)
	}
	c, err := openRooms(ctx, cfg, newLogger(m.Err, cfg))
	if err != nil {
		return err
	}
	defer c.db.Close()
	vault := c.book.Vault
	if !k.ResealOnly {
		if err := vault.Rotate(); err != nil {
			return err
		}
		if err := vault.Bind(ctx, c.db); err != nil {
			return err
		}
		fmt.Fprintf(m.Out, "new key %s; older keys stay in the file, for backups (lianxin keys retire takes one out)\n", vault.KeyID())
	}
	told := func(what string, n int) { fmt.Fprintf(m.Out, "  %s: %d\n", what, n) }
	total, err := privacy.Reseal(ctx, c.db, c.office, told)
	if err == nil {
		if release, held := holdData(cfg.Data); held == nil {
			release()
		} else {
			fmt.Fprintln(m.Out, "a server is running: waiting until it seals with the new key")
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(reloadKeys + 2*time.Second):
			}
			var more int
			more, err = privacy.Reseal(ctx, c.db, c.office, told)
			total += more
		}
	}
	fmt.Fprintf(m.Out, "%d texts sealed again with key %s\n", total, vault.KeyID())
	if err == nil {
		err = rewrapFiles(ctx, m, cfg, c.db, vault)
	}
	if err != nil {
		return fmt.Errorf("%w; go on with: lianxin keys rotate --reseal-only", err)
	}
	return nil
}

// rewrapFiles does what keys rotate does for what lies in files: recordings and captured packets.
func rewrapFiles(ctx context.Context, m *Main, cfg *Config, db *storage.DB, vault *contact.Vault) error {
	w, err := ivr.Calls{Vault: vault}.RewrapRecordings(ctx, db, filepath.Join(cfg.Data, recordingsDir), false)
	fmt.Fprintf(m.Out, "%d recordings have their key wrapped anew, %d had the present one, %d are not on this disk\n", w.Done, w.Already, w.Missing)
	if err != nil {
		return err
	}
	n, _, err := cfg.packets(vault).Reseal(false)
	fmt.Fprintf(m.Out, "packets of %d calls sealed again\n", n)
	return err
}

type keysRetireCmd struct {
	Key  string `arg:"" help:"Id of the key, as keys status names it."`
	Keep string `required:"" help:"File that gets a copy of the key file as it is now (mode 0600), to be locked away: backups made before need it." type:"path"`
}

// Run refuses while anything is sealed with the key.
func (k *keysRetireCmd) Run(ctx context.Context, m *Main, cfg *Config) error {
	c, err := openRooms(ctx, cfg, newLogger(m.Err, cfg))
	if err != nil {
		return err
	}
	defer c.db.Close()
	vault := c.book.Vault
	if !slices.Contains(vault.OldKeys(), k.Key) {
		return fmt.Errorf("%q is no older key of %s; there are %v", k.Key, filepath.Join(cfg.Data, keysFile), vault.OldKeys())
	}
	use, err := keyUse(ctx, cfg, c.db, vault)
	if err != nil {
		return err
	}
	if n := use[k.Key]; n > 0 {
		return fmt.Errorf("key %s still seals %d texts or recordings: lianxin keys rotate --reseal-only seals them again", k.Key, n)
	}
	old, err := os.ReadFile(filepath.Join(cfg.Data, keysFile))
	if err != nil {
		return err
	}
	f, err := os.OpenFile(k.Keep, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("keep the old key file: %w", err)
	}
	_, err = f.Write(old)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("keep the old key file: %w", err)
	}
	if err := vault.Retire(ctx, c.db, k.Key); err != nil {
		return err
	}
	fmt.Fprintf(m.Out, "key %s is retired; %s still holds it for backups made before: lock it away\n", k.Key, k.Keep)
	return nil
}

// keyUse counts what each older key still seals: in the database, and in files.
func keyUse(ctx context.Context, cfg *Config, db *storage.DB, vault *contact.Vault) (map[string]int, error) {
	use, err := privacy.KeyUse(ctx, db, vault)
	if err != nil {
		return nil, err
	}
	w, err := ivr.Calls{Vault: vault}.RewrapRecordings(ctx, db, filepath.Join(cfg.Data, recordingsDir), true)
	if err != nil {
		return nil, err
	}
	_, packets, err := cfg.packets(vault).Reseal(true)
	for _, more := range []map[string]int{w.Old, packets} {
		for id, n := range more {
			use[id] += n
		}
	}
	return use, err
}

type keysStatusCmd struct{}

// Run counts.
func (keysStatusCmd) Run(ctx context.Context, m *Main, cfg *Config) error {
	c, err := openRooms(ctx, cfg, newLogger(m.Err, cfg))
	if err != nil {
		return err
	}
	defer c.db.Close()
	list, err := privacy.KeyStatus(ctx, c.db, c.book.Vault)
	if err != nil {
		return err
	}
	old := 0
	for _, s := range list {
		fmt.Fprintf(m.Out, "%-22s %-16s %8d with the present key, %d with older ones\n", s.Table, s.Name, s.New, s.Old)
		old += s.Old
	}
	fmt.Fprintf(m.Out, "present key %s; %d texts are sealed with older keys\n", c.book.Vault.KeyID(), old)
	use, err := keyUse(ctx, cfg, c.db, c.book.Vault)
	if err != nil {
		return err
	}
	for _, id := range c.book.Vault.OldKeys() {
		if n := use[id]; n > 0 {
			fmt.Fprintf(m.Out, "older key %s still seals %d texts, recordings or packets\n", id, n)
		} else {
			fmt.Fprintf(m.Out, "older key %s seals nothing any more; lianxin keys retire %s takes it out\n", id, id)
		}
	}
	return nil
}

type retentionCmd struct {
	Preview retentionPreviewCmd `cmd:"" help:"What a run would take out now; changes nothing."`
	Run     retentionRunCmd     `cmd:"" help:"Take out what has been kept long enough, as the server does every night."`
}

type retentionPreviewCmd struct{}

// Run prints a line per kind.
func (retentionPreviewCmd) Run(ctx context.Context, m *Main, cfg *Config) error {
	return retention(ctx, m, cfg, false)
}

type retentionRunCmd struct{}

// Run takes out and prints how much.
func (retentionRunCmd) Run(ctx context.Context, m *Main, cfg *Config) error {
	return retention(ctx, m, cfg, true)
}

func retention(ctx context.Context, m *Main, cfg *Config, do bool) error {
	c, err := openRooms(ctx, cfg, newLogger(m.Err, cfg))
	if err != nil {
		return err
	}
	defer c.db.Close()
	var list []privacy.Due
	if do {
		list, err = c.keeper.Run(ctx, "system")
	} else {
		list, err = c.keeper.Preview(ctx)
	}
	for _, d := range list {
		_, en := d.Kind.Label()
		fmt.Fprintf(m.Out, "%-8s kept %-4s before %s: %d due", d.Kind, d.Period, d.Before.Format("2006-01-02"), d.Rows)
		if do {
			fmt.Fprintf(m.Out, ", %d taken out", d.Done)
		}
		fmt.Fprintf(m.Out, " (%s)\n", en)
	}
	return err
}

type personCmd struct {
	Export personExportCmd `cmd:"" help:"Write everything that is kept about one person as JSON, for that person; logged."`
	Erase  personEraseCmd  `cmd:"" help:"Take out what is kept about one person who asks for it; figures stay."`
}

type personExportCmd struct {
	Who    string `arg:"" help:"Telephone number, mail address or identity number."`
	Reason string `required:"" help:"Why, for the log: the number of the person's demand."`
	Out    string `help:"File to write (mode 0600); standard output when left out." type:"path"`
}

// Run writes the dossier.
func (p *personExportCmd) Run(ctx context.Context, m *Main, cfg *Config) error {
	c, err := openRooms(ctx, cfg, newLogger(m.Err, cfg))
	if err != nil {
		return err
	}
	defer c.db.Close()
	var d privacy.Dossier
	err = c.db.Update(ctx, func(tx *storage.Tx) (err error) { d, err = c.keeper.Export(tx, "system", p.Who, p.Reason); return err })
	if err != nil {
		return err
	}
	b, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return err
	}
	if p.Out == "" {
		_, err = fmt.Fprintln(m.Out, string(b))
		return err
	}
	return os.WriteFile(p.Out, append(b, '\n'), 0o600)
}

type personEraseCmd struct {
	Who    string `arg:"" help:"Telephone number, mail address or identity number."`
	Reason string `required:"" help:"Why, for the log: the number of the person's demand."`
	Yes    bool   `help:"Do it; without this it only says that it would."`
}

// Run erases, in one transaction.
func (p *personEraseCmd) Run(ctx context.Context, m *Main, cfg *Config) error {
	c, err := openRooms(ctx, cfg, newLogger(m.Err, cfg))
	if err != nil {
		return err
	}
	defer c.db.Close()
	dry := errors.New("only tried")
	var e privacy.Erased
	err = c.db.Update(ctx, func(tx *storage.Tx) (err error) {
		if e, err = c.keeper.Erase(tx, "system", p.Who, p.Reason); err == nil && !p.Yes {
			err = dry
		}
		return err
	})
	if err != nil && !errors.Is(err, dry) {
		return err
	}
	fmt.Fprintf(m.Out, "person %s: %d requests, %d texts, %d service records, %d calls", e.Person, e.Requests, e.Texts, e.Records, e.Calls)
	if !p.Yes {
		fmt.Fprintln(m.Out, " would be erased; say --yes to do it")
		return nil
	}
	fmt.Fprintln(m.Out, " erased")
	return nil
}
