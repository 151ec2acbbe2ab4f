package ivr_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lianxin/desk"
	"lianxin/ivr"
	"lianxin/ivr/flow"
	"lianxin/ivr/ivrtest"
	"lianxin/ivr/softphone"
	"lianxin/sip"
	"lianxin/speech"
	"lianxin/storage"
	"lianxin/ticket"
	"lianxin/workday"
)

func patient(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), ivrtest.Patience)
	t.Cleanup(cancel)
	return ctx
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func dial(t *testing.T, s *ivrtest.Stage, number string) *softphone.Call {
	t.Helper()
	c, err := s.Phone(t, number).Dial(patient(t), "46110110")
	must(t, err)
	return c
}

func hears(t *testing.T, s *ivrtest.Stage, c *softphone.Call, keys ...string) {
	t.Helper()
	for _, k := range keys {
		must(t, c.Hears(patient(t), s.Prompt(t, k)))
	}
}

// slow answers late, so that a caller can give up first.
type slow struct {
	sip.Call
	wait time.Duration
}

func (s slow) Answer(ctx context.Context) error {
	if err := s.Ring(ctx); err != nil {
		return err
	}
	select {
	case <-time.After(s.wait):
	case <-ctx.Done():
		return ctx.Err()
	}
	return s.Call.Answer(ctx)
}

func TestACallerWhoCancelsBeforeTheAnswerIsRecordedAsThat(t *testing.T) {
	t.Parallel()
	s := ivrtest.New(t, ivrtest.Options{Wrap: func(c sip.Call) sip.Call { return slow{c, time.Minute} }})
	ctx, cancel := context.WithCancel(patient(t))
	go func() {
		s.Until(t, "the call arrives", func() bool { return len(s.Hotline.Live()) == 1 })
		cancel()
	}()
	if _, err := s.Phone(t, "13841400001").Dial(ctx, "46110110"); err == nil {
		t.Fatal("a cancelled call was answered")
	}
	s.Quiet(t)
	r := s.Records(t)[0]
	if r.Disposition != ivr.Cancelled || !r.Answered.IsZero() || r.Ended.IsZero() || r.TicketID != "" || r.EndedBy != "caller" {
		t.Errorf("record %+v", r)
	}
}

// A CANCEL and our 200 cross: whatever wins, no ghost is left and the record has an end.
func TestCancelCrossingTheAnswerLeavesNoGhost(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	s := ivrtest.New(t, ivrtest.Options{Log: &log, Wrap: func(c sip.Call) sip.Call { return slow{c, 60 * time.Millisecond} }})
	phone := s.Phone(t, "13841400001")
	const tries = 12
	for i := range tries {
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(40+4*i)*time.Millisecond)
		if c, err := phone.Dial(ctx, "46110110"); err == nil {
			must(t, c.Hangup(patient(t)))
		}
		cancel()
	}
	s.Quiet(t)
	for _, r := range s.Records(t) {
		if r.Ended.IsZero() || r.Disposition != ivr.Cancelled && r.Disposition != ivr.Left {
			t.Errorf("call %s ended %v as %q by %s", r.ID, r.Ended, r.Disposition, r.EndedBy)
		}
	}
	if strings.Contains(log.String(), "level=ERROR") {
		t.Errorf("a caller who gives up is logged as an error:\n%s", log.String())
	}
}

func TestTooManyCallsAreToldSoAndThenRefused(t *testing.T) {
	t.Parallel()
	s := ivrtest.New(t, ivrtest.Options{Change: func(c *ivr.Config) { c.MaxCalls = 1 }})
	first := dial(t, s, "13841400001")
	hears(t, s, first, "menu.main")
	second := dial(t, s, "13841400002")
	_, err := s.Phone(t, "13841400003").Dial(patient(t), "46110110")
	var no *softphone.Refused
	if !errors.As(err, &no) || no.Code != 503 {
		t.Errorf("the third call got %v, want 503", err)
	}
	hears(t, s, second, "overload")
	<-second.Done()
	must(t, first.Hangup(patient(t)))
	s.Quiet(t)
	got := map[ivr.Disposition]int{}
	for _, r := range s.Records(t) {
		got[r.Disposition]++
	}
	if got[ivr.TurnedAway] != 2 || got[ivr.Left] != 1 {
		t.Errorf("dispositions %v", got)
	}
}

