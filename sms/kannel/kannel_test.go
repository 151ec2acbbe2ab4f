package kannel_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"lianxin/contact"
	"lianxin/sms"
	"lianxin/sms/kannel"
	"lianxin/sms/smstest"
)

const secret = "0123456789abcdef"

// fake is smsbox's sendsms in memory, with the answers that the real one gives in gateway_test.go.
type fake struct {
	mu        sync.Mutex
	behaviour smstest.Behaviour
	answers   []string // "status text" of the next requests, before the behaviour counts
	heads     []http.Header
	texts     []smstest.Text
	hang      chan struct{}
}

func newFake(t *testing.T) (*fake, *httptest.Server) {
	f := &fake{behaviour: smstest.Accept, hang: make(chan struct{})}
	srv := httptest.NewServer(f)
	t.Cleanup(srv.Close)
	t.Cleanup(func() { close(f.hang) })
	return f, srv
}

func (f *fake) got() []smstest.Text {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.texts
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	f.mu.Lock()
	behaviour := f.behaviour
	if len(f.answers) > 0 {
		var status int
		fmt.Sscan(f.answers[0], &status)
		text := strings.TrimSpace(f.answers[0][3:])
		f.answers = f.answers[1:]
		if status != 202 {
			f.mu.Unlock()
			w.WriteHeader(status)
			io.WriteString(w, text)
			return
		}
	}
	f.mu.Unlock()
	say := func(status int, text string) {
		w.WriteHeader(status)
		io.WriteString(w, text)
	}
	switch {
	case r.Header.Get("X-Kannel-Username") != "u" || r.Header.Get("X-Kannel-Password") != "p" || behaviour == smstest.Misconfigure:
		say(403, "Authorization failed for sendsms")
		return
	case behaviour == smstest.Refuse:
		say(403, "Not routable. Do not try again.")
		return
	case behaviour == smstest.Stop:
		say(400, "Number(s) has/have been denied by white- and/or black-lists.")
		return
	case behaviour == smstest.Throttle:
		say(503, "Temporal failure, try again later.")
		return
	case behaviour == smstest.Drop:
		select {
		case <-r.Context().Done():
		case <-f.hang:
		}
		return
	}
	f.mu.Lock()
	f.heads = append(f.heads, r.Header.Clone())
	if udh := r.Header.Get("X-Kannel-UDH"); len(udh) == 12 && udh[10:] != "01" { // a later segment
		f.texts[len(f.texts)-1].Body += string(body)
	} else {
		f.texts = append(f.texts, smstest.Text{To: r.Header.Get("X-Kannel-To"), Body: string(body)})
	}
	f.mu.Unlock()
	if behaviour == smstest.Silent {
		select {
		case <-r.Context().Done():
		case <-f.hang:
		}
		return
	}
	say(202, "0: Accepted for delivery")
}

func carrier(t testing.TB, url string, change ...func(*kannel.Config)) *kannel.Carrier {
	t.Helper()
	cfg := kannel.Config{URL: url + "/cgi-bin/sendsms", Username: "u", Password: "p", From: "1069012110", CallbackURL: "http://127.0.0.1:1",
		Secret: secret, Allow: []string{"127.0.0.1", "192.0.2.0/24"}, DeniedIsOptOut: true}
	for _, f := range change {
		f(&cfg)
	}
	c, err := kannel.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func message(t *testing.T, body string) sms.Message {
	t.Helper()
	p, err := contact.ParseMobile("13804140001")
	if err != nil {
		t.Fatal(err)
	}
	return sms.Message{ID: "01TEST", Phone: p, Body: body, Attempt: 1, TriedAt: time.Now(), NotAfter: time.Now().Add(time.Hour)}
}

// switched is a carrier that can be pointed at a place where nobody listens.
type switched struct {
	*kannel.Carrier
	down *kannel.Carrier
	dead bool
}

func (s *switched) Send(ctx context.Context, m sms.Message) (sms.Sent, error) {
	if s.dead {
		return s.down.Send(ctx, m)
	}
	return s.Carrier.Send(ctx, m)
}

func TestKeepsThePromiseOfACarrier(t *testing.T) {
	smstest.Run(t, func(t *testing.T) smstest.Peer {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		f, srv := newFake(t)
		c := &switched{Carrier: carrier(t, srv.URL), down: carrier(t, "http://"+l.Addr().String())}
		return smstest.Peer{Carrier: c, Got: f.got, CanAsk: false, Timeout: 2 * time.Second, Set: func(b smstest.Behaviour) {
			c.dead = b == smstest.Unreachable
			f.mu.Lock()
			f.behaviour = b
			f.mu.Unlock()
		}}
	})
}

func kindOf(err error) (sms.Kind, string) {
	var e *sms.Error
	if errors.As(err, &e) {
		return e.Kind, e.Code
	}
	return sms.NoAnswer, ""
}

func TestAnswersAreJudgedByWhatTheyProve(t *testing.T) {
	for answer, want := range map[string]sms.Kind{
		"503 Temporal failure, try again later.":                           sms.Throttled,
		"429 slow down":                                                    sms.Throttled,
		"403 Not routable. Do not try again.":                              sms.Refused,
		"400 Number(s) has/have been denied by white- and/or black-lists.": sms.Refused,
		"400 Charset or body misformed, rejected":                          sms.Refused,
		"400 Sender missing and no global set, rejected":                   sms.Misconfigured,
		"403 Authorization failed for sendsms":                             sms.Misconfigured,
		"404 <html>not here</html>":                                        sms.Misconfigured,
		"407 <html>proxy</html>":                                           sms.Misconfigured,
		"415 Unsupported content-type, rejected":                           sms.Misconfigured,
		"200 <html>welcome</html>":                                         sms.NoAnswer,
		"202 <html>welcome</html>":                                         sms.NoAnswer,
		"302 elsewhere":                                                    sms.NoAnswer,
		"408 too slow":                                                     sms.NoAnswer,
		"500 Sending failed.":                                              sms.NoAnswer,
		"502 <html>bad gateway</html>":                                     sms.NoAnswer,
		"503 <html>maintenance</html>":                                     sms.NoAnswer,
		"504 <html>13804140001</html>":                                     sms.NoAnswer,
	} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var status int
			fmt.Sscan(answer, &status)
			w.WriteHeader(status)
			io.WriteString(w, answer[4:])
		}))
		_, err := carrier(t, srv.URL, func(c *kannel.Config) { c.DeniedIsOptOut = false }).Send(context.Background(), message(t, "【本溪公安】试"))
		srv.Close()
		if err == nil {
			t.Errorf("%s: accepted", answer)
			continue
		}
		kind, code := kindOf(err)
		if kind != want || (kind != sms.NoAnswer && code != answer[:3]) {
			t.Errorf("%s: %s %q (%v), want %s", answer, kind, code, err, want)
		}
		if strings.Contains(err.Error(), "13804140001") {
			t.Errorf("%s: the error tells the number", answer)
		}
	}
}

