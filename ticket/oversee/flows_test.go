package oversee

import (
	"math"
	"strings"
	"testing"
	"time"

	"lianxin/audit"
	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket"
	"lianxin/ticket/grade"
	"lianxin/ticket/warn"
	"lianxin/workday"
)

func TestAConsultationBindsTheDispatchAndBecomesAPrecedent(t *testing.T) {
	each2(t, func(h *house) {
		k := h.handling(h.open(0, "桥下夜市占道归谁管", "桥下夜市占道经营，两个派出所都说不归自己管。"), unitA)
		for _, e := range []ticket.Actor{h.expert, h.expertA} {
			must(h, func(tx *storage.Tx) (Expert, error) {
				return h.desk.PutExpert(tx, e.ID, []string{"职责划分", "治安"}, true, "", h.supervisor)
			})
		}
		// The unit that has the ticket is party to the question: its officer is excluded, and refused when invited all the same.
		h.view(func(tx *storage.Tx) error {
			list, err := h.desk.Experts(tx, "职责", k.ID)
			if err != nil {
				return err
			}
			for _, c := range list {
				if (c.Exclude != "") != (c.Staff.ID == h.expertA.ID) {
					t.Errorf("%s: excluded %q", c.Staff.Login, c.Exclude)
				}
			}
			if len(list) != 2 {
				t.Errorf("%d experts found by topic", len(list))
			}
			if none, err := h.desk.Experts(tx, "出入境", k.ID); err != nil || len(none) != 0 {
				t.Errorf("another topic finds %d, %v", len(none), err)
			}
			return nil
		})
		c := must(h, func(tx *storage.Tx) (Consult, error) {
			return h.desk.OpenConsult(tx, k.ID, "", "duty", "桥下夜市由谁管辖", time.Time{}, h.dispatcher)
		})
		refused(h, "open", func(tx *storage.Tx) (Consult, error) {
			return h.desk.OpenConsult(tx, k.ID, "", "duty", "再问一次", time.Time{}, h.dispatcher)
		})
		refused(h, "interest", func(tx *storage.Tx) (Consult, error) {
			return h.desk.Invite(tx, c.ID, []string{h.expertA.ID}, h.dispatcher)
		})
		refused(h, "state", func(tx *storage.Tx) (Consult, error) { return h.desk.Opine(tx, c.ID, "意见", h.expert) })
		must(h, func(tx *storage.Tx) (Consult, error) {
			return h.desk.Invite(tx, c.ID, []string{h.expert.ID}, h.dispatcher)
		})
		// Whoever is invited sees the consultation, nobody else of that role does.
		h.view(func(tx *storage.Tx) error {
			if _, err := h.desk.Get(tx, KindConsult, c.ID, h.expert); err != nil {
				t.Errorf("the invited expert: %v", err)
			}
			if _, err := h.o.See(tx, k.ID, h.expert); err != nil {
				t.Errorf("the invited expert and the ticket: %v", err)
			}
			if _, err := h.o.See(tx, k.ID, h.expertA); err == nil {
				t.Error("an expert who was not invited sees the ticket")
			}
			if _, err := h.desk.Get(tx, KindConsult, c.ID, h.expertA); err == nil {
				t.Error("one who was not invited sees it")
			}
			return nil
		})
		refused(h, "invited", func(tx *storage.Tx) (Consult, error) { return h.desk.Opine(tx, c.ID, "意见", h.supervisor) })
		must(h, func(tx *storage.Tx) (Consult, error) {
			return h.desk.Opine(tx, c.ID, "按属地应由河东派出所管辖", h.expert)
		})
		r := Ruling{Text: "桥下夜市占道由河东派出所主办", Basis: "公安派出所管辖规定第四条", Host: unitB, Deadline: h.clock().AddDate(0, 0, 7), Keep: true}
		bad := r
		bad.Basis = ""
		refused(h, "empty", func(tx *storage.Tx) (Consult, error) { return h.desk.Conclude(tx, c.ID, bad, h.dispatcher) })
		got := must(h, func(tx *storage.Tx) (Consult, error) { return h.desk.Conclude(tx, c.ID, r, h.dispatcher) })
		if got.State != Concluded || got.Duty == "" {
			t.Fatalf("%+v", got)
		}
		h.view(func(tx *storage.Tx) error {
			now, err := h.o.Get(tx, k.ID)
			if err != nil {
				return err
			}
			legs, err := h.o.Legs(tx, k.ID)
			if err != nil {
				return err
			}
			last := legs[len(legs)-1]
			if now.State != ticket.Dispatched || last.Unit != unitB || last.Role != ticket.Host || !last.Designated || legs[0].State != ticket.LegCancelled {
				t.Errorf("the ticket is %s at %s", now.State, last.Unit)
			}
			return nil
		})
		if s := h.supervisions(ByHand); len(s) != 1 || s[0].Unit != unitB || s[0].State != Issued || !s[0].Due.Equal(r.Deadline) {
			t.Errorf("the deadline is not watched: %+v", s)
		}
		// A later ticket of the kind is advised by the precedent; one of another kind is not.
		like := h.open(1, "桥下夜市占道经营", "桥下夜市占道，车过不去，该谁管？")
		other := h.open(2, "身份证补办", "身份证丢了，想问补办要带什么材料。")
		if now, err := h.suggestion(like); err != nil || now.Unit != unitB || now.Duty != got.Duty {
			t.Errorf("the conclusion is not what the form of the dispatch begins with: %+v %v", now, err)
		}
		if now, err := h.suggestion(other); err != nil || now.Duty != "" {
			t.Errorf("another matter follows the conclusion: %+v %v", now, err)
		}
		h.view(func(tx *storage.Tx) error {
			hints, err := h.desk.Duties(tx, like, 3)
			if err != nil || len(hints) != 1 || hints[0].Duty.Unit != unitB || hints[0].Basis == "" {
				t.Errorf("%+v %v", hints, err)
			}
			if hints, err = h.desk.Duties(tx, other, 3); err != nil || len(hints) != 0 {
				t.Errorf("another matter is advised: %+v %v", hints, err)
			}
			return nil
		})
		accuses := h.open(3, "桥下夜市占道，派出所不管", "桥下夜市占道，河东派出所不作为。", func(in *ticket.Intake) { in.AccusedUnit = unitB })
		h.view(func(tx *storage.Tx) error {
			if hints, err := h.desk.Duties(tx, accuses, 3); err != nil || len(hints) != 0 {
				t.Errorf("the accused unit is suggested: %+v %v", hints, err)
			}
			if accuses.SuggestedUnit == unitB {
				t.Error("the accused unit stands in the form")
			}
			return nil
		})
	})
}

