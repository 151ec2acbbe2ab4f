package speech

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"strings"
	"sync"
	"time"

	"lianxin/speech/hanzi"
)

// OpenAI is a server that speaks the OpenAI HTTP interface for audio: FunASR, speaches, vLLM and others do.
// One POST is one attempt: nothing is tried again while a caller waits.
type OpenAI struct {
	Base    string        // with the version: http://host:8000/v1
	Key     string        // bearer token; empty: none. Never logged
	Timeout time.Duration // for one request with its answer; 10 s by default
	Client  *http.Client  // for TLS and proxies of one's own; http.DefaultClient by default
}

// most is how much of an answer is read.
const (
	mostText  = 1 << 20
	mostAudio = 32 << 20
)

// post sends a body and returns the answer, which is bounded by most. Errors hold the status and never the
// body, which may repeat what a caller said.
func (o OpenAI) post(ctx context.Context, path, contentType string, body io.Reader, most int64) ([]byte, error) {
	timeout := o.Timeout
	if timeout == 0 {
		timeout = 10 * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimRight(o.Base, "/")+path, body)
	if err != nil {
		return nil, err
	}
	req.GetBody = nil // or net/http might send it twice
	req.Header.Set("Content-Type", contentType)
	if o.Key != "" {
		req.Header.Set("Authorization", "Bearer "+o.Key)
	}
	client := o.Client
	if client == nil {
		client = http.DefaultClient
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("POST %s: status %s", path, resp.Status)
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, most+1))
	if err != nil {
		return nil, fmt.Errorf("POST %s: %w", path, err)
	}
	if int64(len(b)) > most {
		return nil, fmt.Errorf("POST %s: the answer is longer than %d bytes", path, most)
	}
	return b, nil
}

// OpenAIRecognizer hears one utterance a request, found by an Endpointer: POST {base}/audio/transcriptions.
type OpenAIRecognizer struct {
	OpenAI
	Model    string         // as the server calls it; required by most
	Endpoint EndpointConfig // when an utterance is over
}

var _ Recognizer = OpenAIRecognizer{}

// Name is the interface and the model.
func (r OpenAIRecognizer) Name() string { return "openai/" + r.Model }

// Transcribe hears 8 kHz samples in one request. The text may be empty.
func (r OpenAIRecognizer) Transcribe(ctx context.Context, samples []int16, words []string) (string, error) {
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	fields := [][2]string{{"model", r.Model}, {"language", "zh"}, {"response_format", "json"}}
	if len(words) > 0 {
		fields = append(fields, [2]string{"prompt", strings.Join(words, "，")})
	}
	for _, f := range fields {
		form.WriteField(f[0], f[1]) // a bytes.Buffer never fails
	}
	part, err := form.CreatePart(textproto.MIMEHeader{
		"Content-Disposition": {`form-data; name="file"; filename="utterance.wav"`},
		"Content-Type":        {"audio/wav"},
	})
	if err != nil {
		return "", fmt.Errorf("recognise speech: %w", err)
	}
	part.Write(wav16(samples, Rate))
	form.Close()
	b, err := r.post(ctx, "/audio/transcriptions", form.FormDataContentType(), &body, mostText)
	if err != nil {
		return "", fmt.Errorf("recognise speech: %w", err)
	}
	var answer struct {
		Text *string `json:"text"`
	}
	if err := json.Unmarshal(b, &answer); err != nil {
		return "", fmt.Errorf("recognise speech: the answer is no JSON of a transcription")
	}
	if answer.Text == nil {
		return "", fmt.Errorf("recognise speech: the answer has no text")
	}
	return strings.TrimSpace(*answer.Text), nil
}

// Listen opens a stream that makes no request until the first utterance is over.
func (r OpenAIRecognizer) Listen(ctx context.Context, opt Listen) (Stream, error) {
	ctx, cancel := context.WithCancel(ctx)
	s := &utterances{
		recognizer: r, opt: opt, ctx: ctx, cancel: cancel,
		endpointer: NewEndpointer(r.Endpoint),
		heard:      make(chan Utterance, 4),
		results:    make(chan Result, 4),
		done:       make(chan struct{}),
	}
	go s.run()
	return s, nil
}

// utterances is a Stream of one request per utterance, in order.
type utterances struct {
	recognizer OpenAIRecognizer
	opt        Listen
	ctx        context.Context
	cancel     context.CancelFunc
	heard      chan Utterance
	results    chan Result
	done       chan struct{} // closed when results is

	mu         sync.Mutex // guards what follows
	endpointer *Endpointer
	rest       []int16 // less than a frame
	finished   bool
	err        error
}

func (s *utterances) Feed(samples []int16) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.finished {
		return errors.Join(ErrFinished, s.err)
	}
	s.rest = append(s.rest, samples...)
	for len(s.rest) >= FrameSamples {
		event := s.endpointer.Feed(s.rest[:FrameSamples])
		s.rest = append(s.rest[:0], s.rest[FrameSamples:]...)
		if event == SpeechEnded {
			if err := s.hand(); err != nil {
				return err
			}
		}
	}
	return nil
}

// hand gives the last utterance to run, or gives the stream up when it is too far behind.
func (s *utterances) hand() error {
	select {
	case s.heard <- s.endpointer.Utterance():
		return nil
	default:
		s.fail(ErrOverrun)
		return ErrOverrun
	}
}

