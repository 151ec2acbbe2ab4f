package reply

// weigh gives the opinion of the word toks[k] together with its measure words; doubt is set when the combination means no rating.
func weigh(text []rune, toks []token, k int) (o opinion, first int, doubt string) {
	t := toks[k]
	o = opinion{class: t.class, level: t.level, aspect: t.aspect}
	m, first := measure(text, toks, k)
	if n := noneOf(text, toks, first); n >= 0 && m.nots < 2 {
		m.nots, m.none, first = m.nots+1, true, n
	}
	if t.class != fixed && t.class != thanks && t.class != emoji && noneAfter(text, t.to) {
		m.nots++
		m.none = m.nots == 2
		m.all = m.all || first > 0 && toks[first-1].class == soft && touches(text, toks[first-1].to, toks[first].from) || m.soft
	}
	if k+1 < len(toks) && touches(text, t.to, toks[k+1].from) {
		switch toks[k+1].class {
		case after:
			m.lift(strong)
		case afterVery:
			m.lift(very)
		case afterLittle:
			m.soft = true
		case afterNot, afterWhat:
			if t.class == scale || t.class == praise {
				return o, first, "unclear turn after praise"
			}
		}
	}
	switch t.class {
	case fixed, emoji:
		if m.nots > 0 && t.class == fixed {
			return o, first, "negated idiom"
		}
	case scale, praise:
		switch {
		case m.nots == 0 && m.hedged:
			o.level = 3
			o.class = soso
			if t.class == scale {
				o.class = scale
			}
		case m.nots == 0 && (m.degree == strong || m.degree == very && t.class == scale):
			o.level = 1
		case m.nots == 0:
			o.level = t.level
		case m.nots == 1:
			o.level = 4
			if m.all || m.before == strong || m.before == very && t.class == scale {
				o.level = 5
			}
			if m.little {
				o.level = 4
			}
			if t.class == praise {
				o.class = blame
			}
		case m.none && m.nots == 2:
			o.level = 2
		default:
			return o, first, "double negation"
		}
	case blame:
		switch {
		case m.nots == 0 && m.degree == strong:
			o.level = 5
		case m.nots == 0:
		case m.nots == 1 && m.little:
			o.class, o.level = soso, 3
		case m.nots == 1 && t.level == 4:
			o.class, o.level = praise, 2
		default:
			return o, first, "double negation"
		}
	case thanks:
		if m.nots > 0 {
			return o, first, "negated thanks"
		}
		if m.degree == strong {
			o.level = 1
		}
	case soso:
		if m.nots > 0 || m.degree == strong {
			return o, first, "so-so, but how"
		}
	case mild:
		o.hard, o.soft = m.degree == strong, m.soft
		if m.nots > 0 {
			o.class, o.level = faint, 0
		}
	case gripe:
		if m.nots > 0 {
			o.class, o.level, o.aspect = praise, 2, true
		}
	case faint:
		if m.nots > 0 {
			o.class, o.level = mild, 0
		}
	}
	return o, first, ""
}

// noneOf finds 没有一个 … before toks[first] in its clause, with nothing but words for people and of address between: it
// denies what is said of all of them. It returns its place in toks, or -1.
func noneOf(text []rune, toks []token, first int) int {
	for j := first - 1; j >= 0; j-- {
		for i := toks[j].to; i < toks[j+1].from; i++ {
			if isBoundary(text[i]) {
				return -1
			}
		}
		switch t := toks[j]; t.class {
		case not:
			if last := text[t.to-1]; (last == '个' || last == '位' || last == '名') && t.to-t.from > 1 {
				return j
			}
			return -1
		case aspect, address, weak:
		default:
			return -1
		}
	}
	return -1
}

// noneAfter reports that the clause goes on after i with 的都没有, 也没有: 一个负责的都没有, 一点耐心都没有.
func noneAfter(text []rune, i int) bool {
	if i < len(text) && text[i] == '的' {
		i++
	}
	for _, r := range []rune{'人', '民', '警'} {
		if i < len(text) && text[i] == r {
			i++
		}
	}
	if i+1 >= len(text) || text[i] != '都' && text[i] != '也' || text[i+1] != '没' {
		return false
	}
	if i += 2; i < len(text) && text[i] == '有' {
		i++
	}
	return atEnd(text, i, ofClause)
}

// measures is what the degree words and negations before a word add up to.
type measures struct {
	degree class // strong or very, directly before the word
	before class // strong or very, before the negation
	nots   int
	none   bool // the first negation is 没有, 没什么, 无: with a second one it cancels
	little bool // 不太
	all    bool // 一点都不
	soft   bool
	hedged bool
}

func (m *measures) lift(c class) {
	if m.nots > 0 {
		if c == strong {
			m.all = true
		} else if m.before != strong {
			m.before = c
		}
		return
	}
	if m.degree != strong {
		m.degree = c
	}
}

// measure walks left from toks[k] over the words that touch it.
func measure(text []rune, toks []token, k int) (m measures, first int) {
	first = k
	for first > 0 && touches(text, toks[first-1].to, toks[first].from) {
		switch toks[first-1].class {
		case strong, very, weak, soft, not, little, notatall, hedge:
			first--
			continue
		case address, aspect:
			if n := toks[first-1]; n.to-n.from == 1 && (n.class == address || text[n.from] == '人') { // 让人失望, 对我们…
				first--
				continue
			}
		}
		break
	}
	for _, t := range toks[first:k] {
		switch t.class {
		case strong, very:
			if m.nots > 0 {
				m.little = true // 不是非常满意
			} else if m.degree != strong {
				m.degree = t.class
			}
		case soft:
			m.soft = true
			if m.nots == 0 && string(text[t.from:t.to]) == "不够" {
				m.nots++
				m.little = true
			}
		case hedge:
			m.hedged = true
		case not, little, notatall:
			m.nots++
			if m.nots == 1 {
				m.before, m.degree = m.degree, 0
				r := text[t.from]
				m.none = (t.class == not || t.class == notatall) && (r == '没' || r == '无' || r == '毫')
			}
			m.little = m.little || t.class == little
			m.all = m.all || t.class == notatall
		}
	}
	return m, first
}

// touches reports that nothing but spaces and joining characters stands between two words.
func touches(text []rune, from, to int) bool {
	for i := from; i < to; i++ {
		switch text[i] {
		case ' ', '的', '地', '得', '之', '让', '人', '令', '使', '叫':
		default:
			return false
		}
	}
	return true
}
