package ticket

import (
	"time"

	"lianxin/storage"
)

// Connected110 notes on a ticket that its citizen was put through to 110 by telephone, in the call and at the time given. The ticket
// stays where it is: the centre goes on with it. Transfer110 is what ends one.
func (o *Office) Connected110(tx *storage.Tx, id, callID string, at time.Time, by Actor) (Ticket, error) {
	return o.do(tx, id, by, func(d *dossier) error {
		return d.emit("ticket.connected110", map[string]any{"call": callID, "at": at.UTC()})
	})
}

func init() { eventLabels["ticket.connected110"] = "电话转接110" }
