package media

import (
	"net/netip"
	"time"

	"github.com/pion/rtp"
)

const (
	readsPerFrame   = 4  // packets taken per frame: twice what 10 ms packets need
	discardPerFrame = 16 // datagrams looked at per frame, so that rubbish does not keep the good ones waiting
	curiousTicks    = 10 // frames in which all is read, after one that was not what is usual
	lookTicks       = 8  // and once in so many otherwise: a sender whose clock runs fast leaves one packet more every few minutes
	noisePT         = 13 // comfort noise, RFC 3389
	maxDropout      = 3000
	maxMisorder     = 100
)

// inbound is what a leg knows about the stream it receives.
type inbound struct {
	latch    latch
	source   netip.AddrPort // of the last packet taken
	pinned   netip.AddrPort // that the kernel filters for
	heardAny bool
	waiting  int64 // tick of the last sign of life
	timedOut bool
	inStep   bool // the last packet was a frame of voice or more
	curious  int  // frames in which more than one packet is looked for

	known     bool // ssrc is set
	ssrc      uint32
	candidate *packet // first packet of what may be a new stream
	candSSRC  uint32

	// Sequence statistics of RFC 3550 appendix A.
	highest       uint16
	seen          uint64 // bit n: highest − n has come
	cycles        uint32
	base          uint32
	bad           uint32 // sequence number that would confirm a jump
	received      uint32
	expectedPrior uint32
	receivedPrior uint32
	lostBefore    uint64 // of earlier streams of this leg
	clock         scaled // of the far end, where it is not ours
	transit       uint32
	timed         bool
	jitter16      uint32 // jitter in 1/16 sample

	events events
}

const noBad = 1 << 16

// receive takes what has arrived since the last frame. A far end that is in step sends one packet per frame: that there is no second
// one need not be asked for each time (a third of what receiving costs).
func (l *Leg) receive(tick int64) {
	in, pool := &l.in, &l.pacer.pool
	if l.opus != nil {
		l.takeDecoded()
	}
	taken := 0
	for looked := 0; looked < discardPerFrame && taken < readsPerFrame; looked++ {
		p := pool.get()
		n, from, err := l.link.read(p.buf[:])
		if err != nil {
			pool.put(p)
			if err == errAgain {
				if taken == 0 {
					in.curious = curiousTicks // it comes next time, with the next one
				}
				break
			}
			continue // an ICMP error of something sent before
		}
		if !l.accept(p, n, from, tick) {
			continue
		}
		if taken++; taken > 1 || !in.inStep {
			in.curious = curiousTicks
		} else if in.curious == 0 && !l.turnOf(tick, lookTicks) {
			break
		}
	}
	if in.curious > 0 {
		in.curious--
	}
	in.events.expire(l, tick)
	if l.turnOf(tick, contestTicks) {
		l.repin(tick)
	}
}

// repin keeps the kernel's filter in step with the latch.
func (l *Leg) repin(tick int64) {
	want := netip.AddrPort{}
	if l.in.latch.settled(tick) {
		want = l.in.latch.locked
	}
	l.pin(want)
}

func (l *Leg) pin(to netip.AddrPort) {
	if to != l.in.pinned {
		l.in.pinned = to
		l.link.pin(to)
	}
}

// discard empties the socket of a leg that has not been started.
func (l *Leg) discard() {
	buf := l.pacer.scratch.control[:]
	for range readsPerFrame {
		if _, _, err := l.link.read(buf); err != nil {
			return
		}
	}
}

