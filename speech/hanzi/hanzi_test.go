package hanzi

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestNumberVectors(t *testing.T) {
	for n, want := range map[int64]string{
		0: "零", 1: "一", 2: "二", 9: "九", 10: "十", 11: "十一", 12: "十二", 20: "二十", 22: "二十二", 99: "九十九",
		100: "一百", 101: "一百零一", 110: "一百一十", 112: "一百一十二", 200: "二百", 222: "二百二十二", 999: "九百九十九",
		1000: "一千", 1001: "一千零一", 1010: "一千零一十", 1100: "一千一百", 2000: "两千", 2002: "两千零二", 2026: "两千零二十六",
		10000: "一万", 10001: "一万零一", 10010: "一万零一十", 10100: "一万零一百", 11000: "一万一千", 12000: "一万二千",
		20000: "两万", 20002: "两万零二", 22000: "两万二千", 100000: "十万", 100010: "十万零一十", 110000: "十一万", 120034: "十二万零三十四",
		200000: "二十万", 1000000: "一百万", 1020304: "一百零二万零三百零四", 1100000: "一百一十万", 10000000: "一千万",
		20000000: "两千万", 20002000: "两千万二千", 20020002: "两千零二万零二", 46110110: "四千六百一十一万零一百一十", 99999999: "九千九百九十九万九千九百九十九",
		100000000: "一亿", 100000005: "一亿零五", 100010005: "一亿零一万零五", 100100000: "一亿零一十万", 200000000: "两亿",
		-2: "负二", 1_0000_0000_0000: "一万亿",
	} {
		if got := Number(n); got != want {
			t.Errorf("Number(%d) = %s, want %s", n, got, want)
		}
	}
}

// read is a reader of Chinese numerals written without looking at the writer: it adds place values
// and refuses what a speaker would not say.
func read(t *rapid.T, s string) int64 {
	place := map[rune]int64{'十': 10, '百': 100, '千': 1000}
	var total, group, digit int64
	var last int64 = 1 << 62 // place values must fall inside a group
	zero := false
	runes := []rune(s)
	for i, r := range runes {
		switch {
		case r == '零':
			if zero || i == len(runes)-1 && len(runes) > 1 {
				t.Fatalf("%s: 零 doubled or at the end", s)
			}
			zero = true
		case strings.ContainsRune(digits, r) || r == '两':
			digit = int64(strings.IndexRune(digits, r) / 3)
			if r == '两' {
				digit = 2
				if i+1 >= len(runes) || !strings.ContainsRune("千万亿", runes[i+1]) || i != 0 {
					t.Fatalf("%s: 两 out of place", s)
				}
			}
			zero = false
		case place[r] > 0:
			if place[r] >= last {
				t.Fatalf("%s: %c after a smaller place", s, r)
			}
			last = place[r]
			if digit == 0 {
				if r != '十' || i != 0 {
					t.Fatalf("%s: %c without a digit", s, r)
				}
				digit = 1
			}
			group += digit * place[r]
			digit = 0
		case r == '万', r == '亿':
			group += digit
			if r == '亿' {
				total = (total + group) * 1_0000_0000
			} else {
				total += group * 1_0000
			}
			group, digit, last = 0, 0, 1<<62
		default:
			t.Fatalf("%s: %c is no numeral", s, r)
		}
	}
	return total + group + digit
}

func TestEveryNumberReadsBackAsItself(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.OneOf(
			rapid.Int64Range(0, 99_999_999),
			rapid.Int64Range(0, 10_000),
			// sparse numbers, where the zeros are
			rapid.Custom(func(t *rapid.T) int64 {
				var n int64
				for range 8 {
					n = n*10 + rapid.SampledFrom([]int64{0, 0, 0, 1, 2, 9}).Draw(t, "digit")
				}
				return n
			}),
		).Draw(t, "n")
		s := Number(n)
		if got := read(t, s); got != n {
			t.Fatalf("%d is said %s, which reads %d", n, s, got)
		}
		if strings.HasPrefix(s, "一十") {
			t.Fatalf("%d is said %s: 一十 at the front", n, s)
		}
	})
}

