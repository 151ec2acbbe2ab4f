package console

import (
	"bytes"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"

	"lianxin/org"
	"lianxin/ticket/oversee"
)

// paper hands a file in on the page of a matter.
func (b *browser) paper(at, content string, pairs ...string) answer {
	b.h.t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	f, _ := w.CreateFormFile("file", "文件.pdf")
	f.Write([]byte(content))
	for i := 0; i < len(pairs); i += 2 {
		w.WriteField(pairs[i], pairs[i+1])
	}
	w.Close()
	r, err := http.NewRequest("POST", b.h.http.URL+at+"/papers/add", &body)
	if err != nil {
		b.h.t.Fatal(err)
	}
	r.Header.Set("Content-Type", w.FormDataContentType())
	return b.send(r)
}

func TestAnAgreementIsHandedInAndTakenOnThePageOfItsMediation(t *testing.T) {
	s := newHouse(t).fill()
	if p := s.as("supervisor1").post("/oversee/mediation/act/open-mediation", form("ticket", s.handling.Number, "title", "养犬纠纷", "sort", "neighbours", "parties", "2")); p.status != http.StatusOK {
		t.Fatalf("%d %s", p.status, alertIn(p.body))
	}
	at := s.matter(t, "handler1", oversee.KindMediation)
	send := func(login, content string, pairs ...string) answer {
		t.Helper()
		return s.as(login).paper(at, content, pairs...)
	}
	if p := send("handler1", "%PDF-1.7 早了"); p.status != http.StatusConflict && p.status != http.StatusUnprocessableEntity || !strings.Contains(p.body, "不能上传协议书") {
		t.Errorf("before a session: %d %s", p.status, alertIn(p.body))
	}
	s.as("handler1").post(at+"/act/session", form("text", "双方到场", "present", "2"))
	if p := send("handler1", "not a paper"); p.status != http.StatusUnprocessableEntity || !strings.Contains(p.body, "PDF、JPG或PNG") {
		t.Errorf("another kind of file: %d %s", p.status, alertIn(p.body))
	}
	if p := send("handler1", "%PDF-1.7 签字", "signed", "on"); p.status != http.StatusOK || !strings.Contains(p.body, "签字版") || !strings.Contains(p.body, at+"/papers/1") {
		t.Errorf("handed in: %d %s", p.status, alertIn(p.body))
	}
	if p := send("handler2", "%PDF-1.7 别人"); p.status != http.StatusNotFound {
		t.Errorf("another unit: %d", p.status)
	}
	if p := s.as("handler1").get(at + "/papers/1"); p.status != http.StatusOK || p.body != "%PDF-1.7 签字" || p.header.Get("Content-Type") != "application/pdf" {
		t.Errorf("taken: %d %q", p.status, p.body)
	}
	if p := s.as("handler1").get(at + "/papers/2"); p.status != http.StatusNotFound {
		t.Errorf("a version that is none: %d", p.status)
	}
	if p := s.as("handler2").get(at + "/papers/1"); p.status != http.StatusNotFound {
		t.Errorf("another unit takes it: %d", p.status)
	}
	id := at[strings.LastIndex(at, "/")+1:]
	if a := s.ask(s.tokenIn("supervisor", ""), "GET", "/api/v1/oversight/mediation/"+id+"/papers/1", ""); a.status != http.StatusOK || a.body != "%PDF-1.7 签字" {
		t.Errorf("API: %d %.200s", a.status, a.body)
	}
	if a := s.ask(s.tokenIn(org.Operator, ""), "GET", "/api/v1/oversight/mediation/"+id+"/papers/1", ""); a.status == http.StatusOK {
		t.Error("an operator takes it")
	}
}

func TestEvidenceIsHandedInAndTakenOnThePageOfItsMeasure(t *testing.T) {
	t.Parallel()
	s := newHouse(t).fill()
	if p := s.as("supervisor1").post("/oversee/measure/act/open-measure", form("type", "facility", "title", "便民座椅", "text", "各窗口配备座椅", "unit", "210502-zhanqian")); p.status != http.StatusOK {
		t.Fatalf("%d %s", p.status, alertIn(p.body))
	}
	at := s.matter(t, "supervisor1", oversee.KindMeasure)
	if p := s.as("supervisor1").paper(at, "%PDF-1.7 照片"); p.status != http.StatusUnprocessableEntity || !strings.Contains(p.body, "佐证说明") {
		t.Errorf("without what it shows: %d %s", p.status, alertIn(p.body))
	}
	if p := s.as("supervisor1").paper(at, "%PDF-1.7 照片", "why", "安装后照片"); p.status != http.StatusOK || !strings.Contains(p.body, "安装后照片") || !strings.Contains(p.body, at+"/papers/1") {
		t.Errorf("handed in: %d %s", p.status, alertIn(p.body))
	}
	if p := s.as("supervisor1").get(at + "/papers/1"); p.status != http.StatusOK || p.body != "%PDF-1.7 照片" {
		t.Errorf("taken: %d %q", p.status, p.body)
	}
	if p := s.as("handler1").get(at + "/papers/1"); p.status == http.StatusOK {
		t.Error("a unit takes it")
	}
	id := at[strings.LastIndex(at, "/")+1:]
	tok := s.tokenIn(org.Supervisor, "")
	if a := s.ask(tok, "GET", "/api/v1/oversight/measure/"+id+"/papers/1", ""); a.status != http.StatusOK || a.body != "%PDF-1.7 照片" {
		t.Errorf("API: %d %.200s", a.status, a.body)
	}
	if a := s.ask(tok, "GET", "/api/v1/oversight/topic/"+id+"/papers/1", ""); a.status != http.StatusUnprocessableEntity && a.status != http.StatusNotFound {
		t.Errorf("papers of a topic: %d", a.status)
	}
}
