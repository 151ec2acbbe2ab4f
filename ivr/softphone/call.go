package softphone

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"lianxin/sip/media"
)

// bye is what both kinds of dialogs can do.
type bye interface {
	Bye(ctx context.Context) error
	Close() error
}

// Call is a conversation.
type Call struct {
	p    *Phone
	d    bye
	leg  *media.Leg
	tap  *media.Tap
	done chan struct{}
	deaf chan struct{} // nothing more will be heard
	told chan int      // status of a transfer that was asked for
	once sync.Once
	ours atomic.Bool // we hang up

	mu      sync.Mutex
	heard   []byte // 16-bit samples, little endian
	mark    int    // up to here it was looked at
	stopper func()
}

func (p *Phone) begin(leg *media.Leg, sdp []byte, d bye) (*Call, error) {
	agreed, err := params(sdp)
	if err != nil {
		return nil, err
	}
	c := &Call{p: p, d: d, leg: leg, done: make(chan struct{}), deaf: make(chan struct{}), told: make(chan int, 16)}
	c.tap = leg.Tap()
	go c.listen()
	if err := leg.Start(agreed); err != nil {
		return nil, err
	}
	p.mu.Lock()
	p.calls[c] = struct{}{}
	p.mu.Unlock()
	return c, nil
}

func (c *Call) listen() {
	defer close(c.deaf)
	frame := make([]int16, media.FrameSamples)
	for {
		n, err := c.tap.Read(context.Background(), frame)
		if err != nil {
			return
		}
		c.mu.Lock()
		for _, s := range frame[:n] {
			c.heard = binary.LittleEndian.AppendUint16(c.heard, uint16(s))
		}
		c.mu.Unlock()
	}
}

func (c *Call) end() {
	if c.over() {
		_ = c.leg.Close()
	}
}

// over notes the end of the call, once.
func (c *Call) over() (first bool) {
	c.once.Do(func() {
		first = true
		close(c.done)
		c.p.mu.Lock()
		delete(c.p.calls, c)
		c.p.mu.Unlock()
	})
	return first
}

// afterglow is how long a call that the far end has ended is still listened to: its last words may be on their way, and in the jitter
// buffer, when the BYE comes.
const afterglow = 600 * time.Millisecond

// ended ends the call because its dialog has.
func (c *Call) ended() {
	if c.ours.Load() {
		c.end()
	} else if c.over() {
		time.AfterFunc(afterglow, c.leg.Shut)
	}
}

// Done is closed when the call is over, whoever ended it.
func (c *Call) Done() <-chan struct{} { return c.done }

// Hangup ends the call.
func (c *Call) Hangup(ctx context.Context) error {
	select {
	case <-c.done:
		return nil
	default:
	}
	c.ours.Store(true)
	err := c.d.Bye(ctx)
	c.end()
	return err
}

// Press presses keys, as telephone events.
func (c *Call) Press(ctx context.Context, keys string) error { return c.leg.SendDigits(ctx, keys) }

// Tone hums until the next call of Tone; 0 is silence.
func (c *Call) Tone(freq float64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopper != nil {
		c.stopper()
		c.stopper = nil
	}
	if freq > 0 {
		c.stopper = c.leg.Loop(media.Tone([]float64{freq}, time.Second))
	}
}

// Say speaks a prompt to its end.
func (c *Call) Say(ctx context.Context, p *media.Prompt) error { return c.leg.Play(ctx, p) }

// Leg is the call's end of the sound.
func (c *Call) Leg() *media.Leg { return c.leg }

// Hears waits until the prompt is heard, after what was heard before: passages of it, sample for sample. It returns an
// error when the call ends first, or ctx.
func (c *Call) Hears(ctx context.Context, p *media.Prompt) error {
	passages := passagesOf(p)
	return c.until(ctx, "prompt "+p.Name(), func(heard []byte) int {
		found, end := 0, 0
		for _, pass := range passages {
			for at := 0; ; {
				i := bytes.Index(heard[at:], pass)
				if i < 0 {
					break
				}
				if i += at; i%2 == 0 {
					found, end = found+1, max(end, i+len(pass))
					break
				}
				at = i + 1
			}
		}
		if found < min(2, len(passages)) || len(passages) == 0 {
			return -1
		}
		return end
	})
}

