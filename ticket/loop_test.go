package ticket

import (
	"testing"

	"lianxin/storage"
)

func TestMainPath(t *testing.T) {
	each(t, func(h *house) {
		k := h.rating(nil)
		k = h.rate(k.ID, 4)
		if k.State != Closed || k.Outcome != Rated || k.Stars != 4 || k.RepliedAt.IsZero() || k.ClosedAt.IsZero() {
			h.t.Errorf("closed as %+v", k)
		}
		var labels []string
		h.view(func(tx *storage.Tx) error {
			line, err := h.Timeline(tx, k.ID)
			for _, m := range line {
				labels = append(labels, m.Label)
			}
			return err
		})
		h.t.Log(labels)
		h.whole()
	})
}
