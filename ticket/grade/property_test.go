package grade

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// phrases are texts that each say something of their own; the worst gives points, the best takes them.
var phrases = []string{"楼上太吵", "我不想活了", "再不解决我就弄死他", "我被打伤了", "我们五家都受影响", "准备去拉横幅", "纠纷拖了三年", "第三次反映", "被骗了三万元", "有人赌博",
	"民警推诿", "工厂被迫停产", "户口被注销了", "请问怎么补办身份证", "没有受伤", "好多人被骗了", "我是残疾人", "怕他报复", "去年有人跳楼", "对处理结果不满意", "30多名业主联名反对", "损失十几万元"}

func anyText(t *rapid.T, label string) string {
	list := rapid.SliceOfN(rapid.SampledFrom(phrases), 0, 6).Draw(t, label)
	return strings.Join(list, rapid.SampledFrom([]string{"。", "!", "\n", ";"}).Draw(t, "stop"))
}

func anyHistory(t *rapid.T) History {
	n := rapid.IntRange(0, 12)
	return History{Parties: n.Draw(t, "parties"), Repeats: n.Draw(t, "repeats"), AgeDays: rapid.IntRange(0, 2000).Draw(t, "age"),
		LossYuan: rapid.Int64Range(0, 300000).Draw(t, "loss"), Unsatisfied: rapid.Bool().Draw(t, "unsatisfied"), Rework: rapid.Bool().Draw(t, "rework"),
		Overdue: rapid.Bool().Draw(t, "overdue"), WatchPeriod: rapid.Bool().Draw(t, "period"), Contacts7d: n.Draw(t, "c7"), Contacts90d: n.Draw(t, "c90"),
		Channels: n.Draw(t, "channels"), EmotionConfirmed: rapid.Bool().Draw(t, "emotion"), VerifiedThreat: rapid.Bool().Draw(t, "threat"), WatchFlag: rapid.Bool().Draw(t, "flag")}
}

func TestAnAggravatingFactNeverLowersAScore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := Case{Text: anyText(t, "text"), History: anyHistory(t)}
		before := grader.Grade(c)
		h := &c.History
		worse := []func(){
			func() { h.Parties += rapid.IntRange(1, 12).Draw(t, "+") }, func() { h.Repeats += rapid.IntRange(1, 4).Draw(t, "+") },
			func() { h.AgeDays += rapid.IntRange(1, 2000).Draw(t, "+") }, func() { h.LossYuan += rapid.Int64Range(1, 200000).Draw(t, "+") },
			func() { h.Unsatisfied = true }, func() { h.Rework = true }, func() { h.Overdue = true }, func() { h.WatchPeriod = true },
			func() { h.Contacts7d += 3 }, func() { h.Contacts90d += 8 }, func() { h.Channels += 3 }, func() { h.EmotionConfirmed = true },
			func() { h.VerifiedThreat = true }, func() { h.WatchFlag = true },
		}
		worse[rapid.IntRange(0, len(worse)-1).Draw(t, "fact")]()
		after := grader.Grade(c)
		if after.Event < before.Event || after.Person < before.Person || after.Colour.Rank() < before.Colour.Rank() {
			t.Fatalf("E %d → %d, P %d → %d, %s → %s", before.Event, after.Event, before.Person, after.Person, before.Colour, after.Colour)
		}
	})
}

func TestAGraveSentenceNeverLowersTheEventScore(t *testing.T) {
	grave := slices.DeleteFunc(slices.Clone(phrases), func(p string) bool { return strings.HasPrefix(p, "请问") })
	rapid.Check(t, func(t *rapid.T) {
		text := anyText(t, "text")
		before := grader.Grade(Case{Text: text})
		more := text + "。楼上楼下都知道这件事,街坊四邻可以作证,希望尽快来人看看。" + rapid.SampledFrom(grave).Draw(t, "more")
		if after := grader.Grade(Case{Text: more}); after.Event < before.Event {
			t.Fatalf("%q %d → %q %d", text, before.Event, more, after.Event)
		}
	})
}

