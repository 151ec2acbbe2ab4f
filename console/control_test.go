package console

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"lianxin/desk"
	"lianxin/ivr"
	"lianxin/org"
)

// takeOrder is the hotline's part of an order in these tests; ivr's own tests have a real one.
func (h *house) takeOrder(_ context.Context, _ string, o ivr.Order) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.refuse != nil {
		return h.refuse
	}
	h.orders = append(h.orders, o)
	return nil
}

func (h *house) takeCall(_ context.Context, o ivr.CallOut) (string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.refuse != nil {
		return "", h.refuse
	}
	h.outs = append(h.outs, o)
	return "call-1", nil
}

func (h *house) takesOrders() (orders []ivr.Order, outs []ivr.CallOut) {
	h.mu.Lock()
	defer h.mu.Unlock()
	orders, outs = h.orders, h.outs
	h.orders, h.outs = nil, nil
	return orders, outs
}

func (h *house) refuses(no *ivr.Refusal) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.refuse = no
}

// withCalls puts one call with an operator and one that waits on the line.
func (h *house) withCalls(lead string) {
	h.t.Helper()
	who := h.staff[lead]
	for _, login := range []string{"operator1", "operator2"} {
		s := h.staff[login]
		if err := h.board.Put(h.ctx, desk.Operator{Extension: s.Extension, StaffID: s.ID, Name: s.Name, AutoReady: true}); err != nil {
			h.t.Fatal(err)
		}
		if err := h.board.Registered(h.ctx, s.Extension, true); err != nil {
			h.t.Fatal(err)
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	at := h.clock.Add(-time.Minute)
	h.live = []ivr.LiveCall{
		{ID: "talk", Direction: ivr.Inbound, Caller: "138****0001", Stage: ivr.StageTalking, Started: at, Since: at, Operator: who.Extension, StaffID: who.ID,
			Parties: []ivr.LiveParty{{Kind: ivr.PartyOperator, Label: who.Extension, Extension: who.Extension, StaffID: who.ID, Lead: true, Since: at},
				{Kind: ivr.PartyOutside, Label: "110", Since: at}, {Kind: ivr.PartySupervisor, Label: "8801", Extension: "8801", Mode: ivr.Listen, Since: at}}},
		{ID: "wait", Direction: ivr.Inbound, Caller: "138****0002", Stage: ivr.StageWaiting, Started: at, Since: at, Operator: who.Extension},
	}
}

func TestTheLivePageOffersWhatItsReaderMayDo(t *testing.T) {
	h := newHouse(t)
	h.withCalls("operator1")
	for _, c := range []struct {
		who, page string
		has, not  []string
	}{
		{"operator1", "/live/talk", []string{"/live/talk/hold", "/live/talk/consult", "/live/talk/police", "/live/talk/leave", "/live/talk/drop", "监听"}, []string{"/live/talk/listen", "/live/talk/pickup"}},
		{"operator2", "/live/talk", []string{"您只能查看该通话"}, []string{"/live/talk/hold", "/live/talk/listen"}},
		{"operator2", "/live/wait", []string{"/live/wait/pickup"}, []string{"/live/wait/hold"}},
		{"supervisor1", "/live/talk", []string{"/live/talk/hold", "/live/talk/consult"}, nil},
		{"operator2", "/board", []string{"/live/wait/pickup", "/live/talk"}, nil},
	} {
		p := h.as(c.who).get(c.page)
		status, body := p.status, p.body
		if status != http.StatusOK {
			t.Errorf("%s %s: %d", c.who, c.page, status)
		}
		for _, s := range c.has {
			if !strings.Contains(body, s) {
				t.Errorf("%s %s has no %s", c.who, c.page, s)
			}
		}
		for _, s := range c.not {
			if strings.Contains(body, `"`+s+`"`) {
				t.Errorf("%s %s has %s", c.who, c.page, s)
			}
		}
	}
	if p := h.as("operator1").get("/live/gone/state"); p.status != http.StatusOK || !strings.Contains(p.body, "/calls/gone") {
		t.Errorf("a call that has ended: %d", p.status)
	}
}

func TestOrdersReachTheCallInTheReadersName(t *testing.T) {
	h := newHouse(t)
	h.withCalls("operator1")
	for _, do := range []string{"hold", "resume", "transfer", "consult", "complete", "return", "join", "invite", "police", "leave", "drop", "pickup"} {
		p := h.as("operator1").post("/live/talk/"+do, form("to", "8002"))
		got, _ := h.takesOrders()
		if p.status != http.StatusOK || len(got) != 1 || got[0].Do != ivr.Action(do) || got[0].To != "8002" || got[0].Staff.ID != h.staff["operator1"].ID {
			t.Errorf("%s: %d %+v", do, p.status, got)
		}
	}
	for _, do := range []string{"listen", "whisper", "barge", "stop"} {
		if p := h.as("supervisor1").post("/live/talk/"+do, form()); p.status != http.StatusOK {
			t.Errorf("%s: %d", do, p.status)
		}
	}
	h.takesOrders()
	if p := h.as("analyst1").post("/live/talk/hold", form()); p.status != http.StatusForbidden {
		t.Errorf("an analyst may hold: %d", p.status)
	}
	h.refuses(&ivr.Refusal{Code: "busy", Message: "占线"})
	p := h.as("operator1").post("/live/talk/consult", form("to", "8002"))
	if p.status != http.StatusConflict || !strings.Contains(p.body, "占线") || !strings.Contains(p.body, `value="8002"`) {
		t.Errorf("a refusal: %d", p.status)
	}
	if got, _ := h.takesOrders(); len(got) != 0 {
		t.Errorf("%+v", got)
	}
}

func TestACallBackIsDialledFromItsPage(t *testing.T) {
	s := newHouse(t).fill()
	path := "/callbacks/" + s.abandoned.ID
	p := s.as("operator1").get(path)
	if p.status != http.StatusOK || !strings.Contains(p.body, path+"/dial") || strings.Contains(p.body, "19900002222") {
		t.Errorf("%d", p.status)
	}
	s.as("operator1").post(path+"/dial", form())
	_, outs := s.takesOrders()
	if len(outs) != 1 || outs[0].Number.Clear() != "19900002222" || outs[0].CallbackID != s.abandoned.ID || outs[0].Staff.ID != s.staff["operator1"].ID || outs[0].ContactID == "" {
		t.Errorf("%+v", outs)
	}
	s.refuses(&ivr.Refusal{Code: "phone", Message: "您的话机不在线"})
	if p := s.as("operator1").post(path+"/dial", form()); p.status != http.StatusUnprocessableEntity || !strings.Contains(p.body, "您的话机不在线") {
		t.Errorf("%d", p.status)
	}
	if p := s.as("supervisor1").post(path+"/dial", form()); p.status != http.StatusForbidden {
		t.Errorf("who makes no call-backs may dial: %d", p.status)
	}
}

func TestTheLivePageFitsAPhoneAndADesk(t *testing.T) {
	h := newHouse(t)
	h.withCalls("operator1")
	for _, size := range []struct {
		name          string
		width, height int64
	}{{"phone", 390, 844}, {"desk", 1366, 900}} {
		w := h.window(t, "operator1", size.width, size.height)
		boss := h.window(t, "supervisor1", size.width, size.height)
		for _, c := range []struct {
			w          *window
			name, path string
		}{{w, "live", "/live/talk"}, {w, "live-waiting", "/live/wait"}, {boss, "live-supervisor", "/live/talk"}, {boss, "live-board", "/board"}} {
			c.w.open(c.path)
			c.w.shot(size.name + "-" + c.name)
			if out := eval[[]string](c.w, wider); len(out) > 0 {
				t.Errorf("%s sticks out at %d px: %q", c.name, size.width, out)
			}
		}
	}
}

func TestProgramsOrderInTheNameOfAPerson(t *testing.T) {
	s := newHouse(t).fill()
	s.withCalls("operator1")
	supervisor, analyst := s.token(org.Supervisor), s.token(org.Analyst)
	if status, body := s.program("GET", "/api/v1/live-calls", supervisor, ""); status != http.StatusOK || !strings.Contains(body, `"lead":true`) || strings.Contains(body, "13800000001") {
		t.Errorf("%d %s", status, body)
	}
	for _, c := range []struct {
		token, path, body string
		want              int
	}{
		{supervisor, "/api/v1/live-calls/talk/orders", `{"do":"hold","extension":"8001"}`, 202},
		{supervisor, "/api/v1/live-calls/talk/orders", `{"do":"listen","extension":"8031"}`, 202},
		{supervisor, "/api/v1/live-calls/talk/orders", `{"do":"listen","extension":"8001"}`, 403}, // an operator, whoever asks
		{analyst, "/api/v1/live-calls/talk/orders", `{"do":"hold","extension":"8001"}`, 403},
		{supervisor, "/api/v1/live-calls/talk/orders", `{"do":"hold","extension":"7777"}`, 422},
		{supervisor, "/api/v1/live-calls/talk/orders", `{"do":"dance","extension":"8001"}`, 422},
		{supervisor, "/api/v1/callbacks/" + s.abandoned.ID + "/calls", `{"extension":"8001"}`, 202},
		{supervisor, "/api/v1/callbacks/" + s.abandoned.ID + "/calls", `{"extension":"8031"}`, 403}, // makes no call-backs
		{supervisor, "/api/v1/callbacks/nothing/calls", `{"extension":"8001"}`, 404},
	} {
		if status, body := s.program("POST", c.path, c.token, c.body); status != c.want {
			t.Errorf("%s %s: %d %s, want %d", c.path, c.body, status, body, c.want)
		}
	}
	if orders, outs := s.takesOrders(); len(orders) != 2 || len(outs) != 1 || outs[0].CallbackID != s.abandoned.ID {
		t.Errorf("%+v %+v", orders, outs)
	}
	s.refuses(&ivr.Refusal{Code: "state", Message: "坐席已离开该通话"})
	if status, body := s.program("POST", "/api/v1/live-calls/talk/orders", supervisor, `{"do":"hold","extension":"8001"}`); status != http.StatusConflict || !strings.Contains(body, "坐席已离开该通话") {
		t.Errorf("%d %s", status, body)
	}
}

func TestThePanelOfALiveCallFollowsWhatItsReaderMayDoNow(t *testing.T) {
	h := newHouse(t)
	h.withCalls("operator1")
	b := h.as("operator1")
	if p := b.get("/live/talk/state?panel=false-false-false-false"); !strings.Contains(p.body, `hx-target="#control"`) || !strings.Contains(p.body, "/live/talk/consult") {
		t.Error("who has just answered is not offered to consult") // the page was opened while it still rang
	}
	if p := b.get("/live/talk/state?panel=false-true-false-false"); strings.Contains(p.body, `hx-target="#control"`) {
		t.Error("what somebody types is drawn over")
	}
}
