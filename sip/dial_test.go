package sip

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	gosip "github.com/emiago/sipgo/sip"
	"github.com/icholy/digest"

	"lianxin/sip/media/mediatest"
)

type dialled struct {
	call Call
	err  error
}

// dial calls in the background.
func (x *exchange) dial(ctx context.Context, t Target, o DialOpt) <-chan dialled {
	got := make(chan dialled, 1)
	go func() {
		c, err := x.Dial(ctx, t, o)
		got <- dialled{c, err}
	}()
	return got
}

func wait(t testing.TB, got <-chan dialled) dialled {
	t.Helper()
	select {
	case d := <-got:
		return d
	case <-time.After(patience):
		t.Fatal("Dial did not return")
		return dialled{}
	}
}

func (p *peer) target() Target { return Target{URI: "sip:bob@" + p.addr} }

func TestDialRingsAnswersAndHangsUp(t *testing.T) {
	x := start(t, nil, nil)
	sound := mediatest.NewPeer(t, mediatest.Phone{})
	p := newPeer(t, x.udp)
	rings := make(chan int, 100)
	got := x.dial(context.Background(), p.target(), DialOpt{From: "46110110", Display: "民意\r\nX-Evil: 1", Codec: "PCMU",
		Headers: map[string]string{"X-Note": "a\r\nX-Evil: 2", "Via": "no", "Bad Name": "x"}, Ringing: func(code int) { rings <- code }})
	inv := p.request(gosip.INVITE)
	if inv.Source() != x.udp || inv.Via().Host+":"+fmt.Sprint(inv.Via().Port) != x.udp {
		t.Errorf("INVITE comes from %s and says %s:%d", inv.Source(), inv.Via().Host, inv.Via().Port)
	}
	if strings.Contains(inv.String(), "\r\nX-Evil") || inv.GetHeader("X-Note").Value() != "aX-Evil: 2" || inv.GetHeader("BadName") == nil ||
		len(inv.GetHeaders("Via")) != 1 {
		t.Errorf("header injection:\n%s", inv)
	}
	if u := inv.From(); u.Address.User != "46110110" || u.DisplayName != "民意X-Evil: 1" {
		t.Errorf("From %s", u)
	}
	offer := described(t, inv.Body())
	if len(offer.codecs) != 2 || offer.codecs[0].codec.String() != "PCMU" {
		t.Errorf("offer %+v", offer)
	}
	p.reply(inv, 100, "", "")
	for range 15 { // trap 17: sipgo gives up after ten
		p.reply(inv, 180, "far", "")
	}
	p.reply(inv, 183, "far", sdpFor("127.0.0.1", int(sound.Addr().Port())))
	for range 16 {
		select {
		case <-rings:
		case <-time.After(patience):
			t.Fatal("a provisional answer was lost")
		}
	}
	p.reply(inv, 200, "far", "v=0\no=- 5 5 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio "+
		fmt.Sprint(sound.Addr().Port())+" RTP/AVP 0 101\na=rtpmap:101 telephone-event/8000\n")
	p.request(gosip.ACK)
	d := wait(t, got)
	if d.err != nil {
		t.Fatal(d.err)
	}
	c := d.call
	if i := c.Info(); i.Direction != Outgoing || i.Codec != "PCMU" || i.Answered.IsZero() || i.To != "bob" {
		t.Errorf("%#v", i)
	}
	eventually(t, "sound", func() bool { return len(sound.Packets()) > 5 })
	p.reply(inv, 200, "far", plainSDP) // its ACK was lost: there is another one
	p.request(gosip.ACK)

	go func() { _ = c.Hangup(context.Background()) }()
	bye := p.request(gosip.BYE)
	if bye.CSeq().SeqNo != inv.CSeq().SeqNo+1 {
		t.Errorf("BYE CSeq %d after %d", bye.CSeq().SeqNo, inv.CSeq().SeqNo)
	}
	p.reply(bye, 200, "", "")
	if e := ended(t, c); e.By != ByUs || e.Code != 0 {
		t.Errorf("%+v", e)
	}

	// the far end hangs up
	got = x.dial(context.Background(), p.target(), DialOpt{})
	inv = p.request(gosip.INVITE)
	p.reply(inv, 200, "far2", plainSDP)
	c = wait(t, got).call
	u := &ua{peer: p, callID: inv.CallID().Value(), tag: "far2", uri: inv.Contact().Address.String(), via: "UDP"}
	u.remoteTag, _ = inv.From().Params.Get("tag")
	p.response(u.do("BYE", "", "From: <sip:bob@x>;tag=far2"), 200)
	if e := ended(t, c); e.By != ByFar {
		t.Errorf("%+v", e)
	}
}

