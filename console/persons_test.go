package console

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"lianxin/audit"
	"lianxin/storage"
	"lianxin/ticket"
	"lianxin/ticket/channel"
)

var personalLink = regexp.MustCompile(`/persons/([0-9A-Z]{26})"`)

func TestAPersonsCopyTakesTwoOfficersThroughThePages(t *testing.T) {
	t.Parallel()
	s := newHouse(t).fill()
	inspector, leader := s.as("inspector1"), s.as("leader1")
	const number, name = "19900001111", "王春花"
	found := inspector.post("/persons/find", form("who", number))
	if found.status != http.StatusOK || !strings.Contains(found.body, "199****1111") || strings.Contains(strings.ReplaceAll(found.body, `value="`+number, ""), number) {
		t.Fatalf("found: %d", found.status)
	}
	if p := inspector.post("/persons/find", form("who", "12")); p.status != http.StatusUnprocessableEntity || alertIn(p.body) == "" {
		t.Errorf("no number: %d", p.status)
	}
	if p := leader.post("/persons/find", form("who", number)); p.status != http.StatusForbidden {
		t.Errorf("a leader looks people up: %d", p.status)
	}
	who := regexp.MustCompile(`name="person" value="([^"]+)"`).FindStringSubmatch(found.body)[1]
	if p := inspector.post("/persons", form("person", who, "who", number, "kind", "erase", "proof", "idcard", "ground", "本人申请")); p.status != http.StatusUnprocessableEntity || !strings.Contains(alertIn(p.body), "没有办结") {
		t.Errorf("erasure with open requests: %d %s", p.status, alertIn(p.body))
	}
	if p := inspector.post("/persons", form("person", who, "who", number, "kind", "copy", "proof", "idcard", "ground", "本人申请2026-9")); p.status != http.StatusOK || p.path != "/persons" {
		t.Fatalf("register: %d %s", p.status, alertIn(p.body))
	}
	today := leader.get("/today")
	m := personalLink.FindStringSubmatch(today.body)
	if m == nil {
		t.Fatal("what waits for the leader does not stand on the leader's page")
	}
	page := "/persons/" + m[1]
	if p := inspector.get(page); strings.Contains(p.body, page+"/decide") || strings.Contains(p.body, page+"/run") {
		t.Error("whoever registered it is offered to decide it")
	}
	if p := inspector.post(page+"/decide", form("approve", "yes")); p.status != http.StatusUnprocessableEntity {
		t.Errorf("and does: %d", p.status)
	}
	if p := leader.post(page+"/decide", form("approve", "no", "note", "")); p.status != http.StatusUnprocessableEntity || alertIn(p.body) == "" {
		t.Errorf("refused without a reason: %d", p.status)
	}
	if p := leader.post(page+"/decide", form("approve", "yes")); p.status != http.StatusOK || strings.Contains(p.body, page+"/run") {
		t.Errorf("approved: %d", p.status)
	}
	copyOf := inspector.post(page+"/run", form("as", "html"))
	if copyOf.status != http.StatusOK || !strings.Contains(copyOf.body, number) || !strings.Contains(copyOf.body, name) || !strings.Contains(copyOf.header.Get("Content-Disposition"), "attachment") || copyOf.header.Get("Cache-Control") != "no-store" {
		t.Errorf("the copy: %d", copyOf.status)
	}
	if p := inspector.post(page+"/run", form("as", "json")); !strings.Contains(p.body, `"phone": "`+number) {
		t.Errorf("as data: %d", p.status)
	}
	if p := s.as("auditor1").get(page); p.status != http.StatusOK || strings.Contains(p.body, number) {
		t.Errorf("the auditor: %d", p.status)
	}
	for _, login := range []string{"operator1", "admin1", "handler1"} {
		if p := s.as(login).get(page); p.status != http.StatusForbidden {
			t.Errorf("%s: %d", login, p.status)
		}
	}
}

