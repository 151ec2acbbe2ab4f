package sip

import (
	"errors"
	"net/netip"
	"regexp"
	"strings"
	"sync"
	"time"

	gosip "github.com/emiago/sipgo/sip"

	"lianxin/sip/media"
)

// Errors of captures.
var (
	ErrNoCall       = errors.New("there is no such call")
	ErrCapturing    = errors.New("the call is being captured already")
	ErrManyCaptures = errors.New("too many captures at a time")
)

const (
	mostCaptures = 4        // at a time, armed ones included
	captureBytes = 16 << 20 // kept of one call
	captureTail  = time.Second
)

// Packets are the SIP messages and the RTP and RTCP packets of one call, in the order in which they came and went. Messages stand
// as the dialog saw them: what was repeated is there once, and encrypted legs are in the clear. Keys of SRTP and answers to
// challenges are struck out, and so is everything while personal numbers were keyed.
type Packets struct {
	Call  string // id of the call
	From  time.Time
	Until time.Time
	Cut   bool   // the call had more than is kept
	Lost  uint64 // packets that could not be copied in time
	List  []Packet
}

// Packet is one datagram, or a message over TCP or TLS shown as one.
type Packet struct {
	At       time.Time
	From, To netip.AddrPort
	Voice    bool // RTP
	Data     []byte
}

// captures are the orders to capture.
type captures struct {
	mu    sync.Mutex
	armed []*order
	going int
}

// order waits for the next call.
type order struct {
	from  string // its number ends so; "" any
	until time.Time
}

// capture collects the packets of one call.
type capture struct {
	s *Server

	mu    sync.Mutex
	p     Packets
	legs  []*leg // of each packet, beside p.List
	ins   []bool // came from the far end
	kinds []kind
	bytes int
	over  bool
}

type kind uint8

const (
	signalling kind = iota
	rtp
	rtcp
)

// CaptureCall captures a call that is up, from now to its end.
func (s *Server) CaptureCall(call string) error {
	legs := s.ladders.legs(call)
	if legs == nil || legs[0].over() {
		return ErrNoCall
	}
	if s.cfg.OnCapture == nil {
		return errors.ErrUnsupported
	}
	if legs[0].captured.Load() != nil {
		return ErrCapturing
	}
	s.captures.mu.Lock()
	if s.captures.going+len(s.captures.armed) >= mostCaptures {
		s.captures.mu.Unlock()
		return ErrManyCaptures
	}
	s.captures.going++
	s.captures.mu.Unlock()
	c := s.newCapture(legs[0])
	for _, l := range legs {
		l.captured.Store(c)
		l.captureMedia()
	}
	return nil
}

// CaptureNext captures the next call that comes in from a number that ends in from (any number if it is empty), from its INVITE on. The
// order lapses after the time given.
func (s *Server) CaptureNext(from string, within time.Duration) error {
	if s.cfg.OnCapture == nil {
		return errors.ErrUnsupported
	}
	s.captures.mu.Lock()
	defer s.captures.mu.Unlock()
	if s.captures.going+len(s.captures.armed) >= mostCaptures {
		return ErrManyCaptures
	}
	s.captures.armed = append(s.captures.armed, &order{from: from, until: time.Now().Add(within)})
	return nil
}

// meets gives a new leg its capture, if one waits for it.
func (b *captures) meets(l *leg) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if l.info.Direction != Incoming {
		return
	}
	for i, o := range b.armed {
		if o.until.After(time.Now()) && strings.HasSuffix(l.info.From, o.from) {
			b.armed = append(b.armed[:i:i], b.armed[i+1:]...)
			b.going++
			l.captured.Store(l.s.newCapture(l))
			return
		}
	}
}

func (b *captures) expire(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var keep []*order
	for _, o := range b.armed {
		if o.until.After(now) {
			keep = append(keep, o)
		}
	}
	b.armed = keep
}

