package media

import (
	"math"
	"math/rand/v2"
	"testing"
)

// hear runs samples through a detector, beginning at an odd place, and returns the keys.
func hear(pcm []int16, offset int) (s string) {
	d := &toneDetector{}
	pcm = append(make([]int16, offset), pcm...)
	for len(pcm) >= FrameSamples {
		if k, ok := d.listen((*[FrameSamples]int16)(pcm)); ok {
			s += string(k)
		}
		pcm = pcm[FrameSamples:]
	}
	return s
}

// press makes a key with levels in dB relative to full scale and a frequency error in per cent.
func press(k rune, lowDB, highDB, off float64, ms int) []int16 {
	low, high := dtmfTones(k)
	a, b := 32767*math.Pow(10, lowDB/20), 32767*math.Pow(10, highDB/20)
	pcm := make([]int16, ms*8)
	for i := range pcm {
		t := 2 * math.Pi * float64(i) / Rate * (1 + off/100)
		pcm[i] = clip(a*math.Sin(low*t) + b*math.Sin(high*t+1))
	}
	return append(pcm, make([]int16, 60*8)...)
}

func TestToneDetectorMeetsQ24(t *testing.T) {
	for name, c := range map[string]struct {
		low, high, off float64
		ms             int
		heard          bool
	}{
		"plain":                {-10, -10, 0, 50, true},
		"40 ms":                {-10, -10, 0, 40, true},
		"20 ms":                {-10, -10, 0, 20, false},
		"weak":                 {-38, -38, 0, 60, true},
		"too weak":             {-60, -60, 0, 60, false},
		"high group 4 dB up":   {-14, -10, 0, 60, true},
		"low group 8 dB up":    {-8, -16, 0, 60, true},
		"high group 10 dB up":  {-20, -10, 0, 60, false},
		"low group 14 dB up":   {-6, -20, 0, 60, false},
		"1.5 % off":            {-10, -10, 1.5, 60, true},
		"1.5 % below":          {-10, -10, -1.5, 60, true},
		"5 % off is no key":    {-10, -10, 5, 60, false},
		"one group only":       {-10, -90, 0, 100, false},
		"the other group only": {-90, -10, 0, 100, false},
	} {
		for _, k := range toneKeys {
			for offset := range 160 {
				if offset%13 != 0 {
					continue
				}
				want := ""
				if c.heard {
					want = string(k)
				}
				if got := hear(press(k, c.low, c.high, c.off, c.ms), offset); got != want {
					t.Errorf("%s: %c at offset %d was heard as %q", name, k, offset, got)
				}
			}
		}
	}
}

func TestLongToneIsOneKeyAndAPauseMakesTwo(t *testing.T) {
	if got := hear(press('5', -10, -10, 0, 3000), 0); got != "5" {
		t.Errorf("3 s of 5 is %q", got)
	}
	twice := append(press('5', -10, -10, 0, 60), press('5', -10, -10, 0, 60)...)
	if got := hear(twice, 40); got != "55" {
		t.Errorf("5 and 5 is %q", got)
	}
}

func TestKeysAreHeardThroughNoise(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, k := range toneKeys {
		pcm := press(k, -12, -12, 0, 60)
		for i := range pcm {
			pcm[i] = clip(float64(pcm[i]) + 500*rng.NormFloat64()) // about 20 dB below
		}
		if got := hear(pcm, 77); got != string(k) {
			t.Errorf("%c was heard as %q", k, got)
		}
	}
}

// A voice: a buzz with the pitch gliding, shaped by two sharp formants that move, with pauses. It is nearer to two tones than
// any real voice, which has more formants and less sharp ones. In twenty minutes of it there may be no more keys than the
// usual talk-off tests allow (some ten in half an hour).
func TestVoicePressesNoKey(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	d := &toneDetector{}
	var y1, y2, z1, z2, phase float64
	keys := ""
	pitch, f1, f2 := 150.0, 500.0, 1500.0
	for range 20 * 60 * 50 {
		var f [FrameSamples]int16
		if rng.IntN(12) == 0 { // another sound
			pitch, f1, f2 = 80+rng.Float64()*320, 250+rng.Float64()*700, 900+rng.Float64()*1500
		}
		voiced := rng.IntN(30) != 0
		pitch *= 1 + (rng.Float64()-0.5)*0.02
		c1, c2 := 2*0.97*math.Cos(2*math.Pi*f1/Rate), 2*0.97*math.Cos(2*math.Pi*f2/Rate)
		for i := range f {
			x := 0.3 * rng.NormFloat64()
			if phase += pitch / Rate; phase >= 1 && voiced {
				phase--
				x += 30
			}
			y1, y2 = x+c1*y1-0.94*y2, y1
			z1, z2 = x+c2*z1-0.94*z2, z1
			f[i] = clip(60 * (y1 + 0.6*z1))
		}
		if k, ok := d.listen(&f); ok {
			keys += string(k)
		}
	}
	if len(keys) > 7 {
		t.Errorf("twenty minutes of voice pressed %q", keys)
	}
	t.Logf("twenty minutes of voice pressed %d keys", len(keys))
	// Pure tones and pairs that are no key: dial tone, ringing, busy, fax, music.
	for _, freqs := range [][]float64{{350, 440}, {440, 480}, {480, 620}, {425}, {1100}, {2100}, {450}, {697, 770}, {1209, 1336}, {700, 1000}, {880, 1320, 1760}} {
		tone := Tone(freqs, 1e9)
		if got := hear(tone.PCM(), 0); got != "" {
			t.Errorf("%v Hz is heard as %q", freqs, got)
		}
	}
}
