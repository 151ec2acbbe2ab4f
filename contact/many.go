package contact

import (
	"fmt"

	"lianxin/storage"
)

// Caller is who is to be entered: a number, and a name, which may be blank.
type Caller struct {
	Phone Phone
	Name  string
}

// EnsureAll is Ensure for many at once: it returns the id of each, in their order. No number may stand twice among them.
func (b *Book) EnsureAll(tx *storage.Tx, all []Caller) ([]string, error) {
	if len(all) == 0 {
		return nil, nil
	}
	now := storage.At(b.now())
	phones, names := b.Vault.For(phonePurpose), b.Vault.For(namePurpose)
	rows, hashes := make([][]any, len(all)), make([]string, len(all))
	for i, c := range all {
		if c.Phone.IsZero() {
			return nil, fmt.Errorf("enter a person: %w", ErrNoNumber)
		}
		var sealed []byte
		if n := NameOf(c.Name); !n.IsZero() {
			sealed = names.Seal(n.Clear())
		}
		hashes[i] = b.Vault.HashPhone(c.Phone)
		rows[i] = []any{storage.NewID(), hashes[i], phones.Seal(c.Phone.Clear()), sealed, now, now}
	}
	if _, err := tx.Insert(`INSERT INTO contact (id, phone_hash, phone_sealed, name_sealed, created, changed)`, rows, missingName); err != nil {
		return nil, fmt.Errorf("enter %d persons: %w", len(all), err)
	}
	type known struct{ id, hash string }
	list, args := storage.In(nil, hashes)
	found, err := storage.All(tx, func(r storage.Row) (k known, err error) { return k, r.Scan(&k.id, &k.hash) }, `SELECT id, phone_hash FROM contact WHERE phone_hash IN (`+list+`)`, args...)
	if err != nil {
		return nil, fmt.Errorf("enter %d persons: %w", len(all), err)
	}
	byHash := make(map[string]string, len(found))
	for _, k := range found {
		byHash[k.hash] = k.id
	}
	ids := make([]string, len(all))
	for i, h := range hashes {
		if ids[i] = byHash[h]; ids[i] == "" {
			return nil, fmt.Errorf("enter %d persons: the person of %s: %w", len(all), all[i].Phone, storage.ErrNotFound)
		}
	}
	return ids, nil
}

// Wishes is who among many numbers is to be left alone: by keyed hash (Vault.HashPhone).
type Wishes struct {
	Shielded map[string]Shield // as Book.Shielded says
	OptedOut map[string]bool   // as Book.OptedOut says
}

// WishesOf is Shielded and OptedOut for the numbers with these hashes at once.
func (b *Book) WishesOf(tx *storage.Tx, hashes []string, scope string) (Wishes, error) {
	w := Wishes{Shielded: map[string]Shield{}, OptedOut: map[string]bool{}}
	if len(hashes) == 0 {
		return w, nil
	}
	list, args := storage.In([]any{scope, ScopeAll, storage.At(b.now())}, hashes)
	_, err := storage.All(tx, func(r storage.Row) (struct{}, error) {
		var hash string
		var s Shield
		var at, until storage.Time
		err := r.Scan(&hash, &s.ID, &s.Scope, &s.Reason, &s.By, &at, &until)
		if _, newer := w.Shielded[hash]; !newer {
			s.At, s.Until = at.Time, until.Time
			w.Shielded[hash] = s
		}
		return struct{}{}, err
	}, `SELECT phone_hash, id, scope, reason, by_actor, at, until FROM contact_shield
		WHERE phone_hash IN (`+list+`) AND scope IN ($1, $2) AND lifted IS NULL AND at <= $3 AND (until IS NULL OR until > $3) ORDER BY at DESC, id DESC`, args...)
	if err != nil {
		return w, fmt.Errorf("look up shields: %w", err)
	}
	type key struct{ hash, scope string }
	last := map[key]bool{}
	list, args = storage.In([]any{scope, ScopeAll}, hashes)
	_, err = storage.All(tx, func(r storage.Row) (struct{}, error) {
		var k key
		var back bool
		err := r.Scan(&k.hash, &k.scope, &back)
		last[k] = !back
		return struct{}{}, err
	}, `SELECT phone_hash, scope, back FROM contact_optout WHERE phone_hash IN (`+list+`) AND scope IN ($1, $2) ORDER BY phone_hash, seq`, args...)
	if err != nil {
		return w, fmt.Errorf("look up opt-outs: %w", err)
	}
	for k, out := range last {
		w.OptedOut[k.hash] = w.OptedOut[k.hash] || out
	}
	return w, nil
}
