package ticket

import (
	"errors"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"lianxin/contact"
	"lianxin/org"
	"lianxin/storage"
	"lianxin/workday"
)

func TestI2RawIntakeIsKeptAndExternalNumbersAreUnique(t *testing.T) {
	each(t, func(h *house) {
		in := Intake{Channel: "12345", ExternalID: "A-77", Kind: Help, Title: "路灯不亮", Raw: []byte("first"), By: System}
		k := h.must(func(tx *storage.Tx) (Ticket, error) { return h.Open(tx, in) })
		n := h.events()
		again := h.must(func(tx *storage.Tx) (Ticket, error) { return h.Open(tx, in) })
		if !again.Existing || again.ID != k.ID || again.Number != k.Number || h.events() != n {
			h.t.Errorf("the same item again: %+v, %d events more", again, h.events()-n)
		}
		in.Raw = []byte("second")
		again = h.must(func(tx *storage.Tx) (Ticket, error) { return h.Open(tx, in) })
		if !again.Existing || again.ID != k.ID || h.events() != n+1 {
			h.t.Errorf("another original under the same number: %+v, %d events more", again, h.events()-n)
		}
		h.update(func(tx *storage.Tx) error {
			raws, err := h.Raw(tx, k.ID)
			if len(raws) != 2 || string(raws[0]) != "first" || string(raws[1]) != "second" {
				h.t.Errorf("originals %q", raws)
			}
			return err
		})
		in.Channel = "people" // the same number of another body is another item
		if other := h.must(func(tx *storage.Tx) (Ticket, error) { return h.Open(tx, in) }); other.Existing || other.Number != "民2026-1123-0002" {
			h.t.Errorf("%+v", other)
		}
	})
}

func TestI3NoChangeWithoutAnEventAndTimesDoNotRunBackwards(t *testing.T) {
	each(t, func(h *house) {
		k := h.accepted(nil)
		h.set("2026-11-23 09:00") // the clock of the machine was set back an hour
		k = h.must(func(tx *storage.Tx) (Ticket, error) {
			return h.Dispatch(tx, k.ID, Dispatching{Host: unitA}, h.dispatcher)
		})
		if k.ChangedAt.Before(k.AcceptedAt) || h.hostLeg(k.ID).AssignedAt.Before(k.AcceptedAt) {
			h.t.Errorf("accepted %v, dispatched %v", k.AcceptedAt, k.ChangedAt)
		}
		h.view(func(tx *storage.Tx) error {
			line, err := h.Timeline(tx, k.ID)
			for i, m := range line {
				if m.Actor == "" || m.At.IsZero() || i > 0 && m.At.Before(line[i-1].At) {
					h.t.Errorf("event %+v", m)
				}
			}
			return err
		})
		h.set("2026-11-23 11:00")
		for what, sql := range map[string]string{
			"state":   `UPDATE ticket SET state = 'CLOSED' WHERE id = $1`,
			"leg":     `UPDATE ticket_leg SET handler = 'staff/x' WHERE ticket_id = $1`,
			"clock":   `UPDATE ticket_clock SET due_at = due_at + 86400000 WHERE ticket_id = $1`,
			"next_at": `UPDATE ticket_clock SET next_at = NULL WHERE ticket_id = $1`,
			"title":   `UPDATE ticket SET title = 'x' WHERE id = $1`,
			"text":    `UPDATE ticket_text SET shown = 'x' WHERE stream = 'ticket/' || $1 AND kind = 'body'`,
			"removed": `DELETE FROM ticket_leg WHERE ticket_id = $1`,
			"added":   `INSERT INTO ticket_rating (id, ticket_id, round, stars, via, contested, rated_by, rated_at) VALUES ('r', $1, 0, 5, 'key', FALSE, 'bot', 1)`,
		} {
			rollback := errors.New("rollback")
			err := h.db.Update(t.Context(), func(tx *storage.Tx) error {
				if n, err := tx.Exec(sql, k.ID); err != nil || n == 0 {
					h.t.Fatalf("%s: %d rows, %v", what, n, err)
				}
				d, err := h.load(tx, k.ID, System, h.Now(), false)
				if err != nil {
					return err
				}
				found, err := verify(tx, d)
				if err != nil {
					return err
				}
				if len(found) == 0 {
					h.t.Errorf("a change of %s behind the log's back is not found", what)
				}
				return rollback
			})
			if !errors.Is(err, rollback) {
				h.t.Fatal(err)
			}
		}
	})
}

func TestI4ClosingNeedsAReplyAndARatingOrItsReason(t *testing.T) {
	each(t, func(h *house) {
		k, _ := h.handling(nil)
		h.refused("state", func(tx *storage.Tx) error {
			_, err := h.Rate(tx, k.ID, RatingIn{Stars: 5, Via: "key"}, Bot)
			return err
		})
		h.toReviewing(k)
		h.refused("reply", func(tx *storage.Tx) error {
			_, err := h.Approve(tx, k.ID, Reply{Text: " ", Via: "phone"}, h.supervisor)
			return err
		})
		h.toRating(k)
		h.refused("stars", func(tx *storage.Tx) error {
			_, err := h.Rate(tx, k.ID, RatingIn{Stars: 6, Via: "key"}, Bot)
			return err
		})
		h.refused("tries", func(tx *storage.Tx) error { _, err := h.CloseUnrated(tx, k.ID, h.caller); return err })
		attempt := func(at string, o TryOutcome) {
			h.set(at)
			h.must(func(tx *storage.Tx) (Ticket, error) { return h.Attempt(tx, k.ID, o, "", h.caller) })
		}
		attempt("2026-11-23 11:00", NoAnswer)
		attempt("2026-11-23 11:59", Busy)
		attempt("2026-11-23 15:00", SwitchedOff) // three attempts in two parts of one day
		h.refused("tries", func(tx *storage.Tx) error { _, err := h.CloseUnrated(tx, k.ID, h.caller); return err })
		attempt("2026-11-24 09:00", NoAnswer)
		k = h.must(func(tx *storage.Tx) (Ticket, error) { return h.CloseUnrated(tx, k.ID, h.caller) })
		if k.State != Closed || k.Outcome != Unrated || k.Stars != 0 || k.StateLabel() != "办结(未评价)" {
			h.t.Errorf("%+v", k)
		}
		// Two days in one part of the day are not enough either.
		k2 := h.rating(nil)
		for _, at := range []string{"2026-11-24 10:00", "2026-11-25 10:00", "2026-11-26 10:00"} {
			h.set(at)
			h.must(func(tx *storage.Tx) (Ticket, error) { return h.Attempt(tx, k2.ID, NoAnswer, "", h.caller) })
		}
		h.refused("tries", func(tx *storage.Tx) error { _, err := h.CloseUnrated(tx, k2.ID, h.caller); return err })
		// Nobody to call: that is the documented reason.
		k3 := h.rating(func(in *Intake) { in.ContactID, in.Anonymous = "", true })
		k3 = h.must(func(tx *storage.Tx) (Ticket, error) { return h.CloseUnrated(tx, k3.ID, h.caller) })
		if k3.Outcome != Unrated {
			h.t.Errorf("%+v", k3)
		}
	})
}

