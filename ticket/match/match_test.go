package match

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

var start = time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC)

func doc(id, party string, day float64, title, text string) Doc {
	return Doc{ID: id, Party: party, At: start.Add(time.Duration(day * 24 * float64(time.Hour))), Title: title, Text: text}
}

// Our own words about one matter, as different people would put it.
var plant = []Doc{
	doc("p1", "a", 0, "滨江雅苑旁边的搅拌站夜里不停", "滨江雅苑小区东边新开了一个搅拌站，夜里机器轰鸣，粉尘很大，老人孩子睡不好。"),
	doc("p2", "b", 2, "滨江雅苑附近搅拌站粉尘噪声", "住在滨江雅苑三期，窗户不敢开，搅拌站的粉尘飘进来，半夜还在搅拌装车。"),
	doc("p3", "c", 4, "举报滨江雅苑小区外无证搅拌站", "滨江雅苑小区外面的搅拌站没有手续，昼夜施工，噪声和粉尘严重。"),
	doc("p4", "d", 9, "搅拌站什么时候搬走", "滨江雅苑的业主已经忍受搅拌站一个多月，粉尘噪声没人管。"),
}

var others = []Doc{
	doc("o1", "e", 1, "身份证丢了怎么补办", "想问补办身份证需要带什么材料，周末能不能办。"),
	doc("o2", "f", 1.5, "解放路违停严重", "解放路与建设街路口每天早高峰违停，公交车转不过弯。"),
	doc("o3", "g", 3, "邻居养大型犬不牵绳", "和平小区五号楼有人养大型犬，遛狗不牵绳，吓到孩子。"),
	doc("o4", "a", 5, "驾驶证期满换证", "驾驶证快到期了，请问异地能不能换证，要不要体检。"),
}

func byTime(docs ...Doc) []Doc {
	slices.SortFunc(docs, func(a, b Doc) int { return a.At.Compare(b.At) })
	return docs
}

func TestThreePeopleAboutOneMatterInAWeekAreAGroupAndOthersAreNot(t *testing.T) {
	g := NewGrouper(DefaultRules())
	madeBy := ""
	for _, d := range byTime(slices.Concat(plant, others)...) {
		_, group, fresh := g.Take(d)
		if fresh {
			madeBy = d.ID
		}
		if strings.HasPrefix(d.ID, "o") && group != nil {
			t.Errorf("%s is in a group", d.ID)
		}
	}
	if madeBy != "p3" {
		t.Errorf("the group arose with %q, want the third person, p3", madeBy)
	}
	x := g.GroupOf("p4")
	if x == nil || x.Parties != 4 || !slices.Equal(x.IDs, []string{"p1", "p2", "p3", "p4"}) || x.Place != "滨江雅苑" || x.Rule != "7d" {
		t.Errorf("group %+v", x)
	}
	if n := g.PartiesWithin(x, plant[3].At, 6*24*time.Hour); n != 2 {
		t.Errorf("%d parties in the six days before the last, want 2", n)
	}
}

func TestOnePersonThreeTimesIsNoGroupButARepeat(t *testing.T) {
	g := NewGrouper(DefaultRules())
	for i, d := range plant[:3] {
		d.Party = "a"
		pairs, group, _ := g.Take(d)
		if group != nil {
			t.Error("one person is a group")
		}
		if len(pairs) != i {
			t.Errorf("%s has %d links, want %d", d.ID, len(pairs), i)
		}
		for _, p := range pairs {
			if p.Kind != Repeat || !p.Parts.Party || p.Parts.Score < DefaultRules().Suggest {
				t.Errorf("%+v", p)
			}
		}
	}
}

func TestTheSlowAndTheSameTextRulesFindWhatAWeekMisses(t *testing.T) {
	for _, c := range []struct {
		step float64
		same bool
		rule string
	}{{9, false, "30d"}, {60, true, "same-text"}} {
		g := NewGrouper(DefaultRules())
		var last *Group
		for i, d := range plant[:3] {
			if c.same {
				d.Title, d.Text = plant[0].Title, plant[0].Text
			}
			d.At = start.Add(time.Duration(float64(i) * c.step * 24 * float64(time.Hour)))
			_, last, _ = g.Take(d)
		}
		if last == nil || last.Rule != c.rule || last.Parties != 3 {
			t.Errorf("every %v days: %+v, want rule %s", c.step, last, c.rule)
		}
	}
}

