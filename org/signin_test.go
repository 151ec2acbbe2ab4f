package org_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alexedwards/argon2id"

	"lianxin/audit"
	"lianxin/org"
	"lianxin/storage"
	"lianxin/storage/storagetest"
)

const password = "民意感知 2026!"

func withStaff(t *testing.T, db *storage.DB) (*clock, org.Staff) {
	t.Helper()
	g := town(t, db)
	var s org.Staff
	update(t, db, func(tx *storage.Tx) (err error) {
		s, err = g.AddStaff(tx, org.Staff{Login: "wanglei", Name: "王磊", Role: org.Dispatcher, Unit: "centre"}, "staff/admin")
		return err
	})
	if err := g.SetPassword(ctx, db, s.ID, password, "staff/admin"); err != nil {
		t.Fatal(err)
	}
	return g, s
}

func TestTheRightPasswordOpensAndAnyOtherIsRefusedAlike(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, db *storage.DB) {
		g, s := withStaff(t, db)
		g.now = t0.Add(time.Hour)
		got, err := g.SignIn(ctx, db, " WangLei ", password)
		if err != nil || got.ID != s.ID || !got.SignedIn.Equal(g.now) {
			t.Fatalf("%+v, %v", got, err)
		}
		for _, c := range []struct{ login, password string }{
			{"wanglei", password + " "}, {"wanglei", ""}, {"wangle", password}, {"", ""}, {"wanglei' OR '1'='1", "x"},
		} {
			if _, err := g.SignIn(ctx, db, c.login, c.password); err != org.ErrBadSignIn {
				t.Errorf("%q %q: %v", c.login, c.password, err)
			}
		}
		update(t, db, func(tx *storage.Tx) error { return g.SetStaffActive(tx, s.ID, false, "staff/admin") })
		if _, err := g.SignIn(ctx, db, "wanglei", password); err != org.ErrBadSignIn {
			t.Errorf("a closed account: %v", err)
		}
		rep, err := audit.Verify(ctx, db, func(e audit.Event) error {
			if text := e.Stream + e.Actor + string(e.Payload); strings.Contains(text, password) || strings.Contains(text, "OR '1'") {
				t.Errorf("the log holds what was typed: %+v", e)
			}
			return nil
		})
		if err != nil || rep.Broken != nil {
			t.Error(rep, err)
		}
		update(t, db, func(tx *storage.Tx) error {
			hash, err := storage.One(tx, storage.Value[string], `SELECT password FROM org_staff WHERE id = $1`, s.ID)
			if err != nil || !strings.HasPrefix(hash, "$argon2id$v=19$m=19456,t=2,p=1$") {
				t.Errorf("stored as %q, %v", hash, err)
			}
			return nil
		})
	})
}

func TestTooManyFailuresLockALoginWhetherItExistsOrNot(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, db *storage.DB) {
		for _, login := range []string{"wanglei", "nobody"} {
			t.Run(login, func(t *testing.T) {
				g := newClock()
				if login == "wanglei" {
					g, _ = withStaff(t, db)
				}
				for i := range org.MaxFailures {
					if _, err := g.SignIn(ctx, db, login, "wrong"); err != org.ErrBadSignIn {
						t.Fatalf("failure %d: %v", i+1, err)
					}
				}
				var locked *org.LockedError
				if _, err := g.SignIn(ctx, db, login, password); !errors.As(err, &locked) || !locked.Until.Equal(t0.Add(org.LockTime)) {
					t.Fatalf("after %d failures: %v", org.MaxFailures, err)
				}
				if org.SignInReason(locked) == "" {
					t.Error("no reason")
				}
				g.now = t0.Add(org.LockTime - time.Millisecond)
				if _, err := g.SignIn(ctx, db, login, password); !errors.As(err, &locked) {
					t.Errorf("unlocked early: %v", err)
				}
				g.now = t0.Add(org.LockTime)
				_, err := g.SignIn(ctx, db, login, password)
				if login == "wanglei" && err != nil || login == "nobody" && err != org.ErrBadSignIn {
					t.Errorf("after the lock: %v", err)
				}
			})
		}
	})
}

