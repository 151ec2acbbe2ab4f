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
	to, err := s.destinations(ctx, t)
	if err != nil {
		return nil, err
	}
	if len(to) == 1 {
		l, err := s.dialOne(ctx, to[0], o)
		if err != nil {
			return nil, err
		}
		return l, nil
	}
	return s.fork(ctx, to, o)
}

// destination is one place to ring.
type destination struct {
	uri    gosip.Uri
	flow   flow
	pinned bool // only this way leads there
	user   string
	trunk  string
	number string
}

func (s *Server) destinations(ctx context.Context, t Target) ([]destination, error) {
	switch {
	case t.User != "":
		var out []destination
		for _, b := range s.registrar.find(t.User) {
			out = append(out, destination{uri: b.uri, flow: b.flow, pinned: true, user: t.User, number: t.User})
		}
		if out == nil {
			return nil, ErrNotRegistered
		}
		return out, nil
	case t.Trunk != "":
		tr := s.trunkNamed(t.Trunk)
		if tr == nil || tr.Proxy == "" {
			return nil, fmt.Errorf("dial: no trunk %q to call out by: %w", t.Trunk, ErrUnreachable)
		}
		u, err := parseURI(tr.Proxy)
		if err != nil {
			return nil, err
		}
		u.User = cleanUser(t.Number)
		if u.User == "" {
			return nil, fmt.Errorf("dial: empty number: %w", ErrNotFound)
		}
		d, err := s.resolve(ctx, u)
		d.trunk, d.number = tr.Name, u.User
		return []destination{d}, err
	case t.URI != "":
		u, err := parseURI(t.URI)
		if err != nil {
			return nil, err
		}
		d, err := s.resolve(ctx, u)
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
	if err := gosip.ParseUri(v, &u); err != nil || u.Scheme != "sip" || u.Host == "" || u.Wildcard || u.Port < 0 || u.Port > 65535 {
		return u, fmt.Errorf("dial: malformed URI: %w", ErrNotFound)
	}
	u.Headers = nil
	return u, nil
}

// resolve finds the way to a URI.
func (s *Server) resolve(ctx context.Context, u gosip.Uri) (destination, error) {
	d := destination{uri: u, flow: flow{transport: "UDP"}}
	switch t := strings.ToUpper(u.UriParams.GetOr("transport", "udp")); t {
	case "UDP", "TCP":
		d.flow.transport = t
	default:
		return d, fmt.Errorf("dial: transport %s: %w", clean(t, 8), ErrUnreachable)
	}
	port := u.Port
	if port == 0 {
		port = 5060
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

// fork rings several places at once.
func (s *Server) fork(ctx context.Context, to []destination, o DialOpt) (Call, error) {
	type outcome struct {
		leg *leg
		err error
	}
	ctx, cancel := context.WithCancelCause(ctx)
	got := make(chan outcome, len(to))
	for _, d := range to {
		s.spawn(func() {
			out := outcome{err: fmt.Errorf("dial: %w", ErrUnreachable)}
			s.safely("dial", func() { out.leg, out.err = s.dialOne(ctx, d, o) })
			got <- out
		})
	}
	var worst error
	for n := len(to); n > 0; n-- {
		out := <-got
		if out.err == nil {
			cancel(errElsewhere)
			rest := n - 1
			s.spawn(func() { // whoever answered at the same moment
				for range rest {
					if late := <-got; late.leg != nil {
						_ = late.leg.hangup(context.Background(), "answered elsewhere")
					}
				}
			})
			return out.leg, nil
		}
		if rank(out.err) > rank(worst) {
			worst = out.err
		}
		var refusal *DialError
		if errors.As(out.err, &refusal) && refusal.Code >= 600 { // for all of the user's phones (RFC 3261 16.7)
			cancel(out.err)
			worst = out.err
		}
	}
	cancel(nil)
	return nil, worst
}

var errElsewhere = errors.New("answered elsewhere")

// rank orders errors by how much they tell about the user rather than about one of his phones.
func rank(err error) int {
	for i, e := range []error{ErrUnreachable, ErrNotFound, ErrForbidden, ErrNotAcceptable, ErrRedirected, ErrNoAnswer, ErrBusy, ErrDeclined} {
		if errors.Is(err, e) {
			return i + 2
		}
	}
	if err != nil {
		return 1
	}
	return 0
}

// reserved headers are the protocol's own.
var reserved = map[string]bool{"via": true, "from": true, "to": true, "call-id": true, "cseq": true, "contact": true, "route": true,
	"record-route": true, "max-forwards": true, "content-length": true, "content-type": true, "authorization": true, "require": true,
	"proxy-authorization": true, "supported": true, "allow": true, "session-expires": true, "min-se": true, "rack": true, "rseq": true}

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
	l.open(to, o)
	if err := l.openMedia(to.flow.remoteAddr().Addr()); err != nil {
		l.abort(ByUs, "no media port", 503)
		return nil, fmt.Errorf("dial: %w", errors.Join(ErrUnreachable, err))
	}
	s.mu.Lock()
	s.dialling[l.did] = l // did has no remote tag yet
	s.mu.Unlock()

	out := attempt{leg: l, opt: o, until: time.NewTimer(o.Timeout)}
	defer out.until.Stop()
	res, err := out.run(ctx)
	if err != nil {
		return nil, err
	}
	if err := l.connected(res, out.early); err != nil {
		return nil, err
	}
	return l, nil
}

// open fills the dialog for a call of ours.
func (l *leg) open(to destination, o DialOpt) {
	l.pinned, l.direct = to.pinned, true
	l.towards(l.s, to.flow)
	l.target = *to.uri.Clone()
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

// attempt is the INVITE of a call of ours and what comes back.
type attempt struct {
	leg   *leg
	opt   DialOpt
	until *time.Timer
	last  *gosip.Request
	early []byte // description in a provisional answer, for far ends that leave it out of the 200
}

// run sends the INVITE, again where a challenge or a session timer wants it, and returns the 2xx.
func (a *attempt) run(ctx context.Context) (*gosip.Response, error) {
	l := a.leg
	var req *gosip.Request
	for try := 0; ; try++ {
		if req == nil {
			req = a.invite()
		}
		res, err := a.once(ctx, req)
		if err != nil {
			return nil, err
		}
		if res.IsSuccess() {
			return res, nil
		}
		req = nil
		if try < 2 {
			switch res.StatusCode {
			case 401, 407:
				l.mu.Lock()
				prev := a.last
				again, ok := l.s.answerChallenge(prev, res, l.info.Trunk, &l.dialog)
				l.mu.Unlock()
				if ok && try == 0 {
					req = again
					continue
				}
			case 422:
				if _, _, least := sessionExpires(res); least > 0 && least < 24*time.Hour {
					l.mu.Lock()
					l.session.interval = least
					l.mu.Unlock()
					continue
				}
			}
		}
		refusal := &DialError{Code: res.StatusCode, Reason: maskDigits(clean(res.Reason, 80)), Kind: kindOf(res.StatusCode)}
		if res.IsRedirection() {
			for _, h := range append(res.GetHeaders("contact"), res.GetHeaders("m")...) {
				refusal.Contacts = append(refusal.Contacts, clean(h.Value(), 256))
			}
		}
		l.abort(ByFar, reasonOf(res, "refused"), res.StatusCode)
		return nil, refusal
	}
}

// invite builds the INVITE.
func (a *attempt) invite() *gosip.Request {
	l := a.leg
	l.mu.Lock()
	defer l.mu.Unlock()
	req := l.next(l.s, gosip.INVITE, 0)
	req.AppendHeader(l.contactHeader())
	req.AppendHeader(header("Allow", allow))
	for _, h := range l.session.asks(&l.s.cfg) {
		req.AppendHeader(h)
	}
	for name, value := range a.opt.Headers {
		if name = cleanToken(name); name != "" && !reserved[strings.ToLower(name)] {
			req.AppendHeader(header(name, value))
		}
	}
	l.stream = l.fullOffer()
	req.AppendHeader(gosip.NewHeader("Content-Type", accepts))
	req.SetBody(l.sdp.offer(l.stream))
	return req
}

// cleanToken keeps the characters that a header's name may have (RFC 3261 25.1).
func cleanToken(s string) string {
	return strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("-.!%*_+`'~", r) {
			return r
		}
		return -1
	}, s)
}

// once sends one INVITE and waits for its final response: a loop of our own over everything that comes back (traps 17 to 19).
func (a *attempt) once(ctx context.Context, req *gosip.Request) (*gosip.Response, error) {
	l := a.leg
	a.last = req
	l.note(true, req.Destination(), summary(req))
	tx, err := l.s.request(ctx, req)
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		} else {
			err = errors.Join(ErrUnreachable, err)
		}
		l.abort(ByNetwork, "transport", 0)
		return nil, fmt.Errorf("dial: %w", err)
	}
	tx.OnRetransmission(func(r *gosip.Response) { l.s.strayResponse(r) })
	heard := false
	for {
		select {
		case res := <-tx.Responses():
			l.note(false, res.Source(), summary(res))
			if !res.IsProvisional() {
				return res, nil
			}
			heard = true
			if res.StatusCode >= 180 {
				if len(res.Body()) > 0 {
					a.early = res.Body()
				}
				if a.opt.Ringing != nil {
					l.s.safely("Ringing", func() { a.opt.Ringing(res.StatusCode) })
				}
			}
		case <-tx.Done():
			l.abort(ByNetwork, "no response", 408)
			return nil, fmt.Errorf("dial: %w", errors.Join(ErrUnreachable, tx.Err()))
		case <-a.until.C:
			l.abort(ByTimeout, "no answer", 487)
			a.giveUp(req, tx, heard, "")
			return nil, fmt.Errorf("dial: %w", ErrNoAnswer)
		case <-ctx.Done():
			cause := context.Cause(ctx)
			l.abort(ByUs, "cancel", 487)
			reason := ""
			if errors.Is(cause, errElsewhere) {
				reason = `SIP ;cause=200 ;text="Call completed elsewhere"`
			}
			a.giveUp(req, tx, heard, reason)
			return nil, fmt.Errorf("dial: %w", cause)
		}
	}
}

