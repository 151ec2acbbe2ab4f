package console

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"lianxin/storage"
	"lianxin/ticket"
	"lianxin/ticket/oversee"
)

// matter is the path of the first matter of a kind on its list.
func (s *sample) matter(t *testing.T, login string, k oversee.Kind) string {
	t.Helper()
	body := s.as(login).get("/oversee/" + string(k)).body
	mark := `class="title" href="`
	i := strings.Index(body, mark)
	if i < 0 {
		t.Fatalf("%s sees no %s", login, k)
	}
	rest := body[i+len(mark):]
	return rest[:strings.Index(rest, `"`)]
}

func TestOversightGoesThroughItsPages(t *testing.T) {
	s := newHouse(t).fill()
	step := func(login, path string, want int, pairs ...string) {
		t.Helper()
		p := s.as(login).post(path, form(pairs...))
		if p.status != want {
			t.Errorf("%s %s: %d, want %d: %s", login, path, p.status, want, alertIn(p.body))
		}
		s.pass(time.Minute)
	}
	// 挂牌: proposed, refused to the wrong people, approved, signed, answered, released.
	step("operator1", "/oversee/supervision/act/propose", http.StatusUnprocessableEntity, "ticket", s.handling.Number, "level", "2", "trigger", "hand", "grounds", "反复反映")
	step("supervisor1", "/oversee/supervision/act/propose", http.StatusOK, "ticket", s.handling.Number, "level", "2", "trigger", "hand", "grounds", "反复反映")
	at := s.matter(t, "supervisor1", oversee.KindSupervision)
	if p := s.as("handler1").get(at); p.status != http.StatusNotFound {
		t.Errorf("the unit sees a candidate: %d", p.status)
	}
	step("supervisor1", at+"/act/issue", http.StatusUnprocessableEntity, "unit", s.legs(s.handling.ID)[0].Unit, "requirement", "五日内办结")
	step("leader1", at+"/act/issue", http.StatusOK, "unit", s.legs(s.handling.ID)[0].Unit, "requirement", "五日内办结")
	if p := s.as("handler1").get(at); p.status != http.StatusOK || !strings.Contains(p.body, "五日内办结") {
		t.Errorf("the unit gets %d", p.status)
	}
	if p := s.as("handler2").get(at); p.status != http.StatusNotFound {
		t.Errorf("another unit gets %d", p.status)
	}
	step("handler1", at+"/act/sign", http.StatusOK)
	step("handler1", at+"/act/feed", http.StatusOK, "text", "已办结", "final", "yes")
	step("leader1", at+"/act/release", http.StatusUnprocessableEntity, "verdict", "同意摘牌")
	step("supervisor1", at+"/act/wish-release", http.StatusOK, "reason", "问题已解决")
	step("leader1", at+"/act/release", http.StatusOK, "verdict", "同意摘牌")
	if p := s.as("supervisor1").get(at); !strings.Contains(p.body, "已销号") || !strings.Contains(p.body, "同意摘牌") {
		t.Error("the end is not on the page")
	}
	if p := s.as("supervisor1").get("/tickets/" + s.handling.ID); !strings.Contains(p.body, at) {
		t.Error("the ticket's page does not tell of it")
	}
	// What belongs to a ticket that is hidden is hidden.
	if p := s.as("supervisor1").get("/tickets/" + s.restricted.ID); p.status != http.StatusNotFound {
		t.Errorf("%d", p.status)
	}
	// Other kinds open from their pages too.
	step("supervisor1", "/oversee/order/act/draft-order", http.StatusOK, "title", "校园周边整治", "content", "清查", "lead", "210502-zhanqian", "due", "2027-01-10", "tickets", s.handling.Number)
	step("supervisor1", "/oversee/backcheck/act/open-backcheck", http.StatusOK, "domain", "window", "unit", "210502-qianjin", "of", "210502-zhanqian", "refs", "A1 A2", "cause", "差评集中")
	step("analyst1", "/oversee/measure/act/open-measure", http.StatusOK, "type", "rule", "title", "免收核验费", "text", "旅馆不得收取")
	step("supervisor1", "/oversee/topic/act/open-topic", http.StatusOK, "title", "夜间噪声", "tickets", s.handling.Number+" "+s.accepted.Number)
	step("dispatcher1", "/oversee/consult/act/open-consult", http.StatusOK, "ticket", s.accepted.Number, "reason", "duty", "question", "归谁管辖")
	for _, lang := range []string{"zh-CN", "en"} {
		for _, login := range []string{"operator1", "dispatcher1", "handler1", "reviewer1", "caller1", "supervisor1", "expert1", "analyst1", "leader1", "clerk1", "inspector1", "admin1", "auditor1"} {
			b := s.as(login)
			b.get("/lang/" + lang + "?next=/")
			for _, k := range overseeKinds {
				p := b.get("/oversee/" + string(k))
				if want := map[bool]int{true: http.StatusOK, false: http.StatusNotFound}[oversee.MaySee(k, s.actor(login))]; p.status != want {
					t.Errorf("%s gets %d for %s, want %d", login, p.status, k, want)
				}
				if i := strings.Index(p.body, ">o-"); i >= 0 {
					t.Errorf("%s %s: a key without a text: %.40s", lang, k, p.body[i:])
				}
			}
		}
		for _, k := range []oversee.Kind{oversee.KindSupervision, oversee.KindOrder, oversee.KindBackcheck, oversee.KindTopic, oversee.KindConsult, oversee.KindMeasure} {
			p := s.as("supervisor1").get(s.matter(t, "supervisor1", k))
			for _, bad := range []string{">o-", ">f-o-", ">ov-", "%!"} {
				if i := strings.Index(p.body, bad); p.status != http.StatusOK || i >= 0 {
					t.Errorf("%s %s: %d %s", lang, k, p.status, bad)
				}
			}
		}
	}
}