func TestASuccessForgetsFailuresAndANewPasswordEndsALock(t *testing.T) {
	db := storagetest.SQLite(t)
	g, s := withStaff(t, db)
	for range 3 {
		for range org.MaxFailures - 1 {
			if _, err := g.SignIn(ctx, db, "wanglei", "wrong"); err != org.ErrBadSignIn {
				t.Fatal(err)
			}
		}
		if _, err := g.SignIn(ctx, db, "wanglei", password); err != nil {
			t.Fatal(err)
		}
	}
	for range org.MaxFailures + 1 {
		_, _ = g.SignIn(ctx, db, "wanglei", "wrong")
	}
	if err := g.SetPassword(ctx, db, s.ID, password+"2", "staff/admin"); err != nil {
		t.Fatal(err)
	}
	if _, err := g.SignIn(ctx, db, "wanglei", password+"2"); err != nil {
		t.Errorf("still locked: %v", err)
	}
	if _, err := g.SignIn(ctx, db, "wanglei", password); err != org.ErrBadSignIn {
		t.Errorf("the old password: %v", err)
	}
}

func TestManyGuessesAtOnceAreNotMoreThanTheLimit(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, db *storage.DB) {
		g, _ := withStaff(t, db)
		var mu sync.Mutex
		looked := 0
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				_, err := g.SignIn(ctx, db, "wanglei", "wrong")
				var locked *org.LockedError
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == org.ErrBadSignIn:
					looked++
				case !errors.As(err, &locked):
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if looked != org.MaxFailures {
			t.Errorf("%d guesses were looked at, want %d", looked, org.MaxFailures)
		}
	})
}

// An unknown login must take as long as a known one. The test counts what
// takes the time, because clocks on a shared machine lie: with the slots for
// hashing all taken, an unknown login waits for one as well.
func TestUnknownLoginsDoTheSameWork(t *testing.T) {
	db := storagetest.SQLite(t)
	g, _ := withStaff(t, db)
	free := org.HoldHashing()
	defer free()
	for _, login := range []string{"wanglei", "nobody"} {
		short, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
		_, err := g.SignIn(short, db, login, "wrong")
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v, want it to wait for a hash", login, err)
		}
	}
}

func TestWeakPasswordsAreRefused(t *testing.T) {
	db := storagetest.SQLite(t)
	g, s := withStaff(t, db)
	for _, p := range []string{"", "short", "九个字符也不够长", "aaaaaaaaaaaa", "WangLei"} {
		if err := g.SetPassword(ctx, db, s.ID, p, "staff/admin"); !errors.Is(err, org.ErrWeakPassword) {
			t.Errorf("%q: %v", p, err)
		}
	}
	if err := g.SetPassword(ctx, db, "nobody", password, "staff/admin"); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("nobody: %v", err)
	}
	if _, err := g.SignIn(ctx, db, "wanglei", password); err != nil {
		t.Errorf("a refused password replaced the old one: %v", err)
	}
}

func TestCheapHashesAreRenewedAtSignIn(t *testing.T) {
	db := storagetest.SQLite(t)
	g, s := withStaff(t, db)
	cheap, err := argon2id.CreateHash(password, &argon2id.Params{Memory: 1024, Iterations: 1, Parallelism: 1, SaltLength: 16, KeyLength: 32})
	if err != nil {
		t.Fatal(err)
	}
	update(t, db, func(tx *storage.Tx) error { return g.SetPasswordHash(tx, s.ID, cheap, "system") })
	for range 2 {
		if _, err := g.SignIn(ctx, db, "wanglei", password); err != nil {
			t.Fatal(err)
		}
		update(t, db, func(tx *storage.Tx) error {
			hash, err := storage.One(tx, storage.Value[string], `SELECT password FROM org_staff WHERE id = $1`, s.ID)
			if !strings.Contains(hash, "m=19456,t=2,p=1") {
				t.Errorf("not renewed: %q", hash)
			}
			return err
		})
	}
}

