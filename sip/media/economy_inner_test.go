package media

import (
	"net/netip"
	"testing"
	"time"

	"github.com/pion/rtp"
	"golang.org/x/sys/unix"
)

// voicePacket is packet n of a steady A-law stream in which every sample is the same code.
func voicePacket(n int, code byte) datagram {
	payload := make([]byte, FrameSamples)
	for i := range payload {
		payload[i] = code
	}
	b, _ := (&rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: 8, SSRC: 1, SequenceNumber: uint16(n), Timestamp: uint32(n * FrameSamples)}, Payload: payload}).Marshal()
	return datagram{atSDP, b}
}

// counting is a wire that counts what it is asked.
type counting struct {
	wire
	asked int
}

func (c *counting) read(p []byte) (int, netip.AddrPort, error) {
	c.asked++
	return c.wire.read(p)
}

// A far end in step costs one look at its socket per frame; what comes besides is found all the same, so that no delay stays there.
func TestSocketIsAskedOncePerFrameAndNothingStaysInIt(t *testing.T) {
	l, _ := wireLeg(t, both(atSDP))
	w := &counting{}
	l.link = w
	n, tick := 0, int64(0)
	frame := func(packets int) {
		for range packets {
			w.in = append(w.in, voicePacket(n, 0xD5))
			n++
		}
		l.frame(tick)
		tick++
	}
	for range 50 {
		frame(1)
	}
	w.asked = 0
	for range 800 {
		frame(1)
	}
	if w.asked < 800+800/lookTicks || w.asked > 800+2*800/lookTicks {
		t.Errorf("asked %d times in 800 frames", w.asked)
	}
	frame(2) // one too many: the sender's clock is faster than ours
	for range lookTicks {
		frame(1)
	}
	if len(w.in) > 0 {
		t.Errorf("%d packets stayed in the socket", len(w.in))
	}
	frame(0) // one late, and then two at once
	frame(2)
	if len(w.in) > 0 {
		t.Errorf("%d packets stayed in the socket after a late one", len(w.in))
	}
	for i := range 30 { // 10 ms packets would be two a frame: they are all taken from the first frame on
		frame(1 + i%2)
	}
	frame(0)
	if len(w.in) > 0 {
		t.Errorf("%d packets stayed in the socket of a sender out of step", len(w.in))
	}
	l.publishAll()
	if s := l.Stats(); s.Lost > 0 || s.PacketsIn != uint64(n) {
		t.Errorf("%d packets sent: %+v", n, s)
	}
}

// Sound nobody listens to is not copied. Who begins to listen hears this leg from then on, and never what the pacer had in hand before.
func TestWhoBeginsToListenHearsThisLegAlone(t *testing.T) {
	l, w := wireLeg(t, both(atSDP))
	other := &l.pacer.scratch.heard // as a leg before this one leaves it
	const code = 0x35
	tick := int64(0)
	frame := func(packets int) {
		for range packets {
			w.in = append(w.in, voicePacket(int(tick), code))
		}
		for i := range other.b {
			other.b[i] = 0xAA // positive, the leg's own voice is negative
		}
		other.quiet, other.codec = false, PCMA
		l.frame(tick)
		tick++
	}
	for range 40 {
		frame(1)
	}
	frame(0) // lost just as somebody begins to listen
	tap := l.Tap()
	defer tap.Close()
	for range 40 {
		frame(1)
	}
	var want [1]int16
	PCMA.Decode(want[:], []byte{code})
	voices := 0
	for len(tap.frames) > 0 {
		pcm := <-tap.frames
		for _, s := range pcm {
			if s == want[0] {
				voices++
			} else if s > 16 || s < want[0] { // neither this leg's voice, whole or faded, nor silence
				t.Fatalf("heard %d", s)
			}
		}
	}
	if voices < 30*FrameSamples {
		t.Errorf("%d samples of the voice were heard", voices)
	}
	if l.publishAll(); l.now.PacketsIn != 80 {
		t.Errorf("%+v", l.now)
	}
}

// A far end whose port is closed for a moment (ICMP port unreachable) loses what was sent then, and no packet more: the error of one
// packet is not taken for the next one's.
func TestRefusedPacketsDoNotTakeLaterOnesWithThem(t *testing.T) {
	t.Parallel()
	for name, ip := range map[string]netip.Addr{"IPv4": netip.MustParseAddr("127.0.0.1"), "IPv6": netip.IPv6Loopback()} {
		t.Run(name, func(t *testing.T) {
			pool, err := newPortPool(31000, 31999)
			if err != nil {
				t.Fatal(err)
			}
			var u *udpLink
			for u == nil {
				f, ok := pool.take()
				if !ok {
					t.Fatal("no port")
				}
				u, _ = openUDP(ip, f.port)
			}
			defer u.close()
			far, err := bindUDP(ip, 0)
			if err != nil {
				t.Fatal(err)
			}
			at := addressOf(t, far)
			u.pin(at)
			if u.pinned != at {
				t.Fatalf("connected to %v", u.pinned)
			}
			unix.Close(far)
			if err := u.write([]byte("nobody is there"), at); err != nil {
				t.Fatalf("the kernel knew already: %v", err)
			}
			if far, err = bindUDP(ip, int(at.Port())); err != nil {
				t.Fatal(err)
			}
			defer unix.Close(far)
			if err := u.write([]byte("again"), at); err != nil {
				t.Fatalf("the packet after a refused one: %v", err)
			}
			got := make([]byte, 100)
			for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
				n, _, err := unix.Recvfrom(far, got, unix.MSG_DONTWAIT)
				if err == nil {
					if string(got[:n]) != "again" {
						t.Errorf("%q", got[:n])
					}
					break
				}
				if time.Now().After(end) {
					t.Fatal("the packet after a refused one did not come")
				}
			}
			// To another address, connected or not.
			other, err := bindUDP(ip, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close(other)
			if err := u.write([]byte("else"), addressOf(t, other)); err != nil {
				t.Errorf("to another address: %v", err)
			}
			u.pin(addressOf(t, other))
			if u.pinned != addressOf(t, other) {
				t.Errorf("still connected to %v", u.pinned)
			}
			u.pin(netip.AddrPort{})
			if _, err := unix.Getpeername(u.rtp); err != unix.ENOTCONN {
				t.Errorf("still connected: %v", err)
			}
		})
	}
}

func addressOf(t *testing.T, fd int) netip.AddrPort {
	t.Helper()
	sa, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr), uint16(sa.Port))
	}
	t.Fatalf("%T", sa)
	return netip.AddrPort{}
}
