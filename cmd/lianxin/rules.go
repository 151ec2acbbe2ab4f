package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"

	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket"
	"lianxin/workday"
)

type ticketRulesCmd struct {
	Publish   string      `help:"File with the limits to publish, as this command prints them." type:"existingfile" placeholder:"FILE"`
	Version   string      `help:"Name of the new version, such as 2026-2; in place of the file's."`
	Effective workday.Day `help:"First day on which new tickets come under it (YYYY-MM-DD); in place of the file's."`
	By        string      `help:"Login of the administrator who decides it." placeholder:"LOGIN"`
	Note      string      `help:"What changes, and why."`
}

// Run prints the rules in force, or publishes a file: tickets that are there keep the rules they were opened under.
func (c *ticketRulesCmd) Run(ctx context.Context, m *Main, cfg *Config) error {
	rooms, err := openOffice(ctx, m, cfg)
	if err != nil {
		return err
	}
	defer rooms.db.Close()
	if c.Publish == "" {
		var r ticket.Rules
		if err := rooms.db.View(ctx, func(tx *storage.Tx) (err error) { r, err = rooms.office.RulesInForce(tx); return err }); err != nil {
			return err
		}
		enc := json.NewEncoder(m.Out)
		enc.SetIndent("", "  ")
		enc.SetEscapeHTML(false)
		return enc.Encode(r)
	}
	b, err := os.ReadFile(c.Publish)
	if err != nil {
		return err
	}
	var r ticket.Rules
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&r); err != nil {
		return fmt.Errorf("%s: %w", c.Publish, err)
	}
	if c.Version != "" {
		r.Version = c.Version
	}
	if c.Effective != 0 {
		r.Effective = c.Effective
	}
	var id string
	err = rooms.db.Update(ctx, func(tx *storage.Tx) error {
		by, err := staffActor(tx, c.By)
		if err != nil {
			return err
		}
		id, err = rooms.office.PublishRules(tx, r, c.Note, by)
		return err
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(m.Out, "%s from %s\n", id, r.Effective)
	return nil
}

type ticketRecomputeCmd struct {
	Reason string `required:"" help:"Why: it stands in the history of every ticket that changes."`
}

// Run recomputes the clocks of open tickets that count by another calendar than the one in force.
func (c *ticketRecomputeCmd) Run(ctx context.Context, m *Main, cfg *Config) error {
	rooms, err := openOffice(ctx, m, cfg)
	if err != nil {
		return err
	}
	defer rooms.db.Close()
	n, err := rooms.office.RecomputeAll(func(fn func(tx *storage.Tx) error) error { return rooms.db.Update(ctx, fn) }, c.Reason, ticket.System)
	fmt.Fprintf(m.Out, "%d tickets\n", n)
	return err
}

type workdayImportCmd struct {
	File string `arg:"" type:"existingfile" help:"JSON in the format of holiday-cn."`
}

// Run takes a year into the database.
func (c *workdayImportCmd) Run(ctx context.Context, m *Main, cfg *Config) error {
	rooms, err := openOffice(ctx, m, cfg)
	if err != nil {
		return err
	}
	defer rooms.db.Close()
	b, err := os.ReadFile(c.File)
	if err != nil {
		return err
	}
	var year, waiting int
	err = rooms.db.Update(ctx, func(tx *storage.Tx) error {
		if year, err = rooms.office.AddCalendarYear(tx, b, ticket.System); err != nil {
			return err
		}
		ids, err := rooms.office.Uncounted(tx, "", 1_000_000)
		waiting = len(ids)
		return err
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(m.Out, "%d; %d open tickets count by the old calendar until `lianxin ticket recompute`\n", year, waiting)
	return nil
}

// openOffice opens the rooms over a database that is there, with the calendar's later years read.
func openOffice(ctx context.Context, m *Main, cfg *Config) (*centre, error) {
	if _, err := os.Stat(cfg.dsn()); cfg.Database == "" && err != nil {
		return nil, fmt.Errorf("there is no database in %s yet; `lianxin serve` makes one", cfg.Data)
	}
	c, err := openRooms(ctx, cfg, newLogger(m.Err, cfg))
	if err != nil {
		return nil, err
	}
	if err := c.db.View(ctx, c.office.ReadCalendar); err != nil {
		c.db.Close()
		return nil, err
	}
	return c, nil
}

// staffActor is the officer with a login, for commands that somebody has to answer for.
func staffActor(tx *storage.Tx, login string) (ticket.Actor, error) {
	s, err := org.StaffByLogin(tx, login)
	if err != nil {
		return ticket.Actor{}, fmt.Errorf("account %q: %w", login, err)
	}
	if !s.Active {
		return ticket.Actor{}, fmt.Errorf("account %s is closed", login)
	}
	return ticket.Staff(s), nil
}
