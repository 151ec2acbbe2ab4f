package prompts_test

import (
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lianxin/ivr/kb"
	"lianxin/ivr/prompts"
)

func load(t *testing.T, dir string) *prompts.Set {
	t.Helper()
	base, err := kb.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	s, err := prompts.Load(prompts.Options{Dir: dir, More: base.Prompts()})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestEveryRowIsRecorded(t *testing.T) {
	s := load(t, "")
	for _, e := range s.Unrecorded() {
		t.Errorf("%s has no recording: run scripts/prompts.sh", e.Key)
	}
	if len(s.Keys()) < len(prompts.Table()) {
		t.Errorf("%d prompts for %d rows", len(s.Keys()), len(prompts.Table()))
	}
	for _, key := range s.Keys() {
		p, err := s.Get(key)
		if err != nil {
			t.Error(err)
		} else if p.Duration() < 100*time.Millisecond || p.Duration() > 40*time.Second {
			t.Errorf("%s lasts %s", key, p.Duration())
		}
	}
}

// wav is a 16-bit PCM file of a sine of 440 Hz.
func wav(rate int, d time.Duration) []byte {
	n := int(d * time.Duration(rate) / time.Second)
	b := []byte("RIFF\x00\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00")
	b = binary.LittleEndian.AppendUint32(b, uint32(rate))
	b = binary.LittleEndian.AppendUint32(b, uint32(2*rate))
	b = append(b, 2, 0, 16, 0)
	b = append(b, "data"...)
	b = binary.LittleEndian.AppendUint32(b, uint32(2*n))
	for i := range n {
		b = binary.LittleEndian.AppendUint16(b, uint16(int16(8000*math.Sin(2*math.Pi*440*float64(i)/float64(rate)))))
	}
	binary.LittleEndian.PutUint32(b[4:], uint32(len(b)-8))
	return b
}

func put(t *testing.T, dir, name string, b []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestAStudiosRecordingIsPreferred(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "greeting.wav", wav(44100, 3*time.Second))
	put(t, dir, "kb.noise.wav", wav(8000, 2*time.Second))
	put(t, dir, "script.txt", nil)
	s := load(t, dir)
	for key, want := range map[string]time.Duration{"greeting": 3 * time.Second, "kb.noise": 2 * time.Second} {
		if p, err := s.Get(key); err != nil || (p.Duration()-want).Abs() > 5*time.Millisecond {
			t.Errorf("%s is not the studio's: %v, %v", key, p.Duration(), err)
		}
	}
	shipped, _ := load(t, "").Get("goodbye")
	if p, _ := s.Get("goodbye"); p.Duration() != shipped.Duration() {
		t.Error("a prompt that the studio has not recorded is not the shipped one")
	}
}

func TestARecordingThatCannotBeUsedIsRefusedByName(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "greetings.wav", wav(8000, time.Second))
	put(t, dir, "goodbye.wav", []byte("RIFF but no more"))
	_, err := prompts.Load(prompts.Options{Dir: dir})
	if err == nil || !strings.Contains(err.Error(), "greetings.wav") || !strings.Contains(err.Error(), "goodbye.wav") {
		t.Errorf("want both files named: %v", err)
	}
	if _, err := prompts.Load(prompts.Options{Dir: filepath.Join(dir, "none")}); err == nil {
		t.Error("a directory that is not there was accepted")
	}
}

func TestARowBesideTheTableNeedsNoRecording(t *testing.T) {
	s, err := prompts.Load(prompts.Options{More: []prompts.Entry{{Key: "kb.new", Text: "新的问题"}}})
	if err != nil {
		t.Fatal(err)
	}
	if u := s.Unrecorded(); s.Has("kb.new") || len(u) != 1 || u[0].Key != "kb.new" {
		t.Errorf("unrecorded: %v", u)
	}
	if _, err := prompts.Load(prompts.Options{More: []prompts.Entry{{Key: "greeting", Text: "喂"}}}); err == nil {
		t.Error("a row beside the table took the key of one in it")
	}
}

func TestSayJoinsWithThePausesOfTheText(t *testing.T) {
	s := load(t, "")
	length := func(keys ...string) (sum time.Duration) {
		for _, k := range keys {
			p, err := s.Get(k)
			if err != nil {
				t.Fatal(err)
			}
			sum += p.Duration()
		}
		return sum
	}
	for _, v := range []struct {
		keys  []string
		pause bool
	}{
		{[]string{"queue.ahead", "people.3", "queue.ahead.tail"}, false}, // one sentence
		{[]string{"notice.recording", "greeting"}, true},                 // two
		{[]string{"d.1", prompts.Pause, "d.2"}, false},
		{[]string{"goodbye"}, false}, // nothing follows
	} {
		p, err := s.Say(v.keys...)
		if err != nil {
			t.Fatal(err)
		}
		if extra := p.Duration() - length(v.keys...); (extra > 50*time.Millisecond) != v.pause || extra < 0 {
			t.Errorf("%v: %s of pause", v.keys, extra)
		}
	}
	if got := s.Text("queue.ahead", "people.3", "queue.ahead.tail"); got != "您前面还有三位群众在等候。" {
		t.Errorf("text is %s", got)
	}
}

func TestAnUnknownKeyIsAnError(t *testing.T) {
	s := load(t, "")
	if _, err := s.Get("nothing"); !errors.Is(err, prompts.ErrUnknown) {
		t.Errorf("Get: %v", err)
	}
	if _, err := s.Say("greeting", "nothing"); !errors.Is(err, prompts.ErrUnknown) {
		t.Errorf("Say: %v", err)
	}
	if _, err := s.Say(); !errors.Is(err, prompts.ErrUnknown) {
		t.Errorf("Say of nothing: %v", err)
	}
}

func TestEveryPublicStateCanBeTold(t *testing.T) {
	for _, state := range []string{"NEW", "ACCEPTED", "DISPATCHED", "HANDLING", "SUSPENDED", "REVIEWING", "REPLIED", "RATING", "REWORK", "CLOSED", "ARCHIVED", "ANSWERED", "TRANSFERRED", "REFUSED", "MERGED", "WITHDRAWN"} {
		if key, ok := prompts.Progress(state); !ok {
			t.Errorf("no prompt %s", key)
		}
	}
	if _, ok := prompts.Progress("DREAMING"); ok {
		t.Error("a state that does not exist can be told")
	}
}

func TestATableWithAFaultIsRefused(t *testing.T) {
	for name, table := range map[string]string{
		"no text":       "- {key: a}",
		"upper case":    "- {key: A, text: 好}",
		"path":          "- {key: ../a, text: 好}",
		"twice":         "- {key: a, text: 好}\n- {key: a, text: 好}",
		"unknown field": "- {key: a, text: 好, txet: 好}",
		"unknown maker": "- {key: a, text: 好, made: noise}",
		"no list":       "key: a",
	} {
		if _, err := prompts.ReadTable([]byte(table)); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}
