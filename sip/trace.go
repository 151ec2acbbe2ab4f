package sip

import (
	"fmt"
	"strings"
	"sync"

	gosip "github.com/emiago/sipgo/sip"
)

// traced is how many messages of a call are remembered.
const traced = 64

// trace is a ring of a call's last messages.
type trace struct {
	mu    sync.Mutex
	lines []TraceLine
	next  int
}

func (t *trace) add(l TraceLine) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.lines) < traced {
		t.lines = append(t.lines, l)
		return
	}
	t.lines[t.next] = l
	t.next = (t.next + 1) % traced
}

func (t *trace) list() []TraceLine {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append(append([]TraceLine(nil), t.lines[t.next:]...), t.lines[:t.next]...)
}

// note adds a line to the call's trace.
func (l *leg) note(out bool, peer, text string) {
	l.trace.add(TraceLine{At: l.s.cfg.Now(), Out: out, Peer: peer, Text: text})
}

// Trace lists the last messages.
func (l *leg) Trace() []TraceLine { return l.trace.list() }

// summary is a message in one line, without the numbers that may stand in it.
func summary(msg gosip.Message) string {
	var b strings.Builder
	switch m := msg.(type) {
	case *gosip.Request:
		b.WriteString(clean(string(m.Method), 20))
	case *gosip.Response:
		fmt.Fprintf(&b, "%d %s", m.StatusCode, maskDigits(clean(m.Reason, 60)))
	}
	b.WriteString(" (")
	if c := msg.CSeq(); c != nil {
		fmt.Fprintf(&b, "%d %s", c.SeqNo, clean(string(c.MethodName), 20))
	}
	if n := len(msg.Body()); n > 0 {
		kind := "body"
		if h := headerOf(msg, "Content-Type"); h != nil {
			kind, _, _ = strings.Cut(clean(h.Value(), 40), ";")
		}
		fmt.Fprintf(&b, ", %s %d bytes", kind, n)
	}
	b.WriteString(")")
	return b.String()
}
