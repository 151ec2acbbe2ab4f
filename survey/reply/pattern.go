package reply

import (
	"fmt"
	"strconv"
	"strings"
)

// pattern is one line of a rule section: literals in a row, with bounded gaps between them (see lexicon/README.md for the
// syntax). Matching is a simulation on a bit set of positions, so its cost is bounded by the pattern and never by backtracking.
type pattern struct {
	section int32
	mask    bool // a guard: where it matches, the section does not look
	source  string
	before  anchor
	first   [][]rune
	rest    []step
}

type step struct {
	alts     [][]rune
	optional bool
	gap      int
	across   bool // the gap may cross a comma
	end      anchor
}

type anchor uint8

const (
	anywhere anchor = iota
	ofClause
	ofText
)

// window is how far, in runes, a pattern may reach from where it starts.
const window = 64

// compilePattern reads one line. sets resolves <name>.
func compilePattern(line string, sets map[string][]string) ([]pattern, error) {
	p := pattern{source: line}
	if strings.HasPrefix(line, "-") {
		p.mask, line = true, line[1:]
	}
	var steps []step
	for i, field := range strings.Fields(line) {
		switch {
		case field == "^" || field == "^^":
			if i != 0 {
				return nil, fmt.Errorf("%q: %s must come first", p.source, field)
			}
			p.before = ofClause
			if field == "^^" {
				p.before = ofText
			}
		case field == "$":
			steps = append(steps, step{end: ofClause})
		case field == "$$":
			steps = append(steps, step{end: ofText})
		case strings.HasPrefix(field, "…"):
			s := step{gap: 6}
			field = strings.TrimPrefix(field, "…")
			if strings.HasPrefix(field, "…") {
				s.across, s.gap, field = true, 20, strings.TrimPrefix(field, "…")
			}
			if field != "" {
				n, err := strconv.Atoi(field)
				if err != nil || n < 1 || n > 30 {
					return nil, fmt.Errorf("%q: gap %q is not 1..30", p.source, field)
				}
				s.gap = n
			}
			steps = append(steps, s)
		default:
			s := step{}
			if strings.HasSuffix(field, "?") && len(field) > 1 && !strings.HasSuffix(field, "|?") {
				s.optional, field = true, strings.TrimSuffix(field, "?")
			}
			for _, alt := range strings.Split(field, "|") {
				if strings.HasPrefix(alt, "<") && strings.HasSuffix(alt, ">") {
					words, ok := sets[alt[1:len(alt)-1]]
					if !ok {
						return nil, fmt.Errorf("%q: no set %s", p.source, alt)
					}
					for _, w := range words {
						s.alts = append(s.alts, []rune(w))
					}
					continue
				}
				switch word := plain(strings.ReplaceAll(alt, "_", " ")); {
				case len(word) == 0:
					return nil, fmt.Errorf("%q: empty alternative", p.source)
				case alt == "$":
					s.end = ofClause
				default:
					s.alts = append(s.alts, word)
				}
			}
			steps = append(steps, s)
		}
	}
	return p.expand(steps)
}

// expand makes the first step a required literal: a leading optional one yields two patterns.
func (p pattern) expand(steps []step) ([]pattern, error) {
	if len(steps) == 0 || len(steps[0].alts) == 0 || steps[0].end != anywhere {
		return nil, fmt.Errorf("%q: must start with a literal", p.source)
	}
	with := p
	with.first, with.rest = steps[0].alts, steps[1:]
	if !steps[0].optional {
		return []pattern{with}, nil
	}
	without, err := p.expand(steps[1:])
	if err != nil {
		return nil, err
	}
	return append(without, with), nil
}

// match reports whether the pattern, whose first literal covers text[start:end], matches, and where the match ends (its shortest reach).
func (p *pattern) match(text []rune, start, end int) (int, bool) {
	switch p.before {
	case ofClause:
		if start > 0 && !isBoundary(text[start-1]) {
			return 0, false
		}
	case ofText:
		for i := 0; i < start; i++ {
			if !isBoundary(text[i]) {
				return 0, false
			}
		}
	}
	if end-start >= window {
		return 0, false
	}
	positions := uint64(1) << uint(end-start)
	for i := range p.rest {
		if positions = p.rest[i].advance(text, start, positions); positions == 0 {
			return 0, false
		}
	}
	for k := 0; k < window; k++ {
		if positions&(1<<uint(k)) != 0 {
			return start + k, true
		}
	}
	return 0, false
}

// advance moves every position (bit k = offset k from start) over the step.
func (s *step) advance(text []rune, start int, positions uint64) uint64 {
	var out uint64
	switch {
	case s.gap > 0:
		out = positions
		for n := 0; n < s.gap; n++ {
			var moved uint64
			for k := 0; k < window-1 && positions>>uint(k) != 0; k++ {
				if positions&(1<<uint(k)) == 0 || start+k >= len(text) {
					continue
				}
				r := text[start+k]
				if !isBoundary(r) || r == ' ' || (s.across && r == ',') {
					moved |= 1 << uint(k+1)
				}
			}
			if moved&^out == 0 {
				break
			}
			positions = moved
			out |= moved
		}
		return out
	case s.end != anywhere:
		out = s.literals(text, start, positions)
		for k := 0; k < window && positions>>uint(k) != 0; k++ {
			if positions&(1<<uint(k)) != 0 && atEnd(text, start+k, s.end) {
				out |= 1 << uint(k)
			}
		}
		return out
	}
	out = s.literals(text, start, positions)
	if s.optional {
		out |= positions
	}
	return out
}

// literals moves every position over the words of the step.
func (s *step) literals(text []rune, start int, positions uint64) (out uint64) {
	for k := 0; k < window && positions>>uint(k) != 0; k++ {
		if positions&(1<<uint(k)) == 0 {
			continue
		}
		for _, alt := range s.alts {
			if k+len(alt) < window && hasAt(text, start+k, alt) {
				out |= 1 << uint(k+len(alt))
			}
		}
	}
	return out
}

// atEnd reports whether nothing but modal particles stands between i and the end of the clause or of the text.
func atEnd(text []rune, i int, a anchor) bool {
	for ; i < len(text); i++ {
		switch {
		case isParticle(text[i]):
		case isBoundary(text[i]):
			if a == ofClause {
				return true
			}
		default:
			return false
		}
	}
	return true
}

func hasAt(text []rune, i int, word []rune) bool {
	if i+len(word) > len(text) {
		return false
	}
	for j, r := range word {
		if text[i+j] != r {
			return false
		}
	}
	return true
}