func TestTokensAreCheckedByTheirHashAlone(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, db *storage.DB) {
		g := town(t, db)
		var secret, other string
		var tok org.Token
		update(t, db, func(tx *storage.Tx) (err error) {
			if secret, tok, err = g.NewToken(tx, org.Token{Name: "12345 对接", Role: org.Operator, Expires: t0.Add(48 * time.Hour)}, "staff/admin"); err != nil {
				return err
			}
			other, _, err = g.NewToken(tx, org.Token{Name: "站前", Role: org.Handler, Unit: "zhanqian"}, "staff/admin")
			for _, bad := range []org.Token{{Name: "x", Role: "king"}, {Role: org.Operator}, {Name: "x", Role: org.Operator, Unit: "nowhere"}} {
				if _, _, err := g.NewToken(tx, bad, "staff/admin"); err == nil {
					t.Errorf("made %+v", bad)
				}
			}
			return err
		})
		if secret == other || len(secret) < 40 || !strings.HasPrefix(secret, "lx_") {
			t.Errorf("secrets %q %q", secret, other)
		}
		got, err := g.CheckToken(ctx, db, secret)
		if err != nil || got.ID != tok.ID || got.Role != org.Operator || !got.LastUsed.Equal(t0) || !got.Can(org.OpenTicket) || got.Can(org.ManageStaff) {
			t.Errorf("%+v, %v", got, err)
		}
		for _, bad := range []string{"", "lx_", secret + "x", secret[:len(secret)-1], strings.ToUpper(secret), "' OR 1=1 --"} {
			if _, err := g.CheckToken(ctx, db, bad); err != org.ErrBadToken {
				t.Errorf("%q: %v", bad, err)
			}
		}
		update(t, db, func(tx *storage.Tx) error {
			rows, err := storage.All(tx, storage.Value[string], `SELECT name || hash || role FROM org_token`)
			for _, r := range rows {
				if strings.Contains(r, secret) || strings.Contains(r, secret[3:]) {
					t.Error("the secret is kept")
				}
			}
			return err
		})
		g.now = t0.Add(30 * time.Second)
		if got, err := g.CheckToken(ctx, db, secret); err != nil || !got.LastUsed.Equal(t0) {
			t.Errorf("noted twice in a minute: %v, %v", got.LastUsed, err)
		}
		g.now = t0.Add(48 * time.Hour)
		if _, err := g.CheckToken(ctx, db, secret); err != org.ErrBadToken {
			t.Errorf("expired: %v", err)
		}
		got, err = g.CheckToken(ctx, db, other)
		if err != nil || got.Unit != "zhanqian" {
			t.Errorf("%+v, %v", got, err)
		}
		update(t, db, func(tx *storage.Tx) error {
			if err := g.RevokeToken(tx, got.ID, "staff/admin"); err != nil {
				return err
			}
			if err := g.RevokeToken(tx, got.ID, "staff/admin"); !errors.Is(err, storage.ErrNotFound) {
				t.Errorf("revoked twice: %v", err)
			}
			all, err := org.Tokens(tx)
			if err != nil || len(all) != 2 || !slices.ContainsFunc(all, func(x org.Token) bool { return !x.Revoked.IsZero() }) {
				t.Errorf("%+v, %v", all, err)
			}
			return nil
		})
		if _, err := g.CheckToken(ctx, db, other); err != org.ErrBadToken {
			t.Errorf("revoked: %v", err)
		}
	})
}

func TestLockReasonsSpeakChinese(t *testing.T) {
	for _, err := range []error{org.ErrBadSignIn, &org.LockedError{Until: t0}, org.ErrWeakPassword, fmt.Errorf("disk: %w", errors.New("x"))} {
		if r := org.SignInReason(err); r == "" || strings.ContainsAny(r, "abcdefghijklmnopqrstuvwxyz") {
			t.Errorf("%v: %q", err, r)
		}
	}
}
