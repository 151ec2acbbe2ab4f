package org

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"lianxin/audit"
	"lianxin/storage"
)

// ErrBadToken is returned by CheckToken for tokens that are unknown, revoked or expired.
var ErrBadToken = errors.New("token is not valid")

// A Token lets a program use the API in a role.
type Token struct {
	ID       string
	Name     string // what it is for
	Role     Role
	Unit     string // blank, or the unit it is confined to
	Created  time.Time
	Expires  time.Time // zero: does not
	LastUsed time.Time // to the minute; zero: never
	Revoked  time.Time // zero: not
}

// Actor is how the audit log names the token.
func (t Token) Actor() string { return "token/" + t.ID }

// Can reports whether the token may do an action.
func (t Token) Can(a Action) bool { return Can(t.Role, a) }

// tokenPrefix lets secret scanners find a token that leaked.
const tokenPrefix = "lx_"

// NewToken makes a token and returns its secret, which is shown once and of
// which only the SHA-256 is kept: it is 256 random bits, so a slow hash would
// protect nothing more.
func (g Register) NewToken(tx *storage.Tx, t Token, by string) (secret string, _ Token, err error) {
	if strings.TrimSpace(t.Name) == "" || !t.Role.Valid() {
		return "", Token{}, errors.New("new token: a name and a role that exists are required")
	}
	if t.Unit != "" {
		if _, err := GetUnit(tx, t.Unit); err != nil {
			return "", Token{}, fmt.Errorf("new token: %w", err)
		}
	}
	random := make([]byte, 32)
	_, _ = rand.Read(random) // never fails (crypto/rand)
	secret = tokenPrefix + base64.RawURLEncoding.EncodeToString(random)
	now := storage.At(g.now())
	t.ID, t.Created, t.LastUsed, t.Revoked = storage.NewID(), now.Time, time.Time{}, time.Time{}
	_, err = tx.Exec(`INSERT INTO org_token (id, name, hash, role, unit, created, expires) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		t.ID, t.Name, tokenHash(secret), t.Role, null(t.Unit), now, storage.At(t.Expires))
	if err == nil {
		_, err = audit.Append(tx, audit.Entry{Stream: "token/" + t.ID, Type: "token.made", Actor: by, At: now.Time,
			Payload: map[string]string{"name": t.Name, "role": string(t.Role), "unit": t.Unit}})
	}
	if err != nil {
		return "", Token{}, fmt.Errorf("new token: %w", err)
	}
	return secret, t, nil
}

// CheckToken is Register.CheckToken by the clock of the machine.
func CheckToken(ctx context.Context, db *storage.DB, secret string) (Token, error) {
	return Register{}.CheckToken(ctx, db, secret)
}

// CheckToken returns the token with this secret, or ErrBadToken, and notes
// that it was used, once a minute at most.
func (g Register) CheckToken(ctx context.Context, db *storage.DB, secret string) (Token, error) {
	now := g.now()
	var t Token
	err := db.View(ctx, func(tx *storage.Tx) (err error) {
		t, err = storage.One(tx, scanToken, selectToken+` WHERE hash = $1`, tokenHash(secret))
		return err
	})
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return Token{}, ErrBadToken
	case err != nil:
		return Token{}, fmt.Errorf("check token: %w", err)
	case !t.Revoked.IsZero(), !t.Expires.IsZero() && !now.Before(t.Expires):
		return Token{}, ErrBadToken
	}
	if now.Sub(t.LastUsed) < time.Minute {
		return t, nil
	}
	err = db.Update(ctx, func(tx *storage.Tx) error {
		_, err := tx.Exec(`UPDATE org_token SET last_used = $2 WHERE id = $1`, t.ID, storage.At(now))
		return err
	})
	if err != nil {
		return Token{}, fmt.Errorf("check token %s: %w", t.ID, err)
	}
	t.LastUsed = now
	return t, nil
}

// RevokeToken ends a token; storage.ErrNotFound when there is none that holds.
func (g Register) RevokeToken(tx *storage.Tx, id, by string) error {
	now := g.now()
	n, err := tx.Exec(`UPDATE org_token SET revoked = $2 WHERE id = $1 AND revoked IS NULL`, id, storage.At(now))
	if err == nil && n == 0 {
		err = storage.ErrNotFound
	}
	if err == nil {
		_, err = audit.Append(tx, audit.Entry{Stream: "token/" + id, Type: "token.revoked", Actor: by, At: now})
	}
	if err != nil {
		return fmt.Errorf("revoke token %s: %w", id, err)
	}
	return nil
}

// Tokens returns all tokens, newest first.
func Tokens(tx *storage.Tx) ([]Token, error) {
	ts, err := storage.All(tx, scanToken, selectToken+` ORDER BY id DESC`)
	if err != nil {
		return nil, fmt.Errorf("tokens: %w", err)
	}
	return ts, nil
}

const selectToken = `SELECT id, name, role, COALESCE(unit, ''), created, expires, last_used, revoked FROM org_token`

func scanToken(r storage.Row) (t Token, err error) {
	var created, expires, used, revoked storage.Time
	err = r.Scan(&t.ID, &t.Name, &t.Role, &t.Unit, &created, &expires, &used, &revoked)
	t.Created, t.Expires, t.LastUsed, t.Revoked = created.Time, expires.Time, used.Time, revoked.Time
	return t, err
}

func tokenHash(secret string) string {
	h := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(h[:])
}
