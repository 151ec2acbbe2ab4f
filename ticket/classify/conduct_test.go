package classify

import (
	"bufio"
	"os"
	"strings"
	"testing"
)

// Complaints about conduct that name neither a lapse nor an office the usual way, and titles that look like them; see docs/classify.md, set 9.
func TestConductHasRecallAndItsLookalikesAreLeftAlone(t *testing.T) {
	c, err := Standard()
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open("testdata/conduct9.tsv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	n := 0
	for sc := bufio.NewScanner(f); sc.Scan(); {
		want, title, ok := strings.Cut(sc.Text(), "\t")
		if !ok {
			continue
		}
		n++
		if got := c.Classify(title, "").Domain; (got == "执法与服务监督") != (want == "Y") {
			t.Errorf("%q: %s", title, got)
		}
	}
	if n < 40 {
		t.Errorf("%d titles", n)
	}
}
