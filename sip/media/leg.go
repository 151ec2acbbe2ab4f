package media

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// ErrNotStarted is returned when sound is asked of a leg that has no far end yet.
var ErrNotStarted = errors.New("media leg not started")

// Params is what signalling has agreed for a leg. Start takes the first, Update any later one.
type Params struct {
	Remote  netip.AddrPort // where the far end wants RTP (its SDP); invalid or port 0: we do not send
	RTCP    netip.AddrPort // where it wants RTCP; Remote's port + 1 when left out
	Mux     bool           // RTCP shares the RTP port (RFC 5761)
	Codec   Codec          // what we send
	PT      uint8          // payload type of Codec; its static one when 0
	Also    []Format       // further negotiated formats, which the far end may use at any time
	DTMF    uint8          // payload type of telephone-event (RFC 4733), 0 when not negotiated
	Clock   int            // of the telephone events, in Hz; that of Codec when 0
	Opus    OpusLimit      // what the far end asks of Opus
	Ptime   time.Duration  // packet time the far end asks for; we send 20, 40 or 60 ms, 20 when 0
	Send    bool           // false: our side of a hold (recvonly, inactive)
	Receive bool           // false: the far end may not send (sendonly, inactive); its packets are dropped
	Strict  bool           // only Remote's IP address may send, and we always send to Remote: for known trunks
	Near    netip.Addr     // where the far end's signalling comes from; preferred when a NAT hides Remote
	SRTP    *SRTP          // how packets are encrypted, nil for not at all
	SSRC    uint32         // the SSRC to send with, where another transport has chosen it; random when 0
}

// A Format is a codec with the payload type agreed for it.
type Format struct {
	Codec Codec
	PT    uint8
}

// setup is Params as the pacer uses them.
type setup struct {
	Params
	codecs [128]Codec // by payload type
	frames int        // frames per packet sent
	scale  uint32     // units of the RTP clock per sample of ours

	seal, open *cipher // what we send, what we receive; nil without SRTP
}

// eventClock is the clock of telephone events, in Hz.
func (s *setup) eventClock() int {
	if s == nil {
		return Rate
	}
	return s.Clock
}

func newSetup(p Params) (*setup, error) {
	if !p.Codec.valid() {
		return nil, fmt.Errorf("start media: %v is not a codec", p.Codec)
	}
	if p.PT == 0 {
		p.PT = p.Codec.PT()
	}
	p.Remote = numericZone(p.Remote)
	if !p.RTCP.IsValid() && p.Remote.IsValid() && p.Remote.Port() < 65535 {
		p.RTCP = netip.AddrPortFrom(p.Remote.Addr(), p.Remote.Port()+1)
	}
	p.RTCP = numericZone(p.RTCP)
	p.Near = p.Near.Unmap()
	if p.Clock == 0 {
		p.Clock = p.Codec.Clock()
	}
	if p.Clock != Rate && p.Clock != opusClock {
		return nil, fmt.Errorf("start media: telephone events at %d Hz", p.Clock)
	}
	s := &setup{Params: p, frames: 1, scale: uint32(p.Codec.Clock() / Rate)}
	for _, f := range append([]Format{{p.Codec, p.PT}}, p.Also...) {
		if f.PT > 127 || !f.Codec.valid() {
			return nil, fmt.Errorf("start media: payload type %d for %v", f.PT, f.Codec)
		}
		if f.Codec.Clock() != p.Codec.Clock() {
			return nil, fmt.Errorf("start media: %v and %v have different clocks", p.Codec, f.Codec)
		}
		if s.codecs[f.PT] == NoCodec {
			s.codecs[f.PT] = f.Codec
		}
	}
	if p.DTMF > 127 {
		return nil, fmt.Errorf("start media: payload type %d for telephone-event", p.DTMF)
	}
	if n := int(p.Ptime / FrameTime); n > 1 {
		s.frames = min(n, maxFramesSent)
	}
	return s, nil
}

// A Leg is one far end's voice: a pair of UDP ports, what is heard on it and what is said. All methods may be
// called from any goroutine; none of them but Play, SendDigits and Tap.Read waits for the far end.
type Leg struct {
	id     string
	engine *Engine
	pacer  *pacer
	slot   int
	phase  int64 // so that what is not done in every frame is not done by all legs in the same one
	link   link
	port   int
	ip     netip.Addr // that the link is bound to
	log    *slog.Logger

	mu       sync.Mutex // orders changes by callers; the pacer never takes it
	shut     sync.Once
	closing  atomic.Bool
	done     chan struct{} // closed by Close
	finished chan struct{} // closed when the pacer has let go

	setup     atomic.Pointer[setup]
	play      atomic.Pointer[playback]
	loop      atomic.Pointer[looping]
	standIn   atomic.Pointer[looping]
	keys      atomic.Pointer[keying]
	ins, outs atomic.Pointer[[]*pipe]
	taps      atomic.Pointer[[]*Tap]
	rec       atomic.Pointer[Recording]
	onTimeout atomic.Pointer[func()]
	capture   atomic.Pointer[Capture]
	private   atomic.Bool   // nothing of what is keyed or spoken may be stored
	playTurn  chan struct{} // holds one token: whose turn it is to play
	keyTurn   chan struct{}

	digits      chan Digit // made when it is first asked for
	digitsMade  sync.Once
	digitSource atomic.Int32 // DigitSource of the first digit, 0 before
	digitsLost  atomic.Uint64

	heardAt   atomic.Int64 // last accepted RTP packet, ns since the pacer's epoch; 0 before
	startedAt atomic.Int64
	signAt    atomic.Int64 // last accepted RTCP packet, likewise

	published sync.Mutex // taken by the pacer with TryLock only
	stats     Stats

	*voicing // only the pacer's thread reads and writes it; nil once the pacer has let go
}

