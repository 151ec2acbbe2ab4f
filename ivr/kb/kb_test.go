package kb

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

var today = time.Date(2026, 11, 23, 9, 0, 0, 0, zone)

func starter(t *testing.T) *Base {
	t.Helper()
	b, err := Embedded()
	if err != nil {
		t.Fatal(err)
	}
	b.Now = func() time.Time { return today }
	return b
}

func TestStarterFillsSevenMenus(t *testing.T) {
	b := starter(t)
	cats := b.Categories()
	if len(cats) != 7 || len(b.items) < 40 {
		t.Fatalf("%d categories, %d items", len(cats), len(b.items))
	}
	for i, c := range cats {
		if c.Key != i+1 {
			t.Errorf("%s has key %d", c.ID, c.Key)
		}
		if got := b.ByCategory(c.Key); len(got) != len(c.Items) || len(got) > MostItems {
			t.Errorf("key %d offers %d of %d", c.Key, len(got), len(c.Items))
		}
		for _, it := range c.Items {
			if n := len([]rune(it.Say)); n > 80 {
				t.Errorf("%s: the spoken answer has %d characters", it.ID, n)
			}
			if got, ok := b.Get(it.ID); !ok || got.Category != c.ID {
				t.Errorf("%s is not found under its id", it.ID)
			}
		}
	}
	if got := b.ByCategory(8); got != nil {
		t.Errorf("key 8 offers %v", got)
	}
}

func TestAnExpiredItemIsNotOffered(t *testing.T) {
	item := func(id, effective, expires string) string {
		return "\n  - {id: " + id + ", title: 身份证" + id + ", answer: 答, say: 答, source: 法, owner: 队, effective: " + effective + ", expires: " + expires + "}"
	}
	b, err := Load(fstest.MapFS{"a.yaml": {Data: []byte("category: a\nname: 甲\nkey: 1\nitems:" +
		item("past", "2020-01-01", "2026-11-23") + item("last-day", "2020-01-01", "2026-11-24") + item("first-day", "2026-11-23", "2030-01-01") + item("future", "2026-11-24", "2030-01-01"))},
		"b.yaml": {Data: []byte("category: b\nname: 乙\nkey: 2\nitems:" + item("gone", "2020-01-01", "2021-01-01"))}})
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []time.Time{time.Date(2026, 11, 23, 0, 0, 0, 0, zone), time.Date(2026, 11, 23, 23, 59, 59, 0, zone)} {
		b.Now = func() time.Time { return at }
		var menu, search []string
		for _, it := range b.ByCategory(1) {
			menu = append(menu, it.ID)
		}
		for _, m := range b.Search("身份证", 9) {
			search = append(search, m.Item.ID)
		}
		if got := strings.Join(menu, " "); got != "last-day first-day" {
			t.Errorf("%s: the menu offers %s", at, got)
		}
		if len(search) != 2 {
			t.Errorf("%s: the search offers %v", at, search)
		}
		if len(b.Categories()) != 1 {
			t.Errorf("%s: a category with nothing to offer is offered", at)
		}
		if it, ok := b.Get("past"); !ok || it.Valid(at) {
			t.Error("an expired item is gone, or valid")
		}
		if _, ok := b.Category("b"); ok {
			t.Error("category b has nothing to offer")
		}
	}
}

func TestAFaultyBaseIsRefused(t *testing.T) {
	good := "category: a\nname: 甲\nkey: 1\nitems:\n  - {id: x, title: 题, answer: 答, say: 答, source: 法, owner: 队, effective: 2020-01-01}"
	if _, err := Load(fstest.MapFS{"a.yaml": {Data: []byte(good)}}); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string][2]string{
		"no source":     {"source: 法, ", ""},
		"no owner":      {", owner: 队", ""},
		"no say":        {"say: 答, ", ""},
		"no date":       {", effective: 2020-01-01", ""},
		"bad date":      {"2020-01-01", "2020-02-30"},
		"upside down":   {"effective: 2020-01-01", "effective: 2020-01-01, expires: 2019-01-01"},
		"bad id":        {"id: x", "id: X"},
		"unknown field": {"owner:", "author: 我, owner:"},
		"bad key":       {"key: 1", "key: 9"},
		"no name":       {"name: 甲\n", ""},
	} {
		if _, err := Load(fstest.MapFS{"a.yaml": {Data: []byte(strings.Replace(good, change[0], change[1], 1))}}); err == nil {
			t.Errorf("%s was accepted", name)
		} else if !strings.Contains(err.Error(), "a.yaml") {
			t.Errorf("%s: the file is not named: %v", name, err)
		}
	}
	if _, err := Load(fstest.MapFS{"a.yaml": {Data: []byte(good)}, "b.yaml": {Data: []byte(strings.Replace(good, "category: a", "category: b", 1))}}); err == nil {
		t.Error("two categories with one key were accepted")
	}
	if _, err := Load(fstest.MapFS{}); err == nil {
		t.Error("nothing was accepted")
	}
}

type question struct{ id, text string }

