package channel

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"lianxin/storage"
	"lianxin/ticket"
)

// longestMail is the longest mail that is taken whole; of a longer one the beginning is, and a note says so.
const longestMail = 30 << 20

// fetchMail reads the mails that have come since the last time (RFC 9051), oldest first. Each becomes a ticket in the
// transaction that also moves the place, so that none is lost or taken twice, whenever we are stopped; a mailbox that was
// rebuilt (another UIDVALIDITY) is read again, and known letters are known by their content. The mailbox is left as it is
// but for the mark that a mail was read.
func (g *Gateway) fetchMail(ctx context.Context, c Connector) (m moved, err error) {
	conn, err := dialMail(ctx, c)
	if err != nil {
		return m, err
	}
	defer conn.Close()
	if err := conn.Login(c.Settings.User, c.Secret).Wait(); err != nil {
		return m, fmt.Errorf("sign in to the mail server: %w", err)
	}
	defer func() { _ = conn.Logout().Wait() }()
	box := c.Settings.Mailbox
	if box == "" {
		box = "INBOX"
	}
	sel, err := conn.Select(box, nil).Wait()
	if err != nil {
		return m, fmt.Errorf("open the mailbox %s: %w", box, err)
	}
	last := imap.UID(0)
	if v, uid, ok := strings.Cut(c.Position, ":"); ok && v == strconv.FormatUint(uint64(sel.UIDValidity), 10) {
		n, err := strconv.ParseUint(uid, 10, 32)
		if err != nil {
			return m, fmt.Errorf("the place in the mailbox is garbled: %q", c.Position)
		}
		last = imap.UID(n)
	}
	var all imap.UIDSet
	all.AddRange(last+1, 0)
	found, err := conn.UIDSearch(&imap.SearchCriteria{UID: []imap.UIDSet{all}}, nil).Wait()
	if err != nil {
		return m, fmt.Errorf("look for mail: %w", err)
	}
	uids := slices.DeleteFunc(found.AllUIDs(), func(u imap.UID) bool { return u <= last }) // * is the last mail even when it is an old one
	slices.Sort(uids)
	m.backlog = len(uids)
	for _, uid := range uids {
		if err := ctx.Err(); err != nil {
			return m, err
		}
		raw, at, whole, err := fetchOne(conn, uid)
		if err != nil {
			return m, err
		}
		place := fmt.Sprintf("%d:%d", sel.UIDValidity, uid)
		if raw == nil { // gone in between
			if err := g.place(ctx, c.ID, place); err != nil {
				return m, err
			}
			m.backlog--
			continue
		}
		d := readMail(raw)
		d.Channel, d.ReceivedAt = c.Channel, at
		d.ExternalID = mailedTicket + g.vault().For("channel.mail").Hash(string(raw))[:32]
		if !whole {
			d.Body = strings.TrimSpace(d.Body + "\n（邮件过大，此处只有开头部分，全文在邮箱中）")
		}
		odd := false
		err = g.DB.Update(ctx, func(tx *storage.Tx) error {
			taken, err := g.answersOurs(tx, c, d)
			if err == nil && !taken {
				_, err = g.Take(tx, d, ticket.System)
			}
			if refusal, ok := ticket.RefusedWith(err); ok {
				// A letter that the rules refuse as it is (an empty one, a very long one) is not lost: the original is kept with what can be shown.
				g.log().Warn("channel: a letter cannot be taken as it is", "connector", c.Name, "uid", uid, "code", refusal.Code)
				odd = true
				_, err = g.Take(tx, plainMail(d), ticket.System)
			}
			if err != nil {
				return err
			}
			_, err = tx.Exec(`UPDATE channel_connector SET position = $2 WHERE id = $1`, c.ID, place)
			return err
		})
		if err != nil {
			return m, fmt.Errorf("take in mail %d: %w", uid, err)
		}
		m.items, m.backlog = m.items+1, m.backlog-1
		if odd {
			m.odd++
		}
		// Seen is for people who look into the mailbox; our place does not hang on it.
		if err := conn.Store(imap.UIDSetNum(uid), &imap.StoreFlags{Op: imap.StoreFlagsAdd, Silent: true, Flags: []imap.Flag{imap.FlagSeen}}, nil).Close(); err != nil {
			g.log().Warn("channel: mark a mail as read", "connector", c.Name, "err", err)
		}
	}
	return m, nil
}

