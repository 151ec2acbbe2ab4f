// Package speech hears and speaks Mandarin on telephone calls: recognisers and synthesisers behind
// two interfaces, voice activity, and the words that must reach a person at once.
//
// Nothing here is on by default and no model comes with it: keys (DTMF) and recorded prompts always
// work without it.
package speech

import (
	"context"
	"errors"
	"time"
)

// Rate is the sample rate of every []int16 in this package: 8000 Hz, one channel, as on the line.
const Rate = 8000

// FrameSamples is the length of a frame of 20 ms.
const FrameSamples = Rate / 50

var (
	// ErrOverrun is returned by Feed when the recogniser has fallen so far behind that the stream was given up.
	ErrOverrun = errors.New("recogniser fell behind the call")
	// ErrFinished is returned by Feed after Finish or Close.
	ErrFinished = errors.New("recognition stream is finished")
	// ErrNoSpeech is returned when a synthesiser answered with no audio.
	ErrNoSpeech = errors.New("synthesiser returned no audio")
)

// A Recognizer turns what a caller says into text. Implementations are safe for use by many calls at
// once.
type Recognizer interface {
	// Name says which recogniser it is, for logs and the call's record.
	Name() string

	// Listen opens a stream for one caller. It may connect to a server, within ctx; ctx then bounds the
	// whole stream, and its end closes it. A failure means that this call goes on with keys: it is
	// never tried again during the call.
	Listen(ctx context.Context, opt Listen) (Stream, error)
}

// Listen says what is known about the call that a stream belongs to.
type Listen struct {
	ID    string   // our id, given back by some servers in their logs; no personal data
	Words []string // words to favour: place names, units; may be ignored
}

// A Stream is one caller being listened to. Feed is called by one goroutine, Results read by another.
type Stream interface {
	// Feed gives the next samples, 8 kHz, in frames of 20 ms or any other length. It copies them and
	// never waits for a network: it is called from the path that paces media. It returns ErrOverrun
	// when the recogniser no longer keeps up, ErrFinished after Finish, or what broke the stream.
	Feed(samples []int16) error

	// Results gives what was understood: any number of results with Final false, each replacing the
	// one before, then one with Final true for each utterance. It is closed when the stream has ended.
	Results() <-chan Result

	// Finish says that no more samples will come, waits for the last results to be put into Results and closes
	// it, within ctx. Results must be read meanwhile.
	Finish(ctx context.Context) error

	// Close gives the stream up at once. It is safe to call at any time and more than once.
	Close() error

	// Err is what broke the stream, once Results is closed; nil after an orderly end.
	Err() error
}

// A Result is something understood.
type Result struct {
	Text  string
	Final bool          // the utterance is over and Text is all of it
	Start time.Duration // of the utterance from the start of the stream; zero when the recogniser does not say
	End   time.Duration
}

// A Synthesizer speaks plain Chinese text, numbers included (see hanzi.Plain, which every
// implementation applies itself).
type Synthesizer interface {
	// Name says which synthesiser and voice it is; a change of voice changes the name.
	Name() string

	// Synthesize returns a WAV file of the text, mono, of any rate and of a coding that media.LoadPrompt
	// reads, within ctx. An empty text is an error, and so is silence (ErrNoSpeech). It never tries
	// twice: a caller hears the wait.
	Synthesize(ctx context.Context, text string) ([]byte, error)
}
