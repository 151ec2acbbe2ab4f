package channel

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"lianxin/audit"
	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket"
)

// Names of the mails that answer a letter.
const (
	MailReceipt     = "receipt"     // the letter has come
	MailReply       = "reply"       // its answer
	MailRefused     = "refused"     // why it is not taken on
	MailTransferred = "transferred" // it went to 110
)

// MailNames lists them in the order of a letter's way.
var MailNames = []string{MailReceipt, MailReply, MailRefused, MailTransferred}

// mailWords are what may stand in braces in a text.
var mailWords = []string{"编号", "主题", "答复", "署名"}

// MailText is one version of the text of a mail.
type MailText struct {
	Name       string
	Version    int
	Subject    string
	Body       string
	State      string // "proposed", "approved", "rejected"
	Author     string
	ProposedAt time.Time
	DecidedBy  string
	Note       string
	DecidedAt  time.Time
}

// Fill puts words in the place of what stands in braces.
func (m MailText) Fill(words map[string]string) (subject, body string) {
	var pairs []string
	for _, w := range mailWords {
		pairs = append(pairs, "{"+w+"}", words[w])
	}
	r := strings.NewReplacer(pairs...) // one pass: what a citizen wrote is never taken for a place of ours
	return strings.Join(strings.Fields(r.Replace(m.Subject)), " "), r.Replace(m.Body)
}

// check says what is wrong with a text.
func (m MailText) check() error {
	if !slices.Contains(MailNames, m.Name) {
		return refuse("name", "没有这种邮件")
	}
	if m.Subject == "" || utf8.RuneCountInString(m.Subject) > 100 || strings.ContainsAny(m.Subject, "\r\n") {
		return refuse("subject", "主题须为1到100字，不换行")
	}
	if utf8.RuneCountInString(m.Body) < 10 || utf8.RuneCountInString(m.Body) > 5000 {
		return refuse("body", "正文须为10到5000字")
	}
	rest := m.Subject + m.Body
	for _, w := range mailWords {
		rest = strings.ReplaceAll(rest, "{"+w+"}", "")
	}
	if i := strings.IndexAny(rest, "{}"); i >= 0 {
		return refuse("word", "大括号里只能是："+strings.Join(mailWords, "、"))
	}
	if (m.Name == MailReply || m.Name == MailRefused) && !strings.Contains(m.Body, "{答复}") {
		return refuse("reply", "正文须有 {答复}")
	}
	return nil
}

const mailTextQuery = `SELECT name, version, subject, body, state, author, proposed_at, decided_by, note, decided_at FROM channel_mail_text`

func scanMailText(r storage.Row) (m MailText, err error) {
	var proposed, decided storage.Time
	err = r.Scan(&m.Name, &m.Version, &m.Subject, &m.Body, &m.State, &m.Author, &proposed, &m.DecidedBy, &m.Note, &decided)
	m.ProposedAt, m.DecidedAt = proposed.Time, decided.Time
	return m, err
}

// MailTexts lists every version of every text, the newest first.
func (g *Gateway) MailTexts(tx *storage.Tx) ([]MailText, error) {
	return storage.All(tx, scanMailText, mailTextQuery+` ORDER BY name, version DESC`)
}

// mailText is the version of a text that is in force.
func (g *Gateway) mailText(tx *storage.Tx, name string) (MailText, error) {
	m, err := storage.One(tx, scanMailText, mailTextQuery+` WHERE name = $1 AND state = 'approved' ORDER BY version DESC LIMIT 1`, name)
	if err != nil {
		return m, fmt.Errorf("text of the mail %s: %w", name, err)
	}
	return m, nil
}

// ProposeMailText is the first of the two persons behind a text.
func (g *Gateway) ProposeMailText(tx *storage.Tx, name, subject, body string, by ticket.Actor) (MailText, error) {
	m := MailText{Name: name, Subject: clean(subject), Body: clean(body), State: "proposed", Author: by.String(), ProposedAt: g.now()}
	if !org.Can(by.Role, org.SetMailTexts) {
		return m, refuse("role", "您的岗位没有此项权限")
	}
	if err := m.check(); err != nil {
		return m, err
	}
	last, err := storage.One(tx, storage.Value[int], `SELECT COALESCE(MAX(version), 0) FROM channel_mail_text WHERE name = $1`, name)
	if err == nil {
		m.Version = last + 1
		_, err = tx.Exec(`INSERT INTO channel_mail_text (name, version, subject, body, state, author, proposed_at) VALUES ($1, $2, $3, $4, 'proposed', $5, $6)`,
			m.Name, m.Version, m.Subject, m.Body, m.Author, storage.At(m.ProposedAt))
	}
	if err == nil {
		err = g.logMailText(tx, m, by)
	}
	if err != nil {
		return m, fmt.Errorf("propose the mail %s: %w", name, err)
	}
	return m, nil
}

// DecideMailText is the second person, who may not be the first. The text holds from the next mail on.
func (g *Gateway) DecideMailText(tx *storage.Tx, name string, version int, approve bool, note string, by ticket.Actor) (MailText, error) {
	m, err := storage.One(tx, scanMailText, mailTextQuery+` WHERE name = $1 AND version = $2 `+tx.ForUpdate(), name, version)
	if err != nil {
		return m, fmt.Errorf("decide on the mail %s %d: %w", name, version, err)
	}
	note = clean(note)
	switch {
	case !org.Can(by.Role, org.SetMailTexts):
		return m, refuse("role", "您的岗位没有此项权限")
	case m.State != "proposed":
		return m, refuse("state", "该版本已审批")
	case m.Author == by.String():
		return m, refuse("second", "模板须由第二人审批")
	case !approve && note == "":
		return m, refuse("empty", "请填写退回理由")
	}
	if m.State = "rejected"; approve {
		m.State = "approved"
	}
	m.DecidedBy, m.Note, m.DecidedAt = by.String(), note, g.now()
	_, err = tx.Exec(`UPDATE channel_mail_text SET state = $3, decided_by = $4, note = $5, decided_at = $6 WHERE name = $1 AND version = $2`,
		name, version, m.State, m.DecidedBy, m.Note, storage.At(m.DecidedAt))
	if err == nil {
		err = g.logMailText(tx, m, by)
	}
	if err != nil {
		return m, fmt.Errorf("decide on the mail %s %d: %w", name, version, err)
	}
	return m, nil
}

func (g *Gateway) logMailText(tx *storage.Tx, m MailText, by ticket.Actor) error {
	_, err := audit.Append(tx, audit.Entry{Stream: "mail-text/" + m.Name, Type: "mail-text." + m.State, Actor: by.String(), At: g.now(),
		Payload: map[string]any{"version": m.Version, "subject": m.Subject, "body": m.Body, "note": m.Note}})
	return err
}
