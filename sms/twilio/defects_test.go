package twilio_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"testing"

	"lianxin/sms"
	"lianxin/sms/twilio"
)

// courier's handler answers the webhook of half of Twilio's statuses with an error, so that Twilio counts the endpoint as
// broken (docs/sms.md, D5).
func TestD5EveryStatusOfTwilioIsTakenAndMeansSomething(t *testing.T) {
	h := newHooks(t)
	for status, want := range map[string]sms.State{"accepted": sms.Accepted, "scheduled": sms.Accepted, "queued": sms.Accepted, "sending": sms.Accepted, "sent": sms.Accepted,
		"delivered": sms.Delivered, "read": sms.Delivered, "undelivered": sms.Failed, "failed": sms.Failed, "canceled": sms.Failed, "partially_delivered": sms.Failed} {
		before := len(h.receipts)
		form := url.Values{"AccountSid": {accountSID}, "MessageSid": {"SM1"}, "MessageStatus": {status}}
		code := post(h.w.Status(), twilio.StatusPath+"?id=01OURS", form.Encode(), sign(authToken, publicBase+twilio.StatusPath+"?id=01OURS", form))
		if code != http.StatusNoContent {
			t.Errorf("%s is answered %d", status, code)
		}
		for _, r := range h.receipts[before:] {
			if r.State != want {
				t.Errorf("%s is taken for %s, want %s", status, r.State, want)
			}
		}
		if len(h.receipts) == before {
			t.Errorf("%s says nothing to us", status)
		}
	}
}

// courier takes a time-out or a 5xx for a text that was not sent, and sends it again (D6).
func TestD6NoAnswerAndServerErrorsAreNeverTakenForNotSent(t *testing.T) {
	for _, status := range []int{500, 502, 503, 504, 302, 200} {
		f, srv := newFake(t)
		f.answer = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status); w.Write([]byte("<html>")) }
		_, err := carrier(t, srv.URL).Send(context.Background(), message(t))
		var e *sms.Error
		if err == nil || errors.As(err, &e) && e.Kind != sms.NoAnswer {
			t.Errorf("%d: %v, want an unknown outcome", status, err)
		}
	}
}
