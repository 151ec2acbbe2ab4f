package ticket

import (
	"context"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"lianxin/contact"
	"lianxin/org"
	"lianxin/storage"
	"lianxin/storage/storagetest"
	"lianxin/workday"
)

// house is an office with a bureau to work in, and a clock that tests set.
type house struct {
	*Office
	t  testing.TB
	db *storage.DB

	mu    sync.Mutex
	now   time.Time
	tries int // of together

	rowsOnly bool // there are rows without events: whole has nothing to compare

	operator, dispatcher, caller, supervisor, leader, inspector, admin Actor
	handlerA, reviewerA, handlerB, reviewerB, legal                    Actor
	citizen                                                            string // contact id
}

const (
	unitA = "ping-zhanqian" // below ping
	unitB = "xi-hedong"
)

func (h *house) set(s string) {
	h.t.Helper()
	v, err := time.ParseInLocation("2006-01-02 15:04", s, workday.Zone)
	if err != nil {
		h.t.Fatal(err)
	}
	h.mu.Lock()
	h.now = v
	h.mu.Unlock()
}

func (h *house) pass(d time.Duration) {
	h.mu.Lock()
	h.now = h.now.Add(d)
	h.mu.Unlock()
}

// each runs fn with a fresh house on both engines, at 10:00 on Monday 2026-11-23.
func each(t *testing.T, fn func(h *house)) {
	t.Helper()
	storagetest.Each(t, func(t *testing.T, db *storage.DB) { fn(newHouse(t, db)) })
}

// newHouse opens its office; when the test ends, rows and events have to agree.
func newHouse(t testing.TB, db *storage.DB) *house {
	t.Helper()
	vault, err := contact.OpenVault(filepath.Join(t.TempDir(), "keys"))
	if err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, db: db}
	h.set("2026-11-23 10:00")
	clock := func() time.Time {
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.now
	}
	book := &contact.Book{Vault: vault, Now: clock}
	if h.Office, err = NewOffice(book); err != nil {
		t.Fatal(err)
	}
	h.Now = clock
	t.Cleanup(h.whole)
	h.update(func(tx *storage.Tx) error {
		var reg org.Register
		for _, u := range []org.Unit{
			{ID: "bureau", Name: "市公安局", Kind: org.Bureau, Police: org.General},
			{ID: "centre", Name: "民意感知中心", Kind: org.Centre, Police: org.PublicView, Parent: "bureau"},
			{ID: "inspection", Name: "督察支队", Kind: org.Detachment, Police: org.Inspection, Parent: "bureau"},
			{ID: "legal", Name: "法制支队", Kind: org.Detachment, Police: org.Legal, Parent: "bureau"},
			{ID: "ping", Name: "平山分局", Kind: org.Branch, Police: org.General, Parent: "bureau"},
			{ID: unitA, Name: "站前派出所", Kind: org.Station, Police: org.General, Parent: "ping"},
			{ID: "xi", Name: "溪湖分局", Kind: org.Branch, Police: org.General, Parent: "bureau"},
			{ID: unitB, Name: "河东派出所", Kind: org.Station, Police: org.General, Parent: "xi"},
		} {
			if err := reg.AddUnit(tx, u, "system"); err != nil {
				return err
			}
		}
		for login, p := range map[string]struct {
			actor *Actor
			unit  string
			role  org.Role
		}{
			"operator": {&h.operator, "centre", org.Operator}, "dispatcher": {&h.dispatcher, "centre", org.Dispatcher},
			"caller": {&h.caller, "centre", org.Caller}, "supervisor": {&h.supervisor, "centre", org.Supervisor},
			"leader": {&h.leader, "bureau", org.Leader}, "inspector": {&h.inspector, "inspection", org.Inspector},
			"admin": {&h.admin, "centre", org.Admin}, "handler-a": {&h.handlerA, unitA, org.Handler}, "reviewer-a": {&h.reviewerA, unitA, org.Reviewer},
			"handler-b": {&h.handlerB, unitB, org.Handler}, "reviewer-b": {&h.reviewerB, unitB, org.Reviewer}, "legal": {&h.legal, "legal", org.Reviewer},
		} {
			s, err := reg.AddStaff(tx, org.Staff{Login: login, Name: login, Role: p.role, Unit: p.unit}, "system")
			if err != nil {
				return err
			}
			*p.actor = Staff(s)
		}
		phone, err := contact.ParseMobile("13800000001")
		if err != nil {
			return err
		}
		c, err := book.Ensure(tx, phone, "王某")
		h.citizen = c.ID
		return err
	})
	return h
}

func (h *house) update(fn func(tx *storage.Tx) error) {
	h.t.Helper()
	if err := h.db.Update(context.Background(), fn); err != nil {
		h.t.Fatal(err)
	}
}

// must runs a command that has to succeed.
func (h *house) must(fn func(tx *storage.Tx) (Ticket, error)) Ticket {
	h.t.Helper()
	var t Ticket
	h.update(func(tx *storage.Tx) (err error) {
		t, err = fn(tx)
		return err
	})
	return t
}

// refused runs a command that has to be refused with a code, and makes sure that nothing was written although the
// transaction is committed.
func (h *house) refused(code string, fn func(tx *storage.Tx) error) {
	h.t.Helper()
	before := h.events()
	h.update(func(tx *storage.Tx) error {
		err := fn(tx)
		r, ok := RefusedWith(err)
		if !ok || r.Code != code || r.Message == "" {
			h.t.Errorf("got %v, want a refusal with code %s", err, code)
		}
		return nil
	})
	if after := h.events(); after != before {
		h.t.Errorf("a refused command wrote %d events", after-before)
	}
}

