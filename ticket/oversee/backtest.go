package oversee

import (
	"context"
	"fmt"
	"time"

	"lianxin/audit"
	"lianxin/storage"
	"lianxin/ticket"
	"lianxin/ticket/warn"
	"lianxin/workday"
)

// Backtest is what the rules would have done over stored tickets.
type Backtest struct {
	From, To time.Time
	Facts    int
	Rules    []BacktestRule
}

// BacktestRule is one rule in a back-test.
type BacktestRule struct {
	Code, Label string
	Fired       int
	First, Last time.Time
	Weeks       map[workday.Day]int // by the Monday
	Latest      []BacktestHit       // the last ones, at most 20, the latest first
	Real        int                 // alerts that were raised in the same time
	Noise       int                 // of them disposed of as false
}

// BacktestHit is one firing.
type BacktestHit struct {
	At       time.Time
	Ticket   string // number
	Title    string
	Evidence string
	N        int // tickets that belong to it
}

// Backtest runs the rules over the facts that are stored, and tells which would have fired in [from, to) when and how often.
// Nothing is written. The rules remember what was before from.
func (d *Desk) Backtest(ctx context.Context, db *storage.DB, rules Rules, from, to time.Time, viewer ticket.Actor) (Backtest, error) {
	if err := rules.Check(); err != nil {
		return Backtest{}, err
	}
	out := Backtest{From: from, To: to}
	engine := warn.NewEngine(rules.Warn, rules.Match, d.reckoner(), nil)
	at := map[string]int{}
	for i, r := range warn.List {
		out.Rules = append(out.Rules, BacktestRule{Code: r.Code, Label: r.Label, Weeks: map[workday.Day]int{}})
		at[r.Code] = i
	}
	note := func(tx *storage.Tx, list []warn.Firing) error {
		for _, f := range list {
			if f.Grows || f.At.Before(from) || !f.At.Before(to) {
				continue
			}
			r := &out.Rules[at[f.Rule]]
			hit := BacktestHit{At: f.At, Title: f.Title, Evidence: f.Evidence, N: len(f.Tickets)}
			if f.Ticket != "" {
				t, err := d.Office.See(tx, f.Ticket, viewer)
				if err != nil {
					continue // not for this reader
				}
				hit.Ticket = t.Number
			}
			r.Fired++
			if r.First.IsZero() {
				r.First = f.At
			}
			r.Last = f.At
			day := workday.DayOf(f.At)
			r.Weeks[day.Add(-(int(day.Weekday())+6)%7)]++
			r.Latest = append([]BacktestHit{hit}, r.Latest...)
			r.Latest = r.Latest[:min(20, len(r.Latest))]
		}
		return nil
	}
	err := db.View(ctx, func(tx *storage.Tx) error {
		periods, err := d.periods(tx)
		if err != nil {
			return err
		}
		engine.Periods = periods
		var clock time.Time
		rated := from.Add(-horizon)
		for seq := int64(0); ctx.Err() == nil; {
			events, err := audit.After(tx, seq, 1)
			if err != nil {
				return err
			}
			if len(events) == 0 || !events[0].At.Before(to) {
				break
			}
			facts, last, until, err := d.readFacts(tx, seq, 500)
			if err != nil {
				return err
			}
			if last == seq {
				break // nothing of tickets any more
			}
			for _, f := range facts {
				when := factTime(f)
				if !when.Before(to) {
					break
				}
				for clock.IsZero() || when.Sub(clock) >= time.Hour {
					if clock.IsZero() || when.Sub(clock) > 40*24*time.Hour {
						clock = when.Truncate(time.Hour)
					} else {
						clock = clock.Add(time.Hour)
					}
					if err := note(tx, engine.Tick(clock)); err != nil {
						return err
					}
				}
				if o, ok := f.(instructed); ok {
					f = o.Moved
				}
				engine.Quiet = when.Before(from)
				out.Facts++
				if err := note(tx, engine.Feed(f)); err != nil {
					return err
				}
			}
			if d.Ratings != nil && until.After(rated) {
				list, err := d.Ratings(tx, rated, until)
				if err != nil {
					return err
				}
				for _, r := range list {
					out.Facts++
					if err := note(tx, engine.Feed(r)); err != nil {
						return err
					}
				}
				rated = until
			}
			seq = last
		}
		for i := range out.Rules {
			r := &out.Rules[i]
			type n struct{ all, noise int }
			x, err := storage.One(tx, func(row storage.Row) (x n, err error) { return x, row.Scan(&x.all, &x.noise) },
				`SELECT COUNT(*), COALESCE(SUM(CASE WHEN disposition = 'noise' THEN 1 ELSE 0 END), 0) FROM ticket_alert WHERE rule = $1 AND raised_at >= $2 AND raised_at < $3`,
				r.Code, storage.At(from), storage.At(to))
			if err != nil {
				return err
			}
			r.Real, r.Noise = x.all, x.noise
		}
		return ctx.Err()
	})
	if err != nil {
		return Backtest{}, fmt.Errorf("back-test: %w", err)
	}
	return out, nil
}

