package ticket

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"lianxin/audit"
	"lianxin/storage"
	"lianxin/workday"
)

// A dossier is everything about one ticket (or about one call-back or alert that belongs to none) in memory: what a
// command works on. Commands change its parts, call emit after each step, and nothing reaches the database before save.
type dossier struct {
	o      *Office
	tx     *storage.Tx
	rules  Rules
	stream string
	by     Actor
	now    time.Time
	fresh  bool // not yet in the database

	ticket    *Ticket
	legs      []*Leg
	clocks    []*Clock
	requests  []*Request
	ratings   []*Rating
	callbacks []*Callback
	tries     []*Try
	grades    []*Grade   // new ones only, unless whole read them all
	steps     []*Step    // when withSteps read them
	sorted    []*Sorting // new ones only, unless whole read them all
	alert     *Alert

	loaded  fields // as in the database
	seen    fields // as after the last emit
	pending []audit.Entry
	texts   []textRow
	notices []Notice
	texted  []string                     // replies to be sent as texts
	later   []func(tx *storage.Tx) error // done in the same transaction once the rows are saved
	quiet   bool                         // the change is the program's own: Revision stays
}

// fields are the JSON members of every part: kind of part → id → member → value.
type fields map[string]map[string]map[string]json.RawMessage

// payload is what an event of ours carries: facts for people, and the members that changed. A member that is null was
// removed.
type payload struct {
	Info any    `json:"info,omitempty"`
	Set  fields `json:"set,omitempty"`
}

// part is a row of one of our tables.
type part interface {
	kind() string // name in events
	table() string
	key() string
	columns() []column
}

// parts lists the parts in an order in which their rows can be written.
func (d *dossier) parts() []part {
	var out []part
	if d.ticket != nil {
		out = append(out, d.ticket)
	}
	if d.alert != nil {
		out = append(out, d.alert)
	}
	for _, p := range d.legs {
		out = append(out, p)
	}
	for _, p := range d.clocks {
		out = append(out, p)
	}
	for _, p := range d.requests {
		out = append(out, p)
	}
	for _, p := range d.ratings {
		out = append(out, p)
	}
	for _, p := range d.callbacks {
		out = append(out, p)
	}
	for _, p := range d.tries {
		out = append(out, p)
	}
	for _, p := range d.grades {
		out = append(out, p)
	}
	for _, p := range d.sorted {
		out = append(out, p)
	}
	return append(out, d.stepParts()...)
}

func (d *dossier) snapshot() (fields, error) { return snapshot(d.parts()) }

func snapshot(parts []part) (fields, error) {
	f := fields{}
	for _, p := range parts {
		b, err := json.Marshal(p)
		if err != nil {
			return nil, fmt.Errorf("encode %s %s: %w", p.kind(), p.key(), err)
		}
		var members map[string]json.RawMessage
		if err := json.Unmarshal(b, &members); err != nil {
			return nil, err
		}
		if f[p.kind()] == nil {
			f[p.kind()] = map[string]map[string]json.RawMessage{}
		}
		f[p.kind()][p.key()] = members
	}
	return f, nil
}

// plus is f with the kinds of more, which f does not have.
func (f fields) plus(more fields) fields {
	out := maps.Clone(f)
	maps.Copy(out, more)
	return out
}

var null = json.RawMessage("null")

// diff is what turns old into now. Parts are never removed.
func diff(old, now fields) fields {
	out := fields{}
	for kind, parts := range now {
		for id, members := range parts {
			before := old[kind][id]
			changed := map[string]json.RawMessage{}
			for name, v := range members {
				if !bytes.Equal(before[name], v) {
					changed[name] = v
				}
			}
			for name := range before {
				if _, ok := members[name]; !ok {
					changed[name] = null
				}
			}
			if len(changed) > 0 {
				if out[kind] == nil {
					out[kind] = map[string]map[string]json.RawMessage{}
				}
				out[kind][id] = changed
			}
		}
	}
	return out
}

// apply is the inverse of diff: it turns old into now.
func (f fields) apply(set fields) {
	for kind, parts := range set {
		if f[kind] == nil {
			f[kind] = map[string]map[string]json.RawMessage{}
		}
		for id, changed := range parts {
			if f[kind][id] == nil {
				f[kind][id] = map[string]json.RawMessage{}
			}
			for name, v := range changed {
				if bytes.Equal(v, null) {
					delete(f[kind][id], name)
				} else {
					f[kind][id][name] = v
				}
			}
		}
	}
}

