package sip

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	gosip "github.com/emiago/sipgo/sip"
)

// reserved headers are the protocol's own.
var reserved = map[string]bool{"via": true, "from": true, "to": true, "call-id": true, "cseq": true, "contact": true, "route": true,
	"record-route": true, "max-forwards": true, "content-length": true, "content-type": true, "authorization": true, "require": true,
	"proxy-authorization": true, "supported": true, "allow": true, "session-expires": true, "allow-events": true, "replaces": true, "refer-to": true, "referred-by": true, "p-asserted-identity": true, "p-preferred-identity": true, "min-se": true, "rack": true, "rseq": true}

// attempt is the INVITE of a call of ours and what comes back.
type attempt struct {
	leg   *leg
	opt   DialOpt
	until *time.Timer

	silence time.Duration
	last    *gosip.Request

	sounded bool // Early has been told
}

// run sends the INVITE, again where a challenge or a session timer wants it, and returns the 2xx.
func (a *attempt) run(ctx context.Context) (*gosip.Response, error) {
	l := a.leg
	var req *gosip.Request
	challenged := false
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
		if try < 4 {
			switch res.StatusCode {
			case 401, 407:
				l.mu.Lock()
				prev := a.last
				again, ok := l.s.answerChallenge(prev, res, l.info.Trunk, &l.dialog)
				l.mu.Unlock()
				if ok && !challenged {
					challenged = true
					req = again
					continue
				}
			case 422:
				if _, _, least := sessionExpires(res); least > 0 && least < 24*time.Hour && try < 2 {
					l.mu.Lock()
					l.session.interval = least
					l.mu.Unlock()
					continue
				}
			case 488, 606: // perhaps a telephone without G.711
				l.mu.Lock()
				refused := l.rare
				l.rare = true
				l.mu.Unlock()
				if !refused {
					challenged = false
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
	if l.info.Trunk != "" && l.user != "" {
		req.AppendHeader(l.assertion())
	}
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
	var quiet <-chan time.Time
	if a.silence > 0 {
		t := time.NewTimer(a.silence)
		defer t.Stop()
		quiet = t.C
	}
	for {
		select {
		case res := <-tx.Responses():
			l.note(false, res.Source(), summary(res))
			if !res.IsProvisional() {
				return res, nil
			}
			heard, quiet = true, nil
			if res.StatusCode > 100 {
				if news := a.provisional(res); news && res.StatusCode >= 180 && a.opt.Ringing != nil {
					l.s.safely("Ringing", func() { a.opt.Ringing(res.StatusCode) })
				}
			}
		case <-tx.Done():
			l.abort(ByNetwork, "no response", 408)
			return nil, fmt.Errorf("dial: %w", errors.Join(ErrUnreachable, failure(tx)))
		case <-quiet:
			l.abort(ByNetwork, "no response", 408)
			a.giveUp(req, tx, heard, "")
			return nil, fmt.Errorf("dial: silence: %w", ErrUnreachable)
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
