package sip

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	gosip "github.com/emiago/sipgo/sip"

	"lianxin/sip/media"
	"lianxin/sip/media/mediatest"
)

// dirs of an SDP as the far end of it sees them.
func described(t testing.TB, body []byte) *remote {
	t.Helper()
	r, err := readSDP(body)
	if err != nil {
		t.Fatalf("%v in\n%s", err, body)
	}
	return r
}

func TestHoldAndResume(t *testing.T) { // pitfall 8
	x := start(t, nil, nil)
	phone := mediatest.NewPeer(t, mediatest.Phone{})
	p := newPeer(t, x.udp)
	u := p.ua()
	port := int(phone.Addr().Port())
	res := u.invite(sdpFor("127.0.0.1", port))
	c := x.call()
	phone.Call(described(t, res.Body()).addr)
	phone.Tone(440)
	before := described(t, res.Body())
	heard := func(what string, want bool) {
		t.Helper()
		eventually(t, fmt.Sprintf("%s: hears the phone: %v", what, want), func() bool { return hearing(c) == want })
	}
	eventually(t, "phone heard", func() bool { return c.Media().Heard() })
	version := func(b []byte) string {
		_, _, origin, err := tidySDP(string(b))
		if err != nil {
			t.Fatal(err)
		}
		return origin
	}
	v1 := version(res.Body())
	hold := func(what, sdp string, want direction) *gosip.Response {
		t.Helper()
		res := p.response(u.do("INVITE", sdp), 200)
		u.ack("")
		r := described(t, res.Body())
		if r.dir != want {
			t.Errorf("%s: answered %v, want %v", what, r.dir, want)
		}
		if r.addr != before.addr {
			t.Errorf("%s: media moved from %v to %v", what, before.addr, r.addr)
		}
		return res
	}
	plain := sdpFor("127.0.0.1", port)
	with := func(dir string, version int) string {
		return strings.Replace(plain, "o=- 1 1 ", fmt.Sprintf("o=- 1 %d ", version), 1) + "a=" + dir + "\n"
	}
	res = hold("sendonly", with("sendonly", 2), receives)
	v2 := version(res.Body())
	if v2 == v1 {
		t.Errorf("another answer with the same version %s", v2)
	}
	phone.Forget()
	time.Sleep(200 * time.Millisecond)
	phone.Forget()
	time.Sleep(200 * time.Millisecond)
	if n := len(phone.Packets()); n > 0 {
		t.Errorf("%d packets to a phone that holds us", n)
	}
	if v := version(hold("sendonly again", with("sendonly", 2), receives).Body()); v != v2 {
		t.Errorf("session refresh raised the version from %s to %s", v2, v)
	}
	hold("inactive", with("inactive", 3), inactive)
	heard("inactive", false)
	hold("hold by address", strings.Replace(strings.Replace(plain, "c=IN IP4 127.0.0.1", "c=IN IP4 0.0.0.0", 1), "o=- 1 1", "o=- 1 4", 1), receives)
	hold("resume", with("sendrecv", 5), both)
	phone.Forget()
	eventually(t, "sound after resume", func() bool { return len(phone.Packets()) > 10 })
	heard("resume", true)
	p.response(u.do("BYE", ""), 200)
}

func TestReinviteMovesMediaAndTarget(t *testing.T) { // pitfalls 8 and 10
	x := start(t, nil, nil)
	one, two := mediatest.NewPeer(t, mediatest.Phone{}), mediatest.NewPeer(t, mediatest.Phone{})
	p, moved := newPeer(t, x.udp), newPeer(t, x.udp)
	u := p.ua()
	u.invite(sdpFor("127.0.0.1", int(one.Addr().Port())))
	c := x.call()
	eventually(t, "sound at the first place", func() bool { return len(one.Packets()) > 5 })
	res := p.response(u.do("INVITE", strings.Replace(sdpFor("127.0.0.1", int(two.Addr().Port())), "- 1 1", "- 1 2", 1),
		"Contact: <sip:alice@"+moved.addr+">"), 200)
	u.ack("")
	if described(t, res.Body()).dir != both {
		t.Error("direction")
	}
	eventually(t, "sound at the second place", func() bool { return len(two.Packets()) > 5 })
	go func() { _ = c.Hangup(context.Background()) }()
	moved.reply(moved.request(gosip.BYE), 200, "", "")
	ended(t, c)
}

