package survey_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"lianxin/org"
	"lianxin/sms/sim"
	"lianxin/storage"
	"lianxin/storage/storagetest"
	"lianxin/survey"
	"lianxin/ticket"
	"lianxin/workday"
)

func TestEveryTextFitsOneSegmentForEveryUnit(t *testing.T) {
	for _, unit := range []string{"站前派出所", "本溪县交警大队", "桓仁县刑侦大队", "事故处理大队", "二棚甸子派出所"} {
		for _, p := range survey.Standard().Preview("本溪公安", unit, workday.DateOf(2026, 12, 31)) {
			if p.Size.Segments != 1 {
				t.Errorf("%s for %s has %d units: %s", p.Class, unit, p.Size.Units, p.Text)
			}
			if !strings.Contains(p.Text, "12月31日") || !strings.Contains(p.Text, unit) || !strings.Contains(p.Text, "5非常不满意") {
				t.Errorf("%s lacks something: %s", p.Class, p.Text)
			}
		}
	}
}

func TestConfigurationIsChecked(t *testing.T) {
	if len(survey.Standard().Classes) != 7 {
		t.Errorf("%d classes, want seven", len(survey.Standard().Classes))
	}
	for name, c := range map[string]struct{ old, new, want string }{
		"unknown key":     {"adult: 18", "adult: 18\nadlut: 19", "adlut"},
		"no version":      {`version: "2026-11-4"`, `version: ""`, "version"},
		"a link":          {"拒收回T", "详见http://x.cn", "http"},
		"the name":        {"{unit}{date}{class}服务", "{unit}{date}{name}服务", "{name}"},
		"no scale":        {"：{scale}。直接", "。直接", "{scale}"},
		"no such field":   {"{unit}{date}{class}服务", "{unit}{date}{officer}服务", "placeholder"},
		"two of a name":   {"aliases: [审批,", "aliases: [户政,", "户政"},
		"no template":     {"template: call, priority: 70", "template: cal, priority: 70", "cal"},
		"five weights":    {"weights: [1, 1, 1, 0, 0]", "weights: [1, 0]", "weights"},
		"no such group":   {"sensitive_in_matter: [", "sensitive_in_matter: [nonsense, ", "nonsense"},
		"window of zero":  {"reply_window: 72h ", "reply_window: 0h ", "reply_window"},
		"not yaml at all": {"version:", "version", ""},
	} {
		text := strings.Replace(survey.StandardText(), c.old, c.new, 1)
		if text == survey.StandardText() {
			t.Errorf("%s: nothing was changed", name)
		}
		if _, err := survey.ParseConfig([]byte(text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q named", name, err, c.want)
		}
	}
}

// records makes n lines with a number each, from first on.
func records(first, n int) string {
	var b strings.Builder
	b.WriteString(header)
	for i := first; i < first+n; i++ {
		fmt.Fprintf(&b, "户政,HZ%05d,2026-11-22 09:00:00,甲,199%08d,,市户政窗口,身份证换领,,\n", i, i)
	}
	return b.String()
}

func TestTwoRunsAtOnceShareTheWork(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		const n = 230
		h.importText(records(0, n))
		h.importText(strings.ReplaceAll(records(0, 60), "户政,HZ", "车驾管,CG")) // a second service for some
		var wg sync.WaitGroup
		asked, planned := make([]int, 3), make([]int, 3)
		for i := range 3 {
			wg.Go(func() {
				res, err := h.survey.Run(h.ctx, h.day("2026-11-22"), survey.RunOptions{})
				if err != nil {
					t.Error(err)
				}
				asked[i], planned[i] = res.Asked, res.Planned
			})
		}
		wg.Wait()
		if asked[0]+asked[1]+asked[2] != n || planned[0]+planned[1]+planned[2] != n+60 {
			t.Errorf("asked %v, planned %v; want %d and %d in all", asked, planned, n, n+60)
		}
		h.settle()
		for i := range n {
			if all, err := h.sim.Handset(h.ctx, h.phone(fmt.Sprintf("199%08d", i))); err != nil || len(all) != 1 {
				t.Errorf("handset %d has %d texts, %v", i, len(all), err)
			}
		}
	})
}