func TestAnOrderIsSignedByEachUnitActedVerifiedAndItsResultsCounted(t *testing.T) {
	h := small(t)
	k := h.open(0, "学校旁边乱象", "学校旁边有人招嫖发卡片")
	in := OrderIn{Title: "校园周边专项整治", Content: "一周内清查校园周边", Units: []string{unitA, unitB}, Tickets: []string{k.ID}, Incidents: []string{"JQ20261123001"}, Due: h.clock().AddDate(0, 0, 7)}
	refused(h, "role", func(tx *storage.Tx) (Order, error) { return h.desk.DraftOrder(tx, in, h.dispatcher) })
	o := must(h, func(tx *storage.Tx) (Order, error) { return h.desk.DraftOrder(tx, in, h.supervisor) })
	must(h, func(tx *storage.Tx) (Order, error) { return h.desk.IssueOrder(tx, o.ID, h.leader) })
	refused(h, "sign", func(tx *storage.Tx) (Order, error) { return h.desk.Act(tx, o.ID, "清查", h.handlerA) })
	must(h, func(tx *storage.Tx) (Order, error) { return h.desk.SignOrder(tx, o.ID, h.handlerA) })
	refused(h, "twice", func(tx *storage.Tx) (Order, error) { return h.desk.SignOrder(tx, o.ID, h.reviewerA) })
	refused(h, "unit", func(tx *storage.Tx) (Order, error) { return h.desk.SignOrder(tx, o.ID, h.criminal) })
	o = must(h, func(tx *storage.Tx) (Order, error) { return h.desk.SignOrder(tx, o.ID, h.handlerB) })
	if o.State != Signed || !strings.HasPrefix(o.Number, "指2026-") {
		t.Errorf("%s %s", o.State, o.Number)
	}
	must(h, func(tx *storage.Tx) (Order, error) { return h.desk.Act(tx, o.ID, "夜间清查三处", h.handlerB) })
	report := func(n int) func(tx *storage.Tx) (Order, error) {
		return func(tx *storage.Tx) (Order, error) {
			return h.desk.ReportOrder(tx, o.ID, "清查完毕", []Result{{Kind: "den", N: n}}, h.handlerA)
		}
	}
	refused(h, "result", report(0))
	refused(h, "unit", func(tx *storage.Tx) (Order, error) { return h.desk.ReportOrder(tx, o.ID, "x", nil, h.handlerB) })
	must(h, report(5))
	totals := func() map[string]int {
		var n map[string]int
		h.view(func(tx *storage.Tx) (err error) {
			n, err = h.desk.OrderTotals(tx, time.Time{}, time.Time{})
			return err
		})
		return n
	}
	if totals()["den"] != 0 {
		t.Error("what nobody verified is counted")
	}
	must(h, func(tx *storage.Tx) (Order, error) {
		return h.desk.VerifyOrder(tx, o.ID, false, "还有两处", h.supervisor)
	})
	must(h, report(7))
	must(h, func(tx *storage.Tx) (Order, error) { return h.desk.VerifyOrder(tx, o.ID, true, "属实", h.supervisor) })
	must(h, func(tx *storage.Tx) (Order, error) { return h.desk.CloseOrder(tx, o.ID, h.supervisor) })
	if totals()["den"] != 7 {
		t.Errorf("窝点 %d处, want 7", totals()["den"])
	}
}

