package media_test

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"lianxin/sip/media"
	"lianxin/sip/media/mediatest"
)

// patience is how long a test waits for what should happen within milliseconds: the machine is shared.
const patience = 15 * time.Second

var loopback = netip.MustParseAddr("127.0.0.1")

func newEngine(t testing.TB, change ...func(*media.Config)) *media.Engine {
	t.Helper()
	cfg := media.Config{IP: loopback, Pacers: 1}
	for _, c := range change {
		c(&cfg)
	}
	e, err := media.NewEngine(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

// params is the agreement with a peer.
func params(p *mediatest.Peer, c media.Codec) media.Params {
	return media.Params{Remote: p.Addr(), Codec: c, DTMF: 101, Send: true, Receive: true}
}

func local(l *media.Leg) netip.AddrPort { return netip.AddrPortFrom(loopback, uint16(l.Port())) }

// dial makes a leg and a telephone that talk with each other.
func dial(t testing.TB, e *media.Engine, ph mediatest.Phone, change ...func(*media.Params)) (*media.Leg, *mediatest.Peer) {
	t.Helper()
	if ph.Codec == media.NoCodec {
		ph.Codec = media.PCMA
	}
	peer := mediatest.NewPeer(t, ph)
	leg, err := e.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { leg.Close() })
	p := params(peer, ph.Codec)
	for _, c := range change {
		c(&p)
	}
	if err := leg.Start(p); err != nil {
		t.Fatal(err)
	}
	peer.Call(local(leg))
	return leg, peer
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// skips is how often the machine stopped the pacer for so long that it skipped frames: then timestamps may jump.
func skips(e *media.Engine) int { return int(e.Lateness().Resyncs) }

// eventually waits for a condition.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("did not happen: %s", what)
}

func TestFarEndHearsAPromptWhole(t *testing.T) {
	t.Parallel()
	e := newEngine(t)
	for _, codec := range []media.Codec{media.PCMA, media.PCMU} {
		leg, peer := dial(t, e, mediatest.Phone{Codec: codec})
		prompt := media.Tone([]float64{440}, time.Second)
		check(t, leg.Play(context.Background(), prompt))
		eventually(t, "the prompt has arrived", func() bool {
			loud := 0
			heard := peer.Heard()
			for i := 0; i+160 <= len(heard); i += 160 {
				if mediatest.Share(heard[i:i+160], 440) > 0.9 {
					loud++
				}
			}
			return loud == 50
		})
		check(t, peer.WaitSilence(patience))
		a := peer.Arrivals()
		if a.Lost != 0 || a.Disorder != 0 || a.SSRCs != 1 || a.TimeJumps > skips(e) || a.Markers != 1 {
			t.Errorf("%v: stream is not clean: %+v", codec, a)
		}
		for _, p := range peer.Packets() {
			if p.PayloadType != codec.PT() || len(p.Payload) != 160 {
				t.Fatalf("%v: packet of %d bytes with payload type %d", codec, len(p.Payload), p.PayloadType)
			}
		}
	}
}

func TestSenderNeverStops(t *testing.T) {
	t.Parallel()
	leg, peer := dial(t, newEngine(t), mediatest.Phone{})
	check(t, peer.WaitSilence(patience))
	n := peer.Arrivals().Packets
	eventually(t, "silence goes on", func() bool { return peer.Arrivals().Packets > n+50 })
	if !leg.Heard() {
		t.Error("the peer's packets were not heard")
	}
}

func TestBargeInStopsThePrompt(t *testing.T) {
	t.Parallel()
	leg, peer := dial(t, newEngine(t), mediatest.Phone{})
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- leg.Play(ctx, media.Tone([]float64{500}, time.Minute)) }()
	check(t, peer.WaitTone(500, patience))
	stop()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Fatalf("Play ended with %v", err)
	}
	before := leg.Stats().PacketsOut
	check(t, peer.WaitSilence(patience))
	// In frames, not in time: of the packets sent since, one may hold the tone, and the figure may be a frame old.
	at := leg.Stats().PacketsOut
	heard, after := peer.Heard(), 0
	for i := int(before) * 160; i+160 <= len(heard) && i < int(at)*160; i += 160 {
		if mediatest.Share(heard[i:i+160], 500) > 0.5 {
			after++
		}
	}
	if after > 2 {
		t.Errorf("%d frames of the prompt were sent after the barge-in", after)
	}
}

