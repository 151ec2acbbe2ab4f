package ivr

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"lianxin/contact"
	"lianxin/desk"
	"lianxin/ivr/flow"
	"lianxin/sip"
	"lianxin/sip/media"
	"lianxin/storage"
)

var (
	errDraining = errors.New("ivr: the program is being stopped")
	errTooLong  = errors.New("ivr: too long in the menus")
	errOver     = errors.New("ivr: the call is over")
	errUrgent   = errors.New("ivr: 110 was keyed into the last words")
)

// visit is one call while it lasts. Its goroutine is Serve's; what others touch is behind h.mu or rec's own lock.
type visit struct {
	h    *Hotline
	call sip.Call
	flow *flow.Flow
	log  *slog.Logger

	mu  sync.Mutex // guards rec: steps are noted by the goroutines that ring and wait
	rec Record

	label     string   // masked number
	shown     LiveCall // guarded by h.mu
	interrupt context.CancelCauseFunc

	person    contact.Person   // zero without a number
	before    int              // earlier calls of this person
	recLock   sync.Mutex       // guards the next two: a recording may begin late
	recording *media.Recording // nil before it has begun
	recOver   bool             // none may begin any more
	zombie    bool             // guarded by h.mu: it has been noticed that the call is over
	tired     bool             // guarded by h.mu: it has been told to end
	doubted   bool             // guarded by h.mu: it stands on one of the lines where a proof is asked for
	silent    sync.Once        // that the call is not recorded has been told
	keys      chan flow.Key    // what the caller pressed, or said where a recogniser listens
	holding   atomic.Bool      // a 1 waits for what follows
	padLock   sync.Mutex
	pad       keypad
	words     chan flow.Key // from the recogniser

	trail      trail
	fields     map[string]string // what set noted
	wants      bool              // asked for a person and has not been served yet
	talked     bool
	cut        bool        // a stop of the program ended the talk
	marked     bool        // the ticket says that 110 was keyed
	solved     Disposition // reached by the bot
	settledBot bool        // the bot's answer closed the ticket
	review     bool        // a call of ours that asks for the rating of its ticket
	promised   time.Time   // when the caller was told we call back
	numbered   string      // number of the ticket, to be told
	fault      bool
	talk       *talk // operator in hand, between wait and talk

	life    context.Context                               // of the caller's leg
	out     bool                                          // a call of ours
	outcome *Refusal                                      // why it reached nobody
	policed bool                                          // 110 was in the call
	survey  func(context.Context) (contact.Person, error) // of a call of the survey: notes that they have been reached; what follows from a rating is the survey's
	given   bool                                          // its citizen was joined with another call
	sides   atomic.Int64                                  // calls made for this one

	room *room // guarded by h.mu
	slot *slot // guarded by h.mu: where a colleague may pick the caller up
}

// nextSide names a call on the board that is made for this one.
func (v *visit) nextSide() string { return v.rec.ID + "/" + strconv.FormatInt(v.sides.Add(1), 10) }

// enter makes the visit and its record: from here on the call leaves a trace whatever happens.
func (h *Hotline) enter(ctx context.Context, call sip.Call, cancel context.CancelCauseFunc) *visit {
	info := call.Info()
	f := h.flow.Load()
	v := &visit{h: h, call: call, flow: f, life: ctx, interrupt: cancel, fields: map[string]string{}, keys: make(chan flow.Key, 64), words: make(chan flow.Key, 1), log: h.log.With("call", call.ID())}
	v.rec = Record{
		ID: call.ID(), Node: h.cfg.Node, Direction: Inbound, Dialled: info.To, Trunk: info.Trunk, Anonymous: info.Anonymous,
		Started: info.Started, Seen: h.now(), Flow: f.Name, FlowVersion: f.Version, Steps: []Step{},
	}
	if v.rec.Started.IsZero() {
		v.rec.Started = h.now()
	}
	if phone, err := contact.ParsePhone(info.From); err == nil {
		v.rec.Number = phone
	}
	v.label = v.rec.Label()
	v.shown = LiveCall{ID: v.rec.ID, Direction: Inbound, Caller: v.label, Dialled: info.To, Stage: StageArriving, Since: h.now(), Started: v.rec.Started}
	h.mu.Lock()
	h.live[v.rec.ID] = v
	h.tell()
	h.mu.Unlock()
	return v
}

// leave takes the call off the live list.
func (v *visit) leave() {
	v.h.mu.Lock()
	defer v.h.mu.Unlock()
	delete(v.h.live, v.rec.ID)
	v.h.tell()
}

// after is a context for what must be written down although the caller has gone.
func after(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
}

// note changes the record.
func (v *visit) note(change func(*Record)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	change(&v.rec)
}