func TestABackcheckFindsRectifiesVerifiesAndIsCounted(t *testing.T) {
	h := small(t)
	in := BackcheckIn{Domain: CaseReview, Unit: "legal", Of: unitA, Refs: []string{"A1", "A2", "A3"}, Cause: "群众反映立案迟缓"}
	refused(h, "role", func(tx *storage.Tx) (Backcheck, error) { return h.desk.OpenBackcheck(tx, in, h.dispatcher) })
	self := in
	self.Unit = unitA
	refused(h, "self", func(tx *storage.Tx) (Backcheck, error) { return h.desk.OpenBackcheck(tx, self, h.supervisor) })
	b := must(h, func(tx *storage.Tx) (Backcheck, error) { return h.desk.OpenBackcheck(tx, in, h.supervisor) })
	seesA := func() bool {
		ok := false
		h.view(func(tx *storage.Tx) error {
			_, err := h.desk.Get(tx, KindBackcheck, b.ID, h.handlerA)
			ok = err == nil
			return nil
		})
		return ok
	}
	if seesA() {
		t.Error("the reviewed unit sees the review before there is anything to put right")
	}
	must(h, func(tx *storage.Tx) (Backcheck, error) { return h.desk.ReceiveBackcheck(tx, b.ID, h.legal) })
	must(h, func(tx *storage.Tx) (Backcheck, error) { return h.desk.ReviewItem(tx, b.ID, "A1", nil, h.legal) })
	b = must(h, func(tx *storage.Tx) (Backcheck, error) {
		return h.desk.ReviewItem(tx, b.ID, "A2", []FindingIn{{Text: "受案超期", Measure: "三日内补办手续"}}, h.legal)
	})
	if !seesA() {
		t.Error("the unit does not see what it has to put right")
	}
	refused(h, "twice", func(tx *storage.Tx) (Backcheck, error) { return h.desk.ReviewItem(tx, b.ID, "A2", nil, h.legal) })
	refused(h, "items", func(tx *storage.Tx) (Backcheck, error) { return h.desk.ConcludeBackcheck(tx, b.ID, "结论", h.legal) })
	must(h, func(tx *storage.Tx) (Backcheck, error) { return h.desk.ReviewItem(tx, b.ID, "A3", nil, h.legal) })
	must(h, func(tx *storage.Tx) (Backcheck, error) {
		return h.desk.ConcludeBackcheck(tx, b.ID, "一处问题", h.legal)
	})
	f := b.Findings[0].ID
	refused(h, "unit", func(tx *storage.Tx) (Backcheck, error) { return h.desk.Rectify(tx, b.ID, f, "已补办", h.handlerB) })
	counts := func() ReviewFigures {
		var out ReviewFigures
		h.view(func(tx *storage.Tx) error {
			list, err := h.desk.ReviewCounts(tx, time.Time{}, time.Time{})
			out = list[0]
			return err
		})
		return out
	}
	rectify := func(tx *storage.Tx) (Backcheck, error) { return h.desk.Rectify(tx, b.ID, f, "已补办", h.handlerA) }
	must(h, rectify)
	refused(h, "role", func(tx *storage.Tx) (Backcheck, error) {
		return h.desk.VerifyFinding(tx, b.ID, f, true, "好", h.handlerA)
	})
	must(h, func(tx *storage.Tx) (Backcheck, error) {
		return h.desk.VerifyFinding(tx, b.ID, f, false, "材料不全", h.legal)
	})
	must(h, rectify)
	if n := counts(); n.Rectified != 0 {
		t.Error("what is not verified counts as rectified")
	}
	b = must(h, func(tx *storage.Tx) (Backcheck, error) {
		return h.desk.VerifyFinding(tx, b.ID, f, true, "属实", h.legal)
	})
	if n := counts(); b.State != ClosedUp || n != (ReviewFigures{CaseReview, 3, 1, 1}) {
		t.Errorf("%s %+v", b.State, n)
	}
	must(h, func(tx *storage.Tx) (Backcheck, error) {
		return h.desk.HoldAccountable(tx, b.ID, f, h.handlerA.ID, "remind", "提醒谈话", h.inspector)
	})
	for by, sees := range map[ticket.Actor]bool{h.inspector: true, h.supervisor: true, h.leader: true, h.handlerA: false, h.reviewerA: false, h.legal: false} {
		if SeesAccounts(by) != sees {
			t.Errorf("%s reads accountability: %v", by.Role, !sees)
		}
	}
}

