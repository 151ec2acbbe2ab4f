package media

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
)

// A wire is a link without sockets: datagrams are put in and taken out by hand.
type wire struct {
	in, control []datagram
	out         [][]byte
	pinned      netip.AddrPort
	closed      bool
}

type datagram struct {
	from netip.AddrPort
	b    []byte
}

func (w *wire) read(p []byte) (int, netip.AddrPort, error)        { return take(&w.in, p) }
func (w *wire) readControl(p []byte) (int, netip.AddrPort, error) { return take(&w.control, p) }

func take(q *[]datagram, p []byte) (int, netip.AddrPort, error) {
	if len(*q) == 0 {
		return 0, netip.AddrPort{}, errAgain
	}
	d := (*q)[0]
	*q = (*q)[1:]
	copy(p, d.b)
	return len(d.b), d.from, nil // the true length, as MSG_TRUNC gives it
}

func (w *wire) write(p []byte, _ netip.AddrPort) error {
	w.out = append(w.out, append([]byte(nil), p...))
	return nil
}
func (w *wire) writeControl(p []byte, to netip.AddrPort) error { return w.write(p, to) }
func (w *wire) pin(from netip.AddrPort)                        { w.pinned = from }
func (w *wire) drain()                                         {}
func (w *wire) close()                                         { w.closed = true }
func (w *wire) empty() int                                     { return 0 }

// wireLeg is a leg whose frames the test runs itself.
func wireLeg(t testing.TB, p Params) (*Leg, *wire) {
	t.Helper()
	w := &wire{}
	e := &Engine{cfg: Config{FirstPacket: time.Hour, Silence: time.Hour, Learning: 10 * time.Second, Log: slog.Default()}}
	l := makeLeg(e, w, 4000, "wire")
	l.pacer = &pacer{epoch: time.Now(), load: nil, rng: rand.New(rand.NewPCG(1, 2)), log: slog.Default()}
	if err := l.Start(p); err != nil {
		t.Fatal(err)
	}
	return l, w
}

func both(remote netip.AddrPort) Params {
	return Params{Remote: remote, Codec: PCMA, DTMF: 101, Send: true, Receive: true}
}

func TestFloodDoesNotKeepThePeerWaiting(t *testing.T) {
	l, w := wireLeg(t, both(atSDP))
	for tick := range int64(200) {
		for i := range 15 { // 750 packets per second of rubbish
			w.in = append(w.in, datagram{atThief, append([]byte{0x80, 8, byte(i), byte(tick)}, make([]byte, 168)...)})
		}
		b, _ := (&rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: 8, SSRC: 1, SequenceNumber: uint16(tick), Timestamp: uint32(tick * 160)}, Payload: make([]byte, 160)}).Marshal()
		w.in = append(w.in, datagram{atSDP, b})
		l.frame(tick)
	}
	l.publishAll()
	if s := l.Stats(); s.PacketsIn != 200 || s.Foreign != 3000 || s.Lost != 0 {
		t.Errorf("%+v", s)
	}
	if w.pinned != atSDP {
		t.Errorf("the kernel filters for %v", w.pinned)
	}
}

// A bug in one leg's work ends that leg and no other.
func TestPanicEndsOneLegOnly(t *testing.T) {
	e, err := NewEngine(Config{IP: netip.MustParseAddr("127.0.0.1"), Pacers: 1, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	var legs []*Leg
	for range 3 {
		l, err := e.Open()
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Start(both(atSDP)); err != nil {
			t.Fatal(err)
		}
		legs = append(legs, l)
	}
	bad := []*pipe{nil}
	legs[1].outs.Store(&bad)
	select {
	case <-legs[1].Done():
	case <-time.After(10 * time.Second):
		t.Fatal("the leg goes on")
	}
	from := legs[2].Stats().PacketsOut
	for end := time.Now().Add(10 * time.Second); legs[2].Stats().PacketsOut < from+10; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the other legs have stopped")
		}
	}
	for _, l := range []*Leg{legs[0], legs[2]} {
		if l.closing.Load() {
			t.Error("another leg was closed")
		}
	}
}

