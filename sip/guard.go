package sip

import (
	"bytes"
	"net/netip"
	"strconv"
	"strings"
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
	Sources     int // addresses remembered; about 100 bytes each
	Conns       int // TCP connections in all
	ConnsPerIP  int // TCP connections from one address
}

// DefaultLimits suit a hotline with a few hundred phones.
var DefaultLimits = Limits{SourceRate: 50, SourceBurst: 200, NewRate: 100, NewBurst: 500, Sources: 1 << 15, Conns: 4000, ConnsPerIP: 64}

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
	limits  Limits
	trusted []netip.Prefix
	start   time.Time

	mu      sync.Mutex
	sources map[netip.Addr]*source
	oldest  *source // ring of sources in the order in which they were last heard
	fresh   bucket  // sources not heard of lately

	dropped struct {
		noise, scanner, rate, newSource, conns atomic.Int64
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

func newGuard(l Limits, trusted []netip.Prefix) *guard {
	g := &guard{limits: l.withDefaults(), trusted: trusted, start: time.Now(), sources: map[netip.Addr]*source{}}
	g.fresh = bucket{tokens: g.limits.NewBurst}
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
	for _, p := range g.trusted {
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
	now := time.Since(g.start).Seconds()
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.source(near(ip), now)
	if s == nil {
		g.dropped.newSource.Add(1)
		return false
	}
	if !s.bucket.take(now, g.limits.SourceRate, g.limits.SourceBurst) {
		g.dropped.rate.Add(1)
		return false
	}
	return true
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

// scanners are the tools that probe every SIP port of the internet, as they name themselves. They get no answer at all.
var scanners = []string{"friendly-scanner", "friendly-request", "sipvicious", "sipcli", "pplsip", "sip-scan", "sundayddr", "iwar",
	"vaxsipuseragent", "sipptk"}

// isScanner looks for a scanner's name in a User-Agent value.
func isScanner(agent string) bool {
	agent = strings.ToLower(agent)
	for _, s := range scanners {
		if strings.Contains(agent, s) {
			return true
		}
	}
	return false
}

// A verdict on a datagram.
type verdict uint8

const (
	pass verdict = iota
	noise
	scan
)

// inspect decides on a datagram without parsing it: it must begin like SIP, end its first line within reason, and not be from a
// scanner.
func inspect(b []byte) verdict {
	if len(b) < 12 { // keep-alives and the like
		return noise
	}
	if !tokenChar(b[0]) {
		return noise
	}
	i := bytes.IndexByte(b, '\r')
	if i < 0 || i > 4096 {
		return noise
	}
	line := b[:i]
	if !bytes.HasPrefix(line, []byte("SIP/")) && !bytes.Contains(line, []byte(" SIP/")) {
		return noise
	}
	for _, c := range line {
		if c < ' ' {
			return noise
		}
	}
	if v, ok := rawHeader(b, "user-agent", ""); ok && isScanner(string(b[v.from:v.to])) {
		return scan
	}
	return pass
}

// tokenChar says whether a method may begin with c (RFC 3261 25.1).
func tokenChar(c byte) bool {
	return 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || strings.IndexByte("-.!%*_+`'~", c) >= 0
}

// truncated says whether a datagram is shorter than its Content-Length says (RFC 3261 18.3). The parser drops such a request, but its
// sender deserves to know.
func truncated(b []byte) bool {
	end := bytes.Index(b, []byte("\r\n\r\n"))
	v, ok := rawHeader(b, "content-length", "l")
	if end < 0 || !ok {
		return false
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(b[v.from:v.to])), 10, 31)
	return err == nil && int(n) > len(b)-end-4
}

// span is a part of a message.
type span struct{ from, to int }

// rawHeader finds the value of the first header of that name (lower case; or of the compact form), continuation lines included,
// without the line's end. It sees header lines only, never the body.
func rawHeader(b []byte, name, compact string) (span, bool) {
	end := bytes.Index(b, []byte("\r\n\r\n"))
	if end < 0 {
		end = len(b)
	}
	for at := 0; at < end; {
		next := bytes.Index(b[at:end], []byte("\r\n"))
		if next < 0 {
			return span{}, false
		}
		at += next + 2
		if at >= end || b[at] == ' ' || b[at] == '\t' {
			continue
		}
		colon := bytes.IndexByte(b[at:end], ':')
		if colon < 0 {
			return span{}, false
		}
		key := strings.ToLower(strings.TrimRight(string(b[at:at+min(colon, 64)]), " \t"))
		if key != name && (compact == "" || key != compact) {
			continue
		}
		v := span{at + colon + 1, at + colon + 1}
		for {
			eol := bytes.Index(b[v.to:end], []byte("\r\n"))
			if eol < 0 {
				v.to = end
				return v, true
			}
			v.to += eol
			if v.to+2 >= end || b[v.to+2] != ' ' && b[v.to+2] != '\t' {
				return v, true
			}
			v.to += 2
		}
	}
	return span{}, false
}

// addRport puts ;rport into the top Via of a request that lacks it, so that the answer goes where the request came from even
// through a NAT (RFC 3581; trap 15). buf[:n] is the datagram; the new length is returned. Where there is no room, or no Via, nothing
// is changed.
func addRport(buf []byte, n int) int {
	b := buf[:n]
	if bytes.HasPrefix(b, []byte("SIP/")) {
		return n
	}
	v, ok := rawHeader(b, "via", "v")
	if !ok {
		return n
	}
	// the top hop ends at a comma outside quotes
	quoted := false
	for i := v.from; i < v.to; i++ {
		if b[i] == '"' {
			quoted = !quoted
		} else if b[i] == ',' && !quoted {
			v.to = i
			break
		}
	}
	for _, p := range strings.Split(string(b[v.from:v.to]), ";")[1:] {
		key, _, _ := strings.Cut(p, "=")
		if strings.EqualFold(strings.TrimSpace(key), "rport") {
			return n
		}
	}
	at := v.to
	for at > v.from && strings.IndexByte(" \t\r\n;", b[at-1]) >= 0 {
		at--
	}
	const ins = ";rport"
	if at == v.from || n+len(ins) > len(buf) {
		return n
	}
	copy(buf[at+len(ins):], buf[at:n])
	copy(buf[at:], ins)
	return n + len(ins)
}
