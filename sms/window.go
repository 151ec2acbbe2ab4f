package sms

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"lianxin/workday"
)

// Window is the part of each day, Asia/Shanghai, in which texts go out: [From, To) after midnight, without the break
// [BreakFrom, BreakTo) at noon; both of it zero is none. The zero Window is the whole day.
type Window struct{ From, To, BreakFrom, BreakTo time.Duration }

// DefaultWindow is 09:00 to 20:00.
var DefaultWindow = Window{From: 9 * time.Hour, To: 20 * time.Hour}

// ParseWindow reads "09:00-20:00", or "09:00-12:00,14:00-20:00" with a break; "00:00-24:00" is the whole day.
func ParseWindow(s string) (Window, error) {
	morning, afternoon, broken := strings.Cut(s, ",")
	from, to, err := parseSpan(morning)
	if err != nil {
		return Window{}, fmt.Errorf("sending window %q: %w", s, err)
	}
	w := Window{From: from, To: to}
	if broken {
		if w.BreakTo, w.To, err = parseSpan(afternoon); err != nil {
			return Window{}, fmt.Errorf("sending window %q: %w", s, err)
		}
		if w.BreakFrom = to; w.BreakTo <= w.BreakFrom {
			return Window{}, fmt.Errorf("sending window %q: the second part must begin after the end of the first", s)
		}
	}
	return w, nil
}

var spanPattern = regexp.MustCompile(`^(\d{1,2}):(\d{2})-(\d{1,2}):(\d{2})$`)

func parseSpan(s string) (from, to time.Duration, err error) {
	m := spanPattern.FindStringSubmatch(strings.TrimSpace(s))
	if m == nil {
		return 0, 0, errors.New("want 09:00-20:00, or 09:00-12:00,14:00-20:00")
	}
	var n [4]int
	for i := range n {
		n[i], _ = strconv.Atoi(m[i+1])
	}
	from = time.Duration(n[0])*time.Hour + time.Duration(n[1])*time.Minute
	to = time.Duration(n[2])*time.Hour + time.Duration(n[3])*time.Minute
	if n[1] > 59 || n[3] > 59 || to <= from || to > 24*time.Hour {
		return 0, 0, errors.New("want a time, a later time, within one day")
	}
	return from, to, nil
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
	case w.BreakFrom <= since && since < w.BreakTo:
		return day.At(w.BreakTo)
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
