package say

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func speak(t interface{ Fatal(...any) }, word string, value string) string {
	x, err := ParseExpression(word)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := x.Speak(func(string) string { return value }, now)
	if err != nil {
		t.Fatal(word, value, err)
	}
	return Text(keys)
}

func TestExpressionsAreSpokenAsPeopleSayThem(t *testing.T) {
	for _, c := range []struct{ word, want string }{
		{"number:42", "四十二"}, {"number:-3.5", "负三点五"}, {"number:0.05", "零点零五"}, {"number:2", "二"}, {"number:-0", "零"},
		{"money:12.50", "十二元五角"}, {"money:2", "两元"}, {"money:0.05", "五分"}, {"money:12.05", "十二元零五分"}, {"money:10000", "一万元"},
		{"digits:110", "幺幺零"}, {"ordinal:2", "第二"}, {"people:2", "两位"}, {"workdays:5", "五个工作日"},
		{"date:2026-12-01", "十二月一日"}, {"date:2027-01-02", "二零二七年一月二日"}, {"time:14:05", "下午两点零五分"},
		{"when:2026-11-24T08:30", "明天上午八点半"}, {"span:90m", "一小时三十分钟"},
	} {
		if got := speak(t, c.word, ""); got != c.want {
			t.Errorf("%s is heard as %s, want %s", c.word, got, c.want)
		}
	}
	for _, bad := range []string{"number:1e5", "number:", "money:-1", "money:1.234", "date:2026-02-30", "time:25:00", "digits:abc!", "song:x", "people:-1"} {
		if _, err := ParseExpression(bad); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
}

// reads is the number that Hanzi say, by rules of its own: what is spoken must be read back as what was meant.
func reads(t *rapid.T, text string) (n int64) {
	digit := map[rune]int64{'零': 0, '一': 1, '二': 2, '两': 2, '三': 3, '四': 4, '五': 5, '六': 6, '七': 7, '八': 8, '九': 9}
	unit := map[rune]int64{'十': 10, '百': 100, '千': 1000}
	var group, last int64
	last = -1
	for _, r := range text {
		switch {
		case unit[r] > 0:
			if last < 0 {
				last = 1 // 十二
			}
			group += last * unit[r]
			last = -1
		case r == '万' || r == '亿':
			if last > 0 {
				group += last
			}
			last = -1
			if r == '万' {
				n += group * 1_0000
			} else {
				n = (n + group) * 1_0000_0000
			}
			group = 0
		default:
			d, ok := digit[r]
			if !ok {
				t.Fatalf("%c is no part of a number", r)
			}
			last = d
		}
	}
	if last > 0 {
		group += last
	}
	return n + group
}

func TestNumbersAndMoneyAreReadBackAsTheyWereMeant(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.OneOf(rapid.Int64Range(0, 20_000), rapid.Int64Range(0, 1e12)).Draw(t, "n")
		if got := reads(t, speak(t, "number:n", strconv.FormatInt(n, 10))); got != n {
			t.Fatalf("%d is read back as %d", n, got)
		}
		fen := rapid.OneOf(rapid.Int64Range(0, 30_000), rapid.Int64Range(0, 1e11)).Draw(t, "fen")
		said := speak(t, "money:m", fmt.Sprintf("%d.%02d", fen/100, fen%100))
		var sum int64
		for _, part := range []struct {
			unit  string
			worth int64
		}{{"元", 100}, {"角", 10}, {"分", 1}} {
			if before, rest, ok := strings.Cut(said, part.unit); ok {
				sum += reads(t, before) * part.worth
				said = rest
			}
		}
		if sum != fen || said != "" {
			t.Fatalf("%d fen are read back as %d, with %q left", fen, sum, said)
		}
	})
}

func TestAnyValueIsSpokenOrRefused(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.OneOf(rapid.String(), rapid.StringMatching(`[-0-9.:T]{1,20}`)).Draw(t, "value")
		for form := range forms {
			keys, faults := Expand([]string{"a", form + ":x", "b"}, func(string) string { return value }, time.Now())
			if len(faults) == 0 && len(keys) < 3 || len(faults) > 0 && len(keys) != 2 {
				t.Fatalf("%s of %q: %v %v", form, value, keys, faults)
			}
			Text(keys)
		}
	})
}