// fail ends the stream; s.mu is held.
func (s *utterances) fail(err error) {
	if s.err == nil {
		s.err = err
	}
	if !s.finished {
		s.finished = true
		close(s.heard)
	}
	s.cancel()
}

func (s *utterances) run() {
	defer close(s.done)
	defer close(s.results)
	defer s.cancel()
	for {
		var u Utterance
		var more bool
		select {
		case u, more = <-s.heard:
		case <-s.ctx.Done():
		}
		if s.ctx.Err() != nil {
			s.mu.Lock()
			s.fail(s.ctx.Err())
			s.mu.Unlock()
			return
		}
		if !more {
			return
		}
		text, err := s.recognizer.Transcribe(s.ctx, u.Samples, s.opt.Words)
		if err != nil {
			s.mu.Lock()
			s.fail(err)
			s.mu.Unlock()
			return
		}
		if text == "" {
			continue
		}
		select {
		case s.results <- Result{Text: text, Final: true, Start: u.Start, End: u.End}:
		case <-s.ctx.Done():
		}
	}
}

func (s *utterances) Results() <-chan Result { return s.results }

func (s *utterances) Finish(ctx context.Context) error {
	s.mu.Lock()
	if !s.finished {
		if s.endpointer.Flush() == SpeechEnded {
			if err := s.hand(); err != nil {
				s.mu.Unlock()
				return err
			}
		}
		s.finished = true
		close(s.heard)
	}
	s.mu.Unlock()
	select {
	case <-s.done:
		return s.Err()
	case <-ctx.Done():
		s.Close()
		return fmt.Errorf("finish recognition: %w", ctx.Err())
	}
}

func (s *utterances) Close() error {
	s.mu.Lock()
	if !s.finished {
		s.finished = true
		close(s.heard)
	}
	s.mu.Unlock()
	s.cancel()
	return nil
}

func (s *utterances) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if errors.Is(s.err, context.Canceled) {
		return nil // we were asked to stop
	}
	return s.err
}

// OpenAISynthesizer speaks: POST {base}/audio/speech.
type OpenAISynthesizer struct {
	OpenAI
	Model string
	Voice string
	Speed float64 // 0.25–4; 0 leaves it to the server
}

var _ Synthesizer = OpenAISynthesizer{}

// Name is the interface, the model and the voice.
func (s OpenAISynthesizer) Name() string { return "openai/" + s.Model + "/" + s.Voice }

// Synthesize asks for WAV, whose header says its rate, and mends the sizes that a streaming server could not know.
func (s OpenAISynthesizer) Synthesize(ctx context.Context, text string) ([]byte, error) {
	if strings.TrimSpace(text) == "" {
		return nil, fmt.Errorf("synthesise speech: empty text")
	}
	ask := map[string]any{"model": s.Model, "voice": s.Voice, "input": hanzi.Plain(text), "response_format": "wav"}
	if s.Speed != 0 {
		ask["speed"] = s.Speed
	}
	body, err := json.Marshal(ask)
	if err != nil {
		return nil, fmt.Errorf("synthesise speech: %w", err)
	}
	wav, err := s.post(ctx, "/audio/speech", "application/json", bytes.NewReader(body), mostAudio)
	if err != nil {
		return nil, fmt.Errorf("synthesise speech: %w", err)
	}
	if len(wav) < 44 || string(wav[:4]) != "RIFF" || string(wav[8:12]) != "WAVE" {
		return nil, fmt.Errorf("synthesise speech: the answer is no WAV file")
	}
	mend(wav)
	if len(wav) < 44+400 {
		return nil, fmt.Errorf("synthesise speech: %w", ErrNoSpeech)
	}
	return wav, nil
}

// mend sets the sizes of a WAV file that was streamed, and whose header therefore says 0 or far too much.
func mend(wav []byte) {
	binary.LittleEndian.PutUint32(wav[4:], uint32(len(wav)-8))
	for at := 12; at+8 <= len(wav); {
		size := int64(binary.LittleEndian.Uint32(wav[at+4:]))
		rest := int64(len(wav) - at - 8)
		if string(wav[at:at+4]) == "data" {
			if size == 0 || size > rest {
				binary.LittleEndian.PutUint32(wav[at+4:], uint32(rest))
			}
			return
		}
		if size > rest {
			return
		}
		at += 8 + int(size+size&1)
	}
}

// wav16 is a file of 16-bit PCM, mono.
func wav16(samples []int16, rate uint32) []byte {
	b := make([]byte, 0, 44+2*len(samples))
	le := binary.LittleEndian
	b = append(b, "RIFF"...)
	b = le.AppendUint32(b, uint32(36+2*len(samples)))
	b = append(b, "WAVEfmt "...)
	b = le.AppendUint32(b, 16)
	b = le.AppendUint16(b, 1)
	b = le.AppendUint16(b, 1)
	b = le.AppendUint32(b, rate)
	b = le.AppendUint32(b, 2*rate)
	b = le.AppendUint16(b, 2)
	b = le.AppendUint16(b, 16)
	b = append(b, "data"...)
	b = le.AppendUint32(b, uint32(2*len(samples)))
	for _, s := range samples {
		b = le.AppendUint16(b, uint16(s))
	}
	return b
}
