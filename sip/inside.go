package sip

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"strings"

	gosip "github.com/emiago/sipgo/sip"

	"lianxin/sip/media"
)

// request handles a request of the dialog. The mailbox calls it in the order of CSeq, one at a time.
func (l *leg) request(req *gosip.Request, tx serverTx) {
	defer func() {
		if p := recover(); p != nil {
			l.s.panicked("dialog "+string(req.Method), p)
			l.s.safely("500", func() { l.respond(req, tx, 500) })
		}
	}()
	if code, extra := unsupported(req); code != 0 && req.Method != gosip.BYE {
		l.respond(req, tx, code, extra...)
		return
	}
	switch req.Method {
	case gosip.BYE:
		l.onBye(req, tx)
	case gosip.INVITE:
		l.onReinvite(req, tx)
	case gosip.UPDATE:
		l.onUpdate(req, tx)
	case gosip.INFO:
		l.onInfo(req, tx)
	case gosip.PRACK:
		l.onPrack(req, tx)
	case gosip.REFER:
		l.onRefer(req, tx)
	case gosip.NOTIFY:
		l.onNotify(req, tx)
	case gosip.OPTIONS:
		l.respond(req, tx, 200, header("Allow", allow), header("Accept", accepts), header("Supported", supported))
	default:
		code := 501
		if unserved[req.Method] {
			code = 405
		}
		l.respond(req, tx, code, header("Allow", allow))
	}
}

// refuse answers a request that came too late.
func (l *leg) refuse(req *gosip.Request, tx serverTx) { l.respond(req, tx, 500) }

func (l *leg) respond(req *gosip.Request, tx serverTx, code int, extra ...gosip.Header) {
	if err := l.send(tx, response(req, code, "", nil, extra...)); err != nil {
		l.s.log.Debug("sip: response not sent", "call", l.id, "code", code, "err", err)
	}
}

// onBye ends the call. A BYE acknowledges what has not been, because the ACK may be lost or late; in an early dialog it refuses the
// INVITE as well (RFC 3261 15.1.2).
func (l *leg) onBye(req *gosip.Request, tx serverTx) {
	l.respond(req, tx, 200)
	l.mu.Lock()
	defer l.mu.Unlock()
	code := 0
	if l.inv != nil && l.state < answered {
		code = 487
		_ = l.reply(code, "", nil)
	}
	l.byeOnACK = false
	if o := l.okay; o != nil {
		o.timer.Stop()
		l.okay = nil
	}
	l.endLocked(ByFar, reasonOf(req, "bye"), code)
}

// refresh takes the Contact of a request as the new target (RFC 3261 12.2.2), and the way it came as the way to the peer. mu is held.
func (l *leg) refresh(req *gosip.Request, tx serverTx) {
	if c := req.Contact(); c != nil && !c.Address.Wildcard && c.Address.Host != "" {
		l.target = *c.Address.Clone()
	}
	if f := flowOf(req, tx); f.transport == l.flow.transport {
		l.flow.remote = f.remote
	}
}

// onReinvite changes or refreshes the session (RFC 3261 14.2).
func (l *leg) onReinvite(req *gosip.Request, tx serverTx) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if o := l.okay; o != nil && l.state < over {
		if o.offered { // our offer is still unanswered (RFC 6141 3.4)
			l.respond(req, tx, 491)
			return
		}
		l.confirmed(o) // the ACK was lost: who asks for more has seen our 200
	}
	switch {
	case l.state == over:
		l.respond(req, tx, 481)
		return
	case l.state < answered:
		l.respond(req, tx, 500, header("Retry-After", strconv.Itoa(rand.IntN(11)))) // RFC 3261 14.2
		return
	case l.asking:
		l.respond(req, tx, 491)
		return
	}
	res, late, code := l.renegotiate(req)
	if code != 0 {
		l.respond(req, tx, code, l.complaint(code, req)...)
		return
	}
	l.refresh(req, tx)
	if err := l.send(tx, res); err != nil {
		return
	}
	l.repeat(&okay{cseq: req.CSeq().SeqNo, res: res, tx: tx, offered: late})
	l.armSession()
}

