package org

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/alexedwards/argon2id"

	"lianxin/audit"
	"lianxin/storage"
)

// Sign-in limits.
const (
	MaxFailures = 5                // wrong passwords in a row for one login
	LockTime    = 15 * time.Minute // for which it is then locked
	MinPassword = 10               // characters
)

var (
	// ErrBadSignIn is returned by SignIn for an unknown login, a wrong password and a closed account alike.
	ErrBadSignIn = errors.New("login or password is wrong")
	// ErrWeakPassword is returned by SetPassword.
	ErrWeakPassword = errors.New("password is too short or too simple")
)

// LockedError is returned by SignIn after too many wrong passwords, for
// logins that exist and for those that do not.
type LockedError struct{ Until time.Time }

func (e *LockedError) Error() string {
	return "login is locked until " + e.Until.UTC().Format(time.RFC3339)
}

// SignInReason is the zh-CN text for the person at the door.
func SignInReason(err error) string {
	var locked *LockedError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &locked):
		return "密码错误次数过多，账号已暂时锁定，请稍后再试"
	case errors.Is(err, ErrBadSignIn):
		return "账号或密码不正确"
	case errors.Is(err, ErrWeakPassword):
		return fmt.Sprintf("密码至少%d位，且不能与账号相同或只由一种字符重复而成", MinPassword)
	}
	return "暂时无法登录，请稍后再试"
}

// cost of one password: 19 MiB, two passes, one lane, which OWASP names as
// the least for argon2id (RFC 9106). Fixed, unlike the library's default,
// which follows the number of cores.
var cost = &argon2id.Params{Memory: 19 * 1024, Iterations: 2, Parallelism: 1, SaltLength: 16, KeyLength: 32}

// atOnce bounds the memory that people at the door can take.
var atOnce = make(chan struct{}, 4)

// nobody is the hash that unknown logins are compared with, so that they
// take as long as known ones.
var nobody = sync.OnceValues(func() (string, error) {
	return argon2id.CreateHash("nobody has this password", cost)
})

// SignIn is Register.SignIn by the clock of the machine.
func SignIn(ctx context.Context, db *storage.DB, login, password string) (Staff, error) {
	return Register{}.SignIn(ctx, db, login, password)
}

// SignIn checks a password. It returns ErrBadSignIn, or a *LockedError after
// MaxFailures wrong ones in a row. Unknown logins are counted, locked,
// logged and timed as known ones are. Sessions are the console's.
func (g Register) SignIn(ctx context.Context, db *storage.DB, login, password string) (Staff, error) {
	login = normalLogin(login)
	key := loginKey(login)
	now := g.now()
	// A failure is counted before the password is looked at, so that many
	// guesses at the same moment are not more than MaxFailures.
	if err := countAttempt(ctx, db, key, now); err != nil {
		return Staff{}, err
	}
	s, hash, err := account(ctx, db, login)
	if err != nil {
		return Staff{}, fmt.Errorf("sign in: %w", err)
	}
	known := hash != ""
	if !known {
		if hash, err = nobody(); err != nil {
			return Staff{}, fmt.Errorf("sign in: %w", err)
		}
	}
	match, params, err := compare(ctx, password, hash)
	if err != nil {
		return Staff{}, fmt.Errorf("sign in: %w", err)
	}
	if !known || !match || !s.Active {
		err := db.Update(ctx, func(tx *storage.Tx) error {
			_, err := audit.Append(tx, audit.Entry{Stream: "sign-in/" + key[:16], Type: "sign_in.failed", Actor: "unknown", At: now})
			return err
		})
		if err != nil {
			return Staff{}, fmt.Errorf("sign in: %w", err)
		}
		return Staff{}, ErrBadSignIn
	}
	better := ""
	if *params != *cost { // the cost was raised since the password was set
		if better, err = HashPassword(ctx, password); err != nil {
			return Staff{}, fmt.Errorf("sign in: %w", err)
		}
	}
	err = db.Update(ctx, func(tx *storage.Tx) error {
		if _, err := tx.Exec(`DELETE FROM org_attempt WHERE login_hash = $1`, key); err != nil {
			return err
		}
		if _, err := tx.Exec(`UPDATE org_staff SET signed_in = $2, password = CASE WHEN $3 = '' THEN password ELSE $3 END WHERE id = $1 AND password = $4`,
			s.ID, storage.At(now), better, hash); err != nil {
			return err
		}
		_, err := audit.Append(tx, audit.Entry{Stream: StaffStream(s.ID), Type: "staff.signed_in", Actor: s.Actor(), At: now})
		return err
	})
	if err != nil {
		return Staff{}, fmt.Errorf("sign in: %w", err)
	}
	s.SignedIn = now
	return s, nil
}

