// Package privacy keeps personal data no longer than its period, answers people who ask about their own, and seals it again when keys change.
//
// It reads and erases across the tables of the rooms above it, as report does for figures: what it takes out are names,
// numbers and words; the facts that figures are made of stay.
package privacy

import (
	"context"
	"fmt"
	"strings"

	"lianxin/contact"
	"lianxin/storage"
	"lianxin/ticket"
)

// Column is a column of sealed texts: where it is and for what purpose its texts are sealed.
type Column struct {
	Table   string
	Key     string // primary key, columns separated by commas
	Name    string
	Purpose string
	// PerRow says that the purpose ends with the key of the row.
	PerRow bool
}

// Columns are all sealed columns of the database but ticket_raw, whose sums stand in the log (Office.ResealOriginals). A
// test compares them with the schema: a column that is missing here would keep its old key for ever.
var Columns = []Column{
	{"contact", "id", "phone_sealed", "contact.phone", false},
	{"contact", "id", "name_sealed", "contact.name", false},
	{"contact", "id", "email_sealed", "contact.mail", false},
	{"contact", "id", "identity_sealed", "contact.identity", false},
	{"ticket_text", "id", "sealed", "ticket.text", false},
	{"ticket_text", "id", "words", "ticket.words", false},
	{"channel_connector", "id", "secret", "channel.secret", false},
	{"channel_outbox", "id", "body", "channel.outbox", false},
	{"channel_upload", "id", "sealed", "channel.upload", false},
	{"channel_import", "id", "report", "channel.report", false},
	{"channel_attachment", "id", "name", "channel.file-name", false},
	{"channel_attachment", "id", "sealed", "channel.file", false},
	{"sms", "id", "phone", "sms.phone", false},
	{"sms", "id", "words", "sms.text", false},
	{"sms_inbound", "id", "phone", "sms.phone", false},
	{"sms_inbound", "id", "words", "sms.reply", false},
	{"sim_text", "id", "phone", "sim.phone", false},
	{"sim_text", "id", "words", "sim.words", false},
	{"sim_reply", "id", "phone", "sim.phone", false},
	{"sim_reply", "id", "words", "sim.words", false},
	{"cmpp_fragment", "id", "sender", "cmpp.sender", false},
	{"cmpp_fragment", "id", "content", "cmpp.content", false},
	{"survey_record", "id", "person", "survey.person", false},
	{"survey_record_version", "record_id, revision", "body", "survey.person", false},
	{"call", "id", "number_sealed", "call.number", false},
	{"call_trace", "call_id", "body", "call.trace", false},
	{"call_transcript", "call_id", "words", "call.transcript", false},
	{"call_block", "id", "number_sealed", "call.block", false},
	{"org_handover", "id", "note_sealed", "org.handover", false},
	{"oversee_paper", "id", "sealed", "oversee.paper", false},
	{"person_request", "id", "ground", "person.ground", false},
	{"person_request", "id", "change", "person.change", false},
	{"person_request", "id", "note", "person.note", false},
}

// Status is how many texts of a column the present key seals, and how many an older one.
type Status struct {
	Column
	New, Old int
}

// KeyStatus counts, column by column, what older keys still seal.
func KeyStatus(ctx context.Context, db *storage.DB, v *contact.Vault) ([]Status, error) {
	var out []Status
	key := []byte(v.KeyID())
	err := db.View(ctx, func(tx *storage.Tx) error {
		for _, c := range append([]Column{{"ticket_raw", "id", "sealed", "ticket.raw", false}}, Columns...) {
			s := Status{Column: c}
			all, err := storage.One(tx, storage.Value[int], `SELECT COUNT(*) FROM `+c.Table+` WHERE `+c.Name+` IS NOT NULL AND length(`+c.Name+`) > 0`)
			if err != nil {
				return fmt.Errorf("%s.%s: %w", c.Table, c.Name, err)
			}
			if s.Old, err = storage.One(tx, storage.Value[int], `SELECT COUNT(*) FROM `+c.Table+` WHERE `+c.older(len(key)), key); err != nil {
				return fmt.Errorf("%s.%s: %w", c.Table, c.Name, err)
			}
			s.New = all - s.Old
			out = append(out, s)
		}
		return nil
	})
	return out, err
}

