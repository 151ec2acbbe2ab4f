package flow

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"lianxin/ivr/say"
)

// Parse reads a flow and checks everything that can be told from the file alone: words, types, targets, nodes that
// nobody reaches, circles and dead ends. The error is a Problems with line and column of each.
func Parse(file string, b []byte) (*Flow, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(b, &doc); err != nil {
		return nil, Problems{yamlProblem(file, err)}
	}
	p := &parser{f: &Flow{file: file, text: b, Nodes: map[string]*Node{}, Anywhere: map[string]string{}, promptAt: map[string]pos{}}}
	if len(doc.Content) == 0 {
		return nil, Problems{{File: file, Line: 1, Col: 1, Text: "the file is empty; expected flow, version, start and nodes"}}
	}
	p.top(doc.Content[0])
	if len(p.bad) == 0 {
		p.values()
		p.graph()
	}
	if err := p.bad.err(); err != nil {
		return nil, err
	}
	p.f.Version = version(p.f.Version, b)
	return p.f, nil
}

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)`)

func yamlProblem(file string, err error) Problem {
	pr := Problem{File: file, Line: 1, Col: 1, Text: err.Error()}
	if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
		if n, err := strconv.Atoi(m[1]); err == nil {
			pr.Line = n
		}
		pr.Text = m[2]
	}
	return pr
}

type parser struct {
	f       *Flow
	bad     Problems
	read    map[string]pos  // values that are used, where first
	written map[string]bool // values that are noted somewhere
}

func (p *parser) fail(at pos, format string, args ...any) {
	p.bad = append(p.bad, Problem{File: p.f.file, Line: at.line, Col: at.col, Text: fmt.Sprintf(format, args...)})
}

func at(n *yaml.Node) pos { return pos{n.Line, n.Column} }

// pairs walks a mapping, refusing what is none and keys that come twice.
func (p *parser) pairs(n *yaml.Node, what string, fn func(k, v *yaml.Node)) bool {
	if n.Kind != yaml.MappingNode {
		p.fail(at(n), "%s: expected fields, got %s", what, kindName(n))
		return false
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		if k.Kind != yaml.ScalarNode {
			p.fail(at(k), "%s: expected a word, got %s", what, kindName(k))
			continue
		}
		if seen[k.Value] {
			p.fail(at(k), "%s: %s is there twice", what, k.Value)
			continue
		}
		seen[k.Value] = true
		fn(k, v)
	}
	return true
}

func kindName(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "fields"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias"
	case yaml.ScalarNode:
		if n.Value == "" || n.Tag == "!!null" {
			return "nothing"
		}
		return strconv.Quote(n.Value)
	}
	return "nothing"
}

func (p *parser) top(n *yaml.Node) {
	f := p.f
	var start pos
	ok := p.pairs(n, "flow", func(k, v *yaml.Node) {
		switch k.Value {
		case "flow":
			f.Name = p.word(v, "flow")
		case "version":
			f.Version = p.word(v, "version")
		case "title":
			f.Title = p.text(v, "title")
		case "start":
			f.Start, start = p.word(v, "start"), at(v)
		case "anywhere":
			f.Anywhere = p.keys(v, "anywhere", `^[0-9*#]{1,4}$`)
			for key, to := range f.Anywhere {
				if to == Repeat {
					p.fail(at(v), "anywhere: %s cannot repeat; name a node", key)
				}
			}
		case "nodes":
			p.pairs(v, "nodes", p.node)
		default:
			p.fail(at(k), "unknown word %q; expected flow, version, title, start, anywhere or nodes", k.Value)
		}
	})
	if !ok {
		return
	}
	for word, v := range map[string]string{"flow": f.Name, "version": f.Version, "start": f.Start} {
		if v == "" && len(p.bad) == 0 {
			p.fail(at(n), "%s is missing", word)
		}
	}
	if len(f.Nodes) == 0 && len(p.bad) == 0 {
		p.fail(at(n), "nodes are missing")
	}
	if f.Start != "" && f.Nodes[f.Start] == nil && start.line > 0 {
		p.fail(start, "start: there is no node %q%s", f.Start, p.like(f.Start))
	}
}

