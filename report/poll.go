package report

import (
	"errors"
	"fmt"
	"strconv"

	"lianxin/storage"
	"lianxin/survey/poll"
	"lianxin/ticket"
	"lianxin/workday"
)

// poll are the results of the closed poll that a special report has in it: one table a question, by group where there are
// some. Own words are not printed: a report is kept for ever.
func (w *writer) poll() ([]Grid, error) {
	if w.o.Polls == nil {
		return nil, refuse("poll", "没有启用民意测评，报告不能附测评结果")
	}
	p, err := w.o.Polls.Get(w.live, w.e.Scope.Poll, ticket.System)
	if errors.Is(err, storage.ErrNotFound) {
		return nil, refuse("poll", "没有这个测评")
	}
	if err != nil {
		return nil, err
	}
	if p.State != poll.Closed {
		return nil, refuse("poll", "测评“%s”%s，结束后才能写入报告", p.Title, p.State.Label())
	}
	results, err := w.o.Polls.Results(w.live, p, ticket.System)
	if err != nil {
		return nil, err
	}
	rate := "—"
	if p.Invited > 0 {
		rate = fmt.Sprintf("%.1f%%", 100*float64(p.Answered)/float64(p.Invited))
	}
	out := []Grid{{Key: "poll", Live: true, Title: "民意测评：" + p.Title, Head: []string{"项目", "数值"}, Rows: [][]string{
		{"起止", p.OpenedAt.In(workday.Zone).Format("2006-01-02") + " 至 " + p.EndedAt.In(workday.Zone).Format("2006-01-02")},
		{"邀请", strconv.Itoa(p.Invited)}, {"送达", strconv.Itoa(p.Delivered)}, {"回收", strconv.Itoa(p.Answered)}, {"回收率", rate}}}}
	if results == nil {
		out[0].Note = fmt.Sprintf("回收不足%d份，结果不公布，答卷已销毁", p.Smallest)
		return out, nil
	}
	out[0].Note = fmt.Sprintf("少于%d份的组别合并为“%s”；少于30份的组别不作比较；本人意见文字不写入报告", p.Smallest, poll.Elsewhere)
	for i, r := range results {
		if r.Question.Kind == poll.Text {
			continue
		}
		g := Grid{Key: fmt.Sprintf("poll-%d", i+1), Live: true, Title: fmt.Sprintf("测评第%d题 %s", i+1, r.Question.Text), Head: []string{"选项", "份数", "占比", "95%区间"}, Bars: 2}
		for j, option := range r.Question.Options {
			g.Rows = append(g.Rows, []string{option, strconv.Itoa(r.Whole.Count[j]), percent(r.Whole.Share[j]), span(r.Whole.Wide[j])})
		}
		if r.Question.Kind == poll.Scale {
			g.Note = fmt.Sprintf("满意率（基本满意以上）%s，95%%区间 %s，平均 %.1f 分，n=%d", percent(r.Whole.Rate), span(r.Whole.Interval), r.Whole.Mean, r.Whole.N)
		} else {
			g.Note = fmt.Sprintf("n=%d", r.Whole.N)
		}
		out = append(out, g)
		if len(r.Parts) < 2 {
			continue
		}
		by := Grid{Key: g.Key + "-parts", Live: true, Title: fmt.Sprintf("测评第%d题 分组", i+1), Head: []string{"组别", "份数"}}
		if r.Question.Kind == poll.Scale {
			by.Head = append(by.Head, "满意率", "95%区间", "平均分")
		} else {
			by.Head = append(by.Head, r.Question.Options...)
		}
		for _, t := range r.Parts {
			name := t.Part
			if name == "" {
				name = "未分组"
			}
			if t.Small {
				name += "（样本少）"
			}
			row := []string{name, strconv.Itoa(t.N)}
			if r.Question.Kind == poll.Scale {
				row = append(row, percent(t.Rate), span(t.Interval), fmt.Sprintf("%.1f", t.Mean))
			} else {
				for _, share := range t.Share {
					row = append(row, percent(share))
				}
			}
			by.Rows = append(by.Rows, row)
		}
		out = append(out, by)
	}
	return out, nil
}

func percent(share float64) string { return fmt.Sprintf("%.2f%%", 100*share) }

func span(i [2]float64) string { return fmt.Sprintf("%.2f%%–%.2f%%", 100*i[0], 100*i[1]) }