func factTime(f warn.Fact) time.Time {
	switch f := f.(type) {
	case warn.Opened:
		return f.At
	case warn.Moved:
		return f.At
	case instructed:
		return f.At
	case warn.Rated:
		return f.At
	case warn.Tagged:
		return f.At
	}
	return time.Time{}
}

// RuleFigures are how a rule did: raised, acknowledged in time, disposed of, and how many of these were false alarms.
type RuleFigures struct {
	Code, Label, Condition         string
	Raised, Acked, Disposed, Noise int
	Ticket, Order, Intervention    int
	Escalated                      int
	Off                            bool
}

// NoiseRate is the share of false alarms among those that people disposed of.
func (r RuleFigures) NoiseRate() float64 {
	if r.Disposed == 0 {
		return 0
	}
	return float64(r.Noise) / float64(r.Disposed)
}

// silent are the rules of other rooms that W16 stands for.
var silent = []string{"W16", "survey_no_replies", "survey_few_replies", "survey_no_receipts", "survey_no_canary", "unattended"}

// RuleCounts counts the alerts of each rule that were raised in [from, to).
func (d *Desk) RuleCounts(tx *storage.Tx, from, to time.Time) ([]RuleFigures, error) {
	rules, err := d.rules(tx)
	if err != nil {
		return nil, err
	}
	type row struct {
		rule, state, disposition string
		escalations              int
	}
	rows, err := storage.All(tx, func(r storage.Row) (x row, err error) {
		return x, r.Scan(&x.rule, &x.state, &x.disposition, &x.escalations)
	},
		`SELECT rule, state, disposition, escalations FROM ticket_alert WHERE raised_at >= $1 AND raised_at < $2`, storage.At(from), storage.At(to))
	if err != nil {
		return nil, fmt.Errorf("count alerts: %w", err)
	}
	at := map[string]*RuleFigures{}
	out := make([]RuleFigures, len(warn.List))
	for i, r := range warn.List {
		out[i] = RuleFigures{Code: r.Code, Label: r.Label, Condition: r.Condition}
		for _, off := range rules.Warn.Off {
			out[i].Off = out[i].Off || off == r.Code
		}
		at[r.Code] = &out[i]
	}
	for _, s := range silent {
		at[s] = at["W16"]
	}
	for _, r := range rows {
		n := at[r.rule]
		if n == nil {
			continue
		}
		n.Raised++
		if r.escalations > 0 {
			n.Escalated++
		}
		if r.state != "RAISED" {
			n.Acked++
		}
		if r.state == "DISPOSED" {
			n.Disposed++
		}
		switch ticket.Disposition(r.disposition) {
		case ticket.Noise:
			n.Noise++
		case ticket.ToTicket:
			n.Ticket++
		case ticket.ToOrder:
			n.Order++
		case ticket.Intervention:
			n.Intervention++
		}
	}
	return out, nil
}

// ParseRules reads rules as a person wrote them; what is missing keeps its default.
func ParseRules(body string) (Rules, error) {
	r, err := parseRules([]byte(body))
	if err == nil {
		err = r.Check()
	}
	if err != nil {
		return Rules{}, refuse("rules", "规则有误：%v", err)
	}
	return r, nil
}
