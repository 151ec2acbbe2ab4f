package sip

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	gosip "github.com/emiago/sipgo/sip"
)

// shark reads a pcap file with tshark and returns the fields of what matches.
func shark(t *testing.T, p *Packets, voice bool, filter string, fields ...string) []string {
	t.Helper()
	bin := tool(t, "tshark", "")
	file := filepath.Join(t.TempDir(), "call.pcap")
	var b bytes.Buffer
	if err := p.WritePCAP(&b, voice); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"-r", file, "-o", "rtp.heuristic_rtp:TRUE", "-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE", "-Y", filter, "-T", "fields"}
	for _, f := range fields {
		args = append(args, "-e", f)
	}
	cmd := exec.Command(bin, args...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("tshark: %v\n%s", err, errs.String())
	}
	return strings.Split(strings.TrimRight(string(out), "\n"), "\n")
}

// The next call of a number is captured from its INVITE on, and Wireshark reads it: messages, voice both ways, right checksums.
func TestTheNextCallIsCapturedAsPackets(t *testing.T) {
	got := make(chan *Packets, 2)
	x := start(t, func(c *Config) { c.OnCapture = func(p *Packets) { got <- p } }, nil)
	if err := x.CaptureNext("5678", time.Minute); err != nil {
		t.Fatal(err)
	}
	other := newPeer(t, x.udp).ua()
	other.invite(plainSDP, "From: <sip:13900000000@127.0.0.1>;tag="+other.tag)
	ended(t, hungUp(t, other, x.call()))

	p := newPeer(t, x.udp)
	u := p.ua()
	u.invite(sdpFor("127.0.0.1", 41000, "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"))
	c := x.call()
	if !x.hears(c) {
		t.Fatal("no packet was sent")
	}
	c.Media().Private(true)
	p.response(u.do("INFO", "Signal=7\r\nDuration=160\r\n", "Content-Type: application/dtmf-relay"), 200)
	c.Media().Private(false)
	ended(t, hungUp(t, u, c))
	var call *Packets
	select {
	case call = <-got:
	case <-time.After(20 * time.Second):
		t.Fatal("nothing was captured")
	}
	if call.Call != c.ID() || call.Cut {
		t.Errorf("captured call %s, cut %v", call.Call, call.Cut)
	}
	methods := shark(t, call, true, "sip", "sip.Method", "sip.Status-Code", "udp.srcport", "udp.dstport")
	var flat []string
	for _, m := range methods {
		f := strings.Split(m, "\t")
		flat = append(flat, f[0]+f[1])
	}
	if s := strings.Join(flat, " "); s != "INVITE 200 ACK INFO 200 BYE 200" && s != "INVITE 180 200 ACK INFO 200 BYE 200" {
		t.Errorf("messages: %s", s)
	}
	if n := len(shark(t, call, true, "rtp && udp.dstport == 41000", "rtp.seq")); n < 5 {
		t.Errorf("%d RTP packets", n)
	}
	if bad := shark(t, call, true, "ip.checksum.status == 0 || udp.checksum.status == 0 || _ws.malformed", "frame.number", "ip.checksum.status", "udp.checksum.status", "_ws.malformed", "_ws.expert.message"); bad[0] != "" {
		t.Errorf("frames with wrong checksums or malformed: %v", bad)
	}
	for _, one := range call.List {
		for _, secret := range []string{"WVNfX19z", "Signal=7"} {
			if bytes.Contains(one.Data, []byte(secret)) {
				t.Errorf("%q is in the capture", secret)
			}
		}
	}
	for _, payload := range shark(t, call, false, "rtp && udp.dstport == 41000", "rtp.payload") {
		if strings.Trim(payload, "d5:") != "" {
			t.Errorf("sound in a capture without sound: %s", payload)
			break
		}
	}
	select {
	case p := <-got:
		t.Errorf("call %s was captured too", p.Call)
	default:
	}
}

// hears waits until something has been sent on a call.
func (x *exchange) hears(c Call) bool {
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if c.Media().Stats().PacketsOut > 10 {
			return true
		}
	}
	return false
}

func hungUp(t *testing.T, u *ua, c Call) Call {
	t.Helper()
	u.response(u.do("BYE", ""), 200)
	return c
}

func TestACallThatIsUpIsCapturedWithTheLegsDialledForIt(t *testing.T) {
	t.Parallel()
	got := make(chan *Packets, 1)
	x := start(t, func(c *Config) { c.OnCapture = func(p *Packets) { got <- p } }, nil)
	if err := x.CaptureCall("nothing"); err != ErrNoCall {
		t.Errorf("capture of no call: %v", err)
	}
	p := newPeer(t, x.udp)
	u := p.ua()
	u.invite(plainSDP)
	c := x.call()
	if err := x.CaptureCall(c.ID()); err != nil {
		t.Fatal(err)
	}
	if err := x.CaptureCall(c.ID()); err != ErrCapturing {
		t.Errorf("a second capture: %v", err)
	}
	bob := newPeer(t, x.udp)
	rung := x.dial(context.Background(), bob.target(), DialOpt{From: "46110110", Headers: map[string]string{ForCall: c.ID()}})
	inv := bob.request(gosip.INVITE)
	bob.reply(inv, 200, "b1", plainSDP)
	bob.request(gosip.ACK)
	second := wait(t, rung)
	if second.err != nil {
		t.Fatal(second.err)
	}
	ladder := x.Ladder(c.ID())
	if len(ladder) != 2 || ladder[0].Role != "caller" || ladder[1].Direction != Outgoing || len(ladder[1].Lines) < 3 || !ladder[1].HasMedia {
		t.Errorf("ladder: %+v", ladder)
	}
	ended(t, hungUp(t, u, c))
	select {
	case call := <-got:
		to := 0
		for _, one := range call.List {
			if one.To.String() == bob.addr && !one.Voice {
				to++
			}
		}
		if to < 2 {
			t.Errorf("%d messages to the leg that was dialled for the call", to)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("nothing was captured")
	}
	if l := x.Ladder(c.ID()); len(l) != 2 || l[0].End.Cause == "" {
		t.Errorf("the ladder after the end: %+v", l)
	}
}
