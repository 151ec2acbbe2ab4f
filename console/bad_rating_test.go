package console

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"lianxin/storage"
	"lianxin/survey"
	"lianxin/ticket"
	"lianxin/workday"
)

// TestABadRatingIsCalledBackHandledReviewedAndRatedAgain plays what follows a 5 (SMS-5) to its end, and looks at each step
// with the eyes of the rated unit, to whom it must stay unknown who has rated.
func TestABadRatingIsCalledBackHandledReviewedAndRatedAgain(t *testing.T) {
	h := newHouse(t)
	s := &sample{house: h}
	const number, words = "19900009753", "5，民警推来推去，没人管"
	yesterday := h.dayBefore()
	_, err := h.survey.Import(h.ctx, strings.NewReader("业务类别,业务流水号,办理时间,姓名,电话,单位编码,事项\n110,JQ-77,"+yesterday.String()+" 10:00,孔令仪,"+number+",210502-zhanqian,纠纷\n"), "r.csv", survey.ImportOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.survey.Run(h.ctx, yesterday, survey.RunOptions{}); err != nil {
		t.Fatal(err)
	}
	flush := func() {
		t.Helper()
		for range 3 {
			if _, err := h.outbox.Flush(h.ctx); err != nil {
				t.Fatal(err)
			}
			h.pass(time.Minute)
			if _, err := h.sim.Flush(h.ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
	flush()
	if _, err := h.sim.Reply(h.ctx, h.phoneOf(number), words); err != nil {
		t.Fatal(err)
	}
	flush()

	var x ticket.Ticket
	var cb ticket.Callback
	h.view(func(tx *storage.Tx) error {
		list, _, err := h.office.List(tx, ticket.Filter{Viewer: ticket.System, Channel: "sms"})
		if err != nil || len(list) != 1 {
			t.Fatalf("%d tickets, %v", len(list), err)
		}
		x = list[0]
		calls, _, err := h.office.Callbacks(tx, ticket.CallbackFilter{Viewer: h.actor("caller1"), Kind: ticket.CallbackRating})
		if err != nil || len(calls) != 1 {
			t.Fatalf("%d call-backs, %v", len(calls), err)
		}
		cb = calls[0]
		return nil
	})
	if x.Kind != ticket.Complaint || !x.Proactive {
		t.Errorf("the ticket is %s, proactive %v", x.Kind, x.Proactive)
	}
	if d := cb.Due.Sub(h.now()); d > 24*time.Hour || d < 23*time.Hour {
		t.Errorf("the call-back is due in %s, want 24 h", d)
	}
	// unseen walks through every page that the rated unit's officers have, at every step.
	unseen := func(step string) {
		t.Helper()
		for _, login := range []string{"handler1"} {
			s.hidden(t, login, x)
			b := h.as(login)
			for _, g := range menu {
				for _, m := range g.items {
					p := b.get(m.path)
					for _, sign := range []string{x.ID, x.Number, cb.ID, number, "199****9753", "推来推去", "孔令仪", "JQ-77"} {
						if strings.Contains(p.body, sign) {
							t.Errorf("%s: %s finds %q on %s", step, login, sign, m.path)
						}
					}
				}
			}
			for _, path := range []string{"/callbacks/" + cb.ID, "/survey/list?day=" + yesterday.String() + "&figure=unhappy", "/survey/export?day=" + yesterday.String(),
				"/survey/figures/export", "/replies", "/texts", "/exclusions", "/api/v1/survey/days/" + yesterday.String()} {
				if p := b.get(path); p.status == http.StatusOK {
					t.Errorf("%s: %s may open %s", step, login, path)
				}
			}
		}
	}
	unseen("rated")

	caller := h.as("caller1")
	path := "/callbacks/" + cb.ID
	if p := caller.post(path+"/take", form("assignee", "")); p.status != http.StatusOK {
		t.Fatalf("take: %d %s", p.status, alertIn(p.body))
	}
	caller.post(path+"/try", form("outcome", "reached", "note", "核实：群众反映属实"))
	if p := caller.post(path+"/finish", form("done", "yes", "note", "属实，转分局整改")); p.status != http.StatusOK {
		t.Errorf("finish: %d %s", p.status, alertIn(p.body))
	}
	unseen("called back")

	o, disp := h.office, h.actor("dispatcher1")
	h.do(func(tx *storage.Tx) error {
		return did(o.Accept(tx, x.ID, ticket.Acceptance{Kind: ticket.Complaint, Note: "已回访核实"}, h.actor("operator1")))
	})
	h.do(func(tx *storage.Tx) error {
		if err := did(o.Dispatch(tx, x.ID, ticket.Dispatching{Host: "210502-zhanqian", Note: "整改"}, disp)); err == nil {
			t.Error("the rated unit may handle what was said of it")
		}
		return nil
	})
	h.do(func(tx *storage.Tx) error { // one level up
		return did(o.Dispatch(tx, x.ID, ticket.Dispatching{Host: "210502", Note: "请调查站前派出所并整改"}, disp))
	})
	h.view(func(tx *storage.Tx) error {
		clocks, err := o.Clocks(tx, x.ID)
		for _, c := range clocks {
			if c.Kind != ticket.ClockHandle {
				continue
			}
			days := 0
			for d := workday.DayOf(h.now()).Add(1); d <= workday.DayOf(c.DueAt); d = d.Add(1) {
				if o.Calendar.IsWorkday(d) {
					days++
				}
			}
			if days != 5 {
				t.Errorf("to be handled by %s, after %d working days, want 5", c.DueAt, days)
			}
			return err
		}
		t.Error("no clock for the handling")
		return err
	})
	above := h.actor("reviewer1")
	h.do(func(tx *storage.Tx) error { return did(o.Sign(tx, h.legs(x.ID)[0].ID, above)) })
	h.do(func(tx *storage.Tx) error {
		leg := h.legs(x.ID)[0].ID
		if _, err := o.Contacted(tx, leg, ticket.ContactNote{Via: "phone", Outcome: ticket.Reached}, above); err != nil {
			return err
		}
		return did(o.Submit(tx, leg, ticket.Result{Text: "已对出警民警批评教育，并向群众道歉。", Basis: "内务条令", Finding: ticket.Substantiated, Resolution: ticket.Solved}, above))
	})
	unseen("handled")
	h.do(func(tx *storage.Tx) error {
		return did(o.Approve(tx, x.ID, ticket.Reply{Text: "已整改。", Via: "phone"}, disp))
	})
	h.do(func(tx *storage.Tx) error { return did(o.OpenRating(tx, x.ID, h.actor("caller1"))) })
	h.do(func(tx *storage.Tx) error {
		return did(o.Rate(tx, x.ID, ticket.RatingIn{Stars: 4, Via: "callback", Words: "这回满意了"}, h.actor("caller1")))
	})
	if got := h.get(x.ID); got.State != ticket.Closed {
		t.Errorf("in the end the ticket is %s", got.State)
	}
	unseen("rated again")
}
