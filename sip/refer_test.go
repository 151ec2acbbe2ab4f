package sip

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	gosip "github.com/emiago/sipgo/sip"
)

func TestReferIsRefusedWhereNobodyListens(t *testing.T) { // pitfalls 11 and 12
	x := start(t, nil, nil)
	u := newPeer(t, x.udp).ua()
	u.invite(plainSDP)
	x.call()
	u.response(u.do("REFER", "", "Refer-To: <sip:001900123456@x>"), 403)
	u.response(u.do("BYE", ""), 200)
	outside := newPeer(t, x.udp).ua()
	outside.response(outside.do("REFER", "", "Refer-To: <sip:8002@x>"), 403)

	// a trunk is refused even where somebody listens
	y := start(t, func(c *Config) { c.Trunks = []Trunk{{Name: "A", Addrs: c.Trusted}} }, func(ctx context.Context, c Call) {
		c.(Featured).OnRefer(func(*Refer) int { return 202 })
		_ = c.Answer(ctx)
		<-c.Done()
	})
	u = newPeer(t, y.udp).ua()
	u.invite(plainSDP)
	u.response(u.do("REFER", "", "Refer-To: <sip:8002@x>"), 403)
	u.response(u.do("BYE", ""), 200)
}

func TestReferIsAskedForAndReported(t *testing.T) { // RFC 3515, RFC 3892
	asked := make(chan *Refer, 4)
	x := start(t, nil, func(ctx context.Context, c Call) {
		c.(Featured).OnRefer(func(r *Refer) int {
			if r.To == "110110" {
				return 603
			}
			asked <- r
			return 202
		})
		_ = c.Answer(ctx)
		<-c.Done()
	})
	p := newPeer(t, x.udp)
	u := p.ua()
	u.invite(plainSDP)
	first := x.call()
	for _, c := range []struct {
		code    int
		headers []string
	}{
		{400, nil}, {400, []string{"Refer-To: <sip:1@x>", "Refer-To: <sip:2@x>"}}, {400, []string{"Refer-To: <mailto:a@b>"}}, {400, []string{"Refer-To: <sip:x>"}},
		{403, []string{"Refer-To: <sip:8002@x;method=BYE>"}}, {603, []string{"Refer-To: <sip:110110@x>"}},
		{404, []string{"Refer-To: <sip:8002@x?Replaces=nobody%3Bto-tag%3D1%3Bfrom-tag%3D2>"}}, {404, []string{"Refer-To: <sip:8002@x?Replaces=broken>"}},
	} {
		u.response(u.do("REFER", "", c.headers...), c.code)
	}
	p.silent(50*time.Millisecond, func(m gosip.Message) bool {
		r, ok := m.(*gosip.Request)
		return ok && r.Method == gosip.NOTIFY
	})

	frag := func(status, state string) {
		t.Helper()
		n := p.request(gosip.NOTIFY)
		if !strings.HasPrefix(string(n.Body()), "SIP/2.0 "+status) || !strings.HasPrefix(n.GetHeader("Subscription-State").Value(), state) ||
			!strings.HasPrefix(n.GetHeader("Event").Value(), "refer;id=") || !strings.HasPrefix(n.ContentType().Value(), "message/sipfrag") {
			t.Errorf("want %s %s:\n%s", status, state, n)
		}
		p.reply(n, 200, "", "")
	}
	u.response(u.do("REFER", "", "Refer-To: <sip:80-02@x;user=phone>", "Referred-By: \"Bo\" <sip:8001@x>"), 202)
	frag("100", "active")
	r := <-asked
	if r.To != "8002" || r.By != "8001" || r.Replaces != nil {
		t.Errorf("%+v", r)
	}
	r.Report(180)
	frag("180", "active")
	r.Report(180) // twice, and after the end: not told
	go r.Report(200)
	frag("200", "terminated")
	r.Report(486)
	p.silent(50*time.Millisecond, func(m gosip.Message) bool { _, ok := m.(*gosip.Request); return ok })

	u.response(u.do("REFER", "", "Refer-To: tel:+8613912345678"), 202)
	frag("100", "active")
	r = <-asked
	go r.Report(486)
	frag("486", "terminated")
	if r.To != "+8613912345678" {
		t.Errorf("%+v", r)
	}

	if res := u.response(u.do("REFER", "", "Refer-To: <sip:8003@x>", "Refer-Sub: false"), 202); res.GetHeader("Refer-Sub") == nil { // RFC 4488
		t.Errorf("%s", res)
	}
	(<-asked).Report(200)
	p.silent(50*time.Millisecond, func(m gosip.Message) bool { _, ok := m.(*gosip.Request); return ok })

	// the second call of the same phone, named by Replaces: an attended transfer
	v := p.ua()
	res := v.invite(plainSDP)
	second := x.call()
	remote, _ := res.To().Params.Get("tag")
	u.response(u.do("REFER", "", "Refer-To: <sip:8004@x?Replaces="+url.QueryEscape(v.callID+";to-tag="+remote+";from-tag="+v.tag)+">"), 202)
	frag("100", "active")
	if r = <-asked; r.Replaces == nil || r.Replaces.ID() != second.ID() || r.Replaces.ID() == first.ID() {
		t.Errorf("%+v", r)
	}
	go r.Report(200)
	frag("200", "terminated")
	u.response(u.do("BYE", ""), 200)
	v.response(v.do("BYE", ""), 200)
	r.Report(200)
}

