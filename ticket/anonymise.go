package ticket

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"lianxin/audit"
	"lianxin/storage"
)

// Erased stands where a text was that was taken out after its period.
const Erased = "（已按保存期限匿名化）"

// Anonymise takes the words and the originals out of a settled ticket for good and leaves every fact: state, times, legs,
// clocks, ratings, so that all figures stay as they were. It is for the program alone: retention, or a person's demand.
// An anonymised ticket is left as it is.
//
// The event names what was erased; VerifyProjection then wants it to be gone, and still finds whatever else was changed.
func (o *Office) Anonymise(tx *storage.Tx, id, because string, by Actor) error {
	var t struct {
		state State
		raws  []string
	}
	lock := tx.ForUpdate()
	var err error
	if t.state, err = storage.One(tx, storage.Value[State], `SELECT state FROM ticket WHERE id = $1 `+lock, id); err != nil {
		return fmt.Errorf("anonymise %s: %w", id, err)
	}
	if t.state.Open() {
		return refuse("open", "诉求尚未办结，不能匿名化")
	}
	if t.raws, err = storage.All(tx, storage.Value[string], `SELECT id FROM ticket_raw WHERE ticket_id = $1 ORDER BY id`, id); err != nil {
		return fmt.Errorf("anonymise %s: %w", id, err)
	}
	if err := o.eraseTexts(tx, Stream(id), "ticket.anonymised", because, t.raws, by); err != nil {
		return fmt.Errorf("anonymise %s: %w", id, err)
	}
	alerts, err := storage.All(tx, storage.Value[string], `SELECT id FROM ticket_alert WHERE ticket_id = $1 ORDER BY id`, id)
	if err != nil {
		return fmt.Errorf("anonymise %s: %w", id, err)
	}
	for _, a := range alerts {
		if err := o.eraseTexts(tx, AlertStream(a), "alert.anonymised", because, nil, by); err != nil {
			return fmt.Errorf("anonymise alert %s: %w", a, err)
		}
	}
	for _, q := range []struct {
		text string
		args []any
	}{
		{`INSERT INTO ticket_raw_permit (raw_id, why, at) SELECT id, $2, $3 FROM ticket_raw WHERE ticket_id = $1`, []any{id, "anonymised", storage.At(o.now())}},
		{`DELETE FROM ticket_raw WHERE ticket_id = $1`, []any{id}},
		{`DELETE FROM ticket_raw_permit WHERE why = 'anonymised'`, nil},
		{`UPDATE ticket SET title = CASE WHEN title = '' THEN '' ELSE $2 END, body = CASE WHEN body = '' THEN '' ELSE $2 END,
			place = CASE WHEN place = '' THEN '' ELSE $2 END WHERE id = $1`, []any{id, Erased}},
	} {
		if _, err := tx.Exec(q.text, q.args...); err != nil {
			return fmt.Errorf("anonymise %s: %w", id, err)
		}
	}
	return nil
}

// eraseTexts takes the texts of a stream out and enters which, once.
func (o *Office) eraseTexts(tx *storage.Tx, stream, event, because string, raws []string, by Actor) error {
	texts, err := storage.All(tx, storage.Value[string], `SELECT id FROM ticket_text WHERE stream = $1 AND shown <> $2 ORDER BY id`, stream, Erased)
	if err != nil || len(texts)+len(raws) == 0 {
		return err
	}
	if _, err := tx.Exec(`UPDATE ticket_text SET shown = $2, sealed = NULL, words = NULL WHERE stream = $1`, stream, Erased); err != nil {
		return err
	}
	_, err = audit.Append(tx, audit.Entry{Stream: stream, Type: event, Actor: by.String(), At: o.now(), Rule: o.Rules.ID(),
		Payload: payload{Info: map[string]any{"because": because, "erased_texts": texts, "erased_originals": raws}}})
	return err
}

// ResealOriginals seals up to limit originals that come after an id and were sealed by an older key, each with an event,
// because the sum of what is stored changes with the key. It returns the last id it looked at ("" at the end) and how
// many it sealed.
func (o *Office) ResealOriginals(tx *storage.Tx, after string, limit int) (last string, n int, err error) {
	type row struct {
		id, ticket, sum string
		sealed          []byte
	}
	rows, err := storage.All(tx, func(r storage.Row) (x row, err error) { return x, r.Scan(&x.id, &x.ticket, &x.sum, &x.sealed) },
		`SELECT id, ticket_id, sum, sealed FROM ticket_raw WHERE id > $1 ORDER BY id LIMIT $2 `+tx.ForUpdate(), after, limit)
	if err != nil {
		return "", 0, fmt.Errorf("seal originals again: %w", err)
	}
	box := o.Book.Vault.For(rawPurpose)
	for _, r := range rows {
		last = r.id
		again, err := box.Again(r.sealed)
		if err != nil {
			return "", n, fmt.Errorf("original %s: %w", r.id, err)
		}
		if again == nil {
			continue
		}
		h := sha256.Sum256(again)
		sum := hex.EncodeToString(h[:])
		for _, q := range []struct {
			text string
			args []any
		}{
			{`INSERT INTO ticket_raw_permit (raw_id, why, at) VALUES ($1, 'resealed', $2)`, []any{r.id, storage.At(o.now())}},
			{`UPDATE ticket_raw SET sealed = $2, sum = $3 WHERE id = $1`, []any{r.id, again, sum}},
			{`DELETE FROM ticket_raw_permit WHERE raw_id = $1`, []any{r.id}},
		} {
			if _, err := tx.Exec(q.text, q.args...); err != nil {
				return "", n, fmt.Errorf("original %s: %w", r.id, err)
			}
		}
		if _, err := audit.Append(tx, audit.Entry{Stream: Stream(r.ticket), Type: "ticket.resealed", Actor: System.String(), At: o.now(), Rule: o.Rules.ID(),
			Payload: payload{Info: map[string]any{"raw": map[string]string{"id": r.id, "sum": sum, "was": r.sum}}}}); err != nil {
			return "", n, fmt.Errorf("original %s: %w", r.id, err)
		}
		n++
	}
	return last, n, nil
}
