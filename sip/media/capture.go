package media

import (
	"net/netip"
	"sync/atomic"
	"time"
)

// CapturedPacket is one RTP or RTCP packet of a leg, in the clear on encrypted legs too.
type CapturedPacket struct {
	At      time.Time
	Out     bool // sent by us
	Control bool // RTCP
	Peer    netip.AddrPort
	Data    []byte
}

// A Capture gives away copies of a leg's packets. The pacer never waits for it: what is not read in time is lost and counted.
type Capture struct {
	packets chan CapturedPacket
	lost    atomic.Uint64
	leg     *Leg
}

// Capture begins to copy the leg's packets; a leg has one capture at a time, a second one takes the place of the first. While the
// leg is private, packets are not copied.
func (l *Leg) Capture() *Capture {
	c := &Capture{packets: make(chan CapturedPacket, 512), leg: l}
	l.capture.Store(c)
	return c
}

// Packets delivers the copies. It is never closed: the leg's Done says when there will be no more.
func (c *Capture) Packets() <-chan CapturedPacket { return c.packets }

// Lost is how many packets were not read in time.
func (c *Capture) Lost() uint64 { return c.lost.Load() }

// Stop ends the capture.
func (c *Capture) Stop() { c.leg.capture.CompareAndSwap(c, nil) }

// Private says that what the caller keys or speaks now must not be stored anywhere: captures leave it out. (Recordings have Pause.)
func (l *Leg) Private(on bool) { l.private.Store(on) }

// IsPrivate reports what Private was told last.
func (l *Leg) IsPrivate() bool { return l.private.Load() }

// copyPacket is called by the pacer for every packet while there is a capture.
func (l *Leg) copyPacket(c *Capture, out, control bool, peer netip.AddrPort, b []byte) {
	if l.private.Load() {
		return
	}
	p := CapturedPacket{At: time.Now(), Out: out, Control: control, Peer: peer, Data: append([]byte(nil), b...)}
	select {
	case c.packets <- p:
	default:
		c.lost.Add(1)
	}
}