func questions(t *testing.T) (qs []question) {
	t.Helper()
	b, err := os.ReadFile("testdata/questions.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(string(b), "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		id, text, ok := strings.Cut(line, "\t")
		if !ok {
			t.Fatalf("no tab: %s", line)
		}
		qs = append(qs, question{id, text})
	}
	return qs
}

func has(items []Item, id string) bool {
	for _, it := range items {
		if it.ID == id {
			return true
		}
	}
	return false
}

// TestQuestionsFindTheirAnswer holds the figures that were reached, a little below, so that a change that makes
// the search worse is seen.
func TestQuestionsFindTheirAnswer(t *testing.T) {
	b := starter(t)
	var n, top1, top3, confirmed, wrong, offered, lost, strangers, kept int
	for _, q := range questions(t) {
		found := b.Search(q.text, 5)
		plan, items := Decide(found)
		if q.id == "-" {
			strangers++
			if plan == Person {
				kept++
			} else {
				t.Logf("stranger %s → %s %s %.2f", q.text, plan, items[0].ID, found[0].Share)
			}
			continue
		}
		if _, ok := b.Get(q.id); !ok {
			t.Fatalf("no item %s", q.id)
		}
		n++
		if len(found) > 0 && found[0].Item.ID == q.id {
			top1++
		}
		var first []Item
		for _, m := range found[:min(3, len(found))] {
			first = append(first, m.Item)
		}
		if has(first, q.id) {
			top3++
		} else {
			t.Logf("missed: %s (%s)", q.text, q.id)
		}
		switch {
		case plan == Confirm && items[0].ID == q.id:
			confirmed++
		case plan == Confirm:
			wrong++
			t.Logf("wrongly confirmed: %s → %s", q.text, items[0].ID)
		case plan == Offer && has(items, q.id):
			offered++
		default:
			lost++
			if len(found) > 0 {
				t.Logf("lost: %s (%s) → %s %s %.2f", q.text, q.id, plan, found[0].Item.ID, found[0].Share)
			}
		}
	}
	t.Logf("%d questions: top-1 %d, top-3 %d; confirmed %d, wrongly %d, offered %d, lost %d; strangers sent to a person %d of %d", n, top1, top3, confirmed, wrong, offered, lost, kept, strangers)
	if top1*100 < 88*n || top3*100 < 95*n || (confirmed+offered)*100 < 87*n || wrong*100 > 2*n || kept*100 < 90*strangers {
		t.Error("the search is worse than it was")
	}
}

func TestQuestionsMisheardBySoundFindTheirAnswer(t *testing.T) {
	b := starter(t)
	for text, id := range map[string]string{
		"深分正掉了怎么不办": "id-card-lost",
		"加时正道期换正":   "licence-renew",
		"护照道琪了":     "passport-renew",
		"吴犯醉记录正明":   "no-crime-record",
		"电东车商牌":     "ebike-plate",
		"偷诉民井太度":    "complain-police",
	} {
		if found := b.Search(text, 1); len(found) == 0 || found[0].Item.ID != id {
			t.Errorf("%s does not find %s: %v", text, id, found)
		}
	}
}

func TestNothingAskedFindsNothing(t *testing.T) {
	b := starter(t)
	for _, q := range []string{"", "，。！", "   ", "\x00"} {
		if found := b.Search(q, 3); len(found) != 0 {
			t.Errorf("%q finds %s", q, found[0].Item.ID)
		}
	}
	if plan, items := Decide(nil); plan != Person || items != nil {
		t.Errorf("nothing found leads to %s", plan)
	}
}

func TestDecideConfirmsOnlyAClearWinner(t *testing.T) {
	m := func(id string, score, share float64) Match { return Match{Item{ID: id}, score, share} }
	for name, v := range map[string]struct {
		found []Match
		plan  Plan
		items int
	}{
		"clear":          {[]Match{m("a", 30, 0.5), m("b", 10, 0.2)}, Confirm, 1},
		"alone":          {[]Match{m("a", 30, 0.5)}, Confirm, 1},
		"close":          {[]Match{m("a", 30, 0.5), m("b", 28, 0.45), m("c", 20, 0.3), m("d", 19, 0.3)}, Offer, 3},
		"two of many":    {[]Match{m("a", 30, 0.5), m("b", 28, 0.45), m("c", 5, 0.05)}, Offer, 2},
		"little covered": {[]Match{m("a", 3, 0.05), m("b", 1, 0.01)}, Person, 0},
	} {
		if plan, items := Decide(v.found); plan != v.plan || len(items) != v.items {
			t.Errorf("%s: %s of %d, want %s of %d", name, plan, len(items), v.plan, v.items)
		}
	}
}

func FuzzSearch(f *testing.F) {
	b, err := Embedded()
	if err != nil {
		f.Fatal(err)
	}
	f.Add("身份证ABC 123丢了")
	f.Fuzz(func(t *testing.T, q string) {
		found := b.Search(q, 3)
		for i, m := range found {
			if m.Share < 0 || m.Share > 1 || (i > 0 && m.Score > found[i-1].Score) {
				t.Errorf("%q: %v", q, m)
			}
		}
		Decide(found)
	})
}
