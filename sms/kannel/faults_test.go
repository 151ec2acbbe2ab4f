package kannel_test

import (
	"context"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"lianxin/sms"
	"lianxin/sms/kannel"
	"lianxin/sms/smstest"
)

func TestFaultsOfTheFarEndLoseAndDoubleNothing(t *testing.T) {
	smstest.Faults(t, func(t *testing.T, receipts func(context.Context, sms.Receipt) error) smstest.Far {
		f, _ := newFake(t)
		b := &smstest.Between{Far: f}
		srv := httptest.NewServer(b)
		t.Cleanup(srv.Close)
		c := carrier(t, srv.URL)
		h := newHooks(t, c)
		h.mux.Handle("GET /our"+kannel.ReceiptPath, (&kannel.Webhooks{Carrier: c, Receipts: receipts}).Receipt())
		return smstest.Far{Carrier: c, Between: b, Got: f.got, Push: func(s sms.State) int {
			f.mu.Lock()
			back := f.heads[len(f.heads)-1].Get("X-Kannel-DLR-URL")
			f.mu.Unlock()
			// What Kannel fills in: %d the type, %A the answer, %T the time.
			back = strings.NewReplacer("%d", map[sms.State]string{sms.Delivered: "1", sms.Failed: "2"}[s], "%A", "", "%T", "1795451266").Replace(back)
			at, err := url.Parse(back)
			if err != nil {
				return 0
			}
			r := httptest.NewRequest("GET", at.RequestURI(), nil)
			r.RemoteAddr = kannelAddr
			w := httptest.NewRecorder()
			r2 := r.Clone(r.Context())
			r2.URL.Path = "/our" + r.URL.Path
			h.mux.ServeHTTP(w, r2)
			return w.Code
		}}
	})
}
