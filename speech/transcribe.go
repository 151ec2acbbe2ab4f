package speech

import (
	"context"
	"strings"
	"time"
)

// A Transcriber is a recogniser that can take one utterance in one request.
type Transcriber interface {
	Transcribe(ctx context.Context, samples []int16, words []string) (string, error)
}

// Transcribe writes a recording of one speaker down, within ctx, one line an utterance: request by request where the recogniser is a
// Transcriber, else through a stream that is fed twice as fast as it was spoken. The text is empty when nothing was understood.
func Transcribe(ctx context.Context, r Recognizer, opt Listen, samples []int16) (string, error) {
	t, ok := r.(Transcriber)
	if !ok {
		return transcribeStream(ctx, r, opt, samples)
	}
	var lines []string
	e := NewEndpointer(EndpointConfig{})
	hear := func(ev Event) error {
		if ev != SpeechEnded {
			return nil
		}
		text, err := t.Transcribe(ctx, e.Utterance().Samples, opt.Words)
		if text != "" {
			lines = append(lines, text)
		}
		return err
	}
	for len(samples) > 0 {
		n := min(FrameSamples, len(samples))
		if err := hear(e.Feed(samples[:n])); err != nil {
			return "", err
		}
		samples = samples[n:]
	}
	err := hear(e.Flush())
	return strings.Join(lines, "\n"), err
}

func transcribeStream(ctx context.Context, r Recognizer, opt Listen, samples []int16) (string, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s, err := r.Listen(ctx, opt)
	if err != nil {
		return "", err
	}
	defer s.Close()
	lines := make(chan []string, 1)
	go func() {
		var all []string
		for x := range s.Results() {
			if text := strings.TrimSpace(x.Text); x.Final && text != "" {
				all = append(all, text)
			}
		}
		lines <- all
	}()
	tick := time.NewTicker(time.Second / 100) // frames are of 20 ms
	defer tick.Stop()
	for len(samples) > 0 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return "", ctx.Err()
		}
		n := min(FrameSamples, len(samples))
		if err := s.Feed(samples[:n]); err != nil {
			return "", err
		}
		samples = samples[n:]
	}
	if err := s.Finish(ctx); err != nil {
		return "", err
	}
	s.Close()
	select {
	case all := <-lines:
		return strings.Join(all, "\n"), s.Err()
	case <-ctx.Done():
		return "", ctx.Err()
	}
}
