package sip

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	gosip "github.com/emiago/sipgo/sip"

	"lianxin/sip/media"
)

const mobile = "13912345678"

// trunks starts a server with peers as its trunks, named A, B, C … in this order of priority.
func trunks(t *testing.T, n int, change func(*Config)) (*exchange, []*peer) {
	t.Helper()
	var ps []*peer
	var list []Trunk
	for i := range n {
		p := newPeer(t, "127.0.0.1:9")
		ps = append(ps, p)
		list = append(list, Trunk{Name: string(rune('A' + i)), Proxy: "sip:" + p.addr, Priority: i})
	}
	x := start(t, func(c *Config) {
		c.Trunks = list
		c.Outbound = Outbound{Allow: []string{"1[3-9]xxxxxxxxx"}, Number: "46110110"}
		c.silence = time.Second // a busy machine may leave a peer without a turn for some of it
		if change != nil {
			change(c)
		}
	}, nil)
	for _, p := range ps {
		p.to = mustUDP(t, x.udp)
	}
	return x, ps
}

func isInvite(m gosip.Message) bool {
	r, ok := m.(*gosip.Request)
	return ok && r.Method == gosip.INVITE
}

func TestNumberPatterns(t *testing.T) {
	for _, c := range []struct {
		pattern, number string
		want            bool
	}{
		{"110", "110", true}, {"110", "1101", false}, {"110", "11", false},
		{"1[3-9]xxxxxxxxx", mobile, true}, {"1[3-9]xxxxxxxxx", "12912345678", false}, {"1[3-9]xxxxxxxxx", "+8613912345678", false},
		{"0x.", "02446110110", true}, {"0x.", "02", false}, {"0x.", "00861*", false},
		{"+86.", "+8613912345678", true}, {"+86.", "8613912345678", false}, {"[268]xxx", "8001", true}, {"[268]xxx", "7001", false},
		{"x.", "*21*13912345678#", false}, {"x.", strings.Repeat("1", 40), false}, {"x.", "", false},
	} {
		p, err := readPattern(c.pattern)
		if err != nil || p.matches(c.number) != c.want {
			t.Errorf("%s matches %s: %v, %v", c.pattern, c.number, !c.want, err)
		}
	}
	for _, bad := range []string{"", ".", "1a", "[", "[]", "[9-3]", "[a]", "1.2", "1+", "^1.*$", "*"} {
		if p, err := readPattern(bad); err == nil {
			t.Errorf("%q read as %v", bad, p)
		}
	}
	x := start(t, nil, nil)
	if _, err := New(Config{Listen: []string{"udp://127.0.0.1:0"}, Outbound: Outbound{Allow: []string{"1.2"}}}, x.engine); err == nil {
		t.Error("a bad pattern is not told")
	}
}

func TestOnlyAllowedNumbersAreCalled(t *testing.T) { // pitfall 38
	x, ps := trunks(t, 1, nil)
	z, qs := trunks(t, 1, func(c *Config) { c.Outbound.Allow = nil })
	bg := context.Background()
	for _, c := range []struct {
		x *exchange
		t Target
	}{
		{x, Target{Number: "001900123456"}}, {x, Target{Number: "*72" + mobile}}, {x, Target{Trunk: "A", Number: "001900123456"}},
		{x, Target{URI: "sip:001900123456@" + ps[0].addr}}, {z, Target{Number: mobile}}, {z, Target{Trunk: "A", Number: mobile}},
	} {
		if _, err := c.x.Dial(bg, c.t, DialOpt{}); !errors.Is(err, ErrNotAllowed) {
			t.Errorf("%+v: %v", c.t, err)
		}
	}
	for _, p := range []*peer{ps[0], qs[0]} {
		p.silent(50*time.Millisecond, isInvite)
	}
	if s := x.log.String() + z.log.String(); strings.Contains(s, "001900123456") || strings.Contains(s, mobile) {
		t.Error("number in the log")
	}
	if _, err := start(t, func(c *Config) { c.Outbound.Allow = []string{"x."} }, nil).Dial(bg, Target{Number: mobile}, DialOpt{}); !errors.Is(err, ErrNoTrunk) {
		t.Error(err)
	}
}

