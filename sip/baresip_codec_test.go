package sip

import (
	"context"
	"encoding/binary"
	"errors"
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
	user    string // if not empty it registers as this and is called
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
	if b.rate == 0 {
		b.rate = media.Rate
	}
	times := b.rate / media.Rate
	if times > 1 {
		srate := fmt.Sprintf("_srate %d", b.rate)
		config = strings.NewReplacer("ausrc_srate 8000", "ausrc"+srate, "auplay_srate 8000", "auplay"+srate).Replace(config)
		tone = mediatest.Sine(baresTone/float64(times), 10000, b.rate*60)
	}
	sound := wav(tone)
	binary.LittleEndian.PutUint32(sound[24:], uint32(b.rate))
	binary.LittleEndian.PutUint32(sound[28:], uint32(2*b.rate))
	account := fmt.Sprintf("<sip:bs@127.0.0.1:%d%s\n", sipPort, b.account)
	args := []string{"-f", dir, "-t", "50"}
	if b.user == "" {
		args = append(args, "-e", "/dial "+b.uri)
	} else {
		account = fmt.Sprintf("<sip:%[1]s@%[2]s>;auth_user=%[1]s;auth_pass=pw-%[1]s;regint=60%[3]s\n", b.user, x.udp, strings.TrimPrefix(b.account, ">"))
	}
	for name, content := range map[string][]byte{
		"config": []byte(config), "contacts": nil, "tx.wav": sound,
		"accounts": []byte(account),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	cmd := exec.CommandContext(ctx, program, args...)
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
	var call Call
	if b.user == "" {
		call = x.call()
	} else {
		eventually(t, "registered", func() bool { return x.Registered(b.user) })
		var err error
		if call, err = x.Dial(ctx, Target{User: b.user}, DialOpt{From: "46110110"}); err != nil {
			t.Fatal(err)
		}
		call.Media().Loop(media.Tone([]float64{oursTone}, time.Second))
	}
	t.Cleanup(func() { _ = call.Hangup(context.Background()) })
	eventually(t, "talking", func() bool { return !call.Info().Answered.IsZero() && call.Media().Heard() })
	hears(t, call.Media().Tap(), baresTone)
	eventually(t, "baresip hears us", func() bool {
		dumps, _ := filepath.Glob(filepath.Join(dir, "dump-*-dec.wav"))
		return len(dumps) == 1 && longest(samples(t, dumps[0]), oursTone/float64(times)) >= 500*time.Millisecond*time.Duration(times) // it thinks in 8 kHz
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

// A telephone that speaks nothing but Opus is understood, and understands us: whether it calls or is called.
func TestBaresipWithOpusOnlyIsUnderstood(t *testing.T) {
	t.Parallel()
	for _, user := range []string{"", "8001"} {
		t.Run("user "+user, func(t *testing.T) {
			t.Parallel()
			x := start(t, users("8001"), playsTone)
			call := bareCall{
				uri:     "sip:46110110@" + x.udp,
				account: ">;regint=0;answermode=auto;audio_codecs=opus/48000/2",
				config:  "module opus.so\n",
				rate:    48000,
				user:    user,
			}
			if user != "" {
				call.account = strings.Replace(call.account, "regint=0;", "", 1)
			}
			up := call.talk(t, x)
			if i := up.Info(); i.Codec != "opus" {
				t.Errorf("codec %q", i.Codec)
			}
			if s := up.Media().Stats(); s.Malformed+s.WrongType > 0 {
				t.Errorf("%+v", s)
			}
			if h, ok := up.(Holder); ok { // our offer within the call is Opus, too
				if err := errors.Join(h.Hold(context.Background()), h.Resume(context.Background())); err != nil {
					t.Error(err)
				}
				hears(t, up.Media().Tap(), baresTone)
			}
		})
	}
}
