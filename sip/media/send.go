package media

import (
	"math/rand/v2"

	"github.com/pion/rtp"
)

const maxFramesSent = 3 // 60 ms

// outbound is what a leg knows about the stream it sends.
type outbound struct {
	header  rtp.Header
	origin  uint32 // timestamp of tick start
	start   int64
	step    uint32 // timestamp units per frame
	packets uint32
	octets  uint32
	held    int    // bytes collected of a packet of several frames
	heldTS  uint32 // and its timestamp
	hush    bool   // all of them are silence
	running bool   // the last frame was sent
	lastTS  uint32
	buf     outBuffer // used when a packet is made of several frames
}

// An outBuffer is a packet on its way out: header and payload.
type outBuffer [12 + maxFramesSent*FrameSamples]byte

// init chooses SSRC, sequence number and timestamp at random (RFC 3550 §5.1).
func (o *outbound) init(rng *rand.Rand, tick int64, scale uint32) {
	*o = outbound{origin: rng.Uint32(), start: tick, step: scale * FrameSamples}
	o.header = rtp.Header{Version: 2, SSRC: rng.Uint32(), SequenceNumber: uint16(rng.Uint32())}
}

// at is the timestamp of a frame.
func (o *outbound) at(tick int64) uint32 {
	return o.origin + uint32(tick-o.start)*o.step
}

// rescale goes on with another clock from where the last one stood.
func (o *outbound) rescale(tick int64, scale uint32) {
	o.origin, o.start, o.step = o.at(tick), tick, scale*FrameSamples
	o.running, o.held = false, 0
}

// transmit sends the frame, or the telephone event that takes its place.
func (l *Leg) transmit(f *frame, tick int64) {
	o, s := &l.out, l.cur
	ts := o.at(tick)
	payload, marker, eventTS := l.key(ts)
	to := l.in.latch.target()
	if l.opus != nil {
		l.sendOpus(s.Send)
	}
	if !s.Send || !to.IsValid() || to.Port() == 0 || to.Addr().IsUnspecified() {
		o.running, o.held = false, 0
		return
	}
	buf := &l.pacer.scratch.out // warm from the leg before, unlike a buffer of the leg's own
	if payload != nil && s.DTMF != 0 {
		if marker {
			o.held = 0
		}
		l.sendPacket(buf, s.DTMF, marker, eventTS, copy(buf[12:], payload))
		return
	}
	if o.held == 0 {
		o.heldTS = ts
	}
	if s.Codec == Opus {
		l.sayOpus(f)
		return
	}
	if s.frames > 1 {
		buf = &o.buf
	}
	f.as(s.Codec.law())
	if s.Codec == G722 {
		o.held += l.wide.encode(buf[12+o.held:][:FrameSamples], f, &l.pacer.scratch.saidPCM)
	} else {
		o.held += copy(buf[12+o.held:], f.b[:])
	}
	if o.held < s.frames*FrameSamples {
		return
	}
	n := o.held
	o.held = 0
	l.sendPacket(buf, s.PT, !o.running, o.heldTS, n)
	o.running = true
}

// key is the telephone event of this frame, if there is one. On hold the keys go by unsent, so that nobody waits for ever.
func (l *Leg) key(ts uint32) (payload []byte, marker bool, eventTS uint32) {
	k := l.keys.Load()
	if k == nil {
		return nil, false, 0
	}
	payload, marker, eventTS, over := k.next(ts, uint32(l.cur.Clock/Rate))
	if over {
		l.keys.CompareAndSwap(k, nil)
		close(k.done)
	}
	return payload, marker, eventTS
}

// sendPacket sends the n bytes of payload that are in the buffer behind the header.
func (l *Leg) sendPacket(buf *outBuffer, pt uint8, marker bool, ts uint32, n int) {
	o := &l.out
	h := &o.header
	h.PayloadType, h.Marker, h.Timestamp = pt, marker, ts
	h.SequenceNumber++
	if _, err := h.MarshalTo(buf[:]); err != nil {
		return
	}
	b := buf[:12+n]
	if c := l.capture.Load(); c != nil {
		l.copyPacket(c, true, false, l.in.latch.target(), b)
	}
	if c := l.cur.seal; c != nil {
		var err error
		if b, err = c.ctx.EncryptRTP(l.pacer.scratch.sealed[:], b, &l.pacer.scratch.rtp.Header); err != nil {
			l.now.SendErrors++
			return
		}
	}
	if err := l.link.write(b, l.in.latch.target()); err != nil {
		l.now.SendErrors++
	}
	o.packets++
	o.octets += uint32(n)
	o.lastTS = ts
	l.now.PacketsOut++
	l.now.BytesOut += uint64(n)
}

// sayOpus gives a frame to the goroutine that encodes it. Frames of one packet are collected first.
func (l *Leg) sayOpus(f *frame) {
	o := &l.out
	c := l.opus.blank()
	if c == nil { // it does not keep up
		l.now.SendErrors++
		o.held = 0
		return
	}
	copy(c.b[:o.held], o.buf[:o.held])
	f.as(PCMA)
	c.quiet = (o.held == 0 || o.hush) && f.quiet
	o.held += copy(c.b[o.held:], f.b[:])
	if o.held < l.cur.frames*FrameSamples {
		o.hush = c.quiet
		copy(o.buf[:o.held], c.b[:o.held])
		l.opus.free = append(l.opus.free, c)
		return
	}
	c.law, c.n, c.ts, c.marker = PCMA, o.held, o.heldTS, !o.running
	o.held, o.running = 0, true
	l.opus.say <- c // there is room: no more than that are made
}

// sendOpus sends what has been encoded since the last frame.
func (l *Leg) sendOpus(send bool) {
	for {
		select {
		case c := <-l.opus.said:
			if to := l.in.latch.target(); send && c.n > 0 && to.IsValid() && to.Port() != 0 && !to.Addr().IsUnspecified() {
				buf := &l.pacer.scratch.out
				l.sendPacket(buf, l.cur.PT, c.marker, c.ts, copy(buf[12:], c.b[:c.n]))
			}
			l.opus.free = append(l.opus.free, c)
		default:
			return
		}
	}
}
