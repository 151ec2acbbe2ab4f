package sms_test

import (
	"bytes"
	"testing"

	"lianxin/sms"
	"lianxin/storage"
)

func TestWordsOfTextsAndRepliesAreSealedAtRest(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		b := &sms.Inbox{DB: h.db, Vault: h.vault, Now: h.now, Handle: func(*storage.Tx, sms.Inbound) error { return nil }}
		const said, sent = "我叫王小明，住平山区3号楼，不满意", "您好，请评价"
		id, _, err := b.Receive(h.ctx, sms.Inbound{Carrier: "sim", CarrierID: "mo1", Phone: h.phone(1), Body: said})
		if err != nil {
			t.Fatal(err)
		}
		text := h.queue(1, func(m *sms.Message) { m.Body = sent })
		h.update(func(tx *storage.Tx) error {
			for _, q := range []string{`SELECT body FROM sms_inbound`, `SELECT words FROM sms_inbound`, `SELECT body FROM sms`, `SELECT words FROM sms`} {
				rows, err := storage.All(tx, storage.Value[[]byte], q)
				if err != nil {
					return err
				}
				for _, r := range rows {
					if bytes.Contains(r, []byte("王小明")) || bytes.Contains(r, []byte("请评价")) {
						t.Errorf("%s holds words in clear: %q", q, r)
					}
				}
			}
			in, err := b.Get(tx, id)
			if err != nil || in.Body != said {
				t.Errorf("reply reads %q, %v", in.Body, err)
			}
			m, err := h.outbox.Get(tx, text)
			if err != nil || m.Body != "【本溪公安】"+sent {
				t.Errorf("text reads %q, %v", m.Body, err)
			}
			return nil
		})
	})
}

func TestWordsOfAnEarlierVersionAreSealedOnceAndStillProve(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		b := &sms.Inbox{DB: h.db, Vault: h.vault, Now: h.now, Handle: func(*storage.Tx, sms.Inbound) error { return nil }}
		id, _, err := b.Receive(h.ctx, sms.Inbound{Carrier: "sim", CarrierID: "mo1", Phone: h.phone(1), Body: "3"})
		if err != nil {
			t.Fatal(err)
		}
		text := h.queue(1, func(m *sms.Message) { m.Body = "您好" })
		h.update(func(tx *storage.Tx) error { // as the text stood before
			_, err := tx.Exec(`UPDATE sms SET words = NULL, body = '您好' WHERE id = $1`, text)
			return err
		})
		for want := 1; want >= 0; want-- {
			n, err := sms.SealWords(h.ctx, h.db, h.vault)
			if err != nil || n != want {
				t.Fatalf("sealed %d, %v, want %d", n, err, want)
			}
		}
		h.update(func(tx *storage.Tx) error {
			m, err := h.outbox.Get(tx, text)
			if err != nil || m.Body != "您好" {
				t.Errorf("text reads %q, %v", m.Body, err)
			}
			_, err = b.Get(tx, id)
			return err
		})
		if _, err := b.Verify(h.ctx); err != nil {
			t.Error(err)
		}
	})
}
