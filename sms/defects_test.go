package sms_test

import (
	"context"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"lianxin/sms"
	"lianxin/sms/sim"
	"lianxin/storage"
	"lianxin/storage/storagetest"
)

// The tests of this file hold the sending to what the systems we measure ourselves by were found to get wrong
// (docs/sms.md, D1 to D13). Each would fail on the system that it names.

// nyaruka/courier counts bytes and cuts at blanks: 2,000 Chinese characters stay one part.
func TestD1ALongChineseTextIsCutIntoPartsThatFit(t *testing.T) {
	text := strings.Repeat("请评价民警的服务态度", 200)
	parts := sms.Split(text)
	if len(parts) != 30 || strings.Join(parts, "") != text {
		t.Errorf("%d parts of 2,000 characters, want 30", len(parts))
	}
	for _, p := range parts {
		if n := sms.Measure(p).Units; n > 67 {
			t.Errorf("a part of %d units", n)
		}
	}
}

// courier lets a late "sent" overwrite "delivered".
func TestD2ALateReceiptDoesNotTakeADeliveryBack(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.set(sim.Settings{NoReceiptRate: 1})
		id := h.queue(1)
		h.flush()
		m := h.get(id)
		for _, s := range []sms.State{sms.Delivered, sms.Accepted, sms.Failed, sms.Accepted} {
			if err := h.outbox.Receipt(h.ctx, sms.Receipt{Carrier: "sim", CarrierID: m.CarrierID, State: s}); err != nil {
				t.Fatal(err)
			}
			h.state(id, sms.Delivered)
		}
	})
}

// courier takes a message out of its queue before it is sent: a crash in between loses it for good.
func TestD3ATextWhoseSenderDiedBetweenClaimAndSendingGoesOut(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		id := h.queue(1)
		h.update(func(tx *storage.Tx) error { // what the dead sender had committed
			_, err := tx.Exec(`UPDATE sms SET state = 'sending', attempt = 1, carrier = 'sim', tried_at = $2, due = $3 WHERE id = $1`, id, storage.At(h.now()), storage.At(h.now().Add(time.Minute)))
			return err
		})
		h.flush()
		if n := h.onHandset(1); n != 0 {
			t.Fatalf("%d sent while the other sender's claim holds", n)
		}
		h.pass(2 * time.Minute)
		h.flush()
		if n := h.onHandset(1); n != 1 {
			t.Errorf("%d on the handset, want 1", n)
		}
	})
}

// courier forgets what it has sent after an hour or two, and replies without an id after seconds.
func TestD4WhatCameOrWentOnceIsKnownForEver(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		read := 0
		b := &sms.Inbox{DB: h.db, Vault: h.vault, Now: h.now, Handle: func(*storage.Tx, sms.Inbound) error { read++; return nil }}
		sent := h.now()
		h.queue(1)
		h.flush()
		for range 3 {
			for _, in := range []sms.Inbound{{Carrier: "sim", CarrierID: "mo-1", Phone: h.phone(1), Body: "1"}, {Carrier: "sim", Phone: h.phone(1), Body: "2", SentAt: sent}} {
				if _, _, err := b.Receive(h.ctx, in); err != nil {
					t.Fatal(err)
				}
			}
			h.queue(1) // the same key
			h.flush()
			h.pass(90 * 24 * time.Hour)
		}
		if n := h.onHandset(1); n != 1 || read != 2 {
			t.Errorf("%d texts, %d replies read; want 1 and 2", n, read)
		}
	})
}

// instedd/surveda sent again at every poll, 96 times, when what follows the sending failed.
func TestD9WhatFailsAfterSendingSendsNothingAgain(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.set(sim.Settings{TimeoutRate: 1}) // it takes the text, and we never learn that
		id := h.queue(1)
		for range 96 {
			h.flush()
			h.pass(time.Minute)
		}
		if n := h.onHandset(1); n != 1 {
			t.Errorf("%d on the handset after 96 rounds, want 1", n)
		}
		h.state(id, sms.Accepted) // it was asked about

		h.set(sim.Settings{Down: true})
		late := h.queue(2, func(m *sms.Message) { m.NotAfter = h.now().Add(10 * time.Minute) })
		for range 96 { // the survey is over, the carrier is back
			h.flush()
			h.pass(time.Minute)
			h.set(sim.Settings{Down: h.now().Minute()%20 < 15})
		}
		if n := h.onHandset(2); n > 1 {
			t.Errorf("%d on the handset of an ended survey", n)
		}
		if s := h.get(late).State; s != sms.Expired && s != sms.Delivered && s != sms.Accepted {
			t.Errorf("the late text is %s", s)
		}
	})
}

