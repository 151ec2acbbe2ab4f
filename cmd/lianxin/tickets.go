package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"lianxin/storage"
	"lianxin/ticket"
	"lianxin/ticket/channel"
)

type ticketsCmd struct {
	Import  ticketsImportCmd  `cmd:"" help:"Read requests of a channel from a CSV or XLSX file; every line is accounted for."`
	Results ticketsResultsCmd `cmd:"" help:"Write the file of results for the body whose channel it is: each settled request once."`
}

type ticketsImportCmd struct {
	File    string            `arg:"" help:"CSV (UTF-8, GBK, GB18030, UTF-16) or XLSX." type:"existingfile"`
	Channel string            `required:"" help:"Code of the channel, such as 12345, people, baixing."`
	DryRun  bool              `name:"dry-run" help:"Tell what would happen and keep nothing."`
	Report  string            `help:"Write the refused lines to this CSV file, to be mended and imported again; by default FILE.refused.csv when there are any." type:"path"`
	Map     map[string]string `help:"What a column tells, HEADING=FIELD, may be given again; fields: external_id, received_at, due, title, body, kind, place, name, phone, mail, identity, unit, accused_unit, incident, confidential, anonymous. Columns that are not named are read as remembered, or by their names." placeholder:"HEADING=FIELD"`
	Quiet   bool              `short:"q" help:"Print only lines that were refused or are odd, and the sums."`
}

// Run reads the file and prints what became of every line. It ends with status 1 when any line was refused; the good
// lines are in all the same.
func (r *ticketsImportCmd) Run(ctx context.Context, m *Main, cfg *Config) error {
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
	if r.Report == "" {
		r.Report = r.File + ".refused.csv"
	}
	report := &lateFile{path: r.Report}
	var mapping channel.Mapping
	if len(r.Map) > 0 {
		mapping = r.Map
	}
	sum, err := c.gateway.Import(ctx, f, filepath.Base(r.File), channel.ImportOptions{Channel: r.Channel, DryRun: r.DryRun, Mapping: mapping, By: ticket.System, Report: report,
		Line: func(l channel.Line) {
			if r.Quiet && l.Code == "" && l.Outcome != channel.Refused {
				return
			}
			fmt.Fprintf(m.Out, "line %d: %s", l.Number, l.Outcome)
			if l.ExternalID != "" {
				fmt.Fprintf(m.Out, " %s", l.ExternalID)
			}
			if l.Ticket != "" {
				fmt.Fprintf(m.Out, " → %s", l.Ticket)
			}
			if l.Code != "" {
				fmt.Fprintf(m.Out, " [%s] %s; %s", l.Code, l.Reason, l.English)
			}
			fmt.Fprintln(m.Out)
		}})
	if closed := report.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return fmt.Errorf("import %s: %w", r.File, err)
	}
	fmt.Fprintf(m.Out, "%s (%s): %d lines = %d accepted + %d known + %d changed + %d refused; %d with a reservation; %s\n",
		sum.Name, sum.Encoding, sum.Lines, sum.Accepted, sum.Known, sum.Changed, sum.Refused, sum.Odd, sum.Took.Round(1e7))
	if r.DryRun {
		fmt.Fprintln(m.Out, "dry run: nothing was kept")
	}
	if sum.Refused > 0 {
		fmt.Fprintf(m.Out, "refused lines are in %s: mend them there and import that file\n", r.Report)
		return errSaid
	}
	return nil
}

// lateFile is a file that is made when something is written to it.
type lateFile struct {
	path string
	f    *os.File
}

func (l *lateFile) Write(p []byte) (int, error) {
	if l.f == nil {
		f, err := os.OpenFile(l.path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
		if err != nil {
			return 0, err
		}
		l.f = f
	}
	return l.f.Write(p)
}

func (l *lateFile) Close() error {
	if l.f == nil {
		return nil
	}
	return l.f.Close()
}

type ticketsResultsCmd struct {
	Channel string `required:"" help:"Code of the channel, such as 12345."`
	Out     string `help:"File to write; by default NAME of the batch in the present folder. .xlsx makes a workbook, else CSV." type:"path"`
	Batch   string `help:"Write an earlier batch again, by its id."`
}

// Run makes a batch of the results that no batch holds yet and writes it.
func (r *ticketsResultsCmd) Run(ctx context.Context, m *Main, cfg *Config) error {
	c, err := openRooms(ctx, cfg, newLogger(m.Err, cfg))
	if err != nil {
		return err
	}
	defer c.db.Close()
	if _, err := c.gateway.Relay(ctx); err != nil {
		return err
	}
	var b channel.Batch
	err = c.db.Update(ctx, func(tx *storage.Tx) (err error) {
		if r.Batch != "" {
			b, err = c.gateway.BatchOf(tx, r.Batch)
			return err
		}
		b, err = c.gateway.NewBatch(tx, r.Channel, ticket.System)
		return err
	})
	if err != nil {
		return err
	}
	if b.ID == "" {
		fmt.Fprintf(m.Out, "no new results for %s\n", r.Channel)
		return nil
	}
	if r.Out == "" {
		r.Out = b.Name() + ".csv"
	}
	f, err := os.OpenFile(r.Out, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	err = c.db.View(ctx, func(tx *storage.Tx) error {
		items, err := c.gateway.Items(tx, b.ID)
		if err != nil {
			return err
		}
		return channel.WriteItems(f, items, filepath.Ext(r.Out) == ".xlsx")
	})
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = c.db.Update(ctx, func(tx *storage.Tx) error { return c.gateway.Written(tx, b.ID) })
	}
	if err != nil {
		return fmt.Errorf("write the results: %w", err)
	}
	fmt.Fprintf(m.Out, "%s: %d results, batch %s\n", r.Out, b.Items, b.ID)
	return nil
}

var _ io.WriteCloser = (*lateFile)(nil)
