package sip

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	gosip "github.com/emiago/sipgo/sip"

	"lianxin/sip/media"
)

func TestScannersAndNoiseGetNoAnswer(t *testing.T) { // pitfall 37
	x := start(t, nil, nil)
	p := newPeer(t, x.udp)
	u := p.ua()
	for _, agent := range []string{"friendly-scanner", "SIPVicious/0.3", "sipcli/v1.8", "pplsip"} {
		p.write([]byte(u.message("OPTIONS", 1, unique(), "", "User-Agent: "+agent)))
	}
	for _, b := range []string{"", "\x00\x00", "\r\n\r\n", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", strings.Repeat("A", 3000),
		"INVITE", "INVITE sip:x SIP/2.0", "\x80\x08\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"} {
		p.write([]byte(b))
	}
	q := dialTCP(t, x.tcp)
	q.write([]byte(strings.Replace(u.message("OPTIONS", 1, unique(), "", "User-Agent: friendly-scanner"), "SIP/2.0/UDP", "SIP/2.0/TCP", 1)))
	p.silent(200*time.Millisecond, func(gosip.Message) bool { return true })
	q.silent(10*time.Millisecond, func(gosip.Message) bool { return true })
	h := x.Health()
	if h.Dropped["scanner"] != 5 || h.Dropped["noise"] < 7 {
		t.Errorf("dropped %v", h.Dropped)
	}
	if n := x.tpl.Pool("udp").Size(); n > 1 {
		t.Errorf("the library remembers %d addresses", n)
	}
	p.response(u.do("OPTIONS", ""), 200)
}

func TestForgedSourcesCostLittle(t *testing.T) { // trap 11
	const n = 300_000
	g := newGuard(Limits{}, nil)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	passed := 0
	for i := range n {
		if g.admits(netip.AddrFrom4([4]byte{byte(i >> 24), byte(i >> 16), byte(i >> 8), byte(i)})) {
			passed++
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 20<<20 {
		t.Errorf("%d MB", grown>>20)
	}
	if passed > 5000 {
		t.Errorf("%d of %d new sources passed at once", passed, n)
	}
	runtime.KeepAlive(g)
}

func TestSourcesAreForgottenOldestFirst(t *testing.T) {
	g := newGuard(Limits{Sources: 4, NewRate: 1e9, NewBurst: 1e9, SourceRate: 1e-9, SourceBurst: 2}, nil)
	ip := func(i byte) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, i}) }
	for i := byte(1); i <= 4; i++ {
		g.admits(ip(i))
	}
	if !g.admits(ip(1)) || g.admits(ip(1)) {
		t.Error("a source has two messages, not three")
	}
	g.admits(ip(5)) // pushes 2 out
	if len(g.sources) != 4 || g.sources[ip(2)] != nil || g.sources[ip(1)] == nil {
		t.Errorf("%v", g.sources)
	}
	if g.admits(ip(1)) {
		t.Error("1 was forgotten")
	}
	// the addresses of one IPv6 network are one source
	a, b := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::ffff:2")
	if near(a) != near(b) || near(a) == near(netip.MustParseAddr("2001:db8:0:1::1")) {
		t.Error("IPv6 prefixes")
	}
}

func TestConnectionsAreLimited(t *testing.T) {
	x := start(t, func(c *Config) { c.Trusted = nil; c.Limits = Limits{ConnsPerIP: 3} }, nil)
	var open []net.Conn
	refused := 0
	for range 6 {
		c, err := net.Dial("tcp", x.tcp)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		open = append(open, c)
		_ = c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		var ne net.Error
		if _, err := c.Read(make([]byte, 1)); err != nil && !(errors.As(err, &ne) && ne.Timeout()) {
			refused++
		}
	}
	if refused != 3 {
		t.Errorf("%d of 6 refused", refused)
	}
	open[0].Close()
	eventually(t, "room for another", func() bool {
		c, err := net.Dial("tcp", x.tcp)
		if err != nil {
			return false
		}
		defer c.Close()
		_ = c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		_, err = c.Read(make([]byte, 1))
		var ne net.Error
		return errors.As(err, &ne) && ne.Timeout()
	})
}

