package sms

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"lianxin/audit"
	"lianxin/contact"
	"lianxin/storage"
)

// Inbound is a reply as it came.
type Inbound struct {
	ID         string
	Carrier    string        // Carrier.Name of the one it came through
	CarrierID  string        // the carrier's name for it; empty when it gives none
	Phone      contact.Phone // who wrote; zero when From is no number that we can read
	From       string        // who wrote, in the carrier's words, needed only when Phone is zero; not masked: never log it
	To         string        // our number, with its extension
	Body       string        // exactly as it came
	SentAt     time.Time     // by the carrier's clock; may be zero
	ReceivedAt time.Time     //
	Digest     string        // SHA-256 of all of it, which stands in the audit chain

	salt string // of the digest; empty of replies from before there was one
}

// Inbox takes replies in. DB, Vault and Handle are needed.
type Inbox struct {
	DB    *storage.DB
	Vault *contact.Vault
	Now   func() time.Time // nil is time.Now
	Log   *slog.Logger     // nil is slog.Default

	// Handle reads a reply and does what follows from it, in a transaction that also notes that it is done. It is
	// called after the reply is safe; when it fails, all it did is undone and it is called again later.
	Handle func(tx *storage.Tx, in Inbound) error
}

func (b *Inbox) now() time.Time {
	if b.Now != nil {
		return b.Now()
	}
	return time.Now()
}

func (b *Inbox) log() *slog.Logger {
	if b.Log != nil {
		return b.Log
	}
	return slog.Default()
}

// Receive stores a reply, once, in a transaction of its own, and then has it read. It returns nil once the reply is
// safe, so that the carrier may be told so; a reply that cannot be read now is read later by Run. fresh is false for a
// reply that has come before.
func (b *Inbox) Receive(ctx context.Context, in Inbound) (id string, fresh bool, err error) {
	if in.Carrier == "" {
		return "", false, errors.New("receive reply: no carrier")
	}
	from := in.sender()
	in.Body = strings.ToValidUTF8(strings.ReplaceAll(in.Body, "\x00", ""), "\uFFFD") // PostgreSQL keeps neither
	in.ID, in.ReceivedAt = storage.NewID(), b.now().UTC().Truncate(time.Millisecond)
	in.SentAt = in.SentAt.Truncate(time.Millisecond)
	in.salt = newSalt()
	box := b.Vault.For("sms.phone")
	hash := b.Vault.Hash(from)
	in.Digest = in.digest(hash)
	keys := b.dedupeKeys(in, hash)
	err = b.DB.Update(ctx, func(tx *storage.Tx) error {
		for _, k := range keys[1:] {
			known, err := storage.All(tx, storage.Value[string], `SELECT id FROM sms_inbound WHERE dedupe = $1`, k)
			if err != nil {
				return err
			}
			if len(known) > 0 {
				id = known[0]
				return nil
			}
		}
		n, err := tx.Exec(`INSERT INTO sms_inbound (id, carrier, carrier_id, dedupe, phone_hash, phone, recipient, body, words, sent_at, received_at, digest)
			VALUES ($1, $2, $3, $4, $5, $6, $7, '', $8, $9, $10, $11) ON CONFLICT (dedupe) DO NOTHING`,
			in.ID, in.Carrier, in.CarrierID, keys[0], hash, box.Seal(from), in.To, sealReply(b.Vault, in.salt, in.Body), storage.At(in.SentAt), storage.At(in.ReceivedAt), in.Digest)
		if err != nil {
			return err
		}
		if n == 0 {
			id, err = storage.One(tx, storage.Value[string], `SELECT id FROM sms_inbound WHERE dedupe = $1`, keys[0])
			return err
		}
		id, fresh = in.ID, true
		if _, err := tx.Exec(`INSERT INTO sms_inbound_work (inbound_id, due) VALUES ($1, $2)`, in.ID, storage.At(in.ReceivedAt)); err != nil {
			return err
		}
		_, err = audit.Append(tx, audit.Entry{Stream: "sms/inbound", Type: "sms.received", Actor: "carrier/" + in.Carrier, At: in.ReceivedAt,
			Payload: map[string]string{"id": in.ID, "digest": in.Digest}})
		return err
	})
	if err != nil {
		return "", false, fmt.Errorf("store a reply from %s through %s: %w", in.Phone, in.Carrier, err)
	}
	if fresh {
		if _, err := b.work(ctx, in.ID); err != nil {
			b.log().Error("process a reply; it is kept and tried again", "reply", in.ID, "error", err)
		}
	}
	return id, fresh, nil
}

