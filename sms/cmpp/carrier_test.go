package cmpp_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"lianxin/contact"
	"lianxin/sms"
	"lianxin/sms/cmpp"
	"lianxin/sms/cmpp/cmpptest"
	"lianxin/sms/smstest"
	"lianxin/storage"
	"lianxin/storage/storagetest"
)

const patience = 30 * time.Second // of any wait; on an idle machine nothing takes a second

func waitFor(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// post is a carrier with what it has passed on.
type post struct {
	*cmpp.Carrier
	t    testing.TB
	stop func()
	dead atomic.Bool // the gateway cannot be reached

	mu       sync.Mutex
	receipts []sms.Receipt
	replies  []sms.Inbound
	fail     int // so many calls fail before one succeeds
	calls    int
}

func newVault(t testing.TB) *contact.Vault {
	t.Helper()
	v, err := contact.OpenVault(filepath.Join(t.TempDir(), "keys.json"))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// connect starts a carrier and waits until it is logged in, unless its login must fail.
func connect(t testing.TB, g *cmpptest.Gateway, db *storage.DB, vault *contact.Vault, change ...func(*cmpp.Config)) *post {
	t.Helper()
	p := &post{t: t}
	cfg := cmpp.Config{Addr: g.Addr(), ID: "901234", Secret: "secret", Number: "1069012110", Service: "BXGA", Version: cmpp.V30,
		AnswerTimeout: 5 * time.Second, Timeout: 5 * time.Second, Retry: 20 * time.Millisecond, Results: map[uint32]sms.Kind{21: sms.Stopped}}
	cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if p.dead.Load() {
			return nil, errors.New("no route")
		}
		return (&net.Dialer{}).DialContext(ctx, network, addr)
	}
	for _, f := range change {
		f(&cfg)
	}
	var err error
	if p.Carrier, err = cmpp.New(cfg, db, vault); err != nil {
		t.Fatal(err)
	}
	p.Receipts = func(_ context.Context, r sms.Receipt) error {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.calls++; p.calls <= p.fail {
			return errors.New("disk full")
		}
		p.receipts = append(p.receipts, r)
		return nil
	}
	p.Replies = func(_ context.Context, in sms.Inbound) error {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.calls++; p.calls <= p.fail {
			return errors.New("disk full")
		}
		p.replies = append(p.replies, in)
		return nil
	}
	p.Log = slog.New(slog.DiscardHandler)
	p.run()
	waitFor(t, "the login", func() bool { return p.Trouble() == nil })
	return p
}

func (p *post) run() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := p.Run(ctx); err != nil {
			p.t.Errorf("Run: %v", err)
		}
	}()
	var once sync.Once
	p.stop = func() { once.Do(func() { cancel(); <-done }) }
	p.t.Cleanup(func() { p.stop() })
}

func (p *post) got() (receipts []sms.Receipt, replies []sms.Inbound) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append(receipts, p.receipts...), append(replies, p.replies...)
}

func (p *post) waitReply(n int) sms.Inbound {
	p.t.Helper()
	waitFor(p.t, fmt.Sprintf("reply %d", n+1), func() bool { _, replies := p.got(); return len(replies) > n })
	_, replies := p.got()
	return replies[n]
}

