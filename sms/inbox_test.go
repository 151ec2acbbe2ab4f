package sms_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"lianxin/audit"
	"lianxin/sms"
	"lianxin/storage"
)

func TestReplyIsStoredBeforeAnybodyReadsIt(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		var read []string
		broken := true
		b := &sms.Inbox{DB: h.db, Vault: h.vault, Now: h.now}
		b.Handle = func(tx *storage.Tx, in sms.Inbound) error {
			if _, err := b.Get(tx, in.ID); err != nil {
				t.Errorf("the reader was called before the reply was stored: %v", err)
			}
			if broken {
				panic("the reader stumbles")
			}
			read = append(read, in.Body)
			return nil
		}
		in := sms.Inbound{Carrier: "sim", CarrierID: "mo1", Phone: h.phone(1), To: "1069", Body: " 5 太差了\x00👎 "}
		id, fresh, err := b.Receive(h.ctx, in)
		if err != nil || !fresh {
			t.Fatalf("Receive: %v, %v", fresh, err)
		}
		h.db.View(h.ctx, func(tx *storage.Tx) error {
			got, err := b.Get(tx, id)
			if err != nil || got.Body != " 5 太差了👎 " || got.Phone != h.phone(1) || got.To != "1069" {
				t.Errorf("stored %+v, %v", got, err)
			}
			return nil
		})
		health, err := h.outbox.Health(h.ctx)
		if err != nil || health.Unread != 1 {
			t.Errorf("health says %d unread, %v", health.Unread, err)
		}
		broken = false
		if n, err := b.Flush(h.ctx); n != 0 || err != nil { // not at once
			t.Errorf("read %d at once, %v", n, err)
		}
		h.pass(time.Hour)
		if n, err := b.Flush(h.ctx); n != 1 || err != nil {
			t.Errorf("read %d, %v", n, err)
		}
		if n, err := b.Flush(h.ctx); n != 0 || err != nil || len(read) != 1 {
			t.Errorf("read %d again, %v; %q", n, err, read)
		}
	})
}

func TestReplyFromNoNumberIsKeptToo(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		b := &sms.Inbox{DB: h.db, Vault: h.vault, Now: h.now, Handle: func(*storage.Tx, sms.Inbound) error { return nil }}
		id, _, err := b.Receive(h.ctx, sms.Inbound{Carrier: "sim", From: "BANK", Body: "AD"})
		if err != nil {
			t.Fatal(err)
		}
		h.db.View(h.ctx, func(tx *storage.Tx) error {
			if in, err := b.Get(tx, id); err != nil || in.From != "BANK" || !in.Phone.IsZero() {
				t.Errorf("stored %+v, %v", in, err)
			}
			return nil
		})
		if n, err := b.Verify(h.ctx); n != 1 || err != nil {
			t.Errorf("Verify: %d, %v", n, err)
		}
	})
}

func TestFailedReadingUndoesAllItDid(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		b := &sms.Inbox{DB: h.db, Vault: h.vault, Now: h.now, Handle: func(tx *storage.Tx, in sms.Inbound) error {
			if _, _, err := h.outbox.Queue(tx, sms.Message{Key: "answer:" + in.ID, Phone: in.Phone, Body: "谢谢", Anytime: true}); err != nil {
				return err
			}
			return errors.New("and then it failed")
		}}
		if _, _, err := b.Receive(h.ctx, sms.Inbound{Carrier: "sim", CarrierID: "mo1", Phone: h.phone(1), Body: "1"}); err != nil {
			t.Fatal(err)
		}
		h.flush()
		if n := h.onHandset(1); n != 0 {
			t.Errorf("%d texts went out from a transaction that failed", n)
		}
	})
}

