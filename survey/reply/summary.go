package reply

// summary counts what the words say, by side, after reservations and new matters are set apart.
type summary struct {
	scaleLo, scaleHi int // best and worst level among words of the scale, 0 when there are none
	best, worst      int // best and worst level of all rated words but plain thanks
	good, even, bad  int // rated words at 1–2, 3, 4–5 (thanks not counted)
	goodWhole        bool
	evenWhole        bool
	badWhole         bool // a judgement of the whole, not of one side
	badHard          bool // a level 5 word
	praiseOnly       int  // best level among good words that are not of the scale
	thanks           int  // level of thanks, 0 = none
	mild, mildHard   int  // mild criticism outside a reservation; strong mild criticism
	softBad          int
	mildAny          int
	gripe            int
	faint            int
	facts            int // complaints in facts, outside reservations
	waits            int // waiting and running about
	demand           bool
	question         bool
	overall          bool
	negated          bool
	past, maybe      [2]bool // good and bad, see words
	but              bool    // 但 and nothing good or readable after it
	butSide          bool    // 就是 and nothing readable after it
}

// tally sums the opinions of the text and the complaints made in facts.
func (r *reading) tally(w words) summary {
	var s summary
	s.demand = w.demand || r.has("demand")
	s.question = r.has("question")
	s.past, s.maybe, s.negated = w.past, w.maybe, w.negated
	r.turns(&s, w)
	reservedFrom := func(at int) (reserved, conceded, topical bool) {
		clauseReserved, topicSeen := false, false
		for _, t := range w.toks {
			if t.from >= at {
				break
			}
			between := false
			for i := t.to; i < at; i++ {
				if isBoundary(r.text[i]) && r.text[i] != ' ' {
					between = true
				}
			}
			if t.class == reserve && !between {
				clauseReserved = true
				conceded = r.text[t.from] == '虽' || r.text[t.from] == '尽'
			}
			if t.class == topic {
				topicSeen = true
			}
		}
		return clauseReserved, conceded, topicSeen
	}
	for _, t := range w.toks {
		if t.class == overall {
			s.overall = true
		}
	}
	for _, o := range w.opinions {
		if o.topic && (o.class == mild || o.class == gripe || o.class == faint) {
			continue
		}
		switch o.class {
		case thanks:
			if s.thanks == 0 || o.level < s.thanks {
				s.thanks = o.level
			}
			continue
		case mild:
			s.mildAny++
			if o.reserved || o.soft {
				continue
			}
			s.mild++
			if o.hard {
				s.mildHard++
			}
			continue
		case gripe:
			s.gripe++
			continue
		case faint:
			s.faint++
			continue
		}
		if o.class == scale {
			if s.scaleLo == 0 || o.level < s.scaleLo {
				s.scaleLo = o.level
			}
			s.scaleHi = max(s.scaleHi, o.level)
		}
		if s.best == 0 || o.level < s.best {
			s.best = o.level
		}
		s.worst = max(s.worst, o.level)
		whole := !o.aspect || o.class == scale
		switch {
		case o.level <= 2:
			s.good++
			s.goodWhole = s.goodWhole || whole
			if o.class != scale && (s.praiseOnly == 0 || o.level < s.praiseOnly) {
				s.praiseOnly = o.level
			}
		case o.level == 3:
			s.even++
			s.evenWhole = s.evenWhole || whole
		default:
			s.bad++
			s.badWhole = s.badWhole || whole
			s.badHard = s.badHard || o.level == 5
		}
	}
	benign := r.all("benign")
	for _, f := range r.all("bad") {
		if _, conceded, topical := reservedFrom(f.from); !topical && !conceded && !hidden(r.text, w.toks, f) && !overlaps(benign, f) {
			s.facts++
		}
	}
	for _, f := range r.all("wait") {
		reserved, _, topical := reservedFrom(f.from)
		if !reserved && !topical {
			s.waits++
		}
	}
	return s
}

// turns notes a 但 or 就是 behind which nothing can be read: the resident holds something back that the lexicon does not know.
func (r *reading) turns(s *summary, w words) {
	for k, t := range w.toks {
		if t.class != contrast && t.class != reserve {
			continue
		}
		read, letters := false, 0
		for _, o := range w.opinions {
			if o.at >= t.to && o.class != thanks && o.class != emoji {
				read = true
			}
		}
		end := len(r.text)
		for _, u := range w.toks[k+1:] {
			if u.class == topic || u.class == neutral && u.to-u.from > 5 {
				end = min(end, u.from)
			}
		}
		for i := t.to; i < end; i++ {
			if isWord(r.text[i]) && !isDigit(r.text[i]) {
				letters++
			}
		}
		if read || letters < 2 {
			continue
		}
		if t.class == contrast {
			s.but = true
		} else if t.from > 0 {
			s.butSide = true
		}
	}
}

// hidden reports a fact that is part of a longer word of another meaning (一点架子都没有, 没几分钟).
func hidden(text []rune, toks []token, f span) bool {
	for _, t := range toks {
		if t.from < f.to && f.from < t.to && t.to-t.from >= 3 {
			switch t.class {
			case praise, soso, fixed:
				return true
			case neutral: // 没几分钟, 不一会儿
				if c := text[t.from]; t.from <= f.from && f.from < t.to && (c == '没' || c == '不' || c == '未' || c == '无') {
					return true
				}
			}
		}
	}
	return false
}

