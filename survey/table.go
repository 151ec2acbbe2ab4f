package survey

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/xuri/excelize/v2"
	"golang.org/x/text/encoding/simplifiedchinese"

	"lianxin/workday"
)

// table is a file line by line. Next returns a badLine for a line that cannot be read while later ones can.
type table interface {
	Next() (cells []string, number int, err error)
	Close() error
}

// badLine is why a line cannot be read: a code of reasons.
type badLine string

func (b badLine) Error() string { return reasons[string(b)][1] }

const (
	errBrokenLine badLine = "broken_line"
	errEncoding   badLine = "bad_encoding"
	errLongLine   badLine = "too_long"
)

// sniffed is how much of a file is looked at to tell what it is.
const sniffed = 1 << 20

// openTable finds out what a file is.
func openTable(r io.Reader) (table, string, error) {
	b := bufio.NewReaderSize(r, sniffed)
	head, err := b.Peek(sniffed)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, "", err
	}
	t := &csvTable{r: b, eol: '\n', encoding: "UTF-8"}
	switch {
	case bytes.HasPrefix(head, []byte("PK\x03\x04")):
		t, err := openXLSX(b)
		return t, "XLSX", err
	case bytes.HasPrefix(head, []byte{0xD0, 0xCF, 0x11, 0xE0}):
		return nil, "", errors.New("an old .xls workbook; save it as .xlsx or CSV")
	case bytes.HasPrefix(head, []byte{0xFF, 0xFE}), bytes.HasPrefix(head, []byte{0xFE, 0xFF}):
		t.encoding, t.order = "UTF-16", binary.LittleEndian
		if head[0] == 0xFE {
			t.order = binary.BigEndian
		}
		_, _ = b.Discard(2)
		return t, t.encoding, nil
	}
	if !bytes.ContainsRune(head, '\n') && bytes.ContainsRune(head, '\r') {
		t.eol = '\r' // as Macs once wrote
	}
	if bytes.HasPrefix(head, []byte("\xEF\xBB\xBF")) {
		_, _ = b.Discard(3)
	} else if mostlyGB(head, t.eol) {
		t.encoding = "GB18030" // holds GBK and GB2312
	}
	return t, t.encoding, nil
}

// mostlyGB tells whether more lines are GB18030 than UTF-8, so that a few lines that came from elsewhere do not decide
// about the others. Lines without Chinese tell nothing; in a draw the header decides.
func mostlyGB(head []byte, eol byte) bool {
	lines := bytes.Split(head, []byte{eol})
	if len(head) == sniffed && len(lines) > 1 {
		lines = lines[:len(lines)-1] // cut
	}
	var gb, u8 int
	first := -1
	for _, l := range lines {
		if first < 0 && len(bytes.TrimSpace(l)) > 0 {
			first = 0
			if !utf8.Valid(l) {
				first = 1
			}
		}
		switch {
		case isUTF8(l):
			u8++
		case !utf8.Valid(l):
			if _, err := decodeGB(l); err == nil {
				gb++
			}
		}
	}
	if gb == u8 {
		return first == 1
	}
	return gb > u8
}

// isUTF8 tells Chinese in UTF-8 from Chinese in GB18030: a short word of GB18030 may be UTF-8 by chance (通 is U+0368),
// but hardly gives Chinese.
func isUTF8(b []byte) bool {
	return utf8.Valid(b) && bytes.ContainsFunc(b, func(r rune) bool { return unicode.Is(unicode.Han, r) })
}

func decodeGB(b []byte) (string, error) {
	out, err := simplifiedchinese.GB18030.NewDecoder().Bytes(b)
	if err != nil || bytes.ContainsRune(out, utf8.RuneError) {
		return "", errEncoding
	}
	return string(out), nil
}

// longestLine in bytes; what is longer is not kept in memory.
const longestLine = 1 << 18

// csvTable reads RFC 4180, each line by itself: a field cannot hold a line break. So a quotation mark too many, or bytes
// of another encoding, spoil the line they stand in and no other.
type csvTable struct {
	r        *bufio.Reader
	eol      byte
	encoding string
	order    binary.ByteOrder // of UTF-16, else nil
	comma    string           // told by the header; "" before it
	n        int
	line     []byte
}

