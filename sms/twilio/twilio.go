// Package twilio sends texts through Twilio's Messages API (2010-04-01) or anything that speaks it, and takes its signed
// webhooks.
//
// Twilio itself cannot carry two-way texts in mainland China; the base URL can point at a compatible facade on the
// bureau's premises. Messages.create has no idempotency key, so our id travels in the StatusCallback URL and Find
// compares what Twilio lists.
package twilio

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/twilio/twilio-go/client"
	openapi "github.com/twilio/twilio-go/rest/api/v2010"

	"lianxin/sms"
)

//go:embed codes.yaml
var standardCodes []byte

// Config is an account.
type Config struct {
	AccountSID          string        // AC…
	AuthToken           string        // signs in, and proves webhooks
	SecondToken         string        // accepted on webhooks too while tokens are rotated; may be empty
	From                string        // our number, or several separated by commas, from which texts go out by their Extension; or
	MessagingServiceSID string        // MG…
	BaseURL             string        // https://api.twilio.com when empty
	PublicURL           string        // where Twilio reaches StatusPath and InboundPath: https://host[/prefix]; empty: no webhooks
	Codes               []byte        // another codes.yaml; nil is the one of this package
	Timeout             time.Duration // of one request; 10 s when 0
}

// Where the webhooks are served below PublicURL.
const (
	StatusPath  = "/webhooks/twilio/status"
	InboundPath = "/webhooks/twilio/inbound"
)

// Carrier is an account at Twilio.
type Carrier struct {
	cfg    Config
	base   *url.URL
	public *url.URL // nil: none
	codes  map[int]sms.Kind
	next   http.RoundTripper
	pool   []string // our numbers; none with a messaging service
}

var (
	_ sms.Carrier = (*Carrier)(nil)
	_ sms.Pool    = (*Carrier)(nil)
)

var (
	sidPattern   = regexp.MustCompile(`^AC[0-9a-fA-F]{32}$`)
	tokenPattern = regexp.MustCompile(`^[a-zA-Z0-9]+$`) // the SDK refuses others before it sends anything
)

// New checks the account's settings. Its errors hold no secret.
func New(cfg Config) (*Carrier, error) {
	if cfg.BaseURL == "" {
		cfg.BaseURL = "https://api.twilio.com"
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 10 * time.Second
	}
	c := &Carrier{cfg: cfg, codes: map[int]sms.Kind{}}
	if !sidPattern.MatchString(cfg.AccountSID) {
		return nil, errors.New("twilio: account SID: want AC and 32 hexadecimal digits")
	}
	if !tokenPattern.MatchString(cfg.AuthToken) {
		return nil, errors.New("twilio: auth token: want letters and digits")
	}
	if (cfg.From == "") == (cfg.MessagingServiceSID == "") {
		return nil, errors.New("twilio: give either a sender number or a messaging service")
	}
	for _, n := range strings.FieldsFunc(cfg.From, func(r rune) bool { return r == ',' || r == ' ' }) {
		if slices.Contains(c.pool, n) {
			return nil, errors.New("twilio: a sender number stands twice")
		}
		c.pool = append(c.pool, n)
	}
	if cfg.From != "" && len(c.pool) == 0 {
		return nil, errors.New("twilio: no sender number")
	}
	var err error
	if c.base, err = checkURL(cfg.BaseURL); err != nil {
		return nil, fmt.Errorf("twilio: base URL: %w", err)
	}
	if cfg.PublicURL != "" {
		if c.public, err = checkURL(strings.TrimSuffix(cfg.PublicURL, "/")); err != nil {
			return nil, fmt.Errorf("twilio: public URL: %w", err)
		}
	}
	if cfg.Codes == nil {
		cfg.Codes = standardCodes
	}
	var table map[sms.Kind][]int
	if err := yaml.Unmarshal(cfg.Codes, &table); err != nil {
		return nil, fmt.Errorf("twilio: table of codes: %w", err)
	}
	for kind, codes := range table {
		if !slices.Contains([]sms.Kind{sms.Refused, sms.Stopped, sms.Misconfigured, sms.Throttled}, kind) {
			return nil, fmt.Errorf("twilio: table of codes: no class %q", kind)
		}
		for _, code := range codes {
			if was, twice := c.codes[code]; twice {
				return nil, fmt.Errorf("twilio: table of codes: %d is %s and %s", code, was, kind)
			}
			c.codes[code] = kind
		}
	}
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConns, t.MaxIdleConnsPerHost = 0, 256 // as many as there are senders
	c.next = t
	return c, nil
}

func checkURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil {
		return nil, err
	}
	if (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("%q: want http(s)://host, without query", u.Redacted())
	}
	return u, nil
}

// Name is "twilio".
func (c *Carrier) Name() string { return "twilio" }

