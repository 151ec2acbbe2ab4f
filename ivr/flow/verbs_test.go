package flow

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Nodes that stand in for b of the sound flow, and what is wrong with them.
func TestMistakesInTheVerbsOfSpeechHooksAndSubflows(t *testing.T) {
	for _, c := range []struct{ name, node, want string }{
		{"unknown form", "say: [y, dance:x]", `t.yaml:11:14: node b: say: unknown form "dance"; expected one of date, digits, money`},
		{"literal that cannot be spoken", "say: [\"money:12,5\"]", `t.yaml:11:11: node b: say: "12,5" cannot be spoken as money`},
		{"value that nothing notes", "say: [y, number:waited]", `t.yaml:11:14: nothing notes the value "waited"`},
		{"value in a text", "set: {title: \"{nothing}\"}", `t.yaml:11:18: nothing notes the value "nothing"`},
		{"hook without address", "hook: ftp://x/y\n    failed: d", `t.yaml:11:11: node b: hook: expected an address such as https://host/path without a password, got "ftp://x/y"`},
		{"hook with a password", "hook: https://a:b@x/y\n    failed: d", `without a password`},
		{"hook needs failed", "hook: https://x/y", `node b: hook needs the exit "failed"`},
		{"hear without words", "hear: y\n    otherwise: d", `node b: hear does not understand "next"`},
		{"outcome twice", "hook: https://x/y\n    failed: d\n    to: {failed: d}", `t.yaml:13:10: node b: to: the outcome failed leads somewhere already`},
		{"bad outcome", "hook: https://x/y\n    failed: d\n    to: {Late: d}", `t.yaml:13:10: node b: to: "Late" is no outcome`},
		{"record needs a name", "record: y\n    empty: d", `node b: record needs into`},
		{"bad answers", "question: y\n    into: q\n    answers: many\n    otherwise: d", `t.yaml:13:14: node b: answers: expected keys such as 1-5, got "many"`},
		{"return leads nowhere", "return: x", `t.yaml:12:5: node b: return does not understand "next"`},
		{"half a comparison", "when: [{var: x, go: d}]\n    otherwise: d", `var and is belong together`},
		{"bad date", "when: [{date: 2026-10-08..2026-10-01, go: d}]\n    otherwise: d", `t.yaml:11:19: node b: when: date: expected a day such as 2026-10-01`},
		{"bad area", "when: [{area: [\"a24\"], go: d}]\n    otherwise: d", `area: expected the beginning of a number`},
		{"queue of nothing", "when: [{queue: en, go: d}]\n    otherwise: d", `queue and skill say of whom staffed or waiting is asked`},
		{"bad count", "when: [{waiting: few, go: d}]\n    otherwise: d", `waiting: expected how many callers wait at least`},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := strings.Replace(sound, "say: y", c.node, 1)
			if strings.Contains(c.node, "when:") {
				text = strings.Replace(text, "    next: d\n", "", 1)
			}
			_, err := Parse("t.yaml", []byte(text))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("problems:\n%v\nwant:\n%s", err, c.want)
			}
		})
	}
}

// library is a set of flow files.
type library map[string]string

func (l library) read(name string) (*Flow, error) {
	text, ok := l[name]
	if !ok {
		return nil, fmt.Errorf("flow %s: %w", name, fs.ErrNotExist)
	}
	return Parse(name+".yaml", []byte(text))
}

const mainFlow = `flow: main
version: 3
start: a
anywhere: {"0": person, "110": person}
nodes:
  a:
    call: fees
    to: {known: told, unknown: person}
  told:
    say: [b, money:fee]
    next: z
  person:
    say: p
    next: z
  z: {hangup: bye}
`

const feesFlow = `flow: fees
version: 1
start: ask
nodes:
  ask: {menu: which, keys: {"1": known, "2": no}, otherwise: no}
  known:
    set: {var.fee: "12.50"}
    next: yes-known
  yes-known: {return: known}
  no: {return: unknown}
`

func linked(t *testing.T, l library) (*Flow, error) {
	t.Helper()
	f, err := l.read("main")
	if err != nil {
		t.Fatal(err)
	}
	return f.Link(l.read)
}

func TestFlowsThatCallEachOtherAreCheckedTogether(t *testing.T) {
	for _, c := range []struct {
		name string
		lib  library
		want string
	}{
		{"sound", library{"main": mainFlow, "fees": feesFlow}, ""},
		{"missing", library{"main": mainFlow}, `main.yaml:6:3: node a: there is no flow fees`},
		{"broken", library{"main": mainFlow, "fees": strings.Replace(feesFlow, "return: known", "return: [known]", 1)}, `fees.yaml:9:23: node yes-known: return: expected a word`},
		{"outcome that leads nowhere", library{"main": mainFlow, "fees": strings.Replace(feesFlow, "return: known", "return: maybe", 1)}, `main.yaml:6:3: node a: flow fees may return "maybe", which leads nowhere`},
		{"outcome that never comes", library{"main": mainFlow, "fees": strings.Replace(feesFlow, "return: known", "return: unknown", 1)}, `main.yaml:6:3: node a: flow fees never returns "known"`},
		{"another name inside", library{"main": mainFlow, "fees": strings.Replace(feesFlow, "flow: fees", "flow: other", 1)}, `says that it is the flow other`},
		{"circle", library{"main": mainFlow, "fees": strings.Replace(feesFlow, "{menu: which, keys: {\"1\": known, \"2\": no}, otherwise: no}", "{menu: which, keys: {\"1\": known, \"2\": no, \"3\": again}, otherwise: no}\n  again: {call: fees, to: {known: yes-known, unknown: no}}", 1)},
			`fees.yaml:6:3: node again: calls fees, which is being gone through (main → fees → fees)`},
		{"return in the first", library{"main": strings.Replace(mainFlow, "z: {hangup: bye}", "z: {return: out}", 1), "fees": feesFlow}, `main.yaml:15:3: node z: return, but nothing calls this flow`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := linked(t, c.lib)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("problems:\n%v\nwant:\n%s", err, c.want)
			}
		})
	}
}

