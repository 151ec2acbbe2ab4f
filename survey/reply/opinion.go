package reply

// opinion is one judgement found in the words.
type opinion struct {
	class    class
	level    int  // 1..5; 0 for mild, gripe, faint
	aspect   bool // of one side of the service
	hard     bool // strong mild criticism (太慢)
	soft     bool // softened (有点慢, 慢了点)
	reserved bool // in a reservation (就是…)
	topic    bool // about a new matter (另外…)
	clause   int
	at       int
}

// words is what the words of a text say, before digits are looked at.
type words struct {
	toks     []token
	opinions []opinion
	doubt    string  // not empty: irony, evasion, a questioned rating; the reading needs a person
	demand   bool    // something is asked for
	negated  bool    // a negation that belongs to no judgement
	past     [2]bool // good and bad judgements of another time
	maybe    [2]bool // 好, 差 in a place that may or may not judge the service
	clauses  int
}

// judge reads every opinion in the text with the words around it.
func (l *Lexicon) judge(text []rune, toks []token, benign []span) words {
	w := words{toks: toks}
	clause, reserved, topic, conditional, hoped := 0, false, false, false, false
	clauseStart := 0
	used := make([]bool, len(toks))
	conceded := false
	for k, t := range toks {
		from := 0
		if k > 0 {
			from = toks[k-1].to
		}
		for i := from; i < t.from; i++ {
			if isBoundary(text[i]) {
				clause++
				clauseStart = k
				hoped, conditional = false, false
				if r := text[i]; r == '。' || r == '!' || r == '?' || r == '\n' {
					topic = false
				}
				if text[i] != ' ' {
					reserved, conceded = false, false
				}
			}
		}
		switch t.class {
		case contrast:
			clause++
			clauseStart = k + 1
			reserved, hoped, conditional = false, false, false
		case reserve:
			reserved = true
			conceded = conceded || text[t.from] == '虽' || text[t.from] == '尽'
		case topic_:
			topic = true
		case cond:
			conditional = true
		case hope:
			hoped = true
		case ironic:
			w.doubt = "ironic sign"
		}
		if !t.class.opinionated() {
			used[k] = conceded
			continue
		}
		if t.bare && !l.standsAlone(text, toks, k, clauseStart) && !licensed(toks[:k], text, t.from) {
			switch text[t.from] {
			case '好', '棒', '赞', '美':
				w.maybe[0] = true
			case '差', '烂', '坏', '坑', '懒', '凶':
				w.maybe[1] = true
			}
			continue
		}
		if conditional && t.class != emoji {
			if t.class == scale {
				w.doubt = "satisfaction at another time or on a condition"
			}
			w.demand = true
			if t.class == praise || t.class == fixed && t.level < 3 {
				w.past[0] = true
			} else if t.class == blame || t.class == fixed && t.level > 3 {
				w.past[1] = true
			}
			continue
		}
		if quotedWord(text, t) {
			w.doubt = "a word in quotation marks"
			continue
		}
		if (t.class == blame || t.class == mild || t.class == gripe) && overlaps(benign, span{t.from, t.to}) {
			continue
		}
		o, first, doubt := weigh(text, toks, k)
		for j := first; j < k; j++ {
			used[j] = true
		}
		if doubt != "" {
			w.doubt = doubt
			continue
		}
		if hoped && o.class != thanks && o.class != emoji {
			w.demand = true
			continue
		}
		if o.class != thanks && o.class != scale && o.class != emoji && l.ofOthers(text, toks, clauseStart, k) {
			continue
		}
		if o.level > 0 && o.level <= 3 || o.class == scale || o.class == blame && !exclaimed(text, t.from) {
			if o.class != thanks && l.questioned(text, toks, k, clauseStart) {
				w.doubt = "questioned"
				continue
			}
		}
		o.reserved, o.topic, o.clause, o.at = reserved, topic, clause, t.from
		if !o.aspect {
			for j := clauseStart; j < k; j++ {
				if toks[j].class == aspect {
					o.aspect = true
				}
			}
		}
		w.opinions = append(w.opinions, o)
	}
	for k, t := range toks {
		if (t.class == not || t.class == little || t.class == notatall) && !used[k] && !inSpans(benign, t.from) {
			w.negated = true
		}
	}
	w.clauses = clause + 1
	w.gather(text)
	return w
}

const topic_ = topic

