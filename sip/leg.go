package sip

import (
	"context"
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	gosip "github.com/emiago/sipgo/sip"

	"lianxin/sip/media"
)

// A state of a leg. It only ever rises.
type state uint8

const (
	trying   state = iota // incoming, nothing answered
	ringing               // incoming, 180 sent
	answered              // incoming, 200 sent, no ACK yet
	up                    // both sides agree
	over                  // ended; the dialog lingers to answer what is still on its way
)

// leg is a Call over SIP: one dialog (RFC 3261 12) with its offer/answer (RFC 3264).
type leg struct {
	s      *Server
	id     string
	media  *media.Leg
	ctx    context.Context // ends with the leg
	cancel context.CancelFunc
	done   chan struct{}
	acked  chan struct{} // closed when the first 200 of ours is acknowledged
	trace  trace
	box    mailbox

	mu    sync.Mutex
	state state
	info  Info
	ended End

	// The INVITE that opened an incoming leg.
	inv    *gosip.Request
	invTx  *gosip.ServerTx
	branch branch
	rings  *time.Timer

	dialog
	talk
	okay      *okay          // 2xx of ours that waits for its ACK
	byeOnACK  bool           // hung up before the ACK came: BYE as soon as it has (RFC 3261 15)
	ack       *gosip.Request // our last ACK, for repeated 2xx
	asking    bool           // a re-INVITE or UPDATE of ours is pending
	limit     *time.Timer
	session   session
	strangers map[string]bool // To tags of further answers to our INVITE
}

var _ Call = (*leg)(nil)

// talk is the state of offer and answer.
type talk struct {
	sdp    local
	order  []media.Codec // preference
	offer  *remote       // of the INVITE, until it is answered
	remote *remote       // the far end's last description that was agreed
	codec  offered       // what we send
	stream stream        // our last description
}

// okay is a 2xx that is repeated until its ACK comes (RFC 3261 13.3.1.4; trap 4).
type okay struct {
	cseq    uint32
	res     *gosip.Response
	tx      *gosip.ServerTx
	began   time.Time
	wait    time.Duration
	timer   *time.Timer
	offered bool // it holds our offer: the ACK must bring the answer
	initial bool
}

func (s *Server) newLeg(info Info) *leg {
	l := &leg{s: s, id: newID(), info: info, done: make(chan struct{}), acked: make(chan struct{})}
	l.info.Started = s.cfg.Now()
	l.ctx, l.cancel = context.WithCancel(context.Background())
	l.sdp.id = uint64(l.info.Started.Unix())
	l.order = s.cfg.Codecs
	l.box = mailbox{handle: l.request, refuse: l.refuse, after: s.after}
	s.live.Add(1)
	return l
}

// openMedia reserves the leg's ports, in the family of the far end's media.
func (l *leg) openMedia(far netip.Addr) (err error) {
	if far.Is6() {
		l.media, err = l.s.engine.OpenOn(netip.IPv6Unspecified())
	} else {
		l.media, err = l.s.engine.Open()
	}
	if err != nil {
		return err
	}
	l.media.OnTimeout(func() {
		l.s.safely("media time-out", func() { _ = l.finish(context.Background(), ByTimeout, "no media", 0) })
	})
	return nil
}

func (l *leg) ID() string            { return l.id }
func (l *leg) Done() <-chan struct{} { return l.done }
func (l *leg) Media() *media.Leg     { return l.media }

func (l *leg) Info() Info {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.info
}

func (l *leg) End() End {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ended
}

func (l *leg) over() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state == over
}

// Ring sends 180, again every minute for the proxies on the way (RFC 3261 13.3.1.1).
func (l *leg) Ring(context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.state == over:
		return ErrEnded
	case l.inv == nil || l.state > ringing:
		return ErrNotNow
	}
	if err := l.reply(180, "", nil, l.contactHeader()); err != nil {
		return err
	}
	l.state = ringing
	if l.rings != nil {
		l.rings.Stop()
	}
	l.rings = l.s.after(time.Minute, "ring", func() { _ = l.Ring(context.Background()) })
	return nil
}

// reply answers the INVITE that opened the leg. mu is held and the state is before answered, so no CANCEL has been.
func (l *leg) reply(code int, reason string, body []byte, extra ...gosip.Header) error {
	return l.send(l.invTx, response(l.inv, code, reason, body, extra...))
}

func (l *leg) send(tx *gosip.ServerTx, res *gosip.Response) error {
	l.note(true, res.Destination(), summary(res))
	return tx.Respond(res)
}