// dedupeKeys are the keys under which the same reply would have come before; the first is the one to store it under.
// Without an id of the carrier, the same text from the same number in the same minute or the one before is the same
// reply (a carrier that pushes again after a time-out).
func (b *Inbox) dedupeKeys(in Inbound, hash string) []string {
	if in.CarrierID != "" {
		return []string{in.Carrier + "/" + in.CarrierID}
	}
	at := in.ReceivedAt
	if !in.SentAt.IsZero() {
		at = in.SentAt
	}
	sum := sha256.Sum256([]byte(in.Body))
	key := func(minute int64) string {
		return in.Carrier + "/" + hash + "/" + hex.EncodeToString(sum[:8]) + "/" + strconv.FormatInt(minute, 10)
	}
	m := at.Unix() / 60
	if !in.SentAt.IsZero() {
		return []string{key(m)}
	}
	return []string{key(m), key(m - 1)}
}

// sender is what is sealed and hashed: the number when there is one.
func (in Inbound) sender() string {
	if !in.Phone.IsZero() {
		return in.Phone.Clear()
	}
	return "from:" + in.From
}

// digest covers every field of the stored row; the number by its keyed hash, so that the log holds nothing that could be
// guessed back.
func (in Inbound) digest(phoneHash string) string {
	var b strings.Builder
	if in.salt != "" {
		b.WriteString(in.salt + ";")
	}
	for _, s := range []string{in.ID, in.Carrier, in.CarrierID, phoneHash, in.To, in.Body,
		strconv.FormatInt(unixMilli(in.SentAt), 10), strconv.FormatInt(in.ReceivedAt.UnixMilli(), 10)} {
		b.WriteString(strconv.Itoa(len(s)) + ":" + s)
	}
	sum := sha256.Sum256([]byte(b.String()))
	return hex.EncodeToString(sum[:])
}

