package sim_test

import (
	"context"
	"maps"
	"path/filepath"
	"testing"
	"time"

	"lianxin/contact"
	"lianxin/sms"
	"lianxin/sms/sim"
	"lianxin/sms/smstest"
	"lianxin/storage"
	"lianxin/storage/storagetest"
)

func vault(t *testing.T) *contact.Vault {
	t.Helper()
	v, err := contact.OpenVault(filepath.Join(t.TempDir(), "keys.json"))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func phone(t *testing.T, s string) contact.Phone {
	t.Helper()
	p, err := contact.ParseMobile(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestKeepsThePromiseOfACarrier(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, db *storage.DB) {
		v := vault(t)
		smstest.Run(t, func(t *testing.T) smstest.Peer {
			ctx := context.Background()
			if err := db.Update(ctx, func(tx *storage.Tx) error {
				for _, q := range []string{`DELETE FROM sim_receipt`, `DELETE FROM sim_text`, `DELETE FROM sim_setting`} {
					if _, err := tx.Exec(q); err != nil {
						return err
					}
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			c := &sim.Carrier{DB: db, Vault: v}
			return smstest.Peer{Carrier: c, CanAsk: true, Timeout: time.Minute,
				Set: func(b smstest.Behaviour) {
					s := map[smstest.Behaviour]sim.Settings{smstest.Silent: {TimeoutRate: 1}, smstest.Drop: {DropRate: 1}, smstest.Refuse: {RejectRate: 1},
						smstest.Stop: {StoppedRate: 1}, smstest.Throttle: {ThrottleRate: 1}, smstest.Misconfigure: {BadAccount: true}, smstest.Unreachable: {Down: true}}[b]
					if err := c.Set(ctx, s); err != nil {
						t.Fatal(err)
					}
				},
				Got: func() (out []smstest.Text) {
					all, err := c.Handset(ctx, phone(t, "13804140001"))
					if err != nil {
						t.Fatal(err)
					}
					for _, e := range all {
						out = append(out, smstest.Text{To: e.Phone.Clear(), Body: e.Body})
					}
					return out
				}}
		})
	})
}

func TestMuteCarrierCannotBeAsked(t *testing.T) {
	c := &sim.Carrier{DB: storagetest.SQLite(t), Vault: vault(t)}
	ctx := context.Background()
	if err := c.Set(ctx, sim.Settings{Mute: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Find(ctx, sms.Message{ID: "x"}); err != sms.ErrCannotAsk {
		t.Errorf("Find: %v", err)
	}
}

func TestRatesHitTheirShareAndTheSameNumbersAgain(t *testing.T) {
	ctx := context.Background()
	db := storagetest.SQLite(t)
	c := &sim.Carrier{DB: db, Vault: vault(t)}
	if err := c.Set(ctx, sim.Settings{Seed: 7, FailureRate: 0.25}); err != nil {
		t.Fatal(err)
	}
	failed := map[string]int{}
	for round := range 2 {
		for i := range 200 {
			p := phone(t, "1380414"+string(rune('0'+i/100))+string(rune('0'+i/10%10))+string(rune('0'+i%10))+"9")
			if _, err := c.Send(ctx, sms.Message{ID: storage.NewID(), Phone: p, Body: "x", Attempt: 1}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := c.Flush(ctx); err != nil {
			t.Fatal(err)
		}
		all, err := c.Handsets(ctx, 1000)
		if err != nil {
			t.Fatal(err)
		}
		if len(all) != 200 {
			t.Fatalf("round %d: %d handsets, want 200", round, len(all))
		}
		for _, e := range all {
			if e.State == "failed" {
				failed[e.Phone.Clear()]++
			}
		}
	}
	if len(failed) < 25 || len(failed) > 80 {
		t.Errorf("%d of 200 numbers failed at a rate of 0.25", len(failed))
	}
	for p, n := range failed {
		if n != 2 {
			t.Errorf("…%s failed in %d of 2 rounds", p[7:], n)
		}
	}
}

func TestAHandsetAnswersToTheNumberThatATextCameFrom(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, db *storage.DB) {
		ctx := context.Background()
		now := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
		to := map[string]string{}
		c := &sim.Carrier{DB: db, Vault: vault(t), Now: func() time.Time { return now },
			Replies: func(_ context.Context, in sms.Inbound) error { to[in.Body] = in.To; return nil }}
		if err := c.Set(ctx, sim.Settings{SubNumbers: true}); err != nil {
			t.Fatal(err)
		}
		p := phone(t, "13804140001")
		for _, extension := range []string{"041", "042"} {
			if _, err := c.Send(ctx, sms.Message{ID: "text" + extension, Phone: p, Body: "试", Extension: extension, Attempt: 1}); err != nil {
				t.Fatal(err)
			}
			now = now.Add(time.Minute)
		}
		c.Reply(ctx, p, "the last")
		c.ReplyTo(ctx, p, "text041", "the first")
		c.Reply(ctx, phone(t, "13804140002"), "a stranger")
		if _, err := c.ReplyTo(ctx, p, "text043", "none"); err == nil {
			t.Error("a text that was never sent was answered")
		}
		if _, err := c.Flush(ctx); err != nil {
			t.Fatal(err)
		}
		if want := map[string]string{"the last": sim.Number + "042", "the first": sim.Number + "041", "a stranger": sim.Number}; !maps.Equal(to, want) {
			t.Errorf("replies went to %v, want %v", to, want)
		}
		if c.Extension(sim.Number+"042") != "042" || c.Extension(sim.Number) != "" || c.Extension("1") != "" {
			t.Error("extensions are not told from the number")
		}
	})
}

func TestRepliesOfAHandsetReachUsOnce(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, db *storage.DB) {
		ctx := context.Background()
		now := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
		var got []sms.Inbound
		c := &sim.Carrier{DB: db, Vault: vault(t), Now: func() time.Time { return now },
			Replies: func(_ context.Context, in sms.Inbound) error { got = append(got, in); return nil }}
		if err := c.Set(ctx, sim.Settings{ReplyDelay: time.Minute}); err != nil {
			t.Fatal(err)
		}
		p := phone(t, "13804140001")
		if _, err := c.Reply(ctx, p, "１"); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if _, err := c.Flush(ctx); err != nil {
				t.Fatal(err)
			}
		}
		if len(got) != 0 {
			t.Fatalf("%d replies came before their time", len(got))
		}
		now = now.Add(2 * time.Minute)
		for range 3 {
			if _, err := c.Flush(ctx); err != nil {
				t.Fatal(err)
			}
		}
		if len(got) != 1 || got[0].Body != "１" || got[0].Phone != p || got[0].CarrierID == "" {
			t.Fatalf("got %+v, want the reply once", got)
		}
	})
}
