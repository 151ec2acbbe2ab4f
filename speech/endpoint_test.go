package speech

import (
	"fmt"
	"math/rand"
	"os"
	"testing"
	"time"

	"lianxin/sip/media"
)

// listen feeds samples in frames and returns the utterances, the last one flushed.
func listen(e *Endpointer, samples []int16) (all []Utterance) {
	for ; len(samples) >= FrameSamples; samples = samples[FrameSamples:] {
		if e.Feed(samples[:FrameSamples]) == SpeechEnded {
			all = append(all, e.Utterance())
		}
	}
	if e.Flush() == SpeechEnded {
		all = append(all, e.Utterance())
	}
	return all
}

func join(parts ...[]int16) (out []int16) {
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

func mix(a, b []int16) []int16 {
	out := make([]int16, len(a))
	for i := range a {
		out[i] = int16(min(max(int(a[i])+int(b[i]), -32768), 32767))
	}
	return out
}

func TestSpeechIsFoundInSilenceAndInNoise(t *testing.T) {
	for _, level := range []float64{-90, -60, -50, -40, -35} {
		t.Run(fmt.Sprintf("noise of %.0f dBFS", level), func(t *testing.T) {
			r := rand.New(rand.NewSource(1))
			gap := make([]int16, Rate)
			clean := join(gap, gap, vowel(Rate), gap, vowel(2*Rate), gap)
			got := listen(NewEndpointer(EndpointConfig{}), mix(clean, hiss(r, len(clean), level)))
			if len(got) != 2 {
				t.Fatalf("%d utterances", len(got))
			}
			for i, want := range []struct{ start, end time.Duration }{{2 * time.Second, 3 * time.Second}, {4 * time.Second, 6 * time.Second}} {
				u := got[i]
				if lead := want.start - u.Start; lead < 0 || lead > 500*time.Millisecond {
					t.Errorf("utterance %d begins at %s, the speech at %s", i, u.Start, want.start)
				}
				if tail := u.End - want.end; tail < 600*time.Millisecond || tail > 900*time.Millisecond {
					t.Errorf("utterance %d ends at %s, the speech at %s", i, u.End, want.end)
				}
				if d := time.Duration(len(u.Samples)) * time.Second / Rate; d != u.End-u.Start {
					t.Errorf("utterance %d has %s of audio from %s to %s", i, d, u.Start, u.End)
				}
			}
		})
	}
}

func TestNoiseAloneIsNoSpeech(t *testing.T) {
	r := rand.New(rand.NewSource(2))
	for _, level := range []float64{-90, -55, -45, -35, -28} {
		e := NewEndpointer(EndpointConfig{})
		listen(e, hiss(r, 3*Rate, level)) // a steady line may be taken for speech until it is learned
		if got := listen(e, hiss(r, 60*Rate, level)); len(got) > 1 {
			t.Errorf("%.0f dBFS: %d utterances in a minute", level, len(got))
		}
	}
}

func TestAClickIsNoSpeech(t *testing.T) {
	click := vowel(Rate / 20) // 50 ms
	if got := listen(NewEndpointer(EndpointConfig{}), join(make([]int16, Rate), click, make([]int16, Rate), click, make([]int16, Rate))); len(got) != 0 {
		t.Errorf("%d utterances", len(got))
	}
}

func TestAPauseForBreathDoesNotEndAnUtterance(t *testing.T) {
	pause := make([]int16, Rate/2)
	if got := listen(NewEndpointer(EndpointConfig{}), join(make([]int16, Rate), vowel(Rate), pause, vowel(Rate), pause, vowel(Rate), make([]int16, Rate))); len(got) != 1 {
		t.Errorf("%d utterances", len(got))
	}
}

func TestAnEndlessUtteranceIsCut(t *testing.T) {
	got := listen(NewEndpointer(EndpointConfig{Longest: 5 * time.Second}), join(make([]int16, Rate), vowel(12*Rate)))
	if len(got) == 0 {
		t.Fatal("no utterance")
	}
	for _, u := range got {
		if u.End-u.Start > 5*time.Second {
			t.Errorf("an utterance of %s", u.End-u.Start)
		}
	}
}

func TestTheEchoOfAPromptIsNoSpeechWhileItPlays(t *testing.T) {
	echo := vowel(2 * Rate)
	for i := range echo {
		echo[i] /= 16 // −24 dB
	}
	audio := mix(join(make([]int16, 2*Rate), echo, make([]int16, Rate)), hiss(rand.New(rand.NewSource(3)), 5*Rate, -62))
	plain, raised := NewEndpointer(EndpointConfig{}), NewEndpointer(EndpointConfig{})
	raised.Raise(18)
	if a, b := len(listen(plain, audio)), len(listen(raised, audio)); a != 1 || b != 0 {
		t.Errorf("%d utterances, %d with the threshold raised", a, b)
	}
}

func TestSpeechInARealSentenceIsFound(t *testing.T) {
	for _, key := range []string{"greeting", "menu.main", "danger.110"} {
		wav, err := os.ReadFile("../ivr/prompts/zh-CN/" + key + ".wav")
		if err != nil {
			t.Fatal(err)
		}
		p, err := media.LoadPrompt(key, wav)
		if err != nil {
			t.Fatal(err)
		}
		audio := join(make([]int16, Rate), p.PCM(), make([]int16, Rate))
		got := listen(NewEndpointer(EndpointConfig{}), mix(audio, hiss(rand.New(rand.NewSource(4)), len(audio), -55)))
		if len(got) != 1 {
			t.Errorf("%s: %d utterances", key, len(got))
			continue
		}
		if d := got[0].End - got[0].Start; d < p.Duration() || d > p.Duration()+1400*time.Millisecond {
			t.Errorf("%s lasts %s, the utterance %s", key, p.Duration(), d)
		}
	}
}

func FuzzEndpointer(f *testing.F) {
	f.Add([]byte{1, 2, 3, 4}, 5)
	f.Fuzz(func(t *testing.T, b []byte, repeat int) {
		frame := make([]int16, len(b)/2)
		for i := range frame {
			frame[i] = int16(uint16(b[2*i]) | uint16(b[2*i+1])<<8)
		}
		e := NewEndpointer(EndpointConfig{})
		for range min(max(repeat, 0), 3000) {
			if e.Feed(frame) == SpeechEnded && e.Utterance().End <= e.Utterance().Start {
				t.Fatal("an utterance without length")
			}
		}
	})
}
