package oversee

import (
	"lianxin/storage"
	"lianxin/ticket"
)

// suggestion is what was suggested for a ticket when it came in.
func (h *house) suggestion(t ticket.Ticket) (s ticket.Sorting, err error) {
	h.view(func(tx *storage.Tx) error { s, err = h.o.LastSorting(tx, t); return nil })
	if err == nil && s.Unit != t.SuggestedUnit {
		h.t.Errorf("%s has %q, its suggestion %q", t.Number, t.SuggestedUnit, s.Unit)
	}
	return s, err
}
