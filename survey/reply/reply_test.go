package reply

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// consistent is what every verdict must satisfy, whatever came in.
func consistent(v Verdict) string {
	switch v.Label {
	case Rating:
		if v.Rating < 1 || v.Rating > 5 {
			return "a rating without a value in 1..5"
		}
	case OptOut:
		if v.Rating < 0 || v.Rating > 5 {
			return "an opt-out with a value outside 0..5"
		}
	case Review, Other:
		if v.Rating != 0 {
			return "a value on a reply without a rating"
		}
	default:
		return "an unknown label"
	}
	if v.Danger && v.Label != Review {
		return "danger that does not go to a person"
	}
	if v.Why == "" || len(v.Trace) == 0 {
		return "no reason"
	}
	return ""
}

func FuzzRead(f *testing.F) {
	for _, text := range benchmarkReplies {
		f.Add(text)
	}
	for _, text := range []string{"", "\xff1", "1️⃣", "回复：【本溪公安】您好！1非常满意 2满意 3基本满意\n1", "「", "」「1", "1\n\n发自我的iPhone", "[", "]", "【】",
		"不不不不满意", "1-2-3-4-5", "13800000000", "－１", "T_T", "\u200b1\ufe0f\u20e3", strings.Repeat("别再", 200), strings.Repeat("不", 500) + "满意"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		v := Read(text)
		if problem := consistent(v); problem != "" {
			t.Fatalf("%q: %s: %+v", text, problem, v)
		}
		if w := Read(text); w.Label != v.Label || w.Rating != v.Rating {
			t.Fatalf("%q: read twice, %+v and %+v", text, v, w)
		}
	})
}

// known is a text of the corpora.
func known(t *testing.T) []row {
	rows := readCorpus(t, "testdata/ratings.jsonl")
	rows = append(rows, readCorpus(t, "testdata/others.jsonl")...)
	return append(rows, readCorpus(t, "testdata/stories.jsonl")...)
}

func same(t interface{ Fatalf(string, ...any) }, text, changed string) {
	a, b := Read(text), Read(changed)
	if a.Label != b.Label || a.Rating != b.Rating {
		t.Fatalf("%q is %s %d (%s), but %q is %s %d (%s)", text, a.Label, a.Rating, a.Why, changed, b.Label, b.Rating, b.Why)
	}
}

// TestInvisibleCharactersChangeNothing puts zero-width characters, variation selectors and direction marks between any two characters.
func TestInvisibleCharactersChangeNothing(t *testing.T) {
	t.Parallel()
	marks := []string{"\u200b", "\u200c", "\u200d", "\ufeff", "\u2060", "\ufe0f", "\u00ad", "\u200e", "\u202a"}
	for n, r := range known(t) {
		runes := []rune(r.Text)
		at := (n + n/len(marks)) % (len(runes) + 1) // each mark at every place of some reply
		same(t, r.Text, string(runes[:at])+marks[n%len(marks)]+string(runes[at:]))
		same(t, r.Text, strings.Join(strings.Split(r.Text, ""), "\u200b"))
	}
}

func TestEndingsChangeNothing(t *testing.T) {
	t.Parallel()
	before := []string{"", " ", "\n", "　", "\t"}
	after := []string{"。", "！", "!", "~", "～", " ", "　", "\n", "。。", "\r\n", " 。"}
	for n, r := range known(t) {
		if strings.TrimSpace(r.Text) == "" {
			continue
		}
		for k := range 3 { // every pair round some replies, three pairs round each
			same(t, r.Text, before[(n+2*k)%len(before)]+r.Text+after[(n+k)%len(after)])
		}
	}
}

// TestReadIsConsistent strings pieces of replies together in every way: whatever comes in, label and rating agree.
func TestReadIsConsistent(t *testing.T) {
	rows := known(t)
	rapid.Check(t, func(t *rapid.T) {
		var b strings.Builder
		for range rapid.IntRange(1, 6).Draw(t, "pieces") {
			b.WriteString(rows[rapid.IntRange(0, len(rows)-1).Draw(t, "row")].Text)
			b.WriteString(rapid.SampledFrom([]string{"", " ", "，", "。", "\n", "？", "「", "】"}).Draw(t, "joint"))
		}
		if problem := consistent(Read(b.String())); problem != "" {
			t.Fatalf("%q: %s", b.String(), problem)
		}
	})
}

