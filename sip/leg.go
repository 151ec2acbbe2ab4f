package sip

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	gosip "github.com/emiago/sipgo/sip"

	"lianxin/sip/media"
)

// A state of a leg. It only ever rises.
type state uint8

const (
	trying   state = iota // incoming, nothing answered
	ringing               // incoming, 180 sent
	answered              // incoming, 200 sent, no ACK yet
	up                    // both sides agree
	over                  // ended; the dialog lingers to answer what is still on its way
)

// leg is a Call over SIP: one dialog (RFC 3261 12) with its offer/answer (RFC 3264).
type leg struct {
	s      *Server
	id     string
	media  *media.Leg
	ctx    context.Context // ends with the leg
	cancel context.CancelFunc
	done   chan struct{}
	acked  chan struct{} // closed when the first 200 of ours is acknowledged
	trace  trace

	captured atomic.Pointer[capture] // its packets are kept
	box      mailbox
	signAt   atomic.Int64 // when the far end last sent a message, ns since Server.began
	asked    atomic.Bool  // it is being asked whether it is there

	mu    sync.Mutex
	state state
	info  Info
	ended End

	// The INVITE that opened an incoming leg.
	inv    *gosip.Request
	invTx  serverTx
	branch branch
	rings  *time.Timer

	dialog
	talk
	early     early
	features  features
	okay      *okay          // 2xx of ours that waits for its ACK
	byeOnACK  bool           // hung up before the ACK came: BYE as soon as it has (RFC 3261 15)
	ack       *gosip.Request // our last ACK, for repeated 2xx
	asking    bool           // a re-INVITE or UPDATE of ours is pending
	limit     *time.Timer
	longest   time.Duration // that it may last, if not Config.MaxCall
	session   session
	strangers map[string]bool        // To tags of further answers to our INVITE
	branches  map[string]*heardEarly // provisional answers to our INVITE, by To tag
}

var _ Call = (*leg)(nil)

func (s *Server) newLeg(info Info) *leg {
	l := &leg{s: s, id: newID(), info: info, done: make(chan struct{}), acked: make(chan struct{})}
	l.info.Started = s.cfg.Now()
	l.ctx, l.cancel = context.WithCancel(context.Background())
	l.sdp.id = uint64(l.info.Started.Unix())
	l.order = s.cfg.Codecs
	s.ladders.begin(l)
	s.captures.meets(l)
	l.box = mailbox{handle: l.request, refuse: l.refuse, after: s.after}
	s.live.Add(1)
	s.alive.mu.Lock()
	s.alive.m[l] = struct{}{}
	s.alive.mu.Unlock()
	return l
}

// openMedia reserves the leg's ports, in the family of the far end's media.
func (l *leg) openMedia(far netip.Addr) (err error) {
	if far.Is6() {
		l.media, err = l.s.engine.OpenOn(netip.IPv6Unspecified())
	} else {
		l.media, err = l.s.engine.Open()
	}
	if err != nil {
		return err
	}
	l.captureMedia()
	l.media.OnTimeout(func() {
		l.s.safely("media time-out", func() { _ = l.finish(context.Background(), ByTimeout, "no media", 0) })
	})
	return nil
}

func (l *leg) ID() string            { return l.id }
func (l *leg) Done() <-chan struct{} { return l.done }
func (l *leg) Media() *media.Leg     { return l.media }

func (l *leg) Info() Info {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.info
}

func (l *leg) End() End {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ended
}

func (l *leg) over() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state == over
}

// Ring sends 180, again every minute for the proxies on the way (RFC 3261 13.3.1.1).
func (l *leg) Ring(context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.state == over:
		return ErrEnded
	case l.inv == nil || l.state > ringing:
		return ErrNotNow
	}
	if err := l.provisional(180, nil); err != nil {
		return err
	}
	l.state = ringing
	if l.rings != nil {
		l.rings.Stop()
	}
	l.rings = l.s.after(time.Minute, "ring", func() { _ = l.Ring(context.Background()) })
	return nil
}

// reply answers the INVITE that opened the leg. mu is held and the state is before answered, so no CANCEL has been.
func (l *leg) reply(code int, reason string, body []byte, extra ...gosip.Header) error {
	return l.send(l.invTx, response(l.inv, code, reason, body, extra...))
}

func (l *leg) send(tx serverTx, res *gosip.Response) error {
	l.note(true, res.Destination(), summary(res))
	return tx.Respond(res)
}

// Answer accepts the call.
func (l *leg) Answer(ctx context.Context) error {
	if err := l.accept(); err != nil {
		return err
	}
	select {
	case <-l.acked:
		return nil
	case <-l.done:
		if l.End().Cause == causeNoACK {
			return ErrNoACK
		}
		return ErrEnded
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (l *leg) accept() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.state == over:
		return ErrEnded
	case l.inv == nil:
		return ErrNotNow
	case l.state >= answered:
		return nil
	case l.early.open != nil && l.early.open.body: // not before the caller has our description (RFC 3262 5)
		l.early.next = func() { _ = l.acceptLocked() }
		return nil
	}
	return l.acceptLocked()
}

