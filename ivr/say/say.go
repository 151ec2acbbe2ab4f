// Package say turns numbers, dates, times and money into the prompts that speak them.
//
// Every function returns keys for prompts.Set.Say. What is said is decided by package hanzi; here the
// Hanzi are only cut into the longest pieces that have been recorded.
package say

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"lianxin/ivr/prompts"
	"lianxin/speech/hanzi"
)

// families are the first words of the keys of recorded pieces; d. is left out, as its digits are spoken for rows of
// digits and not in numbers.
var families = []string{"n", "u", "people", "minutes", "hours", "days", "workdays", "month", "day", "week", "hour", "part", "minute", "date"}

type piecesByText struct {
	keys    map[string]string
	longest int // runes
}

var pieces = sync.OnceValue(func() piecesByText {
	p := piecesByText{keys: map[string]string{}}
	for _, e := range prompts.Table() {
		family, _, _ := strings.Cut(e.Key, ".")
		for _, f := range families {
			if f == family {
				if other, twice := p.keys[e.Text]; twice {
					panic(fmt.Sprintf("prompts %s and %s have the same text", other, e.Key))
				}
				p.keys[e.Text] = e.Key
				p.longest = max(p.longest, len([]rune(e.Text)))
			}
		}
	}
	return p
})

// cut finds the recorded pieces of text, the longest first.
func cut(text string) (keys []string) {
	p, runes := pieces(), []rune(text)
	for len(runes) > 0 {
		n := min(p.longest, len(runes))
		for n > 0 && p.keys[string(runes[:n])] == "" {
			n--
		}
		if n == 0 { // tests say every function's words to the end
			panic(fmt.Sprintf("no recorded piece begins %s", string(runes)))
		}
		keys = append(keys, p.keys[string(runes[:n])])
		runes = runes[n:]
	}
	return keys
}

// Digits speaks a ticket or telephone number digit by digit, 幺 for 1. A pause stands where s has anything else
// between digits, and after every third or fourth digit of a long row: a mobile number is heard 3-4-4.
// Letters cannot be spoken and count as such a break.
func Digits(s string) (keys []string) {
	for row := range strings.FieldsFuncSeq(s, func(r rune) bool { return r < '0' || r > '9' }) {
		for i := 0; i < len(row); {
			n := 4
			if i == 0 && len(row)%4 == 3 {
				n = 3
			}
			if rest := len(row) - i; rest <= 5 {
				n = rest
			}
			if len(keys) > 0 {
				keys = append(keys, prompts.Pause)
			}
			for _, d := range row[i : i+n] {
				keys = append(keys, "d."+string(d))
			}
			i += n
		}
	}
	return keys
}

// Number speaks a quantity.
func Number(n int64) []string { return cut(hanzi.Number(n)) }

// Ordinal speaks 第 n.
func Ordinal(n int64) []string { return cut(hanzi.Ordinal(n)) }

// People speaks how many persons: 两位, 十二位.
func People(n int) []string { return cut(hanzi.Count(int64(n), "位")) }

// Things speaks how many 件.
func Things(n int) []string { return cut(hanzi.Count(int64(n), "件")) }

// Workdays speaks a term in working days: 五个工作日.
func Workdays(n int) []string { return cut(hanzi.Count(int64(n), "个工作日")) }

// Span speaks a duration, rounded up to whole minutes: 两分钟, 一小时三十分钟, 二十四小时.
func Span(d time.Duration) []string { return cut(hanzi.Span(d)) }

// Date speaks month and day, and the year when it is not that of now: 十一月二十三日.
func Date(t, now time.Time) []string {
	if t.Year() == now.Year() {
		return cut(hanzi.MonthDay(t))
	}
	return cut(hanzi.Date(t))
}

// Weekday speaks 星期一.
func Weekday(d time.Weekday) []string { return cut(hanzi.Weekday(d)) }

// Clock speaks a time of day: 下午两点零五分.
func Clock(t time.Time) []string { return cut(hanzi.Clock(t)) }

// When speaks a moment as seen from now, both in the caller's zone: 今天, 明天 or 后天, or else its date, and the time.
func When(t, now time.Time) []string {
	day := func(t time.Time) time.Time { return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC) }
	switch day(t).Sub(day(now)) {
	case 0:
		return append([]string{"date.today"}, Clock(t)...)
	case 24 * time.Hour:
		return append([]string{"date.tomorrow"}, Clock(t)...)
	case 48 * time.Hour:
		return append([]string{"date.aftertomorrow"}, Clock(t)...)
	}
	return append(Date(t, now), Clock(t)...)
}

// Money speaks an amount in 分: 十二元五角.
func Money(fen int64) []string { return cut(hanzi.Money(fen)) }

// Text is what is heard when keys are said, for transcripts and tests.
func Text(keys []string) string {
	var b strings.Builder
	for _, key := range keys {
		b.WriteString(texts()[key])
	}
	return b.String()
}

var texts = sync.OnceValue(func() map[string]string {
	m := map[string]string{}
	for _, e := range prompts.Table() {
		m[e.Key] = e.Text
	}
	return m
})
