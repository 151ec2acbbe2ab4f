package ivr_test

import (
	"testing"
	"time"

	"lianxin/contact"
	"lianxin/ivr"
	"lianxin/storage"
	"lianxin/ticket"
)

func TestPeopleWhoDoNotTextAreAskedByKey(t *testing.T) {
	t.Parallel()
	h := openAt(t, time.Date(2026, 11, 23, 10, 0, 0, 0, time.FixedZone("CST", 8*3600)))
	cb, phone := h.owe()
	f, err := ivr.LoadFlow("", ivr.SurveyCall)
	must(t, err)
	must(t, h.Hotline.AskAll([]string{cb.ID}, f))
	out := h.rings(h.carrier)
	if out.To != resident || out.From != "46110110" {
		t.Errorf("%s calls %s", out.From, out.To)
	}
	citizen, err := out.Answer(patient(t))
	must(t, err)
	hears(t, h.Stage, citizen, "survey.greeting", "survey.accept")
	must(t, citizen.Press(patient(t), "1"))
	hears(t, h.Stage, citizen, "survey.ask", "rating.ask")
	must(t, citizen.Press(patient(t), "4"))
	hears(t, h.Stage, citizen, "survey.reason", "beep")
	citizen.Tone(700)
	time.Sleep(1500 * time.Millisecond)
	citizen.Tone(0)
	must(t, citizen.Press(patient(t), "#"))
	hears(t, h.Stage, citizen, "goodbye")
	<-citizen.Done()
	h.Quiet(t)
	h.Until(t, "the call-back is done", func() bool {
		var got ticket.Callback
		h.View(t, func(tx *storage.Tx) (err error) { got, err = h.Office.Callback(tx, cb.ID); return err })
		return got.State == ticket.CallbackDone
	})
	r := h.Records(t)[0]
	if r.Direction != ivr.Outbound || r.Disposition != ivr.Reached || r.Rating != 4 || r.Flow != ivr.SurveyCall {
		t.Errorf("%+v", r)
	}
	h.View(t, func(tx *storage.Tx) error {
		clips, err := h.Hotline.Calls().Clips(tx, r.ID)
		if len(clips) != 1 || clips[0].Name != "reason" || clips[0].Time < time.Second {
			t.Errorf("%+v", clips)
		}
		owed, _, err2 := h.Office.Callbacks(tx, ticket.CallbackFilter{Viewer: ticket.System, Kind: ticket.CallbackRating, State: ticket.CallbackOpen})
		if len(owed) != 1 || err2 != nil { // who is not satisfied is called by a person
			t.Errorf("%+v %v", owed, err2)
		}
		return err
	})
	// Whoever does not want to be asked is not rung.
	cb2 := ticket.Callback{}
	must(t, h.DB.Update(patient(t), func(tx *storage.Tx) (err error) {
		if err = h.Book.OptOut(tx, phone, contact.OptOut{Scope: "survey", Source: "call", Evidence: r.ID}); err != nil {
			return err
		}
		cb2, err = h.Office.OpenCallback(tx, ticket.Callback{Kind: ticket.CallbackRating, ContactID: cb.ContactID, CallID: "later", Reason: "短信未送达", By: ticket.Bot})
		return err
	}))
	if _, err := h.Hotline.AskByKey(patient(t), cb2.ID, f); err == nil {
		t.Error("somebody who had opted out was rung")
	}
}
