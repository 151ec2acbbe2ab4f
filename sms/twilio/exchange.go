package twilio

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"lianxin/sms"
)

// exchange is one request and what became of it. It sends the SDK's request to our base URL, with our context, and
// judges the answer before the SDK turns it into an error that no longer tells a refusal from a lost answer.
type exchange struct {
	ctx     context.Context
	carrier *Carrier
	status  int
	err     error // set when the outcome is anything but a success; an *sms.Error when it is certain
}

// RoundTrip implements http.RoundTripper.
func (x *exchange) RoundTrip(r *http.Request) (*http.Response, error) {
	var written atomic.Bool
	ctx, cancel := context.WithCancel(r.Context())
	stop := context.AfterFunc(x.ctx, cancel)
	defer stop()
	defer cancel()
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: func() { written.Store(true) }})
	r = r.Clone(ctx) // a RoundTripper must not change its argument
	base := x.carrier.base
	r.URL.Scheme, r.URL.Host, r.Host = base.Scheme, base.Host, ""
	r.URL.Path = strings.TrimSuffix(base.Path, "/") + r.URL.Path

	resp, err := x.carrier.next.RoundTrip(r)
	if err == nil {
		var body []byte
		// Read here, under our context: a body that breaks off is a lost answer too.
		body, err = io.ReadAll(io.LimitReader(resp.Body, 4<<20))
		resp.Body.Close()
		if err == nil {
			x.status = resp.StatusCode
			x.err = x.judge(resp, body)
			resp.Body = io.NopCloser(bytes.NewReader(body))
			return resp, nil
		}
	}
	if written.Load() {
		x.err = fmt.Errorf("twilio: no answer: %w", err)
	} else {
		x.err = &sms.Error{Kind: sms.Unreachable, Err: err}
	}
	return nil, err
}

// judge says what an answer means. Only what Twilio documents as not processed is an *sms.Error.
func (x *exchange) judge(resp *http.Response, body []byte) error {
	var e struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	}
	isJSON := json.Unmarshal(body, &e) == nil
	status := resp.StatusCode
	code := strconv.Itoa(status)
	if e.Code != 0 {
		code = strconv.Itoa(e.Code)
	}
	cause := fmt.Errorf("twilio: %s: %s", resp.Status, e.Message)
	switch {
	case status >= 200 && status < 300:
		if !isJSON {
			return fmt.Errorf("twilio: %s: the answer is no JSON", resp.Status)
		}
		return nil
	case status == http.StatusTooManyRequests:
		return &sms.Error{Kind: sms.Throttled, Code: code, RetryAfter: retryAfter(resp.Header.Get("Retry-After")), Err: cause}
	case status == http.StatusRequestTimeout || status < 400 || status >= 500:
		return cause // it may have been processed
	}
	kind, known := x.carrier.codes[e.Code]
	if !known {
		kind = sms.Refused
		switch {
		case status == http.StatusUnauthorized, status == http.StatusForbidden, status == http.StatusNotFound:
			kind = sms.Misconfigured
		case !isJSON:
			// A page of some proxy, not Twilio's word on this text. It was a refusal, but not for good.
			kind = sms.Misconfigured
		}
	}
	return &sms.Error{Kind: kind, Code: code, Err: cause}
}

// retryAfter reads seconds or a date (RFC 9110 §10.2.3), at most an hour.
func retryAfter(s string) time.Duration {
	var d time.Duration
	if n, err := strconv.Atoi(s); err == nil {
		d = time.Duration(n) * time.Second
	} else if at, err := http.ParseTime(s); err == nil {
		d = time.Until(at)
	}
	return min(max(d, 0), time.Hour)
}

// verdict is the error of the exchange: our own judgement first, then whatever the SDK made of it, which is an unknown
// outcome unless nothing was sent. The number, which Twilio's messages repeat, is masked.
func (x *exchange) verdict(sdk error, m sms.Message) error {
	err := x.err
	if err == nil && sdk != nil {
		err = fmt.Errorf("twilio: %w", sdk)
		if x.status == 0 {
			err = &sms.Error{Kind: sms.Misconfigured, Err: sdk} // the SDK refused to send it
		}
	}
	if err == nil {
		return nil
	}
	mask := strings.NewReplacer(m.Phone.E164(), m.Phone.Masked(), strings.TrimPrefix(m.Phone.E164(), "+"), m.Phone.Masked(), m.Phone.Clear(), m.Phone.Masked())
	var e *sms.Error
	if errors.As(err, &e) {
		return &sms.Error{Kind: e.Kind, Code: e.Code, RetryAfter: e.RetryAfter, Err: errors.New(mask.Replace(e.Err.Error()))}
	}
	return errors.New(mask.Replace(err.Error()))
}
