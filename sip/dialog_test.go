package sip

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	gosip "github.com/emiago/sipgo/sip"

	"lianxin/sip/media"
	"lianxin/sip/media/mediatest"
)

func TestCallIsAnsweredAndHungUpByEitherSide(t *testing.T) {
	for _, transport := range []string{"udp", "tcp"} {
		t.Run(transport, func(t *testing.T) {
			x := start(t, nil, nil)
			p := func() *peer {
				if transport == "tcp" {
					return dialTCP(t, x.tcp)
				}
				return newPeer(t, x.udp)
			}()
			u := p.ua()
			res := u.invite(plainSDP)
			c := x.call()
			r, err := readSDP(res.Body())
			if err != nil {
				t.Fatalf("answer: %v\n%s", err, res.Body())
			}
			if got := int(r.addr.Port()); got != c.Media().Port() || len(r.codecs) != 1 || r.codecs[0].pt != 8 || r.events != 101 {
				t.Errorf("answer %+v, media port %d", r, c.Media().Port())
			}
			for _, h := range []string{"Server", "User-Agent"} {
				if res.GetHeader(h) != nil {
					t.Errorf("the answer gives away %s", h)
				}
			}
			info := c.Info()
			if info.From != "13912345678" || info.To != "46110110" || info.Display != "Alice" || info.Codec != "PCMA" ||
				info.Transport != strings.ToUpper(transport) || info.Remote.String() != p.addr || info.Answered.IsZero() {
				t.Errorf("info %#v", info)
			}
			p.response(u.do("BYE", "", "Reason: Q.850 ;cause=16"), 200)
			if e := ended(t, c); e.By != ByFar || !strings.HasPrefix(e.Cause, "bye") || !strings.Contains(e.Cause, "cause=16") || e.Code != 0 {
				t.Errorf("end %+v", e)
			}

			u = p.ua()
			u.invite(plainSDP)
			c = x.call()
			done := make(chan error, 1)
			go func() { done <- c.Hangup(context.Background()) }()
			bye := p.request(gosip.BYE)
			p.reply(bye, 200, "", "")
			if err := <-done; err != nil {
				t.Error(err)
			}
			if e := ended(t, c); e.By != ByUs {
				t.Errorf("end %+v", e)
			}
			if to, _ := bye.To().Params.Get("tag"); to != u.tag {
				t.Errorf("BYE goes to tag %q, want %q", to, u.tag)
			}
			p.response(u.do("BYE", ""), 200) // BYEs that cross are both confirmed (pitfall 4)
		})
	}
}

func TestAllAnswersOfAnInviteHaveOneToTag(t *testing.T) { // trap 3
	x := start(t, nil, func(ctx context.Context, c Call) {
		_ = c.Ring(ctx)
		<-c.Done()
	})
	p := newPeer(t, x.udp)
	u := p.ua()
	u.seq = 1
	branch := unique()
	u.write([]byte(u.message("INVITE", 1, branch, plainSDP)))
	tag := func(r *gosip.Response) string { v, _ := r.To().Params.Get("tag"); return v }
	ringing := p.response("1 INVITE", 180)
	u.write([]byte(u.message("CANCEL", 1, branch, "")))
	// 487 and the 200 to the CANCEL come in either order
	tags := map[string]string{"180": tag(ringing)}
	for len(tags) < 3 {
		select {
		case m := <-p.in:
			if r, ok := m.(*gosip.Response); ok && r.StatusCode >= 200 {
				tags[fmt.Sprint(r.StatusCode, " ", r.CSeq().MethodName)] = tag(r)
			}
		case <-time.After(patience):
			t.Fatalf("only %v came", tags)
		}
	}
	for k, v := range tags {
		if v == "" || v != tags["180"] {
			t.Errorf("%s has tag %q, 180 has %q", k, v, tags["180"])
		}
	}
	u.write([]byte(u.message("ACK", 1, branch, "")))
	if e := ended(t, x.call()); e.By != ByFar || e.Cause != "cancel" || e.Code != 487 {
		t.Errorf("end %+v", e)
	}
}