func TestRefusalsBecomeErrors(t *testing.T) { // pitfall 20
	x := start(t, nil, nil)
	p := newPeer(t, x.udp)
	for code, kind := range map[int]error{486: ErrBusy, 600: ErrBusy, 603: ErrDeclined, 480: ErrNoAnswer, 408: ErrNoAnswer, 487: ErrNoAnswer,
		404: ErrNotFound, 604: ErrNotFound, 403: ErrForbidden, 401: ErrForbidden, 407: ErrForbidden, 488: ErrNotAcceptable, 302: ErrRedirected,
		500: ErrUnreachable, 503: ErrUnreachable} {
		got := x.dial(context.Background(), p.target(), DialOpt{})
		inv := p.request(gosip.INVITE)
		p.reply(inv, code, "far", "", "Contact", "<sip:elsewhere@10.0.0.1>")
		p.request(gosip.ACK)
		if code == 488 { // it is asked once more, with the codecs that we would rather not speak
			again := p.request(gosip.INVITE)
			offer := string(again.Body())
			for _, line := range []string{"RTP/AVP 9 111 101 102\r\n", "a=rtpmap:9 G722/8000\r\n", "a=rtpmap:111 opus/48000/2\r\n",
				"a=rtpmap:101 telephone-event/8000\r\n", "a=rtpmap:102 telephone-event/48000\r\n"} {
				if !strings.Contains(offer, line) {
					t.Errorf("%q is not in\n%s", line, offer)
				}
			}
			p.reply(again, code, "far", "")
			p.request(gosip.ACK)
		}
		d := wait(t, got)
		var refusal *DialError
		if !errors.Is(d.err, kind) || !errors.As(d.err, &refusal) || refusal.Code != code {
			t.Errorf("%d: %v", code, d.err)
		}
		if code == 302 && (len(refusal.Contacts) != 1 || !strings.Contains(refusal.Contacts[0], "elsewhere")) {
			t.Errorf("contacts %v", refusal.Contacts)
		}
	}
	eventually(t, "all calls over", func() bool { return x.Health().Calls == 0 && x.engine.Legs() == 0 })
}

func TestNobodyThereIsUnreachable(t *testing.T) {
	x := start(t, func(c *Config) { c.t1 = 5 * time.Millisecond }, nil)
	p := newPeer(t, x.udp)
	gone := p.addr
	p.conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	// sipgo's timers are global: ask for less than its 32 s
	go func() { time.Sleep(300 * time.Millisecond); cancel() }()
	if _, err := x.Dial(ctx, Target{URI: "sip:bob@" + gone}, DialOpt{}); err == nil {
		t.Error("answered by nobody")
	}
	if _, err := x.Dial(context.Background(), Target{URI: "sip:bob@127.0.0.1:1;transport=tcp"}, DialOpt{}); !errors.Is(err, ErrUnreachable) {
		t.Errorf("refused connection: %v", err)
	}
	for _, uri := range []string{"", "tel:123", "sip:a@b\r\nX: 1", "sip:", "sip:x@127.0.0.1;transport=sctp"} {
		if _, err := x.Dial(context.Background(), Target{URI: uri}, DialOpt{}); err == nil {
			t.Errorf("%q was dialled", uri)
		}
	}
	if _, err := x.Dial(context.Background(), Target{User: "8001"}, DialOpt{}); err != ErrNotRegistered {
		t.Errorf("unregistered: %v", err)
	}
	if n := x.Health().Calls; n != 0 {
		t.Errorf("%d calls", n)
	}
}

