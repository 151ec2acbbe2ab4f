package twilio_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"lianxin/contact"
	"lianxin/sms"
	"lianxin/sms/smstest"
	"lianxin/sms/twilio"
)

// switched is a carrier that can be pointed at a place where nobody listens.
type switched struct {
	up, down sms.Carrier
	dead     bool
}

func (s *switched) now() sms.Carrier {
	if s.dead {
		return s.down
	}
	return s.up
}
func (s *switched) Name() string { return s.up.Name() }
func (s *switched) Send(ctx context.Context, m sms.Message) (sms.Sent, error) {
	return s.now().Send(ctx, m)
}
func (s *switched) Find(ctx context.Context, m sms.Message) (sms.Found, error) {
	return s.now().Find(ctx, m)
}

func TestKeepsThePromiseOfACarrier(t *testing.T) {
	smstest.Run(t, func(t *testing.T) smstest.Peer {
		f, srv := newFake(t)
		c := &switched{up: carrier(t, srv.URL), down: carrier(t, closedPort(t))}
		return smstest.Peer{Carrier: c, Got: f.got, CanAsk: true, Timeout: 2 * time.Second, Set: func(b smstest.Behaviour) {
			c.dead = b == smstest.Unreachable
			f.set(b)
		}}
	})
}

func message(t *testing.T) sms.Message {
	t.Helper()
	p, err := contact.ParseMobile("13804140001")
	if err != nil {
		t.Fatal(err)
	}
	return sms.Message{ID: "01TEST", Phone: p, Body: "【本溪公安】试", TriedAt: time.Now(), NotAfter: time.Now().Add(time.Hour)}
}

func TestAnswersAreJudgedByWhatTheyProve(t *testing.T) {
	json := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			w.Write([]byte(body))
		}
	}
	html := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(status)
			w.Write([]byte("<html>proxy</html>"))
		}
	}
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   sms.Kind
		code   string
	}{
		"429":                   {json(429, `{"code":20429,"message":"x","status":429}`), sms.Throttled, "20429"},
		"429 without JSON":      {html(429), sms.Throttled, "429"},
		"queue full":            {json(400, `{"code":21611,"message":"x","status":400}`), sms.Throttled, "21611"},
		"unsubscribed":          {json(400, `{"code":21610,"message":"x","status":400}`), sms.Stopped, "21610"},
		"bad number":            {json(400, `{"code":21211,"message":"x","status":400}`), sms.Refused, "21211"},
		"a code yet unknown":    {json(400, `{"code":29999,"message":"x","status":400}`), sms.Refused, "29999"},
		"credentials":           {json(401, `{"code":20003,"message":"x","status":401}`), sms.Misconfigured, "20003"},
		"region":                {json(403, `{"code":21408,"message":"x","status":403}`), sms.Misconfigured, "21408"},
		"wrong path":            {html(404), sms.Misconfigured, "404"},
		"a proxy says no":       {html(407), sms.Misconfigured, "407"},
		"500":                   {json(500, `{}`), sms.NoAnswer, ""},
		"502 page":              {html(502), sms.NoAnswer, ""},
		"503":                   {json(503, `{"code":20503,"message":"x","status":503}`), sms.NoAnswer, ""},
		"redirect":              {html(302), sms.NoAnswer, ""},
		"408":                   {html(408), sms.NoAnswer, ""},
		"200 page":              {html(200), sms.NoAnswer, ""},
		"201 cut off":           {json(201, `{"sid":"SM1`), sms.NoAnswer, ""},
		"201 without a message": {json(201, `{}`), sms.NoAnswer, ""},
		"connection broken": {func(w http.ResponseWriter, r *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				conn.Close()
			}
		}, sms.NoAnswer, ""},
		"body broken off": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "1000")
			w.WriteHeader(201)
			w.Write([]byte(`{"sid":`))
		}, sms.NoAnswer, ""},
	} {
		t.Run(name, func(t *testing.T) {
			f, srv := newFake(t)
			f.answer = c.answer
			_, err := carrier(t, srv.URL).Send(context.Background(), message(t))
			if err == nil {
				t.Fatal("accepted")
			}
			got := sms.NoAnswer
			var e *sms.Error
			if errors.As(err, &e) {
				got = e.Kind
				if e.Code != c.code {
					t.Errorf("code %q, want %q", e.Code, c.code)
				}
			}
			if got != c.want {
				t.Errorf("kind %s (%v), want %s", got, err, c.want)
			}
		})
	}
}

func TestRetryAfterIsKept(t *testing.T) {
	f, srv := newFake(t)
	f.set(smstest.Throttle)
	_, err := carrier(t, srv.URL).Send(context.Background(), message(t))
	var e *sms.Error
	if !errors.As(err, &e) || e.RetryAfter != 7*time.Second {
		t.Errorf("%v: retry after %v, want 7 s", err, e.RetryAfter)
	}
}

func TestContextEndsACall(t *testing.T) {
	f, srv := newFake(t)
	f.set(smstest.Drop)
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(50*time.Millisecond, cancel)
	start := time.Now()
	_, err := carrier(t, srv.URL).Send(ctx, message(t))
	var e *sms.Error
	if err == nil || errors.As(err, &e) || time.Since(start) > 8*time.Second {
		t.Errorf("after %v: %v, want an unknown outcome at once", time.Since(start), err)
	}
}

