package speech

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"
)

// funasrServer follows the protocol of the two-pass servers and refuses, by closing, what they do not understand. It says
// one sentence for every three strides that are not silent; script gives the messages for it.
type funasrServer struct {
	*httptest.Server
	faults  chan string
	strides int
	begin   map[string]any
}

func newFunASR(t *testing.T, sentence func(n int) []string, ending []string) *funasrServer {
	s := &funasrServer{faults: make(chan string, 100)}
	fault := func(format string, args ...any) { s.faults <- fmt.Sprintf(format, args...) }
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"binary"}})
		if err != nil {
			fault("accept: %v", err)
			return
		}
		defer c.CloseNow()
		if c.Subprotocol() != "binary" {
			fault("subprotocol is %q", c.Subprotocol())
		}
		say := func(messages []string) {
			for _, m := range messages {
				if err := c.Write(r.Context(), websocket.MessageText, []byte(m)); err != nil {
					return
				}
			}
		}
		for {
			kind, b, err := c.Read(r.Context())
			if err != nil {
				return
			}
			switch {
			case s.begin == nil:
				if err := json.Unmarshal(b, &s.begin); err != nil || kind != websocket.MessageText {
					fault("the first frame is no configuration: %q", b)
					return // deaf, as the real one
				}
			case kind == websocket.MessageBinary:
				if len(b) != 1920 {
					fault("a binary frame of %d bytes", len(b))
				}
				s.strides++
				if s.strides%3 == 0 {
					say(sentence(s.strides / 3))
				}
			default:
				var end map[string]any
				if err := json.Unmarshal(b, &end); err != nil || end["is_speaking"] != false {
					fault("the last frame is %q", b)
				}
				say(ending)
			}
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *funasrServer) url() string { return "ws" + strings.TrimPrefix(s.URL, "http") }

func (s *funasrServer) check(t *testing.T) {
	t.Helper()
	for {
		select {
		case f := <-s.faults:
			t.Error(f)
		default:
			return
		}
	}
}

// converse feeds frames of 20 ms and returns what was understood.
func converse(t *testing.T, r Recognizer, frames int) []Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	s, err := r.Listen(ctx, Listen{ID: "call-1", Words: []string{"平山区", "明山区"}})
	if err != nil {
		t.Fatal(err)
	}
	results := make(chan []Result)
	go func() {
		var all []Result
		for r := range s.Results() {
			all = append(all, r)
		}
		results <- all
	}()
	for range frames {
		if err := s.Feed(make([]int16, FrameSamples)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Finish(ctx); err != nil {
		t.Errorf("finish: %v", err)
	}
	if err := s.Feed(make([]int16, FrameSamples)); !errors.Is(err, ErrFinished) {
		t.Errorf("Feed after Finish: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	return <-results
}

func TestASentenceIsOverWhenTheModeSaysSo(t *testing.T) {
	for name, v := range map[string]struct {
		sentence func(int) []string
		ending   []string
	}{
		// is_final is false throughout; the last message has no mode.
		"C++ server": {func(n int) []string {
			return []string{
				`{"mode":"2pass-online","text":"我要","wav_name":"call-1","is_final":false,"slice_type":0}`,
				`{"mode":"2pass-online","text":"反映","wav_name":"call-1","is_final":false,"slice_type":1}`,
				fmt.Sprintf(`{"mode":"2pass-offline","text":"我要反映%d。","wav_name":"call-1","is_final":false,"timestamp":"[[100,200],[200,500]]","stamp_sents":""}`, n),
			}
		}, []string{`{"is_final":true,"text":"","wav_name":"call-1"}`}},
		// is_final is true for every sentence; empty sentences; a timestamp that is an array; an acknowledgement at the end.
		"Python server": {func(n int) []string {
			return []string{
				`{"mode":"2pass-online","text":"我要","wav_name":"call-1","is_final":false}`,
				`{"mode":"2pass-online","text":"","wav_name":"call-1","is_final":false}`,
				`{"mode":"2pass-online","text":"反映","wav_name":"call-1","is_final":false}`,
				`{"mode":"2pass-offline","text":"","wav_name":"call-1","is_final":true}`,
				fmt.Sprintf(`{"mode":"2pass-offline","text":"我要反映%d。","wav_name":"call-1","is_final":true,"timestamp":[[100,200]],"stamp_sents":[{"text_seg":"我要"}]}`, n),
			}
		}, []string{`{"mode":"2pass-offline","text":"","wav_name":"call-1","is_final":true}`, `{"mode":"2pass","wav_name":"call-1","is_final":true,"is_end":true}`}},
		// No acknowledgement: the last sentence comes after an empty one.
		"older Python server": {func(n int) []string {
			return []string{
				`{"mode":"2pass-online","text":"我要","wav_name":"call-1","is_final":false}`,
				`{"mode":"2pass-online","text":"反映","wav_name":"call-1","is_final":false}`,
				fmt.Sprintf(`{"mode":"2pass-offline","text":"我要反映%d。","is_final":true,"timestamp":1234}`, n),
			}
		}, []string{`{"mode":"2pass-offline","text":"","is_final":true}`}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newFunASR(t, v.sentence, v.ending)
			got := converse(t, FunASR{URL: s.url()}, 17) // 340 ms: five strides and a padded one
			want := []Result{
				{Text: "我要"}, {Text: "我要反映"}, {Text: "我要反映1。", Final: true},
				{Text: "我要"}, {Text: "我要反映"}, {Text: "我要反映2。", Final: true},
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			s.check(t)
			if s.strides != 6 {
				t.Errorf("%d strides for 340 ms, want 6", s.strides)
			}
		})
	}
}

func TestTheConfigurationIsWhatBothServersRead(t *testing.T) {
	s := newFunASR(t, func(int) []string { return nil }, []string{`{"is_final":true}`})
	converse(t, FunASR{URL: s.url()}, 3)
	want := map[string]any{
		"mode": "2pass", "wav_name": "call-1", "is_speaking": true, "wav_format": "pcm", "audio_fs": 16000.0,
		"chunk_size": []any{5.0, 10.0, 5.0}, "chunk_interval": 10.0, "encoder_chunk_look_back": 4.0, "decoder_chunk_look_back": 0.0,
		"hotwords": `{"平山区":20,"明山区":20}`, "itn": true,
	}
	if diff := cmp.Diff(want, s.begin); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestAServerThatNeverEndsIsLeft(t *testing.T) {
	s := newFunASR(t, func(int) []string { return nil }, nil)
	st, err := FunASR{URL: s.url()}.Listen(context.Background(), Listen{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := st.Finish(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Finish: %v", err)
	}
	for range st.Results() { // is closed all the same
	}
}

func TestAServerThatGoesAwayIsAnError(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, err := websocket.Accept(w, r, nil); err == nil {
			c.Read(r.Context())
			c.CloseNow()
		}
	}))
	defer s.Close()
	st, err := FunASR{URL: "ws" + strings.TrimPrefix(s.URL, "http")}.Listen(context.Background(), Listen{})
	if err != nil {
		t.Fatal(err)
	}
	for range st.Results() {
	}
	if st.Err() == nil {
		t.Error("no error for a connection that broke")
	}
	if err := st.Feed(make([]int16, FrameSamples)); !errors.Is(err, ErrFinished) {
		t.Errorf("Feed: %v", err)
	}
}

func TestAnErrorOfTheServerIsNotRepeated(t *testing.T) {
	s := newFunASR(t, func(int) []string { return []string{`{"mode":"2pass","is_end":true,"error":"heard 13800138000"}`} }, nil)
	st, err := FunASR{URL: s.url()}.Listen(context.Background(), Listen{})
	if err != nil {
		t.Fatal(err)
	}
	for range 9 {
		st.Feed(make([]int16, FrameSamples))
	}
	for range st.Results() {
	}
	if err := st.Err(); err == nil || strings.Contains(err.Error(), "138") {
		t.Errorf("error is %v", err)
	}
}

func TestAServerThatDoesNotReadIsGivenUp(t *testing.T) {
	hold := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, err := websocket.Accept(w, r, nil); err == nil {
			<-hold
			c.CloseNow()
		}
	}))
	defer s.Close()
	defer close(hold)
	st, err := FunASR{URL: "ws" + strings.TrimPrefix(s.URL, "http")}.Listen(context.Background(), Listen{})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	second := make([]int16, Rate)
	for range 3600 {
		if err := st.Feed(second); err != nil {
			if !errors.Is(err, ErrOverrun) {
				t.Errorf("Feed: %v", err)
			}
			return
		}
	}
	t.Error("an hour was taken for a server that reads nothing")
}

