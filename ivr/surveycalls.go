package ivr

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"lianxin/contact"
	"lianxin/ivr/flow"
	"lianxin/sms"
	"lianxin/storage"
	"lianxin/survey"
)

// SurveyCalls asks by telephone, by itself, those whom no text of the survey reaches: it keeps the survey's list of them, rings whoever is
// due under the hotline's number, leads them through the flow SurveyCall, and puts the key they press among the survey's replies, where it
// counts as a texted one does. The list, its leases and its limits are the survey's, so that several programs may work on it and a crash
// loses nothing.
type SurveyCalls struct {
	Hotline *Hotline
	Survey  *survey.Survey             // with its Inbox
	Flow    func() (*flow.Flow, error) // the flow in force
	Changed func()                     // is told when the list has changed; may be nil
	Every   time.Duration              // how often the list is looked at; 15 s when 0

	once sync.Once
	wake chan struct{}
}

func (c *SurveyCalls) woken() chan struct{} {
	c.once.Do(func() { c.wake = make(chan struct{}, 1) })
	return c.wake
}

// Wake has the list looked at now.
func (c *SurveyCalls) Wake() {
	select {
	case c.woken() <- struct{}{}:
	default:
	}
}

// Run works on the list until ctx ends; calls that are up then go on to their end, which Run waits for.
func (c *SurveyCalls) Run(ctx context.Context) error {
	every := c.Every
	if every <= 0 {
		every = 15 * time.Second
	}
	var calls sync.WaitGroup
	defer calls.Wait()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for own := true; ; own = false {
		if err := c.round(ctx, own, &calls); err != nil && ctx.Err() == nil {
			c.log().Error("ivr: calls of the survey", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-c.woken():
		}
	}
}

func (c *SurveyCalls) log() *slog.Logger { return c.Hotline.log }

func (c *SurveyCalls) changed() {
	if c.Changed != nil {
		c.Changed()
	}
}

// round lists whom the morning could not text, looks after calls that a crash ended, and rings who is due. own says that this program has
// just begun, so that every call which the list still takes for its own is over.
func (c *SurveyCalls) round(ctx context.Context, own bool, calls *sync.WaitGroup) error {
	if n, err := c.Survey.Enlist(ctx); err != nil {
		return err
	} else if n > 0 {
		c.log().Info("ivr: people whom no text reaches are asked by telephone", "people", n)
		c.changed()
	}
	if err := c.recover(ctx, own); err != nil {
		return err
	}
	for ctx.Err() == nil && !c.Hotline.isDraining() {
		f, err := c.Flow()
		if err == nil {
			err = f.Check(c.Hotline.known())
		}
		if err != nil {
			return fmt.Errorf("flow %s: %w", SurveyCall, err)
		}
		var to survey.ToRing
		var ok bool
		err = c.Hotline.update(ctx, func(tx *storage.Tx) (err error) {
			to, ok, err = c.Survey.NextCall(tx, c.Hotline.cfg.Node)
			return err
		})
		if err != nil || !ok {
			return err
		}
		c.changed()
		calls.Go(func() {
			if err := c.call(to, f); err != nil {
				c.log().Error("ivr: a call of the survey", "entry", to.ID, "call", to.CallID, "err", err)
			}
			c.changed()
			c.Wake() // the next one may be rung
		})
	}
	return nil
}

// call rings one person and notes what came of it.
func (c *SurveyCalls) call(to survey.ToRing, f *flow.Flow) error {
	h := c.Hotline
	life, cancel := context.WithCancelCause(h.base)
	defer cancel(nil)
	limit := time.AfterFunc(survey.CallLimit, func() { cancel(errTooLong) })
	defer limit.Stop()
	v := h.enterOut(life, cancel, CallOut{Number: to.Number, id: to.CallID})
	v.flow = f
	v.survey = func(ctx context.Context) (who contact.Person, err error) {
		err = h.update(ctx, func(tx *storage.Tx) error {
			if err := c.Survey.Reached(tx, to.ID, to.CallID); err != nil {
				return err
			}
			who, err = h.cfg.Book.Find(tx, to.Number)
			return err
		})
		return who, err
	}
	v.note(func(r *Record) { r.Flow, r.FlowVersion = f.Name, f.Version })
	v.questioned(life)
	outcome, rating := outcomeOfSurvey(v)
	return c.settle(life, to.Callee, to.Number, outcome, rating)
}

// outcomeOfSurvey is what came of a call in the words of the survey.
func outcomeOfSurvey(v *visit) (outcome string, rating int) {
	r := v.record()
	switch {
	case r.Rating > 0:
		return survey.RungRated, r.Rating
	case v.outcome != nil:
		return v.outcome.Code, 0
	case v.fields["survey"] == survey.RungLater, v.fields["survey"] == survey.RungOptOut:
		return v.fields["survey"], 0
	}
	return survey.RungSilent, 0
}

// settle enters a rating or an opt-out as a reply, then notes the outcome. It may be done again after a crash in the middle: the reply is
// known by its call.
func (c *SurveyCalls) settle(ctx context.Context, e survey.Callee, number contact.Phone, outcome string, rating int) error {
	ctx, cancel := after(ctx)
	defer cancel()
	words := ""
	switch outcome {
	case survey.RungRated:
		words = strconv.Itoa(rating)
	case survey.RungOptOut:
		words = "T"
	}
	if words != "" {
		id, _, err := c.Survey.Inbox.Receive(ctx, sms.Inbound{Carrier: survey.Telephone, CarrierID: e.CallID, Phone: number, To: c.Hotline.cfg.Number, Body: words})
		if err != nil {
			return err
		}
		if err := c.tie(ctx, e.CallID, id); err != nil {
			return err
		}
	}
	return c.Hotline.update(ctx, func(tx *storage.Tx) error {
		_, err := c.Survey.Settle(tx, e.ID, e.CallID, outcome)
		return err
	})
}

// tie notes the ticket of a bad rating with the call.
func (c *SurveyCalls) tie(ctx context.Context, callID, inboundID string) error {
	return c.Hotline.update(ctx, func(tx *storage.Tx) error {
		a, err := survey.AnswerTo(tx, inboundID)
		if errors.Is(err, storage.ErrNotFound) || err == nil && a.TicketID == "" {
			return nil // it is read later, and led to no ticket
		}
		if err != nil {
			return err
		}
		_, err = tx.Exec(`UPDATE call SET ticket_id = $2 WHERE id = $1 AND ticket_id = ''`, callID, a.TicketID)
		return err
	})
}

// recover settles the calls under which a program ended: by the record of the call where a key had been pressed, and as a call that broke
// off otherwise.
func (c *SurveyCalls) recover(ctx context.Context, own bool) error {
	var lost []survey.Callee
	err := c.Hotline.cfg.DB.View(ctx, func(tx *storage.Tx) (err error) {
		lost, err = c.Survey.Lost(tx, c.Hotline.cfg.Node, own)
		return err
	})
	if err != nil {
		return err
	}
	for _, e := range lost {
		var r Record
		err := c.Hotline.cfg.DB.View(ctx, func(tx *storage.Tx) (err error) { r, err = c.Hotline.calls.Get(tx, e.CallID); return err })
		if err != nil && !isNotFound(err) {
			return err
		}
		outcome := survey.RungInterrupted
		if r.Rating > 0 {
			outcome = survey.RungRated
		}
		if err := c.settle(ctx, e, r.Number, outcome, r.Rating); err != nil {
			return err
		}
		c.log().Warn("ivr: a call of the survey was cut off", "entry", e.ID, "call", e.CallID, "outcome", outcome)
		c.changed()
	}
	return nil
}
