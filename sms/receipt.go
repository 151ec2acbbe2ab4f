package sms

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"lianxin/storage"
)

// Receipt is what a carrier says of a text after it has taken it.
type Receipt struct {
	ID         string
	Carrier    string    // Carrier.Name
	CarrierID  string    // the carrier's name for the text; may be empty when MessageID is known
	MessageID  string    // our id, where the carrier hands it back; else empty
	State      State     // Accepted, Delivered or Failed
	Part       int       // from 1, where the carrier reports each segment; 0 speaks of the whole text
	Code       string    // the carrier's own code, kept as it is
	At         time.Time // when it happened, by the carrier's clock; may be zero
	ReceivedAt time.Time
	Moved      bool // whether it changed the state of the text
}

// Receipt notes what a carrier says. Receipts may come twice, out of order, before the answer to the submission, and
// never: each is kept, and the text ends in the same state whatever the order. It returns nil once the receipt is
// stored.
func (o *Outbox) Receipt(ctx context.Context, r Receipt) error {
	o.init()
	if r.State != Accepted && r.State != Delivered && r.State != Failed {
		return fmt.Errorf("receipt from %s: state %q", r.Carrier, r.State)
	}
	if r.CarrierID == "" && r.MessageID == "" {
		return fmt.Errorf("receipt from %s: names no text", r.Carrier)
	}
	r.ID, r.ReceivedAt = storage.NewID(), o.now()
	if err := o.receipts.do(ctx, o.DB, r, o.storeReceipts); err != nil {
		return fmt.Errorf("receipt from %s: %w", r.Carrier, err)
	}
	return nil
}

// storeReceipts notes what has come from all carriers at about the same time, in a few statements whatever their number.
// The receipts are copies: the transaction may have to be repeated.
func (o *Outbox) storeReceipts(tx *storage.Tx, came []Receipt) error {
	if err := tx.ByIndex(); err != nil {
		return err
	}
	all := slices.Clone(came)
	if err := o.textsOf(tx, all); err != nil {
		return err
	}
	rows := make([][]any, len(all))
	for i, r := range all {
		rows[i] = []any{r.ID, r.Carrier, r.CarrierID, r.MessageID, string(r.State), r.Part, r.Code, storage.At(r.At), storage.At(r.ReceivedAt)}
	}
	if _, err := tx.Insert(`INSERT INTO sms_receipt (id, carrier, carrier_id, message_id, state, part, code, at, received_at)`, rows, ``); err != nil {
		return err
	}
	// Parked ones wait; tidy comes back to them.
	return o.apply(tx, slices.DeleteFunc(all, func(r Receipt) bool { return r.MessageID == "" }))
}

// textsOf finds the texts that receipts speak of: MessageID becomes ours, or "" when the text is not known yet.
func (o *Outbox) textsOf(tx *storage.Tx, all []Receipt) error {
	var ids []string
	var theirs [][]any
	for _, r := range all {
		if r.MessageID != "" {
			ids = append(ids, r.MessageID)
		}
		if r.CarrierID != "" {
			theirs = append(theirs, []any{r.Carrier, r.CarrierID})
		}
	}
	type name struct{ carrier, id string }
	ours, known := map[name]bool{}, map[name]string{}
	if len(ids) > 0 {
		list, args := storage.In(nil, ids)
		found, err := storage.All(tx, func(r storage.Row) (n name, err error) { return n, r.Scan(&n.id, &n.carrier) }, `SELECT id, carrier FROM sms WHERE id IN (`+list+`)`, args...)
		if err != nil {
			return err
		}
		for _, n := range found {
			ours[n] = true
		}
	}
	// Without carrier_id <> '' the partial index is not used.
	_, err := storage.Look(tx, func(r storage.Row) (struct{}, error) {
		var n name
		var id string
		err := r.Scan(&n.carrier, &n.id, &id)
		known[n] = id
		return struct{}{}, err
	}, theirs, []string{"TEXT", "TEXT"}, `SELECT v.c1, v.c2, COALESCE((SELECT s.id FROM sms s WHERE s.carrier = v.c1 AND s.carrier_id = v.c2 AND s.carrier_id <> '' LIMIT 1), '') FROM v`)
	if err != nil {
		return err
	}
	for i, r := range all {
		if !ours[name{r.Carrier, r.MessageID}] {
			all[i].MessageID = known[name{r.Carrier, r.CarrierID}]
		}
	}
	return nil
}

