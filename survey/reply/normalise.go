package reply

import (
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/longbridgeapp/opencc"
	"golang.org/x/text/unicode/norm"
)

// plain brings a text to the reader's alphabet, character by character: NFKC, lower case, simplified characters, one sign for each kind of
// punctuation, digits for every numeral sign, and nothing invisible. Line breaks are kept; invalid bytes become U+FFFD.
func plain(s string) []rune {
	out := make([]rune, 0, len(s)/2+8)
	ascii := true
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			ascii = false
			break
		}
	}
	if !ascii {
		s = preNFKC(s)
		if !norm.NFKC.IsNormalString(s) {
			s = norm.NFKC.String(s)
		}
	}
	for _, r := range s {
		switch {
		case r >= 'A' && r <= 'Z':
			r += 'a' - 'A'
		case r == '\n', r == '\r', r == '\u2028', r == '\u2029', r == '\u0085':
			if n := len(out); n > 0 && out[n-1] == '\n' {
				continue
			}
			r = '\n'
		case r < 0x80:
			switch {
			case r == '\t' || r == '\v' || r == '\f':
				r = ' '
			case r < ' ' || r == 0x7f:
				continue
			case r == ';':
				r = ','
			case r == '\'' || r == '`':
				r = '"'
			case r == '_':
				r = '-'
			}
		default:
			if r = wide(r); r < 0 {
				continue
			}
		}
		if r == ' ' && (len(out) == 0 || out[len(out)-1] == ' ' || out[len(out)-1] == '\n') {
			continue
		}
		out = append(out, r)
	}
	for len(out) > 0 && (out[len(out)-1] == ' ' || out[len(out)-1] == '\n') {
		out = out[:len(out)-1]
	}
	return out
}