func TestNoServerIsAnErrorWithinTheTime(t *testing.T) {
	if _, err := (FunASR{URL: "ws://127.0.0.1:1", Connect: time.Second}).Listen(context.Background(), Listen{}); err == nil {
		t.Error("connected to nothing")
	}
}

func TestCloseEndsTheStreamWithoutAnError(t *testing.T) {
	s := newFunASR(t, func(int) []string { return nil }, nil)
	st, err := FunASR{URL: s.url()}.Listen(context.Background(), Listen{})
	if err != nil {
		t.Fatal(err)
	}
	st.Feed(make([]int16, 10*FrameSamples))
	st.Close()
	st.Close()
	for range st.Results() {
	}
	if err := st.Err(); err != nil {
		t.Errorf("error is %v", err)
	}
}

func TestDoubledSpeechIsTheSameSpeech(t *testing.T) {
	for _, hz := range []float64{100, 440, 1000, 2500, 3200} {
		var d doubler
		var out []int16
		sine := func(t float64) float64 { return 12000 * math.Sin(2*math.Pi*hz*t) }
		for n := range 100 { // in frames, so that seams would show
			frame := make([]int16, 80)
			for i := range frame {
				frame[i] = int16(math.Round(sine(float64(80*n+i) / 8000)))
			}
			out = d.add(out, frame)
		}
		var fault, power float64
		for i := 200; i < len(out); i++ {
			want := sine(float64(i)/16000 - halfTaps/8000.0)
			fault += (float64(out[i]) - want) * (float64(out[i]) - want)
			power += want * want
		}
		if snr := 10 * math.Log10(power/fault); snr < 20 {
			t.Errorf("%.0f Hz: %.1f dB of signal over fault", hz, snr)
		}
	}
	// A square wave at full scale overshoots between samples and must be clipped there, not wrapped to the other sign.
	var d doubler
	loud := make([]int16, 100)
	for i := range loud {
		loud[i] = math.MaxInt16 * int16(1-2*(i/5%2))
	}
	out := d.add(nil, loud)
	for i := 21; i+1 < len(out); i += 2 {
		if a, b := out[i-1], out[i+1]; a == b && (out[i] > 0) != (a > 0) {
			t.Fatalf("sample %d between %d and %d is %d", i, a, b, out[i])
		}
	}
}

func TestAStrideIsLittleEndianAndPadded(t *testing.T) {
	b := stride([]int16{-2, 3})
	if len(b) != strideBytes || int16(binary.LittleEndian.Uint16(b)) != -2 || int16(binary.LittleEndian.Uint16(b[2:])) != 3 || b[4] != 0 {
		t.Errorf("% x…", b[:6])
	}
}
