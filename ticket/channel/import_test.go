package channel

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/xuri/excelize/v2"
	"golang.org/x/text/encoding/simplifiedchinese"

	"lianxin/storage"
	"lianxin/ticket"
	"lianxin/workday"
)

const header12345 = "工单编号,受理时间,办结时限,标题,诉求内容,类型,地址,姓名,联系电话,承办单位\n"

func (h *house) imports(channel string, file []byte, opt ImportOptions) Imported {
	h.t.Helper()
	opt.Channel = channel
	if opt.By.Kind == "" {
		opt.By = ticket.System
	}
	out, err := h.Import(h.ctx, bytes.NewReader(file), "file.csv", opt)
	if err != nil {
		h.t.Fatal(err)
	}
	if out.Lines != out.Accepted+out.Known+out.Changed+out.Refused {
		h.t.Errorf("lines are not accounted for: %+v", out)
	}
	return out
}

func TestAFileOf12345IsTakenOnceWithItsOwnDeadline(t *testing.T) {
	each(t, func(h *house) {
		file := []byte(header12345 +
			"DH1,2026-11-23 09:00,2026-11-25 17:00,井盖破损,平山路井盖破损,求助,平山路1号,王小明,13912345678,站前派出所\n" +
			"DH2,2026-11-23 09:01,2026-11-30,噪音,楼上半夜装修,投诉,,,,\n")
		out := h.imports("12345", file, ImportOptions{})
		if out.Accepted != 2 || out.Refused != 0 || out.Odd != 0 {
			t := out
			h.t.Fatalf("%+v", t)
		}
		k := h.byNumber("12345", "DH1")
		if k.Title != "井盖破损" || k.Kind != ticket.Help || k.UnitHint != "zhanqian" || k.ContactID == "" {
			h.t.Errorf("%+v", k)
		}
		if want := time.Date(2026, 11, 23, 9, 0, 0, 0, workday.Zone); !k.ReceivedAt.Equal(want) {
			h.t.Errorf("received %v", k.ReceivedAt)
		}
		h.view(func(tx *storage.Tx) error {
			clocks, err := h.Office.Clocks(tx, k.ID)
			found := false
			for _, c := range clocks {
				found = found || c.Kind == ticket.ClockExternal && c.DueAt.Equal(time.Date(2026, 11, 25, 17, 0, 0, 0, workday.Zone))
			}
			if !found {
				h.t.Errorf("no clock runs to the other body's deadline: %+v", clocks)
			}
			return err
		})
		if again := h.imports("12345", file, ImportOptions{}); again.Known != 2 || again.Accepted+again.Changed != 0 {
			h.t.Errorf("the same file again: %+v", again)
		}
		changed := bytes.Replace(file, []byte("楼上半夜装修"), []byte("楼上半夜装修,已多日"), 1)
		changed = bytes.Replace(changed, []byte("装修,已多日"), []byte("装修已多日"), 1)
		if again := h.imports("12345", changed, ImportOptions{}); again.Known != 1 || again.Changed != 1 {
			h.t.Errorf("a changed line: %+v", again)
		}
		h.view(func(tx *storage.Tx) error {
			raws, err := h.Office.Raw(tx, h.byNumber("12345", "DH2").ID)
			if len(raws) != 2 || !bytes.Contains(raws[0], []byte(`"诉求内容":"楼上半夜装修"`)) || !bytes.Contains(raws[1], []byte("已多日")) {
				h.t.Errorf("originals: %q", raws)
			}
			return err
		})
	})
}

