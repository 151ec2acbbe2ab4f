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
	held := false                 // the sentence holds a reservation: 就是停车场太小，不好停车
	elsewhere, asked := "", false // a judgement asked, or of another time
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
					held = (held || reserved) && text[i] == ','
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
			used[k] = conceded || reserved || held
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
				elsewhere = "satisfaction at another time or on a condition"
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
		if !t.whole && (t.class == blame || t.class == mild || t.class == gripe) && overlaps(benign, span{t.from, t.to}) {
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
		if o.class == scale && l.saidByOthers(text, toks, clauseStart, first, k) {
			elsewhere = "satisfaction of somebody else"
			continue
		}
		if o.level > 0 && o.level <= 3 || o.class == scale || o.class == blame && !exclaimed(text, t.from) {
			if o.class != thanks && l.questioned(text, toks, k, clauseStart) {
				if elsewhere = "questioned"; t.class != scale || o.level < 4 || o.level == 4 && !rhetorical(text, toks, clauseStart, k) {
					asked = true
				}
				continue
			}
		}
		o.reserved, o.topic, o.clause, o.at = reserved || held && o.class == mild, topic, clause, t.from
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
		if (t.class == not || t.class == little || t.class == notatall) && !used[k] && !inSpans(benign, t.from) && !unreal(text, t.from) &&
			!(t.from > 0 && (text[t.from-1] == '都' || text[t.from-1] == '也') && atEnd(text, t.to, ofClause)) {
			w.negated = true
		}
	}
	if elsewhere != "" && w.doubt == "" && !w.plain(asked) {
		w.doubt = elsewhere
	}
	w.clauses = clause + 1
	w.gather(text)
	return w
}

const topic_ = topic

// plain reports a plain word of the scale that stands beside one that is asked or of another time, and answers it:
// 以前不满意，现在满意; 怎么会不满意呢，满意. Beside a question that may be meant, only a bad one does.
func (w *words) plain(asked bool) bool {
	for _, o := range w.opinions {
		if o.class == scale && (o.level >= 4 || !asked) {
			return true
		}
	}
	return false
}

// unreal reports that what stands at i would have been and was not: 要不是你们来得及时，孩子就没了; 多亏了你们，不然钱就没了.
func unreal(text []rune, i int) bool {
	for ; i > 0; i-- {
		switch text[i-1] {
		case '。', '!', '?', '\n':
			return false
		}
		for _, w := range unrealWords {
			if hasAt(text, i-1, w) {
				return true
			}
		}
	}
	return false
}

var unrealWords = [][]rune{[]rune("要不是"), []rune("若不是"), []rune("如果不是"), []rune("多亏"), []rune("幸亏"), []rune("幸好"), []rune("不然"), []rune("否则"), []rune("差点")}

// rhetorical reports a question that denies what it asks: 怎么会不满意, 哪有不满意的, 有啥不满意的.
func rhetorical(text []rune, toks []token, clauseStart, k int) bool {
	for j := clauseStart; j < k; j++ {
		if toks[j].class == ask {
			switch text[toks[j].from] {
			case '怎', '咋', '哪', '啥', '什', '谁':
				return true
			}
		}
	}
	return false
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
		if t.class == party && (!leads(toks, clauseStart, j) || text[t.from] == '人' && toks[k].class == praise) {
			continue // 人家态度好 is said of the police
		}
		served, whose := false, "police"
		if l.inSet("institution", text, t.from) == t.to-t.from {
			whose = "officer" // a hospital has services of its own
		}
		for i := t.to; i < toks[k].from; i++ {
			if l.inSet(whose, text, i) > 0 {
				served = true
			}
		}
		if !served {
			return true
		}
	}
	return false
}

// saidByOthers reports that somebody outside the family is said to be satisfied or not: 邻居不满意, 对方说满意.
func (l *Lexicon) saidByOthers(text []rune, toks []token, clauseStart, first, k int) bool {
	for j := first - 1; j >= clauseStart; j-- {
		switch t := toks[j]; t.class {
		case weak, address, ack, filler:
			if t.to-t.from == 1 || t.class == weak {
				continue
			}
			return false
		case party:
			if l.inSet("family", text, t.from) == t.to-t.from || !leads(toks, clauseStart, j) {
				return false
			}
			for i := t.to; i < toks[k].from; i++ {
				if text[i] == '也' {
					return false // 对方也满意: so am I
				}
			}
			for i := t.to; i < toks[first].from; i++ {
				switch text[i] {
				case '说', '都', '们', '家', '很', '还', '可', '就', '却', '倒', '是', '觉', '得', '表', '示':
				default:
					return false
				}
			}
			return true
		default:
			return false
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
		if toks[j].class == ask && !everything(text, toks[j].to) {
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

// everything reports that a question word means all of them: 啥都利索, 谁也不错.
func everything(text []rune, i int) bool {
	for n := 0; n < 3 && i < len(text) && !isBoundary(text[i]); n, i = n+1, i+1 {
		if text[i] == '都' || text[i] == '也' {
			return true
		}
	}
	return false
}

// quotedWord reports a word in quotation marks inside a sentence: 真是太“满意”了.
func quotedWord(text []rune, t token) bool {
	for i := 0; i < 2 && t.from > 1 && isHan(text[t.from-1]); i++ { // “真好”
		t.from--
	}
	if t.from < 2 || t.to >= len(text) || text[t.from-1] != '"' || text[t.to] != '"' {
		return false
	}
	if t.to+1 < len(text) && isHan(text[t.to+1]) {
		return true
	}
	switch before := text[t.from-2]; before {
	case '复', '选', '是', '为', '评', '给', '打', '按', '答', '写', '字':
		return false
	default:
		return isHan(before)
	}
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
