// Package table reads CSV and XLSX files line by line, in whatever encoding they come, and knows nothing of what they tell.
package table

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/xuri/excelize/v2"
	"golang.org/x/text/encoding/simplifiedchinese"
)

// Rows is a file line by line. Next returns a Bad for a line that cannot be read while later ones can, and io.EOF after
// the last; number is the line's place in the file, from 1.
type Rows interface {
	Next() (cells []string, number int, err error)
	Close() error
}

// Bad is why one line cannot be read, as a stable code for reports.
type Bad string

// Why a line cannot be read.
const (
	ErrBroken   Bad = "broken_line"  // a quotation mark without its pair or out of place, or a field that goes on in the next line
	ErrEncoding Bad = "bad_encoding" // in another encoding than the file, or garbled
	ErrLong     Bad = "too_long"     // longer than a line may be
)

var words = map[Bad]string{
	ErrBroken:   "the line is malformed: a quotation mark without its pair or out of place, or a field that goes on in the next line",
	ErrEncoding: "the line is in another encoding than the file, or garbled",
	ErrLong:     "the line is too long",
}

func (b Bad) Error() string { return words[b] }

// sniffed is how much of a file is looked at to tell what it is.
const sniffed = 1 << 20

// Open finds out what a file is: an XLSX workbook (its first sheet), or CSV in UTF-8 with or without BOM, GBK, GB18030 or
// UTF-16, with comma, semicolon or tab. The second result names it.
func Open(r io.Reader) (Rows, string, error) {
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
		return "", ErrEncoding
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
			return nil, t.n, ErrBroken
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

// Damaged gives the cells of the line that Next read last, as well as they can be read at all, without regard to quotation
// marks: for a report in which somebody mends the line. What cannot be read is U+FFFD.
func (t *csvTable) Damaged() []string {
	comma := t.comma
	if comma == "" {
		comma = ","
	}
	return strings.Split(strings.ReplaceAll(t.damaged(), `"`, ""), comma)
}

func (t *csvTable) damaged() string {
	raw := t.line
	if len(raw) > longestShown {
		raw = raw[:longestShown]
	}
	raw = bytes.TrimRight(raw, "\r\n")
	switch {
	case t.order != nil:
		units := make([]uint16, len(raw)/2)
		for i := range units {
			units[i] = t.order.Uint16(raw[2*i:])
		}
		return string(utf16.Decode(units))
	case utf8.Valid(raw):
		return string(raw)
	}
	if out, err := simplifiedchinese.GB18030.NewDecoder().Bytes(raw); err == nil && !isUTF8Mostly(raw) {
		return string(out)
	}
	return strings.ToValidUTF8(string(raw), "\uFFFD")
}

// longestShown is how much of a damaged line a report shows, in bytes.
const longestShown = 8 << 10

// isUTF8Mostly tells a damaged line of UTF-8 from one of GB18030: most of its characters are whole.
func isUTF8Mostly(raw []byte) bool {
	whole, broken := 0, 0
	for len(raw) > 0 {
		r, n := utf8.DecodeRune(raw)
		switch {
		case r == utf8.RuneError && n <= 1:
			broken++
		case n > 1:
			whole++
		}
		raw = raw[n:]
	}
	return whole > broken
}

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
			return nil, ErrLong
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
			return "", ErrEncoding
		}
		units := make([]uint16, len(raw)/2)
		for i := range units {
			units[i] = t.order.Uint16(raw[2*i:])
		}
		raw = []byte(string(utf16.Decode(units)))
	case t.encoding == "GB18030" && !isUTF8(raw), header && !utf8.Valid(raw):
		return decodeGB(raw)
	case t.encoding == "GB18030" && !header:
		return "", ErrEncoding // it would read as other Chinese characters
	}
	if !utf8.Valid(raw) || bytes.ContainsRune(raw, utf8.RuneError) {
		return "", ErrEncoding
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
					return nil, ErrBroken
				}
				b.WriteString(text)
				if rest, closed = strings.CutPrefix(after, `"`); !closed {
					break
				}
				b.WriteByte('"')
			}
			cell, line = b.String(), rest
			if line != "" && !strings.HasPrefix(line, comma) {
				return nil, ErrBroken
			}
		} else {
			i := strings.Index(line, comma)
			if i < 0 {
				i = len(line)
			}
			cell, line = line[:i], line[i:]
			if strings.Count(cell, `"`)%2 != 0 {
				return nil, ErrBroken
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

func openXLSX(r io.Reader) (Rows, error) {
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
