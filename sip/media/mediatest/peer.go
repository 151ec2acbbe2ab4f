// Package mediatest holds the far ends of media tests: a telephone that speaks RTP, and a bad network.
package mediatest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/rtp"

	"lianxin/sip/media"
)

// A Phone says how a Peer behaves; the zero value is an A-law telephone at 127.0.0.1 with 20 ms packets.
type Phone struct {
	Codec media.Codec   // PCMA when left out
	Ptime time.Duration // length of the packets it sends, 20 ms when 0; any multiple of 1 ms
	DTMF  uint8         // payload type of its telephone events, 101 when 0
	IP    string        // local address, 127.0.0.1 when empty
	Seq   uint16        // first sequence number, random when 0
	TS    uint32        // first timestamp, random when 0
}

// A Peer is a telephone: it sends a tone, samples or digits in real time and measures what it receives. All methods may
// be called at any time; it ends with the test.
type Peer struct {
	conn  *net.UDPConn
	codec media.Codec
	ptime time.Duration
	dtmf  uint8
	done  chan struct{}
	wg    sync.WaitGroup

	mu      sync.Mutex
	to      netip.AddrPort
	freq    float64
	level   float64
	phase   int
	wave    []int16
	mute    bool
	noise   bool
	header  rtp.Header
	marker  bool
	events  []eventPacket
	eventTS uint32
	drop    func(n int) bool // swallow the n-th event packet
	nth     int

	heard   []int16
	packets []Packet
	digits  strings.Builder
	lastEv  uint32
	anyEv   bool
}

// A Packet is one received RTP packet.
type Packet struct {
	rtp.Header
	Payload []byte
	At      time.Time
	From    netip.AddrPort
}

type eventPacket struct {
	first   bool
	payload [4]byte
	step    bool // the event's timestamp is taken anew here
}

// NewPeer starts a telephone that is silent and sends nothing until Call.
func NewPeer(t testing.TB, ph Phone) *Peer {
	t.Helper()
	if ph.Codec == media.NoCodec {
		ph.Codec = media.PCMA
	}
	if ph.Ptime == 0 {
		ph.Ptime = 20 * time.Millisecond
	}
	if ph.DTMF == 0 {
		ph.DTMF = 101
	}
	if ph.IP == "" {
		ph.IP = "127.0.0.1"
	}
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(ph.IP), 0)))
	if err != nil {
		t.Fatalf("start peer: %v", err)
	}
	p := &Peer{conn: conn, codec: ph.Codec, ptime: ph.Ptime, dtmf: ph.DTMF, done: make(chan struct{}), level: 8000, marker: true}
	p.header = rtp.Header{Version: 2, SSRC: rand.Uint32(), SequenceNumber: uint16(rand.Uint32()), Timestamp: rand.Uint32()}
	if ph.Seq != 0 {
		p.header.SequenceNumber = ph.Seq
	}
	if ph.TS != 0 {
		p.header.Timestamp = ph.TS
	}
	p.wg.Add(2)
	go p.receive()
	go p.send()
	t.Cleanup(p.Close)
	return p
}

// Close hangs up.
func (p *Peer) Close() {
	p.mu.Lock()
	select {
	case <-p.done:
		p.mu.Unlock()
		return
	default:
	}
	close(p.done)
	p.mu.Unlock()
	p.conn.Close()
	p.wg.Wait()
}

