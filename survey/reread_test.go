package survey_test

import (
	"strings"
	"testing"

	"lianxin/storage"
	"lianxin/survey"
	"lianxin/survey/reply"
)

func TestOldRepliesAreReadAgainAndOnlyAPersonChangesARating(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.survey.Lexicon = "old"
		h.survey.Read = func(text string, scale reply.Scale) reply.Verdict { // an older reader that did not know the word
			if strings.Contains(text, "杠杠的") {
				return reply.Verdict{Label: reply.Review, Why: "no clear rating"}
			}
			if text == "还行" {
				return reply.Verdict{Label: reply.Rating, Rating: 2, Why: "words of praise"}
			}
			return reply.Read(text)
		}
		h.importText(records(0, 4))
		h.run("2026-11-22")
		h.settle()
		for i, words := range []string{"还行", "杠杠的", "1", "5 太慢了"} {
			h.reply("1990000000"+string(rune('0'+i)), words)
		}
		h.survey.Read, h.survey.Lexicon = nil, ""
		again := func(queue bool) (survey.Reread, []survey.Change) {
			t.Helper()
			var all []survey.Change
			out, err := h.survey.Reread(h.ctx, survey.RereadOptions{From: h.day("2026-11-20"), To: h.day("2026-11-30"), Queue: queue, By: caller, Change: func(c survey.Change) { all = append(all, c) }})
			if err != nil {
				t.Fatal(err)
			}
			return out, all
		}
		out, all := again(false)
		if out.Read != 4 || out.Changed != 2 || out.Queued != 0 || len(all) != 2 || all[0].Was.Rating != 2 || all[0].Now.Rating != 3 || all[0].Lexicon != "old" || !all[0].Counted {
			t.Fatalf("%+v %+v", out, all)
		}
		if item := h.last("19900000000"); item.Rating != 2 || item.Review != "" {
			t.Errorf("telling changed it: %+v", item.Answer)
		}
		if out, _ = again(true); out.Queued != 1 { // the other one waits for a person already
			t.Errorf("queued %d", out.Queued)
		}
		w := h.figures().Whole
		if w.Ratings != [5]int{1, 1, 0, 0, 1} {
			t.Errorf("ratings %v before a person has decided", w.Ratings)
		}
		id := h.last("19900000000").ID
		h.update(func(tx *storage.Tx) error {
			_, err := h.survey.SettleReview(tx, id, survey.Settlement{Outcome: survey.SettleRating, Rating: 3}, caller)
			return err
		})
		if w = h.figures().Whole; w.Ratings != [5]int{1, 0, 1, 0, 1} {
			t.Errorf("ratings %v afterwards", w.Ratings)
		}
		if _, err := survey.Verify(h.ctx, h.db); err != nil {
			t.Error(err)
		}
	})
}

func TestSealedRepliesAreFoundByTheirWordsAndNotByTheRatedUnit(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.importText(records(0, 3))
		h.run("2026-11-22")
		h.settle()
		h.reply("19900000000", "不满意，门口灯坏了")
		h.reply("19900000001", "1")
		search := func(words, unit string) int {
			n := 0
			h.view(func(tx *storage.Tx) error {
				all, err := h.survey.SearchReplies(tx, words, h.day("2026-11-20"), h.day("2026-11-30"), unit, 10)
				n = len(all)
				return err
			})
			return n
		}
		unit := ""
		h.view(func(tx *storage.Tx) error {
			k, err := survey.AskOf(tx, h.last("19900000000").AskID)
			unit = k.Unit
			return err
		})
		if a, b, c, d := search("灯坏", ""), search("", ""), search("没有这话", ""), search("灯坏", unit); a != 1 || b != 2 || c != 0 || d != 0 {
			t.Errorf("found %d %d %d, the rated unit %d", a, b, c, d)
		}
	})
}
