package console

import (
	"errors"
	"slices"
	"strings"
	"time"

	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket"
	"lianxin/ticket/oversee"
	"lianxin/ticket/warn"
	"lianxin/workday"
)

// overAct is a command on a matter, or one that opens a matter of a kind. The room decides once more when it comes.
type overAct struct {
	code   string // in the address; its title is the text "o-act-"+code
	kind   oversee.Kind
	look   string
	opens  bool
	offer  func(v *matterView) []subject
	fields func(v *matterView, on string) []field
	do     func(d *oversee.Desk, tx *storage.Tx, c overCommand) (oversee.Matter, error)
}

// overCommand is a form, or a body of the API, that came.
type overCommand struct {
	id     string
	on     string
	in     input
	by     ticket.Actor
	office *ticket.Office
}

// ticket is the id of the ticket whose number was typed; "" when none was.
func (c overCommand) ticket(tx *storage.Tx, name string) (string, error) {
	n := c.in.text(name)
	if n == "" {
		return "", nil
	}
	t, err := c.office.See(tx, n, c.by)
	if errors.Is(err, storage.ErrNotFound) {
		return "", &ticket.Refusal{Code: "number", Message: "没有找到编号为“" + n + "”的诉求"}
	}
	return t.ID, err
}

// tickets are the ids of several numbers, parted by blanks or commas.
func (c overCommand) tickets(tx *storage.Tx, name string) ([]string, error) {
	var out []string
	for _, n := range parted(c.in.text(name)) {
		t, err := c.office.See(tx, n, c.by)
		if errors.Is(err, storage.ErrNotFound) {
			return nil, &ticket.Refusal{Code: "number", Message: "没有找到编号为“" + n + "”的诉求"}
		} else if err != nil {
			return nil, err
		}
		out = append(out, t.ID)
	}
	return out, nil
}

func parted(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(" ,，、;；\n\t", r) })
}

// end is the end of working on a day that was picked; the zero time when none was.
func (c overCommand) end(name string) time.Time { return c.in.lastMoment(name) }

func (c overCommand) topic(d *oversee.Desk, tx *storage.Tx, name string) (string, error) {
	n := c.in.text(name)
	if n == "" {
		return "", nil
	}
	m, err := d.Get(tx, oversee.KindTopic, n, c.by)
	if errors.Is(err, storage.ErrNotFound) {
		return "", &ticket.Refusal{Code: "topic", Message: "没有找到专题“" + n + "”"}
	} else if err != nil {
		return "", err
	}
	return oversee.Of(m).ID, nil
}

// m makes a matter of what a command returned.
func m[T any, P interface {
	*T
	oversee.Matter
}](v T, err error) (oversee.Matter, error) {
	return P(&v), err
}

func (v *matterView) can(acts ...org.Action) bool {
	return slices.ContainsFunc(acts, func(a org.Action) bool { return v.me.Can(a) })
}

func (v *matterView) at(states ...oversee.State) bool { return slices.Contains(states, v.H.State) }

func (v *matterView) mine(act org.Action) bool { return v.me.Unit == v.H.Unit && v.me.Can(act) }

// if_ offers a command once.
func if_(ok func(v *matterView) bool) func(v *matterView) []subject {
	return func(v *matterView) []subject { return once(ok(v)) }
}

func area(name, label string) field {
	return field{Name: name, Label: "o-" + label, Kind: "area", Required: true, Max: 5000}
}

func mayArea(name, label string) field {
	f := area(name, label)
	f.Required = false
	return f
}

func fixed(fields ...field) func(*matterView, string) []field {
	return func(*matterView, string) []field { return fields }
}

func pairsOf(list [][2]string) []option {
	var out []option
	for _, x := range list {
		out = append(out, option{Value: x[0], Label: x[1]})
	}
	return out
}

func (v *matterView) unitField(name, label string, required bool, chosen ...string) field {
	return field{Name: name, Label: "o-" + label, Kind: "select", Required: required, Options: v.names.unitOptions(), Values: chosen}
}

func (v *matterView) staffOptions(ok func(org.Staff) bool) []option {
	var out []option
	for _, s := range v.names.staff {
		if s.Active && ok(s) {
			out = append(out, option{Value: s.ID, Label: s.Name + "（" + s.Role.Label() + "）", Group: v.names.Unit(s.Unit)})
		}
	}
	slices.SortFunc(out, func(a, b option) int { return strings.Compare(a.Group+a.Label, b.Group+b.Label) })
	return out
}

func date(name, label string, required bool) field {
	return field{Name: name, Label: "o-" + label, Kind: "date", Required: required}
}

func line(name, label string, required bool, max int) field {
	return field{Name: name, Label: "o-" + label, Required: required, Max: max}
}

func choice(name, label string, options []option, chosen ...string) field {
	return field{Name: name, Label: "o-" + label, Kind: "select", Required: true, Options: options, Values: chosen}
}

func levels() []option {
	var out []option
	for i := range 4 {
		out = append(out, option{Value: itoa(i), Label: "L" + itoa(i) + " " + oversee.LevelLabel(i)})
	}
	return out
}

func triggers() []option {
	var out []option
	for _, t := range []oversee.Trigger{oversee.ByHand, oversee.ByInstruction, oversee.ByMedia, oversee.ByRepeat, oversee.ByPending, oversee.ByGroup, oversee.ByReturns, oversee.ByUnsatisfied} {
		out = append(out, option{Value: string(t), Label: t.Label()})
	}
	return out
}

func yes(in input, name string) bool { return in.text(name) == "yes" }

var yesNo = func(name, label string) field {
	return field{Name: name, Label: "o-" + label, Kind: "yesno", Required: true}
}

// overActs are the commands by kind, in the order of the panels.
var overActs = slices.Concat(superviseActs, topicActs, consultActs, orderActs, backcheckActs, badActs, mediationActs, outreachActs, interventionActs, otherActs)

