package ticket

import (
	"fmt"
	"time"

	"lianxin/storage"
	"lianxin/ticket/grade"
)

// kin are the tickets of the same matter: those that repeat one another, and those merged into one of them, from the first
// on. UNION walks each ticket once, however many ways lead to it: with the depth beside the id a ticket that both repeats and was merged was walked once
// for each length of way, and a matter of three hundred took tens of milliseconds. A matter of more than a thousand tickets is grave whatever the rest says.
const kin = `WITH RECURSIVE up (id, next, n) AS (
		SELECT id, CASE WHEN repeat_of <> '' THEN repeat_of ELSE merged_into END, 0 FROM ticket WHERE id = $1
		UNION ALL
		SELECT t.id, CASE WHEN t.repeat_of <> '' THEN t.repeat_of ELSE t.merged_into END, u.n + 1 FROM ticket t JOIN up u ON t.id = u.next WHERE u.n < 100
	), kin (id) AS (
		SELECT id FROM (SELECT id FROM up ORDER BY n DESC LIMIT 1) AS root
		UNION
		SELECT t.id FROM kin k JOIN ticket t ON (t.repeat_of = k.id AND t.repeat_of <> '' OR t.merged_into = k.id AND t.merged_into <> '')
	) SELECT t.id, t.contact_id, t.channel, t.received_at, t.round, t.rating, t.state FROM kin JOIN ticket t ON kin.id = t.id ORDER BY t.received_at LIMIT 1000`

type relative struct {
	id, contact, channel string
	received             time.Time
	round                int
	stars                Stars
	state                State
}

func scanRelative(r storage.Row) (x relative, err error) {
	return x, r.Scan(&x.id, &x.contact, &x.channel, stamp{&x.received}, &x.round, &x.stars, &x.state)
}

// relatives reads the tickets of the same matter. A ticket that is new, or repeats nothing and has nothing merged into it,
// is alone.
func (d *dossier) relatives() ([]relative, error) {
	t := d.ticket
	me := relative{id: t.ID, contact: t.ContactID, channel: t.Channel, received: t.ReceivedAt, round: t.Round, stars: t.Stars, state: t.State}
	start := t.ID
	if d.fresh {
		if start = cmpOr(t.RepeatOf, t.MergedInto); start == "" {
			return []relative{me}, nil
		}
	}
	all, err := storage.All(d.tx, scanRelative, kin, start)
	if err != nil {
		return nil, fmt.Errorf("tickets of the same matter as %s: %w", t.ID, err)
	}
	if start == t.ID && t.RepeatOf != "" && len(all) == 1 { // the link is not in the database yet
		more, err := storage.All(d.tx, scanRelative, kin, t.RepeatOf)
		if err != nil {
			return nil, fmt.Errorf("tickets of the same matter as %s: %w", t.ID, err)
		}
		all = append(all, more...)
	}
	out := []relative{me}
	for _, r := range all {
		if r.id != t.ID {
			out = append(out, r)
		}
	}
	return out, nil
}

// history is what the records say of the matter and of the person who brings it (§7).
func (d *dossier) history() (h grade.History, err error) {
	t := d.ticket
	family, err := d.relatives()
	if err != nil {
		return h, err
	}
	people, channels := map[string]bool{}, map[string]bool{}
	first := t.ReceivedAt
	for _, r := range family {
		if r.received.Before(first) {
			first = r.received
		}
		if r.contact != "" {
			people[r.contact] = true
		}
		if t.ContactID == "" || r.contact != t.ContactID {
			continue
		}
		channels[r.channel] = true
		if r.id != t.ID && r.received.Before(t.ReceivedAt) {
			h.Repeats++
		}
		h.Unsatisfied = h.Unsatisfied || r.stars.Bad()
		h.Rework = h.Rework || r.round > 0
	}
	h.Parties, h.Channels = max(1, len(people)), len(channels)
	h.AgeDays = int(d.now.Sub(first) / (24 * time.Hour))
	h.Unsatisfied = h.Unsatisfied || t.Stars.Bad()
	h.Rework = h.Rework || t.Round > 0
	for _, c := range d.clocks {
		h.Overdue = h.Overdue || c.Kind == ClockHandle && (c.State == Late || c.Overdue(d.now))
	}
	h.EmotionConfirmed = t.Emotion
	if t.ContactID != "" && !t.Anonymous {
		if h.Contacts7d, err = d.contactsSince(d.now.AddDate(0, 0, -7)); err != nil {
			return h, err
		}
		if h.Contacts90d, err = d.contactsSince(d.now.AddDate(0, 0, -90)); err != nil {
			return h, err
		}
	}
	if d.o.Known != nil {
		if err := d.o.Known(d.tx, *t, &h); err != nil {
			return h, fmt.Errorf("facts about %s: %w", t.ID, err)
		}
	}
	return h, nil
}

// contactsSince counts how often the citizen came since a moment, this time among them: tickets, and what Office.Contacts
// knows of besides, such as calls without one.
func (d *dossier) contactsSince(from time.Time) (int, error) {
	t := d.ticket
	n, err := storage.One(d.tx, storage.Value[int], `SELECT COUNT(*) FROM ticket WHERE contact_id = $1 AND opened_at >= $2 AND id <> $3`, t.ContactID, storage.At(from), t.ID)
	if err != nil {
		return 0, fmt.Errorf("contacts of the citizen of %s: %w", t.ID, err)
	}
	if !t.OpenedAt.Before(from) {
		n++
	}
	if d.o.Contacts != nil {
		more, err := d.o.Contacts(d.tx, t.ContactID, from, d.now)
		if err != nil {
			return 0, fmt.Errorf("contacts of the citizen of %s: %w", t.ID, err)
		}
		n += more
	}
	return n, nil
}

// CameAgain notes that a citizen made contact again, so that the next sweep grades the tickets that are open for them
// (the latest fifty) anew.
func (o *Office) CameAgain(tx *storage.Tx, contactID, exceptTicket string) error {
	if contactID == "" {
		return nil
	}
	_, err := tx.Exec(`INSERT INTO ticket_regrade (ticket_id, cause, at)
		SELECT id, $2, $3 FROM (SELECT id FROM ticket WHERE contact_id = $1 AND id <> $4 AND closed_at IS NULL ORDER BY opened_at DESC LIMIT 50) AS open
		WHERE 1 = 1
		ON CONFLICT (ticket_id) DO NOTHING`, contactID, GradedContacts, storage.At(o.now()), exceptTicket)
	if err != nil {
		return fmt.Errorf("note that a citizen came again: %w", err)
	}
	return nil
}
