package ticket

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"lianxin/audit"
	"lianxin/contact"
	"lianxin/storage"
)

// transitions are the changes of state that the domain model §2 allows, and no others. Besides the arrows drawn there:
// an appeal and an unmerge lead back to 待受理, a merged ticket whose citizen is not satisfied begins its own rework, and a
// held rework is released into 已受理.
var transitions = map[State][]State{
	"":          {New},
	New:         {Answered, Transferred, Refused, Merged, Accepted, Withdrawn},
	Answered:    {AwaitRating, Withdrawn},
	Refused:     {New},
	Merged:      {New, Accepted},
	Accepted:    {Dispatched, Withdrawn},
	Dispatched:  {Handling, Accepted, Withdrawn},
	Handling:    {Reviewing, Suspended, Accepted, Withdrawn},
	Suspended:   {Handling, Withdrawn},
	Reviewing:   {Handling, Replied, Withdrawn},
	Replied:     {AwaitRating, Withdrawn},
	AwaitRating: {Closed, Accepted, Rework, Withdrawn},
	Rework:      {Accepted, Withdrawn},
	Closed:      {Archived},
}

// Projection is a ticket, call-back or alert as its events tell it. Shown texts are not part of it, only their references.
type Projection struct {
	Ticket    *Ticket
	Legs      []Leg
	Clocks    []Clock
	Requests  []Request
	Ratings   []Rating
	Callbacks []Callback
	Tries     []Try
	Grades    []Grade
	Steps     []Step
	Sorted    []Sorting
	Alert     *Alert

	raw    map[string]string // id → sum of the originals
	erased map[string]bool   // texts that were taken out for good
	fields fields
}

// Replay makes a projection from the events of one stream, and fails when they tell of a change of state that the rules
// do not have, or are not in order.
func Replay(events []audit.Event) (Projection, error) {
	p := Projection{fields: fields{}, raw: map[string]string{}, erased: map[string]bool{}}
	var state State
	for i, e := range events {
		if e.StreamSeq != int64(i+1) {
			return p, fmt.Errorf("event %d of %s is missing", i+1, e.Stream)
		}
		if i > 0 && e.At.Before(events[i-1].At) {
			return p, fmt.Errorf("event %d of %s is earlier than the one before", e.StreamSeq, e.Stream)
		}
		var load struct {
			Info struct {
				Raw             struct{ ID, Sum, Was string }
				ErasedTexts     []string `json:"erased_texts"`
				ErasedOriginals []string `json:"erased_originals"`
			}
			Set fields
		}
		if err := json.Unmarshal(e.Payload, &load); err != nil {
			return p, fmt.Errorf("event %d of %s: %w", e.StreamSeq, e.Stream, err)
		}
		if raw := load.Info.Raw; raw.ID != "" {
			if had, ok := p.raw[raw.ID]; ok && had != raw.Was {
				return p, fmt.Errorf("event %d of %s seals original %s again, which was another before", e.StreamSeq, e.Stream, raw.ID)
			}
			p.raw[raw.ID] = raw.Sum
		}
		if strings.HasSuffix(e.Type, ".anonymised") {
			for _, id := range load.Info.ErasedTexts {
				p.erased[id] = true
			}
			for _, id := range load.Info.ErasedOriginals {
				delete(p.raw, id)
			}
		}
		p.fields.apply(load.Set)
		for _, members := range p.fields["ticket"] {
			var next State
			if err := json.Unmarshal(members["state"], &next); err != nil {
				return p, fmt.Errorf("event %d of %s: state: %w", e.StreamSeq, e.Stream, err)
			}
			if next != state && !slices.Contains(transitions[state], next) {
				return p, fmt.Errorf("event %d of %s goes from %s to %s", e.StreamSeq, e.Stream, state, next)
			}
			state = next
		}
	}
	return p, p.decode()
}

