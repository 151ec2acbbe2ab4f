package classify

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
)

// copyOf gives the embedded files with one changed.
func copyOf(t *testing.T, name string, change func(string) string) fstest.MapFS {
	t.Helper()
	out := fstest.MapFS{}
	err := fs.WalkDir(files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := files.ReadFile(path)
		out[path] = &fstest.MapFile{Data: b}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	before := string(out[name].Data)
	after := change(before)
	if before == after {
		t.Fatalf("the test does not change %s", name)
	}
	out[name] = &fstest.MapFile{Data: []byte(after)}
	return out
}

func TestDamagedDataIsRefused(t *testing.T) {
	add := func(line string) func(string) string { return func(s string) string { return s + "\n" + line + "\n" } }
	newer := func(s string) string { return strings.Replace(s, " 1", " 2", 1) }
	cut := func(s string) string { return strings.Join(strings.SplitAfter(s, "\n")[:20], "") }
	for _, tt := range []struct {
		what, file string
		change     func(string) string
		want       string
	}{
		{"examples of another version", "data/examples/ZF.txt", newer, "ZF.txt:1"},
		{"examples cut short", "data/examples/CR.txt", cut, "CR has"},
		{"an example twice", "data/examples/CR.txt", add("投诉派出所民警不作为"), "also an example of ZF"},
		{"lexicon of another version", "data/lexicon.txt", newer, "lexicon.txt:1"},
		{"an unknown domain", "data/lexicon.txt", add("[XX]\n3 什么"), "unknown domain"},
		{"a weight out of range", "data/lexicon.txt", add("99 什么"), "weight"},
		{"no weight", "data/lexicon.txt", add("什么 哪里"), "weight"},
		{"a word twice", "data/lexicon.txt", add("3 违建"), "stands twice"},
		{"rules of another version", "data/rules.txt", newer, "rules.txt:1"},
		{"a class twice", "data/rules.txt", add("class police 派出所"), "twice"},
		{"more of no class", "data/rules.txt", add("more nobody 派出所"), "not yet there"},
		{"a word twice in a class", "data/rules.txt", add("more police 民警"), "stands twice"},
		{"an unknown class", "data/rules.txt", add("rule ZF 3 nobody | x"), "unknown class"},
		{"a bad distance", "data/rules.txt", add("rule ZF 3 police<x>conduct | x"), "bad distance"},
		{"a rule without a reason", "data/rules.txt", add("rule ZF 3 police"), "want: rule"},
		{"no class for offices", "data/rules.txt", func(s string) string {
			return strings.Replace(strings.ReplaceAll(s, "more org ", "more office "), "class org ", "class office ", 1)
		}, "class org is missing"},
		{"not UTF-8", "data/rules.txt", add("class bad \xff\xfe"), "UTF-8"},
	} {
		fsys := copyOf(t, tt.file, tt.change)
		_, err := loadLexicon(fsys)
		if err == nil {
			_, err = loadExamples(fsys)
		}
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want one with %q", tt.what, err, tt.want)
		}
	}
	for _, tt := range []struct {
		what, file string
		change     func(string) string
	}{
		{"units of another version", "data/units.csv", newer},
		{"a place without branch", "data/aliases.csv", add("某地,999999")},
		{"a street without station", "data/units.csv", func(s string) string { return strings.ReplaceAll(s, ",210502007\n", ",\n") }},
		{"a row with too few columns", "data/benxi_streets.csv", add("1,2")},
	} {
		if _, err := benxiRows(copyOf(t, tt.file, tt.change)); err == nil {
			t.Errorf("%s: accepted", tt.what)
		}
	}
}

func TestUnitByPlaceAndDuty(t *testing.T) {
	for _, tt := range []struct{ title, text, want string }{
		{"站前街道麻将馆扰民", "", "210502-zhanqian"},
		{"平山区路口车辆违停", "", "210502-jiaojing"},
		{"彩屯大桥堵车", "", "210503-jiaojing"},
		{"彩屯有人开赌场", "", "210503-caitun"},
		{"彩屯派出所民警态度恶劣", "", "benxi-ducha"}, // never the accused unit
		{"明山区户口迁移", "", "210504-huzheng"},
		{"明山区楼下歌厅扰民", "", "210504"},
		{"本溪县被骗三万元", "", "210521-xingzhen"},
		{"桓仁县五里甸子镇狗咬人", "", "210522-wulidianzi"},
		{"护照到期怎么换", "", "benxi-churujing"},
		{"驾驶证到期换证", "南芬区居民", "benxi-cheguansuo"},
		{"楼下狗叫", "我住永强社区三号楼", "210502-zhanqian"},
		{"楼下狗叫", "", ""},
		{"溪湖区暖气不热", "", ""}, // not for the police
	} {
		got := Classify(tt.title, tt.text)
		if tt.title == "楼下狗叫" && tt.text != "" { // the community's street is a matter of the public codes
			if !strings.HasPrefix(got.Unit, "210502-") {
				t.Errorf("%s %s: unit %q, want a station of 210502", tt.title, tt.text, got.Unit)
			}
			continue
		}
		if got.Unit != tt.want {
			t.Errorf("%s %s: unit %q (%s), want %q", tt.title, tt.text, got.Unit, got.Domain, tt.want)
		}
	}
}