// giveUp cancels the INVITE in the background: not before something was heard (RFC 3261 9.1), and if it was answered after all,
// the answer is acknowledged and hung up (trap 18).
func (a *attempt) giveUp(req *gosip.Request, tx *gosip.ClientTx, heard bool, reason string) {
	l, s := a.leg, a.leg.s
	s.spawn(func() {
		s.safely("cancel", func() {
			limit := time.NewTimer(64 * s.t1)
			defer limit.Stop()
			sent := false
			for {
				if heard && !sent {
					sent = true
					c := cancelOf(req)
					if reason != "" {
						c.AppendHeader(header("Reason", reason))
					}
					l.note(true, c.Destination(), summary(c))
					s.spawn(func() {
						ctx, done := context.WithTimeout(context.Background(), 64*s.t1)
						defer done()
						_, _ = s.transact(ctx, c)
					})
				}
				select {
				case res := <-tx.Responses():
					l.note(false, res.Source(), summary(res))
					if res.IsProvisional() {
						heard = true
						continue
					}
					if res.IsSuccess() {
						l.mu.Lock()
						l.establish(res)
						l.sendACK(res.CSeq().SeqNo)
						l.mu.Unlock()
						l.bye(context.Background())
					}
					return
				case <-tx.Done():
					return
				case <-limit.C:
					tx.Terminate()
					return
				}
			}
		})
	})
}