func TestDrainSaysSoAndOwesACall(t *testing.T) {
	t.Parallel()
	s := ivrtest.New(t, ivrtest.Options{})
	s.Operator(t, "8001")
	must(t, s.Board.Set(patient(t), "8001", desk.Break, ""))
	waiting := dial(t, s, "13841400001")
	hears(t, s, waiting, "menu.main")
	must(t, waiting.Press(patient(t), "0"))
	hears(t, s, waiting, "queue.connecting")
	now, cancel := context.WithCancel(context.Background())
	cancel()
	ended := make(chan int, 1)
	go func() { ended <- s.Hotline.Drain(now) }()
	hears(t, s, waiting, "maintenance.during")
	if n := <-ended; n != 1 {
		t.Errorf("%d calls were ended", n)
	}
	late := dial(t, s, "13841400002")
	hears(t, s, late, "maintenance")
	s.Quiet(t)
	r := s.Records(t)
	if r[0].Disposition != ivr.Interrupted || r[0].CallbackID == "" || r[0].EndedBy != "us" {
		t.Errorf("the waiting caller: %s by %s, call-back %q", r[0].Disposition, r[0].EndedBy, r[0].CallbackID)
	}
	if r[1].Disposition != ivr.TurnedAway {
		t.Errorf("the late caller: %s", r[1].Disposition)
	}
}

func TestANewFlowIsForNewCallsOnly(t *testing.T) {
	t.Parallel()
	s := ivrtest.New(t, ivrtest.Options{})
	old := dial(t, s, "13841400001")
	hears(t, s, old, "menu.main")
	text, err := ivrtest.Quick()
	must(t, err)
	f, err := flow.Parse("new.yaml", []byte(strings.Replace(text, "say: [notice.recording, greeting, emergency.hint]", "say: [notice.recording, greeting.listening]", 1)))
	must(t, err)
	must(t, s.Hotline.SetFlow(f))
	fresh := dial(t, s, "13841400002")
	hears(t, s, fresh, "greeting.listening", "menu.main")
	must(t, old.Press(patient(t), "9"))
	hears(t, s, old, "menu.main")
	must(t, old.Hangup(patient(t)))
	must(t, fresh.Hangup(patient(t)))
	s.Quiet(t)
	r := s.Records(t)
	if r[0].FlowVersion == r[1].FlowVersion || r[1].FlowVersion != f.Version {
		t.Errorf("versions %q and %q, want the second %q", r[0].FlowVersion, r[1].FlowVersion, f.Version)
	}
	bad, err := flow.Parse("bad.yaml", []byte("flow: bad\nversion: 1\nstart: a\nnodes:\n  a: {hangup: no.such.prompt}\n"))
	must(t, err)
	var ps flow.Problems
	if err := s.Hotline.SetFlow(bad); !errors.As(err, &ps) || ps[0].Line != 5 {
		t.Errorf("a flow with a missing prompt: %v", err)
	}
}

// ears is a recogniser that understands the same words in any sound.
type ears string

func (ears) Name() string { return "ears" }
func (e ears) Listen(context.Context, speech.Listen) (speech.Stream, error) {
	return &ear{text: string(e), results: make(chan speech.Result, 1)}, nil
}

type ear struct {
	text    string
	said    bool
	results chan speech.Result
}

func (e *ear) Feed(pcm []int16) error {
	for _, s := range pcm {
		if s > 2000 && !e.said {
			e.said = true
			e.results <- speech.Result{Text: e.text, Final: true}
		}
	}
	return nil
}
func (e *ear) Results() <-chan speech.Result { return e.results }
func (e *ear) Finish(context.Context) error  { return nil }
func (e *ear) Close() error                  { return nil }
func (e *ear) Err() error                    { return nil }