var superviseActs = []overAct{
	{code: "propose", kind: oversee.KindSupervision, opens: true, offer: if_(func(v *matterView) bool { return v.can(org.Supervise, org.ApproveList) }), fields: func(v *matterView, _ string) []field {
		return []field{line("ticket", "ticket-number", false, 32), line("topic", "topic-number", false, 32), choice("level", "level", levels(), "1"), choice("trigger", "trigger", triggers(), "hand"),
			v.unitField("unit", "unit-or-host", false), area("grounds", "grounds"), mayArea("requirement", "requirement")}
	}, do: func(d *oversee.Desk, tx *storage.Tx, c overCommand) (oversee.Matter, error) {
		id, err := c.ticket(tx, "ticket")
		if err != nil {
			return nil, err
		}
		topic, err := c.topic(d, tx, "topic")
		if err != nil {
			return nil, err
		}
		return m(d.Propose(tx, oversee.Proposal{Level: c.in.number("level"), Trigger: oversee.Trigger(c.in.text("trigger")), TicketID: id, Topic: topic, Unit: c.in.text("unit"),
			Grounds: c.in.text("grounds"), Requirement: c.in.text("requirement")}, c.by))
	}},
	{code: "issue", kind: oversee.KindSupervision, offer: if_(func(v *matterView) bool {
		s := v.M.(*oversee.Supervision)
		return v.at(oversee.Candidate) && (s.Level < 2 && v.can(org.Supervise) || v.can(org.ApproveList) && s.OpenedBy != v.me.Actor())
	}), fields: func(v *matterView, _ string) []field {
		s := v.M.(*oversee.Supervision)
		return []field{v.unitField("unit", "unit", true, s.Unit), {Name: "requirement", Label: "o-requirement", Kind: "area", Required: true, Max: 5000, Values: []string{v.text(s.Requirement)}}, date("due", "due", false)}
	}, do: func(d *oversee.Desk, tx *storage.Tx, c overCommand) (oversee.Matter, error) {
		return m(d.Issue(tx, c.id, oversee.Issuing{Unit: c.in.text("unit"), Requirement: c.in.text("requirement"), Due: c.end("due")}, c.by))
	}},
	{code: "drop", kind: oversee.KindSupervision, look: "quiet", offer: if_(func(v *matterView) bool {
		s := v.M.(*oversee.Supervision)
		return v.at(oversee.Candidate) && (s.Level < 2 && v.can(org.Supervise) || s.Level >= 2 && v.can(org.ApproveList))
	}), fields: fixed(area("reason", "reason")), do: func(d *oversee.Desk, tx *storage.Tx, c overCommand) (oversee.Matter, error) {
		return m(d.DropCandidate(tx, c.id, c.in.text("reason"), c.by))
	}},
	{code: "sign", kind: oversee.KindSupervision, offer: if_(func(v *matterView) bool { return v.at(oversee.Issued) && v.mine(org.SignTicket) }),
		do: func(d *oversee.Desk, tx *storage.Tx, c overCommand) (oversee.Matter, error) {
			return m(d.SignSupervision(tx, c.id, c.by))
		}},
	{code: "feed", kind: oversee.KindSupervision, offer: if_(func(v *matterView) bool { return v.at(oversee.Signed, oversee.SentBack) && v.mine(org.SubmitResult) }),
		fields: fixed(area("text", "feedback"), yesNo("final", "final")), do: func(d *oversee.Desk, tx *storage.Tx, c overCommand) (oversee.Matter, error) {
			return m(d.Feed(tx, c.id, c.in.text("text"), yes(c.in, "final"), c.by))
		}},
	{code: "send-back", kind: oversee.KindSupervision, look: "quiet", offer: if_(func(v *matterView) bool { return v.at(oversee.Feedback) && v.can(org.Supervise, org.ApproveList) }),
		fields: fixed(area("reason", "reason")), do: func(d *oversee.Desk, tx *storage.Tx, c overCommand) (oversee.Matter, error) {
			return m(d.SendBack(tx, c.id, c.in.text("reason"), c.by))
		}},
	{code: "wish-release", kind: oversee.KindSupervision, offer: if_(func(v *matterView) bool {
		s := v.M.(*oversee.Supervision)
		return v.at(oversee.Feedback) && s.Level >= 2 && s.Wish.IsZero() && v.can(org.Supervise)
	}), fields: fixed(area("reason", "wish")), do: func(d *oversee.Desk, tx *storage.Tx, c overCommand) (oversee.Matter, error) {
		return m(d.WishRelease(tx, c.id, c.in.text("reason"), c.by))
	}},
	{code: "release", kind: oversee.KindSupervision, offer: if_(func(v *matterView) bool {
		s := v.M.(*oversee.Supervision)
		if s.Level >= 2 {
			return v.at(oversee.Feedback) && !s.Wish.IsZero() && s.WishedBy != v.me.Actor() && v.can(org.ApproveList)
		}
		return (v.at(oversee.Feedback) || s.Level == 0 && v.at(oversee.Issued, oversee.Signed, oversee.SentBack)) && v.can(org.Supervise, org.ApproveList)
	}), fields: fixed(area("verdict", "verdict"), mayArea("responsible", "responsible")), do: func(d *oversee.Desk, tx *storage.Tx, c overCommand) (oversee.Matter, error) {
		return m(d.Release(tx, c.id, c.in.text("verdict"), c.in.text("responsible"), c.by))
	}},
	{code: "raise", kind: oversee.KindSupervision, look: "quiet", offer: if_(func(v *matterView) bool {
		return v.at(oversee.Issued, oversee.Signed, oversee.Feedback, oversee.SentBack) && v.M.(*oversee.Supervision).Level < 3 && v.can(org.Supervise, org.ApproveList)
	}), fields: fixed(area("reason", "reason")), do: func(d *oversee.Desk, tx *storage.Tx, c overCommand) (oversee.Matter, error) {
		return m(d.Raise(tx, c.id, c.in.text("reason"), c.by))
	}},
}

