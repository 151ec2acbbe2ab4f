package sms

import (
	"fmt"
	"time"

	"lianxin/contact"
	"lianxin/storage"
)

const (
	queueHead = `INSERT INTO sms (id, key, campaign, priority, anytime, phone_hash, phone, body, words, segments, state, due, not_after, carrier, pinned, created_at, extension)`
	queueTail = `ON CONFLICT (key) DO NOTHING`
)

// Queue puts a text into the outbox in the caller's transaction, so that it goes out exactly when that transaction
// commits. A text whose key is already there is left as it is: queued is then false and the id that of the first one.
// It returns ErrBadText for a number that is no mobile number, an empty body or one longer than ten segments.
func (o *Outbox) Queue(tx *storage.Tx, m Message) (id string, queued bool, err error) {
	o.init()
	row, err := o.row(m)
	if err != nil {
		return "", false, err
	}
	n, err := tx.Insert(queueHead, [][]any{row}, queueTail)
	if err != nil {
		return "", false, fmt.Errorf("queue text for %s: %w", m.Phone, err)
	}
	if n == 0 {
		id, err = storage.One(tx, storage.Value[string], `SELECT id FROM sms WHERE key = $1`, m.Key)
		return id, false, err
	}
	tx.After(o.Wake)
	return row[0].(string), true, nil
}

// QueueAll is Queue for many texts at once, each with a key of its own: it returns the id of each in their order, and how
// many were new. One that could never be sent fails them all.
func (o *Outbox) QueueAll(tx *storage.Tx, all []Message) (ids []string, queued int, err error) {
	o.init()
	rows := make([][]any, len(all))
	byKey := make(map[string]string, len(all))
	for i, m := range all {
		if rows[i], err = o.row(m); err != nil {
			return nil, 0, err
		}
		byKey[m.Key] = rows[i][0].(string)
	}
	n, err := tx.Insert(queueHead, rows, queueTail)
	if err != nil {
		return nil, 0, fmt.Errorf("queue %d texts: %w", len(all), err)
	}
	if queued = int(n); queued > 0 {
		tx.After(o.Wake)
	}
	if queued < len(all) {
		if err := idsOf(tx, all, byKey); err != nil {
			return nil, 0, fmt.Errorf("queue %d texts: %w", len(all), err)
		}
	}
	ids = make([]string, len(all))
	for i, m := range all {
		ids[i] = byKey[m.Key]
	}
	return ids, queued, nil
}

// idsOf puts the ids that stand in the outbox in the place of those that texts of a known key would have had.
func idsOf(tx *storage.Tx, all []Message, byKey map[string]string) error {
	keys := make([]string, len(all))
	for i, m := range all {
		keys[i] = m.Key
	}
	list, args := storage.In(nil, keys)
	_, err := storage.All(tx, func(r storage.Row) (struct{}, error) {
		var id, key string
		err := r.Scan(&id, &key)
		byKey[key] = id
		return struct{}{}, err
	}, `SELECT id, key FROM sms WHERE key IN (`+list+`)`, args...)
	return err
}

// row is a text as it stands in the outbox, its id first.
func (o *Outbox) row(m Message) ([]any, error) {
	bad := func(why string, args ...any) ([]any, error) {
		return nil, fmt.Errorf("queue text for %s: %w: "+why, append([]any{m.Phone, ErrBadText}, args...)...)
	}
	if m.Key == "" || m.Body == "" || m.Phone.Kind() != contact.Mobile {
		return bad("key, body and a mobile number are needed")
	}
	body := Sign(o.Signature, m.Body)
	size := Measure(body)
	if size.Segments > longest {
		return bad("%d segments", size.Segments)
	}
	if !extensionPattern.MatchString(m.Extension) {
		return bad("the extension %q is not up to six digits", m.Extension)
	}
	if m.Carrier != "" && o.lines[m.Carrier] == nil {
		return bad("no carrier %q", m.Carrier)
	}
	now := o.now()
	due := m.Due
	if due.Before(now) {
		due = now
	}
	if !m.Anytime {
		due = o.Next(due)
	}
	notAfter := m.NotAfter
	if notAfter.IsZero() {
		notAfter = due.Add(24 * time.Hour)
	}
	return []any{storage.NewID(), m.Key, m.Campaign, m.Priority, m.Anytime, o.Vault.HashPhone(m.Phone), o.Vault.For("sms.phone").Seal(m.Phone.Clear()), "",
		o.Vault.For(textWords).Seal(body), size.Segments, "queued", storage.At(due), storage.At(notAfter), m.Carrier, m.Carrier != "", storage.At(now), m.Extension}, nil
}
