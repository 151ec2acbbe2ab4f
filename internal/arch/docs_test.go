package arch

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Where a test is looked for that a page names without its room. Other pages' tests may stand anywhere.
var roomsOfPages = map[string][]string{
	"telephony.md": {"sip"},
	"media.md":     {"sip/media", "sip", "sip/web", "cmd/lianxin"},
	"desk.md":      {"desk"},
}

// What the plans number, and where each number has a row of its own: a row that is dropped is as bad as a test that is.
var numberedRows = []struct {
	page, title, prefix string
	from, to            int
	except              []int // rows of the other page
}{
	{"telephony.md", "## Traps of sipgo", "", 1, 23, nil},
	{"telephony.md", "## Pitfalls of signalling", "", 1, 43, []int{25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36}},
	{"media.md", "## Pitfalls", "", 25, 36, nil},
	{"sms.md", "## Defects of others", "D", 1, 13, nil},
}

var (
	declared = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark)\w*)\(`)
	// A room in backquotes holds for the names behind it in its cell, a dotted one for its own name.
	named    = regexp.MustCompile("`([a-z][a-z0-9/]*)` |(?:\\b([a-z][a-z0-9]*)\\.)?\\b((?:Test|Fuzz)[A-Z]\\w*)(…)?(?:/([\\w-]+))?|[|]")
	scenario = regexp.MustCompile(`testdata/(?:calls|days)/[\w-]+\.txtar`)

	quick = regexp.MustCompile("`([A-Z][a-z]*[A-Z]\\w+)`")
)

// testsOfRooms has the names and the text of the test files of each package, by its folder.
func testsOfRooms(t *testing.T) (names map[string][]string, text map[string]string) {
	t.Helper()
	names, text = map[string][]string{}, map[string]string{}
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && d.Name() != ".." || d.Name() == "testdata" || d.Name() == "bin") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		room, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		room = filepath.ToSlash(room)
		for _, m := range declared.FindAllSubmatch(b, -1) {
			names[room] = append(names[room], string(m[1]))
		}
		text[room] += string(b)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names, text
}

// played reports whether a subtest is a scenario.
func played(name string) bool {
	files, err := filepath.Glob("../../testdata/*/" + name + ".txtar")
	return err == nil && len(files) > 0
}

// missing are the tests that a page names and that are not where it says.
func missing(page, body string, names map[string][]string, text map[string]string) []string {
	var bad []string
	for n, line := range strings.Split(body, "\n") {
		room := ""
		for _, m := range named.FindAllStringSubmatch(line, -1) {
			switch {
			case m[0] == "|":
				room = ""
				continue
			case m[1] != "":
				if _, ok := names[m[1]]; ok {
					room = m[1]
				}
				continue
			}
			in := roomsOfPages[page]
			if room != "" {
				in = []string{room}
			}
			if m[2] != "" {
				in = slices.DeleteFunc(slices.Collect(maps.Keys(names)), func(r string) bool { return filepath.Base(r) != m[2] })
			} else if in == nil {
				in = slices.Collect(maps.Keys(names))
			}
			if !slices.ContainsFunc(in, func(r string) bool {
				known := slices.Contains(names[r], m[3]) // or, with an ellipsis, the beginning of one
				if m[4] != "" {
					known = slices.ContainsFunc(names[r], func(n string) bool { return strings.HasPrefix(n, m[3]) })
				}
				return known && (m[5] == "" || strings.Contains(text[r], strconv.Quote(m[5])) || played(m[5]))
			}) {
				bad = append(bad, page+":"+strconv.Itoa(n+1)+": "+m[0])
			}
		}
	}
	return bad
}

func TestEveryTestThatAPageNamesExists(t *testing.T) {
	names, text := testsOfRooms(t)
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil || len(pages) == 0 {
		t.Fatal("no pages", err)
	}
	for _, path := range pages {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, bad := range missing(filepath.Base(path), string(b), names, text) {
			t.Errorf("there is no such test: %s", bad)
		}
		for _, file := range scenario.FindAllString(string(b), -1) {
			if _, err := os.Stat("../../" + file); err != nil {
				t.Errorf("%s: there is no such scenario: %s", filepath.Base(path), file)
			}
		}
	}
	if bad := missing("telephony.md", "| 1 | `ivr` TestIPv6, TestNoSuch | TestIPv6 | sip.TestNone | TestIPv6/none |", names, text); len(bad) != 4 {
		t.Errorf("the check itself sees %v", bad)
	}
}

// The cases of the conformance suite of boards are entries of its table and have no function of their own name.
func TestEveryBugOfAnotherQueueIsACaseOfTheSuite(t *testing.T) {
	page, err := os.ReadFile("../../docs/desk.md")
	if err != nil {
		t.Fatal(err)
	}
	var suite strings.Builder
	files, _ := filepath.Glob("../../desk/desktest/*.go")
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		suite.Write(b)
	}
	rows := table(string(page), "## Bugs that others had")
	if len(rows) < 11 {
		t.Fatalf("%d bugs are named", len(rows))
	}
	for _, r := range rows {
		cases := quick.FindAllStringSubmatch(r[len(r)-1], -1)
		if len(cases) == 0 {
			t.Errorf("%s: no case is named", r[0])
		}
		for _, c := range cases {
			if !strings.Contains(suite.String(), `{"`+c[1]+`", `) {
				t.Errorf("%s: the suite has no case %s", r[0], c[1])
			}
		}
	}
}

func TestEveryTrapAndPitfallHasItsRow(t *testing.T) {
	for _, want := range numberedRows {
		b, err := os.ReadFile("../../docs/" + want.page)
		if err != nil {
			t.Fatal(err)
		}
		have := map[string]string{}
		for _, r := range table(string(b), want.title) {
			for _, n := range strings.Split(r[0], ",") {
				have[strings.TrimSpace(n)] = r[len(r)-1]
			}
		}
		for i := want.from; i <= want.to; i++ {
			if slices.Contains(want.except, i) {
				continue
			}
			no := want.prefix + strconv.Itoa(i)
			if !strings.Contains(have[no], "Test") && !strings.Contains(have[no], "Fuzz") && !strings.Contains(have[no], "`make race`") {
				t.Errorf("%s, %s: row %s names no test", want.page, want.title, no)
			}
		}
	}
}

// table has the cells of the rows of the first table under a title.
func table(page, title string) [][]string {
	_, body, _ := strings.Cut(page, title)
	var rows [][]string
	for _, line := range strings.Split(body, "\n") {
		switch {
		case strings.HasPrefix(line, "|"):
			var cells []string
			for _, c := range strings.Split(strings.Trim(line, "|"), "|") {
				cells = append(cells, strings.TrimSpace(c))
			}
			rows = append(rows, cells)
		case len(rows) > 0:
			return rows[min(2, len(rows)):]
		}
	}
	return rows[min(2, len(rows)):]
}
