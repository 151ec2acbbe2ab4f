package org_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lianxin/audit"
	"lianxin/org"
	"lianxin/storage"
	"lianxin/storage/storagetest"
)

var (
	t0  = time.Date(2026, 11, 23, 9, 0, 0, 0, time.FixedZone("CST", 8*3600))
	ctx = context.Background()
)

// clock is a Register whose time a test sets.
type clock struct {
	org.Register
	now time.Time
}

func newClock() *clock {
	c := &clock{now: t0}
	c.Register.Now = func() time.Time { return c.now }
	return c
}

func update(t testing.TB, db *storage.DB, fn func(tx *storage.Tx) error) {
	t.Helper()
	if err := db.Update(ctx, fn); err != nil {
		t.Fatal(err)
	}
}

// town is a small bureau: two branches with one station each, and the centre.
func town(t testing.TB, db *storage.DB) *clock {
	t.Helper()
	g := newClock()
	update(t, db, func(tx *storage.Tx) error {
		for _, u := range []org.Unit{
			{ID: "bureau", Name: "本溪市公安局", Short: "市局", Kind: org.Bureau, Police: org.General},
			{ID: "centre", Name: "民意感知中心", Kind: org.Centre, Police: org.PublicView, Parent: "bureau"},
			{ID: "pingshan", Name: "平山分局", Kind: org.Branch, Police: org.General, Parent: "bureau", District: "210502"},
			{ID: "zhanqian", Name: "站前派出所", Kind: org.Station, Police: org.PublicOrder, Parent: "pingshan", District: "210502"},
			{ID: "xihu", Name: "溪湖分局", Kind: org.Branch, Police: org.General, Parent: "bureau", District: "210503"},
			{ID: "caitun", Name: "彩屯派出所", Kind: org.Station, Police: org.PublicOrder, Parent: "xihu", District: "210503"},
		} {
			if err := g.AddUnit(tx, u, "staff/admin"); err != nil {
				return err
			}
		}
		return nil
	})
	return g
}

func TestMovingAUnitKeepsItsHistory(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, db *storage.DB) {
		g := town(t, db)
		g.now = t0.Add(time.Hour)
		update(t, db, func(tx *storage.Tx) error {
			if err := g.MoveUnit(tx, "zhanqian", "xihu", "staff/admin"); err != nil {
				return err
			}
			if err := g.MoveUnit(tx, "zhanqian", "xihu", "staff/admin"); err != nil { // no change, no event
				return err
			}
			u, err := org.GetUnit(tx, "zhanqian")
			if err != nil || u.Parent != "xihu" || !u.Changed.Equal(g.now) || !u.Created.Equal(t0) {
				t.Errorf("moved: %+v, %v", u, err)
			}
			moves, err := org.Moves(tx, "zhanqian")
			want := []org.Move{
				{At: t0.UTC(), To: "pingshan", By: "staff/admin"},
				{At: g.now.UTC(), From: "pingshan", To: "xihu", By: "staff/admin"},
			}
			if d := cmp.Diff(want, moves); err != nil || d != "" {
				t.Errorf("moves, %v:\n%s", err, d)
			}
			below, err := org.Below(tx, "xihu")
			if d := cmp.Diff([]string{"xihu", "caitun", "zhanqian"}, below); err != nil || d != "" {
				t.Errorf("below, %v:\n%s", err, d)
			}
			above, err := org.Above(tx, "zhanqian")
			if err != nil || len(above) != 3 || above[0].ID != "zhanqian" || above[1].ID != "xihu" || above[2].ID != "bureau" {
				t.Errorf("above: %+v, %v", above, err)
			}
			return nil
		})
	})
}

