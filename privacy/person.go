package privacy

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"lianxin/audit"
	"lianxin/contact"
	"lianxin/storage"
	"lianxin/ticket"
)

// Dossier is everything that is kept about one person, for that person: what 个人信息保护法 lets them ask for.
type Dossier struct {
	Made     time.Time        `json:"made"`
	Person   string           `json:"person"` // id
	Phone    string           `json:"phone,omitempty"`
	Name     string           `json:"name,omitempty"`
	Mail     string           `json:"mail,omitempty"`
	Identity string           `json:"identity,omitempty"`
	Requests []DossierRequest `json:"requests"`
	Calls    []DossierCall    `json:"calls"`
	Texts    []DossierText    `json:"texts"`
	Services []DossierService `json:"services"`
	OptOuts  []string         `json:"opt_outs"`
	Seen     []DossierSeen    `json:"revealed_to"` // who has read number or name in the open
}

// DossierRequest is a request with its words.
type DossierRequest struct {
	Number   string    `json:"number"`
	Channel  string    `json:"channel"`
	State    string    `json:"state"`
	Received time.Time `json:"received"`
	Title    string    `json:"title"`
	Body     string    `json:"body"`
	Reply    string    `json:"reply,omitempty"`
	Files    int       `json:"files,omitempty"`
}

// DossierCall is a call.
type DossierCall struct {
	Started   time.Time `json:"started"`
	TalkMS    int64     `json:"talk_ms"`
	Recording bool      `json:"recording"`
}

// DossierText is a text to or from the person.
type DossierText struct {
	At   time.Time `json:"at"`
	In   bool      `json:"from_person"`
	Body string    `json:"body"`
}

// DossierService is a service record.
type DossierService struct {
	At     time.Time `json:"at"`
	Class  string    `json:"class"`
	Matter string    `json:"matter"`
}

// DossierSeen is a reveal.
type DossierSeen struct {
	At     time.Time `json:"at"`
	Actor  string    `json:"actor"`
	Reason string    `json:"reason"`
}

// ErrUnknown is returned when nobody is known by a number, address or identity number.
var ErrUnknown = errors.New("nobody is known by that")

// ErrSeveral is returned when more than one person is known by it.
var ErrSeveral = errors.New("several persons are known by that; use the telephone number")

// ErrOpen is returned by Erase while a request of the person is not settled: the duty to answer goes before.
var ErrOpen = errors.New("a request of this person is not settled yet")

func reasonOf(reason string) (string, error) {
	if reason = strings.TrimSpace(reason); utf8.RuneCountInString(reason) < 2 {
		return "", contact.ErrNoReason
	}
	return reason, nil
}

// Export gathers what is kept about the person that a number, mail address or identity number belongs to. Reading it is
// entered into the log with its reason, as every reveal is.
func (k *Keeper) Export(tx *storage.Tx, by, text, reason string) (d Dossier, err error) {
	p, err := k.find(tx, text)
	if err != nil {
		return d, fmt.Errorf("export a person: %w", err)
	}
	return k.ExportPerson(tx, by, p.ID, reason)
}

// find is the person that a number, mail address or identity number belongs to. Where it belongs to several it is
// ErrSeveral: whose data is meant must be told by something that one person has.
func (k *Keeper) find(tx *storage.Tx, text string) (contact.Person, error) {
	people, err := k.Office.Book.FindBy(tx, text)
	switch {
	case err != nil:
		return contact.Person{}, err
	case len(people) == 0:
		return contact.Person{}, ErrUnknown
	case len(people) > 1:
		return contact.Person{}, ErrSeveral
	}
	return people[0], nil
}

