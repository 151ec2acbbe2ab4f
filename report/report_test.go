package report

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
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

// bureau is a small one whose tickets are played through their real commands.
type bureau struct {
	t      testing.TB
	db     *storage.DB
	o      *ticket.Office
	r      *Office
	now    time.Time
	people []string

	operator, dispatcher, supervisor, handlerA, handlerB, caller ticket.Actor
}

const (
	unitA = "ping-zhanqian"
	unitB = "xi-hedong"
)

func newBureau(t testing.TB, db *storage.DB, people int) *bureau {
	t.Helper()
	vault, err := contact.OpenVault(filepath.Join(t.TempDir(), "keys"))
	if err != nil {
		t.Fatal(err)
	}
	b := &bureau{t: t, db: db, now: time.Date(2026, 3, 2, 9, 0, 0, 0, workday.Zone)}
	clock := func() time.Time { return b.now }
	b.r = &Office{Now: clock}
	book := &contact.Book{Vault: vault, Now: clock}
	if b.o, err = ticket.NewOffice(book); err != nil {
		t.Fatal(err)
	}
	b.o.Now = clock
	b.update(func(tx *storage.Tx) error {
		reg := org.Register{Now: clock}
		for _, u := range []org.Unit{
			{ID: "bureau", Name: "市公安局", Kind: org.Bureau, Police: org.General},
			{ID: "centre", Name: "民意感知中心", Kind: org.Centre, Police: org.PublicView, Parent: "bureau"},
			{ID: "ping", Name: "平山分局", Kind: org.Branch, Police: org.General, Parent: "bureau"},
			{ID: unitA, Name: "站前派出所", Kind: org.Station, Police: org.General, Parent: "ping"},
			{ID: "xi", Name: "溪湖分局", Kind: org.Branch, Police: org.General, Parent: "bureau"},
			{ID: unitB, Name: "河东派出所", Kind: org.Station, Police: org.General, Parent: "xi"},
		} {
			if err := reg.AddUnit(tx, u, "system"); err != nil {
				return err
			}
		}
		for _, p := range []struct {
			login string
			actor *ticket.Actor
			unit  string
			role  org.Role
		}{
			{"operator", &b.operator, "centre", org.Operator}, {"dispatcher", &b.dispatcher, "centre", org.Dispatcher}, {"supervisor", &b.supervisor, "centre", org.Supervisor},
			{"caller", &b.caller, "centre", org.Caller}, {"handler-a", &b.handlerA, unitA, org.Handler}, {"handler-b", &b.handlerB, unitB, org.Handler},
		} {
			s, err := reg.AddStaff(tx, org.Staff{Login: p.login, Name: p.login, Role: p.role, Unit: p.unit}, "system")
			if err != nil {
				return err
			}
			*p.actor = ticket.Staff(s)
		}
		for i := range people {
			phone, err := contact.ParseMobile(fmt.Sprintf("1380%07d", i))
			if err != nil {
				return err
			}
			c, err := book.Ensure(tx, phone, "")
			if err != nil {
				return err
			}
			b.people = append(b.people, c.ID)
		}
		return nil
	})
	return b
}

func (b *bureau) update(fn func(*storage.Tx) error) {
	b.t.Helper()
	if err := b.db.Update(context.Background(), fn); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bureau) view(fn func(*storage.Tx) error) {
	b.t.Helper()
	if err := b.db.View(context.Background(), fn); err != nil {
		b.t.Fatal(err)
	}
}

// do runs a command in a transaction of a batch, a minute after the one before.
func (b *bureau) do(tx *storage.Tx, fn func(*storage.Tx) (ticket.Ticket, error)) ticket.Ticket {
	b.t.Helper()
	k, err := fn(tx)
	if err != nil {
		b.t.Fatal(err)
	}
	b.now = b.now.Add(time.Minute)
	return k
}

