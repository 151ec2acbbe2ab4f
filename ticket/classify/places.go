package classify

import (
	"encoding/csv"
	"fmt"
	"io/fs"
	"strings"
)

// Place says that at the place of this name matters of a domain are minded by a unit. Domain "" means every domain for which the name has
// no line of its own; Name "" means anywhere in the city.
type Place struct {
	Name   string
	Domain Domain
	Unit   string
}

// Places finds the unit for a domain and a text.
type Places struct {
	names *tree
	city  map[int]string
}

const anyDomain = -1

// NewPlaces builds the table. A name with two different units for one domain is ambiguous and is left out for that domain.
func NewPlaces(rows []Place) (*Places, error) {
	p := &Places{names: newTree(), city: map[int]string{}}
	for _, row := range rows {
		d := anyDomain
		if row.Domain != "" {
			d = -2
			for i, x := range domains {
				if x.name == row.Domain {
					d = i
				}
			}
			if d == -2 {
				return nil, fmt.Errorf("place %q: unknown domain %q", row.Name, row.Domain)
			}
		}
		units := p.city
		if row.Name != "" {
			units = p.names.at(normalise(row.Name, maxText))
		}
		if have, ok := units[d]; ok && have != row.Unit {
			units[d] = ""
			continue
		}
		units[d] = row.Unit
	}
	return p, nil
}

// unit suggests who minds a matter of domain d: by the longest name in the title, then in the text, then by what holds anywhere.
func (p *Places) unit(d int, title, text []rune) string {
	if d == iNotPolice {
		return ""
	}
	if u := p.city[d]; u != "" {
		return u
	}
	for _, field := range [][]rune{title, text} {
		best, found := "", 0
		for i := range field {
			n, units := p.names.longest(field[i:])
			if n <= found {
				continue
			}
			u := units[d]
			if u == "" {
				u = units[anyDomain]
			}
			if u != "" {
				best, found = u, n
			}
		}
		if best != "" {
			return best
		}
	}
	return p.city[anyDomain]
}

// tree holds names; the units of a name by domain.
type tree struct {
	next map[rune]*tree
	vals map[int]string
}

func newTree() *tree { return &tree{next: map[rune]*tree{}} }

func (t *tree) at(name []rune) map[int]string {
	for _, r := range name {
		n := t.next[r]
		if n == nil {
			n = newTree()
			t.next[r] = n
		}
		t = n
	}
	if t.vals == nil {
		t.vals = map[int]string{}
	}
	return t.vals
}

// longest finds the longest name at the start of a text.
func (t *tree) longest(text []rune) (size int, vals map[int]string) {
	for i, r := range text {
		if t = t.next[r]; t == nil {
			break
		}
		if t.vals != nil {
			size, vals = i+1, t.vals
		}
	}
	return size, vals
}

// area is a named place of the region's public division codes.
type area struct{ name, code string }

// areas reads districts, streets and communities, with the short names of data/aliases.csv.
func areas(fsys fs.FS) ([]area, error) {
	var out []area
	for _, f := range []struct {
		name string
		cols int
	}{{"benxi_areas.csv", 4}, {"benxi_streets.csv", 5}, {"benxi_villages.csv", 6}} {
		rows, err := table(fsys, f.name, "", f.cols)
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			out = append(out, area{r[1], r[0]})
			for _, tail := range []string{"居委会", "村委会", "居民委员会", "村民委员会"} {
				if short, ok := strings.CutSuffix(r[1], tail); ok && len([]rune(short)) >= 3 {
					if strings.HasSuffix(tail, "村委会") && !strings.HasSuffix(short, "村") {
						short += "村"
					}
					out = append(out, area{short, r[0]})
				}
			}
		}
	}
	rows, err := table(fsys, "aliases.csv", "aliases", 2)
	for _, r := range rows {
		out = append(out, area{r[0], r[1]})
	}
	return out, err
}

