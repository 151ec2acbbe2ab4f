package report

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/xuri/excelize/v2"

	"lianxin/audit"
	"lianxin/org"
	"lianxin/storage"
	"lianxin/storage/storagetest"
	"lianxin/ticket"
	"lianxin/ticket/oversee"
	"lianxin/workday"
)

// press is the people who make editions.
type press struct {
	*bureau
	analyst, analyst2, leader, leader2, reviewer ticket.Actor
}

func newPress(t testing.TB, db *storage.DB) *press {
	p := &press{bureau: newBureau(t, db, 12)}
	p.r.Oversight = oversee.New(p.o)
	p.update(func(tx *storage.Tx) error {
		reg := org.Register{Now: p.r.Now}
		for _, x := range []struct {
			login string
			to    *ticket.Actor
			unit  string
			role  org.Role
		}{{"analyst", &p.analyst, "centre", org.Analyst}, {"analyst2", &p.analyst2, "centre", org.Analyst}, {"leader", &p.leader, "bureau", org.Leader}, {"leader2", &p.leader2, "bureau", org.Leader}, {"reviewer", &p.reviewer, unitA, org.Reviewer}} {
			s, err := reg.AddStaff(tx, org.Staff{Login: x.login, Name: x.login, Role: x.role, Unit: x.unit}, "system")
			if err != nil {
				return err
			}
			*x.to = ticket.Staff(s)
		}
		return nil
	})
	return p
}

// run gives a command of editions in a transaction of its own.
func (p *press) run(fn func(*storage.Tx) (Edition, error)) Edition {
	p.t.Helper()
	var e Edition
	p.update(func(tx *storage.Tx) (err error) { e, err = fn(tx); return err })
	return e
}

func (p *press) refused(code string, fn func(*storage.Tx) (Edition, error)) {
	p.t.Helper()
	err := p.db.Update(context.Background(), func(tx *storage.Tx) error { _, err := fn(tx); return err })
	if r, ok := ticket.RefusedWith(err); !ok || r.Code != code {
		p.t.Errorf("refused with %v, want %s", err, code)
	}
}

// published is the edition of a day, made by three persons.
func (p *press) published(k EditionKind, day workday.Day) Edition {
	p.t.Helper()
	e := p.run(func(tx *storage.Tx) (Edition, error) {
		return p.r.DraftEdition(tx, Drafting{Kind: k, Day: day}, p.analyst)
	})
	e = p.run(func(tx *storage.Tx) (Edition, error) { return p.r.Review(tx, e.ID, p.supervisor) })
	return p.run(func(tx *storage.Tx) (Edition, error) { return p.r.Publish(tx, e.ID, p.leader) })
}

