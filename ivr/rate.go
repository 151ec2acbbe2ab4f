package ivr

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"lianxin/ivr/flow"
	"lianxin/storage"
	"lianxin/ticket"
)

// rate asks for a rating by key, 1 非常满意 to 5 非常不满意. A 4 or 5 opens a call-back. The outcome is "next".
func (v *visit) rate(ctx context.Context, n *flow.Node) (string, error) {
	v.show(func(l *LiveCall) { l.Stage = StageRating })
	defer v.show(func(l *LiveCall) { l.Stage = StageBot })
	for try := 0; try < n.Tries(2); try++ {
		key, err := v.ask(ctx, n.Wait(8*time.Second), n.Prompts...)
		if err != nil {
			return "", err
		}
		switch {
		case key >= '1' && key <= '5':
			rating := int(key - '0')
			if err := v.rated(ctx, rating); err != nil {
				return "", err
			}
			word := "rating.thanks"
			if rating >= 4 {
				word = "rating.sorry"
			}
			if rating >= 4 && n.Exits["bad"] != "" { // the flow asks for the reason
				return "bad", nil
			}
			_, err := v.Say(ctx, []string{word})
			return "next", err
		case key == flow.Urgent:
			return flow.Outcome(key), nil
		case key != flow.NoKey && try < n.Tries(2)-1:
			if _, err := v.Say(ctx, []string{"rating.wrong"}); err != nil {
				return "", err
			}
		}
	}
	v.did("未评价")
	_, err := v.Say(ctx, []string{"rating.none"})
	return "next", err
}

// rated keeps a rating: of the talk, in the record; of an answer by the bot, as the rating of its ticket too.
func (v *visit) rated(ctx context.Context, rating int) error {
	ctx, cancel := after(ctx)
	defer cancel()
	v.note(func(r *Record) { r.Rating = rating })
	v.did("已评价")
	var cb ticket.Callback
	err := v.h.update(ctx, func(tx *storage.Tx) (err error) {
		r := v.record()
		if err := v.h.calls.save(tx, &r); err != nil {
			return err
		}
		if v.settledBot && v.person.ID != "" {
			if _, err := v.h.cfg.Office.Rate(tx, r.TicketID, ticket.RatingIn{Via: "key", Scale: ticket.ScaleKey, Given: strconv.Itoa(rating)}, ticket.Citizen(v.person.ID)); err != nil {
				return err
			}
		}
		if v.review { // it is the ticket that is rated: a bad one goes into another round, which is more than a call-back
			_, err := v.h.cfg.Office.Rate(tx, r.TicketID, ticket.RatingIn{Stars: ticket.FromReplyDigit(rating), Via: "key"}, ticket.Citizen(v.person.ID))
			if no, refused := ticket.RefusedWith(err); refused { // rated or closed meanwhile: the key stands in the record of the call
				v.log.Warn("ivr: a rating by key was not entered on its ticket", "ticket", r.TicketID, "why", no.Code)
				return nil
			}
			return err
		}
		if rating < 4 || v.person.ID == "" || v.survey != nil {
			return nil
		}
		cb, err = v.owe(tx, &r, ticket.CallbackRating, fmt.Sprintf("来电人对服务评价“%s”", ticket.FromReplyDigit(rating).Label()))
		return err
	})
	if err != nil {
		return fmt.Errorf("keep a rating: %w", err)
	}
	if cb.ID != "" {
		v.note(func(r *Record) { r.CallbackID = cb.ID })
	}
	return nil
}
