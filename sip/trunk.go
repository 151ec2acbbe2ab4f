package sip

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	gosip "github.com/emiago/sipgo/sip"
)

// downAfter is how many probes or calls in a row must stay without answer before a trunk counts as down. One answer brings it back.
const downAfter = 3

// line is what we know of a trunk at this moment.
type line struct {
	Trunk
	wake chan struct{} // its connection was lost: register again
	plan []pattern     // Numbers
	stop func()        // ends what watches over it; nil before it began

	// Guarded by lines.mu.
	*usage
	fails      int
	registered bool
	way        flow // of the registration
	lastErr    string
}

// usage is what a trunk carries of our calls. It goes over to what a reload makes of the trunk.
type usage struct {
	night night
	calls int
	tried []time.Time // in the last hour
}

// lines is all trunks.
type lines struct {
	s    *Server
	plan atomic.Pointer[plan]

	mu      sync.Mutex
	all     []*line
	tried   []time.Time
	night   night
	watched func(*line) // begins to watch over a trunk; nil before Serve
}

// plan is what is configured of trunks and calls through them. It is replaced, never changed.
type plan struct {
	trunks   []Trunk
	outbound Outbound
	allow    []pattern
}

func newLines(s *Server) (*lines, error) {
	ls := &lines{s: s}
	p, all, err := readLines(s.cfg.Trunks, s.cfg.Outbound)
	if err != nil {
		return nil, err
	}
	ls.all = all
	ls.plan.Store(p)
	return ls, nil
}

// readLines checks what is configured.
func readLines(trunks []Trunk, outbound Outbound) (ls *plan, all []*line, err error) {
	ls = &plan{trunks: trunks, outbound: outbound}
	for _, a := range outbound.Allow {
		p, err := readPattern(a)
		if err != nil {
			return nil, nil, fmt.Errorf("sip: outbound: %w", err)
		}
		ls.allow = append(ls.allow, p)
	}
	for _, t := range trunks {
		if t.Proxy != "" {
			if _, err := parseURI(t.Proxy); err != nil {
				return nil, nil, fmt.Errorf("sip: trunk %s: proxy: %w", t.Name, err)
			}
		}
		if t.Register && (t.Proxy == "" || t.User == "") {
			return nil, nil, fmt.Errorf("sip: trunk %s: to register needs a proxy and a user", t.Name)
		}
		l := &line{Trunk: t, wake: make(chan struct{}, 1), usage: &usage{}}
		for _, n := range t.Numbers {
			p, err := readPattern(n)
			if err != nil {
				return nil, nil, fmt.Errorf("sip: trunk %s: numbers: %w", t.Name, err)
			}
			l.plan = append(l.plan, p)
		}
		if t.Strip < 0 || t.Prefix != cleanUser(t.Prefix) {
			return nil, nil, fmt.Errorf("sip: trunk %s: a number cannot be rewritten so", t.Name)
		}
		all = append(all, l)
	}
	return ls, all, nil
}

// TrunkHealth is the state of a trunk.
type TrunkHealth struct {
	Name       string
	Up         bool // it answers OPTIONS
	Registered bool // as the Trunk wants it; true where it wants none
	Calls      int  // of ours that are up or being dialled
	Hour       int  // calls of ours that were tried in the last 60 minutes
	LastError  string
}

func (ls *lines) health() (out []TrunkHealth) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for _, l := range ls.all {
		l.tried = lately(l.tried)
		out = append(out, TrunkHealth{Name: l.Name, Up: l.fails < downAfter, Registered: l.registered || !l.Register, Calls: l.calls,
			Hour: len(l.tried), LastError: l.lastErr})
	}
	return
}

// lately drops what is older than an hour.
func lately(at []time.Time) []time.Time {
	from := time.Now().Add(-time.Hour)
	i, _ := slices.BinarySearchFunc(at, from, time.Time.Compare)
	return slices.Delete(at, 0, i)
}

func (ls *lines) allows(number string) bool {
	return slices.ContainsFunc(ls.plan.Load().allow, func(p pattern) bool { return p.matches(number) })
}

