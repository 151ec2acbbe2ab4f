package speech

import (
	"bufio"
	_ "embed"
	"fmt"
	"strings"
	"sync"

	"github.com/mozillazg/go-pinyin"
)

// polyphones lists words whose characters a character-wise reader gets wrong, one word a line with
// its syllables in pinyin with tone digits.
//
//go:embed polyphones.txt
var polyphones string

type readings struct {
	words   map[string][]string // word → one syllable per character
	longest int                 // characters in the longest word
}

var words = sync.OnceValues(func() (readings, error) {
	r := readings{words: map[string][]string{}}
	sc := bufio.NewScanner(strings.NewReader(polyphones))
	for n := 1; sc.Scan(); n++ {
		line, _, _ := strings.Cut(sc.Text(), "#")
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		size := len([]rune(f[0]))
		if size != len(f)-1 {
			return r, fmt.Errorf("polyphones.txt:%d: %s has %d characters and %d syllables", n, f[0], size, len(f)-1)
		}
		if _, twice := r.words[f[0]]; twice {
			return r, fmt.Errorf("polyphones.txt:%d: %s is listed twice", n, f[0])
		}
		for _, s := range f[1:] {
			if d := s[len(s)-1]; d < '1' || d > '5' {
				return r, fmt.Errorf("polyphones.txt:%d: %s has no tone digit", n, s)
			}
		}
		r.words[f[0]] = f[1:]
		r.longest = max(r.longest, size)
	}
	return r, sc.Err()
})

// Spell writes inline pinyin with tone digits for the words of text that a character-wise
// synthesiser reads wrong, and for the changed tones of 一 and 不, leaving the rest in Hanzi:
// 重新选择 → chong2 xin1 选择, 不对 → bu2 对. Text that already holds pinyin is left alone there.
func Spell(text string) string {
	var b strings.Builder
	syllables, runes := Readings(text), []rune(text)
	for i, r := range runes {
		if s := syllables[i]; s.marked {
			b.WriteString(" " + s.Pinyin + " ")
		} else {
			b.WriteRune(r)
		}
	}
	return strings.TrimSpace(strings.Join(strings.Fields(b.String()), " "))
}

// A Reading is how one character of a text is said.
type Reading struct {
	Pinyin string // toned by a digit, 5 for the neutral tone; empty for what is no Hanzi
	marked bool   // by a word of ours or by a changed tone, so that a synthesiser must be told
}

// Readings says how each rune of text is read: by the words of our own table, else by the commonest
// reading of the character, with the changed tones of 一 and 不.
func Readings(text string) []Reading {
	table, err := words()
	if err != nil {
		panic(err) // the table is embedded: a test would have seen it
	}
	runes := []rune(text)
	out := make([]Reading, len(runes))
	fixed := make([]bool, len(runes)) // said by the table, tones included
	for i := 0; i < len(runes); {
		step := 1
		for n := min(table.longest, len(runes)-i); n > 1; n-- {
			if s, ok := table.words[string(runes[i:i+n])]; ok {
				for j := range n {
					out[i+j] = Reading{s[j], true}
					fixed[i+j] = true
				}
				step = n
				break
			}
		}
		if step == 1 {
			if s, ok := table.words[string(runes[i])]; ok {
				out[i] = Reading{s[0], true}
			} else {
				out[i] = Reading{commonest(runes[i]), false}
			}
		}
		i += step
	}
	for i, r := range runes {
		if (r != '一' && r != '不') || fixed[i] || i+1 == len(runes) || out[i+1].Pinyin == "" {
			continue
		}
		next := out[i+1].Pinyin[len(out[i+1].Pinyin)-1]
		switch {
		case r == '不' && next == '4':
			out[i] = Reading{"bu2", true}
		case r == '不':
		case i > 0 && strings.ContainsRune("第十零一二三四五六七八九两月按初", runes[i-1]), strings.ContainsRune("零一二三四五六七八九月日号或、", runes[i+1]):
			// an ordinal, a digit in a row or a key: 第一, 二十一天, 一月
		case next == '4' || runes[i+1] == '个':
			out[i] = Reading{"yi2", true}
		default:
			out[i] = Reading{"yi4", true}
		}
	}
	return out
}

var tone3 = func() pinyin.Args {
	a := pinyin.NewArgs()
	a.Style = pinyin.Tone3
	a.Fallback = func(rune, pinyin.Args) []string { return nil }
	return a
}()

// commonest is the commonest reading of a character, with tone digit; empty for what is no Hanzi.
func commonest(r rune) string {
	s := pinyin.SinglePinyin(r, tone3)
	if len(s) == 0 || s[0] == "" {
		return ""
	}
	p := strings.ReplaceAll(s[0], "ü", "v")
	if d := p[len(p)-1]; d < '1' || d > '5' {
		p += "5"
	}
	return p
}
