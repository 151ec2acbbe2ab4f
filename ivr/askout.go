package ivr

import (
	"context"
	"errors"
	"fmt"
	"time"

	"lianxin/contact"
	"lianxin/ivr/flow"
	"lianxin/sip"
	"lianxin/sip/media"
	"lianxin/storage"
	"lianxin/ticket"
	"lianxin/workday"
)

// Hours in which people are asked by telephone, by the bureau's clock: those in which they may be texted.
const (
	askFrom  = 9 * time.Hour
	askUntil = 20 * time.Hour
)

// SurveyCall is the name of the flow that asks people by telephone.
const SurveyCall = "survey-call"

// Asked is what came of asking one person by telephone.
type Asked struct {
	CallID  string
	Outcome string // "rated", "unrated", or why nobody was reached: a Refusal's code
	Rating  int
}

func (h *Hotline) mayAsk() bool {
	at := h.now().In(workday.Zone)
	since := at.Sub(workday.DayOf(at).Start())
	return since >= askFrom && since < askUntil
}

// AskByKey rings the person of a call-back and leads them through a flow of questions that are answered by key. It returns when the
// call is over. A rating ends the call-back, and a bad one opens another, for a person to make; a call that reached nobody is a try
// of it. Whoever is shielded or has opted out is not rung, and nobody outside the hours. The error is a *Refusal where a rule says no.
func (h *Hotline) AskByKey(ctx context.Context, callbackID string, f *flow.Flow) (a Asked, err error) {
	return h.askByKey(ctx, callbackID, storage.NewID(), f)
}

// askByKey is AskByKey under a name that the call is to have.
func (h *Hotline) askByKey(ctx context.Context, callbackID, callID string, f *flow.Flow) (a Asked, err error) {
	if !h.mayAsk() || h.isDraining() {
		return a, refuse("hours", "只在9:00至20:00进行按键访评")
	}
	var cb ticket.Callback
	var who contact.Person
	err = h.cfg.DB.View(ctx, func(tx *storage.Tx) (err error) {
		if cb, err = h.cfg.Office.Callback(tx, callbackID); err != nil {
			return err
		}
		if cb.State != ticket.CallbackOpen || cb.ContactID == "" {
			return refuse("state", "该回访任务已结束或没有联系人")
		}
		if who, err = h.cfg.Book.Get(tx, cb.ContactID); err != nil {
			return err
		}
		out, err := h.cfg.Book.OptedOut(tx, who.Phone, "survey")
		if err != nil || out {
			return errors.Join(err, refuse("optout", "本人不愿再被访评"))
		}
		_, shielded, err := h.cfg.Book.Shielded(tx, who.Phone, "survey")
		if err != nil || shielded {
			return errors.Join(err, refuse("shielded", "免打扰号码"))
		}
		return nil
	})
	if err != nil {
		return a, err
	}
	life, cancel := context.WithCancelCause(h.base)
	defer cancel(nil)
	stop := context.AfterFunc(ctx, func() { cancel(ctx.Err()) })
	defer stop()
	v := h.enterOut(life, cancel, CallOut{Number: who.Phone, ContactID: cb.ContactID, CallbackID: cb.ID, TicketID: cb.TicketID, id: callID})
	v.flow, v.person, v.review = f, who, cb.Kind == ticket.CallbackReview
	v.note(func(r *Record) { r.Flow, r.FlowVersion = f.Name, f.Version })
	a.CallID = v.rec.ID
	v.questioned(life)
	a.Rating = v.record().Rating
	return a, h.asked(life, &a, v.outcome, cb)
}

// questioned rings, leads through the flow, and writes the end of the call down.
func (v *visit) questioned(life context.Context) {
	defer v.closeOut(life, CallOut{}) // the try is entered by asked, in the name of the program
	defer v.survive()
	v.save(life)
	v.did("呼叫 " + v.label)
	call, err := v.h.cfg.Dial(life, sip.Target{Number: v.rec.Number.Clear()}, sip.DialOpt{From: v.h.cfg.Number, Timeout: 40 * time.Second})
	if err != nil {
		v.outcome = whyNot(err)
		v.did("未接通：" + v.outcome.Message)
		return
	}
	v.adopt(call)
	v.talked = true
	begin := v.h.now()
	v.note(func(r *Record) { r.Answered, r.Connected, r.Trunk = begin, begin, call.Info().Trunk })
	v.show(func(l *LiveCall) { l.Stage = StageRating })
	if v.survey != nil {
		who, err := v.survey(life)
		if err != nil { // a rating could not be laid to anything
			v.log.Error("ivr: note who was reached", "err", err)
			v.did("故障，未询问")
			v.outcome = refuse("state", "无法登记询问")
			return
		}
		v.person = who
		v.note(func(r *Record) { r.ContactID = who.ID })
	}
	talking, end := context.WithCancelCause(life)
	defer end(nil)
	go func() {
		select {
		case <-call.Done():
			end(errOver)
		case <-talking.Done():
		}
	}()
	go v.readKeys(talking)
	v.settleIn(talking)
	v.startRecording()
	v.save(life)
	for at := v.flow.Start; at != ""; {
		node, err := v.flow.Walk(talking, v, at)
		if err == nil {
			at, err = v.perform(talking, node)
		}
		if err != nil {
			if talking.Err() == nil && !errors.Is(err, errOver) && !errors.Is(err, sip.ErrEnded) && !errors.Is(err, media.ErrClosed) {
				v.log.Error("ivr: fault in a call of ours", "err", err)
			}
			break
		}
	}
	v.note(func(r *Record) { r.Parted, r.Talk = v.h.now(), v.h.now().Sub(begin) })
}

// asked writes down what came of asking somebody.
func (h *Hotline) asked(ctx context.Context, a *Asked, failed *Refusal, cb ticket.Callback) error {
	ctx, cancel := after(ctx)
	defer cancel()
	err := h.update(ctx, func(tx *storage.Tx) error {
		switch {
		case a.Rating > 0:
			a.Outcome = "rated"
			_, err := h.cfg.Office.FinishCallback(tx, cb.ID, true, "按键访评："+ticket.FromReplyDigit(a.Rating).Label(), ticket.System)
			return err
		case failed != nil:
			a.Outcome = failed.Code
			if tries[a.Outcome] == "" {
				return nil
			}
			_, err := h.cfg.Office.AttemptCallback(tx, cb.ID, tries[a.Outcome], "按键访评呼叫："+failed.Message, ticket.System)
			return err
		}
		a.Outcome = "unrated"
		return nil
	})
	if _, refused := ticket.RefusedWith(err); refused { // somebody has dealt with it meanwhile; the answers stand in the call's record
		return nil
	}
	if err != nil {
		return fmt.Errorf("what came of asking by telephone: %w", err)
	}
	return nil
}
