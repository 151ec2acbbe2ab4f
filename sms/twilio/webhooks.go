package twilio

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"github.com/twilio/twilio-go/client"

	"lianxin/contact"
	"lianxin/sms"
)

// Webhooks takes what Twilio pushes: receipts at StatusPath, replies at InboundPath. It answers 200 only once what came
// is stored; Twilio pushes again otherwise.
type Webhooks struct {
	Carrier  *Carrier
	Receipts func(context.Context, sms.Receipt) error // Outbox.Receipt
	Replies  func(context.Context, sms.Inbound) error // Inbox.Receive
	Log      *slog.Logger                             // nil is slog.Default
}

func (w *Webhooks) log() *slog.Logger {
	if w.Log != nil {
		return w.Log
	}
	return slog.Default()
}

var (
	errForm      = errors.New("not a form that Twilio sends")
	errSignature = errors.New("wrong signature")
)

// read returns the form of a request that Twilio has signed.
//
// The signature covers the first value of each key only, so that anybody who sees one signed request could add a second
// value (&Body=3) to it: a repeated key is refused before anything else. The URL that is signed is the public one; what
// a proxy says of it is not asked. A query with bodySHA256 would make the check leave out the form: refused too.
func (w *Webhooks) read(r *http.Request, path string) (form, query url.Values, err error) {
	if r.Method != http.MethodPost || w.Carrier.public == nil {
		return nil, nil, errForm
	}
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, 64<<10))
	if err != nil {
		return nil, nil, errForm
	}
	if form, err = url.ParseQuery(string(body)); err != nil {
		return nil, nil, errForm
	}
	if query, err = url.ParseQuery(r.URL.RawQuery); err != nil {
		return nil, nil, errForm
	}
	for _, values := range []url.Values{form, query} {
		for _, v := range values {
			if len(v) != 1 {
				return nil, nil, errForm
			}
		}
	}
	if query.Has("bodySHA256") {
		return nil, nil, errForm
	}
	public := w.Carrier.public.String() + path
	if r.URL.RawQuery != "" {
		public += "?" + r.URL.RawQuery
	}
	signature := r.Header.Get("X-Twilio-Signature")
	for _, token := range []string{w.Carrier.cfg.AuthToken, w.Carrier.cfg.SecondToken} {
		if token == "" {
			continue
		}
		v := client.NewRequestValidator(token)
		if signature != "" && v.ValidateBody(public, body, signature) {
			if form.Get("AccountSid") != w.Carrier.cfg.AccountSID {
				return nil, nil, errSignature
			}
			return form, query, nil
		}
	}
	return nil, nil, errSignature
}

func (w *Webhooks) refuse(rw http.ResponseWriter, what string, err error) {
	w.log().Warn("webhook of twilio refused", "what", what, "error", err)
	if errors.Is(err, errSignature) {
		http.Error(rw, "forbidden", http.StatusForbidden)
		return
	}
	http.Error(rw, "bad request", http.StatusBadRequest)
}

// Status serves StatusPath. Our own id is in the query, so that a receipt that beats the answer to the submission still
// finds its text.
func (w *Webhooks) Status() http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		form, query, err := w.read(r, StatusPath)
		if err != nil {
			w.refuse(rw, "status", err)
			return
		}
		state, ok := stateOf(form.Get("MessageStatus"))
		if !ok {
			// A status that did not exist when this was written. Twilio would push it for ever.
			w.log().Warn("receipt of twilio with a status we do not know", "status", form.Get("MessageStatus"))
			rw.WriteHeader(http.StatusNoContent)
			return
		}
		err = w.Receipts(r.Context(), sms.Receipt{Carrier: w.Carrier.Name(), CarrierID: form.Get("MessageSid"), MessageID: query.Get("id"),
			State: state, Code: strings.Trim(form.Get("MessageStatus")+" "+form.Get("ErrorCode"), " ")})
		if err != nil {
			w.log().Error("store a receipt of twilio", "error", err)
			http.Error(rw, "try again", http.StatusInternalServerError)
			return
		}
		rw.WriteHeader(http.StatusNoContent)
	})
}

// Inbound serves InboundPath. The answer is an empty TwiML document: no text goes back by this way.
func (w *Webhooks) Inbound() http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		form, _, err := w.read(r, InboundPath)
		if err != nil {
			w.refuse(rw, "reply", err)
			return
		}
		in := sms.Inbound{Carrier: w.Carrier.Name(), CarrierID: form.Get("MessageSid"), To: form.Get("To"), Body: form.Get("Body")}
		if in.Phone, err = contact.ParsePhone(form.Get("From")); err != nil {
			in.From = form.Get("From") // kept as well: nothing that came in is lost
		}
		if err := w.Replies(r.Context(), in); err != nil {
			w.log().Error("store a reply from twilio", "error", err)
			http.Error(rw, "try again", http.StatusInternalServerError)
			return
		}
		rw.Header().Set("Content-Type", "text/xml")
		_, _ = io.WriteString(rw, `<?xml version="1.0" encoding="UTF-8"?><Response></Response>`)
	})
}
