package poll

import (
	"context"
	"crypto/hpke"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"lianxin/storage"
)

// Keys go from node to node, so that any of them can end a poll, and one that was lost takes no answers with it. The way leads
// through the database, but nothing in it opens a ballot: a node without the key writes a public key of its own, made for this
// poll alone, whose secret half stays in its folder; a node with the key seals it for that; the asker puts it into its folder
// and destroys its half. An older copy of the database holds a key sealed for a half that is gone. Who can write to the
// database and not read the folders cannot ask: a wish bears a hash under the house's own key.

// wish is what a node keeps while it waits for a key.
type wish struct {
	id     string
	secret []byte
}

func (o *Office) wishPath(poll string) string { return filepath.Join(o.Keys, poll+".wish") }

func (o *Office) proof(poll, id string, public []byte) string {
	return o.Book.Vault.For("poll.key").Hash(poll + "/" + id + "/" + hex.EncodeToString(public))
}

func (o *Office) readWish(poll string) (w wish, err error) {
	b, err := os.ReadFile(o.wishPath(poll))
	if err != nil {
		return w, err
	}
	id, secret, ok := strings.Cut(strings.TrimSpace(string(b)), " ")
	if w.secret, err = hex.DecodeString(secret); err != nil || !ok {
		return w, fs.ErrNotExist // a crash while it was written: asked anew
	}
	w.id = id
	return w, nil
}

// keyed does what keys need on this node: asks for those of open polls that are not here, takes those that were handed over,
// and hands over what others ask for.
func (o *Office) keyed(ctx context.Context, db *storage.DB) error {
	var open []string
	if err := db.View(ctx, func(tx *storage.Tx) (err error) {
		open, err = storage.All(tx, storage.Value[string], `SELECT id FROM poll WHERE state = 'OPEN' ORDER BY id`)
		return err
	}); err != nil {
		return err
	}
	var errs []error
	for _, id := range open {
		_, err := o.secret(id)
		switch {
		case err == nil:
			err = o.handOver(ctx, db, id)
		case errors.Is(err, errNoKey):
			err = o.askFor(ctx, db, id)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("key of poll %s: %w", id, err))
		}
	}
	return errors.Join(errs...)
}

// askFor asks for a key, or takes it when it is there.
func (o *Office) askFor(ctx context.Context, db *storage.DB, poll string) error {
	w, err := o.readWish(poll)
	if errors.Is(err, fs.ErrNotExist) {
		return o.wishFor(ctx, db, poll)
	}
	if err != nil {
		return err
	}
	sealed, err := func() (b []byte, err error) {
		err = db.View(ctx, func(tx *storage.Tx) (err error) {
			b, err = storage.One(tx, func(r storage.Row) (b []byte, err error) { return b, r.Scan(&b) }, `SELECT sealed FROM poll_key_wish WHERE id = $1`, w.id)
			return err
		})
		return b, err
	}()
	if errors.Is(err, storage.ErrNotFound) { // it was never committed, or the database was put back to an earlier day
		return o.wishFor(ctx, db, poll)
	}
	if err != nil || len(sealed) == 0 {
		return err
	}
	half, err := kem.NewPrivateKey(w.secret)
	if err != nil {
		return err
	}
	secret, err := hpke.Open(half, kdf, aead, []byte("lianxin poll key "+poll+" "+w.id), sealed)
	if err != nil {
		return fmt.Errorf("open what was handed over: %w", err)
	}
	if err := o.keep(o.keyPath(poll), secret); err != nil {
		return err
	}
	if err := db.Update(ctx, func(tx *storage.Tx) error {
		_, err := tx.Exec(`DELETE FROM poll_key_wish WHERE id = $1`, w.id)
		return err
	}); err != nil {
		return err
	}
	return destroy(o.wishPath(poll))
}

func (o *Office) wishFor(ctx context.Context, db *storage.DB, poll string) error {
	k, err := kem.GenerateKey()
	if err != nil {
		return err
	}
	secret, err := k.Bytes()
	if err != nil {
		return err
	}
	id, public := hex.EncodeToString(randomBytes(16)), k.PublicKey().Bytes()
	if err := o.keep(o.wishPath(poll), []byte(id+" "+hex.EncodeToString(secret))); err != nil {
		return err
	}
	return db.Update(ctx, func(tx *storage.Tx) error {
		// Under the poll's row: who ends it at this moment leaves no wish behind.
		if _, err := storage.One(tx, storage.Value[string], `SELECT id FROM poll WHERE id = $1 AND state = 'OPEN' `+tx.ForUpdate(), poll); err != nil {
			if errors.Is(err, storage.ErrNotFound) {
				return nil
			}
			return err
		}
		_, err := tx.Exec(`INSERT INTO poll_key_wish (id, poll_id, public_key, proof) VALUES ($1, $2, $3, $4)`, id, poll, public, o.proof(poll, id, public))
		return err
	})
}

// handOver seals a key for every node that asked for it.
func (o *Office) handOver(ctx context.Context, db *storage.DB, poll string) error {
	type row struct {
		id, proof string
		public    []byte
	}
	var all []row
	err := db.View(ctx, func(tx *storage.Tx) (err error) {
		all, err = storage.All(tx, func(r storage.Row) (x row, err error) { return x, r.Scan(&x.id, &x.proof, &x.public) },
			`SELECT id, proof, public_key FROM poll_key_wish WHERE poll_id = $1 AND sealed IS NULL`, poll)
		return err
	})
	if err != nil || len(all) == 0 {
		return err
	}
	secret, err := os.ReadFile(o.keyPath(poll))
	if err != nil {
		return err
	}
	for _, x := range all {
		if x.proof != o.proof(poll, x.id, x.public) {
			o.Log.Error("poll: a key was asked for by somebody who is no node of this house", "poll", poll)
			if err := db.Update(ctx, func(tx *storage.Tx) error {
				_, err := tx.Exec(`DELETE FROM poll_key_wish WHERE id = $1`, x.id)
				return err
			}); err != nil {
				return err
			}
			continue
		}
		public, err := kem.NewPublicKey(x.public)
		if err != nil {
			return err
		}
		sealed, err := hpke.Seal(public, kdf, aead, []byte("lianxin poll key "+poll+" "+x.id), secret)
		if err != nil {
			return err
		}
		if err := db.Update(ctx, func(tx *storage.Tx) error {
			_, err := tx.Exec(`UPDATE poll_key_wish SET sealed = $2 WHERE id = $1`, x.id, sealed)
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}

// keep writes a secret to a file of this node, whole or not at all.
func (o *Office) keep(path string, secret []byte) error {
	if err := os.MkdirAll(o.Keys, 0o700); err != nil {
		return fmt.Errorf("make the folder of poll keys: %w", err)
	}
	f, err := os.OpenFile(path+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("write the key of a poll: %w", err)
	}
	if _, err = f.Write(secret); err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write the key of a poll: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("write the key of a poll: %w", err)
	}
	return nil
}

// destroy writes over a secret and removes it. What an old block of the disk may still hold is the storage's own.
func destroy(path string) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err == nil {
		_, err = f.Write(make([]byte, info.Size()))
		err = errors.Join(err, f.Sync(), f.Close())
	}
	return errors.Join(err, os.Remove(path))
}
