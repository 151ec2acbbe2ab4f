// Package kannel sends texts through the HTTP interface of a Kannel gateway (1.4.x), which speaks SMPP and other
// protocols to the carrier, and takes its receipts and replies.
//
// A request to smsbox, one for each segment:
//
//	POST /cgi-bin/sendsms HTTP/1.1
//	Content-Type: text/plain; charset=UTF-8
//	X-Kannel-Username: u
//	X-Kannel-Password: p
//	X-Kannel-From: 1069012110
//	X-Kannel-To: 13800000000
//	X-Kannel-Coding: 2
//	X-Kannel-DLR-Mask: 31
//	X-Kannel-DLR-Url: http://host/webhooks/kannel/<secret>/receipt?id=01J…&part=1&type=%d&code=%A&at=%T
//
//	【本溪公安】您好…
//
// and its answer: 202 "0: Accepted for delivery", or "3: Queued for later delivery" while the link to the carrier is down.
//
// Long texts are cut here and not by Kannel: its splitter cuts emoji in half and asks for a receipt of the first segment
// only (seen with 1.4.5). Kannel gives no id and cannot be asked about a text, so Find always returns sms.ErrCannotAsk;
// our own id travels in the DLR URL.
//
// Kannel must be configured to keep what we cannot take at once, because by default it forgets it, and not to answer
// citizens by itself:
//
//	group = core
//	store-type = spool           # else a killed bearerbox loses its queue
//
//	group = smsbox
//	http-request-retry = 8640    # receipts and replies are pushed again
//	http-queue-delay = 10        # every ten seconds, for a day
//
//	group = sms-service
//	keyword = default
//	get-url = "http://host/webhooks/kannel/<secret>/reply?from=%p&to=%P&text=%b&charset=%C&coding=%c&id=%I&udh=%u&at=%T"
//	max-messages = 0             # else Kannel texts its own error messages to residents
//	omit-empty = true
package kannel

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"lianxin/sms"
	"lianxin/sms/internal/web"
)

// Config is a sendsms-user of a smsbox.
type Config struct {
	URL      string // of sendsms: http://127.0.0.1:13013/cgi-bin/sendsms
	Username string
	Password string
	From     string // our number; empty is smsbox's global-sender
	SMSC     string // the smsc-id to send through; empty leaves it to Kannel's routing
	Extend   bool   // the contract gives sub-numbers: a text's Extension is put behind From

	CallbackURL string   // where Kannel reaches ReceiptPath: http://host[/prefix]; empty: no receipts are asked for
	Secret      string   // the {secret} of the paths: 16 or more letters, digits, _ or -
	Allow       []string // addresses or prefixes from which Kannel pushes
	Proxies     []string // our own reverse proxies, whose X-Forwarded-For is believed

	// DeniedIsOptOut says that Kannel's black-list holds the numbers of residents who have opted out, so that a number
	// that it denies is noted as such. Leave it false where white-lists are in use: they are refused in the same words.
	DeniedIsOptOut bool

	Timeout time.Duration // of one request; 10 s when 0
}

// Where Kannel pushes to. {secret} is Config.Secret.
const (
	ReceiptPath = "/webhooks/kannel/{secret}/receipt"
	ReplyPath   = "/webhooks/kannel/{secret}/reply"
)

// Carrier is a gateway.
type Carrier struct {
	cfg    Config
	gate   *web.Gate // nil: nothing may be pushed
	client *web.Client
}

var _ sms.Carrier = (*Carrier)(nil)

var (
	numberPattern = regexp.MustCompile(`^\d{1,21}$`)
	wordPattern   = regexp.MustCompile(`^[!-~]{1,64}$`) // goes into a header
)

// New checks the settings. Its errors hold no secret.
func New(cfg Config) (*Carrier, error) {
	if cfg.Timeout == 0 {
		cfg.Timeout = 10 * time.Second
	}
	var err error
	if cfg.URL, err = web.CheckURL(cfg.URL); err != nil {
		return nil, fmt.Errorf("kannel: URL of sendsms: %w", err)
	}
	if !wordPattern.MatchString(cfg.Username) || !wordPattern.MatchString(cfg.Password) {
		return nil, errors.New("kannel: user name and password are needed, without blanks")
	}
	if cfg.From != "" && !numberPattern.MatchString(cfg.From) {
		return nil, errors.New("kannel: our number: want up to 21 digits")
	}
	if cfg.SMSC != "" && !wordPattern.MatchString(cfg.SMSC) {
		return nil, errors.New("kannel: smsc-id: want no blanks")
	}
	if cfg.Extend && (cfg.From == "" || len(cfg.From) > 15) {
		return nil, errors.New("kannel: our number: want up to 15 digits, so that an extension of six fits behind them")
	}
	c := &Carrier{cfg: cfg, client: web.NewClient(cfg.Timeout)}
	if cfg.CallbackURL == "" {
		return c, nil
	}
	if c.cfg.CallbackURL, err = web.CheckURL(cfg.CallbackURL); err != nil {
		return nil, fmt.Errorf("kannel: URL for callbacks: %w", err)
	}
	if strings.Contains(c.cfg.CallbackURL, "%") {
		return nil, errors.New("kannel: URL for callbacks: Kannel would replace what follows a %")
	}
	if c.gate, err = web.NewGate(cfg.Secret, cfg.Allow, cfg.Proxies); err != nil {
		return nil, fmt.Errorf("kannel: %w", err)
	}
	return c, nil
}