func TestCancelRightBehindItsInviteLeavesNoGhost(t *testing.T) { // trap 1
	const n = 2000
	x := start(t, nil, func(ctx context.Context, c Call) {
		if c.Ring(ctx) == nil {
			<-c.Done()
		}
	})
	p := newPeer(t, x.udp)
	done := make(chan int)
	window := make(chan struct{}, 100) // so many at once, not to overrun a socket's buffer: nothing is sent twice here
	go func() {                        // 200 to CANCEL and 487 to INVITE, each answered with ACK
		ok := map[string]int{}
		finished := 0
		timeout := time.After(2 * patience)
		for finished < n {
			select {
			case m := <-p.in:
				r, isRes := m.(*gosip.Response)
				if !isRes || r.StatusCode < 200 {
					continue
				}
				id := r.CallID().Value()
				switch {
				case r.CSeq().MethodName == gosip.CANCEL && r.StatusCode == 200:
					ok[id] |= 1
				case r.CSeq().MethodName == gosip.INVITE && r.StatusCode == 487:
					ok[id] |= 2
					ack := fmt.Sprintf("ACK sip:46110110@%s SIP/2.0\r\nVia: %s\r\nFrom: %s\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: 1 ACK\r\n"+
						"Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n", x.udp, strings.SplitN(r.Via().Value(), ";rport", 2)[0], r.From().Value(), r.To().Value(), id)
					p.write([]byte(ack))
				default:
					t.Errorf("%s: %d to %s", id, r.StatusCode, r.CSeq().Value())
				}
				if ok[id] == 3 {
					ok[id] = 7
					finished++
					<-window
				}
			case <-timeout:
				done <- finished
				return
			}
		}
		done <- finished
	}()
	for range n {
		select {
		case window <- struct{}{}:
		case <-time.After(3 * patience):
			t.Fatal("the server does not keep up")
		}
		u := p.ua()
		branch := unique()
		u.write([]byte(u.message("INVITE", 1, branch, plainSDP)))
		u.write([]byte(u.message("CANCEL", 1, branch, "")))
	}
	if got := <-done; got != n {
		t.Errorf("%d of %d cancelled calls were answered with 200 and 487", got, n)
	}
	eventually(t, "all calls over", func() bool { return x.Health().Calls == 0 })
	eventually(t, "all media closed", func() bool { return x.engine.Legs() == 0 })
}

func TestCancelThatOvertakesItsInviteOnTheWireIsHonoured(t *testing.T) {
	x := start(t, nil, func(ctx context.Context, c Call) { t.Error("a cancelled call was handed out") })
	p := newPeer(t, x.udp)
	for range 20 {
		u := p.ua()
		branch := unique()
		u.write([]byte(u.message("CANCEL", 1, branch, "")))
		u.write([]byte(u.message("INVITE", 1, branch, plainSDP)))
		saw := map[string]int{}
		for len(saw) < 2 {
			select {
			case m := <-p.in:
				if r, ok := m.(*gosip.Response); ok && r.CallID().Value() == u.callID && r.StatusCode >= 200 {
					saw[string(r.CSeq().MethodName)] = r.StatusCode
				}
			case <-time.After(patience):
				t.Fatalf("got only %v", saw)
			}
		}
		if saw["CANCEL"] != 200 || saw["INVITE"] != 487 {
			t.Errorf("got %v", saw)
		}
		u.write([]byte(u.message("ACK", 1, branch, "")))
	}
}

func TestCancelOfNothingAndOfAnAnsweredCall(t *testing.T) { // pitfall 2
	x := start(t, nil, nil)
	p := newPeer(t, x.udp)
	u := p.ua()
	p.response(u.do("CANCEL", ""), 481)

	u = p.ua()
	branch := unique()
	u.seq = 1
	u.write([]byte(u.message("INVITE", 1, branch, plainSDP)))
	res := p.response("1 INVITE", 200)
	u.write([]byte(u.message("CANCEL", 1, branch, "")))
	p.response("1 CANCEL", 200)
	u.remoteTag, _ = res.To().Params.Get("tag")
	u.ack("")
	c := x.call()
	time.Sleep(50 * time.Millisecond)
	select {
	case <-c.Done():
		t.Errorf("a late CANCEL ended the call: %+v", c.End())
	default:
	}
	p.response(u.do("BYE", ""), 200)
}