func TestDialIsCancelledWithItsContextAndByItsTimeout(t *testing.T) {
	x := start(t, nil, nil)
	p := newPeer(t, x.udp)
	mine := errors.New("caller has gone")
	for _, c := range []struct {
		name    string
		timeout time.Duration
		want    error
	}{{"context", 0, mine}, {"timeout", 100 * time.Millisecond, ErrNoAnswer}} {
		ctx, cancel := context.WithCancelCause(context.Background())
		got := x.dial(ctx, p.target(), DialOpt{Timeout: c.timeout})
		inv := p.request(gosip.INVITE)
		if c.timeout == 0 {
			cancel(mine)
			p.silent(50*time.Millisecond, func(m gosip.Message) bool { return m.CSeq().MethodName == gosip.CANCEL }) // not before a 1xx
		}
		if d := wait(t, got); !errors.Is(d.err, c.want) {
			t.Errorf("%s: %v", c.name, d.err)
		}
		p.reply(inv, 180, "far", "")
		can := p.request(gosip.CANCEL)
		if a, b := can.Via().Value(), inv.Via().Value(); a != b {
			t.Errorf("CANCEL Via %s, INVITE %s", a, b)
		}
		p.reply(can, 200, "far", "")
		p.reply(inv, 487, "far", "")
		p.request(gosip.ACK)
		cancel(nil)
	}
}

func TestAnswerAfterCancelIsAcknowledgedAndHungUp(t *testing.T) { // trap 18
	x := start(t, nil, nil)
	p := newPeer(t, x.udp)
	ctx, cancel := context.WithCancel(context.Background())
	got := x.dial(ctx, p.target(), DialOpt{})
	inv := p.request(gosip.INVITE)
	p.reply(inv, 180, "far", "")
	time.Sleep(50 * time.Millisecond)
	cancel()
	if d := wait(t, got); !errors.Is(d.err, context.Canceled) {
		t.Errorf("%v", d.err)
	}
	p.request(gosip.CANCEL)
	p.reply(inv, 200, "far", plainSDP)
	ack := p.request(gosip.ACK)
	if tag, _ := ack.To().Params.Get("tag"); tag != "far" {
		t.Errorf("ACK to %q", tag)
	}
	p.reply(p.request(gosip.BYE), 200, "", "")
}

func TestSecondAnswerOfAForkIsHungUp(t *testing.T) { // trap 19
	x := start(t, nil, nil)
	p := newPeer(t, x.udp)
	got := x.dial(context.Background(), p.target(), DialOpt{})
	inv := p.request(gosip.INVITE)
	p.reply(inv, 200, "one", plainSDP)
	p.request(gosip.ACK)
	c := wait(t, got).call
	p.reply(inv, 200, "two", plainSDP)
	tagOf := func(r *gosip.Request) string { v, _ := r.To().Params.Get("tag"); return v }
	if ack := p.request(gosip.ACK); tagOf(ack) != "two" {
		t.Errorf("ACK to %q", tagOf(ack))
	}
	bye := p.request(gosip.BYE)
	if tagOf(bye) != "two" {
		t.Errorf("BYE to %q", tagOf(bye))
	}
	p.reply(bye, 200, "", "")
	p.reply(inv, 200, "two", plainSDP) // again: acknowledged, but not hung up twice
	p.request(gosip.ACK)
	p.silent(100*time.Millisecond, func(m gosip.Message) bool { r, ok := m.(*gosip.Request); return ok && r.Method == gosip.BYE })
	if c.End() != (End{}) {
		t.Errorf("the first answer was ended, too: %+v", c.End())
	}
	// a 200 for which we never asked is not answered at all
	inv.CallID()
	stranger := inv.Clone()
	id := gosip.CallIDHeader("nobody@nowhere")
	stranger.ReplaceHeader(&id)
	stranger.SetSource(x.udp)
	p.reply(stranger, 200, "evil", plainSDP)
	p.silent(100*time.Millisecond, func(m gosip.Message) bool { return m.CallID().Value() == "nobody@nowhere" })
}