func TestRportIsAddedToRequestsThatLackIt(t *testing.T) { // trap 15
	for _, c := range []struct{ in, out string }{
		{"OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK1\r\n\r\n",
			"OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK1;rport\r\n\r\n"},
		{"OPTIONS sip:a SIP/2.0\r\nTo: x\r\nv :SIP/2.0/UDP 10.0.0.1 ;branch=z9hG4bK1 , SIP/2.0/UDP b;rport\r\n\r\n",
			"OPTIONS sip:a SIP/2.0\r\nTo: x\r\nv :SIP/2.0/UDP 10.0.0.1 ;branch=z9hG4bK1;rport , SIP/2.0/UDP b;rport\r\n\r\n"},
		{"OPTIONS sip:a SIP/2.0\r\nVIA: SIP/2.0/UDP 10.0.0.1\r\n ;branch=z9hG4bK1\r\nVia: SIP/2.0/UDP b;rport\r\n\r\n",
			"OPTIONS sip:a SIP/2.0\r\nVIA: SIP/2.0/UDP 10.0.0.1\r\n ;branch=z9hG4bK1;rport\r\nVia: SIP/2.0/UDP b;rport\r\n\r\n"},
		{"OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/UDP a;RPort;branch=1\r\n\r\n", ""},
		{"OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/UDP a;rport=5\r\n\r\n", ""},
		{"OPTIONS sip:a SIP/2.0\r\nX-Via: SIP/2.0/UDP a\r\n\r\nVia: SIP/2.0/UDP body\r\n", ""},
		{"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP a\r\n\r\n", ""},
		{"OPTIONS sip:a SIP/2.0\r\nVia:\r\n\r\n", ""},
		{"OPTIONS sip:a SIP/2.0", ""},
	} {
		if c.out == "" {
			c.out = c.in
		}
		buf := make([]byte, 1000)
		n := addRport(buf, copy(buf, c.in))
		if got := string(buf[:n]); got != c.out {
			t.Errorf("%q\nbecame %q\nwant   %q", c.in, got, c.out)
		}
		if full := []byte(c.in); addRport(full, len(full)) != len(c.in) { // no room
			t.Error("written beyond the buffer")
		}
	}
	// on the wire: the Via says another port than the request comes from
	x := start(t, nil, nil)
	p := newPeer(t, x.udp)
	u := p.ua()
	msg := strings.Replace(u.message("OPTIONS", 1, unique(), ""), "UDP "+p.addr, "UDP 10.9.8.7:1", 1)
	u.write([]byte(msg))
	res := p.response("1 OPTIONS", 200)
	host, port, _ := net.SplitHostPort(p.addr)
	if v := res.Via(); v.Params.GetOr("received", "") != host || v.Params.GetOr("rport", "") != port {
		t.Errorf("Via %s", v)
	}
}

// brokenConn fails every third read, and then for good.
type brokenConn struct {
	*net.UDPConn
	n    atomic.Int64
	dead atomic.Bool
}

func (b *brokenConn) ReadFromUDPAddrPort(p []byte) (int, netip.AddrPort, error) {
	if b.dead.Load() {
		b.UDPConn.Close()
		return 0, netip.AddrPort{}, net.ErrClosed
	}
	if b.n.Add(1)%3 == 0 {
		return 0, netip.AddrPort{}, errors.New("no buffer space available")
	}
	return b.UDPConn.ReadFromUDPAddrPort(p)
}

// brokenListener fails every second accept.
type brokenListener struct {
	net.Listener
	n atomic.Int64
}

func (b *brokenListener) Accept() (net.Conn, error) {
	if b.n.Add(1)%2 == 0 {
		return nil, errors.New("accept: too many open files")
	}
	return b.Listener.Accept()
}

func TestListenersSurviveEveryError(t *testing.T) { // trap 10
	x := startBroken(t)
	p := newPeer(t, x.udp)
	for range 10 {
		p.response(p.ua().do("OPTIONS", ""), 200)
	}
	for range 5 {
		q := dialTCP(t, x.tcp)
		q.response(q.ua().do("OPTIONS", ""), 200)
	}
	h := x.Health()
	if h.Dropped["readErrors"] == 0 || h.Dropped["acceptErrors"] == 0 || !h.OK() {
		t.Errorf("%+v", h)
	}
	x.listeners[0].mu.Lock()
	x.listeners[0].udp.packetConn.(*brokenConn).dead.Store(true)
	x.listeners[0].mu.Unlock()
	p.ua().do("OPTIONS", "") // wakes the reader, which finds its socket gone
	eventually(t, "restart", func() bool { return x.Health().Listeners[0].Restarts > 0 })
	eventually(t, "bound again", func() bool {
		u := p.ua()
		u.do("OPTIONS", "")
		select {
		case m := <-p.in:
			_, ok := m.(*gosip.Response)
			return ok
		case <-time.After(50 * time.Millisecond):
			return false
		}
	})
	eventually(t, "healthy again", func() bool {
		h := x.Health()
		return h.Listeners[0].Restarts > 0 && h.Listeners[0].LastError != "" && h.OK()
	})
}

// startBroken is start with failing sockets.
func startBroken(t *testing.T) *exchange {
	x, serve := prepare(t, media.Config{}, nil, nil)
	l := x.listeners[0]
	l.use(&brokenConn{UDPConn: l.udp.packetConn.(*net.UDPConn)})
	x.listeners[1].tcp.Listener = &brokenListener{Listener: x.listeners[1].tcp.Listener}
	serve()
	return x
}

