package aliyun

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"lianxin/sms"
	"lianxin/sms/smstest"
)

func TestFaultsOfTheFarEndLoseAndDoubleNothing(t *testing.T) {
	smstest.Faults(t, func(t *testing.T, receipts func(context.Context, sms.Receipt) error) smstest.Far {
		f, _ := newFake(t)
		b := &smstest.Between{Far: f}
		srv := httptest.NewServer(b)
		t.Cleanup(srv.Close)
		c := carrier(t, srv.URL)
		mux := http.NewServeMux()
		mux.Handle("POST "+ReceiptPath, (&Webhooks{Carrier: c, Receipts: receipts}).Receipt())
		return smstest.Far{Carrier: c, Between: b, Got: f.got, CanAsk: true, Push: func(s sms.State) int {
			f.mu.Lock()
			last := f.sent[len(f.sent)-1]
			f.mu.Unlock()
			body, _ := json.Marshal([]map[string]any{{"phone_number": last["PhoneNum"], "report_time": "2026-11-24 09:00:03", "success": s == sms.Delivered, "err_code": "X", "sms_size": "1",
				"biz_id": last["BizId"], "out_id": last["OutId"]}})
			r := httptest.NewRequest("POST", receiptURL, strings.NewReader(string(body)))
			r.RemoteAddr = theirs
			w := httptest.NewRecorder()
			mux.ServeHTTP(w, r)
			return w.Code
		}}
	})
}
