package reply

// optOut recognises the wish for the messages to stop, and returns the words that say so.
func (r *reading) optOut() (marks []span, why string, ok bool) {
	kept := r.all("keep")
	inKept := func(s span) bool {
		for _, k := range kept {
			if s.from < k.to && k.from < s.to {
				return true
			}
		}
		return false
	}
	r.each("optout", func(s span, h hit) bool {
		if !inKept(s) {
			marks = append(marks, s)
			if why == "" {
				why = string(r.text[h.from:h.to])
			}
		}
		return true
	})
	if len(marks) > 0 {
		marks = append(marks, r.keywords()...)
		return marks, why, true
	}
	if len(kept) > 0 {
		return nil, "", false
	}
	if marks = r.keywords(); len(marks) > 0 && r.keywordsOnly(marks) {
		s := marks[0]
		return marks, string(r.text[s.from:s.to]), true
	}
	return nil, "", false
}

// keywords finds the words that stop the survey when they stand alone: T, TD, 退订.
func (r *reading) keywords() (marks []span) {
	for i := 0; i < len(r.text); {
		n := r.l.inSet("stop", r.text, i)
		if n == 0 || splitsWord(r.text, i, i+n) {
			i++
			continue
		}
		marks = append(marks, span{i, i + n})
		i += n
	}
	return marks
}

// keywordsOnly reports that beside the keywords there are only digits, judgements, courtesy, and words that say what to do with them.
func (r *reading) keywordsOnly(marks []span) bool {
	if r.face() {
		return false
	}
	if len(r.text) == 1 && r.text[0] == '停' {
		return true
	}
	toks := r.l.tokenise(r.text, nil)
	covered := make([]bool, len(r.text))
	for _, m := range marks {
		for i := m.from; i < m.to; i++ {
			covered[i] = true
		}
	}
	for k, t := range toks {
		switch t.class {
		case not, notatall, little:
			if k+1 == len(toks) || !touches(r.text, t.to, toks[k+1].from) || !toks[k+1].class.opinionated() {
				continue
			}
		case aspect, self, party, neutral, cond, ask, mild:
			continue
		}
		for i := t.from; i < t.to; i++ {
			covered[i] = true
		}
	}
	for i, c := range r.text {
		if n := max(r.l.inSet("courtesy", r.text, i), r.l.inSet("choose", r.text, i)); n > 0 {
			for j := i; j < i+n; j++ {
				covered[j] = true
			}
		}
		if !covered[i] && isWord(c) && !isParticle(c) && !isDigit(c) && !isNumeral(c) && c != '我' && c != '要' && c != '了' {
			return false
		}
	}
	return true
}

// face recognises T_T and T.T, which are no keywords.
func (r *reading) face() bool {
	for i := 0; i+2 < len(r.text); i++ {
		if r.text[i] == 't' && r.text[i+2] == 't' && (r.text[i+1] == '-' || r.text[i+1] == '.' || r.text[i+1] == '^') {
			return true
		}
	}
	return false
}

// ratingBeside reads a rating that stands beside an opt-out: only a digit or a clear judgement; thanks are courtesy there, and 垃圾短信 and
// anger are about the texts.
func (r *reading) ratingBeside(marks []span) int {
	if len(r.text) > longest {
		return 0
	}
	text := append([]rune{}, r.text...)
	for _, m := range marks {
		for i := m.from; i < m.to && i < len(text); i++ {
			text[i] = ','
		}
	}
	rest := pool.Get().(*reading)
	defer pool.Put(rest)
	rest.scan(r.l, text)
	rest.scale = r.scale
	if rest.has("contact") {
		return 0
	}
	w, d := rest.judge()
	kept := w.opinions[:0]
	for _, o := range w.opinions {
		if o.class == thanks || o.class == gripe || o.class == praise && text[o.at] == '好' && (o.at+1 >= len(text) || isBoundary(text[o.at+1])) || aboutTexts(text, o.at) {
			continue
		}
		kept = append(kept, o)
	}
	w.opinions = kept
	s := rest.tally(w)
	if rest.unclear(w, d, s) != "" || d.doubt != "" || d.number {
		return 0
	}
	if d.value > 0 {
		level, _ := s.withDigit(d.value)
		return level
	}
	if _, idle := rest.idle(w, s); idle {
		return 0
	}
	level, _ := s.alone()
	return level
}

// aboutTexts reports a word of blame that may be meant for the messages rather than for the service.
func aboutTexts(text []rune, at int) bool {
	for _, w := range [][]rune{[]rune("垃圾"), []rune("骚扰"), []rune("烦"), []rune("没用")} {
		if hasAt(text, at, w) {
			return true
		}
	}
	return false
}
