package web

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"lianxin/sip"
	"lianxin/sip/media"
	"lianxin/sip/media/mediatest"
)

const patience = 20 * time.Second

// house is an Exchange under test.
type house struct {
	*Exchange
	t      *testing.T
	engine *media.Engine
	mu     sync.Mutex
	told   []string
}

func newHouse(t *testing.T, change func(*Config)) *house {
	t.Helper()
	e, err := media.NewEngine(media.Config{IP: netip.MustParseAddr("127.0.0.1"), Pacers: 1, PortLow: 26000, PortHigh: 26999})
	if err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, engine: e}
	cfg := Config{Engine: e, Loopback: true, Reload: 50 * time.Millisecond, Rejoin: time.Second, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		OnRegistration: func(user string, up bool) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.told = append(h.told, user+map[bool]string{true: "+", false: "-"}[up])
		}}
	if change != nil {
		change(&cfg)
	}
	if h.Exchange, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		h.Close()
		e.Close()
	})
	return h
}

func (h *house) history() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.Join(h.told, " ")
}

type dialled struct {
	call sip.Call
	err  error
}

func (h *house) dial(ctx context.Context, user string, o sip.DialOpt) <-chan dialled {
	got := make(chan dialled, 1)
	go func() {
		c, err := h.Dial(ctx, sip.Target{User: user}, o)
		got <- dialled{c, err}
	}()
	return got
}

func wait(t *testing.T, got <-chan dialled) dialled {
	t.Helper()
	select {
	case d := <-got:
		return d
	case <-time.After(patience):
		t.Fatal("Dial did not return")
		return dialled{}
	}
}

// rung waits until a user's page shows a call in this state.
func (h *house) rung(user string, s State) View {
	h.t.Helper()
	var v View
	eventually(h.t, "the page shows "+string(s), func() bool {
		for _, c := range h.Calls(user) {
			if c.State == s {
				v = c
				return true
			}
		}
		return false
	})
	return v
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("did not happen: %s", what)
}

// browser is the far end: a WebRTC endpoint that sends a tone and keeps what it hears.
type browser struct {
	t    *testing.T
	pc   *webrtc.PeerConnection
	out  *webrtc.TrackLocalStaticRTP
	stop chan struct{}
	done sync.WaitGroup

	mu    sync.Mutex
	heard []int16
	ssrcs map[uint32]bool
}

func newBrowser(t *testing.T, mime string, freq float64) *browser {
	t.Helper()
	var engine webrtc.MediaEngine
	for mime, pt := range map[string]webrtc.PayloadType{webrtc.MimeTypePCMA: 8, webrtc.MimeTypePCMU: 0, webrtc.MimeTypeOpus: 111} {
		c := webrtc.RTPCodecParameters{RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: mime, ClockRate: 8000}, PayloadType: pt}
		if pt == 111 {
			c.ClockRate, c.Channels = 48000, 2
		}
		if err := engine.RegisterCodec(c, webrtc.RTPCodecTypeAudio); err != nil {
			t.Fatal(err)
		}
	}
	var settings webrtc.SettingEngine
	settings.SetIncludeLoopbackCandidate(true)
	api := webrtc.NewAPI(webrtc.WithMediaEngine(&engine), webrtc.WithSettingEngine(settings), webrtc.WithInterceptorRegistry(&interceptor.Registry{}))
	b := &browser{t: t, stop: make(chan struct{}), ssrcs: map[uint32]bool{}}
	var err error
	if b.pc, err = api.NewPeerConnection(webrtc.Configuration{}); err != nil {
		t.Fatal(err)
	}
	clock := uint32(8000)
	if mime == webrtc.MimeTypeOpus {
		clock = 48000
	}
	if b.out, err = webrtc.NewTrackLocalStaticRTP(webrtc.RTPCodecCapability{MimeType: mime, ClockRate: clock}, "mic", "mic"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.pc.AddTrack(b.out); err != nil {
		t.Fatal(err)
	}
	b.pc.OnTrack(func(tr *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		for {
			p, _, err := tr.ReadRTP()
			if err != nil {
				return
			}
			if c, ok := media.CodecByPT(p.PayloadType); ok {
				pcm := make([]int16, len(p.Payload))
				c.Decode(pcm, p.Payload)
				b.mu.Lock()
				b.heard, b.ssrcs[p.SSRC] = append(b.heard, pcm...), true
				b.mu.Unlock()
			}
		}
	})
	b.done.Add(1)
	go func() {
		defer b.done.Done()
		law, _ := media.CodecByName(strings.TrimPrefix(mime, "audio/"))
		if law == media.NoCodec {
			return
		}
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-b.stop:
				return
			case <-tick.C:
			}
			pcm := mediatest.Sine(freq, 8000, 160*(n%50+1))[160*(n%50):] // whole periods in a second
			p := rtp.Packet{Header: rtp.Header{Version: 2, SequenceNumber: uint16(n), Timestamp: uint32(160 * n)}, Payload: make([]byte, 160)}
			law.Encode(p.Payload, pcm)
			_ = b.out.WriteRTP(&p)
		}
	}()
	t.Cleanup(b.close)
	return b
}

