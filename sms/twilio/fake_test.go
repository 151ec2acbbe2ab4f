package twilio_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"lianxin/sms/smstest"
	"lianxin/sms/twilio"
)

const (
	accountSID = "AC0123456789abcdef0123456789abcdef"
	authToken  = "token0123456789"
)

// fake is Twilio's Messages resource in memory. Its answers are checked against Twilio's own OpenAPI document by the
// contract test.
type fake struct {
	mu        sync.Mutex
	behaviour smstest.Behaviour
	answer    http.HandlerFunc // when set, instead of everything else
	messages  []map[string]any
	forms     []url.Values
	hang      chan struct{} // closed when the test is over
}

func newFake(t *testing.T) (*fake, *httptest.Server) {
	f := &fake{behaviour: smstest.Accept, hang: make(chan struct{})}
	srv := httptest.NewServer(f)
	t.Cleanup(srv.Close)
	t.Cleanup(func() { close(f.hang) })
	return f, srv
}

func (f *fake) set(b smstest.Behaviour) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.behaviour = b
}

func (f *fake) got() (out []smstest.Text) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range f.messages {
		out = append(out, smstest.Text{To: strings.TrimPrefix(m["to"].(string), "+86"), Body: m["body"].(string)})
	}
	return out
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if f.answer != nil {
		f.answer(w, r)
		return
	}
	user, password, _ := r.BasicAuth()
	list := "/2010-04-01/Accounts/" + accountSID + "/Messages.json"
	f.mu.Lock()
	behaviour := f.behaviour
	f.mu.Unlock()
	switch {
	case user != accountSID || password != authToken:
		fail(w, 401, 20003, "Authenticate")
	case r.Method == "POST" && r.URL.Path == list:
		f.create(w, r, behaviour)
	case r.Method == "GET" && r.URL.Path == list:
		f.list(w, r)
	case r.Method == "GET" && strings.HasPrefix(r.URL.Path, strings.TrimSuffix(list, ".json")+"/"):
		f.fetch(w, r)
	default:
		fail(w, 404, 20404, "The requested resource was not found")
	}
}

func (f *fake) create(w http.ResponseWriter, r *http.Request, behaviour smstest.Behaviour) {
	if err := r.ParseForm(); err != nil || r.PostForm.Get("To") == "" || r.PostForm.Get("Body") == "" {
		fail(w, 400, 21604, "A 'To' phone number is required.")
		return
	}
	to := r.PostForm.Get("To")
	switch behaviour {
	case smstest.Refuse:
		fail(w, 400, 21211, "Invalid 'To' Phone Number: "+to)
		return
	case smstest.Stop:
		fail(w, 400, 21610, "Attempt to send to unsubscribed recipient "+to)
		return
	case smstest.Throttle:
		w.Header().Set("Retry-After", "7")
		fail(w, 429, 20429, "Too Many Requests")
		return
	case smstest.Misconfigure:
		fail(w, 401, 20003, "Authenticate")
		return
	case smstest.Drop:
		select {
		case <-r.Context().Done():
		case <-f.hang:
		}
		return
	}
	f.mu.Lock()
	sid := fmt.Sprintf("SM%032x", len(f.messages)+1)
	now := time.Now().UTC().Format(time.RFC1123Z)
	m := map[string]any{
		"sid": sid, "account_sid": accountSID, "api_version": "2010-04-01", "body": r.PostForm.Get("Body"), "to": to, "from": "+15550001111",
		"date_created": now, "date_updated": now, "date_sent": nil, "direction": "outbound-api", "status": "queued", "num_media": "0",
		"num_segments": "1", "error_code": nil, "error_message": nil, "price": nil, "price_unit": "USD", "messaging_service_sid": nil,
		"uri":              "/2010-04-01/Accounts/" + accountSID + "/Messages/" + sid + ".json",
		"subresource_uris": map[string]string{"media": "/2010-04-01/Accounts/" + accountSID + "/Messages/" + sid + "/Media.json"},
	}
	f.messages = append(f.messages, m)
	f.forms = append(f.forms, r.PostForm)
	f.mu.Unlock()
	if behaviour == smstest.Silent {
		select {
		case <-r.Context().Done():
		case <-f.hang:
		}
		return
	}
	reply(w, 201, m)
}

// list leaves out what has not been sent on when it is asked by date, as Twilio does.
func (f *fake) list(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := []map[string]any{}
	for i := len(f.messages) - 1; i >= 0; i-- {
		m := f.messages[i]
		if to := r.URL.Query().Get("To"); to != "" && to != m["to"] {
			continue
		}
		if r.URL.Query().Has("DateSent>") && m["date_sent"] == nil {
			continue
		}
		out = append(out, m)
	}
	reply(w, 200, map[string]any{"messages": out, "page": 0, "page_size": 50, "start": 0, "end": len(out),
		"uri": "http://" + r.Host + r.URL.RequestURI(), "first_page_uri": "http://" + r.Host + r.URL.Path + "?Page=0", "next_page_uri": nil, "previous_page_uri": nil})
}

func (f *fake) fetch(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range f.messages {
		if strings.HasSuffix(r.URL.Path, "/"+m["sid"].(string)+".json") {
			reply(w, 200, m)
			return
		}
	}
	fail(w, 404, 20404, "The requested resource was not found")
}

func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v)
}

func fail(w http.ResponseWriter, status, code int, message string) {
	reply(w, status, map[string]any{"code": code, "message": message, "more_info": "", "status": status})
}

// carrier is an account on the fake; public is where it takes webhooks.
func carrier(t *testing.T, base string, change ...func(*twilio.Config)) *twilio.Carrier {
	t.Helper()
	cfg := twilio.Config{AccountSID: accountSID, AuthToken: authToken, From: "+15550001111", BaseURL: base, PublicURL: "https://police.example"}
	for _, f := range change {
		f(&cfg)
	}
	c, err := twilio.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// closedPort is an address where nobody listens.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "http://" + l.Addr().String()
}
