package ticket

import (
	"strings"
	"testing"
	"time"

	"lianxin/storage"
)

func TestACauseIsOfTheListAndFoundByThoseWhoKnowTheMatter(t *testing.T) {
	each(t, func(h *house) {
		k, _ := h.handling(nil)
		set := func(code string, by Actor) func(tx *storage.Tx) error {
			return func(tx *storage.Tx) error { _, err := h.SetCause(tx, k.ID, code, "核实", by); return err }
		}
		h.refused("cause", set("nonsense", h.supervisor))
		h.refused("centre", set("delay", h.handlerB))
		h.must(func(tx *storage.Tx) (Ticket, error) {
			return h.SetCause(tx, k.ID, "data-error", "户口登记差错", h.handlerA)
		})
		h.refused("cause", set("data-error", h.supervisor))
		h.rate(h.toRating(h.toReviewing(k)).ID, 5)
		k = h.must(func(tx *storage.Tx) (Ticket, error) { return h.SetCause(tx, k.ID, "explain", "", h.supervisor) }) // settled: the root is looked for afterwards too
		if k.Cause != "explain" {
			h.t.Errorf("cause %q", k.Cause)
		}
		h.view(func(tx *storage.Tx) error {
			list, n, err := h.List(tx, Filter{Viewer: h.supervisor, Cause: "explain"})
			if n != 1 || len(list) != 1 || list[0].ID != k.ID {
				h.t.Errorf("%d by cause", n)
			}
			counts, err2 := h.CauseCounts(tx, Filter{Viewer: h.supervisor})
			if len(counts) != 1 || counts[0].N != 1 || counts[0].Name != "告知解释不到位" {
				h.t.Errorf("%+v", counts)
			}
			if err == nil {
				err = err2
			}
			return err
		})
		put := func(c Cause, by Actor) func(tx *storage.Tx) error {
			return func(tx *storage.Tx) error { return h.PutCause(tx, c, by) }
		}
		h.refused("role", put(Cause{"weather", "天气", true}, h.supervisor))
		h.refused("cause", put(Cause{"Weather!", "天气", true}, h.admin))
		h.refused("cause", put(Cause{CauseDataError, "信息错录", false}, h.admin))
		h.update(put(Cause{"weather", "天气", false}, h.admin))
		h.refused("cause", set("weather", h.supervisor)) // closed
	})
}

func TestCommunitiesAreFoundInTheWordsOfATicket(t *testing.T) {
	each(t, func(h *house) {
		h.refused("area", func(tx *storage.Tx) error {
			return h.PutAreas(tx, []Area{{"210502001002", "210502001", Community, "南地社区居委会", ""}}, h.admin)
		})
		h.update(func(tx *storage.Tx) error {
			return h.PutAreas(tx, []Area{
				{"210502", "", District, "平山区", ""}, {"210503", "", District, "溪湖区", ""},
				{"210502001", "210502", Street, "南地街道", ""}, {"210503001", "210503", Street, "河东街道", ""},
				{"210502001002", "210502001", Community, "南地社区居委会", "南地小区"}, {"210502001003", "210502001", Community, "新和社区居委会", ""},
				{"210503001001", "210503001", Community, "新和社区居委会", ""}, {"210503001002", "210503001", Community, "石桥村委会", ""},
			}, h.admin)
		})
		for words, want := range map[string]string{
			"我住在南地社区3号楼": "210502001002", "南地小区门口烧烤": "210502001002", "石桥村后山采石": "210503001002", "南地街道有人乱停车": "",
			"新和社区路灯": "", "平山区新和社区路灯": "210502001003", "河东街道新和社区路灯": "210503001001",
		} {
			k := h.open(func(in *Intake) { in.Title, in.Body = "反映问题", words })
			if k.Community != want {
				h.t.Errorf("“%s” is of %q, want %q", words, k.Community, want)
			}
		}
		k := h.open(func(in *Intake) { in.Title, in.Body, in.Place = "噪音", "从石桥村过来的车", "南地社区" }) // where it happened comes before what is told
		if k.Community != "210502001002" {
			h.t.Errorf("of %q", k.Community)
		}
		h.view(func(tx *storage.Tx) error {
			_, n, err := h.List(tx, Filter{Viewer: h.dispatcher, Community: "210502"})
			if n != 4 {
				h.t.Errorf("%d of the district", n)
			}
			return err
		})
		h.refused("source", func(tx *storage.Tx) error {
			return h.PutPopulation(tx, []Population{{"210502001002", "", 5200, " "}}, h.admin)
		})
		h.refused("band", func(tx *storage.Tx) error {
			return h.PutPopulation(tx, []Population{{"210502001002", "7-9", 5200, "2020年普查"}}, h.admin)
		})
		h.update(func(tx *storage.Tx) error {
			return h.PutPopulation(tx, []Population{{"210502001002", "", 5200, "2020年普查"}}, h.admin)
		})
	})
}

