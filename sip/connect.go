package sip

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	gosip "github.com/emiago/sipgo/sip"
)

// An opener brings connections that we open to the library. The library would open them itself, but without deadlines, and without
// the name that a certificate must be for. It takes them from a listener whose clients are us.
type opener struct {
	conns chan net.Conn
	taken chan struct{} // one for each connection, when the library can find it
	given bool
	done  chan struct{}
}

func newOpener() *opener {
	return &opener{conns: make(chan net.Conn), taken: make(chan struct{}), done: make(chan struct{})}
}

// Accept is called by the library again as soon as it has taken in what it got before.
func (o *opener) Accept() (net.Conn, error) {
	if o.given {
		o.given = false
		select {
		case o.taken <- struct{}{}:
		case <-o.done:
			return nil, net.ErrClosed
		}
	}
	select {
	case c := <-o.conns:
		o.given = true
		return c, nil
	case <-o.done:
		return nil, net.ErrClosed
	}
}

func (o *opener) Close() error   { return nil }
func (o *opener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4zero} }

// serveOpeners lets the library take our connections until ctx ends.
func (s *Server) serveOpeners(ctx context.Context, run func(func())) {
	for transport, o := range s.openers {
		context.AfterFunc(ctx, func() { close(o.done) })
		run(func() {
			for ctx.Err() == nil { // a panic of the library costs one turn
				s.safely("our connections", func() {
					if transport == "TLS" {
						_ = s.tpl.ServeTLS(o)
					} else {
						_ = s.tpl.ServeTCP(o)
					}
				})
			}
		})
	}
}

// connectWithin is how long it may take to open a connection, its handshake included.
const connectWithin = 5 * time.Second

// connect makes sure that there is a connection to where req is to go, and that over TLS its far end has a certificate for the host
// that req names (RFC 5922 7.2).
func (s *Server) connect(ctx context.Context, req *gosip.Request) error {
	transport, dest := req.Transport(), req.Destination()
	if transport == "UDP" {
		return nil
	}
	if c, err := s.tpl.GetConnection(transport, dest); err == nil {
		_, _ = c.TryClose()
		return nil
	}
	o := s.openers[transport]
	if o == nil {
		return fmt.Errorf("transport %s: %w", clean(transport, 8), ErrUnreachable)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, connectWithin, ErrUnreachable)
	defer cancel()
	raw, err := (&net.Dialer{}).DialContext(ctx, "tcp", dest)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	a, err := netip.ParseAddrPort(raw.RemoteAddr().String())
	if err != nil {
		raw.Close()
		return fmt.Errorf("connect: %w", err)
	}
	if transport == "TLS" {
		host := req.Recipient.Host
		if r := req.Route(); r != nil {
			host = r.Address.Host
		}
		cfg := s.tls.dialling.Clone()
		cfg.ServerName = strings.Trim(host, "[]")
		t := tls.Client(raw, cfg)
		if err := t.HandshakeContext(ctx); err != nil {
			raw.Close()
			return fmt.Errorf("connect: handshake: %w", err)
		}
		raw = t
	}
	c := s.stream(raw, transport, a.Addr().Unmap(), func() {})
	c.ours = true
	select {
	case o.conns <- c:
	case <-o.done:
		c.Close()
		return ErrDraining
	case <-ctx.Done():
		c.Close()
		return errors.Join(ErrUnreachable, context.Cause(ctx))
	}
	select { // the library is quick: it only notes the connection
	case <-o.taken:
	case <-o.done:
		return ErrDraining
	}
	req.SetDestination(raw.RemoteAddr().String())
	return nil
}