func TestRepeatsAreJudgedOnTheTicketsPageAndRulesAreBackTested(t *testing.T) {
	s := newHouse(t).fill()
	who := s.person("19900007777", "")
	body := "和平小区五号楼前下水道堵了半年，污水横流臭味很大。"
	a := s.open(ticket.Intake{Title: "下水道堵塞", Body: body, ContactID: who})
	b := s.open(ticket.Intake{Title: "污水横流无人管", Body: "和平小区五号楼前污水横流，下水道堵着没人修。", ContactID: s.person("19900006666", "")})
	if err := s.s.Oversight.Sweep(s.ctx, s.db, s.now()); err != nil {
		t.Fatal(err)
	}
	var id string
	s.view(func(tx *storage.Tx) error {
		links, err := s.s.Oversight.LinksOf(tx, b.ID, s.actor("dispatcher1"))
		for _, l := range links {
			if l.Earlier() == a.ID {
				id = l.ID
			}
		}
		return err
	})
	if id == "" {
		t.Fatal("nothing is suggested")
	}
	if p := s.as("dispatcher1").get("/tickets/" + b.ID); !strings.Contains(p.body, a.Number) || !strings.Contains(p.body, "同一地点") || !strings.Contains(p.body, "/oversee/link/"+id) {
		t.Error("the page does not show the suggestion with its evidence")
	}
	if p := s.as("operator1").post("/oversee/link/"+id+"/act/judge-link", form("same", "yes")); p.status != http.StatusUnprocessableEntity {
		t.Errorf("an operator judges: %d", p.status)
	}
	if p := s.as("dispatcher1").post("/oversee/link/"+id+"/act/judge-link", form("same", "no", "why", "不是同一栋楼", "back", "/tickets/"+b.ID)); p.status != http.StatusOK || !strings.Contains(p.body, "不是同一事项") {
		t.Errorf("rejecting: %d", p.status)
	}
	if p := s.as("supervisor1").post("/oversee/rules/backtest", form("from", "2026-11-01", "to", "2026-12-31")); p.status != http.StatusOK || !strings.Contains(p.body, "共重放") {
		t.Errorf("back-test: %d", p.status)
	}
	if p := s.as("supervisor1").post("/oversee/rules/backtest", form("from", "2026-11-01", "to", "2026-12-31", "rules", `{"version":"x","warn":{"surge_p":7}}`)); p.status != http.StatusUnprocessableEntity || alertIn(p.body) == "" {
		t.Errorf("bad thresholds: %d", p.status)
	}
	if p := s.as("supervisor1").post("/oversee/rules", form("rules", `{"version":"2027"}`)); p.status != http.StatusForbidden {
		t.Errorf("a supervisor sets rules: %d", p.status)
	}
	if p := s.as("admin1").post("/oversee/rules", form("rules", `{"version":"2027","supervise":{"pending_days":20}}`)); p.status != http.StatusOK || !strings.Contains(p.body, "2027/") {
		t.Errorf("the administrator sets rules: %d %s", p.status, alertIn(p.body))
	}
}
