package report

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"lianxin/storage"
	"lianxin/ticket"
	"lianxin/ticket/oversee"
)

// Past is what the log tells of an earlier moment, as tables that figures are counted over like those of today: tickets with
// their legs, clocks, requests, ratings and call-backs, and the matters of oversight, each replayed from its events up to the
// moment. What is only named there (units, channels, classes, causes) is as it is named today. Close it.
type Past struct {
	At time.Time

	db *storage.DB
	o  *Office
}

// Past replays what figures of a period, and of the one before, are made of, as it stood right after the moment at.
func (o *Office) Past(ctx context.Context, db *storage.DB, p Period, at time.Time) (*Past, error) {
	set := o.at(p)
	since := p.Before().From.AddDate(0, 0, -max(set.RepeatDays, set.SettledDays)-1)
	scratch, err := storage.Scratch(ctx)
	if err != nil {
		return nil, err
	}
	then := *o
	then.Now = func() time.Time { return at }
	if o.Oversight != nil {
		then.Oversight = &oversee.Desk{Office: o.Oversight.Office, Now: then.Now}
	}
	out := &Past{At: at, db: scratch, o: &then}
	err = db.View(ctx, func(from *storage.Tx) error {
		return scratch.Update(ctx, func(to *storage.Tx) error {
			for _, table := range []string{"org_unit", "ticket_channel", "ticket_class", "ticket_cause"} {
				if err := storage.Copy(from, to, table, ``); err != nil {
					return err
				}
			}
			if err := storage.Copy(from, to, "ticket_alert", `WHERE raised_at <= $1 AND raised_at >= $2`, storage.At(at), storage.At(p.Before().From)); err != nil {
				return err
			}
			if _, err := ticket.CopyAt(from, to, at, since); err != nil {
				return err
			}
			return oversee.CopyAt(from, to, at)
		})
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("count the past: %w", err), scratch.Close())
	}
	return out, nil
}

// Close throws it away.
func (p *Past) Close() error { return p.db.Close() }

// fill is Office.fill over the past; live is the database of today, for what the log does not tell.
func (p *Past) fill(live *storage.Tx, e *Edition) error {
	return p.db.View(live.Context(), func(tx *storage.Tx) error {
		err := p.o.fillFrom(tx, live, e)
		e.Content.Past = true
		return err
	})
}

// DraftPast is DraftEdition for a period that is over, counted as it stood when the period ended: the same whenever it is
// drafted. What was corrected later is told beside it once it is published (Since), and is in the next version.
func (o *Office) DraftPast(ctx context.Context, db *storage.DB, in Drafting, by ticket.Actor) (e Edition, err error) {
	p := in.Period
	if in.Kind != Special {
		p = in.Kind.Period(in.Day)
	}
	at := p.To
	if p.From.IsZero() || !p.From.Before(p.To) || at.After(o.clock()) {
		err = db.Update(ctx, func(tx *storage.Tx) (err error) { e, err = o.DraftEdition(tx, in, by); return err }) // it says what is wrong, or counts up to now
		return e, err
	}
	past, err := o.Past(ctx, db, p, at)
	if err != nil {
		return e, err
	}
	defer past.Close()
	err = db.Update(ctx, func(tx *storage.Tx) (err error) {
		e, err = o.draft(tx, in, by, func(e *Edition) error { return past.fill(tx, e) })
		return err
	})
	return e, err
}

// Reproduce counts an edition once more from the log, as of its cut-off, and returns where it says something else than what is
// kept. Words, what comes from the texts' own records, and results of polls are not compared.
func (o *Office) Reproduce(ctx context.Context, db *storage.DB, e Edition) ([]Difference, error) {
	past, err := o.Past(ctx, db, e.Period, e.CutOff)
	if err != nil {
		return nil, err
	}
	defer past.Close()
	again := e
	again.Content = Content{Words: e.Content.Words}
	if err := db.View(ctx, func(tx *storage.Tx) error { return past.fill(tx, &again) }); err != nil {
		return nil, err
	}
	kept := e.Content
	for _, c := range []*Content{&kept, &again.Content} {
		c.Tables = slices.DeleteFunc(slices.Clone(c.Tables), func(g Grid) bool { return g.Live })
	}
	return Diff(kept, again.Content), nil
}
