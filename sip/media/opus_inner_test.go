package media

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/thesyncim/gopus"
	"github.com/thesyncim/gopus/container/ogg"
	"golang.org/x/sys/unix"
)

// opusTool is a program of the package opus-tools: libopus of Xiph itself.
func opusTool(t *testing.T, name string, args ...string) []byte {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) {
		t.Fatalf("%s is missing: run `make tools`", name)
	} else if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return out
}

// babble is something like a voice: a gliding buzz with formants and pauses, so that every part of the codec is used.
func babble(rate, n int) []int16 {
	pcm := make([]int16, n)
	phase := 0.0
	for i := range pcm {
		t := float64(i) / float64(rate)
		f := 130 + 30*math.Sin(2*t)
		phase += 2 * math.Pi * f / float64(rate)
		v := 0.0
		for h := 1.0; h*f < 3000; h++ {
			a := math.Exp(-math.Pow((h*f-600)/400, 2)) + 0.4*math.Exp(-math.Pow((h*f-1800)/500, 2))
			v += a * math.Sin(phase*h)
		}
		pcm[i] = int16(2500 * v * (0.55 + 0.45*math.Sin(7*t)))
	}
	return pcm
}

// likeness is the greatest correlation of two signals over small shifts, 1 when one is the other times a constant, and their levels' ratio.
func likeness(a, b []int16, shifts int) (best, level float64) {
	n := min(len(a), len(b)) - 2*shifts
	power := func(s []int16) (p float64) {
		for _, v := range s {
			p += float64(v) * float64(v)
		}
		return p
	}
	mid := a[shifts : shifts+n]
	pa := power(mid)
	for d := range 2 * shifts {
		part := b[d : d+n]
		sum := 0.0
		for i, v := range mid {
			sum += float64(v) * float64(part[i])
		}
		pb := power(part)
		if c := sum / math.Sqrt(pa*pb); c > best {
			best, level = c, math.Sqrt(pb/pa)
		}
	}
	return best, level
}

// edgeAlone is an edge without its goroutine, to be driven by hand.
func edgeAlone() *opusEdge {
	return &opusEdge{log: slog.New(slog.DiscardHandler), heard: make(chan *packet, opusPackets), stop: make(chan struct{})}
}

// through decodes packets as a leg would get them; drop says which are lost.
func (e *opusEdge) through(t *testing.T, packets [][]byte, drop func(i int) bool) (pcm []int16) {
	t.Helper()
	pool := &packetPool{}
	ts := uint32(0)
	var st Stats
	e.came = make(chan opusArrival, opusQueue)
	for i, b := range packets {
		n := opusSamples(b)
		if n == 0 {
			t.Fatalf("packet %d lasts nothing", i)
		}
		p := pool.get()
		p.seq, p.ts, p.kind, p.codec, p.payload = uint16(i), ts, voice, Opus, p.buf[:copy(p.buf[:], b)]
		ts += uint32(n)
		if drop != nil && drop(i) {
			pool.put(p)
			continue
		}
		e.hand(p, pool, &st)
		e.hear(<-e.came)
		for p := e.take(); p != nil; p = e.take() {
			if p.codec != PCMA || len(p.payload) == 0 {
				t.Fatalf("packet %d: %v, %d samples", p.seq, p.codec, len(p.payload))
			}
			part := make([]int16, len(p.payload))
			PCMA.Decode(part, p.payload)
			pcm = append(pcm, part...)
			pool.put(p)
		}
	}
	return pcm
}

