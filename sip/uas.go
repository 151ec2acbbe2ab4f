package sip

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"slices"
	"strings"
	"time"

	gosip "github.com/emiago/sipgo/sip"
)

// onInvite takes a call that comes in: from the cheapest check to the dearest, so that a flood costs little.
func (s *Server) onInvite(req *gosip.Request, tx serverTx) {
	b, ok := branchOf(req)
	if !ok {
		s.respond(req, tx, 400, "")
		return
	}
	switch s.repeated(req, b) {
	case straggler:
		tx.Terminate()
		return
	case merged:
		s.respond(req, tx, 482, "")
		return
	}
	if s.isDraining() {
		s.respond(req, tx, 503, "", header("Retry-After", drainRetry()))
		return
	}
	if _, ours := tx.(*udpTx); !ours && s.strain.over(time.Since(s.began)) { // over UDP that has been looked at
		s.strain.shed.Add(1)
		s.respond(req, tx, 503, "", header("Retry-After", strainRetry()))
		return
	}
	way := flowOf(req, tx)
	info := s.identify(req, way)
	open := s.cfg.Open && (s.cfg.Private == nil || !s.cfg.Private(info.To)) && req.GetHeader("Replaces") == nil
	if info.Trunk == "" && info.User == "" && !open {
		user, ok := s.auth.challenge(s, req, tx, way, 407)
		if !ok {
			s.mu.Lock()
			delete(s.requests, s.requestIDOf(req)) // the caller may come back with the same CSeq
			s.mu.Unlock()
			return
		}
		info.User = user
	}
	old, code := s.replacing(req)
	if code == 0 && old != nil && info.User == "" {
		code = 403 // a trunk takes nobody's place
	}
	if code != 0 {
		s.respond(req, tx, code, "")
		return
	}
	if s.cfg.Admit != nil && old == nil {
		if after, ok := s.cfg.Admit(); !ok {
			s.respond(req, tx, 503, "", header("Retry-After", seconds(max(after, time.Second))))
			return
		}
	}
	if s.cfg.AdmitCall != nil && old == nil {
		info.Remote, info.Transport = way.remoteAddr(), way.transport
		if after, ok := s.cfg.AdmitCall(info); !ok {
			s.respond(req, tx, 503, "", header("Retry-After", seconds(max(after, time.Second))))
			return
		}
	}
	if !acceptsSDP(req) {
		s.respond(req, tx, 406, "")
		return
	}
	if code := (&session{}).tooShort(req, &s.cfg); code != 0 {
		s.respond(req, tx, code, "", header("Min-SE", seconds(s.cfg.MinSE)))
		return
	}
	if c := req.Contact(); c == nil || c.Address.Host == "" || c.Address.Wildcard {
		s.respond(req, tx, 400, "", header("Warning", `399 lianxin "no Contact"`))
		return
	}
	body, code := sdpOf(req)
	if code != 0 {
		s.respond(req, tx, code, "", header("Accept", accepts))
		return
	}
	var offer *remote
	if body != nil {
		var err error
		if offer, err = readSDPFor(body, s.srtp(way)); errors.Is(err, errSDPSyntax) {
			s.respond(req, tx, 400, "", header("Warning", `399 lianxin "unreadable session description"`))
			return
		} else if err != nil {
			s.respond(req, tx, 488, "", warning(err))
			return
		}
	}

	l := s.newLeg(info)
	l.mu.Lock() // it can be found already
	l.inv, l.invTx, l.branch, l.offer = req, tx, b, offer
	l.early.must = lists(req, "100rel", "Require")
	l.early.may = l.early.must || lists(req, "100rel", "Supported", "k")
	l.learn(req, way)
	l.mu.Unlock()
	l.note(false, req.Source(), summary(req))
	far := way.remoteAddr().Addr()
	if offer != nil && !offer.addr.Addr().IsUnspecified() {
		far = offer.addr.Addr()
	}
	if err := l.openMedia(far); err != nil {
		s.log.Warn("sip: no media for call", "call", l.id, "err", err)
		l.mu.Lock()
		_ = l.reply(503, "", nil, header("Retry-After", "5"))
		l.endLocked(ByUs, "no media port", 503)
		l.mu.Unlock()
		return
	}
	if !s.enters(b, l) { // its CANCEL was faster
		l.mu.Lock()
		_ = l.reply(487, "", nil)
		l.endLocked(ByFar, "cancel", 487)
		l.mu.Unlock()
		return
	}
	s.mu.Lock()
	s.dialogs[l.did] = l
	handler := s.handler
	s.mu.Unlock()
	if old != nil {
		old.mu.Lock()
		handler = old.features.replaced
		old.mu.Unlock()
	}
	s.here(func() { s.serve(l, handler) })
}

