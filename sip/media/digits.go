package media

import (
	"strings"
	"time"
)

// A Digit is one key press of the far end, reported once.
type Digit struct {
	Key    rune // 0–9 * # A–D
	Source DigitSource
	Length time.Duration // how long it was held, as far as known
}

// DigitSource is the way a digit came. Phones may send a digit in two ways at once, so the first way seen
// in a call is the only one believed in it.
type DigitSource int32

const (
	RTPEvent DigitSource = iota + 1 // RFC 4733
	Info                            // SIP INFO, through PushDigit
	InBand                          // heard as a tone
)

// String names the source.
func (s DigitSource) String() string {
	switch s {
	case RTPEvent:
		return "rtp-event"
	case Info:
		return "info"
	case InBand:
		return "in-band"
	}
	return "none"
}

const keypad = "0123456789*#ABCD" // in the order of the event codes of RFC 4733 §3.2

// Digits delivers key presses in the order in which they were made. The channel is never closed: wait for
// Done or a ctx as well. It holds 64; digits beyond that are dropped and counted in Stats.
func (l *Leg) Digits() <-chan Digit { return l.keyed() }

func (l *Leg) keyed() chan Digit {
	l.digitsMade.Do(func() { l.digits = make(chan Digit, 64) })
	return l.digits
}

// PushDigit reports a key press that came by signalling (SIP INFO). It says whether the key was taken:
// unknown keys are not, nor is one of a call whose digits come by RTP.
func (l *Leg) PushDigit(key rune) bool {
	if key >= 'a' && key <= 'd' {
		key += 'A' - 'a'
	}
	if !strings.ContainsRune(keypad, key) || l.closing.Load() {
		return false
	}
	return l.pushDigit(key, Info, 0)
}

func (l *Leg) pushDigit(key rune, source DigitSource, length time.Duration) bool {
	if !l.digitSource.CompareAndSwap(0, int32(source)) && l.digitSource.Load() != int32(source) {
		return false
	}
	select {
	case l.keyed() <- Digit{key, source, length}:
		return true
	default:
		l.digitsLost.Add(1)
		return false
	}
}

// events receives telephone events (RFC 4733). A digit is reported at its first packet with the E bit, or when
// its packets stop coming; its packets are known by their common RTP timestamp, so that lost, doubled
// and reordered ones make no difference. A first packet with duration 0 is as good as any other.
type events struct {
	known    bool   // ts and code mean something
	open     bool   // being held, not reported yet
	ended    bool   // E bit seen
	ts       uint32 // of the event, or of the segment of a long one
	code     byte
	duration uint32 // samples, all segments
	before   uint32 // samples of earlier segments
	last     int64  // tick of the last packet
}

// eventGap is how many frames without a packet end an event whose end was lost.
const eventGap = 8

// Durations count in the clock of the events, which beside Opus is 48 kHz as a rule: their longest segment is then 1.4 s.
func (e *events) receive(l *Leg, payload []byte, ts uint32, marker bool, tick int64) {
	if len(payload) < 4 || payload[0] > 15 {
		return // flash hook, fax tones and so on are not keys
	}
	code, end := payload[0], payload[1]&0x80 != 0
	duration := uint32(payload[2])<<8 | uint32(payload[3])
	if !e.known || ts != e.ts || code != e.code {
		step := int32(ts - e.ts)
		switch {
		case e.known && step < 0 && step > -restartGap*8*int32(l.cur.eventClock()/Rate):
			return // a late packet of an earlier event
		case e.open && code == e.code && step > 0 && !marker && e.before+uint32(step) >= e.duration && step >= 0xFF00:
			// A key held for more than 0xFFFF samples goes on in a new segment (RFC 4733 §2.5.1.3).
			e.before += uint32(step)
			e.ts = ts
		case e.known && code == e.code && !marker && step > 0 && duration >= e.duration-e.before &&
			tick-e.last <= 3 && (e.open || end):
			// Some gateways let the timestamp run during an event: the same press still.
			e.ts = ts
		default:
			e.report(l)
			*e = events{known: true, open: true, ts: ts, code: code}
		}
	}
	e.last = tick
	e.duration = max(e.duration, e.before+duration)
	if end {
		e.ended = true
		e.report(l)
	}
}

// expire ends an event whose end packets were lost.
func (e *events) expire(l *Leg, tick int64) {
	if e.open && tick-e.last > eventGap {
		e.report(l)
	}
}

// flush reports what is still held when the leg ends.
func (e *events) flush(l *Leg) { e.report(l) }

func (e *events) report(l *Leg) {
	if !e.open {
		return
	}
	e.open = false
	l.pushDigit(rune(keypad[e.code]), RTPEvent, time.Duration(e.duration)*time.Second/time.Duration(l.cur.eventClock()))
}
