package survey

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"time"

	"lianxin/storage"
	"lianxin/workday"
)

// Sample is how the records of one class, or of one class in one unit, were drawn for a day. It is drawn once: records
// that come later are drawn by the same Threshold.
type Sample struct {
	Day         workday.Day
	Class       string
	Unit        string // "" for a share of the whole class
	Seed        string
	Frame       int     // records that could be drawn: eligible by themselves
	Drawn       int     //
	Threshold   float64 // who lies at or below it is in
	Probability float64 // of inclusion
	DrawnAt     time.Time
}

// cell names what one Sample is drawn for.
type cell struct{ class, unit string }

// point is where a record lies in [0, 1): the same for ever, and, without the seed, beyond anybody's choice.
func point(seed string, r Record) float64 {
	sum := sha256.Sum256([]byte(seed + "/" + r.Class + "/" + r.SourceID))
	return float64(binary.BigEndian.Uint64(sum[:8])>>11) / (1 << 53)
}

func (m *morning) cellOf(cl Class, r Record) (cell, bool) {
	switch {
	case cl.Quota > 0:
		return cell{cl.Code, r.Unit}, true
	case cl.Sample > 0 && cl.Sample < 1:
		return cell{cl.Code, ""}, true
	}
	return cell{}, false
}

// seed is of the keys of the house, so that a dry run draws what the run will draw, and nobody outside can know it before.
func (m *morning) seed(c cell) string {
	return m.s.Book.Vault.For("survey.sample").Hash(m.day.String() + "/" + c.class + "/" + c.unit)
}

// draw fixes the samples of the day, where the configuration asks for any: those drawn by an earlier run stay.
func (m *morning) draw(ctx context.Context) error {
	sampled := slices.ContainsFunc(m.cfg.Classes, func(c Class) bool { return c.Quota > 0 || c.Sample > 0 && c.Sample < 1 })
	if !sampled {
		return nil
	}
	m.samples = map[cell]Sample{}
	err := m.s.DB.View(ctx, func(tx *storage.Tx) error {
		all, err := Samples(tx, m.day)
		for _, s := range all {
			m.samples[cell{s.Class, s.Unit}] = s
		}
		return err
	})
	if err != nil {
		return err
	}
	points := map[cell][]float64{}
	for after := (mark{}); ; {
		persons, last, err := m.next(ctx, after)
		if err != nil {
			return err
		}
		if len(persons) == 0 {
			break
		}
		for _, records := range persons {
			for _, r := range records {
				cl, _ := m.cfg.Class(r.Class)
				c, drawn := m.cellOf(cl, r)
				if _, done := m.samples[c]; drawn && !done {
					if reason, _ := m.eligible(r); reason == Asked {
						points[c] = append(points[c], point(m.seed(c), r))
					}
				}
			}
		}
		after = last
	}
	fresh := make([]Sample, 0, len(points))
	for c, p := range points {
		cl, _ := m.cfg.Class(c.class)
		s := Sample{Day: m.day, Class: c.class, Unit: c.unit, Seed: m.seed(c), Frame: len(p), Threshold: 1, Probability: 1, DrawnAt: m.s.now()}
		slices.Sort(p)
		if cl.Quota > 0 && len(p) > cl.Quota {
			s.Threshold, s.Probability = p[cl.Quota-1], float64(cl.Quota)/float64(len(p))
		} else if cl.Quota == 0 {
			// A threshold is compared with <=; the largest number below the share leaves the share itself out.
			s.Threshold, s.Probability = math.Nextafter(cl.Sample, 0), cl.Sample
		}
		s.Drawn, _ = slices.BinarySearch(p, math.Nextafter(s.Threshold, 2))
		fresh = append(fresh, s)
	}
	if m.opt.DryRun {
		for _, s := range fresh {
			m.samples[cell{s.Class, s.Unit}] = s
		}
		return nil
	}
	return m.s.DB.Update(ctx, func(tx *storage.Tx) error {
		for _, s := range fresh {
			if _, err := tx.Exec(`INSERT INTO survey_sample (day, class, unit, seed, frame, drawn, threshold, probability, drawn_at)
				VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING`,
				s.Day, s.Class, s.Unit, s.Seed, s.Frame, s.Drawn, s.Threshold, s.Probability, storage.At(s.DrawnAt)); err != nil {
				return fmt.Errorf("draw a sample: %w", err)
			}
		}
		all, err := Samples(tx, m.day) // another run may have been first
		for _, s := range all {
			m.samples[cell{s.Class, s.Unit}] = s
		}
		return err
	})
}

// sampled reports whether a record is drawn, and with what probability it could have been.
func (m *morning) sampled(cl Class, r Record) (bool, float64) {
	c, drawn := m.cellOf(cl, r)
	s, known := m.samples[c]
	if !drawn || !known {
		return true, 1 // unknown only for a record that came in while the run was under way: the next run draws its cell
	}
	return point(s.Seed, r) <= s.Threshold, s.Probability
}

// Samples lists how the records of a day were drawn; none where everybody was asked.
func Samples(tx *storage.Tx, day workday.Day) ([]Sample, error) {
	all, err := storage.All(tx, func(r storage.Row) (s Sample, err error) {
		var at storage.Time
		err = r.Scan(&s.Day, &s.Class, &s.Unit, &s.Seed, &s.Frame, &s.Drawn, &s.Threshold, &s.Probability, &at)
		s.DrawnAt = at.Time
		return s, err
	}, `SELECT day, class, unit, seed, frame, drawn, threshold, probability, drawn_at FROM survey_sample WHERE day = $1 ORDER BY class, unit`, day)
	if err != nil {
		return nil, fmt.Errorf("samples of %s: %w", day, err)
	}
	return all, nil
}