func (t *csvTable) Next() ([]string, int, error) {
	for {
		t.n++
		raw, err := t.read()
		if err != nil {
			return nil, t.n, err
		}
		text, err := t.decode(raw)
		if err != nil {
			return nil, t.n, err
		}
		text = strings.TrimRight(text, "\r")
		if text == "" || t.comma == "" && strings.TrimSpace(text) == "" {
			continue
		}
		if strings.ContainsAny(text, "\r\n\x00") {
			return nil, t.n, errBrokenLine
		}
		if t.comma == "" {
			t.comma = ","
			for _, c := range []string{"\t", ";", "，"} {
				if strings.Count(text, c) > strings.Count(text, t.comma) {
					t.comma = c
				}
			}
		}
		cells, err := splitCSV(text, t.comma)
		return cells, t.n, err
	}
}

func (t *csvTable) Close() error { return nil }

// read gives the bytes up to the end of the line. UTF-16 starts anew with each line wherever it stands: after a lost byte
// only that line is spoilt.
func (t *csvTable) read() ([]byte, error) {
	t.line = t.line[:0]
	var total int
	var before, last byte // the last two bytes
	for {
		part, err := t.r.ReadSlice(t.eol)
		total += len(part)
		if len(t.line)+len(part) <= longestLine && total == len(t.line)+len(part) {
			t.line = append(t.line, part...)
		}
		if n := len(part); n > 1 {
			before, last = part[n-2], part[n-1]
		} else if n == 1 {
			before, last = last, part[0]
		}
		end := 0 // bytes of the line's end
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF) && total == 0:
			return nil, io.EOF
		case errors.Is(err, io.EOF):
		case err != nil:
			return nil, err
		case t.order == nil:
			end = 1
		case t.order == binary.ByteOrder(binary.BigEndian):
			if total < 2 || before != 0 {
				continue // one half of another character
			}
			end = 2
		default:
			next, err := t.r.Peek(1)
			if err == nil && next[0] != 0 {
				continue
			}
			if err == nil {
				_, _ = t.r.Discard(1)
			}
			end = 1
		}
		if total > len(t.line) {
			return nil, errLongLine
		}
		return t.line[:total-end], nil
	}
}

// decode gives the text of a line. The header is read in whatever encoding it is: its names are known.
func (t *csvTable) decode(raw []byte) (string, error) {
	header := t.comma == ""
	switch {
	case t.order != nil:
		if len(raw)%2 != 0 {
			return "", errEncoding
		}
		units := make([]uint16, len(raw)/2)
		for i := range units {
			units[i] = t.order.Uint16(raw[2*i:])
		}
		raw = []byte(string(utf16.Decode(units)))
	case t.encoding == "GB18030" && !isUTF8(raw), header && !utf8.Valid(raw):
		return decodeGB(raw)
	case t.encoding == "GB18030" && !header:
		return "", errEncoding // it would read as other Chinese characters
	}
	if !utf8.Valid(raw) || bytes.ContainsRune(raw, utf8.RuneError) {
		return "", errEncoding
	}
	return string(raw), nil
}

// splitCSV splits one line. A quotation mark inside a field that is not quoted stands for itself if it has its pair in the
// same field; anything else that RFC 4180 does not allow is an error, for nobody can say where such a field ends.
func splitCSV(line, comma string) ([]string, error) {
	var cells []string
	for {
		var cell string
		if rest, quoted := strings.CutPrefix(line, `"`); quoted {
			var b strings.Builder
			for {
				text, after, closed := strings.Cut(rest, `"`)
				if !closed {
					return nil, errBrokenLine
				}
				b.WriteString(text)
				if rest, closed = strings.CutPrefix(after, `"`); !closed {
					break
				}
				b.WriteByte('"')
			}
			cell, line = b.String(), rest
			if line != "" && !strings.HasPrefix(line, comma) {
				return nil, errBrokenLine
			}
		} else {
			i := strings.Index(line, comma)
			if i < 0 {
				i = len(line)
			}
			cell, line = line[:i], line[i:]
			if strings.Count(cell, `"`)%2 != 0 {
				return nil, errBrokenLine
			}
		}
		cells = append(cells, cell)
		if line == "" {
			return cells, nil
		}
		line = line[len(comma):]
	}
}

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