func TestI4TwoPersonsOfDifferentUnitsDetermine(t *testing.T) {
	each(t, func(h *house) {
		k := h.rating(nil)
		contest := RatingIn{Stars: 1, Via: "callback", Contest: true, Ground: "诉求已依法办理"}
		h.refused("contest", func(tx *storage.Tx) error { _, err := h.Rate(tx, k.ID, contest, Bot); return err })
		h.refused("contested", func(tx *storage.Tx) error { _, err := h.Determine(tx, k.ID, true, "依法", h.legal); return err })
		k = h.must(func(tx *storage.Tx) (Ticket, error) { return h.Rate(tx, k.ID, contest, h.caller) })
		if k.State != AwaitRating || k.Stars != 1 {
			h.t.Errorf("%+v", k)
		}
		h.refused("contested", func(tx *storage.Tx) error {
			_, err := h.Rate(tx, k.ID, RatingIn{Stars: 5, Via: "key"}, Bot)
			return err
		})
		h.refused("own_unit", func(tx *storage.Tx) error { _, err := h.Determine(tx, k.ID, true, "依法", h.reviewerA); return err })
		h.refused("own_unit", func(tx *storage.Tx) error { _, err := h.Determine(tx, k.ID, true, "依法", h.supervisor); return err }) // approved it
		h.refused("role", func(tx *storage.Tx) error { _, err := h.Determine(tx, k.ID, true, "依法", h.operator); return err })
		h.must(func(tx *storage.Tx) (Ticket, error) { return h.Determine(tx, k.ID, true, "已依法办理", h.legal) })
		h.refused("second_unit", func(tx *storage.Tx) error { _, err := h.Determine(tx, k.ID, true, "依法", h.legal); return err })
		k = h.must(func(tx *storage.Tx) (Ticket, error) {
			return h.Determine(tx, k.ID, true, "诉求不合理", h.inspector)
		})
		if k.State != Closed || k.Outcome != Determined || k.StateLabel() != "办结(不满意·认定)" || !k.Stars.Bad() {
			h.t.Errorf("%+v", k)
		}
		// One against it is enough for rework.
		k2 := h.rating(nil)
		h.must(func(tx *storage.Tx) (Ticket, error) { return h.Rate(tx, k2.ID, contest, h.caller) })
		h.must(func(tx *storage.Tx) (Ticket, error) { return h.Determine(tx, k2.ID, true, "已依法办理", h.legal) })
		k2 = h.must(func(tx *storage.Tx) (Ticket, error) {
			return h.Determine(tx, k2.ID, false, "程序有瑕疵", h.inspector)
		})
		if k2.State != Accepted || k2.Round != 1 {
			h.t.Errorf("%+v", k2)
		}
	})
}

func TestI5HandlerReviewerAndCallbackOfficerDiffer(t *testing.T) {
	each(t, func(h *house) {
		k, _ := h.handling(nil)
		h.toReviewing(k)
		reply := Reply{Text: "已处理", Via: "phone"}
		// Who handled cannot review, whatever the role.
		both := h.handlerA
		both.Role = org.Reviewer
		h.refused("same_handler", func(tx *storage.Tx) error { _, err := h.Approve(tx, k.ID, reply, both); return err })
		h.refused("same_handler", func(tx *storage.Tx) error { _, err := h.Reject(tx, k.ID, "x", both); return err })
		h.refused("role", func(tx *storage.Tx) error { _, err := h.Approve(tx, k.ID, reply, h.handlerA); return err })
		// A leader of the host's unit reviews and sends back; then cannot handle in the same round.
		h.must(func(tx *storage.Tx) (Ticket, error) { return h.Reject(tx, k.ID, "补充", h.reviewerA) })
		leg := h.hostLeg(k.ID).ID
		h.refused("same_reviewer", func(tx *storage.Tx) error { _, err := h.Submit(tx, leg, result(), h.reviewerA); return err })
		h.refused("centre", func(tx *storage.Tx) error { _, err := h.Approve(tx, k.ID, reply, h.reviewerB); return wrongState(err) })
		h.must(func(tx *storage.Tx) (Ticket, error) { return h.Submit(tx, leg, result(), h.handlerA) })
		reviewer := h.caller // an officer who may both review and call back in this test
		reviewer.Role = org.Supervisor
		h.must(func(tx *storage.Tx) (Ticket, error) { return h.Approve(tx, k.ID, reply, reviewer) })
		h.must(func(tx *storage.Tx) (Ticket, error) { return h.OpenRating(tx, k.ID, h.dispatcher) })
		h.refused("same_reviewer", func(tx *storage.Tx) error { _, err := h.Attempt(tx, k.ID, Reached, "", h.caller); return err })
		h.refused("same_reviewer", func(tx *storage.Tx) error {
			_, err := h.Rate(tx, k.ID, RatingIn{Stars: 5, Via: "callback"}, h.caller)
			return err
		})
		// The host's own officers never call back, even with the role for it.
		own := h.reviewerA
		own.Role = org.Caller
		h.refused("host_calls", func(tx *storage.Tx) error { _, err := h.Attempt(tx, k.ID, Reached, "", own); return err })
		h.refused("centre", func(tx *storage.Tx) error {
			own := h.handlerB
			own.Role = org.Reviewer
			_, err := h.Approve(tx, k.ID, reply, own)
			return wrongState(err)
		})
		// Another round, other hands: the same persons may have other duties.
		h.rate(k.ID, 1)
		k, _ = h.toHandling(h.get(k.ID))
		h.toReviewing(k)
		h.toRating(k)
		h.must(func(tx *storage.Tx) (Ticket, error) { return h.Attempt(tx, k.ID, Reached, "", h.caller) })
		if k = h.must(func(tx *storage.Tx) (Ticket, error) {
			return h.Rate(tx, k.ID, RatingIn{Stars: 4, Via: "callback"}, h.caller)
		}); k.State != Closed {
			h.t.Errorf("%s", k.State)
		}
	})
}