func phone(t testing.TB, n int) contact.Phone {
	t.Helper()
	p, err := contact.ParseMobile(fmt.Sprintf("138041%05d", n))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func message(t testing.TB, n int, body string) sms.Message {
	return sms.Message{ID: fmt.Sprintf("01TEST%d", n), Phone: phone(t, n), Body: body, Attempt: 1, TriedAt: time.Now(), NotAfter: time.Date(2026, 11, 24, 2, 0, 0, 0, time.UTC)}
}

func kindOf(err error) (sms.Kind, string) {
	var e *sms.Error
	switch {
	case err == nil:
		return "", ""
	case errors.As(err, &e):
		return e.Kind, e.Code
	}
	return sms.NoAnswer, ""
}

// texts puts the segments together that the gateway has.
func texts(g *cmpptest.Gateway) (out []smstest.Text) {
	for _, tk := range g.Taken() {
		content := tk.Submit.Content
		if tk.Submit.TPUDHI == 1 {
			_, content, _ = cmpp.SplitUDH(content)
		}
		s := cmpp.Decode(tk.Submit.MsgFmt, content)
		if tk.Submit.PkNumber > 1 {
			out[len(out)-1].Body += s
			continue
		}
		out = append(out, smstest.Text{To: tk.Submit.Dest[0], Body: s})
	}
	return out
}

func TestKeepsThePromiseOfACarrier(t *testing.T) {
	for _, v := range []cmpp.Version{cmpp.V20, cmpp.V30} {
		t.Run(fmt.Sprintf("%x", uint8(v)), func(t *testing.T) {
			smstest.Run(t, func(t *testing.T) smstest.Peer {
				g := cmpptest.Start(t, v)
				p := connect(t, g, storagetest.SQLite(t), newVault(t), func(c *cmpp.Config) { c.Version, c.AnswerTimeout = v, 300*time.Millisecond })
				set := func(b smstest.Behaviour) {
					plan := map[smstest.Behaviour]cmpptest.Plan{smstest.Silent: {NoAnswer: true}, smstest.Drop: {Drop: true}, smstest.Refuse: {Result: 13},
						smstest.Stop: {Result: 21}, smstest.Throttle: {Result: 8}}[b]
					g.Do(func(g *cmpptest.Gateway) {
						g.Plan = func(int, *cmpp.Submit) cmpptest.Plan { return plan }
						g.Login = nil
						if b == smstest.Misconfigure {
							g.Login = func(*cmpp.Connect) uint32 { return 3 }
						}
					})
					p.dead.Store(b == smstest.Unreachable)
					if b == smstest.Misconfigure || b == smstest.Unreachable {
						g.Hangup()
						waitFor(t, "the connection to be lost", func() bool { k, _ := kindOf(p.Trouble()); return k == sms.Misconfigured || k == sms.Unreachable })
					}
				}
				return smstest.Peer{Carrier: p.Carrier, Set: set, Got: func() []smstest.Text { return texts(g) }, Timeout: 5 * time.Second}
			})
		})
	}
}

func TestResultsMeanWhatTheSpecificationSays(t *testing.T) {
	g := cmpptest.Start(t, cmpp.V30)
	var result atomic.Uint32
	g.Do(func(g *cmpptest.Gateway) {
		g.Plan = func(int, *cmpp.Submit) cmpptest.Plan { return cmpptest.Plan{Result: result.Load()} }
	})
	p := connect(t, g, storagetest.SQLite(t), newVault(t))
	for r, want := range map[uint32]sms.Kind{1: sms.Misconfigured, 2: sms.Misconfigured, 3: sms.Throttled, 4: sms.Misconfigured, 5: sms.Misconfigured,
		6: sms.Refused, 7: sms.Misconfigured, 8: sms.Throttled, 9: sms.Refused, 10: sms.Misconfigured, 11: sms.Misconfigured, 12: sms.Misconfigured,
		13: sms.Refused, 14: sms.Refused, 21: sms.Stopped, 1000: sms.Refused} {
		result.Store(r)
		_, err := p.Send(context.Background(), message(t, 1, "【本溪公安】试"))
		if kind, code := kindOf(err); kind != want || code != fmt.Sprint(r) || strings.Contains(err.Error(), "13804100001") {
			t.Errorf("result %d: %s %s (%v), want %s", r, kind, code, err, want)
		}
	}
}

func TestSubmitCarriesWhatTheContractNeeds(t *testing.T) {
	g := cmpptest.Start(t, cmpp.V30)
	p := connect(t, g, storagetest.SQLite(t), newVault(t), func(c *cmpp.Config) {
		c.Extend = true
	})
	m := message(t, 4, "【本溪公安】试")
	m.Extension = "074"
	sent, err := p.Send(context.Background(), m)
	if err != nil {
		t.Fatal(err)
	}
	tk := g.Taken()[0]
	s := tk.Submit
	if s.SrcID != "1069012110074" || s.ServiceID != "BXGA" || s.MsgSrc != "901234" || s.FeeUserType != 2 || s.FeeType != "01" || s.FeeCode != "0" ||
		s.RegisteredDelivery != 1 || s.PkTotal != 1 || s.PkNumber != 1 || s.MsgFmt != 8 || len(s.Dest) != 1 || s.ValidTime != "261124100000032+" {
		t.Errorf("%+v", s)
	}
	if sent.CarrierID != fmt.Sprintf("%016x", tk.ID) {
		t.Errorf("id %s, the gateway's is %x", sent.CarrierID, tk.ID)
	}
	waitFor(t, "the report", func() bool { r, _ := p.got(); return len(r) == 1 })
	r, _ := p.got()
	if r[0].CarrierID != sent.CarrierID || r[0].MessageID != "" || r[0].State != sms.Delivered || r[0].Code != "DELIVRD" || r[0].Part != 0 ||
		time.Until(r[0].At).Abs() > 5*time.Minute {
		t.Errorf("receipt %+v", r[0])
	}
}

func TestStatusReportsKeepTheirCode(t *testing.T) {
	g := cmpptest.Start(t, cmpp.V30)
	g.Do(func(g *cmpptest.Gateway) { g.Plan = func(int, *cmpp.Submit) cmpptest.Plan { return cmpptest.Plan{} } })
	p := connect(t, g, storagetest.SQLite(t), newVault(t))
	if _, err := p.Send(context.Background(), message(t, 1, "试")); err != nil {
		t.Fatal(err)
	}
	for i, c := range []struct {
		stat string
		want sms.State
		code string
	}{{"ACCEPTD", sms.Accepted, "ACCEPTD"}, {"EXPIRED", sms.Failed, "EXPIRED"}, {"UNDELIV", sms.Failed, "UNDELIV"}, {"REJECTD", sms.Failed, "REJECTD"},
		{"MA:0001", sms.Failed, "MA:0001"}, {"MBBLACK", sms.Failed, "MBBLACK"}, {"DELIVRD", sms.Delivered, "DELIVRD"}, {"1380414", sms.Failed, "31333830343134"}} {
		g.Do(func(g *cmpptest.Gateway) { g.ShortBooks = i%2 == 1 }) // some gateways keep to the short report in 3.0
		g.Report(g.Taken()[0], c.stat)
		waitFor(t, "the report", func() bool { r, _ := p.got(); return len(r) == i+1 })
		if r, _ := p.got(); r[i].State != c.want || r[i].Code != c.code {
			t.Errorf("%s: %+v", c.stat, r[i])
		}
	}
}

func TestNoMoreThanAWindowWaitsForAnswers(t *testing.T) {
	g := cmpptest.Start(t, cmpp.V30)
	g.Do(func(g *cmpptest.Gateway) {
		g.Plan = func(n int, _ *cmpp.Submit) cmpptest.Plan {
			return cmpptest.Plan{Delay: time.Duration(1+n%7) * 3 * time.Millisecond, Twice: n%5 == 0} // out of order, and some twice
		}
	})
	p := connect(t, g, storagetest.SQLite(t), newVault(t), func(c *cmpp.Config) { c.Window = 4 })
	ids := sendMany(t, p, 60)
	seen := map[string]bool{}
	for n, r := range ids {
		if r.err != nil || seen[r.id] {
			t.Errorf("text %d: %s, %v", n, r.id, r.err)
		}
		seen[r.id] = true
	}
	byID := map[string]string{}
	for _, tk := range g.Taken() {
		byID[fmt.Sprintf("%016x", tk.ID)] = tk.Submit.Dest[0]
	}
	for n, r := range ids {
		if byID[r.id] != phone(t, n).Clear() {
			t.Errorf("text %d has the answer to another one", n)
		}
	}
	if g.MostOpen() > 4 || g.MostOpen() < 2 {
		t.Errorf("%d without an answer at once, want at most 4 and more than one", g.MostOpen())
	}
}

type sending struct {
	id  string
	err error
}

func sendMany(t testing.TB, p *post, n int) []sending {
	t.Helper()
	out := make([]sending, n)
	var wg sync.WaitGroup
	for i := range n {
		m := message(t, i, "【本溪公安】试")
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			sent, err := p.Send(ctx, m)
			out[i] = sending{sent.CarrierID, err}
		})
	}
	wg.Wait()
	return out
}

