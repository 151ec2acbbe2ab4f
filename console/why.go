package console

import (
	"regexp"
	"strings"
)

// whys puts the reader's reasons, which are English like everything in records, into words for whoever reads the reply.
var whys = map[string]string{
	"no clear rating": "没有明确评价", "danger": "可能涉及人身安全", "call-back request or wrong person": "要求回电，或不是本人",
	"out of scale": "超出评价范围", "several digits": "有几个不同的数字", "good digit, complaining words": "数字为满意，文字却有抱怨",
	"questioned": "带有疑问", "bad digit, better words": "数字为不满意，文字却较好", "points or stars": "按分数或星级作答，含义不明",
	"praise and a complaint": "既有肯定也有抱怨", "a negation beside praise": "肯定中带有否定", "praise and blame, no overall rating": "有褒有贬，没有总体评价",
	"ironic sign": "可能是反话", "telephone or identity number": "含电话或证件号码", "bad digit, good words": "数字与文字相反",
	"digit, and something that may contradict it": "数字与其他内容可能矛盾", "a digit denied": "否定了某个数字", "several scale words": "有几个不同的评价词",
	"satisfied in words, complaining in fact": "口称满意，所述事实却是抱怨", "thanks beside a request or a complaint": "感谢之外另有要求或抱怨", "abuse": "辱骂，意思不明",
	"digit and words more than a step apart": "数字与文字相差较大", "praise, but": "先肯定后转折", "middle digit against a scale word": "数字与评价词不一致",
	"middle digit against blame of the whole": "数字与整体否定不一致", "double negation": "双重否定，含义不明", "digit in a code": "数字像是编号",
	"satisfaction at another time or on a condition": "有条件或指其他时候的满意", "bad digit, so-so words": "数字不满意，文字一般", "a digit asked": "以问句提到数字",
	"a face that may mean anything": "表情含义不明", "blame, and something else": "抱怨之外另有内容", "a word in quotation marks": "评价词加了引号",
	"digit inside a text": "数字在叙述之中", "praise and warm thanks": "肯定与感谢", "dissatisfied, and praise": "不满意，又有肯定",
	"middle digit against high praise": "数字一般，文字高度肯定", "now and then differ": "前后说法不同", "perhaps praise and blame": "可能有褒有贬",
}

// Why is a reason of the reader in the page's language. What stands after a colon is the word that decided.
func (p page) Why(text string) string {
	if p.Lang != "zh-CN" {
		return text
	}
	head, word, _ := strings.Cut(text, ": ")
	switch head {
	case "evasive":
		return "含糊其辞（" + word + "）"
	case "irony":
		return "可能是反话（" + word + "）"
	}
	if zh, ok := whys[text]; ok {
		return zh
	}
	return "机器不能确定"
}

// longNumber is a telephone, card or identity number inside somebody's words.
var longNumber = regexp.MustCompile(`\d[\d -]{5,}[\dXx]`)

// masked covers the middle of long numbers in what a resident wrote: a page shows nobody's number in the open.
func masked(words string) string {
	return longNumber.ReplaceAllStringFunc(words, func(n string) string {
		if len(n) < 8 {
			return n[:2] + "****"
		}
		return n[:3] + "****" + n[len(n)-2:]
	})
}
