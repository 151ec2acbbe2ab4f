package classify

import (
	"bufio"
	"math"
	"os"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func must(t testing.TB) *Classifier {
	t.Helper()
	c, err := Standard()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

type line struct {
	domain      Domain
	title, text string
}

// corpus reads a file of testdata: code, title and perhaps text between tabs.
func corpus(t testing.TB, name string) []line {
	t.Helper()
	f, err := os.Open("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out []line
	for sc := bufio.NewScanner(f); sc.Scan(); {
		if strings.HasPrefix(sc.Text(), "#") {
			continue
		}
		cols := strings.Split(sc.Text()+"\t\t", "\t")
		d, ok := domainOf(cols[0])
		if !ok {
			t.Fatalf("%s: unknown code in %q", name, sc.Text())
		}
		out = append(out, line{domains[d].name, cols[1], cols[2]})
	}
	return out
}

type figures struct{ accuracy, macro, conduct float64 }

func figuresOf(c *Classifier, lines []line, wrong func(l line, r Result)) figures {
	var hit, want, said [domainsLen]float64
	at := map[Domain]int{}
	for i, d := range domains {
		at[d.name] = i
	}
	for _, l := range lines {
		r := c.Classify(l.title, l.text)
		want[at[l.domain]]++
		said[at[r.Domain]]++
		if r.Domain == l.domain {
			hit[at[l.domain]]++
		} else {
			wrong(l, r)
		}
	}
	var f figures
	for d := range hit {
		f.accuracy += hit[d] / float64(len(lines))
		if hit[d] > 0 {
			f.macro += 2 * hit[d] / (want[d] + said[d]) / domainsLen
		}
	}
	f.conduct = hit[iConduct] / want[iConduct]
	return f
}

func TestOwnCorpusIsReadRight(t *testing.T) {
	c := must(t)
	for _, tt := range []struct {
		file  string
		lines int
		least figures
	}{
		{"own.tsv", 200, figures{0.96, 0.95, 0.95}},
		{"hard.tsv", 80, figures{0.90, 0.88, 0.90}},
		{"coded.tsv", 80, figures{0.92, 0.90, 0.85}},
		{"blind1.tsv", 105, figures{0.95, 0.95, 0.95}},
		{"blind2.tsv", 105, figures{0.95, 0.94, 0.95}},
		{"blind3.tsv", 105, figures{0.95, 0.95, 0.95}},
		{"blind4.tsv", 105, figures{0.93, 0.90, 0.95}},
		{"blind5.tsv", 100, figures{0.95, 0.95, 0.95}},
		{"blind6.tsv", 100, figures{0.92, 0.92, 0.90}},
		{"blind7.tsv", 90, figures{0.92, 0.92, 0.90}},
		{"blind8.tsv", 60, figures{0.92, 0.92, 0.90}},
	} {
		lines := corpus(t, tt.file)
		if len(lines) < tt.lines {
			t.Errorf("%s has %d lines, want at least %d", tt.file, len(lines), tt.lines)
		}
		got := figuresOf(c, lines, func(l line, r Result) {
			t.Logf("%s: want %s, got %s %.2f: %s", tt.file, l.domain, r.Domain, r.Suggestions[0].Confidence, l.title)
		})
		t.Logf("%s: %d lines, accuracy %.3f, macro-F1 %.3f, recall of conduct %.3f", tt.file, len(lines), got.accuracy, got.macro, got.conduct)
		if got.accuracy < tt.least.accuracy || got.macro < tt.least.macro || got.conduct < tt.least.conduct {
			t.Errorf("%s: got %+v, want at least %+v", tt.file, got, tt.least)
		}
	}
}

func TestNoTestLineIsAnExample(t *testing.T) {
	examples, err := loadExamples(files)
	if err != nil {
		t.Fatal(err)
	}
	taught := map[string]bool{}
	for _, e := range examples {
		taught[string(normalise(e.text, maxText))] = true
	}
	for _, name := range []string{"own.tsv", "hard.tsv", "coded.tsv", "blind1.tsv", "blind2.tsv", "blind3.tsv", "blind4.tsv", "blind5.tsv", "blind6.tsv", "blind7.tsv", "blind8.tsv"} {
		for _, l := range corpus(t, name) {
			if taught[string(normalise(l.title, maxText))] {
				t.Errorf("%s: %q is an example too", name, l.title)
			}
		}
	}
}

// The examples judged by a model that has not seen them: five parts, each judged by a model of the other four, with lexicon and rules.
func TestExamplesHoldInCrossValidation(t *testing.T) {
	c := must(t)
	examples, err := loadExamples(files)
	if err != nil {
		t.Fatal(err)
	}
	right := 0
	for part := range 5 {
		var rest, held []example
		for i, e := range examples {
			if i%5 == part {
				held = append(held, e)
			} else {
				rest = append(rest, e)
			}
		}
		blind := &Classifier{lex: c.lex, model: train(rest, c.grams), line: trainLinear(rest, c.grams)}
		for _, e := range held {
			if blind.Classify(e.text, "").Domain == domains[e.domain].name {
				right++
			}
		}
	}
	got := float64(right) / float64(len(examples))
	t.Logf("%d examples, accuracy %.3f", len(examples), got)
	if got < 0.86 {
		t.Errorf("accuracy %.3f, want at least 0.86", got)
	}
}

func TestPoliceConductAgainstItsNeighbours(t *testing.T) {
	for _, tt := range []struct {
		title string
		want  Domain
	}{
		{"派出所民警对报警敷衍了事", Conduct},
		{"请派出所民警管管楼下的歌厅", Nuisance},
		{"感谢派出所民警上门为老人办证", OtherJob},
		{"希望派出所加强巡逻", OtherJob},
		{"交警乱罚款", Conduct},
		{"请交警查处违法停车", Traffic},
		{"派出所包庇赌场", Conduct},
		{"请派出所查处赌场", Vice},
		{"被骗十万元,派出所拒不立案", Conduct},
		{"被骗十万元,派出所立案后没有进展", Case},
		{"派出所办户口要带什么", Household},
		{"派出所办户口的民警态度恶劣", Conduct},
		{"城管打人,态度恶劣", NotPolice},
		{"派出所对面的工地夜里施工", NotPolice},
	} {
		if got := Classify(tt.title, ""); got.Domain != tt.want {
			t.Errorf("%s: got %s (%s), want %s", tt.title, got.Domain, got.Suggestions[0].Why, tt.want)
		}
	}
}

func TestConductInTheTextIsAmongTheThree(t *testing.T) {
	r := Classify("小区里麻将馆扰民", "每天打到凌晨。打了四次电话,派出所民警都推诿不管,态度恶劣。")
	if r.Domain != Nuisance {
		t.Errorf("domain %s, want that of the title", r.Domain)
	}
	for _, s := range r.Suggestions {
		if s.Domain == Conduct {
			if !strings.Contains(s.Why, "正文") {
				t.Errorf("why %q does not point at the text", s.Why)
			}
			return
		}
	}
	t.Errorf("police conduct is not suggested: %+v", r.Suggestions)
}

func TestTextDecidesWhenTheTitleSaysNothing(t *testing.T) {
	for _, title := range []string{"", "求助", "反映一个问题"} {
		if r := Classify(title, "我的护照丢了,补办护照要多久?"); r.Domain != Border {
			t.Errorf("title %q: got %s, want %s", title, r.Domain, Border)
		}
	}
}

func TestTraditionalReadsAsSimplified(t *testing.T) {
	for trad, simp := range map[string]string{
		"交警亂罰款,態度惡劣": "交警乱罚款,态度恶劣",
		"舉報賭場聚眾賭博":   "举报赌场聚众赌博",
		"戶口遷移需要什麼":   "户口迁移需要什么",
	} {
		if diff := cmp.Diff(Classify(simp, ""), Classify(trad, "")); diff != "" {
			t.Errorf("%s (-simplified +traditional):\n%s", trad, diff)
		}
	}
}

func TestWidthCaseAndSpacesDoNotMatter(t *testing.T) {
	want := Classify("举报KTV扰民12栋", "")
	for _, s := range []string{"举报ktv扰民12栋", "举 报 KTV 扰 民 12栋", "举报KTV\u200b扰民12栋"} {
		if diff := cmp.Diff(want, Classify(s, "")); diff != "" {
			t.Errorf("%q: %s", s, diff)
		}
	}
}

func TestEmptyGoesToAPersonOfTheBureau(t *testing.T) {
	r := Classify("", "")
	if r.Domain != OtherJob || r.Suggestions[0].Confidence > 0.5 || r.Unit != "" {
		t.Errorf("got %+v", r)
	}
}

func check(t interface {
	Fatalf(string, ...any)
}, c *Classifier, title, text string) {
	r := c.Classify(title, text)
	if diff := cmp.Diff(r, c.Classify(title, text)); diff != "" {
		t.Fatalf("not deterministic: %s", diff)
	}
	if len(r.Suggestions) != 3 || r.Domain != r.Suggestions[0].Domain {
		t.Fatalf("suggestions do not begin with the domain: %+v", r)
	}
	known, seen := map[Domain]bool{}, map[Domain]bool{}
	for _, d := range Domains() {
		known[d] = true
	}
	sum, last := 0.0, 1.0
	for _, s := range r.Suggestions {
		if !known[s.Domain] || seen[s.Domain] {
			t.Fatalf("domain %q unknown or given twice", s.Domain)
		}
		seen[s.Domain] = true
		if math.IsNaN(s.Confidence) || s.Confidence < 0 || s.Confidence > last {
			t.Fatalf("confidences not in 0..1 or not sorted: %+v", r.Suggestions)
		}
		if s.Why == "" || !utf8.ValidString(s.Why) {
			t.Fatalf("why is %q", s.Why)
		}
		last = s.Confidence
		sum += s.Confidence
	}
	if sum > 1 {
		t.Fatalf("confidences sum to %v", sum)
	}
}

func TestAnyTextGivesThreeSortedSuggestions(t *testing.T) {
	c := must(t)
	var words []string
	for _, w := range c.lex.words {
		if w != nil {
			words = append(words, w.text)
		}
	}
	some := rapid.OneOf(rapid.String(), rapid.SampledFrom(words),
		rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }))
	rapid.Check(t, func(t *rapid.T) {
		join := func(label string) string {
			return strings.Join(rapid.SliceOfN(some, 0, 8).Draw(t, label), rapid.SampledFrom([]string{"", ",", "。"}).Draw(t, label+" between"))
		}
		check(t, c, join("title"), join("text"))
	})
}

func FuzzClassify(f *testing.F) {
	f.Add("派出所不作为", "民警态度恶劣")
	f.Add("", "\xff\xfe")
	f.Add("交警亂罰款", strings.Repeat("赌博。", 3000))
	c := must(f)
	f.Fuzz(func(t *testing.T, title, text string) { check(t, c, title, text) })
}

func TestLoadedTwiceSaysTheSame(t *testing.T) {
	places, err := BenxiPlaces()
	if err != nil {
		t.Fatal(err)
	}
	again, err := New(places)
	if err != nil {
		t.Fatal(err)
	}
	c := must(t)
	for _, l := range corpus(t, "own.tsv") {
		if diff := cmp.Diff(c.Classify(l.title, l.text), again.Classify(l.title, l.text)); diff != "" {
			t.Fatalf("%s: %s", l.title, diff)
		}
	}
}

func TestConcurrentUse(t *testing.T) {
	c := must(t)
	lines := corpus(t, "own.tsv")
	want := make([]Result, len(lines))
	for i, l := range lines {
		want[i] = c.Classify(l.title, l.text)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i, l := range lines {
				if !cmp.Equal(want[i], c.Classify(l.title, l.text)) {
					t.Errorf("%s: another result beside others", l.title)
					return
				}
			}
		})
	}
	wg.Wait()
}

func BenchmarkTitle(b *testing.B) {
	c := must(b)
	lines := corpus(b, "own.tsv")
	i := 0
	for b.Loop() {
		c.Classify(lines[i%len(lines)].title, "")
		i++
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "texts/s")
}

func BenchmarkTitleAndText(b *testing.B) {
	c := must(b)
	lines := corpus(b, "own.tsv")
	text := strings.Repeat("我是站前街道居民,楼下的棋牌室每天打到凌晨,我们找过社区也报过警,派出所来过两次,过后照旧。", 6)
	i := 0
	for b.Loop() {
		c.Classify(lines[i%len(lines)].title, text)
		i++
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "texts/s")
}

func BenchmarkLoad(b *testing.B) {
	for b.Loop() {
		if _, err := New(nil); err != nil {
			b.Fatal(err)
		}
	}
}
