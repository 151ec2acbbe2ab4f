package oversee

import (
	"strings"
	"testing"
	"time"

	"lianxin/storage"
	"lianxin/ticket"
	"lianxin/ticket/warn"
	"lianxin/workday"
)

func TestABadRatingIsContactedPutRightAndLookedAtOneLevelUp(t *testing.T) {
	each2(t, func(h *house) {
		rated := h.handlerA.Unit
		cb := must(h, func(tx *storage.Tx) (ticket.Callback, error) {
			return h.o.OpenCallback(tx, ticket.Callback{Kind: ticket.CallbackRating, ContactID: h.people[0], RecordID: "r1", ExcludeUnit: rated, Reason: "差评", By: ticket.System})
		})
		h.sweep()
		h.sweep() // once, however often the sweeper comes by
		all := list[BadRating](h, KindBad)
		if len(all) != 1 || all[0].State != Raised || all[0].Rated != rated || all[0].ContactDue.Sub(all[0].RaisedAt) != 24*time.Hour || h.desk.reckoner().Calendar.Between(workday.DayOf(all[0].RaisedAt), workday.DayOf(all[0].Ceiling)) != 15 {
			t.Fatalf("%+v", all)
		}
		id := all[0].ID
		refused(h, "state", func(tx *storage.Tx) (BadRating, error) {
			return h.desk.VerifyBad(tx, id, "true", "态度生硬", "整改", h.caller)
		})
		must(h, func(tx *storage.Tx) (ticket.Callback, error) {
			return h.o.AttemptCallback(tx, cb.ID, ticket.Reached, "已联系", h.caller)
		})
		h.sweep()
		if b := list[BadRating](h, KindBad)[0]; b.State != Contacted {
			t.Fatalf("%s after the call", b.State)
		}
		refused(h, "own_unit", func(tx *storage.Tx) (BadRating, error) {
			return h.desk.VerifyBad(tx, id, "true", "态度生硬", "整改", h.handlerA)
		})
		refused(h, "empty", func(tx *storage.Tx) (BadRating, error) {
			return h.desk.VerifyBad(tx, id, "true", "态度生硬", "", h.caller)
		})
		b := must(h, func(tx *storage.Tx) (BadRating, error) {
			return h.desk.VerifyBad(tx, id, "true", "窗口人员答复生硬", "约谈并培训", h.caller)
		})
		if b.State != Rectifying || b.Unit != rated || h.desk.reckoner().Calendar.Between(workday.DayOf(h.clock()), workday.DayOf(b.RectifyDue)) != 5 {
			t.Errorf("%s, due %v", b.State, b.RectifyDue)
		}
		// The unit sees its problem, and nothing of the person.
		h.view(func(tx *storage.Tx) error {
			m, err := h.desk.Get(tx, KindBad, id, h.reviewerA)
			if err != nil {
				t.Fatal(err)
			}
			if len(Of(m).Tickets) > 0 {
				t.Error("the rated unit is led to the ticket")
			}
			if _, err := h.desk.Get(tx, KindBad, id, h.handlerB); err == nil {
				t.Error("another unit sees it")
			}
			return nil
		})
		refused(h, "unit", func(tx *storage.Tx) (BadRating, error) { return h.desk.RectifyBad(tx, id, "已整改", h.handlerB) })
		must(h, func(tx *storage.Tx) (BadRating, error) { return h.desk.RectifyBad(tx, id, "已约谈", h.handlerA) })
		refused(h, "own_unit", func(tx *storage.Tx) (BadRating, error) {
			return h.desk.RecheckBad(tx, id, true, "好", h.reviewerA)
		})
		b = must(h, func(tx *storage.Tx) (BadRating, error) {
			return h.desk.RecheckBad(tx, id, false, "回访仍不满意", h.supervisor)
		})
		if b.State != Rectifying || b.Backs != 1 {
			t.Errorf("%s, sent back %d times", b.State, b.Backs)
		}
		// An appeal is decided by a second person; the rating stays.
		must(h, func(tx *storage.Tx) (BadRating, error) {
			return h.desk.AppealBad(tx, id, "系办事人误解", h.reviewerA)
		})
		refused(h, "role", func(tx *storage.Tx) (BadRating, error) { return h.desk.JudgeBad(tx, id, true, "采信", h.caller) })
		b = must(h, func(tx *storage.Tx) (BadRating, error) {
			return h.desk.JudgeBad(tx, id, false, "不采信", h.inspector)
		})
		if b.State != Rectifying {
			t.Errorf("%s after the appeal failed", b.State)
		}
		refused(h, "twice", func(tx *storage.Tx) (BadRating, error) { return h.desk.AppealBad(tx, id, "再申诉", h.reviewerA) })
		must(h, func(tx *storage.Tx) (BadRating, error) { return h.desk.RectifyBad(tx, id, "再整改", h.handlerA) })
		// Nobody looks for three weeks: the ceiling is announced, once.
		h.pass(23 * 24 * time.Hour)
		h.sweep()
		h.pass(24 * time.Hour)
		h.sweep()
		if n := len(h.raised("bad_ceiling")); n != 1 {
			t.Errorf("%d alerts at the ceiling", n)
		}
		must(h, func(tx *storage.Tx) (BadRating, error) {
			return h.desk.RecheckBad(tx, id, true, "到位", h.supervisor)
		})
		h.view(func(tx *storage.Tx) error {
			n, err := h.desk.BadCounts(tx, time.Time{}, time.Time{})
			if n.N != 1 || n.Rectified != 1 || n.ContactedInTime != 1 || n.Open != 0 || n.Excluded != 0 {
				t.Errorf("%+v", n)
			}
			return err
		})
		// One that is not true needs a second person.
		x := must(h, func(tx *storage.Tx) (BadRating, error) {
			return h.desk.RaiseBad(tx, BadIn{Key: "window/1", Rated: rated, Stars: 1, Source: "window"})
		})
		must(h, func(tx *storage.Tx) (BadRating, error) { return h.desk.ContactBad(tx, x.ID, "已通话", h.supervisor) })
		must(h, func(tx *storage.Tx) (BadRating, error) {
			return h.desk.VerifyBad(tx, x.ID, "mistaken", "误按", "", h.supervisor)
		})
		refused(h, "same_person", func(tx *storage.Tx) (BadRating, error) {
			return h.desk.JudgeBad(tx, x.ID, true, "误评", h.supervisor)
		})
		if x = must(h, func(tx *storage.Tx) (BadRating, error) { return h.desk.JudgeBad(tx, x.ID, true, "误评", h.inspector) }); x.State != ClosedUp || !x.Excluded {
			t.Errorf("%s, excluded %v", x.State, x.Excluded)
		}
	})
}

