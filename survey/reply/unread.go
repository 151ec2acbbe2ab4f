package reply

// unread reports a clause beside praise that says something the lexicon does not know: neither a judgement nor what praise usually
// comes with (an incident, help, a good end, a wish, who writes for whom). Irony is praise beside a fact, and facts have no end of
// words; so praise is believed beside facts that are known to go with it, and otherwise left to a person.
func (r *reading) unread(w words) bool {
	var known, dubious []span
	looked := false
	for start, i := 0, 0; i <= len(r.text); i++ {
		if i < len(r.text) && !isBoundary(r.text[i]) {
			continue
		}
		if han(r.text[start:i]) >= 3 && !w.speaks(start, i) {
			if !looked {
				known, dubious, looked = r.all("explained"), r.all("dubious"), true
			}
			if clause := (span{start, i}); !overlaps(known, clause) || overlaps(dubious, clause) {
				return true
			}
		}
		start = i + 1
	}
	return false
}

func han(text []rune) (n int) {
	for _, c := range text {
		if isHan(c) {
			n++
		}
	}
	return n
}

// speaks reports that the clause from start to end holds a judgement, or a word that says how it is meant.
func (w words) speaks(start, end int) bool {
	for _, o := range w.opinions {
		if start <= o.at && o.at < end {
			return true
		}
	}
	for _, t := range w.toks {
		if start <= t.from && t.from < end {
			switch t.class {
			case thanks, scale, praise, fixed, soso, faint, emoji, reserve, contrast, cond, topic:
				return true
			case greet, ack, hope: // 在, 再 and the like are parts of other words
				if t.to-t.from > 1 {
					return true
				}
			}
		}
	}
	return false
}
