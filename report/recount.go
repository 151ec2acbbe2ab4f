package report

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"lianxin/audit"
	"lianxin/storage"
	"lianxin/ticket"
)

// Mismatch is a figure that the tables give otherwise than the log.
type Mismatch struct {
	Metric string
	Tables map[int]int // rows by grade
	Log    map[int]int
}

func (m Mismatch) String() string {
	return fmt.Sprintf("%s: the tables say %v, the log says %v (rows by grade)", m.Metric, m.Tables, m.Log)
}

// Recount counts a period once more from the events alone (LOOP-10, RES-1): every ticket's stream is replayed, and the
// figures are made of what the replays tell, without a look at the tables. It returns where the two differ, and the metrics
// that were compared.
func (o *Office) Recount(tx *storage.Tx, p Period) (diff []Mismatch, compared []string, err error) {
	all, err := replayed(tx)
	if err != nil {
		return nil, nil, err
	}
	log := o.fromLog(all, p)
	for _, id := range slices.Sorted(maps.Keys(log)) {
		m, _ := Find(id)
		f, err := o.count(tx, m, o.at(p), p, Scope{})
		if err != nil {
			return nil, nil, err
		}
		compared = append(compared, id)
		if !maps.Equal(f.Grades, log[id]) {
			diff = append(diff, Mismatch{id, f.Grades, log[id]})
		}
	}
	return diff, compared, nil
}

// replayed makes every ticket from its events.
func replayed(tx *storage.Tx) (map[string]ticket.Projection, error) {
	var streams []string
	for seq := int64(0); ; {
		events, err := audit.After(tx, seq, 1000)
		if err != nil {
			return nil, fmt.Errorf("recount: %w", err)
		}
		if len(events) == 0 {
			break
		}
		for _, e := range events {
			seq = e.Seq
			if e.StreamSeq == 1 && strings.HasPrefix(e.Stream, ticket.Stream("")) {
				streams = append(streams, e.Stream)
			}
		}
	}
	all := map[string]ticket.Projection{}
	for _, s := range streams {
		events, err := audit.Stream(tx, s)
		if err != nil {
			return nil, fmt.Errorf("recount: %w", err)
		}
		p, err := ticket.Replay(events)
		if err != nil {
			return nil, fmt.Errorf("recount: %w", err)
		}
		if p.Ticket != nil {
			all[p.Ticket.ID] = p
		}
	}
	return all, nil
}

// fromLog counts what can be told from single tickets' replays.
func (o *Office) fromLog(all map[string]ticket.Projection, p Period) map[string]map[int]int {
	set := o.at(p)
	out := map[string]map[int]int{}
	for _, id := range []string{"responded", "accepted", "valid", "proactive", "closed_of_accepted", "reworked", "settled_on_time", "signed_on_time", "returned", "extended", "retyped",
		"satisfied_raw", "satisfied", "repeats", "repeat_persons"} {
		out[id] = map[int]int{}
	}
	in := func(t time.Time) bool { return !t.IsZero() && !t.Before(p.From) && t.Before(p.To) }
	grade := func(yes bool) int {
		if yes {
			return 1
		}
		return 0
	}
	persons := map[string]int{}
	for _, x := range all {
		t := x.Ticket
		done := t.State == ticket.Closed || t.State == ticket.Archived
		if in(t.RespondedAt) {
			out["responded"][1]++
		}
		if in(t.AcceptedAt) {
			out["accepted"][1]++
			out["proactive"][grade(t.Proactive)]++
			out["extended"][grade(granting(x, ticket.AskExtension))]++
			out["retyped"][grade(granting(x, ticket.AskRetype))]++
			if t.State != ticket.Withdrawn && t.State != ticket.Merged {
				out["closed_of_accepted"][grade(done)]++
			}
			if t.Validity == "" || t.Validity == ticket.Effective {
				out["valid"][1]++
				again := false
				if e, ok := all[t.RepeatOf]; ok {
					at := e.Ticket.RepliedAt
					again = !at.IsZero() && !at.After(t.OpenedAt) && t.OpenedAt.Before(at.AddDate(0, 0, set.RepeatDays))
				}
				out["repeats"][grade(again)]++
				if t.ContactID != "" {
					persons[t.ContactID] = max(persons[t.ContactID], grade(again))
				}
			}
		}
		if done && in(t.ClosedAt) {
			out["reworked"][grade(t.Round > 0)]++
		}
		for _, c := range x.Clocks {
			id := map[ticket.ClockKind]string{ticket.ClockHandle: "settled_on_time", ticket.ClockSign: "signed_on_time"}[c.Kind]
			now := o.now()
			fell := in(c.DueAt) && (now.IsZero() || c.DueAt.Before(now)) && (c.Kind != ticket.ClockHandle || c.Round == t.Round)
			if id != "" && c.State != ticket.ClockCancelled && fell {
				out[id][grade(!c.StoppedAt.IsZero() && !c.StoppedAt.After(c.DueAt))]++
			}
		}
		for _, l := range x.Legs {
			if in(l.AssignedAt) {
				out["returned"][grade(l.State == ticket.LegReturned)]++
			}
		}
		for _, r := range x.Ratings {
			if t.OriginalKind == ticket.Praise {
				continue // counted apart (RES-12)
			}
			last := !slices.ContainsFunc(x.Ratings, func(n ticket.Rating) bool {
				return n.Round == r.Round && (n.At.After(r.At) || n.At.Equal(r.At) && n.ID > r.ID)
			})
			if last && in(r.At) {
				out["satisfied_raw"][int(r.Stars)]++
				if t.Outcome != ticket.Determined || !r.Stars.Bad() {
					out["satisfied"][int(r.Stars)]++
				}
			}
		}
	}
	for _, g := range persons {
		out["repeat_persons"][g]++
	}
	return out
}

func granting(x ticket.Projection, k ticket.RequestKind) bool {
	return slices.ContainsFunc(x.Requests, func(r ticket.Request) bool { return r.Kind == k && r.State == ticket.Granted })
}
