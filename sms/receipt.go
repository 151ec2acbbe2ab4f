package sms

import (
	"context"
	"errors"
	"fmt"
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
	return o.stores.Do(ctx, func(tx *storage.Tx) error {
		r := r // the transaction may have to be repeated
		id, err := o.textOf(tx, r)
		if err != nil {
			return fmt.Errorf("receipt from %s: %w", r.Carrier, err)
		}
		r.MessageID = id
		if _, err := tx.Exec(`INSERT INTO sms_receipt (id, carrier, carrier_id, message_id, state, part, code, at, received_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
			r.ID, r.Carrier, r.CarrierID, r.MessageID, string(r.State), r.Part, r.Code, storage.At(r.At), storage.At(r.ReceivedAt)); err != nil {
			return fmt.Errorf("receipt from %s: %w", r.Carrier, err)
		}
		if id == "" {
			return nil // parked; tidy comes back to it
		}
		return o.apply(tx, r)
	})
}

// textOf finds the text a receipt speaks of, "" when it is not known yet.
func (o *Outbox) textOf(tx *storage.Tx, r Receipt) (string, error) {
	var id string
	var err error = storage.ErrNotFound
	if r.MessageID != "" {
		id, err = storage.One(tx, storage.Value[string], `SELECT id FROM sms WHERE id = $1 AND carrier = $2`, r.MessageID, r.Carrier)
	}
	if errors.Is(err, storage.ErrNotFound) && r.CarrierID != "" {
		id, err = storage.One(tx, storage.Value[string], `SELECT id FROM sms WHERE carrier = $1 AND carrier_id = $2 AND carrier_id <> ''`, r.Carrier, r.CarrierID) // or the partial index is not used
	}
	if errors.Is(err, storage.ErrNotFound) {
		return "", nil
	}
	return id, err
}

// apply moves the text upwards only: accepted < failed < delivered. A text that has reached a handset was delivered,
// whatever another receipt says; so the last state does not depend on the order in which receipts come.
func (o *Outbox) apply(tx *storage.Tx, r Receipt) error {
	now := storage.At(r.ReceivedAt)
	state := r.State
	if r.Part > 0 && state == Delivered {
		all, err := o.allParts(tx, r.MessageID)
		if err != nil {
			return err
		}
		if !all {
			state = Accepted // one segment on the handset is no text
		}
	}
	below := `('queued', 'sending', 'unknown')`
	switch state {
	case Failed:
		below = `('queued', 'sending', 'unknown', 'accepted', 'expired', 'cancelled')`
	case Delivered:
		below = `('queued', 'sending', 'unknown', 'accepted', 'expired', 'cancelled', 'failed')`
	}
	var due storage.Time
	done := now
	if state == Accepted {
		due, done = storage.At(r.ReceivedAt.Add(o.Limits.ReceiptAfter)), storage.Time{}
	}
	class := ""
	if state == Failed {
		class = string(Refused)
	}
	n, err := tx.Exec(`UPDATE sms SET state = $2, due = $3, done_at = $4, accepted_at = COALESCE(accepted_at, $5), error_class = $6,
			error_code = CASE WHEN $2 = 'failed' THEN $7 ELSE '' END, reason = CASE WHEN $2 = 'failed' THEN 'undelivered, says the receipt' ELSE '' END
		WHERE id = $1 AND state IN `+below,
		r.MessageID, string(state), due, done, now, class, r.Code)
	if err != nil {
		return fmt.Errorf("apply receipt to text %s: %w", r.MessageID, err)
	}
	if r.CarrierID != "" {
		if _, err := tx.Exec(`UPDATE sms SET carrier_id = $2 WHERE id = $1 AND carrier_id = ''`, r.MessageID, r.CarrierID); err != nil {
			return fmt.Errorf("apply receipt to text %s: %w", r.MessageID, err)
		}
	}
	if n > 0 {
		_, err = tx.Exec(`UPDATE sms_receipt SET moved = TRUE WHERE id = $1`, r.ID)
	}
	return err
}

func (o *Outbox) allParts(tx *storage.Tx, id string) (bool, error) {
	n, err := storage.One(tx, storage.Value[int], `SELECT s.segments - (SELECT COUNT(DISTINCT part) FROM sms_receipt r
		WHERE r.message_id = s.id AND r.state = 'delivered' AND r.part > 0) FROM sms s WHERE s.id = $1`, id)
	return n <= 0, err
}

// adopt applies the receipts that were parked under the carrier's id before we knew it.
func (o *Outbox) adopt(tx *storage.Tx, id, carrier, carrierID string) error {
	parked, err := storage.All(tx, scanReceipt, `SELECT `+receiptColumns+` FROM sms_receipt
		WHERE message_id = '' AND carrier = $1 AND carrier_id = $2 ORDER BY received_at, id`, carrier, carrierID)
	if err != nil {
		return fmt.Errorf("parked receipts of text %s: %w", id, err)
	}
	for _, r := range parked {
		r.MessageID = id
		if _, err := tx.Exec(`UPDATE sms_receipt SET message_id = $2 WHERE id = $1`, r.ID, id); err != nil {
			return fmt.Errorf("parked receipts of text %s: %w", id, err)
		}
		if err := o.apply(tx, r); err != nil {
			return err
		}
	}
	return nil
}

// adoptAll is adopt for texts of one carrier that it has just taken.
func (o *Outbox) adoptAll(tx *storage.Tx, taken []done) error {
	args := []any{taken[0].Carrier}
	ids := map[string]string{}
	var list strings.Builder
	for _, d := range taken {
		if id := d.outcome.carrierID; id != "" {
			args = append(args, id)
			ids[id] = d.ID
			fmt.Fprintf(&list, ", $%d", len(args))
		}
	}
	if len(ids) == 0 {
		return nil
	}
	parked, err := storage.All(tx, storage.Value[string], `SELECT DISTINCT carrier_id FROM sms_receipt
		WHERE message_id = '' AND carrier = $1 AND carrier_id IN (`+list.String()[2:]+`)`, args...)
	if err != nil {
		return fmt.Errorf("parked receipts: %w", err)
	}
	for _, id := range parked {
		if err := o.adopt(tx, ids[id], taken[0].Carrier, id); err != nil {
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