func TestAConflictOfYearsEndsWithAnAgreementOrAnAcceptedExplanation(t *testing.T) {
	each2(t, func(h *house) {
		k := h.handling(h.open(0, "下水道纠纷", "楼上楼下下水道堵了七年,一直没人管"), unitA)
		in := MediationIn{Ticket: k.ID, Title: "下水道堵塞赔偿", Sort: "property", Since: workday.DateOf(2019, 11, 20), Parties: 2}
		refused(h, "role", func(tx *storage.Tx) (Mediation, error) { return h.desk.OpenMediation(tx, in, h.handlerA) })
		x := must(h, func(tx *storage.Tx) (Mediation, error) { return h.desk.OpenMediation(tx, in, h.supervisor) })
		if x.Unit != unitA || x.Years(workday.DateOf(2026, 11, 23)) < 7 {
			t.Errorf("%s, %.2f years", x.Unit, x.Years(workday.DateOf(2026, 11, 23)))
		}
		refused(h, "state", func(tx *storage.Tx) (Mediation, error) {
			return h.desk.Agree(tx, x.ID, "各付一半", "T-1", h.clock().AddDate(0, 0, 5), h.handlerA)
		})
		refused(h, "role", func(tx *storage.Tx) (Mediation, error) {
			return h.desk.AddSession(tx, x.ID, time.Time{}, "", 2, "双方到场", h.handlerB)
		})
		must(h, func(tx *storage.Tx) (Mediation, error) {
			return h.desk.AddSession(tx, x.ID, time.Time{}, "社区", 2, "双方到场,各说各的", h.handlerA)
		})
		refused(h, "paper", func(tx *storage.Tx) (Mediation, error) {
			return h.desk.Agree(tx, x.ID, "各付一半", "", h.clock().AddDate(0, 0, 5), h.handlerA)
		})
		must(h, func(tx *storage.Tx) (Mediation, error) {
			return h.desk.Agree(tx, x.ID, "各付一半", "调2026-17", h.clock().AddDate(0, 0, 5), h.handlerA)
		})
		must(h, func(tx *storage.Tx) (Mediation, error) {
			return h.desk.Keep(tx, x.ID, false, "一方未付", h.handlerA)
		})
		must(h, func(tx *storage.Tx) (Mediation, error) {
			return h.desk.Explain(tx, x.ID, "已告知可诉讼", h.handlerA)
		})
		refused(h, "same_person", func(tx *storage.Tx) (Mediation, error) {
			sup := h.supervisor
			sup.Unit = unitA
			return h.desk.JudgeExplained(tx, x.ID, true, "认可", sup)
		})
		must(h, func(tx *storage.Tx) (Mediation, error) {
			return h.desk.JudgeExplained(tx, x.ID, true, "认可", h.leader)
		})
		h.view(func(tx *storage.Tx) error {
			n, err := h.desk.MediationCounts(tx)
			if n.Explained != 1 || n.Open != 0 || n.YearsSettled < 7 {
				t.Errorf("%+v", n)
			}
			return err
		})
	})
}

