package sip

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"time"

	gosip "github.com/emiago/sipgo/sip"
)

// packetConn is what we need of a *net.UDPConn; tests put a failing one in its place.
type packetConn interface {
	net.PacketConn
	ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error)
}

// udpConn is the socket as the library sees it: only datagrams that may pass, never an error but the end, and ;rport in every
// request.
type udpConn struct {
	packetConn
	l       *listener
	reads   int
	end     atomic.Pointer[error]
	renewal bool
}

// maxPool is how many source addresses the library may remember for this process before its read loop is renewed: it keeps one entry
// per address for ever (trap 11), but drops them all when the loop ends, and ending it costs nothing.
const maxPool = 50_000

// errRenewed ends a read loop that is to start again at once.
var errRenewed = errors.New("read loop renewed")

func (c *udpConn) why() error {
	if p := c.end.Load(); p != nil {
		return *p
	}
	return errors.New("read loop ended")
}

func (c *udpConn) finish(err error) (int, net.Addr, error) {
	c.end.Store(&err)
	return 0, nil, net.ErrClosed
}

// ReadFrom returns the next datagram that may pass.
func (c *udpConn) ReadFrom(b []byte) (int, net.Addr, error) {
	wait := minBackoff
	for {
		if c.reads++; c.reads%1024 == 0 {
			if n := c.l.s.tpl.Pool("udp").Size(); n > 2*maxPool {
				return c.finish(errRenewed)
			} else if n > maxPool && !c.renewal { // better in a quiet moment: no answer is under way then
				c.renewal = true
			}
		}
		if c.renewal {
			_ = c.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
		}
		n, from, err := c.ReadFromUDPAddrPort(b)
		if err != nil {
			if c.renewal && errors.Is(err, os.ErrDeadlineExceeded) {
				c.renewal = false
				_ = c.SetReadDeadline(time.Time{})
				return c.finish(errRenewed)
			}
			if errors.Is(err, net.ErrClosed) {
				return c.finish(err)
			}
			c.l.s.count.readErrors.Add(1)
			c.l.set(func() { c.l.lastErr = err })
			time.Sleep(wait)
			wait = min(2*wait, time.Second)
			continue
		}
		g := c.l.s.guard
		ip := from.Addr().Unmap()
		if g.shuts(ip) {
			continue
		}
		v := inspect(b[:n])
		if v != pass {
			why, points := "noise", offenceNoise
			if v == scan {
				why, points = "scanner", offenceScanner
				g.dropped.scanner.Add(1)
			} else {
				g.dropped.noise.Add(1)
			}
			if n >= 12 && g.admits(ip) { // a flood from forged sources is not remembered one by one
				g.offends(ip, points, why)
			}
			continue
		}
		if !g.admits(ip) {
			continue
		}
		c.l.s.count.received.Add(1)
		n = addRport(b, n)
		if truncated(b[:n]) {
			c.l.s.safely("truncated", func() { c.refuse(b[:n], from) })
			continue
		}
		return n, net.UDPAddrFromAddrPort(netip.AddrPortFrom(from.Addr(), from.Port())), nil
	}
}

// refuse answers a truncated request without keeping anything of it.
func (c *udpConn) refuse(b []byte, from netip.AddrPort) {
	msg, _, err := gosip.NewParser().ParseHeaders(b, false)
	req, ok := msg.(*gosip.Request)
	if err != nil || !ok || req.Method == gosip.ACK || req.Via() == nil {
		return
	}
	req.SetTransport("UDP")
	req.SetSource(from.String())
	res := response(req, 400, "", nil, header("Warning", `399 lianxin "shorter than its Content-Length"`))
	_, _ = c.WriteTo([]byte(res.String()), net.UDPAddrFromAddrPort(from))
}
