// Package contact knows the people and firms we speak with: their numbers and names, sealed and masked, and who asked us to stop.
package contact

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
	"unicode/utf8"

	"lianxin/audit"
	"lianxin/storage"
)

// ErrNoReason is returned by Reveal and by other commands that need a reason when none is given.
var ErrNoReason = errors.New("a reason is required")

// Purposes under which the book seals.
const (
	phonePurpose = "contact.phone"
	namePurpose  = "contact.name"
)

// A Book is the register of the people we speak with. The zero Book with a Vault is ready to use.
type Book struct {
	Vault *Vault
	Now   func() time.Time // nil is time.Now
}

func (b *Book) now() time.Time {
	if b.Now != nil {
		return b.Now()
	}
	return time.Now()
}

// A Person is somebody with a number. Phone and Name show their masked forms
// only; a page that must show more calls Reveal.
type Person struct {
	ID      string
	Phone   Phone // zero once the person is anonymised
	Name    Name  // zero when not known
	Created time.Time
	Changed time.Time
}

// LogValue is the id, which is all that a log needs.
func (p Person) LogValue() slog.Value { return slog.StringValue("citizen/" + p.ID) }

// Stream is the name of a person's stream in the audit log.
func Stream(id string) string { return "contact/" + id }

// HashPhone is the keyed hash under which every room may look a number up.
func (v *Vault) HashPhone(p Phone) string { return v.Hash(p.Clear()) }

// missingName leaves a person who is known as they are, but for a name that is missing.
const missingName = `ON CONFLICT (phone_hash) DO UPDATE SET name_sealed = excluded.name_sealed, changed = excluded.changed
		WHERE contact.name_sealed IS NULL AND excluded.name_sealed IS NOT NULL`

// Ensure returns the person with this number, and enters one when there is
// none. The name, which may be blank, is kept for a person who has none yet;
// it never replaces another (families share numbers): that is Rename.
func (b *Book) Ensure(tx *storage.Tx, phone Phone, name string) (Person, error) {
	if phone.IsZero() {
		return Person{}, fmt.Errorf("enter a person: %w", ErrNoNumber)
	}
	now := storage.At(b.now())
	var sealed []byte
	if n := NameOf(name); !n.IsZero() {
		sealed = b.Vault.For(namePurpose).Seal(n.Clear())
	}
	_, err := tx.Exec(`INSERT INTO contact (id, phone_hash, phone_sealed, name_sealed, created, changed)
		VALUES ($1, $2, $3, $4, $5, $5) `+missingName,
		storage.NewID(), b.Vault.HashPhone(phone), b.Vault.For(phonePurpose).Seal(phone.Clear()), sealed, now)
	if err != nil {
		return Person{}, fmt.Errorf("enter a person: %w", err)
	}
	return b.Find(tx, phone)
}

const selectPerson = `SELECT id, phone_sealed, name_sealed, created, changed FROM contact`

// Get returns the person with this id, or storage.ErrNotFound.
func (b *Book) Get(tx *storage.Tx, id string) (Person, error) {
	p, err := storage.One(tx, b.scan, selectPerson+` WHERE id = $1`, id)
	if err != nil {
		return Person{}, fmt.Errorf("person %s: %w", id, err)
	}
	return p, nil
}

// Find returns the person with this number, or storage.ErrNotFound.
func (b *Book) Find(tx *storage.Tx, phone Phone) (Person, error) {
	p, err := storage.One(tx, b.scan, selectPerson+` WHERE phone_hash = $1`, b.Vault.HashPhone(phone))
	if err != nil {
		return Person{}, fmt.Errorf("person of %s: %w", phone, err)
	}
	return p, nil
}

// Phone returns the number of a person, for a text or a call that the program
// itself makes. A number that is shown to somebody goes through Reveal.
func (b *Book) Phone(tx *storage.Tx, id string) (Phone, error) {
	p, err := b.Get(tx, id)
	return p.Phone, err
}

