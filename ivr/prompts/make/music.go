package main

import "math"

// beep is the tone after which a caller speaks: 1 kHz, 0.4 s, at −14 dBFS with soft edges. It is none of
// the pairs of DTMF and no tone of the network (450 Hz in China).
func beep() []float64 {
	const n = rate * 400 / 1000
	const edge = rate * 12 / 1000
	out := make([]float64, n)
	amplitude := math.Pow(10, -14.0/20) * math.Sqrt2
	for i := range out {
		g := min(1, float64(min(i, n-i))/edge)
		out[i] = amplitude * g * math.Sin(2*math.Pi*1000*float64(i)/rate)
	}
	return out
}

// A note of the waiting music: when it starts and how long it is held, in beats, and its pitch as a
// MIDI number (69 is A at 440 Hz).
type note struct {
	at, beats float64
	pitch     int
}

const (
	beatsPerMinute = 66
	bars           = 12
	beatsPerBar    = 3
)

// The waiting music was composed for this program: twelve bars in three-four time over five notes of
// a scale on G, an upper line that is plucked and a slow broken chord beneath it. It ends on the fifth
// so that the loop leads back to its beginning.
var melody = []note{
	{0, 1, 74}, {1, 1, 76}, {2, 1, 79},
	{3, 2, 81}, {5, 1, 79},
	{6, 1, 76}, {7, 1, 79}, {8, 1, 76},
	{9, 3, 74},
	{12, 1, 71}, {13, 1, 74}, {14, 1, 76},
	{15, 2, 79}, {17, 1, 76},
	{18, 1, 74}, {19, 0.5, 76}, {19.5, 0.5, 74}, {20, 1, 71},
	{21, 3, 69},
	{24, 1, 71}, {25, 1, 74}, {26, 1, 79},
	{27, 1.5, 83}, {28.5, 0.5, 81}, {29, 1, 79},
	{30, 1, 81}, {31, 1, 76}, {32, 1, 79},
	{33, 3, 74},
}

// chords are the three notes broken over each bar.
var chords = [bars][beatsPerBar]int{
	{67, 71, 74}, {64, 69, 76}, {64, 67, 71}, {62, 67, 71},
	{67, 71, 74}, {64, 67, 71}, {62, 67, 71}, {62, 66, 69},
	{67, 71, 74}, {64, 71, 76}, {64, 69, 72}, {62, 66, 69},
}

// music is about half a minute that can be repeated without a seam: what still rings at the end is
// added to the beginning. It lies between 290 and 2500 Hz, which a telephone carries well.
func music() []float64 {
	const beat = rate * 60 / beatsPerMinute
	out := make([]float64, bars*beatsPerBar*beat)
	add := func(at float64, tone []float64, gain float64) {
		start := int(at * beat)
		for i, x := range tone {
			out[(start+i)%len(out)] += gain * x
		}
	}
	for _, n := range melody {
		add(n.at, pluck(pitch(n.pitch), n.beats*beat/rate+1.2), 0.9)
	}
	for bar, chord := range chords {
		for i, p := range chord {
			add(float64(bar*beatsPerBar+i), soft(pitch(p), 2.4), 0.28)
		}
	}
	gain := math.Pow(10, -22.0/20) / rms(out)
	for i := range out {
		out[i] *= gain
	}
	return out
}

func pitch(midi int) float64 { return 440 * math.Pow(2, float64(midi-69)/12) }

// pluck is a string: a delay line fed with a burst of noise and read through a weighted average of neighbours
// (after Karplus and Strong), tuned between samples by a one-pole all-pass. The noise is a fixed sequence,
// so that the same file comes out every time.
func pluck(hz, seconds float64) []float64 {
	// At 8 kHz a plain average would kill a note within a few hundredths of a second; this one lets the
	// fundamental ring and still takes the upper harmonics first.
	const soften = 0.02
	period := rate/hz - soften // the average delays by so much of a sample
	n := int(period)
	if period-float64(n) < 0.2 {
		n--
	}
	frac := period - float64(n)
	c := (1 - frac) / (1 + frac)
	line := make([]float64, n)
	seed := uint32(2463534242)
	var smooth, mean float64
	for i := range line {
		seed ^= seed << 13
		seed ^= seed >> 17
		seed ^= seed << 5
		smooth += 0.2 * (float64(int32(seed))/(1<<31) - smooth) // a soft finger, not a plectrum
		line[i] = smooth
		mean += smooth / float64(n)
	}
	for i := range line {
		line[i] -= mean // or it would ring at 0 Hz
	}
	out := make([]float64, int(seconds*rate))
	damp := math.Pow(0.001, 1/(5*hz)) // down by 60 dB in 5 s, besides the average
	var before, in, res float64
	for i := range out {
		x := line[i%n]
		avg := damp * ((1-soften)*x + soften*before)
		before = x
		res = c*(avg-res) + in // all-pass: y = c·x + x₋₁ − c·y₋₁
		in = avg
		line[i%n] = res
		out[i] = x
	}
	const attack = rate * 6 / 1000
	for i := range attack {
		out[i] *= float64(i) / attack
	}
	fadeOut(out, rate/20)
	scale(out)
	return out
}

// soft is a quiet bell of three harmonics that swells and dies away.
func soft(hz, seconds float64) []float64 {
	out := make([]float64, int(seconds*rate))
	for i := range out {
		t := float64(i) / rate
		envelope := (1 - math.Exp(-t/0.06)) * math.Exp(-t/0.8)
		w := 2 * math.Pi * hz * t
		out[i] = envelope * (math.Sin(w) + 0.28*math.Sin(2*w) + 0.08*math.Sin(3*w))
	}
	fadeOut(out, rate/10)
	scale(out)
	return out
}

func fadeOut(pcm []float64, n int) {
	for i := range n {
		pcm[len(pcm)-1-i] *= float64(i) / float64(n)
	}
}

// scale brings the peak to one.
func scale(pcm []float64) {
	var peak float64
	for _, x := range pcm {
		peak = max(peak, math.Abs(x))
	}
	for i := range pcm {
		pcm[i] /= peak
	}
}