// acceptLocked sends the 200. mu is held.
func (l *leg) acceptLocked() error {
	if l.state >= answered {
		return nil
	}
	var body []byte
	late := false
	switch {
	case !l.early.spoken:
		var err error
		if body, late, err = l.describe(l.offer); err != nil {
			return err
		}
	case !l.early.sure:
		body = l.sdp.answer(l.remote, l.stream) // the same once more
	}
	headers := append(l.session.begin(l.inv, &l.s.cfg), l.contactHeader(), header("Allow", allow), header("Supported", supported))
	res := response(l.inv, 200, "", body, headers...)
	if err := l.send(l.invTx, res); err != nil {
		l.endLocked(ByNetwork, "transport", 0)
		return errors.Join(ErrEnded, err)
	}
	l.stopRinging()
	l.early.next = nil
	l.s.leaves(l.branch)
	l.state = answered
	l.info.Answered = l.s.cfg.Now()
	l.repeat(&okay{cseq: l.inv.CSeq().SeqNo, res: res, tx: l.invTx, offered: late, initial: true})
	l.limitCall()
	l.armSession()
	return nil
}

// limitCall ends the call when it has lasted as long as any may.
func (l *leg) limitCall() {
	most := l.s.cfg.MaxCall
	if l.longest > 0 {
		most = min(most, l.longest)
	}
	l.limit = l.s.after(most, "longest call", func() { _ = l.finish(context.Background(), ByTimeout, "longest call", 0) })
}

const (
	causeNoACK   = "no ack"
	causeSession = "session expired"
)

// Reject refuses the call.
func (l *leg) Reject(code int, reason string) error {
	if code < 300 || code > 699 {
		code = 480
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.state == over:
		return ErrEnded
	case l.inv == nil || l.state > ringing:
		return ErrNotNow
	}
	err := l.reply(code, reason, nil)
	l.endLocked(ByUs, "rejected", code)
	return err
}

// Hangup ends the call.
func (l *leg) Hangup(ctx context.Context) error { return l.hangup(ctx, "hangup") }

func (l *leg) hangup(ctx context.Context, cause string) error { return l.finish(ctx, ByUs, cause, 480) }

// finish ends the call for our part. code is the final response if it has not been answered.
func (l *leg) finish(ctx context.Context, by By, cause string, code int) error {
	l.mu.Lock()
	if l.state == over {
		l.mu.Unlock()
		return nil
	}
	before := l.state
	var err error
	if l.inv != nil && before < answered {
		if code == 0 {
			code = 480
		}
		err = l.reply(code, "", nil)
		l.endLocked(by, cause, code)
		l.mu.Unlock()
		return err
	}
	l.endLocked(by, cause, 0)
	if l.okay != nil && l.okay.initial {
		l.byeOnACK = true // acknowledged or finishUnacknowledged will say goodbye
		l.mu.Unlock()
		return nil
	}
	l.mu.Unlock()
	done := make(chan struct{})
	l.s.spawn(func() {
		defer close(done)
		l.s.safely("bye", func() { l.bye(context.Background()) }) // it goes on when ctx ends
	})
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// cancelledBy ends the leg because the caller gave up. It is called by front.
func (l *leg) cancelledBy(req *gosip.Request) {
	l.note(false, req.Source(), summary(req))
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state >= answered {
		return // the CANCEL came too late (RFC 3261 9.2); the caller will hang up
	}
	_ = l.reply(487, "", nil)
	l.endLocked(ByFar, reasonOf(req, "cancel"), 487)
}

// endLocked ends the leg for the program. What the far end is still to be told, the caller of endLocked tells it. mu is held.
func (l *leg) endLocked(by By, cause string, code int) {
	if l.state == over {
		return
	}
	l.state = over
	l.info.Ended = l.s.cfg.Now()
	l.ended = End{By: by, Cause: cause, Code: code, At: l.info.Ended}
	l.stopRinging()
	if l.early.open != nil {
		l.early.open.timer.Stop()
		l.early.open = nil
	}
	for _, t := range []*time.Timer{l.limit, l.session.timer} {
		if t != nil {
			t.Stop()
		}
	}
	if l.okay != nil && !l.okay.initial { // the BYE makes the ACK of a re-INVITE needless
		l.okay.timer.Stop()
		l.okay = nil
	}
	l.cancel()
	close(l.done)
	l.s.live.Add(-1)
	l.s.alive.mu.Lock()
	delete(l.s.alive.m, l)
	l.s.alive.mu.Unlock()
	s, b := l.s, l.branch
	if l.media != nil {
		l.media.Shut()
	}
	incoming := l.inv != nil
	if incoming {
		s.leaves(b)
	}
	l.inv, l.invTx, l.offer, l.remote, l.early = nil, nil, nil, nil, early{} // the stream stays for an answer that crosses the BYE; thousands of ended calls are remembered at a time
	if incoming {
		s.burying.put(l)
	} else {
		s.lingering.put(l)
	}
	s.told.put(l.id)
}

func (s *Server) forget(l *leg) {
	l.mu.Lock()
	id := l.did
	l.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.dialogs, id)
	delete(s.dialling, dialogID{callID: id.callID, local: id.local})
}

func (l *leg) stopRinging() {
	if l.rings != nil {
		l.rings.Stop()
		l.rings = nil
	}
}

// reasonOf is the cause that the far end gives (RFC 3326), or otherwise.
func reasonOf(m gosip.Message, otherwise string) string {
	h := headerOf(m, "Reason")
	if h == nil {
		return otherwise
	}
	if v := clean(h.Value(), 80); v != "" {
		return otherwise + ": " + maskDigits(v)
	}
	return otherwise
}
