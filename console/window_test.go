package console

import (
	"net/http"
	"strings"
	"testing"

	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket"
)

// The window and the clerk that a request is about come in by every door and go out by every other (W9).
func TestWindowAndClerkComeInByEveryDoorAndGoOutAgain(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	find := func(f ticket.Filter) (out []ticket.Ticket) {
		f.Viewer = ticket.System
		h.view(func(tx *storage.Tx) (err error) { out, _, err = h.office.List(tx, f); return err })
		return out
	}
	want := func(door, clerk string, check func(k ticket.Ticket) bool) {
		t.Helper()
		got := find(ticket.Filter{Clerk: clerk})
		if len(got) != 1 || got[0].WindowNo != "3号" || check != nil && !check(got[0]) {
			t.Errorf("%s: %+v", door, got)
		}
	}
	// The API of programs.
	secret := h.tokenIn(org.Operator, "")
	post := func(key, body string) answer {
		r, _ := http.NewRequest("POST", h.http.URL+"/api/v1/tickets", strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+secret)
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Idempotency-Key", key)
		return (&browser{h: h, client: http.DefaultClient}).send(r)
	}
	if p := post("k1", `{"channel":"web","title":"窗口推诿","body":"三次都说材料不全","window":"3号","clerk":"A01","accused_unit":"benxi-huzheng-chuangkou","incident":"J2026-1"}`); p.status != http.StatusCreated {
		t.Fatalf("%d %s", p.status, p.body)
	}
	want("API", "A01", func(k ticket.Ticket) bool {
		return k.AccusedUnit == "benxi-huzheng-chuangkou" && k.IncidentNo == "J2026-1"
	})
	for body, at := range map[string]string{`{"channel":"web","title":"x","body":"y","clerk":"王小明"}`: "工号", `{"channel":"web","title":"x","body":"y","accused_unit":"nowhere"}`: "body.accused_unit"} {
		if p := post("k"+at, body); p.status != http.StatusUnprocessableEntity || !strings.Contains(p.body, at) {
			t.Errorf("%s: %d %s", body, p.status, p.body)
		}
	}
	if p := h.ask(secret, "GET", "/api/v1/tickets?window=3%E5%8F%B7&clerk=A01", ""); !strings.Contains(p.body, `"clerk":"A01"`) || !strings.Contains(p.body, `"window":"3号"`) {
		t.Errorf("the list by window: %s", p.body)
	}
	if p := h.ask(secret, "GET", "/api/v1/tickets?clerk=A99", ""); strings.Contains(p.body, `"A01"`) {
		t.Error("the list by clerk finds another's")
	}
	// Another body's exchange, a file, the form of the staff, the form of the public.
	if p := h.ask(secret, "POST", "/api/v1/exchange/12345/items", `{"external_id":"W1","title":"窗口","body":"态度差","window":"3号","clerk":"a02"}`); p.status >= 300 || !strings.Contains(p.body, `"clerk":"A02"`) {
		t.Errorf("exchange: %d %s", p.status, p.body)
	}
	want("exchange", "A02", nil)
	staff := h.as("operator1")
	staff.post("/tickets/new", form("channel", "walkin", "kind", "complaint", "title", "窗口排队久", "body", "排了两个小时", "window", "3号", "clerk", "A03"))
	want("form of the staff", "A03", nil)
	if p := staff.post("/tickets/new", form("channel", "walkin", "kind", "complaint", "title", "窗口", "body", "排队", "clerk", "柳叶青")); p.status != http.StatusUnprocessableEntity || !strings.Contains(p.body, "请勿填写姓名") {
		t.Errorf("a name for a number: %d", p.status)
	}
	scanned := h.stranger().get("/p?unit=benxi-huzheng-chuangkou&window=3%E5%8F%B7&clerk=A04")
	for _, x := range []string{`name="unit" value="benxi-huzheng-chuangkou"`, `name="window" maxlength="30" value="3号"`, `value="A04"`} {
		if !strings.Contains(scanned.body, x) {
			t.Errorf("the form after a scan lacks %s", x)
		}
	}
	if p := h.stranger().post("/p", h.solved("kind", "complaint", "body", "窗口人员说话难听", "unit", "benxi-huzheng-chuangkou", "window", "3号", "clerk", "A04")); p.status != http.StatusOK {
		t.Fatalf("public form: %d %s", p.status, alertIn(p.body))
	}
	want("form of the public", "A04", func(k ticket.Ticket) bool { return k.AccusedUnit == "benxi-huzheng-chuangkou" })
	// Out: the page of the ticket and the export.
	k := find(ticket.Filter{Clerk: "A03"})[0]
	if p := staff.get("/tickets/" + k.ID); !strings.Contains(p.body, "A03") || !strings.Contains(p.body, "3号") {
		t.Error("the page of the ticket does not tell window and clerk")
	}
	p := h.as("analyst1").post("/export", form("from", "2026-11-01", "to", "2026-11-30", "reason", "核对窗口", "as", "csv"))
	if head, _, _ := strings.Cut(p.body, "\n"); !strings.Contains(head, "窗口号,工号") || !strings.Contains(p.body, "3号,A03") {
		t.Errorf("the export: %d %s", p.status, head)
	}
}

// What a citizen said on the telephone is taken down on the scale that they answered on, and shown beside what it was folded to.
func TestTheCallBackOfficerTakesDownTheRatingAsItWasGiven(t *testing.T) {
	t.Parallel()
	s := newHouse(t).fill()
	b := s.as("caller1")
	for _, bad := range []struct{ given, stars, why string }{{"", "5", "请选择群众给出的评价"}, {"words:", "", "折合为五级"}, {"ten:9", "1", "不符"}, {"ten:12", "", "不在十分制量表内"}} {
		if p := b.act(s.rating.ID, "rate", form("given", bad.given, "stars", bad.stars, "words", "还可以")); p.status != http.StatusUnprocessableEntity || !strings.Contains(p.body, bad.why) {
			t.Errorf("%+v: %d %s", bad, p.status, alertIn(p.body))
		}
	}
	p := b.must(s.rating.ID, "rate", form("given", "ten:9", "words", "挺好"))
	if !strings.Contains(p.body, "十分制 9分") || !strings.Contains(p.body, "非常满意") {
		t.Error("the page does not show the rating as it was given")
	}
	if k := s.get(s.rating.ID); k.Stars != 5 || k.State != ticket.Closed {
		t.Errorf("%d stars, %s", k.Stars, k.State)
	}
}
