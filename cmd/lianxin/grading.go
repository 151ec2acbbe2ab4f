package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"lianxin/storage"
	"lianxin/ticket"
	"lianxin/ticket/grade"
)

type ticketGradingCmd struct {
	Words        bool   `help:"Print the word list in force instead of the rules."`
	Try          bool   `help:"Only show what the files would change, on the rules and on past tickets."`
	Propose      string `help:"File with new rules, in the form this command prints." placeholder:"FILE"`
	ProposeWords string `help:"File with a new word list, in the form that --words prints; with rules of the file of --propose, or else those in force under the name of --version from --from on." placeholder:"FILE"`
	ProgramWords bool   `help:"Go back to the word list of the program."`
	Version      string `help:"Name of the new version, when it has a new word list only."`
	From         string `help:"First day of the new version, when it has a new word list only." placeholder:"YYYY-MM-DD"`
	Note         string `help:"What changes, and why."`
	Consent      string `help:"Consent to a proposed version." placeholder:"ID"`
	Refuse       string `help:"Refuse a proposed version." placeholder:"ID"`
	Reason       string `help:"Why it is refused."`
	Show         string `help:"Show what a version changes, and what its trial found." placeholder:"ID"`
	List         bool   `help:"List the versions that were proposed."`
	Days         int    `help:"How many days of past tickets a version is tried on." default:"90"`
	Limit        int    `help:"How many tickets at most." default:"2000"`
	By           string `help:"Login of who proposes (administrator) or decides (leader): never the same person." placeholder:"LOGIN"`
}

// Run prints the grading rules or words in force (YAML), lists or shows the versions, or tries, proposes, publishes or refuses one.
func (c *ticketGradingCmd) Run(ctx context.Context, m *Main, cfg *Config) error {
	if err := c.check(); err != nil {
		return err
	}
	rooms, err := openOffice(ctx, m, cfg)
	if err != nil {
		return err
	}
	defer rooms.db.Close()
	o, db := rooms.office, rooms.db
	switch {
	case c.changes():
		return c.propose(ctx, m.Out, o, db)
	case c.Consent != "" || c.Refuse != "":
		return c.decide(ctx, m.Out, o, db)
	case c.Show != "":
		return c.show(ctx, m.Out, o, db)
	case c.List:
		return db.View(ctx, func(tx *storage.Tx) error {
			list, err := o.GradingVersions(tx)
			for _, g := range list {
				force := ""
				if g.InForce {
					force = " in force"
				}
				fmt.Fprintf(m.Out, "%s %s from %s%s: %s\n", g.ID, g.State, g.Effective, force, g.Note)
			}
			if err == nil && len(list) == 0 {
				fmt.Fprintln(m.Out, "no version was proposed; the rules of the program are in force")
			}
			return err
		})
	}
	return db.View(ctx, func(tx *storage.Tx) error {
		r, _, err := o.GradingInForce(tx)
		if err != nil {
			return err
		}
		out := []byte(r.Words())
		if !c.Words {
			if out, err = r.YAML(); err != nil {
				return err
			}
		}
		_, err = m.Out.Write(out)
		return err
	})
}

func (c *ticketGradingCmd) changes() bool {
	return c.Propose != "" || c.ProposeWords != "" || c.ProgramWords
}

// check refuses what cannot be meant before anything is opened.
func (c *ticketGradingCmd) check() error {
	verbs := 0
	for _, given := range []bool{c.changes(), c.Consent != "", c.Refuse != "", c.Show != "", c.List, c.Words} {
		if given {
			verbs++
		}
	}
	switch {
	case verbs > 1:
		return errors.New("propose, consent, refuse, show, list or words: one at a time")
	case c.ProposeWords != "" && c.ProgramWords:
		return errors.New("--propose-words or --program-words, not both")
	case c.Try && !c.changes():
		return errors.New("--try needs --propose, --propose-words or --program-words")
	case c.changes() && c.Propose == "" && (c.Version == "" || c.From == ""):
		return errors.New("a new word list alone needs --version and --from")
	case c.Propose != "" && (c.Version != "" || c.From != ""):
		return errors.New("--version and --from stand in the file of --propose")
	case (c.changes() && !c.Try || c.Consent != "" || c.Refuse != "") && c.By == "":
		return errors.New("--by is missing: who proposes or decides")
	case c.changes() && !c.Try && c.Note == "":
		return errors.New("--note is missing: what changes, and why")
	case c.Refuse != "" && c.Reason == "":
		return errors.New("--reason is missing: why it is refused")
	case c.Days < 1 || c.Days > 3660 || c.Limit < 1 || c.Limit > 1_000_000:
		return errors.New("--days must be 1 to 3660, --limit 1 to 1000000")
	}
	return nil
}

