package tencent

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
		return smstest.Far{Carrier: c, Between: b, Got: f.got, Push: func(s sms.State) int {
			status := map[sms.State]string{sms.Delivered: "SUCCESS", sms.Failed: "FAIL"}[s]
			f.mu.Lock()
			last := f.sent[len(f.sent)-1]
			last["report"] = status // what is pushed can be pulled as well, with our id in it
			f.mu.Unlock()
			body, _ := json.Marshal([]map[string]any{{"user_receive_time": "2026-11-24 09:00:03", "nationcode": "86", "mobile": strings.TrimPrefix(last["to"], "+86"), "report_status": status,
				"errmsg": "X", "sid": last["serial"]}})
			r := httptest.NewRequest("POST", receiptURL, strings.NewReader(string(body)))
			r.RemoteAddr = theirs
			w := httptest.NewRecorder()
			mux.ServeHTTP(w, r)
			return w.Code
		}}
	})
}