var gathers = []org.Action{org.Supervise, org.DraftReport, org.MergeTicket}

var topicActs = []overAct{
	{code: "open-topic", kind: oversee.KindTopic, opens: true, offer: if_(func(v *matterView) bool { return v.can(gathers...) }), fields: func(v *matterView, _ string) []field {
		return []field{line("title", "title", true, 200), area("tickets", "ticket-numbers"), line("place", "place", false, 100), line("cause-tag", "cause-tag", false, 40), v.unitField("unit", "lead-unit", false)}
	}, do: func(d *oversee.Desk, tx *storage.Tx, c overCommand) (oversee.Matter, error) {
		ids, err := c.tickets(tx, "tickets")
		if err != nil {
			return nil, err
		}
		return m(d.OpenTopic(tx, oversee.TopicIn{Title: c.in.text("title"), Tickets: ids, Place: c.in.text("place"), CauseTag: c.in.text("cause-tag"), Unit: c.in.text("unit")}, c.by))
	}},
	{code: "govern", kind: oversee.KindTopic, offer: if_(func(v *matterView) bool {
		return v.at(oversee.Opened, oversee.Observing, oversee.Done) && v.can(org.Supervise)
	}), fields: func(v *matterView, _ string) []field {
		return []field{v.unitField("unit", "lead-unit", true, v.H.Unit), area("cause", "cause"), date("due", "due", false)}
	}, do: func(d *oversee.Desk, tx *storage.Tx, c overCommand) (oversee.Matter, error) {
		return m(d.Govern(tx, c.id, c.in.text("unit"), c.in.text("cause"), c.end("due"), c.by))
	}},
	{code: "observe", kind: oversee.KindTopic, offer: if_(func(v *matterView) bool { return v.at(oversee.Governing) && v.can(org.Supervise) }),
		fields: fixed(area("text", "governed")), do: func(d *oversee.Desk, tx *storage.Tx, c overCommand) (oversee.Matter, error) {
			return m(d.Observe(tx, c.id, c.in.text("text"), c.by))
		}},
	{code: "board", kind: oversee.KindTopic, look: "quiet", offer: func(v *matterView) []subject {
		t := v.M.(*oversee.Topic)
		if !t.Open() {
			return nil
		}
		var out []subject
		add := func(ok bool, step string) {
			if ok {
				out = append(out, subject{step, translate(v.lang, "o-board-"+step)})
			}
		}
		add((t.Board == "" || t.Board == "off") && v.can(org.Supervise), "ask")
		add(t.Board == "asked" && v.can(org.ApproveList) && t.BoardBy != v.me.Actor(), "list")
		on := t.Board == "listed" || t.Board == "monitored"
		add(on && t.OffAsked == "" && v.can(org.Supervise), "ask-off")
		add(on && t.OffAsked != "" && v.can(org.ApproveList), "off")
		return out
	}, fields: fixed(area("reason", "reason")), do: func(d *oversee.Desk, tx *storage.Tx, c overCommand) (oversee.Matter, error) {
		return m(d.Board(tx, c.id, c.on, c.in.text("reason"), c.by))
	}},
	{code: "add-tickets", kind: oversee.KindTopic, look: "quiet", offer: if_(func(v *matterView) bool {
		return v.at(oversee.Opened, oversee.Governing, oversee.Observing) && v.can(gathers...)
	}), fields: fixed(area("tickets", "ticket-numbers")), do: func(d *oversee.Desk, tx *storage.Tx, c overCommand) (oversee.Matter, error) {
		ids, err := c.tickets(tx, "tickets")
		if err != nil {
			return nil, err
		}
		return m(d.AddToTopic(tx, c.id, ids, c.by))
	}},
	{code: "take-ticket", kind: oversee.KindTopic, look: "quiet", offer: if_(func(v *matterView) bool { return len(v.Tickets) > 1 && v.can(gathers...) }), fields: func(v *matterView, _ string) []field {
		var out []option
		for _, t := range v.Tickets {
			out = append(out, option{Value: t.ID, Label: t.Number + " " + t.Title})
		}
		return []field{choice("ticket", "ticket-number", out), area("reason", "reason")}
	}, do: func(d *oversee.Desk, tx *storage.Tx, c overCommand) (oversee.Matter, error) {
		return m(d.TakeFromTopic(tx, c.id, c.in.text("ticket"), c.in.text("reason"), c.by))
	}},
	{code: "finish", kind: oversee.KindTopic, look: "quiet", offer: if_(func(v *matterView) bool {
		return v.at(oversee.Opened, oversee.Governing, oversee.Observing) && v.can(org.Supervise)
	}), fields: func(v *matterView, _ string) []field {
		f := []field{area("verdict", "verdict")}
		if v.at(oversee.Opened) {
			f = append(f, field{Name: "none", Label: "o-none", Kind: "check"})
		}
		return f
	}, do: func(d *oversee.Desk, tx *storage.Tx, c overCommand) (oversee.Matter, error) {
		return m(d.FinishTopic(tx, c.id, c.in.on("none"), c.in.text("verdict"), c.by))
	}},
}

