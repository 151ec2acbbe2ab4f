package channel

import (
	"bytes"
	"encoding/base64"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/encoding/simplifiedchinese"

	"lianxin/storage"
)

func gbk(t testing.TB, s string) []byte {
	t.Helper()
	b, err := simplifiedchinese.GBK.NewEncoder().Bytes([]byte(s))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func crlf(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

// letters are mails as people's programs write them.
func letters(t testing.TB) map[string][]byte {
	b64 := base64.StdEncoding.EncodeToString
	return map[string][]byte{
		"GB2312, base64": []byte(crlf("From: =?GB2312?B?" + b64(gbk(t, "王小明")) + "?= <wang@example.com>\nTo: jzxx@example.com\nSubject: =?gbk?B?" + b64(gbk(t, "路灯不亮")) +
			"?=\nDate: Mon, 23 Nov 2026 09:00:00 +0800\nMessage-ID: <1@example.com>\nMIME-Version: 1.0\nContent-Type: text/plain; charset=gb2312\nContent-Transfer-Encoding: base64\n\n" +
			b64(gbk(t, "站前小区路灯已坏三周，请处理。电话13912345678")) + "\n")),
		"GB18030, eight bits, a header that is not encoded": append(append([]byte("From: li@example.com\r\nSubject: "), gbk(t, "夜间噪音扰民")...),
			append([]byte("\r\nDate: Mon, 23 Nov 2026 09:01:00 +0800\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=GB18030\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"), gbk(t, "楼下烧烤店营业到凌晨。\r\n")...)...),
		"quoted-printable": []byte(crlf("From: \"=?utf-8?q?=E8=B5=B5=E6=95=8F?=\" <zhao@example.com>\nSubject: =?utf-8?q?=E5=8D=95=E8=A1=8C=E7=BA=BF=E6=A0=87?=\n =?utf-8?q?=E5=BF=97?=\nDate: Mon, 23 Nov 2026 09:02:00 +0800\n" +
			"MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n=E5=B9=B3=E5=B1=B1=E8=B7=AF=E5=8D=95=E8=A1=8C=E6=A0=87=E5=BF=97=E4=B8=\n=8D=E6=B8=85=E6=A5=9A\n")),
		"HTML and attachments": []byte(crlf("From: sun@example.com\nSubject: =?UTF-8?B?" + b64([]byte("占道停车照片")) + "?=\nDate: Mon, 23 Nov 2026 09:03:00 +0800\nMIME-Version: 1.0\n" +
			"Content-Type: multipart/mixed; boundary=\"b1\"\n\n--b1\nContent-Type: text/html; charset=utf-8\n\n<html><style>p{}</style><p>小区门口<b>长期</b>占道</p><p>附照片&amp;说明</p></html>\n" +
			"--b1\nContent-Type: image/jpeg; name=\"=?GBK?B?" + b64(gbk(t, "现场照片.jpg")) + "?=\"\nContent-Transfer-Encoding: base64\nContent-Disposition: attachment; filename=\"=?GBK?B?" + b64(gbk(t, "现场照片.jpg")) + "?=\"\n\n" +
			b64([]byte("\xff\xd8\xff\xe0 picture")) + "\n--b1--\n")),
		"no subject": []byte(crlf("From: nobody@example.com\nDate: Mon, 23 Nov 2026 09:04:00 +0800\n\n") + "请问居住证去哪里办？"),
		"nothing":    []byte(crlf("From: empty@example.com\nDate: Mon, 23 Nov 2026 09:05:00 +0800\nSubject:\n\n")),
	}
}

func (h *house) mailbox(d *dovecot) Connector {
	h.t.Helper()
	var c Connector
	h.update(func(tx *storage.Tx) (err error) {
		c, err = h.PutConnector(tx, Connector{Channel: "mailbox", Kind: IMAP, Name: "局长信箱", Secret: d.Pass, Enabled: true, Every: time.Second,
			Settings: Settings{Addr: d.TLS, User: d.User, CA: d.CA}}, h.admin)
		return err
	})
	return c
}

func (h *house) connector(id string) (c Connector) {
	h.t.Helper()
	h.view(func(tx *storage.Tx) (err error) { c, err = h.Connector(tx, id); return err })
	return c
}

// turn lets every connector that is due run once.
func (h *house) turn(r *Runner) {
	h.t.Helper()
	h.pass(21 * time.Second)
	if err := r.Once(h.ctx); err != nil {
		h.t.Fatal(err)
	}
	r.Wait()
}

func TestLettersComeInFromARealMailServer(t *testing.T) {
	d := startDovecot(t)
	each(t, func(h *house) {
		all := letters(h.t)
		for _, raw := range all {
			d.deliver(raw)
		}
		c := h.mailbox(d)
		r := &Runner{Gateway: h.Gateway}
		h.turn(r)
		if got := h.connector(c.ID); got.Failures > 0 || got.Moved < len(all) || got.Backlog != 0 || !got.Alive(h.time()) {
			h.t.Fatalf("%+v", got)
		}
		type want struct{ title, body, file string }
		for name, w := range map[string]want{
			"GB2312, base64": {"路灯不亮", "站前小区路灯已坏三周", ""},
			"GB18030, eight bits, a header that is not encoded": {"夜间噪音扰民", "烧烤店营业到凌晨", ""},
			"quoted-printable":     {"单行线标志", "平山路单行标志不清楚", ""},
			"HTML and attachments": {"占道停车照片", "小区门口长期占道\n附照片&说明", "现场照片.jpg"},
			"no subject":           {"请问居住证去哪里办", "居住证", ""},
			"nothing":              {"无主题、无正文", "", ""},
		} {
			k := h.byNumber("mailbox", "eml:"+h.vault().For("channel.mail").Hash(string(all[name]))[:32])
			if !strings.Contains(k.Title, w.title) || !strings.Contains(k.Body, w.body) || k.ContactID == "" {
				h.t.Errorf("%s: %q %q %q", name, k.Title, k.Body, k.ContactID)
			}
			if strings.Contains(k.Body, "13912345678") {
				h.t.Errorf("%s shows a number", name)
			}
			h.view(func(tx *storage.Tx) error {
				raws, err := h.Office.Raw(tx, k.ID)
				if err != nil || len(raws) != 1 || !bytes.Equal(raws[0], all[name]) {
					h.t.Errorf("%s: the original is not as it came: %d, %v", name, len(raws), err)
				}
				files, err := h.Attachments(tx, k.ID)
				if w.file != "" && (len(files) != 1 || files[0].Name != w.file) {
					h.t.Errorf("%s: files %+v", name, files)
				}
				return err
			})
		}
		count := func() (n int) {
			h.view(func(tx *storage.Tx) (err error) {
				n, err = storage.One(tx, storage.Value[int], `SELECT COUNT(*) FROM ticket WHERE channel = 'mailbox'`)
				return err
			})
			return n
		}
		before := count()
		h.turn(r)
		// A mailbox that was rebuilt is read again from its beginning: nothing comes twice.
		h.update(func(tx *storage.Tx) error {
			_, err := tx.Exec(`UPDATE channel_connector SET position = '1:0' WHERE id = $1`, c.ID)
			return err
		})
		h.turn(r)
		if n := count(); n != before {
			h.t.Errorf("reading again made %d tickets of %d", n, before)
		}
	})
}

func TestADeadMailServerIsSeenAndItsBacklogComesIn(t *testing.T) {
	d := startDovecot(t)
	h := newHouse(t, storageSQLite(t))
	c := h.mailbox(d)
	r := &Runner{Gateway: h.Gateway}
	h.turn(r)
	if got := h.connector(c.ID); !got.Alive(h.time()) {
		t.Fatalf("%+v", got)
	}
	d.stop()
	died := h.time()
	for h.connector(c.ID).Alive(h.time()) {
		h.turn(r)
		if h.time().Sub(died) > time.Minute {
			t.Fatal("a minute after its death it still counts as alive")
		}
	}
	if got := h.connector(c.ID); got.Error == "" || got.Since.IsZero() || strings.Contains(got.Error, d.Pass) {
		t.Errorf("%+v", got)
	}
	for i := range 5 {
		d.deliver([]byte(crlf("From: a@example.com\nSubject: " + string(rune('A'+i)) + "\nDate: Mon, 23 Nov 2026 09:00:00 +0800\n\nletter")))
	}
	bin, err := exec.LookPath("dovecot")
	if err != nil {
		bin = "/usr/sbin/dovecot"
	}
	d.start(bin)
	h.turn(r)
	if got := h.connector(c.ID); !got.Alive(h.time()) || got.Moved != 5 || got.Backlog != 0 {
		t.Errorf("after its recovery: %+v", got)
	}
	// A wrong password is told of too.
	h.update(func(tx *storage.Tx) error {
		wrong := h.connector(c.ID)
		wrong.Secret = "wrong"
		_, err := h.PutConnector(tx, wrong, h.admin)
		return err
	})
	h.turn(r)
	if got := h.connector(c.ID); got.Alive(h.time()) || !strings.Contains(got.Error, "sign in") {
		t.Errorf("with a wrong password: %+v", got)
	}
}

// Any bytes may come as a mail.
func FuzzMail(f *testing.F) {
	for _, raw := range letters(f) {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		d := readMail(raw)
		if !bytes.Equal(d.Raw, raw) {
			t.Fatal("the original was changed")
		}
		_ = ReadOriginal(raw)
		_ = plainMail(d)
	})
}
