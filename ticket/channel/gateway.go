// Package channel brings requests in from every channel and takes their results back: files and mail, the web form and the
// open interfaces on one side, result files, pushes and webhooks on the other.
//
// What arrives is a Delivery, whoever sent it; Gateway.Take makes a ticket of it, in one transaction, and keeps the
// original as it was. Each adapter stands in a file of its own. Connectors, which move things by themselves, are data: a
// Runner looks at the table and starts, stops and watches them without a restart.
package channel

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
	"unicode/utf8"

	"lianxin/audit"
	"lianxin/contact"
	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket"
)

// Gateway is where requests come in. DB and Office are needed.
type Gateway struct {
	DB     *storage.DB
	Office *ticket.Office
	Now    func() time.Time // nil is time.Now
	Log    *slog.Logger     // nil is slog.Default

	// PublicURL is where the public reaches us, for links in texts; may be empty.
	PublicURL string
}

func (g *Gateway) now() time.Time {
	if g.Now != nil {
		return g.Now()
	}
	return time.Now()
}

func (g *Gateway) log() *slog.Logger {
	if g.Log != nil {
		return g.Log
	}
	return slog.Default()
}

func (g *Gateway) vault() *contact.Vault { return g.Office.Book.Vault }

// Delivery is a request as a channel hands it over, read but not yet judged.
type Delivery struct {
	Channel      string
	ExternalID   string
	ReceivedAt   time.Time // when it reached us; now when zero
	Due          time.Time // the other body's own deadline
	Title, Body  string
	Kind         string // code or Chinese name of a ticket.Kind; may be empty
	Place        string
	Name         string
	Phone        string
	Mail         string
	Identity     string // number of an identity card
	Unit         string // id, name or short name of the unit it probably belongs to
	AccusedUnit  string // likewise, of the unit it complains about
	Incident     string
	Window       string // number of the window that it is about
	Clerk        string // and of the clerk
	Confidential bool
	Anonymous    bool
	Proactive    bool
	Raw          []byte // exactly what arrived
	Files        []File
}

// File is something that came with a request.
type File struct {
	Name  string
	Media string // content type
	Data  []byte
}

// Taken is what became of a delivery.
type Taken struct {
	ticket.Ticket
	Changed bool   // it was known, and came now with other words, which are kept beside the first
	Odd     string // what is odd about it: a code of reasons, "" for nothing
}

const (
	maxTitle = 200
	maxBody  = 20000
)

// Take makes a ticket of a delivery, or finds the one that is there under its number. A *ticket.Refusal says why there is
// none: by the rules of tickets, or because the channel's rule of identity is not met.
func (g *Gateway) Take(tx *storage.Tx, d Delivery, by ticket.Actor) (Taken, error) {
	units, err := g.units(tx)
	if err != nil {
		return Taken{}, err
	}
	return g.take(tx, d, by, units)
}