func TestWordsOfDangerReachAPersonAtOnce(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		words  string
		urgent bool
	}{{"救命啊他要打死我", true}, {"我要人工", false}} {
		t.Run(c.words, func(t *testing.T) {
			t.Parallel()
			s := ivrtest.New(t, ivrtest.Options{Change: func(cfg *ivr.Config) { cfg.Hear = ears(c.words) }})
			op := s.Operator(t, "8001")
			call := dial(t, s, "13841400001")
			hears(t, s, call, "menu.main")
			call.Tone(440)
			if c.urgent {
				hears(t, s, call, "danger.110", "danger.hold")
			} else {
				hears(t, s, call, "menu.asked")
			}
			ring := <-op.Incoming()
			if got := strings.Contains(ring.Display, "紧急"); got != c.urgent {
				t.Errorf("the operator's phone shows %q", ring.Display)
			}
			if strings.Contains(ring.Display+ring.From, "13841400001") {
				t.Errorf("the caller's number is on the wire: %q %q", ring.Display, ring.From)
			}
			answered, err := ring.Answer(patient(t))
			must(t, err)
			must(t, answered.HearsTone(patient(t), 440))
			must(t, call.Hangup(patient(t)))
			s.Quiet(t)
			if r := s.Records(t)[0]; r.Urgent != c.urgent || r.Disposition != ivr.Answered {
				t.Errorf("record: urgent %t, %s", r.Urgent, r.Disposition)
			}
		})
	}
}

func TestADatabaseThatFailsDoesNotKeepACallerFromAPerson(t *testing.T) {
	t.Parallel()
	s := ivrtest.New(t, ivrtest.Options{})
	op := s.Operator(t, "8001")
	call := dial(t, s, "13841400001")
	hears(t, s, call, "menu.main")
	must(t, s.DB.Close())
	must(t, call.Press(patient(t), "0"))
	ring := <-op.Incoming()
	answered, err := ring.Answer(patient(t))
	must(t, err)
	call.Tone(440)
	must(t, answered.HearsTone(patient(t), 440))
	must(t, call.Hangup(patient(t)))
	s.Quiet(t)
}

