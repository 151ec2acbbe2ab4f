package kannel_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"lianxin/sms"
	"lianxin/sms/kannel"
)

type hooks struct {
	receipts []sms.Receipt
	replies  []sms.Inbound
	err      error
	mux      *http.ServeMux
}

func newHooks(t testing.TB, c *kannel.Carrier) *hooks {
	h := &hooks{mux: http.NewServeMux()}
	w := &kannel.Webhooks{Carrier: c,
		Receipts: func(_ context.Context, r sms.Receipt) error { h.receipts = append(h.receipts, r); return h.err },
		Replies:  func(_ context.Context, in sms.Inbound) error { h.replies = append(h.replies, in); return h.err }}
	h.mux.Handle("GET "+kannel.ReceiptPath, w.Receipt())
	h.mux.Handle("GET "+kannel.ReplyPath, w.Reply())
	return h
}

func (h *hooks) get(remote, path string) int {
	r := httptest.NewRequest("GET", path, nil)
	r.RemoteAddr = remote
	w := httptest.NewRecorder()
	h.mux.ServeHTTP(w, r)
	return w.Code
}

const (
	kannelAddr = "192.0.2.1:9"
	receiptURL = "/webhooks/kannel/" + secret + "/receipt?"
	replyURL   = "/webhooks/kannel/" + secret + "/reply?"
)

func TestReceiptsAreReadAsKannelWritesThem(t *testing.T) {
	smpp := url.QueryEscape("id:00000001 sub:001 dlvrd:001 submit date:2611230700 done date:2611230701 stat:UNDELIV err:069 text:13804140001")
	for query, want := range map[string]sms.Receipt{
		"id=01A&type=1&code=&at=1795451266":        {State: sms.Delivered, MessageID: "01A", Code: "1", At: time.Unix(1795451266, 0)},
		"id=01A&type=8&code=ACK%2F&at=1795451266":  {State: sms.Accepted, MessageID: "01A", Code: "8 ACK/", At: time.Unix(1795451266, 0)},
		"id=01A&part=2&type=2&code=" + smpp:        {State: sms.Failed, MessageID: "01A", Part: 2, Code: "2 UNDELIV 069"},
		"id=01A&type=16&code=NACK%2F11%2FInvalid":  {State: sms.Failed, MessageID: "01A", Code: "16 NACK/11"},
		"id=01A&type=4&at=x":                       {State: sms.Accepted, MessageID: "01A", Code: "4"},
		"id=01A&part=-3&type=4&code=13804140001xx": {State: sms.Accepted, MessageID: "01A", Code: "4"},
	} {
		h := newHooks(t, carrier(t, "http://127.0.0.1:1"))
		want.Carrier = "kannel"
		if code := h.get(kannelAddr, receiptURL+query); code != 200 || len(h.receipts) != 1 || h.receipts[0] != want {
			t.Errorf("%s: %d, %+v, want %+v", query, code, h.receipts, want)
		}
	}
	h := newHooks(t, carrier(t, "http://127.0.0.1:1"))
	for _, query := range []string{"id=01A&type=3", "type=1", "id=01A"} {
		if code := h.get(kannelAddr, receiptURL+query); code != 200 || len(h.receipts) != 0 {
			t.Errorf("%s: %d, %+v; want it answered, so that it does not come for ever, and left", query, code, h.receipts)
		}
	}
	h.err = errors.New("disk full")
	if code := h.get(kannelAddr, receiptURL+"id=01A&type=1"); code != 503 {
		t.Errorf("a receipt that could not be stored was answered %d", code)
	}
}

