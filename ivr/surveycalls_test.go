package ivr_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"lianxin/contact"
	"lianxin/ivr"
	"lianxin/ivr/flow"
	"lianxin/org"
	"lianxin/sms"
	"lianxin/sms/sim"
	"lianxin/storage"
	"lianxin/survey"
	"lianxin/workday"
)

// morning is a survey over the stage's database whose household matters are asked by telephone where no text can be sent.
func (h *house) morning(clock time.Time, records string) *survey.Survey {
	h.t.Helper()
	now := func() time.Time { return clock }
	cfg, err := survey.ParseConfig([]byte(strings.Replace(survey.StandardText(), "{code: huzheng,", "{code: huzheng, telephone: [fixed_line],", 1)))
	must(h.t, err)
	vault := h.Book.Vault
	outbox := &sms.Outbox{DB: h.DB, Carriers: []sms.Carrier{&sim.Carrier{DB: h.DB, Vault: vault, Now: now}}, Vault: vault, Signature: "本溪公安", Window: sms.DefaultWindow, Now: now}
	inbox := &sms.Inbox{DB: h.DB, Vault: vault, Now: now}
	s := &survey.Survey{DB: h.DB, Book: h.Book, Office: h.Office, Outbox: outbox, Inbox: inbox, Config: cfg, Now: now}
	inbox.Handle = s.Reply
	must(h.t, h.DB.Update(patient(h.t), func(tx *storage.Tx) error {
		for _, u := range []org.Unit{{ID: "benxi", Name: "本溪市公安局", Short: "市局", Kind: "bureau", Police: "general"},
			{ID: "window", Name: "本溪市政务服务中心户政窗口", Short: "市户政窗口", Kind: "window", Police: "household", Parent: "benxi"}} {
			if err := (org.Register{Now: now}).AddUnit(tx, u, "system"); err != nil {
				return err
			}
		}
		return nil
	}))
	_, err = s.Import(patient(h.t), strings.NewReader("业务类别,业务流水号,办理时间,姓名,电话,出生日期,单位编码,事项,敏感标记,备注\n"+records), "records.csv", survey.ImportOptions{})
	must(h.t, err)
	_, err = s.Run(patient(h.t), workday.DayOf(clock).Add(-1), survey.RunOptions{})
	must(h.t, err)
	return s
}

