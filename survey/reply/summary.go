package reply

// summary counts what the words say, by side, after reservations and new matters are set apart.
type summary struct {
	scaleLo, scaleHi int  // best and worst level among words of the scale, 0 when there are none
	best, worst      int  // best and worst level of all rated words but plain thanks
	good, even, bad  int  // rated words at 1–2, 3, 4–5 (thanks not counted)
	scaleSide        bool // every scale word is about one side of the service (结果不满意)
	goodWhole        bool
	evenWhole        bool
	badWhole         bool // a judgement of the whole, not of one side
	badHard          bool // a level 5 word
	praiseOnly       int  // best level among good words that are not of the scale
	thanks           int  // level of thanks, 0 = none
	mild, mildHard   int  // mild criticism outside a reservation; strong mild criticism
	mildAny          int
	mildHeld         int // in a reservation
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
	unread           bool    // praise or thanks, and a clause of which nothing is known
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
	soso3 := false
	for _, o := range w.opinions {
		soso3 = soso3 || o.class == soso
	}
	for _, o := range w.opinions {
		if soso3 && (o.class == praise && r.text[o.at] == '比' || o.class == blame && (hasAt(r.text, o.at, []rune("没有想")) || hasAt(r.text, o.at, []rune("没想")))) {
			o.class = faint // 还行，比以前强: the comparison is not the rating
		}
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
			if o.reserved && !o.hard {
				s.mildHeld++
			}
			if o.reserved || o.soft || w.outweighed(o.at) {
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
			s.scaleSide = o.aspect && (s.scaleSide || s.scaleHi == 0)
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
		if _, conceded, topical := reservedFrom(f.from); !topical && !conceded && !hidden(r.text, w.toks, f) && !overlaps(benign, f) && !unreal(r.text, f.from) && !r.errand(f.from) {
			s.facts++
		}
	}
	for _, f := range r.all("wait") {
		reserved, _, topical := reservedFrom(f.from)
		if !reserved && !topical && !w.outweighed(f.to) && !r.errand(f.from) {
			s.waits++
		}
	}
	s.unread = (s.good > 0 || s.thanks > 0) && s.bad == 0 && r.unread(w)
	if r.has("excuse") {
		s.waits, s.mild, s.mildHard = 0, 0, 0
	}
	return s
}

// errand reports that it is the police who ran or came so often: 民警跑了好几趟.
func (r *reading) errand(from int) bool {
	switch r.text[from] {
	case '跑', '来', '去', '忙':
	default:
		return false
	}
	for i := from - 1; i >= 0 && !isBoundary(r.text[i]); i-- {
		if n := r.l.inSet("police", r.text, i); n > 0 && i+n <= from && n > 1 && r.text[i] != '办' && r.text[i] != '你' && r.text[i] != '您' {
			return true
		}
	}
	return false
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

// outweighed reports that a 但 follows the place, and praise after it and no blame: 等了一会儿，但是态度特别好.
func (w words) outweighed(at int) bool {
	turn := -1
	for _, t := range w.toks {
		if t.class == contrast && t.from >= at {
			turn = t.to
			break
		}
	}
	if turn < 0 {
		return false
	}
	good := false
	for _, o := range w.opinions {
		if o.at < turn {
			continue
		}
		switch {
		case o.level > 2, o.class == mild, o.class == gripe:
			return false
		case o.level > 0 && o.class != thanks:
			good = true
		}
	}
	return good
}