// owns reports whether an address is one to which a trunk's calls go.
func (s *Server) owns(to netip.AddrPort, host string) bool {
	if s.trunkOf(to.Addr()) != nil {
		return true
	}
	for _, t := range s.lines.plan.Load().trunks {
		u, err := parseURI(t.Proxy)
		if err != nil {
			continue
		}
		ip, _ := netip.ParseAddr(strings.Trim(u.Host, "[]"))
		port := u.Port
		if port == 0 {
			port = int(to.Port())
		}
		if port == int(to.Port()) && (ip.Unmap() == to.Addr() || strings.EqualFold(u.Host, host)) {
			return true
		}
	}
	return false
}

// order lists the trunks for a call: those that work before those that do not, then by priority, and within one at random by weight
// (as RFC 2782 does it for SRV records). A trunk that counts as down is still better than none.
func (ls *lines) order(name, number string) []*line {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	type place struct {
		*line
		bad  int
		luck float64
	}
	var ps []place
	for _, l := range ls.all {
		if l.Proxy == "" || name != "" && l.Name != name || !l.carries(number) {
			continue
		}
		p := place{line: l, luck: -math.Log(1-rand.Float64()) / max(float64(l.Weight), 1e-3)}
		if l.fails >= downAfter || l.Register && !l.registered {
			p.bad = 1
		}
		ps = append(ps, p)
	}
	slices.SortFunc(ps, func(a, b place) int {
		return cmp.Or(a.bad-b.bad, a.Priority-b.Priority, cmp.Compare(a.luck, b.luck))
	})
	var out []*line
	for _, p := range ps {
		out = append(out, p.line)
	}
	return out
}

// take counts a call, or refuses it.
func (ls *lines) take(l *line) error {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	l.tried, ls.tried = lately(l.tried), lately(ls.tried)
	switch all := ls.plan.Load().outbound.MaxPerHour; {
	case l.MaxCalls > 0 && l.calls >= l.MaxCalls:
		return fmt.Errorf("dial: trunk %s: %d calls at once: %w", l.Name, l.MaxCalls, ErrLimit)
	case l.MaxPerHour > 0 && len(l.tried) >= l.MaxPerHour:
		return fmt.Errorf("dial: trunk %s: %d calls an hour: %w", l.Name, l.MaxPerHour, ErrLimit)
	case all > 0 && len(ls.tried) >= all:
		return fmt.Errorf("dial: %d calls an hour: %w", all, ErrLimit)
	}
	if !l.night.room(ls.s, l.MaxPerNight) {
		return fmt.Errorf("dial: trunk %s: %d calls a night: %w", l.Name, l.MaxPerNight, ErrLimit)
	}
	if most := ls.plan.Load().outbound.MaxPerNight; !ls.night.room(ls.s, most) {
		return fmt.Errorf("dial: %d calls a night: %w", most, ErrLimit)
	}
	l.night.add(ls.s)
	ls.night.add(ls.s)
	now := time.Now()
	l.calls++
	l.tried, ls.tried = append(l.tried, now), append(ls.tried, now)
	return nil
}

func (ls *lines) release(l *line) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	l.calls--
}

// heard notes whether a trunk has answered.
func (ls *lines) heard(l *line, err error) {
	ls.mu.Lock()
	was := l.fails < downAfter
	if err == nil {
		l.fails, l.lastErr = 0, ""
	} else {
		l.fails, l.lastErr = l.fails+1, err.Error()
	}
	is := l.fails < downAfter
	ls.mu.Unlock()
	if was != is {
		ls.s.log.Warn("sip: trunk changed", "trunk", l.Name, "up", is, "err", err)
	}
}

