package channel

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/emersion/go-message"

	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket"
)

// smtpd is a real mail server that keeps what it takes in a folder.
type smtpd struct {
	t                    testing.TB
	dir, Addr, CA        string
	User, Pass           string
	cmd                  *exec.Cmd
	port, cert, key, box string
}

func startSMTP(t testing.TB) *smtpd {
	t.Helper()
	d := &dovecot{t: t, dir: t.TempDir()}
	s := &smtpd{t: t, dir: d.dir, CA: d.certificate(), User: "jzxx@minyi.test", Pass: "faxin-2026", port: freePort(t), box: filepath.Join(d.dir, "kept")}
	s.cert, s.key, s.Addr = s.CA, filepath.Join(d.dir, "key.pem"), "127.0.0.1:"+s.port
	if err := os.Mkdir(s.box, 0o700); err != nil {
		t.Fatal(err)
	}
	s.start()
	t.Cleanup(s.stop)
	return s
}

func (s *smtpd) start() {
	s.t.Helper()
	var said bytes.Buffer
	s.cmd = exec.Command("/usr/bin/python3", "testdata/smtpd.py", "127.0.0.1", s.port, s.cert, s.key, s.User, s.Pass, s.box) // Debian's, which has its packages
	s.cmd.Stderr = &said
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		conn, err := net.Dial("tcp", s.Addr)
		if err == nil {
			conn.Close()
			return
		}
		if time.Now().After(end) {
			s.t.Fatalf("the mail server did not come up (make tools installs it): %v\n%s", err, said.String())
		}
	}
}

func (s *smtpd) stop() {
	if s.cmd != nil {
		_ = s.cmd.Process.Signal(syscall.SIGTERM)
		_ = s.cmd.Wait()
		s.cmd = nil
	}
}

// keptMail is a mail that the server took.
type keptMail struct {
	From string
	To   []string
	TLS  bool
	raw  []byte
	Delivery
	Auto, ID, InReplyTo string
}

// kept are the mails that the server has taken, the first one first.
func (s *smtpd) kept() (out []keptMail) {
	s.t.Helper()
	files, err := filepath.Glob(filepath.Join(s.box, "*.mail"))
	if err != nil {
		s.t.Fatal(err)
	}
	slices.Sort(files)
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			s.t.Fatal(err)
		}
		envelope, raw, _ := bytes.Cut(b, []byte("\n"))
		var m keptMail
		if err := json.Unmarshal(envelope, &m); err != nil {
			s.t.Fatal(err)
		}
		e, err := message.Read(bytes.NewReader(raw))
		if err != nil {
			s.t.Fatal(err)
		}
		m.raw, m.Delivery = raw, readMail(raw)
		m.Auto, m.ID, m.InReplyTo = e.Header.Get("Auto-Submitted"), strings.Trim(e.Header.Get("Message-Id"), "<>"), e.Header.Get("In-Reply-To")
		out = append(out, m)
	}
	return out
}

func (h *house) answers(s *smtpd) Connector {
	h.t.Helper()
	var c Connector
	h.update(func(tx *storage.Tx) (err error) {
		c, err = h.PutConnector(tx, Connector{Channel: "mailbox", Kind: SMTP, Name: "答复来信", Secret: s.Pass, Enabled: true, Every: time.Second,
			Settings: Settings{Addr: s.Addr, TLS: "starttls", User: s.User, CA: s.CA, Statuses: true}}, h.admin)
		return err
	})
	return c
}

func letterFrom(address, subject, body string, more ...string) []byte {
	return []byte(crlf("From: =?utf-8?q?=E7=8E=8B?= <" + address + ">\nTo: jzxx@minyi.test\nSubject: " + subject + "\nMessage-ID: <" + fmt.Sprint(len(body)) + "." + address + ">\nDate: Mon, 23 Nov 2026 09:00:00 +0800\n" +
		strings.Join(more, "") + "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n\n" + body + "\n"))
}

// comesIn takes a letter in as the mailbox's connector does.
func (h *house) comesIn(c Connector, raw []byte) (of string) {
	h.t.Helper()
	d := readMail(raw)
	d.Channel, d.ExternalID, d.ReceivedAt = c.Channel, mailedTicket+h.vault().For("channel.mail").Hash(string(raw))[:32], h.time()
	h.update(func(tx *storage.Tx) error {
		taken, err := h.answersOurs(tx, c, d)
		if err != nil || taken {
			return err
		}
		k, err := h.Take(tx, d, ticket.System)
		of = k.ID
		return err
	})
	return of
}

