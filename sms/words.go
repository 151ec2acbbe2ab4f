package sms

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"

	"lianxin/contact"
	"lianxin/storage"
)

// Purposes under which words are sealed (contact.Box).
const (
	textWords  = "sms.text"
	replyWords = "sms.reply"
)

// sealReply seals a reply's words with a salt that goes into its digest: a reply is often one digit, which could be
// guessed back from a digest of nothing but the row.
func sealReply(v *contact.Vault, salt, body string) []byte {
	return v.For(replyWords).Seal(salt + "\n" + body)
}

func openReply(v *contact.Vault, sealed []byte) (salt, body string, err error) {
	clear, err := v.For(replyWords).Open(sealed)
	if err != nil {
		return "", "", fmt.Errorf("open the words of a reply: %w", err)
	}
	salt, body, _ = strings.Cut(clear, "\n")
	return salt, body, nil
}

// newSalt is 128 random bits, in letters and digits.
func newSalt() string { return rand.Text() }

// SealWords seals the words of texts and replies that were stored in clear by an earlier version of the program, some
// hundreds to a transaction, and returns how many. Digests stay as they are. It costs next to nothing when there are none.
func SealWords(ctx context.Context, db *storage.DB, v *contact.Vault) (int, error) {
	seals := []struct {
		table string
		seal  func(string) []byte
	}{
		{"sms", v.For(textWords).Seal},
		{"sms_inbound", func(body string) []byte { return sealReply(v, "", body) }},
	}
	done := 0
	for _, s := range seals {
		n, err := SealColumn(ctx, db, s.table, s.seal)
		if done += n; err != nil {
			return done, fmt.Errorf("seal the words in %s: %w", s.table, err)
		}
	}
	return done, nil
}

// SealColumn seals the column body of a table into its column words, where that is still NULL.
func SealColumn(ctx context.Context, db *storage.DB, table string, seal func(string) []byte) (done int, err error) {
	type row struct{ id, body string }
	for {
		n := 0
		err := db.Update(ctx, func(tx *storage.Tx) error {
			rows, err := storage.All(tx, func(r storage.Row) (w row, err error) { return w, r.Scan(&w.id, &w.body) },
				`SELECT id, body FROM `+table+` WHERE words IS NULL ORDER BY id LIMIT 500`)
			if err != nil {
				return err
			}
			for _, r := range rows {
				if _, err := tx.Exec(`UPDATE `+table+` SET words = $2, body = '' WHERE id = $1`, r.id, seal(r.body)); err != nil {
					return err
				}
			}
			n = len(rows)
			return nil
		})
		if done += n; err != nil || n == 0 {
			return done, err
		}
	}
}