// dialNumber calls a number through the trunks, one after the other until one of them gets somewhere.
func (s *Server) dialNumber(ctx context.Context, t Target, o DialOpt) (Call, error) {
	number := cleanUser(t.Number)
	if number == "" {
		return nil, fmt.Errorf("dial: empty number: %w", ErrNotFound)
	}
	if !s.lines.allows(number) {
		s.log.Warn("sip: outbound call refused", "number", mask(number))
		return nil, fmt.Errorf("dial: %w", ErrNotAllowed)
	}
	order := s.lines.order(t.Trunk, number)
	if len(order) == 0 {
		return nil, fmt.Errorf("dial: %w", errors.Join(ErrNoTrunk, ErrUnreachable))
	}
	var last error
	for _, line := range order {
		if err := s.lines.take(line); err != nil {
			s.log.Warn("sip: outbound call refused", "number", mask(number), "err", err)
			if last == nil {
				last = err
			}
			continue
		}
		rang := false
		one := o
		one.Ringing = func(code int) {
			rang = true
			if o.Ringing != nil {
				o.Ringing(code)
			}
		}
		leg, err := s.dialLine(ctx, line, number, one)
		if err == nil {
			s.lines.heard(line, nil)
			s.spawn(func() {
				<-leg.Done()
				s.lines.release(line)
			})
			return leg, nil
		}
		s.lines.release(line)
		last = err
		if ctx.Err() != nil {
			return nil, err
		}
		var refusal *DialError
		if errors.As(err, &refusal) {
			s.lines.heard(line, nil)
		} else if errors.Is(err, ErrUnreachable) {
			s.lines.heard(line, err)
		}
		if rang || !elsewhere(err) {
			return nil, err
		}
	}
	return nil, last
}

func (s *Server) dialLine(ctx context.Context, line *line, number string, o DialOpt) (*leg, error) {
	u, err := parseURI(line.Proxy)
	if err != nil {
		return nil, err
	}
	u.User = line.write(number)
	to, err := s.locate(ctx, u)
	if err != nil {
		return nil, err
	}
	o.From = cmp.Or(line.Number, s.lines.plan.Load().outbound.Number, o.From)
	rang := false
	one := o
	one.Ringing = func(code int) {
		rang = true
		if o.Ringing != nil {
			o.Ringing(code)
		}
	}
	for hops := 0; ; hops++ {
		d := to[0]
		to = to[1:]
		d.trunk, d.number, d.silence = line.Name, number, s.cfg.silence
		d.longest = cmp.Or(line.MaxCall, s.lines.plan.Load().outbound.MaxCall)
		leg, err := s.dialOne(ctx, d, one)
		if err == nil || rang || ctx.Err() != nil || hops >= maxHops {
			return leg, err
		}
		to = append(to, s.elsewhereOn(ctx, line, err, u.User)...)
		if len(to) == 0 || !elsewhere(err) && !errors.Is(err, ErrRedirected) {
			return nil, err
		}
	}
}

// carries reports whether a number is in a trunk's plan.
func (l *line) carries(number string) bool {
	return l.plan == nil || slices.ContainsFunc(l.plan, func(p pattern) bool { return p.matches(number) })
}

// write is a number as the trunk wants it.
func (l *line) write(number string) string {
	return l.Prefix + number[min(l.Strip, len(number)):]
}

// night counts the calls of one night.
type night struct {
	of string // its first day
	n  int
}

// room reports whether one more call may be made now.
func (n *night) room(s *Server, most int) bool {
	of := s.lines.plan.Load().outbound.nightOf(s.cfg.clock())
	return most <= 0 || of == "" || of != n.of || n.n < most
}

func (n *night) add(s *Server) {
	of := s.lines.plan.Load().outbound.nightOf(s.cfg.clock())
	if of == "" {
		return
	}
	if of != n.of {
		*n = night{of: of}
	}
	n.n++
}

// elsewhere reports whether another trunk may do better: this one did not answer, or failed at something that is not the called
// party's doing.
func elsewhere(err error) bool {
	var refusal *DialError
	if errors.As(err, &refusal) {
		return refusal.Code >= 500 && refusal.Code < 600 || refusal.Code == 401 || refusal.Code == 407 || refusal.Code == 408
	}
	return errors.Is(err, ErrUnreachable)
}

// assertion is our P-Asserted-Identity towards a trunk (RFC 3325).
func (d *dialog) assertion() gosip.Header {
	return header("P-Asserted-Identity", "<"+d.localURI.String()+">")
}
