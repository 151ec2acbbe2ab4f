package sms_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"lianxin/contact"
	"lianxin/sms"
	"lianxin/sms/sim"
	"lianxin/storage"
	"lianxin/storage/storagetest"
)

// house is an outbox, an inbox and a simulated carrier on one database with one clock.
type house struct {
	t      testing.TB
	ctx    context.Context
	db     *storage.DB
	mu     sync.Mutex
	clock  time.Time
	vault  *contact.Vault
	sim    *sim.Carrier
	outbox *sms.Outbox
}

func (h *house) now() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.clock
}

func (h *house) pass(d time.Duration) {
	h.mu.Lock()
	h.clock = h.clock.Add(d)
	h.mu.Unlock()
}

var shanghai = time.FixedZone("CST", 8*3600)

func newHouse(t testing.TB, db *storage.DB) *house {
	t.Helper()
	v, err := contact.OpenVault(filepath.Join(t.TempDir(), "keys.json"))
	if err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, ctx: context.Background(), db: db, vault: v, clock: time.Date(2026, 11, 23, 10, 0, 0, 0, shanghai)}
	h.sim = &sim.Carrier{DB: db, Vault: v, Now: h.now}
	h.outbox = h.newOutbox()
	h.sim.Receipts = h.outbox.Receipt
	return h
}

func (h *house) newOutbox() *sms.Outbox {
	return &sms.Outbox{DB: h.db, Carriers: []sms.Carrier{h.sim}, Vault: h.vault, Signature: "本溪公安", Window: sms.DefaultWindow, Now: h.now}
}

func (h *house) phone(i int) contact.Phone {
	h.t.Helper()
	p, err := contact.ParseMobile(fmt.Sprintf("138%08d", i))
	if err != nil {
		h.t.Fatal(err)
	}
	return p
}

func (h *house) update(fn func(*storage.Tx) error) {
	h.t.Helper()
	if err := h.db.Update(h.ctx, fn); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) set(s sim.Settings) {
	h.t.Helper()
	if err := h.sim.Set(h.ctx, s); err != nil {
		h.t.Fatal(err)
	}
}

// queue puts one text to phone i into the outbox and returns its id.
func (h *house) queue(i int, change ...func(*sms.Message)) (id string) {
	h.t.Helper()
	m := sms.Message{Key: fmt.Sprintf("test:%d", i), Campaign: "test", Phone: h.phone(i), Body: "请评价"}
	for _, f := range change {
		f(&m)
	}
	h.update(func(tx *storage.Tx) (err error) {
		id, _, err = h.outbox.Queue(tx, m)
		return err
	})
	return id
}

func (h *house) flush() sms.Tally {
	h.t.Helper()
	tally, err := h.outbox.Flush(h.ctx)
	if err != nil {
		h.t.Fatal(err)
	}
	return tally
}

func (h *house) simFlush() {
	h.t.Helper()
	if _, err := h.sim.Flush(h.ctx); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) get(id string) (m sms.Message) {
	h.t.Helper()
	err := h.db.View(h.ctx, func(tx *storage.Tx) (err error) {
		m, err = h.outbox.Get(tx, id)
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return m
}

func (h *house) state(id string, want sms.State) {
	h.t.Helper()
	if m := h.get(id); m.State != want {
		h.t.Errorf("text is %s (%s %s), want %s", m.State, m.ErrorClass, m.Reason, want)
	}
}

// onHandset is how many texts phone i was sent, delivered or not.
func (h *house) onHandset(i int) int {
	h.t.Helper()
	all, err := h.sim.Handset(h.ctx, h.phone(i))
	if err != nil {
		h.t.Fatal(err)
	}
	return len(all)
}

func each(t *testing.T, fn func(t *testing.T, h *house)) {
	t.Helper()
	t.Parallel() // each on its own database; making one is mostly waiting
	storagetest.Each(t, func(t *testing.T, db *storage.DB) { fn(t, newHouse(t, db)) })
}

func TestTextIsSentOnceSignedAndDelivered(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		id := h.queue(1)
		if again := h.queue(1); again != id {
			t.Errorf("the same key was queued as another text")
		}
		if tally := h.flush(); tally.Sent != 1 {
			t.Errorf("tally %+v", tally)
		}
		h.state(id, sms.Accepted)
		h.simFlush()
		h.state(id, sms.Delivered)
		h.flush()
		all, _ := h.sim.Handset(h.ctx, h.phone(1))
		if len(all) != 1 || all[0].Body != "【本溪公安】请评价" {
			t.Errorf("the handset has %v", all)
		}
	})
}

