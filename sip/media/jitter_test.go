package media

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// A stream made of frames whose every byte is its number, so that what comes out can be told.
type stream struct {
	j    jitter
	pool packetPool
	st   Stats
}

func newStream() *stream {
	s := &stream{}
	s.j.init(&s.pool)
	return s
}

func (s *stream) put(seq uint16, ts uint32, mark byte, n int) verdict {
	p := s.pool.get()
	p.seq, p.ts, p.kind, p.codec = seq, ts, voice, PCMA
	p.payload = p.buf[:n]
	for i := range p.payload {
		p.payload[i] = mark
	}
	return s.j.put(p)
}

func (s *stream) mark(seq uint16, ts uint32, k packetKind) {
	p := s.pool.get()
	p.seq, p.ts, p.kind, p.payload = seq, ts, k, p.buf[:4]
	s.j.put(p)
}

func (s *stream) pop() *frame {
	f := new(frame)
	s.j.pop(f, &s.st, true)
	return f
}

// loud marks: byte values that are far from silence in A-law.
func loud(n int) byte { return byte(0x20 + n%8) }

// marks lists the marks in frames, runs shortened; silence is left out.
func marks(frames []*frame) (m []byte) {
	for _, f := range frames {
		if f.quiet {
			continue
		}
		for _, b := range f.b {
			if b != PCMA.silence() && (len(m) == 0 || m[len(m)-1] != b) {
				m = append(m, b)
			}
		}
	}
	return m
}

func TestSteadyStreamComesOutUnchanged(t *testing.T) {
	for _, size := range []int{80, 160, 240, 320, 480, 100} {
		s := newStream()
		seq, ts := uint16(65500), uint32(0xFFFFF000) // both wrap
		var in, out []byte
		samples := 0
		for tick := range 400 {
			for ; samples <= tick*160; samples += size {
				s.put(seq, ts, loud(int(seq)), size)
				for range size {
					in = append(in, loud(int(seq)))
				}
				seq++
				ts += uint32(size)
			}
			if f := s.pop(); !f.quiet {
				out = append(out, f.b[:]...)
			}
		}
		if len(out) < 300*160 || string(out) != string(in[:len(out)]) {
			t.Errorf("packets of %d bytes: %d bytes came out, or others", size, len(out))
		}
		if s.st.Concealed != 0 || s.st.Skipped != 0 {
			t.Errorf("packets of %d bytes: %+v", size, s.st)
		}
	}
}

func TestReorderedAndDoubledPacketsAreSorted(t *testing.T) {
	s := newStream()
	order := []int{1, 0, 2, 2, 4, 3, 5, 5, 7, 6, 8, 10, 9, 11}
	var frames []*frame
	for i := 0; i < len(order); i += 2 {
		for _, n := range order[i : i+2] {
			s.put(uint16(n), uint32(n*160), loud(n), 160)
		}
		frames = append(frames, s.pop())
	}
	for range 10 {
		frames = append(frames, s.pop())
	}
	got := marks(frames)
	for n := range 12 {
		if n >= len(got) || got[n] != loud(n) {
			t.Fatalf("out of order: % x", got)
		}
	}
}

func TestLossIsConcealedAndTimeGoesOn(t *testing.T) {
	s := newStream()
	var frames []*frame
	for n := range 30 {
		if n != 10 && n != 20 && n != 21 {
			s.put(uint16(n), uint32(n*160), loud(n), 160)
		}
		frames = append(frames, s.pop())
	}
	if s.st.Concealed != 3 {
		t.Errorf("%d frames concealed", s.st.Concealed)
	}
	first := 0
	for frames[first].quiet {
		first++
	}
	for n := 22; first+n < len(frames); n++ {
		if frames[first+n].b[80] != loud(n) {
			t.Errorf("frame %d holds %#x, not %#x: time has moved", n, frames[first+n].b[80], loud(n))
		}
	}
	var before, hidden [160]int16
	frames[first+9].decode(&before)
	frames[first+10].decode(&hidden)
	if hidden[0] == 0 || abs(hidden[0]) >= abs(before[0]) {
		t.Errorf("concealment of %d is %d: not a softer repetition", before[0], hidden[0])
	}
}

func abs(v int16) int {
	if v < 0 {
		return -int(v)
	}
	return int(v)
}

func TestConcealmentFadesToSilence(t *testing.T) {
	s := newStream()
	for n := range 6 {
		s.put(uint16(n), uint32(n*160), 0x20, 160)
	}
	last := 1 << 20
	quiet := 0
	for range 20 {
		f := s.pop()
		var pcm [160]int16
		f.decode(&pcm)
		if v := abs(pcm[159]); v > last {
			t.Fatalf("it grows from %d to %d", last, v)
		} else if v > 8 {
			last = v
		} else if last < 1<<20 {
			quiet++
		}
	}
	if quiet < 8 {
		t.Errorf("only %d silent frames after the voice", quiet)
	}
}

