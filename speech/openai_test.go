package speech

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lianxin/sip/media"
)

// vowel is a voiced sound of n samples at about −17 dBFS.
func vowel(n int) []int16 {
	out := make([]int16, n)
	for i := range out {
		t := float64(i) / Rate
		v := math.Sin(2*math.Pi*180*t) + 0.6*math.Sin(2*math.Pi*540*t) + 0.3*math.Sin(2*math.Pi*1260*t)
		out[i] = int16(4500 * v * (0.7 + 0.3*math.Sin(2*math.Pi*4*t)))
	}
	return out
}

// hiss is white noise of n samples at a level in dBFS.
func hiss(r *rand.Rand, n int, level float64) []int16 {
	out := make([]int16, n)
	for i := range out {
		out[i] = int16(32768 * math.Pow(10, level/20) * r.NormFloat64())
	}
	return out
}

// whisperer answers transcriptions: the n-th request is understood as 第n句.
func whisperer(t *testing.T, handle func(w http.ResponseWriter, r *http.Request, n int)) (OpenAI, *atomic.Int32) {
	var count atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handle(w, r, int(count.Add(1)))
	}))
	t.Cleanup(s.Close)
	return OpenAI{Base: s.URL + "/v1/", Key: "sesame", Timeout: 10 * time.Second}, &count
}

func TestOneRequestPerUtterance(t *testing.T) {
	faults := make(chan string, 100)
	server, _ := whisperer(t, func(w http.ResponseWriter, r *http.Request, n int) {
		if r.URL.Path != "/v1/audio/transcriptions" || r.Header.Get("Authorization") != "Bearer sesame" {
			faults <- "path or key: " + r.URL.Path
		}
		file, head, err := r.FormFile("file")
		if err != nil {
			faults <- err.Error()
			return
		}
		b, _ := io.ReadAll(file)
		wav, err := media.ParseWAV(b)
		if err != nil || wav.Rate != 8000 || wav.Channels != 1 || !strings.HasSuffix(head.Filename, ".wav") {
			faults <- fmt.Sprintf("file %s: %v", head.Filename, err)
		}
		if d := time.Duration(len(wav.Samples)) * time.Second / Rate; d < 1200*time.Millisecond || d > 2500*time.Millisecond {
			faults <- fmt.Sprintf("utterance %d lasts %s", n, d)
		}
		for k, want := range map[string]string{"model": "paraformer-zh", "language": "zh", "response_format": "json", "prompt": "平山区，明山区"} {
			if got := r.FormValue(k); got != want {
				faults <- fmt.Sprintf("%s is %q", k, got)
			}
		}
		fmt.Fprintf(w, `{"text":" 第%d句。 ","usage":{}}`, n)
	})
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	s, err := OpenAIRecognizer{OpenAI: server, Model: "paraformer-zh"}.Listen(ctx, Listen{Words: []string{"平山区", "明山区"}})
	if err != nil {
		t.Fatal(err)
	}
	all := make(chan []Result)
	go func() {
		var got []Result
		for r := range s.Results() {
			got = append(got, Result{Text: r.Text, Final: r.Final})
			if r.End <= r.Start {
				faults <- fmt.Sprintf("from %s to %s", r.Start, r.End)
			}
		}
		all <- got
	}()
	noise := rand.New(rand.NewSource(1))
	for _, part := range [][]int16{hiss(noise, Rate, -60), vowel(Rate), hiss(noise, Rate, -60), vowel(Rate), hiss(noise, Rate, -60), vowel(Rate)} {
		for len(part) > 0 { // in pieces that are no frames
			n := min(len(part), 250)
			if err := s.Feed(part[:n]); err != nil {
				t.Fatal(err)
			}
			part = part[n:]
		}
	}
	if err := s.Finish(ctx); err != nil { // in the middle of the third
		t.Error(err)
	}
	want := []Result{{Text: "第1句。", Final: true}, {Text: "第2句。", Final: true}, {Text: "第3句。", Final: true}}
	if diff := cmp.Diff(want, <-all); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	close(faults)
	for f := range faults {
		t.Error(f)
	}
}

func TestAFailureIsNotTriedAgainAndTellsNothing(t *testing.T) {
	for name, handle := range map[string]func(w http.ResponseWriter){
		"status":  func(w http.ResponseWriter) { http.Error(w, "heard 13800138000 sesame", http.StatusInternalServerError) },
		"no json": func(w http.ResponseWriter) { io.WriteString(w, "13800138000") },
		"no text": func(w http.ResponseWriter) { io.WriteString(w, `{"error":"13800138000"}`) },
		"long":    func(w http.ResponseWriter) { io.WriteString(w, `{"text":"`+strings.Repeat("好", mostText)+`"}`) },
	} {
		server, count := whisperer(t, func(w http.ResponseWriter, r *http.Request, _ int) {
			io.Copy(io.Discard, r.Body)
			handle(w)
		})
		text, err := OpenAIRecognizer{OpenAI: server}.Transcribe(context.Background(), vowel(Rate), nil)
		if err == nil || text != "" {
			t.Errorf("%s: %q, no error", name, text)
		} else if strings.Contains(err.Error(), "138") || strings.Contains(err.Error(), "sesame") {
			t.Errorf("%s: the error tells too much: %v", name, err)
		}
		if n := count.Load(); n != 1 {
			t.Errorf("%s: asked %d times", name, n)
		}
	}
}

