package sip

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// A listener is one bound socket. Its supervisor keeps it serving whatever read or accept says (trap 10), and binds it again if it
// is lost.
type listener struct {
	network string // "UDP", "TCP" or "TLS"
	addr    netip.AddrPort
	named   string // addr in the library's writing; UDP
	s       *Server

	mu       sync.Mutex
	udp      *udpConn
	tcp      *tcpListener
	lastErr  error
	restarts int
	up       bool
	closed   bool
}

// bind opens the socket of spec, such as "udp://0.0.0.0:5060", "tcp://[::]:5060" or "tls://0.0.0.0:5061". Host names are refused.
func (s *Server) bind(spec string) (*listener, error) {
	network, hostport, ok := strings.Cut(spec, "://")
	if !ok {
		return nil, fmt.Errorf("listen %q: want udp://, tcp:// or tls://address:port", spec)
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
	case "TCP", "TLS":
		if l.network == "TLS" && l.s.tls.serving == nil {
			return errNoCertificate
		}
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
	if u, ok := c.(*net.UDPConn); ok && stamp(u) {
		l.udp.stamped = u
	}
	l.addr = c.LocalAddr().(*net.UDPAddr).AddrPort()
	l.named = c.LocalAddr().String()
}

// name is the address of a UDP socket as the library knows it.
func (l *listener) name() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.named
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
	if l.network == "TLS" {
		err = l.s.tpl.ServeTLS(t)
	} else {
		err = l.s.tpl.ServeTCP(t)
	}
	if err == nil {
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

// writeTCP is how long a peer may leave what we send unread.
const writeTCP = 5 * time.Second
