package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// measure runs a load against a fresh server and prints what a call cost.
func measure(ctx context.Context, o options, name string, withSound bool, load func(g *generator) error) (counts, error) {
	s, err := startServer(o)
	if err != nil {
		return counts{}, err
	}
	defer s.stop()
	var sound *crowd
	if withSound {
		if sound, err = newCrowd(); err != nil {
			return counts{}, err
		}
	}
	g, err := newGenerator(s.addr, sound)
	if err != nil {
		return counts{}, err
	}
	// Warm: the first calls pay for pages and pools.
	for range 20 {
		g.dial("signal", 0, polite)
		time.Sleep(5 * time.Millisecond)
	}
	g.drain(ctx, 5*time.Second)
	before, err := s.mark(true)
	if err != nil {
		return counts{}, err
	}
	c0, began := g.snapshot(), time.Now()
	w := s.watch()
	err = load(g)
	w.end()
	if err != nil {
		return counts{}, err
	}
	left := g.drain(ctx, 40*time.Second)
	took := time.Since(began)
	after, err := s.mark(false)
	if err != nil {
		return counts{}, err
	}
	c := g.snapshot()
	c = counts{c.tried - c0.tried, c.answered - c0.answered, c.ended - c0.ended, c.refused - c0.refused, c.failed - c0.failed + left, c.resent - c0.resent}
	g.close()
	if sound != nil {
		sound.close()
	}
	cpu := after.CPU - before.CPU
	fmt.Printf("%s\n  %d calls in %.1f s (%.0f/s), %d answered, %d refused with 503, %d failed, %d retransmissions by the caller\n", name, c.tried, took.Seconds(), float64(c.tried)/took.Seconds(), c.answered, c.refused, c.failed, c.resent)
	if c.refused > 0 {
		fmt.Printf("  refused: %d because the exchange was behind, the others for want of a port\n", after.Shed-before.Shed)
	}
	fmt.Printf("  CPU per call %.3f ms (%.0f %% of the core), memory %.0f → %.0f MB, heap %.0f → %.0f MB\n", ms(cpu)/float64(max(1, c.ended)), 100*cpu.Seconds()/took.Seconds(),
		float64(before.RSS)/1e6, float64(after.RSS)/1e6, float64(before.Heap)/1e6, float64(after.Heap)/1e6)
	fmt.Printf("  %s\n", w.memory())
	if sound != nil {
		fmt.Printf("  %s\n  pacer late: %s, %d times found its beat anew\n", sound.quality(), w.lateness(), after.Late.Resyncs-before.Late.Resyncs)
	}
	fmt.Println()
	if after.Panics > 0 {
		return c, fmt.Errorf("%d panics", after.Panics)
	}
	return c, ctx.Err()
}

// signalling is INVITE, 200, ACK, BYE, 200 without sound.
func signalling(ctx context.Context, o options) error {
	rate, d := orDefault(o.rate, 2500), orDefault(o.duration, 60*time.Second)
	_, err := measure(ctx, o, fmt.Sprintf("Signalling only, %d calls/s for %v", rate, d), false, func(g *generator) error {
		g.load(ctx, rate, d, func(int) { g.dial("signal", 0, polite) })
		return nil
	})
	return err
}

// prompt plays a tone to every caller, who sends too.
func prompt(ctx context.Context, o options) error {
	return withSound(ctx, o, "Prompt of %v with RTP both ways, %d calls at once", "prompt", 2000)
}

// bridge lets every caller talk with a friend.
func bridge(ctx context.Context, o options) error {
	return withSound(ctx, o, "Bridged call of %v, %d at once (two legs each)", "bridge", 500)
}

func withSound(ctx context.Context, o options, name, user string, calls int) error {
	calls = orDefault(o.calls, calls)
	rate := max(1, int(float64(calls)/o.talk.Seconds()))
	d := orDefault(o.duration, 3*o.talk)
	_, err := measure(ctx, o, fmt.Sprintf(name, o.talk, calls), true, func(g *generator) error {
		g.load(ctx, rate, d, func(int) { g.dial(user, o.talk, polite) })
		return nil
	})
	return err
}

