package workday

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Unit is what a Span counts.
type Unit string

// Units of a Span.
const (
	WallTime    Unit = "wall"    // 24×7: ignores calendar and hours
	WorkingTime Unit = "working" // minutes within working hours of working days
	WorkingDays Unit = "days"    // whole working days
)

// Span is a length of time as rules give it: "30m" or "24h" of wall time, "4wh" or "90wm" of working time, "5wd" of
// working days. It is comparable; the zero Span is none.
type Span struct {
	Unit Unit
	For  time.Duration // WallTime and WorkingTime
	N    int           // WorkingDays
}

// Wall is d of wall time.
func Wall(d time.Duration) Span { return Span{Unit: WallTime, For: d} }

// Working is d of working time.
func Working(d time.Duration) Span { return Span{Unit: WorkingTime, For: d} }

// Days is n working days.
func Days(n int) Span { return Span{Unit: WorkingDays, N: n} }

// IsZero reports whether there is no span.
func (s Span) IsZero() bool { return s == Span{} }

// ParseSpan reads "15m", "24h", "1h30m" (wall time), "4wh", "90wm" (working time), "5wd" (working days). Spans are not
// negative, and at most ten years. The empty text is the zero Span.
func ParseSpan(s string) (Span, error) {
	bad := fmt.Errorf("parse span %q: want 30m, 24h, 90wm, 4wh or 5wd", s)
	if s == "" {
		return Span{}, nil
	}
	for suffix, unit := range map[string]time.Duration{"wh": time.Hour, "wm": time.Minute, "ws": time.Second, "wd": 0} {
		number, ok := strings.CutSuffix(s, suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(number, 10, 31)
		if err != nil || number[0] == '+' {
			return Span{}, bad
		}
		if unit == 0 {
			if n > 3660 {
				return Span{}, bad
			}
			return Days(int(n)), nil
		}
		if n > uint64(maxSpan/unit) {
			return Span{}, bad
		}
		return Working(time.Duration(n) * unit), nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 || d > maxSpan {
		return Span{}, bad
	}
	return Wall(d), nil
}

const maxSpan = 10 * 366 * 24 * time.Hour

// String is the text that ParseSpan reads; working time is given to the second.
func (s Span) String() string {
	switch s.Unit {
	case WallTime:
		return trimZeros(s.For.String())
	case WorkingTime:
		switch {
		case s.For%time.Hour == 0:
			return strconv.Itoa(int(s.For/time.Hour)) + "wh"
		case s.For%time.Minute == 0:
			return strconv.Itoa(int(s.For/time.Minute)) + "wm"
		}
		return strconv.Itoa(int(math.Round(s.For.Seconds()))) + "ws"
	case WorkingDays:
		return strconv.Itoa(s.N) + "wd"
	}
	return ""
}

// trimZeros turns the 24h0m0s of time.Duration into 24h.
func trimZeros(s string) string {
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// Label is the span for staff (zh-CN): 24小时, 4个工作小时, 5个工作日.
func (s Span) Label() string {
	switch s.Unit {
	case WorkingDays:
		return fmt.Sprintf("%d个工作日", s.N)
	case WorkingTime:
		if s.For%time.Hour == 0 {
			return fmt.Sprintf("%d个工作小时", s.For/time.Hour)
		}
		return fmt.Sprintf("%d工作分钟", s.For/time.Minute)
	case WallTime:
		if s.For%time.Hour == 0 {
			return fmt.Sprintf("%d小时", s.For/time.Hour)
		}
		return fmt.Sprintf("%d分钟", s.For/time.Minute)
	}
	return ""
}

// MarshalText implements encoding.TextMarshaler.
func (s Span) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Span) UnmarshalText(b []byte) error {
	v, err := ParseSpan(string(b))
	*s = v
	return err
}
