package channel

import (
	"errors"
	"strings"
	"testing"
	"time"

	"lianxin/storage"
	"lianxin/ticket"
)

func (h *house) submit(s Submission) (r Receipt) {
	h.t.Helper()
	h.update(func(tx *storage.Tx) (err error) { r, err = h.Submit(tx, s, ticket.Bot); return err })
	h.pass(time.Minute)
	return r
}

func TestASenderSeesHowTheRequestStandsByNumberAndCode(t *testing.T) {
	each(t, func(h *house) {
		r := h.submit(Submission{Delivery: Delivery{Channel: "web", ExternalID: "web:1", Title: "路灯不亮", Body: "路灯不亮", Phone: "13912345678", Raw: []byte("{}")}})
		if len(r.Code) != codeLength || r.Existing {
			h.t.Fatalf("%+v", r)
		}
		k, err := h.Find(h.ctx, r.Number, strings.ToLower(r.Code[:4])+"-"+r.Code[4:])
		if err != nil || k.ID != r.TicketID {
			h.t.Fatalf("%v %v", k.ID, err)
		}
		look := func() (p Progress) {
			h.view(func(tx *storage.Tx) error {
				k, err := h.Office.Get(tx, r.TicketID)
				if err != nil {
					return err
				}
				p, err = h.ProgressOf(tx, k)
				return err
			})
			return p
		}
		p := look()
		if p.Label != "待受理" || p.Promised.IsZero() || p.PromisedAs != "受理" || p.MayRate || !p.MayLeave {
			h.t.Errorf("%+v", p)
		}
		h.update(func(tx *storage.Tx) error {
			_, err := h.Office.Accept(tx, r.TicketID, ticket.Acceptance{Kind: ticket.Help}, h.dispatcher)
			return err
		})
		h.pass(time.Minute)
		if p := look(); p.Label != "已受理" || p.PromisedAs != "答复您" || !p.Promised.After(h.time()) {
			h.t.Errorf("%+v", p)
		}
		// Guessing is counted; a number that does not exist answers like a wrong code.
		if _, err := h.Find(h.ctx, "民2026-1123-9999", r.Code); !errors.Is(err, ErrNoSuch) {
			h.t.Error(err)
		}
		for range codeTries {
			if _, err := h.Find(h.ctx, r.Number, "WRONGWRO"); !errors.Is(err, ErrNoSuch) {
				h.t.Error(err)
			}
		}
		if _, err := h.Find(h.ctx, r.Number, r.Code); !errors.Is(err, ErrLocked) {
			h.t.Errorf("after %d wrong codes: %v", codeTries, err)
		}
		h.pass(codeLock)
		if _, err := h.Find(h.ctx, r.Number, r.Code); err != nil {
			h.t.Errorf("after the lock: %v", err)
		}
		// The same form sent again is the same request, with a new code.
		again := h.submit(Submission{Delivery: Delivery{Channel: "web", ExternalID: "web:1", Title: "路灯不亮", Body: "路灯不亮", Phone: "13912345678", Raw: []byte("{}")}})
		if !again.Existing || again.Number != r.Number || again.Code == r.Code {
			h.t.Errorf("%+v", again)
		}
		if _, err := h.Find(h.ctx, r.Number, r.Code); !errors.Is(err, ErrNoSuch) {
			h.t.Errorf("the old code: %v", err)
		}
	})
}

func TestARatingLinkIsGoodOnceAndForItsTime(t *testing.T) {
	each(t, func(h *house) {
		answered := func(ext string) string {
			r := h.submit(Submission{Delivery: Delivery{Channel: "web", ExternalID: ext, Title: "咨询", Body: "居住证", Raw: []byte(ext)}})
			h.update(func(tx *storage.Tx) error {
				_, err := h.Office.Answer(tx, r.TicketID, ticket.Reply{Text: "带身份证到派出所", Via: "web"}, h.operator)
				return err
			})
			return r.TicketID
		}
		link := func(id string) (token string) {
			h.update(func(tx *storage.Tx) (err error) { token, err = h.RatingLink(tx, id); return err })
			return token
		}
		rate := func(token string, stars ticket.Stars) error {
			return h.DB.Update(h.ctx, func(tx *storage.Tx) error { _, err := h.RateByLink(tx, token, stars, ""); return err })
		}
		id := answered("a")
		old := link(id)
		fresh := link(id)
		if err := rate(old, 5); !errors.Is(err, ErrNoLink) {
			h.t.Errorf("a link that a new one has ended: %v", err)
		}
		if err := rate(fresh, 4); err != nil {
			h.t.Fatal(err)
		}
		if err := rate(fresh, 1); !errors.Is(err, ErrNoLink) {
			h.t.Errorf("a link used twice: %v", err)
		}
		late := link(answered("b"))
		h.pass(LinkLife)
		if err := rate(late, 5); !errors.Is(err, ErrNoLink) {
			h.t.Errorf("a link past its time: %v", err)
		}
		if err := rate("nonsense", 5); !errors.Is(err, ErrNoLink) {
			h.t.Errorf("nonsense: %v", err)
		}
		// A refused rating does not use the link up.
		again := link(answered("c"))
		if err := rate(again, 9); err == nil || errors.Is(err, ErrNoLink) {
			h.t.Errorf("nine stars: %v", err)
		}
		if err := rate(again, 5); err != nil {
			h.t.Error(err)
		}
	})
}

func TestASubmissionNeedsWorkOrASum(t *testing.T) {
	h := newHouse(t, storageSQLite(t))
	c := h.Challenge()
	if !h.Proven(c, Solve(c)) || h.Proven(c, "x") || h.Proven("forged."+c, "1") || h.Proven(c[:len(c)-1]+"0", Solve(c)) && !strings.HasSuffix(c, "0") {
		t.Error("the work is not checked")
	}
	a, b := Sum(c)
	if !h.Summed(c, string(rune('0'+(a+b)/10))+string(rune('0'+(a+b)%10))) && !h.Summed(c, string(rune('0'+a+b))) {
		t.Error("a right sum is refused")
	}
	if h.Summed(c, "99") {
		t.Error("a wrong sum is taken")
	}
	h.pass(ProofLife)
	if h.Proven(c, Solve(c)) {
		t.Error("a challenge holds for ever")
	}
}