func TestNothingIsSentWhenTheCauseIsRolledBack(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		boom := errors.New("boom")
		err := h.db.Update(h.ctx, func(tx *storage.Tx) error {
			if _, _, err := h.outbox.Queue(tx, sms.Message{Key: "k", Phone: h.phone(1), Body: "x"}); err != nil {
				t.Error(err)
			}
			return boom
		})
		if !errors.Is(err, boom) {
			t.Fatal(err)
		}
		h.flush()
		if n := h.onHandset(1); n != 0 {
			t.Errorf("%d texts were sent", n)
		}
	})
}

func TestUnsendableTextIsRefusedAtTheDoor(t *testing.T) {
	h := newHouse(t, storagetest.SQLite(t))
	land, _ := contact.ParsePhone("02442830110")
	for name, m := range map[string]sms.Message{
		"fixed line": {Key: "k", Phone: land, Body: "x"}, "no body": {Key: "k", Phone: h.phone(1)}, "no key": {Phone: h.phone(1), Body: "x"},
		"no number": {Key: "k", Body: "x"}, "strange carrier": {Key: "k", Phone: h.phone(1), Body: "x", Carrier: "pigeon"},
		"far too long": {Key: "k", Phone: h.phone(1), Body: string(make([]rune, 2000))},
	} {
		err := h.db.Update(h.ctx, func(tx *storage.Tx) error { _, _, err := h.outbox.Queue(tx, m); return err })
		if !errors.Is(err, sms.ErrBadText) {
			t.Errorf("%s: %v, want ErrBadText", name, err)
		}
	}
}

func TestUnknownOutcomeIsAskedAboutAndNeverSentAgain(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.set(sim.Settings{TimeoutRate: 1, NoReceiptRate: 1})
		id := h.queue(1)
		h.flush()
		h.state(id, sms.Unknown)
		h.flush() // not before the carrier's books have settled
		h.state(id, sms.Unknown)
		h.pass(31 * time.Second)
		h.flush()
		h.state(id, sms.Accepted)
		h.simFlush()
		h.pass(7 * time.Hour) // no receipt comes: it is asked for
		h.flush()
		h.state(id, sms.Delivered)
		if n := h.onHandset(1); n != 1 {
			t.Errorf("the handset has %d texts, want 1", n)
		}
	})
}

func TestLostSubmissionIsSentOnceTheCarrierSaysItHasNone(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.set(sim.Settings{DropRate: 1})
		id := h.queue(1)
		h.flush()
		h.state(id, sms.Unknown)
		h.pass(31 * time.Second)
		h.flush()
		h.simFlush()
		h.state(id, sms.Delivered)
		if n := h.onHandset(1); n != 1 {
			t.Errorf("the handset has %d texts, want 1", n)
		}
	})
}

