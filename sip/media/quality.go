package media

import "time"

// Stats is what a leg has seen so far; counters run from Start over all streams of the leg.
type Stats struct {
	PacketsIn, BytesIn   uint64 // accepted; bytes of payload
	PacketsOut, BytesOut uint64
	SendErrors           uint64 // packets the kernel did not take, or the encoder not in time

	Lost      uint64 // packets missing by sequence number (RFC 3550)
	Late      uint64 // packets that came after their time
	Duplicate uint64
	Concealed uint64 // frames in which loss was concealed
	Skipped   uint64 // frames left out to get rid of delay

	Malformed   uint64 // not RTP, too long, out of any order
	WrongType   uint64 // payload types that were not negotiated
	Foreign     uint64 // from a source that is not the far end's
	WrongSource uint64 // with an SSRC that is not the far end's
	Unauthentic uint64 // SRTP packets with a wrong tag, or sent twice
	DigitsLost  uint64 // digits nobody took in time

	Jitter time.Duration // of arrival, RFC 3550; includes our polling of up to 20 ms
	Depth  int           // frames the jitter buffer aims to hold
	RTT    time.Duration // round trip by RTCP, 0 when unknown

	FarLoss   float64       // share of our packets the far end has missed lately, by its RTCP
	FarJitter time.Duration // jitter of our packets there
	FarKnown  bool          // whether the far end has reported at all

	MOSIn  float64 // estimated quality of what we hear, 1–4.5 (ITU-T G.107); 0 before there is anything
	MOSOut float64 // and of what the far end hears, by its RTCP; 0 when it has not reported
}

// Loss is the share of packets that did not arrive.
func (s Stats) Loss() float64 {
	if n := s.Lost + s.PacketsIn; n > 0 {
		return float64(s.Lost) / float64(n)
	}
	return 0
}

// publishTicks is how old the rarer figures may be that Stats returns, in frames.
const publishTicks = 10

// Stats returns the figures: packets and bytes as of the last frame, the others as of some moment in the last fifth of a second. Those
// of a closed leg are final.
func (l *Leg) Stats() Stats {
	l.published.Lock()
	s := l.stats
	l.published.Unlock()
	s.DigitsLost = l.digitsLost.Load()
	if s.PacketsIn > 0 {
		delay := time.Duration(s.Depth)*FrameTime + s.RTT/2
		s.MOSIn = mos(delay, s.Loss()+share(s.Late, s.PacketsIn+s.Lost))
	}
	if s.FarKnown {
		s.MOSOut = mos(3*FrameTime+s.RTT/2, s.FarLoss)
	}
	return s
}

func share(n, of uint64) float64 {
	if of == 0 {
		return 0
	}
	return float64(n) / float64(of)
}

// mos is the E-model of ITU-T G.107 with default values, reduced to delay and loss: G.711 has no impairment of its own
// (Ie = 0); our concealment by repetition is taken between none (Bpl 4.3) and that of G.711 appendix I (25.1).
func mos(delay time.Duration, loss float64) float64 {
	const (
		r0  = 93.2
		bpl = 10
	)
	d := float64(delay) / float64(time.Millisecond)
	id := 0.024 * d
	if d > 177.3 {
		id += 0.11 * (d - 177.3)
	}
	ppl := 100 * loss
	r := r0 - id - 95*ppl/(ppl+bpl)
	switch {
	case r <= 0:
		return 1
	case r >= 100:
		return 4.5
	}
	return max(1, 1+0.035*r+r*(r-60)*(100-r)*7e-6)
}

// publish makes the figures visible. It never waits: a reader in the way means they are a little older.
func (l *Leg) publish(tick int64) {
	// Everything at once is four cache lines, so most frames bring what moves in every frame.
	if !l.turnOf(tick, publishTicks) {
		if l.published.TryLock() {
			l.stats.PacketsIn, l.stats.BytesIn, l.stats.PacketsOut, l.stats.BytesOut = l.now.PacketsIn, l.now.BytesIn, l.now.PacketsOut, l.now.BytesOut
			l.published.Unlock()
		}
		return
	}
	l.publishAll()
}

func (l *Leg) publishAll() {
	in := &l.in
	l.now.Lost = in.lostBefore + in.lostNow()
	l.now.Depth = l.jitter.depth
	l.now.Jitter = time.Duration(in.jitter16>>4) * time.Second / Rate
	if l.published.TryLock() {
		l.stats = l.now
		l.published.Unlock()
	}
}