func TestTheSameWordsAreLinkedByThemselvesWithTheEvidence(t *testing.T) {
	x := NewIndex(DefaultRules())
	for _, d := range slices.Concat(plant, others) {
		x.Add(d)
	}
	again := doc("r", "b", 20, "滨江雅苑附近搅拌站粉尘噪声还在", plant[1].Text+"上次反映后没有人来。")
	got := x.Similar(again, time.Time{}, 10)
	if len(got) == 0 || got[0].Earlier != "p2" || !got[0].Auto || got[0].Kind != Repeat {
		t.Fatalf("%+v", got)
	}
	p := got[0].Parts
	if !slices.Contains(p.Places, "滨江雅苑") || len(p.Common) == 0 || !strings.Contains(strings.Join(p.Common, ""), "住在滨江雅苑三期") || p.DaysOff != 18 {
		t.Errorf("evidence %+v", p)
	}
	for _, o := range got[1:] {
		if o.Auto {
			t.Errorf("%+v is linked without a person", o)
		}
	}
}

func TestScriptWidthAndSpacesDoNotMatter(t *testing.T) {
	x := NewIndex(DefaultRules())
	x.Add(doc("1", "a", 0, "解放路ＫＴＶ扰民", "解放路金色时代KTV凌晨三点还在营业，附近居民无法休息。"))
	for _, s := range []string{"解放路金色時代ktv凌晨三點還在營業，附近居民無法休息。", "解放路金色时代 K T V 凌晨 三点还在营业附近居民 无法休息"} {
		got := x.Similar(doc("2", "b", 1, "", s), time.Time{}, 3)
		if len(got) != 1 || got[0].Parts.Score < 0.6 {
			t.Errorf("%q: %+v", s, got)
		}
	}
}

// Scores do not depend on which of two requests comes first, are between 0 and 1, and 1 for the same text of one person.
func TestScoresAreSymmetricAndBounded(t *testing.T) {
	x := NewIndex(DefaultRules())
	r := rand.New(rand.NewPCG(1, 2))
	pool := []rune("滨江雅苑搅拌站粉尘噪声解放路违停户口身份证办理派出所小区业主凌晨，。Aa1 体检换证")
	random := func() string {
		b := make([]rune, r.IntN(80))
		for i := range b {
			b[i] = pool[r.IntN(len(pool))]
		}
		return string(b)
	}
	for i := range 300 {
		d := doc(fmt.Sprint(i), fmt.Sprint(r.IntN(40)), float64(i)/10, random(), random())
		x.Add(d)
		e := doc("e", fmt.Sprint(r.IntN(40)), float64(i)/10, random(), random())
		ab, ba := x.Compare(d, e).Parts, x.Compare(e, d).Parts
		if ab.Score != ba.Score || ab.Words != ba.Words || ab.Score < 0 || ab.Score > 1 {
			t.Fatalf("%v and %v", ab, ba)
		}
		if s := x.Compare(d, d).Parts; len(d.Text) > 90 && s.Score != 1 {
			t.Fatalf("the same text scores %v", s)
		}
	}
}

func TestWhatWasRemovedIsNotFoundAndReplacedOnesAreFoundByTheNewText(t *testing.T) {
	x := NewIndex(DefaultRules())
	for _, d := range plant {
		x.Add(d)
	}
	x.Remove("p2")
	d := plant[0]
	d.Text, d.Title = others[0].Text, others[0].Title
	x.Add(d)
	var ids []string
	for _, p := range x.Similar(doc("q", "z", 10, plant[1].Title, plant[1].Text), time.Time{}, 10) {
		ids = append(ids, p.Earlier)
	}
	slices.Sort(ids)
	if !slices.Equal(ids, []string{"p3", "p4"}) || x.Len() != 3 {
		t.Errorf("found %v of %d", ids, x.Len())
	}
}