func TestARedMatterIsHeldStableByAPlanUntilItIsSettled(t *testing.T) {
	each(t, func(h *house) {
		k, l := h.handling(func(in *Intake) { in.Colour = Red })
		ask := func(s Scheme, by Actor) func(tx *storage.Tx) error {
			return func(tx *storage.Tx) error { _, err := h.RequestStable(tx, l.ID, s, by); return err }
		}
		good := Scheme{"专班三人,每日走访", "已签稳控责任书", h.Now().Add(48 * time.Hour)}
		h.refused("unit", ask(good, h.handlerB))
		h.refused("scheme", ask(Scheme{"专班", "", good.Review}, h.handlerA))
		h.refused("review", ask(Scheme{"专班", "走访", h.Now().AddDate(0, 1, 0)}, h.handlerA))
		_, blue := h.handling(nil)
		h.refused("colour", func(tx *storage.Tx) error { _, err := h.RequestStable(tx, blue.ID, good, h.handlerA); return err })
		var q Request
		h.update(func(tx *storage.Tx) (err error) { q, err = h.RequestStable(tx, l.ID, good, h.handlerA); return err })
		h.refused("asked", ask(good, h.handlerA))
		h.refused("leader", func(tx *storage.Tx) error {
			_, err := h.DecideStable(tx, q.ID, Ruling{Grant: true}, h.supervisor)
			return err
		})
		k = h.must(func(tx *storage.Tx) (Ticket, error) {
			return h.DecideStable(tx, q.ID, Ruling{Grant: true, Note: "同意"}, h.leader)
		})
		if c := h.clocks(k.ID, ClockHandle); len(c) != 1 || c[0].State != Met || !k.StableUntil.Equal(ms(good.Review)) {
			h.t.Errorf("clock of handling %+v, stable until %v", c, k.StableUntil)
		}
		if len(h.running(k.ID, ClockStable)) != 1 || k.State != Handling {
			h.t.Errorf("%s without a clock of the next look", k.State)
		}
		h.refused("stable", ask(good, h.handlerA))
		// The look comes due; nobody looks: the unit is told, as of every clock.
		h.pass(49 * time.Hour)
		told := false
		for _, n := range h.sweep() {
			told = told || n.Kind == string(ClockStable) && n.Unit == unitA && strings.Contains(n.Text, "稳控复核")
		}
		if !told {
			h.t.Error("nobody is told that the look is due")
		}
		look := func(next time.Time, by Actor) func(tx *storage.Tx) error {
			return func(tx *storage.Tx) error { _, err := h.ReviewStable(tx, k.ID, "情绪平稳", next, by); return err }
		}
		h.refused("role", look(h.Now().Add(24*time.Hour), h.reviewerA))
		h.refused("review", look(h.Now().AddDate(0, 1, 0), h.supervisor))
		h.update(look(h.Now().Add(24*time.Hour), h.supervisor))
		h.update(look(time.Time{}, h.leader)) // it ends: the limit of handling begins anew
		if k = h.get(k.ID); !k.StableUntil.IsZero() || len(h.running(k.ID, ClockHandle)) != 1 || len(h.running(k.ID, ClockStable)) != 0 {
			h.t.Errorf("stable until %v", k.StableUntil)
		}
		h.refused("stable", look(time.Time{}, h.leader))
		// Held once more, and settled while it is: the citizen's reply ends it.
		h.update(func(tx *storage.Tx) (err error) {
			q, err = h.RequestStable(tx, l.ID, Scheme{"再稳控", "走访", h.Now().Add(24 * time.Hour)}, h.handlerA)
			return err
		})
		h.must(func(tx *storage.Tx) (Ticket, error) { return h.DecideStable(tx, q.ID, Ruling{Grant: true}, h.leader) })
		k = h.rate(h.toRating(h.toReviewing(k)).ID, 5)
		if k.State != Closed || !k.StableUntil.IsZero() {
			h.t.Errorf("%s, stable until %v", k.State, k.StableUntil)
		}
	})
}

func TestOriginalsAreGuardedByTheDatabaseItself(t *testing.T) {
	each(t, func(h *house) {
		k := h.open(func(in *Intake) { in.Raw = []byte("原件") })
		for what, sql := range map[string]string{
			"changed": `UPDATE ticket_raw SET sum = 'x' WHERE ticket_id = $1`, "removed": `DELETE FROM ticket_raw WHERE ticket_id = $1`,
		} {
			err := h.db.Update(t.Context(), func(tx *storage.Tx) error { _, err := tx.Exec(sql, k.ID); return err })
			if err == nil || !strings.Contains(err.Error(), "an original is never") {
				h.t.Errorf("%s: %v", what, err)
			}
		}
		if !h.db.Postgres() {
			err := h.db.Update(t.Context(), func(tx *storage.Tx) error {
				_, err := tx.Exec(`INSERT OR REPLACE INTO ticket_raw SELECT * FROM ticket_raw WHERE ticket_id = $1`, k.ID)
				return err
			})
			if err == nil || !strings.Contains(err.Error(), "never replaced") {
				h.t.Errorf("replaced: %v", err)
			}
		}
		h.view(func(tx *storage.Tx) error {
			raws, err := h.Raw(tx, k.ID)
			if len(raws) != 1 || string(raws[0]) != "原件" {
				h.t.Errorf("originals %q", raws)
			}
			return err
		})
	})
}