func TestPlayOnAClosedLegReturnsErrClosed(t *testing.T) {
	t.Parallel()
	e := newEngine(t)
	leg, peer := dial(t, e, mediatest.Phone{})
	done := make(chan error, 1)
	go func() { done <- leg.Play(context.Background(), media.Tone([]float64{500}, time.Minute)) }()
	check(t, peer.WaitTone(500, patience))
	check(t, leg.Close())
	check(t, leg.Close())
	if err := <-done; !errors.Is(err, media.ErrClosed) {
		t.Errorf("pending Play returned %v", err)
	}
	if err := leg.Play(context.Background(), media.Silence(time.Second)); !errors.Is(err, media.ErrClosed) {
		t.Errorf("later Play returned %v", err)
	}
	if err := leg.SendDigits(context.Background(), "1"); !errors.Is(err, media.ErrClosed) {
		t.Errorf("later SendDigits returned %v", err)
	}
	if err := leg.Update(params(peer, media.PCMA)); !errors.Is(err, media.ErrClosed) {
		t.Errorf("Update returned %v", err)
	}
	if n := e.Legs(); n != 0 {
		t.Errorf("%d legs are left", n)
	}
}

func TestEngineCloseEndsLegsAndPlays(t *testing.T) {
	t.Parallel()
	e := newEngine(t)
	leg, peer := dial(t, e, mediatest.Phone{})
	done := make(chan error, 1)
	go func() { done <- leg.Play(context.Background(), media.Tone([]float64{500}, time.Minute)) }()
	check(t, peer.WaitTone(500, patience))
	check(t, e.Close())
	if err := <-done; !errors.Is(err, media.ErrClosed) {
		t.Errorf("pending Play returned %v", err)
	}
	if _, err := e.Open(); !errors.Is(err, media.ErrClosed) {
		t.Errorf("Open returned %v", err)
	}
}

func TestMusicPlaysWhenNothingElseDoes(t *testing.T) {
	t.Parallel()
	leg, peer := dial(t, newEngine(t), mediatest.Phone{})
	stop := leg.Loop(media.Tone([]float64{300}, 500*time.Millisecond))
	check(t, peer.WaitTone(300, patience))
	check(t, leg.Play(context.Background(), media.Tone([]float64{900}, 300*time.Millisecond)))
	check(t, peer.WaitTone(300, patience))
	stop()
	stop()
	check(t, peer.WaitSilence(patience))
	found := false
	heard := peer.Heard()
	for i := 0; i+800 <= len(heard); i += 160 {
		found = found || mediatest.Share(heard[i:i+800], 900) > 0.9
	}
	if !found {
		t.Error("the announcement in the music was not heard")
	}
}

func TestHoldStopsOurSenderAndItsResumeIsMarked(t *testing.T) {
	t.Parallel()
	leg, peer := dial(t, newEngine(t), mediatest.Phone{})
	check(t, peer.WaitSilence(patience))
	p := params(peer, media.PCMA)
	p.Send, p.Receive = false, false
	check(t, leg.Update(p))
	eventually(t, "no more packets", func() bool {
		n := peer.Arrivals().Packets
		time.Sleep(200 * time.Millisecond)
		return peer.Arrivals().Packets == n
	})
	peer.Forget()
	p.Send, p.Receive = true, true
	check(t, leg.Update(p))
	eventually(t, "packets again", func() bool { return peer.Arrivals().Packets > 20 })
	first := peer.Packets()[0]
	if !first.Marker {
		t.Error("the first packet after the hold has no marker bit")
	}
	if a := peer.Arrivals(); a.SSRCs != 1 || a.Lost != 0 {
		t.Errorf("stream after the hold: %+v", a)
	}
}

func TestLongPacketTimeIsHonoured(t *testing.T) {
	t.Parallel()
	e := newEngine(t)
	leg, peer := dial(t, e, mediatest.Phone{}, func(p *media.Params) { p.Ptime = 60 * time.Millisecond })
	go leg.Play(context.Background(), media.Tone([]float64{700}, 5*time.Second))
	check(t, peer.WaitTone(700, patience))
	for _, p := range peer.Packets() {
		if len(p.Payload) != 480 {
			t.Fatalf("packet of %d bytes", len(p.Payload))
		}
	}
	if a := peer.Arrivals(); a.TimeJumps > skips(e) || a.Lost != 0 {
		t.Errorf("stream: %+v", a)
	}
}