func TestRepeatedPushIsOneReply(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		n := 0
		b := &sms.Inbox{DB: h.db, Vault: h.vault, Now: h.now, Handle: func(*storage.Tx, sms.Inbound) error { n++; return nil }}
		receive := func(carrierID, body string, sent time.Time) bool {
			t.Helper()
			_, fresh, err := b.Receive(h.ctx, sms.Inbound{Carrier: "sim", CarrierID: carrierID, Phone: h.phone(1), Body: body, SentAt: sent})
			if err != nil {
				t.Fatal(err)
			}
			return fresh
		}
		sent := h.now()
		for i, c := range []struct {
			id, body string
			sent     time.Time
			wait     time.Duration
			fresh    bool
		}{
			{"a", "1", time.Time{}, 0, true},
			{"a", "1", time.Time{}, 0, false},
			{"b", "1", time.Time{}, 0, true}, // another reply with the same words
			{"", "2", time.Time{}, 0, true},
			{"", "2", time.Time{}, 50 * time.Second, false}, // pushed again after the carrier's time-out
			{"", "3", time.Time{}, 0, true},
			{"", "2", time.Time{}, 5 * time.Minute, true},
			{"", "4", sent, 0, true},
			{"", "4", sent, 3 * time.Hour, false}, // the carrier's own time tells that it is the same one
		} {
			h.pass(c.wait)
			if got := receive(c.id, c.body, c.sent); got != c.fresh {
				t.Errorf("reply %d: fresh %v, want %v", i, got, c.fresh)
			}
		}
		if n != 6 {
			t.Errorf("%d replies were read, want 6", n)
		}
	})
}

func TestStoredRepliesCannotBeChangedUnnoticed(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		b := &sms.Inbox{DB: h.db, Vault: h.vault, Now: h.now, Handle: func(*storage.Tx, sms.Inbound) error { return nil }}
		var ids []string
		for _, body := range []string{"1", "3(不满意)", "退订"} {
			id, _, err := b.Receive(h.ctx, sms.Inbound{Carrier: "sim", CarrierID: body, Phone: h.phone(1), Body: body, SentAt: h.now()})
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, id)
		}
		if n, err := b.Verify(h.ctx); n != 3 || err != nil {
			t.Fatalf("Verify: %d, %v", n, err)
		}
		if rep, err := audit.Verify(context.Background(), h.db, nil); err != nil || rep.Broken != nil {
			t.Fatalf("audit: %+v, %v", rep, err)
		}
		spoil := func(q string, args ...any) {
			t.Helper()
			h.update(func(tx *storage.Tx) error { _, err := tx.Exec(q, args...); return err })
			if _, err := b.Verify(h.ctx); err == nil {
				t.Errorf("%s was not noticed", q)
			}
		}
		var was []byte
		h.update(func(tx *storage.Tx) (err error) {
			was, err = storage.One(tx, storage.Value[[]byte], `SELECT words FROM sms_inbound WHERE id = $1`, ids[1])
			return err
		})
		// Sealed words cannot be made up, but another reply's could be put in their place, or clear ones.
		spoil(`UPDATE sms_inbound SET words = (SELECT o.words FROM sms_inbound o WHERE o.id = $2) WHERE id = $1`, ids[1], ids[0])
		spoil(`UPDATE sms_inbound SET words = NULL, body = '1' WHERE id = $1`, ids[1])
		h.update(func(tx *storage.Tx) error {
			_, err := tx.Exec(`UPDATE sms_inbound SET words = $2, body = '' WHERE id = $1`, ids[1], was)
			return err
		})
		if _, err := b.Verify(h.ctx); err != nil {
			t.Fatalf("put right again, it does not hold: %v", err)
		}
		spoil(`INSERT INTO sms_inbound (id, carrier, carrier_id, dedupe, phone_hash, phone, recipient, body, received_at, digest)
			SELECT 'forged', carrier, 'forged', 'forged', phone_hash, phone, recipient, '1', received_at, digest FROM sms_inbound WHERE id = $1`, ids[0])
		h.update(func(tx *storage.Tx) error {
			_, err := tx.Exec(`DELETE FROM sms_inbound WHERE id = 'forged'`)
			return err
		})
		h.update(func(tx *storage.Tx) error {
			_, err := tx.Exec(`DELETE FROM sms_inbound_work WHERE inbound_id = $1`, ids[1])
			return err
		})
		spoil(`DELETE FROM sms_inbound WHERE id = $1`, ids[1])
	})
}
