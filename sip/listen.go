package sip

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	gosip "github.com/emiago/sipgo/sip"
)

// A listener is one bound socket. Its supervisor keeps it serving whatever read or accept says (trap 10), and binds it again if it
// is lost.
type listener struct {
	network string // "UDP" or "TCP"
	addr    netip.AddrPort
	s       *Server

	mu       sync.Mutex
	udp      *udpConn
	tcp      *tcpListener
	lastErr  error
	restarts int
	up       bool
	closed   bool
}

// bind opens the socket of spec, such as "udp://0.0.0.0:5060" or "tcp://[::]:5060". Host names are refused.
func (s *Server) bind(spec string) (*listener, error) {
	network, hostport, ok := strings.Cut(spec, "://")
	if !ok {
		return nil, fmt.Errorf("listen %q: want udp://address:port or tcp://address:port", spec)
	}
	addr, err := netip.ParseAddrPort(hostport)
	if err != nil {
		return nil, fmt.Errorf("listen %q: %w", spec, err)
	}
	l := &listener{network: strings.ToUpper(network), addr: addr, s: s}
	if err := l.open(); err != nil {
		return nil, fmt.Errorf("listen %q: %w", spec, err)
	}
	return l, nil
}

// open binds the socket; a port of 0 becomes the one that was found.
func (l *listener) open() error {
	family := "4"
	if l.addr.Addr().Is6() {
		family = "6" // Go sets IPV6_V6ONLY: both families can be bound to one port
	}
	switch l.network {
	case "UDP":
		c, err := net.ListenUDP("udp"+family, net.UDPAddrFromAddrPort(l.addr))
		if err != nil {
			return err
		}
		_ = c.SetReadBuffer(4 << 20) // as far as the kernel allows
		l.use(c)
	case "TCP":
		t, err := net.ListenTCP("tcp"+family, net.TCPAddrFromAddrPort(l.addr))
		if err != nil {
			return err
		}
		l.tcp = &tcpListener{Listener: t, l: l}
		l.addr = t.Addr().(*net.TCPAddr).AddrPort()
	default:
		return fmt.Errorf("unknown transport %q", l.network)
	}
	return nil
}

func (l *listener) use(c packetConn) {
	l.udp = &udpConn{packetConn: c, l: l}
	l.addr = c.LocalAddr().(*net.UDPAddr).AddrPort()
}

// run serves until ctx ends.
func (l *listener) run(ctx context.Context) {
	stop := context.AfterFunc(ctx, l.close)
	defer stop()
	wait := minBackoff
	for ctx.Err() == nil {
		began := time.Now()
		l.set(func() { l.up = true })
		err := l.serve()
		if ctx.Err() != nil {
			return
		}
		if errors.Is(err, errRenewed) {
			continue
		}
		l.set(func() { l.up, l.lastErr, l.restarts = false, err, l.restarts+1 })
		l.s.log.Error("sip listener stopped; starting it again", "network", l.network, "addr", l.addr.String(), "err", err, "in", wait)
		if time.Since(began) > time.Minute {
			wait = minBackoff
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
		wait = min(2*wait, maxBackoff)
		if err := l.reopen(); err != nil {
			l.set(func() { l.lastErr = err })
		}
	}
}

const (
	minBackoff = 10 * time.Millisecond
	maxBackoff = 5 * time.Second
)

func (l *listener) set(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
}

// serve runs the library's read loop. A panic in its parser ends up here and costs one restart.
func (l *listener) serve() (err error) {
	defer func() {
		if p := recover(); p != nil {
			l.s.panicked("read loop", p)
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	l.mu.Lock()
	u, t := l.udp, l.tcp
	l.mu.Unlock()
	if u != nil {
		if err = l.s.tpl.ServeUDP(u); err == nil {
			err = u.why()
		}
		return err
	}
	if err = l.s.tpl.ServeTCP(t); err == nil {
		err = net.ErrClosed
	}
	return err
}

// reopen binds again when the socket is gone.
func (l *listener) reopen() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return net.ErrClosed
	}
	if l.udp != nil {
		if !errors.Is(l.udp.why(), net.ErrClosed) {
			return nil
		}
		l.udp.packetConn.Close()
	}
	if l.tcp != nil {
		l.tcp.Listener.Close()
	}
	return l.open()
}

func (l *listener) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if l.udp != nil {
		l.udp.packetConn.Close()
	}
	if l.tcp != nil {
		l.tcp.Listener.Close()
	}
}

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
		v := inspect(b[:n])
		if v != pass {
			if v == scan {
				g.dropped.scanner.Add(1)
			} else {
				g.dropped.noise.Add(1)
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

// How long a TCP peer may be silent: at first, and once it has spoken. Phones send keep-alives every 25 to 120 s.
const (
	firstByte = 10 * time.Second
	idleTCP   = 15 * time.Minute
	writeTCP  = 5 * time.Second
)

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

// flow is the way to a peer: over UDP the socket on which it was heard and its address, over TCP its connection.
type flow struct {
	transport string // "UDP", "TCP"
	remote    string // address and port
	local     string // UDP: address of our listening socket, by which the library knows it
}

func (f flow) remoteAddr() netip.AddrPort {
	a, err := netip.ParseAddrPort(f.remote)
	if err != nil {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

// flowOf is the way a request came.
func flowOf(req *gosip.Request, tx *gosip.ServerTx) flow {
	f := flow{transport: req.Transport(), remote: req.Source()}
	if c := tx.Connection(); c != nil && f.transport == "UDP" {
		f.local = c.LocalAddr().String()
	}
	return f
}

// advertised is the address of ours that a peer is told, for signalling and for media.
func (s *Server) advertised(peer netip.Addr, bound netip.Addr) netip.Addr {
	peer = peer.Unmap()
	if pub := s.cfg.PublicIP; pub.IsValid() && pub.Is4() == peer.Is4() {
		local := false
		for _, p := range s.cfg.LocalNets {
			local = local || p.Contains(peer)
		}
		if !local {
			return pub
		}
	}
	if bound.IsValid() && !bound.IsUnspecified() && bound.Is4() == peer.Is4() {
		return bound
	}
	return s.routes.to(peer)
}

// routes remembers for a while which local address the kernel uses towards a peer.
type routes struct {
	mu  sync.Mutex
	m   map[netip.Addr]netip.Addr
	old time.Time
}

func (r *routes) to(peer netip.Addr) netip.Addr {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := time.Now(); r.m == nil || now.Sub(r.old) > 30*time.Second || len(r.m) > 4096 {
		r.m, r.old = map[netip.Addr]netip.Addr{}, now
	}
	if a, ok := r.m[peer]; ok {
		return a
	}
	local := netip.IPv4Unspecified()
	if peer.Is6() {
		local = netip.IPv6Unspecified()
	}
	if c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(peer, 9))); err == nil { // sends nothing
		local = c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap().WithZone("")
		c.Close()
	}
	r.m[peer] = local
	return local
}
