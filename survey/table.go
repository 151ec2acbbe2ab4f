package survey

import (
	"slices"
	"strings"

	"lianxin/table"
	"lianxin/workday"
)

// Columns of a file.
type column int

const (
	colClass column = iota
	colSource
	colTime
	colName
	colPhone
	colBorn
	colIdentity
	colUnit
	colMatter
	colMark
	colRemark
	colWindow
	colClerk
	numColumns
)

// headers are the names a column goes by in the source systems, the first being ours.
var headers = [numColumns][]string{
	colClass:    {"业务类别", "类别", "业务类型", "业务分类", "业务种类", "class"},
	colSource:   {"业务流水号", "流水号", "业务编号", "受理编号", "受理号", "警情编号", "接警编号", "接警单编号", "事故编号", "案件编号", "办件编号", "单号", "编号", "id", "sourceid"},
	colTime:     {"办理时间", "业务时间", "受理时间", "办结时间", "报警时间", "接警时间", "发生时间", "服务时间", "办理日期", "业务日期", "时间", "time", "date"},
	colName:     {"姓名", "办理人", "办理人姓名", "申请人", "申请人姓名", "报警人", "报警人姓名", "当事人", "联系人", "群众姓名", "name"},
	colPhone:    {"电话", "手机", "手机号", "手机号码", "联系电话", "电话号码", "联系方式", "报警电话", "办理人电话", "申请人电话", "phone", "mobile", "tel"},
	colBorn:     {"出生日期", "出生年月日", "出生年月", "生日", "birthday", "birthdate", "born"},
	colIdentity: {"身份证号", "身份证号码", "身份证", "证件号码", "证件号", "公民身份号码"},
	colUnit:     {"单位编码", "单位代码", "单位", "单位名称", "办理单位", "承办单位", "受理单位", "处警单位", "出警单位", "派出所", "unit"},
	colMatter:   {"事项", "业务事项", "办理事项", "事由", "事项名称", "警情类型", "案由", "matter"},
	colMark:     {"敏感标记", "敏感", "敏感标识", "特殊标记", "标记", "mark"},
	colRemark:   {"备注", "说明", "备注信息", "remark", "note"},
	colWindow:   {"窗口号", "窗口", "窗口编号", "窗口名称", "办理窗口", "受理窗口", "柜台号", "window"},
	colClerk:    {"工号", "经办人工号", "经办人编号", "窗口人员工号", "窗口人员编号", "受理人工号", "民警警号", "警号", "clerk"},
}

// columns is where each column stands in this file, -1 for none.
type columns [numColumns]int

func readHeader(cells []string, needClass bool) (columns, *HeaderError) {
	var c columns
	for i := range c {
		c[i] = -1
	}
	for at, cell := range cells {
		name := strings.Trim(fold(cell), "*：:()[]")
		if cut, _, found := strings.Cut(name, "("); found {
			name = cut // 电话(必填)
		}
		for col := range headers {
			if slices.Contains(headers[col], name) {
				if c[col] >= 0 {
					return c, &HeaderError{Twice: headers[col][0]}
				}
				c[col] = at
			}
		}
	}
	var missing []string
	for _, col := range []column{colClass, colSource, colTime, colPhone, colUnit} {
		if c[col] < 0 && (col != colClass || needClass) {
			missing = append(missing, headers[col][0])
		}
	}
	if missing != nil {
		return c, &HeaderError{Missing: missing}
	}
	return c, nil
}

// reader gives the cells of a line by column.
func (c columns) reader(cells []string) func(column) string {
	return func(col column) string {
		if i := c[col]; i >= 0 && i < len(cells) {
			return strings.TrimSpace(strings.Trim(cells[i], "\ufeff\u200b\u3000"))
		}
		return ""
	}
}

// readBirth reads a date of birth, or takes it out of an identity number (GB 11643), which is not kept. odd is true when
// there is something that cannot be read.
func readBirth(born, identity string) (iso string, odd bool) {
	if born == "" && len(identity) == 18 {
		born = identity[6:14]
	}
	if born == "" {
		return "", false
	}
	t, err := table.ReadTime(born)
	if err != nil {
		return "", true
	}
	return workday.DayOf(t).String(), false
}
