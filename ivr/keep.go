package ivr

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"lianxin/contact"
	"lianxin/desk"
	"lianxin/org"
	"lianxin/sip"
	"lianxin/storage"
	"lianxin/ticket"
)

// held is the place of a caller who has hung up and is rung back when an operator is reserved for them. Its row in call_hold outlives
// the program.
type held struct {
	callbackID, callID  string
	contactID, ticketID string
	queue               string
	skills              []string
	priority            int
	since, until        time.Time

	over context.CancelFunc
}

// heldID is under which the board knows a held place.
func heldID(callbackID string) string { return "held-" + callbackID }

// keepPlace holds the place of a caller who waited and asked for a call-back instead. From the caller's hanging up on, the board offers
// the place to operators as if they were still there.
func (v *visit) keepPlace(ctx context.Context, callbackID string) error {
	q, ok := v.h.queues.Load().Get(v.trail.queue)
	if !ok || q.Hold <= 0 || v.trail.placed.IsZero() || v.talked || v.person.ID == "" {
		return nil
	}
	r := v.record()
	k := &held{callbackID: callbackID, callID: r.ID, contactID: r.ContactID, ticketID: r.TicketID, queue: q.Name, skills: v.trail.skills,
		priority: v.trail.priority, since: v.trail.placed, until: v.h.now().Add(q.Hold)}
	ctx, cancel := after(ctx)
	defer cancel()
	err := v.h.update(ctx, func(tx *storage.Tx) error {
		_, err := tx.Exec(`INSERT INTO call_hold (callback_id, call_id, contact_id, ticket_id, node, queue, skills, priority, since, until, tries, state)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, 'waiting') ON CONFLICT (callback_id) DO NOTHING`,
			k.callbackID, k.callID, k.contactID, k.ticketID, v.h.cfg.Node, k.queue, strings.Join(k.skills, " "), k.priority, storage.At(k.since), storage.At(k.until))
		return err
	})
	if err != nil {
		return fmt.Errorf("keep a place: %w", err)
	}
	v.did("保留排队位置，等候回拨")
	v.h.hold(k)
	return nil
}

// ResumeHeld holds the places again that this program held when it ended.
func (h *Hotline) ResumeHeld(ctx context.Context) (int, error) {
	var list []*held
	err := h.update(ctx, func(tx *storage.Tx) (err error) {
		if _, err := tx.Exec(`UPDATE call_hold SET state = 'over', ended = $2 WHERE node = $1 AND state IN ('waiting', 'calling') AND until <= $2`, h.cfg.Node, storage.At(h.now())); err != nil {
			return err
		}
		// Who was being called when the program ended may have been reached: nobody is called twice for it. The call-back stays on the list.
		if _, err := tx.Exec(`UPDATE call_hold SET state = 'missed', ended = $2 WHERE node = $1 AND state = 'calling'`, h.cfg.Node, storage.At(h.now())); err != nil {
			return err
		}
		list, err = storage.All(tx, func(r storage.Row) (*held, error) {
			var k held
			var skills string
			var since, until storage.Time
			err := r.Scan(&k.callbackID, &k.callID, &k.contactID, &k.ticketID, &k.queue, &skills, &k.priority, &since, &until)
			k.skills, k.since, k.until = strings.Fields(skills), since.Time, until.Time
			return &k, err
		}, `SELECT callback_id, call_id, contact_id, ticket_id, queue, skills, priority, since, until FROM call_hold WHERE node = $1 AND state = 'waiting' ORDER BY since`, h.cfg.Node)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("hold places again: %w", err)
	}
	for _, k := range list {
		h.hold(k)
	}
	return len(list), nil
}

// hold begins to hold a place.
func (h *Hotline) hold(k *held) {
	life, over := context.WithCancel(h.base)
	k.over = over
	h.mu.Lock()
	if h.held == nil {
		h.held = map[string]*held{}
	}
	h.held[heldID(k.callbackID)] = k
	h.mu.Unlock()
	h.stopped.Go(func() {
		defer over()
		defer func() {
			h.mu.Lock()
			delete(h.held, heldID(k.callbackID))
			h.mu.Unlock()
		}()
		if err := h.wait(life, k); err != nil && life.Err() == nil && !errors.Is(err, desk.ErrLeft) {
			h.log.Error("ivr: a held place", "callback", k.callbackID, "err", err)
		}
	})
}

// wait stands in the queue for somebody who is not on the line, until they have been called, rang themselves, or the time is up.
func (h *Hotline) wait(ctx context.Context, k *held) error {
	for h.IsLive(k.callID) { // their telephone is still with us
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(50 * time.Millisecond):
		}
	}
	var phone contact.Phone
	if err := h.cfg.DB.View(ctx, func(tx *storage.Tx) (err error) { phone, err = h.cfg.Book.Phone(tx, k.contactID); return err }); err != nil {
		return err
	}
	who := desk.Caller{CallID: heldID(k.callbackID), Queue: k.queue, Label: phone.Masked(), Priority: k.priority, Skills: k.skills, Held: true,
		Since: time.Now().Add(k.since.Sub(h.now()))}
	until, cancel := context.WithTimeout(ctx, k.until.Sub(h.now()))
	defer cancel()
	for {
		w, err := h.cfg.Board.Wait(ctx, who)
		if errors.Is(err, desk.ErrDown) { // the place is in who.Since: it stands there again when the board is back
			select {
			case <-until.Done():
				return h.letGo(ctx, k, "over")
			case <-time.After(time.Second):
				continue
			}
		}
		if err != nil {
			return err
		}
		again, err := h.offers(until, k, w, phone)
		w.Leave("held place ended")
		switch {
		case err != nil && ctx.Err() == nil && until.Err() != nil:
			return h.letGo(ctx, k, "over")
		case err != nil || !again:
			return err
		}
	}
}

