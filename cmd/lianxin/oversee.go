package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"lianxin/console"
	"lianxin/contact"
	"lianxin/ivr"
	"lianxin/org"
	"lianxin/storage"
	"lianxin/survey"
	"lianxin/ticket"
	"lianxin/ticket/oversee"
	"lianxin/ticket/warn"
	"lianxin/workday"
)

// wireOversight opens the room over tickets.
func (c *centre) wireOversight() {
	c.oversight = oversee.New(c.office)
	c.oversight.Changed = func(oversee.Head) { c.hub.Publish(console.EventOversight) }
	c.oversight.Ratings, c.oversight.ServedAt = serviceRatings, survey.ServedAt
	c.oversight.Signals = []oversee.Signal{{Name: "calls", Label: "民意热线日间无来电", Last: ivr.LastCall}}
}

// serviceRatings are the survey's ratings as the rules of warning take them.
func serviceRatings(tx *storage.Tx, from, to time.Time) ([]warn.Rated, error) {
	list, err := survey.ServiceRatings(tx, from, to)
	if err != nil {
		return nil, err
	}
	out := make([]warn.Rated, len(list))
	for i, r := range list {
		out[i] = warn.Rated{At: r.At, Unit: r.Unit, Class: r.Class, Stars: int(ticket.FromReplyDigit(r.Rating))}
		// Windows and clerks are numbered by each unit for itself.
		name := r.Unit
		if u, err := org.GetUnit(tx, r.Unit); err == nil {
			name = cmp.Or(u.Short, u.Name)
		}
		if r.Window != "" {
			out[i].Place, out[i].PlaceName = r.Unit+"/"+r.Window, name+" 窗口"+r.Window
		}
		if r.Clerk != "" {
			out[i].Clerk, out[i].ClerkName = r.Unit+"/"+r.Clerk, name+" 工号"+r.Clerk
		}
	}
	return out, nil
}

type ticketBacktestCmd struct {
	From  string `help:"First day, such as 2026-10-01; 28 days ago when not given." placeholder:"DAY"`
	To    string `help:"Last day; today when not given." placeholder:"DAY"`
	Rules string `help:"File with the rules to try (JSON, as the page of rules shows them); those in force when not given." type:"existingfile" placeholder:"FILE"`
}

// Run says which rules of early warning would have fired over the stored tickets, when and how often.
func (b *ticketBacktestCmd) Run(ctx context.Context, m *Main, c *Config) error {
	db, err := openExisting(ctx, c)
	if err != nil {
		return err
	}
	defer db.Close()
	vault, err := contact.OpenVault(filepath.Join(c.Data, keysFile))
	if err != nil {
		return err
	}
	office, err := ticket.NewOffice(&contact.Book{Vault: vault})
	if err != nil {
		return err
	}
	desk := oversee.New(office)
	desk.Ratings = serviceRatings
	to := workday.DayOf(time.Now())
	from := to.Add(-27)
	for _, x := range []struct {
		text string
		day  *workday.Day
	}{{b.From, &from}, {b.To, &to}} {
		if x.text == "" {
			continue
		}
		if *x.day, err = workday.ParseDay(x.text); err != nil {
			return err
		}
	}
	var rules oversee.Rules
	if b.Rules != "" {
		body, err := os.ReadFile(b.Rules)
		if err != nil {
			return err
		}
		if rules, err = oversee.ParseRules(string(body)); err != nil {
			return err
		}
	} else if err := db.View(ctx, func(tx *storage.Tx) (err error) { rules, err = desk.RulesInForce(tx); return err }); err != nil {
		return err
	}
	r, err := desk.Backtest(ctx, db, rules, from.Start(), to.End(), ticket.System)
	if err != nil {
		return err
	}
	fmt.Fprintf(m.Out, "%s to %s, rules %s, %d facts\n", from, to, rules.ID(), r.Facts)
	for _, x := range r.Rules {
		fmt.Fprintf(m.Out, "%-4s %-8s %5d firings", x.Code, x.Label, x.Fired)
		if x.Fired > 0 {
			fmt.Fprintf(m.Out, ", first %s, last %s", x.First.In(workday.Zone).Format("2006-01-02 15:04"), x.Last.In(workday.Zone).Format("2006-01-02 15:04"))
		}
		fmt.Fprintf(m.Out, "; raised %d, false %d\n", x.Real, x.Noise)
		for i := len(x.Latest) - 1; i >= max(0, len(x.Latest)-3); i-- {
			fmt.Fprintf(m.Out, "       %s %s %s\n", x.Latest[i].At.In(workday.Zone).Format("01-02 15:04"), x.Latest[i].Ticket, x.Latest[i].Title)
		}
	}
	return nil
}
