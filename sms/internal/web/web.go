// Package web is what carriers over HTTP share: a request that is made once, a gate before what they push, and texts
// that follow approved templates.
package web

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"lianxin/contact"
	"lianxin/sms"
)

// Answer is what came back.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Client makes requests, each of them once: it follows no redirect and repeats nothing.
type Client struct {
	http *http.Client
}

// NewClient makes a Client whose requests take at most timeout.
func NewClient(timeout time.Duration) *Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConns, t.MaxIdleConnsPerHost = 0, 256 // as many as there are senders: one more would be dialled anew for each text
	return &Client{&http.Client{
		Transport:     t,
		Timeout:       timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Post sends body to url. The error is an *sms.Error with sms.Unreachable when the request surely never left; any other
// error means that nobody knows whether it arrived. Errors do not hold the URL, which may hold a secret.
//
// It is always a POST: Go's transport sends a GET again by itself when a kept connection breaks before the answer.
func (c *Client) Post(ctx context.Context, url string, header http.Header, body []byte) (Answer, error) {
	var written atomic.Bool
	trace := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: func() { written.Store(true) }})
	r, err := http.NewRequestWithContext(trace, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return Answer{}, &sms.Error{Kind: sms.Misconfigured, Err: errors.New("the URL cannot be used")}
	}
	for k, v := range header {
		r.Header[k] = v
	}
	resp, err := c.http.Do(r)
	if err == nil {
		defer resp.Body.Close()
		a := Answer{Status: resp.StatusCode, Header: resp.Header}
		// A body that breaks off is a lost answer too.
		if a.Body, err = io.ReadAll(io.LimitReader(resp.Body, 1<<20)); err == nil {
			return a, nil
		}
	}
	if err = bare(err); written.Load() {
		return Answer{}, fmt.Errorf("no answer: %w", err)
	}
	return Answer{}, &sms.Error{Kind: sms.Unreachable, Err: err}
}

// bare takes the URL off an error.
func bare(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// RetryAfter reads the header of that name, seconds or a date (RFC 9110 §10.2.3), at most an hour.
func (a Answer) RetryAfter() time.Duration {
	s := a.Header.Get("Retry-After")
	var d time.Duration
	if n, err := strconv.Atoi(s); err == nil {
		d = time.Duration(n) * time.Second
	} else if at, err := http.ParseTime(s); err == nil {
		d = time.Until(at)
	}
	return min(max(d, 0), time.Hour)
}

// Words are what the far end says, for an error: short, on one line, without the number p.
func Words(s string, p contact.Phone) string {
	if d := p.Clear(); d != "" {
		for _, n := range []string{p.E164(), "86" + d, d} {
			s = strings.ReplaceAll(s, n, p.Masked())
		}
	}
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "")), " ")
	if r := []rune(s); len(r) > 150 {
		s = string(r[:150])
	}
	return s
}

// CheckURL reports whether s is the base of http(s) URLs, without query, and returns it without a last slash.
func CheckURL(s string) (string, error) {
	u, err := url.Parse(s)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return "", errors.New("want http(s)://host[/path], without user and query")
	}
	return strings.TrimSuffix(s, "/"), nil
}
