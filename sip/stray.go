package sip

import (
	"context"

	gosip "github.com/emiago/sipgo/sip"
)

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
				l.note(true, l.ack.Destination(), summary(l.ack).again())
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
				l.note(true, ack.Destination(), said{text: "ACK and BYE to a second answer", msg: ack})
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
