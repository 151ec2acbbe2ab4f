package twilio_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"lianxin/sms"
	"lianxin/sms/twilio"
)

// sign makes X-Twilio-Signature by the published rule, apart from the SDK: HMAC-SHA1 over the URL and the sorted form.
func sign(token, url string, form url.Values) string {
	keys := make([]string, 0, len(form))
	for k := range form {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		url += k + form.Get(k)
	}
	mac := hmac.New(sha1.New, []byte(token))
	mac.Write([]byte(url))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

type hooks struct {
	receipts []sms.Receipt
	replies  []sms.Inbound
	err      error
	w        *twilio.Webhooks
}

func newHooks(t *testing.T) *hooks {
	h := &hooks{}
	c := carrier(t, "http://127.0.0.1:1", func(c *twilio.Config) {
		c.SecondToken = "second9876543210"
		c.PublicURL = "https://police.example/lianxin/"
	})
	h.w = &twilio.Webhooks{Carrier: c,
		Receipts: func(_ context.Context, r sms.Receipt) error { h.receipts = append(h.receipts, r); return h.err },
		Replies:  func(_ context.Context, in sms.Inbound) error { h.replies = append(h.replies, in); return h.err }}
	return h
}

func post(handler http.Handler, target, body, signature string) int {
	r := httptest.NewRequest("POST", target, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if signature != "" {
		r.Header.Set("X-Twilio-Signature", signature)
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w.Code
}

const publicBase = "https://police.example/lianxin"

func TestReceiptsComeWithOurIdOrTheirs(t *testing.T) {
	h := newHooks(t)
	form := url.Values{"AccountSid": {accountSID}, "MessageSid": {"SM1"}, "MessageStatus": {"undelivered"}, "ErrorCode": {"30005"}}
	for _, token := range []string{authToken, "second9876543210"} {
		if code := post(h.w.Status(), twilio.StatusPath+"?id=01OURS", form.Encode(), sign(token, publicBase+twilio.StatusPath+"?id=01OURS", form)); code != 204 {
			t.Fatalf("status %d", code)
		}
	}
	want := sms.Receipt{Carrier: "twilio", CarrierID: "SM1", MessageID: "01OURS", State: sms.Failed, Code: "undelivered 30005"}
	if len(h.receipts) != 2 || h.receipts[0] != want {
		t.Errorf("receipts %+v", h.receipts)
	}
	form.Set("MessageStatus", "teleported")
	if code := post(h.w.Status(), twilio.StatusPath, form.Encode(), sign(authToken, publicBase+twilio.StatusPath, form)); code != 204 || len(h.receipts) != 2 {
		t.Errorf("an unknown status: %d, %d receipts", code, len(h.receipts))
	}
	form.Set("MessageStatus", "delivered")
	h.err = errors.New("disk full")
	if code := post(h.w.Status(), twilio.StatusPath, form.Encode(), sign(authToken, publicBase+twilio.StatusPath, form)); code != 500 {
		t.Errorf("a receipt that could not be stored was answered %d", code)
	}
}

func TestRepliesComeInAsTheyAre(t *testing.T) {
	h := newHooks(t)
	form := url.Values{"AccountSid": {accountSID}, "MessageSid": {"SM2"}, "From": {"+8613804140001"}, "To": {"+15550001111"}, "Body": {" 5 太差了👎 "}}
	if code := post(h.w.Inbound(), twilio.InboundPath, form.Encode(), sign(authToken, publicBase+twilio.InboundPath, form)); code != 200 {
		t.Fatalf("status %d", code)
	}
	if len(h.replies) != 1 || h.replies[0].Body != " 5 太差了👎 " || h.replies[0].Phone.Clear() != "13804140001" || h.replies[0].CarrierID != "SM2" {
		t.Errorf("replies %+v", h.replies)
	}
	form.Set("From", "BANK")
	if code := post(h.w.Inbound(), twilio.InboundPath, form.Encode(), sign(authToken, publicBase+twilio.InboundPath, form)); code != 200 || h.replies[1].From != "BANK" {
		t.Errorf("from no number: %d, %+v", code, h.replies)
	}
	h.err = errors.New("disk full")
	if code := post(h.w.Inbound(), twilio.InboundPath, form.Encode(), sign(authToken, publicBase+twilio.InboundPath, form)); code != 500 {
		t.Errorf("a reply that could not be stored was answered %d", code)
	}
}

func TestForgedWebhooksAreRefused(t *testing.T) {
	form := url.Values{"AccountSid": {accountSID}, "MessageSid": {"SM2"}, "From": {"+8613804140001"}, "To": {"+15550001111"}, "Body": {"1"}}
	signed := sign(authToken, publicBase+twilio.InboundPath, form)
	other := url.Values{}
	for k, v := range form {
		other[k] = v
	}
	other.Set("AccountSid", "ACffffffffffffffffffffffffffffffff")
	for name, c := range map[string]struct{ target, body, signature string }{
		"no signature":               {twilio.InboundPath, form.Encode(), ""},
		"another signature":          {twilio.InboundPath, form.Encode(), sign("another", publicBase+twilio.InboundPath, form)},
		"another text":               {twilio.InboundPath, strings.Replace(form.Encode(), "Body=1", "Body=3", 1), signed},
		"another path":               {twilio.InboundPath + "?x=1", form.Encode(), signed},
		"a second value for a key":   {twilio.InboundPath, form.Encode() + "&Body=3", signed},
		"a second value in front":    {twilio.InboundPath, "Body=3&" + form.Encode(), signed},
		"a repeated key in the URL":  {twilio.InboundPath + "?id=a&id=b", form.Encode(), sign(authToken, publicBase+twilio.InboundPath+"?id=a&id=b", form)},
		"another account":            {twilio.InboundPath, other.Encode(), sign(authToken, publicBase+twilio.InboundPath, other)},
		"a hash instead of the form": {twilio.InboundPath + "?bodySHA256=00", form.Encode(), sign(authToken, publicBase+twilio.InboundPath+"?bodySHA256=00", url.Values{})},
		"no form":                    {twilio.InboundPath, "%zz", signed},
		"far too long":               {twilio.InboundPath, form.Encode() + "&x=" + strings.Repeat("x", 70<<10), signed},
	} {
		h := newHooks(t)
		if code := post(h.w.Inbound(), c.target, c.body, c.signature); code != 400 && code != 403 {
			t.Errorf("%s: status %d", name, code)
		}
		if len(h.replies) != 0 {
			t.Errorf("%s: taken as %+v", name, h.replies)
		}
	}
	h := newHooks(t)
	r := httptest.NewRequest("GET", twilio.InboundPath+"?"+form.Encode(), nil)
	w := httptest.NewRecorder()
	h.w.Inbound().ServeHTTP(w, r)
	if w.Code != 400 {
		t.Errorf("GET: status %d", w.Code)
	}
}
