package ticket

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"lianxin/audit"
	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket/grade"
	"lianxin/workday"
)

// GradingTrial is what a version of the grading rules would make of past tickets, beside the version in force: both read the same texts and
// the facts as they are now, so that what differs comes from the rules alone. No text of a ticket is kept in it.
type GradingTrial struct {
	At      time.Time      `json:"at"`
	Rules   string         `json:"rules"`  // that were tried
	Beside  string         `json:"beside"` // and those in force then
	From    workday.Day    `json:"from"`   // tickets that came in since
	Tickets int            `json:"tickets"`
	Blank   int            `json:"blank"` // of them without a text, anonymised by then
	Before  map[Colour]int `json:"before"`
	After   map[Colour]int `json:"after"`
	Up      int            `json:"up"`
	Down    int            `json:"down"`
	Changed []TrialChange  `json:"changed"` // graver first, at most manyChanges
	More    int            `json:"more"`
	Broken  []TrialExample `json:"broken"` // examples that are read otherwise than they must
}

// TrialChange is a ticket that would be graded otherwise.
type TrialChange struct {
	Ticket string   `json:"ticket"`
	Number string   `json:"number"`
	From   Colour   `json:"from"`
	To     Colour   `json:"to"`
	Event  [2]int   `json:"event"`
	Person [2]int   `json:"person"`
	Gained []string `json:"gained"` // names of factors
	Lost   []string `json:"lost"`
}

// TrialExample is an example sentence that fails.
type TrialExample struct {
	Text   string `json:"text"`
	Factor string `json:"factor"`
	Must   bool   `json:"must"`
}

// manyChanges is how many tickets of a trial are kept by number.
const manyChanges = 200

// TryGrading grades the latest tickets of the last days by rules and by those in force. It writes nothing; ctx ends a long trial.
func (o *Office) TryGrading(ctx context.Context, db *storage.DB, rules *grade.Rules, days, limit int) (GradingTrial, error) {
	now := o.now()
	t := GradingTrial{At: now, Rules: rules.ID(), From: workday.DayOf(now).Add(-days), Before: map[Colour]int{}, After: map[Colour]int{}}
	for _, x := range rules.Broken() {
		t.Broken = append(t.Broken, TrialExample{x.Text, x.Name, x.Must})
	}
	var ids []string
	var before *grade.Rules
	err := db.View(ctx, func(tx *storage.Tx) (err error) {
		if before, _, err = o.GradingInForce(tx); err != nil {
			return err
		}
		ids, err = storage.All(tx, storage.Value[string], `SELECT id FROM ticket WHERE opened_at >= $1 ORDER BY opened_at DESC, id LIMIT $2`, storage.At(now.AddDate(0, 0, -days)), limit)
		return err
	})
	if err != nil {
		return t, fmt.Errorf("try grading rules: %w", err)
	}
	t.Beside = before.ID()
	for part := range slices.Chunk(ids, 50) { // short transactions: others wait for none of them
		err := db.View(ctx, func(tx *storage.Tx) error {
			for _, id := range part {
				if err := o.tryOn(tx, id, before, rules, &t); err != nil {
					return err
				}
			}
			return ctx.Err()
		})
		if err != nil {
			return t, fmt.Errorf("try grading rules: %w", err)
		}
	}
	slices.SortStableFunc(t.Changed, func(a, b TrialChange) int { return b.To.Rank() - a.To.Rank() })
	if n := len(t.Changed); n > manyChanges {
		t.Changed, t.More = t.Changed[:manyChanges], n-manyChanges
	}
	return t, nil
}

func (o *Office) tryOn(tx *storage.Tx, id string, before, after *grade.Rules, t *GradingTrial) error {
	d, err := o.load(tx, id, System, o.now(), false)
	if err != nil {
		return err
	}
	c, _, _, err := d.readsOf()
	if err != nil {
		return err
	}
	if c.History, err = d.history(); err != nil {
		return err
	}
	t.Tickets++
	if strings.TrimSpace(c.Title+c.Text) == "" {
		t.Blank++
	}
	a, b := (&grade.Grader{Rules: before}).Grade(c), (&grade.Grader{Rules: after}).Grade(c)
	x := TrialChange{Ticket: id, Number: d.ticket.Number, From: Colour(a.Colour), To: Colour(b.Colour), Event: [2]int{a.Event, b.Event}, Person: [2]int{a.Person, b.Person}}
	t.Before[x.From]++
	t.After[x.To]++
	switch {
	case x.From.Rank() < x.To.Rank():
		t.Up++
	case x.From.Rank() > x.To.Rank():
		t.Down++
	default:
		return nil
	}
	x.Gained, x.Lost = less(b.Factors, a.Factors), less(a.Factors, b.Factors)
	t.Changed = append(t.Changed, x)
	return nil
}

// less lists the factors of a that weigh more than in b, by name.
func less(a, b []grade.Factor) []string {
	worth := map[string]int{}
	for _, f := range b {
		worth[f.Code] = f.Points
	}
	var out []string
	for _, f := range a {
		if n, has := worth[f.Code]; !has || f.Points > n {
			out = append(out, f.Name)
		}
	}
	return out
}

// RecordTrial keeps a trial with a proposed version, for whoever decides about it.
func (o *Office) RecordTrial(tx *storage.Tx, id string, t GradingTrial, by Actor) (GradingRules, error) {
	if !by.officer() || !by.may(org.ManageRules) && !by.may(org.ConsentGrading) {
		return GradingRules{}, noRole()
	}
	g, err := storage.One(tx, scanGrading, selectGrading+` WHERE id = $1`, id)
	switch {
	case err != nil:
		return GradingRules{}, fmt.Errorf("grading rules %s: %w", id, err)
	case g.State != GradingProposed:
		return GradingRules{}, refuse("decided", "版本“%s”%s", g.Version, g.State.Label())
	case t.Rules != g.ID:
		return GradingRules{}, refuse("trial", "回测的不是版本“%s”", g.Version)
	}
	g.Trial = t
	_, err = tx.Exec(`UPDATE grade_rules SET trial = $1 WHERE id = $2`, packed{t}, id)
	if err == nil {
		_, err = audit.Append(tx, audit.Entry{Stream: "grading/" + g.Version, Type: "grading.tried", Actor: by.String(), At: o.now(), Rule: g.ID,
			Payload: map[string]any{"tickets": t.Tickets, "up": t.Up, "down": t.Down, "beside": t.Beside}})
	}
	if err != nil {
		return GradingRules{}, fmt.Errorf("keep the trial of %s: %w", id, err)
	}
	return g, nil
}