// weigh gives the opinion of the word toks[k] together with its measure words; doubt is set when the combination means no rating.
func weigh(text []rune, toks []token, k int) (o opinion, first int, doubt string) {
	t := toks[k]
	o = opinion{class: t.class, level: t.level, aspect: t.aspect}
	m, first := measure(text, toks, k)
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
				m.none = t.class == not && (r == '没' || r == '无' || r == '毫') || t.class == notatall && r == '毫'
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

// standsAlone reports that a short word is all its clause says: 好。 差！
func (l *Lexicon) standsAlone(text []rune, toks []token, k, clauseStart int) bool {
	t := toks[k]
	for i := t.from - 1; i >= 0 && !isBoundary(text[i]); i-- {
		covered := false
		for j := clauseStart; j < k; j++ {
			if toks[j].from <= i && i < toks[j].to {
				switch toks[j].class {
				case greet, ack, thanks, address, filler, emoji, scale, fixed, weak:
					covered = true
				case praise, blame, soso:
					covered = text[i] == text[t.from] || !toks[j].bare
				}
			}
		}
		if !covered && !isDigit(text[i]) && !isNumeral(text[i]) {
			return false
		}
	}
	for i := t.to; i < len(text) && !isBoundary(text[i]); i++ {
		if isParticle(text[i]) || text[i] == '了' || text[i] == '的' || text[i] == text[t.from] || isDigit(text[i]) {
			continue
		}
		covered := false
		for j := k + 1; j < len(toks) && toks[j].from <= i; j++ {
			if i < toks[j].to {
				switch toks[j].class {
				case ack, thanks, filler, emoji, scale, strong, very, praise, address, after, afterVery, afterLittle, greet, reserve:
					covered = true
				}
			}
		}
		if !covered {
			return false
		}
	}
	return true
}

// ofOthers reports that the clause speaks of someone or something else than the service (对方态度恶劣, 眼神不好).
func (l *Lexicon) ofOthers(text []rune, toks []token, clauseStart, k int) bool {
	for j := k - 1; j >= clauseStart; j-- {
		t := toks[j]
		if t.class != self && t.class != party {
			continue
		}
		if t.class == party && !leads(toks, clauseStart, j) {
			continue
		}
		served := false
		for i := t.to; i < toks[k].from; i++ {
			if l.inSet("police", text, i) > 0 {
				served = true
			}
		}
		if !served {
			return true
		}
	}
	return false
}

// leads reports that only words of address and joints stand before toks[j] in its clause.
func leads(toks []token, clauseStart, j int) bool {
	for i := clauseStart; i < j; i++ {
		switch toks[i].class {
		case address, weak, filler, reserve, topic_, self, party, ack:
		default:
			return false
		}
	}
	return true
}

// questioned reports that the judgement is asked, not given: 满意？ 好吗, 哪里满意.
func (l *Lexicon) questioned(text []rune, toks []token, k, clauseStart int) bool {
	for j := clauseStart; j < k; j++ {
		if toks[j].class == ask {
			return true
		}
	}
	for j := k + 1; j < len(toks); j++ {
		clear := true
		for i := toks[j-1].to; i < toks[j].from; i++ {
			clear = clear && !isBoundary(text[i])
		}
		if !clear {
			break
		}
		if toks[j].class == ask {
			return true
		}
	}
	i := toks[k].to
	for ; i < len(text) && !isBoundary(text[i]); i++ {
		if text[i] == '吗' || text[i] == '么' {
			return true
		}
	}
	for ; i < len(text) && isBoundary(text[i]) && text[i] != '\n'; i++ {
		if text[i] == '?' {
			return true
		}
	}
	return i < len(text) && (text[i] == '吗' || text[i] == '么')
}

// quotedWord reports a word in quotation marks inside a sentence: 真是太“满意”了.
func quotedWord(text []rune, t token) bool {
	if t.from < 2 || t.to >= len(text) || text[t.from-1] != '"' || text[t.to] != '"' {
		return false
	}
	return t.to+1 < len(text) && isHan(text[t.to+1]) || isHan(text[t.from-2]) && text[t.from-2] != '复' && text[t.from-2] != '选'
}

func overlaps(spans []span, f span) bool {
	for _, s := range spans {
		if s.from < f.to && f.from < s.to {
			return true
		}
	}
	return false
}

func inSpans(spans []span, i int) bool {
	for _, s := range spans {
		if s.from <= i && i < s.to {
			return true
		}
	}
	return false
}

// exclaimed reports a clause that asks without wanting to know: 怎么这么差？
func exclaimed(text []rune, i int) bool {
	for ; i > 0 && !isBoundary(text[i-1]); i-- {
		switch text[i-1] {
		case '怎', '咋', '么', '凭', '何':
			return true
		}
	}
	return false
}

// gather lifts repeated pictures: 👍👍👍 is more than 👍.
func (w *words) gather(text []rune) {
	count := map[bool]int{}
	for _, o := range w.opinions {
		if o.class == emoji {
			count[o.level >= 4]++
		}
	}
	for i := range w.opinions {
		o := &w.opinions[i]
		if o.class == emoji && count[o.level >= 4] > 1 {
			if o.level >= 4 {
				o.level = 5
			} else {
				o.level = 1
			}
		}
	}
}
