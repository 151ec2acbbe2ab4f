package ivr

import "lianxin/storage"

// BusyTone is what somebody hears whose call did not come about.
var BusyTone = busyTone

// Keep writes the record of a call as the hotline itself does.
func Keep(h *Hotline, tx *storage.Tx, r Record) error { return h.calls.save(tx, &r) }
