package console

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"lianxin/org"
	"lianxin/report"
	"lianxin/storage"
	"lianxin/workday"
)

var (
	figureLine = regexp.MustCompile(`<a href="(/figures/[a-z_]+/list\?[^"]*)"><b>([0-9]+)</b></a>`)
	totalLine  = regexp.MustCompile(`共 ?([0-9]+)`)
)

// Every count of the page opens a list of as many lines, and a figure's page says what it means.
func TestEachNumberOfTheFiguresOpensItsList(t *testing.T) {
	s := newHouse(t).fill()
	leader := s.as("leader1")
	page := leader.get("/figures")
	lines := figureLine.FindAllStringSubmatch(page.body, -1)
	if page.status != http.StatusOK || len(lines) < 3 {
		t.Fatalf("%d, %d counts\n%s", page.status, len(lines), page.body)
	}
	for _, l := range lines {
		list := leader.get(strings.ReplaceAll(l[1], "&amp;", "&"))
		m := totalLine.FindStringSubmatch(list.body)
		if m == nil || m[1] != l[2] {
			t.Errorf("%s: the page says %s, the list %v", l[1], l[2], m)
		}
	}
	s.view(func(tx *storage.Tx) error {
		today := workday.DayOf(s.now())
		for _, m := range report.Metrics {
			f, err := s.s.Figures.Figure(tx, m.ID, report.Days(today.Add(-27), today), report.Scope{})
			if err != nil {
				return err
			}
			p := leader.get("/figures/" + m.ID)
			if p.status != http.StatusOK || !strings.Contains(p.body, m.Label) || !strings.Contains(p.body, fmt.Sprint(f.N)) {
				t.Errorf("%s: %d", m.ID, p.status)
			}
			for g := range f.Grades {
				if p := leader.get(fmt.Sprintf("/figures/%s/list?grade=%d", m.ID, g)); p.status != http.StatusOK {
					t.Errorf("%s, grade %d: %d", m.ID, g, p.status)
				}
			}
		}
		return nil
	})
	for _, bad := range []string{"/figures?from=x", "/figures?from=2026-02-01&to=2026-01-01", "/figures?source=maybe", "/figures/responded/list?grade=9"} {
		if p := leader.get(bad); p.status != http.StatusBadRequest {
			t.Errorf("%s: %d", bad, p.status)
		}
	}
	if p := leader.get("/figures/happiness"); p.status != http.StatusNotFound {
		t.Errorf("a metric that is not there: %d", p.status)
	}
}

// A unit's leader sees the own unit's figures; a list shows nothing of tickets that its reader may not see.
func TestFiguresShowNoMoreTicketsThanTheirReaderMaySee(t *testing.T) {
	s := newHouse(t).fill()
	reviewer := s.as("reviewer1")
	if p := reviewer.get("/figures"); p.status != http.StatusOK || strings.Contains(p.body, ">全市<") {
		t.Errorf("a unit's leader: %d", p.status)
	}
	var foreign org.Unit
	s.view(func(tx *storage.Tx) error {
		all, err := org.Units(tx)
		for _, u := range all {
			if u.Kind == org.Branch && u.ID != s.staff["reviewer1"].Unit {
				foreign = u
			}
		}
		return err
	})
	if p := reviewer.get("/figures?unit=" + foreign.ID); p.status != http.StatusBadRequest {
		t.Errorf("another unit's figures: %d", p.status)
	}
	if p := reviewer.get("/figures/accepted/list"); strings.Contains(p.body, s.accepted.Number) {
		t.Error("a ticket that no leg of the unit belongs to is listed")
	}
	if p := s.as("handler1").get("/figures"); p.status != http.StatusForbidden {
		t.Errorf("a handler: %d", p.status)
	}
	if a := s.ask(s.tokenIn(org.Leader, ""), "GET", "/api/v1/figures?from=2026-11-01&to=2026-11-30", ""); a.status != http.StatusOK || !strings.Contains(a.body, `"satisfied_raw"`) || !strings.Contains(a.body, "w=1") {
		t.Errorf("API: %d %s", a.status, a.body)
	}
	if a := s.ask(s.tokenIn(org.Leader, ""), "GET", "/api/v1/figures/accepted/list", ""); a.status != http.StatusOK || !strings.Contains(a.body, s.accepted.ID) {
		t.Errorf("API list: %d %s", a.status, a.body)
	}
}
