package channel

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/emersion/go-message"
	"github.com/emersion/go-message/mail"
	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"lianxin/audit"
	"lianxin/storage"
	"lianxin/ticket"
)

// letter is a mail to somebody who has written to us, as it waits in the outbox.
type letter struct {
	To        string   `json:"to"`
	Name      string   `json:"name,omitempty"`
	Subject   string   `json:"subject"`
	Text      string   `json:"text"`
	InReplyTo string   `json:"in_reply_to,omitempty"` // Message-ID of theirs, without brackets
	Refs      []string `json:"refs,omitempty"`
	Auto      bool     `json:"auto,omitempty"` // nobody has written it: programs must not answer it (RFC 3834)
	Of        string   `json:"of"`             // name and version of the text it was made of
}

// mailedTicket begins the numbers of requests that came as letters (fetchMail).
const mailedTicket = "eml:"

// answerMail writes down the mail that a letter's writer is owed after an event, if any: that it has come, its answer, or why it is
// not taken on. Each is written down once.
func (g *Gateway) answerMail(tx *storage.Tx, c Connector, e audit.Event, t ticket.Ticket) error {
	if c.Channel != t.Channel || !strings.HasPrefix(t.ExternalID, mailedTicket) || t.ContactID == "" {
		return nil
	}
	name, key := "", ""
	switch e.Type {
	case "ticket.opened":
		if !c.Settings.Statuses {
			return nil
		}
		name, key = MailReceipt, "receipt/"+t.ID
	case "ticket.answered", "ticket.approved", "ticket.reply_followed", "public-reply.approved":
		name, key = MailReply, "reply/"+t.ReplyRef.ID
	case "ticket.refused":
		name, key = MailRefused, "reply/"+t.ReplyRef.ID
	case "ticket.transferred":
		name, key = MailTransferred, "transferred/"+t.ID
	default:
		return nil
	}
	who, err := g.Office.Book.Whole(tx, t.ContactID)
	if errors.Is(err, storage.ErrNotFound) || err == nil && who.Mail == "" {
		return nil
	} else if err != nil {
		return err
	}
	raws, err := g.Office.Raw(tx, t.ID)
	if err != nil {
		return err
	}
	l := letter{To: who.Mail, Name: who.Name, Auto: name == MailReceipt || name == MailTransferred}
	if len(raws) > 0 {
		h, automatic := mailHead(raws[0])
		if automatic && l.Auto {
			return nil // a machine's letter gets no machine's answer
		}
		l.InReplyTo, l.Refs = h.id, h.refs
	}
	words := map[string]string{"编号": t.Number, "署名": "本溪市公安局民意感知中心"}
	if words["主题"], err = g.Office.Original(tx, t.TitleRef); err != nil {
		return err
	}
	if name == MailReply || name == MailRefused {
		ch, err := g.Office.Channel(tx, t.Channel)
		if err != nil {
			return err
		}
		if name == MailReply && ch.PublicReply {
			r, ok, err := g.result(tx, t, ch)
			if err != nil || !ok {
				return err // a published answer waits for its approval
			}
			words["答复"], key = r.Reply, "public/"+t.ID
		} else if words["答复"], err = g.Office.Original(tx, t.ReplyRef); err != nil {
			return err
		}
		if strings.TrimSpace(words["答复"]) == "" {
			return nil
		}
	}
	text, err := g.mailText(tx, name)
	if err != nil {
		return err
	}
	l.Subject, l.Text = text.Fill(words)
	l.Of = fmt.Sprintf("%s/%d", text.Name, text.Version)
	b, err := json.Marshal(l)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO channel_outbox (id, connector, key, ticket_id, event, body, state, next_at, made_at) VALUES ($1, $2, $3, $4, $5, $6, 'due', $7, $7)
		ON CONFLICT (connector, key) DO NOTHING`, storage.NewID(), c.ID, key, t.ID, "mail."+name, g.vault().For(bodyPurpose).Seal(string(b)), storage.At(g.now()))
	return err
}

// errForGood is a refusal that no further attempt changes (SMTP 5xx).
var errForGood = errors.New("refused for good")

// poster sends the messages of one connector during one run; done ends it.
type poster struct {
	send func(ctx context.Context, id string, body []byte) (receipt string, err error)
	done func()
}

// mailer sends over one connection, which it opens with the first mail.
func (g *Gateway) mailer(c Connector) poster {
	var conn *smtp.Client
	return poster{
		send: func(ctx context.Context, id string, body []byte) (string, error) {
			var l letter
			if err := json.Unmarshal(body, &l); err != nil {
				return "", fmt.Errorf("%w: %w", errForGood, err)
			}
			raw, err := l.compose(c.Settings.sender(), id, time.Now())
			if err != nil {
				return "", fmt.Errorf("%w: %w", errForGood, err)
			}
			if conn == nil {
				if conn, err = dialSMTP(ctx, c); err != nil {
					return "", fmt.Errorf("%w: %w", errUnreachable, err)
				}
			}
			receipt, err := submit(conn, c.Settings.sender(), l.To, raw)
			if errors.Is(err, errUnreachable) {
				conn.Close()
				conn = nil
			}
			return receipt, err
		},
		done: func() {
			if conn != nil {
				_ = conn.Quit()
				conn.Close()
			}
		},
	}
}

// sender is the address that mails are from, and that what cannot be delivered comes back to.
func (s Settings) sender() string {
	if s.From != "" {
		return s.From
	}
	return s.User
}

// reachSMTP looks whether the server lets us in, so that a dead one is seen before there is something to send.
func reachSMTP(ctx context.Context, c Connector) error {
	conn, err := dialSMTP(ctx, c)
	if err != nil {
		return fmt.Errorf("%w: %w", errUnreachable, err)
	}
	defer conn.Close()
	return conn.Quit()
}

// dialSMTP connects (RFC 5321; TLS as RFC 8314, or STARTTLS as RFC 3207) and signs in.
func dialSMTP(ctx context.Context, c Connector) (*smtp.Client, error) {
	conn, secure, err := reachMail(ctx, c)
	if err != nil {
		return nil, err
	}
	var client *smtp.Client
	if c.Settings.TLS == "starttls" {
		if client, err = smtp.NewClientStartTLS(conn, secure); err != nil {
			conn.Close()
			return nil, fmt.Errorf("reach the mail server: %w", err)
		}
	} else {
		client = smtp.NewClient(conn)
	}
	client.CommandTimeout, client.SubmissionTimeout = timeout, 2*timeout
	if c.Settings.User != "" {
		if err := client.Auth(sasl.NewPlainClient("", c.Settings.User, c.Secret)); err != nil {
			client.Close()
			return nil, fmt.Errorf("sign in to the mail server: %w", err)
		}
	}
	return client, nil
}

// submit hands one mail over. An error is errUnreachable when the connection is to blame, errForGood when the server will never
// take it (5xx), and else a refusal for now (4xx).
func submit(client *smtp.Client, from, to string, raw []byte) (receipt string, err error) {
	fail := func(err error) error {
		var s *smtp.SMTPError
		switch {
		case !errors.As(err, &s):
			return fmt.Errorf("%w: %w", errUnreachable, err)
		case s.Code == 421:
			return fmt.Errorf("%w: %w", errUnreachable, err)
		case s.Code >= 500:
			_ = client.Reset()
			return fmt.Errorf("%w: %w", errForGood, err)
		}
		_ = client.Reset()
		return err
	}
	options := &smtp.MailOptions{}
	if !ascii(to) || !ascii(from) {
		if ok, _ := client.Extension("SMTPUTF8"); !ok {
			return "", fmt.Errorf("%w: the mail server takes no address that is not ASCII", errForGood)
		}
		options.UTF8 = true
	}
	if err := client.Mail(from, options); err != nil {
		return "", fail(err)
	}
	if err := client.Rcpt(to, nil); err != nil {
		return "", fail(err)
	}
	w, err := client.Data()
	if err != nil {
		return "", fail(err)
	}
	if _, err := w.Write(raw); err != nil {
		return "", fail(err)
	}
	res, err := w.CloseWithResponse()
	if err != nil {
		return "", fail(err)
	}
	return short(errors.New(res.StatusText)), nil
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// compose writes the mail (RFC 5322). Its Message-ID is the id of its row in the outbox: who gets it twice, because we stopped
// between the server's answer and our note of it, has a program that shows it once; and what comes back is known by it.
func (l letter) compose(from, id string, at time.Time) ([]byte, error) {
	_, domain, ok := strings.Cut(from, "@")
	if !ok {
		return nil, errors.New("the sender's address has no domain")
	}
	var h mail.Header
	h.SetDate(at)
	h.SetAddressList("From", []*mail.Address{{Name: "本溪市公安局民意感知中心", Address: from}})
	h.SetAddressList("To", []*mail.Address{{Name: l.Name, Address: l.To}})
	h.SetSubject(l.Subject)
	h.SetMessageID(id + "@" + domain)
	if l.InReplyTo != "" {
		h.SetMsgIDList("In-Reply-To", []string{l.InReplyTo})
		h.SetMsgIDList("References", append(append([]string{}, l.Refs...), l.InReplyTo))
	}
	if l.Auto {
		h.Set("Auto-Submitted", "auto-replied")
		h.Set("X-Auto-Response-Suppress", "All")
	}
	h.SetContentType("text/plain", map[string]string{"charset": "utf-8"})
	h.Set("Content-Transfer-Encoding", "base64")
	var b bytes.Buffer
	w, err := mail.CreateSingleInlineWriter(&b, h)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write([]byte(strings.ReplaceAll(l.Text, "\n", "\r\n"))); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// undelivered brings a mail that will not arrive before a person.
func (g *Gateway) undelivered(tx *storage.Tx, id, ticketID, why string) error {
	t, err := g.Office.Get(tx, ticketID)
	if errors.Is(err, storage.ErrNotFound) {
		return nil
	} else if err != nil {
		return err
	}
	_, err = g.Office.RaiseAlert(tx, ticket.Alert{Key: "mail:" + id, Rule: "MAIL", Level: ticket.Yellow, TicketID: t.ID, ContactID: t.ContactID, Title: "答复邮件未送达：" + t.Number,
		Evidence: "邮件服务器：" + clean(why) + "。请用其他方式联系群众。", By: ticket.System})
	return err
}

// head is what the header of a letter tells of its place in a conversation.
type head struct {
	id      string
	refs    []string
	replies []string // Message-IDs it answers
}

// mailHead reads it; automatic is true for what a program has sent by itself (RFC 3834), or a list or a bulk mailer.
func mailHead(raw []byte) (h head, automatic bool) {
	e, err := message.Read(bytes.NewReader(raw))
	if e == nil || err != nil && !message.IsUnknownCharset(err) && !message.IsUnknownEncoding(err) {
		return h, false
	}
	m := mail.Header{Header: e.Header}
	h.id, _ = m.MessageID()
	h.refs, _ = m.MsgIDList("References")
	replies, _ := m.MsgIDList("In-Reply-To")
	h.replies = append(replies, h.refs...)
	auto := strings.ToLower(m.Get("Auto-Submitted"))
	precedence := strings.ToLower(m.Get("Precedence"))
	_, from := sender(m)
	user, _, _ := strings.Cut(strings.ToLower(from), "@")
	automatic = auto != "" && auto != "no" || precedence == "bulk" || precedence == "junk" || precedence == "list" || m.Get("List-Id") != "" || m.Get("X-Autoreply") != "" ||
		user == "mailer-daemon" || user == "postmaster" || user == "no-reply" || user == "noreply"
	return h, automatic
}