// offers answers the board's offers for a held place. again is true when the board put it out and it is to stand there anew.
func (h *Hotline) offers(ctx context.Context, k *held, w *desk.Waiter, phone contact.Phone) (again bool, err error) {
	for {
		o, err := w.Next(ctx)
		switch {
		case errors.Is(err, desk.ErrDown):
			return true, nil
		case errors.Is(err, desk.ErrLeft):
			return false, nil
		case err != nil:
			return false, err
		}
		lead, err := h.ringFor(ctx, k, o, phone)
		if err != nil {
			return false, err
		}
		if lead == nil {
			continue
		}
		return false, h.ringBack(k, o, lead, phone)
	}
}

// ringFor rings the operator who is reserved for a held place; nil when they did not answer.
func (h *Hotline) ringFor(ctx context.Context, k *held, o *desk.Offer, phone contact.Phone) (sip.Call, error) {
	if ok, err := h.claim(ctx, k, "waiting", "waiting"); err != nil || !ok { // another program has given the place to a call of theirs
		_ = o.Failed(desk.Cancelled)
		if err == nil {
			err = desk.ErrLeft
		}
		return nil, err
	}
	ringing, stop := context.WithDeadline(ctx, o.Deadline)
	defer stop()
	off := context.AfterFunc(waitCtx(ringing, o.Gone()), stop)
	defer off()
	lead, err := h.cfg.Dial(ringing, sip.Target{User: o.Operator.Extension}, sip.DialOpt{From: h.cfg.Number, Display: "回拨 " + phone.Masked(),
		Timeout: time.Until(o.Deadline), Headers: map[string]string{"X-Lianxin-Call": heldID(k.callbackID)}})
	if err != nil {
		_ = o.Failed(outcomeOf(err, ringing))
		return nil, nil
	}
	if ok, err := h.claim(ctx, k, "waiting", "calling"); err != nil || !ok {
		h.part(ctx, lead)
		_ = o.Failed(desk.Cancelled)
		if err == nil {
			err = desk.ErrLeft
		}
		return nil, err
	}
	if o.Answered() != nil {
		h.part(ctx, lead)
		_, err := h.claim(context.WithoutCancel(ctx), k, "calling", "waiting")
		return nil, err
	}
	return lead, nil
}

