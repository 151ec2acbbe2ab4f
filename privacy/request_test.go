package privacy

import (
	"strings"
	"testing"
	"time"

	"lianxin/audit"
	"lianxin/org"
	"lianxin/storage"
	"lianxin/storage/storagetest"
	"lianxin/ticket"
	"lianxin/ticket/channel"
)

func officer(role org.Role, id string) ticket.Actor {
	return ticket.Staff(org.Staff{ID: id, Role: role, Active: true})
}

func (h *house) ask(r Request, by ticket.Actor) (out Request, code string) {
	h.t.Helper()
	err := h.db.Update(h.ctx, func(tx *storage.Tx) (err error) { out, err = h.keeper.Ask(tx, r, by); return err })
	return out, h.code(err)
}

func (h *house) code(err error) string {
	h.t.Helper()
	if r, ok := ticket.RefusedWith(err); ok {
		return r.Code
	}
	if err != nil {
		h.t.Fatal(err)
	}
	return ""
}

func (h *house) decide(id string, approve bool, by ticket.Actor) string {
	h.t.Helper()
	return h.code(h.db.Update(h.ctx, func(tx *storage.Tx) error { _, err := h.keeper.Decide(tx, id, approve, "核对无误", by); return err }))
}

func (h *house) carry(id string, by ticket.Actor) (r Request, d *Dossier, code string) {
	h.t.Helper()
	err := h.db.Update(h.ctx, func(tx *storage.Tx) (err error) { r, d, err = h.keeper.Carry(tx, id, by); return err })
	return r, d, h.code(err)
}

func TestARequestAboutOnesOwnDataTakesTwoPersonsAndLeavesItsTrace(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, db *storage.DB) {
		h := newHouse(t, db)
		h.fill(2, true)
		first, second, leader := officer(org.Inspector, "i1"), officer(org.Inspector, "i2"), officer(org.Leader, "l1")
		var found []Holding
		h.update(func(tx *storage.Tx) (err error) { found, err = h.keeper.Look(tx, number, first); return err })
		if len(found) != 1 || found[0].Requests != 2 || found[0].Open != 0 || found[0].Files != 2 || found[0].Texts != 1 {
			t.Fatalf("%+v", found)
		}
		who := found[0].ID
		ask := Request{Kind: Copy, Person: who, Proof: "idcard", Ground: "本人书面申请2026-7"}
		for code, c := range map[string]struct {
			change func(*Request)
			by     ticket.Actor
		}{
			"role":   {func(*Request) {}, leader},
			"kind":   {func(r *Request) { r.Kind = "look" }, first},
			"proof":  {func(r *Request) { r.Proof = "trust me" }, first},
			"ground": {func(r *Request) { r.Ground = " " }, first},
			"change": {func(r *Request) { r.Kind = Correct }, first},
			"phone":  {func(r *Request) { r.Kind, r.Change.Phone = Correct, "12" }, first},
		} {
			r := ask
			c.change(&r)
			if _, got := h.ask(r, c.by); got != code {
				t.Errorf("refused with %q, want %q", got, code)
			}
		}
		r, _ := h.ask(ask, first)
		if _, code := h.ask(ask, first); code != "twice" {
			t.Errorf("the same again: %q", code)
		}
		if _, _, code := h.carry(r.ID, first); code != "state" {
			t.Errorf("carried out before anybody has approved it: %q", code)
		}
		if code := h.decide(r.ID, true, first); code != "self" {
			t.Errorf("approved by who registered it: %q", code)
		}
		if code := h.decide(r.ID, true, second); code != "" {
			t.Fatalf("refused: %q", code)
		}
		_, d, _ := h.carry(r.ID, first)
		if d == nil || d.Phone != number || len(d.Requests) != 2 || !strings.Contains(d.Requests[0].Body, name) {
			t.Fatalf("the copy: %+v", d)
		}
		h.now = h.now.Add(6 * 24 * time.Hour)
		if _, d, code := h.carry(r.ID, second); d == nil {
			t.Errorf("taken again within seven days: %q", code)
		}
		h.now = h.now.Add(2 * 24 * time.Hour)
		if _, _, code := h.carry(r.ID, first); code != "late" {
			t.Errorf("taken after seven days: %q", code)
		}
		// A correction; a number that is another's is refused when it is carried out.
		fix, _ := h.ask(Request{Kind: Correct, Person: who, Proof: "callback", Ground: "姓名登记有误", Change: Change{Name: "王晓明", Phone: "13900001111"}}, first)
		h.decide(fix.ID, true, leader)
		if _, _, code := h.carry(fix.ID, first); code != "" {
			t.Fatalf("correct: %q", code)
		}
		h.update(func(tx *storage.Tx) error {
			p, err := h.office.Book.Get(tx, who)
			if p.Name.Clear() != "王晓明" || p.Phone.Clear() != "13900001111" {
				t.Errorf("corrected to %v %v", p.Name.Clear(), p.Phone.Clear())
			}
			_, err2 := h.gateway.Take(tx, channel.Delivery{Channel: "12345", ExternalID: "other", Title: "另一人", Phone: "13900002222", Raw: []byte("x")}, ticket.System)
			if err == nil {
				err = err2
			}
			return err
		})
		taken, _ := h.ask(Request{Kind: Correct, Person: who, Proof: "callback", Ground: "换号", Change: Change{Phone: "13900002222"}}, first)
		h.decide(taken.ID, true, leader)
		if _, _, code := h.carry(taken.ID, first); code != "taken" {
			t.Errorf("another's number: %q", code)
		}
		// Erasure: refused while something is open, and final.
		gone, code := h.ask(Request{Kind: Erasure, Person: who, Proof: "idcard", Ground: "申请删除"}, first)
		if code != "" {
			t.Fatalf("erasure: %q", code)
		}
		h.decide(gone.ID, true, leader)
		if done, _, code := h.carry(gone.ID, first); code != "" || done.Counts.Requests != 2 || done.State != RequestDone {
			t.Errorf("erased %+v: %q", done.Counts, code)
		}
		h.whole()
		h.update(func(tx *storage.Tx) error {
			list, err := h.keeper.Requests(tx, 10)
			if len(list) != 4 || list[0].State != RequestApproved {
				t.Errorf("%d requests, the first %s", len(list), list[0].State)
			}
			events, err2 := audit.Stream(tx, RequestStream(gone.ID))
			var types []string
			for _, e := range events {
				types = append(types, e.Type)
				if strings.Contains(string(e.Payload), "申请删除") {
					t.Error("words stand in the log")
				}
			}
			if got := strings.Join(types, " "); got != "person.asked person.approved person.done" {
				t.Errorf("the log: %s", got)
			}
			if err == nil {
				err = err2
			}
			return err
		})
		// Its words go after their period, once.
		h.now = h.now.AddDate(3, 1, 0)
		for i, want := range []int{3, 0} { // one still waits to be carried out
			list, err := h.keeper.Run(h.ctx, "system")
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range list {
				if d.Kind == Persons && d.Done != want {
					t.Errorf("run %d took the words of %d requests, want %d", i, d.Done, want)
				}
			}
		}
	})
}

