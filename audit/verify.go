package audit

import (
	"context"
	"encoding/json"
	"fmt"

	"lianxin/storage"
)

// Report is what Verify found.
type Report struct {
	Events int64  // events whose link holds, counted from the first
	Head   string // hash of the last good event
	Broken *Break // the first broken link, nil when the whole log holds
}

// Break names the first place where the log does not hold.
type Break struct {
	Seq    int64  // the event, or the place where one is missing
	Stream string // the thing it belongs to, when the event is there
	Why    string
}

func (b *Break) Error() string {
	if b.Stream == "" {
		return fmt.Sprintf("event %d: %s", b.Seq, b.Why)
	}
	return fmt.Sprintf("event %d (%s): %s", b.Seq, b.Stream, b.Why)
}

// Verify replays the whole log in one read transaction and stops at the first event that was changed, removed, put in
// or moved. A log that was cut at its end is found by the head row. visit, when not nil, is called with each good event
// in order, so that projections can be replayed in the same pass; its error ends the replay and is returned.
//
// What it cannot find is a log that was rewritten from some event on together with its head by somebody who may write
// to the database: keep Report.Head of earlier days elsewhere to find that too.
func Verify(ctx context.Context, db *storage.DB, visit func(Event) error) (Report, error) {
	var rep Report
	err := db.View(ctx, func(tx *storage.Tx) error {
		streams := map[string]int64{}
		var last Event
		for {
			events, err := After(tx, last.Seq, 1000)
			if err != nil {
				return fmt.Errorf("read the audit log after event %d: %w", last.Seq, err)
			}
			if len(events) == 0 {
				break
			}
			for _, e := range events {
				if why := check(last, e, streams[e.Stream]); why != "" {
					rep.Broken = &Break{Seq: e.Seq, Stream: e.Stream, Why: why}
					if e.Seq != last.Seq+1 {
						rep.Broken = &Break{Seq: last.Seq + 1, Why: why}
					}
					return nil
				}
				streams[e.Stream] = e.StreamSeq
				last = e
				rep.Events, rep.Head = e.Seq, e.Hash
				if visit != nil {
					if err := visit(e); err != nil {
						return err
					}
				}
			}
		}
		h, err := readHead(tx, "")
		if err != nil {
			return fmt.Errorf("read the head of the audit log: %w", err)
		}
		if h.seq != last.Seq || h.hash != last.Hash {
			rep.Broken = &Break{Seq: last.Seq + 1, Why: fmt.Sprintf("the log ends after event %d, but its head is event %d: events are missing at the end", last.Seq, h.seq)}
		}
		return nil
	})
	return rep, err
}

func check(last, e Event, inStream int64) string {
	switch {
	case e.Seq != last.Seq+1:
		return fmt.Sprintf("missing: the next event there is %d", e.Seq)
	case e.Prev != last.Hash:
		return "does not follow the event before it (previous hash differs)"
	case e.Hash != e.sum():
		return "was changed (its hash does not fit its content)"
	case e.StreamSeq != inStream+1:
		return fmt.Sprintf("is number %d of its stream after number %d", e.StreamSeq, inStream)
	case e.At.Before(last.At):
		return "is earlier than the event before it"
	case !json.Valid(e.Payload):
		return "has a payload that is no JSON"
	}
	return ""
}