func TestATextThatIsHalfWithKannelIsNeverCalledRefused(t *testing.T) {
	long := "【本溪公安】" + strings.Repeat("满意不满意", 30) // three segments
	for name, c := range map[string]struct {
		answers []string
		want    sms.Kind
		taken   int
	}{
		"the first is refused":          {[]string{"403 Not routable."}, sms.Refused, 0},
		"the first is throttled":        {[]string{"503 Temporal failure"}, sms.Throttled, 0},
		"the second is refused":         {[]string{"202", "403 Not routable."}, sms.NoAnswer, 1},
		"the second waits, then passes": {[]string{"202", "503 Temporal failure", "503 Temporal failure", "202", "202"}, "", 3},
	} {
		f, srv := newFake(t)
		f.answers = c.answers
		_, err := carrier(t, srv.URL).Send(context.Background(), message(t, long))
		kind, _ := kindOf(err)
		if err == nil {
			kind = ""
		}
		if kind != c.want || len(f.heads) != c.taken {
			t.Errorf("%s: %q (%v) with %d segments taken, want %q with %d", name, kind, err, len(f.heads), c.want, c.taken)
		}
	}
}

func TestSegmentsCarryTheirNumberAndOurId(t *testing.T) {
	f, srv := newFake(t)
	c := carrier(t, srv.URL, func(c *kannel.Config) { c.SMSC = "CMCC" })
	if _, err := c.Send(context.Background(), message(t, "【本溪公安】"+strings.Repeat("满", 66)+"😊")); err != nil {
		t.Fatal(err)
	}
	if len(f.heads) != 2 {
		t.Fatalf("%d segments", len(f.heads))
	}
	for i, h := range f.heads {
		want := fmt.Sprintf("http://127.0.0.1:1/webhooks/kannel/%s/receipt?id=01TEST&part=%d&type=%%d&code=%%A&at=%%T", secret, i+1)
		if h.Get("X-Kannel-DLR-Url") != want || h.Get("X-Kannel-DLR-Mask") != "31" || h.Get("X-Kannel-Coding") != "2" || h.Get("X-Kannel-SMSC") != "CMCC" {
			t.Errorf("segment %d: %v", i+1, h)
		}
		if udh := h.Get("X-Kannel-UDH"); udh[:6] != "050003" || udh[8:] != fmt.Sprintf("02%02d", i+1) || udh[6:8] != f.heads[0].Get("X-Kannel-UDH")[6:8] {
			t.Errorf("segment %d: UDH %s", i+1, udh)
		}
		if v := h.Get("X-Kannel-Validity"); v != "59" && v != "60" {
			t.Errorf("validity %s minutes", v)
		}
	}
	if _, err := carrier(t, srv.URL, func(c *kannel.Config) { c.CallbackURL, c.Secret = "", "" }).Send(context.Background(), message(t, "plain text")); err != nil {
		t.Fatal(err)
	}
	if h := f.heads[2]; h.Get("X-Kannel-UDH") != "" || h.Get("X-Kannel-Coding") != "0" || h.Get("X-Kannel-DLR-Url") != "" {
		t.Errorf("one Latin segment: %v", h)
	}
}

func TestSettingsAreChecked(t *testing.T) {
	good := kannel.Config{URL: "http://h/cgi-bin/sendsms", Username: "u", Password: "pass-word", CallbackURL: "http://h", Secret: secret, Allow: []string{"127.0.0.1"}}
	if _, err := kannel.New(good); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*kannel.Config){
		"URL":            func(c *kannel.Config) { c.URL = "h/cgi-bin/sendsms" },
		"URL with query": func(c *kannel.Config) { c.URL = "http://h/?password=pass-word" },
		"user":           func(c *kannel.Config) { c.Username = "" },
		"password":       func(c *kannel.Config) { c.Password = "pass-word\r\nX: y" },
		"number":         func(c *kannel.Config) { c.From = "+86106" },
		"smsc":           func(c *kannel.Config) { c.SMSC = "a b" },
		"callback":       func(c *kannel.Config) { c.CallbackURL = "h" },
		"percent":        func(c *kannel.Config) { c.CallbackURL = "http://h/%41" },
		"secret":         func(c *kannel.Config) { c.Secret = "short" },
		"addresses":      func(c *kannel.Config) { c.Allow = nil },
	} {
		cfg := good
		spoil(&cfg)
		if _, err := kannel.New(cfg); err == nil || strings.Contains(err.Error(), "pass-word") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
