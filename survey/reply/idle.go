package reply

// idle recognises replies nobody needs to act on: acknowledgements, greetings, fillers, "no comment", "already rated", "busy now", texts
// plainly meant for someone else, keyboard noise.
func (r *reading) idle(w words, s summary) (string, bool) {
	judged := s.good+s.bad+s.even+s.mildAny+s.gripe > 0
	if !judged && s.thanks == 0 {
		if r.noise() {
			return "keyboard noise", true
		}
	}
	acks, greets, rest := 0, 0, 0
	covered := 0
	for _, t := range w.toks {
		switch t.class {
		case ack:
			acks++
		case greet, filler:
			greets++
		case thanks, address, emoji:
		case aspect:
			if r.l.inSet("officer", r.text[t.from:t.to], 0) != t.to-t.from {
				rest++
				continue
			}
		default:
			if t.class == faint {
				break // 可以，收到
			}
			if t.class == praise && t.bare && r.text[t.from] == '好' {
				break // 好，知道了
			}
			if !(t.to-t.from == 1 && isParticle(r.text[t.from])) {
				rest++
				continue
			}
		}
		for i := t.from; i < t.to; i++ {
			if isWord(r.text[i]) {
				covered++
			}
		}
	}
	letters := 0
	for _, c := range r.text {
		if isWord(c) && !isParticle(c) && c != '了' && c != '的' && c != '们' {
			letters++
		}
	}
	for _, t := range w.toks {
		for i := t.from; i < t.to; i++ {
			if c := r.text[i]; isParticle(c) || c == '了' || c == '的' || c == '们' {
				switch t.class {
				case ack, greet, filler, thanks, address, emoji:
					covered--
				}
			}
		}
	}
	quiet := covered >= letters && rest == 0
	switch {
	case quiet && acks > 0 && index(r.text, '?') >= 0:
		return "", false
	case quiet && !judged && acks > 0 && s.thanks != 1:
		return "acknowledgement", true
	case quiet && !judged && s.thanks == 0 && letters == 0 && len(w.opinions) == 0 && r.symbols():
		return "signs only", true
	case quiet && !judged && s.thanks == 0 && acks+greets > 0 && index(r.text, '?') >= 0 && !r.has("greeting"):
		return "", false // 就这？
	case quiet && !judged && s.thanks == 0 && acks+greets > 0:
		return "greeting or filler", true
	case quiet && acks > 0 && judged && r.bareAck(w):
		return "acknowledgement", true
	case judged || s.thanks == 1 && s.facts == 0:
		if !judged || s.bad > 0 {
			return "", false
		}
	}
	if judged {
		if s.good > 0 && s.scaleLo == 0 && s.thanks == 0 && s.best == 2 && r.has("stray") && !r.service(w) {
			return "meant for someone else", true
		}
		return "", false
	}
	if r.has("other") && s.facts == 0 && !s.demand && index(r.text, '?') < 0 {
		return "no comment, already rated or pressed by mistake", true
	}
	if r.has("busy") && s.facts == 0 {
		return "busy now", true
	}
	if s.thanks == 0 && r.has("stray") && !r.service(w) {
		return "meant for someone else", true
	}
	return "", false
}

// bareAck reports 好，知道了: a lone 好 beside an acknowledgement.
func (r *reading) bareAck(w words) bool {
	for _, o := range w.opinions {
		if o.class == thanks {
			continue
		}
		if o.class == emoji || !(r.text[o.at] == '好' && (o.at+1 >= len(r.text) || isBoundary(r.text[o.at+1]))) || o.at > 0 && !isBoundary(r.text[o.at-1]) {
			return false
		}
	}
	return true
}

// service reports that the text speaks of the police service.
func (r *reading) service(w words) bool {
	for i := range r.text {
		if r.l.inSet("police", r.text, i) > 2 || r.l.inSet("police", r.text, i) == 2 && r.text[i] != '您' && r.text[i] != '办' && r.text[i] != '小' {
			return true
		}
	}
	return false
}

// symbols reports that no picture of known meaning stands in the text.
func (r *reading) symbols() bool {
	for i := range r.text {
		if values, n := r.l.words.longest(r.text, i); n > 0 {
			switch r.l.entries[values[0]].class {
			case unclear, ironic, emoji:
				return false
			}
		}
	}
	return true
}

// noise reports letters that spell nothing: no vowels to speak of, or a run along the keyboard.
func (r *reading) noise() bool {
	var run []rune
	for _, c := range r.text {
		switch {
		case isLatin(c) || isDigit(c):
			run = append(run, c)
		case isWord(c):
			return false
		}
	}
	if len(run) < 3 || isDigit(run[0]) {
		return false
	}
	if _, n := r.l.words.longest(run, 0); n == len(run) {
		return false
	}
	letters, vowels, neighbours := 0, 0, 0
	for i, c := range run {
		if isLatin(c) {
			letters++
		}
		switch c {
		case 'a', 'e', 'i', 'o', 'u':
			vowels++
		}
		if i > 0 && nearKeys(run[i-1], c) {
			neighbours++
		}
	}
	return letters >= 3 && (vowels*5 <= letters || neighbours*3 >= len(run)*2)
}

// nearKeys reports equal or neighbouring keys of a keyboard row, or the next letter of the alphabet.
func nearKeys(a, b rune) bool {
	if a == b || b == a+1 {
		return true
	}
	for _, row := range []string{"qwertyuiop", "asdfghjkl", "zxcvbnm"} {
		for i := 0; i+1 < len(row); i++ {
			if x, y := rune(row[i]), rune(row[i+1]); x == a && y == b || x == b && y == a {
				return true
			}
		}
	}
	return false
}
