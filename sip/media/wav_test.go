package media

import (
	"encoding/binary"
	"errors"
	"math"
	"testing"
)

// riff builds a WAV file chunk by chunk.
func riff(tag, channels, rate, bits int, data []byte, extra ...byte) []byte {
	le := binary.LittleEndian
	b := []byte("RIFF\x00\x00\x00\x00WAVE")
	b = append(b, "LIST\x03\x00\x00\x00abc\x00"...) // odd, so padded
	fmtChunk := le.AppendUint16(nil, uint16(tag))
	fmtChunk = le.AppendUint16(fmtChunk, uint16(channels))
	fmtChunk = le.AppendUint32(fmtChunk, uint32(rate))
	fmtChunk = le.AppendUint32(fmtChunk, uint32(rate*channels*bits/8))
	fmtChunk = le.AppendUint16(fmtChunk, uint16(channels*bits/8))
	fmtChunk = le.AppendUint16(fmtChunk, uint16(bits))
	fmtChunk = append(fmtChunk, extra...)
	b = append(b, "fmt "...)
	b = le.AppendUint32(b, uint32(len(fmtChunk)))
	b = append(b, fmtChunk...)
	b = append(b, "data"...)
	b = le.AppendUint32(b, uint32(len(data)))
	return append(b, data...)
}

func sine(freq, peak float64, rate, n int) []int16 {
	pcm := make([]int16, n)
	for i := range pcm {
		pcm[i] = clip(peak * math.Sin(2*math.Pi*freq*float64(i)/float64(rate)))
	}
	return pcm
}

func TestWAVFormatsAreRead(t *testing.T) {
	pcm := sine(440, 10000, 8000, 800)
	alaw, mulaw := make([]byte, 800), make([]byte, 800)
	PCMA.Encode(alaw, pcm)
	PCMU.Encode(mulaw, pcm)
	var s16, s24, s32, u8, f32 []byte
	le := binary.LittleEndian
	for _, v := range pcm {
		s16 = le.AppendUint16(s16, uint16(v))
		s24 = append(s24, 0x55, byte(v), byte(uint16(v)>>8))
		s32 = append(s32, 1, 2, byte(v), byte(uint16(v)>>8))
		u8 = append(u8, byte(v>>8)+128)
		f32 = le.AppendUint32(f32, math.Float32bits(float32(v)/32767))
	}
	ext := append([]byte{22, 0, 16, 0, 4, 0, 0, 0, 1, 0}, make([]byte, 14)...)
	for name, c := range map[string]struct {
		b   []byte
		off int // largest error
	}{
		"A-law":      {riff(wavALaw, 1, 8000, 8, alaw), 256},
		"µ-law":      {riff(wavMuLaw, 1, 8000, 8, mulaw), 256},
		"16 bit":     {riff(wavPCM, 1, 8000, 16, s16), 0},
		"24 bit":     {riff(wavPCM, 1, 8000, 24, s24), 0},
		"32 bit":     {riff(wavPCM, 1, 8000, 32, s32), 0},
		"8 bit":      {riff(wavPCM, 1, 8000, 8, u8), 256},
		"float":      {riff(wavFloat, 1, 8000, 32, f32), 1},
		"extensible": {riff(wavExtensible, 1, 8000, 16, s16, ext...), 0},
		"own":        {AppendWAV(nil, 8000, 1, pcm), 0},
	} {
		w, err := ParseWAV(c.b)
		if err != nil || len(w.Samples) != 800 {
			t.Errorf("%s: %d samples, %v", name, len(w.Samples), err)
			continue
		}
		for i, v := range w.Samples {
			if d := int(v) - int(pcm[i]); d > c.off || d < -c.off {
				t.Errorf("%s: sample %d is %d, not %d", name, i, v, pcm[i])
				break
			}
		}
		p, err := LoadPrompt(name, c.b)
		if err != nil || p.samples != 800 || p.frames != 5 || p.Name() != name {
			t.Errorf("%s: prompt %+v, %v", name, p, err)
		}
	}
	p, _ := LoadPrompt("exact", riff(wavALaw, 1, 8000, 8, alaw))
	if string(p.codes[PCMA]) != string(alaw) {
		t.Error("A-law does not reach an A-law leg byte for byte")
	}
	stereo := make([]int16, 0, 1600)
	for _, v := range pcm {
		stereo = append(stereo, v, v/2)
	}
	w, err := ParseWAV(AppendWAV(nil, 8000, 2, stereo))
	if err != nil || len(w.Mono()) != 800 || w.Mono()[5] != (pcm[5]+pcm[5]/2)/2 || w.Channel(1)[5] != pcm[5]/2 {
		t.Errorf("stereo: %v", err)
	}
}

