package aliyun

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
	"net/url"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"lianxin/contact"
	"lianxin/sms"
	"lianxin/sms/smstest"
)

const (
	keyID     = "LTAItest"
	keySecret = "hush-hush-secret"
	secret    = "0123456789abcdef"
)

// The example that Alibaba Cloud publishes with its V3 signature.
func TestSignatureIsThatOfThePublishedExample(t *testing.T) {
	empty := "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	query := canonicalQuery(url.Values{"RegionId": {"cn-shanghai"}, "ImageId": {"win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd"}})
	got := authorization(map[string]string{"host": "ecs.cn-shanghai.aliyuncs.com", "x-acs-action": "RunInstances", "x-acs-content-sha256": empty,
		"x-acs-date": "2023-10-26T10:22:32Z", "x-acs-signature-nonce": "3156853299f313e23d1673dc12e1703d", "x-acs-version": "2014-05-26"},
		query, empty, "YourAccessKeyId", "YourAccessKeySecret")
	want := "ACS3-HMAC-SHA256 Credential=YourAccessKeyId,SignedHeaders=host;x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;x-acs-version," +
		"Signature=06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0"
	if got != want {
		t.Errorf("%s, want\n%s", got, want)
	}
	if got := canonicalQuery(url.Values{"b": {"a b+c*~é/"}, "A": {""}}); got != "A=&b=a%20b%2Bc%2A~%C3%A9%2F" {
		t.Errorf("query %s", got)
	}
}

// verify checks the signature of a request apart from the code under test, from the bytes that came in.
func verify(r *http.Request, body []byte) error {
	auth, ok := strings.CutPrefix(r.Header.Get("Authorization"), "ACS3-HMAC-SHA256 ")
	part := map[string]string{}
	for _, p := range strings.Split(auth, ",") {
		k, v, _ := strings.Cut(p, "=")
		part[k] = v
	}
	if !ok || part["Credential"] != keyID {
		return errors.New("InvalidAccessKeyId.NotFound")
	}
	names := strings.Split(part["SignedHeaders"], ";")
	var headers strings.Builder
	for _, must := range []string{"host", "x-acs-action", "x-acs-content-sha256", "x-acs-date", "x-acs-signature-nonce", "x-acs-version"} {
		if i := sort.SearchStrings(names, must); i == len(names) || names[i] != must {
			return errors.New("IncompleteSignature")
		}
	}
	for _, n := range names {
		v := r.Header.Get(n)
		if n == "host" {
			v = r.Host
		}
		headers.WriteString(n + ":" + v + "\n")
	}
	sum := sha256.Sum256(body)
	if r.Header.Get("X-Acs-Content-Sha256") != hex.EncodeToString(sum[:]) {
		return errors.New("SignatureDoesNotMatch")
	}
	at, err := time.Parse("2006-01-02T15:04:05Z", r.Header.Get("X-Acs-Date"))
	if err != nil || time.Since(at).Abs() > 15*time.Minute {
		return errors.New("InvalidTimeStamp.Expired")
	}
	pairs := strings.Split(r.URL.RawQuery, "&")
	if !sort.StringsAreSorted(pairs) || strings.ContainsAny(r.URL.RawQuery, "+*") {
		return errors.New("SignatureDoesNotMatch")
	}
	request := r.Method + "\n" + r.URL.Path + "\n" + r.URL.RawQuery + "\n" + headers.String() + "\n" + part["SignedHeaders"] + "\n" + hex.EncodeToString(sum[:])
	hashed := sha256.Sum256([]byte(request))
	mac := hmac.New(sha256.New, []byte(keySecret))
	io.WriteString(mac, "ACS3-HMAC-SHA256\n"+hex.EncodeToString(hashed[:]))
	if hex.EncodeToString(mac.Sum(nil)) != part["Signature"] {
		return errors.New("SignatureDoesNotMatch")
	}
	return nil
}

