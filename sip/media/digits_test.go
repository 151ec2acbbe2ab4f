package media_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"lianxin/sip/media"
	"lianxin/sip/media/mediatest"
)

// keysOf waits until as many digits came and then a little, so that a digit too many shows.
func keysOf(t testing.TB, l *media.Leg, want string) []media.Digit {
	t.Helper()
	var got []media.Digit
	timeout := time.After(patience)
	for len(got) < len(want) {
		select {
		case d := <-l.Digits():
			got = append(got, d)
		case <-timeout:
			t.Fatalf("%d digits of %q came: %v", len(got), want, got)
		}
	}
	select {
	case d := <-l.Digits():
		t.Fatalf("a digit too many: %v after %v", d, got)
	case <-time.After(300 * time.Millisecond):
	}
	var s strings.Builder
	for _, d := range got {
		s.WriteRune(d.Key)
	}
	if s.String() != want {
		t.Fatalf("digits are %q, pressed were %q", s.String(), want)
	}
	return got
}

func TestEveryKeyPressIsReportedOnce(t *testing.T) {
	t.Parallel()
	leg, peer := dial(t, newEngine(t), mediatest.Phone{})
	peer.Tone(440) // voice before, between and after
	peer.Press("0123456789*#ABCD", false)
	for _, d := range keysOf(t, leg, "0123456789*#ABCD") {
		// Shorter is possible: when this machine stops the telephone in the middle of a key, the key times out.
		if d.Source != media.RTPEvent || d.Length > 80*time.Millisecond {
			t.Errorf("digit %+v", d)
		}
	}
}

// sipp's captures begin an event with duration 0; engines that ignore such events see no digit at all.
func TestEventThatBeginsWithDurationZero(t *testing.T) {
	t.Parallel()
	leg, peer := dial(t, newEngine(t), mediatest.Phone{})
	peer.Press("1590", true)
	keysOf(t, leg, "1590")
}

func TestSameKeyTwiceIsTwoDigits(t *testing.T) {
	t.Parallel()
	leg, peer := dial(t, newEngine(t), mediatest.Phone{})
	peer.Press("7777", false)
	keysOf(t, leg, "7777")
}

func TestDigitsSurviveLostEventPackets(t *testing.T) {
	t.Parallel()
	for name, drop := range map[string]func(n int) bool{
		"the beginning":      func(n int) bool { return n%7 < 4 },
		"the end":            func(n int) bool { return n%7 >= 4 },
		"all but one end":    func(n int) bool { return n%7 != 6 },
		"all but the first":  func(n int) bool { return n%7 != 0 },
		"every second":       func(n int) bool { return n%2 == 0 },
		"all but the middle": func(n int) bool { return n%7 != 2 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			leg, peer := dial(t, newEngine(t), mediatest.Phone{})
			peer.DropEvents(drop)
			peer.Press("481", true)
			keysOf(t, leg, "481")
		})
	}
}

func TestDigitsSurviveABadNetwork(t *testing.T) {
	t.Parallel()
	e := newEngine(t)
	peer := mediatest.NewPeer(t, mediatest.Phone{})
	leg, err := e.Open()
	check(t, err)
	defer leg.Close()
	proxy := mediatest.NewProxy(t, local(leg), mediatest.Network{
		Loss: 0.1, Duplicate: 0.2, Reorder: 0.1, Jitter: 15 * time.Millisecond, Seed: 7,
	})
	check(t, leg.Start(media.Params{Remote: proxy.Back(), Codec: media.PCMA, DTMF: 101, Send: true, Receive: true}))
	peer.Call(proxy.Front())
	peer.Tone(440)
	keys := strings.Repeat("1234567890*#", 2)
	peer.Press(keys, true)
	keysOf(t, leg, keys)
	if c := proxy.Counts(); c.Lost == 0 || c.Duplicated == 0 || c.Reordered == 0 {
		t.Errorf("the network was not bad: %+v", c)
	}
}

func TestInfoDigitsAreTaken(t *testing.T) {
	t.Parallel()
	leg, _ := dial(t, newEngine(t), mediatest.Phone{})
	for _, k := range "12a#" {
		if !leg.PushDigit(k) {
			t.Errorf("%c was refused", k)
		}
	}
	if leg.PushDigit('x') || leg.PushDigit('１') {
		t.Error("something that is no key was taken")
	}
	for _, d := range keysOf(t, leg, "12A#") {
		if d.Source != media.Info {
			t.Errorf("digit %+v", d)
		}
	}
}

// Many phones send a digit as event and as INFO.
func TestFirstSourceOfDigitsWins(t *testing.T) {
	t.Parallel()
	leg, peer := dial(t, newEngine(t), mediatest.Phone{})
	peer.Press("1", false)
	keysOf(t, leg, "1")
	if leg.PushDigit('1') {
		t.Error("a digit by INFO was taken in a call whose digits come by RTP")
	}
	peer.Press("2", false)
	keysOf(t, leg, "2")

	other, phone := dial(t, newEngine(t), mediatest.Phone{})
	other.PushDigit('5')
	phone.Press("5", false)
	keysOf(t, other, "5")
}

func TestKeysAreSentAsEvents(t *testing.T) {
	t.Parallel()
	leg, peer := dial(t, newEngine(t), mediatest.Phone{})
	go leg.Play(context.Background(), media.Tone([]float64{440}, time.Minute))
	check(t, peer.WaitTone(440, patience))
	check(t, leg.SendDigits(context.Background(), "46110110*#d"))
	eventually(t, "all keys", func() bool { return peer.Digits() == "46110110*#D" })
	check(t, peer.WaitTone(440, patience))
	ends, markers, stamps := 0, 0, map[uint32]int{}
	for _, p := range peer.Packets() {
		if p.PayloadType != 101 {
			continue
		}
		stamps[p.Timestamp]++
		if p.Marker {
			markers++
		}
		if p.Payload[1]&0x80 != 0 {
			ends++
			if d := int(p.Payload[2])<<8 | int(p.Payload[3]); d != 800 {
				t.Errorf("event of %d samples", d)
			}
		}
	}
	if len(stamps) != 11 || markers != 11 || ends != 33 {
		t.Errorf("%d events with %d markers and %d end packets", len(stamps), markers, ends)
	}
	if err := leg.SendDigits(context.Background(), "1x"); err == nil {
		t.Error("x was sent")
	}
}

func TestKeysOnHoldDoNotWaitForEver(t *testing.T) {
	t.Parallel()
	leg, peer := dial(t, newEngine(t), mediatest.Phone{}, func(p *media.Params) { p.Send = false })
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	check(t, leg.SendDigits(ctx, "12"))
	if d := peer.Digits(); d != "" {
		t.Errorf("%q was sent on hold", d)
	}
}

func TestKeysAreTonesWithoutEvents(t *testing.T) {
	t.Parallel()
	e := newEngine(t)
	none := func(p *media.Params) { p.DTMF = 0 }
	leg, peer := dial(t, e, mediatest.Phone{}, none)
	go leg.SendDigits(context.Background(), "555555555")
	check(t, peer.WaitTones(patience, 770, 1336))
}
