package sms

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"lianxin/storage"
)

// outcome is what an attempt came to, and when the text needs somebody again.
type outcome struct {
	state     State // Accepted, Delivered, Failed, Queued (surely not with the carrier) or Unknown
	asked     bool
	due       time.Time // zero: nothing more to do by ourselves
	carrierID string
	kind      Kind
	code      string
	reason    string
}

// sendOne gives one text to the carrier. An error means that nothing is to be noted: the lease will run out.
func (o *Outbox) sendOne(ctx context.Context, l *line, m claimed) (outcome, error) {
	put := func(due time.Time, k Kind, why string) outcome {
		return outcome{state: Queued, due: due, kind: k, reason: why}
	}
	if m.wait > 0 {
		select {
		case <-time.After(m.wait):
		case <-ctx.Done():
			return put(o.now(), "", "stopped before sending"), nil
		}
	}
	// A sender that slept (a suspended machine, a long wait for the limiter) must not send on a claim that another one
	// may have taken over.
	if o.now().Add(o.Limits.SendTimeout).After(m.lease) {
		return put(o.now(), "", "the claim ran out before sending"), nil
	}
	if l.resting(o.now()) || ctx.Err() != nil {
		return put(o.now(), "", "put back before sending"), nil
	}
	call, cancel := context.WithTimeout(context.WithoutCancel(ctx), o.Limits.SendTimeout)
	defer cancel()
	sent, err := l.carrier.Send(call, m.Message)
	now := o.now()
	if err == nil {
		l.fine(now)
		return outcome{state: Accepted, carrierID: sent.CarrierID, due: now.Add(o.Limits.ReceiptAfter)}, nil
	}
	out := outcome{kind: NoAnswer, reason: tidyReason(err, m)}
	var e *Error
	if errors.As(err, &e) {
		out.kind, out.code = e.Kind, e.Code
	}
	switch out.kind {
	case Refused, Stopped:
		l.fine(now)
		out.state = Failed
	case Throttled, Unreachable:
		wait := max(backoff(m.Attempt), e.RetryAfter)
		l.leaveAlone(now, now.Add(max(o.Limits.Rest, e.RetryAfter)), out.reason)
		out.state, out.due = Queued, now.Add(wait)
	case Misconfigured:
		// Nobody's text is lost for our wrong password: all wait until it is right.
		l.leaveAlone(now, now.Add(6*o.Limits.Rest), out.reason)
		out.state, out.due = Queued, now.Add(6*o.Limits.Rest)
		o.log().Error("carrier refuses our account", "carrier", l.carrier.Name(), "code", out.code, "error", out.reason)
	default:
		out.kind = NoAnswer
		if l.noAnswer() >= o.Limits.Silent { // or thousands of texts end in doubt
			l.leaveAlone(now, now.Add(o.Limits.Rest), out.reason)
		}
		out.state, out.due = Unknown, now.Add(o.Limits.Settle)
	}
	return out, nil
}

// askOne asks about a text that may be with the carrier, or that has waited long for its receipt.
func (o *Outbox) askOne(ctx context.Context, l *line, m claimed) (outcome, error) {
	call, cancel := context.WithTimeout(context.WithoutCancel(ctx), o.Limits.SendTimeout)
	defer cancel()
	found, err := l.carrier.Find(call, m.Message)
	now := o.now()
	accepted := m.State == Accepted || m.CarrierID != ""
	out := outcome{asked: true, code: found.Code}
	if found.Known {
		out.carrierID = found.CarrierID // an id beside "not known" would pass for acceptance at the next attempt
	}
	switch {
	case errors.Is(err, ErrCannotAsk):
		return o.unsettled(out, m, accepted, false, err), nil
	case err != nil:
		var e *Error
		if errors.As(err, &e) && (e.Kind == Throttled || e.Kind == Unreachable || e.Kind == Misconfigured) {
			l.leaveAlone(now, now.Add(max(o.Limits.Rest, e.RetryAfter)), tidyReason(err, m))
		}
		return o.unsettled(out, m, accepted, true, err), nil
	case found.Known && (found.State == Delivered || found.State == Failed):
		out.state = found.State
		if found.State == Failed {
			out.kind, out.reason = Refused, "undelivered, says the carrier"
		}
		return out, nil
	case found.Known || accepted:
		// Taken, and no word of delivery yet.
		return o.unsettled(out, m, true, true, nil), nil
	default:
		out.state, out.due, out.reason = Queued, now, "the carrier does not have it: sent again"
		return out, nil
	}
}