func TestCarrierThatCannotBeAskedLeavesTheUnknownToAReceiptOrAPerson(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.set(sim.Settings{TimeoutRate: 1, Mute: true, NoReceiptRate: 1})
		silent := h.queue(1)
		h.flush()
		h.set(sim.Settings{TimeoutRate: 1, Mute: true, ReceiptDelay: 30 * time.Hour})
		late := h.queue(2)
		h.flush()
		for range 5 {
			h.pass(time.Hour)
			h.flush()
			h.simFlush()
		}
		var stuck []sms.Message
		list := func() {
			h.db.View(h.ctx, func(tx *storage.Tx) (err error) {
				stuck, _, err = h.outbox.List(tx, sms.Filter{Stuck: true})
				return err
			})
		}
		if list(); len(stuck) != 2 {
			t.Fatalf("%d texts wait for a person, want 2", len(stuck))
		}
		// The receipt names only the carrier's id, which we never learnt: an honest end is that a person decides.
		h.update(func(tx *storage.Tx) error {
			return h.outbox.Settle(tx, silent, sms.Failed, "staff/1", "resident says nothing came")
		})
		h.state(silent, sms.Failed)
		if err := h.outbox.Receipt(h.ctx, sms.Receipt{Carrier: "sim", MessageID: late, State: sms.Delivered}); err != nil {
			t.Fatal(err)
		}
		h.state(late, sms.Delivered)
		if list(); len(stuck) != 0 {
			t.Errorf("%d texts still wait for a person", len(stuck))
		}
		if a, b := h.onHandset(1), h.onHandset(2); a != 1 || b != 1 {
			t.Errorf("the handsets have %d and %d texts, want 1 each", a, b)
		}
	})
}

func TestPersonMaySendAnUnknownTextAgain(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.set(sim.Settings{DropRate: 1, Mute: true})
		id := h.queue(1)
		h.flush()
		h.pass(time.Minute)
		h.flush()
		h.state(id, sms.Unknown)
		h.update(func(tx *storage.Tx) error {
			return h.outbox.Settle(tx, id, sms.Queued, "staff/1", "asked the carrier by telephone")
		})
		h.flush()
		h.simFlush()
		h.state(id, sms.Delivered)
		err := h.db.Update(h.ctx, func(tx *storage.Tx) error { return h.outbox.Settle(tx, id, sms.Queued, "staff/1", "") })
		if !errors.Is(err, storage.ErrConflict) {
			t.Errorf("a delivered text could be sent again: %v", err)
		}
	})
}

func TestErrorsAreTreatedByTheirKind(t *testing.T) {
	for name, c := range map[string]struct {
		s     sim.Settings
		first sms.State
		kind  sms.Kind
		last  sms.State
	}{
		"refused":       {sim.Settings{RejectRate: 1}, sms.Failed, sms.Refused, sms.Failed},
		"stopped":       {sim.Settings{StoppedRate: 1}, sms.Failed, sms.Stopped, sms.Failed},
		"throttled":     {sim.Settings{ThrottleRate: 1}, sms.Queued, sms.Throttled, sms.Delivered},
		"unreachable":   {sim.Settings{Down: true}, sms.Queued, sms.Unreachable, sms.Delivered},
		"misconfigured": {sim.Settings{BadAccount: true}, sms.Queued, sms.Misconfigured, sms.Delivered},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, h *house) {
				var stopped []string
				h.outbox.Stopped = func(_ *storage.Tx, m sms.Message) error { stopped = append(stopped, m.ID); return nil }
				h.set(c.s)
				id := h.queue(1)
				h.flush()
				if m := h.get(id); m.State != c.first || m.ErrorClass != c.kind {
					t.Fatalf("text is %s (%s), want %s (%s)", m.State, m.ErrorClass, c.first, c.kind)
				}
				if c.first == sms.Queued {
					health, err := h.outbox.Health(h.ctx)
					if err != nil || health.Trouble["sim"] == "" {
						t.Errorf("health %+v, %v: does not tell the trouble", health, err)
					}
				}
				if (len(stopped) == 1) != (name == "stopped") {
					t.Errorf("Stopped was called %d times", len(stopped))
				}
				h.set(sim.Settings{ThrottleRate: c.s.ThrottleRate})
				for range 20 {
					h.pass(2 * time.Minute)
					h.flush()
					h.simFlush()
				}
				h.state(id, c.last)
				if want := map[bool]int{true: 1, false: 0}[c.last == sms.Delivered]; h.onHandset(1) != want {
					t.Errorf("the handset has %d texts, want %d", h.onHandset(1), want)
				}
			})
		})
	}
}

