// Package city loads the sample city on first start.
//
// It is Benxi as far as public data goes (districts, streets and communities, see data/LICENSE.china-division) and
// made up in all else: no person, number or case in it is real.
package city

import (
	"context"
	"crypto/rand"
	"embed"
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"lianxin/audit"
	"lianxin/contact"
	"lianxin/org"
	"lianxin/storage"
)

//go:embed data
var files embed.FS

// actor is how the audit log names the loader.
const actor = "system"

// Options say how the city is loaded. The zero Options are good.
type Options struct {
	Now           func() time.Time // nil is time.Now
	Book          *contact.Book    // where the sample opt-out and shields are entered; nil leaves them out
	Password      string           // of all sample accounts; blank makes a random one
	PhonePassword string           // of all sample SIP phones; blank makes a random one
	PasswordFile  string           // written, mode 0600, before the city is committed; blank writes none
}

// A SignIn is one sample account.
type SignIn struct {
	Login     string
	Name      string
	Role      org.Role
	Unit      string // short name
	Extension string // blank when there is no phone
}

// Loaded is what Load did.
type Loaded struct {
	Fresh         bool // false: there were units already, and nothing was done
	Units         int
	Password      string // of all sample accounts; blank when not Fresh
	PhonePassword string // of all sample phones, of realm org.Realm
	SignIns       []SignIn
}

// Load enters the units, staff and phones of the sample city, with one
// password for all accounts, when the database has no unit yet; otherwise it
// does nothing. All of it is one transaction, and of several programs that
// start at once one loads. When PasswordFile is given it is on the disk
// before the accounts exist, so that a crash never leaves accounts with a
// password that nobody knows.
func Load(ctx context.Context, db *storage.DB, o Options) (Loaded, error) {
	fresh, err := empty(ctx, db)
	if err != nil || !fresh {
		return Loaded{}, err
	}
	l := Loaded{Fresh: true, Password: o.Password, PhonePassword: o.PhonePassword}
	if l.Password == "" {
		l.Password = newPassword(3)
	}
	if l.PhonePassword == "" {
		l.PhonePassword = newPassword(5)
	}
	units, err := readUnits()
	if err != nil {
		return Loaded{}, fmt.Errorf("load the sample city: %w", err)
	}
	staff, err := readStaff()
	if err != nil {
		return Loaded{}, fmt.Errorf("load the sample city: %w", err)
	}
	// One hash for all: they share the password, and hashing it forty times would make the first start slow.
	hash, err := org.HashPassword(ctx, l.Password)
	if err != nil {
		return Loaded{}, fmt.Errorf("load the sample city: %w", err)
	}
	g := org.Register{Now: o.Now}
	err = db.Update(ctx, func(tx *storage.Tx) error {
		short := map[string]string{}
		l.Units, l.SignIns = 0, nil
		for _, u := range units {
			if err := g.AddUnit(tx, u.Unit, actor); err != nil {
				return err
			}
			short[u.ID] = u.Short
			l.Units++
		}
		for _, s := range staff {
			phone := s.Extension
			s.Extension = ""
			added, err := g.AddStaff(tx, s, actor)
			if err != nil {
				return err
			}
			if err := g.SetPasswordHash(tx, added.ID, hash, actor); err != nil {
				return err
			}
			if phone != "" {
				if err := g.SetPhone(tx, added.ID, phone, l.PhonePassword, actor); err != nil {
					return err
				}
			}
			l.SignIns = append(l.SignIns, SignIn{Login: added.Login, Name: added.Name, Role: added.Role, Unit: short[added.Unit], Extension: phone})
		}
		if o.Book != nil {
			if err := wishes(tx, o.Book); err != nil {
				return err
			}
		}
		if _, err := audit.Append(tx, audit.Entry{Stream: "city", Type: "city.loaded", Actor: actor, At: now(o.Now),
			Payload: map[string]int{"units": l.Units, "staff": len(l.SignIns)}}); err != nil {
			return err
		}
		if o.PasswordFile != "" {
			return l.writeFile(o.PasswordFile)
		}
		return nil
	})
	if errors.Is(err, storage.ErrConflict) {
		// Another program was faster.
		if fresh, err2 := empty(ctx, db); err2 == nil && !fresh {
			return Loaded{}, nil
		}
	}
	if err != nil {
		return Loaded{}, fmt.Errorf("load the sample city: %w", err)
	}
	return l, nil
}

