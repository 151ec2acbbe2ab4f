package oversee

import (
	"strings"
	"testing"

	"lianxin/ticket"
)

// W9 by window and clerk: two citizens who are not satisfied with what became of requests about one window are enough.
func TestBadRatingsOfRequestsAboutOneWindowAreACluster(t *testing.T) {
	each2(t, func(h *house) {
		for i, text := range []string{"办身份证被推诿", "办居住证让人白跑"} {
			k := h.handling(h.open(i, text, text+"，窗口人员不耐烦", func(in *ticket.Intake) { in.WindowNo, in.ClerkNo, in.UnitHint = "3号", "B0317", unitA }), unitA)
			h.unsatisfied(k, 0)
		}
		h.sweep()
		var said []string
		for _, a := range h.raised("W9") {
			said = append(said, a.Subject+" "+a.Evidence)
		}
		all := strings.Join(said, "\n")
		for _, want := range []string{"clerk/" + unitA + "/B0317", "窗口3号", "工号B0317"} {
			if !strings.Contains(all, want) {
				h.t.Errorf("no warning says %s:\n%s", want, all)
			}
		}
	})
}