// standing is where a text stands while receipts are applied to it.
type standing struct {
	id        string
	segments  int
	carrierID string
	state     State
	due, done storage.Time
	accepted  storage.Time
	class     string
	code      string
	reason    string
	changed   bool
}

// apply moves texts by receipts that are stored.
func (o *Outbox) apply(tx *storage.Tx, all []Receipt) error {
	if len(all) == 0 {
		return nil
	}
	ids := make([]string, len(all))
	for i, r := range all {
		ids[i] = r.MessageID
	}
	list, args := storage.In(nil, ids)
	found, err := storage.All(tx, func(r storage.Row) (t *standing, err error) {
		t = &standing{}
		return t, r.Scan(&t.id, &t.segments, &t.carrierID, &t.state, &t.due, &t.done, &t.accepted, &t.class, &t.code, &t.reason)
	}, `SELECT id, segments, carrier_id, state, due, done_at, accepted_at, error_class, error_code, reason FROM sms WHERE id IN (`+list+`) `+tx.ForUpdate(), args...)
	if err != nil {
		return fmt.Errorf("apply receipts: %w", err)
	}
	texts := make(map[string]*standing, len(found))
	for _, t := range found {
		texts[t.id] = t
	}
	var moved []string
	for _, r := range all {
		t := texts[r.MessageID]
		if t == nil {
			continue // what was known of it is gone: retention
		}
		if r.Part > 0 && r.State == Delivered {
			if all, err := allParts(tx, t); err != nil {
				return fmt.Errorf("apply receipts: %w", err)
			} else if !all {
				r.State = Accepted // one segment on the handset is no text
			}
		}
		if t.move(r, o.Limits.ReceiptAfter) {
			moved = append(moved, r.ID)
		}
	}
	if err := saveStandings(tx, found); err != nil {
		return fmt.Errorf("apply receipts: %w", err)
	}
	if len(moved) > 0 {
		list, args := storage.In(nil, moved)
		if _, err := tx.Exec(`UPDATE sms_receipt SET moved = TRUE WHERE id IN (`+list+`)`, args...); err != nil {
			return fmt.Errorf("apply receipts: %w", err)
		}
	}
	return nil
}

// above are the states that a receipt of each kind moves a text from: upwards only, accepted < failed < delivered. A text
// that has reached a handset was delivered, whatever another receipt says; so the last state does not depend on the order
// in which receipts come.
var above = map[State][]State{
	Accepted:  {Queued, Sending, Unknown},
	Failed:    {Queued, Sending, Unknown, Accepted, Expired, Cancelled},
	Delivered: {Queued, Sending, Unknown, Accepted, Expired, Cancelled, Failed},
}

// move applies one receipt, and reports whether it changed the state. A text that is accepted is asked about later.
func (t *standing) move(r Receipt, askAfter time.Duration) bool {
	if t.carrierID == "" && r.CarrierID != "" {
		t.carrierID, t.changed = r.CarrierID, true
	}
	if !slices.Contains(above[r.State], t.state) {
		return false
	}
	now := storage.At(r.ReceivedAt)
	t.state, t.due, t.done, t.class, t.code, t.reason, t.changed = r.State, storage.Time{}, now, "", "", "", true
	if t.accepted.IsZero() {
		t.accepted = now
	}
	switch r.State {
	case Accepted:
		t.due, t.done = storage.At(r.ReceivedAt.Add(askAfter)), storage.Time{}
	case Failed:
		t.class, t.code, t.reason = string(Refused), r.Code, "undelivered, says the receipt"
	}
	return true
}

// saveStandings writes down those that have changed, which this transaction has locked.
func saveStandings(tx *storage.Tx, all []*standing) error {
	var rows [][]any
	for _, t := range all {
		if t.changed {
			rows = append(rows, []any{t.id, string(t.state), t.due, t.done, t.accepted, t.class, t.code, t.reason, t.carrierID})
		}
	}
	_, err := tx.Change(rows, []string{"TEXT", "TEXT", "BIGINT", "BIGINT", "BIGINT", "TEXT", "TEXT", "TEXT", "TEXT"}, `UPDATE sms SET state = v.c2, due = v.c3, done_at = v.c4, accepted_at = v.c5,
		error_class = v.c6, error_code = v.c7, reason = v.c8, carrier_id = v.c9 FROM v WHERE sms.id = v.c1`)
	return err
}

