package cmpp

import (
	"bufio"
	"context"
	"crypto/md5"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"lianxin/sms"
)

// Authenticator is the MD5 with which a service provider logs in: over its id, nine zero bytes, the secret, and the time
// as ten digits.
func Authenticator(id, secret string, timestamp uint32) [16]byte {
	return md5.Sum(fmt.Appendf(nil, "%s%s%s%010d", id, "\x00\x00\x00\x00\x00\x00\x00\x00\x00", secret, timestamp))
}

// GatewayAuthenticator is the MD5 with which a gateway proves itself: over the status as it stands in the answer, the
// provider's authenticator and the secret.
func GatewayAuthenticator(v Version, status uint32, source [16]byte, secret string) [16]byte {
	var b []byte
	if v >= V30 {
		b = binary.BigEndian.AppendUint32(b, status)
	} else {
		b = append(b, byte(status))
	}
	return md5.Sum(append(append(b, source[:]...), secret...))
}

// call is a SUBMIT that has no answer yet.
type call struct {
	submission
	answer  chan SubmitResp // gets the one answer, or is closed when it is surely not coming
	waiting bool            // somebody reads answer; otherwise the answer is a late one
	slot    bool            // holds a place in the window
}

// link is one connection that is logged in.
type link struct {
	conn    net.Conn
	r       *bufio.Reader
	version Version
	cfg     *Config
	log     *slog.Logger
	window  chan struct{}                // a slot for each SUBMIT without an answer
	known   func(msgID uint64)           // called with the Msg_Id of each answer, before the report on it is read
	late    func(submission, SubmitResp) // called with answers for which nobody waits

	wmu sync.Mutex

	mu      sync.Mutex
	seq     uint32
	calls   map[uint32]*call
	heard   time.Time // when anything came last
	err     error     // why it ended
	done    chan struct{}
	parting chan struct{} // closed when the other side has agreed to part
}

var errClosed = errors.New("the link is closed")