// fake is the service in memory.
type fake struct {
	mu        sync.Mutex
	behaviour smstest.Behaviour
	answer    http.HandlerFunc
	sent      []map[string]string
	nonces    map[string]bool
	extra     int // more than it lists
	hang      chan struct{}
}

func newFake(t *testing.T) (*fake, *httptest.Server) {
	f := &fake{behaviour: smstest.Accept, nonces: map[string]bool{}, hang: make(chan struct{})}
	srv := httptest.NewServer(f)
	t.Cleanup(srv.Close)
	t.Cleanup(func() { close(f.hang) })
	return f, srv
}

func (f *fake) got() (out []smstest.Text) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range f.sent {
		out = append(out, smstest.Text{To: m["PhoneNum"], Body: m["Content"]})
	}
	return out
}

func say(w http.ResponseWriter, status int, v map[string]any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v)
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if f.answer != nil {
		f.answer(w, r)
		return
	}
	body, _ := io.ReadAll(r.Body)
	if err := verify(r, body); err != nil {
		say(w, 400, map[string]any{"Code": err.Error(), "Message": "no"})
		return
	}
	f.mu.Lock()
	behaviour := f.behaviour
	twice := f.nonces[r.Header.Get("X-Acs-Signature-Nonce")]
	f.nonces[r.Header.Get("X-Acs-Signature-Nonce")] = true
	f.mu.Unlock()
	switch {
	case twice:
		say(w, 400, map[string]any{"Code": "SignatureNonceUsed", "Message": "no"})
	case r.Header.Get("X-Acs-Version") != "2017-05-25":
		say(w, 404, map[string]any{"Code": "InvalidVersion", "Message": "no"})
	case r.Header.Get("X-Acs-Action") == "SendSms":
		f.send(w, r, behaviour)
	case r.Header.Get("X-Acs-Action") == "QuerySendDetails":
		f.query(w, r)
	default:
		say(w, 404, map[string]any{"Code": "InvalidAction.NotFound", "Message": "no"})
	}
}

func (f *fake) send(w http.ResponseWriter, r *http.Request, behaviour smstest.Behaviour) {
	q := r.URL.Query()
	fail := func(code string) {
		say(w, 200, map[string]any{"Code": code, "Message": "number " + q.Get("PhoneNumbers"), "RequestId": "x"})
	}
	switch behaviour {
	case smstest.Refuse:
		fail("isv.MOBILE_NUMBER_ILLEGAL")
		return
	case smstest.Stop:
		fail("isv.IN_BLACKLIST")
		return
	case smstest.Throttle:
		fail("isv.BUSINESS_LIMIT_CONTROL")
		return
	case smstest.Misconfigure:
		say(w, 403, map[string]any{"Code": "InvalidAccessKeyId.Inactive", "Message": "no"})
		return
	case smstest.Drop:
		select {
		case <-r.Context().Done():
		case <-f.hang:
		}
		return
	}
	var vars map[string]string
	text := map[string]string{"SMS_1": "${text}", "SMS_2": "谢谢。"}[q.Get("TemplateCode")]
	if text == "" || q.Get("SignName") != "本溪公安" || (q.Has("TemplateParam") && json.Unmarshal([]byte(q.Get("TemplateParam")), &vars) != nil) {
		fail("isv.INVALID_PARAMETERS")
		return
	}
	for k, v := range vars {
		text = strings.ReplaceAll(text, "${"+k+"}", v)
	}
	f.mu.Lock()
	biz := fmt.Sprintf("9006197469364984%02d^0", len(f.sent))
	f.sent = append(f.sent, map[string]string{"OutId": q.Get("OutId"), "PhoneNum": q.Get("PhoneNumbers"), "Content": "【本溪公安】" + text, "Status": "1", "BizId": biz, "extend": q.Get("SmsUpExtendCode"),
		"day": time.Now().In(time.FixedZone("CST", 8*3600)).Format("20060102")})
	f.mu.Unlock()
	if behaviour == smstest.Silent {
		select {
		case <-r.Context().Done():
		case <-f.hang:
		}
		return
	}
	say(w, 200, map[string]any{"Code": "OK", "Message": "OK", "RequestId": "x", "BizId": biz})
}

