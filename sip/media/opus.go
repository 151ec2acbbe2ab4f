package media

import (
	"errors"
	"log/slog"
	"runtime/debug"
	"sync/atomic"

	"github.com/thesyncim/gopus"
)

// opusEdge speaks Opus (RFC 6716, RFC 7587) for a leg whose far end has nothing else. Inside the leg everything is G.711, as with
// G.722; but a frame of Opus costs as much as ten legs of G.711, so none of it is done by the pacer. The pacer hands what came and what
// is to be said to a goroutine of the leg's own and takes up, in the next frame, what has become of it: 20 ms each way is the price.
//
// Nothing here waits for the other side. A goroutine that does not keep up loses packets, never the pacer's time; a packet that makes the
// decoder panic is lost and nothing else.
type opusEdge struct {
	log   *slog.Logger
	limit OpusLimit

	came  chan opusArrival // pacer → goroutine
	heard chan *packet     // and back, now A-law
	say   chan *opusSaying
	said  chan *opusSaying
	stop  chan struct{}

	farLoss atomic.Int32 // share of our packets that the far end has missed lately, in percent

	// The pacer's own.
	known   bool
	stream  uint8  // changes with each stream, because packets of the last may still be on their way back
	seq     uint16 // of the last packet handed over
	ts      uint32
	samples uint32
	free    []*opusSaying
	made    int

	// The goroutine's own.
	decoder  *gopus.Decoder
	encoder  *gopus.Encoder
	frames   int
	loss     int32
	panicked bool
	pcm      [opusLongest]int16
	float    [opusLongest]float32
}

// OpusLimit is what a far end asks of the Opus we send it (RFC 7587 §6.1).
type OpusLimit struct {
	Bitrate int  // most bits per second; 0: no wish
	FEC     bool // it can use redundancy for lost packets
}

// opusArrival is a packet that came, and room for those that were lost just before it.
type opusArrival struct {
	p     *packet
	lost  [opusRepair]*packet // in order
	n     int
	fresh bool // the first of a stream
}

// opusSaying is a packet on its way out: what is to be said, then the Opus of it.
type opusSaying struct {
	law    Codec
	quiet  bool
	n      int // samples; afterwards bytes of Opus, 0 if it failed
	ts     uint32
	marker bool
	b      [maxFramesSent * FrameSamples]byte
}

const (
	opusClock   = 48000                        // of its RTP timestamps, whatever is coded (RFC 7587 §4.1)
	opusScale   = opusClock / Rate             // units of it per sample of ours
	opusLongest = 120 * Rate / 1000            // samples of ours in the longest packet
	opusRepair  = 3                            // lost packets that are made up for in the decoder: the ring conceals no more either
	opusQueue   = 16                           // packets that may wait for the goroutine; more are old
	opusBitrate = 20000                        // narrowband speech at its best is below
	opusPackets = opusQueue * (opusRepair + 1) // that can be on their way back
)

func newOpusEdge(limit OpusLimit, log *slog.Logger) *opusEdge {
	e := &opusEdge{
		log: log, limit: limit,
		came: make(chan opusArrival, opusQueue), heard: make(chan *packet, opusPackets),
		say: make(chan *opusSaying, opusQueue), said: make(chan *opusSaying, opusQueue),
		stop: make(chan struct{}),
	}
	go e.run()
	return e
}

func (e *opusEdge) close() { close(e.stop) }

