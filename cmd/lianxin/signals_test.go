package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"lianxin/sip/media"
)

// logged waits until the program has written so many lines with a text.
func (p *process) logged(ctx context.Context, text string, times int) {
	p.t.Helper()
	for strings.Count(p.log(), text) < times {
		select {
		case <-ctx.Done():
			p.t.Fatalf("%d lines with %q are not in the log:\n%s", times, text, p.log())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (p *process) signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// options asks the exchange by OPTIONS from a socket, again until there is an answer; what is not an answer is passed over.
func options(ctx context.Context, t *testing.T, from net.PacketConn, to string) string {
	t.Helper()
	buf := make([]byte, 4096)
	n := 0
	for ; ctx.Err() == nil; n++ {
		ask(t, from, to, fmt.Sprint(from.LocalAddr().(*net.UDPAddr).Port, time.Now().UnixNano()))
		_ = from.SetReadDeadline(time.Now().Add(2 * time.Second))
		for {
			k, _, err := from.ReadFrom(buf)
			if err != nil {
				break
			}
			if text := string(buf[:k]); strings.HasPrefix(text, "SIP/2.0 ") {
				return text
			}
		}
	}
	t.Fatalf("no answer to OPTIONS, asked %d times", n)
	return ""
}

func ask(t *testing.T, from net.PacketConn, to, id string) {
	t.Helper()
	addr, err := net.ResolveUDPAddr("udp", to)
	if err != nil {
		t.Fatal(err)
	}
	self := from.LocalAddr().String()
	text := fmt.Sprintf("OPTIONS sip:%s SIP/2.0\r\nVia: SIP/2.0/UDP %s;rport;branch=z9hG4bK%s\r\nFrom: <sip:probe@%s>;tag=f\r\nTo: <sip:%s>\r\nCall-ID: %s\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n", to, self, id, self, to, id)
	if _, err := from.WriteTo([]byte(text), addr); err != nil {
		t.Fatal(err)
	}
}

func socket(t *testing.T, ip string) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(ip)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// The running program is told by SIGHUP of other trunks, other sources and another flow, then of files that are broken, while a citizen
// talks with an operator: what can be taken up is, what is broken changes nothing and says line and reason, and both hear each other all
// the time. Then SIGTERM: new calls and OPTIONS get 503, the talk goes on to its end, and the program ends well.
func TestSignalsToTheRunningProgramLeaveTheTalkAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	flows, file := filepath.Join(dir, "flows"), filepath.Join(dir, "lianxin.yaml")
	shipped, err := os.ReadFile("../../ivr/flows/hotline.yaml")
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(flows, 0o700); err != nil {
		t.Fatal(err)
	}
	flow := filepath.Join(flows, "hotline.yaml")
	write(flow, string(shipped))
	write(file, "max-calls: 50\n")
	p := &process{t: t, dir: filepath.Join(dir, "data"), http: freePort(t), sip: freePort(t), rtp: "28820-28859",
		more: []string{"--config", file, "--flows", flows, "--drain", "90s"}}
	p.begin()
	ended := false
	t.Cleanup(func() {
		if !ended {
			p.kill()
		}
	})
	sound, err := media.NewEngine(media.Config{PortLow: 28860, PortHigh: 28899})
	if err != nil {
		t.Fatal(err)
	}
	defer sound.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	operator := p.operator(ctx, "8001", sound)
	caller := p.caller(ctx, "19900008001", sound)
	talk := p.reaches(ctx, caller, operator)

	// They hear each other, each time with other tones: nothing heard before counts.
	tone := 300.0
	both := func(when string) {
		t.Helper()
		tone += 130
		caller.Tone(tone)
		talk.Tone(tone + 1000)
		if err := talk.HearsTone(ctx, tone); err != nil {
			t.Fatalf("%s: the operator: %v", when, err)
		}
		if err := caller.HearsTone(ctx, tone+1000); err != nil {
			t.Fatalf("%s: the citizen: %v", when, err)
		}
	}
	both("before")
	api := p.api()
	type inForce struct {
		Version  string
		Problems []string
	}
	now := func() (f inForce) {
		api.ask("GET", "/api/v1/flows", nil, nil, &f)
		return f
	}
	figures := func() string { return get(t, "http://"+p.http+"/metrics") }
	first := now()
	gateway, stranger := socket(t, "127.0.0.1"), socket(t, "127.0.0.77")
	if answer := options(ctx, t, stranger, p.sip); !strings.HasPrefix(answer, "SIP/2.0 200 ") {
		t.Fatalf("before: %s", answer)
	}

	write(flow, strings.Replace(string(shipped), "wait: 6s", "wait: 7s", 1))
	write(file, fmt.Sprintf("max-calls: 40\nsip-denied: [127.0.0.77]\ntelephony:\n  trunks:\n    - {name: telecom, proxy: \"sip:%s\"}\n  outbound: {allow: [\"110\"]}\n", gateway.LocalAddr()))
	p.signal(syscall.SIGHUP)
	p.logged(ctx, "configuration taken up", 1)
	p.logged(ctx, "flow files are in force", 1)
	if f := now(); f.Version == first.Version || len(f.Problems) > 0 {
		t.Errorf("the flow in force is %+v, it was %+v", f, first)
	}
	_ = gateway.SetReadDeadline(time.Now().Add(time.Minute))
	buf := make([]byte, 2048)
	if n, _, err := gateway.ReadFrom(buf); err != nil || !strings.HasPrefix(string(buf[:n]), "OPTIONS ") {
		t.Errorf("the new trunk is not asked whether it is there: %q %v", buf[:n], err)
	}
	ask(t, stranger, p.sip, "denied")
	api.until("the denied source is not listened to", func() bool {
		return strings.Contains(figures(), `lianxin_sip_messages_dropped_total{reason="banned"} 1`)
	})
	both("after the reload")

	second := now()
	write(flow, strings.Replace(string(shipped), "next: known", "next: nowhere", 1))
	write(file, "max-calls: 30\ntelephony:\n  outbound:\n    allow:\n      - \"110\"\n      - nonsense\n")
	p.signal(syscall.SIGHUP)
	p.logged(ctx, "configuration not taken up", 1)
	p.logged(ctx, "flow files were refused", 1)
	if log := p.log(); !strings.Contains(log, file+", line 6: ") || !strings.Contains(log, "number pattern") {
		t.Errorf("line and reason are not in the log:\n%s", log)
	}
	if f := now(); f.Version != second.Version || len(f.Problems) == 0 || !strings.Contains(f.Problems[0], "hotline.yaml:15:") || !strings.Contains(f.Problems[0], "nowhere") {
		t.Errorf("after broken files: %+v, want %s and the place of the mistake", f, second.Version)
	}
	ask(t, stranger, p.sip, "denied-still")
	api.until("the denied source is not listened to", func() bool {
		return strings.Contains(figures(), `lianxin_sip_messages_dropped_total{reason="banned"} 2`)
	})
	both("after files that are broken")

	p.signal(syscall.SIGTERM)
	probe := socket(t, "127.0.0.1")
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(p.log())
		}
	})
	api.until("OPTIONS is answered 503", func() bool { return strings.HasPrefix(options(ctx, t, probe, p.sip), "SIP/2.0 503 ") })
	if answer := final(ctx, t, p.sip, "late"); !strings.HasPrefix(answer, "SIP/2.0 503 ") || !strings.Contains(answer, "\r\nRetry-After: ") {
		t.Errorf("a new call got\n%s", answer)
	}
	both("while the program is about to stop")
	if err := caller.Hangup(ctx); err != nil {
		t.Error(err)
	}
	over := make(chan error, 1)
	go func() { over <- p.cmd.Wait() }()
	select {
	case err := <-over:
		ended = true
		if err != nil {
			t.Errorf("the program ended with %v\n%s", err, p.log())
		}
	case <-ctx.Done():
		t.Fatalf("the program did not end\n%s", p.log())
	}
}