func (f *fake) query(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []map[string]any
	for _, m := range f.sent {
		if m["PhoneNum"] == q.Get("PhoneNumber") && m["day"] == q.Get("SendDate") {
			var status int
			fmt.Sscan(m["Status"], &status)
			all = append(all, map[string]any{"OutId": m["OutId"], "SendStatus": status, "ErrCode": m["ErrCode"], "PhoneNum": m["PhoneNum"], "Content": m["Content"]})
		}
	}
	var size, page int
	fmt.Sscan(q.Get("PageSize"), &size)
	fmt.Sscan(q.Get("CurrentPage"), &page)
	from, to := min((page-1)*size, len(all)), min(page*size, len(all))
	say(w, 200, map[string]any{"Code": "OK", "Message": "OK", "TotalCount": fmt.Sprint(len(all) + f.extra), "SmsSendDetailDTOs": map[string]any{"SmsSendDetailDTO": all[from:to]}})
}

func carrier(t testing.TB, endpoint string, change ...func(*Config)) *Carrier {
	t.Helper()
	cfg := Config{AccessKeyID: keyID, AccessKeySecret: keySecret, Endpoint: endpoint, Signature: "本溪公安", Secret: secret, Allow: []string{"192.0.2.0/24"},
		Templates: []Template{{Code: "SMS_2", Text: "谢谢。"}, {Code: "SMS_1", Text: "${text}"}}, Codes: map[string]sms.Kind{"isv.IN_BLACKLIST": sms.Stopped}, Settle: time.Nanosecond}
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

// peer adapts the carrier to the runner: it can be pointed at nobody, and texts get the signature that the outbox puts
// there, for the service sends none without.
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
		return smstest.Peer{Carrier: p, Got: p.got, CanAsk: true, Timeout: 2 * time.Second, Set: func(b smstest.Behaviour) {
			p.dead = b == smstest.Unreachable
			f.mu.Lock()
			f.behaviour = b
			f.mu.Unlock()
		}}
	})
}

func TestAnswersAreJudgedByWhatTheyProve(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		body   string
		want   sms.Kind
		code   string
	}{
		"429 page":              {429, "<html>slow</html>", sms.Throttled, "429"},
		"user throttled":        {400, `{"Code":"Throttling.User","Message":"x"}`, sms.Throttled, "Throttling.User"},
		"503 throttled":         {503, `{"Code":"Throttling","Message":"x"}`, sms.NoAnswer, ""},
		"too many":              {200, `{"Code":"isv.BUSINESS_LIMIT_CONTROL","Message":"触发小时级流控 13804140001"}`, sms.Throttled, "isv.BUSINESS_LIMIT_CONTROL"},
		"bad number":            {200, `{"Code":"isv.MOBILE_NUMBER_ILLEGAL","Message":"13804140001"}`, sms.Refused, "isv.MOBILE_NUMBER_ILLEGAL"},
		"a code yet unknown":    {200, `{"Code":"isv.WHATEVER","Message":"x"}`, sms.Refused, "isv.WHATEVER"},
		"balance":               {200, `{"Code":"isv.OUT_OF_SERVICE","Message":"x"}`, sms.Misconfigured, "isv.OUT_OF_SERVICE"},
		"template":              {200, `{"Code":"isv.SMS_TEMPLATE_ILLEGAL","Message":"x"}`, sms.Misconfigured, "isv.SMS_TEMPLATE_ILLEGAL"},
		"permission":            {200, `{"Code":"isp.RAM_PERMISSION_DENY","Message":"x"}`, sms.Misconfigured, "isp.RAM_PERMISSION_DENY"},
		"signature":             {400, `{"Code":"SignatureDoesNotMatch","Message":"x"}`, sms.Misconfigured, "SignatureDoesNotMatch"},
		"404 page":              {404, "<html>none</html>", sms.Misconfigured, "404"},
		"trouble of theirs":     {200, `{"Code":"isp.SYSTEM_ERROR","Message":"x"}`, sms.NoAnswer, ""},
		"internal error":        {500, `{"Code":"InternalError","Message":"x"}`, sms.NoAnswer, ""},
		"500 with our code":     {500, `{"Code":"isv.WHATEVER","Message":"x"}`, sms.NoAnswer, ""},
		"502 page":              {502, "<html>gateway</html>", sms.NoAnswer, ""},
		"302":                   {302, "", sms.NoAnswer, ""},
		"408":                   {408, "", sms.NoAnswer, ""},
		"200 page":              {200, "<html>welcome</html>", sms.NoAnswer, ""},
		"200 cut off":           {200, `{"Code":"OK","BizId":"9`, sms.NoAnswer, ""},
		"200 and nothing in it": {200, `{}`, sms.NoAnswer, ""},
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
		if strings.Contains(err.Error(), "13804140001") || strings.Contains(err.Error(), keySecret) {
			t.Errorf("%s: the error tells too much: %v", name, err)
		}
	}
}

