package ticket

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lianxin/storage"
	"lianxin/workday"
)

type fired struct {
	Kind  string
	Point Point
	Unit  string
}

func brief(ns []Notice) (out []fired) {
	for _, n := range ns {
		out = append(out, fired{n.Kind, n.Point, n.Unit})
	}
	return out
}

// The points of 办结 (5 WD from Monday 10:00, due Monday 30th 17:00): working time from 10:00 is 6 + 5 × 7.5 = 43.5 h.
func TestClockPointsFireOnceEachAtTheirTimes(t *testing.T) {
	each(t, func(h *house) {
		k, l := h.handling(nil)
		h.must(func(tx *storage.Tx) (Ticket, error) {
			return h.Contacted(tx, l.ID, ContactNote{Via: "phone", Outcome: Reached}, h.handlerA)
		})
		c := h.clocks(k.ID, ClockHandle)[0]
		for _, v := range []struct {
			got  time.Time
			want string
		}{{c.HalfAt, "2026-11-26 09:15"}, {c.MostAt, "2026-11-27 15:48"}, {c.YellowAt, "2026-11-27 08:30"}, {c.DueAt, "2026-11-30 17:00"}, {c.RedAt, "2026-12-01 08:30"}, {c.NextAt, "2026-11-26 09:15"}} {
			if !v.got.Equal(local(t, v.want)) {
				h.t.Errorf("%v, want %s", v.got.In(workday.Zone), v.want)
			}
		}
		step := func(at string, want ...fired) {
			h.t.Helper()
			h.set(at)
			if diff := cmp.Diff(want, brief(h.sweep())); diff != "" {
				h.t.Errorf("at %s: %s", at, diff)
			}
			if n := h.sweep(); len(n) != 0 {
				h.t.Errorf("at %s: again %v", at, brief(n))
			}
		}
		step("2026-11-26 09:14")
		step("2026-11-26 09:15", fired{"handle", PointHalf, unitA}, fired{NoticeCitizen, PointHalf, unitA})
		// The program was down over the next two points: both are made up for, once.
		step("2026-11-27 17:30", fired{"handle", PointMost, unitA}, fired{"handle", PointYellow, unitA})
		step("2026-11-30 17:00", fired{"handle", PointDue, unitA})
		step("2026-12-01 08:29")
		step("2026-12-01 08:30", fired{"handle", PointRed, unitA})
		step("2027-01-01 00:00")
		h.view(func(tx *storage.Tx) error {
			ns, err := h.Notices(tx, NoticeFilter{Viewer: h.handlerA, Unread: true})
			if len(ns) != 6 { // five points, and once: tell the citizen
				h.t.Errorf("%d notices for the unit", len(ns))
			}
			for _, n := range ns {
				if !strings.Contains(n.Text, k.Number) || n.Handler != h.handlerA.String() || !h.reckoner().IsOpen(n.ShowAt) {
					h.t.Errorf("notice %+v", n)
				}
			}
			other, err2 := h.Notices(tx, NoticeFilter{Viewer: h.handlerB})
			if err2 != nil || len(other) != 0 {
				h.t.Errorf("another unit sees %d notices, %v", len(other), err2)
			}
			return err
		})
	})
}

func TestRedNoticesGoOutAtNight(t *testing.T) {
	each(t, func(h *house) {
		h.set("2026-11-28 23:00") // a Saturday
		red := h.open(func(in *Intake) { in.Colour = Red })
		blue := h.open(nil)
		h.set("2026-11-28 23:05")
		ns := h.sweep()
		want := []fired{{"accept", PointHalf, ""}, {"accept", PointMost, ""}, {"accept", PointRed, ""}}
		if diff := cmp.Diff(want, brief(ns)); diff != "" {
			h.t.Error(diff)
		}
		for _, n := range ns {
			if n.TicketID != red.ID || !n.ShowAt.Equal(h.Now()) {
				h.t.Errorf("notice %+v", n)
			}
		}
		// 黄 has a 24×7 limit here, but its notices wait for office hours.
		h.must(func(tx *storage.Tx) (Ticket, error) { return h.Raise(tx, blue.ID, Yellow, "x", System) })
		h.set("2026-11-29 01:00")
		for _, n := range h.sweep() {
			if n.TicketID == blue.ID && !n.ShowAt.Equal(local(t, "2026-11-30 08:30")) {
				h.t.Errorf("notice of 黄 is shown at %v", n.ShowAt.In(workday.Zone))
			}
		}
	})
}

