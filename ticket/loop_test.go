package ticket

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lianxin/audit"
	"lianxin/storage"
	"lianxin/workday"
)

func TestMainPath(t *testing.T) {
	each(t, func(h *house) {
		k := h.open(func(in *Intake) { in.Raw = []byte(`{"tel":"13800000001"}`) })
		if k.Number != "民2026-1123-0001" || k.State != New || k.Queue != CentreQueue {
			h.t.Errorf("opened as %+v", k)
		}
		k = h.must(func(tx *storage.Tx) (Ticket, error) { return h.Accept(tx, k.ID, Acceptance{}, h.operator) })
		k, _ = h.toHandling(k, unitB)
		if k.Host != unitA || k.Queue != "" {
			h.t.Errorf("handled by %q in queue %q", k.Host, k.Queue)
		}
		co := h.legs(k.ID)[1]
		h.must(func(tx *storage.Tx) (Ticket, error) { return h.Sign(tx, co.ID, h.handlerB) })
		h.must(func(tx *storage.Tx) (Ticket, error) { return h.Submit(tx, co.ID, result(), h.handlerB) })
		h.toReviewing(k)
		h.must(func(tx *storage.Tx) (Ticket, error) { return h.Reject(tx, k.ID, "请补充现场照片", h.supervisor) })
		h.wantState(k.ID, Handling)
		h.must(func(tx *storage.Tx) (Ticket, error) { return h.Submit(tx, h.hostLeg(k.ID).ID, result(), h.handlerA) })
		h.toRating(k)
		k = h.rate(k.ID, 4)
		if k.State != Closed || k.Outcome != Rated || k.Stars != 4 || k.RepliedAt.IsZero() || k.ClosedAt.IsZero() || !k.Due.IsZero() {
			h.t.Errorf("closed as %+v", k)
		}
		h.refused("early", func(tx *storage.Tx) error { _, err := h.Archive(tx, k.ID, h.dispatcher); return err })
		h.pass(31 * 24 * time.Hour)
		k = h.must(func(tx *storage.Tx) (Ticket, error) { return h.Archive(tx, k.ID, h.dispatcher) })
		if k.State != Archived || k.StateLabel() != "已归档" {
			h.t.Errorf("archived as %s", k.StateLabel())
		}
		var labels []string
		h.view(func(tx *storage.Tx) error {
			line, err := h.Timeline(tx, k.ID)
			for _, m := range line {
				labels = append(labels, m.Label)
				if m.Type == "leg.submitted" && m.Texts["result"] != result().Text {
					h.t.Errorf("the timeline shows %q as the result", m.Texts["result"])
				}
			}
			return err
		})
		want := []string{"登记", "类别和单位建议", "颜色评定", "受理", "派单", "签收", "签收", "提交办理结果", "联系群众", "提交办理结果", "审核退回", "提交办理结果", "审核通过并答复", "开启评价", "登记回访任务", "评价", "归档"}
		if diff := cmp.Diff(want, labels); diff != "" {
			h.t.Error(diff)
		}
		for _, l := range h.legs(k.ID) {
			if l.State != LegAccepted {
				h.t.Errorf("leg of %s is %s", l.Unit, l.State)
			}
		}
	})
}

