package reply

import (
	"bufio"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"sort"
	"strings"
	"sync"
)

//go:embed lexicon/*.txt
var embedded embed.FS

// Lexicon is all that the reader knows about words: data read from text files, checked when loaded, never changed afterwards. It is safe for
// concurrent use. The syntax of the files, and how a bureau adds its own words, is described in lexicon/README.md.
type Lexicon struct {
	// Version names the lexicon in stored verdicts: the files' own version lines and a short hash of all that was loaded, for
	// example "2026.11.1+5f0c9a1e". Two lexicons with the same Version read every reply alike (given the same program).
	Version string

	words    *trie
	entries  []entry
	rules    *trie
	patterns []pattern
	sections []string
	bySect   map[string]int32
	sets     map[string][]string
	setTries map[string]*trie
	fold     *trie
	foldTo   [][]rune
	pinyin   *trie
	pinyinTo [][]rune
	longest  int // the longest pinyin key, in letters
}

// entry is what the lexicon says of one word.
type entry struct {
	class  class
	level  int
	bare   bool // counts only beside a degree word, an aspect or alone (好, 差, 快)
	aspect bool // about one side of the service, not about the whole
	whole  bool // an opinion of several words, found by a rule: a negation in it is its own
}

// requiredRules and requiredSets are the sections the program asks for by name: a lexicon without one of them is refused.
var (
	requiredRules = []string{"danger", "bulk", "bulk.hint", "bulk.stop", "optout", "optout.ask", "keep", "contact", "sarcasm", "evade", "wish", "benign", "demand", "bad", "wait",
		"other", "busy", "stray", "quote", "quote.end", "opinion.1", "opinion.2", "opinion.3", "opinion.4", "opinion.5", "faint", "mild", "question", "abuse", "excuse", "greeting"}
	requiredSets = []string{"unit", "notunit", "service", "serial", "choose", "stop", "courtesy", "police", "officer", "orgword", "notsender",
		"quotehead", "device", "tail"}
)

// LoadLexicon reads every *.txt file of the given file systems, in order, as one lexicon. It fails on an unknown section or class, a word
// in two classes, a word that is not in normalised form, a pattern that does not parse, and a missing section.
func LoadLexicon(sources ...fs.FS) (*Lexicon, error) {
	l := &Lexicon{words: newTrie(), rules: newTrie(), fold: newTrie(), pinyin: newTrie(),
		bySect: map[string]int32{}, sets: map[string][]string{}, setTries: map[string]*trie{}}
	sum := sha256.New()
	var versions []string
	var lines []line
	for _, source := range sources {
		names, err := lexiconFiles(source)
		if err != nil {
			return nil, fmt.Errorf("list lexicon files: %w", err)
		}
		for _, name := range names {
			data, err := fs.ReadFile(source, name)
			if err != nil {
				return nil, fmt.Errorf("read lexicon file: %w", err)
			}
			fmt.Fprintf(sum, "%s %d\n", name, len(data))
			sum.Write(data)
			got, err := readLines(name, string(data))
			if err != nil {
				return nil, err
			}
			lines = append(lines, got...)
		}
	}
	var problems []error
	for _, ln := range lines { // sets first: patterns refer to them
		switch ln.section[0] {
		case "set":
			l.addSet(ln)
		case "version":
			versions = append(versions, ln.text)
		}
	}
	for _, ln := range lines {
		if err := l.add(ln); err != nil {
			problems = append(problems, fmt.Errorf("%s:%d: %w", ln.file, ln.number, err))
		}
	}
	for _, name := range requiredRules {
		if _, ok := l.bySect[name]; !ok {
			problems = append(problems, fmt.Errorf("no section [rule %s]", name))
		}
	}
	for _, name := range requiredSets {
		if len(l.sets[name]) == 0 {
			problems = append(problems, fmt.Errorf("no section [set %s]", name))
		}
	}
	if len(versions) == 0 {
		problems = append(problems, errors.New("no [version] line"))
	}
	if len(problems) > 0 {
		return nil, fmt.Errorf("load lexicon: %w", errors.Join(problems...))
	}
	for name, words := range l.sets {
		t := newTrie()
		for _, w := range words {
			t.add([]rune(w), 1)
		}
		l.setTries[name] = t
	}
	l.Version = strings.Join(versions, "+") + "+" + hex.EncodeToString(sum.Sum(nil)[:4])
	return l, nil
}

func lexiconFiles(source fs.FS) ([]string, error) {
	var names []string
	err := fs.WalkDir(source, ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(name, ".txt") {
			names = append(names, name)
		}
		return err
	})
	sort.Strings(names)
	return names, err
}

type line struct {
	file    string
	number  int
	section []string
	text    string
}

func readLines(name, data string) ([]line, error) {
	var out []line
	var section []string
	scan := bufio.NewScanner(strings.NewReader(data))
	for n := 1; scan.Scan(); n++ {
		text, _, _ := strings.Cut(scan.Text(), "#")
		text = strings.TrimSpace(text)
		switch {
		case text == "":
		case strings.HasPrefix(text, "[") && strings.HasSuffix(text, "]") && isHeader(text):
			section = strings.Fields(text[1 : len(text)-1])
		case section == nil:
			return nil, fmt.Errorf("%s:%d: text before the first section", name, n)
		default:
			out = append(out, line{name, n, section, text})
		}
	}
	return out, scan.Err()
}

// isHeader tells a section header from a word in brackets such as [强].
func isHeader(text string) bool {
	switch first, _, _ := strings.Cut(strings.Trim(text, "[]"), " "); first {
	case "word", "rule", "set", "fold", "pinyin", "version":
		return true
	}
	return false
}

func (l *Lexicon) inSet(name string, text []rune, i int) int {
	t := l.setTries[name]
	if t == nil || i < 0 || i >= len(text) {
		return 0
	}
	_, n := t.longest(text, i)
	return n
}

// Embedded are the shipped files, for a lexicon that further ones extend.
func Embedded() fs.FS { return embedded }

// Standard is the lexicon embedded in the program.
var Standard = sync.OnceValue(func() *Lexicon {
	l, err := LoadLexicon(embedded)
	if err != nil {
		panic(err) // a broken embedded file: the package's tests load it
	}
	return l
})
