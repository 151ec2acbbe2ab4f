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
	Staff string
	Units []string
}

// ConflictOf is the conflict of a viewer; nil for whoever nobody can accuse.
func (o *Office) ConflictOf(tx *storage.Tx, viewer Actor) (*Conflict, error) {
	if !viewer.officer() {
		return nil, nil
	}
	c := &Conflict{Staff: viewer.ID}
	above, err := org.Above(tx, viewer.Unit)
	if err != nil {
		return nil, fmt.Errorf("units of a viewer: %w", err)
	}
	for _, u := range above {
		if u.Kind != org.Bureau || u.ID == viewer.Unit { // of the bureau as a whole only its own desk is meant
			c.Units = append(c.Units, u.ID)
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
	args = append(args, c.Staff)
	cond := fmt.Sprintf(`(accused.accused_staff <> '' AND accused.accused_staff = $%d`, len(args))
	var marks []string
	for _, u := range c.Units {
		args = append(args, u)
		marks = append(marks, fmt.Sprintf(`$%d`, len(args)))
	}
	if len(marks) > 0 {
		cond += ` OR accused.accused_unit IN (` + strings.Join(marks, `, `) + `)`
	}
	return `NOT EXISTS (SELECT 1 FROM ticket accused WHERE accused.id = ` + column + ` AND ` + cond + `))`, args
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