// accept judges one datagram and, if it is good, gives it to the jitter buffer or the digit receiver. The packet
// belongs to accept.
func (l *Leg) accept(p *packet, n int, from netip.AddrPort, tick int64) bool {
	in, pool, st := &l.in, &l.pacer.pool, &l.now
	if n > maxPacket || n < 12 || p.buf[0]>>6 != 2 {
		st.Malformed++
		pool.put(p)
		return false
	}
	if t := p.buf[1]; t >= 192 && t <= 223 { // RFC 5761: RTCP on the RTP port
		if l.cur.Mux {
			l.takeControl(p.buf[:n], from, tick)
		} else {
			st.Malformed++
		}
		pool.put(p)
		return false
	}
	pkt := &l.pacer.scratch.rtp
	if c := l.cur.open; c != nil { // before the latch: who does not have the key is never listened to
		plain, err := c.ctx.DecryptRTP(p.buf[:], p.buf[:n], &pkt.Header)
		if err != nil {
			st.Unauthentic++
			pool.put(p)
			return false
		}
		n = len(plain)
	}
	if err := pkt.Unmarshal(p.buf[:n]); err != nil {
		st.Malformed++
		pool.put(p)
		return false
	}
	if c := l.capture.Load(); c != nil {
		l.copyPacket(c, false, false, from, p.buf[:n])
	}
	p.seq, p.ts, p.payload = pkt.SequenceNumber, pkt.Timestamp, pkt.Payload
	switch codec := l.cur.codecs[pkt.PayloadType]; {
	case codec != NoCodec:
		p.kind, p.codec = voice, codec
	case pkt.PayloadType == l.cur.DTMF && l.cur.DTMF != 0:
		p.kind = event
	case pkt.PayloadType == noisePT:
		p.kind = noise
	default:
		st.WrongType++
		pool.put(p)
		return false
	}
	ok, moved := in.latch.admits(from, pkt.SSRC, p.seq, tick)
	if moved && in.known && from != in.source {
		l.restart(pool)
	}
	if !ok {
		st.Foreign++
		pool.put(p)
		return false
	}
	in.source = from
	in.waiting, in.timedOut, in.heardAny = tick, false, true
	l.heardAt.Store(int64(l.pacer.time()))
	if !l.cur.Receive {
		pool.put(p)
		return true
	}
	return l.sort(p, pkt, tick)
}

// restart prepares for a stream from another source.
func (l *Leg) restart(pool *packetPool) {
	l.in.forget()
	l.wide.dec = nil // another stream, another state
	if l.opus != nil {
		l.opus.restart()
	}
	l.in.drop(pool)
	l.jitter.reset()
}

// forget ends the statistics of a stream.
func (in *inbound) forget() {
	in.lostBefore += in.lostNow()
	in.known = false
	in.clock = scaled{}
}

// rescale begins anew what depends on the far end's clock.
func (in *inbound) rescale() {
	in.clock, in.timed, in.jitter16 = scaled{}, false, 0
	in.events = events{}
}

// drop gives the candidate packet back.
func (in *inbound) drop(pool *packetPool) {
	if in.candidate != nil {
		pool.put(in.candidate)
		in.candidate = nil
	}
}

// sort finds out to which stream a packet belongs. One with another SSRC waits for a second in order, and for
// the old stream to stop: a far end that changes its SSRC goes on, a stray or forged packet does not get in.
func (l *Leg) sort(p *packet, pkt *rtp.Packet, tick int64) bool {
	in, pool := &l.in, &l.pacer.pool
	switch {
	case !in.known:
		in.begin(pkt.SSRC, p.seq)
	case pkt.SSRC == in.ssrc:
		in.drop(pool)
	case in.candidate == nil || in.candSSRC != pkt.SSRC || p.seq != in.candidate.seq+1:
		in.drop(pool)
		in.candidate, in.candSSRC = p, pkt.SSRC
		l.now.WrongSource++
		return false
	default:
		first := in.candidate
		in.candidate = nil
		l.now.WrongSource--
		l.restart(pool)
		in.begin(pkt.SSRC, first.seq)
		in.count(first.seq)
		l.deliver(first, false, tick)
	}
	switch in.count(p.seq) {
	case seqJump:
		l.now.Malformed++
		pool.put(p)
		return false
	case seqRestart:
		in.clock = scaled{}
		if l.opus != nil {
			l.opus.restart()
		}
		l.jitter.reset()
	case seqTwice:
		l.now.Duplicate++
		pool.put(p)
		return false
	}
	return l.deliver(p, pkt.Marker, tick)
}