func TestInviteWithReplacesTakesTheCallOver(t *testing.T) { // RFC 3891
	took := make(chan Call, 4)
	x := start(t, users("8001", "8002"), func(ctx context.Context, c Call) {
		if c.Info().To == "46110110" {
			c.(Featured).OnReplaced(func(ctx context.Context, by Call) {
				took <- by
				if by.Answer(ctx) == nil {
					_ = c.Hangup(ctx)
					<-by.Done()
				}
			})
		}
		_ = c.Answer(ctx)
		<-c.Done()
	})
	p := newPeer(t, x.udp)
	ph := p.phone("8001")
	if res := ph.enter("<sip:8001@"+p.addr+">", ""); res.StatusCode != 200 {
		t.Fatal(res.StatusCode)
	}
	alice := newPeer(t, x.udp).ua()
	res := alice.invite(plainSDP)
	first := x.call()
	remote, _ := res.To().Params.Get("tag")
	deaf := newPeer(t, x.udp).ua() // a call that is nobody's to take
	deaf.uri = strings.Replace(deaf.uri, "46110110", "8009", 1)
	theirs, _ := deaf.invite(plainSDP).To().Params.Get("tag")
	x.call()

	from := "From: <sip:8001@" + realm + ">;tag="
	for _, c := range []struct {
		code     int
		replaces string
	}{
		{400, "nothing"}, {481, alice.callID + ";to-tag=x;from-tag=" + alice.tag}, {481, alice.callID + ";to-tag=" + alice.tag + ";from-tag=" + remote},
		{486, alice.callID + ";early-only;to-tag=" + remote + ";from-tag=" + alice.tag}, {403, deaf.callID + ";to-tag=" + theirs + ";from-tag=" + deaf.tag},
	} {
		u := p.ua()
		u.response(u.do("INVITE", plainSDP, from+u.tag, "Replaces: "+c.replaces), c.code)
		u.ack("")
	}
	stranger := newPeer(t, x.udp).ua() // has to prove who it is, though the hotline is open to everybody
	stranger.response(stranger.do("INVITE", plainSDP, "Replaces: "+alice.callID+";to-tag="+remote+";from-tag="+alice.tag), 407)

	u := p.ua()
	invite := u.do("INVITE", plainSDP, from+u.tag, "Require: replaces", "Replaces: "+alice.callID+";to-tag="+remote+";from-tag="+alice.tag)
	answer := u.response(invite, 200)
	u.remoteTag, _ = answer.To().Params.Get("tag")
	u.ack("")
	if by := <-took; by.Info().User != "8001" {
		t.Errorf("%#v", by.Info())
	}
	alice.reply(alice.request(gosip.BYE), 200, "", "")
	if e := ended(t, first); e.By != ByUs {
		t.Errorf("%+v", e)
	}
	late := p.ua()
	late.response(late.do("INVITE", plainSDP, from+late.tag, "Replaces: "+alice.callID+";to-tag="+remote+";from-tag="+alice.tag), 603)
	u.response(u.do("BYE", ""), 200)
	deaf.response(deaf.do("BYE", ""), 200)
}

