package survey_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"lianxin/sms"
	"lianxin/sms/sim"
	"lianxin/storage"
	"lianxin/survey"
	"lianxin/ticket"
	"lianxin/workday"
)

// telephones makes household matters ask by telephone whom no text reaches, and traffic accidents those whose text did not arrive.
func (h *house) telephones() {
	h.t.Helper()
	text := survey.StandardText()
	for class, whom := range map[string]string{"huzheng": "[fixed_line, undelivered]", `"122"`: "[undelivered]"} {
		text = strings.Replace(text, "{code: "+class+",", "{code: "+class+", telephone: "+whom+",", 1)
	}
	cfg, err := survey.ParseConfig([]byte(text))
	if err != nil {
		h.t.Fatal(err)
	}
	h.survey.Config = cfg
}

func (h *house) enlist() int {
	h.t.Helper()
	n, err := h.survey.Enlist(h.ctx)
	if err != nil {
		h.t.Fatal(err)
	}
	return n
}

// next is who is rung now.
func (h *house) next() (to survey.ToRing, ok bool) {
	h.t.Helper()
	h.update(func(tx *storage.Tx) (err error) { to, ok, err = h.survey.NextCall(tx, "node"); return err })
	return to, ok
}

func (h *house) ended(to survey.ToRing, outcome string) (settled bool) {
	h.t.Helper()
	h.update(func(tx *storage.Tx) (err error) {
		settled, err = h.survey.Settle(tx, to.ID, to.CallID, outcome)
		return err
	})
	return settled
}

// answers is somebody who answers the telephone and presses a key.
func (h *house) answers(to survey.ToRing, words string) survey.Answer {
	h.t.Helper()
	h.update(func(tx *storage.Tx) error { return h.survey.Reached(tx, to.ID, to.CallID) })
	id, _, err := h.inbox.Receive(h.ctx, sms.Inbound{Carrier: survey.Telephone, CarrierID: to.CallID, Phone: to.Number, Body: words})
	if err != nil {
		h.t.Fatal(err)
	}
	var a survey.Answer
	h.view(func(tx *storage.Tx) (err error) { a, err = survey.AnswerTo(tx, id); return err })
	return a
}

func (h *house) callees() map[string]survey.CalleeItem {
	h.t.Helper()
	out := map[string]survey.CalleeItem{}
	h.view(func(tx *storage.Tx) error {
		list, _, err := h.survey.Callees(tx, "", 100, 0)
		for _, c := range list {
			out[c.SourceID] = c
		}
		return err
	})
	return out
}

const fixedLines = header +
	"户政,F1,2026-11-22 09:00,钱一,024-42830001,,benxi-huzheng-chuangkou,办证,,\n" +
	"户政,F2,2026-11-22 10:00,钱一,02442830001,,benxi-huzheng-chuangkou,迁户,,\n" + // the same line: once
	"户政,F3,2026-11-22 10:00,孙三,02442830003,,benxi-huzheng-chuangkou,办证,家暴,\n" +
	"户政,F4,2026-11-22 10:00,孙四,02442830003,,benxi-huzheng-chuangkou,办证,,\n" + // the line of a sensitive record
	"户政,F5,2026-11-22 10:00,李五,02442830005,2015-01-01,benxi-huzheng-chuangkou,办证,,\n" + // a child
	"110,F6,2026-11-22 10:00,周六,02442830006,,210502-zhanqian,求助,,\n" + // a class that nobody is rung for
	"户政,F7,2026-11-22 11:00,吴七,02442830007,,benxi-huzheng-chuangkou,办证,,\n"