func TestPauseOfTheSenderIsSilenceNotLoss(t *testing.T) {
	s := newStream()
	seq, ts, said := uint16(0), uint32(0), 0
	var frames []*frame
	talk := func(n int) {
		for range n {
			s.put(seq, ts, loud(said), 160)
			said++
			seq++
			ts += 160
			frames = append(frames, s.pop())
		}
	}
	pause := func(n int) {
		s.mark(seq, ts, noise)
		seq++
		for range n {
			ts += 160
			frames = append(frames, s.pop())
		}
	}
	talk(20)
	pause(100)
	concealed := s.st.Concealed
	talk(20)
	pause(7)
	talk(20)
	for range 10 {
		frames = append(frames, s.pop())
	}
	if concealed > 0 {
		t.Errorf("%d frames of the pause were concealed as losses", concealed)
	}
	got := marks(frames)
	n := 0
	for _, b := range got { // fades at the very end may follow
		if n < 60 && b == loud(n) {
			n++
		}
	}
	if n != 60 {
		t.Errorf("%d of 60 frames came out in order", n)
	}
}

// A telephone event takes the voice's place for a while, with sequence numbers but one timestamp.
func TestEventsAreNotLosses(t *testing.T) {
	s := newStream()
	seq, ts := uint16(0), uint32(0)
	for round := range 5 {
		for range 20 {
			s.put(seq, ts, loud(int(seq)), 160)
			seq++
			ts += 160
			s.pop()
		}
		start := ts
		for range 8 + round {
			s.mark(seq, start, event)
			seq++
			ts += 160
			s.pop()
		}
	}
	if s.st.Concealed != 0 {
		t.Errorf("%d frames concealed", s.st.Concealed)
	}
}

func TestBufferGrowsUnderJitterAndShrinksAfterIt(t *testing.T) {
	s := newStream()
	const frames = 4000
	due := make(map[int][]int)
	for n := range frames {
		at := n
		if n < 1500 && n%5 == 0 {
			at += 4 // every fifth is 80 ms late
		}
		due[at] = append(due[at], n)
	}
	grown := 0
	var early, tail uint64
	for tick := range frames {
		for _, n := range due[tick] {
			mark := byte(0x20)
			if n/50%2 == 0 { // speech and pauses of a second
				mark = PCMA.silence()
			}
			s.put(uint16(n), uint32(n*160), mark, 160)
		}
		s.pop()
		grown = max(grown, s.j.depth)
		switch tick {
		case 500:
			early = s.st.Concealed
		case 1499:
			tail = s.st.Concealed
		}
	}
	if grown < 4 {
		t.Errorf("depth grew to %d only", grown)
	}
	if late := tail - early; late > 20 {
		t.Errorf("%d concealments in 1,000 frames after adapting, %d before", late, early)
	}
	if s.j.depth > 3 || s.j.fill() > 4*FrameSamples {
		t.Errorf("after the jitter the depth is %d and %d samples wait", s.j.depth, s.j.fill())
	}
}

func TestStallIsSkippedNotCarriedAlong(t *testing.T) {
	s := newStream()
	n := 0
	for range 50 {
		s.put(uint16(n), uint32(n*160), loud(n), 160)
		n++
		s.pop()
	}
	for range 30 { // 600 ms nothing comes …
		s.pop()
	}
	for range 30 { // … and then everything
		s.put(uint16(n), uint32(n*160), loud(n), 160)
		n++
	}
	for range 20 {
		s.put(uint16(n), uint32(n*160), loud(n), 160)
		n++
		s.pop()
	}
	if f := s.j.fill(); f > (maxDepth+4)*FrameSamples {
		t.Errorf("%d samples of delay are carried along", f)
	}
	if s.st.Skipped == 0 {
		t.Error("nothing was skipped")
	}
}

// ±100 ppm over an hour: the buffer neither runs full nor dry, and hardly a frame is touched.
func TestClockDriftIsFollowed(t *testing.T) {
	for name, ppm := range map[string]int{"fast": 100, "slow": -100} {
		s := newStream()
		n := 0
		const frames = 180_000
		for tick := range frames {
			for n*1_000_000 <= tick*(1_000_000+ppm) {
				mark := byte(0x20)
				if n/50%2 == 0 {
					mark = PCMA.silence()
				}
				s.put(uint16(n), uint32(n*160), mark, 160)
				n++
			}
			s.pop()
			if s.j.fill() > 6*FrameSamples {
				t.Fatalf("%s: %d samples wait after %d frames", name, s.j.fill(), tick)
			}
		}
		if s.st.Concealed > 60 || s.st.Skipped > 60 {
			t.Errorf("%s: %d frames concealed and %d skipped in an hour", name, s.st.Concealed, s.st.Skipped)
		}
	}
}