func TestDayThatIsNotOverIsNotRun(t *testing.T) {
	h := newHouse(t, storagetest.SQLite(t))
	for _, day := range []string{"2026-11-23", "2026-11-24"} {
		if _, err := h.survey.Run(h.ctx, h.day(day), survey.RunOptions{}); err == nil {
			t.Errorf("%s was run on the 23rd", day)
		}
	}
}

func TestJobRunsTheDayBeforeItsNominalTime(t *testing.T) {
	h := newHouse(t, storagetest.SQLite(t))
	h.importText(records(0, 3))
	if err := h.survey.Job("0 9 * * *").Run(h.ctx, h.clock); err != nil {
		t.Fatal(err)
	}
	for _, i := range h.items("2026-11-22") {
		if i.Reason != survey.Asked {
			t.Errorf("record %s: %q", i.SourceID, i.Reason)
		}
	}
}

// Whatever happens to the texts and whatever is answered, the figures add up and each is as long as its list.
func TestFiguresAddUpAndEqualTheirLists(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.set(time.Date(2026, 11, 23, 9, 0, 0, 0, workday.Zone))
		if err := h.sim.Set(h.ctx, sim.Settings{Seed: 5, FailureRate: 0.2, RejectRate: 0.1, TimeoutRate: 0.2, NoReceiptRate: 0.2}); err != nil {
			t.Fatal(err)
		}
		h.importText(records(0, 60))
		h.importText(strings.NewReplacer("户政,HZ", "110,JJ", "市户政窗口", "站前派出所", ",,\n", ",家暴,\n").Replace(records(100, 5)))
		h.run("2026-11-22")
		h.settle()
		for i := range 40 {
			h.reply(fmt.Sprintf("199%08d", i), []string{"1", "2", "3", "4", "5", "退订", "你们几点上班？", "1"}[i%8])
		}
		var f survey.Figures
		var items []survey.Item
		h.view(func(tx *storage.Tx) (err error) {
			if f, err = h.survey.Day(tx, h.day("2026-11-22")); err != nil {
				return err
			}
			items, err = h.survey.Items(tx, h.day("2026-11-22"))
			return err
		})
		c := f.Whole.Count
		if c[survey.Planned] != 65 || c[survey.Suppressed] != 5 {
			t.Errorf("planned %d, suppressed %d", c[survey.Planned], c[survey.Suppressed])
		}
		for _, r := range append(append([]survey.Row{f.Whole}, f.ByClass...), f.ByUnit...) {
			c := r.Count
			if c[survey.Planned] != c[survey.Suppressed]+c[survey.Sent]+c[survey.Waiting] {
				t.Errorf("%s: planned %v", r.Name, c)
			}
			if c[survey.Sent] != c[survey.Delivered]+c[survey.Failed]+c[survey.NoWord]+c[survey.Pending] {
				t.Errorf("%s: sent %v", r.Name, c)
			}
			if r.N != c[survey.Rated] || c[survey.Rated] != c[survey.Satisfied]+c[survey.Unhappy] {
				t.Errorf("%s: rated %v, n %d", r.Name, c, r.N)
			}
			not := 0
			for _, n := range r.Not {
				not += n
			}
			if not != c[survey.Suppressed] {
				t.Errorf("%s: %d reasons for %d", r.Name, not, c[survey.Suppressed])
			}
		}
		for _, fig := range survey.FunnelFigures {
			if n := len(survey.List(items, fig, "", "")); n != c[fig] {
				t.Errorf("%s is %d, its list has %d lines", fig, c[fig], n)
			}
			sum := 0
			for _, r := range f.ByClass {
				sum += r.Count[fig]
				if n := len(survey.List(items, fig, r.Key, "")); n != r.Count[fig] {
					t.Errorf("%s of %s is %d, its list has %d lines", fig, r.Name, r.Count[fig], n)
				}
			}
			if sum != c[fig] {
				t.Errorf("%s: the classes have %d, the whole %d", fig, sum, c[fig])
			}
		}
		w := f.Whole
		want := float64(w.Ratings[0]+w.Ratings[1]+w.Ratings[2]) / float64(w.N)
		if w.Small || math.Abs(w.Raw-want) > 1e-12 || w.Interval[0] >= w.Raw || w.Interval[1] <= w.Raw || w.AtLeast > w.Raw {
			t.Errorf("rate %v of %v: %+v", w.Raw, w.Ratings, w)
		}
	})
}