// emit notes what just happened, with all that changed since the last emit, as one event.
func (d *dossier) emit(typ string, info any) error {
	if t := d.ticket; t != nil {
		if t.StepsOpen > 0 && !t.State.Open() {
			if err := d.dropSteps(); err != nil {
				return err
			}
		}
		t.ChangedAt = d.now
		t.Due = time.Time{}
		for _, c := range d.clocks {
			if c.State == Running && (t.Due.IsZero() || c.DueAt.Before(t.Due)) {
				t.Due = c.DueAt
			}
		}
	}
	now, err := d.snapshot()
	if err != nil {
		return err
	}
	e := audit.Entry{Stream: d.stream, Type: typ, Actor: d.by.String(), At: d.now, Payload: payload{Info: info, Set: diff(d.seen, now)}}
	if d.ticket != nil {
		e.Rule = d.ticket.RuleVersion
	} else {
		e.Rule = d.rules.ID()
	}
	d.pending = append(d.pending, e)
	d.seen = now
	return nil
}

// save writes the rows that changed, the texts and the events.
func (d *dossier) save(tx *storage.Tx) error {
	if len(d.pending) == 0 {
		return nil
	}
	if err := d.accounted(); err != nil {
		return err
	}
	if !d.fresh {
		if err := d.claim(tx); err != nil {
			return err
		}
	}
	if d.ticket != nil && !d.quiet {
		d.ticket.Revision++
	}
	for _, p := range d.parts() {
		same := len(diff(fields{p.kind(): {p.key(): d.loaded[p.kind()][p.key()]}}, fields{p.kind(): {p.key(): d.seen[p.kind()][p.key()]}})) == 0
		if same && p != part(d.ticket) {
			continue
		}
		if err := upsert(tx, p); err != nil {
			return fmt.Errorf("save %s %s: %w", p.kind(), p.key(), err)
		}
	}
	for _, r := range d.texts {
		var words []byte
		if d.alert != nil {
			words, r.shown = d.o.Book.Vault.For(wordsPurpose).Seal(r.shown), ""
		}
		if _, err := tx.Exec(`INSERT INTO ticket_text (id, stream, kind, shown, sealed, words, at) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
			r.id, d.stream, r.kind, r.shown, r.sealed, words, storage.At(d.now)); err != nil {
			return fmt.Errorf("save text: %w", err)
		}
	}
	for _, n := range d.notices {
		if err := n.insert(tx); err != nil {
			return err
		}
	}
	if _, err := audit.AppendAll(tx, d.pending); err != nil {
		return err
	}
	for _, text := range d.texted {
		if d.o.SendText == nil {
			break
		}
		if err := d.o.SendText(tx, *d.ticket, text); err != nil {
			return fmt.Errorf("text the reply: %w", err)
		}
	}
	for _, do := range d.later {
		if err := do(tx); err != nil {
			return err
		}
	}
	d.loaded, d.pending, d.texts, d.texted, d.later, d.fresh = d.seen, nil, nil, nil, nil, false
	if notify := d.o.Notify; notify != nil {
		for _, n := range d.notices {
			tx.After(func() { notify(n) })
		}
	}
	if changed, t := d.o.Changed, d.ticket; changed != nil && t != nil {
		tx.After(func() { changed(*t) })
	}
	d.notices = nil
	return nil
}

// claim moves the version of the dossier's own row on, and fails when somebody else did so since it was read. The row is
// locked while a command reads it, so this only ever fails for callers that read and write in two transactions.
func (d *dossier) claim(tx *storage.Tx) error {
	var table, id string
	var version *int64
	switch {
	case d.ticket != nil:
		table, id, version = "ticket", d.ticket.ID, &d.ticket.version
	case d.alert != nil:
		table, id, version = "ticket_alert", d.alert.ID, &d.alert.version
	default:
		table, id, version = "ticket_callback", d.callbacks[0].ID, &d.callbacks[0].version
	}
	n, err := tx.Exec(`UPDATE `+table+` SET version = version + 1 WHERE id = $1 AND version = $2`, id, *version)
	if err != nil {
		return fmt.Errorf("claim %s %s: %w", table, id, err)
	}
	if n == 0 {
		return stale()
	}
	*version++
	return nil
}

func stale() error {
	return refuse("stale", "该诉求刚刚被他人更新，请刷新后再操作")
}

// load reads the dossier of a ticket; lock keeps it for this transaction.
func (o *Office) load(tx *storage.Tx, id string, by Actor, now time.Time, lock bool) (*dossier, error) {
	d := &dossier{o: o, tx: tx, stream: Stream(id), by: by, now: now}
	where := ` WHERE id = $1`
	if lock {
		where += " " + tx.ForUpdate()
	}
	t, err := one[Ticket](tx, where, id)
	if err != nil {
		return nil, fmt.Errorf("ticket %s: %w", id, err)
	}
	d.ticket = t
	if now.Before(t.ChangedAt) {
		d.now = t.ChangedAt // a clock that was set back does not turn the ticket's times round (I3)
	}
	byTicket := ` WHERE ticket_id = $1 ORDER BY id`
	err = errors.Join(
		list(tx, &d.legs, byTicket, id), list(tx, &d.clocks, byTicket, id), list(tx, &d.requests, byTicket, id),
		list(tx, &d.ratings, byTicket, id), list(tx, &d.callbacks, byTicket, id), list(tx, &d.tries, byTicket, id))
	if err != nil {
		return nil, fmt.Errorf("ticket %s: %w", id, err)
	}
	if d.rules, err = o.rules(tx, t.RuleVersion); err != nil {
		return nil, fmt.Errorf("ticket %s: %w", id, err)
	}
	return d, d.ready()
}

// whole reads what load leaves to the commands that need it.
func (d *dossier) whole() error {
	if d.ticket == nil {
		return nil
	}
	byTicket := ` WHERE ticket_id = $1 ORDER BY id`
	err := errors.Join(list(d.tx, &d.grades, byTicket, d.ticket.ID), list(d.tx, &d.steps, byTicket, d.ticket.ID), list(d.tx, &d.sorted, byTicket, d.ticket.ID))
	if err != nil {
		return fmt.Errorf("ticket %s: %w", d.ticket.ID, err)
	}
	return d.ready()
}

func (d *dossier) ready() (err error) {
	d.loaded, err = d.snapshot()
	d.seen = d.loaded
	return err
}

// do runs one command on a ticket.
func (o *Office) do(tx *storage.Tx, id string, by Actor, command func(d *dossier) error) (Ticket, error) {
	return o.doAt(tx, id, by, o.now(), command)
}

func (o *Office) doAt(tx *storage.Tx, id string, by Actor, now time.Time, command func(d *dossier) error) (Ticket, error) {
	if !by.valid() {
		return Ticket{}, refuse("actor", "操作人不明，不能办理")
	}
	d, err := o.load(tx, id, by, now, true)
	if err != nil {
		return Ticket{}, err
	}
	if by.Seen != 0 && by.Seen != d.ticket.Revision {
		if err := d.notAccused(by); err != nil {
			return Ticket{}, err
		}
		return Ticket{}, d.staleBy()
	}
	if err := d.notAccused(by); err != nil {
		return Ticket{}, err
	}
	if err := command(d); err != nil {
		return Ticket{}, err
	}
	if err := d.save(tx); err != nil {
		return Ticket{}, fmt.Errorf("ticket %s: %w", id, err)
	}
	return *d.ticket, nil
}

// doLeg runs one command on a leg.
func (o *Office) doLeg(tx *storage.Tx, legID string, by Actor, command func(d *dossier, l *Leg) error) (Ticket, error) {
	id, err := storage.One(tx, storage.Value[string], `SELECT ticket_id FROM ticket_leg WHERE id = $1`, legID)
	if err != nil {
		return Ticket{}, fmt.Errorf("leg %s: %w", legID, err)
	}
	return o.do(tx, id, by, func(d *dossier) error { return command(d, d.leg(legID)) })
}

// in refuses the command unless the ticket is in one of the states.
func (d *dossier) in(what string, states ...State) error {
	if slices.Contains(states, d.ticket.State) {
		return nil
	}
	return refuse("state", "诉求%s当前为“%s”，不能%s", d.ticket.Number, d.ticket.StateLabel(), what)
}

func (d *dossier) leg(id string) *Leg {
	for _, l := range d.legs {
		if l.ID == id {
			return l
		}
	}
	return nil
}

// host is the 主办 leg of the present round that is not ended, or nil.
func (d *dossier) host() *Leg {
	for _, l := range d.legs {
		if l.Role == Host && l.Round == d.ticket.Round && l.State.Live() {
			return l
		}
	}
	return nil
}

// move puts the ticket into a state, and into the queue that belongs to it.
func (d *dossier) move(s State) {
	t := d.ticket
	t.State = s
	t.Queue, t.Host = "", ""
	switch s {
	case Dispatched, Handling, Suspended:
		if h := d.host(); h != nil {
			t.Host = h.Unit
		}
	default:
		if s.Open() {
			t.Queue = CentreQueue
			if t.Restricted {
				t.Queue = SeatQueue
			}
		}
	}
}

// reckoner computes with the calendar and hours in force.
func (d *dossier) reckoner() workday.Reckoner { return d.o.reckoner() }
