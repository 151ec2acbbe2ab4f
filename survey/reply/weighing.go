package reply

// alone is the rating of words without a digit; 0 and why when they give none.
func (s summary) alone() (int, string) {
	sides := 0
	for _, n := range []int{s.good, s.bad} {
		if n > 0 {
			sides++
		}
	}
	if level, why := s.oneTime(); why != "" && !(s.scaleLo == 3 && s.scaleHi == 3) {
		return level, why
	}
	if s.unread && s.scaleLo != 3 {
		return 0, "praise, and a clause that cannot be read"
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
		if s.good > 0 && (s.goodWhole || s.scaleSide) || s.evenWhole || s.thanks > 0 {
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
		if s.mildAny > s.mildHeld && !s.goodWhole {
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
	case (s.good > 0 || s.thanks > 0 && s.bad+s.even == 0) && s.negated && s.firmness() < 2:
		return 0, "a negation beside praise"
	case s.good > 0 && s.maybe[1] || s.bad > 0 && s.maybe[0]:
		return 0, "perhaps praise and blame"
	}
	return 0, ""
}

// firmness is how many plain good words there are: against two of them, or a digit and one, a negation that belongs to no
// judgement (我没记住警号) is part of a story. What is a complaint without a word of blame has a section of its own (bad).
func (s summary) firmness() int {
	if s.bad+s.facts+s.gripe+s.mild+s.waits > 0 {
		return 0
	}
	n := s.good
	if s.scaleLo == 1 && s.scaleHi == 1 {
		n++
	}
	return n
}

// withDigit weighs a clear digit against the words: the digit, or 0 and why.
func (s summary) withDigit(d int) (int, string) {
	switch {
	case d <= 2 && (s.negated && s.firmness() < 1 || s.but || s.maybe[1] || s.past[1]), d >= 4 && (s.maybe[0] || s.past[0]):
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
