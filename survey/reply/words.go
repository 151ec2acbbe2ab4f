package reply

// class is what a word of the lexicon does in a sentence.
type class uint8

const (
	_           class = iota
	scale             // 满意
	hedge             // 还算, 勉强: makes 满意 a 3
	fixed             // reads as its level whatever stands around it
	praise            // good, 2 unless lifted
	thanks            // 2 unless lifted; courtesy beside anything else
	emoji             // a face or a WeChat sign with a level
	ironic            // turns a text round
	unclear           // a face that may mean anything
	soso              // 3
	faint             // faint praise, no level
	blame             // bad, 4 unless lifted; 5 for the strongest words
	mild              // mild criticism, no level
	gripe             // anger, no level
	strong            // 非常
	very              // 很
	weak              // 挺, 真 and words that change nothing
	soft              // 有点
	not               // 不
	little            // 不太
	notatall          // 一点都不
	after             // …极了
	afterLittle       // …点
	afterNot          // 满意个…
	afterWhat         // …与否
	afterVery         // …得很
	aspect            // a side of the service
	self              // eyes, weather, network: not the service
	party             // someone else
	reserve           // 就是…: a reservation follows
	contrast          // 但
	topic             // 另外: a new matter follows
	overall           // 总的来说
	cond              // 以前, 如果能: not a statement about this service now
	hope              // 希望: asked for, not found
	neutral           // hides the words inside it
	ask               // 吗, 怎么
	ack               // 好的, 收到
	filler            // 啊, 哈哈
	greet             // 你好
	address           // 你们, 警察同志
	fact              // a complaint in facts (from the rules)
)

var classes = map[string]class{"scale": scale, "hedge": hedge, "fixed": fixed, "praise": praise, "thanks": thanks, "emoji": emoji, "ironic": ironic,
	"unclear": unclear, "soso": soso, "faint": faint, "blame": blame, "mild": mild, "gripe": gripe, "strong": strong, "very": very, "weak": weak,
	"soft": soft, "not": not, "little": little, "notatall": notatall, "after": after, "afterlittle": afterLittle, "afternot": afterNot,
	"afterwhat": afterWhat, "afterhen": afterVery, "aspect": aspect, "self": self, "party": party, "reserve": reserve, "contrast": contrast,
	"topic": topic, "overall": overall, "cond": cond, "hope": hope, "neutral": neutral, "ask": ask, "ack": ack, "filler": filler, "greet": greet,
	"address": address}

func (c class) String() string {
	for name, k := range classes {
		if k == c {
			return name
		}
	}
	return "none"
}

// opinionated reports the classes that can become an opinion.
func (c class) opinionated() bool {
	switch c {
	case scale, fixed, praise, thanks, emoji, soso, faint, blame, mild, gripe:
		return true
	}
	return false
}

// token is a word found in the text.
type token struct {
	from, to int
	entry
}

// tokenise finds the words of the text from left to right, the longest first; what is no word is skipped. spans of multi-word opinions
// (from the rules) come in ready-made and win over the words inside them.
func (l *Lexicon) tokenise(text []rune, ready []token) []token {
	var toks []token
	for i := 0; i < len(text); {
		if len(ready) > 0 && ready[0].from <= i {
			if ready[0].from == i {
				toks = append(toks, ready[0])
				i = ready[0].to
			}
			ready = ready[1:]
			continue
		}
		values, n := l.words.longest(text, i)
		if n > 0 && len(ready) > 0 && i+n > ready[0].from {
			values, n = l.words.longest(text[:ready[0].from], i)
		}
		if n == 0 || splitsWord(text, i, i+n) {
			i++
			continue
		}
		t := token{i, i + n, l.entries[values[0]]}
		if n > 1 && text[i] == '好' && (t.class == ack && licensed(toks, text, i) || t.class == neutral && n == 2 && text[i+1] == '了' && lifted(toks, text, i)) {
			values, n = l.words.longest(text[:i+1], i) // 挺好的, 态度好啊: the first 好 is praise, not the beginning of 好的
			t = token{i, i + n, l.entries[values[0]]}
		}
		if n == 2 && t.class == neutral && text[i+1] == '差' && (text[i] == '还' || text[i] == '就' || text[i] == '只') && atEnd(text, i+2, ofClause) {
			toks = append(toks, token{i, i + 1, entry{class: weak}}) // 态度还差
			i++
			continue
		}
		toks = append(toks, t)
		i += n
	}
	return toks
}

// splitsWord reports that text[i:j] cuts a Latin word or a number in two.
func splitsWord(text []rune, i, j int) bool {
	return i > 0 && sameScript(text[i-1], text[i]) || j < len(text) && sameScript(text[j-1], text[j])
}

func sameScript(a, b rune) bool { return isLatin(a) && isLatin(b) || isDigit(a) && isDigit(b) }

// licensed reports that a short word at i is read with the word before it: 很|好, 态度|好, 办得|好.
func licensed(toks []token, text []rune, i int) bool {
	if i == 0 {
		return false
	}
	if text[i-1] == '得' {
		return true
	}
	if len(toks) == 0 || toks[len(toks)-1].to != i {
		return false
	}
	switch t := toks[len(toks)-1]; t.class {
	case strong, very, soft, not, little, notatall, aspect, self, party, hedge, overall, reserve:
		return true
	case weak:
		return !(t.to-t.from == 1 && hollow(text[t.from]))
	case neutral, praise, blame:
		return false
	}
	return false
}

// lifted reports that a degree word stands directly before i: 老|好了, 太|好了.
func lifted(toks []token, text []rune, i int) bool {
	if len(toks) == 0 || toks[len(toks)-1].to != i {
		return false
	}
	switch t := toks[len(toks)-1]; t.class {
	case strong, very:
		return true
	case weak:
		switch text[t.from] {
		case '挺', '真', '可', '蛮', '怪', '够':
			return true
		}
	}
	return false
}

// hollow reports the one-character words that join without measuring.
func hollow(r rune) bool {
	switch r {
	case '的', '地', '之', '是', '着', '要', '想', '向', '对', '算', '来':
		return true
	}
	return false
}
