package oversee

import (
	"lianxin/storage"
	"lianxin/ticket"
	"lianxin/ticket/classify"
)

// binding is the likeness from which the conclusion of a consultation is put into the form of the dispatch; less alike ones are only
// shown beside it (Duties).
const binding = 0.35

// precedent is the conclusion of a consultation that binds such a matter: alike enough (the same domain counts for it, see Duties), the
// most alike one. What is hard to sort is what consultations are about, so another domain alone does not part two matters. The dispatcher may still choose another unit; the ticket's history says which conclusion was suggested.
func (d *Desk) precedent(tx *storage.Tx, t ticket.Ticket, _ classify.Domain) (p ticket.Precedent, err error) {
	n, err := storage.One(tx, storage.Value[int], `SELECT COUNT(*) FROM oversee_matter WHERE kind = $1 AND state = $2`, KindDuty, Active)
	if err != nil || n == 0 {
		return p, err
	}
	hints, err := d.Duties(tx, t, 5)
	if err != nil {
		return p, err
	}
	for _, h := range hints {
		if h.Duty.Consult != "" && h.Parts.Score >= binding {
			return ticket.Precedent{Unit: h.Duty.Unit, Duty: h.Duty.ID}, nil
		}
	}
	return p, nil
}