func (p *Projection) decode() error {
	var tickets []Ticket
	var alerts []Alert
	err := errors.Join(decode(p.fields, "ticket", &tickets), decode(p.fields, "leg", &p.Legs), decode(p.fields, "clock", &p.Clocks),
		decode(p.fields, "request", &p.Requests), decode(p.fields, "rating", &p.Ratings), decode(p.fields, "callback", &p.Callbacks),
		decode(p.fields, "try", &p.Tries), decode(p.fields, "grade", &p.Grades), decode(p.fields, "step", &p.Steps), decode(p.fields, "suggestion", &p.Sorted),
		decode(p.fields, "alert", &alerts))
	if len(tickets) == 1 {
		p.Ticket = &tickets[0]
	}
	if len(alerts) == 1 {
		p.Alert = &alerts[0]
	}
	if len(tickets) > 1 || len(alerts) > 1 {
		err = errors.Join(err, errors.New("one stream tells of two tickets or alerts"))
	}
	return err
}

func decode[T any](f fields, kind string, out *[]T) error {
	for _, id := range slices.Sorted(maps.Keys(f[kind])) {
		b, err := json.Marshal(f[kind][id])
		if err != nil {
			return err
		}
		var v T
		if err := json.Unmarshal(b, &v); err != nil {
			return fmt.Errorf("%s %s: %w", kind, id, err)
		}
		*out = append(*out, v)
	}
	return nil
}

// Drift is a place where the tables do not say what the events say.
type Drift struct {
	Stream string
	What   string // without personal data
}

func (d Drift) String() string { return d.Stream + ": " + d.What }

// VerifyProjection replays every ticket, call-back and alert and compares the result with the rows, the texts and the
// originals, member by member. It returns where they differ: a row that was changed, added or removed without an event.
// The vault opens the words of alerts. Together with audit.Verify, which shows that no event was touched, it says whether the record is whole.
func VerifyProjection(ctx context.Context, db *storage.DB, v *contact.Vault) ([]Drift, error) {
	var out []Drift
	o := &Office{Book: &contact.Book{Vault: v}}
	err := db.View(ctx, func(tx *storage.Tx) error {
		seen := map[string]bool{}
		kinds := []struct {
			query  string
			stream func(id string) string
			load   func(id string) (*dossier, error)
		}{
			{`SELECT id FROM ticket WHERE id > $1 ORDER BY id LIMIT 500`, Stream, func(id string) (*dossier, error) { return o.load(tx, id, System, zero, false) }},
			{`SELECT id FROM ticket_callback WHERE ticket_id = '' AND id > $1 ORDER BY id LIMIT 500`, CallbackStream, func(id string) (*dossier, error) { return o.loadCallback(tx, id, System, zero, "") }},
			{`SELECT id FROM ticket_alert WHERE id > $1 ORDER BY id LIMIT 500`, AlertStream, func(id string) (*dossier, error) { return o.loadAlert(tx, id, System, zero, "") }},
		}
		for _, k := range kinds {
			for last := ""; ; {
				ids, err := storage.All(tx, storage.Value[string], k.query, last)
				if err != nil {
					return err
				}
				for _, id := range ids {
					last = id
					seen[k.stream(id)] = true
					d, err := k.load(id)
					if err != nil {
						return err
					}
					found, err := verify(tx, d)
					if err != nil {
						return err
					}
					out = append(out, found...)
				}
				if len(ids) < 500 {
					break
				}
			}
		}
		for seq := int64(0); ; {
			events, err := audit.After(tx, seq, 1000)
			if err != nil || len(events) == 0 {
				return err
			}
			for _, e := range events {
				seq = e.Seq
				ours := strings.HasPrefix(e.Stream, "ticket/") || strings.HasPrefix(e.Stream, "callback/") || strings.HasPrefix(e.Stream, "alert/")
				if ours && e.StreamSeq == 1 && !seen[e.Stream] {
					out = append(out, Drift{e.Stream, "its row is missing"})
				}
			}
		}
	})
	if err != nil {
		return nil, fmt.Errorf("verify tickets: %w", err)
	}
	return out, nil
}

