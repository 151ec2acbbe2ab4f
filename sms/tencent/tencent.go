// Package tencent sends texts through the short message service of Tencent Cloud (sms 2021-01-11), asks it what became of
// them, and takes the receipts and replies that it pushes.
//
// A request:
//
//	POST / HTTP/1.1
//	Host: sms.tencentcloudapi.com
//	Content-Type: application/json; charset=utf-8
//	X-TC-Action: SendSms
//	X-TC-Version: 2021-01-11
//	X-TC-Region: ap-beijing
//	X-TC-Timestamp: 1795482000
//	Authorization: TC3-HMAC-SHA256 Credential=…/2026-11-24/sms/tc3_request, SignedHeaders=content-type;host, Signature=…
//
//	{"PhoneNumberSet":["+8613800000000"],"SmsSdkAppId":"1400006666","SignName":"本溪公安","TemplateId":"1110",
//	 "TemplateParamSet":["…"],"SessionContext":"01J…"}
//
// and its answer: {"Response":{"SendStatusSet":[{"SerialNo":"5000:1045…","Code":"Ok","SessionContext":"01J…",…}],…}}.
//
// The service sends approved templates only, so a text must be one of Config.Templates with its variables filled in, and
// begin with the approved signature. Our id travels as SessionContext; receipts name the SerialNo only. The service can
// be asked for the receipts of a number, but not whether it has a text: Find knows what has a receipt, and says nothing
// of the rest.
//
// Requests, answers, error codes and pushes are those of the public documentation (cloud.tencent.com, documents 55981,
// 38773, 59177, 5807, 5809 of product 382, and the page on the v3 signature, whose published example the tests
// reproduce). Nothing here has been run against the real service.
package tencent

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
)

// Template is a text that the service has approved: "您好,请对昨日{1}服务评价:1满意", without the signature.
type Template = web.Template

// Config is an account with an application.
type Config struct {
	SecretID  string
	SecretKey string
	Endpoint  string     // https://sms.tencentcloudapi.com when empty
	Region    string     // ap-beijing when empty
	AppID     string     // SmsSdkAppId
	Signature string     // approved, without 【】
	Templates []Template // approved; the first that fits a text is used

	// Extend sends a text's Extension as ExtendCode, so that its reply comes back to it. Tencent opens it on request.
	Extend bool

	Secret  string   // the {secret} of the paths; empty: nothing is taken that is pushed
	Allow   []string // addresses or prefixes from which the service pushes
	Proxies []string // our own reverse proxies, whose X-Forwarded-For is believed

	// Codes says what codes of SendSms mean; it goes before the table of this package.
	Codes map[string]sms.Kind

	Timeout time.Duration // of one request; 10 s when 0
}

