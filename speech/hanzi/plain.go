package hanzi

import (
	"regexp"
	"strconv"
	"strings"
)

// measures are the words after which a bare number counts things, so that 2 is said 两.
const measures = `(?:位|个|名|件|次|小时|分钟|天|条|张|份|项|元|块|辆|种|家|户|周|倍|公里|米|楼|层|遍|岁|年|工作日)`

var (
	date     = regexp.MustCompile(`(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})`)
	year     = regexp.MustCompile(`(\d{4})(年)`)
	monthDay = regexp.MustCompile(`(\d{1,2})(月)(?:(\d{1,2})(日|号))?`)
	clock    = regexp.MustCompile(`(\d{1,2})[:：](\d{2})(?:[:：]\d{2})?`)
	percent  = regexp.MustCompile(`(\d+(?:\.\d+)?)[%％]`)
	decimal  = regexp.MustCompile(`\d+\.\d+`)
	ordinal  = regexp.MustCompile(`第(\d+)`)
	between  = regexp.MustCompile(`(\d)[-—~～至](\d)`)
	special  = regexp.MustCompile(`^(?:1[0-2]\d|12\d{3})$`)
	counted  = regexp.MustCompile(`(\d+)(` + measures + `)`)
	bare     = regexp.MustCompile(`\d+`)
)

// Plain turns the digits of running Chinese text into the Hanzi a speaker would say, so that every
// synthesiser is given the same words: years, dates, times, decimals and per cent by their rules;
// service numbers (110, 12389) and anything of five digits or more digit by digit with 幺; a number
// before a measure word as a count; every other number as a quantity.
func Plain(text string) string {
	s := narrow(text)
	s = date.ReplaceAllString(s, "${1}年${2}月${3}日")
	s = percent.ReplaceAllStringFunc(s, func(m string) string {
		d, _ := Decimal(strings.TrimRight(m, "%％"))
		return "百分之" + d
	})
	s = clock.ReplaceAllStringFunc(s, func(m string) string {
		p := clock.FindStringSubmatch(m)
		h, minute := number(p[1]), number(p[2])
		switch {
		case minute == 0:
			return Hour(int(h)) // as in 八点三十分, without the part of the day, which the text has
		case minute < 10:
			return Hour(int(h)) + Digit(0) + Digit(int(minute)) + "分"
		}
		return Hour(int(h)) + Number(minute) + "分"
	})
	s = year.ReplaceAllStringFunc(s, func(m string) string {
		return plainDigits(m[:4]) + "年"
	})
	s = monthDay.ReplaceAllStringFunc(s, func(m string) string {
		p := monthDay.FindStringSubmatch(m)
		out := Number(number(p[1])) + p[2]
		if p[3] != "" {
			out += Number(number(p[3])) + p[4]
		}
		return out
	})
	s = decimal.ReplaceAllStringFunc(s, func(m string) string {
		d, _ := Decimal(m)
		return d
	})
	s = between.ReplaceAllString(s, "${1}至${2}")
	s = ordinal.ReplaceAllStringFunc(s, func(m string) string {
		if n := strings.TrimPrefix(m, "第"); len(n) > 15 {
			return "第" + Digits(n)
		} else {
			return Ordinal(number(n))
		}
	})
	s = counted.ReplaceAllStringFunc(s, func(m string) string {
		p := counted.FindStringSubmatch(m)
		if len(p[1]) > 15 {
			return Digits(p[1]) + p[2] // nothing is counted that high: it is a number of some kind
		}
		return Count(number(p[1]), p[2])
	})
	return bare.ReplaceAllStringFunc(s, func(m string) string {
		if len(m) >= 5 || special.MatchString(m) || (len(m) > 1 && m[0] == '0') {
			return Digits(m)
		}
		return Number(number(m))
	})
}

func number(s string) int64 {
	n, _ := strconv.ParseInt(s, 10, 64) // only ever given a short run of ASCII digits
	return n
}

// narrow makes full-width digits and signs half-width.
func narrow(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= '０' && r <= '９':
			return r - '０' + '0'
		case r == '．':
			return '.'
		}
		return r
	}, s)
}