func TestUnusableAnswerIsHungUp(t *testing.T) {
	x := start(t, nil, nil)
	p := newPeer(t, x.udp)
	for _, body := range []string{"", "v=0\no=- 5 5 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 4000 RTP/AVP 18\n", "rubbish"} {
		got := x.dial(context.Background(), p.target(), DialOpt{})
		p.reply(p.request(gosip.INVITE), 200, "far", body)
		p.request(gosip.ACK)
		p.reply(p.request(gosip.BYE), 200, "", "")
		if d := wait(t, got); !errors.Is(d.err, ErrNotAcceptable) {
			t.Errorf("%q: %v", body, d.err)
		}
	}
}

func TestTrunkChallengeAndSessionTooShortAreAnswered(t *testing.T) {
	p := newPeer(t, "127.0.0.1:9")
	x := start(t, func(c *Config) {
		c.Trunks = []Trunk{{Name: "telecom", Proxy: "sip:" + p.addr, User: "46110110", Password: "secret"}}
		c.Outbound.Allow = []string{"1[3-9]xxxxxxxxx"}
	}, nil)
	got := x.dial(context.Background(), Target{Trunk: "telecom", Number: "139 1234\r\n5678"}, DialOpt{From: "46110110"})
	p.to = nil
	server := x.udp
	answer := func(inv *gosip.Request, code int, extra ...string) {
		p.to = mustUDP(t, server)
		p.reply(inv, code, "far", "", extra...)
		p.request(gosip.ACK)
	}
	inv := p.request(gosip.INVITE)
	if inv.Recipient.User != "13912345678" {
		t.Errorf("number %q", inv.Recipient.User)
	}
	chal := digest.Challenge{Realm: "carrier", Nonce: "n1", Algorithm: "SHA-256", QOP: []string{"auth"}}
	answer(inv, 407, "Proxy-Authenticate", chal.String())
	again := p.request(gosip.INVITE)
	if again.CSeq().SeqNo <= inv.CSeq().SeqNo || again.Via().Value() == inv.Via().Value() {
		t.Errorf("second INVITE: %s, %s", again.CSeq(), again.Via())
	}
	cred, err := digest.ParseCredentials(again.GetHeader("Proxy-Authorization").Value())
	if err != nil {
		t.Fatal(err)
	}
	want := sha256Hex(sha256Hex("46110110", "carrier", "secret"), "n1", "00000001", cred.Cnonce, "auth", sha256Hex("INVITE", again.Recipient.String()))
	if cred.Response != want {
		t.Errorf("response %s, want %s", cred.Response, want)
	}
	answer(again, 422, "Min-SE", "3600")
	again = p.request(gosip.INVITE)
	if v := headerOf(again, "Session-Expires").Value(); !strings.HasPrefix(v, "3600") {
		t.Errorf("Session-Expires %s", v)
	}
	p.reply(again, 200, "far", plainSDP, "Session-Expires", "3600;refresher=uas", "Require", "timer")
	p.request(gosip.ACK)
	d := wait(t, got)
	if d.err != nil {
		t.Fatal(d.err)
	}
	if i := d.call.Info(); i.Trunk != "telecom" {
		t.Errorf("trunk %q", i.Trunk)
	}
	go func() { _ = d.call.Hangup(context.Background()) }()
	bye := p.request(gosip.BYE) // challenged as well
	p.reply(bye, 407, "", "", "Proxy-Authenticate", chal.String())
	bye = p.request(gosip.BYE)
	if bye.GetHeader("Proxy-Authorization") == nil {
		t.Error("BYE without credentials")
	}
	p.reply(bye, 200, "", "")
}