// What libopus encodes, in every mode and packet time and also in stereo, is decoded as libopus decodes it.
func TestOpusOfOthersIsDecoded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mono, stereo := filepath.Join(dir, "mono.wav"), filepath.Join(dir, "stereo.wav")
	voice := babble(48000, 2*48000)
	two := make([]int16, 2*len(voice))
	for i, v := range voice {
		two[2*i], two[2*i+1] = v, v
	}
	for name, content := range map[string][]byte{mono: AppendWAV(nil, 48000, 1, voice), stereo: AppendWAV(nil, 48000, 2, two)} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[string]bool{}
	for _, c := range []struct {
		name string
		from string
		args []string
	}{
		{"SILK 20 ms", mono, []string{"--bitrate", "10", "--speech"}},
		{"SILK 60 ms", mono, []string{"--bitrate", "12", "--speech", "--framesize", "60"}},
		{"hybrid 20 ms", mono, []string{"--bitrate", "24", "--speech"}},
		{"hybrid 10 ms", mono, []string{"--bitrate", "30", "--speech", "--framesize", "10"}},
		{"CELT 20 ms", mono, []string{"--bitrate", "64", "--music"}},
		{"CELT 5 ms", mono, []string{"--bitrate", "64", "--music", "--framesize", "5"}},
		{"stereo", stereo, []string{"--bitrate", "64"}},
		{"redundancy", mono, []string{"--bitrate", "20", "--speech", "--expect-loss", "20"}},
	} {
		file := filepath.Join(dir, c.name+".opus")
		opusTool(t, "opusenc", append(append([]string{"--quiet"}, c.args...), c.from, file)...)
		theirs := filepath.Join(dir, c.name+".wav")
		opusTool(t, "opusdec", "--quiet", "--rate", "8000", file, theirs)
		b, err := os.ReadFile(theirs)
		if err != nil {
			t.Fatal(err)
		}
		want, err := ParseWAV(b)
		if err != nil {
			t.Fatal(err)
		}
		packets := opusPacketsOf(t, file)
		for _, p := range packets {
			switch config := p[0] >> 3; {
			case config < 12:
				seen["SILK"] = true
			case config < 16:
				seen["hybrid"] = true
			default:
				seen["CELT"] = true
			}
		}
		got := edgeAlone().through(t, packets, nil)
		if same, level := likeness(want.Mono(), got, 400); same < 0.95 || level < 0.9 || level > 1.1 {
			t.Errorf("%s: likeness %.3f, level %.2f of what opusdec decodes", c.name, same, level)
		}
	}
	if len(seen) != 3 {
		t.Errorf("modes %v", seen)
	}
}

func opusPacketsOf(t *testing.T, file string) (packets [][]byte) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := ogg.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	for {
		p, _, err := r.ReadPacket()
		if errors.Is(err, io.EOF) {
			return packets
		} else if err != nil {
			t.Fatal(err)
		}
		packets = append(packets, bytes.Clone(p))
	}
}

// encoded is a voice as our edge encodes it.
func encoded(t testing.TB, e *opusEdge, pcm []int16, frames int) (packets [][]byte) {
	t.Helper()
	for n := frames * FrameSamples; len(pcm) >= n; pcm = pcm[n:] {
		s := &opusSaying{law: PCMA, n: n}
		PCMA.Encode(s.b[:n], pcm[:n])
		e.speak(s)
		if s.n == 0 {
			t.Fatal("nothing was encoded")
		}
		packets = append(packets, bytes.Clone(s.b[:s.n]))
	}
	return packets
}