func (b *browser) close() {
	select {
	case <-b.stop:
	default:
		close(b.stop)
		b.done.Wait()
		_ = b.pc.Close()
	}
}

func (b *browser) offer() string {
	b.t.Helper()
	o, err := b.pc.CreateOffer(nil)
	if err != nil {
		b.t.Fatal(err)
	}
	gathered := webrtc.GatheringCompletePromise(b.pc)
	if err := b.pc.SetLocalDescription(o); err != nil {
		b.t.Fatal(err)
	}
	<-gathered
	return b.pc.LocalDescription().SDP
}

func (b *browser) take(answer string) {
	b.t.Helper()
	if err := b.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer}); err != nil {
		b.t.Fatal(err)
	}
}

// hears waits for 100 ms of a tone.
func (b *browser) hears(freq float64) {
	b.t.Helper()
	eventually(b.t, "the browser hears the tone", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		n := len(b.heard)
		return n >= 800 && mediatest.Share(b.heard[n-800:], freq) > 0.9
	})
}

// answer lets the browser answer a user's call.
func (h *house) answer(b *browser, user, id string) {
	h.t.Helper()
	sdp, err := h.Accept(context.Background(), user, id, b.offer())
	if err != nil {
		h.t.Fatal(err)
	}
	b.take(sdp)
}

func tapHears(t *testing.T, l *media.Leg, freq float64) {
	t.Helper()
	tap := l.Tap()
	defer tap.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var last []int16
	buf := make([]int16, media.FrameSamples)
	for {
		if _, err := tap.Read(ctx, buf); err != nil {
			t.Fatalf("%.0f Hz is not heard: %v", freq, err)
		}
		if last = append(last, buf...); len(last) > 800 {
			last = last[len(last)-800:]
			if mediatest.Share(last, freq) > 0.9 && mediatest.RMS(last) > 200 {
				return
			}
		}
	}
}

func TestBrowserAndCallerHearEachOtherThroughHoldAndReload(t *testing.T) {
	t.Parallel()
	for _, codec := range []string{"PCMA", "PCMU"} {
		t.Run(codec, func(t *testing.T) {
			h := newHouse(t, nil)
			_, leave := h.Attend("8001")
			defer leave()
			got := h.dial(context.Background(), "8001", sip.DialOpt{Display: "民意热线", Codec: codec, Headers: map[string]string{callerHeader: "C1"}})
			v := h.rung("8001", Ringing)
			if v.Display != "民意热线" || v.Caller != "C1" {
				t.Errorf("%+v", v)
			}
			b := newBrowser(t, "audio/"+codec, 700)
			h.answer(b, "8001", v.ID)
			d := wait(t, got)
			if d.err != nil {
				t.Fatal(d.err)
			}
			c := d.call
			if i := c.Info(); i.Codec != codec || i.Answered.IsZero() || !i.Remote.IsValid() || i.User != "8001" || !i.Encrypted {
				t.Errorf("%+v", i)
			}
			stop := c.Media().Loop(media.Tone([]float64{440}, time.Second))
			defer stop()
			b.hears(440)
			tapHears(t, c.Media(), 700)

			// On hold a colleague who is bridged to the leg hears the music; afterwards the browser again.
			c.Media().StandIn(media.Tone([]float64{1200}, time.Second))
			other, peer := phone(t, h.engine)
			disconnect, err := media.Connect(c.Media(), other)
			if err != nil {
				t.Fatal(err)
			}
			if err := peer.WaitTone(700, patience); err != nil {
				t.Fatal(err)
			}
			if err := h.Hold("8001", v.ID, true); err != nil {
				t.Fatal(err)
			}
			h.rung("8001", Held)
			if err := peer.WaitTone(1200, patience); err != nil {
				t.Fatal(err)
			}
			if err := h.Hold("8001", v.ID, false); err != nil {
				t.Fatal(err)
			}
			if err := peer.WaitTone(700, patience); err != nil {
				t.Fatal(err)
			}
			disconnect()

			// The page is loaded anew and takes the call back.
			b.close()
			h.rung("8001", Lost)
			again := newBrowser(t, "audio/"+codec, 900)
			h.answer(again, "8001", v.ID)
			h.rung("8001", Talking)
			again.hears(440)
			tapHears(t, c.Media(), 900)
			again.mu.Lock()
			if len(again.ssrcs) != 1 {
				t.Errorf("%d SSRCs", len(again.ssrcs))
			}
			again.mu.Unlock()
			if s := c.Media().Stats(); s.WrongType > 0 || s.Malformed > 0 {
				t.Errorf("%+v", s)
			}
			if err := h.HangUp("8001", v.ID); err != nil {
				t.Fatal(err)
			}
			<-c.Done()
			if e := c.End(); e.By != sip.ByFar || e.Cause != "bye" {
				t.Errorf("%+v", e)
			}
			if n := len(c.Trace()); n < 6 {
				t.Errorf("trace of %d lines", n)
			}
		})
	}
}