var nodeName = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)

func (p *parser) node(k, v *yaml.Node) {
	n := &Node{Name: k.Value, at: at(k), Text: map[string]string{}, Lists: map[string][]string{}, Numbers: map[string]int{}, Times: map[string]time.Duration{}, Exits: map[string]string{}, Keys: map[string]string{}}
	if !nodeName.MatchString(n.Name) || n.Name == Repeat {
		p.fail(n.at, "node name %q: expected lower-case letters, digits and hyphens, and not %q", n.Name, Repeat)
	}
	if v.Kind != yaml.MappingNode {
		p.fail(at(v), "node %s: expected a verb (%s), got %s", n.Name, verbNames(), kindName(v))
		return
	}
	var verb *Verb
	for i := 0; i+1 < len(v.Content); i += 2 {
		if w := verbByName[v.Content[i].Value]; w != nil && (verb == nil || w.attrs[verb.Name] == "") {
			if verb != nil && verb.attrs[w.Name] == "" && !slices.Contains(verb.must, w.Name) && !slices.Contains(verb.may, w.Name) {
				p.fail(at(v.Content[i]), "node %s: has two verbs, %s and %s; one node does one thing", n.Name, verb.Name, w.Name)
				return
			}
			if verb == nil {
				verb = w
			}
		}
	}
	if verb == nil {
		p.fail(n.at, "node %s: has no verb; expected one of %s", n.Name, verbNames())
		return
	}
	n.Verb = verb.Name
	p.pairs(v, "node "+n.Name, func(k, v *yaml.Node) { p.attr(n, verb, k, v) })
	for _, exit := range verb.must {
		if n.Exits[exit] == "" {
			p.fail(n.at, "node %s: %s needs the exit %q", n.Name, verb.Name, exit)
		}
	}
	switch {
	case verb.Name == "menu" && len(n.Keys) == 0:
		p.fail(n.at, "node %s: a menu needs keys", n.Name)
	case verb.Name == "collect" && n.Text["into"] == "":
		p.fail(n.at, "node %s: collect needs into, the name of what is collected", n.Name)
	case (verb.Name == "record" || verb.Name == "question") && n.Text["into"] == "":
		p.fail(n.at, "node %s: %s needs into, the name under which the answer is kept", n.Name, verb.Name)
	case verb.Name == "hear" && len(n.Words) == 0:
		p.fail(n.at, "node %s: hear needs words", n.Name)
	case verb.Name == "call" && len(n.Exits) == 0:
		p.fail(n.at, "node %s: call needs next, or outcomes under to", n.Name)
	}
	p.f.Nodes[n.Name] = n
	p.f.Order = append(p.f.Order, n.Name)
}