// login connects and logs in. A refusal is an *sms.Error with sms.Misconfigured, everything else one with
// sms.Unreachable: nothing was submitted.
func login(ctx context.Context, cfg *Config, v Version, now time.Time, log *slog.Logger) (*link, error) {
	ctx, cancel := context.WithTimeout(ctx, cfg.Timeout)
	defer cancel()
	fail := func(err error) (*link, error) {
		return nil, &sms.Error{Kind: sms.Unreachable, Err: fmt.Errorf("cmpp: log in: %w", err)}
	}
	conn, err := cfg.dial(ctx)
	if err != nil {
		return fail(err)
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	local := now.In(zone)
	stamp := uint32(int(local.Month())*1e8 + local.Day()*1e6 + local.Hour()*1e4 + local.Minute()*1e2 + local.Second())
	hello := &Connect{SourceAddr: cfg.ID, Version: v, Timestamp: stamp, Authenticator: Authenticator(cfg.ID, cfg.Secret, stamp)}
	b, err := Append(nil, v, 1, hello)
	if err == nil {
		_, err = conn.Write(b)
	}
	var f Frame
	r := bufio.NewReaderSize(conn, 16<<10)
	if err == nil {
		f, err = Read(r, v)
	}
	if err == nil {
		err = f.Err
	}
	resp, ok := f.PDU.(*ConnectResp)
	if err == nil && !ok {
		err = fmt.Errorf("the gateway answered with command %08x", uint32(f.Cmd))
	}
	if err == nil && !stop() {
		err = ctx.Err()
	}
	if err != nil {
		conn.Close()
		return fail(err)
	}
	if resp.Status != 0 {
		conn.Close()
		why := map[uint32]string{1: "structure", 2: "unknown SP id", 3: "wrong secret or clock", 4: "version too high"}[resp.Status]
		return nil, sms.Errorf(sms.Misconfigured, fmt.Sprintf("CONNECT:%d", resp.Status), "cmpp: the gateway refuses our login: %s", why)
	}
	if resp.Version != 0 && resp.Version < v && resp.Version < V30 {
		v = V20
	}
	if want := GatewayAuthenticator(v, 0, hello.Authenticator, cfg.Secret); resp.Authenticator != want {
		log.Warn("gateway does not prove that it knows our secret", "carrier", "cmpp")
	}
	l := &link{conn: conn, r: r, version: v, cfg: cfg, log: log, window: make(chan struct{}, cfg.Window), seq: 1, calls: map[uint32]*call{},
		heard: time.Now(), done: make(chan struct{}), parting: make(chan struct{})}
	return l, nil
}

// serve reads until the link ends. deliver is called with each DELIVER and must not block for long.
func (l *link) serve(ctx context.Context, deliver func(*link, uint32, *Deliver)) error {
	go l.beat()
	stop := context.AfterFunc(ctx, l.part)
	defer stop()
	for {
		f, err := Read(l.r, l.version)
		if err != nil {
			l.close(err)
			l.mu.Lock()
			defer l.mu.Unlock()
			return l.err
		}
		l.mu.Lock()
		l.heard = time.Now()
		l.mu.Unlock()
		if f.Err != nil {
			l.log.Warn("message of the gateway cannot be read", "carrier", "cmpp", "command", fmt.Sprintf("%08x", uint32(f.Cmd)), "error", f.Err)
			if f.Cmd == CmdDeliver {
				_ = l.write(f.Seq, &DeliverResp{Result: 1})
			}
			continue
		}
		switch p := f.PDU.(type) {
		case *SubmitResp:
			l.answered(f.Seq, *p)
		case *Deliver:
			deliver(l, f.Seq, p)
		case *ActiveTest:
			_ = l.write(f.Seq, &ActiveTestResp{})
		case *Terminate:
			_ = l.write(f.Seq, &TerminateResp{})
			l.close(errors.New("the gateway has ended the link"))
		case *TerminateResp:
			select {
			case <-l.parting:
			default:
				close(l.parting)
			}
		}
	}
}

// close ends the link; the SUBMITs without an answer stay without one.
func (l *link) close(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return
	}
	l.err = err
	close(l.done)
	l.conn.Close()
}

// part says good-bye, and waits a little for the answers under way and for the gateway to agree.
func (l *link) part() {
	end := time.After(2 * time.Second)
	for l.open() > 0 {
		select {
		case <-time.After(10 * time.Millisecond):
			continue
		case <-l.done:
			return
		case <-end:
		}
		break
	}
	if l.write(l.next(), &Terminate{}) == nil {
		select {
		case <-l.parting:
		case <-l.done:
		case <-end:
		}
	}
	l.close(errClosed)
}

// open counts the SUBMITs whose answer somebody waits for.
func (l *link) open() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.calls {
		if c.waiting {
			n++
		}
	}
	return n
}

func (l *link) next() uint32 {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seq++
	return l.seq
}

// write sends one PDU. When it fails the gateway surely has not got it whole, and the link is at its end.
func (l *link) write(seq uint32, p PDU) error {
	b, err := Append(nil, l.version, seq, p)
	if err != nil {
		return err
	}
	l.wmu.Lock()
	defer l.wmu.Unlock()
	_ = l.conn.SetWriteDeadline(time.Now().Add(l.cfg.Timeout))
	if _, err := l.conn.Write(b); err != nil {
		l.close(err)
		return err
	}
	return nil
}

// beat asks whether the gateway is still there when it has been silent for Heartbeat, up to three times.
func (l *link) beat() {
	asked := 0
	for {
		l.mu.Lock()
		silent := time.Since(l.heard)
		l.mu.Unlock()
		wait := l.cfg.Heartbeat - silent
		if wait <= 0 {
			if asked == 3 {
				l.close(errors.New("the gateway does not answer ACTIVE_TEST"))
				return
			}
			asked++
			if l.write(l.next(), &ActiveTest{}) != nil {
				return
			}
			wait = min(l.cfg.AnswerTimeout, l.cfg.Heartbeat)
		} else {
			asked = 0
		}
		select {
		case <-l.done:
			return
		case <-time.After(wait):
		}
	}
}

