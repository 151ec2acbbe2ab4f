package sip

import (
	"context"
	"testing"
	"time"

	"lianxin/sip/media/mediatest"
)

// A whole call over a bad network: both sides hear each other, every key comes once, and the figures tell what the network has done.
func TestACallOverABadNetworkIsHeardAndToldTruthfully(t *testing.T) {
	t.Parallel()
	x := start(t, nil, nil)
	sound := mediatest.NewPeer(t, mediatest.Phone{})
	p := newPeer(t, x.udp)
	u := p.ua()
	res := u.response(u.do("INVITE", ""), 200) // a late offer: the network in between has to know where our sound is
	u.remoteTag, _ = res.To().Params.Get("tag")
	net := mediatest.NewProxy(t, described(t, res.Body()).addr, mediatest.Network{Loss: 0.05, Reorder: 0.05, Duplicate: 0.02, Delay: 20 * time.Millisecond, Jitter: 25 * time.Millisecond, Seed: 7})
	u.ack(sdpFor("127.0.0.1", int(net.Back().Port())))
	c := x.call()
	net.Expect(sound.Addr())
	sound.Call(net.Front())
	sound.Tone(700)
	eventually(t, "heard", func() bool { return c.Media().Heard() })

	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	tap := c.Media().Tap()
	defer tap.Close()
	pcm := make([]int16, 4000)
	eventually(t, "the phone's tone", func() bool {
		for at := 0; at < len(pcm); {
			n, err := tap.Read(ctx, pcm[at:])
			if err != nil {
				t.Fatal(err)
			}
			at += n
		}
		return mediatest.Share(pcm, 700) > 0.6 && mediatest.RMS(pcm) > 500
	})
	sound.Press("5*0#", false)
	var keys string
	eventually(t, "keys", func() bool {
		select {
		case d := <-c.Media().Digits():
			keys += string(d.Key)
		case <-time.After(10 * time.Millisecond):
		}
		return len(keys) >= 4
	})
	if err := c.Media().SendDigits(ctx, "129"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "keys of ours", func() bool { return len(sound.Digits()) >= 3 })
	eventually(t, "enough packets to judge by", func() bool { return c.Media().Stats().PacketsIn > 250 })
	for len(c.Media().Digits()) > 0 {
		keys += string((<-c.Media().Digits()).Key)
	}
	if keys != "5*0#" || sound.Digits() != "129" {
		t.Errorf("keys %q and %q", keys, sound.Digits())
	}
	st, missed, done := c.Media().Stats(), missing(sound.Packets()), net.Counts()
	told := int(st.Lost) + missed
	if done.Lost < 5 || told < done.Lost*3/4-5 || told > done.Lost*5/4+10 { // some are under way
		t.Errorf("%d of %d packets were lost, told are %d here and %d there", done.Lost, done.Passed, st.Lost, missed)
	}
	if st.MOSIn <= 1 || st.MOSIn > 4.2 || st.Jitter < time.Millisecond {
		t.Errorf("%.1f %% loss is told as MOS %.2f, jitter %v", 100*st.Loss(), st.MOSIn, st.Jitter)
	}
	u.response(u.do("BYE", ""), 200)
	ended(t, c)
}

// missing counts the packets that did not come, by sequence number, whatever their order and however often they came.
func missing(packets []mediatest.Packet) int {
	seen := map[int]bool{}
	low, high := 0, 0
	for _, p := range packets {
		n := int(int16(p.SequenceNumber - packets[0].SequenceNumber))
		seen[n] = true
		low, high = min(low, n), max(high, n)
	}
	return high - low + 1 - len(seen)
}