func TestTicketsAndIncidentsOfOnePersonPlaceAndMatterAreLaidTogether(t *testing.T) {
	each2(t, func(h *house) {
		h.update(func(tx *storage.Tx) error {
			return h.o.PutAreas(tx, []ticket.Area{{Code: "210502", Level: 1, Name: "平山区"}, {Code: "210502001", Parent: "210502", Level: 2, Name: "南地街道"},
				{Code: "210502001002", Parent: "210502001", Level: 3, Name: "南地社区居委会"}}, h.admin)
		})
		same := h.open(0, "烧烤店扰民", "南地社区烧烤店每晚噪音扰民")
		named := h.open(1, "通道被堵", "小区通道被私自封堵", func(in *ticket.Intake) { in.IncidentNo = "J20261120001" })
		secret := h.open(2, "举报赌博", "南地社区有人赌博,请保密", func(in *ticket.Intake) { in.Confidential = true })
		file := "警情编号,报警时间,警情类型,地点,报警电话,处警单位\n" +
			"J20261120001,2026-11-20 23:10,堵路纠纷,平山区某小区,13900000000,站前派出所\n" +
			"J20261121002,2026-11-21 22:40,噪音扰民,南地社区烧烤店,13800000000,站前派出所\n" + // the number of people[0]
			"J20261121003,2026-11-21 22:50,赌博,南地社区棋牌室,13800000002,站前派出所\n" + // people[2], who asked for confidentiality
			"J20261121004,乱写的时间,噪音,南地社区,13800000001,\n" +
			",2026-11-21 22:50,噪音,南地社区,,\n"
		refusedImport := func(by ticket.Actor) {
			if _, err := h.desk.ImportIncidents(h.ctx, h.db, strings.NewReader(file), by); err == nil {
				t.Errorf("%s imports", by.Role)
			}
		}
		refusedImport(h.handlerA)
		out, err := h.desk.ImportIncidents(h.ctx, h.db, strings.NewReader(file), h.dispatcher)
		if err != nil || out.Lines != 5 || out.Taken != 3 || out.Refused != 2 || out.Bad[0].Line != 5 || out.Bad[1].Line != 6 {
			t.Fatalf("%+v, %v", out, err)
		}
		if again, err := h.desk.ImportIncidents(h.ctx, h.db, strings.NewReader(file), h.dispatcher); err != nil || again.Taken != 0 || again.Known != 3 {
			t.Errorf("again: %+v, %v", again, err)
		}
		f := DualFilter{Viewer: h.analyst, From: h.clock().AddDate(0, 0, -30), To: h.clock().AddDate(0, 0, 1)}
		h.view(func(tx *storage.Tx) error {
			list, err := h.desk.Overlaps(tx, f)
			if err != nil {
				return err
			}
			got := map[string]string{}
			for _, o := range list {
				got[o.TicketID] = o.Why + " " + o.Incident.Number
			}
			if len(list) != 2 || got[named.ID] != "number J20261120001" || !strings.HasSuffix(got[same.ID], " J20261121002") || got[secret.ID] != "" {
				t.Errorf("%v", got)
			}
			spots, err := h.desk.Spots(tx, f)
			if err != nil {
				return err
			}
			if len(spots) == 0 || spots[0].Community != "210502001002" || spots[0].Tickets < 1 || spots[0].Incidents < 1 {
				t.Errorf("%+v", spots)
			}
			heat, err := h.desk.Heat(tx, f)
			if len(heat) != 1 || heat[0].Hours[22] != 2 || heat[0].Hours[10] != 2 || heat[0].Sum != 4 {
				t.Errorf("%+v", heat)
			}
			if _, err := h.desk.Overlaps(tx, DualFilter{Viewer: h.handlerA, From: f.From, To: f.To}); err == nil {
				t.Error("a unit looks at all of it")
			}
			return err
		})
		n, err := storageCount(h, `SELECT COUNT(*) FROM oversee_incident WHERE place LIKE '%13%' OR phone_hash LIKE '138%'`)
		if n != 0 || err != nil {
			t.Errorf("%d incidents hold a number in the open (%v)", n, err)
		}
	})
}

