package ivr_test

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"lianxin/desk"
	"lianxin/ivr"
	"lianxin/ivr/ivrtest"
	"lianxin/ivr/softphone"
	"lianxin/org"
	"lianxin/sip"
	"lianxin/sip/media"
	"lianxin/storage"
	"lianxin/ticket"
)

// house is a hotline with operators, a supervisor and a carrier's line to the outside.
type house struct {
	*ivrtest.Stage
	t       *testing.T
	carrier *softphone.Phone // where calls outside arrive
	phones  map[string]*softphone.Phone
	hums    int
}

// person is the staff of the tests: 81xx take calls, 88xx supervise.
func person(ext string) org.Staff {
	role := org.Operator
	if strings.HasPrefix(ext, "88") {
		role = org.Supervisor
	}
	return org.Staff{ID: "staff-" + ext, Name: "测试" + ext, Extension: ext, Role: role, Active: true}
}

const resident = "13841400001"

func open(t *testing.T, operators ...string) *house {
	t.Helper()
	return openAt(t, time.Time{}, operators...)
}

// openAt is open at another time than now.
func openAt(t *testing.T, clock time.Time, operators ...string) *house {
	t.Helper()
	sounds, err := media.NewEngine(media.Config{IP: netip.MustParseAddr("127.0.0.1"), PortLow: 32000, PortHigh: 34999, Pacers: 1, Quarantine: 100 * time.Millisecond})
	must(t, err)
	carrier, err := softphone.New(softphone.Config{User: "carrier", Server: "127.0.0.1:9", Engine: sounds})
	must(t, err)
	h := &house{t: t, carrier: carrier, phones: map[string]*softphone.Phone{}}
	h.Stage = ivrtest.New(t, ivrtest.Options{
		Clock: clock,
		SIP: func(c *sip.Config) {
			c.Trunks = []sip.Trunk{{Name: "line", Proxy: "sip:" + carrier.Addr()}}
			c.Outbound = sip.Outbound{Allow: []string{"110", "1[3-9]xxxxxxxxx", "024xxxxxxxx"}, Number: "46110110"}
		},
		Change: func(c *ivr.Config) {
			c.Police = "110"
			c.Staff = func(_ context.Context, ext string) (org.Staff, bool) { return person(ext), strings.HasPrefix(ext, "8") }
		},
	})
	t.Cleanup(func() { // before the stage: whoever talks is let go first
		carrier.Close()
		sounds.Close()
	})
	for _, ext := range operators {
		h.phones[ext] = h.Operator(t, ext)
	}
	return h
}

// answers waits for a telephone to ring and takes the call.
func (h *house) answers(p *softphone.Phone) *softphone.Call {
	h.t.Helper()
	c, err := h.rings(p).Answer(patient(h.t))
	must(h.t, err)
	return c
}

func (h *house) rings(p *softphone.Phone) *softphone.Ringing {
	h.t.Helper()
	select {
	case r := <-p.Incoming():
		return r
	case <-time.After(ivrtest.Patience):
		h.t.Fatalf("%s does not ring", p.User())
		return nil
	}
}

// talk lets a resident reach an operator.
func (h *house) talk(ext string) (caller, operator *softphone.Call) {
	h.t.Helper()
	caller = dial(h.t, h.Stage, resident)
	hears(h.t, h.Stage, caller, "menu.main")
	must(h.t, caller.Press(patient(h.t), "0"))
	operator = h.answers(h.phones[ext])
	h.speak(caller, operator)
	return caller, operator
}

// speak lets each of them hum alone, in frequencies of their own, and all others must hear it.
func (h *house) speak(calls ...*softphone.Call) {
	h.t.Helper()
	for i, c := range calls {
		freq := float64(500 + 130*i)
		c.Tone(freq)
		for j, other := range calls {
			if j != i {
				if err := other.HearsTone(patient(h.t), freq); err != nil {
					h.t.Fatalf("%d of %d does not hear %d: %v\n%s", j, len(calls), i, err, h.told())
				}
			}
		}
		c.Tone(0)
	}
}

