package survey

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/xuri/excelize/v2"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"

	"lianxin/workday"
)

// table is a file line by line. Next returns errBrokenLine for a line that cannot be read while later ones can.
type table interface {
	Next() (cells []string, number int, err error)
	Close() error
}

var errBrokenLine = errors.New("broken line")

// openTable finds out what a file is.
func openTable(r io.Reader) (table, string, error) {
	b := bufio.NewReaderSize(r, 1<<20)
	head, err := b.Peek(1 << 20)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, "", err
	}
	switch {
	case bytes.HasPrefix(head, []byte("PK\x03\x04")):
		t, err := openXLSX(b)
		return t, "XLSX", err
	case bytes.HasPrefix(head, []byte{0xD0, 0xCF, 0x11, 0xE0}):
		return nil, "", errors.New("an old .xls workbook; save it as .xlsx or CSV")
	case bytes.HasPrefix(head, []byte{0xFF, 0xFE}), bytes.HasPrefix(head, []byte{0xFE, 0xFF}):
		return openCSV(transform.NewReader(b, unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewDecoder())), "UTF-16", nil
	case bytes.HasPrefix(head, []byte("\xEF\xBB\xBF")):
		_, _ = b.Discard(3)
		return openCSV(b), "UTF-8", nil
	case looksUTF8(head):
		return openCSV(b), "UTF-8", nil
	}
	// GB18030 holds GBK and GB2312.
	return openCSV(transform.NewReader(b, simplifiedchinese.GB18030.NewDecoder())), "GB18030", nil
}

// looksUTF8 allows for a character cut at the end of what was read.
func looksUTF8(b []byte) bool {
	for i := 0; i < utf8.UTFMax; i++ {
		if utf8.Valid(b) {
			return true
		}
		if len(b) < 1<<19 || len(b) == 0 {
			return false
		}
		b = b[:len(b)-1]
	}
	return false
}

type csvTable struct {
	r *csv.Reader
}

func openCSV(r io.Reader) table {
	b := bufio.NewReaderSize(r, 1<<16)
	head, _ := b.Peek(1 << 12) // an error comes again when the line is read
	first, _, _ := strings.Cut(string(head), "\n")
	c := csv.NewReader(b)
	c.FieldsPerRecord, c.LazyQuotes, c.ReuseRecord = -1, true, true
	for _, comma := range []rune{'\t', ';', '，'} {
		if strings.Count(first, string(comma)) > strings.Count(first, string(c.Comma)) {
			c.Comma = comma
		}
	}
	return &csvTable{c}
}

func (t *csvTable) Next() ([]string, int, error) {
	cells, err := t.r.Read()
	var p *csv.ParseError
	switch {
	case errors.As(err, &p):
		return nil, p.StartLine, errBrokenLine
	case err != nil:
		return nil, 0, err
	}
	line, _ := t.r.FieldPos(0)
	for _, c := range cells {
		if !utf8.ValidString(c) || strings.ContainsRune(c, utf8.RuneError) || strings.ContainsRune(c, 0) {
			return nil, line, errBrokenLine
		}
	}
	return cells, line, nil
}

func (t *csvTable) Close() error { return nil }

type xlsxTable struct {
	f    *excelize.File
	rows *excelize.Rows
	n    int
}

func openXLSX(r io.Reader) (table, error) {
	f, err := excelize.OpenReader(r, excelize.Options{RawCellValue: true, UnzipSizeLimit: 2 << 30, UnzipXMLSizeLimit: 256 << 20})
	if err != nil {
		return nil, fmt.Errorf("open the workbook: %w", err)
	}
	sheets := f.GetSheetList()
	if len(sheets) == 0 {
		f.Close()
		return nil, errors.New("open the workbook: it has no sheet")
	}
	rows, err := f.Rows(sheets[0])
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("open the workbook: %w", err)
	}
	return &xlsxTable{f: f, rows: rows}, nil
}

func (t *xlsxTable) Next() ([]string, int, error) {
	if !t.rows.Next() {
		if err := t.rows.Error(); err != nil {
			return nil, t.n, fmt.Errorf("read the workbook: %w", err)
		}
		return nil, t.n, io.EOF
	}
	t.n++
	// Raw: as the cell is stored, so that a number keeps its digits and a date its value, whatever format it is shown in.
	cells, err := t.rows.Columns(excelize.Options{RawCellValue: true})
	if err != nil {
		return nil, t.n, fmt.Errorf("read the workbook: %w", err)
	}
	return cells, t.n, nil
}

func (t *xlsxTable) Close() error {
	return errors.Join(t.rows.Close(), t.f.Close())
}

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
}

// columns is where each column stands in this file, -1 for none.
type columns [numColumns]int

func readHeader(cells []string, needClass bool) (columns, error) {
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
					return c, fmt.Errorf("%w: two columns %s", ErrHeader, headers[col][0])
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
		return c, fmt.Errorf("%w: the first line lacks %s", ErrHeader, strings.Join(missing, ", "))
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

var timeLayouts = []string{"2006-1-2 15:4:5", "2006-1-2 15:4", "2006-1-2", "20060102150405", "200601021504", "20060102"}

var timeSigns = strings.NewReplacer("年", "-", "月", "-", "日", " ", "时", ":", "点", ":", "分", ":", "秒", "", "/", "-", ".", "-", "T", " ", "：", ":")

// readTime reads a time as the source systems write it, in Asia/Shanghai, or as a spreadsheet's serial number.
func readTime(s string) (time.Time, error) {
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

// readBirth reads a date of birth, or takes it out of an identity number (GB 11643), which is not kept. odd is true when
// there is something that cannot be read.
func readBirth(born, identity string) (iso string, odd bool) {
	if born == "" && len(identity) == 18 {
		born = identity[6:14]
	}
	if born == "" {
		return "", false
	}
	t, err := readTime(born)
	if err != nil {
		return "", true
	}
	return workday.DayOf(t).String(), false
}
