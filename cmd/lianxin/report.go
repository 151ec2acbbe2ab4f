package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"lianxin/report"
	"lianxin/storage"
	"lianxin/ticket"
	"lianxin/workday"
)

// reportCmd holds what is done with editions of reports from the command line. They are reviewed and published on the pages,
// where it is known who does it.
type reportCmd struct {
	List   reportListCmd   `cmd:"" help:"List editions as JSON lines, the latest period first."`
	Show   reportShowCmd   `cmd:"" help:"Print one edition, or write it as a file."`
	Draft  reportDraftCmd  `cmd:"" help:"Count a period into a draft, as the schedule does."`
	Verify reportVerifyCmd `cmd:"" help:"Hold every edition against the log; exit 1 where one is not what was published."`
}

type reportListCmd struct {
	Kind string `help:"daily, weekly, monthly or special." enum:",daily,weekly,monthly,special" default:""`
	Old  bool   `help:"Earlier versions and discarded drafts, too."`
}

// Run prints a line for each edition.
func (c *reportListCmd) Run(ctx context.Context, m *Main, cfg *Config) error {
	rooms, err := openOffice(ctx, m, cfg)
	if err != nil {
		return err
	}
	defer rooms.db.Close()
	enc := json.NewEncoder(m.Out)
	enc.SetEscapeHTML(false)
	return rooms.db.View(ctx, func(tx *storage.Tx) error {
		for offset := 0; ; offset += 500 {
			all, _, err := rooms.figures.Editions(tx, report.EditionFilter{Viewer: ticket.System, Kind: report.EditionKind(c.Kind), Old: c.Old, Limit: 500, Offset: offset})
			if err != nil {
				return err
			}
			for _, e := range all {
				if err := enc.Encode(map[string]any{"series": e.Series, "version": e.Version, "state": e.State, "title": e.Title, "from": e.Period.First(), "to": e.Period.Last(), "cut_off": e.CutOff.In(workday.Zone),
					"metrics": e.Metrics, "sum": e.Sum, "newest": e.Newest, "reason": e.Reason}); err != nil {
					return err
				}
			}
			if len(all) < 500 {
				return nil
			}
		}
	})
}

type reportShowCmd struct {
	Series  string `arg:"" help:"Its number, such as 日2026-11-27, 周2026-11-23, 月2026-11 or 专2026-0001."`
	Version int    `help:"Version; the newest when left out."`
	As      string `help:"text, json, xlsx or docx." enum:"text,json,xlsx,docx" default:"text"`
}

// Run prints an edition.
func (c *reportShowCmd) Run(ctx context.Context, m *Main, cfg *Config) error {
	rooms, err := openOffice(ctx, m, cfg)
	if err != nil {
		return err
	}
	defer rooms.db.Close()
	return rooms.db.View(ctx, func(tx *storage.Tx) error {
		e, err := rooms.figures.EditionBySeries(tx, c.Series, c.Version, ticket.System)
		if err != nil {
			return err
		}
		switch c.As {
		case "xlsx":
			return e.WriteXLSX(m.Out, "命令行导出")
		case "docx":
			return e.WriteDOCX(m.Out, "命令行导出")
		case "json":
			enc := json.NewEncoder(m.Out)
			enc.SetEscapeHTML(false)
			return enc.Encode(e.Content)
		}
		fmt.Fprintln(m.Out, e.Title)
		for _, a := range e.About() {
			fmt.Fprintf(m.Out, "%s：%s\n", a[0], a[1])
		}
		for _, l := range e.Content.Lines {
			fmt.Fprintln(m.Out, strings.TrimRight(fmt.Sprintf("%s\t%s\t%s\t%s", l.Label, l.Value, l.Of, l.Interval), "\t"))
		}
		for _, g := range e.Content.Tables {
			fmt.Fprintf(m.Out, "\n%s\n%s\n", g.Title, strings.Join(g.Head, "\t"))
			for _, r := range g.Rows {
				fmt.Fprintln(m.Out, strings.Join(r, "\t"))
			}
		}
		for _, w := range [][2]string{{"要情概述", e.Content.Words.Summary}, {"成因分析", e.Content.Words.Causes}, {"工作要求", e.Content.Words.Work}} {
			if w[1] != "" {
				fmt.Fprintf(m.Out, "\n%s\n%s\n", w[0], w[1])
			}
		}
		if e.State != report.Published {
			return nil
		}
		since, err := rooms.figures.Since(tx, e)
		for _, l := range since {
			if l.Correction {
				fmt.Fprintf(m.Out, "\n发布后更正：%s 印发 %s，现为 %s\n", l.Label, l.Printed, l.Now)
			}
		}
		return err
	})
}

