package ivr_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"lianxin/contact"
	"lianxin/ivr"
	"lianxin/ivr/ivrtest"
	"lianxin/sip"
	"lianxin/storage"
	"lianxin/ticket"
)

func trunkCall(from string) sip.Info {
	return sip.Info{Direction: sip.Incoming, From: from, To: "46110110", Trunk: "t"}
}

// A flood: the hotline defends itself, says so, keeps the last lines for those it knows, and stops when the flood does.
func TestAFloodOfCallsLeavesLinesToThoseWeKnow(t *testing.T) {
	t.Parallel()
	s := ivrtest.New(t, ivrtest.Options{Change: func(c *ivr.Config) {
		c.MaxCalls = 2
		c.Admission = ivr.Admission{PerCaller: 2, DefendAt: 5, Reserve: 1, Priority: []string{"02411012345"}, Channels: map[string]int{"small": 1}}
	}})
	h := s.Hotline
	call := dial(t, s, "13841400001")
	hears(t, s, call, "menu.main")
	if d := h.Defence(); d.On {
		t.Fatalf("it defends itself against one call: %+v", d)
	}
	// In peace, the second call of a number is let in, the third is not.
	if _, ok := h.Admit(trunkCall("13841400001")); !ok {
		t.Error("a second call of the same number was refused")
	}
	if _, ok := h.Admit(trunkCall("13841499999")); !ok {
		t.Error("a stranger was refused in peace")
	}
	for range 60 {
		h.Admit(trunkCall("13841488888"))
	}
	d := h.Defence()
	if !d.On || d.ByHand || d.Rate < 5 || d.Refused["reserve"] == 0 {
		t.Fatalf("no defence against 60 calls: %+v", d)
	}
	if wait, ok := h.Admit(trunkCall("13841499999")); ok || wait <= 0 {
		t.Error("a stranger got the last line")
	}
	if _, ok := h.Admit(trunkCall("13841400001")); ok {
		t.Error("a second call of the same number was let in")
	}
	if _, ok := h.Admit(trunkCall("02411012345")); !ok {
		t.Error("a number of the priority list was refused")
	}
	if _, ok := h.Admit(sip.Info{From: "02411012345", To: "46110110"}); ok {
		t.Error("a number that anybody may claim was taken for one of the priority list")
	}
	if _, ok := h.Admit(sip.Info{User: "8001", From: "8001", To: "46110110"}); !ok {
		t.Error("a telephone of the house was refused")
	}
	phone, err := contact.ParseMobile("13841477777")
	must(t, err)
	must(t, s.DB.Update(context.Background(), func(tx *storage.Tx) error {
		_, err := tx.Exec(`UPDATE call SET number_hash = $1, ticket_id = 'x' WHERE id = $2`, s.Book.Vault.HashPhone(phone), s.Hotline.Live()[0].ID)
		return err
	}))
	if _, ok := h.Admit(trunkCall("13841477777")); !ok {
		t.Error("somebody whom we have served was refused")
	}
	s.Until(t, "the alert", func() bool {
		n := 0
		s.View(t, func(tx *storage.Tx) (err error) {
			_, n, err = s.Office.Alerts(tx, ticket.AlertFilter{Viewer: ticket.System})
			return err
		})
		return n == 1
	})
	h.Defend(false)
	if h.Defence().On {
		t.Error("it could not be switched off")
	}
	h.SetAdmission(ivr.Admission{PerCaller: 1})
	if _, ok := h.Admit(trunkCall("13841400001")); ok {
		t.Error("new rules are not in force")
	}
	h.Defend(true)
	if d := h.Defence(); !d.On || !d.ByHand {
		t.Errorf("it could not be switched on: %+v", d)
	}
	must(t, call.Hangup(patient(t)))
	s.Quiet(t)
}