// unsettled decides how long a text that stays open is asked about.
func (o *Outbox) unsettled(out outcome, m claimed, accepted, again bool, err error) outcome {
	now := o.now()
	start, patience, kind := m.TriedAt, o.Limits.AskFor, NoAnswer
	out.state, out.due = Unknown, now.Add(max(o.Limits.Settle, backoff(m.Attempt)))
	if accepted {
		start, patience, kind = m.AcceptedAt, o.Limits.ReceiptFor, NoReceipt
		if start.IsZero() {
			start = now
		}
		out.state, out.due = Accepted, now.Add(o.Limits.ReceiptAfter)
	}
	if err != nil {
		out.kind, out.reason = kind, tidyReason(err, m)
	}
	switch over := !now.Before(start.Add(patience)); {
	case over && accepted:
		out.state, out.kind, out.reason, out.due = Unknown, NoReceipt, "no receipt came", time.Time{}
	case over:
		out.kind, out.reason, out.due = kind, "no answer came", time.Time{}
	case !again && accepted:
		out.due = start.Add(patience) // cannot be asked: only the receipt can tell
	case !again:
		out.due = time.Time{} // cannot be asked: a receipt or a person
	}
	return out
}

// recordAll notes outcomes, those of most texts, which were taken at once, in one statement.
func (o *Outbox) recordAll(tx *storage.Tx, all []done) error {
	now := storage.At(o.now())
	var rows [][]any
	var taken []done
	for _, d := range all {
		if d.outcome.state != Accepted || d.asked {
			if err := o.record(tx, d.claimed, d.outcome); err != nil {
				return err
			}
			continue
		}
		rows = append(rows, []any{d.ID, d.Attempt, d.outcome.carrierID, dueOf(d.outcome), now})
		taken = append(taken, d)
	}
	if len(taken) == 0 {
		return nil
	}
	if _, err := tx.Change(rows, []string{"TEXT", "BIGINT", "TEXT", "BIGINT", "BIGINT"}, `UPDATE sms SET
			state = CASE WHEN sms.state IN ('sending', 'unknown', 'accepted') THEN 'accepted' ELSE sms.state END,
			due = CASE WHEN sms.state IN ('sending', 'unknown', 'accepted') THEN v.c4 ELSE sms.due END,
			carrier_id = CASE WHEN v.c3 = '' THEN sms.carrier_id ELSE v.c3 END,
			accepted_at = COALESCE(sms.accepted_at, v.c5), error_class = '', error_code = '', reason = ''
		FROM v WHERE sms.id = v.c1 AND sms.attempt = v.c2`); err != nil {
		return fmt.Errorf("note %d outcomes: %w", len(taken), err)
	}
	return o.adoptAll(tx, taken)
}