// take is Take with the names of units at hand.
func (g *Gateway) take(tx *storage.Tx, d Delivery, by ticket.Actor, units map[string]string) (Taken, error) {
	ch, err := g.Office.Channel(tx, d.Channel)
	if errors.Is(err, storage.ErrNotFound) {
		return Taken{}, refuse("channel", "没有渠道“"+d.Channel+"”")
	} else if err != nil {
		return Taken{}, err
	}
	var out Taken
	in := ticket.Intake{Channel: d.Channel, ExternalID: strings.TrimSpace(d.ExternalID), Title: clean(d.Title), Body: clean(d.Body), Place: clean(d.Place), IncidentNo: strings.TrimSpace(d.Incident),
		WindowNo:     strings.TrimSpace(d.Window),
		Confidential: d.Confidential, Anonymous: d.Anonymous, Proactive: d.Proactive, Raw: d.Raw, ExternalDue: d.Due, At: d.ReceivedAt, By: by}
	if in.Title == "" {
		in.Title = headline(in.Body)
	}
	if in.Title == "" {
		return Taken{}, refuse("empty", "没有标题和内容")
	}
	if len(in.ExternalID) > 100 {
		return Taken{}, refuse("long_id", "编号过长")
	}
	if len(in.IncidentNo) > 64 {
		return Taken{}, refuse("incident", "警情号不超过64个字符")
	}
	if in.ClerkNo = clerkNumber(d.Clerk); in.ClerkNo == "" && strings.TrimSpace(d.Clerk) != "" {
		out.Odd = "no_clerk" // a name, perhaps: it is in the original, and not where everybody reads it
	}
	if badWindow(in.WindowNo) {
		out.Odd, in.WindowNo = "no_window", ""
	}
	if d.Kind != "" {
		if in.Kind = KindOf(d.Kind); in.Kind == "" {
			out.Odd = "bad_kind"
		}
	}
	if d.Unit != "" {
		if in.UnitHint = units[fold(d.Unit)]; in.UnitHint == "" {
			out.Odd = "no_unit"
		}
	}
	if d.AccusedUnit != "" {
		if in.AccusedUnit = units[fold(d.AccusedUnit)]; in.AccusedUnit == "" {
			// Whom it accuses must not be lost.
			out.Odd = "no_accused_unit"
			in.Body = strings.TrimSpace(in.Body + "\n（来源注明涉及单位：" + clean(d.AccusedUnit) + "）")
		}
	}
	if ch.Identity != ticket.IdentityNone && !d.Anonymous {
		who, odd := whoOf(d)
		if odd != "" {
			out.Odd = odd
		}
		if !who.Phone.IsZero() || who.Mail != "" || who.Identity != "" {
			p, err := g.Office.Book.Enter(tx, who)
			if err != nil {
				return Taken{}, err
			}
			in.ContactID = p.ID
		}
	}
	if in.ContactID == "" && ch.Identity == ticket.IdentityRequired {
		return Taken{}, refuse("identity", "渠道“"+ch.Name+"”须留联系方式")
	}
	was := int64(-1)
	if in.ExternalID != "" {
		was, err = storage.One(tx, storage.Value[int64], `SELECT revision FROM ticket WHERE channel = $1 AND external_id = $2`, in.Channel, in.ExternalID)
		if errors.Is(err, storage.ErrNotFound) {
			was = -1
		} else if err != nil {
			return Taken{}, err
		}
	}
	if out.Ticket, err = g.Office.Open(tx, in); err != nil {
		return Taken{}, err
	}
	out.Changed = out.Existing && out.Revision != was
	if out.Existing {
		return out, nil
	}
	for _, f := range d.Files {
		if err := g.attach(tx, out.ID, f, by); err != nil {
			return Taken{}, err
		}
	}
	return out, nil
}

func refuse(code, message string) error { return &ticket.Refusal{Code: code, Message: message} }

// clean makes a text one that both databases keep.
func clean(s string) string {
	return strings.TrimSpace(strings.ToValidUTF8(strings.ReplaceAll(strings.ReplaceAll(s, "\x00", ""), "\r\n", "\n"), "\uFFFD"))
}

// headline makes a title of a text that has none: its first sentence, forty characters at most.
func headline(body string) string {
	body = strings.TrimSpace(body)
	if i := strings.IndexAny(body, "。！？\n"); i > 0 {
		body = body[:i]
	}
	if r := []rune(body); len(r) > 40 {
		body = string(r[:40]) + "…"
	}
	return strings.TrimSpace(body)
}

// KindOf reads a kind of request by its code or its Chinese name, "" when there is none such.
func KindOf(s string) ticket.Kind {
	s = strings.TrimSpace(s)
	for _, k := range ticket.Kinds {
		if s == string(k) || s == k.Label() || s == k.Label()+"类" {
			return k
		}
	}
	for word, k := range map[string]ticket.Kind{"非紧急求助": ticket.Help, "建议": ticket.Suggestion, "意见": ticket.Suggestion, "投诉举报": ticket.Complaint} {
		if s == word {
			return k
		}
	}
	return ""
}

// whoOf reads who speaks. A number that is none does not keep a matter out; odd says so.
func whoOf(d Delivery) (who contact.Who, odd string) {
	who.Name = d.Name
	if s := strings.TrimSpace(d.Phone); s != "" {
		var err error
		if who.Phone, err = contact.ParsePhone(s); err != nil {
			odd = "bad_phone"
		}
	}
	if s := strings.TrimSpace(d.Mail); s != "" {
		var err error
		if who.Mail, err = contact.ParseMail(s); err != nil {
			odd = "bad_mail"
		}
	}
	if s := strings.TrimSpace(d.Identity); s != "" {
		var err error
		if who.Identity, err = contact.ParseIdentity(s); err != nil {
			odd = "bad_identity"
		}
	}
	return who, odd
}