// wrongState turns the refusal of a state into that of the centre: both keep the actor out.
func wrongState(err error) error {
	if r, ok := RefusedWith(err); ok && r.Code == "state" {
		return refuse("centre", "%s", r.Message)
	}
	return err
}

func TestI6TheAccusedNeverTakesPart(t *testing.T) {
	each(t, func(h *house) {
		accuse := func(in *Intake) { in.AccusedUnit = "ping" } // the branch, and with it the station below it
		k := h.accepted(accuse)
		h.refused("accused_unit", func(tx *storage.Tx) error {
			_, err := h.Dispatch(tx, k.ID, Dispatching{Host: unitA}, h.dispatcher)
			return err
		})
		h.refused("accused_unit", func(tx *storage.Tx) error {
			_, err := h.Dispatch(tx, k.ID, Dispatching{Host: unitB, Co: []string{"ping"}}, h.dispatcher)
			return err
		})
		h.must(func(tx *storage.Tx) (Ticket, error) {
			return h.Dispatch(tx, k.ID, Dispatching{Host: unitB}, h.dispatcher)
		})
		// Nor can a return suggest it.
		h.refused("accused_unit", func(tx *storage.Tx) error {
			_, err := h.RequestReturn(tx, h.hostLeg(k.ID).ID, ReturnWish{Reason: "x", Clause: "y", Suggest: unitA}, h.handlerB)
			return err
		})
		h.hidden(k, h.handlerA)
		h.hidden(k, h.reviewerA)
		lent := h.supervisor // an officer of the accused station who works in the centre
		lent.Unit = unitA
		h.hidden(k, lent)
		h.refused("accused", func(tx *storage.Tx) error { _, err := h.Raise(tx, k.ID, Red, "x", lent); return err })
		if !h.sees(k, h.handlerB) || !h.sees(k, h.dispatcher) {
			h.t.Error("the host or the centre does not see the ticket")
		}
		person := h.accepted(func(in *Intake) { in.AccusedStaff = h.supervisor.ID })
		h.hidden(person, h.supervisor)
		h.refused("accused", func(tx *storage.Tx) error { _, err := h.Raise(tx, person.ID, Red, "x", h.supervisor); return err })
		if h.KnowsCitizen(person, h.supervisor) {
			h.t.Error("the accused officer learns who complained")
		}
		// A station that is accused does not keep its branch away.
		below := h.accepted(func(in *Intake) { in.AccusedUnit = unitA })
		h.must(func(tx *storage.Tx) (Ticket, error) {
			return h.Dispatch(tx, below.ID, Dispatching{Host: "ping"}, h.dispatcher)
		})
		// The rated unit and what lies below it does not call back.
		var cb Callback
		h.update(func(tx *storage.Tx) (err error) {
			cb, err = h.OpenCallback(tx, Callback{Kind: CallbackRating, ContactID: h.citizen, RecordID: "rec", ExcludeUnit: "ping", By: System})
			return err
		})
		lent.Role = org.Caller
		h.refused("host_calls", func(tx *storage.Tx) error { _, err := h.AttemptCallback(tx, cb.ID, Reached, "", lent); return err })
		h.refused("host_calls", func(tx *storage.Tx) error { _, err := h.AssignCallback(tx, cb.ID, lent, h.supervisor); return err })
	})
}

func (h *house) sees(k Ticket, viewer Actor) bool {
	h.t.Helper()
	seen := false
	h.view(func(tx *storage.Tx) error {
		_, err := h.See(tx, k.Number, viewer)
		if seen = err == nil; err != nil && !errors.Is(err, storage.ErrNotFound) {
			return err
		}
		page, total, err := h.List(tx, Filter{Viewer: viewer, Text: k.Number})
		if err == nil && (len(page) == 1) != seen || (total == 1) != seen {
			h.t.Errorf("%s: see %v, list %d of %d", viewer, seen, len(page), total)
		}
		return err
	})
	return seen
}

func (h *house) hidden(k Ticket, viewer Actor) {
	h.t.Helper()
	if h.sees(k, viewer) {
		h.t.Errorf("%s of %s sees %s", viewer.Role, viewer.Unit, k.Number)
	}
}