func TestBadRatingsLeadToTwoReworksThenHold(t *testing.T) {
	each(t, func(h *house) {
		k := h.rating(nil)
		for round := 1; round <= 2; round++ {
			k = h.rate(k.ID, Stars(round))
			if k.State != Accepted || k.Round != round || k.Outcome != "" {
				h.t.Fatalf("after bad rating %d: %s, round %d", round, k.State, k.Round)
			}
			k, _ = h.toHandling(k)
			if want := "办理中(第" + chinese(round) + "轮重办)"; k.StateLabel() != want {
				h.t.Errorf("label %s, want %s", k.StateLabel(), want)
			}
			h.toReviewing(k)
			h.toRating(k)
		}
		k = h.rate(k.ID, 1)
		if k.State != Rework || k.Hold != HoldRework || k.Round != 3 || k.Queue != CentreQueue || k.StateLabel() != "重办待会商" {
			h.t.Fatalf("after the third bad rating: %s, hold %q, round %d", k.State, k.Hold, k.Round)
		}
		if c := h.clocks(k.ID, ClockHold); len(c) != 1 || c[0].State != Running {
			h.t.Errorf("hold clocks %+v", c)
		}
		h.refused("state", func(tx *storage.Tx) error {
			_, err := h.Dispatch(tx, k.ID, Dispatching{Host: unitA}, h.dispatcher)
			return err
		})
		h.refused("role", func(tx *storage.Tx) error { _, err := h.Release(tx, k.ID, "结论", h.dispatcher); return err })
		h.refused("decision", func(tx *storage.Tx) error { _, err := h.Release(tx, k.ID, " ", h.leader); return err })
		k = h.must(func(tx *storage.Tx) (Ticket, error) {
			return h.Release(tx, k.ID, "会商:由分局牵头重新处置", h.supervisor)
		})
		if k.State != Accepted || k.Hold != "" {
			h.t.Errorf("released into %s, hold %q", k.State, k.Hold)
		}
		k, _ = h.toHandling(k)
		h.toReviewing(k)
		h.toRating(k)
		if k = h.rate(k.ID, 5); k.State != Closed || k.Round != 3 {
			h.t.Errorf("%s in round %d", k.State, k.Round)
		}
		h.view(func(tx *storage.Tx) error {
			r, err := h.Ratings(tx, k.ID)
			var all []Stars
			for _, x := range r {
				all = append(all, x.Stars)
			}
			if diff := cmp.Diff([]Stars{1, 2, 1, 5}, all); diff != "" { // I17: all versions kept
				h.t.Error(diff)
			}
			return err
		})
	})
}

func TestDirectAnswerIsRatedAndMayBeReworked(t *testing.T) {
	each(t, func(h *house) {
		k := h.open(func(in *Intake) { in.Kind = Inquiry })
		k = h.must(func(tx *storage.Tx) (Ticket, error) {
			return h.Answer(tx, k.ID, Reply{Text: "工作日均可办理", Via: "phone"}, Bot)
		})
		if k.State != Answered || k.RespondedAt.IsZero() {
			h.t.Errorf("%+v", k)
		}
		if k = h.rate(k.ID, 1); k.State != Accepted || k.Round != 1 {
			h.t.Errorf("bad rating of an answer leads to %s, round %d", k.State, k.Round)
		}
		k2 := h.open(nil)
		h.must(func(tx *storage.Tx) (Ticket, error) {
			return h.Answer(tx, k2.ID, Reply{Text: "已解释", Via: "phone"}, h.operator)
		})
		// The operator who answered does not call back about it (I5); nor is an operator a callback officer at all.
		h.refused("role", func(tx *storage.Tx) error { _, err := h.Attempt(tx, k2.ID, Reached, "", h.operator); return err })
		if k2 = h.rate(k2.ID, 3); k2.State != Closed {
			h.t.Errorf("%s", k2.State)
		}
		accused := h.open(func(in *Intake) { in.AccusedUnit = unitA })
		h.refused("accusation", func(tx *storage.Tx) error {
			_, err := h.Answer(tx, accused.ID, Reply{Text: "x", Via: "phone"}, h.operator)
			return err
		})
	})
}

func TestRefusalNeedsAGroundAndMayBeAppealedToAnother(t *testing.T) {
	each(t, func(h *house) {
		k := h.open(nil)
		notice := Reply{Text: "您反映的事项已进入诉讼程序", Via: "letter"}
		h.refused("ground", func(tx *storage.Tx) error { _, err := h.Refuse(tx, k.ID, "mood", notice, h.dispatcher); return err })
		h.refused("reply", func(tx *storage.Tx) error {
			_, err := h.Refuse(tx, k.ID, "litigation", Reply{}, h.dispatcher)
			return err
		})
		h.refused("role", func(tx *storage.Tx) error {
			_, err := h.Refuse(tx, k.ID, "litigation", notice, h.operator)
			return err
		})
		k = h.must(func(tx *storage.Tx) (Ticket, error) { return h.Refuse(tx, k.ID, "litigation", notice, h.dispatcher) })
		if k.State != Refused || k.Reply != notice.Text || k.Ground != "litigation" || k.ClosedAt.IsZero() {
			h.t.Errorf("%+v", k)
		}
		h.refused("citizen", func(tx *storage.Tx) error { _, err := h.Appeal(tx, k.ID, "不服", Citizen("someone")); return err })
		k = h.must(func(tx *storage.Tx) (Ticket, error) { return h.Appeal(tx, k.ID, "并未起诉", Citizen(h.citizen)) })
		if k.State != New || !k.ClosedAt.IsZero() {
			h.t.Errorf("appealed into %s", k.State)
		}
		h.refused("same_person", func(tx *storage.Tx) error {
			_, err := h.Refuse(tx, k.ID, "litigation", notice, h.dispatcher)
			return err
		})
		h.must(func(tx *storage.Tx) (Ticket, error) { return h.Refuse(tx, k.ID, "settled", notice, h.inspector) })
		h.pass(61 * 24 * time.Hour)
		h.refused("late", func(tx *storage.Tx) error { _, err := h.Appeal(tx, k.ID, "再申诉", Citizen(h.citizen)); return err })
	})
}

