package ivr

import (
	"context"

	"lianxin/storage"
)

// BusyTone is what somebody hears whose call did not come about.
var BusyTone = busyTone

// Keep writes the record of a call as the hotline itself does.
func Keep(h *Hotline, tx *storage.Tx, r Record) error { return h.calls.save(tx, &r) }

// Paused and Round are what Run asks and does each time it looks at the list.
func (q *Questions) Paused(ctx context.Context) (bool, error) { return q.paused(ctx) }
func (q *Questions) Round(ctx context.Context) error          { return q.round(ctx, false) }