// What we encode is decoded by libopus, at the level at which it went in, with 20, 40 and 60 ms in a packet and a wish for few bits.
func TestOpusOfOursIsDecodedByOthers(t *testing.T) {
	t.Parallel()
	voice := babble(Rate, 2*Rate)
	for frames, bitrate := range []int{1: 0, 2: 0, 3: 9000} {
		if frames == 0 {
			continue
		}
		e := edgeAlone()
		e.limit.Bitrate = bitrate
		file := filepath.Join(t.TempDir(), "ours.opus")
		f, err := os.Create(file)
		if err != nil {
			t.Fatal(err)
		}
		w, err := ogg.NewWriter(f, 48000, 1)
		if err != nil {
			t.Fatal(err)
		}
		size := 0
		for _, p := range encoded(t, e, voice, frames) {
			size += len(p)
			if err := w.WritePacket(p, frames*FrameSamples*opusScale); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(w.Close(), f.Close()); err != nil {
			t.Fatal(err)
		}
		if bits := 8 * size / 2; bits > 22000 || bitrate > 0 && bits > bitrate*5/4 {
			t.Errorf("%d frames a packet: %d bits a second", frames, bits)
		}
		theirs := file + ".wav"
		opusTool(t, "opusdec", "--quiet", "--rate", "8000", file, theirs)
		b, err := os.ReadFile(theirs)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseWAV(b)
		if err != nil {
			t.Fatal(err)
		}
		if same, level := likeness(voice, got.Mono(), 400); same < 0.8 || level < 0.8 || level > 1.2 {
			t.Errorf("%d frames a packet: likeness %.3f, level %.2f", frames, same, level)
		}
	}
}

// Packets that are lost are made up for, so that time goes on; with redundancy better than without.
func TestLostOpusIsMadeUpFor(t *testing.T) {
	t.Parallel()
	voice := babble(Rate, 3*Rate)
	lost := func(i int) bool { return i%5 == 3 }
	like := map[bool]float64{}
	for _, fec := range []bool{false, true} {
		e := edgeAlone()
		e.limit.FEC = fec
		e.farLoss.Store(20)
		packets := encoded(t, e, voice, 1)
		whole := edgeAlone().through(t, packets, nil)
		got := edgeAlone().through(t, packets, lost)
		if len(got) != len(whole) {
			t.Errorf("redundancy %v: %d samples of %d", fec, len(got), len(whole))
		}
		like[fec], _ = likeness(whole, got, 10)
	}
	if like[false] < 0.4 || like[true] < like[false] || like[true] < 0.9 { // libopus reaches 0.57 without redundancy here
		t.Errorf("likeness to what was sent: %v", like)
	}
}

// A bug of the codec costs the packet that finds it, and no more.
func TestPanicOfTheCodecCostsOnePacket(t *testing.T) {
	t.Parallel()
	e := edgeAlone()
	packets := encoded(t, e, babble(Rate, Rate), 1)
	if n := len(e.through(t, packets, nil)); n < Rate*9/10 {
		t.Fatalf("%d samples", n)
	}
	p := &packet{}
	e.finish(p, func() (int, error) { panic("as if") })
	if p = e.take(); p == nil || len(p.payload) != 0 {
		t.Fatalf("%+v", p)
	}
	e.known = false
	if n := len(e.through(t, packets, nil)); n < Rate*9/10 {
		t.Fatalf("%d samples after it", n)
	}
}

// The samples' clock goes on over the wrap of the other one, which is no multiple of it, and over packets in the wrong order.
func TestScaledClockGoesOnOverTheWrap(t *testing.T) {
	t.Parallel()
	var s scaled
	ts := uint32(math.MaxUint32 - 960*50)
	first := s.at(ts)
	for i := range uint32(200) {
		at := i
		if i%7 == 6 {
			at = i - 2
		}
		if got := s.at(ts+at*960) - first; got != at*FrameSamples {
			t.Fatalf("packet %d at %d", at, int32(got))
		}
	}
}

// FuzzOpus: any packets are taken without a panic, and none lasts longer than it may or says.
func FuzzOpus(f *testing.F) {
	for _, p := range encoded(f, edgeAlone(), babble(Rate, Rate/4), 2) {
		f.Add(p, p[:len(p)/2])
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for toc := range 256 {
		b := make([]byte, 1+rng.IntN(60))
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		b[0] = byte(toc)
		f.Add(b, b[:1])
	}
	f.Fuzz(func(t *testing.T, one, two []byte) {
		e := edgeAlone()
		for i, b := range [][]byte{one, two, one, two} {
			a := opusArrival{p: &packet{}}
			a.p.payload = a.p.buf[:copy(a.p.buf[:], b)]
			n := opusSamples(a.p.payload)
			if n == 0 {
				continue
			}
			if i == 2 {
				q := &packet{}
				q.payload = q.buf[:n]
				a.lost[0], a.n = q, 1
			}
			e.hear(a)
			for p := e.take(); p != nil; p = e.take() {
				if len(p.payload) != 0 && len(p.payload) != n {
					t.Errorf("%d samples of a packet that lasts %d", len(p.payload), n)
				}
			}
		}
		if e.panicked {
			t.Error("the codec panicked")
		}
	})
}

// BenchmarkOpus tells what a packet of 20 ms costs each way.
func BenchmarkOpus(b *testing.B) {
	voice := babble(Rate, 4*Rate)
	e := edgeAlone()
	packets := encoded(b, e, voice, 1)
	b.Run("encode", func(b *testing.B) {
		s := &opusSaying{}
		b.ReportAllocs()
		before := cpuSoFar()
		for i := range b.N {
			s.law, s.n, s.quiet = PCMA, FrameSamples, false
			at := i * FrameSamples % (len(voice) - FrameSamples)
			PCMA.Encode(s.b[:], voice[at:at+FrameSamples])
			e.speak(s)
		}
		b.ReportMetric(float64((cpuSoFar()-before)/time.Microsecond)/float64(b.N), "cpu-µs/op")
	})
	wide, err := gopus.NewEncoder(gopus.EncoderConfig{SampleRate: 48000, Channels: 1, Application: gopus.ApplicationVoIP})
	if err != nil {
		b.Fatal(err)
	}
	var full [][]byte
	in, buf := babble(48000, 4*48000), make([]byte, 1500)
	for i := 0; i+960 <= len(in); i += 960 {
		n, err := wide.EncodeInt16(in[i:i+960], buf)
		if err != nil {
			b.Fatal(err)
		}
		full = append(full, bytes.Clone(buf[:n]))
	}
	for name, packets := range map[string][][]byte{"decode narrowband": packets, "decode fullband": full} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			before := cpuSoFar()
			for i := range b.N {
				if _, err := e.decode(packets[i%len(packets)], false); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64((cpuSoFar()-before)/time.Microsecond)/float64(b.N), "cpu-µs/op")
		})
	}
}

func cpuSoFar() time.Duration {
	var ru unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &ru)
	return time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
}
