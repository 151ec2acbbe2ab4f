package console

import (
	"net/http"
	"strings"
	"testing"

	"lianxin/ticket"
	"lianxin/ticket/grade"
)

func TestGradingRulesAreProposedAndConsentedToOnTheirPage(t *testing.T) {
	s := newHouse(t).fill()
	v := &gradingView{}
	v.show(grade.DefaultRules())
	f := form("version", "2026.12-1", "effective", "2026-11-23", "note", "线索加重")
	for _, rows := range [][]gradingRow{v.Colours, v.Event, v.Person} {
		for _, r := range rows {
			f.Set(r.Input, r.Value)
		}
	}
	b := s.as("admin1")
	if p := b.post("/grading", f); p.status != http.StatusUnprocessableEntity || !strings.Contains(alertIn(p.body), "没有差别") {
		t.Errorf("nothing changed: %d %s", p.status, alertIn(p.body))
	}
	f.Set("factor.group", "3:15 x")
	if p := b.post("/grading", f); p.status != http.StatusUnprocessableEntity || !strings.Contains(alertIn(p.body), "多人同一诉求") || !strings.Contains(p.body, `value="3:15 x"`) {
		t.Errorf("steps that are none: %d %s", p.status, alertIn(p.body))
	}
	f.Set("factor.group", "2:15 5:25 10:45")
	f.Set("colour.橙", "E40 E30+P30 P60")
	if p := s.as("dispatcher1").post("/grading", f); p.status != http.StatusForbidden {
		t.Errorf("a dispatcher proposes: %d", p.status)
	}
	if p := b.post("/grading", f); p.status != http.StatusOK {
		t.Fatalf("propose: %d %s", p.status, alertIn(p.body))
	}
	if p := s.as("dispatcher1").get("/grading"); p.status != http.StatusOK || strings.Contains(p.body, `name="version"`) || strings.Contains(p.body, "/grading/decide") {
		t.Errorf("a dispatcher reads: %d", p.status)
	}
	p := s.as("leader1").get("/grading")
	if !strings.Contains(p.body, "/grading/decide") || !strings.Contains(p.body, "≥3:15分 ≥5:25分 ≥10:40分 → ≥2:15分 ≥5:25分 ≥10:45分") || !strings.Contains(p.body, "E≥45或E≥30且P≥30或P≥60 → E≥40或E≥30且P≥30或P≥60") {
		t.Errorf("what the leader sees: %d", p.status)
	}
	at := strings.Index(p.body, `name="id" value="`)
	id, _, _ := strings.Cut(p.body[at+len(`name="id" value="`):], `"`)
	if p := b.post("/grading/decide", form("id", id, "consent", "yes")); p.status != http.StatusForbidden {
		t.Errorf("the administrator consents: %d", p.status)
	}
	if p := s.as("leader1").post("/grading/decide", form("id", id, "consent", "no")); p.status != http.StatusUnprocessableEntity {
		t.Errorf("refused without a reason: %d", p.status)
	}
	if p := s.as("leader1").post("/grading/decide", form("id", id, "consent", "yes")); p.status != http.StatusOK {
		t.Fatalf("consent: %d %s", p.status, alertIn(p.body))
	}
	x := s.open(ticket.Intake{Title: "联名反映", Body: "我们十几户居民联名反映噪音。"})
	if x.Colour != ticket.Orange || x.GradeEvent != 45 {
		t.Errorf("graded by the new version: %s %d", x.Colour, x.GradeEvent)
	}
}

func TestTheGradingPageFitsAPhoneAndADesk(t *testing.T) {
	s := newHouse(t).fill()
	v := &gradingView{}
	v.show(grade.DefaultRules())
	f := form("version", "2026.12-1", "effective", "2026-11-23", "note", "同一诉求两人起计分", "factor.group", "2:15 5:25 10:40")
	for _, rows := range [][]gradingRow{v.Colours, v.Event, v.Person} {
		for _, r := range rows {
			if !f.Has(r.Input) {
				f.Set(r.Input, r.Value)
			}
		}
	}
	if p := s.as("admin1").post("/grading", f); p.status != http.StatusOK {
		t.Fatalf("propose: %d %s", p.status, alertIn(p.body))
	}
	for name, size := range map[string][2]int64{"phone": {390, 844}, "desk": {1366, 900}} {
		for _, login := range []string{"admin1", "leader1"} {
			w := s.window(t, login, size[0], size[1])
			w.open("/grading")
			w.shot(name + "-grading-" + login)
			if out := eval[[]string](w, wider); len(out) > 0 {
				t.Errorf("%s sticks out at %d px: %q", login, size[0], out)
			}
		}
	}
}