func TestRepliesAreDecodedByTheirAlphabet(t *testing.T) {
	for query, want := range map[string]string{
		"text=1&charset=UTF-8&coding=0":                                          "1",
		"text=%6E%E1%61%0F&charset=UTF-16BE&coding=2":                            "满意",
		"text=%6E%E1%61%0F%D8%3D%DE%0A&charset=UTF-16BE&coding=2":                "满意😊",
		"text=%6E%E1%61%0F%D8%3D&charset=UTF-16BE&coding=2":                      "满意\uFFFD",
		"text=%6E%E1%61&charset=UTF-16BE&coding=2":                               "满\uFFFD",
		"text=" + url.QueryEscape("满意 & 100%") + "&charset=UTF-8&coding=2":       "满意 & 100%",
		"text=" + url.QueryEscape("满意") + "&charset=8-BIT&coding=1":              "满意",
		"text=%C2%FA%D2%E2&charset=8-BIT&coding=1":                               "满意",
		"text=%C2%FA%D2%E2&charset=GBK&coding=0":                                 "满意",
		"text=caf%E9&charset=ISO-8859-1&coding=0":                                "café",
		"text=&charset=UTF-8&coding=0":                                           "",
		"text=+1+&charset=UTF-8&coding=0":                                        " 1 ",
		"text=" + url.QueryEscape("５") + "&charset=NO-SUCH-CHARSET&coding=0":     "５",
		"text=%6E%E1%61%0F&coding=2":                                             "满意",
		"text=%6E%E1%61%0F&charset=UCS-2&coding=2&udh=%05%00%03%4A%02%01&id=abc": "满意",
	} {
		h := newHooks(t, carrier(t, "http://127.0.0.1:1"))
		if code := h.get(kannelAddr, replyURL+"from=13804140001&to=1069012110&at=1795451266&"+query); code != 200 || len(h.replies) != 1 {
			t.Fatalf("%s: %d, %d replies", query, code, len(h.replies))
		}
		in := h.replies[0]
		if in.Body != want || in.Phone.Clear() != "13804140001" || in.To != "1069012110" || !in.SentAt.Equal(time.Unix(1795451266, 0)) {
			t.Errorf("%s: %q from %s to %s at %v, want %q", query, in.Body, in.Phone, in.To, in.SentAt, want)
		}
	}
	h := newHooks(t, carrier(t, "http://127.0.0.1:1"))
	if h.get(kannelAddr, replyURL+"from=%2B8613804140001&text=1&id=u-1"); h.replies[0].Phone.Clear() != "13804140001" || h.replies[0].CarrierID != "u-1" {
		t.Errorf("%+v", h.replies)
	}
	if h.get(kannelAddr, replyURL+"from=BANK&text=1"); h.replies[1].From != "BANK" || !h.replies[1].Phone.IsZero() {
		t.Errorf("from no number: %+v", h.replies[1])
	}
	h.err = errors.New("disk full")
	if code := h.get(kannelAddr, replyURL+"from=13804140001&text=1"); code != 503 {
		t.Errorf("a reply that could not be stored was answered %d", code)
	}
}

func TestOnlyKannelMayPush(t *testing.T) {
	h := newHooks(t, carrier(t, "http://127.0.0.1:1"))
	for name, c := range map[string]struct{ remote, path string }{
		"another address":  {"198.51.100.1:9", replyURL + "from=13804140001&text=1"},
		"another secret":   {kannelAddr, "/webhooks/kannel/0123456789abcdeg/reply?from=13804140001&text=1"},
		"a repeated key":   {kannelAddr, replyURL + "from=13804140001&text=1&text=5"},
		"a broken query":   {kannelAddr, replyURL + "from=13804140001&text=%zz"},
		"receipt, address": {"198.51.100.1:9", receiptURL + "id=01A&type=1"},
		"receipt, secret":  {kannelAddr, "/webhooks/kannel/x/receipt?id=01A&type=1"},
	} {
		if code := h.get(c.remote, c.path); code != 404 && code != 400 {
			t.Errorf("%s: status %d", name, code)
		}
	}
	off := newHooks(t, carrier(t, "http://127.0.0.1:1", func(c *kannel.Config) { c.CallbackURL = "" }))
	if code := off.get(kannelAddr, replyURL+"from=13804140001&text=1"); code != 404 {
		t.Errorf("without callbacks: status %d", code)
	}
	if len(h.receipts)+len(h.replies)+len(off.replies) != 0 {
		t.Errorf("taken: %+v %+v %+v", h.receipts, h.replies, off.replies)
	}
}

func FuzzWhateverKannelPushes(f *testing.F) {
	f.Add("from=13804140001&to=1069&text=%6E%E1&charset=UTF-16BE&coding=2&udh=%05%00%03%4A%02%01&at=1", true)
	f.Add("id=01A&type=2&part=2&code=id%3A1+stat%3AUNDELIV+err%3A069", false)
	f.Add("text=%ff%fe%00&coding=1&charset=x", true)
	f.Fuzz(func(t *testing.T, query string, reply bool) {
		if strings.ContainsAny(query, " \r\n\t#") || !utf8.ValidString(query) {
			return // not a request line
		}
		if _, err := url.ParseRequestURI("/x?" + query); err != nil {
			return
		}
		h := newHooks(t, carrier2())
		path := receiptURL
		if reply {
			path = replyURL
		}
		if code := h.get(kannelAddr, path+query); code != 200 && code != 400 {
			t.Errorf("status %d", code)
		}
		for _, r := range h.receipts {
			if len(r.Code) > 40 {
				t.Errorf("code %q", r.Code)
			}
		}
	})
}

func carrier2() *kannel.Carrier {
	c, err := kannel.New(kannel.Config{URL: "http://h/", Username: "u", Password: "p", CallbackURL: "http://h", Secret: secret, Allow: []string{"192.0.2.0/24"}})
	if err != nil {
		panic(err)
	}
	return c
}
