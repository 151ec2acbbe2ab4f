package channel

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"lianxin/audit"
	"lianxin/contact"
	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket"
)

// Kinds of connectors.
const (
	IMAP    = "imap"    // reads a mailbox
	Folder  = "folder"  // takes files that another body puts into a folder, signed ones when there is a secret
	Push    = "push"    // tells the body that sent a request how it stands, and its result, over HTTP
	Webhook = "webhook" // tells any system what happened to tickets, without personal data
	Results = "results" // writes files of results into a folder, signed when there is a secret
	SMTP    = "smtp"    // mails those who wrote a letter their answer
)

// ConnectorKinds lists all kinds.
var ConnectorKinds = []string{IMAP, SMTP, Folder, Push, Webhook, Results}

// Settings of a connector; each kind uses some of them.
type Settings struct {
	Addr     string   `json:"addr,omitempty"`     // IMAP, SMTP: host:port
	TLS      string   `json:"tls,omitempty"`      // IMAP, SMTP: "tls" (default), "starttls", or "none" on the own machine
	CA       string   `json:"ca,omitempty"`       // IMAP, SMTP: file of the certificate (PEM) that vouches for the server, when the system's do not
	User     string   `json:"user,omitempty"`     // IMAP, SMTP
	From     string   `json:"from,omitempty"`     // SMTP: address that mails are from; User when empty
	Mailbox  string   `json:"mailbox,omitempty"`  // IMAP; INBOX when empty
	Dir      string   `json:"dir,omitempty"`      // Folder, Results
	URL      string   `json:"url,omitempty"`      // Push, Webhook
	Events   []string `json:"events,omitempty"`   // Webhook: types, or beginnings of types such as "ticket."; all when empty
	Statuses bool     `json:"statuses,omitempty"` // Push: every change of state too, not only the result; SMTP: that a letter has come, too
}

// Connector moves requests or results by itself.
type Connector struct {
	ID       string
	Channel  string // '' for a webhook that hears of all channels
	Kind     string
	Name     string
	Settings Settings
	Secret   string // password, or the key of signatures; only in the open while it is used or set
	Enabled  bool
	Every    time.Duration

	Position string
	NextAt   time.Time
	LastTry  time.Time
	LastOK   time.Time
	Since    time.Time // of the trouble
	Failures int
	Error    string
	Backlog  int
	Moved    int
	Odd      int
}

// silent is how long a connector may have nothing to show before it counts as dead.
const silent = 45 * time.Second

// Alive reports whether a connector works: its last try went well, and the last try was when it had to be.
func (c Connector) Alive(now time.Time) bool {
	return !c.Enabled || c.Failures == 0 && (!c.LastOK.IsZero() || c.LastTry.IsZero()) && now.Sub(c.NextAt) < silent
}

func (g *Gateway) scanConnector(r storage.Row) (c Connector, err error) {
	var settings string
	var every int64
	var secret []byte
	var next, try, ok, since storage.Time
	if err = r.Scan(&c.ID, &c.Channel, &c.Kind, &c.Name, &settings, &secret, &c.Enabled, &every, &c.Position, &next, &try, &ok, &since, &c.Failures, &c.Error,
		&c.Backlog, &c.Moved, &c.Odd); err != nil {
		return c, err
	}
	c.Every = time.Duration(every) * time.Millisecond
	c.NextAt, c.LastTry, c.LastOK, c.Since = next.Time, try.Time, ok.Time, since.Time
	if err := json.Unmarshal([]byte(settings), &c.Settings); err != nil {
		return c, fmt.Errorf("connector %s: %w", c.ID, err)
	}
	c.Secret, err = g.vault().For(secretPurpose).Open(secret)
	return c, err
}

const secretPurpose = "channel.secret"

const selectConnector = `SELECT id, channel, kind, name, settings, secret, enabled, every_ms, position, next_at, last_try, last_ok, since, failures, error, backlog, moved, odd FROM channel_connector`

// Connectors are all connectors in the order in which they were made.
func (g *Gateway) Connectors(tx *storage.Tx) ([]Connector, error) {
	return storage.All(tx, g.scanConnector, selectConnector+` ORDER BY id`)
}

// Connector returns one, or storage.ErrNotFound.
func (g *Gateway) Connector(tx *storage.Tx, id string) (Connector, error) {
	c, err := storage.One(tx, g.scanConnector, selectConnector+` WHERE id = $1`, id)
	if err != nil {
		return c, fmt.Errorf("connector %s: %w", id, err)
	}
	return c, nil
}

// outward are the connectors that want to hear of tickets.
func (g *Gateway) outward(tx *storage.Tx) ([]Connector, error) {
	return storage.All(tx, g.scanConnector, selectConnector+` WHERE enabled = TRUE AND kind IN ('push', 'webhook', 'smtp') ORDER BY id`)
}