// Kannel 1.4.5 cuts between the two halves of an emoji.
func TestD10NoPartEndsInsideACharacter(t *testing.T) {
	for shift := range 70 {
		text := strings.Repeat("评", shift) + "😊👍🏻🇨🇳" + strings.Repeat("价", 100)
		parts := sms.Split(text)
		if strings.Join(parts, "") != text {
			t.Fatal("something is lost")
		}
		for _, p := range parts {
			if !utf8.ValidString(p) || strings.HasPrefix(p, "🏻") || strings.HasSuffix(p, "🇨") || strings.HasPrefix(p, "🇳") {
				t.Errorf("shift %d: a part is %q", shift, p)
			}
		}
	}
}

// Kannel asks for a report on the first segment only: "delivered" says nothing of the rest.
func TestD11ALongTextIsDeliveredWhenAllItsSegmentsAre(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.set(sim.Settings{NoReceiptRate: 1})
		id := h.queue(1, func(m *sms.Message) { m.Body = strings.Repeat("请评价", 40) })
		h.flush()
		m := h.get(id)
		if m.Segments != 2 {
			t.Fatalf("%d segments", m.Segments)
		}
		for part, want := range []sms.State{sms.Accepted, sms.Delivered} {
			if err := h.outbox.Receipt(h.ctx, sms.Receipt{Carrier: "sim", CarrierID: m.CarrierID, State: sms.Delivered, Part: part + 1}); err != nil {
				t.Fatal(err)
			}
			h.state(id, want)
		}
	})
}

// Kannel's stores survive kill -9 and make not one fsync: they do not survive the power cut.
func TestD12AClaimIsOnTheDiskBeforeTheCarrierIsCalled(t *testing.T) {
	h := newHouse(t, storagetest.SQLite(t))
	h.update(func(tx *storage.Tx) error {
		level, err := storage.One(tx, storage.Value[int], `PRAGMA synchronous`)
		if level != 2 { // FULL: the log is synced at every commit
			t.Errorf("synchronous = %d, want 2", level)
		}
		return err
	})
	seen := &looking{Carrier: h.sim, db: h.db}
	h.outbox = &sms.Outbox{DB: h.db, Carriers: []sms.Carrier{seen}, Vault: h.vault, Now: h.now}
	h.queue(1)
	h.flush()
	if seen.state != "sending" || seen.attempt != 1 {
		t.Errorf("when the carrier was called the committed row said %q, attempt %d", seen.state, seen.attempt)
	}
}

// looking is a carrier that looks at what is committed when it is called.
type looking struct {
	sms.Carrier
	db      *storage.DB
	state   string
	attempt int
}

func (l *looking) Send(ctx context.Context, m sms.Message) (sms.Sent, error) {
	err := l.db.View(ctx, func(tx *storage.Tx) error {
		_, err := storage.One(tx, func(r storage.Row) (int, error) { return 0, r.Scan(&l.state, &l.attempt) }, `SELECT state, attempt FROM sms WHERE id = $1`, m.ID)
		return err
	})
	if err != nil {
		return sms.Sent{}, err
	}
	return l.Carrier.Send(ctx, m)
}

// RapidPro has no quiet hours.
func TestD13NothingInBulkGoesOutAtNight(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.pass(11 * time.Hour) // 21:00
		h.queue(1)
		h.queue(2, func(m *sms.Message) { m.Anytime = true })
		h.flush()
		if h.onHandset(1) != 0 || h.onHandset(2) != 1 {
			t.Errorf("at 21:00: %d in bulk, %d in answer", h.onHandset(1), h.onHandset(2))
		}
		h.pass(12 * time.Hour)
		h.flush()
		if n := h.onHandset(1); n != 1 {
			t.Errorf("at 09:00: %d", n)
		}
	})
}