// CH-3 through the page: one officer drafts the published answer, another one approves it.
func TestAPublishedAnswerIsApprovedThroughThePageByASecondPerson(t *testing.T) {
	t.Parallel()
	s := newHouse(t).fill()
	k := s.open(ticket.Intake{Channel: "people", ExternalID: "R-1", Title: "建议增设信号灯", Body: "路口车多。", Raw: []byte("x"), By: ticket.System})
	page := "/tickets/" + k.ID + "/source"
	draft, judge := s.as("dispatcher1"), s.as("leader1")
	if p := draft.get(page); !strings.Contains(p.body, page+"/reply") || strings.Contains(p.body, page+"/decide") {
		t.Fatal("the form is not there")
	}
	if p := draft.post(page+"/reply", form("body", "您好，已列入明年计划。")); p.status != http.StatusOK {
		t.Fatalf("drafted: %d", p.status)
	}
	if p := judge.get("/today"); !strings.Contains(p.body, page) {
		t.Error("what is to be approved does not stand on the leader's page")
	}
	if p := draft.post(page+"/decide", form("approve", "yes")); p.status != http.StatusForbidden {
		t.Errorf("the author approves: %d", p.status)
	}
	if p := judge.get(page); !strings.Contains(p.body, page+"/decide") {
		t.Error("the leader is not offered to decide")
	}
	if p := judge.post(page+"/decide", form("approve", "no")); p.status != http.StatusUnprocessableEntity || alertIn(p.body) == "" {
		t.Errorf("sent back without a reason: %d", p.status)
	}
	if p := judge.post(page+"/decide", form("approve", "yes")); p.status != http.StatusOK {
		t.Fatalf("approved: %d", p.status)
	}
	s.view(func(tx *storage.Tx) error {
		r, err := s.gateway.PublicReply(tx, k.ID)
		if r.State != channel.ReplyApproved || r.DecidedBy != s.actor("leader1").String() {
			t.Errorf("%+v", r)
		}
		return err
	})
}

// CH-11: who came in person gets a code at the counter, shown once, with which the request is looked up.
func TestACodeMadeAtTheCounterOpensTheRequest(t *testing.T) {
	t.Parallel()
	s := newHouse(t).fill()
	k := s.open(ticket.Intake{Channel: "walkin", Title: "楼道堆物", Body: "三单元楼道堆放杂物。"})
	page := "/tickets/" + k.ID + "/source"
	if p := s.as("handler1").post(page+"/code", nil); p.status != http.StatusNotFound && p.status != http.StatusForbidden {
		t.Errorf("a unit makes a code: %d", p.status)
	}
	b := s.as("operator1")
	if p := b.get(page); !strings.Contains(p.body, page+"/code") {
		t.Fatal("the button is not there")
	}
	p := b.post(page+"/code", nil)
	m := regexp.MustCompile(`<b class="num"[^>]*>([A-Z0-9-]{8,9})</b>`).FindStringSubmatch(p.body)
	if p.status != http.StatusOK || m == nil {
		t.Fatalf("%d, no code on the page", p.status)
	}
	found, err := s.gateway.Find(s.ctx, k.Number, m[1])
	if err != nil || found.ID != k.ID {
		t.Errorf("the code opens %v: %v", found.ID, err)
	}
	if again := b.get(page); strings.Contains(again.body, m[1]) {
		t.Error("the code is shown again")
	}
}

// I7: a reveal leaves its reason in the log also where nobody's number is behind it.
func TestAReasonIsLoggedWhereThereIsNoContact(t *testing.T) {
	t.Parallel()
	s := newHouse(t).fill()
	k := s.open(ticket.Intake{Title: "反映噪音", Body: "楼下电话13812345678的人放音响", Anonymous: true})
	b := s.as("operator1")
	if p := b.post("/tickets/"+k.ID+"/reveal", form("reason", " ")); p.status != http.StatusUnprocessableEntity {
		t.Errorf("without a reason: %d", p.status)
	}
	if p := b.post("/tickets/"+k.ID+"/reveal", form("reason", "核对号码")); p.status != http.StatusOK || !strings.Contains(p.body, "13812345678") {
		t.Fatalf("%d", p.status)
	}
	s.view(func(tx *storage.Tx) error {
		events, err := audit.Stream(tx, "reveal/"+k.ID)
		if len(events) != 1 || !strings.Contains(string(events[0].Payload), "核对号码") {
			t.Errorf("%+v", events)
		}
		return err
	})
}
