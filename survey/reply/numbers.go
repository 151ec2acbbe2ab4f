package reply

// digits is what the numbers of a text say.
type digits struct {
	value  int    // the one digit meant, 0 when there is none
	doubt  string // not empty: several digits, out of scale, points, a digit asked or denied
	number bool   // a telephone or identity number
	marks  []span // where the digits of the answer stand
}

// readNumbers finds the numbers that answer the survey and leaves out those that belong to a story.
func (l *Lexicon) readNumbers(text []rune, toks []token) digits {
	n := numbers{l: l, text: text, toks: toks}
	for i := 0; i < len(text); {
		switch {
		case n.inWord(i):
			i++
		case isDigit(text[i]):
			i = n.arabic(i)
		case isNumeral(text[i]):
			i = n.chinese(i)
		default:
			i++
		}
	}
	if n.out.value == 0 && n.weak > 0 && n.out.doubt == "" {
		n.out.doubt = "digit inside a text"
	}
	if n.weak > 0 && n.weak != n.out.value && n.out.value > 0 {
		n.out.doubt = "several digits"
	}
	return n.out
}

type numbers struct {
	l    *Lexicon
	text []rune
	toks []token
	out  digits
	weak int // a digit that stands inside a text and may or may not be an answer
	tok  int // cursor into toks
}

// inWord reports that text[i] belongs to a word of more than one character that a number must not be read out of (一般, 110, 100分).
func (n *numbers) inWord(i int) bool {
	for n.tok < len(n.toks) && n.toks[n.tok].to <= i {
		n.tok++
	}
	if n.tok >= len(n.toks) || n.toks[n.tok].from > i {
		return false
	}
	t := n.toks[n.tok]
	if t.class == aspect && isDigit(n.text[t.from]) && n.apart(t.from, t.to) {
		n.out.doubt = "out of scale" // 110 and nothing else
	}
	return t.class != address
}

// tokenAt returns the word that starts at i.
func (n *numbers) tokenAt(i int) (token, bool) {
	for _, t := range n.toks {
		if t.from == i {
			return t, true
		}
		if t.from > i {
			break
		}
	}
	return token{}, false
}

func (n *numbers) tokenBefore(i int) (token, bool) {
	var last token
	for _, t := range n.toks {
		if t.to > i {
			break
		}
		last = t
	}
	return last, last.to == i && i > 0
}

// apart reports that text[i:j] is all of the text but for signs.
func (n *numbers) apart(i, j int) bool {
	for k, r := range n.text {
		if (k < i || k >= j) && isWord(r) && !isParticle(r) {
			return false
		}
	}
	return true
}

// arabic reads the number at i and what is tied to it, and returns where to go on.
func (n *numbers) arabic(i int) int {
	text := n.text
	if end, phone := n.long(i); end > 0 {
		if phone {
			n.out.number = true
		}
		return end
	}
	// A chain: 2.5, 8:30, 1-2, 3/15, 1到2.
	type part struct{ from, to int }
	parts := []part{{i, digitsEnd(text, i)}}
	var joint rune
	end := parts[0].to
	for end+1 < len(text) {
		if r := text[end]; isDigit(text[end+1]) && (r == '.' || r == ':' || r == '-' || r == '~' || r == '/' || r == '到' || r == '至' || r == '和' || r == '跟' || r == '或' || r == '与') {
			joint = r
			p := part{end + 1, digitsEnd(text, end+1)}
			parts = append(parts, p)
			end = p.to
			continue
		}
		break
	}
	if n.unit(end) > 0 && !n.choice(i, end) {
		if n.points(end) && n.opens(i) && !n.penalty(i) {
			n.doubt("points or stars")
		}
		return end
	}
	if len(parts) > 1 {
		switch {
		case joint == ':' || n.longPart(len(parts), func(k int) int { return parts[k].to - parts[k].from }):
			if n.clauseAlone(i, end) {
				n.doubt("out of scale")
			}
			return end
		case joint == '.':
			n.doubt("out of scale")
			return end
		}
	}
	if len(parts) > 1 && text[parts[0].from] != text[parts[len(parts)-1].from] {
		n.doubt("several digits")
		return end
	}
	for k, p := range parts {
		n.answer(p.from, p.to, end, k > 0)
	}
	return end
}

