package report

import (
	"testing"

	"lianxin/storage"
	"lianxin/storage/storagetest"
	"lianxin/ticket"
)

// RES-12: praise is found by its kind, and 满意率 is the same with or without it, counted from the tables and from the log.
func TestPraiseIsListedApartAndLeavesSatisfactionAsItIs(t *testing.T) {
	b := newBureau(t, storagetest.SQLite(t), 8)
	rates := func() (out []Figure) {
		b.view(func(tx *storage.Tx) error {
			for _, id := range []string{"satisfied_raw", "satisfied", "satisfied_of_invited"} {
				f, err := b.r.Figure(tx, id, year, Scope{})
				if err != nil {
					return err
				}
				out = append(out, f)
			}
			diff, _, err := b.r.Recount(tx, year)
			if len(diff) > 0 {
				t.Errorf("%v", diff)
			}
			return err
		})
		return out
	}
	b.update(func(tx *storage.Tx) error {
		b.answered(tx, 0, 5, nil)
		b.answered(tx, 1, 2, nil)
		return nil
	})
	without := rates()
	b.update(func(tx *storage.Tx) error {
		for i := range 3 {
			b.answered(tx, 2+i, 5, func(in *ticket.Intake) {
				in.Kind, in.Title, in.Body = ticket.Praise, "送锦旗", "感谢民警帮我找回走失的老人"
			})
		}
		return nil
	})
	for i, f := range rates() {
		if f.N != without[i].N || f.Value != without[i].Value {
			t.Errorf("%s is %.4f of %d with praise, %.4f of %d without", f.Metric.ID, f.Value, f.N, without[i].Value, without[i].N)
		}
	}
	b.view(func(tx *storage.Tx) error {
		rows, n, err := b.r.List(tx, "responded", Whole, year, Scope{Kind: string(ticket.Praise)}, 10, 0)
		if n != 3 || len(rows) != 3 {
			t.Errorf("%d requests of praise are listed", n)
		}
		return err
	})
}
