package reply

// normalise finishes what plain began, on the resident's own words: spaces inside words, pinyin, typing errors.
func (l *Lexicon) normalise(text []rune) []rune {
	return l.foldTypos(l.readPinyin(joinSpaced(text)))
}

// joinSpaced drops the spaces of "非 常 满 意" and "不 满意" but keeps those that stand for a comma. A space goes when one of its neighbours
// is a single character between spaces, unless that is a numeral or a word of its own.
func joinSpaced(text []rune) []rune {
	spaced := false
	for _, r := range text {
		if r == ' ' {
			spaced = true
			break
		}
	}
	if !spaced {
		return text
	}
	out := make([]rune, 0, len(text))
	for i, r := range text {
		if r == ' ' && i > 0 && i+1 < len(text) && isHan(text[i-1]) && isHan(text[i+1]) {
			left := (i < 2 || !isWord(text[i-2])) && !isNumeral(text[i-1])
			right := (i+2 >= len(text) || !isWord(text[i+2])) && !isNumeral(text[i+1])
			if left || right {
				continue
			}
		}
		out = append(out, r)
	}
	return out
}

// foldTypos replaces known typing errors and variants by the word meant, longest first.
func (l *Lexicon) foldTypos(text []rune) []rune {
	var out []rune
	last := 0
	for i := 0; i < len(text); {
		values, n := l.fold.longest(text, i)
		if n == 0 {
			i++
			continue
		}
		out = append(out, text[last:i]...)
		out = append(out, l.foldTo[values[0]]...)
		i += n
		last = i
	}
	if out == nil {
		return text
	}
	return append(out, text[last:]...)
}

// readPinyin replaces a run of Latin letters by the words it spells, when the whole run can be spelled with the lexicon's pinyin. A run
// that is a word of the lexicon itself (ok, td, very good) is left alone.
func (l *Lexicon) readPinyin(text []rune) []rune {
	var out []rune
	last := 0
	for i := 0; i < len(text); {
		if !isLatin(text[i]) {
			i++
			continue
		}
		start, end := i, i
		var letters []rune
		for ; i < len(text); i++ {
			if isLatin(text[i]) {
				letters = append(letters, text[i])
				end = i + 1
			} else if text[i] != ' ' && text[i] != '"' && text[i] != '-' {
				break
			}
		}
		words := l.spell(letters)
		if words == nil || l.known(text[start:end]) {
			continue
		}
		out = append(out, text[last:start]...)
		out = append(out, words...)
		last = end
	}
	if out == nil {
		return text
	}
	return append(out, text[last:]...)
}

// known reports a Latin run that the lexicon holds as it stands.
func (l *Lexicon) known(run []rune) bool {
	if _, n := l.words.longest(run, 0); n == len(run) {
		return true
	}
	return l.inSet("stop", run, 0) == len(run)
}

// spell segments letters into the fewest pinyin words of the lexicon; nil when that cannot be done.
func (l *Lexicon) spell(letters []rune) []rune {
	if len(letters) < 2 || len(letters) > 80 {
		return nil
	}
	type best struct{ count, from, word int32 }
	table := make([]best, len(letters)+1)
	for i := range letters {
		if i > 0 && table[i].count == 0 {
			continue
		}
		l.pinyin.each(letters, i, func(word int32, n int) {
			if to := &table[i+n]; to.count == 0 || table[i].count+1 < to.count {
				*to = best{table[i].count + 1, int32(i), word}
			}
		})
	}
	if table[len(letters)].count == 0 {
		return nil
	}
	var words [][]rune
	for i := int32(len(letters)); i > 0; i = table[i].from {
		words = append(words, l.pinyinTo[table[i].word])
	}
	var out []rune
	for i := len(words) - 1; i >= 0; i-- {
		out = append(out, words[i]...)
	}
	return out
}