func TestOnlyApprovedTemplatesAreSent(t *testing.T) {
	f, srv := newFake(t)
	c := carrier(t, srv.URL, func(c *Config) {
		c.Templates = []Template{{Code: "SMS_2", Text: "谢谢。"}}
	})
	if _, err := c.Send(context.Background(), message(t, "【本溪公安】谢谢。")); err != nil {
		t.Fatal(err)
	}
	var e *sms.Error
	if _, err := c.Send(context.Background(), message(t, "【本溪公安】再见。")); !errors.As(err, &e) || e.Kind != sms.Refused || e.Code != "template" {
		t.Errorf("another text: %v", err)
	}
	if len(f.got()) != 1 {
		t.Errorf("the service has %q", f.got())
	}
}

func TestATextCarriesItsExtensionWhereTheServiceOpensIt(t *testing.T) {
	f, srv := newFake(t)
	for i, open := range []bool{false, true} {
		c := carrier(t, srv.URL, func(c *Config) { c.Extend = open })
		m := message(t, "【本溪公安】试")
		m.Extension = "042"
		if _, err := c.Send(context.Background(), m); err != nil {
			t.Fatal(err)
		}
		want := map[bool]string{true: "042"}[open]
		if got := f.sent[i]["extend"]; got != want || c.Extension("042") != want || c.Extension("106900001234042") != "" {
			t.Errorf("open %t: sent with %q, a reply to 042 is to %q", open, got, c.Extension("042"))
		}
	}
}

