package console

import (
	"errors"
	"slices"

	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket"
	"lianxin/workday"
)

// action is a command of the panel on a ticket's page. The panel offers what the state of the ticket and the reader's
// part in it allow; the room decides once more when the command comes, and its reason is shown beside the form.
type action struct {
	code   string // in the address; its title is the text "act-"+code
	look   string // class of the button: "", "quiet", "danger"
	offer  func(v *ticketView) []subject
	again  func(v *ticketView, on subject) bool // it was done already: may be done again, but is no next step
	fields func(v *ticketView, on subject) []field
	do     func(o *ticket.Office, tx *storage.Tx, c command) error
}

// subject is what a command is about: the ticket itself (no id), one of its legs, or a request.
type subject struct {
	ID   string
	Note string // what tells it from others of its kind
}

// command is a form that came.
type command struct {
	ticket string
	on     string // id of the subject
	in     input
	by     ticket.Actor
	view   *ticketView
}

func once(ok bool) []subject {
	if ok {
		return []subject{{}}
	}
	return nil
}

// did forgets what a command returned beside its error.
func did[T any](_ T, err error) error { return err }

// actions are the commands in the order of the panel.
var actions = slices.Concat(handling, rating, beside)

// handling are the commands from the door to the reply.
var handling = []action{
	{code: "sign", offer: func(v *ticketView) []subject {
		return v.ownLegs(org.SignTicket, func(l ticket.Leg) bool {
			return l.State == ticket.LegPending && v.in(ticket.Dispatched, ticket.Handling, ticket.Suspended) && !v.took(reviewed, called)
		})
	}, do: func(o *ticket.Office, tx *storage.Tx, c command) error { return did(o.Sign(tx, c.on, c.by)) }},

	{code: "accept", offer: func(v *ticketView) []subject { return once(v.in(ticket.New) && v.centre(org.AcceptTicket)) },
		fields: func(v *ticketView, _ subject) []field {
			f := []field{{Name: "colour", Kind: "select", Required: true, Values: []string{string(v.T.Colour)}, Options: coloursFrom(v.T.Colour)}}
			if v.T.Kind == "" {
				f = append(f, field{Name: "kind", Kind: "select", Required: true, Options: labelled(ticket.Kinds...)})
			}
			class := v.T.Class
			if class == "" {
				class = v.T.SuggestedClass
			}
			f = append(f, field{Name: "class", Kind: "select", Values: []string{class}, Options: v.classes.options(), Hint: "hint-class"})
			return append(f, field{Name: "validity", Kind: "select", Required: true, Values: []string{string(ticket.Effective)}, Options: validities()},
				field{Name: "note", Kind: "area", Max: 2000})
		}, do: func(o *ticket.Office, tx *storage.Tx, c command) error {
			return did(o.Accept(tx, c.ticket, ticket.Acceptance{Kind: ticket.Kind(c.in.text("kind")), Colour: ticket.Colour(c.in.text("colour")), Class: c.in.text("class"),
				Validity: ticket.Validity(c.in.text("validity")), Note: c.in.text("note")}, c.by))
		}},

	{code: "answer", offer: func(v *ticketView) []subject {
		return once(v.in(ticket.New) && v.centre(org.AnswerTicket) && v.T.AccusedUnit == "" && v.T.AccusedStaff == "")
	}, fields: replyFields("answer-text"),
		do: func(o *ticket.Office, tx *storage.Tx, c command) error {
			return did(o.Answer(tx, c.ticket, c.reply(), c.by))
		}},

	{code: "dispatch", offer: func(v *ticketView) []subject {
		return once(v.in(ticket.Accepted) && v.centre(org.DispatchTicket))
	}, fields: func(v *ticketView, _ subject) []field {
		units := v.handlers()
		host := v.T.UnitHint
		if host == "" {
			host = v.T.SuggestedUnit
		}
		f := []field{
			{Name: "host", Kind: "select", Required: true, Options: units, Values: []string{host}, Hint: v.hostHint()},
			{Name: "co", Kind: "units", Options: units},
			{Name: "note", Kind: "area", Max: 2000},
		}
		if v.T.Returns >= v.rules.MaxReturns {
			f = append(f, field{Name: "designated", Kind: "check", Hint: "hint-designated"})
		}
		return f
	}, do: func(o *ticket.Office, tx *storage.Tx, c command) error {
		return did(o.Dispatch(tx, c.ticket, ticket.Dispatching{Host: c.in.text("host"), Co: c.in.list("co"), Note: c.in.text("note"), Designated: c.in.on("designated")}, c.by))
	}},

	{code: "contact", offer: func(v *ticketView) []subject { return v.contactable() },
		again: func(v *ticketView, on subject) bool { return !v.leg(on.ID).ContactedAt.IsZero() },
		fields: func(v *ticketView, _ subject) []field {
			return []field{
				{Name: "via", Kind: "select", Required: true, Options: v.ways("phone", "visit", "sms", "window")},
				{Name: "outcome", Kind: "select", Required: true, Options: labelled(ticket.TryOutcomes...)},
				{Name: "note", Kind: "area", Label: "contact-note", Max: 2000},
			}
		}, do: func(o *ticket.Office, tx *storage.Tx, c command) error {
			return did(o.Contacted(tx, c.on, ticket.ContactNote{Via: c.in.text("via"), Outcome: ticket.TryOutcome(c.in.text("outcome")), Note: c.in.text("note")}, c.by))
		}},

	{code: "report", look: "quiet", offer: func(v *ticketView) []subject { return v.workable(org.LogContact) },
		fields: func(*ticketView, subject) []field {
			return []field{{Name: "text", Label: "progress", Kind: "area", Required: true, Max: 5000}}
		}, do: func(o *ticket.Office, tx *storage.Tx, c command) error {
			return did(o.ReportProgress(tx, c.on, c.in.text("text"), c.by))
		}},

	{code: "submit", offer: func(v *ticketView) []subject {
		return v.ownLegs(org.SubmitResult, func(l ticket.Leg) bool {
			return v.works(l) && (l.Role == ticket.Co || v.in(ticket.Handling))
		})
	}, fields: func(v *ticketView, on subject) []field {
		f := []field{
			{Name: "result", Kind: "area", Required: true, Max: 10000},
			{Name: "basis", Kind: "area", Required: true, Max: 2000, Hint: "hint-basis"},
			{Name: "finding", Kind: "select", Required: true, Options: labelled(ticket.Substantiated, ticket.PartlyTrue, ticket.Unsubstantiated, ticket.NoFinding)},
			{Name: "resolution", Kind: "select", Required: true, Options: labelled(ticket.Solved, ticket.Explained, ticket.Partly, ticket.Planned, ticket.Unsolved)},
		}
		if v.leg(on.ID).Role == ticket.Host && v.waitsForCo() {
			f = append(f, field{Name: "without-co", Kind: "area", Max: 1000, Hint: "hint-without-co"})
		}
		return f
	}, do: func(o *ticket.Office, tx *storage.Tx, c command) error {
		return did(o.Submit(tx, c.on, ticket.Result{Text: c.in.text("result"), Basis: c.in.text("basis"), Finding: ticket.Finding(c.in.text("finding")),
			Resolution: ticket.Resolution(c.in.text("resolution")), WithoutCo: c.in.text("without-co")}, c.by))
	}},

	{code: "approve", offer: func(v *ticketView) []subject { return once(v.reviews()) },
		fields: replyFields("reply-text"),
		do: func(o *ticket.Office, tx *storage.Tx, c command) error {
			return did(o.Approve(tx, c.ticket, c.reply(), c.by))
		}},
	{code: "reject", look: "quiet", offer: func(v *ticketView) []subject { return once(v.reviews()) },
		fields: func(v *ticketView, on subject) []field {
			f := reasonField("reject-reason")(v, on)
			var co []option
			for _, l := range v.Legs {
				if l.Role == ticket.Co && l.Round == v.T.Round && l.State == ticket.LegSubmitted {
					co = append(co, option{Value: l.ID, Label: v.names.Unit(l.Unit)})
				}
			}
			if len(co) > 0 {
				f = append(f, field{Name: "back", Kind: "units", Options: co})
			}
			return f
		}, do: func(o *ticket.Office, tx *storage.Tx, c command) error {
			return did(o.Reject(tx, c.ticket, c.in.text("reason"), c.by, c.in.list("back")...))
		}},

	{code: "decide", offer: func(v *ticketView) []subject {
		var out []subject
		for _, q := range v.Requests {
			if q.State == ticket.Asked && q.AskedBy != v.me.Actor() && v.decides(q) {
				out = append(out, subject{q.ID, q.Kind.Label()})
			}
		}
		return out
	}, fields: func(v *ticketView, on subject) []field {
		f := []field{
			{Name: "grant", Kind: "yesno", Required: true},
			{Name: "note", Label: "decision-note", Kind: "area", Max: 2000, Hint: "hint-decision"},
		}
		if v.request(on.ID).Kind == ticket.AskExtension {
			f = append(f, field{Name: "informed", Hint: "hint-informed", Max: 500})
		}
		return f
	}, do: decide},

	{code: "resume", offer: func(v *ticketView) []subject {
		if !v.in(ticket.Suspended) {
			return nil
		}
		if h := v.host(); h != nil && h.Unit == v.me.Unit {
			return once(v.me.Can(org.SubmitResult))
		}
		return once(v.centre(org.SuspendTicket))
	}, fields: noteField,
		do: func(o *ticket.Office, tx *storage.Tx, c command) error {
			return did(o.Resume(tx, c.ticket, c.in.text("note"), c.by))
		}},

	{code: "ask-return", look: "quiet", offer: func(v *ticketView) []subject {
		return v.ownLegs(org.RequestReturn, func(l ticket.Leg) bool {
			return v.in(ticket.Dispatched, ticket.Handling) && (l.State == ticket.LegPending || l.State == ticket.LegSigned || l.State == ticket.LegWorking) &&
				!l.Designated && !v.asked(ticket.AskReturn) && (l.Role == ticket.Co || v.T.Returns < v.rules.MaxReturns)
		})
	}, fields: func(v *ticketView, _ subject) []field {
		return []field{
			{Name: "reason", Label: "return-reason", Kind: "area", Required: true, Max: 2000},
			{Name: "clause", Kind: "area", Required: true, Max: 1000, Hint: "hint-clause"},
			{Name: "suggest", Kind: "select", Required: true, Options: v.handlers(v.me.Unit)},
		}
	}, do: func(o *ticket.Office, tx *storage.Tx, c command) error {
		return did(o.RequestReturn(tx, c.on, ticket.ReturnWish{Reason: c.in.text("reason"), Clause: c.in.text("clause"), Suggest: c.in.text("suggest")}, c.by))
	}},

	{code: "ask-extension", look: "quiet", offer: func(v *ticketView) []subject {
		return v.ownLegs(org.RequestExtension, func(l ticket.Leg) bool {
			return l.Role == ticket.Host && v.in(ticket.Handling) && v.works(l) && !v.asked(ticket.AskExtension) &&
				v.T.Extensions < v.rules.MaxExtensions && v.beforeDue(ticket.ClockHandle)
		})
	}, fields: func(v *ticketView, _ subject) []field {
		return []field{
			{Name: "days", Kind: "number", Required: true, Values: []string{"1"}},
			{Name: "reason", Kind: "area", Required: true, Max: 2000},
		}
	}, do: func(o *ticket.Office, tx *storage.Tx, c command) error {
		return did(o.RequestExtension(tx, c.on, c.in.number("days"), c.in.text("reason"), c.by))
	}},

	{code: "ask-suspend", look: "quiet", offer: func(v *ticketView) []subject {
		return v.ownLegs(org.RequestExtension, func(l ticket.Leg) bool {
			return l.Role == ticket.Host && v.in(ticket.Handling) && v.works(l) && !v.asked(ticket.AskSuspend) &&
				v.T.Suspensions < v.rules.MaxSuspensions
		})
	}, fields: func(v *ticketView, _ subject) []field {
		return []field{
			{Name: "until", Kind: "date", Required: true, Values: []string{workday.DayOf(v.Now).Add(3).String()}},
			{Name: "reason", Kind: "area", Required: true, Max: 2000},
		}
	}, do: func(o *ticket.Office, tx *storage.Tx, c command) error {
		return did(o.RequestSuspend(tx, c.on, c.in.lastMoment("until"), c.in.text("reason"), c.by))
	}},

	{code: "step", look: "quiet", offer: func(v *ticketView) []subject { return v.responds() },
		fields: func(*ticketView, subject) []field {
			return []field{{Name: "note", Label: "step-note", Kind: "area", Required: true, Max: 2000}}
		}, do: func(o *ticket.Office, tx *storage.Tx, c command) error {
			return did(o.FinishStep(tx, c.ticket, c.on, c.in.text("note"), c.by))
		}},

	{code: "emotion", look: "quiet", offer: func(v *ticketView) []subject {
		return once(v.T.State.Open() && !v.T.Emotion && v.centre(org.AmendTicket))
	}, fields: func(*ticketView, subject) []field {
		return []field{{Name: "note", Label: "emotion-note", Kind: "area", Required: true, Max: 1000}}
	}, do: func(o *ticket.Office, tx *storage.Tx, c command) error {
		return did(o.ConfirmEmotion(tx, c.ticket, c.in.text("note"), c.by))
	}},

	{code: "class", look: "quiet", offer: func(v *ticketView) []subject {
		return once(v.T.State.Open() && !v.in(ticket.New) && v.centre(org.AmendTicket))
	}, fields: func(v *ticketView, _ subject) []field {
		other := slices.DeleteFunc(v.classes.options(), func(o option) bool { return o.Value == v.T.Class })
		return []field{{Name: "class", Kind: "select", Required: true, Options: other}}
	}, do: func(o *ticket.Office, tx *storage.Tx, c command) error {
		return did(o.SetClass(tx, c.ticket, c.in.text("class"), c.by))
	}},

	{code: "raise", look: "quiet", offer: func(v *ticketView) []subject {
		return once(v.T.State.Open() && v.T.Colour != ticket.Red && v.centre(org.GradeTicket))
	}, fields: func(v *ticketView, _ subject) []field {
		return []field{
			{Name: "colour", Kind: "select", Required: true, Options: slices.DeleteFunc(coloursFrom(v.T.Colour), func(o option) bool { return o.Value == string(v.T.Colour) })},
			{Name: "reason", Kind: "area", Required: true, Max: 2000},
		}
	}, do: func(o *ticket.Office, tx *storage.Tx, c command) error {
		return did(o.Raise(tx, c.ticket, ticket.Colour(c.in.text("colour")), c.in.text("reason"), c.by))
	}},

	{code: "ask-lower", look: "quiet", offer: func(v *ticketView) []subject {
		return once(v.T.State.Open() && v.T.Colour != ticket.Blue && !v.asked(ticket.AskLower) && v.centre(org.AcceptTicket))
	}, fields: func(v *ticketView, _ subject) []field {
		var lower []option
		for _, c := range ticket.Colours {
			if c.Rank() < v.T.Colour.Rank() {
				lower = append(lower, option{Value: string(c), Label: string(c)})
			}
		}
		return []field{{Name: "colour", Kind: "select", Required: true, Options: lower}, {Name: "reason", Kind: "area", Required: true, Max: 2000}}
	}, do: func(o *ticket.Office, tx *storage.Tx, c command) error {
		return did(o.RequestLower(tx, c.ticket, ticket.Colour(c.in.text("colour")), c.in.text("reason"), c.by))
	}},

	{code: "ask-retype", look: "quiet", offer: func(v *ticketView) []subject {
		return once(v.T.State.Open() && v.T.Kind != "" && !v.asked(ticket.AskRetype) && v.centre(org.AcceptTicket))
	}, fields: func(v *ticketView, _ subject) []field {
		kinds := slices.DeleteFunc(slices.Clone(ticket.Kinds), func(k ticket.Kind) bool { return k == v.T.Kind })
		return []field{{Name: "kind", Kind: "select", Required: true, Options: labelled(kinds...)}, {Name: "reason", Kind: "area", Required: true, Max: 2000}}
	}, do: func(o *ticket.Office, tx *storage.Tx, c command) error {
		return did(o.RequestRetype(tx, c.ticket, ticket.Kind(c.in.text("kind")), c.in.text("reason"), c.by))
	}},

	{code: "amend", look: "quiet", offer: func(v *ticketView) []subject {
		seat := !v.T.Restricted || v.me.Can(org.ViewRestricted)
		return once(v.in(ticket.New) && seat && (v.me.Can(org.AmendTicket) || v.T.OpenedBy == v.me.Actor()))
	}, fields: amendFields, do: amend},

	{code: "transfer110", look: "danger", offer: func(v *ticketView) []subject { return once(v.in(ticket.New) && v.centre(org.Transfer110)) },
		fields: func(v *ticketView, _ subject) []field {
			return []field{{Name: "incident", Required: true, Values: []string{v.T.IncidentNo}, Max: 64}, {Name: "note", Kind: "area", Max: 2000}}
		}, do: func(o *ticket.Office, tx *storage.Tx, c command) error {
			return did(o.Transfer110(tx, c.ticket, c.in.text("incident"), c.in.text("note"), c.by))
		}},

	{code: "refuse", look: "danger", offer: func(v *ticketView) []subject {
		return once(v.in(ticket.New) && v.centre(org.RefuseTicket) && v.T.DecidedBy != v.me.Actor())
	}, fields: func(v *ticketView, on subject) []field {
		var grounds []option
		for _, g := range v.rules.RefusalGrounds {
			grounds = append(grounds, option{Value: g.Code, Label: g.Label})
		}
		return append([]field{{Name: "ground", Kind: "select", Required: true, Options: grounds}}, replyFields("notice")(v, on)...)
	}, do: func(o *ticket.Office, tx *storage.Tx, c command) error {
		return did(o.Refuse(tx, c.ticket, c.in.text("ground"), c.reply(), c.by))
	}},

	{code: "merge", look: "quiet", offer: func(v *ticketView) []subject { return once(v.in(ticket.New) && v.centre(org.MergeTicket)) },
		fields: func(*ticketView, subject) []field {
			return []field{{Name: "into", Required: true, Hint: "hint-number", Max: 32}, {Name: "reason", Label: "merge-reason", Kind: "area", Required: true, Max: 2000}}
		}, do: func(o *ticket.Office, tx *storage.Tx, c command) error {
			into, err := c.numbered(tx, o, "into")
			if err != nil {
				return err
			}
			return did(o.Merge(tx, c.ticket, into, c.in.text("reason"), c.by))
		}},
	{code: "unmerge", look: "quiet", offer: func(v *ticketView) []subject { return once(v.in(ticket.Merged) && v.centre(org.MergeTicket)) },
		fields: reasonField("reason"),
		do: func(o *ticket.Office, tx *storage.Tx, c command) error {
			return did(o.Unmerge(tx, c.ticket, c.in.text("reason"), c.by))
		}},
	{code: "repeat", look: "quiet", offer: func(v *ticketView) []subject {
		return once(v.T.RepeatOf == "" && v.centre(org.MergeTicket))
	}, fields: func(*ticketView, subject) []field {
		return []field{{Name: "of", Required: true, Hint: "hint-number", Max: 32}, {Name: "evidence", Kind: "area", Required: true, Max: 2000}}
	}, do: func(o *ticket.Office, tx *storage.Tx, c command) error {
		of, err := c.numbered(tx, o, "of")
		if err != nil {
			return err
		}
		return did(o.LinkRepeat(tx, c.ticket, of, c.in.text("evidence"), c.by))
	}},

	{code: "appeal", look: "quiet", offer: func(v *ticketView) []subject { return once(v.in(ticket.Refused) && v.centre(org.OpenTicket)) },
		fields: reasonField("appeal-reason"),
		do: func(o *ticket.Office, tx *storage.Tx, c command) error {
			return did(o.Appeal(tx, c.ticket, c.in.text("reason"), c.by))
		}},
	{code: "withdraw", look: "danger", offer: func(v *ticketView) []subject { return once(v.T.State.Open() && v.centre(org.WithdrawTicket)) },
		fields: func(*ticketView, subject) []field {
			return []field{{Name: "reason", Kind: "area", Required: true, Max: 2000}, {Name: "evidence", Label: "wish-evidence", Required: true, Hint: "hint-evidence", Max: 500}}
		}, do: func(o *ticket.Office, tx *storage.Tx, c command) error {
			return did(o.Withdraw(tx, c.ticket, ticket.Withdrawal{Reason: c.in.text("reason"), Evidence: c.in.text("evidence")}, c.by))
		}},
	{code: "archive", look: "quiet", offer: func(v *ticketView) []subject {
		return once(v.in(ticket.Closed) && v.centre(org.ArchiveTicket) && !v.Now.Before(v.T.ClosedAt.AddDate(0, 0, v.rules.ArchiveDays)))
	}, do: func(o *ticket.Office, tx *storage.Tx, c command) error { return did(o.Archive(tx, c.ticket, c.by)) }},
}