func storageCount(h *house, query string) (n int, err error) {
	err = h.db.View(h.ctx, func(tx *storage.Tx) error { n, err = storage.One(tx, storage.Value[int], query); return err })
	return n, err
}

// W11: what a person found counts, also against the words.
func TestTwoTicketsWithTheCauseOfAWrongRecordAreASystemicRisk(t *testing.T) {
	h := small(t)
	a, b := h.open(0, "落户", "孩子落户一直办不下来"), h.open(1, "补证", "身份证补办不了")
	h.sweep()
	for _, k := range []ticket.Ticket{a, b} {
		if len(h.raised("W11")) != 0 {
			t.Fatal("raised too early")
		}
		must(h, func(tx *storage.Tx) (ticket.Ticket, error) {
			return h.o.SetCause(tx, k.ID, ticket.CauseDataError, "登记差错", h.supervisor)
		})
		h.sweep()
	}
	if len(h.raised("W11")) != 1 {
		t.Fatalf("%d alerts", len(h.raised("W11")))
	}
	if x := list[Topic](h, KindTopic); len(x) != 1 || x[0].CauseTag != warn.TagDataError || len(x[0].Tickets) != 2 {
		t.Errorf("%+v", x)
	}
}

// W4 goes by community and class of the second level, whatever the places are called.
func TestAClusterIsTheSameCommunityAndClass(t *testing.T) {
	h := small(t)
	h.update(func(tx *storage.Tx) error {
		return h.o.PutAreas(tx, []ticket.Area{{Code: "210502", Level: 1, Name: "平山区"}, {Code: "210502001", Parent: "210502", Level: 2, Name: "南地街道"},
			{Code: "210502001002", Parent: "210502001", Level: 3, Name: "南地社区居委会"}, {Code: "210502001003", Parent: "210502001", Level: 3, Name: "德泰社区居委会"}}, h.admin)
	})
	for i, words := range []string{"南地社区北门违法停车堵住消防通道", "南地社区里面天天有车违法停车占道", "德泰社区路口有车违法停车"} {
		h.open(i, "违法停车", words)
	}
	h.sweep()
	if n := len(h.raised("W4")); n != 0 {
		t.Fatalf("%d alerts for two of one community and one of another", n)
	}
	h.open(3, "违法停车", "南地社区幼儿园旁违法停车")
	h.sweep()
	if all := h.raised("W4"); len(all) != 1 || !strings.Contains(all[0].Title, "南地街道南地社区") {
		t.Errorf("%+v", all)
	}
}

// W16: a channel of another body that brought something every day is silent.
func TestAChannelThatFallsSilentIsAnAlarmOnce(t *testing.T) {
	h := small(t)
	for day := range 28 {
		for n := range 3 {
			h.open(day%10, "路灯不亮", "门口的路灯坏了", func(in *ticket.Intake) {
				in.Channel, in.ExternalID = "12345", string(rune('a'+n))+workday.DayOf(h.clock()).String()
			})
		}
		h.pass(24*time.Hour - 3*time.Minute)
	}
	h.sweep()
	if n := len(h.raised("W16")); n != 0 {
		t.Fatalf("%d alarms while it speaks", n)
	}
	h.pass(2 * 24 * time.Hour)
	h.sweep()
	h.pass(time.Hour)
	h.sweep()
	all := h.raised("W16")
	if len(all) != 1 || all[0].Subject != "channel/12345" || !strings.Contains(all[0].Evidence, "没有来件") {
		t.Fatalf("%+v", all)
	}
	h.open(0, "路灯又坏了", "门口的路灯又坏了", func(in *ticket.Intake) { in.Channel, in.ExternalID = "12345", "z" })
	h.pass(3 * 24 * time.Hour)
	h.sweep()
	if n := len(h.raised("W16")); n != 2 { // another silence is another alarm
		t.Errorf("%d alarms", n)
	}
}