func TestTheFilterAccountsForEveryLine(t *testing.T) {
	var in bytes.Buffer
	for _, d := range plant {
		json.NewEncoder(&in).Encode(map[string]string{"id": d.ID, "party": d.Party, "at": d.At.Format(time.RFC3339), "title": d.Title, "text": d.Text})
	}
	in.WriteString("\n{\"id\":\"x\"}\nnonsense\n{\"id\":\"early\",\"at\":\"2020-01-01\"}\n{\"id\":\"y\",\"time\":\"2026-12-01T00:00:00\",\"user\":\"q\"}\n")
	var out bytes.Buffer
	if err := Filter(&in, &out); err != nil {
		t.Fatal(err)
	}
	got := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(got) != 8 {
		t.Fatalf("%d lines: %s", len(got), out.String())
	}
	if !strings.Contains(got[2], `"group":1,"parties":3,"rule":"7d","new":true`) {
		t.Errorf("third: %s", got[2])
	}
	for i, want := range map[int]string{4: `"line":6`, 5: `"line":7`, 6: "earlier than the line before", 7: `"pairs":[]`} {
		if !strings.Contains(got[i], want) {
			t.Errorf("line %d: %s, want %s", i, got[i], want)
		}
	}
}

func FuzzAnyTextCanBeCompared(f *testing.F) {
	f.Add("滨江雅苑小区", "\xff\xfe小区的\x00村")
	f.Fuzz(func(t *testing.T, a, b string) {
		x := NewIndex(DefaultRules())
		x.Add(Doc{ID: "1", Title: a, Text: b, At: start})
		x.Add(Doc{ID: "2", Title: b, Text: a, Place: a, At: start})
		for _, p := range x.Similar(Doc{ID: "3", Text: a + b, At: start}, time.Time{}, 5) {
			if p.Parts.Score < 0 || p.Parts.Score > 1 {
				t.Fatalf("%+v", p)
			}
		}
	})
}

func TestRulesAreNamedByTheirContentAndChecked(t *testing.T) {
	a, b := DefaultRules(), DefaultRules()
	b.Group = 0.5
	if a.ID() == b.ID() || a.Check() != nil {
		t.Error("rules are not told apart, or the default ones are wrong")
	}
	for _, change := range []func(*Rules){func(r *Rules) { r.Auto = 0 }, func(r *Rules) { r.Suggest = 0.9 }, func(r *Rules) { r.Parties = 1 }, func(r *Rules) { r.WideDays = 1 }} {
		r := DefaultRules()
		change(&r)
		if r.Check() == nil {
			t.Errorf("%+v passes", r)
		}
	}
}

// BenchmarkTake is a new request among 100,000, of words that requests are made of.
func BenchmarkTake(b *testing.B) {
	r := rand.New(rand.NewPCG(3, 4))
	words := strings.Fields("小区 噪音 夜里 施工 扰民 违停 路口 车辆 身份证 户口 办理 派出所 民警 报警 邻居 养犬 麻将馆 烧烤 油烟 物业 开发商 停车场 公交 学校 孩子 老人 诈骗 转账 手机 网站 解放路 建设街 和平里 站前 北地 明山 溪湖 平山 南芬 桓仁 补办 换证 年检 罚款 申诉 事故 认定 赔偿 医药费 调解")
	rare := func() string { return string([]rune{rune(0x4e00 + r.IntN(3000)), rune(0x4e00 + r.IntN(3000))}) }
	make1 := func(i int) Doc {
		var s strings.Builder
		for range 25 {
			s.WriteString(words[r.IntN(len(words))])
			if r.IntN(4) == 0 {
				s.WriteString(rare())
			}
		}
		return Doc{ID: fmt.Sprint(i), Party: fmt.Sprint(r.IntN(60000)), At: start.Add(time.Duration(i) * 5 * time.Minute), Title: words[r.IntN(len(words))] + rare(), Text: s.String()}
	}
	g := NewGrouper(DefaultRules())
	for i := range 100_000 {
		g.Add(make1(i))
	}
	i := 100_000
	for b.Loop() {
		g.Take(make1(i))
		i++
	}
}