func TestCH6RestrictedTicketsAreForTheirSeatOnly(t *testing.T) {
	each(t, func(h *house) {
		k := h.open(func(in *Intake) { in.Channel, in.ExternalID, in.By = "12389", "D1", System })
		if !k.Restricted || !k.Confidential || k.Queue != SeatQueue {
			h.t.Errorf("%+v", k)
		}
		for _, a := range []Actor{h.operator, h.dispatcher, h.caller, h.supervisor, h.handlerA, h.admin} {
			h.hidden(k, a)
		}
		if !h.sees(k, h.inspector) || !h.sees(k, h.leader) {
			h.t.Error("the seat or the leader does not see it")
		}
		h.refused("seat", func(tx *storage.Tx) error { _, err := h.Accept(tx, k.ID, Acceptance{}, h.dispatcher); return err })
		h.must(func(tx *storage.Tx) (Ticket, error) { return h.Accept(tx, k.ID, Acceptance{}, h.inspector) })
		h.refused("seat", func(tx *storage.Tx) error {
			_, err := h.Dispatch(tx, k.ID, Dispatching{Host: unitB}, h.dispatcher)
			return err
		})
		h.must(func(tx *storage.Tx) (Ticket, error) {
			return h.Dispatch(tx, k.ID, Dispatching{Host: unitB}, h.inspector)
		})
		if !h.sees(k, h.handlerB) {
			h.t.Error("the unit it was given to does not see it")
		}
	})
}

func TestI7ConfidentialIdentityIsForListedRoles(t *testing.T) {
	each(t, func(h *house) {
		open, secret := h.open(nil), h.open(func(in *Intake) { in.Confidential = true })
		for _, c := range []struct {
			who          Actor
			open, secret bool
		}{{h.operator, true, false}, {h.handlerA, true, false}, {h.caller, true, true}, {h.inspector, true, true}, {h.leader, false, false},
			{h.admin, false, false}, {Citizen(h.citizen), true, true}, {Citizen("x"), false, false}, {Bot, false, false}} {
			if a, b := h.KnowsCitizen(open, c.who), h.KnowsCitizen(secret, c.who); a != c.open || b != c.secret {
				h.t.Errorf("%s %s learns: open %v, confidential %v", c.who.Kind, c.who.Role, a, b)
			}
		}
	})
}

func TestI8ColourFallsOnlyByASecondPerson(t *testing.T) {
	each(t, func(h *house) {
		k := h.open(func(in *Intake) { in.Colour = Orange })
		h.refused("colour_falls", func(tx *storage.Tx) error {
			_, err := h.Accept(tx, k.ID, Acceptance{Colour: Blue}, h.dispatcher)
			return err
		})
		h.must(func(tx *storage.Tx) (Ticket, error) { return h.Accept(tx, k.ID, Acceptance{}, h.dispatcher) })
		h.refused("colour", func(tx *storage.Tx) error { _, err := h.Raise(tx, k.ID, Yellow, "x", h.dispatcher); return err })
		var q Request
		h.update(func(tx *storage.Tx) (err error) {
			q, err = h.RequestLower(tx, k.ID, Blue, "误判", h.dispatcher)
			return err
		})
		h.refused("asked", func(tx *storage.Tx) error { _, err := h.RequestLower(tx, k.ID, Blue, "误判", h.operator); return err })
		h.refused("second_person", func(tx *storage.Tx) error {
			_, err := h.DecideLower(tx, q.ID, Ruling{Grant: true}, h.dispatcher)
			return err
		})
		h.refused("note", func(tx *storage.Tx) error { _, err := h.DecideLower(tx, q.ID, Ruling{}, h.supervisor); return err })
		before := h.clocks(k.ID, ClockHandle)[0]
		k = h.must(func(tx *storage.Tx) (Ticket, error) {
			return h.DecideLower(tx, q.ID, Ruling{Grant: true}, h.supervisor)
		})
		if k.Colour != Blue || !h.clocks(k.ID, ClockHandle)[0].DueAt.Equal(before.DueAt) {
			h.t.Errorf("%s, handle due %v after %v", k.Colour, h.clocks(k.ID, ClockHandle)[0].DueAt, before.DueAt)
		}
		h.refused("decided", func(tx *storage.Tx) error {
			_, err := h.DecideLower(tx, q.ID, Ruling{Grant: true}, h.supervisor)
			return err
		})
		// It rises at once, and running clocks get the shorter limits.
		k = h.must(func(tx *storage.Tx) (Ticket, error) { return h.Raise(tx, k.ID, Red, "持刀威胁", System) })
		c := h.clocks(k.ID, ClockHandle)[0]
		if k.Colour != Red || c.Span != "3wd" || !c.DueAt.Equal(local(t, "2026-11-26 17:00")) {
			h.t.Errorf("%s, handle %s due %v", k.Colour, c.Span, c.DueAt)
		}
		// Red is not merged into less.
		red := h.open(func(in *Intake) { in.Colour = Red })
		other := h.accepted(nil)
		h.refused("red", func(tx *storage.Tx) error {
			_, err := h.Merge(tx, red.ID, other.ID, "同一事项", h.dispatcher)
			return err
		})
	})
}

