package main

import (
	"context"
	"fmt"
	"time"

	"lianxin/survey"
	"lianxin/ticket"
	"lianxin/workday"
)

type surveyRereadCmd struct {
	From  workday.Day `help:"First day the replies were received, YYYY-MM-DD; 28 days ago when left out."`
	To    workday.Day `help:"Last day; today when left out."`
	Queue bool        `help:"Put replies that read otherwise, and that no person has read, before people; without it nothing is changed."`
}

// Run reads old replies with the word lists of today and prints which would be read otherwise. It prints no words: they
// are personal data, and whoever decides sees them on the page.
func (r *surveyRereadCmd) Run(ctx context.Context, m *Main, cfg *Config) error {
	c, err := openRooms(ctx, cfg, newLogger(m.Err, cfg))
	if err != nil {
		return err
	}
	defer c.db.Close()
	today := workday.DayOf(time.Now())
	if r.To.IsZero() {
		r.To = today
	}
	if r.From.IsZero() {
		r.From = today.Add(-28)
	}
	moves := map[string]int{}
	say := func(label string, rating int) string {
		if rating == 0 {
			return label
		}
		return fmt.Sprintf("%s %d", label, rating)
	}
	out, err := c.survey.Reread(ctx, survey.RereadOptions{From: r.From, To: r.To, Queue: r.Queue, By: ticket.System, Change: func(ch survey.Change) {
		move := say(string(ch.Was.Label), ch.Was.Rating) + " → " + say(string(ch.Now.Label), ch.Now.Rating)
		moves[move]++
		note := ""
		switch {
		case ch.Settled:
			note = " (a person has read it; left alone)"
		case ch.Queued:
			note = " (put before people)"
		case ch.Counted:
			note = " (its rating counts)"
		}
		fmt.Fprintf(m.Out, "%s %s: %s; %s, lexicon %s%s\n", ch.ReceivedAt.In(workday.Zone).Format("2006-01-02 15:04"), ch.AnswerID, move, ch.Now.Why, ch.Lexicon, note)
	}})
	if err != nil {
		return err
	}
	fmt.Fprintf(m.Out, "%d replies read with lexicon %s: %d the same, %d otherwise, %d put before people\n", out.Read, out.Lexicon, out.Same, out.Changed, out.Queued)
	return nil
}