var consultActs = []overAct{
	{code: "open-consult", kind: oversee.KindConsult, opens: true, offer: if_(func(v *matterView) bool { return v.can(org.OpenConsult) }), fields: func(v *matterView, _ string) []field {
		return []field{line("ticket", "ticket-number", false, 32), line("topic", "topic-number", false, 32), choice("reason", "reason-consult", pairsOf(oversee.ConsultReasons())), area("question", "question"), date("due", "due", false)}
	}, do: func(d *oversee.Desk, tx *storage.Tx, c overCommand) (oversee.Matter, error) {
		id, err := c.ticket(tx, "ticket")
		if err != nil {
			return nil, err
		}
		topic, err := c.topic(d, tx, "topic")
		if err != nil {
			return nil, err
		}
		return m(d.OpenConsult(tx, id, topic, c.in.text("reason"), c.in.text("question"), c.end("due"), c.by))
	}},
	{code: "invite", kind: oversee.KindConsult, offer: if_(func(v *matterView) bool {
		return v.at(oversee.Opened, oversee.Invited, oversee.Opinions, oversee.Adjourned) && v.can(org.OpenConsult)
	}), fields: func(v *matterView, _ string) []field {
		of := ""
		if len(v.H.Tickets) > 0 {
			of = v.H.Tickets[0]
		}
		var out []option
		if v.tx != nil {
			list, err := v.s.Oversight.Experts(v.tx, "", of)
			if err == nil {
				for _, x := range list {
					if x.Exclude == "" { // whoever has an interest is not offered (ORG-4)
						out = append(out, option{Value: x.Staff.ID, Label: x.Staff.Name + "：" + strings.Join(x.Expert.Topics, "、"), Group: v.names.Unit(x.Staff.Unit)})
					}
				}
			}
		}
		return []field{{Name: "experts", Label: "o-experts", Kind: "units", Required: true, Options: out}}
	}, do: func(d *oversee.Desk, tx *storage.Tx, c overCommand) (oversee.Matter, error) {
		return m(d.Invite(tx, c.id, c.in.list("experts"), c.by))
	}},
	{code: "opine", kind: oversee.KindConsult, offer: if_(func(v *matterView) bool {
		return v.at(oversee.Invited, oversee.Opinions) && v.can(org.GiveOpinion) && slices.Contains(v.M.(*oversee.Consult).Experts, v.me.Actor())
	}), fields: fixed(area("text", "opinion")), do: func(d *oversee.Desk, tx *storage.Tx, c overCommand) (oversee.Matter, error) {
		return m(d.Opine(tx, c.id, c.in.text("text"), c.by))
	}},
	{code: "conclude", kind: oversee.KindConsult, offer: if_(func(v *matterView) bool { return v.at(oversee.Opinions) && v.can(org.OpenConsult) }), fields: func(v *matterView, _ string) []field {
		return []field{area("text", "conclusion"), area("basis", "basis"), v.unitField("host", "host", true), {Name: "co", Label: "o-co", Kind: "units", Options: v.names.unitOptions()}, date("deadline", "deadline", false),
			mayArea("minutes", "minutes"), {Name: "keep", Label: "o-keep", Kind: "check", Values: []string{"1"}}}
	}, do: func(d *oversee.Desk, tx *storage.Tx, c overCommand) (oversee.Matter, error) {
		return m(d.Conclude(tx, c.id, oversee.Ruling{Text: c.in.text("text"), Basis: c.in.text("basis"), Host: c.in.text("host"), Co: c.in.list("co"), Deadline: c.end("deadline"), Minutes: c.in.text("minutes"), Keep: c.in.on("keep")}, c.by))
	}},
	{code: "adjourn", kind: oversee.KindConsult, look: "quiet", offer: if_(func(v *matterView) bool {
		return v.at(oversee.Opened, oversee.Invited, oversee.Opinions) && v.can(org.OpenConsult)
	}), fields: fixed(area("reason", "reason")), do: func(d *oversee.Desk, tx *storage.Tx, c overCommand) (oversee.Matter, error) {
		return m(d.Adjourn(tx, c.id, c.in.text("reason"), c.by))
	}},
	{code: "put-expert", kind: oversee.KindExpert, opens: true, offer: if_(func(v *matterView) bool { return v.can(org.Supervise) }), fields: func(v *matterView, _ string) []field {
		return []field{choice("staff", "expert", v.staffOptions(func(s org.Staff) bool { return org.Can(s.Role, org.GiveOpinion) })), line("topics", "topics", true, 300), yesNo("available", "available"), mayArea("note", "note")}
	}, do: func(d *oversee.Desk, tx *storage.Tx, c overCommand) (oversee.Matter, error) {
		return m(d.PutExpert(tx, c.in.text("staff"), parted(c.in.text("topics")), yes(c.in, "available"), c.in.text("note"), c.by))
	}},
	{code: "retire", kind: oversee.KindExpert, look: "quiet", offer: if_(func(v *matterView) bool { return v.at(oversee.Active) && v.can(org.Supervise) }),
		do: func(d *oversee.Desk, tx *storage.Tx, c overCommand) (oversee.Matter, error) {
			return m(d.RetireExpert(tx, c.id, c.by))
		}},
	{code: "add-duty", kind: oversee.KindDuty, opens: true, offer: if_(func(v *matterView) bool { return v.can(org.Supervise, org.DispatchTicket) }), fields: func(v *matterView, _ string) []field {
		return []field{v.unitField("host", "host", true), area("text", "conclusion"), area("basis", "basis"), area("keywords", "keywords")}
	}, do: func(d *oversee.Desk, tx *storage.Tx, c overCommand) (oversee.Matter, error) {
		return m(d.AddDuty(tx, oversee.DutyIn{Host: c.in.text("host"), Text: c.in.text("text"), Basis: c.in.text("basis"), Keywords: c.in.text("keywords")}, c.by))
	}},
	{code: "retire-duty", kind: oversee.KindDuty, look: "quiet", offer: if_(func(v *matterView) bool {
		return v.at(oversee.Active) && v.can(org.Supervise, org.DispatchTicket)
	}), fields: fixed(area("reason", "reason")), do: func(d *oversee.Desk, tx *storage.Tx, c overCommand) (oversee.Matter, error) {
		return m(d.RetireDuty(tx, c.id, c.in.text("reason"), c.by))
	}},
}

func (v *matterView) ofOrder() bool {
	return slices.Contains(v.M.(*oversee.Order).Units(), v.me.Unit)
}