// Addr is the peer's RTP address.
func (p *Peer) Addr() netip.AddrPort {
	a := p.conn.LocalAddr().(*net.UDPAddr).AddrPort()
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

// Call begins to send: silence, until there is something else.
func (p *Peer) Call(to netip.AddrPort) { p.with(func() { p.to = to }) }

// Tone sends a sine until another one is asked for; 0 is silence.
func (p *Peer) Tone(freq float64) { p.with(func() { p.freq = freq }) }

// Say sends samples, then what Tone says again.
func (p *Peer) Say(pcm []int16) { p.with(func() { p.wave = append(p.wave, pcm...) }) }

// Mute stops sending altogether (DTX) while time goes on; the first packet after it has the marker bit.
func (p *Peer) Mute(on bool) { p.with(func() { p.mute = on }) }

// ComfortNoise sends one comfort noise packet (RFC 3389) and goes silent until switched off.
func (p *Peer) ComfortNoise(on bool) { p.with(func() { p.noise = on; p.mute = false }) }

// SwitchCodec changes the codec in the middle of the stream.
func (p *Peer) SwitchCodec(c media.Codec) { p.with(func() { p.codec = c }) }

// SwitchSSRC begins another stream: new SSRC, sequence and timestamp.
func (p *Peer) SwitchSSRC() {
	p.with(func() {
		p.header.SSRC, p.header.SequenceNumber, p.header.Timestamp = rand.Uint32(), uint16(rand.Uint32()), rand.Uint32()
	})
}

func (p *Peer) with(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}

// Press sends keys as telephone events: 4 packets while down, the last with the E bit three times, 40 ms between keys.
// The first packet has the duration given by firstZero: 0, as sipp's captures have it, or one frame.
func (p *Peer) Press(keys string, firstZero bool) {
	p.with(func() {
		for _, k := range keys {
			code := byte(strings.IndexRune("0123456789*#ABCD", k))
			for i := range 7 {
				n := min(i, 4)
				if !firstZero {
					n = min(i+1, 4)
				}
				e := eventPacket{first: i == 0, step: i == 0, payload: [4]byte{code, 10, byte(n * 160 >> 8), byte(n * 160 & 255)}}
				if i >= 4 {
					e.payload[1] |= 0x80
				}
				p.events = append(p.events, e)
			}
			p.events = append(p.events, eventPacket{}, eventPacket{})
		}
	})
}

// DropEvents swallows those event packets for whose number (from 0) drop returns true; their sequence numbers are used up.
func (p *Peer) DropEvents(drop func(n int) bool) { p.with(func() { p.drop, p.nth = drop, 0 }) }

// WriteRTP sends one packet of the caller's making from the peer's address.
func (p *Peer) WriteRTP(to netip.AddrPort, h rtp.Header, payload []byte) error {
	h.Version = 2
	b, err := (&rtp.Packet{Header: h, Payload: payload}).Marshal()
	if err != nil {
		return err
	}
	return p.Write(to, b)
}

// Write sends any datagram from the peer's address.
func (p *Peer) Write(to netip.AddrPort, b []byte) error {
	_, err := p.conn.WriteToUDPAddrPort(b, to)
	return err
}

// send is the telephone's clock.
func (p *Peer) send() {
	defer p.wg.Done()
	tick := time.NewTicker(p.ptime)
	defer tick.Stop()
	start, n := time.Now(), time.Duration(0)
	for {
		select {
		case <-p.done:
			return
		case <-tick.C:
		}
		for ; n*p.ptime < time.Since(start); n++ {
			p.packet()
		}
	}
}

// packet sends what is due.
func (p *Peer) packet() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.to.IsValid() {
		return
	}
	samples := int(p.ptime * media.Rate / time.Second)
	defer func() { p.header.Timestamp += uint32(samples) }()
	h := p.header
	var payload []byte
	var dropped bool
	if len(p.events) > 0 && !(p.events[0] == eventPacket{}) {
		e := p.events[0]
		p.events = p.events[1:]
		if e.step {
			p.eventTS = h.Timestamp
		}
		h.PayloadType, h.Timestamp, h.Marker = p.dtmf, p.eventTS, e.first
		payload = e.payload[:]
		dropped = p.drop != nil && p.drop(p.nth)
		p.nth++
		p.marker = true
		p.skip(samples)
	} else {
		if len(p.events) > 0 {
			p.events = p.events[1:]
		}
		pcm := p.samples(samples)
		if p.mute {
			p.marker = true
			return
		}
		if p.noise {
			p.noise, p.mute, p.marker = false, true, true
			h.PayloadType, payload = 13, []byte{70}
		} else {
			payload = make([]byte, samples)
			p.codec.Encode(payload, pcm)
			h.PayloadType, h.Marker = p.codec.PT(), p.marker
			p.marker = false
		}
	}
	p.header.SequenceNumber++
	if dropped {
		return
	}
	b, err := (&rtp.Packet{Header: h, Payload: payload}).Marshal()
	if err == nil {
		_, _ = p.conn.WriteToUDPAddrPort(b, p.to)
	}
}

// samples makes the next n samples.
func (p *Peer) samples(n int) []int16 {
	pcm := make([]int16, n)
	k := copy(pcm, p.wave)
	p.wave = p.wave[k:]
	for i := k; i < n && p.freq > 0; i++ {
		pcm[i] = int16(p.level * math.Sin(2*math.Pi*p.freq*float64(p.phase+i)/media.Rate))
	}
	p.phase += n
	return pcm
}

func (p *Peer) skip(n int) { p.phase += n }

// receive takes packets until the socket is closed.
func (p *Peer) receive() {
	defer p.wg.Done()
	buf := make([]byte, 2048)
	for {
		n, from, err := p.conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			select {
			case <-p.done:
				return
			default:
				continue // ICMP
			}
		}
		pkt := Packet{At: time.Now(), From: netip.AddrPortFrom(from.Addr().Unmap(), from.Port())}
		var r rtp.Packet
		if buf[1] >= 192 && buf[1] <= 223 || r.Unmarshal(append([]byte(nil), buf[:n]...)) != nil {
			continue
		}
		pkt.Header, pkt.Payload = r.Header, r.Payload
		p.take(pkt)
	}
}

