package survey_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"lianxin/storage"
	"lianxin/survey"
)

// W9: a record says at which window and by whom it was served; a rating and the figures by window say it, too. What a source
// does not tell is blank, and a file without such columns is the same file as before.
func TestRatingsAndFiguresKnowTheWindowWhereTheSourceTellsIt(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		var file strings.Builder
		file.WriteString("业务类别,业务流水号,办理时间,姓名,电话,单位编码,事项,窗口号,工号\n")
		for i := range 6 {
			window, clerk := "3", "0317"
			if i == 5 {
				window, clerk = "", ""
			}
			fmt.Fprintf(&file, "户政,W%d,2026-11-22 10:0%d,王某,199%08d,benxi-huzheng-chuangkou,换证,%s,%s\n", i, i, i, window, clerk)
		}
		if got := h.importText(file.String()); got.Accepted != 6 {
			t.Fatalf("%+v", got)
		}
		if got := h.importText(file.String()); got.Known != 6 {
			t.Errorf("the same file again: %+v", got)
		}
		if got := h.importText(strings.Replace(file.String(), "换证,3,0317", "换证,4,0317", 1)); got.Corrected != 1 || got.Known != 5 {
			t.Errorf("a window that was corrected: %+v", got)
		}
		h.run("2026-11-22")
		h.settle()
		for i, digit := range []string{"5", "5", "1", "1", "1", "1"} {
			h.reply(fmt.Sprintf("199%08d", i), digit)
		}
		h.view(func(tx *storage.Tx) error {
			all, err := survey.ServiceRatings(tx, h.now().Add(-48*time.Hour), h.now().Add(time.Hour))
			got := map[string]int{}
			for _, r := range all {
				got[r.Window+"/"+r.Clerk]++
			}
			if len(all) != 6 || got["4/0317"] != 1 || got["3/0317"] != 4 || got["/"] != 1 {
				t.Errorf("ratings %v", got)
			}
			return err
		})
		f := h.figures()
		n := map[string]int{}
		for _, r := range f.ByWindow {
			n[r.Name] = r.N
		}
		if len(n) != 2 || f.Whole.N != 6 {
			t.Errorf("by window %v of %d", n, f.Whole.N)
		}
		for name, rated := range n {
			if want := map[bool]int{true: 4, false: 1}[strings.HasSuffix(name, " 3号窗口")]; rated != want {
				t.Errorf("%s: %d", name, rated)
			}
		}
		items := h.items("2026-11-22")
		if items[0].Window != "4" || items[0].Clerk != "0317" || items[5].Window != "" {
			t.Errorf("%q %q %q", items[0].Window, items[0].Clerk, items[5].Window)
		}
	})
}
