// Package org knows the units of the bureau, its staff and their roles, who may do what, and who is at the door.
package org

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"lianxin/audit"
	"lianxin/storage"
)

// A Kind is the level of a unit.
type Kind string

// Kinds of units.
const (
	Bureau     Kind = "bureau"
	Centre     Kind = "centre"
	Branch     Kind = "branch"
	Station    Kind = "station"
	Detachment Kind = "detachment"
	Brigade    Kind = "brigade"
	Window     Kind = "window"
	Office     Kind = "office"
)

var kinds = map[Kind]string{
	Bureau: "市局", Centre: "中心", Branch: "分局", Station: "派出所", Detachment: "支队", Brigade: "大队", Window: "窗口", Office: "部门",
}

// Label is the name of the kind on pages.
func (k Kind) Label() string { return kinds[k] }

// A Police is the branch of police work (警种) that a unit belongs to.
type Police string

// Branches of police work.
const (
	General     Police = "general"
	PublicView  Police = "public-view" // 民意感知
	Command     Police = "command"
	Inspection  Police = "inspection"
	Legal       Police = "legal"
	PublicOrder Police = "public-order"
	Criminal    Police = "criminal"
	Traffic     Police = "traffic"
	Household   Police = "household"
	BorderExit  Police = "border-exit" // 出入境
	Approval    Police = "approval"    // 行政审批
)

var polices = map[Police]string{
	General: "综合", PublicView: "民意", Command: "指挥", Inspection: "督察", Legal: "法制", PublicOrder: "治安", Criminal: "刑侦",
	Traffic: "交管", Household: "户政", BorderExit: "出入境", Approval: "行政审批",
}

// Label is the name of the branch on pages.
func (p Police) Label() string { return polices[p] }

// A Unit is one place of the bureau's tree.
type Unit struct {
	ID       string // stable code: lower-case letters, digits and hyphens
	Name     string // 本溪市公安局平山分局站前派出所
	Short    string // 站前派出所; blank is the name
	Kind     Kind
	Police   Police
	Parent   string // unit id; blank for the bureau itself
	District string // GB/T 2260 code, blank for the whole city
	Active   bool
	Merged   string // the unit that took over what it did; blank for none
	Created  time.Time
	Changed  time.Time
}

var unitID = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

// ErrLoop is returned by MoveUnit when a unit would come to stand below itself.
var ErrLoop = errors.New("a unit cannot stand below itself")

// UnitStream is the name of a unit's stream in the audit log.
func UnitStream(id string) string { return "unit/" + id }

// A Register changes units, staff and tokens and notes each change in the
// audit log. The zero Register is ready to use.
type Register struct {
	Now func() time.Time // nil is time.Now

	Work   func(tx *storage.Tx, unit string) (int, error) // open tickets that a unit has to see to; nil where there are no tickets
	Reason string                                         // why units are changed; goes into the log with each change
	AsOf   string                                         // the day on which the changes took effect, such as 2026-11-01; blank is when they were entered
}

func (g Register) now() time.Time {
	if g.Now != nil {
		return g.Now()
	}
	return time.Now()
}

// AddUnit enters a unit below its parent, active. An id that is taken is storage.ErrConflict.
func (g Register) AddUnit(tx *storage.Tx, u Unit, by string) error {
	if !unitID.MatchString(u.ID) || len(u.ID) > 64 {
		return fmt.Errorf("add unit %q: an id is lower-case letters, digits and hyphens", u.ID)
	}
	if strings.TrimSpace(u.Name) == "" || kinds[u.Kind] == "" || polices[u.Police] == "" {
		return fmt.Errorf("add unit %s: name, kind and branch are required", u.ID)
	}
	if (u.Parent == "") != (u.Kind == Bureau) {
		return fmt.Errorf("add unit %s: the bureau alone stands below no other unit", u.ID)
	}
	if u.Short == "" {
		u.Short = u.Name
	}
	if u.Parent != "" {
		if _, err := GetUnit(tx, u.Parent); err != nil {
			return fmt.Errorf("add unit %s below: %w", u.ID, err)
		}
	}
	now := g.now()
	_, err := tx.Exec(`INSERT INTO org_unit (id, name, short, kind, police, parent, district, active, created, changed)
		VALUES ($1, $2, $3, $4, $5, $6, $7, TRUE, $8, $8)`,
		u.ID, u.Name, u.Short, u.Kind, u.Police, null(u.Parent), u.District, storage.At(now))
	if err == nil {
		_, err = audit.Append(tx, audit.Entry{Stream: UnitStream(u.ID), Type: "unit.added", Actor: by, At: now, Payload: g.unitFacts(map[string]string{
			"name": u.Name, "kind": string(u.Kind), "police": string(u.Police), "parent": u.Parent, "district": u.District})})
	}
	if err != nil {
		return fmt.Errorf("add unit %s: %w", u.ID, err)
	}
	return nil
}

