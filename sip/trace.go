package sip

import (
	"strconv"
	"strings"
	"sync"
	"time"

	gosip "github.com/emiago/sipgo/sip"
)

// A call's first messages say how it came about and its last ones how it ended: both are remembered, and how many were left out
// between them.
const (
	tracedFirst = 24
	tracedLast  = 40
	tracedShort = 6 // INVITE to BYE without anything between them: most calls have no more
)

// trace is what is remembered of a call's messages.
type trace struct {
	mu    sync.Mutex
	first []TraceLine
	last  []TraceLine // a ring
	next  int
	seen  int
}

func (t *trace) add(l TraceLine) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seen++
	if n := len(t.first); n > 0 && t.first[n-1].Peer == l.Peer {
		l.Peer = t.first[n-1].Peer // thousands of ended calls are remembered at a time: one copy will do
	}
	if t.first == nil {
		t.first = make([]TraceLine, 0, tracedShort)
	}
	switch {
	case len(t.first) < tracedFirst:
		t.first = append(t.first, l)
	case len(t.last) < tracedLast:
		t.last = append(t.last, l)
	default:
		t.last[t.next] = l
		t.next = (t.next + 1) % tracedLast
	}
}

// list is what is remembered, oldest first, and how many messages are not.
func (t *trace) list() (lines []TraceLine, left int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines = append(lines, t.first...)
	lines = append(append(lines, t.last[t.next:]...), t.last[:t.next]...)
	return lines, t.seen - len(lines)
}

// said is a message as a trace tells of it.
type said struct {
	text string
	msg  gosip.Message // nil for what is only told
}

// again marks a message that was repeated.
func (s said) again() said {
	s.text += " again"
	return s
}

// note adds a line to the call's trace. l.mu may be held.
func (l *leg) note(out bool, peer string, s said) {
	at := l.s.cfg.Now()
	if !out {
		l.signAt.Store(int64(time.Since(l.s.began)))
	}
	l.trace.add(TraceLine{At: at, Out: out, Peer: peer, Text: s.text})
	if c := l.captured.Load(); c != nil && s.msg != nil {
		c.message(l, at, out, peer, s.msg)
	}
}

// Trace lists the first and the last messages.
func (l *leg) Trace() []TraceLine {
	lines, _ := l.trace.list()
	return lines
}

// summary is a message in one line, without the numbers that may stand in it.
func summary(msg gosip.Message) said {
	var room [128]byte
	b := room[:0]
	switch m := msg.(type) {
	case *gosip.Request:
		b = append(b, clean(string(m.Method), 20)...)
	case *gosip.Response:
		b = append(strconv.AppendInt(b, int64(m.StatusCode), 10), ' ')
		b = append(b, maskDigits(clean(m.Reason, 60))...)
	}
	b = append(b, " ("...)
	if c := msg.CSeq(); c != nil {
		b = append(strconv.AppendUint(b, uint64(c.SeqNo), 10), ' ')
		b = append(b, clean(string(c.MethodName), 20)...)
	}
	if n := len(msg.Body()); n > 0 {
		kind := "body"
		if h := headerOf(msg, "Content-Type"); h != nil {
			kind, _, _ = strings.Cut(clean(h.Value(), 40), ";")
		}
		b = append(append(append(b, ", "...), kind...), ' ')
		b = append(strconv.AppendInt(b, int64(n), 10), " bytes"...)
	}
	return said{string(append(b, ')')), msg}
}
