package reply

// bulk recognises machine and bulk messages: a rule that is enough by itself, a sender's signature with a hint, or two hints.
func (r *reading) bulk() (string, bool) {
	if _, word, ok := r.find("bulk"); ok {
		return word, true
	}
	if _, word, ok := r.find("bulk.stop"); ok {
		letters := 0
		for _, c := range r.text {
			if isWord(c) {
				letters++
			}
		}
		if letters > 12 {
			return word, true
		}
	}
	signed, company := r.signature()
	if !signed {
		return "", false
	}
	if company || r.count("bulk.hint", 2) > 0 {
		return "signed by a sender", true
	}
	return "", false
}

// signature looks for 【name】 at the beginning or the end of the text; company reports that the name is one of an organisation.
func (r *reading) signature() (signed, company bool) {
	text := r.text
	for _, s := range []span{leadingBracket(text), trailingBracket(text)} {
		if s.to-s.from < 2 || s.to-s.from > 16 || len(text)-(s.to-s.from) < 6 {
			continue
		}
		name := text[s.from:s.to]
		if r.l.inSet("notsender", name, 0) == len(name) {
			continue
		}
		if values, n := r.l.words.longest(name, 0); n == len(name) && r.l.entries[values[0]].class != party {
			continue
		}
		if _, n := r.l.words.longest(text, s.from-1); n == len(name)+2 {
			continue
		}
		digitsOnly := len(name) == 1
		for _, c := range name {
			digitsOnly = digitsOnly && (isDigit(c) || isNumeral(c))
		}
		if digitsOnly {
			continue
		}
		signed = true
		for i := range name {
			if r.l.inSet("orgword", name, i) > 0 {
				company = true
			}
		}
	}
	return signed, company
}

// leadingBracket returns what stands between brackets at the beginning; an empty span when there are none.
func leadingBracket(text []rune) span {
	i := 0
	for i < len(text) && (text[i] == ' ' || text[i] == '\n') {
		i++
	}
	if i >= len(text) || text[i] != '[' {
		return span{}
	}
	if n := index(text[i:], ']'); n > 0 {
		return span{i + 1, i + n}
	}
	return span{}
}

func trailingBracket(text []rune) span {
	j := len(text)
	for j > 0 && (text[j-1] == ' ' || text[j-1] == '\n' || text[j-1] == '。' || text[j-1] == '.') {
		j--
	}
	if j == 0 || text[j-1] != ']' {
		return span{}
	}
	if i := lastIndex(text[:j], '['); i >= 0 {
		return span{i + 1, j - 1}
	}
	return span{}
}
