package sip

import (
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Limits bound what strangers can cost us. Zero fields take the values of DefaultLimits. Addresses in a trunk's prefixes or in
// Config.Trusted are exempt.
type Limits struct {
	SourceRate  float64 // messages per second from one address
	SourceBurst float64
	NewRate     float64 // addresses per second that were not heard of lately
	NewBurst    float64
	Sources     int     // addresses remembered; about 100 bytes each
	NetRate     float64 // messages per second from one network: an IPv4 /24 or an IPv6 /48
	NetBurst    float64
	Conns       int // TCP connections in all
	ConnsPerIP  int // TCP connections from one address

	// Ban is how long a source is not listened to that probes, guesses passwords or floods; each further time twice as long, up to
	// a day. Negative: nobody is banned.
	Ban time.Duration
}

// DefaultLimits suit a hotline with a few hundred phones.
var DefaultLimits = Limits{SourceRate: 50, SourceBurst: 200, NewRate: 100, NewBurst: 500, NetRate: 400, NetBurst: 1600, Sources: 1 << 15, Conns: 4000, ConnsPerIP: 64, Ban: 10 * time.Minute}

func (l Limits) withDefaults() Limits {
	d := DefaultLimits
	if l.SourceRate > 0 {
		d.SourceRate = l.SourceRate
	}
	if l.SourceBurst > 0 {
		d.SourceBurst = l.SourceBurst
	}
	if l.NewRate > 0 {
		d.NewRate = l.NewRate
	}
	if l.NewBurst > 0 {
		d.NewBurst = l.NewBurst
	}
	if l.Sources > 0 {
		d.Sources = l.Sources
	}
	if l.NetRate > 0 {
		d.NetRate = l.NetRate
	}
	if l.NetBurst > 0 {
		d.NetBurst = l.NetBurst
	}
	if l.Ban != 0 {
		d.Ban = l.Ban
	}
	if l.Conns > 0 {
		d.Conns = l.Conns
	}
	if l.ConnsPerIP > 0 {
		d.ConnsPerIP = l.ConnsPerIP
	}
	return d
}

// guard decides which datagrams and connections get as far as the parser. What it drops, it drops in silence: a scanner learns
// nothing, and a forged source gets no answer.
type guard struct {
	limits Limits
	known  atomic.Pointer[known]
	start  time.Time
	bans   bans

	mu      sync.Mutex
	sources map[netip.Addr]*source
	oldest  *source // ring of sources in the order in which they were last heard
	fresh   bucket  // sources not heard of lately
	nets    map[netip.Addr]*bucket

	dropped struct {
		noise, scanner, rate, network, newSource, conns, slow, banned atomic.Int64
	}
}

type source struct {
	ip         netip.Addr
	bucket     bucket
	prev, next *source
	conns      int
}

// A bucket holds tokens that flow in at a rate, up to a burst. Times are seconds on the monotonic clock.
type bucket struct{ tokens, at float64 }

func (b *bucket) take(now, rate, burst float64) bool {
	b.tokens = min(burst, b.tokens+(now-b.at)*rate)
	b.at = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

// known are the sources that are told apart by configuration. They are replaced, never changed.
type known struct{ trusted, denied []netip.Prefix }

// newKnown trusts the trunks as well.
func newKnown(trusted, denied []netip.Prefix, trunks []Trunk) *known {
	l := &known{trusted: slices.Clone(trusted), denied: denied}
	for _, t := range trunks {
		l.trusted = append(l.trusted, t.Addrs...)
	}
	return l
}

func newGuard(l Limits, trusted []netip.Prefix) *guard {
	g := &guard{limits: l.withDefaults(), start: time.Now(), sources: map[netip.Addr]*source{}}
	g.known.Store(&known{trusted: trusted})
	g.fresh = bucket{tokens: g.limits.NewBurst}
	g.nets = map[netip.Addr]*bucket{}
	g.bans = bans{first: g.limits.Ban, marks: map[netip.Addr]offence{}, m: map[netip.Addr]*Ban{}, news: make(chan struct{}, 1)}
	return g
}

// near is what a limit counts as one source: an IPv4 address, or the /64 of an IPv6 one.
func near(ip netip.Addr) netip.Addr {
	ip = ip.Unmap().WithZone("")
	if ip.Is6() {
		p, _ := ip.Prefix(64)
		return p.Addr()
	}
	return ip
}

func (g *guard) trusts(ip netip.Addr) bool {
	ip = ip.Unmap()
	for _, p := range g.known.Load().trusted {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}

// admits reports whether another message from ip may pass.
func (g *guard) admits(ip netip.Addr) bool {
	if g.trusts(ip) {
		return true
	}
	ok, over := g.weighs(ip)
	if over {
		g.offends(ip, offenceRate, "rate")
	}
	return ok
}

// weighs is admits; over is true when this one source sends too much.
func (g *guard) weighs(ip netip.Addr) (ok, over bool) {
	now := time.Since(g.start).Seconds()
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.source(near(ip), now)
	if s == nil {
		g.dropped.newSource.Add(1)
		return false, false
	}
	if !s.bucket.take(now, g.limits.SourceRate, g.limits.SourceBurst) {
		g.dropped.rate.Add(1)
		return false, true
	}
	if !g.network(ip).take(now, g.limits.NetRate, g.limits.NetBurst) {
		g.dropped.network.Add(1)
		return false, false
	}
	return true, false
}

// mostNets is how many networks are counted at a time.
const mostNets = 1 << 13

// network is the bucket of ip's network. When there are too many all begin anew: what floods from so many networks is held by the
// limit on new sources.
func (g *guard) network(ip netip.Addr) *bucket {
	ip = ip.Unmap().WithZone("")
	bits := 24
	if ip.Is6() {
		bits = 48
	}
	p, _ := ip.Prefix(bits)
	b := g.nets[p.Addr()]
	if b == nil {
		if len(g.nets) >= mostNets {
			clear(g.nets)
		}
		b = &bucket{tokens: g.limits.NetBurst, at: time.Since(g.start).Seconds()}
		g.nets[p.Addr()] = b
	}
	return b
}

// shuts reports whether nothing of ip is looked at: it is on the deny list or banned. Whom we trust is never shut out.
func (g *guard) shuts(ip netip.Addr) bool {
	if g.trusts(ip) {
		return false
	}
	for _, p := range g.known.Load().denied {
		if p.Contains(ip) {
			g.dropped.banned.Add(1)
			return true
		}
	}
	if g.bans.bans(ip) {
		g.dropped.banned.Add(1)
		return true
	}
	return false
}

// offends notes that ip misbehaved.
func (g *guard) offends(ip netip.Addr, points int, why string) {
	if g.limits.Ban > 0 && ip.IsValid() && !g.trusts(ip) {
		g.bans.offends(ip.Unmap(), points, why)
	}
}

// source finds the memory of ip, or makes one if new sources are within their limit. It is nil when they are not.
func (g *guard) source(ip netip.Addr, now float64) *source {
	s := g.sources[ip]
	if s == nil {
		if !g.fresh.take(now, g.limits.NewRate, g.limits.NewBurst) {
			return nil
		}
		for n := 0; len(g.sources) >= g.limits.Sources; n++ {
			if n == 8 {
				return nil // the oldest ones all hold connections
			}
			g.forgetOldest()
		}
		s = &source{ip: ip, bucket: bucket{g.limits.SourceBurst, now}}
		g.sources[ip] = s
	} else {
		g.unlink(s)
	}
	if g.oldest == nil {
		s.prev, s.next, g.oldest = s, s, s
	} else { // last of the ring
		s.next, s.prev = g.oldest, g.oldest.prev
		s.prev.next, g.oldest.prev = s, s
	}
	return s
}

func (g *guard) unlink(s *source) {
	if s.next == s {
		g.oldest = nil
		return
	}
	s.prev.next, s.next.prev = s.next, s.prev
	if g.oldest == s {
		g.oldest = s.next
	}
}

func (g *guard) forgetOldest() {
	s := g.oldest
	if s.conns > 0 { // still connected: it goes to the end of the ring
		g.oldest = s.next
		return
	}
	g.unlink(s)
	delete(g.sources, s.ip)
}

// connects reports whether ip may open another TCP connection; hangs takes one back.
func (g *guard) connects(ip netip.Addr, open int) bool {
	if g.shuts(ip) {
		return false
	}
	now := time.Since(g.start).Seconds()
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.source(near(ip), now)
	if s == nil && g.trusts(ip) {
		return open < g.limits.Conns
	}
	if s == nil || open >= g.limits.Conns || s.conns >= g.limits.ConnsPerIP && !g.trusts(ip) {
		g.dropped.conns.Add(1)
		return false
	}
	s.conns++
	return true
}

func (g *guard) hangs(ip netip.Addr) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if s := g.sources[near(ip)]; s != nil && s.conns > 0 {
		s.conns--
	}
}

const (
	pass verdict = iota
	noise
	scan
)
