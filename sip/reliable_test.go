package sip

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	gosip "github.com/emiago/sipgo/sip"

	"lianxin/sip/media"
	"lianxin/sip/media/mediatest"
)

// ringer answers when it is told to.
func ringer(first func(context.Context, Call) error, answer <-chan struct{}) func(context.Context, Call) {
	return func(ctx context.Context, c Call) {
		if first != nil {
			_ = first(ctx, c)
		}
		select {
		case <-answer:
			_ = c.Answer(ctx)
		case <-ctx.Done():
		}
		<-c.Done()
	}
}

func rack(res *gosip.Response) string {
	return "RAck: " + res.GetHeader("RSeq").Value() + " " + strconv.Itoa(int(res.CSeq().SeqNo)) + " INVITE"
}

func TestRequiredProvisionalAnswersAreRepeatedUntilTheirPRACK(t *testing.T) { // RFC 3262, pitfall 6
	answer := make(chan struct{})
	x := start(t, func(c *Config) { c.t1 = 20 * time.Millisecond },
		ringer(func(ctx context.Context, c Call) error { return c.Ring(ctx) }, answer))
	u := newPeer(t, x.udp).ua()
	invite := u.do("INVITE", plainSDP, "Require: 100rel")
	var ring *gosip.Response
	for range 3 {
		ring = u.response(invite, 180)
	}
	if !lists(ring, "100rel", "Require") || ring.GetHeader("RSeq") == nil {
		t.Fatalf("not reliable:\n%s", ring)
	}
	u.remoteTag, _ = ring.To().Params.Get("tag")
	u.response(u.do("PRACK", "", "RAck: 1 1 INVITE"), 481) // another one
	u.response(u.do("PRACK", "", rack(ring)), 200)
	u.response(u.do("PRACK", "", rack(ring)), 481)
	for len(u.in) > 0 {
		<-u.in
	}
	u.silent(100*time.Millisecond, func(m gosip.Message) bool {
		res, ok := m.(*gosip.Response)
		return ok && res.StatusCode == 180
	})
	close(answer)
	u.response(invite, 200)
	u.write([]byte(u.message("ACK", 1, unique(), "")))
	u.response(u.do("BYE", ""), 200)

	// a caller who never acknowledges is given up
	y := start(t, func(c *Config) { c.t1 = 5 * time.Millisecond },
		ringer(func(ctx context.Context, c Call) error { return c.Ring(ctx) }, nil))
	u = newPeer(t, y.udp).ua()
	u.response(u.do("INVITE", plainSDP, "Require: 100rel"), 504)
	if e := ended(t, y.call()); e.By != ByTimeout || e.Cause != "no prack" {
		t.Errorf("%+v", e)
	}

	// one who only knows of it gets plain ringing, as RFC 3262 3 lets us
	u = newPeer(t, y.udp).ua()
	if res := u.response(u.do("INVITE", plainSDP, "Supported: 100rel"), 180); res.GetHeader("RSeq") != nil {
		t.Errorf("reliable:\n%s", res)
	}
}

func TestCallersHearUsBeforeTheAnswer(t *testing.T) { // pitfall 18, from our side
	for _, c := range []struct{ name, header string }{{"plain", "X-Plain: 1"}, {"reliable", "Supported: 100rel"}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			answer := make(chan struct{})
			x := start(t, nil, ringer(func(ctx context.Context, c Call) error {
				if err := c.(EarlyMedia).Progress(ctx); err != nil {
					return err
				}
				c.Media().Loop(media.Tone([]float64{620}, time.Second))
				return nil
			}, answer))
			sound := mediatest.NewPeer(t, mediatest.Phone{})
			u := newPeer(t, x.udp).ua()
			invite := u.do("INVITE", sdpFor("127.0.0.1", int(sound.Addr().Port())), c.header)
			early := u.response(invite, 183)
			u.remoteTag, _ = early.To().Params.Get("tag")
			sound.Call(described(t, early.Body()).addr)
			if err := sound.WaitTone(620, patience); err != nil {
				t.Fatal(err)
			}
			call := x.call()
			if !call.Info().Answered.IsZero() {
				t.Error("answered")
			}
			if c.name == "reliable" {
				if early.GetHeader("RSeq") == nil {
					t.Fatalf("a description was not sent reliably:\n%s", early)
				}
				close(answer) // not before the description is acknowledged
				u.silent(50*time.Millisecond, func(m gosip.Message) bool {
					res, ok := m.(*gosip.Response)
					return ok && res.StatusCode == 200
				})
				u.response(u.do("PRACK", "", rack(early)), 200)
				if res := u.response(invite, 200); len(res.Body()) > 0 {
					t.Errorf("described twice:\n%s", res)
				}
			} else {
				close(answer)
				if res := u.response(invite, 200); string(res.Body()) != string(early.Body()) {
					t.Errorf("another description:\n%s", res)
				}
			}
			u.write([]byte(u.message("ACK", 1, unique(), "")))
			sound.Tone(440)
			eventually(t, "the caller is heard", func() bool { return call.Media().Heard() })
			u.response(u.do("BYE", ""), 200)
		})
	}
}

