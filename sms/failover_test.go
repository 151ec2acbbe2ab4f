package sms_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"lianxin/sms"
	"lianxin/storage"
	"lianxin/storage/storagetest"
	"lianxin/workday"
)

// second is another carrier with its books in memory.
type second struct {
	name string
	got  map[string]int // by key
	err  error
}

func (s *second) Name() string { return s.name }

func (s *second) Send(_ context.Context, m sms.Message) (sms.Sent, error) {
	if s.err != nil {
		return sms.Sent{}, s.err
	}
	s.got[m.Key]++
	return sms.Sent{CarrierID: s.name + m.ID}, nil
}

func (s *second) Find(context.Context, sms.Message) (sms.Found, error) {
	return sms.Found{}, sms.ErrCannotAsk
}

// pair is an outbox with two carriers; with one worker, so that the books need no lock.
func pair(t *testing.T, db *storage.DB) (h *house, a, b *second) {
	h = newHouse(t, db)
	a, b = &second{name: "a", got: map[string]int{}}, &second{name: "b", got: map[string]int{}}
	h.outbox.Carriers, h.outbox.Failover, h.outbox.Limits.Workers = []sms.Carrier{a, b}, true, 1
	return h, a, b
}

func TestARefusedTextGoesToTheOtherCarrierOnceAndARefusalThereIsTheEnd(t *testing.T) {
	t.Parallel()
	storagetest.Each(t, func(t *testing.T, db *storage.DB) {
		h, a, b := pair(t, db)
		a.err = sms.Errorf(sms.Refused, "A:1", "no such template")
		taken := h.queue(1)
		h.flush()
		h.state(taken, sms.Accepted)
		if m := h.get(taken); m.Carrier != "b" || m.RefusedBy != "a" || b.got["test:1"] != 1 {
			t.Errorf("by %q, refused by %q, sent by b %d times", m.Carrier, m.RefusedBy, b.got["test:1"])
		}
		b.err = sms.Errorf(sms.Refused, "B:1", "no such number")
		lost := h.queue(2)
		h.flush()
		h.state(lost, sms.Failed)
		if m := h.get(lost); m.ErrorCode != "B:1" || m.Attempt != 2 {
			t.Errorf("failed with %s after %d attempts", m.ErrorCode, m.Attempt)
		}
		if err := h.outbox.Receipt(h.ctx, sms.Receipt{Carrier: "b", MessageID: taken, State: sms.Delivered}); err != nil {
			t.Fatal(err)
		}
		h.state(taken, sms.Delivered)
	})
}

func TestWhatMayBeWithACarrierNeverGoesToAnother(t *testing.T) {
	t.Parallel()
	storagetest.Each(t, func(t *testing.T, db *storage.DB) {
		h, a, b := pair(t, db)
		a.err = errors.New("time-out")
		id := h.queue(1)
		h.flush()
		for range 5 { // hours with a carrier that is in trouble
			h.pass(time.Hour)
			h.flush()
		}
		h.state(id, sms.Unknown)
		if len(b.got) != 0 {
			t.Errorf("the other carrier was given %v", b.got)
		}
	})
}

func TestATextForACarrierByNameAndAnOptOutThereStay(t *testing.T) {
	h, a, b := pair(t, storagetest.SQLite(t))
	a.err = sms.Errorf(sms.Refused, "A:1", "no")
	named := h.queue(1, func(m *sms.Message) { m.Carrier = "a" })
	h.flush()
	a.err = sms.Errorf(sms.Stopped, "A:2", "has opted out")
	stopped := h.queue(2)
	h.flush()
	h.state(named, sms.Failed)
	h.state(stopped, sms.Failed)
	if len(b.got) != 0 {
		t.Errorf("the other carrier was given %v", b.got)
	}
}

