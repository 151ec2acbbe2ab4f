package reply

// ownAnswer returns the resident's own words: the text without the quoted original and without the signature a telephone appended.
// quoted reports that something was quoted, so that nothing left means "a quotation only".
func (l *Lexicon) ownAnswer(text []rune) (own []rune, quoted bool) {
	text, marked := dropMarkedLines(text)
	text, cut := l.dropQuotation(text)
	quoted = marked || cut
	if quoted {
		text = l.dropHeads(text)
	}
	return l.dropTail(text), quoted
}

// dropMarkedLines drops lines that mail programs mark as quoted: "> …", header lines and the rulers between answer and original.
func dropMarkedLines(text []rune) ([]rune, bool) {
	lines := splitLines(text)
	if len(lines) == 1 && !hasAt(text, 0, []rune(">")) {
		return text, false
	}
	var out []rune
	dropped := false
	for _, line := range lines {
		if isMarkedLine(line) {
			dropped = true
			continue
		}
		if len(out) > 0 {
			out = append(out, '\n')
		}
		out = append(out, line...)
	}
	if !dropped {
		return text, false
	}
	return out, true
}

var headerNames = [][]rune{[]rune("发件人"), []rune("收件人"), []rune("发送时间"), []rune("主题"), []rune("抄送"), []rune("from:"), []rune("to:"),
	[]rune("date:"), []rune("sent:"), []rune("subject:"), []rune("日期:")}

var rulers = [][]rune{[]rune("原始短信"), []rune("原始信息"), []rune("原始邮件"), []rune("原短信"), []rune("原信息"), []rune("original message"),
	[]rune("转发的短信"), []rune("转发的信息"), []rune("forwarded message"), []rune("引用原文"), []rune("以下为原文"), []rune("以下是原文")}

func isMarkedLine(line []rune) bool {
	i := 0
	for i < len(line) && line[i] == ' ' {
		i++
	}
	if i < len(line) && line[i] == '>' {
		return true
	}
	for _, name := range headerNames {
		if hasAt(line, i, name) {
			return true
		}
	}
	words, dashes := 0, 0
	for j, r := range line {
		switch {
		case isWord(r):
			words++
		case r == '-' || r == '=' || r == '*' || r == '~':
			dashes++
		}
		if words <= 14 {
			for _, ruler := range rulers {
				if hasAt(line, j, ruler) && (dashes > 1 || len(line) <= len(ruler)+3) {
					return true
				}
			}
			if hasAt(line, j, []rune("写道")) && j+4 >= len(line) {
				return true
			}
		}
	}
	return words == 0 && dashes >= 4
}

func splitLines(text []rune) [][]rune {
	var lines [][]rune
	start := 0
	for i, r := range text {
		if r == '\n' {
			lines = append(lines, text[start:i])
			start = i + 1
		}
	}
	return append(lines, text[start:])
}

// dropQuotation cuts out our own survey text: from its first mark to its last, and the frame round it.
func (l *Lexicon) dropQuotation(text []rune) ([]rune, bool) {
	from, to := -1, -1
	quote, end := l.bySect["quote"], l.bySect["quote.end"]
	var starts, ends []span
	for i := range text {
		if isBoundary(text[i]) && text[i] != '[' {
			continue
		}
		l.rules.each(text, i, func(value int32, n int) {
			p := &l.patterns[value]
			if p.section != quote && p.section != end {
				return
			}
			if stop, ok := p.match(text, i, i+n); ok {
				if p.section == quote {
					starts = append(starts, span{i, stop})
				} else {
					ends = append(ends, span{i, stop})
				}
			}
		})
	}
	if list, ok := scaleList(text); ok {
		starts = append(starts, list)
	}
	for _, s := range starts {
		if from < 0 || s.from < from {
			from = s.from
		}
		to = max(to, s.to)
	}
	if from < 0 {
		return text, false
	}
	for _, s := range ends {
		if s.from >= from {
			to = max(to, s.to)
		}
	}
	// Words that hang on the last mark belong to the original; a sign or a digit may begin the answer.
	for to < len(text) && text[to] != '\n' && text[to] != '」' && text[to] != '"' && isWord(text[to]) && !isDigit(text[to]) {
		to++
	}
	for from > 0 && (text[from-1] == '「' || text[from-1] == '"' || text[from-1] == '[' || text[from-1] == ' ') {
		from--
	}
	if i := lastIndex(text[:from], '「'); i >= 0 && index(text[to:], '」') == 0 {
		from = i // a chat program's 「sender: text」
	}
	for to < len(text) && (text[to] == '」' || text[to] == '"' || text[to] == ']') {
		to++
	}
	out := append([]rune{}, text[:from]...)
	out = append(out, '\n')
	return append(out, text[to:]...), true
}