func TestUnacknowledgedAnswerIsRepeatedAndThenHungUp(t *testing.T) { // trap 4, pitfall 3
	x := start(t, func(c *Config) { c.t1 = 20 * time.Millisecond }, nil)
	p := newPeer(t, x.udp)
	u := p.ua()
	cseq := u.do("INVITE", plainSDP)
	var at []time.Duration
	began := time.Now()
	for {
		var m gosip.Message
		select {
		case m = <-p.in:
		case <-time.After(patience):
			t.Fatal("neither 200 nor BYE came")
		}
		if r, ok := m.(*gosip.Response); ok && r.StatusCode == 200 && r.CSeq().Value() == cseq {
			at = append(at, time.Since(began))
			u.remoteTag, _ = r.To().Params.Get("tag")
			continue
		}
		if r, ok := m.(*gosip.Request); ok && r.Method == gosip.BYE {
			p.reply(r, 200, "", "")
			break
		}
	}
	// 0, 1, 3, 7, 15, 23 … ×T1: at least eight of eleven may be expected on a busy machine, and BYE after 64×T1
	if took := time.Since(began); took < 64*x.t1 || len(at) < 8 || len(at) > 12 {
		t.Errorf("%d copies of the 200 at %v, BYE after %v", len(at), at, took)
	}
	if e := ended(t, x.call()); e.By != ByTimeout || e.Cause != causeNoACK {
		t.Errorf("end %+v", e)
	}
}

func TestTheCallerHearsUsBeforeTheACK(t *testing.T) { // trap 5: Answer waits for the ACK, the sound does not
	x := start(t, nil, func(ctx context.Context, c Call) {
		c.Media().Loop(media.Tone([]float64{620}, time.Second))
		_ = c.Answer(ctx)
	})
	sound := mediatest.NewPeer(t, mediatest.Phone{})
	u := newPeer(t, x.udp).ua()
	res := u.response(u.do("INVITE", sdpFor("127.0.0.1", int(sound.Addr().Port()))), 200)
	sound.Call(described(t, res.Body()).addr)
	if err := sound.WaitTone(620, patience); err != nil {
		t.Fatal(err)
	}
	u.remoteTag, _ = res.To().Params.Get("tag")
	u.ack("")
	u.response(u.do("BYE", ""), 200)
}

func TestAnswerSaysThatItWasNeverAcknowledged(t *testing.T) {
	got := make(chan error, 1)
	x := start(t, func(c *Config) { c.t1 = 5 * time.Millisecond }, func(ctx context.Context, c Call) { got <- c.Answer(context.Background()) })
	p := newPeer(t, x.udp)
	p.ua().do("INVITE", plainSDP)
	select {
	case err := <-got:
		if err != ErrNoACK {
			t.Errorf("Answer: %v", err)
		}
	case <-time.After(patience):
		t.Fatal("Answer did not return")
	}
}

func TestHangupBeforeTheACKWaitsForIt(t *testing.T) { // RFC 3261 15: no BYE before the ACK
	answered := make(chan struct{})
	x := start(t, nil, func(ctx context.Context, c Call) {
		short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
		defer cancel()
		_ = c.Answer(short)
		_ = c.Hangup(context.Background())
		close(answered)
	})
	p := newPeer(t, x.udp)
	u := p.ua()
	res := p.response(u.do("INVITE", plainSDP), 200)
	<-answered
	p.silent(100*time.Millisecond, func(m gosip.Message) bool { r, ok := m.(*gosip.Request); return ok && r.Method == gosip.BYE })
	u.remoteTag, _ = res.To().Params.Get("tag")
	u.ack("")
	p.reply(p.request(gosip.BYE), 200, "", "")
}

func TestByeCountsAsACK(t *testing.T) {
	x := start(t, func(c *Config) { c.t1 = 20 * time.Millisecond }, nil)
	p := newPeer(t, x.udp)
	u := p.ua()
	res := p.response(u.do("INVITE", plainSDP), 200)
	u.remoteTag, _ = res.To().Params.Get("tag")
	p.response(u.do("BYE", ""), 200)
	if e := ended(t, x.call()); e.By != ByFar {
		t.Errorf("end %+v", e)
	}
	p.silent(200*time.Millisecond, func(m gosip.Message) bool { return m.CSeq().MethodName == gosip.INVITE })
}

