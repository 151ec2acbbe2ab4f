package survey_test

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/xuri/excelize/v2"

	"lianxin/org"
	"lianxin/storage"
	"lianxin/survey"
	"lianxin/table"
	"lianxin/ticket"
)

// rated is a day of n persons of whom the first have answered with these ratings.
func (h *house) rated(n int, ratings ...int) {
	h.t.Helper()
	h.importText(records(0, n))
	h.run("2026-11-22")
	h.settle()
	for i, r := range ratings {
		h.reply(fmt.Sprintf("199%08d", i), fmt.Sprint(r))
	}
}

func (h *house) figures() (f survey.Figures) {
	h.t.Helper()
	h.view(func(tx *storage.Tx) (err error) {
		f, err = h.survey.Day(tx, h.day("2026-11-22"))
		return err
	})
	return f
}

// askOf is the question to a number.
func (h *house) askOf(phone string) string { return h.last(phone).AskID }

var (
	caller    = ticket.Staff(org.Staff{ID: "01SUP", Unit: "benxi-minyi", Role: org.Supervisor, Active: true})
	colleague = ticket.Staff(org.Staff{ID: "02SUP", Unit: "benxi-minyi", Role: org.Supervisor, Active: true})
	inspector = ticket.Staff(org.Staff{ID: "01INS", Unit: "benxi", Role: org.Inspector, Active: true})
	ofRated   = ticket.Staff(org.Staff{ID: "01REV", Unit: "benxi-huzheng-chuangkou", Role: org.Reviewer, Active: true})
	ofOther   = ticket.Staff(org.Staff{ID: "02REV", Unit: "210521-lianshanguan", Role: org.Reviewer, Active: true})
	handler   = ticket.Staff(org.Staff{ID: "01HAN", Unit: "210521-lianshanguan", Role: org.Handler, Active: true})
)

func TestARatingIsExcludedByTwoPersonsOfDifferentUnitsAndStaysInTheRawRate(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.rated(12, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 5)
		ask := h.askOf("19900000010")
		propose := func(by ticket.Actor, reason string) (x survey.Exclusion, err error) {
			err = h.db.Update(h.ctx, func(tx *storage.Tx) (err error) { x, err = h.survey.ProposeExclusion(tx, ask, reason, by); return err })
			return x, err
		}
		for name, c := range map[string]struct {
			by     ticket.Actor
			reason string
			want   error
		}{"the rated unit": {ofRated, "误评", survey.ErrNotAllowed}, "a role that does not judge": {handler, "误评", survey.ErrNotAllowed},
			"no reason": {caller, " ", survey.ErrSettlement}, "the program": {ticket.System, "误评", survey.ErrNotAllowed}} {
			if _, err := propose(c.by, c.reason); !errors.Is(err, c.want) {
				t.Errorf("%s: %v, want %v", name, err, c.want)
			}
		}
		x, err := propose(caller, "来电确认按错数字")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := propose(inspector, "又一次"); !errors.Is(err, storage.ErrConflict) {
			t.Errorf("proposed twice: %v", err)
		}
		if w := h.figures().Whole; w.Excluded != 0 || w.Official != w.Raw {
			t.Errorf("one person alone has excluded: %+v", w)
		}
		decide := func(id string, by ticket.Actor) error {
			return h.db.Update(h.ctx, func(tx *storage.Tx) error { _, err := h.survey.DecideExclusion(tx, id, true, "", by); return err })
		}
		for name, by := range map[string]ticket.Actor{"the first person": caller, "another of the same unit": colleague, "the rated unit": ofRated} {
			if err := decide(x.ID, by); !errors.Is(err, survey.ErrNotAllowed) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := decide(x.ID, inspector); err != nil {
			t.Fatal(err)
		}
		if err := decide(x.ID, ofOther); !errors.Is(err, storage.ErrConflict) {
			t.Errorf("decided twice: %v", err)
		}
		w := h.figures().Whole
		if w.N != 11 || w.Excluded != 1 || math.Abs(w.Raw-10.0/11) > 1e-12 || w.Official != 1 {
			t.Errorf("n %d, excluded %d, raw %v, official %v", w.N, w.Excluded, w.Raw, w.Official)
		}
		// The resident means it: a new rating is not excluded with the old one.
		h.reply("19900000010", "4")
		if w := h.figures().Whole; w.Excluded != 0 || math.Abs(w.Official-10.0/11) > 1e-12 {
			t.Errorf("after another rating: excluded %d, official %v", w.Excluded, w.Official)
		}
	})
}

