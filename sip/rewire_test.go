package sip

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	gosip "github.com/emiago/sipgo/sip"
)

func TestBansSurviveARestartWithTheirEnd(t *testing.T) {
	t.Parallel()
	kept := make(chan []Ban, 100)
	x := start(t, func(c *Config) { c.OnBans = func(b []Ban) { kept <- b } }, nil)
	evil, gone := netip.MustParseAddr("203.0.113.7"), netip.MustParseAddr("203.0.113.8")
	for _, ip := range []netip.Addr{evil, gone} {
		x.guard.offends(ip, offenceScanner, "scanner")
	}
	if !x.LiftBan(gone) {
		t.Fatal("not banned")
	}
	var last []Ban
	eventually(t, "kept", func() bool {
		select {
		case last = <-kept:
		default:
		}
		return len(last) == 1 && last[0].Source == evil
	})
	old := Ban{Source: netip.MustParseAddr("203.0.113.9"), Why: "auth", Since: time.Now().Add(-48 * time.Hour), Until: time.Now().Add(-47 * time.Hour), Times: 5}
	past := Ban{Source: netip.MustParseAddr("203.0.113.10"), Why: "auth", Since: time.Now().Add(-2 * time.Hour), Until: time.Now().Add(-time.Hour), Times: 1}
	y := start(t, func(c *Config) { c.Bans = append(last, old, past) }, nil)
	if list := y.Bans(); len(list) != 1 || list[0].Source != evil || !list[0].Until.Equal(last[0].Until) || list[0].Why != "scanner" {
		t.Errorf("%+v", list)
	}
	if !y.guard.shuts(evil) || y.guard.shuts(past.Source) {
		t.Error("the bans are not in force as they were")
	}
	y.guard.offends(past.Source, offenceScanner, "scanner")
	for _, b := range y.Bans() {
		if b.Source == past.Source && (b.Times != 2 || b.Until.Sub(b.Since) < 2*DefaultLimits.Ban-time.Second) {
			t.Errorf("the second ban within a day is not longer: %+v", b)
		}
	}
}

// A reload changes trunks and lists while a call over a trunk is up, and drops nothing.
func TestTrunksChangeWhileCallsAreUp(t *testing.T) {
	t.Parallel()
	x := start(t, nil, nil)
	p, q := newPeer(t, x.udp), newPeer(t, x.udp) // two carriers
	trunk := func(name string, p *peer) Trunk { return Trunk{Name: name, Proxy: "sip:" + p.addr} }
	before := Wiring{Trunks: []Trunk{trunk("one", p)}, Outbound: Outbound{Allow: []string{"1x"}, Number: "46110110"}}
	if err := x.Rewire(before); err != nil {
		t.Fatal(err)
	}
	call := func(p *peer, number string) Call {
		t.Helper()
		got := x.dial(context.Background(), Target{Number: number}, DialOpt{})
		p.reply(p.request(gosip.INVITE), 200, "t"+unique(), plainSDP)
		d := wait(t, got)
		if d.err != nil {
			t.Fatal(d.err)
		}
		return d.call
	}
	first := call(p, "12")
	bad := before
	bad.Outbound.Allow = []string{"nonsense"}
	if err := x.Rewire(bad); err == nil {
		t.Error("nonsense was taken up")
	}
	if _, err := x.Dial(context.Background(), Target{Number: "22"}, DialOpt{}); !errors.Is(err, ErrNotAllowed) {
		t.Errorf("%v", err)
	}
	after := Wiring{Trunks: []Trunk{{Name: "one", Proxy: "sip:" + p.addr, MaxCalls: 1, Priority: -1}, trunk("two", q)}, Outbound: Outbound{Allow: []string{"1x", "2x"}, Number: "46110110"},
		Denied: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}}
	if err := x.Rewire(after); err != nil {
		t.Fatal(err)
	}
	second := call(q, "22") // the first trunk has its one call already: its count went over
	if h := x.Health().Trunks; len(h) != 2 || h[0].Calls != 1 || h[1].Calls != 1 {
		t.Errorf("%+v", h)
	}
	if !x.guard.shuts(netip.MustParseAddr("203.0.113.1")) {
		t.Error("the list of denied sources is not in force")
	}
	if err := x.Rewire(Wiring{}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []Call{first, second} {
		select {
		case <-c.Done():
			t.Error("a call was dropped with its trunk")
		default:
		}
	}
	if _, err := x.Dial(context.Background(), Target{Number: "12"}, DialOpt{}); !errors.Is(err, ErrNotAllowed) {
		t.Errorf("%v", err)
	}
}
