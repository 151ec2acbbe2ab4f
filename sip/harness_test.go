package sip

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	gosip "github.com/emiago/sipgo/sip"

	"lianxin/sip/media"
)

// patience is how long a test waits for what must come. It is generous: the machine may be busy.
const patience = 20 * time.Second

var loopback = netip.MustParsePrefix("127.0.0.0/8")

// exchange is a Server under test, on free ports of the loopback.
type exchange struct {
	*Server
	t        testing.TB
	engine   *media.Engine
	udp, tcp string // host:port
	tls      string
	calls    chan Call
	log      *lockedBuffer
	stop     context.CancelFunc
	stopped  chan struct{}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// start runs a server whose calls are handled by handle; nil answers them and waits for their end.
func start(t testing.TB, change func(*Config), handle func(context.Context, Call)) *exchange {
	t.Helper()
	return startWith(t, media.Config{}, change, handle)
}

// startWith is start with an engine of one's own making.
func startWith(t testing.TB, sound media.Config, change func(*Config), handle func(context.Context, Call)) *exchange {
	t.Helper()
	x, serve := prepare(t, sound, change, handle)
	serve()
	return x
}

// prepare makes a server that does not read yet.
func prepare(t testing.TB, sound media.Config, change func(*Config), handle func(context.Context, Call)) (_ *exchange, serve func()) {
	t.Helper()
	x := &exchange{t: t, calls: make(chan Call, 100_000), log: &lockedBuffer{}, stopped: make(chan struct{})}
	var err error
	if !sound.IP.IsValid() {
		sound.IP = netip.MustParseAddr("127.0.0.1")
	}
	sound.PortLow, sound.PortHigh, sound.Quarantine, sound.Pacers = 12000, 19999, 50*time.Millisecond, 1
	x.engine, err = media.NewEngine(sound)
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{patient: true, // the machine may be busy
		Listen: []string{"udp://127.0.0.1:0", "tcp://127.0.0.1:0"}, Open: true, Trusted: []netip.Prefix{loopback},
		Log: slog.New(slog.NewTextHandler(io.MultiWriter(x.log), &slog.HandlerOptions{Level: slog.LevelDebug}))}
	if change != nil {
		change(&cfg)
	}
	x.Server, err = New(cfg, x.engine)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range x.Addrs() {
		switch scheme, addr, _ := strings.Cut(a, "://"); scheme {
		case "udp":
			x.udp = addr
		case "tcp":
			x.tcp = addr
		case "tls":
			x.tls = addr
		}
	}
	x.auth.delay = 5 * time.Millisecond // before anything is served
	if handle == nil {
		handle = func(ctx context.Context, c Call) {
			if err := c.Answer(ctx); err == nil {
				<-c.Done()
			}
		}
	}
	ctx, stop := context.WithCancel(context.Background())
	x.stop = stop
	serve = func() {
		go func() {
			defer close(x.stopped)
			_ = x.Serve(ctx, func(ctx context.Context, c Call) {
				select {
				case x.calls <- c:
				default:
				}
				handle(ctx, c)
			})
		}()
	}
	t.Cleanup(func() {
		stop()
		<-x.stopped
		_ = x.engine.Close()
		if n := x.count.panics.Load(); n > 0 && !strings.Contains(t.Name(), "Panic") {
			t.Errorf("%d panics:\n%s", n, x.log)
		}
	})
	return x, serve
}

// call waits for the next call that the server handed out.
func (x *exchange) call() Call {
	x.t.Helper()
	select {
	case c := <-x.calls:
		return c
	case <-time.After(patience):
		x.t.Fatal("no call came")
		return nil
	}
}

// ended waits for a call's end.
func ended(t testing.TB, c Call) End {
	t.Helper()
	select {
	case <-c.Done():
		return c.End()
	case <-time.After(patience):
		t.Fatalf("call has not ended; trace:\n%s", traceOf(c))
		return End{}
	}
}

func traceOf(c Call) string {
	var b strings.Builder
	for _, l := range c.Trace() {
		fmt.Fprintf(&b, "%s out=%v %s %s\n", l.At.Format("15:04:05.000"), l.Out, l.Peer, l.Text)
	}
	return b.String()
}

// peer is a telephone made of one UDP socket and our own hands.
type peer struct {
	t    testing.TB
	conn net.PacketConn
	to   net.Addr
	addr string
	in   chan gosip.Message
	tcp  net.Conn // or a TLS connection
	via  string
}

func newPeer(t testing.TB, server string) *peer {
	t.Helper()
	to, err := net.ResolveUDPAddr("udp", server)
	if err != nil {
		t.Fatal(err)
	}
	local := "127.0.0.1:0"
	if to.IP.To4() == nil {
		local = "[::1]:0"
	}
	c, err := net.ListenPacket("udp", local)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.(*net.UDPConn).SetReadBuffer(4 << 20)
	p := &peer{t: t, conn: c, to: to, addr: c.LocalAddr().String(), in: make(chan gosip.Message, 10_000)}
	t.Cleanup(func() { c.Close() })
	go func() {
		buf := make([]byte, 65535)
		for {
			n, from, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			if m, err := gosip.ParseMessage(append([]byte(nil), buf[:n]...)); err == nil {
				m.SetSource(from.String())
				p.in <- m
			}
		}
	}()
	return p
}

// dialTCP is a peer on a TCP connection.
func dialTCP(t testing.TB, server string) *peer {
	t.Helper()
	c, err := net.Dial("tcp", server)
	if err != nil {
		t.Fatal(err)
	}
	return newStream(t, c, "TCP")
}

// newStream is a peer on a connection.
func newStream(t testing.TB, c net.Conn, via string) *peer {
	p := &peer{t: t, tcp: c, via: via, addr: c.LocalAddr().String(), in: make(chan gosip.Message, 10_000)}
	t.Cleanup(func() { c.Close() })
	go func() {
		par := gosip.NewParser().NewSIPStream()
		buf := make([]byte, 65535)
		for {
			n, err := c.Read(buf)
			if err != nil {
				return
			}
			_ = par.ParseSIPStream(append([]byte(nil), buf[:n]...), func(m gosip.Message) { p.in <- m })
		}
	}()
	return p
}

// write sends bytes as they are.
func (p *peer) write(b []byte) {
	p.t.Helper()
	var err error
	if p.tcp != nil {
		_, err = p.tcp.Write(b)
	} else {
		_, err = p.conn.WriteTo(b, p.to)
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

// response waits for a response to the request numbered so, passing over everything else.
func (p *peer) response(cseq string, codes ...int) *gosip.Response {
	p.t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case m := <-p.in:
			res, ok := m.(*gosip.Response)
			if !ok || res.CSeq() == nil || res.CSeq().Value() != cseq {
				continue
			}
			for _, c := range codes {
				if res.StatusCode == c {
					return res
				}
			}
			if res.StatusCode >= 200 || len(codes) == 0 {
				p.t.Fatalf("%s: got %d %s, want %v", cseq, res.StatusCode, res.Reason, codes)
			}
		case <-deadline:
			p.t.Fatalf("%s: no response %v", cseq, codes)
		}
	}
}

// request waits for a request of that method.
func (p *peer) request(method gosip.RequestMethod) *gosip.Request {
	p.t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case m := <-p.in:
			if req, ok := m.(*gosip.Request); ok && req.Method == method {
				return req
			}
		case <-deadline:
			p.t.Fatalf("no %s came", method)
		}
	}
}

