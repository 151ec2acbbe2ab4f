// Package flow reads, checks, draws and walks the files that say how the hotline leads a caller through its menus.
//
// A flow is a set of named nodes. Each node does one thing, named by its verb, and leads to other nodes by its exits.
// The verbs and what they understand are listed in Verbs; a file that uses anything else is refused with its line and
// column before it ever meets a caller.
package flow

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"sort"
	"strings"
	"time"
)

// Flow is a file that was read and found to be sound in itself. It does not change.
type Flow struct {
	Name     string            // flow:
	Version  string            // version:, followed by "+" and the first eight hex digits of the file's SHA-256
	Title    string            // title:
	Start    string            // start:, the first node
	Anywhere map[string]string // keys that lead to a node from anywhere that does not use them itself
	Nodes    map[string]*Node
	Order    []string         // names of the nodes as the file lists them
	Subs     map[string]*Flow // flows that call leads into, by name; see Link

	file     string
	text     []byte
	promptAt map[string]pos // where each prompt was first named, for Check
}

// Node is one step.
type Node struct {
	Name    string
	Verb    string
	Prompts []string            // value of say, menu, collect, message, queue, rate, progress, hangup
	Value   string              // value of answer, hook, call and return
	Fields  map[string]string   // value of set
	Rules   []Rule              // value of when
	Text    map[string]string   // attributes that are words
	Lists   map[string][]string // attributes that are lists of prompts or words
	Numbers map[string]int
	Times   map[string]time.Duration
	Keys    map[string]string // key → node
	Exits   map[string]string // exit → node
	Words   []Spoken          // what hear follows, in the order of the file

	at pos
}

// Spoken is words that lead to a node.
type Spoken struct {
	Go    string
	Words []string
}

// Rule is one line of a when: it holds when everything it names holds.
type Rule struct {
	Day      string    // "workday", "rest" (weekend or holiday), "holiday" (a statutory day off), or empty
	From, To string    // "HH:MM", half-open, may span midnight; both or neither
	Date     [2]string // first and last day, YYYY-MM-DD; both or neither
	Staffed  string    // "yes", "no" (an operator is on duty for Queue and Skill), or empty
	Queue    string    // the queue that Staffed and Waiting ask about
	Skill    string    // a skill that Staffed asks for
	Waiting  int       // at least so many callers wait; 0 is no condition
	Caller   string    // "anonymous", "known" (called before), "new", or empty
	Flag     string    // a mark of the caller: "vip", "nuisance", …
	Area     []string  // what the caller's number begins with, such as 024; "mobile" for any mobile number
	Var, Is  string    // a value has been noted, and is this one
	Go       string

	at pos
}

type pos struct{ line, col int }

// Problem is something wrong in a file.
type Problem struct {
	File      string
	Line, Col int
	Text      string
}

func (p Problem) Error() string { return fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Col, p.Text) }

// Problems is everything wrong in a file, in its order. It is the error of Parse and Check.
type Problems []Problem

func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

func (ps Problems) err() error {
	if len(ps) == 0 {
		return nil
	}
	sort.SliceStable(ps, func(i, j int) bool {
		if ps[i].Line != ps[j].Line {
			return ps[i].Line < ps[j].Line
		}
		return ps[i].Col < ps[j].Col
	})
	return ps
}

// Exit is the node to which an outcome leads from n: an exit of that name, a key of n, or a key that works anywhere.
// It is empty when the outcome leads nowhere.
func (f *Flow) Exit(n *Node, outcome string) string {
	if to := n.Exits[outcome]; to != "" {
		return to
	}
	if to := n.Keys[outcome]; to != "" {
		return to
	}
	return f.Anywhere[outcome]
}

// Repeat is the target that plays a menu once more. It costs none of the caller's tries, up to a limit.
const Repeat = "repeat"

func version(stated string, file []byte) string {
	sum := sha256.Sum256(file)
	return stated + "+" + hex.EncodeToString(sum[:4])
}

// each calls fn for every way out of n: a label as a person would say it, and the target.
func (n *Node) each(fn func(label, to string)) {
	for i, r := range n.Rules {
		fn(fmt.Sprintf("%d %s", i+1, r), r.Go)
	}
	for _, k := range sortedKeys(n.Keys) {
		fn("按 "+k, n.Keys[k])
	}
	for _, x := range n.Words {
		fn("说 "+strings.Join(x.Words, "、"), x.Go)
	}
	for _, k := range sortedKeys(n.Exits) {
		fn(k, n.Exits[k])
	}
}

// String is the rule's condition in words.
func (r Rule) String() string {
	var w []string
	if r.Day != "" {
		w = append(w, map[string]string{"workday": "工作日", "rest": "休息日", "holiday": "节假日"}[r.Day])
	}
	if r.Date[0] != "" {
		w = append(w, r.Date[0]+"至"+r.Date[1])
	}
	if r.From != "" {
		w = append(w, r.From+"–"+r.To)
	}
	if r.Staffed != "" {
		who := ""
		if r.Queue != "" {
			who = "队列" + r.Queue
		}
		if r.Skill != "" {
			who += "技能" + r.Skill
		}
		w = append(w, who+map[string]string{"yes": "有人在岗", "no": "无人在岗"}[r.Staffed])
	}
	if r.Waiting > 0 {
		w = append(w, fmt.Sprintf("%s等候满%d人", r.Queue, r.Waiting))
	}
	if r.Caller != "" {
		w = append(w, map[string]string{"anonymous": "无来电号码", "known": "来过电", "new": "首次来电"}[r.Caller])
	}
	if r.Flag != "" {
		w = append(w, "标记"+r.Flag)
	}
	if len(r.Area) > 0 {
		w = append(w, "号码"+strings.Join(r.Area, "、"))
	}
	if r.Var != "" {
		w = append(w, r.Var+"="+r.Is)
	}
	return strings.Join(w, "且")
}

func sortedKeys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	sort.Strings(out)
	return out
}