// The pacer sleeps when there is nothing to do, skips frames after a stall, and stays on its schedule.
func TestStalledPacerSkipsFramesAndKeepsTime(t *testing.T) {
	l, w := wireLeg(t, both(atSDP))
	l.frame(100)
	l.frame(101)
	l.frame(131) // 600 ms later
	var ts []uint32
	for _, b := range w.out {
		var p rtp.Packet
		if p.Unmarshal(b) == nil && p.PayloadType == 8 {
			ts = append(ts, p.Timestamp)
		}
	}
	if len(ts) != 3 || ts[1]-ts[0] != 160 || ts[2]-ts[1] != 30*160 {
		t.Errorf("timestamps %v", ts)
	}
}

// A far end without telephone events sends tones, and the detector hears them behind coder and jitter buffer.
func TestTonesAreDigitsOnlyWithoutEvents(t *testing.T) {
	var pcm []int16
	for _, k := range keypad {
		pcm = append(pcm, press(k, -14, -14, 0, 60)...)
	}
	pcm = append(pcm, make([]int16, 20*FrameSamples)...)
	for dtmf, want := range map[uint8]string{0: keypad, 101: ""} {
		p := both(atSDP)
		p.Codec, p.DTMF = PCMU, dtmf
		l, w := wireLeg(t, p)
		for tick := range len(pcm) / FrameSamples {
			b, _ := (&rtp.Packet{Header: rtp.Header{Version: 2, SSRC: 1, SequenceNumber: uint16(tick), Timestamp: uint32(tick * 160)}, Payload: make([]byte, 160)}).Marshal()
			PCMU.Encode(b[12:], pcm[tick*FrameSamples:][:FrameSamples])
			w.in = append(w.in, datagram{atSDP, b})
			l.frame(int64(tick))
		}
		if DigitSource(l.digitSource.Load()) != InBand && want != "" {
			t.Errorf("source is %v", DigitSource(l.digitSource.Load()))
		}
		if got := keysIn(l); got != want {
			t.Errorf("with event type %d: pressed %q, heard %q", dtmf, want, got)
		}
	}
}

// still is a link that brings the same stream for ever and forgets what is sent.
type still struct {
	wire
	b   [172]byte
	seq uint16
	had bool
}

func (s *still) read(p []byte) (int, netip.AddrPort, error) {
	if s.had = !s.had; !s.had {
		return 0, netip.AddrPort{}, errAgain
	}
	s.seq++
	s.b[0], s.b[1], s.b[2], s.b[3] = 0x80, 8, byte(s.seq>>8), byte(s.seq)
	ts := uint32(s.seq) * 160
	s.b[4], s.b[5], s.b[6], s.b[7] = byte(ts>>24), byte(ts>>16), byte(ts>>8), byte(ts)
	return copy(p, s.b[:]), atSDP, nil
}
func (s *still) write([]byte, netip.AddrPort) error        { return nil }
func (s *still) writeControl([]byte, netip.AddrPort) error { return nil }

func TestFrameDoesNotAllocate(t *testing.T) {
	l, _ := wireLeg(t, both(atSDP))
	l.link = &still{}
	other, _ := wireLeg(t, both(atSDP))
	if _, err := Connect(l, other); err != nil {
		t.Fatal(err)
	}
	l.Tap()
	l.Loop(Tone([]float64{440}, time.Second))
	tick := int64(0)
	n := testing.AllocsPerRun(200, func() { // shorter than the time to the first RTCP report
		if tick > 100 {
			tick = 100
		}
		l.frame(tick)
		tick++
	})
	if n > 0 {
		t.Errorf("%v allocations per frame", n)
	}
}

func TestNothingIsLeftBehind(t *testing.T) {
	fds := func() int {
		d, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(d)
	}
	before, routines := fds(), runtime.NumGoroutine()
	e, err := NewEngine(Config{IP: netip.MustParseAddr("127.0.0.1"), Pacers: 2, Quarantine: FrameTime})
	if err != nil {
		t.Fatal(err)
	}
	ports, minute := e.FreePorts(), Silence(time.Minute)
	for round := range 5 {
		var legs []*Leg
		for i := range 20 {
			l, err := e.Open()
			if err != nil {
				t.Fatal(err)
			}
			legs = append(legs, l)
			if err := l.Start(both(atSDP)); err != nil {
				t.Fatal(err)
			}
			if i == 7 { // one is enough: each waits for the disk at its end
				if _, err := l.Record(filepath.Join(t.TempDir(), fmt.Sprint(round)), RecordOptions{Sync: -1}); err != nil {
					t.Fatal(err)
				}
			}
			go l.Play(t.Context(), minute)
			go l.SendDigits(t.Context(), "123456789")
			if i > 0 {
				if _, err := Connect(legs[i-1], l); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, l := range legs {
			l.Close()
		}
	}
	for end := time.Now().Add(20 * time.Second); e.FreePorts() != ports; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d of %d ports came back", e.FreePorts(), ports)
		}
	}
	e.Close()
	for end := time.Now().Add(20 * time.Second); fds() > before || runtime.NumGoroutine() > routines; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d files and %d goroutines, before %d and %d", fds(), runtime.NumGoroutine(), before, routines)
		}
	}
}

