package sip

import (
	"net"
	"net/netip"
	"sync"
	"time"

	gosip "github.com/emiago/sipgo/sip"
)

// flow is the way to a peer: over UDP the socket on which it was heard and its address, over TCP and TLS its connection.
type flow struct {
	transport string // "UDP", "TCP", "TLS"
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
func flowOf(req *gosip.Request, tx serverTx) flow {
	f := flow{transport: req.Transport(), remote: req.Source()}
	if u, ok := tx.(*udpTx); ok {
		f.local = u.l.name()
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
