package sim

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"lianxin/contact"
	"lianxin/sms"
	"lianxin/storage"
)

// Entry is one line of the conversation on a handset: a text from us or a reply of the resident.
type Entry struct {
	ID    string
	Phone contact.Phone
	Reply bool   // typed by the resident
	Body  string //
	State string // of a text: accepted (on its way), delivered, failed
	At    time.Time
}

// Handset returns the conversation of a number, oldest first. Texts that have not been delivered yet or never will be
// are there too, with their state: a handset page hides them, a test counts them.
func (c *Carrier) Handset(ctx context.Context, p contact.Phone) ([]Entry, error) {
	var out []Entry
	err := c.DB.View(ctx, func(tx *storage.Tx) (err error) {
		out, err = storage.All(tx, c.scanEntry, `SELECT id, phone, FALSE AS reply, body, words, state, accepted_at AS at FROM sim_text WHERE phone_hash = $1
			UNION ALL SELECT id, phone, TRUE, body, words, '', at FROM sim_reply WHERE phone_hash = $1 ORDER BY at, reply, id`, c.Vault.HashPhone(p))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("handset of %s: %w", p, err)
	}
	return out, nil
}

// Handsets returns the last entry of each of the numbers that had something most recently, newest first.
func (c *Carrier) Handsets(ctx context.Context, limit int) ([]Entry, error) {
	var out []Entry
	err := c.DB.View(ctx, func(tx *storage.Tx) (err error) {
		out, err = storage.All(tx, c.scanEntry, `SELECT id, phone, reply, body, words, state, at FROM (
				SELECT id, phone, reply, body, words, state, at, ROW_NUMBER() OVER (PARTITION BY phone_hash ORDER BY at DESC, reply DESC, id DESC) AS nth FROM (
					SELECT id, phone, phone_hash, FALSE AS reply, body, words, state, accepted_at AS at FROM sim_text
					UNION ALL SELECT id, phone, phone_hash, TRUE, body, words, '', at FROM sim_reply) every_entry) numbered
			WHERE nth = 1 ORDER BY at DESC, id DESC LIMIT $1`, limit)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("handsets: %w", err)
	}
	return out, nil
}

func (c *Carrier) scanEntry(r storage.Row) (e Entry, err error) {
	var sealed, words []byte
	var at storage.Time
	if err := r.Scan(&e.ID, &sealed, &e.Reply, &e.Body, &words, &e.State, &at); err != nil {
		return e, err
	}
	if words != nil {
		if e.Body, err = c.words().Open(words); err != nil {
			return e, err
		}
	}
	e.At = at.Time
	clear, err := c.box().Open(sealed)
	if err != nil {
		return e, err
	}
	e.Phone, err = contact.ParsePhone(clear)
	return e, err
}

// Reply is a resident answering the last text on the handset, to the number that it came from. It is in the carrier's books when Reply returns nil, and comes to us by
// Flush or Run.
func (c *Carrier) Reply(ctx context.Context, p contact.Phone, body string) (id string, err error) {
	return c.ReplyTo(ctx, p, "", body)
}

// ReplyTo is Reply to the text with this id of ours (sms.Message.ID), an older one for example; "" is the last one.
func (c *Carrier) ReplyTo(ctx context.Context, p contact.Phone, messageID, body string) (id string, err error) {
	if p.IsZero() {
		return "", fmt.Errorf("reply from a handset: no number")
	}
	id = "mo" + storage.NewID()
	now := c.now()
	err = c.DB.Update(ctx, func(tx *storage.Tx) error {
		s, err := settings(tx)
		if err != nil {
			return err
		}
		from, err := storage.One(tx, storage.Value[string], `SELECT extension FROM sim_text WHERE phone_hash = $1 AND ($2 = '' OR message_id = $2) ORDER BY accepted_at DESC, id DESC LIMIT 1`,
			c.Vault.HashPhone(p), messageID)
		if err != nil && !(errors.Is(err, storage.ErrNotFound) && messageID == "") { // a stranger writes to our number
			return err
		}
		if !s.SubNumbers {
			from = ""
		}
		_, err = tx.Exec(`INSERT INTO sim_reply (id, phone_hash, phone, body, words, at, due, recipient) VALUES ($1, $2, $3, '', $4, $5, $6, $7)`,
			id, c.Vault.HashPhone(p), c.box().Seal(p.Clear()), c.words().Seal(body), storage.At(now), storage.At(now.Add(s.ReplyDelay)), Number+from)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("reply from handset %s: %w", p, err)
	}
	return id, nil
}

// Run delivers texts, receipts and replies as they come due, until ctx ends.
func (c *Carrier) Run(ctx context.Context) error {
	for _, table := range []string{"sim_text", "sim_reply"} { // what an earlier version of the program kept in clear
		if _, err := sms.SealColumn(ctx, c.DB, table, c.words().Seal); err != nil && ctx.Err() == nil {
			c.log().Error("seal the books of the simulated carrier", "error", err)
		}
	}
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := c.Flush(ctx); err != nil && ctx.Err() == nil {
			c.log().Error("simulated carrier", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Flush delivers what is due: texts to handsets, receipts and replies to us. It returns how many receipts and replies
// it handed over. One that is not taken is handed over again at the next Flush, as carriers do.
func (c *Carrier) Flush(ctx context.Context) (int, error) {
	now := storage.At(c.now())
	if err := c.deliver(ctx, now); err != nil {
		return 0, fmt.Errorf("deliver texts: %w", err)
	}
	n, err := c.handReceipts(ctx, now)
	if err != nil {
		return n, fmt.Errorf("hand over receipts: %w", err)
	}
	m, err := c.handReplies(ctx, now)
	if err != nil {
		return n + m, fmt.Errorf("hand over replies: %w", err)
	}
	return n + m, nil
}

// deliver puts texts on handsets, or fails to.
func (c *Carrier) deliver(ctx context.Context, now storage.Time) error {
	waiting := 0
	err := c.DB.View(ctx, func(tx *storage.Tx) (err error) {
		waiting, err = storage.One(tx, storage.Value[int], `SELECT COUNT(*) FROM sim_text WHERE state = 'accepted' AND deliver_at <= $1`, now)
		return err
	})
	if err != nil || waiting == 0 {
		return err
	}
	return c.DB.Update(ctx, func(tx *storage.Tx) error {
		_, err := tx.Exec(`UPDATE sim_text SET done_at = $1, state = CASE code WHEN 'DELIVRD' THEN 'delivered' ELSE 'failed' END
			WHERE state = 'accepted' AND deliver_at <= $1`, now)
		return err
	})
}

func (c *Carrier) handReceipts(ctx context.Context, now storage.Time) (int, error) {
	if c.Receipts == nil {
		return 0, nil
	}
	n := 0
	// From where the last two hundred ended: those that were handed over would have to be passed over again each time.
	var after storage.Time
	var last string
	for {
		var due []sms.Receipt
		from := int64(0)
		if !after.IsZero() {
			from = after.UnixMilli()
		}
		err := c.DB.View(ctx, func(tx *storage.Tx) (err error) {
			if err := errors.Join(tx.ByIndex(), tx.InOrder()); err != nil {
				return err
			}
			due, err = storage.All(tx, func(r storage.Row) (v sms.Receipt, err error) {
				var at storage.Time
				err = r.Scan(&v.ID, &v.CarrierID, &v.State, &v.Code, &at)
				v.At = at.Time
				after, last = at, v.ID
				return v, err
			}, `SELECT id, text_id, state, code, due FROM sim_receipt WHERE done_at IS NULL AND due <= $1 AND (due, id) > ($2, $3) ORDER BY due, id LIMIT 200`, now, from, last)
			return err
		})
		if err != nil || len(due) == 0 {
			return n, err
		}
		done, err := c.handOver(ctx, due)
		n += len(done)
		if err := errors.Join(err, c.done(ctx, "sim_receipt", done, now)); err != nil {
			return n, err
		}
	}
}

// handOver hands over the receipts of several texts at the same time, those of one text one after another. It returns
// the ids of those that were taken.
func (c *Carrier) handOver(ctx context.Context, due []sms.Receipt) (done []string, err error) {
	byText := map[string][]sms.Receipt{}
	for _, r := range due {
		byText[r.CarrierID] = append(byText[r.CarrierID], r)
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, list := range byText {
		wg.Go(func() {
			for _, r := range list {
				id := r.ID
				r.Carrier = c.Name()
				one := c.Receipts(ctx, r)
				mu.Lock()
				if one == nil {
					done = append(done, id)
				}
				err = errors.Join(err, one)
				mu.Unlock()
				if one != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	return done, err
}

func (c *Carrier) handReplies(ctx context.Context, now storage.Time) (int, error) {
	if c.Replies == nil {
		return 0, nil
	}
	type typed struct {
		Entry
		to string
	}
	var due []typed
	var s Settings
	err := c.DB.View(ctx, func(tx *storage.Tx) (err error) {
		if s, err = settings(tx); err != nil {
			return err
		}
		due, err = storage.All(tx, func(r storage.Row) (t typed, err error) {
			t.Entry, err = c.scanEntry(with{r, &t.to})
			return t, err
		}, `SELECT id, phone, TRUE, body, words, '', at, recipient FROM sim_reply WHERE done_at IS NULL AND due <= $1 ORDER BY due, id`, now)
		return err
	})
	if err != nil {
		return 0, err
	}
	n := 0
	for _, e := range due {
		in := sms.Inbound{Carrier: c.Name(), CarrierID: e.ID, Phone: e.Phone, To: cmp.Or(e.to, Number), Body: e.Body, SentAt: e.At}
		if s.ReplyWithoutIDs {
			in.CarrierID = ""
		}
		times := 1
		if s.DuplicateReply {
			times = 2
		}
		for range times {
			if err := c.Replies(ctx, in); err != nil {
				return n, err
			}
			n++
		}
		if err := c.done(ctx, "sim_reply", []string{e.ID}, now); err != nil {
			return n, err
		}
	}
	return n, nil
}

// with is a row with one more column at its end.
type with struct {
	storage.Row
	last any
}

func (w with) Scan(dest ...any) error { return w.Row.Scan(append(dest, w.last)...) }

// done notes what was handed over. Should we die before, it is handed over again.
func (c *Carrier) done(ctx context.Context, table string, ids []string, now storage.Time) error {
	if len(ids) == 0 {
		return nil
	}
	return c.write(ctx, func(tx *storage.Tx) error {
		list, args := storage.In([]any{now}, ids)
		_, err := tx.Exec(`UPDATE `+table+` SET done_at = $1 WHERE id IN (`+list+`)`, args...)
		return err
	})
}