// units maps what a unit is called to its id; a name that two units have leads to none.
func (g *Gateway) units(tx *storage.Tx) (map[string]string, error) {
	all, err := org.Units(tx)
	if err != nil {
		return nil, err
	}
	return unitNames(all), nil
}

func unitNames(all []org.Unit) map[string]string {
	out := map[string]string{}
	for _, u := range all {
		for _, name := range []string{u.Name, u.Short} {
			key := fold(name)
			if was, ok := out[key]; ok && was != u.ID {
				out[key] = ""
			} else {
				out[key] = u.ID
			}
		}
	}
	for _, u := range all {
		out[fold(u.ID)] = u.ID
	}
	return out
}

// fold makes names comparable: case, blanks and full-width forms do not tell.
func fold(s string) string {
	return strings.ToLower(strings.Map(func(r rune) rune {
		switch {
		case r == ' ' || r == '\t' || r == '\u3000' || r == '\u00a0' || r == '\ufeff' || r == '\u200b':
			return -1
		case r >= '！' && r <= '～':
			return r - 0xFEE0
		}
		return r
	}, s))
}

const (
	filePurpose = "channel.file"
	namePurpose = "channel.file-name"
)

// MaxFile is the longest file that is kept with a request.
const MaxFile = 20 << 20

// attach keeps a file with a ticket. Its sum goes into the log, so that VerifyFiles notices a change.
func (g *Gateway) attach(tx *storage.Tx, ticketID string, f File, by ticket.Actor) error {
	if len(f.Data) > MaxFile {
		return refuse("file", fmt.Sprintf("附件不能超过%dMB", MaxFile>>20))
	}
	name := clean(f.Name)
	if name == "" {
		name = "附件"
	}
	if utf8.RuneCountInString(name) > 120 {
		name = string([]rune(name)[:120])
	}
	h := sha256.Sum256(f.Data)
	id, sum, now := storage.NewID(), hex.EncodeToString(h[:]), g.now()
	_, err := tx.Exec(`INSERT INTO channel_attachment (id, ticket_id, name, media, size, sum, sealed, at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		id, ticketID, g.vault().For(namePurpose).Seal(name), f.Media, len(f.Data), sum, g.vault().For(filePurpose).Seal(string(f.Data)), storage.At(now))
	if err == nil {
		_, err = audit.Append(tx, audit.Entry{Stream: "attachment/" + ticketID, Type: "attachment.kept", Actor: by.String(), At: now,
			Payload: map[string]any{"id": id, "sum": sum, "media": f.Media, "size": len(f.Data)}})
	}
	if err != nil {
		return fmt.Errorf("keep a file of %s: %w", ticketID, err)
	}
	return nil
}

// Attachment is a file of a ticket, without its content.
type Attachment struct {
	ID, TicketID, Name, Media string
	Size                      int64
	Gone                      bool // erased after its period
	At                        time.Time
}

// Attachments are the files of a ticket, first to last.
func (g *Gateway) Attachments(tx *storage.Tx, ticketID string) ([]Attachment, error) {
	return storage.All(tx, func(r storage.Row) (a Attachment, err error) {
		var name []byte
		var at storage.Time
		var there int
		if err = r.Scan(&a.ID, &a.TicketID, &name, &a.Media, &a.Size, &there, &at); err != nil {
			return a, err
		}
		a.At, a.Gone = at.Time, there == 0
		a.Name, err = g.vault().For(namePurpose).Open(name)
		return a, err
	}, `SELECT id, ticket_id, name, media, size, CASE WHEN sealed IS NULL THEN 0 ELSE 1 END, at FROM channel_attachment WHERE ticket_id = $1 ORDER BY id`, ticketID)
}

// Attached is the content of a file, or storage.ErrNotFound. Who may read it, and that it is logged, is for the caller.
func (g *Gateway) Attached(tx *storage.Tx, id string) ([]byte, error) {
	sealed, err := storage.One(tx, storage.Value[[]byte], `SELECT sealed FROM channel_attachment WHERE id = $1 AND sealed IS NOT NULL`, id)
	if err != nil {
		return nil, fmt.Errorf("file %s: %w", id, err)
	}
	plain, err := g.vault().For(filePurpose).Open(sealed)
	return []byte(plain), err
}