// apart checks that what one hums does not reach the other.
func (h *house) apart(from, to *softphone.Call) {
	h.t.Helper()
	h.hums++
	freq := float64(900 + 70*h.hums) // one of its own: the last one is still in the ear
	from.Tone(freq)
	defer from.Tone(0)
	ctx, cancel := context.WithTimeout(context.Background(), 600*time.Millisecond)
	defer cancel()
	if to.HearsTone(ctx, freq) == nil {
		h.t.Errorf("one hears who is not to be heard\n%s", h.told())
	}
}

func (h *house) music(c *softphone.Call) {
	h.t.Helper()
	must(h.t, c.HearsLoop(patient(h.t), h.Prompt(h.t, "music.wait")))
}

// order is what the console does for somebody.
func (h *house) order(by string, do ivr.Action, to string) error {
	h.t.Helper()
	live := h.Hotline.Live()
	if len(live) == 0 {
		h.t.Fatal("no call is up")
	}
	return h.Hotline.Order(patient(h.t), live[0].ID, ivr.Order{Do: do, To: to, Staff: person(by)})
}

func (h *house) is(ext string, states ...desk.State) {
	h.t.Helper()
	h.Until(h.t, ext+" is "+string(states[0]), func() bool { return slices.Contains(states, h.State(h.t, ext)) })
}

// told is what the record of the first call says happened.
func (h *house) told() string {
	var b strings.Builder
	for _, r := range h.Records(h.t) {
		for _, s := range r.Steps {
			if s.Did != "" {
				b.WriteString(s.Did + "\n")
			}
		}
	}
	return b.String()
}

// tells checks that the records tell of these, in this order.
func (h *house) tells(steps ...string) {
	h.t.Helper()
	rest := h.told()
	for _, s := range steps {
		_, after, ok := strings.Cut(rest, s)
		if !ok {
			h.t.Fatalf("no %q in its place in\n%s", s, h.told())
		}
		rest = after
	}
}

func (h *house) end(calls ...*softphone.Call) {
	h.t.Helper()
	for _, c := range calls {
		must(h.t, c.Hangup(patient(h.t)))
	}
	h.Quiet(h.t)
}

func TestAnOperatorHoldsAndTakesBack(t *testing.T) {
	t.Parallel()
	h := open(t, "8101")
	caller, op := h.talk("8101")
	if err := h.order("8102", ivr.DoHold, ""); err == nil {
		t.Error("a colleague may hold another's call")
	}
	must(t, h.order("8101", ivr.DoHold, ""))
	h.music(caller)
	h.apart(op, caller)
	if l := h.Hotline.Live()[0]; !l.Held || len(l.Parties) != 1 || !l.Parties[0].Lead {
		t.Errorf("%+v", l)
	}
	must(t, h.order("8101", ivr.DoResume, ""))
	h.speak(caller, op)
	must(t, op.Press(patient(t), "*6")) // and by the keys of the telephone
	h.music(caller)
	must(t, op.Press(patient(t), "*6"))
	h.speak(caller, op)
	must(t, op.Hold(patient(t), true)) // and by its hold key
	h.music(caller)
	must(t, op.Hold(patient(t), false))
	h.speak(caller, op)
	h.end(caller)
	h.tells("接通 8101", "保持", "取回", "保持", "取回", "保持（话机）", "取回（话机）")
	if r := h.Records(t)[0]; r.Operator != "8101" || r.RecordingTime == 0 {
		t.Errorf("%+v", r)
	}
}

func TestABlindTransferFreesTheOperatorAtOnce(t *testing.T) {
	t.Parallel()
	h := open(t, "8101")
	caller, op := h.talk("8101")
	h.phones["8102"] = h.Operator(t, "8102")
	must(t, h.order("8101", ivr.DoTransfer, "8102"))
	<-op.Done()
	ringing := h.rings(h.phones["8102"])
	h.is("8101", desk.WrapUp, desk.Ready)
	h.is("8102", desk.Ringing)
	h.music(caller)
	second, err := ringing.Answer(patient(t))
	must(t, err)
	h.speak(caller, second)
	h.is("8102", desk.Talking)
	must(t, second.Hangup(patient(t)))
	hears(t, h.Stage, caller, "rating.ask") // the talk is over as every other is
	h.end(caller)
	h.is("8102", desk.Ready)
	h.tells("接通 8101", "转接 8102", "转接成功 8102")
	if r := h.Records(t)[0]; r.Operator != "8102" || r.StaffID != "staff-8102" || r.Disposition != ivr.Answered {
		t.Errorf("%+v", r)
	}
}