func TestTheTreeStaysATree(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, db *storage.DB) {
		g := town(t, db)
		update(t, db, func(tx *storage.Tx) error {
			for _, c := range []struct{ id, parent string }{{"pingshan", "pingshan"}, {"pingshan", "zhanqian"}} {
				if err := g.MoveUnit(tx, c.id, c.parent, "x"); !errors.Is(err, org.ErrLoop) {
					t.Errorf("move %s below %s: %v", c.id, c.parent, err)
				}
			}
			if err := g.MoveUnit(tx, "bureau", "pingshan", "x"); err == nil {
				t.Error("the bureau was moved")
			}
			for _, c := range []struct{ id, parent string }{{"nowhere", "pingshan"}, {"pingshan", "nowhere"}, {"pingshan", ""}} {
				if err := g.MoveUnit(tx, c.id, c.parent, "x"); !errors.Is(err, storage.ErrNotFound) {
					t.Errorf("move %s below %q: %v", c.id, c.parent, err)
				}
			}
			for _, u := range []org.Unit{
				{ID: "Upper", Name: "x", Kind: org.Station, Police: org.General, Parent: "bureau"},
				{ID: "a b", Name: "x", Kind: org.Station, Police: org.General, Parent: "bureau"},
				{ID: "a", Name: " ", Kind: org.Station, Police: org.General, Parent: "bureau"},
				{ID: "a", Name: "x", Kind: "castle", Police: org.General, Parent: "bureau"},
				{ID: "a", Name: "x", Kind: org.Station, Police: "secret", Parent: "bureau"},
				{ID: "a", Name: "x", Kind: org.Station, Police: org.General},
				{ID: "a", Name: "x", Kind: org.Station, Police: org.General, Parent: "nowhere"},
				{ID: "a", Name: "x", Kind: org.Bureau, Police: org.General, Parent: "bureau"},
			} {
				if err := g.AddUnit(tx, u, "x"); err == nil {
					t.Errorf("added %+v", u)
				}
			}
			return nil
		})
		err := db.Update(ctx, func(tx *storage.Tx) error {
			return g.AddUnit(tx, org.Unit{ID: "centre", Name: "x", Kind: org.Centre, Police: org.General, Parent: "bureau"}, "x")
		})
		if !errors.Is(err, storage.ErrConflict) {
			t.Errorf("the same id twice: %v", err)
		}
		update(t, db, func(tx *storage.Tx) error {
			if err := errors.Join(g.RenameUnit(tx, "caitun", "彩屯派出所（新）", "", "staff/admin"), g.SetUnitActive(tx, "caitun", false, "staff/admin")); err != nil {
				return err
			}
			u, err := org.GetUnit(tx, "caitun")
			if err != nil || u.Active || u.Short != "彩屯派出所（新）" {
				t.Errorf("%+v, %v", u, err)
			}
			us, err := org.Units(tx)
			if err != nil || len(us) != 6 {
				t.Errorf("closed units are listed too: %d, %v", len(us), err)
			}
			return g.SetUnitActive(tx, "caitun", true, "staff/admin")
		})
	})
}

