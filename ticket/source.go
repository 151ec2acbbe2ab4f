package ticket

import (
	"strings"
	"unicode/utf8"

	"lianxin/org"
	"lianxin/storage"
)

// Instruct writes a leader's instruction (批示) into a ticket: it is kept as an event, with its words, and stays whatever
// becomes of the ticket.
func (o *Office) Instruct(tx *storage.Tx, id, text string, by Actor) (Ticket, error) {
	return o.do(tx, id, by, func(d *dossier) error {
		if !by.may(org.InstructTicket) || d.ticket.Restricted && by.officer() && !by.sits() {
			return noRole()
		}
		text = strings.TrimSpace(text)
		if text == "" || utf8.RuneCountInString(text) > 2000 {
			return refuse("empty", "请填写批示内容，不超过2000字")
		}
		ref, _ := d.write("instruction", text)
		return d.emit("ticket.instructed", map[string]any{"text": ref})
	})
}

// NoteFromSource writes down what the body that sent a request says about it later: that it hurries us on, or adds
// something. It is for the program and for tokens of that body's connector.
func (o *Office) NoteFromSource(tx *storage.Tx, id, what, text string, by Actor) (Ticket, error) {
	return o.do(tx, id, by, func(d *dossier) error {
		switch {
		case by.Kind != SystemActor && !by.may(org.OpenTicket):
			return noRole()
		case what != "urge" && what != "supplement":
			return refuse("source", "来源方的状态只能是催办或补充")
		case strings.TrimSpace(text) == "" && what == "supplement":
			return refuse("empty", "请填写补充内容")
		case utf8.RuneCountInString(text) > maxBody:
			return refuse("length", "内容不超过%d字", maxBody)
		}
		ref, _ := d.write("source", text)
		return d.emit("ticket.source_"+what, map[string]any{"text": ref})
	})
}

// LinkIncident notes the number of the incident (警情号) that a ticket belongs with, whatever state the ticket is in (CH-7).
// An empty number takes the link away.
func (o *Office) LinkIncident(tx *storage.Tx, id, number string, by Actor) (Ticket, error) {
	return o.do(tx, id, by, func(d *dossier) error {
		t := d.ticket
		number = strings.TrimSpace(number)
		switch {
		case by.Kind != SystemActor && !by.may(org.AmendTicket):
			return noRole()
		case by.officer() && t.Restricted && !by.sits():
			return refuse("seat", "督察12389诉求仅限督察专席办理")
		case len(number) > 64:
			return refuse("incident", "警情号不超过64个字符")
		case number == t.IncidentNo:
			return nil
		}
		was := t.IncidentNo
		t.IncidentNo = number
		return d.emit("ticket.incident_linked", map[string]any{"incident": number, "was": was})
	})
}

// Incident returns the tickets that belong with an incident, as far as the viewer may see them.
func (o *Office) Incident(tx *storage.Tx, number string, viewer Actor) ([]Ticket, error) {
	q := &query{}
	if err := o.visible(tx, q, viewer); err != nil {
		return nil, err
	}
	q.and(`incident_no = ? AND incident_no <> ''`, strings.TrimSpace(number))
	var out []*Ticket
	err := list(tx, &out, q.where()+` ORDER BY opened_at, id LIMIT 200`, q.args...)
	return values(out), err
}
