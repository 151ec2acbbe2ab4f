package grade

import "time"

// Example is a sentence that every version of the words is tried on before it is proposed.
type Example struct {
	Text   string
	Factor string // code of the factor that it must give, or must not
	Name   string // of the factor, for staff
	Must   bool
	Vital  bool // a danger to life that must be seen: a version that does not see it cannot be proposed
}

var examples = []Example{
	{Text: "我不想活了", Factor: codeDanger, Must: true, Vital: true},
	{Text: "再不解决我就从楼上跳下去", Factor: codeDanger, Must: true, Vital: true},
	{Text: "有人在桥上要跳河", Factor: codeDanger, Must: true, Vital: true},
	{Text: "我弟弟喝了农药", Factor: codeDanger, Must: true, Vital: true},
	{Text: "他拿着菜刀在门口砍门", Factor: codeDanger, Must: true, Vital: true},
	{Text: "我要杀了他全家", Factor: codeDanger, Must: true, Vital: true},
	{Text: "家里着火了快来", Factor: codeDanger, Must: true, Vital: true},
	{Text: "我丈夫正在打我", Factor: codeDanger, Must: true, Vital: true},
	{Text: "煤气泄漏很浓，老人昏迷不醒", Factor: codeDanger, Must: true, Vital: true},
	{Text: "我被关在传销窝点里出不来", Factor: codeDanger, Must: true, Vital: true},
	{Text: "笑死我了，写得真好", Factor: codeDanger},
	{Text: "去年有人跳楼，现在已经处理完了", Factor: codeDanger},
	{Text: "我没有要自杀，登记错了", Factor: codeDanger},
	{Text: "电影里有人拿刀砍人", Factor: codeDanger},
	{Text: "请问持刀伤人判几年", Factor: codeDanger},
	{Text: "万一着火了怎么办", Factor: codeDanger},
	{Text: "他扬言要报复我", Factor: codeThreat, Must: true},
	{Text: "我要去投诉他", Factor: codeThreat},
	{Text: "被打成骨折", Factor: codeInjury, Must: true},
	{Text: "孩子在学校被欺负", Factor: codeInjury, Must: true},
	{Text: "请问死亡证明怎么开", Factor: codeInjury},
	{Text: "我们准备去市政府拉横幅", Factor: codeGathering, Must: true},
	{Text: "小区门口挂着宣传横幅", Factor: codeGathering},
	{Text: "十二户居民联名反映", Factor: codeGroup, Must: true},
	{Text: "我家住三楼二户", Factor: codeGroup},
	{Text: "已经拖了三年没有解决", Factor: codeAge, Must: true},
	{Text: "反映了三次没有人管", Factor: codeRepeat, Must: true},
	{Text: "被骗了十二万元", Factor: codeLoss, Must: true},
	{Text: "楼下有人聚众赌博", Factor: codeClue, Must: true},
	{Text: "参加了反诈宣传讲座", Factor: codeClue},
	{Text: "派出所民警态度恶劣", Factor: codePolice, Must: true},
	{Text: "物业态度恶劣", Factor: codePolice},
	{Text: "户口被误注销", Factor: codeData, Must: true},
	{Text: "工厂被迫停产", Factor: codeEnterprise, Must: true},
	{Text: "请问身份证怎么补办", Factor: codeInquiry, Must: true},
}

// Broken lists the examples that the rules read otherwise than they must.
func (r *Rules) Broken() []Example {
	var out []Example
	for _, x := range examples {
		f := scoring{rules: r, source: r.lex.read("", x.Text, time.Now().In(zone)), best: map[string]Factor{}}
		f.fromText()
		// A factor that gives no points in this version is not missed for its words.
		if points, _ := r.byCode[x.Factor].points(1 << 30); f.has(x.Factor) != x.Must && (points != 0 || !x.Must) {
			x.Name = r.byCode[x.Factor].Name
			out = append(out, x)
		}
	}
	return out
}