func (p *Peer) take(pkt Packet) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.packets = append(p.packets, pkt)
	if pkt.PayloadType == p.dtmf && len(pkt.Payload) >= 4 {
		if pkt.Payload[1]&0x80 != 0 && (!p.anyEv || pkt.Timestamp != p.lastEv) {
			p.digits.WriteByte("0123456789*#ABCD"[pkt.Payload[0]&15])
			p.lastEv, p.anyEv = pkt.Timestamp, true
		}
		return
	}
	if c, ok := media.CodecByPT(pkt.PayloadType); ok {
		pcm := make([]int16, len(pkt.Payload))
		c.Decode(pcm, pkt.Payload)
		p.heard = append(p.heard, pcm...)
	}
}

// Heard is all the voice received so far, in order of arrival.
func (p *Peer) Heard() []int16 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]int16(nil), p.heard...)
}

// Forget drops what was received so far.
func (p *Peer) Forget() {
	p.with(func() { p.heard, p.packets = nil, nil; p.digits.Reset() })
}

// Packets lists what was received so far.
func (p *Peer) Packets() []Packet {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]Packet(nil), p.packets...)
}

// Digits are the keys received as telephone events.
func (p *Peer) Digits() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.digits.String()
}

// WaitTone waits until the last 100 ms that were heard are this tone and hardly anything else.
func (p *Peer) WaitTone(freq float64, within time.Duration) error {
	return p.wait(within, func(last []int16) error {
		if s := Share(last, freq); s < 0.8 || RMS(last) < 200 {
			return fmt.Errorf("%.0f Hz is %.0f %% of what is heard (level %.0f)", freq, 100*s, RMS(last))
		}
		return nil
	})
}

// WaitTones waits until the last 100 ms hold all of these tones.
func (p *Peer) WaitTones(within time.Duration, freqs ...float64) error {
	return p.wait(within, func(last []int16) error {
		sum := 0.0
		for _, f := range freqs {
			s := Share(last, f)
			if s < 0.2/float64(len(freqs)) {
				return fmt.Errorf("%.0f Hz is %.0f %% of what is heard (level %.0f)", f, 100*s, RMS(last))
			}
			sum += s
		}
		if sum < 0.7 {
			return fmt.Errorf("%v Hz are together %.0f %% of what is heard", freqs, 100*sum)
		}
		return nil
	})
}

// WaitSilence waits until packets come and the last 100 ms of them are silent.
func (p *Peer) WaitSilence(within time.Duration) error {
	return p.wait(within, func(last []int16) error {
		if r := RMS(last); r > 20 {
			return fmt.Errorf("level is %.0f", r)
		}
		return nil
	})
}

func (p *Peer) wait(within time.Duration, good func([]int16) error) error {
	const window = media.Rate / 10
	deadline := time.Now().Add(within)
	p.mu.Lock()
	from := len(p.heard)
	p.mu.Unlock()
	err := fmt.Errorf("nothing was heard")
	for time.Now().Before(deadline) {
		p.mu.Lock()
		n := len(p.heard)
		var last []int16
		if n-min(from, n) >= window {
			last = append(last, p.heard[n-window:]...)
		}
		p.mu.Unlock()
		if last != nil {
			if err = good(last); err == nil {
				return nil
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	return fmt.Errorf("after %v: %w", within, err)
}

// Arrivals sums up when packets came.
type Arrivals struct {
	Packets   int
	Lost      int           // by sequence number, within a stream
	Disorder  int           // packets with a lower sequence number than the one before
	MaxGap    time.Duration // longest pause between two packets
	Gaps      int           // pauses over 30 ms
	SSRCs     int
	Markers   int
	TimeJumps int // voice packets whose timestamp is not where the last one ended
}

// Arrivals looks at all packets received so far.
func (p *Peer) Arrivals() (a Arrivals) {
	ps := p.Packets()
	a.Packets = len(ps)
	ssrcs := map[uint32]bool{}
	for i, k := range ps {
		ssrcs[k.SSRC] = true
		if k.Marker {
			a.Markers++
		}
		if i == 0 {
			continue
		}
		prev := ps[i-1]
		if gap := k.At.Sub(prev.At); gap > a.MaxGap {
			a.MaxGap = gap
		}
		if k.At.Sub(prev.At) > 30*time.Millisecond {
			a.Gaps++
		}
		if k.SSRC != prev.SSRC {
			continue
		}
		if d := int16(k.SequenceNumber - prev.SequenceNumber); d < 1 {
			a.Disorder++
		} else {
			a.Lost += int(d - 1)
			if d == 1 && k.PayloadType != p.dtmf && prev.PayloadType != p.dtmf &&
				k.Timestamp != prev.Timestamp+uint32(len(prev.Payload)) {
				a.TimeJumps++
			}
		}
	}
	a.SSRCs = len(ssrcs)
	return a
}
