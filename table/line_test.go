package table

import (
	"errors"
	"testing"
)

func TestALineIsReadInEitherEncodingOrRefused(t *testing.T) {
	for _, x := range []struct{ in, out string }{
		{`{"text":"我要跳楼"}`, `{"text":"我要跳楼"}`},
		{"{\"text\":\"\xce\xd2\xd2\xaa\xcc\xf8\xc2\xa5\"}", `{"text":"我要跳楼"}`},
		{"我要跳楼，再不解决\xff我就去", "我要跳楼，再不解决\xff我就去"},
		{"", ""},
		{"abc", "abc"},
	} {
		got, err := UTF8([]byte(x.in))
		if err != nil || string(got) != x.out {
			t.Errorf("%q: %q, %v", x.in, got, err)
		}
	}
	for _, bad := range []string{"\xff\xfe\xff"} {
		if got, err := UTF8([]byte(bad)); !errors.Is(err, ErrEncoding) {
			t.Errorf("%q: %q, %v", bad, got, err)
		}
	}
}