// The order in which a letter says things does not matter, as long as what stands between keeps them apart.
func TestTheOrderOfSentencesDoesNotMatter(t *testing.T) {
	const apart = "。楼上楼下都知道这件事,街坊四邻可以作证,希望尽快来人到现场看看,门牌号在单元门口。"
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOfNDistinct(rapid.SampledFrom(phrases), 0, 6, rapid.ID[string]).Draw(t, "sentences")
		a := grader.Grade(Case{Text: strings.Join(list, apart)})
		b := grader.Grade(Case{Text: strings.Join(rapid.Permutation(list).Draw(t, "order"), apart)})
		if a.Colour != b.Colour || a.Event != b.Event || a.Person != b.Person || !slices.Equal(codes(a), codes(b)) {
			t.Fatalf("%v %d %v, in another order %v %d %v", a.Colour, a.Event, codes(a), b.Colour, b.Event, codes(b))
		}
	})
}

func TestTheSameCaseGivesTheSameVerdict(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := Case{Title: anyText(t, "title"), Text: anyText(t, "text"), History: anyHistory(t)}
		if diff := cmp.Diff(grader.Grade(c), grader.Grade(c)); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestScoresAreTheSumsOfTheirFactors(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sane(t, Case{Title: anyText(t, "title"), Text: anyText(t, "text"), History: anyHistory(t)})
	})
}

// sane checks what must hold of every verdict.
func sane(t interface {
	Helper()
	Fatalf(string, ...any)
}, c Case) {
	t.Helper()
	v := grader.Grade(c)
	var e, p int
	seen := map[string]bool{}
	for _, f := range v.Factors {
		if f.Axis == Event {
			e += f.Points
		} else {
			p += f.Points
		}
		if seen[f.Code] || f.Evidence == "" || f.Points == 0 || f.Name == "" {
			t.Fatalf("factor %+v", f)
		}
		seen[f.Code] = true
		switch f.Field {
		case "title":
			if c.Title[f.From:f.To] != f.Evidence {
				t.Fatalf("evidence %q is not at %d–%d of the title", f.Evidence, f.From, f.To)
			}
		case "text":
			if c.Text[f.From:f.To] != f.Evidence {
				t.Fatalf("evidence %q is not at %d–%d of the text", f.Evidence, f.From, f.To)
			}
		case "history":
		default:
			t.Fatalf("field %q", f.Field)
		}
	}
	if want := min(max(e, 0), 100); v.Event != want || v.Person != p {
		t.Fatalf("E %d, P %d; the factors say %d and %d", v.Event, v.Person, want, p)
	}
	if v.Colour != byTheBook(v.Event, v.Person) {
		t.Fatalf("E %d, P %d is %s", v.Event, v.Person, v.Colour)
	}
	if v.Rule == "" || v.Plan.Name == "" || len(v.Plan.Steps) == 0 {
		t.Fatalf("no rule version or plan: %+v", v)
	}
}

// byTheBook is f(E, P) as the domain model §7 says it, written down a second time.
func byTheBook(e, p int) Colour {
	switch {
	case e >= 70, e >= 50 && p >= 40:
		return Red
	case e >= 45, e >= 30 && p >= 30, p >= 60:
		return Orange
	case e >= 15, p >= 20:
		return Yellow
	}
	return Blue
}

func TestColourIsTheFunctionOfTheDomainModel(t *testing.T) {
	for e := 0; e <= 100; e++ {
		for p := 0; p <= 130; p++ {
			if got := DefaultRules().Colour(e, p, false); got != byTheBook(e, p) {
				t.Errorf("E %d, P %d: %s, want %s", e, p, got, byTheBook(e, p))
			}
		}
	}
	if got := DefaultRules().Colour(0, 0, true); got != Red {
		t.Errorf("a hard trigger is %s", got)
	}
}

