package survey_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"lianxin/sms"
	"lianxin/storage"
	"lianxin/survey"
	"lianxin/ticket"
)

// texts are the bodies that were sent to a number, in order.
func (h *house) texts(phone string) (out []string) {
	h.t.Helper()
	h.settle()
	all, err := h.sim.Handset(h.ctx, h.phone(phone))
	if err != nil {
		h.t.Fatal(err)
	}
	for _, e := range all {
		if !e.Reply {
			out = append(out, e.Body)
		}
	}
	return out
}

const somebody = "19900000000"

func TestTheDissatisfiedAreAskedWhyOnceAndTheReasonIsNeverARating(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.rated(1)
		first := h.reply(somebody, "5")
		if got := h.texts(somebody); len(got) != 2 || !strings.Contains(got[1], "请简述原因") {
			t.Fatalf("texts %q", got)
		}
		h.pass(time.Hour)
		// Read alone, this would be a person's task or, worse, a rating of 1.
		item := h.reply(somebody, "民警1小时才到，态度还不好")
		if item.Place != survey.Because || item.Rating != 0 || item.Counted || item.Review != "" || item.TicketID != first.TicketID || item.CallbackID != first.CallbackID {
			t.Errorf("the reason was taken for %+v", item.Answer)
		}
		h.view(func(tx *storage.Tx) error {
			tk, err := h.office.Get(tx, first.TicketID)
			if err != nil || !strings.Contains(tk.Body, "民警1小时才到") {
				t.Errorf("the ticket says %q, %v", tk.Body, err)
			}
			list, err := h.survey.RepliesOfTicket(tx, first.TicketID)
			if len(list) != 2 {
				t.Errorf("%d replies stand with the ticket", len(list))
			}
			ask, err2 := survey.AskOf(tx, first.AskID)
			if ask.Rating != 5 {
				t.Errorf("the rating is %d", ask.Rating)
			}
			return errors.Join(err, err2)
		})
		h.reply(somebody, "5")
		if got := h.texts(somebody); len(got) != 2 {
			t.Errorf("asked again: %q", got)
		}
	})
}

func TestWhoTakesTheRatingBackIsNotGivingAReason(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.rated(1)
		h.reply(somebody, "5")
		if item := h.reply(somebody, "1"); item.Place != survey.Correction || !item.Counted {
			t.Errorf("%+v", item.Answer)
		}
		if item := h.reply(somebody, "退订"); item.Place == survey.Because || item.Label != "optout" {
			t.Errorf("%+v", item.Answer)
		}
	})
}

func TestNobodyIsAskedWhyWhoHasSaidItWhoIsSatisfiedOrWhoWantsPeace(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.rated(4)
		for phone, words := range map[string]string{"19900000000": "5 民警态度太差，推来推去", "19900000001": "1", "19900000002": "5，退订", "19900000003": "5 他又打我了，他说要杀了我"} {
			h.reply(phone, words)
			if got := h.texts(phone); len(got) != 1 {
				t.Errorf("after %q: %q", words, got)
			}
		}
	})
}

func TestTheReasonHasItsOwnTimeAndDangerInItRaisesTheAlarm(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.rated(1)
		h.reply(somebody, "4")
		item := h.reply(somebody, "他又打我了，他说要杀了我")
		if item.Place != survey.Because || !item.Danger || item.AlertID == "" || item.Review != "pending" {
			t.Errorf("%+v", item.Answer)
		}
		err := h.db.Update(h.ctx, func(tx *storage.Tx) error {
			_, err := h.survey.SettleReview(tx, item.ID, survey.Settlement{Outcome: survey.SettleRating, Rating: 1}, ticket.System)
			return err
		})
		if !errors.Is(err, survey.ErrSettlement) {
			t.Errorf("a reason was rated: %v", err)
		}
		h.pass(25 * time.Hour)
		if item := h.reply(somebody, "我的身份证什么时候能取？"); item.Place == survey.Because {
			t.Errorf("a day later: %+v", item.Answer)
		}
	})
}

func TestAnUnclearReplyIsAskedAboutAtMostOnceWhereSwitchedOn(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.rated(1)
		h.reply(somebody, "5 非常满意")
		if got := h.texts(somebody); len(got) != 1 {
			t.Fatalf("asked though it is switched off: %q", got)
		}
		cfg := *survey.Standard()
		cfg.Clarify.Enabled = true
		h.survey.Config = &cfg
		for _, words := range []string{"你们几点上班？", "请给我回电话", "我要投诉"} { // they are not told that nobody understood them
			if item := h.reply(somebody, words); item.Review != "pending" {
				t.Errorf("%s: %+v", words, item.Answer)
			}
		}
		if got := h.texts(somebody); len(got) != 1 {
			t.Fatalf("a question was answered with a question: %q", got)
		}
		for range 3 {
			h.reply(somebody, "5 非常满意")
		}
		got := h.texts(somebody)
		if len(got) != 2 || !strings.Contains(got[1], "只回复一个数字：1非常满意") {
			t.Fatalf("texts %q", got)
		}
		if item := h.reply(somebody, "1"); item.Place != survey.InTime || !item.Counted || item.Rating != 1 {
			t.Errorf("%+v", item.Answer)
		}
		for _, text := range got {
			if n := sms.Measure(text).Segments; n != 1 {
				t.Errorf("%d segments: %s", n, text)
			}
		}
	})
}
