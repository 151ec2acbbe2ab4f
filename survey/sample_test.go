package survey_test

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"lianxin/storage"
	"lianxin/storage/storagetest"
	"lianxin/survey"
)

func (h *house) classes(change func(*survey.Class)) {
	cfg := *survey.Standard()
	cfg.Version += "+test"
	cfg.Classes = slices.Clone(cfg.Classes)
	for i := range cfg.Classes {
		change(&cfg.Classes[i])
	}
	h.survey.Config = &cfg
}

// drawn runs a day, dry or not, and returns the serial numbers that were asked about and the decisions.
func (h *house) drawn(dry bool) (asked map[string]bool, all []survey.Decision) {
	h.t.Helper()
	asked = map[string]bool{}
	_, err := h.survey.Run(h.ctx, h.day("2026-11-22"), survey.RunOptions{DryRun: dry, Decision: func(d survey.Decision) {
		all = append(all, d)
		if d.Reason == survey.Asked {
			asked[d.SourceID] = true
		}
	}})
	if err != nil {
		h.t.Fatal(err)
	}
	return asked, all
}

func (h *house) samples() (all []survey.Sample) {
	h.t.Helper()
	h.view(func(tx *storage.Tx) (err error) { all, err = survey.Samples(tx, h.day("2026-11-22")); return err })
	return all
}

func TestAQuotaPerUnitIsDrawnAtRandomOnceAndCanBeDrawnAgainByAnybody(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.classes(func(c *survey.Class) {
			if c.Code == "huzheng" {
				c.Quota = 20
			}
		})
		h.importText(records(0, 100) + strings.TrimPrefix(strings.ReplaceAll(strings.ReplaceAll(records(100, 8), "市户政窗口", "站前派出所"), "HZ", "ZQ"), header))
		h.importText(strings.ReplaceAll(strings.ReplaceAll(records(200, 30), "户政,", "车驾管,"), "HZ", "CG"))
		dry, _ := h.drawn(true)
		asked, all := h.drawn(false)
		if !maps.Equal(dry, asked) {
			t.Error("the dry run draws others than the run")
		}
		count := map[string]int{}
		for _, d := range all {
			count[d.SourceID[:2]+" "+string(d.Reason)]++
			if want := map[string]float64{"HZ": 0.2, "ZQ": 1, "CG": 1}[d.SourceID[:2]]; d.Probability != want {
				t.Errorf("%s has the probability %v, want %v", d.SourceID, d.Probability, want)
			}
		}
		want := map[string]int{"HZ asked": 20, "HZ not_sampled": 80, "ZQ asked": 8, "CG asked": 30}
		if !maps.Equal(count, want) {
			t.Errorf("%v, want %v", count, want)
		}
		s := h.samples()
		if len(s) != 2 || s[1].Frame != 100 || s[1].Drawn != 20 || s[1].Probability != 0.2 {
			t.Fatalf("%+v", s)
		}
		again := map[string]bool{} // as the migration describes it
		for i := range 100 {
			id := fmt.Sprintf("HZ%05d", i)
			sum := sha256.Sum256([]byte(s[1].Seed + "/huzheng/" + id))
			if float64(binary.BigEndian.Uint64(sum[:8]))/(1<<64) <= s[1].Threshold+1e-15 {
				again[id] = true
			}
		}
		maps.DeleteFunc(asked, func(id string, _ bool) bool { return !strings.HasPrefix(id, "HZ") })
		if !maps.Equal(again, asked) {
			t.Errorf("drawn again: %d others", len(again))
		}
		// Records that come late are drawn by the same threshold, and the sample stays as it was.
		h.importText(strings.ReplaceAll(records(300, 200), ",HZ", ",LATE"))
		late, _ := h.drawn(false)
		if n := len(late); n < 15 || n > 70 { // 40 expected, 5.7 the deviation
			t.Errorf("%d of 200 late ones were drawn", n)
		}
		if now := h.samples(); now[1] != s[1] {
			t.Errorf("the sample has changed to %+v", now[1])
		}
	})
}

func TestAShareOfAClassIsAskedAndTheRestSaysWhyNot(t *testing.T) {
	h := newHouse(t, storagetest.SQLite(t))
	h.classes(func(c *survey.Class) { c.Sample = 0.25 })
	h.importText(records(0, 400))
	asked, _ := h.drawn(false)
	if n := len(asked); n < 60 || n > 140 { // 100 expected, 8.7 the deviation
		t.Errorf("asked %d of 400", n)
	}
	if w := h.figures().Whole; w.Not["not_sampled"] != 400-len(asked) || w.Count[survey.Planned] != 400 {
		t.Errorf("%v of %d", w.Not, w.Count[survey.Planned])
	}
}
