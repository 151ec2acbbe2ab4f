package sip

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	gosip "github.com/emiago/sipgo/sip"
)

func TestRedirectionsAreFollowedWithinOutbound(t *testing.T) { // 3xx; pitfalls 20 and 38
	t.Parallel()
	x, ps := trunks(t, 1, users("8001", "8002"))
	a, b := newPeer(t, x.udp), newPeer(t, x.udp)
	for name, p := range map[string]*peer{"8001": a, "8002": b} {
		if res := p.phone(name).enter("<sip:"+name+"@"+p.addr+">", ""); res.StatusCode != 200 {
			t.Fatal(res.StatusCode)
		}
	}
	bg := context.Background()
	ring := func(o DialOpt, contact string) <-chan dialled {
		got := x.dial(bg, Target{User: "8001"}, o)
		a.reply(a.request(gosip.INVITE), 302, "a", "", "Contact", contact)
		a.request(gosip.ACK)
		return got
	}
	if d := wait(t, ring(DialOpt{}, "<sip:8002@x>")); !errors.Is(d.err, ErrRedirected) {
		t.Errorf("followed unasked: %v", d.err)
	}
	if d := wait(t, ring(DialOpt{Follow: true}, "<sip:001900123456@x>")); !errors.Is(d.err, ErrRedirected) { // toll fraud by forwarding
		t.Errorf("%v", d.err)
	}
	got := ring(DialOpt{Follow: true}, "<sip:001900123456@x>;q=0.9, <sip:8002@x>;q=0.5")
	inv := b.request(gosip.INVITE)
	b.reply(inv, 302, "b", "", "Contact", "<sip:8001@x>") // in a circle
	b.request(gosip.ACK)
	if d := wait(t, got); !errors.Is(d.err, ErrRedirected) {
		t.Errorf("%v", d.err)
	}
	got = ring(DialOpt{Follow: true}, "<sip:"+mobile+"@x>")
	inv = ps[0].request(gosip.INVITE) // through the trunk, and under its number
	if inv.From().Address.User != "46110110" {
		t.Errorf("%s", inv)
	}
	ps[0].reply(inv, 200, "t", plainSDP)
	ps[0].request(gosip.ACK)
	if d := wait(t, got); d.err != nil || d.call.Info().Trunk != "A" {
		t.Errorf("%v", d.err)
	}
}

func TestTrunkRedirectsToAGatewayOfItsOwnOnly(t *testing.T) {
	t.Parallel()
	gateway := newPeer(t, "127.0.0.1:9")
	x, ps := trunks(t, 1, func(c *Config) { c.Trunks[0].Addrs = []netip.Prefix{loopback} })
	gateway.to = mustUDP(t, x.udp)
	got := x.dial(context.Background(), Target{Number: mobile}, DialOpt{})
	ps[0].reply(ps[0].request(gosip.INVITE), 302, "a", "", "Contact", "<sip:"+mobile+"@192.0.2.1>, <sip:001900123456@"+gateway.addr+">, <sip:"+mobile+"@"+gateway.addr+">;q=0.1")
	ps[0].request(gosip.ACK)
	inv := gateway.request(gosip.INVITE)
	if inv.Recipient.User != mobile {
		t.Errorf("%s", inv.Recipient.String())
	}
	gateway.reply(inv, 200, "g", plainSDP)
	gateway.request(gosip.ACK)
	if d := wait(t, got); d.err != nil || d.call.Info().Trunk != "A" {
		t.Error(d.err)
	}
}

func TestTrunkIsFoundByItsServiceRecords(t *testing.T) { // RFC 3263
	t.Parallel()
	var second *peer
	x, ps := trunks(t, 2, func(c *Config) {
		_, port, _ := net.SplitHostPort(strings.TrimPrefix(c.Trunks[1].Proxy, "sip:"))
		n, _ := net.LookupPort("udp", port)
		c.Trunks = []Trunk{{Name: "A", Proxy: "sip:carrier.test"}}
		c.lookupSRV = func(_ context.Context, service, proto, name string) ([]*net.SRV, error) {
			if service != "sip" || proto != "udp" || name != "carrier.test" {
				return nil, errors.New("unexpected look-up")
			}
			return []*net.SRV{{Target: "127.0.0.1.", Port: 1}, {Target: "127.0.0.1", Port: uint16(n)}}, nil // nobody is at the first
		}
	})
	second = ps[1]
	got := x.dial(context.Background(), Target{Number: mobile}, DialOpt{})
	inv := second.request(gosip.INVITE)
	if inv.Recipient.Host != "carrier.test" {
		t.Errorf("asks for %s", inv.Recipient.String())
	}
	second.reply(inv, 200, "b", plainSDP)
	second.request(gosip.ACK)
	if d := wait(t, got); d.err != nil {
		t.Error(d.err)
	}
}

func TestNumbersAreRoutedAndWrittenAsEachTrunkWantsThem(t *testing.T) {
	t.Parallel()
	x, ps := trunks(t, 2, func(c *Config) {
		c.Outbound.Allow = []string{"1[3-9]xxxxxxxxx", "0xxxxxxxxxx"}
		c.Trunks[0].Numbers = []string{"0."}
		c.Trunks[0].Strip, c.Trunks[0].Prefix = 1, "9"
	})
	for number, want := range map[string]string{mobile: mobile, "02446110110": "92446110110"} {
		p := ps[0]
		if number == mobile {
			p = ps[1]
		}
		got := x.dial(context.Background(), Target{Number: number}, DialOpt{})
		inv := p.request(gosip.INVITE)
		if inv.Recipient.User != want {
			t.Errorf("%s is sent as %s", number, inv.Recipient.User)
		}
		p.reply(inv, 200, "x", plainSDP)
		p.request(gosip.ACK)
		if d := wait(t, got); d.err != nil || d.call.Info().To != number {
			t.Errorf("%v", d.err)
		}
	}
	if _, err := New(Config{Listen: []string{"udp://127.0.0.1:0"}, Trunks: []Trunk{{Name: "A", Numbers: []string{"1.2"}}}}, x.engine); err == nil {
		t.Error("a bad plan is not told")
	}
}

