package grade

import "testing"

func TestNumbersAreReadInBothScripts(t *testing.T) {
	for text, want := range map[string]float64{
		"3": 3, "三": 3, "十": 10, "十二": 12, "二十": 20, "三十二": 32, "一百零五": 105, "一百五十": 150, "三百二": 320, "两千三": 2300, "一千零三十": 1030,
		"两万五": 25000, "12000": 12000, "12,000": 12000, "1.2万": 12000, "3万5": 35000, "20万": 200000, "一亿三千万": 130000000, "1.5亿": 150000000,
		"几": 3, "十几": 11, "几十": 20, "数十": 20, "几百": 200, "上百": 100, "近百": 100, "好几百": 200, "百余": 100, "三十多": 30, "二十来": 20, "好几": 3,
		"七八": 7, "三四十": 30, "五六百": 500, "几十万": 200000, "十几万": 110000, "上千": 1000, "两": 2, "叁": 3, "伍佰": 500, "壹万": 10000, "3千": 3000, "2百": 200,
		"13840001234": 0,
	} {
		r := []rune(text)
		v, end, _, _ := amount(r, 0)
		if v != want || end != len(r) {
			t.Errorf("%s: %v over %d of %d characters, want %v", text, v, end, len(r), want)
		}
	}
	for _, word := range []string{"万一", "数落", "多好", "上楼", "近来"} {
		if v, end, _, _ := amount([]rune(word), 0); end == len([]rune(word)) {
			t.Errorf("%s is read as %v", word, v)
		}
	}
}

func TestSpansOfTimeAreDays(t *testing.T) {
	for text, want := range map[string]float64{
		"三年": 1095, "三年多": 1095, "7年": 2555, "一年半": 547, "半年": 182, "大半年": 200, "18个月": 549, "两年零三个月": 821, "十几年": 4015, "几年": 730, "好几年": 730,
		"多年": 730, "三个月": 91, "两周": 14, "三个星期": 21, "40天": 40, "五六年": 1825, "半个月": 15,
	} {
		if tok, ok := find(text, span); !ok || tok.value != want {
			t.Errorf("%s: %v (%v), want %v", text, tok.value, ok, want)
		}
	}
	for _, text := range []string{"三年级", "2019年", "80年代", "三年制", "2025年度"} {
		if tok, ok := find(text, span); ok {
			t.Errorf("%s is read as %v days", text, tok.value)
		}
	}
}

func TestDatesCountBackFromTheDayOfTheText(t *testing.T) {
	for text, want := range map[string]float64{ // the day is 2026-11-24, 09:00
		"去年": 511, "前年": 876, "今年": 327, "大前年": 1242, "去年3月": 633, "去年底": 358, "2019年": 2703, "2019年5月": 2764, "2019年5月3日": 2762,
		"2019.5.3": 2762, "2024-01-05": 1054, "今年3月": 268, "去年夏天": 511, "二零一九年": 2703, "2027年": -1, "1800年": -1,
	} {
		tok, ok := find(text, since)
		if want < 0 {
			if ok {
				t.Errorf("%s is read as %v", text, tok.value)
			}
			continue
		}
		if !ok || tok.value != want {
			t.Errorf("%s: %v (%v), want %v", text, tok.value, ok, want)
		}
	}
}

func TestMoneyNeedsAUnitOrAScale(t *testing.T) {
	for text, want := range map[string]float64{"1.2万元": 12000, "几十万": 200000, "3000元": 3000, "三千块钱": 3000, "80余万元": 800000, "20w": 200000, "5k元": 5000, "1.5亿元": 150000000, "十几万块": 110000} {
		if tok, ok := find(text, money); !ok || tok.value != want {
			t.Errorf("%s: %v (%v), want %v", text, tok.value, ok, want)
		}
	}
	for _, text := range []string{"3000", "三万人", "20万平方米", "30户", "10万居民", "第三万个"} {
		if tok, ok := find(text, money); ok {
			t.Errorf("%s is read as %v yuan", text, tok.value)
		}
	}
}

func find(text string, k kind) (token, bool) {
	s := newSource("", text)
	s.tokenize(now)
	for _, tok := range s.tokens {
		if tok.kind == k {
			return tok, true
		}
	}
	return token{}, false
}
