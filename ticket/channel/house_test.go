package channel

import (
	"context"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"lianxin/contact"
	"lianxin/org"
	"lianxin/storage"
	"lianxin/storage/storagetest"
	"lianxin/ticket"
	"lianxin/workday"
)

// house is a gateway over a fresh database with a few units and people, and a clock that tests set.
type house struct {
	*Gateway
	t   testing.TB
	ctx context.Context

	mu    sync.Mutex
	clock time.Time

	operator, dispatcher, supervisor, leader, inspector, admin ticket.Actor
}

func (h *house) time() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.clock
}

func (h *house) pass(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.clock = h.clock.Add(d)
}

// each runs a test on both engines.
func each(t *testing.T, fn func(h *house)) {
	t.Helper()
	storagetest.Each(t, func(t *testing.T, db *storage.DB) { fn(newHouse(t, db)) })
}

// newHouse is a house at 10:00 on Monday 2026-11-23.
func newHouse(t testing.TB, db *storage.DB) *house {
	t.Helper()
	h := &house{t: t, ctx: context.Background(), clock: time.Date(2026, 11, 23, 10, 0, 0, 0, workday.Zone)}
	vault, err := contact.OpenVault(filepath.Join(t.TempDir(), "keys.json"))
	if err != nil {
		t.Fatal(err)
	}
	office, err := ticket.NewOffice(&contact.Book{Vault: vault, Now: h.time})
	if err != nil {
		t.Fatal(err)
	}
	office.Now = h.time
	h.Gateway = &Gateway{DB: db, Office: office, Now: h.time, Log: slog.New(slog.DiscardHandler)}
	reg := org.Register{Now: h.time}
	h.update(func(tx *storage.Tx) error {
		for _, u := range []org.Unit{
			{ID: "benxi", Name: "本溪市公安局", Short: "市局", Kind: org.Bureau, Police: org.General, Active: true},
			{ID: "centre", Name: "民意感知中心", Short: "中心", Kind: org.Centre, Police: org.General, Parent: "benxi", Active: true},
			{ID: "zhanqian", Name: "站前派出所", Short: "站前所", Kind: org.Station, Police: org.General, Parent: "benxi", Active: true},
		} {
			if err := reg.AddUnit(tx, u, "system"); err != nil {
				return err
			}
		}
		for role, into := range map[org.Role]*ticket.Actor{org.Operator: &h.operator, org.Dispatcher: &h.dispatcher, org.Supervisor: &h.supervisor,
			org.Leader: &h.leader, org.Inspector: &h.inspector, org.Admin: &h.admin} {
			s, err := reg.AddStaff(tx, org.Staff{Login: string(role) + "1", Name: string(role), Role: role, Unit: "centre", Active: true}, "system")
			if err != nil {
				return err
			}
			*into = ticket.Staff(s)
		}
		return nil
	})
	return h
}

func (h *house) update(fn func(tx *storage.Tx) error) {
	h.t.Helper()
	if err := h.DB.Update(h.ctx, fn); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) view(fn func(tx *storage.Tx) error) {
	h.t.Helper()
	if err := h.DB.View(h.ctx, fn); err != nil {
		h.t.Fatal(err)
	}
}

// byNumber is the ticket that a number of a channel has.
func (h *house) byNumber(channel, external string) (t ticket.Ticket) {
	h.t.Helper()
	h.view(func(tx *storage.Tx) error {
		id, err := storage.One(tx, storage.Value[string], `SELECT id FROM ticket WHERE channel = $1 AND external_id = $2`, channel, external)
		if err != nil {
			return err
		}
		t, err = h.Office.Get(tx, id)
		return err
	})
	return t
}

// settle brings a new ticket to its end: answered on the spot and rated.
func (h *house) settle(id, reply string) (t ticket.Ticket) {
	h.t.Helper()
	h.pass(time.Minute)
	h.update(func(tx *storage.Tx) (err error) {
		if t, err = h.Office.Answer(tx, id, ticket.Reply{Text: reply, Via: "phone"}, h.operator); err != nil {
			return err
		}
		t, err = h.Office.Rate(tx, id, ticket.RatingIn{Stars: 5, Via: "web"}, ticket.Citizen(t.ContactID))
		return err
	})
	h.pass(time.Minute)
	return t
}

func storageSQLite(t testing.TB) *storage.DB { return storagetest.SQLite(t) }
