package city

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"lianxin/workday"
)

// Numbers of sample residents that stand for a case of their own. All sample
// numbers are 1990000xxxx: right in form, and never dialled or texted, since
// the sample city runs on the simulated carrier.
const (
	OptedOutPhone = "19900009001" // has asked for no more texts
	ShieldedPhone = "19900009002" // 免打扰
	StaffPhone    = "19900009003" // belongs to the bureau
	RegularPhone  = "19900009004" // uses some service every day
	TwicePhone    = "19900009005" // uses two services on the same day
)

// Header is the header line of Records, the one that `lianxin records import` reads.
var Header = []string{"业务类别", "业务流水号", "办理时间", "姓名", "电话", "出生日期", "单位编码", "事项", "敏感标记", "备注"}

// class is one of the seven classes of service (SMS-2).
type class struct {
	name   string
	code   string // first letters of its serial numbers
	count  int    // on a weekday
	rest   int    // on Saturday and Sunday
	open   time.Duration
	shut   time.Duration
	matter []string
	units  func(*world) []string
}

// world is what the records are drawn from.
type world struct {
	units    []unit
	villages map[string][]string // names of communities by street code
	streets  map[string]string   // name by code
}

func (w *world) of(match func(u unit) bool) []string {
	var ids []string
	for _, u := range w.units {
		if match(u) {
			ids = append(ids, u.ID)
		}
	}
	return ids
}

func stations(w *world) []string {
	return w.of(func(u unit) bool { return u.Kind == "station" })
}

func only(ids ...string) func(*world) []string { return func(*world) []string { return ids } }

var classes = []class{
	{"110接处警", "JJ", 32, 48, 0, 24 * time.Hour, []string{"邻里纠纷", "噪音扰民", "求助开锁", "走失人员查找", "财物丢失", "消费纠纷", "车辆挡道", "宠物伤人", "可疑情况核查", "拾得物品"}, stations},
	{"122事故", "SG", 14, 20, 0, 24 * time.Hour, []string{"简易程序处理", "事故认定", "剐蹭快处", "追尾事故", "停车场事故"},
		func(w *world) []string {
			return w.of(func(u unit) bool {
				return u.Kind == "brigade" && u.Police == "traffic" && u.ID != "benxi-cheguansuo"
			})
		}},
	{"户政", "HZ", 14, 5, 8*time.Hour + 30*time.Minute, 17 * time.Hour, []string{"身份证换领", "户口迁入", "出生登记", "居住证办理", "户口簿补领", "变更项目"},
		func(w *world) []string {
			return w.of(func(u unit) bool { return u.Kind == "window" && u.Police == "household" })
		}},
	{"车驾管", "CG", 14, 6, 8*time.Hour + 30*time.Minute, 17 * time.Hour, []string{"驾驶证期满换证", "补领驾驶证", "机动车转让登记", "补领号牌", "六年免检", "新车登记"}, only("benxi-cheguansuo-dating")},
	{"出入境", "CR", 7, 3, 8*time.Hour + 30*time.Minute, 17 * time.Hour, []string{"普通护照申请", "港澳通行证签注", "往来台湾通行证", "护照换发"}, only("benxi-churujing-dating")},
	{"案件办理", "AJ", 5, 5, 8 * time.Hour, 22 * time.Hour, []string{"受案回执送达", "案件进展告知", "涉案财物返还", "询问笔录"},
		func(w *world) []string {
			return append(stations(w), w.of(func(u unit) bool { return u.Kind == "brigade" && u.Police == "criminal" })...)
		}},
	{"行政审批", "SP", 5, 3, 8*time.Hour + 30*time.Minute, 17 * time.Hour, []string{"特种行业许可", "大型活动安全许可", "保安员证", "印章备案", "烟花爆竹运输许可"}, only("benxi-shenpi-chuangkou")},
}

const (
	surnames = "王李张刘陈杨赵黄周吴徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘蔡蒋余于杜叶程苏魏吕丁任沈姚卢姜崔钟谭陆汪范金石廖贾夏韦付方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤佟关那"
	givens   = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英玉兰春梅建国志华文斌海燕红梅佳宁思雨欣怡浩然子轩梓涵晓东立新淑珍凤鹏飞雪松长青永顺德福振宇丹阳冬雷玲辉"
)

// row is one record before it is written.
type row struct {
	at                                                                 time.Time
	class, serial, when, name, phone, born, unit, matter, mark, remark string
}

