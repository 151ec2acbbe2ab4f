package media

import (
	"context"
	"fmt"
	"strings"
)

// keying is digits on their way out as telephone events (RFC 4733 §2.5.1): while a key is down one packet per
// frame with a growing duration, then the last one three times, then a pause with voice.
type keying struct {
	keys string
	step int // frames since the present key began
	ts   uint32
	buf  [4]byte
	done chan struct{}
}

const (
	keyDown  = 5  // frames with a key down: 100 ms
	keyEnd   = 3  // copies of the last packet
	keyPause = 5  // frames between keys
	keyWait  = 50 // frames that a comma stands for: 1 s
	keyLoud  = 10 // power of the event, −10 dBm0
)

// next is the event packet of this frame, scale being the units of its clock per sample; no payload means that voice is sent.
func (k *keying) next(now, scale uint32) (payload []byte, marker bool, ts uint32, over bool) {
	if k.keys == "" {
		return nil, false, 0, true
	}
	key := k.keys[0]
	k.step++
	if key == ',' {
		if k.step >= keyWait {
			k.keys, k.step = k.keys[1:], 0
		}
		return nil, false, 0, k.keys == ""
	}
	switch {
	case k.step == 1:
		k.ts = now
		fallthrough
	case k.step <= keyDown+keyEnd-1:
		n := min(k.step, keyDown)
		duration := n * FrameSamples * int(scale)
		k.buf = [4]byte{byte(strings.IndexByte(keypad, key)), keyLoud, byte(duration >> 8), byte(duration)}
		if k.step >= keyDown {
			k.buf[1] |= 0x80
		}
		return k.buf[:], k.step == 1, k.ts, false
	case k.step < keyDown+keyEnd-1+keyPause:
		return nil, false, 0, false
	}
	k.keys, k.step = k.keys[1:], 0
	return nil, false, 0, k.keys == ""
}

// SendDigits presses keys (0–9 * # A–D, a comma waits a second) towards the far end and returns when the last
// has been sent: as telephone events where they are negotiated, otherwise as tones. It returns ErrClosed
// when the leg closes and ctx.Err() when ctx ends; keys not yet begun are then not sent.
func (l *Leg) SendDigits(ctx context.Context, keys string) error {
	keys = strings.ToUpper(keys)
	for _, k := range keys {
		if !strings.ContainsRune(keypad+",", k) {
			return fmt.Errorf("send digits: %q is no key", k)
		}
	}
	s := l.setup.Load()
	if s == nil && l.closing.Load() {
		return ErrClosed
	}
	if s == nil {
		return fmt.Errorf("send digits: %w", ErrNotStarted)
	}
	if keys == "" {
		return nil
	}
	if s.DTMF == 0 {
		return l.Play(ctx, dtmfPrompt(keys))
	}
	if err := l.turn(ctx, l.keyTurn); err != nil {
		return err
	}
	defer func() { l.keyTurn <- struct{}{} }()
	k := &keying{keys: keys, done: make(chan struct{})}
	l.keys.Store(k)
	defer l.keys.CompareAndSwap(k, nil)
	return l.await(ctx, k.done)
}

// dtmfPrompt is keys as tones (ITU-T Q.23).
func dtmfPrompt(keys string) *Prompt {
	var parts []*Prompt
	for _, k := range keys {
		if k == ',' {
			parts = append(parts, Silence(keyWait*FrameTime))
			continue
		}
		low, high := dtmfTones(k)
		parts = append(parts, Tone([]float64{low, high}, keyDown*FrameTime), Silence(keyPause*FrameTime))
	}
	return Join(parts...)
}