func TestManySweepersAnnounceEachPointOnce(t *testing.T) {
	each(t, func(h *house) {
		for range 6 {
			h.open(nil)
		}
		h.pass(10 * 24 * time.Hour)
		var mu sync.Mutex
		seen := map[string]int{}
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				ns, err := h.Sweep(t.Context(), h.db, h.Now())
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				for _, n := range ns {
					seen[n.Subject+" "+string(n.Point)]++
				}
			})
		}
		wg.Wait()
		for _, n := range h.sweep() { // what a conflict left over
			seen[n.Subject+" "+string(n.Point)]++
		}
		if len(seen) != 6*4 { // half, most, due, red; four working hours have no yellow card
			h.t.Errorf("%d points: %v", len(seen), seen)
		}
		for point, n := range seen {
			if n != 1 {
				h.t.Errorf("%s announced %d times", point, n)
			}
		}
		h.view(func(tx *storage.Tx) error {
			n, err := storage.One(tx, storage.Value[int], `SELECT COUNT(*) FROM audit_event WHERE type LIKE 'clock.%'`)
			if n != 24 {
				h.t.Errorf("%d events", n)
			}
			return err
		})
	})
}

func TestSweepOpensRatingsArchivesAndWarns(t *testing.T) {
	each(t, func(h *house) {
		k, _ := h.handling(nil)
		h.toReviewing(k)
		h.must(func(tx *storage.Tx) (Ticket, error) {
			return h.Approve(tx, k.ID, Reply{"已处理", "phone"}, h.supervisor)
		})
		h.sweep()
		h.wantState(k.ID, AwaitRating)
		h.rate(k.ID, 5)
		var cb Callback
		var al Alert
		h.update(func(tx *storage.Tx) (err error) {
			if cb, err = h.OpenCallback(tx, Callback{Kind: CallbackAbandoned, CallID: "c1", ContactID: h.citizen, By: Bot}); err != nil {
				return err
			}
			al, err = h.RaiseAlert(tx, Alert{Rule: "W1", Level: Red, Title: "疑似轻生", Evidence: "不想活了", By: System})
			return err
		})
		if !cb.Due.Equal(local(t, "2026-11-23 13:00").Add(0)) && !cb.Due.Equal(local(t, "2026-11-23 12:00")) {
			h.t.Errorf("call-back due %v", cb.Due.In(workday.Zone))
		}
		h.pass(5*time.Minute + time.Second)
		if diff := cmp.Diff([]fired{{"alert", PointAgain, ""}}, brief(h.sweep())); diff != "" {
			h.t.Error(diff)
		}
		h.pass(2 * time.Hour)
		h.sweep()
		h.view(func(tx *storage.Tx) error {
			c, err := h.Callback(tx, cb.ID)
			if !c.Warned {
				h.t.Error("the overdue call-back was not announced")
			}
			as, n, err2 := h.Alerts(tx, AlertFilter{Viewer: h.supervisor, State: AlertRaised})
			if err2 != nil || n != 1 || as[0].Escalations != 2 || as[0].Title != "疑似轻生" || as[0].Evidence != "不想活了" || as[0].ID != al.ID {
				h.t.Errorf("alerts %+v, %v", as, err2)
			}
			return err
		})
		h.update(func(tx *storage.Tx) error { _, err := h.AckAlert(tx, al.ID, h.supervisor); return err })
		h.refused("state", func(tx *storage.Tx) error { _, err := h.AckAlert(tx, al.ID, h.operator); return err })
		h.pass(29 * 24 * time.Hour)
		h.sweep()
		h.wantState(k.ID, Closed)
		h.pass(24 * time.Hour)
		h.sweep()
		h.wantState(k.ID, Archived)
	})
}

