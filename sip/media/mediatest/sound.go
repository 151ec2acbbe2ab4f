package mediatest

import (
	"math"

	"lianxin/sip/media"
)

// Share is the part of the samples' power, 0–1, that lies at a frequency (8 kHz; resolution is 1/duration).
func Share(pcm []int16, freq float64) float64 {
	c := 2 * math.Cos(2*math.Pi*freq/media.Rate)
	var s1, s2, total float64
	for _, s := range pcm {
		v := float64(s)
		total += v * v
		s1, s2 = v+c*s1-s2, s1
	}
	if total == 0 {
		return 0
	}
	return (s1*s1 + s2*s2 - c*s1*s2) * 2 / float64(len(pcm)) / total
}

// RMS is the root mean square of the samples.
func RMS(pcm []int16) float64 {
	if len(pcm) == 0 {
		return 0
	}
	sum := 0.0
	for _, s := range pcm {
		sum += float64(s) * float64(s)
	}
	return math.Sqrt(sum / float64(len(pcm)))
}

// Sine makes n samples of a tone.
func Sine(freq, peak float64, n int) []int16 {
	pcm := make([]int16, n)
	for i := range pcm {
		pcm[i] = int16(peak * math.Sin(2*math.Pi*freq*float64(i)/media.Rate))
	}
	return pcm
}
