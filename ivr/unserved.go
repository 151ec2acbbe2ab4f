package ivr

import (
	"context"
	"fmt"
	"strings"
	"time"

	"lianxin/storage"
	"lianxin/ticket"
)

// What the ticket of a caller who wants a person says until somebody fills it in.
const (
	draftTitle  = "热线来电，待坐席补记"
	draftUrgent = "紧急来电（110），待坐席补记"
	draftBody   = "来电人请求人工服务，内容由坐席补记。"
)

// callForHelp is how a caller who keyed or spoke 110 is written of.
const callForHelp = "来电人按110或语音求助"

// urgentRule is the rule of the alert that a caller in danger was not served.
const urgentRule = "urgent_call"

// due is what is to be settled when a call has ended.
type due struct {
	owe    bool // a call-back
	reason string
	intake ticket.Intake // what was noted for a ticket that is not there yet
	by     ticket.Actor
}

// settle does in the caller's transaction what the end of a call asks for: the ticket says the truth about a caller who
// spoke with nobody, the call-back is opened, and a caller who keyed 110 and was not served raises a red alert.
func (h *Hotline) settle(tx *storage.Tx, r *Record, d due) error {
	spoke := !r.Connected.IsZero()
	danger := r.Urgent && (!spoke || d.owe) && r.Disposition != Cancelled
	owe := d.owe || danger
	if owe && r.TicketID == "" && (danger || !r.Queued.IsZero()) {
		in := d.intake
		if in.Title == "" {
			in.Title = draftTitle // and amended below
		}
		in.Body, in.By = strings.TrimRight(draftBody+"\n"+in.Body, "\n"), d.by
		if _, err := h.open(tx, r, in); err != nil {
			return fmt.Errorf("ticket of a call that ended: %w", err)
		}
	}
	if r.TicketID != "" && !spoke {
		title, body := unserved(*r)
		if err := h.amend(tx, r.TicketID, title, body, d.by); err != nil {
			return fmt.Errorf("ticket of a caller who was not served: %w", err)
		}
	}
	if r.Urgent {
		if err := h.mark(tx, r.TicketID, d.by); err != nil {
			return fmt.Errorf("mark a ticket as urgent: %w", err)
		}
	}
	if owe && r.ContactID != "" {
		if _, err := h.owe(tx, r, ticket.CallbackAbandoned, d.reason, d.by); err != nil {
			return fmt.Errorf("open a call-back: %w", err)
		}
	}
	if !danger {
		return nil
	}
	_, err := h.cfg.Office.RaiseAlert(tx, ticket.Alert{
		Key: urgentRule + ":" + r.ID, Rule: urgentRule, Level: ticket.Red, TicketID: r.TicketID, CallID: r.ID, ContactID: r.ContactID,
		Title: "110紧急来电未获接听", Evidence: callForHelp + "，通话结束时未与坐席说上话（" + r.Disposition.Label() + "）。", By: d.by,
	})
	if err != nil {
		return fmt.Errorf("raise the alert of an urgent call: %w", err)
	}
	return nil
}

// unserved is what a ticket says of a caller who wanted a person and spoke with none.
func unserved(r Record) (title, body string) {
	title, body = "未接通来电，待回拨", "来电人请求人工服务，"
	switch {
	case r.Disposition == Promised:
		title = "来电人选择回电，待回拨"
	case r.ContactID == "":
		title = "未接通来电，未显示号码"
	}
	if r.Urgent {
		title, body = "紧急来电（110）未接通，请立即回拨", callForHelp+"，"
		if r.ContactID == "" {
			title = "紧急来电（110）未接通，未显示号码"
		}
	}
	if r.Queued.IsZero() {
		body += "尚未转接坐席，"
	} else {
		body += fmt.Sprintf("等候%d秒后", int(r.Wait.Round(time.Second).Seconds()))
	}
	switch {
	case r.Disposition == Interrupted:
		body += "因系统中断未接通"
	case r.Disposition == Promised:
		body += "选择回电"
	case r.EndedBy == "us":
		body += "未能接通"
	case r.EndedBy == "caller":
		body += "挂机"
	default:
		body += "线路中断"
	}
	body += "，未与坐席通话。"
	if r.ContactID == "" {
		body += "来电未显示号码，无法回电。"
	}
	return title, body
}