func TestReadLoopIsRenewedBeforeItKnowsTooMany(t *testing.T) { // trap 11: what the library keeps per source, it keeps for ever
	x := start(t, nil, nil)
	p := newPeer(t, x.udp)
	pool := x.tpl.Pool("udp")
	u := p.ua()
	u.invite(plainSDP)
	c, err := x.tpl.GetConnection("udp", x.udp)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2*maxPool + 10 {
		pool.Add(fmt.Sprintf("10.%d.%d.%d:5060", i>>16, i>>8&255, i&255), c)
	}
	for range 2100 { // the size is looked at every 1024 datagrams
		p.write([]byte("\r\n\r\n"))
		time.Sleep(time.Microsecond)
	}
	eventually(t, "renewed", func() bool {
		p.write([]byte("\r\n\r\n"))
		now, err := x.tpl.GetConnection("udp", x.udp)
		if err != nil {
			return false
		}
		_, _ = now.TryClose()
		return now != c
	})
	p.response(u.do("INFO", "5", "Content-Type: application/dtmf"), 200) // the call has not noticed
	p.response(u.do("BYE", ""), 200)
	if h := x.Health(); !h.OK() || h.Listeners[0].Restarts != 0 {
		t.Errorf("%+v", h)
	}
}

func TestBigMessagesOverUDP(t *testing.T) { // trap 7
	x := start(t, nil, nil)
	p := newPeer(t, x.udp)
	big := strings.Repeat("x", 3000)
	got := x.dial(context.Background(), p.target(), DialOpt{Headers: map[string]string{"X-A": big[:1000], "X-B": big[:1000], "X-C": big[:1000]}})
	inv := p.request(gosip.INVITE)
	if len(inv.String()) < 3000 {
		t.Errorf("%d bytes", len(inv.String()))
	}
	p.reply(inv, 486, "far", "")
	if d := wait(t, got); !errors.Is(d.err, ErrBusy) {
		t.Error(d.err)
	}
	u := p.ua()
	res := p.response(u.do("INVITE", plainSDP, "X-Pad: "+big, "Record-Route: <sip:"+big[:1500]+"@127.0.0.1;lr>"), 200)
	if len(res.String()) < 1500 {
		t.Errorf("%d bytes", len(res.String()))
	}
}

func TestBadDatagramsDoNotFloodTheLog(t *testing.T) { // trap 12
	var out lockedBuffer
	h := slog.New(newSampled(slog.NewTextHandler(&out, nil)))
	for range 1000 {
		h.Error("failed to parse", "data", "INVITE sip:13912345678@x SIP/2.0\r\nX: \x1b[31m"+strings.Repeat("y", 10000), "error", errors.New("bad\r\nlevel=ERROR forged"))
	}
	text := out.String()
	if n := strings.Count(text, "\n"); n == 0 || n > 3*perSecond {
		t.Errorf("%d lines", n)
	}
	if len(text) > 3*perSecond*500 || strings.Contains(text, "\x1b") || strings.Contains(text, "13912345678") ||
		strings.Count(text, "\n") != strings.Count(text, "\ntime=")+1 {
		t.Errorf("%s", text[:min(len(text), 1000)])
	}
}

func TestNumbersStayOutOfLogAndTrace(t *testing.T) { // house rule: personal data is never logged
	x := start(t, nil, nil)
	p := newPeer(t, x.udp)
	u := p.ua()
	u.invite(plainSDP)
	c := x.call()
	p.response(u.do("BYE", "", "Reason: SIP;text=\"13912345678\""), 200)
	e := ended(t, c)
	var out lockedBuffer
	slog.New(slog.NewTextHandler(&out, nil)).Info("call", "info", c.Info(), "end", e)
	fmt.Fprintf(&out, "%v %+v %s %#v %s", c.Info(), c.Info(), c.Info(), c.Info(), traceOf(c))
	if s := out.String() + x.log.String(); strings.Contains(s, "13912345678") {
		t.Errorf("number in\n%s", s)
	}
	if lines := c.Trace(); len(lines) < 5 || lines[0].Out || !strings.HasPrefix(lines[0].Text, "INVITE (1 INVITE, application/sdp") {
		t.Errorf("trace\n%s", traceOf(c))
	}
}

func TestTraceKeepsTheFirstAndTheLast(t *testing.T) {
	var r trace
	const more = 10
	for i := range tracedFirst + tracedLast + more {
		r.add(TraceLine{Text: fmt.Sprint(i)})
	}
	l, left := r.list()
	if len(l) != tracedFirst+tracedLast || left != more || l[0].Text != "0" || l[tracedFirst-1].Text != fmt.Sprint(tracedFirst-1) ||
		l[tracedFirst].Text != fmt.Sprint(tracedFirst+more) || l[len(l)-1].Text != fmt.Sprint(tracedFirst+tracedLast+more-1) {
		t.Errorf("%d lines and %d left out, from %s to %s", len(l), left, l[0].Text, l[len(l)-1].Text)
	}
}