func (n *numbers) longPart(count int, length func(int) int) bool {
	for k := 0; k < count; k++ {
		if length(k) > 1 {
			return true
		}
	}
	return false
}

func digitsEnd(text []rune, i int) int {
	for i < len(text) && isDigit(text[i]) {
		i++
	}
	return i
}

// long recognises numbers of seven digits and more, written in one or in groups: telephone and identity numbers, and dates.
func (n *numbers) long(i int) (end int, phone bool) {
	text := n.text
	if i > 0 && isDigit(text[i-1]) {
		return 0, false
	}
	count, groups, stars := 0, 0, 0
	same := true
	first := 0
	j := i
	for j < len(text) {
		k := digitsEnd(text, j)
		for k < len(text) && text[k] == '*' {
			k++
			stars++
		}
		if k == j {
			break
		}
		if groups > 0 && k-j < 3 && text[j-1] == ' ' {
			break
		}
		for m := j; m < k; m++ {
			if isDigit(text[m]) {
				same = same && text[m] == text[i]
				count++
			}
		}
		if groups == 0 {
			first = k - j
		}
		groups++
		end = k
		if k+1 < len(text) && (text[k] == '-' || text[k] == ' ') && isDigit(text[k+1]) && k-i >= 3 {
			j = k + 1
			continue
		}
		break
	}
	if count < 7 && !(stars >= 3 && count >= 4) || same {
		return 0, false
	}
	year := first >= 4 && (text[i] == '1' && text[i+1] == '9' || text[i] == '2' && text[i+1] == '0')
	if year && count <= 8 && stars == 0 {
		return end, false
	}
	return end, true
}

// unit returns the length of the unit that follows a number ending at i, or 0.
func (n *numbers) unit(i int) int {
	spaced := i < len(n.text) && n.text[i] == ' '
	if spaced {
		i++
	}
	if i >= len(n.text) {
		return 0
	}
	if n.text[i] == '%' {
		return 1
	}
	u := n.l.inSet("unit", n.text, i)
	if u == 0 || spaced && u == 1 && !freeUnits[n.text[i]] {
		return 0
	}
	if n.l.inSet("notunit", n.text, i) >= u {
		return 0
	}
	if t, ok := n.tokenAt(i); ok && t.to-t.from > u {
		switch t.class {
		case neutral, aspect, cond, party, self, hope, address, ask:
			if t.class == neutral || t.class == party {
				break
			}
			return 0
		default:
			return 0
		}
	}
	return u
}

// freeUnits are the one-character units that may follow a number after a space.
var freeUnits = map[rune]bool{'个': true, '天': true, '年': true, '月': true, '号': true, '次': true, '遍': true, '趟': true, '块': true,
	'元': true, '岁': true, '点': true, '分': true, '星': true}

// points reports that a number ending at i counts points or stars.
func (n *numbers) points(i int) bool {
	if i < len(n.text) && n.text[i] == ' ' {
		i++
	}
	switch {
	case n.text[i] == '分', n.text[i] == '星':
		return i+1 >= len(n.text) || n.text[i+1] != '钟'
	case n.text[i] == '颗':
		return i+1 < len(n.text) && n.text[i+1] == '星'
	}
	return false
}

func (n *numbers) doubt(why string) {
	if n.out.doubt == "" {
		n.out.doubt = why
	}
}

// penalty reports points taken away or scored: 扣3分, 考5分.
func (n *numbers) penalty(i int) bool {
	if i == 0 {
		return false
	}
	switch n.text[i-1] {
	case '扣', '记', '罚', '差', '考':
		return true
	}
	return false
}

// choice reports 第1个, 选1号, 第二项: a number with a unit that still chooses.
func (n *numbers) choice(from, to int) bool {
	text := n.text
	if to < len(text) && text[to] == ' ' {
		return false
	}
	switch text[to] {
	case '个', '号', '项', '条', '种', '档', '级', '等':
	default:
		return false
	}
	if !n.closes(to+1) && !hasAt(text, to+1, []rune("选项")) && !hasAt(text, to+1, []rune("答案")) && !hasAt(text, to+1, []rune("选择")) {
		if _, ok := n.tokenAt(to + 1); !ok {
			return false
		}
		if t, _ := n.tokenAt(to + 1); t.class != scale && t.class != fixed && t.class != strong && t.class != not {
			return false
		}
	}
	if from == 0 {
		return hasAt(text, to+1, []rune("选项"))
	}
	if text[from-1] == '第' {
		return from == 1 || isBoundary(text[from-2]) || n.chosen(from-1)
	}
	return text[to] != '个' && n.chosen(from)
}

