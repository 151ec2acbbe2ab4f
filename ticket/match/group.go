package match

import (
	"slices"
	"time"
)

// Group is many people about one matter.
type Group struct {
	N       int       `json:"group"`   // number of the group, from 1
	IDs     []string  `json:"ids"`     // its requests, first to last
	Parties int       `json:"parties"` // distinct; a request of an unknown party counts as one
	Rule    string    `json:"rule"`    // which rule made it: "7d", "30d", "same-text"
	From    time.Time `json:"from"`
	To      time.Time `json:"to"`
	Place   string    `json:"place,omitempty"` // the place that most of them name

	parties map[string]bool
	places  map[string]int
}

// Grouper takes requests in the order of their times, links each to earlier ones and finds groups as they arise.
type Grouper struct {
	*Index
	groups []*Group
	of     map[string]*Group // group of a request
}

// NewGrouper is an empty grouper.
func NewGrouper(r Rules) *Grouper { return &Grouper{Index: NewIndex(r), of: map[string]*Group{}} }

// Groups are all groups so far.
func (g *Grouper) Groups() []*Group { return g.groups }

// GroupOf is the group of a request, or nil.
func (g *Grouper) GroupOf(id string) *Group { return g.of[id] }

func days(n int) time.Duration { return time.Duration(n) * 24 * time.Hour }

// Take adds a request. It returns its links to earlier ones, the best first, and the group that it made or joined, with
// whether the group is new. Take is for one goroutine; the embedded Index may be asked by others meanwhile.
func (g *Grouper) Take(d Doc) (pairs []Pair, group *Group, fresh bool) {
	r := take(d)
	back := max(g.Rules.WideDays, g.Rules.SameDays, g.Rules.Repeat)
	g.mu.Lock()
	g.number(r)
	near := g.similar(r, d.At.Add(-days(back)), 64)
	g.remove(d.ID)
	g.add(r)
	g.mu.Unlock()
	group, fresh = g.assign(r, near)
	for _, p := range near {
		if p.Kind == Repeat && p.Parts.DaysOff <= float64(g.Rules.Repeat) || p.Kind == Matter && p.Parts.Score >= g.Rules.Matter {
			pairs = append(pairs, p)
		}
	}
	return pairs, group, fresh
}

func (g *Grouper) assign(r *read, near []Pair) (*Group, bool) {
	at := r.doc.At
	var close []Pair // of the matter
	for _, p := range near {
		if p.Parts.Score >= g.Rules.Group || p.Parts.SameTxt {
			close = append(close, p)
		}
	}
	if len(close) == 0 {
		return nil, false
	}
	// The group most of the nearest belong to takes it in; two must, or one that is very near.
	votes := map[*Group]int{}
	strong := map[*Group]bool{}
	for _, p := range close[:min(len(close), 8)] {
		if x := g.of[p.Earlier]; x != nil && (at.Sub(x.To) <= days(g.Rules.Idle) || p.Parts.SameTxt) {
			votes[x]++
			strong[x] = strong[x] || p.Parts.Score >= g.Rules.Matter
		}
	}
	var best *Group
	for x, n := range votes {
		if (n >= 2 || strong[x]) && (best == nil || n > votes[best] || n == votes[best] && x.N < best.N) {
			best = x
		}
	}
	if best != nil {
		g.join(best, r)
		return best, false
	}
	for _, v := range []struct {
		rule string
		days int
		ok   func(Pair) bool
	}{
		{"7d", g.Rules.Days, func(p Pair) bool { return p.Parts.Score >= g.Rules.Group }},
		{"30d", g.Rules.WideDays, func(p Pair) bool { return p.Parts.Score >= g.Rules.Group }},
		{"same-text", g.Rules.SameDays, func(p Pair) bool { return p.Parts.SameTxt }},
	} {
		members, parties := []*read{r}, map[string]bool{key(r): true}
		for _, p := range close {
			o := g.docs[g.ids[p.Earlier]]
			if v.ok(p) && at.Sub(o.doc.At) <= days(v.days) && g.of[p.Earlier] == nil {
				members, parties[key(o)] = append(members, o), true
			}
		}
		if len(parties) < g.Rules.Parties {
			continue
		}
		x := &Group{N: len(g.groups) + 1, Rule: v.rule, parties: map[string]bool{}, places: map[string]int{}}
		g.groups = append(g.groups, x)
		slices.SortFunc(members, func(a, b *read) int { return a.doc.At.Compare(b.doc.At) })
		for _, m := range members {
			g.join(x, m)
		}
		return x, true
	}
	return nil, false
}

func key(r *read) string {
	if r.doc.Party == "" {
		return "\x00" + r.doc.ID
	}
	return r.doc.Party
}

func (g *Grouper) join(x *Group, r *read) {
	x.IDs = append(x.IDs, r.doc.ID)
	x.parties[key(r)] = true
	x.Parties = len(x.parties)
	if x.From.IsZero() || r.doc.At.Before(x.From) {
		x.From = r.doc.At
	}
	if r.doc.At.After(x.To) {
		x.To = r.doc.At
	}
	for _, p := range r.places {
		x.places[stem(p)]++
		if n := x.places[stem(p)]; n > x.places[x.Place] || n == x.places[x.Place] && (len(stem(p)) > len(x.Place) || stem(p) < x.Place) {
			x.Place = stem(p)
		}
	}
	g.of[r.doc.ID] = x
}

// PartiesWithin counts the distinct parties of a group in the days before a time.
func (g *Grouper) PartiesWithin(x *Group, at time.Time, within time.Duration) int {
	seen := map[string]bool{}
	for _, id := range x.IDs {
		if n, ok := g.ids[id]; ok && at.Sub(g.docs[n].doc.At) <= within && !g.docs[n].doc.At.After(at) {
			seen[key(g.docs[n])] = true
		}
	}
	return len(seen)
}