func TestBrokenWAVsAreRefused(t *testing.T) {
	ok := riff(wavPCM, 1, 8000, 16, make([]byte, 100))
	for name, b := range map[string][]byte{
		"empty": nil, "text": []byte("hello, this is not a sound file at all"), "no data": ok[:60-12],
		"no channel": riff(wavPCM, 0, 8000, 16, nil), "rate 0": riff(wavPCM, 1, 0, 16, nil),
		"17 bits": riff(wavPCM, 1, 8000, 17, nil), "no bits": riff(wavPCM, 1, 8000, 0, nil),
		"MP3": riff(85, 1, 8000, 16, nil), "data first": append([]byte("RIFF\x00\x00\x00\x00WAVE"), "data\x00\x00\x00\x00"...),
	} {
		if w, err := ParseWAV(b); !errors.Is(err, ErrWAV) {
			t.Errorf("%s: %d samples, %v", name, len(w.Samples), err)
		}
	}
	// A recorder that was stopped hard left the sizes at 0.
	zero := AppendWAV(nil, 8000, 1, make([]int16, 50))
	copy(zero[40:], []byte{0, 0, 0, 0})
	if w, err := ParseWAV(zero); err != nil || len(w.Samples) != 50 {
		t.Errorf("size 0: %d samples, %v", len(w.Samples), err)
	}
}

func power(pcm []int16, freq float64) float64 {
	var re, im, total float64
	for i, s := range pcm {
		v := float64(s)
		a := 2 * math.Pi * freq * float64(i) / Rate
		re += v * math.Cos(a)
		im += v * math.Sin(a)
		total += v * v
	}
	return 2 * (re*re + im*im) / float64(len(pcm)) / total
}

func TestResamplingKeepsTheToneAndDropsWhatDoesNotFit(t *testing.T) {
	for _, rate := range []int{16000, 11025, 22050, 24000, 44100, 48000, 6000} {
		out, err := Resample(sine(1000, 10000, rate, rate), rate, Rate)
		if err != nil || len(out) != Rate {
			t.Fatalf("%d Hz: %d samples, %v", rate, len(out), err)
		}
		mid := out[1000:7000]
		if p := power(mid, 1000); p < 0.999 {
			t.Errorf("%d Hz: %.2f %% of the tone", rate, 100*p)
		}
		peak := int16(0)
		for _, v := range mid {
			peak = max(peak, v)
		}
		if peak < 9800 || peak > 10200 {
			t.Errorf("%d Hz: peak %d", rate, peak)
		}
		if rate <= 11025 {
			continue
		}
		out, _ = Resample(sine(5200, 10000, rate, rate), rate, Rate)
		sum := 0.0
		for _, v := range out[1000:7000] {
			sum += float64(v) * float64(v)
		}
		if rms := math.Sqrt(sum / 6000); rms > 7 { // −60 dB
			t.Errorf("%d Hz: 5,200 Hz comes through at level %.0f", rate, rms)
		}
	}
	for _, bad := range [][2]int{{0, 8000}, {8000, 1 << 30}, {44101, 8000}} {
		if _, err := Resample(make([]int16, 10), bad[0], bad[1]); err == nil {
			t.Errorf("%v: no error", bad)
		}
	}
}

func TestJoinedPromptsHaveNoGap(t *testing.T) {
	a := promptPCM("a", sine(400, 8000, Rate, 1000))
	b := promptPCM("b", sine(400, 8000, Rate, 333))
	j := Join(a, b)
	if j.samples != 1333 || j.frames != 9 || j.Name() != "a+b" || Join().frames != 0 {
		t.Fatalf("%d samples in %d frames", j.samples, j.frames)
	}
	pcm := j.PCM()
	for i, v := range append(a.PCM(), b.PCM()...) {
		if pcm[i] != v {
			t.Fatalf("sample %d is %d, not %d", i, pcm[i], v)
		}
	}
	for _, c := range []Codec{PCMA, PCMU} {
		for _, v := range j.codes[c][1333:] {
			if v != c.silence() {
				t.Errorf("%v: padded with %#x", c, v)
			}
		}
	}
}
