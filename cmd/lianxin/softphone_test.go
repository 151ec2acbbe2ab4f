package main

import (
	"context"
	"fmt"
	"math"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/pion/logging"
	"github.com/pion/turn/v5"

	"lianxin/desk"
	"lianxin/ivr/softphone"
	"lianxin/sip/media"
)

// tab is a page of a real Chromium whose microphone is a file with a tone.
type tab struct {
	t   *testing.T
	ctx context.Context
}

const micTone = 1000.0

func newTab(t *testing.T, width, height int64) *tab {
	t.Helper()
	file := filepath.Join(t.TempDir(), "mic.wav")
	pcm := make([]int16, 48000*2)
	for i := range pcm {
		pcm[i] = int16(9000 * math.Sin(2*math.Pi*micTone*float64(i)/48000))
	}
	if err := os.WriteFile(file, media.AppendWAV(nil, 48000, 1, pcm), 0o600); err != nil {
		t.Fatal(err)
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath("/usr/bin/chromium"), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("lang", "zh-CN"), chromedp.Flag("use-fake-device-for-media-stream", true), chromedp.Flag("use-fake-ui-for-media-stream", true),
		chromedp.Flag("use-file-for-fake-audio-capture", file), chromedp.Flag("autoplay-policy", "no-user-gesture-required"), chromedp.Flag("mute-audio", false))
	ctx, stop := context.WithTimeout(context.Background(), 3*time.Minute)
	t.Cleanup(stop)
	ctx, stop = chromedp.NewExecAllocator(ctx, opts...)
	t.Cleanup(stop)
	ctx, stop = chromedp.NewContext(ctx)
	t.Cleanup(stop)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start Chromium: %v", err)
	}
	p := &tab{t, ctx}
	p.do(chromedp.EmulateViewport(width, height))
	return p
}

func (p *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	if err := chromedp.Do(p.ctx, steps...); err != nil {
		p.t.Fatal(err)
	}
}

func (p *tab) run(script string) string {
	p.t.Helper()
	v, err := chromedp.Run(p.ctx, chromedp.Evaluate[string]("String("+script+")"))
	if err != nil {
		p.t.Fatalf("%s: %v", script, err)
	}
	return v
}

func (p *tab) until(what, script string) {
	p.t.Helper()
	for end := time.Now().Add(40 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if ok, err := chromedp.Run(p.ctx, chromedp.Evaluate[bool]("Boolean("+script+")")); ok && err == nil {
			return
		}
		if time.Now().After(end) {
			p.t.Fatalf("%s did not happen; the page says: %s", what, p.run(`document.body.innerText.slice(0, 1500)`))
		}
	}
}

func (p *tab) click(selector string) {
	p.t.Helper()
	p.until(selector+" can be clicked", fmt.Sprintf(`document.querySelector(%q)?.checkVisibility()`, selector))
	p.run(fmt.Sprintf(`document.querySelector(%q).click()`, selector))
}

func (p *tab) shot(name string) {
	p.t.Helper()
	dir := os.Getenv("LIANXIN_SHOTS")
	if dir == "" {
		return
	}
	png, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// listen makes the page keep an analyser on the sound it hears.
const listen = `(() => {
	if (window.ears && window.ears.stream === document.querySelector('.incall audio').srcObject) return;
	const ctx = new AudioContext(), a = ctx.createAnalyser();
	a.fftSize = 8192;
	const stream = document.querySelector('.incall audio').srcObject;
	ctx.createMediaStreamSource(stream).connect(a);
	window.ears = { stream, peak() {
		const b = new Float32Array(a.frequencyBinCount);
		a.getFloatFrequencyData(b);
		let k = 0;
		for (let i = 1; i < b.length; i++) if (b[i] > b[k]) k = i;
		return b[k] > -60 ? k * ctx.sampleRate / a.fftSize : 0;
	} };
})()`

// hears waits until the page hears this tone.
func (p *tab) hears(freq float64) {
	p.t.Helper()
	p.until("the page has sound", `document.querySelector('.incall audio')?.srcObject`)
	p.run(listen)
	p.until(fmt.Sprintf("the page hears %.0f Hz", freq), fmt.Sprintf(`Math.abs(window.ears.peak() - %f) < 15`, freq))
}

func freeUDP(t *testing.T) int {
	t.Helper()
	c, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).Port
}

