package console

import (
	"strconv"
	"strings"

	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket"
)

// rating are the commands from the reply to the end.
var rating = []action{
	{code: "open-rating", offer: func(v *ticketView) []subject {
		return once(v.in(ticket.Replied, ticket.Answered) && v.centre(org.OpenRating))
	}, do: func(o *ticket.Office, tx *storage.Tx, c command) error { return did(o.OpenRating(tx, c.ticket, c.by)) }},

	{code: "attempt", look: "quiet", offer: func(v *ticketView) []subject {
		return once(v.toRate() && v.calls() && (v.review() != nil || v.in(ticket.Replied, ticket.Answered) && v.T.ContactID != ""))
	}, fields: func(*ticketView, subject) []field {
		return []field{
			{Name: "outcome", Kind: "select", Required: true, Options: labelled(ticket.TryOutcomes...)},
			{Name: "note", Kind: "area", Max: 2000},
		}
	}, do: func(o *ticket.Office, tx *storage.Tx, c command) error {
		return did(o.Attempt(tx, c.ticket, ticket.TryOutcome(c.in.text("outcome")), c.in.text("note"), c.by))
	}},

	{code: "rate", offer: func(v *ticketView) []subject {
		return once(v.toRate() && v.calls() && v.contested() == nil)
	}, fields: func(*ticketView, subject) []field {
		return []field{
			{Name: "given", Kind: "select", Required: true, Options: givenOptions, Hint: "hint-given"},
			{Name: "stars", Label: "folded", Kind: "select", Options: starOptions, Hint: "hint-folded"},
			{Name: "words", Kind: "area", Max: 2000},
			{Name: "contest", Kind: "check", Hint: "hint-contest"},
			{Name: "ground", Label: "contest-ground", Kind: "area", Max: 2000},
		}
	}, do: func(o *ticket.Office, tx *storage.Tx, c command) error {
		scale, given, _ := strings.Cut(c.in.text("given"), ":")
		stars := ticket.Stars(max(0, c.in.number("stars")))
		if scale == "" {
			return &ticket.Refusal{Code: "given", Message: "请选择群众给出的评价"}
		}
		if scale == string(ticket.ScaleWords) && !stars.Valid() {
			return &ticket.Refusal{Code: "stars", Message: "口头表述须折合为五级之一"}
		}
		return did(o.Rate(tx, c.ticket, ticket.RatingIn{Stars: stars, Scale: ticket.Scale(scale), Given: given, Via: "callback", Words: c.in.text("words"),
			Contest: c.in.on("contest"), Ground: c.in.text("ground")}, c.by))
	}},

	{code: "determine", offer: func(v *ticketView) []subject {
		q := v.contested()
		return once(v.in(ticket.AwaitRating) && q != nil && v.me.Can(org.DetermineTicket) && (!v.T.Restricted || v.me.Can(org.ViewRestricted)) &&
			!v.ofLegs(v.me.Unit) && !v.took(handled, reviewed, called) && q.AskedBy != v.me.Actor() && (q.AskedBy == "" || q.AskedUnit != v.me.Unit))
	}, fields: func(*ticketView, subject) []field {
		return []field{
			{Name: "uphold", Kind: "yesno", Required: true, Hint: "hint-uphold"},
			{Name: "ground", Label: "determine-ground", Kind: "area", Required: true, Max: 2000},
		}
	}, do: func(o *ticket.Office, tx *storage.Tx, c command) error {
		if a := c.in.text("uphold"); a != "yes" && a != "no" {
			return &ticket.Refusal{Code: "uphold", Message: "请选择认定意见"}
		}
		return did(o.Determine(tx, c.ticket, c.in.text("uphold") == "yes", c.in.text("ground"), c.by))
	}},

	{code: "close-unrated", look: "quiet", offer: func(v *ticketView) []subject {
		return once(v.in(ticket.AwaitRating) && v.contested() == nil && v.calls() && v.triedEnough())
	}, do: func(o *ticket.Office, tx *storage.Tx, c command) error {
		return did(o.CloseUnrated(tx, c.ticket, c.by))
	}},

	{code: "release", offer: func(v *ticketView) []subject {
		return once(v.in(ticket.Rework) && (v.centre(org.Supervise) || v.centre(org.InstructTicket)))
	}, fields: func(*ticketView, subject) []field {
		return []field{{Name: "decision", Label: "release-decision", Kind: "area", Required: true, Max: 5000}}
	}, do: func(o *ticket.Office, tx *storage.Tx, c command) error {
		return did(o.Release(tx, c.ticket, c.in.text("decision"), c.by))
	}},
}

var starOptions = func() []option {
	var out []option
	for s := ticket.Stars(5); s >= 1; s-- {
		out = append(out, option{Value: strconv.Itoa(int(s)), Label: s.Label()})
	}
	return out
}()

// givenOptions are the values of every scale that a citizen may have answered on, best first.
var givenOptions = func() []option {
	var out []option
	add := func(s ticket.Scale, values ...int) {
		for _, v := range values {
			r := ticket.Rating{Scale: s, Given: strconv.Itoa(v)}
			label := strings.TrimPrefix(r.GivenLabel(), s.Label()+" ")
			if s != ticket.ScaleFive {
				label += "（" + s.Fold(v).Label() + "）"
			}
			out = append(out, option{Value: string(s) + ":" + r.Given, Label: label, Group: s.Label()})
		}
	}
	add(ticket.ScaleFive, 5, 4, 3, 2, 1)
	add(ticket.ScaleThree, 3, 2, 1)
	add(ticket.ScaleTen, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0)
	add(ticket.ScaleKey, 1, 2, 3, 4, 5)
	return append(out, option{Value: string(ticket.ScaleWords), Label: ticket.ScaleWords.Label(), Group: ticket.ScaleWords.Label()})
}()