func TestWeReferAPhoneElsewhere(t *testing.T) { // RFC 3515, from our side
	x := start(t, nil, nil)
	p := newPeer(t, x.udp)
	u := p.ua()
	u.invite(plainSDP)
	c := x.call().(Transferrer)
	<-c.(*leg).acked
	ask := func(tell func(req *gosip.Request)) error {
		t.Helper()
		got := make(chan error, 1)
		go func() { got <- c.Refer(context.Background(), "sip:8005@pbx.example", "46110110") }()
		req := p.request(gosip.REFER)
		if req.GetHeader("Refer-To").Value() != "<sip:8005@pbx.example>" || !strings.HasPrefix(req.GetHeader("Referred-By").Value(), "<sip:46110110@") {
			t.Errorf("%s", req)
		}
		tell(req)
		select {
		case err := <-got:
			return err
		case <-time.After(patience):
			t.Fatal("no return")
			return nil
		}
	}
	notify := func(id, state, frag string) string {
		return u.do("NOTIFY", frag, "Event: refer"+id, "Subscription-State: "+state, "Content-Type: message/sipfrag")
	}
	err := ask(func(req *gosip.Request) {
		p.reply(req, 202, "", "")
		id := ";id=" + req.CSeq().Value()[:strings.Index(req.CSeq().Value(), " ")]
		u.response(u.do("NOTIFY", "", "Event: dialog", "Subscription-State: active"), 489)
		u.response(notify(";id=999", "active", "SIP/2.0 200 OK"), 481)
		u.response(notify(id, "active;expires=60", "SIP/2.0 180 Ringing"), 200)
		u.response(notify(id, "terminated;reason=noresource", "SIP/2.0 200 OK"), 200)
	})
	if err != nil {
		t.Error(err)
	}
	err = ask(func(req *gosip.Request) {
		p.reply(req, 202, "", "")
		u.response(notify("", "terminated", "SIP/2.0 486 Busy Here"), 200)
	})
	if !errors.Is(err, ErrBusy) {
		t.Error(err)
	}
	err = ask(func(req *gosip.Request) { p.reply(req, 603, "", "") })
	if !errors.Is(err, ErrDeclined) {
		t.Error(err)
	}
	u.response(notify("", "active", "SIP/2.0 200 OK"), 481) // nothing is asked for now
	u.response(u.do("BYE", ""), 200)
}

func TestHoldByTheFarEndIsTold(t *testing.T) {
	told := make(chan bool, 8)
	x := start(t, nil, func(ctx context.Context, c Call) {
		c.(Featured).OnHold(func(on bool) { told <- on })
		_ = c.Answer(ctx)
		<-c.Done()
	})
	u := newPeer(t, x.udp).ua()
	u.invite(plainSDP)
	for i, c := range []struct {
		dir  string
		held bool
	}{{"sendonly", true}, {"sendrecv", false}, {"inactive", true}, {"sendonly", true}, {"sendrecv", false}} {
		body := strings.Replace(plainSDP, "o=- 1 1 ", "o=- 1 "+string(rune('2'+i))+" ", 1) + "a=" + c.dir + "\n"
		u.response(u.do("INVITE", body), 200)
		u.ack("")
		if i == 3 {
			continue // held already: nothing to tell
		}
		select {
		case on := <-told:
			if on != c.held {
				t.Errorf("%d: %v", i, on)
			}
		case <-time.After(patience):
			t.Fatalf("%d: not told", i)
		}
	}
	u.response(u.do("BYE", ""), 200)
	if len(told) != 0 {
		t.Error("told too often")
	}
}
