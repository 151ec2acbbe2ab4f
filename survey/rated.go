package survey

import (
	"fmt"
	"time"

	"lianxin/storage"
)

// ServiceRating is what a person thought of a service: the rating that counts.
type ServiceRating struct {
	At     time.Time
	Unit   string // unit id, "" when the source named none
	Class  string
	Rating int // 1 best … 5 worst, as it is replied
}

// ServiceRatings lists the ratings that were first given in [from, to), in their order.
func ServiceRatings(tx *storage.Tx, from, to time.Time) ([]ServiceRating, error) {
	out, err := storage.All(tx, func(r storage.Row) (x ServiceRating, err error) {
		var at storage.Time
		err = r.Scan(&at, &x.Unit, &x.Class, &x.Rating)
		x.At = at.Time
		return x, err
	}, `SELECT rated_at, unit, class, rating FROM survey_ask WHERE rating IS NOT NULL AND rated_at >= $1 AND rated_at < $2 ORDER BY rated_at, id`, storage.At(from), storage.At(to))
	if err != nil {
		return nil, fmt.Errorf("ratings of services: %w", err)
	}
	return out, nil
}
