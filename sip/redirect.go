package sip

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	gosip "github.com/emiago/sipgo/sip"
)

// maxHops is how often a call follows a far end that has moved.
const maxHops = 3

// moved lists where a 3xx points, the most wanted first (RFC 3261 8.1.3.4).
func moved(refusal *DialError) []gosip.Uri {
	type place struct {
		uri gosip.Uri
		q   float64
	}
	var out []place
	for _, line := range refusal.Contacts {
		for _, v := range splitOutsideQuotes(line) {
			u, ok := addressOf(v)
			if !ok || u.Host == "" || u.Wildcard {
				continue
			}
			p := place{u, 1}
			if _, params, ok := strings.Cut(v, ">"); ok {
				for kv := range strings.SplitSeq(params, ";") {
					if k, val, _ := strings.Cut(kv, "="); strings.EqualFold(strings.TrimSpace(k), "q") {
						if q, err := strconv.ParseFloat(strings.TrimSpace(val), 64); err == nil {
							p.q = q
						}
					}
				}
			}
			out = append(out, p)
		}
	}
	slices.SortStableFunc(out, func(a, b place) int { return cmp.Compare(b.q, a.q) })
	var uris []gosip.Uri
	for _, p := range out {
		uris = append(uris, p.uri)
	}
	return uris
}

// follow calls a user or number where it has moved to: to another user of ours, or to a number that Outbound allows. A phone cannot
// send a call anywhere else (pitfall 38: forwarding counts as a call outbound), and nobody is called twice.
func (s *Server) follow(ctx context.Context, err error, o DialOpt, been map[string]bool) (Call, error) {
	var refusal *DialError
	if !o.Follow || !errors.As(err, &refusal) || !errors.Is(err, ErrRedirected) || len(been) > maxHops {
		return nil, err
	}
	for _, u := range moved(refusal) {
		name := userOf(u)
		if name == "" || been[name] {
			continue
		}
		been[name] = true
		t := Target{Number: name}
		if s.Registered(name) {
			t = Target{User: name}
		} else if !s.lines.allows(name) {
			s.log.Warn("sip: a phone forwards to a number that is not allowed", "number", mask(name))
			continue
		}
		c, again := s.dial(ctx, t, o, been)
		if again == nil {
			return c, nil
		}
		if ctx.Err() != nil {
			return nil, again
		}
		err = again
	}
	return nil, err
}

// elsewhereOn lists the places that a trunk's 3xx points to: its redirect server names the gateway to use. Only addresses of the
// trunk itself count.
func (s *Server) elsewhereOn(ctx context.Context, line *line, err error, number string) []destination {
	var refusal *DialError
	if !errors.As(err, &refusal) || !errors.Is(err, ErrRedirected) {
		return nil
	}
	var out []destination
	for _, u := range moved(refusal) {
		if u.Scheme != "sip" && u.Scheme != "sips" {
			continue
		}
		if userOf(u) != number {
			continue // another number is another call
		}
		d, err := s.resolve(ctx, u)
		if err != nil || !line.holds(d.flow.remoteAddr().Addr()) {
			continue
		}
		out = append(out, d)
	}
	return out
}

// holds reports whether an address is the trunk's.
func (l *line) holds(ip netip.Addr) bool {
	return slices.ContainsFunc(l.Addrs, func(p netip.Prefix) bool { return p.Contains(ip) })
}
