package tencent

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"lianxin/contact"
	"lianxin/sms"
	"lianxin/sms/smstest"
)

const (
	keyID   = "AKIDtest"
	testKey = "hush-hush-key"
	secret  = "0123456789abcdef"
)

// The example that Tencent Cloud publishes with its v3 signature.
func TestSignatureIsThatOfThePublishedExample(t *testing.T) {
	body := `{"Limit": 1, "Filters": [{"Values": ["\u672a\u547d\u540d"], "Name": "instance-name"}]}`
	got := authorization("cvm", "cvm.tencentcloudapi.com", "application/json; charset=utf-8", []byte(body),
		"AKIDz8krbsJ5yKBZQpn74WFkmLPx3EXAMPLE", "Gu5t9xGARNpq86cd98joQYCN3EXAMPLE", time.Unix(1551113065, 0))
	want := "TC3-HMAC-SHA256 Credential=AKIDz8krbsJ5yKBZQpn74WFkmLPx3EXAMPLE/2019-02-25/cvm/tc3_request, SignedHeaders=content-type;host, " +
		"Signature=72e494ea809ad7a8c8f7a4507b9bddcbaa8e581f516e8da2f66e2c5a96525168"
	if got != want {
		t.Errorf("%s, want\n%s", got, want)
	}
}

// verify checks the signature of a request apart from the code under test, from the bytes that came in.
func verify(r *http.Request, body []byte) string {
	mac := func(key []byte, s string) []byte {
		m := hmac.New(sha256.New, key)
		io.WriteString(m, s)
		return m.Sum(nil)
	}
	sha := func(b []byte) string { s := sha256.Sum256(b); return hex.EncodeToString(s[:]) }
	auth, ok := strings.CutPrefix(r.Header.Get("Authorization"), "TC3-HMAC-SHA256 ")
	part := map[string]string{}
	for _, p := range strings.Split(auth, ", ") {
		k, v, _ := strings.Cut(p, "=")
		part[k] = v
	}
	scope := strings.Split(part["Credential"], "/")
	if !ok || len(scope) != 4 || scope[0] != keyID {
		return "AuthFailure.SecretIdNotFound"
	}
	stamp, err := strconv.ParseInt(r.Header.Get("X-TC-Timestamp"), 10, 64)
	if err != nil || time.Since(time.Unix(stamp, 0)).Abs() > 5*time.Minute || scope[1] != time.Unix(stamp, 0).UTC().Format("2006-01-02") {
		return "AuthFailure.SignatureExpire"
	}
	var headers string
	for _, n := range strings.Split(part["SignedHeaders"], ";") {
		v := r.Header.Get(n)
		if n == "host" {
			v = r.Host
		}
		headers += n + ":" + strings.ToLower(v) + "\n"
	}
	canonical := r.Method + "\n" + r.URL.Path + "\n" + r.URL.RawQuery + "\n" + headers + "\n" + part["SignedHeaders"] + "\n" + sha(body)
	toSign := "TC3-HMAC-SHA256\n" + r.Header.Get("X-TC-Timestamp") + "\n" + strings.Join(scope[1:], "/") + "\n" + sha([]byte(canonical))
	key := mac(mac(mac([]byte("TC3"+testKey), scope[1]), "sms"), "tc3_request")
	if scope[2] != "sms" || part["SignedHeaders"] != "content-type;host" || hex.EncodeToString(mac(key, toSign)) != part["Signature"] {
		return "AuthFailure.SignatureFailure"
	}
	return ""
}

// fake is the service in memory.
type fake struct {
	mu        sync.Mutex
	behaviour smstest.Behaviour
	answer    http.HandlerFunc
	sent      []map[string]string
	hang      chan struct{}
}

func newFake(t *testing.T) (*fake, *httptest.Server) {
	f := &fake{behaviour: smstest.Accept, hang: make(chan struct{})}
	srv := httptest.NewServer(f)
	t.Cleanup(srv.Close)
	t.Cleanup(func() { close(f.hang) })
	return f, srv
}

func (f *fake) got() (out []smstest.Text) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range f.sent {
		out = append(out, smstest.Text{To: strings.TrimPrefix(m["to"], "+86"), Body: m["body"]})
	}
	return out
}

