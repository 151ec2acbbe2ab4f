package survey

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"time"

	"lianxin/workday"
)

// Any bytes may be handed in as a file: reading ends, and never panics.
func FuzzTable(f *testing.F) {
	for _, s := range []string{"业务类别,业务流水号,办理时间,电话,单位\n户政,1,2026-11-22,19900000001,x\n", "a;b\n\"c", "\xff\xfea\x00,\x00", "PK\x03\x04", "\xb5\xe7\xbb\xb0,\xff\n", "\ufeff姓名\r\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		rows, _, err := openTable(bytes.NewReader(b))
		if err != nil {
			return
		}
		defer rows.Close()
		for n := 0; ; n++ {
			if n > len(b)+1 {
				t.Fatalf("%d lines out of %d bytes", n, len(b))
			}
			cells, _, err := rows.Next()
			if errors.Is(err, errBrokenLine) {
				continue
			}
			if errors.Is(err, io.EOF) || err != nil {
				return
			}
			c, err := readHeader(cells, true)
			if err != nil {
				continue
			}
			get := c.reader(cells)
			_, _ = readTime(get(colTime))
			_, _ = readBirth(get(colBorn), get(colIdentity))
		}
	})
}

func TestTimesOfTheSourceSystems(t *testing.T) {
	want := time.Date(2026, 11, 22, 8, 5, 0, 0, workday.Zone)
	for _, s := range []string{"2026-11-22 08:05:00", "2026-11-22 8:5", "2026/11/22 08:05:00.000", "2026.11.22 08:05", "2026年11月22日 8时5分", "2026年11月22日08:05:00",
		"20261122080500", "202611220805", "2026-11-22T08:05:00", "2026-11-22T08:05:00+08:00", "2026-11-22T00:05:00Z", "46348.336805555555", " 2026-11-22  08：05 "} {
		if got, err := readTime(s); err != nil || !got.Equal(want) {
			t.Errorf("%q: %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"2026-11-22", "20261122", "2026年11月22日", "46348"} {
		if got, err := readTime(s); err != nil || !got.Equal(workday.DateOf(2026, 11, 22).Start()) {
			t.Errorf("%q: %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "昨天下午", "2026-13-01", "2026-02-30 10:00", "8:05", "19900000001", "2026-11-22 25:00", "0001-01-01", "NaN", "1e5"} {
		if got, err := readTime(s); err == nil {
			t.Errorf("%q was read as %v", s, got)
		}
	}
}
