package sms

import (
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// line is what this process remembers of a carrier: how fast it may be used, and whether it is in trouble. In trouble the
// circuit is open: nothing is sent until rest; then one text at a time is tried until one is answered.
type line struct {
	carrier Carrier
	limiter *rate.Limiter // nil is no limit

	mu      sync.Mutex
	rest    time.Time // not used before
	trouble string    // why, for Health; empty is none
	since   time.Time // of the trouble
	silent  int       // submissions in a row that were not answered
}

func newLimiter(perSecond float64) *rate.Limiter {
	if perSecond <= 0 {
		return nil
	}
	// The burst must hold the longest text, or it could never be sent.
	return rate.NewLimiter(rate.Limit(perSecond), max(longest, int(perSecond)))
}

// leaveAlone opens the circuit.
func (l *line) leaveAlone(now, until time.Time, why string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if until.After(l.rest) {
		l.rest = until
	}
	if l.trouble == "" {
		l.since = now
	}
	l.trouble = why
}

// fine notes an answer. It closes the circuit, unless another worker has just had trouble.
func (l *line) fine(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.silent = 0
	if !now.Before(l.rest) {
		l.trouble, l.since = "", time.Time{}
	}
}

// noAnswer counts a submission without an answer, and reports how many there have been in a row.
func (l *line) noAnswer() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.silent++
	return l.silent
}

func (l *line) resting(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return now.Before(l.rest)
}

// down reports whether the carrier has been in trouble for so long that others should take its texts.
func (l *line) down(now time.Time, after time.Duration) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.trouble != "" && !now.Before(l.since.Add(after))
}

// room is how many more texts the circuit lets through.
func (l *line) room(now time.Time, free, flying int) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case now.Before(l.rest):
		return 0
	case l.trouble != "":
		return max(0, min(free, 1-flying))
	}
	return free
}

// tokens is how many segments may go now, at most n; and how long to wait for one when there are none.
func (o *Outbox) tokens(l *line, n int) (int, time.Duration) {
	var wait time.Duration
	for _, lim := range []*rate.Limiter{l.limiter, o.all} {
		if lim == nil {
			continue
		}
		t := lim.Tokens()
		if t < 1 {
			wait = max(wait, time.Duration((1-t)/float64(lim.Limit())*float64(time.Second)), time.Millisecond)
		}
		n = min(n, max(0, int(t)))
	}
	return n, wait
}

// charge takes the segments of a text from the rates, and tells how long it has to wait for them.
func (o *Outbox) charge(l *line, segments int) (wait time.Duration) {
	for _, lim := range []*rate.Limiter{l.limiter, o.all} {
		if lim != nil {
			wait = max(wait, lim.ReserveN(time.Now(), min(segments, longest)).Delay())
		}
	}
	return wait
}

// takesFree reports whether texts that belong to no carrier go to this one: to the first that is not down.
func (o *Outbox) takesFree(l *line) bool {
	if !o.Failover {
		return o.Carriers[0].Name() == l.carrier.Name()
	}
	now := o.now()
	for _, c := range o.Carriers {
		if k := o.lines[c.Name()]; !k.down(now, o.Limits.FailoverAfter) {
			return k == l
		}
	}
	return o.Carriers[0].Name() == l.carrier.Name()
}

// another is the carrier that a text goes to after one has refused it; "" when there is none.
func (o *Outbox) another(m claimed) string {
	if !o.Failover || m.pinned {
		return ""
	}
	been := append(strings.Fields(m.RefusedBy), m.Carrier)
	for _, c := range o.Carriers {
		if !slices.Contains(been, c.Name()) {
			return c.Name()
		}
	}
	return ""
}