func TestByeInAnEarlyDialogRefusesTheInvite(t *testing.T) { // pitfall 4
	x := start(t, nil, func(ctx context.Context, c Call) { _ = c.Ring(ctx); <-c.Done() })
	p := newPeer(t, x.udp)
	u := p.ua()
	res := p.response(u.do("INVITE", plainSDP), 180)
	u.remoteTag, _ = res.To().Params.Get("tag")
	u.do("BYE", "")
	saw := map[string]int{}
	for len(saw) < 2 {
		m := <-p.in
		if r, ok := m.(*gosip.Response); ok && r.StatusCode >= 200 {
			saw[string(r.CSeq().MethodName)] = r.StatusCode
		}
	}
	if saw["BYE"] != 200 || saw["INVITE"] != 487 {
		t.Errorf("got %v", saw)
	}
}

func TestLateOfferIsAnsweredInTheACK(t *testing.T) {
	returned := make(chan error, 1)
	x := start(t, nil, func(ctx context.Context, c Call) {
		returned <- c.Answer(ctx)
		<-c.Done()
	})
	p := newPeer(t, x.udp)
	u := p.ua()
	res := p.response(u.do("INVITE", ""), 200)
	offer, err := readSDP(res.Body())
	if err != nil || len(offer.codecs) != 2 || offer.events == 0 {
		t.Fatalf("offer %+v %v\n%s", offer, err, res.Body())
	}
	c := x.call()
	if codec := c.Info().Codec; codec != "" {
		t.Errorf("codec %q before the answer", codec)
	}
	u.remoteTag, _ = res.To().Params.Get("tag")
	u.ack("v=0\no=- 1 1 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 40002 RTP/AVP 0\n")
	if err := <-returned; err != nil {
		t.Fatal(err)
	}
	if codec := c.Info().Codec; codec != "PCMU" {
		t.Errorf("codec %q", codec)
	}
	p.response(u.do("BYE", ""), 200)

	// an ACK without answer is the end of it
	u = p.ua()
	res = p.response(u.do("INVITE", ""), 200)
	u.remoteTag, _ = res.To().Params.Get("tag")
	u.ack("")
	p.reply(p.request(gosip.BYE), 200, "", "")
	if e := ended(t, x.call()); e.By != ByNetwork {
		t.Errorf("end %+v", e)
	}
}

func TestRetransmittedInviteIsOneCallAndAMergedOneIsRefused(t *testing.T) { // trap 6, pitfalls 1 and 5
	x := start(t, func(c *Config) { c.t1 = time.Hour }, nil) // no repetition of ours: every 200 answers a copy
	p := newPeer(t, x.udp)
	u := p.ua()
	u.seq = 1
	branch := unique()
	msg := []byte(u.message("INVITE", 1, branch, plainSDP))
	u.write(msg)
	u.write(msg)
	res := p.response("1 INVITE", 200)
	u.write(msg)
	other := newPeer(t, x.udp)
	o := *u
	o.peer = other
	other.write([]byte(o.message("INVITE", 1, unique(), plainSDP)))
	other.response("1 INVITE", 482)
	u.remoteTag, _ = res.To().Params.Get("tag")
	u.ack("")
	x.call()
	select {
	case <-x.calls:
		t.Error("the copies became a second call")
	case <-time.After(100 * time.Millisecond):
	}
	p.response(u.do("BYE", ""), 200)
}

