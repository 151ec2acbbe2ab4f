package console

import (
	"fmt"

	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket/oversee"
	"lianxin/workday"
)

func (v *matterView) mediates() bool {
	return v.mine(org.SubmitResult) || v.can(org.Supervise)
}

// mediationActs are the commands on 矛盾化解.
var mediationActs = []overAct{
	{code: "open-mediation", kind: oversee.KindMediation, opens: true, offer: if_(func(v *matterView) bool { return v.can(org.Supervise, org.DispatchTicket, org.OpenConsult) }),
		fields: func(v *matterView, _ string) []field {
			return []field{line("ticket", "ticket-number", false, 32), line("topic", "topic-number", false, 32), line("title", "conflict", true, 200), choice("sort", "conflict-sort", pairsOf(oversee.MediationSorts)),
				v.unitField("unit", "mediator-or-host", false), date("since", "since", false), {Name: "parties", Label: "o-parties-n", Kind: "number"}, date("due", "first-session", false)}
		}, do: func(d *oversee.Desk, tx *storage.Tx, c overCommand) (oversee.Matter, error) {
			id, err := c.ticket(tx, "ticket")
			if err != nil {
				return nil, err
			}
			topic, err := c.topic(d, tx, "topic")
			if err != nil {
				return nil, err
			}
			since, _ := workday.ParseDay(c.in.text("since")) // none is fine
			parties := 0
			if c.in.text("parties") != "" {
				parties = c.in.number("parties")
			}
			return m(d.OpenMediation(tx, oversee.MediationIn{Ticket: id, Topic: topic, Title: c.in.text("title"), Sort: c.in.text("sort"), Unit: c.in.text("unit"), Since: since, Parties: parties, Due: c.end("due")}, c.by))
		}},
	{code: "session", kind: oversee.KindMediation, offer: if_(func(v *matterView) bool { return v.at(oversee.Opened, oversee.Acting) && v.mediates() }),
		fields: fixed(area("text", "session-text"), line("place", "session-place", false, 60), field{Name: "present", Label: "o-present", Kind: "number", Values: []string{"2"}}),
		do: func(d *oversee.Desk, tx *storage.Tx, c overCommand) (oversee.Matter, error) {
			return m(d.AddSession(tx, c.id, zeroTime, c.in.text("place"), c.in.number("present"), c.in.text("text"), c.by))
		}},
	{code: "agree", kind: oversee.KindMediation, offer: if_(func(v *matterView) bool { return v.at(oversee.Acting) && v.mediates() }),
		fields: fixed(area("text", "agreement"), line("paper", "paper", true, 64), date("until", "kept-until", true)), do: func(d *oversee.Desk, tx *storage.Tx, c overCommand) (oversee.Matter, error) {
			return m(d.Agree(tx, c.id, c.in.text("text"), c.in.text("paper"), c.end("until"), c.by))
		}},
	{code: "keep", kind: oversee.KindMediation, offer: if_(func(v *matterView) bool { return v.at(oversee.Agreed) && v.mediates() }),
		fields: fixed(yesNo("done", "kept-done"), area("text", "kept")), do: func(d *oversee.Desk, tx *storage.Tx, c overCommand) (oversee.Matter, error) {
			return m(d.Keep(tx, c.id, yes(c.in, "done"), c.in.text("text"), c.by))
		}},
	{code: "judge-explained", kind: oversee.KindMediation, offer: if_(func(v *matterView) bool {
		x := v.M.(*oversee.Mediation)
		return v.at(oversee.Explained) && v.can(org.Supervise, org.ApproveList) && x.ExplainBy != v.me.Actor() && v.me.Unit != x.Unit
	}), fields: fixed(yesNo("ok", "explained-ok"), area("text", "verdict")), do: func(d *oversee.Desk, tx *storage.Tx, c overCommand) (oversee.Matter, error) {
		return m(d.JudgeExplained(tx, c.id, yes(c.in, "ok"), c.in.text("text"), c.by))
	}},
	{code: "explain", kind: oversee.KindMediation, look: "quiet", offer: if_(func(v *matterView) bool { return v.at(oversee.Opened, oversee.Acting) && v.mediates() }),
		fields: fixed(area("text", "explained")), do: func(d *oversee.Desk, tx *storage.Tx, c overCommand) (oversee.Matter, error) {
			return m(d.Explain(tx, c.id, c.in.text("text"), c.by))
		}},
	{code: "hand-on", kind: oversee.KindMediation, look: "quiet", offer: if_(func(v *matterView) bool { return v.at(oversee.Opened, oversee.Acting) && v.can(org.Supervise) }),
		fields: fixed(area("text", "handed-on")), do: func(d *oversee.Desk, tx *storage.Tx, c overCommand) (oversee.Matter, error) {
			return m(d.HandOn(tx, c.id, c.in.text("text"), c.by))
		}},
}

// fillMediation puts in what a conflict has of its own.
func (v *matterView) fillMediation(x *oversee.Mediation) {
	v.fact("conflict-sort", x.SortLabel())
	v.fact("since", x.Since.String())
	v.fact("years", translate(v.lang, "o-years-n", x.Years(workday.DayOf(v.s.Now()))))
	if x.Parties > 0 {
		v.fact("parties-n", itoa(x.Parties))
	}
	v.fact("paper", x.Paper)
	v.when("agreed-at", x.AgreedAt)
	var list []overItem
	for _, s := range x.Sessions {
		list = append(list, overItem{Head: v.stamp(s.At), Text: v.text(s.Text), Note: fmt.Sprintf("%s %s %s", v.names.Who(s.By), s.Place, translate(v.lang, "o-present-n", s.Present))})
	}
	v.section("sessions", list...)
	v.fillPapers(x)
	v.section("agreement", overItem{Text: v.text(x.Agreement)})
	var kept []overItem
	for _, k := range x.Kept {
		kept = append(kept, overItem{Text: v.text(k)})
	}
	v.section("kept", kept...)
	v.section("explained", overItem{Text: v.text(x.Explained), Note: v.names.Who(x.ExplainBy)})
	v.section("verdict", overItem{Text: v.text(x.Verdict), Note: v.names.Who(x.FinishedBy)})
}
