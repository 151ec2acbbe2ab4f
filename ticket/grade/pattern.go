package grade

import (
	"fmt"
	"strconv"
	"strings"
)

// A pattern is a row of elements that follow each other in the text:
//
//	word|word      one of the words
//	<set>          one of the words of a set, also as one of several: 在|<now>
//	<n> <many> <nth> <money> <span> <since>
//	               a number, one that cannot be a house number, an ordinal, an amount in yuan, days of a length of time, days since a date; the first is the value
//	element?       may be missing
//	..N            up to N characters of the same clause
//	...N           up to N characters of the same sentence
//	^ $            the start and the end of a clause; $ also as one of several: 了|$
//	=3  =n-1       the value of the match: fixed, or reckoned from the number
type pattern struct {
	elems []element
	line  string
	value valuer
}

type element struct {
	words    map[rune][][]rune // by first character, longest first
	tokens   []kind            // or a number of these kinds
	optional bool
	gap      int  // or up to gap characters…
	across   bool // …also over a pause
	start    bool // or ^
	end      bool // or $, also as one of several
}

type valuer struct {
	fixed bool
	n     float64 // fixed value, or what is added to the number
}

func (e *element) isGap() bool { return e.gap > 0 }

func parsePattern(line string, sets map[string][]string) (*pattern, error) {
	p := &pattern{line: line}
	for _, f := range strings.Fields(line) {
		e, err := parseElement(f, sets, p)
		if err != nil {
			return nil, fmt.Errorf("pattern %q: %w", line, err)
		}
		if e != nil {
			p.elems = append(p.elems, *e)
		}
	}
	solid := false
	for i, e := range p.elems {
		if e.isGap() && !solid || e.start && i > 0 {
			return nil, fmt.Errorf("pattern %q: element %d cannot stand there", line, i+1)
		}
		solid = solid || (len(e.words) > 0 || len(e.tokens) > 0) && !e.optional && !e.end
	}
	gaps, reach := 0, 0
	for _, e := range p.elems {
		if e.isGap() {
			gaps++
			reach += e.gap
		}
	}
	if gaps > 6 || reach > 120 { // each gap multiplies the ways to try
		return nil, fmt.Errorf("pattern %q: more than 6 gaps, or more than 120 characters in them", line)
	}
	if !solid {
		return nil, fmt.Errorf("pattern %q: nothing in it must be there", line)
	}
	return p, nil
}

var tokenKinds = map[string]kind{"<n>": number, "<money>": money, "<span>": span, "<since>": since, "<nth>": nth, "<many>": many}

func parseElement(f string, sets map[string][]string, p *pattern) (*element, error) {
	switch {
	case f == "^":
		return &element{start: true}, nil
	case strings.HasPrefix(f, "=n"):
		v := strings.TrimPrefix(f, "=n")
		if v == "" {
			return nil, nil
		}
		n, err := strconv.ParseFloat(v, 64)
		p.value = valuer{n: n}
		return nil, err
	case strings.HasPrefix(f, "="):
		n, err := strconv.ParseFloat(f[1:], 64)
		p.value = valuer{fixed: true, n: n}
		return nil, err
	case strings.HasPrefix(f, ".."):
		across := strings.HasPrefix(f, "...")
		n, err := strconv.Atoi(strings.TrimLeft(f, "."))
		if err != nil || n < 1 || n > 40 {
			return nil, fmt.Errorf("gap %q is not 1 to 40", f)
		}
		return &element{gap: n, across: across}, nil
	}
	e := &element{}
	if strings.HasSuffix(f, "?") {
		e.optional, f = true, strings.TrimSuffix(f, "?")
	}
	e.words = map[rune][][]rune{}
	for _, w := range strings.Split(f, "|") {
		if w == "$" {
			e.end = true
			continue
		}
		if k := tokenKinds[w]; k != 0 {
			e.tokens = append(e.tokens, k)
			continue
		}
		if strings.HasPrefix(w, "<") && strings.HasSuffix(w, ">") {
			set, ok := sets[w[1:len(w)-1]]
			if !ok {
				return nil, fmt.Errorf("no set %s", w)
			}
			for _, w := range set {
				e.add(w)
			}
			continue
		}
		if w == "" || normalWord(w) != w {
			return nil, fmt.Errorf("word %q is empty or not as the reader sees it (%q)", w, normalWord(w))
		}
		e.add(w)
	}
	return e, nil
}

