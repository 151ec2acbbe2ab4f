package workday

import "time"

// Reckoner computes deadlines: it joins the calendar, which says which days are working days, with the hours worked on
// them. All of its arithmetic is in Zone; a working moment is one within [From, To) of a part of a working day.
//
// The rules hold for all times and spans and are tested as properties: a deadline is monotone in start and span,
// additive for spans of one unit, and the inverse of Elapsed.
type Reckoner struct {
	Calendar *Calendar
	Hours    Hours
}

// Version names what the results depend on: calendar and timetable.
func (r Reckoner) Version() string { return r.Calendar.Version() + "/" + r.Hours.Version() }

// Deadline is the moment at which span has passed since start.
//
//   - Wall time: start plus the time.
//   - Working time: the first moment t with Elapsed(start, t) equal to it. A span that is used up when a part ends is due
//     at that end (17:00), not at the beginning of the next part. No working time is due at once.
//   - Working days: the end of working hours of the nth working day after start's day, whatever the hour of start and
//     whether or not its day is a working day (domain model, vectors of §14). Zero days are due at the end of working
//     hours of start's own day, or at start when that is past or the day is none.
//
// A span below zero counts as none.
func (r Reckoner) Deadline(start time.Time, span Span) time.Time {
	switch span.Unit {
	case WorkingTime:
		return r.forward(start, span.For)
	case WorkingDays:
		d := DayOf(start)
		if span.N > 0 {
			return r.Close(r.Calendar.Add(d, span.N))
		}
		if end := r.Close(d); r.Calendar.IsWorkday(d) && end.After(start) {
			return end
		}
		return start
	}
	return start.Add(max(span.For, 0))
}

// Open is the beginning of the hours of day d, were it a working day.
func (r Reckoner) Open(d Day) time.Time { return d.At(r.Hours.On(d)[0].From) }

// Close is the end of the hours of day d, were it a working day.
func (r Reckoner) Close(d Day) time.Time {
	p := r.Hours.On(d)
	return d.At(p[len(p)-1].To)
}

// Elapsed is the working time in [start, end); it is negative when end is before start. Across more than a century it is
// cut there.
func (r Reckoner) Elapsed(start, end time.Time) time.Duration {
	if end.Before(start) {
		return -r.Elapsed(end, start)
	}
	var sum time.Duration
	first := DayOf(start)
	for d, last := first, min(DayOf(end), first.Add(horizon)); d <= last; d++ {
		for _, p := range r.parts(d) {
			from, to := later(p.from, start), earlier(p.to, end)
			if from.Before(to) {
				sum += to.Sub(from)
			}
		}
	}
	return sum
}

// horizon bounds the search for working time, in days: a hundred years.
const horizon = 36525

// IsOpen reports whether t is a working moment.
func (r Reckoner) IsOpen(t time.Time) bool {
	for _, p := range r.parts(DayOf(t)) {
		if !t.Before(p.from) && t.Before(p.to) {
			return true
		}
	}
	return false
}

// Next is the first working moment at or after t. It is when a notice that may wait for office hours goes out.
func (r Reckoner) Next(t time.Time) time.Time {
	first := DayOf(t)
	for d, last := first, first.Add(horizon); d <= last; d++ {
		for _, p := range r.parts(d) {
			if t.Before(p.to) {
				return later(t, p.from)
			}
		}
	}
	return t
}

// Back is the last moment t with Elapsed(t, end) equal to need: what lies need of working time before end. Where that is
// the break between two parts it is the beginning of the later one, a moment when somebody is there, not midnight.
func (r Reckoner) Back(end time.Time, need time.Duration) time.Time {
	if need <= 0 {
		return end
	}
	last := DayOf(end)
	for d, first := last, last.Add(-horizon); d >= first; d-- {
		parts := r.parts(d)
		for i := len(parts) - 1; i >= 0; i-- {
			to := earlier(parts[i].to, end)
			if !parts[i].from.Before(to) {
				continue
			}
			if have := to.Sub(parts[i].from); have < need {
				need -= have
				continue
			}
			return to.Add(-need)
		}
	}
	return end
}

// Point is the moment at which the share done (0 to 1) of the time from start to due is used up: of the wall time for
// spans of wall time, else of the working time, counted backwards from due. It is never before start or after due.
func (r Reckoner) Point(start, due time.Time, unit Unit, done float64) time.Time {
	if !start.Before(due) {
		return due
	}
	done = min(max(done, 0), 1)
	t := due
	if unit == WallTime {
		t = start.Add(time.Duration(float64(due.Sub(start)) * done))
	} else if total := r.Elapsed(start, due); total > 0 {
		t = r.Back(due, time.Duration(float64(total)*(1-done)).Round(time.Millisecond))
	}
	return earlier(later(t, start), due)
}

// Guessed lists the years between two moments for which there is no notice, so that the result may change; see
// Calendar.Unknown.
func (r Reckoner) Guessed(a, b time.Time) []int { return r.Calendar.Unknown(DayOf(a), DayOf(b)) }

func (r Reckoner) forward(start time.Time, need time.Duration) time.Time {
	if need <= 0 {
		return start
	}
	first := DayOf(start)
	for d, last := first, first.Add(horizon); d <= last; d++ {
		for _, p := range r.parts(d) {
			from := later(p.from, start)
			if !from.Before(p.to) {
				continue
			}
			if have := p.to.Sub(from); have < need {
				need -= have
				continue
			}
			return from.Add(need)
		}
	}
	return LastDay.End()
}

type moments struct{ from, to time.Time }

// parts are the working moments of day d, none when it is not a working day.
func (r Reckoner) parts(d Day) []moments {
	if !r.Calendar.IsWorkday(d) {
		return nil
	}
	hours := r.Hours.On(d)
	out := make([]moments, len(hours))
	for i, p := range hours {
		out[i] = moments{d.At(p.From), d.At(p.To)}
	}
	return out
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
