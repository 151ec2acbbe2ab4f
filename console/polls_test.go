package console

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"lianxin/storage"
	"lianxin/workday"
)

var (
	pollAt   = regexp.MustCompile(`/polls/([0-9A-Z]{26})`)
	pollLink = regexp.MustCompile(`https://minyi\.example(/p/poll/[A-Za-z0-9_-]{22})`)
)

// A poll from its draft to its results: the invited answer on a page that asks for no name, once; staff see nothing before the end.
func TestAPollIsAskedAnsweredAndReadOnItsPages(t *testing.T) {
	h := newHouse(t)
	analyst, supervisor, leader := h.as("analyst1"), h.as("supervisor1"), h.as("leader1")
	asked := form("title", "城市安全感测评", "questions", "【五级】您对治安满意吗？\n【多选】最关心什么？\n- 反诈\n- 交通\n【文字】您的建议", "smallest", "5")
	if p := analyst.post("/polls", form("title", "测评", "questions", "怎么样", "smallest", "5")); p.status != http.StatusUnprocessableEntity || !strings.Contains(p.body, "第1行") || !strings.Contains(p.body, "怎么样") {
		t.Errorf("questions that cannot be read: %d", p.status)
	}
	m := pollAt.FindStringSubmatch(analyst.post("/polls", asked).path)
	if m == nil {
		t.Fatal("no poll was made")
	}
	at := "/polls/" + m[1]
	until := (workday.DayOf(h.now()) + 7).String()
	if p := analyst.post(at+"/act/start", form("until", until)); p.status != http.StatusUnprocessableEntity {
		t.Errorf("the author opens it: %d", p.status)
	}
	if p := leader.post(at+"/act/start", form("until", until)); p.status != http.StatusForbidden {
		t.Errorf("a leader opens it: %d", p.status)
	}
	if p := supervisor.post(at+"/act/start", form("until", until)); p.status != http.StatusOK {
		t.Fatalf("opened: %d %s", p.status, alertIn(p.body))
	}
	if p := supervisor.post(at+"/act/invite", form("people", "手机号,组别\n13800000001,甲\nabc,甲")); p.status != http.StatusUnprocessableEntity || !strings.Contains(p.body, "第3行") {
		t.Errorf("a bad list: %d %s", p.status, alertIn(p.body))
	}
	list := "手机号,组别\n"
	for i := range 7 {
		list += fmt.Sprintf("1380000010%d,甲\n", i)
	}
	if p := supervisor.post(at+"/act/invite", form("people", list)); p.status != http.StatusOK || !strings.Contains(p.body, "已邀请7人") {
		t.Fatalf("invited: %d %s", p.status, alertIn(p.body))
	}
	var links []string
	h.view(func(tx *storage.Tx) error {
		sealed, err := storage.All(tx, func(r storage.Row) (b []byte, err error) { return b, r.Scan(&b) }, `SELECT words FROM sms WHERE campaign = $1`, "poll:"+m[1])
		for _, b := range sealed {
			text, err := h.book.Vault.For("sms.text").Open(b)
			if err != nil {
				return err
			}
			if x := pollLink.FindStringSubmatch(text); x != nil {
				links = append(links, x[1])
			}
		}
		return err
	})
	if len(links) != 7 {
		t.Fatalf("%d links", len(links))
	}
	send := func(path string, f url.Values) (int, string) {
		t.Helper()
		r, err := http.NewRequest("POST", h.http.URL+path, strings.NewReader(f.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		p := (&browser{h: h, client: http.DefaultClient}).send(r)
		return p.status, p.body
	}
	if p := (&browser{h: h, client: http.DefaultClient}).get(links[0]); p.status != http.StatusOK || !strings.Contains(p.body, "您对治安满意吗") || strings.Contains(p.body, "13800000100") {
		t.Errorf("the questions: %d", p.status)
	}
	if status, body := send(links[0], form("q0", "1", "q2", "多巡逻")); status != http.StatusUnprocessableEntity || !strings.Contains(body, "第2题") || !strings.Contains(body, "多巡逻") {
		t.Errorf("half an answer: %d, and what was said is there: %v", status, strings.Contains(body, "多巡逻"))
	}
	for i, l := range links[:6] {
		if status, body := send(l, form("q0", fmt.Sprint(i%2), "q1", "0", "q2", fmt.Sprintf("建议%d，电话13912345678", i))); status != http.StatusOK {
			t.Errorf("answer %d: %d %s", i, status, body)
		}
	}
	if status, _ := send(links[0], form("q0", "0", "q1", "0")); status != http.StatusGone {
		t.Errorf("a link twice: %d", status)
	}
	if p := leader.get(at); strings.Contains(p.body, "建议0") || !strings.Contains(p.body, "已加密封存") {
		t.Error("answers are shown before the end, or it is not said that they are sealed")
	}
	if p := supervisor.post(at+"/act/close", nil); p.status != http.StatusOK {
		t.Fatalf("closed: %d %s", p.status, alertIn(p.body))
	}
	p := leader.get(at)
	for _, want := range []string{"n = <b>6</b>", "100.00%", "建议0", "邀请名单和链接已删除"} {
		if !strings.Contains(p.body, want) {
			t.Errorf("the results do not say %q", want)
		}
	}
	if strings.Contains(p.body, "13912345678") {
		t.Error("a number stands in the results")
	}
	if status, _ := send(links[6], form("q0", "0", "q1", "0")); status != http.StatusGone {
		t.Errorf("a link after the end: %d", status)
	}
	if p := leader.get(at + "/export"); p.status != http.StatusOK || !strings.HasPrefix(p.body, "PK") {
		t.Errorf("the workbook: %d", p.status)
	}
	// A special report has the results in it, and no words of anybody.
	day := workday.DayOf(h.now()).String()
	if p := analyst.get("/reports"); !strings.Contains(p.body, `value="`+m[1]+`"`) {
		t.Error("the poll cannot be chosen for a special report")
	}
	if p := analyst.post("/reports", form("kind", "special", "day", "", "title", "安全感测评专报", "from", day, "to", day, "poll", m[1])); !reportAt.MatchString(p.path) || !strings.Contains(p.body, "测评第1题 您对治安满意吗") || !strings.Contains(p.body, "100.00%") || strings.Contains(p.body, "建议0") {
		t.Errorf("a special report of the poll: %d at %s %s", p.status, p.path, alertIn(p.body))
	}
	if p := analyst.post("/reports", form("kind", "special", "day", "", "title", "安全感测评专报", "from", day, "to", day, "poll", "none")); p.status != http.StatusUnprocessableEntity || !strings.Contains(p.body, "没有这个测评") {
		t.Errorf("a report of no poll: %d", p.status)
	}
	if a := h.ask(h.tokenIn("leader", ""), "GET", "/api/v1/polls/"+m[1], ""); a.status != http.StatusOK || !strings.Contains(a.body, `"n":6`) {
		t.Errorf("API: %d %.300s", a.status, a.body)
	}
	if a := h.ask(h.tokenIn("operator", ""), "GET", "/api/v1/polls/"+m[1], ""); a.status != http.StatusForbidden {
		t.Errorf("API, an operator: %d", a.status)
	}
	if p := h.as("operator1").get("/polls"); p.status != http.StatusForbidden {
		t.Errorf("an operator: %d", p.status)
	}
}
