package workday

import (
	"database/sql/driver"
	"fmt"
	"time"

	_ "time/tzdata" // the zone must be there on a machine without zone files
)

// Zone is the one time zone of the product (NF-3): Asia/Shanghai.
var Zone = mustZone()

func mustZone() *time.Location {
	z, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		panic(err) // cannot happen: time/tzdata is linked in
	}
	return z
}

// Day is a civil date in Zone. Days are compared and subtracted as numbers; the zero Day is 0001-01-01 and stands for
// "no day", as the zero time.Time does.
type Day int32

// The days that can be written as text. Arithmetic stops at these bounds instead of running past them.
const (
	FirstDay Day = 0       // 0001-01-01
	LastDay  Day = 3652058 // 9999-12-31
)

// DateOf is the day year-month-day; a day past the end of the month runs on into the next, as in time.Date.
func DateOf(year int, month time.Month, day int) Day {
	return fromUTC(time.Date(year, month, day, 0, 0, 0, 0, time.UTC))
}

// DayOf is the day on which t falls in Zone.
func DayOf(t time.Time) Day {
	y, m, d := t.In(Zone).Date()
	return DateOf(y, m, d)
}

// ParseDay reads a date written as 2026-11-23 and nothing else.
func ParseDay(s string) (Day, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil || t.Year() < 1 {
		return 0, fmt.Errorf("parse day %q: want a date such as 2026-11-23", s)
	}
	return fromUTC(t), nil
}

// secondsToEpoch lies between 0001-01-01 and 1970-01-01.
const secondsToEpoch = 62135596800

func fromUTC(t time.Time) Day {
	s := t.Unix() + secondsToEpoch
	return clamp(floorDiv(s, 86400))
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

func clamp(n int64) Day { return Day(min(max(n, int64(FirstDay)), int64(LastDay))) }

func (d Day) utc() time.Time { return time.Unix(int64(d)*86400-secondsToEpoch, 0).UTC() }

// String is the date as 2026-11-23.
func (d Day) String() string { return d.utc().Format(time.DateOnly) }

// Date is the year, month and day of the month.
func (d Day) Date() (year int, month time.Month, day int) { return d.utc().Date() }

// Year is the calendar year.
func (d Day) Year() int { return d.utc().Year() }

// Weekday is the day of the week.
func (d Day) Weekday() time.Weekday { return d.utc().Weekday() }

// Start is the first moment of the day in Zone.
func (d Day) Start() time.Time { return d.At(0) }

// End is the first moment of the next day: the day is the half-open interval [Start, End).
func (d Day) End() time.Time { return (d + 1).At(0) }

// At is the moment on this day when the clocks in Zone show sinceMidnight.
func (d Day) At(sinceMidnight time.Duration) time.Time {
	y, m, day := d.Date()
	return time.Date(y, m, day, 0, 0, 0, int(sinceMidnight), Zone)
}

// Add is the day n calendar days later, within FirstDay and LastDay.
func (d Day) Add(n int) Day { return clamp(int64(d) + int64(n)) }

// IsZero reports whether d is the zero Day.
func (d Day) IsZero() bool { return d == 0 }

// MarshalText writes the date; the zero Day is empty.
func (d Day) MarshalText() ([]byte, error) {
	if d.IsZero() {
		return []byte{}, nil
	}
	return []byte(d.String()), nil
}

// UnmarshalText reads what MarshalText writes.
func (d *Day) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*d = 0
		return nil
	}
	v, err := ParseDay(string(b))
	*d = v
	return err
}

// Value stores the day as TEXT, which sorts as the days do; the zero Day is NULL.
func (d Day) Value() (driver.Value, error) {
	if d.IsZero() {
		return nil, nil
	}
	return d.String(), nil
}

// Scan reads what Value stores.
func (d *Day) Scan(src any) error {
	switch v := src.(type) {
	case nil:
		*d = 0
		return nil
	case string:
		return d.UnmarshalText([]byte(v))
	case []byte:
		return d.UnmarshalText(v)
	}
	return fmt.Errorf("a day is stored as %T, want TEXT", src)
}