// Name is "kannel".
func (c *Carrier) Name() string { return "kannel" }

// Find implements sms.Carrier: Kannel cannot be asked.
func (c *Carrier) Find(context.Context, sms.Message) (sms.Found, error) {
	return sms.Found{}, sms.ErrCannotAsk
}

// Extension implements sms.Extender.
func (c *Carrier) Extension(to string) string {
	if !c.cfg.Extend {
		return ""
	}
	rest, ours := strings.CutPrefix(to, c.cfg.From)
	if !ours {
		return ""
	}
	return rest
}

// Send implements sms.Carrier. A long text is several requests; once Kannel has the first, the text is under way, and
// an end before the last is an unknown outcome.
func (c *Carrier) Send(ctx context.Context, m sms.Message) (sms.Sent, error) {
	parts := sms.Split(m.Body)
	ucs2 := sms.Measure(m.Body).Encoding == "UCS-2"
	for i, text := range parts {
		err := c.part(ctx, m, text, i+1, len(parts), ucs2)
		for i > 0 && tryAgain(ctx, err) {
			err = c.part(ctx, m, text, i+1, len(parts), ucs2)
		}
		if err != nil && i > 0 {
			return sms.Sent{}, fmt.Errorf("kannel: %d of %d segments were taken: %s", i, len(parts), err)
		}
		if err != nil {
			return sms.Sent{}, err
		}
	}
	return sms.Sent{}, nil
}

// tryAgain waits a little when a later segment was surely not taken because the gateway is busy.
func tryAgain(ctx context.Context, err error) bool {
	var e *sms.Error
	if !errors.As(err, &e) || e.Kind != sms.Throttled {
		return false
	}
	select {
	case <-ctx.Done():
		return false
	case <-time.After(300 * time.Millisecond):
		return true
	}
}

func (c *Carrier) part(ctx context.Context, m sms.Message, text string, n, of int, ucs2 bool) error {
	h := http.Header{}
	set := func(k, v string) {
		if v != "" {
			h.Set("X-Kannel-"+k, v)
		}
	}
	h.Set("Content-Type", "text/plain; charset=UTF-8")
	set("Username", c.cfg.Username)
	set("Password", c.cfg.Password)
	from := c.cfg.From
	if c.cfg.Extend {
		from += m.Extension
	}
	set("From", from)
	set("To", m.Phone.Clear())
	set("SMSC", c.cfg.SMSC)
	set("Coding", map[bool]string{true: "2", false: "0"}[ucs2])
	if of > 1 {
		set("UDH", fmt.Sprintf("050003%02x%02x%02x", reference(m), of, n)) // 3GPP TS 23.040 §9.2.3.24.1
	}
	if left := time.Until(m.NotAfter); !m.NotAfter.IsZero() {
		set("Validity", strconv.Itoa(int(min(max(left, time.Minute), 7*24*time.Hour)/time.Minute)))
	}
	if c.gate != nil {
		set("DLR-Mask", "31")
		path := strings.Replace(ReceiptPath, "{secret}", c.cfg.Secret, 1)
		u := c.cfg.CallbackURL + path + "?id=" + url.QueryEscape(m.ID)
		if of > 1 {
			u += "&part=" + strconv.Itoa(n)
		}
		set("DLR-Url", u+"&type=%d&code=%A&at=%T")
	}
	a, err := c.client.Post(ctx, c.cfg.URL, h, []byte(text))
	if err != nil {
		return fmt.Errorf("kannel: %w", err)
	}
	return c.judge(a, m)
}

// reference is the number that tells the handset which segments belong together. Another attempt has another one, so
// that its segments do not mix with those of the first.
func reference(m sms.Message) byte {
	h := fnv.New32a()
	fmt.Fprintf(h, "%s %d", m.ID, m.Attempt)
	return byte(h.Sum32())
}

// judge says what an answer means. The words are smsbox's; an answer in other words is a proxy's, and proves that the
// text was not taken only where its status does.
func (c *Carrier) judge(a web.Answer, m sms.Message) error {
	said := string(a.Body)
	has := func(words string) bool { return strings.Contains(said, words) }
	if a.Status == http.StatusAccepted && (strings.HasPrefix(said, "0:") || strings.HasPrefix(said, "3:") || strings.HasPrefix(said, "Sent.")) {
		return nil
	}
	code := strconv.Itoa(a.Status)
	cause := fmt.Errorf("kannel: %d %s", a.Status, web.Words(said, m.Phone))
	certain := func(k sms.Kind) error { return &sms.Error{Kind: k, Code: code, RetryAfter: a.RetryAfter(), Err: cause} }
	switch {
	case a.Status == http.StatusServiceUnavailable && has("Temporal failure"): // bearerbox's queue is full, or it is isolated
		return certain(sms.Throttled)
	case a.Status == http.StatusTooManyRequests:
		return certain(sms.Throttled)
	case a.Status == http.StatusForbidden && has("Not routable"):
		return certain(sms.Refused)
	case a.Status == http.StatusBadRequest && has("denied by white- and/or black-lists"):
		if c.cfg.DeniedIsOptOut {
			return certain(sms.Stopped)
		}
		return certain(sms.Refused)
	case a.Status == http.StatusBadRequest && has("rejected") && !has("Sender missing"):
		return certain(sms.Refused)
	case a.Status < 400 || a.Status >= 500 || a.Status == http.StatusRequestTimeout:
		return cause
	}
	return certain(sms.Misconfigured) // "Authorization failed for sendsms", a wrong path, a proxy that says no
}