// deliver hands a packet that is known to be good to its consumer.
func (l *Leg) deliver(p *packet, marker bool, tick int64) bool {
	st := &l.now
	st.PacketsIn++
	st.BytesIn += uint64(len(p.payload))
	l.in.inStep = p.kind == voice && (len(p.payload) >= FrameSamples || p.codec == Opus && opusSamples(p.payload) >= FrameSamples)
	ts := p.ts
	if l.cur.scale > 1 {
		p.ts = l.in.clock.at(ts)
	}
	switch p.kind {
	case event:
		l.in.events.receive(l, p.payload, ts, marker, tick)
	case voice:
		l.in.measure(p.ts, l.pacer.clock())
		switch p.codec {
		case G722:
			l.wide.decode(p, &l.pacer.scratch.wide)
		case Opus:
			l.opus.hand(p, &l.pacer.pool, st)
			return true
		}
	}
	if l.opus != nil {
		l.opus.pass(p.seq)
	}
	l.buffer(p)
	return true
}

// buffer puts a packet into the ring.
func (l *Leg) buffer(p *packet) {
	switch l.jitter.put(p) {
	case duplicate:
		l.now.Duplicate++
	case tooLate:
		l.now.Late++
	}
}

// takeDecoded takes up what has been decoded since the last frame. What came before a hold is not for now.
func (l *Leg) takeDecoded() {
	for p := l.opus.take(); p != nil; p = l.opus.take() {
		if len(p.payload) == 0 && !p.made {
			l.now.Malformed++
		}
		if len(p.payload) == 0 || !l.cur.Receive || p.stream != l.opus.stream {
			l.pacer.pool.put(p)
			continue
		}
		if p.made {
			l.now.Concealed++
		}
		l.buffer(p)
	}
}

// clock is the arrival time in samples.
func (p *pacer) clock() uint32 {
	return uint32(uint64(p.time()) * Rate / uint64(time.Second))
}

// begin starts the statistics of a stream.
func (in *inbound) begin(ssrc uint32, seq uint16) {
	in.known, in.ssrc = true, ssrc
	in.highest, in.base, in.cycles, in.bad = seq, uint32(seq), 0, noBad
	in.received, in.expectedPrior, in.receivedPrior = 0, 0, 0
	in.seen = 0
	in.timed = false
}

type seqVerdict uint8

const (
	seqGood    seqVerdict = iota
	seqJump               // far from what we have: dropped until the next one confirms it
	seqRestart            // confirmed: the sender has started anew
	seqTwice              // had it already
)

// count is update_seq of RFC 3550 appendix A.1, but a packet that comes twice counts once: otherwise doubled packets
// would hide lost ones.
func (in *inbound) count(seq uint16) seqVerdict {
	switch delta := seq - in.highest; {
	case delta == 0 && in.seen == 0: // the first
		in.seen = 1
	case delta > 0 && delta < maxDropout:
		if seq < in.highest {
			in.cycles += 1 << 16
		}
		in.highest = seq
		in.seen = in.seen<<min(delta, 64) | 1
	case delta >= maxDropout && delta <= 1<<16-maxMisorder: // neither a small step forward nor a small one back
		if uint32(seq) != in.bad {
			in.bad = uint32(seq + 1)
			return seqJump
		}
		in.lostBefore += in.lostNow()
		in.begin(in.ssrc, seq)
		in.received, in.seen = 1, 1
		return seqRestart
	default:
		if back := -delta; back < 64 {
			if in.seen&(1<<back) != 0 {
				return seqTwice
			}
			in.seen |= 1 << back
		}
	}
	in.received++
	return seqGood
}

// measure is the interarrival jitter of RFC 3550 appendix A.8. Arrival is read at our frame clock, so a steady
// stream shows some: the figure includes our own polling of up to 20 ms.
func (in *inbound) measure(ts, arrival uint32) {
	transit := arrival - ts
	if in.timed {
		d := int32(transit - in.transit)
		if d < 0 {
			d = -d
		}
		if d < restartGap {
			in.jitter16 += uint32(d) - (in.jitter16+8)>>4
		}
	}
	in.transit, in.timed = transit, true
}

// lostNow is the number of packets missing from the present stream, never negative.
func (in *inbound) lostNow() uint64 {
	if !in.known {
		return 0
	}
	expected := in.cycles + uint32(in.highest) - in.base + 1
	if expected <= in.received {
		return 0
	}
	return uint64(expected - in.received)
}