func TestUnitsSeeTheirOwnAndTheCentreSeesAll(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, db *storage.DB) {
		town(t, db)
		update(t, db, func(tx *storage.Tx) error {
			for _, c := range []struct {
				role                              org.Role
				unit                              string
				zhanqian, pingshan, caitun, alone bool
			}{
				{org.Handler, "zhanqian", true, false, false, false},
				{org.Reviewer, "pingshan", true, true, false, false},
				{org.Reviewer, "bureau", true, true, true, false},
				{org.Handler, "centre", true, true, true, true},
				{org.Dispatcher, "centre", true, true, true, true},
				{org.Caller, "zhanqian", true, true, true, true},
				{org.Leader, "bureau", true, true, true, true},
				{org.Auditor, "bureau", true, true, true, true},
				{org.Expert, "pingshan", false, false, false, false},
				{org.Clerk, "caitun", false, false, true, false},
			} {
				s := org.Staff{ID: "s", Role: c.role, Unit: c.unit, Active: true}
				scope, err := org.ScopeOf(tx, s)
				if err != nil {
					return err
				}
				if scope.Covers("zhanqian") != c.zhanqian || scope.Covers("pingshan") != c.pingshan || scope.Covers("caitun") != c.caitun || scope.Covers() != c.alone {
					t.Errorf("%s of %s: %+v", c.role, c.unit, scope)
				}
				if scope.Covers("caitun", "zhanqian") != (c.caitun || c.zhanqian) {
					t.Errorf("%s of %s: one covered unit is enough", c.role, c.unit)
				}
				s.Active = false
				if scope, err := org.ScopeOf(tx, s); err != nil || scope.Covers("zhanqian", "pingshan", "caitun") || s.Can(org.ViewTicket) {
					t.Errorf("a closed account of %s sees %+v, %v", c.role, scope, err)
				}
			}
			for _, c := range []struct {
				token            org.Token
				zhanqian, caitun bool
			}{
				{org.Token{Role: org.Dispatcher}, true, true},
				{org.Token{Role: org.Dispatcher, Unit: "pingshan"}, true, false},
				{org.Token{Role: org.Handler, Unit: "caitun"}, false, true},
				{org.Token{Role: org.Handler}, false, false},
				{org.Token{Role: org.Citizen, Unit: "pingshan"}, false, false},
				{org.Token{Role: org.Operator, Unit: "centre"}, true, true},
			} {
				scope, err := org.TokenScope(tx, c.token)
				if err != nil || scope.Covers("zhanqian") != c.zhanqian || scope.Covers("caitun") != c.caitun {
					t.Errorf("token %+v: %+v, %v", c.token, scope, err)
				}
			}
			return nil
		})
	})
}

func TestStaffAreEnteredMovedAndClosedWithHistory(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, db *storage.DB) {
		g := town(t, db)
		var id string
		update(t, db, func(tx *storage.Tx) error {
			s, err := g.AddStaff(tx, org.Staff{Login: " Wang.Lei ", Name: "王磊", Role: org.Handler, Unit: "zhanqian", Extension: "8101"}, "staff/admin")
			if err != nil {
				return err
			}
			id = s.ID
			for _, bad := range []org.Staff{
				{Login: "x", Name: "x", Role: org.Handler, Unit: "zhanqian"},
				{Login: "has space", Name: "x", Role: org.Handler, Unit: "zhanqian"},
				{Login: "good", Name: "", Role: org.Handler, Unit: "zhanqian"},
				{Login: "good", Name: "x", Role: org.Citizen, Unit: "zhanqian"},
				{Login: "good", Name: "x", Role: org.Bot, Unit: "zhanqian"},
				{Login: "good", Name: "x", Role: "king", Unit: "zhanqian"},
				{Login: "good", Name: "x", Role: org.Handler, Unit: "nowhere"},
				{Login: "good", Name: "x", Role: org.Handler, Unit: "zhanqian", Extension: "110"},
			} {
				if _, err := g.AddStaff(tx, bad, "staff/admin"); err == nil {
					t.Errorf("added %+v", bad)
				}
			}
			g.now = t0.Add(time.Hour)
			return errors.Join(g.MoveStaff(tx, id, "caitun", "staff/admin"), g.ChangeRole(tx, id, org.Reviewer, "staff/admin"))
		})
		for _, taken := range []org.Staff{
			{Login: "WANG.lei", Name: "x", Role: org.Handler, Unit: "zhanqian"},
			{Login: "other", Name: "x", Role: org.Handler, Unit: "zhanqian", Extension: "8101"},
		} {
			err := db.Update(ctx, func(tx *storage.Tx) error { _, err := g.AddStaff(tx, taken, "staff/admin"); return err })
			if !errors.Is(err, storage.ErrConflict) {
				t.Errorf("taken login or extension: %v", err)
			}
		}
		update(t, db, func(tx *storage.Tx) error {
			s, err := org.StaffByLogin(tx, "wang.LEI")
			if err != nil || s.ID != id || s.Unit != "caitun" || s.Role != org.Reviewer || s.Name != "王磊" || !s.Active {
				t.Errorf("%+v, %v", s, err)
			}
			if got, err := org.StaffByExtension(tx, "8101"); err != nil || got.ID != id {
				t.Errorf("by extension: %+v, %v", got, err)
			}
			moves, err := org.StaffMoves(tx, id)
			if err != nil || len(moves) != 2 || moves[0].To != "zhanqian" || moves[1].From != "zhanqian" || moves[1].To != "caitun" || !moves[1].At.Equal(g.now) {
				t.Errorf("moves: %+v, %v", moves, err)
			}
			if err := g.ChangeRole(tx, id, org.Citizen, "staff/admin"); !errors.Is(err, org.ErrNoAccount) {
				t.Errorf("made a resident: %v", err)
			}
			if err := g.SetStaffActive(tx, id, false, "staff/admin"); err != nil {
				return err
			}
			if _, err := org.StaffByExtension(tx, "8101"); !errors.Is(err, storage.ErrNotFound) {
				t.Errorf("a closed account has a phone: %v", err)
			}
			events, err := audit.Stream(tx, org.StaffStream(id))
			if err != nil || len(events) != 4 || events[3].Type != "staff.closed" {
				t.Errorf("%+v, %v", events, err)
			}
			all, err := org.AllStaff(tx)
			if err != nil || len(all) != 1 {
				t.Errorf("%+v, %v", all, err)
			}
			return errors.Join(g.SetStaffActive(tx, id, true, "staff/admin"))
		})
	})
}

