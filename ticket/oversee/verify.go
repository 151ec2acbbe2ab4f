package oversee

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"lianxin/audit"
	"lianxin/storage"
	"lianxin/ticket"
)

// Replay makes the members of a matter from the events of its stream, and fails when they tell of a change of state that
// its kind does not have, or are not in order.
func Replay(k Kind, events []audit.Event) (map[string]json.RawMessage, error) {
	m := map[string]json.RawMessage{}
	var state State
	for i, e := range events {
		if e.StreamSeq != int64(i+1) {
			return nil, fmt.Errorf("event %d of %s is missing", i+1, e.Stream)
		}
		var p struct{ Set, Add map[string]json.RawMessage }
		if err := json.Unmarshal(e.Payload, &p); err != nil {
			return nil, fmt.Errorf("event %d of %s: %w", e.StreamSeq, e.Stream, err)
		}
		for name, v := range p.Set {
			if bytes.Equal(v, null) {
				delete(m, name)
			} else {
				m[name] = v
			}
		}
		for name, more := range p.Add {
			longer, err := extended(m[name], more)
			if err != nil {
				return nil, fmt.Errorf("event %d of %s: %s: %w", e.StreamSeq, e.Stream, name, err)
			}
			m[name] = longer
		}
		var next State
		if err := json.Unmarshal(m["state"], &next); err != nil {
			return nil, fmt.Errorf("event %d of %s: state: %w", e.StreamSeq, e.Stream, err)
		}
		if next != state && !slices.Contains(kinds[k].moves[state], next) {
			return nil, fmt.Errorf("event %d of %s goes from %q to %q", e.StreamSeq, e.Stream, state, next)
		}
		state = next
	}
	return m, nil
}

// Verify replays every matter and compares the result with its row, its relations and its texts. It returns where they
// differ, in the words of ticket.VerifyProjection.
func Verify(ctx context.Context, db *storage.DB) ([]ticket.Drift, error) {
	var out []ticket.Drift
	err := db.View(ctx, func(tx *storage.Tx) error {
		rows := map[string]bool{}
		for last := ""; ; {
			found, err := storage.All(tx, scanRaw, selectRaw+` WHERE id > $1 ORDER BY id LIMIT 500`, last)
			if err != nil {
				return err
			}
			for _, r := range found {
				last = r.id
				stream := string(r.kind) + "/" + r.id
				rows[stream] = true
				what, err := verify(tx, r, stream)
				if err != nil {
					return err
				}
				for _, w := range what {
					out = append(out, ticket.Drift{Stream: stream, What: w})
				}
			}
			if len(found) < 500 {
				break
			}
		}
		for seq := int64(0); ; {
			events, err := audit.After(tx, seq, 1000)
			if err != nil || len(events) == 0 {
				return err
			}
			for _, e := range events {
				seq = e.Seq
				k, _, _ := strings.Cut(e.Stream, "/")
				if Kind(k).Valid() && e.StreamSeq == 1 && !rows[e.Stream] {
					out = append(out, ticket.Drift{Stream: e.Stream, What: "its row is missing"})
				}
			}
		}
	})
	if err != nil {
		return nil, fmt.Errorf("verify oversight: %w", err)
	}
	return out, nil
}

type raw struct {
	id                                 string
	kind                               Kind
	number, key                        *string
	state, unit, topic, subject, body  string
	due, next, opened, changed, closed storage.Time
}

const selectRaw = `SELECT id, kind, number, dedup, state, unit, topic, subject, due_at, next_at, opened_at, changed_at, closed_at, body FROM oversee_matter`

func scanRaw(r storage.Row) (x raw, err error) {
	return x, r.Scan(&x.id, &x.kind, &x.number, &x.key, &x.state, &x.unit, &x.topic, &x.subject, &x.due, &x.next, &x.opened, &x.changed, &x.closed, &x.body)
}

func verify(tx *storage.Tx, r raw, stream string) (out []string, err error) {
	events, err := audit.Stream(tx, stream)
	if err != nil {
		return nil, err
	}
	if len(events) == 0 {
		return []string{"has no events"}, nil
	}
	want, err := Replay(r.kind, events)
	if err != nil {
		return []string{err.Error()}, nil
	}
	var have map[string]json.RawMessage
	if err := json.Unmarshal([]byte(r.body), &have); err != nil {
		return []string{"its row cannot be read"}, nil
	}
	for name, v := range want {
		if !bytes.Equal(have[name], v) {
			out = append(out, name+" differs from the events")
		}
	}
	for name := range have {
		if _, ok := want[name]; !ok {
			out = append(out, name+" is told by no event")
		}
	}
	var h Head
	if err := json.Unmarshal([]byte(r.body), &h); err != nil {
		return append(out, "its row cannot be read"), nil
	}
	text := func(s *string) string {
		if s == nil {
			return ""
		}
		return *s
	}
	same := func(a storage.Time, b time.Time) bool { return a.Time.Equal(b) }
	if text(r.number) != h.Number || text(r.key) != h.Key || r.state != string(h.State) || r.unit != h.Unit || r.topic != h.Topic || r.subject != h.Subject ||
		!same(r.due, h.Due) || !same(r.next, h.Next) || !same(r.opened, h.OpenedAt) || !same(r.changed, h.ChangedAt) || !same(r.closed, h.ClosedAt) {
		out = append(out, "its columns differ from its body")
	}
	for table, list := range map[string][]string{"oversee_ticket": h.Tickets, "oversee_member": h.Members} {
		column := map[string]string{"oversee_ticket": "ticket_id", "oversee_member": "member"}[table]
		got, err := storage.All(tx, storage.Value[string], `SELECT `+column+` FROM `+table+` WHERE matter_id = $1 ORDER BY 1`, r.id)
		if err != nil {
			return nil, err
		}
		list = slices.Clone(list)
		slices.Sort(list)
		slices.Sort(got)
		if !slices.Equal(got, slices.Compact(list)) {
			out = append(out, column+" rows differ from the events")
		}
	}
	if m, is := kinds[r.kind].blank().(HasPapers); is {
		if err := json.Unmarshal([]byte(r.body), m); err != nil {
			return append(out, "its row cannot be read"), nil
		}
		papers, err := papersAsTold(tx, m)
		if err != nil {
			return nil, err
		}
		out = append(out, papers...)
	}
	if r.kind == KindOutreach {
		var o Outreach
		if err := json.Unmarshal([]byte(r.body), &o); err != nil {
			return append(out, "its row cannot be read"), nil
		}
		came, err := arrivalsAsTold(tx, &o)
		if err != nil {
			return nil, err
		}
		out = append(out, came...)
	}
	texts, err := ticket.CheckTexts(tx, stream, events)
	slices.Sort(out)
	return append(out, texts...), err
}