func TestBackToBackRequestsKeepTheirOrder(t *testing.T) { // trap 2
	const n = 1000
	x := start(t, nil, nil)
	p := newPeer(t, x.udp)
	u := p.ua()
	u.invite(plainSDP)
	c := x.call()
	keys := "0123456789*#ABCD"
	got := make(chan string, 1)
	var read atomic.Int32
	go func() {
		var b strings.Builder
		for b.Len() < n {
			select {
			case d := <-c.Media().Digits():
				b.WriteRune(d.Key)
				read.Add(1)
			case <-time.After(patience):
				got <- b.String()
				return
			}
		}
		got <- b.String()
	}()
	var want strings.Builder
	for i := range n {
		k := string(keys[(i*7+i/16)%16])
		want.WriteString(k)
		u.do("INFO", "Signal="+k+"\nDuration=160\n", "Content-Type: application/dtmf-relay")
		if i%2 == 1 { // pairs, as in the measurement
			p.response(fmt.Sprintf("%d INFO", u.seq), 200)
		}
		if i%32 == 31 { // a leg keeps 64 digits: on a busy machine the reader must not fall behind
			eventually(t, "digits read", func() bool { return int(read.Load()) == i+1 })
		}
	}
	if g := <-got; g != want.String() {
		for i := range g {
			if i >= want.Len() || g[i] != want.String()[i] {
				t.Fatalf("digit %d of %d is %q, want %q", i, len(g), g[i], want.String()[i])
			}
		}
		t.Fatalf("%d digits of %d", len(g), n)
	}
	p.response(u.do("BYE", ""), 200)
}

func TestRequestsThatArriveOutOfOrderAreSorted(t *testing.T) {
	x := start(t, nil, nil)
	p := newPeer(t, x.udp)
	u := p.ua()
	u.invite(plainSDP)
	c := x.call()
	info := func(seq int, key string) {
		u.write([]byte(u.message("INFO", seq, unique(), key, "Content-Type: application/dtmf")))
	}
	info(3, "2")
	info(2, "1")
	info(5, "3") // 4 never comes: a gap is held for 50 ms only
	var got string
	for range 3 {
		select {
		case d := <-c.Media().Digits():
			got += string(d.Key)
		case <-time.After(patience):
			t.Fatalf("only %q", got)
		}
	}
	if got != "123" {
		t.Errorf("digits %q", got)
	}
	info(4, "9") // too late now
	p.response("4 INFO", 500)
	u.seq = 5
	p.response(u.do("BYE", ""), 200)
}

