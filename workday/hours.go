package workday

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Part is a part of a working day, [From, To) since midnight.
type Part struct{ From, To time.Duration }

// Parts are the parts of one day, in order and apart from each other. As text they read "08:30-12:00 13:00-17:00".
type Parts []Part

// ParseParts reads "08:30-12:00 13:00-17:00"; 24:00 may end a part. An empty text is no parts.
func ParseParts(s string) (Parts, error) {
	var out Parts
	for _, f := range strings.Fields(s) {
		from, to, ok := strings.Cut(f, "-")
		a, errA := parseClock(from)
		b, errB := parseClock(to)
		if !ok || errA != nil || errB != nil {
			return nil, fmt.Errorf("parse working hours %q: want parts such as 08:30-12:00", s)
		}
		out = append(out, Part{a, b})
	}
	return out, out.check()
}

func parseClock(s string) (time.Duration, error) {
	h, m, ok := strings.Cut(s, ":")
	if !ok || len(h) != 2 || len(m) != 2 {
		return 0, fmt.Errorf("time of day %q", s)
	}
	hh, err1 := strconv.ParseUint(h, 10, 8)
	mm, err2 := strconv.ParseUint(m, 10, 8)
	if err1 != nil || err2 != nil || mm > 59 || hh > 24 || hh == 24 && mm > 0 {
		return 0, fmt.Errorf("time of day %q", s)
	}
	return time.Duration(hh)*time.Hour + time.Duration(mm)*time.Minute, nil
}

func (p Parts) check() error {
	last := time.Duration(0)
	for i, x := range p {
		if x.From >= x.To || x.From < last || x.To > 24*time.Hour || i > 0 && x.From == last {
			return fmt.Errorf("working hours %q: parts must be in order, apart and within the day", p)
		}
		last = x.To
	}
	return nil
}

// String is the text that ParseParts reads.
func (p Parts) String() string {
	var f []string
	for _, x := range p {
		f = append(f, clock(x.From)+"-"+clock(x.To))
	}
	return strings.Join(f, " ")
}

func clock(d time.Duration) string {
	return fmt.Sprintf("%02d:%02d", d/time.Hour, d%time.Hour/time.Minute)
}

// MarshalText implements encoding.TextMarshaler.
func (p Parts) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (p *Parts) UnmarshalText(b []byte) error {
	v, err := ParseParts(string(b))
	*p = v
	return err
}

func (p Parts) total() (d time.Duration) {
	for _, x := range p {
		d += x.To - x.From
	}
	return d
}

// Timetable says when people work on the days of a week.
type Timetable struct {
	Usual Parts                  `json:"usual"`          // every working day, make-up Saturdays and Sundays included
	Week  map[time.Weekday]Parts `json:"week,omitempty"` // weekdays that differ
}

func (t Timetable) on(w time.Weekday) Parts {
	if p, ok := t.Week[w]; ok {
		return p
	}
	return t.Usual
}

// Season is a timetable for a part of every year, such as the summer hours from 1 May to 30 September.
type Season struct {
	Name      string     `json:"name"`
	From      time.Month `json:"from"`
	FromDay   int        `json:"from_day"`
	To        time.Month `json:"to"`
	ToDay     int        `json:"to_day"` // the last day of the season; it may lie before From: the season then spans New Year
	Timetable `json:"timetable"`
}

// Hours are the working hours of a bureau. Which days are working days is the Calendar's affair; the hours of a make-up
// Sunday are Usual unless Week says otherwise.
type Hours struct {
	Timetable
	Seasons []Season `json:"seasons,omitempty"` // the first one that holds a day rules it
}

// DefaultHours are 08:30–12:00 and 13:00–17:00 all year (norms: a placeholder until the client says otherwise).
func DefaultHours() Hours {
	p, err := ParseParts("08:30-12:00 13:00-17:00")
	if err != nil {
		panic(err) // a constant
	}
	return Hours{Timetable: Timetable{Usual: p}}
}

// Check reports what is wrong with the hours. Every day must have some, since any weekday can be a working day by a
// notice; a clock would otherwise stand still on it.
func (h Hours) Check() error {
	tables := []Timetable{h.Timetable}
	for _, s := range h.Seasons {
		if !validDate(s.From, s.FromDay) || !validDate(s.To, s.ToDay) {
			return fmt.Errorf("season %q: no such date %02d-%02d or %02d-%02d", s.Name, s.From, s.FromDay, s.To, s.ToDay)
		}
		tables = append(tables, s.Timetable)
	}
	for _, t := range tables {
		for w := time.Sunday; w <= time.Saturday; w++ {
			p := t.on(w)
			if err := p.check(); err != nil {
				return err
			}
			if p.total() < time.Hour {
				return fmt.Errorf("working hours of %s: %q is less than an hour", w, p)
			}
		}
	}
	return nil
}

func validDate(m time.Month, d int) bool {
	_, mm, dd := DateOf(2024, m, d).Date() // a leap year: 29 February may bound a season
	return m >= 1 && m <= 12 && mm == m && dd == d
}

// On is the parts of day d, were it a working day.
func (h Hours) On(d Day) Parts {
	_, m, day := d.Date()
	for _, s := range h.Seasons {
		at, from, to := int(m)*100+day, int(s.From)*100+s.FromDay, int(s.To)*100+s.ToDay
		if from <= to && from <= at && at <= to || from > to && (at >= from || at <= to) {
			return s.on(d.Weekday())
		}
	}
	return h.on(d.Weekday())
}

// Version names the timetable by a hash of it, such as "h-1f6a03c2".
func (h Hours) Version() string {
	b, err := json.Marshal(h)
	if err != nil {
		panic(err) // plain data
	}
	s := sha256.Sum256(b)
	return "h-" + hex.EncodeToString(s[:])[:8]
}
