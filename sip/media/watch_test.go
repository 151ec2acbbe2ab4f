package media_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"lianxin/sip/media"
	"lianxin/sip/media/mediatest"
)

func quick(c *media.Config) { c.FirstPacket, c.Silence = 500*time.Millisecond, 500*time.Millisecond }

// count watches a leg's time-outs.
func count(l *media.Leg) *atomic.Int32 {
	n := new(atomic.Int32)
	l.OnTimeout(func() { n.Add(1) })
	return n
}

func TestSilentFarEndTimesOutOnce(t *testing.T) {
	t.Parallel()
	e := newEngine(t, quick)
	leg, err := e.Open()
	check(t, err)
	defer leg.Close()
	n := count(leg)
	peer := mediatest.NewPeer(t, mediatest.Phone{}) // it never sends
	check(t, leg.Start(params(peer, media.PCMA)))
	eventually(t, "time-out at the start", func() bool { return n.Load() == 1 })
	time.Sleep(time.Second)
	if n.Load() != 1 {
		t.Errorf("%d time-outs", n.Load())
	}
	if leg.SilentFor() < 500*time.Millisecond || leg.Heard() {
		t.Errorf("silent for %v", leg.SilentFor())
	}
	// It comes, and goes again: that is another time-out.
	peer.Call(local(leg))
	eventually(t, "it is heard", leg.Heard)
	peer.Mute(true)
	eventually(t, "time-out later", func() bool { return n.Load() == 2 })
}

func TestHeldFarEndDoesNotTimeOut(t *testing.T) {
	t.Parallel()
	e := newEngine(t, quick)
	leg, peer := dial(t, e, mediatest.Phone{})
	check(t, peer.WaitSilence(patience))
	p := params(peer, media.PCMA)
	p.Receive = false
	check(t, leg.Update(p))
	n := count(leg)
	peer.Mute(true)
	time.Sleep(2 * time.Second)
	if n.Load() != 0 {
		t.Error("a held call timed out")
	}
	p.Receive = true
	check(t, leg.Update(p))
	eventually(t, "time-out after the hold", func() bool { return n.Load() == 1 })
}

func TestTapGivesWhatIsHeardInTime(t *testing.T) {
	t.Parallel()
	leg, peer := dial(t, newEngine(t), mediatest.Phone{Codec: media.PCMU})
	tap := leg.Tap()
	peer.Tone(440)
	waitTap(t, tap, 440)
	// A reader that sleeps loses the oldest, not the newest.
	time.Sleep(3 * time.Second)
	if tap.Dropped() == 0 {
		t.Error("nothing was dropped of 3 s")
	}
	peer.Tone(880)
	waitTap(t, tap, 880)
	tap.Close()
	tap.Close()
	for {
		if _, err := tap.Read(context.Background(), make([]int16, 160)); err != nil {
			if !errors.Is(err, media.ErrClosed) {
				t.Errorf("closed tap: %v", err)
			}
			break
		}
	}
	ctx, stop := context.WithCancel(context.Background())
	other := leg.Tap()
	waitTap(t, other, 880)
	stop()
	for {
		if _, err := other.Read(ctx, make([]int16, 160)); err != nil {
			if !errors.Is(err, context.Canceled) {
				t.Errorf("cancelled read: %v", err)
			}
			break
		}
	}
	leg.Close()
	for {
		if _, err := other.Read(context.Background(), make([]int16, 160)); err != nil {
			if !errors.Is(err, media.ErrClosed) {
				t.Errorf("tap of a closed leg: %v", err)
			}
			break
		}
	}
}

func TestStreamOverABadNetworkStaysUnderstandable(t *testing.T) {
	t.Parallel()
	e := newEngine(t)
	peer := mediatest.NewPeer(t, mediatest.Phone{})
	leg, err := e.Open()
	check(t, err)
	defer leg.Close()
	proxy := mediatest.NewProxy(t, local(leg), mediatest.Network{
		Loss: 0.05, Duplicate: 0.05, Reorder: 0.05, Jitter: 25 * time.Millisecond, Seed: 3,
	})
	check(t, leg.Start(media.Params{Remote: proxy.Back(), Codec: media.PCMA, Send: true, Receive: true}))
	peer.Call(proxy.Front())
	peer.Tone(440)
	tap := leg.Tap()
	waitTap(t, tap, 440)
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	frames, good := 250, 0
	for range frames {
		var f [160]int16
		_, err := tap.Read(ctx, f[:])
		check(t, err)
		if mediatest.Share(f[:], 440) > 0.8 {
			good++
		}
	}
	s := leg.Stats()
	if good < frames/2 {
		t.Errorf("%d of %d frames are good: %+v", good, frames, s)
	}
	if s.Lost == 0 || s.Duplicate == 0 || s.MOSIn <= 1 || s.MOSIn >= 4.3 {
		t.Errorf("figures: %+v", s)
	}
}

