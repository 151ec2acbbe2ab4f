package sip

import (
	"net/netip"
	"testing"
	"time"
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func TestAScannerIsBannedAtOnceAndEachTimeForLonger(t *testing.T) {
	g := newGuard(Limits{}, []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")})
	told := 0
	g.bans.tell = func(Ban) { told++ }
	bad := addr("203.0.113.9")
	g.offends(bad, offenceScanner, "scanner")
	if !g.shuts(bad) || g.shuts(addr("203.0.113.10")) || told != 1 {
		t.Errorf("banned %v, its neighbour %v, told %d times", g.shuts(bad), g.shuts(addr("203.0.113.10")), told)
	}
	first := g.bans.list(time.Now())[0]
	if d := first.Until.Sub(first.Since); d != DefaultLimits.Ban || first.Why != "scanner" {
		t.Errorf("banned for %v: %s", d, first.Why)
	}
	for want := 2 * DefaultLimits.Ban; want < longestBan; want *= 2 {
		g.bans.m[bad].Until = time.Now().Add(-time.Second) // it is over
		if g.shuts(bad) {
			t.Fatal("banned beyond its time")
		}
		g.offends(bad, offenceScanner, "scanner")
		again := g.bans.list(time.Now())[0]
		if d := again.Until.Sub(again.Since); d != want {
			t.Fatalf("ban %d lasts %v, want %v", again.Times, d, want)
		}
	}
	trunk := addr("192.0.2.7")
	g.offends(trunk, offenceScanner, "scanner")
	if g.shuts(trunk) {
		t.Error("a trunk was banned")
	}
	v6 := addr("2001:db8::1")
	g.offends(v6, offenceScanner, "scanner")
	if !g.shuts(addr("2001:db8::ffff")) {
		t.Error("its /64 can go on")
	}
}

func TestOffencesAddUpAndFadeAndThoseWeKnowAreSpared(t *testing.T) {
	g := newGuard(Limits{}, nil)
	phone := addr("198.51.100.5")
	g.bans.spare = func(ip netip.Addr) bool { return ip == phone }
	guesser := addr("203.0.113.20")
	for range 7 {
		g.offends(guesser, offenceAuth, "auth")
		g.offends(phone, offenceAuth, "auth")
	}
	if g.shuts(guesser) {
		t.Error("banned after seven wrong passwords")
	}
	g.bans.marks[guesser] = offence{g.bans.marks[guesser].points, time.Now().Add(-offenceFades - time.Second)}
	g.offends(guesser, offenceAuth, "auth")
	if g.shuts(guesser) {
		t.Error("old offences still count")
	}
	for range 8 {
		g.offends(guesser, offenceAuth, "auth")
		g.offends(phone, offenceAuth, "auth")
	}
	if !g.shuts(guesser) || g.shuts(phone) {
		t.Errorf("guesser banned %v, registered phone banned %v", g.shuts(guesser), g.shuts(phone))
	}
	g.bans.absolves(guesser)
	if !g.shuts(guesser) {
		t.Error("a ban ended with a proof")
	}
}

func TestANetworkIsHeldTogether(t *testing.T) {
	g := newGuard(Limits{NetRate: 1, NetBurst: 100, NewRate: 1e6, NewBurst: 1e6}, nil)
	passed := 0
	for i := range 250 {
		a := netip.AddrFrom4([4]byte{203, 0, 113, byte(i)})
		for range 4 {
			if g.admits(a) {
				passed++
			}
		}
	}
	if passed < 100 || passed > 110 {
		t.Errorf("%d messages of one /24 passed, want about 100", passed)
	}
	if !g.admits(addr("203.0.114.1")) {
		t.Error("the next network was held too")
	}
}

func TestDeniedAddressesAreNeverHeard(t *testing.T) {
	g := newGuard(Limits{}, nil)
	g.known.Store(&known{denied: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}})
	if !g.shuts(addr("203.0.113.1")) || g.connects(addr("203.0.113.1"), 0) || g.shuts(addr("203.0.112.1")) {
		t.Error("the deny list is not kept")
	}
}

// However many forged sources there are, what is remembered of bans stays small.
func TestBansOfForgedSourcesAreBounded(t *testing.T) {
	g := newGuard(Limits{}, nil)
	for i := range 100_000 {
		g.offends(netip.AddrFrom4([4]byte{byte(i >> 24), byte(i >> 16), byte(i >> 8), byte(i)}), offenceScanner, "scanner")
		g.offends(netip.AddrFrom4([4]byte{99, byte(i >> 16), byte(i >> 8), byte(i)}), offenceAuth, "auth")
	}
	if len(g.bans.m) > mostBans || len(g.bans.marks) > mostBans {
		t.Errorf("%d bans and %d offenders remembered", len(g.bans.m), len(g.bans.marks))
	}
}
