package sip

import (
	"context"
	"net/netip"
	"strconv"
	"strings"

	gosip "github.com/emiago/sipgo/sip"
)

// dialog is what RFC 3261 12 calls the state of a dialog.
type dialog struct {
	did           dialogID
	localURI      gosip.Uri
	remoteURI     gosip.Uri
	localDisplay  string
	remoteDisplay string
	seq           uint32 // of our last request
	target        gosip.Uri
	routes        []gosip.Uri
	flow          flow
	self          netip.AddrPort // what we call ourselves towards this peer
	user          string         // of our Contact
	direct        bool           // no proxy between us
	pinned        bool           // the flow is the only way there
	preset        bool           // routes are those of a registration, until the far end says who stays in the dialog
	secure        bool           // opened with a sips URI: our Contact is one, too (RFC 3261 8.1.1.8, 12.1.1)
}

// contactHeader is our Contact towards this peer.
func (d *dialog) contactHeader() gosip.Header {
	u := gosip.Uri{Scheme: "sip", User: d.user, Host: bracketed(d.self.Addr()), Port: int(d.self.Port())}
	if d.secure { // which says TLS on every hop (RFC 5630)
		u.Scheme = "sips"
	} else if d.flow.transport != "UDP" {
		u.UriParams = gosip.HeaderParams{{K: "transport", V: strings.ToLower(d.flow.transport)}}
	}
	return &gosip.ContactHeader{Address: u}
}

func bracketed(a netip.Addr) string {
	if a.Is6() {
		return "[" + a.String() + "]"
	}
	return a.String()
}

// towards fills in the way to a peer and our name on it.
func (d *dialog) towards(s *Server, f flow) {
	d.flow = f
	var bound netip.AddrPort
	if f.transport == "UDP" {
		bound, _ = netip.ParseAddrPort(f.local)
	} else if l := s.listenerFor(f.transport, f.remoteAddr().Addr()); l != nil {
		bound = l.addr
	}
	d.self = netip.AddrPortFrom(s.advertised(f.remoteAddr().Addr(), bound.Addr()), bound.Port())
}

// listenerFor finds a socket of ours for a transport and an address family.
func (s *Server) listenerFor(transport string, peer netip.Addr) *listener {
	for _, l := range s.listeners {
		if l.network == transport && l.addr.Addr().Is4() == peer.Unmap().Is4() {
			return l
		}
	}
	return nil
}

// next builds our next request in the dialog. For an ACK, cseq is that of its INVITE; otherwise 0.
func (d *dialog) next(s *Server, method gosip.RequestMethod, cseq uint32) *gosip.Request {
	if cseq == 0 {
		d.seq++
		cseq = d.seq
	}
	uri, routes := d.target, d.routes
	if len(routes) > 0 && !routes[0].UriParams.Has("lr") { // strict router (RFC 3261 12.2.1.1)
		uri, routes = routes[0], append(append([]gosip.Uri(nil), routes[1:]...), d.target)
	}
	req := gosip.NewRequest(method, uri)
	req.AppendHeader(s.via(d.flow.transport, d.self))
	for i := range routes {
		req.AppendHeader(&gosip.RouteHeader{Address: *routes[i].Clone()})
	}
	mf := gosip.MaxForwardsHeader(70)
	req.AppendHeader(&mf)
	from := &gosip.FromHeader{DisplayName: d.localDisplay, Address: *d.localURI.Clone(), Params: gosip.HeaderParams{{K: "tag", V: d.did.local}}}
	to := &gosip.ToHeader{DisplayName: d.remoteDisplay, Address: *d.remoteURI.Clone()}
	if d.did.remote != "" {
		to.Params = gosip.HeaderParams{{K: "tag", V: d.did.remote}}
	}
	id := gosip.CallIDHeader(d.did.callID)
	req.AppendHeader(from)
	req.AppendHeader(to)
	req.AppendHeader(&id)
	req.AppendHeader(&gosip.CSeqHeader{SeqNo: cseq, MethodName: method})
	req.SetBody(nil)
	s.direct(req, d)
	return req
}

