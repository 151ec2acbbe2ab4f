package ivr_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"lianxin/contact"
	"lianxin/ivr"
	"lianxin/ivr/ivrtest"
	"lianxin/ivr/softphone"
	"lianxin/sip"
	"lianxin/storage"
	"lianxin/ticket"
)

// noLadder has steps of calls that are up told without those of their legs.
func noLadder(string) []sip.LegTrace { return nil }

// asked waits until a caller is asked for keys for the nth time, hears them out, and returns them.
func asked(t *testing.T, s *ivrtest.Stage, call *softphone.Call, intro string, n int) (keys string) {
	t.Helper()
	hears(t, s, call, intro)
	s.Until(t, "the keys are named", func() bool {
		keys = ""
		times := 0
		for _, l := range s.Hotline.Live() {
			r, _, _ := s.Hotline.Trace(l.ID)
			for _, step := range r.Steps {
				if len(step.Said) > 1 && strings.HasPrefix(step.Said[0], "d.") {
					times++
					keys = strings.TrimPrefix(step.Said[0], "d.") + strings.TrimPrefix(step.Said[1], "d.")
				}
			}
		}
		return times == n
	})
	hears(t, s, call, "d."+keys[:1], "d."+keys[1:])
	return keys
}

// others are two keys that differ from those asked for.
func others(keys string) string {
	out := ""
	for _, k := range "23456789" {
		if !strings.ContainsRune(keys, k) && len(out) < 2 {
			out += string(k)
		}
	}
	return out
}

func said(r ivr.Record, key string) bool {
	return slices.ContainsFunc(r.Steps, func(s ivr.Step) bool { return slices.Contains(s.Said, key) })
}

func TestWhileItDefendsItselfStrangersProveByKeysThatTheyArePeople(t *testing.T) {
	t.Parallel()
	s := ivrtest.New(t, ivrtest.Options{Change: func(c *ivr.Config) {
		c.MaxCalls, c.Admission, c.Ladder = 10, ivr.Admission{Proof: 1, ProofWait: time.Minute}, noLadder
	}})
	// Somebody who has written to us before the flood, as who cannot hear does.
	phone, err := contact.ParseMobile("13841477777")
	must(t, err)
	must(t, s.DB.Update(context.Background(), func(tx *storage.Tx) error {
		p, err := s.Book.Ensure(tx, phone, "")
		if err != nil {
			return err
		}
		_, err = s.Office.Open(tx, ticket.Intake{Channel: "web", Kind: ticket.Complaint, Title: "咨询", Body: "怎么办居住证？", ContactID: p.ID, By: ticket.System})
		return err
	}))
	time.Sleep(2 * time.Millisecond) // times are kept in milliseconds
	s.Hotline.Defend(true)

	call := dial(t, s, "13841400001")
	keys := asked(t, s, call, "proof.ask", 1)
	if d := s.Hotline.Defence(); d.Asking != 1 || d.Lanes != 1 {
		t.Errorf("while one is asked: %+v", d)
	}
	if _, ok := s.Hotline.Admit(trunkCall("13841400002")); ok {
		t.Error("a second stranger was let in although one line is for asking")
	}
	if _, ok := s.Hotline.Admit(trunkCall("13841477777")); !ok {
		t.Error("somebody who has written to us was refused")
	}
	known := dial(t, s, "13841477777")
	hears(t, s, known, "menu.main")
	must(t, known.Hangup(patient(t)))

	must(t, call.Press(patient(t), others(keys)))
	keys = asked(t, s, call, "proof.again", 2)
	must(t, call.Press(patient(t), keys))
	hears(t, s, call, "menu.main")
	if d := s.Hotline.Defence(); d.Asking != 0 || d.Proofs[ivr.ProofPassed] != 1 || d.Refused["proof"] != 1 {
		t.Errorf("after the right keys: %+v", d)
	}
	must(t, call.Hangup(patient(t)))
	s.Quiet(t)

	// Known from now on.
	call = dial(t, s, "13841400001")
	hears(t, s, call, "menu.main")
	must(t, call.Hangup(patient(t)))
	s.Quiet(t)
	for _, r := range s.Records(t) {
		asks := said(r, "proof.ask")
		if asks != (r.Proof == ivr.ProofPassed) || r.Disposition != ivr.Left {
			t.Errorf("asked %v, proof %q, %s", asks, r.Proof, r.Disposition)
		}
		if first := r.Steps[0].At; asks && r.RecordedFrom.Sub(r.Started).Milliseconds() <= first {
			t.Error("the keys are in the recording")
		}
	}
}

func TestWhoPressesNothingInAFloodIsToldSoAndLeavesNoTraceInTheBook(t *testing.T) {
	t.Parallel()
	s := ivrtest.New(t, ivrtest.Options{Change: func(c *ivr.Config) { c.Admission = ivr.Admission{ProofWait: 200 * time.Millisecond} }})
	s.Hotline.Defend(true)
	call := dial(t, s, "13841400001")
	hears(t, s, call, "proof.ask", "proof.again", "proof.failed")
	select {
	case <-call.Done():
	case <-patient(t).Done():
		t.Fatal("the call goes on")
	}
	s.Quiet(t)
	r := s.Records(t)[0]
	if r.Proof != ivr.ProofSilent || r.Disposition != ivr.TurnedAway || r.Recording != "" || r.ContactID != "" || r.TicketID != "" || r.EndedBy != "us" {
		t.Errorf("record %+v", r)
	}
	if d := s.Hotline.Defence(); d.Proofs[ivr.ProofSilent] != 1 || d.Asking != 0 {
		t.Errorf("defence %+v", d)
	}
	s.Hotline.SetAdmission(ivr.Admission{Proof: -1})
	call = dial(t, s, "13841400001")
	hears(t, s, call, "menu.main")
	must(t, call.Hangup(patient(t)))
	s.Quiet(t)
}

func Test110LeadsOnFromTheQuestionForKeys(t *testing.T) {
	t.Parallel()
	for name, at := range map[string]string{"the first time": "proof.ask", "the second time": "proof.again"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := ivrtest.New(t, ivrtest.Options{Change: func(c *ivr.Config) { c.Admission, c.Ladder = ivr.Admission{ProofWait: time.Minute}, noLadder }})
			s.Hotline.Defend(true)
			call := dial(t, s, "13841400001")
			keys := asked(t, s, call, "proof.ask", 1)
			if at == "proof.again" {
				must(t, call.Press(patient(t), others(keys)))
				asked(t, s, call, "proof.again", 2)
			}
			must(t, call.Press(patient(t), "110"))
			hears(t, s, call, "danger.110")
			must(t, call.Hangup(patient(t)))
			s.Quiet(t)
			if r := s.Records(t)[0]; r.Proof != ivr.ProofUrgent || !r.Urgent || r.ContactID == "" || r.TicketID == "" {
				t.Errorf("record %+v", r)
			}
		})
	}
}
