package oversee

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"lianxin/audit"
	"lianxin/storage"
)

// counted are the kinds that figures and editions of reports count.
var counted = []Kind{KindTopic, KindSupervision, KindConsult, KindOrder, KindClue, KindMeasure, KindBackcheck, KindEscalation, KindBad}

// CopyAt writes into a scratch database the matters that reports count as they stood right after the moment at, by replaying
// their streams up to it.
func CopyAt(from, to *storage.Tx, at time.Time) error {
	for _, k := range counted {
		ids, err := storage.All(from, storage.Value[string], `SELECT id FROM oversee_matter WHERE kind = $1 AND opened_at <= $2 ORDER BY id`, string(k), storage.At(at))
		if err != nil {
			return fmt.Errorf("matters of the past: %w", err)
		}
		for _, id := range ids {
			stream := string(k) + "/" + id
			events, err := audit.Stream(from, stream)
			if err != nil {
				return err
			}
			if i := slices.IndexFunc(events, func(e audit.Event) bool { return e.At.After(at) }); i >= 0 {
				events = events[:i]
			}
			if len(events) == 0 {
				continue
			}
			members, err := Replay(k, events)
			if err != nil {
				return fmt.Errorf("matters of the past: %w", err)
			}
			body, err := json.Marshal(members)
			if err != nil {
				return err
			}
			m := kinds[k].blank()
			if err := json.Unmarshal(body, m); err != nil {
				return fmt.Errorf("matters of the past: %s: %w", stream, err)
			}
			f := &file{tx: to, m: m}
			if err := f.put(string(body)); err != nil {
				return fmt.Errorf("matters of the past: %s: %w", stream, err)
			}
		}
	}
	return nil
}
