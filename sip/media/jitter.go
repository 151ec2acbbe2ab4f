package media

// jitter turns packets that come early, late, twice, out of order or not at all into one frame every 20 ms.
//
// It is a ring of 64 packets indexed by sequence number, and a cursor on the sender's time line (RTP
// timestamps), so that packets of any duration become frames of 20 ms and a pause of the sender is told
// from a loss. Its depth adapts: a packet that comes too late deepens it by a frame, two seconds in which
// more was waiting than needed make it shallower; both are done in silence where possible. A missing packet is
// concealed by repeating the last frame, fading out within 60 ms.
type jitter struct {
	pool  *packetPool
	slots [jitterSlots]*packet
	count int

	primed  bool   // next means something
	played  bool   // some packet has been taken out since the reset
	playing bool   // the cursor moves; otherwise we wait for the buffer to fill
	next    uint16 // sequence number to be played next
	cursor  uint32 // timestamp of the next sample to be played
	end     uint32 // timestamp after the newest sample held
	part    *packet
	off     int // samples of part already played
	waited  int // frames since the first packet of this talk spurt, while not playing

	depth    int  // frames to hold before playing, 2–6
	low      int  // smallest fill seen in this window, in samples
	window   int  // frames in this window
	shrink   bool // a frame may be dropped at the next silence
	grow     bool // a frame should be added at the next silence
	held     int  // samples of concealment given while the cursor stood still
	concealN int  // frames concealed in a row
	lost     bool // the gap before part is a loss, not a pause
	paused   bool // the sender is silent on purpose (comfort noise, telephone event)
	unheard  bool // nobody listens: time goes on, nothing is copied

	last frame // the last frame played, for concealment
}

const (
	jitterSlots  = 64
	minDepth     = 2
	startDepth   = 3
	maxDepth     = 6
	adaptFrames  = 100  // length of an adaptation window
	restartGap   = 8000 // a time line that jumps by more than a second is a new one
	quietLevel   = 300  // peak below which a frame may be dropped or doubled unheard
	rebufferHold = 3 * FrameSamples
)

// verdict is what became of a packet.
type verdict uint8

const (
	kept verdict = iota
	duplicate
	tooLate
	restarted
)

func (j *jitter) init(pool *packetPool) {
	j.pool = pool
	j.depth = startDepth
	j.last.hush(PCMA)
}

// reset forgets all packets, for a new stream.
func (j *jitter) reset() {
	for i, p := range j.slots {
		if p != nil {
			j.pool.put(p)
			j.slots[i] = nil
		}
	}
	if j.part != nil {
		j.pool.put(j.part)
		j.part = nil
	}
	j.count, j.off, j.waited, j.held, j.concealN, j.window = 0, 0, 0, 0, 0, 0
	j.primed, j.played, j.playing, j.lost, j.paused, j.shrink, j.grow = false, false, false, false, false, false, false
	j.last.hush(j.last.codec)
}

// put takes a packet; the ring owns it from then on, whatever the verdict.
func (j *jitter) put(p *packet) verdict {
	v := kept
	if !j.primed {
		j.primed, j.next = true, p.seq
		j.end, j.cursor = p.ts, p.ts
	}
	d := int16(p.seq - j.next)
	if d < 0 && !j.played && d > -jitterSlots/2 && j.fits(p.seq) {
		j.next, d = p.seq, 0 // the first packets came in the wrong order
	}
	switch {
	case d < 0:
		if p.kind == voice && d > -jitterSlots {
			j.late()
		}
		j.pool.put(p)
		return tooLate
	case d >= jitterSlots:
		depth, codec := j.depth, j.last.codec
		j.reset()
		j.depth, j.last.codec = depth, codec
		j.primed, j.next, j.end, j.cursor = true, p.seq, p.ts, p.ts
		v = restarted
	}
	if d == 0 && p.kind == voice && j.playing && j.held > 0 && !j.paused && p.ts == j.cursor {
		j.late() // it was waited for; the wait itself has made the buffer deeper
		j.grow = false
	}
	slot := &j.slots[p.seq%jitterSlots]
	if *slot != nil {
		j.pool.put(p)
		return duplicate
	}
	*slot = p
	j.count++
	if p.kind == voice {
		if end := p.ts + uint32(len(p.payload)); int32(end-j.end) > 0 || j.count == 1 && j.part == nil {
			j.end = end
		}
	}
	return v
}

// fits says that the ring can begin at seq without two packets in one slot.
func (j *jitter) fits(seq uint16) bool {
	for _, p := range j.slots {
		if p != nil && int16(p.seq-seq) >= jitterSlots {
			return false
		}
	}
	return true
}

