package table

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"
	"pgregory.net/rapid"

	"lianxin/workday"
)

func TestTimesOfTheSourceSystems(t *testing.T) {
	want := time.Date(2026, 11, 22, 8, 5, 0, 0, workday.Zone)
	for _, s := range []string{"2026-11-22 08:05:00", "2026-11-22 8:5", "2026/11/22 08:05:00.000", "2026.11.22 08:05", "2026年11月22日 8时5分", "2026年11月22日08:05:00",
		"20261122080500", "202611220805", "2026-11-22T08:05:00", "2026-11-22T08:05:00+08:00", "2026-11-22T00:05:00Z", "46348.336805555555", " 2026-11-22  08：05 "} {
		if got, err := ReadTime(s); err != nil || !got.Equal(want) {
			t.Errorf("%q: %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"2026-11-22", "20261122", "2026年11月22日", "46348"} {
		if got, err := ReadTime(s); err != nil || !got.Equal(workday.DateOf(2026, 11, 22).Start()) {
			t.Errorf("%q: %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "昨天下午", "2026-13-01", "2026-02-30 10:00", "8:05", "19900000001", "2026-11-22 25:00", "0001-01-01", "NaN", "1e5"} {
		if got, err := ReadTime(s); err == nil {
			t.Errorf("%q was read as %v", s, got)
		}
	}
}

// Whatever befalls some lines of a file, each physical line is told of once by its number, and the others read as written.
func TestDamagedTableLinesSpoilNoOther(t *testing.T) {
	encodings := map[string]encoding.Encoding{"UTF-8": encoding.Nop, "GB18030": simplifiedchinese.GB18030, "UTF-16LE": unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM),
		"UTF-16BE": unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM)}
	boms := map[string]string{"UTF-16LE": "\xff\xfe", "UTF-16BE": "\xfe\xff"}
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom([]string{"UTF-8", "GB18030", "UTF-16LE", "UTF-16BE"}).Draw(t, "encoding")
		comma := rapid.SampledFrom([]string{",", ";", "\t"}).Draw(t, "comma")
		eol := rapid.SampledFrom([]string{"\n", "\r\n"}).Draw(t, "eol")
		encode := func(s string) []byte {
			out, err := encodings[name].NewEncoder().Bytes([]byte(s))
			if err != nil {
				t.Fatal(err)
			}
			return out
		}
		lines := rapid.SliceOfN(rapid.SliceOfN(rapid.StringMatching(`[户政本溪市通联甲乙丙a-c0-9 ,;"]{0,8}`), 3, 3), 5, 30).Draw(t, "lines")
		file := []byte(boms[name])
		file = append(file, encode(strings.Join([]string{"业务类别", "业务流水号", "姓名"}, comma)+eol)...)
		damaged := map[int]bool{}
		for i, cells := range lines {
			cells[0] = "业" + cells[0]
			var b strings.Builder
			w := csv.NewWriter(&b)
			w.Comma = rune(comma[0])
			if err := w.Write(cells); err != nil {
				t.Fatal(err)
			}
			w.Flush()
			raw := encode(strings.TrimSuffix(b.String(), "\n"))
			if len(damaged) < (len(lines)-1)/2 && rapid.Bool().Draw(t, "damage") {
				damaged[i+2] = true
				at := rapid.IntRange(0, len(raw)-1).Draw(t, "at")
				junk := rapid.SliceOfN(rapid.Byte().Filter(func(b byte) bool { return b != '\n' && b != '\r' }), 0, 5).Draw(t, "junk")
				if rapid.Bool().Draw(t, "quote") {
					junk = encode(`"`)
				}
				raw = slices.Replace(raw, at, at+rapid.IntRange(0, 1).Draw(t, "cut"), junk...)
				if name == "UTF-8" || name == "GB18030" {
					raw = append([]byte("1"), raw...) // an empty line is not told of
				} else {
					raw = append(encode("1"), raw...)
				}
			}
			file = append(append(file, raw...), encode(eol)...)
		}
		rows, _, err := Open(bytes.NewReader(file))
		if err != nil {
			t.Fatal(err)
		}
		for n := 1; n <= len(lines)+1; n++ {
			cells, number, err := rows.Next()
			if number != n {
				t.Fatalf("line %d is called %d", n, number)
			}
			var bad Bad
			if err != nil && !errors.As(err, &bad) {
				t.Fatalf("line %d: %v", n, err)
			}
			if n > 1 && !damaged[n] && (err != nil || !slices.Equal(cells, lines[n-2])) {
				t.Fatalf("line %d of %q: %q, %v; want %q", n, name, cells, err, lines[n-2])
			}
		}
		if cells, n, err := rows.Next(); !errors.Is(err, io.EOF) {
			t.Fatalf("after the last line: %d %q, %v", n, cells, err)
		}
	})
}

func TestCSVLineIsReadByItself(t *testing.T) {
	for line, want := range map[string][]string{
		`a,b,`:           {"a", "b", ""},
		`"a,b",c`:        {"a,b", "c"},
		`"a ""b"" c",""`: {`a "b" c`, ""},
		`""""`:           {`"`},
		`他说"好",c`:        {`他说"好"`, "c"},
		` "a",c`:         {` "a"`, "c"},
		`"甲"乙,c`:         nil,
		`甲"乙,c`:          nil,
		`a,"b`:           nil,
		`a,"`:            nil,
		`a,"看"他","c"`:    nil,
		`说"甲,乙",c`:       nil,
		`a,"b""`:         nil,
	} {
		got, err := splitCSV(line, ",")
		if want == nil && err == nil || want != nil && !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v; want %q", line, got, err, want)
		}
	}
}

// A line without an end is passed over up to its end, and not kept in memory.
func TestTableLineWithoutMeasureIsRefusedAlone(t *testing.T) {
	for name, e := range map[string]encoding.Encoding{"UTF-8": encoding.Nop, "UTF-16": unicode.UTF16(unicode.BigEndian, unicode.UseBOM)} {
		file, err := e.NewEncoder().String("业务类别,姓名\n" + strings.Repeat("长", 3*sniffed) + "\n户政,甲\n")
		if err != nil {
			t.Fatal(err)
		}
		rows, _, err := Open(strings.NewReader(file))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for {
			cells, n, err := rows.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			got = append(got, fmt.Sprint(n, cells, err == ErrLong))
		}
		if want := []string{"1 [业务类别 姓名] false", "2 [] true", "3 [户政 甲] false"}; !slices.Equal(got, want) {
			t.Errorf("%s: %q", name, got)
		}
		if kept := cap(rows.(*csvTable).line); kept > 4*longestLine {
			t.Errorf("%s: %d bytes kept", name, kept)
		}
	}
}