func TestCluesComeOutOfTicketsAndTheSameEntityIsKnownAgain(t *testing.T) {
	h := small(t)
	k := h.open(0, "充值返利被骗", "在网站 fanli-vip.top 充值返利，转账到账号：fl8888win 后无法提现，被骗三千元。")
	h.sweep()
	clues := list[Clue](h, KindClue)
	if len(clues) != 1 || clues[0].Tickets[0] != k.ID || len(clues[0].Entities) < 2 || clues[0].Pattern != "fraud" {
		t.Fatalf("%+v", clues)
	}
	h.open(1, "又一个返利诈骗", "也是 https://www.fanli-vip.top/ 这个网站充值返利，被骗了五千。")
	h.sweep()
	clues = list[Clue](h, KindClue)
	if len(clues) != 2 {
		t.Fatalf("%d clues", len(clues))
	}
	h.view(func(tx *storage.Tx) error {
		same, err := h.desk.SameEntity(tx, clues[1])
		if err != nil || len(same) != 1 || same[0] != clues[0].ID {
			t.Errorf("same entity: %v %v", same, err)
		}
		return nil
	})
	if n := len(h.raised("W13")); n < 1 {
		t.Error("the same entity twice raises nothing")
	}
	id := clues[0].ID
	must(h, func(tx *storage.Tx) (Clue, error) { return h.desk.HandClue(tx, id, "criminal", "请核查", h.analyst) })
	must(h, func(tx *storage.Tx) (Clue, error) { return h.desk.TakeClue(tx, id, true, "", h.criminal) })
	must(h, func(tx *storage.Tx) (Clue, error) {
		return h.desk.FeedClue(tx, id, "solved", "打掉团伙一个", h.criminal)
	})
	c := must(h, func(tx *storage.Tx) (Clue, error) { return h.desk.CloseClue(tx, id, true, "属实", h.analyst) })
	if c.State != ClosedUp || c.Outcome != "solved" {
		t.Errorf("%+v", c)
	}
	h.view(func(tx *storage.Tx) error { // nothing of it reaches the citizen
		if MaySee(KindClue, ticket.Citizen(h.people[0])) {
			t.Error("the citizen sees clues")
		}
		return nil
	})
}

func TestAMeasureCountsWhomItHelpsAndShowsItsEffectWithAnInterval(t *testing.T) {
	h := small(t)
	var ids []string
	for i := range 9 {
		ids = append(ids, h.open(i, "窗口排队", "窗口排队时间长").ID)
	}
	topic := must(h, func(tx *storage.Tx) (Topic, error) {
		return h.desk.OpenTopic(tx, TopicIn{Title: "窗口排队", Tickets: ids}, h.supervisor)
	})
	m := must(h, func(tx *storage.Tx) (Measure, error) {
		return h.desk.OpenMeasure(tx, "suggestion", "增设自助机", "每个窗口增设自助机", topic.ID, "", h.analyst)
	})
	must(h, func(tx *storage.Tx) (Measure, error) { return h.desk.SubmitMeasure(tx, m.ID, "ministry", h.analyst) })
	must(h, func(tx *storage.Tx) (Measure, error) {
		return h.desk.AnswerMeasure(tx, m.ID, true, "采纳并推广", h.analyst)
	})
	h.pass(24 * time.Hour)
	m = must(h, func(tx *storage.Tx) (Measure, error) {
		return h.desk.CarryOut(tx, m.ID, time.Time{}, 21, "照片", h.analyst)
	})
	h.pass(28 * 24 * time.Hour)
	h.view(func(tx *storage.Tx) error {
		e, err := h.desk.EffectOf(tx, &m)
		if err != nil || e.Before != 9 || e.After != 0 || e.Ratio != 0 || e.Low != 0 || !e.Significant() {
			t.Errorf("%+v %v", e, err)
		}
		n, err := h.desk.MeasureCounts(tx)
		if err != nil || n.Beneficiaries != 21 || n.Adopted["ministry"] != 1 || n.Done["suggestion"] != 1 {
			t.Errorf("%+v %v", n, err)
		}
		return nil
	})
}

