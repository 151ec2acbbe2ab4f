package media_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"lianxin/sip/media"
	"lianxin/sip/media/mediatest"
)

// secretPair makes two legs that talk with each other over their sockets.
func secretPair(t *testing.T, a, b *media.SRTP) (x, y *media.Leg) {
	t.Helper()
	e := newEngine(t)
	var legs [2]*media.Leg
	for i := range legs {
		var err error
		legs[i], err = e.Open()
		check(t, err)
		t.Cleanup(func() { legs[i].Close() })
	}
	for i, s := range []*media.SRTP{a, b} {
		check(t, legs[i].Start(media.Params{Remote: local(legs[1-i]), Codec: media.PCMA, DTMF: 101, Send: true, Receive: true, SRTP: s}))
	}
	return legs[0], legs[1]
}

func TestLegsWithTheSameKeysTalkEncrypted(t *testing.T) {
	t.Parallel()
	for _, short := range []bool{false, true} {
		k1, k2 := media.NewSRTPKey(), media.NewSRTPKey()
		a, b := secretPair(t, &media.SRTP{Ours: k1, Theirs: k2, ShortTag: short}, &media.SRTP{Ours: k2, Theirs: k1, ShortTag: short})
		tap := b.Tap()
		defer tap.Close()
		stop := a.Loop(media.Tone([]float64{440}, time.Second))
		waitTap(t, tap, 440)
		// A hold and its end keep the state of the ciphers: neither side has to begin anew.
		p := media.Params{Remote: local(b), Codec: media.PCMA, DTMF: 101, Receive: true, SRTP: &media.SRTP{Ours: k1, Theirs: k2, ShortTag: short}}
		check(t, a.Update(p))
		p.Send = true
		check(t, a.Update(p))
		waitTap(t, tap, 440)
		check(t, a.SendDigits(context.Background(), "5"))
		select {
		case d := <-b.Digits():
			if d.Key != '5' {
				t.Errorf("key %c", d.Key)
			}
		case <-time.After(patience):
			t.Error("no digit came")
		}
		eventually(t, "RTCP is understood", func() bool { return b.Stats().FarKnown })
		stop()
		if s := b.Stats(); s.Unauthentic > 0 {
			t.Errorf("%d packets were refused", s.Unauthentic)
		}
	}
}

func TestPacketsWithoutTheKeyAreNotListenedTo(t *testing.T) {
	t.Parallel()
	k1, k2 := media.NewSRTPKey(), media.NewSRTPKey()
	// A wrong key.
	a, b := secretPair(t, &media.SRTP{Ours: media.NewSRTPKey(), Theirs: k2}, &media.SRTP{Ours: k2, Theirs: k1})
	a.Loop(media.Tone([]float64{440}, time.Second))
	eventually(t, "packets are refused", func() bool { return b.Stats().Unauthentic > 20 })
	if s := b.Stats(); s.PacketsIn > 0 || b.Heard() {
		t.Errorf("%d packets with a wrong key were taken", s.PacketsIn)
	}
	// No key at all, to a leg that wants one; and what that leg says is not readable.
	leg, peer := dial(t, newEngine(t), mediatest.Phone{}, func(p *media.Params) { p.SRTP = &media.SRTP{Ours: k1, Theirs: k2} })
	peer.Tone(880)
	leg.Loop(media.Tone([]float64{440}, time.Second))
	eventually(t, "packets are refused", func() bool { return leg.Stats().Unauthentic > 20 })
	if s := leg.Stats(); s.PacketsIn > 0 {
		t.Errorf("%d packets without encryption were taken", s.PacketsIn)
	}
	eventually(t, "something is sent", func() bool { return len(peer.Heard()) > 8000 })
	heard := peer.Heard()
	if s := mediatest.Share(heard[len(heard)-1600:], 440); s > 0.1 {
		t.Errorf("the tone is %.0f %% of what an eavesdropper hears", 100*s)
	}
}

func TestKeysDoNotPrint(t *testing.T) {
	t.Parallel()
	k := media.NewSRTPKey()
	p := media.Params{SRTP: &media.SRTP{Ours: k, Theirs: k}}
	plain := fmt.Sprintf("%v", k.Bytes()[:8])
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q", "%d"} {
		for _, v := range []any{k, p.SRTP, *p.SRTP, p} {
			s := fmt.Sprintf(verb, v)
			if strings.Contains(s, strings.Trim(plain, "[]")) || strings.Contains(s, fmt.Sprintf("%x", k.Bytes()[:4])) {
				t.Errorf("%s of %T prints the key", verb, v)
			}
		}
	}
	if _, err := media.ParseSRTPKey(make([]byte, 29)); err == nil {
		t.Error("a short key was taken")
	}
}