func TestWhomNoTextReachesIsAskedByTelephoneAndCountsAlike(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.importText(fixedLines)
		h.run("2026-11-22")
		if n := h.enlist(); n != 0 { // as shipped, nobody is rung
			t.Fatalf("%d are rung though no class says so", n)
		}
		h.telephones()
		if n := h.enlist(); n != 2 {
			t.Errorf("%d are to be rung: %+v", n, h.callees())
		}
		if n := h.enlist(); n != 0 {
			t.Errorf("%d were listed twice", n)
		}
		got := h.callees()
		for id, want := range map[string]string{"F1": "other_service", "F2": "", "F4": "sensitive_other", "F5": "minor", "F7": ""} {
			if c, ok := got[id]; !ok || c.Outcome != want || (c.State == survey.CalleeWaiting) != (want == "") {
				t.Errorf("%s: %s %q, want %q", id, c.State, c.Outcome, want)
			}
		}
		if len(got) != 5 {
			t.Errorf("%d on the list", len(got))
		}

		first, ok := h.next()
		if !ok || first.Number.Kind() != "fixed" {
			t.Fatalf("%+v %v", first, ok)
		}
		a := h.answers(first, "5")
		h.ended(first, survey.RungRated)
		if a.Rating != 5 || !a.Counted || a.Place != survey.InTime || a.TicketID == "" || a.CallbackID == "" {
			t.Errorf("%+v", a)
		}
		h.view(func(tx *storage.Tx) error {
			tk, err := h.office.Get(tx, a.TicketID)
			if !strings.HasPrefix(tk.Title, "电话访评非常不满意") || tk.Channel != "hotline" || tk.CallID != first.CallID || !tk.Confidential || tk.Kind != ticket.Complaint {
				t.Errorf("%+v", tk)
			}
			return err
		})
		second, ok := h.next()
		if !ok {
			t.Fatal("the second is not rung")
		}
		if a := h.answers(second, "1"); a.Rating != 1 || !a.Counted || a.TicketID != "" {
			t.Errorf("%+v", a)
		}
		h.ended(second, survey.RungRated)
		f := h.figures().Whole
		if f.N != 2 || f.Count[survey.Telephoned] != 2 || f.Count[survey.Rated] != 2 || f.Count[survey.Sent] != 0 || f.Count[survey.Unhappy] != 1 || f.Coverage != 1 ||
			f.Count[survey.Planned] != f.Count[survey.Suppressed]+f.Count[survey.Sent]+f.Count[survey.Waiting] {
			t.Errorf("%+v", f)
		}
		for _, row := range h.figures().ByChannel {
			if row.Key != survey.Telephone || row.N != 2 {
				t.Errorf("%+v", row)
			}
		}
		h.view(func(tx *storage.Tx) error {
			items, n, err := h.survey.Select(tx, survey.Selection{First: h.day("2026-11-22"), Last: h.day("2026-11-22"), Figure: survey.Rated, Channel: survey.Telephone})
			if n != 2 || len(items) != 2 { // I22
				t.Errorf("%d behind the figure", n)
			}
			return err
		})
		// A text is never sent to a fixed line, not even to ask for the reason.
		h.settle()
		if texts := h.textsOf(); texts != 0 {
			t.Errorf("%d texts", texts)
		}
		if _, err := survey.Verify(h.ctx, h.db); err != nil {
			t.Error(err)
		}
		if _, err := h.inbox.Verify(h.ctx); err != nil {
			t.Error(err)
		}
		// Who was asked by telephone is left alone for the month, as everybody is.
		h.set(h.day("2026-11-25").At(9 * time.Hour))
		h.importText(header + "户政,F8,2026-11-24 09:00,钱一,02442830001,,benxi-huzheng-chuangkou,办证,,\n")
		h.run("2026-11-24")
		if h.enlist(); h.callees()["F8"].Outcome != string(survey.AskedRecently) {
			t.Errorf("%+v", h.callees()["F8"])
		}
	})
}

func (h *house) textsOf() (n int) {
	h.view(func(tx *storage.Tx) (err error) {
		n, err = storage.One(tx, storage.Value[int], `SELECT COUNT(*) FROM sms`)
		return err
	})
	return n
}