// late notes that a packet missed its time: the buffer should be a frame deeper.
func (j *jitter) late() {
	if j.depth < maxDepth {
		j.depth++
		j.grow = true
	}
	j.shrink = false
	j.window, j.low = 0, 1<<30
}

// fill is how many samples are waiting, counted on the sender's time line.
func (j *jitter) fill() int {
	if n := int32(j.end - j.cursor); n > 0 && (j.count > 0 || j.part != nil) {
		return int(n)
	}
	return 0
}

// pop makes the next frame. When nobody heeds it, it is only counted: what is in f then means nothing.
func (j *jitter) pop(f *frame, st *Stats, heeded bool) {
	if j.unheard == heeded {
		if j.unheard = !heeded; j.unheard {
			j.last.hush(j.last.codec) // nothing to conceal with when somebody listens again
		}
	}
	if !j.playing && !j.begin() {
		f.hush(j.last.codec)
		return
	}
	fill := j.fill()
	if fill > (maxDepth+4)*FrameSamples {
		// A stall is over and everything came at once: skip to where we should be.
		st.Skipped += uint64(j.skip(fill-maxDepth*FrameSamples)) / FrameSamples
		fill = j.fill()
	}
	j.adapt(fill)
	j.render(f, st)
	switch {
	case j.shrink && j.fill() >= FrameSamples && j.quiet(f):
		j.shrink = false
		j.low -= FrameSamples
		st.Skipped++
		j.render(f, st)
	case j.low >= 5*FrameSamples && j.window >= adaptFrames && j.fill() >= FrameSamples:
		// No pause to do it in: a voice that talks on, or music.
		j.window, j.low = 0, 1<<30
		st.Skipped++
		j.render(f, st)
	}
}

// begin waits until the buffer is as deep as it should be before the first frame is played.
func (j *jitter) begin() bool {
	for j.count > 0 { // marks carry nothing to wait for
		p := j.slots[j.next%jitterSlots]
		if p == nil || p.kind == voice {
			break
		}
		j.take(p)
		j.pool.put(p)
	}
	if j.count == 0 {
		j.waited = 0
		return false
	}
	j.waited++
	enough := j.count > 1 && j.fillFrom() >= j.depth*FrameSamples // a burst after a stall
	if j.waited < j.depth && !enough {
		return false
	}
	// The oldest packet we hold is where we begin; what is missing before it was never ours to play.
	for j.slots[j.next%jitterSlots] == nil {
		j.next++
	}
	p := j.slots[j.next%jitterSlots]
	if p.kind != voice {
		return false
	}
	j.cursor = p.ts
	j.playing, j.lost, j.paused = true, false, false
	j.waited, j.held, j.window, j.low = 0, 0, 0, 1<<30
	return true
}

// fillFrom is how many samples wait, before the cursor is set.
func (j *jitter) fillFrom() int {
	n := j.next
	for j.slots[n%jitterSlots] == nil {
		n++
	}
	return int(int32(j.end - j.slots[n%jitterSlots].ts))
}

// take removes the packet that is next from the ring.
func (j *jitter) take(p *packet) {
	j.slots[p.seq%jitterSlots] = nil
	j.next = p.seq + 1
	j.count--
	j.played = true
}

// adapt keeps the smallest fill of a window in mind and decides from it.
func (j *jitter) adapt(fill int) {
	j.low = min(j.low, fill)
	if j.window++; j.window < adaptFrames {
		return
	}
	if j.low >= 5*FrameSamples {
		return // pop drops a frame at once and begins a new window
	}
	if j.low >= 2*FrameSamples {
		j.shrink = true
		j.depth = max(minDepth, j.depth-1)
	}
	j.window, j.low = 0, 1<<30
}

// quiet says whether leaving out this frame would go unnoticed.
func (j *jitter) quiet(f *frame) bool {
	if f.quiet || j.unheard {
		return true
	}
	var pcm [FrameSamples]int16
	f.decode(&pcm)
	for _, s := range pcm {
		if s > quietLevel || s < -quietLevel {
			return false
		}
	}
	return true
}

// skip moves the cursor forward by n samples and returns how many it could.
func (j *jitter) skip(n int) int {
	target := j.cursor + uint32(n)
	for int32(target-j.cursor) > 0 {
		if !j.load() {
			break
		}
		end := j.part.ts + uint32(len(j.part.payload))
		if int32(end-target) > 0 {
			j.off = max(j.off, int(int32(target-j.part.ts)))
			j.cursor = target
			j.lost = false
			return n
		}
		j.cursor = end
		j.drop()
	}
	return n - int(int32(target-j.cursor))
}

