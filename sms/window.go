package sms

import (
	"fmt"
	"time"

	"lianxin/workday"
)

// Window is the part of each day, Asia/Shanghai, in which texts go out: [From, To) after midnight. The zero Window is
// the whole day.
type Window struct{ From, To time.Duration }

// DefaultWindow is 09:00 to 20:00.
var DefaultWindow = Window{9 * time.Hour, 20 * time.Hour}

// ParseWindow reads "09:00-20:00"; "00:00-24:00" is the whole day.
func ParseWindow(s string) (Window, error) {
	var h1, m1, h2, m2 int
	if _, err := fmt.Sscanf(s, "%d:%d-%d:%d", &h1, &m1, &h2, &m2); err != nil {
		return Window{}, fmt.Errorf("sending window %q: want 09:00-20:00", s)
	}
	w := Window{time.Duration(h1)*time.Hour + time.Duration(m1)*time.Minute, time.Duration(h2)*time.Hour + time.Duration(m2)*time.Minute}
	if m1 > 59 || m2 > 59 || w.From < 0 || w.To <= w.From || w.To > 24*time.Hour {
		return Window{}, fmt.Errorf("sending window %q: want a time, a later time, within one day", s)
	}
	return w, nil
}

// Next is the first moment at or after t at which texts may go out.
func (w Window) Next(t time.Time) time.Time {
	if w == (Window{}) {
		return t
	}
	day := workday.DayOf(t)
	switch since := t.Sub(day.Start()); {
	case since < w.From:
		return day.At(w.From)
	case since >= w.To:
		return day.Add(1).At(w.From)
	}
	return t
}

// Open reports whether texts may go out at t.
func (w Window) Open(t time.Time) bool { return w.Next(t).Equal(t) }

// Next is the first moment at or after t at which texts may go out: inside the window, on a day that is not Quiet.
func (o *Outbox) Next(t time.Time) time.Time {
	t = o.Window.Next(t)
	if o.Quiet == nil {
		return t
	}
	for range 60 { // no holiday is that long: a rule that calls every day quiet must not hold texts back for ever
		if !o.Quiet(workday.DayOf(t)) {
			return t
		}
		t = workday.DayOf(t).Add(1).At(o.Window.From)
	}
	return t
}

// Holidays is the rule for Outbox.Quiet that keeps texts back on public holidays: on days off by the State Council's
// calendar, weekends that touch a holiday included, plain weekends not.
func Holidays(cal *workday.Calendar) func(workday.Day) bool {
	return func(d workday.Day) bool {
		if cal.IsWorkday(d) {
			return false
		}
		off := func(step int) bool { // a day off that is no Saturday or Sunday, in this row of days off
			for day := d; !cal.IsWorkday(day); day = day.Add(step) {
				if w := day.Weekday(); w != time.Saturday && w != time.Sunday {
					return true
				}
			}
			return false
		}
		return off(1) || off(-1)
	}
}
