package sip

import (
	"context"
	"strconv"
	"strings"
	"time"

	gosip "github.com/emiago/sipgo/sip"
)

// early is the state of an incoming leg before its 200: reliable provisional answers (RFC 3262) and sound before the answer. Its
// fields are under the leg's mu.
type early struct {
	must   bool // the caller requires 100rel: every provisional answer is sent reliably
	may    bool // the caller knows 100rel
	rseq   uint32
	open   *reliable // sent and not acknowledged yet; one at a time (RFC 3262 3)
	next   func()    // what is to be sent when it has been
	spoken bool      // a provisional answer has described our audio
	late   bool      // … as an offer, to an INVITE without one; the PRACK brings the answer
	sure   bool      // … and the caller has acknowledged it: the 200 must not say it again (RFC 6337 2.2)
}

// reliable is a provisional answer of ours that is repeated until its PRACK comes.
type reliable struct {
	rseq  uint32
	res   *gosip.Response
	began time.Time
	wait  time.Duration
	timer *time.Timer
	body  bool
}

// An EarlyMedia is a Call that can be heard before it is answered. SIP legs are.
type EarlyMedia interface {
	// Progress describes our audio to an incoming caller who has not been answered (183): announcements and ringing of ours are heard
	// from then on, at no cost to the caller. ErrNotNow is for a call that has been answered, and for a caller who made no offer and
	// does not know reliable provisional answers (RFC 3262 5), to whom sound cannot be described before the 200.
	Progress(ctx context.Context) error
}

var _ EarlyMedia = (*leg)(nil)

// Progress sends 183 with our description.
func (l *leg) Progress(context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.state == over:
		return ErrEnded
	case l.inv == nil || l.state > ringing, l.offer == nil && !l.early.may:
		return ErrNotNow
	case l.early.spoken:
		return nil
	}
	body, late, err := l.describe(l.offer)
	if err != nil {
		return err
	}
	l.early.spoken, l.early.late = true, late
	l.state = ringing
	return l.provisional(183, body)
}

// provisional answers the INVITE before its final answer, reliably where the caller requires that, or where what it says matters and
// the caller knows how. mu is held.
func (l *leg) provisional(code int, body []byte) error {
	e := &l.early
	if !e.must && (!e.may || body == nil) {
		return l.reply(code, "", body, l.contactHeader(), header("Allow", allow))
	}
	if e.open != nil {
		if body == nil {
			return nil // the caller is being told of a provisional answer already
		}
		e.next = func() { _ = l.provisional(code, body) }
		return nil
	}
	if e.rseq == 0 {
		e.rseq = 1 + uint32(time.Now().UnixNano()&0xffffff) // RFC 3262 3: chosen at random, and far from the end
	} else {
		e.rseq++
	}
	res := response(l.inv, code, "", body, l.contactHeader(), header("Allow", allow), header("Require", "100rel"),
		header("RSeq", strconv.FormatUint(uint64(e.rseq), 10)))
	r := &reliable{rseq: e.rseq, res: res, began: time.Now(), wait: l.s.t1, body: body != nil}
	e.open = r
	r.timer = l.s.after(r.wait, "1xx", func() { l.repeatProvisional(r) })
	return l.send(l.invTx, res)
}

// repeatProvisional sends a provisional answer again, with pauses that double, and gives the call up after 64×T1 (RFC 3262 3).
func (l *leg) repeatProvisional(r *reliable) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.early.open != r || l.state > ringing {
		return
	}
	if time.Since(r.began) >= 64*l.s.t1 {
		_ = l.reply(504, "", nil)
		l.endLocked(ByTimeout, "no prack", 504)
		return
	}
	_ = l.send(l.invTx, r.res)
	r.wait *= 2
	r.timer = l.s.after(min(r.wait, max(64*l.s.t1-time.Since(r.began), 0)), "1xx", func() { l.repeatProvisional(r) })
}

