package grade

import "fmt"

// guardSpec is a guard as it stands in lexicon.yaml: words near a match that take it back.
type guardSpec struct {
	Scope     string `yaml:"scope,omitempty"`     // clause, sentence (default) or text: how far it looks at most
	Before    int    `yaml:"before,omitempty"`    // characters before the match in which its words are looked for
	After     int    `yaml:"after,omitempty"`     // characters after it
	Gaps      bool   `yaml:"gaps,omitempty"`      // also before each word of the match that stands after a gap
	Inside    bool   `yaml:"inside,omitempty"`    // also inside the match
	PastDates bool   `yaml:"dates,omitempty"`     // a date more than a month back counts as a word
	Longer    int    `yaml:"longer,omitempty"`    // instead of words: the text is longer than this
	Words     string `yaml:"words,omitempty"`     //
	Adjacent  string `yaml:"adjacent,omitempty"`  // words that count only right before the match
	Except    string `yaml:"except,omitempty"`    // phrases in which a word does not count
	Between   string `yaml:"between,omitempty"`   // words that, standing between the word and the match, take the guard back
	Unless    string `yaml:"unless,omitempty"`    // words that, standing near, take the guard back
	Reach     int    `yaml:"reach,omitempty"`     // how near those of Unless, on either side
	UnlessIn  string `yaml:"unless_in,omitempty"` // words that take it back when the match itself holds them
}

type guard struct {
	guardSpec
	words, adjacent, except, between, unless, unlessIn words
}

// words is a set of words to look for.
type words map[rune][][]rune

func newWords(list []string) (words, error) {
	e := element{words: map[rune][][]rune{}}
	for _, w := range list {
		if normalWord(w) != w || w == "" {
			return nil, fmt.Errorf("word %q is not as the reader sees it (%q)", w, normalWord(w))
		}
		e.add(w)
	}
	return e.words, nil
}

// at returns the length of the longest word that starts at i, 0 when none does.
func (w words) at(s *source, i, limit int) int {
	for _, x := range w[s.runes[i]] {
		if i+len(x) <= limit && s.hasAt(i, x) {
			return len(x)
		}
	}
	return 0
}

// within reports a word inside [lo, hi).
func (w words) within(s *source, lo, hi int) bool {
	if len(w) == 0 {
		return false
	}
	for i := lo; i < hi; i++ {
		if w.at(s, i, hi) > 0 {
			return true
		}
	}
	return false
}

// window is up to before characters before from and after characters after to, inside the scope.
func (s *source) window(from, to, before, after int, scope string) (lo, hi int) {
	ends := func(r rune) bool { return scope != "text" && (r == stop || r == pause && scope == "clause") }
	for lo = from; lo > 0 && from-lo < before && !ends(s.runes[lo-1]); lo-- {
	}
	for hi = to; hi < len(s.runes) && hi-to < after && !ends(s.runes[hi]); hi++ {
	}
	return lo, hi
}

// holds reports that the guard takes the match back.
func (g *guard) holds(s *source, m *match) bool {
	if len(g.unless) > 0 {
		lo, hi := s.window(m.from, m.to, g.Reach, g.Reach, g.Scope)
		if g.unless.within(s, lo, hi) {
			return false
		}
	}
	if g.unlessIn.within(s, m.from, m.to) {
		return false
	}
	if g.Longer > 0 {
		return len(s.runes) > g.Longer
	}
	if g.Inside {
		lo, _ := s.window(m.from, m.to, g.Before, 0, g.Scope)
		if g.words.within(s, lo, m.to) {
			return true
		}
	}
	if g.before(s, m.from, 0) {
		return true
	}
	if g.Gaps {
		for _, gap := range m.gaps() {
			if g.before(s, gap[1], gap[0]) {
				return true
			}
		}
	}
	if g.After > 0 {
		_, hi := s.window(m.from, m.to, 0, g.After, g.Scope)
		return g.words.within(s, m.to, hi)
	}
	return false
}

// overlap is how far a guard's word may reach into the match: 怕有人 before 有人跳楼.
const overlap = 2

// before looks for the guard's words between low and pos.
func (g *guard) before(s *source, pos, low int) bool {
	lo, _ := s.window(pos, pos, g.Before, 0, g.Scope)
	lo = max(lo, low)
	for i := lo; i < pos; i++ {
		n := g.words.at(s, i, min(pos+overlap, len(s.runes)))
		if n == 0 && g.PastDates {
			if t, ok := s.token(i, since); ok && t.to <= pos && t.value > 30 {
				n = t.to - i
			}
		}
		if n == 0 {
			if a := g.adjacent.at(s, i, pos); a > 0 && i+a == pos {
				n = a
			}
		}
		if n == 0 {
			continue
		}
		if g.excepted(s, i, n) || g.between.within(s, i+n, pos) {
			continue
		}
		return true
	}
	return false
}

// excepted reports that the word at i belongs to a phrase in which it does not count.
func (g *guard) excepted(s *source, i, n int) bool {
	const longest = 6
	for j := max(0, i-longest); j <= i; j++ {
		if k := g.except.at(s, j, len(s.runes)); k > 0 && j+k >= i+n {
			return true
		}
	}
	return false
}
