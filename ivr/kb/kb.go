// Package kb is the knowledge base that the bot answers from: short items with their legal source,
// owner and dates, found by words, by sound or by keys.
//
// The items that ship are samples written for this program, to be checked by the bureau.
package kb

import (
	"bytes"
	"embed"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"sort"
	"time"

	"github.com/goccy/go-yaml"

	"lianxin/ivr/prompts"
)

//go:embed zh-CN
var embedded embed.FS

// zone is China Standard Time, which has no summer time.
var zone = time.FixedZone("CST", 8*60*60)

// An Item answers one question.
type Item struct {
	ID        string   `yaml:"id"`     // stable; the prompts are kb.<id> and kb.<id>.title
	Title     string   `yaml:"title"`  // a noun phrase that fits 您想了解的是…… and a menu
	Ask       []string `yaml:"ask"`    // other ways in which callers say it; searched, never spoken
	Answer    string   `yaml:"answer"` // in full, for operators and pages
	Say       string   `yaml:"say"`    // the answer as spoken: at most 20 s
	Source    string   `yaml:"source"` // law, article or rule that it rests on
	Owner     string   `yaml:"owner"`  // unit that answers for its being right
	Effective Day      `yaml:"effective"`
	Expires   Day      `yaml:"expires"` // first day on which it is no longer offered; zero: none

	Category string `yaml:"-"` // ID of its category
}

// Valid reports whether the item may be offered at now: from the start of Effective to the start of Expires.
func (i Item) Valid(now time.Time) bool {
	return !now.Before(i.Effective.Time) && (i.Expires.IsZero() || now.Before(i.Expires.Time))
}

// AnswerKey is the key of the prompt that speaks the answer.
func (i Item) AnswerKey() string { return "kb." + i.ID }

// TitleKey is the key of the prompt that speaks the title.
func (i Item) TitleKey() string { return "kb." + i.ID + ".title" }

// A Category is one key of the knowledge menu.
type Category struct {
	ID    string `yaml:"category"`
	Name  string `yaml:"name"`
	Key   int    `yaml:"key"` // 1–8 on the telephone; 9 repeats and 0 is a person
	Items []Item `yaml:"items"`
}

// MostItems is how many items a category may have, so that one menu of keys 1–8 offers them all.
const MostItems = 8

// A Day is a date in a YAML file, midnight in China.
type Day struct{ time.Time }

// UnmarshalYAML reads 2026-11-23.
func (d *Day) UnmarshalYAML(b []byte) error {
	t, err := time.ParseInLocation("2006-01-02", string(bytes.Trim(b, "\"' \n")), zone)
	if err != nil {
		return fmt.Errorf("date %s is not like 2026-11-23", bytes.TrimSpace(b))
	}
	d.Time = t
	return nil
}

// A Base is a loaded knowledge base. It does not change and may be used by many calls at once.
type Base struct {
	Now        func() time.Time
	categories []Category
	items      []Item // of all categories, in order
	index      index
}

// Embedded loads the knowledge base that ships with the program.
func Embedded() (*Base, error) {
	sub, err := fs.Sub(embedded, "zh-CN")
	if err != nil {
		return nil, err
	}
	return Load(sub)
}

// Load reads every *.yaml at the top of fsys, one category a file. What is missing or doubled is an error
// that names file and item; a base without categories is an error too.
func Load(fsys fs.FS) (*Base, error) {
	b := &Base{Now: time.Now}
	names, err := fs.Glob(fsys, "*.yaml")
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("load knowledge base: no *.yaml")
	}
	ids, keys := map[string]string{}, map[int]string{}
	for _, name := range names {
		raw, err := fs.ReadFile(fsys, name)
		if err != nil {
			return nil, fmt.Errorf("load knowledge base: %w", err)
		}
		var c Category
		if err := yaml.NewDecoder(bytes.NewReader(raw), yaml.Strict()).Decode(&c); err != nil {
			return nil, fmt.Errorf("load knowledge base: %s: %w", path.Base(name), err)
		}
		if err := c.check(ids, keys); err != nil {
			return nil, fmt.Errorf("load knowledge base: %s: %w", path.Base(name), err)
		}
		for i := range c.Items {
			c.Items[i].Category = c.ID
		}
		b.categories = append(b.categories, c)
	}
	sort.Slice(b.categories, func(i, j int) bool { return b.categories[i].Key < b.categories[j].Key })
	for _, c := range b.categories {
		b.items = append(b.items, c.Items...)
	}
	b.index = newIndex(b.items)
	return b, nil
}