// api is the SDK for one call. The SDK drops the context, the Retry-After header and the difference between a refusal
// and a lost answer; exchange, the RoundTripper beneath it, keeps them.
func (c *Carrier) api(ctx context.Context) (*openapi.ApiService, *exchange) {
	x := &exchange{ctx: ctx, carrier: c}
	sdk := &client.Client{
		Credentials: client.NewCredentials(c.cfg.AccountSID, c.cfg.AuthToken),
		HTTPClient: &http.Client{
			Transport:     x,
			Timeout:       c.cfg.Timeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	sdk.SetAccountSid(c.cfg.AccountSID)
	return openapi.NewApiServiceWithClient(sdk), x
}

// Send implements sms.Carrier.
func (c *Carrier) Send(ctx context.Context, m sms.Message) (sms.Sent, error) {
	p := (&openapi.CreateMessageParams{}).SetTo(m.Phone.E164()).SetBody(m.Body).SetSmartEncoded(false)
	if c.cfg.MessagingServiceSID != "" {
		p.SetMessagingServiceSid(c.cfg.MessagingServiceSID)
	} else {
		p.SetFrom(c.sender(m.Extension))
	}
	if c.public != nil {
		p.SetStatusCallback(c.public.String() + StatusPath + "?id=" + url.QueryEscape(m.ID))
	}
	if left := time.Until(m.NotAfter); !m.NotAfter.IsZero() {
		p.SetValidityPeriod(int(min(max(left, 10*time.Second), 10*time.Hour) / time.Second))
	}
	api, x := c.api(ctx)
	got, err := api.CreateMessage(p)
	if err := x.verdict(err, m); err != nil {
		return sms.Sent{}, err
	}
	if got == nil || got.Sid == nil || *got.Sid == "" {
		return sms.Sent{}, errors.New("twilio: the answer names no message")
	}
	return sms.Sent{CarrierID: *got.Sid}, nil
}

// sender is the number that a text with this extension goes out from.
func (c *Carrier) sender(extension string) string {
	n, _ := strconv.Atoi(extension) // none is the first
	return c.pool[n%len(c.pool)]
}

// Sender implements sms.Pool: consecutive extensions go out from one number after the other.
func (c *Carrier) Sender(extension string) string {
	if len(c.pool) < 2 {
		return ""
	}
	return c.sender(extension)
}

// Find implements sms.Carrier: by Twilio's id when we know it, else among the texts to the number.
func (c *Carrier) Find(ctx context.Context, m sms.Message) (sms.Found, error) {
	if m.CarrierID != "" {
		return c.fetch(ctx, m)
	}
	// The filter by date leaves out texts that Twilio has not sent on yet, so an empty answer is asked again without it.
	since := m.TriedAt.Add(-24 * time.Hour).UTC().Truncate(24 * time.Hour)
	for _, p := range []*openapi.ListMessageParams{
		(&openapi.ListMessageParams{}).SetTo(m.Phone.E164()).SetDateSentAfter(since).SetPageSize(100),
		(&openapi.ListMessageParams{}).SetTo(m.Phone.E164()).SetPageSize(100),
	} {
		api, x := c.api(ctx)
		page, err := api.PageMessage(p, "", "")
		if err := x.verdict(err, m); err != nil {
			return sms.Found{}, err
		}
		if page == nil {
			return sms.Found{}, errors.New("twilio: the answer holds no list")
		}
		for _, got := range page.Messages {
			if same(got, m) {
				return found(got)
			}
		}
	}
	return sms.Found{}, nil
}

func (c *Carrier) fetch(ctx context.Context, m sms.Message) (sms.Found, error) {
	api, x := c.api(ctx)
	got, err := api.FetchMessage(m.CarrierID, nil)
	if x.status == http.StatusNotFound {
		return sms.Found{}, nil
	}
	if err := x.verdict(err, m); err != nil {
		return sms.Found{}, err
	}
	if got == nil {
		return sms.Found{}, errors.New("twilio: the answer holds no message")
	}
	return found(*got)
}

// same tells whether a listed text is ours: the same words, outbound, and not older than our first attempt. Two of our
// own texts never have the same words and the same number within the slack.
func same(got openapi.ApiV2010Message, m sms.Message) bool {
	if got.Body == nil || *got.Body != m.Body || got.Sid == nil || (got.Direction != nil && !strings.HasPrefix(*got.Direction, "outbound")) {
		return false
	}
	if got.DateCreated == nil || m.TriedAt.IsZero() {
		return true
	}
	at, err := time.Parse(time.RFC1123Z, *got.DateCreated)
	const slack = 10 * time.Minute // between two clocks
	return err != nil || !at.Before(m.TriedAt.Add(-slack))
}

func found(got openapi.ApiV2010Message) (sms.Found, error) {
	if got.Sid == nil || got.Status == nil {
		return sms.Found{}, errors.New("twilio: a message without id or status")
	}
	state, ok := stateOf(*got.Status)
	if !ok {
		return sms.Found{}, fmt.Errorf("twilio: unknown status %q", *got.Status)
	}
	f := sms.Found{Known: true, CarrierID: *got.Sid, State: state}
	if got.ErrorCode != nil {
		f.Code = strconv.Itoa(*got.ErrorCode)
	}
	return f, nil
}

// stateOf turns the statuses of the Message resource into ours. A partly delivered text is a failed one: a resident
// cannot answer half a question. Inbound statuses are none.
func stateOf(status string) (sms.State, bool) {
	switch status {
	case "accepted", "scheduled", "queued", "sending", "sent":
		return sms.Accepted, true
	case "delivered", "read":
		return sms.Delivered, true
	case "undelivered", "failed", "canceled", "partially_delivered":
		return sms.Failed, true
	}
	return "", false
}