func TestATextThatDidNotArriveIsFollowedByACall(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.telephones()
		h.carrier(sim.Settings{FailureRate: 1})
		h.importText(header + "户政,U1,2026-11-22 09:00,钱一,13800000011,,benxi-huzheng-chuangkou,办证,,\n" +
			"110,U2,2026-11-22 09:00,钱二,13800000012,,210502-zhanqian,求助,,\n")
		h.run("2026-11-22")
		h.settle()
		if n := h.enlist(); n != 1 {
			t.Fatalf("%d are rung", n)
		}
		to, ok := h.next()
		if !ok || to.Why != survey.ByUndelivered || to.Number.Clear() != "13800000011" {
			t.Fatalf("%+v", to)
		}
		h.answers(to, "2")
		h.ended(to, survey.RungRated)
		f := h.figures()
		w := f.Whole
		if w.Count[survey.Failed] != 2 || w.Count[survey.Telephoned] != 1 || w.N != 1 || w.Count[survey.Sent] != 2 {
			t.Errorf("%+v", w)
		}
		for _, row := range f.ByChannel { // the carrier has its failure, the telephone the rating
			if row.Key == survey.Telephone && (row.N != 1 || row.Count[survey.Sent] != 0) || row.Key != survey.Telephone && (row.N != 0 || row.Count[survey.Failed] != 2) {
				t.Errorf("%+v", row)
			}
		}
	})
}

func TestOneThatTheCarrierCallsDeadIsNotRung(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.telephones()
		h.carrier(sim.Settings{RejectRate: 1})
		h.importText(header + "户政,U1,2026-11-22 09:00,钱一,13800000011,,benxi-huzheng-chuangkou,办证,,\n")
		h.run("2026-11-22")
		h.settle()
		if n := h.enlist(); n != 0 || h.callees()["U1"].Outcome != survey.RungDead {
			t.Errorf("%d, %+v", n, h.callees())
		}
	})
}

func TestCallsKeepToHoursCapsSpacingAndTries(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.telephones()
		h.survey.Config.Telephone.PerHour, h.survey.Config.Telephone.AtOnce = 3, 2
		var b strings.Builder
		b.WriteString(header)
		for i := range 5 {
			fmt.Fprintf(&b, "户政,C%d,2026-11-22 09:00,钱一,0244283001%d,,benxi-huzheng-chuangkou,办证,,\n", i, i)
		}
		h.importText(b.String())
		h.run("2026-11-22")
		h.set(h.day("2026-11-23").At(20*time.Hour + time.Minute))
		if n := h.enlist(); n != 5 {
			t.Fatalf("%d listed", n)
		}
		if to, ok := h.next(); ok {
			t.Fatalf("%+v is rung in the evening", to)
		}
		h.set(h.day("2026-11-24").At(9 * time.Hour))
		a, _ := h.next()
		b2, ok := h.next()
		if _, third := h.next(); !ok || third {
			t.Error("not two at a time")
		}
		h.ended(a, "busy")
		if h.ended(a, survey.RungRated) {
			t.Error("the outcome of a call was noted twice")
		}
		h.ended(b2, "limit") // our own cap: not their try
		c, ok := h.next()
		if !ok || c.ID == a.ID {
			t.Errorf("%+v %v", c, ok)
		}
		h.ended(c, survey.RungSilent)
		if _, ok := h.next(); ok {
			t.Error("a fourth call within the hour")
		}
		h.update(func(tx *storage.Tx) error { return h.survey.PauseTelephone(tx, true, "演练", "staff/x") })
		h.pass(2 * time.Hour)
		if _, ok := h.next(); ok {
			t.Error("rung although it is paused")
		}
		h.update(func(tx *storage.Tx) error { return h.survey.PauseTelephone(tx, false, "", "staff/x") })
		removed := map[string]bool{} // the two who have not been rung
		for id, e := range h.callees() {
			if e.ID != a.ID && e.ID != b2.ID && e.ID != c.ID {
				removed[id] = true
				h.update(func(tx *storage.Tx) error { return h.survey.RemoveCallee(tx, e.ID, "staff/x") })
			}
		}
		seen := map[string]int{}
		for range 30 { // until the tries are used up
			h.pass(time.Hour)
			to, ok := h.next()
			if !ok {
				continue
			}
			if seen[to.ID]++; to.ID == c.ID {
				t.Error("somebody who was reached is rung again")
			}
			h.ended(to, "noanswer")
		}
		for id, e := range h.callees() {
			want, tries := survey.CalleeUnreached, 3
			switch {
			case removed[id]:
				want, tries = survey.CalleeDropped, 0
			case e.ID == c.ID:
				want, tries = survey.CalleeUnrated, 1
			}
			if e.State != want || e.Tries != tries {
				t.Errorf("%s: %s %s after %d", id, e.State, e.Outcome, e.Tries)
			}
		}
		if len(removed) != 2 || seen[a.ID] != 2 || seen[b2.ID] != 3 {
			t.Errorf("%v", seen)
		}
	})
}

