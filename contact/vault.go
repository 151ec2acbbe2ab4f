package contact

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync"

	"lianxin/audit"
	"lianxin/storage"
)

// ErrSealed is returned by Open when the text cannot be opened: it was made
// with a key that the vault does not hold, for another purpose, or altered.
var ErrSealed = errors.New("sealed text cannot be opened")

// sealVersion is the first byte of a sealed text.
const sealVersion = 1

// A Vault seals personal data for the database, and makes the keyed hashes by
// which it is found again. Sealing is AES-256-GCM (NIST SP 800-38D) with a
// random nonce: the same text sealed twice differs, and an altered one does
// not open. Hashes are HMAC-SHA256 (RFC 2104) under a key of their own. A
// Vault is safe for concurrent use.
type Vault struct {
	Box
	path string

	mu   sync.RWMutex
	keys keyFile
	aead map[string]cipher.AEAD // by key id
}

// A Box is the vault for one purpose. The purpose is bound into every sealed
// text and every hash: what is sealed as "sms.body" does not open as
// "contact.name", so a value moved from one column to another by hand is noticed.
type Box struct {
	vault   *Vault
	purpose string
}

// OpenVault reads the key file at path, and makes it at first use, with mode
// 0600 and in one step, so that two programs starting at once get the same
// keys. A file that others than the owner can read is refused. Who loses the
// file has lost the data, so it belongs into the backup, apart from the database.
func OpenVault(path string) (*Vault, error) {
	keys, err := readKeys(path)
	if errors.Is(err, errNoKeys) {
		keys, err = createKeys(path)
	}
	if err != nil {
		return nil, fmt.Errorf("open vault: %w", err)
	}
	v := &Vault{path: path}
	v.Box = Box{vault: v}
	if err := v.use(keys); err != nil {
		return nil, fmt.Errorf("open vault: %w", err)
	}
	return v, nil
}

