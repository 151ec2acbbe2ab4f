package ticket

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"lianxin/storage"
	"lianxin/workday"
)

func TestLOOP11APublishedLimitHoldsForNewTicketsOnly(t *testing.T) {
	each(t, func(h *house) {
		old := h.open(nil)
		r, err := DefaultRules().Copy()
		if err != nil {
			h.t.Fatal(err)
		}
		r.Version, r.Effective = "2026-2", workday.DateOf(2026, 11, 25)
		r.Clocks[ClockDispatch][Blue] = workday.Wall(30 * time.Minute)
		publish := func(r Rules, note string, by Actor) func(tx *storage.Tx) error {
			return func(tx *storage.Tx) error { _, err := h.PublishRules(tx, r, note, by); return err }
		}
		h.refused("role", publish(r, "提速", h.dispatcher))
		h.refused("note", publish(r, " ", h.admin))
		late := r
		late.Effective = workday.DateOf(2026, 11, 22)
		h.refused("effective", publish(late, "提速", h.admin))
		broken, _ := r.Copy()
		delete(broken.Clocks[ClockSign], Red)
		h.refused("rules", publish(broken, "提速", h.admin))
		h.update(publish(r, "提速", h.admin))
		h.refused("version", publish(r, "再提速", h.admin))

		dispatch := func(k Ticket) time.Duration {
			h.must(func(tx *storage.Tx) (Ticket, error) { return h.Accept(tx, k.ID, Acceptance{}, h.dispatcher) })
			c := h.running(k.ID, ClockDispatch)[0]
			return c.DueAt.Sub(c.StartedAt)
		}
		if k := h.open(nil); k.RuleVersion != old.RuleVersion {
			h.t.Errorf("before the effective day a ticket comes under %s", k.RuleVersion)
		}
		h.set("2026-11-25 09:00")
		k := h.open(nil)
		if !strings.HasPrefix(k.RuleVersion, "2026-2/") || dispatch(k) != 30*time.Minute {
			h.t.Errorf("a new ticket comes under %s", k.RuleVersion)
		}
		if got := dispatch(old); got < 3*time.Hour || h.get(old.ID).RuleVersion != old.RuleVersion {
			h.t.Errorf("the old ticket is to be dispatched in %v under %s", got, h.get(old.ID).RuleVersion)
		}
		var sets []RuleSet
		h.view(func(tx *storage.Tx) (err error) { sets, err = h.RuleSets(tx); return err })
		if len(sets) != 2 || !sets[0].InForce || sets[0].Version != "2026-2" || sets[0].Author != "admin" || sets[0].Tickets != 1 || sets[1].Tickets != 2 {
			h.t.Errorf("%+v", sets)
		}
		if c := sets[1].Changes(sets[0].Rules); len(c) != 1 || c[0] != (Change{"clocks.dispatch.蓝", "4wh", "30m"}) {
			h.t.Errorf("%+v", c)
		}
	})
}

func TestAMissingYearIsWarnedOfAndAddedWithoutARestart(t *testing.T) {
	each(t, func(h *house) {
		h.set("2026-12-30 10:00")
		if w := h.CalendarWarning(); !strings.Contains(w, "2027") {
			h.t.Errorf("warning: %q", w)
		}
		k := h.accepted(nil)
		before := h.running(k.ID, ClockHandle)[0]
		if !before.Guessed {
			h.t.Error("a due in a year that is not known is not marked")
		}
		file := []byte(`{"year":2027,"days":[{"name":"元旦","date":"2027-01-01","isOffDay":true}]}`)
		add := func(b []byte, by Actor) func(tx *storage.Tx) error {
			return func(tx *storage.Tx) error { _, err := h.AddCalendarYear(tx, b, by); return err }
		}
		h.refused("role", add(file, h.dispatcher))
		h.refused("calendar", add([]byte("{"), h.admin))
		h.refused("calendar", add([]byte(`{"year":2027,"days":[]}`), h.admin))
		h.update(add(file, h.admin))
		if w := h.CalendarWarning(); w != "" {
			h.t.Errorf("still warned: %q", w)
		}
		// The clock that runs keeps its due until it is recomputed by an event (I9).
		if c := h.running(k.ID, ClockHandle)[0]; !c.DueAt.Equal(before.DueAt) || c.CalendarVersion != before.CalendarVersion {
			h.t.Errorf("the clock moved by itself: %v", c.DueAt)
		}
		n, err := h.RecomputeAll(func(fn func(tx *storage.Tx) error) error { return h.db.Update(context.Background(), fn) }, "2027年放假安排公布", h.admin)
		if err != nil || n != 1 {
			h.t.Fatalf("%d, %v", n, err)
		}
		h.view(func(tx *storage.Tx) error {
			if ids, err := h.Uncounted(tx, "", 10); len(ids) != 0 || err != nil {
				h.t.Errorf("%v count by the old calendar, %v", ids, err)
			}
			return nil
		})
		c := h.running(k.ID, ClockHandle)[0]
		if c.DueAt.Equal(before.DueAt) || c.Guessed || c.CalendarVersion == before.CalendarVersion {
			h.t.Errorf("recomputed: %+v", c)
		}
		// Another program on the same database reads the year at its next sweep.
		other, err := NewOffice(h.Book)
		if err != nil {
			h.t.Fatal(err)
		}
		other.Now = h.Now
		if _, err := other.Sweep(context.Background(), h.db, h.Now()); err != nil || other.CalendarWarning() != "" {
			h.t.Errorf("%v, %q", err, other.CalendarWarning())
		}
	})
}

