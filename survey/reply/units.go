package reply

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
	if i > 1 && n.text[i-1] == '了' {
		i-- // 扣了6分
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
	for back := min(6, i); back >= 1; back-- { // the longest first: 那就, not 就
		if n.l.inSet("choose", n.text, i-back) != back {
			continue
		}
		start := i - back
		if start == 0 || isBoundary(n.text[start-1]) {
			return true
		}
		if t, ok := n.tokenBefore(start); ok {
			return t.class != not && t.class != notatall || back > 3 || inSpans(n.benign, t.from)
		}
		return back > 1 || strokes[n.text[start]] || n.chosen(start)
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
