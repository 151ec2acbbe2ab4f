package console

import (
	"bytes"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
	"time"

	"lianxin/city"
	"lianxin/storage"
	"lianxin/ticket"
	"lianxin/ticket/oversee"
)

// file posts a file as a form does.
func (b *browser) file(path, name, text string) answer {
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	f, _ := w.CreateFormFile("file", name)
	f.Write([]byte(text))
	w.Close()
	r, _ := http.NewRequest("POST", b.h.http.URL+path, &body)
	r.Header.Set("Content-Type", w.FormDataContentType())
	return b.send(r)
}

// The pages beside the main path: causes, 双情, silence and what follows from a bad rating, each as its people use it.
func TestThePagesBesideTheMainPath(t *testing.T) {
	t.Parallel()
	s := newHouse(t).fill()
	s.do(func(tx *storage.Tx) error { return city.LoadAreas(tx, s.office) })

	// A cause is set on the ticket's page, found by its filter, and counted on the list of causes.
	if p := s.as("dispatcher1").post("/tickets/"+s.handling.ID+"/act/cause", form("cause", "patrol", "note", "夜间无人巡逻")); p.status != http.StatusSeeOther && p.status != http.StatusOK {
		t.Fatalf("cause: %d %s", p.status, alertIn(p.body))
	}
	if p := s.as("dispatcher1").get("/tickets/" + s.handling.ID); !strings.Contains(p.body, "巡逻防控不到位") {
		t.Error("the cause does not stand on the page")
	}
	if p := s.as("dispatcher1").get("/tickets?cause=patrol"); !strings.Contains(p.body, s.handling.ID) || strings.Contains(p.body, s.fresh.ID) {
		t.Error("the filter by cause finds something else")
	}
	if p := s.as("admin1").post("/causes", form("code", "noise-law", "name", "噪声法规宣传不足")); p.status != http.StatusSeeOther && p.status != http.StatusOK {
		t.Errorf("put a cause: %d %s", p.status, alertIn(p.body))
	}
	if p := s.as("analyst1").get("/causes"); !strings.Contains(p.body, "噪声法规宣传不足") {
		t.Error("the new cause is not in the list")
	}

	// 警情 come as a file; the page says what became of each line and what belongs together.
	k := s.open(ticket.Intake{Title: "烧烤店扰民", Body: "南地社区烧烤店每晚噪音扰民。", ContactID: s.person("19900007777", ""), By: s.actor("operator1")})
	file := "警情编号,报警时间,警情类型,警情地点,报警电话\nJ1," + s.now().Add(-5*time.Hour).Format("2006-01-02 15:04") + ",噪音扰民,南地社区烧烤店,19900007777\nJ2,昨天,噪音,南地社区,\n"
	p := s.as("dispatcher1").file("/dual", "警情.csv", file)
	if p.status != http.StatusOK || !strings.Contains(p.body, "新收1") || !strings.Contains(p.body, "时间无法识别") || !strings.Contains(p.body, k.Number) {
		t.Errorf("import of 警情: %d %s", p.status, alertIn(p.body))
	}
	if p := s.as("handler1").get("/dual"); p.status != http.StatusForbidden {
		t.Errorf("a unit gets %d for 双情", p.status)
	}

	// Residents come as a file, all of it or nothing; who stays silent is listed, and an outreach opened from there.
	if p := s.as("supervisor1").file("/silence", "人口.csv", "区划代码,年龄段,人口,来源\n210502001002,,5000,2020年普查\n999,,1,x\n"); p.status != http.StatusUnprocessableEntity || !strings.Contains(p.body, "没有区划") {
		t.Errorf("a bad file of residents: %d", p.status)
	}
	if p := s.as("supervisor1").file("/silence", "人口.csv", "区划代码,年龄段,人口,来源\n210502001002,,5000,2020年普查\n210502001004,,8000,2020年普查\n"); p.status != http.StatusSeeOther && p.status != http.StatusOK {
		t.Errorf("residents: %d %s", p.status, alertIn(p.body))
	}
	if p := s.as("supervisor1").get("/silence"); !strings.Contains(p.body, "德泰社区") || !strings.Contains(p.body, "5000") {
		t.Error("the areas are not listed")
	}
	if p := s.as("supervisor1").get("/oversee/outreach?area=210502001004"); !strings.Contains(p.body, `value="210502001004"`) {
		t.Error("the area does not stand in the form")
	}

	// A bad rating: the unit works on it by its page, and the page does not lead it to who rated.
	var b oversee.BadRating
	s.do(func(tx *storage.Tx) (err error) {
		b, err = s.s.Oversight.RaiseBad(tx, oversee.BadIn{Key: "t1", Rated: "210502-zhanqian", Stars: 1, Source: "sms", Ticket: s.fresh.ID})
		return err
	})
	path := "/oversee/badrating/" + b.ID
	for _, step := range []struct {
		login, act string
		fields     []string
	}{
		{"caller1", "contact-bad", []string{"note", "已通话"}}, {"caller1", "verify-bad", []string{"finding", "true", "found", "答复生硬", "measure", "约谈"}},
		{"handler1", "rectify-bad", []string{"text", "已约谈"}}, {"supervisor1", "recheck-bad", []string{"ok", "yes", "text", "到位"}},
	} {
		page := s.as(step.login).get(path)
		if page.status != http.StatusOK || !strings.Contains(page.body, step.act) {
			t.Fatalf("%s is not offered %s (%d)", step.login, step.act, page.status)
		}
		if step.login == "handler1" && strings.Contains(page.body, s.fresh.Number) {
			t.Error("the rated unit is led to the ticket")
		}
		if p := s.as(step.login).post(path+"/act/"+step.act, form(step.fields...)); p.status != http.StatusSeeOther && p.status != http.StatusOK {
			t.Fatalf("%s: %d %s", step.act, p.status, alertIn(p.body))
		}
	}
	if p := s.as("supervisor1").get(path); !strings.Contains(p.body, "已办结") {
		t.Error("it is not over")
	}
	for _, login := range []string{"supervisor1", "leader1", "handler1"} {
		for _, path := range []string{"/oversee/mediation", "/oversee/badrating", "/oversee/outreach"} {
			if p := s.as(login).get(path); p.status != http.StatusOK {
				t.Errorf("%s at %s: %d", login, path, p.status)
			}
		}
	}
	// The same by the API.
	token := s.tokenIn("analyst", "benxi-minyi")
	for _, path := range []string{"/api/v1/overlaps", "/api/v1/silence", "/api/v1/oversight/badrating", "/api/v1/oversight/mediation", "/api/v1/tickets?cause=patrol"} {
		if p := s.ask(token, "GET", path, ""); p.status != http.StatusOK {
			t.Errorf("%s: %d %s", path, p.status, p.body)
		}
	}
	body := `{"number":"J9","at":"` + s.now().Add(-time.Hour).UTC().Format(time.RFC3339) + `","kind":"噪音扰民","place":"南地社区","phone":"19900007777"}`
	if p := s.ask(s.tokenIn("dispatcher", "benxi-minyi"), "POST", "/api/v1/incidents", body); p.status != http.StatusOK || !strings.Contains(p.body, `"fresh":true`) {
		t.Errorf("an incident by the API: %d %s", p.status, p.body)
	}
	if p := s.ask(token, "POST", "/api/v1/incidents", body); p.status != http.StatusForbidden {
		t.Errorf("an analyst enters an incident: %d", p.status)
	}
}
