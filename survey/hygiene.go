package survey

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
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

// rests tells which of many numbers, by their hashes, are left alone at a moment, and why: "dead" after a failure that the
// carrier called 空号 or 停机, "failing" after so many failures in a row. A text that arrived ends it.
func (s *Survey) rests(tx *storage.Tx, hashes []string, now time.Time) (map[string]string, error) {
	h := s.config().Hygiene
	type end struct {
		hash, id, code string
		failed         bool
		at, created    storage.Time
	}
	list, args := storage.In([]any{storage.At(now.Add(-h.Within))}, hashes)
	ends, err := storage.All(tx, func(r storage.Row) (e end, err error) {
		return e, r.Scan(&e.hash, &e.id, &e.failed, &e.code, &e.at, &e.created)
	},
		`SELECT phone_hash, id, state = 'failed', error_code, COALESCE(done_at, created_at), created_at FROM sms
		WHERE phone_hash IN (`+list+`) AND created_at >= $1 AND state IN ('failed', 'delivered')`, args...)
	if err != nil {
		return nil, fmt.Errorf("earlier texts to a number: %w", err)
	}
	slices.SortFunc(ends, func(a, b end) int { // the last text first
		return cmp.Or(b.created.Compare(a.created.Time), strings.Compare(b.id, a.id))
	})
	all := map[string][]end{}
	for _, e := range ends {
		if len(all[e.hash]) < h.Failures {
			all[e.hash] = append(all[e.hash], e)
		}
	}
	why := map[string]string{}
	for hash, last := range all {
		failures := 0
		for _, e := range last {
			if !e.failed {
				break
			}
			failures++
			if slices.Contains(h.Dead, e.code) && now.Before(e.at.Add(h.Rest)) {
				why[hash] = "dead"
				break
			}
		}
		if why[hash] == "" && failures >= h.Failures && now.Before(last[0].at.Add(h.Rest)) {
			why[hash] = "failing"
		}
	}
	return why, nil
}