func TestI18APublishedEditionStaysAndACorrectionIsANewVersionWithItsDifferences(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, db *storage.DB) {
		p := newPress(t, db)
		day := workday.DayOf(p.now)
		var first, repeat ticket.Ticket
		p.update(func(tx *storage.Tx) error {
			first = p.answered(tx, 0, 5, nil)
			repeat = p.answered(tx, 0, 4, func(in *ticket.Intake) { in.RepeatOf, in.RepeatEvidence = first.ID, "同一人同一事项" })
			p.handled(tx, 1, unitA, 4, false, nil)
			p.open(tx, 2, nil)
			return nil
		})
		p.refused("period", func(tx *storage.Tx) (Edition, error) {
			return p.r.DraftEdition(tx, Drafting{Kind: Daily, Day: day.Add(3)}, p.analyst)
		})
		e := p.run(func(tx *storage.Tx) (Edition, error) {
			return p.r.DraftEdition(tx, Drafting{Kind: Daily, Day: day}, p.analyst)
		})
		p.refused("known", func(tx *storage.Tx) (Edition, error) {
			return p.r.DraftEdition(tx, Drafting{Kind: Daily, Day: day}, p.analyst2)
		})
		p.refused("same_person", func(tx *storage.Tx) (Edition, error) { return p.r.Review(tx, e.ID, p.analyst) })
		p.refused("state", func(tx *storage.Tx) (Edition, error) { return p.r.Publish(tx, e.ID, p.leader) })
		p.refused("personal", func(tx *storage.Tx) (Edition, error) {
			return p.r.Edit(tx, e.ID, Words{Summary: "请联系13812345678"}, p.analyst)
		})
		p.run(func(tx *storage.Tx) (Edition, error) { return p.r.Review(tx, e.ID, p.supervisor) })
		p.refused("period", func(tx *storage.Tx) (Edition, error) { return p.r.Publish(tx, e.ID, p.leader) }) // the day is not over
		p.now = day.End().Add(8 * time.Hour)
		p.refused("cut_off", func(tx *storage.Tx) (Edition, error) { return p.r.Publish(tx, e.ID, p.leader) }) // counted before its end
		p.run(func(tx *storage.Tx) (Edition, error) {
			return p.r.Edit(tx, e.ID, Words{Summary: "要情甲\n要情乙"}, p.analyst2)
		})
		e = p.run(func(tx *storage.Tx) (Edition, error) { return p.r.RecountEdition(tx, e.ID, p.analyst) })
		p.refused("same_person", func(tx *storage.Tx) (Edition, error) { return p.r.Review(tx, e.ID, p.analyst2) }) // who edited wrote it, too
		p.run(func(tx *storage.Tx) (Edition, error) { return p.r.Review(tx, e.ID, p.leader) })
		p.refused("same_person", func(tx *storage.Tx) (Edition, error) { return p.r.Publish(tx, e.ID, p.leader) })
		p.refused("forbidden", func(tx *storage.Tx) (Edition, error) { return p.r.Publish(tx, e.ID, p.supervisor) })
		p.view(func(tx *storage.Tx) error {
			if _, err := p.r.Edition(tx, e.ID, p.reviewer); !errors.Is(err, storage.ErrNotFound) {
				t.Errorf("a unit reads a draft: %v", err)
			}
			return nil
		})
		e = p.run(func(tx *storage.Tx) (Edition, error) { return p.r.Publish(tx, e.ID, p.leader2) })
		locked := e
		for _, change := range []func(tx *storage.Tx) (Edition, error){
			func(tx *storage.Tx) (Edition, error) {
				return p.r.Edit(tx, e.ID, Words{Summary: "别的"}, p.analyst)
			},
			func(tx *storage.Tx) (Edition, error) { return p.r.RecountEdition(tx, e.ID, p.analyst) },
			func(tx *storage.Tx) (Edition, error) { return p.r.Discard(tx, e.ID, p.analyst) },
			func(tx *storage.Tx) (Edition, error) { return p.r.Review(tx, e.ID, p.supervisor) },
			func(tx *storage.Tx) (Edition, error) { return p.r.SendBack(tx, e.ID, "再看看", p.leader) },
		} {
			p.refused("state", change)
		}
		// Nor does the database itself let it be changed, removed or replaced.
		statements := []string{`UPDATE report_edition SET content = '{}' WHERE id = '` + e.ID + `'`, `UPDATE report_edition SET state = 'DRAFT'`, `DELETE FROM report_edition WHERE id = '` + e.ID + `'`}
		if db.Postgres() {
			statements = append(statements, `TRUNCATE report_edition CASCADE`)
		} else {
			statements = append(statements, `INSERT OR REPLACE INTO report_edition SELECT * FROM report_edition WHERE id = '`+e.ID+`'`,
				`UPDATE OR REPLACE report_edition SET id = '`+e.ID+`' WHERE id <> '`+e.ID+`'`)
		}
		other := p.run(func(tx *storage.Tx) (Edition, error) { // another row that could take its place
			return p.r.DraftEdition(tx, Drafting{Kind: Weekly, Day: day}, p.analyst)
		})
		for _, sql := range statements {
			if err := db.Update(context.Background(), func(tx *storage.Tx) error { _, err := tx.Exec(sql); return err }); err == nil || !strings.Contains(err.Error(), "published edition") {
				t.Errorf("%s: %v", sql, err)
			}
		}

		// A fact of the day is corrected afterwards: the edition stays, and says so.
		p.update(func(tx *storage.Tx) error {
			_, err := p.o.UnlinkRepeat(tx, repeat.ID, "不是同一事项", p.dispatcher)
			return err
		})
		p.view(func(tx *storage.Tx) error {
			now, err := p.r.Edition(tx, e.ID, p.reviewer)
			if err != nil {
				return err
			}
			if now.Sum != locked.Sum || len(Diff(locked.Content, now.Content)) > 0 {
				t.Errorf("it changed: %v", Diff(locked.Content, now.Content))
			}
			since, err := p.r.Since(tx, now)
			found := false
			for _, l := range since {
				found = found || l.Label == "有效诉求重复投诉率" && l.Correction && strings.HasPrefix(l.Printed, "33.33%；1 / 3") && strings.HasPrefix(l.Now, "0.00%；0 / 3")
			}
			if !found {
				t.Errorf("corrected since: %+v", since)
			}
			return err
		})
		p.refused("reason", func(tx *storage.Tx) (Edition, error) { return p.r.Correct(tx, e.ID, " ", p.analyst) })
		v2 := p.run(func(tx *storage.Tx) (Edition, error) { return p.r.Correct(tx, e.ID, "重复关联有误", p.analyst) })
		p.refused("known", func(tx *storage.Tx) (Edition, error) {
			return p.r.Correct(tx, e.ID, "重复关联有误", p.analyst2)
		})
		v2 = p.run(func(tx *storage.Tx) (Edition, error) {
			return p.r.Edit(tx, v2.ID, Words{Summary: "要情甲\n要情乙改"}, p.analyst)
		})
		p.run(func(tx *storage.Tx) (Edition, error) { return p.r.Review(tx, v2.ID, p.supervisor) })
		v2 = p.run(func(tx *storage.Tx) (Edition, error) { return p.r.Publish(tx, v2.ID, p.leader) })
		if v2.Version != 2 || v2.Corrects != e.ID || v2.Series != e.Series {
			t.Errorf("%+v", v2)
		}
		var repeats, words bool
		for _, d := range Diff(e.Content, v2.Content) {
			repeats = repeats || d.Place == "有效诉求重复投诉率" && strings.Contains(d.Old, "1 / 3") && strings.Contains(d.New, "0 / 3")
			words = words || d == Difference{"要情概述", "第2行", "要情乙", "要情乙改"}
		}
		if !repeats || !words {
			t.Errorf("differences: %+v", Diff(e.Content, v2.Content))
		}
		p.view(func(tx *storage.Tx) error {
			old, err := p.r.Edition(tx, e.ID, p.reviewer)
			if old.Newest || old.Sum != locked.Sum || err != nil {
				t.Errorf("the old version: newest %v, %v", old.Newest, err)
			}
			list, n, err := p.r.Editions(tx, EditionFilter{Viewer: p.reviewer})
			if err != nil || n != 1 || len(list) != 1 || list[0].ID != v2.ID {
				t.Errorf("a unit lists %d: %+v", n, list)
			}
			flaws, published, err := VerifyEditions(tx)
			if len(flaws) > 0 || published != 2 {
				t.Errorf("%v, %d published", flaws, published)
			}
			return err
		})
		p.refused("state", func(tx *storage.Tx) (Edition, error) { return p.r.Correct(tx, e.ID, "旧版", p.analyst) })
		p.update(func(tx *storage.Tx) error { return p.r.Acknowledge(tx, v2.ID, p.reviewer) })
		p.update(func(tx *storage.Tx) error { return p.r.Acknowledge(tx, v2.ID, p.reviewer) })
		p.view(func(tx *storage.Tx) error {
			all, err := p.r.Receipts(tx, v2.ID)
			if len(all) != 1 || all[0].Unit != unitA {
				t.Errorf("receipts %+v", all)
			}
			return err
		})

		// Somebody with the rights of the database takes the trigger away: the log finds it.
		off := `DROP TRIGGER report_edition_update`
		if db.Postgres() {
			off = `DROP TRIGGER report_edition_rows ON report_edition`
		}
		p.update(func(tx *storage.Tx) error {
			if _, err := tx.Exec(off); err != nil {
				return err
			}
			_, err := tx.Exec(`UPDATE report_edition SET content = REPLACE(content, '要情甲', '要情丙') WHERE id = $1`, e.ID)
			return err
		})
		p.view(func(tx *storage.Tx) error {
			flaws, _, err := VerifyEditions(tx)
			if len(flaws) != 1 || !strings.Contains(flaws[0].Edition, "第1版") {
				t.Errorf("found %v", flaws)
			}
			return err
		})
		_ = other
	})
}