func (h *house) alerts() (out []ticket.Alert) {
	h.t.Helper()
	h.view(func(tx *storage.Tx) (err error) {
		out, _, err = h.Office.Alerts(tx, ticket.AlertFilter{Viewer: ticket.System, Rule: "MAIL"})
		return err
	})
	return out
}

func TestALetterIsAnsweredByMailOnceThroughARealMailServer(t *testing.T) {
	s := startSMTP(t)
	each(t, func(h *house) {
		before := len(s.kept())
		c := h.answers(s)
		id := h.comesIn(c, letterFrom("wang@example.com", "lamps", "站前小区路灯已坏三周，请处理。"))
		list := h.comesIn(c, letterFrom("news@example.com", "offers", "广告，广告，还是广告。", "List-Id: <ads.example.com>\n"))
		r := &Runner{Gateway: h.Gateway}
		h.turn(r)
		got := s.kept()[before:]
		if len(got) != 1 || got[0].Auto != "auto-replied" || !got[0].TLS || got[0].From != s.User || !slices.Equal(got[0].To, []string{"wang@example.com"}) {
			h.t.Fatalf("the receipt: %+v", got)
		}
		k := h.get(id)
		if !strings.Contains(got[0].Body, k.Number) || !strings.Contains(got[0].Title, "lamps") || !strings.Contains(got[0].InReplyTo, "wang@example.com") {
			h.t.Errorf("the receipt says %q %q, in reply to %q", got[0].Title, got[0].Body, got[0].InReplyTo)
		}
		h.settle(id, "路灯已于今日修复，电话13912345678可核实。")
		h.turn(r)
		h.turn(r)
		got = s.kept()[before:]
		if len(got) != 2 || got[1].Auto != "" || !strings.Contains(got[1].Body, "路灯已于今日修复，电话13912345678可核实。") {
			h.t.Fatalf("%d mails; the answer: %+v", len(got), got[len(got)-1].Body)
		}
		if again := h.connector(c.ID); again.Moved != 2 || again.Failures > 0 || !again.Alive(h.time()) {
			h.t.Errorf("%+v", again)
		}
		// A machine's letter gets no machine's answer, and a person's all the same.
		h.settle(list, "已阅。")
		h.turn(r)
		if got = s.kept()[before:]; len(got) != 3 || got[2].To[0] != "news@example.com" {
			h.t.Errorf("%d mails", len(got))
		}
		// The words are nowhere in the clear.
		h.view(func(tx *storage.Tx) error {
			bodies, err := storage.All(tx, storage.Value[[]byte], `SELECT body FROM channel_outbox`)
			for _, b := range bodies {
				if bytes.Contains(b, []byte("example.com")) {
					h.t.Error("an address stands in the outbox")
				}
			}
			return err
		})
	})
}

func (h *house) get(id string) (t ticket.Ticket) {
	h.t.Helper()
	h.view(func(tx *storage.Tx) (err error) { t, err = h.Office.Get(tx, id); return err })
	return t
}

