package console

import (
	"time"

	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket/oversee"
)

// interventionActs are the commands on 人员干预.
var interventionActs = []overAct{
	{code: "open-intervention", kind: oversee.KindIntervention, opens: true, offer: if_(func(v *matterView) bool { return v.can(org.Supervise, org.ApproveWatch) }),
		fields: func(v *matterView, _ string) []field {
			return []field{line("alert", "alert-id", true, 40), v.unitField("unit", "sent-unit", true), area("risk", "risk")}
		}, do: func(d *oversee.Desk, tx *storage.Tx, c overCommand) (oversee.Matter, error) {
			return m(d.OpenIntervention(tx, c.in.text("alert"), c.in.text("unit"), c.in.text("risk"), c.by))
		}},
	{code: "step", kind: oversee.KindIntervention, offer: if_(func(v *matterView) bool { return v.at(oversee.Opened, oversee.Acting) && v.mediates() }),
		fields: fixed(choice("way", "step-way", pairsOf(oversee.InterventionWays)), choice("condition", "person-state", pairsOf(oversee.InterventionConditions)), area("text", "step-text"), date("next", "next-step", false)),
		do: func(d *oversee.Desk, tx *storage.Tx, c overCommand) (oversee.Matter, error) {
			return m(d.AddStep(tx, c.id, c.in.text("way"), c.in.text("condition"), c.in.text("text"), c.end("next"), c.by))
		}},
	{code: "end-intervention", kind: oversee.KindIntervention, offer: if_(func(v *matterView) bool {
		return v.at(oversee.Acting) && v.can(org.Supervise, org.ApproveWatch) && v.me.Unit != v.H.Unit
	}), fields: fixed(choice("outcome", "intervention-outcome", pairsOf(oversee.InterventionOutcomes)), area("text", "ended")),
		do: func(d *oversee.Desk, tx *storage.Tx, c overCommand) (oversee.Matter, error) {
			return m(d.EndIntervention(tx, c.id, c.in.text("outcome"), c.in.text("text"), c.by))
		}},
}

// fillIntervention puts in what an intervention has of its own.
func (v *matterView) fillIntervention(m *oversee.Intervention) {
	v.Facts = append(v.Facts, overFact{Key: "o-alert-id", Value: translate(v.lang, "alert-title"), Link: "/alerts/" + m.Alert})
	v.when("alert-raised", m.RaisedAt)
	v.fact("assigned-in", translate(v.lang, "o-minutes-n", int(m.OpenedAt.Sub(m.RaisedAt)/time.Minute)))
	v.fact("person-state", m.ConditionLabel())
	v.fact("intervention-outcome", m.OutcomeLabel())
	v.section("risk", overItem{Text: v.text(m.Risk)})
	var steps []overItem
	for _, s := range m.Steps {
		way, condition := s.Labels()
		look := map[string]string{"calm": "green", "watch": "yellow", "worse": "red", "unseen": "orange"}[s.Condition]
		steps = append(steps, overItem{Head: v.stamp(s.At) + " " + way, Text: v.text(s.Text), Note: v.names.Who(s.By), Chip: condition, Look: look})
	}
	v.section("steps", steps...)
	v.section("ended", overItem{Text: v.text(m.Ended), Note: v.names.Who(m.EndedBy)})
}
