package grade

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// lexiconSpec is lexicon.yaml.
type lexiconSpec struct {
	Version string               `yaml:"version"`
	Sets    map[string]string    `yaml:"sets"`
	Masks   string               `yaml:"masks"` // patterns inside which nothing is looked for
	Guards  map[string]guardSpec `yaml:"guards"`
	Groups  []groupSpec          `yaml:"groups"`
}

// groupSpec is what to look for in the text for one factor.
type groupSpec struct {
	Name   string   `yaml:"name"`
	Factor string   `yaml:"factor"`
	Guards []string `yaml:"guards,omitempty"`
	Find   string   `yaml:"find"`             // patterns, one a line
	Not    string   `yaml:"not,omitempty"`    // patterns that, overlapping a match, take it back
	Soften []string `yaml:"soften,omitempty"` // guards that do not take a match back but make it…
	Softer string   `yaml:"softer,omitempty"` // …this factor
	Also   string   `yaml:"also,omitempty"`   // another factor that softened words give besides
	Yields string   `yaml:"yields,omitempty"` // of this group and that factor, when both come from the text, the larger counts: the same people
	Value  float64  `yaml:"value,omitempty"`  // of matches without a number
	Min    float64  `yaml:"min,omitempty"`    // numbers below this say nothing
	Route  []string `yaml:"route,omitempty"`  // steps of the plan that these words ask for
}

type group struct {
	groupSpec
	guards, soften []*guard
}

type lexicon struct {
	groups []group
	index  *index
}

// lines returns the lines of a block without comments.
func lines(block string) []string {
	var out []string
	for l := range strings.Lines(block) {
		l, _, _ = strings.Cut(l, "#")
		if l = strings.TrimSpace(l); l != "" {
			out = append(out, l)
		}
	}
	return out
}

const maskGroup = -1

func (spec *lexiconSpec) compile(factors map[string]*FactorRule) (*lexicon, error) {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	sets := map[string][]string{}
	for name, block := range spec.Sets {
		for _, l := range lines(block) {
			sets[name] = append(sets[name], strings.Fields(l)...)
		}
		if len(sets[name]) == 0 {
			fail("set %s is empty", name)
		}
		for _, w := range sets[name] {
			if normalWord(w) != w {
				fail("set %s: word %q is not as the reader sees it (%q)", name, w, normalWord(w))
			}
		}
	}
	guards := map[string]*guard{}
	for name, gs := range spec.Guards {
		g := &guard{guardSpec: gs}
		if gs.Words == "" && gs.Longer == 0 {
			fail("guard %s has no words", name)
		}
		if gs.Scope != "" && gs.Scope != "clause" && gs.Scope != "sentence" && gs.Scope != "text" {
			fail("guard %s: scope %q", name, gs.Scope)
		}
		if gs.Before < 0 || gs.Before > 80 || gs.After < 0 || gs.After > 80 || gs.Reach < 0 || gs.Reach > 80 {
			fail("guard %s looks farther than 80 characters", name)
		}
		for _, f := range []struct {
			to   *words
			from string
		}{{&g.words, gs.Words}, {&g.adjacent, gs.Adjacent}, {&g.except, gs.Except}, {&g.between, gs.Between}, {&g.unless, gs.Unless}, {&g.unlessIn, gs.UnlessIn}} {
			w, err := newWords(expand(f.from, sets))
			if err != nil {
				fail("guard %s: %w", name, err)
			}
			*f.to = w
		}
		guards[name] = g
	}
	lex := &lexicon{index: newIndex()}
	add := func(block string, group int, not bool, what string) {
		for _, l := range lines(block) {
			p, err := parsePattern(l, sets)
			if err != nil {
				fail("%s: %w", what, err)
				continue
			}
			lex.index.add(p, group, not)
		}
	}
	add(spec.Masks, maskGroup, true, "masks")
	seen := map[string]bool{}
	for i, gs := range spec.Groups {
		what := "group " + gs.Name
		if gs.Name == "" || seen[gs.Name] {
			fail("group %d: name %q is empty or given twice", i+1, gs.Name)
		}
		seen[gs.Name] = true
		for _, code := range []string{gs.Factor, gs.Softer, gs.Also, gs.Yields} {
			if code != "" && factors[code] == nil || code == "" && gs.Factor == "" {
				fail("%s: no factor %q", what, code)
			}
		}
		if len(lines(gs.Find)) == 0 {
			fail("%s finds nothing", what)
		}
		g := group{groupSpec: gs}
		for to, names := range map[*[]*guard][]string{&g.guards: gs.Guards, &g.soften: gs.Soften} {
			for _, name := range names {
				if guards[name] == nil {
					fail("%s: no guard %s", what, name)
					continue
				}
				*to = append(*to, guards[name])
			}
		}
		if (len(gs.Soften) > 0) != (gs.Softer != "") || gs.Also != "" && gs.Softer == "" {
			fail("%s: soften, softer and also go together", what)
		}
		lex.groups = append(lex.groups, g)
		add(gs.Find, i, false, what)
		add(gs.Not, i, true, what)
	}
	return lex, errors.Join(errs...)
}

