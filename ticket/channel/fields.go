package channel

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"unicode"
)

// Field is something that a column of a file may tell.
type Field struct {
	Code  string
	Label string   // zh-CN
	Names []string // what columns that tell it are called by other bodies, folded
}

// Fields are all that columns may tell, in the order of the mapping page.
var Fields = []Field{
	{"external_id", "来源编号", []string{"来源编号", "工单编号", "工单号", "编号", "诉求编号", "留言编号", "留言id", "信件编号", "受理编号", "流水号", "业务编号", "id", "externalid", "requestid"}},
	{"received_at", "来源时间", []string{"来源时间", "受理时间", "来电时间", "留言时间", "转办时间", "下派时间", "派发时间", "登记时间", "提交时间", "发布时间", "日期", "时间", "receivedat", "date", "time"}},
	{"due", "来源方时限", []string{"来源方时限", "办结时限", "截止时间", "到期时间", "办理时限", "要求办结时间", "回复期限", "答复时限", "due", "deadline"}},
	{"title", "标题", []string{"标题", "诉求标题", "留言标题", "主题", "事项", "title", "subject"}},
	{"body", "内容", []string{"内容", "诉求内容", "留言内容", "反映内容", "问题描述", "描述", "详情", "正文", "主要内容", "来电内容", "body", "text", "content", "description"}},
	{"kind", "诉求类型", []string{"诉求类型", "类型", "诉求类别", "工单类型", "留言类型", "kind", "type"}},
	{"place", "地点", []string{"地点", "地址", "事发地点", "事发地址", "发生地点", "诉求地址", "详细地址", "区域", "place", "address"}},
	{"name", "姓名", []string{"姓名", "诉求人", "来电人", "反映人", "留言人", "联系人", "网友", "昵称", "投诉人", "name"}},
	{"phone", "电话", []string{"电话", "手机", "手机号", "手机号码", "联系电话", "电话号码", "来电号码", "联系方式", "回访电话", "phone", "tel", "mobile"}},
	{"mail", "电子邮箱", []string{"邮箱", "电子邮箱", "email", "mail"}},
	{"identity", "身份证号", []string{"身份证号", "身份证号码", "身份证", "证件号码", "证件号", "公民身份号码"}},
	{"unit", "建议承办单位", []string{"承办单位", "建议承办单位", "办理单位", "责任单位", "处理单位", "unit"}},
	{"accused_unit", "涉及单位", []string{"涉及单位", "被投诉单位", "被举报单位", "被反映单位"}},
	{"incident", "警情号", []string{"警情号", "警情编号", "接警编号", "接警单编号", "关联警情号"}},
	{"window", "窗口号", []string{"窗口号", "窗口编号", "办理窗口", "受理窗口", "柜台号", "window"}},
	{"clerk", "工号", []string{"工号", "窗口人员工号", "经办人工号", "警号", "涉及警号", "被投诉人工号", "clerk"}},
	{"confidential", "要求保密", []string{"是否保密", "要求保密", "保密"}},
	{"anonymous", "匿名", []string{"是否匿名", "匿名"}},
}

// FieldOf is the field with a code.
func FieldOf(code string) (Field, bool) {
	i := slices.IndexFunc(Fields, func(f Field) bool { return f.Code == code })
	if i < 0 {
		return Field{}, false
	}
	return Fields[i], true
}

// reportColumns are the columns that a report adds; they tell nothing when it is read again.
var reportColumns = []string{"原行号", "未导入原因", "原因代码"}

// Mapping says what the columns of a file tell: heading → code of a field, "" for a column that tells nothing.
type Mapping map[string]string

// Guess maps headings by what they are called, each field once: the first column that has its name.
func Guess(headings []string) Mapping {
	m := Mapping{}
	taken := map[string]bool{}
	for _, exact := range []bool{true, false} {
		for _, h := range headings {
			if m[h] != "" || slices.Contains(reportColumns, h) {
				continue
			}
			name := strings.Trim(fold(h), "*：:()[]【】")
			if cut, _, found := strings.Cut(name, "("); found {
				name = cut
			}
			for _, f := range Fields {
				if taken[f.Code] {
					continue
				}
				hit := slices.Contains(f.Names, name)
				if !exact && !hit {
					hit = len([]rune(name)) >= 4 && slices.ContainsFunc(f.Names, func(n string) bool { return len([]rune(n)) >= 2 && strings.HasSuffix(name, n) })
				}
				if hit {
					m[h], taken[f.Code] = f.Code, true
					break
				}
			}
		}
	}
	return m
}

// Known keeps of a remembered mapping what fits the headings of this file, and guesses the rest.
func (m Mapping) Known(headings []string) Mapping {
	out, taken := Mapping{}, map[string]bool{}
	for _, h := range headings {
		if code, ok := m[h]; ok {
			out[h] = code
			taken[code] = code != ""
		}
	}
	for h, code := range Guess(headings) {
		if _, ok := out[h]; !ok && !taken[code] {
			out[h], taken[code] = code, true
		}
	}
	return out
}

// check says what is wrong with a mapping for a file, "" when it will do.
func (m Mapping) check(needID bool) (code string) {
	seen := map[string]bool{}
	for _, c := range m {
		if c == "" {
			continue
		}
		if _, ok := FieldOf(c); !ok {
			return "map_field"
		}
		if seen[c] {
			return "map_twice"
		}
		seen[c] = true
	}
	switch {
	case !seen["title"] && !seen["body"]:
		return "map_no_text"
	case needID && !seen["external_id"]:
		return "map_no_id"
	}
	return ""
}

// indented is an object with each member on a line of its own; bytes that are none come as they are.
func indented(b []byte) string {
	var out bytes.Buffer
	if json.Indent(&out, b, "", "  ") != nil {
		return anyText(b, "")
	}
	return out.String()
}

// maxWindow is how long the number of a window may be, in characters.
const maxWindow = 30

// clerkNumber is the number of a clerk as the office takes it, "" for what is none, such as a name.
func clerkNumber(s string) string {
	s = strings.ToUpper(strings.TrimSpace(s))
	digit := false
	for _, r := range s {
		switch {
		case r >= '0' && r <= '9':
			digit = true
		case r >= 'A' && r <= 'Z', r == '-', r == '_', r == '.':
		default:
			return ""
		}
	}
	if !digit || len(s) > maxWindow {
		return ""
	}
	return s
}

// badWindow reports what cannot be the number of a window.
func badWindow(s string) bool {
	return len([]rune(s)) > maxWindow || strings.ContainsFunc(s, unicode.IsControl)
}