// scaleList finds three or more items of the printed scale in a row: "1非常满意 2满意 3基本满意 …".
func scaleList(text []rune) (span, bool) {
	for i, r := range text {
		if r != '1' {
			continue
		}
		items, j, last := 0, i, i
		for want := '1'; want <= '5'; want++ {
			for j < len(text) && text[j] != want && isBoundary(text[j]) {
				j++
			}
			if j >= len(text) || text[j] != want {
				break
			}
			k := j + 1
			for k < len(text) && (isBoundary(text[k]) || text[k] == '为' || text[k] == '是') && text[k] != '\n' {
				k++
			}
			n := scaleWord(text, k)
			if n == 0 {
				break
			}
			items++
			j = k + n
			last = j
		}
		if items >= 3 {
			return span{i, last}, true
		}
	}
	return span{}, false
}

var scaleWords = [][]rune{[]rune("非常满意"), []rune("非常不满意"), []rune("基本满意"), []rune("不满意"), []rune("满意"), []rune("一般"), []rune("很满意"),
	[]rune("很不满意"), []rune("比较满意"), []rune("不太满意")}

func scaleWord(text []rune, i int) int {
	for _, w := range scaleWords {
		if hasAt(text, i, w) {
			return len(w)
		}
	}
	return 0
}

// dropHeads drops "回复：", "Re:", "转发：" where a quotation stood behind them, and nothing else is left of the line.
func (l *Lexicon) dropHeads(text []rune) []rune {
	var out []rune
	for _, line := range splitLines(text) {
		i := 0
		for i < len(line) && !isWord(line[i]) {
			i++
		}
		if n := l.inSet("quotehead", line, i); n > 0 {
			j := i + n
			for j < len(line) && !isWord(line[j]) {
				j++
			}
			if j == len(line) {
				continue
			}
		}
		if len(out) > 0 {
			out = append(out, '\n')
		}
		out = append(out, line...)
	}
	return out
}

// dropTail drops a signature such as 发自我的iPhone or ——来自vivo手机 at the end.
func (l *Lexicon) dropTail(text []rune) []rune {
	for i := range text {
		n := 0
		if len(text)-i < 40 {
			n = l.inSet("tail", text, i)
		}
		if n == 0 || (i > 0 && isWord(text[i-1]) && !isDigit(text[i-1]) && !hasDevice(l, text[i+n:])) {
			continue
		}
		if len(text)-i-n > 24 || !hasDevice(l, text[i+n:]) || index(text[i:], '\n') >= 0 {
			continue
		}
		for i > 0 && isBoundary(text[i-1]) && isDash(text[i-1]) {
			i--
		}
		return text[:i]
	}
	return text
}

func isDash(r rune) bool {
	return r == '-' || r == ' ' || r == '\n' || r == '[' || r == '(' || r == '~' || r == '|' || r == '*'
}

// hasDevice reports that text names a telephone or a program and says nothing else of note.
func hasDevice(l *Lexicon, text []rune) bool {
	for i := range text {
		if text[i] == ',' || text[i] == '。' || text[i] == '!' || text[i] == '?' {
			return false
		}
		if l.inSet("device", text, i) > 0 {
			return true
		}
	}
	return false
}

type span struct{ from, to int }

func index(text []rune, r rune) int {
	for i := range text {
		if text[i] == r {
			return i
		}
	}
	return -1
}

func lastIndex(text []rune, r rune) int {
	for i := len(text) - 1; i >= 0; i-- {
		if text[i] == r {
			return i
		}
	}
	return -1
}
