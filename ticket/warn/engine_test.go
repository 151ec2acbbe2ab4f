package warn

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"lianxin/ticket/match"
	"lianxin/workday"
)

var start = time.Date(2026, 11, 2, 9, 0, 0, 0, workday.Zone) // a Monday

// bench feeds an engine and keeps what fires.
type bench struct {
	*Engine
	fired []Firing
	n     int
}

func newBench(change ...func(*Rules)) *bench {
	r := DefaultRules()
	for _, c := range change {
		c(&r)
	}
	return &bench{Engine: NewEngine(r, match.DefaultRules(), workday.Reckoner{}, nil)}
}

func (b *bench) feed(f ...Fact) {
	for _, x := range f {
		b.fired = append(b.fired, b.Feed(x)...)
	}
}

func (b *bench) tick(at time.Time) { b.fired = append(b.fired, b.Tick(at)...) }

// rule are the firings of a rule that are no mere growth.
func (b *bench) rule(code string) (out []Firing) {
	for _, f := range b.fired {
		if f.Rule == code && !f.Grows {
			out = append(out, f)
		}
	}
	return out
}

func (b *bench) open(party string, at time.Time, title, text string, more ...func(*Opened)) Opened {
	b.n++
	f := Opened{ID: fmt.Sprintf("t%d", b.n), Number: fmt.Sprintf("民%d", b.n), Party: party, Channel: "hotline", At: at, Title: title, Text: text, Colour: "蓝"}
	for _, m := range more {
		m(&f)
	}
	b.feed(f)
	return f
}

func hours(n float64) time.Time { return start.Add(time.Duration(n * float64(time.Hour))) }

// different texts that are of no one matter.
var different = []string{"身份证补办要带什么材料", "驾驶证期满怎么换证", "解放路违停堵车", "邻居养大狗不牵绳", "护照办理进度查询", "居住证签注时间", "楼上装修太吵", "电动车被偷了", "孩子落户需要什么", "信号灯配时太短", "夜里有人放鞭炮", "求助寻找走失老人"}

func (b *bench) want(t *testing.T, rule string, n int) {
	t.Helper()
	if got := b.rule(rule); len(got) != n {
		t.Errorf("%s fired %d times, want %d: %+v", rule, len(got), n, got)
	}
}

func TestW1ReadsThreatsAndNotTheirDenial(t *testing.T) {
	b := newBench()
	b.open("a", hours(0), "再不解决", "再不解决我就跳楼")
	b.open("b", hours(1), "建议", "我没有要跳楼的意思，只是想问进度")
	b.want(t, "W1", 1)
	if f := b.rule("W1"); len(f) == 1 && (f[0].Level != "红" || f[0].Ticket != "t1") {
		t.Errorf("%+v", f[0])
	}
}

func TestW2CountsOnePersonInAWeekAndAMonth(t *testing.T) {
	b := newBench()
	for i := range 3 {
		b.open("a", hours(float64(48*i)), different[i], different[i])
		b.open("", hours(float64(48*i)+1), different[i+4], different[i+4])
	}
	b.want(t, "W2", 1)
	slow := newBench()
	for i := range 5 {
		slow.open("a", hours(float64(24*7*i)), different[i], different[i])
	}
	slow.want(t, "W2", 1)
}

func TestW4CountsPartiesOfOnePlaceAndClass(t *testing.T) {
	b := newBench()
	for i, s := range []string{"楼上半夜蹦迪吵得睡不着", "有人在楼下唱歌到凌晨", "广场舞音响太大"} {
		b.open(fmt.Sprint(i), hours(float64(24*i)), "", "和平里小区"+s)
	}
	b.open("9", hours(80), "", "和平里小区身份证补办去哪里")
	b.want(t, "W4", 1)
	if f := b.rule("W4"); len(f) == 1 && (f[0].Place != "和平里" || len(f[0].Tickets) != 3) {
		t.Errorf("%+v", f[0])
	}
}