func TestPhonesHaveHA1AndNoPassword(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, db *storage.DB) {
		g := town(t, db)
		// Computed apart: printf '8001:lianxin:correct horse battery' | md5sum, sha256sum
		const password = "correct horse battery"
		const wantMD5 = "a3d43f16622eddfe18d1403c16cb342c"
		const wantSHA = "d07a77cc325476b0c8ce7a8a96ee28cd4730fef63d7530deae618661878bfcac"
		if m, s := org.HA1("8001", password); m != wantMD5 || s != wantSHA {
			t.Errorf("HA1 %s %s", m, s)
		}
		update(t, db, func(tx *storage.Tx) error {
			a, err := g.AddStaff(tx, org.Staff{Login: "op1", Name: "话务一", Role: org.Operator, Unit: "centre"}, "staff/admin")
			if err != nil {
				return err
			}
			b, err := g.AddStaff(tx, org.Staff{Login: "op2", Name: "话务二", Role: org.Operator, Unit: "centre", Extension: "8002"}, "staff/admin")
			if err != nil {
				return err
			}
			if err := g.SetPhone(tx, a.ID, "8001", "short", "staff/admin"); !errors.Is(err, org.ErrWeakPassword) {
				t.Errorf("weak phone password: %v", err)
			}
			if err := g.SetPhone(tx, a.ID, "8001", password, "staff/admin"); err != nil {
				return err
			}
			p, err := org.SIPAccount(tx, "8001")
			if err != nil || p.User != "8001" || p.Staff != a.ID || p.Name != "话务一" || p.MD5 != wantMD5 || p.SHA256 != wantSHA {
				t.Errorf("%+v, %v", p, err)
			}
			if _, err := org.SIPAccount(tx, "8002"); !errors.Is(err, storage.ErrNotFound) {
				t.Errorf("an extension without a password can register: %v, %v", b.ID, err)
			}
			all, err := org.Phones(tx)
			if err != nil || len(all) != 1 {
				t.Errorf("%+v, %v", all, err)
			}
			if err := g.SetStaffActive(tx, a.ID, false, "staff/admin"); err != nil {
				return err
			}
			if _, err := org.SIPAccount(tx, "8001"); !errors.Is(err, storage.ErrNotFound) {
				t.Errorf("the phone of a closed account can register: %v", err)
			}
			if err := g.SetStaffActive(tx, a.ID, true, "staff/admin"); err != nil {
				return err
			}
			if err := g.SetPhone(tx, a.ID, "", "", "staff/admin"); err != nil {
				return err
			}
			if _, err := org.SIPAccount(tx, "8001"); !errors.Is(err, storage.ErrNotFound) {
				t.Errorf("a phone that was taken away can register: %v", err)
			}
			return nil
		})
	})
}
