package ticket

import (
	"context"
	"strings"
	"testing"
	"time"

	"lianxin/storage"
)

func TestALastingStateIsOneAlertThatEscalatesAndCounts(t *testing.T) {
	each(t, func(h *house) {
		raise := func() (a Alert) {
			h.t.Helper()
			h.update(func(tx *storage.Tx) (err error) {
				a, err = h.RaiseStanding(tx, Alert{Key: "queue_unmanned:main:" + h.now.UTC().Format("2006-01-02T15"), Rule: "queue_unmanned", Level: Orange, Subject: "queue/main", Title: "“人工服务”无人值守", By: System})
				return err
			})
			return a
		}
		first := raise()
		if again := raise(); again.ID != first.ID || !again.Existing || again.Times != 0 {
			h.t.Errorf("a second caller of the same minute: %+v", again)
		}
		for n := 1; n <= 5; n++ { // five hours in which nobody looks
			h.pass(time.Hour)
			if again := raise(); again.ID != first.ID || again.Times != n {
				h.t.Errorf("after %d hours: %+v", n, again)
			}
			notices, err := h.Sweep(context.Background(), h.db, h.now)
			if err != nil {
				h.t.Fatal(err)
			}
			for _, x := range notices {
				if x.Kind == NoticeAlert && !strings.Contains(x.Text, "无人值守") {
					h.t.Errorf("an escalation says %q", x.Text)
				}
			}
		}
		h.view(func(tx *storage.Tx) error {
			list, n, err := h.Alerts(tx, AlertFilter{Viewer: System, Rule: "queue_unmanned"})
			if err != nil || n != 1 || list[0].Escalations == 0 || list[0].Times != 5 {
				h.t.Errorf("%d alerts: %+v, %v", n, list, err)
			}
			return nil
		})
		h.update(func(tx *storage.Tx) error { _, err := h.AckAlert(tx, first.ID, h.supervisor); return err })
		h.pass(10 * time.Minute)
		if again := raise(); again.ID != first.ID || again.Times != 6 {
			h.t.Errorf("while somebody sees to it: %+v", again)
		}
		h.pass(20 * time.Hour)
		next := raise()
		if next.ID == first.ID || next.Existing {
			h.t.Errorf("what was acknowledged yesterday hides that it is so again: %+v", next)
		}
		h.update(func(tx *storage.Tx) error {
			if _, err := h.AckAlert(tx, next.ID, h.supervisor); err != nil {
				return err
			}
			_, err := h.DisposeAlert(tx, next.ID, Intervention, "", "已到岗", h.supervisor)
			return err
		})
		h.pass(2 * time.Hour)
		if third := raise(); third.ID == next.ID {
			h.t.Error("what was disposed of takes the next one in")
		}
		if drift, err := VerifyProjection(context.Background(), h.db, h.Book.Vault); err != nil || len(drift) > 0 {
			h.t.Errorf("%v, %v", drift, err)
		}
	})
}