// KeyUse counts what each key still seals in the database, by the key's id.
func KeyUse(ctx context.Context, db *storage.DB, v *contact.Vault) (map[string]int, error) {
	out := map[string]int{}
	err := db.View(ctx, func(tx *storage.Tx) error {
		for _, id := range append(v.OldKeys(), v.KeyID()) {
			for _, c := range append([]Column{{"ticket_raw", "id", "sealed", "ticket.raw", false}}, Columns...) {
				n, err := storage.One(tx, storage.Value[int], `SELECT COUNT(*) FROM `+c.Table+fmt.Sprintf(` WHERE %s IS NOT NULL AND length(%s) > 0 AND substr(%s, 3, %d) = $1`, c.Name, c.Name, c.Name, len(id)), []byte(id))
				if err != nil {
					return fmt.Errorf("%s.%s: %w", c.Table, c.Name, err)
				}
				out[id] += n
			}
		}
		return nil
	})
	return out, err
}

// older is the condition for texts that another key than $1, whose id is so long, has sealed: the id stands after the bytes of
// version and length (contact.Box.Seal).
func (c Column) older(n int) string {
	return fmt.Sprintf(`%s IS NOT NULL AND length(%s) > 0 AND substr(%s, 3, %d) <> $1`, c.Name, c.Name, c.Name, n)
}

// resealBatch is how many texts share a transaction: few enough that nobody waits for it.
const resealBatch = 200

// Reseal seals again, with the present key, everything that an older one has sealed. It works in small transactions while
// the program runs, may be stopped at any moment, and goes on where it was when called again: what is done is told by
// the texts themselves. told, when not nil, is called after each batch.
func Reseal(ctx context.Context, db *storage.DB, office *ticket.Office, told func(table string, n int)) (int, error) {
	v := office.Book.Vault
	total := 0
	for last := ""; ; {
		n := 0
		err := db.Update(ctx, func(tx *storage.Tx) (err error) {
			last, n, err = office.ResealOriginals(tx, last, resealBatch)
			return err
		})
		if err != nil {
			return total, err
		}
		total += n
		if n > 0 && told != nil {
			told("ticket_raw", n)
		}
		if last == "" {
			break
		}
	}
	for _, c := range Columns {
		for {
			n := 0
			err := db.Update(ctx, func(tx *storage.Tx) (err error) { n, err = c.reseal(tx, v); return err })
			if err != nil {
				return total, fmt.Errorf("seal %s.%s again: %w", c.Table, c.Name, err)
			}
			if n == 0 {
				break
			}
			total += n
			if told != nil {
				told(c.Table+"."+c.Name, n)
			}
		}
	}
	return total, nil
}

// reseal seals up to resealBatch texts of a column again.
func (c Column) reseal(tx *storage.Tx, v *contact.Vault) (int, error) {
	keys := strings.Split(c.Key, ", ")
	type row struct {
		key    []any
		sealed []byte
	}
	rows, err := storage.All(tx, func(r storage.Row) (x row, err error) {
		x.key = make([]any, len(keys))
		dest := make([]any, 0, len(keys)+1)
		for i := range x.key {
			dest = append(dest, &x.key[i])
		}
		return x, r.Scan(append(dest, &x.sealed)...)
	}, `SELECT `+c.Key+`, `+c.Name+` FROM `+c.Table+` WHERE `+c.older(len(v.KeyID()))+fmt.Sprintf(` LIMIT %d `, resealBatch)+tx.ForUpdate(), []byte(v.KeyID()))
	if err != nil {
		return 0, err
	}
	box := v.For(c.Purpose)
	for _, r := range rows {
		again, err := box.Again(r.sealed)
		if err != nil {
			return 0, err
		}
		where, args := "", []any{again}
		for i, k := range keys {
			if i > 0 {
				where += " AND "
			}
			where += fmt.Sprintf("%s = $%d", k, i+2)
			args = append(args, r.key[i])
		}
		if _, err := tx.Exec(`UPDATE `+c.Table+` SET `+c.Name+` = $1 WHERE `+where, args...); err != nil {
			return 0, err
		}
	}
	return len(rows), nil
}
