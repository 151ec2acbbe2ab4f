package org

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"time"

	"lianxin/audit"
	"lianxin/storage"
)

// A Staff is one person of the bureau with an account.
type Staff struct {
	ID        string
	Login     string // lower case
	Name      string // as shown to colleagues
	Role      Role
	Unit      string // unit id
	Extension string // number of the phone at the desk, blank for none
	Active    bool
	Created   time.Time
	Changed   time.Time
	SignedIn  time.Time // last time; zero is never
}

// Actor is how the audit log names this person.
func (s Staff) Actor() string { return "staff/" + s.ID }

// Can reports whether this person may do an action: an active account with the role for it.
func (s Staff) Can(a Action) bool { return s.Active && Can(s.Role, a) }

// LogValue is the actor and the role.
func (s Staff) LogValue() slog.Value {
	return slog.GroupValue(slog.String("id", s.ID), slog.String("role", string(s.Role)))
}

// StaffStream is the name of a person's stream in the audit log.
func StaffStream(id string) string { return "staff/" + id }

var (
	loginForm     = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{1,31}$`)
	extensionForm = regexp.MustCompile(`^[2-9][0-9]{2,5}$`) // 1… are emergency and service numbers
)

// ErrNoAccount is returned by AddStaff and ChangeRole for roles that do not sign in.
var ErrNoAccount = errors.New("people of this role have no account")

// AddStaff enters a person, active and without a password, and returns the
// id. A login or extension that is taken is storage.ErrConflict.
func (g Register) AddStaff(tx *storage.Tx, s Staff, by string) (Staff, error) {
	s.Login = normalLogin(s.Login)
	switch {
	case !loginForm.MatchString(s.Login):
		return Staff{}, errors.New("add staff: a login has 2 to 32 letters, digits, dots, hyphens or underlines")
	case strings.TrimSpace(s.Name) == "":
		return Staff{}, fmt.Errorf("add staff %s: a name is required", s.Login)
	case !s.Role.SignsIn():
		return Staff{}, fmt.Errorf("add staff %s as %s: %w", s.Login, s.Role, ErrNoAccount)
	case s.Extension != "" && !extensionForm.MatchString(s.Extension):
		return Staff{}, fmt.Errorf("add staff %s: an extension has 3 to 6 digits and does not begin with 0 or 1", s.Login)
	}
	if _, err := GetUnit(tx, s.Unit); err != nil {
		return Staff{}, fmt.Errorf("add staff %s: %w", s.Login, err)
	}
	s.ID, s.Active = storage.NewID(), true
	now := storage.At(g.now())
	s.Created, s.Changed = now.Time, now.Time
	_, err := tx.Exec(`INSERT INTO org_staff (id, login, name, role, unit, extension, active, created, changed)
		VALUES ($1, $2, $3, $4, $5, $6, TRUE, $7, $7)`, s.ID, s.Login, s.Name, s.Role, s.Unit, null(s.Extension), now)
	if err == nil {
		_, err = audit.Append(tx, audit.Entry{Stream: StaffStream(s.ID), Type: "staff.added", Actor: by, At: now.Time,
			Payload: g.unitFacts(map[string]string{"login": s.Login, "role": string(s.Role), "unit": s.Unit, "extension": s.Extension})})
	}
	if err != nil {
		return Staff{}, fmt.Errorf("add staff %s: %w", s.Login, err)
	}
	return s, nil
}

// MoveStaff gives a person another unit. Where the person was before remains
// in the audit log; see StaffMoves.
func (g Register) MoveStaff(tx *storage.Tx, id, unit, by string) error {
	if _, err := GetUnit(tx, unit); err != nil {
		return fmt.Errorf("move staff %s: %w", id, err)
	}
	s, err := GetStaff(tx, id)
	if err != nil {
		return fmt.Errorf("move: %w", err)
	}
	if s.Unit != unit {
		if _, err := tx.Exec(`INSERT INTO org_former (staff_id, unit, left_at) VALUES ($1, $2, $3)
			ON CONFLICT (staff_id, unit) DO UPDATE SET left_at = excluded.left_at`, id, s.Unit, storage.At(g.now())); err != nil {
			return fmt.Errorf("move staff %s: %w", id, err)
		}
	}
	return g.change(tx, id, by, "staff.moved", "unit", func(s Staff) string { return s.Unit }, unit)
}

// ChangeRole gives a person another role.
func (g Register) ChangeRole(tx *storage.Tx, id string, role Role, by string) error {
	if !role.SignsIn() {
		return fmt.Errorf("change role of staff %s to %s: %w", id, role, ErrNoAccount)
	}
	return g.change(tx, id, by, "staff.role_changed", "role", func(s Staff) string { return string(s.Role) }, string(role))
}

// change sets one text column and notes the old and the new value.
func (g Register) change(tx *storage.Tx, id, by, event, column string, old func(Staff) string, value string) error {
	s, err := GetStaff(tx, id)
	if err != nil {
		return fmt.Errorf("%s: %w", event, err)
	}
	if old(s) == value {
		return nil
	}
	now := g.now()
	_, err = tx.Exec(`UPDATE org_staff SET `+column+` = $2, changed = $3 WHERE id = $1`, id, value, storage.At(now))
	if err == nil {
		_, err = audit.Append(tx, audit.Entry{Stream: StaffStream(id), Type: event, Actor: by, At: now,
			Payload: g.unitFacts(map[string]string{"from": old(s), "to": value})})
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", event, id, err)
	}
	return nil
}

// SetStaffActive opens or closes an account. A closed one cannot sign in, and its phone cannot register.
func (g Register) SetStaffActive(tx *storage.Tx, id string, active bool, by string) error {
	now := g.now()
	n, err := tx.Exec(`UPDATE org_staff SET active = $2, changed = $3 WHERE id = $1`, id, active, storage.At(now))
	if err == nil && n == 0 {
		err = storage.ErrNotFound
	}
	if err == nil {
		what := "staff.closed"
		if active {
			what = "staff.opened"
		}
		_, err = audit.Append(tx, audit.Entry{Stream: StaffStream(id), Type: what, Actor: by, At: now, Payload: g.unitFacts(nil)})
	}
	if err != nil {
		return fmt.Errorf("open or close account %s: %w", id, err)
	}
	return nil
}

// StaffMoves returns the units in which a person has been, oldest first, from the audit log.
func StaffMoves(tx *storage.Tx, id string) ([]Move, error) {
	events, err := audit.Stream(tx, StaffStream(id))
	if err != nil {
		return nil, fmt.Errorf("moves of staff %s: %w", id, err)
	}
	var moves []Move
	for _, e := range events {
		var p struct{ Unit, From, To string }
		if e.Type != "staff.added" && e.Type != "staff.moved" {
			continue
		}
		if err := json.Unmarshal(e.Payload, &p); err != nil {
			return nil, fmt.Errorf("moves of staff %s: event %d: %w", id, e.Seq, err)
		}
		moves = append(moves, Move{At: e.At, From: p.From, To: p.Unit + p.To, By: e.Actor})
	}
	return moves, nil
}

const selectStaff = `SELECT id, login, name, role, unit, COALESCE(extension, ''), active, created, changed, signed_in FROM org_staff`

func scanStaff(r storage.Row) (s Staff, err error) {
	var created, changed, signedIn storage.Time
	err = r.Scan(&s.ID, &s.Login, &s.Name, &s.Role, &s.Unit, &s.Extension, &s.Active, &created, &changed, &signedIn)
	s.Created, s.Changed, s.SignedIn = created.Time, changed.Time, signedIn.Time
	return s, err
}

// GetStaff returns the person with this id, or storage.ErrNotFound.
func GetStaff(tx *storage.Tx, id string) (Staff, error) {
	s, err := storage.One(tx, scanStaff, selectStaff+` WHERE id = $1`, id)
	if err != nil {
		return Staff{}, fmt.Errorf("staff %s: %w", id, err)
	}
	return s, nil
}

// StaffByExtension returns the active person whose phone this is, or storage.ErrNotFound.
func StaffByExtension(tx *storage.Tx, extension string) (Staff, error) {
	s, err := storage.One(tx, scanStaff, selectStaff+` WHERE extension = $1 AND active`, extension)
	if err != nil {
		return Staff{}, fmt.Errorf("staff with extension %s: %w", extension, err)
	}
	return s, nil
}

// StaffByLogin returns the person with this login, or storage.ErrNotFound.
func StaffByLogin(tx *storage.Tx, login string) (Staff, error) {
	s, err := storage.One(tx, scanStaff, selectStaff+` WHERE login = $1`, normalLogin(login))
	if err != nil {
		return Staff{}, fmt.Errorf("staff by login: %w", err)
	}
	return s, nil
}

// AllStaff returns everybody, closed accounts too, ordered by login.
func AllStaff(tx *storage.Tx) ([]Staff, error) {
	ss, err := storage.All(tx, scanStaff, selectStaff+` ORDER BY login`)
	if err != nil {
		return nil, fmt.Errorf("staff: %w", err)
	}
	return ss, nil
}

func normalLogin(s string) string { return strings.ToLower(strings.TrimSpace(s)) }

// LoginForm reports whether a text may be a login.
func LoginForm(s string) bool { return loginForm.MatchString(normalLogin(s)) }
