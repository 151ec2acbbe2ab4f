package sip

import (
	"testing"
	"time"

	gosip "github.com/emiago/sipgo/sip"

	"lianxin/sip/media/mediatest"
)

func TestFarEndsThatVanishOnHoldAreFound(t *testing.T) { // pitfall 40
	x := start(t, func(c *Config) { c.quiet, c.t1 = 150*time.Millisecond, 20*time.Millisecond }, nil)
	for _, how := range []string{"silence", "481"} {
		t.Run(how, func(t *testing.T) {
			p := newPeer(t, x.udp)
			u := p.ua()
			u.invite(plainSDP)
			c := x.call()
			u.response(u.do("INVITE", plainSDP+"a=inactive\n"), 200)
			u.ack("")
			for range 2 { // whatever it answers, it is there
				p.reply(p.request(gosip.OPTIONS), 405, "", "")
			}
			select {
			case <-c.Done():
				t.Fatalf("ended although its far end had answered: %+v", c.End())
			default:
			}
			if how == "481" {
				p.reply(p.request(gosip.OPTIONS), 481, "", "")
			}
			if e := ended(t, c); e.By != ByTimeout || e.Cause != causeVanished {
				t.Errorf("%+v", e)
			}
			p.request(gosip.BYE)
		})
	}
}

func TestSoundIsASignOfTheFarEnd(t *testing.T) {
	x := start(t, nil, nil)
	p := newPeer(t, x.udp)
	u, sound := p.ua(), mediatest.NewPeer(t, mediatest.Phone{})
	res := u.invite(sdpFor("127.0.0.1", int(sound.Addr().Port())))
	l := x.call().(*leg)
	eventually(t, "quiet", func() bool { return l.quietFor() > 500*time.Millisecond })
	sound.Call(described(t, res.Body()).addr)
	sound.Tone(440)
	eventually(t, "sound is a sign", func() bool { return l.quietFor() < 400*time.Millisecond })
}
