package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// A generator makes calls over one UDP socket: the least that RFC 3261 wants of a caller, and of the friend who is called.
type generator struct {
	conn   *net.UDPConn
	to     netip.AddrPort
	self   string
	sound  *crowd // nil: no sound is sent
	mu     sync.Mutex
	calls  map[string]*call
	n      int
	counts counts
	closed atomic.Bool
	done   chan struct{}
}

type counts struct {
	tried, answered, ended, refused, failed, resent int
}

// call is one dialog, ours or the friend's.
type call struct {
	id     string
	state  int
	friend bool
	user   string
	toTag  string // the far end's whole To or From
	target string
	last   []byte // to be repeated
	at     time.Time
	wait   time.Duration
	since  time.Time
	hangUp time.Time // zero: at once
	talk   time.Duration
	port   int
	how    conduct
}

// conduct is how a caller behaves.
type conduct int

const (
	polite  conduct = iota
	cancels         // gives up before the answer
	drops           // vanishes without BYE
	noAck           // never acknowledges
)

const (
	inviting = iota
	talking
	leaving
)

func newGenerator(to netip.AddrPort, sound *crowd) (*generator, error) {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	_ = conn.SetReadBuffer(16 << 20)
	_ = conn.SetWriteBuffer(4 << 20)
	g := &generator{conn: conn, to: to, self: conn.LocalAddr().String(), sound: sound, calls: map[string]*call{}, done: make(chan struct{})}
	go g.read()
	go g.repeat()
	return g, nil
}

func (g *generator) close() {
	g.closed.Store(true)
	g.conn.Close()
	<-g.done
}

// dial begins a call to one of the server's users.
func (g *generator) dial(user string, talk time.Duration, how conduct) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.n++
	g.counts.tried++
	c := &call{id: "b" + strconv.Itoa(g.n), user: user, talk: talk, how: how, since: time.Now()}
	g.calls[c.id] = c
	body := g.sdp()
	g.send(c, fmt.Appendf(nil, "INVITE sip:%s@%s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bK%si\r\nFrom: <sip:bench@%s>;tag=f\r\nTo: <sip:%s@%s>\r\n"+
		"Call-ID: %s\r\nCSeq: 1 INVITE\r\nContact: <sip:bench@%s>\r\nMax-Forwards: 70\r\nContent-Type: application/sdp\r\nContent-Length: %d\r\n\r\n%s",
		user, g.to, g.self, c.id, g.self, user, g.to, c.id, g.self, len(body), body), inviting)
	if how == cancels {
		g.write(fmt.Appendf(nil, "CANCEL sip:%s@%s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bK%si\r\nFrom: <sip:bench@%s>;tag=f\r\nTo: <sip:%s@%s>\r\n"+
			"Call-ID: %s\r\nCSeq: 1 CANCEL\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n", user, g.to, g.self, c.id, g.self, user, g.to, c.id))
	}
}

func (g *generator) sdp() string {
	port := 9
	if g.sound != nil {
		port = g.sound.port
	}
	return fmt.Sprintf("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio %d RTP/AVP 8 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\n", port)
}

func (g *generator) write(b []byte) { _, _ = g.conn.WriteToUDPAddrPort(b, g.to) }

// send sends what is repeated until it is answered. mu is held.
func (g *generator) send(c *call, b []byte, state int) {
	c.state, c.last, c.wait = state, b, 500*time.Millisecond
	c.at = time.Now().Add(c.wait)
	g.write(b)
}

// repeat is the timers: retransmissions, and the end of the talk.
func (g *generator) repeat() {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-g.done:
			return
		case <-tick.C:
		}
		now := time.Now()
		g.mu.Lock()
		for _, c := range g.calls {
			switch {
			case c.state == talking && !c.friend && !c.hangUp.IsZero() && now.After(c.hangUp):
				g.leave(c)
			case c.state != talking && now.After(c.at):
				if now.Sub(c.since) > 32*time.Second {
					g.fail(c)
					continue
				}
				g.counts.resent++
				c.wait *= 2
				c.at = now.Add(min(c.wait, 4*time.Second))
				g.write(c.last)
			}
		}
		g.mu.Unlock()
	}
}

func (g *generator) fail(c *call) {
	g.counts.failed++
	g.drop(c)
}

func (g *generator) drop(c *call) {
	delete(g.calls, c.id)
	if g.sound != nil && c.port != 0 {
		g.sound.remove(c.port)
	}
}

// leave hangs up. mu is held.
func (g *generator) leave(c *call) {
	if g.sound != nil && c.port != 0 {
		g.sound.remove(c.port)
		c.port = 0
	}
	if c.how == drops {
		g.drop(c)
		g.counts.ended++
		return
	}
	c.since = time.Now()
	g.send(c, fmt.Appendf(nil, "BYE %s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bK%sb\r\nFrom: <sip:bench@%s>;tag=f\r\nTo: %s\r\n"+
		"Call-ID: %s\r\nCSeq: 2 BYE\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n", c.target, g.self, c.id, g.self, c.toTag, c.id), leaving)
}

func (g *generator) read() {
	defer close(g.done)
	buf := make([]byte, 8192)
	for {
		n, _, err := g.conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			if g.closed.Load() {
				return
			}
			continue
		}
		g.mu.Lock()
		g.take(buf[:n])
		g.mu.Unlock()
	}
}

