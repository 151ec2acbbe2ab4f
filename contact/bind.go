package contact

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"lianxin/storage"
)

// ErrWrongKeys is returned by Bind when the vault's keys are not those with
// which the database was written.
var ErrWrongKeys = errors.New("the key file does not belong to this database")

// Bind makes sure that vault and database belong together. The first time it
// notes fingerprints of the keys in the database; later it compares, so that
// a lost key file, for which OpenVault would make a new one, stops the start
// instead of hiding every person entered so far.
func (v *Vault) Bind(ctx context.Context, db *storage.DB) error {
	v.mu.RLock()
	keys := v.keys
	v.mu.RUnlock()
	have := map[string]string{keys.Lookup.ID: keys.Lookup.fingerprint()}
	for _, k := range keys.Seal {
		have[k.ID] = k.fingerprint()
	}
	type known struct{ id, purpose, fingerprint string }
	err := db.Update(ctx, func(tx *storage.Tx) error {
		note := func(id, purpose string) error {
			_, err := tx.Exec(`INSERT INTO contact_key (id, purpose, fingerprint, first_used) VALUES ($1, $2, $3, $4) ON CONFLICT (id) DO NOTHING`,
				id, purpose, have[id], storage.At(time.Now()))
			return err
		}
		rows, err := storage.All(tx, func(r storage.Row) (k known, err error) {
			return k, r.Scan(&k.id, &k.purpose, &k.fingerprint)
		}, `SELECT id, purpose, fingerprint FROM contact_key ORDER BY first_used, id`)
		if err != nil {
			return err
		}
		lookup := false
		for _, k := range rows {
			if have[k.id] != k.fingerprint {
				return fmt.Errorf("%w: %s key %s is not in %s; put the right file back", ErrWrongKeys, k.purpose, k.id, v.path)
			}
			lookup = lookup || k.purpose == "lookup"
		}
		if !lookup {
			if err := note(keys.Lookup.ID, "lookup"); err != nil {
				return err
			}
		}
		return note(keys.Current, "seal")
	})
	if err != nil {
		return fmt.Errorf("bind the vault to the database: %w", err)
	}
	return nil
}

// fingerprint tells keys apart and tells nothing about them.
func (k key) fingerprint() string {
	mac := hmac.New(sha256.New, k.Key)
	mac.Write([]byte("lianxin key fingerprint"))
	return hex.EncodeToString(mac.Sum(nil)[:16])
}
