package console

import (
	"net/http"
	"strings"
	"testing"

	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket"
	"lianxin/ticket/oversee"
)

// RES-3 on its pages: from the alert to the unit, its contacts, and the end.
func TestAnInterventionGoesFromTheAlertsPageToItsEnd(t *testing.T) {
	t.Parallel()
	s := newHouse(t).fill()
	var a ticket.Alert
	s.do(func(tx *storage.Tx) (err error) {
		a, err = s.office.RaiseAlert(tx, ticket.Alert{Key: "t/1", Rule: "W1", Level: ticket.Red, Title: "扬言报复", By: ticket.System})
		return err
	})
	link := "/oversee/intervention?alert=" + a.ID
	if p := s.as("supervisor1").get("/alerts/" + a.ID); strings.Contains(p.body, link) {
		t.Error("offered before somebody has acknowledged it")
	}
	s.as("operator1").post("/alerts/"+a.ID+"/ack", form())
	if p := s.as("operator1").get("/alerts/" + a.ID); p.status != http.StatusOK || strings.Contains(p.body, link) {
		t.Errorf("an operator sends units: %d", p.status)
	}
	if p := s.as("supervisor1").get("/alerts/" + a.ID); !strings.Contains(p.body, link) {
		t.Error("not offered")
	}
	if p := s.as("supervisor1").get(link); !strings.Contains(p.body, `value="`+a.ID+`"`) {
		t.Error("the alert does not stand in the form")
	}
	if p := s.as("supervisor1").post("/oversee/intervention/act/open-intervention", form("alert", a.ID, "unit", "210502-zhanqian", "risk", "与邻居积怨三年")); p.status != http.StatusOK {
		t.Fatalf("%d %s", p.status, alertIn(p.body))
	}
	at := s.matter(t, "handler1", oversee.KindIntervention)
	if p := s.as("supervisor1").get("/alerts/" + a.ID); !strings.Contains(p.body, at) || !strings.Contains(p.body, "已干预处置") {
		t.Error("the alert does not lead to it")
	}
	if p := s.as("handler1").post(at+"/act/step", form("way", "meet", "condition", "calm", "text", "见面谈话，情绪平稳")); p.status != http.StatusOK || !strings.Contains(p.body, "见面谈话，情绪平稳") {
		t.Errorf("%d %s", p.status, alertIn(p.body))
	}
	if p := s.as("handler2").get(at); p.status != http.StatusNotFound {
		t.Errorf("another unit: %d", p.status)
	}
	id := at[strings.LastIndex(at, "/")+1:]
	if p := s.ask(s.tokenIn(org.Supervisor, ""), "POST", "/api/v1/oversight/intervention/"+id+"/act/end-intervention", `{"outcome":["eased"],"text":["双方和解"]}`); p.status != http.StatusOK || !strings.Contains(p.body, "风险解除") {
		t.Errorf("API: %d %s", p.status, p.body)
	}
	w := s.window(t, "supervisor1", 390, 844)
	w.open(at)
	if wide := eval[int](w, `document.documentElement.scrollWidth`); wide > 390 {
		t.Errorf("%d px wide on a phone of 390", wide)
	}
	w.shot("intervention-390")
}
