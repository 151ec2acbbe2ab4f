package sip

import (
	"slices"
	"sync"
	"time"

	"lianxin/sip/media"
)

// ForCall is the header (of DialOpt.Headers) by which a leg of ours says for which call it is dialled: its phone may show the call,
// and its messages and figures belong to that call's ladder.
const ForCall = "X-Lianxin-Call"

// LegTrace is what one leg of a call did: who and where, the messages and the figures of its sound. Numbers are masked.
type LegTrace struct {
	ID        string
	Direction Direction
	Role      string // "caller"; of legs that we dialled the extension, or "trunk …", or "phone"
	Transport string
	Remote    string // address and port
	Codec     string
	Started   time.Time
	Answered  time.Time
	End       End
	Lines     []TraceLine
	Left      int // messages between the first and the last ones that are not remembered
	Media     media.Stats
	HasMedia  bool
}

// ladders knows which legs belong to which call.
type ladders struct {
	mu sync.Mutex
	m  map[string]*ladder // by the id of the leg that began the call
}

type ladder struct {
	owner *leg      // nil once it is buried
	told  *LegTrace // then: what it told
	legs  []*leg    // dialled for it
}

const (
	mostLegs      = 24               // of one call that are remembered
	ladderRemains = 35 * time.Second // after the call's end: as long as its dialog does
)

// begin opens the ladder of a call.
func (b *ladders) begin(l *leg) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.m == nil {
		b.m = map[string]*ladder{}
	}
	b.m[l.id] = &ladder{owner: l}
}

// join puts a leg that was dialled for a call on that call's ladder.
func (b *ladders) join(l *leg, call string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	ld := b.m[call]
	if ld == nil || call == l.id {
		return
	}
	delete(b.m, l.id)
	if len(ld.legs) < mostLegs {
		ld.legs = append(ld.legs, l)
		if ld.owner != nil {
			l.captured.Store(ld.owner.captured.Load())
		}
	}
}

// bury keeps what the owner of a ladder tells in the place of the leg itself.
func (b *ladders) bury(l *leg) {
	told := l.told()
	b.mu.Lock()
	defer b.mu.Unlock()
	if ld := b.m[l.id]; ld != nil && ld.owner == l {
		ld.owner, ld.told = nil, &told
	}
}

// forget drops the ladder of a call.
func (b *ladders) forget(call string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.m, call)
}

func (b *ladders) legs(call string) []*leg {
	b.mu.Lock()
	defer b.mu.Unlock()
	ld := b.m[call]
	if ld == nil {
		return nil
	}
	if ld.owner == nil {
		return slices.Clone(ld.legs)
	}
	return append([]*leg{ld.owner}, ld.legs...)
}

// told is what the owner of a ladder told before it was buried.
func (b *ladders) told(call string) []LegTrace {
	b.mu.Lock()
	defer b.mu.Unlock()
	if ld := b.m[call]; ld != nil && ld.told != nil {
		return []LegTrace{*ld.told}
	}
	return nil
}

// Ladder tells of every leg of a call, the caller's first, while it is up and for half a minute afterwards. It is nil when there is
// no such call.
func (s *Server) Ladder(call string) []LegTrace {
	legs := s.ladders.legs(call)
	out := s.ladders.told(call) // after legs: an owner that is buried between the two is found twice rather than not at all
	for _, l := range legs {
		if len(out) > 0 && out[0].ID == l.id {
			continue
		}
		out = append(out, l.told())
	}
	slices.SortStableFunc(out, func(a, b LegTrace) int { return a.Started.Compare(b.Started) })
	return out
}

// told is the leg's part of the ladder.
func (l *leg) told() LegTrace {
	l.mu.Lock()
	info, end, m := l.info, l.ended, l.media
	l.mu.Unlock()
	t := LegTrace{ID: l.id, Direction: info.Direction, Transport: info.Transport, Remote: info.Remote.String(), Codec: info.Codec,
		Started: info.Started, Answered: info.Answered, End: end}
	switch {
	case info.Direction == Incoming:
		t.Role = "caller"
	case info.Trunk != "":
		t.Role = "trunk " + info.Trunk
	case info.User != "":
		t.Role = maskDigits(info.User)
	default:
		t.Role = "phone"
	}
	t.Lines, t.Left = l.trace.list()
	if m != nil {
		t.Media, t.HasMedia = m.Stats(), true
	}
	return t
}
