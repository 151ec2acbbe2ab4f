package sip

import (
	"context"
	"time"

	gosip "github.com/emiago/sipgo/sip"
)

// deafAfter is how many OPTIONS in a row a phone leaves without answer before it counts as unreachable. One answer brings it back.
const deafAfter = 2

// qualify asks every phone that registered over UDP now and then whether it is still there: its registration lasts minutes longer
// than its power. A deaf phone is not rung, and OnRegistration hears of it; phones on TCP and TLS have their connection to tell.
func (r *registrar) qualify(ctx context.Context) {
	for pause(ctx, nil, around(r.s.cfg.qualify)) {
		r.s.safely("qualify", func() {
			r.mu.Lock()
			var ask []binding
			for _, bs := range r.users {
				for _, b := range bs {
					if b.flow.transport == "UDP" {
						ask = append(ask, *b)
					}
				}
			}
			r.mu.Unlock()
			for i := range ask {
				if !pause(ctx, nil, min(r.s.cfg.qualify/time.Duration(4*len(ask)), 50*time.Millisecond)) { // not all at once
					return
				}
				r.s.spawn(func() {
					r.s.safely("qualify", func() { r.heard(ask[i], r.s.answers(ctx, ask[i])) })
				})
			}
		})
	}
}

// answers asks a phone. Whatever it says, it is there.
func (s *Server) answers(ctx context.Context, b binding) bool {
	within, cancel := context.WithTimeout(ctx, s.cfg.silence)
	defer cancel()
	d := dialog{target: b.uri, routes: b.path, direct: len(b.path) == 0, pinned: true, did: dialogID{callID: newID(), local: gosip.GenerateTagN(12)}}
	d.towards(s, b.flow)
	d.localURI = gosip.Uri{Scheme: "sip", Host: bracketed(d.self.Addr())}
	d.remoteURI = b.uri
	req := d.next(s, gosip.OPTIONS, 0)
	req.AppendHeader(header("Accept", accepts))
	_, err := s.transact(within, req)
	return err == nil || ctx.Err() != nil
}

// heard notes what a phone said, or that it said nothing.
func (r *registrar) heard(was binding, answered bool) {
	r.mu.Lock()
	for user, bs := range r.users {
		for _, b := range bs {
			if b.key != was.key || b.flow != was.flow || b.callID != was.callID {
				continue
			}
			before := reachable(bs)
			if answered {
				b.silent = 0
			} else {
				b.silent++
			}
			r.note(user, before, reachable(bs))
		}
	}
	r.mu.Unlock()
	r.flush()
}

// reachable reports whether any of a user's phones is.
func reachable(bs []*binding) bool {
	for _, b := range bs {
		if b.silent < deafAfter {
			return true
		}
	}
	return false
}