// plainMail is a letter whose text does not fit the rules, as one that does; the original has it all.
func plainMail(d Delivery) Delivery {
	if r := []rune(clean(d.Title)); len(r) > maxTitle {
		d.Title = string(r[:maxTitle-1]) + "…"
	}
	if r := []rune(clean(d.Body)); len(r) > maxBody-200 {
		d.Body = string(r[:maxBody-200]) + "\n（内容过长，全文见原件）"
	}
	if clean(d.Title) == "" && clean(d.Body) == "" {
		d.Title = "（无主题、无正文的来信，见原件）"
	}
	d.Files = slices.DeleteFunc(d.Files, func(f File) bool { return len(f.Data) > MaxFile })
	return d
}

func (g *Gateway) place(ctx context.Context, id, place string) error {
	return g.DB.Update(ctx, func(tx *storage.Tx) error {
		_, err := tx.Exec(`UPDATE channel_connector SET position = $2 WHERE id = $1`, id, place)
		return err
	})
}

// fetchOne reads one mail without marking it as read. whole is false when it is only the beginning of a very long one.
func fetchOne(conn *imapclient.Client, uid imap.UID) (raw []byte, at time.Time, whole bool, err error) {
	head, err := conn.Fetch(imap.UIDSetNum(uid), &imap.FetchOptions{UID: true, InternalDate: true, RFC822Size: true}).Collect()
	if err != nil {
		return nil, at, false, fmt.Errorf("look at mail %d: %w", uid, err)
	}
	if len(head) == 0 {
		return nil, at, false, nil
	}
	section := &imap.FetchItemBodySection{Peek: true}
	if whole = head[0].RFC822Size <= longestMail; !whole {
		section.Partial = &imap.SectionPartial{Size: 1 << 20}
	}
	got, err := conn.Fetch(imap.UIDSetNum(uid), &imap.FetchOptions{UID: true, BodySection: []*imap.FetchItemBodySection{section}}).Collect()
	if err != nil {
		return nil, at, false, fmt.Errorf("read mail %d: %w", uid, err)
	}
	if len(got) == 0 {
		return nil, at, false, nil
	}
	for _, s := range got[0].BodySection {
		raw = s.Bytes
	}
	return bytes.Clone(raw), head[0].InternalDate, whole, nil
}

// mailTLS is how the server of a mailbox proves who it is: by the system's certificates, or the one that the settings name.
func mailTLS(c Connector, host string) (*tls.Config, error) {
	secure := &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
	if c.Settings.CA == "" {
		return secure, nil
	}
	pem, err := os.ReadFile(c.Settings.CA)
	if err != nil {
		return nil, fmt.Errorf("certificate of the mail server: %w", err)
	}
	secure.RootCAs = x509.NewCertPool()
	if !secure.RootCAs.AppendCertsFromPEM(pem) {
		return nil, errors.New("certificate of the mail server: no certificate in the file")
	}
	return secure, nil
}

// reachMail opens a connection to a mail server, under TLS from the start unless the settings want STARTTLS or none. protocols
// are those offered by ALPN (RFC 7301).
func reachMail(ctx context.Context, c Connector, protocols ...string) (net.Conn, *tls.Config, error) {
	host, _, err := net.SplitHostPort(c.Settings.Addr)
	if err != nil {
		return nil, nil, fmt.Errorf("address of the mail server: %w", err)
	}
	secure, err := mailTLS(c, host)
	if err != nil {
		return nil, nil, err
	}
	secure.NextProtos = protocols
	dialer := &net.Dialer{Timeout: timeout}
	var conn net.Conn
	if c.Settings.TLS == "" || c.Settings.TLS == "tls" {
		conn, err = (&tls.Dialer{NetDialer: dialer, Config: secure}).DialContext(ctx, "tcp", c.Settings.Addr)
	} else {
		conn, err = dialer.DialContext(ctx, "tcp", c.Settings.Addr)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("reach the mail server: %w", err)
	}
	return conn, secure, nil
}

// dialMail connects to the mail server within the time that ctx leaves.
func dialMail(ctx context.Context, c Connector) (*imapclient.Client, error) {
	conn, secure, err := reachMail(ctx, c, "imap")
	if err != nil {
		return nil, err
	}
	// The client waits for an answer as long as it takes; a run must not.
	context.AfterFunc(ctx, func() { conn.Close() })
	if c.Settings.TLS == "starttls" {
		client, err := imapclient.NewStartTLS(conn, &imapclient.Options{TLSConfig: secure})
		if err != nil {
			conn.Close()
			return nil, fmt.Errorf("secure the connection to the mail server: %w", err)
		}
		return client, nil
	}
	client := imapclient.New(conn, nil)
	if err := client.WaitGreeting(); err != nil {
		conn.Close()
		return nil, fmt.Errorf("greet the mail server: %w", err)
	}
	return client, nil
}