// preNFKC replaces what NFKC would get wrong: Roman numerals (NFKC makes letters of them) and dingbat digits (which it leaves alone).
func preNFKC(s string) string {
	touched := false
	for _, r := range s {
		if _, ok := numeralSign(r); ok || ignorable(r) {
			touched = true
			break
		}
	}
	if !touched {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	for _, r := range s {
		if ignorable(r) {
			continue
		}
		if sign, ok := numeralSign(r); ok {
			b.WriteString(sign)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

var numerals = [...]string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12"}

// numeralSign gives the digits meant by a sign that stands for a number.
func numeralSign(r rune) (string, bool) {
	switch {
	case r >= 0x2160 && r <= 0x216b: // Ⅰ–Ⅻ
		return numerals[r-0x2160+1], true
	case r >= 0x2170 && r <= 0x217b: // ⅰ–ⅻ
		return numerals[r-0x2170+1], true
	case r >= 0x2776 && r <= 0x277f: // ❶–❿
		return numerals[r-0x2776+1], true
	case r >= 0x2780 && r <= 0x2789: // ➀–➉
		return numerals[r-0x2780+1], true
	case r >= 0x278a && r <= 0x2793: // ➊–➓
		return numerals[r-0x278a+1], true
	case r >= 0x24f5 && r <= 0x24fe: // ⓵–⓾
		return numerals[r-0x24f5+1], true
	case r >= 0x3021 && r <= 0x3029: // 〡–〩
		return numerals[r-0x3021+1], true
	case r >= 0x0660 && r <= 0x0669: // Arabic-Indic
		return numerals[r-0x0660], true
	case r >= 0x06f0 && r <= 0x06f9:
		return numerals[r-0x06f0], true
	case r >= 0x0966 && r <= 0x096f: // Devanagari
		return numerals[r-0x0966], true
	case r == 0x24ff, r == 0x1f10b, r == 0x1f10c: // ⓿ 🄋 🄌
		return "0", true
	case r == 0x1f51f: // 🔟
		return "10", true
	}
	return "", false
}

// ignorable reports characters that carry nothing a reader would see: zero width, joiners, direction marks, variation selectors, the keycap
// frame, skin tones, tags.
func ignorable(r rune) bool {
	switch {
	case r < 0xad:
		return false
	case r == 0xad, r == 0x034f, r == 0x061c, r == 0x115f, r == 0x1160, r == 0x17b4, r == 0x17b5, r == 0x3164, r == 0xffa0, r == 0xfeff, r == 0x20e3, r == 0x20e0:
		return true
	case r >= 0x180b && r <= 0x180f, r >= 0x200b && r <= 0x200f, r >= 0x202a && r <= 0x202e, r >= 0x2060 && r <= 0x206f, r >= 0xfe00 && r <= 0xfe0f:
		return true
	case r >= 0x1f3fb && r <= 0x1f3ff, r >= 0xe0000 && r <= 0xe0fff:
		return true
	}
	return false
}

// wide maps one character outside ASCII, after NFKC; -1 drops it.
func wide(r rune) rune {
	if r >= 0x3400 && r < 0xa000 {
		return simplified()[r-0x3400]
	}
	if to, ok := signs[r]; ok {
		return to
	}
	switch {
	case ignorable(r):
		return -1
	case unicode.IsSpace(r):
		return ' '
	case unicode.Is(unicode.Mn, r) || unicode.Is(unicode.Me, r) || unicode.IsControl(r):
		return -1
	}
	return unicode.ToLower(r)
}

// signs is our own table: punctuation by kind, tone marks of pinyin, and full-form symbols.
var signs = func() map[rune]rune {
	m := map[rune]rune{}
	for to, from := range map[rune]string{
		',': "、，；·•‧・･﹑،", '。': "。｡", '?': "❓❔？", '!': "❗❕！", '-': "‐‑‒–—―−─━ー", '~': "〜～∼",
		'"': "“”‘’„‟′″´ˋ", '「': "「『«‹", '」': "」』»›", '[': "【〔〖", ']': "】〕〗", '<': "《〈", '>': "》〉", ':': "∶", '/': "∕",
		'a': "āáǎàă", 'e': "ēéěè", 'i': "īíǐì", 'o': "ōóǒò", 'u': "ūúǔù", 'v': "üǖǘǚǜ", 'n': "ńňǹ",
		'零': "〇",
	} {
		for _, r := range from {
			m[r] = to
		}
	}
	return m
}()

// ownSimplified adds to OpenCC the forms its one-to-one table leaves alone or maps to another word.
const ownSimplified = "叄叁著着裏里妳你祂他牠它喫吃纔才綫线羣群峯峰衹只祇只嘅的"

// simplified is the table of characters that differ in simplified script, made from OpenCC's traditional-to-simplified conversion one
// character at a time: a whole-phrase conversion of every reply would cost more than reading it. Index 0 is U+3400.
var simplified = sync.OnceValue(func() []rune {
	m := make([]rune, 0xa000-0x3400)
	for i := range m {
		m[i] = rune(0x3400 + i)
	}
	if cc, err := opencc.New("t2s"); err == nil { // its tables are embedded: TestTraditionalReadsAsSimplified holds this
		for r := rune(0x3400); r < 0xa000; r++ {
			if s, err := cc.Convert(string(r)); err == nil && s != string(r) {
				if to, n := utf8.DecodeRuneInString(s); n == len(s) {
					m[r-0x3400] = to
				}
			}
		}
	}
	own := []rune(ownSimplified)
	for i := 0; i+1 < len(own); i += 2 {
		m[own[i]-0x3400] = own[i+1]
	}
	return m
})

func isLatin(r rune) bool { return r >= 'a' && r <= 'z' }
func isDigit(r rune) bool { return r >= '0' && r <= '9' }
func isHan(r rune) bool   { return r >= 0x3400 && r < 0xa000 }

// isWord reports letters, digits and characters; everything else, pictures included, separates clauses.
func isWord(r rune) bool {
	return isHan(r) || isLatin(r) || isDigit(r) || r == '%' || r == '¥' || (r > 0x7f && r < 0x2000 && unicode.IsLetter(r))
}

func isBoundary(r rune) bool { return !isWord(r) }

// isParticle reports the modal particles that may close any clause without changing its reading.
func isParticle(r rune) bool {
	switch r {
	case '吧', '呗', '啊', '呀', '哦', '噢', '喔', '哈', '呢', '嘛', '啦', '咯', '嘞', '诶', '欸', '哎', '唉', '哇', '嗷', '昂', '哒', '滴':
		return true
	}
	return false
}

// isNumeral reports the Chinese numerals.
func isNumeral(r rune) bool {
	switch r {
	case '零', '一', '二', '三', '四', '五', '六', '七', '八', '九', '十', '百', '千', '万', '两', '俩', '仨', '壹', '贰', '叁', '肆', '伍', '陆', '柒', '捌', '玖', '拾', '佰':
		return true
	}
	return false
}
