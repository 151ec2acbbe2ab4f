package ticket

import (
	"testing"

	"lianxin/org"
	"lianxin/storage"
)

// staff adds somebody to a unit.
func (h *house) staff(login, unit string, role org.Role) (a Actor) {
	h.t.Helper()
	h.update(func(tx *storage.Tx) error {
		s, err := org.Register{}.AddStaff(tx, org.Staff{Login: login, Name: login, Role: role, Unit: unit}, "system")
		a = Staff(s)
		return err
	})
	return a
}

func TestAResultIsReviewedByTheUnitsLeaderOrOneAboveIt(t *testing.T) {
	each(t, func(h *house) {
		k, _ := h.handling(nil)
		k = h.toReviewing(k)
		branch, other := h.staff("reviewer-ping", "ping", org.Reviewer), h.staff("reviewer-xi", "xi", org.Reviewer)
		deputy := h.staff("handler-ping", "ping", org.Handler)
		reply := Reply{Text: "您反映的问题已处理", Via: "phone"}
		h.refused("centre", func(tx *storage.Tx) error { _, err := h.Approve(tx, k.ID, reply, other); return err })
		h.refused("role", func(tx *storage.Tx) error { _, err := h.Approve(tx, k.ID, reply, deputy); return err })
		h.must(func(tx *storage.Tx) (Ticket, error) { return h.Approve(tx, k.ID, reply, branch) })
		h.wantState(k.ID, Replied)
	})
}

func TestOfAConfidentialTicketTheCentreMakesTheContactForTheUnit(t *testing.T) {
	each(t, func(h *house) {
		k, l := h.handling(func(in *Intake) { in.Confidential = true })
		h.refused("no_contact", func(tx *storage.Tx) error { _, err := h.Submit(tx, l.ID, result(), h.handlerA); return err })
		note := ContactNote{Via: "phone", Outcome: Reached, Note: "已代为联系"}
		h.refused("confidential", func(tx *storage.Tx) error { _, err := h.Contacted(tx, l.ID, note, h.dispatcher); return err })
		h.must(func(tx *storage.Tx) (Ticket, error) { return h.Contacted(tx, l.ID, note, h.caller) })
		if c := h.clocks(k.ID, ClockContact); len(c) != 1 || c[0].State != Met {
			h.t.Errorf("the clock of 首次联系: %+v", c)
		}
		if got := h.hostLeg(k.ID); got.Handler == h.caller.String() {
			h.t.Error("who made the contact for the unit counts as its handler")
		}
		h.must(func(tx *storage.Tx) (Ticket, error) { return h.Submit(tx, l.ID, result(), h.handlerA) })
		h.wantState(k.ID, Reviewing)

		open, leg := h.handling(nil)
		h.refused("unit", func(tx *storage.Tx) error { _, err := h.Contacted(tx, leg.ID, note, h.caller); return err })
		h.wantState(open.ID, Handling)
	})
}
