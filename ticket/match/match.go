// Package match tells which requests are of one matter: the same person again, or many people about the same thing. It is
// pure: texts and times in, scores with their parts out; no database and no clock of its own.
//
// A score is a number from 0 to 1 that a person can check: how much of the words two requests share, rare words counting
// more than common ones, whether they name the same place, and whether the same person wrote them. Rules says from which
// score on a link is made, and from which it is only suggested.
package match

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"time"
)

// Doc is a request as far as matching looks at it.
type Doc struct {
	ID    string
	Party string // whoever wrote it, in any form that is the same for the same person; empty is unknown
	At    time.Time
	Title string
	Text  string
	Place string // what the form said of the place
	Area  string // district or community, a code; empty is unknown
	Class string // class of the matter; empty is unknown
}

// Rules are the thresholds. They are configuration with a version.
type Rules struct {
	Version string `json:"version"`

	Auto    float64 `json:"auto"`    // same party: linked by itself from this score on
	Suggest float64 `json:"suggest"` // same party: suggested from this score on
	Matter  float64 `json:"matter"`  // other parties: suggested as the same matter from this score on
	Group   float64 `json:"group"`   // other parties: counted for a group from this score on
	Same    float64 `json:"same"`    // plain Jaccard from which two texts are the same text

	Parties  int `json:"parties"`   // distinct parties that make a group
	Days     int `json:"days"`      // within so many days
	WideDays int `json:"wide_days"` // the slow variant
	SameDays int `json:"same_days"` // the same text, over so many days
	Idle     int `json:"idle"`      // a group takes nobody in any more after so many days without a request
	Repeat   int `json:"repeat"`    // a repeat is looked for among the same party's requests of so many days
}

// DefaultRules are the thresholds that docs/match.md gives the figures of.
func DefaultRules() Rules {
	return Rules{Version: "2026-1", Auto: 0.6, Suggest: 0.25, Matter: 0.42, Group: 0.36, Same: 0.8,
		Parties: 3, Days: 7, WideDays: 30, SameDays: 365, Idle: 60, Repeat: 400}
}

// ID names the rules by version and content.
func (r Rules) ID() string {
	b, err := json.Marshal(r)
	if err != nil {
		panic(err) // plain data
	}
	s := sha256.Sum256(b)
	return r.Version + "/" + hex.EncodeToString(s[:])[:8]
}

// Check reports what is wrong with the rules.
func (r Rules) Check() error {
	for name, v := range map[string]float64{"auto": r.Auto, "suggest": r.Suggest, "matter": r.Matter, "group": r.Group, "same": r.Same} {
		if math.IsNaN(v) || v <= 0 || v > 1 {
			return fmt.Errorf("match rules %s: %s is %v, want more than 0 and at most 1", r.Version, name, v)
		}
	}
	if r.Suggest > r.Auto {
		return fmt.Errorf("match rules %s: suggest (%v) is above auto (%v)", r.Version, r.Suggest, r.Auto)
	}
	if r.Parties < 2 || r.Days < 1 || r.WideDays < r.Days || r.SameDays < 1 || r.Idle < 1 || r.Repeat < 1 {
		return fmt.Errorf("match rules %s: parties and days must be positive, parties at least 2, wide_days at least days", r.Version)
	}
	return nil
}

// Parts are what a score is made of: the evidence that is kept with a link (I21).
type Parts struct {
	Score   float64  `json:"score"`            // the whole, 0 to 1, three decimals
	Words   float64  `json:"words"`            // weighted share of common character pairs in all of the text
	Title   float64  `json:"title"`            // the same of the titles
	Jaccard float64  `json:"jaccard"`          // unweighted, all of the text
	Places  []string `json:"places,omitempty"` // names of places that both give
	Apart   bool     `json:"apart,omitempty"`  // both give places, and none in common
	Party   bool     `json:"party,omitempty"`  // the same person
	Common  []string `json:"common,omitempty"` // the longest pieces of text that both have
	DaysOff float64  `json:"days_off"`         // days between them
	SameTxt bool     `json:"same_text,omitempty"`
}

// Kind says what a pair is.
type Kind string

// Kinds of pairs.
const (
	Repeat Kind = "repeat" // same person, same matter
	Matter Kind = "matter" // another person, same matter
)

// Pair is a later request and an earlier one of the same matter.
type Pair struct {
	ID      string `json:"id"`
	Earlier string `json:"earlier"`
	Kind    Kind   `json:"kind"`
	Auto    bool   `json:"auto"` // sure enough to be linked without a person
	Parts   Parts  `json:"parts"`
}

// boosts in points of the score.
const (
	placeBoost  = 0.08
	apartCut    = 0.10
	sharePlace  = 0.10 // for a named place that is rare
	shareTitle  = 0.35
	boostParty  = 0.10
	plainWords  = 0.16
	lengthFloor = 6 // character pairs; shorter texts say too little to be sure of
)

// compare scores two read texts by the weights of an index.
func (x *Index) compare(a, b *read) Parts {
	p := Parts{Party: a.doc.Party != "" && a.doc.Party == b.doc.Party}
	words, common, total := x.cosine(a.grams, b.grams)
	p.Words = words
	if total > 0 {
		p.Jaccard = float64(common) / float64(total)
	}
	p.Title, _, _ = x.cosine(a.title, b.title)
	p.SameTxt = p.Jaccard >= x.Rules.Same && min(len(a.grams), len(b.grams)) >= lengthFloor
	p.Places, p.Apart = samePlaces(a.places, b.places)
	if len(p.Places) == 0 {
		name, ok := namedIn(a.places, b.runes)
		if !ok {
			name, ok = namedIn(b.places, a.runes)
		}
		if ok {
			p.Places, p.Apart = []string{name}, false
		}
	}
	s := p.Words
	if len(a.title) > 0 && len(b.title) > 0 {
		s = max(s, (1-shareTitle)*p.Words+shareTitle*p.Title)
	}
	// The same place or person says little where the words have nothing in common: boosts count in full from plainWords on.
	share := min(1, s/plainWords)
	share *= share
	switch {
	case len(p.Places) > 0:
		s += share * (placeBoost + sharePlace*min(1, x.rarity(p.Places)))
	case p.Apart:
		s -= apartCut
	}
	if p.Party {
		s += share * boostParty
	}
	if p.SameTxt {
		s = max(s, p.Jaccard)
	}
	if min(len(a.grams), len(b.grams)) < lengthFloor {
		s *= 0.6
	}
	p.Score = math.Round(1000*min(1, max(0, s))) / 1000
	p.Words, p.Title, p.Jaccard = round3(p.Words), round3(p.Title), round3(p.Jaccard)
	p.DaysOff = math.Round(10*math.Abs(a.doc.At.Sub(b.doc.At).Hours()/24)) / 10
	return p
}

func round3(f float64) float64 { return math.Round(1000*f) / 1000 }

// pair decides what two requests are to each other; ok is false when they are nothing.
func (x *Index) pair(later, earlier *read) (Pair, bool) {
	p := Pair{ID: later.doc.ID, Earlier: earlier.doc.ID, Kind: Matter, Parts: x.compare(later, earlier)}
	switch {
	case p.Parts.Party:
		p.Kind = Repeat
		p.Auto = p.Parts.Score >= x.Rules.Auto
		return p, p.Parts.Score >= x.Rules.Suggest
	default:
		return p, p.Parts.Score >= min(x.Rules.Matter, x.Rules.Group)
	}
}