func TestW5FiresOnASurgeAndNotOnAUsualDay(t *testing.T) {
	b := newBench()
	text := func(i int) string { return fmt.Sprintf("第%d路口违停严重", i) }
	for w := range 5 {
		for i := range 6 { // six each Monday is usual
			b.open(fmt.Sprint(w, i), start.AddDate(0, 0, 7*w).Add(time.Duration(i)*time.Minute), text(i), text(i))
		}
	}
	usual := len(b.rule("W5"))
	if usual > 0 {
		t.Errorf("a usual Monday fires: %d", usual)
	}
	for i := range 25 {
		b.open(fmt.Sprint("x", i), start.AddDate(0, 0, 35).Add(time.Duration(i)*time.Minute), text(i), text(i))
	}
	b.want(t, "W5", usual+1)
}

func TestW6HearsTheSameMatterOnAnotherChannel(t *testing.T) {
	body := "站前广场出租车拒载宰客，候车乱，没人维持秩序。"
	b := newBench()
	b.open("a", hours(0), "站前广场出租车拒载", body)
	b.open("b", hours(20), "站前广场出租车宰客拒载", body, func(o *Opened) { o.Channel = "people" })
	b.want(t, "W6", 1)
	late := newBench()
	late.open("a", hours(0), "站前广场出租车拒载", body)
	late.open("b", hours(100), "站前广场出租车宰客拒载", body, func(o *Opened) { o.Channel = "people" })
	late.want(t, "W6", 0)
}

func TestW7AndW15LookAtTime(t *testing.T) {
	b := newBench()
	b.open("a", hours(0), different[0], different[0], func(o *Opened) { o.Colour = "橙" })
	b.open("b", hours(0), different[1], different[1])
	b.tick(hours(23))
	b.want(t, "W15", 0)
	b.tick(hours(25))
	b.tick(hours(26))
	b.want(t, "W15", 1)
	b.feed(Moved{ID: "t1", At: hours(30), Human: true})
	b.feed(Moved{ID: "t2", At: hours(31)}) // a clock, no person
	b.tick(hours(24*3 + 1))
	b.want(t, "W15", 2) // t2; t1 again only after Again days
	b.tick(start.AddDate(0, 0, 31))
	b.tick(start.AddDate(0, 0, 32))
	b.want(t, "W7", 2)
	b.feed(Moved{ID: "t2", At: start.AddDate(0, 0, 32), Closed: true, Solved: true})
	n := len(b.fired)
	b.tick(start.AddDate(0, 0, 60))
	for _, f := range b.fired[n:] {
		if f.Ticket == "t2" {
			t.Errorf("a closed ticket fires %s", f.Rule)
		}
	}
}

func TestW8CountsReturnsAndUnits(t *testing.T) {
	b := newBench()
	b.open("a", hours(0), different[0], different[0])
	b.feed(Moved{ID: "t1", At: hours(1), Unit: "u1"}, Moved{ID: "t1", At: hours(2), Returned: true}, Moved{ID: "t1", At: hours(3), Unit: "u2"})
	b.want(t, "W8", 0)
	b.feed(Moved{ID: "t1", At: hours(4), Returned: true})
	b.want(t, "W8", 1)
}

func TestW9AndW10LookAtRatings(t *testing.T) {
	b := newBench()
	for i := range 40 {
		b.feed(Rated{At: hours(float64(i)), Unit: "u", Class: "户政", Clerk: fmt.Sprint("c", i%8), Stars: 5})
	}
	b.feed(Rated{At: hours(50), Unit: "u", Class: "户政", Clerk: "c1", Stars: 1})
	b.want(t, "W9", 0)
	b.feed(Rated{At: hours(60), Unit: "u", Class: "户政", Clerk: "c1", Stars: 2})
	b.want(t, "W9", 1)
	then := start.AddDate(0, 0, 60)
	for i := range 12 {
		b.feed(Rated{At: then.Add(time.Duration(i) * time.Hour), Unit: "u", Class: "户政", Clerk: fmt.Sprint("d", i), Stars: 1 + 4*(i%2)})
	}
	b.tick(then.Add(20 * time.Hour))
	if len(b.rule("W10")) == 0 {
		t.Error("satisfaction fell from 95 to 50 per cent, and nothing fires")
	}
}

func TestW11NeedsTwoDataErrorsInTime(t *testing.T) {
	b := newBench()
	b.open("a", hours(0), "户口被误注销", "我的户口被错误注销，系统显示已死亡，人还活着，医保都停了")
	b.want(t, "W11", 0)
	b.open("b", hours(24*30), "死亡信息录错", "父亲健在，户籍系统却登记成已死亡，请更正")
	b.want(t, "W11", 1)
	tagged := newBench()
	tagged.feed(Tagged{ID: "x", At: hours(0), Tag: TagDataError}, Tagged{ID: "y", At: hours(24 * 100), Tag: TagDataError})
	tagged.want(t, "W11", 0)
}