// voicing is a leg's working memory: two thirds of a leg, used again when it has ended, because signalling remembers ended calls for
// half a minute.
type voicing struct {
	cur    *setup
	in     inbound
	jitter jitter
	out    outbound
	mixer  mixer
	wide   wideband
	opus   *opusEdge // nil unless Opus is spoken
	report reports
	tones  *toneDetector
	now    Stats // what will be published
}

var voicings = sync.Pool{New: func() any { return new(voicing) }}

func makeLeg(e *Engine, link link, port int, id string) *Leg {
	l := &Leg{
		id: id, engine: e, link: link, port: port, log: e.cfg.Log,
		done:     make(chan struct{}),
		finished: make(chan struct{}),
		voicing:  voicings.Get().(*voicing),
		playTurn: make(chan struct{}, 1),
		keyTurn:  make(chan struct{}, 1),
	}
	l.playTurn <- struct{}{}
	l.keyTurn <- struct{}{}
	return l
}

// Port is the local RTP port; RTCP is on the next one. It is 0 for a leg without a socket (OpenVia).
func (l *Leg) Port() int { return l.port }

// ID names the leg within its engine, for logs.
func (l *Leg) ID() string { return l.id }

// Start begins to send (silence, until something is played) and to listen.
func (l *Leg) Start(p Params) error { return l.Update(p) }

// Update applies a new agreement: hold, another address or codec. It takes effect within a frame. A changed
// Remote opens the learning window for the source address again; an unchanged one keeps the lock.
func (l *Leg) Update(p Params) error {
	s, err := newSetup(p)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closing.Load() {
		return ErrClosed
	}
	if err := s.encrypt(l.setup.Load()); err != nil {
		return err
	}
	l.setup.Store(s)
	l.startedAt.CompareAndSwap(0, int64(time.Since(l.pacer.epoch)))
	return nil
}

// Done is closed when the leg is closed.
func (l *Leg) Done() <-chan struct{} { return l.done }

// Close ends the leg: a pending Play returns ErrClosed, a recording gets its last frames, and the ports go into
// quarantine. It returns when the pacer has let go of the leg, and it is idempotent.
func (l *Leg) Close() error {
	l.mark()
	<-l.finished
	return nil
}

// Shut is Close without waiting for the pacer, which lets go of the leg within a frame.
func (l *Leg) Shut() { l.mark() }

// mark tells everybody that the leg is closed.
func (l *Leg) mark() {
	l.shut.Do(func() {
		l.mu.Lock()
		l.closing.Store(true)
		l.mu.Unlock()
		close(l.done)
	})
}

// OnTimeout sets what is called, in its own goroutine, when no packet has come for too long although the far
// end may send: 30 s after the start, 60 s later (Config). RTCP counts as a sign of life, so that comfort noise,
// DTX and muted browsers do not end a call. It fires again only after packets have come again.
func (l *Leg) OnTimeout(f func()) {
	if f == nil {
		l.onTimeout.Store(nil)
		return
	}
	l.onTimeout.Store(&f)
}

// SilentFor is the time since the last accepted RTP packet, or since Start when there was none.
func (l *Leg) SilentFor() time.Duration {
	at := max(l.heardAt.Load(), l.startedAt.Load())
	if at == 0 {
		return 0
	}
	return time.Since(l.pacer.epoch) - time.Duration(at)
}

// QuietFor is the time since the last sign of the far end, sound or RTCP, or since Start when there was none. Unlike the time-out of
// OnTimeout it goes on while the far end may not send.
func (l *Leg) QuietFor() time.Duration {
	at := max(l.heardAt.Load(), l.signAt.Load(), l.startedAt.Load())
	if at == 0 {
		return 0
	}
	return time.Since(l.pacer.epoch) - time.Duration(at)
}

// Heard says whether any RTP packet has been accepted yet.
func (l *Leg) Heard() bool { return l.heardAt.Load() != 0 }