func (b *bureau) open(tx *storage.Tx, person int, change func(*ticket.Intake)) ticket.Ticket {
	in := ticket.Intake{Channel: "hotline", Kind: ticket.Help, Title: "咨询户口迁移", Body: "想了解户口迁移需要的材料", ContactID: b.people[person], By: b.operator}
	if change != nil {
		change(&in)
	}
	return b.do(tx, func(tx *storage.Tx) (ticket.Ticket, error) { return b.o.Open(tx, in) })
}

// answered is a request that was answered on the spot and rated; no stars are no rating.
func (b *bureau) answered(tx *storage.Tx, person int, stars ticket.Stars, change func(*ticket.Intake)) ticket.Ticket {
	k := b.open(tx, person, change)
	k = b.do(tx, func(tx *storage.Tx) (ticket.Ticket, error) {
		return b.o.Answer(tx, k.ID, ticket.Reply{Text: "已告知所需材料和办理地点", Via: "phone"}, ticket.Bot)
	})
	if stars > 0 {
		k = b.do(tx, func(tx *storage.Tx) (ticket.Ticket, error) {
			return b.o.Rate(tx, k.ID, ticket.RatingIn{Stars: stars, Via: "key"}, ticket.Bot)
		})
	}
	return k
}

// handled is a request that a unit handled; late makes it miss its limit.
func (b *bureau) handled(tx *storage.Tx, person int, unit string, stars ticket.Stars, late bool, change func(*ticket.Intake)) ticket.Ticket {
	by := map[string]ticket.Actor{unitA: b.handlerA, unitB: b.handlerB}[unit]
	k := b.open(tx, person, change)
	k = b.do(tx, func(tx *storage.Tx) (ticket.Ticket, error) {
		return b.o.Accept(tx, k.ID, ticket.Acceptance{Kind: k.Kind}, b.dispatcher)
	})
	k = b.do(tx, func(tx *storage.Tx) (ticket.Ticket, error) {
		return b.o.Dispatch(tx, k.ID, ticket.Dispatching{Host: unit, Note: "请核处"}, b.dispatcher)
	})
	legs, err := b.o.Legs(tx, k.ID)
	if err != nil {
		b.t.Fatal(err)
	}
	leg := legs[len(legs)-1].ID
	b.do(tx, func(tx *storage.Tx) (ticket.Ticket, error) { return b.o.Sign(tx, leg, by) })
	b.do(tx, func(tx *storage.Tx) (ticket.Ticket, error) {
		return b.o.Contacted(tx, leg, ticket.ContactNote{Via: "phone", Outcome: ticket.Reached, Note: "已联系"}, by)
	})
	if late {
		b.now = b.now.AddDate(0, 0, 21)
	}
	b.do(tx, func(tx *storage.Tx) (ticket.Ticket, error) {
		return b.o.Submit(tx, leg, ticket.Result{Text: "已现场处置", Basis: "治安管理处罚法", Finding: ticket.Substantiated, Resolution: ticket.Solved}, by)
	})
	b.do(tx, func(tx *storage.Tx) (ticket.Ticket, error) {
		return b.o.Approve(tx, k.ID, ticket.Reply{Text: "您反映的问题已处理", Via: "phone"}, b.supervisor)
	})
	k = b.do(tx, func(tx *storage.Tx) (ticket.Ticket, error) { return b.o.OpenRating(tx, k.ID, b.dispatcher) })
	if stars > 0 {
		k = b.do(tx, func(tx *storage.Tx) (ticket.Ticket, error) {
			return b.o.Rate(tx, k.ID, ticket.RatingIn{Stars: stars, Via: "key"}, ticket.Bot)
		})
	}
	return k
}

// year is a period that holds everything a test does.
var year = Days(workday.DateOf(2026, 1, 1), workday.DateOf(2026, 12, 31))

