package sip

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"net"
	"strings"
	"time"

	gosip "github.com/emiago/sipgo/sip"
)

// The library starts a goroutine for every message, so that a CANCEL may overtake its INVITE (trap 1) and an INFO another one
// (trap 2). The front sees every message before that, in the order in which its socket received it, and notes what must not be
// lost: it gives an INVITE its To tag, tells a call that its CANCEL has come, hands a dialog its ACK, and announces to a dialog
// which requests are on their way.

// branch identifies an INVITE and its CANCEL (RFC 3261 9.2).
type branch struct {
	id, sentBy, transport, host string
	port                        int
}

func branchOf(req *gosip.Request) (branch, bool) {
	via := req.Via()
	if via == nil {
		return branch{}, false
	}
	id, _ := via.Params.Get("branch")
	host, _, _ := net.SplitHostPort(req.Source())
	return branch{id: id, sentBy: via.Host, port: via.Port, transport: req.Transport(), host: host}, true
}

// lateCancel is a CANCEL that has not met its INVITE yet.
type lateCancel struct {
	at  time.Time
	met bool
}

// maxLate bounds the CANCELs that wait, and the INVITEs whose goroutine has not run.
const maxLate = 10_000

// front is called by the library for every parsed message, one at a time per socket.
func (s *Server) front(msg gosip.Message) {
	if req, ok := msg.(*gosip.Request); ok {
		tidy(req)
		s.meet(req)
	}
}

// meet is the front of a request that is new.
func (s *Server) meet(req *gosip.Request) {
	s.safely("front", func() {
		switch req.Method {
		case gosip.INVITE:
			s.arrives(req)
			s.giveTag(req)
			s.announce(req)
		case gosip.CANCEL:
			s.giveTag(req)
			s.cancelled(req)
		case gosip.ACK:
			if l := s.dialogOf(req); l != nil {
				l.acknowledged(req)
			}
		default:
			s.announce(req)
		}
	})
}

// tidy drops the white space that may stand around the parts of a parameter (RFC 3261 25.1) and that the parser keeps, so that a
// tag or a branch is found.
func tidy(req *gosip.Request) {
	trim := func(ps gosip.HeaderParams) {
		for i := range ps {
			ps[i].K, ps[i].V = strings.TrimSpace(ps[i].K), strings.TrimSpace(ps[i].V)
		}
	}
	if h := req.From(); h != nil {
		trim(h.Params)
	}
	if h := req.To(); h != nil {
		trim(h.Params)
	}
	if h := req.Via(); h != nil {
		trim(h.Params)
	}
}

// giveTag puts our tag on a request that has none, so that every response has it, those that the library makes by itself too
// (trap 3). The tag follows from the request: a retransmission and the CANCEL get the same one.
func (s *Server) giveTag(req *gosip.Request) {
	to := req.To()
	if to == nil || to.Params.Has("tag") {
		return
	}
	if tag, ok := s.tagFor(req); ok {
		to.Params.Add("tag", tag)
	}
}

func (s *Server) tagFor(req *gosip.Request) (string, bool) {
	via, id, from, cseq := req.Via(), req.CallID(), req.From(), req.CSeq()
	if via == nil || id == nil || from == nil || cseq == nil {
		return "", false
	}
	branch, _ := via.Params.Get("branch")
	tag, _ := from.Params.Get("tag")
	var room [512]byte // the secret comes first and most of the sum stays here, so nobody can make tags of ours
	b := append(room[:0], s.secret[:]...)
	for _, p := range [...]string{id.Value(), tag, branch, via.Host, req.Source()} {
		b = append(append(b, p...), 0)
	}
	sum := sha256.Sum256(binary.LittleEndian.AppendUint32(b, cseq.SeqNo))
	return tags.EncodeToString(sum[:10]), true
}

var tags = base32.NewEncoding("0123456789abcdefghijklmnopqrstuv").WithPadding(base32.NoPadding)

// opens reports whether an INVITE is outside of any dialog: whether its To tag is the one we gave it.
func (s *Server) opens(req *gosip.Request, tx serverTx) bool {
	if u, ok := tx.(*udpTx); ok {
		return u.opens
	}
	tag, ok := req.To().Params.Get("tag")
	if !ok {
		return true
	}
	own, ok := s.tagFor(req)
	return ok && hmac.Equal([]byte(own), []byte(tag))
}

// arrives notes an INVITE that opens a call, so that its CANCEL is known to have something to cancel however late the INVITE's
// goroutine runs.
func (s *Server) arrives(req *gosip.Request) {
	if to := req.To(); to == nil || to.Params.Has("tag") {
		return
	}
	b, ok := branchOf(req)
	if !ok {
		return
	}
	e := &s.early
	e.mu.Lock()
	defer e.mu.Unlock()
	if c := e.cancels[b]; c != nil {
		c.met = true
	} else if len(e.coming) < maxLate {
		e.coming[b] = time.Now()
	}
}

// cancelled notes a CANCEL. A call that is ringing learns it here, before the library can answer anything.
func (s *Server) cancelled(req *gosip.Request) {
	b, ok := branchOf(req)
	if !ok {
		return
	}
	e := &s.early
	e.mu.Lock()
	l := e.calls[b]
	_, here := e.coming[b]
	if e.cancels[b] == nil && len(e.cancels) < maxLate {
		e.cancels[b] = &lateCancel{at: time.Now(), met: here || l != nil}
	}
	e.mu.Unlock()
	if l != nil {
		l.cancelledBy(req)
	}
}

// enters makes a new INVITE known to CANCELs. It reports false when its CANCEL has come already.
func (s *Server) enters(b branch, l *leg) bool {
	e := &s.early
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.coming, b)
	if c := e.cancels[b]; c != nil {
		c.met = true
		return false
	}
	e.calls[b] = l
	return true
}

func (s *Server) leaves(b branch) {
	s.early.mu.Lock()
	defer s.early.mu.Unlock()
	delete(s.early.calls, b)
}

// onCancel answers a CANCEL for which the library had no transaction: its INVITE may be a moment behind.
func (s *Server) onCancel(req *gosip.Request, tx serverTx) {
	b, ok := branchOf(req)
	for range 20 {
		s.early.mu.Lock()
		c := s.early.cancels[b]
		met := ok && c != nil && c.met
		s.early.mu.Unlock()
		if met {
			s.respond(req, tx, 200, "")
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	s.respond(req, tx, 481, "")
}

// dialogID names a dialog (RFC 3261 12): with our tag as local.
type dialogID struct{ callID, local, remote string }

func dialogIDOf(req *gosip.Request) (dialogID, bool) {
	id, from, to := req.CallID(), req.From(), req.To()
	if id == nil || from == nil || to == nil {
		return dialogID{}, false
	}
	local, _ := to.Params.Get("tag")
	remote, _ := from.Params.Get("tag")
	return dialogID{id.Value(), local, remote}, local != ""
}

// dialogOf finds the call that a request belongs to, nil if there is none.
func (s *Server) dialogOf(req *gosip.Request) *leg {
	id, ok := dialogIDOf(req)
	if !ok {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dialogs[id]
}

func (s *Server) announce(req *gosip.Request) {
	if l := s.dialogOf(req); l != nil && req.CSeq() != nil {
		l.box.announce(req.CSeq().SeqNo)
	}
}