func TestReinviteWithoutOfferGetsOne(t *testing.T) { // pitfall 9
	x := start(t, nil, nil)
	p := newPeer(t, x.udp)
	u := p.ua()
	u.invite(plainSDP)
	c := x.call()
	res := p.response(u.do("INVITE", ""), 200)
	if r := described(t, res.Body()); len(r.codecs) != 2 || r.dir != both {
		t.Errorf("offer %+v", r)
	}
	// until the answer is here, another one has to wait
	p.response(u.do("INVITE", plainSDP), 491)
	u.seq--
	u.ack("v=0\no=- 1 2 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 40000 RTP/AVP 0\n")
	eventually(t, "PCMU", func() bool { return c.Info().Codec == "PCMU" })
	u.seq++
	p.response(u.do("BYE", ""), 200)
}

func TestRefusedReinviteLeavesTheCallAsItWas(t *testing.T) {
	x := start(t, nil, nil)
	p := newPeer(t, x.udp)
	u := p.ua()
	u.invite(plainSDP)
	c := x.call()
	p.response(u.do("INVITE", "v=0\no=- 1 2 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 4000 RTP/AVP 18\n"), 488)
	p.response(u.do("INVITE", plainSDP, "Require: precondition"), 420)
	p.response(u.do("MESSAGE", "hi", "Content-Type: text/plain"), 405)
	p.response(u.do("INFO", "<x/>", "Content-Type: application/media_control+xml"), 415)
	p.response(u.do("INFO", ""), 200)
	p.response(u.do("OPTIONS", ""), 200)
	p.response(u.do("INVITE", plainSDP), 200)
	u.ack("")
	if c.End() != (End{}) || c.Info().Codec != "PCMA" {
		t.Errorf("%+v %+v", c.End(), c.Info())
	}
	p.response(u.do("BYE", ""), 200)
}

func TestUpdateChangesTheSession(t *testing.T) {
	x := start(t, nil, nil)
	p := newPeer(t, x.udp)
	u := p.ua()
	u.invite(plainSDP)
	x.call()
	res := p.response(u.do("UPDATE", strings.Replace(plainSDP, "- 1 1", "- 1 2", 1)+"a=sendonly\n"), 200)
	if described(t, res.Body()).dir != receives {
		t.Errorf("answered %s", res.Body())
	}
	if res := p.response(u.do("UPDATE", ""), 200); len(res.Body()) != 0 {
		t.Errorf("a refresh was answered with %s", res.Body())
	}
	p.response(u.do("BYE", ""), 200)
}

func TestSessionTimerAsAskedFor(t *testing.T) { // RFC 4028 9
	x := start(t, nil, nil)
	p := newPeer(t, x.udp)
	for _, c := range []struct {
		name       string
		headers    []string
		want       string
		mustRefuse bool
	}{
		{name: "knows nothing of it", want: ""},
		{name: "supports it", headers: []string{"Supported: timer"}, want: "1800;refresher=uac"},
		{name: "compact", headers: []string{"k: 100rel, timer", "x: 900"}, want: "900;refresher=uac"},
		{name: "wants us to refresh", headers: []string{"Supported: timer", "Session-Expires: 1800;refresher=uas", "Min-SE: 90"}, want: "1800;refresher=uas"},
		{name: "a proxy asked", headers: []string{"Session-Expires: 1800;refresher=uac"}, want: "1800;refresher=uas"},
		{name: "longer than ours", headers: []string{"Supported: timer", "Session-Expires: 7200"}, want: "1800;refresher=uac"},
		{name: "longer, and may not be less", headers: []string{"Supported: timer", "Session-Expires: 7200", "Min-SE: 3600"}, want: "3600;refresher=uac"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p.t = t
			u := p.ua()
			res := u.invite(plainSDP, c.headers...)
			got := ""
			if h := res.GetHeader("Session-Expires"); h != nil {
				got = h.Value()
			}
			if got != c.want {
				t.Errorf("Session-Expires %q, want %q", got, c.want)
			}
			if must := lists(res, "timer", "Require"); must != (got != "" && c.name != "a proxy asked") {
				t.Errorf("Require: timer %v", must)
			}
			p.response(u.do("BYE", ""), 200)
		})
	}
	p.t = t
}

