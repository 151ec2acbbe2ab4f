package sip

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"lianxin/sip/media"
	"lianxin/sip/media/mediatest"
)

// baresipConfig is a baresip without sound card and screen: it plays tx.wav and records what it hears.
const baresipConfig = `poll_method epoll
sip_listen 127.0.0.1:%[1]d
call_local_timeout 120
call_max_calls 4
audio_path /usr/share/baresip
audio_player aubridge,nil
audio_source aufile,%[2]s/tx.wav
audio_alert aubridge,nil2
ausrc_srate 8000
auplay_srate 8000
ausrc_channels 1
auplay_channels 1
audio_buffer 20-160
rtp_ports 28000-28999
rtcp_mux no
jitter_buffer_type fixed
jitter_buffer_delay 2-10
rtp_stats yes
module_path /usr/lib/baresip/modules
module g711.so
module aufile.so
module aubridge.so
module sndfile.so
module_tmp account.so
module_app menu.so
module_app contact.so
module cons.so
cons_listen 127.0.0.1:%[3]d
net_interface 127.0.0.1
snd_path %[2]s
`

func freePort(t testing.TB) int {
	t.Helper()
	for range 2000 {
		addr := fmt.Sprintf("127.0.0.1:%d", 20000+nextPort.Add(2)%4000)
		c, err := net.ListenPacket("udp", addr)
		if err != nil {
			continue
		}
		l, err := net.Listen("tcp", addr) // a telephone listens on both
		_ = c.Close()
		if err != nil {
			continue
		}
		_ = l.Close()
		return l.Addr().(*net.TCPAddr).Port
	}
	t.Fatal("no port is free")
	return 0
}

// nextPort goes round below the ports that the kernel gives out by itself, so that none is taken between its choice and its use.
var nextPort = func() *atomic.Int64 {
	var n atomic.Int64
	n.Store(int64(os.Getpid()))
	return &n
}()

// wav writes 16-bit mono samples at 8 kHz.
func wav(pcm []int16) []byte {
	b := make([]byte, 44, 44+2*len(pcm))
	copy(b, "RIFF")
	binary.LittleEndian.PutUint32(b[4:], uint32(36+2*len(pcm)))
	copy(b[8:], "WAVEfmt ")
	binary.LittleEndian.PutUint32(b[16:], 16)
	binary.LittleEndian.PutUint16(b[20:], 1)
	binary.LittleEndian.PutUint16(b[22:], 1)
	binary.LittleEndian.PutUint32(b[24:], 8000)
	binary.LittleEndian.PutUint32(b[28:], 16000)
	binary.LittleEndian.PutUint16(b[32:], 2)
	binary.LittleEndian.PutUint16(b[34:], 16)
	copy(b[36:], "data")
	binary.LittleEndian.PutUint32(b[40:], uint32(2*len(pcm)))
	for _, s := range pcm {
		b = binary.LittleEndian.AppendUint16(b, uint16(s))
	}
	return b
}

// samples reads 16-bit mono, or the first channel of more.
func samples(t testing.TB, file string) []int16 {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	at := strings.Index(string(b), "data")
	if at < 0 || at+8 > len(b) {
		return nil // a recording that has only begun
	}
	channels := int(binary.LittleEndian.Uint16(b[22:]))
	var out []int16
	for i := at + 8; i+2*channels <= len(b); i += 2 * channels {
		out = append(out, int16(binary.LittleEndian.Uint16(b[i:])))
	}
	return out
}

// longest is the longest run of 100-ms pieces in which a tone is nearly all there is.
func longest(pcm []int16, freq float64) time.Duration {
	best, run := 0, 0
	for i := 0; i+800 <= len(pcm); i += 800 {
		if mediatest.Share(pcm[i:i+800], freq) > 0.9 {
			run++
			best = max(best, run)
		} else {
			run = 0
		}
	}
	return time.Duration(best) * 100 * time.Millisecond
}

func TestBaresipTalksBothWays(t *testing.T) {
	t.Parallel()
	program := tool(t, "baresip", "/usr/lib/baresip/modules/aufile.so")
	const ours, theirs = 440.0, 700.0
	dir := t.TempDir()
	recording := filepath.Join(dir, "ours.wav")
	digits := make(chan string, 1)
	x := start(t, nil, func(ctx context.Context, c Call) {
		if err := c.Ring(ctx); err != nil {
			return
		}
		time.Sleep(200 * time.Millisecond)
		if c.Answer(ctx) != nil {
			return
		}
		rec, err := c.Media().Record(recording, media.RecordOptions{})
		if err != nil {
			t.Error(err)
			return
		}
		stop := c.Media().Loop(media.Tone([]float64{ours}, time.Second))
		var keys strings.Builder
	loop:
		for {
			select {
			case d := <-c.Media().Digits():
				keys.WriteRune(d.Key)
			case <-c.Done():
				break loop
			}
		}
		stop()
		if _, err := rec.Stop(); err != nil {
			t.Error(err)
		}
		digits <- keys.String()
	})
	pcm := mediatest.Sine(theirs, 10000, 8000*60)
	sipPort, cons := freePort(t), freePort(t)
	for name, content := range map[string][]byte{
		"config":   fmt.Appendf(nil, baresipConfig, sipPort, dir, cons),
		"accounts": fmt.Appendf(nil, "<sip:bs@127.0.0.1:%d>;regint=0;answermode=auto;audio_codecs=PCMA/8000/1\n", sipPort),
		"contacts": nil,
		"tx.wav":   wav(pcm),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, "-f", dir, "-e", "/dial sip:46110110@"+x.udp, "-t", "50")
	var out lockedBuffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c := x.call()
	defer func() {
		if t.Failed() {
			t.Logf("baresip:\n%s\ntrace:\n%s", out.String(), traceOf(c))
		}
	}()
	eventually(t, "talking", func() bool { return !c.Info().Answered.IsZero() && c.Media().Heard() })
	keyboard, err := net.Dial("udp", fmt.Sprintf("127.0.0.1:%d", cons))
	if err != nil {
		t.Fatal(err)
	}
	defer keyboard.Close()
	time.Sleep(4 * time.Second) // both tones, long enough to be heard on a busy machine too
	for _, k := range "57#" {
		_, _ = fmt.Fprintf(keyboard, "%c", k)
		time.Sleep(250 * time.Millisecond)
		_, _ = keyboard.Write([]byte{4})
		time.Sleep(250 * time.Millisecond)
	}
	if err := c.Hangup(context.Background()); err != nil {
		t.Error(err)
	}
	if e := c.End(); e.By != ByUs {
		t.Errorf("end %+v", e)
	}
	select {
	case keys := <-digits:
		if keys != "57#" {
			t.Errorf("keys %q", keys)
		}
	case <-time.After(patience):
		t.Fatal("serving did not end")
	}
	_ = cmd.Process.Signal(os.Interrupt)
	_ = cmd.Wait()
	if d := longest(samples(t, recording), theirs); d < 500*time.Millisecond {
		t.Errorf("we heard baresip's tone for %v", d)
	}
	dumps, _ := filepath.Glob(filepath.Join(dir, "dump-*-dec.wav"))
	if len(dumps) != 1 {
		t.Fatalf("baresip recorded %v", dumps)
	}
	if d := longest(samples(t, dumps[0]), ours); d < 500*time.Millisecond {
		t.Errorf("baresip heard our tone for %v", d)
	}
	if i := c.Info(); i.Codec != "PCMA" || i.From != "bs" {
		t.Errorf("%+v", i)
	}
}
