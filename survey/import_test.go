package survey_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/xuri/excelize/v2"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"

	"lianxin/storage"
	"lianxin/storage/storagetest"
	"lianxin/survey"
	"lianxin/workday"
)

const oneLine = header + "户政,HZ01,2026-11-22 09:10:11,王小明,19900000001,1980-02-29,benxi-huzheng-chuangkou,身份证换领,,镕㐂𠮷\n"

// items are what an import has brought in for a day.
func (h *house) items(day string) (out []survey.Item) {
	h.t.Helper()
	h.view(func(tx *storage.Tx) (err error) {
		out, err = h.survey.Items(tx, h.day(day))
		return err
	})
	return out
}

func TestFilesOfEveryEncodingReadTheSame(t *testing.T) {
	encode := func(e encoding.Encoding, s string) string {
		out, err := e.NewEncoder().String(s)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	gbk := strings.ReplaceAll(strings.ReplaceAll(oneLine, "㐂", ""), "𠮷", "")
	for name, c := range map[string]struct{ text, encoding string }{
		"UTF-8":                {oneLine, "UTF-8"},
		"UTF-8 with BOM, CRLF": {"\ufeff" + strings.ReplaceAll(oneLine, "\n", "\r\n"), "UTF-8"},
		"GBK":                  {encode(simplifiedchinese.GBK, gbk), "GB18030"},
		"GB18030":              {encode(simplifiedchinese.GB18030, oneLine), "GB18030"},
		"UTF-16":               {encode(unicode.UTF16(unicode.LittleEndian, unicode.UseBOM), strings.ReplaceAll(oneLine, ",", "\t")), "UTF-16"},
		"semicolons":           {strings.ReplaceAll(oneLine, ",", ";"), "UTF-8"},
		"quoted":               {strings.ReplaceAll(oneLine, "身份证换领", "\"身份证,换领\""), "UTF-8"},
		"other names of columns": {strings.NewReplacer("业务流水号", "受理编号（必填）", "办理时间", "业务时间", "电话", " 手机 号码 ", "单位编码", "办理单位", "benxi-huzheng-chuangkou", "市户政窗口",
			"出生日期", "公民身份号码", "1980-02-29", "210502198002290011").Replace(oneLine), "UTF-8"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, storagetest.SQLite(t))
			res := h.importText(c.text)
			if res.Accepted != 1 || res.Refused != 0 || len(res.Notable) != 0 || res.Encoding != c.encoding {
				t.Fatalf("%+v", res)
			}
			got := h.items("2026-11-22")
			if len(got) != 1 {
				t.Fatalf("%d records", len(got))
			}
			r := got[0].Record
			if r.Class != "huzheng" || r.SourceID != "HZ01" || r.Name.Clear() != "王小明" || r.Phone.Clear() != "19900000001" || r.Unit != "benxi-huzheng-chuangkou" ||
				!r.ServiceAt.Equal(time.Date(2026, 11, 22, 9, 10, 11, 0, workday.Zone)) || strings.ReplaceAll(r.Matter, ",", "") != "身份证换领" {
				t.Errorf("read %+v", r)
			}
		})
	}
}

func TestWorkbookKeepsDigitsAndDates(t *testing.T) {
	f := excelize.NewFile()
	defer f.Close()
	rows := [][]any{
		{"业务流水号", "办理时间", "姓名", "电话", "出生日期", "单位编码", "事项"},
		{"CG01", time.Date(2026, 11, 22, 14, 30, 0, 0, time.UTC), "王小明", 19900000001, time.Date(1980, 1, 2, 0, 0, 0, 0, time.UTC), "车管所大厅", "期满换证"},
		{20261122000123, "2026/11/22 8:05", "李红", "19900000002", "19810203", "车管所大厅", "期满换证"},
		{},
		{"CG03", "2026年11月22日 8时5分", "孙红", "19900000003", "1981年2月", "车管所大厅", "期满换证"},
	}
	for i, r := range rows {
		if err := f.SetSheetRow("Sheet1", fmt.Sprintf("A%d", i+1), &r); err != nil {
			t.Fatal(err)
		}
	}
	var b bytes.Buffer
	if err := f.Write(&b); err != nil {
		t.Fatal(err)
	}
	h := newHouse(t, storagetest.SQLite(t))
	res, err := h.survey.Import(h.ctx, &b, "a.xlsx", survey.ImportOptions{Class: "车驾管"})
	if err != nil || res.Accepted != 3 || res.Encoding != "XLSX" {
		t.Fatalf("%+v, %v", res, err)
	}
	if len(res.Notable) != 1 || res.Notable[0].Code != "bad_birth" || res.Notable[0].Number != 5 {
		t.Errorf("notable %+v", res.Notable)
	}
	got := map[string]survey.Record{}
	for _, i := range h.items("2026-11-22") {
		got[i.SourceID] = i.Record
	}
	if len(got) != 3 || got["CG01"].Phone.Clear() != "19900000001" || got["CG01"].ServiceAt.Hour() != 14 || got["20261122000123"].ServiceAt.Minute() != 5 {
		t.Errorf("read %+v", got)
	}
	if text := fmt.Sprintf("%v %+v %#v", got, got, got); strings.Contains(text, "19900000001") || strings.Contains(text, "王小明") {
		t.Errorf("a printed record tells who it is: %s", text)
	}
}