// table reads a CSV of data with a head line. kind is checked against its first line; "" for the public files, which carry none.
func table(fsys fs.FS, name, kind string, cols int) ([][]string, error) {
	f, err := fsys.Open("data/" + name)
	if err != nil {
		return nil, fmt.Errorf("open classify data: %w", err)
	}
	defer f.Close()
	if kind != "" {
		if err := lines(fsys, "data/"+name, kind, func(int, string) error { return nil }); err != nil {
			return nil, err
		}
	}
	r := csv.NewReader(f)
	r.Comment = '#'
	r.FieldsPerRecord = cols
	rows, err := r.ReadAll()
	if err != nil {
		return nil, fmt.Errorf("read data/%s: %w", name, err)
	}
	if len(rows) < 2 {
		return nil, fmt.Errorf("data/%s is empty", name)
	}
	return rows[1:], nil
}

// placeNames are the names that say where and not what.
func placeNames(fsys fs.FS) (*tree, error) {
	all, err := areas(fsys)
	if err != nil {
		return nil, err
	}
	t := newTree()
	for _, a := range all {
		t.at([]rune(a.name))
	}
	for _, name := range []string{"本溪市", "本溪", "辽宁省"} {
		t.at([]rune(name))
	}
	return t, nil
}

// streetDuty are the domains a police station minds itself.
var streetDuty = []Domain{Nuisance, Vice, Household, OtherJob, Case}

// BenxiPlaces is the table of the sample city: streets and communities belong to their police station, districts to their branch; traffic
// goes to the district's traffic brigade, cases outside a station's street to the criminal brigade, household matters to the household
// window; passports, driving licences and complaints about conduct have one unit for the whole city.
func BenxiPlaces() (*Places, error) {
	rows, err := benxiRows(files)
	if err != nil {
		return nil, err
	}
	return NewPlaces(rows)
}

func benxiRows(fsys fs.FS) ([]Place, error) {
	units, err := table(fsys, "units.csv", "units", 5)
	if err != nil {
		return nil, err
	}
	station := map[string]string{} // street code
	branch := map[string]map[Domain]string{}
	out := []Place{}
	for _, u := range units {
		id, kind, police, district, street := u[0], u[1], u[2], u[3], u[4]
		if district != "" && branch[district] == nil {
			branch[district] = map[Domain]string{}
		}
		switch {
		case kind == "station":
			station[street] = id
		case kind == "branch":
			branch[district][""] = id
		case kind == "brigade" && police == "criminal":
			branch[district][Case] = id
		case kind == "brigade" && police == "traffic" && district != "":
			branch[district][Traffic] = id
		case kind == "window" && police == "household" && district != "":
			branch[district][Household] = id
		case kind == "detachment" && police == "inspection":
			out = append(out, Place{Domain: Conduct, Unit: id})
		case kind == "detachment" && police == "border-exit":
			out = append(out, Place{Domain: Border, Unit: id})
		case id == "benxi-cheguansuo":
			out = append(out, Place{Domain: Vehicle, Unit: id})
		}
	}
	all, err := areas(fsys)
	if err != nil {
		return nil, err
	}
	for _, a := range all {
		if len(a.code) < 6 {
			return nil, fmt.Errorf("place %q has the code %q", a.name, a.code)
		}
		duty := branch[a.code[:6]]
		if duty == nil {
			return nil, fmt.Errorf("no branch for place %q (%s)", a.name, a.code)
		}
		names := []string{a.name}
		if len(a.code) == 9 {
			for _, tail := range []string{"街道", "朝鲜族乡", "镇", "乡"} {
				if short, ok := strings.CutSuffix(a.name, tail); ok {
					names = append(names, short+"派出所")
				}
			}
		}
		for _, name := range names {
			if name != "高新区" || len(a.code) == 9 {
				out = append(out, Place{name, Traffic, duty[Traffic]})
			}
			if len(a.code) >= 9 {
				id := station[a.code[:9]]
				if id == "" {
					return nil, fmt.Errorf("no station for place %q (%s)", a.name, a.code)
				}
				for _, d := range streetDuty {
					out = append(out, Place{name, d, id})
				}
				continue
			}
			out = append(out, Place{name, Case, duty[Case]}, Place{name, Household, duty[Household]}, Place{name, "", duty[""]})
		}
	}
	return out, nil
}