// A leader's 批示 begins 督办 by itself, at the level of 挂牌, and on what is 挂牌 already at the next.
func TestAnInstructionBeginsSupervision(t *testing.T) {
	h := small(t)
	k := h.handling(h.open(0, "噪音", "夜间噪音"), unitA)
	must(h, func(tx *storage.Tx) (ticket.Ticket, error) {
		return h.o.Instruct(tx, k.ID, "请限期解决", h.leader)
	})
	h.sweep()
	h.sweep()
	all := list[Supervision](h, KindSupervision)
	if len(all) != 1 || all[0].Level != 2 || all[0].Trigger != ByInstruction || all[0].State != Candidate || all[0].Unit != unitA {
		t.Fatalf("%+v", all)
	}
	must(h, func(tx *storage.Tx) (Supervision, error) {
		return h.desk.Issue(tx, all[0].ID, Issuing{Requirement: "三日内办结"}, h.leader2)
	})
	must(h, func(tx *storage.Tx) (ticket.Ticket, error) {
		return h.o.Instruct(tx, k.ID, "仍未解决,提级督办", h.leader)
	})
	h.sweep()
	h.sweep()
	if all = list[Supervision](h, KindSupervision); len(all) != 2 || all[1].Level != 3 || all[1].Trigger != ByInstruction || all[1].From != all[0].ID {
		t.Errorf("%+v", all)
	}
}

// SIL-1: the community that hardly anybody speaks from stands first, is told of once, and what an outreach brought is counted.
func TestTheSilentCommunityIsListedFirstAndAnOutreachsEffectIsCounted(t *testing.T) {
	each2(t, func(h *house) {
		h.update(func(tx *storage.Tx) error {
			areas := []ticket.Area{{Code: "210502", Level: 1, Name: "平山区"}, {Code: "210502001", Parent: "210502", Level: 2, Name: "南地街道"}}
			var people []ticket.Population
			for i, name := range []string{"南地", "德泰", "兴隆", "永强"} {
				code := "21050200100" + string(rune('2'+i))
				areas = append(areas, ticket.Area{Code: code, Parent: "210502001", Level: 3, Name: name + "社区居委会"})
				people = append(people, ticket.Population{Area: code, Residents: 5000, Source: "2020年普查"})
			}
			if err := h.o.PutAreas(tx, areas, h.admin); err != nil {
				return err
			}
			return h.o.PutPopulation(tx, append(people, ticket.Population{Area: "210502", Residents: 99999, Source: "公报"}), h.admin)
		})
		for i := range 36 {
			h.open(i%12, "路灯不亮", []string{"南地", "德泰", "兴隆"}[i%3]+"社区路灯不亮"+string(rune('A'+i)))
		}
		h.sweep()
		h.sweep()
		h.view(func(tx *storage.Tx) error {
			list, err := h.desk.Silences(tx, 90, false, h.analyst)
			if err != nil {
				return err
			}
			if len(list) != 4 || list[0].Name != "南地街道永强社区" || list[0].N != 0 || list[0].Expected != 9 || !list[0].IsSilent() || list[1].IsSilent() {
				t.Errorf("%+v", list)
			}
			by, err := h.desk.Silences(tx, 90, true, h.analyst)
			if len(by) != 4 || by[0].Channel != "hotline" || by[0].Area != list[0].Area {
				t.Errorf("%+v", by)
			}
			return err
		})
		if all := h.raised("SIL1"); len(all) != 1 || all[0].Subject != "area/210502001005" {
			t.Errorf("%+v", all)
		}
		refused(h, "area", func(tx *storage.Tx) (Outreach, error) {
			return h.desk.OpenOutreach(tx, "999", "visit", "走访", unitA, h.clock().AddDate(0, 0, 9), h.supervisor)
		})
		o := must(h, func(tx *storage.Tx) (Outreach, error) {
			return h.desk.OpenOutreach(tx, "210502001005", "visit", "逐户走访", unitA, h.clock().AddDate(0, 0, 9), h.supervisor)
		})
		refused(h, "role", func(tx *storage.Tx) (Outreach, error) { return h.desk.BeginOutreach(tx, o.ID, h.handlerB) })
		must(h, func(tx *storage.Tx) (Outreach, error) { return h.desk.BeginOutreach(tx, o.ID, h.handlerA) })
		for i := range 8 {
			h.open(i, "下水道堵", "永强社区下水道堵了"+string(rune('A'+i)))
		}
		refused(h, "made", func(tx *storage.Tx) (Outreach, error) {
			return h.desk.FinishOutreach(tx, o.ID, 3, 5, "走访", h.handlerA)
		})
		o = must(h, func(tx *storage.Tx) (Outreach, error) {
			return h.desk.FinishOutreach(tx, o.ID, 60, 8, "走访60户", h.handlerA)
		})
		h.view(func(tx *storage.Tx) error {
			e, err := h.desk.OutreachEffect(tx, &o)
			if e.Before != 0 || e.After != 8 || !e.Significant() {
				t.Errorf("%+v", e)
			}
			return err
		})
	})
}

