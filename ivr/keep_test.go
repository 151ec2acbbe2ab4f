package ivr_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"lianxin/desk"
	"lianxin/ivr"
	"lianxin/ivr/softphone"
	"lianxin/storage"
	"lianxin/ticket"
)

// holds lets a resident wait behind another caller and ask for a call-back, and a third caller come after that.
func (h *house) holds() (talking, operator, third *softphone.Call) {
	h.t.Helper()
	talking = dial(h.t, h.Stage, "13841400002")
	hears(h.t, h.Stage, talking, "menu.main")
	must(h.t, talking.Press(patient(h.t), "0"))
	operator = h.answers(h.phones["8101"])
	caller := dial(h.t, h.Stage, resident)
	hears(h.t, h.Stage, caller, "menu.main")
	must(h.t, caller.Press(patient(h.t), "0"))
	hears(h.t, h.Stage, caller, "queue.connecting")
	must(h.t, caller.Press(patient(h.t), "1"))
	hears(h.t, h.Stage, caller, "queue.callback", "goodbye")
	<-caller.Done()
	h.Until(h.t, "the place is held", func() bool { return len(h.waiting()) == 1 && h.waiting()[0].Held })
	third = dial(h.t, h.Stage, "13841400003")
	hears(h.t, h.Stage, third, "menu.main")
	must(h.t, third.Press(patient(h.t), "0"))
	h.Until(h.t, "the third caller waits", func() bool { return len(h.waiting()) == 2 })
	return talking, operator, third
}

func (h *house) waiting() []desk.WaitingView {
	sn, err := h.Board.Snapshot(context.Background())
	must(h.t, err)
	return sn.Waiting
}

// heldState is what the row of the held place says, and the call-back that it is of.
func (h *house) heldState() (state string, cb ticket.Callback) {
	h.t.Helper()
	h.View(h.t, func(tx *storage.Tx) error {
		var id string
		_, err := storage.One(tx, func(r storage.Row) (struct{}, error) { return struct{}{}, r.Scan(&state, &id) }, `SELECT state, callback_id FROM call_hold`)
		if err != nil {
			return err
		}
		cb, err = h.Office.Callback(tx, id)
		return err
	})
	return state, cb
}

func TestACallBackKeepsThePlaceInTheQueue(t *testing.T) {
	t.Parallel()
	h := open(t, "8101")
	talking, operator, third := h.holds()
	if w := h.waiting(); !w[0].Held || w[0].Position != 1 || strings.Contains(w[0].Label, resident) {
		t.Errorf("%+v", w)
	}
	must(t, operator.Hangup(patient(t)))
	ring := h.rings(h.phones["8101"])
	if !strings.Contains(ring.Display, "回拨") {
		t.Errorf("the operator's phone shows %q", ring.Display)
	}
	op, err := ring.Answer(patient(t))
	must(t, err)
	must(t, op.Hears(patient(t), h.Prompt(t, "whisper.callback")))
	out := h.rings(h.carrier)
	if out.To != resident || out.From != "46110110" {
		t.Errorf("%s calls %s", out.From, out.To)
	}
	citizen, err := out.Answer(patient(t))
	must(t, err)
	h.speak(citizen, op)
	h.is("8101", desk.Talking)
	must(t, op.Hangup(patient(t)))
	<-citizen.Done()
	h.Until(t, "the call-back is done", func() bool { _, cb := h.heldState(); return cb.State == ticket.CallbackDone })
	if state, cb := h.heldState(); state != "reached" || !strings.Contains(cb.Note, "原排队位置") {
		t.Errorf("%s %+v", state, cb)
	}
	next := h.answers(h.phones["8101"]) // and now the one who came later
	h.speak(third, next)
	must(t, third.Hangup(patient(t)))
	must(t, talking.Hangup(patient(t)))
	h.Quiet(t)
}

func TestACallerWhosePlaceIsHeldAndWhoRingsHasItAtOnce(t *testing.T) {
	t.Parallel()
	h := open(t, "8101")
	talking, operator, third := h.holds()
	caller := dial(t, h.Stage, resident)
	hears(t, h.Stage, caller, "menu.main")
	must(t, caller.Press(patient(t), "0"))
	h.Until(t, "the held place is the caller's own", func() bool { w := h.waiting(); return len(w) == 2 && !w[0].Held && !w[1].Held })
	must(t, operator.Hangup(patient(t)))
	op := h.answers(h.phones["8101"])
	h.speak(caller, op)
	if state, _ := h.heldState(); state != "returned" {
		t.Errorf("the place is %s", state)
	}
	for _, c := range []*softphone.Call{caller, third, talking} {
		must(t, c.Hangup(patient(t)))
	}
	h.Quiet(t)
}

func TestAPlaceThatIsHeldOutlivesTheProgram(t *testing.T) {
	t.Parallel()
	h := open(t, "8101")
	_, operator, third := h.holds()
	must(t, third.Hangup(patient(t)))
	must(t, h.Hotline.Close()) // ends what holds places, and nothing else here
	h.Until(t, "nobody holds the place", func() bool { return len(h.waiting()) == 0 })
	if state, _ := h.heldState(); state != "waiting" {
		t.Fatalf("the place is %s", state)
	}
	cfg := h.Config
	again, err := ivr.New(cfg)
	must(t, err)
	defer again.Close()
	n, err := again.ResumeHeld(patient(t))
	must(t, err)
	h.Until(t, "the place is held again", func() bool { return len(h.waiting()) == 1 })
	if n != 1 {
		t.Errorf("%d places", n)
	}
	must(t, operator.Hangup(patient(t)))
	op := h.answers(h.phones["8101"])
	citizen := h.answers(h.carrier)
	h.speak(citizen, op)
	must(t, op.Hangup(patient(t)))
	time.Sleep(100 * time.Millisecond)
	h.Until(t, "it is written down", func() bool { state, _ := h.heldState(); return state == "reached" })
}
