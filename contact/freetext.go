package contact

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Numbers that belong to a person, in the order in which they are looked for: identity cards (GB 11643: 17 digits and a
// check character) and bank cards written without breaks, identity cards with breaks, mobile numbers, bank cards with
// breaks, the old identity cards of 15 digits, fixed lines with their area code; then passports and mail addresses.
var personalNumbers = []*regexp.Regexp{
	regexp.MustCompile(`\d{16,19}[Xx]?`),
	regexp.MustCompile(`\d{6}[- ]?(?:19|20)\d{2}[- ]?\d{4}[- ]?\d{3}[\dXx]`),
	regexp.MustCompile(`1[3-9]\d(?:[- ]?\d){8}`),
	regexp.MustCompile(`\d{4}(?:[- ]\d{4}){3}(?:[- ]?\d{1,3})?`),
	regexp.MustCompile(`\d{15}`),
	regexp.MustCompile(`0\d{2,3}[- ]?\d{7,8}`),
	regexp.MustCompile(`\b[EeGgDdSsPp]\d{8}\b`),
}

var mailAddress = regexp.MustCompile(`[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+`)

// wide turns the full-width digits that Chinese keyboards make into plain ones, so that they are seen as digits.
var wide = strings.NewReplacer("０", "0", "１", "1", "２", "2", "３", "3", "４", "4", "５", "5", "６", "6", "７", "7", "８", "8", "９", "9")

// surnames are family names of one character in frequent use, without those that mostly begin other words after the cues
// below (于, 和, 向, 时, 都, 平, 连, 安 …): hiding too little of a rare name is mended by the person's own name, which is
// hidden wherever it is known.
const surnames = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗郑梁谢宋唐许邓冯韩曹曾彭肖蔡潘田董袁余叶蒋杜苏魏程吕丁沈任姚卢傅钟姜崔谭廖范汪陆金石戴贾韦夏邱侯邹熊孟秦白江阎薛尹段雷龙史陶贺顾毛郝龚邵万钱严武莫孔汤康伍齐葛牛毕庞庄翟樊耿关佟栾曲姬宫柴阮苗隋迟初鞠"

// nameCues are words after which the name of a person stands in what citizens write and say.
var nameCues = []string{
	"姓名", "本人姓名", "联系人", "报案人", "报警人", "举报人", "投诉人", "反映人", "诉求人", "申请人", "当事人", "受害人", "被害人", "嫌疑人", "被举报人", "被投诉人",
	"我叫", "我名叫", "名叫", "名字叫", "他叫", "她叫", "本人", "户主", "业主", "房东", "邻居", "丈夫", "妻子", "儿子", "女儿", "父亲", "母亲", "爸爸", "妈妈", "法人",
	"民警", "辅警", "所长", "警官", "医生", "老板",
}

// afterName are words that may follow a name at once; what comes before one of them was the name.
var afterName = []string{"，", "。", "、", "；", "：", ",", ".", ";", ":", " ", "\n", "\t", "（", "(", "）", ")", "“", "”", "！", "？",
	"的", "是", "在", "与", "和", "于", "因", "把", "被", "说", "称", "反映", "电话", "手机", "身份证", "住", "家", "向", "对", "找", "先", "女士", "先生", "同志", "等", "现", "年", "男", "女", "为", "到", "去", "来", "也", "就", "没", "不", "有", "要", "将", "从", "给", "让", "已", "多次", "态度", "于", "涉嫌", "打", "骂", "欠", "骗", "报", "曾", "经", "至今"}

var cuePattern = func() *regexp.Regexp {
	q := make([]string, len(nameCues))
	for i, c := range nameCues {
		q[i] = regexp.QuoteMeta(c)
	}
	return regexp.MustCompile(`(?:` + strings.Join(q, "|") + `)[：: ]{0,2}`)
}()

// MaskText hides in free text what names a person and need not be seen to understand the matter: telephone, identity, bank
// card and passport numbers (138****5678), mail addresses, names that stand after a word that announces them (我叫王*),
// and the names in known wherever they stand. It errs towards hiding. The text keeps its sense; the original is for those
// who may reveal it.
func MaskText(s string, known ...Name) string {
	s = wide.Replace(s)
	for _, re := range personalNumbers {
		s = re.ReplaceAllStringFunc(s, maskNumber)
	}
	s = mailAddress.ReplaceAllStringFunc(s, MaskMail)
	for _, n := range known {
		if full := n.Clear(); utf8.RuneCountInString(full) >= 2 {
			s = strings.ReplaceAll(s, full, n.Masked())
		}
	}
	return maskNames(s)
}

// maskNumber keeps the first three and the last four digits.
func maskNumber(n string) string {
	var digits []byte
	for i := 0; i < len(n); i++ {
		if n[i] != '-' && n[i] != ' ' {
			digits = append(digits, n[i])
		}
	}
	if len(digits) < 10 {
		return string(digits[:2]) + "****" + string(digits[len(digits)-2:])
	}
	return string(digits[:3]) + "****" + string(digits[len(digits)-4:])
}

// MaskMail is the masked form of a mail address: w***@example.com.
func MaskMail(a string) string {
	user, host, ok := strings.Cut(a, "@")
	if !ok || user == "" {
		return "***"
	}
	r, _ := utf8.DecodeRuneInString(user)
	return string(r) + "***@" + host
}

// maskNames hides names after their cues.
func maskNames(s string) string {
	at := cuePattern.FindAllStringIndex(s, -1)
	if at == nil {
		return s
	}
	var b strings.Builder
	done := 0
	for _, m := range at {
		if m[1] < done {
			continue
		}
		n := nameLength(s[m[1]:])
		if n == 0 {
			continue
		}
		b.WriteString(s[done:m[1]])
		b.WriteString(NameOf(s[m[1] : m[1]+n]).Masked())
		done = m[1] + n
	}
	b.WriteString(s[done:])
	return b.String()
}

// nameLength is how many bytes at the beginning of s are a name of two to four characters, 0 when there is none. A name
// begins with a family name and ends where a word follows that stands after names, or the text does.
func nameLength(s string) int {
	var runes []rune
	var ends []int
	for i, r := range s {
		if len(runes) == 5 {
			break
		}
		if !unicode.Is(unicode.Han, r) {
			break
		}
		runes = append(runes, r)
		ends = append(ends, i+utf8.RuneLen(r))
	}
	if len(runes) < 2 {
		return 0
	}
	least := 2
	switch {
	case twoRune[string(runes[:2])]:
		least = 3
	case !strings.ContainsRune(surnames, runes[0]):
		return 0
	}
	for n := least; n <= min(len(runes), least+1); n++ {
		rest := s[ends[n-1]:]
		if rest == "" {
			return ends[n-1]
		}
		if given := string(runes[1:2]); given == "某" || given == "先" || given == "女" || given == "师" || given == "所" || given == "警" {
			return 0 // 王某, 王先生, 王所长: no more is told than a family name
		}
		for _, w := range afterName {
			if strings.HasPrefix(rest, w) {
				return ends[n-1]
			}
		}
	}
	return 0
}
