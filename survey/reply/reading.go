package reply

import "sync"

// reading is the work on one text: the text, where rules begin in it, and the guards already applied. It is reused from a pool.
type reading struct {
	l      *Lexicon
	text   []rune
	hits   []hit
	guards uint64 // sections, by number, that have a guard to look at
	masked map[int32][]rune
	scale  Scale // that the digits of the text are of
}

// hit is a place where the first word of a pattern stands.
type hit struct {
	pattern  int32
	section  int16
	mask     bool
	from, to int32
}

var pool = sync.Pool{New: func() any { return &reading{masked: map[int32][]rune{}} }}

// scan finds where patterns may begin.
func (r *reading) scan(l *Lexicon, text []rune) {
	r.l, r.text, r.scale = l, text, Scale{}
	r.hits = r.hits[:0]
	clear(r.masked)
	r.guards = 0
	for i := range text {
		l.rules.each(text, i, func(value int32, n int) {
			if isLatin(text[i]) && splitsWord(text, i, i+n) {
				return
			}
			p := &l.patterns[value]
			if p.mask {
				r.guards |= 1 << uint(p.section)
			}
			r.hits = append(r.hits, hit{value, int16(p.section), p.mask, int32(i), int32(i + n)})
		})
	}
}

const blank = '\ufffc'

// view is the text as a section sees it: guards blanked out.
func (r *reading) view(section int32) []rune {
	if r.guards&(1<<uint(section)) == 0 {
		return r.text
	}
	if v, ok := r.masked[section]; ok {
		return v
	}
	v := r.text
	for _, h := range r.hits {
		if h.section != int16(section) || !h.mask {
			continue
		}
		p := &r.l.patterns[h.pattern]
		end, ok := p.match(r.text, int(h.from), int(h.to))
		if !ok {
			continue
		}
		if &v[0] == &r.text[0] {
			v = append([]rune{}, r.text...)
		}
		for i := int(h.from); i < end; i++ {
			v[i] = blank
		}
	}
	r.masked[section] = v
	return v
}

// find returns the first place where a rule of the section matches, and the word of the lexicon it began with.
func (r *reading) find(name string) (at span, word string, found bool) {
	found = r.each(name, func(s span, h hit) bool {
		at, word = s, string(r.text[h.from:h.to])
		return false
	})
	return at, word, found
}

func (r *reading) has(name string) bool {
	_, _, ok := r.find(name)
	return ok
}

// count returns how many different places of the text match a section, up to limit.
func (r *reading) count(name string, limit int) int {
	n, last := 0, -1
	r.each(name, func(s span, _ hit) bool {
		if s.from > last {
			n++
			last = s.to - 1
		}
		return n < limit
	})
	return n
}

// each calls yield for every match of a section until it returns false.
func (r *reading) each(name string, yield func(span, hit) bool) bool {
	section := r.l.bySect[name]
	found := false
	for _, h := range r.hits {
		if h.section != int16(section) || h.mask {
			continue
		}
		p := &r.l.patterns[h.pattern]
		view := r.view(section)
		if !hasAt(view, int(h.from), r.text[h.from:h.to]) {
			continue
		}
		if end, ok := p.match(view, int(h.from), int(h.to)); ok {
			found = true
			if !yield(span{int(h.from), end}, h) {
				return true
			}
		}
	}
	return found
}

// all returns every match of a section.
func (r *reading) all(name string) []span {
	var out []span
	r.each(name, func(s span, _ hit) bool {
		out = append(out, s)
		return true
	})
	return out
}