// countAttempt counts one more failure for a login and returns a
// *LockedError when it is locked already.
func countAttempt(ctx context.Context, db *storage.DB, key string, now time.Time) error {
	var until storage.Time
	err := db.Update(ctx, func(tx *storage.Tx) error {
		// Old counts of logins nobody has do not pile up.
		if _, err := tx.Exec(`DELETE FROM org_attempt WHERE last < $1 AND (locked IS NULL OR locked <= $2)`,
			storage.At(now.Add(-24*time.Hour)), storage.At(now)); err != nil {
			return err
		}
		if _, err := tx.Exec(`INSERT INTO org_attempt (login_hash, failures, last) VALUES ($1, 0, $2) ON CONFLICT (login_hash) DO NOTHING`,
			key, storage.At(now)); err != nil {
			return err
		}
		n, err := tx.Exec(`UPDATE org_attempt SET
				failures = CASE WHEN locked IS NULL THEN failures + 1 ELSE 1 END,
				locked = CASE WHEN (CASE WHEN locked IS NULL THEN failures + 1 ELSE 1 END) >= $3 THEN CAST($4 AS BIGINT) ELSE NULL END,
				last = $2
			WHERE login_hash = $1 AND (locked IS NULL OR locked <= $2)`, key, storage.At(now), MaxFailures, storage.At(now.Add(LockTime)))
		if err != nil || n > 0 {
			return err
		}
		until, err = storage.One(tx, storage.Value[storage.Time], `SELECT locked FROM org_attempt WHERE login_hash = $1`, key)
		return err
	})
	if err != nil {
		return fmt.Errorf("sign in: count the attempt: %w", err)
	}
	if !until.IsZero() {
		return &LockedError{Until: until.Time}
	}
	return nil
}

// account reads a person and the password hash; both are zero for an unknown login or one without a password.
func account(ctx context.Context, db *storage.DB, login string) (s Staff, hash string, err error) {
	err = db.View(ctx, func(tx *storage.Tx) error {
		if s, err = StaffByLogin(tx, login); err != nil {
			return err
		}
		hash, err = storage.One(tx, storage.Value[string], `SELECT password FROM org_staff WHERE id = $1`, s.ID)
		return err
	})
	if errors.Is(err, storage.ErrNotFound) {
		return Staff{}, "", nil
	}
	return s, hash, err
}

func compare(ctx context.Context, password, hash string) (bool, *argon2id.Params, error) {
	select {
	case atOnce <- struct{}{}:
		defer func() { <-atOnce }()
	case <-ctx.Done():
		return false, nil, ctx.Err()
	}
	match, params, err := argon2id.CheckHash(password, hash)
	if err != nil {
		return false, nil, fmt.Errorf("compare password: %w", err)
	}
	return match, params, nil
}

// HashPassword makes the argon2id hash of a password. It takes tens of
// milliseconds, so it is done outside of transactions.
func HashPassword(ctx context.Context, password string) (string, error) {
	select {
	case atOnce <- struct{}{}:
		defer func() { <-atOnce }()
	case <-ctx.Done():
		return "", ctx.Err()
	}
	hash, err := argon2id.CreateHash(password, cost)
	if err != nil {
		return "", fmt.Errorf("hash password: %w", err)
	}
	return hash, nil
}

// SetPassword is Register.SetPassword by the clock of the machine.
func SetPassword(ctx context.Context, db *storage.DB, staffID, password, by string) error {
	return Register{}.SetPassword(ctx, db, staffID, password, by)
}

// SetPassword gives a person a new password and ends a lock. It returns
// ErrWeakPassword or storage.ErrNotFound.
func (g Register) SetPassword(ctx context.Context, db *storage.DB, staffID, password, by string) error {
	hash, err := HashPassword(ctx, password)
	if err != nil {
		return fmt.Errorf("set password of staff %s: %w", staffID, err)
	}
	return db.Update(ctx, func(tx *storage.Tx) error {
		s, err := GetStaff(tx, staffID)
		if err != nil {
			return fmt.Errorf("set password: %w", err)
		}
		if weak(s.Login, password) {
			return fmt.Errorf("set password of staff %s: %w", staffID, ErrWeakPassword)
		}
		return g.SetPasswordHash(tx, s.ID, hash, by)
	})
}

// SetPasswordHash enters what HashPassword made.
func (g Register) SetPasswordHash(tx *storage.Tx, staffID, hash, by string) error {
	now := g.now()
	login, err := storage.One(tx, storage.Value[string], `UPDATE org_staff SET password = $2, changed = $3 WHERE id = $1 RETURNING login`,
		staffID, hash, storage.At(now))
	if err == nil {
		_, err = tx.Exec(`DELETE FROM org_attempt WHERE login_hash = $1`, loginKey(login))
	}
	if err == nil {
		_, err = audit.Append(tx, audit.Entry{Stream: StaffStream(staffID), Type: "staff.password_set", Actor: by, At: now})
	}
	if err != nil {
		return fmt.Errorf("set password of staff %s: %w", staffID, err)
	}
	return nil
}

// weak refuses what a guess would try first.
func weak(login, password string) bool {
	first, _ := utf8.DecodeRuneInString(password)
	return utf8.RuneCountInString(password) < MinPassword ||
		strings.Trim(password, string(first)) == "" ||
		strings.EqualFold(password, login)
}

// loginKey stands for a login in the attempt table and in the audit log: people type passwords into the wrong field.
func loginKey(login string) string {
	h := sha256.Sum256([]byte("lianxin login " + login))
	return hex.EncodeToString(h[:])
}
