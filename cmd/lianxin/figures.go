package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"lianxin/report"
	"lianxin/storage"
	"lianxin/workday"
)

type figuresCmd struct {
	Show   figuresShowCmd   `cmd:"" default:"withargs" help:"Print the figures of some days as JSON lines."`
	Verify figuresVerifyCmd `cmd:"" help:"Count them once more from the log alone; exit 1 where the tables say otherwise."`
}

type figureDays struct {
	From workday.Day `help:"First day (YYYY-MM-DD); four weeks back by default."`
	To   workday.Day `help:"Last day; today by default."`
}

func (d figureDays) period() (report.Period, error) {
	first, last := d.From, d.To
	if last.IsZero() {
		last = workday.DayOf(time.Now())
	}
	if first.IsZero() {
		first = last.Add(-27)
	}
	if first > last {
		return report.Period{}, fmt.Errorf("%s is after %s", first, last)
	}
	return report.Days(first, last), nil
}

type figuresShowCmd struct{ figureDays }

// Run prints each figure with its definition.
func (c *figuresShowCmd) Run(ctx context.Context, m *Main, cfg *Config) error {
	p, err := c.period()
	if err != nil {
		return err
	}
	rooms, err := openOffice(ctx, m, cfg)
	if err != nil {
		return err
	}
	defer rooms.db.Close()
	return rooms.db.View(ctx, func(tx *storage.Tx) error {
		all, err := rooms.figures.Figures(tx, p, report.Scope{})
		if err != nil {
			return err
		}
		enc := json.NewEncoder(m.Out)
		enc.SetEscapeHTML(false)
		for _, f := range all {
			line := map[string]any{"id": f.Metric.ID, "label": f.Metric.Label, "formula": f.Metric.Explain(rooms.figures.At(p)), "version": f.Version, "from": p.First(), "to": p.Last(), "n": f.N, "value": f.Value}
			switch f.Metric.Kind {
			case report.Share:
				line["hits"] = f.Hits()
			case report.Satisfaction:
				line["stars"] = f.Grades
			case report.Duration:
				line["value"] = f.Spans.Median.Hours()
			}
			if err := enc.Encode(line); err != nil {
				return err
			}
		}
		return nil
	})
}

type figuresVerifyCmd struct{ figureDays }

// Run compares the figures with those that a replay of the log gives.
func (c *figuresVerifyCmd) Run(ctx context.Context, m *Main, cfg *Config) error {
	p, err := c.period()
	if err != nil {
		return err
	}
	rooms, err := openOffice(ctx, m, cfg)
	if err != nil {
		return err
	}
	defer rooms.db.Close()
	var diff []report.Mismatch
	var compared []string
	if err := rooms.db.View(ctx, func(tx *storage.Tx) (err error) { diff, compared, err = rooms.figures.Recount(tx, p); return err }); err != nil {
		return err
	}
	for _, d := range diff {
		fmt.Fprintln(m.Err, d)
	}
	if len(diff) > 0 {
		return errSaid
	}
	fmt.Fprintf(m.Out, "%d figures from %s to %s are what the log tells\n", len(compared), p.First(), p.Last())
	return nil
}

// metricsFile in the data folder takes the place of the settings of figures that ship.
const metricsFile = "metrics.yaml"

// wireFigures opens the registry of figures.
func (c *centre) wireFigures() error {
	settings := report.Shipped()
	b, err := os.ReadFile(filepath.Join(c.cfg.Data, metricsFile))
	if err == nil {
		settings, err = report.ReadSettings(b)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w", metricsFile, err)
	}
	c.figures = &report.Office{Settings: settings, Now: time.Now, Working: c.office.Working, Oversight: c.oversight, Survey: c.survey}
	return nil
}

// noteFigures writes the settings of figures that are new into the log.
func (c *centre) noteFigures(ctx context.Context) error {
	return c.db.Update(ctx, func(tx *storage.Tx) error { return c.figures.Note(tx, time.Now()) })
}