func TestSubmissionCarriesOurIdAndValidity(t *testing.T) {
	t.Setenv("TWILIO_EDGE", "dublin") // must not bend our address
	t.Setenv("TWILIO_REGION", "ie1")
	f, srv := newFake(t)
	if _, err := carrier(t, srv.URL+"/").Send(context.Background(), message(t)); err != nil {
		t.Fatal(err)
	}
	form := f.forms[0]
	if got := form.Get("StatusCallback"); got != "https://police.example/webhooks/twilio/status?id=01TEST" {
		t.Errorf("StatusCallback %q", got)
	}
	if form.Get("SmartEncoded") != "false" || form.Get("From") != "+15550001111" || len(form.Get("ValidityPeriod")) != 4 {
		t.Errorf("form %v", form)
	}
	if _, err := carrier(t, srv.URL, func(c *twilio.Config) {
		c.From, c.MessagingServiceSID, c.PublicURL = "", "MG0123456789abcdef0123456789abcdef", ""
	}).Send(context.Background(), message(t)); err != nil {
		t.Fatal(err)
	}
	if form := f.forms[1]; form.Has("From") || form.Has("StatusCallback") || form.Get("MessagingServiceSid") == "" {
		t.Errorf("form %v", form)
	}
}

func TestATextGoesOutFromTheNumberThatItsExtensionNames(t *testing.T) {
	f, srv := newFake(t)
	c := carrier(t, srv.URL, func(c *twilio.Config) { c.From = "+15550001111, +15550002222,+15550003333" })
	outbox := &sms.Outbox{Carriers: []sms.Carrier{c}}
	for i, extension := range []string{"", "000", "001", "002", "003"} {
		m := message(t)
		m.Extension = extension
		if _, err := c.Send(context.Background(), m); err != nil {
			t.Fatal(err)
		}
		from := f.forms[i].Get("From")
		if want := []string{"+15550001111", "+15550001111", "+15550002222", "+15550003333", "+15550001111"}[i]; from != want {
			t.Errorf("%q went out from %s, want %s", extension, from, want)
		}
		sent := outbox.SentWith(sms.Inbound{Carrier: "twilio", To: from})
		if sent == nil || !sent(extension) || sent("001") != (extension == "001") {
			t.Errorf("a reply to %s is not laid to %q", from, extension)
		}
	}
	outbox.Carriers = []sms.Carrier{carrier(t, srv.URL)}
	if outbox.SentWith(sms.Inbound{Carrier: "twilio", To: "+15550001111"}) != nil {
		t.Error("a single number tells which text is answered")
	}
}

func TestStatusesOfFoundTexts(t *testing.T) {
	for status, want := range map[string]sms.State{"accepted": sms.Accepted, "scheduled": sms.Accepted, "queued": sms.Accepted, "sending": sms.Accepted,
		"sent": sms.Accepted, "delivered": sms.Delivered, "read": sms.Delivered, "undelivered": sms.Failed, "failed": sms.Failed, "canceled": sms.Failed,
		"partially_delivered": sms.Failed} {
		f, srv := newFake(t)
		c := carrier(t, srv.URL)
		m := message(t)
		sent, err := c.Send(context.Background(), m)
		if err != nil {
			t.Fatal(err)
		}
		f.messages[0]["status"], f.messages[0]["error_code"] = status, 30003
		m.CarrierID = sent.CarrierID
		if got, err := c.Find(context.Background(), m); err != nil || got.State != want || got.Code != "30003" {
			t.Errorf("%s: %+v, %v; want %s", status, got, err, want)
		}
	}
}

func TestOlderTextWithTheSameWordsIsNotOurs(t *testing.T) {
	f, srv := newFake(t)
	c := carrier(t, srv.URL)
	m := message(t)
	if _, err := c.Send(context.Background(), m); err != nil {
		t.Fatal(err)
	}
	f.messages[0]["date_created"] = time.Now().Add(-31 * 24 * time.Hour).UTC().Format(time.RFC1123Z)
	if got, err := c.Find(context.Background(), m); err != nil || got.Known {
		t.Errorf("Find: %+v, %v", got, err)
	}
}

func TestSettingsAreChecked(t *testing.T) {
	good := twilio.Config{AccountSID: accountSID, AuthToken: authToken, From: "+1555"}
	if _, err := twilio.New(good); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*twilio.Config){
		"sid":            func(c *twilio.Config) { c.AccountSID = "AC1" },
		"token":          func(c *twilio.Config) { c.AuthToken = "secret with blanks" },
		"no sender":      func(c *twilio.Config) { c.From = "" },
		"two senders":    func(c *twilio.Config) { c.MessagingServiceSID = "MG" },
		"twice a sender": func(c *twilio.Config) { c.From = "+1555,+1555" },
		"blank sender":   func(c *twilio.Config) { c.From = " , " },
		"base URL":       func(c *twilio.Config) { c.BaseURL = "api.twilio.com" },
		"public URL":     func(c *twilio.Config) { c.PublicURL = "https://x?y" },
		"code twice":     func(c *twilio.Config) { c.Codes = []byte("refused: [1]\nstopped: [1]\n") },
		"unknown class":  func(c *twilio.Config) { c.Codes = []byte("nonsense: [1]\n") },
	} {
		cfg := good
		spoil(&cfg)
		if _, err := twilio.New(cfg); err == nil || strings.Contains(err.Error(), "secret with blanks") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