func (p *parser) attr(n *Node, verb *Verb, k, v *yaml.Node) {
	what := "node " + n.Name + ": " + k.Value
	if k.Value == verb.Name {
		switch verb.value {
		case prompts:
			n.Prompts = p.prompts(v, what)
		case fields:
			n.Fields = map[string]string{}
			p.pairs(v, what, func(fk, fv *yaml.Node) {
				if setFields[fk.Value] == "" && !varName.MatchString(fk.Value) {
					p.fail(at(fk), "%s: unknown field %q; expected one of %s, or var.NAME", what, fk.Value, strings.Join(sortedKeys(setFields), ", "))
				}
				n.Fields[fk.Value] = p.text(fv, what)
				for _, name := range mentions(n.Fields[fk.Value]) {
					p.reads(name, at(fv))
				}
				if name, ok := strings.CutPrefix(fk.Value, "var."); ok {
					p.writes(name)
				}
				if (fk.Value == "confidential" || fk.Value == "urgent") && fv.Value != "yes" && fv.Value != "no" {
					p.fail(at(fv), "%s: %s: expected yes or no, got %s", what, fk.Value, kindName(fv))
				}
			})
		case rules:
			n.Rules = p.rules(v, what)
		case address:
			n.Value = p.address(v, what)
		default:
			n.Value = p.word(v, what)
			if verb.Name == "goto" {
				n.Exits["next"] = n.Value
			}
		}
		return
	}
	if slices.Contains(verb.must, k.Value) || slices.Contains(verb.may, k.Value) {
		n.Exits[k.Value] = p.word(v, what)
		return
	}
	switch verb.attrs[k.Value] {
	case "":
		p.fail(at(k), "node %s: %s does not understand %q; expected %s", n.Name, verb.Name, k.Value, strings.Join(verb.understands(), ", "))
	case prompts:
		n.Lists[k.Value] = p.prompts(v, what)
	case words:
		n.Lists[k.Value] = p.list(v, what)
	case word:
		n.Text[k.Value] = p.word(v, what)
	case yesno:
		if v.Value != "yes" && v.Value != "no" {
			p.fail(at(v), "%s: expected %s, got %s", what, yesno, kindName(v))
		}
		n.Text[k.Value] = v.Value
	case number:
		i, err := strconv.Atoi(v.Value)
		if err != nil || v.Kind != yaml.ScalarNode || i < 0 || i > 1000 {
			p.fail(at(v), "%s: expected %s from 0 to 1000, got %s", what, number, kindName(v))
		}
		n.Numbers[k.Value] = i
	case length:
		d, err := time.ParseDuration(v.Value)
		if err != nil || v.Kind != yaml.ScalarNode || d < 0 || d > 24*time.Hour {
			p.fail(at(v), "%s: expected %s, got %s", what, length, kindName(v))
		}
		n.Times[k.Value] = d
	case keys:
		n.Keys = p.keys(v, what, `^[0-9*#]$`)
	case targets:
		p.pairs(v, what, func(k, v *yaml.Node) {
			if !nodeName.MatchString(k.Value) {
				p.fail(at(k), "%s: %q is no outcome; expected lower-case letters, digits and hyphens", what, k.Value)
			}
			if n.Exits[k.Value] != "" {
				p.fail(at(k), "%s: the outcome %s leads somewhere already", what, k.Value)
			}
			n.Exits[k.Value] = p.word(v, what+": "+k.Value)
		})
	case spoken:
		p.pairs(v, what, func(k, v *yaml.Node) {
			n.Words = append(n.Words, Spoken{Go: k.Value, Words: p.list(v, what+": "+k.Value)})
		})
	}
	switch {
	case k.Value == "into" && n.Text["into"] != "":
		p.writes(n.Text["into"])
	case k.Value == "send":
		for i, name := range n.Lists["send"] {
			where := at(v)
			if v.Kind == yaml.SequenceNode {
				where = at(v.Content[i])
			}
			p.reads(name, where)
		}
	case k.Value == "answers" && !answers.MatchString(n.Text["answers"]):
		p.fail(at(v), "%s: expected keys such as 1-5, got %s", what, kindName(v))
	}
}

var (
	varName = regexp.MustCompile(`^var\.[a-z][a-z0-9-]*$`)
	answers = regexp.MustCompile(`^[0-9](-[0-9])?$`)
)

// address reads where a hook asks. Whether that is allowed is for Check to say.
func (p *parser) address(v *yaml.Node, what string) string {
	u, err := url.Parse(v.Value)
	if v.Kind != yaml.ScalarNode || err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.Fragment != "" {
		p.fail(at(v), "%s: expected %s without a password, got %s", what, address, kindName(v))
		return ""
	}
	return v.Value
}

