package media

import (
	"net/netip"
	"testing"
	"time"
)

// slow is a link that keeps the pacer waiting, as too many legs would.
type slow struct {
	wire
	each time.Duration
}

func (s *slow) read([]byte) (int, netip.AddrPort, error) {
	time.Sleep(s.each)
	return 0, netip.AddrPort{}, errAgain
}

// Pitfall 39: more work than fits shows in the lateness, lateness is what admission refuses by, and it goes away with the work.
func TestLatePacerSaysOverloaded(t *testing.T) {
	t.Parallel()
	e, err := NewEngine(Config{IP: netip.MustParseAddr("127.0.0.1"), Pacers: 1, PortLow: 31000, PortHigh: 31999})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if e.Overloaded() {
		t.Error("an idle engine is overloaded")
	}
	l := e.attach(&slow{each: 60 * time.Millisecond}, 0, netip.Addr{}) // in every frame of 20 ms
	if err := l.Start(Params{Codec: PCMA, Receive: true}); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Second); !e.Overloaded(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not overloaded: %+v", e.Lateness())
		}
	}
	l.Close()
}
