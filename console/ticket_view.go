package console

import (
	"slices"
	"time"

	"lianxin/org"
	"lianxin/ticket"
	"lianxin/workday"
)

// ticketView is a ticket's page: all that is known about it, as one reader may see it.
type ticketView struct {
	T         ticket.Ticket
	Now       time.Time
	Channel   ticket.Channel
	Ground    string // of a refusal, in words
	Legs      []ticket.Leg
	Clocks    []clockView
	Requests  []requestView
	Ratings   []ticket.Rating
	Callbacks []ticket.Callback
	Tries     []ticket.Try
	Events    []eventView
	Person    *person
	Links     []link // other tickets that it belongs with
	Oversight *ticketOversight
	Call      *callPart
	Service   *servicePart
	Original  string // the text with its numbers, after a reveal
	ReplyVia  string // in words
	Panel     []panelForm
	Refused   *panelForm // a command that came and is not offered any more
	Changed   bool       // the ticket changed since the page's forms were made
	MayReveal bool
	MayDial   bool         // the citizen, from the reader's telephone
	Why       *whyView     // why it has its colour; nil when it was never graded
	Suggested *suggestView // what the classifier said; nil when it said nothing
	ClassName string       // the class that a person chose, in words
	CauseName string       // why it came up, in words
	Community string       // in words

	Revealed                 bool // number and words are in the open on this page
	RevealError, RevealTyped string

	me      *user
	classes classNames
	causes  []ticket.Cause
	rules   ticket.Rules // under which the ticket was opened
	names   names
	office  *ticket.Office
	lang    string
}

// Names puts words to actors and units.
func (v *ticketView) Names() names { return v.names }

// link is another ticket.
type link struct {
	Key          string // of the text that says how it belongs
	ID, Number   string
	Label, Title string
}

// The guards below say what Office would say, so that the panel offers nothing that it would refuse for the state of the
// ticket or the reader's part in it. A test holds the two together.

func (v *ticketView) in(states ...ticket.State) bool { return slices.Contains(states, v.T.State) }

// centre reports whether the reader acts for the centre, or on a restricted ticket for its seat.
func (v *ticketView) centre(act org.Action) bool {
	if v.T.Restricted {
		return v.me.Can(org.ViewRestricted)
	}
	return v.me.Can(act) && v.me.Role.Reach() == org.ReachAll
}

// ownLegs are the legs of the reader's unit of which ok holds.
func (v *ticketView) ownLegs(act org.Action, ok func(ticket.Leg) bool) []subject {
	var out []subject
	for _, l := range v.Legs {
		if l.Unit == v.me.Unit && v.me.Can(act) && ok(l) {
			out = append(out, subject{l.ID, l.Role.Label()})
		}
	}
	return out
}

// works reports whether the unit can work on a leg now, and the reader is not one who reviewed or called in this round.
func (v *ticketView) works(l ticket.Leg) bool {
	return v.in(ticket.Handling, ticket.Suspended) && !v.took(reviewed, called) &&
		(l.State == ticket.LegSigned || l.State == ticket.LegWorking || l.State == ticket.LegSentBack || l.State == ticket.LegExtReq)
}

// contactable are the legs for which the reader can note a contact: the own ones, and of a confidential ticket, whose
// citizen the units do not know, every one that is worked on, for those of the centre who may know.
func (v *ticketView) contactable() []subject {
	if v.T.Confidential && v.me.Role.Reach() == org.ReachAll {
		var out []subject
		for _, l := range v.Legs {
			if v.centre(org.LogContact) && v.office.KnowsCitizen(v.T, ticket.Staff(v.me.Staff)) && v.in(ticket.Handling, ticket.Suspended) &&
				(l.State == ticket.LegSigned || l.State == ticket.LegWorking || l.State == ticket.LegSentBack || l.State == ticket.LegExtReq) {
				out = append(out, subject{l.ID, l.Role.Label()})
			}
		}
		return out
	}
	return v.workable(org.LogContact)
}

func (v *ticketView) workable(act org.Action) []subject { return v.ownLegs(act, v.works) }

func (v *ticketView) leg(id string) ticket.Leg {
	for _, l := range v.Legs {
		if l.ID == id {
			return l
		}
	}
	return ticket.Leg{}
}

// host is the 主办 leg of the present round, nil when none is alive.
func (v *ticketView) host() *ticket.Leg {
	for i, l := range v.Legs {
		if l.Role == ticket.Host && l.Round == v.T.Round && l.State.Live() {
			return &v.Legs[i]
		}
	}
	return nil
}

func (v *ticketView) waitsForCo() bool {
	return slices.ContainsFunc(v.Legs, func(l ticket.Leg) bool {
		return l.Role == ticket.Co && l.Round == v.T.Round && l.State.Live() && l.State != ticket.LegSubmitted
	})
}