func TestWhomAComplaintAccusesDoesNotHandleTheCitizensData(t *testing.T) {
	h := newHouse(t, storagetest.SQLite(t))
	h.fill(1, true)
	accused, other := officer(org.Inspector, "accused"), officer(org.Inspector, "other")
	var who string
	h.update(func(tx *storage.Tx) error {
		p, err := h.office.Book.FindBy(tx, number)
		if err != nil {
			return err
		}
		who = p[0].ID
		_, err = h.office.Open(tx, ticket.Intake{Channel: "hotline", Title: "反映某督察", Body: "态度不好", ContactID: who, AccusedStaff: "accused", By: ticket.System})
		return err
	})
	err := h.db.View(h.ctx, func(tx *storage.Tx) error { _, err := h.keeper.Look(tx, number, accused); return err })
	if h.code(err) != "other" {
		t.Errorf("the accused looks: %v", err)
	}
	if _, code := h.ask(Request{Kind: Copy, Person: who, Proof: "idcard", Ground: "申请复制"}, accused); code != "other" {
		t.Errorf("the accused registers: %q", code)
	}
	r, _ := h.ask(Request{Kind: Copy, Person: who, Proof: "idcard", Ground: "申请复制"}, other)
	if code := h.decide(r.ID, true, accused); code != "other" {
		t.Errorf("the accused decides: %q", code)
	}
	if _, code := h.ask(Request{Kind: Erasure, Person: who, Proof: "idcard", Ground: "申请删除"}, other); code != "open" {
		t.Errorf("erasure with an open request: %q", code)
	}
}

func TestWordsOfCallBacksAndAlertsWithoutARequestGoAfterTheirPeriod(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, db *storage.DB) {
		h := newHouse(t, db)
		h.fill(1, true)
		h.update(func(tx *storage.Tx) error {
			p, err := h.office.Book.FindBy(tx, number)
			if err != nil {
				return err
			}
			for i, done := range []bool{true, false} {
				c, err := h.office.OpenCallback(tx, ticket.Callback{Kind: ticket.CallbackMessage, Key: string(rune('a' + i)), ContactID: p[0].ID, Reason: name + "要求回电", By: ticket.System})
				if err != nil {
					return err
				}
				if done {
					if _, err := h.office.FinishCallback(tx, c.ID, true, "已回电"+name, officer(org.Caller, "c1")); err != nil {
						return err
					}
				}
				a, err := h.office.RaiseAlert(tx, ticket.Alert{Key: string(rune('a' + i)), Rule: "W16", Level: ticket.Yellow, Title: "来电" + name, Evidence: "“" + name + "”", By: ticket.System})
				if err != nil {
					return err
				}
				if done {
					if _, err := h.office.AckAlert(tx, a.ID, officer(org.Supervisor, "s1")); err != nil {
						return err
					}
					if _, err := h.office.DisposeAlert(tx, a.ID, ticket.Noise, "", "误报"+name, officer(org.Supervisor, "s1")); err != nil {
						return err
					}
				}
			}
			return nil
		})
		h.now = h.now.AddDate(2, 0, 1)
		list, err := h.keeper.Run(h.ctx, "system")
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range list {
			if d.Kind == Loose && (d.Rows != 2 || d.Done != 2) {
				t.Errorf("%+v", d)
			}
		}
		h.whole()
		if again, err := h.keeper.Preview(h.ctx); err != nil || again[6].Kind != Loose || again[6].Rows != 0 {
			t.Errorf("again: %+v %v", again, err)
		}
	})
}
