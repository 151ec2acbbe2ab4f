package ticket

import (
	"fmt"
	"slices"
	"time"

	"lianxin/audit"
	"lianxin/storage"
)

// CopyAt writes into a scratch database what the log of from tells of tickets as they stood right after the moment at: each
// stream is replayed up to it, so that what was corrected, moved on or rated later is not in it. Tickets that were opened
// later, or settled for good before since, are left out. Words, numbers and originals are not copied. It returns how many
// tickets there are.
func CopyAt(from, to *storage.Tx, at, since time.Time) (n int, err error) {
	for last := ""; ; {
		ids, err := storage.All(from, storage.Value[string], `SELECT id FROM ticket WHERE id > $1 AND opened_at <= $2 AND (closed_at IS NULL OR closed_at >= $3) ORDER BY id LIMIT 500`,
			last, storage.At(at), storage.At(since))
		if err != nil {
			return n, fmt.Errorf("tickets of the past: %w", err)
		}
		for _, id := range ids {
			last = id
			there, err := copyAt(from, to, id, at)
			if err != nil {
				return n, err
			}
			if there {
				n++
			}
		}
		if len(ids) < 500 {
			return n, nil
		}
	}
}

func copyAt(from, to *storage.Tx, id string, at time.Time) (bool, error) {
	events, err := audit.Stream(from, Stream(id))
	if err != nil {
		return false, err
	}
	if i := slices.IndexFunc(events, func(e audit.Event) bool { return e.At.After(at) }); i >= 0 {
		events = events[:i]
	}
	if len(events) == 0 {
		return false, nil
	}
	p, err := Replay(events)
	if err != nil {
		return false, fmt.Errorf("tickets of the past: %w", err)
	}
	if p.Ticket == nil {
		return false, nil
	}
	p.Ticket.version = int64(len(events))
	parts := []part{p.Ticket}
	for i := range p.Legs {
		parts = append(parts, &p.Legs[i])
	}
	for i := range p.Clocks {
		parts = append(parts, &p.Clocks[i])
	}
	for i := range p.Requests {
		parts = append(parts, &p.Requests[i])
	}
	for i := range p.Ratings {
		parts = append(parts, &p.Ratings[i])
	}
	for i := range p.Callbacks {
		parts = append(parts, &p.Callbacks[i])
	}
	for i := range p.Tries {
		parts = append(parts, &p.Tries[i])
	}
	for _, x := range parts {
		if err := upsert(to, x); err != nil {
			return false, fmt.Errorf("tickets of the past: %s %s: %w", x.kind(), x.key(), err)
		}
	}
	return true, nil
}