func TestCallsGoToTheNextTrunkWhenOneFails(t *testing.T) {
	t.Parallel()
	x, ps := trunks(t, 4, func(c *Config) {
		c.Trunks[1].Proxy = "sip:127.0.0.1:1;transport=tcp" // nobody there
	})
	got := x.dial(context.Background(), Target{Number: mobile}, DialOpt{From: "8001", Headers: map[string]string{"P-Asserted-Identity": "<sip:110@x>"}})
	first := ps[0].request(gosip.INVITE)
	ps[0].reply(first, 503, "a", "")
	ps[0].request(gosip.ACK)
	ps[2].request(gosip.INVITE) // says nothing
	inv := ps[3].request(gosip.INVITE)
	if inv.Recipient.User != mobile || inv.From().Address.User != "46110110" || len(inv.GetHeaders("P-Asserted-Identity")) != 1 ||
		!strings.HasPrefix(headerOf(inv, "P-Asserted-Identity").Value(), "<sip:46110110@") || inv.CallID().Value() == first.CallID().Value() {
		t.Errorf("%s", inv)
	}
	ps[3].reply(inv, 200, "d", plainSDP)
	ps[3].request(gosip.ACK)
	d := wait(t, got)
	if d.err != nil || d.call.Info().Trunk != "D" || d.call.Info().From != "46110110" {
		t.Fatalf("%v", d.err)
	}
	for i, h := range x.Health().Trunks {
		if h.Hour != 1 || (h.Calls == 1) != (i == 3) {
			t.Errorf("%+v", h)
		}
	}
	go func() { _ = d.call.Hangup(context.Background()) }()
	ps[3].reply(ps[3].request(gosip.BYE), 200, "", "")
	eventually(t, "released", func() bool { return x.Health().Trunks[3].Calls == 0 })
}

func TestAnswerOfTheCalledPartyIsFinal(t *testing.T) {
	x, ps := trunks(t, 2, nil)
	for _, code := range []int{486, 404, 603, 403} {
		got := x.dial(context.Background(), Target{Number: mobile}, DialOpt{})
		ps[0].reply(ps[0].request(gosip.INVITE), code, "a", "")
		ps[0].request(gosip.ACK)
		if d := wait(t, got); !errors.Is(d.err, kindOf(code)) {
			t.Errorf("%d: %v", code, d.err)
		}
	}
	// it has rung already: nobody is rung twice
	rings := make(chan int, 10)
	got := x.dial(context.Background(), Target{Number: mobile}, DialOpt{Ringing: func(code int) { rings <- code }})
	inv := ps[0].request(gosip.INVITE)
	ps[0].reply(inv, 180, "a", "")
	select {
	case <-rings: // a transaction does not keep the order of what comes at once
	case <-time.After(patience):
		t.Fatal("does not ring")
	}
	ps[0].reply(inv, 500, "a", "")
	ps[0].request(gosip.ACK)
	if d := wait(t, got); !errors.Is(d.err, ErrUnreachable) {
		t.Error(d.err)
	}
	// who gives up does not ring elsewhere
	ctx, cancel := context.WithCancel(context.Background())
	got = x.dial(ctx, Target{Number: mobile}, DialOpt{})
	ps[0].request(gosip.INVITE)
	cancel()
	if d := wait(t, got); !errors.Is(d.err, context.Canceled) {
		t.Error(d.err)
	}
	ps[1].silent(400*time.Millisecond, isInvite)
}

func TestSilentTrunkThatAnswersLateIsHungUp(t *testing.T) { // trap 18
	t.Parallel()
	x, ps := trunks(t, 1, nil)
	got := x.dial(context.Background(), Target{Number: mobile}, DialOpt{})
	inv := ps[0].request(gosip.INVITE)
	if d := wait(t, got); !errors.Is(d.err, ErrUnreachable) {
		t.Error(d.err)
	}
	ps[0].reply(inv, 200, "late", plainSDP)
	ps[0].request(gosip.ACK)
	ps[0].reply(ps[0].request(gosip.BYE), 200, "", "")
}