// chosen reports that a word of choosing ends at i: 选, 回复, 我给.
func (n *numbers) chosen(i int) bool {
	for back := 1; back <= 6 && back <= i; back++ {
		if n.l.inSet("choose", n.text, i-back) == back {
			start := i - back
			if start == 0 || isBoundary(n.text[start-1]) {
				return true
			}
			if t, ok := n.tokenBefore(start); ok {
				return t.class != not && t.class != notatall || n.l.inSet("choose", n.text, i-back) > 3
			}
			return back > 1 || strokes[n.text[start]] || n.chosen(start)
		}
	}
	return false
}

// strokes are the one-character words of choosing that need nothing before them.
var strokes = map[rune]bool{'选': true, '回': true, '给': true, '打': true, '评': true, '按': true, '发': true, '填': true, '答': true, '扣': true, '是': true, '说': true}

// closes reports that nothing but particles stands between i and the end of the clause.
func (n *numbers) closes(i int) bool { return atEnd(n.text, i, ofClause) }

func (n *numbers) clauseAlone(from, to int) bool {
	return (from == 0 || isBoundary(n.text[from-1])) && n.closes(to)
}

// answer judges one number without a unit.
func (n *numbers) answer(from, to, end int, chained bool) {
	text := n.text
	same := true
	for i := from + 1; i < to; i++ {
		same = same && text[i] == text[from]
	}
	value := int(text[from] - '0')
	opens := chained || n.opens(from)
	ordinal := from > 0 && text[from-1] == '第'
	if ordinal {
		opens = from == 1 || isBoundary(text[from-2]) || n.chosen(from-1)
		if !opens || !(n.closes(to) || n.choice(from, to)) {
			return
		}
	}
	switch {
	case from > 0 && isLatin(text[from-1]), from > 1 && text[from-1] == '.' && isLatin(text[from-2]):
		return
	case to < len(text) && isLatin(text[to]):
		if _, ok := n.tokenAt(to); !ok {
			if n.clauseAlone(from, to+1) || opens {
				n.doubt("digit in a code")
			}
			return
		}
	case n.signed(from):
		n.doubt("out of scale")
		return
	case !ordinal && !opens && n.serial(from):
		return
	}
	denied := n.denied(from)
	switch {
	case !same || value == 0 || value > 5:
		if n.clauseAlone(from, end) || n.chosen(from) && n.closes(to) || opens && to-from == 1 {
			n.doubt("out of scale")
		}
		return
	case denied:
		n.doubt("a digit denied")
		return
	case !opens:
		if n.weak > 0 && n.weak != value {
			n.doubt("several digits")
		}
		n.weak = value
		n.out.marks = append(n.out.marks, span{from, to})
		return
	}
	n.take(value, from, to)
}

// take records a clear digit.
func (n *numbers) take(value, from, to int) {
	if n.out.value != 0 && n.out.value != value {
		n.doubt("several digits")
	}
	n.out.value = value
	n.out.marks = append(n.out.marks, span{from, to})
	// 1？ asks rather than answers, when nothing else stands in the clause.
	i := to
	for i < len(n.text) && isParticle(n.text[i]) {
		i++
	}
	if i < len(n.text) && (n.text[i] == '吗' || n.text[i] == '么') {
		n.doubt("a digit asked")
	}
	for ; i < len(n.text) && isBoundary(n.text[i]) && n.text[i] != '\n'; i++ {
		if n.text[i] == '?' {
			n.doubt("a digit asked")
		}
	}
}

// signed reports -1 and +1: the sign stands alone before the digit.
func (n *numbers) signed(i int) bool {
	if i == 0 || n.text[i-1] != '-' && n.text[i-1] != '+' {
		return i > 0 && n.text[i-1] == '负'
	}
	return i == 1 || n.text[i-2] == ' ' || n.text[i-2] == '\n' || n.text[i-2] == ','
}

