package grade

import (
	"math"
	"time"
)

// kind is what a token says.
type kind uint8

const (
	number kind = iota + 1 // a count: 3, 三十多, 十几, 几百, 上百
	money  kind = iota + 1 // yuan: 1.2万元, 三千块, 几十万
	span   kind = iota + 1 // days: 三年多, 半年, 18个月
	since  kind = iota + 1 // days back to a date: 去年3月, 2019年, 前年
	nth    kind = iota + 1 // an ordinal: 第三
	many   kind = iota + 1 // a count that can be no house number: 三十多, 十几, 两百, 3万
)

// token is a number of the text with its unit. Vague numbers have the least value they can mean.
type token struct {
	kind     kind
	from, to int
	value    float64
}

var han = map[rune]float64{'零': 0, '一': 1, '二': 2, '两': 2, '三': 3, '四': 4, '五': 5, '六': 6, '七': 7, '八': 8, '九': 9,
	'壹': 1, '贰': 2, '叁': 3, '肆': 4, '伍': 5, '陆': 6, '柒': 7, '捌': 8, '玖': 9}

var scale = map[rune]float64{'十': 10, '百': 100, '千': 1e3, '万': 1e4, '亿': 1e8, '拾': 10, '佰': 100, '仟': 1e3}

// vague is what 几 and 数 stand for alone and before 十, 百, 万 (几户 is three or more, 几十户 twenty or more).
const (
	vagueAlone = 3
	vagueScale = 2
)

// amount reads a number that starts at i. digits tells that it was written with digits and no scale; big that it has a 万 or 亿;
// end is i when there is none.
func amount(t []rune, i int) (v float64, end int, digits, big bool) {
	j := i
	if j < len(t) && (t[j] == '上' || t[j] == '近' || t[j] == '约') && j+1 < len(t) {
		if _, ok := scale[t[j+1]]; t[j] != '上' || ok { // 上百, but not 上三楼
			j++
		}
	}
	if j+1 < len(t) && t[j] == '好' && (t[j+1] == '几' || t[j+1] == '多' || scale[t[j+1]] > 0) { // 好几, 好多, 好百十号
		j++
	}
	start := j
	if j < len(t) && isDigit(t[j]) {
		v, j = arabic(t, j)
		digits = true
	} else {
		v, j = chinese(t, j)
	}
	if j == start {
		return 0, i, false, false
	}
	for k := start; k < j; k++ {
		big = big || scale[t[k]] >= 1e4
	}
	for more := true; more; { // 1.2万, 30多万, 3百
		more = false
		k := j
		if k < len(t) && (t[k] == '多' || t[k] == '余' || t[k] == '来' || t[k] == '几') {
			k++
		}
		if k < len(t) {
			if u := scale[t[k]]; u >= 1e4 || u > 0 && digits {
				v, j, digits, more = v*u, k+1, false, true
				big = big || u >= 1e4
			}
		}
	}
	if j < len(t) && big { // 3万5, 两万五
		if d, n, ok := tail(t, j); ok {
			v += d * tailUnit(t[j-1])
			j = n
		}
	}
	if j < len(t) && (t[j] == '多' || t[j] == '余' || t[j] == '来' || t[j] == '几') {
		j++
	}
	return v, j, digits, big
}

func tailUnit(r rune) float64 { return scale[r] / 10 }

// tail reads the single digit of 3万5 that stands for a tenth of the unit before it.
func tail(t []rune, j int) (v float64, end int, ok bool) {
	if isDigit(t[j]) {
		v = float64(t[j] - '0')
	} else if v, ok = han[t[j]]; !ok || v == 0 {
		return 0, j, false
	}
	if j+1 < len(t) && (isDigit(t[j+1]) || t[j+1] == '.' || scale[t[j+1]] > 0 || han[t[j+1]] > 0) {
		return 0, j, false
	}
	return v, j + 1, true
}

// arabic reads 3,000 and 1.25; numbers of more than nine digits are no amounts (telephones, identity cards).
func arabic(t []rune, i int) (float64, int) {
	v, n, j := 0.0, 0, i
	for j < len(t) {
		switch {
		case isDigit(t[j]):
			v = v*10 + float64(t[j]-'0')
			n++
		case t[j] == pause && n <= 3 && j+3 < len(t) && isDigit(t[j+1]) && isDigit(t[j+2]) && isDigit(t[j+3]) && (j+4 == len(t) || !isDigit(t[j+4])):
		default:
			goto point
		}
		j++
	}
point:
	if j+1 < len(t) && t[j] == '.' && isDigit(t[j+1]) {
		f := 0.1
		for j++; j < len(t) && isDigit(t[j]); j++ {
			v += f * float64(t[j]-'0')
			f /= 10
		}
	}
	if n > 9 {
		v = 0
	}
	return v, j
}

