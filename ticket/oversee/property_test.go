package oversee

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"lianxin/storage"
	"lianxin/ticket"
)

// Whatever people try in whatever order, a matter only ever goes where its kind's table leads, what is refused writes
// nothing, 挂牌 is never issued or released by one person alone, and rows say what the events say (the house checks that
// when the test ends).
func TestRandomCommandsKeepTheRules(t *testing.T) {
	each2(t, func(h *house) {
		r := rand.New(rand.NewPCG(7, 11))
		k := h.handling(h.open(0, "普通诉求", "普通内容"), unitA)
		others := []ticket.Ticket{k, h.open(1, "涉警诉求", "反映民警态度", func(in *ticket.Intake) { in.AccusedUnit = unitB }),
			h.open(2, "涉个人诉求", "反映督办员", func(in *ticket.Intake) { in.AccusedStaff = h.supervisor.ID }),
			h.open(3, "督察件", "反映问题", func(in *ticket.Intake) { in.Channel, in.ExternalID = "12389", "D9" })}
		who := []ticket.Actor{h.operator, h.dispatcher, h.supervisor, h.leader, h.leader2, h.analyst, h.handlerA, h.reviewerA, h.handlerB, h.expert, ticket.System}
		var sup, order, topic []string
		any1 := func(ids []string) string {
			if len(ids) == 0 {
				return "none"
			}
			return ids[r.IntN(len(ids))]
		}
		done, no := 0, 0
		for range 450 {
			by := who[r.IntN(len(who))]
			before := h.events()
			var wrote bool
			err := h.db.Update(h.ctx, func(tx *storage.Tx) error {
				var err error
				switch s := any1(sup); r.IntN(20) {
				case 0, 1:
					var m Supervision
					m, err = h.desk.Propose(tx, Proposal{Level: r.IntN(4), Trigger: ByHand, TicketID: others[r.IntN(4)].ID, Grounds: "事由", Requirement: "要求"}, by)
					if err == nil {
						sup = append(sup, m.ID)
					}
				case 2, 3, 4:
					_, err = h.desk.Issue(tx, s, Issuing{Unit: unitA}, by)
				case 5, 6:
					_, err = h.desk.SignSupervision(tx, s, by)
				case 7, 8:
					_, err = h.desk.Feed(tx, s, "反馈", r.IntN(2) == 0, by)
				case 9:
					_, err = h.desk.SendBack(tx, s, "原因", by)
				case 10:
					_, err = h.desk.WishRelease(tx, s, "理由", by)
				case 11, 12:
					_, err = h.desk.Release(tx, s, "结论", "", by)
				case 13:
					_, err = h.desk.Raise(tx, s, "理由", by)
				case 14:
					var o Order
					o, err = h.desk.DraftOrder(tx, OrderIn{Title: "标题", Content: "内容", Units: []string{unitA, unitB}, Tickets: [][]string{nil, {k.ID}, {others[r.IntN(4)].ID}}[r.IntN(3)], Due: h.clock().AddDate(0, 0, 3)}, by)
					if err == nil {
						order = append(order, o.ID)
					}
				case 15:
					_, err = h.desk.IssueOrder(tx, any1(order), by)
				case 16:
					_, err = h.desk.SignOrder(tx, any1(order), by)
				case 17:
					_, err = h.desk.OpenClue(tx, others[r.IntN(4)].ID, "fraud", "摘要", nil, by)
				case 18:
					var x Topic
					x, err = h.desk.OpenTopic(tx, TopicIn{Title: "专题", Tickets: [][]string{{k.ID}, {others[1].ID}, {k.ID, others[2].ID}}[r.IntN(3)]}, by)
					if err == nil {
						topic = append(topic, x.ID)
					}
				default:
					_, err = h.desk.Board(tx, any1(topic), []string{"ask", "list", "ask-off", "off"}[r.IntN(4)], "理由", by)
				}
				wrote = err == nil
				return err
			})
			_, refused := ticket.RefusedWith(err)
			switch {
			case err == nil && wrote:
				done++
			case refused || errors.Is(err, storage.ErrNotFound):
				no++
				if n := h.events(); n != before {
					t.Fatalf("a refused command wrote %d events", n-before)
				}
			default:
				t.Fatalf("%s: %v", by.Role, err)
			}
			h.pass(time.Duration(r.IntN(40)) * time.Minute)
		}
		if done < 30 || no < 30 {
			t.Errorf("%d done, %d refused: the test tries too little", done, no)
		}
		for _, s := range list[Supervision](h, KindSupervision) {
			if s.Level < 2 || s.ApprovedBy == "" {
				continue
			}
			if s.ApprovedBy == s.OpenedBy || s.ApprovedBy == "system" {
				t.Errorf("挂牌 by %s alone", s.ApprovedBy)
			}
			if s.State == Released && (s.ReleasedBy == s.WishedBy || s.Wish.IsZero()) {
				t.Errorf("摘牌 by %s alone", s.ReleasedBy)
			}
		}
		h.view(func(tx *storage.Tx) error {
			return sameAsOneByOne(t, h, tx, append(who, h.inspector, h.admin, h.legal, h.reviewerB))
		})
		seen := map[string]bool{}
		for _, s := range list[Supervision](h, KindSupervision) {
			if seen[s.Number] {
				t.Errorf("number %s twice", s.Number)
			}
			seen[s.Number] = true
		}
	})
}

// sameAsOneByOne compares what a list's query finds with what looking at each matter for itself says.
func sameAsOneByOne(t *testing.T, h *house, tx *storage.Tx, who []ticket.Actor) error {
	for k := range kinds {
		all, _, err := h.desk.List(tx, Filter{Viewer: ticket.System, Kind: k, Limit: 10000})
		if err != nil {
			return err
		}
		for _, by := range who {
			var want []string
			for _, m := range all {
				ok, err := h.desk.seen(tx, Of(m), by)
				if err != nil {
					return err
				}
				if ok {
					want = append(want, Of(m).ID)
				}
			}
			found, n, err := h.desk.List(tx, Filter{Viewer: by, Kind: k, Limit: 10000})
			if err != nil {
				return err
			}
			var got []string
			for _, m := range found {
				got = append(got, Of(m).ID)
			}
			if !slices.Equal(got, want) || n != len(want) {
				t.Errorf("%s of %s finds %d of kind %s (counted %d), one by one %d", by.Role, by.Unit, len(got), k, n, len(want))
			}
			if len(want) > 2 {
				page, n, err := h.desk.List(tx, Filter{Viewer: by, Kind: k, Limit: 2, Offset: 1})
				if err != nil || n != len(want) || len(page) != 2 || Of(page[0]).ID != want[1] || Of(page[1]).ID != want[2] {
					t.Errorf("%s: the second page of %s is another one (%v)", by.Role, k, err)
				}
			}
		}
	}
	return nil
}
