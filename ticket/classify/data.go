package classify

import (
	"bufio"
	"embed"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"unicode/utf8"
)

//go:embed data
var files embed.FS

// DataVersion is the version of the data files this program reads; a file of another version is refused. It is part of the rule version a
// ticket's history records.
const DataVersion = "1"

// fewest examples of a domain: below it a file was cut short.
const fewest = 50

// Version names the knowledge in use, for the history of a ticket.
func Version() string { return "classify/" + DataVersion }

func domainOf(code string) (int, bool) {
	for i, d := range domains {
		if d.code == code {
			return i, true
		}
	}
	return 0, false
}

// lines reads a data file: its first line must be "# classify KIND VERSION …"; comments and empty lines are passed over. do gets the
// number of the line for its errors.
func lines(fsys fs.FS, name, kind string, do func(n int, line string) error) error {
	f, err := fsys.Open(name)
	if err != nil {
		return fmt.Errorf("open classify data: %w", err)
	}
	defer f.Close()
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, 1<<20)
	for n := 1; sc.Scan(); n++ {
		line := strings.TrimSpace(sc.Text())
		if n == 1 {
			head := strings.Fields(line)
			if len(head) < 4 || head[0] != "#" || head[1] != "classify" || head[2] != kind || head[3] != DataVersion {
				return fmt.Errorf("%s:1: want a first line %q", name, "# classify "+kind+" "+DataVersion)
			}
			continue
		}
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if !utf8.ValidString(line) {
			return fmt.Errorf("%s:%d: not UTF-8", name, n)
		}
		if err := do(n, line); err != nil {
			return fmt.Errorf("%s:%d: %w", name, n, err)
		}
	}
	return sc.Err()
}

// loadExamples reads data/examples/CODE.txt for every domain; a line given twice, in whatever domain, is an error.
func loadExamples(fsys fs.FS) ([]example, error) {
	var out []example
	seen := map[string]string{}
	for i, d := range domains {
		count := 0
		err := lines(fsys, "data/examples/"+d.code+".txt", "examples", func(_ int, line string) error {
			if before, ok := seen[line]; ok {
				return fmt.Errorf("%q is also an example of %s", line, before)
			}
			seen[line] = d.code
			out = append(out, example{i, line})
			count++
			return nil
		})
		if err != nil {
			return nil, err
		}
		if count < fewest {
			return nil, fmt.Errorf("domain %s has %d examples, fewer than %d", d.code, count, fewest)
		}
	}
	return out, nil
}

// loadLexicon reads the lexicon, the rules and the names of places.
func loadLexicon(fsys fs.FS) (*lexicon, error) {
	l := &lexicon{next: map[uint64]int32{}, words: []*word{nil}, classes: map[string]int{}}
	section := -1
	err := lines(fsys, "data/lexicon.txt", "lexicon", func(_ int, line string) error {
		if code, ok := strings.CutPrefix(line, "["); ok {
			d, known := domainOf(strings.TrimSuffix(code, "]"))
			if !known {
				return fmt.Errorf("unknown domain %q", line)
			}
			section = d
			return nil
		}
		parts := strings.Fields(line)
		value, err := strconv.ParseFloat(parts[0], 64)
		if err != nil || len(parts) < 2 || section < 0 || value < -10 || value > 10 {
			return fmt.Errorf("want a weight within ±10 and words, inside a [CODE] section")
		}
		for _, p := range parts[1:] {
			w := l.entry(p)
			for _, have := range w.weights {
				if have.domain == section {
					return fmt.Errorf("%q stands twice in %s", p, domains[section].code)
				}
			}
			w.weights = append(w.weights, weight{section, value})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := l.loadRules(fsys); err != nil {
		return nil, err
	}
	l.inherit()
	l.places, err = placeNames(fsys)
	return l, err
}

func (l *lexicon) loadRules(fsys fs.FS) error {
	type pending struct {
		rule
		cond string
		line int
	}
	var later []pending // classes may stand below the rules that use them
	err := lines(fsys, "data/rules.txt", "rules", func(n int, line string) error {
		parts := strings.Fields(line)
		switch {
		case (parts[0] == "class" || parts[0] == "more") && len(parts) > 2:
			k, known := l.classes[parts[1]]
			if known != (parts[0] == "more") || !known && len(l.classes) == maxClasses {
				return fmt.Errorf("class %q twice, or not yet there, or more than %d classes", parts[1], maxClasses)
			}
			if !known {
				k = len(l.classes)
				l.classes[parts[1]] = k
			}
			return l.join(k, parts[1], parts[2:])
		case parts[0] == "rule" && len(parts) > 3:
			d, ok := domainOf(parts[1])
			value, err := strconv.ParseFloat(parts[2], 64)
			cond, reason, found := strings.Cut(strings.Join(parts[3:], " "), "|")
			if !ok || err != nil || value <= 0 || !found || strings.TrimSpace(reason) == "" {
				return fmt.Errorf("want: rule CODE WEIGHT CONDITION | reason")
			}
			later = append(later, pending{rule{domain: d, weight: value, reason: strings.TrimSpace(reason)}, cond, n})
			return nil
		}
		return fmt.Errorf("neither a class nor a rule")
	})
	if err != nil {
		return err
	}
	for _, p := range later {
		for _, t := range strings.Split(p.cond, "&") {
			parsed, err := l.parseTerm(strings.TrimSpace(t))
			if err != nil {
				return fmt.Errorf("data/rules.txt:%d: %w", p.line, err)
			}
			p.terms = append(p.terms, parsed)
		}
		l.rules = append(l.rules, p.rule)
	}
	for name, to := range map[string]*int{"org": &l.org, "locative": &l.locative, "police": &l.police, "report": &l.report} {
		k, ok := l.classes[name]
		if !ok {
			return fmt.Errorf("data/rules.txt: class %s is missing", name)
		}
		*to = k
	}
	return nil
}

// join puts words into a class.
func (l *lexicon) join(class int, name string, words []string) error {
	for _, p := range words {
		w := l.entry(p)
		for _, have := range w.classes {
			if have == class {
				return fmt.Errorf("%q stands twice in class %s", p, name)
			}
		}
		w.classes = append(w.classes, class)
	}
	return nil
}

// parseTerm reads "class", "!class", "a<8>b" or "!a<8>b".
func (l *lexicon) parseTerm(s string) (term, error) {
	t := term{follow: -1}
	s, t.not = strings.CutPrefix(s, "!")
	name, rest, pair := strings.Cut(s, "<")
	var ok bool
	if t.class, ok = l.classes[name]; !ok {
		return t, fmt.Errorf("unknown class %q", name)
	}
	if !pair {
		return t, nil
	}
	num, second, found := strings.Cut(rest, ">")
	n, err := strconv.Atoi(num)
	if !found || err != nil || n < 0 {
		return t, fmt.Errorf("bad distance in %q", s)
	}
	t.within = n
	if t.follow, ok = l.classes[second]; !ok {
		return t, fmt.Errorf("unknown class %q", second)
	}
	return t, nil
}