// frame is the leg's work in one frame of 20 ms, in the order in which sound passes through it.
func (l *Leg) frame(tick int64) {
	s := l.setup.Load()
	if s == nil {
		l.discard()
		return
	}
	if s != l.cur {
		l.apply(s, tick)
	}
	sc := &l.pacer.scratch
	l.receive(tick)

	// What we hear, and who wants it. Each is looked up once: what comes in between begins with the next frame, because a frame that
	// nobody heeded has no sound in it.
	outs, taps, rec := l.outs.Load(), l.taps.Load(), l.rec.Load()
	heard := &sc.heard
	l.jitter.pop(heard, &l.now, outs != nil || taps != nil || rec != nil || l.tones != nil)
	if m := l.standIn.Load(); m != nil && !s.Receive { // the far end holds us, and has no music of its own
		m.next(heard, s.Codec.law())
	}
	sc.decoded = false
	if outs != nil {
		for _, p := range *outs {
			p.push(heard)
		}
	}
	if taps != nil {
		pcm := sc.heardPCM()
		for _, t := range *taps {
			t.push(pcm)
		}
	}
	if l.tones != nil {
		if key, ok := l.tones.listen(sc.heardPCM()); ok {
			l.pushDigit(key, InBand, l.tones.lasted())
		}
	}

	// What we say.
	said := &sc.said
	over := l.speak(said, sc)
	l.transmit(said, tick)

	if rec != nil {
		said.decode(&sc.saidPCM)
		if rec.push(tick, sc.heardPCM(), &sc.saidPCM) {
			l.rec.CompareAndSwap(rec, nil)
		}
	}
	if over != nil { // only now: its last frame is sent and recorded
		over.finish()
	}
	l.control(tick)
	l.watch(tick)
	l.publish(tick)
}

// phases is a multiple of all intervals of turnOf.
const phases = 200

// turnOf says that it is the leg's turn at what each leg does once in so many frames.
func (l *Leg) turnOf(tick, every int64) bool { return (tick+l.phase)%every == 0 }

// apply makes a new agreement take effect.
func (l *Leg) apply(s *setup, tick int64) {
	old := l.cur
	l.cur = s
	l.in.curious = curiousTicks
	if old == nil {
		l.out.init(l.pacer.rng, tick, s.scale)
		l.jitter.init(&l.pacer.pool)
		l.report.init(l.pacer.rng, tick)
	}
	if s.SSRC != 0 {
		l.out.header.SSRC = s.SSRC
	}
	l.in.latch.renegotiate(s, tick, int64(l.engine.cfg.Learning/FrameTime))
	if l.in.latch.locked == (netip.AddrPort{}) {
		l.pin(netip.AddrPort{})
	}
	if old == nil || !old.Receive && s.Receive {
		l.in.waiting = tick // time-outs count from here
	}
	if s.DTMF == 0 && l.tones == nil {
		l.tones = &toneDetector{}
	} else if s.DTMF != 0 {
		l.tones = nil
	}
	if !s.Receive {
		l.jitter.reset()
	}
	if old != nil && (old.Codec != s.Codec || old.frames != s.frames) {
		l.out.held = 0
	}
	if old != nil && old.scale != s.scale { // another clock: the time line goes on, in other steps
		l.out.rescale(tick, s.scale)
		l.in.events.flush(l)
		l.in.rescale()
		l.jitter.reset()
	}
	if l.opus != nil && (s.Codec != Opus || old == nil || old.Opus != s.Opus) {
		l.opus.close()
		l.opus = nil
	}
	if s.Codec == Opus && l.opus == nil {
		l.opus = newOpusEdge(s.Opus, l.log)
	}
}

// speak decides what is sent in this frame: a prompt comes before the other party, the other party before
// music, and silence fills the rest, because a sender that stops loses its NAT binding and looks dead. It returns a prompt that is over with this frame.
func (l *Leg) speak(f *frame, sc *scratch) (over *playback) {
	c := l.cur.Codec.law()
	if p := l.play.Load(); p != nil && p.next(f, c) {
		if p.over() {
			l.play.CompareAndSwap(p, nil)
			return p
		}
		return nil
	}
	if pipes := l.ins.Load(); pipes != nil && l.mixer.mix(f, *pipes, c, sc) {
		return nil
	}
	if m := l.loop.Load(); m != nil && m.next(f, c) {
		return nil
	}
	f.hush(c)
	return nil
}

// watch looks after the time-out.
func (l *Leg) watch(tick int64) {
	in := &l.in
	if !l.cur.Receive {
		in.waiting = tick
		return
	}
	limit := l.engine.cfg.Silence
	if !in.heardAny {
		limit = l.engine.cfg.FirstPacket
	}
	if in.timedOut || tick-in.waiting < int64(limit/FrameTime) {
		return
	}
	in.timedOut = true
	if f := l.onTimeout.Load(); f != nil {
		go (*f)()
	}
}

// finish is the pacer's last act on a leg.
func (l *Leg) finish(tick int64) {
	if l.cur != nil {
		l.bye()
		l.in.events.flush(l)
	}
	if r := l.rec.Swap(nil); r != nil {
		r.end()
	}
	if l.opus != nil {
		l.opus.close()
	}
	l.jitter.reset()
	l.in.drop(&l.pacer.pool)
	l.published.Lock() // nobody holds it for longer than a copy
	l.stats = l.now
	l.published.Unlock()
	l.setup.Store(nil) // with its keys: signalling remembers ended legs for half a minute
	*l.voicing = voicing{}
	voicings.Put(l.voicing)
	l.voicing = nil
}
