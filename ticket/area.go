package ticket

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"lianxin/audit"
	"lianxin/org"
	"lianxin/storage"
)

// Area is a district, street or community of the city (行政区划).
type Area struct {
	Code   string
	Parent string
	Level  int // 1 district 区县, 2 street 街道 or town, 3 community 社区 or village
	Name   string
	Words  string // other names, separated by blanks
}

// Levels of an Area.
const (
	District  = 1
	Street    = 2
	Community = 3
)

// Short is the name without the words of its committee: 南地社区居委会 is 南地社区.
func (a Area) Short() string {
	for _, end := range []string{"村民委员会", "居民委员会", "社区委员会", "居委会", "村委会", "民委会", "委员会"} {
		if s, ok := strings.CutSuffix(a.Name, end); ok && s != "" {
			if end == "村委会" || end == "村民委员会" {
				return s + "村"
			}
			return s
		}
	}
	return a.Name
}

const selectArea = `SELECT code, parent, level, name, words FROM ticket_area`

func scanArea(r storage.Row) (a Area, err error) {
	return a, r.Scan(&a.Code, &a.Parent, &a.Level, &a.Name, &a.Words)
}

// Areas lists the divisions in the order of their codes.
func (o *Office) Areas(tx *storage.Tx) ([]Area, error) {
	out, err := storage.All(tx, scanArea, selectArea+` ORDER BY code`)
	if err != nil {
		return nil, fmt.Errorf("list areas: %w", err)
	}
	return out, nil
}

// PutAreas enters divisions, or renames those that are there; one that was used is never removed. A parent has to be there,
// or among them.
func (o *Office) PutAreas(tx *storage.Tx, list []Area, by Actor) error {
	if !by.may(org.ManageRules) {
		return noRole()
	}
	have, err := o.Areas(tx)
	if err != nil {
		return err
	}
	level := map[string]int{}
	for _, a := range slices.Concat(have, list) {
		level[strings.TrimSpace(a.Code)] = a.Level
	}
	now := o.now()
	for i, a := range list {
		a.Code, a.Parent, a.Name, a.Words = strings.TrimSpace(a.Code), strings.TrimSpace(a.Parent), strings.TrimSpace(a.Name), strings.Join(strings.Fields(a.Words), " ")
		switch {
		case a.Code == "" || len(a.Code) > 20 || a.Name == "" || utf8.RuneCountInString(a.Name) > 40:
			return refuse("area", "第%d行：区划须有代码和名称（不超过40字）", i+1)
		case a.Level < District || a.Level > Community:
			return refuse("area", "第%d行：层级为1(区县)、2(街道)或3(社区)", i+1)
		case a.Level > District && level[a.Parent] != a.Level-1:
			return refuse("area", "第%d行：“%s”的上级代码“%s”不是%s", i+1, a.Name, a.Parent, [...]string{"", "区县", "街道"}[a.Level-1])
		}
		_, err := tx.Exec(`INSERT INTO ticket_area (code, parent, level, name, words, changed_at) VALUES ($1, $2, $3, $4, $5, $6)
			ON CONFLICT (code) DO UPDATE SET parent = excluded.parent, level = excluded.level, name = excluded.name, words = excluded.words, changed_at = excluded.changed_at`,
			a.Code, a.Parent, a.Level, a.Name, a.Words, storage.At(now))
		if err != nil {
			return fmt.Errorf("put area %s: %w", a.Code, err)
		}
	}
	_, err = audit.Append(tx, audit.Entry{Stream: "areas", Type: "areas.put", Actor: by.String(), At: now, Payload: map[string]any{"n": len(list)}})
	return err
}

// Population is how many people of an age band live in an area; band "" is all of them.
type Population struct {
	Area, Band string
	Residents  int
	Source     string // where the number is from, and of which year
}

// Bands are the age bands of a Population.
var Bands = []string{"0-15", "16-29", "30-44", "45-59", "60+"}

// PutPopulation enters numbers of residents, in place of those that are there.
func (o *Office) PutPopulation(tx *storage.Tx, list []Population, by Actor) error {
	if !by.may(org.ImportData) {
		return noRole()
	}
	for i, p := range list {
		_, err := storage.One(tx, storage.Value[string], `SELECT code FROM ticket_area WHERE code = $1`, p.Area)
		switch {
		case errors.Is(err, storage.ErrNotFound):
			return refuse("area", "第%d行：没有区划“%s”", i+1, p.Area)
		case err != nil:
			return fmt.Errorf("population of %s: %w", p.Area, err)
		case p.Band != "" && !slices.Contains(Bands, p.Band):
			return refuse("band", "第%d行：年龄段只能是%s，全体留空", i+1, strings.Join(Bands, "、"))
		case p.Residents < 0 || p.Residents > 100_000_000:
			return refuse("residents", "第%d行：人口数不合理", i+1)
		case strings.TrimSpace(p.Source) == "":
			return refuse("source", "第%d行：请写明人口数的来源和年份", i+1)
		}
		_, err = tx.Exec(`INSERT INTO ticket_population (area, band, residents, source) VALUES ($1, $2, $3, $4)
			ON CONFLICT (area, band) DO UPDATE SET residents = excluded.residents, source = excluded.source`, p.Area, p.Band, p.Residents, strings.TrimSpace(p.Source))
		if err != nil {
			return fmt.Errorf("population of %s: %w", p.Area, err)
		}
	}
	_, err := audit.Append(tx, audit.Entry{Stream: "areas", Type: "areas.counted", Actor: by.String(), At: o.now(), Payload: map[string]any{"n": len(list)}})
	return err
}

