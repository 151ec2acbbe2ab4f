package classify

import (
	"slices"
	"sort"
	"strings"
)

// reading is what one field (title or text) says.
type reading struct {
	plain   []rune
	hits    []hit
	score   [domainsLen]float64
	grams   [domainsLen]float64
	words   [domainsLen][]*word // words that spoke for the domain, strongest first
	rules   [domainsLen]*rule   // the strongest rule that held
	telling bool                // a word of weight, or a rule, spoke for one of the nine police domains
	police  bool                // the police, or a report to them, is mentioned
}

func (r reading) empty() bool { return len(r.plain) == 0 }

// restShare is what further words of a domain add beside its strongest: many hints for one thing are little more than one.
const restShare = 0.35

// telling is the weight from which a word says what a text is about.
const telling = 2.5

// read scores one field.
func (c *Classifier) read(plain []rune, title bool) reading {
	r := reading{plain: plain}
	if len(plain) == 0 {
		return r
	}
	r.hits = c.lex.find(plain)
	var best, sum [domainsLen]float64
	seen := map[*word]bool{}
	for _, h := range r.hits {
		if seen[h.word] {
			continue
		}
		seen[h.word] = true
		r.police = r.police || has(h, c.lex.police) || has(h, c.lex.report)
		for _, w := range h.word.weights {
			sum[w.domain] += w.weight
			best[w.domain] = max(best[w.domain], w.weight)
			if w.weight > 0 {
				r.words[w.domain] = append(r.words[w.domain], h.word)
			}
		}
	}
	rules := c.rules(r.hits, plain, title)
	grams := plain
	if len(grams) > maxGrams {
		grams = grams[:maxGrams]
	}
	cut := c.grams(grams)
	r.grams = c.model.score(cut)
	line := c.line.score(cut)
	for d := range r.grams {
		r.grams[d] = min(gramShare*r.grams[d]+lineShare*line[d], gramsMost)
	}
	for d := range r.score {
		sort.SliceStable(r.words[d], func(i, j int) bool { return r.words[d][i].weight(d) > r.words[d][j].weight(d) })
		r.score[d] = r.grams[d] + best[d] + restShare*(sum[d]-best[d])
		if rules[d] != nil {
			r.rules[d] = rules[d]
			r.score[d] += rules[d].weight
		}
		r.telling = r.telling || d != iNotPolice && (best[d] >= telling || rules[d] != nil)
	}
	return r
}

// rules gives for each domain the strongest rule that holds. A title is one field; a text is taken sentence by sentence, since what
// stands in different sentences need not belong together.
func (c *Classifier) rules(hits []hit, plain []rune, title bool) (out [domainsLen]*rule) {
	take := func(hits []hit) {
		if len(hits) == 0 {
			return
		}
		var mask [maxClasses]bool
		for _, h := range hits {
			for _, k := range h.word.classes {
				mask[k] = true
			}
		}
		for i := range c.lex.rules {
			r := &c.lex.rules[i]
			if have := out[r.domain]; (have == nil || have.weight < r.weight) && r.holds(&mask, hits) {
				out[r.domain] = r
			}
		}
	}
	if title {
		take(hits)
		return out
	}
	from := 0
	for i, r := range plain {
		if r != '。' && r != '!' && r != '?' && r != ';' && r != '\n' {
			continue
		}
		n := from
		for n < len(hits) && hits[n].from < i {
			n++
		}
		take(hits[from:n])
		from = n
	}
	take(hits[from:])
	return out
}

// officeGram stands for any word for the police, so that one mention is one feature: 派出所 alone does not make a text a complaint.
const officeGram gram = 1 << 62

// grams are the features of the model: characters and pairs of characters, with places and the neighbours of police stations left out
// and words for the police as one feature.
func (c *Classifier) grams(plain []rune) []gram {
	out := make([]gram, 0, 2*len(plain))
	skip := c.lex.asides(plain)
	var last rune
	for i := 0; i < len(plain); i++ {
		r := plain[i]
		if skip != nil && skip[i] || !letter(r) {
			last = 0
			continue
		}
		if w := c.lex.longest(plain, i); w != nil && w.size > 1 && slices.Contains(w.classes, c.lex.police) {
			out = append(out, officeGram)
			i, last = i+w.size-1, 0
			continue
		}
		out = append(out, gram(r))
		if last != 0 {
			out = append(out, gram(last)<<32|gram(r))
		}
		last = r
	}
	return out
}

// why tells staff in one line what speaks for a domain.
func (c *Classifier) why(d int, t, b reading) string {
	var parts []string
	add := func(field string, r reading) {
		if r.rules[d] != nil {
			parts = append(parts, field+r.rules[d].reason)
		}
		if n := min(len(r.words[d]), 3); n > 0 {
			var w []string
			for _, x := range r.words[d][:n] {
				w = append(w, "“"+x.text+"”")
			}
			parts = append(parts, field+"有"+strings.Join(w, "、"))
		}
	}
	add("标题：", t)
	add("正文：", b)
	if len(parts) == 0 {
		if t.grams[d] > 0 || b.grams[d] > 0 {
			return "用字与本类例句相近"
		}
		return "没有直接依据"
	}
	return strings.Join(parts, ";")
}