var orderActs = []overAct{
	{code: "draft-order", kind: oversee.KindOrder, opens: true, offer: if_(func(v *matterView) bool { return v.can(org.IssueOrder) }), fields: func(v *matterView, _ string) []field {
		return []field{line("title", "title", true, 200), area("content", "content"), v.unitField("lead", "lead-unit", true), {Name: "units", Label: "o-co", Kind: "units", Options: v.names.unitOptions()}, date("due", "due", true),
			line("place", "place", false, 100), line("tickets", "ticket-numbers", false, 500), line("topic", "topic-number", false, 32), line("incidents", "incidents", false, 300)}
	}, do: func(d *oversee.Desk, tx *storage.Tx, c overCommand) (oversee.Matter, error) {
		ids, err := c.tickets(tx, "tickets")
		if err != nil {
			return nil, err
		}
		topic, err := c.topic(d, tx, "topic")
		if err != nil {
			return nil, err
		}
		units := []string{c.in.text("lead")}
		for _, u := range c.in.list("units") {
			if u != units[0] {
				units = append(units, u)
			}
		}
		return m(d.DraftOrder(tx, oversee.OrderIn{Title: c.in.text("title"), Content: c.in.text("content"), Place: c.in.text("place"), Topic: topic, Units: units, Tickets: ids, Incidents: parted(c.in.text("incidents")), Due: c.end("due")}, c.by))
	}},
	{code: "issue-order", kind: oversee.KindOrder, offer: if_(func(v *matterView) bool { return v.at(oversee.Draft) && v.can(org.IssueOrder) }),
		do: func(d *oversee.Desk, tx *storage.Tx, c overCommand) (oversee.Matter, error) {
			return m(d.IssueOrder(tx, c.id, c.by))
		}},
	{code: "drop-order", kind: oversee.KindOrder, look: "quiet", offer: if_(func(v *matterView) bool { return v.at(oversee.Draft) && v.can(org.IssueOrder) }), fields: fixed(area("reason", "reason")),
		do: func(d *oversee.Desk, tx *storage.Tx, c overCommand) (oversee.Matter, error) {
			return m(d.DropOrder(tx, c.id, c.in.text("reason"), c.by))
		}},
	{code: "sign-order", kind: oversee.KindOrder, offer: if_(func(v *matterView) bool {
		o := v.M.(*oversee.Order)
		return v.at(oversee.Issued) && v.ofOrder() && v.can(org.SignTicket) && !slices.ContainsFunc(o.Signs, func(s oversee.Sign) bool { return s.Unit == v.me.Unit })
	}), do: func(d *oversee.Desk, tx *storage.Tx, c overCommand) (oversee.Matter, error) {
		return m(d.SignOrder(tx, c.id, c.by))
	}},
	{code: "act-order", kind: oversee.KindOrder, look: "quiet", offer: if_(func(v *matterView) bool {
		o := v.M.(*oversee.Order)
		return v.at(oversee.Issued, oversee.Signed, oversee.Acting) && v.ofOrder() && v.can(org.SubmitResult) && slices.ContainsFunc(o.Signs, func(s oversee.Sign) bool { return s.Unit == v.me.Unit })
	}), fields: fixed(area("text", "act")), do: func(d *oversee.Desk, tx *storage.Tx, c overCommand) (oversee.Matter, error) {
		return m(d.Act(tx, c.id, c.in.text("text"), c.by))
	}},
	{code: "report-order", kind: oversee.KindOrder, offer: if_(func(v *matterView) bool { return v.at(oversee.Signed, oversee.Acting) && v.mine(org.SubmitResult) }), fields: func(v *matterView, _ string) []field {
		f := []field{area("text", "report")}
		for _, k := range oversee.ResultKinds {
			f = append(f, field{Name: "n-" + k.Code, Label: "o-n-" + k.Code, Kind: "number"})
		}
		return f
	}, do: func(d *oversee.Desk, tx *storage.Tx, c overCommand) (oversee.Matter, error) {
		var results []oversee.Result
		for _, k := range oversee.ResultKinds {
			if c.in.text("n-"+k.Code) != "" {
				results = append(results, oversee.Result{Kind: k.Code, N: c.in.number("n-" + k.Code)})
			}
		}
		return m(d.ReportOrder(tx, c.id, c.in.text("text"), results, c.by))
	}},
	{code: "verify-order", kind: oversee.KindOrder, offer: if_(func(v *matterView) bool { return v.at(oversee.Reported) && v.can(org.IssueOrder) }), fields: fixed(yesNo("ok", "ok"), area("note", "verdict")),
		do: func(d *oversee.Desk, tx *storage.Tx, c overCommand) (oversee.Matter, error) {
			return m(d.VerifyOrder(tx, c.id, yes(c.in, "ok"), c.in.text("note"), c.by))
		}},
	{code: "close-order", kind: oversee.KindOrder, offer: if_(func(v *matterView) bool { return v.at(oversee.Verified) && v.can(org.IssueOrder) }),
		do: func(d *oversee.Desk, tx *storage.Tx, c overCommand) (oversee.Matter, error) {
			return m(d.CloseOrder(tx, c.id, c.by))
		}},
}

// reviews reports whether the reader may review: who orders reviews, and officers of the reviewing department.
func (v *matterView) reviews() bool {
	b := v.M.(*oversee.Backcheck)
	return v.can(org.Backcheck) || v.me.Unit == b.Unit && v.can(org.ReviewResult, org.SubmitResult)
}

func domains() []option {
	var out []option
	for _, d := range oversee.Domains {
		out = append(out, option{Value: string(d), Label: d.Label()})
	}
	return out
}

// findings are the subjects of commands on one finding.
func findings(ok func(v *matterView, x oversee.Finding) bool) func(v *matterView) []subject {
	return func(v *matterView) []subject {
		var out []subject
		for _, x := range v.M.(*oversee.Backcheck).Findings {
			if ok(v, x) {
				out = append(out, subject{x.ID, x.Item + " " + clipText(v.text(x.Text), 20)})
			}
		}
		return out
	}
}

func clipText(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	return string(r[:n]) + "…"
}