func TestPlacesOfTheCaller(t *testing.T) {
	places, err := NewPlaces([]Place{
		{Name: "东街", Unit: "east"},
		{Name: "东街", Domain: Traffic, Unit: "east-traffic"},
		{Name: "中心广场", Unit: "a"},
		{Name: "中心广场", Unit: "b"}, // ambiguous
		{Domain: Border, Unit: "border"},
	})
	if err != nil {
		t.Fatal(err)
	}
	c, err := New(places)
	if err != nil {
		t.Fatal(err)
	}
	for title, want := range map[string]string{
		"东街违停": "east-traffic", "东街狗叫": "east", "护照补办": "border", "中心广场广场舞扰民": "", "西街狗叫": "",
	} {
		if got := c.Classify(title, "").Unit; got != want {
			t.Errorf("%s: unit %q, want %q", title, got, want)
		}
	}
	if _, err := NewPlaces([]Place{{Name: "东街", Domain: "没有", Unit: "x"}}); err == nil {
		t.Error("an unknown domain was accepted")
	}
}

func TestFilterAnswersEachLine(t *testing.T) {
	in := strings.Join([]string{
		`{"title":"派出所不作为","text":""}`,
		``,
		`not json`,
		`{"text":"护照丢了怎么补办"}`,
		`{}`,
		`{"title":7}`,
		`{"title":"` + strings.Repeat("狗", maxLine) + `"}`,
		`{"title":"站前街道有人聚众赌博"}`,
	}, "\n")
	var out bytes.Buffer
	if err := Filter(strings.NewReader(in), &out); err != nil {
		t.Fatal(err)
	}
	type answer struct {
		Domain      Domain
		Suggestions []Suggestion
		Unit        string
		Error       string
		Line        int
	}
	want := []answer{
		{Domain: Conduct, Unit: "benxi-ducha"}, {Line: 3}, {Domain: Border, Unit: "benxi-churujing"}, {Line: 5}, {Line: 6}, {Line: 7},
		{Domain: Vice, Unit: "210502-zhanqian"},
	}
	lines := strings.Split(strings.TrimRight(out.String(), "\n"), "\n")
	if len(lines) != len(want) {
		t.Fatalf("%d answers, want %d:\n%s", len(lines), len(want), out.String())
	}
	for i, l := range lines {
		var got answer
		if err := json.Unmarshal([]byte(l), &got); err != nil {
			t.Fatal(err)
		}
		if got.Domain != want[i].Domain || got.Line != want[i].Line || got.Unit != want[i].Unit || (got.Error == "") == (got.Line > 0) ||
			(len(got.Suggestions) == 3) == (got.Line > 0) {
			t.Errorf("answer %d: %s", i+1, l)
		}
	}
}

func TestFilterReportsABrokenWriter(t *testing.T) {
	if err := Filter(strings.NewReader("{\"title\":\"x\"}\n"), broken{}); err == nil {
		t.Error("no error")
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, fs.ErrClosed }

func FuzzFilter(f *testing.F) {
	f.Add([]byte("{\"title\":\"狗\"}\n\nx"))
	f.Add([]byte("{\"title\":\"\xff\"}"))
	f.Fuzz(func(t *testing.T, in []byte) {
		var out bytes.Buffer
		if err := Filter(bytes.NewReader(in), &out); err != nil {
			t.Fatal(err)
		}
		want := 0
		for _, l := range bytes.Split(in, []byte("\n")) {
			if len(bytes.TrimSpace(l)) > 0 {
				want++
			}
		}
		if got := bytes.Count(out.Bytes(), []byte("\n")); got != want {
			t.Fatalf("%d answers to %d lines", got, want)
		}
	})
}