func say(w http.ResponseWriter, v map[string]any) {
	w.Header().Set("Content-Type", "application/json")
	v["RequestId"] = "x"
	json.NewEncoder(w).Encode(map[string]any{"Response": v})
}

func fail(w http.ResponseWriter, code, message string) {
	say(w, map[string]any{"Error": map[string]string{"Code": code, "Message": message}})
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if f.answer != nil {
		f.answer(w, r)
		return
	}
	body, _ := io.ReadAll(r.Body)
	if code := verify(r, body); code != "" {
		fail(w, code, "no")
		return
	}
	f.mu.Lock()
	behaviour := f.behaviour
	f.mu.Unlock()
	switch r.Header.Get("X-TC-Action") + r.Header.Get("X-TC-Version") + r.Header.Get("X-TC-Region") {
	case "SendSms2021-01-11ap-beijing":
		f.send(w, r, body, behaviour)
	case "PullSmsSendStatusByPhoneNumber2021-01-11ap-beijing":
		f.pull(w, body)
	default:
		fail(w, "InvalidAction", "no")
	}
}

func (f *fake) send(w http.ResponseWriter, r *http.Request, body []byte, behaviour smstest.Behaviour) {
	var q struct {
		PhoneNumberSet, TemplateParamSet                                      []string
		SmsSdkAppId, SignName, TemplateId, SessionContext, ExtendCode, Region string
	}
	if json.Unmarshal(body, &q) != nil || len(q.PhoneNumberSet) != 1 || q.SmsSdkAppId != "1400006666" || q.SignName != "本溪公安" {
		fail(w, "InvalidParameter", "no")
		return
	}
	status := func(serial, code string) {
		say(w, map[string]any{"SendStatusSet": []map[string]any{{"SerialNo": serial, "PhoneNumber": q.PhoneNumberSet[0], "Fee": 1, "SessionContext": q.SessionContext,
			"Code": code, "Message": "about " + q.PhoneNumberSet[0], "IsoCode": "CN"}}})
	}
	switch behaviour {
	case smstest.Refuse:
		status("", "InvalidParameterValue.IncorrectPhoneNumber")
		return
	case smstest.Stop:
		status("", "FailedOperation.PhoneNumberInBlacklist")
		return
	case smstest.Throttle:
		fail(w, "RequestLimitExceeded", "too fast")
		return
	case smstest.Misconfigure:
		fail(w, "AuthFailure.SecretIdNotFound", "no")
		return
	case smstest.Drop:
		select {
		case <-r.Context().Done():
		case <-f.hang:
		}
		return
	}
	text := map[string]string{"1110": "{1}", "1111": "谢谢。"}[q.TemplateId]
	for i, v := range q.TemplateParamSet {
		text = strings.ReplaceAll(text, fmt.Sprintf("{%d}", i+1), v)
	}
	f.mu.Lock()
	serial := fmt.Sprintf("5000:1045710669157053657849499%03d", len(f.sent))
	f.sent = append(f.sent, map[string]string{"serial": serial, "to": q.PhoneNumberSet[0], "body": "【本溪公安】" + text, "session": q.SessionContext, "extend": q.ExtendCode})
	f.mu.Unlock()
	if behaviour == smstest.Silent {
		select {
		case <-r.Context().Done():
		case <-f.hang:
		}
		return
	}
	status(serial, "Ok")
}

