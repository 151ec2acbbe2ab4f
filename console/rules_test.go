package console

import (
	"bytes"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"

	"lianxin/storage"
	"lianxin/ticket"
	"lianxin/workday"
)

func TestLimitsArePublishedOnTheirPage(t *testing.T) {
	s := newHouse(t).fill()
	if p := s.as("dispatcher1").get("/rules"); p.status != http.StatusOK || strings.Contains(p.body, `action="/rules"`) && strings.Contains(p.body, `name="version"`) {
		t.Errorf("a dispatcher reads the limits: %d", p.status)
	}
	if p := s.as("handler1").get("/rules"); p.status != http.StatusForbidden {
		t.Errorf("a handler: %d", p.status)
	}
	b := s.as("admin1")
	p := b.get("/rules")
	if p.status != http.StatusOK || !strings.Contains(p.body, "4个工作小时") {
		t.Fatalf("the administrator: %d", p.status)
	}
	v := &rulesView{}
	v.show(s.office.Rules)
	f := form("version", "2026-3", "effective", "2026-11-23", "note", "签收提速")
	for _, row := range v.Rows {
		for _, in := range row.Inputs {
			f.Set(in.Name, in.Value)
		}
	}
	for _, n := range v.Counts {
		f.Set(n.Name, n.Value())
	}
	f.Set("sign.蓝", "无限")
	if p := b.post("/rules", f); p.status != http.StatusUnprocessableEntity || !strings.Contains(alertIn(p.body), "签收（蓝）") || !strings.Contains(p.body, `value="无限"`) {
		t.Errorf("a span that is none: %d %s", p.status, alertIn(p.body))
	}
	f.Set("sign.蓝", "2wh")
	if p := s.as("dispatcher1").post("/rules", f); p.status != http.StatusForbidden {
		t.Errorf("a dispatcher publishes: %d", p.status)
	}
	b.post("/rules", f)
	if p := b.get("/rules"); !strings.Contains(p.body, "2026-3/") || !strings.Contains(p.body, "签收提速") || !strings.Contains(p.body, "2个工作小时") {
		t.Errorf("after publishing: %d", p.status)
	}
	x := s.open(ticket.Intake{Title: "路灯不亮", Body: "小区门口路灯坏了。"})
	if !strings.HasPrefix(x.RuleVersion, "2026-3/") || strings.HasPrefix(s.get(s.fresh.ID).RuleVersion, "2026-3/") {
		t.Errorf("the new ticket is under %s", x.RuleVersion)
	}
}

func TestTheNextYearIsAddedOnThePageAndClocksAreRecomputed(t *testing.T) {
	s := newHouse(t).fill()
	b := s.as("admin1")
	if p := b.get("/rules"); !strings.Contains(p.body, "2027年") {
		t.Error("no warning that 2027 is missing")
	}
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	part, _ := w.CreateFormFile("file", "2027.json")
	part.Write([]byte(`{"year":2027,"days":[{"name":"元旦","date":"2027-01-01","isOffDay":true}]}`))
	w.Close()
	r, _ := http.NewRequest("POST", s.http.URL+"/rules/calendar", &body)
	r.Header.Set("Content-Type", w.FormDataContentType())
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	b.send(r)
	p := b.get("/rules")
	if strings.Contains(p.body, "2027年") && strings.Contains(p.body, "缺少") || !strings.Contains(p.body, `action="/rules/recompute"`) {
		t.Errorf("after adding the year: warning %v", strings.Contains(p.body, "缺少"))
	}
	if p := b.post("/rules/recompute", form("reason", "")); p.status != http.StatusUnprocessableEntity {
		t.Errorf("without a reason: %d", p.status)
	}
	if p := b.post("/rules/recompute", form("reason", "2027年放假安排公布")); p.status != http.StatusOK {
		t.Errorf("recompute: %d %s", p.status, p.body)
	}
	s.view(func(tx *storage.Tx) error {
		ids, err := s.office.Uncounted(tx, "", 10)
		if len(ids) != 0 {
			t.Errorf("%d tickets count by the old calendar", len(ids))
		}
		return err
	})
	if !s.office.Reckoner().Calendar.Known(2027) || s.office.Reckoner().Calendar.IsWorkday(workday.DateOf(2027, 1, 1)) {
		t.Error("the year is not in use")
	}
}

func TestNoticesReachThoseTheyAreFor(t *testing.T) {
	s := newHouse(t).fill()
	s.set("2026-11-24 16:00")
	if _, err := s.office.Sweep(s.ctx, s.db, s.now()); err != nil {
		t.Fatal(err)
	}
	unit, centre := s.as("handler1").get("/notices"), s.as("dispatcher1").get("/notices")
	if !strings.Contains(unit.body, s.dispatched.Number) || strings.Contains(unit.body, s.fresh.Number) {
		t.Error("a unit does not read its notices, or reads those of the centre")
	}
	if !strings.Contains(centre.body, s.fresh.Number) {
		t.Error("the centre does not read of a ticket that waits for it")
	}
	// Nobody reads of a ticket that accuses them.
	for _, login := range []string{"handler1", "reviewer1"} {
		if p := s.as(login).get("/notices?all=1"); strings.Contains(p.body, s.accused.Number) {
			t.Errorf("%s reads of the accusation", login)
		}
	}
	id := between(centre.body, `action="/notices/01`, `/read"`)
	id = "01" + id
	s.as("dispatcher1").post("/notices/"+id+"/read", nil)
	if p := s.as("dispatcher1").get("/notices"); strings.Contains(p.body, id) {
		t.Error("what was read is shown as unread")
	}
	rest := between(s.as("dispatcher1").get("/notices").body, `name="id" value="`, `"`)
	if p := s.as("dispatcher1").post("/notices/read", form("id", rest, "id", "01ZZZZZZZZZZZZZZZZZZZZZZZZ")); p.status != http.StatusOK || strings.Contains(p.body, rest) {
		t.Errorf("marked all as read: %d", p.status)
	}
	if p := s.as("handler1").post("/notices/"+id+"/read", nil); p.status != http.StatusNotFound {
		t.Errorf("another's notice: %d", p.status)
	}
}

func between(s, from, to string) string {
	_, rest, _ := strings.Cut(s, from)
	out, _, _ := strings.Cut(rest, to)
	return out
}