func TestW12HalvesThresholdsInItsTime(t *testing.T) {
	b := newBench()
	b.Periods = []Period{{From: hours(0), To: hours(24 * 10), Factor: 0.5}}
	b.open("a", hours(1), different[0], different[0])
	b.open("a", hours(2), different[1], different[1])
	b.want(t, "W2", 1)
	after := newBench()
	after.Periods = []Period{{From: hours(0), To: hours(1), Factor: 0.5}}
	after.open("a", hours(1), different[0], different[0])
	after.open("a", hours(2), different[1], different[1])
	after.want(t, "W2", 0)
}

func TestW14NeedsAnUnsettledTicket(t *testing.T) {
	body := "滨江雅苑东门烧烤摊营业到凌晨，油烟噪音扰民无人管。"
	up := func(o *Opened) { o.Channel, o.Restricted = "12389", true }
	b := newBench()
	b.open("a", hours(0), "烧烤摊扰民", body)
	b.open("a", hours(100), "反映烧烤摊无人管", body, up)
	b.want(t, "W14", 1)
	solved := newBench()
	solved.open("a", hours(0), "烧烤摊扰民", body)
	solved.feed(Moved{ID: "t1", At: hours(50), Closed: true, Solved: true})
	solved.open("a", hours(100), "反映烧烤摊无人管", body, up)
	solved.want(t, "W14", 0)
	if len(b.rule("W3")) != 0 {
		t.Error("a restricted item is part of a group")
	}
}

func TestRulesThatAreOffDoNotFireAndOthersDoOnceInTheirTime(t *testing.T) {
	b := newBench(func(r *Rules) { r.Off = []string{"W2"} })
	for i := range 4 {
		b.open("a", hours(float64(i)), different[i], different[i])
	}
	b.want(t, "W2", 0)
	on := newBench()
	for i := range 8 {
		on.open("a", hours(float64(i)), different[i], different[i])
	}
	on.want(t, "W2", 1)
}

func TestEntitiesAreFoundAndNormalised(t *testing.T) {
	got := Entities("加微信：AbC_12345，进 HTTPS://WWW.Fanli.top/a 充值返利，卡号6222020200112233445，电话13912345678，车牌辽E12345")
	for _, want := range []Entity{{"account", "abc_12345"}, {"account", "6222020200112233445"}, {"url", "fanli.top/a"}, {"phone", "13912345678"}, {"plate", "辽E12345"}, {"scheme", "返利"}} {
		if !slices.Contains(got, want) {
			t.Errorf("%v is not among %v", want, got)
		}
	}
	if e := Entities("想问身份证补办需要什么材料，几点上班"); len(e) != 0 {
		t.Errorf("%v", e)
	}
}

func TestStatisticsAgreeWithTables(t *testing.T) {
	near := func(name string, got, want, eps float64) {
		if math.Abs(got-want) > eps {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	near("P(X>=5|2)", poissonTail(5, 2), 0.05265, 1e-4)
	near("P(X>=0)", poissonTail(0, 2), 1, 0)
	near("Wilson 5 of 10", wilsonLow(5, 10), 0.2366, 1e-3)
	near("p of 50/100 against 70/100", lowerP(50, 100, 70, 100), 0.00195, 1e-4)
}

func FuzzEntities(f *testing.F) {
	f.Add("微信abcde12345 http://a.com 13800138000")
	f.Fuzz(func(t *testing.T, s string) {
		if n := len(Entities(s)); n > 20 {
			t.Fatalf("%d entities", n)
		}
		Pattern(s)
	})
}

func TestW9NamesTheWindow(t *testing.T) {
	b := newBench()
	for i := range 2 {
		b.feed(Rated{At: hours(float64(i)), Unit: "u", Class: "户政", Place: "u/3", PlaceName: "户政窗口 窗口3", Stars: 1})
	}
	b.want(t, "W9", 1)
	if f := b.rule("W9"); len(f) == 1 && (f[0].Subject != "window/u/3" || !strings.HasPrefix(f[0].Evidence, "户政窗口 窗口3：")) {
		t.Errorf("%+v", f[0])
	}
}
