package media

import (
	"fmt"
	"math"
)

const (
	minRate = 4000
	maxRate = 192000
)

// Resample changes the sampling rate by a windowed-sinc filter in polyphase form, with 24 zero crossings on each
// side (about 80 dB of stop band). It is meant for prompts: whole sounds, away from the pacer.
func Resample(in []int16, from, to int) ([]int16, error) {
	if from < minRate || from > maxRate || to < minRate || to > maxRate {
		return nil, fmt.Errorf("resample %d Hz to %d Hz: outside %d–%d", from, to, minRate, maxRate)
	}
	if from == to || len(in) == 0 {
		return in, nil
	}
	g := gcd(from, to)
	up, down := to/g, from/g
	if up > 4096 {
		return nil, fmt.Errorf("resample %d Hz to %d Hz: no simple ratio", from, to)
	}
	phases := make([][]float64, up)                 // one filter for each position between two input samples, made when needed
	cut := min(1, float64(up)/float64(down)) * 0.97 // relative to the input's Nyquist frequency; 3 % for the slope
	half := int(math.Ceil(sincCrossings / cut))
	out := make([]int16, (len(in)*up+down-1)/down)
	for i := range out {
		at := i * down
		base, phase := at/up, at%up
		if phases[phase] == nil {
			phases[phase] = sincPhase(float64(phase)/float64(up), cut, half)
		}
		taps := phases[phase]
		sum := 0.0
		for k, c := range taps {
			if j := base + k - half + 1; j >= 0 && j < len(in) {
				sum += c * float64(in[j])
			}
		}
		out[i] = clip(sum)
	}
	return out, nil
}

const sincCrossings = 24

// sincPhase is the filter for an output sample that lies a part of a sample behind an input sample.
func sincPhase(part, cut float64, half int) []float64 {
	taps := make([]float64, 2*half)
	sum := 0.0
	for k := range taps {
		x := float64(k-half+1) - part
		taps[k] = cut * sinc(cut*x) * kaiser(x/float64(half))
		sum += taps[k]
	}
	for k := range taps {
		taps[k] /= sum
	}
	return taps
}

func sinc(x float64) float64 {
	if x == 0 {
		return 1
	}
	return math.Sin(math.Pi*x) / (math.Pi * x)
}

// kaiser is the Kaiser window with β = 8.
func kaiser(x float64) float64 {
	if x < -1 || x > 1 {
		return 0
	}
	return bessel(kaiserBeta*math.Sqrt(1-x*x)) / kaiserScale
}

const kaiserBeta = 8

var kaiserScale = bessel(kaiserBeta)

// bessel is the modified Bessel function I0.
func bessel(x float64) float64 {
	sum, term := 1.0, 1.0
	for k := 1.0; term > 1e-12*sum; k++ {
		term *= x / 2 / k * x / 2 / k
		sum += term
	}
	return sum
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
