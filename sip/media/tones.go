package media

import (
	"math"
	"strings"
	"time"
)

// The tones of push-button telephones (ITU-T Q.23).
var (
	lowTones  = [4]float64{697, 770, 852, 941}
	highTones = [4]float64{1209, 1336, 1477, 1633}
)

const toneKeys = "123A456B789C*0#D" // row by row

func dtmfTones(key rune) (low, high float64) {
	i := strings.IndexRune(toneKeys, key)
	return lowTones[i/4], highTones[i%4]
}

// A toneDetector finds keys in the voice of a far end that has no telephone events. It looks at windows of 20 ms, every
// 10 ms, by Goertzel's method. A key needs two windows in a row (so 40 ms are always enough, ITU-T Q.24, and
// 20 ms never) in which one tone of each group stands out from its group, both have the right frequency within 2.5 %,
// both are of like strength, and together they are nearly all there is: speech has power elsewhere and does
// not pass ("talk-off").
type toneDetector struct {
	tail    [toneHop]float64 // second half of the last window
	key     rune             // candidate, 0 for none
	hits    int
	misses  int
	down    bool
	windows int // length of the key so far

	seen      rune // key in the last window
	low, high float64
}

const (
	toneHop     = FrameSamples / 2
	toneHits    = 2
	toneMisses  = 2
	tonePower   = 0.93 // share of the power in the two tones: noise 15 dB below is all right, half a window of tone is not
	toneStand   = 6.3  // 8 dB over the next tone of the group
	twistLow    = 7.9  // low group at most 9 dB stronger …
	twistHigh   = 3.2  // … or high group at most 5 dB (ITU-T Q.24 asks for 8 and 4)
	toneMinRMS  = 130  // about −45 dBm0
	toneSamples = FrameSamples
)

var toneCoeff = func() (c [8]float64) {
	for i := range 4 {
		c[i] = 2 * math.Cos(2*math.Pi*lowTones[i]/Rate)
		c[4+i] = 2 * math.Cos(2*math.Pi*highTones[i]/Rate)
	}
	return
}()

// listen takes a frame. It reports a key once, when it is sure of it.
func (d *toneDetector) listen(pcm *[FrameSamples]int16) (key rune, ok bool) {
	var w [toneSamples]float64
	for half := range 2 {
		copy(w[:toneHop], d.tail[:])
		for i := range toneHop {
			w[toneHop+i] = float64(pcm[half*toneHop+i])
		}
		copy(d.tail[:], w[toneHop:])
		if k, hit := d.step(d.look(&w)); hit {
			key, ok = k, true
		}
	}
	return key, ok
}

// step is one window's verdict, 0 for none.
func (d *toneDetector) step(k rune) (rune, bool) {
	switch {
	case d.down && k == d.key:
		d.misses = 0
		d.windows++
		return 0, false
	case d.down:
		if d.misses++; d.misses < toneMisses {
			return 0, false
		}
		d.down, d.key, d.hits = false, 0, 0
	}
	if k == 0 {
		d.key, d.hits = 0, 0
		return 0, false
	}
	if k != d.key {
		d.key, d.hits = k, 0
	}
	if d.hits++; d.hits < toneHits {
		return 0, false
	}
	d.down, d.misses, d.windows = true, 0, d.hits
	return k, true
}

// lasted is how long the key has been seen.
func (d *toneDetector) lasted() time.Duration {
	return time.Duration(d.windows+1) * FrameTime / 2
}

// look is the key in a window, 0 for none, or none when its tones have changed in strength since the last window: a
// key is steady, a voice is not.
func (d *toneDetector) look(w *[toneSamples]float64) rune {
	k, low, high := dtmfKey(w)
	steady := k != d.seen || within(low, d.low) && within(high, d.high)
	d.seen, d.low, d.high = k, low, high
	if !steady && !d.down {
		d.hits = 0
	}
	return k
}

// within says that two powers differ by less than 1.5 dB.
func within(a, b float64) bool { return a < b*1.41 && b < a*1.41 }

// dtmfKey is the key in a window, 0 for none, and the power of its tones.
func dtmfKey(w *[toneSamples]float64) (key rune, pl, ph float64) {
	total := 0.0
	for _, v := range w {
		total += v * v
	}
	if total < toneMinRMS*toneMinRMS*toneSamples {
		return 0, 0, 0
	}
	var power [8]float64
	for i, c := range toneCoeff {
		power[i] = at(w, c)
	}
	low, okLow := strongest(power[:4])
	high, okHigh := strongest(power[4:])
	if !okLow || !okHigh || power[low]+power[4+high] < 0.2*total {
		return 0, 0, 0
	}
	// What is left to do is done for likely keys only.
	pl, okLow = centred(w, low)
	ph, okHigh = centred(w, 4+high)
	switch {
	case !okLow || !okHigh,
		pl > ph*twistLow, ph > pl*twistHigh,
		pl+ph < tonePower*total:
		return 0, 0, 0
	}
	return rune(toneKeys[low*4+high]), pl, ph
}

// energy of a sine in the window, from the end of Goertzel's recursion.
func energy(s1, s2, c float64) float64 {
	return (s1*s1 + s2*s2 - c*s1*s2) * 2 / toneSamples
}

// centred finds where near a nominal frequency the power is, and how much. A window of 20 ms hardly sees a tone that
// is 25 Hz off, and telephones may be 1.5 % off (ITU-T Q.24); from 3.5 % on it is something else.
func centred(w *[toneSamples]float64, tone int) (power float64, ok bool) {
	best := 0
	for i := 0; i < toneSteps; i += 2 {
		if p := at(w, stepCoeff[tone][i]); p > power {
			power, best = p, i
		}
	}
	if best == 0 || best == toneSteps-1 {
		return power, false
	}
	return max(power, at(w, stepCoeff[tone][best-1]), at(w, stepCoeff[tone][best+1])), true
}

// at is the energy of a sine.
func at(w *[toneSamples]float64, c float64) float64 {
	var s1, s2 float64
	for _, v := range w {
		s1, s2 = v+c*s1-s2, s1
	}
	return energy(s1, s2, c)
}

// toneSteps are frequencies from 3 % below to 3 % above each tone.
const toneSteps = 13

var stepCoeff = func() (c [8][toneSteps]float64) {
	for tone := range c {
		f := append(lowTones[:], highTones[:]...)[tone]
		for i := range toneSteps {
			c[tone][i] = 2 * math.Cos(2*math.Pi*f*(1+0.005*float64(i-toneSteps/2))/Rate)
		}
	}
	return
}()

// strongest is the tone that stands out from its group.
func strongest(p []float64) (at int, ok bool) {
	for i := range p {
		if p[i] > p[at] {
			at = i
		}
	}
	for i := range p {
		if i != at && p[i]*toneStand > p[at] {
			return at, false
		}
	}
	return at, true
}