// ringer rings whom no text reaches until the test ends or stop is called.
func (h *house) ringer(s *survey.Survey) (stop func()) {
	h.t.Helper()
	f, err := ivr.LoadFlow("", ivr.SurveyCall)
	must(h.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	calls := &ivr.SurveyCalls{Hotline: h.Hotline, Survey: s, Flow: func() (*flow.Flow, error) { return f, nil }, Every: 50 * time.Millisecond}
	go func() { defer close(done); _ = calls.Run(ctx) }()
	stop = func() { cancel(); <-done }
	h.t.Cleanup(stop)
	return stop
}

func (h *house) listed(s *survey.Survey, source string) (c survey.CalleeItem) {
	h.t.Helper()
	h.View(h.t, func(tx *storage.Tx) error {
		list, _, err := s.Callees(tx, "", 100, 0)
		for _, x := range list {
			if x.SourceID == source {
				c = x
			}
		}
		return err
	})
	return c
}

var tenOnMonday = time.Date(2026, 11, 23, 10, 0, 0, 0, time.FixedZone("CST", 8*3600))

func TestAFixedLineIsRungByItselfAndItsKeyCountsAsAReply(t *testing.T) {
	t.Parallel()
	h := openAt(t, tenOnMonday)
	s := h.morning(tenOnMonday, "户政,F1,2026-11-22 09:00,钱一,024-42830001,,window,办证,,\n")
	h.ringer(s)
	out := h.rings(h.carrier)
	if out.To != "02442830001" || out.From != "46110110" {
		t.Errorf("%s calls %s", out.From, out.To)
	}
	citizen, err := out.Answer(patient(t))
	must(t, err)
	hears(t, h.Stage, citizen, "survey.greeting", "survey.accept")
	must(t, citizen.Press(patient(t), "1"))
	hears(t, h.Stage, citizen, "survey.ask", "rating.ask")
	must(t, citizen.Press(patient(t), "5"))
	hears(t, h.Stage, citizen, "survey.reason", "beep")
	must(t, citizen.Hangup(patient(t))) // says no more, and that is enough
	h.Quiet(t)
	h.Until(t, "it stands on the list", func() bool { return h.listed(s, "F1").State == survey.CalleeRated })
	h.View(t, func(tx *storage.Tx) error {
		f, err := s.Day(tx, workday.DayOf(tenOnMonday).Add(-1))
		if f.Whole.N != 1 || f.Whole.Ratings[4] != 1 || f.Whole.Count[survey.Telephoned] != 1 || f.Whole.Count[survey.Tickets] != 1 {
			t.Errorf("%+v", f.Whole)
		}
		r := h.Records(t)[0]
		if r.ID != h.listed(s, "F1").CallID || r.Rating != 5 || r.Disposition != ivr.Reached || r.TicketID == "" || r.CallbackID != "" || r.Recording == "" {
			t.Errorf("%+v", r)
		}
		return err
	})
}

func TestOneWhoIsBusyIsRungAgainLaterAndOneWhoWantsNoSurveysNever(t *testing.T) {
	t.Parallel()
	h := openAt(t, tenOnMonday)
	s := h.morning(tenOnMonday, "户政,F1,2026-11-22 09:00,钱一,024-42830001,,window,办证,,\n户政,F2,2026-11-22 10:00,钱二,024-42830002,,window,办证,,\n")
	s.Config.Telephone.AtOnce = 1
	h.ringer(s)
	by := map[string]string{"02442830001": "F1", "02442830002": "F2"}
	first := h.rings(h.carrier)
	must(t, first.Reject(486, "Busy Here"))
	h.Until(t, "the busy one waits", func() bool {
		c := h.listed(s, by[first.To])
		return c.State == survey.CalleeWaiting && c.Outcome == "busy" && c.Tries == 1 && c.Due.Sub(tenOnMonday) == 4*time.Hour
	})
	second := h.rings(h.carrier)
	if second.To == first.To {
		t.Fatal("rung again at once")
	}
	citizen, err := second.Answer(patient(t))
	must(t, err)
	hears(t, h.Stage, citizen, "survey.accept")
	must(t, citizen.Press(patient(t), "3"))
	hears(t, h.Stage, citizen, "survey.optout")
	<-citizen.Done()
	h.Until(t, "it is noted", func() bool {
		c := h.listed(s, by[second.To])
		return c.State == survey.CalleeUnrated && c.Outcome == survey.RungOptOut
	})
	h.View(t, func(tx *storage.Tx) error {
		out, err := h.Book.OptedOut(tx, phoneOf(t, second.To), "survey")
		if !out {
			t.Error("not opted out")
		}
		return err
	})
}

func TestARatingThatWasKeyedWhenTheProgramDiedCountsOnceAfterTheRestart(t *testing.T) {
	t.Parallel()
	h := openAt(t, tenOnMonday)
	s := h.morning(tenOnMonday, "户政,F1,2026-11-22 09:00,钱一,024-42830001,,window,办证,,\n户政,F2,2026-11-22 10:00,钱二,024-42830002,,window,办证,,\n")
	_, err := s.Enlist(patient(t))
	must(t, err)
	// A program that dies in two calls: in one a key was pressed, in the other nobody had answered yet.
	for i := range 2 {
		must(t, h.DB.Update(patient(t), func(tx *storage.Tx) error {
			to, ok, err := s.NextCall(tx, "stage")
			if err != nil || !ok {
				t.Fatal(ok, err)
			}
			if i == 1 {
				return nil
			}
			if err := s.Reached(tx, to.ID, to.CallID); err != nil {
				return err
			}
			return ivr.Keep(h.Hotline, tx, ivr.Record{ID: to.CallID, Node: "stage", Direction: ivr.Outbound, Number: to.Number, Started: tenOnMonday, Answered: tenOnMonday, Seen: tenOnMonday, Rating: 2, Steps: []ivr.Step{}})
		}))
	}
	_, err = h.Hotline.Recover(patient(t))
	must(t, err)
	stop := h.ringer(s)
	h.Until(t, "the keyed one counts", func() bool {
		return h.listed(s, "F1").State == survey.CalleeRated || h.listed(s, "F2").State == survey.CalleeRated
	})
	stop()
	h.ringer(s) // and again: nothing counts twice
	h.Until(t, "the other one waits", func() bool {
		for _, id := range []string{"F1", "F2"} {
			if c := h.listed(s, id); c.State == survey.CalleeWaiting && c.Outcome == survey.RungInterrupted && c.Tries == 1 {
				return true
			}
		}
		return false
	})
	h.View(t, func(tx *storage.Tx) error {
		f, err := s.Day(tx, workday.DayOf(tenOnMonday).Add(-1))
		if f.Whole.N != 1 || f.Whole.Ratings[1] != 1 {
			t.Errorf("%+v", f.Whole)
		}
		return err
	})
}

func phoneOf(t *testing.T, number string) contact.Phone {
	t.Helper()
	p, err := contact.ParsePhone(number)
	must(t, err)
	return p
}
