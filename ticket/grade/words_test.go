package grade

import (
	"slices"
	"strings"
	"testing"
)

func TestTheWordsOfTheProgramReadTheirOwnExamples(t *testing.T) {
	for _, x := range DefaultRules().Broken() {
		t.Errorf("%q: factor %s, must %t", x.Text, x.Factor, x.Must)
	}
}

func version(t *testing.T, edits map[string]string) (*Rules, error) {
	t.Helper()
	body, err := DefaultRules().YAML()
	if err != nil {
		t.Fatal(err)
	}
	words, err := DefaultRules().EditWords("2026.12-1", edits)
	if err != nil {
		return nil, err
	}
	return ParseVersion(body, words)
}

func part(t *testing.T, key string) string {
	t.Helper()
	parts, err := DefaultRules().WordParts()
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(parts, func(p WordPart) bool { return p.Key == key })
	if i < 0 {
		t.Fatalf("no part %s", key)
	}
	return parts[i].Text
}

func TestAVersionOfTheWordsReadsByItsOwnWords(t *testing.T) {
	crime := part(t, "set.crime")
	r, err := version(t, map[string]string{"set.crime": strings.Replace(crime, "赌博 ", "", 1) + "  电诈窝点\n跑分平台", "masks": part(t, "masks")})
	if err != nil {
		t.Fatal(err)
	}
	if r.OwnWords() || r.ID() == DefaultRules().ID() {
		t.Errorf("the words are the program's: %s", r.ID())
	}
	grade := func(r *Rules, text string) int { return Grader{Rules: r}.Grade(Case{Text: text}).Event }
	for _, x := range []struct {
		text       string
		before, is int
	}{{"楼上是电诈窝点", 0, 20}, {"楼上有跑分平台", 20, 20}, {"我不想活了", 100, 100}} {
		if b, a := grade(DefaultRules(), x.text), grade(r, x.text); b != x.before || a != x.is {
			t.Errorf("%q: %d, then %d", x.text, b, a)
		}
	}
	changes := DefaultRules().WordChanges(r)
	if len(changes) != 1 || changes[0].What != "词表 · 违法犯罪（crime）" || changes[0].From != "删去：赌博" || changes[0].To != "增加：电诈窝点、跑分平台" {
		t.Errorf("%+v", changes)
	}
	// What was written is read back the same.
	again, err := r.EditWords("x", nil)
	if err != nil || again != r.Words() {
		t.Errorf("no edit changes the words: %v", err)
	}
}

func TestEveryPartOfTheWordsCanBeWrittenAndReadBack(t *testing.T) {
	parts, err := DefaultRules().WordParts()
	if err != nil || len(parts) < 80 {
		t.Fatalf("%d parts, %v", len(parts), err)
	}
	edits := map[string]string{"set.crime": part(t, "set.crime") + " 某新词"}
	for _, p := range parts {
		if p.Key != "set.crime" {
			edits[p.Key] = strings.ReplaceAll(p.Text, "\n", "\r\n") // as a browser sends it
		}
	}
	r, err := version(t, edits)
	if err != nil {
		t.Fatal(err)
	}
	if c := DefaultRules().WordChanges(r); len(c) != 1 {
		t.Errorf("%+v", c)
	}
	for _, x := range fixtures(t, "second.jsonl") {
		if a, b := (Grader{Now: grader.Now}).Grade(x.Case), (Grader{Rules: r, Now: grader.Now}).Grade(x.Case); a.Event != b.Event || a.Colour != b.Colour {
			t.Errorf("%q: %s %d, then %s %d", x.Case.Text, a.Colour, a.Event, b.Colour, b.Event)
		}
	}
}

func TestWordsThatAreWrongAreRefusedWithTheirPlace(t *testing.T) {
	for _, x := range []struct{ key, text, want string }{
		{"set.crime", " ", "不能为空"},
		{"set.nothing", "x", "set.nothing"},
		{"set.crime", "賭博", "crime"},
		{"group.诈骗线索.find", "<nosuch> 骗", "nosuch"},
		{"group.诈骗线索.find", "..99 骗", "诈骗线索"},
		{"masks", "骗?", "masks"},
		{"masks", "骗 ..9 ..9 ..9 ..9 ..9 ..9 ..9 钱", "gaps"},
	} {
		if _, err := version(t, map[string]string{x.key: x.text}); err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s %q: %v", x.key, x.text, err)
		}
	}
	body, _ := DefaultRules().YAML()
	for _, words := range []string{"version: [", "version: x", "nosuch: 1", strings.Repeat("x", maxWords+1)} {
		if _, err := ParseVersion(body, words); err == nil {
			t.Errorf("%.20q is taken", words)
		}
	}
}

func TestWordsThatLoseADangerAreTold(t *testing.T) {
	r, err := version(t, map[string]string{"group.自伤自杀.find": "想不开"})
	if err != nil {
		t.Fatal(err)
	}
	vital := 0
	for _, x := range r.Broken() {
		if x.Vital {
			vital++
		}
	}
	if vital < 3 {
		t.Errorf("%+v", r.Broken())
	}
}