func TestPublishedRateComesOutOfOurFormula(t *testing.T) {
	// Dongguan, February 2019: 6,554 + 731 + 496 replies, published as 88.93 %.
	m := survey.Standard().Metric
	if got := (m.Weights[1]*6554 + m.Beside[0]*731 + m.Weights[3]*496) / 7781; math.Abs(got-0.8893) > 0.00005 {
		t.Errorf("%.4f", got)
	}
	if f := m.Formula(); !strings.Contains(f, "1×n3") || !strings.Contains(f, m.Version) {
		t.Errorf("the formula prints as %s", f)
	}
}

func TestWilsonInterval(t *testing.T) {
	for _, c := range []struct {
		p        float64
		n        int
		low, top float64
	}{{1, 5, 0.566, 1}, {1, 10, 0.722, 1}, {1, 30, 0.886, 1}, {1, 50, 0.929, 1}, {0.95, 100, 0.888, 0.978}, {366.0 / 385, 385, 0.924, 0.968},
		{0.9968, 13842, 0.9957, 0.9976}, {0.9968, 1067, 0.9912, 0.9988}, {0.9968, 400, 0.9848, 0.9993}} {
		got := survey.Wilson(c.p, c.n)
		if math.Abs(got[0]-c.low) > 0.0006 || math.Abs(got[1]-c.top) > 0.0006 {
			t.Errorf("p %.4f n %d: [%.4f, %.4f], want [%.4f, %.4f]", c.p, c.n, got[0], got[1], c.low, c.top)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		p, n := rapid.Float64Range(0, 1).Draw(t, "p"), rapid.IntRange(0, 1e6).Draw(t, "n")
		if i := survey.Wilson(p, n); i[0] < 0 || i[1] > 1 || n > 0 && (i[0] > p+1e-9 || i[1] < p-1e-9) {
			t.Fatalf("%v does not hold %v", i, p)
		}
	})
}

func TestNobodyJudgesARatingOfTheirOwnUnit(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.importText(records(0, 1))
		h.run("2026-11-22")
		h.settle()
		item := h.reply("19900000000", "12")
		if item.Review != "pending" {
			t.Fatalf("%+v", item)
		}
		try := func(role org.Role, unit string, st survey.Settlement) error {
			return h.db.Update(h.ctx, func(tx *storage.Tx) error {
				_, err := h.survey.SettleReview(tx, item.ID, st, ticket.Staff(org.Staff{ID: "s1", Unit: unit, Role: role, Active: true}))
				return err
			})
		}
		good := survey.Settlement{Outcome: survey.SettleRating, Rating: 4}
		if err := try(org.Caller, "benxi-huzheng-chuangkou", good); !errors.Is(err, survey.ErrNotAllowed) {
			t.Errorf("the rated unit judged: %v", err)
		}
		if err := try(org.Handler, "benxi-minyi", good); !errors.Is(err, survey.ErrNotAllowed) {
			t.Errorf("a handler judged: %v", err)
		}
		for name, st := range map[string]survey.Settlement{"no rating": {Outcome: survey.SettleRating}, "no outcome": {Rating: 1}, "no note": {Outcome: survey.SettleNone},
			"a ticket with a rating": {Outcome: survey.SettleTicket, Rating: 3}, "rating 6": {Outcome: survey.SettleRating, Rating: 6}} {
			if err := try(org.Caller, "benxi-minyi", st); !errors.Is(err, survey.ErrSettlement) {
				t.Errorf("%s: %v", name, err)
			}
		}
		h.view(func(tx *storage.Tx) error {
			for unit, want := range map[string]int{"": 1, "benxi-minyi": 1, "benxi-huzheng-chuangkou": 0} {
				if got, err := h.survey.Reviews(tx, unit, 10); err != nil || len(got) != want {
					t.Errorf("unit %q sees %d replies, %v", unit, len(got), err)
				}
			}
			return nil
		})
		if err := try(org.Caller, "benxi-minyi", good); err != nil {
			t.Fatal(err)
		}
		if got := h.last("19900000000"); got.Rating != 4 || !got.Counted || got.TicketID == "" || got.CallbackID == "" || got.SettledBy != "staff/s1" {
			t.Errorf("%+v", got)
		}
		if err := try(org.Caller, "benxi-minyi", good); !errors.Is(err, storage.ErrConflict) {
			t.Errorf("settled twice: %v", err)
		}
	})
}

