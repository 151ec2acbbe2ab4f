package console

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"

	"lianxin/survey"
	"lianxin/workday"
)

//go:embed templates/*.html
var templateFiles embed.FS

//go:embed lang/*.json
var langFiles embed.FS

//go:embed static/*
var staticFiles embed.FS

// languages holds every text of the pages by language and key. zh-CN is the product's own; en stands beside it. The
// texts of a language are in files by subject: lang/zh-CN.json, lang/zh-CN.tickets.json, …
var languages = mustLoadLanguages()

func mustLoadLanguages() map[string]map[string]string {
	out := map[string]map[string]string{}
	files, err := fs.Glob(langFiles, "lang/*.json")
	if err != nil {
		panic(err)
	}
	for _, file := range files {
		data, err := langFiles.ReadFile(file)
		if err != nil {
			panic(err)
		}
		texts := map[string]string{}
		if err := json.Unmarshal(data, &texts); err != nil {
			panic(fmt.Sprintf("%s: %v", file, err))
		}
		lang, _, _ := strings.Cut(path.Base(file), ".")
		if out[lang] == nil {
			out[lang] = map[string]string{}
		}
		for key, text := range texts {
			if _, twice := out[lang][key]; twice {
				panic(fmt.Sprintf("%s: %q is in another file too", file, key))
			}
			out[lang][key] = text
		}
	}
	return out
}

// page is what every template gets.
type page struct {
	Lang  string
	Title string // key of the title
	Path  string
	User  *user // nil before sign-in
	Nav   []navGroup
	Flash string
	Data  any

	Softphone bool // the person may take calls in the browser
}

type navGroup struct {
	Key, Label string // empty: no heading
	Items      []navItem
	Open       bool // its entries are shown
}

type navItem struct {
	Path, Label, Icon string
	Current           bool
}

// T is the text of key in the page's language, formatted with args. A key nobody wrote is shown as it is, so that it is
// noticed; a test renders every page and finds it first.
func (p page) T(key string, args ...any) string { return translate(p.Lang, key, args...) }

func translate(lang, key string, args ...any) string {
	text, ok := languages[lang][key]
	if !ok {
		return key
	}
	if len(args) > 0 {
		return fmt.Sprintf(text, args...)
	}
	return text
}

var functions = template.FuncMap{
	"clock":   func(t time.Time) string { return when(t, "15:04:05") },
	"hm":      func(t time.Time) string { return when(t, "15:04") },
	"date":    func(t time.Time) string { return when(t, "2006-01-02") },
	"stamp":   func(t time.Time) string { return when(t, "01-02 15:04") },
	"full":    func(t time.Time) string { return when(t, "2006-01-02 15:04:05") },
	"ms":      func(t time.Time) int64 { return t.UnixMilli() },
	"secs":    seconds,
	"pct":     func(f float64) string { return fmt.Sprintf("%.1f%%", 100*f) },
	"pct2":    func(f float64) string { return fmt.Sprintf("%.2f%%", 100*f) },
	"pp":      func(f float64) string { return fmt.Sprintf("%+.2f%%", 100*f) },
	"join":    strings.Join,
	"split":   strings.Fields,
	"masked":  masked,
	"add":     func(a, b int) int { return a + b },
	"minus":   func(a, b int) int { return a - b },
	"div":     func(a int64, b int64) int64 { return a / b },
	"times":   func(a, b float64) float64 { return a * b },
	"percent": func(n, of int) string { return fmt.Sprintf("%.1f", 100*float64(n)/float64(of)) },
	"count":   func(m map[survey.Figure]int, name string) int { return m[survey.Figure(name)] },
	"dict":    dict,
	"reasons": func(text string) []string { return strings.Split(text, ",") },
	"asset":   asset,
	"english": english,
}

func when(t time.Time, layout string) string {
	if t.IsZero() {
		return "—"
	}
	return t.In(workday.Zone).Format(layout)
}

func seconds(d time.Duration) string {
	s := int(d.Round(time.Second).Seconds())
	if s >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
	}
	return fmt.Sprintf("%d:%02d", s/60, s%60)
}

// dict makes a map for a template's block from pairs of key and value.
func dict(pairs ...any) (map[string]any, error) {
	if len(pairs)%2 != 0 {
		return nil, fmt.Errorf("dict wants pairs, got %d values", len(pairs))
	}
	m := map[string]any{}
	for i := 0; i < len(pairs); i += 2 {
		key, ok := pairs[i].(string)
		if !ok {
			return nil, fmt.Errorf("dict: key %v is no string", pairs[i])
		}
		m[key] = pairs[i+1]
	}
	return m, nil
}

// templates holds one set per page: the page's blocks over base.html and the parts (files that begin with "_").
var templates = mustParseTemplates()

func mustParseTemplates() map[string]*template.Template {
	names, err := fs.Glob(templateFiles, "templates/*.html")
	if err != nil {
		panic(err)
	}
	shared := template.Must(template.New("base").Funcs(functions).ParseFS(templateFiles, "templates/base.html"))
	from := map[string]string{} // which file a part is from: a second one of its name would silently take its place
	for _, n := range names {
		if !strings.HasPrefix(path.Base(n), "_") {
			continue
		}
		for _, part := range template.Must(template.New("").Funcs(functions).ParseFS(templateFiles, n)).Templates() {
			if part.Name() == "" || part.Name() == path.Base(n) {
				continue
			}
			if other, known := from[part.Name()]; known {
				panic(fmt.Sprintf("%s: the part %q is in %s too", n, part.Name(), other))
			}
			from[part.Name()] = n
		}
		template.Must(shared.ParseFS(templateFiles, n))
	}
	out := map[string]*template.Template{}
	for _, n := range names {
		base := path.Base(n)
		if base == "base.html" || strings.HasPrefix(base, "_") {
			continue
		}
		t := template.Must(template.Must(shared.Clone()).ParseFS(templateFiles, n))
		out[strings.TrimSuffix(base, ".html")] = t
	}
	return out
}

// render writes the page name: the whole document, or, for a request that htmx made, only the block that changes.
// A block named in the query's place of body (such as a live part) is given as block.
func (s *Server) render(w http.ResponseWriter, r *http.Request, status int, name, block, title string, data any) {
	t, ok := templates[name]
	if !ok {
		s.fail(w, r, fmt.Errorf("no page %q", name))
		return
	}
	u := s.user(r)
	p := page{Lang: s.lang(r), Title: title, Path: r.URL.Path, User: u, Nav: s.nav(u, r), Flash: s.flash(r), Data: data, Softphone: s.hasSoftphone(u)}
	if block == "" {
		block = "base.html"
		if r.Header.Get("HX-Request") == "true" && r.Header.Get("HX-History-Restore-Request") != "true" {
			block = "swap"
		}
	}
	// To a buffer first: a template that fails must not leave half a page with status 200.
	var b bytes.Buffer
	if err := t.ExecuteTemplate(&b, block, p); err != nil {
		s.fail(w, r, fmt.Errorf("render %s: %w", name, err))
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Vary", "HX-Request")
	w.WriteHeader(status)
	b.WriteTo(w)
}
