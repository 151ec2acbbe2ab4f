package ivr

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"lianxin/audit"
	"lianxin/ivr/flow"
	"lianxin/storage"
	"lianxin/survey"
	"lianxin/ticket"
)

// Questions rings the persons of call-backs one after the other and leads them through a flow of questions that are answered by key, as
// Hotline.AskByKey does. Whom, is a list in the database: it outlives the program, several programs may work on it, each person is rung
// by one of them under a lease, and what was keyed before a crash counts.
type Questions struct {
	Hotline *Hotline
	Flow    func() (*flow.Flow, error) // the flow in force
	Every   time.Duration              // how often the list is looked at; 15 s when 0

	once sync.Once
	wake chan struct{}
}

// QuestionState is where the asking of a person stands.
type QuestionState string

// States of a Question. Only the last is final.
const (
	QuestionWaiting QuestionState = "waiting"
	QuestionCalling QuestionState = "calling"
	QuestionDone    QuestionState = "done"
)

// Outcomes of a Question beside those of Asked and the codes of refusals.
const (
	QuestionRemoved = "removed" // taken off the list
	QuestionFault   = "fault"   // something of ours failed, three times
)

// questionLease is how long one call may hold its person before it is taken for lost: no call lasts that long (survey.CallLimit).
const questionLease = survey.CallLimit + 5*time.Minute

// questionFaults is how often something of ours may fail with one person.
const questionFaults = 3

// Question is one person of the list.
type Question struct {
	CallbackID string
	State      QuestionState
	Outcome    string // "rated", "unrated", why nobody was reached or rung (a Refusal's code), QuestionRemoved or QuestionFault
	Rating     int
	Tries      int    // calls that were cut off
	CallID     string // of the last call
	AskedBy    string
	AskedAt    time.Time
	DoneAt     time.Time
}

const questionColumns = `callback_id, state, outcome, rating, tries, call_id, asked_by, asked_at, done_at`

func scanQuestion(r storage.Row) (q Question, err error) {
	var asked, done storage.Time
	err = r.Scan(&q.CallbackID, &q.State, &q.Outcome, &q.Rating, &q.Tries, &q.CallID, &q.AskedBy, &asked, &done)
	q.AskedAt, q.DoneAt = asked.Time, done.Time
	return q, err
}

// AskedByKey reports whether a machine may ask the person of such a call-back: those about a rating. Who gave up waiting or left a message
// wants a person.
func AskedByKey(k ticket.CallbackKind) bool {
	return k == ticket.CallbackRating || k == ticket.CallbackReview
}