// ExportPerson is Export by the person's id.
func (k *Keeper) ExportPerson(tx *storage.Tx, by, id, reason string) (d Dossier, err error) {
	if reason, err = reasonOf(reason); err != nil {
		return d, fmt.Errorf("export a person: %w", err)
	}
	p, err := k.Office.Book.Get(tx, id)
	if err != nil {
		return d, fmt.Errorf("export a person: %w", err)
	}
	who, err := k.Office.Book.Whole(tx, p.ID)
	if err != nil {
		return d, err
	}
	d = Dossier{Made: k.now(), Person: p.ID, Phone: who.Phone.Clear(), Name: who.Name, Mail: who.Mail, Identity: who.Identity,
		Requests: []DossierRequest{}, Calls: []DossierCall{}, Texts: []DossierText{}, Services: []DossierService{}, OptOuts: []string{}, Seen: []DossierSeen{}}
	list, _, err := k.Office.List(tx, ticket.Filter{Viewer: ticket.System, Contact: p.ID, Order: ticket.ByOldest, Limit: 1000})
	if err != nil {
		return d, err
	}
	for _, t := range list {
		r := DossierRequest{Number: t.Number, Channel: t.Channel, State: t.StateLabel(), Received: t.ReceivedAt}
		for into, ref := range map[*string]ticket.Text{&r.Title: t.TitleRef, &r.Body: t.BodyRef, &r.Reply: t.ReplyRef} {
			if *into, err = k.Office.Original(tx, ref); err != nil {
				return d, err
			}
		}
		if r.Files, err = storage.One(tx, storage.Value[int], `SELECT COUNT(*) FROM channel_attachment WHERE ticket_id = $1 AND sealed IS NOT NULL`, t.ID); err != nil {
			return d, err
		}
		d.Requests = append(d.Requests, r)
	}
	d.Calls, err = storage.All(tx, func(r storage.Row) (c DossierCall, err error) {
		var at storage.Time
		var rec string
		err = r.Scan(&at, &c.TalkMS, &rec)
		c.Started, c.Recording = at.Time, rec != ""
		return c, err
	}, `SELECT started, talk_ms, recording FROM call WHERE contact_id = $1 ORDER BY started`, p.ID)
	if err != nil {
		return d, err
	}
	if !who.Phone.IsZero() {
		if err := k.exportByNumber(tx, &d, k.Office.Book.Vault.HashPhone(who.Phone)); err != nil {
			return d, err
		}
	}
	events, err := audit.Stream(tx, contact.Stream(p.ID))
	if err != nil {
		return d, err
	}
	for _, e := range events {
		if e.Type == "contact.revealed" || e.Type == "contact.exported" {
			var f struct{ Reason string }
			_ = json.Unmarshal(e.Payload, &f) // a payload without a reason has none
			d.Seen = append(d.Seen, DossierSeen{At: e.At, Actor: e.Actor, Reason: f.Reason})
		}
	}
	_, err = audit.Append(tx, audit.Entry{Stream: contact.Stream(p.ID), Type: "contact.exported", Actor: by, At: k.now(), Payload: map[string]string{"reason": reason}})
	return d, err
}

// exportByNumber adds what hangs on the number: texts, services, opt-outs.
func (k *Keeper) exportByNumber(tx *storage.Tx, d *Dossier, hash string) error {
	v := k.Office.Book.Vault
	for _, q := range []struct {
		in      bool
		query   string
		purpose string
	}{
		{false, `SELECT created_at, body, words FROM sms WHERE phone_hash = $1 ORDER BY created_at`, "sms.text"},
		{true, `SELECT received_at, body, words FROM sms_inbound WHERE phone_hash = $1 ORDER BY received_at`, "sms.reply"},
	} {
		list, err := storage.All(tx, func(r storage.Row) (t DossierText, err error) {
			var at storage.Time
			var sealed []byte
			if err = r.Scan(&at, &t.Body, &sealed); err != nil {
				return t, err
			}
			t.At, t.In = at.Time, q.in
			if len(sealed) > 0 {
				if t.Body, err = v.For(q.purpose).Open(sealed); err == nil && q.in {
					_, t.Body, _ = strings.Cut(t.Body, "\n")
				}
			}
			return t, err
		}, q.query, hash)
		if err != nil {
			return err
		}
		d.Texts = append(d.Texts, list...)
	}
	var err error
	d.Services, err = storage.All(tx, func(r storage.Row) (s DossierService, err error) {
		var at storage.Time
		err = r.Scan(&at, &s.Class, &s.Matter)
		s.At = at.Time
		return s, err
	}, `SELECT service_at, class, matter FROM survey_record WHERE phone_hash = $1 ORDER BY service_at`, hash)
	if err != nil {
		return err
	}
	d.OptOuts, err = storage.All(tx, storage.Value[string], `SELECT scope FROM contact_optout WHERE phone_hash = $1 AND back = FALSE ORDER BY seq`, hash)
	return err
}