// Limits by the F quantiles of the textbook: 10 events against 20 in equal times.
func TestTheIntervalOfARateRatioIsExact(t *testing.T) {
	ratio, low, high := rateRatio(20, 28, 10, 28)
	if ratio != 0.5 || math.Abs(low-0.209) > 0.002 || math.Abs(high-1.119) > 0.002 {
		t.Errorf("%.3f [%.3f, %.3f]", ratio, low, high)
	}
	if r, lo, hi := rateRatio(0, 28, 3, 28); !math.IsNaN(r) || lo <= 0 || !math.IsInf(hi, 1) {
		t.Errorf("nothing before: %v [%v, %v]", r, lo, hi)
	}
}

func TestWatchFlagsNeedAuthorityALeaderAndEnd(t *testing.T) {
	each2(t, func(h *house) {
		in := WatchIn{ContactID: h.people[0], Authority: "市局批准文件", Purpose: "防止极端行为", Days: 30}
		ask := func(by ticket.Actor) func(tx *storage.Tx) (WatchFlag, error) {
			return func(tx *storage.Tx) (WatchFlag, error) { return h.desk.AskWatch(tx, in, by) }
		}
		refused(h, "off", ask(h.analyst))
		must(h, func(tx *storage.Tx) (Rules, error) {
			return h.desk.SetRules(tx, `{"version":"2026-2","watch_approver":"leader"}`, time.Time{}, h.admin)
		})
		for _, by := range []ticket.Actor{h.supervisor, h.handlerA, ticket.System} {
			refused(h, "role", ask(by))
		}
		long := in
		long.Days = 91
		refused(h, "days", func(tx *storage.Tx) (WatchFlag, error) { return h.desk.AskWatch(tx, long, h.analyst) })
		w := must(h, ask(h.analyst))
		refused(h, "there", ask(h.analyst))
		decide := func(by ticket.Actor) func(tx *storage.Tx) (WatchFlag, error) {
			return func(tx *storage.Tx) (WatchFlag, error) { return h.desk.DecideWatch(tx, w.ID, true, "同意", by) }
		}
		facts := func() (g grade.History) {
			h.view(func(tx *storage.Tx) error { return h.desk.Known(tx, ticket.Ticket{ContactID: h.people[0]}, &g) })
			return g
		}
		if facts().WatchFlag {
			t.Error("a flag nobody approved counts")
		}
		refused(h, "approver", decide(h.leader2))
		refused(h, "role", decide(h.supervisor))
		must(h, decide(h.leader))
		if !facts().WatchFlag {
			t.Error("a flag in force does not count")
		}
		h.view(func(tx *storage.Tx) error {
			for _, c := range []struct {
				by   ticket.Actor
				sees bool
			}{{h.analyst, true}, {h.leader, true}, {h.supervisor, false}, {h.dispatcher, false}, {h.handlerA, false}, {h.operator, false}} {
				_, err := h.desk.Get(tx, KindWatch, w.ID, c.by)
				if (err == nil) != c.sees {
					t.Errorf("%s sees it: %v", c.by.Role, err == nil)
				}
			}
			return nil
		})
		h.pass(31 * 24 * time.Hour)
		if facts().WatchFlag {
			t.Error("a flag counts beyond its end")
		}
		h.sweep()
		if got := list[WatchFlag](h, KindWatch)[0]; got.State != Expired {
			t.Errorf("it is %s", got.State)
		}
	})
}