// Rename replaces the name of a person and enters who did it into the audit
// log (without either name).
func (b *Book) Rename(tx *storage.Tx, id, name, by string) error {
	var sealed []byte
	if n := NameOf(name); !n.IsZero() {
		sealed = b.Vault.For(namePurpose).Seal(n.Clear())
	}
	now := b.now()
	n, err := tx.Exec(`UPDATE contact SET name_sealed = $2, changed = $3 WHERE id = $1`, id, sealed, storage.At(now))
	if err == nil && n == 0 {
		err = storage.ErrNotFound
	}
	if err == nil {
		_, err = audit.Append(tx, audit.Entry{Stream: Stream(id), Type: "contact.renamed", Actor: by, At: now})
	}
	if err != nil {
		return fmt.Errorf("rename person %s: %w", id, err)
	}
	return nil
}

// Reveal gives the number and the name of a person in the open to somebody,
// and enters who, when and why into the audit log (invariant I7, NF-4). The
// reason must have at least two characters. Whether by may ask at all is for
// the caller to decide beforehand.
func (b *Book) Reveal(tx *storage.Tx, id, by, reason string) (Phone, string, error) {
	if reason = strings.TrimSpace(reason); utf8.RuneCountInString(reason) < 2 {
		return Phone{}, "", fmt.Errorf("reveal person %s: %w", id, ErrNoReason)
	}
	p, err := b.Get(tx, id)
	if err != nil {
		return Phone{}, "", fmt.Errorf("reveal: %w", err)
	}
	_, err = audit.Append(tx, audit.Entry{Stream: Stream(id), Type: "contact.revealed", Actor: by, At: b.now(),
		Payload: struct {
			Reason string `json:"reason"`
		}{reason}})
	if err != nil {
		return Phone{}, "", fmt.Errorf("reveal person %s: %w", id, err)
	}
	return p.Phone, p.Name.Clear(), nil
}

func (b *Book) scan(r storage.Row) (p Person, err error) {
	var phoneSealed, nameSealed []byte
	var created, changed storage.Time
	if err = r.Scan(&p.ID, &phoneSealed, &nameSealed, &created, &changed); err != nil {
		return p, err
	}
	p.Created, p.Changed = created.Time, changed.Time
	digits, err := b.Vault.For(phonePurpose).Open(phoneSealed)
	if err != nil {
		return Person{}, fmt.Errorf("number of person %s: %w", p.ID, err)
	}
	if digits != "" {
		p.Phone = phone(digits)
	}
	name, err := b.Vault.For(namePurpose).Open(nameSealed)
	if err != nil {
		return Person{}, fmt.Errorf("name of person %s: %w", p.ID, err)
	}
	p.Name = NameOf(name)
	return p, nil
}

// Reseal seals every number and name again that an older key has sealed, in
// small transactions, and returns how many persons it touched. Run it after
// Vault.Rotate; it may be stopped and run again.
func (b *Book) Reseal(ctx context.Context, db *storage.DB) (int, error) {
	total := 0
	for last, more := "", true; more; {
		err := db.Update(ctx, func(tx *storage.Tx) error {
			type row struct {
				id          string
				phone, name []byte
			}
			rows, err := storage.All(tx, func(r storage.Row) (w row, err error) {
				return w, r.Scan(&w.id, &w.phone, &w.name)
			}, `SELECT id, phone_sealed, name_sealed FROM contact WHERE id > $1 ORDER BY id LIMIT 500 `+tx.ForUpdate(), last)
			if err != nil {
				return err
			}
			more = len(rows) > 0
			for _, w := range rows {
				last = w.id
				p, err := b.Vault.For(phonePurpose).Again(w.phone)
				if err != nil {
					return fmt.Errorf("number of person %s: %w", w.id, err)
				}
				n, err := b.Vault.For(namePurpose).Again(w.name)
				if err != nil {
					return fmt.Errorf("name of person %s: %w", w.id, err)
				}
				if p == nil && n == nil {
					continue
				}
				if _, err := tx.Exec(`UPDATE contact SET phone_sealed = COALESCE($2, phone_sealed), name_sealed = COALESCE($3, name_sealed) WHERE id = $1`,
					w.id, p, n); err != nil {
					return err
				}
				total++
			}
			return nil
		})
		if err != nil {
			return total, fmt.Errorf("seal the book again: %w", err)
		}
	}
	return total, nil
}

// Again seals with the current key what an older one sealed; nil when there is nothing to do.
func (b Box) Again(sealed []byte) ([]byte, error) {
	if len(sealed) == 0 || KeyOf(sealed) == b.vault.KeyID() {
		return nil, nil
	}
	plain, err := b.Open(sealed)
	if err != nil {
		return nil, err
	}
	return b.Seal(plain), nil
}