// onPrack takes the acknowledgement of a provisional answer. It may bring the answer to our offer, or an offer of its own.
func (l *leg) onPrack(req *gosip.Request, tx serverTx) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.early.open
	if r == nil || l.inv == nil || !acknowledges(req, r.rseq, l.inv.CSeq().SeqNo) {
		l.respond(req, tx, 481)
		return
	}
	body, code := sdpOf(req)
	if code != 0 {
		l.respond(req, tx, code, l.complaint(code, req)...)
		return
	}
	switch {
	case body == nil && r.body && l.early.late && l.remote == nil:
		l.respond(req, tx, 400, header("Warning", `399 lianxin "no answer to the offer"`))
		return
	case body == nil:
		l.respond(req, tx, 200)
	case r.body && l.early.late && l.remote == nil:
		if err := l.answeredOffer(body); err != nil {
			l.respond(req, tx, 488, warning(err))
			return
		}
		l.respond(req, tx, 200)
	case !l.early.spoken || l.state > ringing:
		l.respond(req, tx, 488, header("Warning", `399 lianxin "no offer is possible now"`))
		return
	default:
		res, _, code := l.renegotiate(req)
		if code != 0 {
			l.respond(req, tx, code, l.complaint(code, req)...)
			return
		}
		_ = l.send(tx, res)
	}
	l.early.open = nil
	l.early.sure = l.early.sure || r.body
	r.timer.Stop()
	if l.state > ringing {
		return
	}
	if next := l.early.next; next != nil {
		l.early.next = nil
		next()
	}
}

// acknowledges reads RAck.
func acknowledges(req *gosip.Request, rseq, cseq uint32) bool {
	h := req.GetHeader("RAck")
	if h == nil {
		return false
	}
	f := strings.Fields(h.Value())
	if len(f) != 3 || f[2] != string(gosip.INVITE) {
		return false
	}
	n, err1 := strconv.ParseUint(f[0], 10, 32)
	c, err2 := strconv.ParseUint(f[1], 10, 32)
	return err1 == nil && err2 == nil && uint32(n) == rseq && uint32(c) == cseq
}

// heardEarly is what is known of one branch of a forked INVITE of ours: the dialog that its provisional answers made. Its fields are
// under the leg's mu.
type heardEarly struct {
	rseq    uint32
	body    []byte
	agreed  bool       // its description came reliably: offer and answer are through (RFC 3262 5)
	changed bool       // … and it has changed the session since, by UPDATE
	target  *gosip.Uri // that an UPDATE named
	cseq    uint32     // of its last UPDATE
}

// mostBranches is how many branches of an INVITE are followed.
const mostBranches = 16

// provisional takes a provisional answer to our INVITE: acknowledges it where it is reliable (RFC 3262 4), and lets its sound be heard.
// A branch answers in an order of its own; what comes out of order, or again, is passed over and comes again.
func (a *attempt) provisional(res *gosip.Response) (news bool) {
	l := a.leg
	news, sound, prack := l.hears(res)
	if prack != nil {
		l.s.spawn(func() {
			l.s.safely("PRACK", func() {
				ctx, done := context.WithTimeout(context.Background(), 64*l.s.t1)
				defer done()
				if _, err := l.ask(ctx, prack); err != nil {
					l.s.log.Debug("sip: PRACK not confirmed", "call", l.id, "err", err)
				}
			})
		})
	}
	if sound && a.opt.Early != nil && !a.sounded {
		a.sounded = true
		l.s.safely("Early", func() { a.opt.Early(l) })
	}
	return news
}

