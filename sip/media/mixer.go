package media

// A mixer makes what a leg says from what comes to it through its pipes. With one voice that is the voice's own frame, copied;
// with several it is their sum, kept below clipping by a limiter. Pipes that begin or end are faded within one frame.
type mixer struct {
	gain int32 // the limiter's, 1<<gainBits is unity; 0 before the first sum
}

const (
	gainBits = 15
	unity    = 1 << gainBits
	release  = unity / 25 // the limiter lets go within half a second
	attack   = FrameSamples / 8
)

// mix fills the frame; false, and the frame is untouched, when no pipe is alive: then there may be music.
func (m *mixer) mix(f *frame, pipes []*pipe, c Codec, sc *scratch) bool {
	alive, voices := false, 0
	limiting := m.gain != 0 && m.gain < unity
	for _, p := range pipes {
		if p.dead {
			continue
		}
		alive = true
		if !p.next(&sc.part, sc) {
			continue
		}
		switch voices++; {
		case voices == 1 && !limiting:
			*f = sc.part
			continue
		case voices == 1:
			sc.sum = [FrameSamples]int32{}
		case voices == 2 && !limiting:
			f.decode(&sc.mixPCM)
			for i, s := range sc.mixPCM {
				sc.sum[i] = int32(s)
			}
		}
		sc.part.decode(&sc.mixPCM)
		for i, s := range sc.mixPCM {
			sc.sum[i] += int32(s)
		}
	}
	switch {
	case !alive:
		m.gain = 0
		return false
	case voices == 0:
		m.gain = 0
		f.hush(c)
	case voices == 1 && !limiting:
		f.as(c)
	default:
		m.limit(&sc.sum, &sc.mixPCM)
		f.codec, f.quiet = c, false
		c.Encode(f.b[:], sc.mixPCM[:])
	}
	return true
}

// limit turns the sum down as far as its loudest sample needs: down within 2.5 ms, up again slowly, because people who
// talk at the same time would otherwise be chopped into noise.
func (m *mixer) limit(sum *[FrameSamples]int32, pcm *[FrameSamples]int16) {
	peak := int32(0)
	for _, s := range sum {
		peak = max(peak, s, -s)
	}
	from := m.gain
	if from == 0 {
		from = unity
	}
	to, ramp := min(unity, from+release), int32(FrameSamples)
	if peak > 32767 {
		if top := int32(int64(32767) << gainBits / int64(peak)); top < to {
			to = top
		}
	}
	if to < from {
		ramp = attack
	}
	if from == unity && to == unity {
		for i, s := range sum {
			pcm[i] = int16(s)
		}
		m.gain = unity
		return
	}
	for i, s := range sum {
		g := to
		if n := int32(i); n < ramp {
			g = from + (to-from)*n/ramp
		}
		pcm[i] = int16(min(max(int64(s)*int64(g)>>gainBits, -32768), 32767))
	}
	m.gain = to
}

// next takes the pipe's next frame, faded at its beginning and end; false when there is no voice in it.
func (p *pipe) next(f *frame, sc *scratch) bool {
	ending := p.ending.Load()
	if ending && !p.open { // ended before it was heard
		p.dead = true
		return false
	}
	some := p.pop(f)
	if ending {
		p.open, p.dead = false, true
		if !some || f.quiet {
			return false
		}
		f.fade(&sc.mixPCM, false)
		return true
	}
	if !some {
		return false // late, not over: the voice comes back without a fade
	}
	if !p.open {
		p.open = true
		if !f.quiet {
			f.fade(&sc.mixPCM, true)
		}
	}
	return !f.quiet
}

// fade lets the frame begin or end in silence.
func (f *frame) fade(pcm *[FrameSamples]int16, in bool) {
	f.decode(pcm)
	for i := range pcm {
		n := int32(i)
		if !in {
			n = FrameSamples - 1 - n
		}
		pcm[i] = int16(int32(pcm[i]) * n / FrameSamples)
	}
	f.codec.Encode(f.b[:], pcm[:])
}
