package sms

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"lianxin/contact"
	"lianxin/storage"
)

// claimed is a text that this process alone may work on until lease.
type claimed struct {
	Message
	lease time.Time
	wait  time.Duration // until the rate allows it
}

// The claims. Both are one statement: the subquery picks and locks, the update counts the attempt and sets the lease, so
// that no other sender gets the row; MATERIALIZED, because PostgreSQL may otherwise run the subquery, and its LIMIT,
// more than once. $1 now, $2 end of the lease, $3 carrier, $4 whether it is the default one, $5 how many; and of the
// first, $6 whether the window is open.
const (
	claimQueued = `WITH pick AS MATERIALIZED (
		SELECT id FROM sms s WHERE state = 'queued' AND due <= $1 AND not_after > $1 AND (carrier = $3 OR ($4 AND carrier = ''))
			AND (anytime = TRUE OR $6) AND NOT EXISTS (SELECT 1 FROM sms_campaign c WHERE c.name IN (s.campaign, '*') AND c.state <> 'running')
		ORDER BY priority DESC, due, id LIMIT $5 %s)
	UPDATE sms SET state = 'sending', attempt = attempt + 1, due = $2, carrier = $3, tried_at = COALESCE(tried_at, $1)
	WHERE id IN (SELECT id FROM pick) RETURNING ` + columns

	// A text whose sender is gone (the lease ran out) may be with the carrier.
	claimOpen = `WITH pick AS MATERIALIZED (
		SELECT id FROM sms WHERE state IN ('sending', 'unknown', 'accepted') AND due <= $1 AND (carrier = $3 OR ($4 AND carrier = ''))
		ORDER BY due LIMIT $5 %s)
	UPDATE sms SET state = CASE state WHEN 'sending' THEN 'unknown' ELSE state END, attempt = attempt + 1, due = $2
	WHERE id IN (SELECT id FROM pick) RETURNING ` + columns
)

func (o *Outbox) claim(tx *storage.Tx, query, carrier string, first bool, n int) ([]claimed, error) {
	now := o.now()
	lease := now.Add(o.Limits.Lease)
	args := []any{storage.At(now), storage.At(lease), carrier, first, n}
	if query == claimQueued {
		args = append(args, o.Next(now).Equal(now)) // it may have closed since tidy looked
	}
	// PostgreSQL would rather sort all that is queued: 150 ms a claim instead of 1.
	if err := tx.InOrder(); err != nil {
		return nil, fmt.Errorf("claim: %w", err)
	}
	msgs, err := storage.All(tx, o.scan, fmt.Sprintf(query, tx.SkipLocked()), args...)
	if err != nil {
		return nil, fmt.Errorf("claim: %w", err)
	}
	// RETURNING keeps no order.
	slices.SortFunc(msgs, func(a, b Message) int {
		return cmp.Or(b.Priority-a.Priority, strings.Compare(a.ID, b.ID))
	})
	out := make([]claimed, len(msgs))
	for i, m := range msgs {
		out[i] = claimed{Message: m, lease: lease}
	}
	return out, nil
}

// tidy does what needs no carrier: texts that have outlived their validity expire, those that the window has closed
// over wait for the next one, and receipts that came before we knew the carrier's id find their text.
func (o *Outbox) tidy(ctx context.Context) error {
	now := storage.At(o.now())
	next := o.Next(now.Time)
	due, err := o.anythingToTidy(ctx, now, !next.Equal(now.Time))
	if err != nil || !due {
		return err
	}
	return o.DB.Update(ctx, func(tx *storage.Tx) error {
		if _, err := tx.Exec(`UPDATE sms SET state = 'expired', due = NULL, done_at = $1, reason = 'not sent before its validity ended'
			WHERE state = 'queued' AND not_after <= $1`, now); err != nil {
			return fmt.Errorf("expire: %w", err)
		}
		if next.After(now.Time) {
			if _, err := tx.Exec(`UPDATE sms SET due = $2 WHERE state = 'queued' AND due <= $1 AND anytime = FALSE`, now, storage.At(next)); err != nil {
				return fmt.Errorf("wait for the window: %w", err)
			}
		}
		return o.settleParked(tx)
	})
}

// anythingToTidy keeps an idle outbox from writing.
func (o *Outbox) anythingToTidy(ctx context.Context, now storage.Time, closed bool) (bool, error) {
	var n int
	err := o.DB.View(ctx, func(tx *storage.Tx) (err error) {
		n, err = storage.One(tx, storage.Value[int], `SELECT
			CASE WHEN EXISTS (SELECT 1 FROM sms WHERE state = 'queued' AND (not_after <= $1 OR ($2 AND due <= $1 AND anytime = FALSE))) THEN 1 ELSE 0 END +
			CASE WHEN EXISTS (SELECT 1 FROM sms_receipt r JOIN sms s ON s.carrier = r.carrier AND s.carrier_id = r.carrier_id
				WHERE r.message_id = '' AND r.carrier_id <> '' AND s.carrier_id <> '') THEN 1 ELSE 0 END`, now, closed)
		return err
	})
	return n > 0, err
}

const columns = `id, key, campaign, phone, body, words, priority, due, not_after, anytime, carrier, segments, state, attempt, carrier_id,
	error_class, error_code, reason, created_at, tried_at, accepted_at, done_at, pinned, refused_by, extension`

func (o *Outbox) scan(r storage.Row) (m Message, err error) {
	var sealed, words []byte
	var due, notAfter, created, tried, accepted, done storage.Time
	if err := r.Scan(&m.ID, &m.Key, &m.Campaign, &sealed, &m.Body, &words, &m.Priority, &due, &notAfter, &m.Anytime, &m.Carrier, &m.Segments, &m.State,
		&m.Attempt, &m.CarrierID, &m.ErrorClass, &m.ErrorCode, &m.Reason, &created, &tried, &accepted, &done, &m.pinned, &m.RefusedBy, &m.Extension); err != nil {
		return m, err
	}
	m.Due, m.NotAfter, m.CreatedAt, m.TriedAt, m.AcceptedAt, m.DoneAt = due.Time, notAfter.Time, created.Time, tried.Time, accepted.Time, done.Time
	if words != nil {
		if m.Body, err = o.Vault.For(textWords).Open(words); err != nil {
			return m, fmt.Errorf("open the words of text %s: %w", m.ID, err)
		}
	}
	m.Phone, err = openPhone(o.Vault.For("sms.phone"), sealed)
	return m, err
}

func openPhone(box contact.Box, sealed []byte) (contact.Phone, error) {
	clear, err := box.Open(sealed)
	if err != nil {
		return contact.Phone{}, fmt.Errorf("open the number: %w", err)
	}
	if clear == "" {
		return contact.Phone{}, nil
	}
	return contact.ParsePhone(clear)
}
