package survey_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"lianxin/contact"
	"lianxin/sms"
	"lianxin/sms/sim"
	"lianxin/storage"
	"lianxin/storage/storagetest"
	"lianxin/survey"
)

// number is the number of the i-th record of records.
func number(i int) string { return fmt.Sprintf("199%08d", i) }

// reminding asks n people of a class that reminds after a day.
func (h *house) reminding(n int, share float64) {
	h.t.Helper()
	h.survey.Config = withClass(h.t, nil, "template: visit, priority: 40", fmt.Sprintf("template: visit, priority: 40, reminder: {after: 24h, share: %g}", share))
	h.rated(n)
}

func (h *house) remind(dry bool) survey.RemindResult {
	h.t.Helper()
	res, err := h.survey.Remind(h.ctx, survey.RemindOptions{DryRun: dry})
	if err != nil {
		h.t.Fatal(err)
	}
	return res
}

func TestNobodyIsRemindedUnlessAClassSaysSo(t *testing.T) {
	h := newHouse(t, storagetest.SQLite(t))
	h.rated(3)
	h.pass(25 * time.Hour)
	if res := h.remind(false); res.Reminded != 0 || len(h.texts(somebody)) != 1 {
		t.Errorf("%+v", res)
	}
}

func TestTheSilentAreRemindedOnceAndNobodyElse(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.reminding(8, 1)
		h.reply(number(1), "1")
		h.reply(number(2), "谢谢你们") // an answer of any kind is one
		h.reply(number(3), "退订")
		h.update(func(tx *storage.Tx) error {
			_, err := h.book.Shield(tx, h.phone(number(4)), contact.Shield{Scope: contact.ScopeSurvey, Reason: "来电要求", By: "system"})
			return errors.Join(err, h.book.OptOut(tx, h.phone(number(5)), contact.OptOut{Scope: contact.ScopeSurvey, Source: "hotline", Evidence: "test"}))
		})
		h.pass(23 * time.Hour)
		if res := h.remind(false); res.Reminded+len(res.Not) != 0 {
			t.Errorf("before the time: %+v", res)
		}
		h.pass(2 * time.Hour)
		var lines []string
		dry, err := h.survey.Remind(h.ctx, survey.RemindOptions{DryRun: true, Decision: func(d survey.Reminding) { lines = append(lines, d.String()+d.Text) }})
		if err != nil || dry.Reminded != 3 || dry.Not[survey.OptedOut] != 1 || dry.Not[survey.DoNotDisturb] != 1 || len(lines) != 5 {
			t.Errorf("dry run %+v, %q, %v", dry, lines, err)
		}
		if all := strings.Join(lines, "\n"); strings.Contains(all, number(0)) || strings.Count(all, "【本溪公安】仅提醒一次：请评价市户政窗口11月22日户政服务：1非常满意") != 3 {
			t.Errorf("the dry run says %s", all)
		}
		if len(h.texts(number(0))) != 1 {
			t.Error("the dry run has texted somebody")
		}
		// However often, by however many at once.
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				if _, err := h.survey.Remind(h.ctx, survey.RemindOptions{}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		h.settle()
		h.pass(26 * time.Hour)
		h.remind(false)
		h.settle()
		for i, want := range []int{2, 1, 1, 1, 1, 1, 2, 2} {
			if got := h.texts(number(i)); len(got) != want || want == 2 && (!strings.HasPrefix(got[1], "【本溪公安】仅提醒一次") || sms.Measure(got[1]).Segments != 1) {
				t.Errorf("number %d got %q", i, got)
			}
		}
		if item := h.reply(number(0), "2"); item.Place != survey.InTime || !item.Counted {
			t.Errorf("the answer to a reminder: %+v", item.Answer)
		}
		if p, err := survey.Verify(h.ctx, h.db); err != nil || p.Decisions != 8+5 {
			t.Errorf("%+v, %v", p, err)
		}
		h.update(func(tx *storage.Tx) error {
			_, err := tx.Exec(`UPDATE survey_reminder SET reason = 'reminded' WHERE reason = 'opted_out'`)
			return err
		})
		if _, err := survey.Verify(h.ctx, h.db); err == nil || !strings.Contains(err.Error(), "whom to remind") {
			t.Errorf("a changed decision: %v", err)
		}
	})
}

func TestAReminderKeepsToTheWindowTheCampaignAndTheTimeLeft(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.reminding(2, 1)
		h.pass(12 * time.Hour) // 21:00
		h.pass(24 * time.Hour) // 21:00 of the next day
		if res := h.remind(false); res.Reminded != 0 {
			t.Errorf("at night: %+v", res)
		}
		h.pass(13 * time.Hour) // 10:00
		pause := func(on bool) {
			h.update(func(tx *storage.Tx) error {
				if on {
					return h.outbox.Pause(tx, survey.Campaign(h.day("2026-11-22")), "system", "test")
				}
				return h.outbox.Resume(tx, survey.Campaign(h.day("2026-11-22")), "system")
			})
		}
		pause(true)
		if res := h.remind(false); res.Reminded+len(res.Not) != 0 {
			t.Errorf("of a paused campaign: %+v", res)
		}
		pause(false)
		h.pass(21 * time.Hour) // two hours before the question closes
		if res := h.remind(false); res.Reminded != 0 {
			t.Errorf("without time left to answer: %+v", res)
		}
		if got := h.texts(somebody); len(got) != 1 {
			t.Errorf("%q", got)
		}
	})
}

