package ivr

import (
	"context"
	"errors"
	"fmt"
	"time"

	"lianxin/storage"
	"lianxin/ticket"
	"lianxin/workday"
)

// hotlineChannel is the code of this channel among ticket channels.
const hotlineChannel = "hotline"

// open enters the caller's ticket, once per call: opening it again returns the same one.
func (v *visit) open(tx *storage.Tx, title, body string, kind ticket.Kind) (ticket.Ticket, error) {
	r := v.record()
	if kind == "" {
		kind = ticket.Kind(v.fields["kind"])
	}
	in := v.noted()
	in.Kind, in.By = kind, ticket.Bot
	if in.Title == "" || title != draftTitle {
		in.Title = title
	}
	if in.Body != "" {
		body += "\n" + in.Body
	}
	in.Body = body
	return v.h.open(tx, &r, in)
}

// noted is what the flow has set of the matter.
func (v *visit) noted() ticket.Intake {
	return ticket.Intake{Kind: ticket.Kind(v.fields["kind"]), Title: short(v.fields["title"], 100), Body: short(v.fields["body"], 2000),
		Place: short(v.fields["place"], 200), Confidential: v.fields["confidential"] == "yes"}
}

// short cuts a text to so many characters.
func short(text string, most int) string {
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most])
	}
	return text
}

// open enters the ticket of a call and notes it in r.
func (h *Hotline) open(tx *storage.Tx, r *Record, in ticket.Intake) (ticket.Ticket, error) {
	in.Channel, in.ExternalID, in.CallID, in.At = hotlineChannel, r.ID, r.ID, r.Started
	in.ContactID, in.Anonymous = r.ContactID, r.ContactID == ""
	if r.Urgent {
		in.Colour = ticket.Orange
	}
	t, err := h.cfg.Office.Open(tx, in)
	if err != nil {
		return t, err
	}
	r.TicketID = t.ID
	return t, h.calls.save(tx, r)
}

// opened notes the ticket of the call once it is committed.
func (v *visit) opened(t ticket.Ticket) {
	v.note(func(r *Record) { r.TicketID = t.ID })
	v.show(func(l *LiveCall) { l.TicketID = t.ID })
}

// draft opens the ticket of a caller who wants a person, before anybody is rung: the operator finds it on the screen and
// fills it in, and if the call drops it is there. A database that fails does not keep the caller from the operator.
func (v *visit) draft(ctx context.Context) {
	if v.record().TicketID != "" {
		v.mark(ctx)
		return
	}
	ctx, cancel := after(ctx) // also of a caller who hangs up at this moment
	defer cancel()
	title := draftTitle
	if v.urgent() {
		title = draftUrgent
	}
	var t ticket.Ticket
	err := v.h.update(ctx, func(tx *storage.Tx) (err error) {
		t, err = v.open(tx, title, draftBody, "")
		return err
	})
	if err != nil {
		v.log.Error("ivr: open the draft of a ticket", "err", err)
		v.did("未能建立诉求")
		return
	}
	v.opened(t)
}

// owe opens a call-back in the caller's transaction and notes it in r.
func (v *visit) owe(tx *storage.Tx, r *Record, kind ticket.CallbackKind, reason string) (ticket.Callback, error) {
	return v.h.owe(tx, r, kind, reason, ticket.Bot)
}

// oweTo opens a call-back; one whose ticket has been settled meanwhile stands by itself.
func (h *Hotline) oweTo(tx *storage.Tx, c ticket.Callback) (ticket.Callback, error) {
	cb, err := h.cfg.Office.OpenCallback(tx, c)
	if no, ok := ticket.RefusedWith(err); ok && no.Code == "state" && c.TicketID != "" {
		c.TicketID = ""
		return h.cfg.Office.OpenCallback(tx, c)
	}
	return cb, err
}

// urgentDue is how soon a caller is called back who keyed 110 and spoke with nobody.
const urgentDue = 10 * time.Minute

// owe opens the call-back of a call and notes it in r. That of a caller who keyed 110 is one of its own, due at once.
func (h *Hotline) owe(tx *storage.Tx, r *Record, kind ticket.CallbackKind, reason string, by ticket.Actor) (ticket.Callback, error) {
	c := ticket.Callback{Kind: kind, TicketID: r.TicketID, ContactID: r.ContactID, CallID: r.ID, Reason: reason, By: by}
	if r.Urgent && kind != ticket.CallbackRating {
		c.Key, c.Due, c.Reason = "urgent:"+r.ID, h.now().Add(urgentDue), "紧急来电（110），请立即回拨。"+reason
	}
	cb, err := h.oweTo(tx, c)
	if err != nil {
		return cb, err
	}
	r.CallbackID = cb.ID
	return cb, h.calls.save(tx, r)
}

// openCallback is owe in a transaction of its own.
func (v *visit) openCallback(ctx context.Context, kind ticket.CallbackKind, reason string) error {
	ctx, cancel := after(ctx)
	defer cancel()
	var cb ticket.Callback
	err := v.h.update(ctx, func(tx *storage.Tx) (err error) {
		r := v.record()
		cb, err = v.owe(tx, &r, kind, reason)
		return err
	})
	if err == nil {
		v.note(func(r *Record) { r.CallbackID = cb.ID })
	}
	return err
}

// settleCallbacks ends what is owed to a caller for earlier calls that did not reach a person, now that this one has.
func (v *visit) settleCallbacks(tx *storage.Tx) error {
	owed, _, err := v.h.cfg.Office.Callbacks(tx, ticket.CallbackFilter{Viewer: ticket.System, ContactID: v.person.ID, Kind: ticket.CallbackAbandoned, State: ticket.CallbackOpen})
	if err != nil {
		return err
	}
	for _, cb := range owed {
		if _, err := v.h.cfg.Office.FinishCallback(tx, cb.ID, true, "群众再次来电，已接通人工", ticket.System); err != nil {
			return err
		}
	}
	return nil
}

// find looks up the ticket whose number a caller keyed in: 民2026-1123-0001 is keyed 202611230001.
func (v *visit) find(ctx context.Context, keyed string) (t ticket.Ticket, err error) {
	if len(keyed) < 12 {
		return t, fmt.Errorf("number of %d digits: %w", len(keyed), storage.ErrNotFound)
	}
	number := "民" + keyed[:4] + "-" + keyed[4:8] + "-" + keyed[8:]
	err = v.h.cfg.DB.View(ctx, func(tx *storage.Tx) error {
		t, err = v.h.cfg.Office.Get(tx, number)
		return err
	})
	return t, err
}

// mine says whether a ticket may be spoken of to this caller: only to the number that it came from.
func (v *visit) mine(t ticket.Ticket) bool {
	return v.person.ID != "" && t.ContactID == v.person.ID && !t.Restricted
}

// local is a moment as the caller would say it, in the zone of the bureau.
func (v *visit) local(t time.Time) time.Time { return t.In(workday.Zone) }

func isNotFound(err error) bool { return errors.Is(err, storage.ErrNotFound) }