// submit sends a SUBMIT and waits for its answer, at most for AnswerTimeout. An *sms.Error says that the gateway surely
// has not got it; any other error that nobody knows. It is never sent a second time, although the specification would
// have it so: that is how texts arrive twice.
func (l *link) submit(ctx context.Context, s submission, p *Submit) (SubmitResp, error) {
	select {
	case l.window <- struct{}{}:
	case <-l.done:
		return SubmitResp{}, sms.Errorf(sms.Unreachable, "", "cmpp: the link ended before the text was sent")
	case <-ctx.Done():
		return SubmitResp{}, sms.Errorf(sms.Throttled, "", "cmpp: %d texts wait for their answers", l.cfg.Window)
	}
	seq := l.next()
	c := &call{submission: s, answer: make(chan SubmitResp, 1), waiting: true, slot: true}
	l.mu.Lock()
	l.calls[seq] = c
	l.mu.Unlock()
	expire := time.AfterFunc(l.cfg.AnswerTimeout, func() { l.expire(seq, c) })
	if err := l.write(seq, p); err != nil {
		expire.Stop()
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.calls, seq)
		l.release(c)
		return SubmitResp{}, &sms.Error{Kind: sms.Unreachable, Err: fmt.Errorf("cmpp: submit: %w", err)}
	}
	var err error
	select {
	case r, ok := <-c.answer:
		return l.take(r, ok)
	case <-l.done:
		err = errors.New("cmpp: the link ended before the answer to SUBMIT")
	case <-ctx.Done():
		err = fmt.Errorf("cmpp: no answer to SUBMIT: %w", ctx.Err())
	}
	l.mu.Lock()
	waiting := c.waiting
	c.waiting = false
	l.mu.Unlock()
	if !waiting { // it came at the same moment
		r, ok := <-c.answer
		return l.take(r, ok)
	}
	return SubmitResp{}, err
}

func (l *link) take(r SubmitResp, ok bool) (SubmitResp, error) {
	if !ok {
		return r, fmt.Errorf("cmpp: no answer to SUBMIT within %v", l.cfg.AnswerTimeout)
	}
	return r, nil
}

// release gives the place in the window back, once. The caller holds mu.
func (l *link) release(c *call) {
	if c.slot {
		c.slot = false
		<-l.window
	}
}

// expire gives up on an answer. Should it come nevertheless, it is taken as a late one for a while.
func (l *link) expire(seq uint32, c *call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.calls[seq] != c {
		return
	}
	l.release(c)
	if c.waiting {
		c.waiting = false
		close(c.answer)
	}
	time.AfterFunc(10*l.cfg.AnswerTimeout, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.calls, seq)
	})
}

// answered brings an answer to whoever waits for it.
func (l *link) answered(seq uint32, r SubmitResp) {
	l.mu.Lock()
	c := l.calls[seq]
	if c == nil {
		l.mu.Unlock()
		l.log.Warn("answer to a SUBMIT that has its answer or that nobody has sent", "carrier", "cmpp", "seq", seq)
		return
	}
	delete(l.calls, seq)
	l.release(c)
	if r.Result == 0 {
		l.known(r.MsgID)
	}
	waiting := c.waiting
	c.waiting = false
	if waiting {
		c.answer <- r
	}
	l.mu.Unlock()
	if !waiting {
		l.late(c.submission, r)
	}
}

// awaits reports whether an answer for the text may still come.
func (l *link) awaits(messageID string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.calls {
		if c.slot && c.message.ID == messageID {
			return true
		}
	}
	return false
}
