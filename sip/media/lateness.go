package media

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// Lateness tells how far the pacers are behind their schedule: the one figure that says whether this
// machine can carry another call. Admission should refuse new calls when P99 exceeds 10 ms.
type Lateness struct {
	P50, P99, Max time.Duration // of the slots of the last ten seconds, upper bounds (12.5 % resolution)
	Slots         uint64        // slots looked at
	Busy          float64       // share of its time the busiest pacer spent working, 0–1, last second
	CPU           time.Duration // CPU time of all pacer threads since the start
	Resyncs       uint64        // times a pacer fell more than 200 ms behind and skipped frames
}

// overloadLateness is where admission should stop (measured: gaps at the far end begin above it).
const overloadLateness = 10 * time.Millisecond

// A histogram counts lateness in buckets of an eighth of an octave of microseconds, per second of the last
// ten. One pacer writes, anybody reads.
type histogram struct {
	second [histSeconds]struct {
		at    atomic.Int64 // the second it stands for
		count [histBuckets]atomic.Uint32
	}
}

const (
	histSeconds = 10
	histBuckets = 8 * 21 // up to 2^23 µs, 8 s
)

func bucketOf(late time.Duration) int {
	us := uint64(max(late, 0) / time.Microsecond)
	if us < 8 {
		return int(us)
	}
	exp := bits.Len64(us) - 4 // us>>exp is 8–15
	return min(8*exp+int(us>>exp), histBuckets-1)
}

// lateUpTo is the end of a bucket.
func lateUpTo(late int) time.Duration {
	if late < 8 {
		return time.Duration(late+1) * time.Microsecond
	}
	exp := late/8 - 1
	return time.Duration((late%8+8+1)<<exp) * time.Microsecond
}

func (h *histogram) add(sec int64, late time.Duration) {
	s := &h.second[sec%histSeconds]
	if s.at.Load() != sec {
		for i := range s.count {
			s.count[i].Store(0)
		}
		s.at.Store(sec)
	}
	s.count[bucketOf(late)].Add(1)
}

// sum adds the seconds after since to total.
func (h *histogram) sum(total *[histBuckets]uint64, since int64) {
	for i := range h.second {
		if h.second[i].at.Load() <= since {
			continue
		}
		for b := range total {
			total[b] += uint64(h.second[i].count[b].Load())
		}
	}
}

// summarise turns counts into quantiles.
func summarise(total *[histBuckets]uint64) (l Lateness) {
	for _, n := range total {
		l.Slots += n
	}
	var seen uint64
	for b, n := range total {
		if n == 0 {
			continue
		}
		before := seen
		seen += n
		at := lateUpTo(b)
		if before*2 < l.Slots {
			l.P50 = at
		}
		if before*100 < l.Slots*99 {
			l.P99 = at
		}
		l.Max = at
	}
	return l
}
