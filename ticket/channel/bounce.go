package channel

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/textproto"
	"regexp"
	"strings"

	"github.com/emersion/go-message"
	"github.com/emersion/go-message/mail"

	"lianxin/storage"
	"lianxin/ticket"
)

// report is what a mail server says became of a mail of ours (RFC 3464).
type report struct {
	id     string // of the outbox, which is the left part of our Message-ID
	failed bool   // for good; else it is only late
	why    string
}

// ourID is the left part of a Message-ID of ours: a ULID.
var ourID = regexp.MustCompile(`\b[0-7][0-9A-HJKMNP-TV-Z]{25}\b`)

// readReport reads a mail as a report of a mail server about one of ours.
func readReport(raw []byte) (r report, ok bool) {
	e, err := message.Read(bytes.NewReader(raw))
	if e == nil || err != nil && !message.IsUnknownCharset(err) && !message.IsUnknownEncoding(err) {
		return r, false
	}
	media, params, _ := e.Header.ContentType()
	if media != "multipart/report" || !strings.EqualFold(params["report-type"], "delivery-status") {
		// Older servers write what they have to say in words: known by who writes, and by our id in what they quote.
		_, from := sender(mail.Header{Header: e.Header})
		user, _, _ := strings.Cut(strings.ToLower(from), "@")
		if user != "mailer-daemon" && user != "postmaster" {
			return r, false
		}
		r.id, r.failed, r.why = ourID.FindString(string(raw)), true, headerText(e.Header.Get("Subject"))
		return r, r.id != ""
	}
	_ = walk(e, func(p *message.Entity) {
		media, _, _ := p.Header.ContentType()
		body, _ := io.ReadAll(io.LimitReader(p.Body, 1<<20)) // what can be read of a damaged part will do
		switch media {
		case "message/delivery-status", "message/global-delivery-status":
			r.status(body)
		case "message/rfc822", "text/rfc822-headers", "message/global", "message/global-headers":
			if h, err := textproto.NewReader(bufio.NewReader(bytes.NewReader(body))).ReadMIMEHeader(); len(h) > 0 || err == nil {
				if id := ourID.FindString(h.Get("Message-Id")); id != "" {
					r.id = id
				}
			}
		}
	})
	return r, r.id != ""
}

// status reads the groups of fields of a delivery status: one for the message, then one for each recipient.
func (r *report) status(body []byte) {
	in := textproto.NewReader(bufio.NewReader(bytes.NewReader(body)))
	for {
		h, err := in.ReadMIMEHeader()
		switch action := strings.ToLower(strings.TrimSpace(h.Get("Action"))); action {
		case "failed", "delayed":
			r.failed = r.failed || action == "failed"
			r.why = strings.TrimSpace(h.Get("Status") + " " + strings.Join(strings.Fields(headerText(h.Get("Diagnostic-Code"))), " "))
		}
		if err != nil {
			return
		}
	}
}

// answersOurs takes a mail in that answers one of ours: a server's report, a program's answer, or what the citizen adds. taken is
// false for every other mail, which is a letter of its own.
func (g *Gateway) answersOurs(tx *storage.Tx, c Connector, d Delivery) (taken bool, err error) {
	mark := g.vault().For("channel.mail").Hash(string(d.Raw))
	known, err := storage.One(tx, storage.Value[int], `SELECT COUNT(*) FROM channel_mail_in WHERE mark = $1`, mark)
	if err != nil || known > 0 {
		return known > 0, err
	}
	note := func(ticketID, what string) (bool, error) {
		_, err := tx.Exec(`INSERT INTO channel_mail_in (mark, ticket_id, what, at) VALUES ($1, $2, $3, $4)`, mark, ticketID, what, storage.At(g.now()))
		return err == nil, err
	}
	if r, ok := readReport(d.Raw); ok {
		of, err := g.sentMail(tx, c, r.id)
		if errors.Is(err, storage.ErrNotFound) {
			return false, nil // it tells of a mail that was none of ours
		} else if err != nil {
			return false, err
		}
		if !r.failed {
			return note(of, "delay")
		}
		if _, err := tx.Exec(`UPDATE channel_outbox SET state = 'dead', error = $2 WHERE id = $1`, r.id, short(errors.New("bounced: "+r.why))); err != nil {
			return false, err
		}
		if err := g.undelivered(tx, r.id, of, r.why); err != nil {
			return false, err
		}
		return note(of, "bounce")
	}
	h, automatic := mailHead(d.Raw)
	of := ""
	for _, id := range h.replies {
		if id = ourID.FindString(id); id == "" {
			continue
		}
		if of, err = g.sentMail(tx, c, id); err == nil {
			break
		} else if !errors.Is(err, storage.ErrNotFound) {
			return false, err
		}
	}
	if of == "" {
		return false, nil
	}
	if automatic {
		return note(of, "auto") // 休假自动回复: nobody has said anything
	}
	t, err := g.Office.Get(tx, of)
	if err != nil {
		return false, err
	}
	// Only the citizen adds to their own request, and only while it is handled; everything else is a letter of its own.
	people, err := g.Office.Book.FindBy(tx, d.Mail)
	if err != nil || len(people) != 1 || people[0].ID != t.ContactID || !t.State.Open() {
		return false, nil
	}
	text := ownWords(d.Body)
	if text == "" {
		text = "（来信没有正文，见附件）"
	}
	if r := []rune(text); len(r) > maxBody {
		text = string(r[:maxBody-20]) + "（全文见附件）"
	}
	if _, err := g.Office.NoteFromSource(tx, t.ID, "supplement", text, ticket.System); err != nil {
		return false, err
	}
	for _, f := range append(d.Files, File{Name: "补充来信.eml", Media: "message/rfc822", Data: d.Raw}) {
		if len(f.Data) > MaxFile {
			continue // the mail in the mailbox has it
		}
		if err := g.attach(tx, t.ID, f, ticket.System); err != nil {
			return false, err
		}
	}
	return note(of, "supplement")
}

// sentMail is the ticket that a mail of ours was about; the mail was sent for the channel of this mailbox.
func (g *Gateway) sentMail(tx *storage.Tx, c Connector, id string) (ticketID string, err error) {
	return storage.One(tx, storage.Value[string], `SELECT o.ticket_id FROM channel_outbox o JOIN channel_connector k ON k.id = o.connector
		WHERE o.id = $1 AND k.kind = 'smtp' AND k.channel = $2`, id, c.Channel)
}

var quoteBegins = regexp.MustCompile(`(?m)^(?:\s*(?:-{2,}\s*(?:原始邮件|Original Message).*|在.{4,80}写道[:：]|On .{4,120} wrote:|发件人[:：].*|From: .*|_{8,}))\s*$`)

// ownWords are what somebody wrote in an answer, without what they quote of ours.
func ownWords(body string) string {
	if at := quoteBegins.FindStringIndex(body); at != nil {
		body = body[:at[0]]
	}
	var keep []string
	for _, line := range strings.Split(body, "\n") {
		if !strings.HasPrefix(strings.TrimSpace(line), ">") {
			keep = append(keep, line)
		}
	}
	return strings.TrimSpace(strings.Join(keep, "\n"))
}