func (v *ticketView) ofLegs(unit string) bool {
	return slices.ContainsFunc(v.Legs, func(l ticket.Leg) bool {
		return l.Round == v.T.Round && l.Unit == unit && l.State != ticket.LegReturned && l.State != ticket.LegCancelled
	})
}

// duty is a part in a round that one person may take only one of (I5).
type duty int

const (
	handled duty = iota
	reviewed
	called
)

// took reports whether the reader had one of the duties in the present round.
func (v *ticketView) took(duties ...duty) bool {
	me, round := v.me.Actor(), v.T.Round
	return slices.ContainsFunc(duties, func(which duty) bool {
		switch which {
		case handled:
			return round == 0 && v.T.AnsweredBy == me || slices.ContainsFunc(v.Legs, func(l ticket.Leg) bool {
				return l.Round == round && (l.SignedBy == me || l.SubmittedBy == me || l.Handler == me)
			})
		case reviewed:
			return slices.ContainsFunc(v.Legs, func(l ticket.Leg) bool { return l.Round == round && l.ReviewedBy == me })
		}
		return slices.ContainsFunc(v.Tries, func(t ticket.Try) bool { return t.Round == round && t.By == me }) ||
			slices.ContainsFunc(v.Ratings, func(r ticket.Rating) bool { return r.Round == round && r.By == me })
	})
}

// reviews reports whether the reader may review the result.
func (v *ticketView) reviews() bool {
	if !v.in(ticket.Reviewing) || v.took(handled, called) {
		return false
	}
	h := v.host()
	leads := h != nil && (h.Unit == v.me.Unit || v.me.Scope.Reach == org.ReachUnit && v.me.Scope.Covers(h.Unit))
	if !leads || v.T.Restricted {
		return v.centre(org.ReviewResult)
	}
	return v.me.Can(org.ReviewResult)
}

// calls reports whether the reader may call the citizen for the rating.
func (v *ticketView) calls() bool {
	if !v.centre(org.MakeReview) || v.ofLegs(v.me.Unit) || v.took(handled, reviewed) {
		return false
	}
	c := v.review()
	return c == nil || !slices.ContainsFunc(c.ExcludeUnits, func(u string) bool { return v.names.below(v.me.Unit, u) })
}

// toRate reports whether the citizen can rate now.
func (v *ticketView) toRate() bool {
	return v.in(ticket.AwaitRating, ticket.Replied, ticket.Answered) ||
		v.in(ticket.Merged) && !v.T.RepliedAt.IsZero() && v.T.Outcome == ""
}

// review is the open call-back for the rating of this round.
func (v *ticketView) review() *ticket.Callback {
	for i, c := range v.Callbacks {
		if c.Kind == ticket.CallbackReview && c.State == ticket.CallbackOpen && c.Round == v.T.Round {
			return &v.Callbacks[i]
		}
	}
	return nil
}

// triedEnough reports whether the citizen was called as often as 未评价 asks for.
func (v *ticketView) triedEnough() bool {
	if v.T.ContactID == "" {
		return true
	}
	r := v.rules
	return slices.ContainsFunc(v.Callbacks, func(c ticket.Callback) bool {
		n, days, parts := countTries(v.Tries, c.ID)
		return c.Kind == ticket.CallbackReview && c.Round == v.T.Round && n >= r.MinTries && days >= r.MinTryDays && parts >= r.MinTryParts
	})
}

func countTries(tries []ticket.Try, callback string) (n, days, parts int) {
	onDays, inParts := map[workday.Day]bool{}, map[string]bool{}
	for _, t := range tries {
		if t.CallbackID == callback {
			n++
			onDays[workday.DayOf(t.At)] = true
			inParts[t.Part] = true
		}
	}
	return n, len(onDays), len(inParts)
}

// contested is the open question whether a bad rating leads to rework.
func (v *ticketView) contested() *ticket.Request {
	for i, q := range v.Requests {
		if q.Kind == ticket.AskDetermine && q.State == ticket.Asked {
			return &v.Requests[i].Request
		}
	}
	return nil
}

func (v *ticketView) asked(k ticket.RequestKind) bool {
	return slices.ContainsFunc(v.Requests, func(q requestView) bool { return q.Kind == k && q.State == ticket.Asked })
}

func (v *ticketView) request(id string) ticket.Request {
	for _, q := range v.Requests {
		if q.ID == id {
			return q.Request
		}
	}
	return ticket.Request{}
}

// decides reports whether the reader may decide a request of this kind now.
func (v *ticketView) decides(q requestView) bool {
	switch q.Kind {
	case ticket.AskReturn:
		return v.in(ticket.Dispatched, ticket.Handling) && v.centre(org.DecideReturn)
	case ticket.AskExtension:
		return v.in(ticket.Handling) && v.centre(org.DecideExtension)
	case ticket.AskSuspend:
		return v.in(ticket.Handling) && v.centre(org.SuspendTicket)
	case ticket.AskStable:
		return v.in(ticket.Handling) && v.me.Role == org.Leader && v.centre(org.DecideExtension)
	case ticket.AskRetype, ticket.AskLower:
		return v.T.State.Open() && v.centre(org.GradeTicket)
	}
	return false
}