var idForm = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

func (c Category) check(ids map[string]string, keys map[int]string) error {
	switch other := keys[c.Key]; {
	case !idForm.MatchString(c.ID):
		return fmt.Errorf("category id %q is not lower-case words joined by hyphens", c.ID)
	case c.Name == "":
		return fmt.Errorf("category %s has no name", c.ID)
	case c.Key < 1 || c.Key > 8:
		return fmt.Errorf("category %s has key %d, not 1–8", c.ID, c.Key)
	case other != "":
		return fmt.Errorf("category %s has the key %d of %s", c.ID, c.Key, other)
	case len(c.Items) > MostItems:
		return fmt.Errorf("category %s has %d items, more than a menu of %d", c.ID, len(c.Items), MostItems)
	}
	keys[c.Key] = c.ID
	for n, it := range c.Items {
		switch {
		case !idForm.MatchString(it.ID):
			return fmt.Errorf("item %d: id %q is not lower-case words joined by hyphens", n+1, it.ID)
		case ids[it.ID] != "":
			return fmt.Errorf("item %s is also in %s", it.ID, ids[it.ID])
		case it.Title == "" || it.Answer == "" || it.Say == "":
			return fmt.Errorf("item %s lacks title, answer or say", it.ID)
		case it.Source == "" || it.Owner == "":
			return fmt.Errorf("item %s lacks source or owner", it.ID)
		case it.Effective.IsZero():
			return fmt.Errorf("item %s lacks its effective date", it.ID)
		case !it.Expires.IsZero() && !it.Expires.After(it.Effective.Time):
			return fmt.Errorf("item %s expires before it begins", it.ID)
		}
		ids[it.ID] = c.ID
	}
	return nil
}

// Categories lists the categories that have something to offer now, by key, with only those items.
func (b *Base) Categories() []Category {
	now := b.Now()
	var out []Category
	for _, c := range b.categories {
		var valid []Item
		for _, it := range c.Items {
			if it.Valid(now) {
				valid = append(valid, it)
			}
		}
		if len(valid) > 0 {
			c.Items = valid
			out = append(out, c)
		}
	}
	return out
}

// ByCategory lists the items under a key of the knowledge menu that may be offered now, in the order of
// their menu; empty for a key without any.
func (b *Base) ByCategory(key int) []Item {
	for _, c := range b.Categories() {
		if c.Key == key {
			return c.Items
		}
	}
	return nil
}

// Category finds a category by its ID, with the items that may be offered now; false when there are none.
func (b *Base) Category(id string) (Category, bool) {
	for _, c := range b.Categories() {
		if c.ID == id {
			return c, true
		}
	}
	return Category{}, false
}

// Get finds an item by its ID, also one that may not be offered now: ask Valid.
func (b *Base) Get(id string) (Item, bool) {
	for _, it := range b.items {
		if it.ID == id {
			return it, true
		}
	}
	return Item{}, false
}

// Prompts are the rows that the knowledge base adds to the table of prompts: title and spoken answer of each item.
func (b *Base) Prompts() []prompts.Entry {
	var rows []prompts.Entry
	for _, it := range b.items {
		rows = append(rows,
			prompts.Entry{Key: it.TitleKey(), Text: it.Title},
			prompts.Entry{Key: it.AnswerKey(), Text: it.Say},
		)
	}
	return rows
}