func TestOutboundLimits(t *testing.T) {
	x, ps := trunks(t, 2, func(c *Config) {
		c.Trunks[0].MaxCalls, c.Trunks[1].MaxPerHour, c.Outbound.MaxPerHour = 1, 1, 3
	})
	up := func(p *peer) Call {
		t.Helper()
		got := x.dial(context.Background(), Target{Number: mobile}, DialOpt{})
		p.reply(p.request(gosip.INVITE), 200, "far"+unique(), plainSDP)
		p.request(gosip.ACK)
		d := wait(t, got)
		if d.err != nil {
			t.Fatal(d.err)
		}
		return d.call
	}
	down := func(p *peer, c Call) {
		t.Helper()
		go func() { _ = c.Hangup(context.Background()) }()
		p.reply(p.request(gosip.BYE), 200, "", "")
		ended(t, c)
	}
	a := up(ps[0])
	b := up(ps[1]) // the first is full
	if _, err := x.Dial(context.Background(), Target{Number: mobile}, DialOpt{}); !errors.Is(err, ErrLimit) {
		t.Error(err)
	}
	down(ps[1], b)
	if _, err := x.Dial(context.Background(), Target{Number: mobile}, DialOpt{}); !errors.Is(err, ErrLimit) { // by the hour
		t.Error(err)
	}
	down(ps[0], a)
	eventually(t, "released", func() bool { return x.Health().Trunks[0].Calls == 0 })
	down(ps[0], up(ps[0]))
	eventually(t, "released", func() bool { return x.Health().Trunks[0].Calls == 0 })
	if _, err := x.Dial(context.Background(), Target{Number: mobile}, DialOpt{}); !errors.Is(err, ErrLimit) { // of all
		t.Error(err)
	}
	x.lines.mu.Lock()
	x.lines.tried[0] = time.Now().Add(-61 * time.Minute)
	x.lines.mu.Unlock()
	down(ps[0], up(ps[0]))
}

func TestTrunksAreChosenByPriorityAndWeight(t *testing.T) {
	x, _ := trunks(t, 4, func(c *Config) {
		c.Trunks[0].Priority, c.Trunks[1].Priority, c.Trunks[2].Priority, c.Trunks[3].Priority = 1, 1, 2, 0
		c.Trunks[0].Weight, c.Trunks[1].Weight = 3, 1
	})
	for range downAfter {
		x.lines.heard(x.lines.all[3], ErrUnreachable)
	}
	first := map[string]int{}
	for range 4000 {
		o := x.lines.order("", "")
		if o[2].Name != "C" || o[3].Name != "D" {
			t.Fatalf("%s then %s", o[2].Name, o[3].Name)
		}
		first[o[0].Name]++
	}
	if first["A"] < 2800 || first["A"] > 3200 || first["A"]+first["B"] != 4000 {
		t.Errorf("%v", first)
	}
}

func TestTrunkIsDownAfterSomeFailuresAndBackAfterOneSuccess(t *testing.T) {
	var code atomic.Int32 // 0: silence
	code.Store(200)
	p := newPeer(t, "127.0.0.1:9")
	x, serve := prepareTrunk(t, func(c *Config) {
		c.Trunks = []Trunk{{Name: "A", Proxy: "sip:" + p.addr}}
		c.probe, c.silence = 20*time.Millisecond, 60*time.Millisecond
	})
	p.to = mustUDP(t, x.udp)
	serve()
	go func() {
		for m := range p.in {
			if req, ok := m.(*gosip.Request); ok && req.Method == gosip.OPTIONS && code.Load() != 0 {
				res := gosip.NewResponseFromRequest(req, int(code.Load()), "Reply", nil)
				_, _ = p.conn.WriteTo([]byte(res.String()), p.to)
			}
		}
	}()
	is := func(up bool) func() bool { return func() bool { return x.Health().Trunks[0].Up == up } }
	for _, c := range []struct {
		code int32
		up   bool
	}{{0, false}, {404, true}, {503, false}, {200, true}} { // 404 is not for us, but a sign of life
		code.Store(c.code)
		eventually(t, "trunk's state follows its answers", is(c.up))
	}
	ls := x.lines
	l := &line{Trunk: Trunk{Name: "Z"}}
	for i := range 2 * downAfter {
		if up := l.fails < downAfter; up != (i < downAfter) {
			t.Errorf("after %d failures up %v", i, up)
		}
		ls.heard(l, ErrUnreachable)
	}
	if ls.heard(l, nil); l.fails != 0 {
		t.Error("one success is not enough")
	}
}

