package media

import (
	"math"
	"testing"
)

// voiceOf is a party that talks: frames of a sine.
type voiceOf struct {
	freq, peak float64
	n          int
}

func (v *voiceOf) say(p *pipe) {
	var pcm [FrameSamples]int16
	for i := range pcm {
		pcm[i] = int16(v.peak * math.Sin(2*math.Pi*v.freq*float64(v.n)/Rate))
		v.n++
	}
	f := frame{codec: PCMA}
	PCMA.Encode(f.b[:], pcm[:])
	p.push(&f)
}

// mixed runs the mixer one frame on and returns what it says.
func mixed(m *mixer, sc *scratch, pipes []*pipe) []int16 {
	var f frame
	if !m.mix(&f, pipes, PCMA, sc) {
		f.hush(PCMA)
	}
	var pcm [FrameSamples]int16
	f.decode(&pcm)
	return pcm[:]
}

// steepest is the largest step from one sample to the next.
func steepest(pcm []int16) (step float64) {
	for i := 1; i < len(pcm); i++ {
		step = max(step, math.Abs(float64(pcm[i])-float64(pcm[i-1])))
	}
	return step
}

func TestVoicesThatBeginAndEndDoNotClick(t *testing.T) {
	const peak = 9000
	for _, base := range []bool{false, true} { // alone, and on top of another
		var m mixer
		var sc scratch
		low, loud := voiceOf{freq: 150, peak: 3000}, voiceOf{freq: 190, peak: peak}
		stay := newPipe()
		var all []int16
		var p *pipe
		for n := range 120 {
			pipes := []*pipe{}
			if base {
				low.say(stay)
				pipes = append(pipes, stay)
			}
			switch n % 7 { // 7 frames and 190 Hz: another phase each time
			case 2:
				p = newPipe()
			case 5:
				p.ending.Store(true)
			}
			if p != nil {
				loud.say(p)
				pipes = append(pipes, p)
			} else {
				loud.n += FrameSamples
			}
			all = append(all, mixed(&m, &sc, pipes)...)
			if n%7 == 6 && !p.dead {
				t.Fatal("an ended pipe is alive after two frames")
			}
		}
		// The sines' own slope, the fade's, and the steps of A-law at that level.
		limit := 2*math.Pi/Rate*(190*peak+150*3000) + peak/FrameSamples + 1100
		if s := steepest(all); s > limit {
			t.Errorf("on top of another %v: a step of %.0f, the voices alone make %.0f", base, s, limit)
		} else {
			t.Logf("steepest %.0f of %.0f", s, limit)
		}
	}
}

func TestManyLoudVoicesAreTurnedDownNotClipped(t *testing.T) {
	var m mixer
	var sc scratch
	var pipes []*pipe
	var voices []*voiceOf
	freqs := []float64{300, 550, 800, 1050, 1300}
	for _, f := range freqs {
		pipes = append(pipes, newPipe())
		voices = append(voices, &voiceOf{freq: f, peak: 20000})
	}
	var all []int16
	for range 50 {
		for i, v := range voices {
			v.say(pipes[i])
		}
		all = append(all, mixed(&m, &sc, pipes)...)
	}
	all = all[len(all)/2:]
	sum := 0.0
	for _, f := range freqs {
		sum += powerAt(all, f)
	}
	if sum < 0.97 {
		t.Errorf("the voices are %.1f %% of what is heard: the rest is distortion", 100*sum)
	}
	// One goes on alone: at its own level again within a second, and then copied as it is.
	for range 50 {
		voices[0].say(pipes[0])
		all = mixed(&m, &sc, pipes)
	}
	if got := steepest(all); got < 2*math.Pi/Rate*300*20000*0.9 {
		t.Errorf("a voice that is alone again is still turned down: steepest %.0f", got)
	}
	if m.gain != unity {
		t.Errorf("gain %d", m.gain)
	}
}

// powerAt is the part of the power at a frequency (Goertzel).
func powerAt(pcm []int16, freq float64) float64 {
	c := 2 * math.Cos(2*math.Pi*freq/Rate)
	var s1, s2, total float64
	for _, s := range pcm {
		v := float64(s)
		total += v * v
		s1, s2 = v+c*s1-s2, s1
	}
	return (s1*s1 + s2*s2 - c*s1*s2) * 2 / float64(len(pcm)) / total
}

func TestMixingDoesNotAllocate(t *testing.T) {
	var m mixer
	var sc scratch
	var f frame
	pipes := []*pipe{newPipe(), newPipe(), newPipe()}
	v := voiceOf{freq: 300, peak: 20000}
	if n := testing.AllocsPerRun(100, func() {
		for _, p := range pipes {
			v.say(p)
		}
		m.mix(&f, pipes, PCMU, &sc)
	}); n > 0 {
		t.Errorf("%v allocations per frame", n)
	}
}