// MoveUnit puts a unit, with all below it, under another parent. Where it
// stood before remains in the audit log (ORG-2); see Moves.
func (g Register) MoveUnit(tx *storage.Tx, id, parent, by string) error {
	// One move at a time: two that are each right could together make a loop.
	if err := g.oneAtATime(tx); err != nil {
		return fmt.Errorf("move unit %s: %w", id, err)
	}
	u, err := GetUnit(tx, id)
	if err != nil {
		return fmt.Errorf("move: %w", err)
	}
	if u.Parent == "" {
		return fmt.Errorf("move unit %s: the bureau stands where it is", id)
	}
	if _, err := GetUnit(tx, parent); err != nil {
		return fmt.Errorf("move unit %s below: %w", id, err)
	}
	below, err := Below(tx, id)
	if err != nil {
		return fmt.Errorf("move unit %s: %w", id, err)
	}
	for _, b := range below {
		if b == parent {
			return fmt.Errorf("move unit %s below %s: %w", id, parent, ErrLoop)
		}
	}
	if u.Parent == parent {
		return nil
	}
	now := g.now()
	_, err = tx.Exec(`UPDATE org_unit SET parent = $2, changed = $3 WHERE id = $1`, id, parent, storage.At(now))
	if err == nil {
		_, err = audit.Append(tx, audit.Entry{Stream: UnitStream(id), Type: "unit.moved", Actor: by, At: now,
			Payload: g.unitFacts(map[string]string{"from": u.Parent, "to": parent})})
	}
	if err != nil {
		return fmt.Errorf("move unit %s: %w", id, err)
	}
	return nil
}

// RenameUnit gives a unit new names; the old ones remain in the audit log.
func (g Register) RenameUnit(tx *storage.Tx, id, name, short, by string) error {
	u, err := GetUnit(tx, id)
	if err != nil {
		return fmt.Errorf("rename: %w", err)
	}
	if strings.TrimSpace(name) == "" {
		return fmt.Errorf("rename unit %s: a name is required", id)
	}
	if short == "" {
		short = name
	}
	now := g.now()
	_, err = tx.Exec(`UPDATE org_unit SET name = $2, short = $3, changed = $4 WHERE id = $1`, id, name, short, storage.At(now))
	if err == nil {
		_, err = audit.Append(tx, audit.Entry{Stream: UnitStream(id), Type: "unit.renamed", Actor: by, At: now,
			Payload: g.unitFacts(map[string]string{"from": u.Name, "to": name})})
	}
	if err != nil {
		return fmt.Errorf("rename unit %s: %w", id, err)
	}
	return nil
}

// SetUnitActive opens or closes a unit, whatever stands in it: see CloseUnit. A closed one keeps its history and gets nothing new.
func (g Register) SetUnitActive(tx *storage.Tx, id string, active bool, by string) error {
	now := g.now()
	n, err := tx.Exec(`UPDATE org_unit SET active = $2, merged_into = '', changed = $3 WHERE id = $1`, id, active, storage.At(now))
	if err == nil && n == 0 {
		err = storage.ErrNotFound
	}
	if err == nil {
		what := "unit.closed"
		if active {
			what = "unit.opened"
		}
		_, err = audit.Append(tx, audit.Entry{Stream: UnitStream(id), Type: what, Actor: by, At: now, Payload: g.unitFacts(nil)})
	}
	if err != nil {
		return fmt.Errorf("open or close unit %s: %w", id, err)
	}
	return nil
}

