package sip

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	gosip "github.com/emiago/sipgo/sip"
)

// serve keeps watch over the trunks until ctx ends: asks them for their health, and registers with those that want it.
func (ls *lines) serve(ctx context.Context, running *sync.WaitGroup) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	ls.watched = func(l *line) {
		if l.Proxy == "" || ctx.Err() != nil {
			return
		}
		own, stop := context.WithCancel(ctx)
		l.stop = stop
		running.Go(func() { ls.watch(own, l) })
		if l.Register {
			running.Go(func() { ls.enrol(own, l) })
		}
	}
	for _, l := range ls.all {
		ls.watched(l)
	}
}

// close keeps a reload from beginning anything that serve's WaitGroup would have to wait for.
func (ls *lines) close() {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	ls.watched = nil
}

// watch sends OPTIONS now and then (RFC 3261 11): soon after the trunk is known, and more often while it does not answer, so that a call
// does not find out. Any answer but those of an exchange that cannot take calls is a sign of life.
func (ls *lines) watch(ctx context.Context, l *line) {
	wait := ls.s.cfg.probe / 30
	for pause(ctx, nil, around(wait)) {
		wait = ls.s.cfg.probe
		ls.s.safely("probe", func() {
			within, cancel := context.WithTimeoutCause(ctx, ls.s.cfg.silence, ErrUnreachable)
			defer cancel()
			d, err := ls.s.towardsTrunk(within, l)
			if err == nil {
				req := d.next(ls.s, gosip.OPTIONS, 0)
				req.AppendHeader(header("Accept", accepts))
				var res *gosip.Response
				if res, err = ls.s.transact(within, req); err == nil {
					switch res.StatusCode {
					case 408, 502, 503, 504:
						err = fmt.Errorf("options: %d: %w", res.StatusCode, ErrUnreachable)
					}
				}
			}
			if err != nil {
				wait /= 6
			}
			if ctx.Err() == nil {
				ls.heard(l, err)
			}
		})
	}
}

// towardsTrunk begins a request to a trunk outside of any call.
func (s *Server) towardsTrunk(ctx context.Context, l *line) (dialog, error) {
	home, err := parseURI(l.Proxy)
	if err != nil {
		return dialog{}, err
	}
	home.User = ""
	to, err := s.resolve(ctx, home)
	if err != nil {
		return dialog{}, err
	}
	d := dialog{target: home, user: l.User, direct: true, pinned: true, secure: home.Scheme == "sips",
		did: dialogID{callID: newID(), local: gosip.GenerateTagN(12)}}
	d.towards(s, to.flow)
	d.remoteURI = gosip.Uri{Scheme: home.Scheme, User: l.User, Host: home.Host, Port: home.Port}
	d.localURI = d.remoteURI
	return d, nil
}

// enrol holds a registration with a trunk (RFC 3261 10.2) until ctx ends, and then takes it back. It is renewed well before its end,
// and at once when its connection is lost. After a refusal the pauses grow, and all of them are spread: a trunk that comes back must
// not be met by all of its customers at once.
func (ls *lines) enrol(ctx context.Context, l *line) {
	var e enrolment
	var until time.Time
	asked := false // and not answered when ctx ended: it may have been carried out
	back, wait := ls.s.cfg.backoff, ls.s.cfg.backoff/4
	for pause(ctx, l.wake, around(wait)) {
		ls.s.safely("enrol", func() {
			within, cancel := context.WithTimeoutCause(ctx, 64*ls.s.t1, ErrUnreachable)
			defer cancel()
			ls.mu.Lock()
			if !l.registered { // its connection was lost
				until = time.Time{}
			}
			ls.mu.Unlock()
			granted, err := e.send(within, ls.s, l, time.Hour)
			if ctx.Err() != nil {
				asked = true
				return
			}
			ls.mu.Lock()
			if err == nil {
				until = time.Now().Add(granted)
				l.way = e.d.flow
			}
			was := l.registered
			l.registered = time.Now().Before(until)
			if err != nil {
				l.lastErr = err.Error()
			} else if !was {
				l.lastErr = ""
			}
			is := l.registered
			ls.mu.Unlock()
			if err == nil {
				back = ls.s.cfg.backoff
				wait = max(granted*3/4, ls.s.cfg.backoff/4)
			} else {
				wait = back
				if back = min(2*back, 10*time.Minute); errors.Is(err, ErrForbidden) {
					back = max(back, 30*ls.s.cfg.backoff) // a wrong password does not get right by being repeated
				}
			}
			if was != is || err != nil {
				ls.s.log.Info("sip: registration with trunk", "trunk", l.Name, "registered", is, "err", err)
			}
		})
	}
	ls.mu.Lock()
	was := l.registered
	l.registered = false
	ls.mu.Unlock()
	if was || asked {
		bye, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		_, _ = e.send(bye, ls.s, l, 0)
	}
}

