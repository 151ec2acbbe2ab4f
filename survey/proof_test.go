package survey_test

import (
	"testing"

	"lianxin/storage"
	"lianxin/survey"
)

// TestARatingOrADecisionThatIsChangedUnseenIsNoticed spoils one thing after another, as somebody with access to the
// database would, and puts it right again.
func TestARatingOrADecisionThatIsChangedUnseenIsNoticed(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.importText(header +
			"110,J1,2026-11-22 10:00,赵一,13800000001,,210502-zhanqian,求助,,\n" +
			"110,J2,2026-11-22 11:00,钱二,13800000002,,210502-zhanqian,求助,,\n" +
			"110,J3,2026-11-22 11:00,孙三,024-42800000,,210502-zhanqian,求助,,\n")
		h.run("2026-11-22")
		h.settle()
		h.reply("13800000001", "5 态度太差")
		h.reply("13800000002", "1")
		h.reply("13800000002", "发错了，2")
		p, err := survey.Verify(h.ctx, h.db)
		if err != nil || p.Answers != 3 || p.Decisions != 3 || p.Older != 0 {
			t.Fatalf("untouched: %+v, %v", p, err)
		}
		for _, c := range []struct{ name, spoil, mend string }{
			{"a 5 made a 1", `UPDATE survey_answer SET rating = 1 WHERE rating = 5`, `UPDATE survey_answer SET rating = 5 WHERE label = 'rating' AND why LIKE '%agree%' AND rating = 1`},
			{"the rating that counts", `UPDATE survey_ask SET rating = 1 WHERE rating = 5`, `UPDATE survey_ask SET rating = 5 WHERE rating = 1`},
			{"the rating taken away", `UPDATE survey_ask SET rating = NULL WHERE rating = 5`, `UPDATE survey_ask SET rating = 5 WHERE rating IS NULL`},
			{"a rating called late", `UPDATE survey_answer SET place = 'late' WHERE rating = 5`, `UPDATE survey_answer SET place = 'open' WHERE rating = 5`},
			{"a reason why not asked", `UPDATE survey_decision SET reason = 'opted_out' WHERE reason = 'fixed_line'`, `UPDATE survey_decision SET reason = 'fixed_line' WHERE reason = 'opted_out'`},
			{"a decision out of its batch", `UPDATE survey_decision SET batch = '' WHERE reason = 'fixed_line'`, `UPDATE survey_decision SET batch = (SELECT MAX(batch) FROM survey_decision) WHERE batch = ''`},
		} {
			h.update(func(tx *storage.Tx) error {
				if n, err := tx.Exec(c.spoil); err != nil || n != 1 {
					t.Fatalf("%s: %d rows, %v", c.name, n, err)
				}
				return nil
			})
			if _, err := survey.Verify(h.ctx, h.db); err == nil {
				t.Errorf("%s: not noticed", c.name)
			}
			h.update(func(tx *storage.Tx) error { _, err := tx.Exec(c.mend); return err })
			if _, err := survey.Verify(h.ctx, h.db); err != nil {
				t.Fatalf("%s, put right: %v", c.name, err)
			}
		}
		h.update(func(tx *storage.Tx) error {
			_, err := tx.Exec(`INSERT INTO survey_answer (id, inbound_id, ask_id, place, phone_hash, contact_id, received_at, label, rating, danger, why, trace, lexicon, counted, review)
				SELECT 'forged', 'forged', ask_id, place, phone_hash, contact_id, received_at + 60000, label, 1, danger, why, trace, lexicon, FALSE, review FROM survey_answer WHERE rating = 5`)
			return err
		})
		if _, err := survey.Verify(h.ctx, h.db); err == nil {
			t.Error("an answer that was put in: not noticed")
		}
	})
}