// Through the whole exchange: the third call of one number gets 503 and takes no media port.
func TestOneNumberHasSoManyCallsAtATime(t *testing.T) {
	t.Parallel()
	s := ivrtest.New(t, ivrtest.Options{Change: func(c *ivr.Config) { c.Admission = ivr.Admission{PerCaller: 2} }})
	a, b := dial(t, s, "13841400001"), dial(t, s, "13841400001")
	legs := s.Engine.Legs()
	_, err := s.Phone(t, "13841400001").Dial(patient(t), "46110110")
	var refused interface{ Error() string }
	if err == nil || !errors.As(err, &refused) || s.Engine.Legs() != legs {
		t.Errorf("the third call: %v, legs %d, before %d", err, s.Engine.Legs(), legs)
	}
	other := dial(t, s, "13841400002")
	must(t, errors.Join(a.Hangup(patient(t)), b.Hangup(patient(t)), other.Hangup(patient(t))))
	s.Quiet(t)
}

func TestANuisanceCallerIsHeldOffByTwoAndNeverWhoComplains(t *testing.T) {
	t.Parallel()
	s := ivrtest.New(t, ivrtest.Options{})
	call := dial(t, s, "13841400001")
	hears(t, s, call, "menu.main")
	must(t, call.Hangup(patient(t)))
	s.Quiet(t)
	record := s.Records(t)[0]
	blocks := ivr.Blocks{Vault: s.Book.Vault, Office: s.Office}
	do := func(f func(tx *storage.Tx) error) error { return s.DB.Update(context.Background(), f) }
	refusedWith := func(err error, code string) {
		t.Helper()
		var no *ivr.Refusal
		if !errors.As(err, &no) || no.Code != code {
			t.Errorf("got %v, want a refusal with %s", err, code)
		}
	}
	var b ivr.Block
	propose := func(reason string, days int) error {
		return do(func(tx *storage.Tx) (err error) {
			x, err := blocks.Propose(tx, ivr.BlockProposal{Call: record, Reason: reason, Days: days, By: "staff/a"})
			if err == nil {
				b = x
			}
			return err
		})
	}
	decide := func(id string, by string) error {
		return do(func(tx *storage.Tx) error { _, err := blocks.Decide(tx, id, true, by); return err })
	}
	refusedWith(propose("烦", 3), "reason")
	refusedWith(propose("一小时内三十次来电辱骂话务员", 31), "days")
	must(t, propose("一小时内三十次来电辱骂话务员", 3))
	refusedWith(propose("一小时内三十次来电辱骂话务员", 3), "exists")
	refusedWith(decide(b.ID, "staff/a"), "same_person")

	// Proposed only: served as ever.
	call = dial(t, s, "13841400001")
	hears(t, s, call, "menu.main")
	must(t, call.Hangup(patient(t)))
	s.Quiet(t)
	must(t, decide(b.ID, "staff/b"))
	refusedWith(decide(b.ID, "staff/c"), "decided")

	// In force: one sentence and the end …
	call = dial(t, s, "13841400001")
	hears(t, s, call, "blocked")
	select {
	case <-call.Done():
	case <-patient(t).Done():
		t.Fatal("the call of a blocked number goes on")
	}
	s.Quiet(t)
	if r := s.Records(t)[2]; r.Disposition != ivr.Blocked {
		t.Errorf("the record says %s", r.Disposition)
	}
	// … but 1 leads on.
	call = dial(t, s, "13841400001")
	hears(t, s, call, "blocked")
	must(t, call.Press(patient(t), "1"))
	hears(t, s, call, "menu.main")
	must(t, call.Hangup(patient(t)))
	s.Quiet(t)

	// Whoever has an open complaint is not held off at all, and nobody can propose it.
	must(t, do(func(tx *storage.Tx) error {
		_, err := s.Office.Open(tx, ticket.Intake{Channel: "web", Kind: ticket.Complaint, Title: "投诉", Body: "办事态度不好。", ContactID: record.ContactID, By: ticket.System})
		return err
	}))
	call = dial(t, s, "13841400001")
	hears(t, s, call, "menu.main")
	must(t, call.Hangup(patient(t)))
	s.Quiet(t)
	must(t, do(func(tx *storage.Tx) error { return blocks.Lift(tx, b.ID, "不再骚扰", "staff/b") }))
	refusedWith(propose("一小时内三十次来电辱骂话务员", 3), "complains")

	// It ends by itself.
	if got := (ivr.Block{Approved: true, DecidedAt: time.Now(), Expires: time.Now().Add(time.Hour)}).State(time.Now().Add(2 * time.Hour)); got != ivr.BlockExpired {
		t.Errorf("after its time it is %s", got)
	}
}