// PutConnector adds a connector (ID empty) or changes one; an empty Secret leaves the one that is there. A Runner works
// with it from its next look on. Only those who manage rules may (or the program itself).
func (g *Gateway) PutConnector(tx *storage.Tx, c Connector, by ticket.Actor) (Connector, error) {
	if by.Kind != ticket.SystemActor && !org.Can(by.Role, org.ManageRules) {
		return c, refuse("role", "您的岗位没有此项权限")
	}
	c.Name = strings.TrimSpace(c.Name)
	if c.Every == 0 {
		c.Every = 20 * time.Second
	}
	if err := g.checkConnector(tx, c); err != nil {
		return c, err
	}
	settings, err := json.Marshal(c.Settings)
	if err != nil {
		return c, err
	}
	var secret []byte
	if c.Secret != "" {
		secret = g.vault().For(secretPurpose).Seal(c.Secret)
	}
	now := storage.At(g.now())
	if c.ID == "" {
		c.ID = storage.NewID()
		_, err = tx.Exec(`INSERT INTO channel_connector (id, channel, kind, name, settings, secret, enabled, every_ms, next_at, made_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)`,
			c.ID, c.Channel, c.Kind, c.Name, string(settings), secret, c.Enabled, c.Every.Milliseconds(), now)
	} else {
		var n int64
		n, err = tx.Exec(`UPDATE channel_connector SET channel = $2, name = $3, settings = $4, secret = COALESCE($5, secret), enabled = $6, every_ms = $7, next_at = $8,
			failures = 0, error = '', since = NULL WHERE id = $1 AND kind = $9`, c.ID, c.Channel, c.Name, string(settings), secret, c.Enabled, c.Every.Milliseconds(), now, c.Kind)
		if err == nil && n == 0 {
			err = storage.ErrNotFound
		}
	}
	if err == nil {
		_, err = audit.Append(tx, audit.Entry{Stream: "connector/" + c.ID, Type: "connector.put", Actor: by.String(), At: g.now(), Payload: map[string]any{
			"kind": c.Kind, "name": c.Name, "channel": c.Channel, "enabled": c.Enabled, "settings": c.Settings, "secret_changed": secret != nil}})
	}
	if err != nil {
		return c, fmt.Errorf("put connector %s: %w", c.Name, err)
	}
	return c, nil
}

func (g *Gateway) checkConnector(tx *storage.Tx, c Connector) error {
	s := c.Settings
	switch {
	case c.Name == "" || len(c.Name) > 120:
		return refuse("name", "请填写连接器名称")
	case !slices.Contains(ConnectorKinds, c.Kind):
		return refuse("kind", "没有这种连接器")
	case c.Every < time.Second || c.Every > 24*time.Hour:
		return refuse("every", "间隔在1秒到24小时之间")
	case c.Channel == "" && c.Kind != Webhook:
		return refuse("channel", "请选择渠道")
	}
	if c.Channel != "" {
		if _, err := g.Office.Channel(tx, c.Channel); err != nil {
			return refuse("channel", "没有渠道“"+c.Channel+"”")
		}
	}
	switch c.Kind {
	case IMAP:
		if s.Addr == "" || s.User == "" {
			return refuse("addr", "请填写邮件服务器地址和用户名")
		}
		if s.TLS != "" && s.TLS != "tls" && s.TLS != "starttls" && s.TLS != "none" {
			return refuse("tls", "加密方式是 tls、starttls 或 none")
		}
		if s.TLS == "none" && !loopback(s.Addr) {
			return refuse("tls", "不加密的连接只能连本机")
		}
	case SMTP:
		if s.Addr == "" {
			return refuse("addr", "请填写邮件服务器地址")
		}
		if _, err := contact.ParseMail(s.sender()); err != nil {
			return refuse("from", "请填写发件地址")
		}
		if s.TLS != "" && s.TLS != "tls" && s.TLS != "starttls" && s.TLS != "none" {
			return refuse("tls", "加密方式是 tls、starttls 或 none")
		}
		if s.TLS == "none" && !loopback(s.Addr) {
			return refuse("tls", "不加密的连接只能连本机")
		}
	case Folder, Results:
		if !strings.HasPrefix(s.Dir, "/") {
			return refuse("dir", "请填写文件夹的绝对路径")
		}
	case Push, Webhook:
		u, err := url.Parse(s.URL)
		if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
			return refuse("url", "请填写 http 或 https 地址")
		}
		if u.Scheme == "http" && c.Kind == Push && !loopback(u.Host) {
			return refuse("url", "回写结果含群众信息，须用 https（本机除外）")
		}
		if c.ID == "" && c.Secret == "" {
			return refuse("secret", "请填写签名密钥")
		}
	}
	return nil
}

// loopback reports whether an address is on this machine.
func loopback(hostport string) bool {
	host := hostport
	if i := strings.LastIndex(host, ":"); i > 0 && !strings.HasSuffix(host, "]") {
		host = host[:i]
	}
	host = strings.Trim(host, "[]")
	return host == "localhost" || host == "::1" || strings.HasPrefix(host, "127.")
}

// Waiters counts what a connector's outbox holds: due, and given up.
func (g *Gateway) Waiters(tx *storage.Tx, id string) (due, dead int, err error) {
	due, err1 := storage.One(tx, storage.Value[int], `SELECT COUNT(*) FROM channel_outbox WHERE connector = $1 AND state = 'due'`, id)
	dead, err2 := storage.One(tx, storage.Value[int], `SELECT COUNT(*) FROM channel_outbox WHERE connector = $1 AND state = 'dead'`, id)
	if err1 != nil {
		return 0, 0, err1
	}
	return due, dead, err2
}

// Revive puts messages that were given up back into the queue.
func (g *Gateway) Revive(tx *storage.Tx, id string, by ticket.Actor) (int64, error) {
	n, err := tx.Exec(`UPDATE channel_outbox SET state = 'due', attempts = 0, next_at = $2 WHERE connector = $1 AND state = 'dead'`, id, storage.At(g.now()))
	if err == nil && n > 0 {
		_, err = audit.Append(tx, audit.Entry{Stream: "connector/" + id, Type: "connector.revived", Actor: by.String(), At: g.now(), Payload: map[string]any{"messages": n}})
	}
	return n, err
}
