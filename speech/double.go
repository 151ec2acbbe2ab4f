package speech

import "math"

// A doubler turns 8 kHz into 16 kHz, frame after frame without a seam: every second sample is the old one, and the one between
// is read from the sixteen around it through a windowed sinc. It delays by eight old samples, 1 ms.
type doubler struct {
	past [2 * halfTaps]int16
}

const halfTaps = 8

var between = func() (w [2 * halfTaps]float64) {
	var sum float64
	for i := range w {
		x := float64(i) - (halfTaps - 0.5) // distance from the point between the two in the middle
		w[i] = math.Sin(math.Pi*x) / (math.Pi * x) * (0.54 + 0.46*math.Cos(math.Pi*x/halfTaps))
		sum += w[i]
	}
	for i := range w {
		w[i] /= sum
	}
	return w
}()

// add appends the doubled samples to out.
func (d *doubler) add(out, samples []int16) []int16 {
	for _, s := range samples {
		copy(d.past[:], d.past[1:])
		d.past[len(d.past)-1] = s
		var v float64
		for i, w := range between {
			v += w * float64(d.past[i])
		}
		out = append(out, d.past[halfTaps-1], int16(min(max(math.Round(v), math.MinInt16), math.MaxInt16)))
	}
	return out
}
