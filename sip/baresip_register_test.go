package sip

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

func TestBaresipRegistersWithDigestAndIsRung(t *testing.T) {
	program := tool(t, "baresip", "/usr/lib/baresip/modules/aufile.so")
	dir := t.TempDir()
	x := start(t, users("8001"), nil)
	sipPort, cons := freePort(t), freePort(t)
	for name, content := range map[string][]byte{
		"config":   fmt.Appendf(nil, baresipConfig, sipPort, dir, cons),
		"accounts": fmt.Appendf(nil, "<sip:8001@%s>;auth_user=8001;auth_pass=pw-8001;regint=60;answermode=auto;audio_codecs=PCMA/8000/1\n", x.udp),
		"contacts": nil,
		"tx.wav":   wav(make([]int16, 8000*60)),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, "-f", dir, "-t", "50")
	var out lockedBuffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("baresip:\n%s", out.String())
		}
	}()
	eventually(t, "registered", func() bool { return x.Registered("8001") })
	c, err := x.Dial(ctx, Target{User: "8001"}, DialOpt{From: "46110110"})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Hangup(context.Background()); err != nil {
		t.Error(err)
	}
}
