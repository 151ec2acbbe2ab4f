package console

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"lianxin/report"
	"lianxin/storage"
	"lianxin/workday"
)

var reportAt = regexp.MustCompile(`/reports/([0-9A-Z]{26})`)

// An edition goes from its draft to its correction on the pages: three persons, and a version that nobody can change.
func TestAReportIsDraftedReviewedPublishedAndCorrectedOnItsPages(t *testing.T) {
	s := newHouse(t).fill()
	day := workday.DayOf(s.now())
	analyst, supervisor, leader, reviewer := s.as("analyst1"), s.as("supervisor1"), s.as("leader1"), s.as("reviewer1")
	if p := analyst.post("/reports", form("kind", "daily", "day", "gestern")); p.status != http.StatusUnprocessableEntity {
		t.Errorf("a day that is none: %d", p.status)
	}
	s.pass(20 * time.Hour)
	p := analyst.post("/reports", form("kind", "daily", "day", day.String()))
	m := reportAt.FindStringSubmatch(p.path)
	if m == nil {
		t.Fatalf("drafted: %d at %s: %s", p.status, p.path, alertIn(p.body))
	}
	at := "/reports/" + m[1]
	if p := reviewer.get(at); p.status != http.StatusNotFound {
		t.Errorf("a unit gets a draft: %d", p.status)
	}
	if p := analyst.post(at+"/act/edit", form("summary", "电话 13812345678")); p.status != http.StatusUnprocessableEntity || !strings.Contains(p.body, "电话 13812345678") {
		t.Errorf("a number in a report: %d, what was typed is there: %v", p.status, strings.Contains(p.body, "电话 13812345678"))
	}
	for _, step := range []struct {
		b      *browser
		act    string
		status int
	}{
		{analyst, "review", http.StatusUnprocessableEntity}, {leader, "publish", http.StatusConflict}, {supervisor, "review", http.StatusOK}, {supervisor, "publish", http.StatusUnprocessableEntity},
		{leader, "publish", http.StatusOK}, {analyst, "edit", http.StatusConflict}, {analyst, "discard", http.StatusConflict}, {reviewer, "receive", http.StatusOK}, {analyst, "explode", http.StatusNotFound},
	} {
		if p := step.b.post(at+"/act/"+step.act, form("summary", "改")); p.status != step.status {
			t.Errorf("%s: %d, want %d: %s", step.act, p.status, step.status, alertIn(p.body))
		}
	}
	if p := reviewer.get(at); p.status != http.StatusOK || strings.Contains(p.body, "act/edit") || !strings.Contains(p.body, "已发布") {
		t.Errorf("a unit reads it: %d", p.status)
	}
	for _, as := range []string{"docx", "xlsx"} {
		if p := reviewer.get(at + "/export?as=" + as); p.status != http.StatusOK || !strings.HasPrefix(p.body, "PK") || !strings.Contains(p.header.Get("Content-Disposition"), as) {
			t.Errorf("%s: %d", as, p.status)
		}
	}
	// A fact is corrected; the edition says so and stays.
	s.do(func(tx *storage.Tx) error {
		_, err := tx.Exec(`UPDATE ticket SET validity = 'test' WHERE id = $1`, s.accepted.ID)
		return err
	})
	if p := reviewer.get(at); !strings.Contains(p.body, "发布后更正") {
		t.Error("nothing is said of what was corrected since")
	}
	if p := reviewer.get("/figures?from=" + day.String() + "&to=" + day.String()); strings.Contains(p.body, "发布时 ") {
		t.Error("a unit's own figures stand beside the city's published ones")
	}
	if p := leader.get("/figures?from=" + day.String() + "&to=" + day.String()); !strings.Contains(p.body, "发布时 ") || !strings.Contains(p.body, at) {
		t.Error("the figures do not say that they were corrected since they were published")
	}
	p = analyst.post(at+"/act/correct", form("reason", "误计一件测试诉求"))
	v2 := reportAt.FindStringSubmatch(p.path)
	if v2 == nil || v2[1] == m[1] {
		t.Fatalf("corrected: %d at %s: %s", p.status, p.path, alertIn(p.body))
	}
	supervisor.post("/reports/"+v2[1]+"/act/review", nil)
	leader.post("/reports/"+v2[1]+"/act/publish", nil)
	if p := reviewer.get("/reports/" + v2[1] + "/diff"); p.status != http.StatusOK || !strings.Contains(p.body, `<del class="was">`) || !strings.Contains(p.body, "误计一件测试诉求") {
		t.Errorf("the differences: %d", p.status)
	}
	if p := reviewer.get(at); !strings.Contains(p.body, "这是旧版本") {
		t.Error("the old version does not say that it is one")
	}
	if p := reviewer.get("/reports"); strings.Contains(p.body, m[1]) || !strings.Contains(p.body, v2[1]) {
		t.Error("the list shows another version than the newest")
	}
	if a := s.ask(s.tokenIn("leader", ""), "GET", "/api/v1/reports/"+v2[1], ""); a.status != http.StatusOK || !strings.Contains(a.body, `"changes":[{`) || !strings.Contains(a.body, `"sum":"`) {
		t.Errorf("API: %d %.300s", a.status, a.body)
	}
	if a := s.ask(s.tokenIn("leader", ""), "GET", "/api/v1/reports?kind=daily&old=true", ""); a.status != http.StatusOK || strings.Count(a.body, `"series"`) != 2 {
		t.Errorf("API list: %d %.300s", a.status, a.body)
	}
	s.view(func(tx *storage.Tx) error {
		flaws, n, err := report.VerifyEditions(tx)
		if len(flaws) > 0 || n != 2 {
			t.Errorf("%v, %d published", flaws, n)
		}
		return err
	})
	if p := analyst.post("/reports", form("kind", "daily", "day", day.Add(-1).String(), "past", "on")); !reportAt.MatchString(p.path) || !strings.Contains(p.body, "按日志还原当时情况") {
		t.Errorf("as it stood at the end of the day: %d at %s %s", p.status, p.path, alertIn(p.body))
	}
	special := analyst.post("/reports", form("kind", "special", "day", "", "title", "热线专报", "from", day.Add(-6).String(), "to", day.String(), "channel", "hotline"))
	if !reportAt.MatchString(special.path) || !strings.Contains(special.body, "专2026-0001") {
		t.Errorf("a special report: %d at %s %s", special.status, special.path, alertIn(special.body))
	}
}