func TestEachFigureIsTheLengthOfItsListsAndWhatTheLogTells(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, db *storage.DB) {
		b := newBureau(t, db, 8)
		b.update(func(tx *storage.Tx) error {
			first := b.handled(tx, 0, unitA, 4, false, nil)
			b.handled(tx, 1, unitB, 3, true, func(in *ticket.Intake) { in.Channel, in.Kind = "walkin", ticket.Complaint })
			b.handled(tx, 2, unitA, 2, false, nil) // and again
			b.handled(tx, 3, unitA, 0, false, func(in *ticket.Intake) { in.Proactive = true })
			b.answered(tx, 4, 5, nil)
			b.answered(tx, 0, 4, func(in *ticket.Intake) { in.RepeatOf, in.RepeatEvidence = first.ID, "同一人同一事项" })
			b.answered(tx, 5, 1, func(in *ticket.Intake) { in.Proactive = true })
			k := b.open(tx, 6, nil)
			b.do(tx, func(tx *storage.Tx) (ticket.Ticket, error) {
				return b.o.Withdraw(tx, k.ID, ticket.Withdrawal{Reason: "来电撤回", Evidence: "通话录音"}, b.operator)
			})
			b.open(tx, 7, nil)
			return nil
		})
		b.view(func(tx *storage.Tx) error {
			f, err := b.r.Figure(tx, "settled_on_time", year, Scope{})
			if f.Hits() != 1 || f.N != 2 { // the others' limits have not come yet: neither kept nor missed
				t.Errorf("%d of %d before the limits", f.Hits(), f.N)
			}
			return err
		})
		b.now = b.now.AddDate(0, 0, 60)
		for _, scope := range []Scope{{}, {Units: []string{unitA}}, {Channel: "walkin"}, {Proactive: new(bool)}, {Units: []string{}}} {
			b.view(func(tx *storage.Tx) error {
				for _, m := range Metrics {
					f, err := b.r.Figure(tx, m.ID, year, scope)
					if err != nil {
						return err
					}
					sum := 0
					for g, n := range f.Grades {
						rows, total, err := b.r.List(tx, m.ID, Grade(g), year, scope, 100, 0)
						if err != nil {
							return err
						}
						if total != n || len(rows) != n || slices.ContainsFunc(rows, func(r Row) bool { return r.Ticket == "" || r.Grade != g }) {
							t.Errorf("%s, grade %d: the figure says %d, the list has %d of %d", m.ID, g, n, len(rows), total)
						}
						sum += n
					}
					rows, total, err := b.r.List(tx, m.ID, Whole, year, scope, 100, 0)
					if err != nil {
						return err
					}
					if total != f.N || len(rows) != f.N || sum != f.N {
						t.Errorf("%s: the figure says %d of %d, the list has %d of %d", m.ID, sum, f.N, len(rows), total)
					}
					for _, d := range Dimensions {
						groups, err := b.r.By(tx, m.ID, d, year, scope)
						if err != nil {
							return err
						}
						n := 0
						for _, g := range groups {
							n += g.N
						}
						if n != f.N {
							t.Errorf("%s by %s: the groups have %d, the whole %d", m.ID, d, n, f.N)
						}
					}
				}
				return nil
			})
		}
		b.view(func(tx *storage.Tx) error {
			rows, _, err := b.r.List(tx, "repeat_persons", Grade(1), year, Scope{}, 10, 0)
			if len(rows) != 1 || rows[0].Times != 2 {
				t.Errorf("who came again: %+v, want one person with two requests", rows)
			}
			return err
		})
		b.view(func(tx *storage.Tx) error {
			diff, compared, err := b.r.Recount(tx, year)
			if err != nil {
				return err
			}
			for _, d := range diff {
				t.Error(d)
			}
			if len(compared) < 15 {
				t.Errorf("only %v were compared", compared)
			}
			want := map[string][2]int{ // hits or rows, of
				"responded": {7, 7}, "accepted": {7, 7}, "proactive": {2, 7}, "settled_on_time": {2, 5}, "overdue": {3, 5}, "repeats": {1, 7}, "repeat_persons": {1, 6},
				"signed_on_time": {4, 4}, "rated": {4, 7}, "solved_first": {3, 4}, "returned": {0, 4},
			}
			for id, w := range want {
				f, err := b.r.Figure(tx, id, year, Scope{})
				if err != nil {
					return err
				}
				if f.Hits() != w[0] || f.N != w[1] {
					t.Errorf("%s: %d of %d, want %d of %d", id, f.Hits(), f.N, w[0], w[1])
				}
			}
			return nil
		})
	})
}

