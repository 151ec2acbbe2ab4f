package media

import "net/netip"

// A latch decides from which address a leg takes RTP (RFC 7362, RFC 4961). The address in the SDP is believed
// at once. Behind a NAT the packets come from elsewhere: then a source is learnt, but only within a window
// after (re)negotiation, only after several consistent packets (same SSRC, rising sequence), and the better
// the source fits the signalling the sooner. Once locked, nobody on another address can take the leg over;
// the lock is lifted by a changed agreement, or when the source has been silent for seconds and packets come
// from the same IP address (a NAT that rebinds). Without such care anybody can have the call's audio
// by sending a few packets to the port ("RTP Bleed").
type latch struct {
	sdp    netip.AddrPort
	near   netip.Addr
	strict bool

	locked netip.AddrPort
	rank   int   // of the locked source
	until  int64 // tick at which the window closes
	heard  int64 // tick of the locked source's last packet
	tries  [ranks]candidate
}

type candidate struct {
	from  netip.AddrPort
	ssrc  uint32
	seq   uint16
	count int
	first int64 // tick
	last  int64
}

// Ranks of a source, best first.
const (
	rankSDP  = iota // exactly the address in the SDP
	rankHost        // its host, another port
	rankNear        // the host that signals
	rankAny
	ranks
)

var (
	latchPackets = [ranks]int{3, 4, 4, 5}
	latchTicks   = [ranks]int64{0, 3, 3, 12} // and they must span this many frames
)

const (
	relearnTicks = 250 // 5 s of silence from the locked source before its host may move to another port
	contestTicks = 50  // 1 s of silence within the window before one that fits as well may contest
	rivalTicks   = 25  // a better source heard this recently keeps a worse one out
)

// renegotiate takes a new agreement.
func (l *latch) renegotiate(s *setup, tick, window int64) {
	if l.sdp != s.Remote || l.strict != s.Strict {
		l.locked = netip.AddrPort{}
		l.tries = [ranks]candidate{}
	}
	l.sdp, l.near, l.strict = s.Remote, s.Near, s.Strict
	l.until = tick + window
}

// rankOf says how well an address fits the signalling.
func (l *latch) rankOf(from netip.AddrPort) int {
	switch {
	case from == l.sdp:
		return rankSDP
	case from.Addr() == l.sdp.Addr():
		return rankHost
	case l.near.IsValid() && from.Addr() == l.near:
		return rankNear
	}
	return rankAny
}

// admits says whether a packet from this source may be used; moved, that the lock has just been set or moved.
func (l *latch) admits(from netip.AddrPort, ssrc uint32, seq uint16, tick int64) (ok, moved bool) {
	if from == l.locked {
		l.heard = tick
		return true, false
	}
	rank := l.rankOf(from)
	if l.strict && rank > rankHost {
		return false, false
	}
	open := tick < l.until
	if l.locked.IsValid() {
		silent := tick - l.heard
		switch {
		case open && rank < l.rank:
		case open && silent > contestTicks && rank <= max(l.rank, rankNear):
		case silent > relearnTicks && (rank == rankSDP || from.Addr() == l.locked.Addr()):
		default:
			return false, false
		}
	} else if !open && rank > rankNear {
		return false, false
	}

	c := &l.tries[rank]
	switch step := seq - c.seq; {
	case c.from == from && c.ssrc == ssrc && step >= 1 && step <= 16:
		c.count++
	case c.from == from && c.ssrc == ssrc && (step == 0 || step > 0xFFF0):
		// Twice or late: proves nothing.
	case c.from == from || tick-c.last > 10 || c.count == 0:
		*c = candidate{from: from, count: 1, first: tick}
	default:
		return false, false // somebody else of this rank is being looked at
	}
	c.ssrc, c.seq, c.last = ssrc, seq, tick
	if c.count >= latchPackets[rank] && tick-c.first >= latchTicks[rank] && !l.rival(rank, tick) {
		l.locked, l.rank, l.heard = from, rank, tick
		l.tries = [ranks]candidate{}
		return true, true
	}
	return rank == rankSDP && !l.locked.IsValid(), false
}

// rival says that a better source is being heard.
func (l *latch) rival(rank int, tick int64) bool {
	for r := range rank {
		if c := &l.tries[r]; c.count > 0 && tick-c.last <= rivalTicks {
			return true
		}
	}
	return false
}

// target is where our packets go.
func (l *latch) target() netip.AddrPort {
	if l.locked.IsValid() && !l.strict {
		return l.locked
	}
	return l.sdp
}

// settled says that nobody else will be listened to for now, so that the kernel may filter.
func (l *latch) settled(tick int64) bool {
	return l.locked.IsValid() && (l.rank == rankSDP || tick >= l.until) && tick-l.heard <= contestTicks
}
