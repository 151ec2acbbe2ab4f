package web

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"lianxin/sip"
	"lianxin/sip/media"
)

// A State is where a call stands, as its page shows it.
type State string

// The states of a call.
const (
	Ringing    State = "ringing"
	Connecting State = "connecting" // answered; ICE and DTLS are under way
	Talking    State = "talking"
	Held       State = "held" // by the user
	Lost       State = "lost" // the page is gone: it may take the call back
	Over       State = "over"
)

// View is a call as its page shows it. Display is what DialOpt said: no number that is not masked.
type View struct {
	ID       string    `json:"id"`
	State    State     `json:"state"`
	Display  string    `json:"display"`
	Caller   string    `json:"caller"` // id of the caller's own call, "" if there is none
	Started  time.Time `json:"started"`
	Answered time.Time `json:"answered,omitzero"`
}

// callerHeader is where DialOpt names the caller's own call.
const callerHeader = "X-Lianxin-Call"

// Call is a call to a browser. It implements sip.Call and sip.Holder.
type Call struct {
	x     *Exchange
	id    string
	user  string
	opt   sip.DialOpt
	leg   *media.Leg
	inlet *media.Inlet
	done  chan struct{}
	up    chan struct{} // closed when the media are connected for the first time
	peer  atomic.Pointer[peer]

	holds sync.Mutex // orders what onHold is told; taken before mu

	mu      sync.Mutex
	state   State
	held    bool // by the user
	holding bool // by us
	info    sip.Info
	ended   sip.End
	away    *time.Timer // runs while the page is gone
	onHold  func(bool)
	trace   []sip.TraceLine
}

var (
	_ sip.Call     = (*Call)(nil)
	_ sip.Holder   = (*Call)(nil)
	_ sip.Featured = (*Call)(nil)
)

func (c *Call) ID() string            { return c.id }
func (c *Call) Done() <-chan struct{} { return c.done }
func (c *Call) Media() *media.Leg     { return c.leg }

func (c *Call) Info() sip.Info {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.info
}

func (c *Call) End() sip.End {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ended
}

// Trace lists what happened: browsers have no messages of SIP.
func (c *Call) Trace() []sip.TraceLine {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]sip.TraceLine(nil), c.trace...)
}

// Ring is for calls that come in: browsers are called.
func (c *Call) Ring(context.Context) error { return sip.ErrNotNow }

// Answer is no error for a call that is answered.
func (c *Call) Answer(context.Context) error {
	select {
	case <-c.done:
		return sip.ErrEnded
	case <-c.up:
		return nil
	default:
		return sip.ErrNotNow
	}
}

// Reject is for calls that come in.
func (c *Call) Reject(int, string) error { return sip.ErrNotNow }

// Hangup ends the call.
func (c *Call) Hangup(context.Context) error {
	c.end(sip.ByUs, "hangup", 0)
	return nil
}

// Hold stops listening to the user; the page shows nothing of it.
func (c *Call) Hold(context.Context) error { return c.weHold(true) }

// Resume listens again.
func (c *Call) Resume(context.Context) error { return c.weHold(false) }

func (c *Call) weHold(on bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.state == Over:
		return sip.ErrEnded
	case c.info.Answered.IsZero():
		return sip.ErrNotNow
	}
	c.holding = on
	return c.agree()
}

// OnHold is told of the user's own hold.
func (c *Call) OnHold(f func(bool)) {
	c.holds.Lock()
	defer c.holds.Unlock()
	c.mu.Lock()
	c.onHold = f
	held := c.held
	c.mu.Unlock()
	if held {
		f(true)
	}
}

// OnRefer is for telephones: a page has the console for moving calls.
func (c *Call) OnRefer(func(*sip.Refer) int) {}

// OnReplaced is for telephones: a page takes its call back by another offer.
func (c *Call) OnReplaced(func(context.Context, sip.Call)) {}

// farHold is the user's own hold. The others hear what Leg.StandIn has for them.
func (c *Call) farHold(on bool) error {
	c.holds.Lock()
	defer c.holds.Unlock()
	c.mu.Lock()
	switch c.state {
	case Over:
		c.mu.Unlock()
		return sip.ErrEnded
	case Talking, Held:
	default:
		c.mu.Unlock()
		return sip.ErrNotNow
	}
	c.held = on
	c.state = Talking
	if on {
		c.state = Held
	}
	err := c.agree()
	c.noteLocked(false, map[bool]string{true: "hold", false: "resume"}[on])
	tell := c.onHold
	c.mu.Unlock()
	if tell != nil {
		tell(on)
	}
	c.x.changed(c.user)
	return err
}

// agree makes the leg follow what was negotiated and who holds whom. mu is held.
func (c *Call) agree() error {
	p := c.peer.Load()
	if p == nil {
		return nil
	}
	agreed := p.params
	agreed.Send, agreed.Receive = !c.held, !c.held && !c.holding
	return c.leg.Update(agreed)
}

func (c *Call) ringing() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state == "" || c.state == Ringing
}

func (c *Call) view() View {
	c.mu.Lock()
	defer c.mu.Unlock()
	v := View{ID: c.id, State: c.state, Display: c.info.Display, Caller: c.opt.Headers[callerHeader], Started: c.info.Started, Answered: c.info.Answered}
	if v.State == "" {
		v.State = Ringing
	}
	return v
}

