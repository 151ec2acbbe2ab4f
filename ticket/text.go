package ticket

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"lianxin/contact"
	"lianxin/storage"
)

// Text refers to a free text from an event: the text itself stays out of the log, and Sum shows that it was not changed.
type Text struct {
	ID  string `json:"text,omitzero"`
	Sum string `json:"sum,omitzero"` // SHA-256 over the id and the text as shown
}

// IsZero reports whether there is no text.
func (t Text) IsZero() bool { return t.ID == "" }

func sum(id, shown string) string {
	h := sha256.Sum256([]byte(id + "\n" + shown))
	return hex.EncodeToString(h[:16])
}

type textRow struct {
	id, kind, shown string
	sealed          []byte
}

// Purposes under which texts are sealed (contact.Box): the original with its numbers, and the words of an alert as shown.
const (
	textPurpose  = "ticket.text"
	wordsPurpose = "ticket.words"
)

// write keeps a text with the ticket and returns it as shown, numbers masked. The original is sealed when it differs. An
// empty text is none.
func (d *dossier) write(kind, s string) (Text, string) {
	s = strings.ToValidUTF8(strings.ReplaceAll(strings.TrimSpace(s), "\x00", ""), "\uFFFD")
	if s == "" {
		return Text{}, ""
	}
	r := textRow{id: newID(), kind: kind, shown: maskNumbers(s)}
	if r.shown != s {
		r.sealed = d.o.Book.Vault.For(textPurpose).Seal(s)
	}
	d.texts = append(d.texts, r)
	return Text{ID: r.id, Sum: sum(r.id, r.shown)}, r.shown
}

// readTexts returns the texts of a stream, by id, as shown.
func readTexts(tx *storage.Tx, stream string) (map[string]string, error) {
	type row struct{ id, shown string }
	rows, err := storage.All(tx, func(r storage.Row) (x row, err error) { return x, r.Scan(&x.id, &x.shown) },
		`SELECT id, shown FROM ticket_text WHERE stream = $1`, stream)
	if err != nil {
		return nil, fmt.Errorf("texts of %s: %w", stream, err)
	}
	out := make(map[string]string, len(rows))
	for _, r := range rows {
		out[r.id] = r.shown
	}
	return out, nil
}

// openTexts is readTexts for streams whose texts are sealed as they are shown: those of alerts.
func openTexts(tx *storage.Tx, v *contact.Vault, stream string) (map[string]string, error) {
	type row struct {
		id, shown string
		words     []byte
	}
	rows, err := storage.All(tx, func(r storage.Row) (x row, err error) { return x, r.Scan(&x.id, &x.shown, &x.words) },
		`SELECT id, shown, words FROM ticket_text WHERE stream = $1`, stream)
	if err != nil {
		return nil, fmt.Errorf("texts of %s: %w", stream, err)
	}
	out := make(map[string]string, len(rows))
	for _, r := range rows {
		if r.words != nil {
			if r.shown, err = v.For(wordsPurpose).Open(r.words); err != nil {
				return nil, fmt.Errorf("texts of %s: %w", stream, err)
			}
		}
		out[r.id] = r.shown
	}
	return out, nil
}

// SealAlerts seals the words of alerts that were kept in clear by an earlier version of the program, some hundreds to a
// transaction, and returns how many. It costs next to nothing when there are none.
func (o *Office) SealAlerts(ctx context.Context, db *storage.DB) (done int, err error) {
	type row struct{ id, shown string }
	box := o.Book.Vault.For(wordsPurpose)
	for last := ""; ; {
		n := 0
		err := db.Update(ctx, func(tx *storage.Tx) error {
			rows, err := storage.All(tx, func(r storage.Row) (x row, err error) { return x, r.Scan(&x.id, &x.shown) },
				`SELECT id, shown FROM ticket_text WHERE stream LIKE 'alert/%' AND words IS NULL AND shown <> $1 AND id > $2 ORDER BY id LIMIT 500 `+tx.ForUpdate(), Erased, last)
			if err != nil {
				return err
			}
			for _, r := range rows {
				last = r.id
				if _, err := tx.Exec(`UPDATE ticket_text SET words = $2, shown = '' WHERE id = $1`, r.id, box.Seal(r.shown)); err != nil {
					return err
				}
			}
			n = len(rows)
			return nil
		})
		if done += n; err != nil || n == 0 {
			if err != nil {
				err = fmt.Errorf("seal the words of alerts: %w", err)
			}
			return done, err
		}
	}
}

// Original is a text as it was written, numbers and all. Who may read it, and that the reading is logged, is for the
// caller to see to (I7).
func (o *Office) Original(tx *storage.Tx, t Text) (string, error) {
	if t.IsZero() {
		return "", nil
	}
	type row struct {
		shown         string
		sealed, words []byte
	}
	r, err := storage.One(tx, func(r storage.Row) (x row, err error) { return x, r.Scan(&x.shown, &x.sealed, &x.words) },
		`SELECT shown, sealed, words FROM ticket_text WHERE id = $1`, t.ID)
	if err != nil {
		return "", fmt.Errorf("text %s: %w", t.ID, err)
	}
	var s string
	switch {
	case r.sealed != nil:
		s, err = o.Book.Vault.For(textPurpose).Open(r.sealed)
	case r.words != nil:
		s, err = o.Book.Vault.For(wordsPurpose).Open(r.words)
	default:
		s = r.shown
	}
	if err != nil {
		return "", fmt.Errorf("text %s: %w", t.ID, err)
	}
	return s, nil
}