// proposal reads the files over what is in force.
func (c *ticketGradingCmd) proposal(now *grade.Rules) (p ticket.GradingProposal, err error) {
	p.Note = c.Note
	if c.Propose != "" {
		if p.Body, err = os.ReadFile(c.Propose); err != nil {
			return p, err
		}
	} else if p.Body, err = now.Renamed(c.Version, c.From, cmp.Or(c.By, "试算")); err != nil {
		return p, err
	}
	switch {
	case c.ProposeWords != "":
		b, err := os.ReadFile(c.ProposeWords)
		if err != nil {
			return p, err
		}
		if len(b) == 0 {
			return p, fmt.Errorf("%s is empty", c.ProposeWords)
		}
		p.Words = string(b)
	case !c.ProgramWords && !now.OwnWords():
		p.Words = now.Words() // new points keep the words that were published
	}
	return p, nil
}

func (c *ticketGradingCmd) propose(ctx context.Context, out io.Writer, o *ticket.Office, db *storage.DB) error {
	var now *grade.Rules
	var by ticket.Actor
	err := db.View(ctx, func(tx *storage.Tx) (err error) {
		if now, _, err = o.GradingInForce(tx); err != nil || c.Try {
			return err
		}
		by, err = staffActor(tx, c.By)
		return err
	})
	if err != nil {
		return err
	}
	p, err := c.proposal(now)
	if err != nil {
		return err
	}
	r, err := p.Check()
	if err != nil {
		return fmt.Errorf("%s: %w", c.Propose+c.ProposeWords, err)
	}
	if p.Trial, err = o.TryGrading(ctx, db, r, c.Days, c.Limit); err != nil {
		return err
	}
	if !c.Try {
		var g ticket.GradingRules
		err = db.Update(ctx, func(tx *storage.Tx) error { g, err = o.ProposeGrading(tx, p, by); return err })
		if err != nil {
			return fmt.Errorf("%s: %w", c.Propose+c.ProposeWords, err)
		}
		fmt.Fprintf(out, "%s waits for consent; from %s\n", g.ID, g.Effective)
	}
	printChanges(out, now, r)
	printTrial(out, p.Trial)
	return nil
}

func (c *ticketGradingCmd) decide(ctx context.Context, out io.Writer, o *ticket.Office, db *storage.DB) error {
	id := c.Consent + c.Refuse
	var by ticket.Actor
	err := db.View(ctx, func(tx *storage.Tx) (err error) { by, err = staffActor(tx, c.By); return err })
	if err != nil {
		return err
	}
	var g ticket.GradingRules
	err = db.Update(ctx, func(tx *storage.Tx) (err error) {
		g, err = o.ConsentGrading(tx, id, c.Consent != "", c.Reason, by)
		return err
	})
	if errors.Is(err, storage.ErrNotFound) {
		return fmt.Errorf("no version %q; --list shows those there are: %w", id, err)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s %s; from %s\n", g.ID, g.State, g.Effective)
	return nil
}

func (c *ticketGradingCmd) show(ctx context.Context, out io.Writer, o *ticket.Office, db *storage.DB) error {
	return db.View(ctx, func(tx *storage.Tx) error {
		list, err := o.GradingVersions(tx)
		if err != nil {
			return err
		}
		now, _, err := o.GradingInForce(tx)
		if err != nil {
			return err
		}
		for _, g := range list {
			if g.ID != c.Show {
				continue
			}
			fmt.Fprintf(out, "%s %s from %s: %s\n", g.ID, g.State, g.Effective, g.Note)
			r, err := g.Rules()
			if err != nil {
				return fmt.Errorf("version %s: %w", g.ID, err)
			}
			printChanges(out, now, r)
			printTrial(out, g.Trial)
			return nil
		}
		return fmt.Errorf("no version %q; --list shows those there are", c.Show)
	})
}

func printChanges(out io.Writer, now, r *grade.Rules) {
	for _, x := range append(now.Changes(r), now.WordChanges(r)...) {
		fmt.Fprintf(out, "  %s: %s → %s\n", x.What, x.From, x.To)
	}
}

func printTrial(out io.Writer, t ticket.GradingTrial) {
	if t.At.IsZero() {
		fmt.Fprintln(out, "not tried on past tickets")
		return
	}
	fmt.Fprintf(out, "tried on %d tickets since %s beside %s: %d graver, %d less grave\n", t.Tickets, t.From, t.Beside, t.Up, t.Down)
	for _, x := range t.Changed {
		fmt.Fprintf(out, "  %s %s → %s (E %d → %d, P %d → %d) +%v -%v\n", x.Number, x.From, x.To, x.Event[0], x.Event[1], x.Person[0], x.Person[1], x.Gained, x.Lost)
	}
	if t.More > 0 {
		fmt.Fprintf(out, "  and %d more\n", t.More)
	}
	for _, x := range t.Broken {
		fmt.Fprintf(out, "  example %q: %s must be found: %t\n", x.Text, x.Factor, x.Must)
	}
}