func empty(ctx context.Context, db *storage.DB) (bool, error) {
	var n int64
	err := db.View(ctx, func(tx *storage.Tx) (err error) {
		n, err = storage.One(tx, storage.Value[int64], `SELECT COUNT(*) FROM (SELECT id FROM org_unit LIMIT 1) AS u`)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("load the sample city: is the database empty: %w", err)
	}
	return n == 0, nil
}

// wishes enters the sample residents whom the morning must leave alone.
func wishes(tx *storage.Tx, book *contact.Book) error {
	number := func(s string) contact.Phone {
		p, err := contact.ParseMobile(s)
		if err != nil {
			panic("sample number " + s + " is no mobile number") // a constant of this package
		}
		return p
	}
	if err := book.OptOut(tx, number(OptedOutPhone), contact.OptOut{Scope: contact.ScopeSurvey, Source: "sample", Evidence: "city"}); err != nil {
		return err
	}
	for phone, reason := range map[string]string{ShieldedPhone: "近期不宜打扰", StaffPhone: "本局工作人员号码"} {
		if _, err := book.Shield(tx, number(phone), contact.Shield{Scope: contact.ScopeSurvey, Reason: reason, By: actor}); err != nil {
			return err
		}
	}
	return nil
}

// Text is the list of sample accounts for the first screen and for the password file.
func (l Loaded) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "样例账号（所有账号同一密码）\n密码：%s\n\n", l.Password)
	for _, s := range l.SignIns {
		fmt.Fprintf(&b, "%-14s %s\t%s\t%s", s.Login, s.Role.Label(), s.Name, s.Unit)
		if s.Extension != "" {
			fmt.Fprintf(&b, "\t分机 %s", s.Extension)
		}
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "\n分机注册密码（SIP，域 %s）：%s\n", org.Realm, l.PhonePassword)
	return b.String()
}

func now(clock func() time.Time) time.Time {
	if clock != nil {
		return clock()
	}
	return time.Now()
}

// writeFile puts the list on the disk for its owner alone.
func (l Loaded) writeFile(path string) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".signins-*") // mode 0600
	if err != nil {
		return fmt.Errorf("write sample accounts: %w", err)
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(l.Text())
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write sample accounts: %w", err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return fmt.Errorf("write sample accounts: %w", err)
	}
	return nil
}

// newPassword makes groups of four characters that cannot be misread, twenty bits each: k7mw-3xqd-h2pf.
func newPassword(groups int) string {
	const alphabet = "abcdefghijkmnpqrstuvwxyz23456789" // 32 of them: no l, o, 0, 1
	random := make([]byte, groups*4)
	_, _ = rand.Read(random) // never fails (crypto/rand)
	var b strings.Builder
	for i, r := range random {
		if i > 0 && i%4 == 0 {
			b.WriteByte('-')
		}
		b.WriteByte(alphabet[r%32])
	}
	return b.String()
}

// readTable reads an embedded CSV file with this header line.
func readTable(name, header string) ([][]string, error) {
	f, err := files.Open("data/" + name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(rows) == 0 || strings.Join(rows[0], ",") != header {
		return nil, fmt.Errorf("%s: want the header %s", name, header)
	}
	return rows[1:], nil
}

// unit is a unit and the street (GB code) that it serves, blank for units that serve no one street.
type unit struct {
	org.Unit
	street string
}

func readUnits() ([]unit, error) {
	rows, err := readTable("units.csv", "id,name,short,kind,police,parent,district,street")
	if err != nil {
		return nil, err
	}
	us := make([]unit, len(rows))
	for i, r := range rows {
		us[i] = unit{org.Unit{ID: r[0], Name: r[1], Short: r[2], Kind: org.Kind(r[3]), Police: org.Police(r[4]), Parent: r[5], District: r[6]}, r[7]}
	}
	return us, nil
}

func readStaff() ([]org.Staff, error) {
	rows, err := readTable("staff.csv", "login,name,role,unit,extension")
	if err != nil {
		return nil, err
	}
	ss := make([]org.Staff, len(rows))
	for i, r := range rows {
		ss[i] = org.Staff{Login: r[0], Name: r[1], Role: org.Role(r[2]), Unit: r[3], Extension: r[4]}
	}
	return ss, nil
}
