package oversee

import (
	"testing"
	"time"

	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket"
)

// RES-3: an acknowledged alert sends a unit, every contact is written down, a worse one is an alert of its own, and the centre
// ends it with its outcome; nobody else's seat sees it.
func TestAnAlertLeadsToAnInterventionWhoseStepsAndOutcomeAreKept(t *testing.T) {
	each2(t, func(h *house) {
		k := h.open(3, "扬言报复", "诉求人扬言报复邻居")
		a := must(h, func(tx *storage.Tx) (ticket.Alert, error) {
			return h.o.RaiseAlert(tx, ticket.Alert{Key: "t/1", Rule: "W1", Level: ticket.Red, TicketID: k.ID, Title: "扬言报复", By: ticket.System})
		})
		send := func(unit string, by ticket.Actor) func(tx *storage.Tx) (Intervention, error) {
			return func(tx *storage.Tx) (Intervention, error) {
				return h.desk.OpenIntervention(tx, a.ID, unit, "与邻居积怨三年", by)
			}
		}
		refused(h, "state", send(unitA, h.supervisor))
		must(h, func(tx *storage.Tx) (ticket.Alert, error) { return h.o.AckAlert(tx, a.ID, h.operator) })
		refused(h, "role", send(unitA, h.operator))
		refused(h, "unit", send("", h.supervisor))
		m := must(h, send(unitA, h.supervisor))
		refused(h, "there", send(unitB, h.leader))
		h.view(func(tx *storage.Tx) error {
			x, err := h.o.Alert(tx, a.ID, h.supervisor)
			if x.State != ticket.AlertDisposed || x.Disposition != ticket.Intervention {
				t.Errorf("%+v", x)
			}
			return err
		})
		step := func(way, condition, text string, next time.Time, by ticket.Actor) func(tx *storage.Tx) (Intervention, error) {
			return func(tx *storage.Tx) (Intervention, error) {
				return h.desk.AddStep(tx, m.ID, way, condition, text, next, by)
			}
		}
		end := func(outcome string, by ticket.Actor) func(tx *storage.Tx) (Intervention, error) {
			return func(tx *storage.Tx) (Intervention, error) {
				return h.desk.EndIntervention(tx, m.ID, outcome, "双方和解", by)
			}
		}
		refused(h, "state", end("eased", h.supervisor))
		refused(h, "role", step("meet", "watch", "见面", time.Time{}, h.handlerB))
		refused(h, "way", step("meet", "", "见面", time.Time{}, h.handlerA))
		refused(h, "next", step("meet", "watch", "见面", h.clock().AddDate(0, 3, 0), h.handlerA))
		refused(h, "empty", step("meet", "watch", " ", time.Time{}, h.handlerA))
		must(h, step("meet", "watch", "见面谈话，情绪激动", h.clock().Add(6*time.Hour), h.handlerA))
		m = must(h, step("family", "worse", "家属称其购买刀具", time.Time{}, h.handlerA))
		if more := h.raised("RES3"); len(more) != 1 || more[0].Level != ticket.Red || more[0].TicketID != k.ID {
			t.Errorf("%+v", more)
		}
		refused(h, "condition", end("eased", h.supervisor))
		before := len(list[Intervention](h, KindIntervention)[0].Steps)
		h.pass(25 * time.Hour)
		h.sweep() // the next contact is late
		if x := list[Intervention](h, KindIntervention)[0]; !x.Next.After(h.clock()) || len(x.Steps) != before {
			t.Errorf("nobody was reminded: %+v", x)
		}
		must(h, step("medical", "calm", "已接受心理援助", time.Time{}, h.handlerA))
		refused(h, "role", end("eased", h.handlerA))
		m = must(h, end("eased", h.supervisor))
		if m.State != ClosedUp || len(m.Steps) != 3 || m.OutcomeLabel() != "风险解除" {
			t.Errorf("%+v", m)
		}
		for role, may := range map[ticket.Actor]bool{h.supervisor: true, h.leader: true, h.handlerA: true, h.handlerB: false, h.operator: false, h.analyst: org.Can(h.analyst.Role, org.Supervise)} {
			h.view(func(tx *storage.Tx) error {
				x, err := h.desk.InterventionOf(tx, a.ID, role)
				if (x != nil) != may {
					t.Errorf("%s sees it: %v", role.Role, x != nil)
				}
				return err
			})
		}
	})
}