func TestAReminderThatWaitsIsTakenBackFromWhoAnswersOrWantsPeace(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.reminding(3, 1)
		h.pass(25 * time.Hour)
		if res := h.remind(false); res.Reminded != 3 { // queued, and not sent yet
			t.Fatalf("%+v", res)
		}
		h.reply(number(0), "1")
		h.update(func(tx *storage.Tx) error {
			return h.book.OptOut(tx, h.phone(number(1)), contact.OptOut{Scope: contact.ScopeSurvey, Source: "hotline", Evidence: "test"})
		})
		if res := h.remind(false); res.Recalled != 1 || res.Reminded != 0 {
			t.Errorf("%+v", res)
		}
		for i, want := range []int{1, 1, 2} {
			if got := h.texts(number(i)); len(got) != want {
				t.Errorf("number %d got %q", i, got)
			}
		}
	})
}

func TestTheFrequencyCapCountsFromTheReminder(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.reminding(2, 1)
		h.reply(number(1), "1")
		h.pass(25 * time.Hour)
		h.remind(false)
		h.settle()
		// The 30th day after the question is the 29th after the reminder.
		h.pass(29 * 24 * time.Hour)
		h.importText(strings.NewReplacer("2026-11-22", "2026-12-22", "HZ0", "HZ1").Replace(records(0, 2)))
		h.run("2026-12-22")
		got := map[string]survey.Reason{}
		for _, i := range h.items("2026-12-22") {
			got[i.SourceID] = i.Reason
		}
		if got["HZ10000"] != survey.AskedRecently || got["HZ10001"] != survey.Asked {
			t.Errorf("%v", got)
		}
	})
}

func TestAShareIsRemindedAndTheOthersShowWhatItWasWorth(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		const n = 60
		h.reminding(n, 0.5)
		h.reply(number(0), "1") // before anybody is reminded
		h.pass(25 * time.Hour)
		res := h.remind(false)
		control := res.Not[survey.NotSampled]
		if res.Reminded+control != n-1 || res.Reminded < 12 || control < 12 { // 1 in 10^5 that half of 59 is so far off
			t.Fatalf("%+v", res)
		}
		h.settle()
		reminded, others := 0, 0
		for i := 1; i < n; i++ {
			switch two := len(h.texts(number(i))) == 2; {
			case two && reminded < 4:
				reminded++
				h.reply(number(i), "2")
			case !two && others < 1:
				others++
				h.reply(number(i), "4")
			}
		}
		f := h.figures()
		if len(f.Reminders) != 1 || f.Reminders[0] != f.Reminded {
			t.Fatalf("%+v, %+v", f.Reminders, f.Reminded)
		}
		r := f.Reminded
		if r.Reminded.N != res.Reminded || r.Reminded.Delivered != res.Reminded || r.Reminded.Replied != 4 || r.Reminded.Rated != 4 || r.Reminded.Unhappy != 0 ||
			r.Control.N != control || r.Control.Replied != 1 || r.Control.Unhappy != 1 {
			t.Errorf("%+v", r)
		}
		if r.Sent != n || r.Replied != 6 || r.Before() != 2 {
			t.Errorf("%d of %d replied, %d of them without a reminder", r.Replied, r.Sent, r.Before())
		}
		book := f.Sheets()
		if last := book[len(book)-1]; last.Name != "提醒" || len(last.Rows) != 3 {
			t.Errorf("%+v", last)
		}
	})
}

func TestAReminderIsNotSentTwiceByACarrierThatLosesItsAnswers(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.reminding(20, 1)
		if err := h.sim.Set(h.ctx, sim.Settings{Seed: 3, TimeoutRate: 0.5, NoReceiptRate: 0.3}); err != nil {
			t.Fatal(err)
		}
		h.pass(25 * time.Hour)
		h.remind(false)
		for range 4 { // and a sender that is started anew each time
			h.settle()
			h.pass(time.Hour)
			h.remind(false)
		}
		h.settle()
		for i := range 20 {
			if got := h.texts(number(i)); len(got) > 2 {
				t.Errorf("number %d got %q", i, got)
			}
		}
	})
}

func TestAReminderOfTheConfigurationIsChecked(t *testing.T) {
	for reminder, why := range map[string]string{"{after: 23h}": "24h", "{after: 70h}": "reply window", "{after: 24h, share: 2}": "share", "{after: 24h, template: nag}": "nag", "{share: 0.5}": "24h"} {
		text := strings.Replace(survey.StandardText(), "template: visit, priority: 40", "template: visit, priority: 40, reminder: "+reminder, 1)
		if _, err := survey.ParseConfig([]byte(text)); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v", reminder, err)
		}
	}
}