// cancelOf builds the CANCEL of an INVITE (RFC 3261 9.1).
func cancelOf(inv *gosip.Request) *gosip.Request {
	c := gosip.NewRequest(gosip.CANCEL, *inv.Recipient.Clone())
	c.AppendHeader(inv.Via().Clone())
	gosip.CopyHeaders("Route", inv, c)
	mf := gosip.MaxForwardsHeader(70)
	c.AppendHeader(&mf)
	for _, h := range []gosip.Header{inv.From(), inv.To(), inv.CallID()} {
		c.AppendHeader(gosip.HeaderClone(h))
	}
	c.AppendHeader(&gosip.CSeqHeader{SeqNo: inv.CSeq().SeqNo, MethodName: gosip.CANCEL})
	c.SetBody(nil)
	c.SetTransport(inv.Transport())
	c.SetDestination(inv.Destination())
	c.Laddr = inv.Laddr
	return c
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
}

// connected takes the 2xx: acknowledges it and starts the media, or hangs up if its description is of no use.
func (l *leg) connected(res *gosip.Response, early []byte) error {
	l.mu.Lock()
	l.establish(res)
	l.sendACK(res.CSeq().SeqNo)
	body := res.Body()
	if len(body) == 0 {
		body = early
	}
	err := l.answeredOffer(body)
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

// strayResponse sees the 2xx that no transaction wants: repeated ones, whose ACK was lost, and those of further branches that were
// answered as well. The first are acknowledged again, the others are acknowledged and hung up (trap 19). What belongs to no call of
// ours is ignored: an answer to it could be aimed at anybody.
func (s *Server) strayResponse(res *gosip.Response) {
	s.safely("stray response", func() {
		c := res.CSeq()
		if !res.IsSuccess() || c == nil || c.MethodName != gosip.INVITE || res.CallID() == nil || res.From() == nil || res.To() == nil {
			return
		}
		tag, _ := res.From().Params.Get("tag")
		s.mu.Lock()
		l := s.dialling[dialogID{callID: res.CallID().Value(), local: tag}]
		s.mu.Unlock()
		if l == nil {
			l = s.answering(res)
		}
		if l == nil {
			return
		}
		far, _ := res.To().Params.Get("tag")
		l.mu.Lock()
		defer l.mu.Unlock()
		switch {
		case l.did.remote == "" || far == "":
			// the first 2xx is just being taken; this one will come again
		case far == l.did.remote:
			if l.ack != nil && l.ack.CSeq().SeqNo == c.SeqNo {
				l.note(true, l.ack.Destination(), summary(l.ack)+" again")
				_ = s.write(l.ack)
			}
		case len(l.strangers) < 16 || l.strangers[far]:
			d := l.dialog
			d.did.remote = far
			d.take(res)
			if ack := d.next(s, gosip.ACK, c.SeqNo); s.write(ack) == nil && !l.strangers[far] {
				if l.strangers == nil {
					l.strangers = map[string]bool{}
				}
				l.strangers[far] = true
				l.note(true, ack.Destination(), "ACK and BYE to a second answer")
				bye := d.next(s, gosip.BYE, 0)
				s.spawn(func() {
					ctx, done := context.WithTimeout(context.Background(), 64*s.t1)
					defer done()
					_, _ = s.transact(ctx, bye)
				})
			}
		}
	})
}

// answering finds the dialog of a response to a request of ours inside a dialog.
func (s *Server) answering(res *gosip.Response) *leg {
	local, _ := res.From().Params.Get("tag")
	remote, _ := res.To().Params.Get("tag")
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dialogs[dialogID{res.CallID().Value(), local, remote}]
}
