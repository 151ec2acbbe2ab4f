package survey_test

import (
	"strings"
	"testing"
	"time"

	"lianxin/sms/sim"
	"lianxin/storage"
	"lianxin/survey"
	"lianxin/ticket"
)

// watch returns what a look raises, by subject.
func (h *house) watch() map[string]ticket.Alert {
	h.t.Helper()
	all, err := h.survey.Watch(h.ctx)
	if err != nil {
		h.t.Fatal(err)
	}
	out := map[string]ticket.Alert{}
	for _, a := range all {
		out[a.Subject] = a
	}
	return out
}

func TestSilenceAfterManyTextsIsOneAlarmHoweverLongItLasts(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.rated(40)
		if got := h.watch(); len(got) != 0 {
			t.Fatalf("at once: %v", got)
		}
		h.pass(3 * time.Hour)
		got := h.watch()
		if a := got["replies"]; len(got) != 1 || a.Rule != "W16" || a.Level != ticket.Red || !strings.Contains(a.Evidence, "40") {
			t.Fatalf("after three hours: %v", got)
		}
		h.pass(10 * time.Minute)
		if got := h.watch(); len(got) != 0 {
			t.Errorf("again in the same hour: %v", got)
		}
		h.pass(time.Hour)
		if got := h.watch(); len(got) != 0 {
			t.Errorf("an hour later: %v", got)
		}
		h.reply("19900000003", "1")
		h.pass(time.Hour)
		if got := h.watch(); len(got) != 0 {
			t.Errorf("after a reply: %v", got)
		}
	})
}

func TestAQuietNightAndAQuietSmallDayAreNoAlarm(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.rated(10)
		h.pass(3 * time.Hour)
		if got := h.watch(); len(got) != 0 {
			t.Errorf("ten texts: %v", got)
		}
		h.importText(strings.ReplaceAll(records(100, 60), "2026-11-22", "2026-11-21"))
		h.run("2026-11-21")
		h.settle()
		h.pass(10 * time.Hour) // 22:00
		if got := h.watch(); len(got) != 0 {
			t.Errorf("at night: %v", got)
		}
	})
}

// The incident of 2024: everybody can reply but the residents with numbers of one range.
func TestARangeOfNumbersThatFallsSilentIsFoundAgainstItsOwnBaseline(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		morning := func(day string, first int) {
			text := strings.ReplaceAll(records(first, 160), "2026-11-22", day)
			lines := strings.SplitAfter(text, "\n")
			for i := range lines {
				if i > 80 {
					lines[i] = strings.Replace(lines[i], ",199", ",138", 1)
				}
			}
			h.importText(strings.Join(lines, ""))
			if res := h.run(day); res.Asked != 160 {
				t.Fatalf("asked %d", res.Asked)
			}
			h.settle()
		}
		answer := func(day, prefix string, share int) {
			h.update(func(tx *storage.Tx) error {
				ids, err := storage.All(tx, storage.Value[string], `SELECT id FROM survey_ask WHERE day = $1 AND prefix = $2`, day, prefix)
				for i, id := range ids {
					if err == nil && i*100 < len(ids)*share {
						_, err = tx.Exec(`UPDATE survey_ask SET replied_at = asked_at + 600000 WHERE id = $1`, id)
					}
				}
				return err
			})
		}
		for i, day := range []string{"2026-11-22", "2026-11-23", "2026-11-24", "2026-11-25"} {
			morning(day, 1000*i)
			answer(day, "199", 30)
			if i < 3 {
				answer(day, "138", 30)
				h.pass(24 * time.Hour)
			}
		}
		h.reply("19900003001", "1") // not everything is silent
		h.pass(3 * time.Hour)
		got := h.watch()
		if a, ok := got["carrier/sim/138"]; !ok || len(got) != 1 || a.Level != ticket.Orange || !strings.Contains(a.Evidence, "0.0%") {
			t.Errorf("%v", got)
		}
		h.view(func(tx *storage.Tx) error {
			ways, err := h.survey.Ways(tx)
			if len(ways) != 3 || ways[0].Prefix != "" || ways[0].Sent != 160 || ways[0].WasSent != 480 || ways[1].WasAns != 72 || ways[2].Answered < 24 {
				t.Errorf("%+v", ways)
			}
			return err
		})
	})
}

func TestReceiptsThatStopAreAnAlarm(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		if err := h.sim.Set(h.ctx, sim.Settings{NoReceiptRate: 1}); err != nil {
			t.Fatal(err)
		}
		h.rated(40)
		h.reply("19900000003", "1")
		h.pass(3 * time.Hour)
		if got := h.watch(); len(got) != 1 || got["receipts/sim"].Level != ticket.Orange {
			t.Errorf("%v", got)
		}
	})
}

func TestACanaryThatIsNotHeardIsAnAlarmAndItsSongIsNoReply(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		cfg := *survey.Standard()
		cfg.Watch.Canary = []string{"19911112222"}
		h.survey.Config = &cfg
		if got := h.watch(); got["canary/1"].Level != ticket.Red || strings.Contains(got["canary/1"].Evidence, "19911112222") {
			t.Errorf("%v", got)
		}
		if _, err := h.sim.Reply(h.ctx, h.phone("19911112222"), "1"); err != nil {
			t.Fatal(err)
		}
		h.settle()
		h.pass(time.Hour)
		if got := h.watch(); len(got) != 0 {
			t.Errorf("%v", got)
		}
		if f := h.figures(); f.Strangers != 0 {
			t.Errorf("the canary counts as %d strangers", f.Strangers)
		}
		if n, err := h.inbox.Verify(h.ctx); err != nil || n != 1 {
			t.Errorf("%d raw replies, %v", n, err)
		}
	})
}
