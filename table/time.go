package table

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/xuri/excelize/v2"

	"lianxin/workday"
)

var timeLayouts = []string{"2006-1-2 15:4:5", "2006-1-2 15:4", "2006-1-2", "20060102150405", "200601021504", "20060102"}

var timeSigns = strings.NewReplacer("年", "-", "月", "-", "日", " ", "时", ":", "点", ":", "分", ":", "秒", "", "/", "-", ".", "-", "T", " ", "：", ":")

// ReadTime reads a time as the source systems write it, in Asia/Shanghai, or as a spreadsheet's serial number.
func ReadTime(s string) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return checkYear(t.In(workday.Zone))
	}
	if n, err := strconv.ParseFloat(s, 64); err == nil && n > 20000 && n < 80000 { // 1954 … 2119; 20261122 is none
		t, err := excelize.ExcelDateToTime(n, false)
		if err != nil {
			return time.Time{}, err
		}
		t = t.Round(time.Second)
		return checkYear(time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), 0, workday.Zone))
	}
	folded := strings.TrimSpace(s)
	if i := strings.LastIndex(folded, "."); i >= 19 { // fractions of a second
		folded = folded[:i]
	}
	folded = strings.TrimRight(strings.Join(strings.Fields(timeSigns.Replace(folded)), " "), ": ")
	for _, layout := range timeLayouts {
		if t, err := time.ParseInLocation(layout, folded, workday.Zone); err == nil {
			return checkYear(t)
		}
	}
	return time.Time{}, errors.New("no time")
}

func checkYear(t time.Time) (time.Time, error) {
	if t.Year() < 1900 || t.Year() > 2100 {
		return time.Time{}, errors.New("no time of our days")
	}
	return t, nil
}
