package oversee

import (
	"errors"
	"fmt"
	"strings"

	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket"
	"lianxin/ticket/match"
)

// Link says that a ticket and an earlier one are of one matter: found by ticket/match, with the evidence (I21).
type Link struct {
	Head               // Tickets: the later, the earlier
	Sort   match.Kind  `json:"sort"`
	Parts  match.Parts `json:"parts"` // without the common pieces: they are text, and kept as such
	Common ticket.Text `json:"common,omitzero"`
	Places ticket.Text `json:"places,omitzero"`
	Auto   bool        `json:"auto,omitzero"`
	By     string      `json:"by,omitzero"`
	Why    ticket.Text `json:"why,omitzero"`
}

// Later and Earlier are the tickets' ids.
func (l *Link) Later() string   { return l.Tickets[0] }
func (l *Link) Earlier() string { return l.Tickets[1] }

// Evidence puts the parts of a score into words for staff (zh-CN).
func Evidence(p match.Parts) string {
	s := fmt.Sprintf("相似度%.0f%%（用词%.0f%%、标题%.0f%%）", 100*p.Score, 100*p.Words, 100*p.Title)
	if p.Party {
		s += "，同一诉求人"
	}
	if len(p.Places) > 0 {
		s += "，同一地点“" + strings.Join(p.Places, "”“") + "”"
	}
	if p.SameTxt {
		s += "，文字基本相同"
	}
	if p.DaysOff >= 1 {
		s += fmt.Sprintf("，相隔%.0f天", p.DaysOff)
	}
	return s
}

// Evidence is why the two are taken for one matter, in words; words are the matter's texts.
func (l *Link) Evidence(words map[string]string) string {
	p := l.Parts
	if s := words[l.Places.ID]; s != "" {
		p.Places = strings.Split(s, "、")
	}
	return Evidence(p)
}

// propose keeps a pair that was found; one that is sure links the tickets at once.
func (d *Desk) propose(tx *storage.Tx, p match.Pair) error {
	auto := p.Auto && p.Kind == match.Repeat
	_, err := open(d, tx, KindLink, ticket.System, "link/"+p.ID+"/"+p.Earlier, func(f *file, l *Link) (map[string]any, error) {
		l.Tickets, l.Sort, l.Parts, l.Auto, l.State = []string{p.ID, p.Earlier}, p.Kind, p.Parts, auto, Suggested
		var err error
		if l.Common, err = f.write("common", strings.Join(p.Parts.Common, "；")); err != nil {
			return nil, err
		}
		if l.Places, err = f.write("places", strings.Join(p.Parts.Places, "、")); err != nil {
			return nil, err
		}
		l.Parts.Common, l.Parts.Places = nil, nil // words of people do not enter the log
		if auto {
			l.State, l.By = Confirmed, ticket.System.String()
			if err := d.link(tx, l, Evidence(p.Parts), ticket.System); err != nil {
				return nil, err
			}
		}
		return map[string]any{"score": p.Parts.Score}, nil
	})
	if errors.Is(err, errThere) {
		return nil
	}
	return err
}

// link makes the repeat link of the ticket itself, unless it has one already.
func (d *Desk) link(tx *storage.Tx, l *Link, evidence string, by ticket.Actor) error {
	t, err := d.Office.Get(tx, l.Later())
	if err != nil || t.RepeatOf != "" || l.Sort != match.Repeat {
		return err
	}
	_, err = d.Office.LinkRepeat(tx, t.ID, l.Earlier(), evidence, by)
	if r, ok := ticket.RefusedWith(err); ok && r.Code == "repeat" {
		return nil // both of one moment, or linked the other way round
	}
	return err
}

// JudgeLink confirms or rejects a suggestion. Confirming a repeat links the tickets; rejecting remembers that they are not
// of one matter, so that it is never suggested again, and the figures of false suggestions are known.
func (d *Desk) JudgeLink(tx *storage.Tx, id string, same bool, why string, by ticket.Actor) (Link, error) {
	return change(d, tx, id, KindLink, by, func(f *file, l *Link) (string, map[string]any, error) {
		if err := may(by, org.MergeTicket); err != nil {
			return "", nil, err
		}
		if by.Kind == ticket.SystemActor {
			return "", nil, noRole()
		}
		for _, t := range l.Tickets {
			if _, err := d.Office.See(tx, t, by); err != nil {
				return "", nil, refuse("ticket", "没有找到该诉求")
			}
		}
		if same && l.State == Confirmed || !same && l.State == Rejected {
			return "", nil, refuse("state", "该关联%s", l.StateLabel())
		}
		var err error
		if l.Why, err = f.write("why", why); err != nil {
			return "", nil, err
		}
		l.By = by.String()
		if !same {
			if l.Why.IsZero() {
				return "", nil, refuse("empty", "请说明为何不是同一事项")
			}
			t, err := d.Office.Get(tx, l.Later())
			if err != nil {
				return "", nil, err
			}
			if t.RepeatOf == l.Earlier() {
				if _, err := d.Office.UnlinkRepeat(tx, t.ID, why, by); err != nil {
					return "", nil, err
				}
			}
			l.State = Rejected
			return "rejected", map[string]any{"why": l.Why}, nil
		}
		l.State = Confirmed
		return "confirmed", map[string]any{"why": l.Why}, d.link(tx, l, Evidence(l.Parts)+"，经人工确认", by)
	})
}

