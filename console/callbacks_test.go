package console

import (
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"lianxin/storage"
	"lianxin/ticket"
)

func (h *house) callback(id string) (c ticket.Callback) {
	h.t.Helper()
	h.view(func(tx *storage.Tx) (err error) { c, err = h.office.Callback(tx, id); return err })
	return c
}

func TestACallbackIsTakenTriedAndFinished(t *testing.T) {
	s := newHouse(t).fill()
	one, two, path := s.as("caller1"), s.as("caller2"), "/callbacks/"+s.abandoned.ID
	if p := one.get("/callbacks"); strings.Index(p.body, s.abandoned.ID) > strings.Index(p.body, "办结回访</a></td>") {
		t.Error("what is due first does not stand first")
	}
	p := one.post(path+"/take", form("assignee", ""))
	if p.status != http.StatusOK || s.callback(s.abandoned.ID).Assignee != s.actor("caller1").String() {
		t.Fatalf("take: %d %s", p.status, alertIn(p.body))
	}
	// The second had the page open from before: they are told, and it stays with the first.
	if p := two.post(path+"/take", form("assignee", "")); p.status != http.StatusConflict || alertIn(p.body) == "" {
		t.Errorf("the second takes it: %d", p.status)
	}
	if s.callback(s.abandoned.ID).Assignee != s.actor("caller1").String() {
		t.Error("the second took it")
	}
	p = one.post(path+"/reveal", form("reason", "回拨"))
	if p.status != http.StatusOK || !strings.Contains(p.body, "19900002222") {
		t.Errorf("reveal: %d", p.status)
	}
	if p := one.post(path+"/reveal", form("reason", "")); p.status != http.StatusUnprocessableEntity || strings.Contains(p.body, "19900002222") {
		t.Errorf("reveal without a reason: %d", p.status)
	}
	if p := one.post(path+"/try", form("outcome", "no_answer", "note", "响铃一分钟无人接")); p.status != http.StatusOK || !strings.Contains(p.body, "响铃一分钟无人接") {
		t.Errorf("try: %d", p.status)
	}
	p = one.post(path+"/finish", form("done", "no", "note", "联系不上"))
	if p.status != http.StatusUnprocessableEntity || !strings.Contains(alertIn(p.body), "须在至少2天") || !strings.Contains(p.body, "联系不上") {
		t.Errorf("given up after one attempt: %d %s", p.status, alertIn(p.body))
	}
	if p := one.post(path+"/finish", form("note", "没有选择")); p.status != http.StatusUnprocessableEntity {
		t.Errorf("without a choice: %d", p.status)
	}
	s.pass(4 * time.Hour)
	if p := one.get("/callbacks"); !strings.Contains(p.body, "超时") {
		t.Error("an overdue call-back is not marked")
	}
	one.post(path+"/try", form("outcome", "reached", "note", "已解释"))
	if p := one.post(path+"/finish", form("done", "yes", "note", "来电人不再需要帮助")); p.status != http.StatusOK {
		t.Errorf("finish: %d %s", p.status, alertIn(p.body))
	}
	if c := s.callback(s.abandoned.ID); c.State != ticket.CallbackDone || c.Tries != 2 {
		t.Errorf("the call-back is %+v", c)
	}
	if p := one.get("/callbacks"); strings.Contains(p.body, s.abandoned.ID) {
		t.Error("it is still on the list")
	}
	if p := one.get("/callbacks?state=done"); !strings.Contains(p.body, s.abandoned.ID) {
		t.Error("it is not among those done")
	}
}

func TestAnOperatorDoesNotCallAboutRatings(t *testing.T) {
	s := newHouse(t).fill()
	var id string
	s.view(func(tx *storage.Tx) error {
		list, _, err := s.office.Callbacks(tx, ticket.CallbackFilter{Viewer: ticket.System, Kind: ticket.CallbackRating})
		id = list[0].ID
		return err
	})
	b := s.as("operator1")
	if p := b.get("/callbacks/" + id); p.status != http.StatusOK || strings.Contains(p.body, "/try") {
		t.Errorf("offered: %d", p.status)
	}
	if p := b.post("/callbacks/"+id+"/try", form("outcome", "reached")); p.status != http.StatusUnprocessableEntity {
		t.Errorf("carried out: %d", p.status)
	}
	if s.callback(id).Tries != 0 {
		t.Error("an attempt was noted")
	}
}

