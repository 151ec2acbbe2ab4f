package survey_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xuri/excelize/v2"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"
	"pgregory.net/rapid"

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
		{"车管所业务记录（2026年11月22日）"}, // workbooks have a title above the header, and who made them
		{"制表人：丁", "", "电话：024-42800000"},
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
	if len(res.Notable) != 1 || res.Notable[0].Code != "bad_birth" || res.Notable[0].Number != 7 {
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
	if got := strings.Join(codes, " "); res.Accepted != 2 || res.Refused != 3 || got != "bad_encoding too_long bad_time" {
		t.Errorf("%+v", res)
	}
	if last := res.Notable[2].Number; last != 11005 {
		t.Errorf("the line without a time is called %d, want 11005", last)
	}
}

// record is a line that can be taken in.
func record(n int) string {
	return fmt.Sprintf("户政,HZ%d,2026-11-22 09:00:00,王小明,1990000%04d,,市户政窗口,身份证换领,,备注", n, n)
}

func toGBK(t interface{ Fatal(...any) }, s string) string {
	out, err := simplifiedchinese.GBK.NewEncoder().String(s)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Every physical line that is not empty is told of with its own number, and each good one is in, whatever stands next to it.
func TestImportAccountsForEveryLine(t *testing.T) {
	h := newHouse(t, storagetest.SQLite(t))
	damages := map[string]func(good string) (line, code string){
		"closed too early": func(s string) (string, string) {
			return strings.Replace(s, "王小明", `"王"小明`, 1), "broken_line"
		},
		"never closed": func(s string) (string, string) {
			return strings.Replace(s, "王小明", `"王小明`, 1), "broken_line"
		},
		"at the end":      func(s string) (string, string) { return s + `"`, "broken_line" },
		"a quote inside":  func(s string) (string, string) { return strings.Replace(s, "备注", `"看"他"`, 1), "broken_line" },
		"NUL":             func(s string) (string, string) { return s + "\x00", "broken_line" },
		"carriage return": func(s string) (string, string) { return strings.Replace(s, "备注", "备\r注", 1), "broken_line" },
		"garbage":         func(s string) (string, string) { return strings.Replace(s, "王", "\xff\xfe", 1), "bad_encoding" },
		"half":            func(s string) (string, string) { line, _, _ := strings.Cut(s, ",2026"); return line, "bad_time" },
		"too long":        func(s string) (string, string) { return s + strings.Repeat("长", 100_000), "too_long" },
	}
	names := slices.Sorted(maps.Keys(damages))
	batch := 0
	rapid.Check(t, func(t *rapid.T) {
		inGBK := rapid.Bool().Draw(t, "GBK")
		batch += 1000
		var text strings.Builder
		write := func(line string, gbk bool) {
			if gbk {
				line = toGBK(t, strings.ReplaceAll(line, "\xff\xfe", "\x1a")) // garbage is garbage in each
				line = strings.ReplaceAll(line, "\x1a", "\xff\xfe")
			}
			text.WriteString(line + "\n")
		}
		write(strings.TrimSuffix(header, "\n"), inGBK)
		var want, got []string
		good, bad := 0, 0
		for n := range rapid.IntRange(1, 30).Draw(t, "lines") {
			n += 2
			line := record(batch%9000 + n)
			// Fewer than half are damaged: most lines tell the encoding.
			switch what := rapid.IntRange(0, 3).Draw(t, "what"); {
			case what == 0 && bad < good:
				bad++
				var code string
				line, code = damages[rapid.SampledFrom(names).Draw(t, "damage")](line)
				write(line, inGBK)
				want = append(want, fmt.Sprint(n, " refused ", code))
			case what == 1 && bad < good:
				bad++
				write(line, !inGBK)
				want = append(want, fmt.Sprint(n, " refused bad_encoding"))
			case what == 2:
				text.WriteString("\n")
			default:
				good++
				write(line, inGBK)
				want = append(want, fmt.Sprint(n, " accepted "))
			}
		}
		_, err := h.survey.Import(h.ctx, strings.NewReader(text.String()), "a.csv", survey.ImportOptions{DryRun: true, Line: func(l survey.Line) {
			got = append(got, fmt.Sprint(l.Number, " ", l.Outcome, " ", l.Code))
			if l.Outcome == survey.Refused && (l.Reason == "" || l.English == "") {
				t.Errorf("line %d is refused without a word", l.Number)
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("told\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	})
}

func TestImportRefusesTheDamagedLineAndKeepsTheNext(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		res := h.importText(header + record(1) + "\n" + strings.Replace(record(2), "王小明", `"甲"乙`, 1) + "\n" + record(3) + "\n" + toGBK(t, record(4)) + "\n" +
			strings.Replace(record(5), "备注", "\"两行\n备注\"", 1) + "\n" + record(6) + "\n" + record(7) + `,"`)
		var told []string
		for _, l := range res.Notable {
			told = append(told, fmt.Sprint(l.Number, l.Code))
		}
		if got := strings.Join(told, " "); got != "3broken_line 5bad_encoding 6broken_line 7broken_line 9broken_line" || res.Lines != 8 || res.Accepted != 3 {
			t.Errorf("%s: %+v", got, res)
		}
		if got := h.items("2026-11-22"); len(got) != 3 {
			t.Errorf("%d records", len(got))
		}
	})
}

func TestImportTellsTheEncodingByMostLines(t *testing.T) {
	h := newHouse(t, storagetest.SQLite(t))
	u8, gb := record(1)+"\n"+record(2)+"\n", toGBK(t, record(3)+"\n"+record(4)+"\n")
	for name, c := range map[string]struct {
		text, encoding string
		accepted       int
	}{
		"a line of GBK":             {header + u8 + gb[:len(gb)/2], "UTF-8", 2},
		"a line of UTF-8":           {toGBK(t, header) + gb + u8[:len(u8)/2], "GB18030", 2},
		"header of UTF-8 alone":     {header + gb, "GB18030", 2},
		"header of GBK alone":       {toGBK(t, header) + u8, "UTF-8", 2},
		"a draw in which UTF-8 led": {header + record(1) + "\n" + toGBK(t, record(3)+"\n"+record(4)), "UTF-8", 1},
		"garbage first":             {header + "户政,\xff\n" + u8, "UTF-8", 2},
		"a BOM":                     {"\ufeff" + header + u8 + gb + gb, "UTF-8", 2},
	} {
		res, err := h.survey.Import(h.ctx, strings.NewReader(c.text), "a.csv", survey.ImportOptions{DryRun: true})
		if err != nil || res.Encoding != c.encoding || res.Accepted+res.Known != c.accepted || res.Lines != strings.Count(strings.TrimSuffix(c.text, "\n"), "\n") {
			t.Errorf("%s: %+v, %v", name, res, err)
		}
	}
	_, err := h.survey.Import(h.ctx, strings.NewReader("业务类别,\xff\n"+u8), "a.csv", survey.ImportOptions{})
	if !errors.Is(err, survey.ErrHeader) || !strings.Contains(err.Error(), "line 1") {
		t.Errorf("%v does not name the line of the header", err)
	}
}

func TestImportClassIsForLinesThatTellNone(t *testing.T) {
	h := newHouse(t, storagetest.SQLite(t))
	text := header + record(1) + "\n" + strings.Replace(record(2), "户政", "", 1) + "\n" + strings.Replace(record(3), "户政", "车驾管", 1) + "\n" +
		strings.Replace(record(4), "户政", "宠物", 1) + "\n" + strings.Replace(record(5), "户政", " huzheng ", 1) + "\n"
	for class, want := range map[string]string{
		"":    "2 huzheng/HZ1 accepted,3 /HZ2 refused bad_class,4 chejiaguan/HZ3 accepted,5 /HZ4 refused bad_class,6 huzheng/HZ5 accepted",
		"户政":  "2 huzheng/HZ1 accepted,3 huzheng/HZ2 accepted,4 chejiaguan/HZ3 refused other_class,5 /HZ4 refused bad_class,6 huzheng/HZ5 accepted",
		"车驾管": "2 huzheng/HZ1 refused other_class,3 chejiaguan/HZ2 accepted,4 chejiaguan/HZ3 accepted,5 /HZ4 refused bad_class,6 huzheng/HZ5 refused other_class",
	} {
		var got []string
		_, err := h.survey.Import(h.ctx, strings.NewReader(text), "a.csv", survey.ImportOptions{Class: class, DryRun: true, Line: func(l survey.Line) {
			got = append(got, strings.TrimSpace(fmt.Sprintf("%d %s/%s %s %s", l.Number, l.Class, l.SourceID, l.Outcome, l.Code)))
		}})
		if err != nil || strings.Join(got, ",") != want {
			t.Errorf("class %q: %s, %v\nwant %s", class, strings.Join(got, ","), err, want)
		}
	}
}

// brokenOff is a file whose reading fails at its end.
type brokenOff struct{ r io.Reader }

func (b brokenOff) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func TestImportThatBreaksOffKeepsTheLinesBefore(t *testing.T) {
	h := newHouse(t, storagetest.SQLite(t))
	var text strings.Builder
	text.WriteString(header)
	for n := range 12000 { // more than is looked at beforehand
		text.WriteString(record(n) + "\n")
	}
	res, err := h.survey.Import(h.ctx, brokenOff{strings.NewReader(text.String() + "户政,HZ")}, "a.csv", survey.ImportOptions{DryRun: true})
	if !errors.Is(err, io.ErrUnexpectedEOF) || res.Accepted != 12000 || res.Refused != 0 {
		t.Errorf("%d accepted, %d refused, %v", res.Accepted, res.Refused, err)
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

func TestWhatIsWrongWithAFileIsSaidInWordsThatHelp(t *testing.T) {
	h := newHouse(t, storagetest.SQLite(t))
	res := h.importText("导出时间 2026-11-22\n" + header + "殡葬,BZ-1,2026-11-22 09:00,甲,19900000001,,市户政窗口,,,\n")
	if len(res.Notable) != 1 || res.Notable[0].SourceID != "BZ-1" || res.Notable[0].Number != 3 || res.Notable[0].Reason != "没有这个业务类别：殡葬" {
		t.Errorf("%+v", res)
	}
	for text, want := range map[string]string{
		"": "空的", "姓名,电话\n甲,1\n": "第1行，缺少“业务类别”“业务流水号”“办理时间”“单位编码”", "甲\n电话,单位,流水号\n": "第2行，缺少“业务类别”“办理时间”", "电话,手机\n": "第1行）有两列“电话”",
	} {
		_, err := h.survey.Import(h.ctx, strings.NewReader(text), "a.csv", survey.ImportOptions{})
		var e *survey.HeaderError
		if !errors.As(err, &e) || !errors.Is(err, survey.ErrHeader) || !strings.Contains(e.Reason(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}
