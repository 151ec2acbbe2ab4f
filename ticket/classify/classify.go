// Package classify suggests the police domain of a request, and the unit that minds it, from its title and text.
//
// What it knows is written by us and ships with the program in data: examples, a weighted lexicon and rules. Nothing is learnt from real
// requests. It suggests; a person decides (console shows the three suggestions with their reasons).
package classify

import (
	"fmt"
	"math"
	"slices"
	"sync"
)

// Domain is one of the ten names under which the bureau sorts requests; the text is shown to staff as it is.
type Domain string

// The ten domains.
const (
	Traffic    Domain = "交通管理"
	Conduct    Domain = "执法与服务监督"
	Case       Domain = "案件举报与进度(刑侦/经侦/纠纷)"
	Nuisance   Domain = "治安-扰民/养犬"
	Vice       Domain = "治安-黄赌"
	Household  Domain = "户政"
	Border     Domain = "出入境"
	Vehicle    Domain = "车驾管"
	OtherJob   Domain = "其他公安"
	NotPolice  Domain = "非公安应转办"
	domainsLen        = 10
)

// domains orders the domains as the data files number them; on equal scores the earlier one wins, so a complaint about police conduct
// is not lost to a tie.
var domains = [domainsLen]struct {
	code string
	name Domain
}{
	{"ZF", Conduct}, {"AJ", Case}, {"JG", Traffic}, {"ZA", Nuisance}, {"SH", Vice},
	{"HZ", Household}, {"CR", Border}, {"CJ", Vehicle}, {"QT", OtherJob}, {"FG", NotPolice},
}

const (
	iConduct   = 0
	iOther     = 8
	iNotPolice = 9
)

// Domains lists the ten domain names.
func Domains() []Domain {
	out := make([]Domain, 0, domainsLen)
	for _, d := range domains {
		out = append(out, d.name)
	}
	return out
}

// Suggestion is one domain the text may belong to. Confidence is the share of the evidence in [0,1]; those of all ten domains sum to 1.
type Suggestion struct {
	Domain     Domain  `json:"domain"`
	Confidence float64 `json:"confidence"`
	Why        string  `json:"why"` // one line of Chinese for staff
}

// Result is what Classify has to say about one request. Domain is that of the first suggestion. Suggestions holds the three best, best
// first. Unit is the id of the unit that minds such a matter at the place named, "" when the text names no known place or the matter is
// not for the police.
type Result struct {
	Domain      Domain       `json:"domain"`
	Suggestions []Suggestion `json:"suggestions"`
	Unit        string       `json:"unit"`
}

// Classifier holds what was loaded. It is safe for concurrent use.
type Classifier struct {
	model  *model
	line   *linear
	lex    *lexicon
	places *Places
}

// New loads the embedded knowledge. places may be nil: then Result.Unit stays empty. An error means that the data files are damaged.
func New(places *Places) (*Classifier, error) {
	lex, err := loadLexicon(files)
	if err != nil {
		return nil, err
	}
	examples, err := loadExamples(files)
	if err != nil {
		return nil, err
	}
	c := &Classifier{lex: lex, places: places}
	c.model, c.line = train(examples, c.grams), trainLinear(examples, c.grams)
	return c, nil
}

var standard = sync.OnceValues(func() (*Classifier, error) {
	places, err := BenxiPlaces()
	if err != nil {
		return nil, err
	}
	return New(places)
})

// Standard is the classifier with the places of Benxi, loaded once.
func Standard() (*Classifier, error) {
	c, err := standard()
	if err != nil {
		return nil, fmt.Errorf("load the classifier's data: %w", err)
	}
	return c, nil
}

// Classify reads a request with the Standard classifier. It panics when the embedded data cannot be loaded, which the package's tests
// exclude for a program that was built from tested sources.
func Classify(title, text string) Result {
	c, err := Standard()
	if err != nil {
		panic(err)
	}
	return c.Classify(title, text)
}

// The shares of the voices, and the slope of the confidence. The slope is set so that confidence is honest on texts that were not
// examples (docs/classify.md tells how it was measured).
const (
	gramShare  = 3.0
	lineShare  = 1.5
	gramsMost  = 12.0 // what the two can say together: they do not overrule a rule that knows what is done to whom
	textShare  = 0.3  // of the text beside a title that says something
	vagueShare = 0.8  // of the text beside a title that does not
	slope      = 0.45
	noPolice   = 3.0  // against "police conduct" when neither police nor a report to them is mentioned
	prior      = 2.5  // for "not police" when no word of police matters is found: most of what citizens write about is other offices' work
	maxText    = 4000 // runes of a text that are read for words
	maxGrams   = 400  // runes of a text that are read for character pairs
)

// Classify reads one request. Any bytes are accepted, the same input always gives the same result.
func (c *Classifier) Classify(title, text string) Result {
	t := c.read(normalise(title, maxText), true)
	score := t.score
	spoken := t
	var b reading
	if text != "" {
		b = c.read(normalise(text, maxText), false)
		share := textShare
		if !t.telling {
			share = vagueShare
		}
		if len(t.plain) == 0 {
			share = 1
			spoken = b
		}
		for d := range score {
			score[d] += share * b.score[d]
		}
	}
	switch {
	case spoken.empty():
		score[iOther]++ // nothing said: a person of the bureau reads it
	case !t.police && !b.police:
		score[iConduct] -= noPolice
		if !t.telling && !b.telling {
			score[iNotPolice] += prior
		}
	}
	p := softmax(score)
	order := make([]int, domainsLen)
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(x, y int) int {
		switch {
		case p[x] > p[y]:
			return -1
		case p[x] < p[y]:
			return 1
		}
		return x - y
	})
	keepConduct(order, t, b)
	res := Result{Domain: domains[order[0]].name, Suggestions: make([]Suggestion, 0, 3)}
	conf := rounded(p, order[:3])
	for i, d := range order[:3] {
		res.Suggestions = append(res.Suggestions, Suggestion{domains[d].name, conf[i], c.why(d, t, b)})
	}
	if c.places != nil {
		res.Unit = c.places.unit(order[0], t.plain, b.plain)
	}
	return res
}

// keepConduct sees to it that a complaint about police conduct, when a rule found one in title or text, is among the three suggestions:
// these have recall first. It takes the third place; its confidence stays what it was.
func keepConduct(order []int, t, b reading) {
	if t.rules[iConduct] == nil && b.rules[iConduct] == nil {
		return
	}
	if at := slices.Index(order, iConduct); at > 2 {
		order[2], order[at] = order[at], order[2]
	}
}

// rounded gives the confidences with three decimals, never rounded up, so that they stay sorted and sum to at most 1.
func rounded(p [domainsLen]float64, order []int) []float64 {
	out := make([]float64, len(order))
	for i, d := range order {
		out[i] = math.Floor(p[d]*1000) / 1000
	}
	return out
}

func softmax(score [domainsLen]float64) (p [domainsLen]float64) {
	top := slices.Max(score[:])
	sum := 0.0
	for d, s := range score {
		p[d] = math.Exp((s - top) * slope)
		sum += p[d]
	}
	for d := range p {
		p[d] /= sum
	}
	return p
}
