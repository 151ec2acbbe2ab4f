package sip

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Offences and what they weigh. A source that reaches banAt within offenceFades is banned.
const (
	offenceScanner = banAt     // it calls itself a scanner: at once
	offenceAuth    = banAt / 8 // a wrong password, or one of a user that does not exist
	offenceRate    = banAt / 400
	offenceNoise   = banAt / 200
	offenceProbe   = banAt / 200 // asks to be challenged, and answers none

	banAt        = 4000
	offenceFades = 10 * time.Minute
	mostBans     = 1 << 14
	longestBan   = 24 * time.Hour
)

// Ban is a source that is not listened to for a while.
type Ban struct {
	Source netip.Addr // an IPv4 address, or the first one of an IPv6 /64
	Why    string     // "scanner", "auth", "probe", "rate", "noise"
	Since  time.Time
	Until  time.Time
	Times  int   // bans of this source so far: each is twice as long as the last, up to a day
	Kept   int64 // messages and connections kept out by it
}

// bans is what the guard remembers of those who misbehave.
type bans struct {
	first time.Duration          // of the first ban
	spare func(netip.Addr) bool  // sources that are never banned: phones that are registered, calls that are up
	tell  func(Ban)              // of each new ban
	mu    sync.Mutex             //
	marks map[netip.Addr]offence // of late
	m     map[netip.Addr]*Ban
	news  chan struct{} // holds a token after a change
}

// changed says that there is something new to keep. mu is held.
func (b *bans) changed() {
	select {
	case b.news <- struct{}{}:
	default:
	}
}

type offence struct {
	points int
	at     time.Time
}

// bans reports whether ip is banned, and counts what that keeps out.
func (b *bans) bans(ip netip.Addr) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.m) == 0 {
		return false
	}
	x := b.m[near(ip)]
	if x == nil || time.Now().After(x.Until) {
		return false
	}
	x.Kept++
	return true
}

// offends notes that ip misbehaved. Over UDP the address may be forged: that is why those whom we know are spared, and why bans are
// short at first.
func (b *bans) offends(ip netip.Addr, points int, why string) {
	ip = near(ip)
	now := time.Now()
	b.mu.Lock()
	if x := b.m[ip]; x != nil && now.Before(x.Until) {
		b.mu.Unlock()
		return
	}
	o := b.marks[ip]
	if now.Sub(o.at) > offenceFades {
		o.points = 0
	}
	o.points, o.at = o.points+points, now
	if o.points < banAt {
		if len(b.marks) < mostBans || b.marks[ip].at != (time.Time{}) {
			b.marks[ip] = o
		}
		b.mu.Unlock()
		return
	}
	b.mu.Unlock()
	spared := b.spare != nil && b.spare(ip) // it takes other locks
	b.mu.Lock()
	if spared {
		delete(b.marks, ip)
		b.mu.Unlock()
		return
	}
	delete(b.marks, ip)
	x := b.m[ip]
	if x == nil {
		if len(b.m) >= mostBans {
			b.mu.Unlock()
			return
		}
		x = &Ban{Source: ip}
		b.m[ip] = x
	}
	x.Times++
	x.Why, x.Since, x.Until, x.Kept = why, now, now.Add(min(longestBan, b.first<<min(x.Times-1, 12))), 0
	told := *x
	b.changed()
	b.mu.Unlock()
	if b.tell != nil {
		b.tell(told)
	}
}

// absolves forgets the offences of a source that has proven who it is.
func (b *bans) absolves(ip netip.Addr) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.marks, near(ip))
}

// expire forgets offences that have faded and bans that ended long ago: who comes back within a day has twice as long.
func (b *bans) expire(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for ip, o := range b.marks {
		if now.Sub(o.at) > offenceFades {
			delete(b.marks, ip)
		}
	}
	for ip, x := range b.m {
		if now.Sub(x.Until) > longestBan {
			delete(b.m, ip)
		}
	}
}

func (b *bans) list(now time.Time) []Ban {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []Ban
	for _, x := range b.m {
		if now.Before(x.Until) {
			out = append(out, *x)
		}
	}
	slices.SortFunc(out, func(a, b Ban) int { return b.Since.Compare(a.Since) })
	return out
}

// Bans lists the sources that are banned now, the latest first.
func (s *Server) Bans() []Ban { return s.guard.bans.list(time.Now()) }

// LiftBan listens to a source again; false when it was not banned.
func (s *Server) LiftBan(ip netip.Addr) bool {
	b := &s.guard.bans
	b.mu.Lock()
	defer b.mu.Unlock()
	ip = near(ip)
	x := b.m[ip]
	if x == nil || time.Now().After(x.Until) {
		return false
	}
	delete(b.m, ip)
	delete(b.marks, ip)
	b.changed()
	return true
}

// restore takes up what was kept of bans before a restart: those that go on, and those whose end was lately enough to count.
func (b *bans) restore(list []Ban, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, x := range list {
		ip := near(x.Source)
		if !ip.IsValid() || now.Sub(x.Until) > longestBan || x.Until.Sub(now) > longestBan || len(b.m) >= mostBans {
			continue
		}
		x.Source = ip
		b.m[ip] = &x
	}
}

// all is everything worth keeping over a restart.
func (b *bans) all() []Ban {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]Ban, 0, len(b.m))
	for _, x := range b.m {
		out = append(out, *x)
	}
	slices.SortFunc(out, func(a, b Ban) int { return a.Since.Compare(b.Since) })
	return out
}

// keepBans hands the bans to Config.OnBans when they have changed, not more often than every half second, and at the end.
func (s *Server) keepBans(ctx context.Context) {
	if s.cfg.OnBans == nil {
		return
	}
	b := &s.guard.bans
	for {
		select {
		case <-b.news:
			s.safely("OnBans", func() { s.cfg.OnBans(b.all()) })
		case <-ctx.Done():
			select {
			case <-b.news:
				s.safely("OnBans", func() { s.cfg.OnBans(b.all()) })
			default:
			}
			return
		}
		select {
		case <-time.After(500 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

// spares says whether there is a phone or a call at ip. Nobody outside is at a loopback address.
func (s *Server) spares(ip netip.Addr) bool {
	if ip.IsLoopback() || s.registrar.at(ip) {
		return true
	}
	for _, l := range s.legs() {
		l.mu.Lock()
		here := l.state != over && l.state >= answered && near(l.info.Remote.Addr()) == ip
		l.mu.Unlock()
		if here {
			return true
		}
	}
	return false
}
