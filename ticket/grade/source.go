package grade

import (
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/longbridgeapp/opencc"
)

// source is a title and a text as the reader sees them: simplified, half-width, lower case, without spaces inside words; each rune knows
// where it came from.
type source struct {
	title, text string
	runes       []rune
	from        []int32 // byte offset of each rune in title (before body) or text
	body        int     // index of the first rune of the text
	tokens      []token // numbers, amounts, spans of time, by start
	at          []int32 // index into tokens of the first that starts at or after a rune
}

// Stops end a sentence, pauses a clause.
const (
	stop  = '。'
	pause = ','
)

// What ends a sentence, and what only ends a clause.
const (
	stops  = "\n\r\u2028\u2029;!?；！？。｡…❗❓"
	pauses = ",:()|，、：（）—"
)

func containsRune(set string, r rune) bool { return strings.ContainsRune(set, r) }

func newSource(title, text string) *source {
	s := &source{title: title, text: text}
	n := (len(title)+len(text))/3 + 8
	s.runes, s.from = make([]rune, 0, n), make([]int32, 0, n)
	s.add(title)
	s.runes, s.from = append(s.runes, stop), append(s.from, int32(len(title)))
	s.body = len(s.runes)
	s.add(text)
	return s
}

func (s *source) add(src string) {
	table := simplified()
	start := len(s.runes)
	for i, r := range src {
		r = fold(r, table)
		if r < 0 {
			continue
		}
		if r == ' ' && (len(s.runes) == start || s.runes[len(s.runes)-1] == ' ') {
			continue
		}
		s.runes, s.from = append(s.runes, r), append(s.from, int32(i))
	}
	s.joinSpaced(start)
}

// joinSpaced drops the spaces of "我 要 跳 楼" and "30 多名" and makes a pause of those that stand for a comma.
func (s *source) joinSpaced(start int) {
	if !slices.Contains(s.runes[start:], ' ') {
		return
	}
	in, w := slices.Clone(s.runes), start
	for i := start; i < len(in); i++ {
		if in[i] == ' ' {
			if i+1 == len(in) {
				continue
			}
			a, b := in[i-1], in[i+1]
			alone := (i-2 < start || !isWord(in[i-2])) || (i+2 >= len(in) || !isWord(in[i+2]))
			if isHan(a) && isHan(b) && !alone {
				s.runes[w], s.from[w] = pause, s.from[i]
				w++
				continue
			}
			if isHan(a) || isHan(b) || !isWord(a) || !isWord(b) {
				continue
			}
		}
		s.runes[w], s.from[w] = in[i], s.from[i]
		w++
	}
	s.runes, s.from = s.runes[:w], s.from[:w]
}

// fold brings a character to the reader's alphabet; -1 drops it.
func fold(r rune, table []rune) rune {
	switch {
	case r >= 'A' && r <= 'Z':
		return r + 'a' - 'A'
	case containsRune(stops, r):
		return stop
	case containsRune(pauses, r):
		return pause
	case r < 0x80:
		if r == ' ' || r == '\t' {
			return ' '
		}
		if r < ' ' || r == 0x7f || r == '"' || r == '\'' || r == '*' {
			return -1
		}
		return r
	case r == '“', r == '”', r == '‘', r == '’', r == '「', r == '」', r == '『', r == '』':
		return -1 // a quotation is read like speech; who speaks is the guards' business
	case r == '〇':
		return '零'
	case r >= 0x3400 && r < 0xa000:
		return table[r-0x3400]
	case r >= 0xff01 && r <= 0xff5e:
		return fold(r-0xfee0, table)
	case r == 0x3000, unicode.IsSpace(r):
		return ' '
	case r == utf8.RuneError:
		return '\ufffd'
	case unicode.In(r, unicode.Cf, unicode.Cc, unicode.Mn, unicode.Me, unicode.Variation_Selector):
		return -1
	}
	return unicode.ToLower(r)
}

func isHan(r rune) bool { return r >= 0x3400 && r < 0xa000 }

func isWord(r rune) bool { return isHan(r) || r >= 'a' && r <= 'z' || isDigit(r) }

func isDigit(r rune) bool { return r >= '0' && r <= '9' }

// variants adds to OpenCC the forms its one-to-one table leaves alone or maps to another word.
const variants = "著着裏里妳你祂他牠它喫吃纔才綫线羣群峯峰衹只祇只嘅的俩两倆两於于"

// simplified is the table of characters that differ in simplified script, made character by character from OpenCC's traditional-to-
// simplified conversion. Index 0 is U+3400.
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
	own := []rune(variants)
	for i := 0; i+1 < len(own); i += 2 {
		m[own[i]-0x3400] = own[i+1]
	}
	return m
})

// normalWord is a word of the lexicon as the reader would see it.
func normalWord(w string) string {
	s := &source{}
	s.add(w)
	return string(s.runes)
}
