package ticket

import (
	"fmt"
	"slices"
	"strings"

	"lianxin/org"
	"lianxin/storage"
)

// Conflict is what an officer is accused of being: themselves, and the units they belong to. Whatever tells of a ticket that
// accuses one of these is hidden from them, in other rooms too (I6).
type Conflict struct {
	Staff  string
	Units  []string
	Former []org.Former // units that they left, and those that concerned them there: what came in before stays hidden
}

// ConflictOf is the conflict of a viewer; nil for whoever nobody can accuse.
func (o *Office) ConflictOf(tx *storage.Tx, viewer Actor) (*Conflict, error) {
	if !viewer.officer() {
		return nil, nil
	}
	c := &Conflict{Staff: viewer.ID}
	units, err := concerning(tx, viewer.Unit)
	if err != nil {
		return nil, fmt.Errorf("units of a viewer: %w", err)
	}
	c.Units = units
	left, err := org.FormerUnits(tx, viewer.ID)
	if err != nil {
		return nil, err
	}
	for _, f := range left {
		units, err := concerning(tx, f.Unit)
		if err != nil {
			return nil, fmt.Errorf("former units of a viewer: %w", err)
		}
		for _, u := range units {
			if !slices.Contains(c.Units, u) {
				c.Former = append(c.Former, org.Former{Unit: u, Left: f.Left})
			}
		}
	}
	if viewer.Unit != "" && !slices.Contains(c.Units, viewer.Unit) {
		c.Units = append(c.Units, viewer.Unit)
	}
	return c, nil
}

// Clear is a condition of SQL that leaves out the rows whose ticket, in the column, accuses the viewer; args are what the
// query has so far, and come back with those of the condition. A nil Conflict leaves out nothing.
func (c *Conflict) Clear(column string, args []any) (string, []any) {
	if c == nil {
		return `1 = 1`, args
	}
	cond, args := c.accused("accused", args)
	return `NOT EXISTS (SELECT 1 FROM ticket accused WHERE accused.id = ` + column + ` AND ` + cond + `)`, args
}

// Accuses reports whether the ticket accuses the viewer or one of their units.
func (o *Office) Accuses(tx *storage.Tx, ticketID string, viewer Actor) (bool, error) {
	c, err := o.ConflictOf(tx, viewer)
	if err != nil || c == nil || ticketID == "" {
		return false, err
	}
	args := []any{ticketID}
	cond, args := c.Clear(`$1`, args)
	n, err := storage.One(tx, storage.Value[int], `SELECT CASE WHEN `+cond+` THEN 0 ELSE 1 END`, args...)
	if err != nil {
		return false, fmt.Errorf("conflict with %s: %w", ticketID, err)
	}
	return n > 0, nil
}

// accused is the condition that a row of table ticket, under this name, accuses whom the conflict is of.
func (c *Conflict) accused(name string, args []any) (string, []any) {
	args = append(args, c.Staff)
	cond := fmt.Sprintf(`(%s.accused_staff <> '' AND %s.accused_staff = $%d`, name, name, len(args))
	var marks []string
	for _, u := range c.Units {
		args = append(args, u)
		marks = append(marks, fmt.Sprintf(`$%d`, len(args)))
	}
	if len(marks) > 0 {
		cond += ` OR ` + name + `.accused_unit IN (` + strings.Join(marks, `, `) + `)`
	}
	for _, f := range c.Former {
		args = append(args, f.Unit, storage.At(f.Left))
		cond += fmt.Sprintf(` OR %s.accused_unit = $%d AND %s.received_at < $%d`, name, len(args)-1, name, len(args))
	}
	return cond + `)`, args
}

// Accused reports whether a ticket accuses whom the conflict is of.
func (c *Conflict) Accused(t Ticket) bool {
	if c == nil {
		return false
	}
	return t.AccusedStaff != "" && t.AccusedStaff == c.Staff || t.AccusedUnit != "" && (slices.Contains(c.Units, t.AccusedUnit) ||
		slices.ContainsFunc(c.Former, func(f org.Former) bool { return f.Unit == t.AccusedUnit && t.ReceivedAt.Before(f.Left) }))
}

// concerning are the units whose doings concern the people of a unit; of the bureau as a whole only its own desk is meant.
func concerning(tx *storage.Tx, unit string) (ids []string, err error) {
	if unit == "" {
		return nil, nil
	}
	all, err := org.Implicated(tx, unit)
	for _, u := range all {
		if u.Kind != org.Bureau || u.ID == unit {
			ids = append(ids, u.ID)
		}
	}
	return ids, err
}
