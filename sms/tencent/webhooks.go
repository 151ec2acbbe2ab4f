package tencent

import (
	"context"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"lianxin/contact"
	"lianxin/sms"
	"lianxin/sms/internal/web"
)

// Webhooks takes what the service pushes: receipts at ReceiptPath, several at once, and replies at ReplyPath, one at a
// time; both with POST. It answers with the words that the service expects only once what came is stored.
//
//	[{"user_receive_time":"2026-11-24 09:00:03","nationcode":"86","mobile":"13800000000","report_status":"SUCCESS",
//	  "errmsg":"DELIVRD","description":"用户短信送达成功","sid":"5000:1045…"}]
//
//	{"extend":"01","mobile":"13800000000","nationcode":"86","sign":"本溪公安","text":"1","time":1795482600}
//
// A reply has no id of its own, so that a repeated one is known by its number, words and minute.
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

type report struct {
	Time   web.Text `json:"user_receive_time"`
	Status web.Text `json:"report_status"`
	ErrMsg web.Text `json:"errmsg"`
	SID    web.Text `json:"sid"`
}

type up struct {
	Extend     web.Text `json:"extend"`
	Mobile     web.Text `json:"mobile"`
	NationCode web.Text `json:"nationcode"`
	Text       web.Text `json:"text"`
	Time       web.Text `json:"time"`
}

// Receipt serves ReceiptPath.
func (w *Webhooks) Receipt() http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		web.Push(rw, r, w.Carrier.gate, w.log(), w.Carrier.Name(), stored, func(ctx context.Context, p report) error {
			state, ok := stateOf(string(p.Status))
			if !ok || p.SID == "" {
				w.log().Warn("receipt of tencent that says nothing to us")
				return nil
			}
			return w.Receipts(ctx, sms.Receipt{Carrier: w.Carrier.Name(), CarrierID: string(p.SID), State: state,
				Code: codeOf(string(p.ErrMsg)), At: web.Beijing(string(p.Time))})
		})
	})
}

// Reply serves ReplyPath.
func (w *Webhooks) Reply() http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		web.Push(rw, r, w.Carrier.gate, w.log(), w.Carrier.Name(), stored, func(ctx context.Context, p up) error {
			in := sms.Inbound{Carrier: w.Carrier.Name(), To: string(p.Extend), Body: string(p.Text)}
			if n, err := strconv.ParseInt(string(p.Time), 10, 64); err == nil && n > 0 && n < 1<<40 {
				in.SentAt = time.Unix(n, 0)
			}
			number := string(p.Mobile)
			if p.NationCode != "" && p.NationCode != "86" && number != "" && number[0] != '+' {
				number = "+" + string(p.NationCode) + number
			}
			var err error
			if in.Phone, err = contact.ParsePhone(number); err != nil {
				in.From = number // kept as well: nothing that came in is lost
			}
			return w.Replies(ctx, in)
		})
	})
}

// stored is the answer that the service expects.
const stored = `{"result":0,"errmsg":"OK"}`