// onUpdate changes or refreshes the session without an ACK (RFC 3311).
func (l *leg) onUpdate(req *gosip.Request, tx serverTx) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.state == over:
		l.respond(req, tx, 481)
		return
	case len(req.Body()) > 0 && (l.asking || l.okay != nil && l.okay.offered):
		l.respond(req, tx, 491)
		return
	case len(req.Body()) > 0 && l.state < answered && (!l.early.spoken || l.early.open != nil || l.remote == nil):
		l.respond(req, tx, 500, header("Retry-After", strconv.Itoa(rand.IntN(11)))) // RFC 3311 5.2: the first offer is unanswered
		return
	}
	if len(req.Body()) == 0 {
		if code := l.session.tooShort(req, &l.s.cfg); code != 0 {
			l.respond(req, tx, code, l.complaint(code, req)...)
			return
		}
		l.refresh(req, tx)
		headers := append(l.session.begin(req, &l.s.cfg), l.contactHeader(), header("Allow", allow), header("Supported", supported))
		l.respond(req, tx, 200, headers...)
		l.armSession()
		return
	}
	res, _, code := l.renegotiate(req)
	if code != 0 {
		l.respond(req, tx, code, l.complaint(code, req)...)
		return
	}
	l.refresh(req, tx)
	_ = l.send(tx, res)
	l.armSession()
}

// renegotiate builds the 200 to a re-INVITE or UPDATE and applies its offer; without one it makes a full offer (pitfall 9). A
// description that has not changed is answered with the same one, and media goes on untouched. mu is held.
func (l *leg) renegotiate(req *gosip.Request) (res *gosip.Response, late bool, code int) {
	if code := l.session.tooShort(req, &l.s.cfg); code != 0 {
		return nil, false, code
	}
	body, code := sdpOf(req)
	if code != 0 {
		return nil, false, code
	}
	var out []byte
	if body == nil {
		l.stream = l.fullOffer()
		out, late = l.sdp.offer(l.stream), true
	} else {
		r, err := l.readSDP(body)
		if errors.Is(err, errSDPSyntax) {
			return nil, false, 400
		} else if err != nil {
			return nil, false, 488
		}
		if r.same(l.remote) {
			out = l.sdp.answer(r, l.stream)
		} else {
			was := l.stream
			order := l.order
			if l.codec.codec != 0 { // stay with the codec that is in use
				order = append([]media.Codec{l.codec.codec}, order...)
			}
			pick := r.pick(order)
			l.stream = stream{addr: l.mediaAddr(r), port: l.media.Port(), codecs: []offered{pick}, events: r.events, clock: r.clock,
				dir: l.held(r.dir.reversed()), mux: r.mux, crypto: l.cryptoFor(r)}
			if err := l.agree(r, pick); err != nil {
				l.stream = was
				return nil, false, 488
			}
			out = l.sdp.answer(r, l.stream)
		}
	}
	headers := append(l.session.begin(req, &l.s.cfg), l.contactHeader(), header("Allow", allow), header("Supported", supported))
	return response(req, 200, "", out, headers...), late, 0
}

// complaint is what goes with a refusal.
func (l *leg) complaint(code int, req *gosip.Request) []gosip.Header {
	switch code {
	case 422:
		return []gosip.Header{header("Min-SE", seconds(l.s.cfg.MinSE))}
	case 415:
		return []gosip.Header{header("Accept", accepts)}
	case 488:
		_, err := l.readSDP(req.Body())
		return []gosip.Header{warning(err)}
	}
	return nil
}

// warning explains a 488 (RFC 3261 20.43).
func warning(err error) gosip.Header {
	switch {
	case errors.Is(err, errSDPAddress):
		return header("Warning", `301 lianxin "Incompatible network address formats"`)
	case errors.Is(err, errSDPNoAudio):
		return header("Warning", `304 lianxin "Media type not available"`)
	}
	if errors.Is(err, errSDPPlain) || errors.Is(err, errSDPCrypto) {
		return header("Warning", `399 lianxin "SRTP (RFC 4568, AES_CM_128_HMAC_SHA1_80) required"`)
	}
	return header("Warning", `305 lianxin "Incompatible media format"`)
}