type reportDraftCmd struct {
	Kind string      `arg:"" help:"daily, weekly or monthly." enum:"daily,weekly,monthly"`
	Day  workday.Day `help:"Any day of the period; yesterday when left out."`
	Past bool        `help:"Count it from the log as it stood when the period ended, without what was corrected later."`
}

// Run drafts an edition as the schedule does.
func (c *reportDraftCmd) Run(ctx context.Context, m *Main, cfg *Config) error {
	rooms, err := openOffice(ctx, m, cfg)
	if err != nil {
		return err
	}
	defer rooms.db.Close()
	if c.Day.IsZero() {
		c.Day = workday.DayOf(rooms.figures.Now()).Add(-1)
	}
	var e report.Edition
	in := report.Drafting{Kind: report.EditionKind(c.Kind), Day: c.Day}
	if c.Past {
		e, err = rooms.figures.DraftPast(ctx, rooms.db, in, ticket.System)
	} else {
		err = rooms.db.Update(ctx, func(tx *storage.Tx) (err error) {
			e, err = rooms.figures.DraftEdition(tx, in, ticket.System)
			return err
		})
	}
	if r, refused := ticket.RefusedWith(err); refused {
		return errors.New(r.Message)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(m.Out, "%s %s\n", e.Series, e.Title)
	return nil
}

type reportVerifyCmd struct {
	Recount string `help:"Besides, count this edition (its number) once more from the log as of its cut-off, and say where it differs." placeholder:"SERIES"`
	Version int    `help:"Version of the edition to recount; the newest when left out."`
}

// Run verifies the editions.
func (c *reportVerifyCmd) Run(ctx context.Context, m *Main, cfg *Config) error {
	rooms, err := openOffice(ctx, m, cfg)
	if err != nil {
		return err
	}
	defer rooms.db.Close()
	var flaws []report.Flaw
	var n int
	if err := rooms.db.View(ctx, func(tx *storage.Tx) (err error) { flaws, n, err = report.VerifyEditions(tx); return err }); err != nil {
		return err
	}
	for _, f := range flaws {
		fmt.Fprintln(m.Err, f)
	}
	if len(flaws) > 0 {
		return errSaid
	}
	fmt.Fprintf(m.Out, "%d published editions are what the log has published\n", n)
	if c.Recount == "" {
		return nil
	}
	var e report.Edition
	if err := rooms.db.View(ctx, func(tx *storage.Tx) (err error) {
		e, err = rooms.figures.EditionBySeries(tx, c.Recount, c.Version, ticket.System)
		return err
	}); err != nil {
		return err
	}
	diff, err := rooms.figures.Reproduce(ctx, rooms.db, e)
	if err != nil {
		return err
	}
	for _, d := range diff {
		fmt.Fprintf(m.Err, "%s %s: kept %q, the log as of %s gives %q\n", d.Section, d.Place, d.Old, e.CutOff.In(workday.Zone).Format("2006-01-02 15:04:05"), d.New)
	}
	if len(diff) > 0 {
		return errSaid
	}
	fmt.Fprintf(m.Out, "%s version %d comes out of the log as of %s\n", e.Series, e.Version, e.CutOff.In(workday.Zone).Format("2006-01-02 15:04:05"))
	return nil
}

// addReports has the editions of each day, week and month drafted; an empty time drafts none.
func (c *centre) addReports() error {
	for _, x := range []struct {
		kind report.EditionKind
		spec string
	}{{report.Daily, c.cfg.ReportDaily}, {report.Weekly, c.cfg.ReportWeekly}, {report.Monthly, c.cfg.ReportMonthly}} {
		if x.spec == "" {
			continue
		}
		if err := c.schedule.Add(c.figures.Job(c.db, x.kind, x.spec, c.log)); err != nil {
			return err
		}
	}
	return nil
}