func TestAnInboundItemAboutAnUnsettledTicketIsAnEscalation(t *testing.T) {
	h := small(t)
	body := "滨江雅苑小区东门烧烤摊每天营业到凌晨两点，油烟噪音扰民，多次反映没有人管。"
	k := h.handling(h.open(0, "滨江雅苑东门烧烤摊扰民", body), unitA)
	h.open(1, "身份证补办", "身份证丢了怎么补办")
	h.sweep()
	in := h.open(0, "反映滨江雅苑烧烤摊无人处理", body, func(in *ticket.Intake) { in.Channel, in.By = "12389", h.inspector })
	h.sweep()
	list := list[Escalation](h, KindEscalation)
	if len(list) != 1 || list[0].Inbound != in.ID || list[0].Tickets[0] != k.ID || list[0].Owner != unitA {
		t.Fatalf("%+v", list)
	}
	count := func() (n int) {
		h.view(func(tx *storage.Tx) (err error) {
			n, err = h.desk.Escalations(tx, Filter{Viewer: ticket.System})
			return err
		})
		return n
	}
	h.again()
	if count() != 1 || len(h.raised("W14")) != 1 {
		t.Errorf("counter %d, %d alerts", count(), len(h.raised("W14")))
	}
	told := map[string]bool{}
	h.view(func(tx *storage.Tx) error {
		for name, by := range map[string]ticket.Actor{"owner": h.handlerA, "centre": h.leader} {
			list, err := h.o.Notices(tx, ticket.NoticeFilter{Viewer: by, Limit: 100})
			if err != nil {
				return err
			}
			for _, n := range list {
				if strings.Contains(n.Text, "升级投诉") {
					told[name] = true
					if strings.Contains(n.Text, "12389") && name == "owner" {
						t.Error("the owner learns by which door")
					}
				}
			}
		}
		return nil
	})
	if !told["owner"] || !told["centre"] {
		t.Errorf("told: %v", told)
	}
	must(h, func(tx *storage.Tx) (Escalation, error) {
		return h.desk.JudgeEscalation(tx, list[0].ID, false, "不是同一事项", h.supervisor)
	})
	if count() != 0 {
		t.Error("what was ruled out is counted")
	}
}

func TestRepeatsAreLinkedWithEvidenceAndPeopleJudgeTheRest(t *testing.T) {
	each2(t, func(h *house) {
		body := "和平小区五号楼前的下水道堵了半年，污水横流，臭味很大，物业和社区互相推诿。"
		a := h.open(0, "和平小区五号楼下水道堵塞", body)
		h.sweep()
		b := h.open(0, "和平小区五号楼下水道仍然堵塞", body+"还是没有人来。")
		c := h.open(1, "和平小区五号楼污水横流", "五号楼前下水道堵塞，污水横流，臭得开不了窗。")
		h.sweep()
		var got ticket.Ticket
		h.view(func(tx *storage.Tx) (err error) { got, err = h.o.Get(tx, b.ID); return err })
		if got.RepeatOf != a.ID {
			t.Errorf("the same words of the same person are not linked")
		}
		links := list[Link](h, KindLink)
		var other *Link
		for _, l := range links {
			if l.Later() == c.ID && l.Earlier() == a.ID {
				other = l
			}
			if l.Later() == b.ID && (l.State != Confirmed || !l.Auto || l.Parts.Score < 0.6) {
				t.Errorf("%+v", l)
			}
		}
		if other == nil || other.State != Suggested || other.Auto {
			t.Fatalf("the other person's is not suggested: %+v", links)
		}
		refused(h, "role", func(tx *storage.Tx) (Link, error) { return h.desk.JudgeLink(tx, other.ID, true, "", h.handlerA) })
		refused(h, "empty", func(tx *storage.Tx) (Link, error) { return h.desk.JudgeLink(tx, other.ID, false, "", h.dispatcher) })
		must(h, func(tx *storage.Tx) (Link, error) {
			return h.desk.JudgeLink(tx, other.ID, true, "同一处", h.dispatcher)
		})
		// A link that was wrong is taken back, and not made again.
		var auto *Link
		for _, l := range links {
			if l.Later() == b.ID && l.Earlier() == a.ID {
				auto = l
			}
		}
		must(h, func(tx *storage.Tx) (Link, error) {
			return h.desk.JudgeLink(tx, auto.ID, false, "是另一栋楼", h.dispatcher)
		})
		h.again()
		h.view(func(tx *storage.Tx) error {
			got, err := h.o.Get(tx, b.ID)
			if err != nil || got.RepeatOf != "" {
				t.Errorf("linked to %q again", got.RepeatOf)
			}
			n, err := h.desk.LinkCounts(tx)
			if err != nil || n.AutoRejected != 1 || n.Confirmed != 1 {
				t.Errorf("%+v %v", n, err)
			}
			return nil
		})
	})
}