// accept takes an offer: the first answers the call, a later one takes it back.
func (c *Call) accept(ctx context.Context, offer string) (string, error) {
	c.mu.Lock()
	switch c.state {
	case "", Ringing:
		c.state = Connecting
	case Talking, Held, Lost:
	case Over:
		c.mu.Unlock()
		return "", sip.ErrEnded
	default:
		c.mu.Unlock()
		return "", ErrTaken
	}
	first := c.state == Connecting
	c.noteLocked(false, fmt.Sprintf("offer (%d bytes)", len(offer)))
	c.mu.Unlock()
	c.x.changed(c.user)

	p, answer, err := c.x.connect(ctx, c, offer)
	if err != nil {
		if first { // another page, or another try, may do better
			c.mu.Lock()
			if c.state == Connecting {
				c.state = Ringing
			}
			c.mu.Unlock()
			c.x.changed(c.user)
		}
		return "", err
	}
	c.note(true, fmt.Sprintf("answer (%d bytes)", len(answer)))
	c.x.running.Add(1)
	go func() {
		defer c.x.running.Done()
		select {
		case <-p.connected:
			c.attach(p)
		case <-p.gone:
			c.failed(p, first)
		case <-time.After(c.x.cfg.Connect):
			c.failed(p, first)
		case <-c.done:
			p.close()
		}
	}()
	return answer, nil
}

// attach makes a connected peer the call's own.
func (c *Call) attach(p *peer) {
	old := c.peer.Swap(p)
	c.mu.Lock()
	if c.state == Over {
		c.mu.Unlock()
		p.close()
		return
	}
	if c.away != nil {
		c.away.Stop()
		c.away = nil
	}
	first := c.info.Answered.IsZero()
	if first {
		c.info.Answered = c.x.cfg.Now()
	}
	c.state = Talking
	if c.held {
		c.state = Held
	}
	c.info.Remote, c.info.Codec = p.remote(), p.params.Codec.String()
	c.noteLocked(false, "connected from "+c.info.Remote.String())
	err := c.agree()
	c.mu.Unlock()
	if err != nil {
		c.x.cfg.Log.Error("web telephone: media", "call", c.id, "err", err)
		c.end(sip.ByNetwork, "media", 0)
		return
	}
	if first {
		close(c.up)
	}
	if old != nil {
		old.close()
	}
	c.x.changed(c.user)
	c.x.running.Add(1)
	go func() {
		defer c.x.running.Done()
		select {
		case <-p.gone:
			c.lost(p)
		case <-c.done:
		}
	}()
}

// failed is for a peer that never connected.
func (c *Call) failed(p *peer, first bool) {
	p.close()
	c.note(false, "not connected")
	c.x.cfg.Log.Warn("web telephone: a browser could not connect; is the UDP port open to it?", "call", c.id, "port", c.x.Addrs())
	if first {
		c.end(sip.ByNetwork, "no connection", 480)
	}
}

// lost is for the call's peer that went away: closed by the page, or silent.
func (c *Call) lost(p *peer) {
	if c.peer.Load() != p {
		return // taken back already
	}
	p.close()
	c.mu.Lock()
	if c.state != Talking && c.state != Held {
		c.mu.Unlock()
		return
	}
	c.state = Lost
	c.noteLocked(false, "page gone")
	if c.away == nil {
		c.away = time.AfterFunc(c.x.cfg.Rejoin, func() { c.end(sip.ByNetwork, "page gone", 0) })
	}
	c.mu.Unlock()
	c.x.changed(c.user)
}

// end ends the call once.
func (c *Call) end(by sip.By, cause string, code int) {
	c.mu.Lock()
	if c.state == Over {
		c.mu.Unlock()
		return
	}
	c.state = Over
	c.info.Ended = c.x.cfg.Now()
	c.ended = sip.End{By: by, Cause: cause, Code: code, At: c.info.Ended}
	if c.away != nil {
		c.away.Stop()
	}
	c.noteLocked(by == sip.ByUs, cause)
	c.mu.Unlock()
	close(c.done)
	x := c.x
	x.mu.Lock()
	delete(x.calls, c.id)
	x.running.Add(1)
	x.mu.Unlock()
	go func() {
		defer x.running.Done()
		if p := c.peer.Load(); p != nil {
			p.close()
		}
		_ = c.leg.Close()
	}()
	x.changed(c.user)
}

// refusal is why a call was not answered, in the errors of (*sip.Server).Dial.
func (c *Call) refusal() error {
	end := c.End()
	switch {
	case end.Code == 603:
		return &sip.DialError{Code: 603, Reason: "Decline", Kind: sip.ErrDeclined}
	case end.By == sip.ByTimeout:
		return fmt.Errorf("dial: %w", sip.ErrNoAnswer)
	}
	return fmt.Errorf("dial: %w", errors.Join(sip.ErrUnreachable, errors.New(end.Cause)))
}

func (c *Call) note(out bool, text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.noteLocked(out, text)
}

const traced = 64

func (c *Call) noteLocked(out bool, text string) {
	if len(c.trace) == traced {
		c.trace = c.trace[1:]
	}
	c.trace = append(c.trace, sip.TraceLine{At: c.x.cfg.Now(), Out: out, Peer: "browser", Text: text})
}

// send is called by the pacer.
func (c *Call) send(b []byte, control bool) {
	if p := c.peer.Load(); p != nil {
		p.push(b, control)
	}
}
