package media_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/pion/rtp"

	"lianxin/sip/media"
	"lianxin/sip/media/mediatest"
)

// nowhere is an address in an SDP that nobody sends from: a private address behind a NAT.
var nowhere = netip.MustParseAddrPort("127.0.0.9:9")

func TestSourceBehindANATIsLearnt(t *testing.T) {
	t.Parallel()
	leg, peer := dial(t, newEngine(t), mediatest.Phone{}, func(p *media.Params) { p.Remote = nowhere })
	check(t, peer.WaitSilence(patience)) // it hears us, so we send to where it sends from
	if !leg.Heard() {
		t.Error("the source was not accepted")
	}
}

func TestAttackerOnAnotherAddressCannotStealACall(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*media.Params){
		"peer at its SDP address": func(*media.Params) {},
		"peer behind a NAT":       func(p *media.Params) { p.Remote = nowhere },
		"strict":                  func(p *media.Params) { p.Strict = true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			leg, peer := dial(t, newEngine(t), mediatest.Phone{}, change)
			peer.Tone(440)
			check(t, peer.WaitSilence(patience))
			eventually(t, "the leg is locked", func() bool { return leg.Stats().PacketsIn > 20 })
			tap := leg.Tap()

			thief := mediatest.NewPeer(t, mediatest.Phone{IP: "127.0.0.2"})
			thief.Tone(2000)
			thief.Call(local(leg))
			near := mediatest.NewPeer(t, mediatest.Phone{}) // the peer's host, another port
			near.Tone(2000)
			near.Call(local(leg))
			time.Sleep(2 * time.Second)

			if a := thief.Arrivals(); a.Packets != 0 {
				t.Errorf("the thief got %d packets", a.Packets)
			}
			if a := near.Arrivals(); a.Packets != 0 {
				t.Errorf("the thief on the peer's host got %d packets", a.Packets)
			}
			waitTap(t, tap, 440)
			n := peer.Arrivals().Packets
			eventually(t, "the peer still hears us", func() bool { return peer.Arrivals().Packets > n+20 })
		})
	}
}

// Who knows the SSRC and the sequence, and shares the address, is stopped by nothing but SRTP; who does not know them
// is.
func TestForeignSSRCFromThePeersAddressIsDropped(t *testing.T) {
	t.Parallel()
	leg, peer := dial(t, newEngine(t), mediatest.Phone{})
	peer.Tone(440)
	tap := leg.Tap()
	waitTap(t, tap, 440)
	for i := range 200 {
		check(t, peer.WriteRTP(local(leg), rtp.Header{SSRC: 1, SequenceNumber: uint16(i), PayloadType: 8}, make([]byte, 160)))
		time.Sleep(5 * time.Millisecond)
	}
	waitTap(t, tap, 440)
	if s := leg.Stats(); s.WrongSource == 0 {
		t.Errorf("nothing was refused: %+v", s)
	}
}

// The attacker comes first, in the window in which sources are learnt: the address that was agreed still wins.
func TestAgreedAddressBeatsAnEarlierSource(t *testing.T) {
	t.Parallel()
	e := newEngine(t)
	leg, err := e.Open()
	check(t, err)
	defer leg.Close()
	peer := mediatest.NewPeer(t, mediatest.Phone{})
	thief := mediatest.NewPeer(t, mediatest.Phone{IP: "127.0.0.2"})
	check(t, leg.Start(params(peer, media.PCMA)))
	thief.Call(local(leg))
	eventually(t, "the thief is believed while nobody else is there", func() bool { return thief.Arrivals().Packets > 0 })
	peer.Tone(440)
	peer.Call(local(leg))
	tap := leg.Tap()
	waitTap(t, tap, 440)
	n := thief.Arrivals().Packets
	time.Sleep(500 * time.Millisecond)
	if m := thief.Arrivals().Packets; m > n+2 {
		t.Errorf("the thief still gets packets: %d, then %d", n, m)
	}
}

func TestStrictLegBelievesOnlyTheAgreedHost(t *testing.T) {
	t.Parallel()
	e := newEngine(t)
	peer := mediatest.NewPeer(t, mediatest.Phone{})
	leg, err := e.Open()
	check(t, err)
	defer leg.Close()
	p := params(peer, media.PCMA)
	p.Strict = true
	check(t, leg.Start(p))
	thief := mediatest.NewPeer(t, mediatest.Phone{IP: "127.0.0.2"})
	thief.Call(local(leg))
	eventually(t, "its packets are refused", func() bool { return leg.Stats().Foreign > 30 })
	if leg.Heard() || thief.Arrivals().Packets > 0 {
		t.Error("a foreign host was believed")
	}
	// A trunk may send from another port than it listens on; our packets go where they were asked for.
	other := mediatest.NewPeer(t, mediatest.Phone{})
	other.Tone(440)
	other.Call(local(leg))
	tap := leg.Tap()
	waitTap(t, tap, 440)
	if other.Arrivals().Packets > 0 || peer.Arrivals().Packets == 0 {
		t.Error("packets went somewhere else than agreed")
	}
}

func TestNewAddressIsFollowedAfterRenegotiation(t *testing.T) {
	t.Parallel()
	leg, peer := dial(t, newEngine(t), mediatest.Phone{})
	check(t, peer.WaitSilence(patience))
	moved := mediatest.NewPeer(t, mediatest.Phone{IP: "127.0.0.3"})
	check(t, leg.Update(params(moved, media.PCMA)))
	moved.Tone(500)
	moved.Call(local(leg))
	check(t, moved.WaitSilence(patience))
	waitTap(t, leg.Tap(), 500)
}

// A NAT that gives the peer another port in the middle of a call.
func TestSilentPeerMayMoveToAnotherPort(t *testing.T) {
	t.Parallel()
	e := newEngine(t)
	leg, peer := dial(t, e, mediatest.Phone{})
	check(t, peer.WaitSilence(patience))
	peer.Close()
	again := mediatest.NewPeer(t, mediatest.Phone{})
	again.Tone(500)
	again.Call(local(leg))
	waitTap(t, leg.Tap(), 500)
	check(t, again.WaitSilence(patience))
}

func TestRubbishDoesNotDisturb(t *testing.T) {
	t.Parallel()
	leg, peer := dial(t, newEngine(t), mediatest.Phone{})
	peer.Tone(440)
	tap := leg.Tap()
	waitTap(t, tap, 440)
	for i := range 100 {
		for _, b := range [][]byte{
			{0}, []byte("GET / HTTP/1.0\r\n\r\n"), make([]byte, 12), make([]byte, 1400),
			append([]byte{0x80, 200}, make([]byte, 30)...), // RTCP on the RTP port
			append([]byte{0xBF, 8}, make([]byte, 30)...),   // CSRCs, extension and padding that are not there
			append([]byte{0x80, 99}, make([]byte, 30)...),  // a payload type nobody agreed on
		} {
			check(t, peer.Write(local(leg), b))
		}
		if i%10 == 0 {
			time.Sleep(20 * time.Millisecond)
		}
	}
	waitTap(t, tap, 440)
	check(t, peer.WaitSilence(patience))
	if s := leg.Stats(); s.Malformed == 0 || s.WrongType == 0 {
		t.Errorf("nothing was counted: %+v", s)
	}
}