func TestOddPacketTimesAreHeardWhole(t *testing.T) {
	t.Parallel()
	for _, ptime := range []time.Duration{10, 30, 40, 60} {
		t.Run((ptime * time.Millisecond).String(), func(t *testing.T) {
			t.Parallel()
			e := newEngine(t)
			a, alice := dial(t, e, mediatest.Phone{Ptime: ptime * time.Millisecond})
			b, bob := dial(t, e, mediatest.Phone{})
			alice.Tone(440)
			_, err := media.Connect(a, b)
			check(t, err)
			check(t, bob.WaitTone(440, patience))
			for _, p := range bob.Packets() {
				if p.PayloadType == 8 && len(p.Payload) != 160 {
					t.Fatalf("packet of %d bytes", len(p.Payload))
				}
			}
		})
	}
}

func TestFarEndMayChangeAmongNegotiatedCodecs(t *testing.T) {
	t.Parallel()
	leg, peer := dial(t, newEngine(t), mediatest.Phone{}, func(p *media.Params) {
		p.Also = []media.Format{{Codec: media.PCMU, PT: 0}}
	})
	tap := leg.Tap()
	peer.Tone(440)
	waitTap(t, tap, 440)
	peer.SwitchCodec(media.PCMU)
	peer.Tone(880)
	waitTap(t, tap, 880)

	only, phone := dial(t, newEngine(t), mediatest.Phone{})
	phone.SwitchCodec(media.PCMU)
	eventually(t, "what was not negotiated is refused", func() bool { return only.Stats().WrongType > 20 })
}

func TestFarEndMayChangeItsSSRC(t *testing.T) {
	t.Parallel()
	leg, peer := dial(t, newEngine(t), mediatest.Phone{})
	tap := leg.Tap()
	peer.Tone(440)
	waitTap(t, tap, 440)
	peer.SwitchSSRC()
	peer.Tone(880)
	waitTap(t, tap, 880)
	if s := leg.Stats(); s.Lost > 2 || s.WrongSource > 1 {
		t.Errorf("the change was taken for a loss: %+v", s)
	}
}

func TestSequenceAndTimestampMayWrap(t *testing.T) {
	t.Parallel()
	leg, peer := dial(t, newEngine(t), mediatest.Phone{Seq: 65500, TS: 0xFFFFF000})
	peer.Tone(440)
	tap := leg.Tap()
	waitTap(t, tap, 440)
	eventually(t, "both have wrapped", func() bool { return leg.Stats().PacketsIn > 100 })
	tap.Close()
	waitTap(t, leg.Tap(), 440) // a new one: the old one still has the sound from before
	if s := leg.Stats(); s.Lost > 2 || s.Malformed > 0 {
		t.Errorf("figures: %+v", s)
	}
}

func TestPausesWithComfortNoiseAreSilence(t *testing.T) {
	t.Parallel()
	leg, peer := dial(t, newEngine(t), mediatest.Phone{})
	tap := leg.Tap()
	for range 3 {
		peer.Tone(440)
		peer.Mute(false)
		waitTap(t, tap, 440)
		peer.ComfortNoise(true)
		ctx, stop := context.WithTimeout(context.Background(), patience)
		quiet := 0
		for quiet < 10 {
			var f [160]int16
			_, err := tap.Read(ctx, f[:])
			check(t, err)
			if quiet++; mediatest.RMS(f[:]) > 0 {
				quiet = 0
			}
		}
		stop()
	}
	if s := leg.Stats(); s.Lost > 3 || s.WrongType > 0 {
		t.Errorf("pauses were taken for losses: %+v", s)
	}
}

func TestLegsReportToEachOtherByRTCP(t *testing.T) {
	t.Parallel()
	e := newEngine(t)
	open := func() *media.Leg {
		l, err := e.Open()
		check(t, err)
		t.Cleanup(func() { l.Close() })
		return l
	}
	a, b := open(), open()
	check(t, a.Start(media.Params{Remote: local(b), Codec: media.PCMA, Send: true, Receive: true}))
	check(t, b.Start(media.Params{Remote: local(a), Codec: media.PCMA, Send: true, Receive: true}))
	c, d := open(), open()
	check(t, c.Start(media.Params{Remote: local(d), Mux: true, Codec: media.PCMA, Send: true, Receive: true}))
	check(t, d.Start(media.Params{Remote: local(c), Mux: true, Codec: media.PCMA, Send: true, Receive: true}))
	for name, l := range map[string]*media.Leg{"two ports": a, "one port": c} {
		for end := time.Now().Add(3 * patience); ; time.Sleep(50 * time.Millisecond) {
			s := l.Stats()
			if s.FarKnown && s.MOSOut > 3.5 && s.MOSIn > 3.5 {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("%s: no report: %+v", name, s)
			}
		}
	}
}

func TestLatenessIsMeasured(t *testing.T) {
	t.Parallel()
	e := newEngine(t)
	dial(t, e, mediatest.Phone{})
	eventually(t, "figures", func() bool { return e.Lateness().Slots > 100 && e.Lateness().CPU > 0 })
	l := e.Lateness()
	if l.P50 <= 0 || l.P99 < l.P50 || l.Max < l.P99 || l.Busy < 0 || l.Busy > 1 {
		t.Errorf("figures: %+v", l)
	}
}
