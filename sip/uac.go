package sip

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	gosip "github.com/emiago/sipgo/sip"

	"lianxin/sip/media"
)

// Dial calls a target and returns when it has answered. If ctx ends first, the call is cancelled and the error is ctx's cause; if
// the far end refuses, it is a *DialError. A user's phones ring together: the first to answer has the call.
func (s *Server) Dial(ctx context.Context, t Target, o DialOpt) (Call, error) {
	if s.isDraining() {
		return nil, ErrDraining
	}
	if o.Timeout <= 0 {
		o.Timeout = time.Minute
	}
	been := map[string]bool{t.User: true, t.Number: true}
	return s.dial(ctx, t, o, been)
}

// dial is Dial; been are those whom the call has been at.
func (s *Server) dial(ctx context.Context, t Target, o DialOpt, been map[string]bool) (Call, error) {
	if t.Number != "" && t.User == "" && t.URI == "" {
		c, err := s.dialNumber(ctx, t, o)
		if err != nil {
			return s.follow(ctx, err, o, been)
		}
		return c, nil
	}
	to, err := s.destinations(ctx, t)
	if err != nil {
		return nil, err
	}
	if len(to) == 1 {
		l, err := s.dialOne(ctx, to[0], o)
		if err != nil {
			return s.follow(ctx, err, o, been)
		}
		return l, nil
	}
	c, err := s.fork(ctx, to, o)
	if err != nil {
		return s.follow(ctx, err, o, been)
	}
	return c, nil
}

// destination is one place to ring.
type destination struct {
	uri    gosip.Uri
	flow   flow
	routes []gosip.Uri // proxies on the way, the one next to us first (RFC 3327)
	pinned bool        // only this way leads there
	user   string
	trunk  string
	number string

	longest time.Duration // that the call may last; Config.MaxCall if 0
	silence time.Duration // it must have said something by then; no limit but timer B if 0
}

func (s *Server) destinations(ctx context.Context, t Target) ([]destination, error) {
	switch {
	case t.User != "":
		var out []destination
		for _, b := range s.registrar.find(t.User) {
			to := destination{uri: b.uri, flow: b.flow, routes: b.path, pinned: true, user: t.User, number: t.User}
			s.reopen(&to, b)
			out = append(out, to)
		}
		if out == nil {
			return nil, ErrNotRegistered
		}
		return out, nil
	case t.URI != "":
		u, err := parseURI(t.URI)
		if err != nil {
			return nil, err
		}
		d, err := s.resolve(ctx, u)
		if err == nil && s.owns(d.flow.remoteAddr(), u.Host) { // past the limits of Outbound
			return nil, fmt.Errorf("dial: a trunk is called by Number: %w", ErrNotAllowed)
		}
		d.number = u.User
		return []destination{d}, err
	}
	return nil, fmt.Errorf("dial: empty target: %w", ErrNotFound)
}

func parseURI(v string) (gosip.Uri, error) {
	var u gosip.Uri
	if v != clean(v, 512) {
		return u, fmt.Errorf("dial: malformed URI: %w", ErrNotFound)
	}
	if err := gosip.ParseUri(v, &u); err != nil || u.Scheme != "sip" && u.Scheme != "sips" || u.Host == "" || strings.ContainsAny(u.User+u.Host, "<>\" \t") || u.Wildcard || u.Port < 0 || u.Port > 65535 {
		return u, fmt.Errorf("dial: malformed URI: %w", ErrNotFound)
	}
	u.Headers = nil
	return u, nil
}

// resolve finds the way to a URI.
func (s *Server) resolve(ctx context.Context, u gosip.Uri) (destination, error) {
	d := destination{uri: u, flow: flow{transport: "UDP"}}
	switch t := strings.ToUpper(u.UriParams.GetOr("transport", "udp")); {
	case u.Scheme == "sips" && (t == "UDP" || t == "TCP" || t == "TLS"): // TLS over TCP, whatever it says (RFC 3261 26.2.2)
		d.flow.transport = "TLS"
	case t == "UDP" || t == "TCP" || t == "TLS":
		d.flow.transport = t
	default:
		return d, fmt.Errorf("dial: transport %s: %w", clean(t, 8), ErrUnreachable)
	}
	port := u.Port
	if port == 0 {
		port = defaultPort(d.flow.transport)
	}
	host := strings.Trim(u.Host, "[]")
	ip, err := netip.ParseAddr(host)
	if err != nil {
		ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		if err != nil || len(ips) == 0 {
			return d, fmt.Errorf("dial: resolve %q: %w", clean(host, 80), errors.Join(ErrUnreachable, err))
		}
		ip = ips[0]
		for _, a := range ips { // a family that we listen on
			if s.listenerFor(d.flow.transport, a) != nil {
				ip = a
				break
			}
		}
	}
	ip = ip.Unmap()
	l := s.listenerFor(d.flow.transport, ip)
	if d.flow.transport == "UDP" {
		if l == nil {
			return d, fmt.Errorf("dial: no UDP socket for %s: %w", ip, ErrUnreachable)
		}
		d.flow.local = l.addr.String()
	}
	d.flow.remote = netip.AddrPortFrom(ip, uint16(port)).String()
	return d, nil
}

