// Package hanzi writes numbers, dates, times and money the way a Mandarin speaker says them.
package hanzi

import (
	"fmt"
	"strings"
)

const digits = "零一二三四五六七八九"

// Digit is the Hanzi of one decimal digit.
func Digit(d int) string { return digits[3*d : 3*d+3] }

// Number reads n as a quantity: 105 一百零五, 2000 两千, 20002 两万零二, 110 一百一十.
// 两 stands for a leading two before 千, 万 and 亿, 二 everywhere else; one 零 stands for any run of
// zeros inside, none for the zeros that end a group of four digits.
func Number(n int64) string {
	if n < 0 {
		if n == -n { // the one value without a positive twin
			return "负" + magnitude(1<<63)
		}
		return "负" + magnitude(uint64(-n))
	}
	return magnitude(uint64(n))
}

func magnitude(n uint64) string {
	if n == 0 {
		return Digit(0)
	}
	var b strings.Builder
	high(&b, n)
	s := b.String()
	// 一十 at the very front is said 十: 十二, 十五万; inside it stays 一百一十二.
	s = strings.TrimPrefix(s, "一")
	if !strings.HasPrefix(s, "十") {
		s = b.String()
	}
	for _, unit := range []string{"千", "万", "亿"} {
		if strings.HasPrefix(s, "二"+unit) {
			return "两" + strings.TrimPrefix(s, "二")
		}
	}
	return s
}

// high writes n with its 亿 and 万 groups.
func high(b *strings.Builder, n uint64) {
	for _, g := range []struct {
		size uint64
		unit string
	}{{1_0000_0000, "亿"}, {1_0000, "万"}} {
		if n < g.size {
			continue
		}
		high(b, n/g.size)
		b.WriteString(g.unit)
		n %= g.size
		if n > 0 && n < g.size/10 {
			b.WriteString(Digit(0))
		}
	}
	group(b, int(n))
}

// group writes 0 < n < 10000; nothing for zero.
func group(b *strings.Builder, n int) {
	begun := false
	for size, units := 1000, []string{"千", "百", "十", ""}; size > 0; size, units = size/10, units[1:] {
		d := n / size
		n %= size
		switch {
		case d > 0:
			b.WriteString(Digit(d))
			b.WriteString(units[0])
			begun = true
		case begun && n >= size/10 && n > 0:
			b.WriteString(Digit(0)) // the last of a run of zeros before a digit
		}
	}
}

// Count reads n before a measure word (位, 分钟, 件 …): two of anything is 两, 12 stays 十二.
func Count(n int64, measure string) string {
	if n == 2 {
		return "两" + measure
	}
	return Number(n) + measure
}

// Ordinal reads 第 n: 第二, never 第两.
func Ordinal(n int64) string {
	if s := Number(n); strings.HasPrefix(s, "两") {
		return "第二" + strings.TrimPrefix(s, "两")
	} else {
		return "第" + s
	}
}

// Digits reads a telephone, ticket or identity number digit by digit, with 幺 for 1; Latin letters
// stay as they are and everything else (spaces, hyphens) is left out.
func Digits(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '1':
			b.WriteString("幺")
		case r >= '0' && r <= '9':
			b.WriteString(Digit(int(r - '0')))
		case r >= 'A' && r <= 'Z', r >= 'a' && r <= 'z':
			b.WriteRune(r)
		}
	}
	return b.String()
}

// plainDigits reads digits one by one with 一 for 1, as after a decimal point and in a year.
func plainDigits(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r >= '0' && r <= '9' {
			b.WriteString(Digit(int(r - '0')))
		}
	}
	return b.String()
}

// Decimal reads a decimal literal such as "3.50": 三点五零. An empty integer part is 零.
func Decimal(s string) (string, error) {
	whole, frac, dotted := strings.Cut(s, ".")
	var n int64
	if whole != "" {
		if _, err := fmt.Sscanf(whole, "%d", &n); err != nil {
			return "", fmt.Errorf("read %q as a decimal: %w", s, err)
		}
	}
	if !dotted || frac == "" {
		return Number(n), nil
	}
	return Number(n) + "点" + plainDigits(frac), nil
}
