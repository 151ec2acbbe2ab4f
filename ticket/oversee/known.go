package oversee

import (
	"fmt"

	"lianxin/storage"
	"lianxin/ticket"
	"lianxin/ticket/grade"
)

// Known adds to the facts that a ticket is graded by: a watch flag in force on its citizen (I19: a factor of the person and
// nothing else), a watch period, and how many persons the group event has that it belongs to. It is for
// ticket.Office.Known.
func (d *Desk) Known(tx *storage.Tx, t ticket.Ticket, h *grade.History) error {
	now := d.now()
	watched, err := d.Watched(tx, t.ContactID, now)
	if err != nil {
		return err
	}
	periods, err := d.InPeriod(tx, now)
	if err != nil {
		return err
	}
	h.WatchFlag = h.WatchFlag || watched
	h.WatchPeriod = h.WatchPeriod || len(periods) > 0
	topics, err := find[Topic](d, tx, KindTopic, ` AND state <> 'DROPPED' AND id IN (SELECT matter_id FROM oversee_ticket WHERE ticket_id = $2)`, t.ID)
	if err != nil {
		return err
	}
	for _, x := range topics {
		if x.Rule == "W3" || x.Rule == "hand" {
			h.Parties = max(h.Parties, x.Parties)
		}
	}
	return nil
}

// steps of a group's size at which its tickets weigh more (domain model §7).
var sizes = []int{3, 5, 10}

// regrade has the tickets of a topic graded anew when the group has grown over one of the steps.
func (d *Desk) regrade(tx *storage.Tx, t *Topic, before int) error {
	for _, n := range sizes {
		if before < n && t.Parties >= n {
			for _, id := range t.Tickets {
				if _, err := tx.Exec(`INSERT INTO ticket_regrade (ticket_id, cause, at) VALUES ($1, $2, $3) ON CONFLICT (ticket_id) DO NOTHING`, id, ticket.GradedRepeat, storage.At(d.now())); err != nil {
					return fmt.Errorf("have %s graded anew: %w", id, err)
				}
			}
			return nil
		}
	}
	return nil
}