var backcheckActs = []overAct{
	{code: "open-backcheck", kind: oversee.KindBackcheck, opens: true, offer: if_(func(v *matterView) bool { return v.can(org.Backcheck) }), fields: func(v *matterView, _ string) []field {
		return []field{choice("domain", "domain", domains()), v.unitField("unit", "review-unit", true), v.unitField("of", "reviewed-unit", true), area("refs", "refs"), area("cause", "cause-backcheck"), line("ticket", "ticket-number", false, 32), date("due", "due", false)}
	}, do: func(d *oversee.Desk, tx *storage.Tx, c overCommand) (oversee.Matter, error) {
		id, err := c.ticket(tx, "ticket")
		if err != nil {
			return nil, err
		}
		return m(d.OpenBackcheck(tx, oversee.BackcheckIn{Domain: oversee.Domain(c.in.text("domain")), Unit: c.in.text("unit"), Of: c.in.text("of"), Refs: parted(c.in.text("refs")), Cause: c.in.text("cause"), TicketID: id, Due: c.end("due")}, c.by))
	}},
	{code: "receive", kind: oversee.KindBackcheck, offer: if_(func(v *matterView) bool { return v.at(oversee.Opened) && v.reviews() }),
		do: func(d *oversee.Desk, tx *storage.Tx, c overCommand) (oversee.Matter, error) {
			return m(d.ReceiveBackcheck(tx, c.id, c.by))
		}},
	{code: "review", kind: oversee.KindBackcheck, offer: if_(func(v *matterView) bool {
		return v.at(oversee.Looking) && v.reviews() && slices.ContainsFunc(v.M.(*oversee.Backcheck).Items, func(i oversee.Item) bool { return i.Reviewed.IsZero() })
	}), fields: func(v *matterView, _ string) []field {
		var refs []option
		for _, i := range v.M.(*oversee.Backcheck).Items {
			if i.Reviewed.IsZero() {
				refs = append(refs, option{Value: i.Ref, Label: i.Ref})
			}
		}
		return []field{choice("ref", "item", refs), mayArea("problem", "finding"), mayArea("measure", "measure-required"), date("due", "due", false)}
	}, do: func(d *oversee.Desk, tx *storage.Tx, c overCommand) (oversee.Matter, error) {
		var problems []oversee.FindingIn
		if c.in.text("problem") != "" {
			problems = append(problems, oversee.FindingIn{Text: c.in.text("problem"), Measure: c.in.text("measure"), Due: c.end("due")})
		}
		return m(d.ReviewItem(tx, c.id, c.in.text("ref"), problems, c.by))
	}},
	{code: "conclude-review", kind: oversee.KindBackcheck, offer: if_(func(v *matterView) bool {
		return v.at(oversee.Looking) && v.reviews() && !slices.ContainsFunc(v.M.(*oversee.Backcheck).Items, func(i oversee.Item) bool { return i.Reviewed.IsZero() })
	}), fields: fixed(area("text", "conclusion")), do: func(d *oversee.Desk, tx *storage.Tx, c overCommand) (oversee.Matter, error) {
		return m(d.ConcludeBackcheck(tx, c.id, c.in.text("text"), c.by))
	}},
	{code: "rectify", kind: oversee.KindBackcheck, offer: findings(func(v *matterView, x oversee.Finding) bool {
		return x.State == oversee.FindingOpen && x.Unit == v.me.Unit && v.can(org.SubmitResult)
	}), fields: fixed(area("text", "rectified")), do: func(d *oversee.Desk, tx *storage.Tx, c overCommand) (oversee.Matter, error) {
		return m(d.Rectify(tx, c.id, c.on, c.in.text("text"), c.by))
	}},
	{code: "verify-finding", kind: oversee.KindBackcheck, offer: findings(func(v *matterView, x oversee.Finding) bool {
		return x.State == oversee.FindingDone && x.Unit != v.me.Unit && v.reviews()
	}), fields: fixed(yesNo("ok", "ok"), area("note", "verdict")), do: func(d *oversee.Desk, tx *storage.Tx, c overCommand) (oversee.Matter, error) {
		return m(d.VerifyFinding(tx, c.id, c.on, yes(c.in, "ok"), c.in.text("note"), c.by))
	}},
	{code: "account", kind: oversee.KindBackcheck, look: "quiet", offer: findings(func(v *matterView, x oversee.Finding) bool { return v.can(org.Backcheck) }), fields: func(v *matterView, on string) []field {
		unit := ""
		for _, x := range v.M.(*oversee.Backcheck).Findings {
			if x.ID == on {
				unit = x.Unit
			}
		}
		staff := field{Name: "staff", Label: "o-staff", Kind: "select", Options: v.staffOptions(func(s org.Staff) bool { return s.Unit == unit })}
		return []field{choice("kind", "account-kind", pairsOf(oversee.AccountKinds)), staff, area("text", "account")}
	}, do: func(d *oversee.Desk, tx *storage.Tx, c overCommand) (oversee.Matter, error) {
		return m(d.HoldAccountable(tx, c.id, c.on, c.in.text("staff"), c.in.text("kind"), c.in.text("text"), c.by))
	}},
}

func patterns() []option {
	return []option{{Value: "fraud", Label: "诈骗"}, {Value: "gambling", Label: "赌博"}, {Value: "vice", Label: "涉黄"}, {Value: "drugs", Label: "涉毒"}, {Value: "hand", Label: "其他"}}
}

var clueDesk = []org.Action{org.IssueOrder, org.Supervise, org.DraftReport}