// chinese reads 三百二十一, 两千三, 十几, 几十万, 数百, 三四十, 百余.
func chinese(t []rune, i int) (float64, int) {
	var total, section, digit float64 // 亿/万 parts, below 万, the digit in hand
	have, last := false, 0.0
	j := i
loop:
	for ; j < len(t); j++ {
		r := t[j]
		switch d, isHanDigit := han[r]; {
		case isHanDigit:
			if have { // 三四十, 七八家: the smaller; 二零一九 is no number of things
				if d != digit+1 && r != '零' {
					break loop
				}
				continue
			}
			digit, have = d, r != '零'
		case r == '几' || r == '数' || r == '多' && j == i && j+1 < len(t):
			if have {
				break loop
			}
			if j == i && r != '几' && (j+1 == len(t) || scale[t[j+1]] == 0 && !countUnit(t, j+1)) {
				break loop // 数 alone is a word
			}
			digit, have = vagueAlone, true
			if section+total > 0 {
				digit = 1 // 十几
			} else if j+1 < len(t) && scale[t[j+1]] > 0 {
				digit = vagueScale
			}
		case scale[r] > 0:
			u := scale[r]
			if !have {
				if j == i && u >= 1e4 {
					break loop // 万一
				}
				digit = 1
				if section > 0 || total > 0 {
					digit = 0
				}
			}
			if u >= 1e4 {
				if total >= 1e8 { // 一亿三千万
					total += (section + digit) * u
				} else {
					total = (total + section + digit) * u
				}
				section = 0
			} else {
				section += digit * u
			}
			digit, have, last = 0, false, u
		default:
			break loop
		}
	}
	if j == i {
		return 0, i
	}
	if have && last >= 100 && t[j-2] != '零' && scale[t[j-2]] == last { // 三百二, 两千三, 一万五
		digit *= last / 10
	}
	return total + section + digit, j
}

func countUnit(t []rune, i int) bool {
	switch t[i] {
	case '户', '家', '名', '位', '人', '个', '年', '月', '次':
		return true
	}
	return false
}

// tokenize finds the numbers of the text. at is the day the text speaks from.
func (s *source) tokenize(at time.Time) {
	t := s.runes
	for i := 0; i < len(t); {
		if tok, ok := sinceAt(t, i, at); ok {
			s.tokens = append(s.tokens, tok)
			// the number inside (2019) is no count
			i = tok.to
			continue
		}
		if i > 0 && isDigit(t[i]) && (t[i-1] >= 'a' && t[i-1] <= 'z' || t[i-1] == '.') {
			i++
			continue
		}
		if tok, ok := halfSpan(t, i); ok {
			s.tokens = append(s.tokens, tok)
			i = tok.to
			continue
		}
		if t[i] == '近' && i > 0 && (t[i-1] == '最' || t[i-1] == '附' || t[i-1] == '将') || t[i] == '约' && i > 0 && (t[i-1] == '预' || t[i-1] == '大') {
			i++
			continue
		}
		if t[i] == '第' {
			if v, j, _, _ := amount(t, i+1); j > i+1 {
				s.tokens = append(s.tokens, token{nth, i, j, v})
				i = j
				continue
			}
		}
		v, j, _, big := amount(t, i)
		if j == i {
			i++
			continue
		}
		s.tokens = append(s.tokens, token{number, i, j, v})
		if !isDigit(t[j-1]) && v >= 3 {
			s.tokens = append(s.tokens, token{many, i, j, v})
		}
		if tok, ok := spanAt(t, i, j, v); ok {
			s.tokens = append(s.tokens, tok)
			i = tok.to
			continue
		}
		if tok, ok := moneyAt(t, i, j, v, big); ok {
			s.tokens = append(s.tokens, tok)
			i = tok.to
			continue
		}
		i = j
	}
	s.at = make([]int32, len(t)+1)
	k := 0
	for i := range s.at {
		for k < len(s.tokens) && s.tokens[k].from < i {
			k++
		}
		s.at[i] = int32(k)
	}
}

