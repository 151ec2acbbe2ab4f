package ticket

import (
	"testing"
	"time"

	"lianxin/storage"
	"lianxin/workday"
)

func TestCallbacksAreOpenedOnceAndDueByTheirKind(t *testing.T) {
	each(t, func(h *house) {
		open := func(c Callback) (out Callback) {
			c.By = System
			h.update(func(tx *storage.Tx) (err error) { out, err = h.OpenCallback(tx, c); return err })
			return out
		}
		h.set("2026-11-27 16:00") // Friday
		bad := open(Callback{Kind: CallbackRating, ContactID: h.citizen, RecordID: "rec-1", ExcludeUnit: unitA, Reason: "评价不满意"})
		missed := open(Callback{Kind: CallbackAbandoned, ContactID: h.citizen, CallID: "call-1"})
		if !bad.Due.Equal(local(t, "2026-11-28 16:00")) || !missed.Due.Equal(local(t, "2026-11-30 09:30")) {
			h.t.Errorf("due %v and %v", bad.Due.In(workday.Zone), missed.Due.In(workday.Zone))
		}
		if again := open(Callback{Kind: CallbackAbandoned, ContactID: h.citizen, CallID: "call-1"}); !again.Existing || again.ID != missed.ID {
			h.t.Errorf("the same call again: %+v", again)
		}
		if other := open(Callback{Kind: CallbackMessage, ContactID: h.citizen, CallID: "call-1"}); other.Existing {
			h.t.Errorf("another kind for the same call: %+v", other)
		}
		due := open(Callback{Kind: CallbackRating, ContactID: h.citizen, RecordID: "rec-2", Due: local(t, "2026-11-28 09:00")})
		if !due.Due.Equal(local(t, "2026-11-28 09:00")) {
			h.t.Errorf("due %v", due.Due)
		}
		h.refused("nobody", func(tx *storage.Tx) error {
			_, err := h.OpenCallback(tx, Callback{Kind: CallbackRating, By: System})
			return err
		})
		h.refused("kind", func(tx *storage.Tx) error {
			_, err := h.OpenCallback(tx, Callback{Kind: CallbackReview, ContactID: h.citizen, By: System})
			return err
		})
		h.view(func(tx *storage.Tx) error {
			all, n, err := h.Callbacks(tx, CallbackFilter{Viewer: h.caller, State: CallbackOpen})
			if n != 4 || len(all) != 4 || all[0].ID != due.ID || all[1].ID != bad.ID || all[1].Reason != "评价不满意" {
				h.t.Errorf("%d call-backs: %+v", n, all)
			}
			none, n2, err2 := h.Callbacks(tx, CallbackFilter{Viewer: h.handlerA})
			if len(none) != 0 || n2 != 0 {
				h.t.Errorf("the rated unit sees %d call-backs", n2)
			}
			if err == nil {
				err = err2
			}
			return err
		})
	})
}

func TestCallbacksEndWhenReachedOrAfterEnoughAttempts(t *testing.T) {
	each(t, func(h *house) {
		var c Callback
		h.update(func(tx *storage.Tx) (err error) {
			c, err = h.OpenCallback(tx, Callback{Kind: CallbackRating, ContactID: h.citizen, RecordID: "r", ExcludeUnit: unitA, By: System})
			return err
		})
		h.refused("role", func(tx *storage.Tx) error { _, err := h.AttemptCallback(tx, c.ID, Reached, "", h.operator); return err })
		h.refused("outcome", func(tx *storage.Tx) error { _, err := h.AttemptCallback(tx, c.ID, "maybe", "", h.caller); return err })
		h.update(func(tx *storage.Tx) error { _, err := h.AssignCallback(tx, c.ID, h.caller, h.supervisor); return err })
		for _, at := range []string{"2026-11-23 10:00", "2026-11-23 15:00"} {
			h.set(at)
			h.update(func(tx *storage.Tx) error {
				_, err := h.AttemptCallback(tx, c.ID, NoAnswer, "无人接听", h.caller)
				return err
			})
		}
		h.refused("tries", func(tx *storage.Tx) error {
			_, err := h.FinishCallback(tx, c.ID, false, "未接通", h.caller)
			return err
		})
		h.refused("note", func(tx *storage.Tx) error { _, err := h.FinishCallback(tx, c.ID, true, "", h.caller); return err })
		h.set("2026-11-24 09:00")
		h.update(func(tx *storage.Tx) error {
			_, err := h.AttemptCallback(tx, c.ID, SwitchedOff, "", h.caller)
			return err
		})
		h.update(func(tx *storage.Tx) (err error) {
			c, err = h.FinishCallback(tx, c.ID, false, "三次未接通", h.caller)
			return err
		})
		if c.State != CallbackDropped || c.Tries != 3 || c.FinishedBy != h.caller.String() {
			h.t.Errorf("%+v", c)
		}
		h.refused("state", func(tx *storage.Tx) error { _, err := h.AttemptCallback(tx, c.ID, Reached, "", h.caller); return err })
		h.view(func(tx *storage.Tx) error {
			ts, err := h.Tries(tx, c.ID)
			if len(ts) != 3 || ts[0].Part != "上午" || ts[1].Part != "下午" || ts[0].Note != "无人接听" {
				h.t.Errorf("%+v", ts)
			}
			return err
		})
		// Reached: done, by one attempt. The program may settle one too, saying how.
		for _, by := range []Actor{h.caller, System} {
			var c Callback
			h.update(func(tx *storage.Tx) (err error) {
				if c, err = h.OpenCallback(tx, Callback{Kind: CallbackMessage, CallID: "call-" + by.String(), By: Bot}); err != nil {
					return err
				}
				if by == h.caller {
					if _, err = h.AttemptCallback(tx, c.ID, Reached, "已沟通", by); err != nil {
						return err
					}
				}
				c, err = h.FinishCallback(tx, c.ID, true, "群众再次来电", by)
				return err
			})
			if c.State != CallbackDone {
				h.t.Errorf("%+v", c)
			}
		}
	})
}