// hostHint says that the unit that stands in the form was suggested.
func (v *ticketView) hostHint() string {
	if v.T.UnitHint == "" && v.T.SuggestedUnit != "" {
		if v.Suggested != nil && v.Suggested.Duty != "" {
			return "hint-suggested-duty"
		}
		return "hint-suggested"
	}
	return ""
}

func findAction(code string) (action, bool) {
	i := slices.IndexFunc(actions, func(a action) bool { return a.code == code })
	if i < 0 {
		return action{}, false
	}
	return actions[i], true
}

func noteField(*ticketView, subject) []field { return []field{{Name: "note", Kind: "area", Max: 2000}} }

func reasonField(label string) func(*ticketView, subject) []field {
	return func(*ticketView, subject) []field {
		return []field{{Name: "reason", Label: label, Kind: "area", Required: true, Max: 2000}}
	}
}

// replyFields are the words that the citizen gets, and how they were given.
func replyFields(label string) func(*ticketView, subject) []field {
	return func(v *ticketView, _ subject) []field {
		return []field{
			{Name: "reply", Label: label, Kind: "area", Required: true, Max: 5000},
			{Name: "via", Label: "reply-via", Kind: "select", Required: true, Options: v.ways("phone", "sms", "visit", "letter", "web")},
		}
	}
}

