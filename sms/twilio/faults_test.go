package twilio_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"lianxin/sms"
	"lianxin/sms/smstest"
	"lianxin/sms/twilio"
)

func TestFaultsOfTheFarEndLoseAndDoubleNothing(t *testing.T) {
	smstest.Faults(t, func(t *testing.T, receipts func(context.Context, sms.Receipt) error) smstest.Far {
		f, _ := newFake(t)
		b := &smstest.Between{Far: f}
		srv := httptest.NewServer(b)
		t.Cleanup(srv.Close)
		c := carrier(t, srv.URL, func(c *twilio.Config) { c.PublicURL = publicBase })
		w := &twilio.Webhooks{Carrier: c, Receipts: receipts}
		return smstest.Far{Carrier: c, Between: b, Got: f.got, CanAsk: true, Push: func(s sms.State) int {
			f.mu.Lock()
			last, sid := f.forms[len(f.forms)-1], f.messages[len(f.messages)-1]["sid"].(string)
			f.mu.Unlock()
			status := map[sms.State]string{sms.Delivered: "delivered", sms.Failed: "undelivered"}[s]
			form := url.Values{"AccountSid": {accountSID}, "MessageSid": {sid}, "MessageStatus": {status}}
			back := last.Get("StatusCallback")
			at, err := url.Parse(back)
			if err != nil || back == "" {
				return http.StatusTeapot
			}
			return post(w.Status(), twilio.StatusPath+"?"+at.RawQuery, form.Encode(), sign(authToken, publicBase+twilio.StatusPath+"?"+at.RawQuery, form))
		}}
	})
}
