package reply

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