// pull lists what has a receipt.
func (f *fake) pull(w http.ResponseWriter, body []byte) {
	var q struct {
		BeginTime, EndTime       int64
		Offset, Limit            int
		PhoneNumber, SmsSdkAppId string
	}
	now := time.Now().Unix()
	if json.Unmarshal(body, &q) != nil || q.Limit < 1 || q.Limit > 100 || q.BeginTime > now || q.EndTime < now || q.SmsSdkAppId != "1400006666" {
		fail(w, "InvalidParameter", "no")
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	list := []map[string]any{}
	for _, m := range f.sent {
		if m["to"] == q.PhoneNumber && m["report"] != "" {
			list = append(list, map[string]any{"SerialNo": m["serial"], "SessionContext": m["session"], "ReportStatus": m["report"], "Description": m["why"],
				"PhoneNumber": m["to"], "UserReceiveTime": now})
		}
	}
	say(w, map[string]any{"PullSmsSendStatusSet": list})
}

func carrier(t testing.TB, endpoint string, change ...func(*Config)) *Carrier {
	t.Helper()
	cfg := Config{SecretID: keyID, SecretKey: testKey, Endpoint: endpoint, AppID: "1400006666", Signature: "本溪公安", Secret: secret, Allow: []string{"192.0.2.0/24"},
		Templates: []Template{{Code: "1111", Text: "谢谢。"}, {Code: "1110", Text: "{1}"}}}
	for _, f := range change {
		f(&cfg)
	}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func message(t testing.TB, body string) sms.Message {
	t.Helper()
	p, err := contact.ParseMobile("13804140001")
	if err != nil {
		t.Fatal(err)
	}
	return sms.Message{ID: "01TEST", Phone: p, Body: body, Attempt: 1, TriedAt: time.Now()}
}

// peer adapts the carrier to the runner: it can be pointed at nobody; texts get the signature that the outbox puts there,
// for the service sends none without; and Find, which knows receipts only, is tested on its own.
type peer struct {
	*Carrier
	down *Carrier
	dead bool
	f    *fake
	bare map[string]bool
}

const mark = "【本溪公安】"

func (p *peer) Send(ctx context.Context, m sms.Message) (sms.Sent, error) {
	if !strings.HasPrefix(m.Body, mark) {
		m.Body = mark + m.Body
		p.bare[m.Body] = true
	}
	if p.dead {
		return p.down.Send(ctx, m)
	}
	return p.Carrier.Send(ctx, m)
}

func (p *peer) Find(context.Context, sms.Message) (sms.Found, error) {
	return sms.Found{}, sms.ErrCannotAsk
}

func (p *peer) got() []smstest.Text {
	all := p.f.got()
	for i := range all {
		if p.bare[all[i].Body] {
			all[i].Body = strings.TrimPrefix(all[i].Body, mark)
		}
	}
	return all
}

func TestKeepsThePromiseOfACarrier(t *testing.T) {
	smstest.Run(t, func(t *testing.T) smstest.Peer {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		f, srv := newFake(t)
		p := &peer{Carrier: carrier(t, srv.URL), down: carrier(t, "http://"+l.Addr().String()), f: f, bare: map[string]bool{}}
		return smstest.Peer{Carrier: p, Got: p.got, CanAsk: false, Timeout: 2 * time.Second, Set: func(b smstest.Behaviour) {
			p.dead = b == smstest.Unreachable
			f.mu.Lock()
			f.behaviour = b
			f.mu.Unlock()
		}}
	})
}

func TestAnswersAreJudgedByWhatTheyProve(t *testing.T) {
	failure := func(code string) string {
		return `{"Response":{"Error":{"Code":"` + code + `","Message":"+8613804140001"},"RequestId":"x"}}`
	}
	one := func(code string) string {
		return `{"Response":{"SendStatusSet":[{"SerialNo":"","Code":"` + code + `","Message":"13804140001"}],"RequestId":"x"}}`
	}
	for name, c := range map[string]struct {
		status int
		body   string
		want   sms.Kind
		code   string
	}{
		"429 page":             {429, "<html>slow</html>", sms.Throttled, "429"},
		"request limit":        {200, failure("RequestLimitExceeded.UinLimitExceeded"), sms.Throttled, "RequestLimitExceeded.UinLimitExceeded"},
		"frequency":            {200, one("LimitExceeded.DeliveryFrequencyLimit"), sms.Throttled, "LimitExceeded.DeliveryFrequencyLimit"},
		"limit of the number":  {200, one("LimitExceeded.PhoneNumberDailyLimit"), sms.Refused, "LimitExceeded.PhoneNumberDailyLimit"},
		"limit of the account": {200, one("LimitExceeded.DailyLimit"), sms.Misconfigured, "LimitExceeded.DailyLimit"},
		"blacklist":            {200, one("FailedOperation.PhoneNumberInBlacklist"), sms.Stopped, "FailedOperation.PhoneNumberInBlacklist"},
		"bad number":           {200, one("InvalidParameterValue.IncorrectPhoneNumber"), sms.Refused, "InvalidParameterValue.IncorrectPhoneNumber"},
		"application":          {200, failure("InvalidParameterValue.SdkAppIdNotExist"), sms.Misconfigured, "InvalidParameterValue.SdkAppIdNotExist"},
		"package is empty":     {200, one("FailedOperation.InsufficientBalanceInSmsPackage"), sms.Misconfigured, "FailedOperation.InsufficientBalanceInSmsPackage"},
		"signature":            {200, failure("AuthFailure.SignatureFailure"), sms.Misconfigured, "AuthFailure.SignatureFailure"},
		"404 page":             {404, "<html>none</html>", sms.Misconfigured, "404"},
		"time-out of theirs":   {200, one("InternalError.Timeout"), sms.NoAnswer, ""},
		"internal":             {200, failure("InternalError"), sms.NoAnswer, ""},
		"failed, says no why":  {200, failure("FailedOperation"), sms.NoAnswer, ""},
		"a code yet unknown":   {200, failure("Whatever.Else"), sms.NoAnswer, ""},
		"500 with a refusal":   {500, failure("AuthFailure"), sms.NoAnswer, ""},
		"502 page":             {502, "<html>13804140001</html>", sms.NoAnswer, ""},
		"302":                  {302, "", sms.NoAnswer, ""},
		"408":                  {408, "", sms.NoAnswer, ""},
		"200 page":             {200, "<html>welcome</html>", sms.NoAnswer, ""},
		"200 cut off":          {200, `{"Response":{"SendStatusSet":[{"SerialNo":"50`, sms.NoAnswer, ""},
		"200 without a text":   {200, `{"Response":{"SendStatusSet":[]}}`, sms.NoAnswer, ""},
		"200 and empty":        {200, `{}`, sms.NoAnswer, ""},
		"200 with odd types":   {200, `{"Response":{"SendStatusSet":"none"}}`, sms.NoAnswer, ""},
	} {
		f, srv := newFake(t)
		f.answer = func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(c.status)
			io.WriteString(w, c.body)
		}
		_, err := carrier(t, srv.URL).Send(context.Background(), message(t, "【本溪公安】试"))
		if err == nil {
			t.Errorf("%s: accepted", name)
			continue
		}
		kind, code := sms.NoAnswer, ""
		var e *sms.Error
		if errors.As(err, &e) {
			kind, code = e.Kind, e.Code
		}
		if kind != c.want || code != c.code {
			t.Errorf("%s: %s %q (%v), want %s %q", name, kind, code, err, c.want, c.code)
		}
		if strings.Contains(err.Error(), "13804140001") || strings.Contains(err.Error(), testKey) {
			t.Errorf("%s: the error tells too much: %v", name, err)
		}
	}
}

func TestATextIsATemplateWithOurId(t *testing.T) {
	f, srv := newFake(t)
	c := carrier(t, srv.URL, func(c *Config) {
		c.Templates = []Template{{Code: "1110", Text: "{1}"}}
		c.Extend = true
	})
	m := message(t, "【本溪公安】试")
	m.Extension = "07"
	sent, err := c.Send(context.Background(), m)
	if err != nil || len(f.sent) != 1 || sent.CarrierID != f.sent[0]["serial"] || f.sent[0]["session"] != "01TEST" || f.sent[0]["extend"] != "07" {
		t.Errorf("%+v, %v: %+v", sent, err, f.sent)
	}
	var e *sms.Error
	if _, err := c.Send(context.Background(), message(t, "试")); !errors.As(err, &e) || e.Kind != sms.Refused || e.Code != "template" {
		t.Errorf("a text without signature: %v", err)
	}
	// Answers about another code of ours are ours to tell apart.
	if k := carrier(t, srv.URL, func(c *Config) { c.Codes = map[string]sms.Kind{"Whatever": sms.Refused} }).kind("Whatever.Else"); k != sms.Refused {
		t.Errorf("a code of the bureau's own: %s", k)
	}
}

func TestFindKnowsWhatHasAReceipt(t *testing.T) {
	f, srv := newFake(t)
	c := carrier(t, srv.URL)
	ctx := context.Background()
	m := message(t, "【本溪公安】试")
	other := m
	other.ID = "01OTHER"
	for _, x := range []sms.Message{other, m} {
		if _, err := c.Send(ctx, x); err != nil {
			t.Fatal(err)
		}
	}
	f.sent[0]["report"], f.sent[0]["why"] = "SUCCESS", "DELIVRD"
	if got, err := c.Find(ctx, m); err == nil || errors.Is(err, sms.ErrCannotAsk) {
		t.Errorf("without a receipt: %+v, %v; want it asked about again", got, err)
	}
	f.sent[1]["report"], f.sent[1]["why"] = "FAIL", "MK:0001"
	want := sms.Found{Known: true, CarrierID: f.sent[1]["serial"], State: sms.Failed, Code: "MK:0001"}
	if got, err := c.Find(ctx, m); err != nil || got != want {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
	// By the serial number, where the service does not hand our id back.
	f.sent[1]["session"], f.sent[1]["report"], f.sent[1]["why"] = "", "SUCCESS", "用户 13804140001 已收到"
	m.CarrierID = f.sent[1]["serial"]
	want.State, want.Code = sms.Delivered, ""
	if got, err := c.Find(ctx, m); err != nil || got != want {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
	f.answer = func(w http.ResponseWriter, r *http.Request) { fail(w, "RequestLimitExceeded", "slow") }
	var e *sms.Error
	if _, err := c.Find(ctx, m); !errors.As(err, &e) || e.Kind != sms.Throttled {
		t.Errorf("too fast: %v", err)
	}
}

type hooks struct {
	receipts []sms.Receipt
	replies  []sms.Inbound
	err      error
	mux      *http.ServeMux
}

func newHooks(t testing.TB, c *Carrier) *hooks {
	h := &hooks{mux: http.NewServeMux()}
	w := &Webhooks{Carrier: c,
		Receipts: func(_ context.Context, r sms.Receipt) error { h.receipts = append(h.receipts, r); return h.err },
		Replies:  func(_ context.Context, in sms.Inbound) error { h.replies = append(h.replies, in); return h.err }}
	h.mux.Handle("POST "+ReceiptPath, w.Receipt())
	h.mux.Handle("POST "+ReplyPath, w.Reply())
	return h
}

func (h *hooks) post(remote, path, body string) (int, string) {
	r := httptest.NewRequest("POST", path, strings.NewReader(body))
	r.RemoteAddr = remote
	w := httptest.NewRecorder()
	h.mux.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

const (
	theirs     = "192.0.2.1:9"
	receiptURL = "/webhooks/tencent/" + secret + "/receipt"
	replyURL   = "/webhooks/tencent/" + secret + "/reply"
)

func TestReceiptsArePushedSeveralAtOnce(t *testing.T) {
	h := newHooks(t, carrier(t, "http://127.0.0.1:1"))
	body := `[{"user_receive_time":"2026-11-24 09:00:03","nationcode":"86","mobile":"13804140001","report_status":"SUCCESS","errmsg":"DELIVRD","description":"用户短信送达成功","sid":"5000:1"},
		{"user_receive_time":"","nationcode":"86","mobile":"13804140002","report_status":"FAIL","errmsg":"MK:0001","description":"空号","sid":"5000:2"},
		{"user_receive_time":"","nationcode":"86","mobile":"13804140002","report_status":"FAIL","errmsg":"MK:0001","description":"空号","sid":"5000:2"},
		{"report_status":"PERHAPS","sid":"5000:3"},{"report_status":"SUCCESS"}]`
	code, answer := h.post(theirs, receiptURL, body)
	if code != 200 || answer != `{"result":0,"errmsg":"OK"}` || len(h.receipts) != 2 {
		t.Fatalf("%d %s %+v", code, answer, h.receipts)
	}
	a, b := h.receipts[0], h.receipts[1]
	if a.CarrierID != "5000:1" || a.State != sms.Delivered || a.Code != "DELIVRD" || !a.At.Equal(time.Date(2026, 11, 24, 1, 0, 3, 0, time.UTC)) || a.Carrier != "tencent" {
		t.Errorf("%+v", a)
	}
	if b.CarrierID != "5000:2" || b.State != sms.Failed || b.Code != "MK:0001" || !b.At.IsZero() {
		t.Errorf("%+v", b)
	}
	h.err = errors.New("disk full")
	if code, _ := h.post(theirs, receiptURL, body); code != 503 {
		t.Errorf("receipts that could not be stored were answered %d", code)
	}
}

func TestRepliesComeInAsTheyAre(t *testing.T) {
	h := newHooks(t, carrier(t, "http://127.0.0.1:1"))
	for _, body := range []string{`{"extend":"01","mobile":"13804140001","nationcode":"86","sign":"本溪公安","text":" 5 太差了👎 ","time":1795482600}`,
		`{"extend":"","mobile":"85261234567","nationcode":"852","text":"1","time":"soon"}`, `[{"mobile":"BANK","text":"1"}]`} {
		if code, answer := h.post(theirs, replyURL, body); code != 200 || answer != `{"result":0,"errmsg":"OK"}` {
			t.Fatalf("%d %s", code, answer)
		}
	}
	a, b, c := h.replies[0], h.replies[1], h.replies[2]
	if a.Body != " 5 太差了👎 " || a.Phone.Clear() != "13804140001" || a.CarrierID != "" || a.To != "01" || !a.SentAt.Equal(time.Unix(1795482600, 0)) {
		t.Errorf("%+v", a)
	}
	if !b.SentAt.IsZero() || b.Phone.Clear() == "85261234567" {
		t.Errorf("%+v", b)
	}
	if c.From != "BANK" {
		t.Errorf("%+v", c)
	}
	h.err = errors.New("disk full")
	if code, _ := h.post(theirs, replyURL, `{"mobile":"13804140001","text":"1"}`); code != 503 {
		t.Errorf("a reply that could not be stored was answered %d", code)
	}
}

func TestOnlyTheServiceMayPush(t *testing.T) {
	h := newHooks(t, carrier(t, "http://127.0.0.1:1"))
	one := `{"mobile":"13804140001","text":"1"}`
	for name, c := range map[string]struct{ remote, path, body string }{
		"another address": {"198.51.100.1:9", replyURL, one},
		"another secret":  {theirs, "/webhooks/tencent/0123456789abcdeX/reply", one},
		"no JSON":         {theirs, replyURL, "mobile=13804140001"},
		"nothing":         {theirs, replyURL, ""},
		"a number":        {theirs, replyURL, "7"},
	} {
		if code, _ := h.post(c.remote, c.path, c.body); code != 404 && code != 400 {
			t.Errorf("%s: status %d", name, code)
		}
	}
	off := newHooks(t, carrier(t, "http://127.0.0.1:1", func(c *Config) { c.Secret = "" }))
	if code, _ := off.post(theirs, replyURL, one); code != 404 {
		t.Errorf("without a secret: status %d", code)
	}
	if len(h.replies)+len(off.replies) != 0 {
		t.Errorf("taken: %+v %+v", h.replies, off.replies)
	}
}

func FuzzWhateverIsPushed(f *testing.F) {
	f.Add(`[{"report_status":"SUCCESS","sid":"1","user_receive_time":"2026-11-24 09:00:03"}]`, true)
	f.Add(`{"mobile":"13804140001","text":"1","time":1e9,"nationcode":1}`, false)
	f.Fuzz(func(t *testing.T, body string, receipt bool) {
		h := newHooks(t, carrier(t, "http://127.0.0.1:1"))
		path := replyURL
		if receipt {
			path = receiptURL
		}
		if code, _ := h.post(theirs, path, body); code != 200 && code != 400 {
			t.Errorf("status %d", code)
		}
	})
}

func TestSettingsAreChecked(t *testing.T) {
	good := Config{SecretID: keyID, SecretKey: testKey, AppID: "1400006666", Signature: "本溪公安", Templates: []Template{{Code: "x", Text: "a{1}b{2}"}}, Secret: secret, Allow: []string{"192.0.2.1"}}
	if _, err := New(good); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*Config){
		"id":        func(c *Config) { c.SecretID = "a/b" },
		"key":       func(c *Config) { c.SecretKey = "" },
		"app":       func(c *Config) { c.AppID = "app" },
		"endpoint":  func(c *Config) { c.Endpoint = "sms.tencentcloudapi.com" },
		"path":      func(c *Config) { c.Endpoint = "https://h/x" },
		"signature": func(c *Config) { c.Signature = "" },
		"templates": func(c *Config) { c.Templates = nil },
		"order":     func(c *Config) { c.Templates = []Template{{Code: "x", Text: "a{2}b{1}"}} },
		"code":      func(c *Config) { c.Codes = map[string]sms.Kind{"x": "nonsense"} },
		"webhooks":  func(c *Config) { c.Secret = "short" },
		"addresses": func(c *Config) { c.Allow = nil },
	} {
		cfg := good
		spoil(&cfg)
		if _, err := New(cfg); err == nil || strings.Contains(err.Error(), testKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