func TestTextAndHistoryOfOneFactCountOnce(t *testing.T) {
	for _, x := range []struct {
		text   string
		h      History
		code   string
		points int
		field  string
	}{
		{"我们五家都受影响", History{Parties: 3}, "group", 25, "text"},
		{"我们五家都受影响", History{Parties: 12}, "group", 40, "history"},
		{"第三次反映", History{Repeats: 1}, "repeat", 16, "text"},
		{"第三次反映", History{Repeats: 5}, "repeat", 25, "history"},
		{"纠纷拖了半年", History{AgeDays: 400}, "age", 15, "history"},
		{"纠纷拖了三年", History{AgeDays: 400}, "age", 25, "text"},
		{"被骗了三万元", History{LossYuan: 200000}, "loss", 15, "history"},
		{"损失三十万元", History{LossYuan: 20000}, "loss", 15, "text"},
		{"对处理结果不满意", History{Unsatisfied: true}, "unsatisfied", 10, "text"},
	} {
		v := grader.Grade(Case{Text: x.text, History: x.h})
		i := slices.IndexFunc(v.Factors, func(f Factor) bool { return f.Code == x.code })
		if i < 0 || v.Factors[i].Points != x.points || v.Factors[i].Field != x.field {
			t.Errorf("%q with %+v: %+v, want %d points from the %s", x.text, x.h, v.Factors, x.points, x.field)
		}
	}
}

func TestCareHelpsAndConfidenceIsKept(t *testing.T) {
	v := grader.Grade(Case{Text: "我是残疾人,他天天在楼道堆东西,请为我保密,怕他报复。"})
	if !v.Care || v.Person != 10 || v.Confidential == "" || v.Colour != Blue {
		t.Errorf("%+v", v)
	}
	for _, want := range []string{"对诉求人身份保密"} {
		if !slices.Contains(v.Plan.Steps, want) {
			t.Errorf("plan %v has no step %q", v.Plan.Steps, want)
		}
	}
	if slices.Contains(codes(v), "threat") {
		t.Errorf("fear of retaliation is no threat: %+v", v.Factors)
	}
}

func TestWordsOfDangerAskForAPerson(t *testing.T) {
	for text, want := range map[string]bool{"我不想活了": true, "再不还钱我就弄死他": true, "楼上太吵": false, "有人赌博": false, "气死我了": false} {
		if v := grader.Grade(Case{Text: text}); v.Confirm != want {
			t.Errorf("%s: confirm %v", text, v.Confirm)
		}
	}
}

func TestTraditionalReadsAsSimplified(t *testing.T) {
	for trad, simp := range map[string]string{"他說要殺我,還拿著刀": "他说要杀我,还拿着刀", "兩個小區的業主準備去拉橫幅": "两个小区的业主准备去拉横幅",
		"戶口被註銷了,已經三年沒有解決": "户口被注销了,已经三年没有解决", "被騙了五萬元": "被骗了五万元"} {
		a, b := grader.Grade(Case{Text: trad}), grader.Grade(Case{Text: simp})
		if len(b.Factors) == 0 || !slices.Equal(codes(a), codes(b)) {
			t.Errorf("%s %v, %s %v", trad, codes(a), simp, codes(b))
		}
	}
}

func FuzzGrade(f *testing.F) {
	for _, p := range phrases {
		f.Add("", p)
		f.Add(p, p+p)
	}
	f.Add("\xff\xfe", "第\x00三次\u200b反映 １２３ 〇年…")
	f.Add("九九九九九九九亿亿亿万万年", "2019.13.45 -1 99999999999999999999万元")
	f.Fuzz(func(t *testing.T, title, text string) {
		if !utf8.ValidString(title) || !utf8.ValidString(text) {
			title, text = strings.ToValidUTF8(title, "\ufffd"), strings.ToValidUTF8(text, "\ufffd")
		}
		sane(t, Case{Title: title, Text: text})
	})
}