func TestLoneLineFeedsAreNoise(t *testing.T) { // … which the parser would take for a part of a value, and an answer would hand on
	for m, want := range map[string]verdict{
		"OPTIONS sip:a SIP/2.0\r\nFrom: <sip:a>;tag=1\nX-Injected: 1\r\n\r\n": noise,
		"OPTIONS sip:a SIP/2.0\r\nFrom: <sip:a>;tag=1\r\n\r\nbody\nof lines":  pass,
	} {
		if got := inspect([]byte(m)); got != want {
			t.Errorf("%q: %v, want %v", m, got, want)
		}
	}
	var f framing
	if f.take([]byte("OPTIONS sip:a SIP/2.0\r\nFrom: <sip:a>;tag=1\nX: 1\r\n\r\n"), time.Now()) {
		t.Error("taken from a stream")
	}
}

func FuzzGuard(f *testing.F) {
	f.Add([]byte("OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1\r\nUser-Agent: friendly\r\n -scanner\r\n\r\nbody"))
	f.Add([]byte("v\r\nv: \"a,b\";x , c\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		v := inspect(b)
		buf := make([]byte, len(b)+20)
		n := addRport(buf, copy(buf, b))
		if v != pass {
			return
		}
		if n != len(b) { // then ;rport has come in somewhere, and nothing else has changed
			inserted := false
			for k := 0; k <= len(b) && !inserted && n == len(b)+6; k++ {
				inserted = bytes.Equal(buf[:k], b[:k]) && string(buf[k:k+6]) == ";rport" && bytes.Equal(buf[k+6:n], b[k:])
			}
			if !inserted {
				t.Fatalf("%q became %q", b, buf[:n])
			}
		}
		// once is enough
		if m := addRport(append([]byte(nil), append(buf[:n:n], make([]byte, 20)...)...), n); m != n && n == len(b)+6 {
			t.Fatalf("twice: %q", buf[:n])
		}
		// the library takes a comma in a hop without parameters for a part of the host, and overlooks a bad hop behind it
		if m, err := gosip.ParseMessage(b); err == nil && !bytes.Contains(b, []byte(",")) {
			if _, err := gosip.ParseMessage(buf[:n]); err != nil {
				t.Fatalf("rport spoils %q: %v (%v)", b, err, m)
			}
		}
	})
}

func FuzzClean(f *testing.F) {
	f.Add("a\r\nX: 1", 10)
	f.Add("张三\u2028\u202e", 3)
	f.Fuzz(func(t *testing.T, s string, max int) {
		if max < 0 || max > 1000 {
			max = 64
		}
		for name, out := range map[string]string{"clean": clean(s, max), "display": cleanDisplay(s), "user": cleanUser(s), "token": cleanToken(s)} {
			if strings.ContainsAny(out, "\r\n\x00\u2028\u2029\u202e") || !utf8.ValidString(out) {
				t.Fatalf("%s(%q) = %q", name, s, out)
			}
			if name == "display" && strings.ContainsAny(out, `"\`) {
				t.Fatalf("display %q", out)
			}
			if name == "user" && strings.ContainsAny(out, "<>@: ;\"") {
				t.Fatalf("user %q", out)
			}
		}
		if n := utf8.RuneCountInString(clean(s, max)); n > max {
			t.Fatalf("%d characters", n)
		}
		if m := maskDigits(s); len(s) > 0 && len(m) == 0 {
			t.Fatalf("%q masked to nothing", s)
		}
	})
}

func FuzzInfoDigit(f *testing.F) {
	f.Add([]byte("Signal=5\r\nDuration=100"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, ok := infoDigit(b); ok && !strings.ContainsRune("0123456789*#ABCD", r) {
			t.Fatalf("%q", r)
		}
	})
}

func TestInfoDigits(t *testing.T) { // pitfall 21
	for body, want := range map[string]rune{"Signal=5\r\nDuration=160": '5', "Signal= 5\n": '5', "signal=*": '*', "Signal=#\r\n": '#', "5": '5', "d=7\r\n": '7',
		"10": '*', "11": '#', "Signal=12": 'A', "a": 'A', "Duration=160\r\nSignal=9": '9', "": 0, "Signal=": 0, "16": 0, "Signal=55": 0, "hello": 0} {
		got, _ := infoDigit([]byte(body))
		if got != want {
			t.Errorf("%q: %q, want %q", body, got, want)
		}
	}
}