func expand(block string, sets map[string][]string) []string {
	var out []string
	for _, l := range lines(block) {
		for _, w := range strings.Fields(l) {
			if set, ok := sets[strings.Trim(w, "<>")]; ok && strings.HasPrefix(w, "<") {
				out = append(out, set...)
			} else {
				out = append(out, w)
			}
		}
	}
	return out
}

// match is a place where a pattern of a group was found.
type match struct {
	group    int
	from, to int
	value    float64
	trail    trail
}

func (m *match) gaps() [][2]int { return m.trail.gaps[:m.trail.n] }

// reading is a source with what was found in it.
type reading struct {
	*source
	found []match // by group, then place
}

// read brings the text to the reader's alphabet and finds what the lexicon knows, after the guards.
func (lex *lexicon) read(title, text string, at time.Time) *reading {
	r := &reading{source: newSource(title, text)}
	r.tokenize(at)
	var raw []match
	var nots map[int][]bool // by group: runes inside which it does not look
	try := func(e *entry, i int) {
		m := match{group: e.group, from: i}
		end, v, ok := e.p.match(r.source, 0, i, &m.trail)
		if !ok || end == i {
			return
		}
		if !e.not {
			m.to, m.value = end, e.p.valueOf(v)
			raw = append(raw, m)
			return
		}
		if nots == nil {
			nots = map[int][]bool{}
		}
		cover := nots[e.group]
		if cover == nil {
			cover = make([]bool, len(r.runes))
			nots[e.group] = cover
		}
		for k := i; k < end; k++ {
			cover[k] = true
		}
	}
	for i, c := range r.runes {
		if c == stop || c == pause {
			continue
		}
		for _, e := range lex.index.first[c] {
			try(e, i)
		}
		last := kind(0)
		for n := int(r.at[i]); n < len(r.tokens) && r.tokens[n].from == i; n++ {
			if k := r.tokens[n].kind; k != last {
				last = k
				for _, e := range lex.index.tokens[k] {
					try(e, i)
				}
			}
		}
	}
	touched := func(cover []bool, m *match) bool {
		for k := m.from; cover != nil && k < m.to; k++ {
			if cover[k] {
				return true
			}
		}
		return false
	}
candidates:
	for i := range raw {
		m := &raw[i]
		if g := &lex.groups[m.group]; m.value > 0 && m.value < g.Min {
			continue
		}
		if touched(nots[maskGroup], m) || touched(nots[m.group], m) {
			continue
		}
		for _, g := range lex.groups[m.group].guards {
			if g.holds(r.source, m) {
				continue candidates
			}
		}
		r.found = append(r.found, *m)
	}
	return r
}