// silent checks that nothing of a kind comes for a while.
func (p *peer) silent(d time.Duration, bad func(gosip.Message) bool) {
	p.t.Helper()
	deadline := time.After(d)
	for {
		select {
		case m := <-p.in:
			if bad(m) {
				p.t.Fatalf("unexpected message:\n%s", m)
			}
		case <-deadline:
			return
		}
	}
}

// reply answers a request of the server.
func (p *peer) reply(req *gosip.Request, code int, tag, body string, extra ...string) {
	p.t.Helper()
	res := gosip.NewResponseFromRequest(req, code, "Reply", nil)
	if tag != "" && !req.To().Params.Has("tag") {
		res.To().Params.Add("tag", tag)
	}
	for i := 0; i+1 < len(extra); i += 2 {
		res.AppendHeader(gosip.NewHeader(extra[i], extra[i+1]))
	}
	if code >= 180 && code < 300 && req.Method == gosip.INVITE {
		res.AppendHeader(gosip.NewHeader("Contact", p.contact()))
	}
	if body != "" {
		res.AppendHeader(gosip.NewHeader("Content-Type", "application/sdp"))
		res.SetBody([]byte(body))
	}
	p.write([]byte(res.String()))
}

func (p *peer) contact() string {
	if p.tcp != nil {
		return "<sip:alice@" + p.addr + ";transport=" + strings.ToLower(p.via) + ">"
	}
	return "<sip:alice@" + p.addr + ">"
}

