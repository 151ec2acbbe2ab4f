package aliyun

import (
	"context"
	"log/slog"
	"net/http"
	"regexp"

	"lianxin/contact"
	"lianxin/sms"
	"lianxin/sms/internal/web"
)

// Webhooks takes what the service pushes: receipts (SmsReport) at ReceiptPath, replies (SmsUp) at ReplyPath, both with
// POST and several at once. It answers with the words that the service expects only once all of them are stored; the
// service pushes all of them again otherwise, up to ten times within six hours.
//
//	[{"phone_number":"13800000000","send_time":"2026-11-24 09:00:00","report_time":"2026-11-24 09:00:03","success":true,
//	  "err_code":"DELIVERED","err_msg":"用户接收成功","sms_size":"1","biz_id":"900619746936498440^0","out_id":"01J…"}]
//
//	[{"phone_number":"13800000000","content":"1","send_time":"2026-11-24 09:10:00","dest_code":"1234","sequence_id":"1234567890"}]
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
	ReportTime web.Text `json:"report_time"`
	Success    web.Text `json:"success"`
	ErrCode    web.Text `json:"err_code"`
	BizID      web.Text `json:"biz_id"`
	OutID      web.Text `json:"out_id"`
}

type up struct {
	PhoneNumber web.Text `json:"phone_number"`
	Content     web.Text `json:"content"`
	SendTime    web.Text `json:"send_time"`
	DestCode    web.Text `json:"dest_code"`
	SequenceID  web.Text `json:"sequence_id"`
}

var codePattern = regexp.MustCompile(`^[A-Za-z0-9_:.-]{1,40}$`)

// Receipt serves ReceiptPath.
func (w *Webhooks) Receipt() http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		web.Push(rw, r, w.Carrier.gate, w.log(), w.Carrier.Name(), stored, func(ctx context.Context, p report) error {
			rc := sms.Receipt{Carrier: w.Carrier.Name(), CarrierID: string(p.BizID), MessageID: string(p.OutID), At: web.Beijing(string(p.ReportTime))}
			switch p.Success {
			case "true":
				rc.State = sms.Delivered
			case "false":
				rc.State = sms.Failed
			}
			if codePattern.MatchString(string(p.ErrCode)) {
				rc.Code = string(p.ErrCode)
			}
			if rc.State == "" || (rc.CarrierID == "" && rc.MessageID == "") {
				w.log().Warn("receipt of aliyun that says nothing to us", "code", rc.Code)
				return nil
			}
			return w.Receipts(ctx, rc)
		})
	})
}

// Reply serves ReplyPath.
func (w *Webhooks) Reply() http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		web.Push(rw, r, w.Carrier.gate, w.log(), w.Carrier.Name(), stored, func(ctx context.Context, p up) error {
			in := sms.Inbound{Carrier: w.Carrier.Name(), CarrierID: string(p.SequenceID), To: string(p.DestCode), Body: string(p.Content),
				SentAt: web.Beijing(string(p.SendTime))}
			var err error
			if in.Phone, err = contact.ParsePhone(string(p.PhoneNumber)); err != nil {
				in.From = string(p.PhoneNumber) // kept as well: nothing that came in is lost
			}
			return w.Replies(ctx, in)
		})
	})
}

// stored is the answer that the service expects.
const stored = `{"code":0,"msg":"接收成功"}`