// Populations lists the numbers of residents.
func (o *Office) Populations(tx *storage.Tx) ([]Population, error) {
	out, err := storage.All(tx, func(r storage.Row) (p Population, err error) {
		return p, r.Scan(&p.Area, &p.Band, &p.Residents, &p.Source)
	},
		`SELECT area, band, residents, source FROM ticket_population ORDER BY area, band`)
	if err != nil {
		return nil, fmt.Errorf("list populations: %w", err)
	}
	return out, nil
}

// areaBook finds communities by the names of which words speak.
type areaBook struct {
	mu    sync.Mutex
	at    time.Time // last change of the table that it was made of
	n     int
	names map[string][]Area // communities
	up    map[string]Area   // streets and districts by code
	least int               // runes
	most  int
}

// communities makes the book anew when the table has changed.
func (o *Office) communities(tx *storage.Tx) (*areaBook, error) {
	b := &o.areas
	type mark struct {
		at storage.Time
		n  int
	}
	m, err := storage.One(tx, func(r storage.Row) (m mark, err error) { return m, r.Scan(&m.at, &m.n) }, `SELECT MAX(changed_at), COUNT(*) FROM ticket_area`)
	if err != nil {
		return nil, fmt.Errorf("areas: %w", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.names != nil && b.at.Equal(m.at.Time) && b.n == m.n {
		return b, nil
	}
	list, err := o.Areas(tx)
	if err != nil {
		return nil, err
	}
	b.names, b.up, b.at, b.n, b.least, b.most = map[string][]Area{}, map[string]Area{}, m.at.Time, m.n, 99, 0
	for _, a := range list {
		b.up[a.Code] = a
		if a.Level != Community {
			continue
		}
		for _, name := range append(strings.Fields(a.Words), a.Short(), a.Name) {
			n := utf8.RuneCountInString(name)
			if n < 3 || slices.ContainsFunc(b.names[name], func(x Area) bool { return x.Code == a.Code }) {
				continue // two characters are a word of every day as often as a place
			}
			b.names[name] = append(b.names[name], a)
			b.least, b.most = min(b.least, n), max(b.most, n)
		}
	}
	return b, nil
}

// find is the community whose name stands in the texts, in the first text that names one; of several in one text the
// longest name counts. One of two with the same name is told by its street or district standing in the texts too, else none.
func (b *areaBook) find(texts ...string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	whole := strings.Join(texts, "\n")
	for _, text := range texts {
		runes := []rune(text)
		var best []Area
		size := 0
		for i := range runes {
			for n := min(b.most, len(runes)-i); n >= b.least && n > size; n-- {
				if found := b.names[string(runes[i:i+n])]; found != nil {
					best, size = found, n
					break
				}
			}
		}
		switch {
		case len(best) == 1:
			return best[0].Code
		case len(best) > 1:
			best = slices.DeleteFunc(slices.Clone(best), func(a Area) bool {
				street := b.up[a.Parent]
				return !(street.Name != "" && strings.Contains(whole, street.Name)) && !strings.Contains(whole, b.up[street.Parent].Name)
			})
			if len(best) == 1 {
				return best[0].Code
			}
			return ""
		}
	}
	return ""
}

// locate notes the community of which the ticket's words speak.
func (d *dossier) locate() error {
	b, err := d.o.communities(d.tx)
	if err != nil {
		return err
	}
	if code := b.find(d.ticket.Place, d.ticket.Title, d.ticket.Body); code != "" {
		d.ticket.Community = code
	}
	return nil
}

// AreaNames puts names to codes: of a community with its street, 南地街道南地社区.
func (o *Office) AreaNames(tx *storage.Tx) (map[string]string, error) {
	list, err := o.Areas(tx)
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, a := range list { // a parent's code is shorter, and stands before
		out[a.Code] = a.Short()
		if a.Level == Community {
			out[a.Code] = out[a.Parent] + a.Short()
		}
	}
	return out, nil
}

// CommunityOf is the code of the community of which texts speak, "" when they name none.
func (o *Office) CommunityOf(tx *storage.Tx, texts ...string) (string, error) {
	b, err := o.communities(tx)
	if err != nil {
		return "", err
	}
	return b.find(texts...), nil
}

// DomainOf is the code of the first level of the class that the classifier finds for a text, "" without one.
func (o *Office) DomainOf(tx *storage.Tx, title, body string) (string, error) {
	if o.Classifier == nil {
		return "", nil
	}
	code, err := storage.One(tx, storage.Value[string], `SELECT code FROM ticket_class WHERE level = 1 AND name = $1`, string(o.Classifier.Classify(title, body).Domain))
	if errors.Is(err, storage.ErrNotFound) {
		return "", nil
	}
	return code, err
}
