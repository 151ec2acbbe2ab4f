package ivr

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lianxin/contact"
	"lianxin/ivr/flow"
	"lianxin/storage"
	"lianxin/storage/storagetest"
)

func vault(t *testing.T) *contact.Vault {
	t.Helper()
	v, err := contact.OpenVault(filepath.Join(t.TempDir(), "keys.json"))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func phone(t *testing.T, s string) contact.Phone {
	t.Helper()
	p, err := contact.ParsePhone(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

var day = time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)

func at(d time.Duration) time.Time { return day.Add(d) }

func TestARecordComesBackAsItWasSaved(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, db *storage.DB) {
		c := Calls{Vault: vault(t)}
		want := Record{
			ID: storage.NewID(), Node: "a", Direction: Inbound, Police: at(time.Minute), Number: phone(t, "13841400001"), ContactID: "c1", Dialled: "46110110", Trunk: "telecom", Urgent: true,
			Started: at(0), Answered: at(time.Second), Queued: at(2 * time.Second), Connected: at(3 * time.Second), Parted: at(time.Minute), Ended: at(2 * time.Minute),
			Seen: at(2 * time.Minute), Disposition: Answered, EndedBy: "operator", Cause: "bye", Operator: "8001", StaffID: "s1", Offers: 2,
			Wait: time.Second, Talk: 57 * time.Second, Rating: 4, Recording: "2026/11/23/x.wav", RecordingSHA256: "ab", RecordingTime: time.Minute,
			RecordingBytes: 1 << 20, RecordedFrom: at(time.Second), MessageFrom: time.Second, MessageTime: 2 * time.Second, TicketID: "t1", CallbackID: "b1",
			Answers: []string{"id-card-lost", "passport"}, Flow: "hotline", FlowVersion: "1+abc",
			Steps: []Step{{At: 3, Node: "open", Verb: "say", Did: "播放语音", Said: []string{"greeting"}}},
		}
		bare := Record{ID: storage.NewID(), Node: "a", Direction: Outbound, Anonymous: true, Started: at(time.Hour), Seen: at(time.Hour), Steps: []Step{}}
		ctx := context.Background()
		for range 2 { // a second save changes nothing
			err := db.Update(ctx, func(tx *storage.Tx) error {
				if err := c.save(tx, &want); err != nil {
					return err
				}
				return c.save(tx, &bare)
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		err := db.View(ctx, func(tx *storage.Tx) error {
			for _, w := range []Record{want, bare} {
				got, err := c.Get(tx, w.ID)
				if err != nil {
					return err
				}
				opts := []cmp.Option{cmp.Comparer(func(a, b contact.Phone) bool { return a.Equal(b) }), cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) }),
					cmp.Comparer(func(a, b []string) bool { return len(a) == 0 && len(b) == 0 || cmp.Equal(a, b) })}
				if diff := cmp.Diff(w, got, opts...); diff != "" {
					t.Error(diff)
				}
			}
			for _, f := range []struct {
				name string
				Filter
				want int
			}{
				{"all", Filter{}, 2},
				{"by number", Filter{Number: phone(t, "+86 138-4140-0001")}, 1},
				{"by another number", Filter{Number: phone(t, "13841400009")}, 0},
				{"still up", Filter{Up: true}, 1},
				{"rated", Filter{Rated: true}, 1},
				{"by disposition", Filter{Disposition: Answered}, 1},
				{"of a span", Filter{From: at(time.Minute), To: at(2 * time.Hour)}, 1},
				{"half open", Filter{From: at(0), To: at(time.Hour)}, 1},
				{"by operator", Filter{Operator: "8001", StaffID: "s1"}, 1},
				{"by ticket and contact", Filter{TicketID: "t1", ContactID: "c1"}, 1},
			} {
				list, total, err := c.List(tx, f.Filter)
				if err != nil {
					return err
				}
				if total != f.want || len(list) != f.want {
					t.Errorf("%s: %d of %d, want %d", f.name, len(list), total, f.want)
				}
			}
			page, total, err := c.List(tx, Filter{Limit: 1, Offset: 1})
			if err == nil && (total != 2 || len(page) != 1 || page[0].ID != want.ID) {
				t.Errorf("second page: %d of %d", len(page), total)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func TestFiguresCountWhatTheListsShow(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, db *storage.DB) {
		c := Calls{Vault: vault(t)}
		ctx := context.Background()
		n := 0
		add := func(r Record) {
			n++
			r.ID, r.Node, r.Started = storage.NewID(), "a", at(time.Duration(n)*time.Minute)
			r.Seen, r.Steps = r.Started, []Step{}
			if err := db.Update(ctx, func(tx *storage.Tx) error { return c.save(tx, &r) }); err != nil {
				t.Fatal(err)
			}
		}
		queued := at(0)
		wait := func(d time.Duration, r Record) Record {
			r.Queued, r.Connected, r.Ended = queued, queued.Add(d), queued.Add(d+time.Minute)
			return r
		}
		gaveUp := func(d time.Duration) Record {
			return Record{Disposition: Abandoned, Queued: queued, Ended: queued.Add(d)}
		}
		add(wait(4*time.Second, Record{Disposition: Answered, Talk: time.Minute, Rating: 1}))
		add(wait(15*time.Second, Record{Disposition: Answered, Talk: 3 * time.Minute, Rating: 5}))
		add(wait(41*time.Second, Record{Disposition: Answered, Talk: 2 * time.Minute}))
		add(gaveUp(5 * time.Second))  // short
		add(gaveUp(30 * time.Second)) // abandoned
		add(Record{Disposition: Message, Queued: queued, Ended: at(time.Hour), MessageTime: time.Second})
		add(Record{Disposition: Promised, Queued: queued, Ended: at(time.Hour)})
		add(Record{Disposition: Served, Ended: at(time.Hour)})
		add(Record{Disposition: Left, Ended: at(time.Hour)})
		add(Record{Disposition: Cancelled, Ended: at(time.Hour)})
		add(Record{Disposition: TurnedAway, Ended: at(time.Hour)})
		add(Record{Disposition: Interrupted, Ended: at(time.Hour)})
		add(Record{Queued: queued}) // waits now
		var f, none Figures
		err := db.View(ctx, func(tx *storage.Tx) (err error) {
			if f, err = c.Figures(tx, day, day.Add(24*time.Hour)); err != nil {
				return err
			}
			none, err = c.Figures(tx, day.Add(24*time.Hour), day.Add(48*time.Hour))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		want := Figures{Calls: 13, Up: 1, Bot: 1, Menu: 1, Cancelled: 1, TurnedAway: 1, Broken: 1, Offered: 8, Answered: 3, InLevel: 2, Abandoned: 1, Short: 1,
			Messages: 1, Promised: 1, Waiting: 1, WaitAnswered: time.Minute, WaitLonger: 41 * time.Second, Talk: 6 * time.Minute, Rated: 2, RatedBad: 1}
		if diff := cmp.Diff(want, f); diff != "" {
			t.Error(diff)
		}
		// 8 offered, without the one that gave up at once and the one that still waits: 6.
		if r, ok := f.ConnectRate(); !ok || r != 0.5 {
			t.Errorf("connect rate %v %v", r, ok)
		}
		if r, ok := f.Level(); !ok || r != 2.0/6 {
			t.Errorf("level %v %v", r, ok)
		}
		if f.AverageWait() != 20*time.Second || f.AverageTalk() != 2*time.Minute {
			t.Errorf("averages %v %v", f.AverageWait(), f.AverageTalk())
		}
		if none != (Figures{}) {
			t.Errorf("an empty day: %+v", none)
		}
		if _, ok := none.ConnectRate(); ok {
			t.Error("a rate of nothing")
		}
	})
}

func Test110IsKeyedInOneGo(t *testing.T) {
	ms := time.Millisecond
	for _, c := range []struct {
		name string
		keys string
		gaps []time.Duration // before each key
		want string          // as given on, ! is 110; a held 1 is (1)
	}{
		{"at once", "110", []time.Duration{0, 300 * ms, 300 * ms}, "(1)(1)!"},
		{"slowly", "110", []time.Duration{0, 1400 * ms, 1400 * ms}, "(1)(1)!"},
		{"at leisure through three menus", "110", []time.Duration{0, 3000 * ms, 3000 * ms}, "(1)(1)0"},
		{"part of a longer row", "2110", []time.Duration{0, 300 * ms, 300 * ms, 300 * ms}, "2110"},
		{"after 0, which leads into no menu", "0110", []time.Duration{0, 300 * ms, 300 * ms, 300 * ms}, "0(1)(1)!"},
		{"after the 1 that led to the queue", "1110", []time.Duration{0, 1600 * ms, 300 * ms, 300 * ms}, "(1)(1)(1)!"},
		{"after a pause", "2110", []time.Duration{0, 2500 * ms, 300 * ms, 300 * ms}, "2(1)(1)!"},
		{"1 and 1", "11", []time.Duration{0, 300 * ms}, "(1)(1)"},
		{"1111", "1111", []time.Duration{0, 300 * ms, 300 * ms, 300 * ms}, "(1)(1)11"},
		{"letters are no keys", "1A10", []time.Duration{0, 100 * ms, 100 * ms, 100 * ms}, "(1)(1)0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var k keypad
			now := day
			got := ""
			for i, key := range c.keys {
				now = now.Add(c.gaps[i])
				means, hold := k.press(key, now)
				switch {
				case hold:
					got += "(" + string(means) + ")"
				case means != flow.NoKey:
					got += string(means)
				}
			}
			if got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
	var k keypad
	k.private = true
	for i, key := range "110" {
		if means, hold := k.press(key, day.Add(time.Duration(i)*100*ms)); means != key || hold {
			t.Errorf("a number being keyed: %q became %q, held %t", key, means, hold)
		}
	}
}
