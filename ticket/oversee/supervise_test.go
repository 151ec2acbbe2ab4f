package oversee

import (
	"testing"
	"time"

	"lianxin/storage"
	"lianxin/ticket"
)

// supervisions by their trigger.
func (h *house) supervisions(by Trigger) (out []*Supervision) {
	h.t.Helper()
	for _, s := range list[Supervision](h, KindSupervision) {
		if s.Trigger == by {
			out = append(out, s)
		}
	}
	return out
}

func (h *house) again() {
	h.t.Helper()
	h.desk = New(h.o) // another process: it knows nothing but what is stored
	h.sweep()
	h.sweep()
}

func TestAnOverdueTicketIsUrgedThenSupervisedThenListedByItself(t *testing.T) {
	each2(t, func(h *house) {
		k := h.handling(h.open(0, "路灯下有人聚众唱歌", "每晚十点后影响休息"), unitA)
		h.sweep()
		if n := len(list[Supervision](h, KindSupervision)); n != 0 {
			t.Fatalf("%d supervisions of a fresh ticket", n)
		}
		h.pass(7 * 24 * time.Hour) // 5 WD end on Monday the 30th
		h.sweep()
		due := h.supervisions(ByDue)
		if len(due) == 0 || due[0].Level != 0 || due[0].State != Issued || due[0].Unit != unitA {
			t.Fatalf("催办: %+v", due)
		}
		h.pass(3 * 24 * time.Hour)
		h.sweep()
		over := h.supervisions(ByOverdue)
		if len(over) != 1 || over[0].Level != 1 || over[0].State != Issued || over[0].Requirement.IsZero() {
			t.Fatalf("督办单: %+v", over)
		}
		h.pass(22 * 24 * time.Hour)
		h.sweep()
		pending := h.supervisions(ByPending)
		if len(pending) != 1 || pending[0].Level != 2 || pending[0].State != Candidate {
			t.Fatalf("挂牌 candidate: %+v", pending)
		}
		n := len(list[Supervision](h, KindSupervision))
		h.again()
		if m := len(list[Supervision](h, KindSupervision)); m != n {
			t.Errorf("a restart makes %d supervisions of %d", m, n)
		}
		// What was urged is settled when it is done.
		must(h, func(tx *storage.Tx) (ticket.Ticket, error) {
			return h.o.Withdraw(tx, k.ID, ticket.Withdrawal{Reason: "已解决", Evidence: "电话录音"}, h.operator)
		})
		h.sweep()
		for _, s := range h.supervisions(ByDue) {
			if s.Open() {
				t.Errorf("催办 goes on after the end: %s", s.State)
			}
		}
		if s := h.supervisions(ByPending)[0]; !s.Open() {
			t.Error("a withdrawal cancelled 挂牌")
		}
	})
}

func TestEachTriggerMakesItsCandidateOnce(t *testing.T) {
	for _, c := range []struct {
		by    Trigger
		level int
		make  func(h *house)
	}{
		{ByRed, 2, func(h *house) {
			k := h.open(0, "邻居堵门", "邻居堵门不让出入")
			must(h, func(tx *storage.Tx) (ticket.Ticket, error) {
				return h.o.Raise(tx, k.ID, ticket.Red, "重大风险", h.supervisor)
			})
		}},
		{ByMedia, 2, func(h *house) {
			h.open(0, "广场乱象", "广场周边秩序混乱", func(in *ticket.Intake) { in.Channel, in.Colour = "people", ticket.Yellow })
		}},
		{ByRepeat, 2, func(h *house) {
			a := h.open(0, "下水道反味", "楼下下水道堵塞反味无人管")
			b := h.open(0, "下水道还是反味", "下水道堵塞反味仍无人管", func(in *ticket.Intake) { in.RepeatOf, in.RepeatEvidence = a.ID, "同一地点" })
			h.open(0, "第三次反映下水道", "下水道堵塞反味第三次反映", func(in *ticket.Intake) { in.RepeatOf, in.RepeatEvidence = b.ID, "同一地点" })
		}},
		{ByAge, 2, func(h *house) {
			a := h.open(0, "积压的赔偿", "赔偿一直没有结果", func(in *ticket.Intake) { in.At = h.clock().AddDate(-2, 0, 0) })
			h.open(0, "赔偿还是没有结果", "赔偿还是没有结果", func(in *ticket.Intake) { in.RepeatOf, in.RepeatEvidence = a.ID, "同一赔偿" })
		}},
		{ByReturns, 1, func(h *house) {
			k := h.open(0, "职责不清的事", "两家单位都说不归自己管")
			must(h, func(tx *storage.Tx) (ticket.Ticket, error) {
				return h.o.Accept(tx, k.ID, ticket.Acceptance{}, h.dispatcher)
			})
			for range 2 {
				must(h, func(tx *storage.Tx) (ticket.Ticket, error) {
					return h.o.Dispatch(tx, k.ID, ticket.Dispatching{Host: unitA}, h.dispatcher)
				})
				q := must(h, func(tx *storage.Tx) (ticket.Request, error) {
					legs, err := h.o.Legs(tx, k.ID)
					if err != nil {
						return ticket.Request{}, err
					}
					return h.o.RequestReturn(tx, legs[len(legs)-1].ID, ticket.ReturnWish{Reason: "非我所职责", Clause: "职责规定第三条", Suggest: unitB}, h.handlerA)
				})
				must(h, func(tx *storage.Tx) (ticket.Ticket, error) {
					return h.o.DecideReturn(tx, q.ID, ticket.Ruling{Grant: true, Note: "同意"}, h.dispatcher)
				})
			}
		}},
		{ByGroup, 2, func(h *house) {
			var ids []string
			for i := range 5 {
				ids = append(ids, h.open(i, "小区穿行", "两个小区互相穿行引发矛盾").ID)
			}
			must(h, func(tx *storage.Tx) (Topic, error) {
				return h.desk.OpenTopic(tx, TopicIn{Title: "两小区穿行矛盾", Tickets: ids}, h.supervisor)
			})
		}},
		{ByUnsatisfied, 1, func(h *house) {
			k := h.handling(h.open(0, "夜间施工", "夜间施工影响休息"), unitA)
			for round := range 2 {
				if round > 0 {
					must(h, func(tx *storage.Tx) (ticket.Ticket, error) {
						return h.o.Dispatch(tx, k.ID, ticket.Dispatching{Host: unitA}, h.dispatcher)
					})
				}
				h.unsatisfied(k, round)
			}
		}},
	} {
		t.Run(string(c.by), func(t *testing.T) {
			t.Parallel()
			h := small(t)
			c.make(h)
			h.sweep()
			got := h.supervisions(c.by)
			if len(got) != 1 || got[0].Level != c.level {
				t.Fatalf("%d candidates by %s: %+v", len(got), c.by, got)
			}
			if c.level == 2 && got[0].State != Candidate {
				t.Errorf("挂牌 without a leader: %s", got[0].State)
			}
			h.again()
			if n := len(h.supervisions(c.by)); n != 1 {
				t.Errorf("%d after a restart", n)
			}
		})
	}
}