// phone is a leg with a telephone behind it.
func phone(t *testing.T, e *media.Engine) (*media.Leg, *mediatest.Peer) {
	t.Helper()
	p := mediatest.NewPeer(t, mediatest.Phone{})
	l, err := e.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	if err := l.Start(media.Params{Remote: p.Addr(), Codec: media.PCMA, DTMF: 101, Send: true, Receive: true}); err != nil {
		t.Fatal(err)
	}
	p.Call(netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(l.Port())))
	return l, p
}

func TestCallsThatAreNotAnsweredEndAsTelephonesDo(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	if d := wait(t, h.dial(context.Background(), "8001", sip.DialOpt{})); !errors.Is(d.err, sip.ErrNotRegistered) {
		t.Errorf("nobody attends: %v", d.err)
	}
	_, leave := h.Attend("8001")
	if d := wait(t, h.dial(context.Background(), "8001", sip.DialOpt{Timeout: 50 * time.Millisecond})); !errors.Is(d.err, sip.ErrNoAnswer) {
		t.Errorf("no answer: %v", d.err)
	}
	got := h.dial(context.Background(), "8001", sip.DialOpt{})
	if err := h.Decline("8001", h.rung("8001", Ringing).ID); err != nil {
		t.Error(err)
	}
	var refusal *sip.DialError
	if d := wait(t, got); !errors.Is(d.err, sip.ErrDeclined) || !errors.As(d.err, &refusal) || refusal.Code != 603 {
		t.Errorf("declined: %v", d.err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	got = h.dial(ctx, "8001", sip.DialOpt{})
	h.rung("8001", Ringing)
	cancel()
	if d := wait(t, got); !errors.Is(d.err, context.Canceled) {
		t.Errorf("cancelled: %v", d.err)
	}
	got = h.dial(context.Background(), "8001", sip.DialOpt{})
	v := h.rung("8001", Ringing)
	for _, offer := range []string{"", "nonsense", "v=0\r\n", strings.Repeat("x", maxOffer+1)} {
		if _, err := h.Accept(context.Background(), "8001", v.ID, offer); !errors.Is(err, ErrOffer) {
			t.Errorf("offer of %d bytes: %v", len(offer), err)
		}
	}
	if _, err := h.Accept(context.Background(), "8001", v.ID, strings.ReplaceAll(newBrowser(t, webrtc.MimeTypeOpus, 0).onlyOpus(), "opus/48000", "speex/16000")); !errors.Is(err, ErrOffer) {
		t.Errorf("offer without G.711 and Opus: %v", err)
	}
	if _, err := h.Accept(context.Background(), "8002", v.ID, ""); !errors.Is(err, ErrNoCall) {
		t.Errorf("somebody else's call: %v", err)
	}
	h.rung("8001", Ringing) // none of this has hurt it
	leave()
	if d := wait(t, got); !errors.Is(d.err, sip.ErrUnreachable) {
		t.Errorf("page closed: %v", d.err)
	}
	eventually(t, "the page's coming and going are told", func() bool { return h.history() == "8001+ 8001-" })
	if n := len(h.Calls("8001")); n != 0 {
		t.Errorf("%d calls are left", n)
	}
	eventually(t, "legs are closed", func() bool { return h.engine.Legs() == 0 })
}

// onlyOpus is an offer without the laws.
func (b *browser) onlyOpus() string {
	var keep []string
	for _, l := range strings.Split(b.offer(), "\r\n") {
		if strings.HasPrefix(l, "m=audio") {
			l = l[:strings.LastIndex(l, "SAVPF")] + "SAVPF 111"
		}
		if strings.HasPrefix(l, "a=rtpmap:8 ") || strings.HasPrefix(l, "a=rtpmap:0 ") {
			continue
		}
		keep = append(keep, l)
	}
	return strings.Join(keep, "\r\n")
}

func TestReloadOfAPageDoesNotSignAUserOff(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(c *Config) { c.Reload = 300 * time.Millisecond })
	_, leave := h.Attend("8001")
	for range 5 {
		leave()
		_, leave = h.Attend("8001")
	}
	_, second := h.Attend("8001")
	leave()
	leave()
	if !h.Registered("8001") {
		t.Error("signed off with a page open")
	}
	second()
	if !h.Registered("8001") {
		t.Error("signed off at once")
	}
	eventually(t, "signed off", func() bool { return !h.Registered("8001") })
	eventually(t, "told", func() bool { return h.history() == "8001+ 8001-" })
}

func TestPageThatDoesNotComeBackEndsItsCallAsBroken(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(c *Config) { c.Rejoin = 100 * time.Millisecond })
	_, leave := h.Attend("8001")
	defer leave()
	got := h.dial(context.Background(), "8001", sip.DialOpt{})
	b := newBrowser(t, webrtc.MimeTypePCMA, 700)
	h.answer(b, "8001", h.rung("8001", Ringing).ID)
	d := wait(t, got)
	if d.err != nil {
		t.Fatal(d.err)
	}
	b.close()
	<-d.call.Done()
	if e := d.call.End(); e.By != sip.ByNetwork || e.Cause != "page gone" {
		t.Errorf("%+v", e)
	}
}