// Records makes the service records of one day of the sample city, about 120
// of them: CSV as Header says, in UTF-8 with a byte order mark and CRLF, as
// spreadsheets write it. The same day always gives the same bytes. Among the
// ordinary ones stand, each day, the cases that an import and a morning must
// tell apart; the remark of each (样例：…) says which it is.
func Records(day workday.Day) ([]byte, error) {
	w, err := readWorld()
	if err != nil {
		return nil, fmt.Errorf("sample records of %s: %w", day, err)
	}
	h := fnv.New64a()
	fmt.Fprintf(h, "lianxin sample records %s", day)
	g := &maker{world: w, day: day, rnd: rand.New(rand.NewPCG(h.Sum64(), 20230626))}
	weekend := day.Weekday() == time.Saturday || day.Weekday() == time.Sunday
	var rows []row
	for i := range classes {
		n := classes[i].count
		if weekend {
			n = classes[i].rest
		}
		for range n {
			rows = append(rows, g.ordinary(i))
		}
	}
	rows = append(rows, g.cases()...)
	slices.SortStableFunc(rows, func(a, b row) int { return a.at.Compare(b.at) })
	return write(rows)
}

func write(rows []row) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString("\ufeff")
	out := csv.NewWriter(&b)
	out.UseCRLF = true
	if err := out.Write(Header); err != nil {
		return nil, err
	}
	for _, r := range rows {
		if err := out.Write([]string{r.class, r.serial, r.when, r.name, r.phone, r.born, r.unit, r.matter, r.mark, r.remark}); err != nil {
			return nil, err
		}
	}
	out.Flush()
	return b.Bytes(), out.Error()
}

// maker draws the records of one day.
type maker struct {
	world  *world
	day    workday.Day
	rnd    *rand.Rand
	serial [7]int // last number given, by class
	used   map[int]bool
}

func pick[T any](g *maker, from []T) T { return from[g.rnd.IntN(len(from))] }

// ordinary is a record without anything special: an adult with a mobile
// number who is seen only once on that day.
func (g *maker) ordinary(c int) row {
	cl := classes[c]
	at := g.day.At(cl.open + time.Duration(g.rnd.Int64N(int64(cl.shut-cl.open)))).Truncate(time.Second)
	g.serial[c]++
	r := row{
		at: at, class: cl.name, when: at.Format("2006-01-02 15:04:05"),
		serial: fmt.Sprintf("%s%s%04d", cl.code, strings.ReplaceAll(g.day.String(), "-", ""), g.serial[c]),
		matter: pick(g, cl.matter), unit: pick(g, cl.units(g.world)),
	}
	if g.used == nil {
		g.used = map[int]bool{}
	}
	n := g.rnd.IntN(8000)
	for g.used[n] {
		n = (n + 1) % 8000
	}
	g.used[n] = true
	r.phone = fmt.Sprintf("1990000%04d", n)
	r.name, r.born = person(n)
	if c == 0 {
		r.remark = g.place(r.unit)
	}
	return r
}

// person is who has sample number n, the same on every day: grown-up from 2024 on.
func person(n int) (name, born string) {
	rnd := rand.New(rand.NewPCG(uint64(n), 46110110))
	s, v := []rune(surnames), []rune(givens)
	name = string(s[rnd.IntN(len(s))]) + string(v[rnd.IntN(len(v))])
	if rnd.IntN(3) > 0 {
		name += string(v[rnd.IntN(len(v))])
	}
	return name, workday.DateOf(1947+rnd.IntN(59), time.Month(1+rnd.IntN(12)), 1+rnd.IntN(28)).String()
}

// place is a community that the unit serves, "" for units that serve no one street.
func (g *maker) place(id string) string {
	for _, u := range g.world.units {
		if u.ID == id && len(g.world.villages[u.street]) > 0 {
			return g.world.streets[u.street] + pick(g, g.world.villages[u.street])
		}
	}
	return ""
}

func readWorld() (*world, error) {
	w := &world{streets: map[string]string{}, villages: map[string][]string{}}
	var err error
	if w.units, err = readUnits(); err != nil {
		return nil, err
	}
	streets, err := readTable("benxi_streets.csv", "code,name,areaCode,provinceCode,cityCode")
	if err != nil {
		return nil, err
	}
	for _, s := range streets {
		w.streets[s[0]] = s[1]
	}
	villages, err := readTable("benxi_villages.csv", "code,name,streetCode,provinceCode,cityCode,areaCode")
	if err != nil {
		return nil, err
	}
	for _, v := range villages {
		name := strings.TrimSuffix(strings.TrimSuffix(v[1], "居委会"), "委会") // 南地社区, 兴安村
		w.villages[v[2]] = append(w.villages[v[2]], name)
	}
	return w, nil
}