func TestAnAlertIsAcknowledgedOnceAndThenDisposed(t *testing.T) {
	s := newHouse(t).fill()
	b, path := s.as("supervisor1"), "/alerts/"+s.alert.ID
	alert := func() (a ticket.Alert) {
		s.view(func(tx *storage.Tx) error {
			list, _, err := s.office.Alerts(tx, ticket.AlertFilter{Viewer: ticket.System})
			for _, x := range list {
				if x.ID == s.alert.ID {
					a = x
				}
			}
			return err
		})
		return a
	}
	if p := s.as("auditor1").post(path+"/ack", nil); p.status != http.StatusForbidden {
		t.Errorf("the auditor acknowledges: %d", p.status)
	}
	if p := s.as("auditor1").post(path+"/reveal", form("reason", "想看看")); p.status != http.StatusForbidden {
		t.Errorf("the auditor reveals: %d", p.status)
	}
	if p := b.post(path+"/reveal", form("reason", "")); p.status != http.StatusUnprocessableEntity || strings.Contains(p.body, "19900002222") {
		t.Errorf("revealed without a reason: %d", p.status)
	}
	if p := b.post(path+"/reveal", form("reason", "核实扬言情况")); p.status != http.StatusOK || !strings.Contains(p.body, "19900002222") || s.reveals(s.fresh.ContactID) != 1 {
		t.Errorf("revealed with a reason: %d", p.status)
	}
	if p := b.post(path+"/ack", nil); p.status != http.StatusOK || alert().State != ticket.AlertAcked {
		t.Fatalf("acknowledge: %d", p.status)
	}
	if p := s.as("operator1").post(path+"/ack", nil); p.status != http.StatusConflict || alertIn(p.body) == "" {
		t.Errorf("acknowledged twice: %d", p.status)
	}
	p := b.post(path+"/dispose", form("how", "intervention", "note", ""))
	if p.status != http.StatusUnprocessableEntity || !strings.Contains(p.body, `value="intervention" selected`) {
		t.Errorf("without a note: %d", p.status)
	}
	if p := b.post(path+"/dispose", form("how", "intervention", "note", "已派专人稳控")); p.status != http.StatusOK || alert().State != ticket.AlertDisposed {
		t.Errorf("dispose: %d %s", p.status, alertIn(p.body))
	}
	// One without a ticket becomes one that is there.
	var a ticket.Alert
	s.do(func(tx *storage.Tx) (err error) {
		a, err = s.office.RaiseAlert(tx, ticket.Alert{Rule: "danger_reply", Level: ticket.Red, Title: "短信回复含危险字样", By: ticket.System})
		return err
	})
	b.post("/alerts/"+a.ID+"/ack", nil)
	if p := b.post("/alerts/"+a.ID+"/dispose", form("how", "ticket", "ticket", "民2026-1123-9999", "note", "转办")); p.status != http.StatusUnprocessableEntity || !strings.Contains(p.body, "民2026-1123-9999") {
		t.Errorf("with a number that nobody has: %d", p.status)
	}
	if p := b.post("/alerts/"+a.ID+"/dispose", form("how", "ticket", "ticket", s.fresh.Number, "note", "转办")); p.status != http.StatusOK || !strings.Contains(p.body, s.fresh.Number) {
		t.Errorf("with a number: %d %s", p.status, alertIn(p.body))
	}
}

