package org

import (
	"crypto/md5" //nolint:gosec // RFC 2617 digest: most SIP phones offer nothing else
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"lianxin/audit"
	"lianxin/storage"
)

// Realm is the protection realm of SIP digest authentication (RFC 8760,
// RFC 3261 §22). Stored HA1 values hold for this realm alone.
const Realm = "lianxin"

// A Phone is what the registrar needs to check a phone: HA1 =
// H(user:realm:password) in hex, for MD5 and for SHA-256. The password itself
// is kept nowhere.
type Phone struct {
	User   string // the extension
	Staff  string // id
	Name   string // display name
	MD5    string
	SHA256 string
}

// HA1 returns both HA1 values of a user and password for Realm.
func HA1(user, password string) (md5Hex, sha256Hex string) {
	a1 := []byte(user + ":" + Realm + ":" + password)
	m, s := md5.Sum(a1), sha256.Sum256(a1)
	return hex.EncodeToString(m[:]), hex.EncodeToString(s[:])
}

// SetPhone gives a person an extension and the password of the phone there;
// both change together, since HA1 holds the extension. A blank extension
// takes the phone away. An extension that is taken is storage.ErrConflict.
func (g Register) SetPhone(tx *storage.Tx, staffID, extension, password, by string) error {
	if extension != "" && !extensionForm.MatchString(extension) {
		return fmt.Errorf("set phone of staff %s: an extension has 3 to 6 digits and does not begin with 0 or 1", staffID)
	}
	if extension != "" && len(password) < MinPassword {
		return fmt.Errorf("set phone of staff %s: %w", staffID, ErrWeakPassword)
	}
	var m, s string
	if extension != "" {
		m, s = HA1(extension, password)
	}
	now := g.now()
	n, err := tx.Exec(`UPDATE org_staff SET extension = $2, ha1_md5 = $3, ha1_sha256 = $4, changed = $5 WHERE id = $1`,
		staffID, null(extension), m, s, storage.At(now))
	if err == nil && n == 0 {
		err = storage.ErrNotFound
	}
	if err == nil {
		_, err = audit.Append(tx, audit.Entry{Stream: StaffStream(staffID), Type: "staff.phone_set", Actor: by, At: now,
			Payload: map[string]string{"extension": extension}})
	}
	if err != nil {
		return fmt.Errorf("set phone of staff %s: %w", staffID, err)
	}
	return nil
}

// Phones returns the phones of all active staff, ordered by extension.
func Phones(tx *storage.Tx) ([]Phone, error) {
	as, err := storage.All(tx, scanSIP, selectSIP+` ORDER BY extension`)
	if err != nil {
		return nil, fmt.Errorf("phones: %w", err)
	}
	return as, nil
}

// SIPAccount returns the phone with this extension, or storage.ErrNotFound
// when there is none, it has no password, or its person's account is closed.
func SIPAccount(tx *storage.Tx, extension string) (Phone, error) {
	a, err := storage.One(tx, scanSIP, selectSIP+` AND extension = $1`, extension)
	if err != nil {
		return Phone{}, fmt.Errorf("phone %q: %w", extension, err)
	}
	return a, nil
}

const selectSIP = `SELECT extension, id, name, ha1_md5, ha1_sha256 FROM org_staff WHERE active AND extension IS NOT NULL AND ha1_md5 <> ''`

func scanSIP(r storage.Row) (a Phone, err error) {
	return a, r.Scan(&a.User, &a.Staff, &a.Name, &a.MD5, &a.SHA256)
}
