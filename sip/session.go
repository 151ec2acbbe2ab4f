package sip

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	gosip "github.com/emiago/sipgo/sip"
)

// session is the timer that finds out when the far end has vanished (RFC 4028). Its fields are under the leg's mu.
type session struct {
	interval time.Duration // 0: none
	ours     bool          // we refresh
	update   bool          // the far end takes UPDATE
	timer    *time.Timer
}

func seconds(d time.Duration) string { return strconv.Itoa(int(d / time.Second)) }

// sessionExpires reads Session-Expires and Min-SE.
func sessionExpires(m gosip.Message) (interval time.Duration, refresher string, least time.Duration) {
	read := func(v string) time.Duration {
		n, err := strconv.ParseUint(strings.TrimSpace(v), 10, 31)
		if err != nil {
			return 0
		}
		return time.Duration(n) * time.Second
	}
	for _, name := range []string{"Session-Expires", "x"} {
		if h := headerOf(m, name); h != nil {
			parts := strings.Split(h.Value(), ";")
			interval = read(parts[0])
			for _, p := range parts[1:] {
				if k, v, _ := strings.Cut(p, "="); strings.EqualFold(strings.TrimSpace(k), "refresher") {
					refresher = strings.ToLower(strings.TrimSpace(v))
				}
			}
			break
		}
	}
	if h := headerOf(m, "Min-SE"); h != nil {
		v, _, _ := strings.Cut(h.Value(), ";")
		least = read(v)
	}
	return
}

// tooShort is 422 when a request asks for a shorter session than we allow.
func (t *session) tooShort(req *gosip.Request, cfg *Config) int {
	interval, _, _ := sessionExpires(req)
	if interval > 0 && interval < cfg.MinSE && lists(req, "timer", "Supported", "k") {
		return 422
	}
	return 0
}

// begin sets the timer by a request of the far end and returns what our 2xx says of it (RFC 4028 9).
func (t *session) begin(req *gosip.Request, cfg *Config) []gosip.Header {
	interval, refresher, least := sessionExpires(req)
	knows := lists(req, "timer", "Supported", "k")
	t.update = lists(req, "UPDATE", "Allow")
	t.interval = 0
	switch {
	case interval > 0:
		t.interval = max(min(interval, max(cfg.SessionExpires, least)), cfg.MinSE)
	case knows:
		t.interval = max(cfg.SessionExpires, least)
	default:
		return nil // the far end knows nothing of session timers
	}
	if refresher != "uac" && refresher != "uas" || !knows {
		refresher = "uas"
		if knows {
			refresher = "uac"
		}
	}
	t.ours = refresher == "uas"
	out := []gosip.Header{header("Session-Expires", seconds(t.interval)+";refresher="+refresher)}
	if knows {
		out = append(out, header("Require", "timer"))
	}
	return out
}

// agreed sets the timer by a 2xx to a request of ours.
func (t *session) agreed(res *gosip.Response) {
	interval, refresher, _ := sessionExpires(res)
	t.interval, t.ours = interval, refresher != "uas"
	t.update = t.update || lists(res, "UPDATE", "Allow")
}

// asks is what a request of ours says of the timer.
func (t *session) asks(cfg *Config) []gosip.Header {
	interval := t.interval
	out := []gosip.Header{header("Supported", supported), header("Min-SE", seconds(cfg.MinSE))}
	if interval == 0 {
		return append(out, header("Session-Expires", seconds(cfg.SessionExpires)))
	}
	return append(out, header("Session-Expires", seconds(interval)+";refresher=uac"))
}

// armSession starts the timer anew. mu is held.
func (l *leg) armSession() {
	t := &l.session
	if t.timer != nil {
		t.timer.Stop()
		t.timer = nil
	}
	if t.interval == 0 || l.state == over {
		return
	}
	if t.ours {
		t.timer = l.s.after(t.interval/2, "session refresh", l.keepAlive)
		return
	}
	t.timer = l.s.after(t.interval-min(32*time.Second, t.interval/3), "session expiry", func() {
		_ = l.finish(context.Background(), ByTimeout, causeSession, 0)
	})
}

