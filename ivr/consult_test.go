package ivr_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"lianxin/contact"
	"lianxin/ivr"
	"lianxin/ivr/ivrtest"
	"lianxin/storage"
	"lianxin/ticket"
)

func TestAQuestionInTheCallersOwnWordsIsAnsweredOnceItIsConfirmed(t *testing.T) {
	t.Parallel()
	s := ivrtest.New(t, ivrtest.Options{Change: func(cfg *ivr.Config) { cfg.Hear = ears("请问第一次办身份证要带什么") }})
	call := dial(t, s, "13841400001")
	hears(t, s, call, "menu.main")
	must(t, call.Press(patient(t), "2"))
	hears(t, s, call, "kb.speak", "kb.menu")
	call.Tone(440)
	hears(t, s, call, "kb.confirm", "kb.id-card-first.title", "kb.confirm.ask")
	call.Tone(0)
	must(t, call.Press(patient(t), "1"))
	hears(t, s, call, "kb.id-card-first")
	must(t, call.Press(patient(t), "1"))
	hears(t, s, call, "kb.solved.yes")
	must(t, call.Hangup(patient(t)))
	s.Quiet(t)
	r := s.Records(t)[0]
	if r.Disposition != ivr.Served || len(r.Answers) != 1 || r.Answers[0] != "id-card-first" {
		t.Errorf("%s %v", r.Disposition, r.Answers)
	}
}

func TestAQuestionThatTheKnowledgeBaseDoesNotKnowComesToAPersonWithItsWords(t *testing.T) {
	t.Parallel()
	s := ivrtest.New(t, ivrtest.Options{Change: func(cfg *ivr.Config) { cfg.Hear = ears("火星殖民地几点开门") }})
	op := s.Operator(t, "8001")
	call := dial(t, s, "13841400001")
	hears(t, s, call, "menu.main")
	must(t, call.Press(patient(t), "2"))
	hears(t, s, call, "kb.speak")
	call.Tone(440)
	hears(t, s, call, "kb.again") // says nothing more, and is put through
	hears(t, s, call, "kb.none")
	ring := <-op.Incoming()
	answered, err := ring.Answer(patient(t))
	must(t, err)
	must(t, answered.HearsTone(patient(t), 440))
	must(t, call.Hangup(patient(t)))
	s.Quiet(t)
	s.View(t, func(tx *storage.Tx) error {
		tk, err := s.Office.Get(tx, s.Records(t)[0].TicketID)
		if tk.Kind != ticket.Inquiry || !strings.Contains(tk.Body, "火星殖民地几点开门") {
			t.Errorf("%s %q", tk.Kind, tk.Body)
		}
		return err
	})
}

func TestWithoutARecogniserNobodyIsAskedToSpeakAnd110IsHeardInTheCategories(t *testing.T) {
	t.Parallel()
	s := ivrtest.New(t, ivrtest.Options{})
	call := dial(t, s, "13841400001")
	hears(t, s, call, "menu.main")
	must(t, call.Press(patient(t), "2"))
	hears(t, s, call, "kb.menu")
	must(t, call.Press(patient(t), "*"))
	hears(t, s, call, "menu.main")
	must(t, call.Press(patient(t), "2"))
	hears(t, s, call, "kb.menu")
	time.Sleep(1700 * time.Millisecond) // 110 right behind a key of a menu is not meant
	must(t, call.Press(patient(t), "110"))
	hears(t, s, call, "danger.110")
	must(t, call.Hangup(patient(t)))
	s.Quiet(t)
	for _, step := range s.Records(t)[0].Steps {
		for _, said := range step.Said {
			if said == "kb.speak" {
				t.Error("asked to speak though nobody listens")
			}
		}
	}
}

func TestAMarkedCallerIsPutThroughWithoutTheMenu(t *testing.T) {
	t.Parallel()
	s := ivrtest.New(t, ivrtest.Options{Change: func(cfg *ivr.Config) {
		cfg.Flags = func(_ context.Context, number contact.Phone) ([]string, error) {
			if number.Clear() == "13841400001" {
				return []string{"vip"}, nil
			}
			return nil, nil
		}
	}})
	op := s.Operator(t, "8001")
	call := dial(t, s, "13841400001")
	ring := <-op.Incoming()
	_, err := ring.Answer(patient(t))
	must(t, err)
	must(t, call.Hangup(patient(t)))
	s.Quiet(t)
	for _, step := range s.Records(t)[0].Steps {
		for _, said := range step.Said {
			if said == "menu.main" {
				t.Error("led through the menu")
			}
		}
	}
}
