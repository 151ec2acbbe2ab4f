package sip

import (
	"bytes"
	"errors"
	"log/slog"
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
	WriteToUDPAddrPort(b []byte, to netip.AddrPort) (int, error)
}

// udpConn is the socket as the library sees it: only responses that may pass, never an error but the end. Requests are taken from it
// before (listener.take): the library's transactions cost a call twice what everything else does.
type udpConn struct {
	packetConn
	l       *listener
	reads   int
	end     atomic.Pointer[error]
	renewal bool

	stamped *net.UDPConn // the kernel says when its datagrams came; nil: it does not
	oob     [128]byte
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

// receive reads a datagram and says how long it has waited.
func (c *udpConn) receive(b []byte) (n int, from netip.AddrPort, late time.Duration, err error) {
	if c.stamped == nil {
		n, from, err = c.ReadFromUDPAddrPort(b)
		return n, from, 0, err
	}
	n, oob, _, from, err := c.stamped.ReadMsgUDPAddrPort(b, c.oob[:])
	return n, from, waited(c.oob[:oob]), err
}

// ReadFrom takes the requests and returns the next response that may pass.
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
		n, from, late, err := c.receive(b)
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
		if !bytes.HasPrefix(b[:n], []byte("SIP/")) {
			c.l.s.safely("request", func() { c.request(b, n, from, late) })
			continue
		}
		return n, net.UDPAddrFromAddrPort(netip.AddrPortFrom(from.Addr(), from.Port())), nil
	}
}

// request parses the request in buf[:n] and has it taken.
func (c *udpConn) request(buf []byte, n int, from netip.AddrPort, late time.Duration) {
	n = addRport(buf, n)
	b := buf[:n]
	if truncated(b) {
		c.refuse(b, from)
		return
	}
	msg, err := c.l.s.parser.ParseSIP(b)
	if err != nil {
		c.l.s.lib.Error("failed to parse", "data", received(b), "error", err)
		return
	}
	req, ok := msg.(*gosip.Request)
	if !ok {
		return
	}
	req.SetTransport("UDP")
	req.SetSource(from.String())
	c.l.take(req, from, late)
}

// received is a datagram for the log, which may not want it.
type received []byte

func (d received) LogValue() slog.Value { return slog.StringValue(string(d)) }

// refuse answers a truncated request without keeping anything of it.
func (c *udpConn) refuse(b []byte, from netip.AddrPort) {
	msg, _, err := c.l.s.parser.ParseHeaders(b, false)
	req, ok := msg.(*gosip.Request)
	if err != nil || !ok || req.Method == gosip.ACK || req.Via() == nil {
		return
	}
	req.SetTransport("UDP")
	req.SetSource(from.String())
	_ = c.l.write(rendered(response(req, 400, "", nil, header("Warning", `399 lianxin "shorter than its Content-Length"`))), from)
}

// write sends a datagram.
func (l *listener) write(b []byte, to netip.AddrPort) error {
	l.mu.Lock()
	c := l.udp
	l.mu.Unlock()
	if c == nil {
		return net.ErrClosed
	}
	_, err := c.WriteToUDPAddrPort(b, to)
	return err
}