// TestFullWidthChangesNothing writes ASCII in its full-width forms.
func TestFullWidthChangesNothing(t *testing.T) {
	for _, r := range known(t) {
		wide := strings.Map(func(c rune) rune {
			if c > ' ' && c < 0x7f {
				return c + 0xfee0
			}
			return c
		}, r.Text)
		same(t, r.Text, wide)
	}
}

// TestTraditionalReadsAsSimplified writes the corpora in traditional characters.
func TestTraditionalReadsAsSimplified(t *testing.T) {
	back := map[rune]rune{}
	for i, to := range simplified() {
		from := rune(0x3400 + i)
		if from == to {
			continue
		}
		if old, ok := back[to]; !ok || from < old { // any one of the forms that fold to the same character
			back[to] = from
		}
	}
	if len(back) < 2000 {
		t.Fatalf("only %d characters differ in traditional script: the conversion table did not load", len(back))
	}
	for _, r := range known(t) {
		same(t, r.Text, strings.Map(func(c rune) rune {
			if to, ok := back[c]; ok {
				return to
			}
			return c
		}, r.Text))
	}
}

func TestDigitsInEveryForm(t *testing.T) {
	forms := []string{"12345", "１２３４５", "①②③④⑤", "❶❷❸❹❺", "➀➁➂➃➄", "➊➋➌➍➎", "⓵⓶⓷⓸⓹", "⑴⑵⑶⑷⑸", "⒈⒉⒊⒋⒌", "ⅠⅡⅢⅣⅤ", "ⅰⅱⅲⅳⅴ", "一二三四五", "壹贰叁肆伍", "㈠㈡㈢㈣㈤",
		"㊀㊁㊂㊃㊄", "𝟏𝟐𝟑𝟒𝟓", "₁₂₃₄₅", "¹²³⁴⁵", "١٢٣٤٥", "🄂🄃🄄🄅🄆"}
	for _, form := range forms {
		for i, r := range []rune(form) {
			for _, text := range []string{string(r), " " + string(r), string(r) + "。", "（" + string(r) + "）", "选" + string(r), "回复：" + string(r), string(r) + "吧", string(r) + "，谢谢"} {
				if i >= 3 && strings.Contains(text, "谢谢") {
					continue // thanks beside 4 and 5 are for a person
				}
				if v := Read(text); v.Label != Rating || v.Rating != i+1 {
					t.Errorf("%q: got %s %d (%s), want rating %d", text, v.Label, v.Rating, v.Why, i+1)
				}
			}
		}
		for _, pair := range []string{form} {
			if v := Read(pair); v.Label != Review {
				t.Errorf("%q: got %s %d, want review", pair, v.Label, v.Rating)
			}
		}
	}
}

func TestDangerIsMarked(t *testing.T) {
	for _, r := range append(readCorpus(t, "testdata/others.jsonl"), append(readCorpus(t, "testdata/afterthoughts.jsonl"), readCorpus(t, "testdata/fresh.jsonl")...)...) {
		if want := strings.HasPrefix(r.Why, "danger"); Read(r.Text).Danger != want {
			t.Errorf("%q: danger %v, want %v", r.Text, !want, want)
		}
	}
}

func TestTraceHoldsNoNumbers(t *testing.T) {
	for _, text := range []string{"我电话13800000000", "210502199913320011，1", "1 打13900000000找我", "138****0001"} {
		v := Read(text)
		for _, step := range append(v.Trace, v.Why) {
			if strings.ContainsAny(step, "0123456789") {
				t.Errorf("%q: trace %q", text, step)
			}
		}
	}
}

func TestDamagedTextIsNeverRated(t *testing.T) {
	for _, text := range []string{"1\xff", "满意\xc0\xaf", "\xff\xfe2"} {
		if utf8.ValidString(text) {
			t.Fatalf("%q is valid", text)
		}
		if v := Read(text); v.Label == Rating {
			t.Errorf("%q: rated %d", text, v.Rating)
		}
	}
}

func TestLongTextsStayFast(t *testing.T) {
	for _, unit := range []string{"别再不要", "不", "没人管", "1", "1 ", "一", "[", "「", "发", "我要活着", "t ", "feichang", "把他"} {
		v := Read(strings.Repeat(unit, 20000/len(unit)))
		if problem := consistent(v); problem != "" {
			t.Errorf("%q…: %s", unit, problem)
		}
	}
}
