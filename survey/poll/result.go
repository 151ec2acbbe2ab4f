package poll

import (
	"encoding/json"
	"fmt"
	"slices"

	"lianxin/storage"
	"lianxin/survey"
	"lianxin/ticket"
)

// Result is what one question of a closed poll came to.
type Result struct {
	Question Question
	Whole    Tally
	Parts    []Tally  // by group, none where all are in one
	Words    []string // what was said in own words, in no order that means anything
}

// Tally is the answers of everybody, or of one group, to one question.
type Tally struct {
	Part  string
	N     int
	Count []int // by option
	Share []float64
	Wide  [][2]float64 // Wilson 95 % of each share, the finite number of invited people not used

	// Of a Scale: how many are satisfied (basically or better), with its interval, and the mean from 0 to 100.
	Rate     float64
	Interval [2]float64
	Mean     float64

	Small bool // fewer than thirty: not to be compared (domain model §10)
}

// Over are the polls that are over, the last first.
func (o *Office) Over(tx *storage.Tx, viewer ticket.Actor, limit int) ([]Poll, error) {
	if mayRead(viewer) != nil {
		return nil, nil
	}
	all, err := storage.All(tx, scanPoll, selectPoll+` WHERE p.state = 'CLOSED' ORDER BY p.closed_at DESC, p.id DESC LIMIT $1`, limit)
	if err != nil {
		return nil, fmt.Errorf("list polls: %w", err)
	}
	return all, nil
}

// few is below how many answers a group is not compared with others.
const few = 30

// Results are what the questions of a closed poll came to; none with fewer answers than k.
func (o *Office) Results(tx *storage.Tx, p Poll, viewer ticket.Actor) ([]Result, error) {
	if err := mayRead(viewer); err != nil {
		return nil, err
	}
	if p.State != Closed || p.Kept < p.Smallest {
		return nil, nil
	}
	type answer struct {
		part    string
		choices [][]int
	}
	all, err := storage.All(tx, func(r storage.Row) (a answer, err error) {
		var choices string
		if err = r.Scan(&a.part, &choices); err != nil {
			return a, err
		}
		return a, json.Unmarshal([]byte(choices), &a.choices)
	}, `SELECT part, choices FROM poll_answer WHERE poll_id = $1 ORDER BY id`, p.ID)
	if err != nil {
		return nil, fmt.Errorf("results of a poll: %w", err)
	}
	var parts []string
	for _, a := range all {
		if !slices.Contains(parts, a.part) {
			parts = append(parts, a.part)
		}
	}
	slices.Sort(parts)
	var out []Result
	for i, q := range p.Questions {
		r := Result{Question: q}
		if q.Kind == Text {
			if r.Words, err = storage.All(tx, storage.Value[string], `SELECT text FROM poll_words WHERE poll_id = $1 AND question = $2 ORDER BY id`, p.ID, i); err != nil {
				return nil, fmt.Errorf("words of a poll: %w", err)
			}
			out = append(out, r)
			continue
		}
		tally := func(part string, everybody bool) Tally {
			t := Tally{Part: part, Count: make([]int, len(q.Options))}
			for _, a := range all {
				if everybody || a.part == part {
					t.N++
					for _, c := range a.choices[i] {
						t.Count[c]++
					}
				}
			}
			t.finish(q)
			return t
		}
		r.Whole = tally("", true)
		if len(parts) > 1 {
			for _, part := range parts {
				if t := tally(part, false); t.N >= p.Smallest { // groups were put together at the end: none is smaller
					r.Parts = append(r.Parts, t)
				}
			}
		}
		out = append(out, r)
	}
	return out, nil
}

func (t *Tally) finish(q Question) {
	t.Small = t.N < few
	for _, n := range t.Count {
		share := 0.0
		if t.N > 0 {
			share = float64(n) / float64(t.N)
		}
		t.Share, t.Wide = append(t.Share, share), append(t.Wide, survey.Wilson(share, t.N))
	}
	if q.Kind != Scale || t.N == 0 {
		return
	}
	sum := 0
	for i, n := range t.Count {
		sum += (len(Levels) - 1 - i) * n
	}
	t.Rate = float64(t.Count[0]+t.Count[1]+t.Count[2]) / float64(t.N)
	t.Interval = survey.Wilson(t.Rate, t.N)
	t.Mean = 100 * float64(sum) / float64(len(Levels)-1) / float64(t.N)
}