// menuScenario is a caller who presses one key: the capture that comes with sipp begins its event with a duration of 0.
const menuScenario = `<?xml version="1.0" encoding="ISO-8859-1" ?>
<scenario name="menu">
  <send retrans="500"><![CDATA[
INVITE sip:menu@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:sipp@[local_ip]:[local_port]>;tag=[pid]S[call_number]
To: <sip:menu@[remote_ip]:[remote_port]>
Call-ID: [call_id]
CSeq: 1 INVITE
Contact: <sip:sipp@[local_ip]:[local_port]>
Max-Forwards: 70
Content-Type: application/sdp
Content-Length: [len]

v=0
o=sipp 1 1 IN IP4 [local_ip]
s=-
c=IN IP4 [media_ip]
t=0 0
m=audio [auto_media_port] RTP/AVP 8 101
a=rtpmap:8 PCMA/8000
a=rtpmap:101 telephone-event/8000
]]></send>
  <recv response="100" optional="true"/>
  <recv response="180" optional="true"/>
  <recv response="200"/>
  <send><![CDATA[
ACK sip:menu@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:sipp@[local_ip]:[local_port]>;tag=[pid]S[call_number]
[last_To:]
Call-ID: [call_id]
CSeq: 1 ACK
Max-Forwards: 70
Content-Length: 0

]]></send>
  <nop><action><exec play_pcap_audio="%s"/></action></nop>
  <pause milliseconds="1500"/>
  <send retrans="500"><![CDATA[
BYE sip:menu@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:sipp@[local_ip]:[local_port]>;tag=[pid]S[call_number]
[last_To:]
Call-ID: [call_id]
CSeq: 2 BYE
Max-Forwards: 70
Content-Length: 0

]]></send>
  <recv response="200"/>
</scenario>
`

// menu presses a key in every call with sipp's own capture and counts the keys that were heard.
func menu(ctx context.Context, o options) error {
	calls, rate := orDefault(o.calls, 1000), orDefault(o.rate, 25)
	capture := ""
	for _, dir := range []string{"/usr/share/sip-tester/pcap", "/usr/share/sipp/pcap", "/usr/share/sip-tester"} {
		if _, err := os.Stat(filepath.Join(dir, "dtmf_2833_1.pcap")); err == nil {
			capture = filepath.Join(dir, "dtmf_2833_1.pcap")
		}
	}
	if capture == "" {
		return errors.New("sipp's dtmf_2833_1.pcap was not found (package sip-tester)")
	}
	s, err := startServer(o)
	if err != nil {
		return err
	}
	defer s.stop()
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "menu.xml")
	if err := os.WriteFile(file, fmt.Appendf(nil, menuScenario, capture), 0o600); err != nil {
		return err
	}
	before, err := s.mark(true)
	if err != nil {
		return err
	}
	began := time.Now()
	cmd := exec.CommandContext(ctx, "sipp", s.addr.String(), "-sf", file, "-i", "127.0.0.1", "-m", fmt.Sprint(calls), "-r", fmt.Sprint(rate), "-nostdin", "-timeout", "600s")
	cmd.Dir = dir
	out, runErr := cmd.CombinedOutput()
	after, err := s.mark(false)
	if err != nil {
		return err
	}
	fmt.Printf("Menu: one key by sipp's %s, %d calls, %d/s\n  %d keys were heard in %.0f s, CPU per call %.2f ms\n\n", filepath.Base(capture), calls, rate, after.Digits, time.Since(began).Seconds(),
		ms(after.CPU-before.CPU)/float64(calls))
	if runErr != nil {
		return fmt.Errorf("sipp: %w: %s", runErr, lastLines(string(out)))
	}
	if after.Digits != int64(calls) {
		return fmt.Errorf("%d of %d keys were heard", after.Digits, calls)
	}
	return nil
}

func lastLines(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-12):], "\n")
}
