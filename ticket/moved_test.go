package ticket

import (
	"testing"
	"time"

	"lianxin/org"
	"lianxin/storage"
)

// I6 outlives the organisation chart: whoever was in the accused unit when the complaint came in does not come to see it by moving to another
// one, the centre least of all, nor does the unit that takes the accused one over.
func TestI6FollowsPeopleWhoMoveAndUnitsThatMerge(t *testing.T) {
	each(t, func(h *house) {
		reg := org.Register{Now: h.Now, Work: h.UnitWork}
		k := h.open(func(in *Intake) { in.AccusedUnit = unitA })
		h.pass(time.Hour)
		// An officer of the accused station becomes a dispatcher of the centre.
		h.update(func(tx *storage.Tx) error {
			if err := reg.MoveStaff(tx, h.handlerA.ID, "centre", "system"); err != nil {
				return err
			}
			return reg.ChangeRole(tx, h.handlerA.ID, org.Dispatcher, "system")
		})
		moved := h.handlerA
		moved.Unit, moved.Role = "centre", org.Dispatcher
		h.hidden(k, moved)
		h.refused("accused", func(tx *storage.Tx) error { _, err := h.Accept(tx, k.ID, Acceptance{}, moved); return err })
		h.view(func(tx *storage.Tx) error {
			yes, err := h.Accuses(tx, k.ID, moved)
			if err != nil || !yes {
				h.t.Errorf("other rooms are not told: %v, %v", yes, err)
			}
			return err
		})
		// What came in afterwards is none of theirs.
		later := h.open(func(in *Intake) { in.AccusedUnit = unitA })
		if !h.sees(later, moved) {
			h.t.Error("a complaint from after they left is hidden from them")
		}
		// A unit with work is not closed or merged; then the accused one goes into another.
		busy, _ := h.handling(nil)
		for _, fn := range []func(tx *storage.Tx) error{
			func(tx *storage.Tx) error { return reg.MergeUnit(tx, unitA, unitB, "system") },
			func(tx *storage.Tx) error { return reg.CloseUnit(tx, unitA, "system") },
		} {
			if err := h.db.Update(t.Context(), fn); err == nil {
				h.t.Error("a unit with open tickets is merged or closed")
			}
		}
		h.must(func(tx *storage.Tx) (Ticket, error) {
			return h.Withdraw(tx, busy.ID, Withdrawal{Reason: "不再反映", Evidence: "电话录音"}, h.dispatcher)
		})
		h.update(func(tx *storage.Tx) error { return reg.MergeUnit(tx, unitA, unitB, "system") })
		for _, who := range []Actor{h.handlerB, h.reviewerB} {
			h.hidden(k, who)
		}
		h.must(func(tx *storage.Tx) (Ticket, error) {
			return h.Accept(tx, k.ID, Acceptance{Kind: Complaint}, h.dispatcher)
		})
		h.refused("accused_unit", func(tx *storage.Tx) error {
			_, err := h.Dispatch(tx, k.ID, Dispatching{Host: unitB}, h.dispatcher)
			return err
		})
	})
}
