package org_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lianxin/org"
	"lianxin/storage"
)

func TestRosters(t *testing.T) {
	db, err := storage.Open(context.Background(), filepath.Join(t.TempDir(), "lianxin.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	at := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	g := org.Register{Now: func() time.Time { return at }}
	err = db.Update(context.Background(), func(tx *storage.Tx) error {
		if err := g.AddUnit(tx, org.Unit{ID: "centre", Name: "市局", Short: "市局", Kind: org.Bureau, Police: org.General}, "system/test"); err != nil {
			return err
		}
		s, err := g.AddStaff(tx, org.Staff{Login: "night1", Name: "夜班", Role: org.Operator, Unit: "centre", Extension: "8001"}, "system/test")
		if err != nil {
			return err
		}
		want := org.Seat{StaffID: s.ID, Queues: []org.SeatQueue{{Queue: "hotline"}, {Queue: "english", Level: 1}}, Skills: []string{"en"}, Changed: at}
		if err := g.SetSeat(tx, want, "system/test"); err != nil {
			return err
		}
		seats, err := org.Seats(tx)
		if err != nil {
			return err
		}
		if d := cmp.Diff(map[string]org.Seat{s.ID: want}, seats); d != "" {
			t.Error(d)
		}
		night := org.Shift{StaffID: s.ID, From: at, To: at.Add(12 * time.Hour), Queues: []org.SeatQueue{{Queue: "night"}}, Note: "夜班"}
		if night.ID, err = g.AddShift(tx, night, "system/test"); err != nil {
			return err
		}
		if _, err := g.AddShift(tx, org.Shift{StaffID: s.ID, From: at.Add(11 * time.Hour), To: at.Add(13 * time.Hour)}, "system/test"); !errors.Is(err, storage.ErrConflict) {
			t.Errorf("two shifts at once: %v", err)
		}
		if _, err := g.AddShift(tx, org.Shift{StaffID: s.ID, From: at, To: at}, "system/test"); err == nil {
			t.Error("a shift without length was entered")
		}
		during, err := org.Shifts(tx, at.Add(11*time.Hour), at.Add(12*time.Hour))
		if err != nil {
			return err
		}
		if d := cmp.Diff([]org.Shift{night}, during); d != "" {
			t.Error(d)
		}
		if after, err := org.Shifts(tx, at.Add(12*time.Hour), at.Add(20*time.Hour)); err != nil || len(after) != 0 {
			t.Errorf("a shift that is over: %v %v", after, err)
		}
		if err := g.DropShift(tx, night.ID, "system/test"); err != nil {
			return err
		}
		if err := g.DropShift(tx, night.ID, "system/test"); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("dropped twice: %v", err)
		}
		if _, err := g.AddHandover(tx, org.Handover{StaffID: s.ID, Sealed: []byte("x")}, s.Actor()); err != nil {
			return err
		}
		notes, err := org.Handovers(tx, 10)
		if err != nil || len(notes) != 1 || notes[0].StaffID != s.ID || !notes[0].At.Equal(at) {
			t.Errorf("%+v %v", notes, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestQueuesOfASeatAreReadAndWritten(t *testing.T) {
	for text, want := range map[string]string{"": "", "hotline": "hotline", "hotline:0, english:2": "hotline english:2", "a、b:9": "a b:9"} {
		got, err := org.ParseSeatQueues(text)
		if err != nil || org.FormatSeatQueues(got) != want {
			t.Errorf("%q: %v %v", text, got, err)
		}
	}
	for _, bad := range []string{"Hotline", "a:10", "a a", "a:x", "热线"} {
		if _, err := org.ParseSeatQueues(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}