func TestAFailureEndsTheStream(t *testing.T) {
	server, _ := whisperer(t, func(w http.ResponseWriter, _ *http.Request, _ int) { w.WriteHeader(http.StatusBadGateway) })
	s, err := OpenAIRecognizer{OpenAI: server}.Listen(context.Background(), Listen{})
	if err != nil {
		t.Fatal(err)
	}
	s.Feed(vowel(Rate))
	s.Feed(make([]int16, Rate))
	for range s.Results() {
	}
	if s.Err() == nil {
		t.Error("no error")
	}
	if err := s.Feed(vowel(Rate)); !errors.Is(err, ErrFinished) {
		t.Errorf("Feed: %v", err)
	}
}

func TestASlowServerIsGivenUp(t *testing.T) {
	hold := make(chan struct{})
	server, _ := whisperer(t, func(http.ResponseWriter, *http.Request, int) { <-hold })
	defer close(hold)
	s, err := OpenAIRecognizer{OpenAI: server}.Listen(context.Background(), Listen{})
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if err = s.Feed(append(vowel(Rate/2), make([]int16, Rate)...)); err != nil {
			break
		}
	}
	if !errors.Is(err, ErrOverrun) {
		t.Errorf("twenty utterances wait for a server that does not answer: %v", err)
	}

	quick := server
	quick.Timeout = 50 * time.Millisecond
	if _, err := (OpenAIRecognizer{OpenAI: quick}).Transcribe(context.Background(), vowel(Rate), nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("no time limit: %v", err)
	}
}

func TestClosingAStreamIsNoError(t *testing.T) {
	hold := make(chan struct{})
	server, _ := whisperer(t, func(http.ResponseWriter, *http.Request, int) { <-hold })
	defer close(hold)
	ctx, cancel := context.WithCancel(context.Background())
	for _, end := range []func(Stream){func(s Stream) { s.Close() }, func(Stream) { cancel() }} {
		s, err := OpenAIRecognizer{OpenAI: server}.Listen(ctx, Listen{})
		if err != nil {
			t.Fatal(err)
		}
		s.Feed(vowel(Rate))
		s.Feed(make([]int16, Rate))
		end(s)
		for range s.Results() {
		}
		if err := s.Err(); err != nil {
			t.Errorf("error: %v", err)
		}
	}
}

func TestSpeechIsAskedForAsWAV(t *testing.T) {
	// A streamed file: the sizes are not known when the header is written.
	streamed := wav16(vowel(Rate), 24000)
	binary.LittleEndian.PutUint32(streamed[4:], 0xFFFFFFFF)
	binary.LittleEndian.PutUint32(streamed[40:], 0xFFFFFFFF)
	server, count := whisperer(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		var ask map[string]any
		if err := json.NewDecoder(r.Body).Decode(&ask); err != nil || r.URL.Path != "/v1/audio/speech" {
			http.Error(w, "", http.StatusBadRequest)
			return
		}
		want := map[string]any{"model": "m", "voice": "v", "input": "请拨打幺幺零", "response_format": "wav", "speed": 1.1}
		if diff := cmp.Diff(want, ask); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		w.Write(streamed)
	})
	s := OpenAISynthesizer{OpenAI: server, Model: "m", Voice: "v", Speed: 1.1}
	wav, err := s.Synthesize(context.Background(), "请拨打110")
	if err != nil {
		t.Fatal(err)
	}
	p, err := media.LoadPrompt("spoken", wav)
	if err != nil || (p.Duration()-time.Second/3).Abs() > 5*time.Millisecond {
		t.Errorf("the prompt lasts %s: %v", p.Duration(), err)
	}
	if _, err := s.Synthesize(context.Background(), "  "); err == nil || count.Load() != 1 {
		t.Error("silence was asked for")
	}
}

func TestAnAnswerThatIsNoSpeechIsAnError(t *testing.T) {
	for name, body := range map[string]string{"html": "<html>", "empty wav": string(wav16(nil, 8000)), "nothing": ""} {
		server, _ := whisperer(t, func(w http.ResponseWriter, _ *http.Request, _ int) { io.WriteString(w, body) })
		if _, err := (OpenAISynthesizer{OpenAI: server}).Synthesize(context.Background(), "您好"); err == nil {
			t.Errorf("%s was taken for speech", name)
		}
	}
}

func FuzzMend(f *testing.F) {
	f.Add(wav16(vowel(100), 8000))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) >= 44 {
			mend(b)
		}
	})
}
