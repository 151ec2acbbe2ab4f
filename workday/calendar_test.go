package workday

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func load(t testing.TB) *Calendar {
	t.Helper()
	c, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func day(t testing.TB, s string) Day {
	t.Helper()
	d, err := ParseDay(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// The seven vectors of the domain model, §14, with what a calendar without make-up days and a naive one would say.
var vectors = []struct {
	start string
	n     int
	want  string
	wrong []string
}{
	{"2025-01-25", 5, "2025-02-07", []string{"2025-02-10", "2025-01-31"}},
	{"2025-09-26", 5, "2025-10-10", []string{"2025-10-13", "2025-10-03"}},
	{"2025-09-30", 5, "2025-10-14", []string{"2025-10-15", "2025-10-07"}},
	{"2026-01-02", 1, "2026-01-04", []string{"2026-01-05"}},
	{"2026-02-13", 5, "2026-02-27", []string{"2026-03-02", "2026-02-20"}},
	{"2026-04-30", 3, "2026-05-08", []string{"2026-05-05"}},
	{"2026-09-18", 5, "2026-09-24", []string{"2026-09-28", "2026-09-25"}},
}

func TestDomainModelVectors(t *testing.T) {
	c := load(t)
	r := Reckoner{c, DefaultHours()}
	for _, v := range vectors {
		got := c.Add(day(t, v.start), v.n)
		if got.String() != v.want {
			t.Errorf("%s + %d WD = %s, want %s (not %v)", v.start, v.n, got, v.want, v.wrong)
		}
		if n := c.Between(day(t, v.start), got); n != v.n {
			t.Errorf("between %s and %s = %d, want %d", v.start, got, n, v.n)
		}
		for _, at := range []time.Duration{0, 12 * time.Hour, 24*time.Hour - time.Millisecond} {
			due := r.Deadline(day(t, v.start).At(at), Days(v.n))
			if want := day(t, v.want).At(17 * time.Hour); !due.Equal(want) {
				t.Errorf("%s at %v + %d WD is due %v, want %v", v.start, at, v.n, due, want)
			}
		}
		if u := c.Unknown(day(t, v.start), got); u != nil {
			t.Errorf("%s + %d WD rests on unknown years %v", v.start, v.n, u)
		}
	}
}

func TestMakeUpDaysAreWorkdays(t *testing.T) {
	c := load(t)
	for _, s := range strings.Fields("2025-01-26 2025-02-08 2025-04-27 2025-09-28 2025-10-11 2026-01-04 2026-02-14 2026-02-28 2026-05-09 2026-09-20 2026-10-10") {
		d := day(t, s)
		if w := d.Weekday(); w != time.Saturday && w != time.Sunday {
			t.Errorf("%s is a %s: not a make-up day", s, w)
		}
		if !c.IsWorkday(d) {
			t.Errorf("%s is not a working day", s)
		}
	}
	for _, s := range strings.Fields("2026-10-01 2026-02-17 2025-01-28 2022-12-31 2024-02-12") {
		if c.IsWorkday(day(t, s)) {
			t.Errorf("%s is a working day", s)
		}
	}
}

// Counted by hand from the notices: Mondays to Fridays − holidays on them + make-up days.
func TestWorkdaysOfAYear(t *testing.T) {
	c := load(t)
	for year, want := range map[int]int{2024: 251, 2025: 248, 2026: 248} {
		n := 0
		for d := DateOf(year, 1, 1); d.Year() == year; d++ {
			if c.IsWorkday(d) {
				n++
			}
		}
		if n != want {
			t.Errorf("%d has %d working days, want %d", year, n, want)
		}
	}
}

func TestUnknownYearFallsBackAndSaysSo(t *testing.T) {
	c := load(t)
	if c.Known(2027) || !c.Known(2026) || !c.Known(2023) {
		t.Fatalf("known: 2023 %v, 2026 %v, 2027 %v", c.Known(2023), c.Known(2026), c.Known(2027))
	}
	got := c.Add(day(t, "2026-12-31"), 1)
	if got.String() != "2027-01-01" { // a Friday: without the notice it counts as a working day
		t.Errorf("2026-12-31 + 1 = %s", got)
	}
	if diff := cmp.Diff([]int{2027}, c.Unknown(day(t, "2026-12-31"), got)); diff != "" {
		t.Error(diff)
	}
	if u := c.Unknown(day(t, "2026-12-31"), day(t, "2023-01-01")); u != nil {
		t.Errorf("unknown within 2023–2026: %v", u)
	}
	if diff := cmp.Diff([]int{2021, 2022}, c.Unknown(day(t, "2023-05-01"), day(t, "2021-05-01"))); diff != "" {
		t.Error(diff)
	}
}

func TestWarnsFromOctoberWhenNextYearIsMissing(t *testing.T) {
	c := load(t)
	for _, v := range []struct {
		at   string
		want string
	}{
		{"2026-09-30T23:59:59.999+08:00", ""},
		{"2026-10-01T00:00:00+08:00", "2027年"},
		{"2026-09-30T16:00:00Z", "2027年"}, // the same moment
		{"2026-12-31T23:59:59.999+08:00", "2027年"},
		{"2025-11-01T00:00:00+08:00", ""},
		{"2027-01-01T00:00:00+08:00", "2027年"},
		{"2027-10-01T00:00:00+08:00", "2027年、2028年"},
	} {
		at, err := time.Parse(time.RFC3339, v.at)
		if err != nil {
			t.Fatal(err)
		}
		got := c.Warn(at)
		if v.want == "" && got != "" || !strings.Contains(got, v.want) {
			t.Errorf("at %s: %q, want %q", v.at, got, v.want)
		}
	}
}

func TestDataOfALaterYearChangesTheVersion(t *testing.T) {
	files := fstest.MapFS{"2026.json": {Data: []byte(`{"year":2026,"days":[{"name":"元旦","date":"2026-01-01","isOffDay":true}]}`)}}
	a, err := Read(files)
	if err != nil {
		t.Fatal(err)
	}
	files["2027.json"] = &fstest.MapFile{Data: []byte(`{"year":2027,"days":[{"name":"元旦","date":"2027-01-01","isOffDay":true}]}`)}
	b, err := Read(files)
	if err != nil {
		t.Fatal(err)
	}
	if a.Version() == b.Version() || !strings.HasPrefix(b.Version(), "cn-2027-") {
		t.Errorf("versions %s and %s", a.Version(), b.Version())
	}
	if d := b.Add(day(t, "2026-12-31"), 1); d.String() != "2027-01-04" {
		t.Errorf("2026-12-31 + 1 = %s", d)
	}
	if v := load(t).Version(); !strings.HasPrefix(v, "cn-2026-") {
		t.Errorf("embedded version %s", v)
	}
}

func TestBrokenCalendarFilesAreRefused(t *testing.T) {
	for name, data := range map[string]string{
		"no days at all":      `{"year":2027,"days":[]}`,
		"not JSON":            `{"year":`,
		"no such date":        `{"year":2026,"days":[{"date":"2026-02-30","isOffDay":true}]}`,
		"another year's day":  `{"year":2026,"days":[{"date":"2024-02-28","isOffDay":true}]}`,
		"off or not":          `{"year":2026,"days":[{"date":"2026-02-28"}]}`,
		"two meanings":        `{"year":2026,"days":[{"date":"2026-02-28","isOffDay":true},{"date":"2026-02-28","isOffDay":false}]}`,
		"a year out of range": `{"year":0,"days":[{"date":"2026-02-28","isOffDay":true}]}`,
	} {
		if _, err := Read(fstest.MapFS{"x.json": {Data: []byte(data)}}); err == nil {
			t.Errorf("%s: read without an error", name)
		}
	}
}

func anyDay(t *rapid.T, label string) Day {
	return DateOf(2022, 6, 1).Add(rapid.IntRange(0, 2400).Draw(t, label)) // 2022-06 to the end of 2028
}

func TestAddIsMonotoneAdditiveAndInverseOfBetween(t *testing.T) {
	c := load(t)
	rapid.Check(t, func(t *rapid.T) {
		d, e := anyDay(t, "d"), anyDay(t, "e")
		m, n := rapid.IntRange(0, 80).Draw(t, "m"), rapid.IntRange(-80, 80).Draw(t, "n")
		if got := c.Between(d, c.Add(d, n)); got != n {
			t.Fatalf("Between(%s, Add(%s, %d)) = %d", d, d, n, got)
		}
		if d <= e && c.Add(d, n) > c.Add(e, n) {
			t.Fatalf("Add(%s, %d) = %s after Add(%s, %d) = %s", d, n, c.Add(d, n), e, n, c.Add(e, n))
		}
		if c.Add(d, n) >= c.Add(d, n+1) && n != 0 && n != -1 {
			t.Fatalf("Add(%s, %d) does not grow with n", d, n)
		}
		if c.Add(d, -1) > d || c.Add(d, 1) < d {
			t.Fatalf("one day from %s goes the wrong way", d)
		}
		sign := 1
		if n < 0 {
			sign = -1
		}
		if got, want := c.Add(c.Add(d, n), sign*m), c.Add(d, n+sign*m); got != want {
			t.Fatalf("Add(Add(%s, %d), %d) = %s, want %s", d, n, sign*m, got, want)
		}
		if n != 0 && !c.IsWorkday(c.Add(d, n)) {
			t.Fatalf("Add(%s, %d) = %s is no working day", d, n, c.Add(d, n))
		}
	})
}

func TestArithmeticStopsAtTheBounds(t *testing.T) {
	c := load(t)
	if d := c.Add(LastDay-3, 1000); d != LastDay {
		t.Errorf("past the last day: %s", d)
	}
	if d := c.Add(FirstDay+3, -1000); d != FirstDay {
		t.Errorf("before the first day: %s", d)
	}
	if LastDay.String() != "9999-12-31" || FirstDay.String() != "0001-01-01" || LastDay.Add(5) != LastDay {
		t.Errorf("bounds %s, %s", FirstDay, LastDay)
	}
}

func TestDaysAreHalfOpen(t *testing.T) {
	for _, s := range []string{"2026-11-23", "2026-02-28", "2024-02-29", "2026-12-31", "2027-01-01", "2026-04-30"} {
		d := day(t, s)
		last := d.End().Add(-time.Millisecond)
		if DayOf(d.Start()) != d || DayOf(last) != d || DayOf(d.End()) != d+1 {
			t.Errorf("%s: start on %s, 23:59:59.999 on %s, end on %s", s, DayOf(d.Start()), DayOf(last), DayOf(d.End()))
		}
		if got := last.In(Zone).Format("2006-01-02T15:04:05.000"); got != s+"T23:59:59.999" {
			t.Errorf("last millisecond of %s is %s", s, got)
		}
		if DayOf(last.UTC()) != d {
			t.Errorf("%s: the zone of a time changes its day", s)
		}
	}
}

func TestDayTravelsAsText(t *testing.T) {
	d := day(t, "2026-11-23")
	b, err := json.Marshal(map[string]Day{"day": d, "none": 0})
	if err != nil || string(b) != `{"day":"2026-11-23","none":""}` {
		t.Fatalf("%s, %v", b, err)
	}
	var back map[string]Day
	if err := json.Unmarshal(b, &back); err != nil || back["day"] != d || back["none"] != 0 {
		t.Errorf("%v, %v", back, err)
	}
	v, _ := d.Value()
	var s Day
	if err := s.Scan(v); err != nil || s != d {
		t.Errorf("scanned %s, %v", s, err)
	}
	if v, _ := Day(0).Value(); v != nil {
		t.Errorf("the zero day is stored as %v", v)
	}
	if err := s.Scan(int64(5)); err == nil {
		t.Error("a number is scanned as a day")
	}
}

func FuzzParseDay(f *testing.F) {
	for _, s := range []string{"2026-11-23", "2024-02-29", "2026-02-29", "0001-01-01", "9999-12-31", "0000-01-01", "2026-1-1", "２０２６-11-23", "2026-11-23 ", "-001-01-01", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := ParseDay(s)
		if err != nil {
			return
		}
		if d.String() != s {
			t.Fatalf("%q reads as %s", s, d)
		}
		y, m, n := d.Date()
		if DateOf(y, m, n) != d || DayOf(d.Start()) != d && y > 1901 {
			t.Fatalf("%s does not come back", d)
		}
	})
}
