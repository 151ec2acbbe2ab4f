package oversee

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"lianxin/audit"
	"lianxin/contact"
	"lianxin/org"
	"lianxin/storage"
	"lianxin/storage/storagetest"
	"lianxin/ticket"
	"lianxin/workday"
)

// house is a small bureau with a desk of oversight.
type house struct {
	t    testing.TB
	db   *storage.DB
	ctx  context.Context
	desk *Desk
	o    *ticket.Office
	mu   sync.Mutex
	now  time.Time

	operator, dispatcher, supervisor, leader, leader2, analyst, inspector, admin, caller ticket.Actor
	handlerA, reviewerA, handlerB, reviewerB, expert, expertA, criminal, legal           ticket.Actor
	people                                                                               []string
}

const (
	unitA = "ping-zhanqian"
	unitB = "xi-hedong"
)

func each2(t *testing.T, fn func(h *house)) {
	t.Helper()
	storagetest.Each(t, func(t *testing.T, db *storage.DB) { fn(newHouse(t, db)) })
}

func small(t *testing.T) *house { return newHouse(t, storagetest.SQLite(t)) }

func (h *house) clock() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

func (h *house) pass(d time.Duration) {
	h.mu.Lock()
	h.now = h.now.Add(d)
	h.mu.Unlock()
}

func newHouse(t testing.TB, db *storage.DB) *house {
	t.Helper()
	vault, err := contact.OpenVault(filepath.Join(t.TempDir(), "keys"))
	if err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, db: db, ctx: context.Background(), now: time.Date(2026, 11, 23, 10, 0, 0, 0, workday.Zone)}
	book := &contact.Book{Vault: vault, Now: h.clock}
	if h.o, err = ticket.NewOffice(book); err != nil {
		t.Fatal(err)
	}
	h.o.Now = h.clock
	h.desk = New(h.o)
	h.update(func(tx *storage.Tx) error {
		reg := org.Register{Now: h.clock}
		for _, u := range []org.Unit{
			{ID: "bureau", Name: "市公安局", Kind: org.Bureau, Police: org.General},
			{ID: "centre", Name: "民意感知中心", Kind: org.Centre, Police: org.PublicView, Parent: "bureau"},
			{ID: "legal", Name: "法制支队", Kind: org.Detachment, Police: org.Legal, Parent: "bureau"},
			{ID: "criminal", Name: "刑侦支队", Kind: org.Detachment, Police: org.Criminal, Parent: "bureau"},
			{ID: "inspection", Name: "督察支队", Kind: org.Detachment, Police: org.Inspection, Parent: "bureau"},
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
			actor *ticket.Actor
			unit  string
			role  org.Role
		}{
			"operator": {&h.operator, "centre", org.Operator}, "dispatcher": {&h.dispatcher, "centre", org.Dispatcher}, "supervisor": {&h.supervisor, "centre", org.Supervisor},
			"caller": {&h.caller, "centre", org.Caller}, "analyst": {&h.analyst, "centre", org.Analyst}, "admin": {&h.admin, "centre", org.Admin},
			"leader": {&h.leader, "bureau", org.Leader}, "leader2": {&h.leader2, "bureau", org.Leader}, "inspector": {&h.inspector, "inspection", org.Inspector},
			"handler-a": {&h.handlerA, unitA, org.Handler}, "reviewer-a": {&h.reviewerA, unitA, org.Reviewer}, "handler-b": {&h.handlerB, unitB, org.Handler},
			"reviewer-b": {&h.reviewerB, unitB, org.Reviewer}, "expert": {&h.expert, "legal", org.Expert}, "expert-a": {&h.expertA, unitA, org.Expert},
			"criminal": {&h.criminal, "criminal", org.Handler}, "legal": {&h.legal, "legal", org.Reviewer},
		} {
			s, err := reg.AddStaff(tx, org.Staff{Login: login, Name: login, Role: p.role, Unit: p.unit}, "system")
			if err != nil {
				return err
			}
			*p.actor = ticket.Staff(s)
		}
		for i := range 14 {
			phone, err := contact.ParseMobile(fmt.Sprintf("138000000%02d", i))
			if err != nil {
				return err
			}
			c, err := book.Ensure(tx, phone, fmt.Sprintf("王%d", i))
			if err != nil {
				return err
			}
			h.people = append(h.people, c.ID)
		}
		return nil
	})
	t.Cleanup(h.whole)
	return h
}