// The tables of an edition say what the figures say, for a day that is long over, too.
func TestAnEditionOfAPastDayReconcilesWithTheFigures(t *testing.T) {
	p := newPress(t, storagetest.SQLite(t))
	day := workday.DayOf(p.now)
	p.update(func(tx *storage.Tx) error {
		p.answered(tx, 0, 5, nil)
		p.answered(tx, 1, 1, func(in *ticket.Intake) { in.Channel = "walkin" })
		p.handled(tx, 2, unitA, 4, false, func(in *ticket.Intake) { in.Colour = ticket.Orange })
		k := p.open(tx, 3, nil)
		p.do(tx, func(tx *storage.Tx) (ticket.Ticket, error) {
			return p.o.Accept(tx, k.ID, ticket.Acceptance{Kind: k.Kind}, p.dispatcher)
		})
		return nil
	})
	for _, k := range []EditionKind{Daily, Weekly, Monthly} {
		p.now = k.Period(day).To.AddDate(0, 0, 20)
		e := p.published(k, day)
		line := func(id string) string {
			for _, l := range e.Content.Lines {
				if l.ID == id {
					return l.Value
				}
			}
			return ""
		}
		if line("accepted") != "4" || line("satisfied_raw") != "66.67%" {
			t.Errorf("%s: accepted %s, satisfied %s", k, line("accepted"), line("satisfied_raw"))
		}
		sums := 0
		for _, g := range e.Content.Tables {
			if g.Bars == 0 || g.Key == "causes" {
				continue
			}
			sums++
			n := 0
			for _, r := range g.Rows {
				n += atoi(r[1])
			}
			if n != 4 {
				t.Errorf("%s, %s: its rows add up to %d", k, g.Title, n)
			}
		}
		if sums < 3 {
			t.Errorf("%s: only %d tables were added up", k, sums)
		}
		for _, g := range e.Content.Tables {
			if g.Key == "unhappy" && g.Rows[0][1] != "1" {
				t.Errorf("%s: %v", k, g.Rows)
			}
			if g.Key == "open" && k == Daily && (g.Rows[3][1] != "2" || g.Rows[3][2] != "0") { // the one who was not satisfied, and the accepted one, not late that day though they are by now
				t.Errorf("%v", g.Rows)
			}
		}
	}
}