func TestReceptionReportCountsLoss(t *testing.T) {
	l, w := wireLeg(t, both(atSDP))
	for tick := range int64(260) {
		if tick%4 != 0 || tick == 0 {
			b, _ := (&rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: 8, SSRC: 77, SequenceNumber: uint16(65500 + tick), Timestamp: uint32(tick * 160)}, Payload: make([]byte, 160)}).Marshal()
			w.in = append(w.in, datagram{atSDP, b})
		}
		l.frame(tick)
	}
	found := false
	for _, b := range w.out {
		if b[1] < 200 {
			continue
		}
		packets, err := rtcp.Unmarshal(b)
		if err != nil {
			t.Fatal(err)
		}
		sr, ok := packets[0].(*rtcp.SenderReport)
		if !ok || len(sr.Reports) != 1 {
			t.Fatalf("report %v", packets[0])
		}
		r := sr.Reports[0]
		if r.SSRC != 77 || r.FractionLost < 56 || r.FractionLost > 72 || r.TotalLost < 25 || r.LastSequenceNumber>>16 != 1 {
			t.Errorf("report %+v", r)
		}
		if _, ok := packets[1].(*rtcp.SourceDescription); !ok {
			t.Error("no CNAME")
		}
		found = true
	}
	if !found {
		t.Error("no report in 5 s")
	}
	w.out = nil
	l.finish(300)
	if n := len(w.out); n != 1 || !hasBye(w.out[0]) {
		t.Error("no BYE at the end")
	}
}

func hasBye(b []byte) bool {
	packets, _ := rtcp.Unmarshal(b)
	for _, p := range packets {
		if _, ok := p.(*rtcp.Goodbye); ok {
			return true
		}
	}
	return false
}

func FuzzPackets(f *testing.F) {
	for _, p := range []rtp.Packet{
		{Header: rtp.Header{Version: 2, PayloadType: 8, SSRC: 1, SequenceNumber: 1}, Payload: make([]byte, 160)},
		{Header: rtp.Header{Version: 2, PayloadType: 0, SSRC: 1, SequenceNumber: 2, Timestamp: 160, Marker: true}, Payload: make([]byte, 240)},
		{Header: rtp.Header{Version: 2, PayloadType: 101, SSRC: 1, SequenceNumber: 3, Timestamp: 400}, Payload: []byte{5, 0x8A, 3, 0x20}},
		{Header: rtp.Header{Version: 2, PayloadType: 13, SSRC: 1, SequenceNumber: 4}, Payload: []byte{70}},
		{Header: rtp.Header{Version: 2, PayloadType: 8, SSRC: 1, Padding: true, PaddingSize: 4}, Payload: make([]byte, 8)},
	} {
		b, _ := p.Marshal()
		f.Add(b, byte(3))
	}
	rr, _ := rtcp.Marshal([]rtcp.Packet{&rtcp.SenderReport{SSRC: 1, Reports: []rtcp.ReceptionReport{{SSRC: 2}}}, rtcp.NewCNAMESourceDescription(1, "x")})
	f.Add(rr, byte(60))
	f.Fuzz(func(t *testing.T, b []byte, step byte) {
		p := both(atSDP)
		p.Mux, p.Also = true, []Format{{PCMU, 0}}
		l, w := wireLeg(t, p)
		tick := int64(0)
		// The datagram as it is, cut, and with its sequence and timestamp moved: a stream of nonsense.
		for i := range 40 {
			d := append([]byte(nil), b...)
			if len(d) > 8 {
				d[3] += byte(i)
				d[6] += byte(i) * step
			}
			if i%7 == 6 {
				d = d[:len(d)/2]
			}
			w.in = append(w.in, datagram{atSDP, d})
			w.control = append(w.control, datagram{atSDP, d})
			if i%3 != 0 {
				l.frame(tick)
				tick += 1 + int64(step%4)
			}
		}
		for range 20 {
			l.frame(tick)
			tick++
		}
		if want := 26 + 20; len(w.out) < want {
			t.Fatalf("%d packets were sent in %d frames", len(w.out), want)
		}
		l.finish(tick)
	})
}