func TestATransferThatFailsComesBackToWhoMadeIt(t *testing.T) {
	t.Parallel()
	h := open(t, "8101")
	caller, op := h.talk("8101")
	h.phones["8102"] = h.Operator(t, "8102")
	must(t, h.order("8101", ivr.DoTransfer, "8102"))
	<-op.Done()
	must(t, h.rings(h.phones["8102"]).Reject(486, "Busy Here"))
	back := h.answers(h.phones["8101"])
	h.speak(caller, back)
	must(t, h.order("8101", ivr.DoTransfer, "8102"))
	<-back.Done()
	must(t, h.rings(h.phones["8102"]).Reject(603, "Decline"))
	must(t, h.rings(h.phones["8101"]).Reject(486, "Busy Here")) // who made it has something else to do: to the queue, first of all
	next := h.answers(h.phones["8102"])
	h.speak(caller, next)
	h.end(caller)
	h.tells("转接未成功 8102：占线", "回铃接回 8101", "转接未成功 8102：拒接", "回铃未接 8101：占线", "接通 8102")
}

func TestAnOperatorConsultsAColleague(t *testing.T) {
	t.Parallel()
	h := open(t, "8101")
	caller, op := h.talk("8101")
	h.phones["8102"] = h.Operator(t, "8102")

	must(t, h.order("8101", ivr.DoConsult, "8102"))
	h.music(caller)
	col := h.answers(h.phones["8102"])
	h.speak(op, col) // among themselves
	h.apart(op, caller)
	h.apart(caller, col)
	must(t, h.order("8101", ivr.DoReturn, "")) // and back
	<-col.Done()
	h.speak(caller, op)
	h.is("8102", desk.Ready)

	must(t, op.Press(patient(t), "*38102#")) // the same by keys, and a conference of it
	col = h.answers(h.phones["8102"])
	h.speak(op, col)
	must(t, op.Press(patient(t), "*5"))
	h.speak(caller, op, col)
	must(t, h.order("8101", ivr.DoDrop, "8102"))
	<-col.Done()
	h.speak(caller, op)
	h.is("8102", desk.Ready)

	must(t, h.order("8101", ivr.DoConsult, "8102")) // and handed over, by hanging up
	col = h.answers(h.phones["8102"])
	h.speak(op, col)
	must(t, op.Hangup(patient(t)))
	h.speak(caller, col)
	h.is("8101", desk.WrapUp, desk.Ready)
	h.is("8102", desk.Talking)
	must(t, h.order("8102", ivr.DoHold, "")) // who has the call is in charge of it
	h.music(caller)
	must(t, h.order("8102", ivr.DoResume, ""))
	h.speak(caller, col)
	h.end(caller)
	h.tells("咨询 8102", "咨询接通 8102", "返回群众", "咨询接通 8102", "三方通话 8102", "请出 8102", "咨询接通 8102", "转接完成 8102", "保持")
	if r := h.Records(t)[0]; r.Operator != "8102" {
		t.Errorf("%+v", r)
	}
}

func TestAConsultationThatIsNotAnsweredBringsTheCitizenBack(t *testing.T) {
	t.Parallel()
	h := open(t, "8101", "8102")
	h.phones["8101"].Unregister(patient(t))
	h.is("8101", desk.Offline)
	caller, op := h.talk("8102")
	for _, no := range []string{"8101", "8999999", "17700000000000", "abc", "8102"} {
		_ = h.order("8102", ivr.DoConsult, no)
	}
	h.speak(caller, op) // whatever was tried
	if err := h.order("8102", ivr.DoComplete, ""); err == nil {
		t.Error("nobody is consulted")
	}
	h.end(caller)
	h.tells("咨询 8101", "咨询未接通 8101：话机不在线")
}