// opens reports that an answer may begin at i: at the start of a clause, after a word of choosing, after a judgement or an acknowledgement.
func (n *numbers) opens(i int) bool {
	if i == 0 || isBoundary(n.text[i-1]) {
		return true
	}
	if n.chosen(i) {
		return true
	}
	if t, ok := n.tokenBefore(i); ok {
		switch t.class {
		case scale, fixed, praise, blame, soso, thanks, ack, greet, filler, emoji, overall, aspect, faint, contrast:
			return true
		}
	}
	if n.inMark(i) {
		return true
	}
	return isParticle(n.text[i-1]) || n.text[i-1] == '了'
}

func (n *numbers) inMark(i int) bool {
	for _, m := range n.out.marks {
		if m.to == i {
			return true
		}
	}
	return false
}

// serial reports that the number at i is led by a word that numbers things: 警号5, 科目3, 去年3.
func (n *numbers) serial(i int) bool {
	for back := 1; back <= 4 && back <= i; back++ {
		if n.l.inSet("serial", n.text, i-back) == back {
			return true
		}
	}
	return false
}

// denied reports 不是1, 不选1, 别给5.
func (n *numbers) denied(i int) bool {
	for back := 1; back <= 3 && i-back >= 0; back++ {
		switch r := n.text[i-back]; {
		case isBoundary(r):
			return false
		case r == '不' || r == '别' || r == '没' || r == '非':
			return true
		}
	}
	return false
}

var numeralValue = map[rune]int{'一': 1, '壹': 1, '二': 2, '贰': 2, '三': 3, '叁': 3, '四': 4, '肆': 4, '五': 5, '伍': 5}

// chinese reads the run of Chinese numerals at i. One counts as an answer only where it stands alone or leads a scale word.
func (n *numbers) chinese(i int) int {
	text := n.text
	end := i
	for end < len(text) && isNumeral(text[end]) && (end == i || !n.covered(end)) {
		end++
	}
	same := true
	for k := i + 1; k < end; k++ {
		same = same && text[k] == text[i]
	}
	if n.pointsUnit(end) && n.closes(n.pointsEnd(end)) {
		n.doubt("points or stars")
		return end
	}
	if end < len(text) && n.choice(i, end) {
		if v := numeralValue[text[i]]; v > 0 && same {
			n.take(v, i, end)
		} else {
			n.doubt("out of scale")
		}
		return end
	}
	start := i
	if i > 0 && text[i-1] == '第' {
		start--
	}
	leads := start == 0 || isBoundary(text[start-1])
	if !leads && !n.chosen(start) && !n.after(start) {
		return end
	}
	if !n.closes(end) && !n.scaleFollows(end) {
		return end
	}
	switch v := numeralValue[text[i]]; {
	case v > 0 && same && n.denied(start):
		n.doubt("a digit denied")
	case v > 0 && same:
		n.take(v, i, end)
	default:
		n.doubt("out of scale")
	}
	return end
}

func (n *numbers) covered(i int) bool {
	for _, t := range n.toks {
		if t.from <= i && i < t.to && t.to-t.from > 1 {
			return true
		}
	}
	return false
}

// after reports that a numeral at i follows a judgement or an acknowledgement directly: 满意二.
func (n *numbers) after(i int) bool {
	t, ok := n.tokenBefore(i)
	if !ok {
		return false
	}
	switch t.class {
	case scale, ack, greet, overall, aspect:
		return true
	}
	return false
}

func (n *numbers) pointsUnit(i int) bool { return i < len(n.text) && n.unit(i) > 0 && n.points(i) }

func (n *numbers) pointsEnd(i int) int {
	for i < len(n.text) && (n.text[i] == '分' || n.text[i] == '星' || n.text[i] == '颗' || n.text[i] == ' ') {
		i++
	}
	return i
}

func (n *numbers) scaleFollows(i int) bool {
	t, ok := n.tokenAt(i)
	if !ok {
		return false
	}
	switch t.class {
	case scale, hedge, little, notatall:
		return true
	case fixed:
		return t.level == 3
	case strong, very, not:
		for k := i; k < len(n.text) && k < i+6; k++ {
			if hasAt(n.text, k, []rune("满意")) {
				return true
			}
		}
	}
	return false
}
