package ticket

import (
	"slices"
	"strings"
	"testing"
	"time"

	"lianxin/contact"
	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket/grade"
)

func (h *house) grades(id string) (out []Grade) {
	h.t.Helper()
	h.view(func(tx *storage.Tx) (err error) { out, err = h.Grades(tx, id); return err })
	return out
}

func (h *house) steps(id string) (out []Step) {
	h.t.Helper()
	h.view(func(tx *storage.Tx) (err error) { out, err = h.Steps(tx, id); return err })
	return out
}

func (g Grade) codes() string {
	var out []string
	for _, f := range g.Factors {
		out = append(out, f.Code)
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

// person is a contact of their own.
func (h *house) person(mobile string) (id string) {
	h.t.Helper()
	h.update(func(tx *storage.Tx) error {
		c, err := h.Book.Ensure(tx, phoneOf(h.t, mobile), "")
		id = c.ID
		return err
	})
	return id
}

func TestAColourExplainsItselfAndDecidesTheClocks(t *testing.T) {
	each(t, func(h *house) {
		k := h.open(func(in *Intake) {
			in.Title, in.Body = "赔偿纠纷", "赔偿的事拖了三年,到现在也没人管!再不解决我就去市政府拉横幅。"
		})
		// Three years 25, a banner before the city hall 25: E 50.
		if k.Colour != Orange || k.GradeEvent != 50 || k.GradeColour != Orange {
			h.t.Fatalf("%s, E %d: %s", k.Colour, k.GradeEvent, k.GradeFactors)
		}
		g := h.grades(k.ID)
		if len(g) != 1 || g[0].From != Blue || g[0].To != Orange || g[0].Cause != GradedOpened || g[0].Rule != grade.DefaultRules().ID() || g[0].codes() != "age gathering" {
			h.t.Fatalf("%+v", g)
		}
		var words []string
		for _, m := range g[0].Mark(k.BodyRef, k.Body) {
			if len(m.Factors) > 0 {
				words = append(words, m.Words)
			}
		}
		if all := strings.Join(words, "|"); !strings.Contains(all, "三年") || !strings.Contains(all, "去市政府拉") {
			h.t.Errorf("marked: %s", all)
		}
		if due := h.running(k.ID, ClockAccept)[0].DueAt; !due.Equal(h.Now().Add(15 * time.Minute)) {
			h.t.Errorf("accepting is due %v", due)
		}
		k = h.must(func(tx *storage.Tx) (Ticket, error) { return h.Accept(tx, k.ID, Acceptance{}, h.dispatcher) })
		if due := h.running(k.ID, ClockDispatch)[0].DueAt; !due.Equal(h.Now().Add(15 * time.Minute)) {
			h.t.Errorf("dispatching is due %v", due)
		}
		if len(h.grades(k.ID)) != 1 {
			h.t.Error("a grading that tells nothing new was written down")
		}
	})
}

// The table of §4, row by row: what each colour gives each clock, as it runs on a ticket of that colour.
func TestEveryClockHasTheLimitOfItsColour(t *testing.T) {
	each(t, func(h *house) {
		for _, row := range []struct {
			colour                                                             Colour
			dispatch, sign, contact, report, handle, review, callback, inquiry string
		}{
			{Red, "5m", "15m", "30m", "2h", "3wd", "4h", "24h", "3wd"},
			{Orange, "15m", "30m", "2h", "24h", "5wd", "1wd", "1wd", "5wd"},
			{Yellow, "2h", "2wh", "24h", "", "5wd", "1wd", "1wd", "5wd"},
			{Blue, "4wh", "1wd", "1wd", "", "5wd", "1wd", "2wd", "1wd"},
		} {
			k := h.accepted(func(in *Intake) { in.Colour, in.ContactID = row.colour, "" })
			inquiry := h.accepted(func(in *Intake) { in.Colour, in.Kind, in.ContactID = row.colour, Inquiry, "" })
			k = h.toReviewing(func() Ticket { k, _ := h.toHandling(k); return k }())
			k = h.must(func(tx *storage.Tx) (Ticket, error) {
				return h.Approve(tx, k.ID, Reply{"已处理", "phone"}, h.supervisor)
			})
			for kind, want := range map[ClockKind]string{ClockDispatch: row.dispatch, ClockSign: row.sign, ClockContact: row.contact, ClockReport: row.report,
				ClockHandle: row.handle, ClockReview: row.review, ClockCallback: row.callback} {
				got := ""
				if c := h.clocks(k.ID, kind); len(c) > 0 {
					got = c[0].Span
				}
				if got != want {
					h.t.Errorf("%s of %s: %q, want %q", kind.Label(), row.colour, got, want)
				}
			}
			if got := h.clocks(inquiry.ID, ClockHandle)[0].Span; got != row.inquiry {
				h.t.Errorf("咨询 of %s: %q, want %q", row.colour, got, row.inquiry)
			}
		}
	})
}

func TestRedTellsLeaderAndDutyChiefAndFollowsItsPlan(t *testing.T) {
	each(t, func(h *house) {
		k := h.open(func(in *Intake) { in.Title, in.Body = "快来", "有人拿着刀在楼道里追我,快来救命!" })
		if k.Colour != Red {
			h.t.Fatalf("%s: %s", k.Colour, k.GradeFactors)
		}
		var alerts []Alert
		h.view(func(tx *storage.Tx) (err error) {
			alerts, _, err = h.Alerts(tx, AlertFilter{Viewer: h.leader, Rule: AlertRed})
			return err
		})
		if len(alerts) != 1 || alerts[0].TicketID != k.ID || alerts[0].Level != Red || !alerts[0].AckDue.Equal(h.Now().Add(5*time.Minute)) {
			h.t.Fatalf("%+v", alerts)
		}
		state := func(code string) StepState {
			for _, s := range slices.Backward(h.steps(k.ID)) {
				if s.Code == code {
					return s.State
				}
			}
			return ""
		}
		if state(StepTell) != StepOpen || state("team") != StepOpen || state(StepConsult) != StepOpen || h.get(k.ID).StepsOpen != 4 {
			h.t.Errorf("%+v", h.steps(k.ID))
		}
		chief := h.staff("chief", "centre", org.DutyChief)
		for role, actor := range map[org.Role]Actor{org.Leader: h.leader, org.DutyChief: chief, org.Supervisor: h.supervisor} {
			var mine []Notice
			h.view(func(tx *storage.Tx) (err error) { mine, err = h.Notices(tx, NoticeFilter{Viewer: actor}); return err })
			told := slices.ContainsFunc(mine, func(n Notice) bool { return n.TicketID == k.ID && n.Kind == NoticeColour && n.Colour == Red })
			if told != (role != org.Supervisor) {
				h.t.Errorf("%s is told of 红: %v", role, told)
			}
		}
		h.update(func(tx *storage.Tx) error { _, err := h.AckAlert(tx, alerts[0].ID, chief); return err })
		if state(StepTell) != StepDone {
			h.t.Error("the duty chief has acknowledged, and the step is open")
		}
		// A step that nobody takes is announced once, to the supervisors.
		h.pass(3 * time.Hour)
		late := 0
		for range 2 {
			for _, n := range h.sweep() {
				if n.Kind == NoticeStep {
					late++
					if n.For != org.Supervisor || !strings.Contains(n.Text, "成立专班") {
						h.t.Errorf("%+v", n)
					}
				}
			}
		}
		if late != 1 {
			h.t.Errorf("%d notices of overdue steps", late)
		}
		team := slices.IndexFunc(h.steps(k.ID), func(s Step) bool { return s.Code == "team" })
		h.refused("note", func(tx *storage.Tx) error {
			_, err := h.FinishStep(tx, k.ID, h.steps(k.ID)[team].ID, " ", h.supervisor)
			return err
		})
		h.must(func(tx *storage.Tx) (Ticket, error) {
			return h.FinishStep(tx, k.ID, h.steps(k.ID)[team].ID, "由分管副局长牵头", h.supervisor)
		})
		h.must(func(tx *storage.Tx) (Ticket, error) { return h.Transfer110(tx, k.ID, "J1", "", h.operator) })
		if k = h.get(k.ID); k.StepsOpen != 0 || state(StepConsult) != StepDropped {
			h.t.Errorf("%d steps are open on a settled ticket", k.StepsOpen)
		}
	})
}

func TestOrangeAsksForTwoBranchesAndAScheme(t *testing.T) {
	each(t, func(h *house) {
		open := func(k Ticket) (codes []string) {
			for _, s := range h.steps(k.ID) {
				if s.State == StepOpen {
					codes = append(codes, s.Code)
				}
			}
			return codes
		}
		k, l := h.handling(func(in *Intake) { in.Colour = Orange })
		if got := open(k); !slices.Equal(got, []string{"branches", "scheme", "watch"}) {
			h.t.Errorf("one station alone: %v", got)
		}
		k, l = h.handling(func(in *Intake) { in.Colour = Orange }, "legal")
		if got := open(k); !slices.Equal(got, []string{"scheme", "watch"}) {
			h.t.Errorf("a station and the legal unit: %v", got)
		}
		h.must(func(tx *storage.Tx) (Ticket, error) { return h.ReportProgress(tx, l.ID, "已上门稳控", h.handlerA) })
		if got := open(k); !slices.Equal(got, []string{"watch"}) {
			h.t.Errorf("after the first report: %v", got)
		}
		// 黄 is looked at every week.
		y := h.open(func(in *Intake) { in.Colour = Yellow })
		h.must(func(tx *storage.Tx) (Ticket, error) {
			return h.FinishStep(tx, y.ID, h.steps(y.ID)[0].ID, "已回看", h.supervisor)
		})
		if s := h.steps(y.ID); len(s) != 2 || s[1].State != StepOpen || !s[1].DueAt.After(h.Now()) {
			h.t.Errorf("%+v", s)
		}
	})
}

func TestNewFactsRaiseAColour(t *testing.T) {
	each(t, func(h *house) {
		plain := func(in *Intake) { in.Title, in.Body = "路灯不亮", "小区门口的路灯坏了,麻烦修一下。" }
		// Repeats of one citizen.
		first := h.open(plain)
		var last Ticket
		for range 2 {
			h.pass(48 * time.Hour)
			last = h.open(func(in *Intake) { plain(in); in.RepeatOf, in.RepeatEvidence = first.ID, "同一路灯" })
		}
		if last.Colour != Yellow || last.GradeFactors != "repeat:16 contacts_7d:15" {
			h.t.Errorf("third time: %s by %q", last.Colour, last.GradeFactors)
		}
		// The sweep grades the earlier ones anew, since the citizen came again.
		h.sweep()
		if got := h.get(first.ID); got.GradeFactors != "contacts_7d:15" || h.grades(first.ID)[0].Cause != GradedContacts {
			h.t.Errorf("the first one: %q", got.GradeFactors)
		}
		// Other citizens with the same matter.
		var group Ticket
		for i, n := range []string{"13800000011", "13800000012", "13800000013", "13800000014"} {
			who := h.person(n)
			k := h.open(func(in *Intake) { plain(in); in.ContactID = who })
			if i == 0 {
				group = k
				continue
			}
			h.must(func(tx *storage.Tx) (Ticket, error) { return h.Merge(tx, k.ID, group.ID, "同一路灯", h.dispatcher) })
		}
		if group = h.get(group.ID); group.GradeFactors != "group:15" || group.Colour != Yellow || h.grades(group.ID)[0].Cause != GradedMerged {
			h.t.Errorf("four citizens: %s by %q", group.Colour, group.GradeFactors)
		}
		// An unsatisfied citizen, and what they said.
		k := h.rating(plain)
		k = h.must(func(tx *storage.Tx) (Ticket, error) {
			return h.Rate(tx, k.ID, RatingIn{Stars: 1, Via: "sms", Words: "没解决,再不管我就去找记者曝光"}, Bot)
		})
		if g := h.grades(k.ID)[0]; g.codes() != "contacts_7d gathering rework unsatisfied" || k.Colour != Orange {
			h.t.Errorf("unsatisfied: %s by %s", k.Colour, g.codes())
		} else if i := slices.IndexFunc(g.Factors, func(f Factor) bool { return f.Code == "gathering" }); !strings.Contains(g.Factors[i].Evidence, "找记者") {
			h.t.Errorf("the words of the rating are read as %q", g.Factors[i].Evidence)
		}
		// Overdue.
		other := h.person("13800000021")
		k, _ = h.handling(func(in *Intake) { plain(in); in.ContactID, in.Channel = other, "letter" })
		h.pass(9 * 24 * time.Hour)
		h.sweep()
		if g := h.grades(k.ID)[0]; g.Cause != GradedOverdue || g.codes() != "overdue" {
			h.t.Errorf("overdue: %+v", g)
		}
		// An operator's word about the caller.
		k = h.must(func(tx *storage.Tx) (Ticket, error) {
			return h.ConfirmEmotion(tx, k.ID, "通话中反复哭喊", h.operator)
		})
		if k.GradePerson != 20 || k.Colour != Yellow {
			h.t.Errorf("emotion: P %d, %s", k.GradePerson, k.Colour)
		}
	})
}

// I8: once a second person has lowered a colour, the same facts do not raise it again; graver ones do.
func TestALoweredColourStaysUntilGraverFactsCome(t *testing.T) {
	each(t, func(h *house) {
		k := h.open(func(in *Intake) { in.Title, in.Body = "纠纷", "和邻居吵了三年了,没人管。" })
		if k.Colour != Yellow {
			h.t.Fatalf("%s by %s", k.Colour, k.GradeFactors)
		}
		var q Request
		h.update(func(tx *storage.Tx) (err error) {
			q, err = h.RequestLower(tx, k.ID, Blue, "已当场和解", h.operator)
			return err
		})
		h.must(func(tx *storage.Tx) (Ticket, error) {
			return h.DecideLower(tx, q.ID, Ruling{Grant: true}, h.dispatcher)
		})
		h.must(func(tx *storage.Tx) (Ticket, error) { return h.Regrade(tx, k.ID, GradedAsked, h.supervisor) })
		if got := h.get(k.ID); got.Colour != Blue {
			h.t.Errorf("the same facts raised it to %s", got.Colour)
		}
		h.must(func(tx *storage.Tx) (Ticket, error) { return h.ConfirmEmotion(tx, k.ID, "情绪激动", h.operator) })
		if got := h.get(k.ID); got.Colour != Yellow {
			h.t.Errorf("graver facts left it %s", got.Colour)
		}
	})
}

func TestFearOfRetaliationMakesATicketConfidential(t *testing.T) {
	each(t, func(h *house) {
		k := h.open(func(in *Intake) { in.Body = "举报楼下麻将馆赌博,怕被打击报复,请为我保密。" })
		if !k.Confidential {
			h.t.Error("it is not confidential")
		}
	})
}

func TestOtherRoomsFactsCount(t *testing.T) {
	each(t, func(h *house) {
		h.Known = func(_ *storage.Tx, t Ticket, g *grade.History) error {
			g.WatchPeriod, g.WatchFlag, g.VerifiedThreat = true, true, true
			return nil
		}
		h.Contacts = func(_ *storage.Tx, contactID string, from, to time.Time) (int, error) { return 9, nil }
		k := h.open(func(in *Intake) { in.Title, in.Body = "路灯不亮", "门口的路灯坏了。" })
		if k.GradeFactors != "watch_period:10 verified_threat:30 watch_flag:20 contacts_7d:15 contacts_90d:15" || k.Colour != Orange {
			h.t.Errorf("%s by %q", k.Colour, k.GradeFactors)
		}
	})
}

func TestClassAndUnitAreSuggestedAndWhatWasTakenIsKept(t *testing.T) {
	each(t, func(h *house) {
		k := h.open(func(in *Intake) {
			in.Title, in.Body = "违法停车堵路", "站前街道路口天天有车乱停,车辆占道。"
		})
		if k.SuggestedClass != "JG-0101" || k.SuggestionID == "" {
			h.t.Fatalf("suggested %q", k.SuggestedClass)
		}
		var s Sorting
		h.view(func(tx *storage.Tx) (err error) { s, err = h.LastSorting(tx, k); return err })
		if len(s.Domains) != 3 || s.Domains[0].Domain != "交通管理" || s.Domains[0].Confidence <= s.Domains[1].Confidence || !strings.Contains(s.Domains[0].Why, "停") {
			h.t.Errorf("%+v", s)
		}
		accepted := func(k Ticket, class string) map[string]string {
			h.must(func(tx *storage.Tx) (Ticket, error) {
				return h.Accept(tx, k.ID, Acceptance{Class: class}, h.dispatcher)
			})
			var facts map[string]string
			h.view(func(tx *storage.Tx) error {
				line, err := h.Timeline(tx, k.ID)
				for _, m := range line {
					if m.Type == "ticket.accepted" {
						facts = m.Facts
					}
				}
				return err
			})
			return facts
		}
		if f := accepted(k, ""); f["taken"] != "true" || h.get(k.ID).Class != "JG-0101" || h.get(k.ID).Domain != "JG" {
			h.t.Errorf("taken as suggested: %v", f)
		}
		o := h.open(func(in *Intake) { in.Title = "违法停车" })
		if f := accepted(o, "FG-0103"); f["taken"] != "false" || f["domain_taken"] != "false" || h.get(o.ID).Class != "FG-0103" {
			h.t.Errorf("overruled: %v", f)
		}
		h.refused("class", func(tx *storage.Tx) error { _, err := h.SetClass(tx, o.ID, "NOPE", h.dispatcher); return err })
		// Classes are data.
		h.update(func(tx *storage.Tx) error {
			return h.PutClass(tx, Class{Code: "JG-0106", Parent: "JG-01", Name: "僵尸车", Words: "僵尸车 长期停放", Active: true}, h.admin)
		})
		if z := h.open(func(in *Intake) { in.Title = "僵尸车长期停放占车位" }); z.SuggestedClass != "JG-0106" {
			h.t.Errorf("the new class is not suggested: %q", z.SuggestedClass)
		}
		h.refused("role", func(tx *storage.Tx) error {
			return h.PutClass(tx, Class{Code: "JG-0107", Parent: "JG-01", Name: "x"}, h.dispatcher)
		})
	})
}

func phoneOf(t testing.TB, mobile string) contact.Phone {
	t.Helper()
	p, err := contact.ParseMobile(mobile)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestI8ARedTicketIsNeverPartOfALesserOne(t *testing.T) {
	each(t, func(h *house) {
		red := func(in *Intake) { in.Colour = Red }
		target, child := h.open(red), h.open(red)
		h.must(func(tx *storage.Tx) (Ticket, error) {
			return h.Merge(tx, child.ID, target.ID, "同一事项", h.dispatcher)
		})
		var q Request
		h.update(func(tx *storage.Tx) (err error) {
			q, err = h.RequestLower(tx, target.ID, Blue, "已化解", h.operator)
			return err
		})
		h.refused("red", func(tx *storage.Tx) error {
			_, err := h.DecideLower(tx, q.ID, Ruling{Grant: true}, h.dispatcher)
			return err
		})
		h.must(func(tx *storage.Tx) (Ticket, error) { return h.Unmerge(tx, child.ID, "先行分开", h.dispatcher) })
		h.must(func(tx *storage.Tx) (Ticket, error) {
			return h.DecideLower(tx, q.ID, Ruling{Grant: true}, h.dispatcher)
		})
	})
}