// Erased is how much an erasure took out.
type Erased struct {
	Person                          string
	Requests, Texts, Records, Calls int
}

// Erase takes out what is kept about a person who asks for it: the words of settled requests, texts, service records, the
// numbers of calls, and then the person. That they asked us to stop is kept, by keyed hash, so that nobody asks them again.
// While a request is not settled it is refused (ErrOpen). Recordings follow their own holds.
func (k *Keeper) Erase(tx *storage.Tx, by, text, reason string) (e Erased, err error) {
	p, err := k.find(tx, text)
	if err != nil {
		return e, fmt.Errorf("erase a person: %w", err)
	}
	return k.ErasePerson(tx, by, p.ID, reason)
}

// ErasePerson is Erase by the person's id.
func (k *Keeper) ErasePerson(tx *storage.Tx, by, id, reason string) (e Erased, err error) {
	if reason, err = reasonOf(reason); err != nil {
		return e, fmt.Errorf("erase a person: %w", err)
	}
	p, err := k.Office.Book.Get(tx, id)
	if err != nil {
		return e, fmt.Errorf("erase a person: %w", err)
	}
	e.Person = p.ID
	list, total, err := k.Office.List(tx, ticket.Filter{Viewer: ticket.System, Contact: p.ID, Limit: 1000})
	if err != nil {
		return e, err
	}
	if total > len(list) {
		return e, errors.New("erase a person: more than 1000 requests")
	}
	for _, t := range list {
		if t.State.Open() {
			return e, fmt.Errorf("%w: %s", ErrOpen, t.Number)
		}
	}
	// First into the log: what follows may take the person's row along.
	if _, err := audit.Append(tx, audit.Entry{Stream: contact.Stream(p.ID), Type: "contact.erasure", Actor: by, At: k.now(), Payload: map[string]string{"reason": reason}}); err != nil {
		return e, err
	}
	take := func(table, where string, arg any) (int, error) {
		ids, err := storage.All(tx, storage.Value[string], `SELECT id FROM `+table+` WHERE `+where+` ORDER BY id`, arg)
		if err != nil {
			return 0, err
		}
		return len(ids), k.takeOut(tx, table, ids, "erasure")
	}
	if e.Calls, err = take("call", `contact_id = $1 AND ended IS NOT NULL`, p.ID); err != nil {
		return e, err
	}
	if !p.Phone.IsZero() {
		hash := k.Office.Book.Vault.HashPhone(p.Phone)
		var n int
		if e.Texts, err = take("sms", `phone_hash = $1 AND state NOT IN ('queued', 'sending', 'unknown')`, hash); err != nil {
			return e, err
		}
		if n, err = take("sms_inbound", `phone_hash = $1`, hash); err != nil {
			return e, err
		}
		e.Texts += n
		if e.Records, err = take("survey_record", `phone_hash = $1 AND decided = TRUE`, hash); err != nil {
			return e, err
		}
	}
	for _, t := range list {
		if err := k.eraseTicket(tx, t.ID, "erasure"); err != nil {
			return e, err
		}
		e.Requests++
	}
	return e, k.Office.Book.Anonymise(tx, p.ID, by, "erasure")
}
