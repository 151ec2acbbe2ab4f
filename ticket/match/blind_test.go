package match

import (
	"fmt"
	"slices"
	"testing"
)

// Matters that were written without looking at the scores they give: each told by four people in their own words over six days, among them one
// who comes twice, and beside each a matter that is near in words or place and is another one.
var blind = []struct {
	matter  []string // title|text by four people
	again   string   // the first person once more
	another string
}{
	{[]string{"东湖花园后门垃圾站臭气熏天|东湖花园后门的垃圾中转站从早到晚散发臭味，窗户都不敢开。", "垃圾中转站离居民楼太近|我家住东湖花园六号楼，楼后就是垃圾站，夏天苍蝇成群，气味难闻。", "东湖花园垃圾站扰民|东湖花园小区北门垃圾中转站半夜装车，又吵又臭，影响休息。", "请搬迁东湖花园旁的垃圾站|垃圾车每天进进出出，东湖花园的老人孩子没法下楼。"},
		"垃圾站的臭味还是没人管|上次反映东湖花园后门垃圾中转站臭味，到现在也没有改善。", "东湖花园电梯困人|东湖花园三号楼电梯一个月坏了四次，老人被困过。"},
	{[]string{"永昌路施工围挡占道|永昌路修管道围了半年，只剩一条车道，早晚堵死。", "永昌路什么时候修完|永昌路管网施工没人干活，围挡一直不撤，商户没生意。", "永昌路围挡影响出行|永昌路两侧围挡把人行道都占了，行人只能走机动车道。", "永昌路修路扬尘|永昌路施工半年，尘土飞扬，路面坑洼，晚上没有警示灯。"},
		"永昌路围挡还没拆|三天前反映过永昌路施工围挡占道，仍旧只剩一条车道。", "永昌路门市乱收停车费|永昌路银行门前有人私自收停车费，不给票。"},
	{[]string{"金鼎健身关门会员费不退|金鼎健身房突然关门，办的两年卡没法退，老板电话关机。", "金鼎健身跑路|我在金鼎健身办了私教课一万二，昨天去发现店里搬空了。", "金鼎健身房老板失联|金鼎健身拖欠教练工资，会员卡也不退，请有关部门查一查。", "健身卡退费|上个月刚在金鼎健身续卡，现在门锁着，群里三百多人要求退款。"},
		"金鼎健身退卡没有结果|前几天反映金鼎健身关门不退会员费，老板还是关机。", "健身房噪音扰民|楼下健身房早上六点放音乐，杠铃砸地板震得睡不着。"},
	{[]string{"南关村井水发黄|南关村自来水这几天发黄，有股铁锈味，不敢喝。", "南关村饮水安全|村里的水是浑的，水壶里全是沉淀，南关村几十户都这样。", "请化验南关村的水|南关村上游建了洗砂厂以后，井水就变浑了，孩子喝了拉肚子。", "南关村吃水难|南关村自来水发黄发臭一个星期了，村里只能买桶装水。"},
		"南关村的水还是黄的|上次打电话反映南关村自来水发黄，来人看了一眼就走了。", "南关村道路硬化|南关村通往镇上的路没有硬化，下雨全是泥。"},
	{[]string{"育才小学门口卖烟卡|育才小学门口小卖店卖烟卡，孩子们趴在地上拍卡，影响学习。", "小学生沉迷烟卡|育才小学对面的文具店卖烟卡，孩子把早餐钱都花了。", "请管管育才小学周边烟卡|育才小学旁边几家店向学生卖烟卡，还有抽奖。", "烟卡害人|我儿子在育才小学上三年级，放学就去店里买烟卡赌输赢。"},
		"育才小学的店还在卖烟卡|一周前反映育才小学门口小卖店卖烟卡，今天看还在卖。", "育才小学门口堵车|育才小学门口放学接送车辆乱停，道路拥堵。"},
	{[]string{"彩虹桥下夜间飙车|每晚十一点以后彩虹桥下有摩托车飙车，声音特别大。", "摩托车炸街|彩虹桥到滨河路一带半夜摩托车队轰油门，全楼都被吵醒。", "彩虹桥飙车党|一群年轻人在彩虹桥头聚集，改装摩托来回跑，太危险。", "请交警整治彩虹桥炸街|彩虹桥附近居民深夜被炸街摩托吵得睡不着，报警人来了就散。"},
		"彩虹桥飙车没有整治|反映彩虹桥下摩托车飙车三天了，昨晚又是十几辆。", "彩虹桥路灯不亮|彩虹桥上的路灯坏了一半，晚上走路看不清。"},
}

func TestMattersWrittenBlindAreFoundAndTheirNeighboursKeptApart(t *testing.T) {
	g := NewGrouper(DefaultRules())
	var docs []Doc
	for m, x := range blind {
		for i, s := range append(slices.Clone(x.matter), x.again, x.another) {
			title, text, _ := cutBar(s)
			party := fmt.Sprintf("%d-%d", m, i)
			if i == 4 {
				party = fmt.Sprintf("%d-0", m)
			}
			docs = append(docs, doc(fmt.Sprintf("%d-%d", m, i), party, float64(i)+float64(m)/10, title, text))
		}
	}
	repeats, groups, alert, wrong := 0, 0, map[int]int{}, 0
	for _, d := range byTime(docs...) {
		pairs, group, fresh := g.Take(d)
		var m, i int
		fmt.Sscanf(d.ID, "%d-%d", &m, &i)
		if fresh {
			groups++
			alert[m] = i + 1
		}
		for _, p := range pairs {
			var pm, pi int
			fmt.Sscanf(p.Earlier, "%d-%d", &pm, &pi)
			if i == 4 && p.Kind == Repeat && pm == m && pi == 0 {
				repeats++
			}
			if pm != m || i == 5 {
				wrong++
				t.Logf("%s and %s are no matter: %.3f", p.ID, p.Earlier, p.Parts.Score)
			}
		}
		if i == 5 && group != nil {
			t.Logf("%s joins a group", d.ID)
			wrong++
		}
	}
	t.Logf("%d of %d repeats, %d of %d groups, first alert at message %v, %d wrong", repeats, len(blind), len(alert), len(blind), alert, wrong)
	if repeats < leastRepeats || len(alert) < leastGroups || wrong > mostWrong {
		t.Errorf("%d repeats, %d groups, %d wrong links", repeats, len(alert), wrong)
	}
}

// The first run found all repeats, three groups of six and three wrong links (docs/match.md); it may only get better.
const (
	leastRepeats = 6
	leastGroups  = 3
	mostWrong    = 3
)

func cutBar(s string) (title, text string, ok bool) {
	for i, r := range s {
		if r == '|' {
			return s[:i], s[i+1:], true
		}
	}
	return s, "", false
}
