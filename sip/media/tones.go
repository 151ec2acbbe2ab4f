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
// 20 ms never) in which one tone of each group stands out from its group, both are of like strength, and
// together they are nearly all there is: speech has power elsewhere and does not pass ("talk-off").
type toneDetector struct {
	tail    [toneHop]float64 // second half of the last window
	key     rune             // candidate, 0 for none
	hits    int
	misses  int
	down    bool
	windows int // length of the key so far
}

const (
	toneHop     = FrameSamples / 2
	toneHits    = 2
	toneMisses  = 2
	tonePower   = 0.70 // share of the power in the two tones
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
		if k, hit := d.step(dtmfKey(&w)); hit {
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

// dtmfKey is the key in a window, 0 for none.
func dtmfKey(w *[toneSamples]float64) rune {
	total := 0.0
	for _, v := range w {
		total += v * v
	}
	if total < toneMinRMS*toneMinRMS*toneSamples {
		return 0
	}
	var power [8]float64
	for i, c := range toneCoeff {
		var s1, s2 float64
		for _, v := range w {
			s1, s2 = v+c*s1-s2, s1
		}
		// |X|²·2/N is the energy of a sine of that frequency in the window.
		power[i] = (s1*s1 + s2*s2 - c*s1*s2) * 2 / toneSamples
	}
	low, okLow := strongest(power[:4])
	high, okHigh := strongest(power[4:])
	pl, ph := power[low], power[4+high]
	switch {
	case !okLow || !okHigh,
		pl > ph*twistLow, ph > pl*twistHigh,
		pl+ph < tonePower*total:
		return 0
	}
	return rune(toneKeys[low*4+high])
}

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