func TestThePoliceAreCalledIntoTheCallAndTheTicketStays(t *testing.T) {
	t.Parallel()
	h := open(t, "8101")
	caller, op := h.talk("8101")
	must(t, h.order("8101", ivr.DoPolice, ""))
	ringing := h.rings(h.carrier)
	if ringing.From != "46110110" || ringing.To != "110" {
		t.Errorf("%s calls %s", ringing.From, ringing.To)
	}
	h.speak(caller, op) // nobody is left alone meanwhile
	police, err := ringing.Answer(patient(t))
	must(t, err)
	h.speak(caller, op, police)
	must(t, op.Hangup(patient(t)))
	h.speak(caller, police)
	h.is("8101", desk.WrapUp, desk.Ready)
	if l := h.Hotline.Live()[0]; l.Police.IsZero() || l.Operator != "" || !l.Urgent {
		t.Errorf("%+v", l)
	}
	must(t, police.Hangup(patient(t)))
	<-caller.Done() // and is asked for no rating
	h.Quiet(t)
	h.tells("邀请加入 110", "已加入 110", "已离开 110")
	r := h.Records(t)[0]
	if r.Police.IsZero() || r.TicketID == "" || r.Disposition != ivr.Answered || r.Rating != 0 {
		t.Errorf("%+v", r)
	}
	h.View(t, func(tx *storage.Tx) error {
		got, err := h.Office.Get(tx, r.TicketID)
		if err != nil {
			return err
		}
		line, err := h.Office.Timeline(tx, r.TicketID)
		if err != nil {
			return err
		}
		marked := slices.ContainsFunc(line, func(m ticket.Moment) bool { return m.Label == "电话转接110" && !m.At.IsZero() })
		if got.State != ticket.New || got.Colour.Rank() < ticket.Orange.Rank() || !marked {
			t.Errorf("state %s, colour %s, marked %v", got.State, got.Colour, marked)
		}
		return nil
	})
}

func TestASupervisorListensWhispersAndBargesIn(t *testing.T) {
	t.Parallel()
	h := open(t, "8101")
	caller, op := h.talk("8101")
	boss := h.Phone(t, "8801")
	must(t, boss.Register(patient(t)))
	if err := h.order("8101", ivr.DoListen, ""); err == nil {
		t.Error("an operator may listen")
	}
	must(t, h.order("8801", ivr.DoListen, ""))
	ear := h.answers(boss)
	hearsBoth := func() {
		t.Helper()
		for i, c := range []*softphone.Call{caller, op} {
			freq := float64(560 + 140*i)
			c.Tone(freq)
			must(t, ear.HearsTone(patient(t), freq))
			c.Tone(0)
		}
	}
	hearsBoth()
	h.apart(ear, caller)
	h.apart(ear, op)
	must(t, h.order("8801", ivr.DoWhisper, ""))
	ear.Tone(640)
	must(t, op.HearsTone(patient(t), 640))
	ear.Tone(0)
	h.apart(ear, caller)
	hearsBoth()
	must(t, h.order("8801", ivr.DoBarge, ""))
	h.speak(caller, op, ear)
	must(t, h.order("8801", ivr.DoStop, ""))
	<-ear.Done()
	h.speak(caller, op)

	// by the telephone's own keys, and by nobody else's
	over, err := boss.Dial(patient(t), "*918101")
	must(t, err)
	ear = over
	hearsBoth()
	must(t, over.Hangup(patient(t)))
	if _, err := h.phones["8101"].Dial(patient(t), "*918101"); err == nil {
		t.Error("an operator may listen by keys")
	}
	h.end(caller)
	h.tells("监听 8801", "密语 8801", "强插 8801", "强插结束 8801", "监听 8801", "监听结束 8801")
	logged := 0
	h.View(t, func(tx *storage.Tx) (err error) {
		logged, err = storage.One(tx, storage.Value[int], `SELECT COUNT(*) FROM audit_event WHERE stream = $1 AND actor = $2 AND type IN ('call.listen', 'call.whisper', 'call.barge', 'call.stop')`,
			"call/"+h.Records(t)[0].ID, "staff/staff-8801")
		return err
	})
	if logged != 5 {
		t.Errorf("%d of 5 are in the log", logged)
	}
}

