package ivr_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"lianxin/contact"
	"lianxin/ivr"
	"lianxin/ivr/flow"
	"lianxin/storage"
	"lianxin/survey"
	"lianxin/ticket"
)

// questions works on the list of those who are asked by key until the test ends.
func (h *house) questions(f *flow.Flow) *ivr.Questions {
	h.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	list := &ivr.Questions{Hotline: h.Hotline, Flow: func() (*flow.Flow, error) { return f, nil }, Every: 50 * time.Millisecond}
	go func() { defer close(done); _ = list.Run(ctx) }()
	h.t.Cleanup(func() { cancel(); _ = h.Hotline.Close(); <-done })
	return list
}

func (h *house) question(list *ivr.Questions, callback string) (x ivr.Question) {
	h.t.Helper()
	h.View(h.t, func(tx *storage.Tx) error {
		page, _, err := list.List(tx, "", 100, 0)
		for _, q := range page {
			if q.CallbackID == callback {
				x = q
			}
		}
		return err
	})
	return x
}

func TestQuestionsByKeyOutliveTheProgram(t *testing.T) {
	t.Parallel()
	h := openAt(t, tenOnMonday)
	keyed, _ := h.oweAs(ticket.CallbackRating)
	var open, over ticket.Callback
	must(t, h.DB.Update(patient(t), func(tx *storage.Tx) (err error) {
		for _, cb := range []*ticket.Callback{&open, &over} {
			if *cb, err = h.Office.OpenCallback(tx, ticket.Callback{Kind: ticket.CallbackRating, ContactID: keyed.ContactID, CallID: "c" + storage.NewID(), Reason: "短信未送达", By: ticket.Bot}); err != nil {
				return err
			}
		}
		_, err = h.Office.FinishCallback(tx, over.ID, true, "已回访", ticket.System)
		return err
	}))
	f, err := ivr.LoadFlow("", ivr.SurveyCall)
	must(t, err)
	// A program that dies in the first call, where a key was pressed, and in the second, where none was.
	must(t, h.DB.Update(patient(t), func(tx *storage.Tx) error {
		for i, cb := range []ticket.Callback{keyed, open} {
			call := "lost-" + cb.ID
			if _, err := tx.Exec(`INSERT INTO call_question (callback_id, state, node, call_id, lease, asked_by, asked_at) VALUES ($1, 'calling', 'stage', $2, $3, 'token/1', $4)`,
				cb.ID, call, storage.At(tenOnMonday.Add(time.Hour)), storage.At(tenOnMonday)); err != nil {
				return err
			}
			if err := ivr.Keep(h.Hotline, tx, ivr.Record{ID: call, Node: "stage", Direction: ivr.Outbound, Started: tenOnMonday, Answered: tenOnMonday, Seen: tenOnMonday, Rating: 2 * (1 - i), Steps: []ivr.Step{}}); err != nil {
				return err
			}
		}
		return nil
	}))
	list := h.questions(f)
	h.Until(t, "the keyed one counts", func() bool { x := h.question(list, keyed.ID); return x.Outcome == "rated" && x.Rating == 2 })
	must(t, h.rings(h.carrier).Reject(486, "Busy Here")) // and the other is rung again
	h.Until(t, "the other one was busy", func() bool { x := h.question(list, open.ID); return x.Outcome == "busy" && x.Tries == 1 })
	h.View(t, func(tx *storage.Tx) error {
		cb, err := h.Office.Callback(tx, keyed.ID)
		if cb.State != ticket.CallbackDone {
			t.Errorf("the call-back is %s", cb.State)
		}
		return err
	})
	var no *ivr.Refusal
	waits, _ := h.owe()
	for _, bad := range []string{over.ID, "nowhere", waits.ID} { // the last gave up waiting: a person is to ring them
		if _, err := list.Add(patient(t), []string{bad}, "token/1"); !errors.As(err, &no) {
			t.Errorf("%s: %v", bad, err)
		}
	}
	if err := list.Remove(patient(t), keyed.ID, "token/1"); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("taken off after it was asked: %v", err)
	}
}