func TestTransferNeedsAnIncidentNumberAndEndsTheTicket(t *testing.T) {
	each(t, func(h *house) {
		k := h.open(nil)
		h.refused("incident", func(tx *storage.Tx) error { _, err := h.Transfer110(tx, k.ID, " ", "", h.operator); return err })
		k = h.must(func(tx *storage.Tx) (Ticket, error) {
			return h.Transfer110(tx, k.ID, "JQ20261123001", "正在打架", Bot)
		})
		if k.State != Transferred || k.IncidentNo != "JQ20261123001" || k.RespondedAt.IsZero() {
			h.t.Errorf("%+v", k)
		}
		h.refused("state", func(tx *storage.Tx) error { _, err := h.Accept(tx, k.ID, Acceptance{}, h.dispatcher); return err })
	})
}

func TestWithdrawFromEveryOpenState(t *testing.T) {
	each(t, func(h *house) {
		open := map[State]func() Ticket{
			New:      func() Ticket { return h.open(nil) },
			Accepted: func() Ticket { return h.accepted(nil) },
			Dispatched: func() Ticket {
				k := h.accepted(nil)
				return h.must(func(tx *storage.Tx) (Ticket, error) {
					return h.Dispatch(tx, k.ID, Dispatching{Host: unitA, Co: []string{unitB}}, h.dispatcher)
				})
			},
			Handling: func() Ticket { k, _ := h.handling(nil, unitB); return k },
			Suspended: func() Ticket {
				k, l := h.handling(nil)
				return h.suspend(k, l, 48*time.Hour)
			},
			Reviewing:   func() Ticket { k, _ := h.handling(nil); return h.toReviewing(k) },
			AwaitRating: func() Ticket { return h.rating(nil) },
			Answered: func() Ticket {
				k := h.open(nil)
				return h.must(func(tx *storage.Tx) (Ticket, error) {
					return h.Answer(tx, k.ID, Reply{Text: "已解释", Via: "phone"}, h.operator)
				})
			},
			Replied: func() Ticket {
				k, _ := h.handling(nil)
				h.toReviewing(k)
				return h.must(func(tx *storage.Tx) (Ticket, error) {
					return h.Approve(tx, k.ID, Reply{Text: "已处理", Via: "sms"}, h.supervisor)
				})
			},
			Rework: func() Ticket {
				k := h.rating(nil)
				for range 2 {
					h.rate(k.ID, 2)
					k, _ = h.toHandling(h.get(k.ID))
					h.toReviewing(k)
					h.toRating(k)
				}
				return h.rate(k.ID, 2)
			},
		}
		for _, s := range OpenStates {
			k := open[s]()
			if k.State != s {
				h.t.Fatalf("prepared %s, want %s", k.State, s)
			}
			h.refused("citizen", func(tx *storage.Tx) error {
				_, err := h.Withdraw(tx, k.ID, Withdrawal{Reason: "已解决"}, Citizen("someone"))
				return err
			})
			h.refused("evidence", func(tx *storage.Tx) error {
				_, err := h.Withdraw(tx, k.ID, Withdrawal{Reason: "已解决"}, h.operator)
				return err
			})
			k = h.must(func(tx *storage.Tx) (Ticket, error) {
				return h.Withdraw(tx, k.ID, Withdrawal{Reason: "已自行解决"}, Citizen(h.citizen))
			})
			if k.State != Withdrawn || k.Hold != "" {
				h.t.Errorf("withdrawn from %s: %s", s, k.State)
			}
			for _, l := range h.legs(k.ID) {
				if l.State.Live() {
					h.t.Errorf("withdrawn from %s: leg is %s", s, l.State)
				}
			}
			h.view(func(tx *storage.Tx) error {
				clocks, err := h.Clocks(tx, k.ID)
				for _, c := range clocks {
					if c.State == Running || c.State == Paused {
						h.t.Errorf("withdrawn from %s: clock %s is %s", s, c.Kind, c.State)
					}
				}
				cbs, _, err2 := h.Callbacks(tx, CallbackFilter{Viewer: System, TicketID: k.ID, State: CallbackOpen})
				if len(cbs) > 0 {
					h.t.Errorf("withdrawn from %s: %d call-backs open", s, len(cbs))
				}
				return errors.Join(err, err2)
			})
		}
	})
}