// hand gives a packet that came to the goroutine. The packet belongs to the edge from then on.
func (e *opusEdge) hand(p *packet, pool *packetPool, st *Stats) {
	samples := opusSamples(p.payload)
	if samples == 0 {
		st.Malformed++
		pool.put(p)
		return
	}
	a := opusArrival{p: p, fresh: !e.known}
	if e.known {
		switch ahead := int16(p.seq - e.seq); {
		case ahead <= 0: // overtaken: it has been made up for, and the decoder cannot go back
			st.Late++
			pool.put(p)
			return
		case ahead > 1 && e.samples > 0 && ahead <= opusRepair+1 && p.ts-e.ts == uint32(ahead)*e.samples: // a loss, and no pause
			for i := range ahead - 1 {
				q := pool.get()
				q.seq, q.ts, q.kind, q.stream, q.made = e.seq+uint16(i)+1, e.ts+uint32(i+1)*e.samples, voice, e.stream, true
				q.payload = q.buf[:e.samples]
				a.lost[a.n] = q
				a.n++
			}
		}
	}
	p.stream, p.made = e.stream, false
	e.known, e.seq, e.ts, e.samples = true, p.seq, p.ts, uint32(samples)
	select {
	case e.came <- a:
	default:
		st.Late++ // the goroutine does not keep up
		e.giveBack(a, pool)
	}
}

// restart is for a stream that begins.
func (e *opusEdge) restart() {
	e.known = false
	e.stream++
}

// pass notes a packet that carries no voice: its sequence number is no loss.
func (e *opusEdge) pass(seq uint16) {
	if e.known && int16(seq-e.seq) > 0 {
		e.seq, e.samples = seq, 0
	}
}

func (e *opusEdge) giveBack(a opusArrival, pool *packetPool) {
	for _, q := range a.lost[:a.n] {
		pool.put(q)
	}
	pool.put(a.p)
}

// take is the next packet that has been decoded, nil when there is none.
func (e *opusEdge) take() *packet {
	select {
	case p := <-e.heard:
		return p
	default:
		return nil
	}
}

// blank is room for something to be said, nil when too much is under way already.
func (e *opusEdge) blank() *opusSaying {
	if n := len(e.free); n > 0 {
		s := e.free[n-1]
		e.free = e.free[:n-1]
		return s
	}
	if e.made == opusQueue {
		return nil
	}
	e.made++
	return new(opusSaying)
}

// run is the goroutine.
func (e *opusEdge) run() {
	for {
		select {
		case <-e.stop:
			return
		case a := <-e.came:
			e.hear(a)
		case s := <-e.say:
			e.speak(s)
			e.said <- s // there is room: no more than that are made
		}
	}
}

// hear decodes one packet, and what was lost before it by what its redundancy or the decoder's memory tells.
func (e *opusEdge) hear(a opusArrival) {
	for i, q := range a.lost[:a.n] {
		var with []byte
		if i == a.n-1 {
			with = a.p.payload
		}
		e.finish(q, func() (int, error) { return e.conceal(with, len(q.payload)) })
	}
	e.finish(a.p, func() (int, error) { return e.decode(a.p.payload, a.fresh) })
}

// finish sends one packet back to the pacer, as A-law; without a payload when it could not be decoded.
func (e *opusEdge) finish(p *packet, decode func() (int, error)) {
	n, err := e.safely(decode)
	if errors.Is(err, errOpusPanic) {
		e.decoder = nil
	}
	p.codec, p.payload = PCMA, p.buf[:n]
	PCMA.Encode(p.payload, e.pcm[:n])
	select {
	case e.heard <- p:
	case <-e.stop:
	}
}

// errOpusPanic is a bug in the codec that somebody's packet has found.
var errOpusPanic = errors.New("opus codec panicked")

func (e *opusEdge) safely(do func() (int, error)) (n int, err error) {
	defer func() {
		if r := recover(); r != nil {
			n, err = 0, errOpusPanic
			if !e.panicked {
				e.panicked = true
				e.log.Error("opus codec: a packet is lost to a bug", "panic", r, "stack", string(debug.Stack()))
			}
		}
	}()
	return do()
}

func (e *opusEdge) decode(payload []byte, fresh bool) (n int, err error) {
	if e.decoder == nil {
		cfg := gopus.DefaultDecoderConfig(Rate, 1) // stereo and every bandwidth come out as one voice at our rate
		cfg.MaxPacketSamples = opusLongest
		if e.decoder, err = gopus.NewDecoder(cfg); err != nil {
			return 0, err
		}
	} else if fresh {
		e.decoder.Reset()
	}
	return e.decoder.DecodeInt16(payload, e.pcm[:])
}