// alone is the rating of words without a digit; 0 and why when they give none.
func (s summary) alone() (int, string) {
	sides := 0
	for _, n := range []int{s.good, s.bad} {
		if n > 0 {
			sides++
		}
	}
	if level, why := s.oneTime(); why != "" {
		return level, why
	}
	complaint := s.facts > 0 || s.waits > 0 || s.mild > 0 || s.gripe > 0
	switch {
	case s.scaleLo > 0 && s.scaleLo <= 2 && s.scaleHi <= 2:
		if s.bad > 0 && !(s.overall && !s.badWhole && !s.badHard) || s.facts > 0 || s.gripe > 0 || s.mildHard > 0 || (s.waits > 0 || s.mild > 0) && !s.overall {
			return 0, "satisfied in words, complaining in fact"
		}
		if s.even > 0 {
			return 0, "two levels"
		}
		return s.scaleLo, "scale word"
	case s.scaleLo == 3 && s.scaleHi == 3:
		if s.badHard || s.bad > 0 && s.badWhole || s.praiseOnly == 1 {
			return 0, "scale word and its opposite"
		}
		return 3, "scale word"
	case s.scaleLo >= 4:
		if s.good > 0 && s.goodWhole || s.evenWhole || s.thanks > 0 {
			return 0, "dissatisfied, and praise"
		}
		return s.scaleHi, "scale word"
	case s.scaleLo > 0:
		return 0, "several scale words"
	}
	switch {
	case sides == 2:
		return 0, "praise and blame, no overall rating"
	case s.good > 0:
		if complaint && !(s.goodWhole && s.facts == 0 && s.gripe == 0 && s.waits == 0 && s.mildHard == 0 && s.mild == 0) {
			return 0, "praise and a complaint"
		}
		if s.mildAny > 0 && !s.goodWhole {
			return 0, "praise of one side, criticism of another"
		}
		if s.even > 0 || s.faint > 0 && !s.goodWhole {
			return 0, "two levels"
		}
		if s.thanks > 0 && s.thanks < s.praiseOnly {
			return s.thanks, "praise and warm thanks"
		}
		return s.praiseOnly, "words of praise"
	case s.bad > 0:
		if s.even > 0 || s.thanks > 0 || s.faint > 0 {
			return 0, "blame, and something else"
		}
		return s.worst, "words of blame"
	case s.even > 0:
		if s.thanks == 1 || !s.evenWhole && complaint {
			return 0, "so-so, and something else"
		}
		return 3, "so-so"
	case s.thanks > 0:
		if complaint || s.mildAny > 0 || s.demand || s.question || s.faint > 0 {
			return 0, "thanks beside a request or a complaint"
		}
		return s.thanks, "thanks"
	}
	return 0, ""
}

// oneTime refuses a judgement beside the opposite one of another time, and praise with a turn that cannot be read.
func (s summary) oneTime() (int, string) {
	switch {
	case s.good > 0 && s.past[1] || s.bad > 0 && s.past[0]:
		return 0, "now and then differ"
	case s.good > 0 && (s.but || s.butSide && !s.goodWhole):
		return 0, "praise, but"
	case (s.good > 0 || s.thanks > 0 && s.bad+s.even == 0) && s.negated:
		return 0, "a negation beside praise"
	case s.good > 0 && s.maybe[1] || s.bad > 0 && s.maybe[0]:
		return 0, "perhaps praise and blame"
	}
	return 0, ""
}

// withDigit weighs a clear digit against the words: the digit, or 0 and why.
func (s summary) withDigit(d int) (int, string) {
	switch {
	case d <= 2 && (s.negated || s.but || s.maybe[1] || s.past[1]), d >= 4 && (s.maybe[0] || s.past[0]):
		return 0, "digit, and something that may contradict it"
	case d <= 2:
		if s.bad > 0 || s.facts > 0 || s.waits > 0 || s.gripe > 0 || s.mild > 0 {
			return 0, "good digit, complaining words"
		}
		if s.scaleHi > 0 && s.scaleHi-d > 1 || s.worst-d > 1 && s.worst > 0 {
			return 0, "digit and words more than a step apart"
		}
	case d == 3:
		switch {
		case s.scaleHi >= 4 || s.scaleLo == 1:
			return 0, "middle digit against a scale word"
		case s.bad > 0 && s.badWhole:
			return 0, "middle digit against blame of the whole"
		case s.best == 1 && s.goodWhole || s.thanks == 1:
			return 0, "middle digit against high praise"
		}
	case d == 4:
		switch {
		case s.good > 0 || s.scaleLo > 0 && s.scaleLo < 4 || s.thanks > 0:
			return 0, "bad digit, good words"
		case s.even > 0 && (s.evenWhole || s.bad+s.facts+s.waits+s.mildAny+s.gripe == 0):
			return 0, "bad digit, so-so words"
		case s.faint > 0 && s.bad+s.facts+s.waits+s.mildAny+s.gripe == 0:
			return 0, "bad digit, faint praise alone"
		}
	default:
		if s.good > 0 || s.even > 0 || s.faint > 0 || s.thanks > 0 || s.scaleLo > 0 && s.scaleLo < 4 {
			return 0, "bad digit, better words"
		}
	}
	if s.good+s.bad+s.even+s.thanks > 0 {
		return d, "digit, words agree"
	}
	return d, "digit"
}