func (h *house) suspend(k Ticket, l Leg, d time.Duration) Ticket {
	h.t.Helper()
	var q Request
	h.update(func(tx *storage.Tx) (err error) {
		q, err = h.RequestSuspend(tx, l.ID, h.Now().Add(d), "等待鉴定结论", h.handlerA)
		return err
	})
	return h.must(func(tx *storage.Tx) (Ticket, error) {
		return h.DecideSuspend(tx, q.ID, Ruling{Grant: true}, h.dispatcher)
	})
}

// Every pair of state and command that the domain model does not have is refused, and changes nothing.
func TestCommandsOutsideTheirStatesAreRefused(t *testing.T) {
	each(t, func(h *house) {
		k := h.rating(nil)
		k = h.rate(k.ID, 5)
		leg := h.hostLeg(k.ID).ID
		other := h.open(nil)
		for name, fn := range map[string]func(tx *storage.Tx) (Ticket, error){
			"accept":   func(tx *storage.Tx) (Ticket, error) { return h.Accept(tx, k.ID, Acceptance{}, h.dispatcher) },
			"answer":   func(tx *storage.Tx) (Ticket, error) { return h.Answer(tx, k.ID, Reply{"x", "y"}, h.operator) },
			"transfer": func(tx *storage.Tx) (Ticket, error) { return h.Transfer110(tx, k.ID, "1", "", h.operator) },
			"refuse": func(tx *storage.Tx) (Ticket, error) {
				return h.Refuse(tx, k.ID, "settled", Reply{"x", "y"}, h.dispatcher)
			},
			"merge": func(tx *storage.Tx) (Ticket, error) { return h.Merge(tx, k.ID, other.ID, "同", h.dispatcher) },
			"amend": func(tx *storage.Tx) (Ticket, error) { return h.Amend(tx, k.ID, Amendment{Title: "x"}, h.operator) },
			"dispatch": func(tx *storage.Tx) (Ticket, error) {
				return h.Dispatch(tx, k.ID, Dispatching{Host: unitA}, h.dispatcher)
			},
			"approve":  func(tx *storage.Tx) (Ticket, error) { return h.Approve(tx, k.ID, Reply{"x", "y"}, h.supervisor) },
			"reject":   func(tx *storage.Tx) (Ticket, error) { return h.Reject(tx, k.ID, "x", h.supervisor) },
			"resume":   func(tx *storage.Tx) (Ticket, error) { return h.Resume(tx, k.ID, "x", h.dispatcher) },
			"rating":   func(tx *storage.Tx) (Ticket, error) { return h.OpenRating(tx, k.ID, h.dispatcher) },
			"unrated":  func(tx *storage.Tx) (Ticket, error) { return h.CloseUnrated(tx, k.ID, h.caller) },
			"appeal":   func(tx *storage.Tx) (Ticket, error) { return h.Appeal(tx, k.ID, "x", Citizen(h.citizen)) },
			"unmerge":  func(tx *storage.Tx) (Ticket, error) { return h.Unmerge(tx, k.ID, "x", h.dispatcher) },
			"release":  func(tx *storage.Tx) (Ticket, error) { return h.Release(tx, k.ID, "x", h.leader) },
			"withdraw": func(tx *storage.Tx) (Ticket, error) { return h.Withdraw(tx, k.ID, Withdrawal{"x", "y"}, h.operator) },
			"raise":    func(tx *storage.Tx) (Ticket, error) { return h.Raise(tx, k.ID, Red, "x", h.dispatcher) },
			"contact": func(tx *storage.Tx) (Ticket, error) {
				return h.Contacted(tx, leg, ContactNote{Via: "phone", Outcome: Reached}, h.handlerA)
			},
			"report": func(tx *storage.Tx) (Ticket, error) { return h.ReportProgress(tx, leg, "x", h.handlerA) },
			"submit": func(tx *storage.Tx) (Ticket, error) { return h.Submit(tx, leg, result(), h.handlerA) },
		} {
			h.t.Log(name)
			h.refused("state", func(tx *storage.Tx) error { _, err := fn(tx); return err })
		}
		h.refused("closed", func(tx *storage.Tx) error {
			_, err := h.Rate(tx, k.ID, RatingIn{Stars: 1, Via: "key"}, Bot)
			return err
		})
		h.refused("leg_state", func(tx *storage.Tx) error { _, err := h.Sign(tx, leg, h.handlerA); return err })
		if _, err := h.tryGet("nobody"); !errors.Is(err, storage.ErrNotFound) {
			h.t.Errorf("an unknown ticket is %v", err)
		}
	})
}