// Add puts the persons of call-backs on the list; by is who asks for it (an audit actor). One that waits or is being asked stays as it
// is, one that was asked before is asked again. Either all of them are put there or none: a call-back that is not there, is no longer
// open or needs a person is a *Refusal. It returns how many wait that did not.
func (q *Questions) Add(ctx context.Context, callbacks []string, by string) (added int, err error) {
	h := q.Hotline
	err = h.update(ctx, func(tx *storage.Tx) error {
		added = 0
		for _, id := range callbacks {
			cb, err := h.cfg.Office.Callback(tx, id)
			if isNotFound(err) {
				return refuse("callback", "没有回访任务 %s", id)
			}
			if err != nil {
				return err
			}
			if cb.State != ticket.CallbackOpen || cb.ContactID == "" {
				return refuse("state", "回访任务 %s 已结束或没有联系人", id)
			}
			if !AskedByKey(cb.Kind) {
				return refuse("kind", "%s须由人回拨，不能改为按键访评", cb.Kind.Label())
			}
			n, err := tx.Exec(`INSERT INTO call_question (callback_id, state, asked_by, asked_at) VALUES ($1, 'waiting', $2, $3)
				ON CONFLICT (callback_id) DO UPDATE SET state = 'waiting', outcome = '', rating = 0, tries = 0, node = '', call_id = '', lease = NULL, done_at = NULL,
					asked_by = excluded.asked_by, asked_at = excluded.asked_at WHERE call_question.state = 'done'`, id, by, storage.At(h.now()))
			if err != nil {
				return err
			}
			added += int(n)
		}
		_, err := audit.Append(tx, audit.Entry{Stream: "call/questions", Type: "call.questions_listed", Actor: by, At: h.now(), Payload: map[string]any{"callbacks": callbacks, "added": added}})
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("list whom to ask by key: %w", err)
	}
	q.Wake()
	return added, nil
}

// Remove takes somebody off the list who is not being asked yet. It returns storage.ErrNotFound for whoever does not wait.
func (q *Questions) Remove(ctx context.Context, callback, by string) error {
	h := q.Hotline
	err := h.update(ctx, func(tx *storage.Tx) error {
		n, err := tx.Exec(`UPDATE call_question SET state = 'done', outcome = $2, done_at = $3 WHERE callback_id = $1 AND state = 'waiting'`, callback, QuestionRemoved, storage.At(h.now()))
		if err == nil && n == 0 {
			err = storage.ErrNotFound
		}
		if err == nil {
			_, err = audit.Append(tx, audit.Entry{Stream: "call/questions", Type: "call.question_removed", Actor: by, At: h.now(), Payload: map[string]string{"callback": callback}})
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("take %s off the list: %w", callback, err)
	}
	return nil
}

// List lists the entries in a state, all when it is empty, the last that was put there first. total is how many there are.
func (q *Questions) List(tx *storage.Tx, state QuestionState, limit, offset int) (page []Question, total int, err error) {
	if total, err = storage.One(tx, storage.Value[int], `SELECT COUNT(*) FROM call_question WHERE $1 = '' OR state = $1`, string(state)); err == nil {
		page, err = storage.All(tx, scanQuestion, `SELECT `+questionColumns+` FROM call_question WHERE $1 = '' OR state = $1
			ORDER BY asked_at DESC, callback_id LIMIT $2 OFFSET $3`, string(state), limit, offset)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("list who is asked by key: %w", err)
	}
	return page, total, nil
}

func (q *Questions) woken() chan struct{} {
	q.once.Do(func() { q.wake = make(chan struct{}, 1) })
	return q.wake
}

// Wake has the list looked at now.
func (q *Questions) Wake() {
	select {
	case q.woken() <- struct{}{}:
	default:
	}
}

// Run works on the list until ctx ends; a call that is up then goes on to its end, which Run waits for.
func (q *Questions) Run(ctx context.Context) error {
	every := q.Every
	if every <= 0 {
		every = 15 * time.Second
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for own := true; ; own = false {
		if err := q.round(ctx, own); err != nil && ctx.Err() == nil {
			q.Hotline.log.Error("ivr: questions by key", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-q.woken():
		}
	}
}

// round looks after calls that a crash ended, and then asks whoever waits. own says that this program has just begun, so that every call
// which the list still takes for its own is over.
func (q *Questions) round(ctx context.Context, own bool) error {
	h := q.Hotline
	if err := q.recover(ctx, own); err != nil {
		return err
	}
	for ctx.Err() == nil && h.mayAsk() && !h.isDraining() {
		if off, err := q.paused(ctx); err != nil || off {
			return err
		}
		x, ok, err := q.next(ctx)
		if err != nil || !ok {
			return err
		}
		f, err := q.Sound()
		if err != nil {
			err = fmt.Errorf("flow %s: %w", SurveyCall, err)
			return errors.Join(err, q.putBack(ctx, x.CallbackID, x.Tries))
		}
		if err := q.ask(x, f); err != nil {
			return err
		}
	}
	return nil
}

// next takes the next person of the list under a lease.
func (q *Questions) next(ctx context.Context) (x Question, ok bool, err error) {
	h := q.Hotline
	err = h.update(ctx, func(tx *storage.Tx) error {
		ok = false
		list, err := storage.All(tx, scanQuestion, `SELECT `+questionColumns+` FROM call_question WHERE state = 'waiting' ORDER BY asked_at, callback_id LIMIT 20`)
		if err != nil {
			return err
		}
		for _, x = range list {
			x.CallID = storage.NewID()
			n, err := tx.Exec(`UPDATE call_question SET state = 'calling', node = $2, call_id = $3, lease = $4 WHERE callback_id = $1 AND state = 'waiting'`,
				x.CallbackID, h.cfg.Node, x.CallID, storage.At(h.now().Add(questionLease)))
			if err != nil || n == 1 {
				ok = n == 1
				return err
			}
		}
		return nil
	})
	if err != nil {
		return x, false, fmt.Errorf("next to be asked by key: %w", err)
	}
	return x, ok, nil
}

// ask rings one person and notes what came of it.
func (q *Questions) ask(x Question, f *flow.Flow) error {
	h := q.Hotline
	ctx, cancel := context.WithTimeout(h.base, survey.CallLimit)
	defer cancel()
	a, err := h.askByKey(ctx, x.CallbackID, x.CallID, f)
	var no *Refusal
	switch {
	case a.Rating > 0 && err == nil:
	case h.base.Err() != nil:
		return nil // the program ends: the next start finds it as a crash leaves it
	case errors.As(err, &no) && no.Code == "hours":
		return q.putBack(ctx, x.CallbackID, x.Tries)
	case errors.As(err, &no):
		a.Outcome = no.Code
	case err != nil:
		h.log.Error("ivr: ask by key", "callback", x.CallbackID, "call", x.CallID, "err", err)
		return q.again(ctx, x, QuestionFault)
	}
	h.log.Info("ivr: asked by key", "callback", x.CallbackID, "call", x.CallID, "outcome", a.Outcome)
	return q.done(ctx, x, a.Outcome, a.Rating)
}

func (q *Questions) done(ctx context.Context, x Question, outcome string, rating int) error {
	ctx, cancel := after(ctx)
	defer cancel()
	err := q.Hotline.update(ctx, func(tx *storage.Tx) error {
		_, err := tx.Exec(`UPDATE call_question SET state = 'done', outcome = $3, rating = $4, lease = NULL, done_at = $5 WHERE callback_id = $1 AND call_id = $2 AND state = 'calling'`,
			x.CallbackID, x.CallID, outcome, rating, storage.At(q.Hotline.now()))
		return err
	})
	if err != nil {
		return fmt.Errorf("what came of asking by key: %w", err)
	}
	return nil
}

// again has somebody asked once more whose call was cut off, until that has happened too often.
func (q *Questions) again(ctx context.Context, x Question, outcome string) error {
	if x.Tries++; x.Tries >= questionFaults {
		return q.done(ctx, x, outcome, 0)
	}
	return q.putBack(ctx, x.CallbackID, x.Tries)
}

func (q *Questions) putBack(ctx context.Context, callback string, tries int) error {
	ctx, cancel := after(ctx)
	defer cancel()
	return q.Hotline.update(ctx, func(tx *storage.Tx) error {
		_, err := tx.Exec(`UPDATE call_question SET state = 'waiting', node = '', lease = NULL, tries = $2 WHERE callback_id = $1 AND state = 'calling'`, callback, tries)
		return err
	})
}

// recover settles the calls under which a program ended: a key that stands in the record of the call counts, and whoever pressed none is
// asked again.
func (q *Questions) recover(ctx context.Context, own bool) error {
	h := q.Hotline
	var lost []Question
	err := h.cfg.DB.View(ctx, func(tx *storage.Tx) (err error) {
		lost, err = storage.All(tx, scanQuestion, `SELECT `+questionColumns+` FROM call_question WHERE state = 'calling' AND (lease <= $1 OR $2 AND node = $3) ORDER BY asked_at`,
			storage.At(h.now()), own, h.cfg.Node)
		return err
	})
	if err != nil {
		return fmt.Errorf("questions by key that were cut off: %w", err)
	}
	for _, x := range lost {
		var r Record
		var cb ticket.Callback
		err := h.cfg.DB.View(ctx, func(tx *storage.Tx) (err error) {
			if r, err = h.calls.Get(tx, x.CallID); err != nil && !isNotFound(err) {
				return err
			}
			cb, err = h.cfg.Office.Callback(tx, x.CallbackID)
			return err
		})
		if err != nil {
			return err
		}
		h.log.Warn("ivr: a question by key was cut off", "callback", x.CallbackID, "call", x.CallID, "rated", r.Rating > 0)
		if r.Rating > 0 {
			a := Asked{CallID: x.CallID, Rating: r.Rating}
			if err = h.asked(ctx, &a, nil, cb); err == nil {
				err = q.done(ctx, x, a.Outcome, r.Rating)
			}
		} else {
			err = q.again(ctx, x, survey.RungInterrupted)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