// load makes part the packet to be played next; false when there is none.
func (j *jitter) load() bool {
	for j.part == nil {
		if j.count == 0 {
			return false
		}
		p := j.slots[j.next%jitterSlots]
		if p == nil {
			j.next++ // later ones are here and this one is due: lost
			j.lost = true
			continue
		}
		j.take(p)
		if p.kind != voice || len(p.payload) == 0 {
			j.paused = j.paused || p.kind != voice
			j.pool.put(p)
			continue
		}
		j.part, j.off = p, 0
	}
	return true
}

func (j *jitter) drop() {
	j.pool.put(j.part)
	j.part, j.off, j.lost = nil, 0, false
}

// render fills the frame from the cursor on.
func (j *jitter) render(f *frame, st *Stats) {
	if j.grow && j.held == 0 && j.quiet(&j.last) {
		j.grow = false
		f.hush(j.last.codec) // the cursor stands still: the buffer is a frame deeper now
		return
	}
	f.codec, f.quiet = NoCodec, false
	n := 0
	for n < FrameSamples {
		if !j.load() {
			j.starve(f, n, st)
			return
		}
		p := j.part
		gap := int(int32(p.ts + uint32(j.off) - j.cursor))
		if gap > restartGap || gap < -restartGap {
			j.cursor, gap = p.ts+uint32(j.off), 0 // another time line
			j.end = j.cursor + uint32(len(p.payload)-j.off)
		}
		if gap > 0 && j.held > 0 { // this much of the gap has been bridged while we waited
			cut := min(gap, j.held)
			j.cursor += uint32(cut)
			gap -= cut
		}
		if gap > 0 {
			m := min(gap, FrameSamples-n)
			j.bridge(f, n, m, st)
			j.cursor += uint32(m)
			n += m
			continue
		}
		if gap < 0 { // overlaps what was played
			if j.off -= gap; j.off >= len(p.payload) {
				j.drop()
				continue
			}
		}
		m := min(len(p.payload)-j.off, FrameSamples-n)
		if f.codec == NoCodec {
			f.codec = p.codec
		}
		if !j.unheard {
			transcode(f.b[n:n+m], f.codec, p.payload[j.off:j.off+m], p.codec)
		}
		n += m
		j.off += m
		j.cursor += uint32(m)
		j.held, j.concealN, j.paused, j.lost = 0, 0, false, false
		if j.off == len(p.payload) {
			j.drop()
		}
	}
	if !j.unheard {
		j.last = *f
	}
}

// bridge fills part of a frame where the time line has a gap.
func (j *jitter) bridge(f *frame, from, n int, st *Stats) {
	if f.codec == NoCodec {
		f.codec = j.last.codec
	}
	if !j.lost {
		fillSilence(f, from, n)
		if from == 0 && n == FrameSamples {
			f.quiet = true
		}
		return
	}
	j.conceal(f, from, n, st)
}

// starve fills the rest of a frame when nothing is there. The cursor stands still: most often the packet is
// only late. After a while the sender must be pausing, and its next packet begins a new talk spurt.
func (j *jitter) starve(f *frame, from int, st *Stats) {
	if f.codec == NoCodec {
		f.codec = j.last.codec
	}
	n := FrameSamples - from
	if j.paused {
		fillSilence(f, from, n)
		f.quiet = from == 0
	} else {
		j.conceal(f, from, n, st)
	}
	j.held += n
	if j.held >= rebufferHold {
		j.playing, j.waited, j.held, j.concealN = false, 0, 0, 0
		j.last.hush(j.last.codec)
	} else if from > 0 && !j.unheard {
		j.last = *f
	}
}

// fade is the loudness of the first, second and third concealed frame, in 256ths; then there is silence.
var fade = [...]int32{205, 128, 51}

// conceal repeats the last frame, softer each time.
func (j *jitter) conceal(f *frame, from, n int, st *Stats) {
	st.Concealed++
	if j.concealN >= len(fade) || j.last.quiet {
		fillSilence(f, from, n)
		f.quiet = f.quiet || from == 0 && n == FrameSamples
		return
	}
	gain := fade[j.concealN]
	if from+n == FrameSamples {
		j.concealN++
	}
	var pcm [FrameSamples]int16
	j.last.codec.Decode(pcm[:n], j.last.b[from:from+n])
	for i := range pcm[:n] {
		pcm[i] = int16(int32(pcm[i]) * gain >> 8)
	}
	f.codec.Encode(f.b[from:from+n], pcm[:n])
}

func fillSilence(f *frame, from, n int) {
	s := f.codec.silence()
	b := f.b[from : from+n]
	for i := range b {
		b[i] = s
	}
}
