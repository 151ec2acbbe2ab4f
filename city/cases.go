package city

import (
	"fmt"
	"strings"
	"time"
)

// cases are the records that an import must refuse or a morning must not
// ask, one of each kind on each day, and two that look wrong and are right.
func (g *maker) cases() []row {
	// at makes an ordinary record of a class and marks it.
	at := func(class int, remark string, change func(*row)) row {
		r := g.ordinary(class)
		r.remark = "样例：" + remark
		change(&r)
		return r
	}
	child := g.day.Add(-365 * 11).String()
	double := at(4, "同一流水号重复出现", func(r *row) {})
	rows := []row{
		// Refused by the import.
		at(0, "号码少一位", func(r *row) { r.phone = r.phone[:10] }),
		at(1, "号码为空", func(r *row) { r.phone = "" }),
		at(3, "固定电话", func(r *row) { r.phone = "024-40000001" }),
		at(0, "短号码", func(r *row) { r.phone = "110" }),
		at(2, "号码被表格软件转成科学计数", func(r *row) { r.phone = "1.99E+10" }),
		at(6, "一栏两个号码", func(r *row) { r.phone += "、" + RegularPhone }),
		at(4, "境外号码", func(r *row) { r.phone = "+852 9000 0001" }),
		at(2, "没有此类业务", func(r *row) { r.class = "宠物登记" }),
		at(5, "没有此单位", func(r *row) { r.unit = "210599-wuci" }),
		at(3, "时间无法识别", func(r *row) { r.when = "昨天下午" }),
		at(0, "不是当日的业务", func(r *row) { r.when = g.day.Add(-5).At(10 * time.Hour).Format("2006-01-02 15:04:05") }),
		double, double,
		// Not asked by the morning.
		at(2, "未成年人", func(r *row) { r.born = child }),
		at(0, "家庭暴力警情", func(r *row) { r.mark = "家庭暴力" }),
		at(5, "性侵害案件", func(r *row) { r.mark = "性侵害" }),
		at(5, "涉密案件", func(r *row) { r.mark = "涉密" }),
		at(5, "在押人员", func(r *row) { r.mark = "在押" }),
		at(5, "举报人", func(r *row) { r.mark = "举报人" }),
		at(1, "已退订", func(r *row) { r.phone, r.name = OptedOutPhone, "拒小扰" }),
		at(3, "免打扰", func(r *row) { r.phone, r.name = ShieldedPhone, "安静之" }),
		at(2, "本局工作人员号码", func(r *row) { r.phone, r.name = StaffPhone, "景小蓝" }),
		at(1, "同一人当日办理两项业务", func(r *row) { r.phone, r.name, r.born = TwicePhone, "双喜来", "1979-05-05" }),
		at(3, "同一人当日办理两项业务", func(r *row) { r.phone, r.name, r.born = TwicePhone, "双喜来", "1979-05-05" }),
		at(0, "每天都办理业务的人", func(r *row) { r.phone, r.name, r.born = RegularPhone, "常来往", "1988-08-08" }),
		// Right, however it looks.
		at(2, "全角号码", func(r *row) { r.phone = wide(r.phone) }),
		at(6, "带国家码和分隔符的号码", func(r *row) { r.phone = fmt.Sprintf("+86 %s-%s-%s", r.phone[:3], r.phone[3:7], r.phone[7:]) }),
		at(4, "没有姓名和出生日期", func(r *row) { r.name, r.born = "", "" }),
	}
	return rows
}

// wide writes digits in their full-width forms.
func wide(s string) string {
	return strings.Map(func(r rune) rune { return r + 0xFEE0 }, s)
}