// record notes an outcome. It names its attempt, so that a sender that comes late cannot overwrite what a newer one has
// found; and a receipt that came before the answer stays.
func (o *Outbox) record(tx *storage.Tx, m claimed, out outcome) error {
	now := storage.At(o.now())
	var n int64
	var err error
	switch out.state {
	case Accepted, Delivered:
		n, err = tx.Exec(`UPDATE sms SET
				state = CASE WHEN state IN ('sending', 'unknown', 'accepted') THEN $3 ELSE state END,
				due = CASE WHEN state IN ('sending', 'unknown', 'accepted') THEN $4 ELSE due END,
				done_at = CASE WHEN done_at IS NULL AND $3 = 'delivered' THEN $5 ELSE done_at END,
				carrier_id = CASE WHEN $6 = '' THEN carrier_id ELSE $6 END, accepted_at = COALESCE(accepted_at, $5),
				error_class = $7, error_code = $8, reason = $9
			WHERE id = $1 AND attempt = $2`,
			m.ID, m.Attempt, string(out.state), dueOf(out), now, out.carrierID, string(out.kind), out.code, out.reason)
	case Failed:
		if next := o.another(m); next != "" && out.kind == Refused && !out.asked {
			n, err = tx.Exec(`UPDATE sms SET state = 'queued', due = $3, carrier = $4, refused_by = $5, error_class = $6, error_code = $7, reason = $8
				WHERE id = $1 AND attempt = $2 AND state = 'sending'`,
				m.ID, m.Attempt, now, next, strings.TrimSpace(m.RefusedBy+" "+m.Carrier), string(out.kind), out.code, out.reason)
			break
		}
		n, err = tx.Exec(`UPDATE sms SET state = 'failed', due = NULL, done_at = $3, error_class = $4, error_code = $5, reason = $6,
				carrier_id = CASE WHEN $7 = '' THEN carrier_id ELSE $7 END
			WHERE id = $1 AND attempt = $2 AND state IN ('sending', 'unknown', 'accepted')`,
			m.ID, m.Attempt, now, string(out.kind), out.code, out.reason, out.carrierID)
	default: // Queued, Unknown; what a receipt has meanwhile called accepted stays so, unless its own receipt was asked for
		free := o.Failover && !m.pinned && m.RefusedBy == "" && out.state == Queued && !out.asked // any carrier may have it
		n, err = tx.Exec(`UPDATE sms SET state = $3, due = $4, error_class = $5, error_code = $6, reason = $7,
				carrier = CASE WHEN $10 THEN '' ELSE carrier END, carrier_id = CASE WHEN $8 = '' THEN carrier_id ELSE $8 END
			WHERE id = $1 AND attempt = $2 AND (state IN ('sending', 'unknown') OR ($9 AND state = 'accepted'))`,
			m.ID, m.Attempt, string(out.state), dueOf(out), string(out.kind), out.code, out.reason, out.carrierID,
			out.asked && out.state == Unknown, free)
	}
	if err != nil {
		return fmt.Errorf("note the outcome of text %s: %w", m.ID, err)
	}
	if n == 0 {
		return nil // a newer attempt or a receipt has settled it
	}
	if out.kind == Stopped && o.Stopped != nil {
		if err := o.Stopped(tx, m.Message); err != nil {
			return fmt.Errorf("note the opt-out at the carrier: %w", err)
		}
	}
	if out.carrierID != "" {
		return o.adopt(tx, m.ID, m.Carrier, out.carrierID)
	}
	return nil
}

func dueOf(out outcome) storage.Time { return storage.At(out.due) }

// backoff is 1 s, 2 s, 4 s … at most 10 min, each between half and one and a half of it.
func backoff(attempt int) time.Duration {
	d := 10 * time.Minute
	if attempt < 10 {
		d = min(d, time.Second<<max(0, attempt-1))
	}
	return d/2 + rand.N(d)
}

// tidyReason is an error for the database and for people: short, and without the number, should a carrier's answer
// repeat it.
func tidyReason(err error, m claimed) string {
	s := err.Error()
	for _, n := range []string{m.Phone.E164(), "86" + m.Phone.Clear(), m.Phone.Clear()} {
		if len(n) > 2 {
			s = strings.ReplaceAll(s, n, m.Phone.Masked())
		}
	}
	if r := []rune(s); len(r) > 200 {
		s = string(r[:200])
	}
	return strings.ToValidUTF8(s, "")
}
