package ivr_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"lianxin/ivr"
	"lianxin/ivr/ivrtest"
	"lianxin/storage"
	"lianxin/ticket"
)

// after reads what is left of the first call when all is over.
func after(t *testing.T, s *ivrtest.Stage) (r ivr.Record, tk ticket.Ticket, owed []ticket.Callback, alerts []ticket.Alert) {
	t.Helper()
	s.Quiet(t)
	r = s.Records(t)[0]
	s.View(t, func(tx *storage.Tx) (err error) {
		if r.TicketID != "" {
			if tk, err = s.Office.Get(tx, r.TicketID); err != nil {
				return err
			}
		}
		if owed, _, err = s.Office.Callbacks(tx, ticket.CallbackFilter{Viewer: ticket.System}); err != nil {
			return err
		}
		alerts, _, err = s.Office.Alerts(tx, ticket.AlertFilter{Viewer: ticket.System})
		return err
	})
	// That nobody is on duty is an alert of its own.
	alerts = slices.DeleteFunc(alerts, func(a ticket.Alert) bool { return a.Rule == "queue_unmanned" })
	return r, tk, owed, alerts
}

// Whoever keys 110 and hangs up in the middle of the warning, or in the queue, is not forgotten.
func TestAnUrgentCallerWhoIsNotServedRaisesARedAlert(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, last, number string }{
		{"in the warning", "danger.110", "13841400001"}, {"in the message", "message.intro", "13841400001"}, {"without a number", "danger.110", "anonymous"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var log strings.Builder
			s := ivrtest.New(t, ivrtest.Options{Log: &log})
			call := dial(t, s, c.number)
			hears(t, s, call, "menu.main")
			must(t, call.Press(patient(t), "110"))
			hears(t, s, call, c.last)
			must(t, call.Hangup(patient(t)))
			r, tk, owed, alerts := after(t, s)
			if !r.Urgent || r.Disposition != ivr.Abandoned {
				t.Errorf("record: urgent %t, %s", r.Urgent, r.Disposition)
			}
			if !strings.Contains(tk.Title, "110") || !strings.Contains(tk.Body, "按110") || !strings.Contains(tk.Body, "未与坐席通话") || tk.Colour != ticket.Orange {
				t.Errorf("ticket %s %q %q", tk.Colour, tk.Title, tk.Body)
			}
			if len(alerts) != 1 || alerts[0].Level != ticket.Red || alerts[0].Rule != "urgent_call" || alerts[0].CallID != r.ID || alerts[0].TicketID != tk.ID {
				t.Errorf("alerts %+v", alerts)
			}
			if c.number == "anonymous" {
				if len(owed) != 0 || !strings.Contains(tk.Body, "无法回电") {
					t.Errorf("%d call-backs to nobody, ticket %q", len(owed), tk.Body)
				}
			} else if len(owed) != 1 || owed[0].Due.Sub(owed[0].OpenedAt) > 10*time.Minute || owed[0].TicketID != tk.ID {
				t.Errorf("call-backs %+v", owed)
			}
			if strings.Contains(log.String(), "level=ERROR") {
				t.Errorf("a hang-up is logged as an error:\n%s", log.String())
			}
		})
	}
}

// A caller hangs up at every moment of the way: never an ERROR, and never a call-back whose ticket is missing.
func TestAHangUpAtAnyMomentIsNoErrorAndLeavesTheTruth(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	s := ivrtest.New(t, ivrtest.Options{Log: &log})
	s.Operator(t, "8001")
	phone := s.Phone(t, "13841400001")
	const tries = 10
	for i := range tries {
		c, err := phone.Dial(patient(t), "46110110")
		must(t, err)
		s.Until(t, "the notice is played", func() bool { return c.Leg().Stats().PacketsIn >= 10 })
		must(t, c.Press(patient(t), "0"))
		time.Sleep(time.Duration(i*20) * time.Millisecond)
		must(t, c.Hangup(patient(t)))
	}
	s.Quiet(t)
	abandoned := 0
	for _, r := range s.Records(t) {
		if r.CallbackID != "" && r.TicketID == "" {
			t.Errorf("call %s ended %s with a call-back and no ticket", r.ID, r.Disposition)
		}
		if r.Disposition != ivr.Abandoned {
			continue
		}
		abandoned++
		s.View(t, func(tx *storage.Tx) error {
			tk, err := s.Office.Get(tx, r.TicketID)
			if tk.Title != "未接通来电，待回拨" || !strings.Contains(tk.Body, "后挂机，未与坐席通话。") {
				t.Errorf("ticket of an abandoned call: %q %q", tk.Title, tk.Body)
			}
			return err
		})
	}
	if abandoned == 0 {
		t.Error("no call was abandoned")
	}
	text := log.String()
	if strings.Contains(text, "level=ERROR") || strings.Count(text, "ivr: call begins") != tries || strings.Count(text, "ivr: call ended") != tries {
		t.Errorf("the log:\n%s", text)
	}
}

// A stop of the program owes a caller in the menu the same as kill -9 does.
func TestDrainOwesACallerInTheMenuACall(t *testing.T) {
	t.Parallel()
	s := ivrtest.New(t, ivrtest.Options{})
	call := dial(t, s, "13841400001")
	hears(t, s, call, "menu.main")
	now, cancel := context.WithCancel(context.Background())
	cancel()
	s.Hotline.Drain(now)
	r, _, owed, _ := after(t, s)
	if r.Disposition != ivr.Interrupted || r.CallbackID == "" || len(owed) != 1 || owed[0].Reason != "通话因系统中断" {
		t.Errorf("%s, call-back %q, owed %+v", r.Disposition, r.CallbackID, owed)
	}
}
