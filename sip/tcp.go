package sip

import (
	"bytes"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// tcpListener accepts TCP and TLS for ever: a failed accept, such as running out of file descriptors, is waited out. It never waits
// for a handshake: that happens in the connection's own goroutine, with its first read.
type tcpListener struct {
	net.Listener
	l    *listener
	open atomic.Int64
}

// Accept returns the next connection that may be opened.
func (t *tcpListener) Accept() (net.Conn, error) {
	s := t.l.s
	wait := minBackoff
	for {
		c, err := t.Listener.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return nil, err
			}
			s.count.acceptErrors.Add(1)
			t.l.set(func() { t.l.lastErr = err })
			time.Sleep(wait)
			wait = min(2*wait, time.Second)
			continue
		}
		wait = minBackoff
		a, ok := c.RemoteAddr().(*net.TCPAddr)
		if !ok {
			c.Close()
			continue
		}
		ip := a.AddrPort().Addr().Unmap()
		if !s.guard.connects(ip, int(t.open.Load())) {
			c.Close()
			continue
		}
		t.open.Add(1)
		if t.l.network == "TLS" {
			c = tls.Server(c, s.tls.serving)
		}
		return s.stream(c, t.l.network, ip, func() {
			t.open.Add(-1)
			s.guard.hangs(ip)
		}), nil
	}
}

// streamConn is a TCP or TLS connection as the library sees it: never longer silent than it may be, and told apart by what it has
// said so far.
type streamConn struct {
	net.Conn
	s         *Server
	transport string // "TCP", "TLS"
	ip        netip.Addr
	opened    time.Time
	spoke     bool // the peer has; before, its time is short
	ours      bool // we have opened it
	frame     framing
	once      sync.Once
	gone      func()
}

// stream makes c ready for the library. gone is called once, when it closes.
func (s *Server) stream(c net.Conn, transport string, ip netip.Addr, gone func()) *streamConn {
	now := time.Now()
	_ = c.SetWriteDeadline(now.Add(s.cfg.firstByte)) // of the handshake
	return &streamConn{Conn: c, s: s, transport: transport, ip: ip, opened: now, gone: gone}
}

func (c *streamConn) flow() flow {
	return flow{transport: c.transport, remote: c.RemoteAddr().String()}
}

// until is when the peer must have said something. Whoever has opened a connection must do its handshake and speak soon, and whoever
// has begun a message must end it soon, however often he sends another byte (slow-loris).
func (c *streamConn) until() time.Time {
	switch {
	case !c.spoke && !c.ours:
		return c.opened.Add(c.s.cfg.firstByte)
	case c.frame.midway():
		return c.frame.began.Add(c.s.cfg.wholeMessage)
	}
	return time.Now().Add(c.s.cfg.idle)
}

func (c *streamConn) Read(b []byte) (int, error) {
	g := c.s.guard
	for {
		_ = c.SetReadDeadline(c.until())
		n, err := c.Conn.Read(b)
		switch {
		case n > 0 && err == nil:
		case errors.Is(err, os.ErrDeadlineExceeded):
			if (c.spoke || c.ours) && !c.frame.midway() && c.s.needs(c.flow(), c.ip) {
				continue // it is quiet, not idle; TCP's own keep-alive tells when it is gone
			}
			g.dropped.slow.Add(1)
			return 0, net.ErrClosed
		case err != nil && !c.spoke: // a scanner, or a failed handshake: not worth a line in the log
			g.dropped.noise.Add(1)
			return 0, net.ErrClosed
		default:
			return n, err
		}
		if !c.spoke {
			if b[0] != '\r' && b[0] != '\n' && !tokenChar(b[0]) {
				g.dropped.noise.Add(1)
				return 0, net.ErrClosed
			}
			c.spoke = true
		}
		if !c.frame.take(b[:n], time.Now()) {
			g.dropped.noise.Add(1)
			return 0, net.ErrClosed
		}
		for i := 0; i < 100 && !g.admits(c.ip); i++ {
			time.Sleep(50 * time.Millisecond) // the sender feels it as back-pressure
		}
		c.s.count.received.Add(1)
		return n, nil
	}
}

func (c *streamConn) Write(b []byte) (int, error) {
	_ = c.SetWriteDeadline(time.Now().Add(writeTCP))
	return c.Conn.Write(b)
}

// Close tells the registrar that what was registered over this connection cannot be reached any more.
func (c *streamConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() {
		c.gone()
		go func() {
			c.s.registrar.lost(c.flow())
			c.s.lines.lost(c.flow())
		}()
	})
	return err
}

// needs reports whether a silent connection is of use: a call or a registration goes over it, or its peer is trusted.
func (s *Server) needs(f flow, ip netip.Addr) bool {
	if s.guard.trusts(ip) || s.registrar.uses(f) || s.lines.uses(f) {
		return true
	}
	for _, l := range s.legs() {
		l.mu.Lock()
		uses := l.state != over && l.flow.transport == f.transport && l.flow.remote == f.remote
		l.mu.Unlock()
		if uses {
			return true
		}
	}
	return false
}

// framing follows the messages of a stream (RFC 3261 18.3), so that a peer who never ends one can be told from one who has nothing to
// say.
type framing struct {
	head  []byte // of the message that is coming in
	body  int    // bytes of it that are to come
	began time.Time
}

// Longest header and body on a stream; the parser has the same limit.
const maxFrame = 65535

func (f *framing) midway() bool { return len(f.head) > 0 || f.body > 0 }

// take follows b. It reports false when the message is longer than any may be.
func (f *framing) take(b []byte, now time.Time) bool {
	for len(b) > 0 {
		if f.body > 0 {
			n := min(f.body, len(b))
			f.body -= n
			b = b[n:]
			continue
		}
		if len(f.head) == 0 {
			if b = bytes.TrimLeft(b, "\r\n\x00"); len(b) == 0 { // keep-alives between messages (RFC 5626 3.5.1)
				return true
			}
			f.began = now
		}
		seen := max(len(f.head)-3, 0)
		f.head = append(f.head, b...)
		i := bytes.Index(f.head[seen:], []byte("\r\n\r\n"))
		if i < 0 {
			return len(f.head) <= maxFrame
		}
		end := seen + i + 4
		b = b[len(b)-(len(f.head)-end):]
		if loneLF(f.head[:end]) {
			return false
		}
		if v, ok := rawHeader(f.head[:end], "content-length", "l"); ok {
			n, err := strconv.ParseUint(strings.TrimSpace(string(f.head[v.from:v.to])), 10, 31)
			if err == nil {
				f.body = int(n)
			}
		}
		if f.head = f.head[:0]; cap(f.head) > 8<<10 {
			f.head = nil
		}
		if f.body > maxFrame {
			return false
		}
	}
	return true
}
