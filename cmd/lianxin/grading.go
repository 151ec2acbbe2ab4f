package main

import (
	"context"
	"fmt"
	"os"

	"lianxin/storage"
	"lianxin/ticket"
)

type ticketGradingCmd struct {
	Propose string `help:"File with a new version, in the form this command prints." type:"existingfile" placeholder:"FILE"`
	Note    string `help:"What changes, and why."`
	Consent string `help:"Consent to a proposed version." placeholder:"ID"`
	Refuse  string `help:"Refuse a proposed version." placeholder:"ID"`
	Reason  string `help:"Why it is refused."`
	List    bool   `help:"List the versions that were proposed."`
	By      string `help:"Login of who proposes (administrator) or decides (leader): never the same person." placeholder:"LOGIN"`
}

// Run prints the grading rules in force (YAML), lists the versions, or proposes, publishes or refuses one.
func (c *ticketGradingCmd) Run(ctx context.Context, m *Main, cfg *Config) error {
	rooms, err := openOffice(ctx, m, cfg)
	if err != nil {
		return err
	}
	defer rooms.db.Close()
	o := rooms.office
	switch {
	case c.Propose != "":
		b, err := os.ReadFile(c.Propose)
		if err != nil {
			return err
		}
		var g ticket.GradingRules
		err = rooms.db.Update(ctx, func(tx *storage.Tx) error {
			by, err := staffActor(tx, c.By)
			if err != nil {
				return err
			}
			g, err = o.ProposeGrading(tx, b, c.Note, by)
			return err
		})
		if err != nil {
			return fmt.Errorf("%s: %w", c.Propose, err)
		}
		fmt.Fprintf(m.Out, "%s waits for consent; from %s\n", g.ID, g.Effective)
		return nil
	case c.Consent != "" || c.Refuse != "":
		id := c.Consent
		if id == "" {
			id = c.Refuse
		}
		var g ticket.GradingRules
		err := rooms.db.Update(ctx, func(tx *storage.Tx) error {
			by, err := staffActor(tx, c.By)
			if err != nil {
				return err
			}
			g, err = o.ConsentGrading(tx, id, c.Consent != "", c.Reason, by)
			return err
		})
		if err != nil {
			return err
		}
		fmt.Fprintf(m.Out, "%s %s; from %s\n", g.ID, g.State, g.Effective)
		return nil
	case c.List:
		return rooms.db.View(ctx, func(tx *storage.Tx) error {
			list, err := o.GradingVersions(tx)
			for _, g := range list {
				force := ""
				if g.InForce {
					force = " in force"
				}
				fmt.Fprintf(m.Out, "%s %s from %s%s: %s\n", g.ID, g.State, g.Effective, force, g.Note)
			}
			return err
		})
	}
	return rooms.db.View(ctx, func(tx *storage.Tx) error {
		r, _, err := o.GradingInForce(tx)
		if err != nil {
			return err
		}
		b, err := r.YAML()
		if err != nil {
			return err
		}
		_, err = m.Out.Write(b)
		return err
	})
}
