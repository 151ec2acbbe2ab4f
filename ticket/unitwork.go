package ticket

import (
	"fmt"

	"lianxin/storage"
)

// UnitWork counts the tickets that a unit has to see to: those with a part of it that has not ended, and those whose 主办 it is while they
// are open. A unit with any is not closed or merged (org.Register.Work).
func (o *Office) UnitWork(tx *storage.Tx, unit string) (int, error) {
	q := &query{}
	q.and(`(ticket.host = ? OR ticket.id IN (SELECT l.ticket_id FROM ticket_leg l WHERE l.unit = ? AND l.ended_at IS NULL))`, unit, unit)
	q.open()
	n, err := storage.One(tx, storage.Value[int], `SELECT COUNT(*) FROM ticket`+q.where(), q.args...)
	if err != nil {
		return 0, fmt.Errorf("open tickets of unit %s: %w", unit, err)
	}
	return n, nil
}
