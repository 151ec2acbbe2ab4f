package ivr

import (
	"context"
	"fmt"
	"time"

	"lianxin/ivr/flow"
	"lianxin/storage"
	"lianxin/survey"
)

// QuestionCounts is what came of the list so far.
type QuestionCounts struct {
	States  map[QuestionState]int
	Ratings map[int]int // of those who rated, by key
	Asked   int         // done, and answered the telephone
	Reached int         // of them those who rated
}

// Counts counts the list.
func (q *Questions) Counts(tx *storage.Tx) (c QuestionCounts, err error) {
	type row struct {
		state   QuestionState
		outcome string
		rating  int
		n       int
	}
	c = QuestionCounts{States: map[QuestionState]int{}, Ratings: map[int]int{}}
	rows, err := storage.All(tx, func(r storage.Row) (x row, err error) {
		err = r.Scan(&x.state, &x.outcome, &x.rating, &x.n)
		return x, err
	}, `SELECT state, outcome, rating, COUNT(*) FROM call_question GROUP BY state, outcome, rating`)
	if err != nil {
		return c, fmt.Errorf("count who is asked by key: %w", err)
	}
	for _, x := range rows {
		c.States[x.state] += x.n
		if x.state != QuestionDone {
			continue
		}
		if x.rating > 0 {
			c.Ratings[x.rating] += x.n
			c.Reached += x.n
		}
		if x.rating > 0 || x.outcome == "unrated" {
			c.Asked += x.n
		}
	}
	return c, nil
}

// Sound is the flow of the questions as the next call will have it. The error says why nobody can be asked: what is wrong with the file,
// with line and column.
func (q *Questions) Sound() (*flow.Flow, error) {
	f, err := q.Flow()
	if err == nil {
		err = f.Check(q.Hotline.known())
	}
	return f, err
}

// Open reports whether people are rung at this time of day, and the hours for it.
func (q *Questions) Open() (open bool, hours string) {
	clock := func(d time.Duration) string { return fmt.Sprintf("%02d:%02d", int(d.Hours()), int(d.Minutes())%60) }
	return q.Hotline.mayAsk(), clock(askFrom) + "–" + clock(askUntil)
}

// paused reports whether somebody has stopped the calls that the program makes by itself: one switch holds for this list and for that of
// survey.NextCall.
func (q *Questions) paused(ctx context.Context) (paused bool, err error) {
	err = q.Hotline.cfg.DB.View(ctx, func(tx *storage.Tx) error {
		w, err := survey.TelephoneSwitch(tx)
		paused = w.Paused
		return err
	})
	return paused, err
}