func TestADiskThatFailsDoesNotEndACall(t *testing.T) {
	t.Parallel()
	var year string
	s := ivrtest.New(t, ivrtest.Options{Change: func(c *ivr.Config) {
		c.Recordings = filepath.Join(t.TempDir(), "rec")
		if err := os.MkdirAll(c.Recordings, 0o700); err != nil {
			t.Fatal(err)
		}
		// A file where the folder of the year should be.
		year = filepath.Join(c.Recordings, time.Now().In(workday.Zone).Format("2006"))
		if err := os.WriteFile(year, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}})
	call := dial(t, s, "13841400001")
	hears(t, s, call, "menu.main")
	must(t, call.Hangup(patient(t)))
	s.Quiet(t)
	if r := s.Records(t)[0]; r.Recording != "" || r.Disposition != ivr.Left || r.RecordingFault == "" {
		t.Errorf("record %q %s, fault %q", r.Recording, r.Disposition, r.RecordingFault)
	}
	if h := s.Hotline.RecordingHealth(); h.OK || h.Failed != 1 {
		t.Errorf("health: %+v", h)
	}
	s.Until(t, "the alert", func() bool {
		n := 0
		s.View(t, func(tx *storage.Tx) (err error) {
			_, n, err = s.Office.Alerts(tx, ticket.AlertFilter{Viewer: ticket.System})
			return err
		})
		return n == 1
	})
	// The trouble goes, and so does the warning.
	must(t, os.Remove(year))
	if h := s.Hotline.RecordingHealth(); !h.OK {
		t.Errorf("health after mending: %+v", h)
	}
}

func TestLiveShowsACallAndHidesItsNumber(t *testing.T) {
	t.Parallel()
	s := ivrtest.New(t, ivrtest.Options{})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	watch := s.Hotline.Watch(ctx)
	op := s.Operator(t, "8001")
	call := dial(t, s, "13841400001")
	hears(t, s, call, "menu.main")
	select {
	case <-watch:
	case <-patient(t).Done():
		t.Fatal("watchers were not told")
	}
	live := s.Hotline.Live()
	if len(live) != 1 || live[0].Stage != ivr.StageBot || live[0].Node != "main" || live[0].Caller != "138****0001" || live[0].ContactID == "" {
		t.Fatalf("live: %+v", live)
	}
	must(t, call.Press(patient(t), "0"))
	ring := <-op.Incoming()
	if live = s.Hotline.Live(); live[0].Stage != ivr.StageWaiting || live[0].Operator != "8001" || live[0].TicketID == "" {
		t.Errorf("while ringing: %+v", live[0])
	}
	if id := ring.Header("X-Lianxin-Call"); id != live[0].ID {
		t.Errorf("the operator's phone is told call %q, want %q", id, live[0].ID)
	}
	_, err := ring.Answer(patient(t))
	must(t, err)
	s.Until(t, "live shows the talk", func() bool { l := s.Hotline.Live(); return len(l) == 1 && l[0].Stage == ivr.StageTalking })
	if !s.Hotline.IsLive(live[0].ID) || s.Hotline.Leg(live[0].ID) == nil {
		t.Error("the call is not found by its id")
	}
	must(t, call.Hangup(patient(t)))
	s.Quiet(t)
	if s.Hotline.IsLive(live[0].ID) {
		t.Error("a call that is over is live")
	}
}

func TestKeyedNumbersAreNowhereInTheRecord(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	s := ivrtest.New(t, ivrtest.Options{Log: &log})
	call := dial(t, s, "13841400001")
	hears(t, s, call, "menu.main")
	must(t, call.Press(patient(t), "3"))
	hears(t, s, call, "query.ask")
	must(t, call.Press(patient(t), "202611237654#"))
	hears(t, s, call, "query.notfound")
	must(t, call.Hangup(patient(t)))
	s.Quiet(t)
	s.View(t, func(tx *storage.Tx) error {
		steps, err := storage.One(tx, storage.Value[string], `SELECT steps FROM call`)
		for _, secret := range []string{"202611237654", "7654", "13841400001"} {
			if strings.Contains(steps, secret) || strings.Contains(log.String(), secret) {
				t.Errorf("%s is in the steps or in the log:\n%s\n%s", secret, steps, log.String())
			}
		}
		return err
	})
	s.Close()
	b, err := os.ReadFile(filepath.Join(s.Dir, "lianxin.db"))
	must(t, err)
	if strings.Contains(string(b), "13841400001") {
		t.Error("the caller's number is in the database in the clear")
	}
}

// The flow and the recordings as they are shipped, from the first word to the bot's answer.
func TestTheShippedHotlineSpeaks(t *testing.T) {
	t.Parallel()
	shipped, err := ivr.LoadFlow("", "hotline")
	must(t, err)
	s := ivrtest.New(t, ivrtest.Options{Shipped: true, Change: func(c *ivr.Config) { c.Flow = shipped }})
	call := dial(t, s, "13841400001")
	hears(t, s, call, "notice.recording", "greeting", "emergency.hint")
	must(t, call.Press(patient(t), "2"))
	// 2 is pressed into the greeting and is for the menu, as 1 is for the categories: who knows the way need not hear them out.
	must(t, call.Press(patient(t), "1"))
	hears(t, s, call, "kb.id-card-first.title")
	must(t, call.Press(patient(t), "1"))
	hears(t, s, call, "kb.id-card-first")
	must(t, call.Press(patient(t), "1"))
	hears(t, s, call, "kb.solved.yes")
	must(t, call.Hangup(patient(t)))
	s.Quiet(t)
	if r := s.Records(t)[0]; r.Disposition != ivr.Served || r.FlowVersion != shipped.Version || r.TicketID == "" {
		t.Errorf("record: %s, flow %s, ticket %q", r.Disposition, r.FlowVersion, r.TicketID)
	}
}

func TestAFlowOfTheCityOverridesTheShippedOne(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "hotline.yaml"), []byte("flow: ours\nversion: 7\nstart: a\nnodes:\n  a: {hangup: goodbye}\n"), 0o600))
	f, err := ivr.LoadFlow(dir, "hotline")
	must(t, err)
	if f.Name != "ours" {
		t.Errorf("flow %s", f.Name)
	}
	must(t, os.WriteFile(filepath.Join(dir, "hotline.yaml"), []byte("flow: ours\nversion: 7\nstart: b\nnodes:\n  a: {hangup: goodbye}\n"), 0o600))
	if _, err := ivr.LoadFlow(dir, "hotline"); err == nil || !strings.Contains(err.Error(), "hotline.yaml:3:8: ") {
		t.Errorf("a broken flow: %v", err)
	}
	if f, err = ivr.LoadFlow(t.TempDir(), "hotline"); err != nil || f.Name != "hotline" {
		t.Errorf("an empty folder: %v", err)
	}
}
