package reply

// digits is what the numbers of a text say.
type digits struct {
	value  int    // the one digit meant, 0 when there is none
	doubt  string // not empty: several digits, out of scale, points, a digit asked or denied
	number bool   // a telephone or identity number
	marks  []span // where the digits of the answer stand
}

// readNumbers finds the numbers that answer the survey and leaves out those that belong to a story.
func (l *Lexicon) readNumbers(text []rune, toks []token, benign []span) digits {
	n := numbers{l: l, text: text, toks: toks, benign: benign}
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

	benign []span // negations that deny no digit
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
		if r := text[end]; isDigit(text[end+1]) && (r == '.' || r == ':' || r == '-' || r == '~' || r == '/' || r == '到' || r == '至' || r == '和' || r == '跟' || r == '或' || r == '与' || r == '+') {
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
	if joint == '+' || joint == '/' || len(parts) > 1 && text[parts[0].from] != text[parts[len(parts)-1].from] {
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
	if to < len(text) && (text[to] == '+' || text[to] == '减' || text[to] == '加') && n.closes(to+1) && opens {
		n.doubt("a digit and a bit") // 1+, 4减
		return
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
