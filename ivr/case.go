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
	in := ticket.Intake{
		Channel: hotlineChannel, ExternalID: r.ID, CallID: r.ID, ContactID: v.person.ID, Anonymous: v.person.ID == "",
		Kind: kind, Title: title, Body: body, Confidential: v.fields["confidential"] == "yes", At: r.Started, By: ticket.Bot,
	}
	if r.Urgent {
		in.Colour = ticket.Orange
	}
	t, err := v.h.cfg.Office.Open(tx, in)
	if err != nil {
		return t, err
	}
	r.TicketID = t.ID
	return t, v.h.calls.save(tx, &r)
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
		return
	}
	title := "热线来电，待坐席补记"
	if v.urgent() {
		title = "紧急来电（110），待坐席补记"
	}
	var t ticket.Ticket
	err := v.h.update(ctx, func(tx *storage.Tx) (err error) {
		t, err = v.open(tx, title, "来电人请求人工服务，内容由坐席补记。", "")
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
	cb, err := v.h.oweTo(tx, ticket.Callback{
		Kind: kind, TicketID: r.TicketID, ContactID: v.person.ID, CallID: r.ID, Reason: reason, By: ticket.Bot,
	})
	if err != nil {
		return cb, err
	}
	r.CallbackID = cb.ID
	return cb, v.h.calls.save(tx, r)
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

// by is a moment as the caller would say it, in the zone of the bureau.
func (v *visit) local(t time.Time) time.Time { return t.In(workday.Zone) }

func isNotFound(err error) bool { return errors.Is(err, storage.ErrNotFound) }
