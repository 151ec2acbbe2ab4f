package warn

import (
	"regexp"
	"strings"

	"golang.org/x/text/unicode/norm"
)

// Entity is what a lead hangs on.
type Entity struct {
	Kind  string // "account", "url", "phone", "scheme", "plate"
	Value string // normalised
}

var (
	urls     = regexp.MustCompile(`(?i)(?:https?://)?(?:[a-z0-9-]{1,63}\.)+(?:com|cn|net|org|top|xyz|vip|cc|info|site|club|app|shop|online|me|io)(?:/[\w\-./?=&%#]{0,80})?`)
	accounts = regexp.MustCompile(`(?i)(?:微信号?|qq群?号?|支付宝账?号?|账号|帐号|卡号|抖音号|快手号|群号|收款码|收款账户)[：:为是\s]{0,4}([a-z0-9_\-]{5,24})`)
	cards    = regexp.MustCompile(`\b[3-6]\d{15,18}\b`)
	phones   = regexp.MustCompile(`(?:^|\D)(1[3-9]\d{9}|(?:0\d{2,3}-?)?[48]00-?\d{3}-?\d{4}|0\d{2,3}-\d{7,8})(?:\D|$)`)
	plates   = regexp.MustCompile(`[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼][A-Z][A-Z0-9]{5,6}`)
)

// schemes are ways of swindlers and vice that are an entity by themselves: two mentions are one gang's.
var schemes = []string{"砸金蛋", "返利", "刷单", "杀猪盘", "充值返", "刮刮奖", "免费领鸡蛋", "保健品讲座", "冒充客服", "冒充公检法", "裸聊", "套路贷", "百家乐", "六合彩", "捕鱼机", "老虎机", "推牌九", "按摩店", "足疗店", "养生馆卖淫", "卖淫", "嫖娼",
	"集资", "虚拟币", "注销校园贷", "兼职打字", "代办信用卡", "共享屏幕"}

// Entities finds accounts, addresses of the web, telephones, car plates and schemes in a text, each once.
func Entities(text string) []Entity {
	text = norm.NFKC.String(strings.ToValidUTF8(text, " "))
	var out []Entity
	seen := map[Entity]bool{}
	add := func(kind, v string) {
		e := Entity{kind, v}
		if v != "" && !seen[e] && len(out) < 20 {
			seen[e] = true
			out = append(out, e)
		}
	}
	for _, m := range accounts.FindAllStringSubmatch(text, -1) {
		add("account", strings.ToLower(m[1]))
	}
	for _, m := range cards.FindAllString(text, -1) {
		add("account", m)
	}
	for _, m := range urls.FindAllString(text, -1) {
		m = strings.ToLower(strings.TrimSuffix(m, "/"))
		m = strings.TrimPrefix(strings.TrimPrefix(m, "https://"), "http://")
		add("url", strings.TrimPrefix(m, "www."))
	}
	for _, m := range phones.FindAllStringSubmatch(text, -1) {
		add("phone", strings.ReplaceAll(m[1], "-", ""))
	}
	for _, m := range plates.FindAllString(strings.ToUpper(text), -1) {
		add("plate", m)
	}
	for _, s := range schemes {
		if strings.Contains(text, s) {
			add("scheme", s)
		}
	}
	return out
}

var patterns = []struct {
	code  string
	words []string
}{
	{"drugs", []string{"吸毒", "贩毒", "冰毒", "海洛因", "大麻", "毒品", "麻古", "笑气"}},
	{"vice", []string{"卖淫", "嫖娼", "色情", "涉黄", "小姐服务", "招嫖", "穿着暴露", "衣着暴露", "特殊服务", "裸聊"}},
	{"gambling", []string{"赌博", "赌场", "赌钱", "百家乐", "六合彩", "老虎机", "捕鱼机", "推牌九", "开设赌", "涉赌"}},
	{"fraud", []string{"诈骗", "被骗", "骗子", "骗了", "骗走", "返利", "刷单", "砸金蛋", "杀猪盘", "充值返", "集资", "套路贷", "冒充"}},
}

// Pattern is the kind of crime that a text speaks of: drugs, vice, gambling or fraud; "" is none.
func Pattern(text string) string {
	for _, p := range patterns {
		for _, w := range p.words {
			if strings.Contains(text, w) {
				return p.code
			}
		}
	}
	return ""
}
