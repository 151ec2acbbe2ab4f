package flow

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func shipped(t testing.TB) *Flow {
	t.Helper()
	b, err := os.ReadFile("../flows/hotline.yaml")
	if err != nil {
		t.Fatal(err)
	}
	f, err := Parse("hotline.yaml", b)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestShippedFlowIsSound(t *testing.T) {
	f := shipped(t)
	if f.Name != "hotline" || !strings.HasPrefix(f.Version, "1+") {
		t.Errorf("name %q version %q", f.Name, f.Version)
	}
	for _, n := range f.Order {
		if !strings.Contains(f.Draw(), "["+n+"]") {
			t.Errorf("the drawing leaves out %s", n)
		}
	}
}

// A sound flow into which the cases below put one mistake each.
const sound = `flow: t
version: 1
start: a
anywhere: {"0": d}
nodes:
  a:
    menu: [x]
    keys: {"1": b, "9": repeat}
    otherwise: d
  b:
    say: y
    next: d
  d:
    hangup: z
`

func TestMistakesAreNamedWithLineAndColumn(t *testing.T) {
	if _, err := Parse("t.yaml", []byte(sound)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, old, new, want string }{
		{"unknown target", "next: d", "next: dd", `t.yaml:10:3: node b: next leads to "dd", which is not there; did you mean "d"?`},
		{"unknown start", "start: a", "start: q", `t.yaml:3:8: start: there is no node "q"`},
		{"unknown verb", "say: y", "sing: y", `t.yaml:10:3: node b: has no verb; expected one of say, menu, collect`},
		{"two verbs", "say: y", "say: y\n    hangup: y", `t.yaml:12:5: node b: has two verbs, say and hangup`},
		{"unknown word", "say: y", "say: y\n    loud: yes", `t.yaml:12:5: node b: say does not understand "loud"; expected next`},
		{"missing exit", "    next: d\n", "", `t.yaml:10:3: node b: say needs the exit "next"`},
		{"menu without exit", "    otherwise: d\n", "", `t.yaml:6:3: node a: menu needs the exit "otherwise"`},
		{"menu without keys", "    keys: {\"1\": b, \"9\": repeat}\n", "", `node a: a menu needs keys`},
		{"bad key", `"9": repeat`, `"12": repeat`, `t.yaml:8:20: node a: keys: "12" is no key`},
		{"key twice", `"9": repeat`, `"1": d`, `t.yaml:8:20: node a: keys: 1 is there twice`},
		{"bad time", "otherwise: d", "otherwise: d\n    wait: soon", `t.yaml:10:11: node a: wait: expected a time such as 6s or 3m, got "soon"`},
		{"bad number", "otherwise: d", "otherwise: d\n    tries: many", `t.yaml:10:12: node a: tries: expected a whole number from 0 to 1000, got "many"`},
		{"unreachable", "  d:\n", "  e:\n    hangup: z\n  d:\n", `t.yaml:13:3: node e: nothing leads here`},
		{"node twice", "  d:\n", "  b:\n    hangup: z\n  d:\n", `t.yaml:13:3: nodes: b is there twice`},
		{"no way out", "hangup: z", "menu: z\n    keys: {\"1\": a}\n    otherwise: a", `node a: no way leads from here to a hangup`},
		{"endless", "next: d", "next: c\n  c:\n    goto: b", `goes round for ever without waiting`},
		{"not fields", "say: y\n    next: d", "[say]", ``},
		{"bad prompt", "say: y", "say: {y: 1}", `t.yaml:11:10: node b: say: expected a word, got fields`},
		{"bad rule", "say: y\n    next: d", "when: [{day: sunday, go: d}]\n    otherwise: d", `t.yaml:11:18: node b: when: day: expected workday or rest or holiday, got "sunday"`},
		{"rule without go", "say: y\n    next: d", "when: [{day: rest}]\n    otherwise: d", `a rule needs go`},
		{"half a span", "say: y\n    next: d", "when: [{from: \"08:00\", go: d}]\n    otherwise: d", `from and to belong together`},
		{"bad set", "say: y", "set: {colour: red}", `t.yaml:11:11: node b: set: unknown field "colour"; expected one of body, confidential, kind, place, title, urgent, or var.NAME`},
		{"no yaml", "nodes:", "nodes: [", `t.yaml:`},
		{"tab", "  b:", "\tb:", `t.yaml:`},
		{"unknown top", "version: 1", "vershun: 1", `t.yaml:2:1: unknown word "vershun"`},
		{"anywhere to nowhere", `"0": d`, `"0": x`, `anywhere: 0 leads to "x"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if !strings.Contains(sound, c.old) {
				t.Fatalf("the sound flow has no %q", c.old)
			}
			_, err := Parse("t.yaml", []byte(strings.Replace(sound, c.old, c.new, 1)))
			var ps Problems
			if !errors.As(err, &ps) {
				t.Fatalf("error is %v, want problems", err)
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("problems:\n%v\nwant:\n%s", err, c.want)
			}
		})
	}
}

func TestEveryMistakeIsReportedAtOnce(t *testing.T) {
	_, err := Parse("t.yaml", []byte(strings.NewReplacer("next: d", "next: dd", "otherwise: d", "otherwise: ee").Replace(sound)))
	var ps Problems
	if !errors.As(err, &ps) || len(ps) != 2 {
		t.Fatalf("problems: %v", err)
	}
}

func TestCheckNamesMissingPromptsAndCategories(t *testing.T) {
	f := shipped(t)
	yes := func(string) bool { return true }
	if err := f.Check(Known{Prompt: yes, Category: yes, Kind: yes}); err != nil {
		t.Fatal(err)
	}
	err := f.Check(Known{Prompt: func(k string) bool { return k != "greeting" && k != "beep" }, Category: func(c string) bool { return c != "huzheng" }, Kind: func(k string) bool { return k != "help" }})
	if err == nil {
		t.Fatal("missing prompts were not noticed")
	}
	for _, want := range []string{"there is no prompt greeting", "message plays the prompt beep", "no kind of request help"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("problems:\n%v\nwant %q", err, want)
		}
	}
	f, err = Parse("f.yaml", []byte("flow: f\nversion: 1\nstart: a\nnodes:\n  a: {answer: huzheng, solved: b, person: b}\n  b: {hangup: goodbye}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Check(Known{Prompt: yes, Category: func(c string) bool { return c != "huzheng" }, Kind: yes}); err == nil || !strings.Contains(err.Error(), "no category huzheng") {
		t.Errorf("a category that is not there: %v", err)
	}
}

// script is a Host that presses keys and notes what it heard.
type script struct {
	keys    []Key // NoKey is silence
	heard   []string
	set     map[string]string
	private int
	facts   Facts
}

func (s *script) next() Key {
	if len(s.keys) == 0 {
		return NoKey
	}
	k := s.keys[0]
	s.keys = s.keys[1:]
	return k
}

// Say ends without a key; keys are pressed when they are waited for, unless one is marked for barging in.
func (s *script) Say(_ context.Context, prompts []string) (Key, error) {
	s.heard = append(s.heard, prompts...)
	if len(s.keys) > 1 && s.keys[0] == '^' { // barges in
		s.keys = s.keys[1:]
		return s.next(), nil
	}
	return NoKey, nil
}
func (s *script) Press(context.Context, time.Duration) (Key, error) { return s.next(), nil }
func (s *script) Private(on bool) {
	if on {
		s.private++
	}
}
func (s *script) Set(f, v string) {
	if s.set == nil {
		s.set = map[string]string{}
	}
	s.set[f] = v
}
func (s *script) Facts(context.Context) (Facts, error) { return s.facts, nil }
func (s *script) Digits(n string) []string             { return []string{"<" + n + ">"} }
func (s *script) Step(string, string)                  {}

func TestWalk(t *testing.T) {
	f := shipped(t)
	for _, c := range []struct {
		name string
		keys string
		want string // node at which the walk stops
	}{
		{"operator", "0", "staff"},
		{"report", "1", "staff"},
		{"policy", "2", "policy"},
		{"wrong keys lead to a person", "777", "staff"},
		{"silence leads to a person", "", "staff"},
		{"one wrong key is forgiven", "73", "progress"},
		{"repeat costs no try", "99773", "progress"},
		{"0 while the greeting plays", "^0", "staff"},
		{"110 at once", "^!", "staff-urgent"},
		{"110 in the menu", "!", "staff-urgent"},
		{"a key of the menu during the greeting", "^3", "progress"},
		{"a key during the greeting that means nothing anywhere", "^53", "progress"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := &script{keys: []rune(c.keys)}
			for i, k := range h.keys {
				if k == ' ' {
					h.keys[i] = NoKey
				}
			}
			n, err := f.Walk(context.Background(), h, f.Start)
			if err != nil {
				t.Fatal(err)
			}
			if n.Name != c.want {
				t.Errorf("the call came to %s, want %s; heard %v", n.Name, c.want, h.heard)
			}
		})
	}
}

func TestWrongKeyIsAnsweredByTheApology(t *testing.T) {
	f := shipped(t)
	h := &script{keys: []rune("73")}
	if _, err := f.Walk(context.Background(), h, "main"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"menu.main", "menu.wrong", "menu.main"}, h.heard); diff != "" {
		t.Error(diff)
	}
}

func TestRulesByHourDayAndStaff(t *testing.T) {
	zone := time.FixedZone("CST", 8*3600)
	at := func(h, m int) time.Time { return time.Date(2026, 11, 23, h, m, 0, 0, zone) }
	for _, c := range []struct {
		name  string
		rule  Rule
		facts Facts
		want  bool
	}{
		{"night before midnight", Rule{From: "18:00", To: "08:00"}, Facts{Now: at(23, 0)}, true},
		{"night after midnight", Rule{From: "18:00", To: "08:00"}, Facts{Now: at(3, 0)}, true},
		{"half open", Rule{From: "18:00", To: "08:00"}, Facts{Now: at(8, 0)}, false},
		{"start belongs", Rule{From: "18:00", To: "08:00"}, Facts{Now: at(18, 0)}, true},
		{"to midnight", Rule{From: "22:00", To: "24:00"}, Facts{Now: at(23, 59)}, true},
		{"rest day", Rule{Day: "rest"}, Facts{Workday: false}, true},
		{"workday", Rule{Day: "rest"}, Facts{Workday: true}, false},
		{"all must hold", Rule{Day: "workday", Staffed: "yes"}, Facts{Workday: true}, false},
		{"caller", Rule{Caller: "anonymous"}, Facts{Caller: "known"}, false},
	} {
		if got := c.rule.holds(c.facts); got != c.want {
			t.Errorf("%s: %t", c.name, got)
		}
	}
}

func TestCollectIsPrivateAndReadBack(t *testing.T) {
	const text = `flow: t
version: 1
start: a
nodes:
  a: {collect: ask, into: number, min: 3, max: 5, wrong: wrong, silent: silent, read: read, confirm: sure, next: b, otherwise: b}
  b: {hangup: bye}
`
	f, err := Parse("t.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	h := &script{keys: []rune("12#9*345#2345#1")}
	if _, err := f.Walk(context.Background(), h, "a"); err != nil {
		t.Fatal(err)
	}
	want := []string{"ask", "wrong", "ask", "read", "<345>", "sure", "ask", "read", "<345>", "sure"}
	if diff := cmp.Diff(want, h.heard); diff != "" {
		t.Error(diff)
	}
	if h.set["number"] != "345" || h.private != 3 {
		t.Errorf("collected %v, %d times private", h.set, h.private)
	}
}

func TestACallThatGoesRoundIsEnded(t *testing.T) {
	f, err := Parse("t.yaml", []byte("flow: t\nversion: 1\nstart: a\nnodes:\n  a: {menu: x, keys: {\"1\": a}, otherwise: b}\n  b: {hangup: bye}\n"))
	if err != nil {
		t.Fatal(err)
	}
	h := &script{keys: []rune(strings.Repeat("1", 1000))}
	if _, err := f.Walk(context.Background(), h, "a"); !errors.Is(err, ErrLost) {
		t.Fatal(err)
	}
}

func TestTryPlaysACallInText(t *testing.T) {
	f := shipped(t)
	var out bytes.Buffer
	in := strings.NewReader("\n2\nsolved\nnext\n")
	err := f.Try(context.Background(), in, &out, func(p string) string { return "《" + p + "》" }, Facts{})
	if err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	for _, want := range []string{"《notice.recording》", "《menu.noinput》", "《kb.speak》", "〔kb〕", "《kb.solved.yes》", "《goodbye》", "（挂机）"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %s in\n%s", want, out.String())
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(sound))
	b, err := os.ReadFile("../flows/hotline.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte("flow: &a [*a]"))
	f.Fuzz(func(t *testing.T, b []byte) {
		fl, err := Parse("f.yaml", b)
		if err != nil {
			return
		}
		_ = fl.Draw()
		h := &script{keys: []rune("9*0!12#3")}
		if _, err := fl.Walk(t.Context(), h, fl.Start); err != nil && !errors.Is(err, ErrLost) {
			t.Fatal(err)
		}
	})
}