// A table that was changed behind the log's back gives another figure than the log.
func TestAFigureThatTheLogDoesNotBearOutIsFound(t *testing.T) {
	b := newBureau(t, storagetest.SQLite(t), 2)
	b.update(func(tx *storage.Tx) error {
		b.answered(tx, 0, 1, nil)
		k := b.answered(tx, 1, 5, nil)
		_, err := tx.Exec(`UPDATE ticket_rating SET stars = 1 WHERE ticket_id = $1`, k.ID)
		return err
	})
	b.view(func(tx *storage.Tx) error {
		diff, _, err := b.r.Recount(tx, year)
		if len(diff) != 2 || !strings.HasPrefix(diff[0].String(), "satisfied: ") {
			t.Errorf("found %v", diff)
		}
		return err
	})
}

// The published figures (RES-1), from seeded requests whose counts give them: 137 repeats among 320 and then 110 make
// −19.71 %, 311 of 312 ratings 99.68 %, every request that was asked for settled 100 %.
func TestASeededReplayGivesThePublishedFigures(t *testing.T) {
	b := newBureau(t, storagetest.SQLite(t), 330)
	half := func(from int, repeats, rated, bad int) Period {
		began := b.now
		b.update(func(tx *storage.Tx) error {
			var first string
			for i := range 320 {
				stars := ticket.Stars(5)
				switch {
				case i >= rated:
					stars = 0
				case i < bad:
					stars = 1
				}
				proactive := i >= 200 && i < 240
				k := b.answered(tx, i, stars, func(in *ticket.Intake) {
					in.Proactive = proactive
					if i > 0 && i <= repeats {
						in.ContactID, in.RepeatOf, in.RepeatEvidence = b.people[0], first, "同一事项"
					}
				})
				if i == 0 {
					first = k.ID
				}
			}
			return nil
		})
		p := Days(workday.DayOf(began), workday.DayOf(b.now))
		b.now = p.To.Add(9 * time.Hour)
		return p
	}
	before := half(0, 137, 312, 8)
	now := half(1, 110, 312, 1)
	if before.Last()-before.First() != now.Last()-now.First() {
		t.Fatalf("periods of %v and %v", before, now)
	}
	b.view(func(tx *storage.Tx) error {
		figure := func(id string) Figure {
			f, err := b.r.Figure(tx, id, now, Scope{})
			if err != nil {
				t.Fatal(err)
			}
			return f
		}
		if f := figure("responded"); f.N != 320 {
			t.Errorf("responded to %d", f.N)
		}
		f := figure("repeats")
		if f.Before == nil || fmt.Sprintf("%.2f%%", 100*f.Before.Relative) != "-19.71%" || f.Before.P > 0.05 {
			t.Errorf("repeats %d of %d, before %+v", f.Hits(), f.N, f.Before)
		}
		f = figure("satisfied")
		if fmt.Sprintf("%.2f%%", 100*f.Value) != "99.68%" || f.N != 312 || f.Version == "" {
			t.Errorf("satisfied %.4f of %d", f.Value, f.N)
		}
		if f.Baseline == nil || fmt.Sprintf("%+.2f", 100*f.Baseline.Points) != "+2.35" || f.Baseline.Label == "" {
			t.Errorf("against the baseline %+v", f.Baseline)
		}
		if f = figure("proactive_closed"); f.Hits() != 40 || f.N != 40 || f.Value != 1 {
			t.Errorf("%d of %d that were asked for are settled", f.Hits(), f.N)
		}
		if f = figure("satisfied_of_invited"); f.Value >= 0.98 || f.N != 320 {
			t.Errorf("silence counts as content: %.4f of %d", f.Value, f.N)
		}
		return nil
	})
}

