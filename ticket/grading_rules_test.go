package ticket

import (
	"strings"
	"testing"

	"lianxin/storage"
	"lianxin/ticket/grade"
)

func TestLOOP11GradingRulesNeedASecondPersonAndHoldFromTheirDay(t *testing.T) {
	each(t, func(h *house) {
		noise := func() Ticket {
			return h.open(func(in *Intake) { in.Title, in.Body = "楼下赌博", "楼下有人聚众赌博。" })
		}
		before := noise()
		if before.Colour != Yellow || before.GradeEvent != 20 {
			h.t.Fatalf("before: %s %d", before.Colour, before.GradeEvent)
		}
		r := *grade.DefaultRules()
		r.Version, r.Effective = "2026.12-1", "2026-11-25"
		r.Factors = append([]grade.FactorRule(nil), r.Factors...)
		for i := range r.Factors {
			if r.Factors[i].Code == "clue" {
				r.Factors[i].Points = 45
			}
		}
		body, err := r.YAML()
		if err != nil {
			h.t.Fatal(err)
		}
		propose := func(body string, note string, by Actor) func(tx *storage.Tx) error {
			return func(tx *storage.Tx) error { _, err := h.ProposeGrading(tx, []byte(body), note, by); return err }
		}
		h.refused("role", propose(string(body), "线索加重", h.dispatcher))
		h.refused("note", propose(string(body), " ", h.admin))
		h.refused("rules", propose(strings.Replace(string(body), "points: 45", "points: -45", 1), "线索加重", h.admin))
		h.refused("rules", propose("version: x", "线索加重", h.admin))
		h.refused("effective", propose(strings.Replace(string(body), "2026-11-25", "2026-11-22", 1), "线索加重", h.admin))
		own, _ := grade.DefaultRules().YAML()
		h.refused("same", propose(strings.NewReplacer(grade.DefaultRules().Version, "2026.12-0", grade.DefaultRules().Effective, "2026-11-25").Replace(string(own)), "没有改动", h.admin))
		var g GradingRules
		h.update(func(tx *storage.Tx) (err error) {
			g, err = h.ProposeGrading(tx, body, "线索加重", h.admin)
			return err
		})
		h.refused("version", propose(string(body), "再提", h.admin))

		decide := func(consent bool, reason string, by Actor) func(tx *storage.Tx) error {
			return func(tx *storage.Tx) error { _, err := h.ConsentGrading(tx, g.ID, consent, reason, by); return err }
		}
		h.set("2026-11-25 09:00")
		if k := noise(); k.GradeEvent != 20 {
			h.t.Errorf("a version that nobody consented to grades: %d", k.GradeEvent)
		}
		h.refused("role", decide(true, "", h.admin))
		h.refused("role", decide(true, "", h.supervisor))
		h.refused("reason", decide(false, "", h.leader))
		h.update(decide(true, "", h.leader))
		h.refused("decided", decide(true, "", h.leader))

		k := noise()
		if k.Colour != Orange || k.GradeEvent != 45 {
			h.t.Errorf("after: %s %d", k.Colour, k.GradeEvent)
		}
		if x := h.grades(k.ID); len(x) == 0 || !strings.HasPrefix(x[0].Rule, "2026.12-1/") {
			h.t.Errorf("the grading does not name its version: %+v", x)
		}
		if x := h.get(before.ID); x.Colour != Yellow {
			h.t.Errorf("a colour that was given became %s", x.Colour)
		}
		var list []GradingRules
		h.view(func(tx *storage.Tx) (err error) { list, err = h.GradingVersions(tx); return err })
		if len(list) != 1 || !list[0].InForce || list[0].DecidedBy != h.leader.String() || list[0].ProposedBy != h.admin.String() {
			h.t.Errorf("%+v", list)
		}
	})
}