func (v *Verb) understands() []string {
	out := append([]string{}, v.must...)
	out = append(out, v.may...)
	out = append(out, sortedKeys(v.attrs)...)
	if len(out) == 0 {
		return []string{"nothing else"}
	}
	return out
}

// reads notes that a value is used, to be held against those that are noted somewhere.
func (p *parser) reads(name string, where pos) {
	if p.read == nil {
		p.read = map[string]pos{}
	}
	if _, seen := p.read[name]; !seen {
		p.read[name] = where
	}
}

func (p *parser) writes(name string) {
	if p.written == nil {
		p.written = map[string]bool{}
	}
	p.written[name] = true
}

func (p *parser) word(v *yaml.Node, what string) string {
	if v.Kind != yaml.ScalarNode || strings.TrimSpace(v.Value) == "" || strings.ContainsAny(v.Value, " \t\n") {
		p.fail(at(v), "%s: expected a word, got %s", what, kindName(v))
		return ""
	}
	return v.Value
}

func (p *parser) text(v *yaml.Node, what string) string {
	if v.Kind != yaml.ScalarNode || strings.TrimSpace(v.Value) == "" {
		p.fail(at(v), "%s: expected a text, got %s", what, kindName(v))
		return ""
	}
	return v.Value
}

func (p *parser) list(v *yaml.Node, what string) []string {
	if v.Kind != yaml.SequenceNode {
		return []string{p.word(v, what)}
	}
	var out []string
	for _, e := range v.Content {
		out = append(out, p.word(e, what))
	}
	return out
}

// prompts reads a prompt or a list of them; an empty list is no prompts.
func (p *parser) prompts(v *yaml.Node, what string) []string {
	if v.Kind == yaml.ScalarNode && (v.Tag == "!!null" || v.Value == "") {
		return nil
	}
	out := p.list(v, what)
	for i, key := range out {
		where := at(v)
		if v.Kind == yaml.SequenceNode {
			where = at(v.Content[i])
		}
		if say.IsExpression(key) {
			x, err := say.ParseExpression(key)
			if err != nil {
				p.fail(where, "%s: %v", what, err)
			} else if x.Var != "" {
				p.reads(x.Var, where)
			}
			for _, piece := range x.Pieces() {
				if _, seen := p.f.promptAt[piece]; !seen {
					p.f.promptAt[piece] = where
				}
			}
			continue
		}
		if _, seen := p.f.promptAt[key]; !seen {
			p.f.promptAt[key] = where
		}
	}
	return out
}

func (p *parser) keys(v *yaml.Node, what, form string) map[string]string {
	out := map[string]string{}
	re := regexp.MustCompile(form)
	p.pairs(v, what, func(k, v *yaml.Node) {
		if !re.MatchString(k.Value) {
			p.fail(at(k), "%s: %q is no key; expected 0 to 9, \"*\" or \"#\"", what, k.Value)
			return
		}
		out[k.Value] = p.word(v, what+": "+k.Value)
	})
	return out
}

var clock = regexp.MustCompile(`^([01]\d|2[0-3]):[0-5]\d$|^24:00$`)

var area = regexp.MustCompile(`^(mobile|\+?[0-9]{1,8})$`)

// dates reads a day or FIRST..LAST.
func (p *parser) dates(v *yaml.Node, what string) [2]string {
	first, last, span := strings.Cut(v.Value, "..")
	if !span {
		last = first
	}
	_, err1 := time.Parse(time.DateOnly, first)
	_, err2 := time.Parse(time.DateOnly, last)
	if v.Kind != yaml.ScalarNode || err1 != nil || err2 != nil || last < first {
		p.fail(at(v), "%s: expected a day such as 2026-10-01 or 2026-10-01..2026-10-08, got %s", what, kindName(v))
		return [2]string{}
	}
	return [2]string{first, last}
}

