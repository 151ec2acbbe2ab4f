package media

import (
	"encoding/hex"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/pion/rtcp"
)

// reports is a leg's RTCP (RFC 3550 §6): sender and receiver reports every 5 s, give or take.
type reports struct {
	cname  string
	due    int64  // tick of the next report
	srAt   int64  // tick of the far end's last sender report
	srTime uint32 // middle of its NTP time
	srFrom uint32 // its SSRC
	sent   bool   // a report of ours
}

const (
	reportTicks  = 250 // 5 s, the minimum of RFC 3550 §6.2
	controlTicks = 25  // RTCP is read twice a second
	ntpOffset    = 2208988800
)

func (r *reports) init(rng *rand.Rand, tick int64) {
	var name [12]byte // random, so that it tells nothing (RFC 7022)
	for i := range name {
		name[i] = byte(rng.Uint32())
	}
	*r = reports{cname: hex.EncodeToString(name[:])}
	r.due = tick + reportTicks/2 + rng.Int64N(reportTicks/2)
}

// control reads and writes RTCP when it is time.
func (l *Leg) control(tick int64) {
	r := &l.report
	if !l.cur.Mux && l.turnOf(tick, controlTicks) {
		buf := l.pacer.scratch.control[:]
		for range readsPerFrame {
			n, from, err := l.link.readControl(buf)
			if err == errAgain {
				break
			}
			if err == nil && n <= len(buf) {
				l.takeControl(buf[:n], from, tick)
			}
		}
	}
	if tick >= r.due {
		r.due = tick + reportTicks/2 + l.pacer.rng.Int64N(reportTicks)
		l.report.sent = true
		l.sendReport(tick, false)
	}
}

// bye tells the far end that the stream is over, if there was one (RFC 3550 6.3.7).
func (l *Leg) bye() {
	if l.out.packets > 0 || l.report.sent {
		l.sendReport(l.pacer.tick, true)
	}
}

// sendReport sends a compound packet: SR or RR, SDES, and BYE at the end.
func (l *Leg) sendReport(tick int64, bye bool) {
	to := l.controlTarget()
	if !to.IsValid() || to.Port() == 0 || to.Addr().IsUnspecified() {
		return
	}
	o := &l.out
	var blocks []rtcp.ReceptionReport
	if l.in.known {
		blocks = []rtcp.ReceptionReport{l.receptionReport(tick)}
	}
	var packets []rtcp.Packet
	if o.packets > 0 {
		packets = append(packets, &rtcp.SenderReport{
			SSRC: o.header.SSRC, NTPTime: ntp(time.Now()), RTPTime: o.at(tick),
			PacketCount: o.packets, OctetCount: o.octets, Reports: blocks,
		})
	} else {
		packets = append(packets, &rtcp.ReceiverReport{SSRC: o.header.SSRC, Reports: blocks})
	}
	packets = append(packets, rtcp.NewCNAMESourceDescription(o.header.SSRC, l.report.cname))
	if bye {
		packets = append(packets, &rtcp.Goodbye{Sources: []uint32{o.header.SSRC}})
	}
	b, err := rtcp.Marshal(packets)
	if err != nil {
		return
	}
	if c := l.capture.Load(); c != nil {
		l.copyPacket(c, true, true, to, b)
	}
	if c := l.cur.seal; c != nil {
		if b, err = c.ctx.EncryptRTCP(l.pacer.scratch.sealed[:], b, nil); err != nil {
			return
		}
	}
	if l.cur.Mux {
		_ = l.link.write(b, to)
	} else {
		_ = l.link.writeControl(b, to)
	}
}

// controlTarget is where RTCP goes: the address in the SDP, or next to the learnt source of RTP.
func (l *Leg) controlTarget() netip.AddrPort {
	latch := &l.in.latch
	switch {
	case l.cur.Mux:
		return latch.target()
	case latch.locked.IsValid() && !latch.strict && latch.locked.Addr() != l.cur.RTCP.Addr():
		if latch.locked.Port() == 65535 {
			return netip.AddrPort{}
		}
		return netip.AddrPortFrom(latch.locked.Addr(), latch.locked.Port()+1)
	}
	return l.cur.RTCP
}

