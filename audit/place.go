package audit

import (
	"errors"
	"fmt"
	"time"

	"lianxin/storage"
)

// AfterIn returns events after seq whose stream begins with prefix, the earliest first, at most limit of them.
func AfterIn(tx *storage.Tx, prefix string, seq int64, limit int) ([]Event, error) {
	return storage.All(tx, scan, selectEvent+` WHERE seq > $1 AND stream LIKE $2 ORDER BY seq LIMIT $3`, seq, prefix+"%", limit)
}

// Place returns a place in the log before which every event is older than at, as far as the times of events follow their order:
// 0 for the beginning. It looks at some twenty events, however long the log is.
func Place(tx *storage.Tx, at time.Time) (int64, error) {
	type event struct {
		seq int64
		at  storage.Time
	}
	one := func(query string, args ...any) (e event, err error) {
		e, err = storage.One(tx, func(r storage.Row) (e event, err error) { return e, r.Scan(&e.seq, &e.at) }, query, args...)
		if errors.Is(err, storage.ErrNotFound) {
			return event{}, nil
		}
		if err != nil {
			err = fmt.Errorf("place in the log: %w", err)
		}
		return e, err
	}
	last, err := one(`SELECT seq, at FROM audit_event ORDER BY seq DESC LIMIT 1`)
	if err != nil {
		return 0, err
	}
	low, high := int64(0), last.seq // everything up to low is older
	for low < high {
		middle := low + (high-low)/2
		e, err := one(`SELECT seq, at FROM audit_event WHERE seq > $1 ORDER BY seq LIMIT 1`, middle)
		if err != nil {
			return 0, err
		}
		if e.seq != 0 && e.at.Before(at) {
			low = e.seq
		} else {
			high = middle
		}
	}
	return low, nil
}
