package survey_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"lianxin/contact"
	"lianxin/org"
	"lianxin/sms/sim"
	"lianxin/storage"
	"lianxin/storage/storagetest"
	"lianxin/survey"
	"lianxin/ticket"
	"lianxin/workday"
)

var rewrite = flag.Bool("update", false, "write what happened into the scenario files; read the difference before you commit it")

// TestDays plays the mornings of testdata/days on both engines. Each file holds the records, a script of one command a
// line, and what must come out of it.
func TestDays(t *testing.T) {
	files, err := filepath.Glob("../testdata/days/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			storagetest.Each(t, func(t *testing.T, db *storage.DB) { playDay(t, db, file) })
		})
	}
}

func playDay(t *testing.T, db *storage.DB, file string) {
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	a := txtar.Parse(b)
	p := &player{house: newHouse(t, db), files: map[string]string{}, at: -1}
	for i, f := range a.Files {
		p.files[f.Name] = string(f.Data)
		if f.Name == "want" {
			p.at = i
		}
	}
	if p.files["script"] == "" || p.at < 0 {
		t.Fatal("a scenario needs the files script and want")
	}
	for n, line := range strings.Split(strings.TrimSpace(p.files["script"]), "\n") {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		p.printf("> %s\n", line)
		if err := p.do(strings.Fields(line)); err != nil {
			t.Fatalf("script line %d: %s: %v", n+1, line, err)
		}
	}
	if *rewrite {
		a.Files[p.at].Data = []byte(p.out.String())
		if err := os.WriteFile(file, txtar.Format(a), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(strings.Split(p.files["want"], "\n"), strings.Split(p.out.String(), "\n")); diff != "" {
		t.Errorf("the day went otherwise (-want +got):\n%s", diff)
	}
}

type player struct {
	*house
	files map[string]string
	at    int
	out   strings.Builder
}

func (p *player) printf(format string, args ...any) { fmt.Fprintf(&p.out, format, args...) }

// do plays one command.
func (p *player) do(w []string) error {
	arg := func(i int) string {
		if i < len(w) {
			return w[i]
		}
		return ""
	}
	rest := func(i int) string { return strings.Join(w[min(i, len(w)):], " ") }
	switch w[0] {
	case "clock": // clock 2026-11-23 09:00
		at, err := time.ParseInLocation("2006-01-02 15:04", rest(1), workday.Zone)
		p.set(at)
		return err
	case "pass": // pass 25h
		d, err := time.ParseDuration(arg(1))
		p.pass(d)
		return err
	case "optout": // optout NUMBER
		return p.db.Update(p.ctx, func(tx *storage.Tx) error {
			return p.book.OptOut(tx, p.phone(arg(1)), contact.OptOut{Scope: contact.ScopeSurvey, Source: "hotline", Evidence: "test"})
		})
	case "shield": // shield NUMBER reason
		return p.db.Update(p.ctx, func(tx *storage.Tx) error {
			_, err := p.book.Shield(tx, p.phone(arg(1)), contact.Shield{Scope: contact.ScopeSurvey, Reason: rest(2), By: "system"})
			return err
		})
	case "config": // config FILE
		cfg, err := survey.ParseConfig([]byte(strings.TrimSpace(p.files[arg(1)])))
		p.survey.Config = cfg
		return err
	case "disable": // disable CLASS…
		cfg := *survey.Standard()
		cfg.Version += "+test"
		cfg.Classes = slices.Clone(cfg.Classes)
		for i := range cfg.Classes {
			cfg.Classes[i].Disabled = slices.Contains(w[1:], cfg.Classes[i].Code)
		}
		p.survey.Config = &cfg
		return nil
	case "carrier": // carrier {"failure_rate":1}
		var s sim.Settings
		if err := json.Unmarshal([]byte(rest(1)), &s); err != nil {
			return err
		}
		return p.sim.Set(p.ctx, s)
	case "import": // import FILE [dry]
		res, err := p.survey.Import(p.ctx, strings.NewReader(p.files[arg(1)]), arg(1), survey.ImportOptions{DryRun: arg(2) == "dry", Line: func(l survey.Line) {
			if l.Code != "" || l.Outcome != survey.Accepted {
				p.printf("%s\n", strings.TrimSpace(fmt.Sprintf("line %d %s %s %s", l.Number, l.Outcome, l.Code, l.Reason)))
			}
		}})
		p.printf("%d lines: %d accepted, %d known, %d corrected, %d refused\n", res.Lines, res.Accepted, res.Known, res.Corrected, res.Refused)
		return err
	case "run": // run DAY [dry]
		var lines []string
		res, err := p.survey.Run(p.ctx, p.day(arg(1)), survey.RunOptions{DryRun: arg(2) == "dry", Decision: func(d survey.Decision) { lines = append(lines, d.String()) }})
		slices.Sort(lines) // they come in the order of keyed hashes
		for _, l := range lines {
			p.printf("%s\n", l)
		}
		p.printf("planned %d, asked %d\n", res.Planned, res.Asked)
		return err
	case "send": // to the carrier, to the handsets, and the receipts back
		p.settle()
		return nil
	case "handset": // handset NUMBER
		all, err := p.sim.Handset(p.ctx, p.phone(arg(1)))
		for _, e := range all {
			if e.Reply {
				p.printf("  me: %s\n", e.Body)
			} else {
				p.printf("  %s: %s\n", e.State, e.Body)
			}
		}
		if len(all) == 0 {
			p.printf("  empty\n")
		}
		return err
	case "reply": // reply NUMBER words
		p.answer(p.house.reply(arg(1), rest(2)))
		return nil
	case "settle": // settle NUMBER outcome rating [note]: what a person of the centre makes of the last reply
		item := p.last(arg(1))
		rating, err := strconv.Atoi(arg(3))
		if err != nil {
			return err
		}
		err = p.db.Update(p.ctx, func(tx *storage.Tx) error {
			_, err := p.survey.SettleReview(tx, item.ID, survey.Settlement{Outcome: arg(2), Rating: rating, Note: rest(4)},
				ticket.Staff(org.Staff{ID: "01TEST", Unit: "benxi-minyi", Role: org.Caller, Active: true}))
			return err
		})
		if err == nil {
			p.answer(p.last(arg(1)))
		}
		return err
	case "figures": // figures DAY
		return p.figures(p.day(arg(1)))
	case "centre": // everything the centre has on its desk
		return p.centre()
	}
	return fmt.Errorf("no command %q", w[0])
}

func (p *player) answer(i survey.ReviewItem) {
	p.printf("  %s %s", i.Place, i.Label)
	if i.Rating > 0 {
		p.printf(" %d", i.Rating)
	}
	for word, on := range map[string]bool{" counted": i.Counted} {
		if on {
			p.printf("%s", word)
		}
	}
	if i.Review != "" {
		p.printf(", review %s", i.Review)
		if i.Outcome != "" {
			p.printf(" as %s", i.Outcome)
		}
	}
	if i.Danger {
		p.printf(", danger")
	}
	if i.AlertID != "" {
		p.printf(", alert")
	}
	if i.TicketID != "" {
		p.printf(", ticket")
	}
	if i.CallbackID != "" {
		p.printf(", call-back")
	}
	p.printf("\n")
}

func (p *player) figures(day workday.Day) error {
	return p.db.View(p.ctx, func(tx *storage.Tx) error {
		f, err := p.survey.Day(tx, day)
		if err != nil {
			return err
		}
		p.row(f.Whole)
		for _, r := range append(f.ByClass, f.ByUnit...) {
			p.row(r)
		}
		p.printf("  strangers %d, undecided %d\n", f.Strangers, f.Undecided)
		return nil
	})
}

func (p *player) row(r survey.Row) {
	p.printf("  %s:", r.Name)
	for _, f := range survey.FunnelFigures {
		if n := r.Count[f]; n > 0 {
			p.printf(" %s %d", f, n)
		}
	}
	p.printf("; n %d", r.N)
	if !r.Small {
		p.printf(" rate %.4f [%.4f, %.4f] at least %.4f", r.Raw, r.Interval[0], r.Interval[1], r.AtLeast)
	}
	p.printf("\n")
	why := make([]string, 0, len(r.Not))
	for code, n := range r.Not {
		why = append(why, fmt.Sprintf("%s %d", code, n))
	}
	slices.Sort(why)
	if r.Key == "" && len(why) > 0 {
		p.printf("    not asked: %s\n", strings.Join(why, ", "))
	}
}

func (p *player) centre() error {
	return p.db.View(p.ctx, func(tx *storage.Tx) error {
		tickets, _, err := p.office.List(tx, ticket.Filter{Viewer: ticket.System, Limit: 100})
		if err != nil {
			return err
		}
		slices.Reverse(tickets)
		for _, t := range tickets {
			p.printf("  ticket %s %s, accused %s, confidential %v, proactive %v: %s\n", t.Channel, t.StateLabel(), t.AccusedUnit, t.Confidential, t.Proactive,
				strings.ReplaceAll(t.Title+" / "+t.Body, "\n", " "))
		}
		calls, _, err := p.office.Callbacks(tx, ticket.CallbackFilter{Viewer: ticket.System})
		if err != nil {
			return err
		}
		for _, c := range calls {
			p.printf("  call-back %s due %s, not by %s\n", c.Kind, c.Due.In(workday.Zone).Format("01-02 15:04"), strings.Join(c.ExcludeUnits, ","))
		}
		alerts, _, err := p.office.Alerts(tx, ticket.AlertFilter{Viewer: ticket.System})
		if err != nil {
			return err
		}
		for _, a := range alerts {
			p.printf("  alert %s %s: %s\n", a.Level, a.Rule, a.Evidence)
		}
		reviews, err := p.survey.Reviews(tx, "", 100)
		if err != nil {
			return err
		}
		for _, r := range reviews {
			p.printf("  review %s %s %s %s: %s\n", r.Place, r.Phone, r.Class, r.Unit, r.Words)
		}
		strangers, err := p.survey.Strangers(tx, 1, workday.LastDay, 100)
		if err != nil {
			return err
		}
		for _, r := range strangers {
			p.printf("  stranger %s: %s\n", r.Phone, r.Words)
		}
		return nil
	})
}