func (p *parser) rules(v *yaml.Node, what string) []Rule {
	if v.Kind != yaml.SequenceNode {
		p.fail(at(v), "%s: expected a list of rules, got %s", what, kindName(v))
		return nil
	}
	var out []Rule
	for _, e := range v.Content {
		r := Rule{at: at(e)}
		oneOf := func(v *yaml.Node, name string, allowed ...string) string {
			if !slices.Contains(allowed, v.Value) {
				p.fail(at(v), "%s: %s: expected %s, got %s", what, name, strings.Join(allowed, " or "), kindName(v))
			}
			return v.Value
		}
		p.pairs(e, what, func(k, v *yaml.Node) {
			switch k.Value {
			case "day":
				r.Day = oneOf(v, "day", "workday", "rest", "holiday")
			case "date":
				r.Date = p.dates(v, what+": date")
			case "staffed":
				r.Staffed = oneOf(v, "staffed", "yes", "no")
			case "queue":
				r.Queue = p.word(v, what+": queue")
			case "skill":
				r.Skill = p.word(v, what+": skill")
			case "waiting":
				n, err := strconv.Atoi(v.Value)
				if err != nil || n < 1 {
					p.fail(at(v), "%s: waiting: expected how many callers wait at least, got %s", what, kindName(v))
				}
				r.Waiting = n
			case "caller":
				r.Caller = oneOf(v, "caller", "anonymous", "known", "new")
			case "flag":
				r.Flag = p.word(v, what+": flag")
			case "area":
				r.Area = p.list(v, what+": area")
				for _, a := range r.Area {
					if !area.MatchString(a) {
						p.fail(at(v), "%s: area: expected the beginning of a number such as \"024\", or mobile, got %q", what, a)
					}
				}
			case "var":
				if r.Var = p.word(v, what+": var"); r.Var != "" {
					p.reads(r.Var, at(v))
				}
			case "is":
				r.Is = p.text(v, what+": is")
			case "from", "to":
				if !clock.MatchString(v.Value) {
					p.fail(at(v), "%s: %s: expected a time such as 08:30, got %s", what, k.Value, kindName(v))
				}
				if k.Value == "from" {
					r.From = v.Value
				} else {
					r.To = v.Value
				}
			case "go":
				r.Go = p.word(v, what+": go")
			default:
				p.fail(at(k), "%s: unknown word %q; expected day, date, from, to, staffed, queue, skill, waiting, caller, flag, area, var, is or go", what, k.Value)
			}
		})
		if (r.Var == "") != (r.Is == "") {
			p.fail(r.at, "%s: var and is belong together", what)
		}
		if r.Queue != "" && r.Staffed == "" && r.Waiting == 0 || r.Skill != "" && r.Staffed == "" {
			p.fail(r.at, "%s: queue and skill say of whom staffed or waiting is asked", what)
		}
		if (r.From == "") != (r.To == "") {
			p.fail(r.at, "%s: from and to belong together", what)
		}
		if r.Go == "" {
			p.fail(r.at, "%s: a rule needs go", what)
		}
		if r.Day == "" && r.From == "" && r.Date[0] == "" && r.Staffed == "" && r.Waiting == 0 && r.Caller == "" && r.Flag == "" && len(r.Area) == 0 && r.Var == "" {
			p.fail(r.at, "%s: a rule without a condition always holds; use otherwise", what)
		}
		out = append(out, r)
	}
	return out
}

func verbNames() string {
	names := make([]string, len(Verbs))
	for i, v := range Verbs {
		names[i] = v.Name
	}
	return strings.Join(names, ", ")
}

// like suggests a node whose name is near.
func (p *parser) like(name string) string {
	best, least := "", 3
	for _, n := range sortedKeys(p.f.Nodes) {
		if d := distance(n, name); d < least {
			best, least = n, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", best)
}

func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		prev := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := prev
			if a[i-1] != b[j-1] {
				cost++
			}
			prev = row[j]
			row[j] = min(cost, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)]
}
