package media

import (
	"net/netip"
	"sync/atomic"
)

// Elsewhere stands for the far end in Params.Remote where packets go through an Inlet instead of a socket of ours. It is an address
// of the discard prefix (RFC 6666), so nothing can come from there.
var Elsewhere = netip.AddrPortFrom(netip.MustParseAddr("100::1"), 9)

// An Inlet is where packets enter a leg that has no socket: another transport, such as a browser's DTLS association, reads them and
// puts them in. Take may be called from any goroutine.
type Inlet struct {
	rtp, rtcp chan *inletPacket
	free      chan *inletPacket
	dropped   atomic.Uint64
	send      func(b []byte, control bool)
	closed    func()
}

type inletPacket struct {
	n   int
	buf [1500]byte
}

const inletPackets = 32 // more than half a second: beyond that the pacer has stopped

// OpenVia makes a leg whose packets come from an Inlet and go to send. send is called by the pacer: it must not block and must not keep
// the bytes. closed, if not nil, is called when the leg has ended, in a goroutine of its own. Agree on Params.Remote Elsewhere.
func (e *Engine) OpenVia(send func(b []byte, control bool), closed func()) (*Leg, *Inlet, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, nil, ErrClosed
	}
	in := &Inlet{
		rtp: make(chan *inletPacket, inletPackets), rtcp: make(chan *inletPacket, inletPackets), free: make(chan *inletPacket, 2*inletPackets),
		send: send, closed: closed,
	}
	return e.attach(in, 0, netip.Addr{}), in, nil
}

// Take hands a packet in; control says that it is RTCP. When the leg does not keep up, the oldest is dropped.
func (in *Inlet) Take(b []byte, control bool) {
	var p *inletPacket
	select {
	case p = <-in.free:
	default:
		p = new(inletPacket)
	}
	p.n = copy(p.buf[:], b)
	to := in.rtp
	if control {
		to = in.rtcp
	}
	for {
		select {
		case to <- p:
			return
		default:
		}
		select {
		case old := <-to:
			in.dropped.Add(1)
			in.put(old)
		default:
		}
	}
}

func (in *Inlet) put(p *inletPacket) {
	select {
	case in.free <- p:
	default:
	}
}

func (in *Inlet) get(from chan *inletPacket, b []byte) (int, netip.AddrPort, error) {
	select {
	case p := <-from:
		copy(b, p.buf[:p.n])
		n := p.n
		in.put(p)
		return n, Elsewhere, nil
	default:
		return 0, netip.AddrPort{}, errAgain
	}
}

func (in *Inlet) read(b []byte) (int, netip.AddrPort, error)        { return in.get(in.rtp, b) }
func (in *Inlet) readControl(b []byte) (int, netip.AddrPort, error) { return in.get(in.rtcp, b) }
func (in *Inlet) write(b []byte, _ netip.AddrPort) error {
	in.send(b, false)
	return nil
}
func (in *Inlet) writeControl(b []byte, _ netip.AddrPort) error {
	in.send(b, true)
	return nil
}
func (in *Inlet) pin(netip.AddrPort) {}
func (in *Inlet) drain() {
	if in.closed != nil {
		go in.closed()
	}
}
func (in *Inlet) close()     {}
func (in *Inlet) empty() int { return 0 }

var _ link = (*Inlet)(nil)