// numbered is the id of the ticket whose number was typed; the reader must be able to see it.
func (c command) numbered(tx *storage.Tx, o *ticket.Office, name string) (string, error) {
	t, err := o.See(tx, c.in.text(name), c.by)
	if errors.Is(err, storage.ErrNotFound) {
		return "", &ticket.Refusal{Code: "number", Message: "没有找到编号为“" + c.in.text(name) + "”的诉求"}
	}
	return t.ID, err
}

func (c command) reply() ticket.Reply {
	return ticket.Reply{Text: c.in.text("reply"), Via: c.in.text("via")}
}

func validities() []option {
	return labelled(ticket.Effective, ticket.Nuisance, ticket.Empty, ticket.Test, ticket.Misdial, ticket.Elsewhere)
}

// coloursFrom are a colour and those above it.
func coloursFrom(c ticket.Colour) []option {
	var out []option
	for _, x := range ticket.Colours {
		if x.Rank() >= c.Rank() {
			out = append(out, option{Value: string(x), Label: string(x)})
		}
	}
	return out
}

func amendFields(v *ticketView, _ subject) []field {
	f := []field{
		{Name: "title", Values: []string{v.T.Title}, Max: 200},
		{Name: "body", Kind: "area", Hint: "hint-body", Max: 20000},
		{Name: "place", Values: []string{v.T.Place}, Max: 200},
		{Name: "kind", Kind: "select", Values: []string{string(v.T.Kind)}, Options: labelled(ticket.Kinds...)},
		{Name: "unit-hint", Kind: "select", Values: []string{v.T.UnitHint}, Options: v.names.unitOptions()},
		{Name: "accused-unit", Kind: "select", Values: []string{v.T.AccusedUnit}, Options: v.names.unitOptions()},
		{Name: "incident", Values: []string{v.T.IncidentNo}, Max: 64},
		{Name: "window", Values: []string{v.T.WindowNo}, Max: 30},
		{Name: "clerk", Values: []string{v.T.ClerkNo}, Max: 30, Hint: "hint-clerk"},
	}
	if !v.T.Confidential {
		f = append(f, field{Name: "confidential", Kind: "check"})
	}
	return f
}

