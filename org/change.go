package org

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"lianxin/audit"
	"lianxin/storage"
)

// An Obstacle is why a unit cannot be closed: what still stands in it.
type Obstacle struct {
	Unit  string
	Units int // open units right below it
	Staff int // people with an account
	Work  int // tickets that it has to see to
}

// Error says what is in the way.
func (o *Obstacle) Error() string {
	return fmt.Sprintf("unit %s still has %d open units below it, %d people and %d open tickets", o.Unit, o.Units, o.Staff, o.Work)
}

// ErrNoMerge is returned by MergeUnit where one unit cannot take over another.
var ErrNoMerge = errors.New("these units cannot be merged")

// unitFacts adds why a change was made, and on which day it took effect, to what an event says.
func (g Register) unitFacts(facts map[string]string) any {
	if facts == nil {
		facts = map[string]string{}
	}
	if g.Reason != "" {
		facts["reason"] = g.Reason
	}
	if g.AsOf != "" {
		facts["as_of"] = g.AsOf
	}
	if len(facts) == 0 {
		return nil
	}
	return facts
}

// oneAtATime locks the root, so that changes of the tree come one after the other: two that are each right could together be wrong.
func (g Register) oneAtATime(tx *storage.Tx) error {
	_, err := storage.All(tx, storage.Value[string], `SELECT id FROM org_unit WHERE parent IS NULL `+tx.ForUpdate())
	return err
}

// CloseUnit closes a unit that nothing stands in any more: no open unit below it, nobody with an account, no open ticket. Else the error is
// an *Obstacle.
func (g Register) CloseUnit(tx *storage.Tx, id, by string) error {
	if err := g.oneAtATime(tx); err != nil {
		return fmt.Errorf("close unit %s: %w", id, err)
	}
	u, err := GetUnit(tx, id)
	if err != nil {
		return fmt.Errorf("close: %w", err)
	}
	if !u.Active {
		return nil
	}
	o, err := g.obstacle(tx, u)
	if err != nil {
		return fmt.Errorf("close unit %s: %w", id, err)
	}
	if u.Kind == Bureau || o.Units+o.Staff+o.Work > 0 {
		return o
	}
	return g.SetUnitActive(tx, id, false, by)
}

func (g Register) obstacle(tx *storage.Tx, u Unit) (*Obstacle, error) {
	o := &Obstacle{Unit: u.ID}
	var err error
	if o.Units, err = storage.One(tx, storage.Value[int], `SELECT COUNT(*) FROM org_unit WHERE parent = $1 AND active`, u.ID); err != nil {
		return nil, err
	}
	if o.Staff, err = storage.One(tx, storage.Value[int], `SELECT COUNT(*) FROM org_staff WHERE unit = $1 AND active`, u.ID); err != nil {
		return nil, err
	}
	if g.Work != nil {
		o.Work, err = g.Work(tx, u.ID)
	}
	return o, err
}