func TestSettledLateDoesNotOverrideWhatTheResidentSaidSince(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.importText(records(0, 1))
		h.run("2026-11-22")
		h.settle()
		first := h.reply("19900000000", "12")
		h.pass(time.Hour)
		if second := h.reply("19900000000", "1"); !second.Counted {
			t.Fatalf("%+v", second)
		}
		h.update(func(tx *storage.Tx) error {
			_, err := h.survey.SettleReview(tx, first.ID, survey.Settlement{Outcome: survey.SettleRating, Rating: 2}, ticket.System)
			return err
		})
		if items := h.items("2026-11-22"); items[0].Rating != 1 {
			t.Errorf("counts %d, want the resident's last word 1", items[0].Rating)
		}
	})
}

func TestRepeatedReplyIsReadOnce(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		if err := h.sim.Set(h.ctx, sim.Settings{DuplicateReply: true}); err != nil {
			t.Fatal(err)
		}
		h.importText(records(0, 1))
		h.run("2026-11-22")
		h.settle()
		h.reply("19900000000", "5")
		h.view(func(tx *storage.Tx) error {
			all, err := h.survey.Replies(tx, 1, workday.LastDay, 10)
			if err != nil || len(all) != 1 {
				t.Errorf("%d replies, %v", len(all), err)
			}
			// And reading a stored one again changes nothing.
			return nil
		})
		h.update(func(tx *storage.Tx) error {
			in, err := h.inbox.Get(tx, h.last("19900000000").InboundID)
			if err != nil {
				return err
			}
			return h.survey.Reply(tx, in)
		})
		h.view(func(tx *storage.Tx) error {
			if n, err := storage.One(tx, storage.Value[int], `SELECT COUNT(*) FROM survey_answer`); err != nil || n != 1 {
				t.Errorf("%d answers, %v", n, err)
			}
			return nil
		})
	})
}

func TestOptOutHoldsForGoodAndIsNotConfirmed(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.importText(records(0, 1))
		h.run("2026-11-22")
		h.settle()
		h.reply("19900000000", "退订")
		h.set(time.Date(2027, 11, 23, 9, 0, 0, 0, workday.Zone))
		h.importText(strings.ReplaceAll(strings.ReplaceAll(records(0, 1), "2026-11-22", "2027-11-22"), "HZ", "HY"))
		if res := h.run("2027-11-22"); res.Asked != 0 || res.Not[survey.OptedOut] != 1 {
			t.Errorf("a year later: %+v", res)
		}
		h.settle()
		all, err := h.sim.Handset(h.ctx, h.phone("19900000000"))
		if err != nil || len(all) != 2 || !all[1].Reply {
			t.Errorf("the handset has %v, %v", all, err)
		}
	})
}

func TestOptOutAtTheCarrierIsOursToo(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		if err := h.sim.Set(h.ctx, sim.Settings{StoppedRate: 1}); err != nil {
			t.Fatal(err)
		}
		h.importText(records(0, 1))
		h.run("2026-11-22")
		h.settle()
		h.set(time.Date(2027, 11, 23, 9, 0, 0, 0, workday.Zone))
		h.importText(strings.ReplaceAll(strings.ReplaceAll(records(0, 1), "2026-11-22", "2027-11-22"), "HZ", "HY"))
		if res := h.run("2027-11-22"); res.Not[survey.OptedOut] != 1 {
			t.Errorf("%+v", res)
		}
	})
}

func TestKilledCampaignIsNotCountedAsSent(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.importText(records(0, 4))
		res := h.run("2026-11-22")
		h.update(func(tx *storage.Tx) error {
			_, err := h.outbox.Kill(tx, res.Campaign, "staff/1", "wrong unit")
			return err
		})
		h.settle()
		h.view(func(tx *storage.Tx) error {
			f, err := h.survey.Day(tx, h.day("2026-11-22"))
			if err != nil || f.Whole.Count[survey.Sent] != 0 || f.Whole.Count[survey.Suppressed] != 4 || f.Whole.Not["text_cancelled"] != 4 {
				t.Errorf("%+v, %v", f.Whole, err)
			}
			return nil
		})
		if n, _ := h.sim.Handsets(h.ctx, 10); len(n) != 0 {
			t.Errorf("%d handsets got a text", len(n))
		}
	})
}
