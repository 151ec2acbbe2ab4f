package console

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"lianxin/desk"
	"lianxin/ivr"
	"lianxin/ivr/flow"
	"lianxin/storage"
)

// flowFiles stands for the files of a hotline.
type flowFiles struct{ state ivr.FlowState }

func (f *flowFiles) State() ivr.FlowState { return f.state }

func (f *flowFiles) Reload(context.Context, string) error {
	f.state.Problems = []flow.Problem{{File: "hotline.yaml", Line: 7, Col: 3, Text: "node open: next leads nowhere"}}
	return flow.Problems(f.state.Problems)
}

// hotline gives the house the files that ship with the program.
func (h *house) hotline() *flowFiles {
	h.t.Helper()
	f, q, err := ivr.LoadFlows("")
	if err != nil {
		h.t.Fatal(err)
	}
	files := &flowFiles{ivr.FlowState{Flow: f, Queues: q, Loaded: h.clock, Tried: h.clock}}
	h.s.Flows = files
	return files
}

func TestRostersSeatsAndHandOversAreKeptOnThePageOfDuty(t *testing.T) {
	h := newHouse(t)
	h.hotline()
	h.busy()
	told := 0
	h.s.Reseat = func() { told++ }
	b, id := h.as("supervisor1"), h.staff["operator1"].ID
	day := h.now().In(time.FixedZone("CST", 8*3600)).Format("2006-01-02")
	shift := form("staff", id, "day", day, "from", "20:00", "to", "08:00", "days", "3", "queues", "hotline:1", "note", "大夜班次")
	if p := b.post("/duty/shift", shift); p.status != http.StatusOK || strings.Count(p.body, "大夜班次") != 1 || !strings.Contains(p.body, "20:00–08:00") || !strings.Contains(p.body, "hotline:1") {
		t.Errorf("%d %s", p.status, p.body)
	}
	if p := b.post("/duty/shift", shift); p.status != http.StatusUnprocessableEntity || !strings.Contains(p.body, "已有班次") {
		t.Errorf("the same shift again: %d", p.status)
	}
	if p := b.post("/duty/seat", form("staff", id, "queues", "hotline:2", "skills", "en ko")); p.status != http.StatusOK || !strings.Contains(p.body, `value="en ko"`) {
		t.Errorf("%d", p.status)
	}
	for queues, want := range map[string]string{"korean": "没有这个队列", "热线": "写法不对"} {
		if p := b.post("/duty/seat", form("staff", id, "queues", queues)); p.status != http.StatusUnprocessableEntity || !strings.Contains(p.body, want) {
			t.Errorf("queue %s: %d", queues, p.status)
		}
	}
	if p := h.as("operator1").post("/duty/handover", form("note", "张某诉求待回电")); p.status != http.StatusOK || !strings.Contains(p.body, "张某诉求待回电") {
		t.Errorf("%d", p.status)
	}
	err := h.db.View(h.ctx, func(tx *storage.Tx) error {
		sealed, err := storage.One(tx, storage.Value[[]byte], `SELECT note_sealed FROM org_handover`)
		if strings.Contains(string(sealed), "张某") {
			t.Error("a hand-over lies in the open")
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if p := h.as("operator1").post("/duty/seat", form("staff", id, "queues", "")); p.status != http.StatusForbidden {
		t.Errorf("an operator changes seats: %d", p.status)
	}
	if told != 3 {
		t.Errorf("the board was told %d times", told)
	}
}

func TestReasonsOfBreaksAreChosenAndShownOnTheBoard(t *testing.T) {
	h := newHouse(t)
	if err := errors.Join(h.board.Put(h.ctx, desk.Operator{Extension: "8001", StaffID: h.staff["operator1"].ID, Name: "周雨晴", AutoReady: true}),
		h.board.Registered(h.ctx, "8001", true)); err != nil {
		t.Fatal(err)
	}
	b := h.as("operator1")
	if p := b.post("/board/state", form("state", "break", "reason", "用餐")); p.status != http.StatusOK || !strings.Contains(p.body, "· 用餐") {
		t.Errorf("%d: the reason is not shown", p.status)
	}
	if p := b.post("/board/state", form("state", "ready", "reason", "用餐")); p.status != http.StatusOK || strings.Contains(p.body, "· 用餐") {
		t.Errorf("%d: an operator is ready for a reason", p.status)
	}
}

func TestFiguresOfQueuesAreThoseOfTheRecordsOnThePageAndInTheAPI(t *testing.T) {
	h := newHouse(t)
	h.hotline()
	now := h.now()
	err := h.db.Update(h.ctx, func(tx *storage.Tx) error {
		for i, c := range []struct {
			waited, talked time.Duration
			disposition    ivr.Disposition
		}{{5 * time.Second, time.Minute, ivr.Answered}, {40 * time.Second, time.Minute, ivr.Answered}, {20 * time.Second, 0, ivr.Abandoned}, {3 * time.Second, 0, ivr.Abandoned}} {
			started := now.Add(-time.Duration(i+1) * time.Minute)
			var connected any
			if c.talked > 0 {
				connected = storage.At(started.Add(c.waited))
			}
			_, err := tx.Exec(`INSERT INTO call (id, node, dialled, trunk, anonymous, urgent, started, answered, queued, connected, ended, seen, disposition, ended_by, cause, operator,
				staff_id, offers, wait_ms, talk_ms, rating, recording, recording_sha256, recording_ms, recording_bytes, message_from_ms, message_ms, ticket_id, callback_id, answers, flow, flow_version, steps, queue)
				VALUES ($1, 'n', '46110110', '', FALSE, FALSE, $2, $2, $2, $3, $4, $2, $5, 'caller', '', '', '', 1, $6, $7, 0, '', '', 0, 0, 0, 0, '', '', '', 'hotline', '1', '[]', 'hotline')`,
				string(rune('a'+i)), storage.At(started), connected, storage.At(started.Add(c.waited+c.talked)), string(c.disposition), c.waited.Milliseconds(), c.talked.Milliseconds())
			if err != nil {
				return err
			}
			left, outcome := started.Add(c.waited), "hungup"
			if c.talked > 0 {
				outcome = "connected"
			}
			stay := func(n int, queue string, joined, left time.Time, outcome string) error {
				_, err := tx.Exec(`INSERT INTO call_stay (call_id, n, queue, joined, placed, position, left_at, outcome) VALUES ($1, $2, $3, $4, $4, 1, $5, $6)`,
					string(rune('a'+i)), n, queue, storage.At(joined), storage.At(left), outcome)
				return err
			}
			if err := stay(2, "hotline", started, left, outcome); err != nil {
				return err
			}
			if i == 2 { // had been in another queue before, where nobody was
				if err := stay(1, "night", started.Add(-time.Second), started, "nobody"); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.board.Wait(h.ctx, desk.Caller{CallID: "x", Queue: "hotline", Held: true}); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/duty", "/board"} {
		p := h.as("supervisor1").get(path)
		for _, want := range []string{"民意热线", "66.7%", "33.3%", "含待回拨1人", "0:23"} { // 2 of 3; 1 of 3; average of 5 and 40
			if !strings.Contains(p.body, want) {
				t.Errorf("%s does not show %s", path, want)
			}
		}
	}
	req, err := http.NewRequestWithContext(h.ctx, http.MethodGet, h.http.URL+"/api/v1/queues", nil)
	if err != nil {
		t.Fatal(err)
	}
	h.s.APIToken = "token-of-the-test"
	req.Header.Set("Authorization", "Bearer token-of-the-test")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var out struct{ Queues []QueueOut }
	if err := json.NewDecoder(res.Body).Decode(&out); err != nil || len(out.Queues) != 2 {
		t.Fatalf("%d %v %+v", res.StatusCode, err, out)
	}
	if q := out.Queues[0]; q.Offered != 4 || q.Answered != 2 || q.InLevel != 1 || q.Abandoned != 1 || q.Short != 1 || q.Waiting != 1 || q.Held != 1 || q.Average != 22.5 || q.Passed != 0 {
		t.Errorf("%+v", q)
	}
	if q := out.Queues[1]; q.Name != "night" || q.Offered != 1 || q.Passed != 1 || q.Answered != 0 { // every queue that a call went through counts
		t.Errorf("%+v", q)
	}
	// And the call itself says which.
	var call CallOut
	req, _ = http.NewRequestWithContext(h.ctx, http.MethodGet, h.http.URL+"/api/v1/calls/c", nil)
	req.Header.Set("Authorization", "Bearer token-of-the-test")
	if res, err := http.DefaultClient.Do(req); err != nil {
		t.Fatal(err)
	} else if err := errors.Join(json.NewDecoder(res.Body).Decode(&call), res.Body.Close()); err != nil || len(call.Queues) != 2 || call.Queues[0].Queue != "night" || call.Queues[1].Outcome != "hungup" || call.Queues[1].WaitMS != 20000 {
		t.Errorf("%v %+v", err, call)
	}
	if p := h.as("supervisor1").get("/calls/c"); !strings.Contains(p.body, "无人在岗") || !strings.Contains(p.body, "群众挂机") {
		t.Errorf("the page of the call does not show where it waited: %d", p.status)
	}
}

func TestThePageOfFlowsShowsWhatIsInForceAndWhyAChangeWasRefused(t *testing.T) {
	h := newHouse(t)
	files := h.hotline()
	b := h.as("admin1")
	if p := b.get("/flows"); p.status != http.StatusOK || !strings.Contains(p.body, files.state.Flow.Version) || !strings.Contains(p.body, "[main] menu") {
		t.Errorf("%d %s", p.status, p.body)
	}
	if p := b.post("/flows/reload", nil); p.status != http.StatusOK || !strings.Contains(p.body, "hotline.yaml:7:3: node open: next leads nowhere") {
		t.Errorf("%d %s", p.status, p.body)
	}
	if p := h.as("supervisor1").post("/flows/reload", nil); p.status != http.StatusForbidden {
		t.Errorf("a supervisor reloads flows: %d", p.status)
	}
}

func TestPagesOfDutyFitAPhoneAndADesk(t *testing.T) {
	s := newHouse(t)
	s.hotline()
	s.busy()
	s.as("supervisor1").post("/duty/shift", form("staff", s.staff["operator1"].ID, "day", s.now().Format("2006-01-02"), "from", "08:00", "to", "20:00", "days", "1", "note", "白班"))
	s.as("operator1").post("/duty/handover", form("note", "三件待回电，已登记。"))
	w := s.window(t, "supervisor1", 1366, 900)
	for name, path := range map[string]string{"duty": "/duty", "flows": "/flows", "board-queues": "/board"} {
		w.fits(name, path)
	}
}