// LinksOf are the links of a ticket with others that the viewer may see.
func (d *Desk) LinksOf(tx *storage.Tx, ticketID string, viewer ticket.Actor) ([]*Link, error) {
	list, err := find[Link](d, tx, KindLink, ` AND id IN (SELECT matter_id FROM oversee_ticket WHERE ticket_id = $2) ORDER BY opened_at DESC, id DESC LIMIT 50`, ticketID)
	if err != nil {
		return nil, err
	}
	var out []*Link
	for _, l := range list {
		ok := true
		for _, t := range l.Tickets {
			if _, err := d.Office.See(tx, t, viewer); errors.Is(err, storage.ErrNotFound) {
				ok = false
			} else if err != nil {
				return nil, err
			}
		}
		if ok {
			out = append(out, l)
		}
	}
	return out, nil
}

// LinkFigures tell how good the suggestions are: made, confirmed and rejected by people, linked by themselves, and of these
// rejected later.
type LinkFigures struct{ Open, Confirmed, Rejected, Auto, AutoRejected int }

// LinkCounts counts the links.
func (d *Desk) LinkCounts(tx *storage.Tx) (n LinkFigures, err error) {
	list, err := find[Link](d, tx, KindLink, ``)
	for _, l := range list {
		switch {
		case l.Auto && l.State == Rejected:
			n.AutoRejected++
		case l.Auto:
			n.Auto++
		case l.State == Confirmed:
			n.Confirmed++
		case l.State == Rejected:
			n.Rejected++
		default:
			n.Open++
		}
	}
	return n, err
}

// Escalation is an item of 信访, 12389 or another body above that is about an earlier ticket which was not settled: 升级投诉
// (LOOP-9).
type Escalation struct {
	Head                // Tickets: the earlier ticket only, since the inbound one may be restricted
	Inbound string      `json:"inbound"` // ticket id of the inbound item
	Channel string      `json:"channel"`
	Score   float64     `json:"score"`
	Owner   string      `json:"owner,omitzero"` // unit that had the earlier ticket
	Why     ticket.Text `json:"why,omitzero"`
}

// escalate counts an inbound item, and tells the owner of the earlier ticket and the leaders.
func (d *Desk) escalate(tx *storage.Tx, inbound, earlier ticket.Ticket, score float64) error {
	owner := earlier.Host
	if owner == "" {
		legs, err := d.Office.Legs(tx, earlier.ID)
		if err != nil {
			return err
		}
		for _, l := range legs {
			if l.Role == ticket.Host {
				owner = l.Unit
			}
		}
	}
	e, err := open(d, tx, KindEscalation, ticket.System, "escalation/"+inbound.ID, func(f *file, e *Escalation) (map[string]any, error) {
		e.State, e.Tickets, e.Inbound, e.Channel, e.Score, e.Owner = Opened, []string{earlier.ID}, inbound.ID, inbound.Channel, score, owner
		return map[string]any{"channel": inbound.Channel, "score": score}, nil
	})
	if errors.Is(err, errThere) {
		return nil
	}
	if err != nil {
		return err
	}
	// The owner learns that its ticket went up, not by whom nor with which words: the inbound item may be about the unit.
	channel := inbound.Channel
	if c, err := d.Office.Channel(tx, channel); err == nil {
		channel = c.Name
	}
	text := "升级投诉：诉求" + earlier.Number + "已被反映至上级或督察、信访渠道，请立即化解"
	for _, unit := range []string{owner, ""} {
		n := ticket.Notice{TicketID: earlier.ID, Subject: e.ID, Point: ticket.Point("escalated/" + unit), Kind: string(KindEscalation), Colour: ticket.Orange, Unit: unit, Text: text, PlannedAt: e.OpenedAt}
		if unit == "" || owner != "" {
			if err := d.Office.Tell(tx, n); err != nil {
				return err
			}
		}
	}
	_, err = d.Office.RaiseAlert(tx, ticket.Alert{Key: "W14/" + inbound.ID, Rule: "W14", Level: ticket.Orange, TicketID: earlier.ID, Subject: "escalation/" + e.ID,
		Title: "升级投诉 " + earlier.Number, Evidence: fmt.Sprintf("来自%s渠道的反映与未解决诉求%s相符，相似度%.0f%%", channel, earlier.Number, 100*score), By: ticket.System})
	return err
}

// JudgeEscalation confirms that an inbound item is an escalation, or takes it out of the count with the reason.
func (d *Desk) JudgeEscalation(tx *storage.Tx, id string, is bool, why string, by ticket.Actor) (Escalation, error) {
	return change(d, tx, id, KindEscalation, by, func(f *file, e *Escalation) (string, map[string]any, error) {
		if err := may(by, org.Supervise, org.Backcheck); err != nil || by.Kind == ticket.SystemActor {
			return "", nil, noRole()
		}
		if err := f.in("核定", Opened); err != nil {
			return "", nil, err
		}
		var err error
		if e.Why, err = f.must("why", "核定理由", why); err != nil {
			return "", nil, err
		}
		if e.State = Rejected; is {
			e.State = Confirmed
		}
		return "judged", map[string]any{"is": is, "why": e.Why}, nil
	})
}

// Escalations is the counter of LOOP-9: items matched to tickets that were not settled, by the day of the match, without
// those that somebody rejected.
func (d *Desk) Escalations(tx *storage.Tx, f Filter) (n int, err error) {
	f.Kind, f.Limit = KindEscalation, 1_000_000
	list, _, err := d.List(tx, f)
	for _, m := range list {
		if m.head().State != Rejected {
			n++
		}
	}
	return n, err
}
