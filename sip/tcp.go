package sip

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// tcpListener accepts for ever: a failed accept, such as running out of file descriptors, is waited out.
type tcpListener struct {
	net.Listener
	l    *listener
	open atomic.Int64
}

// Accept returns the next connection that may be opened.
func (t *tcpListener) Accept() (net.Conn, error) {
	wait := minBackoff
	for {
		c, err := t.Listener.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return nil, err
			}
			t.l.s.count.acceptErrors.Add(1)
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
		if !t.l.s.guard.connects(ip, int(t.open.Load())) {
			c.Close()
			continue
		}
		t.open.Add(1)
		return &tcpConn{Conn: c, t: t, ip: ip}, nil
	}
}

// tcpConn is a connection as the library sees it.
type tcpConn struct {
	net.Conn
	t     *tcpListener
	ip    netip.Addr
	spoke bool
	once  sync.Once
}

func (c *tcpConn) Read(b []byte) (int, error) {
	wait := idleTCP
	if !c.spoke {
		wait = firstByte
	}
	_ = c.SetReadDeadline(time.Now().Add(wait))
	n, err := c.Conn.Read(b)
	if n == 0 || err != nil {
		return n, err
	}
	if !c.spoke {
		if b[0] != '\r' && b[0] != '\n' && !tokenChar(b[0]) {
			c.t.l.s.guard.dropped.noise.Add(1)
			return 0, net.ErrClosed
		}
		c.spoke = true
	}
	for i := 0; i < 100 && !c.t.l.s.guard.admits(c.ip); i++ {
		time.Sleep(50 * time.Millisecond) // the sender feels it as back-pressure
	}
	c.t.l.s.count.received.Add(1)
	return n, nil
}

func (c *tcpConn) Write(b []byte) (int, error) {
	_ = c.SetWriteDeadline(time.Now().Add(writeTCP))
	return c.Conn.Write(b)
}

// Close tells the registrar that what was registered over this connection cannot be reached any more.
func (c *tcpConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() {
		c.t.open.Add(-1)
		c.t.l.s.guard.hangs(c.ip)
		if r := c.t.l.s.registrar; r != nil {
			go r.lost(flow{transport: "TCP", remote: c.RemoteAddr().String()})
		}
	})
	return err
}