// HearsLoop waits until any passage of something that plays over and over is heard.
func (c *Call) HearsLoop(ctx context.Context, p *media.Prompt) error {
	pcm := bytesOf(p.PCM())
	return c.until(ctx, "loop "+p.Name(), func(heard []byte) int {
		for end := len(heard); end >= passage && end > len(heard)-40*passage; end -= passage / 2 {
			part := heard[end-passage : end]
			if loudness(part) > 200 && bytes.Contains(pcm, part) {
				return len(heard)
			}
		}
		return -1
	})
}

// HearsTone waits until a quarter of a second of a tone is heard that is most of the sound.
func (c *Call) HearsTone(ctx context.Context, freq float64) error {
	const window = media.Rate / 4 * 2
	return c.until(ctx, fmt.Sprintf("tone of %.0f Hz", freq), func(heard []byte) int {
		if len(heard) < window {
			return -1
		}
		part := heard[len(heard)-window:]
		if loudness(part) > 200 && share(part, freq) > 0.7 {
			return len(heard)
		}
		return -1
	})
}

func (c *Call) until(ctx context.Context, what string, found func(heard []byte) int) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	look := func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		n := found(c.heard[c.mark:])
		if n >= 0 {
			c.mark += n
		}
		return n >= 0
	}
	for {
		if look() {
			return nil
		}
		select {
		case <-tick.C:
		case <-c.deaf:
			if look() {
				return nil
			}
			return errors.New("the call ended before this was heard: " + what)
		case <-ctx.Done():
			return fmt.Errorf("not heard: %s: %w", what, ctx.Err())
		}
	}
}

// Heard is all that was heard so far, at 8 kHz.
func (c *Call) Heard() []int16 {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make([]int16, len(c.heard)/2)
	for i := range out {
		out[i] = int16(binary.LittleEndian.Uint16(c.heard[2*i:]))
	}
	return out
}

// passage is the length of what has to agree, in bytes: one frame of 20 ms, of which no two recordings share one. On a busy machine the
// frames beside it may be missing.
const passage = media.Rate / 50 * 2

// passagesOf picks loud passages of the second half: prompts often begin with the same words. Two of them have to be
// heard, so that a lost packet does not matter.
func passagesOf(p *media.Prompt) [][]byte {
	pcm := bytesOf(p.PCM())
	var out [][]byte
	for at := len(pcm) * 2 / 5 / passage * passage; at+passage <= len(pcm) && len(out) < 24; at += passage {
		if part := pcm[at : at+passage]; loudness(part) > 300 {
			out = append(out, part)
		}
	}
	return out
}

func bytesOf(pcm []int16) []byte {
	out := make([]byte, 0, 2*len(pcm))
	for _, s := range pcm {
		out = binary.LittleEndian.AppendUint16(out, uint16(s))
	}
	return out
}

func loudness(b []byte) float64 {
	sum := 0.0
	for i := 0; i+1 < len(b); i += 2 {
		s := float64(int16(binary.LittleEndian.Uint16(b[i:])))
		sum += s * s
	}
	return math.Sqrt(sum / float64(max(len(b)/2, 1)))
}

// share is the part of the energy that is at freq.
func share(b []byte, freq float64) float64 {
	var re, im, all float64
	n := len(b) / 2
	for i := range n {
		s := float64(int16(binary.LittleEndian.Uint16(b[2*i:])))
		sin, cos := math.Sincos(2 * math.Pi * freq * float64(i) / media.Rate)
		re, im, all = re+s*cos, im+s*sin, all+s*s
	}
	if all == 0 {
		return 0
	}
	return 2 * (re*re + im*im) / float64(n) / all
}
