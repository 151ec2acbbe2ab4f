package media

import "github.com/pion/rtp"

// scratch is a pacer's working memory for the leg it is busy with.
type scratch struct {
	heard, said, part frame
	pcm               [FrameSamples]int16 // heard, decoded when decoded is set
	decoded           bool
	saidPCM           [FrameSamples]int16
	sum               [FrameSamples]int32
	mixPCM            [FrameSamples]int16
	wide              [maxPacket]int16 // a packet of G.722, decoded
	rtp               rtp.Packet
	control           [1500]byte
	out               outBuffer
	sealed            [1500]byte // an encrypted packet on its way out
}

// heardPCM decodes what was heard, at most once per frame.
func (sc *scratch) heardPCM() *[FrameSamples]int16 {
	if !sc.decoded {
		sc.heard.decode(&sc.pcm)
		sc.decoded = true
	}
	return &sc.pcm
}

// maxPacket is the longest datagram we take: 60 ms of G.711 with a generous header extension.
const maxPacket = 1024

// A packet is one received RTP packet that waits for its time.
type packet struct {
	next    *packet // in the pool
	seq     uint16
	ts      uint32
	kind    packetKind
	codec   Codec
	stream  uint8  // for Opus: the stream that it belongs to
	made    bool   // for Opus: it was lost, and is made up for
	payload []byte // part of buf
	buf     [maxPacket]byte
}

type packetKind uint8

const (
	voice packetKind = iota
	noise            // comfort noise (RFC 3389): the far end is silent on purpose
	event            // a telephone event: takes a sequence number, carries no voice
)

// packetPool keeps packets for reuse; one thread uses it.
type packetPool struct{ free *packet }

func (p *packetPool) get() *packet {
	k := p.free
	if k == nil {
		return new(packet)
	}
	p.free, k.next = k.next, nil
	return k
}

func (p *packetPool) put(k *packet) {
	k.payload = nil
	k.next, p.free = p.free, k
}