var quiet = slog.New(slog.DiscardHandler)

func atoi(s string) (n int) {
	for _, c := range s {
		n = 10*n + int(c-'0')
	}
	return n
}

func TestFilesOfAnEditionCarryTheirMarkAndWhatIsPrinted(t *testing.T) {
	p := newPress(t, storagetest.SQLite(t))
	day := workday.DayOf(p.now)
	p.update(func(tx *storage.Tx) error {
		p.answered(tx, 0, 5, nil)
		p.handled(tx, 2, unitA, 4, false, nil)
		return nil
	})
	p.now = day.End().AddDate(0, 1, 0)
	e := p.published(Monthly, day)
	e.Content.Words.Summary = "数字<升>&降\n第二行"
	var out bytes.Buffer
	if err := e.WriteXLSX(&out, "导出人 甲"); err != nil {
		t.Fatal(err)
	}
	f, err := excelize.OpenReader(&out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := f.GetRows("指标")
	if err != nil || len(rows) != len(e.Content.Lines)+1 || rows[1][1] != e.Content.Lines[0].Value {
		t.Errorf("%v, %v", rows, err)
	}
	if n := len(f.GetSheetList()); n != len(e.Content.Tables)+2 {
		t.Errorf("%d sheets", n)
	}
	if h, err := f.GetHeaderFooter("指标"); err != nil || !strings.Contains(h.OddHeader, "导出人 甲") {
		t.Errorf("header %+v, %v", h, err)
	}
	out.Reset()
	if err := e.WriteDOCX(&out, "导出人 甲"); err != nil {
		t.Fatal(err)
	}
	z, err := zip.NewReader(bytes.NewReader(out.Bytes()), int64(out.Len()))
	if err != nil {
		t.Fatal(err)
	}
	texts, charts := "", 0
	for _, part := range z.File {
		r, err := part.Open()
		if err != nil {
			t.Fatal(err)
		}
		d := xml.NewDecoder(r)
		for {
			tok, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s is no XML: %v", part.Name, err)
			}
			if c, ok := tok.(xml.CharData); ok {
				texts += string(c) + "\n"
			}
		}
		r.Close()
		if strings.HasPrefix(part.Name, "word/charts/") {
			charts++
		}
	}
	for _, want := range []string{e.Title, e.Sum, "导出人 甲", "数字<升>&降", "第二行", e.Content.Lines[0].Label, "每日受理诉求数"} {
		if !strings.Contains(texts, want) {
			t.Errorf("%q is not in the document", want)
		}
	}
	if charts == 0 {
		t.Error("there is no chart")
	}
}

