package classify

import "slices"

// word is an entry of the lexicon, of a class of the rules, or of both.
type word struct {
	text    string
	size    int // runes
	weights []weight
	classes []int
}

type weight struct {
	domain int
	weight float64
}

func (w *word) weight(domain int) float64 {
	for _, x := range w.weights {
		if x.domain == domain {
			return x.weight
		}
	}
	return 0
}

// hit is a word found at [from,to).
type hit struct {
	word     *word
	from, to int
}

// lexicon finds words and holds the rules over them.
type lexicon struct {
	next           map[uint64]int32 // node<<32 | rune -> node
	words          []*word          // by node; nil where no word ends
	classes        map[string]int
	rules          []rule
	org, locative  int // classes the reader itself asks for
	police, report int
	places         *tree
}

// find returns the words of a text from left to right. A word that lies wholly inside a longer one is not reported, so that
// "网约车驾驶证" is no "驾驶证"; nor is an office that only tells where something is ("派出所旁边").
func (l *lexicon) find(plain []rune) []hit {
	var hits []hit
	end := 0
	for i := range plain {
		node := int32(0)
		var best hit
		for j := i; j < len(plain); j++ {
			n, ok := l.next[uint64(node)<<32|uint64(plain[j])]
			if !ok {
				break
			}
			node = n
			if w := l.words[node]; w != nil {
				best = hit{w, i, j + 1}
			}
		}
		if best.word != nil && best.to > end {
			hits = append(hits, best)
			end = best.to
		}
	}
	return dropAsides(hits, l.org, l.locative)
}

// dropAsides removes an office that is followed at once by a word of place, and keeps the word of place away from the rules too.
func dropAsides(hits []hit, org, locative int) []hit {
	out := hits[:0]
	for i := 0; i < len(hits); i++ {
		if i+1 < len(hits) && has(hits[i], org) && has(hits[i+1], locative) && hits[i+1].from == hits[i].to {
			i++
			continue
		}
		out = append(out, hits[i])
	}
	return out
}

// asides marks the characters that say where and not what: names of places, and offices named as a landmark. nil when there are none.
func (l *lexicon) asides(plain []rune) []bool {
	var mark []bool
	set := func(from, to int) {
		if mark == nil {
			mark = make([]bool, len(plain))
		}
		for i := from; i < to; i++ {
			mark[i] = true
		}
	}
	if l.places != nil {
		for i := 0; i < len(plain); {
			if n, _ := l.places.longest(plain[i:]); n > 0 {
				set(i, i+n)
				i += n
				continue
			}
			i++
		}
	}
	prevOrg := -1
	for i := 0; i < len(plain); {
		w := l.longest(plain, i)
		if w == nil {
			i++
			prevOrg = -1
			continue
		}
		if prevOrg >= 0 && slices.Contains(w.classes, l.locative) {
			set(prevOrg, i+w.size)
		}
		prevOrg = -1
		if slices.Contains(w.classes, l.org) {
			prevOrg = i
		}
		i += w.size
	}
	return mark
}

func (l *lexicon) longest(plain []rune, at int) *word {
	node := int32(0)
	var best *word
	for j := at; j < len(plain); j++ {
		n, ok := l.next[uint64(node)<<32|uint64(plain[j])]
		if !ok {
			break
		}
		node = n
		if w := l.words[node]; w != nil {
			best = w
		}
	}
	return best
}

func has(h hit, class int) bool { return slices.Contains(h.word.classes, class) }

// entry finds or makes the word for a text.
func (l *lexicon) entry(text string) *word {
	node := int32(0)
	runes := normalise(text, maxText)
	for _, r := range runes {
		key := uint64(node)<<32 | uint64(r)
		n, ok := l.next[key]
		if !ok {
			n = int32(len(l.words))
			l.next[key] = n
			l.words = append(l.words, nil)
		}
		node = n
	}
	if l.words[node] == nil {
		l.words[node] = &word{text: string(runes), size: len(runes)}
	}
	return l.words[node]
}

// inherit gives a word that only the rules name the weights of the lexicon's words inside it, which it would otherwise hide ("报名上学" of
// "上学"). A word of the lexicon keeps what the file says: hiding is what it may be there for.
func (l *lexicon) inherit() {
	var bare []*word
	for _, w := range l.words {
		if w != nil && w.weights == nil {
			bare = append(bare, w)
		}
	}
	for _, w := range bare {
		var sum [domainsLen]float64
		runes := []rune(w.text)
		for from := range runes {
			for to := from + 1; to <= len(runes); to++ {
				if in := l.exact(runes[from:to]); in != nil && in != w {
					for _, x := range in.weights {
						sum[x.domain] = max(sum[x.domain], x.weight)
					}
				}
			}
		}
		var got []weight
		for d, v := range sum {
			if v > 0 {
				got = append(got, weight{d, v})
			}
		}
		defer func() { w.weights = got }() // afterwards, so that the order of the words does not matter
	}
}

func (l *lexicon) exact(runes []rune) *word {
	node := int32(0)
	for _, r := range runes {
		n, ok := l.next[uint64(node)<<32|uint64(r)]
		if !ok {
			return nil
		}
		node = n
	}
	return l.words[node]
}

// term is one part of a rule's condition.
type term struct {
	not    bool
	class  int
	within int // with follow: most characters between the two
	follow int // class, or -1
}

// rule adds weight to a domain when all its terms hold.
type rule struct {
	domain int
	weight float64
	terms  []term
	reason string
}

const maxClasses = 96

func (r *rule) holds(mask *[maxClasses]bool, hits []hit) bool {
	for _, t := range r.terms {
		held := mask[t.class]
		if held && t.follow >= 0 {
			held = mask[t.follow] && follows(hits, t)
		}
		if held == t.not {
			return false
		}
	}
	return true
}

// follows reports whether a word of t.follow begins at most t.within characters after a word of t.class ends.
func follows(hits []hit, t term) bool {
	for i, a := range hits {
		if !has(a, t.class) {
			continue
		}
		for _, b := range hits[i+1:] {
			if b.from-a.to > t.within {
				break
			}
			if b.from >= a.to && has(b, t.follow) {
				return true
			}
		}
	}
	return false
}