func TestOutboundNightCapAndLongestCall(t *testing.T) { // pitfall 38
	now := time.Date(2026, 11, 27, 23, 0, 0, 0, time.UTC)
	x, ps := trunks(t, 1, func(c *Config) {
		c.Outbound.MaxPerNight, c.Outbound.Zone, c.Outbound.MaxCall = 2, time.UTC, 200*time.Millisecond
		c.clock = func() time.Time { return now }
	})
	call := func() error {
		got := x.dial(context.Background(), Target{Number: mobile}, DialOpt{})
		select {
		case d := <-got:
			return d.err
		case m := <-ps[0].in:
			for !isInvite(m) {
				m = <-ps[0].in
			}
			ps[0].reply(m.(*gosip.Request), 486, "x", "")
			ps[0].request(gosip.ACK)
		}
		return wait(t, got).err
	}
	for i, want := range []error{ErrBusy, ErrBusy, ErrLimit} {
		if err := call(); !errors.Is(err, want) {
			t.Errorf("%d: %v", i, err)
		}
	}
	now = now.Add(4 * time.Hour) // the same night, after midnight
	if err := call(); !errors.Is(err, ErrLimit) {
		t.Error(err)
	}
	now = now.Add(4 * time.Hour) // morning
	if err := call(); !errors.Is(err, ErrBusy) {
		t.Error(err)
	}
	now = now.Add(16 * time.Hour) // the next night
	if err := call(); !errors.Is(err, ErrBusy) {
		t.Error(err)
	}
	got := x.dial(context.Background(), Target{Number: mobile}, DialOpt{})
	ps[0].reply(ps[0].request(gosip.INVITE), 200, "x", plainSDP)
	ps[0].request(gosip.ACK)
	d := wait(t, got)
	ps[0].reply(ps[0].request(gosip.BYE), 200, "", "")
	if e := ended(t, d.call); e.Cause != "longest call" {
		t.Errorf("%+v", e)
	}
}

func TestDeafPhonesAreNotRung(t *testing.T) { // OPTIONS qualify, pitfall 13
	up := make(chan bool, 8)
	x := start(t, func(c *Config) {
		users("8001")(c)
		c.qualify, c.silence = 30*time.Millisecond, 500*time.Millisecond
		c.OnRegistration = func(_ string, on bool) { up <- on }
	}, nil)
	told := func(want bool) {
		t.Helper()
		select {
		case on := <-up:
			if on != want {
				t.Fatalf("told %v", on)
			}
		case <-time.After(patience):
			t.Fatalf("not told that it is %v", want)
		}
	}
	p := newPeer(t, x.udp)
	ph := p.phone("8001")
	ph.enter("<sip:8001@"+p.addr+">", "")
	told(true)
	for range 3 {
		p.reply(p.request(gosip.OPTIONS), 200, "x", "")
	}
	told(false) // from now on it says nothing
	if _, err := x.Dial(context.Background(), Target{User: "8001"}, DialOpt{}); !errors.Is(err, ErrNotRegistered) {
		t.Error(err)
	}
	for len(p.in) > 0 {
		<-p.in
	}
	stop := time.After(patience)
	for back := false; !back; {
		select {
		case m := <-p.in:
			if r, ok := m.(*gosip.Request); ok && r.Method == gosip.OPTIONS {
				p.reply(r, 481, "x", "") // any answer will do
			}
		case on := <-up:
			back = on
		case <-stop:
			t.Fatal("it did not come back")
		}
	}
}

func TestPrivateNumbersAreForUsers(t *testing.T) {
	x := start(t, func(c *Config) {
		users("8001")(c)
		c.Private = func(to string) bool { return strings.HasPrefix(to, "*") }
	}, nil)
	u := newPeer(t, x.udp).ua()
	u.invite(plainSDP) // the hotline is open
	u.response(u.do("BYE", ""), 200)
	u = newPeer(t, x.udp).ua()
	u.uri = strings.Replace(u.uri, "46110110", "*8", 1)
	u.response(u.do("INVITE", plainSDP), 407)
	p := newPeer(t, x.udp)
	if res := p.phone("8001").enter("<sip:8001@"+p.addr+">", ""); res.StatusCode != 200 {
		t.Fatal(res.StatusCode)
	}
	v := p.ua()
	v.uri = u.uri
	v.response(v.do("INVITE", plainSDP, "From: <sip:8001@"+realm+">;tag="+v.tag), 200)
	v.ack("")
}

func TestFirstDiversionIsFound(t *testing.T) { // pitfall 19
	x := start(t, func(c *Config) { c.Trunks = []Trunk{{Name: "A", Addrs: c.Trusted}} }, nil)
	for header, want := range map[string]string{
		"Diversion: <sip:8003@x>;reason=busy, <sip:8002@x>;reason=no-answer":                             "8002",
		"History-Info: <sip:02442345678@x>;index=1, <sip:46110110@x?Reason=SIP%3Bcause%3D302>;index=1.1": "02442345678",
		"History-Info: <sip:46110110@x>;index=1":                                                         "",
	} {
		u := newPeer(t, x.udp).ua()
		u.invite(plainSDP, header)
		if got := x.call().Info().Diverted; got != want {
			t.Errorf("%s: %q", header, got)
		}
		u.response(u.do("BYE", ""), 200)
	}
}
