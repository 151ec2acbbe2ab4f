package reply

import "unicode/utf8"

// longest is the length, in characters, up to which judgements are read. A longer text still has its danger, machines and opt-outs found.
const longest = 1000

// decide goes through the precedence, first that applies.
func (r *reading) decide(quoted bool) Verdict {
	content, damaged := false, false
	for _, c := range r.text {
		content = content || isWord(c) || c > 0x2000 && c != utf8.RuneError && !isPunctuation(c)
		damaged = damaged || c == utf8.RuneError
	}
	if !content {
		switch {
		case quoted:
			return verdict(Other, 0, "quotation without an own answer")
		case damaged && len(r.text) > 1:
			return verdict(Review, 0, "damaged text")
		}
		return verdict(Other, 0, "empty or signs only")
	}
	if _, word, ok := r.find("danger"); ok {
		v := verdict(Review, 0, "danger", word)
		v.Danger = true
		return v
	}
	if why, ok := r.bulk(); ok {
		return verdict(Other, 0, "machine or bulk message", why)
	}
	if marks, why, ok := r.optOut(); ok {
		rating := r.ratingBeside(marks)
		return verdict(OptOut, rating, "asks for the messages to stop", why)
	}
	if len(r.text) > longest {
		return verdict(Review, 0, whyLong)
	}
	w, d := r.judge()
	if _, word, ok := r.find("contact"); ok {
		return verdict(Review, 0, whyContact, word)
	}
	if d.number {
		return verdict(Review, 0, whyNumber)
	}
	v := r.rate(w, d)
	if damaged && v.Label == Rating {
		return verdict(Review, 0, "damaged text")
	}
	return v
}

func verdict(label Label, rating int, why string, trace ...string) Verdict {
	return Verdict{Label: label, Rating: rating, Why: why, Trace: append(trace, why)}
}

func isPunctuation(c rune) bool { return c >= 0x2000 && c <= 0x206f || c >= 0x3000 && c <= 0x303f }

// judge reads words and digits of the text.
func (r *reading) judge() (words, digits) {
	ready := r.ready()
	toks := r.l.tokenise(r.text, ready)
	benign := r.all("benign")
	return r.l.judge(r.text, toks, benign), r.l.readNumbers(r.text, toks, benign).onScale(r.scale)
}

// ready turns the rules for opinions of several words into words.
func (r *reading) ready() []token {
	var out []token
	add := func(name string, e entry) {
		for _, s := range r.all(name) {
			e.whole = true
			out = append(out, token{s.from, s.to, e})
		}
	}
	add("opinion.1", entry{class: fixed, level: 1})
	add("opinion.2", entry{class: praise, level: 2})
	add("opinion.3", entry{class: soso, level: 3})
	add("opinion.4", entry{class: blame, level: 4})
	add("opinion.5", entry{class: fixed, level: 5})
	add("mild", entry{class: mild})
	add("faint", entry{class: faint})
	add("wish", entry{class: neutral})
	// Left to right, of two that overlap the one that begins first, of two that begin together the longer one.
	for i := 1; i < len(out); i++ {
		for j := i; j > 0 && (out[j].from < out[j-1].from || out[j].from == out[j-1].from && out[j].to > out[j-1].to); j-- {
			out[j], out[j-1] = out[j-1], out[j]
		}
	}
	kept := out[:0]
	for _, t := range out {
		if len(kept) == 0 || t.from >= kept[len(kept)-1].to {
			kept = append(kept, t)
		}
	}
	return kept
}

// rate decides between a clear rating, a reply for a person, and a reply that says nothing.
func (r *reading) rate(w words, d digits) Verdict {
	s := r.tally(w)
	if why := r.unclear(w, d, s); why != "" {
		return verdict(Review, 0, why)
	}
	if d.value > 0 {
		if level, why := s.withDigit(d.value); level > 0 {
			return verdict(Rating, level, why)
		} else {
			return verdict(Review, 0, why)
		}
	}
	if d.doubt != "" {
		return verdict(Review, 0, d.doubt)
	}
	if why, ok := r.idle(w, s); ok {
		return verdict(Other, 0, why)
	}
	level, why := s.alone()
	if level > 0 {
		return verdict(Rating, level, why)
	}
	if why == "" {
		why = whyUnclear
	}
	return verdict(Review, 0, why)
}

// unclear returns why no rating may be read from the text at all, or "".
func (r *reading) unclear(w words, d digits, s summary) string {
	if w.doubt != "" {
		return w.doubt
	}
	if d.doubt != "" && d.value > 0 {
		return d.doubt
	}
	if d.doubt != "" && (s.good+s.bad+s.even > 0) {
		return d.doubt
	}
	// Irony and evasion beside plain blame: 你们可真行，态度恶劣 is blame.
	blamed := s.bad > 0 && s.good+s.even+s.thanks+s.faint == 0 && (d.value == 0 || d.value >= 4)
	bitter := d.value >= 4 && s.good+s.even+s.thanks+s.faint == 0
	if word, ok := r.outside("sarcasm", w, blamed); ok && !bitter {
		return "irony: " + word
	}
	if word, ok := r.outside("evade", w, blamed); ok {
		return "evasive: " + word
	}
	if r.has("abuse") && d.value < 4 && s.bad == 0 {
		return "abuse"
	}
	for _, t := range w.toks {
		if t.class == unclear && d.value == 0 && s.good+s.bad+s.even == 0 {
			return "a face that may mean anything"
		}
		if t.class == unclear && (s.good > 0 || d.value > 0 && d.value < 3) {
			return "a face that may mean anything"
		}
	}
	return ""
}

// outside finds a rule of the section that does not merely see part of a fixed idiom (满意个屁); with blamed, one that no
// blame stands beside.
func (r *reading) outside(name string, w words, blamed bool) (word string, ok bool) {
	r.each(name, func(s span, h hit) bool {
		for _, o := range w.opinions {
			if blamed && o.level >= 4 && (o.at < s.from || o.at >= s.to) {
				return true
			}
		}
		for _, t := range w.toks {
			if (t.class == fixed || t.class == soso && t.to-t.from > 4) && t.from <= s.from && s.from < t.to {
				return true
			}
		}
		word, ok = string(r.text[h.from:h.to]), true
		return false
	})
	return word, ok
}
