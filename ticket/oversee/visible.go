package oversee

import (
	"fmt"
	"strings"

	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket"
)

// conds collects conditions on oversee_matter; each ? becomes the next placeholder.
type conds struct {
	list []string
	args []any
}

func (c *conds) add(cond string, args ...any) {
	for _, a := range args {
		c.args = append(c.args, a)
		cond = strings.Replace(cond, "?", fmt.Sprintf("$%d", len(c.args)), 1)
	}
	c.list = append(c.list, cond)
}

func (c *conds) where() string { return ` WHERE ` + strings.Join(c.list, ` AND `) }

// marks are n placeholders for add.
func marks(n int) string { return "?" + strings.Repeat(", ?", n-1) }

func values(list []string) []any {
	out := make([]any, len(list))
	for i, v := range list {
		out[i] = v
	}
	return out
}

// visible adds what seen asks of one matter as conditions, so that lists are counted and cut by the database. Watch flags
// are the exception: whoever asked for one stands in its body alone, and there are few; List looks at them one by one.
func (d *Desk) visible(tx *storage.Tx, c *conds, k Kind, viewer ticket.Actor) error {
	if viewer.Kind == ticket.SystemActor {
		return nil
	}
	if viewer.Role.Reach() != org.ReachAll && k != KindDuty {
		called, args := `EXISTS (SELECT 1 FROM oversee_member m WHERE m.matter_id = oversee_matter.id AND m.member IN (?`, []any{viewer.String()}
		if viewer.Role.Reach() == org.ReachUnit {
			units, err := org.Below(tx, viewer.Unit)
			if err != nil {
				return err
			}
			if len(units) == 0 {
				units = []string{viewer.Unit}
			}
			for _, u := range units {
				called += `, ?`
				args = append(args, "unit/"+u)
			}
			called += `)) OR unit <> '' AND unit IN (` + marks(len(units)) + `)`
			args = append(args, values(units)...)
		} else {
			called += `))`
		}
		c.add(`(`+called+`)`, args...)
		if k == KindSupervision {
			c.add(`state <> ?`, string(Candidate))
		}
	}
	if k == KindDuty {
		return nil
	}
	conflict, err := d.Office.ConflictOf(tx, viewer)
	if err != nil {
		return err
	}
	if conflict != nil {
		accuses, args := `t.accused_staff <> '' AND t.accused_staff = ?`, []any{conflict.Staff}
		if len(conflict.Units) > 0 {
			accuses += ` OR t.accused_unit IN (` + marks(len(conflict.Units)) + `)`
			args = append(args, values(conflict.Units)...)
		}
		for _, f := range conflict.Former {
			accuses += ` OR t.accused_unit = ? AND t.received_at < ?`
			args = append(args, f.Unit, storage.At(f.Left))
		}
		clear := `NOT EXISTS (SELECT 1 FROM oversee_ticket o JOIN ticket t ON t.id = o.ticket_id WHERE o.matter_id = oversee_matter.id AND (` + accuses + `))`
		if k == KindTopic { // of a matter of many people one ticket that accuses keeps nobody away
			clear = `((SELECT COUNT(*) FROM oversee_ticket o WHERE o.matter_id = oversee_matter.id) > 1 OR ` + clear + `)`
		}
		c.add(clear, args...)
	}
	if viewer.Role.Reach() != org.ReachAll {
		return nil
	}
	// Who sees every unit's matters sees those about tickets that are all of somebody else's seat not.
	sees, args, err := d.Office.Visible(tx, viewer, c.args)
	if err != nil {
		return err
	}
	c.args = args
	c.list = append(c.list, `(NOT EXISTS (SELECT 1 FROM oversee_ticket o WHERE o.matter_id = oversee_matter.id) OR
		EXISTS (SELECT 1 FROM oversee_ticket o JOIN ticket ON ticket.id = o.ticket_id WHERE o.matter_id = oversee_matter.id AND `+sees+`))`)
	return nil
}