// field is the value of a header as the server writes it.
func field(b []byte, name string) string {
	i := bytes.Index(b, []byte("\r\n"+name+": "))
	if i < 0 {
		return ""
	}
	b = b[i+len(name)+4:]
	if j := bytes.IndexByte(b, '\r'); j >= 0 {
		b = b[:j]
	}
	return string(b)
}

// audioPort is the port of the m= line.
func audioPort(b []byte) int {
	i := bytes.Index(b, []byte("\r\nm=audio "))
	if i < 0 {
		return 0
	}
	b = b[i+10:]
	n := 0
	for _, d := range b {
		if d < '0' || d > '9' {
			break
		}
		n = 10*n + int(d-'0')
	}
	return n
}

// take is one message. mu is held.
func (g *generator) take(b []byte) {
	id := field(b, "Call-ID")
	if !bytes.HasPrefix(b, []byte("SIP/2.0 ")) {
		g.request(b, id)
		return
	}
	c := g.calls[id]
	if c == nil || len(b) < 12 {
		return
	}
	code, _ := strconv.Atoi(string(b[8:11]))
	method := field(b, "CSeq")
	switch {
	case code < 200:
		if c.state == inviting {
			c.at = time.Now().Add(time.Minute) // it has been received
		}
	case method == "1 INVITE" && code < 300:
		if c.how == noAck {
			g.drop(c)
			return
		}
		first := c.state == inviting
		if first {
			c.toTag = field(b, "To")
			c.target = field(b, "Contact")
			if i, j := bytes.IndexByte([]byte(c.target), '<'), bytes.IndexByte([]byte(c.target), '>'); i >= 0 && j > i {
				c.target = c.target[i+1 : j]
			}
		}
		g.write(fmt.Appendf(nil, "ACK %s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bK%sa\r\nFrom: <sip:bench@%s>;tag=f\r\nTo: %s\r\n"+
			"Call-ID: %s\r\nCSeq: 1 ACK\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n", c.target, g.self, c.id, g.self, c.toTag, c.id))
		if !first {
			return
		}
		g.counts.answered++
		c.state = talking
		if g.sound != nil && c.talk > 0 {
			c.port = audioPort(b)
			g.sound.add(c.port)
		}
		if c.talk == 0 {
			g.leave(c)
		} else {
			c.hangUp = time.Now().Add(c.talk)
		}
	case method == "1 INVITE": // refused, or cancelled
		g.write(fmt.Appendf(nil, "ACK sip:%s@%s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bK%si\r\nFrom: <sip:bench@%s>;tag=f\r\nTo: %s\r\n"+
			"Call-ID: %s\r\nCSeq: 1 ACK\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n", c.user, g.to, g.self, c.id, g.self, field(b, "To"), c.id))
		switch {
		case c.how == cancels:
			g.counts.ended++
			g.drop(c)
		case code == 503 && field(b, "Retry-After") != "":
			g.counts.refused++
			g.drop(c)
		default:
			g.fail(c)
		}
	case method == "2 BYE":
		g.counts.ended++
		g.drop(c)
	}
}

// request is one of the server's: calls to the friend, and goodbyes.
func (g *generator) request(b []byte, id string) {
	method, _, _ := bytes.Cut(b, []byte(" "))
	answer := func(extra, body string) {
		to := field(b, "To")
		if !bytes.Contains([]byte(to), []byte("tag=")) {
			to += ";tag=g"
		}
		kind := ""
		if body != "" {
			kind = "Content-Type: application/sdp\r\n"
		}
		g.write(fmt.Appendf(nil, "SIP/2.0 200 OK\r\nVia: %s\r\nFrom: %s\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: %s\r\n%s%sContent-Length: %d\r\n\r\n%s",
			field(b, "Via"), field(b, "From"), to, id, field(b, "CSeq"), extra, kind, len(body), body))
	}
	switch string(method) {
	case "INVITE":
		c := g.calls[id]
		if c == nil {
			c = &call{id: id, friend: true, state: talking, talk: time.Hour, port: audioPort(b)}
			g.calls[id] = c
			if g.sound != nil {
				g.sound.add(c.port)
			}
		}
		answer("Contact: <sip:friend@"+g.self+">\r\n", g.sdp())
	case "BYE":
		answer("", "")
		if c := g.calls[id]; c != nil {
			g.counts.ended += map[bool]int{false: 1}[c.friend]
			g.drop(c)
		}
	case "ACK":
	default:
		answer("", "")
	}
}

// load makes calls at a rate until it is told to stop or the time is over.
func (g *generator) load(ctx context.Context, rate int, d time.Duration, next func(n int)) {
	start := time.Now()
	for n := 0; ctx.Err() == nil; {
		if time.Since(start) >= d {
			return
		}
		for due := int(time.Since(start).Seconds() * float64(rate)); n < due; n++ {
			next(n)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// drain waits for the calls that are up.
func (g *generator) drain(ctx context.Context, limit time.Duration) (left int) {
	for end := time.Now().Add(limit); ; time.Sleep(50 * time.Millisecond) {
		g.mu.Lock()
		left = len(g.calls)
		g.mu.Unlock()
		if left == 0 || ctx.Err() != nil || time.Now().After(end) {
			return left
		}
	}
}

func (g *generator) snapshot() counts {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.counts
}