func TestAConnectionThatEndsInMidWindowLosesAndDoublesNothing(t *testing.T) {
	g := cmpptest.Start(t, cmpp.V30)
	g.Do(func(g *cmpptest.Gateway) {
		g.Plan = func(n int, _ *cmpp.Submit) cmpptest.Plan {
			return cmpptest.Plan{Delay: time.Duration(n%4) * time.Millisecond, Hangup: n == 40}
		}
	})
	p := connect(t, g, storagetest.SQLite(t), newVault(t))
	taken := map[string]int{}
	results := sendMany(t, p, 100)
	for _, tk := range g.Taken() {
		taken[tk.Submit.Dest[0]]++
	}
	count := map[sms.Kind]int{}
	for n, r := range results {
		kind, _ := kindOf(r.err)
		count[kind]++
		switch got := taken[phone(t, n).Clear()]; {
		case got > 1:
			t.Errorf("text %d arrived %d times", n, got)
		case kind == "" && got != 1:
			t.Errorf("text %d is called accepted, and the gateway has not got it", n)
		case (kind == sms.Unreachable || kind == sms.Throttled) && got != 0:
			t.Errorf("text %d is called unsent (%v), and the gateway has it", n, r.err)
		case kind == sms.Refused || kind == sms.Misconfigured || kind == sms.Stopped:
			t.Errorf("text %d: %v", n, r.err)
		}
	}
	if count[""] == 0 || count[sms.NoAnswer] == 0 {
		t.Errorf("outcomes %v: want accepted and unknown ones", count)
	}
	waitFor(t, "a new connection", func() bool { return p.Trouble() == nil })
	if _, logins, _, _ := g.Counts(); logins < 2 {
		t.Errorf("%d logins", logins)
	}
}