func TestHeadersThatCannotWorkAreNamed(t *testing.T) {
	h := newHouse(t, storagetest.SQLite(t))
	for name, c := range map[string]struct{ text, want string }{
		"empty":             {"", "empty"},
		"a column lacks":    {"业务类别,业务流水号,办理时间,姓名\n", "电话"},
		"a column twice":    {"业务类别,业务流水号,办理时间,手机,联系电话,单位\n", "电话"},
		"no header at all":  {"户政,HZ01,2026-11-22 09:10:11,王小明,19900000001\n", "业务类别"},
		"an old workbook":   {"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", ".xls"},
		"a broken workbook": {"PK\x03\x04 no", "workbook"},
	} {
		_, err := h.survey.Import(h.ctx, strings.NewReader(c.text), "a.csv", survey.ImportOptions{})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q named", name, err, c.want)
		}
	}
	if _, err := h.survey.Import(h.ctx, strings.NewReader(oneLine), "a.csv", survey.ImportOptions{Class: "宠物"}); err == nil {
		t.Error("a class that does not exist was taken")
	}
	if _, err := h.survey.Import(h.ctx, strings.NewReader("姓名\n"), "a.csv", survey.ImportOptions{}); !errors.Is(err, survey.ErrHeader) {
		t.Errorf("%v is no ErrHeader", err)
	}
}

func TestBrokenLineDoesNotStopTheOthers(t *testing.T) {
	h := newHouse(t, storagetest.SQLite(t))
	text := header +
		"户政,HZ01,2026-11-22 09:00:00,甲,19900000001,,市户政窗口,身份证换领,,\n" +
		"户政,HZ02,2026-11-22 09:00:00,乙\xff\xfe,19900000002,,市户政窗口,身份证换领,,\n" +
		"户政,HZ03,2026-11-22 09:00:00,丙,19900000003,,市户政窗口,\"" + strings.Repeat("长", 3000) + "\",,\n" +
		"户政,HZ04\n" +
		"\n,,,,,,,,,\n" +
		"户政,HZ05,2026-11-22 09:00:00,丁,19900000005,,市户政窗口,身份证换领,,,,,多余\n"
	// The bad bytes come after the part by which the encoding is told.
	text = strings.Replace(text, header, header+strings.Repeat(strings.Repeat(" ", 99)+"\n", 11000), 1)
	res := h.importText(text)
	var codes []string
	for _, l := range res.Notable {
		codes = append(codes, l.Code)
	}
	if got := strings.Join(codes, " "); res.Accepted != 2 || res.Refused != 3 || got != "broken_line too_long bad_time" {
		t.Errorf("%+v", res)
	}
	if last := res.Notable[2].Number; last != 11005 {
		t.Errorf("the line without a time is called %d, want 11005", last)
	}
}

func TestPersonalDataIsSealedInTheDatabase(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.importText(header + "户政,HZ01,2026-11-22 09:00:00,欧阳雪,19900000001,1980-01-02,市户政窗口,身份证换领,,住南地街道1号\n")
		h.importText(header + "户政,HZ01,2026-11-22 09:00:00,欧阳雪儿,19900000001,1980-01-02,市户政窗口,身份证换领,,住南地街道1号\n")
		h.run("2026-11-22")
		h.settle()
		h.reply("19900000001", "5 找我们欧阳雪儿道歉")
		h.view(func(tx *storage.Tx) error {
			for table, columns := range map[string]string{
				"survey_record":         "source_id || matter || mark || phone_hash || phone_error || unit",
				"survey_record_version": "record_id || digest",
				"survey_ask":            "key || phone_hash || contact_id",
				"survey_answer":         "why || trace || note || phone_hash",
				"sms":                   "key || phone_hash || reason || body",
				"audit_event":           "payload || stream || actor",
			} {
				all, err := storage.All(tx, storage.Value[string], `SELECT `+columns+` FROM `+table)
				if err != nil || len(all) == 0 {
					t.Errorf("%s: %d rows, %v", table, len(all), err)
				}
				for _, v := range all {
					for _, secret := range []string{"19900000001", "欧阳", "1980-01-02", "南地街道1号"} {
						if strings.Contains(v, secret) {
							t.Errorf("%s tells %s: %s", table, secret, v)
						}
					}
				}
			}
			for _, q := range []string{`SELECT person FROM survey_record`, `SELECT body FROM survey_record_version`, `SELECT phone FROM sms`, `SELECT phone FROM sms_inbound`} {
				all, err := storage.All(tx, storage.Value[[]byte], q)
				if err != nil || len(all) != 1 {
					t.Errorf("%s: %d rows, %v", q, len(all), err)
				}
				for _, v := range all {
					if bytes.Contains(v, []byte("1990000")) || bytes.Contains(v, []byte("欧阳")) {
						t.Errorf("%s is not sealed", q)
					}
				}
			}
			return nil
		})
	})
}