func unixMilli(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// Flush has every reply read that is stored, due and not yet read. It returns how many were.
func (b *Inbox) Flush(ctx context.Context) (int, error) {
	done := 0
	for {
		var ids []string
		err := b.DB.View(ctx, func(tx *storage.Tx) (err error) {
			ids, err = storage.All(tx, storage.Value[string], `SELECT inbound_id FROM sms_inbound_work WHERE done_at IS NULL AND due <= $1
				ORDER BY due, inbound_id LIMIT 100`, storage.At(b.now()))
			return err
		})
		if err != nil || len(ids) == 0 {
			return done, err
		}
		moved := false
		for _, id := range ids {
			mine, err := b.work(ctx, id)
			if ctx.Err() != nil {
				return done, ctx.Err()
			}
			moved = moved || mine || err != nil
			if err != nil {
				b.log().Error("process a reply; it is kept and tried again", "reply", id, "error", err)
			} else if mine {
				done++
			}
		}
		if !moved {
			return done, nil // others are at them
		}
	}
}

// Run reads replies that could not be read when they came, until ctx ends.
func (b *Inbox) Run(ctx context.Context) error {
	tick := time.NewTicker(5 * time.Second)
	defer tick.Stop()
	for {
		if _, err := b.Flush(ctx); err != nil && ctx.Err() == nil {
			b.log().Error("process replies", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// work has one reply read; mine is false when somebody else is at it or has done it.
func (b *Inbox) work(ctx context.Context, id string) (mine bool, err error) {
	attempt := 0
	err = b.DB.Update(ctx, func(tx *storage.Tx) (err error) {
		open, err := storage.All(tx, storage.Value[int], `SELECT attempt FROM sms_inbound_work WHERE inbound_id = $1 AND done_at IS NULL `+tx.SkipLocked(), id)
		if err != nil || len(open) == 0 {
			return err
		}
		attempt = open[0] + 1
		in, err := b.Get(tx, id)
		if err != nil {
			return err
		}
		if err := b.handle(tx, in); err != nil {
			return err
		}
		_, err = tx.Exec(`UPDATE sms_inbound_work SET done_at = $2, attempt = $3, error = '' WHERE inbound_id = $1`, id, storage.At(b.now()), attempt)
		return err
	})
	if err == nil || attempt == 0 {
		return attempt > 0, err
	}
	why := err.Error()
	if r := []rune(why); len(r) > 500 {
		why = string(r[:500])
	}
	later := b.now().Add(backoff(attempt + 2))
	noted := b.DB.Update(context.WithoutCancel(ctx), func(tx *storage.Tx) error {
		_, err := tx.Exec(`UPDATE sms_inbound_work SET attempt = $2, due = $3, error = $4 WHERE inbound_id = $1 AND done_at IS NULL`,
			id, attempt, storage.At(later), strings.ToValidUTF8(why, ""))
		return err
	})
	return true, errors.Join(err, noted)
}

// handle turns a panic of the reader into an error: one strange reply must not stop the others.
func (b *Inbox) handle(tx *storage.Tx, in Inbound) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return b.Handle(tx, in)
}

const inboundColumns = `id, carrier, carrier_id, phone, recipient, body, words, sent_at, received_at, digest`

func (b *Inbox) scan(r storage.Row) (in Inbound, err error) {
	var sealed, words []byte
	var sent, received storage.Time
	if err := r.Scan(&in.ID, &in.Carrier, &in.CarrierID, &sealed, &in.To, &in.Body, &words, &sent, &received, &in.Digest); err != nil {
		return in, err
	}
	in.SentAt, in.ReceivedAt = sent.Time, received.Time
	if words != nil {
		if in.salt, in.Body, err = openReply(b.Vault, words); err != nil {
			return in, err
		}
	}
	clear, err := b.Vault.For("sms.phone").Open(sealed)
	if err != nil {
		return in, fmt.Errorf("open the sender: %w", err)
	}
	var odd bool
	if in.From, odd = strings.CutPrefix(clear, "from:"); odd {
		return in, nil
	}
	in.From = ""
	in.Phone, err = contact.ParsePhone(clear)
	return in, err
}

// Get returns one reply as it came, or storage.ErrNotFound.
func (b *Inbox) Get(tx *storage.Tx, id string) (Inbound, error) {
	in, err := storage.One(tx, b.scan, `SELECT `+inboundColumns+` FROM sms_inbound WHERE id = $1`, id)
	if err != nil {
		return in, fmt.Errorf("reply %s: %w", id, err)
	}
	return in, nil
}

// List returns the replies of [from, to), newest first, at most limit.
func (b *Inbox) List(tx *storage.Tx, from, to time.Time, limit int) ([]Inbound, error) {
	return storage.All(tx, b.scan, `SELECT `+inboundColumns+` FROM sms_inbound WHERE received_at >= $1 AND received_at < $2
		ORDER BY received_at DESC, id DESC LIMIT $3`, storage.At(from), storage.At(to), limit)
}

// Of returns the replies of one number, newest first, at most limit.
func (b *Inbox) Of(tx *storage.Tx, p contact.Phone, limit int) ([]Inbound, error) {
	return storage.All(tx, b.scan, `SELECT `+inboundColumns+` FROM sms_inbound WHERE phone_hash = $1 ORDER BY received_at DESC, id DESC LIMIT $2`,
		b.Vault.HashPhone(p), limit)
}

// Verify compares every stored reply with what the audit chain says came in, and names the first one that was changed,
// removed or put in. The chain itself is audit.Verify's business.
func (b *Inbox) Verify(ctx context.Context) (checked int, err error) {
	err = b.DB.View(ctx, func(tx *storage.Tx) error {
		events, err := audit.Stream(tx, "sms/inbound")
		if err != nil {
			return err
		}
		seen := make(map[string]bool, len(events))
		erased := map[string]bool{} // after their period, or for their sender: only their facts are left
		for _, e := range events {
			var p struct{ Erased []string }
			if e.Type == "sms.erased" {
				if err := json.Unmarshal(e.Payload, &p); err != nil {
					return err
				}
			}
			for _, id := range p.Erased {
				erased[id] = true
			}
		}
		for _, e := range events {
			var p struct{ ID, Digest string }
			if e.Type == "sms.erased" {
				continue
			}
			if err := json.Unmarshal(e.Payload, &p); err != nil {
				return err
			}
			if erased[p.ID] {
				seen[p.ID] = true
				continue
			}
			in, err := b.Get(tx, p.ID)
			if errors.Is(err, storage.ErrNotFound) {
				return fmt.Errorf("reply %s was received (event %d) but is gone", p.ID, e.Seq)
			} else if err != nil {
				return err
			}
			if in.digest(b.Vault.Hash(in.sender())) != p.Digest {
				return fmt.Errorf("reply %s was changed after it was received (event %d)", p.ID, e.Seq)
			}
			seen[p.ID] = true
			checked++
		}
		ids, err := storage.All(tx, storage.Value[string], `SELECT id FROM sms_inbound ORDER BY id`)
		if err != nil {
			return err
		}
		for _, id := range ids {
			if !seen[id] {
				return fmt.Errorf("reply %s was put in without being received", id)
			}
		}
		return nil
	})
	if err != nil {
		return checked, fmt.Errorf("verify replies: %w", err)
	}
	return checked, nil
}
