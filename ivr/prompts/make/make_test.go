package main

import (
	"bytes"
	"context"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"lianxin/ivr/kb"
	"lianxin/ivr/prompts"
	"lianxin/sip/media"
	"lianxin/speech"
	"lianxin/speech/hanzi"
)

const shipped = "../zh-CN"

func rows(t *testing.T) []prompts.Entry {
	t.Helper()
	base, err := kb.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	return append(prompts.Table(), base.Prompts()...)
}

func floats(pcm []int16) []float64 {
	out := make([]float64, len(pcm))
	for i, s := range pcm {
		out[i] = float64(s) / 32768
	}
	return out
}

// TestEveryRecordingIsSound looks at each shipped file of ours as a listener would: format, level, peaks, silence at the ends,
// and a length that fits its words.
func TestEveryRecordingIsSound(t *testing.T) {
	w, err := openWork(shipped, speech.Espeak{})
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, e := range rows(t) {
		wav, err := os.ReadFile(w.path(e.Key))
		if err != nil {
			t.Error(err)
			continue
		}
		total += len(wav)
		p, err := media.LoadPrompt(e.Key, wav)
		if err != nil {
			t.Error(err)
			continue
		}
		if s, _ := w.state(e); s == studio {
			continue // a studio answers for its own
		}
		if !bytes.Equal(wav[20:28], []byte{6, 0, 1, 0, 0x40, 0x1f, 0, 0}) {
			t.Errorf("%s is not 8 kHz A-law mono: % x", e.Key, wav[20:28])
		}
		pcm := floats(p.PCM())
		var peak float64
		for _, x := range pcm {
			peak = max(peak, math.Abs(x))
		}
		if decibel(peak) > -2.5 {
			t.Errorf("%s peaks at %.1f dBFS", e.Key, decibel(peak))
		}
		if r := decibel(rms(pcm)); (r < -29 || r > -17) && e.Made != prompts.MadeTone {
			t.Errorf("%s has a level of %.1f dBFS", e.Key, r)
		}
		if e.Made != "" {
			continue
		}
		from, to := speechOf(pcm)
		if from > 100*rate/1000 || len(pcm)-to > 200*rate/1000 {
			t.Errorf("%s has %d ms of silence before and %d after", e.Key, from*1000/rate, (len(pcm)-to)*1000/rate)
		}
		count := 0
		for _, r := range hanzi.Plain(e.Text) {
			if unicode.Is(unicode.Han, r) {
				count++
			}
		}
		seconds := p.Duration().Seconds()
		if least, most := 0.12*float64(count)+0.1, 0.33*float64(count)+0.5; seconds < least || seconds > most {
			t.Errorf("%s: %d Hanzi in %.2f s, want %.2f–%.2f", e.Key, count, seconds, least, most)
		}
		if strings.HasPrefix(e.Key, "kb.") && seconds > 20 {
			t.Errorf("%s lasts %.1f s, longer than a caller listens", e.Key, seconds)
		}
	}
	if total > 12<<20 {
		t.Errorf("the recordings have %d bytes, more than 12 MiB", total)
	}
}

func TestRecordingsAreOfTheWordsInTheTable(t *testing.T) {
	w, err := openWork(shipped, speech.Espeak{})
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, e := range rows(t) {
		known[e.Key] = true
		if s, err := w.state(e); err != nil || s == missing || s == changed {
			t.Errorf("%s is %s, %v: run scripts/prompts.sh", e.Key, s, err)
		}
	}
	files, err := filepath.Glob(shipped + "/*.wav")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if key := strings.TrimSuffix(filepath.Base(f), ".wav"); !known[key] {
			t.Errorf("%s belongs to no row", f)
		}
	}
}

func TestWordsForTheSynthesiserHoldNoFiguresAndNoLatinWords(t *testing.T) {
	for _, e := range rows(t) {
		if e.Made != "" {
			continue
		}
		for _, r := range hanzi.Plain(e.Text) {
			if r < 0x80 && e.Spoken == "" {
				t.Errorf("%s: %q would be spoken as English or as a wrong number", e.Key, r)
			}
		}
	}
}

// TestOnlyWhatChangedIsRendered also shows that a studio's recording is never touched.
func TestOnlyWhatChangedIsRendered(t *testing.T) {
	if missing := missingTools(); len(missing) > 0 {
		t.Fatalf("this test needs the Debian packages %v", missing)
	}
	dir := t.TempDir()
	render := func(want string, rows ...prompts.Entry) {
		t.Helper()
		w, err := openWork(dir, speech.Espeak{})
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := w.renderAll(context.Background(), &out, rows, false); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(out.String(), want) {
			t.Errorf("want %q, got %q", want, out.String())
		}
	}
	hello, bye, tone := prompts.Entry{Key: "hello", Text: "您好"}, prompts.Entry{Key: "bye", Text: "再见"}, prompts.Entry{Key: "tone", Text: "（提示音）", Made: prompts.MadeTone}
	render("3 rendered, 0 up to date", hello, bye, tone)
	first, err := os.ReadFile(dir + "/hello.wav")
	if err != nil {
		t.Fatal(err)
	}
	render("0 rendered, 3 up to date", hello, bye, tone)
	hello.Text = "您好，请讲"
	render("1 rendered, 2 up to date", hello, bye, tone)
	if now, _ := os.ReadFile(dir + "/hello.wav"); bytes.Equal(now, first) {
		t.Error("other words, same recording")
	}
	if err := os.WriteFile(dir+"/bye.wav", first, 0o600); err != nil { // the studio delivers
		t.Fatal(err)
	}
	bye.Text = "再见，祝您平安"
	render("0 rendered, 2 up to date, 1 recorded by others", hello, bye, tone)
	if now, _ := os.ReadFile(dir + "/bye.wav"); !bytes.Equal(now, first) {
		t.Error("the studio's recording was overwritten")
	}
	render("0 rendered, 1 up to date, 0 recorded by others and left alone, 1 no longer used", tone)
	if _, err := os.Stat(dir + "/hello.wav"); err == nil {
		t.Error("our own recording stayed although no row names it")
	}
	if _, err := os.Stat(dir + "/bye.wav"); err != nil {
		t.Errorf("the studio's recording is gone: %v", err)
	}
}

func TestALawIsThatOfG711(t *testing.T) {
	code := make([]byte, 1)
	for s := math.MinInt16; s <= math.MaxInt16; s++ {
		media.PCMA.Encode(code, []int16{int16(s)})
		if got := alaw(int16(s)); got != code[0] {
			t.Fatalf("%d is coded %#x, the call's codec says %#x", s, got, code[0])
		}
	}
}

func TestMusicLoopsWithoutASeam(t *testing.T) {
	m := music()
	if s := float64(len(m)) / rate; s < 25 || s > 40 {
		t.Errorf("the music lasts %.1f s", s)
	}
	var step float64 // the largest step between neighbours inside
	for i := 1; i < len(m); i++ {
		step = max(step, math.Abs(m[i]-m[i-1]))
	}
	if seam := math.Abs(m[0] - m[len(m)-1]); seam > step {
		t.Errorf("a step of %.3f at the seam, %.3f at most inside", seam, step)
	}
	for i := 0; i+rate/2 <= len(m); i += rate / 2 {
		if r := decibel(rms(m[i : i+rate/2])); r < -40 {
			t.Errorf("silent at %.1f s: %.1f dBFS", float64(i)/rate, r)
		}
	}
}