func TestTheLogIsForAuditorsWholeAndChecked(t *testing.T) {
	s := newHouse(t).fill()
	for _, login := range []string{"operator1", "supervisor1", "leader1", "admin1", "handler1"} {
		if p := s.as(login).get("/log"); p.status != http.StatusForbidden {
			t.Errorf("%s reads the log: %d", login, p.status)
		}
		if p := s.as(login).post("/log/verify", nil); p.status != http.StatusForbidden {
			t.Errorf("%s verifies the log: %d", login, p.status)
		}
	}
	b := s.as("auditor1")
	// Page by page every event comes, once, newest first.
	row := regexp.MustCompile(`<tr><td class="num inline">(\d+)</td>`)
	older := regexp.MustCompile(`href="/log\?before=(\d+)"`)
	var seqs []int
	for path := "/log"; path != ""; {
		p := b.get(path)
		for _, m := range row.FindAllStringSubmatch(p.body, -1) {
			n, _ := strconv.Atoi(m[1])
			seqs = append(seqs, n)
		}
		path = ""
		if m := older.FindStringSubmatch(p.body); m != nil {
			path = "/log?before=" + m[1]
		}
	}
	for i, n := range seqs {
		if n != seqs[0]-i {
			t.Fatalf("event %d follows %d", n, seqs[0]-i+1)
		}
	}
	if len(seqs) < 200 || seqs[len(seqs)-1] != 1 {
		t.Fatalf("%d events, the last %v", len(seqs), seqs[max(0, len(seqs)-1):])
	}
	p := b.get("/log?stream=ticket/" + s.closed.ID + "&type=ticket.rated")
	if n := len(row.FindAllString(p.body, -1)); n != 1 || !strings.Contains(p.body, "温静宜") {
		t.Errorf("%d ratings of one ticket", n)
	}
	if p := b.get("/log?actor=丁一帆"); len(row.FindAllString(p.body, -1)) == 0 || strings.Contains(p.body, "秦立新</a>") {
		t.Error("the filter by name finds the wrong events")
	}
	for _, number := range []string{"19900001111", "19900002222"} {
		if p := b.get("/log?type=ticket"); strings.Contains(p.body, number) {
			t.Error("a number is in the log")
		}
	}
	if p := b.post("/log/verify", nil); p.status != http.StatusOK || !strings.Contains(p.body, "校验通过") {
		t.Errorf("verify: %d", p.status)
	}
	s.update(func(tx *storage.Tx) error {
		_, err := tx.Exec(`UPDATE audit_event SET actor = 'staff/x' WHERE seq = 42`)
		return err
	})
	if p := b.post("/log/verify", nil); !strings.Contains(p.body, "第 42 条") {
		t.Errorf("a changed event is not named: %s", alertIn(p.body))
	}
}

func TestRegisteringKeepsWhatWasTypedAndKnowsWhatCameBefore(t *testing.T) {
	h := newHouse(t)
	b := h.as("operator1")
	good := func(change ...string) map[string][]string {
		v := form("channel", "mailbox", "external", "JZ-2026-118", "kind", "suggestion", "title", "建议增设夜间巡逻", "body", "河边步道夜间较暗。", "phone", "13912345678", "name", "钱大爷")
		for i := 0; i < len(change); i += 2 {
			v.Set(change[i], change[i+1])
		}
		return v
	}
	for _, c := range [][]string{{"phone", "12345678901234"}, {"title", ""}, {"body", ""}, {"kind", ""}, {"channel", "12389"}, {"channel", "nonsense"}} {
		p := b.post("/tickets/new", good(c...))
		if p.status != http.StatusUnprocessableEntity || alertIn(p.body) == "" {
			t.Errorf("%v: %d", c, p.status)
		}
		if c[0] != "body" && !strings.Contains(p.body, "河边步道夜间较暗。") {
			t.Errorf("%v: what was typed is lost", c)
		}
	}
	first := b.register(good())
	if again := b.register(good("title", "另一标题")); again.ID != first.ID || again.Title != first.Title {
		t.Errorf("the same number was registered twice: %s, %s", first.Number, again.Number)
	}
	// A window registers and does not see what units handle: it comes back to the form.
	p := h.as("clerk1").post("/tickets/new", good("channel", "walkin", "external", ""))
	if p.status != http.StatusOK || p.path != "/tickets/new" || !strings.Contains(p.body, "已登记") {
		t.Errorf("the clerk: %d at %s", p.status, p.path)
	}
	if big := b.post("/tickets/new", good("body", strings.Repeat("长", maxForm))); big.status != http.StatusBadRequest {
		t.Errorf("a form of %d bytes: %d", 3*maxForm, big.status)
	}
	if t2 := h.get(first.ID); t2.ContactID == "" {
		t.Error("the citizen is not known")
	}
}