// token returns the token of a kind that starts at i.
func (s *source) token(i int, k kind) (token, bool) {
	for n := int(s.at[i]); n < len(s.tokens) && s.tokens[n].from == i; n++ {
		if s.tokens[n].kind == k {
			return s.tokens[n], true
		}
	}
	return token{}, false
}

func has(t []rune, i int, w string) bool {
	for _, r := range w {
		if i >= len(t) || t[i] != r {
			return false
		}
		i++
	}
	return true
}

// moneyAt: 3000元, 五万块钱, 20w; without a unit only what has a 万 and no other measure after it.
func moneyAt(t []rune, i, j int, v float64, big bool) (token, bool) {
	if j < len(t) && (t[j] == 'w' || t[j] == 'k') && (j+1 == len(t) || t[j+1] < 'a' || t[j+1] > 'z') && isDigit(t[j-1]) {
		if t[j] == 'w' {
			v *= 1e4
		} else {
			v *= 1e3
		}
		j++
		big = true
		if !has(t, j, "元") && !has(t, j, "块") {
			return token{money, i, j, v}, true
		}
	}
	for _, u := range []string{"块钱", "块", "元钱", "元", "圆", "人民币", "现金"} {
		if has(t, j, u) {
			return token{money, i, j + len([]rune(u)), v}, true
		}
	}
	if !big {
		return token{}, false
	}
	if j < len(t) && isWord(t[j]) {
		for _, u := range []string{"人", "户", "家", "名", "位", "平", "吨", "个", "次", "字", "公", "亩", "年", "条", "度", "米", "方", "辆", "件", "株", "棵", "里", "千", "分", "张", "台", "套", "居", "业", "村", "市", "群", "老", "学", "步", "粉", "员", "职", "头", "只", "斤", "瓶", "天", "伏", "立"} {
			if has(t, j, u) {
				return token{}, false
			}
		}
	}
	return token{money, i, j, v}, true
}

const (
	dayYear  = 365
	dayMonth = 30.5
)

// spanAt: 三年, 18个月, 三年零两个月, 一年半, 40天.
func spanAt(t []rune, i, j int, v float64) (token, bool) {
	vague := false
	for k := i; k < j; k++ {
		vague = vague || t[k] == '几' || t[k] == '数' || t[k] == '多' && k == i
	}
	if vague && v == vagueAlone {
		v = vagueScale // 几年: two or more
	}
	days, k := 0.0, j
	switch {
	case has(t, j, "个月"), has(t, j, "个多月"), has(t, j, "个半月"):
		for k = j; t[k] != '月'; k++ {
		}
		k++
		days = v * dayMonth
	case has(t, j, "年") && !has(t, j, "年级") && !has(t, j, "年代") && !has(t, j, "年制") && !has(t, j, "年度") && !has(t, j, "年月") && v <= 60:
		k = j + 1
		days = v * dayYear
		if has(t, k, "零") || has(t, k, "又") {
			k++
		}
		if has(t, k, "半") {
			days, k = days+dayYear/2, k+1
		} else if m, e, _, _ := amount(t, k); e > k && has(t, e, "个月") {
			days, k = days+m*dayMonth, e+2
		} else {
			k = j + 1
		}
	case has(t, j, "周年"):
		days, k = v*dayYear, j+2
	case has(t, j, "天"), has(t, j, "日"):
		days, k = v, j+1
	case has(t, j, "星期"), has(t, j, "个星期"), has(t, j, "个周"), has(t, j, "周"):
		for k = j; t[k] != '期' && t[k] != '周'; k++ {
		}
		days, k = v*7, k+1
	default:
		return token{}, false
	}
	for k < len(t) && (t[k] == '多' || t[k] == '余' || t[k] == '来' && has(t, k, "来年")) {
		k++
	}
	return token{span, i, k, math.Floor(days)}, true
}

// halfSpan: 半年, 大半年, 半个月, 多年, 常年, 长年.
func halfSpan(t []rune, i int) (token, bool) {
	for _, h := range []struct {
		w    string
		days float64
	}{{"大半年", 200}, {"小半年", 150}, {"半年", 182}, {"半个月", 15}, {"好多年", 2 * dayYear}, {"很多年", 2 * dayYear}, {"许多年", 2 * dayYear},
		{"多年", 2 * dayYear}, {"常年", dayYear}, {"长年", dayYear}, {"年把", dayYear}} {
		if has(t, i, h.w) {
			j := i + len([]rune(h.w))
			for j < len(t) && (t[j] == '多' || t[j] == '余') {
				j++
			}
			return token{span, i, j, h.days}, true
		}
	}
	return token{}, false
}

