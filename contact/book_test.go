package contact_test

import (
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"lianxin/audit"
	"lianxin/contact"
	"lianxin/storage"
	"lianxin/storage/storagetest"
)

var t0 = time.Date(2026, 11, 23, 9, 0, 0, 0, time.FixedZone("CST", 8*3600))

func newBook(t testing.TB) *contact.Book {
	t.Helper()
	return &contact.Book{Vault: openVault(t, filepath.Join(t.TempDir(), "keys.json")), Now: func() time.Time { return t0 }}
}

func mobile(t testing.TB, s string) contact.Phone {
	t.Helper()
	p, err := contact.ParseMobile(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func update(t testing.TB, db *storage.DB, fn func(tx *storage.Tx) error) {
	t.Helper()
	if err := db.Update(context.Background(), fn); err != nil {
		t.Fatal(err)
	}
}

func TestOnePersonPerNumber(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, db *storage.DB) {
		book := newBook(t)
		phone := mobile(t, "19900001234")
		var id string
		update(t, db, func(tx *storage.Tx) error {
			a, err := book.Ensure(tx, phone, "")
			if err != nil {
				return err
			}
			id = a.ID
			if !a.Name.IsZero() || a.Phone != phone || !a.Created.Equal(t0) {
				t.Errorf("entered %+v", a)
			}
			b, err := book.Ensure(tx, mobile(t, "+86 199-0000-1234"), "王小明")
			if err != nil {
				return err
			}
			if b.ID != a.ID || b.Name.Clear() != "王小明" {
				t.Errorf("the same number is another person, or the missing name was not kept: %v %q", b, b.Name.Clear())
			}
			c, err := book.Ensure(tx, phone, "李四")
			if err != nil {
				return err
			}
			if c.Name.Clear() != "王小明" {
				t.Errorf("another name replaced the known one: %q", c.Name.Clear())
			}
			_, err = book.Ensure(tx, contact.Phone{}, "x")
			if !errors.Is(err, contact.ErrNoNumber) {
				t.Errorf("a person without a number: %v", err)
			}
			return nil
		})
		err := db.View(context.Background(), func(tx *storage.Tx) error {
			if p, err := book.Get(tx, id); err != nil || p.Phone != phone {
				t.Errorf("get: %v, %v", p, err)
			}
			if p, err := book.Find(tx, phone); err != nil || p.ID != id {
				t.Errorf("find: %v, %v", p, err)
			}
			if p, err := book.Phone(tx, id); err != nil || p != phone {
				t.Errorf("phone: %v, %v", p, err)
			}
			_, err1 := book.Get(tx, "nobody")
			_, err2 := book.Find(tx, mobile(t, "19900009999"))
			if !errors.Is(err1, storage.ErrNotFound) || !errors.Is(err2, storage.ErrNotFound) {
				t.Errorf("unknown: %v, %v", err1, err2)
			}
			if strings.Contains(err2.Error(), "00009999") {
				t.Errorf("the error shows the number: %v", err2)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func TestTwoProgramsEnterOneNumberAtOnce(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, db *storage.DB) {
		book := newBook(t)
		ids := make([]string, 12)
		var wg sync.WaitGroup
		for i := range ids {
			wg.Go(func() {
				err := db.Update(context.Background(), func(tx *storage.Tx) error {
					p, err := book.Ensure(tx, mobile(t, "19900001234"), fmt.Sprintf("名字%d", i))
					ids[i] = p.ID
					if err != nil {
						return err
					}
					return book.OptOut(tx, p.Phone, contact.OptOut{Scope: contact.ScopeSurvey, Source: "sms", Evidence: fmt.Sprint(i)})
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		for _, id := range ids {
			if id != ids[0] {
				t.Errorf("several persons: %v", ids)
				break
			}
		}
	})
}

func TestTheDatabaseHoldsNoClearNumberOrName(t *testing.T) {
	const number, name = "19987654321", "欧阳明月"
	storagetest.Each(t, func(t *testing.T, db *storage.DB) {
		book := newBook(t)
		phone := mobile(t, number)
		update(t, db, func(tx *storage.Tx) error {
			p, err := book.Ensure(tx, phone, name)
			if err != nil {
				return err
			}
			_, _, err = book.Reveal(tx, p.ID, "staff/1", "回拨核实")
			_, err1 := book.Shield(tx, phone, contact.Shield{Reason: "受害人", By: "staff/1"})
			return errors.Join(err, err1,
				book.Rename(tx, p.ID, name, "staff/1"),
				book.OptOut(tx, phone, contact.OptOut{Source: "sms", Evidence: "mo/1"}),
				book.Consent(tx, phone, contact.Consent{Purpose: "sms-rating", Given: true}))
		})
		var dump strings.Builder
		for _, table := range []string{"contact", "contact_optout", "contact_shield", "contact_consent", "contact_key", "audit_event"} {
			update(t, db, func(tx *storage.Tx) error {
				cols := map[string]string{
					"contact":         "id, phone_hash, phone_sealed, name_sealed",
					"contact_optout":  "phone_hash, scope, source, evidence",
					"contact_shield":  "phone_hash, scope, reason, by_actor",
					"contact_consent": "phone_hash, purpose, source, evidence",
					"contact_key":     "id, purpose, fingerprint, id",
					"audit_event":     "stream, actor, type, payload",
				}[table]
				rows, err := storage.All(tx, func(r storage.Row) ([4]sql.RawBytes, error) {
					var b [4][]byte
					err := r.Scan(&b[0], &b[1], &b[2], &b[3])
					return [4]sql.RawBytes{b[0], b[1], b[2], b[3]}, err
				}, "SELECT "+cols+" FROM "+table)
				if table != "contact_key" && len(rows) == 0 {
					t.Errorf("%s is empty: the test looks at nothing", table)
				}
				for _, r := range rows {
					for _, b := range r {
						dump.Write(b)
						dump.WriteByte('\n')
					}
				}
				return err
			})
		}
		checkSealed(t, dump.String(), number, name)
	})
}

func TestTheDatabaseFileHoldsNoClearNumberOrName(t *testing.T) {
	const number, name = "19987654321", "欧阳明月"
	path := filepath.Join(t.TempDir(), "lianxin.db")
	db, err := storage.Open(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	book := newBook(t)
	update(t, db, func(tx *storage.Tx) error {
		p, err := book.Ensure(tx, mobile(t, number), name)
		if err != nil {
			return err
		}
		_, _, err = book.Reveal(tx, p.ID, "staff/1", "回拨核实")
		return err
	})
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob(path + "*")
	var all strings.Builder
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(b)
	}
	if !strings.Contains(all.String(), "contact.revealed") {
		t.Error("the file does not hold the event: the test looks at nothing")
	}
	checkSealed(t, all.String(), number, name)
}

func checkSealed(t *testing.T, dump, number, name string) {
	t.Helper()
	for _, clear := range []string{number, number[3:], name, name[6:], hex.EncodeToString([]byte(number)), base64.StdEncoding.EncodeToString([]byte(number))} {
		if strings.Contains(dump, clear) {
			t.Errorf("the database holds %q in the open", clear)
		}
	}
}

func TestEachRevealIsLoggedWithItsReason(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, db *storage.DB) {
		book := newBook(t)
		phone := mobile(t, "19900001234")
		update(t, db, func(tx *storage.Tx) error {
			p, err := book.Ensure(tx, phone, "王小明")
			if err != nil {
				return err
			}
			for _, reason := range []string{"", "  ", "x"} {
				if got, name, err := book.Reveal(tx, p.ID, "staff/1", reason); !errors.Is(err, contact.ErrNoReason) || !got.IsZero() || name != "" {
					t.Errorf("revealed for reason %q: %v", reason, err)
				}
			}
			if _, _, err := book.Reveal(tx, "nobody", "staff/1", "回拨核实"); !errors.Is(err, storage.ErrNotFound) {
				t.Errorf("nobody was revealed: %v", err)
			}
			got, name, err := book.Reveal(tx, p.ID, "staff/1", "回拨核实")
			if err != nil || got != phone || name != "王小明" {
				t.Errorf("reveal: %q %q %v", got.Clear(), name, err)
			}
			events, err := audit.Stream(tx, contact.Stream(p.ID))
			if err != nil {
				return err
			}
			if len(events) != 1 || events[0].Type != "contact.revealed" || events[0].Actor != "staff/1" || string(events[0].Payload) != `{"reason":"回拨核实"}` || !events[0].At.Equal(t0) {
				t.Errorf("events: %+v", events)
			}
			return nil
		})
	})
}

func TestOptOutsHoldForGood(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, db *storage.DB) {
		book := newBook(t)
		a, b, c := mobile(t, "19900000001"), mobile(t, "19900000002"), mobile(t, "19900000003")
		out := func(tx *storage.Tx, p contact.Phone, scope string) bool {
			got, err := book.OptedOut(tx, p, scope)
			if err != nil {
				t.Fatal(err)
			}
			return got
		}
		update(t, db, func(tx *storage.Tx) error {
			if out(tx, a, contact.ScopeSurvey) {
				t.Error("a stranger is opted out")
			}
			err := errors.Join(
				book.OptOut(tx, a, contact.OptOut{Scope: contact.ScopeSurvey, Source: "sms", Evidence: "mo/1"}),
				book.OptOut(tx, a, contact.OptOut{Scope: contact.ScopeSurvey, Source: "sms", Evidence: "mo/2"}),
				book.OptOut(tx, b, contact.OptOut{Source: "hotline", Evidence: "call/1", By: "staff/9"}))
			if err != nil {
				return err
			}
			for _, w := range []struct {
				phone contact.Phone
				scope string
				want  bool
			}{
				{a, contact.ScopeSurvey, true}, {a, contact.ScopePoll, false}, {a, contact.ScopeAll, false},
				{b, contact.ScopeSurvey, true}, {b, contact.ScopePoll, true}, {b, contact.ScopeAll, true}, {c, contact.ScopeSurvey, false},
			} {
				if got := out(tx, w.phone, w.scope); got != w.want {
					t.Errorf("opted out of %s: %v", w.scope, got)
				}
			}
			return nil
		})
		// Years later, and after the person's row has been emptied.
		book.Now = func() time.Time { return t0.AddDate(12, 0, 0) }
		update(t, db, func(tx *storage.Tx) error {
			if _, err := tx.Exec(`DELETE FROM contact`); err != nil {
				return err
			}
			if !out(tx, a, contact.ScopeSurvey) {
				t.Error("forgotten")
			}
			if err := book.OptIn(tx, a, contact.OptOut{Scope: contact.ScopeSurvey, Source: "window"}); err == nil {
				t.Error("let in again without evidence")
			}
			if !out(tx, a, contact.ScopeSurvey) {
				t.Error("a refused command changed something")
			}
			if err := book.OptIn(tx, a, contact.OptOut{Scope: contact.ScopeSurvey, Source: "sms", Evidence: "mo/3"}); err != nil {
				return err
			}
			if out(tx, a, contact.ScopeSurvey) {
				t.Error("asked to be let in again, and is not")
			}
			return book.OptOut(tx, a, contact.OptOut{Scope: contact.ScopeSurvey, Source: "sms", Evidence: "mo/4"})
		})
		update(t, db, func(tx *storage.Tx) error {
			if !out(tx, a, contact.ScopeSurvey) {
				t.Error("the last word does not hold")
			}
			return nil
		})
	})
}

func TestOptOutIsInTheAuditLog(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, db *storage.DB) {
		book := newBook(t)
		phone := mobile(t, "19900000001")
		update(t, db, func(tx *storage.Tx) error {
			if err := book.OptOut(tx, phone, contact.OptOut{Scope: contact.ScopeSurvey, Source: "sms", Evidence: "mo/1"}); err != nil {
				return err
			}
			p, err := book.Find(tx, phone)
			if err != nil {
				return err
			}
			events, err := audit.Stream(tx, contact.Stream(p.ID))
			if err != nil {
				return err
			}
			if len(events) != 1 || events[0].Type != "contact.opted_out" || events[0].Actor != "citizen/"+p.ID ||
				string(events[0].Payload) != `{"scope":"survey","source":"sms","evidence":"mo/1"}` {
				t.Errorf("events: %+v", events)
			}
			return nil
		})
	})
}

func TestShieldsHoldUntilTheyExpireOrAreLifted(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, db *storage.DB) {
		book := newBook(t)
		now := t0
		book.Now = func() time.Time { return now }
		phone := mobile(t, "19900000001")
		shielded := func(tx *storage.Tx, scope string) bool {
			_, ok, err := book.Shielded(tx, phone, scope)
			if err != nil {
				t.Fatal(err)
			}
			return ok
		}
		update(t, db, func(tx *storage.Tx) error {
			if _, err := book.Shield(tx, phone, contact.Shield{By: "staff/1"}); !errors.Is(err, contact.ErrNoReason) {
				t.Errorf("shielded without a reason: %v", err)
			}
			_, err := book.Shield(tx, phone, contact.Shield{Scope: contact.ScopeSurvey, Reason: "家中有丧", By: "staff/1", Until: t0.Add(time.Hour)})
			if err != nil {
				return err
			}
			if !shielded(tx, contact.ScopeSurvey) || shielded(tx, contact.ScopePoll) {
				t.Error("a shield covers its scope, and no other")
			}
			now = t0.Add(time.Hour - time.Millisecond)
			if !shielded(tx, contact.ScopeSurvey) {
				t.Error("ended early")
			}
			now = t0.Add(time.Hour)
			if shielded(tx, contact.ScopeSurvey) {
				t.Error("[start, end): it does not hold at its end")
			}
			id, err := book.Shield(tx, phone, contact.Shield{Reason: "受害人", By: "staff/1"})
			if err != nil {
				return err
			}
			s, ok, err := book.Shielded(tx, phone, contact.ScopePoll)
			if err != nil || !ok || s.ID != id || s.Reason != "受害人" || s.By != "staff/1" || !s.Until.IsZero() {
				t.Errorf("shielded: %+v %v %v", s, ok, err)
			}
			if err := book.Unshield(tx, id, "staff/2", " "); !errors.Is(err, contact.ErrNoReason) {
				t.Errorf("lifted without a reason: %v", err)
			}
			if err := book.Unshield(tx, id, "staff/2", "本人同意"); err != nil {
				return err
			}
			if err := book.Unshield(tx, id, "staff/2", "本人同意"); !errors.Is(err, storage.ErrNotFound) {
				t.Errorf("lifted twice: %v", err)
			}
			if shielded(tx, contact.ScopePoll) {
				t.Error("lifted, and holds still")
			}
			return nil
		})
	})
}

func TestTheLastConsentHoldsAndSilenceIsNone(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, db *storage.DB) {
		book := newBook(t)
		phone := mobile(t, "19900000001")
		update(t, db, func(tx *storage.Tx) error {
			if _, said, err := book.Consented(tx, phone, "sms-rating"); err != nil || said {
				t.Errorf("silence: %v, %v", said, err)
			}
			for _, given := range []bool{true, false, true, false} {
				if err := book.Consent(tx, phone, contact.Consent{Purpose: "sms-rating", Given: given, Source: "window", Evidence: "r/1"}); err != nil {
					return err
				}
				c, said, err := book.Consented(tx, phone, "sms-rating")
				if err != nil || !said || c.Given != given || c.Source != "window" || !c.At.Equal(t0) {
					t.Errorf("after %v: %+v %v %v", given, c, said, err)
				}
			}
			if _, said, _ := book.Consented(tx, phone, "recording"); said {
				t.Error("consent to one purpose is none to another")
			}
			return nil
		})
	})
}

