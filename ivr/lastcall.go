package ivr

import (
	"fmt"
	"time"

	"lianxin/storage"
)

// LastCall is when the last call came to the hotline, the zero time when there never was one.
func LastCall(tx *storage.Tx) (time.Time, error) {
	at, err := storage.One(tx, func(r storage.Row) (t storage.Time, err error) { return t, r.Scan(&t) }, `SELECT MAX(started) FROM call`)
	if err != nil {
		return time.Time{}, fmt.Errorf("last call: %w", err)
	}
	return at.Time, nil
}