func TestAnExclusionOfARatingThatWasChangedMeanwhileIsRefused(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.rated(1, 5)
		var x survey.Exclusion
		h.update(func(tx *storage.Tx) (err error) {
			x, err = h.survey.ProposeExclusion(tx, h.askOfTx(tx), "误评", caller)
			return err
		})
		h.reply("19900000000", "1")
		err := h.db.Update(h.ctx, func(tx *storage.Tx) error {
			_, err := h.survey.DecideExclusion(tx, x.ID, true, "", inspector)
			return err
		})
		if !errors.Is(err, storage.ErrConflict) {
			t.Errorf("%v", err)
		}
		h.update(func(tx *storage.Tx) error {
			_, err := h.survey.DecideExclusion(tx, x.ID, false, "已改评", inspector)
			return err
		})
	})
}

// askOfTx is the only question there is.
func (h *house) askOfTx(tx *storage.Tx) string {
	id, err := storage.One(tx, storage.Value[string], `SELECT id FROM survey_ask`)
	if err != nil {
		h.t.Fatal(err)
	}
	return id
}

func TestRatesStandBesideTheOtherWeightsWithBoundsBothWays(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.rated(40, 1, 1, 2, 2, 3, 3, 3, 3, 4) // nine early
		h.pass(3 * time.Hour)
		for i := 9; i < 20; i++ { // eleven later
			h.reply(fmt.Sprintf("199%08d", i), "3")
		}
		w := h.figures().Whole
		near := func(name string, got, want float64) {
			if math.Abs(got-want) > 1e-12 {
				t.Errorf("%s is %v, want %v", name, got, want)
			}
		}
		near("the rate", w.Raw, 19.0/20)
		near("with w = 0.5", w.Beside[0].Raw, (4+0.5*15)/20)
		near("with w = 0", w.Beside[1].Raw, 4.0/20)
		near("at least", w.AtLeast, 19.0/40)
		near("at most", w.AtMost, (19.0+20)/40)
		near("coverage", w.Coverage, 0.5)
		if w.Early.N != 9 || w.Early.Raw != 0 || w.Later.N != 11 || w.Later.Raw != 1 {
			t.Errorf("early %+v, later %+v; a rate of nine must not be shown", w.Early, w.Later)
		}
		for _, r := range h.figures().ByUnit {
			if r.Rank != 0 {
				t.Errorf("%s with %d ratings has rank %d", r.Name, r.N, r.Rank)
			}
		}
	})
}

func TestExportsHoldTheFiguresAndNoClearNumber(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.rated(12, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 5)
		f := h.figures()
		var items []survey.Item
		h.view(func(tx *storage.Tx) (err error) { items, err = h.survey.Items(tx, h.day("2026-11-22")); return err })
		items[0].Matter = "=cmd()"
		var b bytes.Buffer
		if err := table.WriteCSV(&b, survey.ItemSheet(items).CSV()); err != nil {
			t.Fatal(err)
		}
		text := b.String()
		if strings.Contains(text, "19900000001") || !strings.Contains(text, "199****0001") || !strings.Contains(text, ",'=cmd(),") {
			t.Errorf("the list is\n%s", text)
		}
		if rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(text, "\xEF\xBB\xBF"))).ReadAll(); err != nil || len(rows) != 13 {
			t.Errorf("%d rows, %v", len(rows), err)
		}
		b.Reset()
		if err := table.WriteSheets(&b, table.Book{}, f.Sheets()...); err != nil {
			t.Fatal(err)
		}
		book, err := excelize.OpenReader(&b)
		if err != nil {
			t.Fatal(err)
		}
		rows, err := book.GetRows("合计")
		if err != nil || len(rows) != 2 {
			t.Fatalf("%v, %v", rows, err)
		}
		cells := map[string]string{}
		for i, name := range rows[0] {
			if i < len(rows[1]) {
				cells[name] = rows[1][i]
			}
		}
		if cells["有效评价数n"] != "11" || !strings.HasPrefix(cells["满意率（原始）"], "0.909") || cells["非常不满意"] != "1" || cells["已送达"] != "12" {
			t.Errorf("the workbook says %v", cells)
		}
	})
}