// sinceAt: 去年, 前年, 去年夏天, 今年3月, 2019年, 2019年5月, 19年5月, 2019.5.3. Without a month a past year counts from its middle; the
// value is never negative.
func sinceAt(t []rune, i int, at time.Time) (token, bool) {
	if i > 0 && isDigit(t[i]) && (isDigit(t[i-1]) || t[i-1] == '.' || t[i-1] >= 'a' && t[i-1] <= 'z') {
		return token{}, false
	}
	year, j := 0, i
	switch {
	case has(t, i, "大前年"):
		year, j = at.Year()-3, i+3
	case has(t, i, "前年"):
		year, j = at.Year()-2, i+2
	case has(t, i, "去年"), has(t, i, "上年"):
		year, j = at.Year()-1, i+2
	case has(t, i, "今年"):
		year, j = at.Year(), i+2
	default:
		n := 0
		for n < 4 && i+n < len(t) {
			d, ok := float64(t[i+n]-'0'), isDigit(t[i+n])
			if !ok {
				if d, ok = han[t[i+n]]; !ok || t[i+n] == '两' {
					break
				}
			}
			year = year*10 + int(d)
			n++
		}
		j = i + n
		if j >= len(t) || isDigit(t[j]) {
			return token{}, false
		}
		sep := t[j] == '.' || t[j] == '-' || t[j] == '/'
		switch {
		case n == 4 && (year < 1950 || year > at.Year()):
			return token{}, false
		case n == 4 && sep && j+1 < len(t) && isDigit(t[j+1]):
		case n == 4 && (t[j] == '年' || i > 0 && (t[i-1] == '从' || t[i-1] == '自')):
		case n == 2 && t[j] == '年' && isDigit(t[i]) && year >= 5 && 2000+year <= at.Year() &&
			(j+1 < len(t) && (isDigit(t[j+1]) || t[j+1] == '底' || t[j+1] == '初') || i > 0 && (t[i-1] == '从' || t[i-1] == '自')):
			year += 2000
		default:
			return token{}, false
		}
		if t[j] == '年' {
			j++
		}
	}
	month, day := time.Month(7), 1
	if year == at.Year() {
		month = 1
	}
	if j < len(t) && (t[j] == '的' || t[j] == '.' || t[j] == '-' || t[j] == '/') {
		j++
	}
	if m, e := small(t, j); e > j && m >= 1 && m <= 12 && e < len(t) && (t[e] == '月' || t[e] == '.' || t[e] == '-' || t[e] == '/') {
		month, j = time.Month(m), e+1
		if d, e := small(t, j); e > j && d >= 1 && d <= 31 {
			day, j = d, e
			if j < len(t) && (t[j] == '日' || t[j] == '号') {
				j++
			}
		} else if has(t, j, "份") {
			j++
		}
	} else {
		for _, w := range []struct {
			w string
			m time.Month
		}{{"年初", 1}, {"初", 1}, {"春节", 2}, {"春天", 3}, {"春季", 3}, {"上半年", 3}, {"五一", 5}, {"夏天", 7}, {"夏季", 7}, {"暑假", 7}, {"下半年", 9}, {"秋天", 9}, {"国庆", 10}, {"年底", 12}, {"年末", 12}, {"底", 12}, {"冬天", 12}} {
			if has(t, j, w.w) {
				month, j = w.m, j+len([]rune(w.w))
				break
			}
		}
	}
	then := time.Date(year, month, day, 0, 0, 0, 0, at.Location())
	return token{since, i, j, math.Max(0, math.Floor(at.Sub(then).Hours()/24))}, true
}

// small reads the month or day of a date: up to two digits, or a Chinese numeral.
func small(t []rune, i int) (v, end int) {
	for end = i; end < len(t) && end < i+2 && isDigit(t[end]); end++ {
		v = v*10 + int(t[end]-'0')
	}
	if end == i {
		f, e := chinese(t, i)
		return int(min(f, 99)), e
	}
	return v, end
}