// beforeDue reports whether a clock of the kind is not yet due.
func (v *ticketView) beforeDue(k ticket.ClockKind) bool {
	return slices.ContainsFunc(v.Clocks, func(c clockView) bool {
		return c.Kind == k && (c.State == ticket.Running || c.State == ticket.Paused) && v.Now.Before(c.DueAt)
	})
}

// step is a step of the response, by its id.
func (v *ticketView) step(id string) ticket.Step {
	if v.Why != nil {
		for _, s := range v.Why.Steps {
			if s.ID == id {
				return s
			}
		}
	}
	return ticket.Step{}
}

// responds are the steps of the response that the reader can take.
func (v *ticketView) responds() []subject {
	if v.Why == nil || !v.T.State.Open() {
		return nil
	}
	h := v.host()
	if own := h != nil && h.Unit == v.me.Unit; own && !v.me.Can(org.LogContact) || !own && !v.centre(org.CommentTicket) {
		return nil
	}
	var out []subject
	for _, s := range v.Why.OpenSteps() {
		out = append(out, subject{s.ID, s.Words})
	}
	return out
}

// handlers are the units that may handle the ticket: not the accused one, nor what stands below it (I6).
func (v *ticketView) handlers(but ...string) []option {
	return slices.DeleteFunc(v.names.unitOptions(), func(o option) bool {
		return slices.Contains(but, o.Value) || v.T.AccusedUnit != "" && v.names.below(o.Value, v.T.AccusedUnit)
	})
}

// ways are ways to reach a citizen, in words.
func (v *ticketView) ways(codes ...string) []option {
	out := make([]option, len(codes))
	for i, c := range codes {
		out[i] = option{Value: c, Label: translate(v.lang, "via-"+c)}
	}
	return out
}

// panelForm is a command that is offered, with its form.
type panelForm struct {
	Code    string
	Look    string
	On      string // subject
	Note    string // what tells it from others of its kind
	Fields  []field
	Open    bool
	Refusal string // why the room refused what was typed
	Seen    int64
}

// panel lists what the reader may do: the next step of the main path first, then what leads aside.
func (v *ticketView) panel() []panelForm {
	var out []panelForm
	for _, a := range actions {
		for _, on := range a.offer(v) {
			out = append(out, v.panelForm(a, on))
		}
	}
	slices.SortStableFunc(out, func(a, b panelForm) int { return rankLook(a.Look) - rankLook(b.Look) })
	if len(out) > 0 && out[0].Look == "" {
		out[0].Open = true
	}
	return out
}

func rankLook(look string) int { return slices.Index([]string{"", "quiet", "danger"}, look) }

func (v *ticketView) panelForm(a action, on subject) panelForm {
	f := panelForm{Code: a.code, Look: a.look, On: on.ID, Note: on.Note, Seen: v.T.Revision}
	if a.fields != nil {
		f.Fields = a.fields(v, on)
	}
	if a.again != nil && a.again(v, on) {
		f.Look = "quiet"
	}
	return f
}

// requestView is a request with what it asks for in words.
type requestView struct {
	ticket.Request
	For string
}

// clockView is a clock with how far it has run.
type clockView struct {
	ticket.Clock
	Unit  string // of its leg
	Share int    // of its time that is used up, percent, at most 100
	Look  string // class of the bar
	Time  string // what is left of it, or how long it is overdue
}

func (s *Server) clockView(c ticket.Clock, lang string, now time.Time) clockView {
	v := clockView{Clock: c, Time: untilDue(lang, c.DueAt, now)}
	r := s.Office.Reckoner()
	used := c.Total
	switch {
	case c.State == ticket.Paused:
		used = c.Total - c.Left
		v.Time = translate(lang, "left", span(lang, c.Left))
	case c.State == ticket.Running && now.Before(c.DueAt):
		sp, err := workday.ParseSpan(c.Span)
		if err == nil && sp.Unit == workday.WallTime {
			used = c.Total - c.DueAt.Sub(now)
		} else {
			used = c.Total - r.Elapsed(now, c.DueAt)
		}
	}
	if c.Total > 0 {
		v.Share = int(min(100, max(0, 100*used/c.Total)))
	}
	switch {
	case c.Overdue(now):
		v.Look, v.Share = "bad", 100
	case v.Share >= 80:
		v.Look = "warn"
	}
	return v
}

// Live reports whether the clock still asks for something.
func (c clockView) Live() bool { return c.State == ticket.Running || c.State == ticket.Paused }