// Where the service pushes to. {secret} is Config.Secret.
const (
	ReceiptPath = "/webhooks/tencent/{secret}/receipt"
	ReplyPath   = "/webhooks/tencent/{secret}/reply"
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

var _ sms.Carrier = (*Carrier)(nil)

var variable = regexp.MustCompile(`\{(\d+)\}`)

// New checks the settings. Its errors hold no secret.
func New(cfg Config) (*Carrier, error) {
	if cfg.Endpoint == "" {
		cfg.Endpoint = "https://sms.tencentcloudapi.com"
	}
	if cfg.Region == "" {
		cfg.Region = "ap-beijing"
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 10 * time.Second
	}
	if cfg.SecretID == "" || cfg.SecretKey == "" || strings.ContainsAny(cfg.SecretID, " ,/\r\n") {
		return nil, errors.New("tencent: secret: id and key are needed")
	}
	if !regexp.MustCompile(`^\d{5,20}$`).MatchString(cfg.AppID) {
		return nil, errors.New("tencent: SmsSdkAppId: want digits")
	}
	var err error
	if cfg.Endpoint, err = web.CheckURL(cfg.Endpoint); err != nil {
		return nil, fmt.Errorf("tencent: endpoint: %w", err)
	}
	u, err := url.Parse(cfg.Endpoint)
	if err != nil || u.Path != "" {
		return nil, errors.New("tencent: endpoint: want no path")
	}
	for code, k := range cfg.Codes {
		if k != sms.Refused && k != sms.Stopped && k != sms.Throttled && k != sms.Misconfigured && k != sms.NoAnswer {
			return nil, fmt.Errorf("tencent: code %s cannot mean %q", code, k)
		}
	}
	for _, tm := range cfg.Templates { // TemplateParamSet has no names: {1} is the first
		for i, m := range variable.FindAllStringSubmatch(tm.Text, -1) {
			if m[1] != strconv.Itoa(i+1) {
				return nil, fmt.Errorf("tencent: template %s: variables must be {1}, {2} … in order", tm.Code)
			}
		}
	}
	c := &Carrier{cfg: cfg, host: strings.ToLower(u.Host), client: web.NewClient(cfg.Timeout), now: time.Now}
	if c.templates, err = web.NewTemplates(cfg.Signature, cfg.Templates, variable); err != nil {
		return nil, fmt.Errorf("tencent: %w", err)
	}
	if cfg.Secret != "" {
		if c.gate, err = web.NewGate(cfg.Secret, cfg.Allow, cfg.Proxies); err != nil {
			return nil, fmt.Errorf("tencent: %w", err)
		}
	}
	return c, nil
}

// Name is "tencent".
func (c *Carrier) Name() string { return "tencent" }

// call makes one request and returns what stands in its Response. Errors are judged as sms.Carrier.Send has them.
func (c *Carrier) call(ctx context.Context, action string, params any, m sms.Message, out any) error {
	body, err := json.Marshal(params)
	if err != nil {
		return &sms.Error{Kind: sms.Refused, Err: fmt.Errorf("tencent: %w", err)}
	}
	at := c.now()
	h := http.Header{}
	h.Set("Content-Type", contentType)
	h.Set("X-TC-Action", action)
	h.Set("X-TC-Version", "2021-01-11")
	h.Set("X-TC-Region", c.cfg.Region)
	h.Set("X-TC-Timestamp", strconv.FormatInt(at.Unix(), 10))
	h.Set("Authorization", authorization("sms", c.host, contentType, body, c.cfg.SecretID, c.cfg.SecretKey, at))
	a, err := c.client.Post(ctx, c.cfg.Endpoint+"/", h, body)
	if err != nil {
		return fmt.Errorf("tencent: %w", err)
	}
	var got struct{ Response json.RawMessage }
	var e struct {
		Error *struct{ Code, Message string }
	}
	isJSON := json.Unmarshal(a.Body, &got) == nil && len(got.Response) > 0 && json.Unmarshal(got.Response, &e) == nil
	if isJSON && e.Error != nil {
		return c.refusal(a, e.Error.Code, e.Error.Message, m)
	}
	if a.Status == http.StatusOK && isJSON {
		if err := json.Unmarshal(got.Response, out); err != nil {
			return fmt.Errorf("tencent: read the answer: %w", err)
		}
		return nil
	}
	cause := fmt.Errorf("tencent: %d %s", a.Status, web.Words(string(a.Body), m.Phone))
	switch {
	case a.Status == http.StatusTooManyRequests:
		return &sms.Error{Kind: sms.Throttled, Code: "429", RetryAfter: a.RetryAfter(), Err: cause}
	case a.Status >= 400 && a.Status < 500 && a.Status != http.StatusRequestTimeout:
		return &sms.Error{Kind: sms.Misconfigured, Code: strconv.Itoa(a.Status), Err: cause} // a proxy that says no
	}
	return cause
}

func (c *Carrier) refusal(a web.Answer, code, message string, m sms.Message) error {
	cause := fmt.Errorf("tencent: %s %s", web.Words(code, m.Phone), web.Words(message, m.Phone))
	kind := c.kind(code)
	if kind == sms.NoAnswer || a.Status >= 500 {
		return cause
	}
	return &sms.Error{Kind: kind, Code: web.Words(code, m.Phone), RetryAfter: a.RetryAfter(), Err: cause}
}

// Send implements sms.Carrier.
func (c *Carrier) Send(ctx context.Context, m sms.Message) (sms.Sent, error) {
	template, values, err := c.templates.Fit(m.Body)
	if err != nil {
		return sms.Sent{}, &sms.Error{Kind: sms.Refused, Code: "template", Err: fmt.Errorf("tencent: %w", err)}
	}
	params := struct {
		PhoneNumberSet                    []string
		SmsSdkAppId, SignName, TemplateId string
		TemplateParamSet                  []string
		ExtendCode                        string `json:",omitempty"`
		SessionContext                    string
	}{PhoneNumberSet: []string{m.Phone.E164()}, SmsSdkAppId: c.cfg.AppID, SignName: c.cfg.Signature, TemplateId: template,
		TemplateParamSet: []string{}, SessionContext: m.ID}
	for _, v := range values {
		params.TemplateParamSet = append(params.TemplateParamSet, v.Text)
	}
	if c.cfg.Extend {
		params.ExtendCode = m.Extension
	}
	var got struct {
		SendStatusSet []struct{ SerialNo, Code, Message string }
	}
	if err := c.call(ctx, "SendSms", params, m, &got); err != nil {
		return sms.Sent{}, err
	}
	if len(got.SendStatusSet) != 1 {
		return sms.Sent{}, fmt.Errorf("tencent: the answer speaks of %d texts", len(got.SendStatusSet))
	}
	if s := got.SendStatusSet[0]; s.Code != "Ok" {
		return sms.Sent{}, c.refusal(web.Answer{}, s.Code, s.Message, m)
	}
	return sms.Sent{CarrierID: got.SendStatusSet[0].SerialNo}, nil
}

// Extension implements sms.Extender: Tencent pushes the code alone.
func (c *Carrier) Extension(to string) string {
	if !c.cfg.Extend {
		return ""
	}
	return to
}

// Find implements sms.Carrier as far as the receipts of the number go, which the service keeps for seven days. A text
// without a receipt is neither there nor not there: an error, so that it is asked about again.
func (c *Carrier) Find(ctx context.Context, m sms.Message) (sms.Found, error) {
	if m.TriedAt.IsZero() {
		return sms.Found{}, errors.New("tencent: the text was never tried")
	}
	const limit = 100
	params := struct {
		BeginTime, EndTime       int64
		Offset, Limit            int
		PhoneNumber, SmsSdkAppId string
	}{m.TriedAt.Add(-10 * time.Minute).Unix(), c.now().Add(10 * time.Minute).Unix(), 0, limit, m.Phone.E164(), c.cfg.AppID}
	var got struct {
		PullSmsSendStatusSet []struct{ SerialNo, SessionContext, ReportStatus, Description string }
	}
	if err := c.call(ctx, "PullSmsSendStatusByPhoneNumber", params, m, &got); err != nil {
		return sms.Found{}, err
	}
	var best sms.Found
	for _, s := range got.PullSmsSendStatusSet {
		ours := s.SessionContext == m.ID || (m.CarrierID != "" && s.SerialNo == m.CarrierID)
		state, ok := stateOf(s.ReportStatus)
		if ours && ok && best.State != sms.Delivered {
			best = sms.Found{Known: true, CarrierID: s.SerialNo, State: state, Code: codeOf(s.Description)}
		}
	}
	if !best.Known {
		return sms.Found{}, errors.New("tencent: there is no receipt yet")
	}
	return best, nil
}

func stateOf(status string) (sms.State, bool) {
	s, ok := map[string]sms.State{"SUCCESS": sms.Delivered, "FAIL": sms.Failed}[status]
	return s, ok
}

var codePattern = regexp.MustCompile(`^[A-Za-z0-9_:.-]{1,40}$`)

// codeOf is a carrier's code, when it is one and not a sentence.
func codeOf(s string) string {
	if codePattern.MatchString(s) {
		return s
	}
	return ""
}
