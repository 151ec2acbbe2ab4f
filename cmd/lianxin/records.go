package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"lianxin/survey"
	"lianxin/workday"
)

type recordsCmd struct {
	Import recordsImportCmd `cmd:"" help:"Read service records from a CSV or XLSX file; each line is accepted, known already, or refused with its reason."`
	Pull   recordsPullCmd   `cmd:"" help:"Read the configured views of other systems (PostgreSQL, MySQL, SQL Server, Oracle) now."`
}

type recordsImportCmd struct {
	File   string `arg:"" help:"CSV (UTF-8, GBK, GB18030) or XLSX." type:"existingfile"`
	Class  string `help:"Class of the lines that name none (a code such as 110, or a name such as 户政); a line that names another is refused."`
	DryRun bool   `name:"dry-run" help:"Tell what would happen and keep nothing."`
	Quiet  bool   `short:"q" help:"Print only lines that were refused or are odd, and the sums."`
}

// Run reads the file and prints what became of every line. It ends with status 1 when any line was refused, so that a
// script notices; the good lines are in all the same.
func (r *recordsImportCmd) Run(ctx context.Context, m *Main, cfg *Config) error {
	c, err := openRooms(ctx, cfg, newLogger(m.Err, cfg))
	if err != nil {
		return err
	}
	defer c.db.Close()
	f, err := os.Open(r.File)
	if err != nil {
		return err
	}
	defer f.Close()
	sum, err := c.survey.Import(ctx, f, filepath.Base(r.File), survey.ImportOptions{Class: r.Class, DryRun: r.DryRun, Line: func(l survey.Line) {
		if r.Quiet && l.Code == "" && l.Outcome != survey.Refused {
			return
		}
		fmt.Fprintf(m.Out, "line %d: %s", l.Number, l.Outcome)
		if l.SourceID != "" {
			fmt.Fprintf(m.Out, " %s/%s", l.Class, l.SourceID)
		}
		if l.Code != "" {
			fmt.Fprintf(m.Out, " [%s] %s; %s", l.Code, l.Reason, l.English)
		}
		fmt.Fprintln(m.Out)
	}})
	if err != nil {
		return fmt.Errorf("import %s: %w", r.File, err)
	}
	fmt.Fprintf(m.Out, "%s (%s): %d lines = %d accepted + %d known + %d corrected + %d refused; %d with a reservation\n",
		sum.Name, sum.Encoding, sum.Lines, sum.Accepted, sum.Known, sum.Corrected, sum.Refused, sum.Odd)
	if r.DryRun {
		fmt.Fprintln(m.Out, "dry run: nothing was kept")
	}
	if sum.Refused > 0 {
		return errSaid
	}
	return nil
}

type surveyCmd struct {
	Run    surveyRunCmd    `cmd:"" help:"Ask about the services of a day by hand, as the morning does."`
	Remind surveyRemindCmd `cmd:"" help:"Remind, by hand, those who have not answered, in classes that say so (reminder in the survey's file)."`
	Config surveyConfigCmd `cmd:"" help:"Print what the survey asks, whom, and what counts, as a file to begin one's own from."`
	Parse  surveyParseCmd  `cmd:"" help:"Read replies, one a line, from standard input; write what each means as JSON lines."`
	Reread surveyRereadCmd `cmd:"" help:"Read old replies with the word lists of today, and report which would be read otherwise; ratings change only by a person."`
}

type surveyRunCmd struct {
	Day    workday.Day `help:"Day of the services, YYYY-MM-DD; yesterday when left out."`
	DryRun bool        `name:"dry-run" help:"Say whom it would ask and why not the others, and keep nothing."`
}

// Run decides about every record of the day and prints each decision with its reason. The texts are queued; a running
// server sends them inside the sending window.
func (r *surveyRunCmd) Run(ctx context.Context, m *Main, cfg *Config) error {
	c, err := openRooms(ctx, cfg, newLogger(m.Err, cfg))
	if err != nil {
		return err
	}
	defer c.db.Close()
	if r.Day.IsZero() {
		r.Day = workday.DayOf(time.Now()).Add(-1)
	}
	res, err := c.survey.Run(ctx, r.Day, survey.RunOptions{DryRun: r.DryRun, Decision: func(d survey.Decision) { fmt.Fprintln(m.Out, d) }})
	if err != nil {
		return err
	}
	fmt.Fprintf(m.Out, "%s: %d records = %d asked", res.Day, res.Planned, res.Asked)
	for _, reason := range survey.Reasons {
		if n := res.Not[reason]; n > 0 {
			fmt.Fprintf(m.Out, " + %d %s", n, reason.Label())
		}
	}
	fmt.Fprintf(m.Out, "; %d decided by an earlier run; configuration %s\n", res.Already, res.Version)
	if r.DryRun {
		fmt.Fprintln(m.Out, "dry run: nothing was kept")
	}
	return nil
}
