package console

import (
	"encoding/json"
	"io/fs"
	"maps"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"lianxin/storage"
	"lianxin/ticket"
)

var (
	tags    = regexp.MustCompile(`(?s)<(script|style)[^>]*>.*?</(script|style)>|<[^>]*>`)
	keyLike = regexp.MustCompile(`\b(act|do|did|f|hint|via|tab|step|fact|event|who|mark|span|leg|log|clock|service|reveal|label|line|ended-by|stars)-[a-z0-9-]+`)
)

// untranslated are texts on a page that nobody has written, or that were given the wrong arguments.
func untranslated(body string) []string {
	text := tags.ReplaceAllString(body, " ")
	out := keyLike.FindAllString(text, -1)
	if i := strings.Index(text, "%!"); i >= 0 {
		out = append(out, text[max(0, i-20):min(len(text), i+30)])
	}
	return out
}

func TestPagesOfTicketsRenderInBothLanguagesForEveryRole(t *testing.T) {
	s := newHouse(t).fill()
	paths := []string{"/tickets", "/tickets?mine=1", "/tickets?open=1", "/tickets?overdue=1", "/tickets?state=CLOSED&colour=蓝&channel=hotline&unit=210502-zhanqian&q=办理",
		"/tickets/live", "/tickets/new", "/callbacks", "/callbacks?kind=abandoned", "/callbacks?mine=1", "/callbacks?state=done", "/callbacks/" + s.abandoned.ID, "/alerts",
		"/alerts?state=RAISED", "/alerts/" + s.alert.ID, "/log", "/log?stream=ticket/&type=ticket.accepted&actor=operator1"}
	for _, x := range []string{s.fresh.ID, s.accepted.ID, s.dispatched.ID, s.handling.ID, s.asked.ID, s.suspended.ID, s.reviewing.ID, s.rating.ID, s.rework.ID, s.closed.ID,
		s.refused.ID, s.restricted.ID, s.accused.ID, s.bySMS.ID} {
		paths = append(paths, "/tickets/"+x, "/tickets/"+x+"/live?seen=1")
	}
	seen := map[string]int{}
	for _, login := range []string{"operator1", "dispatcher1", "caller1", "supervisor1", "analyst1", "leader1", "inspector1", "expert1", "admin1", "auditor1", "handler1", "reviewer8", "clerk1", "manager1"} {
		b := s.as(login)
		for _, path := range paths {
			for _, lang := range []string{"zh-CN", "en"} {
				p := b.in(lang).get(path)
				switch p.status {
				case http.StatusOK:
					seen[path]++
				case http.StatusForbidden, http.StatusNotFound:
				default:
					t.Errorf("%s %s (%s): status %d", login, path, lang, p.status)
				}
				if missing := untranslated(p.body); missing != nil {
					t.Errorf("%s %s (%s): no text for %q", login, path, lang, missing)
				}
			}
		}
	}
	for _, path := range paths {
		if seen[path] == 0 {
			t.Errorf("nobody can see %s", path)
		}
	}
}

func TestEveryTextIsThereInBothLanguages(t *testing.T) {
	zh, en := languages["zh-CN"], languages["en"]
	for key := range maps.Keys(zh) {
		if _, ok := en[key]; !ok {
			t.Errorf("%s has no English", key)
		}
	}
	for key := range maps.Keys(en) {
		if _, ok := zh[key]; !ok {
			t.Errorf("%s has no Chinese", key)
		}
	}
	verbs := regexp.MustCompile(`%[a-z.0-9]+`)
	for key, text := range zh {
		if a, b := verbs.FindAllString(text, -1), verbs.FindAllString(en[key], -1); len(a) != len(b) {
			t.Errorf("%s takes %d values in Chinese and %d in English", key, len(a), len(b))
		}
	}
}

func TestEveryKeyInTemplatesAndActionsHasAText(t *testing.T) {
	keys := map[string]string{}
	files, err := fs.Glob(templateFiles, "templates/*.html")
	if err != nil {
		t.Fatal(err)
	}
	used := regexp.MustCompile(`\.T "([^"]+)"`)
	for _, file := range files {
		data, err := templateFiles.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range used.FindAllStringSubmatch(string(data), -1) {
			keys[m[1]] = path.Base(file)
		}
	}
	for _, a := range actions {
		for _, prefix := range []string{"act-", "do-", "did-"} {
			keys[prefix+a.code] = "the panel"
		}
	}
	for key, where := range keys {
		if _, ok := languages["zh-CN"][key]; !ok {
			t.Errorf("%s: no text for %q", where, key)
		}
	}
}

func TestLanguageFilesHoldNoEmptyText(t *testing.T) {
	files, err := fs.Glob(langFiles, "lang/*.tickets.json")
	if err != nil || len(files) != 2 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		data, err := langFiles.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var texts map[string]string
		if err := json.Unmarshal(data, &texts); err != nil {
			t.Fatal(err)
		}
		for _, key := range slices.Sorted(maps.Keys(texts)) {
			if strings.TrimSpace(texts[key]) == "" {
				t.Errorf("%s: %s is empty", file, key)
			}
		}
	}
}

func TestTheListNamesWhoHandledATicketAlsoWhenTheResultIsHandedIn(t *testing.T) {
	s := newHouse(t).fill()
	b := s.as("dispatcher1")
	for _, x := range []ticket.Ticket{s.handling, s.reviewing, s.rating, s.closed} {
		var unit string
		s.view(func(tx *storage.Tx) error {
			legs, err := s.office.Legs(tx, x.ID)
			for _, l := range legs {
				if l.Role == ticket.Host {
					n, err := readNames(tx, "zh-CN")
					unit = n.Unit(l.Unit)
					return err
				}
			}
			return err
		})
		if p := b.get("/tickets?q=" + x.Number); unit == "" || !strings.Contains(p.body, `<td class="inline tight">`+unit+`</td>`) {
			t.Errorf("“%s” (%s) does not name %q", x.Title, x.State, unit)
		}
	}
	if p := b.get("/tickets?q=" + s.fresh.Number); !strings.Contains(p.body, `<td class="inline tight"></td>`) {
		t.Error("a new ticket is somebody's already")
	}
}