func TestRenameKeepsNamesOutOfTheLog(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, db *storage.DB) {
		book := newBook(t)
		update(t, db, func(tx *storage.Tx) error {
			p, err := book.Ensure(tx, mobile(t, "19900000001"), "王小明")
			if err != nil {
				return err
			}
			if err := book.Rename(tx, p.ID, " 李  四 ", "staff/1"); err != nil {
				return err
			}
			if p, err = book.Get(tx, p.ID); err != nil || p.Name.Clear() != "李 四" {
				t.Errorf("%q, %v", p.Name.Clear(), err)
			}
			events, err := audit.Stream(tx, contact.Stream(p.ID))
			if err != nil || len(events) != 1 || events[0].Type != "contact.renamed" || string(events[0].Payload) != "{}" {
				t.Errorf("%+v, %v", events, err)
			}
			if err := book.Rename(tx, "nobody", "x", "staff/1"); !errors.Is(err, storage.ErrNotFound) {
				t.Errorf("nobody was renamed: %v", err)
			}
			return nil
		})
	})
}

func TestResealMovesEveryPersonToTheNewKey(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, db *storage.DB) {
		book, ctx := newBook(t), context.Background()
		const n = 1203 // more than two batches
		update(t, db, func(tx *storage.Tx) error {
			for i := range n {
				if _, err := book.Ensure(tx, mobile(t, fmt.Sprintf("1990000%04d", i)), []string{"", "王小明"}[i%2]); err != nil {
					return err
				}
			}
			return nil
		})
		if done, err := book.Reseal(ctx, db); err != nil || done != 0 {
			t.Fatalf("nothing to do: %d, %v", done, err)
		}
		if err := book.Vault.Rotate(); err != nil {
			t.Fatal(err)
		}
		if done, err := book.Reseal(ctx, db); err != nil || done != n {
			t.Fatalf("resealed %d, %v", done, err)
		}
		err := db.View(ctx, func(tx *storage.Tx) error {
			keys, err := storage.All(tx, storage.Value[[]byte], `SELECT phone_sealed FROM contact UNION ALL SELECT name_sealed FROM contact WHERE name_sealed IS NOT NULL`)
			for _, k := range keys {
				if contact.KeyOf(k) != book.Vault.KeyID() {
					t.Fatalf("sealed by key %q still", contact.KeyOf(k))
				}
			}
			if p, err := book.Find(tx, mobile(t, "19900000001")); err != nil || p.Name.Clear() != "王小明" {
				t.Errorf("%v, %v", p, err)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func BenchmarkEnsureKnown(b *testing.B) {
	db := storagetest.SQLite(b)
	book := newBook(b)
	phone := mobile(b, "19900000001")
	update(b, db, func(tx *storage.Tx) error {
		for b.Loop() {
			if _, err := book.Ensure(tx, phone, "王小明"); err != nil {
				return err
			}
		}
		return nil
	})
}
