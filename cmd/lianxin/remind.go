package main

import (
	"context"
	"fmt"

	"lianxin/survey"
)

type surveyRemindCmd struct {
	DryRun bool `name:"dry-run" help:"Say who of the silent would be reminded now and why not the others, whatever the hour, and keep nothing."`
}

// Run reminds by hand those of classes with a reminder who have not answered, as the server does every ten minutes. The
// texts are queued; a running server sends them.
func (r *surveyRemindCmd) Run(ctx context.Context, m *Main, cfg *Config) error {
	c, err := openRooms(ctx, cfg, newLogger(m.Err, cfg))
	if err != nil {
		return err
	}
	defer c.db.Close()
	res, err := c.survey.Remind(ctx, survey.RemindOptions{DryRun: r.DryRun, Decision: func(d survey.Reminding) { fmt.Fprintln(m.Out, d) }})
	if err != nil {
		return err
	}
	fmt.Fprintf(m.Out, "%d reminded", res.Reminded)
	for _, reason := range survey.Reasons {
		if n := res.Not[reason]; n > 0 {
			fmt.Fprintf(m.Out, " + %d %s", n, reason.Label())
		}
	}
	fmt.Fprintf(m.Out, "; %d taken back\n", res.Recalled)
	if r.DryRun {
		fmt.Fprintln(m.Out, "dry run: nothing was kept")
	}
	return nil
}
