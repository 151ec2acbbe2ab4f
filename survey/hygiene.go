package survey

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"lianxin/storage"
)

// Hygiene says when a number is left alone because texts do not reach it.
type Hygiene struct {
	Failures int           `yaml:"failures"` // texts that failed in a row
	Within   time.Duration `yaml:"within"`   // looked back so far
	Rest     time.Duration `yaml:"rest"`     // left alone for so long after the last failure
	Dead     []string      `yaml:"dead"`     // carriers' codes for 空号 and 停机: one is enough
}

func (h Hygiene) check() error {
	if h.Failures < 1 || h.Within <= 0 || h.Rest <= 0 {
		return errors.New("failures, within and rest must be more than nothing")
	}
	return nil
}

// rests tells why a number is left alone at a moment: "dead" after a failure that the carrier called 空号 or 停机, "failing"
// after so many failures in a row; "" when it may be texted. A text that arrived ends it.
func (s *Survey) rests(tx *storage.Tx, hash string, now time.Time) (string, error) {
	h := s.config().Hygiene
	type end struct {
		failed bool
		code   string
		at     storage.Time
	}
	last, err := storage.All(tx, func(r storage.Row) (e end, err error) { return e, r.Scan(&e.failed, &e.code, &e.at) },
		`SELECT state = 'failed', error_code, COALESCE(done_at, created_at) FROM sms WHERE phone_hash = $1 AND created_at >= $2 AND state IN ('failed', 'delivered')
		ORDER BY created_at DESC, id DESC LIMIT $3`, hash, storage.At(now.Add(-h.Within)), h.Failures)
	if err != nil {
		return "", fmt.Errorf("earlier texts to a number: %w", err)
	}
	failures := 0
	for _, e := range last {
		if !e.failed {
			break
		}
		failures++
		if slices.Contains(h.Dead, e.code) && now.Before(e.at.Add(h.Rest)) {
			return "dead", nil
		}
	}
	if failures >= h.Failures && now.Before(last[0].at.Add(h.Rest)) {
		return "failing", nil
	}
	return "", nil
}
