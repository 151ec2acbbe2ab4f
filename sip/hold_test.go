package sip

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	gosip "github.com/emiago/sipgo/sip"

	"lianxin/sip/media/mediatest"
)

func TestWeHoldAndResume(t *testing.T) { // pitfall 8, from our side
	x := start(t, nil, nil)
	sound := mediatest.NewPeer(t, mediatest.Phone{})
	p := newPeer(t, x.udp)
	u := p.ua()
	port := int(sound.Addr().Port())
	plain := sdpFor("127.0.0.1", port) + "m=video 5000 RTP/AVP 96\na=rtpmap:96 H264/90000\n"
	res := u.invite(plain)
	c := x.call()
	h := c.(Holder)
	sound.Call(described(t, res.Body()).addr)
	sound.Tone(440)
	eventually(t, "phone heard", func() bool { return c.Media().Heard() })

	version := 1
	ask := func(do func(context.Context) error, code int, dir string) (direction, error) {
		t.Helper()
		got := make(chan error, 1)
		go func() { got <- do(context.Background()) }()
		inv := p.request(gosip.INVITE)
		offer := described(t, inv.Body())
		if len(offer.lines) != 2 || !strings.Contains(string(inv.Body()), "m=video 0 ") {
			t.Errorf("media lines changed:\n%s", inv.Body())
		}
		body := ""
		if code == 200 {
			version++
			body = strings.Replace(plain, "o=- 1 1 ", "o=- 1 "+string(rune('0'+version))+" ", 1)
			body = strings.Replace(body, "m=video 5000", "a="+dir+"\nm=video 0", 1)
		}
		p.reply(inv, code, "", body)
		p.request(gosip.ACK)
		select {
		case err := <-got:
			return offer.dir, err
		case <-time.After(patience):
			t.Fatal("no return")
			return 0, nil
		}
	}
	hears := func(want bool) {
		t.Helper()
		eventually(t, fmt.Sprintf("hears the phone: %v", want), func() bool { return hearing(c) == want })
	}

	if dir, err := ask(h.Hold, 200, "recvonly"); err != nil || dir != sends {
		t.Fatalf("%v, %v", dir, err)
	}
	hears(false)
	sound.Forget()
	eventually(t, "we go on sending", func() bool { return len(sound.Packets()) > 10 })
	if err := h.Hold(context.Background()); err != nil { // nothing to do
		t.Error(err)
	}
	// the phone refreshes or asks for an offer: it stays on hold
	seq := u.seq
	r := described(t, p.response(u.do("INVITE", strings.Replace(plain, "o=- 1 1 ", "o=- 1 8 ", 1)), 200).Body())
	u.ack("")
	if r.dir != sends {
		t.Errorf("answered %v while we hold", r.dir)
	}
	if u.seq != seq+1 {
		t.Fatal("CSeq")
	}
	hears(false)

	if dir, err := ask(h.Resume, 488, ""); !errors.Is(err, ErrNotAcceptable) || dir != both {
		t.Errorf("%v, %v", dir, err)
	}
	hears(false) // refused: as it was
	if dir, err := ask(h.Resume, 200, "sendrecv"); err != nil || dir != both {
		t.Errorf("%v, %v", dir, err)
	}
	hears(true)
	sound.Forget()
	eventually(t, "sound after resume", func() bool { return len(sound.Packets()) > 10 })

	p.response(u.do("BYE", ""), 200)
	ended(t, c)
	if err := h.Hold(context.Background()); !errors.Is(err, ErrEnded) {
		t.Error(err)
	}
}

func TestHoldNeedsACallThatIsUp(t *testing.T) {
	got := make(chan error, 1)
	x := start(t, nil, func(ctx context.Context, c Call) {
		_ = c.Ring(ctx)
		got <- c.(Holder).Hold(ctx)
	})
	newPeer(t, x.udp).ua().do("INVITE", plainSDP)
	select {
	case err := <-got:
		if !errors.Is(err, ErrNotNow) {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Fatal("no call")
	}
}

// hearing says whether packets are coming in; the figures may be a fifth of a second old.
func hearing(c Call) bool {
	was := c.Media().Stats().PacketsIn
	time.Sleep(300 * time.Millisecond)
	return c.Media().Stats().PacketsIn > was
}