func (h *house) events() (n int64) {
	h.t.Helper()
	h.view(func(tx *storage.Tx) (err error) {
		n, err = storage.One(tx, storage.Value[int64], `SELECT COUNT(*) FROM audit_event`)
		return err
	})
	return n
}

func (h *house) view(fn func(tx *storage.Tx) error) {
	h.t.Helper()
	if err := h.db.View(context.Background(), fn); err != nil {
		h.t.Fatal(err)
	}
}

// whole makes sure that rows and events agree.
func (h *house) whole() {
	h.t.Helper()
	if h.rowsOnly {
		return
	}
	drift, err := VerifyProjection(context.Background(), h.db, h.Book.Vault)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, d := range drift {
		h.t.Errorf("drift: %s", d)
	}
}

func (h *house) get(id string) (t Ticket) {
	h.t.Helper()
	h.view(func(tx *storage.Tx) (err error) { t, err = h.Get(tx, id); return err })
	return t
}

func (h *house) legs(id string) (out []Leg) {
	h.t.Helper()
	h.view(func(tx *storage.Tx) (err error) { out, err = h.Legs(tx, id); return err })
	return out
}

func (h *house) clocks(id string, k ClockKind) (out []Clock) {
	h.t.Helper()
	h.view(func(tx *storage.Tx) error {
		all, err := h.Clocks(tx, id)
		for _, c := range all {
			if c.Kind == k {
				out = append(out, c)
			}
		}
		return err
	})
	return out
}

func (h *house) open(change func(in *Intake)) Ticket {
	h.t.Helper()
	in := Intake{Channel: "hotline", Kind: Complaint, Title: "夜间噪音扰民", Body: "烧烤店夜间噪音,希望处理", ContactID: h.citizen, By: h.operator}
	if change != nil {
		change(&in)
	}
	return h.must(func(tx *storage.Tx) (Ticket, error) { return h.Open(tx, in) })
}

// accepted opens and accepts a ticket.
func (h *house) accepted(change func(in *Intake)) Ticket {
	h.t.Helper()
	t := h.open(change)
	by := h.dispatcher
	if t.Restricted {
		by = h.inspector
	}
	return h.must(func(tx *storage.Tx) (Ticket, error) { return h.Accept(tx, t.ID, Acceptance{Kind: t.Kind}, by) })
}

// handling brings a ticket to 办理中 at unit A and returns the host's leg.
func (h *house) handling(change func(in *Intake), co ...string) (Ticket, Leg) {
	h.t.Helper()
	t := h.accepted(change)
	return h.toHandling(t, co...)
}

func (h *house) toHandling(t Ticket, co ...string) (Ticket, Leg) {
	h.t.Helper()
	h.must(func(tx *storage.Tx) (Ticket, error) {
		return h.Dispatch(tx, t.ID, Dispatching{Host: unitA, Co: co, Note: "请核处"}, h.dispatcher)
	})
	l := h.hostLeg(t.ID)
	t = h.must(func(tx *storage.Tx) (Ticket, error) { return h.Sign(tx, l.ID, h.handlerA) })
	return t, h.hostLeg(t.ID)
}

func (h *house) hostLeg(id string) Leg {
	h.t.Helper()
	var found Leg
	for _, l := range h.legs(id) {
		if l.Role == Host {
			found = l
		}
	}
	return found
}

// reviewing submits the host's result.
func (h *house) toReviewing(t Ticket) Ticket {
	h.t.Helper()
	l := h.hostLeg(t.ID)
	h.must(func(tx *storage.Tx) (Ticket, error) {
		return h.Contacted(tx, l.ID, ContactNote{Via: "phone", Outcome: Reached, Note: "已联系"}, h.handlerA)
	})
	return h.must(func(tx *storage.Tx) (Ticket, error) { return h.Submit(tx, l.ID, result(), h.handlerA) })
}

func result() Result {
	return Result{Text: "已约谈店主,调整营业时间", Basis: "治安管理处罚法", Finding: Substantiated, Resolution: Solved}
}

func (h *house) toRating(t Ticket) Ticket {
	h.t.Helper()
	h.must(func(tx *storage.Tx) (Ticket, error) {
		return h.Approve(tx, t.ID, Reply{Text: "您反映的问题已处理", Via: "phone"}, h.supervisor)
	})
	return h.must(func(tx *storage.Tx) (Ticket, error) { return h.OpenRating(tx, t.ID, h.dispatcher) })
}

// rating brings a ticket to 待评价.
func (h *house) rating(change func(in *Intake)) Ticket {
	h.t.Helper()
	t, _ := h.handling(change)
	return h.toRating(h.toReviewing(t))
}

func (h *house) rate(id string, s Stars) Ticket {
	h.t.Helper()
	return h.must(func(tx *storage.Tx) (Ticket, error) { return h.Rate(tx, id, RatingIn{Stars: s, Via: "key"}, Bot) })
}

func (h *house) wantState(id string, s State) Ticket {
	h.t.Helper()
	t := h.get(id)
	if t.State != s {
		h.t.Errorf("ticket is %s, want %s", t.State, s)
	}
	return t
}
