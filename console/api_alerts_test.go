package console

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket"
	"lianxin/workday"
)

// apiIn asks the API with a role's token of a unit and decodes what comes.
func (h *house) apiIn(role org.Role, unit, method, path string, in, out any) int {
	h.t.Helper()
	var body bytes.Buffer
	if in != nil {
		if err := json.NewEncoder(&body).Encode(in); err != nil {
			h.t.Fatal(err)
		}
	}
	req, err := http.NewRequestWithContext(h.ctx, method, h.http.URL+path, &body)
	if err != nil {
		h.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+h.tokenIn(role, unit))
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer res.Body.Close()
	if out != nil && res.StatusCode < 300 {
		if err := json.NewDecoder(res.Body).Decode(out); err != nil {
			h.t.Fatalf("%s: %v", path, err)
		}
	}
	return res.StatusCode
}

func TestAnAlertIsAcknowledgedAndDisposedOfThroughTheAPI(t *testing.T) {
	h := newHouse(t)
	var a ticket.Alert
	raise := func() {
		h.do(func(tx *storage.Tx) (err error) {
			a, err = h.office.RaiseStanding(tx, ticket.Alert{Rule: "queue_unmanned", Level: ticket.Orange, Subject: "queue/main", Title: "“人工服务”无人值守", By: ticket.System})
			return err
		})
	}
	raise()
	h.pass(10 * time.Minute)
	raise()
	var all struct{ Items []AlertOut }
	if code := h.apiIn(org.Supervisor, "", "GET", "/api/v1/alerts?state=RAISED&rule=queue_unmanned", nil, &all); code != http.StatusOK || len(all.Items) != 1 || all.Items[0].Times != 1 {
		t.Fatalf("list: %d %+v", code, all)
	}
	at := "/api/v1/alerts/" + a.ID
	note := map[string]string{"how": "noise", "note": "值守人员用了另一部话机"}
	for _, x := range []struct {
		role org.Role
		path string
		in   any
		want int
	}{
		{org.Handler, at + "/ack", nil, http.StatusForbidden}, {org.Supervisor, at + "/dispose", note, http.StatusUnprocessableEntity}, {org.Supervisor, "/api/v1/alerts/none/ack", nil, http.StatusNotFound},
		{org.Supervisor, at + "/ack", nil, http.StatusOK}, {org.Supervisor, at + "/ack", nil, http.StatusUnprocessableEntity}, {org.Supervisor, at + "/dispose", map[string]string{"how": "magic", "note": "x"}, http.StatusUnprocessableEntity},
	} {
		if code := h.apiIn(x.role, "", "POST", x.path, x.in, nil); code != x.want {
			t.Errorf("%s %s: %d, want %d", x.role, x.path, code, x.want)
		}
	}
	var done AlertOut
	if code := h.apiIn(org.Supervisor, "", "POST", at+"/dispose", note, &done); code != http.StatusOK || done.State != "DISPOSED" || done.Disposition != "noise" {
		t.Errorf("disposed: %d %+v", code, done)
	}
	if p := h.as("supervisor1").get("/alerts/" + a.ID); !strings.Contains(p.body, "其后又发生1次") || !strings.Contains(p.body, "值守人员用了另一部话机") {
		t.Error("the page does not tell what the API did")
	}
}

func TestARedMatterIsHeldStableThroughTheAPI(t *testing.T) {
	s := newHouse(t).fill()
	unit := s.legs(s.handling.ID)[0].Unit
	s.do(func(tx *storage.Tx) error {
		return did(s.office.Raise(tx, s.handling.ID, ticket.Red, "聚集苗头", s.actor("supervisor1")))
	})
	at := "/api/v1/tickets/" + s.handling.Number + "/stable"
	day := func(n int) string { return workday.DayOf(s.now()).Add(n).String() }
	plan := map[string]string{"plan": "专班三人，每日走访", "evidence": "已签稳控责任书", "review": day(2)}
	for _, x := range []struct {
		role org.Role
		unit string
		path string
		in   any
		want int
	}{
		{org.Handler, "210502-qianjin", at, plan, http.StatusUnprocessableEntity}, {org.Handler, unit, at, map[string]string{"plan": "专班", "evidence": "走访", "review": "soon"}, http.StatusUnprocessableEntity},
		{org.Handler, unit, at, map[string]string{"plan": "专班", "evidence": "走访", "review": day(60)}, http.StatusUnprocessableEntity}, {org.Handler, unit, at, plan, http.StatusCreated},
		{org.Handler, unit, at, plan, http.StatusUnprocessableEntity}, {org.Supervisor, "", at + "/decide", map[string]any{"grant": true}, http.StatusUnprocessableEntity},
		{org.Leader, "", at + "/decide", map[string]any{"grant": true, "note": "同意"}, http.StatusOK}, {org.Leader, "", at + "/decide", map[string]any{"grant": true}, http.StatusUnprocessableEntity},
		{org.Handler, unit, at + "/looks", map[string]string{"text": "平稳"}, http.StatusUnprocessableEntity}, {org.Supervisor, "", at + "/looks", map[string]string{"text": "情绪平稳", "next": day(2)}, http.StatusCreated},
	} {
		var out struct{ Detail string }
		if code := s.apiIn(x.role, x.unit, "POST", x.path, x.in, &out); code != x.want {
			t.Errorf("%s %s %v: %d, want %d", x.role, x.path, x.in, code, x.want)
		}
	}
	var got StableOut
	if code := s.apiIn(org.Supervisor, "", "GET", at, nil, &got); code != http.StatusOK || !got.Held || got.Until == nil || len(got.Requests) != 1 || got.Requests[0].State != "granted" || got.Requests[0].Plan != plan["plan"] || len(got.Looks) != 1 {
		t.Fatalf("%d %+v", code, got)
	}
	if code := s.apiIn(org.Leader, "", "POST", at+"/looks", map[string]string{"text": "已化解"}, &got); code != http.StatusCreated || got.Held || len(got.Looks) != 2 {
		t.Errorf("the end: %d %+v", code, got)
	}
}
