// Package audit keeps the append-only, hash-chained log: who did what to which thing, when, and under which version of
// the rules.
//
// The log is the truth and the tables of the rooms are projections of it. All events form one chain: each carries the
// hash of the one before it, so that an event that was changed, removed or put in later is found by Verify. Payloads
// hold identifiers and masked values only, never a clear number, name or ID number: the log outlives every retention
// period.
package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"lianxin/storage"
)

// Entry is what a room wants remembered.
type Entry struct {
	Stream  string    // the thing it happened to, such as "ticket/01J…"
	Type    string    // what happened, such as "ticket.accepted"
	Actor   string    // who did it: "staff/01J…", "citizen/01J…", "system", "bot"
	Rule    string    // version of the rules under which it was decided; may be empty
	Payload any       // facts, encoded as JSON; may be nil
	At      time.Time // when; zero is now
}

// Event is an entry in its place in the log.
type Event struct {
	Seq       int64           // place in the whole log, from 1, without gaps
	Stream    string          //
	StreamSeq int64           // place in its stream, from 1, without gaps
	At        time.Time       // UTC, milliseconds; never earlier than the event before it
	Actor     string          //
	Type      string          //
	Rule      string          //
	Payload   json.RawMessage //
	Prev      string          // hash of the event before it, empty for the first
	Hash      string          // SHA-256 in hex over all of the above
}

// Append adds an entry to the log in the caller's transaction. Appenders are served one at a time. An At earlier than
// the last event's is raised to it, because the times of the log never run backwards (invariant I3).
func Append(tx *storage.Tx, e Entry) (Event, error) {
	events, err := AppendAll(tx, []Entry{e})
	if err != nil {
		return Event{}, err
	}
	return events[0], nil
}

// AppendAll is Append for entries that follow one another. The head of the log is read and written once for all of them, and a
// stream asked once for its last event: a command that brings three events about costs little more than one with a single one.
func AppendAll(tx *storage.Tx, entries []Entry) ([]Event, error) {
	if len(entries) == 0 {
		return nil, nil
	}
	payloads := make([][]byte, len(entries))
	for i, e := range entries {
		if e.Stream == "" || e.Type == "" || e.Actor == "" {
			return nil, fmt.Errorf("append %q to the audit log: stream, type and actor are required", e.Type)
		}
		payloads[i] = []byte("{}")
		if e.Payload != nil {
			var err error
			if payloads[i], err = json.Marshal(e.Payload); err != nil {
				return nil, fmt.Errorf("append %s to the audit log: %w", e.Type, err)
			}
		}
	}
	fail := func(err error) ([]Event, error) {
		return nil, fmt.Errorf("append %s to the audit log: %w", entries[0].Type, err)
	}
	head, err := readHead(tx, tx.ForUpdate())
	if err != nil {
		return fail(err)
	}
	last := map[string]int64{}
	out := make([]Event, len(entries))
	for i, e := range entries {
		n, known := last[e.Stream]
		if !known {
			if n, err = storage.One(tx, storage.Value[int64], `SELECT COALESCE(MAX(stream_seq), 0) FROM audit_event WHERE stream = $1`, e.Stream); err != nil {
				return fail(err)
			}
		}
		if e.At.IsZero() {
			e.At = time.Now()
		}
		ev := Event{
			Seq: head.seq + 1, Stream: e.Stream, StreamSeq: n + 1, At: e.At.UTC().Truncate(time.Millisecond),
			Actor: e.Actor, Type: e.Type, Rule: e.Rule, Payload: payloads[i], Prev: head.hash,
		}
		if ev.At.Before(head.at) {
			ev.At = head.at
		}
		ev.Hash = ev.sum()
		if _, err := tx.Exec(`INSERT INTO audit_event (seq, stream, stream_seq, at, actor, type, rule, payload, prev, hash)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
			ev.Seq, ev.Stream, ev.StreamSeq, ev.At.UnixMilli(), ev.Actor, ev.Type, ev.Rule, string(ev.Payload), ev.Prev, ev.Hash); err != nil {
			return fail(err)
		}
		head.seq, head.at, head.hash = ev.Seq, ev.At, ev.Hash
		last[e.Stream], out[i] = ev.StreamSeq, ev
	}
	if _, err := tx.Exec(`UPDATE audit_head SET seq = $1, at = $2, hash = $3 WHERE id = 1`, head.seq, head.at.UnixMilli(), head.hash); err != nil {
		return fail(err)
	}
	return out, nil
}

// Stream returns the events of one thing in the order in which they happened.
func Stream(tx *storage.Tx, stream string) ([]Event, error) {
	return storage.All(tx, scan, selectEvent+` WHERE stream = $1 ORDER BY stream_seq`, stream)
}

// Last returns the last event of one thing whose type begins with none of the prefixes, or storage.ErrNotFound.
func Last(tx *storage.Tx, stream string, but ...string) (Event, error) {
	where, args := ` WHERE stream = $1`, []any{stream}
	for _, b := range but {
		args = append(args, b+"%")
		where += fmt.Sprintf(` AND type NOT LIKE $%d`, len(args))
	}
	return storage.One(tx, scan, selectEvent+where+` ORDER BY stream_seq DESC LIMIT 1`, args...)
}

// After returns up to limit events of the whole log that come after seq.
func After(tx *storage.Tx, seq int64, limit int) ([]Event, error) {
	return storage.All(tx, scan, selectEvent+` WHERE seq > $1 ORDER BY seq LIMIT $2`, seq, limit)
}

const selectEvent = `SELECT seq, stream, stream_seq, at, actor, type, rule, payload, prev, hash FROM audit_event`

func scan(r storage.Row) (e Event, err error) {
	var at storage.Time
	var payload string
	err = r.Scan(&e.Seq, &e.Stream, &e.StreamSeq, &at, &e.Actor, &e.Type, &e.Rule, &payload, &e.Prev, &e.Hash)
	e.At, e.Payload = at.Time, json.RawMessage(payload)
	return e, err
}

// sum hashes every field with its length before it, so that no two different events have the same input.
func (e Event) sum() string {
	var b bytes.Buffer
	for _, s := range []string{
		strconv.FormatInt(e.Seq, 10), e.Stream, strconv.FormatInt(e.StreamSeq, 10), strconv.FormatInt(e.At.UnixMilli(), 10),
		e.Actor, e.Type, e.Rule, string(e.Payload), e.Prev,
	} {
		b.WriteString(strconv.Itoa(len(s)))
		b.WriteByte(':')
		b.WriteString(s)
	}
	h := sha256.Sum256(b.Bytes())
	return hex.EncodeToString(h[:])
}

type head struct {
	seq  int64
	at   time.Time
	hash string
}

func readHead(tx *storage.Tx, lock string) (head, error) {
	h, err := storage.One(tx, func(r storage.Row) (h head, err error) {
		var at int64
		err = r.Scan(&h.seq, &at, &h.hash)
		h.at = time.UnixMilli(at).UTC()
		return h, err
	}, `SELECT seq, at, hash FROM audit_head WHERE id = 1 `+lock)
	if errors.Is(err, storage.ErrNotFound) {
		return head{}, errors.New("the head of the log is missing")
	}
	return h, err
}