func TestNothingGoesOutAtNightButAnswers(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.pass(9*time.Hour + 59*time.Minute) // 19:59
		late := h.queue(1)
		h.pass(2 * time.Minute) // the window closed over it
		night := h.queue(2)
		answer := h.queue(3, func(m *sms.Message) { m.Anytime = true })
		h.flush()
		h.state(late, sms.Queued)
		h.state(night, sms.Queued)
		h.state(answer, sms.Accepted)
		want := time.Date(2026, 11, 24, 9, 0, 0, 0, shanghai)
		for _, id := range []string{late, night} {
			if due := h.get(id).Due; !due.Equal(want) {
				t.Errorf("due %s, want %s", due.In(shanghai), want)
			}
		}
		h.pass(12*time.Hour + 58*time.Minute) // 08:59
		h.flush()
		h.state(late, sms.Queued)
		h.pass(time.Minute)
		h.flush()
		h.state(late, sms.Accepted)
		h.state(night, sms.Accepted)
	})
}

func TestTextExpiresWhenItsValidityEnds(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.set(sim.Settings{Down: true})
		id := h.queue(1, func(m *sms.Message) { m.NotAfter = h.now().Add(time.Hour) })
		h.flush()
		h.set(sim.Settings{})
		h.pass(time.Hour)
		h.flush()
		h.state(id, sms.Expired)
		if n := h.onHandset(1); n != 0 {
			t.Errorf("%d texts were sent after the validity ended", n)
		}
	})
}

func TestCampaignCanBePausedResumedAndKilled(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		a := h.queue(1, func(m *sms.Message) { m.Campaign = "a" })
		b := h.queue(2, func(m *sms.Message) { m.Campaign = "b" })
		h.update(func(tx *storage.Tx) error { return h.outbox.Pause(tx, "a", "staff/1", "wrong text") })
		h.flush()
		h.state(a, sms.Queued)
		h.state(b, sms.Accepted)
		h.update(func(tx *storage.Tx) error { return h.outbox.Resume(tx, "a", "staff/1") })
		h.flush()
		h.state(a, sms.Accepted)

		c := h.queue(3, func(m *sms.Message) { m.Campaign = "c" })
		h.update(func(tx *storage.Tx) error {
			return h.outbox.Pause(tx, sms.Everything, "staff/1", "carrier asks us to stop")
		})
		h.flush()
		h.state(c, sms.Queued)
		h.update(func(tx *storage.Tx) error {
			n, err := h.outbox.Kill(tx, "c", "staff/1", "wrong list")
			if n != 1 {
				t.Errorf("killed %d texts, want 1", n)
			}
			return err
		})
		h.update(func(tx *storage.Tx) error { return h.outbox.Resume(tx, sms.Everything, "staff/1") })
		h.flush()
		h.state(c, sms.Cancelled)
		err := h.db.Update(h.ctx, func(tx *storage.Tx) error { return h.outbox.Resume(tx, "c", "staff/1") })
		if !errors.Is(err, storage.ErrConflict) {
			t.Errorf("a killed campaign was resumed: %v", err)
		}
	})
}