func prepareTrunk(t *testing.T, change func(*Config)) (*exchange, func()) {
	t.Helper()
	return prepare(t, media.Config{}, change, nil)
}

func TestWeRegisterWithATrunk(t *testing.T) {
	t.Parallel()
	carrier := start(t, func(c *Config) {
		users("46110110")(c)
		c.MinExpires, c.MaxExpires = time.Second, time.Second
	}, nil)
	for _, transport := range []string{"udp", "tcp"} {
		addr := carrier.udp
		if transport == "tcp" {
			addr = carrier.tcp
		}
		x := start(t, func(c *Config) {
			c.Trunks = []Trunk{{Name: "carrier", Proxy: "sip:" + addr + ";transport=" + transport, User: "46110110", Password: "pw-46110110", Register: true,
				Addrs: []netip.Prefix{loopback}}}
			c.backoff = 100 * time.Millisecond
		}, nil)
		eventually(t, "registered", func() bool { return x.Health().Trunks[0].Registered && carrier.Registered("46110110") })
		ids := map[string]bool{}
		for end := time.Now().Add(2500 * time.Millisecond); time.Now().Before(end); time.Sleep(20 * time.Millisecond) { // a second each
			for _, b := range carrier.registrar.find("46110110") {
				ids[b.callID] = true
			}
		}
		bs := carrier.registrar.find("46110110")
		if len(bs) != 1 || bs[0].cseq < 4 || len(ids) != 1 {
			t.Fatalf("%s: %d bindings, %d Call-IDs: %+v", transport, len(bs), len(ids), bs)
		}

		got := carrier.dial(context.Background(), Target{User: "46110110"}, DialOpt{From: mobile})
		c := x.call()
		if i := c.Info(); i.Trunk != "carrier" || i.To != "46110110" || i.From != mobile {
			t.Errorf("%#v", i)
		}
		if d := wait(t, got); d.err != nil {
			t.Fatal(d.err)
		} else if err := d.call.Hangup(context.Background()); err != nil {
			t.Error(err)
		}

		if transport == "tcp" { // the connection breaks: there is another one soon
			before := bs[0].flow.remote
			conn, err := carrier.tpl.GetConnection("tcp", before)
			if err != nil {
				t.Fatal(err)
			}
			_ = conn.Close()
			eventually(t, "registered over another connection", func() bool {
				bs := carrier.registrar.find("46110110")
				return len(bs) == 1 && bs[0].flow.remote != before
			})
		}
		x.stop()
		<-x.stopped
		if carrier.Registered("46110110") {
			t.Errorf("%s: registration was not taken back", transport)
		}
	}
}

func TestRefusedRegistrationIsNotHammered(t *testing.T) {
	t.Parallel()
	p := newPeer(t, "127.0.0.1:9")
	x, serve := prepareTrunk(t, func(c *Config) {
		c.Trunks = []Trunk{{Name: "A", Proxy: "sip:" + p.addr, User: "u", Password: "p", Register: true}}
		c.backoff = 50 * time.Millisecond
	})
	p.to = mustUDP(t, x.udp)
	serve()
	var at []time.Time
	for range 4 {
		req := p.request(gosip.REGISTER)
		at = append(at, time.Now())
		p.reply(req, 403, "a", "")
	}
	if a, b := at[2].Sub(at[1]), at[1].Sub(at[0]); a+b < time.Second {
		t.Errorf("after %v and %v", b, a)
	}
	if h := x.Health().Trunks[0]; h.Registered || !strings.Contains(h.LastError, "403") {
		t.Errorf("%+v", h)
	}
	// too brief for the trunk: asked again as it wants
	req := p.request(gosip.REGISTER)
	p.reply(req, 423, "a", "", "Min-Expires", "7200")
	req = p.request(gosip.REGISTER)
	if v := req.GetHeader("Expires").Value(); v != "7200" {
		t.Errorf("Expires %s", v)
	}
	p.reply(req, 200, "a", "", "Expires", "7200")
	eventually(t, "registered", func() bool { return x.Health().Trunks[0].Registered })
	go func() { p.reply(p.request(gosip.REGISTER), 200, "a", "") }() // taken back at the end
	x.stop()
	<-x.stopped
}