func TestRequestsOutsideOfCallsGetTheRightRefusal(t *testing.T) { // trap 22, pitfalls 4 to 6
	x := start(t, nil, nil)
	p := newPeer(t, x.udp)
	for _, c := range []struct {
		name, method, body string
		extra              []string
		edit               func(string) string
		tag                string
		want               int
		header, value      string
	}{
		{name: "BYE of an unknown call", method: "BYE", tag: "nobody", want: 481},
		{name: "BYE without dialog", method: "BYE", want: 481},
		{name: "INVITE of an unknown call", method: "INVITE", body: plainSDP, tag: "nobody", want: 481},
		{name: "INFO of an unknown call", method: "INFO", tag: "nobody", want: 481},
		{name: "no hop left", method: "INVITE", body: plainSDP, extra: []string{"Max-Forwards: 0"}, want: 483},
		{name: "unknown extension", method: "INVITE", body: plainSDP, extra: []string{"Require: 100rel, timer, x-nothing, precondition"}, want: 420,
			header: "Unsupported", value: "x-nothing, precondition"},
		{name: "known method that is not served", method: "SUBSCRIBE", want: 405, header: "Allow", value: allow},
		{name: "REFER outside of a call", method: "REFER", want: 403},
		{name: "unknown method", method: "JUGGLE", want: 501},
		{name: "CSeq of another method", method: "INVITE", body: plainSDP, extra: []string{"CSeq: 1 BYE"}, want: 400},
		{name: "another version", method: "INVITE", body: plainSDP, want: 505,
			edit: func(s string) string { return strings.Replace(s, " SIP/2.0\r\n", " SIP/7.0\r\n", 1) }},
		{name: "another scheme", method: "INVITE", body: plainSDP, want: 416,
			edit: func(s string) string { return strings.Replace(s, "INVITE sip:", "INVITE name:", 1) }},
		{name: "two From", method: "INVITE", body: plainSDP, extra: []string{"From: <sip:a@b>;tag=1", "f: <sip:c@d>;tag=2"}, want: 400},
		{name: "no From tag", method: "OPTIONS", extra: []string{"From: <sip:a@b>"}, want: 400},
		{name: "other content", method: "INVITE", body: "hello", extra: []string{"Content-Type: text/plain"}, want: 415, header: "Accept", value: accepts},
		{name: "packed content", method: "INVITE", body: plainSDP, extra: []string{"Content-Encoding: gzip"}, want: 415},
		{name: "wants no SDP", method: "INVITE", body: plainSDP, extra: []string{"Accept: text/plain"}, want: 406},
		{name: "unreadable SDP", method: "INVITE", body: "v=0\nnonsense\n", want: 400},
		{name: "no codec", method: "INVITE", body: "v=0\no=- 1 1 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 4000 RTP/AVP 18\n", want: 488,
			header: "Warning", value: `305 lianxin "Incompatible media format"`},
		{name: "DNS name for media", method: "INVITE", body: strings.ReplaceAll(plainSDP, "IN IP4 127.0.0.1", "IN IP4 phone.example.com"), want: 488,
			header: "Warning", value: `301 lianxin "Incompatible network address formats"`},
		{name: "session too short", method: "INVITE", body: plainSDP, extra: []string{"Supported: timer", "Session-Expires: 30"}, want: 422,
			header: "Min-SE", value: "90"},
		{name: "no Contact", method: "INVITE", body: plainSDP, want: 400,
			edit: func(s string) string { return strings.Replace(s, "Contact:", "X-Contact:", 1) }},
		{name: "OPTIONS", method: "OPTIONS", want: 200, header: "Accept", value: accepts},
	} {
		t.Run(c.name, func(t *testing.T) {
			p.t = t
			u := p.ua()
			u.remoteTag = c.tag
			msg := u.message(c.method, 1, unique(), c.body, c.extra...)
			if c.edit != nil {
				msg = c.edit(msg)
			}
			u.write([]byte(msg))
			deadline := time.After(patience)
			for {
				select {
				case m := <-p.in:
					res, ok := m.(*gosip.Response)
					if !ok || res.CallID().Value() != u.callID {
						continue
					}
					if res.StatusCode != c.want {
						t.Fatalf("got %d %s, want %d", res.StatusCode, res.Reason, c.want)
					}
					if res.SipVersion != "SIP/2.0" {
						t.Errorf("version %s", res.SipVersion)
					}
					if c.header != "" {
						if h := res.GetHeader(c.header); h == nil || h.Value() != c.value {
							t.Errorf("%s: %v, want %q", c.header, h, c.value)
						}
					}
					if c.method == "INVITE" {
						u.remoteTag, _ = res.To().Params.Get("tag")
					}
					return
				case <-deadline:
					t.Fatal("no answer")
				}
			}
		})
	}
	p.t = t
	if n := x.Health().Calls; n != 0 {
		t.Errorf("%d calls remain", n)
	}
}

func TestStrayACKIsNeverAnswered(t *testing.T) {
	x := start(t, nil, nil)
	p := newPeer(t, x.udp)
	u := p.ua()
	u.remoteTag = "nobody"
	for range 20 {
		u.do("ACK", "")
	}
	u.do("ACK", "", "Max-Forwards: 0", "Require: nothing")
	p.silent(200*time.Millisecond, func(gosip.Message) bool { return true })
}

func TestPanicInAHandlerCostsItsCallOnly(t *testing.T) {
	x := start(t, nil, func(ctx context.Context, c Call) {
		if c.Info().To == "boom" {
			panic("boom")
		}
		if c.Answer(ctx) == nil {
			<-c.Done()
		}
	})
	p := newPeer(t, x.udp)
	u := p.ua()
	u.uri = "sip:boom@" + x.udp
	p.response(u.do("INVITE", plainSDP), 500)
	u = p.ua()
	u.invite(plainSDP)
	p.response(u.do("BYE", ""), 200)
	if n := x.Health().Panics; n != 1 {
		t.Errorf("%d panics counted", n)
	}
}

