package ivr_test

import (
	"errors"
	"io"
	"path/filepath"
	"testing"
	"time"

	"lianxin/contact"
	"lianxin/desk"
	"lianxin/ivr"
	"lianxin/ivr/softphone"
	"lianxin/org"
	"lianxin/sip/media"
	"lianxin/sip/media/mediatest"
	"lianxin/storage"
	"lianxin/ticket"
)

// owe makes a call-back that somebody is owed.
func (h *house) owe() (ticket.Callback, contact.Phone) {
	h.t.Helper()
	return h.oweAs(ticket.CallbackAbandoned)
}

func (h *house) oweAs(kind ticket.CallbackKind) (ticket.Callback, contact.Phone) {
	h.t.Helper()
	phone, err := contact.ParsePhone(resident)
	must(h.t, err)
	var cb ticket.Callback
	must(h.t, h.DB.Update(patient(h.t), func(tx *storage.Tx) error {
		p, err := h.Book.Ensure(tx, phone, "")
		if err != nil {
			return err
		}
		cb, err = h.Office.OpenCallback(tx, ticket.Callback{Kind: kind, ContactID: p.ID, CallID: "earlier", Reason: "等候时挂机", By: ticket.Bot})
		return err
	}))
	return cb, phone
}

func (h *house) back(cb ticket.Callback, phone contact.Phone, by org.Staff) (string, error) {
	return h.Hotline.CallOut(patient(h.t), ivr.CallOut{Number: phone, ContactID: cb.ContactID, CallbackID: cb.ID, Staff: by})
}