// receptionReport is our view of the far end's stream since the last report (RFC 3550 appendix A.3).
func (l *Leg) receptionReport(tick int64) rtcp.ReceptionReport {
	in := &l.in
	highest := in.cycles + uint32(in.highest)
	expected := highest - in.base + 1
	expectedNow, receivedNow := expected-in.expectedPrior, in.received-in.receivedPrior
	in.expectedPrior, in.receivedPrior = expected, in.received
	b := rtcp.ReceptionReport{
		SSRC: in.ssrc, LastSequenceNumber: highest, Jitter: in.jitter16 >> 4 * l.cur.scale,
		TotalLost: min(uint32(in.lostNow()), 0x7FFFFF),
	}
	if expectedNow > receivedNow && expectedNow > 0 {
		b.FractionLost = uint8(min(255, uint64(expectedNow-receivedNow)<<8/uint64(expectedNow)))
	}
	if l.report.srFrom == in.ssrc && l.report.srAt > 0 {
		b.LastSenderReport = l.report.srTime
		b.Delay = uint32((tick - l.report.srAt) * int64(FrameTime) << 16 / int64(time.Second))
	}
	return b
}

// takeControl reads one compound packet. Only the host that sends the voice is believed.
func (l *Leg) takeControl(b []byte, from netip.AddrPort, tick int64) {
	latch := &l.in.latch
	if from.Addr() != latch.locked.Addr() && from.Addr() != latch.sdp.Addr() && from != l.cur.RTCP {
		l.now.Foreign++
		return
	}
	if c := l.cur.open; c != nil {
		plain, err := c.ctx.DecryptRTCP(b, b, nil)
		if err != nil {
			l.now.Unauthentic++
			return
		}
		b = plain
	}
	packets, err := rtcp.Unmarshal(b)
	if err != nil {
		l.now.Malformed++
		return
	}
	if c := l.capture.Load(); c != nil {
		l.copyPacket(c, false, true, from, b)
	}
	l.signAt.Store(int64(l.pacer.time()))
	if l.in.heardAny { // before the first RTP packet the start time-out counts
		l.in.waiting = tick
	}
	for _, p := range packets {
		switch p := p.(type) {
		case *rtcp.SenderReport:
			l.report.srAt, l.report.srTime, l.report.srFrom = tick, uint32(p.NTPTime>>16), p.SSRC
			l.farReport(p.Reports)
		case *rtcp.ReceiverReport:
			l.farReport(p.Reports)
		}
	}
}

// farReport takes what the far end says about our stream.
func (l *Leg) farReport(blocks []rtcp.ReceptionReport) {
	for _, b := range blocks {
		if b.SSRC != l.out.header.SSRC {
			continue
		}
		st := &l.now
		st.FarKnown = true
		st.FarLoss = float64(b.FractionLost) / 256
		st.FarJitter = time.Duration(b.Jitter) * time.Second / time.Duration(Rate*l.cur.scale)
		if l.opus != nil {
			l.opus.farLoss.Store(int32(b.FractionLost) * 100 / 256)
		}
		if b.LastSenderReport != 0 {
			now := uint32(ntp(time.Now()) >> 16)
			if rtt := int32(now - b.LastSenderReport - b.Delay); rtt >= 0 && rtt < 10<<16 {
				st.RTT = time.Duration(rtt) * time.Second >> 16
			}
		}
	}
}

// ntp is a time as RTCP writes it: seconds since 1900 with 32 bits of fraction.
func ntp(t time.Time) uint64 {
	ns := uint64(t.Nanosecond())
	return uint64(t.Unix()+ntpOffset)<<32 | ns<<32/uint64(time.Second)
}
