package sip

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"lianxin/sip/media"
	"lianxin/sip/media/mediatest"
)

// linphoneConfig is a linphone without sound card and screen. It rewrites its file at exit.
const linphoneConfig = `[sip]
auto_net_state_mon=0
sip_port=%[1]d
sip_tcp_port=-1
sip_tls_port=-1
contact="lp" <sip:lp@127.0.0.1>
guess_hostname=0
use_info=0
use_rfc2833=1
media_encryption=none

[video]
enabled=0
capture=0

[rtp]
audio_rtp_port=%[2]d
audio_jitt_comp=60

[sound]
echocancellation=0

[audio_codec_0]
mime=PCMU
rate=8000
channels=1
enabled=1

[audio_codec_1]
mime=PCMA
rate=8000
channels=1
enabled=1
`

func TestLinphoneTalksBothWays(t *testing.T) {
	t.Parallel()
	program := tool(t, "linphonec", "")
	const ours, theirs = 440.0, 700.0
	dir := t.TempDir()
	// Without this folder its database cannot be opened, and every call ends with "No listening point matching".
	if err := os.MkdirAll(filepath.Join(dir, ".local/share/linphone"), 0o700); err != nil {
		t.Fatal(err)
	}
	rc, play, heard := filepath.Join(dir, "rc"), filepath.Join(dir, "tx.wav"), filepath.Join(dir, "rx.wav")
	for path, content := range map[string][]byte{
		rc:   fmt.Appendf(nil, linphoneConfig, freePort(t), freePort(t)&^1),
		play: wav(mediatest.Sine(theirs, 10000, 8000*60)),
	} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	recording := filepath.Join(dir, "ours.wav")
	keys := make(chan string, 1)
	x := start(t, nil, func(ctx context.Context, c Call) {
		if c.Answer(ctx) != nil {
			return
		}
		rec, err := c.Media().Record(recording, media.RecordOptions{})
		if err != nil {
			t.Error(err)
			return
		}
		stop := c.Media().Loop(media.Tone([]float64{ours}, time.Second))
		var b strings.Builder
	loop:
		for {
			select {
			case d := <-c.Media().Digits():
				b.WriteRune(d.Key)
			case <-c.Done():
				break loop
			}
		}
		stop()
		if _, err := rec.Stop(); err != nil {
			t.Error(err)
		}
		keys <- b.String()
	})
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, "-c", rc)
	cmd.Env = append(os.Environ(), "HOME="+dir)
	var out lockedBuffer
	cmd.Stdout, cmd.Stderr = &out, &out
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	say := func(lines ...string) {
		for _, l := range lines {
			_, _ = io.WriteString(in, l+"\n")
			time.Sleep(300 * time.Millisecond)
		}
	}
	say("soundcard use files", "play "+play, "record "+heard, "call sip:46110110@"+x.udp)
	c := x.call()
	defer func() {
		if t.Failed() {
			t.Logf("linphone:\n%s\ntrace:\n%s", out.String(), traceOf(c))
		}
	}()
	eventually(t, "talking", func() bool { return !c.Info().Answered.IsZero() && c.Media().Heard() })
	time.Sleep(4 * time.Second)
	say("3", "9")
	time.Sleep(time.Second)
	say("terminate")
	if e := ended(t, c); e.By != ByFar {
		t.Errorf("end %+v", e)
	}
	say("quit")
	_ = in.Close()
	_ = cmd.Wait()
	select {
	case k := <-keys:
		if k != "39" {
			t.Errorf("keys %q", k)
		}
	case <-time.After(patience):
		t.Fatal("serving did not end")
	}
	if d := longest(samples(t, recording), theirs); d < 500*time.Millisecond {
		t.Errorf("we heard linphone's tone for %v", d)
	}
	if d := longest(samples(t, heard), ours); d < 500*time.Millisecond {
		t.Errorf("linphone heard our tone for %v", d)
	}
}

// The scanner that knocks at every SIP port of the internet finds nothing: no server, and no extension.
func TestSipviciousFindsNothing(t *testing.T) {
	t.Parallel()
	svmap, svwar := tool(t, "svmap", ""), tool(t, "svwar", "")
	x := start(t, func(c *Config) {
		c.Accounts = func(_ context.Context, user string) (Account, bool) { return HA1(user, "lianxin", "x"), user == "105" }
	}, nil)
	host, port, _ := strings.Cut(x.udp, ":")
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var all sync.WaitGroup
	for _, args := range [][]string{
		{svmap, "-p", port, host},
		{svmap, "-p", port, "-m", "INVITE", host},
		{svwar, "-p", port, "-e", "100-110", "-m", "REGISTER", host},
		{svwar, "-p", port, "-e", "100-110", "-m", "INVITE", host},
	} {
		all.Go(func() {
			cmd := exec.CommandContext(ctx, args[0], args[1:]...)
			cmd.Dir = t.TempDir()
			cmd.Env = append(os.Environ(), "HOME="+cmd.Dir)
			out, _ := cmd.CombinedOutput()
			if strings.Contains(string(out), "| "+host) || strings.Contains(string(out), "| 105") || strings.Contains(string(out), "reqauth") {
				t.Errorf("%v found something:\n%s", args, out)
			}
		})
	}
	all.Wait()
	if h := x.Health(); h.Dropped["scanner"] < 4 || h.Calls != 0 {
		t.Errorf("%d scanner messages were dropped, %d calls", h.Dropped["scanner"], h.Calls)
	}
}
