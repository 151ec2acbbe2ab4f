package media

import (
	"fmt"
	"math"
	"time"
)

// A Prompt is sound that is ready to be sent: encoded once in each codec and then shared, read-only, by all calls.
type Prompt struct {
	name    string
	samples int // without the padding of the last frame
	frames  int
	codes   [codecs][]byte // padded to whole frames; nothing at NoCodec
}

// LoadPrompt reads a WAV file: A-law, µ-law, 8-, 16- or 24-bit PCM or 32-bit float, any rate, mono or more
// channels (which are mixed). A-law at 8 kHz reaches an A-law leg byte for byte. The name is for errors and logs.
func LoadPrompt(name string, wav []byte) (*Prompt, error) {
	w, err := ParseWAV(wav)
	if err != nil {
		return nil, fmt.Errorf("load prompt %s: %w", name, err)
	}
	if w.Rate == Rate && w.Channels == 1 && w.law != NoCodec {
		return promptOf(name, w.law, w.codes), nil
	}
	return NewPrompt(name, w.Rate, w.Mono())
}

// NewPrompt makes a prompt from samples, for instance a synthesiser's. Rates other than 8 kHz are resampled.
func NewPrompt(name string, rate int, pcm []int16) (*Prompt, error) {
	pcm, err := Resample(pcm, rate, Rate)
	if err != nil {
		return nil, fmt.Errorf("load prompt %s: %w", name, err)
	}
	return promptPCM(name, pcm), nil
}

func promptPCM(name string, pcm []int16) *Prompt {
	p := &Prompt{name: name, samples: len(pcm)}
	for c := PCMA; c < codecs; c++ {
		p.codes[c] = make([]byte, len(pcm))
		c.Encode(p.codes[c], pcm)
	}
	return p.pad()
}

func promptOf(name string, law Codec, codes []byte) *Prompt {
	p := &Prompt{name: name, samples: len(codes)}
	for c := PCMA; c < codecs; c++ {
		p.codes[c] = make([]byte, len(codes))
		transcode(p.codes[c], c, codes, law)
	}
	return p.pad()
}

// pad fills the last frame with silence.
func (p *Prompt) pad() *Prompt {
	p.frames = (p.samples + FrameSamples - 1) / FrameSamples
	for c := PCMA; c < codecs; c++ {
		for len(p.codes[c]) < p.frames*FrameSamples {
			p.codes[c] = append(p.codes[c], c.silence())
		}
	}
	return p
}

// frame writes the n-th frame.
func (p *Prompt) frame(f *frame, c Codec, n int) {
	f.codec, f.quiet = c, false
	copy(f.b[:], p.codes[c][n*FrameSamples:])
}

// Name is what the prompt was called.
func (p *Prompt) Name() string { return p.name }

// Duration is the playing time.
func (p *Prompt) Duration() time.Duration {
	return time.Duration(p.samples) * time.Second / Rate
}

// PCM decodes the prompt.
func (p *Prompt) PCM() []int16 {
	pcm := make([]int16, p.samples)
	PCMA.Decode(pcm, p.codes[PCMA][:p.samples])
	return pcm
}

// Tone is a sum of sines of equal strength, together −10 dBm0, with 5 ms of rise and fall.
func Tone(freqs []float64, d time.Duration) *Prompt {
	pcm := make([]int16, int(d*Rate/time.Second))
	if len(freqs) == 0 {
		return promptPCM("tone", pcm)
	}
	// 0 dBm0 is a sine 3.14 dB below clipping (G.711 A-law); each sine gets its share of the power.
	peak := 32768 * math.Pow(10, (-10-3.14)/20) / math.Sqrt(float64(len(freqs)))
	const ramp = Rate / 200
	for i := range pcm {
		v := 0.0
		for _, f := range freqs {
			v += math.Sin(2 * math.Pi * f * float64(i) / Rate)
		}
		if edge := min(i, len(pcm)-1-i); edge < ramp {
			v *= float64(edge) / ramp
		}
		pcm[i] = clip(v * peak)
	}
	return promptPCM("tone", pcm)
}

func clip(v float64) int16 {
	return int16(min(max(math.Round(v), math.MinInt16), math.MaxInt16))
}

// Silence is quiet of a given length.
func Silence(d time.Duration) *Prompt {
	return promptPCM("silence", make([]int16, int(d*Rate/time.Second)))
}

// Join plays prompts one after the other, without a gap: a spoken number is joined from its parts.
func Join(prompts ...*Prompt) *Prompt {
	j := &Prompt{name: "joined"}
	for i, p := range prompts {
		if i == 0 {
			j.name = p.name
		} else {
			j.name += "+" + p.name
		}
		j.samples += p.samples
		for c := PCMA; c < codecs; c++ {
			j.codes[c] = append(j.codes[c], p.codes[c][:p.samples]...)
		}
	}
	return j.pad()
}