func TestTwoOutboxesOnOneDatabaseSendEachTextOnce(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		const n = 120
		for i := range n {
			h.queue(i)
		}
		var wg sync.WaitGroup
		for range 3 {
			o := h.newOutbox()
			wg.Go(func() {
				for range 20 {
					if _, err := o.Flush(h.ctx); err != nil && !errors.Is(err, storage.ErrConflict) {
						t.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		h.simFlush()
		for i := range n {
			if got := h.onHandset(i); got != 1 {
				t.Errorf("handset %d has %d texts, want 1", i, got)
			}
		}
	})
}

// A receipt may come before the answer to the submission, twice, late and in any order: the text ends in one state.
func TestReceiptsInAnyOrderEndInOneState(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		n := 0
		rapid.Check(t, func(rt *rapid.T) {
			n++
			id := h.queue(n)
			h.flush()
			carrierID := h.get(id).CarrierID
			states := rapid.SliceOfN(rapid.SampledFrom([]sms.State{sms.Accepted, sms.Delivered, sms.Failed}), 1, 5).Draw(rt, "receipts")
			want := sms.Accepted
			for _, s := range states {
				if s == sms.Delivered || (s == sms.Failed && want == sms.Accepted) {
					want = s
				}
			}
			for _, i := range rapid.Permutation(indexes(len(states))).Draw(rt, "order") {
				r := sms.Receipt{Carrier: "sim", State: states[i], Code: "X"}
				if rapid.Bool().Draw(rt, "by our id") {
					r.MessageID = id
				} else {
					r.CarrierID = carrierID
				}
				if err := h.outbox.Receipt(h.ctx, r); err != nil {
					rt.Fatal(err)
				}
			}
			if m := h.get(id); m.State != want {
				rt.Fatalf("after %v the text is %s, want %s", states, m.State, want)
			}
			h.db.View(h.ctx, func(tx *storage.Tx) error {
				kept, err := sms.Receipts(tx, id)
				if err != nil || len(kept) != len(states) {
					rt.Fatalf("%d receipts are kept of %d, %v", len(kept), len(states), err)
				}
				return nil
			})
		})
	})
}

func indexes(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

func TestReceiptThatBeatsTheAnswerIsParkedAndFound(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.set(sim.Settings{EarlyReceipts: true})
		id := h.queue(1)
		h.flush()
		h.state(id, sms.Delivered)
		if m := h.get(id); m.CarrierID == "" || m.DoneAt.IsZero() {
			t.Errorf("text %+v lacks the carrier's id or its end", m)
		}
	})
}

func TestLateDuplicateAndDisorderlyReceiptsOfTheSimulator(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.set(sim.Settings{DeliveryDelay: time.Second, ReceiptDelay: 3 * time.Hour, DuplicateRate: 1, OutOfOrderRate: 1, FailureRate: 0.5})
		ids := map[int]string{}
		for i := range 30 {
			ids[i] = h.queue(i)
		}
		h.flush()
		for range 6 {
			h.pass(time.Hour)
			h.simFlush()
			h.flush()
		}
		for i, id := range ids {
			all, _ := h.sim.Handset(h.ctx, h.phone(i))
			if len(all) != 1 || string(h.get(id).State) != all[0].State {
				t.Errorf("text %d is %s with us and %v there", i, h.get(id).State, all)
			}
		}
	})
}

func TestMissingReceiptIsAskedForAndThenCalledUnknown(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.set(sim.Settings{NoReceiptRate: 1, DeliveryDelay: 1000 * time.Hour})
		id := h.queue(1)
		h.flush()
		for range 9 {
			h.pass(6 * time.Hour)
			h.flush()
		}
		if m := h.get(id); m.State != sms.Unknown || m.ErrorClass != sms.NoReceipt {
			t.Errorf("text is %s (%s), want unknown for want of a receipt", m.State, m.ErrorClass)
		}
		if n := h.onHandset(1); n != 1 {
			t.Errorf("%d texts were sent", n)
		}
	})
}

func TestRateIsHeld(t *testing.T) {
	h := newHouse(t, storagetest.SQLite(t))
	h.outbox.Limits.PerSecond = 20
	for i := range 40 {
		h.queue(i)
	}
	start := time.Now()
	h.flush()
	// A burst of one second's worth, then 20 a second: at least one second for 40.
	if took := time.Since(start); took < 900*time.Millisecond {
		t.Errorf("40 texts left in %v at 20 a second", took)
	}
}

func TestRunSendsWhatIsQueuedWhileItRuns(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx, stop := context.WithCancel(h.ctx)
		var wg sync.WaitGroup
		wg.Go(func() { h.outbox.Run(ctx) })
		id := h.queue(1)
		deadline := time.Now().Add(20 * time.Second)
		for h.get(id).State != sms.Accepted {
			if time.Now().After(deadline) {
				t.Fatal("not sent")
			}
			time.Sleep(10 * time.Millisecond)
		}
		stop()
		wg.Wait()
	})
}