func TestCallbackOfATicketIsPartOfItsStream(t *testing.T) {
	each(t, func(h *house) {
		k := h.open(nil)
		var c Callback
		h.update(func(tx *storage.Tx) (err error) {
			c, err = h.OpenCallback(tx, Callback{Kind: CallbackRating, TicketID: k.ID, RecordID: "r", ExcludeUnit: unitA, By: System})
			return err
		})
		if c.ContactID != h.citizen {
			h.t.Errorf("%+v", c)
		}
		h.update(func(tx *storage.Tx) error {
			_, err := h.AttemptCallback(tx, c.ID, Reached, "已核实", h.caller)
			return err
		})
		h.update(func(tx *storage.Tx) error { _, err := h.FinishCallback(tx, c.ID, true, "属实", h.caller); return err })
		var types []string
		h.view(func(tx *storage.Tx) error {
			line, err := h.Timeline(tx, k.ID)
			for _, m := range line {
				types = append(types, m.Type)
			}
			return err
		})
		if len(types) != 6 || types[5] != "callback.finished" {
			h.t.Errorf("%v", types)
		}
		h.must(func(tx *storage.Tx) (Ticket, error) {
			return h.Withdraw(tx, k.ID, Withdrawal{Reason: "x"}, Citizen(h.citizen))
		})
		h.refused("state", func(tx *storage.Tx) error {
			_, err := h.OpenCallback(tx, Callback{Kind: CallbackMessage, TicketID: k.ID, CallID: "z", By: System})
			return err
		})
	})
}

func TestAlertsAreRaisedOnceAcknowledgedAndDisposed(t *testing.T) {
	each(t, func(h *house) {
		raise := func(key string) (a Alert) {
			h.update(func(tx *storage.Tx) (err error) {
				a, err = h.RaiseAlert(tx, Alert{Key: key, Rule: "danger_reply", Level: Orange, Title: "x", Evidence: "y", By: System})
				return err
			})
			return a
		}
		a := raise("sms/1")
		if b := raise("sms/1"); !b.Existing || b.ID != a.ID {
			h.t.Errorf("%+v", b)
		}
		if !a.AckDue.Equal(h.Now().Add(30 * time.Minute).UTC()) {
			h.t.Errorf("to be acknowledged by %v", a.AckDue)
		}
		h.refused("alert", func(tx *storage.Tx) error { _, err := h.RaiseAlert(tx, Alert{Rule: "x", By: System}); return err })
		h.refused("role", func(tx *storage.Tx) error { _, err := h.AckAlert(tx, a.ID, h.handlerA); return err })
		h.refused("state", func(tx *storage.Tx) error {
			_, err := h.DisposeAlert(tx, a.ID, Noise, "", "误报", h.supervisor)
			return err
		})
		h.update(func(tx *storage.Tx) error { _, err := h.AckAlert(tx, a.ID, h.supervisor); return err })
		h.refused("ticket", func(tx *storage.Tx) error {
			_, err := h.DisposeAlert(tx, a.ID, ToTicket, "", "转办", h.supervisor)
			return err
		})
		h.update(func(tx *storage.Tx) (err error) {
			a, err = h.DisposeAlert(tx, a.ID, Noise, "", "引用他人的话,误报", h.supervisor)
			return err
		})
		if a.State != AlertDisposed || a.Disposition != Noise {
			h.t.Errorf("%+v", a)
		}
	})
}