// conceal makes up for n lost samples: by the redundancy in the packet behind them, where there is some.
func (e *opusEdge) conceal(with []byte, n int) (int, error) {
	if e.decoder == nil {
		return 0, nil
	}
	var err error
	if with == nil {
		_, err = e.decoder.Decode(nil, e.float[:n])
	} else {
		_, err = e.decoder.DecodeWithFEC(with, e.float[:n], true)
	}
	if err != nil {
		return 0, err
	}
	for i, v := range e.float[:n] {
		e.pcm[i] = int16(max(-32768, min(32767, v*32768)))
	}
	return n, nil
}

// speak encodes in place.
func (e *opusEdge) speak(s *opusSaying) {
	n, err := e.safely(func() (int, error) {
		if s.quiet {
			clear(e.pcm[:s.n])
		} else {
			s.law.Decode(e.pcm[:s.n], s.b[:s.n])
		}
		return e.encode(s.b[:], e.pcm[:s.n])
	})
	if err != nil {
		e.encoder, n = nil, 0
	}
	s.n = n
}

func (e *opusEdge) encode(dst []byte, pcm []int16) (int, error) {
	if e.encoder == nil {
		c, err := gopus.NewEncoder(gopus.EncoderConfig{SampleRate: Rate, Channels: 1, Application: gopus.ApplicationVoIP})
		if err != nil {
			return 0, err
		}
		bits := opusBitrate
		if e.limit.Bitrate > 0 {
			bits = max(6000, min(bits, e.limit.Bitrate))
		}
		if err := errors.Join(c.SetBitrate(bits), c.SetComplexity(opusComplexity), c.SetSignal(gopus.SignalVoice)); err != nil {
			return 0, err
		}
		e.encoder, e.frames, e.loss = c, 0, 0
	}
	if frames := len(pcm) / FrameSamples; frames != e.frames {
		if err := e.encoder.SetFrameSize(len(pcm)); err != nil {
			return 0, err
		}
		e.frames = frames
	}
	if loss := e.farLoss.Load(); loss != e.loss && e.limit.FEC {
		e.encoder.SetFEC(loss > 0)
		if err := e.encoder.SetPacketLoss(int(loss)); err != nil {
			return 0, err
		}
		e.loss = loss
	}
	return e.encoder.EncodeInt16(pcm, dst)
}

// opusComplexity is where more effort can hardly be heard in narrowband speech.
const opusComplexity = 5

// opusSamples is how many samples of ours a packet lasts (RFC 6716 §3.1, §3.2), 0 when it is no packet.
func opusSamples(payload []byte) int {
	if len(payload) == 0 {
		return 0
	}
	config, frames := payload[0]>>3, 1
	var n int
	switch {
	case config < 12: // SILK: 10, 20, 40, 60 ms
		n = [...]int{80, 160, 320, 480}[config&3]
	case config < 16: // hybrid: 10, 20 ms
		n = [...]int{80, 160}[config&1]
	default: // CELT: 2.5, 5, 10, 20 ms
		n = 20 << (config & 3)
	}
	switch payload[0] & 3 {
	case 1, 2:
		frames = 2
	case 3:
		if len(payload) < 2 {
			return 0
		}
		frames = int(payload[1] & 0x3F)
	}
	if n *= frames; n > opusLongest {
		return 0
	}
	return n
}

// scaled turns timestamps of a 48 kHz clock into samples of ours. It goes on over the wrap, which 2³² being no multiple of six does not
// do by itself.
type scaled struct {
	known   bool
	theirs  uint32
	samples uint32
}

func (s *scaled) at(ts uint32) uint32 {
	if !s.known {
		*s = scaled{known: true, theirs: ts, samples: ts / opusScale}
	}
	steps := int32(ts-s.theirs) / opusScale
	s.samples += uint32(steps)
	s.theirs += uint32(steps) * opusScale
	return s.samples
}