// ringBack calls somebody whose turn has come, for the operator who has answered, and writes down what came of it.
func (h *Hotline) ringBack(k *held, o *desk.Offer, lead sip.Call, phone contact.Phone) error {
	life, cancel := context.WithCancelCause(h.base)
	defer cancel(nil)
	staff, ok := h.staff(life, o.Operator.Extension)
	if !ok {
		staff = org.Staff{ID: o.Operator.StaffID, Extension: o.Operator.Extension}
	}
	out := CallOut{Number: phone, ContactID: k.contactID, CallbackID: k.callbackID, TicketID: k.ticketID, Staff: staff}
	v := h.enterOut(life, cancel, out)
	var no *Refusal
	func() {
		defer v.closeOut(life, out)
		defer v.survive()
		v.did("保位回拨")
		v.adopt(lead)
		v.save(life)
		if p, err := h.cfg.Prompts.Say("whisper.callback"); err == nil {
			_ = lead.Media().Play(life, p)
		}
		no = v.outward(life, lead, staff, target{goal: toNumber, value: phone.Clear()}, o.Done, nil)
	}()
	if no != nil || !v.talked {
		return h.letGo(life, k, "missed")
	}
	bg, done := after(life)
	defer done()
	err := h.update(bg, func(tx *storage.Tx) error {
		if _, err := tx.Exec(`UPDATE call_hold SET state = 'reached', ended = $2, tries = tries + 1 WHERE callback_id = $1`, k.callbackID, storage.At(h.now())); err != nil {
			return err
		}
		_, err := h.cfg.Office.FinishCallback(tx, k.callbackID, true, "按原排队位置回拨，已接通人工", ticket.System)
		if _, refused := ticket.RefusedWith(err); refused { // somebody has finished it meanwhile
			return nil
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("a caller was rung back: %w", err)
	}
	return nil
}

// claim moves a held place from one state to another; false when it is in none that allows it.
func (h *Hotline) claim(ctx context.Context, k *held, from, to string) (ok bool, err error) {
	ctx, cancel := after(ctx)
	defer cancel()
	err = h.update(ctx, func(tx *storage.Tx) error {
		n, err := tx.Exec(`UPDATE call_hold SET state = $3 WHERE callback_id = $1 AND state = $2`, k.callbackID, from, to)
		ok = n == 1
		return err
	})
	return ok, err
}

// letGo ends a held place: the call-back is one like any other from now on.
func (h *Hotline) letGo(ctx context.Context, k *held, state string) error {
	ctx, cancel := after(ctx)
	defer cancel()
	err := h.update(ctx, func(tx *storage.Tx) error {
		_, err := tx.Exec(`UPDATE call_hold SET state = $2, ended = $3, tries = tries + 1 WHERE callback_id = $1 AND state IN ('waiting', 'calling')`, k.callbackID, state, storage.At(h.now()))
		return err
	})
	if err != nil {
		return fmt.Errorf("end a held place: %w", err)
	}
	return nil
}

// returns is since when the place of a caller counts for whom one is held in this queue, and who rings by themselves: the held one
// ends. Somebody who is being called at this moment has no place any more.
func (v *visit) returns(ctx context.Context, q Queue) (since time.Time) {
	if v.person.ID == "" {
		return since
	}
	ctx, cancel := after(ctx)
	defer cancel()
	var id string
	err := v.h.update(ctx, func(tx *storage.Tx) error {
		id, since = "", time.Time{}
		rows, err := storage.All(tx, func(r storage.Row) (x struct {
			id string
			at storage.Time
		}, err error) {
			err = r.Scan(&x.id, &x.at)
			return x, err
		}, `UPDATE call_hold SET state = 'returned', ended = $3 WHERE contact_id = $1 AND queue = $2 AND state = 'waiting' RETURNING callback_id, since`,
			v.person.ID, q.Name, storage.At(v.h.now()))
		for _, x := range rows {
			if since.IsZero() || x.at.Before(since) {
				id, since = x.id, x.at.Time
			}
		}
		return err
	})
	if err != nil {
		v.log.Error("ivr: look for a held place", "err", err)
		return time.Time{}
	}
	v.h.mu.Lock()
	k := v.h.held[heldID(id)]
	v.h.mu.Unlock()
	if k != nil {
		k.over()
	}
	return since
}