func TestOverloadAndDrainRefuseNewCallsAndLeaveOldOnesAlone(t *testing.T) { // pitfalls 39 and 41
	busy := make(chan bool, 10)
	busy <- false
	x := start(t, func(c *Config) {
		c.Admit = func() (time.Duration, bool) { return 7 * time.Second, !<-busy }
	}, nil)
	p := newPeer(t, x.udp)
	u := p.ua()
	u.invite(plainSDP)
	c := x.call()

	busy <- true
	o := p.ua()
	if res := p.response(o.do("INVITE", plainSDP), 503); headerOf(res, "Retry-After").Value() != "7" {
		t.Errorf("Retry-After %v", headerOf(res, "Retry-After"))
	}
	if x.engine.Legs() != 1 {
		t.Errorf("a refused call got media: %d legs", x.engine.Legs())
	}

	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan int, 1)
	go func() { done <- x.Drain(ctx) }()
	eventually(t, "draining", x.isDraining)
	for _, m := range []string{"INVITE", "OPTIONS"} {
		o := p.ua()
		res := p.response(o.do(m, ""), 503)
		if headerOf(res, "Retry-After") == nil {
			t.Errorf("%s: 503 without Retry-After", m)
		}
	}
	if _, err := x.Dial(context.Background(), Target{URI: "sip:a@" + p.addr}, DialOpt{}); err != ErrDraining {
		t.Errorf("Dial: %v", err)
	}
	p.response(u.do("INFO", "5", "Content-Type: application/dtmf"), 200) // the call goes on
	cancel()
	p.reply(p.request(gosip.BYE), 200, "", "")
	if n := <-done; n != 1 {
		t.Errorf("Drain hung up %d", n)
	}
	if e := ended(t, c); e.By != ByUs || e.Cause != "drain" {
		t.Errorf("end %+v", e)
	}
}

func TestRejectSendsItsCode(t *testing.T) {
	x := start(t, nil, func(ctx context.Context, c Call) { _ = c.Reject(486, "") })
	p := newPeer(t, x.udp)
	p.response(p.ua().do("INVITE", plainSDP), 486)
	c := x.call()
	if e := ended(t, c); e.By != ByUs || e.Code != 486 {
		t.Errorf("end %+v", e)
	}
	for name, err := range map[string]error{"Answer": c.Answer(context.Background()), "Ring": c.Ring(context.Background()),
		"Reject": c.Reject(480, "")} {
		if err != ErrEnded {
			t.Errorf("%s after the end: %v", name, err)
		}
	}
	if err := c.Hangup(context.Background()); err != nil {
		t.Errorf("Hangup after the end: %v", err)
	}
}

func TestCallIsHungUpWhenItsHandlerReturns(t *testing.T) {
	x := start(t, nil, func(ctx context.Context, c Call) { _ = c.Answer(ctx) })
	p := newPeer(t, x.udp)
	p.ua().invite(plainSDP)
	p.reply(p.request(gosip.BYE), 200, "", "")
	p.response(p.ua().do("OPTIONS", ""), 200)
}

func TestNothingRemainsOfCallsThatEnded(t *testing.T) {
	x := start(t, func(c *Config) { c.t1 = 2 * time.Millisecond }, nil)
	p := newPeer(t, x.udp)
	one := func() {
		u := p.ua()
		u.invite(plainSDP)
		c := x.call()
		p.response(u.do("INVITE", ""), 200) // a re-INVITE that is never acknowledged
		if c.End() == (End{}) {
			go func() { _ = c.Hangup(context.Background()) }()
		}
		p.reply(p.request(gosip.BYE), 200, "", "")
		ended(t, c)
		got := x.dial(context.Background(), p.target(), DialOpt{})
		inv := p.request(gosip.INVITE)
		p.reply(inv, 486, "far", "")
		wait(t, got)
	}
	one()
	before := runtime.NumGoroutine()
	for range 50 {
		one()
	}
	eventually(t, "all forgotten", func() bool {
		x.mu.Lock()
		n := len(x.dialogs) + len(x.dialling)
		x.mu.Unlock()
		x.early.mu.Lock()
		n += len(x.early.calls) + len(x.early.coming) + len(x.early.cancels)
		x.early.mu.Unlock()
		return n == 0 && x.Health().Calls == 0 && x.engine.Legs() == 0
	})
	eventually(t, "goroutines gone", func() bool { return runtime.NumGoroutine() <= before+5 })
	p.silent(300*time.Millisecond, func(m gosip.Message) bool { r, ok := m.(*gosip.Request); return ok && r.Method == gosip.BYE })
}