func TestBrowserAndTelephoneRingTogether(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	_, leave := h.Attend("8001")
	defer leave()
	cancelled := make(chan error, 1)
	answer := make(chan error, 1)
	telephone := func(ctx context.Context, _ sip.Target, _ sip.DialOpt) (sip.Call, error) {
		select {
		case err := <-answer:
			return nil, err
		case <-ctx.Done():
			cancelled <- context.Cause(ctx)
			return nil, context.Cause(ctx)
		}
	}
	both := h.With(telephone, func(string) bool { return true })
	dial := func(user string) <-chan dialled {
		got := make(chan dialled, 1)
		go func() {
			c, err := both(context.Background(), sip.Target{User: user}, sip.DialOpt{})
			got <- dialled{c, err}
		}()
		return got
	}
	got := dial("8001")
	v := h.rung("8001", Ringing)
	h.answer(newBrowser(t, webrtc.MimeTypePCMA, 700), "8001", v.ID)
	d := wait(t, got)
	if d.err != nil || d.call.ID() != v.ID {
		t.Fatalf("%+v", d)
	}
	if err := <-cancelled; !errors.Is(err, errElsewhere) {
		t.Errorf("the telephone was told %v", err)
	}
	_ = d.call.Hangup(context.Background())

	got = dial("8001") // refused on the telephone: the page stops ringing
	h.rung("8001", Ringing)
	answer <- &sip.DialError{Code: 603, Kind: sip.ErrDeclined}
	if d := wait(t, got); !errors.Is(d.err, sip.ErrDeclined) {
		t.Errorf("%v", d.err)
	}
	eventually(t, "the page is quiet", func() bool { return len(h.Calls("8001")) == 0 })

	got = dial("8001") // unreachable there: the page rings on
	answer <- sip.ErrUnreachable
	v = h.rung("8001", Ringing)
	_ = h.Decline("8001", v.ID)
	if d := wait(t, got); !errors.Is(d.err, sip.ErrDeclined) {
		t.Errorf("%v", d.err)
	}

	got = dial("8002") // has no page
	answer <- sip.ErrBusy
	if d := wait(t, got); !errors.Is(d.err, sip.ErrBusy) {
		t.Errorf("%v", d.err)
	}
}