func TestLateOfferInAReliableProvisionalAnswer(t *testing.T) {
	answer := make(chan struct{})
	x := start(t, nil, ringer(func(ctx context.Context, c Call) error { return c.(EarlyMedia).Progress(ctx) }, answer))
	u := newPeer(t, x.udp).ua()
	invite := u.do("INVITE", "", "Supported: 100rel")
	early := u.response(invite, 183)
	u.remoteTag, _ = early.To().Params.Get("tag")
	if len(described(t, early.Body()).codecs) != 2 {
		t.Errorf("not a full offer:\n%s", early)
	}
	u.response(u.do("UPDATE", plainSDP), 500) // the first offer is unanswered (RFC 3311 5.2)
	u.response(u.do("PRACK", "", rack(early)), 400)
	u.response(u.do("PRACK", plainSDP, rack(early)), 200)
	res := u.response(u.do("UPDATE", strings.Replace(sdpFor("127.0.0.1", 40002), "o=- 1 1", "o=- 1 2", 1)), 200) // … and now it is not
	if len(described(t, res.Body()).codecs) != 1 {
		t.Errorf("answer to UPDATE:\n%s", res)
	}
	close(answer)
	if res := u.response(invite, 200); len(res.Body()) > 0 {
		t.Errorf("offered twice:\n%s", res)
	}
	u.write([]byte(u.message("ACK", 1, unique(), "")))
	u.response(u.do("BYE", ""), 200)

	// without 100rel there is no way to describe sound to a caller who made no offer
	u = newPeer(t, x.udp).ua()
	invite = u.do("INVITE", "")
	if res := u.response(invite, 200); len(res.Body()) == 0 {
		t.Error("no offer in the 200")
	}
}

func TestWeAcknowledgeReliableProvisionalAnswersAndHearThem(t *testing.T) { // RFC 3262 4, pitfall 18
	x := start(t, nil, nil)
	sound := mediatest.NewPeer(t, mediatest.Phone{})
	other := mediatest.NewPeer(t, mediatest.Phone{})
	p := newPeer(t, x.udp)
	early := make(chan Call, 4)
	got := x.dial(context.Background(), p.target(), DialOpt{Early: func(c Call) { early <- c }})
	inv := p.request(gosip.INVITE)
	if !lists(inv, "100rel", "Supported") {
		t.Fatalf("does not say that it can:\n%s", inv)
	}
	body := sdpFor("127.0.0.1", int(sound.Addr().Port()))
	p.reply(inv, 183, "one", body, "Require", "100rel", "RSeq", "7")
	prack := p.request(gosip.PRACK)
	if h := prack.GetHeader("RAck"); h == nil || h.Value() != fmt.Sprintf("7 %d INVITE", inv.CSeq().SeqNo) {
		t.Fatalf("%s", prack)
	}
	if tag, _ := prack.To().Params.Get("tag"); tag != "one" || prack.CSeq().SeqNo <= inv.CSeq().SeqNo {
		t.Errorf("%s", prack)
	}
	p.reply(prack, 200, "", "")
	var c Call
	select {
	case c = <-early:
	case <-time.After(patience):
		t.Fatal("early sound was not told")
	}
	// "the number you have dialled": we hear it, and it hears us
	sound.Call(described(t, inv.Body()).addr)
	sound.Tone(440)
	eventually(t, "early sound", func() bool { return c.Media().Heard() })
	eventually(t, "sound towards it", func() bool { return len(sound.Packets()) > 3 })

	p.reply(inv, 183, "one", body, "Require", "100rel", "RSeq", "7") // again: its PRACK was lost
	p.reply(inv, 180, "one", "", "Require", "100rel", "RSeq", "9")   // before number 8
	p.silent(100*time.Millisecond, func(m gosip.Message) bool {
		r, ok := m.(*gosip.Request)
		return ok && r.Method == gosip.PRACK && r.GetHeader("RAck").Value()[0] != '7'
	})
	p.reply(inv, 180, "one", "", "Require", "100rel", "RSeq", "8")
	p.reply(p.request(gosip.PRACK), 200, "", "")
	p.reply(inv, 180, "two", "", "Require", "100rel", "RSeq", "1") // another branch of a fork counts for itself
	prack = p.request(gosip.PRACK)
	if tag, _ := prack.To().Params.Get("tag"); tag != "two" {
		t.Errorf("%s", prack)
	}
	p.reply(prack, 200, "", "")
	p.reply(inv, 200, "two", sdpFor("127.0.0.1", int(other.Addr().Port())))
	p.request(gosip.ACK)
	d := wait(t, got)
	if d.err != nil {
		t.Fatal(d.err)
	}
	other.Call(described(t, inv.Body()).addr)
	other.Tone(500)
	eventually(t, "the one who answered hears us", func() bool { return len(other.Packets()) > 3 })
	if len(early) != 0 {
		t.Error("told twice of early sound")
	}
	go func() { _ = d.call.Hangup(context.Background()) }()
	bye := p.request(gosip.BYE)
	if bye.CSeq().SeqNo <= prack.CSeq().SeqNo {
		t.Errorf("CSeq %d after %d", bye.CSeq().SeqNo, prack.CSeq().SeqNo)
	}
	p.reply(bye, 200, "", "")
}