func (s *Server) newCapture(l *leg) *capture {
	c := &capture{s: s, p: Packets{Call: l.id, From: time.Now()}}
	go func() {
		<-l.done
		time.Sleep(captureTail) // the last answer is still on its way
		c.finish()
	}()
	return c
}

// finish gives the packets away.
func (c *capture) finish() {
	c.mu.Lock()
	c.over = true
	p := c.p
	p.Until = time.Now()
	for i, l := range c.legs {
		l.mu.Lock()
		self, m := l.self, l.media
		l.mu.Unlock()
		near := self
		if m != nil && c.kinds[i] != signalling {
			port := m.Port()
			if c.kinds[i] == rtcp {
				port++
			}
			near = netip.AddrPortFrom(self.Addr(), uint16(port))
		}
		if c.ins[i] {
			p.List[i].To = near
		} else {
			p.List[i].From = near
		}
	}
	c.mu.Unlock()
	c.s.captures.mu.Lock()
	c.s.captures.going--
	c.s.captures.mu.Unlock()
	c.s.safely("capture", func() { c.s.cfg.OnCapture(&p) })
}

func (c *capture) add(l *leg, k kind, at time.Time, out bool, far netip.AddrPort, b []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return
	}
	if c.bytes += len(b) + 64; c.bytes > captureBytes {
		c.p.Cut = true
		return
	}
	p := Packet{At: at, Voice: k == rtp, Data: b, From: far}
	if out {
		p.From, p.To = netip.AddrPort{}, far
	}
	c.p.List, c.legs, c.kinds, c.ins = append(c.p.List, p), append(c.legs, l), append(c.kinds, k), append(c.ins, !out)
}

// What is struck out of messages; the second group is what goes. Lengths stay, so that Content-Length stays true.
var (
	sdesKey      = regexp.MustCompile(`(?m)^(a=crypto:[^\r\n]*inline:)([^\s|;]*)`)
	digestAnswer = regexp.MustCompile(`(?i)(response="?)([0-9a-f]+)`)
	infoBody     = regexp.MustCompile(`(?s)(\r\n\r\n)(.*)`)
)

func strike(re *regexp.Regexp, text string, with string) string {
	var b strings.Builder
	at := 0
	for _, m := range re.FindAllStringSubmatchIndex(text, -1) {
		b.WriteString(text[at:m[4]])
		b.WriteString(strings.Repeat(with, m[5]-m[4]))
		at = m[5]
	}
	return b.String() + text[at:]
}

// message takes a SIP message.
func (c *capture) message(l *leg, at time.Time, out bool, peer string, msg gosip.Message) {
	far, err := netip.ParseAddrPort(peer)
	if err != nil {
		return
	}
	text := strike(sdesKey, msg.String(), "A")
	text = strike(digestAnswer, text, "0")
	if req, ok := msg.(*gosip.Request); ok && req.Method == gosip.INFO && l.media != nil && l.media.IsPrivate() {
		text = strike(infoBody, text, "x")
	}
	c.add(l, signalling, at, out, netip.AddrPortFrom(far.Addr().Unmap(), far.Port()), []byte(text))
}

// captureMedia copies the leg's packets to its capture, if it has one, until either is over.
func (l *leg) captureMedia() {
	c, m := l.captured.Load(), l.media
	if c == nil || m == nil {
		return
	}
	copies := m.Capture()
	take := func(p media.CapturedPacket) {
		k := rtp
		if p.Control {
			k = rtcp
		}
		c.add(l, k, p.At, p.Out, p.Peer, p.Data)
	}
	go func() {
		defer func() {
			copies.Stop()
			c.mu.Lock()
			c.p.Lost += copies.Lost()
			c.mu.Unlock()
		}()
		for {
			select {
			case p := <-copies.Packets():
				take(p)
			case <-m.Done():
				for {
					select {
					case p := <-copies.Packets():
						take(p)
					case <-time.After(100 * time.Millisecond):
						return
					}
				}
			}
		}
	}()
}
