package workday

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func at(t testing.TB, s string) time.Time {
	t.Helper()
	v, err := time.ParseInLocation("2006-01-02 15:04:05.999", s, Zone)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func seasonal(t testing.TB) Hours {
	t.Helper()
	h := DefaultHours()
	summer, err := ParseParts("08:00-11:30 14:00-18:00")
	if err != nil {
		t.Fatal(err)
	}
	friday, err := ParseParts("08:00-11:30 14:00-17:00")
	if err != nil {
		t.Fatal(err)
	}
	h.Seasons = []Season{{Name: "夏令", From: 5, FromDay: 1, To: 9, ToDay: 30,
		Timetable: Timetable{Usual: summer, Week: map[time.Weekday]Parts{time.Friday: friday}}}}
	if err := h.Check(); err != nil {
		t.Fatal(err)
	}
	return h
}

func TestDeadlines(t *testing.T) {
	r := Reckoner{load(t), DefaultHours()}
	for _, v := range []struct {
		start string
		span  string
		want  string
	}{
		{"2026-11-23 10:00:00", "15m", "2026-11-23 10:15:00"},
		{"2026-11-21 23:59:59.999", "30m", "2026-11-22 00:29:59.999"}, // wall time ignores Saturday and midnight
		{"2026-11-23 10:00:00", "24h", "2026-11-24 10:00:00"},
		{"2026-11-23 10:00:00", "2wh", "2026-11-23 12:00:00"},      // used up when the part ends
		{"2026-11-23 10:00:00", "121wm", "2026-11-23 13:01:00"},    // over the midday break
		{"2026-11-23 12:30:00", "2wh", "2026-11-23 15:00:00"},      // begins in the break
		{"2026-11-23 16:00:00", "2wh", "2026-11-24 09:30:00"},      // over night
		{"2026-11-20 16:00:00", "2wh", "2026-11-23 09:30:00"},      // over a weekend
		{"2026-11-21 03:00:00", "4wh", "2026-11-23 13:30:00"},      // begins on a Saturday night
		{"2026-01-01 10:00:00", "1wh", "2026-01-04 09:30:00"},      // New Year, then the make-up Sunday
		{"2026-09-30 16:30:00", "1wh", "2026-10-08 09:00:00"},      // National Day
		{"2026-10-31 23:59:59.999", "30wm", "2026-11-02 09:00:00"}, // month end on a Saturday
		{"2026-11-23 00:00:00", "1wd", "2026-11-24 17:00:00"},
		{"2026-11-23 23:59:59.999", "1wd", "2026-11-24 17:00:00"},
		{"2026-11-27 18:00:00", "1wd", "2026-11-30 17:00:00"},
		{"2026-11-23 09:00:00", "0wd", "2026-11-23 17:00:00"},
		{"2026-11-23 18:00:00", "0wd", "2026-11-23 18:00:00"},
		{"2026-11-22 09:00:00", "0wd", "2026-11-22 09:00:00"},
		{"2026-11-22 09:00:00", "0wh", "2026-11-22 09:00:00"},
	} {
		span, err := ParseSpan(v.span)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := r.Deadline(at(t, v.start), span), at(t, v.want); !got.Equal(want) {
			t.Errorf("%s + %s = %s, want %s", v.start, v.span, got.In(Zone), want)
		}
	}
}

func TestSeasonalTimetable(t *testing.T) {
	r := Reckoner{load(t), seasonal(t)}
	for _, v := range [][3]string{
		{"2026-04-30 16:00:00", "3wd", "2026-05-08 17:00:00"}, // a Friday in summer ends at 17:00
		{"2026-05-06 10:00:00", "1wd", "2026-05-07 18:00:00"},
		{"2026-04-30 16:30:00", "1wh", "2026-05-06 08:30:00"}, // half an hour of winter, half of summer
		{"2026-09-30 17:30:00", "1wh", "2026-10-08 09:00:00"},
		{"2026-05-08 16:30:00", "1wh", "2026-05-09 08:30:00"}, // make-up Saturday keeps usual summer hours
	} {
		span, _ := ParseSpan(v[1])
		if got, want := r.Deadline(at(t, v[0]), span), at(t, v[2]); !got.Equal(want) {
			t.Errorf("%s + %s = %s, want %s", v[0], v[1], got.In(Zone), want)
		}
	}
	if r.Version() == (Reckoner{load(t), DefaultHours()}).Version() {
		t.Error("another timetable has the same version")
	}
	if p := seasonal(t).On(day(t, "2026-09-30")).String(); p != "08:00-11:30 14:00-18:00" {
		t.Errorf("the last day of the season works %s", p)
	}
	winter := Hours{Timetable: DefaultHours().Timetable, Seasons: []Season{{From: 11, FromDay: 15, To: 2, ToDay: 15, Timetable: Timetable{Usual: Parts{{9 * time.Hour, 16 * time.Hour}}}}}}
	for d, want := range map[string]string{"2026-11-14": "08:30-12:00 13:00-17:00", "2026-11-15": "09:00-16:00", "2027-01-01": "09:00-16:00", "2027-02-15": "09:00-16:00", "2027-02-16": "08:30-12:00 13:00-17:00"} {
		if got := winter.On(day(t, d)).String(); got != want {
			t.Errorf("%s works %s, want %s", d, got, want)
		}
	}
}

func TestHoursAreChecked(t *testing.T) {
	for _, s := range []string{"08:30", "8:30-12:00", "12:00-08:30", "08:30-12:00 11:00-17:00", "08:30-12:00 12:00-17:00", "08:30-24:01", "08:60-09:00"} {
		if p, err := ParseParts(s); err == nil {
			t.Errorf("%q reads as %s", s, p)
		}
	}
	if err := (Hours{}).Check(); err == nil {
		t.Error("no hours at all pass")
	}
	h := DefaultHours()
	h.Week = map[time.Weekday]Parts{time.Sunday: nil}
	if err := h.Check(); err == nil {
		t.Error("a day without hours passes: a clock would stand still on a make-up Sunday")
	}
	h = DefaultHours()
	h.Seasons = []Season{{From: 2, FromDay: 30, To: 5, ToDay: 1, Timetable: h.Timetable}}
	if err := h.Check(); err == nil {
		t.Error("30 February bounds a season")
	}
}

// The points at which a clock warns are counted backwards in working time, so that none falls at midnight or on a
// weekend (norms §7, 1 and 2).
func TestPointsFallIntoWorkingTime(t *testing.T) {
	r := Reckoner{load(t), DefaultHours()}
	for _, v := range []struct {
		start, due string
		unit       Unit
		done       float64
		want       string
	}{
		{"2026-11-23 08:30:00", "2026-11-24 17:00:00", WorkingDays, 0.5, "2026-11-24 08:30:00"}, // not 17:00 of the day before
		{"2026-11-23 08:30:00", "2026-11-23 17:00:00", WorkingTime, 0.8, "2026-11-23 15:30:00"}, // 6 of 7.5 hours
		{"2026-11-20 17:30:00", "2026-11-23 17:00:00", WorkingTime, 0.5, "2026-11-23 13:15:00"}, // over a weekend
		{"2026-11-23 10:00:00", "2026-11-23 10:30:00", WallTime, 0.5, "2026-11-23 10:15:00"},    // wall time is wall time
		{"2026-11-20 22:00:00", "2026-11-21 22:00:00", WallTime, 0.8, "2026-11-21 17:12:00"},    //
		{"2026-11-23 10:00:00", "2026-11-23 10:00:00", WorkingTime, 0.5, "2026-11-23 10:00:00"}, // nothing to divide
		{"2026-11-21 10:00:00", "2026-11-22 10:00:00", WorkingTime, 0.5, "2026-11-22 10:00:00"}, // no working time between
		{"2026-11-23 08:30:00", "2026-11-30 17:00:00", WorkingDays, 0.5, "2026-11-26 08:30:00"}, // 3 of 6 days
		{"2026-11-23 08:30:00", "2026-11-30 17:00:00", WorkingDays, 0, "2026-11-23 08:30:00"},   //
		{"2026-11-23 08:30:00", "2026-11-30 17:00:00", WorkingDays, 1, "2026-11-30 17:00:00"},   //
		{"2026-11-23 08:30:00", "2026-11-30 17:00:00", WorkingDays, 1.5, "2026-11-30 17:00:00"}, //
	} {
		if got, want := r.Point(at(t, v.start), at(t, v.due), v.unit, v.done), at(t, v.want); !got.Equal(want) {
			t.Errorf("%v of %s–%s (%s) is %s, want %s", v.done, v.start, v.due, v.unit, got.In(Zone), want)
		}
	}
}

func TestNextWorkingMoment(t *testing.T) {
	r := Reckoner{load(t), DefaultHours()}
	for from, want := range map[string]string{
		"2026-11-23 09:00:00": "2026-11-23 09:00:00",
		"2026-11-23 12:00:00": "2026-11-23 13:00:00",
		"2026-11-23 17:00:00": "2026-11-24 08:30:00",
		"2026-09-30 17:00:00": "2026-10-08 08:30:00",
		"2026-01-03 00:00:00": "2026-01-04 08:30:00",
	} {
		if got := r.Next(at(t, from)); !got.Equal(at(t, want)) || !r.IsOpen(got) {
			t.Errorf("next after %s is %s, want %s", from, got.In(Zone), want)
		}
	}
	if r.IsOpen(at(t, "2026-11-23 12:00:00")) || !r.IsOpen(at(t, "2026-11-23 11:59:59.999")) || r.IsOpen(at(t, "2026-11-22 10:00:00")) {
		t.Error("parts are half-open and only on working days")
	}
	if diff := cmp.Diff([]int{2027}, r.Guessed(at(t, "2026-12-31 16:00:00"), at(t, "2027-01-04 10:00:00"))); diff != "" {
		t.Error(diff)
	}
}

func anyTime(t *rapid.T, label string) time.Time {
	d := anyDay(t, label+" day")
	if rapid.Bool().Draw(t, label+" on an edge") {
		edge := rapid.SampledFrom([]time.Duration{0, 8*time.Hour + 30*time.Minute, 12 * time.Hour, 13 * time.Hour, 17 * time.Hour, 24 * time.Hour}).Draw(t, label+" edge")
		return d.At(edge).Add(time.Duration(rapid.IntRange(-1, 1).Draw(t, label+" off")) * time.Millisecond)
	}
	return d.At(time.Duration(rapid.Int64Range(0, 86399999).Draw(t, label)) * time.Millisecond)
}

func anySpan(t *rapid.T, label string) Span {
	switch rapid.SampledFrom([]Unit{WallTime, WorkingTime, WorkingDays}).Draw(t, label+" unit") {
	case WallTime:
		return Wall(time.Duration(rapid.Int64Range(0, 3e8).Draw(t, label)) * time.Millisecond)
	case WorkingTime:
		return Working(time.Duration(rapid.Int64Range(0, 3e8).Draw(t, label)) * time.Millisecond)
	}
	return Days(rapid.IntRange(0, 40).Draw(t, label))
}

func TestDeadlineIsMonotoneAdditiveAndInverseOfElapsed(t *testing.T) {
	rs := []Reckoner{{load(t), DefaultHours()}, {load(t), seasonal(t)}}
	rapid.Check(t, func(t *rapid.T) {
		r := rapid.SampledFrom(rs).Draw(t, "reckoner")
		s, u := anyTime(t, "s"), anyTime(t, "u")
		if u.Before(s) {
			s, u = u, s
		}
		span := anySpan(t, "span")
		due := r.Deadline(s, span)
		if due.Before(s) {
			t.Fatalf("%s + %s = %s", s, span, due)
		}
		if r.Deadline(u, span).Before(due) {
			t.Fatalf("deadline of %s falls when the start moves from %s to %s", span, s, u)
		}
		switch span.Unit {
		case WorkingTime:
			if got := r.Elapsed(s, due); got != span.For {
				t.Fatalf("elapsed between %s and %s is %v, want %v", s, due, got, span.For)
			}
			if r.Deadline(s, Working(span.For+time.Millisecond)).Before(due) {
				t.Fatal("not monotone in the span")
			}
			more := time.Duration(rapid.Int64Range(0, 3e8).Draw(t, "more")) * time.Millisecond
			if got, want := r.Deadline(due, Working(more)), r.Deadline(s, Working(span.For+more)); !got.Equal(want) {
				t.Fatalf("%s + %v + %v = %s, want %s", s, span.For, more, got, want)
			}
			back := r.Back(due, span.For)
			if span.For > 0 && (r.Elapsed(back, due) != span.For || back.Before(s)) {
				t.Fatalf("%v before %s is %s", span.For, due, back)
			}
		case WorkingDays:
			if span.N > 0 && r.Calendar.Between(DayOf(s), DayOf(due)) != span.N {
				t.Fatalf("%s + %s = %s", s, span, due)
			}
			m := rapid.IntRange(1, 20).Draw(t, "m")
			if got, want := r.Deadline(due, Days(m)), r.Deadline(s, Days(span.N+m)); !got.Equal(want) {
				t.Fatalf("%s + %d + %d WD = %s, want %s", s, span.N, m, got, want)
			}
		case WallTime:
			if due.Sub(s) != span.For {
				t.Fatalf("%s + %s = %s", s, span, due)
			}
		}
		mid := s.Add(u.Sub(s) / 2)
		if r.Elapsed(s, mid)+r.Elapsed(mid, u) != r.Elapsed(s, u) || r.Elapsed(u, s) != -r.Elapsed(s, u) {
			t.Fatalf("elapsed time between %s, %s and %s does not add up", s, mid, u)
		}
		half, most := r.Point(s, due, span.Unit, 0.5), r.Point(s, due, span.Unit, 0.8)
		if half.Before(s) || most.Before(half) || due.Before(most) {
			t.Fatalf("points of %s–%s out of order: %s, %s", s, due, half, most)
		}
	})
}

func TestSpansTravelAsText(t *testing.T) {
	for s, want := range map[string]Span{
		"15m": Wall(15 * time.Minute), "24h": Wall(24 * time.Hour), "1h30m": Wall(90 * time.Minute), "4wh": Working(4 * time.Hour),
		"90wm": Working(90 * time.Minute), "5wd": Days(5), "0wd": Days(0), "7ws": Working(7 * time.Second), "30s": Wall(30 * time.Second), "": {},
	} {
		got, err := ParseSpan(s)
		if err != nil || got != want {
			t.Errorf("%q reads as %+v, %v", s, got, err)
		}
		if got.String() != s {
			t.Errorf("%q comes back as %q", s, got)
		}
	}
	for _, s := range []string{"wd", "-1wd", "+1wd", "5 wd", "-5m", "5", "1.5wh", "99999wd", "h", "9999999h", "2147483647wh"} {
		if v, err := ParseSpan(s); err == nil {
			t.Errorf("%q reads as %+v", s, v)
		}
	}
	for s, want := range map[string]string{"5wd": "5个工作日", "4wh": "4个工作小时", "90wm": "90工作分钟", "24h": "24小时", "15m": "15分钟"} {
		if v, _ := ParseSpan(s); v.Label() != want {
			t.Errorf("%s is labelled %s, want %s", s, v.Label(), want)
		}
	}
}

func FuzzParseSpan(f *testing.F) {
	for _, s := range []string{"15m", "4wh", "5wd", "90wm", "1h30m", "0s", "9wd9wd"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v, err := ParseSpan(s)
		if err != nil {
			return
		}
		back, err := ParseSpan(v.String())
		if err != nil || back != v {
			t.Fatalf("%q reads as %+v, written %q, read back %+v, %v", s, v, v.String(), back, err)
		}
	})
}