func TestOneDatumUnderTwoDefinitionsGivesTwoLabelledValues(t *testing.T) {
	b := newBureau(t, storagetest.SQLite(t), 20)
	b.update(func(tx *storage.Tx) error {
		for i := range 10 {
			b.answered(tx, i, 3, nil)
		}
		for i := range 10 {
			b.answered(tx, 10+i, 5, nil)
		}
		return nil
	})
	half := Shipped()[0]
	half.Version, half.Weight, half.Effective = "2026-02-01", 0.5, workday.DateOf(2026, 2, 1)
	b.r.Settings = append(Shipped(), half)
	b.view(func(tx *storage.Tx) error {
		f, err := b.r.Figure(tx, "satisfied_raw", year, Scope{})
		if err != nil {
			return err
		}
		if f.Value != 0.75 || f.Version != "2026-02-01" || len(f.Beside) != 2 || f.Beside[0] != (Weighed{1, 1}) || f.Beside[1] != (Weighed{0, 0.5}) {
			t.Errorf("%+v", f)
		}
		if !strings.Contains(f.Metric.Explain(b.r.At(year)), "w=0.5") {
			t.Error("the formula does not print its weight")
		}
		early, err := b.r.Figure(tx, "satisfied_raw", Days(workday.DateOf(2026, 1, 1), workday.DateOf(2026, 1, 31)), Scope{})
		if early.Version != Shipped()[0].Version {
			t.Errorf("January is counted under %s", early.Version)
		}
		return err
	})
}

func TestSettingsAreNotedWholeAndNeverChangedBehind(t *testing.T) {
	b := newBureau(t, storagetest.SQLite(t), 1)
	note := func() error {
		return b.db.Update(context.Background(), func(tx *storage.Tx) error { return b.r.Note(tx, b.now) })
	}
	for range 2 {
		if err := note(); err != nil {
			t.Fatal(err)
		}
	}
	b.view(func(tx *storage.Tx) error {
		events, err := audit.Stream(tx, "report/settings")
		if len(events) != 1 || !strings.Contains(string(events[0].Payload), "repeat_days: 90") {
			t.Errorf("noted %v", events)
		}
		return err
	})
	changed := Shipped()
	changed[0].Weight = 0
	b.r.Settings = changed
	if err := note(); err == nil || !strings.Contains(err.Error(), changed[0].Version) {
		t.Errorf("a changed version is taken: %v", err)
	}
}

func TestBadSettingsAreRefusedWithTheirPlace(t *testing.T) {
	good := string(shipped)
	for _, c := range []struct{ from, to, want string }{
		{"weight: 1 ", "weight: 2 ", "weight"}, {"small: 10", "small: 0", "small"}, {"satisfied:", "happiness:", "happiness"}, {"author:", "auteur:", "auteur"},
		{"repeat_days: 90", "repeat_days: x", "line"}, {"label: 成立前口径", "label: ''", "label"}, {"versions:", "versions: []\nmore:", "more"},
	} {
		if _, err := ReadSettings([]byte(strings.Replace(good, c.from, c.to, 1))); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s → %s: %v", c.from, c.to, err)
		}
	}
}

func TestGroupsAreRankedByWhatChanceFavoursLeast(t *testing.T) {
	g := func(key string, hits, n int) Group {
		v := float64(hits) / float64(n)
		return Group{Key: key, N: n, Value: v, Small: n < 10, Interval: wilson(v, n)}
	}
	all := []Group{g("lucky", 9, 9), g("good", 196, 200), g("fair", 180, 200), g("few", 11, 11)}
	rank(all, false)
	got := map[string]int{}
	for _, x := range all {
		got[x.Key] = x.Rank
	}
	if got["lucky"] != 0 || got["good"] != 1 || got["fair"] != 2 || got["few"] != 3 {
		t.Errorf("%v", got)
	}
}
