package speech

import "strings"

// urgentWords mean that somebody is in danger: a caller who says one goes to a person at once.
var urgentWords = []string{
	"救命", "救我", "着火", "起火", "失火", "爆炸", "煤气泄漏", "煤气泄露", "燃气泄漏", "燃气泄露", "煤气漏", "触电", "溺水", "落水",
	"杀人", "持刀", "拿刀", "动刀", "砍人", "捅人", "捅伤", "砍伤", "开枪", "枪击", "有枪",
	"抢劫", "抢钱", "绑架", "劫持", "强奸", "被拐", "拐走", "非法拘禁", "入室", "撬门", "砸门",
	"自杀", "轻生", "跳楼", "跳河", "跳桥", "割腕", "上吊", "不想活", "活不下去", "想死", "喝农药",
	"打死", "要打我", "正在打", "在打人", "打起来了", "家暴", "打群架", "聚众斗殴",
	"流血", "出血", "昏倒", "晕倒", "昏迷", "没有呼吸", "快不行了", "被困", "车祸", "撞人",
	"打幺幺零", "报幺幺零", "转幺幺零", "打110", "报110", "转110", "我要报警", "要报警", "帮我报警", "替我报警", "马上报警", "赶紧报警",
}

// harmless are phrases that contain an urgent word, or sound like one, and mean no danger. They are taken out first.
var harmless = []string{
	"着火车", "着火锅", "着火腿", "救命恩人", "见义勇为", "报警回执", "报警记录", "报警平台", "报警电话是多少",
	"什么时候报警", "要不要报警", "需要报警吗", "怎么报警", "如何报警", "报警范围", "防火", "入室登记", "车祸赔偿", "车祸责任",
	"人工智能", "人工费", "人工湖", "人工流产", "人工授精",
}

// Urgent finds a word that means danger, as written or as a recogniser may have misheard it by sound, and returns the word
// of our list. It errs towards a person: the word is a reason to hand over, never to act.
func Urgent(text string) (word string, ok bool) { return spot(text, urgentWords) }

// personWords ask for a human being.
var personWords = []string{
	"人工", "接线员", "话务员", "值班员", "工作人员", "接警员", "真人", "活人", "客服", "转接人", "找个人", "跟人说", "和人说",
}

// notPerson are refusals of one.
var notPerson = []string{"不要人工", "不用人工", "不找人工", "不转人工", "不需要人工", "别转人工"}

// WantsPerson reports whether a caller asks for a human being: 人工, 转人工, 找个人 … but not 不用人工.
func WantsPerson(text string) bool {
	if _, refused := spot(text, notPerson); refused {
		return false
	}
	_, ok := spot(text, personWords)
	return ok
}

var repeatWords = []string{"再说一遍", "再讲一遍", "重复一遍", "再放一遍", "没听清", "没听清楚", "没听见", "说什么", "重听", "重说"}

// WantsRepeat reports whether a caller wants to hear the last prompt again.
func WantsRepeat(text string) bool {
	_, ok := spot(text, repeatWords)
	return ok
}

// spot finds the first of words in text: as written, or by sound. Words of two characters must agree in tones too (迟到 is no
// 持刀, 找活 is not 着火); longer ones without tones and with the sounds that northern speech and recognisers mix up.
func spot(text string, words []string) (string, bool) {
	text = clean(text)
	for _, w := range words {
		if strings.Contains(text, w) {
			return w, true
		}
	}
	heard := sounds(text)
	for _, w := range words {
		said := sounds(w)
		if len(said) < 2 {
			continue
		}
		same := func(a, b string) bool { return a == b }
		if len(said) > 2 {
			same = func(a, b string) bool { return loose(a) == loose(b) }
		}
		for i := 0; i+len(said) <= len(heard); i++ {
			n := 0
			for n < len(said) && heard[i+n] != "" && same(heard[i+n], said[n]) {
				n++
			}
			if n == len(said) {
				return w, true
			}
		}
	}
	return "", false
}

// clean drops spaces and punctuation, which recognisers put anywhere, and puts a full stop for what is harmless.
func clean(text string) string {
	text = strings.Map(func(r rune) rune {
		if strings.ContainsRune(" \t\r\n，。！？、；：,.!?;:…“”\"'", r) {
			return -1
		}
		return r
	}, text)
	for _, h := range harmless {
		text = strings.ReplaceAll(text, h, "。")
	}
	return text
}

// sounds is one toned syllable for each rune, empty for what is no Hanzi.
func sounds(text string) []string {
	var out []string
	for _, r := range Readings(text) {
		out = append(out, r.Pinyin)
	}
	return out
}

// loose drops the tone, the h of zh, ch and sh, and the g of -ing and -eng.
func loose(p string) string {
	if p == "" {
		return ""
	}
	p = p[:len(p)-1]
	if len(p) > 1 && p[1] == 'h' {
		p = p[:1] + p[2:]
	}
	if strings.HasSuffix(p, "ing") || strings.HasSuffix(p, "eng") {
		p = p[:len(p)-1]
	}
	return p
}