// unsatisfied brings a ticket from dispatch or handling to a bad rating.
func (h *house) unsatisfied(k ticket.Ticket, round int) {
	h.t.Helper()
	var leg string
	h.view(func(tx *storage.Tx) error {
		legs, err := h.o.Legs(tx, k.ID)
		leg = legs[len(legs)-1].ID
		return err
	})
	if round > 0 {
		must(h, func(tx *storage.Tx) (ticket.Ticket, error) { return h.o.Sign(tx, leg, h.handlerA) })
	}
	must(h, func(tx *storage.Tx) (ticket.Ticket, error) {
		return h.o.Contacted(tx, leg, ticket.ContactNote{Via: "phone", Outcome: ticket.Reached}, h.handlerA)
	})
	must(h, func(tx *storage.Tx) (ticket.Ticket, error) {
		return h.o.Submit(tx, leg, ticket.Result{Text: "已处理", Basis: "治安管理处罚法", Finding: ticket.Substantiated, Resolution: ticket.Solved}, h.handlerA)
	})
	must(h, func(tx *storage.Tx) (ticket.Ticket, error) {
		return h.o.Approve(tx, k.ID, ticket.Reply{Text: "已处理", Via: "phone"}, h.supervisor)
	})
	must(h, func(tx *storage.Tx) (ticket.Ticket, error) { return h.o.OpenRating(tx, k.ID, h.dispatcher) })
	must(h, func(tx *storage.Tx) (ticket.Ticket, error) {
		return h.o.Rate(tx, k.ID, ticket.RatingIn{Stars: 1, Via: "phone"}, h.caller)
	})
}