func TestAColleaguePicksUpACallThatRingsElsewhere(t *testing.T) {
	t.Parallel()
	for _, by := range []string{"keys", "console"} {
		t.Run(by, func(t *testing.T) {
			t.Parallel()
			h := open(t, "8101")
			caller := dial(t, h.Stage, resident)
			hears(t, h.Stage, caller, "menu.main")
			must(t, caller.Press(patient(t), "0"))
			first := h.rings(h.phones["8101"])
			h.phones["8102"] = h.Operator(t, "8102")
			var col *softphone.Call
			if by == "keys" {
				var err error
				col, err = h.phones["8102"].Dial(patient(t), "*88101")
				must(t, err)
			} else {
				must(t, h.order("8102", ivr.DoPickup, ""))
				col = h.answers(h.phones["8102"])
			}
			<-first.Gone()
			h.speak(caller, col)
			h.is("8102", desk.Talking)
			h.is("8101", desk.Ready)
			if _, err := h.phones["8101"].Dial(patient(t), "*8"); err == nil {
				t.Error("nobody waits, and yet somebody was picked up")
			}
			must(t, col.Hangup(patient(t)))
			hears(t, h.Stage, caller, "rating.ask")
			h.end(caller)
			h.is("8102", desk.WrapUp, desk.Ready)
			h.tells("代接 8102（原振铃 8101）", "接通 8102")
			if r := h.Records(t)[0]; r.Operator != "8102" || r.Disposition != ivr.Answered {
				t.Errorf("%+v", r)
			}
		})
	}
}

func TestTheTransferKeyOfATelephoneWorks(t *testing.T) { // pitfalls 11 and 12: REFER and Replaces
	t.Parallel()
	h := open(t, "8101")
	caller, op := h.talk("8101")
	h.phones["8102"] = h.Operator(t, "8102")
	var no *softphone.Refused
	if code, err := op.Refer(patient(t), "001900123456", nil); err == nil && code != 403 { // the exchange does not allow it
		t.Errorf("transferred to a number that is not allowed: %d", code)
	}
	h.speak(caller, op)
	if _, err := caller.Refer(patient(t), "8102", nil); !asRefused(err, &no) || no.Code != 403 {
		t.Errorf("a caller may transfer: %v", err)
	}

	// blind, and the colleague is busy: the operator still has the citizen
	done := make(chan int, 1)
	refer := func(c *softphone.Call, to string, with *softphone.Call) {
		go func() {
			code, err := c.Refer(patient(t), to, with)
			if err != nil {
				t.Error(err)
			}
			done <- code
		}()
	}
	refer(op, "8102", nil)
	ringing := h.rings(h.phones["8102"])
	h.music(caller)
	must(t, ringing.Reject(486, "Busy Here"))
	if code := <-done; code != 486 {
		t.Errorf("told %d", code)
	}
	h.speak(caller, op)

	// attended: a second call of the same phone, then both joined
	must(t, op.Hold(patient(t), true))
	h.music(caller)
	col := make(chan *softphone.Call, 1)
	go func() { col <- h.answers(h.phones["8102"]) }()
	second, err := h.phones["8101"].Dial(patient(t), "8102")
	must(t, err)
	colleague := <-col
	h.speak(second, colleague)
	refer(op, "8102", second)
	if code := <-done; code != 200 {
		t.Errorf("told %d", code)
	}
	<-second.Done()
	<-op.Done()
	h.speak(caller, colleague)
	h.is("8101", desk.WrapUp, desk.Ready)
	h.is("8102", desk.Talking)

	// blind, back to the first
	refer(colleague, "8101", nil)
	again := h.answers(h.phones["8101"])
	if code := <-done; code != 200 {
		t.Errorf("told %d", code)
	}
	<-colleague.Done()
	h.speak(caller, again)
	h.end(caller)
	h.tells("转接未成功 8102：占线", "保持（话机）", "咨询转接 8102", "转接成功 8101")
}

func asRefused(err error, no **softphone.Refused) bool {
	r, ok := err.(*softphone.Refused)
	*no = r
	return ok
}

func TestTheCallGoesBackToTheQueueOrTheMenuWhenAnOperatorSaysSo(t *testing.T) {
	t.Parallel()
	h := open(t, "8101")
	caller, op := h.talk("8101")
	_ = op.Press(patient(t), "*20#") // the exchange hangs up with the last key
	<-op.Done()
	op = h.answers(h.phones["8101"]) // who is the next one free, too
	h.speak(caller, op)
	must(t, h.order("8101", ivr.DoTransfer, "menu"))
	hears(t, h.Stage, caller, "menu.main")
	h.end(caller)
	h.tells("转接 人工队列", "接通 8101", "转接 自助菜单")
}