// ua is one dialog of a peer, as the side that calls.
type ua struct {
	*peer
	callID, tag, remoteTag, uri string
	via                         string
	seq                         int
}

var uaSeq struct {
	sync.Mutex
	n int
}

func unique() string {
	uaSeq.Lock()
	defer uaSeq.Unlock()
	uaSeq.n++
	return fmt.Sprintf("%d-%d", uaSeq.n, time.Now().UnixNano())
}

func (p *peer) ua() *ua {
	n := unique()
	via := "UDP"
	if p.tcp != nil {
		via = p.via
	}
	to := ""
	if p.to != nil {
		to = p.to.String()
	} else {
		to = p.tcp.RemoteAddr().String()
	}
	return &ua{peer: p, callID: "call-" + n, tag: "tag" + n, uri: "sip:46110110@" + to, via: via}
}

// message writes a request of the dialog. extra are further header lines.
func (u *ua) message(method string, seq int, branch, body string, extra ...string) string {
	to := "<" + u.uri + ">"
	if u.remoteTag != "" {
		to += ";tag=" + u.remoteTag
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s SIP/2.0\nVia: SIP/2.0/%s %s;branch=z9hG4bK%s\n", method, u.uri, u.via, u.addr, branch)
	for _, h := range extra {
		if strings.HasPrefix(h, "-") {
			continue
		}
		b.WriteString(h + "\n")
	}
	if !strings.Contains(b.String(), "\nFrom:") {
		fmt.Fprintf(&b, "From: \"Alice\" <sip:13912345678@127.0.0.1>;tag=%s\n", u.tag)
	}
	if !strings.Contains(b.String(), "Max-Forwards:") {
		b.WriteString("Max-Forwards: 70\n")
	}
	if !strings.Contains(b.String(), "CSeq:") {
		fmt.Fprintf(&b, "CSeq: %d %s\n", seq, method)
	}
	if !strings.Contains(b.String(), "Contact:") {
		fmt.Fprintf(&b, "Contact: %s\n", u.contact())
	}
	if body != "" && !strings.Contains(b.String(), "Content-Type:") {
		b.WriteString("Content-Type: application/sdp\n")
	}
	body = strings.ReplaceAll(body, "\n", "\r\n")
	fmt.Fprintf(&b, "To: %s\nCall-ID: %s\nContent-Length: %d\n\n", to, u.callID, len(body))
	return strings.ReplaceAll(b.String(), "\n", "\r\n") + body
}

// do sends a new request and returns its CSeq value.
func (u *ua) do(method, body string, extra ...string) string {
	u.t.Helper()
	u.seq++
	u.write([]byte(u.message(method, u.seq, unique(), body, extra...)))
	return fmt.Sprintf("%d %s", u.seq, method)
}

func (u *ua) ack(body string) {
	u.t.Helper()
	u.write([]byte(u.message("ACK", u.seq, unique(), body)))
}

// invite calls, waits for the 200 and acknowledges it.
func (u *ua) invite(body string, extra ...string) *gosip.Response {
	u.t.Helper()
	res := u.response(u.do("INVITE", body, extra...), 200)
	u.remoteTag, _ = res.To().Params.Get("tag")
	u.ack("")
	return res
}

// sdpFor is a plain offer or answer with PCMA, PCMU and telephone events.
func sdpFor(host string, port int, more ...string) string {
	family := "IP4"
	if strings.Contains(host, ":") {
		family = "IP6"
	}
	s := fmt.Sprintf("v=0\no=- 1 1 IN %s %s\ns=-\nc=IN %s %s\nt=0 0\nm=audio %d RTP/AVP 8 0 101\na=rtpmap:8 PCMA/8000\na=rtpmap:0 PCMU/8000\n"+
		"a=rtpmap:101 telephone-event/8000\na=fmtp:101 0-15\n", family, host, family, host, port)
	for _, m := range more {
		s += m + "\n"
	}
	return s
}

var plainSDP = sdpFor("127.0.0.1", 40000)

// tool finds a program that the tests talk to.
func tool(t testing.TB, name, probe string) string {
	t.Helper()
	if probe != "" {
		if _, err := os.Stat(probe); err != nil {
			t.Fatalf("%s is missing (%v): run `make tools`", name, err)
		}
	}
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is missing: run `make tools`", name)
	}
	return path
}

// eventually waits until f holds.
func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if f() {
			return
		}
	}
	t.Fatalf("%s: not within %v", what, patience)
}

func mustUDP(t testing.TB, addr string) net.Addr {
	t.Helper()
	a, err := net.ResolveUDPAddr("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return a
}
