package console

import (
	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket"
	"lianxin/ticket/oversee"
)

// badActs are the commands on 差评整改.
var badActs = []overAct{
	{code: "contact-bad", kind: oversee.KindBad, offer: if_(func(v *matterView) bool {
		return v.at(oversee.Raised) && v.outside() && v.can(org.MakeReview, org.Supervise)
	}), fields: fixed(area("note", "contact-note")), do: func(d *oversee.Desk, tx *storage.Tx, c overCommand) (oversee.Matter, error) {
		return m(d.ContactBad(tx, c.id, c.in.text("note"), c.by))
	}},
	{code: "verify-bad", kind: oversee.KindBad, offer: if_(func(v *matterView) bool {
		return v.at(oversee.Contacted) && v.outside() && v.can(org.MakeReview, org.Supervise)
	}), fields: fixed(choice("finding", "finding-bad", pairsOf(oversee.BadFindings)), area("found", "found-bad"), mayArea("measure", "measure-bad")),
		do: func(d *oversee.Desk, tx *storage.Tx, c overCommand) (oversee.Matter, error) {
			return m(d.VerifyBad(tx, c.id, c.in.text("finding"), c.in.text("found"), c.in.text("measure"), c.by))
		}},
	{code: "judge-bad", kind: oversee.KindBad, offer: if_(func(v *matterView) bool {
		return v.at(oversee.Judging, oversee.Appealed) && v.outside() && v.can(org.JudgeAppeal) && v.M.(*oversee.BadRating).FoundBy != v.me.Actor()
	}), fields: fixed(yesNo("exclude", "exclude-bad"), area("verdict", "verdict")), do: func(d *oversee.Desk, tx *storage.Tx, c overCommand) (oversee.Matter, error) {
		return m(d.JudgeBad(tx, c.id, yes(c.in, "exclude"), c.in.text("verdict"), c.by))
	}},
	{code: "rectify-bad", kind: oversee.KindBad, offer: if_(func(v *matterView) bool {
		return v.at(oversee.Rectifying) && v.me.Unit == v.M.(*oversee.BadRating).Rated && v.can(org.SubmitResult, org.AppealRating)
	}), fields: fixed(area("text", "rectified")), do: func(d *oversee.Desk, tx *storage.Tx, c overCommand) (oversee.Matter, error) {
		return m(d.RectifyBad(tx, c.id, c.in.text("text"), c.by))
	}},
	{code: "appeal-bad", kind: oversee.KindBad, look: "quiet", offer: if_(func(v *matterView) bool {
		b := v.M.(*oversee.BadRating)
		return v.at(oversee.Rectifying) && b.Appeal.IsZero() && v.me.Unit == b.Rated && v.can(org.SubmitResult, org.AppealRating)
	}), fields: fixed(area("text", "appeal-bad")), do: func(d *oversee.Desk, tx *storage.Tx, c overCommand) (oversee.Matter, error) {
		return m(d.AppealBad(tx, c.id, c.in.text("text"), c.by))
	}},
	{code: "recheck-bad", kind: oversee.KindBad, offer: if_(func(v *matterView) bool {
		b := v.M.(*oversee.BadRating)
		return v.at(oversee.Rechecking) && v.outside() && b.DoneBy != v.me.Actor() && (v.can(org.Supervise, org.MakeReview) || v.names.below(b.Rated, v.me.Unit) && v.can(org.ReviewResult))
	}), fields: fixed(yesNo("ok", "ok-bad"), area("text", "checked-bad")), do: func(d *oversee.Desk, tx *storage.Tx, c overCommand) (oversee.Matter, error) {
		return m(d.RecheckBad(tx, c.id, yes(c.in, "ok"), c.in.text("text"), c.by))
	}},
}

// outside reports whether the reader is not of the unit that was rated.
func (v *matterView) outside() bool {
	return !v.names.below(v.me.Unit, v.M.(*oversee.BadRating).Rated)
}

// fillBad puts in what a bad rating has of its own.
func (v *matterView) fillBad(b *oversee.BadRating) {
	v.unit("rated", b.Rated)
	v.fact("window", b.Window)
	v.fact("clerk-no", b.Clerk)
	v.when("raised-at", b.RaisedAt)
	v.when("contact-due", b.ContactDue)
	v.when("contacted-at", b.ContactedAt)
	v.when("rectify-due", b.RectifyDue)
	v.when("ceiling", b.Ceiling)
	v.fact("finding-bad", b.FindingLabel())
	if b.Excluded {
		v.fact("excluded", translate(v.lang, "o-is-yes"))
	}
	if b.Ticket != "" && v.me.Role.Reach() == org.ReachAll {
		if t, err := v.s.Office.See(v.tx, b.Ticket, ticket.Staff(v.me.Staff)); err == nil {
			v.Facts = append(v.Facts, overFact{Key: "o-ticket-number", Value: t.Number, Link: "/tickets/" + t.ID})
		}
	}
	v.section("found-bad", overItem{Text: v.text(b.Found), Note: v.names.Who(b.FoundBy)})
	v.section("measure-bad", overItem{Text: v.text(b.Measure)})
	v.section("rectified", overItem{Text: v.text(b.Done), Note: v.names.Who(b.DoneBy)})
	v.section("appeal-bad", overItem{Text: v.text(b.Appeal), Note: v.names.Who(b.AppealBy)})
	v.section("checked-bad", overItem{Text: v.text(b.Checked), Note: v.names.Who(b.CheckedBy)})
	v.section("verdict", overItem{Text: v.text(b.Verdict), Note: v.names.Who(b.JudgedBy)})
}
