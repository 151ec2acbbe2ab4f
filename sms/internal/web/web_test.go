package web

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"lianxin/contact"
	"lianxin/sms"
)

func TestOnlyTheCarrierGetsThroughTheGate(t *testing.T) {
	g, err := NewGate("0123456789abcdef", []string{"10.1.0.0/16", "192.0.2.7", "2001:db8::/32"}, []string{"127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		secret, remote string
		forwarded      []string
		want           bool
	}{
		"right":                            {"0123456789abcdef", "10.1.2.3:5", nil, true},
		"one address":                      {"0123456789abcdef", "192.0.2.7:5", nil, true},
		"mapped":                           {"0123456789abcdef", "[::ffff:10.1.2.3]:5", nil, true},
		"IPv6":                             {"0123456789abcdef", "[2001:db8::9]:5", nil, true},
		"wrong secret":                     {"0123456789abcdeF", "10.1.2.3:5", nil, false},
		"no secret":                        {"", "10.1.2.3:5", nil, false},
		"wrong address":                    {"0123456789abcdef", "10.2.2.3:5", nil, false},
		"behind our proxy":                 {"0123456789abcdef", "127.0.0.1:5", []string{"10.1.2.3"}, true},
		"our proxy, another source":        {"0123456789abcdef", "127.0.0.1:5", []string{"10.2.2.3"}, false},
		"our proxy, invented first hop":    {"0123456789abcdef", "127.0.0.1:5", []string{"10.1.2.3, 203.0.113.9"}, false},
		"our proxy, invented first header": {"0123456789abcdef", "127.0.0.1:5", []string{"10.1.2.3", "203.0.113.9"}, false},
		"a stranger's header":              {"0123456789abcdef", "203.0.113.9:5", []string{"10.1.2.3"}, false},
		"our proxy says nothing":           {"0123456789abcdef", "127.0.0.1:5", nil, false},
		"rubbish":                          {"0123456789abcdef", "127.0.0.1:5", []string{"unknown"}, false},
	} {
		r := httptest.NewRequest("POST", "/", strings.NewReader("x"))
		r.RemoteAddr = c.remote
		r.SetPathValue("secret", c.secret)
		for _, f := range c.forwarded {
			r.Header.Add("X-Forwarded-For", f)
		}
		w := httptest.NewRecorder()
		if _, ok := g.Read(w, r); ok != c.want || (!ok && w.Code != 404) {
			t.Errorf("%s: passed %v (%d), want %v", name, ok, w.Code, c.want)
		}
	}
	for _, bad := range []struct {
		secret string
		from   []string
	}{{"short", []string{"10.1.2.3"}}, {"0123456789abcde/", []string{"10.1.2.3"}}, {"0123456789abcdef", nil}, {"0123456789abcdef", []string{"nowhere"}}} {
		if _, err := NewGate(bad.secret, bad.from, nil); err == nil || strings.Contains(err.Error(), bad.secret) {
			t.Errorf("NewGate(%q, %q): %v", bad.secret, bad.from, err)
		}
	}
}

func TestARequestIsMadeOnce(t *testing.T) {
	var n atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1) == 1 {
			return // leaves a kept connection behind
		}
		if r.URL.Path == "/redirect" {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
			return
		}
		panic(http.ErrAbortHandler) // breaks the kept connection before the answer
	}))
	defer srv.Close()
	c := NewClient(5 * time.Second)
	ctx := context.Background()
	if _, err := c.Post(ctx, srv.URL, nil, []byte("x")); err != nil {
		t.Fatal(err)
	}
	_, err := c.Post(ctx, srv.URL+"/?password=secret", nil, []byte("x"))
	var e *sms.Error
	if err == nil || errors.As(err, &e) || n.Load() != 2 || strings.Contains(err.Error(), "secret") {
		t.Errorf("a broken connection: %v after %d requests", err, n.Load())
	}
	if a, err := c.Post(ctx, srv.URL+"/redirect", nil, []byte("x")); err != nil || a.Status != 307 || n.Load() != 3 {
		t.Errorf("a redirect: %+v, %v after %d requests", a, err, n.Load())
	}
	srv.Close()
	// Port 1, where nobody listens: the port of a server that was closed may be another test's by now.
	if _, err := NewClient(5*time.Second).Post(ctx, "http://127.0.0.1:1/?password=secret", nil, []byte("x")); !errors.As(err, &e) || e.Kind != sms.Unreachable || strings.Contains(err.Error(), "secret") {
		t.Errorf("nobody there: %v", err)
	}
}

func TestTextsAreFittedToApprovedTemplates(t *testing.T) {
	variable := regexp.MustCompile(`\$\{(\w+)\}`)
	ts, err := NewTemplates("本溪公安", []Template{{Code: "A", Text: "您好,请对昨日${what}服务评价:1满意(共${n}级)"}, {Code: "B", Text: "谢谢。"}}, variable)
	if err != nil {
		t.Fatal(err)
	}
	code, values, err := ts.Fit("【本溪公安】您好,请对昨日110\n接处警服务评价:1满意(共5级)")
	if err != nil || code != "A" || len(values) != 2 || values[0] != (Value{"what", "110\n接处警"}) || values[1] != (Value{"n", "5"}) {
		t.Errorf("%q %q %v", code, values, err)
	}
	if code, values, err := ts.Fit("【本溪公安】谢谢。"); code != "B" || len(values) != 0 || err != nil {
		t.Errorf("%q %q %v", code, values, err)
	}
	for _, body := range []string{"您好,请对昨日110服务评价:1满意(共5级)", "【别人】谢谢。", "【本溪公安】谢谢。再见", "【本溪公安】您好,请对昨日服务评价:1满意(共5级)"} {
		if code, _, err := ts.Fit(body); err == nil {
			t.Errorf("%q follows %s", body, code)
		}
	}
	for _, bad := range []Template{{Code: "", Text: "x"}, {Code: "x", Text: ""}, {Code: "x", Text: "a${a}${b}"}, {Code: "x", Text: "${a},${a}"}} {
		if _, err := NewTemplates("本溪公安", []Template{bad}, variable); err == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
}

func TestWordsOfTheFarEndHoldNoNumber(t *testing.T) {
	p, err := contact.ParseMobile("13804140001")
	if err != nil {
		t.Fatal(err)
	}
	got := Words("to +8613804140001 or 8613804140001\n or 13804140001 "+strings.Repeat("满", 300), p)
	if strings.Contains(got, "13804140001") || strings.Contains(got, "\n") || len([]rune(got)) != 150 || !strings.Contains(got, "138****0001") {
		t.Errorf("%q", got)
	}
}
