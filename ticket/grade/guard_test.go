package grade

import (
	"slices"
	"testing"
)

// Each guard is shown by a text that it must take back and the nearest one that it must leave alone.
func TestGuardsTakeBackOnlyWhatTheyMust(t *testing.T) {
	for _, x := range []struct {
		guard, code string
		innocent    []string // the factor is absent
		meant       []string // the factor is there
	}{
		{"negation", "injury", []string{"没有受伤", "没人受伤", "幸好未受伤", "车坏了,人没有受伤", "并没有动手打人", "他没打伤我"}, []string{"受伤了", "派出所没有处理,我受伤了", "有没有受伤?有,骨折了"}},
		{"negation", "gathering", []string{"不会去上访", "我不想上访", "我们没有拉横幅", "从来没有组织过静坐", "不去上访了", "我不要曝光他"}, []string{"没办法只能上访", "再不解决就去上访", "不得不上访", "没人管,我们要上访", "是不是要我们上访"}},
		{"negation", "danger", []string{"我不会自杀", "我没想过要跳楼", "他没有拿刀", "没有着火"}, []string{"我不想活了", "再不管我就跳楼", "没人管我就跳楼", "不给钱我就跳楼"}},
		{"negation", "clue", []string{"这里没有赌博", "没有诈骗"}, []string{"没人管赌博", "这里有人赌博"}},
		{"negation", "police", []string{"民警没有推诿", "派出所没有不管"}, []string{"民警推诿", "派出所不管"}},
		{"past", "danger", []string{"以前有人跳楼", "2018年有人跳楼", "三年前他拿着刀来过", "上个月着火了", "昨天有人在楼道打起来了,当时有人拿着刀"}, []string{"现在有人跳楼", "以前就闹过,现在又拿着刀来了", "他昨天持刀来过,现在又在门口"}},
		{"resolved", "injury", []string{"以前被打过,现在没事了", "手被划伤,已经痊愈", "孩子被狗咬伤过,现在没事了"}, []string{"以前被打过,派出所一直没处理", "手被划伤,伤口很深"}},
		{"resolved", "danger", []string{"楼下着火了,已经扑灭", "有人要跳楼,已经救下来了"}, []string{"楼下着火了", "有人要跳楼"}},
		{"ask", "danger", []string{"请问砍人要判几年", "持刀威胁怎么判", "放火烧房子违法吗", "想问问他拿着刀算不算犯罪"}, []string{"他拿着刀,请问怎么办", "请问我被人拿着刀追怎么办"}},
		{"ask", "clue", []string{"赌博怎么处罚", "请问酒驾判几年"}, []string{"楼下赌博,请处罚"}},
		{"hypothetical", "danger", []string{"天台没锁,怕有人跳楼", "如果有人跳楼谁负责", "万一孩子落水了怎么办", "一旦着火就完了", "难道要等有人跳楼才管"}, []string{"如果不解决,我就跳楼", "要是再不给钱,我只能跳楼"}},
		{"hypothetical", "injury", []string{"万一撞伤人怎么办", "如果有人受伤谁负责"}, []string{"撞伤人了怎么办"}},
		{"fiction", "danger", []string{"电影里有人跳楼", "新闻说外地有人持刀", "小说里写他要杀我", "梦见有人要杀我", "消防演习,楼道着火了"}, []string{"他在看电影时说要杀我,刚才", "有人持刀"}},
		{"risk", "danger", []string{"电线老化容易着火了", "担心煤气泄漏", "随时可能爆炸了"}, []string{"电线着火了", "煤气泄漏"}},
		{"risk", "injury", []string{"路面不平容易摔伤", "井盖坏了,怕孩子摔伤", "存在砸伤人的隐患"}, []string{"路面不平,我摔骨折了", "井盖坏了,孩子摔伤了"}},
		{"promo", "clue", []string{"感谢民警破获诈骗案", "反诈宣传很好", "预防电信诈骗讲座在哪听"}, []string{"遇到诈骗", "诈骗案没破"}},
		{"plain_ask", "clue", []string{"建议加强打击赌博", "请问赌博多少钱算违法"}, []string{"举报赌博,请问什么时候查", "请问我被骗了怎么办"}},
		{"prevent", "threat", []string{"以免做出过激行为", "容易引发过激行为"}, []string{"我会有过激行为"}},
		{"conditional", "threat", nil, []string{"再不还钱我就弄死他", "他说报警就杀我全家", "明天我就去砍死他"}},
		{"conditional", "danger", []string{"再不还钱我就弄死他", "明天我就去砍死他"}, []string{"我要弄死他", "他要砍死我"}},
		{"complains", "inquiry", []string{"请问多次投诉为什么没人管"}, []string{"请问补办身份证要多久"}},
		{"idiom", "danger", []string{"气死我了", "热死了", "烦死人了", "累死我了", "想死你了", "跳楼价", "打死也不去", "杀价", "救命稻草", "打打杀杀的游戏"}, []string{"气得想自杀", "救命"}},
		{"idiom", "injury", []string{"吵死人了", "堵死了", "打我电话", "被打扰", "打断我说话", "死亡证明", "严重伤害群众感情", "被打回来重办", "交通瘫痪"}, []string{"被打了", "打断了肋骨"}},
		{"occupation", "danger", []string{"我开刀具店", "他是卖菜刀的", "师傅拿刀切菜", "工人拿着锤子修路", "加油站的人提着汽油桶装车", "食堂师傅拿着菜刀剁肉"}, []string{"他拿着菜刀", "提着汽油来了"}},
		{"transport", "gathering", []string{"去市政府的公交车停运了", "到市政府怎么走", "路口车堵路", "物业挂横幅宣传", "去北京看病"}, []string{"我们要去市政府讨说法", "准备去北京上访"}},
		{"other's count", "group", []string{"来了三十个人砸门", "小区共有800户", "302业主", "每户两个人", "12345市民热线", "我家五口人", "我们一家人"}, []string{"我们三十个人", "800户业主联名", "十户业主"}},
		{"life, not conflict", "age", []string{"我住了十年", "结婚三年了", "工作五年了", "合同三年", "判了三年", "三年级", "条例自2016年7月1日起施行"}, []string{"吵了十年", "三年了没人管", "拖欠三年"}},
		{"price, not loss", "loss", []string{"罚款两万元", "房子五十万元", "月薪一万二千元", "押金一万元"}, []string{"损失两万元", "被骗五十万元"}},
		{"house names", "clue", []string{"防盗门坏了", "禁毒大队在哪", "反诈app怎么装", "砍头息是什么"}, []string{"入室盗窃", "有人吸毒"}},
	} {
		for _, text := range x.innocent {
			if v := grader.Grade(Case{Text: text}); slices.Contains(codes(v), x.code) {
				t.Errorf("%s: %q must not give %s: %+v", x.guard, text, x.code, v.Factors)
			}
		}
		for _, text := range x.meant {
			if v := grader.Grade(Case{Text: text}); !slices.Contains(codes(v), x.code) {
				t.Errorf("%s: %q must give %s: %+v", x.guard, text, x.code, v.Factors)
			}
		}
	}
}