func TestThreePeopleMakeATopicThatGrowsAndGradesHeavier(t *testing.T) {
	each2(t, func(h *house) {
		for i, s := range []string{"夜里机器轰鸣粉尘很大", "半夜还在搅拌装车，窗户不敢开", "没有手续昼夜施工，粉尘严重", "业主忍受一个多月没人管"} {
			h.open(i, "滨江雅苑旁边的搅拌站扰民", "滨江雅苑小区旁边的搅拌站"+s+"。")
			h.pass(20 * time.Hour)
			h.sweep()
		}
		topics := list[Topic](h, KindTopic)
		var w3 *Topic
		for _, x := range topics {
			if x.Rule == "W3" {
				w3 = x
			}
		}
		if w3 == nil || w3.Parties != 4 || len(w3.Tickets) != 4 {
			t.Fatalf("%+v", topics)
		}
		if n := len(h.raised("W3")); n != 1 {
			t.Errorf("%d alerts for one group", n)
		}
		n := len(topics)
		h.again()
		if m := len(list[Topic](h, KindTopic)); m != n || len(h.raised("W3")) != 1 {
			t.Errorf("a restart makes %d topics of %d", m, n)
		}
		var g grade.History
		h.view(func(tx *storage.Tx) error { return h.desk.Known(tx, ticket.Ticket{ID: w3.Tickets[0]}, &g) })
		if g.Parties != 4 {
			t.Errorf("grading hears of %d parties", g.Parties)
		}
		// The list: asked by one, approved by another; off only after quiet days.
		step := func(s string, by ticket.Actor) func(tx *storage.Tx) (Topic, error) {
			return func(tx *storage.Tx) (Topic, error) { return h.desk.Board(tx, w3.ID, s, "群众反映集中", by) }
		}
		refused(h, "state", step("list", h.leader))
		must(h, step("ask", h.supervisor))
		refused(h, "role", step("list", h.supervisor))
		must(h, step("list", h.leader))
		must(h, step("ask-off", h.supervisor))
		refused(h, "early", step("off", h.leader))
		h.pass(30 * 24 * time.Hour)
		if x := must(h, step("off", h.leader)); x.BoardLabel() != "已撤榜" {
			t.Errorf("%s", x.BoardLabel())
		}
	})
}

func TestTheLogHoldsNoWords(t *testing.T) {
	h := small(t)
	const words = "某某小区某某某的秘密"
	k := h.handling(h.open(0, "普通诉求", "普通内容"), unitA)
	s := must(h, func(tx *storage.Tx) (Supervision, error) {
		return h.desk.Propose(tx, Proposal{Level: 1, Trigger: ByHand, TicketID: k.ID, Grounds: words, Requirement: words + "13800138000"}, h.supervisor)
	})
	must(h, func(tx *storage.Tx) (Clue, error) {
		return h.desk.OpenClue(tx, k.ID, "fraud", words, []warn.Entity{{Kind: "account", Value: "secret12345"}}, h.supervisor)
	})
	h.view(func(tx *storage.Tx) error {
		for seq := int64(0); ; {
			events, err := audit.After(tx, seq, 500)
			if err != nil || len(events) == 0 {
				return err
			}
			for _, e := range events {
				seq = e.Seq
				for _, bad := range []string{words, "13800138000", "secret12345"} {
					if strings.Contains(string(e.Payload), bad) {
						t.Errorf("%s holds %q", e.Type, bad)
					}
				}
			}
		}
	})
	h.view(func(tx *storage.Tx) error {
		w, err := h.desk.Words(tx, &s)
		if strings.Contains(w[s.Requirement.ID], "13800138000") || !strings.Contains(w[s.Requirement.ID], "138****8000") {
			t.Errorf("shown: %s", w[s.Requirement.ID])
		}
		return err
	})
}

func TestVerifyFindsWhatWasChangedWithoutAnEvent(t *testing.T) {
	for _, sql := range []string{
		`UPDATE oversee_matter SET state = 'RELEASED'`, `UPDATE oversee_matter SET body = REPLACE(body, '"level":1', '"level":2')`, `DELETE FROM oversee_ticket`,
		`UPDATE ticket_text SET shown = 'x' WHERE kind = 'grounds'`, `UPDATE oversee_matter SET unit = 'xi-hedong'`,
	} {
		h := &house{}
		t.Run(sql[:20], func(t *testing.T) {
			h = small(t)
			k := h.handling(h.open(0, "普通诉求", "普通内容"), unitA)
			must(h, func(tx *storage.Tx) (Supervision, error) {
				return h.desk.Propose(tx, Proposal{Level: 1, Trigger: ByHand, TicketID: k.ID, Grounds: "事由"}, h.supervisor)
			})
			undo := h.db.Update(h.ctx, func(tx *storage.Tx) error { _, err := tx.Exec(sql); return err })
			if undo != nil {
				t.Fatal(undo)
			}
			drifts, err := Verify(h.ctx, h.db)
			if err != nil || len(drifts) == 0 {
				t.Errorf("%s is not found (%v)", sql, err)
			}
			h.t = &deaf{TB: t} // the house itself is broken on purpose
		})
	}
}