func TestCodecMayChangeWithinAStream(t *testing.T) {
	s := newStream()
	var got []*frame
	for n := range 40 {
		p := s.pool.get()
		p.seq, p.ts, p.kind, p.codec = uint16(n), uint32(n*240), voice, PCMA
		if n >= 20 {
			p.codec = PCMU
		}
		p.payload = p.buf[:240]
		pcm := make([]int16, 240)
		for i := range pcm {
			pcm[i] = 8000
		}
		p.codec.Encode(p.payload, pcm)
		s.j.put(p)
		got = append(got, s.pop())
		if n%2 == 0 {
			got = append(got, s.pop())
		}
	}
	for i, f := range got {
		if f.quiet {
			continue
		}
		var pcm [160]int16
		f.decode(&pcm)
		for _, v := range pcm {
			if v < 7600 || v > 8400 {
				t.Fatalf("frame %d holds %d", i, v)
			}
		}
	}
}

// Whatever comes, in whatever order: no panic, no packet lost from the pool twice, and the ring empties itself.
func TestJitterBufferSurvivesAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newStream()
		seq, ts := rapid.Uint16().Draw(t, "seq"), rapid.Uint32().Draw(t, "ts")
		for range rapid.IntRange(1, 400).Draw(t, "steps") {
			switch rapid.IntRange(0, 9).Draw(t, "what") {
			case 0, 1, 2, 3:
				n := rapid.SampledFrom([]int{0, 1, 33, 80, 160, 240, 480, 1000}).Draw(t, "size")
				s.put(seq, ts, 1, n)
				seq++
				ts += uint32(n)
			case 4:
				s.mark(seq, ts, event)
				seq++
			case 5:
				seq += uint16(rapid.IntRange(-70, 70).Draw(t, "seq step"))
			case 6:
				ts += uint32(rapid.Int32Range(-20000, 20000).Draw(t, "ts step"))
			case 7:
				s.put(uint16(rapid.Uint16().Draw(t, "any seq")), rapid.Uint32().Draw(t, "any ts"), 2, 160)
			default:
				s.pop()
			}
			held := 0
			for _, p := range s.j.slots {
				if p != nil {
					held++
				}
			}
			if held != s.j.count {
				t.Fatalf("%d packets in the ring, counted %d", held, s.j.count)
			}
			free := map[*packet]bool{}
			for p := s.pool.free; p != nil; p = p.next {
				if free[p] {
					t.Fatal("a packet is in the pool twice")
				}
				free[p] = true
			}
		}
		for range 400 {
			s.pop()
		}
		if s.j.count > 0 {
			t.Fatalf("%d packets stay for ever", s.j.count)
		}
	})
}

// A sender that says nothing for a moment without comfort noise leaves out time and no packet: that is silence, and no loss.
func TestTimeLeftOutWithoutAPacketIsSilence(t *testing.T) {
	t.Parallel()
	s := newStream()
	for i := range uint16(4) {
		s.put(i, uint32(i)*160, loud(0), 160)
	}
	for i := uint16(4); i < 8; i++ { // two frames are left out before these
		s.put(i, uint32(i+2)*160, loud(1), 160)
	}
	var frames []*frame
	for range 12 {
		frames = append(frames, s.pop())
	}
	silent := 0
	for i, f := range frames[:len(frames)-1] {
		if f.quiet && i > 0 && !frames[i-1].quiet {
			for _, g := range frames[i:] {
				if !g.quiet {
					break
				}
				silent++
			}
			break
		}
	}
	if silent != 2 || s.st.Concealed > 0 && slices.Index(marks(frames), loud(1)) < 0 {
		t.Errorf("%d silent frames between the two, %d concealed", silent, s.st.Concealed)
	}
}

// Sequence numbers and timestamps wrap in the middle of what waits in the ring: nothing is late, nothing is lost.
func TestNumbersMayWrapInTheRing(t *testing.T) {
	t.Parallel()
	s := newStream()
	var frames []*frame
	seq, ts := uint16(65528), ^uint32(0)-160*8
	for i := range 40 {
		if v := s.put(seq, ts, loud(i), 160); v != kept {
			t.Fatalf("packet %d: verdict %d", i, v)
		}
		seq++
		ts += 160
		if i >= 4 {
			frames = append(frames, s.pop())
		}
	}
	got := marks(frames)
	for i, b := range got {
		if b != loud(i) {
			t.Fatalf("%d of 40 frames came out in order: %v", i, got)
		}
	}
	if len(got) < 32 || s.st.Concealed+s.st.Skipped > 0 {
		t.Errorf("%d frames, %+v", len(got), s.st)
	}
}
