package sip

import (
	"hash/maphash"

	gosip "github.com/emiago/sipgo/sip"
)

// An ended call has to be remembered for half a minute: its far end may repeat what we have answered, or not know yet that it is over.
// The repetitions get the bytes that their transactions keep (servertx.go); to answer what is new takes no more than knowing that the
// dialog was there. So a leg that is over and quiet is replaced by a grave, and its ladder by what it tells: thousands of calls a
// second would otherwise keep thirty times as many legs.

// grave is a dialog that is over.
type grave struct{ last uint32 } // CSeq of the far end's last request

// graveKey names a dialog by two hashes with secrets of this process: nothing for the garbage collector to look into.
type graveKey [2]uint64

// buriedAfter is when a call that is over should be quiet: what was on its way has come or will not be missed in order any more.
const buriedAfter = gapSeen

func (s *Server) graveOf(id dialogID) graveKey {
	var room [320]byte
	b := append(append(room[:0], id.callID...), 0)
	b = append(append(b, id.local...), 0)
	b = append(b, id.remote...)
	return graveKey{maphash.Bytes(s.replies.seeds[0], b), maphash.Bytes(s.replies.seeds[1], b)}
}

// bury puts a grave in the place of a leg that is over. One that is still busy with its far end, or would have to acknowledge a
// repeated 2xx, stays whole as long as it is remembered.
func (s *Server) bury(l *leg) {
	l.mu.Lock()
	id := l.did
	quiet := l.okay == nil && !l.byeOnACK && !l.asking && l.ack == nil && l.features.referred == nil
	l.mu.Unlock()
	last, idle := l.box.rest()
	if !quiet || !idle {
		s.lingering.put(l)
		return
	}
	key := s.graveOf(id)
	s.mu.Lock()
	if s.dialogs[id] == l {
		delete(s.dialogs, id)
		s.graves[key] = grave{last}
	}
	s.mu.Unlock()
	s.buried.put(key)
	s.ladders.bury(l)
}

// forgetGrave ends the memory of a call.
func (s *Server) forgetGrave(key graveKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.graves, key)
}

// isOver says whether a dialog was ended a moment ago.
func (s *Server) isOver(id dialogID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.graves[s.graveOf(id)]
	return ok
}

// departed answers a request of a dialog that is over, as its leg would have done. It reports false when there was none.
func (s *Server) departed(req *gosip.Request, tx serverTx) bool {
	id, ok := dialogIDOf(req)
	if !ok {
		return false
	}
	key, n := s.graveOf(id), req.CSeq().SeqNo
	s.mu.Lock()
	g, ok := s.graves[key]
	late := n <= g.last
	if ok && !late {
		s.graves[key] = grave{n}
	}
	s.mu.Unlock()
	if !ok {
		return false
	}
	code, extra := 481, []gosip.Header(nil)
	switch bad, why := unsupported(req); {
	case late:
		code = 500 // RFC 3261 12.2.2
	case req.Method == gosip.BYE: // who hangs up in the same moment is told that it is done
		code = 200
	case bad != 0:
		code, extra = bad, why
	case req.Method == gosip.OPTIONS:
		code, extra = 200, []gosip.Header{header("Allow", allow), header("Accept", accepts), header("Supported", supported)}
	}
	s.respond(req, tx, code, "", extra...)
	return true
}