// A Move is one change of a unit's or a person's place.
type Move struct {
	At       time.Time
	From, To string // unit ids; From is blank for the first place
	By       string
}

// Moves returns where a unit has stood, oldest first, from the audit log.
func Moves(tx *storage.Tx, unit string) ([]Move, error) {
	events, err := audit.Stream(tx, UnitStream(unit))
	if err != nil {
		return nil, fmt.Errorf("moves of unit %s: %w", unit, err)
	}
	var moves []Move
	for _, e := range events {
		var p struct{ Parent, From, To string }
		if e.Type != "unit.added" && e.Type != "unit.moved" {
			continue
		}
		if err := json.Unmarshal(e.Payload, &p); err != nil {
			return nil, fmt.Errorf("moves of unit %s: event %d: %w", unit, e.Seq, err)
		}
		moves = append(moves, Move{At: e.At, From: p.From, To: p.Parent + p.To, By: e.Actor})
	}
	return moves, nil
}

const selectUnit = `SELECT id, name, short, kind, police, COALESCE(parent, ''), district, active, merged_into, created, changed FROM org_unit`

func scanUnit(r storage.Row) (u Unit, err error) {
	var created, changed storage.Time
	err = r.Scan(&u.ID, &u.Name, &u.Short, &u.Kind, &u.Police, &u.Parent, &u.District, &u.Active, &u.Merged, &created, &changed)
	u.Created, u.Changed = created.Time, changed.Time
	return u, err
}

// GetUnit returns the unit with this id, or storage.ErrNotFound.
func GetUnit(tx *storage.Tx, id string) (Unit, error) {
	u, err := storage.One(tx, scanUnit, selectUnit+` WHERE id = $1`, id)
	if err != nil {
		return Unit{}, fmt.Errorf("unit %s: %w", id, err)
	}
	return u, nil
}

// Units returns all units, closed ones too, ordered by id.
func Units(tx *storage.Tx) ([]Unit, error) {
	us, err := storage.All(tx, scanUnit, selectUnit+` ORDER BY id`)
	if err != nil {
		return nil, fmt.Errorf("units: %w", err)
	}
	return us, nil
}

// Below returns the ids of a unit and of all units below it, the unit first;
// nothing when there is no such unit.
func Below(tx *storage.Tx, id string) ([]string, error) {
	ids, err := storage.All(tx, storage.Value[string], `WITH RECURSIVE sub (id, depth) AS (
			SELECT id, 0 FROM org_unit WHERE id = $1
			UNION ALL
			SELECT u.id, sub.depth + 1 FROM org_unit u JOIN sub ON u.parent = sub.id WHERE sub.depth < 20
		) SELECT id FROM sub ORDER BY depth, id`, id)
	if err != nil {
		return nil, fmt.Errorf("units below %s: %w", id, err)
	}
	return ids, nil
}

// Above returns the units from this one up to the bureau, this one first.
func Above(tx *storage.Tx, id string) ([]Unit, error) {
	us, err := storage.All(tx, scanUnit, `WITH RECURSIVE up (id, parent, depth) AS (
			SELECT id, parent, 0 FROM org_unit WHERE id = $1
			UNION ALL
			SELECT u.id, u.parent, up.depth + 1 FROM org_unit u JOIN up ON u.id = up.parent WHERE up.depth < 20
		) SELECT u.id, u.name, u.short, u.kind, u.police, COALESCE(u.parent, ''), u.district, u.active, u.merged_into, u.created, u.changed
		FROM up JOIN org_unit u ON u.id = up.id ORDER BY up.depth`, id)
	if err != nil {
		return nil, fmt.Errorf("units above %s: %w", id, err)
	}
	return us, nil
}

// null is s for the database, NULL when blank.
func null(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// UnitCode reports whether a text may be the id of a unit.
func UnitCode(id string) bool { return unitID.MatchString(id) && len(id) <= 64 }

// Kinds are the levels of units, from the bureau down.
func Kinds() []Kind {
	return []Kind{Bureau, Centre, Branch, Detachment, Brigade, Station, Window, Office}
}

// Polices are the branches of police work.
func Polices() []Police {
	return []Police{General, PublicView, Command, Inspection, Legal, PublicOrder, Criminal, Traffic, Household, BorderExit, Approval}
}