// damagedFile is a file of n good lines among which every kind of bad one stands; want tells how many of each.
func damagedFile(n int, encode func(string) []byte) (file []byte, want map[string]int) {
	var b bytes.Buffer
	b.Write(encode(header12345))
	want = map[string]int{}
	good := func(i int) string {
		return fmt.Sprintf("G%06d,2026-11-2%d 0%d:%02d,2026-11-30 17:00,第%d号反映,平山区某小区第%d户反映夜间噪音,求助,平山路%d号,李%s,139%08d,站前派出所\n",
			i, i%3, i%10, i%60, i, i, i, []string{"明", "红", "军"}[i%3], i)
	}
	for i := range n {
		b.Write(encode(good(i)))
		want["good"]++
		switch i % 50 {
		case 5:
			b.Write(encode(good(i))) // the same number again, the same words
			want["known"]++
		case 10:
			b.Write(encode(strings.Replace(good(i), "夜间噪音", "夜间施工", 1))) // the same number, other words
			want["changed"]++
		case 15:
			b.Write(encode(fmt.Sprintf(",2026-11-22 08:00,,无编号%d,内容,求助,,,,\n", i)))
			want["no_external_id"]++
		case 20:
			b.Write(encode(fmt.Sprintf("T%06d,2026-02-30 08:00,,不可能的日期,内容,求助,,,,\n", i)))
			want["bad_time"]++
		case 25:
			b.Write(encode(fmt.Sprintf("E%06d,2026-11-22 08:00,,,,求助,,,,\n", i)))
			want["no_text"]++
		case 30: // bytes that are of no encoding
			b.Write(encode(fmt.Sprintf("B%06d,2026-11-22 08:00,,乱码", i)))
			b.Write([]byte{0xff, 0xfe, 0x80, 0x81, 0xff})
			b.Write(encode(",内容,求助,,,,\n"))
			want["bad_encoding"]++
		case 35:
			b.Write(encode(fmt.Sprintf("Q%06d,2026-11-22 08:00,,\"引号不成对,内容,求助,,,,\n", i)))
			want["broken_line"]++
		case 40:
			b.Write(encode(fmt.Sprintf("F%06d,2031-11-22 08:00,,将来的事,内容,求助,,,,\n", i)))
			want["future"]++
		case 45:
			b.Write(encode(fmt.Sprintf("D%06d,2026-11-22 08:00,2026-11-01,时限早于来件,内容,求助,,,,\n", i)))
			want["due_before"]++
		case 49:
			b.Write(encode(fmt.Sprintf("P%06d,2026-11-22 08:00,,号码不对,内容,求助,,张三,12ab,\n", i)))
			want["bad_phone"]++
			want["good"]++
		}
	}
	return b.Bytes(), want
}

func utf8Bytes(s string) []byte { return []byte(s) }

func gbBytes(s string) []byte {
	b, err := simplifiedchinese.GB18030.NewEncoder().Bytes([]byte(s))
	if err != nil {
		panic(err)
	}
	return b
}

func TestEveryLineOfADamagedFileIsAccountedForAndTheRestCanBeMended(t *testing.T) {
	for name, encode := range map[string]func(string) []byte{"UTF-8": utf8Bytes, "GB18030": gbBytes} {
		t.Run(name, func(t *testing.T) {
			each(t, func(h *house) {
				file, want := damagedFile(150, encode)
				codes := map[string]int{}
				var report bytes.Buffer
				dry := h.imports("12345", file, ImportOptions{DryRun: true})
				out := h.imports("12345", file, ImportOptions{Report: &report, Line: func(l Line) { codes[l.Code]++ }})
				if out.Encoding != name || out.Accepted != want["good"] || out.Known != want["known"] || out.Changed != want["changed"] {
					h.t.Fatalf("%+v, want %v", out, want)
				}
				if dry.Accepted != out.Accepted || dry.Known != out.Known || dry.Changed != out.Changed || dry.Refused != out.Refused {
					h.t.Errorf("the dry run said %+v, then came %+v", dry, out)
				}
				refused := 0
				for _, code := range []string{"no_external_id", "bad_time", "no_text", "bad_encoding", "broken_line", "future", "due_before"} {
					if codes[code] != want[code] {
						h.t.Errorf("%s: %d lines, want %d", code, codes[code], want[code])
					}
					refused += want[code]
				}
				if out.Refused != refused || codes["bad_phone"] != want["bad_phone"] {
					h.t.Errorf("%d refused, want %d; %v", out.Refused, refused, codes)
				}
				// Somebody mends the report: the numbers, the dates, the words; then it is imported again as it is.
				mended := h.mend(report.Bytes(), refused)
				if again := h.imports("12345", mended, ImportOptions{}); again.Accepted != refused || again.Refused != 0 {
					h.t.Errorf("the mended report: %+v, want %d accepted", again, refused)
				}
				if all := h.imports("12345", file, ImportOptions{}); all.Accepted != 0 {
					h.t.Errorf("the whole file again brought %d new tickets", all.Accepted)
				}
				drifts, err := ticket.VerifyProjection(h.ctx, h.DB, h.Office.Book.Vault)
				if err != nil || len(drifts) > 0 {
					h.t.Errorf("%v %v", drifts, err)
				}
			})
		})
	}
}

