// Package aliyun sends texts through the short message service of Alibaba Cloud (Dysmsapi 2017-05-25), asks it what
// became of them, and takes the receipts and replies that it pushes.
//
// A request, its parameters in the query as the service's API description has them:
//
//	POST /?OutId=01J…&PhoneNumbers=13800000000&SignName=本溪公安&TemplateCode=SMS_1&TemplateParam={"text":"…"} HTTP/1.1
//	Host: dysmsapi.aliyuncs.com
//	X-Acs-Action: SendSms
//	X-Acs-Version: 2017-05-25
//	X-Acs-Date: 2026-11-24T01:00:00Z
//	X-Acs-Signature-Nonce: 3156853299f313e23d1673dc12e1703d
//	X-Acs-Content-Sha256: e3b0c442…
//	Authorization: ACS3-HMAC-SHA256 Credential=…,SignedHeaders=host;x-acs-action;…,Signature=…
//
// and its answer: {"Code":"OK","Message":"OK","RequestId":"…","BizId":"900619746936498440^0"}.
//
// The service sends approved templates only, so a text must be one of Config.Templates with its variables filled in, and
// begin with the approved signature. Sending is not idempotent, says its documentation; our id travels as OutId, comes
// back in receipts, and is what Find looks for.
//
// Requests, answers, error codes and pushes are those of the public documentation (help.aliyun.com, document_detail
// 55284, 419277, 101867, 101847 and the page on the V3 signature, whose published example the tests reproduce). Nothing
// here has been run against the real service.
package aliyun

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"lianxin/sms"
	"lianxin/sms/internal/web"
	"lianxin/workday"
)

// Template is a text that the service has approved: "您好,请对昨日${what}服务评价:1满意", without the signature.
type Template = web.Template

// Config is an account.
type Config struct {
	AccessKeyID     string
	AccessKeySecret string
	Endpoint        string     // https://dysmsapi.aliyuncs.com when empty
	Signature       string     // approved, without 【】
	Templates       []Template // approved; the first that fits a text is used

	// Extend sends a text's Extension as SmsUpExtendCode, so that its reply comes back to it as dest_code. The service opens
	// it on request; where it is not open dest_code is the same for all, and replies are laid to the number's open question.
	Extend bool

	Secret  string   // the {secret} of the paths; empty: nothing is taken that is pushed
	Allow   []string // addresses or prefixes from which the service pushes
	Proxies []string // our own reverse proxies, whose X-Forwarded-For is believed

	// Codes says what codes of SendSms mean; it goes before the table of this package.
	Codes map[string]sms.Kind

	Timeout time.Duration // of one request; 10 s when 0
	// Settle is how long after an attempt a text that the service does not list may still turn up; 10 min when 0. What
	// is not listed after it is sent again.
	Settle time.Duration
}

// Where the service pushes to. {secret} is Config.Secret.
const (
	ReceiptPath = "/webhooks/aliyun/{secret}/receipt" // SmsReport
	ReplyPath   = "/webhooks/aliyun/{secret}/reply"   // SmsUp
)

// Carrier is an account.
type Carrier struct {
	cfg       Config
	host      string
	templates *web.Templates
	gate      *web.Gate // nil: nothing may be pushed
	client    *web.Client
	now       func() time.Time
}

var (
	_ sms.Carrier  = (*Carrier)(nil)
	_ sms.Extender = (*Carrier)(nil)
)

var variable = regexp.MustCompile(`\$\{(\w+)\}`)

// New checks the settings. Its errors hold no secret.
func New(cfg Config) (*Carrier, error) {
	if cfg.Endpoint == "" {
		cfg.Endpoint = "https://dysmsapi.aliyuncs.com"
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 10 * time.Second
	}
	if cfg.Settle == 0 {
		cfg.Settle = 10 * time.Minute
	}
	if cfg.AccessKeyID == "" || cfg.AccessKeySecret == "" || strings.ContainsAny(cfg.AccessKeyID, " ,\r\n") {
		return nil, errors.New("aliyun: access key: id and secret are needed")
	}
	var err error
	if cfg.Endpoint, err = web.CheckURL(cfg.Endpoint); err != nil {
		return nil, fmt.Errorf("aliyun: endpoint: %w", err)
	}
	u, err := url.Parse(cfg.Endpoint)
	if err != nil || u.Path != "" {
		return nil, errors.New("aliyun: endpoint: want no path")
	}
	for code, k := range cfg.Codes {
		if k != sms.Refused && k != sms.Stopped && k != sms.Throttled && k != sms.Misconfigured && k != sms.NoAnswer {
			return nil, fmt.Errorf("aliyun: code %s cannot mean %q", code, k)
		}
	}
	c := &Carrier{cfg: cfg, host: u.Host, client: web.NewClient(cfg.Timeout), now: time.Now}
	if c.templates, err = web.NewTemplates(cfg.Signature, cfg.Templates, variable); err != nil {
		return nil, fmt.Errorf("aliyun: %w", err)
	}
	if cfg.Secret != "" {
		if c.gate, err = web.NewGate(cfg.Secret, cfg.Allow, cfg.Proxies); err != nil {
			return nil, fmt.Errorf("aliyun: %w", err)
		}
	}
	return c, nil
}

// Name is "aliyun".
func (c *Carrier) Name() string { return "aliyun" }