func (v *Vault) use(keys keyFile) error {
	aead := make(map[string]cipher.AEAD, len(keys.Seal))
	for _, k := range keys.Seal {
		block, err := aes.NewCipher(k.Key)
		if err != nil {
			return fmt.Errorf("key %s: %w", k.ID, err)
		}
		if aead[k.ID], err = cipher.NewGCMWithRandomNonce(block); err != nil {
			return fmt.Errorf("key %s: %w", k.ID, err)
		}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.keys, v.aead = keys, aead
	return nil
}

// For is the vault for one purpose, such as "sms.body".
func (v *Vault) For(purpose string) Box { return Box{vault: v, purpose: purpose} }

// Rotate adds a new sealing key, keeps it in the file, and seals with it from
// now on; older texts still open. Lookup hashes do not change. Other programs
// on the same file read the new key when they meet a text sealed with it.
func (v *Vault) Rotate() error {
	keys, err := readKeys(v.path)
	if err != nil {
		return fmt.Errorf("rotate sealing key: %w", err)
	}
	next := keys.rotated()
	if err := replaceKeys(v.path, next); err != nil {
		return fmt.Errorf("rotate sealing key: %w", err)
	}
	return v.use(next)
}

// KeyID is the id of the key that seals now.
func (v *Vault) KeyID() string {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.keys.Current
}

// KeyOf is the id of the key that sealed a text, "" when it is no sealed text.
func KeyOf(sealed []byte) string {
	id, _, ok := split(sealed)
	if !ok {
		return ""
	}
	return id
}

// Seal encrypts plain. The result holds the id of its key: one byte of
// version, one of id length, the id, the nonce, the text with its tag. With
// random nonces one key is good for 2^32 texts; Rotate long before.
func (b Box) Seal(plain string) []byte {
	b.vault.mu.RLock()
	id := b.vault.keys.Current
	aead := b.vault.aead[id]
	b.vault.mu.RUnlock()
	out := make([]byte, 0, 2+len(id)+aead.Overhead()+len(plain))
	out = append(out, sealVersion, byte(len(id)))
	out = append(out, id...)
	return aead.Seal(out, nil, []byte(plain), b.bound(id))
}

// Open decrypts what Seal made for the same purpose, or returns ErrSealed. An
// empty sealed text opens as "", so that a NULL column needs no special case.
func (b Box) Open(sealed []byte) (string, error) {
	if len(sealed) == 0 {
		return "", nil
	}
	id, body, ok := split(sealed)
	if !ok {
		return "", fmt.Errorf("%w: not in our format", ErrSealed)
	}
	aead := b.vault.cipher(id)
	if aead == nil {
		return "", fmt.Errorf("%w: no key %q", ErrSealed, id)
	}
	plain, err := aead.Open(nil, nil, body, b.bound(id))
	if err != nil {
		return "", fmt.Errorf("%w: altered, or sealed for another purpose", ErrSealed)
	}
	return string(plain), nil
}

// cipher returns the cipher of a key, nil when there is no such key. A key
// that is not known yet may have been added by another program.
func (v *Vault) cipher(id string) cipher.AEAD {
	v.mu.RLock()
	aead := v.aead[id]
	v.mu.RUnlock()
	if aead != nil {
		return aead
	}
	keys, err := readKeys(v.path)
	if err != nil {
		return nil
	}
	v.mu.RLock()
	same := keys.Lookup.ID == v.keys.Lookup.ID // else it is the file of another vault
	v.mu.RUnlock()
	if !same || v.use(keys) != nil {
		return nil
	}
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.aead[id]
}

// Hash is the keyed hash by which a sealed text is looked up, 64 hex digits.
// Hash what is normalised (Phone.Clear), not what was typed.
func (b Box) Hash(plain string) string {
	b.vault.mu.RLock()
	key := b.vault.keys.Lookup.Key
	b.vault.mu.RUnlock()
	mac := hmac.New(sha256.New, key)
	// The purpose's length first, so that no two (purpose, text) pairs run together.
	fmt.Fprintf(mac, "lianxin lookup %d %s ", len(b.purpose), b.purpose)
	mac.Write([]byte(plain))
	return hex.EncodeToString(mac.Sum(nil))
}

// bound is the associated data of a sealed text.
func (b Box) bound(id string) []byte {
	return fmt.Appendf(nil, "lianxin seal %d %s %s", sealVersion, id, b.purpose)
}

// split takes the key id off a sealed text.
func split(sealed []byte) (id string, body []byte, ok bool) {
	if len(sealed) < 2 || sealed[0] != sealVersion {
		return "", nil, false
	}
	n := int(sealed[1])
	if n == 0 || len(sealed) < 2+n {
		return "", nil, false
	}
	return string(sealed[2 : 2+n]), sealed[2+n:], true
}

// Reload reads the key file again, so that a program that runs seals with the key that another one has made. A file that
// cannot be read, or is another vault's, is an error and changes nothing.
func (v *Vault) Reload() error {
	keys, err := readKeys(v.path)
	if err != nil {
		return fmt.Errorf("reload keys: %w", err)
	}
	v.mu.RLock()
	same, current := keys.Lookup.ID == v.keys.Lookup.ID, keys.Current == v.keys.Current
	v.mu.RUnlock()
	if !same {
		return errors.New("reload keys: the file is that of another vault")
	}
	if current {
		return nil
	}
	return v.use(keys)
}

// ErrKeyInUse is returned by Retire for the key that seals now.
var ErrKeyInUse = errors.New("this key seals now: rotate first")

// OldKeys are the ids of the sealing keys that are kept only to open what they once sealed, the oldest first.
func (v *Vault) OldKeys() (ids []string) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	for _, k := range v.keys.Seal {
		if k.ID != v.keys.Current {
			ids = append(ids, k.ID)
		}
	}
	return ids
}

// Retire takes an older sealing key out of the key file for good. What it sealed can never be opened again, backups included:
// that nothing does is for the caller to make sure of. db is the database that Bind has bound to the keys.
func (v *Vault) Retire(ctx context.Context, db *storage.DB, id string) error {
	keys, err := readKeys(v.path)
	if err != nil {
		return fmt.Errorf("retire key %s: %w", id, err)
	}
	if keys.Current == id {
		return fmt.Errorf("retire key %s: %w", id, ErrKeyInUse)
	}
	next := keys
	next.Seal = slices.DeleteFunc(slices.Clone(keys.Seal), func(k key) bool { return k.ID == id })
	if len(next.Seal) == len(keys.Seal) {
		return fmt.Errorf("retire key %s: %w", id, storage.ErrNotFound)
	}
	// The database forgets it first: a key that is there and not asked for does no harm, one that is asked for and gone stops the start.
	err = db.Update(ctx, func(tx *storage.Tx) error {
		if _, err := tx.Exec(`DELETE FROM contact_key WHERE id = $1`, id); err != nil {
			return err
		}
		_, err := audit.Append(tx, audit.Entry{Stream: "keys", Type: "keys.retired", Actor: "system", Payload: map[string]string{"key": id}})
		return err
	})
	if err == nil {
		err = replaceKeys(v.path, next)
	}
	if err != nil {
		return fmt.Errorf("retire key %s: %w", id, err)
	}
	return v.use(next)
}