// RES-13: who comes by a campaign's code is counted at its place, once; a code that nobody gave out refuses nobody, and the unit
// that a ticket accuses is not kept from its campaign.
func TestATicketIsCountedAtThePlaceWhoseCodeWasScanned(t *testing.T) {
	each2(t, func(h *house) {
		h.update(func(tx *storage.Tx) error {
			return h.o.PutAreas(tx, []ticket.Area{{Code: "210502", Level: 1, Name: "平山区"}}, h.admin)
		})
		o := must(h, func(tx *storage.Tx) (Outreach, error) {
			return h.desk.OpenOutreach(tx, "210502", "campaign", "街巷宣传", unitA, h.clock().AddDate(0, 0, 9), h.supervisor)
		})
		add := func(place string, by ticket.Actor) func(tx *storage.Tx) (Outreach, error) {
			return func(tx *storage.Tx) (Outreach, error) { return h.desk.AddPoint(tx, o.ID, place, by) }
		}
		refused(h, "role", add("站前广场", h.handlerB))
		refused(h, "empty", add("  ", h.handlerA))
		must(h, add("站前广场", h.handlerA))
		refused(h, "same", add(" 站前广场 ", h.handlerA))
		o = must(h, add("早市", h.supervisor))
		square, market := o.Points[0].Code, o.Points[1].Code
		came := func(code string, who int, more ...func(*ticket.Intake)) ticket.Ticket {
			k := h.open(who, "路灯不亮", "路灯不亮"+code, append(more, func(in *ticket.Intake) { in.Channel = "web" })...)
			for range 2 { // the form sent twice
				h.update(func(tx *storage.Tx) error { return h.desk.Arrived(tx, code, k.ID) })
			}
			return k
		}
		came(market, 1)
		accuses := came(market, 2, func(in *ticket.Intake) { in.Kind, in.AccusedUnit = ticket.Complaint, unitA })
		came(square, 3)
		came("ZZZZZZZZ", 4)
		came("'; --", 5)
		h.update(func(tx *storage.Tx) error { return h.desk.Arrived(tx, square, accuses.ID) }) // the first code counts
		h.view(func(tx *storage.Tx) error {
			list, plain, err := h.desk.Sources(tx, time.Time{}, time.Time{}, "", h.supervisor)
			if err != nil || len(list) != 2 || list[0].Place != "早市" || list[0].Came != 2 || list[1].Came != 1 || plain != 2 {
				t.Errorf("%+v %d %v", list, plain, err)
			}
			if list, _, err := h.desk.Sources(tx, h.clock().Add(time.Hour), time.Time{}, "", h.supervisor); err != nil || list[0].Came != 0 {
				t.Errorf("of a later time: %+v %v", list, err)
			}
			if list, _, err := h.desk.Sources(tx, time.Time{}, time.Time{}, "", h.handlerB); err != nil || len(list) != 0 {
				t.Errorf("another unit sees %+v %v", list, err)
			}
			by, p, err := h.desk.CameBy(tx, accuses.ID, h.supervisor)
			if err != nil || by == nil || by.ID != o.ID || p.Place != "早市" {
				t.Errorf("%+v %+v %v", by, p, err)
			}
			return nil
		})
		must(h, func(tx *storage.Tx) (Outreach, error) { return h.desk.BeginOutreach(tx, o.ID, h.handlerA) })
		h.whole()
		h.update(func(tx *storage.Tx) error {
			_, err := tx.Exec(`UPDATE oversee_arrival SET code = $1 WHERE ticket_id = $2`, square, accuses.ID)
			return err
		})
		if drifts, err := Verify(h.ctx, h.db); err != nil || len(drifts) != 1 || drifts[0].What != "arrivals differ from the events" {
			t.Errorf("a moved ticket: %+v %v", drifts, err)
		}
		h.update(func(tx *storage.Tx) error {
			_, err := tx.Exec(`UPDATE oversee_arrival SET code = $1 WHERE ticket_id = $2`, market, accuses.ID)
			return err
		})
	})
}
