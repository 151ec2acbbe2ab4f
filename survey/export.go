package survey

import (
	"fmt"
	"strconv"
	"strings"

	"lianxin/table"
	"lianxin/workday"
)

// Sheet is a table for a spreadsheet program.
type Sheet = table.Sheet

// Sheets are the figures as tables: the funnel of the whole, of each class and of each unit, and how they are made. Rates
// of few ratings are left empty.
func (f Figures) Sheets() []Sheet {
	head := []any{"类别"}
	for _, fig := range FunnelFigures {
		head = append(head, fig.Label())
	}
	head = append(head, "非常满意", "满意", "基本满意", "不满意", "非常不满意", "有效评价数n", "剔除数", "满意率（原始）", "满意率（正式）")
	for _, w := range f.Metric.Beside {
		head = append(head, fmt.Sprintf("基本满意权重%g（原始）", w), fmt.Sprintf("基本满意权重%g（正式）", w))
	}
	head = append(head, "95%区间下限", "95%区间上限", "加权满意率", "回复率", "回复覆盖率", "未回复者均不满意时", "未回复者均满意时", "早回复n", "早回复满意率", "晚回复n", "晚回复满意率", "名次")
	sheet := func(name string, rows []Row) Sheet {
		s := Sheet{Name: name, Rows: [][]any{head}}
		for _, r := range rows {
			s.Rows = append(s.Rows, f.cells(r))
		}
		return s
	}
	about := Sheet{Name: "口径", Rows: [][]any{
		{"业务日", f.span()}, {"公式", f.Metric.Formula()},
		{"正式满意率", "剔除经不同单位两人认定的误评、恶意评价后的满意率；剔除数见“剔除数”"},
		{"不显示", fmt.Sprintf("有效评价少于%d个的不显示满意率，少于%d个的不排名", f.Metric.Small, f.Metric.Rank)},
		{"名次", "按95%区间（Wilson）下限排列"},
		{"早晚回复", fmt.Sprintf("以询问后%s为界", f.Metric.Early)},
		{"未回复", "未回复不计为满意；上下限为未回复者均满意、均不满意时的满意率"},
		{"无对应询问的回复", f.Strangers}, {"尚未决定的记录", f.Undecided}, {"配置版本", strings.Join(f.Versions, "、")},
	}}
	all := []Sheet{sheet("合计", []Row{f.Whole}), sheet("按业务", f.ByClass), sheet("按单位", f.ByUnit), sheet("按通道", f.ByChannel), sheet("按日", f.ByDay), about, sheet("按窗口", f.ByWindow)}
	if len(f.Reminders) > 0 {
		all = append(all, f.reminderSheet())
	}
	return all
}

// span is the days the figures are of.
func (f Figures) span() string {
	if f.Last <= f.Day {
		return f.Day.String()
	}
	return f.Day.String() + "—" + f.Last.String()
}

func (f Figures) cells(r Row) []any {
	cells := []any{r.Name}
	for _, fig := range FunnelFigures {
		cells = append(cells, r.Count[fig])
	}
	for _, n := range r.Ratings {
		cells = append(cells, n)
	}
	cells = append(cells, r.N, r.Excluded)
	shown := func(v float64) {
		if r.Small {
			cells = append(cells, "")
		} else {
			cells = append(cells, v)
		}
	}
	shown(r.Raw)
	shown(r.Official)
	for i := range f.Metric.Beside {
		var b Rate
		if !r.Small {
			b = r.Beside[i]
		}
		shown(b.Raw)
		shown(b.Official)
	}
	shown(r.Interval[0])
	shown(r.Interval[1])
	shown(r.Weighted)
	cells = append(cells, r.Replies, r.Coverage)
	shown(r.AtLeast)
	shown(r.AtMost)
	for _, s := range []Share{r.Early, r.Later} {
		cells = append(cells, s.N)
		if s.N < f.Metric.Small {
			cells = append(cells, "")
		} else {
			cells = append(cells, s.Raw)
		}
	}
	if r.Rank == 0 {
		return append(cells, "")
	}
	return append(cells, r.Rank)
}

// ItemSheet is a list of records as a table. Names and numbers are masked; what a person wrote is not in it.
func ItemSheet(items []Item) Sheet {
	s := Sheet{Name: "明细", Rows: [][]any{{"业务类别", "业务流水号", "办理时间", "单位", "事项", "姓名", "电话", "询问", "说明", "短信", "已回复", "评价", "剔除", "退订", "待人工", "逾期回复", "转诉求"}}}
	yes := func(b bool) string {
		if b {
			return "是"
		}
		return ""
	}
	for _, i := range items {
		rating, phone := "", i.Phone.Masked()
		if i.Rating > 0 {
			rating = strconv.Itoa(i.Rating)
		}
		if i.Phone.IsZero() {
			phone = ""
		}
		s.Rows = append(s.Rows, []any{i.ClassName, i.SourceID, i.ServiceAt.In(workday.Zone).Format("2006-01-02 15:04:05"), i.UnitName, i.Matter, i.Name.Masked(), phone,
			i.Reason.Label(), detailLabels[i.Detail], i.SMS.Label(), yes(i.Replied), rating, yes(i.Excluded), yes(i.OptedOut), yes(i.Review), i.LateReplies, yes(i.TicketID != "")})
	}
	return s
}