// whole checks that rows and events agree.
func (h *house) whole() {
	h.t.Helper()
	drifts, err := Verify(h.ctx, h.db)
	if err != nil {
		h.t.Fatal(err)
	}
	more, err := ticket.VerifyProjection(h.ctx, h.db, h.o.Book.Vault)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, d := range append(drifts, more...) {
		h.t.Errorf("drift: %v", d)
	}
	rep, err := audit.Verify(h.ctx, h.db, nil)
	if err != nil || rep.Broken != nil {
		h.t.Errorf("chain: %v %v", rep.Broken, err)
	}
}

func (h *house) update(fn func(tx *storage.Tx) error) {
	h.t.Helper()
	if err := h.db.Update(h.ctx, fn); err != nil {
		h.t.Fatal(err)
	}
}

// must runs a command that has to succeed.
func must[T any](h *house, fn func(tx *storage.Tx) (T, error)) (v T) {
	h.t.Helper()
	h.update(func(tx *storage.Tx) (err error) { v, err = fn(tx); return err })
	h.pass(time.Minute)
	return v
}

// refused runs a command that has to be refused with a code and to write nothing.
func refused[T any](h *house, code string, fn func(tx *storage.Tx) (T, error)) {
	h.t.Helper()
	before := h.events()
	err := h.db.Update(h.ctx, func(tx *storage.Tx) error {
		_, err := fn(tx)
		if r, ok := ticket.RefusedWith(err); !ok || r.Code != code || r.Message == "" {
			h.t.Errorf("got %v, want a refusal with code %s", err, code)
		}
		return errors.New("roll back")
	})
	if err == nil {
		h.t.Fatal("committed")
	}
	if n := h.events(); n != before {
		h.t.Errorf("a refused command wrote %d events", n-before)
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
	if err := h.db.View(h.ctx, fn); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) sweep() {
	h.t.Helper()
	if _, err := h.o.Sweep(h.ctx, h.db, h.clock()); err != nil {
		h.t.Fatal(err)
	}
	if err := h.desk.Sweep(h.ctx, h.db, h.clock()); err != nil {
		h.t.Fatal(err)
	}
}

// open opens a ticket of one of the people.
func (h *house) open(who int, title, body string, more ...func(*ticket.Intake)) ticket.Ticket {
	h.t.Helper()
	in := ticket.Intake{Channel: "hotline", Kind: ticket.Help, Title: title, Body: body, ContactID: h.people[who], By: h.operator}
	for _, m := range more {
		m(&in)
	}
	return must(h, func(tx *storage.Tx) (ticket.Ticket, error) { return h.o.Open(tx, in) })
}

// handling brings a ticket to 办理中 at a unit.
func (h *house) handling(t ticket.Ticket, unit string) ticket.Ticket {
	h.t.Helper()
	must(h, func(tx *storage.Tx) (ticket.Ticket, error) {
		return h.o.Accept(tx, t.ID, ticket.Acceptance{}, h.dispatcher)
	})
	must(h, func(tx *storage.Tx) (ticket.Ticket, error) {
		return h.o.Dispatch(tx, t.ID, ticket.Dispatching{Host: unit}, h.dispatcher)
	})
	return must(h, func(tx *storage.Tx) (ticket.Ticket, error) {
		legs, err := h.o.Legs(tx, t.ID)
		if err != nil {
			return ticket.Ticket{}, err
		}
		by := h.handlerA
		if unit == unitB {
			by = h.handlerB
		}
		return h.o.Sign(tx, legs[len(legs)-1].ID, by)
	})
}

// list are the matters of a kind, oldest first.
func list[T any, P pointer[T]](h *house, k Kind) (out []P) {
	h.t.Helper()
	h.view(func(tx *storage.Tx) (err error) {
		out, err = find[T, P](h.desk, tx, k, ` ORDER BY opened_at, id`)
		return err
	})
	return out
}

// raised are the alerts of a rule.
func (h *house) raised(rule string) (out []ticket.Alert) {
	h.t.Helper()
	h.view(func(tx *storage.Tx) (err error) {
		out, _, err = h.o.Alerts(tx, ticket.AlertFilter{Viewer: ticket.System, Rule: rule, Limit: 1000})
		return err
	})
	return out
}