// deaf swallows the errors of a house that a test broke.
type deaf struct{ testing.TB }

func (*deaf) Errorf(string, ...any) {}
func (*deaf) Helper()               {}

func TestRulesAreVersionedAndBadOnesRefused(t *testing.T) {
	h := small(t)
	set := func(body string, by ticket.Actor) func(tx *storage.Tx) (Rules, error) {
		return func(tx *storage.Tx) (Rules, error) { return h.desk.SetRules(tx, body, time.Time{}, by) }
	}
	refused(h, "role", set(`{"version":"2"}`, h.supervisor))
	for _, bad := range []string{`{`, `{"version":"a","nonsense":1}`, `{"version":"a","supervise":{"pending_days":0}}`, `{"version":"a","warn":{"off":["W99"]}}`, `{"version":"a","supervise":{"auto_issue":[2]}}`, `{"version":"a","match":{"auto":2}}`} {
		refused(h, "rules", set(bad, h.admin))
	}
	must(h, set(`{"version":"2027","supervise":{"pending_days":3}}`, h.admin))
	k := h.open(0, "普通诉求", "普通内容")
	h.pass(4 * 24 * time.Hour)
	h.sweep()
	s := h.supervisions(ByPending)
	if len(s) != 1 || s[0].Tickets[0] != k.ID {
		t.Fatalf("the new threshold does not hold: %+v", s)
	}
	h.view(func(tx *storage.Tx) error {
		events, err := audit.Stream(tx, s[0].Stream())
		if !strings.HasPrefix(events[0].Rule, "2027/") {
			t.Errorf("decided under %q", events[0].Rule)
		}
		return err
	})
}

func TestABacktestTellsWhatWouldHaveFiredAndWritesNothing(t *testing.T) {
	h := small(t)
	for i := range 4 {
		h.open(0, "每天都来反映", "今天又来反映第"+string(rune('一'+i))+"件不同的事情")
		h.pass(20 * time.Hour)
	}
	before := h.events()
	run := func(week int) int {
		rules := DefaultRules()
		rules.Warn.CallerWeek, rules.Warn.CallerMonth = week, 50
		b, err := h.desk.Backtest(h.ctx, h.db, rules, h.clock().AddDate(0, 0, -30), h.clock().Add(time.Hour), ticket.System)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range b.Rules {
			if r.Code == "W2" {
				return r.Fired
			}
		}
		return -1
	}
	if a, b := run(3), run(9); a != 1 || b != 0 {
		t.Errorf("W2 fires %d and %d times", a, b)
	}
	if h.events() != before {
		t.Error("a back-test wrote events")
	}
}

func TestSilenceInDayTimeIsAnAlarm(t *testing.T) {
	h := small(t)
	last := h.clock()
	h.desk.Signals = []Signal{{Name: "calls", Label: "热线日间无来电", Last: func(*storage.Tx) (time.Time, error) { return last, nil }}}
	h.pass(3 * time.Hour)
	h.sweep()
	if n := len(h.raised("W16")); n != 0 {
		t.Errorf("%d alarms after three hours", n)
	}
	h.pass(2 * time.Hour)
	h.sweep()
	h.sweep()
	if n := len(h.raised("W16")); n != 1 {
		t.Errorf("%d alarms after five hours, want 1", n)
	}
	night := time.Date(2026, 11, 25, 7, 59, 0, 0, workday.Zone)
	if d := dayTime(time.Date(2026, 11, 24, 19, 0, 0, 0, workday.Zone), night); d != time.Hour {
		t.Errorf("the night counts: %v", d)
	}
}

func TestMaySeeFollowsTheTable(t *testing.T) {
	for _, c := range []struct {
		kind Kind
		role org.Role
		sees bool
	}{
		{KindSupervision, org.Handler, true}, {KindSupervision, org.Clerk, false}, {KindSupervision, org.Admin, false}, {KindWatch, org.Supervisor, false}, {KindWatch, org.Leader, true},
		{KindWatch, org.Auditor, true}, {KindClue, org.Operator, false}, {KindClue, org.Handler, true}, {KindBackcheck, org.Inspector, true}, {KindBackcheck, org.Operator, false},
		{KindConsult, org.Expert, true}, {KindTopic, org.Handler, false}, {KindDuty, org.Handler, true}, {KindMeasure, org.Expert, false}, {KindOrder, org.Expert, false},
	} {
		if got := MaySee(c.kind, ticket.Actor{Kind: ticket.StaffActor, ID: "x", Role: c.role}); got != c.sees {
			t.Errorf("%s sees %s: %v", c.role, c.kind, got)
		}
	}
}
