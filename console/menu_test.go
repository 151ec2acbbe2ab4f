package console

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"lianxin/org"
)

var (
	menuPattern = regexp.MustCompile(`(?s)<nav aria-label=.*?</nav>`)
	hrefPattern = regexp.MustCompile(`(?:href|hx-get)="(/[^"#]*)`)
)

// pagesOnly are routes of pages that a person opens: no parts of pages, no files, no other language.
func pagesOnly(routes []route) (out []string) {
	for _, r := range routes {
		if r.method != "GET" || !r.signedIn || strings.Contains(r.path, "{") || strings.HasSuffix(r.path, "/live") || strings.HasSuffix(r.path, ".csv") || slices.Contains(noPages, r.path) {
			continue
		}
		out = append(out, r.path)
	}
	return out
}

// noPages answer programs of pages, or are where one is sent on from.
var noPages = []string{"/", "/events", "/softphone/events", "/export/file", "/calls/export", "/live"}

// ORG-5: whatever the menu of a role shows opens for that role, and whatever page a role may open is reachable from its menu
// or from a page that it leads to.
func TestTheMenuOfEveryRoleShowsWhatItMayOpenAndNothingElse(t *testing.T) {
	t.Parallel()
	s := newHouse(t).fill()
	routes, _ := routesOf(t)
	pages := pagesOnly(routes)
	if len(pages) < 25 {
		t.Fatalf("only %d pages are known: %v", len(pages), pages)
	}
	roles := s.accounts()
	for _, role := range org.Roles() {
		login, has := roles[role]
		if !has {
			continue
		}
		b := s.as(login)
		home := b.get("/")
		if home.status != http.StatusOK || home.path != "/today" {
			t.Errorf("%s begins at %s (%d)", role, home.path, home.status)
		}
		seen := map[string]bool{"/today": true}
		var todo []string
		follow := func(body string) {
			for _, m := range hrefPattern.FindAllStringSubmatch(body, -1) {
				path, _, _ := strings.Cut(m[1], "?")
				if !seen[path] {
					seen[path], todo = true, append(todo, path)
				}
			}
		}
		menu := menuPattern.FindString(home.body)
		entries := hrefPattern.FindAllStringSubmatch(menu, -1)
		if len(entries) < 2 {
			t.Errorf("%s has no menu", role)
		}
		for _, m := range entries {
			p := b.get(m[1])
			if p.status != http.StatusOK {
				t.Errorf("%s is shown %s and gets %d", role, m[1], p.status)
			}
			seen[m[1]] = true
			follow(p.body)
		}
		follow(home.body)
		// One level further is enough: nothing stands deeper than a page that a page of the menu leads to.
		looked := map[string]int{}
		for _, path := range slices.Clone(todo) {
			kind := idPattern.ReplaceAllString(path, "{}")
			if looked[kind]++; looked[kind] > 2 || strings.HasPrefix(path, "/lang/") || strings.HasPrefix(path, "/static/") {
				continue
			}
			if p := b.get(path); p.status == http.StatusOK && strings.HasPrefix(p.header.Get("Content-Type"), "text/html") {
				follow(p.body)
			} else if p.status == http.StatusForbidden || p.status >= 500 {
				t.Errorf("%s is led to %s and gets %d", role, path, p.status)
			}
		}
		for _, path := range pages {
			if p := b.get(path); p.status == http.StatusOK && !seen[path] {
				t.Errorf("%s may open %s, and nothing leads there", role, path)
			}
		}
	}
}

var idPattern = regexp.MustCompile(`[0-7][0-9A-HJKMNP-TV-Z]{25}|call-\d+|民[0-9-]+`)
