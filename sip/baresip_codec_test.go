package sip

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lianxin/sip/media"
	"lianxin/sip/media/mediatest"
)

// bareCall is a call of baresip to a server, both of which play a tone.
type bareCall struct {
	uri     string // who is called, with parameters
	account string // parameters of baresip's account
	config  string // further lines of its configuration
	rate    int    // of its sound, 8000 when 0
}

const oursTone, baresTone = 440.0, 700.0

// playsTone answers and plays our tone.
func playsTone(ctx context.Context, c Call) {
	if c.Answer(ctx) == nil {
		c.Media().Loop(media.Tone([]float64{oursTone}, time.Second))
		<-c.Done()
	}
}

// talk makes the call, waits until both hear each other, and returns our end of it, still up.
func (b bareCall) talk(t *testing.T, x *exchange) Call {
	t.Helper()
	program := tool(t, "baresip", "/usr/lib/baresip/modules/srtp.so")
	dir := t.TempDir()
	sipPort, cons := freePort(t), freePort(t)
	config := fmt.Sprintf(baresipConfig, sipPort, dir, cons) + b.config
	low := 27000 + sipPort%10*100
	config = strings.Replace(config, "rtp_ports 28000-28999", fmt.Sprintf("rtp_ports %d-%d", low, low+99), 1)
	tone := mediatest.Sine(baresTone, 10000, 8000*60)
	if b.rate == 16000 {
		config = strings.NewReplacer("ausrc_srate 8000", "ausrc_srate 16000", "auplay_srate 8000", "auplay_srate 16000").Replace(config)
		tone = mediatest.Sine(baresTone/2, 10000, 16000*60)
	}
	sound := wav(tone)
	if b.rate == 16000 {
		sound[24], sound[25], sound[28], sound[29] = 0x80, 0x3E, 0, 0x7D // 16000 samples, 32000 bytes a second
	}
	for name, content := range map[string][]byte{
		"config": []byte(config), "contacts": nil, "tx.wav": sound,
		"accounts": fmt.Appendf(nil, "<sip:bs@127.0.0.1:%d%s\n", sipPort, b.account),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	cmd := exec.CommandContext(ctx, program, "-f", dir, "-e", "/dial "+b.uri, "-t", "50")
	var out lockedBuffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
		cancel()
		if t.Failed() {
			t.Logf("baresip:\n%s\nlog:\n%s", out.String(), x.log)
		}
	})
	call := x.call()
	t.Cleanup(func() { _ = call.Hangup(context.Background()) })
	eventually(t, "talking", func() bool { return !call.Info().Answered.IsZero() && call.Media().Heard() })
	hears(t, call.Media().Tap(), baresTone)
	eventually(t, "baresip hears us", func() bool {
		dumps, _ := filepath.Glob(filepath.Join(dir, "dump-*-dec.wav"))
		heard := oursTone
		if b.rate == 16000 {
			heard /= 2 // the helper thinks in 8 kHz
		}
		return len(dumps) == 1 && longest(samples(t, dumps[0]), heard) >= 500*time.Millisecond
	})
	return call
}

func TestBaresipTalksEncryptedOverTLS(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		mode   string
		policy SRTP
	}{
		{"srtp-mand", SRTPOffered}, // RTP/SAVP
		{"srtp", SRTPRequired},     // RTP/AVP with a key
	} {
		t.Run(c.mode, func(t *testing.T) {
			t.Parallel()
			ca := newIssuer(t)
			files := ca.issue(t.TempDir(), "127.0.0.1", 2)
			x := start(t, func(cfg *Config) { withTLS(files)(cfg); cfg.SRTP = c.policy }, playsTone)
			call := bareCall{
				uri:     "sip:46110110@" + x.tls + ";transport=tls",
				account: ";transport=tls>;regint=0;answermode=auto;audio_codecs=PCMA/8000/1;mediaenc=" + c.mode,
				config:  "module srtp.so\nsip_cafile " + ca.pem + "\n",
			}.talk(t, x)
			if i := call.Info(); !i.Encrypted || i.Transport != "TLS" {
				t.Errorf("%+v", i)
			}
			if s := call.Media().Stats(); s.Unauthentic > 2 { // baresip opens the way with a bare packet before its keys are in place
				t.Errorf("%d packets were refused", s.Unauthentic)
			}
		})
	}
}

// A telephone that speaks nothing but G.722 is understood, and understands us.
func TestBaresipWithG722OnlyIsUnderstood(t *testing.T) {
	t.Parallel()
	x := start(t, nil, playsTone)
	call := bareCall{
		uri:     "sip:46110110@" + x.udp,
		account: ">;regint=0;answermode=auto;audio_codecs=G722/16000/1",
		config:  "module g722.so\n",
		rate:    16000,
	}.talk(t, x)
	if i := call.Info(); i.Codec != "G722" {
		t.Errorf("codec %q", i.Codec)
	}
}