func local(t testing.TB, s string) time.Time {
	t.Helper()
	v, err := time.ParseInLocation("2006-01-02 15:04", s, workday.Zone)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestI9ClocksKeepTheirVersionsUntilRecomputed(t *testing.T) {
	each(t, func(h *house) {
		h.set("2026-12-30 10:00")
		k := h.accepted(nil) // 5 WD into 2027, whose notice is missing
		c := h.clocks(k.ID, ClockHandle)[0]
		if !c.Guessed || !c.DueAt.Equal(local(t, "2027-01-06 17:00")) {
			h.t.Errorf("due %v, guessed %v", c.DueAt, c.Guessed)
		}
		h.Calendar = calendar2027(t)
		h.set("2026-12-31 10:00")
		k, _ = h.toHandling(k)
		if again := h.clocks(k.ID, ClockHandle)[0]; again.CalendarVersion != c.CalendarVersion || !again.DueAt.Equal(c.DueAt) {
			h.t.Errorf("the clock changed by itself: %+v", again)
		}
		h.refused("role", func(tx *storage.Tx) error { _, err := h.Recompute(tx, k.ID, "x", h.dispatcher); return err })
		h.refused("reason", func(tx *storage.Tx) error { _, err := h.Recompute(tx, k.ID, "", h.admin); return err })
		h.must(func(tx *storage.Tx) (Ticket, error) { return h.Recompute(tx, k.ID, "2027年通知已发布", h.admin) })
		again := h.clocks(k.ID, ClockHandle)[0]
		if again.CalendarVersion == c.CalendarVersion || again.Guessed || !again.DueAt.Equal(local(t, "2027-01-07 17:00")) {
			h.t.Errorf("recomputed: due %v, guessed %v, %s", again.DueAt, again.Guessed, again.CalendarVersion)
		}
		h.refused("nothing", func(tx *storage.Tx) error { _, err := h.Recompute(tx, k.ID, "再算", h.admin); return err })
	})
}

func TestI10SuspensionIsBoundedApprovedAndShown(t *testing.T) {
	each(t, func(h *house) {
		k, l := h.handling(nil) // handle: 5 WD from Monday 10:00, due Monday 30th 17:00
		h.must(func(tx *storage.Tx) (Ticket, error) {
			return h.Contacted(tx, l.ID, ContactNote{Via: "phone", Outcome: Reached}, h.handlerA)
		})
		ask := func(d time.Duration) (Request, error) {
			var q Request
			err := h.db.Update(t.Context(), func(tx *storage.Tx) (err error) {
				q, err = h.RequestSuspend(tx, l.ID, h.Now().Add(d), "等待鉴定", h.handlerA)
				return err
			})
			return q, err
		}
		for _, d := range []time.Duration{-time.Hour, 0, 30 * 24 * time.Hour} {
			if r, ok := RefusedWith(second(ask(d))); !ok || r.Code != "until" {
				h.t.Errorf("a suspension of %v is not refused", d)
			}
		}
		q, err := ask(48 * time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		h.refused("role", func(tx *storage.Tx) error {
			_, err := h.DecideSuspend(tx, q.ID, Ruling{Grant: true}, h.handlerA)
			return err
		})
		k = h.must(func(tx *storage.Tx) (Ticket, error) {
			return h.DecideSuspend(tx, q.ID, Ruling{Grant: true}, h.dispatcher)
		})
		c := h.clocks(k.ID, ClockHandle)[0]
		if k.State != Suspended || c.State != Paused || !c.NextAt.IsZero() || !k.Due.Equal(q.Until) {
			h.t.Errorf("%s, clock %s, next %v, due %v", k.State, c.State, c.NextAt, k.Due)
		}
		h.refused("state", func(tx *storage.Tx) error { _, err := h.Submit(tx, l.ID, result(), h.handlerA); return err })
		h.set("2026-11-24 10:00") // one working day later
		h.must(func(tx *storage.Tx) (Ticket, error) { return h.Resume(tx, k.ID, "鉴定完成", h.handlerA) })
		c = h.clocks(k.ID, ClockHandle)[0]
		if c.State != Running || !c.DueAt.Equal(local(t, "2026-12-01 17:00")) || c.PausedMS != (24*time.Hour).Milliseconds() || !c.StartedAt.Equal(local(t, "2026-11-23 10:00")) {
			h.t.Errorf("resumed: %s due %v, stood still %d ms, since %v", c.State, c.DueAt, c.PausedMS, c.StartedAt)
		}
		h.suspend(h.get(k.ID), l, 24*time.Hour)
		h.pass(24*time.Hour + time.Minute)
		h.sweep()
		h.wantState(k.ID, Handling) // the approved end wakes it
		if r, ok := RefusedWith(second(ask(time.Hour))); !ok || r.Code != "suspension_limit" {
			h.t.Error("a third suspension is not refused")
		}
	})
}

func second[T any](_ T, err error) error { return err }

// calendar2027 is the embedded calendar with a notice for 2027 that frees New Year's Day.
func calendar2027(t testing.TB) *workday.Calendar {
	t.Helper()
	files := fstest.MapFS{}
	for name, data := range map[string]string{
		"2026.json": `{"year":2026,"days":[{"name":"元旦","date":"2026-01-01","isOffDay":true}]}`,
		"2027.json": `{"year":2027,"days":[{"name":"元旦","date":"2027-01-01","isOffDay":true}]}`,
	} {
		files[name] = &fstest.MapFile{Data: []byte(data)}
	}
	c, err := workday.Read(files)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (h *house) sweep() []Notice {
	h.t.Helper()
	n, err := h.Sweep(h.t.Context(), h.db, h.Now())
	if err != nil {
		h.t.Fatal(err)
	}
	return n
}

func TestI11OneExtensionBeforeDueAndTheCitizenIsTold(t *testing.T) {
	each(t, func(h *house) {
		k, l := h.handling(nil, unitB)
		ask := func(days int) func(tx *storage.Tx) error {
			return func(tx *storage.Tx) error {
				_, err := h.RequestExtension(tx, l.ID, days, "案情复杂", h.handlerA)
				return err
			}
		}
		h.refused("days", ask(0))
		h.refused("days", ask(11))
		h.refused("unit", func(tx *storage.Tx) error { _, err := h.RequestExtension(tx, l.ID, 5, "x", h.handlerB); return err })
		co := h.legs(k.ID)[1]
		h.must(func(tx *storage.Tx) (Ticket, error) { return h.Sign(tx, co.ID, h.handlerB) })
		h.refused("host", func(tx *storage.Tx) error { _, err := h.RequestExtension(tx, co.ID, 5, "x", h.handlerB); return err })
		var q Request
		h.update(func(tx *storage.Tx) (err error) {
			q, err = h.RequestExtension(tx, l.ID, 10, "案情复杂", h.handlerA)
			return err
		})
		if s := h.hostLeg(k.ID).State; s != LegExtReq {
			h.t.Errorf("leg is %s", s)
		}
		h.refused("asked", ask(5))
		h.refused("informed", func(tx *storage.Tx) error {
			_, err := h.DecideExtension(tx, q.ID, Ruling{Grant: true}, h.supervisor)
			return err
		})
		before := h.clocks(k.ID, ClockHandle)[0].DueAt
		k = h.must(func(tx *storage.Tx) (Ticket, error) {
			return h.DecideExtension(tx, q.ID, Ruling{Grant: true, Informed: "11月23日电话告知"}, h.supervisor)
		})
		c := h.clocks(k.ID, ClockHandle)[0]
		if k.Extensions != 1 || h.Calendar.Between(workday.DayOf(before), workday.DayOf(c.DueAt)) != 10 || h.hostLeg(k.ID).State != LegSigned {
			h.t.Errorf("%d extensions, due %v after %v, leg %s", k.Extensions, c.DueAt, before, h.hostLeg(k.ID).State)
		}
		h.refused("extension_limit", ask(5))
		// Too late.
		k2, l2 := h.handling(nil)
		h.pass(9 * 24 * time.Hour)
		h.refused("overdue", func(tx *storage.Tx) error { _, err := h.RequestExtension(tx, l2.ID, 5, "x", h.handlerA); return err })
		h.t.Log(k2.Number)
		// For 红 a leader decides.
		_, l3 := h.handling(func(in *Intake) { in.Colour = Red })
		h.update(func(tx *storage.Tx) (err error) {
			q, err = h.RequestExtension(tx, l3.ID, 5, "专班核查", h.handlerA)
			return err
		})
		grant := Ruling{Grant: true, Informed: "已当面告知"}
		h.refused("leader", func(tx *storage.Tx) error { _, err := h.DecideExtension(tx, q.ID, grant, h.supervisor); return err })
		h.must(func(tx *storage.Tx) (Ticket, error) { return h.DecideExtension(tx, q.ID, grant, h.leader) })
	})
}

func TestI12TwoReturnsThenTheCentreDesignates(t *testing.T) {
	each(t, func(h *house) {
		k := h.accepted(nil)
		wish := func(suggest string) ReturnWish {
			return ReturnWish{Reason: "不属本所管辖", Clause: "职责清单第3条", Suggest: suggest}
		}
		giveBack := func(l Leg, by Actor, suggest string) {
			var q Request
			h.update(func(tx *storage.Tx) (err error) {
				q, err = h.RequestReturn(tx, l.ID, wish(suggest), by)
				return err
			})
			h.must(func(tx *storage.Tx) (Ticket, error) {
				return h.DecideReturn(tx, q.ID, Ruling{Grant: true}, h.dispatcher)
			})
		}
		dispatch := func(unit string, designated bool) Leg {
			h.must(func(tx *storage.Tx) (Ticket, error) {
				return h.Dispatch(tx, k.ID, Dispatching{Host: unit, Co: []string{"legal"}, Note: "指定承办", Designated: designated}, h.dispatcher)
			})
			for _, l := range h.legs(k.ID) {
				if l.Role == Host && l.State == LegPending {
					return l
				}
			}
			h.t.Fatal("no leg")
			return Leg{}
		}
		l := dispatch(unitA, false)
		h.refused("return", func(tx *storage.Tx) error {
			_, err := h.RequestReturn(tx, l.ID, ReturnWish{Reason: "忙", Suggest: unitB}, h.handlerA)
			return err
		})
		h.refused("return", func(tx *storage.Tx) error { _, err := h.RequestReturn(tx, l.ID, wish(unitA), h.handlerA); return err })
		giveBack(l, h.handlerA, unitB)
		k = h.wantState(k.ID, Accepted)
		if k.Returns != 1 || len(h.running(k.ID, ClockDispatch)) != 1 || len(h.running(k.ID, ClockHandle)) != 1 || len(h.running(k.ID, ClockSign)) != 0 {
			h.t.Errorf("returned %d times", k.Returns)
		}
		l = dispatch(unitB, false)
		h.must(func(tx *storage.Tx) (Ticket, error) { return h.Sign(tx, l.ID, h.handlerB) })
		giveBack(l, h.handlerB, unitA) // from 办理中 too
		h.wantState(k.ID, Accepted)
		h.refused("return_limit", func(tx *storage.Tx) error {
			_, err := h.Dispatch(tx, k.ID, Dispatching{Host: unitA}, h.dispatcher)
			return err
		})
		l = dispatch(unitA, true)
		h.refused("return_limit", func(tx *storage.Tx) error { _, err := h.RequestReturn(tx, l.ID, wish(unitB), h.handlerA); return err })
		// A denied return puts the leg back where it was, with a new clock to sign by.
		k2 := h.accepted(nil)
		h.must(func(tx *storage.Tx) (Ticket, error) {
			return h.Dispatch(tx, k2.ID, Dispatching{Host: unitA}, h.dispatcher)
		})
		var q Request
		h.update(func(tx *storage.Tx) (err error) {
			q, err = h.RequestReturn(tx, h.hostLeg(k2.ID).ID, wish(unitB), h.handlerA)
			return err
		})
		h.refused("leg_state", func(tx *storage.Tx) error { _, err := h.Sign(tx, h.hostLeg(k2.ID).ID, h.handlerA); return err })
		h.must(func(tx *storage.Tx) (Ticket, error) {
			return h.DecideReturn(tx, q.ID, Ruling{Note: "属你所管辖"}, h.dispatcher)
		})
		if s := h.hostLeg(k2.ID).State; s != LegPending || len(h.running(k2.ID, ClockSign)) != 1 || len(h.running(k2.ID, ClockDecide)) != 0 {
			h.t.Errorf("leg is %s", s)
		}
		h.wantState(k2.ID, Dispatched)
	})
}

func (h *house) running(id string, k ClockKind) (out []Clock) {
	for _, c := range h.clocks(id, k) {
		if c.State == Running {
			out = append(out, c)
		}
	}
	return out
}

func TestI13TypeChangesNeedASecondPersonAndKeepTheOriginal(t *testing.T) {
	each(t, func(h *house) {
		k := h.open(func(in *Intake) { in.Channel, in.By = "web", Citizen(h.citizen) })
		h.refused("retype", func(tx *storage.Tx) error {
			_, err := h.Amend(tx, k.ID, Amendment{Kind: Inquiry}, h.operator)
			return err
		})
		h.refused("retype", func(tx *storage.Tx) error {
			_, err := h.Accept(tx, k.ID, Acceptance{Kind: Inquiry}, h.dispatcher)
			return err
		})
		var q Request
		h.update(func(tx *storage.Tx) (err error) {
			q, err = h.RequestRetype(tx, k.ID, Inquiry, "实为咨询", h.operator)
			return err
		})
		h.refused("role", func(tx *storage.Tx) error {
			_, err := h.DecideRetype(tx, q.ID, Ruling{Grant: true}, h.operator)
			return err
		})
		h.refused("kind", func(tx *storage.Tx) error {
			_, err := h.DecideLower(tx, q.ID, Ruling{Grant: true}, h.supervisor)
			return err
		})
		k = h.must(func(tx *storage.Tx) (Ticket, error) {
			return h.DecideRetype(tx, q.ID, Ruling{Grant: true}, h.supervisor)
		})
		if k.Kind != Inquiry || k.OriginalKind != Complaint {
			h.t.Errorf("kind %s, originally %s", k.Kind, k.OriginalKind)
		}
	})
}

func TestI14MergedTicketsKeepCitizenReplyAndRating(t *testing.T) {
	each(t, func(h *house) {
		var second contact.Person
		h.update(func(tx *storage.Tx) error {
			p, err := contact.ParseMobile("13800000002")
			if err != nil {
				return err
			}
			second, err = h.Book.Ensure(tx, p, "李某")
			return err
		})
		target, _ := h.handling(nil)
		child := h.open(func(in *Intake) { in.ContactID = second.ID })
		grand := h.open(func(in *Intake) { in.ContactID = second.ID })
		third := h.open(nil)
		h.refused("self", func(tx *storage.Tx) error { _, err := h.Merge(tx, child.ID, child.ID, "x", h.dispatcher); return err })
		h.refused("target", func(tx *storage.Tx) error { _, err := h.Merge(tx, child.ID, "nobody", "x", h.dispatcher); return err })
		h.refused("ground", func(tx *storage.Tx) error { _, err := h.Merge(tx, child.ID, target.ID, "", h.dispatcher); return err })
		h.must(func(tx *storage.Tx) (Ticket, error) {
			return h.Merge(tx, grand.ID, child.ID, "同一事项", h.dispatcher)
		})
		child = h.must(func(tx *storage.Tx) (Ticket, error) {
			return h.Merge(tx, child.ID, target.ID, "同一地址同一噪音", h.dispatcher)
		})
		if child.State != Merged || child.MergedInto != target.ID || child.ContactID != second.ID {
			h.t.Errorf("%+v", child)
		}
		h.refused("target", func(tx *storage.Tx) error {
			_, err := h.Merge(tx, third.ID, grand.ID, "x", h.dispatcher)
			return err
		})
		h.refused("state", func(tx *storage.Tx) error {
			_, err := h.Rate(tx, child.ID, RatingIn{Stars: 5, Via: "sms"}, Citizen(second.ID))
			return err
		})
		h.toReviewing(target)
		h.toRating(target)
		for _, id := range []string{child.ID, grand.ID} {
			k := h.get(id)
			if k.RepliedAt.IsZero() || k.ReplyVia != "phone" || k.State != Merged {
				h.t.Errorf("the merged ticket did not get the reply: %+v", k)
			}
			h.view(func(tx *storage.Tx) error {
				cbs, n, err := h.Callbacks(tx, CallbackFilter{Viewer: System, TicketID: id, State: CallbackOpen})
				if n != 1 || cbs[0].Kind != CallbackReview || cbs[0].ContactID != second.ID {
					h.t.Errorf("call-backs of the merged ticket: %+v", cbs)
				}
				return err
			})
		}
		h.rate(target.ID, 5)
		// One is satisfied, the other not: it gets a life of its own.
		k := h.must(func(tx *storage.Tx) (Ticket, error) {
			return h.Rate(tx, grand.ID, RatingIn{Stars: 4, Via: "sms"}, Citizen(second.ID))
		})
		if k.State != Merged || k.Outcome != Rated {
			h.t.Errorf("%+v", k)
		}
		k = h.must(func(tx *storage.Tx) (Ticket, error) {
			return h.Rate(tx, child.ID, RatingIn{Stars: 1, Via: "sms"}, Citizen(second.ID))
		})
		if k.State != Accepted || k.MergedInto != "" || k.Round != 1 {
			h.t.Errorf("%+v", k)
		}
		h.wantState(target.ID, Closed)
	})
}

func TestMergesAreReversibleAndNothingIsLostWithTheirTarget(t *testing.T) {
	each(t, func(h *house) {
		target := h.open(nil)
		a, b := h.open(nil), h.open(nil)
		for _, id := range []string{a.ID, b.ID} {
			h.must(func(tx *storage.Tx) (Ticket, error) { return h.Merge(tx, id, target.ID, "同一事项", h.dispatcher) })
		}
		a = h.must(func(tx *storage.Tx) (Ticket, error) { return h.Unmerge(tx, a.ID, "并非同一事项", h.dispatcher) })
		if a.State != New || a.MergedInto != "" || len(h.running(a.ID, ClockAccept)) != 1 {
			h.t.Errorf("%+v", a)
		}
		h.must(func(tx *storage.Tx) (Ticket, error) {
			return h.Withdraw(tx, target.ID, Withdrawal{Reason: "不再反映"}, Citizen(h.citizen))
		})
		if k := h.get(b.ID); k.State != New || k.MergedInto != "" {
			h.t.Errorf("the ticket merged into a withdrawn one is %s", k.State)
		}
	})
}

func TestI15UnratedIsNeverSatisfied(t *testing.T) {
	each(t, func(h *house) {
		k := h.rating(func(in *Intake) { in.ContactID, in.Anonymous = "", true })
		k = h.must(func(tx *storage.Tx) (Ticket, error) { return h.CloseUnrated(tx, k.ID, System) })
		if k.Stars.Valid() || k.Outcome == Rated {
			h.t.Errorf("%+v", k)
		}
		if Stars(0).Label() != "未评价" || !strings.Contains(k.StateLabel(), "未评价") {
			h.t.Errorf("label %s", k.StateLabel())
		}
	})
}

func TestI21RepeatLinksNeedEvidence(t *testing.T) {
	each(t, func(h *house) {
		first := h.open(nil)
		h.pass(time.Minute)
		again := h.open(nil)
		h.refused("evidence", func(tx *storage.Tx) error {
			_, err := h.LinkRepeat(tx, again.ID, first.ID, " ", h.dispatcher)
			return err
		})
		h.refused("repeat", func(tx *storage.Tx) error {
			_, err := h.LinkRepeat(tx, again.ID, "nobody", "x", h.dispatcher)
			return err
		})
		h.refused("repeat", func(tx *storage.Tx) error {
			_, err := h.LinkRepeat(tx, first.ID, again.ID, "x", h.dispatcher)
			return err
		})
		h.refused("repeat", func(tx *storage.Tx) error {
			_, err := h.LinkRepeat(tx, first.ID, first.ID, "x", h.dispatcher)
			return err
		})
		k := h.must(func(tx *storage.Tx) (Ticket, error) {
			return h.LinkRepeat(tx, again.ID, first.ID, "同号码,文本相似0.82", h.dispatcher)
		})
		if k.RepeatOf != first.ID {
			h.t.Errorf("%+v", k)
		}
		third := h.open(func(in *Intake) { in.RepeatOf, in.RepeatEvidence = first.ID, "群众称系同一事项" })
		if third.RepeatOf != first.ID {
			h.t.Errorf("%+v", third)
		}
		h.refused("evidence", func(tx *storage.Tx) error {
			_, err := h.Open(tx, Intake{Channel: "hotline", Kind: Help, Title: "x", RepeatOf: first.ID, By: h.operator})
			return err
		})
	})
}

func TestORG1UnitsSeeOnlyTheirOwnLegs(t *testing.T) {
	each(t, func(h *house) {
		k, _ := h.handling(nil)
		if !h.sees(k, h.handlerA) || !h.sees(k, h.reviewerA) {
			h.t.Error("the host does not see its ticket")
		}
		branch := h.reviewerA
		branch.Unit = "ping"
		if !h.sees(k, branch) {
			h.t.Error("the branch does not see the ticket of its station")
		}
		h.hidden(k, h.handlerB)
		h.hidden(k, Citizen("someone"))
		if !h.sees(k, Citizen(h.citizen)) {
			h.t.Error("the citizen does not see the own ticket")
		}
		h.refused("unit", func(tx *storage.Tx) error {
			_, err := h.Submit(tx, h.hostLeg(k.ID).ID, result(), h.handlerB)
			return err
		})
	})
}

// I22: every count equals the total of its list.
func TestI22CountsEqualTheirLists(t *testing.T) {
	each(t, func(h *house) {
		h.rate(h.rating(nil).ID, 5)
		h.handling(func(in *Intake) { in.Colour = Red })
		h.accepted(func(in *Intake) { in.Colour = Orange })
		h.open(nil)
		h.open(func(in *Intake) { in.Channel, in.By = "12389", System })
		h.update(func(tx *storage.Tx) error {
			_, err := h.OpenCallback(tx, Callback{Kind: CallbackAbandoned, CallID: "c1", ContactID: h.citizen, By: Bot})
			return err
		})
		h.pass(26 * time.Hour)
		h.open(nil)
		now := h.Now()
		for _, viewer := range []Actor{System, h.dispatcher, h.inspector, h.handlerA, h.handlerB} {
			h.view(func(tx *storage.Tx) error {
				c, err := h.Count(tx, viewer, now)
				if err != nil {
					return err
				}
				total := func(f Filter) int {
					f.Viewer = viewer
					list, n, err := h.List(tx, f)
					if err != nil || len(list) != n {
						h.t.Fatalf("%d of %d, %v", len(list), n, err)
					}
					return n
				}
				day := workday.DayOf(now)
				for s, n := range c.States {
					if total(Filter{State: s}) != n {
						h.t.Errorf("%s: %s counts %d", viewer, s, n)
					}
				}
				for col, n := range c.OpenColours {
					if total(Filter{Open: true, Colour: col}) != n {
						h.t.Errorf("%s: %s counts %d", viewer, col, n)
					}
				}
				if total(Filter{Open: true}) != c.Open || total(Filter{Open: true, DueBefore: now}) != c.Overdue ||
					total(Filter{Open: true, DueBefore: day.End()})-c.Overdue != c.DueToday || total(Filter{From: day.Start(), To: day.End()}) != c.OpenedToday {
					h.t.Errorf("%s: %+v", viewer, c)
				}
				_, open, err := h.Callbacks(tx, CallbackFilter{Viewer: viewer, State: CallbackOpen})
				if open != c.CallbacksOpen {
					h.t.Errorf("%s: %d call-backs, counted %d", viewer, open, c.CallbacksOpen)
				}
				return err
			})
		}
		h.view(func(tx *storage.Tx) error {
			c, err := h.Count(tx, h.dispatcher, now)
			if c.Open != 4 || c.Overdue != 3 || c.OpenedToday != 1 || c.CallbacksOverdue != 1 {
				h.t.Errorf("the dispatcher's board: %+v", c)
			}
			all, err2 := h.Count(tx, h.inspector, now)
			if all.Open != 5 {
				h.t.Errorf("the seat sees %d open", all.Open)
			}
			return errors.Join(err, err2)
		})
	})
}
