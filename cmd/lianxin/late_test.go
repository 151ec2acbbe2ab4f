package main

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"lianxin/ivr/softphone"
	"lianxin/sip/media"
)

// Pitfall 39, the whole way: pacers that have more to do than fits are late, and the running centre therefore refuses new calls with
// 503 and Retry-After, leads on those that it has, says so in its health, and takes calls again when the work is gone.
func TestLatePacersRefuseNewCallsAndKeepTheOthers(t *testing.T) {
	t.Parallel()
	cfg := defaults(t, filepath.Join(t.TempDir(), "data"))
	cfg.Drain, cfg.RTPPorts = 0, PortRange{Low: 28400, High: 28499}
	u := start(t, cfg)
	sound, err := media.NewEngine(media.Config{PortLow: 28500, PortHigh: 28599})
	if err != nil {
		t.Fatal(err)
	}
	defer sound.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	addr := strings.TrimPrefix(u.c.phones.Addrs()[0], "udp://")
	dial := func(number string) (*softphone.Call, error) {
		phone, err := softphone.New(softphone.Config{User: number, Server: addr, Engine: sound})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(phone.Crash)
		return phone.Dial(ctx, "46110110")
	}
	until := func(what string, f func() bool) {
		t.Helper()
		for !f() {
			select {
			case <-ctx.Done():
				t.Fatalf("did not happen: %s (%+v)", what, u.c.engine.Lateness())
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
	call, err := dial("19900008041")
	if err != nil {
		t.Fatal(err)
	}

	// Legs of another transport whose every packet takes its time: six times what a frame has.
	each := 3 * time.Millisecond * time.Duration(max(1, runtime.NumCPU()-1))
	var slow []*media.Leg
	for range fewLegs {
		leg, _, err := u.c.engine.OpenVia(func([]byte, bool) { time.Sleep(each) }, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := leg.Start(media.Params{Remote: media.Elsewhere, Codec: media.PCMA, Mux: true, Send: true}); err != nil {
			t.Fatal(err)
		}
		slow = append(slow, leg)
	}
	until("the pacers are late", u.c.overloaded)
	if p := u.c.mediaHealth(); p.OK {
		t.Errorf("health: %+v", p)
	}
	answer := final(ctx, t, addr, "late")
	if !strings.HasPrefix(answer, "SIP/2.0 503 ") || !strings.Contains(answer, "\r\nRetry-After: 5\r\n") {
		t.Errorf("a new call got\n%s", answer)
	}
	was := call.Leg().Stats().PacketsIn
	until("the call that is up goes on", func() bool { return call.Leg().Stats().PacketsIn >= was+5 })
	select {
	case <-call.Done():
		t.Error("the call that was up has ended")
	default:
	}

	for _, leg := range slow {
		leg.Shut()
	}
	until("the pacers are in time again", func() bool { return !u.c.overloaded() })
	if _, err := dial("19900008042"); err != nil {
		t.Errorf("afterwards: %v", err)
	}
	select {
	case <-call.Done():
		t.Error("the call that was up has ended")
	default:
	}
}

// final is the last answer to an INVITE, repeated as RFC 3261 wants.
func final(ctx context.Context, t *testing.T, addr, id string) string {
	t.Helper()
	conn, err := net.Dial("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	self, body := conn.LocalAddr().String(), "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 8\r\n"
	invite := fmt.Sprintf("INVITE sip:46110110@%s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bK%s\r\nFrom: <sip:19900008043@%s>;tag=f\r\nTo: <sip:46110110@%s>\r\nCall-ID: %s\r\nCSeq: 1 INVITE\r\n"+
		"Contact: <sip:x@%s>\r\nMax-Forwards: 70\r\nContent-Type: application/sdp\r\nContent-Length: %d\r\n\r\n%s", addr, self, id, self, addr, id, self, len(body), body)
	buf := make([]byte, 4096)
	for ctx.Err() == nil {
		if _, err := conn.Write([]byte(invite)); err != nil {
			t.Fatal(err)
		}
		_ = conn.SetReadDeadline(time.Now().Add(2 * time.Second))
		for {
			n, err := conn.Read(buf)
			if err != nil {
				break
			}
			if text := string(buf[:n]); !strings.HasPrefix(text, "SIP/2.0 1") {
				return text
			}
		}
	}
	t.Fatal("no answer")
	return ""
}