// amend writes the title and the body of a ticket where they are still those of the draft: what an operator wrote stays.
func (h *Hotline) amend(tx *storage.Tx, id, title, body string, by ticket.Actor) error {
	t, err := h.cfg.Office.Get(tx, id)
	if err != nil || t.State != ticket.New {
		return err
	}
	var a ticket.Amendment
	if t.Title == draftTitle || t.Title == draftUrgent {
		a.Title = title
	}
	if rest, draft := strings.CutPrefix(t.Body, draftBody); draft && body != "" && (rest == "" || rest[0] == '\n') {
		a.Body = body + rest // what the flow has noted stays
	}
	if a.Title == "" && a.Body == "" {
		return nil
	}
	_, err = h.cfg.Office.Amend(tx, id, a, by)
	return err
}

// mark raises the ticket of a caller who keyed 110 and says so in its title, unless somebody has written another.
func (h *Hotline) mark(tx *storage.Tx, id string, by ticket.Actor) error {
	if id == "" {
		return nil
	}
	if err := h.amend(tx, id, draftUrgent, "", by); err != nil {
		return err
	}
	t, err := h.cfg.Office.Get(tx, id)
	if err != nil || !t.State.Open() || t.Colour.Rank() >= ticket.Orange.Rank() {
		return err
	}
	_, err = h.cfg.Office.Raise(tx, id, ticket.Orange, callForHelp, by)
	return err
}

// mark is mark in a transaction of its own, once per call.
func (v *visit) mark(ctx context.Context) {
	r := v.record()
	if !r.Urgent || r.TicketID == "" || v.marked {
		return
	}
	ctx, cancel := after(ctx)
	defer cancel()
	v.marked = true
	if err := v.h.update(ctx, func(tx *storage.Tx) error { return v.h.mark(tx, r.TicketID, ticket.Bot) }); err != nil {
		v.marked = false
		v.log.Error("ivr: mark a ticket as urgent", "err", err)
	}
	v.save(ctx)
}

// settle settles the end of a call. It reports false when the database would not take it: then that is tried again.
func (v *visit) settle(ctx context.Context) bool {
	r := v.record()
	served := v.talked || r.MessageTime > 0 || r.CallbackID != "" || v.solved != ""
	d := due{
		owe:    v.wants || v.cut || r.Disposition == Interrupted && !r.Answered.IsZero() && !served,
		reason: "等候人工服务时挂机，未接通", by: ticket.Bot,
		intake: v.noted(),
	}
	switch {
	case r.Disposition == Interrupted, v.cut:
		d.reason = interruptedReason
	case v.talked:
		d.reason = "通话意外中断后未再接通"
	case r.EndedBy == "us":
		d.reason = "未接通人工，未留言"
	case r.Queued.IsZero():
		d.reason = "转接坐席前挂机，未接通"
	}
	if d.owe && r.ContactID == "" {
		v.did("无来电号码，无法回电")
		r = v.record()
	}
	write := func(ctx context.Context) error {
		return v.h.update(ctx, func(tx *storage.Tx) error {
			again := r // a transaction that is repeated begins anew
			if err := v.h.settle(tx, &again, d); err != nil {
				return err
			}
			if err := logRecording(tx, again); err != nil {
				return err
			}
			tx.After(func() { v.note(func(r *Record) { r.TicketID, r.CallbackID = again.TicketID, again.CallbackID }) })
			return v.h.calls.save(tx, &again)
		})
	}
	if err := write(ctx); err != nil {
		v.log.Error("ivr: settle a call that ended; it is tried again", "err", err)
		v.h.writeLater(unwritten{call: r.ID, write: write, log: v.log})
		return false
	}
	return true
}

// interruptedReason is the reason of a call-back that we owe because the program ended.
const interruptedReason = "通话因系统中断"