func TestPeopleWhoDoNotTextAreAskedByKey(t *testing.T) {
	t.Parallel()
	h := openAt(t, time.Date(2026, 11, 23, 10, 0, 0, 0, time.FixedZone("CST", 8*3600)))
	cb, phone := h.oweAs(ticket.CallbackRating)
	f, err := ivr.LoadFlow("", ivr.SurveyCall)
	must(t, err)
	list := h.questions(f)
	n, err := list.Add(patient(t), []string{cb.ID}, "token/1")
	must(t, err)
	again, err := list.Add(patient(t), []string{cb.ID}, "token/1")
	must(t, err)
	if n != 1 || again != 0 {
		t.Errorf("listed %d and %d", n, again)
	}
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
	citizen.Tone(0) // what is asserted below is a second of it
	must(t, citizen.Press(patient(t), "#"))
	hears(t, h.Stage, citizen, "goodbye")
	<-citizen.Done()
	h.Quiet(t)
	h.Until(t, "the call-back is done", func() bool {
		var got ticket.Callback
		h.View(t, func(tx *storage.Tx) (err error) { got, err = h.Office.Callback(tx, cb.ID); return err })
		return got.State == ticket.CallbackDone
	})
	h.Until(t, "the list says so", func() bool {
		x := h.question(list, cb.ID)
		return x.State == ivr.QuestionDone && x.Outcome == "rated" && x.Rating == 4 && x.CallID != ""
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

// The key of whoever is asked about a settled request is the rating of that request; and nobody is rung while the calls are paused.
func TestAReviewByKeyIsTheRatingOfItsTicket(t *testing.T) {
	t.Parallel()
	h := openAt(t, tenOnMonday)
	f, err := ivr.LoadFlow("", ivr.SurveyCall)
	must(t, err)
	phone, err := contact.ParsePhone(resident)
	must(t, err)
	var tk ticket.Ticket
	var cb ticket.Callback
	must(t, h.DB.Update(patient(t), func(tx *storage.Tx) error {
		p, err := h.Book.Ensure(tx, phone, "")
		if err != nil {
			return err
		}
		if tk, err = h.Office.Open(tx, ticket.Intake{Channel: "hotline", Kind: ticket.Inquiry, Title: "身份证到期换领", Body: "如何办理", ContactID: p.ID, By: ticket.Bot}); err != nil {
			return err
		}
		if _, err := h.Office.Answer(tx, tk.ID, ticket.Reply{Text: "持旧证到任一派出所办理。", Via: "phone"}, ticket.Bot); err != nil {
			return err
		}
		if _, err := h.Office.OpenRating(tx, tk.ID, ticket.Bot); err != nil {
			return err
		}
		list, _, err := h.Office.Callbacks(tx, ticket.CallbackFilter{Viewer: ticket.System, TicketID: tk.ID})
		if err == nil && len(list) == 1 {
			cb = list[0]
		}
		return err
	}))
	must(t, h.DB.Update(patient(t), func(tx *storage.Tx) error {
		return (&survey.Survey{}).PauseTelephone(tx, true, "线路检修", "staff/1")
	}))
	list := h.questions(f)
	_, err = list.Add(patient(t), []string{cb.ID}, "staff/1")
	must(t, err)
	if off, err := list.Paused(patient(t)); err != nil || !off {
		t.Fatalf("paused: %v %v", off, err)
	}
	if err := list.Round(patient(t)); err != nil {
		t.Fatal(err)
	}
	if x := h.question(list, cb.ID); x.State != ivr.QuestionWaiting || x.CallID != "" {
		t.Errorf("rung while the calls are paused: %+v", x)
	}
	must(t, h.DB.Update(patient(t), func(tx *storage.Tx) error { return (&survey.Survey{}).PauseTelephone(tx, false, "", "staff/1") }))
	list.Wake()
	citizen, err := h.rings(h.carrier).Answer(patient(t))
	must(t, err)
	hears(t, h.Stage, citizen, "survey.greeting", "survey.accept")
	must(t, citizen.Press(patient(t), "1"))
	hears(t, h.Stage, citizen, "survey.ask", "rating.ask")
	must(t, citizen.Press(patient(t), "2"))
	hears(t, h.Stage, citizen, "goodbye")
	<-citizen.Done()
	h.Until(t, "the list says so", func() bool { x := h.question(list, cb.ID); return x.Outcome == "rated" && x.Rating == 2 })
	h.View(t, func(tx *storage.Tx) error {
		got, err := h.Office.Get(tx, tk.ID)
		if err != nil {
			return err
		}
		rated, err := h.Office.Ratings(tx, tk.ID)
		if len(rated) != 1 || rated[0].Via != "key" || rated[0].Stars != ticket.FromReplyDigit(2) || got.State != ticket.Closed {
			t.Errorf("the ticket is %s, its ratings are %+v", got.State, rated)
		}
		if c, err := h.Office.Callback(tx, cb.ID); err != nil || c.State != ticket.CallbackDone {
			t.Errorf("the call-back is %+v (%v)", c, err)
		}
		n, err2 := list.Counts(tx)
		if n.Ratings[2] != 1 || n.Reached != 1 || n.Asked != 1 || n.States[ivr.QuestionDone] != 1 || err2 != nil {
			t.Errorf("%+v %v", n, err2)
		}
		return err
	})
}
