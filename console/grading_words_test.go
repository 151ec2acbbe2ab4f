package console

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"lianxin/ticket"
	"lianxin/ticket/grade"
)

// wordsForm is the form of the word list as a browser sends it, unchanged.
func wordsForm(t *testing.T) url.Values {
	t.Helper()
	parts, err := grade.DefaultRules().WordParts()
	if err != nil {
		t.Fatal(err)
	}
	f := url.Values{}
	for _, p := range parts {
		f.Set("part."+p.Key, strings.ReplaceAll(p.Text, "\n", "\r\n"))
	}
	return f
}

func TestTheWordListIsChangedTriedAndPublishedByTwoPersons(t *testing.T) {
	s := newHouse(t).fill()
	before := s.open(ticket.Intake{Title: "楼上", Body: "楼上是电诈窝点。"})
	b := s.as("admin1")
	f := wordsForm(t)
	f.Set("version", "2026.12-3")
	f.Set("effective", "2026-11-23")
	f.Set("note", "新骗术")
	f.Set("do", "propose")
	if p := b.post("/grading/words", f); p.status != http.StatusUnprocessableEntity || !strings.Contains(alertIn(p.body), "没有差别") {
		t.Errorf("nothing changed: %d %s", p.status, alertIn(p.body))
	}
	f.Set("part.set.crime", f.Get("part.set.crime")+" 電詐")
	if p := b.post("/grading/words", f); p.status != http.StatusUnprocessableEntity || !strings.Contains(alertIn(p.body), "crime") || !strings.Contains(p.body, "電詐") {
		t.Errorf("a word that would never be found: %d %s", p.status, alertIn(p.body))
	}
	f.Set("part.set.crime", strings.ReplaceAll(f.Get("part.set.crime"), "電詐", "电诈窝点"))
	f.Set("do", "try")
	f.Set("sample", "隔壁是电诈窝点\n请问怎么办证")
	p := b.post("/grading/words", f)
	if p.status != http.StatusOK || !strings.Contains(p.body, "增加：电诈窝点") || !strings.Contains(p.body, "升色 1 件") || !strings.Contains(p.body, "隔壁是电诈窝点") {
		t.Errorf("what the words do: %d %s", p.status, alertIn(p.body))
	}
	if p := s.as("dispatcher1").post("/grading/words", f); p.status != http.StatusForbidden {
		t.Errorf("a dispatcher tries: %d", p.status)
	}
	if p := s.as("dispatcher1").get("/grading/words?q=赌博"); p.status != http.StatusOK || strings.Contains(p.body, "<textarea") || !strings.Contains(p.body, "赌博") {
		t.Errorf("a dispatcher reads: %d", p.status)
	}
	f.Set("do", "propose")
	if p := b.post("/grading/words", f); p.status != http.StatusOK {
		t.Fatalf("propose: %d %s", p.status, alertIn(p.body))
	}
	p = s.as("leader1").get("/grading")
	if !strings.Contains(p.body, "违法犯罪（crime）") || !strings.Contains(p.body, "升色 1 件") || !strings.Contains(p.body, before.Number) {
		t.Errorf("what the leader sees: %d", p.status)
	}
	at := strings.Index(p.body, `name="id" value="`)
	id, _, _ := strings.Cut(p.body[at+len(`name="id" value="`):], `"`)
	if p := b.post("/grading/decide", form("id", id, "consent", "yes")); p.status != http.StatusForbidden {
		t.Errorf("the administrator consents: %d", p.status)
	}
	if p := s.as("leader1").post("/grading/trial", form("id", id)); p.status != http.StatusOK {
		t.Errorf("tried again: %d %s", p.status, alertIn(p.body))
	}
	if p := b.post("/grading/trial", form("id", "nosuch/1")); p.status != http.StatusNotFound {
		t.Errorf("a version that there is not: %d", p.status)
	}
	if p := s.as("leader1").post("/grading/decide", form("id", id, "consent", "yes")); p.status != http.StatusOK {
		t.Fatalf("consent: %d %s", p.status, alertIn(p.body))
	}
	if x := s.open(ticket.Intake{Title: "楼上", Body: "楼上是电诈窝点。"}); x.Colour != ticket.Yellow {
		t.Errorf("graded by the new words: %s", x.Colour)
	}
	// New points keep the published words, and the program's can be proposed again.
	v := &gradingView{}
	v.show(grade.DefaultRules())
	points := form("version", "2026.12-4", "effective", "2026-11-23", "note", "线索加重", "factor.clue", "21")
	for _, rows := range [][]gradingRow{v.Colours, v.Event, v.Person} {
		for _, r := range rows {
			if !points.Has(r.Input) {
				points.Set(r.Input, r.Value)
			}
		}
	}
	if p := b.post("/grading", points); p.status != http.StatusOK || strings.Contains(p.body, "删去：电诈窝点") {
		t.Errorf("new points: %d %s", p.status, alertIn(p.body))
	}
	if p := b.post("/grading/words", form("do", "program", "version", "2026.12-5", "effective", "2026-11-23", "note", "改回")); p.status != http.StatusOK || !strings.Contains(p.body, "删去：电诈窝点") {
		t.Errorf("back to the program's: %d %s", p.status, alertIn(p.body))
	}
}

func TestThePageOfWordsFitsAPhoneAndADesk(t *testing.T) {
	s := newHouse(t).fill()
	s.open(ticket.Intake{Title: "楼上", Body: "楼上有人聚众赌博。"})
	for name, size := range map[string][2]int64{"phone": {390, 844}, "desk": {1366, 900}} {
		w := s.window(t, "admin1", size[0], size[1])
		w.open("/grading/words?q=赌博")
		w.shot(name + "-grading-words")
		if out := eval[[]string](w, wider); len(out) > 0 {
			t.Errorf("%s: sticks out: %q", name, out)
		}
	}
}
