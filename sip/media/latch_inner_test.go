package media

import (
	"net/netip"
	"testing"

	"pgregory.net/rapid"
)

var (
	atSDP   = netip.MustParseAddrPort("192.0.2.1:4000")
	atHost  = netip.MustParseAddrPort("192.0.2.1:5000")
	atNear  = netip.MustParseAddrPort("198.51.100.7:6000")
	atThief = netip.MustParseAddrPort("203.0.113.66:7000")
)

func testLatch(window int64) *latch {
	l := &latch{}
	l.renegotiate(&setup{Params: Params{Remote: atSDP, Near: atNear.Addr()}}, 0, window)
	return l
}

// feed sends n consistent packets, one per tick, and returns the number admitted.
func feed(l *latch, from netip.AddrPort, tick int64, n int) (admitted int) {
	for i := range n {
		if ok, _ := l.admits(from, uint32(from.Port()), uint16(tick)+uint16(i), tick+int64(i)); ok {
			admitted++
		}
	}
	return admitted
}

func TestUnknownSourceIsNotLearntAfterTheWindow(t *testing.T) {
	l := testLatch(500)
	if n := feed(l, atThief, 500, 1000); n != 0 {
		t.Errorf("%d packets of a stranger were admitted", n)
	}
	if n := feed(l, atSDP, 2000, 10); n != 10 {
		t.Errorf("%d of 10 packets of the agreed address were admitted", n)
	}
}

// Five packets sent in one go are not a stream.
func TestBurstDoesNotLatch(t *testing.T) {
	l := testLatch(500)
	for i := range 20 {
		if ok, _ := l.admits(atThief, 1, uint16(i), 3); ok {
			t.Fatal("a burst was believed")
		}
	}
}

func TestScatteredPacketsDoNotLatch(t *testing.T) {
	l := testLatch(500)
	for i := range 100 {
		if ok, _ := l.admits(atThief, uint32(i%3), uint16(i*977), int64(i)); ok {
			t.Fatal("packets without order were believed")
		}
	}
}

func TestBetterSourceIsPreferredWithinTheWindow(t *testing.T) {
	l := testLatch(500)
	feed(l, atThief, 0, 30)
	if l.locked != atThief {
		t.Fatal("the only source there was is not believed")
	}
	feed(l, atNear, 30, 10)
	if l.locked != atNear {
		t.Error("the host that signals is not preferred to a stranger")
	}
	feed(l, atSDP, 50, 10)
	if l.locked != atSDP {
		t.Error("the agreed address is not preferred")
	}
	feed(l, atThief, 60, 430)
	if l.locked != atSDP {
		t.Error("a stranger took over")
	}
}

func TestUnchangedAgreementKeepsTheLock(t *testing.T) {
	l := testLatch(500)
	feed(l, atNear, 0, 20)
	l.renegotiate(&setup{Params: Params{Remote: atSDP, Near: atNear.Addr()}}, 1000, 500)
	if l.locked != atNear {
		t.Error("a hold without a new address lost the source")
	}
	l.renegotiate(&setup{Params: Params{Remote: atHost, Near: atNear.Addr()}}, 1000, 500)
	if l.locked.IsValid() {
		t.Error("a new address left the old source locked")
	}
}

// Whatever strangers send and whenever: while the agreed address sends, they get nothing.
func TestStrangersNeverDisplaceTheAgreedAddress(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := testLatch(rapid.Int64Range(0, 1000).Draw(t, "window"))
		tick := int64(0)
		feed(l, atSDP, tick, 5)
		tick += 5
		seq := uint16(tick)
		for range rapid.IntRange(10, 300).Draw(t, "steps") {
			tick += rapid.Int64Range(0, 40).Draw(t, "pause")
			if ok, _ := l.admits(atSDP, uint32(atSDP.Port()), seq, tick); !ok {
				t.Fatal("the agreed address was refused")
			}
			seq++
			from := rapid.SampledFrom([]netip.AddrPort{atHost, atNear, atThief}).Draw(t, "from")
			for i := range rapid.IntRange(0, 40).Draw(t, "packets") {
				if ok, _ := l.admits(from, 9, uint16(i), tick); ok {
					t.Fatalf("%v was admitted", from)
				}
			}
		}
	})
}