// mend does with a report of refused lines what a person does: in each line it puts right what its reason names, and nothing else. A line
// that was torn, or garbled in its bytes, has its words written anew.
func (h *house) mend(report []byte, lines int) []byte {
	h.t.Helper()
	rows, err := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(report, []byte("\xEF\xBB\xBF")))).ReadAll()
	if err != nil || len(rows) != lines+1 {
		h.t.Fatalf("the report has %d lines, want %d and a heading: %v", len(rows), lines, err)
	}
	at := map[string]int{}
	for i, name := range rows[0] {
		at[name] = i
	}
	for i, row := range rows[1:] {
		set := func(column, value string) { row[at[column]] = value }
		switch code := row[at["原因代码"]]; code {
		case "no_external_id":
			set("工单编号", fmt.Sprintf("M%06d", i))
		case "no_text":
			set("标题", "补录的标题")
		case "bad_time", "future":
			set("受理时间", "2026-11-22 09:00")
		case "due_before":
			set("办结时限", "2026-11-30")
		case "bad_encoding", "broken_line":
			set("工单编号", fmt.Sprintf("R%s", row[at["原行号"]]))
			set("受理时间", "2026-11-22 09:00")
			set("办结时限", "")
			set("标题", "重新录入的标题")
			set("诉求内容", "重新录入的内容")
			set("类型", "求助")
		default:
			h.t.Errorf("line %d of the report has no reason that can be mended: %q", i+2, code)
		}
		if row[at["未导入原因"]] == "" || row[at["原行号"]] == "" {
			h.t.Errorf("a line without a reason or a place: %q", row)
		}
	}
	var out bytes.Buffer
	if err := csv.NewWriter(&out).WriteAll(rows); err != nil {
		h.t.Fatal(err)
	}
	return out.Bytes()
}

func TestTheColumnsOfAChannelAreRemembered(t *testing.T) {
	h := newHouse(t, storageSQLite(t))
	file := []byte("序,网友,留言,何时\n1,小张,希望增设信号灯,2026-11-22\n")
	_, err := h.Import(h.ctx, bytes.NewReader(file), "x.csv", ImportOptions{Channel: "people", By: ticket.System})
	if !errors.Is(err, ErrHeader) || !strings.Contains(err.Error(), "标题或内容") {
		t.Fatalf("columns nobody knows: %v", err)
	}
	m := Mapping{"序": "external_id", "网友": "name", "留言": "body", "何时": "received_at"}
	h.update(func(tx *storage.Tx) error { return h.Remember(tx, "people", m, h.supervisor) })
	if out := h.imports("people", file, ImportOptions{}); out.Accepted != 1 {
		t.Errorf("%+v", out)
	}
	k := h.byNumber("people", "1")
	if k.Title != "希望增设信号灯" {
		t.Errorf("title %q", k.Title)
	}
}

func TestAWorkbookIsReadLikeAnyFile(t *testing.T) {
	h := newHouse(t, storageSQLite(t))
	f := excelize.NewFile()
	for i, row := range [][]any{{"编号", "时间", "内容", "电话"}, {"X1", 46348.5, "窗口排队时间长", 13912345678}, {"", "", "没有编号", ""}} {
		cell, _ := excelize.CoordinatesToCellName(1, i+1)
		if err := f.SetSheetRow("Sheet1", cell, &row); err != nil {
			t.Fatal(err)
		}
	}
	var b bytes.Buffer
	if err := f.Write(&b); err != nil {
		t.Fatal(err)
	}
	out := h.imports("baixing", b.Bytes(), ImportOptions{})
	if out.Encoding != "XLSX" || out.Accepted != 1 || out.Refused != 1 || out.Notable[0].Code != "no_external_id" {
		t.Errorf("%+v", out)
	}
}

func TestAChannelMayAskForAnIdentity(t *testing.T) {
	h := newHouse(t, storageSQLite(t))
	h.update(func(tx *storage.Tx) error {
		return h.Office.PutChannel(tx, ticket.Channel{Code: "named", Name: "实名渠道", Enabled: true, Identity: ticket.IdentityRequired}, h.admin)
	})
	h.update(func(tx *storage.Tx) error {
		return h.Office.PutChannel(tx, ticket.Channel{Code: "blind", Name: "匿名渠道", Enabled: true, Identity: ticket.IdentityNone}, h.admin)
	})
	file := []byte("内容,电话\n有电话,13912345678\n没有电话,\n")
	if out := h.imports("named", file, ImportOptions{}); out.Accepted != 1 || out.Refused != 1 || out.Notable[0].Code != "identity" {
		t.Errorf("%+v", out)
	}
	if dry := h.imports("named", []byte("内容,电话\n另一件,\n"), ImportOptions{DryRun: true}); dry.Refused != 1 {
		t.Errorf("a dry run says %+v", dry)
	}
	h.imports("blind", file, ImportOptions{})
	h.view(func(tx *storage.Tx) error {
		n, err := storage.One(tx, storage.Value[int], `SELECT COUNT(*) FROM ticket WHERE channel = 'blind' AND contact_id <> ''`)
		if n != 0 {
			t.Errorf("%d tickets of a channel that asks nobody have a citizen", n)
		}
		return err
	})
}