// keepAlive refreshes the session by UPDATE or, where that is not known, by a re-INVITE with the same description.
func (l *leg) keepAlive() {
	l.mu.Lock()
	if l.state == over {
		l.mu.Unlock()
		return
	}
	if l.asking || l.okay != nil {
		l.session.timer = l.s.after(2*time.Second, "session refresh", l.keepAlive)
		l.mu.Unlock()
		return
	}
	half := l.session.interval / 2
	byUpdate := l.session.update
	l.mu.Unlock()

	ctx, cancel := context.WithTimeout(l.ctx, 64*l.s.t1)
	defer cancel()
	var res *gosip.Response
	var err error
	if byUpdate {
		res, err = l.change(ctx, gosip.UPDATE, nil)
	} else {
		res, err = l.change(ctx, gosip.INVITE, l.reoffer)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.state == over:
	case err == nil && res.StatusCode == 422:
		if _, _, least := sessionExpires(res); least > l.session.interval {
			l.session.interval = least
		}
		l.session.timer = l.s.after(time.Second, "session refresh", l.keepAlive)
	case err == nil && res.StatusCode != 408 && res.StatusCode != 481 && res.StatusCode >= 300:
		// refused for some other reason: the session lives until its end, so try once more before that (RFC 4028 10)
		l.session.timer = l.s.after(max(half/2, time.Second), "session refresh", func() { l.lastRefresh(byUpdate) })
	case err != nil || res.StatusCode >= 300:
		l.endLocked(ByTimeout, causeSession, 0)
		l.s.spawn(func() { l.s.safely("bye", func() { l.bye(context.Background()) }) })
	}
}

func (l *leg) lastRefresh(byUpdate bool) {
	ctx, cancel := context.WithTimeout(l.ctx, 64*l.s.t1)
	defer cancel()
	method, body := gosip.UPDATE, (func() []byte)(nil)
	if !byUpdate {
		method, body = gosip.INVITE, l.reoffer
	}
	if res, err := l.change(ctx, method, body); err != nil || res.StatusCode >= 300 {
		_ = l.finish(context.Background(), ByTimeout, causeSession, 0)
	}
}

// change sends an UPDATE or re-INVITE of ours and takes over what its 2xx says. Glare (491) is waited out: 2.1 to 4 s by who opened
// the dialog, up to 2 s by the other (RFC 3261 14.1). body is called with mu held.
func (l *leg) change(ctx context.Context, method gosip.RequestMethod, body func() []byte) (*gosip.Response, error) {
	for {
		l.mu.Lock()
		if l.state == over {
			l.mu.Unlock()
			return nil, ErrEnded
		}
		if l.asking {
			l.mu.Unlock()
			return nil, ErrNotNow
		}
		l.asking = true
		req := l.next(l.s, method, 0)
		req.AppendHeader(l.contactHeader())
		req.AppendHeader(header("Allow", allow))
		for _, h := range l.session.asks(&l.s.cfg) {
			req.AppendHeader(h)
		}
		if body != nil {
			req.AppendHeader(gosip.NewHeader("Content-Type", accepts))
			req.SetBody(body())
		}
		owner := l.inv == nil
		l.mu.Unlock()

		res, err := l.askAny(ctx, req)
		l.mu.Lock()
		l.asking = false
		if err == nil && res.StatusCode >= 200 && res.StatusCode < 300 {
			if c := res.Contact(); c != nil && c.Address.Host != "" {
				l.target = *c.Address.Clone()
			}
			if body != nil && len(res.Body()) > 0 {
				err = l.answeredOffer(res.Body())
			}
			l.session.agreed(res)
			l.armSession()
		}
		l.mu.Unlock()
		if err != nil || res.StatusCode != 491 {
			return res, err
		}
		wait := time.Duration(rand.Int64N(int64(2 * time.Second)))
		if owner {
			wait = 2100*time.Millisecond + time.Duration(rand.Int64N(int64(1900*time.Millisecond)))
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, fmt.Errorf("change session: %w", context.Cause(ctx))
		}
	}
}

// askAny is ask for a re-INVITE, too: its 2xx is acknowledged.
func (l *leg) askAny(ctx context.Context, req *gosip.Request) (*gosip.Response, error) {
	if req.Method != gosip.INVITE {
		return l.ask(ctx, req)
	}
	l.note(true, req.Destination(), summary(req))
	tx, err := l.s.request(ctx, req)
	if err != nil {
		return nil, err
	}
	tx.OnRetransmission(func(r *gosip.Response) { l.s.strayResponse(r) })
	for {
		select {
		case res := <-tx.Responses():
			if res.IsProvisional() {
				continue
			}
			l.note(false, res.Source(), summary(res))
			if res.IsSuccess() {
				l.mu.Lock()
				l.sendACK(req.CSeq().SeqNo)
				l.mu.Unlock()
			}
			return res, nil
		case <-tx.Done():
			return nil, failure(tx)
		case <-ctx.Done():
			tx.Terminate()
			return nil, context.Cause(ctx)
		}
	}
}

// sendACK acknowledges a 2xx to our INVITE, and keeps the ACK for repetitions of it. mu is held.
func (l *leg) sendACK(cseq uint32) {
	l.ack = l.next(l.s, gosip.ACK, cseq)
	l.note(true, l.ack.Destination(), summary(l.ack))
	if err := l.s.write(l.ack); err != nil {
		l.s.log.Debug("sip: ACK not sent", "call", l.id, "err", err)
	}
}