// onInfo takes key presses (pitfall 21).
func (l *leg) onInfo(req *gosip.Request, tx serverTx) {
	if l.over() {
		l.respond(req, tx, 481)
		return
	}
	if p := req.GetHeader("Info-Package"); p != nil {
		l.respond(req, tx, 469, header("Recv-Info", "")) // RFC 6086 4.2.2
		return
	}
	if len(req.Body()) == 0 {
		l.respond(req, tx, 200)
		return
	}
	kind := ""
	if h := req.ContentType(); h != nil {
		kind, _, _ = strings.Cut(strings.ToLower(h.Value()), ";")
	}
	switch strings.TrimSpace(kind) {
	case "application/dtmf-relay", "application/dtmf", "application/vnd.nortelnetworks.digits":
		if d, ok := infoDigit(req.Body()); ok {
			l.media.PushDigit(d)
		}
		l.respond(req, tx, 200)
	default:
		l.respond(req, tx, 415, header("Accept", "application/dtmf-relay, application/dtmf"))
	}
}

// infoDigit reads a key press: "Signal= 5", "Signal=*", "5", "11" (RFC 2833 event number) or "d=5" as the older boxes write it.
func infoDigit(body []byte) (rune, bool) {
	if len(body) > 512 {
		return 0, false
	}
	v := ""
	for line := range strings.SplitSeq(strings.ReplaceAll(string(body), "\r", "\n"), "\n") {
		key, val, ok := strings.Cut(line, "=")
		switch strings.ToLower(strings.TrimSpace(key)) {
		case "signal", "d":
			if ok {
				v = strings.TrimSpace(val)
			}
		default:
			if !ok && v == "" {
				v = strings.TrimSpace(line)
			}
		}
		if v != "" {
			break
		}
	}
	v = strings.ToUpper(v)
	if len(v) == 1 && strings.Contains("0123456789*#ABCD", v) {
		return rune(v[0]), true
	}
	if n, err := strconv.Atoi(v); err == nil && 10 <= n && n <= 15 {
		return rune("*#ABCD"[n-10]), true
	}
	return 0, false
}

// bye says goodbye. It returns when the far end has confirmed, cannot be reached, or ctx has ended.
func (l *leg) bye(ctx context.Context) {
	l.mu.Lock()
	req := l.next(l.s, gosip.BYE, 0)
	if l.ended.By == ByTimeout {
		req.AppendHeader(header("Reason", `SIP ;cause=408 ;text="`+l.ended.Cause+`"`))
	}
	l.mu.Unlock()
	if _, err := l.ask(ctx, req); err != nil && ctx.Err() == nil {
		l.s.log.Debug("sip: BYE not confirmed", "call", l.id, "err", err)
	}
}

// ask sends a request of ours in the dialog and waits for the final response; challenges of the trunk are answered once.
func (l *leg) ask(ctx context.Context, req *gosip.Request) (*gosip.Response, error) {
	for try := 0; ; try++ {
		l.note(true, req.Destination(), summary(req))
		res, err := l.s.transact(ctx, req)
		if err != nil {
			return nil, err
		}
		l.note(false, res.Source(), summary(res))
		if (res.StatusCode != 401 && res.StatusCode != 407) || try > 0 {
			return res, nil
		}
		l.mu.Lock()
		again, ok := l.s.answerChallenge(req, res, l.info.Trunk, &l.dialog)
		l.mu.Unlock()
		if !ok {
			return res, nil
		}
		req = again
	}
}

// transact sends a request that is not an INVITE and waits for the final response.
func (s *Server) transact(ctx context.Context, req *gosip.Request) (*gosip.Response, error) {
	tx, err := s.request(ctx, req)
	if err != nil {
		return nil, err
	}
	defer tx.Terminate()
	for {
		select {
		case res := <-tx.Responses():
			if !res.IsProvisional() {
				return res, nil
			}
		case <-tx.Done():
			return nil, failure(tx)
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// failure is why a transaction ended without a final response. The library closes Done before it says why.
func failure(tx *gosip.ClientTx) error {
	if err := tx.Err(); err != nil {
		return err
	}
	return gosip.ErrTransactionTerminated
}
