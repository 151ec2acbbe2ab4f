package org_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lianxin/org"
	"lianxin/storage"
	"lianxin/storage/storagetest"
)

// ORG-2: a unit that is merged hands on its units and people, is closed, and keeps its past; one with open tickets is not, nor is it closed.
func TestAMergedUnitHandsOnWhatStandsInItAndKeepsItsPast(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, db *storage.DB) {
		g := town(t, db)
		work := 3
		g.Register.Work = func(_ *storage.Tx, unit string) (int, error) {
			if unit == "xihu" {
				return work, nil
			}
			return 0, nil
		}
		g.Reason, g.AsOf = "市编办〔2026〕7号", "2026-11-20"
		var who org.Staff
		update(t, db, func(tx *storage.Tx) (err error) {
			who, err = g.AddStaff(tx, org.Staff{Login: "li", Name: "李", Role: org.Reviewer, Unit: "xihu"}, "staff/admin")
			return err
		})
		try := func(fn func(tx *storage.Tx) error) error { return db.Update(ctx, fn) }
		var o *org.Obstacle
		if err := try(func(tx *storage.Tx) error { return g.CloseUnit(tx, "xihu", "staff/admin") }); !errors.As(err, &o) || *o != (org.Obstacle{Unit: "xihu", Units: 1, Staff: 1, Work: 3}) {
			t.Errorf("closed with all that in it: %v", err)
		}
		if err := try(func(tx *storage.Tx) error { return g.MergeUnit(tx, "xihu", "pingshan", "staff/admin") }); !errors.As(err, &o) || o.Work != 3 {
			t.Errorf("merged with open tickets: %v", err)
		}
		work = 0
		for _, c := range [][2]string{{"bureau", "xihu"}, {"centre", "xihu"}, {"xihu", "bureau"}, {"xihu", "caitun"}, {"xihu", "xihu"}} {
			if err := try(func(tx *storage.Tx) error { return g.MergeUnit(tx, c[0], c[1], "x") }); !errors.Is(err, org.ErrNoMerge) {
				t.Errorf("%s into %s: %v", c[0], c[1], err)
			}
		}
		if err := try(func(tx *storage.Tx) error { return g.MergeUnit(tx, "xihu", "nowhere", "x") }); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("into nothing: %v", err)
		}
		update(t, db, func(tx *storage.Tx) error { return g.MergeUnit(tx, "xihu", "pingshan", "staff/admin") })
		update(t, db, func(tx *storage.Tx) error {
			u, err := org.GetUnit(tx, "xihu")
			if err != nil || u.Active || u.Merged != "pingshan" {
				t.Errorf("%+v, %v", u, err)
			}
			below, _ := org.Below(tx, "pingshan")
			if d := cmp.Diff([]string{"pingshan", "caitun", "zhanqian"}, below); d != "" {
				t.Error(d)
			}
			if p, err := org.GetStaff(tx, who.ID); err != nil || p.Unit != "pingshan" {
				t.Errorf("%+v, %v", p, err)
			}
			past, err := org.UnitHistory(tx, "xihu")
			if err != nil || len(past) != 2 || past[1].What != "merged" || past[1].To != "pingshan" || past[1].Day != "2026-11-20" || past[1].Reason != "市编办〔2026〕7号" {
				t.Errorf("%+v, %v", past, err)
			}
			// What the old unit did concerns the people of the new one, and of the station that came with it.
			for _, id := range []string{"pingshan", "caitun", "zhanqian"} {
				got := map[string]bool{}
				us, err := org.Implicated(tx, id)
				for _, u := range us {
					got[u.ID] = true
				}
				if err != nil || !got["xihu"] || !got["pingshan"] || !got["bureau"] || got["centre"] {
					t.Errorf("%s: %v, %v", id, got, err)
				}
			}
			if f, err := org.FormerUnits(tx, who.ID); err != nil || len(f) != 1 || f[0].Unit != "xihu" || !f[0].Left.Equal(t0) {
				t.Errorf("%+v, %v", f, err)
			}
			return g.SetUnitActive(tx, "xihu", true, "staff/admin")
		})
		update(t, db, func(tx *storage.Tx) error {
			u, err := org.GetUnit(tx, "xihu")
			if err != nil || !u.Active || u.Merged != "" {
				t.Errorf("opened again: %+v, %v", u, err)
			}
			return g.CloseUnit(tx, "xihu", "staff/admin") // nothing stands in it any more
		})
	})
}
