package grade

import (
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

func files(t *testing.T, edit func(rules, lexicon string) (string, string)) fstest.MapFS {
	t.Helper()
	r, err := embedded.ReadFile("rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	l, err := embedded.ReadFile("lexicon.yaml")
	if err != nil {
		t.Fatal(err)
	}
	rules, lexicon := edit(string(r), string(l))
	return fstest.MapFS{"rules.yaml": {Data: []byte(rules)}, "lexicon.yaml": {Data: []byte(lexicon)}}
}

func TestTheTableOfTheDomainModelIsInTheRules(t *testing.T) {
	r := DefaultRules()
	for code, want := range map[string]int{"threat": 40, "injury": 25, "gathering": 25, "unsatisfied": 10, "rework": 10, "overdue": 10, "victims": 25, "clue": 20,
		"police": 15, "enterprise": 10, "watch_period": 10, "data_error": 20, "inquiry": -20, "emotion": 20, "verified_threat": 30, "watch_flag": 20, "care": 10} {
		if got := r.byCode[code].Points; got != want {
			t.Errorf("%s: %d, want %d", code, got, want)
		}
	}
	for code, steps := range map[string]map[float64]int{
		"group": {2: 0, 3: 15, 4: 15, 5: 25, 9: 25, 10: 40, 500: 40}, "age": {179: 0, 180: 8, 364: 8, 365: 15, 1094: 15, 1095: 25},
		"repeat": {0: 0, 1: 8, 2: 16, 3: 25, 9: 25}, "loss": {9999: 0, 10000: 8, 99999: 8, 100000: 15}, "contacts_7d": {2: 0, 3: 15}, "contacts_90d": {7: 0, 8: 15},
		"channels": {2: 0, 3: 10}} {
		for n, want := range steps {
			if got, _ := r.byCode[code].points(n); got != want {
				t.Errorf("%s of %v: %d, want %d", code, n, got, want)
			}
		}
	}
	if !r.byCode["danger"].Hard {
		t.Error("danger is no hard trigger")
	}
	if _, err := time.Parse(time.DateOnly, r.Effective); err != nil {
		t.Error(err)
	}
}

func TestUnsoundRulesAreRefusedWithTheReason(t *testing.T) {
	swap := func(old, new string) func(string, string) (string, string) {
		return func(r, l string) (string, string) {
			if !strings.Contains(r, old) && !strings.Contains(l, old) {
				t.Errorf("nothing to swap: %q", old)
			}
			return strings.Replace(r, old, new, 1), strings.Replace(l, old, new, 1)
		}
	}
	for _, x := range []struct {
		old, new, reason string
	}{
		{"version: 2026.11-1\neffective", "version: a/b\neffective", "version"},
		{"effective: 2026-11-24", "effective: \"\"", "effective"},
		{"cap: 100", "cap: 0", "cap"},
		{"code: clue,", "code: clew,", "not known"},
		{"{code: threat, name: 威胁言语, axis: event", "{code: threat, name: 威胁言语, axis: person", "axis"},
		{"{at: 5, points: 25}", "{at: 2, points: 25}", "does not rise"},
		{"points: -20", "points: 20", "sign"},
		{"橙: [{event: 45}", "紫: [{event: 45}", "橙"},
		{"{event: 15}", "{event: 0}", "everybody"},
		{"name: 隐患类", "name: \"\"", "no plan"},
		{"unless: [danger", "unless: [danegr", "danegr"},
		{"cap: 100", "cap: 100\nunknown: 1", "unknown"},
		{"<banner>\n", "<banners>\n", "no set"},
		{"<height> ..8 要跳", "<height> ..99 要跳", "gap"},
		{"      救命 $", "      ..3 救命 $", "cannot stand"},
		{"guards: [negation, past, long_past, resolved, dead", "guards: [negation, passed, long_past, resolved, dead", "no guard"},
		{"scope: clause\n    before: 7", "scope: cause\n    before: 7", "scope"},
		{"    factor: gathering", "    factor: gatherings", "no factor"},
		{"school: 学校", "school: 學校", "as the reader sees it"},
		{"  - name: 聚集上访", "  - name: 人数", "given twice"},
	} {
		_, err := LoadRules(files(t, swap(x.old, x.new)))
		if err == nil || !strings.Contains(err.Error(), x.reason) {
			t.Errorf("%q → %q: error %v, want one about %q", x.old, x.new, err, x.reason)
		}
	}
	if _, err := LoadRules(fstest.MapFS{}); err == nil {
		t.Error("no files, no error")
	}
}

func TestEveryVersionHasItsOwnID(t *testing.T) {
	r := DefaultRules()
	if !regexp.MustCompile(`^2026\.11-1/[0-9a-f]{8}$`).MatchString(r.ID()) || Grade(Case{}).Rule != r.ID() {
		t.Errorf("ID %q", r.ID())
	}
	other, err := LoadRules(files(t, func(r, l string) (string, string) { return strings.Replace(r, "{event: 70}", "{event: 60}", 1), l }))
	if err != nil {
		t.Fatal(err)
	}
	if other.ID() == r.ID() {
		t.Error("changed content, same ID")
	}
	c := Case{Text: "这是第三次投诉,孩子被吵得病了,再不解决我就去市政府拉横幅!"}
	if v := (Grader{Rules: other, Now: grader.Now}).Grade(c); v.Colour != Red || v.Rule != other.ID() {
		t.Errorf("the new version says %s by %s", v.Colour, v.Rule)
	}
}

func BenchmarkGrade(b *testing.B) {
	text := "我们是幸福小区三号楼的业主,从去年三月开始,一楼的烧烤店每天营业到半夜,油烟和噪音影响很大,家里有老人和孩子,根本没法休息。我们多次向物业和社区反映,也打过两次电话," +
		"都没有结果。上周邻居去找老板理论,还被店里的人推倒在地,派出所来了也没有处理。请有关部门管一管,如果再不解决,我们十几户准备联名去区里反映。"
	Grade(Case{})
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		grader.Grade(Case{Title: "烧烤店扰民", Text: text})
	}
}