func TestListingNeedsALeaderAndTheWholeLadderIsSigned(t *testing.T) {
	each2(t, func(h *house) {
		k := h.handling(h.open(0, "长期积水", "巷子长期积水"), unitA)
		s := must(h, func(tx *storage.Tx) (Supervision, error) {
			return h.desk.Propose(tx, Proposal{Level: 2, Trigger: ByHand, TicketID: k.ID, Grounds: "群众多次反映"}, h.supervisor)
		})
		if s.Number == "" || s.State != Candidate || s.Unit != unitA {
			t.Fatalf("%+v", s)
		}
		issue := func(by ticket.Actor) func(tx *storage.Tx) (Supervision, error) {
			return func(tx *storage.Tx) (Supervision, error) {
				return h.desk.Issue(tx, s.ID, Issuing{Requirement: "五日内解决"}, by)
			}
		}
		refused(h, "role", issue(h.supervisor))
		refused(h, "role", issue(h.handlerA))
		refused(h, "role", issue(ticket.System))
		must(h, issue(h.leader))
		refused(h, "state", issue(h.leader))
		sign := func(by ticket.Actor) func(tx *storage.Tx) (Supervision, error) {
			return func(tx *storage.Tx) (Supervision, error) { return h.desk.SignSupervision(tx, s.ID, by) }
		}
		refused(h, "unit", sign(h.handlerB))
		must(h, sign(h.handlerA))
		feed := func(final bool) func(tx *storage.Tx) (Supervision, error) {
			return func(tx *storage.Tx) (Supervision, error) {
				return h.desk.Feed(tx, s.ID, "已疏通", final, h.handlerA)
			}
		}
		must(h, feed(false))
		must(h, feed(true))
		must(h, func(tx *storage.Tx) (Supervision, error) {
			return h.desk.SendBack(tx, s.ID, "照片不清", h.supervisor)
		})
		must(h, feed(true))
		release := func(by ticket.Actor) func(tx *storage.Tx) (Supervision, error) {
			return func(tx *storage.Tx) (Supervision, error) { return h.desk.Release(tx, s.ID, "已解决", "", by) }
		}
		refused(h, "wish", release(h.leader))
		must(h, func(tx *storage.Tx) (Supervision, error) {
			return h.desk.WishRelease(tx, s.ID, "问题已解决", h.supervisor)
		})
		refused(h, "role", release(h.supervisor))
		got := must(h, release(h.leader))
		if got.State != Released || got.Returns != 1 || len(got.Feedbacks) != 3 || got.ClosedAt.IsZero() {
			t.Errorf("%+v", got)
		}
		// A leader does not approve what that leader proposed.
		mine := must(h, func(tx *storage.Tx) (Supervision, error) {
			return h.desk.Propose(tx, Proposal{Level: 2, Trigger: ByInstruction, TicketID: k.ID, Grounds: "批示", Requirement: "速办"}, h.leader)
		})
		refused(h, "same_person", func(tx *storage.Tx) (Supervision, error) { return h.desk.Issue(tx, mine.ID, Issuing{}, h.leader) })
		must(h, func(tx *storage.Tx) (Supervision, error) { return h.desk.Issue(tx, mine.ID, Issuing{}, h.leader2) })
	})
}

func TestUnansweredSupervisionRisesAndTheUnitIsTold(t *testing.T) {
	h := small(t)
	k := h.handling(h.open(0, "占道经营", "占道经营影响出行"), unitA)
	s := must(h, func(tx *storage.Tx) (Supervision, error) {
		return h.desk.Propose(tx, Proposal{Level: 1, Trigger: ByHand, TicketID: k.ID, Grounds: "进展缓慢", Requirement: "三日内办结"}, h.supervisor)
	})
	must(h, func(tx *storage.Tx) (Supervision, error) { return h.desk.Issue(tx, s.ID, Issuing{}, h.supervisor) })
	told := func() (n int) {
		h.view(func(tx *storage.Tx) error {
			list, err := h.o.Notices(tx, ticket.NoticeFilter{Viewer: h.handlerA, Limit: 500})
			for _, x := range list {
				if x.Subject == s.ID {
					n++
				}
			}
			return err
		})
		return n
	}
	if told() != 1 {
		t.Errorf("told %d times when issued", told())
	}
	h.pass(33 * time.Hour)
	h.sweep()
	h.sweep()
	if told() != 2 {
		t.Errorf("told %d times in all after a day without a signature, want 2", told())
	}
	h.pass(20 * 24 * time.Hour)
	h.sweep()
	var rose []*Supervision
	for _, x := range list[Supervision](h, KindSupervision) {
		if x.From == s.ID {
			rose = append(rose, x)
		}
	}
	if len(rose) != 1 || rose[0].Level != 2 || rose[0].State != Candidate || rose[0].Trigger != ByEscalation {
		t.Fatalf("%+v", rose)
	}
	h.again()
	if old := list[Supervision](h, KindSupervision)[0]; old.State != Escalated {
		t.Errorf("the old one is %s", old.State)
	}
}

func TestTheAccusedNeitherSuperviseNorAreShownIt(t *testing.T) {
	h := small(t)
	k := h.open(0, "反映民警态度", "办事民警态度不好", func(in *ticket.Intake) { in.AccusedUnit = unitA })
	refused(h, "accused_unit", func(tx *storage.Tx) (Supervision, error) {
		return h.desk.Propose(tx, Proposal{Level: 1, Trigger: ByHand, TicketID: k.ID, Unit: unitA, Grounds: "x"}, h.supervisor)
	})
	s := must(h, func(tx *storage.Tx) (Supervision, error) {
		return h.desk.Propose(tx, Proposal{Level: 1, Trigger: ByHand, TicketID: k.ID, Unit: unitB, Grounds: "核查", Requirement: "核查"}, h.supervisor)
	})
	must(h, func(tx *storage.Tx) (Supervision, error) { return h.desk.Issue(tx, s.ID, Issuing{}, h.supervisor) })
	h.view(func(tx *storage.Tx) error {
		for _, by := range []ticket.Actor{h.handlerA, h.reviewerA, h.expertA, h.operator} {
			if _, err := h.desk.Get(tx, KindSupervision, s.ID, by); (err == nil) != (by == h.operator) {
				t.Errorf("%s: %v", by.Role, err)
			}
		}
		if _, err := h.desk.Get(tx, KindSupervision, s.Number, h.handlerB); err != nil {
			t.Errorf("the unit that has to act: %v", err)
		}
		return nil
	})
}