// hears is the leg's part of provisional: whether there is anything new, whether it can be heard now, and the PRACK that is due.
func (l *leg) hears(res *gosip.Response) (news, sound bool, prack *gosip.Request) {
	tag := ""
	if to := res.To(); to != nil {
		tag, _ = to.Params.Get("tag")
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.branches[tag]
	if b == nil {
		if len(l.branches) >= mostBranches {
			return false, false, nil
		}
		b = &heardEarly{}
		if l.branches == nil {
			l.branches = map[string]*heardEarly{}
		}
		l.branches[tag] = b
	}
	reliable := lists(res, "100rel", "Require") && tag != ""
	if reliable {
		h := res.GetHeader("RSeq")
		if h == nil {
			return false, false, nil
		}
		n, err := strconv.ParseUint(strings.TrimSpace(h.Value()), 10, 32)
		if err != nil || n == 0 || b.rseq != 0 && uint32(n) != b.rseq+1 {
			return false, false, nil
		}
		b.rseq = uint32(n)
		d := l.dialog
		d.did.remote = tag
		d.take(res)
		if b.target != nil {
			d.target = *b.target
		}
		l.seq++
		prack = d.next(l.s, gosip.PRACK, l.seq)
		prack.AppendHeader(header("RAck", strconv.FormatUint(n, 10)+" "+strconv.FormatUint(uint64(res.CSeq().SeqNo), 10)+" INVITE"))
	}
	if body, code := sdpOf(res); code == 0 && len(body) > 0 && !b.changed {
		b.body = body
		if err := l.answeredOffer(body); err != nil {
			l.s.log.Debug("sip: early sound is of no use", "call", l.id, "err", err)
		} else {
			sound = true
			b.agreed = b.agreed || reliable
		}
	}
	return true, sound, prack
}

// described is the description that goes with a 2xx: its own, or where it has none that of its branch, or of any where the branch said
// nothing. It is nil where the branch has changed the session since: that holds. mu is held.
func (l *leg) described(res *gosip.Response) (body []byte, holds bool) {
	tag, _ := res.To().Params.Get("tag")
	b := l.branches[tag]
	if b != nil && b.changed {
		return nil, true
	}
	if body = res.Body(); len(body) > 0 {
		return body, false
	}
	if b != nil && b.body != nil {
		return b.body, false
	}
	for _, b := range l.branches {
		if b.body != nil {
			return b.body, false
		}
	}
	return nil, false
}

// updated takes an UPDATE of a branch that has not answered our INVITE yet (RFC 3311 5.2). It may move the target and the session timer at
// any time, but an offer has to wait until ours has been answered for good: by a reliable answer, not by one that is sent again with
// the 200.
func (l *leg) updated(req *gosip.Request, tx serverTx) {
	l.mu.Lock()
	defer l.mu.Unlock()
	tag, _ := req.From().Params.Get("tag")
	b := l.branches[tag]
	switch {
	case l.state >= answered || b == nil:
		l.respond(req, tx, 481)
		return
	case b.cseq != 0 && req.CSeq().SeqNo <= b.cseq:
		l.respond(req, tx, 500)
		return
	}
	b.cseq = req.CSeq().SeqNo
	if len(req.Body()) > 0 && !b.agreed {
		l.respond(req, tx, 491)
		return
	}
	if code, extra := unsupported(req); code != 0 {
		l.respond(req, tx, code, extra...)
		return
	}
	var res *gosip.Response
	if len(req.Body()) > 0 {
		var code int
		if res, _, code = l.renegotiate(req); code != 0 {
			l.respond(req, tx, code, l.complaint(code, req)...)
			return
		}
		b.changed = true
	} else if code := l.session.tooShort(req, &l.s.cfg); code != 0 {
		l.respond(req, tx, code, l.complaint(code, req)...)
		return
	} else {
		headers := append(l.session.begin(req, &l.s.cfg), l.contactHeader(), header("Allow", allow), header("Supported", supported))
		res = response(req, 200, "", nil, headers...)
	}
	if c := req.Contact(); c != nil && !c.Address.Wildcard && c.Address.Host != "" {
		b.target = c.Address.Clone()
	}
	_ = l.send(tx, res)
}

// earlyOf finds the call of ours, not answered yet, that a request belongs to; nil if there is none.
func (s *Server) earlyOf(req *gosip.Request) *leg {
	id, ok := dialogIDOf(req)
	if !ok {
		return nil
	}
	s.mu.Lock()
	l := s.dialling[dialogID{callID: id.callID, local: id.local}]
	s.mu.Unlock()
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state >= answered || l.branches[id.remote] == nil {
		return nil
	}
	return l
}