// A caller on a SIP telephone and an operator in Chromium: rung, answered, both hear each other, mute, hold, digits, another page
// while talking, a page loaded anew, hung up.
func TestOperatorTakesACallInTheBrowser(t *testing.T) {
	cfg := defaults(t, filepath.Join(t.TempDir(), "data"))
	cfg.SoftphonePort = freeUDP(t)
	cfg.TURNSecret = "shared with the relay"
	relay := startTURN(t, cfg.TURNSecret)
	cfg.SoftphoneICE = []string{"turn:" + relay + "?transport=udp"}
	u := start(t, cfg)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()

	page := newTab(t, 1366, 900)
	base := strings.Replace(u.base, "127.0.0.1", "localhost", 1)
	page.do(chromedp.Navigate(base + "/sign-in"))
	page.run(fmt.Sprintf(`(() => { const f = document.querySelector('form'); f.login.value = 'operator1'; f.password.value = %q; f.submit() })()`, u.c.sample.Password))
	page.until("somebody is signed in", `document.querySelector('.softphone-open')`)
	page.do(chromedp.Navigate(base + "/board"))
	page.until("the board is open", `document.querySelector('#me .chip')`)
	page.run(`localStorage.setItem('softphone.clean', 'off')`) // a tone is noise to Chromium
	page.run(remember)
	page.shot("softphone-board")
	page.click(".softphone-open")
	page.shot("softphone-off")
	page.click("[data-softphone-enable]")
	page.until("the page is on line", `document.querySelector('.softphone-open.ready')`)
	page.shot("softphone-ready")
	user := page.run(`document.querySelector('#softphone').dataset.extension`)
	eventually(t, "the operator is ready", func() bool {
		snap, err := u.c.board.Snapshot(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, op := range snap.Operators {
			if op.Extension == user {
				return op.State == desk.Ready && op.Registered
			}
		}
		return false
	})

	page.until("the head of the board says so", `document.querySelector('#me .chip')?.innerText.includes('就绪')`)

	sound, err := media.NewEngine(media.Config{PortLow: 26600, PortHigh: 26799})
	if err != nil {
		t.Fatal(err)
	}
	defer sound.Close()
	_, addr, _ := strings.Cut(u.c.phones.Addrs()[0], "://")
	caller, err := softphone.New(softphone.Config{User: callerNumber, Server: addr, Engine: sound})
	if err != nil {
		t.Fatal(err)
	}
	defer caller.Close()
	call, err := caller.Dial(ctx, cfg.Hotline)
	if err != nil {
		t.Fatal(err)
	}
	greeting, err := u.c.prompts.Get("greeting")
	if err != nil {
		t.Fatal(err)
	}
	if err := call.Hears(ctx, greeting); err != nil {
		t.Fatal(err)
	}
	if err := call.Press(ctx, "0"); err != nil {
		t.Fatal(err)
	}
	page.until("it rings", `document.querySelector('.incall[data-state=ringing]')`)
	page.shot("softphone-ringing")
	page.click(".incall [data-do=answer]")
	page.until("they talk", `document.querySelector('.incall[data-state=talking][data-mine="1"]')`)
	call.Tone(440)
	page.hears(440)
	if err := call.HearsTone(ctx, micTone); err != nil {
		t.Fatalf("the caller does not hear the operator: %v", err)
	}
	page.until("its ticket is one click away", `document.querySelector('.incall [data-ticket-link]:not([hidden])')`)
	page.shot("softphone-talking")

	// Hold: music for the caller, then the operator again.
	page.click(".incall [data-do=hold]")
	page.until("held", `document.querySelector('.incall[data-state=held]')`)
	music, err := u.c.prompts.Get("music.wait")
	if err != nil {
		t.Fatal(err)
	}
	if err := call.HearsLoop(ctx, music); err != nil {
		t.Fatalf("on hold: %v", err)
	}
	page.shot("softphone-held")
	eventually(t, "the board knows of the hold", func() bool { l := u.c.hotline.Live(); return len(l) == 1 && l[0].Held })
	page.click(".incall [data-do=hold]")
	page.until("taken back", `document.querySelector('.incall[data-state=talking]')`)
	if err := call.HearsTone(ctx, micTone); err != nil {
		t.Fatalf("after the hold: %v", err)
	}

	// Digits arrive as telephone events (RFC 4733): *6 is hold, and *6 again takes the caller back.
	page.click(".incall [data-do=keys]")
	star6 := func() {
		for _, k := range "*6" {
			page.run(fmt.Sprintf(`document.querySelector('.incall [data-key="%c"]').click()`, k))
			time.Sleep(300 * time.Millisecond) // a key lasts 120 ms
		}
	}
	star6()
	if err := call.HearsLoop(ctx, music); err != nil {
		t.Fatalf("after *6: %v", err)
	}
	star6()
	if err := call.HearsTone(ctx, micTone); err != nil {
		t.Fatalf("after *6 again: %v", err)
	}
	page.shot("softphone-keys")

	// Another page, a form and a link while talking: the call does not notice.
	before := page.run(`window.stayed = 'yes'`)
	page.click(".incall [data-ticket-link]")
	page.until("the ticket is open", `location.pathname.startsWith('/tickets/') && document.querySelector('#t-head')`)
	page.shot("softphone-ticket")
	page.click(".side a[href='/board']")
	page.until("the board is back", `document.querySelector('#live')`)
	page.run(`document.querySelector('form[action="/board/state"] button[value=break]').click()`)
	page.until("the choice is shown", `location.pathname === '/board' && document.querySelector('#live')`)
	if got := page.run(`window.stayed`); got != before {
		t.Error("a form has loaded the page anew in the middle of a call")
	}
	page.hears(440)

	// Muted: the caller hears silence, and the call stays.
	page.click(".incall [data-do=mute]")
	eventually(t, "the caller hears silence", func() bool { return quiet(call.Heard(), 4000) })
	page.shot("softphone-muted")
	page.click(".incall [data-do=mute]")
	if err := call.HearsTone(ctx, micTone); err != nil {
		t.Fatalf("after the mute: %v", err)
	}

	// The network has changed, and the browser has nothing but Opus now.
	page.run(opusNow)
	page.until("Opus is spoken", `window.lastPC.connectionState === 'connected' && /opus/.test(window.lastPC.currentRemoteDescription.sdp)`)
	page.hears(440)
	if err := call.HearsTone(ctx, micTone); err != nil {
		t.Fatalf("over Opus: %v", err)
	}
	star6()
	if err := call.HearsLoop(ctx, music); err != nil {
		t.Fatalf("after *6 beside Opus: %v", err)
	}
	star6()
	if err := call.HearsTone(ctx, micTone); err != nil {
		t.Fatalf("after *6 beside Opus again: %v", err)
	}

	// And once more: now nothing but the TURN server lets it through.
	page.run(`window.relayOnly = true`)
	page.run(opusNow)
	page.until("it talks through the TURN server", `window.lastPC.connectionState === 'connected' && window.lastPC.getConfiguration().iceTransportPolicy === 'relay'`)
	page.hears(440)
	if err := call.HearsTone(ctx, micTone); err != nil {
		t.Fatalf("through the TURN server: %v", err)
	}
	page.run(`window.lastPC.getStats().then(all => all.forEach(s => { if (s.type === 'candidate-pair' && s.nominated) window.way = all.get(s.localCandidateId).candidateType }))`)
	page.until("its packets take that way", `window.way === 'relay'`)

	// The page is loaded anew: it takes the call back by itself.
	page.do(chromedp.EmulateViewport(390, 844))
	page.run(`(() => { window.addEventListener('beforeunload', e => e.stopImmediatePropagation(), true); location.reload() })()`)
	page.until("the page has the call again", `!window.stayed && document.querySelector('.incall[data-state=talking][data-mine="1"]')`)
	page.hears(440)
	if err := call.HearsTone(ctx, micTone); err != nil {
		t.Fatalf("after the reload: %v", err)
	}
	page.shot("softphone-phone-talking")
	page.click(".incall [data-do=hangup]")
	page.until("the dock is idle", `!document.querySelector('.incall')`)
	page.shot("softphone-phone-idle")
	eventually(t, "the operator has parted", func() bool { return len(u.c.softphones.Calls(user)) == 0 })
	if err := call.Hangup(ctx); err != nil { // who is asked for a rating now
		t.Error(err)
	}
	page.click("[data-softphone-devices] summary")
	page.click("[data-softphone-disable]")
	eventually(t, "the operator is off the board", func() bool { return !u.c.reachable(user) })
}

// startTURN is a TURN server on the loopback that shares a secret with us, as coturn does with use-auth-secret.
func startTURN(t *testing.T, secret string) (addr string) {
	t.Helper()
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	quiet := logging.NewDefaultLoggerFactory()
	quiet.DefaultLogLevel = logging.LogLevelDisabled
	s, err := turn.NewServer(turn.ServerConfig{
		Realm: "lianxin.test", AuthHandler: turn.LongTermTURNRESTAuthHandler(secret, quiet.NewLogger("turn")), LoggerFactory: quiet,
		PacketConnConfigs: []turn.PacketConnConfig{{PacketConn: conn,
			RelayAddressGenerator: &turn.RelayAddressGeneratorStatic{RelayAddress: net.IPv4(127, 0, 0, 1), Address: "127.0.0.1"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return conn.LocalAddr().String()
}

// remember keeps the page's connection where the test reaches it.
const remember = `(() => {
	const Plain = window.RTCPeerConnection;
	window.RTCPeerConnection = class extends Plain {
		constructor(cfg) { super({ ...cfg, ...(window.relayOnly && { iceTransportPolicy: 'relay' }) }); window.lastPC = this; }
		async createOffer(...a) {
			if (window.opusOnly) {
				const rare = RTCRtpReceiver.getCapabilities('audio').codecs.filter(c => c.clockRate === 48000 && /opus|telephone/.test(c.mimeType));
				this.getTransceivers().forEach(t => t.setCodecPreferences(rare));
			}
			return super.createOffer(...a);
		}
	};
})()`

// opusNow makes the page believe that its connection has failed, so that it begins anew, with Opus alone.
const opusNow = `(() => {
	window.opusOnly = true;
	const pc = window.lastPC;
	Object.defineProperty(pc, 'connectionState', { get: () => 'failed' });
	pc.onconnectionstatechange();
})()`

func quiet(pcm []int16, last int) bool {
	if len(pcm) < last {
		return false
	}
	for _, s := range pcm[len(pcm)-last:] {
		if s > 200 || s < -200 {
			return false
		}
	}
	return true
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("did not happen: %s", what)
}
