package say

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"lianxin/ivr/prompts"
	"lianxin/speech/hanzi"
)

var now = time.Date(2026, 11, 23, 9, 0, 0, 0, time.FixedZone("CST", 8*3600))

func TestVectors(t *testing.T) {
	for _, v := range []struct {
		got  []string
		want string
	}{
		{People(2), "people.2"}, {People(12), "people.12"}, {People(22), "n.22 u.people"}, {People(102), "n.100 n.0 n.2 u.people"},
		{Number(12), "n.12"}, {Number(112), "n.100 n.i12"}, {Number(2002), "n.2000 n.0 n.2"}, {Number(12345), "n.1 n.wan n.mid2000 n.300 n.45"},
		{Number(20002), "n.two n.wan n.0 n.2"}, {Number(100000010), "n.1 n.yi n.0 n.i10"}, {Number(-3), "n.minus n.3"},
		{Span(5 * time.Minute), "minutes.5"}, {Span(25 * time.Minute), "n.25 u.minute"}, {Span(24 * time.Hour), "hours.24"}, {Span(90 * time.Minute), "hours.1 minutes.30"},
		{Workdays(2), "workdays.2"}, {Ordinal(2), "n.ordinal n.2"}, {Things(2), "n.two u.case"},
		{Date(now, now), "month.11 day.23"}, {Date(now.AddDate(1, 0, 0), now), "n.2 n.0 n.2 n.7 date.year month.11 day.23"},
		{Clock(now.Add(5*time.Hour + 5*time.Minute)), "part.afternoon hour.2 minute.05"}, {Clock(now.Add(150 * time.Minute)), "part.morning hour.11 minute.30"},
		{When(now.Add(time.Hour), now), "date.today part.morning hour.10"}, {When(now.Add(15*time.Hour), now), "date.tomorrow part.night hour.0"},
		{When(now.AddDate(0, 0, 3), now), "month.11 day.26 part.morning hour.9"},
		{Money(1205), "n.12 u.yuan minute.05"}, {Money(200), "u.yuan2"}, {Money(1250), "n.12 u.yuan n.5 u.jiao"},
		{Digits("110"), "d.1 d.1 d.0"}, {Digits("13800138000"), "d.1 d.3 d.8 pause d.0 d.0 d.1 d.3 pause d.8 d.0 d.0 d.0"},
		{Digits("46110110"), "d.4 d.6 d.1 d.1 pause d.0 d.1 d.1 d.0"}, {Digits("20261123-00017"), "d.2 d.0 d.2 d.6 pause d.1 d.1 d.2 d.3 pause d.0 d.0 d.0 d.1 d.7"},
		{Digits("民2026-1123-0001"), "d.2 d.0 d.2 d.6 pause d.1 d.1 d.2 d.3 pause d.0 d.0 d.0 d.1"}, // as tickets are numbered
		{Digits(""), ""}, {Digits("无"), ""},
	} {
		if diff := cmp.Diff(strings.Fields(v.want), v.got, cmp.Transformer("empty", func(s []string) string { return strings.Join(s, " ") })); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", v.want, diff)
		}
	}
}

func TestWhatIsCutReadsAsItWasWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.OneOf(rapid.Int64Range(0, 99_999_999), rapid.Int64Range(-1e15, 1e15), rapid.Int64Range(0, 200)).Draw(t, "n")
		at := time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "at"), 0).In(now.Location())
		d := time.Duration(rapid.Int64Range(0, 1e16).Draw(t, "d"))
		for _, v := range []struct {
			keys []string
			want string
		}{
			{Number(n), hanzi.Number(n)}, {Ordinal(n), hanzi.Ordinal(n)}, {Money(n), hanzi.Money(n)},
			{People(int(n)), hanzi.Count(n, "位")}, {Workdays(int(n)), hanzi.Count(n, "个工作日")}, {Things(int(n)), hanzi.Count(n, "件")},
			{Span(d), hanzi.Span(d)}, {Clock(at), hanzi.Clock(at)}, {Weekday(at.Weekday()), hanzi.Weekday(at.Weekday())},
			{Date(at, at), hanzi.MonthDay(at)}, {Date(at, at.AddDate(2, 0, 0)), hanzi.Date(at)},
		} {
			if got := Text(v.keys); got != v.want {
				t.Fatalf("%v is heard as %s, want %s", v.keys, got, v.want)
			}
		}
	})
}

func TestDigitsAreAllSpokenInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringMatching(`[0-9 -]{0,30}`).Draw(t, "s")
		keys := Digits(s)
		var b strings.Builder
		for i, k := range keys {
			if k == prompts.Pause {
				if i == 0 || i == len(keys)-1 || keys[i-1] == prompts.Pause {
					t.Fatalf("%q: a pause that parts nothing: %v", s, keys)
				}
				continue
			}
			b.WriteString(strings.TrimPrefix(k, "d."))
		}
		if want := strings.NewReplacer(" ", "", "-", "").Replace(s); b.String() != want {
			t.Fatalf("%q is spoken %s", s, b.String())
		}
	})
}

func TestEveryDayAndMinuteCanBeSpoken(t *testing.T) {
	for i := range 366 {
		if at := now.AddDate(0, 0, i); Text(Date(at, at)) != hanzi.MonthDay(at) {
			t.Errorf("%s is not spoken", at)
		}
	}
	for i := range 24 * 60 {
		if at := now.Add(time.Duration(i) * time.Minute); Text(Clock(at)) != hanzi.Clock(at) {
			t.Errorf("%s is not spoken", at)
		}
	}
}