var otherActs = []overAct{
	{code: "open-clue", kind: oversee.KindClue, opens: true, offer: if_(func(v *matterView) bool { return v.can(clueDesk...) }), fields: func(v *matterView, _ string) []field {
		return []field{line("ticket", "ticket-number", true, 32), choice("pattern", "pattern", patterns()), area("summary", "summary"), mayArea("entities", "entities-typed")}
	}, do: func(d *oversee.Desk, tx *storage.Tx, c overCommand) (oversee.Matter, error) {
		id, err := c.ticket(tx, "ticket")
		if err != nil {
			return nil, err
		}
		return m(d.OpenClue(tx, id, c.in.text("pattern"), c.in.text("summary"), warn.Entities(c.in.text("entities")), c.by))
	}},
	{code: "hand-clue", kind: oversee.KindClue, offer: if_(func(v *matterView) bool { return v.at(oversee.Opened) && v.can(clueDesk...) }), fields: func(v *matterView, _ string) []field {
		return []field{v.unitField("unit", "receiving-unit", true), mayArea("note", "note")}
	}, do: func(d *oversee.Desk, tx *storage.Tx, c overCommand) (oversee.Matter, error) {
		return m(d.HandClue(tx, c.id, c.in.text("unit"), c.in.text("note"), c.by))
	}},
	{code: "drop-clue", kind: oversee.KindClue, look: "quiet", offer: if_(func(v *matterView) bool { return v.at(oversee.Opened) && v.can(clueDesk...) }), fields: fixed(area("reason", "reason")),
		do: func(d *oversee.Desk, tx *storage.Tx, c overCommand) (oversee.Matter, error) {
			return m(d.DropClue(tx, c.id, c.in.text("reason"), c.by))
		}},
	{code: "take-clue", kind: oversee.KindClue, offer: if_(func(v *matterView) bool { return v.at(oversee.Handed) && v.mine(org.SignTicket) }), fields: fixed(yesNo("accept", "accept"), mayArea("reason", "reason")),
		do: func(d *oversee.Desk, tx *storage.Tx, c overCommand) (oversee.Matter, error) {
			return m(d.TakeClue(tx, c.id, yes(c.in, "accept"), c.in.text("reason"), c.by))
		}},
	{code: "feed-clue", kind: oversee.KindClue, offer: if_(func(v *matterView) bool { return v.at(oversee.Received) && v.mine(org.SubmitResult) }),
		fields: fixed(choice("outcome", "outcome", pairsOf(oversee.ClueOutcomes())), area("text", "feedback")), do: func(d *oversee.Desk, tx *storage.Tx, c overCommand) (oversee.Matter, error) {
			return m(d.FeedClue(tx, c.id, c.in.text("outcome"), c.in.text("text"), c.by))
		}},
	{code: "close-clue", kind: oversee.KindClue, offer: if_(func(v *matterView) bool { return v.at(oversee.Resulted) && v.can(clueDesk...) }), fields: fixed(yesNo("ok", "ok"), area("note", "verdict")),
		do: func(d *oversee.Desk, tx *storage.Tx, c overCommand) (oversee.Matter, error) {
			return m(d.CloseClue(tx, c.id, yes(c.in, "ok"), c.in.text("note"), c.by))
		}},

	{code: "open-measure", kind: oversee.KindMeasure, opens: true, offer: if_(func(v *matterView) bool { return v.can(org.Supervise, org.DraftReport) }), fields: func(v *matterView, _ string) []field {
		return []field{choice("type", "type", pairsOf(oversee.MeasureTypes)), line("title", "title", true, 200), area("text", "content"), line("topic", "topic-number", false, 32), v.unitField("unit", "unit-doing", false)}
	}, do: func(d *oversee.Desk, tx *storage.Tx, c overCommand) (oversee.Matter, error) {
		topic, err := c.topic(d, tx, "topic")
		if err != nil {
			return nil, err
		}
		return m(d.OpenMeasure(tx, c.in.text("type"), c.in.text("title"), c.in.text("text"), topic, c.in.text("unit"), c.by))
	}},
	{code: "submit-measure", kind: oversee.KindMeasure, offer: if_(func(v *matterView) bool {
		return v.at(oversee.Planned, oversee.Submitted, oversee.Adopted) && v.M.(*oversee.Measure).Type == "suggestion" && v.can(org.Supervise, org.DraftReport)
	}), fields: fixed(choice("level", "to-level", pairsOf(oversee.MeasureLevels))), do: func(d *oversee.Desk, tx *storage.Tx, c overCommand) (oversee.Matter, error) {
		return m(d.SubmitMeasure(tx, c.id, c.in.text("level"), c.by))
	}},
	{code: "answer-measure", kind: oversee.KindMeasure, offer: if_(func(v *matterView) bool { return v.at(oversee.Submitted) && v.can(org.Supervise, org.DraftReport) }),
		fields: fixed(yesNo("adopted", "was-adopted"), area("text", "reply")), do: func(d *oversee.Desk, tx *storage.Tx, c overCommand) (oversee.Matter, error) {
			return m(d.AnswerMeasure(tx, c.id, yes(c.in, "adopted"), c.in.text("text"), c.by))
		}},
	{code: "carry-out", kind: oversee.KindMeasure, offer: if_(func(v *matterView) bool {
		return v.at(oversee.Planned, oversee.Adopted) && v.can(org.Supervise, org.DraftReport)
	}),
		fields: fixed(date("from", "in-effect-from", false), line("beneficiaries", "beneficiaries", false, 8), area("evidence", "evidence")), do: func(d *oversee.Desk, tx *storage.Tx, c overCommand) (oversee.Matter, error) {
			n := 0
			if c.in.text("beneficiaries") != "" {
				n = c.in.number("beneficiaries")
			}
			var from time.Time
			if day, err := workday.ParseDay(c.in.text("from")); err == nil {
				from = day.Start()
			}
			return m(d.CarryOut(tx, c.id, from, n, c.in.text("evidence"), c.by))
		}},
	{code: "drop-measure", kind: oversee.KindMeasure, look: "quiet", offer: if_(func(v *matterView) bool { return v.at(oversee.Planned) && v.can(org.Supervise, org.DraftReport) }), fields: fixed(area("reason", "reason")),
		do: func(d *oversee.Desk, tx *storage.Tx, c overCommand) (oversee.Matter, error) {
			return m(d.DropMeasure(tx, c.id, c.in.text("reason"), c.by))
		}},

	{code: "ask-watch", kind: oversee.KindWatch, opens: true, offer: if_(func(v *matterView) bool { return v.can(org.ViewWatch) && !v.can(org.ViewAudit) }), fields: func(v *matterView, _ string) []field {
		know := v.staffOptions(func(s org.Staff) bool { return org.Can(s.Role, org.ViewWatch) && !org.Can(s.Role, org.ViewAudit) })
		return []field{line("ticket", "ticket-of-person", true, 32), area("authority", "authority"), area("purpose", "purpose"), line("days", "days", false, 3), {Name: "know", Label: "o-know", Kind: "units", Options: know}}
	}, do: func(d *oversee.Desk, tx *storage.Tx, c overCommand) (oversee.Matter, error) {
		id, err := c.ticket(tx, "ticket")
		if err != nil {
			return nil, err
		}
		t, err := c.office.Get(tx, id)
		if errors.Is(err, storage.ErrNotFound) {
			return nil, &ticket.Refusal{Code: "number", Message: "请填写该人员的诉求编号"}
		} else if err != nil {
			return nil, err
		}
		days := 0
		if c.in.text("days") != "" {
			days = c.in.number("days")
		}
		return m(d.AskWatch(tx, oversee.WatchIn{ContactID: t.ContactID, Authority: c.in.text("authority"), Purpose: c.in.text("purpose"), Days: days, Know: c.in.list("know")}, c.by))
	}},
	{code: "decide-watch", kind: oversee.KindWatch, offer: if_(func(v *matterView) bool {
		return v.at(oversee.Asked) && v.can(org.ApproveWatch) && v.H.OpenedBy != v.me.Actor()
	}),
		fields: fixed(yesNo("grant", "grant"), area("note", "decision")), do: func(d *oversee.Desk, tx *storage.Tx, c overCommand) (oversee.Matter, error) {
			return m(d.DecideWatch(tx, c.id, yes(c.in, "grant"), c.in.text("note"), c.by))
		}},
	{code: "revoke-watch", kind: oversee.KindWatch, look: "quiet", offer: if_(func(v *matterView) bool {
		return v.at(oversee.Active) && (v.can(org.ApproveWatch) || v.H.OpenedBy == v.me.Actor())
	}), fields: fixed(area("reason", "reason")), do: func(d *oversee.Desk, tx *storage.Tx, c overCommand) (oversee.Matter, error) {
		return m(d.RevokeWatch(tx, c.id, c.in.text("reason"), c.by))
	}},
	{code: "open-period", kind: oversee.KindPeriod, opens: true, offer: if_(func(v *matterView) bool { return v.can(org.ApproveList, org.DraftReport) }), fields: func(v *matterView, _ string) []field {
		return []field{line("name", "name", true, 60), date("from", "from-day", true), date("to", "until", true), {Name: "duty", Label: "o-duty-list", Kind: "units", Options: v.staffOptions(func(s org.Staff) bool { return s.Role.Reach() == org.ReachAll })}}
	}, do: func(d *oversee.Desk, tx *storage.Tx, c overCommand) (oversee.Matter, error) {
		from, err1 := workday.ParseDay(c.in.text("from"))
		to, err2 := workday.ParseDay(c.in.text("to"))
		if err1 != nil || err2 != nil {
			return nil, &ticket.Refusal{Code: "period", Message: "请填写起止日期"}
		}
		return m(d.OpenPeriod(tx, c.in.text("name"), from, to, nil, c.in.list("duty"), c.by))
	}},
	{code: "revoke-period", kind: oversee.KindPeriod, look: "quiet", offer: if_(func(v *matterView) bool { return v.at(oversee.Active) && v.can(org.ApproveList, org.DraftReport) }), fields: fixed(area("reason", "reason")),
		do: func(d *oversee.Desk, tx *storage.Tx, c overCommand) (oversee.Matter, error) {
			return m(d.RevokePeriod(tx, c.id, c.in.text("reason"), c.by))
		}},
	{code: "judge-link", kind: oversee.KindLink, offer: if_(func(v *matterView) bool { return v.can(org.MergeTicket) }), fields: fixed(yesNo("same", "same"), mayArea("why", "why")),
		do: func(d *oversee.Desk, tx *storage.Tx, c overCommand) (oversee.Matter, error) {
			return m(d.JudgeLink(tx, c.id, yes(c.in, "same"), c.in.text("why"), c.by))
		}},
	{code: "judge-escalation", kind: oversee.KindEscalation, offer: if_(func(v *matterView) bool { return v.at(oversee.Opened) && v.can(org.Supervise, org.Backcheck) }), fields: fixed(yesNo("is", "is-escalation"), area("why", "why")),
		do: func(d *oversee.Desk, tx *storage.Tx, c overCommand) (oversee.Matter, error) {
			return m(d.JudgeEscalation(tx, c.id, yes(c.in, "is"), c.in.text("why"), c.by))
		}},
}

func findOverAct(k oversee.Kind, code string) (overAct, bool) {
	i := slices.IndexFunc(overActs, func(a overAct) bool { return a.kind == k && a.code == code })
	if i < 0 {
		return overAct{}, false
	}
	return overActs[i], true
}

func (v *matterView) fieldsOf(a overAct, on string) []field {
	if a.fields == nil {
		return nil
	}
	return a.fields(v, on)
}

// panel is what the reader may do with a matter; without one, the matters of the kind that the reader may open.
func (v *matterView) panel() []panelForm {
	var out []panelForm
	for _, a := range overActs {
		if a.kind != v.Kind || a.opens != (v.M == nil) {
			continue
		}
		for _, on := range a.offer(v) {
			out = append(out, panelForm{Code: a.code, Look: a.look, On: on.ID, Note: on.Note, Fields: v.fieldsOf(a, on.ID)})
		}
	}
	slices.SortStableFunc(out, func(a, b panelForm) int { return rankLook(a.Look) - rankLook(b.Look) })
	if len(out) > 0 && out[0].Look == "" {
		out[0].Open = true
	}
	return out
}
