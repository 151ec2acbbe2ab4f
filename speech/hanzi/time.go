package hanzi

import (
	"fmt"
	"strings"
	"time"
)

// Year reads a year digit by digit: 2026 二零二六年.
func Year(y int) string { return plainDigits(fmt.Sprint(y)) + "年" }

// MonthDay reads month and day: 十一月二十三日.
func MonthDay(t time.Time) string {
	return Number(int64(t.Month())) + "月" + Number(int64(t.Day())) + "日"
}

// Date reads the whole date: 二零二六年十一月二十三日.
func Date(t time.Time) string { return Year(t.Year()) + MonthDay(t) }

// Weekday reads the day of the week: 星期一, 星期日.
func Weekday(d time.Weekday) string {
	if d == time.Sunday {
		return "星期日"
	}
	return "星期" + Digit(int(d))
}

// Part is the part of the day in which hour (0–23) lies, as it is said before a time of twelve hours.
func Part(hour int) string {
	switch {
	case hour < 6:
		return "凌晨"
	case hour < 12:
		return "上午"
	case hour < 13:
		return "中午"
	case hour < 18:
		return "下午"
	}
	return "晚上"
}

// Hour reads an hour on the clock: 两点 for 2, 零点 for 0, 十二点.
func Hour(h int) string { return Count(int64(h), "点") }

// Clock reads a time of day the way it is said: 上午八点, 下午两点零五分, 上午十一点半, 凌晨零点十分.
// Seconds are not said.
func Clock(t time.Time) string {
	h := t.Hour()
	s := Part(h)
	if h > 12 {
		h -= 12
	}
	s += Hour(h)
	switch m := t.Minute(); {
	case m == 0:
		return s
	case m == 30:
		return s + "半"
	case m < 10:
		return s + Digit(0) + Digit(m) + "分"
	default:
		return s + Number(int64(m)) + "分"
	}
}

// Span reads a duration for a caller, rounded up to whole minutes, never below one:
// 一分钟, 两小时, 一小时三十分钟, 两天 for whole days.
func Span(d time.Duration) string {
	m := int64((d + time.Minute - 1) / time.Minute)
	if m < 1 {
		m = 1
	}
	if m%(24*60) == 0 && m > 24*60 {
		return Count(m/(24*60), "天")
	}
	var b strings.Builder
	if h := m / 60; h > 0 {
		b.WriteString(Count(h, "小时"))
		m %= 60
	}
	if m > 0 {
		b.WriteString(Count(m, "分钟"))
	}
	return b.String()
}

// Money reads an amount in 分 (1/100 元): 1250 十二元五角, 1205 十二元零五分, 200 两元.
func Money(fen int64) string {
	if fen < 0 {
		return "负" + Money(-fen)
	}
	yuan, jiao, rest := fen/100, fen/10%10, fen%10
	var b strings.Builder
	if yuan > 0 || fen == 0 {
		b.WriteString(Count(yuan, "元"))
	}
	if jiao > 0 {
		b.WriteString(Count(jiao, "角"))
	}
	if rest > 0 {
		if yuan > 0 && jiao == 0 {
			b.WriteString(Digit(0) + Digit(int(rest)) + "分")
		} else if yuan > 0 || jiao > 0 {
			b.WriteString(Digit(int(rest)) + "分")
		} else {
			b.WriteString(Count(rest, "分"))
		}
	}
	return b.String()
}