func TestRegisteredPhonesAreCalledTheWayTheyCame(t *testing.T) { // traps 14 and 16, pitfall 13
	x := start(t, users("8001", "8002"), nil)
	p := newPeer(t, x.udp)
	// behind a NAT: the Contact is of no use, and nothing was ever sent to it
	if res := p.phone("8001").enter("<sip:8001@192.168.77.7:5060>", ""); res.StatusCode != 200 {
		t.Fatal(res)
	}
	// the socket knows nobody any more, as after a restart
	x.tpl.Pool("udp").Delete(p.addr)
	got := x.dial(context.Background(), Target{User: "8001"}, DialOpt{})
	inv := p.request(gosip.INVITE)
	if inv.Recipient.String() != "sip:8001@192.168.77.7:5060" {
		t.Errorf("Request-URI %s", inv.Recipient.String())
	}
	if via := fmt.Sprintf("%s:%d", inv.Via().Host, inv.Via().Port); via != x.udp || inv.Source() != x.udp {
		t.Errorf("INVITE from %s says %s, listener is %s", inv.Source(), via, x.udp)
	}
	p.reply(inv, 200, "far", plainSDP)
	p.request(gosip.ACK)
	c := wait(t, got).call
	if c.Info().User != "8001" {
		t.Errorf("%#v", c.Info())
	}
	go func() { _ = c.Hangup(context.Background()) }()
	p.reply(p.request(gosip.BYE), 200, "", "")

	q := dialTCP(t, x.tcp)
	if res := q.phone("8002").enter("<sip:8002@192.168.77.8:5060;transport=tcp>", ""); res.StatusCode != 200 {
		t.Fatal(res)
	}
	got = x.dial(context.Background(), Target{User: "8002"}, DialOpt{})
	inv = q.request(gosip.INVITE)
	if !strings.Contains(inv.Contact().Address.String(), "transport=tcp") || inv.Via().Transport != "TCP" {
		t.Errorf("%s %s", inv.Contact(), inv.Via())
	}
	q.reply(inv, 200, "far", plainSDP, "Record-Route", "<sip:192.168.77.9:5070;transport=tcp;lr>")
	q.request(gosip.ACK)
	c = wait(t, got).call
	go func() { _ = c.Hangup(context.Background()) }()
	bye := q.request(gosip.BYE)
	if r := bye.Route(); r == nil || r.Address.Host != "192.168.77.9" {
		t.Errorf("Route %v", r)
	}
	q.reply(bye, 200, "", "")
	ended(t, c)
	q.tcp.Close()
	eventually(t, "unregistered", func() bool { return !x.Registered("8002") })
	if _, err := x.Dial(context.Background(), Target{User: "8002"}, DialOpt{}); err != ErrNotRegistered {
		t.Errorf("%v", err)
	}
}

func TestDialogStaysOnItsConnection(t *testing.T) { // trap 16
	x := start(t, nil, nil)
	p := dialTCP(t, x.tcp)
	u := p.ua()
	u.invite(plainSDP, "Record-Route: <sip:127.0.0.1:9;transport=tcp;lr>", "Contact: <sip:alice@127.0.0.1:9;transport=tcp>")
	c := x.call()
	go func() { _ = c.Hangup(context.Background()) }()
	bye := p.request(gosip.BYE)
	if r := bye.Route(); r == nil || r.Address.Port != 9 {
		t.Errorf("Route %v", r)
	}
	p.reply(bye, 200, "", "")
}

func TestAllPhonesOfAUserRingAndTheFirstHasTheCall(t *testing.T) {
	x := start(t, users("8001"), nil)
	one, two := newPeer(t, x.udp), newPeer(t, x.udp)
	one.phone("8001").enter(one.contact(), "")
	two.phone("8001").enter("<sip:other@"+two.addr+">", "")
	got := x.dial(context.Background(), Target{User: "8001"}, DialOpt{})
	a, b := one.request(gosip.INVITE), two.request(gosip.INVITE)
	one.reply(a, 180, "one", "")
	two.reply(b, 180, "two", "")
	time.Sleep(50 * time.Millisecond)
	two.reply(b, 200, "two", plainSDP)
	two.request(gosip.ACK)
	c := wait(t, got).call
	can := one.request(gosip.CANCEL)
	if v := headerOf(can, "Reason"); v == nil || !strings.Contains(v.Value(), "cause=200") {
		t.Errorf("Reason %v", v)
	}
	one.reply(can, 200, "one", "")
	one.reply(a, 487, "one", "")
	one.request(gosip.ACK)
	go func() { _ = c.Hangup(context.Background()) }()
	two.reply(two.request(gosip.BYE), 200, "", "")

	// one declines for all, one alone is only busy
	for code, kind := range map[int]error{603: ErrDeclined, 486: ErrBusy} {
		got = x.dial(context.Background(), Target{User: "8001"}, DialOpt{})
		a, b = one.request(gosip.INVITE), two.request(gosip.INVITE)
		two.reply(b, 180, "two", "")
		time.Sleep(20 * time.Millisecond)
		one.reply(a, code, "one", "")
		if code == 603 {
			two.reply(two.request(gosip.CANCEL), 200, "two", "")
			two.reply(b, 487, "two", "")
		} else {
			two.reply(b, 480, "two", "")
		}
		if d := wait(t, got); !errors.Is(d.err, kind) {
			t.Errorf("%d: %v", code, d.err)
		}
	}
	eventually(t, "all calls over", func() bool { return x.Health().Calls == 0 })
}

