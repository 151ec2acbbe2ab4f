package survey

import (
	"errors"
	"fmt"
	"time"

	"lianxin/storage"
)

// ServiceRating is what a person thought of a service: the rating that counts.
type ServiceRating struct {
	At     time.Time
	Unit   string // unit id, "" when the source named none
	Class  string
	Window string // number of the window, "" when the source told none
	Clerk  string // number of the clerk, likewise
	Rating int    // 1 best … 5 worst, as it is replied
}

// ServiceRatings lists the ratings that were first given in [from, to), in their order.
func ServiceRatings(tx *storage.Tx, from, to time.Time) ([]ServiceRating, error) {
	out, err := storage.All(tx, func(r storage.Row) (x ServiceRating, err error) {
		var at storage.Time
		err = r.Scan(&at, &x.Unit, &x.Class, &x.Rating, &x.Window, &x.Clerk)
		x.At = at.Time
		return x, err
	}, `SELECT k.rated_at, k.unit, k.class, k.rating, r.window_no, r.clerk_no FROM survey_ask k JOIN survey_record r ON r.id = k.record_id
		WHERE k.rating IS NOT NULL AND k.rated_at >= $1 AND k.rated_at < $2 ORDER BY k.rated_at, k.id`, storage.At(from), storage.At(to))
	if err != nil {
		return nil, fmt.Errorf("ratings of services: %w", err)
	}
	return out, nil
}

// ServedAt is where a service was rendered, as its record tells: the numbers of window and clerk.
func ServedAt(tx *storage.Tx, recordID string) (window, clerk string, err error) {
	w, err := storage.One(tx, func(r storage.Row) (w [2]string, err error) { return w, r.Scan(&w[0], &w[1]) }, `SELECT window_no, clerk_no FROM survey_record WHERE id = $1`, recordID)
	if errors.Is(err, storage.ErrNotFound) {
		return "", "", nil
	}
	return w[0], w[1], err
}