// lost tells the registrations that went over a connection that it is gone.
func (ls *lines) lost(f flow) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for _, l := range ls.all {
		if l.registered && l.way.transport == f.transport && l.way.remote == f.remote {
			l.registered = false
			select {
			case l.wake <- struct{}{}:
			default:
			}
		}
	}
}

// uses reports whether we are registered over a connection.
func (ls *lines) uses(f flow) bool {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for _, l := range ls.all {
		if l.registered && l.way.transport == f.transport && l.way.remote == f.remote {
			return true
		}
	}
	return false
}

// enrolment is the sequence of our REGISTERs to one trunk: one Call-ID, a rising CSeq (RFC 3261 10.2.4).
type enrolment struct{ d dialog }

// send registers once, answering a challenge and asking for longer where the trunk wants that. It returns how long the registration
// holds.
func (e *enrolment) send(ctx context.Context, s *Server, l *line, expires time.Duration) (time.Duration, error) {
	d, err := s.towardsTrunk(ctx, l)
	if err != nil {
		return 0, fmt.Errorf("register: %w", err)
	}
	if e.d.did.callID != "" {
		d.did, d.seq = e.d.did, e.d.seq
	}
	e.d = d
	var again *gosip.Request
	for try := 0; ; try++ {
		req := again
		if req == nil {
			req = e.d.next(s, gosip.REGISTER, 0)
			req.AppendHeader(e.d.contactHeader())
			req.AppendHeader(header("Expires", strconv.Itoa(int(expires.Seconds()))))
		}
		again = nil
		res, err := s.transact(ctx, req)
		if err != nil {
			return 0, fmt.Errorf("register: %w", errors.Join(ErrUnreachable, err))
		}
		if res.IsSuccess() {
			return granted(res, expires), nil
		}
		if try < 3 {
			switch res.StatusCode {
			case 401, 407:
				// a second challenge is for a stale nonce; a third would be for a wrong password
				if r, ok := s.answerChallenge(withoutCredentials(req), res, l.Name, &e.d); ok && try < 2 {
					again = r
					continue
				}
			case 423:
				if h := res.GetHeader("Min-Expires"); h != nil {
					if n, err := strconv.Atoi(h.Value()); err == nil && n > int(expires.Seconds()) && n <= 24*3600 {
						expires = time.Duration(n) * time.Second
						continue
					}
				}
			}
		}
		return 0, fmt.Errorf("register: %w", &DialError{Code: res.StatusCode, Reason: maskDigits(clean(res.Reason, 80)), Kind: kindOf(res.StatusCode)})
	}
}

// withoutCredentials is a request as it was before it was proven.
func withoutCredentials(req *gosip.Request) *gosip.Request {
	r := req.Clone()
	r.RemoveHeader("Authorization")
	r.RemoveHeader("Proxy-Authorization")
	return r
}

// granted reads how long a registrar lets our binding stand: the expires of its Contact, else its Expires header, else what we asked.
func granted(res *gosip.Response, asked time.Duration) time.Duration {
	v := ""
	if h := res.GetHeader("Expires"); h != nil {
		v = h.Value()
	}
	if c := res.Contact(); c != nil {
		v = c.Params.GetOr("expires", v)
	}
	if n, err := strconv.Atoi(v); err == nil && n >= 0 && n <= 24*3600 {
		return time.Duration(n) * time.Second
	}
	return asked
}

// around spreads a pause by a tenth both ways.
func around(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.9 + 0.2*rand.Float64()))
}

// pause waits for d or until woken. It reports false when ctx has ended.
func pause(ctx context.Context, wake <-chan struct{}, d time.Duration) bool {
	t := time.NewTimer(max(d, 10*time.Millisecond))
	defer t.Stop()
	select {
	case <-t.C:
	case <-wake:
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}
