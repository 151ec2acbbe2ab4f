package ivr

import (
	"fmt"
	"time"

	"lianxin/storage"
)

// Without counts the calls of a citizen in [from, to) for which no ticket was opened: contacts that only the calls tell of.
func (Calls) Without(tx *storage.Tx, contactID string, from, to time.Time) (int, error) {
	n, err := storage.One(tx, storage.Value[int], `SELECT COUNT(*) FROM call WHERE contact_id = $1 AND started >= $2 AND started < $3 AND ticket_id = ''`,
		contactID, storage.At(from), storage.At(to))
	if err != nil {
		return 0, fmt.Errorf("count the calls of a citizen: %w", err)
	}
	return n, nil
}
