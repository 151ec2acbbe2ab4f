package sip

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// sampled is the log of the SIP library. What strangers send decides what it logs, at ERROR and with the whole datagram (trap 12), so
// it is capped in length and number, cleaned of control characters and of numbers, and demoted: nothing a stranger sends is an error
// of ours.
type sampled struct {
	next  slog.Handler
	attrs []slog.Attr
	state *sampleState
}

type sampleState struct {
	mu      sync.Mutex
	second  int64
	n       int
	skipped int
}

// perSecond is how many lines of the library pass in one second.
const perSecond = 5

// maxLogged is how much of a value is logged.
const maxLogged = 120

func newSampled(next slog.Handler) *sampled { return &sampled{next: next, state: &sampleState{}} }

func (h *sampled) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelWarn && h.next.Enabled(ctx, demoted(l))
}

func demoted(l slog.Level) slog.Level {
	if l > slog.LevelInfo {
		return slog.LevelInfo
	}
	return l
}

func (h *sampled) Handle(ctx context.Context, r slog.Record) error {
	skipped, ok := h.state.admit(time.Now())
	if !ok {
		return nil
	}
	out := slog.NewRecord(r.Time, demoted(r.Level), "sip library: "+logged(r.Message), r.PC)
	if skipped > 0 {
		out.AddAttrs(slog.Int("skipped", skipped))
	}
	out.AddAttrs(h.attrs...)
	r.Attrs(func(a slog.Attr) bool {
		out.AddAttrs(loggedAttr(a))
		return true
	})
	return h.next.Handle(ctx, out)
}

func (s *sampleState) admit(now time.Time) (skipped int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sec := now.Unix(); sec != s.second {
		s.second, s.n = sec, 0
	}
	if s.n++; s.n > perSecond {
		s.skipped++
		return 0, false
	}
	skipped, s.skipped = s.skipped, 0
	return skipped, true
}

func (h *sampled) WithAttrs(as []slog.Attr) slog.Handler {
	c := *h
	c.attrs = append([]slog.Attr(nil), h.attrs...)
	for _, a := range as {
		c.attrs = append(c.attrs, loggedAttr(a))
	}
	return &c
}

func (h *sampled) WithGroup(string) slog.Handler { return h }

// loggedAttr makes a value fit for the log. Message content is reduced to its length: it may hold anything.
func loggedAttr(a slog.Attr) slog.Attr {
	v := a.Value.Resolve()
	if a.Key == "data" || a.Key == "msg" {
		s := v.String()
		head, _, _ := strings.Cut(s, "\r\n")
		return slog.Group(a.Key, slog.Int("len", len(s)), slog.String("begins", logged(head)))
	}
	switch v.Kind() {
	case slog.KindInt64, slog.KindUint64, slog.KindBool, slog.KindDuration, slog.KindFloat64, slog.KindTime:
		return a
	case slog.KindAny:
		return slog.String(a.Key, logged(fmt.Sprint(v.Any())))
	}
	return slog.String(a.Key, logged(v.String()))
}

func logged(s string) string {
	if len(s) > 8*maxLogged {
		s = s[:8*maxLogged]
	}
	return maskDigits(clean(s, maxLogged))
}
