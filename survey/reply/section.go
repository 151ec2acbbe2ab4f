package reply

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

func (l *Lexicon) addSet(ln line) {
	if len(ln.section) != 2 {
		return // reported by add
	}
	for _, w := range strings.Fields(ln.text) {
		l.sets[ln.section[1]] = append(l.sets[ln.section[1]], strings.ReplaceAll(w, "_", " "))
	}
}

func (l *Lexicon) add(ln line) error {
	switch ln.section[0] {
	case "version":
		return nil
	case "set":
		if len(ln.section) != 2 {
			return fmt.Errorf("a set section needs one name, got %q", ln.section)
		}
		return checkNormal(strings.Fields(strings.ReplaceAll(ln.text, "_", ""))...)
	case "word":
		return l.addWords(ln)
	case "rule":
		return l.addRule(ln)
	case "fold":
		from, to, ok := strings.Cut(ln.text, ">")
		if !ok {
			return fmt.Errorf("%q: want FROM … > TO", ln.text)
		}
		l.foldTo = append(l.foldTo, []rune(strings.TrimSpace(to)))
		for _, w := range strings.Fields(from) {
			if err := checkNormal(w); err != nil {
				return err
			}
			l.fold.add([]rune(w), int32(len(l.foldTo)-1))
		}
		return nil
	case "pinyin":
		fields := strings.Fields(ln.text)
		if len(fields) != 2 {
			return fmt.Errorf("%q: want LETTERS 汉字", ln.text)
		}
		l.pinyinTo = append(l.pinyinTo, []rune(fields[1]))
		l.pinyin.add([]rune(fields[0]), int32(len(l.pinyinTo)-1))
		l.longest = max(l.longest, len(fields[0]))
		return nil
	}
	return fmt.Errorf("unknown section %q", ln.section)
}

func (l *Lexicon) addWords(ln line) error {
	if len(ln.section) < 2 {
		return errors.New("a word section needs a class")
	}
	e := entry{class: classes[ln.section[1]]}
	if e.class == 0 {
		return fmt.Errorf("unknown class %q", ln.section[1])
	}
	for _, f := range ln.section[2:] {
		switch f {
		case "bare":
			e.bare = true
		case "aspect":
			e.aspect = true
		default:
			level, err := strconv.Atoi(f)
			if err != nil || level < 1 || level > 5 {
				return fmt.Errorf("unknown flag %q", f)
			}
			e.level = level
		}
	}
	l.entries = append(l.entries, e)
	id := int32(len(l.entries) - 1)
	for _, w := range strings.Fields(ln.text) {
		w = strings.ReplaceAll(w, "_", " ")
		if err := checkNormal(w); err != nil {
			return err
		}
		for _, old := range l.words.get([]rune(w)) {
			if l.entries[old] != e {
				return fmt.Errorf("%q is already in class %s", w, l.entries[old].class)
			}
		}
		if l.words.get([]rune(w)) == nil {
			l.words.add([]rune(w), id)
		}
	}
	return nil
}

func (l *Lexicon) addRule(ln line) error {
	if len(ln.section) != 2 {
		return fmt.Errorf("a rule section needs one name, got %q", ln.section)
	}
	name := ln.section[1]
	id, ok := l.bySect[name]
	if !ok {
		id = int32(len(l.sections))
		if id == 64 {
			return errors.New("more than 64 rule sections")
		}
		l.bySect[name] = id
		l.sections = append(l.sections, name)
	}
	compiled, err := compilePattern(ln.text, l.sets)
	if err != nil {
		return err
	}
	for _, p := range compiled {
		p.section = id
		l.patterns = append(l.patterns, p)
		for _, alt := range p.first {
			l.rules.add(alt, int32(len(l.patterns)-1))
		}
	}
	return nil
}

// checkNormal refuses a word the normaliser would change: it could never be found.
func checkNormal(words ...string) error {
	for _, w := range words {
		if got := string(plain(w)); got != w {
			return fmt.Errorf("%q is not in normalised form (%q)", w, got)
		}
	}
	return nil
}
