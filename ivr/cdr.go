package ivr

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"lianxin/storage"
	"lianxin/workday"
)

var cdrColumns = []string{"通话编号", "来电时间", "应答时间", "排队时间", "接通时间", "结束时间", "来电号码", "被叫号码", "中继", "结果", "结束方", "原因",
	"坐席分机", "振铃次数", "等候秒", "通话秒", "评价", "紧急", "诉求编号", "回电任务", "录音秒", "录音SHA-256", "录音说明"}

// WriteCSV writes the records that match as CSV (UTF-8 with a mark, so that spreadsheets show Chinese), one call a line, numbers
// masked, times in Asia/Shanghai; it returns how many there were. Cells that a spreadsheet would take for a formula are quoted.
func (c Calls) WriteCSV(tx *storage.Tx, w io.Writer, f Filter) (int, error) {
	if _, err := io.WriteString(w, "\ufeff"); err != nil {
		return 0, err
	}
	out := csv.NewWriter(w)
	out.UseCRLF = true
	if err := out.Write(cdrColumns); err != nil {
		return 0, err
	}
	n := 0
	at := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.In(workday.Zone).Format("2006-01-02 15:04:05")
	}
	secs := func(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) }
	for f.Limit = 500; ; f.Offset += f.Limit {
		list, _, err := c.List(tx, f)
		if err != nil {
			return n, err
		}
		for _, r := range list {
			note := r.RecordingFault
			if !r.RecordingGone.IsZero() {
				note = at(r.RecordingGone) + " 已删除：" + r.RecordingGoneWhy
			}
			rating, urgent := "", ""
			if r.Rating > 0 {
				rating = strconv.Itoa(r.Rating)
			}
			if r.Urgent {
				urgent = "是"
			}
			row := []string{r.ID, at(r.Started), at(r.Answered), at(r.Queued), at(r.Connected), at(r.Ended), r.Label(), r.Dialled, r.Trunk, r.Disposition.Label(),
				r.EndedBy, r.Cause, r.Operator, strconv.Itoa(r.Offers), secs(r.Wait), secs(r.Talk), rating, urgent, r.TicketID, r.CallbackID,
				secs(r.RecordingTime), r.RecordingSHA256, note}
			for i, cell := range row {
				if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
					row[i] = "'" + cell
				}
			}
			if err := out.Write(row); err != nil {
				return n, err
			}
			n++
		}
		if len(list) < f.Limit {
			out.Flush()
			if err := out.Error(); err != nil {
				return n, fmt.Errorf("write call records: %w", err)
			}
			return n, nil
		}
	}
}
