package console

import (
	"strings"
	"testing"
)

func TestNumbersInAReplysWordsAreMasked(t *testing.T) {
	for in, want := range map[string]string{
		"电话13912345678":      "139****78",
		"139 1234 5678 打这个":  "139****78",
		"210502199913320011": "210****11",
		"等了2个小时":             "等了2个小时",
		"110来得快，122也快，2026年": "110来得快，122也快，2026年",
	} {
		if got := masked(in); !strings.Contains(got, want) || strings.Contains(got, "12345678") {
			t.Errorf("%q is shown as %q", in, got)
		}
	}
}

func TestReasonsOfTheReaderAreInTheReadersLanguage(t *testing.T) {
	zh := page{Lang: "zh-CN"}
	for _, why := range []string{"danger", "evasive: 不好", "something the reader will say tomorrow"} {
		for _, r := range zh.Why(why) {
			if r >= 'a' && r <= 'z' {
				t.Errorf("%q is shown as %q", why, zh.Why(why))
				break
			}
		}
	}
}