func TestLOOP13AtHalfTimeTheCitizenIsTold(t *testing.T) {
	each(t, func(h *house) {
		var texts []string
		mobile := true
		h.SendNotice = func(_ *storage.Tx, t Ticket, key, text string) error {
			if !mobile {
				return refuse("no_mobile", "没有手机号码")
			}
			texts = append(texts, key+" "+text)
			return nil
		}
		k, l := h.handling(nil)
		h.pass(80 * time.Hour)
		for range 2 {
			h.sweep()
		}
		if len(texts) != 1 || !strings.HasPrefix(texts[0], "half:"+k.ID) || !strings.Contains(texts[0], "仍在办理") || !strings.Contains(texts[0], "11月30日") || h.get(k.ID).ToldHalfAt.IsZero() {
			h.t.Errorf("%q", texts)
		}
		// An extension is told by text when nobody wrote how, and refused when no text can go out (I11).
		var q Request
		h.update(func(tx *storage.Tx) (err error) {
			q, err = h.RequestExtension(tx, l.ID, 5, "案情复杂", h.handlerA)
			return err
		})
		mobile = false
		h.refused("informed", func(tx *storage.Tx) error {
			_, err := h.DecideExtension(tx, q.ID, Ruling{Grant: true}, h.supervisor)
			return err
		})
		mobile = true
		h.must(func(tx *storage.Tx) (Ticket, error) {
			return h.DecideExtension(tx, q.ID, Ruling{Grant: true}, h.supervisor)
		})
		if len(texts) != 2 || !strings.Contains(texts[1], "延长办理") || !strings.Contains(texts[1], "12月7日") {
			h.t.Errorf("%q", texts)
		}
		// Whoever cannot be texted is called by the unit, which a notice asks for.
		mobile = false
		k, _ = h.handling(nil)
		h.pass(120 * time.Hour)
		if !slices.ContainsFunc(h.sweep(), func(n Notice) bool { return n.Kind == NoticeCitizen && n.TicketID == k.ID && n.Unit == unitA }) {
			h.t.Error("nobody was asked to call")
		}
	})
}

func TestTheOneWhoLosesIsToldWhoWasFaster(t *testing.T) {
	each(t, func(h *house) {
		k := h.accepted(nil)
		h.must(func(tx *storage.Tx) (Ticket, error) {
			return h.Dispatch(tx, k.ID, Dispatching{Host: unitA}, h.dispatcher)
		})
		l := h.hostLeg(k.ID)
		page := h.reviewerA
		page.Seen = h.get(k.ID).Revision
		h.must(func(tx *storage.Tx) (Ticket, error) { return h.Sign(tx, l.ID, h.handlerA) })
		why := func(by Actor) string {
			err := h.db.Update(context.Background(), func(tx *storage.Tx) error { _, err := h.Sign(tx, l.ID, by); return err })
			r, _ := RefusedWith(err)
			if r == nil {
				h.t.Fatalf("signed twice: %v", err)
			}
			return r.Message
		}
		if m := why(page); !strings.Contains(m, "handler-a") || !strings.Contains(m, "签收") {
			h.t.Errorf("with an old page: %s", m)
		}
		if m := why(h.reviewerA); !strings.Contains(m, "handler-a") {
			h.t.Errorf("without: %s", m)
		}
	})
}