func (h *house) tryGet(id string) (t Ticket, err error) {
	err = h.db.View(context.Background(), func(tx *storage.Tx) error { t, err = h.Get(tx, id); return err })
	return t, err
}

func TestNumbersAreUniquePerDayAndReadable(t *testing.T) {
	each(t, func(h *house) {
		var got []string
		for range 3 {
			got = append(got, h.open(nil).Number)
		}
		h.set("2026-11-23 23:59")
		h.pass(59*time.Second + 999*time.Millisecond)
		got = append(got, h.open(nil).Number)
		h.pass(time.Millisecond)
		got = append(got, h.open(nil).Number)
		want := []string{"民2026-1123-0001", "民2026-1123-0002", "民2026-1123-0003", "民2026-1123-0004", "民2026-1124-0001"}
		if diff := cmp.Diff(want, got); diff != "" {
			h.t.Error(diff)
		}
		if k := h.get("民2026-1124-0001"); k.Number != "民2026-1124-0001" {
			h.t.Errorf("found by number: %+v", k)
		}
	})
}

func TestAmendFillsADraft(t *testing.T) {
	each(t, func(h *house) {
		k := h.must(func(tx *storage.Tx) (Ticket, error) {
			return h.Open(tx, Intake{Channel: "hotline", CallID: "call-1", By: Bot})
		})
		h.refused("kind", func(tx *storage.Tx) error { _, err := h.Accept(tx, k.ID, Acceptance{}, h.operator); return err })
		h.refused("empty", func(tx *storage.Tx) error {
			_, err := h.Accept(tx, k.ID, Acceptance{Kind: Help}, h.operator)
			return err
		})
		yes, no := true, false
		k = h.must(func(tx *storage.Tx) (Ticket, error) {
			return h.Amend(tx, k.ID, Amendment{Kind: Help, Title: "求助", Body: "老人走失", Place: "平山区", ContactID: h.citizen, Confidential: &yes}, Bot)
		})
		if k.Kind != Help || k.OriginalKind != Help || k.Title != "求助" || k.Body != "老人走失" || k.Place != "平山区" || !k.Confidential || k.CallID != "call-1" {
			h.t.Errorf("%+v", k)
		}
		k = h.must(func(tx *storage.Tx) (Ticket, error) { return h.Amend(tx, k.ID, Amendment{Kind: Complaint}, h.operator) })
		if k.Kind != Complaint || k.OriginalKind != Help {
			h.t.Errorf("kind %s, originally %s", k.Kind, k.OriginalKind)
		}
		h.refused("confidential", func(tx *storage.Tx) error {
			_, err := h.Amend(tx, k.ID, Amendment{Confidential: &no}, h.operator)
			return err
		})
		h.refused("length", func(tx *storage.Tx) error {
			_, err := h.Amend(tx, k.ID, Amendment{Title: strings.Repeat("长", maxTitle+1)}, h.operator)
			return err
		})
	})
}

