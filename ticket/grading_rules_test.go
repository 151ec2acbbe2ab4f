package ticket

import (
	"slices"
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
			return func(tx *storage.Tx) error {
				_, err := h.ProposeGrading(tx, GradingProposal{Body: []byte(body), Note: note}, by)
				return err
			}
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
			g, err = h.ProposeGrading(tx, GradingProposal{Body: body, Note: "线索加重"}, h.admin)
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
		h.refused("trial", decide(true, "", h.leader))
		rules, err := g.Rules()
		if err != nil {
			h.t.Fatal(err)
		}
		trial, err := h.TryGrading(h.t.Context(), h.db, rules, 90, 100)
		if err != nil || trial.Tickets != 2 || trial.Up != 2 || trial.After[Orange] != 2 || trial.Before[Yellow] != 2 || !slices.Equal(trial.Changed[0].Gained, []string{"违法犯罪或治安线索"}) {
			h.t.Errorf("trial: %+v, %v", trial, err)
		}
		keep := func(x GradingTrial, by Actor) func(tx *storage.Tx) error {
			return func(tx *storage.Tx) error { _, err := h.RecordTrial(tx, g.ID, x, by); return err }
		}
		h.refused("role", keep(trial, h.dispatcher))
		h.refused("trial", keep(GradingTrial{Rules: "another"}, h.admin))
		h.update(keep(trial, h.leader))
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

func TestLOOP11AWordListIsPublishedLikeThePoints(t *testing.T) {
	each(t, func(h *house) {
		open := func() Ticket {
			return h.open(func(in *Intake) { in.Title, in.Body = "楼上", "楼上是电诈窝点。" })
		}
		if x := open(); x.Colour != Blue {
			h.t.Fatalf("before: %s", x.Colour)
		}
		own := grade.DefaultRules()
		body, err := own.Renamed("2026.12-2", "2026-11-23", "管理员")
		if err != nil {
			h.t.Fatal(err)
		}
		parts, err := own.WordParts()
		if err != nil {
			h.t.Fatal(err)
		}
		edits := map[string]string{}
		for _, p := range parts {
			if p.Key == "set.crime" {
				edits[p.Key] = p.Text + " 电诈窝点"
			}
		}
		words, err := own.EditWords("2026.12-2", edits)
		if err != nil {
			h.t.Fatal(err)
		}
		blind, err := own.EditWords("2026.12-2", map[string]string{"group.自伤自杀.find": "想不开"})
		if err != nil {
			h.t.Fatal(err)
		}
		propose := func(words string) func(tx *storage.Tx) error {
			return func(tx *storage.Tx) error {
				_, err := h.ProposeGrading(tx, GradingProposal{Body: body, Words: words, Note: "新骗术"}, h.admin)
				return err
			}
		}
		h.refused("same", propose(""))
		h.refused("rules", propose("groups: [x"))
		h.refused("danger", propose(blind))
		p := GradingProposal{Body: body, Words: words, Note: "新骗术"}
		rules, err := p.Check()
		if err != nil {
			h.t.Fatal(err)
		}
		if p.Trial, err = h.TryGrading(h.t.Context(), h.db, rules, 90, 100); err != nil || p.Trial.Up != 1 {
			h.t.Fatalf("trial: %+v, %v", p.Trial, err)
		}
		h.update(func(tx *storage.Tx) error {
			g, err := h.ProposeGrading(tx, p, h.admin)
			if err == nil {
				_, err = h.ConsentGrading(tx, g.ID, true, "", h.leader)
			}
			return err
		})
		if x := open(); x.Colour != Yellow || x.GradeEvent != 20 {
			h.t.Errorf("after: %s %d", x.Colour, x.GradeEvent)
		}
		h.view(func(tx *storage.Tx) error {
			list, err := h.GradingVersions(tx)
			if err != nil || len(list) != 1 || list[0].Trial.Up != 1 || !list[0].InForce {
				h.t.Errorf("%+v, %v", list, err)
			}
			return nil
		})
	})
}