// Answer accepts the call.
func (l *leg) Answer(ctx context.Context) error {
	if err := l.accept(); err != nil {
		return err
	}
	select {
	case <-l.acked:
		return nil
	case <-l.done:
		if l.End().Cause == causeNoACK {
			return ErrNoACK
		}
		return ErrEnded
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (l *leg) accept() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.state == over:
		return ErrEnded
	case l.inv == nil:
		return ErrNotNow
	case l.state >= answered:
		return nil
	}
	body, late, err := l.describe(l.offer)
	if err != nil {
		return err
	}
	headers := append(l.session.begin(l.inv, &l.s.cfg), l.contactHeader(), header("Allow", allow), header("Supported", supported))
	res := response(l.inv, 200, "", body, headers...)
	if err := l.send(l.invTx, res); err != nil {
		l.endLocked(ByNetwork, "transport", 0)
		return errors.Join(ErrEnded, err)
	}
	l.stopRinging()
	l.s.leaves(l.branch)
	l.state = answered
	l.info.Answered = l.s.cfg.Now()
	l.repeat(&okay{cseq: l.inv.CSeq().SeqNo, res: res, tx: l.invTx, offered: late, initial: true})
	l.limitCall()
	l.armSession()
	return nil
}

// limitCall ends the call when it has lasted as long as any may.
func (l *leg) limitCall() {
	l.limit = l.s.after(l.s.cfg.MaxCall, "longest call", func() { _ = l.finish(context.Background(), ByTimeout, "longest call", 0) })
}

// describe writes our answer to offer and applies it, or, without one, our own offer. mu is held.
func (l *leg) describe(offer *remote) (body []byte, late bool, err error) {
	if offer == nil {
		l.stream = l.fullOffer()
		return l.sdp.offer(l.stream), true, nil
	}
	pick := offer.pick(l.order)
	l.stream = stream{addr: l.mediaAddr(offer), port: l.media.Port(), codecs: []offered{pick}, events: offer.events,
		dir: offer.dir.reversed(), mux: offer.mux}
	if err := l.agree(offer, pick); err != nil {
		return nil, false, err
	}
	return l.sdp.answer(offer, l.stream), false, nil
}

func (l *leg) fullOffer() stream {
	st := stream{addr: l.mediaAddr(nil), port: l.media.Port(), events: 101, dir: both}
	for _, c := range l.order {
		st.codecs = append(st.codecs, offered{c.PT(), c})
	}
	return st
}

// mediaAddr is where we tell the far end to send its sound.
func (l *leg) mediaAddr(r *remote) netip.Addr {
	peer := l.flow.remoteAddr().Addr()
	if r != nil && !r.addr.Addr().IsUnspecified() {
		if peer.Is4() != r.addr.Addr().Is4() {
			return l.s.advertised(r.addr.Addr(), netip.Addr{})
		}
	}
	return l.self.Addr()
}

// agree makes the media follow a description of the far end. mu is held.
func (l *leg) agree(r *remote, c offered) error {
	p := media.Params{
		Remote: r.addr, RTCP: r.rtcp, Mux: r.mux && l.stream.mux, Codec: c.codec, PT: c.pt, DTMF: r.events,
		Ptime: time.Duration(r.frameTime()) * time.Millisecond,
		Send:  r.dir&receives != 0 && l.stream.dir&sends != 0, Receive: r.dir&sends != 0 && l.stream.dir&receives != 0,
		Near: l.flow.remoteAddr().Addr(),
	}
	if r.addr.Addr().IsUnspecified() {
		p.Remote = netip.AddrPort{}
	}
	if err := l.media.Update(p); err != nil {
		return err
	}
	l.remote, l.codec = r, c
	l.info.Codec = c.codec.String()
	return nil
}

// repeat sends a 2xx again until its ACK comes. It has been sent once. mu is held.
func (l *leg) repeat(o *okay) {
	o.began, o.wait = time.Now(), l.s.t1
	l.okay = o
	o.timer = l.s.after(o.wait, "2xx", func() { l.repeatNow(o) })
}

const (
	causeNoACK   = "no ack"
	causeSession = "session expired"
)

func (l *leg) repeatNow(o *okay) {
	l.mu.Lock()
	if l.okay != o {
		l.mu.Unlock()
		return
	}
	if time.Since(o.began) >= 64*l.s.t1 {
		l.okay = nil
		l.mu.Unlock()
		l.finishUnacknowledged()
		return
	}
	_ = l.send(o.tx, o.res)
	o.wait = min(2*o.wait, 8*l.s.t1)
	o.timer = l.s.after(min(o.wait, max(64*l.s.t1-time.Since(o.began), 0)), "2xx", func() { l.repeatNow(o) })
	l.mu.Unlock()
}

// finishUnacknowledged hangs up a call whose 2xx was never acknowledged (RFC 3261 13.3.1.4).
func (l *leg) finishUnacknowledged() {
	l.mu.Lock()
	late := l.byeOnACK
	l.byeOnACK = false
	if !late {
		l.endLocked(ByTimeout, causeNoACK, 0)
	}
	l.mu.Unlock()
	l.bye(context.Background())
}

// acknowledged takes the ACK of a 2xx. It is called by front and does not wait for the network.
func (l *leg) acknowledged(ack *gosip.Request) {
	l.note(false, ack.Source(), summary(ack))
	l.mu.Lock()
	defer l.mu.Unlock()
	o := l.okay
	if o == nil || ack.CSeq() == nil || ack.CSeq().SeqNo != o.cseq {
		return
	}
	var err error
	if o.offered && l.state != over {
		err = l.answeredOffer(ack.Body())
	}
	l.confirmed(o)
	if err != nil && l.state != over {
		l.s.log.Info("sip: unusable answer in ACK", "call", l.id, "err", err)
		l.endLocked(ByNetwork, "bad answer", 0)
		l.byeOnACK = true
	}
	if l.byeOnACK {
		l.byeOnACK = false
		l.s.spawn(func() { l.s.safely("bye", func() { l.bye(context.Background()) }) })
	}
}