// verify compares one dossier with its events.
func verify(tx *storage.Tx, d *dossier) ([]Drift, error) {
	var out []Drift
	drift := func(format string, args ...any) { out = append(out, Drift{d.stream, fmt.Sprintf(format, args...)}) }
	if err := d.whole(); err != nil {
		return nil, err
	}
	events, err := audit.Stream(tx, d.stream)
	if err != nil {
		return nil, err
	}
	if len(events) == 0 {
		drift("has no events")
		return out, nil
	}
	p, err := Replay(events)
	if err != nil {
		drift("%v", err)
		return out, nil
	}
	for _, side := range []fields{diff(p.fields, d.loaded), diff(d.loaded, p.fields)} {
		for kind, parts := range side {
			for id, members := range parts {
				switch {
				case len(d.loaded[kind][id]) == 0:
					drift("%s %s: its row is missing", kind, id)
				case len(p.fields[kind][id]) == 0:
					drift("%s %s: no event tells of it", kind, id)
				default:
					drift("%s %s: %s differ from the events", kind, id, strings.Join(slices.Sorted(maps.Keys(members)), ", "))
				}
			}
		}
	}
	slices.SortFunc(out, func(a, b Drift) int { return strings.Compare(a.What, b.What) })
	out = slices.Compact(out)
	for _, c := range d.clocks {
		next := c.NextAt
		if c.schedule(); !next.Equal(c.NextAt) {
			drift("clock %s: its next point is %v, want %v", c.ID, next, c.NextAt)
		}
	}
	shown, err := openTexts(tx, d.o.Book.Vault, d.stream)
	if err != nil {
		return nil, err
	}
	for _, ref := range refs(events) {
		if s, ok := shown[ref.ID]; !ok {
			drift("text %s is missing", ref.ID)
		} else if p.erased[ref.ID] {
			if s != Erased {
				drift("text %s was erased and is there again", ref.ID)
			}
		} else if sum(ref.ID, s) != ref.Sum {
			drift("text %s was changed", ref.ID)
		}
	}
	if t := d.ticket; t != nil {
		for name, at := range map[string]struct {
			ref Text
			s   string
		}{"title": {t.TitleRef, t.Title}, "body": {t.BodyRef, t.Body}, "place": {t.PlaceRef, t.Place}} {
			if at.s != shown[at.ref.ID] {
				drift("ticket %s: its %s is not the text that was written", t.ID, name)
			}
		}
		type row struct {
			id     string
			sealed []byte
		}
		raws, err := storage.All(tx, func(r storage.Row) (x row, err error) { return x, r.Scan(&x.id, &x.sealed) },
			`SELECT id, sealed FROM ticket_raw WHERE ticket_id = $1`, t.ID)
		if err != nil {
			return nil, err
		}
		for _, r := range raws {
			h := sha256.Sum256(r.sealed)
			if p.raw[r.id] != hex.EncodeToString(h[:]) {
				drift("original %s was changed or added", r.id)
			}
			delete(p.raw, r.id)
		}
		for id := range p.raw {
			drift("original %s is missing", id)
		}
	}
	return out, nil
}

// refs collects the texts that events refer to.
func refs(events []audit.Event) []Text {
	found := map[string]Text{}
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			id, _ := v["text"].(string)
			s, _ := v["sum"].(string)
			if id != "" && s != "" {
				found[id] = Text{ID: id, Sum: s}
			}
			for _, x := range v {
				walk(x)
			}
		case []any:
			for _, x := range v {
				walk(x)
			}
		}
	}
	for _, e := range events {
		var v any
		if json.NewDecoder(bytes.NewReader(e.Payload)).Decode(&v) == nil {
			walk(v)
		}
	}
	out := slices.Collect(maps.Values(found))
	slices.SortFunc(out, func(a, b Text) int { return strings.Compare(a.ID, b.ID) })
	return out
}
