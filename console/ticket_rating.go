package console

import (
	"strconv"

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
			{Name: "stars", Kind: "select", Required: true, Options: starOptions},
			{Name: "words", Kind: "area", Max: 2000},
			{Name: "contest", Kind: "check", Hint: "hint-contest"},
			{Name: "ground", Label: "contest-ground", Kind: "area", Max: 2000},
		}
	}, do: func(o *ticket.Office, tx *storage.Tx, c command) error {
		return did(o.Rate(tx, c.ticket, ticket.RatingIn{Stars: ticket.Stars(max(0, c.in.number("stars"))), Via: "callback", Words: c.in.text("words"),
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
