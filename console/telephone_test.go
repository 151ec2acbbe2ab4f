package console

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"lianxin/contact"
	"lianxin/org"
	"lianxin/storage"
	"lianxin/survey"
	"lianxin/ticket"
)

// api sends a request as a role and reads the JSON answer.
func (h *house) apiAs(role org.Role, method, path string, in, out any) int {
	h.t.Helper()
	return h.apiIn(role, "", method, path, in, out)
}

func TestTheListOfCallsIsPausedAddedToAndReadOnThePageAndByTheAPI(t *testing.T) {
	h := newHouse(t)
	rung := 0
	h.s.RingSurvey = func() { rung++ }
	text := strings.Replace(survey.StandardText(), "{code: huzheng,", "{code: huzheng, telephone: [fixed_line],", 1)
	cfg, err := survey.ParseConfig([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	h.s.Survey.Config = cfg
	unit := ""
	h.do(func(tx *storage.Tx) error {
		all, err := org.Units(tx)
		unit = all[len(all)-1].ID
		return err
	})
	day := h.now().Add(-24 * time.Hour).Format("2006-01-02")
	rows := "业务类别,业务流水号,办理时间,姓名,电话,出生日期,单位编码,事项,敏感标记,备注\n" +
		"户政,T1," + day + " 09:00,钱一,024-42830001,," + unit + ",办证,,\n出入境,T2," + day + " 09:00,孙二,024-42830002,," + unit + ",办证,,\n"
	if _, err := h.s.Survey.Import(h.ctx, strings.NewReader(rows), "r.csv", survey.ImportOptions{}); err != nil {
		t.Fatal(err)
	}
	if p := h.as("supervisor1").post("/survey/run", form("day", day)); p.status != http.StatusOK {
		t.Fatalf("run: %d", p.status)
	}
	b := h.as("supervisor1")
	if p := b.post("/survey/telephone/now", form()); p.status != http.StatusOK || rung == 0 {
		t.Errorf("look at the list: %d", p.status)
	}
	p := b.get("/survey/telephone")
	if p.status != http.StatusOK || !strings.Contains(p.body, "T1") || !strings.Contains(p.body, "固定电话") || !strings.Contains(p.body, "待拨打") || strings.Contains(p.body, "42830001") {
		t.Errorf("the list: %d", p.status)
	}
	if p := b.post("/survey/telephone", form("class", "churujing", "source", "nothing")); p.status != http.StatusUnprocessableEntity || !strings.Contains(p.body, "没有这条业务记录") {
		t.Errorf("a record that is not there: %d", p.status)
	}
	if p := b.post("/survey/telephone", form("class", "churujing", "source", "T2")); p.status != http.StatusOK || !strings.Contains(h.as("supervisor1").get("/survey/telephone").body, "本人要求") {
		t.Errorf("somebody who wishes it: %d", p.status)
	}
	if p := b.post("/survey/telephone/switch", form("do", "pause")); p.status != http.StatusUnprocessableEntity {
		t.Errorf("paused without a reason: %d", p.status)
	}
	if p := b.post("/survey/telephone/switch", form("do", "pause", "reason", "线路检修")); p.status != http.StatusOK || !strings.Contains(h.as("supervisor1").get("/survey/telephone").body, "线路检修") {
		t.Errorf("pause: %d", p.status)
	}
	for _, c := range []struct{ path string }{{"/survey/telephone/switch"}, {"/survey/telephone/now"}, {"/survey/telephone"}} {
		if p := h.as("analyst1").post(c.path, form("do", "resume")); p.status != http.StatusForbidden {
			t.Errorf("an analyst may %s: %d", c.path, p.status)
		}
	}
	var out struct {
		Items []CalleeOut
		Total int
	}
	if status := h.apiAs(org.Analyst, "GET", "/api/v1/survey/telephone?state=waiting", nil, &out); status != 200 || out.Total != 2 || out.Items[0].Number == "" || strings.Contains(out.Items[0].Number, "4283") {
		t.Errorf("%d %+v", status, out)
	}
	if status := h.apiAs(org.Supervisor, "PUT", "/api/v1/survey/telephone/switch", map[string]any{"paused": false}, nil); status != 200 {
		t.Errorf("go on by the API: %d", status)
	}
	if status := h.apiAs(org.Supervisor, "DELETE", "/api/v1/survey/telephone/"+out.Items[0].ID, nil, nil); status != 204 {
		t.Errorf("take off by the API: %d", status)
	}
	if status := h.apiAs(org.Analyst, "DELETE", "/api/v1/survey/telephone/"+out.Items[1].ID, nil, nil); status != 403 {
		t.Errorf("an analyst takes off: %d", status)
	}
}

func TestACallersMarkIsProposedByOneApprovedByAnotherAndEnds(t *testing.T) {
	h := newHouse(t)
	phone, err := contact.ParsePhone("13841400007")
	if err != nil {
		t.Fatal(err)
	}
	marks := func() (words []string) {
		h.do(func(tx *storage.Tx) error {
			list, err := h.book.Flags(tx, phone)
			for _, f := range list {
				words = append(words, f.Flag)
			}
			return err
		})
		return words
	}
	b := h.as("supervisor1")
	for name, f := range map[string][]string{
		"no number": {"number", "abc", "flag", "vip", "reason", "受害人", "days", "30"}, "no reason": {"number", "13841400007", "flag", "vip", "reason", " ", "days", "30"},
		"too long": {"number", "13841400007", "flag", "vip", "reason", "受害人", "days", "9999"}, "nuisance": {"number", "13841400007", "other", "nuisance", "reason", "骚扰", "days", "30"},
	} {
		if p := b.post("/marks", form(f...)); p.status != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d", name, p.status)
		}
	}
	if p := b.post("/marks", form("number", "13841400007", "flag", "vip", "reason", "受保护的受害人", "days", "30")); p.status != http.StatusOK {
		t.Fatalf("propose: %d", p.status)
	}
	if p := b.post("/marks", form("number", "13841400007", "flag", "vip", "reason", "再来一次", "days", "30")); p.status != http.StatusUnprocessableEntity {
		t.Errorf("proposed twice: %d", p.status)
	}
	if len(marks()) != 0 {
		t.Error("a proposal holds already")
	}
	var out struct{ Items []MarkOut }
	if status := h.apiAs(org.Supervisor, "GET", "/api/v1/caller-flags", nil, &out); status != 200 || len(out.Items) != 1 || out.Items[0].State != "proposed" || strings.Contains(out.Items[0].Number, "41400") {
		t.Fatalf("%d %+v", status, out)
	}
	id := out.Items[0].ID
	if p := b.post("/marks/"+id+"/decide", form("approve", "yes")); p.status != http.StatusUnprocessableEntity {
		t.Errorf("approved by who proposed it: %d", p.status)
	}
	if p := h.as("operator1").post("/marks/"+id+"/decide", form("approve", "yes")); p.status != http.StatusForbidden {
		t.Errorf("approved by an operator: %d", p.status)
	}
	if p := h.as("leader1").post("/marks/"+id+"/decide", form("approve", "yes")); p.status != http.StatusOK || len(marks()) != 1 {
		t.Errorf("approve: %d %v", p.status, marks())
	}
	if p := b.get("/marks"); !strings.Contains(p.body, "生效中") || !strings.Contains(p.body, "138****0007") || strings.Contains(p.body, "13841400007") {
		t.Errorf("the list: %d", p.status)
	}
	if p := h.as("operator1").post("/marks/"+id+"/lift", form("reason", "不需要")); p.status != http.StatusNotFound {
		t.Errorf("an operator takes a mark off: %d", p.status)
	}
	h.mu.Lock()
	h.clock = h.clock.Add(31 * 24 * time.Hour)
	h.mu.Unlock()
	if len(marks()) != 0 {
		t.Error("a mark holds beyond its days")
	}
	var made MarkOut
	if status := h.apiAs(org.Operator, "POST", "/api/v1/caller-flags", map[string]any{"number": "13841400007", "flag": "lang-ko", "reason": "只会朝鲜语", "days": 365}, &made); status != 201 {
		t.Fatalf("propose by the API: %d", status)
	}
	if status := h.apiAs(org.Supervisor, "POST", "/api/v1/caller-flags/"+made.ID+"/decision", map[string]any{"approve": true}, &made); status != 200 || made.State != "in_force" || len(marks()) != 1 {
		t.Errorf("approve by the API: %d %+v", status, made)
	}
	if status := h.apiAs(org.Supervisor, "POST", "/api/v1/caller-flags/"+made.ID+"/lift", map[string]any{"reason": "不再需要"}, &made); status != 200 || made.State != "lifted" || len(marks()) != 0 {
		t.Errorf("lift by the API: %d %+v", status, made)
	}
}

func TestTheCitizenOfATicketIsCalledFromItsPageByWhoMayCall(t *testing.T) {
	s := newHouse(t).fill()
	path := "/tickets/" + s.fresh.ID
	if s.fresh.ContactID == "" {
		t.Fatal("the sample ticket has no citizen")
	}
	if p := s.as("operator1").get(path); !strings.Contains(p.body, path+"/dial") {
		t.Errorf("an operator has no button: %d", p.status)
	}
	s.as("operator1").post(path+"/dial", form())
	if _, outs := s.takesOrders(); len(outs) != 1 || outs[0].TicketID != s.fresh.ID || outs[0].Number.IsZero() || outs[0].ContactID != s.fresh.ContactID || outs[0].Staff.ID != s.staff["operator1"].ID {
		t.Errorf("%+v", outs)
	}
	if p := s.as("analyst1").post(path+"/dial", form()); p.status != http.StatusForbidden {
		t.Errorf("an analyst calls: %d", p.status)
	}
	secret := s.open(ticket.Intake{Title: "反映问题", Body: "请保密。", ContactID: s.fresh.ContactID, Confidential: true, By: s.actor("operator2")})
	if p := s.as("supervisor1").post("/tickets/"+secret.ID+"/dial", form()); p.status != http.StatusForbidden {
		t.Errorf("somebody who may not know them calls a confidential citizen: %d", p.status)
	}
	s.as("operator1").post("/dial", form("number", "024-42830001"))
	if _, outs := s.takesOrders(); len(outs) != 1 || outs[0].Number.Clear() != "02442830001" {
		t.Errorf("%+v", outs)
	}
	if p := s.as("operator1").post("/dial", form("number", "什么")); p.status != http.StatusUnprocessableEntity {
		t.Errorf("no number: %d", p.status)
	}
}