func (e *element) add(w string) {
	r := []rune(w)
	list := e.words[r[0]]
	i := 0
	for i < len(list) && len(list[i]) >= len(r) {
		if string(list[i]) == w {
			return
		}
		i++
	}
	list = append(list, nil)
	copy(list[i+1:], list[i:])
	list[i] = r
	e.words[r[0]] = list
}

func (s *source) hasAt(i int, w []rune) bool {
	if i+len(w) > len(s.runes) {
		return false
	}
	for k, r := range w {
		if s.runes[i+k] != r {
			return false
		}
	}
	return true
}

// maxGaps is how many gaps of one match are remembered for the guards.
const maxGaps = 4

// trail is what a match passed over.
type trail struct {
	gaps [maxGaps][2]int
	n    int
}

// match tries the pattern's elements from k on at rune i; it returns the end and the value of the first number in it.
func (p *pattern) match(s *source, k, i int, tr *trail) (end int, value float64, ok bool) {
	if k == len(p.elems) {
		return i, 0, true
	}
	e, k1 := &p.elems[k], k+1
	switch {
	case e.start:
		if i > 0 && isWord(s.runes[i-1]) {
			return 0, 0, false
		}
		return p.match(s, k1, i, tr)
	case e.isGap():
		depth := tr.n
		for n := 0; n <= e.gap && i+n <= len(s.runes); n++ {
			tr.n = depth
			if n > 0 && depth < maxGaps {
				tr.gaps[depth] = [2]int{i, i + n}
				tr.n = depth + 1
			}
			if end, v, ok := p.match(s, k1, i+n, tr); ok {
				return end, v, true
			}
			if i+n < len(s.runes) && (s.runes[i+n] == stop || s.runes[i+n] == pause && !e.across) {
				break
			}
		}
		tr.n = depth
		return 0, 0, false
	}
	for _, k := range e.tokens {
		if t, ok := s.token(i, k); ok {
			if end, _, ok := p.match(s, k1, t.to, tr); ok {
				return end, t.value, true
			}
		}
	}
	if i < len(s.runes) {
		for _, w := range e.words[s.runes[i]] {
			if s.hasAt(i, w) {
				if end, v, ok := p.match(s, k1, i+len(w), tr); ok {
					return end, v, true
				}
			}
		}
	}
	if e.end && (i == len(s.runes) || !isWord(s.runes[i])) {
		return p.match(s, k1, i, tr)
	}
	if e.optional {
		return p.match(s, k1, i, tr)
	}
	return 0, 0, false
}

func (p *pattern) valueOf(n float64) float64 {
	if p.value.fixed {
		return p.value.n
	}
	return n + p.value.n
}

// index finds patterns by the character they begin with.
type index struct {
	first  map[rune][]*entry
	tokens map[kind][]*entry
}

type entry struct {
	p     *pattern
	group int
	not   bool
}

func newIndex() *index { return &index{first: map[rune][]*entry{}, tokens: map[kind][]*entry{}} }

func (x *index) add(p *pattern, group int, not bool) {
	e := &entry{p, group, not}
	seen := map[rune]bool{}
	kinds := map[kind]bool{}
	for _, el := range p.elems {
		if el.start {
			continue
		}
		for _, k := range el.tokens {
			if !kinds[k] {
				kinds[k] = true
				x.tokens[k] = append(x.tokens[k], e)
			}
		}
		for r := range el.words {
			if !seen[r] {
				seen[r] = true
				x.first[r] = append(x.first[r], e)
			}
		}
		if !el.optional {
			break
		}
	}
}
