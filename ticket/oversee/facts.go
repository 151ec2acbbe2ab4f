package oversee

import (
	"cmp"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"lianxin/audit"
	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket"
	"lianxin/ticket/warn"
)

// readFacts reads the log after an event: what happened to tickets, as the rules of warning take it. It returns the last
// event that it read; facts come in the order of the log.
func (d *Desk) readFacts(tx *storage.Tx, after int64, limit int) (facts []warn.Fact, last int64, at time.Time, err error) {
	events, err := audit.AfterIn(tx, ticket.Stream(""), after, limit)
	if err != nil {
		return nil, after, time.Time{}, err
	}
	last = after
	for _, e := range events {
		last, at = e.Seq, e.At
		id, ok := strings.CutPrefix(e.Stream, "ticket/")
		if !ok {
			continue
		}
		found, err := d.factsOf(tx, id, e)
		if err != nil {
			return nil, after, at, err
		}
		facts = append(facts, found...)
	}
	return facts, last, at, nil
}

// instructed is a fact of our own: a leader wrote 批示 on a ticket.
type instructed struct {
	warn.Moved
}

func (d *Desk) factsOf(tx *storage.Tx, id string, e audit.Event) ([]warn.Fact, error) {
	var p struct {
		Set struct {
			Ticket map[string]struct {
				State, Colour, Host, Cause string
				Stars                      int
			}
			Rating map[string]struct {
				Stars, Round int
			}
		}
	}
	if err := json.Unmarshal(e.Payload, &p); err != nil {
		return nil, err
	}
	var out []warn.Fact
	if e.Type == "ticket.opened" || e.Type == "ticket.amended" || e.Type == "ticket.restored" {
		t, err := d.Office.Get(tx, id)
		if errors.Is(err, storage.ErrNotFound) {
			return nil, nil // its row is missing: Verify tells of it
		} else if err != nil {
			return nil, err
		}
		out = append(out, d.openedFact(tx, t, e.At))
	}
	set := p.Set.Ticket[id]
	m := warn.Moved{ID: id, At: e.At, Human: e.Actor != ticket.System.String(), Colour: set.Colour, Unit: set.Host, Returned: e.Type == "request.return_granted"}
	switch ticket.State(set.State) {
	case ticket.Closed:
		m.Closed = true
		m.Solved = slices.Contains([]string{"ticket.rated", "ticket.determined"}, e.Type) && e.Type == "ticket.rated"
	case ticket.Refused, ticket.Transferred, ticket.Merged, ticket.Withdrawn:
		m.Closed = true
	case ticket.New, ticket.Accepted:
		m.Reopened = e.Type != "ticket.opened"
	}
	if e.Type == "ticket.cause_set" { // what a person found counts for more than what the words say
		tag := set.Cause
		if tag == ticket.CauseDataError {
			tag = warn.TagDataError
		}
		out = append(out, warn.Tagged{ID: id, At: e.At, Tag: tag})
	}
	if e.Type == "ticket.instructed" {
		out = append(out, instructed{m})
	} else {
		out = append(out, m)
	}
	for _, r := range p.Set.Rating {
		if r.Stars == 0 {
			continue
		}
		legs, err := d.Office.Legs(tx, id)
		if err != nil {
			return nil, err
		}
		for _, l := range legs {
			if l.Round == r.Round && l.Role == ticket.Host && l.State == ticket.LegAccepted {
				x := warn.Rated{At: e.At, Unit: l.Unit, Class: "ticket", Clerk: strings.TrimPrefix(l.Handler, "staff/"), Stars: r.Stars}
				if err := d.served(tx, id, &x); err != nil {
					return nil, err
				}
				out = append(out, x)
			}
		}
	}
	return out, nil
}

func (d *Desk) openedFact(tx *storage.Tx, t ticket.Ticket, at time.Time) warn.Opened {
	f := warn.Opened{ID: t.ID, Number: t.Number, Party: t.ContactID, Channel: t.Channel, At: at, Title: t.Title, Text: t.Body, Place: t.Place, Colour: string(t.Colour),
		Restricted: t.Restricted}
	if c, err := d.Office.Channel(tx, t.Channel); err == nil {
		f.ChannelName = c.Name
	}
	if t.Community != "" {
		names, err := d.Office.AreaNames(tx)
		if err == nil {
			f.Community, f.CommunityName = t.Community, names[t.Community]
		}
	}
	if c, err := d.Office.SecondLevel(tx, cmp.Or(t.Class, t.SuggestedClass)); err == nil {
		f.Class, f.ClassName = c.Code, c.Name
	}
	if t.UnitHint != "" {
		if u, err := org.GetUnit(tx, t.UnitHint); err == nil {
			f.District = u.District
		}
	}
	return f
}

// served lays a rating to the window and the clerk that the request is about, where it tells them; else it stays with who handled it.
func (d *Desk) served(tx *storage.Tx, id string, x *warn.Rated) error {
	t, err := d.Office.Get(tx, id)
	if errors.Is(err, storage.ErrNotFound) {
		return nil // its row is missing: Verify tells of it
	} else if err != nil {
		return err
	}
	unit := cmp.Or(t.AccusedUnit, t.UnitHint, x.Unit) // windows and clerks are numbered by each unit for itself
	name := unit
	if u, err := org.GetUnit(tx, unit); err == nil {
		name = cmp.Or(u.Short, u.Name)
	}
	if t.WindowNo != "" {
		x.Place, x.PlaceName = unit+"/"+t.WindowNo, name+" 窗口"+t.WindowNo
	}
	if t.ClerkNo != "" {
		x.Clerk, x.ClerkName = unit+"/"+t.ClerkNo, name+" 工号"+t.ClerkNo
	}
	return nil
}