func allParts(tx *storage.Tx, t *standing) (bool, error) {
	n, err := storage.One(tx, storage.Value[int], `SELECT COUNT(DISTINCT part) FROM sms_receipt WHERE message_id = $1 AND state = 'delivered' AND part > 0`, t.id)
	return n >= t.segments, err
}

// adopt applies the receipts that were parked under the carrier's id before we knew it.
func (o *Outbox) adopt(tx *storage.Tx, id, carrier, carrierID string) error {
	parked, err := storage.All(tx, scanReceipt, `UPDATE sms_receipt SET message_id = $3 WHERE message_id = '' AND carrier = $1 AND carrier_id = $2 RETURNING `+receiptColumns,
		carrier, carrierID, id)
	if err != nil {
		return fmt.Errorf("parked receipts of text %s: %w", id, err)
	}
	slices.SortFunc(parked, func(a, b Receipt) int { return cmp.Or(a.ReceivedAt.Compare(b.ReceivedAt), strings.Compare(a.ID, b.ID)) })
	return o.apply(tx, parked)
}

// adoptAll is adopt for texts of one carrier that it has just taken.
func (o *Outbox) adoptAll(tx *storage.Tx, taken []done) error {
	ids := map[string]string{}
	var rows [][]any
	for _, d := range taken {
		if id := d.outcome.carrierID; id != "" {
			ids[id] = d.ID
			rows = append(rows, []any{d.Carrier, id})
		}
	}
	type count struct {
		id string
		n  int
	}
	parked, err := storage.Look(tx, func(r storage.Row) (c count, err error) { return c, r.Scan(&c.id, &c.n) }, rows, []string{"TEXT", "TEXT"},
		`SELECT v.c2, (SELECT COUNT(*) FROM sms_receipt r WHERE r.message_id = '' AND r.carrier = v.c1 AND r.carrier_id = v.c2) FROM v`)
	if err != nil {
		return fmt.Errorf("parked receipts: %w", err)
	}
	for _, c := range parked {
		if c.n == 0 {
			continue
		}
		if err := o.adopt(tx, ids[c.id], taken[0].Carrier, c.id); err != nil {
			return err
		}
	}
	return nil
}

// settleParked finds parked receipts whose text became known in a transaction that ran beside theirs.
func (o *Outbox) settleParked(tx *storage.Tx) error {
	type pair struct{ id, carrier, carrierID string }
	known, err := storage.All(tx, func(r storage.Row) (p pair, err error) { return p, r.Scan(&p.id, &p.carrier, &p.carrierID) },
		`SELECT DISTINCT s.id, r.carrier, r.carrier_id FROM sms_receipt r JOIN sms s ON s.carrier = r.carrier AND s.carrier_id = r.carrier_id
		WHERE r.message_id = '' AND r.carrier_id <> '' AND s.carrier_id <> ''`)
	if err != nil {
		return fmt.Errorf("parked receipts: %w", err)
	}
	for _, p := range known {
		if err := o.adopt(tx, p.id, p.carrier, p.carrierID); err != nil {
			return err
		}
	}
	return nil
}

// Receipts lists what the carriers have said of a text, in the order in which it came.
func Receipts(tx *storage.Tx, messageID string) ([]Receipt, error) {
	return storage.All(tx, scanReceipt, `SELECT `+receiptColumns+` FROM sms_receipt WHERE message_id = $1 ORDER BY received_at, id`, messageID)
}

const receiptColumns = `id, carrier, carrier_id, message_id, state, part, code, at, received_at, moved`

func scanReceipt(row storage.Row) (r Receipt, err error) {
	var at, received storage.Time
	err = row.Scan(&r.ID, &r.Carrier, &r.CarrierID, &r.MessageID, &r.State, &r.Part, &r.Code, &at, &received, &r.Moved)
	r.At, r.ReceivedAt = at.Time, received.Time
	return r, err
}