func TestExpiredSessionIsHungUp(t *testing.T) {
	x := start(t, func(c *Config) { c.MinSE = time.Second; c.SessionExpires = time.Second }, nil)
	p := newPeer(t, x.udp)
	u := p.ua()
	u.invite(plainSDP, "Supported: timer", "Session-Expires: 1;refresher=uac", "Min-SE: 1")
	p.reply(p.request(gosip.BYE), 200, "", "")
	if e := ended(t, x.call()); e.By != ByTimeout || e.Cause != causeSession {
		t.Errorf("end %+v", e)
	}
}

func TestWeRefreshTheSession(t *testing.T) {
	t.Parallel()
	for _, allowed := range []string{"INVITE, ACK, BYE, UPDATE", "INVITE, ACK, BYE"} {
		x := start(t, func(c *Config) { c.MinSE = time.Second; c.SessionExpires = time.Second }, nil)
		p := newPeer(t, x.udp)
		u := p.ua()
		first := u.invite(plainSDP, "Supported: timer", "Session-Expires: 2;refresher=uas", "Min-SE: 1", "Allow: "+allowed)
		c := x.call()
		for i := range 2 { // it goes on being refreshed
			method := gosip.UPDATE
			if !strings.Contains(allowed, "UPDATE") {
				method = gosip.INVITE
			}
			req := p.request(method)
			if method == gosip.INVITE {
				if string(req.Body()) != string(first.Body()) {
					t.Errorf("refresh changes the description:\n%s\n%s", first.Body(), req.Body())
				}
				if i == 0 { // glare: it is tried again
					p.reply(req, 491, "", "")
					req = p.request(method)
				}
				p.reply(req, 200, "", plainSDP, "Session-Expires", "1;refresher=uac")
				p.request(gosip.ACK)
			} else {
				p.reply(req, 200, "", "", "Session-Expires", "1;refresher=uac")
			}
		}
		if c.End() != (End{}) {
			t.Errorf("call ended: %+v", c.End())
		}
		req := p.request(map[bool]gosip.RequestMethod{true: gosip.UPDATE, false: gosip.INVITE}[strings.Contains(allowed, "UPDATE")])
		p.reply(req, 481, "", "") // the far end does not know the call any more
		p.reply(p.request(gosip.BYE), 481, "", "")
		if e := ended(t, c); e.By != ByTimeout || e.Cause != causeSession {
			t.Errorf("end %+v", e)
		}
	}
}

func TestMediaTimeoutEndsTheCall(t *testing.T) { // pitfalls 29 and 40
	x := startWith(t, media.Config{FirstPacket: 200 * time.Millisecond}, nil, nil)
	p := newPeer(t, x.udp)
	u := p.ua()
	u.invite(plainSDP)
	c := x.call()
	p.reply(p.request(gosip.BYE), 200, "", "")
	if e := ended(t, c); e.By != ByTimeout || e.Cause != "no media" {
		t.Errorf("end %+v", e)
	}
}

func TestLongestCall(t *testing.T) {
	x := start(t, func(c *Config) { c.MaxCall = 100 * time.Millisecond }, nil)
	p := newPeer(t, x.udp)
	u := p.ua()
	u.invite(plainSDP)
	p.reply(p.request(gosip.BYE), 200, "", "")
	if e := ended(t, x.call()); e.By != ByTimeout || e.Cause != "longest call" {
		t.Errorf("end %+v", e)
	}
}

func TestGlareIsAnswered491(t *testing.T) { // pitfall 7
	x := start(t, func(c *Config) { c.MinSE = time.Second; c.SessionExpires = 2 * time.Second }, nil)
	p := newPeer(t, x.udp)
	u := p.ua()
	u.invite(plainSDP, "Supported: timer", "Session-Expires: 2;refresher=uas", "Min-SE: 1")
	x.call()
	req := p.request(gosip.INVITE) // our refresh is pending …
	p.response(u.do("INVITE", plainSDP), 491)
	p.reply(req, 200, "", plainSDP)
	p.request(gosip.ACK)
	p.response(u.do("INVITE", plainSDP), 200) // … and now it is not
	u.ack("")
	p.response(u.do("BYE", ""), 200)
}
