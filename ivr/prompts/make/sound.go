package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"os/exec"
)

const (
	rate      = 8000
	frame     = rate / 50 // 20 ms
	lead      = rate * 30 / 1000
	tail      = rate * 80 / 1000
	quiet     = -48.0 // dBFS of a frame below which it is not speech
	target    = -20.0 // dBFS, level of the frames that are speech
	peakLimit = -3.0  // dBFS: headroom for whatever the line does
)

// resample turns any WAV into 8 kHz mono samples, without the rumble that a telephone does not carry.
func resample(ctx context.Context, wav []byte) ([]float64, error) {
	cmd := exec.CommandContext(ctx, "sox", "-D", "-t", "wav", "-", "-t", "raw", "-r", "8000", "-e", "signed", "-b", "16", "-c", "1", "-", "gain", "-3", "highpass", "150")
	cmd.Stdin = bytes.NewReader(wav)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("resample with sox: %w: %s", err, bytes.TrimSpace(errs.Bytes()))
	}
	pcm := make([]float64, out.Len()/2)
	for i := range pcm {
		pcm[i] = float64(int16(binary.LittleEndian.Uint16(out.Bytes()[2*i:]))) / 32768
	}
	return pcm, nil
}

func decibel(x float64) float64 {
	if x <= 0 {
		return -120
	}
	return 20 * math.Log10(x)
}

func rms(pcm []float64) float64 {
	var s float64
	for _, x := range pcm {
		s += x * x
	}
	return math.Sqrt(s / float64(max(1, len(pcm))))
}

// speechOf returns the first and the last sample of speech, by frames louder than quiet.
func speechOf(pcm []float64) (from, to int) {
	from = -1
	for i := 0; i < len(pcm); i += frame / 2 {
		if decibel(rms(pcm[i:min(i+frame/2, len(pcm))])) > quiet {
			if from < 0 {
				from = i
			}
			to = min(i+frame/2, len(pcm))
		}
	}
	return max(from, 0), to
}

// trim leaves lead and tail of silence and fades the edges, so that prompts join without a click.
func trim(pcm []float64) []float64 {
	from, to := speechOf(pcm)
	out := make([]float64, lead+to-from+tail)
	copy(out[lead:], pcm[from:to])
	const fade = rate * 4 / 1000
	for i := range min(fade, to-from) {
		g := float64(i) / fade
		out[lead+i] *= g
		out[lead+to-from-1-i] *= g
	}
	return out
}

// level brings the frames that are speech to target, and bends peaks that would pass peakLimit.
func level(pcm []float64) []float64 {
	var s float64
	var n int
	for i := 0; i < len(pcm); i += frame {
		f := pcm[i:min(i+frame, len(pcm))]
		if r := rms(f); decibel(r) > quiet {
			s += r * r * float64(len(f))
			n += len(f)
		}
	}
	if n == 0 {
		return pcm
	}
	gain := math.Pow(10, target/20) / math.Sqrt(s/float64(n))
	limit := math.Pow(10, peakLimit/20)
	knee := limit * 0.7
	out := make([]float64, len(pcm))
	for i, x := range pcm {
		x *= gain
		if a := math.Abs(x); a > knee {
			x = math.Copysign(knee+(limit-knee)*math.Tanh((a-knee)/(limit-knee)), x)
		}
		out[i] = x
	}
	return out
}

// alawWAV writes a WAV file of G.711 A-law: format 6, with the fact chunk that formats other than PCM need.
func alawWAV(pcm []float64) []byte {
	n := len(pcm)
	var b bytes.Buffer
	le := func(v any) { binary.Write(&b, binary.LittleEndian, v) } // a bytes.Buffer never fails
	b.WriteString("RIFF")
	le(uint32(4 + 26 + 12 + 8 + n + n&1))
	b.WriteString("WAVEfmt ")
	le([]uint32{18})
	le([]uint16{6, 1})
	le([]uint32{rate, rate})
	le([]uint16{1, 8, 0})
	b.WriteString("fact")
	le([]uint32{4, uint32(n)})
	b.WriteString("data")
	le(uint32(n))
	for _, x := range pcm {
		b.WriteByte(alaw(int16(math.Round(max(-1, min(1, x)) * 32767))))
	}
	if n&1 == 1 {
		b.WriteByte(0)
	}
	return b.Bytes()
}

// alaw encodes one sample as in ITU-T G.711, table 1: sign, segment, step, even bits inverted.
func alaw(s int16) byte {
	sign, v := byte(0x80), int(s)
	if v < 0 {
		sign, v = 0, -v-1
	}
	v >>= 3 // G.711 A-law has 13 bits
	segment := 0
	for t := v >> 5; t > 0 && segment < 7; t >>= 1 {
		segment++
	}
	step := v >> 1
	if segment > 1 {
		step = v >> segment
	}
	return (sign | byte(segment<<4) | byte(step&0x0f)) ^ 0x55
}
