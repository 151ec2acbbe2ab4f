package console

import (
	"time"

	"lianxin/storage"
	"lianxin/ticket"
)

// sample is a house with a day's work in it: tickets in every state that matters, calls, texts, call-backs, alerts.
type sample struct {
	*house
	fresh, accepted, dispatched, handling, asked, suspended, reviewing, rating, rework, closed, refused, restricted, accused, bySMS ticket.Ticket
	abandoned                                                                                                                       ticket.Callback
	alert                                                                                                                           ticket.Alert
}

func (h *house) fill() *sample {
	h.t.Helper()
	s := &sample{house: h}
	o := h.office
	op, disp, handler, caller := h.actor("operator1"), h.actor("dispatcher1"), h.actor("handler1"), h.actor("caller1")
	wang, li := h.person("19900001111", "王春花"), h.person("19900002222", "李建国")
	accept := func(t ticket.Ticket, colour ticket.Colour) {
		h.do(func(tx *storage.Tx) error {
			return did(o.Accept(tx, t.ID, ticket.Acceptance{Kind: ticket.Help, Colour: colour, Note: "已与来电人核实"}, op))
		})
	}
	dispatch := func(t ticket.Ticket, host string, co ...string) {
		h.do(func(tx *storage.Tx) error {
			return did(o.Dispatch(tx, t.ID, ticket.Dispatching{Host: host, Co: co, Note: "请于当日联系群众"}, disp))
		})
	}
	sign := func(t ticket.Ticket, by ticket.Actor) {
		for _, l := range h.legs(t.ID) {
			if l.Unit == by.Unit && l.State == ticket.LegPending {
				h.do(func(tx *storage.Tx) error { return did(o.Sign(tx, l.ID, by)) })
			}
		}
	}
	leg := func(t ticket.Ticket) string { return h.legs(t.ID)[0].ID }
	// ready takes a ticket as far as a unit's signature.
	ready := func(title string, colour ticket.Colour) ticket.Ticket {
		t := h.open(ticket.Intake{Title: title, Body: "来电人反映：" + title + "。家里有老人和上小学的孩子，请尽快处理。联系电话 19900001111。", Place: "平山区站前街道", ContactID: wang, UnitHint: "210502-zhanqian"})
		accept(t, colour)
		dispatch(t, "210502-zhanqian", "210502-qianjin")
		return t
	}

	s.fresh = h.open(ticket.Intake{Channel: "12345", ExternalID: "BX20261123-0087", Kind: ticket.Complaint, Title: "两小区之间通道被私自封堵，双方业主多次争执", ContactID: li,
		Body: "翠东小区和金山小区之间的通道被人用铁栅栏封住，两边住户已经吵了三次，昨天晚上有二三十人聚集，希望公安机关尽快介入调解，避免矛盾升级。",
		Raw:  []byte(`{"id":"BX20261123-0087"}`), ExternalDue: h.now().Add(72 * time.Hour), By: ticket.System})
	s.accepted = h.open(ticket.Intake{Title: "办理居住证所需材料咨询", Body: "外地户口在本溪务工，想办居住证。", ContactID: li})
	accept(s.accepted, "")
	s.dispatched = ready("楼下烧烤店占道经营", ticket.Yellow)
	s.handling = ready("邻居养犬扰民", "")
	sign(s.handling, handler)
	h.call("call-1", "19900001111", wang, s.handling.ID)
	h.update(func(tx *storage.Tx) error { // before the calls' own page knows: the ticket came from this call
		_, err := tx.Exec(`UPDATE ticket SET call_id = 'call-1' WHERE id = $1`, s.handling.ID)
		return err
	})
	h.do(func(tx *storage.Tx) error {
		return did(o.Contacted(tx, leg(s.handling), ticket.ContactNote{Via: "phone", Outcome: ticket.Reached, Note: "已约定明日上门"}, handler))
	})
	s.asked = ready("施工工地夜间作业", "")
	sign(s.asked, handler)
	h.do(func(tx *storage.Tx) error {
		return did(o.RequestExtension(tx, leg(s.asked), 3, "需等待住建部门检测报告", handler))
	})
	s.suspended = ready("旧楼道路灯损坏", "")
	sign(s.suspended, handler)
	h.do(func(tx *storage.Tx) error {
		q, err := o.RequestSuspend(tx, leg(s.suspended), h.now().Add(72*time.Hour), "等待材料到货", handler)
		if err != nil {
			return err
		}
		return did(o.DecideSuspend(tx, q.ID, ticket.Ruling{Grant: true}, disp))
	})
	// submitted takes a ticket as far as its result.
	submitted := func(title string) ticket.Ticket {
		t := ready(title, "")
		sign(t, handler)
		h.do(func(tx *storage.Tx) error {
			if _, err := o.Contacted(tx, leg(t), ticket.ContactNote{Via: "visit", Outcome: ticket.Reached}, handler); err != nil {
				return err
			}
			return did(o.Submit(tx, leg(t), ticket.Result{Text: "已到现场劝离，并与物业约定夜间巡查。", Basis: "《中华人民共和国治安管理处罚法》相关规定", Finding: ticket.Substantiated,
				Resolution: ticket.Solved, WithoutCo: "协办事项已电话了解"}, handler))
		})
		return t
	}
	approve := func(t ticket.Ticket) {
		h.do(func(tx *storage.Tx) error {
			if _, err := o.Approve(tx, t.ID, ticket.Reply{Text: "您反映的问题已处理，夜间将加强巡查。", Via: "phone"}, disp); err != nil {
				return err
			}
			return did(o.OpenRating(tx, t.ID, caller))
		})
	}
	rate := func(t ticket.Ticket, stars ticket.Stars, words string) {
		h.do(func(tx *storage.Tx) error {
			return did(o.Rate(tx, t.ID, ticket.RatingIn{Stars: stars, Via: "callback", Words: words}, caller))
		})
	}
	s.reviewing = submitted("广场舞音量过大")
	s.rating = submitted("车辆长期占用消防通道")
	approve(s.rating)
	s.closed = submitted("户口迁移材料退回原因不清")
	approve(s.closed)
	rate(s.closed, 5, "民警很耐心")
	s.rework = submitted("楼上漏水纠纷多次调解未果")
	approve(s.rework)
	rate(s.rework, 2, "没有解决根本问题")
	s.refused = h.open(ticket.Intake{Title: "要求推翻法院判决", Body: "不服民事判决。", ContactID: li})
	h.do(func(tx *storage.Tx) error {
		return did(o.Refuse(tx, s.refused.ID, "litigation", ticket.Reply{Text: "您反映的事项应当通过诉讼途径解决。", Via: "phone"}, disp))
	})
	s.restricted = h.open(ticket.Intake{Channel: "12389", Title: "反映民警态度生硬", Body: "办理业务时态度不好。", ContactID: li, AccusedUnit: "210502-zhanqian", By: h.actor("inspector1")})
	s.accused = h.open(ticket.Intake{Title: "反映站前派出所出警慢", Body: "报警后四十分钟才到。", ContactID: wang, Confidential: true, AccusedUnit: "210502-zhanqian"})

	h.morning("5 等了一下午没人管，电话也打不通")
	h.view(func(tx *storage.Tx) error {
		list, _, err := o.List(tx, ticket.Filter{Viewer: ticket.System, Channel: "sms"})
		if len(list) != 1 {
			h.t.Fatalf("a bad rating opened %d tickets (%v)", len(list), err)
		}
		s.bySMS = list[0]
		return err
	})
	h.do(func(tx *storage.Tx) (err error) {
		if s.abandoned, err = o.OpenCallback(tx, ticket.Callback{Kind: ticket.CallbackAbandoned, ContactID: li, CallID: "call-1", Reason: "等候2分10秒后挂断", By: ticket.System}); err != nil {
			return err
		}
		s.alert, err = o.RaiseAlert(tx, ticket.Alert{Rule: "W1", Level: ticket.Red, Title: "来电中出现扬言语句", Evidence: "“再不解决我就去市政府拉横幅”", TicketID: s.fresh.ID, ContactID: li, By: ticket.Bot})
		return err
	})
	return s
}
