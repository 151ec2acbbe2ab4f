package console

import (
	"testing"
	"time"

	"lianxin/storage"
	"lianxin/ticket"
	"lianxin/ticket/oversee"
)

func TestPagesOfOversightFitAPhoneAndADesk(t *testing.T) {
	s := newHouse(t).fill()
	for i, body := range []string{"滨江雅苑小区旁边的搅拌站夜里机器轰鸣粉尘很大", "滨江雅苑小区旁边的搅拌站半夜还在装车，窗户不敢开", "滨江雅苑小区旁的搅拌站昼夜施工，粉尘严重"} {
		s.open(ticket.Intake{Title: "滨江雅苑旁边的搅拌站扰民", Body: body, ContactID: s.person("1990000880"+itoa(i), "")})
		s.pass(20 * time.Hour)
	}
	if err := s.s.Oversight.Sweep(s.ctx, s.db, s.now()); err != nil {
		t.Fatal(err)
	}
	s.do(func(tx *storage.Tx) error {
		_, err := s.s.Oversight.Propose(tx, oversee.Proposal{Level: 2, Trigger: oversee.ByHand, TicketID: s.handling.ID, Grounds: "群众多次反映，久拖不决", Requirement: "五日内办结并当面答复"}, s.actor("supervisor1"))
		return err
	})
	topic, sup := s.matter(t, "supervisor1", oversee.KindTopic), s.matter(t, "supervisor1", oversee.KindSupervision)
	var group string
	s.view(func(tx *storage.Tx) error {
		list, _, err := s.office.List(tx, ticket.Filter{Viewer: ticket.System, Text: "搅拌站"})
		group = list[0].ID
		return err
	})
	w := s.window(t, "supervisor1", 1366, 900)
	for name, path := range map[string]string{"o-list": "/oversee/supervision", "o-topic": topic, "o-supervision": sup, "o-rules": "/oversee/rules", "o-ticket": "/tickets/" + group, "o-backcheck": "/oversee/backcheck"} {
		w.fits(name, path)
	}
}
