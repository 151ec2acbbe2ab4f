package survey

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"lianxin/table"
)

// Any bytes may be handed in as a file: reading ends, and never panics.
func FuzzTable(f *testing.F) {
	for _, s := range []string{"业务类别,业务流水号,办理时间,电话,单位\n户政,1,2026-11-22,19900000001,x\n", "a;b\n\"c", "\xff\xfea\x00,\x00", "PK\x03\x04", "\xb5\xe7\xbb\xb0,\xff\n", "\ufeff姓名\r\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		rows, _, err := table.Open(bytes.NewReader(b))
		if err != nil {
			return
		}
		defer rows.Close()
		for n := 0; ; n++ {
			if n > len(b)+1 {
				t.Fatalf("%d lines out of %d bytes", n, len(b))
			}
			cells, _, err := rows.Next()
			var bad table.Bad
			if errors.As(err, &bad) {
				if reasons[string(bad)] == [2]string{} {
					t.Fatalf("%q has no words", string(bad))
				}
				continue
			}
			if errors.Is(err, io.EOF) || err != nil {
				return
			}
			c, miss := readHeader(cells, true)
			if miss != nil {
				continue
			}
			get := c.reader(cells)
			_, _ = table.ReadTime(get(colTime))
			_, _ = readBirth(get(colBorn), get(colIdentity))
		}
	})
}