func TestASubmitWithoutAnAnswerIsUnknownAndNotRepeated(t *testing.T) {
	g := cmpptest.Start(t, cmpp.V30)
	var delay atomic.Int64
	g.Do(func(g *cmpptest.Gateway) {
		g.Plan = func(n int, s *cmpp.Submit) cmpptest.Plan {
			return cmpptest.Plan{Delay: time.Duration(delay.Load()), Result: map[string]uint32{phone(t, 2).Clear(): 8, phone(t, 3).Clear(): 13}[s.Dest[0]]}
		}
	})
	p := connect(t, g, storagetest.SQLite(t), newVault(t), func(c *cmpp.Config) { c.AnswerTimeout = 100 * time.Millisecond })
	delay.Store(int64(400 * time.Millisecond))
	for n := 1; n <= 3; n++ {
		if _, err := p.Send(context.Background(), message(t, n, "试")); err == nil {
			t.Fatal("accepted without an answer")
		} else if kind, _ := kindOf(err); kind != sms.NoAnswer {
			t.Fatalf("%v", err)
		}
	}
	// The late answers tell what became of them.
	waitFor(t, "the late acceptance", func() bool { r, _ := p.got(); return len(r) > 0 })
	if r, _ := p.got(); r[0].MessageID != "01TEST1" || r[0].State != sms.Accepted || r[0].CarrierID == "" {
		t.Errorf("receipt %+v", r[0])
	}
	find := func(n int) (sms.Found, error) { return p.Find(context.Background(), message(t, n, "试")) }
	waitFor(t, "the late refusals", func() bool { f, err := find(3); return err == nil && f.Known })
	if f, err := find(3); err != nil || f.State != sms.Failed || f.Code != "13" {
		t.Errorf("a late refusal: %+v, %v", f, err)
	}
	if f, err := find(2); err != nil || f.Known {
		t.Errorf("late flow control: %+v, %v; want surely not there", f, err)
	}
	if _, err := find(1); !errors.Is(err, sms.ErrCannotAsk) {
		t.Errorf("a late acceptance: %v", err)
	}
	if submits, _, _, _ := g.Counts(); submits != 3 {
		t.Errorf("%d SUBMITs for three texts", submits)
	}
	// While an answer may still come nobody is told that there is none, and a new attempt forgets what the last one has learnt.
	delay.Store(0)
	g.Do(func(g *cmpptest.Gateway) {
		g.Plan = func(int, *cmpp.Submit) cmpptest.Plan { return cmpptest.Plan{NoAnswer: true} }
	})
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	again := message(t, 2, "试")
	again.Attempt = 3
	if _, err := p.Send(ctx, again); err == nil {
		t.Fatal("accepted without an answer")
	}
	if _, err := p.Find(context.Background(), again); err == nil {
		t.Error("the text is said to be nowhere while it may be there")
	}
	waitFor(t, "the end of patience", func() bool { _, err := p.Find(context.Background(), again); return errors.Is(err, sms.ErrCannotAsk) })
}

func TestATextThatIsHalfWithTheGatewayIsNeverCalledRefused(t *testing.T) {
	long := "【本溪公安】" + strings.Repeat("满意不满意", 30) // three segments
	for name, c := range map[string]struct {
		results []uint32
		want    sms.Kind
		taken   int
	}{
		"the first is refused":          {[]uint32{13}, sms.Refused, 0},
		"the first is throttled":        {[]uint32{8}, sms.Throttled, 0},
		"the second is refused":         {[]uint32{0, 13}, sms.NoAnswer, 1},
		"the second waits, then passes": {[]uint32{0, 8, 0, 0}, "", 3},
	} {
		g := cmpptest.Start(t, cmpp.V20)
		g.Do(func(g *cmpptest.Gateway) {
			g.Plan = func(n int, _ *cmpp.Submit) cmpptest.Plan { return cmpptest.Plan{Result: c.results[n]} }
		})
		p := connect(t, g, storagetest.SQLite(t), newVault(t), func(c *cmpp.Config) { c.Version = cmpp.V20 })
		_, err := p.Send(context.Background(), message(t, 1, long))
		if kind, _ := kindOf(err); kind != c.want || len(g.Taken()) != c.taken {
			t.Errorf("%s: %q (%v) with %d segments taken, want %q with %d", name, kind, err, len(g.Taken()), c.want, c.taken)
		}
	}
}