func TestFindKnowsATextByOurId(t *testing.T) {
	f, srv := newFake(t)
	c := carrier(t, srv.URL)
	ctx := context.Background()
	m := message(t, "【本溪公安】试")
	for i := range 60 { // more than a page, before and after ours
		other := m
		if other.ID = fmt.Sprintf("01OTHER%d", i); i == 55 {
			other = m
		}
		if _, err := c.Send(ctx, other); err != nil {
			t.Fatal(err)
		}
	}
	for status, want := range map[string]sms.State{"1": sms.Accepted, "2": sms.Failed, "3": sms.Delivered} {
		f.sent[55]["Status"], f.sent[55]["ErrCode"] = status, "MK:0001"
		if got, err := c.Find(ctx, m); err != nil || !got.Known || got.State != want || got.Code != "MK:0001" || got.CarrierID != "out_id:01TEST" {
			t.Errorf("status %s: %+v, %v, want %s", status, got, err, want)
		}
	}
	m.CarrierID = "90061^0"
	if got, err := c.Find(ctx, m); err != nil || got.CarrierID != "90061^0" {
		t.Errorf("%+v, %v", got, err)
	}
	// Sent again by a person: what arrived counts.
	if _, err := c.Send(ctx, m); err != nil {
		t.Fatal(err)
	}
	f.sent[55]["Status"], f.sent[60]["Status"] = "3", "2"
	if got, err := c.Find(ctx, m); err != nil || got.State != sms.Delivered {
		t.Errorf("%+v, %v", got, err)
	}
	// What is not listed is only believed after a while, and only when the list is whole.
	absent := message(t, "【本溪公安】试")
	absent.ID = "01ABSENT"
	if got, err := c.Find(ctx, absent); err != nil || got.Known {
		t.Errorf("an absent text: %+v, %v", got, err)
	}
	if _, err := carrier(t, srv.URL, func(c *Config) { c.Settle = 0 }).Find(ctx, absent); err == nil {
		t.Error("believed at once that the text is not there")
	}
	f.extra = 1
	if _, err := c.Find(ctx, absent); err == nil {
		t.Error("believed a list that is not complete")
	}
	f.extra = 0
	f.sent[55]["Status"] = "9"
	f.sent[60]["Status"] = "9"
	if _, err := c.Find(ctx, m); err == nil {
		t.Error("made something of an unknown status")
	}
	// A text of last night is looked for on both days.
	f.sent[55]["Status"], f.sent[60]["Status"] = "3", "3"
	night := m
	night.TriedAt = time.Now().Add(-24 * time.Hour)
	if got, err := c.Find(ctx, night); err != nil || !got.Known {
		t.Errorf("tried yesterday, listed today: %+v, %v", got, err)
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
	receiptURL = "/webhooks/aliyun/" + secret + "/receipt"
	replyURL   = "/webhooks/aliyun/" + secret + "/reply"
)

func TestReceiptsArePushedSeveralAtOnce(t *testing.T) {
	h := newHooks(t, carrier(t, "http://127.0.0.1:1"))
	body := `[{"phone_number":"13804140001","send_time":"2026-11-24 09:00:00","report_time":"2026-11-24 09:00:03","success":true,"err_code":"DELIVERED",
		"err_msg":"用户接收成功","sms_size":"1","biz_id":"90061^0","out_id":"01A"},
		{"phone_number":"13804140002","report_time":"20261124090004","success":false,"err_code":"MOBILE_IN_BLACK","sms_size":2,"biz_id":"90062^0","out_id":"01B"},
		{"phone_number":"13804140002","report_time":"20261124090004","success":false,"err_code":"MOBILE_IN_BLACK","sms_size":2,"biz_id":"90062^0","out_id":"01B"},
		{"success":"true","biz_id":"90063^0","err_code":"13804140001 打不通"},
		{"success":"perhaps","biz_id":"90064^0"}, {"success":true}]`
	code, answer := h.post(theirs, receiptURL, body)
	if code != 200 || answer != `{"code":0,"msg":"接收成功"}` {
		t.Fatalf("%d %s", code, answer)
	}
	zone := time.FixedZone("CST", 8*3600)
	want := []sms.Receipt{
		{Carrier: "aliyun", CarrierID: "90061^0", MessageID: "01A", State: sms.Delivered, Code: "DELIVERED", At: time.Date(2026, 11, 24, 9, 0, 3, 0, zone)},
		{Carrier: "aliyun", CarrierID: "90062^0", MessageID: "01B", State: sms.Failed, Code: "MOBILE_IN_BLACK", At: time.Date(2026, 11, 24, 9, 0, 4, 0, zone)},
		{Carrier: "aliyun", CarrierID: "90063^0", State: sms.Delivered},
	}
	if len(h.receipts) != len(want) {
		t.Fatalf("receipts %+v", h.receipts)
	}
	for i, r := range h.receipts {
		if !r.At.Equal(want[i].At) {
			t.Errorf("receipt %d at %v", i, r.At)
		}
		if r.At = want[i].At; r != want[i] {
			t.Errorf("receipt %d: %+v, want %+v", i, r, want[i])
		}
	}
	h.err = errors.New("disk full")
	if code, _ := h.post(theirs, receiptURL, body); code != 503 {
		t.Errorf("receipts that could not be stored were answered %d", code)
	}
}

func TestRepliesComeInAsTheyAre(t *testing.T) {
	h := newHooks(t, carrier(t, "http://127.0.0.1:1"))
	code, _ := h.post(theirs, replyURL, `[{"phone_number":"13804140001","content":" 5 太差了👎 ","send_time":"2026-11-24 09:10:00","dest_code":"1234","sequence_id":1234567890},
		{"phone_number":"BANK","content":"1","send_time":"x","dest_code":"1234","sequence_id":"1234567891","sign_name":"本溪公安"}]`)
	if code != 200 || len(h.replies) != 2 {
		t.Fatalf("%d, %+v", code, h.replies)
	}
	a, b := h.replies[0], h.replies[1]
	if a.Body != " 5 太差了👎 " || a.Phone.Clear() != "13804140001" || a.CarrierID != "1234567890" || a.To != "1234" || !a.SentAt.Equal(time.Date(2026, 11, 24, 1, 10, 0, 0, time.UTC)) {
		t.Errorf("%+v", a)
	}
	if b.From != "BANK" || b.CarrierID != "1234567891" || !b.SentAt.IsZero() {
		t.Errorf("%+v", b)
	}
	h.err = errors.New("disk full")
	if code, _ := h.post(theirs, replyURL, `[{"phone_number":"13804140001","content":"1"}]`); code != 503 {
		t.Errorf("a reply that could not be stored was answered %d", code)
	}
}

func TestOnlyTheServiceMayPush(t *testing.T) {
	h := newHooks(t, carrier(t, "http://127.0.0.1:1"))
	one := `[{"phone_number":"13804140001","content":"1"}]`
	for name, c := range map[string]struct{ remote, path, body string }{
		"another address": {"198.51.100.1:9", replyURL, one},
		"another secret":  {theirs, "/webhooks/aliyun/0123456789abcdeX/reply", one},
		"no JSON":         {theirs, replyURL, "phone_number=13804140001"},
		"nothing":         {theirs, replyURL, ""},
		"null":            {theirs, replyURL, "null"},
		"nested":          {theirs, replyURL, `[{"content":{"a":1}}]`},
		"far too long":    {theirs, replyURL, `[{"content":"` + strings.Repeat("x", 2<<20) + `"}]`},
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
	f.Add(`[{"success":true,"biz_id":"1","out_id":2,"report_time":"2026-11-24 09:00:03"}]`, true)
	f.Add(`{"phone_number":"13804140001","content":"1","sequence_id":1e9}`, false)
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
	good := Config{AccessKeyID: keyID, AccessKeySecret: keySecret, Signature: "本溪公安", Templates: []Template{{Code: "x", Text: "y"}}, Secret: secret, Allow: []string{"192.0.2.1"}}
	if _, err := New(good); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*Config){
		"id":        func(c *Config) { c.AccessKeyID = "" },
		"secret":    func(c *Config) { c.AccessKeySecret = "" },
		"endpoint":  func(c *Config) { c.Endpoint = "dysmsapi.aliyuncs.com" },
		"path":      func(c *Config) { c.Endpoint = "https://h/x" },
		"signature": func(c *Config) { c.Signature = "【本溪公安】" },
		"templates": func(c *Config) { c.Templates = nil },
		"code":      func(c *Config) { c.Codes = map[string]sms.Kind{"x": "nonsense"} },
		"webhooks":  func(c *Config) { c.Secret = "short" },
		"addresses": func(c *Config) { c.Allow = nil },
	} {
		cfg := good
		spoil(&cfg)
		if _, err := New(cfg); err == nil || strings.Contains(err.Error(), keySecret) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