// call makes one request and returns its answer. Errors are judged as sms.Carrier.Send has them.
func (c *Carrier) call(ctx context.Context, action string, params url.Values, m sms.Message, out any) error {
	query := canonicalQuery(params)
	header := sign(action, c.host, query, c.cfg.AccessKeyID, c.cfg.AccessKeySecret, c.now(), nonce())
	a, err := c.client.Post(ctx, c.cfg.Endpoint+"/?"+query, header, nil)
	if err != nil {
		return fmt.Errorf("aliyun: %w", err)
	}
	var e struct{ Code, Message string }
	isJSON := json.Unmarshal(a.Body, &e) == nil && e.Code != ""
	if a.Status == http.StatusOK && isJSON && e.Code == "OK" {
		if err := json.Unmarshal(a.Body, out); err != nil {
			return fmt.Errorf("aliyun: read the answer: %w", err)
		}
		return nil
	}
	cause := fmt.Errorf("aliyun: %d %s %s", a.Status, e.Code, web.Words(e.Message, m.Phone))
	code := e.Code
	if !isJSON {
		code = strconv.Itoa(a.Status)
	}
	kind := c.kind(a.Status, e.Code, isJSON)
	if kind == sms.NoAnswer {
		return cause
	}
	return &sms.Error{Kind: kind, Code: code, RetryAfter: a.RetryAfter(), Err: cause}
}

// Send implements sms.Carrier.
func (c *Carrier) Send(ctx context.Context, m sms.Message) (sms.Sent, error) {
	code, values, err := c.templates.Fit(m.Body)
	if err != nil {
		return sms.Sent{}, &sms.Error{Kind: sms.Refused, Code: "template", Err: fmt.Errorf("aliyun: %w", err)}
	}
	params := url.Values{"PhoneNumbers": {m.Phone.Clear()}, "SignName": {c.cfg.Signature}, "TemplateCode": {code}, "OutId": {m.ID}}
	if len(values) > 0 {
		vars := map[string]string{}
		for _, v := range values {
			vars[v.Name] = v.Text
		}
		b, err := json.Marshal(vars)
		if err != nil {
			return sms.Sent{}, &sms.Error{Kind: sms.Refused, Err: fmt.Errorf("aliyun: %w", err)}
		}
		params.Set("TemplateParam", string(b))
	}
	if c.cfg.Extend && m.Extension != "" {
		params.Set("SmsUpExtendCode", m.Extension)
	}
	var got struct{ BizId string }
	if err := c.call(ctx, "SendSms", params, m, &got); err != nil {
		return sms.Sent{}, err
	}
	return sms.Sent{CarrierID: got.BizId}, nil
}

// Extension implements sms.Extender: the service pushes the code alone. What is longer is an access number, and tells nothing.
func (c *Carrier) Extension(to string) string {
	if !c.cfg.Extend || len(to) > 6 {
		return ""
	}
	return to
}

// outID marks the id of a text whose BizId we were never told.
const outID = "out_id:"

// Find implements sms.Carrier: it looks for our id among the texts to the number on the day of the attempt.
func (c *Carrier) Find(ctx context.Context, m sms.Message) (sms.Found, error) {
	if m.TriedAt.IsZero() {
		return sms.Found{}, errors.New("aliyun: the text was never tried")
	}
	days := []string{m.TriedAt.In(workday.Zone).Format("20060102")}
	if today := c.now().In(workday.Zone).Format("20060102"); today != days[0] && c.now().Sub(m.TriedAt) < 30*time.Hour {
		days = append(days, today)
	}
	var best sms.Found
	for _, day := range days {
		if err := c.search(ctx, m, day, &best); err != nil {
			return sms.Found{}, err
		}
	}
	if !best.Known && c.now().Sub(m.TriedAt) < c.cfg.Settle {
		return sms.Found{}, errors.New("aliyun: not listed yet")
	}
	return best, nil
}

// search goes through the texts of a day, and keeps the best of those with our id: a person may have had it sent again.
func (c *Carrier) search(ctx context.Context, m sms.Message, day string, best *sms.Found) error {
	const size, pages = 50, 20
	seen := 0
	for page := 1; page <= pages; page++ {
		params := url.Values{"PhoneNumber": {m.Phone.Clear()}, "SendDate": {day}, "PageSize": {strconv.Itoa(size)}, "CurrentPage": {strconv.Itoa(page)}}
		var got struct {
			TotalCount        web.Text
			SmsSendDetailDTOs struct {
				SmsSendDetailDTO []struct {
					OutId, ErrCode string
					SendStatus     web.Text
				}
			}
		}
		if err := c.call(ctx, "QuerySendDetails", params, m, &got); err != nil {
			return err
		}
		list := got.SmsSendDetailDTOs.SmsSendDetailDTO
		for _, d := range list {
			if d.OutId != m.ID {
				continue
			}
			state, ok := map[web.Text]sms.State{"1": sms.Accepted, "2": sms.Failed, "3": sms.Delivered}[d.SendStatus]
			if !ok {
				return fmt.Errorf("aliyun: unknown status %q", string(d.SendStatus))
			}
			rank := map[sms.State]int{"": -1, sms.Failed: 0, sms.Accepted: 1, sms.Delivered: 2}
			if rank[state] > rank[best.State] {
				*best = sms.Found{Known: true, State: state, Code: d.ErrCode, CarrierID: m.CarrierID}
				if best.CarrierID == "" {
					best.CarrierID = outID + m.ID
				}
			}
		}
		seen += len(list)
		total, err := strconv.Atoi(string(got.TotalCount))
		if err != nil {
			return errors.New("aliyun: the answer does not say how many there are")
		}
		if seen >= total {
			return nil
		}
		if len(list) == 0 { // it happens that the service counts more than it lists
			return errors.New("aliyun: the list is not complete")
		}
	}
	return errors.New("aliyun: too many texts to one number")
}