func FuzzParseWAV(f *testing.F) {
	f.Add(AppendWAV(nil, 8000, 1, make([]int16, 200)))
	f.Add(AppendWAV(nil, 48000, 2, sine(440, 1000, 48000, 400)))
	f.Add(riff(wavALaw, 1, 8000, 8, make([]byte, 100)))
	f.Add(riff(wavExtensible, 1, 16000, 24, make([]byte, 99), 22, 0, 24, 0, 4, 0, 0, 0, 1, 0))
	f.Fuzz(func(t *testing.T, b []byte) {
		w, err := ParseWAV(b)
		if err != nil {
			return
		}
		if len(w.Samples) > len(b) || w.Channels < 1 || w.Rate < minRate {
			t.Fatalf("%d samples from %d bytes", len(w.Samples), len(b))
		}
		if len(b) < 1<<12 {
			if p, err := LoadPrompt("fuzz", b); err == nil && p.frames*FrameSamples < p.samples {
				t.Fatal("a prompt without room for its samples")
			}
		}
		if len(w.Mono()) > len(w.Samples) {
			t.Fatal("mono is longer")
		}
	})
}

func TestEncryptedFrameDoesNotAllocate(t *testing.T) {
	p := both(atSDP)
	k := NewSRTPKey()
	p.SRTP = &SRTP{Ours: k, Theirs: k}
	l, w := wireLeg(t, p)
	far, fw := wireLeg(t, p)
	var sent [][]byte
	for tick := range int64(150) {
		far.frame(tick)
		sent = append(sent, fw.out...)
		fw.out = nil
	}
	l.link = &replay{wire: *w, packets: sent}
	tick := int64(0)
	for range 20 { // the far end's SSRC is new once
		l.frame(tick)
		tick++
	}
	n := testing.AllocsPerRun(80, func() {
		l.frame(tick)
		tick++
	})
	if n > 0 {
		t.Errorf("%v allocations per frame", n)
	}
	if l.now.PacketsIn < 90 || l.now.Unauthentic > 0 {
		t.Errorf("%+v", l.now)
	}
}

// replay is a link that brings packets one per frame and forgets what is sent.
type replay struct {
	wire
	packets [][]byte
	had     bool
}

func (r *replay) read(p []byte) (int, netip.AddrPort, error) {
	if r.had = !r.had; !r.had || len(r.packets) == 0 {
		return 0, netip.AddrPort{}, errAgain
	}
	n := copy(p, r.packets[0])
	r.packets = r.packets[1:]
	return n, atSDP, nil
}
func (r *replay) write([]byte, netip.AddrPort) error        { return nil }
func (r *replay) writeControl([]byte, netip.AddrPort) error { return nil }

// FuzzTelephoneEvents: whatever events say, there are no more keys than events, and all of them are on the keypad.
func FuzzTelephoneEvents(f *testing.F) {
	f.Add([]byte{5, 0x0A, 0, 0, 0, 5, 0x8A, 3, 0x20, 0, 5, 0x8A, 3, 0x20, 0, 11, 0x8A, 0, 0, 9})
	f.Fuzz(func(t *testing.T, b []byte) {
		l, _ := wireLeg(t, both(atSDP))
		l.frame(0)
		events := 0
		for ; len(b) >= 5 && events < 60; events++ {
			l.in.events.receive(l, b[:4], uint32(b[4]), b[1]&1 == 1, int64(events))
			b = b[5:]
		}
		l.in.events.receive(l, b, 1000, false, 61) // too short
		events++
		l.in.events.expire(l, 200)
		for n := 0; ; n++ {
			select {
			case d := <-l.Digits():
				if !strings.ContainsRune("0123456789*#ABCD", d.Key) {
					t.Fatalf("%q", d.Key)
				}
				continue
			default:
			}
			if n > events {
				t.Fatalf("%d keys of %d events", n, events)
			}
			break
		}
		l.finish(201)
	})
}