// amend sends what was changed: a text that was left as it is shown, numbers masked, must not replace the original.
func amend(o *ticket.Office, tx *storage.Tx, c command) error {
	changed := func(name, was string) string {
		if s := c.in.text(name); s != was {
			return s
		}
		return ""
	}
	t := c.view.T
	a := ticket.Amendment{Title: changed("title", t.Title), Body: c.in.text("body"), Place: changed("place", t.Place), Kind: ticket.Kind(c.in.text("kind")),
		UnitHint: c.in.text("unit-hint"), AccusedUnit: c.in.text("accused-unit"), IncidentNo: c.in.text("incident"), WindowNo: c.in.text("window"), ClerkNo: c.in.text("clerk")}
	if c.in.on("confidential") {
		yes := true
		a.Confidential = &yes
	}
	return did(o.Amend(tx, c.ticket, a, c.by))
}

func decide(o *ticket.Office, tx *storage.Tx, c command) error {
	r := ticket.Ruling{Grant: c.in.text("grant") == "yes", Note: c.in.text("note"), Informed: c.in.text("informed")}
	if !r.Grant && c.in.text("grant") != "no" {
		return &ticket.Refusal{Code: "grant", Message: "请选择同意或不同意"}
	}
	switch c.view.request(c.on).Kind {
	case ticket.AskReturn:
		return did(o.DecideReturn(tx, c.on, r, c.by))
	case ticket.AskExtension:
		return did(o.DecideExtension(tx, c.on, r, c.by))
	case ticket.AskSuspend:
		return did(o.DecideSuspend(tx, c.on, r, c.by))
	case ticket.AskRetype:
		return did(o.DecideRetype(tx, c.on, r, c.by))
	case ticket.AskLower:
		return did(o.DecideLower(tx, c.on, r, c.by))
	case ticket.AskStable:
		return did(o.DecideStable(tx, c.on, r, c.by))
	}
	return storage.ErrNotFound
}
