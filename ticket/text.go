package ticket

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

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

const textPurpose = "ticket.text"

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

// Original is a text as it was written, numbers and all. Who may read it, and that the reading is logged, is for the
// caller to see to (I7).
func (o *Office) Original(tx *storage.Tx, t Text) (string, error) {
	if t.IsZero() {
		return "", nil
	}
	type row struct {
		shown  string
		sealed []byte
	}
	r, err := storage.One(tx, func(r storage.Row) (x row, err error) { return x, r.Scan(&x.shown, &x.sealed) },
		`SELECT shown, sealed FROM ticket_text WHERE id = $1`, t.ID)
	if err != nil {
		return "", fmt.Errorf("text %s: %w", t.ID, err)
	}
	if r.sealed == nil {
		return r.shown, nil
	}
	s, err := o.Book.Vault.For(textPurpose).Open(r.sealed)
	if err != nil {
		return "", fmt.Errorf("text %s: %w", t.ID, err)
	}
	return s, nil
}