func TestTheLinkIsKeptUpAndParted(t *testing.T) {
	g := cmpptest.Start(t, cmpp.V30)
	p := connect(t, g, storagetest.SQLite(t), newVault(t), func(c *cmpp.Config) {
		c.Heartbeat, c.AnswerTimeout = 40*time.Millisecond, 40*time.Millisecond
	})
	waitFor(t, "three heartbeats", func() bool { _, _, beats, _ := g.Counts(); return beats >= 3 })
	if _, logins, _, _ := g.Counts(); logins != 1 {
		t.Errorf("%d logins while the gateway answered", logins)
	}
	g.Do(func(g *cmpptest.Gateway) { g.Dumb = true })
	waitFor(t, "a new login after the gateway fell silent", func() bool { _, logins, _, _ := g.Counts(); return logins >= 2 })
	g.Do(func(g *cmpptest.Gateway) { g.Dumb = false })
	waitFor(t, "the link", func() bool { return p.Trouble() == nil })
	// Rubbish on the line ends the link, not the program.
	_, before, _, _ := g.Counts()
	g.Raw([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
	waitFor(t, "a new login after rubbish", func() bool { _, logins, _, _ := g.Counts(); return logins > before })
	waitFor(t, "the link", func() bool { return p.Trouble() == nil })
	p.stop()
	if _, _, _, byes := g.Counts(); byes != 1 {
		t.Errorf("parted %d times with TERMINATE", byes)
	}
	if _, err := p.Send(context.Background(), message(t, 1, "试")); err == nil {
		t.Error("sent after the end")
	} else if kind, _ := kindOf(err); kind != sms.Unreachable {
		t.Errorf("after the end: %v", err)
	}
}

func TestTheVersionIsAgreedOn(t *testing.T) {
	for name, c := range map[string]struct {
		ours, theirs cmpp.Version
		strict       bool // the gateway refuses a version that is too high
	}{
		"both 3.0":                      {cmpp.V30, cmpp.V30, false},
		"both 2.0":                      {cmpp.V20, cmpp.V20, false},
		"we ask for less":               {cmpp.V20, cmpp.V30, false},
		"the gateway has less":          {cmpp.V30, cmpp.V20, false},
		"the gateway refuses the other": {cmpp.V30, cmpp.V20, true},
	} {
		g := cmpptest.Start(t, c.theirs)
		if c.strict {
			g.Do(func(g *cmpptest.Gateway) {
				g.Login = func(p *cmpp.Connect) uint32 {
					if p.Version > cmpp.V20 {
						return 4
					}
					return 0
				}
			})
		}
		p := connect(t, g, storagetest.SQLite(t), newVault(t), func(cfg *cmpp.Config) { cfg.Version = c.ours })
		if _, err := p.Send(context.Background(), message(t, 1, "【本溪公安】试")); err != nil || len(g.Taken()) != 1 || texts(g)[0].Body != "【本溪公安】试" {
			t.Errorf("%s: %v, %+v", name, err, g.Taken())
		}
		waitFor(t, "the report", func() bool { r, _ := p.got(); return len(r) == 1 && r[0].State == sms.Delivered })
	}
}

func TestSettingsAreChecked(t *testing.T) {
	db, vault := storagetest.SQLite(t), newVault(t)
	good := cmpp.Config{Addr: "127.0.0.1:7890", ID: "901234", Secret: "hush-hush", Number: "1069012110"}
	if _, err := cmpp.New(good, db, vault); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*cmpp.Config){
		"address": func(c *cmpp.Config) { c.Addr = "gateway" },
		"id":      func(c *cmpp.Config) { c.ID = "9012345" },
		"secret":  func(c *cmpp.Config) { c.Secret = "" },
		"version": func(c *cmpp.Config) { c.Version = 0x40 },
		"number":  func(c *cmpp.Config) { c.Number = "+86106" },
		"service": func(c *cmpp.Config) { c.Service = "12345678901" },
		"fee":     func(c *cmpp.Config) { c.FeeType = "免" },
		"result":  func(c *cmpp.Config) { c.Results = map[uint32]sms.Kind{9: sms.NoAnswer} },
		"zero":    func(c *cmpp.Config) { c.Results = map[uint32]sms.Kind{0: sms.Refused} },
	} {
		cfg := good
		spoil(&cfg)
		if _, err := cmpp.New(cfg, db, vault); err == nil || strings.Contains(err.Error(), "hush-hush") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := cmpp.New(good, nil, nil); err == nil {
		t.Error("taken without a database")
	}
}