func TestLOOP11OldTicketsKeepTheirRules(t *testing.T) {
	each(t, func(h *house) {
		old := h.open(nil)
		h.Rules.Version = "2026-2"
		h.Rules.Clocks[ClockHandle] = all(workday.Days(2))
		h.Rules.MaxReworks = 0
		fresh := h.open(nil)
		if old.RuleVersion == fresh.RuleVersion {
			h.t.Fatalf("both tickets are under %s", old.RuleVersion)
		}
		for id, want := range map[string]string{old.ID: "5wd", fresh.ID: "2wd"} {
			h.must(func(tx *storage.Tx) (Ticket, error) { return h.Accept(tx, id, Acceptance{}, h.dispatcher) })
			if c := h.clocks(id, ClockHandle)[0]; c.Span != want || c.RuleVersion != h.get(id).RuleVersion {
				h.t.Errorf("clock of %s under %s, want %s", c.Span, c.RuleVersion, want)
			}
		}
		k, _ := h.toHandling(h.get(old.ID))
		h.toReviewing(k)
		h.toRating(k)
		if k = h.rate(k.ID, 1); k.State != Accepted { // one rework is automatic under its own rules
			h.t.Errorf("the old ticket is %s", k.State)
		}
		// The same version name with other content is another rule set.
		again := h.Rules
		again.MinTries = 9
		if again.ID() == h.Rules.ID() {
			h.t.Error("changed rules have the same id")
		}
	})
}

func TestChannelsAreData(t *testing.T) {
	each(t, func(h *house) {
		h.refused("channel", func(tx *storage.Tx) error {
			_, err := h.Open(tx, Intake{Channel: "radio", By: h.operator})
			return err
		})
		h.update(func(tx *storage.Tx) error {
			return h.PutChannel(tx, Channel{Code: "radio", Name: "行风热线", Place: 75, External: true, Enabled: true}, h.admin)
		})
		h.refused("role", func(tx *storage.Tx) error {
			return h.PutChannel(tx, Channel{Code: "tv", Name: "电视问政", Enabled: true}, h.operator)
		})
		k := h.open(func(in *Intake) { in.Channel = "radio" })
		if k.Channel != "radio" {
			h.t.Errorf("%+v", k)
		}
		h.update(func(tx *storage.Tx) error {
			return h.PutChannel(tx, Channel{Code: "radio", Name: "行风热线", Place: 75, External: true}, h.admin)
		})
		h.refused("channel", func(tx *storage.Tx) error {
			_, err := h.Open(tx, Intake{Channel: "radio", By: h.operator})
			return err
		})
		h.view(func(tx *storage.Tx) error {
			all, err := h.Channels(tx)
			var codes []string
			for _, c := range all {
				codes = append(codes, c.Code)
			}
			want := []string{"hotline", "sms", "12345", "mailbox", "people", "baixing", "minxin", "radio", "12389", "110", "walkin", "letter", "web", "mini", "open311"}
			if diff := cmp.Diff(want, codes); diff != "" {
				h.t.Error(diff)
			}
			return err
		})
	})
}

func TestEveryStateKindAndEventHasALabel(t *testing.T) {
	for _, s := range States {
		if s.Label() == "" {
			t.Errorf("state %s has no label", s)
		}
	}
	if len(States) != len(stateLabels) {
		t.Errorf("%d states, %d labels", len(States), len(stateLabels))
	}
	for _, k := range Kinds {
		if k.Label() == "" {
			t.Errorf("kind %s has no label", k)
		}
	}
	open := slices.DeleteFunc(slices.Clone(States), func(s State) bool { return !s.Open() })
	if len(open) != len(OpenStates) {
		t.Errorf("open states %v, listed %v", open, OpenStates)
	}
	for from, to := range transitions {
		for _, s := range append(to, from) {
			if s != "" && s.Label() == "" {
				t.Errorf("unknown state %s", s)
			}
		}
	}
	for d := 1; d <= 5; d++ {
		if got := FromReplyDigit(d); int(got) != 6-d || got.Label() == "未评价" {
			t.Errorf("digit %d is %d stars", d, got)
		}
	}
	if FromReplyDigit(0).Valid() || FromReplyDigit(6).Valid() {
		t.Error("digits outside 1–5 rate")
	}
}

