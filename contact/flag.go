package contact

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"lianxin/audit"
	"lianxin/storage"
)

// A Flag is a mark that staff put on a number so that the hotline treats its calls in a way of their own: vip for somebody who is to
// reach a person at once (a victim under protection, somebody who cannot use keys), or any other word that a flow asks for.
type Flag struct {
	ID     string
	Flag   string    // lower-case letters, digits and hyphens
	Reason string    // required; goes into the audit log, so no names
	By     string    // actor, required
	At     time.Time // zero is now
	Until  time.Time // first moment at which it no longer holds; zero: until lifted
}

// ErrFlag is returned for a mark whose form is wrong.
var ErrFlag = errors.New("a mark is a word of lower-case letters, digits and hyphens")

var flagForm = regexp.MustCompile(`^[a-z][a-z0-9-]{1,30}$`)

// Flag marks a number and returns the id of the entry.
func (b *Book) Flag(tx *storage.Tx, phone Phone, f Flag) (string, error) {
	if !flagForm.MatchString(f.Flag) {
		return "", fmt.Errorf("mark a number: %w", ErrFlag)
	}
	if strings.TrimSpace(f.Reason) == "" {
		return "", fmt.Errorf("mark a number: %w", ErrNoReason)
	}
	p, err := b.Ensure(tx, phone, "")
	if err != nil {
		return "", fmt.Errorf("mark a number: %w", err)
	}
	b.fill(&f.At, &f.By, p)
	f.ID = storage.NewID()
	_, err = tx.Exec(`INSERT INTO contact_flag (id, phone_hash, flag, reason, by_actor, at, until) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		f.ID, b.Vault.HashPhone(phone), f.Flag, f.Reason, f.By, storage.At(f.At), storage.At(f.Until))
	if err == nil {
		_, err = audit.Append(tx, audit.Entry{Stream: Stream(p.ID), Type: "contact.flagged", Actor: f.By, At: b.now(),
			Payload: map[string]string{"flag": f.Flag, "entry": f.ID, "reason": f.Reason}})
	}
	if err != nil {
		return "", fmt.Errorf("mark a number: %w", err)
	}
	return f.ID, nil
}

// Flags returns the marks in force of a number, the latest first.
func (b *Book) Flags(tx *storage.Tx, phone Phone) ([]Flag, error) {
	list, err := storage.All(tx, func(r storage.Row) (f Flag, err error) {
		var at, until storage.Time
		err = r.Scan(&f.ID, &f.Flag, &f.Reason, &f.By, &at, &until)
		f.At, f.Until = at.Time, until.Time
		return f, err
	}, `SELECT id, flag, reason, by_actor, at, until FROM contact_flag
		WHERE phone_hash = $1 AND state = 'in_force' AND lifted IS NULL AND at <= $2 AND (until IS NULL OR until > $2) ORDER BY at DESC, id`,
		b.Vault.HashPhone(phone), storage.At(b.now()))
	if err != nil {
		return nil, fmt.Errorf("look up marks: %w", err)
	}
	return list, nil
}

// Unflag takes a mark off a number, every entry of it that is in force or proposed. It returns storage.ErrNotFound when there is none.
func (b *Book) Unflag(tx *storage.Tx, phone Phone, flag, by, reason string) error {
	if strings.TrimSpace(reason) == "" {
		return fmt.Errorf("lift a mark: %w", ErrNoReason)
	}
	p, err := b.Find(tx, phone)
	if err != nil {
		return fmt.Errorf("lift a mark: %w", err)
	}
	now := b.now()
	n, err := tx.Exec(`UPDATE contact_flag SET lifted = $3, lifted_by = $4, lifted_why = $5 WHERE phone_hash = $1 AND flag = $2 AND lifted IS NULL`, b.Vault.HashPhone(phone), flag, storage.At(now), by, reason)
	if err == nil && n == 0 {
		err = storage.ErrNotFound
	}
	if err == nil {
		_, err = audit.Append(tx, audit.Entry{Stream: Stream(p.ID), Type: "contact.unflagged", Actor: by, At: now,
			Payload: map[string]string{"flag": flag, "reason": reason}})
	}
	if err != nil {
		return fmt.Errorf("lift a mark: %w", err)
	}
	return nil
}