func (s *Server) via(transport string, self netip.AddrPort) *gosip.ViaHeader {
	return &gosip.ViaHeader{ProtocolName: "SIP", ProtocolVersion: "2.0", Transport: transport, Host: self.Addr().String(),
		Port: int(self.Port()), Params: gosip.HeaderParams{{K: "branch", V: gosip.GenerateBranch()}, {K: "rport"}}}
}

// direct sends a request the way its dialog goes: over the connection that the peer opened (trap 16), or from the socket on which it
// was heard (trap 14), to the first route, to the Contact, or, when that is behind a NAT, to where the peer's requests come from.
func (s *Server) direct(req *gosip.Request, d *dialog) {
	req.SetTransport(d.flow.transport)
	if d.flow.transport != "UDP" {
		if c, err := s.tpl.GetConnection(d.flow.transport, d.flow.remote); err == nil {
			_, _ = c.TryClose()
			req.SetDestination(d.flow.remote)
			return
		}
	} else if a, err := netip.ParseAddrPort(d.flow.local); err == nil {
		req.Laddr = gosip.Addr{IP: a.Addr().AsSlice(), Port: int(a.Port())}
	}
	if d.pinned {
		req.SetDestination(d.flow.remote)
		return
	}
	hop := d.target
	if len(d.routes) > 0 {
		hop = d.routes[0]
	}
	port := hop.Port
	if port == 0 {
		port = defaultPort(d.flow.transport)
	}
	dest := strings.Trim(hop.Host, "[]")
	if src := d.flow.remoteAddr(); d.direct && len(d.routes) == 0 && src.IsValid() {
		ip, err := netip.ParseAddr(dest)
		if err != nil || ip.Unmap() != src.Addr() && hidden(ip) {
			req.SetDestination(d.flow.remote)
			return
		}
	}
	req.SetDestination(joinHostPort(dest, port))
}

// request begins a client transaction.
func (s *Server) request(ctx context.Context, req *gosip.Request) (*gosip.ClientTx, error) {
	s.known(req)
	if err := s.connect(ctx, req); err != nil {
		return nil, err
	}
	return s.txl.Request(ctx, req)
}

// write sends an ACK, which has no transaction of its own.
func (s *Server) write(ack *gosip.Request) error {
	s.known(ack)
	if err := s.connect(context.Background(), ack); err != nil {
		return err
	}
	return s.tpl.WriteMsg(ack)
}

// known makes sure that the library finds the socket that a request is to leave by. It knows a listening socket only while it reads
// from it, so not before Serve nor for a moment when the read loop is renewed, and would try to bind another one.
func (s *Server) known(req *gosip.Request) {
	if req.Laddr.Port == 0 {
		return
	}
	key := req.Laddr.String()
	if c, err := s.tpl.GetConnection("udp", key); err == nil {
		_, _ = c.TryClose()
		return
	}
	for _, l := range s.listeners {
		l.mu.Lock()
		if l.udp != nil && l.addr.String() == key {
			s.tpl.Pool("udp").Add(key, &gosip.UDPConnection{PacketConn: l.udp, PacketAddr: key, Listener: true})
		}
		l.mu.Unlock()
	}
}

func defaultPort(transport string) int {
	if transport == "TLS" {
		return 5061
	}
	return 5060
}

func joinHostPort(host string, port int) string {
	if strings.Contains(host, ":") {
		return "[" + host + "]:" + strconv.Itoa(port)
	}
	return host + ":" + strconv.Itoa(port)
}

// hidden says of an address that it means nothing to others than its own network.
func hidden(ip netip.Addr) bool {
	return ip.IsPrivate() || ip.IsLoopback() || ip.IsLinkLocalUnicast() || ip.IsUnspecified() || sharedNAT.Contains(ip.Unmap())
}

var sharedNAT = netip.MustParsePrefix("100.64.0.0/10") // RFC 6598
