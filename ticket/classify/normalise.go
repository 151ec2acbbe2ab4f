package classify

import (
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/longbridgeapp/opencc"
	"golang.org/x/text/unicode/norm"
)

// normalise brings a text to the alphabet of the data files: NFKC, upper-case Latin letters, simplified characters, no spaces inside
// Chinese, nothing invisible. At most limit runes are kept. Invalid bytes become U+FFFD.
func normalise(s string, limit int) []rune {
	if len(s) > 16*limit {
		cut := 16 * limit
		for cut > 0 && !utf8.RuneStart(s[cut]) {
			cut--
		}
		s = s[:cut]
	}
	s = strings.ToValidUTF8(s, "\ufffd")
	if !norm.NFKC.IsNormalString(s) {
		s = norm.NFKC.String(s)
	}
	simple := simplified()
	out := make([]rune, 0, min(len(s), limit))
	for _, r := range s {
		if len(out) == limit {
			break
		}
		switch {
		case r == '\n' || r == '\r':
			r = '\n'
		case unicode.IsSpace(r), unicode.Is(unicode.Cf, r), unicode.IsControl(r), unicode.Is(unicode.Mn, r):
			continue
		case r >= 'a' && r <= 'z':
			r -= 'a' - 'A'
		case r >= 0x3400 && r < 0xa000:
			r = simple[r-0x3400]
		}
		out = append(out, r)
	}
	return out
}

// letter reports whether a rune may be part of a feature of the model: Chinese only, since digits and Latin letters in a title are mostly
// house numbers and coded places.
func letter(r rune) bool { return r >= 0x3400 && r < 0xa000 || r >= 0x20000 && r < 0x30000 }

// simplified is the table of characters that differ in simplified script, made from OpenCC's conversion one character at a time; index 0
// is U+3400.
var simplified = sync.OnceValue(func() []rune {
	m := make([]rune, 0xa000-0x3400)
	for i := range m {
		m[i] = rune(0x3400 + i)
	}
	cc, err := opencc.New("t2s") // its tables are embedded: TestTraditionalReadsAsSimplified holds this
	if err != nil {
		return m
	}
	for r := rune(0x3400); r < 0xa000; r++ {
		if s, err := cc.Convert(string(r)); err == nil && s != string(r) {
			if to, n := utf8.DecodeRuneInString(s); n == len(s) {
				m[r-0x3400] = to
			}
		}
	}
	return m
})
