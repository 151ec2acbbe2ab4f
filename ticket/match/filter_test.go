package match

import (
	"strings"
	"testing"
)

func TestTheFilterReadsNumbersForIDsAndGBK(t *testing.T) {
	in := "\ufeff{\"id\":1,\"user\":77,\"time\":\"2026-01-01\",\"text\":\"彩北小区三号楼的电梯坏了两个星期,老人上不了楼\"}\nxx\n" +
		"{\"id\":2,\"user\":77,\"time\":\"2026-01-02\",\"text\":\"彩北小区3栋的电梯坏了两个星期,老人上不了楼\"}\n{\"id\":3,\"time\":\"2026-01-03\",\"text\":\"\xce\xd2\xd2\xaa\"}\n"
	var out strings.Builder
	if err := Filter(strings.NewReader(in), &out); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 4 || !strings.Contains(lines[1], `"line":2`) || !strings.Contains(lines[2], `"earlier":"1","kind":"repeat","auto":true`) || !strings.Contains(lines[3], `"id":"3"`) {
		t.Errorf("%s", out.String())
	}
}

func TestHousesAreWrittenOneWay(t *testing.T) {
	for in, out := range map[string]string{"三号楼": "3号楼", "3栋": "3号楼", "12幢": "12号楼", "十二号楼": "12号楼", "二十三栋": "23号楼", "三号线": "三号线", "五号": "五号", "栋": "栋", "十栋": "10号楼", "1234栋": "1234栋"} {
		if got := string(houses([]rune(in))); got != out {
			t.Errorf("%s: %s, want %s", in, got, out)
		}
	}
	if name, ok := namedIn([]string{"彩北小区"}, []rune("彩北3号楼电梯")); !ok || name != "彩北小区" {
		t.Errorf("%q %t", name, ok)
	}
	if _, ok := namedIn([]string{"和平小区"}, []rune("和平解决")); ok {
		t.Error("和平小区 is found in 和平解决")
	}
}