// record is a copy of the record now.
func (v *visit) record() Record {
	v.mu.Lock()
	defer v.mu.Unlock()
	r := v.rec
	r.Steps = append([]Step{}, v.rec.Steps...)
	r.Answers = append([]string(nil), v.rec.Answers...)
	return r
}

// mostNoted bounds the path in the record: a caller who plays with the keys for hours shall not fill the disk.
const mostNoted = 1000

func (v *visit) step(s Step) {
	v.note(func(r *Record) {
		if len(r.Steps) < mostNoted {
			s.At = v.h.now().Sub(r.Started).Milliseconds()
			r.Steps = append(r.Steps, s)
		}
	})
}

// did notes something that happened where the call stands in the flow.
func (v *visit) did(what string) { v.step(Step{Did: what}) }

// save writes the record. A database that fails does not end a call: the error is logged, and the next save tries again.
func (v *visit) save(ctx context.Context) {
	ctx, cancel := after(ctx)
	defer cancel()
	r := v.record()
	r.Seen = v.h.now()
	if err := v.h.update(ctx, func(tx *storage.Tx) error { return v.h.calls.save(tx, &r) }); err != nil {
		v.log.Error("ivr: save the record of a call", "err", err)
	}
}

// identify finds out who calls: the person behind the number, entered when new, and how often they have called.
func (v *visit) identify(ctx context.Context) {
	ctx, cancel := after(ctx) // a caller who hangs up now is still to be known
	defer cancel()
	err := v.h.update(ctx, func(tx *storage.Tx) error {
		if v.rec.Number.IsZero() {
			return nil
		}
		p, err := v.h.cfg.Book.Ensure(tx, v.rec.Number, "")
		if err != nil {
			return err
		}
		v.person = p
		v.before, err = storage.One(tx, storage.Value[int], `SELECT COUNT(*) FROM call WHERE contact_id = $1`, p.ID)
		return err
	})
	if err != nil {
		v.log.Error("ivr: who is calling", "err", err)
		return
	}
	v.note(func(r *Record) { r.ContactID = v.person.ID })
	v.show(func(l *LiveCall) { l.ContactID, l.Before = v.person.ID, v.before })
}

// close writes the end of the call down: who ended it, what became of it, and the call-back that is owed.
func (v *visit) close(ctx context.Context) {
	bg, cancel := after(ctx)
	defer cancel()
	cause := context.Cause(ctx)
	if err := v.call.Hangup(bg); err != nil && !errors.Is(err, sip.ErrEnded) {
		v.log.Debug("ivr: hang up", "err", err)
	}
	v.stopRecording()
	end := v.call.End()
	v.note(func(r *Record) {
		if r.Ended = end.At; r.Ended.IsZero() {
			r.Ended = v.h.now()
		}
		if info := v.call.Info(); r.Answered.IsZero() {
			r.Answered = info.Answered
		}
		r.Cause = end.Cause
		if r.EndedBy == "" {
			r.EndedBy = string(end.By)
		}
		if r.EndedBy == "" {
			r.EndedBy = string(sip.ByUs)
		}
		if r.Urgent && !v.talked && r.MessageTime == 0 {
			v.wants = true
		}
		r.Disposition = v.disposition(errors.Is(cause, errDraining))
	})
	if v.settle(bg) {
		v.save(bg)
	}
	v.saveTrace(bg)
	r := v.record()
	v.log.Info("ivr: call ended", "disposition", string(r.Disposition), "by", r.EndedBy,
		"lasted", r.Ended.Sub(r.Started).Round(time.Millisecond), "waited", r.Wait.Round(time.Millisecond), "talked", r.Talk.Round(time.Millisecond))
	v.leave()
}

// disposition says what became of the call, from the best that happened in it down.
func (v *visit) disposition(drained bool) Disposition {
	r := &v.rec
	switch {
	case r.Disposition != "":
		return r.Disposition
	case v.talked:
		return Answered
	case r.MessageTime > 0:
		return Message
	case v.solved != "" && !v.wants:
		return v.solved
	case r.Answered.IsZero() && v.call.End().By == sip.ByFar:
		return Cancelled
	case r.Answered.IsZero() || v.fault:
		return Failed
	case drained:
		return Interrupted
	case v.wants:
		return Abandoned
	}
	return Left
}

// urgentPriority is the place of a caller who keyed 110, whatever the node of the flow says: before everybody else.
const urgentPriority = 100

// queueCaller is the caller as the board sees them.
func (v *visit) queueCaller(n *flow.Node) desk.Caller {
	c := desk.Caller{CallID: v.rec.ID, Queue: v.h.queue(n).Name, Label: v.label, Priority: n.Numbers["priority"], Skills: n.Lists["skills"]}
	if after := n.Time("anybody", 0); after > 0 && len(c.Skills) > 0 {
		c.Widen = []desk.Wider{{After: after}}
	}
	if v.urgent() {
		c.Priority = max(c.Priority, urgentPriority)
	}
	return c
}
