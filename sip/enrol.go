package sip

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	gosip "github.com/emiago/sipgo/sip"
)

// Enrol registers us with a trunk of Config.Trunks, as its User, at its Proxy (RFC 3261 10.2), so that its calls come to our Contact.
// It returns how long the registration holds; the caller enrols again in good time. With expires 0 the registration is taken back.
// A refusal is a *DialError.
func (s *Server) Enrol(ctx context.Context, trunk string, expires time.Duration) (time.Duration, error) {
	t := s.trunkNamed(trunk)
	if t == nil || t.Proxy == "" || t.User == "" {
		return 0, fmt.Errorf("enrol: trunk %q has no proxy or no user: %w", trunk, ErrUnreachable)
	}
	home, err := parseURI(t.Proxy)
	if err != nil {
		return 0, fmt.Errorf("enrol: %w", err)
	}
	home.User = ""
	to, err := s.resolve(ctx, home)
	if err != nil {
		return 0, fmt.Errorf("enrol: %w", err)
	}
	d := dialog{target: home, user: t.User, direct: true, did: dialogID{callID: newID(), local: gosip.GenerateTagN(12)}}
	d.towards(s, to.flow)
	d.localURI = gosip.Uri{Scheme: "sip", User: t.User, Host: home.Host, Port: home.Port}
	d.remoteURI = d.localURI

	req := d.next(s, gosip.REGISTER, 0)
	req.AppendHeader(d.contactHeader())
	req.AppendHeader(header("Expires", strconv.Itoa(int(expires.Seconds()))))
	for try := 0; ; try++ {
		res, err := s.ask(ctx, req)
		if err != nil {
			return 0, fmt.Errorf("enrol: %w", err)
		}
		if res.IsSuccess() {
			return granted(res, expires), nil
		}
		if try == 0 && (res.StatusCode == 401 || res.StatusCode == 407) {
			if again, ok := s.answerChallenge(req, res, trunk, &d); ok {
				req = again
				continue
			}
		}
		return 0, fmt.Errorf("enrol: %w", &DialError{Code: res.StatusCode, Reason: maskDigits(clean(res.Reason, 80)), Kind: kindOf(res.StatusCode)})
	}
}

// ask sends a request other than INVITE and waits for its final response.
func (s *Server) ask(ctx context.Context, req *gosip.Request) (*gosip.Response, error) {
	tx, err := s.request(ctx, req)
	if err != nil {
		return nil, errors.Join(ErrUnreachable, err)
	}
	defer tx.Terminate()
	for {
		select {
		case res := <-tx.Responses():
			if !res.IsProvisional() {
				return res, nil
			}
		case <-tx.Done():
			return nil, errors.Join(ErrUnreachable, tx.Err())
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// granted reads how long a registrar lets our binding stand: the expires of its Contact, else its Expires header, else what we asked.
func granted(res *gosip.Response, asked time.Duration) time.Duration {
	if c := res.Contact(); c != nil {
		if v, ok := c.Params.Get("expires"); ok {
			if n, err := strconv.Atoi(v); err == nil && n >= 0 {
				return time.Duration(n) * time.Second
			}
		}
	}
	if h := res.GetHeader("Expires"); h != nil {
		if n, err := strconv.Atoi(h.Value()); err == nil && n >= 0 {
			return time.Duration(n) * time.Second
		}
	}
	return asked
}