func TestTheVersionTellsOfSubflows(t *testing.T) {
	one, err := linked(t, library{"main": mainFlow, "fees": feesFlow})
	if err != nil {
		t.Fatal(err)
	}
	other, err := linked(t, library{"main": mainFlow, "fees": strings.Replace(feesFlow, "12.50", "13.00", 1)})
	if err != nil {
		t.Fatal(err)
	}
	if one.Version == other.Version || !strings.HasPrefix(one.Version, "3+") {
		t.Errorf("versions %s and %s", one.Version, other.Version)
	}
	if diff := cmp.Diff(map[string]string{"main": mainFlow, "fees": feesFlow}, one.Files()); diff != "" {
		t.Error(diff)
	}
}

func TestTryGoesThroughSubflowsAndSpeaksValues(t *testing.T) {
	f, err := linked(t, library{"main": mainFlow, "fees": feesFlow})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ keys, want, never string }{
		{"1\n", "十二元五角", "《p》"},
		{"2\n", "《p》", "元"},
		{"0\n", "《p》", "元"}, // works anywhere in main, and so in what it calls
		{"110\n", "《p》", "元"},
	} {
		var out bytes.Buffer
		err := f.Try(context.Background(), strings.NewReader(c.keys), &out, func(p string) string { return "《" + p + "》" }, Facts{Now: time.Now()})
		if err != nil || !strings.Contains(out.String(), c.want) || strings.Contains(out.String(), c.never) || !strings.Contains(out.String(), "（挂机）") {
			t.Errorf("keys %q: %v\n%s", c.keys, err, out.String())
		}
	}
}

func TestRulesByHolidayNumberFlagQueueAndValue(t *testing.T) {
	at := time.Date(2026, 10, 1, 10, 0, 0, 0, time.FixedZone("CST", 8*3600))
	duty := func(queue, skill string) (bool, int) {
		return queue == "en" && skill == "", map[string]int{"en": 3}[queue]
	}
	facts := Facts{Now: at, Holiday: true, Number: "02442830110", Flags: []string{"vip"}, Duty: duty, Var: func(n string) string { return map[string]string{"result": "late"}[n] }}
	for _, c := range []struct {
		name string
		rule Rule
		want bool
	}{
		{"holiday", Rule{Day: "holiday"}, true},
		{"date inside", Rule{Date: [2]string{"2026-09-30", "2026-10-01"}}, true},
		{"date outside", Rule{Date: [2]string{"2026-10-02", "2026-10-08"}}, false},
		{"area", Rule{Area: []string{"0414", "024"}}, true},
		{"other area", Rule{Area: []string{"0414"}}, false},
		{"not mobile", Rule{Area: []string{"mobile"}}, false},
		{"flag", Rule{Flag: "vip"}, true},
		{"other flag", Rule{Flag: "nuisance"}, false},
		{"queue staffed", Rule{Queue: "en", Staffed: "yes"}, true},
		{"skill not staffed", Rule{Queue: "en", Skill: "ko", Staffed: "yes"}, false},
		{"enough wait", Rule{Queue: "en", Waiting: 3}, true},
		{"too few wait", Rule{Queue: "en", Waiting: 4}, false},
		{"value", Rule{Var: "result", Is: "late"}, true},
		{"other value", Rule{Var: "result", Is: "early"}, false},
		{"all must hold", Rule{Day: "holiday", Flag: "nuisance"}, false},
	} {
		if got := c.rule.holds(facts); got != c.want {
			t.Errorf("%s: %t", c.name, got)
		}
	}
	if !inArea("13800138000", "mobile") || inArea("", "024") || inArea("12345678901", "mobile") {
		t.Error("areas")
	}
}

func TestHooksMayAskAllowedHostsOnly(t *testing.T) {
	text := strings.Replace(sound, "say: y", "hook: https://desk.example/x\n    failed: d", 1)
	f, err := Parse("t.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	yes := func(string) bool { return true }
	k := Known{Prompt: yes, Category: yes, Kind: yes}
	if err := f.Check(k); err == nil || !strings.Contains(err.Error(), "t.yaml:10:3: node b: hooks may not ask desk.example") {
		t.Errorf("without a list of hosts: %v", err)
	}
	k.Host = func(h string) bool { return h == "desk.example" }
	if err := f.Check(k); err != nil {
		t.Error(err)
	}
}

func TestQueuesThatAreNotConfiguredAreNamed(t *testing.T) {
	text := strings.Replace(sound, "say: y\n    next: d", "queue: y\n    name: korean\n    next: d\n    nobody: d\n    late: d", 1)
	f, err := Parse("t.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	yes := func(string) bool { return true }
	err = f.Check(Known{Prompt: yes, Category: yes, Kind: yes, Queue: func(n string) bool { return n == "hotline" }})
	var ps Problems
	if !errors.As(err, &ps) || !strings.Contains(err.Error(), "node b: there is no queue korean") {
		t.Error(err)
	}
}