func TestACarrierInTroubleForAMinuteLosesItsTextsAndGetsThemBackWhenItAnswers(t *testing.T) {
	t.Parallel()
	storagetest.Each(t, func(t *testing.T, db *storage.DB) {
		h, a, b := pair(t, db)
		a.err = sms.Errorf(sms.Unreachable, "", "refused")
		h.queue(1)
		h.flush()
		if len(b.got) != 0 {
			t.Fatal("given away at the first trouble")
		}
		for range 20 { // its next attempt may be 48 s away
			h.pass(11 * time.Second)
			h.flush()
		}
		if b.got["test:1"] != 1 || a.got["test:1"] != 0 {
			t.Fatalf("sent %d times by the other, %d by the first", b.got["test:1"], a.got["test:1"])
		}
		if health, err := h.outbox.Health(h.ctx); err != nil || health.Trouble["a"] == "" {
			t.Errorf("health does not tell of the trouble: %+v, %v", health, err)
		}
		// A text for it by name is the probe that finds it well again.
		a.err = nil
		h.queue(2, func(m *sms.Message) { m.Carrier = "a" })
		h.pass(11 * time.Second)
		h.flush()
		h.queue(3)
		h.flush()
		if a.got["test:2"] != 1 || a.got["test:3"] != 1 || b.got["test:3"] != 0 {
			t.Errorf("first %v, other %v", a.got, b.got)
		}
	})
}

// The circuit: closed → open after so many silent submissions → one at a time → closed.
func TestACarrierThatDoesNotAnswerIsLeftAloneThenTriedWithOneText(t *testing.T) {
	h, a, _ := pair(t, storagetest.SQLite(t))
	h.outbox.Carriers, h.outbox.Limits.Silent = []sms.Carrier{a}, 3
	a.err = errors.New("time-out")
	for i := range 10 {
		h.queue(i)
	}
	if tally := h.flush(); tally.Open != 3 {
		t.Fatalf("%+v: %d texts in doubt before the circuit opened, want 3", tally, tally.Open)
	}
	if tally := h.flush(); tally != (sms.Tally{}) {
		t.Errorf("used while the circuit was open: %+v", tally)
	}
	h.pass(11 * time.Second)
	if tally := h.flush(); tally.Open != 1 {
		t.Errorf("half open: %+v, want one text", tally)
	}
	a.err = nil
	h.pass(11 * time.Second)
	if tally := h.flush(); tally.Sent != 6 {
		t.Errorf("closed again: %+v, want the six others sent", tally)
	}
}

func TestRatesHoldForOneCarrierAndForAllTogether(t *testing.T) {
	h, a, b := pair(t, storagetest.SQLite(t))
	h.outbox.Limits.Workers, h.outbox.Limits.Rates, h.outbox.Limits.Total = 1, map[string]float64{"a": 1000}, 20
	h.outbox.Failover = false
	for i := range 30 { // the first ten go at once
		h.queue(i, func(m *sms.Message) { m.Carrier = []string{"a", "b"}[i%2] })
	}
	start := time.Now()
	h.flush()
	if took := time.Since(start); took < 450*time.Millisecond || len(a.got) != 15 || len(b.got) != 15 {
		t.Errorf("%d and %d texts took %v, less than the rate of all together allows", len(a.got), len(b.got), took)
	}
}

func TestHolidaysKeepBulkTextsBackAndNothingElse(t *testing.T) {
	cal, err := workday.Load()
	if err != nil {
		t.Fatal(err)
	}
	quiet := sms.Holidays(cal)
	// 1 to 7 October 2026 are off, plain weekends around them are not holidays; 10 October is a Saturday of work.
	for day, want := range map[string]bool{"2026-09-30": false, "2026-10-01": true, "2026-10-03": true, "2026-10-07": true, "2026-10-10": false, "2026-11-21": false, "2026-11-22": false} {
		d, err := workday.ParseDay(day)
		if err != nil {
			t.Fatal(err)
		}
		if quiet(d) != want {
			t.Errorf("%s: quiet %v", day, !want)
		}
	}
	h := newHouse(t, storagetest.SQLite(t))
	h.outbox.Quiet = quiet
	h.pass(time.Date(2026, 10, 2, 10, 0, 0, 0, shanghai).Sub(h.now()))
	bulk, urgent := h.queue(1), h.queue(2, func(m *sms.Message) { m.Anytime = true })
	h.flush()
	h.state(bulk, sms.Queued)
	h.state(urgent, sms.Accepted)
	if due := h.get(bulk).Due; workday.DayOf(due).String() != "2026-10-08" {
		t.Errorf("due %v, want the first working day", due)
	}
}