func TestExternalDeadlineRunsBesideOurs(t *testing.T) {
	each(t, func(h *house) {
		k := h.accepted(func(in *Intake) {
			in.Channel, in.ExternalID, in.ExternalDue, in.By = "12345", "A1", local(h.t, "2026-11-25 17:00"), System
		})
		c := h.clocks(k.ID, ClockExternal)[0]
		if !c.DueAt.Equal(local(t, "2026-11-25 17:00")) || c.YellowAt.IsZero() || !c.RedAt.Equal(local(t, "2026-11-26 08:30")) {
			h.t.Errorf("%+v", c)
		}
		k, _ = h.toHandling(k)
		if k = h.get(k.ID); !k.Due.Equal(local(t, "2026-11-24 17:00")) { // 首次联系 is earlier still
			h.t.Errorf("due %v", k.Due.In(workday.Zone))
		}
		h.toReviewing(k)
		if c := h.clocks(k.ID, ClockExternal)[0]; c.State != Running {
			h.t.Errorf("the external clock is %s before the reply", c.State)
		}
		h.toRating(k)
		if c := h.clocks(k.ID, ClockExternal)[0]; c.State != Met {
			h.t.Errorf("the external clock is %s after the reply", c.State)
		}
	})
}

func TestReportsOfRedAreDueDaily(t *testing.T) {
	each(t, func(h *house) {
		k, l := h.handling(func(in *Intake) { in.Colour = Red })
		c := h.running(k.ID, ClockReport)
		if len(c) != 1 || c[0].Span != "2h" {
			h.t.Fatalf("%+v", c)
		}
		h.pass(time.Hour)
		h.must(func(tx *storage.Tx) (Ticket, error) { return h.ReportProgress(tx, l.ID, "已到场稳控", h.handlerA) })
		c = h.running(k.ID, ClockReport)
		if len(c) != 1 || !c[0].DueAt.Equal(h.Now().Add(24*time.Hour).UTC()) {
			h.t.Errorf("%+v", c)
		}
		blue, lb := h.handling(nil)
		if c := h.clocks(blue.ID, ClockReport); len(c) != 0 {
			h.t.Errorf("a report of 蓝 is due: %+v", c)
		}
		h.must(func(tx *storage.Tx) (Ticket, error) { return h.ReportProgress(tx, lb.ID, "已联系", h.handlerA) })
	})
}

func TestClocksSayWhetherTheyWereMet(t *testing.T) {
	each(t, func(h *house) {
		k := h.accepted(nil)
		h.must(func(tx *storage.Tx) (Ticket, error) {
			return h.Dispatch(tx, k.ID, Dispatching{Host: unitA}, h.dispatcher)
		})
		sign := h.clocks(k.ID, ClockSign)[0]
		h.set("2026-11-24 17:01")
		if !sign.Overdue(h.Now()) || sign.Overdue(sign.DueAt) {
			h.t.Errorf("due %v, now %v", sign.DueAt, h.Now())
		}
		h.must(func(tx *storage.Tx) (Ticket, error) { return h.Sign(tx, h.hostLeg(k.ID).ID, h.handlerA) })
		for kind, want := range map[ClockKind]ClockState{ClockAccept: Met, ClockDispatch: Met, ClockSign: Late, ClockHandle: Running} {
			if c := h.clocks(k.ID, kind); len(c) != 1 || c[0].State != want || (want == Running) != c[0].StoppedAt.IsZero() {
				h.t.Errorf("clock %s: %+v, want %s", kind, c, want)
			}
		}
	})
}