func TestUpdateBeforeTheAnswer(t *testing.T) { // RFC 3311 5.2: from the far end of an INVITE of ours
	x := start(t, nil, nil)
	before := mediatest.NewPeer(t, mediatest.Phone{})
	after := mediatest.NewPeer(t, mediatest.Phone{})
	p, q := newPeer(t, x.udp), newPeer(t, x.udp)
	got := x.dial(context.Background(), p.target(), DialOpt{})
	inv := p.request(gosip.INVITE)
	body := sdpFor("127.0.0.1", int(before.Addr().Port()))
	moved := strings.Replace(sdpFor("127.0.0.1", int(after.Addr().Port())), "o=- 1 1", "o=- 1 2", 1)
	u := p.ua()
	u.callID, u.tag = inv.CallID().Value(), "one"
	u.remoteTag, _ = inv.From().Params.Get("tag")
	u.uri = inv.Contact().Address.String()

	u.response(u.do("UPDATE", ""), 481) // there is no dialog yet
	p.reply(inv, 183, "one", body)
	eventually(t, "the branch is known", func() bool {
		m := u.do("UPDATE", "")
		for {
			select {
			case r := <-p.in:
				if res, ok := r.(*gosip.Response); ok && res.CSeq().Value() == m {
					return res.StatusCode == 200 && res.Contact() != nil && len(res.Body()) == 0
				}
			case <-time.After(patience):
				return false
			}
		}
	})
	u.response(u.do("UPDATE", moved), 491) // our offer is answered for good by the 200 only
	p.reply(inv, 183, "one", body, "Require", "100rel", "RSeq", "1")
	p.reply(p.request(gosip.PRACK), 200, "", "")
	v := *u // the same dialog, whose Contact is another socket from now on
	v.seq--
	v.response(v.do("UPDATE", moved), 500) // out of order
	v.seq++
	v.seq++
	p.write([]byte(v.message("UPDATE", v.seq, unique(), moved, "Contact: "+q.contact())))
	res := v.response(fmt.Sprintf("%d UPDATE", v.seq), 200)
	if r := described(t, res.Body()); len(r.codecs) != 1 {
		t.Errorf("answer to UPDATE:\n%s", res)
	}
	after.Call(described(t, res.Body()).addr)
	after.Tone(440)
	eventually(t, "early sound goes where UPDATE says", func() bool { return len(after.Packets()) > 3 })
	p.reply(inv, 180, "one", "", "Require", "100rel", "RSeq", "2")
	q.reply(q.request(gosip.PRACK), 200, "", "") // by the new Contact
	p.reply(inv, 200, "one", body)               // repeats what is out of date: it is not followed (RFC 6337 3.1)
	p.request(gosip.ACK)
	d := wait(t, got)
	if d.err != nil {
		t.Fatal(d.err)
	}
	n := len(before.Packets())
	heard := len(after.Packets())
	eventually(t, "sound goes on where it went", func() bool { return len(after.Packets()) > heard+5 })
	if len(before.Packets()) > n+2 {
		t.Error("the 200 has moved the sound back")
	}
	go func() { _ = d.call.Hangup(context.Background()) }()
	p.reply(p.request(gosip.BYE), 200, "", "")
}
