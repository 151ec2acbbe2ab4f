package report

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/xuri/excelize/v2"

	"lianxin/workday"
)

// About is what is printed under an edition's title: what it is of, up to when it was counted, under which definitions, and
// by which sum it is known again.
func (e Edition) About() [][2]string {
	out := [][2]string{{"报告期", e.Period.First().String() + " 至 " + e.Period.Last().String()}, {"编号与版本", fmt.Sprintf("%s 第%d版（%s）", e.Series, e.Version, e.State.Label())},
		{"统计截至", e.cutOff()}, {"口径版本", e.Metrics}}
	if !e.PublishedAt.IsZero() {
		out = append(out, [2]string{"发布时间", e.PublishedAt.In(workday.Zone).Format("2006-01-02 15:04:05")})
	}
	if e.Reason != "" {
		out = append(out, [2]string{"更正原因", e.Reason})
	}
	return append(out, [2]string{"内容校验值", e.Sum})
}

// cutOff is up to when it was counted, and from what.
func (e Edition) cutOff() string {
	at := e.CutOff.In(workday.Zone).Format("2006-01-02 15:04:05")
	if e.Content.Past {
		return at + "（按日志还原当时情况，此后的更正不计入）"
	}
	return at
}

// headOfLines is the head of the table of figures.
var headOfLines = []string{"指标", "数值", "分子/分母", "95%区间", "上期", "较基线", "口径"}

func (l Line) cells() []string {
	return []string{l.Label, l.Value, l.Of, l.Interval, l.Before, l.Baseline, l.Formula}
}

// WriteXLSX writes an edition as a workbook: a sheet about it, its figures, each table. mark is printed at the head of every page.
func (e Edition) WriteXLSX(w io.Writer, mark string) error {
	f := excelize.NewFile()
	defer f.Close()
	about := [][]string{{e.Title}}
	for _, a := range e.About() {
		about = append(about, []string{a[0], a[1]})
	}
	for _, x := range e.Content.Words.parts() {
		about = append(about, []string{x[0], x[1]})
	}
	about = append(about, []string{"导出", mark})
	lines := [][]string{headOfLines}
	for _, l := range e.Content.Lines {
		lines = append(lines, l.cells())
	}
	sheets := []struct {
		name string
		rows [][]string
	}{{"报告", about}, {"指标", lines}}
	taken := map[string]bool{"报告": true, "指标": true}
	for _, g := range e.Content.Tables {
		rows := append([][]string{g.Head}, g.Rows...)
		if g.Note != "" {
			rows = append(rows, []string{"注：" + g.Note})
		}
		sheets = append(sheets, struct {
			name string
			rows [][]string
		}{sheetName(g.Title, taken), rows})
	}
	for i, s := range sheets {
		if i == 0 {
			if err := f.SetSheetName("Sheet1", s.name); err != nil {
				return fmt.Errorf("write %s: %w", e.Series, err)
			}
		} else if _, err := f.NewSheet(s.name); err != nil {
			return fmt.Errorf("write %s: %w", e.Series, err)
		}
		for r, row := range s.rows {
			for c, text := range row {
				cell, err := excelize.CoordinatesToCellName(c+1, r+1)
				if err != nil {
					return fmt.Errorf("write %s: %w", e.Series, err)
				}
				// Plain counts stay numbers to count on with; everything else is text, so that none runs as a formula.
				if n, err := strconv.Atoi(text); err == nil && c > 0 {
					err = f.SetCellInt(s.name, cell, int64(n))
					if err != nil {
						return fmt.Errorf("write %s: %w", e.Series, err)
					}
				} else if err := f.SetCellStr(s.name, cell, text); err != nil {
					return fmt.Errorf("write %s: %w", e.Series, err)
				}
			}
		}
		if err := f.SetColWidth(s.name, "A", "G", 22); err != nil {
			return fmt.Errorf("write %s: %w", e.Series, err)
		}
		if err := f.SetHeaderFooter(s.name, &excelize.HeaderFooterOptions{OddHeader: "&C" + strings.ReplaceAll(mark, "&", "&&"), OddFooter: "&C&P/&N"}); err != nil {
			return fmt.Errorf("write %s: %w", e.Series, err)
		}
	}
	if err := f.SetDocProps(&excelize.DocProperties{Title: e.Title, Description: mark}); err != nil {
		return fmt.Errorf("write %s: %w", e.Series, err)
	}
	return f.Write(w)
}

// parts are the words that are there, with their headings.
func (w Words) parts() (out [][2]string) {
	for _, x := range [][2]string{{"要情概述", w.Summary}, {"成因分析", w.Causes}, {"工作要求", w.Work}} {
		if x[1] != "" {
			out = append(out, x)
		}
	}
	return out
}

// sheetName is a title as a workbook takes it: at most 31 characters without []:*?/\, and once only.
func sheetName(title string, taken map[string]bool) string {
	name := strings.NewReplacer("[", "", "]", "", ":", " ", "：", " ", "*", "", "?", "", "/", " ", `\`, " ").Replace(title)
	for n := 1; ; n++ {
		tail := ""
		if n > 1 {
			tail = strconv.Itoa(n)
		}
		r := []rune(name)
		short := string(r[:min(len(r), 31-utf8.RuneCountInString(tail))]) + tail
		if !taken[short] {
			taken[short] = true
			return short
		}
	}
}