// dialOne calls one place.
func (s *Server) dialOne(ctx context.Context, to destination, o DialOpt) (*leg, error) {
	if to.pinned && to.flow.transport != "UDP" {
		c, err := s.tpl.GetConnection(to.flow.transport, to.flow.remote)
		if err != nil {
			return nil, fmt.Errorf("dial: connection is gone: %w", ErrUnreachable)
		}
		_, _ = c.TryClose()
	}
	l := s.newLeg(Info{Direction: Outgoing, From: cleanUser(o.From), Display: cleanDisplay(o.Display), To: to.number, Trunk: to.trunk,
		User: to.user, Transport: to.flow.transport, Remote: to.flow.remoteAddr()})
	l.mu.Lock()
	l.open(to, o)
	l.mu.Unlock()
	s.ladders.join(l, o.Headers[ForCall])
	if err := l.openMedia(to.flow.remoteAddr().Addr()); err != nil {
		l.abort(ByUs, "no media port", 503)
		return nil, fmt.Errorf("dial: %w", errors.Join(ErrUnreachable, err))
	}
	s.mu.Lock()
	s.dialling[l.did] = l // did has no remote tag yet
	s.mu.Unlock()

	out := attempt{leg: l, opt: o, until: time.NewTimer(o.Timeout), silence: to.silence}
	defer out.until.Stop()
	res, err := out.run(ctx)
	if err != nil {
		return nil, err
	}
	if err := l.connected(res); err != nil {
		return nil, err
	}
	return l, nil
}

// open fills the dialog for a call of ours.
func (l *leg) open(to destination, o DialOpt) {
	l.pinned, l.direct = to.pinned, len(to.routes) == 0
	l.routes, l.preset = to.routes, len(to.routes) > 0
	l.longest = to.longest
	l.towards(l.s, to.flow)
	l.target = *to.uri.Clone()
	l.secure = to.uri.Scheme == "sips"
	l.did = dialogID{callID: newID() + "@" + bracketed(l.self.Addr()), local: gosip.GenerateTagN(12)}
	l.user = cleanUser(o.From)
	l.localURI = gosip.Uri{Scheme: "sip", User: l.user, Host: bracketed(l.self.Addr())}
	if l.user == "" {
		l.localURI = gosip.Uri{Scheme: "sip", User: "anonymous", Host: "anonymous.invalid"}
	}
	l.localDisplay = cleanDisplay(o.Display)
	l.remoteURI = gosip.Uri{Scheme: "sip", User: to.uri.User, Host: to.uri.Host, Port: to.uri.Port}
	if to.user != "" {
		l.remoteURI = gosip.Uri{Scheme: "sip", User: cleanUser(to.user), Host: bracketed(l.self.Addr())}
	}
	l.info.CallID = l.did.callID
	if c, ok := media.CodecByName(o.Codec); ok {
		l.order = append([]media.Codec{c}, l.order...)
		for i := 1; i < len(l.order); i++ {
			if l.order[i] == c {
				l.order = append(l.order[:i:i], l.order[i+1:]...)
				break
			}
		}
	}
}

// abort ends a call of ours that was never answered.
func (l *leg) abort(by By, cause string, code int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.endLocked(by, cause, code)
}

// establish makes the dialog of a 2xx (RFC 3261 12.1.2). mu is held.
func (l *leg) establish(res *gosip.Response) {
	tag, _ := res.To().Params.Get("tag")
	l.did.remote = tag
	l.take(res)
	s := l.s
	s.mu.Lock()
	s.dialogs[l.did] = l
	s.mu.Unlock()
}

// take sets target and route set by a 2xx.
func (d *dialog) take(res *gosip.Response) {
	if c := res.Contact(); c != nil && c.Address.Host != "" && !c.Address.Wildcard {
		d.target = *c.Address.Clone()
	}
	d.routes = nil
	rr := res.GetHeaders("record-route")
	for i := len(rr) - 1; i >= 0 && len(d.routes) < 16; i-- {
		if r, ok := rr[i].(*gosip.RecordRouteHeader); ok {
			d.routes = append(d.routes, *r.Address.Clone())
		}
	}
	if d.preset && d.routes == nil { // the proxies of the Path do not stay in the dialog
		d.pinned, d.direct = false, true
	}
	d.preset = false
}

// connected takes the 2xx: acknowledges it and starts the media, or hangs up if its description is of no use.
func (l *leg) connected(res *gosip.Response) error {
	l.mu.Lock()
	l.establish(res)
	l.sendACK(res.CSeq().SeqNo)
	body, holds := l.described(res)
	var err error
	if !holds {
		err = l.answeredOffer(body)
	}
	l.branches = nil
	if err == nil {
		l.state = up
		close(l.acked)
		l.info.Answered = l.s.cfg.Now()
		l.session.agreed(res)
		l.limitCall()
		l.armSession()
		l.mu.Unlock()
		return nil
	}
	l.endLocked(ByNetwork, "bad answer", 0)
	l.mu.Unlock()
	l.s.spawn(func() { l.s.safely("bye", func() { l.bye(context.Background()) }) })
	return &DialError{Code: 488, Reason: "unusable answer", Kind: errors.Join(ErrNotAcceptable, err)}
}