func TestACallBackRingsTheOperatorAndThenTheCitizen(t *testing.T) {
	t.Parallel()
	h := open(t, "8101")
	cb, phone := h.owe()
	id, err := h.back(cb, phone, person("8101"))
	must(t, err)
	if _, err := h.back(cb, phone, person("8101")); err == nil {
		t.Error("called twice at once")
	}
	ringing := h.rings(h.phones["8101"])
	h.is("8101", desk.Ringing)
	op, err := ringing.Answer(patient(t))
	must(t, err)
	out := h.rings(h.carrier)
	if out.From != "46110110" || out.To != resident {
		t.Errorf("%s calls %s", out.From, out.To)
	}
	h.is("8101", desk.Talking)
	citizen, err := out.Answer(patient(t))
	must(t, err)
	h.speak(citizen, op)
	if l := h.Hotline.Live()[0]; l.Direction != ivr.Outbound || l.Stage != ivr.StageTalking || l.CallbackID != cb.ID || l.Operator != "8101" {
		t.Errorf("%+v", l)
	}
	must(t, h.order("8101", ivr.DoHold, "")) // what can be done with a call can be done with this one
	h.music(citizen)
	must(t, h.order("8101", ivr.DoResume, ""))
	must(t, h.order("8101", ivr.DoPolice, ""))
	police := h.answers(h.carrier)
	h.speak(citizen, op, police)
	must(t, police.Hangup(patient(t)))
	must(t, op.Hangup(patient(t)))
	<-citizen.Done()
	h.Quiet(t)
	h.is("8101", desk.WrapUp, desk.Ready)
	var r ivr.Record
	h.View(t, func(tx *storage.Tx) (err error) {
		r, err = h.Hotline.Calls().Get(tx, id)
		return err
	})
	if r.Direction != ivr.Outbound || r.Disposition != ivr.Reached || r.CallbackID != cb.ID || r.Number.Clear() != resident || r.Operator != "8101" ||
		r.Connected.IsZero() || r.Talk == 0 || r.Trunk != "line" || r.EndedBy != "operator" || r.Police.IsZero() {
		t.Errorf("%+v", r)
	}
	left, right := h.tracks(r)
	if !has(left, 500) || !has(right, 630) || !has(right, 760) { // the citizen, the operator, 110
		t.Error("one of them is not in the recording")
	}
	h.View(t, func(tx *storage.Tx) error { // service figures are of those who called us
		f, err := h.Hotline.Calls().Figures(tx, time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
		if f.Calls != 0 {
			t.Errorf("%+v", f)
		}
		got, err2 := h.Office.Callback(tx, cb.ID)
		if got.Tries != 0 || got.State != ticket.CallbackOpen { // what was said is the operator's to write down
			t.Errorf("%+v", got)
		}
		return errors.Join(err, err2)
	})
}

func TestACitizenWhoIsNotReachedIsATryOfTheCallBack(t *testing.T) {
	t.Parallel()
	h := open(t, "8101")
	cb, phone := h.owe()
	_, err := h.back(cb, phone, person("8101"))
	must(t, err)
	op := h.answers(h.phones["8101"])
	must(t, h.rings(h.carrier).Reject(486, "Busy Here"))
	must(t, op.Hears(patient(t), ivr.BusyTone))
	<-op.Done()
	h.Quiet(t)
	h.tells("呼叫 138****0001", "未接通：占线")
	h.View(t, func(tx *storage.Tx) error {
		tries, err := h.Office.Tries(tx, cb.ID)
		if len(tries) != 1 || tries[0].Outcome != ticket.Busy {
			t.Errorf("%+v", tries)
		}
		return err
	})
	// whose phone does not answer has tried nothing
	h.is("8101", desk.Ready)
	_, err = h.back(cb, phone, person("8101"))
	must(t, err)
	must(t, h.rings(h.phones["8101"]).Reject(603, "Decline"))
	h.Quiet(t)
	r := h.Records(t)
	if len(r) != 2 || r[0].Disposition != ivr.Unreached || r[1].Disposition != ivr.Unreached || !r[1].Connected.IsZero() {
		t.Errorf("%+v", r)
	}
	h.View(t, func(tx *storage.Tx) error {
		tries, err := h.Office.Tries(tx, cb.ID)
		if len(tries) != 1 {
			t.Errorf("%+v", tries)
		}
		return err
	})
	var no *ivr.Refusal
	if _, err := h.back(cb, phone, person("8199")); !errors.As(err, &no) || no.Code != "phone" {
		t.Errorf("called without a phone: %v", err)
	}
}

func TestTelephonesOfTheHouseCallEachOtherAndOutside(t *testing.T) {
	t.Parallel()
	h := open(t, "8101", "8102")
	col := make(chan *softphone.Call, 1)
	go func() { col <- h.answers(h.phones["8102"]) }()
	a, err := h.phones["8101"].Dial(patient(t), "8102")
	must(t, err)
	b := <-col
	h.speak(a, b)
	h.is("8101", desk.Break)
	h.is("8102", desk.Talking)
	must(t, a.Hangup(patient(t)))
	<-b.Done()
	h.is("8101", desk.Ready)

	go func() { col <- h.answers(h.carrier) }()
	a, err = h.phones["8101"].Dial(patient(t), resident)
	must(t, err)
	b = <-col
	h.speak(a, b)
	if l := h.Hotline.Live(); len(l) != 1 || l[0].Direction != ivr.Outbound {
		t.Errorf("%+v", l)
	}
	h.is("8101", desk.Break)
	must(t, b.Hangup(patient(t)))
	<-a.Done()
	h.Quiet(t)
	h.is("8101", desk.Ready)
	if r := h.Records(t); len(r) != 1 || r[0].Disposition != ivr.Reached || r[0].EndedBy != "caller" || r[0].RecordingTime == 0 {
		t.Errorf("%+v", r)
	}

	var no *softphone.Refused
	for number, code := range map[string]int{"001900123456": 403, "8101": 404, "*77": 404, "12": 404, "*8": 503} {
		if _, err := h.phones["8101"].Dial(patient(t), number); !errors.As(err, &no) || no.Code != code {
			t.Errorf("%s: %v", number, err)
		}
	}
	stranger := h.Phone(t, resident) // has no password
	if _, err := stranger.Dial(patient(t), "8102"); err == nil {
		t.Error("a stranger called an extension")
	}
}

func TestAPhoneMayJoinTheCitizenWithWhomItHasCalledOutside(t *testing.T) { // attended transfer to an outside number
	t.Parallel()
	h := open(t, "8101")
	caller, op := h.talk("8101")
	must(t, op.Hold(patient(t), true))
	col := make(chan *softphone.Call, 1)
	go func() { col <- h.answers(h.carrier) }()
	second, err := h.phones["8101"].Dial(patient(t), "13900000009")
	must(t, err)
	unit := <-col
	h.speak(second, unit)
	code, err := op.Refer(patient(t), "13900000009", second)
	if err != nil || code != 200 {
		t.Fatalf("%d, %v", code, err)
	}
	<-second.Done()
	h.speak(caller, unit)
	must(t, unit.Hangup(patient(t)))
	hears(t, h.Stage, caller, "rating.ask")
	h.end(caller)
	if n := len(h.Records(t)); n != 2 {
		t.Errorf("%d records", n)
	}
	h.tells("咨询转接 139****0009", "转入另一通话")
}

// tracks reads the two sides of a recording.
func (h *house) tracks(r ivr.Record) (left, right []int16) {
	h.t.Helper()
	player, err := h.Hotline.Calls().OpenRecording(filepath.Join(h.Dir, "recordings"), r)
	must(h.t, err)
	defer player.Close()
	b, err := io.ReadAll(player)
	must(h.t, err)
	w, err := media.ParseWAV(b)
	must(h.t, err)
	return w.Channel(0), w.Channel(1)
}

// has says whether a tone is heard alone for an eighth of a second.
func has(pcm []int16, freq float64) bool {
	for i := 0; i+1000 <= len(pcm); i += 250 {
		if part := pcm[i : i+1000]; mediatest.RMS(part) > 200 && mediatest.Share(part, freq) > 0.7 {
			return true
		}
	}
	return false
}
