package media

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// deskLeg is a leg without sockets or pacer, for parts that need one to report to.
func deskLeg() *Leg {
	return makeLeg(&Engine{}, nil, 0, "test")
}

func keysIn(l *Leg) (s string) {
	for {
		select {
		case d := <-l.Digits():
			s += string(d.Key)
		default:
			return s
		}
	}
}

func payload(code byte, end bool, duration int) []byte {
	b := []byte{code, 10, byte(duration >> 8), byte(duration)}
	if end {
		b[1] |= 0x80
	}
	return b
}

// A key held for 20 s is one digit, though its duration field overflows twice (RFC 4733 §2.5.1.3).
func TestLongPressIsOneDigit(t *testing.T) {
	l, e := deskLeg(), &events{}
	tick, ts, base := int64(0), uint32(0xFFFFFF00), 0
	for n := 160; n <= 20*Rate; n += 160 {
		if n-base > 0xFFFF {
			ts += 0xFFFF
			base += 0xFFFF
		}
		tick++
		e.receive(l, payload(5, false, n-base), ts, n == 160, tick)
		e.expire(l, tick)
	}
	for range 3 {
		e.receive(l, payload(5, true, 20*Rate-base), ts, false, tick)
	}
	d := <-l.Digits()
	if more := keysIn(l); d.Key != '5' || more != "" {
		t.Fatalf("got %c and then %q", d.Key, more)
	}
	if d.Length < 19*time.Second || d.Length > 21*time.Second {
		t.Errorf("length is %v", d.Length)
	}
}

func TestEventWhoseTimestampRunsIsOneDigit(t *testing.T) {
	l, e := deskLeg(), &events{}
	for i := range 7 {
		n := min(i+1, 5)
		e.receive(l, payload(3, i >= 4, n*160), uint32(1000+i*160), i == 0, int64(i))
	}
	e.expire(l, 100)
	if got := keysIn(l); got != "3" {
		t.Errorf("digits %q", got)
	}
}

func TestLateEventPacketsAreIgnored(t *testing.T) {
	l, e := deskLeg(), &events{}
	for i, ts := range []uint32{1000, 3000, 5000} {
		e.receive(l, payload(byte(i+1), true, 800), ts, true, int64(i*12))
		e.receive(l, payload(byte(i), true, 800), ts-2000, false, int64(i*12))
	}
	if got := keysIn(l); got != "123" {
		t.Errorf("digits %q", got)
	}
}

func TestFlashAndShortEventsAreNoDigits(t *testing.T) {
	l, e := deskLeg(), &events{}
	e.receive(l, payload(16, true, 800), 1, true, 1)
	e.receive(l, []byte{1, 0x8A, 0}, 2, true, 2)
	e.receive(l, nil, 3, true, 3)
	if got := keysIn(l); got != "" {
		t.Errorf("digits %q", got)
	}
}

// Whatever is lost or doubled: as long as one packet of each key press comes through, and none comes after the next
// press has begun, every press is reported exactly once and in order.
func TestEachPressIsReportedOnceWhateverIsLost(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l, e := deskLeg(), &events{}
		keys := rapid.SliceOfN(rapid.IntRange(0, 15), 1, 20).Draw(t, "keys")
		ts := rapid.Uint32().Draw(t, "ts")
		want := ""
		tick := int64(0)
		for _, k := range keys {
			want += string(keypad[k])
			frames := rapid.IntRange(2, 30).Draw(t, "frames")
			some := false
			for i := range frames + 3 {
				tick++
				copies := rapid.SampledFrom([]int{0, 0, 1, 1, 1, 2}).Draw(t, "copies")
				if i == frames+2 && !some {
					copies = 1
				}
				// A burst of losses longer than eventGap looks like a release: keep it shorter.
				if tick-e.last >= eventGap-1 && some {
					copies = 1
				}
				for range copies {
					some = true
					e.receive(l, payload(byte(k), i >= frames, min(i, frames)*160), ts, i == 0, tick)
				}
				e.expire(l, tick)
			}
			pause := rapid.IntRange(2, 20).Draw(t, "pause")
			tick += int64(pause)
			e.expire(l, tick)
			ts += uint32(frames+3+pause) * 160
		}
		e.expire(l, tick+eventGap+1)
		if got := keysIn(l); got != want {
			t.Fatalf("pressed %q, got %q", want, got)
		}
	})
}