// serve runs the program's part of a call.
func (s *Server) serve(l *leg, handler func(context.Context, Call)) {
	defer func() {
		if p := recover(); p != nil {
			s.panicked("call", p)
			_ = l.finish(context.Background(), ByUs, "internal error", 500)
		}
	}()
	handler(l.ctx, l)
	if l.over() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = l.Hangup(ctx)
}

// learn fills the dialog from the INVITE that opens it (RFC 3261 12.1.1).
func (l *leg) learn(req *gosip.Request, way flow) {
	id, _ := dialogIDOf(req)
	l.did = id
	l.localURI, l.remoteURI = *req.To().Address.Clone(), *req.From().Address.Clone()
	l.localDisplay, l.remoteDisplay = cleanDisplay(req.To().DisplayName), cleanDisplay(req.From().DisplayName)
	l.target = *req.Contact().Address.Clone()
	for _, h := range req.GetHeaders("record-route") {
		if rr, ok := h.(*gosip.RecordRouteHeader); ok && len(l.routes) < 16 {
			l.routes = append(l.routes, *rr.Address.Clone())
		}
	}
	l.direct = len(req.GetHeaders("via"))+len(req.GetHeaders("v")) == 1
	l.user = cleanUser(req.Recipient.User)
	l.towards(l.s, way)
	l.secure = way.transport == "TLS" && req.Recipient.Scheme == "sips"
	l.box.start(req.CSeq().SeqNo)
	l.info.CallID = clean(id.callID, 128)
	l.info.Transport = way.transport
	l.info.Remote = way.remoteAddr()
}

// acceptsSDP looks at Accept (RFC 3261 20.1): without it, SDP is assumed.
func acceptsSDP(req *gosip.Request) bool {
	list := listHeader(req, "Accept")
	if len(list) == 0 {
		return true
	}
	return slices.ContainsFunc(list, func(v string) bool {
		v, _, _ = strings.Cut(strings.ToLower(v), ";")
		v = strings.TrimSpace(v)
		return v == accepts || v == "application/*" || v == "*/*"
	})
}

// sdpOf finds the session description in a body, in a multipart one too; nil when there is none. code is 415 for a body that must be
// understood and cannot be (RFC 3261 8.2.3).
func sdpOf(req gosip.Message) (body []byte, code int) {
	body = req.Body()
	if len(body) == 0 {
		return nil, 0
	}
	for e := range listed(req, "Content-Encoding", "e") {
		if !strings.EqualFold(e, "identity") {
			return nil, 415
		}
	}
	kind := ""
	if h := headerOf(req, "Content-Type"); h != nil {
		kind = h.Value()
	} else if h := headerOf(req, "c"); h != nil {
		kind = h.Value()
	}
	if strings.EqualFold(kind, accepts) {
		return body, 0
	}
	name, params, err := mime.ParseMediaType(kind)
	if err != nil {
		name, _, _ = strings.Cut(strings.ToLower(kind), ";")
		name = strings.TrimSpace(name)
	}
	switch {
	case name == accepts:
		return body, 0
	case strings.HasPrefix(name, "multipart/"):
		parts := multipart.NewReader(bytes.NewReader(body), params["boundary"])
		for range 16 {
			p, err := parts.NextPart()
			if err != nil {
				break
			}
			if t, _, err := mime.ParseMediaType(p.Header.Get("Content-Type")); err == nil && t == accepts {
				b, err := io.ReadAll(io.LimitReader(p, maxSDP+1))
				if err != nil {
					return nil, 400
				}
				return b, 0
			}
		}
	}
	if h := headerOf(req, "Content-Disposition"); h != nil && strings.Contains(strings.ToLower(h.Value()), "handling=optional") {
		return nil, 0
	}
	return nil, 415
}
