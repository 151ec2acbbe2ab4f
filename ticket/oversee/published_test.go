package oversee

import (
	"fmt"
	"testing"
	"time"

	"lianxin/storage"
)

// RES-2: 2257 matters reviewed, 59 problems of enforcement and 50 of windows come out of the events of the reviews themselves.
func TestASeededReplayGivesThePublishedFiguresOfReviews(t *testing.T) {
	h := small(t)
	n := 0
	review := func(d Domain, matters, problems int) {
		for ; matters > 0; matters -= 50 {
			var refs []string
			for range min(matters, 50) {
				n++
				refs = append(refs, fmt.Sprintf("R%05d", n))
			}
			h.update(func(tx *storage.Tx) error {
				b, err := h.desk.OpenBackcheck(tx, BackcheckIn{Domain: d, Unit: "legal", Of: unitA, Refs: refs, Cause: "例行评查"}, h.supervisor)
				if err != nil {
					return err
				}
				if _, err = h.desk.ReceiveBackcheck(tx, b.ID, h.legal); err != nil {
					return err
				}
				for _, ref := range refs {
					var found []FindingIn
					if problems > 0 {
						problems--
						found = []FindingIn{{Text: "程序不规范", Measure: "限期补正"}}
					}
					if _, err := h.desk.ReviewItem(tx, b.ID, ref, found, h.legal); err != nil {
						return err
					}
				}
				return nil
			})
		}
	}
	review(CaseReview, 1300, 40)
	review(TrafficReview, 500, 19)
	review(WindowReview, 457, 50)
	h.view(func(tx *storage.Tx) error {
		list, err := h.desk.ReviewCounts(tx, time.Time{}, time.Time{})
		reviewed, enforcement, window := 0, 0, 0
		for _, x := range list {
			reviewed += x.Reviewed
			if x.Domain.Problem() == "window" {
				window += x.Problems
			} else {
				enforcement += x.Problems
			}
		}
		if reviewed != 2257 || enforcement != 59 || window != 50 {
			t.Errorf("%d reviewed, %d and %d problems", reviewed, enforcement, window)
		}
		return err
	})
}