// answeredOffer applies the far end's answer to our offer. mu is held.
func (l *leg) answeredOffer(body []byte) error {
	r, err := readSDP(body)
	if err != nil {
		return err
	}
	for _, c := range r.codecs { // only what we offered
		for _, own := range l.stream.codecs {
			if own.codec == c.codec {
				return l.agree(r, c)
			}
		}
	}
	return errSDPNoCodec
}

// confirmed ends the repetition of a 2xx. mu is held.
func (l *leg) confirmed(o *okay) {
	o.timer.Stop()
	l.okay = nil
	if !o.initial {
		return
	}
	if l.state == answered {
		l.state = up
	}
	select {
	case <-l.acked:
	default:
		close(l.acked)
	}
}

// Reject refuses the call.
func (l *leg) Reject(code int, reason string) error {
	if code < 300 || code > 699 {
		code = 480
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.state == over:
		return ErrEnded
	case l.inv == nil || l.state > ringing:
		return ErrNotNow
	}
	err := l.reply(code, reason, nil)
	l.endLocked(ByUs, "rejected", code)
	return err
}

// Hangup ends the call.
func (l *leg) Hangup(ctx context.Context) error { return l.hangup(ctx, "hangup") }

func (l *leg) hangup(ctx context.Context, cause string) error { return l.finish(ctx, ByUs, cause, 480) }

// finish ends the call for our part. code is the final response if it has not been answered.
func (l *leg) finish(ctx context.Context, by By, cause string, code int) error {
	l.mu.Lock()
	if l.state == over {
		l.mu.Unlock()
		return nil
	}
	before := l.state
	var err error
	if l.inv != nil && before < answered {
		if code == 0 {
			code = 480
		}
		err = l.reply(code, "", nil)
		l.endLocked(by, cause, code)
		l.mu.Unlock()
		return err
	}
	l.endLocked(by, cause, 0)
	if l.okay != nil && l.okay.initial {
		l.byeOnACK = true // acknowledged or finishUnacknowledged will say goodbye
		l.mu.Unlock()
		return nil
	}
	l.mu.Unlock()
	done := make(chan struct{})
	l.s.spawn(func() {
		defer close(done)
		l.s.safely("bye", func() { l.bye(context.Background()) }) // it goes on when ctx ends
	})
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// cancelledBy ends the leg because the caller gave up. It is called by front.
func (l *leg) cancelledBy(req *gosip.Request) {
	l.note(false, req.Source(), summary(req))
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state >= answered {
		return // the CANCEL came too late (RFC 3261 9.2); the caller will hang up
	}
	_ = l.reply(487, "", nil)
	l.endLocked(ByFar, reasonOf(req, "cancel"), 487)
}

// endLocked ends the leg for the program. What the far end is still to be told, the caller of endLocked tells it. mu is held.
func (l *leg) endLocked(by By, cause string, code int) {
	if l.state == over {
		return
	}
	l.state = over
	l.info.Ended = l.s.cfg.Now()
	l.ended = End{By: by, Cause: cause, Code: code, At: l.info.Ended}
	l.stopRinging()
	for _, t := range []*time.Timer{l.limit, l.session.timer} {
		if t != nil {
			t.Stop()
		}
	}
	l.cancel()
	close(l.done)
	l.s.live.Add(-1)
	m, s, b := l.media, l.s, l.branch
	if m != nil {
		s.spawn(func() { _ = m.Close() })
	}
	if l.inv != nil {
		s.leaves(b)
	}
	s.after(64*s.t1+gapSeen, "forget", func() { s.forget(l) }) // late requests get their answers until then
}

func (s *Server) forget(l *leg) {
	l.mu.Lock()
	id := l.did
	l.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.dialogs, id)
	delete(s.dialling, dialogID{callID: id.callID, local: id.local})
}

func (l *leg) stopRinging() {
	if l.rings != nil {
		l.rings.Stop()
		l.rings = nil
	}
}

// reasonOf is the cause that the far end gives (RFC 3326), or otherwise.
func reasonOf(m gosip.Message, otherwise string) string {
	h := headerOf(m, "Reason")
	if h == nil {
		return otherwise
	}
	if v := clean(h.Value(), 80); v != "" {
		return otherwise + ": " + maskDigits(v)
	}
	return otherwise
}

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
}

// contactHeader is our Contact towards this peer.
func (d *dialog) contactHeader() gosip.Header {
	u := gosip.Uri{Scheme: "sip", User: d.user, Host: bracketed(d.self.Addr()), Port: int(d.self.Port())}
	if d.flow.transport != "UDP" {
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
		port = 5060
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
	return s.txl.Request(ctx, req)
}

// write sends an ACK, which has no transaction of its own.
func (s *Server) write(ack *gosip.Request) error {
	s.known(ack)
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