func TestNobodyIsRungOnDaysThatTheCalendarShuts(t *testing.T) {
	calendar, err := workday.Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ days, at, want string }{
		{survey.EveryDay, "2025-10-01 10:00", "2025-10-01 10:00"}, // National Day, to the 8th
		{survey.NoHolidays, "2025-10-01 10:00", "2025-10-09 09:00"},
		{survey.NoHolidays, "2025-09-30 21:00", "2025-10-09 09:00"},
		{survey.NoHolidays, "2025-10-18 10:00", "2025-10-18 10:00"}, // an ordinary Saturday
		{survey.Workdays, "2025-10-18 10:00", "2025-10-20 09:00"},
		{survey.Workdays, "2025-10-11 10:00", "2025-10-11 10:00"}, // a Saturday that is worked (调休)
		{survey.Workdays, "2025-10-20 08:00", "2025-10-20 09:00"},
	} {
		cfg, err := survey.ParseConfig([]byte(strings.Replace(survey.StandardText(), "days: all, per", "days: "+c.days+", per", 1)))
		if err != nil {
			t.Fatal(err)
		}
		at, err := time.ParseInLocation("2006-01-02 15:04", c.at, workday.Zone)
		if err != nil {
			t.Fatal(err)
		}
		s := &survey.Survey{Config: cfg, Office: &ticket.Office{Calendar: calendar}}
		if got := s.MayRing(at).In(workday.Zone).Format("2006-01-02 15:04"); got != c.want {
			t.Errorf("%s at %s: %s, want %s", c.days, c.at, got, c.want)
		}
	}
	if _, err := survey.ParseConfig([]byte(strings.Replace(survey.StandardText(), "days: all, per", "days: sundays, per", 1))); err == nil {
		t.Error("days that do not exist are taken")
	}
}

func TestWhoWishesToBeRungIsRungAndWhoDoesNotIsNot(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.importText(fixedLines)
		h.run("2026-11-22")
		add := func(source string) (c survey.Callee, err error) {
			err = h.db.Update(h.ctx, func(tx *storage.Tx) (err error) {
				c, err = h.survey.AskByTelephone(tx, "户政", source, "staff/x")
				return err
			})
			return c, err
		}
		if _, err := add("nothing"); !errors.Is(err, storage.ErrNotFound) {
			t.Error(err)
		}
		if _, err := add("F3"); !errors.Is(err, survey.ErrListed) { // sensitive, whoever asks
			t.Error(err)
		}
		if _, err := add("F7"); err != nil {
			t.Error(err)
		}
		if _, err := add("F7"); !errors.Is(err, survey.ErrListed) {
			t.Error(err)
		}
		to, ok := h.next()
		if !ok || to.Why != survey.ByWish {
			t.Fatalf("%+v", to)
		}
		h.answers(to, "T") // the key for: never again
		h.ended(to, survey.RungOptOut)
		h.telephones()
		h.set(h.day("2027-01-25").At(9 * time.Hour))
		h.importText(header + "户政,F9,2027-01-24 09:00,吴七,02442830007,,benxi-huzheng-chuangkou,办证,,\n")
		h.run("2027-01-24")
		if h.enlist(); h.callees()["F9"].Outcome != string(survey.OptedOut) {
			t.Errorf("%+v", h.callees()["F9"])
		}
	})
}