func TestBridgeLetsBothHearEachOther(t *testing.T) {
	x := start(t, nil, nil)
	caller, operator := mediatest.NewPeer(t, mediatest.Phone{}), mediatest.NewPeer(t, mediatest.Phone{})
	p := newPeer(t, x.udp)
	u := p.ua()
	res := u.invite(sdpFor("127.0.0.1", int(caller.Addr().Port())))
	a := x.call()
	caller.Call(described(t, res.Body()).addr)
	got := x.dial(context.Background(), p.target(), DialOpt{Codec: a.Info().Codec})
	inv := p.request(gosip.INVITE)
	p.reply(inv, 200, "op", sdpFor("127.0.0.1", int(operator.Addr().Port())))
	p.request(gosip.ACK)
	b := wait(t, got).call
	operator.Call(described(t, inv.Body()).addr)
	done := make(chan error, 1)
	go func() { done <- Bridge(context.Background(), a, b) }()
	caller.Tone(440)
	operator.Tone(880)
	if err := caller.WaitTone(880, patience); err != nil {
		t.Errorf("caller: %v", err)
	}
	if err := operator.WaitTone(440, patience); err != nil {
		t.Errorf("operator: %v", err)
	}
	p.response(u.do("BYE", ""), 200)
	if err := <-done; err != nil {
		t.Error(err)
	}
	go func() { _ = b.Hangup(context.Background()) }()
	p.reply(p.request(gosip.BYE), 200, "", "")
	ended(t, b)
}

func TestPublicAddressIsToldToThoseOutside(t *testing.T) {
	public := netip.MustParseAddr("203.0.113.5")
	for _, inside := range []bool{false, true} {
		x := start(t, func(c *Config) {
			c.PublicIP = public
			if inside {
				c.LocalNets = []netip.Prefix{loopback}
			}
		}, nil)
		p := newPeer(t, x.udp)
		u := p.ua()
		res := u.invite(plainSDP)
		want := public.String()
		if inside {
			want = "127.0.0.1"
		}
		if a := described(t, res.Body()).addr.Addr().String(); a != want || res.Contact().Address.Host != want {
			t.Errorf("inside %v: SDP %s, Contact %s, want %s", inside, a, res.Contact().Address.Host, want)
		}
		p.response(u.do("BYE", ""), 200)
	}
}

func TestIPv6(t *testing.T) { // pitfall 17
	x := start(t, func(c *Config) {
		c.Listen = []string{"udp://[::1]:0"}
		c.Trusted = append(c.Trusted, netip.MustParsePrefix("::1/128"))
	}, nil)
	p := newPeer(t, x.udp)
	u := p.ua()
	u.uri = "sip:46110110@" + x.udp
	res := u.invite(sdpFor("::1", 40000))
	r := described(t, res.Body())
	if r.addr.Addr() != netip.IPv6Loopback() {
		t.Errorf("answer\n%s", res.Body())
	}
	if h := res.Contact().Address.Host; h != "[::1]" {
		t.Errorf("Contact %s", h)
	}
	c := x.call()
	go func() { _ = c.Hangup(context.Background()) }()
	p.reply(p.request(gosip.BYE), 200, "", "")
	got := x.dial(context.Background(), p.target(), DialOpt{})
	inv := p.request(gosip.INVITE)
	p.reply(inv, 200, "far", sdpFor("::1", 40002))
	p.request(gosip.ACK)
	if d := wait(t, got); d.err != nil {
		t.Error(d.err)
	}
}
