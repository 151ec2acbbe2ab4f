package reply

// Scale says what the digits of a text mean: the rating, 1 (very satisfied) to 5 (very dissatisfied), of each digit that the
// text offers; 0 for those that it does not. The zero Scale is that of five levels, in which a digit is its rating.
type Scale [6]int

// of is the rating of a digit, 0 when it means none.
func (s Scale) of(digit int) int {
	if s == (Scale{}) {
		return digit
	}
	return s[digit]
}

// nearest is a rating of words as one that the scale has: on one of three levels 非常满意 is its 满意.
func (s Scale) nearest(rating int) int {
	if s == (Scale{}) || rating == 0 {
		return rating
	}
	best := 0
	for _, r := range s {
		if r > 0 && (best == 0 || abs(r-rating) < abs(best-rating)) {
			best = r
		}
	}
	return best
}

func abs(n int) int { return max(n, -n) }

// ReadOn is Read of a reply to a text with a scale of its own.
func (l *Lexicon) ReadOn(text string, scale Scale) Verdict {
	v := l.readOn(text, scale)
	v.Rating = scale.nearest(v.Rating)
	return v
}

// onScale turns the digit that was read into a rating.
func (d digits) onScale(s Scale) digits {
	if d.value == 0 {
		return d
	}
	if d.value = s.of(d.value); d.value == 0 && d.doubt == "" {
		d.doubt = "out of scale"
	}
	return d
}