// Free text never enters the log: the audit outlives every retention period.
func TestTheLogHoldsNoTextAndNoNumbers(t *testing.T) {
	each(t, func(h *house) {
		secret := "打13987654321找张三,身份证210502199001011234"
		k := h.open(func(in *Intake) { in.Title, in.Body, in.Place, in.Raw = secret, secret, secret, []byte(secret) })
		if strings.Contains(k.Body, "13987654321") || strings.Contains(k.Body, "19900101") || !strings.Contains(k.Body, "139****4321") {
			h.t.Errorf("shown as %s", k.Body)
		}
		h.update(func(tx *storage.Tx) error {
			got, err := h.Original(tx, k.BodyRef)
			if err != nil || got != secret {
				h.t.Errorf("original %q, %v", got, err)
			}
			raws, err := h.Raw(tx, k.ID)
			if err != nil || len(raws) != 1 || string(raws[0]) != secret {
				h.t.Errorf("raw %q, %v", raws, err)
			}
			return nil
		})
		h.update(func(tx *storage.Tx) error {
			_, err := h.RaiseAlert(tx, Alert{Rule: "W1", Level: Red, TicketID: k.ID, Title: "危险", Evidence: secret, By: System})
			return err
		})
		h.must(func(tx *storage.Tx) (Ticket, error) { return h.Accept(tx, k.ID, Acceptance{Note: secret}, h.operator) })
		k, l := h.toHandling(k)
		h.must(func(tx *storage.Tx) (Ticket, error) {
			return h.Contacted(tx, l.ID, ContactNote{Via: "phone", Outcome: Reached, Note: secret}, h.handlerA)
		})
		r := result()
		r.Text = secret
		h.must(func(tx *storage.Tx) (Ticket, error) { return h.Submit(tx, l.ID, r, h.handlerA) })
		h.must(func(tx *storage.Tx) (Ticket, error) { return h.Approve(tx, k.ID, Reply{secret, "phone"}, h.supervisor) })
		h.must(func(tx *storage.Tx) (Ticket, error) {
			return h.Rate(tx, k.ID, RatingIn{Stars: 1, Via: "callback", Words: secret}, h.caller)
		})
		h.view(func(tx *storage.Tx) error {
			events, err := audit.After(tx, 0, 10000)
			for _, e := range events {
				p := string(e.Payload)
				for _, leak := range []string{"13987654321", "654321", "张三", "19900101", "找"} {
					if strings.Contains(p, leak) && strings.HasPrefix(e.Stream, "ticket/") {
						h.t.Errorf("%s holds %q: %s", e.Type, leak, p)
					}
				}
			}
			for _, column := range []string{"SELECT title || body || place FROM ticket", "SELECT shown FROM ticket_text", "SELECT text FROM ticket_notice"} {
				rows, err := storage.All(tx, storage.Value[string], column)
				if err != nil {
					return err
				}
				for _, s := range rows {
					if strings.Contains(s, "13987654321") || strings.Contains(s, "210502199001011234") {
						h.t.Errorf("%s: %s", column, s)
					}
				}
			}
			return err
		})
	})
}

func TestMaskNumbers(t *testing.T) {
	for in, want := range map[string]string{
		"电话13812345678。":                   "电话138****5678。",
		"+86 138-1234-5678":                "+86 138****5678",
		"138 1234 5678":                    "138****5678",
		"身份证21050219900101123X":            "身份证210****123X",
		"210502 19900101 1234":             "210****1234",
		"卡号6222020200012345678":            "卡号622****5678",
		"6222 0202 0001 2345":              "622****2345",
		"固话024-42830110":                   "固话024****0110",
		"民2026-1123-0001 13812345678":      "民2026-1123-0001 138****5678",
		"热线46110110,2026年11月23日,110,12345": "热线46110110,2026年11月23日,110,12345",
		"损失100000元":                        "损失100000元",
		"":                                 "",
	} {
		if got := maskNumbers(in); got != want {
			t.Errorf("%q is shown as %q, want %q", in, got, want)
		}
	}
}