func TestTwoOfAnythingIsLiang(t *testing.T) {
	for got, want := range map[string]string{
		Count(2, "位"): "两位", Count(12, "位"): "十二位", Count(22, "位"): "二十二位", Count(102, "位"): "一百零二位", Count(0, "位"): "零位",
		Count(2, "分钟"): "两分钟", Count(2000, "元"): "两千元", Ordinal(2): "第二", Ordinal(12): "第十二", Ordinal(2000): "第二千",
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestDatesTimesAndMoney(t *testing.T) {
	at := func(h, m int) time.Time { return time.Date(2026, 11, 23, h, m, 59, 0, time.UTC) }
	for _, v := range []struct{ got, want string }{
		{Date(at(0, 0)), "二零二六年十一月二十三日"},
		{MonthDay(time.Date(2026, 2, 2, 0, 0, 0, 0, time.UTC)), "二月二日"},
		{Weekday(time.Monday), "星期一"}, {Weekday(time.Sunday), "星期日"},
		{Clock(at(0, 0)), "凌晨零点"}, {Clock(at(0, 10)), "凌晨零点十分"}, {Clock(at(2, 5)), "凌晨两点零五分"},
		{Clock(at(8, 0)), "上午八点"}, {Clock(at(11, 30)), "上午十一点半"}, {Clock(at(12, 20)), "中午十二点二十分"},
		{Clock(at(14, 2)), "下午两点零二分"}, {Clock(at(22, 12)), "晚上十点十二分"}, {Clock(at(23, 59)), "晚上十一点五十九分"},
		{Span(0), "一分钟"}, {Span(61 * time.Second), "两分钟"}, {Span(90 * time.Minute), "一小时三十分钟"},
		{Span(24 * time.Hour), "二十四小时"}, {Span(48 * time.Hour), "两天"}, {Span(2 * time.Hour), "两小时"},
		{Money(0), "零元"}, {Money(200), "两元"}, {Money(1250), "十二元五角"}, {Money(1205), "十二元零五分"}, {Money(350), "三元五角"},
		{Money(20), "两角"}, {Money(2), "两分"}, {Money(1222), "十二元两角二分"}, {Money(200000), "两千元"}, {Money(-5), "负五分"},
		{Digits("46110110"), "四六幺幺零幺幺零"}, {Digits("138 0013-8000"), "幺三八零零幺三八零零零"},
	} {
		if v.got != v.want {
			t.Errorf("got %s, want %s", v.got, v.want)
		}
	}
}

func TestDecimal(t *testing.T) {
	for in, want := range map[string]string{"3.5": "三点五", "0.05": "零点零五", ".5": "零点五", "12": "十二", "2.50": "二点五零", "10.11": "十点一一"} {
		if got, err := Decimal(in); err != nil || got != want {
			t.Errorf("Decimal(%s) = %s, %v, want %s", in, got, err, want)
		}
	}
	if _, err := Decimal("x.5"); err == nil {
		t.Error("x.5 was read as a decimal")
	}
}

func TestPlainText(t *testing.T) {
	for in, want := range map[string]string{
		"请拨打46110110民意热线":         "请拨打四六幺幺零幺幺零民意热线",
		"拨打110或12389":             "拨打幺幺零或幺二三八九",
		"110件":                    "一百一十件",
		"请按1，重听请按９":               "请按一，重听请按九",
		"2026年11月23日":             "二零二六年十一月二十三日",
		"2026-11-23":              "二零二六年十一月二十三日",
		"上午8:30至下午17:05":          "上午八点三十分至下午十七点零五分",
		"2个工作日内":                  "两个工作日内",
		"12位，第2位":                 "十二位，第二位",
		"15日内":                    "十五日内",
		"3.5元，占12.5%":             "三点五元，占百分之十二点五",
		"年满16周岁":                  "年满十六周岁",
		"3-5个工作日":                 "三至五个工作日",
		"手机号13800138000":          "手机号幺三八零零幺三八零零零",
		"2月2日":                    "二月二日",
		"没有数字":                    "没有数字",
		"9999999999999999999999个": "九九九九九九九九九九九九九九九九九九九九九九个",
	} {
		if got := Plain(in); got != want {
			t.Errorf("Plain(%s) = %s, want %s", in, got, want)
		}
	}
}

func FuzzPlainLeavesNoDigit(f *testing.F) {
	f.Add("2026年1月2日8:30拨打110，3.5%第2位")
	f.Fuzz(func(t *testing.T, s string) {
		if out := Plain(s); strings.ContainsAny(out, "0123456789") {
			t.Errorf("%q → %q keeps a digit", s, out)
		}
	})
}