func TestAMailThatCannotArriveComesBeforeAPersonAndOneForLaterIsTriedAgain(t *testing.T) {
	s := startSMTP(t)
	h := newHouse(t, storageSQLite(t))
	c := h.answers(s)
	gone := h.comesIn(c, letterFrom("gone@example.com", "one", "地址写错了的来信，请答复。"))
	later := h.comesIn(c, letterFrom("later@example.com", "two", "邮箱暂时不收信的来信，请答复。"))
	r := &Runner{Gateway: h.Gateway}
	h.turn(r)
	if a := h.alerts(); len(a) != 1 || a[0].TicketID != gone || !strings.Contains(a[0].Evidence, "550") {
		t.Fatalf("alerts: %+v", a)
	}
	if len(s.kept()) != 0 {
		t.Fatalf("%d mails", len(s.kept()))
	}
	if err := os.WriteFile(filepath.Join(s.box, "open"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	h.turn(r)
	if got := s.kept(); len(got) != 1 || got[0].To[0] != "later@example.com" || len(h.alerts()) != 1 {
		t.Fatalf("after the server opened: %d mails, %d alerts", len(got), len(h.alerts()))
	}
	// A server that is away keeps all waiting, and nothing is lost or blamed on a mail.
	s.stop()
	h.settle(later, "已办结。")
	h.turn(r)
	if got := h.connector(c.ID); got.Alive(h.time()) || got.Backlog != 1 || len(h.alerts()) != 1 {
		t.Errorf("with the server away: %+v", got)
	}
	s.start()
	h.turn(r)
	if got := s.kept(); len(got) != 2 || !strings.Contains(got[1].Body, "已办结") {
		t.Errorf("after it came back: %d mails", len(got))
	}
	// A wrong password is the connector's trouble.
	h.update(func(tx *storage.Tx) error {
		wrong := h.connector(c.ID)
		wrong.Secret = "wrong"
		_, err := h.PutConnector(tx, wrong, h.admin)
		return err
	})
	h.turn(r)
	if got := h.connector(c.ID); got.Alive(h.time()) || !strings.Contains(got.Error, "sign in") || strings.Contains(got.Error, s.Pass) {
		t.Errorf("with a wrong password: %+v", got)
	}
}

// bounced is a report as Postfix writes it (RFC 3464).
func bounced(id, action, status, why string) []byte {
	return []byte(crlf("Return-Path: <>\nFrom: MAILER-DAEMON@mail.test (Mail Delivery System)\nTo: jzxx@minyi.test\nSubject: Undelivered Mail Returned to Sender\nAuto-Submitted: auto-replied\nMIME-Version: 1.0\n" +
		"Content-Type: multipart/report; report-type=delivery-status; boundary=\"B1\"\nDate: Mon, 23 Nov 2026 11:00:00 +0800\nMessage-Id: <dsn." + action + "@mail.test>\n\n--B1\nContent-Type: text/plain; charset=us-ascii\n\nI'm sorry.\n" +
		"--B1\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mail.test\nArrival-Date: Mon, 23 Nov 2026 10:00:00 +0800\n\nFinal-Recipient: rfc822; wang@example.com\nAction: " + action + "\nStatus: " + status +
		"\nDiagnostic-Code: smtp; " + why + "\n\n--B1\nContent-Type: message/rfc822\n\nFrom: jzxx@minyi.test\nTo: wang@example.com\nSubject: x\nMessage-ID: <" + id + ">\n\ntext\n--B1--\n"))
}

func TestWhatComesBackIsKnownByWhatItAnswers(t *testing.T) {
	s := startSMTP(t)
	each(t, func(h *house) {
		before := len(s.kept())
		c := h.answers(s)
		id := h.comesIn(c, letterFrom("wang@example.com", "lamps", "站前小区路灯已坏三周。"))
		r := &Runner{Gateway: h.Gateway}
		h.turn(r)
		sent := s.kept()[before:][0].ID
		tickets := func() (n int) {
			h.view(func(tx *storage.Tx) (err error) {
				n, err = storage.One(tx, storage.Value[int], `SELECT COUNT(*) FROM ticket`)
				return err
			})
			return n
		}
		answer := "In-Reply-To: <" + sent + ">\n"
		// What the citizen adds goes to the request, without what they quote.
		more := letterFrom("wang@example.com", "Re: lamps", "补充：在3号楼门口。\n\n在 2026年11月23日 10:00，民意感知中心 写道：\n> 您的来信已收到", answer)
		if h.comesIn(c, more) != "" || tickets() != 1 {
			h.t.Fatal("an addition became a request of its own")
		}
		h.comesIn(c, more) // a mailbox that was rebuilt is read again
		h.view(func(tx *storage.Tx) error {
			moments, err := h.Office.Timeline(tx, id)
			n := 0
			for _, m := range moments {
				if m.Type == "ticket.source_supplement" {
					n++
					if m.Texts["text"] != "补充：在3号楼门口。" {
						h.t.Errorf("added: %q", m.Texts["text"])
					}
				}
			}
			files, err2 := h.Attachments(tx, id)
			if n != 1 || len(files) != 1 {
				h.t.Errorf("%d additions, %d files", n, len(files))
			}
			if err == nil {
				err = err2
			}
			return err
		})
		// Programs' answers are nothing that anybody has said; somebody else's mail is a letter of its own.
		h.comesIn(c, letterFrom("wang@example.com", "Auto", "我正在休假。", answer+"Auto-Submitted: auto-replied\n"))
		h.comesIn(c, bounced(sent, "delayed", "4.4.1", "452 later"))
		if tickets() != 1 || len(h.alerts()) != 0 {
			h.t.Errorf("%d requests, %d alerts after programs answered", tickets(), len(h.alerts()))
		}
		if h.comesIn(c, letterFrom("li@example.com", "Re: lamps", "我是邻居，也想反映。", answer)) == "" || tickets() != 2 {
			h.t.Error("a neighbour's letter was put to somebody else's request")
		}
		// A mail that comes back is before a person, once.
		for range 2 {
			h.comesIn(c, bounced(sent, "failed", "5.1.1", "550 5.1.1 no such user"))
		}
		if a := h.alerts(); len(a) != 1 || a[0].TicketID != id || !strings.Contains(a[0].Evidence, "no such user") || tickets() != 2 {
			h.t.Errorf("alerts: %+v", a)
		}
		h.view(func(tx *storage.Tx) error {
			out, err := h.Outbox(tx, c.ID, 10)
			if i := slices.IndexFunc(out, func(x Sent) bool { return strings.HasPrefix(sent, x.ID) }); i < 0 || out[i].State != "dead" || !strings.Contains(out[i].Error, "5.1.1") {
				h.t.Errorf("the outbox says %+v", out)
			}
			return err
		})
		// A report about a mail that was none of ours is looked at by a person like any letter.
		if h.comesIn(c, bounced("01ARZ3NDEKTSV4RRFFQ69G5FAV@elsewhere.test", "failed", "5.1.1", "550 x")) == "" {
			h.t.Error("a report about a stranger's mail is lost")
		}
	})
}

func TestTheTextOfAMailNeedsASecondPerson(t *testing.T) {
	h := newHouse(t, storageSQLite(t))
	propose := func(name, subject, body string, by ticket.Actor) (m MailText, err error) {
		err = h.DB.Update(h.ctx, func(tx *storage.Tx) (err error) { m, err = h.ProposeMailText(tx, name, subject, body, by); return err })
		return m, err
	}
	decide := func(m MailText, approve bool, note string, by ticket.Actor) error {
		return h.DB.Update(h.ctx, func(tx *storage.Tx) error {
			_, err := h.DecideMailText(tx, m.Name, m.Version, approve, note, by)
			return err
		})
	}
	code := func(err error) string {
		if r, ok := ticket.RefusedWith(err); ok {
			return r.Code
		}
		return fmt.Sprint(err)
	}
	for want, x := range map[string][3]string{"name": {"x", "s", "十个字以上的正文内容在此{答复}"}, "reply": {MailReply, "s", "十个字以上的正文内容在此"}, "word": {MailReply, "{姓名}", "十个字以上的正文内容在此{答复}"},
		"subject": {MailReply, "", "十个字以上的正文内容在此{答复}"}, "body": {MailReply, "s", "短"}} {
		if _, err := propose(x[0], x[1], x[2], h.supervisor); code(err) != want {
			t.Errorf("%v: %v, want %s", x, err, want)
		}
	}
	if _, err := propose(MailReply, "s", "十个字以上的正文内容在此{答复}", h.operator); code(err) != "role" {
		t.Errorf("an operator: %v", err)
	}
	m, err := propose(MailReply, "新的答复:{主题}", "您好,您反映的{主题}(编号{编号})答复:{答复}", h.supervisor)
	if err != nil || m.Version != 2 {
		t.Fatal(m, err)
	}
	force := func() (m MailText) {
		h.view(func(tx *storage.Tx) (err error) { m, err = h.mailText(tx, MailReply); return err })
		return m
	}
	if force().Version != 1 {
		t.Error("a text holds before anybody has approved it")
	}
	if err := decide(m, true, "", h.supervisor); code(err) != "second" {
		t.Errorf("the author approves: %v", err)
	}
	if err := decide(m, false, "", h.leader); code(err) != "empty" {
		t.Errorf("sent back without a reason: %v", err)
	}
	if err := decide(m, true, "", h.leader); err != nil || force().Version != 2 {
		t.Errorf("approved: %v, version %d", err, force().Version)
	}
	if err := decide(m, false, "后悔了", h.admin); code(err) != "state" {
		t.Errorf("decided twice: %v", err)
	}
	// What a citizen wrote is never taken for a place of ours.
	subject, body := force().Fill(map[string]string{"主题": "{答复}\r\nBcc: x@example.com", "编号": "1", "答复": "{署名}", "署名": "中心"})
	if strings.ContainsAny(subject, "\r\n") || !strings.Contains(subject, "{答复}") || !strings.HasSuffix(body, "{署名}") {
		t.Errorf("%q %q", subject, body)
	}
	for _, r := range org.Roles() {
		if org.Can(r, org.SetMailTexts) && !r.SignsIn() {
			t.Errorf("%s sets texts", r)
		}
	}
}

func FuzzReport(f *testing.F) {
	f.Add(bounced("01ARZ3NDEKTSV4RRFFQ69G5FAV@x", "failed", "5.1.1", "550 x"))
	f.Add(letterFrom("a@example.com", "x", "在 2026年，某某 写道：\n> 引用"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if r, ok := readReport(raw); ok && !ourID.MatchString(r.id) {
			t.Fatalf("a report about %q", r.id)
		}
		mailHead(raw)
		if w := ownWords(string(raw)); len(w) > len(raw) {
			t.Fatal("words grew")
		}
	})
}