// MergeUnit lets one unit take over another (合并): the units below it and its people go over, and it is closed, with a note of where it
// went. What it did stays under its own name. It is refused with an *Obstacle while it has open tickets: those are handed on first. Whoever
// is accused of what the old unit did is kept away as before: see Implicated.
func (g Register) MergeUnit(tx *storage.Tx, id, into, by string) error {
	if err := g.oneAtATime(tx); err != nil {
		return fmt.Errorf("merge unit %s: %w", id, err)
	}
	u, err := GetUnit(tx, id)
	if err != nil {
		return fmt.Errorf("merge: %w", err)
	}
	to, err := GetUnit(tx, into)
	if err != nil {
		return fmt.Errorf("merge unit %s into: %w", id, err)
	}
	below, err := Below(tx, id)
	if err != nil {
		return fmt.Errorf("merge unit %s: %w", id, err)
	}
	if u.Kind == Bureau || u.Kind == Centre || to.Kind == Bureau || !u.Active || !to.Active || slices.Contains(below, into) {
		return fmt.Errorf("merge unit %s into %s: %w", id, into, ErrNoMerge)
	}
	if g.Work != nil {
		n, err := g.Work(tx, id)
		if err != nil {
			return fmt.Errorf("merge unit %s: %w", id, err)
		}
		if n > 0 {
			return &Obstacle{Unit: id, Work: n}
		}
	}
	units, err := storage.All(tx, storage.Value[string], `SELECT id FROM org_unit WHERE parent = $1 AND active ORDER BY id`, id)
	if err != nil {
		return fmt.Errorf("merge unit %s: %w", id, err)
	}
	for _, x := range units {
		if err := g.MoveUnit(tx, x, into, by); err != nil {
			return err
		}
	}
	staff, err := storage.All(tx, storage.Value[string], `SELECT id FROM org_staff WHERE unit = $1 ORDER BY id`, id)
	if err != nil {
		return fmt.Errorf("merge unit %s: %w", id, err)
	}
	for _, x := range staff {
		if err := g.MoveStaff(tx, x, into, by); err != nil {
			return err
		}
	}
	now := g.now()
	_, err = tx.Exec(`UPDATE org_unit SET active = FALSE, merged_into = $2, changed = $3 WHERE id = $1`, id, into, storage.At(now))
	if err == nil {
		_, err = audit.Append(tx, audit.Entry{Stream: UnitStream(id), Type: "unit.merged", Actor: by, At: now, Payload: g.unitFacts(map[string]string{"to": into})})
	}
	if err == nil {
		_, err = audit.Append(tx, audit.Entry{Stream: UnitStream(into), Type: "unit.took_over", Actor: by, At: now, Payload: g.unitFacts(map[string]string{"from": id})})
	}
	if err != nil {
		return fmt.Errorf("merge unit %s into %s: %w", id, into, err)
	}
	return nil
}

// Implicated returns the units whose doings concern the people of a unit: itself, those above it, and whatever was merged into any of them.
func Implicated(tx *storage.Tx, id string) ([]Unit, error) {
	us, err := storage.All(tx, scanUnit, `WITH RECURSIVE up (id, parent) AS (
			SELECT id, parent FROM org_unit WHERE id = $1
			UNION
			SELECT u.id, u.parent FROM org_unit u JOIN up ON u.id = up.parent OR u.merged_into = up.id
		) `+selectUnit+` WHERE id IN (SELECT id FROM up) ORDER BY id`, id)
	if err != nil {
		return nil, fmt.Errorf("units that concern %s: %w", id, err)
	}
	return us, nil
}

// A Former is a unit that a person has left.
type Former struct {
	Unit string
	Left time.Time
}

// FormerUnits returns the units that a person has left and not come back to.
func FormerUnits(tx *storage.Tx, staff string) ([]Former, error) {
	out, err := storage.All(tx, func(r storage.Row) (f Former, err error) {
		var at storage.Time
		err = r.Scan(&f.Unit, &at)
		f.Left = at.Time
		return f, err
	}, `SELECT unit, left_at FROM org_former WHERE staff_id = $1 ORDER BY unit`, staff)
	if err != nil {
		return nil, fmt.Errorf("former units of %s: %w", staff, err)
	}
	return out, nil
}

// A UnitChange is one event of a unit's life.
type UnitChange struct {
	At                        time.Time
	What                      string // added, moved, renamed, merged, took_over, opened, closed
	From, To, By, Reason, Day string // Day is when it took effect, where that was told
}

// UnitHistory returns what became of a unit, oldest first, from the audit log.
func UnitHistory(tx *storage.Tx, id string) ([]UnitChange, error) {
	events, err := audit.Stream(tx, UnitStream(id))
	if err != nil {
		return nil, fmt.Errorf("history of unit %s: %w", id, err)
	}
	var out []UnitChange
	for _, e := range events {
		what, ours := strings.CutPrefix(e.Type, "unit.")
		if !ours {
			continue
		}
		var p struct {
			Name, Parent, From, To, Reason string
			Day                            string `json:"as_of"`
		}
		if len(e.Payload) > 0 {
			if err := json.Unmarshal(e.Payload, &p); err != nil {
				return nil, fmt.Errorf("history of unit %s: event %d: %w", id, e.Seq, err)
			}
		}
		c := UnitChange{At: e.At, What: what, From: p.From, To: p.To, By: e.Actor, Reason: p.Reason, Day: p.Day}
		if what == "added" {
			c.To = p.Parent
		}
		out = append(out, c)
	}
	return out, nil
}