func TestTheScheduleDraftsEachPeriodOnce(t *testing.T) {
	p := newPress(t, storagetest.SQLite(t))
	p.now = time.Date(2026, 3, 9, 8, 0, 0, 0, workday.Zone) // a Monday
	for _, k := range []EditionKind{Daily, Weekly, Monthly} {
		job := p.r.Job(p.db, k, "0 8 * * *", quiet)
		for range 2 {
			if err := job.Run(context.Background(), p.now); err != nil {
				t.Fatal(err)
			}
		}
	}
	p.view(func(tx *storage.Tx) error {
		list, n, err := p.r.Editions(tx, EditionFilter{Viewer: p.analyst})
		got := map[string]bool{}
		for _, e := range list {
			got[e.Series] = e.State == Draft && e.Author == "system"
		}
		if n != 3 || !got["日2026-03-08"] || !got["周2026-03-02"] || !got["月2026-02"] {
			t.Errorf("%v", got)
		}
		rep, err2 := audit.Stream(tx, EditionStream(list[0].ID))
		if err2 != nil || len(rep) != 1 {
			t.Errorf("events %v, %v", rep, err2)
		}
		return err
	})
}

func TestAWeekBeginsOnMondayAndAMonthEndsWithItsLastDay(t *testing.T) {
	for d := workday.DateOf(2026, 1, 1); d < workday.DateOf(2028, 3, 1); d++ {
		w, m := Weekly.Period(d), Monthly.Period(d)
		if w.First().Weekday() != time.Monday || w.Last() != w.First()+6 || d < w.First() || d > w.Last() {
			t.Fatalf("%s lies in the week %s to %s", d, w.First(), w.Last())
		}
		_, _, first := m.First().Date()
		_, _, next := m.Last().Add(1).Date()
		if first != 1 || next != 1 || d < m.First() || d > m.Last() {
			t.Fatalf("%s lies in the month %s to %s", d, m.First(), m.Last())
		}
	}
}