func TestIPv6Call(t *testing.T) {
	t.Parallel()
	ip := netip.MustParseAddr("::1")
	e := newEngine(t, func(c *media.Config) { c.IP = ip })
	peer := mediatest.NewPeer(t, mediatest.Phone{IP: "::1"})
	leg, err := e.Open()
	check(t, err)
	defer leg.Close()
	check(t, leg.Start(params(peer, media.PCMA)))
	peer.Call(netip.AddrPortFrom(ip, uint16(leg.Port())))
	peer.Tone(600)
	tap := leg.Tap()
	go leg.Play(context.Background(), media.Tone([]float64{400}, 20*time.Second))
	check(t, peer.WaitTone(400, patience))
	waitTap(t, tap, 600)
}

// One socket bound to :: serves both families.
func TestDualStackSocketServesIPv4(t *testing.T) {
	t.Parallel()
	e := newEngine(t, func(c *media.Config) { c.IP = netip.IPv6Unspecified() })
	leg, peer := dial(t, e, mediatest.Phone{})
	peer.Tone(600)
	tap := leg.Tap()
	go leg.Play(context.Background(), media.Tone([]float64{400}, 20*time.Second))
	check(t, peer.WaitTone(400, patience))
	waitTap(t, tap, 600)
}

// waitTap waits until 100 ms of a tap hold a tone.
func waitTap(t testing.TB, tap *media.Tap, freq float64) {
	t.Helper()
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	var pcm []int16
	for {
		var f [media.FrameSamples]int16
		if _, err := tap.Read(ctx, f[:]); err != nil {
			t.Fatalf("%v Hz was not heard: %v", freq, err)
		}
		if pcm = append(pcm, f[:]...); len(pcm) >= 800 {
			if last := pcm[len(pcm)-800:]; mediatest.Share(last, freq) > 0.9 && mediatest.RMS(last) > 1000 {
				return
			}
		}
	}
}

func TestPortsComeFromTheRangeAndRest(t *testing.T) {
	t.Parallel()
	e := newEngine(t, func(c *media.Config) { c.PortLow, c.PortHigh, c.Quarantine = 31000, 31009, 1500*time.Millisecond })
	var legs []*media.Leg
	for {
		l, err := e.Open()
		if errors.Is(err, media.ErrNoPort) {
			break
		}
		check(t, err)
		if p := l.Port(); p < 31000 || p > 31008 || p%2 != 0 {
			t.Errorf("port %d", p)
		}
		legs = append(legs, l)
	}
	if len(legs) == 0 {
		t.Fatal("no port at all")
	}
	check(t, legs[0].Close())
	closed := time.Now()
	if _, err := e.Open(); !errors.Is(err, media.ErrNoPort) {
		t.Errorf("a port was given out during its quarantine: %v", err)
	}
	eventually(t, "the port is free again", func() bool {
		l, err := e.Open()
		if err == nil {
			defer l.Close()
			return l.Port() == legs[0].Port()
		}
		return false
	})
	if rested := time.Since(closed); rested < 1400*time.Millisecond { // it is looked at once a second
		t.Errorf("it rested %v, not its 1.5 s", rested)
	}
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]media.Config{
		"slot":   {Slot: 3 * time.Millisecond},
		"range":  {PortLow: 40000, PortHigh: 30000},
		"low":    {PortLow: 80, PortHigh: 90},
		"pacers": {Pacers: -1},
	} {
		if e, err := media.NewEngine(cfg); err == nil {
			e.Close()
			t.Errorf("%s: accepted", name)
		}
	}
	e := newEngine(t)
	l, err := e.Open()
	check(t, err)
	defer l.Close()
	if err := l.Start(media.Params{}); err == nil {
		t.Error("a leg without a codec was started")
	}
	if err := l.Play(context.Background(), media.Silence(time.Second)); !errors.Is(err, media.ErrNotStarted) {
		t.Errorf("Play before Start returned %v", err)
	}
}
